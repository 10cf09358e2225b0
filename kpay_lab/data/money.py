"""Money of a sale: the net amount, the refund, the gross profit, and the price with a coupon.

All amounts are in the currency of the log.
"""

from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

MARGIN = 0.6  # the share of a price that is earned, unless a report says otherwise
Money = TypeVar("Money", float, np.ndarray, pd.Series)


def refunded_amount(orders: pd.DataFrame) -> pd.Series:
    """Return the refund of each order; 0 where the log has none.

    >>> refunded_amount(pd.DataFrame({"amount": [9.0, 5.0], "refund_amount": [None, 2.0]})).tolist()
    [0.0, 2.0]
    """
    if "refund_amount" not in orders:
        return pd.Series(0.0, index=orders.index, name="refund_amount")
    return orders["refund_amount"].fillna(0.0)


def has_amounts(orders: pd.DataFrame | None) -> bool:
    """Whether the orders say what was paid; where nobody logged a price there is no money to sum.

    >>> has_amounts(pd.DataFrame({"user_id": ["u"], "amount": [9.0]})), has_amounts(None)
    (True, False)
    """
    return orders is not None and "amount" in orders and bool(orders["amount"].notna().any())


def net_amount(orders: pd.DataFrame) -> pd.Series:
    """Return the amount of each order less its refund; missing where no amount is known.

    >>> net_amount(pd.DataFrame({"amount": [9.0, 5.0], "refund_amount": [None, 2.0]})).tolist()
    [9.0, 3.0]
    """
    if "amount" not in orders:
        return pd.Series(np.nan, index=orders.index)
    return orders["amount"] - refunded_amount(orders)


def gross_profit(
    amount: Money, margin: float, *, has_coupon: ArrayLike = False, coupon_price: float = 1.0
) -> Money:
    """Return the profit of amounts paid, net of refunds; a coupon is paid by the profit alone.

    Of a price p the costs are (1 − margin) p, with or without a coupon. Who pays c p leaves
    (c − 1 + margin) p, which is amount · (1 − (1 − margin) / c).

    Parameters
    ----------
    amount : float or float array
    margin : float
        The share of a full price that is earned, 0 to 1.
    has_coupon : bool or 0/1, of a shape that fits
    coupon_price : float
        The share c of the price that is paid with a coupon, above 0 and at most 1.

    Examples
    --------
    >>> gross_profit(50.0, margin=0.6)
    30.0
    >>> gross_profit(np.array([50.0, 40.0]), 0.6, has_coupon=[0, 1], coupon_price=0.8)
    array([30., 20.])
    """
    if not 0 <= margin <= 1:
        raise ValueError(f"margin is {margin}; it is the share of an amount that is earned, 0 to 1")
    if not 0 < coupon_price <= 1:
        raise ValueError(
            f"coupon_price is {coupon_price}; it is the share of a price that is paid with a "
            "coupon, above 0 and at most 1"
        )
    if not np.any(has_coupon):
        return margin * amount
    price = amount / np.where(np.asarray(has_coupon) == 1, coupon_price, 1.0)
    profit: Any = amount - (1 - margin) * price
    return profit


def price_with_coupon(
    price: np.ndarray, has_coupon: np.ndarray | bool, *, coupon_price: float
) -> np.ndarray:
    """Return the price to be paid; a coupon multiplies the price by ``coupon_price``.

    The cost of the coupon is the difference from ``price``.

    Parameters
    ----------
    price : float array
    has_coupon : bool or 0/1 array, of a shape that fits
    coupon_price : float
        The share of the price that is paid with a coupon, 0 to 1; 0.8 is 20 % off.

    Examples
    --------
    >>> price_with_coupon(np.array([10.0, 10.0]), np.array([0, 1]), coupon_price=0.8)
    array([10.,  8.])
    """
    factor = np.where(np.asarray(has_coupon) == 1, coupon_price, 1.0)
    return price * factor
