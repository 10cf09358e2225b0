"""EASE: a linear item-to-item model with a closed form."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.linalg import get_lapack_funcs

from kpay_lab.recommend.base import Training, gram
from kpay_lab.settings import Ranges, check_settings

STRIP = 256  # columns mirrored at once: they fit the cache


@dataclass(kw_only=True)
class EASE:
    """Predict a user's row from itself, no item being allowed to explain itself.

    min_B ‖X − XB‖² + reg·‖B‖² with diag(B) = 0 has the solution, for
    P = (XᵀX + reg·I)⁻¹: B_ij = −P_ij / P_jj off the diagonal. score = X B.
    A cold user and a cold item score 0. Memory: two n_items² arrays of ``dtype``.
    Source: Steck (2019), Embarrassingly shallow autoencoders for sparse data.
    """

    ranges: ClassVar[Ranges] = {"reg": (0.0, 1e9), "dtype": ("float32", "float64")}
    reg: float = 400.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_settings(self)

    def fit(self, train: Training) -> Self:
        """Invert the regularised Gram matrix by Cholesky."""
        self.history_ = train.interest.values.astype(self.dtype)
        inner = gram(self.history_.T.tocsr()).T  # symmetric: now in LAPACK's order
        inner[np.diag_indices_from(inner)] += self.reg
        factorise, invert = get_lapack_funcs(("potrf", "potri"), (inner,))
        factor, failed = factorise(inner, lower=True, overwrite_a=True)
        if failed:
            raise ValueError(f"EASE: reg={self.reg} leaves the matrix singular; raise reg")
        inverse, _ = invert(factor, lower=True, overwrite_c=True)
        for start in range(0, len(inverse), STRIP):  # mirror the lower triangle, strip by strip
            stop = start + STRIP
            inverse[start:stop, stop:] = inverse[stop:, start:stop].T
            square = inverse[start:stop, start:stop]
            square[:] = np.tril(square) + np.tril(square, -1).T
        self.item_weights_ = inverse.T  # symmetric: now in the order that products want
        self.item_weights_ /= -np.diag(inverse)
        np.fill_diagonal(self.item_weights_, 0)
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return X B for the users' rows: (len(users), n_items)."""
        return self.history_[users] @ self.item_weights_
