"""Lists as tables of ids: who is shown what, where, and why; and which items are alike."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, diags_array

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Recommender, TopK, Training, product, top_k, trained_items
from kpay_lab.recommend.candidates import candidate_items
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.neighbours import ItemNeighbours, similarity
from kpay_lab.recommend.popularity import Popularity, WithFallback

COLD = "popular with everybody"


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
    if not (n_met[candidates] < len(users)).any():
        nothing = np.empty((len(users), 0))
        return _as_table(TopK(users, nothing.astype(int), nothing), nothing.astype(str), train)
    fitted = WithFallback(model=model).fit(train)
    return recommend_to(users, fitted, explaining_model(model, train), train, k, **only)


def recommend_to(
    users: np.ndarray,
    fitted: WithFallback,
    explaining: Recommender,
    train: Training,
    k: int,
    **only: Any,
) -> pd.DataFrame:
    """List k items for each of some users, by a model that has learned ``train``.

    Parameters
    ----------
    users : int array of shape (n,)
        User positions.
    explaining : Recommender
        The `explaining_model` of the model, made once for many calls.
    only
        See `recommend_for_all`, which also says what the table holds.
    """
    interest = train.interest
    candidates = _candidates(train.tables, interest, **only)
    top = top_k(fitted, users, k, exclude=interest.values, candidates=candidates)
    why = explain_lists(top, explaining, train)
    why[fitted.cold_[users] | isinstance(fitted.model, Popularity)] = COLD
    return _as_table(top, why, train)


def _candidates(tables: Tables | None, interest: InterestMatrix, **only: Any) -> np.ndarray:
    if tables is None:
        raise ValueError("lists need the tables of the training part, and it has none")
    return candidate_items(tables, interest.items, **only) & trained_items(interest.values)


def explaining_model(model: Recommender, train: Training) -> Recommender:
    """Return the model that gives the reasons for the lists of a fitted one.

    It is the model itself where it scores by history · item weights; for any other the
    neighbours of items stand in.
    """
    if hasattr(model, "item_weights_"):
        return model
    return ItemNeighbours(n_neighbors=None).fit(train)


def explain_lists(top: TopK, model: Recommender, train: Training, *, n: int = 2) -> np.ndarray:
    """Name what speaks most for each item of each list.

    A model that scores by history · item weights is taken apart exactly: the contribution
    of a met item j to item i is h_uj · w_ji. ContentBased names shared features instead.
    For any other model the met items most similar to i (cosine of their users) stand in.

    Returns
    -------
    str array of shape (n_users, k)
        At most n titles (ids where there is none) or features, joined by ``; ``. Empty
        where nothing speaks for the item, as for a cold user, and beside −1.
    """
    part: Any = explaining_model(model, train)
    by_feature = isinstance(part, ContentBased)
    names = part.names_ if by_feature else item_titles(train)
    why = np.full(top.items.shape, "", dtype=object)
    for row, user in enumerate(top.users):
        listed = np.flatnonzero(top.items[row] >= 0)
        items, met = top.items[row, listed], part.history_[[user]]
        if by_feature:
            shared = part.features_[items].multiply(met @ part.features_).toarray()
        else:
            own = diags_array(met.data).tocsr()
            shared = product(own, part.item_weights_[met.indices][:, items]).T
        labels = names if by_feature else names[met.indices]
        for place, gains in zip(listed, shared, strict=True):
            best = np.argsort(-gains, kind="stable")[:n]
            why[row, place] = "; ".join(labels[best[gains[best] > 0]])
    return why


def item_titles(train: Training) -> np.ndarray:
    """Return the title of each item in order of position, the id where there is none."""
    ids = train.interest.items
    if not train.has("items", "title"):
        return ids.to_numpy(dtype=object)
    titles = train.need("items", "title", "the list").set_index("item_id")["title"].reindex(ids)
    return titles.fillna(ids.to_series()).to_numpy(dtype=object)


@dataclass(frozen=True)
class _Scored:
    """Scores that are there already, (n, n_items), in the place of a model's."""

    scores: np.ndarray

    def fit(self, train: Training) -> Self:
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.scores[users]


def similar_items(item: int, model: Recommender, train: Training, k: int) -> pd.DataFrame:
    """List the k items most like one, by a model that has learned ``train``.

    The similarity is the model's own where it has one: with item weights, what having met
    the item says for each other one; with item factors, their cosine. For any other model it
    is the cosine of the items' columns of the interest matrix, that is, of who met them.

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
    top = top_k(_Scored(scores[None, :]), np.array([0]), k, candidates=others)
    return _items_as_table(top, train)


def _similarities(item: int, model: Any, train: Training) -> np.ndarray:
    if hasattr(model, "item_weights_"):
        weights = csr_array(model.item_weights_[[item]])
        return weights.toarray().ravel()
    if hasattr(model, "item_factors_"):
        vectors = csr_array(model.item_factors_)
    else:
        vectors = csr_array(train.interest.values.T)
    return similarity(vectors[[item]], vectors, "cosine").ravel()


def _as_table(top: TopK, why: np.ndarray, train: Training) -> pd.DataFrame:
    table = _items_as_table(top, train)
    listed = top.items >= 0
    row = np.nonzero(listed)[0]
    table.insert(0, "user_id", train.interest.users[top.users[row]])
    table["why"] = pd.Series(why[listed], dtype="str")
    return table


def _items_as_table(top: TopK, train: Training) -> pd.DataFrame:
    listed = top.items >= 0
    place = np.nonzero(listed)[1]
    items = top.items[listed]
    table = {
        "rank": place + 1,
        "item_id": train.interest.items[items],
        "title": pd.Series(item_titles(train)[items], dtype="str"),
        "score": top.scores[listed].astype(np.float64),
    }
    return pd.DataFrame(table)
