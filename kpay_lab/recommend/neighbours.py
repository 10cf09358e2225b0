"""Neighbourhood models: what similar users like, and what is like the things one likes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from kpay_lab.recommend.base import Training, gram, largest, product
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
        return _cross_product(left, right, _unit_rows)
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


def _unit_rows(matrix: csr_array) -> csr_array:
    """Scale each row to length 1; an empty row stays as it is."""
    if matrix.shape[0] == 0:  # scikit-learn refuses a matrix without rows
        return matrix
    return normalize(matrix)


def _marks(matrix: csr_array) -> csr_array:
    """Put 1 for every cell that is not zero."""
    return (matrix != 0).astype(np.float64)


def nearest(
    similar: np.ndarray,
    n_neighbors: int | None,
    evidence: np.ndarray | float = 1.0,
    *,
    ties: str = "all",
) -> csr_array | np.ndarray:
    """Keep the n largest similarities of each row, or all for None.

    ``evidence``, a factor a hair below 1 for each column, decides between equal ones. Of those
    still tied with the n-th, ``all`` keeps every one, and ``position`` the first: a choice that
    the order of rows in the file has made.

    >>> nearest(np.array([[0.5, 0.9, 0.5, 0.1]]), 2).toarray()
    array([[0.5, 0.9, 0.5, 0. ]])
    """
    if n_neighbors is None or n_neighbors >= similar.shape[1]:
        return similar
    if ties == "position":
        columns = largest(similar * evidence, n_neighbors)
        values = np.take_along_axis(similar, columns, axis=1)
        row_starts = np.arange(len(similar) + 1) * n_neighbors
        return csr_array((values.ravel(), columns.ravel(), row_starts), shape=similar.shape)
    without_rounding = np.round(similar, DECIMALS)
    ranked = without_rounding * evidence
    columns = largest(ranked, n_neighbors)
    bound = np.take_along_axis(ranked, columns[:, -1:], axis=1)
    kept = np.where(ranked >= bound, similar, 0.0)
    return csr_array(kept)


@dataclass(kw_only=True)
class ItemNeighbours(ItemToItemModel):
    """Score an item by its similarity to what the user already likes.

    score_ui = Σ_j a_uj s_ij over the nearest neighbours j of i; of equally similar ones
    those that more users met, and of these ``ties`` keeps all, or the first by position, as
    reference numbers have it. With Jaccard, all neighbours (``n_neighbors=None``) and decayed
    ratings as interest this is Microsoft's SAR. A cold user and a cold item score 0. Memory:
    n_items² similarities.
    """

    ranges: ClassVar[Ranges] = RANGES
    space: ClassVar[Space] = {"n_neighbors": (20, 50, 100, 200, None), "similarity": KINDS}
    n_neighbors: int | None = 200
    similarity: str = "cosine"
    ties: str = "all"

    def __post_init__(self) -> None:
        check_settings(self)

    def fit(self, train: Training) -> Self:
        """Compare every two items by their users."""
        self.history_ = train.interest.values
        columns = self.history_.T.tocsr()
        similar = similarity(columns, columns, self.similarity)
        if self.n_neighbors is not None:
            np.fill_diagonal(similar, 0)
        evidence = 1 - TIE_BREAK / (1 + np.diff(columns.indptr))
        neighbours = nearest(similar, self.n_neighbors, evidence, ties=self.ties)
        is_dense = isinstance(neighbours, np.ndarray)
        self.item_weights_ = neighbours if is_dense else csr_array(neighbours.T)
        return self

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return newcomers' interest times the similarities: (n_newcomers, n_items)."""
        return product(histories, self.item_weights_)


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
        """Keep the users' interests."""
        self.history_ = train.interest.values
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the similarities times the neighbours' interest: (len(users), n_items)."""
        similar = similarity(self.history_[users], self.history_, self.similarity)
        similar[np.arange(len(users)), users] = 0
        return product(nearest(similar, self.n_neighbors, ties=self.ties), self.history_)

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return the same for newcomers among the training users: (n_newcomers, n_items)."""
        similar = similarity(histories, self.history_, self.similarity)
        return product(nearest(similar, self.n_neighbors, ties=self.ties), self.history_)
