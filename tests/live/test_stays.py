"""Survival curves: equal to statsmodels', right by hand, wide enough where people come often."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.duration.survfunc import SurvfuncRight

from kpay_lab.data.tables import Tables
from kpay_lab.live import stays
from kpay_lab.live.sessions import NO_SOURCE, live_sessions
from kpay_lab.live.stays import EVERYBODY, kaplan_meier, share_after, stay_curves, time_until

START = pd.Timestamp("2026-01-05 12:00", tz="UTC")


def test_the_curve_by_hand():
    """Five visits: 10, 20, 20 cut off, 30, 40 cut off."""
    stay = np.array([10.0, 20, 20, 30, 40])
    left = np.array([True, True, False, True, False])
    curve = kaplan_meier(stay, left)
    assert curve["time"].tolist() == [0, 10, 20, 30]
    assert curve["at_risk"].tolist() == [5, 5, 4, 2]
    assert curve["stays"].tolist() == pytest.approx([1, 4 / 5, 4 / 5 * 3 / 4, 4 / 5 * 3 / 4 / 2])
    assert time_until(curve)[0] == 30
    assert share_after(curve, 25.0)["stays"] == pytest.approx(0.6)


STAYS = st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=3, max_size=60)


@given(STAYS)
def test_curve_and_interval_are_those_of_statsmodels(visits):
    """Its standard error is Greenwood's, and ours with a unit a visit."""
    stay = np.array([float(seconds) for seconds, _ in visits])
    left = np.array([ends for _, ends in visits])
    if not left.any():
        return
    curve = kaplan_meier(stay, left).iloc[1:]
    oracle = SurvfuncRight(stay, left.astype(int))
    np.testing.assert_allclose(curve["time"], oracle.surv_times)
    np.testing.assert_allclose(curve["stays"], oracle.surv_prob, atol=1e-12)
    is_inside = (oracle.surv_prob > 1e-9) & (oracle.surv_prob < 1 - 1e-9)
    share = oracle.surv_prob[is_inside]
    half_width = norm.ppf(0.975) * oracle.surv_prob_se[is_inside] / (share * -np.log(share))
    expected_low = np.exp(np.log(share) * np.exp(half_width))
    np.testing.assert_allclose(curve["low"][is_inside], expected_low)


def test_the_median_and_its_ends_are_those_of_statsmodels():
    rng = np.random.default_rng(0)
    stay = np.ceil(rng.exponential(50, 200))
    cut = np.ceil(rng.exponential(80, 200))
    left = stay <= cut
    seen = np.minimum(stay, cut)
    oracle = SurvfuncRight(seen, left.astype(int))
    expected = (oracle.quantile(0.5), *oracle.quantile_ci(0.5, method="cloglog"))
    assert time_until(kaplan_meier(seen, left)) == expected


def test_blocks_of_units_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    stay = rng.exponential(50, 300)
    left = rng.random(300) < 0.8
    units = rng.integers(0, 40, 300)
    whole = kaplan_meier(stay, left, units)
    monkeypatch.setattr(stays, "NUMBERS_A_BLOCK", 1000)
    in_blocks = kaplan_meier(stay, left, units)
    pd.testing.assert_frame_equal(whole, in_blocks)


def test_a_person_who_came_twice_alike_counts_once():
    """Every visit doubled within its person: the interval is that of the visits once."""
    rng = np.random.default_rng(2)
    stay = rng.exponential(50, 100)
    left = rng.random(100) < 0.8
    once = kaplan_meier(stay, left)
    twice = kaplan_meier(np.tile(stay, 2), np.tile(left, 2), np.tile(np.arange(100), 2))
    np.testing.assert_allclose(twice["low"], once["low"])
    naive = kaplan_meier(np.tile(stay, 2), np.tile(left, 2))
    assert naive["low"].iloc[20] > once["low"].iloc[20]


@pytest.mark.slow
def test_the_interval_covers_where_people_are_alike_in_their_visits():
    """60 people with a patience of their own and 1 to 6 visits, cut off at 90 seconds."""
    rng = np.random.default_rng(0)
    n_repetitions = 2000
    draws = np.exp(rng.normal(3.5, 0.8, 400_000)) * rng.exponential(1, 400_000)
    truth = (draws > 40).mean()
    covered = 0
    for _ in range(n_repetitions):
        n_visits = rng.integers(1, 7, 60)
        person = np.repeat(np.arange(60), n_visits)
        patience = np.exp(rng.normal(3.5, 0.8, 60))[person]
        stay = patience * rng.exponential(1, len(person))
        cut = rng.uniform(20, 90, len(person))
        row = share_after(kaplan_meier(np.minimum(stay, cut), stay <= cut, person), 40.0)
        covered += row["low"] <= truth <= row["high"]
    error = np.sqrt(0.95 * 0.05 / n_repetitions)
    assert covered / n_repetitions == pytest.approx(0.95, abs=3.5 * error)


def evening(rows, *, minutes=10):
    events = pd.DataFrame(rows, columns=["user_id", "second", "watch_time", "source_item_id"])
    offsets = pd.to_timedelta(events.pop("second").astype(float), unit="s")
    events["timestamp"] = (START + offsets).astype("datetime64[us, UTC]")
    items = pd.DataFrame({"item_id": ["live", "clip"], "kind": ["live", "short_video"]})
    items["host"] = ["Li", "Li"]
    starts = [START, pd.NaT]
    items["started_at"] = pd.Series(starts, dtype="datetime64[us, UTC]")
    items["ended_at"] = items["started_at"] + pd.Timedelta(minutes=minutes)
    return Tables(events.assign(item_id="live"), items)


def test_who_is_there_at_the_end_did_not_choose_to_leave():
    rows = [(f"u{n}", 60 * n, 60.0, None) for n in range(5)]
    rows += [(f"v{n}", 500, 900.0, "clip") for n in range(5)]
    live = live_sessions(evening(rows))
    curves = stay_curves(live, "source", minimum=1)
    assert list(curves.curves) == [EVERYBODY, NO_SOURCE, "short_video"]
    table = curves.table()
    assert table["cut"].tolist() == [0.5, 0, 1]
    assert table.loc["short_video", "mean_seen"] == 100  # 600 - 500: and they would have stayed
    assert np.isnan(table.loc["short_video", "median"])
    assert table.loc[NO_SOURCE, "median"] == 60
    assert table["share_after_60_s"].tolist()[0] == pytest.approx(0.5)


def test_groups_of_few_people_are_left_out():
    rows = [(f"u{n}", 60 * n, 30.0, None) for n in range(5)] + [("v", 10, 30.0, "clip")] * 9
    curves = stay_curves(live_sessions(evening(rows)), "source", minimum=2)
    assert list(curves.curves) == [EVERYBODY, NO_SOURCE]


def test_what_cannot_be_told_is_refused():
    rows = [("u", 10, np.nan, None)]
    live = live_sessions(evening(rows))
    with pytest.raises(ValueError, match="watch_time"):
        stay_curves(live)
    known = live_sessions(evening([("u", 10, 5.0, None)]))
    with pytest.raises(ValueError, match="by is 'age'"):
        stay_curves(known, "age")
