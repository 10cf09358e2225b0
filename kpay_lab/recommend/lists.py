"""Lists as tables of ids: who is shown what, where, and why; and which items are alike."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import (
    Explains,
    Recommender,
    TopK,
    Training,
    rank,
    top_k,
    trained_items,
)
from kpay_lab.recommend.candidates import candidate_items
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.linear import FactorModel, ItemToItemModel
from kpay_lab.recommend.neighbours import SharedUsers, similarity
from kpay_lab.recommend.popularity import Popularity, WithFallback

COLD = "popular with everybody"
REASONS_AT_ONCE = 2**22


def recommend_for_all(
    tables: Tables,
    model: Recommender,
    k: int,
    *,
    interest_of: Callable[[Tables], InterestMatrix],
    **only: Any,
) -> pd.DataFrame:
    """Let a model learn from the whole log and list k items for every user.

    What a user met is not shown again; items nobody met, and those that `candidate_items`
    leaves out, are no candidates. A cold user gets the most popular items. Where everybody
    met every candidate there is nothing to list: no rows.

    Parameters
    ----------
    only
        What else `candidate_items` asks of an item, such as ``reviewed_only=True``.

    Returns
    -------
    DataFrame
        ``user_id, rank`` (from 1), ``item_id, title`` (the id where there is none),
        ``score, why``; users in the order of the log.
    """
    interest = interest_of(tables)
    train = Training(interest, tables)
    users = np.arange(len(interest.users))
    candidates = _candidates(tables, interest, **only)
    n_met = np.bincount(interest.values.indices, minlength=len(interest.items))
    is_new_to_somebody = n_met < len(users)
    if not is_new_to_somebody[candidates].any():
        nothing = np.empty((len(users), 0))
        empty = TopK(users, nothing.astype(int), nothing)
        return _with_users(empty, train, nothing.astype(str))
    fitted = WithFallback(model=model).fit(train)
    return recommend_to(users, fitted, explaining_model(model, train), train, k, **only)


def recommend_to(
    users: np.ndarray,
    fitted: WithFallback,
    explaining: Explains,
    train: Training,
    k: int,
    **only: Any,
) -> pd.DataFrame:
    """List k items for each of some users, by a model that has learned ``train``.

    Parameters
    ----------
    users : int array of shape (n,)
        User positions.
    explaining : Explains
        The `explaining_model` of the model, made once for many calls.
    only
        See `recommend_for_all`, which also says what the table holds.
    """
    interest = train.interest
    candidates = _candidates(train.tables, interest, **only)
    top = top_k(fitted, users, k, exclude=interest.values, candidates=candidates)
    why = explain_lists(top, explaining, train)
    is_popularity = isinstance(fitted.model, Popularity)
    why[fitted.cold_[users] | is_popularity] = COLD
    return _with_users(top, train, why)


def recommend_to_newcomer(
    history: csr_array,
    fitted: WithFallback,
    explaining: Explains,
    train: Training,
    k: int,
    **only: Any,
) -> pd.DataFrame:
    """List k items for somebody whom the model has not met, without a new fit.

    Parameters
    ----------
    history : csr_array of shape (1, n_items)
        Their degrees of interest.
    fitted, explaining, only
        See `recommend_to`.

    Returns
    -------
    DataFrame
        As `recommend_for_all`, without ``user_id``.

    Raises
    ------
    ValueError
        If the model cannot score newcomers.
    """
    candidates = _candidates(train.tables, train.interest, **only)
    scores = fitted.score_new(history)
    top = rank(scores, k, exclude=history, candidates=candidates)
    why = explain_lists(top, explaining, train, histories=history)
    if history.nnz == 0 or isinstance(fitted.model, Popularity):
        why[:] = COLD
    return _as_table(top, train, why)


def _candidates(tables: Tables | None, interest: InterestMatrix, **only: Any) -> np.ndarray:
    """Mark the items that somebody met and that `candidate_items` allows: bool (n_items,)."""
    if tables is None:
        raise ValueError("lists need the tables of the training part, and it has none")
    return candidate_items(tables, interest.items, **only) & trained_items(interest.values)


def explaining_model(model: Recommender | Explains, train: Training) -> Explains:
    """Return the model that gives the reasons for the lists of a fitted one.

    It is the model itself where it `Explains`; for any other the users of items stand in.
    """
    if isinstance(model, Explains):
        return model
    return SharedUsers().fit(train)


def explain_lists(
    top: TopK,
    model: Recommender | Explains,
    train: Training,
    *,
    histories: csr_array | None = None,
    n: int = 2,
) -> np.ndarray:
    """Name what speaks most for each item of each list.

    These are titles of items that the user met, or for ContentBased the features that they
    share with the item. For a model that does not explain, the met items most similar to
    the listed one (cosine of their users) stand in.

    Parameters
    ----------
    histories : csr_array of shape (n_lists, n_items), optional
        For lists of newcomers: their degrees of interest, one row a list.
    n : int
        How many reasons are named at most.

    Returns
    -------
    str array of shape (n_lists, k)
        At most n titles (ids where there is none) or features, joined by ``; ``. Empty
        where nothing speaks for the item, as for a cold user, and beside −1.
    """
    explaining = explaining_model(model, train)
    names = explaining.names_ if isinstance(explaining, ContentBased) else item_titles(train)
    history_of_list = train.interest.values[top.users] if histories is None else histories
    why = np.full(top.items.shape, "", dtype=object)
    for lists in _batches(np.diff(history_of_list.indptr) * top.items.shape[1]):
        row, place = np.nonzero(top.items[lists] >= 0)
        listed = (row + lists.start, place)
        items = top.items[listed]
        if histories is None:
            reasons = explaining.explain(top.users[listed[0]], items)
        else:
            reasons = explaining.explain_new(histories[listed[0]], items)
        why[listed] = _name_strongest(reasons, names, n)
    return why


def _batches(n_reasons: np.ndarray) -> Iterator[slice]:
    """Cut lists into batches of about `REASONS_AT_ONCE`; ``n_reasons`` has those of each list."""
    n_before = np.cumsum(n_reasons) - n_reasons
    batch = n_before // REASONS_AT_ONCE
    starts = np.flatnonzero(np.diff(batch, prepend=-1))
    stops = np.append(starts[1:], len(batch))
    for start, stop in zip(starts, stops, strict=True):
        yield slice(start, stop)


def _name_strongest(reasons: csr_array, names: np.ndarray, n: int) -> np.ndarray:
    """Name the n largest weights above 0 of each row, the earlier first of equal ones."""
    reasons.sort_indices()
    weights = reasons.data.copy()
    n_reasons = np.diff(reasons.indptr)
    rows = np.flatnonzero(n_reasons)
    starts = reasons.indptr[rows]
    texts = np.full(len(n_reasons), "", dtype=object)
    for place in range(n):
        strongest = _first_largest(weights, starts)
        speaks = weights[strongest] > 0
        positions = reasons.indices[strongest[speaks]]
        named = names[positions].astype(object)
        texts[rows[speaks]] += named if place == 0 else "; " + named
        weights[strongest] = -np.inf  # named already
    return texts


def _first_largest(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the position of the largest value of each run, the first of equal ones.

    A run begins at each of ``starts`` and ends where the next begins, the last one at the end.

    >>> _first_largest(np.array([1.0, 3.0, 3.0, 2.0]), np.array([0, 3]))
    array([1, 3])
    """
    largest = np.maximum.reduceat(values, starts)
    lengths = np.diff(starts, append=len(values))
    is_largest = values == np.repeat(largest, lengths)
    positions = np.flatnonzero(is_largest)
    first_of_run = np.searchsorted(positions, starts)
    return positions[first_of_run]


def item_titles(train: Training) -> np.ndarray:
    """Return the title of each item in order of position, the id where there is none."""
    ids = train.interest.items
    if not train.has("items", "title"):
        return ids.to_numpy(dtype=object)
    items = train.need("items", "title", "the list").set_index("item_id")
    titles = items["title"].reindex(ids)
    return titles.fillna(ids.to_series()).to_numpy(dtype=object)


def similar_items(item: int, model: Recommender, train: Training, k: int) -> pd.DataFrame:
    """List the k items most like one, by a model that has learned ``train``.

    The similarity is the model's own where it has one: with item weights, what having met
    the item says for each other one; with item features or factors, their cosine. For any
    other model it is the cosine of the items' columns of the interest matrix, that is, of who
    met them.

    Parameters
    ----------
    item : int
        Position of the item.

    Returns
    -------
    DataFrame
        ``rank`` (from 1), ``item_id, title`` (the id where there is none), ``score``; an item
        whose similarity is not above 0 is not listed.
    """
    scores = _similarities(item, model, train)
    others = scores > 0
    others[item] = False
    top = rank(scores[None, :], k, candidates=others)
    return _as_table(top, train)


def _similarities(item: int, model: Recommender, train: Training) -> np.ndarray:
    """Return the similarity of one item to every item, (n_items,); see `similar_items`."""
    if isinstance(model, ItemToItemModel):
        weights = csr_array(model.item_weights_[[item]])
        return weights.toarray().ravel()
    if isinstance(model, ContentBased):
        vectors = model.features_
    elif isinstance(model, FactorModel):
        vectors = csr_array(model.item_factors_)
    else:
        vectors = csr_array(train.interest.values.T)
    return similarity(vectors[[item]], vectors, "cosine").ravel()


def _with_users(top: TopK, train: Training, why: np.ndarray) -> pd.DataFrame:
    """Return the lists as `_as_table` does, with a first column ``user_id``."""
    table = _as_table(top, train, why)
    row = np.nonzero(top.items >= 0)[0]
    table.insert(0, "user_id", train.interest.users[top.users[row]])
    return table


def _as_table(top: TopK, train: Training, why: np.ndarray | None = None) -> pd.DataFrame:
    """Return a row for each filled place of the lists, list by list."""
    listed = top.items >= 0
    place = np.nonzero(listed)[1]
    items = top.items[listed]
    table = {
        "rank": place + 1,
        "item_id": train.interest.items[items],
        "title": pd.Series(item_titles(train)[items], dtype="str"),
        "score": top.scores[listed].astype(np.float64),
    }
    if why is not None:
        table["why"] = pd.Series(why[listed], dtype="str")
    return pd.DataFrame(table)
