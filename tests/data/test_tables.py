"""The schemas, the order of ids, and the window of time."""

import pandas as pd
import pandera.errors
import pytest

from kpay_lab.data.tables import Tables, window


def log(times):
    stamps = pd.Series(pd.to_datetime(times, format="ISO8601", utc=True)).dt.as_unit("us")
    ids = [f"u{i}" for i in range(len(times))]
    return pd.DataFrame({"user_id": ids, "item_id": "i", "timestamp": stamps})


def test_validated_lists_all_problems_of_a_frame():
    events = pd.DataFrame({"user_id": ["u", ""], "item_id": ["i", "i"], "watch_time": [-1.0, 2.0]})
    with pytest.raises(pandera.errors.SchemaErrors) as error:
        Tables.validated(events=events)
    assert set(error.value.failure_cases["column"]) == {"user_id", "watch_time"}


def test_ids_are_numbered_as_in_the_log_and_cold_ones_follow():
    events = pd.DataFrame({"user_id": ["b", "a", "b"], "item_id": ["y", "x", "y"]})
    users = pd.DataFrame({"user_id": ["cold", "a", "b"]})
    tables = Tables.validated(events=events, users=users)
    assert tables.ids("user_id").tolist() == ["b", "a", "cold"]
    assert tables.ids("item_id").tolist() == ["y", "x"]
    assert list(tables.present()) == ["events", "users"]


def test_window_is_half_open_in_utc_and_leaves_users_whole():
    events = log(["2024-01-01", "2024-01-02", "2024-01-02 23:00", "2024-01-03", None])
    users = events[["user_id"]]
    tables = Tables(events=events, users=users, exposures=events)
    kept = window(tables, "2024-01-02", "2024-01-03")
    assert kept.events["user_id"].tolist() == kept.exposures["user_id"].tolist() == ["u1", "u2"]
    assert len(kept.users) == 5
    shifted = window(tables, since="2024-01-03T07:00:00+08:00")
    assert shifted.events["user_id"].tolist() == ["u2", "u3"]
    assert window(tables, None, "") is tables


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (("2025-01-01", None), "no event from since=2025-01-01 to until=None; the log runs from"),
        (("soon", None), "since is 'soon'; it must be an ISO time"),
    ],
)
def test_window_says_what_is_wrong(bounds, message):
    with pytest.raises(ValueError, match=message):
        window(Tables(events=log(["2024-01-01"])), *bounds)
    with pytest.raises(ValueError, match="the events have no timestamp"):
        window(Tables(events=pd.DataFrame({"user_id": ["u"], "item_id": ["i"]})), "2024-01-01")


NOON = pd.Timestamp("2024-01-02 12:00", tz="UTC")


@pytest.fixture
def sold():
    """Four orders before noon (refunded before, at noon, undated, not at all), one at it."""
    refunds = {
        "refund_amount": [5.0, 6.0, 7.0, None, 8.0],
        "refunded_at": pd.to_datetime(
            ["2024-01-02 11:00", "2024-01-02 12:00", None, None, "2024-01-03"],
            format="ISO8601",
            utc=True,
        ),
    }
    times = ["2024-01-01"] * 4 + ["2024-01-02 12:00"]
    events = log(["2024-01-01", "2024-01-02 12:00", None])
    users = events[["user_id"]]
    orders = log(times).assign(amount=10.0, **refunds)
    return Tables(events=events, users=users, orders=orders, exposures=events)


def test_known_at_takes_back_what_was_not_known(sold):
    known = sold.known_at(NOON)
    assert known.events.index.tolist() == known.exposures.index.tolist() == [0]
    assert known.users is sold.users
    assert known.orders.index.tolist() == [0, 1, 2, 3]
    assert known.orders["refund_amount"].fillna(-1).tolist() == [5.0, 0.0, 7.0, -1.0]
    assert known.orders["refunded_at"].isna().tolist() == [False, True, True, True]
    assert sold.orders["refund_amount"].tolist()[1] == 6.0  # input untouched


@pytest.mark.parametrize("absent", ["refunded_at", "refund_amount"])
def test_known_at_takes_a_refund_column_alone_as_it_is(sold, absent):
    some = Tables(events=sold.events, orders=sold.orders.drop(columns=absent))
    known = some.known_at(NOON).orders
    if absent == "refunded_at":
        assert known["refund_amount"].fillna(-1).tolist() == [5.0, 6.0, 7.0, -1.0]
    else:
        assert known["refunded_at"].isna().tolist() == [False, True, True, True]


@pytest.mark.parametrize("day", ["2000-01-01", "2024-01-01", "2024-01-02"])
def test_within_is_what_was_known_at_the_end_since_the_start(sold, day):
    start = pd.Timestamp(day, tz="UTC")
    once = sold.within(start, NOON)
    twice = sold.known_at(NOON).since(start)
    assert once.present().keys() == twice.present().keys()
    for name, frame in twice.present().items():
        pd.testing.assert_frame_equal(once.present()[name], frame)


def test_a_table_that_is_kept_whole_is_not_the_table_itself(sold):
    """It shares the memory, and what is written into it is not written into the log."""
    timed = Tables(events=sold.events.dropna())
    kept = timed.since(pd.Timestamp("2000-01-01", tz="UTC")).events
    kept["user_id"] = "somebody"
    assert timed.events["user_id"].tolist() == ["u0", "u1"]


def test_a_row_without_a_time_is_neither_before_nor_after(sold):
    assert sold.since(NOON).events.index.tolist() == [1]
    assert sold.since(pd.Timestamp("2000-01-01", tz="UTC")).events.index.tolist() == [0, 1]
    assert sold.known_at(pd.Timestamp("2100-01-01", tz="UTC")).events.index.tolist() == [0, 1]


def test_a_moment_needs_events_with_times():
    timeless = Tables(events=pd.DataFrame({"user_id": ["u"], "item_id": ["i"]}))
    for ask in (timeless.known_at, timeless.since):
        with pytest.raises(ValueError, match="the events have no timestamp"):
            ask(NOON)


def test_a_window_knows_no_refund_after_its_end(sold):
    orders = window(sold, until=NOON.isoformat()).orders
    assert orders["refund_amount"].fillna(-1).tolist() == [5.0, 0.0, 7.0, -1.0]
