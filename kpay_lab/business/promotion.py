"""What a promotion earns on what it costs: a contact, and a coupon given by lot."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.business.figures import order_money
from kpay_lab.business.periods import Period, with_columns
from kpay_lab.data.money import gross_profit
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding, level_of_interval
from kpay_lab.stats import Interval

PER = 1000  # contacts, or viewers
NO_TEST = "no coupon was given by lot in the period (exposures.treatment)"


@dataclass(frozen=True)
class Contact:
    """What a contact costs and what an order earns.

    Parameters
    ----------
    profit_per_order : float
        The gross profit of a mean order, net of refunds.
    cost : float
        Of one contact.
    orders_per_viewer : float
        In the period, without asking what brought them about.
    """

    profit_per_order: float
    cost: float
    orders_per_viewer: float

    @property
    def orders_to_break_even(self) -> float:
        """Orders that 1,000 contacts must bring about to pay for themselves."""
        return PER * self.cost / self.profit_per_order

    @property
    def most_roi(self) -> float:
        """Gross profit for each unit of cost if every order owed itself to a contact."""
        return self.orders_per_viewer * self.profit_per_order / self.cost

    def table(self) -> pd.DataFrame:
        """Return one row a number, in words."""
        values = {
            "profit an order earns": self.profit_per_order,
            "cost of a contact": self.cost,
            "orders that 1,000 contacts must bring about": self.orders_to_break_even,
            "orders of 1,000 viewers in the period": PER * self.orders_per_viewer,
            "ROI at most, if a contact brought about every order": self.most_roi,
        }
        return pd.Series(values, name="value").rename_axis("of a contact").to_frame()

    def findings(self, *, currency: str = "") -> list[Finding]:
        """Return how many orders contacts must bring about to pay for themselves."""
        needed = self.orders_to_break_even
        orders = PER * self.orders_per_viewer
        values = {"cost": self.cost, "currency": currency, "per": PER}
        values |= {"needed": needed, "orders": orders}
        level = "bad" if needed > orders else "plain"
        return [Finding("business/contact", level, values, place="contact")]


def contact_return(
    tables: Tables, period: Period, *, margin: float, contact_cost: float
) -> Contact | None:
    """Return what a contact must bring about; None where money or viewers are not known, or 0.

    Parameters
    ----------
    margin : float
        The share of an amount that is earned (`data.money.gross_profit`), 0 to 1.
    contact_cost : float
        Of one contact, in the currency of the log.
    """
    within = period.select(tables)
    money = order_money(within)
    net_revenue = money["net_revenue"].sum()
    n_viewers = within.events["user_id"].nunique()
    if net_revenue <= 0 or n_viewers == 0 or margin == 0 or contact_cost == 0:
        return None
    profit_per_order = float(gross_profit(net_revenue / len(money), margin))
    return Contact(profit_per_order, contact_cost, len(money) / n_viewers)


def coupon_return(
    tables: Tables,
    period: Period,
    *,
    margin: float,
    coupon_price: float,
    rng: np.random.Generator,
    n_resamples: int = 1000,
) -> pd.Series | str:
    """Measure what a coupon that was given by lot earned on its cost.

    A user's arm is that of the exposures of the period (``treatment``); whoever has two arms is
    left out. Orders count from the user's first exposure in the arm on, net of the refunds known
    at the period's end. Profit is `data.money.gross_profit`: the coupon is paid by the profit.

    Returns
    -------
    Series, or str
        ``users_with, users_without``, ``profit_with, profit_without`` (a user), ``cost`` of the
        coupon a user with one, and ``roi``, the extra profit before that cost for each unit of
        it, with ``roi_low, roi_high``: above 1 the coupon paid for itself. A str says what is
        lacking.

    Raises
    ------
    ValueError
        If margin or coupon_price lies out of its range.
    """
    narrow = with_columns(tables, exposures=["treatment"])
    within = narrow.within(period.start, period.end)
    exposures = within.exposures
    if exposures is None or "treatment" not in exposures or within.orders is None:
        return NO_TEST
    drawn = exposures.dropna(subset="treatment").astype({"treatment": int})
    by_user = drawn.groupby("user_id")
    arms = by_user["treatment"].agg(["min", "max"])
    one_arm = arms.index[arms["min"] == arms["max"]]
    arm = arms.loc[one_arm, "max"]
    if arm.nunique() < 2:
        return NO_TEST
    if coupon_price == 1:
        return "a coupon costs nothing at coupon_price 1: write the share of a price that is paid"
    since = by_user["timestamp"].min().reindex(within.orders["user_id"]).array
    counted = order_money(within)[np.asarray(within.orders["timestamp"].array >= since)]
    net_revenue = counted.groupby("user_id")["net_revenue"].sum()
    paid = net_revenue.reindex(arm.index, fill_value=0.0).to_numpy()
    has_coupon = arm.to_numpy()
    profit = gross_profit(paid, margin, has_coupon=has_coupon, coupon_price=coupon_price)
    full_price = paid / np.where(has_coupon == 1, coupon_price, 1.0)
    cost = full_price - paid
    treated = has_coupon == 1
    roi = _roi(profit, cost, treated, rng, n_resamples)
    by_arm = {"with": treated, "without": ~treated}
    found = {}
    for name, rows in by_arm.items():
        found[f"users_{name}"] = rows.sum()
        found[f"profit_{name}"] = profit[rows].mean()
    found["cost"] = cost[treated].mean()
    found |= {"roi": roi.estimate, "roi_low": roi.low, "roi_high": roi.high}
    return pd.Series(found, dtype=float)


def coupon_findings(coupon: pd.Series, *, period: str) -> list[Finding]:
    """Return whether a coupon paid for itself.

    Parameters
    ----------
    coupon : Series
        From `coupon_return`; nothing is found where nobody paid with a coupon.
    period : str
        Its period in words.
    """
    if coupon[["roi", "roi_low", "roi_high"]].isna().any():
        return []
    low = coupon["roi_low"]
    high = coupon["roi_high"]
    values = {"roi": coupon["roi"], "low": low, "high": high}
    values |= {"n_with": int(coupon["users_with"]), "n_without": int(coupon["users_without"])}
    values["period"] = period
    level = level_of_interval(low, high, than=1, otherwise="plain")
    return [Finding("business/coupon", level, values, place="coupon")]


def _roi(
    profit: np.ndarray,
    cost: np.ndarray,
    treated: np.ndarray,
    rng: np.random.Generator,
    n_resamples: int,
) -> Interval:
    """Return extra profit before the cost, for each unit of cost; each arm is resampled whole."""
    before_cost = profit + cost
    with_coupon = np.column_stack([before_cost, cost])[treated]
    without = before_cost[~treated]
    mean_cost = cost[treated].mean()
    if mean_cost <= 0:
        return Interval(np.nan, np.nan, np.nan)
    estimate = (before_cost[treated].mean() - without.mean()) / mean_cost
    drawn = np.empty(n_resamples)
    for number in range(n_resamples):
        rows = rng.integers(0, len(with_coupon), len(with_coupon))
        others = rng.integers(0, len(without), len(without))
        earned, spent = with_coupon[rows].mean(axis=0)
        gain = earned - without[others].mean()
        drawn[number] = gain / spent if spent > 0 else np.nan
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Interval(float(estimate), float(low), float(high))
