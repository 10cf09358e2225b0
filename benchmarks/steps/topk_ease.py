"""Rank the top 10 of all users by a fitted EASE, as a table of ids, ranks and scores."""

import numpy as np
import pandas as pd
from logs import interactions

REG = 400.0


def peer(size):
    from rectools.dataset import Dataset
    from rectools.models import EASEModel

    train, _ = interactions(size)
    cells = train.tocoo()
    log = {"user_id": cells.row, "item_id": cells.col, "weight": 1.0, "datetime": "2024-01-01"}
    dataset = Dataset.construct(pd.DataFrame(log))
    model = EASEModel(regularization=REG, recommend_n_threads=1).fit(dataset)
    model.weight = np.ascontiguousarray(model.weight.T)  # it ranks by X Bᵀ; the paper says X B
    users = np.unique(cells.row)
    yield
    table = model.recommend(users, dataset, k=10, filter_viewed=True)
    yield
    yield {name: table[name].to_numpy(np.int64) for name in ("user_id", "item_id", "rank")}


def ours(size):
    from steps.shared import interest

    from kpay_lab.recommend.base import Training, top_k
    from kpay_lab.recommend.ease import EASE

    train, _ = interactions(size)
    training = Training.from_matrix(interest(train))
    model = EASE(reg=REG).fit(training)
    users = np.flatnonzero(np.diff(train.indptr))
    ids = training.interest.users, training.interest.items
    yield
    top = top_k(model, users, 10, exclude=train)
    table = {
        "user_id": ids[0][np.repeat(users, 10)],
        "item_id": ids[1][top.items.ravel()],
        "rank": np.tile(np.arange(1, 11), len(users)),
        "score": top.scores.ravel(),
    }
    table = pd.DataFrame(table)
    yield
    numbers = {name: table[name].str[1:].astype(int) for name in ("user_id", "item_id")}
    yield {**numbers, "rank": table["rank"]}


def floor(size):
    """The sparse product of histories and weights alone."""
    train, _ = interactions(size)
    histories = train.astype(np.float32)
    weights = np.ones((train.shape[1], train.shape[1]), dtype=np.float32)
    yield
    histories @ weights
    yield


def check(peer, ours):
    keys = [
        (way["user_id"] * 10 + way["rank"] - 1) * 10**6 + way["item_id"] for way in (peer, ours)
    ]
    equal = np.isin(*keys).mean()
    assert equal >= 0.999, f"only {equal:.2%} of the slots are equal"
    return f"{equal:.3%} of top-10 slots equal"
