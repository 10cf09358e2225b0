from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.tables import TooLittleError
from kpay_lab.experiments.ab import estimate_effect
from kpay_lab.experiments.arms import ABData, Metric
from kpay_lab.experiments.by_user import aa_rejections, randomised_users


def test_a_log_becomes_one_row_a_user(small_world):
    tables, _ = small_world
    shown = tables.exposures
    running = shown["treatment"].notna()
    data = randomised_users(tables)
    frame = data.frame.set_index("user_id")
    assert len(frame) == shown.loc[running, "user_id"].nunique()
    assert frame["shown"].sum() == running.sum()
    assert frame["purchased"].sum() == shown.loc[running, "purchased"].sum()
    arms = shown[running].groupby("user_id")["treatment"].first()
    assert ((frame["arm"] == "treated") == (arms.reindex(frame.index) == 1)).all()
    one = frame.index[3]
    start = shown.loc[running, "timestamp"].min()
    before = shown[(shown["user_id"] == one) & (shown["timestamp"] < start)]
    assert frame.loc[one, "clicked_before"] == before["clicked"].sum()
    orders = tables.orders[tables.orders["user_id"].isin(frame.index)]
    net, early = orders["amount"] - orders["refund_amount"], orders["timestamp"] < start
    assert early.any() and not early.all()
    assert frame["revenue"].sum() == pytest.approx(net[~early].sum())
    assert frame["revenue_before"].sum() == pytest.approx(net[early].sum())


def test_without_orders_there_is_no_revenue(small_world):
    tables, _ = small_world
    data = randomised_users(replace(tables, orders=None))
    assert [metric.name for metric in data.metrics] == [
        "purchased",
        "purchased / shown",
        "clicked / shown",
    ]


def test_a_log_without_a_lot_is_refused(small_world):
    tables, _ = small_world
    plain = replace(tables, exposures=tables.exposures.drop(columns="treatment"))
    with pytest.raises(ValueError, match="no treatment"):
        randomised_users(plain)


def test_the_fast_a_a_test_decides_as_welch_on_the_ratio_does():
    """The same splits, judged one by one with the delta method of `estimate_effect`."""
    luck = np.random.default_rng(0)
    counts = luck.integers(1, 60, 300).astype(float)
    sums = luck.binomial(counts.astype(int), luck.beta(2, 5, 300)).astype(float)
    _, by_user = aa_rejections(sums, counts, n_tests=200, rng=np.random.default_rng(1))
    splits = np.random.default_rng(1).random((200, 300)) < 0.5
    rejected = []
    for split in splits:
        arm = np.where(split, "a", "b")
        frame = pd.DataFrame({"unit": range(300), "arm": arm, "s": sums, "n": counts})
        found = estimate_effect(ABData(frame, "unit", "arm", "a", ("b",), ()), Metric("s", per="n"))
        rejected.append(found.pvalue < 0.05)
    assert by_user == pytest.approx(np.mean(rejected), abs=0.015)


@pytest.mark.slow
def test_by_user_the_promise_is_kept_and_by_exposure_broken():
    luck = np.random.default_rng(0)
    counts = luck.integers(20, 100, 2000).astype(float)
    sums = luck.binomial(counts.astype(int), luck.beta(2, 5, 2000)).astype(float)
    by_exposure, by_user = aa_rejections(sums, counts, n_tests=5000, rng=luck)
    print(f"A/A by exposure {by_exposure:.4f}, by user {by_user:.4f}")
    assert by_user == pytest.approx(0.05, abs=3.5 * np.sqrt(0.05 * 0.95 / 5000))
    assert by_exposure > 0.15


def test_a_log_from_which_no_test_by_user_can_be_made_says_why(small_world):
    tables, _ = small_world
    shown = tables.exposures
    crossed = shown.assign(treatment=np.arange(len(shown)) % 2)
    with pytest.raises(TooLittleError, match="were given both arms"):
        randomised_users(replace(tables, exposures=crossed))
    with pytest.raises(TooLittleError, match=r"\d+ users are control, 0 treated"):
        randomised_users(replace(tables, exposures=shown.assign(treatment=0)))
    silent = shown.assign(clicked=0, purchased=0)
    with pytest.raises(TooLittleError, match="no money, click or purchase differs"):
        randomised_users(replace(tables, exposures=silent, orders=None))
    answers = randomised_users(replace(tables, exposures=shown.drop(columns="clicked")))
    assert "purchased / shown" in [metric.name for metric in answers.metrics]


def test_a_a_tests_of_what_never_varies_reject_nothing(recwarn):
    for n_users in (2, 300):
        sums, counts = np.zeros(n_users), np.full(n_users, 3.0)
        found = aa_rejections(sums, counts, n_tests=50, rng=np.random.default_rng(0))
        assert found == (0.0, 0.0)
    assert [str(one.message) for one in recwarn] == []


@pytest.mark.parametrize("treatment", [2, 0.5, -1])
def test_a_treatment_that_is_not_0_or_1_is_refused(small_world, treatment):
    """It would be taken for the control."""
    tables, _ = small_world
    odd = tables.exposures.astype({"treatment": float})
    odd.loc[odd.index[-1], "treatment"] = treatment
    with pytest.raises(
        ValueError, match=f"exposures.treatment holds {treatment:g} in row .*; it must be 0"
    ):
        randomised_users(replace(tables, exposures=odd))


def test_everybody_treated_is_no_test(small_world):
    tables, _ = small_world
    everybody = replace(tables, exposures=tables.exposures.assign(treatment=1))
    with pytest.raises(TooLittleError, match=r"0 users are control, \d+ treated; each arm needs"):
        randomised_users(everybody)


@pytest.mark.parametrize(("name", "message"), [("sums", "sums holds nan"), ("counts", "counts")])
def test_an_a_a_test_of_missing_values_is_refused(name, message):
    given = {"sums": np.ones(10), "counts": np.full(10, 2.0)}
    given[name][2] = np.nan
    with pytest.raises(ValueError, match=message):
        aa_rejections(**given, n_tests=5, rng=np.random.default_rng(0))
