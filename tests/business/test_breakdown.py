"""Where money comes from: every table adds up to the money of the period."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kpay_lab.business.attribution import attribute_orders
from kpay_lab.business.breakdown import (
    BY,
    breakdown,
    by_days,
    concentration,
    groups_of_orders,
    live_figures,
)
from kpay_lab.business.periods import Period, choose_period, whole_log
from kpay_lab.business.roads import ROADS, funnel_of_people, money_kept, roads_to_orders
from kpay_lab.data.tables import Tables
from kpay_lab.workbench import open_log
from kpay_lab.world.simulate import WorldSpec, simulate
from tests.conftest import utc
from tests.running import ROOT


@pytest.fixture(scope="module")
def shop():
    """A shop of which some orders name what sold the item, and some items are not in its list."""
    tables = simulate(WorldSpec(n_users=200, n_items=60, n_days=30, seed=0)).tables
    clips = tables.items.loc[tables.items["kind"] == "short_video", "item_id"]
    orders = tables.orders.assign(source_item_id=None)
    orders.loc[::3, "source_item_id"] = clips.iloc[0]
    items = tables.items[tables.items["item_id"] != orders["item_id"].mode()[0]]
    orders["source_item_id"] = orders["source_item_id"].astype("str")
    return Tables(tables.events, items, tables.users, orders, tables.exposures)


@pytest.fixture(scope="module")
def courses(real_data):
    mapping = ROOT / "params" / "courses-365.yaml"
    return open_log(real_data("courses-365"), mapping=mapping).tables


@pytest.fixture(scope="module")
def period(shop):
    return choose_period(shop)[0]


@pytest.fixture(scope="module")
def sold(shop, period):
    """The orders of the period by plain pandas, with their refunds known by its end."""
    orders = shop.orders.query("@period.start <= timestamp < @period.end").copy()
    orders["refunded"] = orders["refund_amount"].where(~(orders["refunded_at"] >= period.end), 0)
    return orders


def test_a_group_has_the_money_of_its_orders(shop, period, sold):
    kind = sold["item_id"].map(shop.items.set_index("item_id")["kind"]).fillna("not known")
    table = breakdown(shop, "kind", period)
    expected = sold.groupby(kind)["amount"].sum()
    assert table["gmv"].to_dict() == pytest.approx(expected.to_dict())
    assert table["paying_users"].to_dict() == sold.groupby(kind)["user_id"].nunique().to_dict()
    refunded = sold.groupby(kind)["refunded"].sum()
    assert table["refunded"].to_dict() == pytest.approx(refunded.to_dict())
    assert table["gmv"].is_monotonic_decreasing and "not known" in table.index


@pytest.mark.parametrize("by", BY)
def test_money_is_conserved_in_every_breakdown(shop, period, sold, by):
    before = period.before()
    table = breakdown(shop, by, period, before)
    assert table["gmv"].sum() == pytest.approx(sold["amount"].sum())
    assert table["refunded"].sum() == pytest.approx(sold["refunded"].sum())
    assert table["net_revenue"].sum() == pytest.approx((sold["amount"] - sold["refunded"]).sum())
    assert table["orders"].sum() == len(sold)
    assert table["share"].sum() == pytest.approx(1)
    earlier = shop.orders["timestamp"].between(before.start, before.end, inclusive="left")
    assert table["gmv_before"].sum() == pytest.approx(shop.orders.loc[earlier, "amount"].sum())


def test_a_log_that_cannot_tell_a_group_says_which_it_can(shop, period, courses):
    with pytest.raises(ValueError, match="can be grouped by kind, category, host"):
        breakdown(shop, "brand", period)
    assert groups_of_orders(courses).empty


@pytest.mark.parametrize("n_days", [1, 7])
@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Shanghai"])
def test_money_and_views_are_conserved_over_time(shop, n_days, time_zone):
    log = whole_log(shop)
    table = by_days(shop, log, n_days=n_days, time_zone=time_zone)
    assert table["gmv"].sum() == pytest.approx(shop.orders["amount"].sum())
    assert table["views"].sum() == len(shop.events)
    assert table["orders"].sum() == len(shop.orders)
    assert (table["days"] <= n_days).all()
    assert table.index.to_series().diff().dropna().eq(pd.Timedelta(days=n_days)).all()


def test_a_day_is_that_of_plain_pandas(shop):
    table = by_days(shop, whole_log(shop), time_zone="Asia/Shanghai")
    local = shop.orders["timestamp"].dt.tz_convert("Asia/Shanghai").dt.strftime("%Y-%m-%d")
    expected = shop.orders.groupby(local)["amount"].sum()
    found = table.loc[table["orders"] > 0, "gmv"]
    found.index = found.index.strftime("%Y-%m-%d")
    assert found.to_dict() == pytest.approx(expected.to_dict())


def test_days_of_a_real_platform_are_those_of_its_file(courses, real_data):
    raw = pd.read_csv(real_data("courses-365") / "365_student_purchases.csv")
    table = by_days(courses, whole_log(courses), time_zone="Asia/Shanghai")
    found = table.loc[table["orders"] > 0, "orders"]
    found.index = found.index.strftime("%Y-%m-%d")
    assert found.to_dict() == raw["date_purchased"].value_counts().to_dict()


def test_the_top_hundredth_is_at_least_one(shop, period, sold):
    table = concentration(shop, period)
    for name, column in {"buyers": "user_id", "items": "item_id"}.items():
        totals = sold.groupby(column)["amount"].sum().sort_values(ascending=False)
        n_top = int(np.ceil(len(totals) / 100))
        expected = totals.head(n_top).sum() / totals.sum()
        assert table.loc[name, "share_of_gmv"] == pytest.approx(expected)
        assert table.loc[name, ["n", "top"]].tolist() == [len(totals), n_top]


def test_people_count_once_and_hold_all_the_money(shop, period, sold):
    people = funnel_of_people(shop, period).set_index("step")
    events = shop.events.query("@period.start <= timestamp < @period.end")
    assert people.loc["watched", "n"] == events["user_id"].nunique()
    buyers = people.loc[["bought", "bought unseen"]]
    assert buyers["n"].sum() == sold["user_id"].nunique()
    assert buyers["gmv"].sum() == pytest.approx(sold["amount"].sum())
    assert people.loc["bought again", "n"] == (sold["user_id"].value_counts() > 1).sum()
    paid_back = sold.loc[sold["refunded"] > 0, "user_id"].nunique()
    assert people.loc["paid back", "n"] == paid_back


def test_an_order_takes_one_road(shop, period, sold):
    roads = roads_to_orders(shop, period)
    assert roads["orders"].sum() == len(sold)
    assert roads["gmv"].sum() == pytest.approx(sold["amount"].sum())
    assert roads["net_revenue"].sum() == pytest.approx((sold["amount"] - sold["refunded"]).sum())
    kept = money_kept(shop, period, margin=0.6)
    assert kept["gross profit"] == pytest.approx(0.6 * roads["net_revenue"].sum())


def test_the_nearest_contact_by_then_is_the_road():
    events = pd.DataFrame({"user_id": list("abbc"), "item_id": ["clip", "x", "x", "x"]})
    events["timestamp"] = utc("2024-03-01 10", "2024-03-01 11", "2024-03-03 10", "2024-03-05 10")
    events["like_count"] = [1, 0, 1, 1]
    items = pd.DataFrame({"item_id": ["clip", "x"], "promotes": ["x", None]})
    exposures = pd.DataFrame({"user_id": ["c", "d"], "item_id": ["x", "y"]})
    exposures["timestamp"] = utc("2024-03-01 09", "2024-03-01 09")
    orders = pd.DataFrame({"user_id": list("abcd"), "item_id": "x", "amount": [1.0, 2.0, 4.0, 8.0]})
    orders["timestamp"] = utc("2024-03-02 08", "2024-03-02 09", "2024-03-02 10", "2024-03-02 11")
    log = Tables(events, items, None, orders, exposures)
    period = Period(*utc("2024-03-02", "2024-03-04"))
    roads = roads_to_orders(log, period)
    assert roads["gmv"].to_dict() == dict(zip(ROADS, [1.0, 2.0, 4.0, 8.0], strict=True))


def contacts_and_orders(seed):
    """A few people and items in four days, so that most orders have several contacts before."""
    rng = np.random.default_rng(seed)

    def rows(n):
        hours = pd.to_timedelta(rng.integers(0, 96, n), unit="h")
        ids = {"user_id": rng.choice(list("uvwx"), n), "item_id": rng.choice(list("abcd"), n)}
        times = pd.Timestamp("2024-03-01", tz="UTC") + hours
        return pd.DataFrame(ids).assign(timestamp=times.astype("datetime64[us, UTC]"))

    events = rows(12).assign(like_count=rng.integers(0, 2, 12), share_count=[None, *[0.0] * 11])
    orders = rows(15).assign(amount=2.0 ** np.arange(15))
    orders["item_id"] = orders["item_id"].where(rng.random(15) < 0.8)
    items = pd.DataFrame({"item_id": [*"abc"], "promotes": ["b", None, "d"]})
    return Tables(events, items, orders=orders, exposures=rows(12))


def road_of(order, log, end):
    """Look at every contact of one order, one by one."""
    promotes = log.items.set_index("item_id")["promotes"].to_dict()
    found = ROADS[3]
    for name, rows in ((ROADS[2], log.exposures), (ROADS[1], log.events), (ROADS[0], log.events)):
        for row in rows.itertuples():
            is_about = order.item_id in (row.item_id, promotes.get(row.item_id))
            is_before = row.timestamp <= order.timestamp and row.timestamp < end
            is_theirs = row.user_id == order.user_id and (is_about or pd.isna(order.item_id))
            if is_theirs and is_before and (name != ROADS[0] or row.like_count > 0):
                found = name
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_road_of_an_order_is_that_of_the_slow_way(seed):
    log = contacts_and_orders(seed)
    period = Period(*utc("2024-03-02", "2024-03-04"))
    within = log.orders["timestamp"].between(period.start, period.end, inclusive="left")
    assume(within.any())
    expected = dict.fromkeys(ROADS, 0.0)
    for order in log.orders[within].itertuples():
        expected[road_of(order, log, period.end)] += order.amount
    assert roads_to_orders(log, period)["gmv"].to_dict() == expected


def test_the_money_of_a_platform_without_items_is_conserved(courses):
    period, _ = choose_period(courses)
    inside = courses.orders["timestamp"].between(period.start, period.end, inclusive="left")
    gmv = courses.orders.loc[inside, "amount"].sum()
    assert roads_to_orders(courses, period)["gmv"].sum() == pytest.approx(gmv)
    people = funnel_of_people(courses, period).set_index("step")["gmv"]
    assert people["bought"] + people["bought unseen"] == pytest.approx(gmv)


def test_money_that_is_not_known_is_left_out_of_tables(shop, period):
    orders = shop.orders.drop(columns=["amount", "refund_amount"])
    log = Tables(shop.events, shop.items, orders=orders)
    tables = [breakdown(log, "kind", period, period.before()), by_days(log, period)]
    tables += [roads_to_orders(log, period), funnel_of_people(log, period)]
    for table in tables:
        assert not {"gmv", "net_revenue", "refunded", "share", "gmv_before"} & set(table)


@pytest.fixture
def evenings():
    """Two sessions of Li that share a title, one of Wu; a recording, a course page, a refund."""
    items = pd.DataFrame({"item_id": ["a", "b", "c", "course"], "host": ["Li", "Li", "Wu", "Wu"]})
    items["title"] = ["Evening", "Evening", "Morning", "Course"]
    items["kind"] = ["live", "live", "live", "course"]
    events = pd.DataFrame({"user_id": [*"uvuwu"], "item_id": ["a", "a", "b", "c", "course"]})
    events["timestamp"] = utc(*["2026-01-05 20:00"] * 5)
    orders = pd.DataFrame({"user_id": [*"uvwx"], "item_id": "course"})
    orders["source_item_id"] = ["a", "b", "c", None]
    orders["amount"] = [10.0, 20, 30, 40]
    orders["refund_amount"] = [0, 5.0, 0, 0]
    orders["timestamp"] = utc(*["2026-01-05 21:00"] * 4)
    return Tables(events, items, orders=orders)


def test_sessions_and_hosts_have_the_figures_of_what_they_are_credited_with(evenings):
    period = whole_log(evenings)
    credited = attribute_orders(evenings).credited("last")
    by_session = live_figures(evenings, "session", period, credited)
    assert by_session["gmv"].to_dict() == {"Morning": 30, "Evening (b)": 20, "Evening (a)": 10}
    assert by_session["viewers"].tolist() == [1, 1, 2]
    assert by_session["gpm"].tolist() == [30_000, 20_000, 5_000]
    by_host = live_figures(evenings, "host", period, credited)
    assert by_host.loc["Li", ["views", "viewers", "orders"]].tolist() == [3, 2, 2]
    assert by_host.loc["Li", ["gmv", "net_revenue", "value_per_order"]].tolist() == [30, 25, 15]
    assert by_host.loc["Li", "uv_value"] == 15 and by_host.loc["Li", "refund_rate"] == 5 / 30


def test_figures_of_sessions_leave_out_what_the_log_cannot_tell(evenings):
    period = whole_log(evenings)
    bare = evenings.orders.drop(columns=["amount", "refund_amount"])
    tables = Tables(evenings.events, evenings.items, orders=bare)
    credited = attribute_orders(tables).credited("last")
    table = live_figures(tables, "session", period, credited)
    assert [*table] == ["views", "viewers", "orders", "paying_users"]
    no_live = Tables(evenings.events, evenings.items.drop(columns="kind"), orders=bare)
    assert live_figures(no_live, "session", period, credited).empty
