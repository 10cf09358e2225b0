"""Two forms of score that several models share: sums over a history, and products of factors."""

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
        return self.explain_new(self.history_[users], items)

    def explain_new(self, histories: csr_array, items: np.ndarray) -> csr_array:
        """Take scores apart: item j of history p adds h_pj · w_ji to the score of ``items[p]``."""
        n_met = np.diff(histories.indptr)
        met = histories.indices
        explained = np.repeat(items, n_met)
        weights = np.asarray(self.item_weights_[met, explained]).ravel()
        added = histories.data * weights
        return csr_array((added, met, histories.indptr), shape=histories.shape, copy=True)


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
