"""True regret, hidden items, what lists show, and lists for a whole log."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.evaluate.beyond import beyond_accuracy, overlap
from kpay_lab.evaluate.compare import compare, measure_lists
from kpay_lab.evaluate.split import draw_items, hide_items, make_split
from kpay_lab.evaluate.value import true_regret, true_regrets
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend import base
from kpay_lab.recommend.base import Training, top_k
from kpay_lab.recommend.choose import build_model, choose_models
from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.popularity import Popularity


@pytest.fixture(scope="module")
def split(small_world):
    return make_split(small_world[0], interest_matrix)


def test_regret_is_the_gap_to_the_best_list_a_place():
    rng = np.random.default_rng(0)
    interest = rng.random((30, 12))
    seen = csr_array((rng.random((30, 12)) < 0.3).astype(float))
    candidates = np.arange(12) != 4
    lists = np.full((30, 3), -1)
    for user in range(30):
        open_items = np.flatnonzero(candidates & (seen[[user]].toarray()[0] == 0))
        lists[user, :2] = rng.permutation(open_items)[:2]
    found = true_regret(lists, interest, seen, candidates)
    for user in range(30):
        free = [i for i in range(12) if i != 4 and seen[user, i] == 0]
        best = sum(sorted((interest[user, i] for i in free), reverse=True)[:3])
        given = sum(interest[user, i] for i in lists[user] if i >= 0)
        assert found[user] == pytest.approx((best - given) / 3, abs=1e-12)


def test_a_model_that_knows_the_truth_has_no_regret(split, small_world):
    _, truth = small_world
    rows = truth.users.get_indexer(split.train.interest.users[split.users])
    interest = truth.interest[
        np.ix_(rows, truth.items.get_indexer(split.train.interest.items))
    ].astype(float)

    class Oracle:
        def fit(self, train):
            return self

        def score(self, users):
            return interest[np.searchsorted(split.users, users)]

    top = top_k(Oracle(), split.users, 5, exclude=split.seen, candidates=split.candidates)
    regret = true_regret(top.items, interest, split.seen[split.users], split.candidates)
    np.testing.assert_allclose(regret, 0, atol=1e-12)


def test_regrets_are_the_same_in_batches(small_world, split, monkeypatch):
    _, truth = small_world
    rows = truth.users.get_indexer(split.train.interest.users[split.users])
    columns = truth.items.get_indexer(split.train.interest.items)
    models = {"popularity": Popularity(), "ease": EASE(reg=20.0)}
    lists = compare(models, split, [5]).lists
    wanted = truth.interest[np.ix_(rows, columns)]
    monkeypatch.setattr(base, "BATCH", 7)
    found = true_regrets(lists, split, truth.interest, rows, columns)
    seen = split.seen[split.users]
    for name, top in lists.items():
        at_once = true_regret(top.items, wanted, seen, split.candidates, ties=top.ties)
        np.testing.assert_array_equal(found[name], at_once)


def test_hidden_items_leave_every_trace_of_training(split, small_world):
    hidden = draw_items(split, 0.3, rng=np.random.default_rng(0))
    tables = replace(split.train.tables, exposures=small_world[0].exposures)
    shown = replace(split, train=Training(split.train.interest, tables))
    cold = hide_items(shown, hidden)
    assert not (hidden & ~split.candidates).any()
    assert cold.train.interest.values[:, hidden].nnz == 0
    names = set(split.train.interest.items[hidden])
    for name in ("events", "orders", "exposures"):
        assert not names & set(getattr(cold.train.tables, name)["item_id"])
        assert names & set(getattr(tables, name)["item_id"])
    assert set(np.flatnonzero(cold.candidates)) == set(np.flatnonzero(hidden))
    assert set(cold.test.indices) <= set(np.flatnonzero(hidden))
    assert (split.test[:, hidden] - cold.test[:, hidden]).nnz == 0
    assert cold.unreachable + cold.test.nnz == split.unreachable + split.test.nnz
    lists = compare({"content": build_model("content")}, cold, [3]).lists["content"].items
    assert set(lists[lists >= 0]) <= set(np.flatnonzero(hidden))


def test_hiding_what_nobody_asks_for_is_refused(split):
    nobody = np.bincount(split.test.indices, minlength=len(split.candidates)) == 0
    with pytest.raises(ValueError, match="nobody turned to a hidden item"):
        hide_items(split, nobody)


def test_measured_lists_are_those_of_the_comparison(split):
    result = compare({"popularity": build_model("popularity")}, split, [3, 5])
    again = measure_lists(result.lists["popularity"], split, [3, 5], model="popularity")
    pd.testing.assert_frame_equal(again, result.values)


def test_overlap_by_hand():
    left = np.array([[0, 1, 2], [3, -1, -1]])
    right = np.array([[2, 1, 9], [4, 5, -1]])
    assert overlap(left, right) == 2 / 4


def test_popularity_is_no_surprise_to_itself(split):
    models = {name: build_model(name) for name in ("popularity", "random")}
    shown = beyond_accuracy(compare(models, split, [5]), split, 5)
    assert shown.loc["popularity", "serendipity"] == 0
    assert shown.loc["popularity", "gini"] > shown.loc["random", "gini"]
    assert shown.loc["random", "novelty"] > shown.loc["popularity", "novelty"]


def test_models_are_chosen_by_name_and_by_what_the_data_feed(split, small_world):
    models, left_out = choose_models({"ease": {"reg": 7.0}, "markov": None}, split.train)
    assert list(models) == ["popularity", "ease", "markov"]
    assert models["ease"].reg == 7.0
    assert not left_out
    bare = make_split(
        type(small_world[0])(small_world[0].events[["user_id", "item_id"]]),
        interest_matrix,
        how="random_per_user",
    )
    models, left_out = choose_models({}, bare.train)
    assert set(left_out) == {"markov", "content", "blend"}
    assert "ease" in models and "markov" not in models
    with pytest.raises(ValueError, match="model 'eas' is unknown"):
        choose_models({"eas": {}}, split.train)
