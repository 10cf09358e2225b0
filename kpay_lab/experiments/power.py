"""Plan a test before it starts: the power of a number of units, and the units a power needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tea_tasting import Mean
from tea_tasting.aggr import Aggregates

from kpay_lab.findings import Finding

ALPHA = 0.05  # of the two-sided test
POWER = 0.8  # the usual one of a plan


def power(effect: float, sd: float, n_units: np.ndarray | int, *, share: float = 0.5) -> np.ndarray:
    """Return the probability that a two-sided test at 5 % finds an absolute difference d.

    power(n) = Φ(|d| / se − z) + Φ(−|d| / se − z),  se = sd / √(n s (1 − s)), z = z_(1 − α/2)

    ``sd`` is that of one unit: √(p (1 − p)) for a rate, sd · √(1 − ρ²) with CUPED; ``n_units``
    counts both arms, an array gives the curve; ``share`` of the units is treated (s).

    Raises
    ------
    ValueError
        If the effect is 0, the spread or the share leaves nothing to test, or fewer than two
        units are planned.

    >>> power(0.01, 0.5, np.array([10_000, 78_489])).round(2)
    array([0.17, 0.8 ])
    """
    sizes = np.atleast_1d(n_units)
    if not _is_test(effect, sd, share) or (sizes < 2).any():
        raise ValueError(
            f"effect {effect}, sd {sd}, share {share}, n_units {n_units}: a power needs an effect "
            "other than 0, a positive sd, a share between 0 and 1, and 2 units or more"
        )
    test = _test(effect, share, n_obs=sizes.tolist())
    planned = test.solve_power_from_aggregates(_one_unit(sd), "power")
    found = np.array([plan.power for plan in planned])
    return found.reshape(np.shape(n_units))


def sample_size(effect: float, sd: float, *, power: float = POWER, share: float = 0.5) -> int:
    """Return the fewest units of both arms with which the test has that power.

    They are close to n = (z_(1−α/2) + z_power)² sd² / (d² s (1 − s)).

    Raises
    ------
    ValueError
        If no number of units has that power: the test rejects 5 % without any effect, and never
        always.

    >>> sample_size(0.01, 0.5)
    78489
    """
    if not ALPHA < power < 1:
        raise ValueError(
            f"power is {power}; it must lie between {ALPHA} and 1: a test rejects {ALPHA:.0%} "
            "without any effect, and never always"
        )
    if not _is_test(effect, sd, share):
        raise ValueError(
            f"effect {effect}, sd {sd}, share {share}: a sample size needs an effect other than "
            "0, a positive sd and a share between 0 and 1"
        )
    test = _test(effect, share, power=power)
    (planned,) = test.solve_power_from_aggregates(_one_unit(sd), "n_obs")
    return planned.n_obs


def _is_test(effect: float, sd: float, share: float) -> bool:
    """Whether there is an effect to find, a spread, and units in both arms."""
    has_effect = np.isfinite(effect) and effect != 0
    has_spread = np.isfinite(sd) and sd > 0
    return bool(has_effect and has_spread and 0 < share < 1)


def _test(effect: float, share: float, **options: Any) -> Mean:
    """Return tea-tasting's test of a mean; its ratio is that of treated to control units."""
    ratio = share / (1 - share)
    return Mean("y", effect_size=effect, ratio=ratio, alpha=ALPHA, use_t=False, **options)


def _one_unit(sd: float) -> Aggregates:
    """Return the spread of a unit; its mean is needed for relative effects only."""
    return Aggregates(1, {"y": 1.0}, {"y": sd**2})


@dataclass(frozen=True)
class Plan:
    """How many units the next test needs.

    Parameters
    ----------
    mean, sd : float
        Of one unit without the treatment.
    change : float
        The smallest effect worth finding, as a share of the mean.
    share : float
        Of the units, treated.
    n_needed : int
        Units of both arms.
    """

    mean: float
    sd: float
    change: float
    share: float
    n_needed: int

    def table(self) -> pd.DataFrame:
        """Return ``units`` and the ``power`` of a test with them, up to three times the need."""
        fewest = max(self.n_needed // 30, 10)
        units = np.unique(np.geomspace(fewest, 3 * self.n_needed, 200).astype(int))
        powers = power(self.change * self.mean, self.sd, units, share=self.share)
        return pd.DataFrame({"units": units, "power": powers})

    def findings(self, metric: str, n_now: int) -> list[Finding]:
        """Return the need, beside the units ``n_now`` of the test that was run."""
        values = {
            "metric": metric,
            "change": self.change,
            "mean": self.mean,
            "power": POWER,
            "n_needed": self.n_needed,
            "share": self.share,
            "n_now": n_now,
        }
        return [Finding("experiment/needed", "plain", values, place="power")]


def plan_test(control: np.ndarray, change: float, *, share: float = 0.5) -> Plan | None:
    """Plan a test by the units of a control; None where they are all alike or their mean is 0.

    Parameters
    ----------
    control : (n,) float
    change : float
        The smallest effect worth finding, as a share of their mean.

    >>> plan_test(np.array([0.0, 1.0, 0.0, 1.0]), 0.1).n_needed
    4187
    """
    values = np.asarray(control, np.float64)
    mean = float(values.mean())
    sd = float(values.std(ddof=1))
    if mean == 0 or not sd > 0:
        return None
    return Plan(mean, sd, change, share, sample_size(change * mean, sd, share=share))
