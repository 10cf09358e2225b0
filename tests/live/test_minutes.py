"""The minutes of a session: equal to a slow count, and to a small evening counted by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.live.minutes import concurrent, session_minutes
from kpay_lab.live.sessions import live_sessions

START = pd.Timestamp("2026-01-05 12:00", tz="UTC")
MICRO = "datetime64[us, UTC]"


def after(seconds):
    """Times so many seconds after the session's start; None stays missing."""
    offsets = pd.to_timedelta(pd.Series(seconds, dtype=float), unit="s")
    return (START + offsets).astype(MICRO)


def evening(events, *, minutes=5, orders=None):
    """Tables of one session ``live`` of Li; events are rows of user, second, watch time, likes."""
    events = pd.DataFrame(events, columns=["user_id", "second", "watch_time", "like_count"])
    events["timestamp"] = after(events.pop("second"))
    items = pd.DataFrame({"item_id": ["live", "course"], "kind": ["live", "course"]})
    items["host"] = ["Li", None]
    items["started_at"] = after([0, None])
    items["ended_at"] = after([60 * minutes, None])
    if orders is not None:
        orders = pd.DataFrame(orders, columns=["user_id", "second", "amount"])
        orders["timestamp"] = after(orders.pop("second"))
        orders["item_id"] = "course"
    return Tables(events.assign(item_id="live"), items, orders=orders)


BY_HAND = [
    ("u", 0, 30, 0),  # there from the start, gone before the second minute
    ("v", 10, 100, 1),
    ("w", 60, 600, 0),  # stays past the end
    ("u", 130, 20, 0),  # the second visit of a person
    ("v", 70, None, 1),  # a like alone is no visit
    ("x", 290, 5, 0),
    ("y", 400, 60, 0),  # a recording
]


def test_an_evening_counted_by_hand():
    found = session_minutes(live_sessions(evening(BY_HAND))).of("live")
    assert found["entries"].tolist() == [2, 1, 1, 0, 1]
    assert found["viewers"].tolist() == [1, 2, 1, 1, 1]
    assert found["viewer_seconds"].tolist() == [80, 110, 80, 60, 65]
    assert found["leaves"].tolist() == [1, 1, 1, 0, 1]
    assert found["people"].tolist() == [2, 2, 2, 1, 2]
    assert found["likes"].tolist() == [1, 1, 0, 0, 0]


def test_the_session_in_one_row():
    live = live_sessions(evening(BY_HAND))
    row = session_minutes(live).table().loc["live"]
    assert row[["minutes", "visits", "people"]].tolist() == [5, 5, 4]
    assert row["mean_viewers"] == 6 / 5 and row["peak_viewers"] == 2
    assert row["mean_stay"] == (30 + 100 + 240 + 20 + 5) / 5
    assert live.n_outside == 1
    assert live.visits["is_cut"].tolist() == [False, False, True, False, False]


def test_orders_stand_in_their_minute_and_those_after_the_end_belong_to_no_session():
    tables = evening(BY_HAND, orders=[("v", 61, 10.0), ("w", 500, 30.0), ("z", 20, 5.0)])
    credited = pd.Series(["live", "live", None])
    minutes = session_minutes(live_sessions(tables, credited))
    assert minutes.of("live")["orders"].tolist() == [0, 1, 0, 0, 0]
    assert minutes.table().loc["live", ["orders", "gmv"]].tolist() == [1, 10.0]


def test_minutes_with_few_people_are_hidden():
    minutes = session_minutes(live_sessions(evening(BY_HAND)))
    hidden = minutes.hidden("live", minimum=2)
    assert hidden["entries"].isna().tolist() == [False, False, False, True, False]
    assert hidden["viewers"].isna().tolist() == [False, False, False, True, False]
    assert minutes.findings("live", minimum=5) == []
    (found,) = minutes.findings("live", minimum=4)
    assert found.values["peak"] == 2 and found.values["minute"] == 1


def test_what_few_people_did_is_hidden_in_all_minutes():
    tables = evening(BY_HAND, orders=[("v", 61, 10.0)])
    minutes = session_minutes(live_sessions(tables, pd.Series(["live"])))
    hidden = minutes.hidden("live", minimum=2)
    assert hidden[["likes", "orders"]].isna().all(axis=None)  # one person liked twice
    assert minutes.findings("live", minimum=2)[0].values["orders"] is None
    shown = minutes.hidden("live", minimum=1)
    assert shown["likes"].sum() == 2 and shown["orders"].sum() == 1


def test_without_watch_times_there_are_entries_and_no_viewers():
    events = [("u", 0, None, 0), ("v", 70, None, 0), ("v", 80, None, 1)]
    tables = evening(events)
    bare = tables.with_events(tables.events.drop(columns="watch_time"))
    minutes = session_minutes(live_sessions(bare))
    assert minutes.of("live")["entries"].tolist() == [1, 1, 0, 0, 0]
    assert minutes.of("live")["viewers"].isna().all()
    assert np.isnan(minutes.table().loc["live", "mean_viewers"])


def test_a_session_without_an_end_ends_when_the_last_one_leaves():
    tables = evening([("u", 0, 90, 0), ("v", 20, 40, 0)])
    items = tables.items.assign(ended_at=pd.Series([pd.NaT] * 2, dtype=MICRO))
    live = live_sessions(Tables(tables.events, items))
    assert live.sessions["ended_at"].iloc[0] == START + pd.Timedelta(seconds=91)
    assert live.visits["is_cut"].tolist() == [True, False]  # whoever is last may have been cut off


def test_the_money_of_few_buyers_is_hidden_and_the_audience_is_shown():
    tables = evening(BY_HAND, orders=[("v", 61, 10.0)])
    minutes = session_minutes(live_sessions(tables, pd.Series(["live"])))
    row = minutes.hidden_table(minimum=2, time_zone="Asia/Shanghai").loc["live"]
    assert row["people"] == 4 and row["started"] == "2026-01-05 20:00"
    assert row[["orders", "buyers", "gmv"]].isna().all()
    assert minutes.hidden_table(minimum=5).loc["live", "visits"] is pd.NA
    assert minutes.hidden_table(minimum=1).loc["live", "gmv"] == 10


def test_a_session_is_chosen_by_its_id_or_by_its_audience():
    live = live_sessions(evening(BY_HAND))
    assert live.choose() == live.choose("live") == "live"
    with pytest.raises(ValueError, match=r"'evening'.*try live"):
        live.choose("evening")


def test_a_session_that_nobody_entered_is_left_out():
    tables = evening(BY_HAND)
    earlier = tables.items.head(1).assign(item_id="earlier")
    earlier[["started_at", "ended_at"]] -= pd.Timedelta(days=9)
    items = pd.concat([tables.items, earlier], ignore_index=True)
    assert live_sessions(Tables(tables.events, items)).sessions.index.tolist() == ["live"]


def test_a_log_without_sessions_says_what_it_would_take():
    tables = evening(BY_HAND)
    bare = Tables(tables.events, tables.items.drop(columns="started_at"))
    with pytest.raises(TooLittleError, match="started_at"):
        live_sessions(bare)
    late = tables.events.assign(timestamp=tables.events["timestamp"] + pd.Timedelta(days=1))
    with pytest.raises(TooLittleError, match="no event lies between"):
        live_sessions(Tables(late, tables.items))


VISITS = st.lists(
    st.tuples(st.sampled_from("uvwxy"), st.integers(0, 599), st.integers(0, 700)),
    min_size=1,
    max_size=25,
)


def slow_minutes(visits, n_minutes):
    """Go through every minute and every visit."""
    rows = []
    for minute in range(n_minutes):
        start = 60 * minute
        end = start + 60
        there = [(u, a, min(a + stay, 60 * n_minutes)) for u, a, stay in visits]
        viewers = sum(a <= start < b for _, a, b in there)
        seconds = sum(max(min(b, end) - max(a, start), 0) for _, a, b in there)
        people = {u for u, a, b in there if start <= a < end or (a < end and b > start)}
        entries = sum(start <= a < end for _, a, b in there)
        rows.append((entries, viewers, seconds, len(people)))
    return rows


@given(VISITS, st.integers(10, 12))
def test_minutes_equal_a_slow_count(visits, n_minutes):
    events = [(user, second, stay, 0) for user, second, stay in visits]
    minutes = session_minutes(live_sessions(evening(events, minutes=n_minutes))).of("live")
    fast = minutes[["entries", "viewers", "viewer_seconds", "people"]]
    slow = slow_minutes(visits, n_minutes)
    np.testing.assert_allclose(fast.to_numpy(dtype=float), np.array(slow, dtype=float))


@given(VISITS)
def test_all_seconds_watched_stand_in_the_minutes(visits):
    events = [(user, second, stay, 0) for user, second, stay in visits]
    live = live_sessions(evening(events, minutes=10))
    minutes = session_minutes(live).of("live")
    assert minutes["viewer_seconds"].sum() == pytest.approx(live.visits["stay"].sum())
    assert minutes["entries"].sum() == len(visits)


@given(VISITS)
def test_concurrency_begins_and_ends_with_nobody(visits):
    entered = np.array([second for _, second, _ in visits], dtype=float)
    left = entered + np.array([stay for _, _, stay in visits])
    assert concurrent(entered, left, np.array([-1.0, 2000.0])).tolist() == [0, 0]
