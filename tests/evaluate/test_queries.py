"""Candidates that depend on the user: what was shown, what they rated, what was live."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.evaluate.beyond import beyond_accuracy
from kpay_lab.evaluate.compare import compare, protocol_gap
from kpay_lab.evaluate.groups import recall_by_item_popularity
from kpay_lab.evaluate.queries import without_choice
from kpay_lab.evaluate.search import validation_slice
from kpay_lab.evaluate.split import hide_items, make_split, with_users
from kpay_lab.evaluate.value import true_regret
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import top_k
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.popularity import Baseline, Popularity, Random

by_rating = partial(interest_matrix, weighting="interest")
binary = partial(interest_matrix, weighting="binary")
DISCOUNT = 1 / np.log2(np.arange(2, 12))  # of the places of a list

TRAIN = {"a": "uvwxy", "b": "uvwx", "c": "uvw", "d": "uv", "e": "y"}  # item -> who met it
RATED = {
    "u": {"a": 1, "b": 2, "e": 5},  # a and b were met before
    "v": {"a": 4, "e": 2},
    "w": {"d": 5},  # a single candidate
    "x": {"c": 1, "d": 2},  # none relevant
    "y": {"b": 5, "c": 4},  # all relevant
}
RATINGS = {"how": "given", "relevant": "interest", "threshold": 0.7, "candidates": "rated"}


@pytest.fixture
def ratings():
    """Five users who met items in training and rated some in the test part."""
    rows = [(user, item, 3, "train") for item, users in TRAIN.items() for user in users]
    rows += [(user, item, r, "test") for user, given in RATED.items() for item, r in given.items()]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "part"])
    return Tables(frame.astype({"rating": float}))


@pytest.fixture
def shown():
    """Three users with exposures and events, in two halves of a month."""
    start = pd.Timestamp("2026-01-01", tz="UTC")
    events = [("u", "a", 1), ("v", "a", 2), ("w", "a", 2), ("u", "b", 3), ("v", "b", 3)]
    events += [("w", "c", 4), ("v", "d", 5)]
    events += [("u", "c", 21), ("u", "d", 22), ("v", "c", 21), ("w", "b", 25), ("w", "d", 26)]
    exposures = [("u", "d", 2), ("v", "c", 3)]  # before the cut: they make no candidate
    exposures += [("u", "a", 20), ("u", "c", 21), ("u", "c", 22)]  # a was met; c clicked; d never
    exposures += [("v", "c", 21), ("w", "b", 25), ("w", "d", 26)]

    def frame(rows):
        table = pd.DataFrame(rows, columns=["user_id", "item_id", "day"])
        days = pd.to_timedelta(table.pop("day"), unit="D")
        return table.assign(timestamp=(start + days).astype("datetime64[us, UTC]"))

    return Tables(frame(events), exposures=frame(exposures))


CUT = pd.Timestamp("2026-01-15", tz="UTC")


def rows_of(split):
    """Return the ids of each user's candidates."""
    users, items = split.train.interest.users, split.train.interest.items
    candidates = split.candidates
    return {user: set(items[candidates[[row]].indices]) for row, user in enumerate(users)}


def test_the_rated_are_ranked_and_nothing_else(ratings):
    split = make_split(ratings, by_rating, **RATINGS)
    assert rows_of(split) == {user: set(given) for user, given in RATED.items()}
    assert split.seen.nnz == 0
    people = split.train.interest.users[split.users]
    assert list(people) == ["u", "v"]
    found = compare({"popularity": Popularity()}, split, [3])
    items = split.train.interest.items
    lists = [[*items[row[row >= 0]]] for row in found.lists["popularity"].items]
    assert lists == [["a", "b", "e"], ["a", "e"]]
    ndcg = found.values.query("metric == 'ndcg'").set_index("user_id")["value"]
    assert ndcg.to_dict() == pytest.approx({"u": 0.5, "v": 1.0})  # 1 / log2(4); the first place


def test_who_has_nothing_to_order_is_counted_and_said(ratings):
    split = make_split(ratings, by_rating, **RATINGS)
    counts = split.table()["count"]
    assert counts[["one_candidate", "none_relevant", "all_relevant"]].tolist() == [1, 1, 1]
    assert counts[["users", "pairs"]].tolist() == [2, 2]
    said = " ".join(split.describe())
    assert "Of 5 users with candidates 2 can be evaluated" in said
    assert "1 has a single candidate, 1 none that is relevant, 1 none that is irrelevant" in said
    assert "3 of 5 candidates had been met in training" in said  # a and b of u, a of v


def test_a_constant_model_is_worth_what_chance_is_worth_among_the_rated(ratings):
    split = make_split(ratings, by_rating, **RATINGS)
    found = compare({"popularity": Popularity(), "chance": Baseline()}, split, [3], floor="chance")
    ndcg = found.values.query("metric == 'ndcg' and model == 'chance'")["value"]
    assert ndcg.tolist() == pytest.approx([DISCOUNT[:3].mean(), DISCOUNT[:2].mean()])
    n_draws = 400
    drawn = {str(seed): Random(seed=seed) for seed in range(n_draws)}
    by_lot = compare(drawn, split, [3]).values.query("metric == 'ndcg'")
    mean_by_lot = by_lot.groupby("user_id")["value"].mean()
    np.testing.assert_allclose(mean_by_lot, ndcg, atol=4 * 0.25 / np.sqrt(n_draws))


def test_the_shown_are_ranked_and_nothing_else(shown):
    split = make_split(shown, binary, cut=CUT, candidates="exposed")
    assert rows_of(split) == {"u": {"a", "c"}, "v": {"c"}, "w": {"b", "d"}}
    counts = split.table()["count"]
    assert counts["unreachable"] == 1  # u turned to d, which nobody had shown
    assert counts[["one_candidate", "none_relevant", "all_relevant"]].tolist() == [1, 0, 1]
    found = compare({"popularity": Popularity()}, split, [2])
    ndcg = found.values.query("metric == 'ndcg'")["value"]
    assert ndcg.tolist() == pytest.approx([1 / np.log2(3)])  # u: a before c, and c is relevant


def test_all_candidates_are_what_they_were(shown, small_world):
    for tables, more in ((shown, {"cut": CUT}), (small_world[0], {})):
        split = make_split(tables, binary, candidates="all", **more)
        assert split.fingerprint == make_split(tables, binary, **more).fingerprint
        assert split.candidates.dtype == bool
        assert np.array_equal(split.catalogue, split.candidates)
        assert "one_candidate" not in split.table().index


def test_candidates_that_cannot_be_are_refused(ratings, shown):
    with pytest.raises(ValueError, match="candidates='rated' needs relevant='interest'"):
        make_split(ratings, by_rating, how="given", candidates="rated")
    with pytest.raises(ValueError, match="candidates='exposed' needs an exposures table"):
        make_split(replace(shown, exposures=None), binary, cut=CUT, candidates="exposed")
    with pytest.raises(ValueError, match=r"candidates='exposed' needs .*how='time'"):
        make_split(shown, binary, how="random_rows", candidates="exposed")
    with pytest.raises(ValueError, match="candidates is 'seen'; choose one of all, exposed, rated"):
        make_split(shown, binary, candidates="seen")
    for threshold, remedy in ((1.0, "lower the threshold"), (0.0, "raise the threshold")):
        with pytest.raises(TooLittleError, match=remedy):
            make_split(ratings, by_rating, **(RATINGS | {"threshold": threshold}))


def test_candidates_of_another_shape_are_refused(ratings):
    split = make_split(ratings, by_rating, **RATINGS)
    model = Popularity().fit(split.train)
    with pytest.raises(ValueError, match=r"candidates has the shape \(2, 4\)"):
        top_k(model, split.users, 2, candidates=split.candidates[:, :4])


def test_coverage_counts_what_could_be_shown(ratings):
    split = make_split(ratings, by_rating, **RATINGS)
    items = split.train.interest.items
    assert set(items[split.catalogue]) == {"a", "b", "e"}  # those of u and v
    found = compare({"popularity": Popularity()}, split, [1])
    beyond = beyond_accuracy(found, split, 1)
    assert beyond.loc["popularity", "coverage"] == pytest.approx(1 / 3)  # a alone


def test_recall_by_popularity_knows_what_was_met(ratings):
    split = make_split(ratings, by_rating, **RATINGS)
    found = recall_by_item_popularity(compare({"popularity": Popularity()}, split, [2]), split, 2)
    recall = found.set_index("items")["recall"]
    assert recall.to_dict() == {"head": 1.0, "tail": 0.0}  # v finds a; u does not find e


def test_the_best_list_is_chosen_among_the_candidates(ratings):
    split = make_split(ratings, by_rating, **RATINGS)
    interest = np.array([[0.1, 0.2, 0.9, 0.9, 0.5], [0.3, 0.9, 0.9, 0.9, 0.4]])
    top = top_k(Popularity().fit(split.train), split.users, 1, candidates=split.candidates)
    offered = split.is_candidate(split.users)
    regret = true_regret(top.items, interest, split.seen[split.users], offered)
    assert regret.tolist() == pytest.approx([0.5 - 0.1, 0.4 - 0.3])


def test_fewer_users_or_items_leave_fewer_candidates(ratings):
    split = make_split(ratings, by_rating, **RATINGS)
    one = with_users(split, split.users[1:])
    items = split.train.interest.items
    assert set(items[one.catalogue]) == {"a", "e"}
    hidden = hide_items(split, np.isin(items, ["a", "e"]))
    assert rows_of(hidden)["u"] == {"a", "e"}
    with pytest.raises(ValueError, match="hide other items"):
        hide_items(split, np.isin(items, ["e"]))  # u and v have one candidate left


def test_settings_and_protocols_are_judged_by_the_same_question(small_world):
    rated = {"relevant": "interest", "threshold": 0.3, "candidates": "rated"}
    tables, _ = small_world
    split = make_split(tables, interest_matrix, **rated)
    validation = validation_slice(split, interest_matrix, rng=np.random.default_rng(0))
    assert (validation.pool, validation.relevant) == ("rated", "interest")
    hows = ("random_per_user", "time")
    asked = {"hows": hows, "rng": np.random.default_rng(0)}
    gap = protocol_gap({"popularity": Popularity()}, tables, interest_matrix, **asked, **rated)
    expected = compare({"popularity": Popularity()}, split).values.query("metric == 'ndcg'")
    by_split = gap.set_index("split")["value"]
    assert by_split["time"] == pytest.approx(expected["value"].mean())
    shown = protocol_gap(
        {"popularity": Popularity()}, tables, interest_matrix, **asked, candidates="exposed"
    )
    assert set(shown["split"]) == {"time"}  # only a cut in time tells what was shown after it


@given(st.integers(0, 2**32 - 1))
def test_lists_over_candidates_of_their_own_as_a_slow_program_makes_them(seed):
    rng = np.random.default_rng(seed)
    n_users, n_items = rng.integers(2, 7, size=2)
    scores = rng.integers(0, 4, (n_users, n_items)).astype(float)
    offered = rng.random((n_users, n_items)) < 0.6
    relevant = offered & (rng.random((n_users, n_items)) < 0.5)

    class Fixed:
        def score(self, users):
            return scores[users]

    users = rng.permutation(n_users)
    top = top_k(Fixed(), users, 3, candidates=csr_array(offered))
    for user, listed in zip(users, top.items, strict=True):
        own = [item for item in range(n_items) if offered[user, item]]
        best_first = sorted(own, key=lambda item: (-scores[user, item], item))
        expected = best_first[:3] + [-1] * (3 - len(best_first[:3]))
        assert listed.tolist() == expected
    why = without_choice(csr_array(relevant.astype(float)), csr_array(offered.astype(float)))
    for user in range(n_users):
        marks = [bool(relevant[user, item]) for item in range(n_items) if offered[user, item]]
        slow = {
            "one_candidate": len(marks) == 1,
            "none_relevant": len(marks) > 1 and not any(marks),
            "all_relevant": len(marks) > 1 and all(marks),
        }
        assert {name: bool(mask[user]) for name, mask in why.items()} == slow


@pytest.fixture
def evenings():
    """Sessions of three hosts, two at a time after the cut; u and v prefer one host each."""
    hours = {  # item -> host, hour of the start and of the end, counted from the first day
        "ann 1": ("ann", 19, 21),
        "bob 1": ("bob", 19, 21),
        "ann 2": ("ann", 24 * 20 + 19, 24 * 20 + 21),
        "bob 2": ("bob", 24 * 20 + 19, 24 * 20 + 21),
        "cat 2": ("cat", 24 * 20 + 22, 24 * 20 + 23),
    }
    start = pd.Timestamp("2026-01-01", tz="UTC")

    def at(hour):
        return (start + pd.Timedelta(hours=hour)).as_unit("us")

    rows = [(item, host, at(begin), at(end)) for item, (host, begin, end) in hours.items()]
    items = pd.DataFrame(rows, columns=["item_id", "host", "started_at", "ended_at"])
    items["kind"] = "live"
    course = pd.DataFrame({"item_id": ["course"], "kind": ["course"], "price": [99.0]})
    visits = [("u", "ann 1", 20), ("v", "bob 1", 20), ("w", "bob 1", 20), ("w", "course", 23)]
    visits += [("u", "course", 24 * 20 + 18)]  # after the cut, and before any session
    visits += [("u", "ann 2", 24 * 20 + 20), ("v", "bob 2", 24 * 20 + 20)]
    visits += [("u", "cat 2", 24 * 20 + 22)]  # later than the moment that u asks at
    visits += [("w", "bob 2", 24 * 20 + 21)]  # as it ends: a recording
    events = pd.DataFrame(visits, columns=["user_id", "item_id", "hour"])
    events["timestamp"] = [at(hour) for hour in events.pop("hour")]
    return Tables(events, pd.concat([items, course], ignore_index=True))


def test_what_is_live_when_the_user_comes_is_ranked_and_nothing_else(evenings):
    split = make_split(evenings, binary, cut=CUT, candidates="live")
    assert rows_of(split) == {"u": {"ann 2", "bob 2"}, "v": {"ann 2", "bob 2"}, "w": set()}
    assert split.candidate_kinds == ["live"]
    assert split.test.nnz == 2  # ann 2 of u, bob 2 of v: cold both, and to be found
    models = {"popularity": Popularity(), "content": ContentBased()}
    found = compare(models, split, [2])
    ndcg = found.values.query("metric == 'ndcg' and model == 'content'")
    assert ndcg["value"].tolist() == [1.0, 1.0]  # the host that they know comes first
    said = " ".join(split.describe())
    assert "was live when they first entered a live session after the cut" in said


def test_moments_are_held_against_all_sessions_in_batches(evenings, monkeypatch):
    whole = make_split(evenings, binary, cut=CUT, candidates="live")
    monkeypatch.setattr("kpay_lab.evaluate.queries.USERS_AT_ONCE", 1)
    assert make_split(evenings, binary, cut=CUT, candidates="live").fingerprint == whole.fingerprint


def test_live_candidates_need_times_of_sessions_and_a_cut(evenings):
    without_ends = evenings.items.drop(columns="ended_at")
    with pytest.raises(ValueError, match="candidates='live' needs items with started_at and ended"):
        make_split(replace(evenings, items=without_ends), binary, cut=CUT, candidates="live")
    with pytest.raises(ValueError, match=r"candidates='live' needs .*how='time'"):
        make_split(evenings, binary, how="random_rows", candidates="live")
