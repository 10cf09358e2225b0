"""Who watches what, and when, on a log small enough to count by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpay_lab.data.derived import age_band
from kpay_lab.data.describe import (
    group_shares,
    long_tail,
    rhythm,
    split_half_correlation,
    watched_share_by_kind,
    who_watches_what,
)
from kpay_lab.data.tables import Tables


@pytest.fixture
def log():
    events = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxxz")})
    items = pd.DataFrame({"item_id": list("xyz"), "category": ["Drama|War", "War", None]})
    users = pd.DataFrame({"user_id": list("abc"), "age": [18.0, 24.0, 31.0]})
    return Tables.validated(events=events, items=items, users=users)


def test_pairs_of_groups_are_counted_and_small_ones_hidden(log):
    counted = who_watches_what(log, "age", "category")
    assert counted.values.tolist() == [["18-24", "Drama", 2, 3], ["18-24", "War", 1, 1]]
    assert group_shares(counted, minimum=1).values.tolist() == [[3 / 4, 1 / 4]]
    assert group_shares(counted, minimum=2).isna().values.tolist() == [[True, True]]
    with pytest.raises(ValueError, match="needs the column gender in users"):
        who_watches_what(log, "gender", "category")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_groups_are_counted_as_by_a_join(seed):
    rng = np.random.default_rng(seed)
    drawn = {"user_id": rng.choice(list("abcdef"), 30), "item_id": rng.choice(list("uvwxyz"), 30)}
    events = pd.DataFrame(drawn, dtype="str")
    ages = pd.Series(rng.integers(10, 70, 5).astype(float)).where(rng.random(5) < 0.8)
    users = pd.DataFrame({"user_id": list("bcade"), "age": ages})
    items = pd.DataFrame({"item_id": list("zvxyw"), "category": rng.choice(["War", "Art"], 5)})
    items["category"] = items["category"].astype("str").where(rng.random(5) < 0.8)
    joined = events.merge(users, on="user_id").merge(items, on="item_id")
    joined = joined.assign(age=age_band(joined["age"])).dropna()
    by_pair = joined.groupby(["age", "category"], observed=True)["user_id"]
    expected = by_pair.agg(n_users="nunique", n_events="size").reset_index()
    found = who_watches_what(Tables(events, items, users), "age", "category")
    assert found.to_numpy().tolist() == expected.to_numpy().tolist()


def test_groups_of_users_stand_from_young_to_old(log):
    users = pd.DataFrame({"user_id": list("abc"), "age": [60.0, 12.0, 31.0]})
    counted = who_watches_what(replace(log, users=users), "age", "category")
    shares = group_shares(counted, minimum=1)
    assert shares.index.tolist() == ["under 18", "55 and over"]
    assert shares["War"].tolist() == [0.0, 0.5]


def test_the_week_is_counted_in_the_time_zone_asked_for():
    times = pd.to_datetime(["2024-01-01 23:30", "2024-01-03 00:00", "2024-01-08 23:45"], utc=True)
    pulse = rhythm(pd.DataFrame({"timestamp": times}), "Asia/Shanghai")
    assert pulse.by_day.tolist() == [1, 1, 0, 0, 0, 0, 0, 1]  # Tuesday 2nd to Tuesday 9th
    assert pulse.by_hour.loc["Tue", 7] == 2 / 2 and pulse.by_hour.loc["Wed", 8] == 1
    assert pulse.by_hour.to_numpy().sum() == 2
    with pytest.raises(ValueError, match="needs a timestamp column"):
        rhythm(pd.DataFrame({"user_id": ["a"]}))


def test_a_share_needs_a_watch_time_and_a_duration():
    events = pd.DataFrame(
        {"item_id": list("xyx"), "watch_time": [5.0, 3.0, None], "duration": [10.0, 0.0, 10.0]}
    )
    assert watched_share_by_kind(events).values.tolist() == [[0.5, "all"]]
    assert watched_share_by_kind(events[["item_id"]]).empty


def test_halves_agree_where_both_rank_the_items():
    events = pd.DataFrame({"user_id": list("uuuvvv"), "item_id": list("aababb")})
    assert split_half_correlation(events, pd.Index(["u", "v"])) == pytest.approx(-1)
    assert np.isnan(split_half_correlation(events[:3], pd.Index(["u"])))
    alike = pd.DataFrame({"user_id": list("uuvv"), "item_id": list("abab")})
    assert np.isnan(split_half_correlation(alike, pd.Index(["u", "v"])))


def test_a_long_tail_and_a_rhythm_draw_themselves():
    tail = long_tail(pd.Series(list("aaabbc")), pd.Index(list("abcd")))
    assert tail.table()["events"].tolist() == [3, 2, 1, 0]
    ax = tail.plot(label="items")
    assert ax.lines[0].get_ydata().tolist() == [3, 2, 1]  # 0 has no place on such a scale
    assert ax.get_legend().get_texts()[0].get_text() == "items"
    times = pd.to_datetime(["2026-01-05 20:10", "2026-01-06 20:30"], utc=True)
    week = rhythm(pd.DataFrame({"timestamp": times}))
    drawn = week.plot().collections[0].get_array()
    assert np.array_equal(drawn, week.table().to_numpy())


@pytest.mark.parametrize("midnight", ["00:00", "16:00", "05:00"])  # UTC, Shanghai, New York
def test_days_without_an_hour_have_a_week_and_no_hours(midnight):
    written = ["2026-01-05", "2026-01-05", "2026-01-07"]
    times = pd.to_datetime([f"{date} {midnight}" for date in written], utc=True)
    n_days_before = 1 if midnight > "12:00" else 0
    events = pd.DataFrame({"timestamp": times - pd.Timedelta(days=n_days_before)})
    pulse = rhythm(events, "America/New_York")
    assert pulse.by_hour is None
    assert pulse.busiest_hour is None
    assert pulse.by_day.tolist() == [2, 0, 1]
    assert pulse.by_day.index[0].date().isoformat() == "2026-01-05"
    assert pulse.by_weekday.tolist() == [2, 0, 1, 0, 0, 0, 0]
    bars = pulse.plot().patches
    assert [bar.get_width() for bar in bars] == pulse.by_weekday.tolist()
    assert pulse.table()["events"].tolist() == pulse.by_weekday.tolist()
