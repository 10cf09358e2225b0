"""Neighbourhood models: what similar users like, and what is like the things one likes."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from kpay_lab.recommend.base import Training, gram, largest, product
from kpay_lab.settings import Ranges, check_settings

KINDS = ("cosine", "jaccard")
RANGES: Ranges = {"n_neighbors": (1, 10_000_000), "similarity": KINDS}  # of both models
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
    prepared = normalize if kind == "cosine" else lambda x: (x != 0).astype(np.float64)
    same, left, right = left is right, prepared(left), prepared(right)
    shared = gram(left) if same else product(left, right.T)
    if kind == "cosine":
        return shared
    whole = np.add.outer(*(np.diff(x.indptr) for x in (left, right))) - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def nearest(
    similar: np.ndarray, n_neighbors: int | None, evidence: np.ndarray | float = 1.0
) -> csr_array | np.ndarray:
    """Keep the n largest similarities of each row, or all for None.

    ``evidence``, a factor a hair below 1 for each column, decides between equal ones.
    """
    if n_neighbors is None or n_neighbors >= similar.shape[1]:
        return similar
    columns = largest(similar * evidence, n_neighbors)
    kept = np.take_along_axis(similar, columns, axis=1).ravel()
    begins = np.arange(len(similar) + 1) * n_neighbors
    return csr_array((kept, columns.ravel(), begins), shape=similar.shape)


@dataclass(kw_only=True)
class ItemNeighbours:
    """Score an item by its similarity to what the user already likes.

    score_ui = Σ_j a_uj s_ij over the nearest neighbours j of i; of equally similar ones
    those that more users met, then those that come first. With Jaccard, all neighbours
    (``n_neighbors=None``) and decayed ratings as interest this is Microsoft's SAR. A cold
    user and a cold item score 0. Memory: n_items² similarities.
    """

    ranges: ClassVar[Ranges] = RANGES
    n_neighbors: int | None = 200
    similarity: str = "cosine"

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
        kept = nearest(similar, self.n_neighbors, evidence)
        self.item_weights_ = kept if isinstance(kept, np.ndarray) else csr_array(kept.T)
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the users' interest times the similarities: (len(users), n_items)."""
        return product(self.history_[users], self.item_weights_)


@dataclass(kw_only=True)
class UserNeighbours:
    """Score an item by how much the most similar users like it.

    score_ui = Σ_v s_uv a_vi over the nearest neighbours v of u, u apart (None: over all).
    A cold user and a cold item score 0. Similarities are made for the users asked alone.
    """

    ranges: ClassVar[Ranges] = RANGES
    n_neighbors: int | None = 100
    similarity: str = "cosine"

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
        return product(nearest(similar, self.n_neighbors), self.history_)
