"""The lists themselves, as a table for machines: who is shown what, in which place, and why."""

from typing import Any

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.split import InterestOf
from kpay_lab.recommend.base import Recommender, Training, top_k, trained_items
from kpay_lab.recommend.candidates import candidate_items
from kpay_lab.recommend.popularity import Popularity, WithFallback
from kpay_lab.recommend.why import explain_lists, item_titles

COLD = "popular with everybody"


def recommend_for_all(
    tables: Tables, model: Recommender, k: int, *, interest_of: InterestOf, **only: Any
) -> pd.DataFrame:
    """Let a model learn from the whole log and list k items for every user.

    What a user met is not shown again; items nobody met, and those that `candidate_items`
    leaves out (asked by ``only``, such as ``reviewed_only=True``), are no candidates. A cold
    user gets the most popular items. Columns ``user_id, rank`` (from 1), ``item_id, title,
    score, why``; users in the order of the log.
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
