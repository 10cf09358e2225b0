"""What changed: the change of GMV, divided among the four factors that make it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpay_lab.business.figures import Figures, business_figures
from kpay_lab.business.periods import DAY, choose_period
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ["change", "change_low", "change_high"]


@dataclass(frozen=True)
class Changes:
    """What each factor of GMV added to its change.

    Parameters
    ----------
    factors : DataFrame
        One row a factor: ``before, now, contribution``. The contributions add up to the change
        of GMV.
    is_shown : bool
        Whether the change of GMV is more than chance.
    """

    factors: pd.DataFrame
    is_shown: bool

    @property
    def largest(self) -> str:
        """The factor that moved GMV most."""
        return str(self.factors["contribution"].abs().idxmax())

    def findings(self, *, currency: str = "") -> list[Finding]:
        """Return which factor moved GMV most, and what to ask for that."""
        contributions = self.factors["contribution"]
        values = {
            "factor": self.largest,
            "contribution": contributions[self.largest],
            "total": contributions.sum(),
            "is_shown": self.is_shown,
            "currency": currency,
        }
        return [Finding("business/moved", "plain", values, place="factors")]

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
    change = figures.values.loc["gmv"]
    is_shown = bool(change["change_low"] > 0 or change["change_high"] < 0)
    contributions = factors.assign(contribution=mean_gmv * growth).rename_axis("factor")
    return Changes(contributions, is_shown)


def gmv_change_by_length(
    tables: Tables,
    lengths: Sequence[int],
    *,
    end: str = "",
    time_zone: str = "UTC",
    rng: np.random.Generator,
    n_resamples: int = 200,
) -> pd.DataFrame:
    """Compare GMV with the period before for several lengths of the period.

    Parameters
    ----------
    lengths : sequence of int
        In days; those that the log does not reach back over twice are left out.
    end, time_zone : str
        See `periods.choose_period`.

    Returns
    -------
    DataFrame
        Index: the length in words; ``change`` and its interval ``change_low, change_high``.
    """
    rows = {}
    for days in lengths:
        period, before = choose_period(tables, days=days, end=end, time_zone=time_zone)
        if before is None or period.length != days * DAY:
            continue
        figures = business_figures(tables, period, before, rng=rng, n_resamples=n_resamples)
        gmv = figures.values.loc["gmv", COLUMNS]
        if np.isfinite(gmv["change"]):
            rows[f"{days} days"] = gmv
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).rename_axis("period")


def length_findings(by_length: pd.DataFrame) -> list[Finding]:
    """Return whether GMV changed in the same direction whatever the length of the period.

    Parameters
    ----------
    by_length : DataFrame
        From `gmv_change_by_length`; nothing is found where it has fewer than two rows.
    """
    if len(by_length) < 2:
        return []
    has_grown = by_length["change"] > 0
    rose = tuple(by_length.index[has_grown])
    others = tuple(by_length.index[~has_grown])
    values = {"rose": rose, "n_rose": len(rose), "others": others, "n_others": len(others)}
    level = "watch" if rose and others else "plain"
    return [Finding("business/lengths", level, values, place="by_length")]
