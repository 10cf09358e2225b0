"""Second thoughts about a list: more variety, or more revenue."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kpay_lab.recommend.base import TopK, largest, unit_range
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
        worth = self.trade_off * unit_range(top.scores, usable)
        worth[~usable] = np.finfo(float).min  # last, yet before what is already taken
        closest = np.zeros(top.items.shape)
        rows = np.arange(len(top.items))
        order = np.empty((len(rows), min(k, top.items.shape[1])), dtype=np.intp)
        for place in range(order.shape[1]):
            best = np.argmax(worth - (1 - self.trade_off) * closest, axis=1)
            order[:, place] = best
            worth[rows, best] = -np.inf
            taken = top.items[rows, best][:, None]
            closest = np.maximum(closest, self.similarity[taken, top.items])
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
        chance = np.where(usable, np.maximum(top.scores, 0), 0)
        total = chance.sum(axis=1, keepdims=True)
        chance = np.divide(chance, total, out=np.zeros_like(chance), where=total > 0)
        value = chance * np.nan_to_num(self.price)[top.items] ** self.price_weight
        value[~usable] = -np.inf
        return _reordered(top, largest(value, min(k, value.shape[1])), value)


def _reordered(top: TopK, order: np.ndarray, scores: np.ndarray) -> TopK:
    items, kept = (np.take_along_axis(x, order, axis=1) for x in (top.items, scores))
    return TopK(top.users, items, kept)
