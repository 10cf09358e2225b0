"""What the lists of a comparison show: to how many, how evenly, how surprising."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.evaluate import beyond
from kpay_lab.evaluate.compare import Comparison
from kpay_lab.evaluate.ranking import find_hits
from kpay_lab.evaluate.split import Split


def times_shown(items: np.ndarray, n_items: int) -> np.ndarray:
    """Count the lists (n, k) that hold each item: int of shape (n_items,).

    >>> times_shown(np.array([[0, 2], [2, -1]]), 3)
    array([1, 0, 2])
    """
    return np.bincount(items[items >= 0], minlength=n_items)


def overlap(left: np.ndarray, right: np.ndarray) -> float:
    """Mean share of the places of ``left`` (n, k) whose item is anywhere in ``right`` (n, m).

    >>> overlap(np.array([[0, 1]]), np.array([[1, 2]]))
    0.5
    """
    shared = (left[:, :, None] == right[:, None, :]).any(axis=2) & (left >= 0)
    return float(shared.sum() / (left >= 0).sum())


def beyond_accuracy(
    comparison: Comparison, split: Split, k: int, *, features: csr_array | None = None
) -> pd.DataFrame:
    """One row a model: coverage, Gini, novelty, popularity lift, serendipity, diversity.

    See `beyond` for each; the obvious lists of serendipity are those of ``popularity``, which
    must have been compared. Diversity needs ``features`` of the items and is taken over the
    first 1,000 users, which is enough for a mean.
    """
    matrix = split.train.interest.values
    met = np.bincount(matrix.indices, minlength=matrix.shape[1])
    obvious = comparison.lists["popularity"].items[:, :k]
    rows = {}
    for name, top in comparison.lists.items():
        items, history = top.items[:, :k], matrix[top.users]
        hits = find_hits(items, split.test[top.users])
        rows[name] = {
            "coverage": beyond.catalogue_coverage(items, split.candidates),
            "gini": beyond.gini(items, split.candidates),
            "novelty": np.nanmean(beyond.novelty(items, met, matrix.shape[0])),
            "popularity_lift": np.nanmean(beyond.popularity_lift(items, met, history)),
            "serendipity": np.nanmean(beyond.serendipity(items, hits, obvious)),
        }
        if features is not None:
            rows[name]["diversity"] = mean_diversity(items, features)
    return pd.DataFrame(rows).T


def mean_diversity(items: np.ndarray, features: csr_array, n: int = 1000) -> float:
    """Mean intra-list diversity of the first n lists that have at least two items."""
    found = beyond.intra_list_diversity(items[:n], features)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")
