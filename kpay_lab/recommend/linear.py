"""Two forms of score that several models share: sums over a history, and products of factors."""

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from kpay_lab.recommend.base import product


class ItemToItemModel:
    """Score an item by a weighted sum over the items of the user's history.

    A model of this form sets two attributes in ``fit``, and inherits the rest.

    Attributes
    ----------
    history_ : csr_array of shape (n_users, n_items)
        How much each item of a user's history counts.
    item_weights_ : array of shape (n_items, n_items), dense or csr
        How much an item of the history (row) adds to the score of each item (column).
    """

    history_: csr_array
    item_weights_: np.ndarray | csr_array

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return history · item weights: (len(users), n_items)."""
        return product(self.history_[users], self.item_weights_)

    def explain(self, users: np.ndarray, items: np.ndarray) -> csr_array:
        """Take scores apart: each row adds up to the score of ``users[p]`` for ``items[p]``."""
        return self._taken_apart(self.history_[users], items, users)

    def explain_new(self, histories: csr_array, items: np.ndarray) -> csr_array:
        """Take scores apart: item j of history p adds h_pj · w_ji to the score of ``items[p]``."""
        return self._taken_apart(histories, items, np.arange(len(items)))

    def _taken_apart(self, histories: csr_array, items: np.ndarray, owner: np.ndarray) -> csr_array:
        """Return what each item of a history adds; pairs of one owner have the same history."""
        if isinstance(self.item_weights_, np.ndarray):
            weights = _weights_by_owner(self.item_weights_, histories, items, owner)
        else:
            explained = np.repeat(items, np.diff(histories.indptr))
            weights = np.asarray(self.item_weights_[histories.indices, explained]).ravel()
        added = histories.data * weights
        cells = (added, histories.indices, histories.indptr)
        return csr_array(cells, shape=histories.shape, copy=True)


def _weights_by_owner(
    item_weights: np.ndarray, histories: csr_array, items: np.ndarray, owner: np.ndarray
) -> np.ndarray:
    """Return the weight of each stored item of a history for the item of its pair: (nnz,).

    The pairs of one owner that stand together are looked up at once.
    """
    first_pairs = np.flatnonzero(np.diff(owner, prepend=-1))
    bounds = np.append(first_pairs, len(items))
    weights = np.empty(len(histories.indices), dtype=item_weights.dtype)
    for first, stop in pairwise(bounds):
        start, end_of_first = histories.indptr[first : first + 2]
        met = histories.indices[start:end_of_first]
        block = item_weights[np.ix_(met, items[first:stop])]
        weights[start : histories.indptr[stop]] = block.T.ravel()
    return weights


class FactorModel:
    """Score an item by the product of a user's and an item's factors.

    Attributes
    ----------
    user_factors_ : array of shape (n_users, n_factors)
    item_factors_ : array of shape (n_items, n_factors)
    """

    user_factors_: np.ndarray
    item_factors_: np.ndarray

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the factors' product: (len(users), n_items)."""
        return self.user_factors_[users] @ self.item_factors_.T
