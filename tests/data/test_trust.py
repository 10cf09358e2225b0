"""How far a log can be trusted, on logs small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.describe import day_findings, long_tail, rhythm, watched_findings
from kpay_lab.data.log import Log
from kpay_lab.data.near_duplicates import duplicate_findings, near_duplicates
from kpay_lab.data.tables import Tables
from kpay_lab.data.trust import (
    Activity,
    Halves,
    activity,
    agreement_in_time,
    compare_halves,
    taste_of_groups,
    time_findings,
)
from kpay_lab.findings import sentence


def said(findings):
    return [sentence(finding) for finding in findings]


def test_activity_counts_people_and_says_who_was_left_out():
    few = activity(pd.DataFrame({"user_id": ["a"] * 12 + ["b"] * 3 + ["c"] * 2}))
    assert few == Activity(3, 17, 3.0, 2, 2 / 3)
    (found,) = few.findings()
    assert found.level == "watch"
    assert sentence(found) == (
        "Most people do little: 66.7 % of the 3 active people have fewer than 10 events, and half "
        "have 3 at most."
    )
    busy = Activity(100, 6000, 50.0, 20, 0.0)
    assert said(busy.findings()) == [
        "Half of the 100 active people have 50 events or more; 0 % have fewer than 10.",
        "Nobody has fewer than 20 events: people who do less seem to have been left out, so "
        "nothing here speaks of newcomers.",
    ]


def test_halves_of_the_people_are_compared():
    events = pd.DataFrame({"user_id": list("uuuvvv"), "item_id": list("aababb")})
    halves = compare_halves(events, pd.Index(["u", "v"]), rng=np.random.default_rng(0))
    assert halves.correlation == pytest.approx(-1)
    assert (halves.n_items, halves.events_per_item, halves.n_halvings) == (2, 3, 20)
    assert halves.low == pytest.approx(-1) and halves.high == pytest.approx(-1)
    alone = compare_halves(events[:3], pd.Index(["u"]), rng=np.random.default_rng(0))
    assert np.isnan(alone.correlation) and alone.findings() == []


@pytest.mark.parametrize(
    ("correlation", "level", "begins"),
    [
        (0.7, "good", "Which items are popular can be trusted: two halves"),
        (0.5, "watch", "Which items are popular can be trusted in part"),
        (0.14, "bad", "Which items are popular cannot be trusted: two halves of the people rank"),
    ],
)
def test_the_agreement_of_halves_is_said_in_words(correlation, level, begins):
    (found,) = Halves(correlation, correlation, correlation, 20, 9359, 1.0).findings()
    assert found.level == level
    assert sentence(found).startswith(begins)


def test_times_that_are_doubtful_are_said():
    halves = Halves(0.9, 0.9, 0.9, 20, 2, 3.0)
    no_times = pd.DataFrame({"user_id": ["a"], "item_id": ["x"]})
    assert said(time_findings(no_times, halves))[0].startswith("When things happened is not known")
    days = pd.to_datetime(["2026-01-01"] * 3 + ["2026-01-02"] * 3, utc=True)
    events = pd.DataFrame({"user_id": "a", "item_id": list("aababb"), "timestamp": days})
    keys = [finding.key for finding in time_findings(events, halves)]
    assert keys == ["log/whole_days", "log/in_time"]
    hours = days + pd.to_timedelta([1, 1, 2, 3, 4, 5], unit="h")
    found = time_findings(events.assign(timestamp=hours), halves)
    assert found[0].values == {"share": 2 / 6}
    assert found[1].values["moves"] is True
    assert agreement_in_time(events.assign(timestamp=hours)) == pytest.approx(-1)
    assert np.isnan(agreement_in_time(events.assign(timestamp=pd.NaT)))


def days(counts):
    return pd.Series(counts, pd.date_range("2026-01-01", periods=len(counts)))


def test_the_ends_of_a_log_are_said_to_be_cut_off():
    (both,) = day_findings(days([1, 10, 10, 10, 4]))
    assert sentence(both) == (
        "The first and the last day seem cut off: 1 and 4 events, against 10 and 10 on the usual "
        "days next to them. Leave them out of a trend."
    )
    (last,) = day_findings(days([5, 10, 10, 10, 4]))
    assert last.values["which"] == "last"
    assert day_findings(days([5, 10, 5])) == []
    assert day_findings(days([3])) == []


def test_days_without_events_are_counted_with_their_longest_run():
    (found,) = day_findings(days([9, 0, 9, 0, 0, 9, 9, 9, 9, 9, 9, 9]))
    assert found.values == {"n": 3, "n_days": 12, "longest": 2, "start": "2026-01-04"}


def test_the_busiest_hour_says_its_zone():
    times = pd.to_datetime(["2026-01-05 20:10", "2026-01-06 20:30", "2026-01-06 08:00"], utc=True)
    pulse = rhythm(pd.DataFrame({"timestamp": times}))
    known, unknown = (pulse.findings("UTC", is_known=told)[0] for told in (True, False))
    assert known.values["hour"] == "20:00 to 21:00" and known.values["share"] == 2 / 3
    assert sentence(unknown).endswith("in which time zone the people live was not said.")


def test_the_watched_share_is_put_in_words():
    (found,) = watched_findings(pd.Series([0.05, 0.1, 0.5, 0.95, 1.0, 2.0]))
    parts = {"left": 2 / 6, "to_the_end": 2 / 6, "longer": 1 / 6}
    assert found.values == {"n": 6, "median": 0.725} | parts
    assert watched_findings(pd.Series([], dtype=float)) == []


def test_the_tail_and_the_size_are_put_in_words():
    events = pd.DataFrame({"user_id": list("aabb"), "item_id": list("xxxy")})
    tail = long_tail(events["item_id"], pd.Index(list("xyz")))
    assert said(tail.findings()) == [
        "The 1 busiest of 3 items have 75 % of the events (Gini 0.5); items without any event: 1."
    ]
    untimed = Log(Tables.validated(events=events))
    assert said(untimed.findings()) == ["4 events of 2 people with 2 items, at times not known."]
    times = pd.to_datetime(["2026-01-05 10:00"] * 3 + ["2026-01-07 00:10"], utc=True)
    timed = Log(Tables.validated(events=events.assign(timestamp=times)))
    assert said(timed.findings()) == [
        "4 events of 2 people with 2 items, from 2026-01-05 to 2026-01-07 (3 days)."
    ]


def test_texts_that_are_nearly_the_same_are_counted():
    texts = pd.Series({"a": "Python for all", "b": "python for all!", "c": "Yoga"})
    pairs = near_duplicates(texts, threshold=0.8)
    (found,) = duplicate_findings(pairs, texts, catalogue="log", threshold=0.8)
    assert (found.level, found.values["n_in_a_pair"], found.values["n_pairs"]) == ("watch", 2, 1)
    (none,) = duplicate_findings(pairs.head(0), texts, catalogue="log", threshold=0.8)
    assert none.level == "good"


def groups_of(n, same):
    """Young people who watch x, and old ones who watch x too, or y."""
    ids = [f"u{number}" for number in range(2 * n)]
    users = pd.DataFrame({"user_id": ids, "gender": ["F"] * n + ["M"] * n})
    other = "x" if same else "y"
    watched = ["x", "y", "x"] * n + ([other, "y", "x"] if same else [other, "y", "y"]) * n
    events = pd.DataFrame({"user_id": np.repeat(ids, 3), "item_id": watched})
    items = pd.DataFrame({"item_id": ["x", "y"], "category": ["war", "love"]})
    return Tables.validated(events=events, users=users, items=items)


def test_groups_that_watch_otherwise_are_told_from_groups_that_do_not():
    rng = np.random.default_rng(0)
    apart = taste_of_groups(groups_of(20, same=False), "gender", "category", rng=rng)
    # women: 2/3 and 1/3; men: 0 and 1; all: 1/3 and 2/3, so each group is 1/3 away
    assert apart.distance == pytest.approx(1 / 3)
    assert apart.p == 1 / 501
    (found,) = apart.findings()
    assert found.values["p_is_floor"] is True
    assert sentence(found).startswith("What people watch differs by gender: 33.3 % of the events")
    alike = taste_of_groups(groups_of(20, same=True), "gender", "category", rng=rng)
    assert (alike.distance, alike.p) == (0, 1)
    (found,) = alike.findings()
    assert sentence(found).startswith("What people watch is not shown to differ by gender")
