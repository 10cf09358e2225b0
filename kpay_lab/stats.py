"""Intervals, a paired permutation test, Holm's correction, correlation, concentration, sampling."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit  # scipy.stats is slow to import

_NUMBERS_A_BLOCK = 4_000_000  # random numbers held at once: 32 MB, whatever the sample size


@dataclass(frozen=True)
class Interval:
    """An estimate and the confidence interval around it."""

    estimate: float
    low: float
    high: float


def bootstrap_means(
    values: np.ndarray, *, rng: np.random.Generator, n_resamples: int = 2000, level: float = 0.95
) -> list[Interval]:
    """Percentile bootstrap interval of the mean of each column.

    All columns share the resampled rows. For paired differences pass ``a - b``.

    Parameters
    ----------
    values : float array of shape (n, m) or (n,)
        One row a unit (user), one column a quantity.
    level : float
        Nominal coverage.

    Raises
    ------
    ValueError
        If there is no row, or a value is not finite.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    >>> rng = np.random.default_rng(0)
    >>> bootstrap_means(np.full(50, 3.0), rng=rng, n_resamples=100)
    [Interval(estimate=3.0, low=3.0, high=3.0)]
    """
    values = _columns(values)
    resampled = resampled_means(values, rng=rng, n_resamples=n_resamples)
    return percentile_intervals(values.mean(axis=0), resampled, level=level)


def resampled_means(
    values: np.ndarray, *, rng: np.random.Generator, n_resamples: int
) -> np.ndarray:
    """Return the mean of each column in each resample of the rows: (n_resamples, m).

    All columns share the resampled rows, so that the difference of two columns is the resampled
    mean of their paired differences, and needs no draw of its own.

    Parameters
    ----------
    values : float array of shape (n, m) or (n,)
        One row a unit (user), one column a quantity.

    Raises
    ------
    ValueError
        If there is no row, or a value is not finite.

    >>> rng = np.random.default_rng(0)
    >>> resampled_means(np.full((50, 2), [3.0, 1.0]), rng=rng, n_resamples=2)
    array([[3., 1.],
           [3., 1.]])
    """
    values = _columns(values)
    return _resampled_sums(values, n_resamples, rng) / len(values)


def percentile_intervals(
    estimates: np.ndarray, resampled: np.ndarray, *, level: float = 0.95
) -> list[Interval]:
    """Return the percentile interval of each column of ``resampled`` around its estimate.

    Parameters
    ----------
    estimates : float array of shape (m,)
    resampled : float array of shape (n_resamples, m)
        As from `resampled_means`, or differences of its columns.
    level : float
        Nominal coverage.

    >>> percentile_intervals(np.array([2.0]), np.arange(5.0)[:, None], level=0.5)
    [Interval(estimate=2.0, low=1.0, high=3.0)]
    """
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    intervals = []
    for bounds in zip(estimates, low, high, strict=True):
        intervals.append(Interval(*map(float, bounds)))
    return intervals


def t_interval(values: np.ndarray, *, level: float = 0.95) -> Interval:
    """Return the mean of a sample (n,) with Student's interval; NaN ends where it has no width.

    For small samples with many zeros it covers where the percentile bootstrap does not,
    as long as ten values or so are not 0 (held to 92 % by a simulation in the tests).

    Raises
    ------
    ValueError
        If there is no value, or one is not finite.

    References
    ----------
    Student (1908), The probable error of a mean.

    >>> round(t_interval(np.array([0.0, 1.0, 2.0])).high, 3)  # 1 + 4.303 / sqrt(3)
    3.484
    >>> t_interval(np.ones(5))
    Interval(estimate=1.0, low=nan, high=nan)
    """
    values = _columns(values)[:, 0]
    n = len(values)
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Interval(mean, float("nan"), float("nan"))
    standard_error = values.std(ddof=1) / np.sqrt(n)
    half_width = float(stdtrit(n - 1, (1 + level) / 2) * standard_error)
    return Interval(mean, mean - half_width, mean + half_width)


def bootstrap_ratio(
    numerator: np.ndarray,
    denominator: np.ndarray,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of sum(numerator) / sum(denominator), rows resampled whole.

    Both are float (n,), such as clicks and exposures of a user. A resample whose denominator
    is 0 is left out.
    """
    pairs = _columns(np.column_stack([numerator, denominator]))
    top, bottom = pairs.sum(axis=0)
    if bottom == 0:
        raise ValueError("denominator adds up to 0; a ratio needs a denominator above 0")
    sums = _resampled_sums(pairs, n_resamples, rng)
    has_ratio = sums[:, 1] != 0
    sums = sums[has_ratio]
    ratios = sums[:, :1] / sums[:, 1:]
    estimate = np.array([top / bottom])
    return percentile_intervals(estimate, ratios, level=level)[0]


def bootstrap_t_ratios(
    values: np.ndarray,
    powers: np.ndarray,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
    fewest: int = 10,
) -> list[Interval]:
    r"""Studentised bootstrap intervals of ratios of sums, rows resampled whole.

    Each ratio is a product of column sums, :math:`\prod_k S_k^{c_k}` with powers :math:`c_k` of
    1 above the line, -1 below it and 0 elsewhere. Its logarithm is studentised by the standard
    error :math:`\sqrt{\sum_i (\sum_k c_k x_{ik} / S_k)^2}`, so that no interval leaves the
    positive numbers. Where few rows hold much of a sum, as few buyers do of money, it covers
    more often than the percentile bootstrap.

    Parameters
    ----------
    values : float array of shape (n, k), 0 or more
        One row a unit (user), one column a quantity. All ratios share the resampled rows.
    powers : array of shape (m, k)
        One row a ratio.
    fewest : int
        Fewest rows above 0 behind every sum; a ratio that rests on fewer has NaN ends.

    Returns
    -------
    list of m Interval
        NaN throughout where a sum below the line is 0.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 12.

    >>> rng = np.random.default_rng(0)
    >>> paid = np.full(20, 6.0)
    >>> orders = np.full(20, 2.0)
    >>> bootstrap_t_ratios(np.column_stack([paid, orders]), [[1, -1]], rng=rng)
    [Interval(estimate=3.0, low=3.0, high=3.0)]
    """
    values = _columns(values)
    powers = np.asarray(powers, dtype=np.float64)
    is_used = (powers != 0).astype(int)
    used_together = np.triu(is_used.T @ is_used > 0)
    first, second = np.nonzero(used_together)
    products = values[:, first] * values[:, second]
    resampled = _resampled_sums(np.hstack([values, products]), n_resamples, rng)
    n_columns = values.shape[1]
    place_of_product = np.zeros((n_columns, n_columns), dtype=int)
    place_of_product[first, second] = n_columns + np.arange(len(first))
    place_of_product = np.maximum(place_of_product, place_of_product.T)
    n_rows_above_0 = (values > 0).sum(axis=0)
    intervals = []
    for power in powers:
        used = np.flatnonzero(power)
        chosen = values[:, used]
        places = place_of_product[np.ix_(used, used)]
        is_positive = chosen.sum(axis=0).min() > 0
        has_enough = is_positive and n_rows_above_0[used].min() >= fewest
        sums = resampled[:, used] if has_enough else None
        moments = resampled[:, places]
        intervals.append(_studentised_ratio(chosen, power[used], sums, moments, level))
    return intervals


def _studentised_ratio(
    values: np.ndarray,
    power: np.ndarray,
    resampled: np.ndarray | None,
    moments: np.ndarray,
    level: float,
) -> Interval:
    """Return one interval of `bootstrap_t_ratios`.

    ``values`` (n, k) are the columns used, ``resampled`` (r, k) their sums in each resample, None
    where there are too few rows, and ``moments`` (r, k, k) the sums of their products.
    """
    sums = values.sum(axis=0)
    if (sums[power < 0] == 0).any():
        return Interval(np.nan, np.nan, np.nan)
    estimate = float(np.prod(sums**power))
    if resampled is None:
        return Interval(estimate, np.nan, np.nan)
    influence = values @ (power / sums)
    error = float(np.sqrt(np.sum(influence**2)))
    if error < 1e-9:  # every row has the same ratio
        return Interval(estimate, estimate, estimate)
    is_positive = (resampled > 0).all(axis=1)
    resampled = resampled[is_positive]
    weights = power / resampled
    squared_errors = np.einsum("rj,rjk,rk->r", weights, moments[is_positive], weights)
    has_error = squared_errors > 1e-18
    log_ratios = np.log(resampled[has_error]) @ power
    deviations = log_ratios - np.log(estimate)
    studentised = deviations / np.sqrt(squared_errors[has_error])
    tail = (1 - level) / 2
    below, above = np.quantile(studentised, [tail, 1 - tail])
    low = estimate * np.exp(-above * error)
    high = estimate * np.exp(-below * error)
    return Interval(estimate, float(low), float(high))


def sign_flip_test(
    differences: np.ndarray, *, rng: np.random.Generator, n_permutations: int = 5000
) -> np.ndarray:
    """Two-sided paired permutation p-value of each column, for a mean difference of 0.

    p = (1 + #{|mean of flipped| >= |mean|}) / (1 + n_permutations): under the null a
    difference is as likely to carry either sign. ``differences`` is (n, m) or (n,), one row
    a unit; the p-values are (m,). All columns share the flips: a unit's differences carry one
    sign. Sums that are equal to 1e-12 of the sum of all sizes count as equal. Source: Phipson &
    Smyth (2010), Permutation p-values should never be zero.
    """
    differences = _columns(differences)
    # The slack keeps a flip that merely re-orders the sum from counting as smaller.
    slack = 1e-12 * np.abs(differences).sum(axis=0)
    total = differences.sum(axis=0)
    observed = np.abs(total) - slack
    n_units, n_columns = differences.shape
    n_extreme = np.zeros(n_columns)
    for size in _block_sizes(n_permutations, n_units):
        keeps_sign = _random_bits(size, n_units, rng)
        sum_of_kept = keeps_sign @ differences
        flipped = np.abs(2 * sum_of_kept - total)  # those kept minus all others
        n_extreme += (flipped >= observed).sum(axis=0)
    return (1 + n_extreme) / (1 + n_permutations)


def _random_bits(n_rows: int, n_columns: int, rng: np.random.Generator) -> np.ndarray:
    """Draw 0 or 1 for each cell, a bit of the generator each: float (n_rows, n_columns)."""
    n_bytes = 4 * math.ceil(n_columns / 32)  # whole numbers of the generator, whatever the rows
    drawn = np.frombuffer(rng.bytes(n_rows * n_bytes), dtype=np.uint8)
    bits = np.unpackbits(drawn.reshape(n_rows, n_bytes), axis=1, count=n_columns)
    return bits.astype(np.float64)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment: adjusted p, in the order given.

    p_(i) becomes the running maximum of (m - i + 1) p_(i), at most 1 (Holm 1979).

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    n_hypotheses_left = np.arange(len(p_values), 0, -1)
    stepped = p_values[order] * n_hypotheses_left
    rising = np.maximum.accumulate(stepped)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(rising, 1.0)
    return adjusted


def correlation(x: ArrayLike, y: ArrayLike, *, ranks: bool = False) -> float:
    """Pearson's correlation of two samples (n,), or with ``ranks`` Spearman's.

    It is NaN where one of the samples is constant, for it then has no correlation.

    >>> correlation([1, 2, 3], [1, 4, 9], ranks=True), correlation([1, 2, 3], [5, 5, 5])
    (1.0, nan)
    """
    x = np.asarray(x, dtype=np.float64)
    y = np.asarray(y, dtype=np.float64)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    if ranks:
        from scipy.stats import spearmanr  # here, for it is slow to import

        return float(spearmanr(x, y).statistic)
    return float(np.corrcoef(x, y)[0, 1])


def bootstrap_correlation(
    x: ArrayLike,
    y: ArrayLike,
    units: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 500,
    level: float = 0.95,
) -> Interval:
    """Return Spearman's correlation with a percentile interval, whole units drawn again.

    The ranks are those of the whole sample in every resample.

    Parameters
    ----------
    x, y : arrays of shape (n,)
    units : array of shape (n,)
        What each row belongs to, such as its user: rows of one unit are not independent.

    Returns
    -------
    Interval
        NaN throughout where x or y is constant.

    >>> rng = np.random.default_rng(0)
    >>> bootstrap_correlation([1, 2, 3], [1, 4, 9], ["u", "v", "w"], rng=rng).estimate
    1.0
    """
    from scipy.stats import rankdata  # here, for it is slow to import

    first = np.asarray(x, dtype=np.float64)
    second = np.asarray(y, dtype=np.float64)
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return Interval(np.nan, np.nan, np.nan)
    middle = (len(first) + 1) / 2
    first = rankdata(first) - middle
    second = rankdata(second) - middle
    ones = np.ones(len(first))
    moments = np.column_stack([ones, first, second, first**2, second**2, first * second])
    _, unit_of_row = np.unique(np.asarray(units), return_inverse=True)
    n_units = unit_of_row.max() + 1
    of_unit = np.zeros((n_units, moments.shape[1]))
    np.add.at(of_unit, unit_of_row, moments)
    total = moments.sum(axis=0)
    estimate = _correlation_of_moments(total[None, :])
    resampled = _correlation_of_moments(_resampled_sums(of_unit, n_resamples, rng))
    varies = np.isfinite(resampled)
    return percentile_intervals(estimate, resampled[varies, None], level=level)[0]


def _correlation_of_moments(sums: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation from sums of 1, x, y, x², y², xy; NaN where one is constant."""
    n, x, y, xx, yy, xy = sums.T
    variation_of_x = n * xx - x**2
    variation_of_y = n * yy - y**2
    squared = (variation_of_x * variation_of_y).clip(min=0.0)
    return ratio(n * xy - x * y, np.sqrt(squared), undefined=np.nan)


def ratio(numerator: np.ndarray, denominator: np.ndarray, *, undefined: float = 0.0) -> np.ndarray:
    """Divide arrays that broadcast; give ``undefined`` where the denominator is not above 0.

    >>> ratio(np.array([1.0, 2.0]), np.array([4.0, 0.0]))
    array([0.25, 0.  ])
    """
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    result = np.full(shape, undefined)
    return np.divide(numerator, denominator, out=result, where=denominator > 0)


def gini(counts: ArrayLike) -> float:
    r"""Concentration of counts (n,): 0 if all are equal, towards 1 if one has them all.

    .. math:: G = \frac{\sum_{i=1}^{n} (2 i - n - 1)\, x_{(i)}}{n \sum_i x_i}

    with the counts in rising order (Gini, 1912). NaN where they add up to 0.

    >>> gini([3, 1]), gini([2, 0, 0, 0]), gini([0, 0])
    (0.25, 0.75, nan)
    """
    rising = np.sort(np.asarray(counts))
    n = len(rising)
    total = rising.sum()
    if total == 0:
        return float("nan")
    rank = np.arange(1, n + 1)
    weighted = (2 * rank - n - 1) * rising
    return float(weighted.sum() / (n * total))


def sample_rows(n: int, size: int, *, rng: np.random.Generator) -> np.ndarray:
    """Sample ``size`` of n rows, or all if there are fewer, without replacement.

    Returns the positions of the rows, in rising order.

    >>> sample_rows(3, 5, rng=np.random.default_rng(0))
    array([0, 1, 2])
    """
    sampled = rng.permutation(n)[:size]
    return np.sort(sampled)


def random_state(rng: np.random.Generator) -> int:
    """Draw a seed for a library that takes a whole number instead of a generator."""
    return int(rng.integers(2**31))


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson's (1927) score interval of a proportion; it stays in [0, 1], at 0 and at n too.

    Raises ValueError unless 0 <= successes <= n and n is above 0.

    >>> round(wilson(0, 10).high, 4), round(1.96**2 / (10 + 1.96**2), 4)
    (0.2775, 0.2775)
    """
    from scipy.stats import binomtest  # here, for it is slow to import

    low, high = binomtest(successes, n).proportion_ci(level, "wilson")
    return Interval(successes / n, float(low), float(high))


def _columns(values: np.ndarray) -> np.ndarray:
    """Return finite values as (n, m); a sample (n,) becomes one column."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 1:
        values = values[:, None]
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError("values need at least one row, all finite; drop missing rows first")
    return values


def _block_sizes(n_draws: int, n: int) -> Iterator[int]:
    """Divide draws of n numbers each into blocks that fit into memory."""
    size = max(1, _NUMBERS_A_BLOCK // n)
    for start in range(0, n_draws, size):
        yield min(size, n_draws - start)


def _resampled_sums(values: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Sum the rows of each resample: (n_resamples, m)."""
    n = len(values)
    sums = []
    for size in _block_sizes(n_resamples, n):
        drawn_rows = rng.integers(0, n, (size, n))
        first_cell = n * np.arange(size)[:, None]
        cells = (first_cell + drawn_rows).ravel()
        times_drawn = np.bincount(cells, minlength=size * n).reshape(size, n)
        sums.append(times_drawn.astype(np.float64) @ values)
    return np.vstack(sums)
