r"""Metrics of lists whose order is partly undecided: the mean over every order of tied items.

A model that gives several items one score does not say which comes first. The order in which
a list names them is that of the file, so a figure that depends on it describes the file. The
mean over all orders, each as likely as another, describes the model: a constant model is worth
what chance is worth. It is exact and nothing is drawn.

A *group* is a largest set of tied items, with m members of which h are relevant. Its first
member stands at place g + 1; the list may end within the last group. Source: McSherry & Najork
(2008), Computing information retrieval performance measures efficiently in the presence of
scores tied.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.recommend.base import Ties, TopK


@dataclass(frozen=True)
class ExpectedHits:
    """What the places of lists hold, over every order of tied items; arrays of shape (n, k).

    Parameters
    ----------
    chance : array
        Chance that the place holds a relevant item: h / m.
    first_chance : array
        The same where no earlier place holds one: h / (members not yet placed).
    earlier : array
        Expected number of relevant items before the place, if it holds one.
    """

    chance: np.ndarray
    first_chance: np.ndarray
    earlier: np.ndarray

    @property
    def ranks(self) -> np.ndarray:
        """The ranks of the places, 1 to k."""
        return np.arange(1, self.chance.shape[1] + 1)

    def part(self, rows: np.ndarray, k: int) -> "ExpectedHits":
        """Return the first k places of some lists."""
        chance = self.chance[rows, :k]
        first_chance = self.first_chance[rows, :k]
        return ExpectedHits(chance, first_chance, self.earlier[rows, :k])


def expected_hits(hits: np.ndarray, ties: Ties, relevant: csr_array) -> ExpectedHits:
    """Spread the hits of each group evenly over its members.

    Parameters
    ----------
    hits : bool array of shape (n, k)
        Whether the item at each place is relevant, in the order that the lists happen to have.
    ties : Ties
        Of the same lists.
    relevant : csr_array of shape (n, n_items)
        A stored value marks a relevant item.
    """
    size = _group_sizes(ties)
    n_hits = _group_sums(hits, ties, relevant_beyond(ties, relevant))
    places = np.arange(hits.shape[1])
    before_in_group = places - ties.first_place
    chance = n_hits / size
    not_yet_placed = size - before_in_group
    first_chance = np.minimum(1.0, n_hits / not_yet_placed)
    expected_before = np.cumsum(chance, axis=1) - chance
    before_group = np.take_along_axis(expected_before, ties.first_place, axis=1)
    other_hits = np.maximum(n_hits - 1, 0)
    other_members = np.maximum(size - 1, 1)
    earlier_in_group = before_in_group * other_hits / other_members
    return ExpectedHits(chance, first_chance, before_group + earlier_in_group)


def relevant_beyond(ties: Ties, relevant: csr_array) -> np.ndarray:
    """Count each list's relevant items that tie with its last place and are not in it: (n,)."""
    is_relevant = relevant.astype(bool)
    tied_and_relevant = is_relevant.multiply(ties.beyond)
    return np.asarray(tied_and_relevant.sum(axis=1)).ravel()


def inclusion(items: np.ndarray, ties: Ties | None, k: int, n_items: int) -> csr_array:
    """Return the chance that the first k places of each list hold each item: (n, n_items).

    Without ties it is 1 for the items of the list. A group of m items of which c have a place
    among the first k gives each of them the chance c / m.

    Parameters
    ----------
    items : int array of shape (n, length)
        Lists of item positions, best first, -1 where they ran short.
    ties : Ties or None
        Of these lists; None takes their order as it is.
    """
    shape = (len(items), n_items)
    chance = np.zeros(items.shape)
    chance[:, :k] = 1.0
    beyond = csr_array(shape)
    if ties is not None:
        nothing = np.zeros(len(items))
        chance = _group_sums(chance, ties, nothing) / _group_sizes(ties)
        chance_of_last = chance[:, -1]
        beyond = csr_array(ties.beyond * chance_of_last[:, None])
    row, place = np.nonzero(items >= 0)
    cells = (row, items[row, place])
    listed = csr_array((chance[row, place], cells), shape=shape)
    return csr_array(listed + beyond)


def settled(top: TopK, items: pd.Index) -> TopK:
    """Order tied items by a hash of their ids, the same for everybody, not by the file.

    So lists whose figures have no mean over orders (how many items are shown at all, how unlike
    the items of a list are) are the same however the rows of the log stand.

    Parameters
    ----------
    top : TopK
        With its ties; without any it is returned as it is.
    items : Index
        The ids of the items, by position.
    """
    ties = top.ties
    if ties is None:
        return top
    place_of_item = _hash_order(items)
    row, place = np.nonzero(top.items >= 0)
    beyond = ties.beyond.tocoo()
    rows = np.concatenate([row, beyond.row])
    group_of_last = ties.first_place[:, -1]
    groups = np.concatenate([ties.first_place[row, place], group_of_last[beyond.row]])
    members = np.concatenate([top.items[row, place], beyond.col])
    hash_place = place_of_item[members]
    order = np.lexsort((hash_place, groups, rows))
    rows = rows[order]
    first_of_row = np.searchsorted(rows, np.arange(len(top.items)))
    places = np.arange(len(rows)) - first_of_row[rows]
    is_kept = places < top.items.shape[1]
    settled_items = np.full_like(top.items, -1)
    settled_items[rows[is_kept], places[is_kept]] = members[order][is_kept]
    return replace(top, items=settled_items)


def _hash_order(items: pd.Index) -> np.ndarray:
    """Return the place of each item (n_items,) in the order of the hashes of their ids."""
    hashes = pd.util.hash_array(items.astype(str).to_numpy(dtype=object))
    order = np.argsort(hashes, kind="stable")
    places = np.empty(len(items), dtype=np.intp)
    places[order] = np.arange(len(items))
    return places


def hit(hits: ExpectedHits, n_relevant: np.ndarray) -> np.ndarray:
    """Chance that the list holds anything relevant."""
    return 1.0 - np.prod(1.0 - hits.first_chance, axis=1)


def mrr(hits: ExpectedHits, n_relevant: np.ndarray) -> np.ndarray:
    """Expected value of one over the rank of the first hit, 0 without one."""
    none_so_far = np.cumprod(1.0 - hits.first_chance, axis=1)
    none_before = np.ones(hits.chance.shape)
    none_before[:, 1:] = none_so_far[:, :-1]
    is_first = none_before * hits.first_chance
    return is_first @ (1.0 / hits.ranks)


def average_precision(hits: ExpectedHits, n_relevant: np.ndarray) -> np.ndarray:
    """Expected AP@k: a hit at rank r has the precision (1 + earlier hits) / r."""
    precision_at_hit = (1.0 + hits.earlier) / hits.ranks
    expected_precision = hits.chance * precision_at_hit
    most_hits = np.minimum(n_relevant, len(hits.ranks))
    return expected_precision.sum(axis=1) / most_hits


# By the name of `ranking.METRICS`; those that are not here are sums over places, and take the
# chance of a hit in the place of the hit.
OVER_TIES = {"hit": hit, "mrr": mrr, "map": average_precision}


def _group_sizes(ties: Ties) -> np.ndarray:
    """Return how many items are tied with each place: (n, k)."""
    n_beyond = np.diff(ties.beyond.indptr)
    ones = np.ones(ties.first_place.shape)
    return _group_sums(ones, ties, n_beyond)


def _group_sums(values: np.ndarray, ties: Ties, beyond: np.ndarray) -> np.ndarray:
    """Return for each place the sum over its group, ``beyond`` added to the last: (n, k)."""
    n_lists, k = values.shape
    row_starts = np.arange(n_lists)[:, None] * k
    group = ties.first_place + row_starts
    sums = np.bincount(group.ravel(), values.ravel(), minlength=n_lists * k)
    last_group = group[:, -1]
    sums[last_group] += beyond
    return sums[group]
