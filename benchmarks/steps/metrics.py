"""Seven ranking metrics of 100,000 users, from tables of ids: RecTools."""

import numpy as np
import pandas as pd

N_USERS, N_ITEMS, K = 100_000, 10_000, 10


def tables():
    """Draw ten recommended items and one to twenty relevant ones for each user."""
    rng = np.random.default_rng(0)
    listed = (rng.integers(N_ITEMS, size=(N_USERS, 1)) + np.arange(K) * 7) % N_ITEMS
    users = np.array([f"u{number}" for number in range(N_USERS)])
    items = np.array([f"i{number}" for number in range(N_ITEMS)])
    ranks = np.tile(np.arange(1, K + 1), N_USERS)
    recommended = {"user_id": np.repeat(users, K), "item_id": items[listed.ravel()], "rank": ranks}
    of, n = np.arange(N_USERS), rng.integers(1, 21, N_USERS)
    of = np.repeat(of, n)
    by_chance = rng.integers(N_ITEMS, size=len(of))
    wanted = np.where(
        rng.random(len(of)) < 0.3, listed[of, rng.integers(K, size=len(of))], by_chance
    )
    relevant = pd.DataFrame({"user_id": users[of], "item_id": items[wanted]}).drop_duplicates()
    return pd.DataFrame(recommended), relevant.reset_index(drop=True)


def peer(size):
    from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

    recommended, relevant = tables()
    metrics = {
        "precision": Precision(K),
        "recall": Recall(K),
        "recall_capped": Precision(K, r_precision=True),
        "hit": HitRate(K),
        "map": MAP(K),
        "mrr": MRR(K),
        "ndcg": NDCG(K, divide_by_achievable=True),
    }
    yield
    values = calc_metrics(metrics, reco=recommended, interactions=relevant)
    yield
    yield values


def ours(size):
    from kpay_lab.evaluate.ranking import from_ids, per_user

    recommended, relevant = tables()
    yield
    values = per_user(*from_ids(recommended, relevant), [K])
    means = values.groupby("metric")["value"].mean()
    yield
    yield means.to_dict()


def floor(size):
    """Reading every id of the two tables once."""
    recommended, relevant = tables()
    yield
    for table in (recommended, relevant):
        for name in ("user_id", "item_id"):
            pd.factorize(table[name])
    yield


def check(peer, ours):
    same = set(peer) & set(ours) - {"map"}  # RecTools divides AP by all relevant items
    for name in same:
        np.testing.assert_allclose(ours[name], peer[name], rtol=0, atol=1e-9, err_msg=name)
    return f"{', '.join(sorted(same))} equal to 1e-9"
