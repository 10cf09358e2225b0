"""Neighbourhood models: what similar users like, and what is like the things one likes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_array, csr_matrix, vstack

from kpay_lab.memory import lack_of_memory
from kpay_lab.recommend.base import Training, count_within_row, gram, product, unit_rows
from kpay_lab.recommend.linear import ItemToItemModel
from kpay_lab.settings import Ranges, Space, check_settings

KINDS = ("cosine", "jaccard")
TIES = ("all", "position")
RANGES: Ranges = {  # of both models
    "n_neighbors": (1, 10_000_000),
    "similarity": KINDS,
    "ties": TIES,
}
DECIMALS = 12  # of similarities that are compared: the rest is rounding
TIE_BREAK = 1e-9  # too little to reorder anything but equal similarities
SPARE = 9  # kept beyond the wanted: the vector itself, and some that show where a tie goes on
STRIP_CELLS = 2**20  # similarities held at once before the nearest are chosen
NARROWEST_STRIP = 64  # vectors: to make a strip costs something too
NOBODY = -1  # the row of a vector that is none of the rows

Choice = Callable[[csr_array], csr_array]  # of the neighbours among similarities
DENSE_COPIES = {"cosine": 1.5, "jaccard": 4.5}  # arrays (n, n) that all similarities take at most


def similarity(left: csr_array, right: csr_array, kind: str) -> np.ndarray:
    """Compare each row of ``left`` with each row of ``right``.

    ``cosine``: l·r / (‖l‖ ‖r‖), on the degrees. ``jaccard``: |L ∩ R| / |L ∪ R|, on which
    cells are not zero. Empty rows have similarity 0. From (n, m) and (p, m) to (n, p).

    >>> X = csr_array(np.array([[1, 1, 0], [0, 1, 1.0]]))
    >>> similarity(X, X, "jaccard").round(2)
    array([[1.  , 0.33], [0.33, 1.  ]])
    """
    if kind not in KINDS:
        raise ValueError(f"similarity is {kind!r}; choose cosine or jaccard")
    if kind == "cosine":
        return _cross_product(left, right, unit_rows)
    intersection = _cross_product(left, right, _marks)
    n_left = np.diff(_marks(left).indptr)
    n_right = np.diff(_marks(right).indptr)
    union = n_left[:, None] + n_right - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def _cross_product(
    left: csr_array, right: csr_array, prepare: Callable[[csr_array], csr_array]
) -> np.ndarray:
    """Multiply each row of ``left`` with each of ``right``, both prepared alike."""
    if left is right:
        return gram(prepare(left))
    return product(prepare(left), prepare(right).T)


def _marks(matrix: csr_array) -> csr_array:
    """Put 1 for every cell that is not zero."""
    return (matrix != 0).astype(np.float64)


def _rows_of_cells(matrix: csr_array) -> np.ndarray:
    """Return the row of each stored cell, (nnz,)."""
    n_cells = np.diff(matrix.indptr)
    return np.repeat(np.arange(matrix.shape[0]), n_cells)


def _kept_cells(matrix: csr_array, is_kept: np.ndarray) -> csr_array:
    """Return the matrix with some of its stored cells only; ``is_kept`` is (nnz,)."""
    rows = _rows_of_cells(matrix)[is_kept]
    n_kept = np.bincount(rows, minlength=matrix.shape[0])
    row_starts = np.append(0, np.cumsum(n_kept))
    cells = (matrix.data[is_kept], matrix.indices[is_kept], row_starts)
    return csr_array(cells, shape=matrix.shape)


def nearest(
    similar: csr_array,
    n_neighbors: int | None,
    evidence: np.ndarray | None = None,
    *,
    ties: str = "all",
) -> csr_array:
    """Keep the n largest similarities above 0 of each row, or all of these for None.

    ``evidence``, a factor a hair below 1 for each column, decides between equal ones. Of those
    still tied with the n-th, ``all`` keeps every one, and ``position`` the first: a choice that
    the order of rows in the file has made.

    >>> nearest(csr_array(np.array([[0.5, 0.9, 0.5, 0.1]])), 2).toarray()
    array([[0.5, 0.9, 0.5, 0. ]])
    """
    if n_neighbors is None:
        return _kept_cells(similar, similar.data > 0)
    if ties == "position":
        similar.sort_indices()
    ranked = _ranked(similar, evidence, ties)
    bound = _nth_largest(ranked, similar.indptr, n_neighbors)
    rows = _rows_of_cells(similar)
    is_kept = (ranked >= bound[rows]) & (similar.data > 0)
    if ties == "position":
        is_tie = ranked == bound[rows]
        is_above = is_kept & ~is_tie
        n_above = np.bincount(rows[is_above], minlength=len(bound))
        nth_tie = count_within_row(is_tie, rows, len(bound))
        is_kept &= ~is_tie | (nth_tie <= n_neighbors - n_above[rows])
    return _kept_cells(similar, is_kept)


def _ranked(similar: csr_array, evidence: np.ndarray | None, ties: str) -> np.ndarray:
    """Return by what the stored similarities are ordered: what is equal in it is tied, (nnz,)."""
    ranked = similar.data if ties == "position" else np.round(similar.data, DECIMALS)
    if evidence is None:
        return ranked
    return ranked * evidence[similar.indices]


def _nth_largest(values: np.ndarray, row_starts: np.ndarray, n: int) -> np.ndarray:
    """Return the n-th largest value of each row, 0 where a row has no more than n: (n_rows,)."""
    found = np.zeros(len(row_starts) - 1)
    for row, (start, stop) in enumerate(pairwise(row_starts)):
        if stop - start > n:
            found[row] = np.partition(values[start:stop], -n)[-n]
    return found


@dataclass(frozen=True)
class Neighbourhood:
    """Rows that vectors are compared with, made ready once; only a strip is in memory at once.

    Parameters
    ----------
    kind : {"cosine", "jaccard"}
        The `similarity`.
    columns : csr_array of shape (n_features, n_rows)
        The prepared rows, as columns.
    n_marks : int array of shape (n_rows,)
        How many cells of a row are not zero.
    """

    kind: str
    columns: csr_array
    n_marks: np.ndarray

    @classmethod
    def of(cls, rows: csr_array, kind: str) -> Self:
        """Prepare the rows, (n_rows, n_features)."""
        prepared = unit_rows(rows) if kind == "cosine" else _marks(rows)
        n_marks = np.diff(_marks(rows).indptr)
        return cls(kind, prepared.T.tocsr(), n_marks)

    def compare(self, vectors: csr_array) -> csr_array:
        """Return the similarity of each vector with each row that it shares a feature with."""
        if self.kind == "cosine":
            return unit_rows(vectors) @ self.columns
        marks = _marks(vectors)
        similar = marks @ self.columns
        n_of_vector = np.diff(marks.indptr)[_rows_of_cells(similar)]
        n_of_row = self.n_marks[similar.indices]
        intersection = similar.data
        similar.data = intersection / (n_of_vector + n_of_row - intersection)
        return similar

    def nearest(
        self,
        vectors: csr_array,
        n_neighbors: int | None,
        *,
        own: np.ndarray | None = None,
        evidence: np.ndarray | None = None,
        ties: str = "all",
    ) -> csr_array:
        """Return the `nearest` rows of each vector: (n_vectors, n_rows).

        ``own``, (n_vectors,), has the row that a vector is itself, which is no neighbour.
        """
        own_rows = np.full(vectors.shape[0], NOBODY) if own is None else own
        choose = partial(nearest, n_neighbors=n_neighbors, evidence=evidence, ties=ties)
        n_rows = self.columns.shape[1]
        if self.kind == "cosine" and n_neighbors is not None and n_neighbors + SPARE < n_rows:
            return self._choose_while_multiplying(vectors, own_rows, choose, n_neighbors)
        return self._choose_among_all(vectors, own_rows, choose)

    def _choose_among_all(self, vectors: csr_array, own: np.ndarray, choose: Choice) -> csr_array:
        """Compare the vectors with all rows, a strip of vectors at a time."""
        n_rows = self.columns.shape[1]
        chosen = [csr_array((0, n_rows))]
        for strip in _strips(len(own), n_rows):
            similar = self.compare(vectors[strip])
            chosen.append(choose(_without_own(similar, own[strip])))
        return csr_array(vstack(chosen, format="csr"))

    def _choose_while_multiplying(
        self, vectors: csr_array, own: np.ndarray, choose: Choice, n_neighbors: int
    ) -> csr_array:
        """Keep a few more cosines than are wanted, and no others, while multiplying.

        The product knows no ties. A vector whose n-th neighbour may be tied with more than
        were kept is compared with all rows.
        """
        from sparse_dot_topn import sp_matmul_topn  # here, for only large catalogues need it

        n_kept = n_neighbors + SPARE
        columns = csr_matrix(self.columns)
        chosen = [csr_array((0, columns.shape[1]))]
        for strip in _strips(len(own), n_kept):
            unit_vectors = csr_matrix(unit_rows(vectors[strip]))
            kept = sp_matmul_topn(unit_vectors, columns, n_kept, threshold=0.0, sort=True)
            few = csr_array(kept)
            is_open = _is_open(few, n_neighbors, n_kept)
            closed = np.flatnonzero(~is_open)
            opened = np.flatnonzero(is_open)
            own_of_strip = own[strip]
            of_few = choose(_without_own(few[closed], own_of_strip[closed]))
            of_all = self._choose_among_all(vectors[strip][opened], own_of_strip[opened], choose)
            order = np.argsort(np.append(closed, opened))
            chosen.append(vstack([of_few, of_all], format="csr")[order])
        return csr_array(vstack(chosen, format="csr"))


def _strips(n_vectors: int, n_cells_each: int) -> Iterator[slice]:
    """Cut the vectors into strips of about `STRIP_CELLS` similarities."""
    width = max(STRIP_CELLS // max(n_cells_each, 1), NARROWEST_STRIP)
    for start in range(0, n_vectors, width):
        yield slice(start, start + width)


def _without_own(similar: csr_array, own: np.ndarray) -> csr_array:
    """Leave out each vector's similarity with itself."""
    is_own = similar.indices == own[_rows_of_cells(similar)]
    return _kept_cells(similar, ~is_own)


def _is_open(kept: csr_array, n_neighbors: int, n_kept: int) -> np.ndarray:
    """Return for which rows similarities that were not kept may be tied with the n-th: (n_rows,).

    The kept ones of a row stand in order, the largest first. One of them may be the vector's
    own, so that the n-th neighbour is the n-th or the next; the next is no larger.
    """
    is_full = np.diff(kept.indptr) == n_kept
    row_starts = kept.indptr[:-1][is_full]
    nth = kept.data[row_starts + n_neighbors]  # counted from 0: the next after the n-th
    last = kept.data[row_starts + n_kept - 1]
    slack = 2 * (nth * TIE_BREAK + 10.0**-DECIMALS)
    is_open = np.zeros(len(is_full), dtype=bool)
    is_open[is_full] = last >= nth - slack
    return is_open


@dataclass(kw_only=True)
class ItemNeighbours(ItemToItemModel):
    """Score an item by its similarity to what the user already likes.

    score_ui = Σ_j a_uj s_ij over the nearest neighbours j of i; of equally similar ones
    those that more users met, and of these ``ties`` keeps all, or the first by position, as
    reference numbers have it. With Jaccard, all neighbours (``n_neighbors=None``) and decayed
    ratings as interest this is Microsoft's SAR. A cold user and a cold item score 0. Memory:
    ``n_neighbors`` similarities an item, and n_items an item for None.
    """

    ranges: ClassVar[Ranges] = RANGES
    space: ClassVar[Space] = {"n_neighbors": (20, 50, 100, 200, None), "similarity": KINDS}
    n_neighbors: int | None = 200
    similarity: str = "cosine"
    ties: str = "all"

    def __post_init__(self) -> None:
        check_settings(self)

    def lacks(self, train: Training) -> str:
        """Say that all similarities do not fit into memory, where they do not."""
        if self.n_neighbors is not None:
            return ""
        n_items = len(train.interest.items)
        copies = DENSE_COPIES[self.similarity]
        lack = lack_of_memory(copies * n_items**2 * np.dtype(np.float64).itemsize)
        return f"every item is a neighbour of {n_items:,} items: {lack}" if lack else ""

    def fit(self, train: Training) -> Self:
        """Compare every two items by their users.

        Raises
        ------
        ValueError
            If all similarities are asked for and do not fit into memory.
        """
        lack = self.lacks(train)
        if lack:
            raise ValueError(f"ItemNeighbours: {lack}; set n_neighbors, such as 200")
        self.history_ = train.interest.values
        columns = self.history_.T.tocsr()
        if self.n_neighbors is None:
            self.item_weights_ = similarity(columns, columns, self.similarity)
            return self
        evidence = 1 - TIE_BREAK / (1 + np.diff(columns.indptr))
        neighbours = Neighbourhood.of(columns, self.similarity).nearest(
            columns,
            self.n_neighbors,
            own=np.arange(columns.shape[0]),
            evidence=evidence,
            ties=self.ties,
        )
        self.item_weights_ = neighbours.T.tocsr()
        return self

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return newcomers' interest times the similarities: (n_newcomers, n_items)."""
        return product(histories, self.item_weights_)


class SharedUsers:
    """Explain lists of any model: by the cosine of the listed item's users and a met item's."""

    def fit(self, train: Training) -> Self:
        """Keep the items' users, ready to be compared."""
        self.history_ = train.interest.values
        self.users_of_item_ = self.history_.T.tocsr()
        self.items_ = Neighbourhood.of(self.users_of_item_, "cosine")
        return self

    def explain(self, users: np.ndarray, items: np.ndarray) -> csr_array:
        """Weigh the items that each user met; see `explain_new`."""
        return self.explain_new(self.history_[users], items)

    def explain_new(self, histories: csr_array, items: np.ndarray) -> csr_array:
        """Weigh item j of history p by h_pj times its cosine with ``items[p]``.

        Each listed item is compared with all others once, a strip of items at a time.
        """
        order = np.argsort(items, kind="stable")
        sorted_histories = histories[order]
        met = sorted_histories.indices
        listed, first_pair, place_of_pair = np.unique(
            items[order], return_index=True, return_inverse=True
        )
        place = place_of_pair[_rows_of_cells(sorted_histories)]
        first_cell = np.append(sorted_histories.indptr[first_pair], len(met))
        added = np.empty(len(met))
        for strip in _strips(len(listed), histories.shape[1]):
            similar = self.items_.compare(self.users_of_item_[listed[strip]]).toarray()
            bounds = first_cell[strip.start : strip.stop + 1]
            cells = slice(bounds[0], bounds[-1])
            similarity_to_met = similar[place[cells] - strip.start, met[cells]]
            added[cells] = sorted_histories.data[cells] * similarity_to_met
        reasons = csr_array((added, met, sorted_histories.indptr), shape=histories.shape)
        original_order = np.argsort(order)
        return reasons[original_order]


@dataclass(kw_only=True)
class UserNeighbours:
    """Score an item by how much the most similar users like it.

    score_ui = Σ_v s_uv a_vi over the nearest neighbours v of u, u apart (None: over all); of
    equally similar ones ``ties`` keeps all, or the first by position.
    A cold user and a cold item score 0. Similarities are made for the users asked alone.
    """

    ranges: ClassVar[Ranges] = RANGES
    space: ClassVar[Space] = {"n_neighbors": (20, 50, 100, 200, 400), "similarity": KINDS}
    n_neighbors: int | None = 100
    similarity: str = "cosine"
    ties: str = "all"

    def __post_init__(self) -> None:
        check_settings(self)

    def fit(self, train: Training) -> Self:
        """Keep the users' interests, ready to be compared."""
        self.history_ = train.interest.values
        self.users_ = Neighbourhood.of(self.history_, self.similarity)
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the similarities times the neighbours' interest: (len(users), n_items)."""
        vectors = self.history_[users]
        near = self.users_.nearest(vectors, self.n_neighbors, own=users, ties=self.ties)
        return product(near, self.history_)

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return the same for newcomers among the training users: (n_newcomers, n_items)."""
        near = self.users_.nearest(histories, self.n_neighbors, ties=self.ties)
        return product(near, self.history_)
