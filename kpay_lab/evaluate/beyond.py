"""What a hit count does not see: variety, concentration, surprise.

``items`` is an int array (n, k) of item positions, best first, -1 where a list ran short;
``popularity`` (n_items,) counts the users who met each item in training. Measures of a
user return (n,); a user with an empty list has NaN there, to be left out of means.
"""

import numpy as np
from scipy.sparse import csr_array


def catalogue_coverage(items: np.ndarray, candidates: np.ndarray) -> float:
    """Share of the candidates that at least one list shows (Ge et al. 2010, Beyond accuracy).

    >>> catalogue_coverage(np.array([[0, 1], [0, -1]]), np.array([True, True, True, True]))
    0.5
    """
    return float((_times_shown(items, candidates) > 0).mean())


def gini(items: np.ndarray, candidates: np.ndarray) -> float:
    """Concentration of the lists on few items: 0 all equal, near 1 one item gets all.

    With x_(i) the times item i of m candidates is shown, in ascending order,
    G = sum_i (2 i - m - 1) x_(i) / (m sum_i x_(i)). For recommendations: Fleder &
    Hosanagar (2009), Blockbuster culture's next rise or fall.

    >>> gini(np.array([[0, 1], [1, 0]]), np.array([True, True]))
    0.0
    >>> gini(np.array([[0], [0]]), np.array([True, True, True, True]))  # (m - 1) / m
    0.75
    """
    shown = np.sort(_times_shown(items, candidates))
    m = len(shown)
    if shown.sum() == 0:
        raise ValueError("no list shows any candidate; there is no distribution to measure")
    return float(((2 * np.arange(1, m + 1) - m - 1) * shown).sum() / (m * shown.sum()))


def novelty(items: np.ndarray, popularity: np.ndarray, n_users: int) -> np.ndarray:
    """Mean self-information of a list, in bits: mean of -log2(popularity / n_users).

    An item that nobody met counts as met by one, so that it stays finite. Source: Zhou et
    al. (2010), Solving the apparent diversity-accuracy dilemma of recommender systems.

    >>> novelty(np.array([[0, 1]]), np.array([8, 2]), 8)  # (0 + 2) / 2
    array([1.])
    """
    return _mean_over_list(items, -np.log2(np.maximum(popularity, 1) / n_users))


def intra_list_diversity(items: np.ndarray, features: csr_array | np.ndarray) -> np.ndarray:
    """Mean of 1 - cosine over the pairs of a list; NaN for lists with fewer than two items.

    ``features`` (n_items, n_features) is what items are alike in: content, or users (the
    transposed interest matrix). An item without features is unlike every other. Source:
    Ziegler et al. (2005), Improving recommendation lists through topic diversification.

    >>> intra_list_diversity(np.array([[0, 1, 2]]), np.array([[1, 0], [1, 0], [0, 1]]))
    array([0.66666667])
    """
    rows = csr_array(features, dtype=np.float64)
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)))
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    unit = (rows * scale[:, None]).tocsr()
    listed = items >= 0
    places = np.nonzero(listed)[0], items[listed]
    lists = csr_array((np.ones(listed.sum()), places), shape=(len(items), rows.shape[0]))
    total = lists @ unit
    # sum over pairs of cosines = (|sum of unit vectors|^2 - sum of |unit|^2) / 2
    squared = np.asarray(total.multiply(total).sum(axis=1))
    own, size = lists @ (norms > 0), listed.sum(axis=1)
    pairs = size * (size - 1)
    alike = np.divide(squared - own, pairs, out=np.full(len(items), np.nan), where=pairs > 0)
    return 1 - alike


def serendipity(items: np.ndarray, hits: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Share of the list that is relevant and that the obvious list did not hold.

    ``hits`` (n, k) is bool; ``expected`` (n, m) the obvious lists, as a rule those of
    popularity for the same users. Source: Ge et al. (2010), Beyond accuracy.

    >>> serendipity(np.array([[4, 7]]), np.array([[True, True]]), np.array([[4, 5]]))
    array([0.5])
    """
    obvious = (items[:, :, None] == expected[:, None, :]).any(axis=2)
    return _mean_where(hits & ~obvious, items >= 0)


def popularity_lift(items: np.ndarray, popularity: np.ndarray, history: csr_array) -> np.ndarray:
    """How much more popular the list is than what the user had met: mean over mean, minus 1.

    0: as popular as the user's own history; 1: twice as popular. NaN without a history.
    ``history`` (n, n_items) stores a value where the user met the item, row for row. Source:
    Abdollahpouri et al. (2020), The connection between popularity bias, calibration, and
    fairness in recommendation.

    >>> popularity_lift(np.array([[0]]), np.array([6.0, 2.0, 4.0]), csr_array([[0, 1, 1]]))
    array([1.])
    """
    met = np.diff(history.indptr)
    total = (history != 0).astype(np.float64) @ popularity
    own = np.divide(total, met, out=np.full(len(items), np.nan), where=met > 0)
    return _mean_over_list(items, popularity) / own - 1


def _times_shown(items: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    shown = np.bincount(items[items >= 0], minlength=len(candidates))
    return shown[candidates]


def _mean_over_list(items: np.ndarray, value_of_item: np.ndarray) -> np.ndarray:
    return _mean_where(value_of_item[items], items >= 0)


def _mean_where(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    count = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
