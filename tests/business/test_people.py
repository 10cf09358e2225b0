"""Cohorts, groups of buyers, quality and promotions, each beside a plain query."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.business.cohorts import time_between_orders, weekly_cohorts
from kpay_lab.business.periods import Period, choose_period, whole_log
from kpay_lab.business.promotion import contact_return, coupon_return
from kpay_lab.business.quality import content_quality
from kpay_lab.business.rfm import GROUPS, rfm
from kpay_lab.data.tables import Tables
from kpay_lab.workbench import open_log
from tests.conftest import utc
from tests.running import ROOT

DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def shop(small_world):
    return small_world[0]


@pytest.fixture(scope="module")
def courses(real_data):
    mapping = ROOT / "params" / "courses-365.yaml"
    return open_log(real_data("courses-365"), mapping=mapping).tables


@pytest.fixture(scope="module")
def period(shop):
    return choose_period(shop)[0]


def check_cohorts(log: Tables) -> None:
    """Follow every user by a plain loop over cohorts and weeks."""
    span = whole_log(log)
    seen = pd.concat([log.events[["user_id", "timestamp"]], log.orders[["user_id", "timestamp"]]])
    first = seen.groupby("user_id")["timestamp"].min()
    refund = log.orders["refund_amount"].fillna(0) if "refund_amount" in log.orders else 0.0
    orders = log.orders.assign(net=log.orders["amount"] - refund)
    found = weekly_cohorts(log)
    assert found.users.sum() == len(first)
    for start in found.users.index:
        members = first[(first >= start) & (first < start + 7 * DAY)]
        assert found.users[start] == len(members)
        theirs = log.events[log.events["user_id"].isin(members.index)]
        paid = orders[orders["user_id"].isin(members.index)]
        age_of_event = theirs["timestamp"] - theirs["user_id"].map(members)
        age_of_order = paid["timestamp"] - paid["user_id"].map(members)
        for week in found.retention.columns:
            is_known = start + 7 * DAY + 7 * (week + 1) * DAY <= span.end
            if not is_known:
                assert np.isnan(found.retention.loc[start, week])
                assert np.isnan(found.revenue.loc[start, week])
                continue
            inside = (age_of_event >= 7 * week * DAY) & (age_of_event < 7 * (week + 1) * DAY)
            share = theirs.loc[inside, "user_id"].nunique() / len(members)
            assert found.retention.loc[start, week] == pytest.approx(share)
            so_far = paid.loc[age_of_order < 7 * (week + 1) * DAY, "net"].sum()
            assert found.revenue.loc[start, week] == pytest.approx(so_far / len(members))


def test_cohorts_are_those_of_a_plain_loop(shop):
    check_cohorts(shop)


def test_cohorts_of_a_real_platform_are_those_of_a_plain_loop(courses):
    check_cohorts(courses)


def test_a_cell_is_open_until_the_last_of_a_cohort_has_lived_through_it():
    events = pd.DataFrame({"user_id": list("aab"), "item_id": "x"})
    events["timestamp"] = utc("2024-03-01", "2024-03-22", "2024-03-08")
    orders = pd.DataFrame({"user_id": ["a"], "amount": [6.0], "timestamp": utc("2024-03-05")})
    found = weekly_cohorts(Tables(events, orders=orders))
    np.testing.assert_equal(found.retention.to_numpy()[0], [1, 0, np.nan, np.nan])
    np.testing.assert_equal(found.revenue.to_numpy()[0], [6, 6, np.nan, np.nan])
    np.testing.assert_equal(found.revenue.to_numpy()[1], [0, np.nan, np.nan, np.nan])
    without_money = weekly_cohorts(Tables(events, orders=orders.drop(columns="amount")))
    assert without_money.revenue.isna().all(axis=None)


def test_small_cohorts_are_not_shown(shop):
    found = weekly_cohorts(shop).at_least(20)
    assert found.users.min() >= 20 and len(found.users) == len(found.revenue)


def test_the_time_between_orders_is_that_of_each_buyer(shop):
    gaps = []
    for _, times in shop.orders.groupby("user_id")["timestamp"]:
        gaps += (times.sort_values().diff().dropna() / DAY).tolist()
    assert sorted(time_between_orders(shop)) == pytest.approx(sorted(gaps))


def test_rfm_groups_hold_all_buyers_and_all_money(shop, period):
    found = rfm(shop, period)
    known = shop.orders[shop.orders["timestamp"] < period.end]
    refund = known["refund_amount"].where(~(known["refunded_at"] >= period.end), 0)
    table = found.table()
    assert list(table.index) == list(GROUPS.values())
    assert table["buyers"].sum() == known["user_id"].nunique()
    assert table["money"].sum() == pytest.approx((known["amount"] - refund).sum())
    assert table["share_of_money"].sum() == pytest.approx(1)
    recency = (period.end - known.groupby("user_id")["timestamp"].max()) / DAY
    pd.testing.assert_series_equal(found.buyers["recency"], recency, check_names=False)
    orders = known["user_id"].value_counts().sort_index()
    assert found.buyers["frequency"].tolist() == orders.tolist()


def test_small_groups_of_buyers_are_hidden(shop, period):
    shown = rfm(shop, period).hidden(10)
    assert shown["buyers"].min() >= 10 and shown["buyers"].isna().any()
    assert shown.loc[shown["buyers"].isna(), "money"].isna().all()


def test_a_champion_bought_recently_often_and_much():
    orders = pd.DataFrame({"user_id": list("aaabcd"), "amount": [50.0, 50, 50, 1, 90, 2]})
    orders["timestamp"] = utc(*[f"2024-03-{day:02}" for day in (1, 5, 9, 9, 1, 2)])
    log = Tables(pd.DataFrame({"user_id": ["a"], "item_id": ["x"]}), orders=orders)
    group = rfm(log, Period(*utc("2024-03-01", "2024-03-10"))).buyers["group"]
    assert group.to_dict() == {"a": "champions", "b": "new customers", "c": "at risk", "d": "lost"}


def test_quality_counts_items_and_what_hangs_on_them(shop, period):
    table = content_quality(shop, period, low_rating=3.5)
    events = shop.events.query("@period.start <= timestamp < @period.end")
    orders = shop.orders.query("@period.start <= timestamp < @period.end")
    rated = shop.events.query("timestamp < @period.end").groupby("item_id")["rating"].mean()
    items = shop.items
    flagged = {
        "not reviewed": items.loc[~items["reviewed"], "item_id"],
        "author not verified": items.loc[~items["author_verified"], "item_id"],
        "rated low": rated.index[rated < 3.5],
    }
    flagged["any of these"] = pd.concat([pd.Series(ids) for ids in flagged.values()]).unique()
    assert list(table.index) == list(flagged)
    for flag, ids in flagged.items():
        row = table.loc[flag]
        gmv = orders.loc[orders["item_id"].isin(ids), "amount"].sum()
        assert row["items"] == len(ids)
        assert row["share_of_views"] == pytest.approx(events["item_id"].isin(ids).mean())
        assert row["share_of_gmv"] == pytest.approx(gmv / orders["amount"].sum())


def test_a_contact_earns_the_margin_on_an_order(shop, period):
    found = contact_return(shop, period, margin=0.6, contact_cost=2.0)
    orders = shop.orders.query("@period.start <= timestamp < @period.end")
    refund = orders["refund_amount"].where(~(orders["refunded_at"] >= period.end), 0)
    earned = 0.6 * (orders["amount"] - refund).mean()
    assert found.orders_to_break_even == pytest.approx(2000 / earned)
    assert contact_return(shop, period, margin=0.6, contact_cost=0.0) is None


def coupon_log(paid_with: float) -> tuple[Tables, Period]:
    """Forty users with a coupon, forty without, all of whom see one item and buy it."""
    names = [f"u{number}" for number in range(80)]
    has_coupon = np.arange(80) % 2
    exposures = pd.DataFrame({"user_id": names, "item_id": "x", "treatment": has_coupon})
    exposures["timestamp"] = utc("2024-03-01").iloc[0]
    orders = pd.DataFrame({"user_id": names, "item_id": "x"})
    orders["amount"] = np.where(has_coupon == 1, paid_with, 10.0)
    orders["timestamp"] = utc("2024-03-02").iloc[0]
    events = exposures[["user_id", "item_id", "timestamp"]]
    return Tables(events, None, None, orders, exposures), Period(*utc("2024-03-01", "2024-03-05"))


def test_a_coupon_that_sells_nothing_more_returns_nothing():
    log, period = coupon_log(paid_with=8.0)
    terms = {"margin": 0.5, "coupon_price": 0.8, "rng": np.random.default_rng(0)}
    found = coupon_return(log, period, **terms)
    assert found["cost"] == pytest.approx(2) and found["roi"] == pytest.approx(0)
    assert found["profit_with"] == pytest.approx(8 - 5) and found["profit_without"] == 5
    twice, period = coupon_log(paid_with=16.0)  # two orders of 8 in the place of one of 10
    assert coupon_return(twice, period, **terms)["roi"] == pytest.approx((20 * 0.5 - 5) / 4)


def test_no_coupon_by_lot_has_no_return(courses, shop, period):
    terms = {"margin": 0.5, "rng": np.random.default_rng(0)}
    lacks = coupon_return(courses, choose_period(courses)[0], coupon_price=0.8, **terms)
    assert "exposures.treatment" in lacks
    assert "coupon_price 1" in coupon_return(shop, period, coupon_price=1.0, **terms)
