"""Fit a model and list ten items for some users, of a shop whose catalogue has a given size.

The ways are the models by name, and the peer; the size is the number of items.
"""

from functools import partial

import numpy as np

N_USERS, N_LISTED, N_EVENTS = 10_000, 500, 400_000
N_TOPICS, OF_OWN_TOPIC = 100, 0.7
K = 10


def shop(n_items, seed=0):
    """Draw who met what: most of a user's items are of one topic, popular ones before others."""
    rng = np.random.default_rng(seed)
    own_topic = rng.integers(0, N_TOPICS, N_USERS)
    user = rng.integers(0, N_USERS, N_EVENTS)
    n_each = n_items // N_TOPICS  # item = place * topics + topic: low places are popular
    weight = np.arange(1, n_each + 1) ** -0.8
    drawn = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(N_EVENTS))
    place = np.minimum(drawn, n_each - 1)
    is_own = rng.random(N_EVENTS) < OF_OWN_TOPIC
    topic = np.where(is_own, own_topic[user], rng.integers(0, N_TOPICS, N_EVENTS))
    pairs = np.unique(user * n_items + place * N_TOPICS + topic)
    rng.shuffle(pairs)  # the order in time
    return pairs // n_items, pairs % n_items


def parts(n_items):
    """Return the interest to learn from, what was held back of the listed users, and tables."""
    import pandas as pd
    from scipy.sparse import csr_array
    from steps.shared import interest

    from kpay_lab.data.tables import Tables

    user, item = shop(n_items)
    is_held_back = (user < N_LISTED) & (np.random.default_rng(1).random(len(user)) < 0.2)
    shape = (N_USERS, n_items)
    held_back = csr_array(
        (np.ones(is_held_back.sum()), (user[is_held_back], item[is_held_back])), shape=shape
    )
    user, item = user[~is_held_back], item[~is_held_back]
    matrix = interest(csr_array((np.ones(len(user)), (user, item)), shape=shape))
    minutes = pd.to_timedelta(np.arange(len(user)), unit="min")
    events = pd.DataFrame({"user_id": matrix.users[user], "item_id": matrix.items[item]})
    events["timestamp"] = (pd.Timestamp("2024-01-01", tz="UTC") + minutes).astype(
        "datetime64[us, UTC]"
    )
    topic = pd.Series(np.arange(n_items) % N_TOPICS).astype("str")
    items = pd.DataFrame({"item_id": matrix.items, "category": "topic " + topic})
    items["title"] = "Course " + topic + " part " + (items.index // N_TOPICS).astype("str")
    return matrix, held_back, Tables.validated(events=events, items=items)


def ndcg(lists, held_back):
    """Return the mean NDCG of the lists over users of whom something was held back."""
    discount = 1 / np.log2(np.arange(2, K + 2))
    values = []
    for user, listed in enumerate(lists):
        relevant = held_back.indices[held_back.indptr[user] : held_back.indptr[user + 1]]
        if len(relevant):
            gain = discount[np.isin(listed, relevant)].sum()
            values.append(gain / discount[: len(relevant)].sum())
    return np.mean(values)


def peer(size):
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    matrix, held_back, _ = parts(int(size))
    train = csr_matrix(matrix.values)
    model = CosineRecommender(K=200, num_threads=1)
    users = np.arange(N_LISTED)
    yield
    model.fit(train, show_progress=False)
    lists, _ = model.recommend(users, train[users], N=K, filter_already_liked_items=True)
    yield
    yield {"ndcg": ndcg(lists, held_back), "refused": ""}


def ours(name, size):
    from kpay_lab.recommend.base import Training, top_k
    from kpay_lab.recommend.choose import build_model

    matrix, held_back, tables = parts(int(size))
    train = Training(matrix, tables)
    model = build_model(name)
    lists, refused = np.full((N_LISTED, K), -1), ""
    yield
    try:
        model.fit(train)
        lists = top_k(model, np.arange(N_LISTED), K, exclude=matrix.values).items
    except ValueError as error:
        refused = str(error)
    yield
    yield {"ndcg": ndcg(lists, held_back), "refused": refused}


popularity = partial(ours, "popularity")
item_neighbours = partial(ours, "item_neighbours")
user_neighbours = partial(ours, "user_neighbours")
content = partial(ours, "content")
markov = partial(ours, "markov")
ease = partial(ours, "ease")
als = partial(ours, "als")
blend = partial(ours, "blend")
forest = partial(ours, "forest")
