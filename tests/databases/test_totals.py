"""Totals that a database adds up are those of memory, and the events stay where they are."""

import pandas as pd
import pytest

from kpay_lab.data.databases import Database
from kpay_lab.interest import totals
from kpay_lab.interest.database_log import database_log
from kpay_lab.interest.pushdown import compact_log
from kpay_lab.workbench import compare, open_log
from kpay_lab.world.simulate import WorldSpec, simulate
from tests.databases.stores import KINDS, in_duckdb, in_postgresql, in_sqlite


@pytest.fixture(scope="module")
def addresses(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("totals")
    tables = simulate(WorldSpec(n_users=120, n_items=30, n_days=30, seed=5))[0].present()
    return {
        "sqlite": in_sqlite(tables, folder / "shop.db"),
        "duckdb": in_duckdb(tables, folder / "shop.duckdb"),
        "postgresql": in_postgresql(tables, server, "totals"),
    }


@pytest.fixture(params=KINDS)
def address(request, addresses, password):
    return addresses[request.param]


def assert_same_totals(theirs, ours):
    """Totals of two logs, whose ids stand in the same order."""
    pd.testing.assert_index_equal(theirs.users, ours.users, exact=False)
    pd.testing.assert_index_equal(theirs.items, ours.items, exact=False)
    pd.testing.assert_frame_equal(theirs.pairs, ours.pairs, rtol=1e-12, check_like=True)


def test_a_database_adds_up_as_memory_does(address):
    events = open_log(address, ids="keep").tables.events
    with Database(address) as database:
        log = database_log(database)
        consenting = pd.Series(events["user_id"].unique())
        compact = compact_log(log.only("user_id", consenting), half_life_days=20)
    ours = totals.pair_totals(events, half_life_days=20)
    assert_same_totals(totals.pair_totals(compact), ours)


def test_totals_of_a_whole_log_are_those_of_memory(address):
    memory = open_log(address)
    there = open_log(address, engine="database")
    assert there.cut is not None
    ours = totals.pair_totals(memory.tables.events)
    assert_same_totals(totals.pair_totals(there.tables.events), ours)
    counts = there.rejected.counts.set_index("table").loc["events"]
    assert counts["read"] == memory.rejected.counts.set_index("table").loc["events"]["read"]
    shares = [
        compare(log, ["popularity"], n_trials=0).table()["ndcg@10"] for log in (there, memory)
    ]
    pd.testing.assert_series_equal(*shares, rtol=1e-9)


def test_a_query_may_say_what_is_added_up(server, password):
    address = server.new_database("asked")
    server.run(
        "CREATE TABLE log (who int, what text, at timestamptz, seconds text)",
        "INSERT INTO log VALUES (1, 'a', '2026-01-01', '5'), (1, 'a', '2026-01-02', '7'),"
        " (2, 'b', '2026-01-01', '1')",
        database="asked",
    )
    query = "SELECT who AS user_id, what, at AS timestamp, seconds::float AS watch_time FROM log"
    mapping = {"tables": {"events": query}, "columns": {"events": {"what": "item_id"}}}
    events = open_log(address, engine="database", mapping=mapping).tables.events
    assert events.groupby("user_id", observed=True)["watch_time"].sum().to_dict() == {
        "1": 12,
        "2": 1,
    }
    for wrong, said in {
        "SELECT who AS user_id, what AS item_id, seconds AS watch_time FROM log": "of type text",
        "SELECT who AS user_id, what FROM log": "has no column item_id",
        "SELECT who AS user_id, what AS item_id, -1.0 AS watch_time FROM log": "watch_time is -1",
    }.items():
        with pytest.raises(ValueError, match=said):
            open_log(address, engine="database", mapping={"tables": {"events": wrong}})


def test_an_engine_and_a_place_that_do_not_go_together(addresses, tmp_path):
    with pytest.raises(ValueError, match="set engine to database"):
        open_log(addresses["duckdb"], engine="duckdb")
    with pytest.raises(ValueError, match="let data_dir be its address"):
        open_log(tmp_path, engine="database")
    with pytest.raises(ValueError, match="not units"):
        open_log(addresses["duckdb"], engine="database", mapping={"units": {"watch_time": "ms"}})


def test_a_column_without_values_has_any_type(server, password):
    address = server.new_database("empty_column")
    server.run(
        "CREATE TABLE events (user_id text, item_id text, rating text)",
        "INSERT INTO events VALUES ('u', 'i', NULL)",
        database="empty_column",
    )
    assert "rating" not in open_log(address, engine="database").tables.events
