"""What changed: the change of GMV, divided among the four factors that make it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpay_lab.business.figures import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A factor, and what to ask where it moved GMV most.
QUESTIONS = {
    "viewers": "who comes, from where, and what was on? Notebooks 01 and 03",
    "buyers a viewer": "at which step are they lost, and who will buy? Notebook 05",
    "orders a buyer": "who buys again, and what should be shown to them? Notebooks 04 and 05",
    "value an order": "which items, prices and coupons? Notebooks 04 and 06",
}


@dataclass(frozen=True)
class Changes:
    """What each factor of GMV added to its change.

    Parameters
    ----------
    factors : DataFrame
        One row a factor: ``before, now, contribution``. The contributions add up to the change
        of GMV.
    """

    factors: pd.DataFrame

    @property
    def largest(self) -> str:
        """The factor that moved GMV most."""
        return str(self.factors["contribution"].abs().idxmax())

    def question(self) -> str:
        """Return what to ask next: that of the factor which moved GMV most."""
        return QUESTIONS[self.largest]

    def table(self) -> pd.DataFrame:
        """Return ``factors``."""
        return self.factors

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the contribution of each factor, and return the Axes."""
        from kpay_lab.plots import plot_bars  # here, for matplotlib is slow to import

        contributions = self.factors["contribution"]
        ax = plot_bars(
            contributions, ax=ax, fmt="+,.0f", title="What moved GMV", xlabel="added to GMV"
        )
        ax.axvline(0, color="black", linewidth=0.8)
        return ax


def gmv_changes(figures: Figures) -> Changes | None:
    r"""Divide the change of GMV among viewers, buyers a viewer, orders a buyer, value an order.

    GMV is the product of the four. A factor that grew from :math:`x` to :math:`x'` adds
    :math:`L \ln(x'/x)`, where :math:`L` is the logarithmic mean of the two GMVs, so that the
    four add up to the change and their order does not matter.

    Returns
    -------
    Changes, or None
        None where one of the factors is not known, or is 0, in either period.

    References
    ----------
    Ang (2005), The LMDI approach to decomposition analysis.
    """
    columns = {"value": "now", "before": "before"}
    of_period = figures.values[list(columns)].rename(columns=columns).T
    gmv = of_period["gmv"]
    buyers = of_period["paying_users"]
    viewers = gmv / of_period["uv_value"]
    factors = pd.DataFrame(
        {
            "viewers": viewers,
            "buyers a viewer": buyers / viewers,
            "orders a buyer": of_period["orders"] / buyers,
            "value an order": of_period["value_per_order"],
        }
    ).T
    is_known = np.isfinite(factors).all(axis=None) and (factors > 0).all(axis=None)
    if not is_known:
        return None
    growth = np.log(factors["now"] / factors["before"])
    total_growth = np.log(gmv["now"] / gmv["before"])
    difference = gmv["now"] - gmv["before"]
    mean_gmv = difference / total_growth if total_growth else gmv["now"]
    factors = factors[["before", "now"]]
    return Changes(factors.assign(contribution=mean_gmv * growth).rename_axis("factor"))


def in_short(
    figures: Figures, changes: Changes | None, where: Mapping[str, pd.DataFrame]
) -> list[str]:
    """Answer in three sentences where the money is, what changed and what to ask next.

    Parameters
    ----------
    where : mapping
        From `breakdown.breakdown`: by what → its table.

    Returns
    -------
    list of str
        Fewer sentences where less is known.
    """
    gmv = figures.values.loc["gmv"]
    if np.isnan(gmv["value"]):
        return [f"Where the money is cannot be said: {figures.reason('gmv')}."]
    largest = []
    for by, table in where.items():
        if len(table) and table["share"].iloc[0] > 0:
            first = table.iloc[0]
            largest.append(f"{first['share']:.0%} of it from the {by} {first.name}")
    holders = ", ".join(largest) or "and no order names its item"
    sentences = [f"Where is the money? GMV is {gmv['value']:,.0f}, {holders}."]
    if np.isnan(gmv["change"]):
        return [*sentences, f"What changed cannot be said: {figures.reason('gmv', 'change')}."]
    ends = f"{gmv['change_low']:+.1%} to {gmv['change_high']:+.1%}"
    is_chance = not (gmv["change_low"] > 0 or gmv["change_high"] < 0)
    judged = "as much could be chance" if is_chance else "more than chance"
    sentences.append(f"What changed? GMV by {gmv['change']:+.1%} ({ends}): {judged}.")
    if changes is not None:
        moved = changes.factors.loc[changes.largest, "contribution"]
        asked = f"{changes.largest} moved GMV most ({moved:+,.0f}): {changes.question()}"
        sentences.append(f"What to ask next? {asked}.")
    return sentences
