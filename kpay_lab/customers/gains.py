"""Rows ranked by score: cumulative gains, average precision and ROC-AUC; ties count together."""

import numpy as np


def score_ranks(score: np.ndarray) -> np.ndarray:
    """Return the rank of each row's score, 0 the highest; equal scores share a rank.

    >>> score_ranks(np.array([0.2, 0.9, 0.2]))
    array([1, 0, 1])
    """
    return np.unique(-np.asarray(score), return_inverse=True)[1]


def cumulative_sums(rank: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Sum the amounts of all rows up to each rank: float (n_ranks + 1,), beginning with 0.

    >>> cumulative_sums(np.array([1, 0, 1]), np.array([1.0, 2.0, 3.0]))
    array([0., 2., 6.])
    """
    sums = np.bincount(rank, amounts)
    return np.append(0, sums.cumsum())


def average_precision_and_auc(
    y: np.ndarray, rank: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """Average precision and ROC-AUC of weighted rows, ranked by `score_ranks`.

    NaN for both where the weights leave a single label.

    >>> average_precision_and_auc(np.array([1.0, 0.0]), np.array([0, 1]), np.ones(2))
    (1.0, 1.0)
    """
    positives = np.bincount(rank, weight * y)
    negatives = np.bincount(rank, weight * (1 - y))
    if not (positives.any() and negatives.any()):
        return float("nan"), float("nan")
    true_positives = positives.cumsum()
    n_selected = true_positives + negatives.cumsum()
    precision = true_positives / np.maximum(n_selected, 1e-300)  # 0 where all weights so far are 0
    n_positives = true_positives[-1]
    average_precision = (positives * precision).sum() / n_positives
    positives_above = true_positives - positives / 2  # a tie counts half
    auc = (negatives * positives_above).sum() / (n_positives * negatives.sum())
    return float(average_precision), float(auc)
