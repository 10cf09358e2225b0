"""The lists themselves, as a table for machines: who is shown what, in which place, and why."""

from typing import Any

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.split import InterestOf
from kpay_lab.recommend.base import Recommender, Training, top_k, trained_items
from kpay_lab.recommend.candidates import candidate_items
from kpay_lab.recommend.popularity import Popularity, WithFallback
from kpay_lab.recommend.why import explain_lists

COLD = "popular with everybody"


def recommend_for_all(
    tables: Tables, model: Recommender, k: int, *, interest_of: InterestOf, **only: Any
) -> pd.DataFrame:
    """Let a model learn from the whole log and list k items for every user.

    What a user met is not shown again; items nobody met, and kinds that cannot be sold where
    others can, are no candidates. A cold user gets the most popular items.

    Parameters
    ----------
    interest_of : callable, Tables -> InterestMatrix
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
    fitted = WithFallback(model=model).fit(train)
    users = np.arange(len(interest.users))
    candidates = candidate_items(tables, interest.items, **only) & trained_items(interest.values)
    top = top_k(fitted, users, k, exclude=interest.values, candidates=candidates)
    why = explain_lists(top, model, train)
    why[fitted.cold_ | isinstance(model, Popularity)] = COLD
    there = top.items >= 0
    row, place = np.nonzero(there)
    items = top.items[there]
    table = {
        "user_id": interest.users[row],
        "rank": place + 1,
        "item_id": interest.items[items],
        "title": item_titles(train)[items],
        "score": top.scores[there].astype(np.float64),
        "why": why[there],
    }
    return pd.DataFrame(table).astype({"why": "str", "title": "str"})


def item_titles(train: Training) -> np.ndarray:
    """Return the title of each item in order of position, the id where there is none."""
    ids = train.interest.items
    if not train.has("items", "title"):
        return ids.to_numpy()
    titles = train.need("items", "title", "the lists").set_index("item_id")["title"]
    return titles.reindex(ids).fillna(ids.to_series()).to_numpy()
