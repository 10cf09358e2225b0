"""What a sale brings, on amounts small enough to add up by hand."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.money import gross_profit, net_amount, price_with_coupon, refunded_amount

ORDERS = pd.DataFrame({"amount": [10.0, 20.0, 30.0], "refund_amount": [None, 5.0, 30.0]})


def test_what_was_never_paid_back_is_kept_whole():
    assert net_amount(ORDERS).tolist() == [10.0, 15.0, 0.0]
    bare = ORDERS[["amount"]]
    assert refunded_amount(bare).tolist() == [0.0, 0.0, 0.0]
    assert net_amount(bare).tolist() == [10.0, 20.0, 30.0]


def test_a_margin_is_a_share():
    assert gross_profit(20.0, 0.25) == 5.0
    assert np.isnan(gross_profit(float("nan"), 0.25))  # no order, nothing known
    with pytest.raises(ValueError, match="margin is 25; it is the share"):
        gross_profit(20.0, 25)


def test_a_coupon_is_paid_by_the_profit_alone():
    """Of a price of 10 the margin of 0.6 earns 6; 8 are paid, and the costs are still 4."""
    paid = np.array([10.0, 8.0, 0.0])
    has_coupon = np.array([0, 1, 1])
    profit = gross_profit(paid, 0.6, has_coupon=has_coupon, coupon_price=0.8)
    assert profit.tolist() == pytest.approx([6.0, 4.0, 0.0])
    price = np.array([10.0, 20.0])
    reduced = price_with_coupon(price, True, coupon_price=0.8)
    lost = gross_profit(price, 0.6) - gross_profit(reduced, 0.6, has_coupon=True, coupon_price=0.8)
    assert lost.tolist() == pytest.approx((price - reduced).tolist())  # the cost of the coupon
    with pytest.raises(ValueError, match="coupon_price is 0; it is the share of a price that is"):
        gross_profit(10.0, 0.6, has_coupon=True, coupon_price=0)


def test_a_coupon_lowers_the_price_of_those_who_hold_one():
    price = np.array([10.0, 20.0])
    held = np.array([[0, 1], [1, 0]])
    assert price_with_coupon(price, held, coupon_price=0.8).tolist() == [[10, 16], [8, 20]]
    assert price_with_coupon(price, True, coupon_price=0.5).tolist() == [5, 10]
