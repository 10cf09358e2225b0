from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.tables import Tables
from kpay_lab.findings import sentence
from kpay_lab.interest.sensitivity import (
    sample_findings,
    sensitivity_findings,
    totals_of_some_users,
    weight_sensitivity,
)
from kpay_lab.interest.totals import pair_totals
from kpay_lab.interest.weighting import (
    InterestWeights,
    describe_scales,
    interest_degree,
    interest_matrix,
    interest_signs,
)


def test_degree_by_hand(tiny):
    A = interest_matrix(tiny)
    ann_python = (0.5 * 90 / 100 + 0.2 * 1 / (1 + 1) + 0.1 * 1 / (1 + 1)) / (0.5 + 0.2 + 0.1)
    bob_python = (0.5 * 1 + 0.2 * 3 / (3 + 1) + 0.1 * 1 / (1 + 1)) / 0.8  # 120 s of 100: clipped
    cai_chess = 0.5 * 60 / 60 / 0.8
    assert A.values[0, 0] == pytest.approx(ann_python, rel=1e-15)
    assert A.values[1, 0] == pytest.approx(bob_python, rel=1e-15)
    assert A.values[2, 2] == pytest.approx(cai_chess, rel=1e-15)
    assert A.values[3].sum() == 0  # dan is cold


def test_without_durations_watching_is_measured_by_the_logs_mean(tiny):
    """Watch times are 90, 30, 120, 15, 60 and 60 seconds: 62.5 on average, which counts half."""
    events = tiny.events.drop(columns="duration")
    signs = interest_signs(pair_totals(events), InterestWeights())
    assert signs["watch"].tolist()[:2] == [90 / (90 + 62.5), 30 / (30 + 62.5)]
    chosen = interest_signs(pair_totals(events), InterestWeights(half_watch=30.0))
    assert chosen["watch"].tolist()[:2] == [90 / 120, 30 / 60]


def test_without_durations_degrees_do_not_depend_on_unit_or_activity(small_world):
    events = small_world[0].events[["user_id", "item_id", "timestamp", "watch_time"]]
    degrees = interest_matrix(Tables(events)).values.data
    in_minutes = events.assign(watch_time=events["watch_time"] / 60)
    np.testing.assert_allclose(interest_matrix(Tables(in_minutes)).values.data, degrees)
    assert 0.2 < np.median(degrees) < 0.6  # it was 0.01: less than what was never seen


def test_the_best_rating_is_the_largest_of_the_log():
    events = pd.DataFrame({"user_id": "u", "item_id": list("abc"), "rating": [10.0, 5.0, 1.0]})
    degrees = interest_matrix(Tables(events)).values.data
    assert degrees == pytest.approx([1.0, 0.5, 0.1])
    out_of_20 = InterestWeights(rating_scale=20.0)
    degrees = interest_matrix(Tables(events), weights=out_of_20).values.data
    assert degrees == pytest.approx([0.5, 0.25, 0.05])


def test_a_log_of_zeros_has_scales_that_divide():
    events = pd.DataFrame({"user_id": "u", "item_id": list("ab"), "watch_time": 0.0, "rating": 0.0})
    assert interest_matrix(Tables(events)).values.data.tolist() == [0.0, 0.0]


def test_scales_that_the_log_has_set_are_said():
    events = pd.DataFrame(
        {"user_id": "u", "item_id": list("ab"), "watch_time": [60.0, 30.0], "rating": [10.0, 5.0]}
    )
    totals = pair_totals(events)
    assert describe_scales(totals, InterestWeights()) == [
        "The log has no durations: 45 seconds of watching count half, its mean "
        "(weights: half_watch).",
        "A rating of 10 counts whole, the largest of the log (weights: rating_scale).",
    ]
    chosen = InterestWeights(half_watch=9.0, rating_scale=5.0)
    assert describe_scales(totals, chosen) == []
    with_durations = pair_totals(events.assign(duration=60.0).drop(columns="rating"))
    assert describe_scales(with_durations, InterestWeights()) == []


def test_bm25_of_what_everybody_met_stays_above_0():
    users = [f"u{n}" for n in range(20)]
    met = [(user, "everybody") for user in users] + [(user, "most") for user in users[1:]]
    events = pd.DataFrame([*met, ("u0", "few"), ("u1", "few")], columns=["user_id", "item_id"])
    weights = interest_matrix(Tables(events), weighting="bm25").values
    assert weights.data.min() > 0
    of_everybody, of_most, of_few = weights[[1]].toarray()[0]
    assert of_everybody < of_most < of_few
    n_met, n_mean = 3, 41 / 20
    idf = np.log(1 + (20 - 2 + 0.5) / (2 + 0.5))
    length = 1 - 0.8 + 0.8 * n_met / n_mean
    assert of_few == pytest.approx(idf * (100 + 1) / (1 + 100 * length))


def test_an_unknown_sign_is_left_out_not_zero():
    events = pd.DataFrame(
        {
            "user_id": ["u", "u"],
            "item_id": ["a", "b"],
            "watch_time": [30.0, 30.0],
            "duration": [60.0, 60.0],
            "rating": [5.0, np.nan],
        }
    )
    weights = InterestWeights(watch=1, rating=1)
    degree = interest_degree(pair_totals(events), weights)
    assert degree.tolist() == [(0.5 + 1.0) / 2, 0.5]


def test_degrees_stay_in_the_unit_range(small_world):
    tables, _ = small_world
    values = interest_matrix(tables, weights=InterestWeights(purchase=0.5)).values.data
    assert 0 <= values.min() < values.max() <= 1


def test_a_purchase_raises_interest(tiny):
    when = pd.Series(pd.to_datetime(["2024-03-02"], utc=True)).astype("datetime64[us, UTC]")
    orders = pd.DataFrame(
        {"user_id": ["ann"], "item_id": ["sql"], "timestamp": when, "amount": [9.0]}
    )
    bought = replace(tiny, orders=orders)
    weights = InterestWeights(purchase=0.2)
    without, with_order = (
        interest_matrix(tiny, weights=weights),
        interest_matrix(bought, weights=weights),
    )
    assert with_order.values[0, 1] == pytest.approx((0.5 * 30 / 60 + 0.2) / 1.0, rel=1e-15)
    assert without.values[0, 1] == pytest.approx(0.5 * 30 / 60 / 0.8, rel=1e-15)


def test_other_weightings(tiny):
    assert interest_matrix(tiny, weighting="binary").values.toarray()[0].tolist() == [1, 1, 0, 0, 0]
    assert interest_matrix(tiny, weighting="counts").values.toarray()[0].tolist() == [2, 1, 0, 0, 0]
    bm25 = interest_matrix(tiny, weighting="bm25").values
    assert bm25.nnz == 6 and bm25.data.min() > 0


def test_auto_is_binary_where_the_log_holds_only_ids():
    log = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "a"]})
    assert interest_matrix(Tables(log)).values.toarray().tolist() == [[1.0]]
    with pytest.raises(ValueError, match="use weighting='binary'"):
        interest_matrix(Tables(log), weighting="interest")


@pytest.mark.parametrize("watch_time", [None, [np.nan, np.nan]])
def test_auto_is_binary_where_marks_are_the_only_signs(watch_time):
    """A view without a like is no lack of interest: the models would rank noise."""
    log = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "like_count": [0, 1]})
    if watch_time is not None:
        log["watch_time"] = watch_time
    assert interest_matrix(Tables(log)).values.toarray().tolist() == [[1.0, 1.0]]
    graded = log.assign(watch_time=[10.0, 30.0])
    assert interest_matrix(Tables(graded)).values.toarray()[0, 0] < 1
    asked = interest_matrix(Tables(log), weighting="interest").values.toarray()
    assert asked.tolist() == [[0.0, 0.5]]


@pytest.mark.parametrize(
    ("weighting", "words"), [("rating", "no rating column"), ("magic", "choose one of auto")]
)
def test_a_weighting_that_cannot_be_is_refused(tiny, weighting, words):
    with pytest.raises(ValueError, match=words):
        interest_matrix(tiny, weighting=weighting)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"watch": -1.0}, "watch is -1"),
        ({"half_like": 0.0}, "half_like is 0"),
        (
            dict.fromkeys(["watch", "like", "comment", "progress", "rating"], 0.0),
            "every weight is 0",
        ),
    ],
)
def test_weights_are_checked(bad, words):
    with pytest.raises(ValueError, match=words):
        InterestWeights(**bad)


def test_sensitivity_counts_the_favourites_that_stay():
    """Degrees of a, b, c are .5, .55, .3: b is the favourite, and a without likes."""
    events = pd.DataFrame(
        {
            "user_id": ["u", "u", "u", "w"],
            "item_id": ["a", "b", "c", "a"],
            "watch_time": [60.0, 36.0, 6.0, 60.0],
            "duration": 60.0,
            "like_count": pd.array([0, 1, 1, 0], dtype="Int64"),
        }
    )
    weights = InterestWeights(watch=1, like=1)
    found = weight_sensitivity(pair_totals(events), weights, k=1).set_index("change")
    stay = {"watch without": 1, "watch doubled": 0, "like without": 0, "like doubled": 1}
    assert found["overlap@1"].to_dict() == stay  # w has one item only and does not count
    only = pair_totals(events.drop(columns="like_count"))
    alone = weight_sensitivity(only, weights, k=3)
    assert alone["change"].tolist() == ["watch doubled"]
    assert np.isnan(alone["overlap@3"].item())


def test_some_users_keep_all_of_their_pairs_and_the_finding_says_how_many():
    users = np.repeat([f"u{number}" for number in range(30)], 4)
    items = np.tile(list("abcd"), 30)
    events = pd.DataFrame({"user_id": users, "item_id": items, "watch_time": np.arange(120.0)})
    totals = pair_totals(events)
    some = totals_of_some_users(totals, 10, rng=np.random.default_rng(0))
    drawn = some.pairs["user"].unique()
    assert len(drawn) == 10
    theirs = totals.pairs[totals.pairs["user"].isin(drawn)].reset_index(drop=True)
    pd.testing.assert_frame_equal(some.pairs, theirs)
    assert some.users is totals.users and some.items is totals.items
    (finding,) = sample_findings(some, totals)
    words = (
        "How much the order depends on the weights was asked of 10 of 30 people, drawn by chance"
    )
    assert sentence(finding).startswith(words)
    whole = totals_of_some_users(totals, 30, rng=np.random.default_rng(0))
    assert whole is totals and sample_findings(whole, totals) == []


def test_findings_say_how_much_the_weights_decide():
    names = ["watch without", "like doubled", "share doubled"]
    for correlations, level, said in (
        ([0.95, 0.99, np.nan], "good", "hardly depends on the weights: without watch"),
        ([0.95, 0.5, np.nan], "watch", "depends on the weights: with the weight of like doubled"),
    ):
        changes = pd.DataFrame({"change": names, "rank_correlation": correlations})
        (found,) = sensitivity_findings(changes)
        assert found.level == level and said in sentence(found)
    assert sensitivity_findings(changes.tail(1)) == []


def test_a_scale_is_said_without_an_exponent():
    events = pd.DataFrame({"user_id": ["u", "w"], "item_id": "i", "watch_time": [4000.0, 4002.0]})
    (sentence,) = describe_scales(pair_totals(events))
    assert "4000 seconds of watching count half" in sentence
