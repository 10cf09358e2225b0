"""Rank the top 10 of all users from 64 factors, what they have seen left out."""

import numpy as np
from logs import interactions
from steps.shared import factors, same_lists

check = same_lists


def peer(size):
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    train = csr_matrix(interactions(size)[0], dtype=np.float32)
    model = AlternatingLeastSquares(factors=64, num_threads=1)
    model.user_factors, model.item_factors = factors(train.shape)
    users = np.arange(train.shape[0])
    yield
    lists, _ = model.recommend(users, train, N=10, filter_already_liked_items=True)
    yield
    yield {"lists": lists}


def ours(size):
    from kpay_lab.recommend.als import ALS
    from kpay_lab.recommend.base import top_k

    train, _ = interactions(size)
    model = ALS()
    model.user_factors_, model.item_factors_ = factors(train.shape)
    users = np.arange(train.shape[0])
    yield
    lists = top_k(model, users, 10, exclude=train)
    yield
    yield {"lists": lists.items}


def floor(size):
    """The bare matrix product, a block of users at a time."""
    train, _ = interactions(size)
    users, items = factors(train.shape)
    block = np.empty((512, len(items)), dtype=np.float32)
    yield
    for start in range(0, len(users), 512):
        some = users[start : start + 512]
        np.matmul(some, items.T, out=block[: len(some)])
    yield
