"""Attribution: right by hand, equal to a slow reference, and no money made or lost."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kpay_lab.business.attribution import NO_TOUCH, NOT_KNOWN, attribute_orders
from kpay_lab.data.derived import are_whole_days
from kpay_lab.data.tables import Tables
from kpay_lab.world.simulate import WorldSpec, open_shop, simulate

DAY = pd.Timedelta(days=1)
ITEMS = pd.DataFrame(
    {
        "item_id": ["course", "book", "live", "clip"],
        "kind": ["course", "book", "live", "short_video"],
        "host": ["Li", "Li", "Wu", None],
        "promotes": [None, None, "course", "course"],
    }
)
SUMS = ["orders", "gmv", "refunded", "net_revenue"]


def moments(texts):
    return pd.to_datetime(pd.Series(texts), utc=True, format="ISO8601").astype(
        "datetime64[us, UTC]"
    )


def log(events, orders, items=ITEMS):
    """Rows of (user, item, time, source), and of (user, item, time, amount, refund)."""
    columns = ["user_id", "item_id", "timestamp", "source_item_id"]
    events = pd.DataFrame(events, columns=columns)
    events["timestamp"] = moments(events["timestamp"])
    columns = ["user_id", "item_id", "timestamp", "amount", "refund_amount"]
    orders = pd.DataFrame(orders, columns=columns)
    orders["timestamp"] = moments(orders["timestamp"])
    return Tables(events, items, orders=orders)


@pytest.fixture
def by_hand():
    events = [
        ("u", "clip", "2026-01-01 10:00", None),
        ("u", "live", "2026-01-03 10:00", None),
        ("u", "course", "2026-01-03 10:01", "live"),  # the step from the live to the course
        ("u", "book", "2026-01-03 10:30", None),  # sells something else
        ("v", "clip", "2026-01-01 10:00", None),  # more than a week before
        ("v", "course", "2026-01-09 12:00", None),
        ("v", "live", "2026-01-10 09:00", None),  # after the order
        ("w", "live", "2026-01-03 10:00", None),
    ]
    orders = [
        ("u", "course", "2026-01-03 11:00", 100.0, 20.0),
        ("v", "course", "2026-01-09 12:00", 50.0, None),  # in the minute of the view
        ("w", "book", "2026-01-03 11:07", 10.0, None),  # never touched
        ("w", None, "2026-01-03 12:00", 30.0, None),  # a subscription
    ]
    return log(events, orders)


def test_the_last_and_the_first_touch_are_found(by_hand):
    found = attribute_orders(by_hand).orders
    assert found["last"].fillna("").tolist() == ["live", "course", "", ""]
    assert found["first"].fillna("").tolist() == ["clip", "course", "", ""]
    wide = attribute_orders(by_hand, window_days=30).orders
    assert wide["first"].fillna("").tolist() == ["clip", "clip", "", ""]


def test_the_table_has_the_money_of_both_rules_and_their_difference(by_hand):
    table = attribute_orders(by_hand).table("kind")
    assert table.index.tolist() == ["live", "course", "short_video", NO_TOUCH]
    assert table["gmv_last"].tolist() == [100, 50, 0, 40]
    assert table["net_revenue_last"].tolist() == [80, 50, 0, 40]
    assert table["refunded_first"].tolist() == [0, 0, 20, 0]
    assert table["difference"].tolist() == [80, 0, -80, 0]
    assert table["orders_last"].tolist() == [1, 1, 0, 2]
    assert table["buyers_last"].tolist() == [1, 1, 0, 1]
    hosts = attribute_orders(by_hand).table("host")["net_revenue_first"]
    assert hosts.to_dict() == {"Wu": 0, "Li": 50, NOT_KNOWN: 80, NO_TOUCH: 40}


def test_what_the_log_says_goes_before_a_touch(by_hand):
    orders = by_hand.orders.assign(source_item_id=["clip", None, "live", None])
    attribution = attribute_orders(Tables(by_hand.events, ITEMS, orders=orders))
    assert attribution.credited("last").fillna("").tolist() == ["clip", "course", "live", ""]
    assert attribution.table("source")["gmv_last"].to_dict() == {
        "clip": 100,
        "course": 50,
        "live": 10,
        NO_TOUCH: 30,
    }
    agreement = attribution.agreement()
    assert agreement["orders"].tolist() == [2, 2]
    assert agreement["share_of_orders"].tolist() == [0, 0.5]
    assert agreement["share_of_gmv"].tolist() == [0, 100 / 110]


def test_the_path_goes_from_the_video_over_the_session_to_the_course():
    """The clip promotes the live session, which promotes the course; each visit says its source."""
    items = ITEMS.assign(promotes=[None, None, "course", "live"])
    events = [
        ("u", "clip", "2026-01-03 09:00", None),
        ("u", "live", "2026-01-03 10:00", "clip"),
        ("v", "live", "2026-01-02 10:00", "clip"),
        ("v", "live", "2026-01-03 10:00", "book"),  # came again from elsewhere
        ("w", "clip", "2026-01-03 09:00", None),
        ("w", "live", "2026-01-03 10:00", None),  # its source is not said: the clip came before
        ("x", "course", "2026-01-03 10:00", None),
        ("z", "live", "2026-01-03 10:00", None),
    ]
    orders = [
        (user, "course", "2026-01-03 11:00", 10.0 * n, None) for n, user in enumerate("uvwxyz", 1)
    ]
    attribution = attribute_orders(log(events, orders, items))
    money = attribution.table("path")
    by_hand = {
        "short video → live → course": (10 + 30, 10 + 20 + 30),
        "book → live → course": (20, 0),
        "live → course": (60, 60),
        "course": (40, 40),
        NO_TOUCH: (50, 50),
    }
    assert money["gmv_last"].to_dict() == {path: last for path, (last, _) in by_hand.items()}
    assert money["gmv_first"].to_dict() == {path: first for path, (_, first) in by_hand.items()}
    assert money["difference"].sum() == 0


def test_a_path_needs_kinds(by_hand):
    bare = Tables(by_hand.events, ITEMS[["item_id"]], orders=by_hand.orders)
    with pytest.raises(ValueError, match="by is 'path'"):
        attribute_orders(bare).table("path")


def test_orders_of_a_day_follow_the_events_of_that_day():
    events = [("u", "live", "2026-01-03 10:00", None)]
    orders = [
        ("u", "course", "2026-01-03", 9.0, None),
        ("u", "course", "2026-01-02", 9.0, None),
    ]
    found = attribute_orders(log(events, orders)).orders
    assert found["last"].fillna("").tolist() == ["live", ""]


def test_orders_before_a_period_are_left_out_and_touches_before_it_count(by_hand):
    start = pd.Timestamp("2026-01-03 11:00", tz="UTC")
    found = attribute_orders(by_hand, since=start).orders
    assert len(found) == 4
    assert found["last"].iloc[0] == "live"
    later = attribute_orders(by_hand, since=start + pd.Timedelta(minutes=30)).orders
    assert later["gmv"].tolist() == [50, 30]


def test_money_that_nobody_knows_is_left_out(by_hand):
    orders = by_hand.orders.drop(columns=["amount", "refund_amount"])
    table = attribute_orders(Tables(by_hand.events, ITEMS, orders=orders)).table()
    assert [*table] == ["orders_last", "buyers_last", "orders_first", "buyers_first", "difference"]
    assert table["difference"].to_dict() == {"live": 1, "course": 0, "short_video": -1, NO_TOUCH: 0}


def test_small_groups_are_hidden():
    events = [(f"u{n}", "live", "2026-01-03", None) for n in range(12)]
    events += [(f"v{n}", "clip", "2026-01-03", None) for n in range(3)]
    events += [(f"w{n}", "course", "2026-01-03", None) for n in range(30)]
    buyers = [user for user, *_ in events]
    orders = [(user, "course", "2026-01-03 10:00", 9.0, None) for user in buyers]
    attribution = attribute_orders(log(events, orders))
    hidden = attribution.hidden("kind", minimum=10)
    assert hidden["gmv_last"].isna().to_dict() == {
        "course": False,
        "live": True,  # or the clip's would follow from the total
        "short_video": True,
    }
    assert len(attribution.plot(minimum=10).get_yticklabels()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orders": None}, "needs a table orders"),
        ({"events": pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})}, "needs a timestamp"),
    ],
)
def test_what_is_missing_is_named(by_hand, change, message):
    tables = Tables(**(by_hand.present() | change))
    with pytest.raises(ValueError, match=message):
        attribute_orders(tables)


def test_wrong_settings_are_refused(by_hand):
    with pytest.raises(ValueError, match="window_days is 0"):
        attribute_orders(by_hand, window_days=0)
    with pytest.raises(ValueError, match="by is 'brand'; this log can tell source, kind, host"):
        attribute_orders(by_hand).table("brand")


# --- random logs


def random_log(seed):
    """A few users, items that promote one another, times to the hour, so that many are equal."""
    rng = np.random.default_rng(seed)
    names = np.array(list("abcdef"))

    def rows(n, first_hour):
        hours = pd.to_timedelta(rng.integers(first_hour, 24 * 15, n), unit="h")
        times = pd.Timestamp("2026-01-01", tz="UTC") + hours
        ids = {"user_id": rng.choice(list("uvw"), n), "item_id": rng.choice(names, n)}
        return pd.DataFrame(ids).assign(timestamp=times.astype("datetime64[us, UTC]"))

    def some(values):
        return pd.Series(values, dtype="str").where(rng.random(len(values)) < 0.4)

    events = rows(int(rng.integers(0, 60)), 0)
    events["source_item_id"] = some(rng.choice(names, len(events)))
    orders = rows(int(rng.integers(1, 25)), 24)
    orders["item_id"] = orders["item_id"].where(rng.random(len(orders)) < 0.9)
    orders["amount"] = pd.Series(rng.integers(1, 100, len(orders)).astype(float))
    orders["amount"] = orders["amount"].where(rng.random(len(orders)) < 0.9)
    orders["refund_amount"] = orders["amount"].where(rng.random(len(orders)) < 0.2)
    if rng.random() < 0.5:
        orders["source_item_id"] = some(rng.choice(names, len(orders)))
    items = pd.DataFrame({"item_id": names[:5], "promotes": some(rng.choice(names, 5))})
    items["kind"] = ["course", "course", "live", "live", "book"]
    return Tables(events, items, orders=orders)


def slowly(tables, window):
    """Look at every event for every order, one by one."""
    promotes = tables.items.set_index("item_id")["promotes"].dropna().to_dict()
    last, first = [], []
    for order in tables.orders.itertuples():
        touches = []
        for number, event in enumerate(tables.events.itertuples()):
            is_in_time = order.timestamp - window <= event.timestamp <= order.timestamp
            if event.user_id != order.user_id or not is_in_time:
                continue
            if event.item_id == order.item_id:
                led = event.source_item_id
                touches.append((event.timestamp, number, event.item_id if pd.isna(led) else led))
            elif promotes.get(event.item_id) == order.item_id:
                touches.append((event.timestamp, number, event.item_id))
        touches.sort()
        last.append(touches[-1][2] if touches else "")
        first.append(touches[0][2] if touches else "")
    return last, first


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), days=st.sampled_from([0.5, 2, 7, 30]))
def test_touches_are_those_of_the_slow_way_and_no_money_is_lost(seed, days):
    tables = random_log(seed)
    assume(not are_whole_days(tables.orders["timestamp"]))  # such orders count to the day's end
    attribution = attribute_orders(tables, window_days=days)
    last, first = slowly(tables, days * DAY)
    assert attribution.orders["last"].fillna("").tolist() == last
    assert attribution.orders["first"].fillna("").tolist() == first
    orders = tables.orders
    amounts = orders["amount"].fillna(0)
    refunds = orders["refund_amount"].fillna(0)
    expected = [len(orders), amounts.sum(), refunds.sum(), (amounts - refunds).sum()]
    if not orders["amount"].notna().any():
        return
    for by in ("source", "kind", "path"):
        table = attribution.table(by)
        for rule in ("last", "first"):
            sums = [table[f"{name}_{rule}"].sum() for name in SUMS]
            assert sums == expected
        assert table["difference"].sum() == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), days=st.integers(2, 14))
def test_a_period_is_attributed_as_a_log_that_ends_with_it(seed, days):
    tables = random_log(seed)
    until = pd.Timestamp("2026-01-01", tz="UTC") + days * DAY
    since = until - 5 * DAY
    known = tables.known_at(until)
    assume(are_whole_days(known.orders["timestamp"]) == are_whole_days(tables.orders["timestamp"]))
    found = attribute_orders(tables, since=since, until=until).orders
    of_known = attribute_orders(known).orders
    is_since = known.orders["timestamp"] >= since
    pd.testing.assert_frame_equal(found, of_known[is_since])


# --- the simulated shop, whose truth knows what sold each order


@pytest.fixture(scope="module")
def shop():
    return simulate(WorldSpec(n_users=800, n_items=200, n_days=60))


def test_no_money_of_the_shop_is_lost(shop):
    orders = shop.tables.orders
    for tables in (shop.tables, without_sources(shop.tables)):
        table = attribute_orders(tables).table("host")
        for rule in ("last", "first"):
            assert table[f"orders_{rule}"].sum() == len(orders)
            assert table[f"gmv_{rule}"].sum() == pytest.approx(orders["amount"].sum())
            refunded = orders["refund_amount"].sum()
            assert table[f"refunded_{rule}"].sum() == pytest.approx(refunded)


def without_sources(tables):
    present = tables.present()
    return Tables(**present | {"orders": tables.orders.drop(columns="source_item_id")})


def test_the_last_touch_finds_what_sold_an_order_and_the_first_does_so_less(shop):
    """Every order follows an opening within half an hour; other touches may come between."""
    tables, truth = shop
    found = attribute_orders(without_sources(tables)).orders
    sold_by = truth.orders["source_item_id"]
    amount = tables.orders["amount"]
    shares = {
        rule: amount[found[rule] == sold_by].sum() / amount.sum() for rule in ("last", "first")
    }
    assert found["last"].notna().all()
    assert shares["last"] > 0.9
    assert shares["first"] < shares["last"]


def test_where_the_log_says_it_the_money_is_where_it_says(shop):
    tables, truth = shop
    attribution = attribute_orders(tables)
    said = tables.orders["source_item_id"].notna()
    sold_by = truth.orders["source_item_id"]
    for rule in ("last", "first"):
        assert (attribution.credited(rule)[said] == sold_by[said]).all()
    agreement = attribution.agreement()
    assert agreement.loc["last", "share_of_gmv"] > agreement.loc["first", "share_of_gmv"]
    assert (agreement["orders"] == said.sum()).all()


def test_pseudonyms_and_consent_leave_the_attribution_as_it_is():
    spec = WorldSpec(n_users=200, n_items=60, n_days=30)
    plain, _ = open_shop(spec)
    masked, _ = open_shop(spec, ids="pseudonymise")
    tables = [attribute_orders(one.tables).table("source") for one in (plain, masked)]
    pd.testing.assert_frame_equal(*tables)
