"""Lists put into another order: for more variety, or for more revenue."""

import numpy as np
from scipy.sparse import csr_array

from kpay_lab.recommend.base import TopK, gram, largest, unit_range_by_row

PAIRS_AT_ONCE = 2**14  # of items whose features are compared
MOST_COMPARED = 2**12  # items of which every two are compared at once: 128 MB


def diversify(top: TopK, k: int, *, features: csr_array, trade_off: float = 0.7) -> TopK:
    """Pick items that score well and do not repeat each other: maximal marginal relevance.

    Place by place, take the item of the list with the largest trade_off · score −
    (1 − trade_off) · (its largest similarity to those already taken), scores scaled to [0, 1]
    within the list. Source: Carbonell, Goldstein (1998), The use of MMR.

    Parameters
    ----------
    top : TopK
        Lists longer than k, to choose from.
    k : int
        Places of the new lists, at most the length of the old ones.
    features : csr_array of shape (n_items, n_features)
        Of unit rows, such as ``features_`` of `ContentBased`; the similarity is their cosine.
    trade_off : float
        From 0 (variety alone) to 1 (scores alone).

    Returns
    -------
    TopK
        The scores go with their items.
    """
    if not 0 <= trade_off <= 1:
        raise ValueError(f"trade_off is {trade_off}; it must be from 0 (variety) to 1 (scores)")
    usable = top.items >= 0
    worth = trade_off * unit_range_by_row(top.scores, usable)
    worth[~usable] = np.finfo(float).min  # last, yet before what is already taken
    n_users, length = top.items.shape
    rows = np.arange(n_users)
    listed, number = np.unique(top.items, return_inverse=True)
    number_at_place = number.reshape(top.items.shape)
    features_of_listed = features[listed]
    # Where few items fill the lists, every two of them are compared once, before.
    is_few = len(listed) <= MOST_COMPARED
    every_two = gram(features_of_listed) if is_few else None
    largest_similarity = np.zeros(top.items.shape)
    order = np.empty((n_users, min(k, length)), dtype=np.intp)
    for place in range(order.shape[1]):
        repetition = (1 - trade_off) * largest_similarity
        best = np.argmax(worth - repetition, axis=1)
        order[:, place] = best
        worth[rows, best] = -np.inf
        taken = number_at_place[rows, best]
        if every_two is not None:
            to_taken = every_two[taken[:, None], number_at_place]
        else:
            pairs = (np.repeat(taken, length), number_at_place.ravel())
            to_taken = _products(features_of_listed, *pairs).reshape(n_users, length)
        largest_similarity = np.maximum(largest_similarity, to_taken)
    return _reordered(top, order, top.scores)


def _products(features: csr_array, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the product of the features of ``left[p]`` and ``right[p]`` for each pair."""
    products = np.empty(len(left))
    for start in range(0, len(left), PAIRS_AT_ONCE):
        pairs = slice(start, start + PAIRS_AT_ONCE)
        shared = features[left[pairs]].multiply(features[right[pairs]])
        products[pairs] = shared.sum(axis=1)
    return products


def order_by_revenue(top: TopK, k: int, *, price: np.ndarray, price_weight: float = 1.0) -> TopK:
    """Order lists by what an item may be expected to earn.

    value = p · price^price_weight, with p the item's share of the list's scores (0 and below
    give none) in the place of the probability of a purchase; where scores are probabilities,
    the order is that of price × probability.

    Parameters
    ----------
    top : TopK
    k : int
        Places of the new lists, at most the length of the old ones.
    price : array of shape (n_items,)
        NaN earns nothing.
    price_weight : float
        0 leaves the order of the scores; the larger, the higher the dear items.

    Returns
    -------
    TopK
        The scores are the values.
    """
    if price_weight < 0:
        raise ValueError(f"price_weight is {price_weight}; it must be 0 or more")
    usable = top.items >= 0
    scores = np.where(usable, np.maximum(top.scores, 0), 0)
    total = scores.sum(axis=1, keepdims=True)
    share = np.divide(scores, total, out=np.zeros_like(scores), where=total > 0)
    price_of_item = np.nan_to_num(price)[top.items]
    value = share * price_of_item**price_weight
    value[~usable] = -np.inf
    order = largest(value, min(k, value.shape[1]))
    return _reordered(top, order, value)


def _reordered(top: TopK, order: np.ndarray, scores: np.ndarray) -> TopK:
    """Return the items and scores at the places that ``order`` names, (n_users, k)."""
    items = np.take_along_axis(top.items, order, axis=1)
    ordered_scores = np.take_along_axis(scores, order, axis=1)
    return TopK(top.users, items, ordered_scores)
