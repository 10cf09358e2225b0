r"""What an offer does: orders in the minutes after one, against the same session's other minutes.

Let :math:`a_s` orders of an item fall into :math:`T_{1s}` minutes of watching after its offers in a
session, and :math:`b_s` into the other :math:`T_{0s}`. Sessions and items differ, so each item of
each session is compared with itself alone (Mantel and Haenszel):

.. math:: \widehat{RR} = \frac{\sum_s a_s T_{0s} / T_s}{\sum_s b_s T_{1s} / T_s}
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding, level_of_interval
from kpay_lab.live.minutes import MINUTE, Minutes
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
    of_item : bool
        Whether orders of the item offered are counted; else all orders of the session.
    by_stratum : DataFrame
        One row an item of a session, or a session: ``orders_after, watched_after, orders_other,
        watched_other``; watched are minutes of watching of all viewers together, or plain minutes
        where ``is_watched`` is false.
    by_wait : DataFrame
        Index: minutes since the last offer. ``orders, watched``, their ``rate`` for each `PER`
        minutes, ``low, high``: exact intervals of a Poisson count.
    is_watched : bool
    """

    window: int
    n_offers: int
    of_item: bool
    by_stratum: pd.DataFrame
    by_wait: pd.DataFrame
    is_watched: bool

    @property
    def what(self) -> str:
        """Of what orders are counted, in words."""
        return "the item offered" if self.of_item else "anything"

    @property
    def ratio(self) -> Interval:
        """How many times as many orders there are after an offer, with a 95 % interval.

        The variance of its logarithm is that of Greenland and Robins (1985): it takes orders for
        independent, given how many people watch. NaN ends where a side has no order.
        """
        sums = self.by_stratum
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
        """How many orders after offers are more than the other minutes' rate would have brought.

        Its 95 % interval is the normal one, with the variance of Poisson counts.
        """
        sums = self.by_stratum
        times_as_long = sums["watched_after"] / sums["watched_other"]
        usual = sums["orders_other"] * times_as_long
        extra = sums["orders_after"].sum() - usual.sum()
        variance = sums["orders_after"].sum() + (usual * times_as_long).sum()
        half_width = norm.ppf(0.975) * np.sqrt(variance)
        return Interval(float(extra), float(extra - half_width), float(extra + half_width))

    def table(self) -> pd.DataFrame:
        """Return both kinds of minutes: ``orders``, ``watched`` minutes, and their ``per_1000``."""
        sums = self.by_stratum.sum()
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
        values: dict[str, Any] = {"ratio": found.estimate, "low": found.low, "high": found.high}
        values |= {"window": self.window, "n_offers": self.n_offers}
        values["what"] = self.what
        values["n_orders"] = int(self.by_stratum["orders_after"].sum())
        level = level_of_interval(found.low, found.high, than=1.0)
        return [Finding("live/offers", level, values, place="offers")]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the rate of orders by the minutes since the last offer, beside the other minutes."""
        from kpay_lab.plots import GUIDE, plot_points  # here, for matplotlib is slow to import

        unit = f"orders for each {PER:,} minutes of watching"
        if not self.is_watched:
            unit = f"orders for each {PER:,} minutes"
        title = f"Orders of {self.what} after an offer"
        ax = plot_points(self.by_wait, "rate", ax=ax, title=title, ylabel=unit)
        usual = self.table().loc[OTHERS, "per_1000"]
        ax.axhline(usual, label="the other minutes", **GUIDE)
        ax.set_xlabel("minutes since the offer")
        ax.legend()
        return ax


def offer_effect(
    minutes: Minutes, offers: pd.DataFrame, *, window: int = 15, of_item: bool = True
) -> OfferEffect:
    """Compare the minutes after an offer with the other minutes of the same sessions.

    Parameters
    ----------
    minutes : Minutes
        Of the sessions and their orders.
    offers : DataFrame
        From `offers_shown`.
    window : int
        Minutes that count as after an offer, 1 or more.
    of_item : bool
        Count the orders of the item that was offered; else all orders of the session.

    Raises
    ------
    ValueError
        If nothing offered has an order in a session that has minutes of both kinds.
    """
    if window < 1:
        raise ValueError(f"window is {window}; at least the minute of the offer itself counts")
    rows = _minutes_of_strata(minutes, offers, of_item)
    is_watched = bool(rows["viewer_seconds"].notna().any())
    rows["watched"] = rows["viewer_seconds"] / 60 if is_watched else 1.0
    rows["wait"] = _minutes_since_offer(rows)
    is_after = rows["wait"] < window
    sums_after = _sum_by_stratum(rows[is_after])
    sums_other = _sum_by_stratum(rows[~is_after])
    sides = [sums_after.add_suffix("_after"), sums_other.add_suffix("_other")]
    sums = pd.concat(sides, axis=1).fillna(0.0)
    has_both = sums[["watched_after", "watched_other"]].gt(0).all(axis=1)
    if not has_both.any():
        raise ValueError("no session has watched minutes both after an offer and without one")
    compared = sums[has_both]
    n_orders = compared["orders_after"].sum() + compared["orders_other"].sum()
    if n_orders == 0:
        raise ValueError("no session has an order of what it offered")
    of_compared = rows[rows["stratum"].isin(compared.index)]
    return OfferEffect(
        window=window,
        n_offers=int(of_compared["offers"].sum()),
        of_item=of_item,
        by_stratum=compared,
        by_wait=_by_wait(of_compared, most=2 * window),
        is_watched=is_watched,
    )


def _minutes_of_strata(minutes: Minutes, offers: pd.DataFrame, of_item: bool) -> pd.DataFrame:
    """Return the minutes of each session with offers, once for each item it offers if ``of_item``.

    Each row has its ``stratum``, the ``orders`` and the ``offers`` in that minute.
    """
    stratum = ["session", "item_id"] if of_item else ["session"]
    watched = minutes.by_minute[["viewer_seconds"]].reset_index()
    strata = offers[stratum].drop_duplicates(ignore_index=True)
    strata["stratum"] = strata.index
    rows = strata.merge(watched, on="session")
    start = minutes.live.sessions["started_at"]
    for name, what in {"orders": minutes.live.orders, "offers": offers}.items():
        since_start = what["moment"] - what["session"].map(start)
        minute = (since_start // MINUTE).rename("minute")
        counts = what.groupby([*(what[key] for key in stratum), minute]).size().rename(name)
        rows = rows.join(counts, on=[*stratum, "minute"])
    counted = ["orders", "offers"]
    rows[counted] = rows[counted].fillna(0)
    return rows


def offer_effects(
    minutes: Minutes, offers: pd.DataFrame, windows: Iterable[int], *, of_item: bool = True
) -> pd.DataFrame:
    """Try several windows; those in which nothing can be compared are left out.

    Returns
    -------
    DataFrame
        Index: the window, in minutes. ``ratio`` with ``low, high``, and the ``extra_orders``.
    """
    rows = {}
    for window in windows:
        try:
            found = offer_effect(minutes, offers, window=window, of_item=of_item)
        except ValueError:
            continue  # all minutes of all sessions lie in so long a window
        ratio = found.ratio
        rows[window] = (ratio.estimate, ratio.low, ratio.high, found.extra_orders.estimate)
    columns = ["ratio", "low", "high", "extra_orders"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("minutes after an offer")


def _minutes_since_offer(rows: pd.DataFrame) -> pd.Series:
    """Return the minutes since the last offer of each stratum; NaN before its first."""
    offered = rows["minute"].where(rows["offers"] > 0)
    last = offered.groupby(rows["stratum"]).ffill()
    return rows["minute"] - last


def _sum_by_stratum(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby("stratum")[["orders", "watched"]].sum()


def _by_wait(rows: pd.DataFrame, *, most: int) -> pd.DataFrame:
    """Add up orders and watching by the minutes since the last offer, up to ``most``."""
    followed = rows[rows["wait"] < most]
    wait = followed["wait"].astype(int)
    sums = followed.groupby(wait)[["orders", "watched"]].sum()
    sums = sums[sums["watched"] > sums["watched"].max() / 20]  # of few minutes nothing is drawn
    orders = sums["orders"].to_numpy()
    lowest = chi2.ppf(0.025, 2 * orders) / 2  # not defined for no order
    highest = chi2.ppf(0.975, 2 * orders + 2) / 2
    counts = {"rate": orders, "low": np.where(orders > 0, lowest, 0.0), "high": highest}
    for name, count in counts.items():
        sums[name] = PER * count / sums["watched"]
    return sums
