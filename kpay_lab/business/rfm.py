"""Recency, frequency and money: buyers in eight named groups."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kpay_lab.business.figures import order_money
from kpay_lab.business.periods import DAY, Period, with_columns
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# recent, often, much → name; three halves of the buyers make eight groups
GROUPS = {
    (True, True, True): "champions",
    (True, False, True): "promising",
    (True, True, False): "loyal",
    (True, False, False): "new customers",
    (False, True, True): "not to be lost",
    (False, False, True): "at risk",
    (False, True, False): "about to sleep",
    (False, False, False): "lost",
}

AT_RISK = ("not to be lost", "at risk")  # they paid much, long ago


@dataclass(frozen=True)
class Rfm:
    """Buyers by recency, frequency and money.

    Parameters
    ----------
    buyers : DataFrame
        Index: user_id; ``recency`` (days since the last order), ``frequency`` (orders), ``money``
        (net revenue), ``group``.
    medians : Series
        Of recency, frequency and money: where the halves part.
    """

    buyers: pd.DataFrame
    medians: pd.Series

    def table(self) -> pd.DataFrame:
        """Return size and money of each group.

        Index: the names; ``bought`` (recent or not, often or not, much or not), ``buyers`` and
        their ``share``, ``money`` (net revenue) and ``share_of_money``, the median ``recency`` and
        ``frequency``.
        """
        by_group = self.buyers.groupby("group")
        table = by_group["money"].agg(buyers="size", money="sum")
        table = table.reindex(GROUPS.values(), fill_value=0)
        table.insert(1, "share", table["buyers"] / max(len(self.buyers), 1))
        total = table["money"].sum()
        table["share_of_money"] = table["money"] / total if total > 0 else np.nan
        for name in ("recency", "frequency"):
            table[f"median_{name}"] = by_group[name].median()
        bought = [_words(halves) for halves in GROUPS]
        table.insert(0, "bought", bought)
        return table.rename_axis("group")

    def hidden(self, minimum: int) -> pd.DataFrame:
        """Return `table` with the figures of groups of fewer than ``minimum`` buyers hidden."""
        table = suppress_small_groups(self.table(), "buyers", minimum)
        return table.drop(columns="suppressed")

    def findings(self, *, minimum: int = 1, currency: str = "") -> list[Finding]:
        """Return the buyers who paid much and have not bought for long, and what they paid.

        Groups of fewer than ``minimum`` buyers are left out; nothing is found where none is left.
        """
        at_risk = self.hidden(minimum).loc[list(AT_RISK)].dropna(subset="buyers")
        at_risk = at_risk[at_risk["buyers"] > 0]
        if at_risk.empty or at_risk["share_of_money"].isna().any():
            return []
        values: dict[str, Any] = {"groups": tuple(at_risk.index), "currency": currency}
        values |= {"n": int(at_risk["buyers"].sum()), "n_buyers": len(self.buyers)}
        values |= {"money": at_risk["money"].sum(), "share": at_risk["share_of_money"].sum()}
        return [Finding("business/at_risk", "watch", values, place="rfm")]

    def plot(self, ax: "Axes | None" = None, *, minimum: int = 1) -> "Axes":
        """Draw each group's share of the buyers and of the money, small groups left out."""
        from kpay_lab.plots import plot_intervals  # here, for matplotlib is slow to import

        shown = self.hidden(minimum)
        shares = shown[["share", "share_of_money"]].astype(float)
        names = {"share": "of the buyers", "share_of_money": "of the money"}
        shares = shares.dropna().rename(columns=names)
        points = shares.melt(ignore_index=False, var_name="share")
        points = points.assign(low=0.0, high=points["value"])
        ax = plot_intervals(points, ax=ax, by="share", title="Who holds the money")
        ax.xaxis.set_major_formatter("{x:.0%}")
        ax.set_xlabel("share of all buyers, and of their net revenue")
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncol=2, frameon=False)
        return ax


def rfm(tables: Tables, period: Period) -> Rfm:
    """Group all who bought by the end of a period by their orders since the log began.

    The median parts the buyers into those who bought *recently* and those who did not, *often*
    or not, and for *much* net revenue or not: three halves, eight groups (`GROUPS`). Buyers at
    the median stay together, on the side that leaves the halves more even. Orders without an
    amount add no money.
    """
    known = with_columns(tables).known_at(period.end)
    money = order_money(known)
    times = pd.Series(dtype="datetime64[us, UTC]")
    if known.orders is not None:
        times = known.orders["timestamp"]
    by_user = money.groupby("user_id")
    last_order = times.groupby(money["user_id"]).max()
    since_last_order = period.end - last_order
    buyers = pd.DataFrame(
        {
            "recency": since_last_order / DAY,
            "frequency": by_user["orders"].sum(),
            "money": by_user["net_revenue"].sum(),
        }
    )
    medians = buyers.median()
    is_recent = _upper_half(-buyers["recency"])
    buys_often = _upper_half(buyers["frequency"])
    buys_much = _upper_half(buyers["money"])
    halves = zip(is_recent, buys_often, buys_much, strict=True)
    buyers["group"] = [GROUPS[half] for half in halves]
    return Rfm(buyers, medians)


def _upper_half(values: pd.Series) -> pd.Series:
    """Mark the values above the median, or those at it too where that is nearer to one half.

    >>> _upper_half(pd.Series([1, 1, 2])).tolist(), _upper_half(pd.Series([1, 2, 2, 2])).tolist()
    ([False, False, True], [False, True, True, True])
    """
    median = values.median()
    above = values > median
    at_least = values >= median
    too_few = 0.5 - above.mean()
    too_many = at_least.mean() - 0.5
    return at_least if too_many < too_few else above


def _words(halves: tuple[bool, bool, bool]) -> str:
    """Say in words what the buyers of a group have in common."""
    is_recent, buys_often, buys_much = halves
    when = "recently" if is_recent else "long ago"
    how_often = "often" if buys_often else "seldom"
    how_much = "much" if buys_much else "little"
    return f"{when}, {how_often}, {how_much}"
