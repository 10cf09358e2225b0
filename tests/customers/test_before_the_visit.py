"""Gifts, follows and visits teach from before the visit in which a purchase is made, never from it.

The log is planted: `u` gave and followed in an earlier session, and again in the visit that ends in
the purchase.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kpay_lab.customers.features import user_features
from kpay_lab.customers.purchases import make_dataset
from kpay_lab.customers.visits import known_from
from kpay_lab.data.tables import Tables

DAY = pd.Timedelta(days=1)
AMOUNTS = ["log gifts", "log gift amount", "log follows"]
NEW = ["gifts", "log gift amount", "gifts to host", "follows", "follows host"]


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(f"2026-01-{text}", tz="UTC")


def times(*texts: str) -> pd.Series:
    return pd.Series([at(text) for text in texts]).astype("datetime64[us, UTC]")


EVENTS = [
    # user, item, time, stay, gift
    ("u", "first", "01 20:00", 600.0, None),
    ("u", "first", "01 20:05", None, 9.0),
    ("v", "first", "01 20:00", 60.0, None),
    ("u", "second", "05 20:00", 3000.0, None),  # the visit in which u buys
    ("u", "second", "05 20:10", None, 500.0),
    ("u", "second", "05 20:11", None, 500.0),
    ("v", "first", "09 20:00", 60.0, None),
]


@pytest.fixture
def planted() -> Tables:
    events = pd.DataFrame(EVENTS, columns=["user_id", "item_id", "at", "watch_time", "gift_amount"])
    events["timestamp"] = times(*events.pop("at"))
    events["duration"] = np.where(events["watch_time"].notna(), 3600.0, np.nan)
    events["gift_amount"] = events["gift_amount"].astype(float)
    items = pd.DataFrame({"item_id": ["first", "second", "course"], "host": ["li", "wang", "wang"]})
    items["started_at"] = times("01 20:00", "05 20:00").reindex(items.index)
    follows = pd.DataFrame({"user_id": "u", "host": ["li", "wang"]})
    follows["timestamp"] = times("01 20:06", "05 20:12")
    exposures = pd.DataFrame({"user_id": ["u", "u", "u", "v"], "item_id": "course"})
    exposures["timestamp"] = times("04 12:00", "05 20:20", "07 12:00", "07 12:00")
    exposures["purchased"] = pd.array([0, 1, 0, 0], dtype="Int64")
    orders = pd.DataFrame({"user_id": ["u"], "item_id": ["course"], "amount": [99.0]})
    orders["timestamp"] = times("05 20:21")
    return Tables.validated(
        events=events, items=items, follows=follows, exposures=exposures, orders=orders
    )


def features_of(tables: Tables) -> pd.DataFrame:
    return make_dataset(tables, at("03 00:00"), 6 * DAY, unit="exposure").X


def test_gifts_and_follows_are_those_from_before_the_visit(planted):
    found = features_of(planted)
    assert np.expm1(found["gifts"]).round(6).tolist() == [1, 1, 3, 0]
    assert np.expm1(found["log gift amount"]).round(6).tolist() == [9, 9, 1009, 0]
    assert np.expm1(found["gifts to host"]).round(6).tolist() == [0, 0, 2, 0]
    assert np.expm1(found["follows"]).round(6).tolist() == [1, 1, 2, 0]
    assert found["follows host"].tolist() == [0, 0, 1, 0]


def test_no_feature_holds_anything_of_the_visit_that_ends_in_the_purchase(planted):
    usual = features_of(planted).iloc[1]
    is_of_visit = planted.events["timestamp"].between(at("05 20:00"), at("05 20:20"))
    without = replace(
        planted, events=planted.events[~is_of_visit], follows=planted.follows.iloc[:1]
    )
    pd.testing.assert_series_equal(usual, features_of(without).iloc[1])
    over = planted.events["watch_time"].mask(planted.events["watch_time"] == 3000, 900.0)
    short = planted.with_events(planted.events.assign(watch_time=over))
    assert features_of(short).loc[1, "gifts"] > usual["gifts"]  # a visit that was over by then


@pytest.mark.parametrize("unit", ["course", "person"])
def test_a_row_at_the_cut_knows_nothing_of_a_visit_that_goes_on(planted, unit):
    cut = at("05 20:20")
    is_of_visit = planted.events["timestamp"].between(at("05 20:00"), cut)
    before = replace(planted, events=planted.events[~is_of_visit], follows=planted.follows.iloc[:1])
    usual = make_dataset(planted, cut, DAY, unit=unit)
    earlier = make_dataset(before, cut, DAY, unit=unit)
    of_u = usual.X[(usual.rows["user_id"] == "u").to_numpy()].iloc[-1]
    expected = earlier.X[(earlier.rows["user_id"] == "u").to_numpy()].iloc[-1]
    assert usual.y.sum() == earlier.y.sum() == 1
    pd.testing.assert_series_equal(of_u, expected, check_names=False)


def test_a_portrait_at_a_moment_is_that_from_before_the_visit(planted):
    gone = user_features(planted, at("07 00:00")).loc["u"]
    inside = user_features(planted, at("05 20:20")).loc["u"]
    before = user_features(planted, at("05 20:00")).loc["u"]
    pd.testing.assert_series_equal(inside, before)
    assert np.expm1(inside[AMOUNTS].astype(float)).round(6).tolist() == [1, 9, 1]
    assert np.expm1(gone["log gift amount"]).round(6) == 1009


def test_somebody_whose_first_visit_goes_on_has_a_portrait_without_anything(planted):
    newcomer = planted.events[planted.events["item_id"] == "second"].assign(user_id="w")
    more = planted.with_events(pd.concat([planted.events, newcomer], ignore_index=True))
    portrait = user_features(more, at("05 20:20")).loc["w"]
    assert portrait["log events"] == portrait["log gifts"] == portrait["log active days"] == 0
    assert np.isnan(portrait["watched share"])


@pytest.mark.parametrize("unit", ["course", "exposure", "person"])
def test_without_gifts_and_follows_every_other_number_is_the_same(small_world, unit):
    tables, _ = small_world
    start, end = tables.span()
    cut = start + 0.7 * (end - start)
    usual = make_dataset(tables, cut, 5 * DAY, unit=unit)
    plain = replace(tables, follows=None, events=tables.events.drop(columns="gift_amount"))
    without = make_dataset(plain, cut, 5 * DAY, unit=unit)
    added = [name for name in usual.X if name not in without.X]
    expected = NEW if unit != "person" else AMOUNTS
    assert added == expected
    pd.testing.assert_frame_equal(usual.X.drop(columns=added), without.X)


def test_without_live_sessions_everything_is_known_from_its_own_time(small_world):
    tables, _ = small_world
    plain = replace(tables, items=tables.items.drop(columns="started_at"))
    assert known_from(plain.events, plain).equals(plain.events["timestamp"])
    of_live = tables.events["item_id"].isin(tables.items["item_id"][tables.items["kind"] == "live"])
    is_later = known_from(tables.events, tables) > tables.events["timestamp"]
    assert is_later.any() and not is_later[~of_live].any()


def test_the_visit_of_a_follow_is_that_of_a_slow_search(small_world):
    tables, _ = small_world
    live = tables.items.loc[tables.items["started_at"].notna(), "item_id"]
    visits = tables.events[tables.events["item_id"].isin(live)].dropna(subset="watch_time")
    left = visits["timestamp"] + pd.to_timedelta(visits["watch_time"], unit="s")
    known = known_from(tables.follows, tables)
    n_inside = 0
    for follow, found in zip(tables.follows.itertuples(), known, strict=True):
        expected = follow.timestamp
        of_user = visits["user_id"] == follow.user_id
        for _ in visits[of_user].index:  # visits that overlap are one
            is_there = of_user & (visits["timestamp"] <= expected) & (left >= expected)
            expected = max([expected, *left[is_there]])
        assert abs(found - expected) < pd.Timedelta(microseconds=2)
        n_inside += expected > follow.timestamp
    assert n_inside > 0
