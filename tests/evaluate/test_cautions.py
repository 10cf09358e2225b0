"""What a reader must be warned of: few users, and a test part that was drawn by lot."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.cautions import evenness, few_users, popularity_auc
from kpay_lab.evaluate.compare import compare
from kpay_lab.evaluate.split import make_split
from kpay_lab.findings import sentence
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.choose import build_model

by_rating = partial(interest_matrix, weighting="interest")
binary = partial(interest_matrix, weighting="binary")
LOT = "drawn at random"


def ratings(*, by_lot, n_users=200, n_items=120, seed=0):
    """Users choose 20 items to rate, and rate 12 others: drawn by lot, or chosen too.

    They choose what is popular and to their taste for one of two halves of the items, and
    ratings follow the taste. The public data set Coat is made like this, with 24 chosen and 16
    drawn of 300 items.
    """
    rng = np.random.default_rng(seed)
    popularity = rng.pareto(1.0, n_items) + 0.05
    rows = []
    for user in range(n_users):
        is_liked = np.arange(n_items) % 2 == user % 2
        appeal = popularity * np.where(is_liked, 4, 1)
        chosen = rng.choice(n_items, 32, replace=False, p=appeal / appeal.sum())
        drawn = rng.choice(n_items, 12, replace=False)
        parts = {"train": chosen[:20], "test": drawn if by_lot else chosen[20:]}
        for part, items in parts.items():
            for item in items:
                rating = 3 + is_liked[item] + rng.integers(0, 2)
                rows.append((f"u{user}", f"i{item}", rating, part))
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "part"])
    return Tables(events.astype({"rating": float}))


def said(split):
    return " ".join(split.describe())


def test_a_test_part_drawn_by_lot_is_recognised():
    tables = ratings(by_lot=True)
    words = said(make_split(tables, by_rating, how="given"))
    assert LOT in words
    assert "use relevant=interest with a threshold and candidates=rated" in words
    assert LOT not in said(make_split(ratings(by_lot=False), by_rating, how="given"))
    asked = {"relevant": "interest", "threshold": 0.85, "candidates": "rated"}
    assert LOT not in said(make_split(tables, by_rating, how="given", **asked))


def test_what_the_warning_advises_tells_models_apart():
    tables = ratings(by_lot=True)
    models = {name: build_model(name) for name in ("random", "popularity", "ease")}
    by_any = compare(models, make_split(tables, by_rating, how="given")).table().set_index("model")
    assert by_any["ndcg"].max() - by_any.loc["random", "ndcg"] < 0.02  # all equal chance
    asked = {"relevant": "interest", "threshold": 0.85, "candidates": "rated"}
    split = make_split(tables, by_rating, how="given", **asked)
    by_rated = compare(models, split, [5]).table().set_index("model")
    lead = by_rated["ndcg"] - by_rated.loc["random", "ndcg"]
    assert lead["ease"] > 0.1 > lead["popularity"]  # taste decides, and popularity knows none


def test_a_lot_is_nearly_always_recognised_and_a_log_never_taken_for_one():
    """With 97 % of lots recognised, fewer than 8 of 10 come about once in 400 times."""
    seeds = range(10)
    lots = [ratings(by_lot=True, n_users=100, seed=seed) for seed in seeds]
    logs = [ratings(by_lot=False, n_users=100, seed=seed) for seed in seeds]
    n_recognised = sum(LOT in said(make_split(lot, by_rating, how="given")) for lot in lots)
    n_wrong = sum(LOT in said(make_split(log, by_rating, how="given")) for log in logs)
    assert n_recognised >= 8
    assert n_wrong == 0


def two_groups(test_popularity):
    """Training by popularity; a test part of eight items a user by another one, from 60 items."""
    rng = np.random.default_rng(0)
    train_popularity = np.repeat([8.0, 1.0], 30)
    parts = {"train": train_popularity, "test": np.array(test_popularity)}
    rows = [
        (f"u{user}", f"i{item}", part)
        for part, popularity in parts.items()
        for user in range(300)
        for item in rng.choice(60, 8, replace=False, p=popularity / popularity.sum())
    ]
    return Tables(pd.DataFrame(rows, columns=["user_id", "item_id", "part"]))


def test_other_fashions_are_no_lot():
    """What is popular in the test part was popular and unpopular before in equal parts."""
    equal = make_split(two_groups([1.0] * 60), binary, how="given")
    assert LOT in said(equal)
    others = make_split(two_groups([9.0, 1.0] * 30), binary, how="given")
    available = np.ones((300, 60), dtype=bool) & (others.seen.toarray() == 0)
    popularity = np.bincount(others.met.indices, minlength=60)
    share = popularity_auc(others.test.toarray() > 0, available, popularity)
    assert np.nanmean(share) == pytest.approx(0.5, abs=0.03)  # popularity says nothing here too
    assert LOT not in said(others)


@pytest.mark.parametrize("how", ["time", "random_per_user", "leave_last_out"])
def test_an_ordinary_log_is_no_lot(small_world, how):
    assert LOT not in said(make_split(small_world[0], interest_matrix, how=how))


def test_the_share_of_comparisons_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    popularity = rng.integers(0, 4, 12).astype(float)
    available = rng.random((30, 12)) < 0.7
    relevant = available & (rng.random((30, 12)) < 0.4)
    n_relevant = relevant.sum(axis=1)
    has_both = (n_relevant > 0) & (n_relevant < available.sum(axis=1))
    found = popularity_auc(relevant, available, popularity)
    assert np.isnan(found[~has_both]).all()
    rows = np.flatnonzero(has_both)
    expected = [roc_auc_score(relevant[u, available[u]], popularity[available[u]]) for u in rows]
    np.testing.assert_allclose(found[rows], expected)


@pytest.mark.parametrize(
    ("n_users", "n_items", "least"),
    [(300, 60, 0.8), (60, 300, 0.8), (20, 300, 0.8), (30, 200, 0.001)],
)
def test_evenness_rejects_as_often_as_it_says(n_users, n_items, least):
    """500 lots: 5 % of them below p = 0.05, within 3.5 standard errors upwards."""
    rng = np.random.default_rng(0)
    available = rng.random((n_users, n_items)) < np.linspace(least, 1.0, n_items)
    n_available = available.sum(axis=1)
    p_values = []
    for _ in range(500):
        order = np.where(available, rng.random(available.shape), 2.0)
        bound = np.partition(order, 4, axis=1)[:, 4:5]
        relevant = order <= bound  # five for each user
        count = relevant.sum(axis=0)
        share = 5 / n_available
        expected = share @ available
        variance = (share * (1 - share)) @ available
        p_values.append(evenness(count, expected, variance))
    rate = np.mean(np.array(p_values) < 0.05)
    assert rate <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 500)
    assert rate >= 0.02


def test_few_users_are_said_with_what_they_can_tell():
    (finding,) = few_users(22, 671)
    words = sentence(finding)
    assert words.startswith("Few users carry this page: 22 of 671.")
    assert "0.209" in words  # 1.96 * 0.5 / sqrt(22)
    assert few_users(97, 671) == []
    assert few_users(96, 671) != []


def test_a_split_with_few_users_says_so(small_world):
    split = make_split(small_world[0], interest_matrix)
    n_users = len(split.users)
    assert ("Few users carry this page" in said(split)) == (n_users < 97)
    pairs = [(f"u{user}", f"i{item}") for user in range(30) for item in range(6)]
    events = pd.DataFrame(pairs, columns=["user_id", "item_id"])
    few = make_split(Tables(events), binary, how="random_rows")
    assert "Few users carry this page" in said(few)


def test_nothing_is_said_of_a_lot_where_nothing_could_differ():
    """All that is left to each user is to be found: no comparison can be made."""
    users, items = np.indices((120, 8)).reshape(2, -1)
    events = pd.DataFrame({"user_id": users, "item_id": items}).astype(str)
    events["part"] = np.where((users + items) % 4 == 0, "test", "train")
    split = make_split(Tables(events), binary, how="given")
    assert LOT not in said(split)
