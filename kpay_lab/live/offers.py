r"""What an offer does: orders in the minutes after one, against the same session's other minutes.

Let :math:`a_s` orders fall into :math:`T_{1s}` minutes of watching after an offer of session
:math:`s`, and :math:`b_s` into its other :math:`T_{0s}`. Sessions differ in audience and theme, so
each is compared with itself alone (Mantel and Haenszel):

.. math:: \widehat{RR} = \frac{\sum_s a_s T_{0s} / T_s}{\sum_s b_s T_{1s} / T_s}
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding, level_of_interval
from kpay_lab.live.minutes import Minutes
from kpay_lab.live.sessions import LiveSessions
from kpay_lab.stats import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AFTER = "after an offer"
OTHERS = "other minutes"
PER = 1000  # minutes of watching that a rate is told of


def offers_shown(tables: Tables, live: LiveSessions) -> pd.DataFrame | None:
    """Return the offers made while their session was live: ``session, item_id, moment``.

    None where the log has no table of offers, or none of them falls into a session.
    """
    offers = tables.offers
    if offers is None:
        return None
    columns = {"source_item_id": "session", "timestamp": "moment"}
    made = offers.rename(columns=columns)[["session", "item_id", "moment"]]
    of_sessions = made.join(live.sessions[["started_at", "ended_at"]], on="session", how="inner")
    is_live = of_sessions["moment"].between(
        of_sessions["started_at"], of_sessions["ended_at"], inclusive="left"
    )
    shown = of_sessions.loc[is_live, ["session", "item_id", "moment"]]
    if shown.empty:
        return None
    return shown.sort_values("moment", kind="stable", ignore_index=True)


@dataclass(frozen=True)
class OfferEffect:
    """Orders in the minutes after an offer, and in the other minutes of the same sessions.

    Parameters
    ----------
    window : int
        Minutes that count as after an offer; the first is that in which it is made.
    n_offers : int
    by_session : DataFrame
        Index: the sessions. ``orders_after, watched_after, orders_other, watched_other``; watched
        are minutes of watching of all viewers together, or plain minutes where ``is_watched``
        is false.
    by_wait : DataFrame
        Index: minutes since the last offer. ``orders, watched``, their ``rate`` for each `PER`
        minutes, ``low, high``: exact intervals of a Poisson count.
    is_watched : bool
    """

    window: int
    n_offers: int
    by_session: pd.DataFrame
    by_wait: pd.DataFrame
    is_watched: bool

    @property
    def ratio(self) -> Interval:
        """How many times as many orders there are after an offer, with a 95 % interval.

        The variance of its logarithm is that of Greenland and Robins (1985): it takes orders for
        independent, given how many people watch. NaN ends where a side has no order.
        """
        sums = self.by_session
        watched = sums["watched_after"] + sums["watched_other"]
        after = (sums["orders_after"] * sums["watched_other"] / watched).sum()
        other = (sums["orders_other"] * sums["watched_after"] / watched).sum()
        if after == 0 or other == 0:
            return Interval(after / other if other else np.nan, np.nan, np.nan)
        orders = sums["orders_after"] + sums["orders_other"]
        shared = sums["watched_after"] * sums["watched_other"] / watched**2
        error = np.sqrt((orders * shared).sum() / (after * other))
        estimate = after / other
        factor = np.exp(norm.ppf(0.975) * error)
        return Interval(float(estimate), float(estimate / factor), float(estimate * factor))

    @property
    def extra_orders(self) -> Interval:
        """Orders that would not have come in these minutes at the rate of the others."""
        n_after = self.by_session["orders_after"].sum()
        found = self.ratio
        estimate = n_after * (1 - 1 / found.estimate)
        low = n_after * (1 - 1 / found.low)
        high = n_after * (1 - 1 / found.high)
        return Interval(estimate, low, high)

    def table(self) -> pd.DataFrame:
        """Return both kinds of minutes: ``orders``, ``watched`` minutes, and their ``per_1000``."""
        sums = self.by_session.sum()
        orders = [int(sums["orders_after"]), int(sums["orders_other"])]
        watched = [sums["watched_after"], sums["watched_other"]]
        table = pd.DataFrame({"orders": orders, "watched": watched}, index=[AFTER, OTHERS])
        table["per_1000"] = PER * table["orders"] / table["watched"]
        return table.rename_axis("minutes")

    def findings(self) -> list[Finding]:
        """Return how many times as many orders come after an offer; nothing without an interval."""
        found = self.ratio
        if not np.isfinite([found.estimate, found.low, found.high]).all():
            return []
        values = {"ratio": found.estimate, "low": found.low, "high": found.high}
        values |= {"window": self.window, "n_offers": self.n_offers}
        values |= {"n_sessions": len(self.by_session)}
        values["n_orders"] = int(self.by_session["orders_after"].sum())
        level = level_of_interval(found.low, found.high, than=1.0)
        return [Finding("live/offers", level, values, place="offers")]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the rate of orders by the minutes since the last offer, beside the other minutes."""
        from kpay_lab.plots import GUIDE, plot_points  # here, for matplotlib is slow to import

        unit = f"orders for each {PER:,} minutes of watching"
        if not self.is_watched:
            unit = f"orders for each {PER:,} minutes"
        ax = plot_points(self.by_wait, "rate", ax=ax, title="Orders after an offer", ylabel=unit)
        usual = self.table().loc[OTHERS, "per_1000"]
        ax.axhline(usual, label="minutes without an offer before them", **GUIDE)
        ax.set_xlabel("minutes since the offer")
        ax.legend()
        return ax


def offer_effect(minutes: Minutes, *, window: int = 5) -> OfferEffect:
    """Compare the minutes after an offer with the other minutes of the same sessions.

    Parameters
    ----------
    minutes : Minutes
        With their offers and orders.
    window : int
        Minutes that count as after an offer, 1 or more.

    Raises
    ------
    ValueError
        If no session has an offer, an order, and minutes of both kinds.
    """
    if window < 1:
        raise ValueError(f"window is {window}; at least the minute of the offer itself counts")
    rows = minutes.by_minute.reset_index()
    is_watched = bool(rows["viewer_seconds"].notna().any())
    rows["watched"] = rows["viewer_seconds"] / 60 if is_watched else 1.0
    rows["wait"] = _minutes_since_offer(rows)
    is_after = rows["wait"] < window
    measures = ["orders", "watched"]
    sums_after = _sum_by_session(rows[is_after], measures)
    sums_other = _sum_by_session(rows[~is_after], measures)
    sides = [sums_after.add_suffix("_after"), sums_other.add_suffix("_other")]
    sums = pd.concat(sides, axis=1).fillna(0.0)
    has_both = sums[["watched_after", "watched_other"]].gt(0).all(axis=1)
    if not has_both.any():
        raise ValueError("no session has watched minutes both after an offer and without one")
    compared = sums[has_both]
    n_orders = compared["orders_after"].sum() + compared["orders_other"].sum()
    if n_orders == 0:
        raise ValueError("no session with an offer has an order in any of its minutes")
    of_compared = rows[rows["session"].isin(compared.index)]
    return OfferEffect(
        window=window,
        n_offers=int(of_compared["offers"].sum()),
        by_session=compared,
        by_wait=_by_wait(of_compared, most=2 * window),
        is_watched=is_watched,
    )


def _minutes_since_offer(rows: pd.DataFrame) -> pd.Series:
    """Return the minutes since the session's last offer; NaN before the first."""
    offered = rows["minute"].where(rows["offers"] > 0)
    last = offered.groupby(rows["session"]).ffill()
    return rows["minute"] - last


def _sum_by_session(rows: pd.DataFrame, measures: list[str]) -> pd.DataFrame:
    return rows.groupby("session", sort=False)[measures].sum()


def _by_wait(rows: pd.DataFrame, *, most: int) -> pd.DataFrame:
    """Add up orders and watching by the minutes since the last offer, up to ``most``."""
    followed = rows[rows["wait"] < most]
    wait = followed["wait"].astype(int)
    sums = followed.groupby(wait)[["orders", "watched"]].sum()
    sums = sums[sums["watched"] > 0]
    orders = sums["orders"].to_numpy()
    lowest = chi2.ppf(0.025, 2 * orders) / 2  # not defined for no order
    highest = chi2.ppf(0.975, 2 * orders + 2) / 2
    counts = {"rate": orders, "low": np.where(orders > 0, lowest, 0.0), "high": highest}
    for name, count in counts.items():
        sums[name] = PER * count / sums["watched"]
    return sums
