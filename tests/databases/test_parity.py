"""The same log in files and in a database: the same tables, but for the order of their rows."""

import pandas as pd
import pytest

from kpay_lab.data.tables import Tables, in_order_of_time
from kpay_lab.data.writing import write_tables
from kpay_lab.interest.totals import pair_totals
from kpay_lab.workbench import compare, open_log
from kpay_lab.world.simulate import WorldSpec, simulate
from tests.databases.stores import KINDS, in_duckdb, in_postgresql, in_sqlite

SPEC = WorldSpec(n_users=120, n_items=30, n_days=30, seed=5)


@pytest.fixture(scope="module")
def tables():
    """A shop whose rows stand in an order that no database would keep."""
    found = simulate(SPEC)[0].present()
    shuffled = {}
    for name, frame in found.items():
        shuffled[name] = frame.sample(frac=1, random_state=7).reset_index(drop=True)
    return shuffled


@pytest.fixture(scope="module")
def from_files(tables, tmp_path_factory):
    """The log as CSV, opened."""
    folder = tmp_path_factory.mktemp("log")
    write_tables(Tables(**tables), folder)
    return open_log(folder)


@pytest.fixture(scope="module")
def addresses(tables, server, tmp_path_factory):
    """The same log in each kind of database."""
    folder = tmp_path_factory.mktemp("databases")
    return {
        "sqlite": in_sqlite(tables, folder / "shop.db"),
        "duckdb": in_duckdb(tables, folder / "shop.duckdb"),
        "postgresql": in_postgresql(tables, server, "parity"),
    }


@pytest.fixture(params=KINDS)
def log(request, addresses, password):
    """The log of a database, opened."""
    return open_log(addresses[request.param])


def test_the_tables_are_the_same_up_to_the_order_of_rows(log, from_files):
    assert set(log.tables.present()) == set(from_files.tables.present())
    for name, frame in from_files.tables.present().items():
        of_database = log.tables.present()[name]
        pd.testing.assert_frame_equal(
            in_order_of_time(of_database), in_order_of_time(frame), check_like=True, obj=name
        )
    assert (log.rejected.counts.to_numpy() == from_files.rejected.counts.to_numpy()).all()


def test_ids_stand_by_first_time_then_id(log):
    events = log.tables.events
    first = events.groupby("user_id")["timestamp"].min().reset_index()
    ordered = first.sort_values(["timestamp", "user_id"])["user_id"]
    assert events["user_id"].drop_duplicates().tolist() == ordered.tolist()
    assert events["timestamp"].is_monotonic_increasing


def test_totals_and_a_comparison_are_the_same(log, from_files):
    users = from_files.tables.ids("user_id").sort_values()
    items = from_files.tables.ids("item_id").sort_values()
    theirs = pair_totals(log.tables.events, users=users, items=items).pairs
    ours = pair_totals(from_files.tables.events, users=users, items=items).pairs
    pd.testing.assert_frame_equal(theirs, ours, rtol=1e-12)
    of_database = compare(log, ["popularity"], seed=1, n_trials=0).table()
    of_files = compare(from_files, ["popularity"], seed=1, n_trials=0).table()
    drawn = ["low", "high", "seconds"]  # of people in the order of the log; time that passed
    pd.testing.assert_frame_equal(
        of_database.drop(columns=drawn), of_files.drop(columns=drawn), rtol=1e-9
    )
