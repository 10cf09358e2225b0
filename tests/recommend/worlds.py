"""Small worlds on which every model can be fitted."""

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Training

N_USERS, N_ITEMS = 40, 25
COLD_USER, COLD_ITEM = 39, 24
TITLES = ("Python 编程入门", "数据分析实战", "写作训练营", "投资理财课", "心理学导论")


def _training(user, item, degree, n_users, n_items, group) -> Training:
    """Make tables and matrix of parallel arrays; events are a minute apart, in order."""
    user_ids = pd.Index([f"u{u}" for u in range(n_users)], name="user_id", dtype="str")
    item_ids = pd.Index([f"i{i}" for i in range(n_items)], name="item_id", dtype="str")
    start = pd.Timestamp("2024-01-01", tz="UTC")
    events = pd.DataFrame(
        {
            "user_id": user_ids[user],
            "item_id": item_ids[item],
            "timestamp": (start + pd.to_timedelta(np.arange(len(user)), unit="min")).as_unit("us"),
        }
    )
    items = pd.DataFrame(
        {
            "item_id": item_ids,
            "kind": "course",
            "title": [f"{TITLES[g]} {i}" for i, g in enumerate(group)],
            "category": pd.Series([f"c{g}" for g in group], dtype="str"),
            "brand": pd.Series([f"b{g}" for g in group], dtype="str"),
            "price": 10.0 * (1 + np.asarray(group)),
        }
    )
    users = pd.DataFrame(
        {
            "user_id": user_ids,
            "age": 20.0 + np.arange(n_users) % 30,
            "gender": pd.Series(np.resize(["f", "m"], n_users), dtype="str"),
        }
    )
    matrix = InterestMatrix.from_pairs(
        events["user_id"], events["item_id"], degree, users=user_ids, items=item_ids
    )
    return Training(matrix, Tables.validated(events=events, items=items, users=users))


def random_world() -> Training:
    """Return a third of all cells with degrees in (0, 1); one user and one item are cold."""
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((COLD_USER, COLD_ITEM)) < 1 / 3)
    order = rng.permutation(len(user))
    degree = rng.uniform(0.1, 1, len(user))
    group = np.arange(N_ITEMS) % len(TITLES)
    return _training(user[order], item[order], degree, N_USERS, N_ITEMS, group)


def checkerboard(n: int = 20) -> Training:
    """Return users and items that go together when both even or both odd, diagonal withheld."""
    user, item = np.indices((n, n)).reshape(2, -1)
    there = np.flatnonzero(((user + item) % 2 == 0) & (user != item))
    order = np.random.default_rng(0).permutation(there)
    return _training(user[order], item[order], np.ones(len(order)), n, n, np.arange(n) % 2)


def permuted(train: Training, order: np.ndarray) -> Training:
    """Return the same world with its users renumbered: new user i is old ``order[i]``."""
    old = train.interest
    return Training(InterestMatrix(old.values[order], old.users[order], old.items), train.tables)
