"""Measures beyond accuracy: coverage, concentration, novelty, diversity, serendipity.

``items`` is an int array (n, k) of item positions, best first, -1 where a list ran short;
``popularity`` (n_items,) counts the users who met each item in training. Measures of a
user return (n,); a user with an empty list has NaN there, to be left out of means. They
describe the lists as shown, in which a hash of their ids orders items scored alike
(`ties.settled`), and not the rows of the file.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab import stats
from kpay_lab.evaluate.compare import Comparison
from kpay_lab.evaluate.ranking import find_hits
from kpay_lab.evaluate.split import Split
from kpay_lab.evaluate.ties import settled
from kpay_lab.findings import Finding

# Why a measure is not defined.
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
    compared. Diversity needs ``features`` of the items (see `mean_diversity`). Coverage and
    Gini are over the split's `catalogue`: what could be shown to somebody. Where candidates
    depend on the user, an item that few users may be shown stays rare whatever the model. All are
    of the lists of the evaluated users: fewer lists show fewer items, so coverage in a sample
    of the users is below that of everybody's lists.
    """
    interest = split.train.interest.values
    n_users, n_items = interest.shape
    popularity = np.bincount(interest.indices, minlength=n_items)
    ids = split.train.interest.items
    by_popularity = settled(comparison.lists["popularity"], ids)
    obvious = by_popularity.items[:, :k]
    rows = {}
    for name, lists in comparison.lists.items():
        items = settled(lists, ids).items[:, :k]
        relevant = split.test[lists.users]
        hits = find_hits(items, relevant)
        history = interest[lists.users]
        of_users = {
            "novelty": novelty(items, popularity, n_users),
            "popularity_lift": popularity_lift(items, popularity, history),
            "serendipity": serendipity(items, hits, obvious),
        }
        row = {
            "coverage": catalogue_coverage(items, split.catalogue),
            "gini": gini(items, split.catalogue),
        }
        for measure, values in of_users.items():
            row[measure] = mean_known(values)
        if features is not None:
            row["diversity"] = mean_diversity(items, features)
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def concentration_findings(
    counts: Mapping[str, np.ndarray],
    candidates: np.ndarray,
    *,
    n_lists: int,
    model: str,
    other: str,
) -> list[Finding]:
    """Return how many of the candidates the lists of a model show, beside those of another.

    Parameters
    ----------
    counts : mapping of model to int array of shape (n_items,)
        Lists that show each item, as from `times_shown`.
    candidates : bool array of shape (n_items,)
    n_lists : int
        Lists of a model: of fewer people they show fewer items.
    """
    of_model = counts[model][candidates]
    of_other = counts[other][candidates]
    values = {"model": model, "other": other, "n_items": len(of_model), "n_lists": n_lists}
    is_shown = of_model > 0
    is_shown_by_other = of_other > 0
    values["coverage"] = is_shown.mean()
    values["other_coverage"] = is_shown_by_other.mean()
    values["n_half"] = fill_half(of_model)
    values["other_half"] = fill_half(of_other)
    return [Finding("comparison/concentration", "plain", values, place="recommended")]


def fill_half(counts: np.ndarray) -> int:
    """Count the items, the most shown first, that fill half of all places.

    >>> fill_half(np.array([1, 5, 2, 2])), fill_half(np.zeros(3, int))
    (1, 0)
    """
    most_first = np.sort(counts)[::-1]
    half = counts.sum() / 2
    if half == 0:
        return 0
    return int(np.searchsorted(np.cumsum(most_first), half)) + 1


def mean_known(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN where none is left.

    >>> mean_known(np.array([1.0, np.nan, 2.0])), mean_known(np.array([np.nan]))
    (1.5, nan)
    """
    if np.isnan(values).all():
        return float("nan")
    return float(np.nanmean(values))


def times_shown(items: np.ndarray, n_items: int) -> np.ndarray:
    """Count the lists (n, k) that hold each item: int of shape (n_items,).

    >>> times_shown(np.array([[0, 2], [2, -1]]), 3)
    array([1, 0, 2])
    """
    listed = items[items >= 0]
    return np.bincount(listed, minlength=n_items)


def catalogue_coverage(items: np.ndarray, candidates: np.ndarray) -> float:
    """Share of the candidates that at least one list shows (Ge et al. 2010, Beyond accuracy).

    >>> catalogue_coverage(np.array([[0, 1], [0, -1]]), np.array([True, True, True, True]))
    0.5
    """
    shown = times_shown(items, len(candidates)) > 0
    return float(shown[candidates].mean())


def gini(items: np.ndarray, candidates: np.ndarray) -> float:
    """Concentration of the lists on few items: 0 all equal, near 1 one item gets all.

    It is `stats.gini` of the times each candidate is shown. For recommendations: Fleder &
    Hosanagar (2009), Blockbuster culture's next rise or fall. NaN where no list shows a
    candidate.

    >>> gini(np.array([[0], [0]]), np.array([True, True, True, True]))  # (m - 1) / m
    0.75
    """
    counts = times_shown(items, len(candidates))
    return stats.gini(counts[candidates])


def novelty(items: np.ndarray, popularity: np.ndarray, n_users: int) -> np.ndarray:
    """Mean self-information of a list, in bits: mean of -log2(popularity / n_users).

    An item that nobody met counts as met by one. Source: Zhou et al. (2010), Solving the
    apparent diversity-accuracy dilemma of recommender systems.

    >>> novelty(np.array([[0, 1]]), np.array([8, 2]), 8)  # (0 + 2) / 2
    array([1.])
    """
    share_of_users = np.maximum(popularity, 1) / n_users
    self_information = -np.log2(share_of_users)
    return _mean_where(self_information[items], items >= 0)


def mean_diversity(items: np.ndarray, features: csr_array) -> float:
    """Mean `intra_list_diversity` of the first 1,000 lists; NaN where none has two items."""
    diversity = intra_list_diversity(items[:1000], features)
    return mean_known(diversity)


def intra_list_diversity(items: np.ndarray, features: csr_array | np.ndarray) -> np.ndarray:
    """Mean of 1 - cosine over the pairs of a list; NaN for lists with fewer than two items.

    ``features`` (n_items, n_features) describes the items: by content, or by their users (the
    transposed interest matrix). An item without features is unlike every other. Source:
    Ziegler et al. (2005), Improving recommendation lists through topic diversification.

    >>> intra_list_diversity(np.array([[0, 1, 2]]), np.array([[1, 0], [1, 0], [0, 1]]))
    array([0.66666667])
    """
    vectors = csr_array(features, dtype=np.float64)
    norms = np.sqrt(_squared_norms(vectors))
    has_features = norms > 0
    zeros = np.zeros_like(norms)
    scale = np.divide(1.0, norms, out=zeros, where=has_features)
    unit_vectors = (vectors * scale[:, None]).tocsr()
    lists = _membership(items, n_items=len(norms))
    # sum over ordered pairs of cosines = |sum of unit vectors|^2 - sum of |unit vector|^2
    square_of_sum = _squared_norms(lists @ unit_vectors)
    sum_of_squares = lists @ has_features
    size = (items >= 0).sum(axis=1)
    n_pairs = size * (size - 1)
    mean_cosine = _ratio(square_of_sum - sum_of_squares, n_pairs)
    return 1 - mean_cosine


def _membership(items: np.ndarray, n_items: int) -> csr_array:
    """Return 1 for each item that a list (n, k) holds: (n, n_items)."""
    row, place = np.nonzero(items >= 0)
    entries = (np.ones(len(row)), (row, items[row, place]))
    return csr_array(entries, shape=(len(items), n_items))


def _squared_norms(vectors: csr_array) -> np.ndarray:
    """Squared length of each row: float (n,)."""
    squares = vectors.multiply(vectors)
    return np.asarray(squares.sum(axis=1))


def serendipity(items: np.ndarray, hits: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Share of the list that is relevant and that the obvious list did not hold.

    ``hits`` (n, k) is bool; ``expected`` (n, m) the obvious lists, as a rule those of
    popularity for the same users. Source: Ge et al. (2010), Beyond accuracy.

    >>> serendipity(np.array([[4, 7]]), np.array([[True, True]]), np.array([[4, 5]]))
    array([0.5])
    """
    unexpected_hits = hits & ~_is_in_list(items, expected)
    return _mean_where(unexpected_hits, items >= 0)


def overlap(left: np.ndarray, right: np.ndarray) -> float:
    """Mean share of the places of ``left`` (n, k) whose item is anywhere in ``right`` (n, m).

    NaN where ``left`` holds no item.

    >>> overlap(np.array([[0, 1]]), np.array([[1, 2]]))
    0.5
    """
    is_item = left >= 0
    if not is_item.any():
        return float("nan")
    in_both = _is_in_list(left, right)[is_item]
    return float(in_both.mean())


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
    met = history.copy()
    met.data = np.ones(history.nnz)
    popularity_met = met @ popularity.astype(np.float64)
    n_met = np.diff(history.indptr)
    mean_met = _ratio(popularity_met, n_met)
    mean_met[popularity_met == 0] = np.nan
    mean_listed = _mean_where(popularity[items], items >= 0)
    return mean_listed / mean_met - 1


def _is_in_list(items: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """Mark the items (n, k) that occur anywhere in the list of the same row (n, m)."""
    every_pair = items[:, :, None] == lists[:, None, :]
    return every_pair.any(axis=2)


def _mean_where(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean of each row over the cells where the mask is true; NaN where none is."""
    counted = np.where(mask, values, 0.0)
    return _ratio(counted.sum(axis=1), mask.sum(axis=1))


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Divide the totals by the counts; NaN where a count is 0."""
    undefined = np.full(len(total), np.nan)
    return np.divide(total, count, out=undefined, where=count > 0)
