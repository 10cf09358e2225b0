"""What a reader of a comparison must be warned of: few users, a test part drawn by lot."""

import math

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtr

from kpay_lab.findings import Finding
from kpay_lab.recommend.base import users_at_once
from kpay_lab.stats import t_interval

# A mean of values between 0 and 1 has a standard error of at most 0.5 / √n. Beyond this half
# width of its 95 % interval a page may miss every difference that models have in practice.
LARGEST_HALF_WIDTH = 0.1
NORMAL_97_5 = 1.96

# A share of comparisons as near to one half as this is no use of popularity to anybody.
NEAR_CHANCE = 0.05
UNEVEN = 0.01  # p below which the items to find are too unequal for a lot


def few_users(n_users: int, n_in_log: int) -> list[Finding]:
    """Warn where the interval of a mean may reach more than 0.1 to either side.

    That is below 97 users: the half width is at most 1.96 · 0.5 / √n for values from 0 to 1.

    >>> from kpay_lab.findings import sentence
    >>> (finding,) = few_users(22, 671)
    >>> sentence(finding)[:42]
    'Few users carry this page: 22 of 671. The '
    >>> few_users(97, 671)
    []
    """
    half_width = NORMAL_97_5 * 0.5 / math.sqrt(n_users)
    if half_width <= LARGEST_HALF_WIDTH:
        return []
    fewest = math.ceil((NORMAL_97_5 * 0.5 / LARGEST_HALF_WIDTH) ** 2)
    values = {
        "n_users": n_users,
        "n_in_log": n_in_log,
        "half_width": half_width,
        "fewest": fewest,
        "allowed": LARGEST_HALF_WIDTH,
    }
    return [Finding("split/few_users", "watch", values)]


def drawn_by_lot(
    test: csr_array, seen: csr_array, candidates: np.ndarray, popularity: np.ndarray
) -> list[Finding]:
    """Warn where the items to find look as if somebody had drawn them by lot for the users.

    People come back to what is popular, so a test part that they made themselves follows the
    popularity of the training part. Two tests must both speak for a lot. The share of
    comparisons in which an item to find is more popular than another candidate lies near one
    half, with its whole 95 % interval over users (which shows it, where a test that does not
    reject would show nothing). And the items are found as evenly as by lot (`evenness`), for
    otherwise popularity has only changed since.

    Parameters
    ----------
    test, seen : csr_arrays of shape (n, n_items)
        What the evaluated users have to find, and what is withheld from them.
    candidates : bool array of shape (n_items,)
    popularity : array of shape (n_items,)
        Users who met each item in training.

    Returns
    -------
    list of Finding
        Empty where nothing speaks for a lot, or too little to tell.
    """
    n_items = len(popularity)
    count = np.zeros(n_items)
    expected = np.zeros(n_items)
    variance = np.zeros(n_items)
    shares = []
    batch_size = users_at_once(n_items)
    for start in range(0, test.shape[0], batch_size):
        batch = slice(start, start + batch_size)
        available = candidates & (seen[batch].toarray() == 0)
        relevant = available & (test[batch].toarray() > 0)
        shares.append(popularity_auc(relevant, available, popularity))
        n_available = np.maximum(available.sum(axis=1), 1)
        chance = relevant.sum(axis=1) / n_available
        count += relevant.sum(axis=0)
        expected += chance @ available
        variance += (chance * (1 - chance)) @ available
    share = np.concatenate(shares)
    share = share[np.isfinite(share)]
    if len(share) < 2:
        return []
    interval = t_interval(share)
    p_even = evenness(count, expected, variance)
    is_like_chance = (
        abs(interval.low - 0.5) < NEAR_CHANCE and abs(interval.high - 0.5) < NEAR_CHANCE
    )
    if not is_like_chance or p_even < UNEVEN:
        return []
    values = {
        "share": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "p": p_even,
    }
    return [Finding("split/drawn_by_lot", "bad", values)]


def popularity_auc(
    relevant: np.ndarray, available: np.ndarray, popularity: np.ndarray
) -> np.ndarray:
    """Share of a user's comparisons in which what is relevant is the more popular.

    Each relevant item is compared with each other available one; equally popular ones count
    half. It is the area under the ROC curve of popularity.

    Parameters
    ----------
    relevant, available : bool arrays of shape (n, n_items)
        What is relevant is available too.
    popularity : array of shape (n_items,)

    Returns
    -------
    float array of shape (n,)
        NaN where nothing, or everything available, is relevant.

    >>> popularity_auc(np.array([[True, False, False]]), np.ones((1, 3), bool), np.array([5, 1, 9]))
    array([0.5])
    """
    order = np.argsort(popularity, kind="stable")
    rising = popularity[order]
    first_equal = np.searchsorted(rising, rising, side="left")
    after_equal = np.searchsorted(rising, rising, side="right")
    is_other = available & ~relevant
    n_others_before = np.zeros((len(available), len(order) + 1))
    np.cumsum(is_other[:, order], axis=1, out=n_others_before[:, 1:])
    less_popular = n_others_before[:, first_equal]
    not_more_popular = n_others_before[:, after_equal]
    won = (less_popular + not_more_popular) / 2
    won_by_relevant = np.where(relevant[:, order], won, 0.0)
    n_comparisons = relevant.sum(axis=1) * is_other.sum(axis=1)
    undefined = np.full(len(available), np.nan)
    total = won_by_relevant.sum(axis=1)
    return np.divide(total, n_comparisons, out=undefined, where=n_comparisons > 0)


def evenness(count: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> float:
    """Test whether items were found as evenly as a lot would have it: one-sided p of dispersion.

    Under a lot the mean of (count − expected)² / variance is 1 for each item, however few its
    users. The variance of the sum over m items of variance v is 2 m + Σ 1/v − m² / Σ v, as for
    a multinomial with small expectations, of which the usual χ² test knows the first term only.

    Parameters
    ----------
    count : array of shape (n_items,)
        Users who have each item to find.
    expected, variance : arrays of shape (n_items,)
        Its mean and variance, were every user's items drawn from what is available to them.

    Returns
    -------
    float
        Small where some items are found far more often than others; 1 where nothing can vary.

    References
    ----------
    Haldane (1937), The exact value of the moments of the distribution of χ², used as a test of
    goodness of fit, when expectations are small.
    """
    can_vary = variance > 0
    if not can_vary.any():
        return 1.0
    v = variance[can_vary]
    squares = (count - expected)[can_vary] ** 2 / v
    m = len(v)
    spread = 2.0 * m + np.sum(1.0 / v) - m**2 / v.sum()
    excess = np.sum(squares - 1.0) / math.sqrt(spread)
    return float(ndtr(-excess))
