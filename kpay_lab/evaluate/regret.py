"""What a list costs its reader, where the truth is known: only a simulated world can say."""

import numpy as np
from scipy.sparse import csr_array

from kpay_lab.recommend.base import largest


def true_regret(
    items: np.ndarray, interest: np.ndarray, seen: csr_array, candidates: np.ndarray
) -> np.ndarray:
    r"""True interest that the best possible list would have had beyond this one, a place.

    .. math:: \text{regret}_u = \frac{1}{k} \Big( \max_{|L| = k} \sum_{i \in L} I_{ui}
        - \sum_{i \in \text{list}_u} I_{ui} \Big)

    with L among the candidates the user had not met. 0: nothing better could be shown.
    A list that ran short loses what its empty places could have held.

    Parameters
    ----------
    items : int array of shape (n, k)
        Lists of item positions, -1 where they ran short.
    interest : float array of shape (n, n_items)
        True degrees of interest, row for row.
    seen : csr_array of shape (n, n_items)
        What was withheld from each list.
    candidates : bool array of shape (n_items,)

    Returns
    -------
    float array of shape (n,)

    Examples
    --------
    >>> true_regret(np.array([[1]]), np.array([[0.9, 0.2, 0.7]]), csr_array([[1, 0, 0]]),
    ...             np.array([True, True, True])).round(2)
    array([0.5])
    """
    worth = np.where(candidates, interest, 0.0)
    worth[np.repeat(np.arange(len(worth)), np.diff(seen.indptr)), seen.indices] = 0.0
    k = items.shape[1]
    best = np.take_along_axis(worth, largest(worth, min(k, worth.shape[1])), axis=1)
    given = np.where(items >= 0, np.take_along_axis(worth, items, axis=1), 0.0)
    return (best.sum(axis=1) - given.sum(axis=1)) / k
