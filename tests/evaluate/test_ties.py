"""Metrics over ties, against every order written out; and verdicts that no row order moves."""

from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.beyond import beyond_accuracy
from kpay_lab.evaluate.compare import compare
from kpay_lab.evaluate.groups import recall_by_item_popularity
from kpay_lab.evaluate.ranking import METRICS, metric_audit, ndcg, per_user
from kpay_lab.evaluate.split import make_split
from kpay_lab.evaluate.ties import expected_hits, settled
from kpay_lab.evaluate.value import revenue, true_regret
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend import MODELS
from kpay_lab.recommend.base import rank, top_k
from kpay_lab.recommend.popularity import Baseline, Popularity, Random

binary = partial(interest_matrix, weighting="binary")
WITHOUT_RANDOMNESS = [name for name in MODELS if name not in ("random", "als", "forest")]
N_ITEMS = 6
SCORES = {
    "all alike": [1, 1, 1, 1, 1, 1],
    "a tie at the end": [3, 2, 2, 2, 2, 1],
    "ties inside": [2, 2, 1, 1, 0, 0],
    "no tie": [6, 5, 4, 3, 2, 1],
}


def every_order(scores):
    """Every list that breaks the ties of the scores in some way, each as often as another."""
    orders = [np.array(order) for order in permutations(range(len(scores)))]
    falling = [order for order in orders if (np.diff(np.array(scores)[order]) <= 0).all()]
    return np.array(falling)


@pytest.mark.parametrize("k", [1, 3, 4, 6])
@pytest.mark.parametrize("relevant", [[1], [0, 5], [1, 2, 4], [0, 1, 2, 3, 4, 5]])
@pytest.mark.parametrize("name", SCORES)
def test_metrics_are_the_mean_over_every_order(name, relevant, k):
    scores = np.array([SCORES[name]], dtype=float)
    marks = np.zeros((1, N_ITEMS))
    marks[0, relevant] = 1
    orders = every_order(SCORES[name])
    same_user = csr_array(np.repeat(marks, len(orders), axis=0))
    expected = per_user(orders[:, :k], same_user, [k]).groupby("metric")["value"].mean()
    top = rank(scores, k, ties="mean")
    found = per_user(top.items, csr_array(marks), [k], ties=top.ties).set_index("metric")
    for metric in METRICS:
        assert found.loc[metric, "value"] == pytest.approx(expected[metric], abs=1e-12), metric


def test_the_chance_of_a_first_hit_is_at_most_1():
    """Two of three tied items are relevant: 2/3, then 2/2, and a third place comes too late."""
    top = rank(np.ones((1, 3)), 3, ties="mean")
    hits = expected_hits(np.array([[True, True, False]]), top.ties, csr_array([[1, 1, 0]]))
    assert hits.first_chance == pytest.approx(np.array([[2 / 3, 1, 1]]))


@pytest.mark.parametrize("name", SCORES)
def test_the_audit_is_the_mean_over_every_order(name):
    marks = np.zeros((1, N_ITEMS))
    marks[0, [1, 2, 4]] = 1
    orders = every_order(SCORES[name])
    same_user = csr_array(np.repeat(marks, len(orders), axis=0))
    expected = metric_audit(orders[:, :4], same_user, 3).set_index("definition")["value"]
    top = rank(np.array([SCORES[name]], dtype=float), 4, ties="mean")
    found = metric_audit(top.items, csr_array(marks), 3, ties=top.ties)
    found = found.set_index("definition")["value"]
    ratio_of_means = ["AP / hits"]
    pd.testing.assert_series_equal(found.drop(ratio_of_means), expected.drop(ratio_of_means))


@pytest.mark.parametrize("name", SCORES)
def test_shorter_lists_and_sums_are_means_over_every_order_too(name):
    worth = np.array([[5.0, 0.0, 2.0, 0.0, 1.0, 7.0]])
    orders = every_order(SCORES[name])
    top = rank(np.array([SCORES[name]], dtype=float), 4, ties="mean")
    for k in (1, 2, 4):
        earned = revenue(top.items, csr_array(worth), ties=top.ties, k=k)
        assert earned[0] == pytest.approx(worth[0, orders[:, :k]].sum(axis=1).mean())
        marks = csr_array(worth > 0)
        same_user = csr_array(np.repeat(worth > 0, len(orders), axis=0))
        expected = (
            per_user(orders[:, :k], same_user, [k])["value"]
            .groupby(np.repeat(range(7), len(orders)))
            .mean()
        )
        found = per_user(top.items, marks, [k], ties=top.ties)["value"]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    seen, allowed = csr_array((1, N_ITEMS)), np.ones(N_ITEMS, dtype=bool)
    left = [true_regret(order[None, :4], worth, seen, allowed)[0] for order in orders]
    found = true_regret(top.items, worth, seen, allowed, ties=top.ties)
    assert found[0] == pytest.approx(np.mean(left))


def test_scores_that_differ_by_rounding_are_tied():
    scores = np.array([[0.3, 0.1 + 0.2, 0.1]])
    assert rank(scores, 1, ties="mean").ties.beyond.indices.tolist() == [0]
    assert rank(scores + np.array([0, 0.001, 0]), 1, ties="mean").ties.beyond.nnz == 0


def test_candidates_out_of_reach_are_in_no_tie():
    top = rank(
        np.ones((1, 4)),
        1,
        exclude=csr_array([[0, 1, 0, 0]]),
        candidates=np.arange(4) < 3,
        ties="mean",
    )
    assert [*top.items[0], *top.ties.beyond.indices] == [0, 2]


def test_an_unknown_way_with_ties_is_refused():
    with pytest.raises(ValueError, match="ties is 'first'; choose one of position, mean"):
        rank(np.ones((1, 2)), 1, ties="first")


@pytest.fixture(scope="module")
def distinct_times(small_world):
    """Return the small world with each event at a moment of its own."""
    events = small_world[0].events
    order = events["timestamp"].rank(method="first")
    moment = events["timestamp"].min() + pd.to_timedelta(order, unit="min")
    return small_world[0].with_events(events.assign(timestamp=moment.dt.as_unit("us")))


def shuffled(tables, seed):
    rng = np.random.default_rng(seed)
    mixed = {
        name: frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)
        for name, frame in tables.present().items()
    }
    return replace(tables, **mixed)


@pytest.mark.parametrize("weighting", ["auto", "binary"])
def test_the_order_of_rows_moves_no_model(distinct_times, weighting):
    interest_of = partial(interest_matrix, weighting=weighting)
    few = {"n_neighbors": 5}  # so that ties at the edge of the neighbours matter too
    settings = {"item_neighbours": few, "user_neighbours": few}
    found = []
    for tables in (distinct_times, shuffled(distinct_times, 0), shuffled(distinct_times, 1)):
        split = make_split(tables, interest_of)
        models = {name: MODELS[name](**settings.get(name, {})) for name in WITHOUT_RANDOMNESS}
        result = compare(models, split)
        ndcg_by_model = result.values.query("metric == 'ndcg'").groupby("model")["value"].mean()
        by_item = recall_by_item_popularity(result, split)
        found.append((ndcg_by_model, by_item.set_index(["model", "items"])["recall"]))
    for ours, *others in zip(*found, strict=True):
        for theirs in others:
            pd.testing.assert_series_equal(theirs, ours, check_like=True, rtol=0, atol=1e-9)


def test_a_constant_model_is_worth_what_chance_is_worth(small_world):
    split = make_split(small_world[0], binary)
    lists = top_k(
        Baseline().fit(split.train),
        split.users,
        10,
        exclude=split.seen,
        candidates=split.candidates,
        ties="mean",
    )
    relevant = split.test[split.users]
    found = per_user(lists.items, relevant, [10], ties=lists.ties).query("metric == 'ndcg'")
    n_relevant = np.diff(relevant.indptr)
    seen = split.seen[split.users].toarray() > 0
    n_candidates = (split.candidates & ~seen).sum(axis=1)
    chance = np.repeat((n_relevant / n_candidates)[:, None], 10, axis=1)
    np.testing.assert_allclose(found["value"], ndcg(chance, n_relevant), atol=1e-12)


def test_a_model_that_cannot_order_anything_is_not_ranked(small_world):
    split = make_split(small_world[0], binary)
    models = {"random": Random(), "popularity": Popularity(), "baseline": Baseline()}
    found = compare(models, split)
    assert set(found.values["model"]) == set(found.lists) == {"random", "popularity"}
    assert found.unranked == {
        "baseline": "it gives every candidate of a user the same score, so it orders nothing"
    }
    by_position = compare(models, split, ties="position")
    assert set(by_position.lists) == set(models)


def test_the_floor_is_measured_even_where_it_orders_nothing():
    users, items = np.indices((12, 8)).reshape(2, -1)
    events = pd.DataFrame({"user_id": users, "item_id": items}).astype(str)
    events["part"] = np.where((users + items) % 4 == 0, "test", "train")
    split = make_split(Tables.validated(events=events), binary, how="given")
    found = compare({"popularity": Popularity()}, split, [2])
    assert found.unranked == {}
    hit_rate = found.values.query("metric == 'precision'")["value"]
    assert (hit_rate == 1.0).all()  # two candidates are left, both relevant


def test_measures_beyond_accuracy_do_not_depend_on_the_order_of_rows(distinct_times):
    """`content` on a binary matrix and `popularity` tie many items; their lists reach past ties."""
    found = []
    for tables in (distinct_times, shuffled(distinct_times, 0), shuffled(distinct_times, 1)):
        split = make_split(tables, binary)
        models = {name: MODELS[name]() for name in WITHOUT_RANDOMNESS}
        result = compare(models, split, [3])
        found.append(beyond_accuracy(result, split, 3))
    ours, *others = found
    for theirs in others:
        pd.testing.assert_frame_equal(theirs, ours, check_like=True, rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
@pytest.mark.parametrize("name", SCORES)
def test_settled_lists_are_one_of_the_orders_and_depend_on_ids_alone(name, k):
    ids = pd.Index([f"i{number}" for number in range(N_ITEMS)])
    scores = np.array(SCORES[name], dtype=float)
    lists = settled(rank(scores[None, :], k, ties="mean"), ids)
    assert tuple(lists.items[0]) in {tuple(order[:k]) for order in every_order(SCORES[name])}
    other = np.random.default_rng(0).permutation(N_ITEMS)
    again = settled(rank(scores[other][None, :], k, ties="mean"), ids[other])
    assert ids[other][again.items[0]].tolist() == ids[lists.items[0]].tolist()


def test_a_list_that_ran_short_stays_short_when_it_is_settled():
    top = rank(np.array([[1.0, 1.0, -np.inf]]), 3, ties="mean")
    lists = settled(top, pd.Index(["a", "b", "c"]))
    assert sorted(lists.items[0, :2]) == [0, 1] and lists.items[0, 2] == -1
