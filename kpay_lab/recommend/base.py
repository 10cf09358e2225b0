"""What a model may see, what it must do, and the only code that ranks."""

from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix

LARGEST_SEED = 2**32 - 1  # that every library takes
BATCH = 512  # users scored at once: few enough to rank while their scores are in the cache


@dataclass(frozen=True)
class Training:
    """Everything a model may learn from: the training part, and nothing after it.

    Parameters
    ----------
    interest : InterestMatrix
        Interest degrees of the training events, (n_users, n_items).
    tables : Tables, optional
        As known at training time, with training events only.
    """

    interest: InterestMatrix
    tables: Tables | None = None

    @classmethod
    def from_matrix(cls, interest: InterestMatrix) -> Self:
        """Wrap a bare matrix, for tests and benchmarks."""
        return cls(interest)

    def has(self, table: str, column: str) -> bool:
        """Return whether the table is there and at least one row knows the column."""
        frame = getattr(self.tables, table, None)
        return frame is not None and column in frame and bool(frame[column].notna().any())

    def need(self, table: str, column: str, reader: str) -> pd.DataFrame:
        """Return the table, or say which model lacks which column of it."""
        if not self.has(table, column):
            raise ValueError(
                f"{reader} needs {table}.{column}, and this training part has none; "
                "add the column or choose another model"
            )
        return getattr(self.tables, table)


@runtime_checkable
class Recommender(Protocol):
    """A model learns and scores; it never filters, ranks or evaluates."""

    def fit(self, train: Training) -> Self:
        """Learn from the training part."""

    def score(self, users: np.ndarray) -> np.ndarray:
        """Score every item for the given user positions: (len(users), n_items)."""


@dataclass(frozen=True)
class TopK:
    """One ranked list a user: positions ``users`` (n,), ``items`` and ``scores`` (n, k).

    Items are positions, best first, ties by position; −1 with score −inf where fewer
    than k candidates remain.
    """

    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray


def trained_items(values: csr_array) -> np.ndarray:
    """Return which columns hold at least one value: bool of shape (n_items,)."""
    return np.bincount(values.indices, minlength=values.shape[1]) > 0


def product(history: csr_array, weights: np.ndarray | csr_array) -> np.ndarray:
    """Multiply sparse rows by sparse or dense weights, into a plain array."""
    scores = history @ weights
    return scores if isinstance(scores, np.ndarray) else scores.toarray()


def gram(rows: csr_array) -> np.ndarray:
    """Multiply sparse rows with each other, X Xᵀ, into a plain array: what is below mirrored.

    Strip by strip the sums stay in the cache, and the sparse product is never held whole.
    """
    n = rows.shape[0]
    found = np.empty((n, n), dtype=rows.dtype)
    strip = -(-n // 16) or 1
    for start in range(0, n, strip):
        below = (rows[start:] @ rows[start : start + strip].T).toarray()
        found[start:, start : start + strip] = below
        found[start : start + strip, start:] = below.T
    return found


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of each row's k largest scores, best first, ties by position.

    The k-th largest of the maxima of groups is never above the k-th largest of all: few
    scores reach this bound, they are found in one pass, and only they are sorted.

    >>> largest(np.array([[1.0, 3.0, 2.0, 3.0, 2.0]]), 3)
    array([[1, 3, 2]])
    """
    n, width = scores.shape
    size = min(20, width // (8 * k)) or 1
    whole = width - width % size
    maxima = scores[:, :whole].reshape(n, size, whole // size).max(axis=1)
    maxima = np.hstack([maxima, scores[:, whole:]])
    bound = np.partition(maxima, -k, axis=1)[:, -k]
    place = np.flatnonzero(scores >= bound[:, None])
    row, value = place // width, scores.ravel()[place]
    tie = value == bound[row]
    ties = np.cumsum(tie)
    begins = np.searchsorted(row, np.arange(n))
    few = ~tie | (ties - (ties - tie)[begins][row] <= k)  # k ties a row suffice
    place, row, value = place[few], row[few], value[few]
    column = np.arange(len(row)) - np.searchsorted(row, np.arange(n))[row]
    most = max(k, column.max(initial=0) + 1)
    kept, values = np.zeros((n, most), dtype=np.intp), np.full((n, most), np.inf)
    kept[row, column], values[row, column] = place % width, -value
    return np.take_along_axis(kept, np.argsort(values, axis=1, kind="stable")[:, :k], axis=1)


def unit_range(scores: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Scale each row by its smallest and largest score ``among`` some; a constant becomes 0."""
    low = np.min(scores, axis=1, where=among, initial=np.inf, keepdims=True)
    span = np.max(scores, axis=1, where=among, initial=-np.inf, keepdims=True) - low
    usable = np.isfinite(scores) & (span > 0)
    shifted = np.subtract(scores, low, out=np.zeros(scores.shape), where=usable)
    return np.divide(shifted, span, out=shifted, where=usable)


def top_k(
    model: Recommender,
    users: np.ndarray,
    k: int,
    *,
    exclude: csr_array | None = None,
    candidates: np.ndarray | None = None,
) -> TopK:
    """Rank the k best items for each user: the only ranking code of the workbench.

    Parameters
    ----------
    model : Recommender, fitted
    users : int array of shape (n,)
        User positions.
    k : int
    exclude : csr_array of shape (n_users, n_items), optional
        Every stored cell is withheld, usually the training matrix: what was seen never
        comes back. It may be another set, such as what was bought.
    candidates : bool array of shape (n_items,), optional
        Items that may appear. By default those with a column in ``exclude`` that is not
        empty, that is, all but items unseen in training; all items without ``exclude``.

    Raises
    ------
    ValueError
        If k is below 1, ``candidates`` does not fit, or a model scores NaN.
    """
    users = np.asarray(users, dtype=np.intp)
    if k < 1:
        raise ValueError(f"k is {k}; a list needs at least 1 place")
    if candidates is None and exclude is not None:
        candidates = trained_items(exclude)
    parts = []
    for start in range(0, max(len(users), 1), BATCH):
        batch = users[start : start + BATCH]
        seen = None if exclude is None else exclude[batch]
        parts.append(_rank(np.array(model.score(batch)), k, seen, candidates))
    items, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return TopK(users, items, scores)


def _rank(
    scores: np.ndarray, k: int, seen: csr_array | None, candidates: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mask, cut and pad one batch; ``scores`` is a private copy and is overwritten."""
    n, n_items = scores.shape
    if np.isnan(scores.max(initial=-np.inf)):
        raise ValueError("the model scored NaN; a score must be a number for every item")
    if candidates is not None:
        if candidates.shape != (n_items,) or candidates.dtype != bool:
            raise ValueError(f"candidates must be {n_items} booleans, one for each item")
        scores[:, np.flatnonzero(~candidates)] = -np.inf
    if seen is not None:
        scores[np.repeat(np.arange(n), np.diff(seen.indptr)), seen.indices] = -np.inf
    width = min(k, n_items)
    items = largest(scores, width)
    best = np.take_along_axis(scores, items, axis=1)
    items[np.isneginf(best)] = -1
    gap = ((0, 0), (0, k - width))
    return np.pad(items, gap, constant_values=-1), np.pad(best, gap, constant_values=-np.inf)
