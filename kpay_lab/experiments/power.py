"""Plan a test before it starts: the power of a number of units, and the units a power needs."""

import numpy as np
from scipy.stats import norm

ALPHA = 0.05  # of the two-sided test


def power(effect: float, sd: float, n_units: np.ndarray | int, *, share: float = 0.5) -> np.ndarray:
    """Return the probability that a two-sided test at 5 % finds an absolute difference d.

    power(n) = Φ(|d| / se − z) + Φ(−|d| / se − z),  se = sd / √(n s (1 − s)), z = z_(1 − α/2)

    ``sd`` is that of one unit: √(p (1 − p)) for a rate, sd · √(1 − ρ²) with CUPED; ``n_units``
    counts both arms, an array gives the curve; ``share`` of the units is treated (s).

    >>> power(0.01, 0.5, np.array([10_000, 78_489])).round(2)
    array([0.17, 0.8 ])
    """
    root = np.sqrt(np.asarray(n_units) * share * (1 - share))
    t = abs(effect) * root / sd  # |d| / se
    z = norm.ppf(1 - ALPHA / 2)
    return norm.cdf(t - z) + norm.cdf(-t - z)


def sample_size(effect: float, sd: float, *, power: float = 0.8, share: float = 0.5) -> int:
    """Return the units of both arms needed: n = (z_(1−α/2) + z_power)² sd² / (d² s (1 − s)).

    >>> sample_size(0.01, 0.5)
    78489
    """
    if effect == 0 or sd <= 0 or not 0 < share < 1:
        raise ValueError(
            f"effect {effect}, sd {sd}, share {share}: a sample size needs an effect other than "
            "0, a positive sd and a share between 0 and 1"
        )
    z = norm.ppf(1 - ALPHA / 2) + norm.ppf(power)
    n_units = (z * sd / effect) ** 2 / (share * (1 - share))
    return int(np.ceil(n_units))
