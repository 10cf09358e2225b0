"""EASE: a linear item-to-item model with a closed form."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kpay_lab.memory import lack_of_memory
from kpay_lab.recommend.base import Training, gram, product
from kpay_lab.recommend.linear import ItemToItemModel
from kpay_lab.settings import Ranges, Space, check_settings

STRIP = 256  # rows mirrored at once: they fit the CPU's cache
COPIES = 1.5  # arrays (n_items, n_items) that the fit takes at most: a strip of `gram` is the half


@dataclass(kw_only=True)
class EASE(ItemToItemModel):
    """Predict a user's interest in each item by a weighted sum over the user's other items.

    X is the interest matrix (n_users, n_items), B the item weights (n_items, n_items), and a
    user's scores are the row of X B. B minimises ‖X − XB‖² + reg·‖B‖². Its diagonal is held at
    0, because otherwise every item would best predict itself. With G = XᵀX + reg·I and
    P = G⁻¹ the solution is B_ij = −P_ij / P_jj for i ≠ j.

    A cold user and a cold item score 0. Memory: one array (n_items, n_items) of ``dtype`` and
    half of one while it is made; where there is less, nothing is begun.
    Source: Steck (2019), Embarrassingly shallow autoencoders for sparse data.

    Parameters
    ----------
    reg : float
        Regularisation: the larger, the smaller the weights.
    dtype : {"float32", "float64"}
        Of the arrays; float64 takes twice the memory.
    """

    ranges: ClassVar[Ranges] = {"reg": (0.0, 1e9), "dtype": ("float32", "float64")}
    space: ClassVar[Space] = {"reg": (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)}
    reg: float = 400.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_settings(self)

    def lacks(self, train: Training) -> str:
        """Say that the item weights do not fit into memory, where they do not."""
        n_items = len(train.interest.items)
        lack = lack_of_memory(COPIES * n_items**2 * np.dtype(self.dtype).itemsize)
        return f"it weighs every two of {n_items:,} items: {lack}" if lack else ""

    def fit(self, train: Training) -> Self:
        """Compute the item weights B from the inverse of G.

        Raises
        ------
        ValueError
            If they do not fit into memory, before any is taken; or if G is singular.
        """
        lack = self.lacks(train)
        if lack:
            raise ValueError(f"EASE: {lack}; choose item_neighbours or als, or fewer items")
        self.history_ = train.interest.values.astype(self.dtype)
        items_by_users = self.history_.T.tocsr()
        G = gram(items_by_users).T  # G is symmetric; .T makes it column-major, as LAPACK needs
        G[np.diag_indices_from(G)] += self.reg
        with threadpool_limits(1, "blas"):  # the last digits depend on the number of threads
            P = self._inverse(G)
        self.item_weights_ = P.T  # P is symmetric; .T makes it row-major, which `score` needs
        self.item_weights_ /= -np.diag(P)
        np.fill_diagonal(self.item_weights_, 0)
        return self

    def _inverse(self, G: np.ndarray) -> np.ndarray:
        """Return the inverse of a symmetric positive definite matrix, in the memory of G."""
        from scipy.linalg import get_lapack_funcs  # here, for it is slow to import

        cholesky_factor, inverse_of_factor = get_lapack_funcs(("potrf", "potri"), (G,))
        factor, failed = cholesky_factor(G, lower=True, overwrite_a=True)
        if failed:
            raise ValueError(f"EASE: reg={self.reg} leaves the matrix singular; raise reg")
        inverse, _ = inverse_of_factor(factor, lower=True, overwrite_c=True)
        _mirror_lower_triangle(inverse)  # LAPACK fills in this triangle only
        return inverse

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return X B for newcomers' rows X: (n_newcomers, n_items)."""
        return product(histories.astype(self.dtype), self.item_weights_)


def _mirror_lower_triangle(matrix: np.ndarray) -> None:
    """Copy the lower triangle to the upper one, in place, a strip of rows at a time."""
    for start in range(0, len(matrix), STRIP):
        stop = start + STRIP
        matrix[start:stop, stop:] = matrix[stop:, start:stop].T
        square = matrix[start:stop, start:stop]  # the diagonal cuts through it
        square[:] = np.tril(square) + np.tril(square, -1).T
