"""The lists for a whole log, as a table for machines: who is shown what, where, and why."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import diags_array

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Recommender, TopK, Training, product, top_k, trained_items
from kpay_lab.recommend.candidates import candidate_items
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.neighbours import ItemNeighbours
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
    candidates = candidate_items(tables, interest.items, **only) & trained_items(interest.values)
    n_met = np.bincount(interest.values.indices, minlength=len(interest.items))
    if not (n_met[candidates] < len(users)).any():
        nothing = np.empty((len(users), 0))
        return _as_table(TopK(users, nothing.astype(int), nothing), nothing.astype(str), train)
    fitted = WithFallback(model=model).fit(train)
    top = top_k(fitted, users, k, exclude=interest.values, candidates=candidates)
    why = explain_lists(top, model, train)
    why[fitted.cold_ | isinstance(model, Popularity)] = COLD
    return _as_table(top, why, train)


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
    part: Any = model if hasattr(model, "item_weights_") else None
    part = part or ItemNeighbours(n_neighbors=None).fit(train)
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


def _as_table(top: TopK, why: np.ndarray, train: Training) -> pd.DataFrame:
    there = top.items >= 0
    row, place = np.nonzero(there)
    items = top.items[there]
    table = {
        "user_id": train.interest.users[row],
        "rank": place + 1,
        "item_id": train.interest.items[items],
        "title": item_titles(train)[items],
        "score": top.scores[there].astype(np.float64),
        "why": why[there],
    }
    return pd.DataFrame(table).astype({"why": "str", "title": "str"})
