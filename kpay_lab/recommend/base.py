"""What a model may learn from, what it offers, and how scores become ranked lists.

Models score; `top_k` and `rank` alone rank. Users and items are positions in an
`InterestMatrix`.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix

Matrix = TypeVar("Matrix", np.ndarray, csr_array)

LARGEST_SEED = 2**32 - 1  # NumPy, scikit-learn and Spark all accept seeds up to here
# Users scored at once: their scores should still be in the CPU's cache when ranked, and of a
# large catalogue, whose scores are larger than that, they should not fill the memory.
BATCH = 512
BATCH_CELLS = 2**22

N_STRIPS = 16  # of a Gram matrix

TIES = ("position", "mean")
# Scores that lie closer than this share of a row's largest one are tied: they are equal but for
# the order in which their parts were added up.
ROUNDING = {"float32": 1e-5, "float64": 1e-10}


@dataclass(frozen=True)
class Training:
    """Everything a model may learn from: the training part, and nothing after it.

    Parameters
    ----------
    interest : InterestMatrix
        Degrees of interest of the training events, (n_users, n_items).
    tables : Tables, optional
        The tables as they were known at training time, with the training events only.
    """

    interest: InterestMatrix
    tables: Tables | None = None

    @classmethod
    def from_matrix(cls, interest: InterestMatrix) -> Self:
        """Wrap a bare matrix, for tests and benchmarks."""
        return cls(interest)

    def has(self, table: str, column: str) -> bool:
        """Return whether the table exists and the column has at least one value."""
        frame = getattr(self.tables, table, None)
        if frame is None or column not in frame:
            return False
        return bool(frame[column].notna().any())

    def need(self, table: str, column: str, needed_by: str) -> pd.DataFrame:
        """Return a table; a ValueError if its column has no value.

        ``needed_by`` names the model in the message.
        """
        if not self.has(table, column):
            raise ValueError(
                f"{needed_by} needs {table}.{column}, and this training part has none; "
                "add the column or choose another model"
            )
        return getattr(self.tables, table)


@runtime_checkable
class Recommender(Protocol):
    """What every model offers: it learns and scores, and never filters, ranks or evaluates.

    What a model may offer beyond that is declared by `NeedsData`, `Explains` and
    `ScoresNewcomers`.
    """

    def fit(self, train: Training) -> Self:
        """Learn from the training part."""

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return a score for each user and item, higher is better: (len(users), n_items)."""


@runtime_checkable
class NeedsData(Recommender, Protocol):
    """A model that learns from more than the degrees of interest."""

    def lacks(self, train: Training) -> str:
        """Say in a few words what the training part lacks; the empty text if nothing."""


@runtime_checkable
class Explains(Protocol):
    """What can say how much each item of a history speaks for another item, as most models do."""

    def explain(self, users: np.ndarray, items: np.ndarray) -> csr_array:
        """Weigh the reasons for recommending ``items[p]`` to ``users[p]``, pair by pair.

        Both arrays are (n_pairs,), and the weights (n_pairs, n_reasons): the larger a weight,
        the more the reason speaks for the item. The reasons are the items of the user's
        history, by position; those of `ContentBased` are features.
        """

    def explain_new(self, histories: csr_array, items: np.ndarray) -> csr_array:
        """Weigh the same for newcomers: row p of the histories belongs to ``items[p]``."""


@runtime_checkable
class ScoresNewcomers(Recommender, Protocol):
    """A model that scores people who were not in the training part, without a new fit."""

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return a score for each newcomer and item: (n_newcomers, n_items).

        ``histories`` holds their degrees of interest, (n_newcomers, n_items).
        """


@runtime_checkable
class ScoresCandidates(Recommender, Protocol):
    """A model whose scores cost so much that it makes only those of candidates."""

    def score_candidates(self, users: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
        """Return a score for each candidate: (len(users), n_items).

        ``is_candidate`` is a bool array of that shape; where it is false any score may stand.
        """


def lack_of(model: Recommender, train: Training) -> str:
    """Return why a training part cannot feed a model; the empty text if it can."""
    return model.lacks(train) if isinstance(model, NeedsData) else ""


def candidate_scores(model: Recommender, users: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
    """Return scores of which those of candidates matter: (len(users), n_items).

    Most models score every item as fast; one that `ScoresCandidates` is asked for these alone.
    """
    if isinstance(model, ScoresCandidates):
        return model.score_candidates(users, is_candidate)
    return model.score(users)


@dataclass(frozen=True)
class Learned:
    """A model that has learned a training part already, so that `fit` has nothing to do.

    Parameters
    ----------
    model : Recommender, fitted
    train : Training
        What it has learned.
    """

    model: Recommender
    train: Training

    def fit(self, train: Training) -> Self:
        """Do nothing; a ValueError if it is another training part than the model has learned."""
        if train is not self.train:
            raise ValueError("the model has learned another training part; fit a new one to this")
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the model's scores: (len(users), n_items)."""
        return self.model.score(users)

    def score_candidates(self, users: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
        """Return the model's scores of what is asked for: (len(users), n_items)."""
        return candidate_scores(self.model, users, is_candidate)


def scoring_newcomers(model: Recommender) -> ScoresNewcomers:
    """Return the model if it scores newcomers.

    Raises
    ------
    ValueError
        If it does not; the message names it, and says what to do.
    """
    if isinstance(model, ScoresNewcomers):
        return model
    raise ValueError(
        f"{type(model).__name__} cannot score newcomers by their degrees of interest alone; "
        "choose a model with score_new, such as ease, als or popularity, or fit it anew to a log "
        "that has them"
    )


@dataclass(frozen=True)
class Ties:
    """Which candidates a model scored alike, so that nothing but their position orders them.

    Parameters
    ----------
    first_place : int array of shape (n_lists, k)
        The first place, from 0, of those that are tied with the place.
    beyond : csr_array of shape (n_lists, n_items)
        Marks the candidates that are tied with the last place and are not in the list.
    is_constant : bool array of shape (n_lists,)
        Whether a list had two candidates or more, all tied.
    is_choice : bool array of shape (n_lists,)
        Whether a list had two candidates or more.
    """

    first_place: np.ndarray
    beyond: csr_array
    is_constant: np.ndarray
    is_choice: np.ndarray

    def part(self, rows: slice) -> Self:
        """Return the ties of some of the lists."""
        return type(self)(
            self.first_place[rows],
            self.beyond[rows],
            self.is_constant[rows],
            self.is_choice[rows],
        )

    @property
    def orders_nothing(self) -> bool:
        """Whether every list that had a choice was one tie."""
        return bool(self.is_choice.any() and self.is_constant[self.is_choice].all())


@dataclass(frozen=True)
class TopK:
    """One ranked list for each user.

    Parameters
    ----------
    users : int array of shape (n_lists,)
        User positions.
    items : int array of shape (n_lists, k)
        Item positions, best first; of equal scores the smaller position comes first. Where a
        user has fewer than k candidates, −1 fills the end of the list.
    scores : float array of shape (n_lists, k)
        The items' scores; −inf beside −1.
    ties : Ties, optional
        Where the order of the lists is that of positions alone.
    """

    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray
    ties: Ties | None = None

    def part(self, rows: slice) -> Self:
        """Return some of the lists."""
        ties = None if self.ties is None else self.ties.part(rows)
        return type(self)(self.users[rows], self.items[rows], self.scores[rows], ties)


def trained_items(values: csr_array) -> np.ndarray:
    """Return which items some user met in training: bool array of shape (n_items,)."""
    return np.bincount(values.indices, minlength=values.shape[1]) > 0


def product(history: csr_array, weights: np.ndarray | csr_array) -> np.ndarray:
    """Return the dense product of sparse rows (n, m) and weights (m, p), sparse or dense."""
    scores = history @ weights
    return scores if isinstance(scores, np.ndarray) else scores.toarray()


def gram(rows: csr_array) -> np.ndarray:
    """Return the Gram matrix X Xᵀ of sparse rows X (n, m) as a dense array (n, n).

    It is symmetric, so only the part on and below the diagonal is computed, and then mirrored.
    A strip of columns at a time fits the CPU's cache, and the sparse product is never whole in
    memory.
    """
    n = rows.shape[0]
    gram_matrix = np.empty((n, n), dtype=rows.dtype)
    width = math.ceil(n / N_STRIPS) or 1
    for start in range(0, n, width):
        stop = start + width
        strip = (rows[start:] @ rows[start:stop].T).toarray()
        gram_matrix[start:, start:stop] = strip
        gram_matrix[start:stop, start:] = strip.T
    return gram_matrix


def unit_rows(matrix: Matrix) -> Matrix:
    """Scale each row to length 1; a row of zeros stays as it is.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8], [0. , 0. ]])
    """
    from sklearn.preprocessing import normalize  # here, for it is slow to import

    if matrix.shape[0] == 0:  # scikit-learn refuses a matrix without rows
        return matrix
    return normalize(matrix)


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of each row's k largest scores, best first, ties by position.

    Sorting every score would be slow. So a lower bound of the k-th largest score is found for
    each row, which is cheap; the few scores that reach the bound contain the k largest, and
    only they are sorted.

    >>> largest(np.array([[1.0, 3.0, 2.0, 3.0, 2.0]]), 3)
    array([[1, 3, 2]])
    """
    n_rows, width = scores.shape
    bound = _lower_bound(scores, k)
    cells = np.flatnonzero(scores >= bound[:, None])  # cell = row * width + position
    rows = cells // width
    values = scores.ravel()[cells]
    is_tie = values == bound[rows]
    nth_tie = count_within_row(is_tie, rows, n_rows)
    is_kept = ~is_tie | (nth_tie <= k)  # more than k ties in a row are never needed
    cells = cells[is_kept]
    rows = rows[is_kept]
    values = values[is_kept]
    first_of_row = np.searchsorted(rows, np.arange(n_rows))
    columns = np.arange(len(rows)) - first_of_row[rows]
    n_columns = max(k, columns.max(initial=0) + 1)
    positions = np.zeros((n_rows, n_columns), dtype=np.intp)
    positions[rows, columns] = cells % width
    negated = np.full((n_rows, n_columns), np.inf)  # a rising sort puts the largest score first
    negated[rows, columns] = -values
    order = np.argsort(negated, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(positions, order, axis=1)


def _lower_bound(scores: np.ndarray, k: int) -> np.ndarray:
    """Return a lower bound of each row's k-th largest score, of shape (n_rows,).

    The row is cut into groups, and the bound is the k-th largest of the groups' maxima. At
    least k scores of the row reach it, because each maximum is one of them.
    """
    n_rows, width = scores.shape
    # Larger groups leave fewer maxima, but then the bound lies far below the k-th largest
    # score. So a row has at least 8 k groups (or no groups), of at most 20 scores each.
    group_size = min(20, width // (8 * k)) or 1
    n_groups = width // group_size
    n_grouped = n_groups * group_size
    maxima = scores[:, :n_grouped].reshape(n_rows, group_size, n_groups).max(axis=1)
    ungrouped = scores[:, n_grouped:]
    maxima_and_rest = np.hstack([maxima, ungrouped])
    return np.partition(maxima_and_rest, -k, axis=1)[:, -k]


def count_within_row(marked: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Return for each cell how many cells of its row are marked up to and including itself.

    ``rows`` holds the row of each cell, in rising order.
    """
    marked_so_far = np.cumsum(marked)
    marked_before = np.append(0, marked_so_far)  # the last row may be empty: a place more
    first_of_row = np.searchsorted(rows, np.arange(n_rows))
    return marked_so_far - marked_before[first_of_row][rows]


def unit_range_by_row(scores: np.ndarray, is_compared: np.ndarray) -> np.ndarray:
    """Scale each row so that its compared scores reach from 0 to 1; a constant row becomes 0.

    ``is_compared`` is a bool array of the shape of ``scores``, (n_rows, n_columns).
    """
    low = np.min(scores, axis=1, where=is_compared, initial=np.inf, keepdims=True)
    high = np.max(scores, axis=1, where=is_compared, initial=-np.inf, keepdims=True)
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
    candidates: np.ndarray | csr_array | None = None,
    ties: str = "position",
) -> TopK:
    """Rank the k best items for each user.

    A list always has an order, and that of equal scores is the order of positions. It is
    enough for lists that are shown, and what reference numbers of other libraries rest on. A
    judgement must not rest on it, because positions are those of rows in a file: with
    ``ties="mean"`` the lists carry their ties, and metrics are the mean over every order of
    them (`evaluate.ties`).

    Parameters
    ----------
    model : Recommender, fitted
    users : int array of shape (n,)
        User positions.
    k : int
        Length of each list.
    exclude : csr_array of shape (n_users, n_items), optional
        A user is never given an item that has a stored value here. Usually it is the training
        matrix, so that what the user met is not recommended again.
    candidates : bool array of shape (n_items,) or csr_array of shape (n_users, n_items), optional
        Items that may be recommended, to everybody alike or to each user those with a stored
        value. By default those that some user has in ``exclude``; without ``exclude``, all.
    ties : {"position", "mean"}
        Whether metrics of the lists take the order of equal scores as it is, or the mean over
        all orders.

    Raises
    ------
    ValueError
        If k is below 1, ``candidates`` does not fit, ``exclude`` or ``candidates`` has no such
        user, or a model scores NaN or infinity.
    """
    users = np.asarray(users, dtype=np.intp)
    if exclude is not None:
        _check_users(users, exclude.shape[0])
    if candidates is None and exclude is not None:
        candidates = trained_items(exclude)
    if isinstance(candidates, csr_array):
        _check_users(users, candidates.shape[0])
    batches = []
    batch_size = _batch_size(exclude, candidates)
    for start in range(0, max(len(users), 1), batch_size):  # no users are one empty batch
        batch = users[start : start + batch_size]
        seen = None if exclude is None else exclude[batch]
        allowed = candidates[batch] if isinstance(candidates, csr_array) else candidates
        scores_of_batch = _scores(model, batch, seen, allowed)
        lists = rank(scores_of_batch, k, exclude=seen, candidates=allowed, ties=ties)
        batches.append(lists)
    items = np.concatenate([lists.items for lists in batches])
    scores = np.concatenate([lists.scores for lists in batches])
    found = [lists.ties for lists in batches if lists.ties is not None]
    joined = _joined(found) if found else None
    return TopK(users, items, scores, joined)


def _scores(
    model: Recommender,
    users: np.ndarray,
    exclude: csr_array | None,
    candidates: np.ndarray | csr_array | None,
) -> np.ndarray:
    """Score some users' items; ``exclude``, and ``candidates`` of a user, have a row for each."""
    if candidates is None or not isinstance(model, ScoresCandidates):
        return model.score(users)
    shape = (len(users), candidates.shape[-1])
    is_asked = np.array(_candidate_cells(candidates, shape))
    if exclude is not None:
        is_asked[exclude.tocoo().coords] = False
    return model.score_candidates(users, is_asked)


def _batch_size(exclude: csr_array | None, candidates: np.ndarray | csr_array | None) -> int:
    """Return how many users are scored at once; what is left out or allowed tells the items."""
    marks = candidates if exclude is None else exclude
    return BATCH if marks is None else users_at_once(marks.shape[-1])


def users_at_once(n_items: int) -> int:
    """Return for how many users a number for each item may be in memory at once."""
    return int(np.clip(BATCH_CELLS // max(n_items, 1), 1, BATCH))


def _check_users(users: np.ndarray, n_users: int) -> None:
    """Refuse positions that there are not: -1 would be the last user."""
    is_unknown = (users < 0) | (users >= n_users)
    if is_unknown.any():
        unknown = users[is_unknown][0]
        raise ValueError(f"users holds {unknown}; positions are from 0 to {n_users - 1}")


def _joined(batches: list[Ties]) -> Ties:
    """Join the ties of batches of lists."""
    first_place = np.concatenate([ties.first_place for ties in batches])
    beyond = vstack([ties.beyond for ties in batches], format="csr")
    is_constant = np.concatenate([ties.is_constant for ties in batches])
    is_choice = np.concatenate([ties.is_choice for ties in batches])
    return Ties(first_place, csr_array(beyond), is_constant, is_choice)


def rank(
    scores: np.ndarray,
    k: int,
    *,
    exclude: csr_array | None = None,
    candidates: np.ndarray | csr_array | None = None,
    ties: str = "position",
) -> TopK:
    """Rank the k best items of each row of scores, (n_rows, n_items).

    ``exclude`` has the shape of ``scores``, and so have ``candidates`` that depend on the row;
    otherwise as `top_k`, but without ``candidates`` all items may be recommended. The lists'
    users are the rows, numbered from 0.
    """
    if k < 1:
        raise ValueError(f"k is {k}; a list needs at least 1 place")
    if ties not in TIES:
        raise ValueError(f"ties is {ties!r}; choose one of {', '.join(TIES)}")
    _check_scores(scores)
    is_candidate = None if candidates is None else _candidate_cells(candidates, scores.shape)
    if isinstance(candidates, np.ndarray) and candidates.any():  # the same for everybody
        if not candidates.all():
            return _rank_among(scores, k, np.flatnonzero(candidates), exclude, ties)
        is_candidate = None
    own_scores = np.array(scores)
    if is_candidate is not None:
        own_scores[~is_candidate] = -np.inf
    return _rank_own(own_scores, k, exclude, ties)


def _rank_own(scores: np.ndarray, k: int, exclude: csr_array | None, ties: str) -> TopK:
    """Rank the items of scores that nobody else reads: what is left out is struck out in them."""
    n_rows, n_items = scores.shape
    if exclude is not None:
        rows = np.repeat(np.arange(n_rows), np.diff(exclude.indptr))
        scores[rows, exclude.indices] = -np.inf
    width = min(k, n_items)
    items = largest(scores, width)
    best = np.take_along_axis(scores, items, axis=1)
    items[np.isneginf(best)] = -1
    padding = ((0, 0), (0, k - width))  # on the right only
    padded_items = np.pad(items, padding, constant_values=-1)
    padded_scores = np.pad(best, padding, constant_values=-np.inf)
    found = find_ties(scores, padded_items, padded_scores) if ties == "mean" else None
    return TopK(np.arange(n_rows), padded_items, padded_scores, found)


def _rank_among(
    scores: np.ndarray, k: int, columns: np.ndarray, exclude: csr_array | None, ties: str
) -> TopK:
    """Rank the items of some columns, where they alone may be recommended, to everybody."""
    scores_of_columns = np.take(scores, columns, axis=1)
    excluded = None if exclude is None else exclude[:, columns]
    lists = _rank_own(scores_of_columns, k, excluded, ties)
    items = np.where(lists.items >= 0, columns[lists.items], -1)
    found = lists.ties
    if found is not None:
        beyond = found.beyond
        cells = (beyond.data, columns[beyond.indices], beyond.indptr)
        found = replace(found, beyond=csr_array(cells, shape=scores.shape))
    return replace(lists, items=items, ties=found)


def _check_scores(scores: np.ndarray) -> None:
    """Refuse NaN and infinity: neither has a place in an order."""
    largest_score = scores.max(initial=-np.inf)  # a maximum with NaN is NaN
    if np.isnan(largest_score) or np.isposinf(largest_score):
        is_wrong = np.isnan(scores) | np.isposinf(scores)
        row, item = np.argwhere(is_wrong)[0]
        given = "NaN" if np.isnan(scores[row, item]) else "infinity"
        raise ValueError(
            f"the model scored {given} for item {item} in row {row}; "
            "a score must be a number for every item"
        )


def _candidate_cells(candidates: np.ndarray | csr_array, shape: tuple[int, int]) -> np.ndarray:
    """Mark the cells of scores whose item may be recommended in that row: bool of that shape."""
    n_rows, n_items = shape
    if isinstance(candidates, np.ndarray):
        if candidates.shape != (n_items,) or candidates.dtype != bool:
            raise ValueError(f"candidates must be {n_items} booleans, one for each item")
        return np.broadcast_to(candidates, shape)
    if candidates.shape != shape:
        raise ValueError(
            f"candidates has the shape {candidates.shape} and the scores {shape}; give a row for "
            "each list and a column for each item"
        )
    rows = np.repeat(np.arange(n_rows), np.diff(candidates.indptr))
    is_candidate = np.zeros(shape, dtype=bool)
    is_candidate[rows, candidates.indices] = True
    return is_candidate


def find_ties(scores: np.ndarray, items: np.ndarray, best: np.ndarray) -> Ties:
    """Find which places of ranked lists are tied, and with which candidates beyond them.

    Parameters
    ----------
    scores : array of shape (n_rows, n_items)
        −inf where an item is no candidate.
    items, best : arrays of shape (n_rows, k)
        The lists and their scores, as in `TopK`.

    Examples
    --------
    >>> scores = np.array([[3.0, 1.0, 1.0, 1.0]])
    >>> ties = find_ties(scores, np.array([[0, 1]]), np.array([[3.0, 1.0]]))
    >>> ties.first_place, ties.beyond.indices
    (array([[0, 1]]), array([2, 3], dtype=int32))
    """
    is_candidate = np.isfinite(scores)
    n_candidates = is_candidate.sum(axis=1)
    is_choice = n_candidates > 1
    highest = scores.max(axis=1, initial=-np.inf)
    lowest = np.where(is_candidate, scores, np.inf).min(axis=1, initial=np.inf)
    largest_size = np.maximum(np.abs(highest), np.abs(lowest))
    largest_size[n_candidates == 0] = 0.0
    slack = largest_size * ROUNDING[_precision(scores)]
    is_constant = is_choice & (lowest >= highest - slack)
    beyond = _tied_beyond(scores, items, best[:, -1] - slack)
    return Ties(_first_places(items, best, slack), beyond, is_constant, is_choice)


def _first_places(items: np.ndarray, best: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Return the first place of each place's group, (n_rows, k); an empty place is its own."""
    is_listed = items >= 0
    listed_scores = np.where(is_listed, best, 0.0)
    fall = listed_scores[:, :-1] - listed_scores[:, 1:]
    opens_group = np.ones(items.shape, dtype=bool)
    opens_group[:, 1:] = (fall > slack[:, None]) | ~is_listed[:, 1:]
    places = np.arange(items.shape[1])
    opening_places = np.where(opens_group, places, 0)
    return np.maximum.accumulate(opening_places, axis=1)


def _precision(scores: np.ndarray) -> str:
    return "float32" if scores.dtype == np.float32 else "float64"


def _tied_beyond(scores: np.ndarray, items: np.ndarray, bound: np.ndarray) -> csr_array:
    """Mark the candidates that reach the bound of their row and are not in its list."""
    is_full = items[:, -1] >= 0
    is_beyond = scores >= bound[:, None]
    is_beyond[~is_full] = False
    row, place = np.nonzero(items >= 0)
    listed = items[row, place]
    is_beyond[row, listed] = False
    return csr_array(is_beyond)
