"""What a hit count does not see: variety, concentration, surprise.

``items`` is an int array (n, k) of item positions, best first, -1 where a list ran short;
``popularity`` (n_items,) counts the users who met each item in training. Measures of a
user return (n,); a user with an empty list has NaN there, to be left out of means.
"""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab import stats
from kpay_lab.evaluate.compare import Comparison
from kpay_lab.evaluate.ranking import find_hits
from kpay_lab.evaluate.split import Split

# What a list lacks where a measure is not defined.
UNDEFINED = {
    "coverage": "there is no candidate",
    "gini": "no list shows a candidate",
    "novelty": "no list holds an item",
    "popularity_lift": "nobody with a list has a past to compare it with",
    "serendipity": "no list holds an item",
    "diversity": "no list holds two items",
}


def beyond_accuracy(
    comparison: Comparison, split: Split, k: int, *, features: csr_array | None = None
) -> pd.DataFrame:
    """One row a model: coverage, Gini, novelty, popularity lift, serendipity, diversity.

    The obvious lists of serendipity are those of ``popularity``, which must have been
    compared. Diversity needs ``features`` of the items (see `mean_diversity`).
    """
    matrix = split.train.interest.values
    met = np.bincount(matrix.indices, minlength=matrix.shape[1])
    obvious = comparison.lists["popularity"].items[:, :k]
    rows = {}
    for name, top in comparison.lists.items():
        items = top.items[:, :k]
        hits = find_hits(items, split.test[top.users])
        rows[name] = {
            "coverage": catalogue_coverage(items, split.candidates),
            "gini": gini(items, split.candidates),
            "novelty": mean_known(novelty(items, met, matrix.shape[0])),
            "popularity_lift": mean_known(popularity_lift(items, met, matrix[top.users])),
            "serendipity": mean_known(serendipity(items, hits, obvious)),
        }
        if features is not None:
            rows[name]["diversity"] = mean_diversity(items, features)
    return pd.DataFrame(rows).T


def mean_known(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN where none is left.

    >>> mean_known(np.array([1.0, np.nan, 2.0])), mean_known(np.array([np.nan]))
    (1.5, nan)
    """
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def times_shown(items: np.ndarray, n_items: int) -> np.ndarray:
    """Count the lists (n, k) that hold each item: int of shape (n_items,).

    >>> times_shown(np.array([[0, 2], [2, -1]]), 3)
    array([1, 0, 2])
    """
    return np.bincount(items[items >= 0], minlength=n_items)


def catalogue_coverage(items: np.ndarray, candidates: np.ndarray) -> float:
    """Share of the candidates that at least one list shows (Ge et al. 2010, Beyond accuracy).

    >>> catalogue_coverage(np.array([[0, 1], [0, -1]]), np.array([True, True, True, True]))
    0.5
    """
    return float((times_shown(items, len(candidates))[candidates] > 0).mean())


def gini(items: np.ndarray, candidates: np.ndarray) -> float:
    """Concentration of the lists on few items: 0 all equal, near 1 one item gets all.

    It is `stats.gini` of the times each candidate is shown. For recommendations: Fleder &
    Hosanagar (2009), Blockbuster culture's next rise or fall. NaN where no list shows a
    candidate.

    >>> gini(np.array([[0], [0]]), np.array([True, True, True, True]))  # (m - 1) / m
    0.75
    """
    return stats.gini(times_shown(items, len(candidates))[candidates])


def novelty(items: np.ndarray, popularity: np.ndarray, n_users: int) -> np.ndarray:
    """Mean self-information of a list, in bits: mean of -log2(popularity / n_users).

    An item that nobody met counts as met by one. Source: Zhou et al. (2010), Solving the
    apparent diversity-accuracy dilemma of recommender systems.

    >>> novelty(np.array([[0, 1]]), np.array([8, 2]), 8)  # (0 + 2) / 2
    array([1.])
    """
    return _mean_where((-np.log2(np.maximum(popularity, 1) / n_users))[items], items >= 0)


def mean_diversity(items: np.ndarray, features: csr_array) -> float:
    """Mean diversity of the first 1,000 lists, of those with at least two items; NaN of none."""
    return mean_known(intra_list_diversity(items[:1000], features))


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
    return _mean_where(hits & ~_held(items, expected), items >= 0)


def overlap(left: np.ndarray, right: np.ndarray) -> float:
    """Mean share of the places of ``left`` (n, k) whose item is anywhere in ``right`` (n, m).

    NaN where ``left`` holds no item.

    >>> overlap(np.array([[0, 1]]), np.array([[1, 2]]))
    0.5
    """
    held = _held(left, right)[left >= 0]
    return float(held.mean()) if len(held) else float("nan")


def popularity_lift(items: np.ndarray, popularity: np.ndarray, history: csr_array) -> np.ndarray:
    """How much more popular the list is than what the user had met: mean over mean, minus 1.

    0: as popular as the user's own history; 1: twice as popular. ``history`` stores, row for
    row, a value where the user met the item, 0 where without any interest. NaN without a
    history, and where nobody counts as having met anything of it: there is no mean to be
    above. Source: Abdollahpouri et al. (2020), The connection between popularity bias,
    calibration, and fairness.

    >>> popularity_lift(np.array([[0]]), np.array([6.0, 2.0, 4.0]), csr_array([[0, 1, 1]]))
    array([1.])
    """
    met = np.diff(history.indptr)
    pattern = csr_array((np.ones(history.nnz), history.indices, history.indptr), history.shape)
    total = pattern @ np.asarray(popularity, dtype=np.float64)
    own = np.divide(total, met, out=np.full(len(items), np.nan), where=total > 0)
    return _mean_where(popularity[items], items >= 0) / own - 1


def _held(items: np.ndarray, by: np.ndarray) -> np.ndarray:
    return (items[:, :, None] == by[:, None, :]).any(axis=2)


def _mean_where(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    count = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
