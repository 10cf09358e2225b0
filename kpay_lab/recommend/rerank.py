"""Lists put into another order: for more variety, or for more revenue."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kpay_lab.recommend.base import TopK, largest, unit_range_by_row
from kpay_lab.settings import Ranges, check_settings


@dataclass(frozen=True, kw_only=True)
class Diversified:
    """Pick items that score well and do not repeat each other.

    Maximal marginal relevance: place by place, take the item of the list with the largest
    trade_off · score − (1 − trade_off) · (its largest similarity to those already taken),
    scores scaled to [0, 1] within the list. ``similarity`` is (n_items, n_items), such as
    ``item_weights_`` of `ContentBased`. Source: Carbonell, Goldstein (1998), The use of MMR.
    """

    ranges: ClassVar[Ranges] = {"trade_off": (0.0, 1.0)}
    similarity: np.ndarray
    trade_off: float = 0.7

    def __post_init__(self) -> None:
        check_settings(self)

    def rerank(self, top: TopK, k: int) -> TopK:
        """Choose k of each list (at most its length); the scores go with their items."""
        usable = top.items >= 0
        worth = self.trade_off * unit_range_by_row(top.scores, usable)
        worth[~usable] = np.finfo(float).min  # last, yet before what is already taken
        n_users, length = top.items.shape
        rows = np.arange(n_users)
        largest_similarity = np.zeros(top.items.shape)
        order = np.empty((n_users, min(k, length)), dtype=np.intp)
        for rank in range(order.shape[1]):
            repetition = (1 - self.trade_off) * largest_similarity
            best = np.argmax(worth - repetition, axis=1)
            order[:, rank] = best
            worth[rows, best] = -np.inf
            taken = top.items[rows, best][:, None]
            to_taken = self.similarity[taken, top.items]
            largest_similarity = np.maximum(largest_similarity, to_taken)
        return _reordered(top, order, top.scores)


@dataclass(frozen=True, kw_only=True)
class ExpectedRevenue:
    """Order a list by what an item may be expected to earn.

    value = p · price^price_weight, with p the item's share of the list's scores (0 and below
    give none) in the place of the probability of a purchase; where scores are probabilities,
    the order is that of price × probability. ``price`` is (n_items,), NaN earns nothing.
    """

    ranges: ClassVar[Ranges] = {"price_weight": (0.0, 100.0)}
    price: np.ndarray
    price_weight: float = 1.0

    def __post_init__(self) -> None:
        check_settings(self)

    def rerank(self, top: TopK, k: int) -> TopK:
        """Choose k of each list (at most its length); the scores become the values."""
        usable = top.items >= 0
        scores = np.where(usable, np.maximum(top.scores, 0), 0)
        total = scores.sum(axis=1, keepdims=True)
        share = np.divide(scores, total, out=np.zeros_like(scores), where=total > 0)
        price = np.nan_to_num(self.price)[top.items]
        value = share * price**self.price_weight
        value[~usable] = -np.inf
        order = largest(value, min(k, value.shape[1]))
        return _reordered(top, order, value)


def _reordered(top: TopK, order: np.ndarray, scores: np.ndarray) -> TopK:
    items = np.take_along_axis(top.items, order, axis=1)
    ordered_scores = np.take_along_axis(scores, order, axis=1)
    return TopK(top.users, items, ordered_scores)
