"""Confidence sequences: intervals that stay valid however often one looks at a running test."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class ConfidenceSequence:
    """Difference, its standard error and its interval after each unit; (n,) float64 each."""

    difference: np.ndarray
    se: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def table(self) -> pd.DataFrame:
        """Return difference, se, low and high, a row a unit seen."""
        n_units = pd.RangeIndex(1, len(self.difference) + 1, name="units")
        return pd.DataFrame(vars(self), n_units)

    @property
    def stopped_at(self) -> int | None:
        """Units seen when the interval first left out 0; None if it never did."""
        excludes_zero = (self.low > 0) | (self.high < 0)
        if not excludes_zero.any():
            return None
        return int(excludes_zero.argmax()) + 1

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the interval against d ± 1.96 se, which is valid at a single look."""
        from kpay_lab.plots import ORANGE, plot_curves  # here, for matplotlib is slow to import

        looks = self.table()[np.isfinite(self.low)].reset_index()
        units = looks["units"]
        label = "difference, always-valid interval"
        ax = plot_curves({label: looks}, "units", "difference", ax=ax, band=True)
        margin = 1.96 * looks["se"]
        at_one_look = {"color": ORANGE, "linestyle": ":"}
        ax.plot(units, looks["difference"] - margin, label="valid at one look", **at_one_look)
        ax.plot(units, looks["difference"] + margin, **at_one_look)
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(xlabel="units seen", ylabel="treatment − control")
        ax.legend()
        return ax


def confidence_sequence(
    values: np.ndarray,
    treated: np.ndarray,
    *,
    tightest_at: int,
    level: float = 0.95,
    first_look: int = 100,
) -> ConfidenceSequence:
    """Estimate treatment minus control after each unit, by a normal-mixture sequence.

    d_n ± se_n √{ (1 + 1/r) (ln(1 + r) − 2 ln α) },  r = κ n / tightest_at,
    κ = −2 ln α + ln(1 − 2 ln α). All n hold at once with probability 1 − α, for large n
    (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, 2024, Time-uniform central limit theory
    and asymptotic confidence sequences). It is the mSPRT of Johari, Koomen, Pekelis & Walsh
    (2022, Always valid inference), its mixture chosen to be narrowest near ``tightest_at``.

    Parameters
    ----------
    values : (n,) float
        One value a unit of randomisation, in order of arrival.
    treated : (n,) bool
    tightest_at : int
        Units of both arms planned for; chosen before the first look.
    first_look : int
        Until then, or while an arm has not varied, the interval is the whole line.
    """
    values = np.asarray(values, np.float64)
    treated = np.asarray(treated, bool)
    if not np.isfinite(values).all() or values.shape != treated.shape:
        raise ValueError("confidence_sequence needs one finite value and one arm a unit, in order")
    treatment_mean, treatment_variance = _running_mean(values, treated)
    control_mean, control_variance = _running_mean(values, ~treated)
    difference = treatment_mean - control_mean
    se = np.sqrt(treatment_variance + control_variance)
    n = np.arange(1, len(values) + 1)
    two_log_alpha = 2 * np.log(1 - level)
    kappa = np.log(1 - two_log_alpha) - two_log_alpha
    r = kappa * n / tightest_at
    inflation = (1 + 1 / r) * (np.log1p(r) - two_log_alpha)
    margin = se * np.sqrt(inflation)
    constant = (treatment_variance == 0) | (control_variance == 0)
    says_nothing = (n < first_look) | constant | np.isnan(margin)
    margin[says_nothing] = np.inf
    return ConfidenceSequence(difference, se, difference - margin, difference + margin)


def _running_mean(values: np.ndarray, arm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of an arm and its squared standard error after each unit of either arm."""
    n = np.cumsum(arm)
    centre = values.mean()
    shifted = np.where(arm, values - centre, 0.0)  # so that the sums of squares do not cancel
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.cumsum(shifted) / n
        squares = np.cumsum(shifted**2) - n * mean**2
        variance = squares / (n - 1)
        variance[variance < 1e-9 * shifted.var()] = 0.0  # rounding errors of a constant
        return mean + centre, variance / n
