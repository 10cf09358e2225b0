"""Looking every day: an interval that stays valid however often one peeks."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AlwaysValid:
    """Difference, its standard error and its interval after each unit; (n,) float64 each."""

    difference: np.ndarray
    se: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def stopped_at(self) -> int | None:
        """Units seen when the interval first left out 0; None if it never did."""
        out = np.flatnonzero((self.low > 0) | (self.high < 0))
        return int(out[0]) + 1 if out.size else None


def always_valid(
    values: np.ndarray,
    treated: np.ndarray,
    *,
    tightest_at: int,
    level: float = 0.95,
    first_look: int = 100,
) -> AlwaysValid:
    """Follow treatment minus control, in order of arrival, by a normal-mixture sequence.

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
    values, treated = np.asarray(values, np.float64), np.asarray(treated, bool)
    if not np.isfinite(values).all() or values.shape != treated.shape:
        raise ValueError("always_valid needs one finite value and one arm a unit, in order")
    n, log_alpha = np.arange(1, len(values) + 1), 2 * np.log(1 - level)
    r = (np.log(1 - log_alpha) - log_alpha) * n / tightest_at
    (mean1, v1), (mean0, v0) = (_running(values, arm) for arm in (treated, ~treated))
    se = np.sqrt(v1 + v0)
    margin = se * np.sqrt((1 + 1 / r) * (np.log1p(r) - log_alpha))
    margin[(n < first_look) | (v1 == 0) | (v0 == 0) | np.isnan(margin)] = np.inf
    d = mean1 - mean0
    return AlwaysValid(d, se, d - margin, d + margin)


def _running(values: np.ndarray, arm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of an arm and its squared standard error after each unit of either arm."""
    n, centre = np.cumsum(arm), values.mean()
    shifted = np.where(arm, values - centre, 0.0)  # so that the sums of squares do not cancel
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.cumsum(shifted) / n
        variance = (np.cumsum(shifted**2) - n * mean**2) / (n - 1)
        variance[variance < 1e-9 * shifted.var()] = 0.0  # what rounding leaves of a constant
        return mean + centre, variance / n
