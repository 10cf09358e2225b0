"""What a model may see, what it must do, and the only code that ranks."""

import math
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
    products = np.empty((n, n), dtype=rows.dtype)
    strip = math.ceil(n / 16) or 1
    for start in range(0, n, strip):
        stop = start + strip
        below = (rows[start:] @ rows[start:stop].T).toarray()
        products[start:, start:stop] = below
        products[start:stop, start:] = below.T
    return products


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of each row's k largest scores, best first, ties by position.

    Most scores are never sorted. Each row has a lower bound of its k-th largest score; the
    few scores that reach it are found in one pass, and only they are put in order.

    >>> largest(np.array([[1.0, 3.0, 2.0, 3.0, 2.0]]), 3)
    array([[1, 3, 2]])
    """
    n_rows, width = scores.shape
    bound = _lower_bound(scores, k)
    cells = np.flatnonzero(scores >= bound[:, None])
    rows = cells // width
    values = scores.ravel()[cells]
    is_tie = values == bound[rows]
    enough = ~is_tie | (_rank_within_row(is_tie, rows, n_rows) <= k)  # k ties a row suffice
    cells = cells[enough]
    rows = rows[enough]
    values = values[enough]
    first_of_row = np.searchsorted(rows, np.arange(n_rows))
    columns = np.arange(len(rows)) - first_of_row[rows]
    most = max(k, columns.max(initial=0) + 1)
    positions = np.zeros((n_rows, most), dtype=np.intp)
    positions[rows, columns] = cells % width
    descending = np.full((n_rows, most), np.inf)
    descending[rows, columns] = -values
    order = np.argsort(descending, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(positions, order, axis=1)


def _lower_bound(scores: np.ndarray, k: int) -> np.ndarray:
    """Return a number for each row that its k-th largest score is never below.

    It is the k-th largest of the maxima of groups: each of these is a score of the row.
    """
    n_rows, width = scores.shape
    size = min(20, width // (8 * k)) or 1
    n_groups = width // size
    grouped = n_groups * size
    maxima = scores[:, :grouped].reshape(n_rows, size, n_groups).max(axis=1)
    candidates = np.hstack([maxima, scores[:, grouped:]])
    return np.partition(candidates, -k, axis=1)[:, -k]


def _rank_within_row(marked: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Count for each cell the marked ones of its row up to it; ``rows`` rise."""
    marked_so_far = np.cumsum(marked)
    marked_before = marked_so_far - marked
    first_of_row = np.searchsorted(rows, np.arange(n_rows))
    return marked_so_far - marked_before[first_of_row][rows]


def unit_range(scores: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Scale each row to [0, 1] by its scores at the cells marked ``among``; a constant is 0."""
    low = np.min(scores, axis=1, where=among, initial=np.inf, keepdims=True)
    high = np.max(scores, axis=1, where=among, initial=-np.inf, keepdims=True)
    span = high - low
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
    items = []
    scores = []
    for start in range(0, max(len(users), 1), BATCH):
        batch = users[start : start + BATCH]
        seen = None if exclude is None else exclude[batch]
        batch_scores = np.array(model.score(batch))
        best_items, best_scores = _rank(batch_scores, k, seen, candidates)
        items.append(best_items)
        scores.append(best_scores)
    return TopK(users, np.concatenate(items), np.concatenate(scores))


def _rank(
    scores: np.ndarray, k: int, seen: csr_array | None, candidates: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mask, cut and pad one batch; ``scores`` is a private copy and is overwritten."""
    n_users, n_items = scores.shape
    if np.isnan(scores.max(initial=-np.inf)):
        raise ValueError("the model scored NaN; a score must be a number for every item")
    if candidates is not None:
        if candidates.shape != (n_items,) or candidates.dtype != bool:
            raise ValueError(f"candidates must be {n_items} booleans, one for each item")
        scores[:, np.flatnonzero(~candidates)] = -np.inf
    if seen is not None:
        rows = np.repeat(np.arange(n_users), np.diff(seen.indptr))
        scores[rows, seen.indices] = -np.inf
    width = min(k, n_items)
    items = largest(scores, width)
    best = np.take_along_axis(scores, items, axis=1)
    items[np.isneginf(best)] = -1
    gap = ((0, 0), (0, k - width))
    padded_items = np.pad(items, gap, constant_values=-1)
    padded_scores = np.pad(best, gap, constant_values=-np.inf)
    return padded_items, padded_scores
