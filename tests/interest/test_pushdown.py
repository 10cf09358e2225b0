"""Totals asked of a database are the totals in memory."""

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kpay_lab.interest import pushdown, totals
from kpay_lab.interest.parquet_log import DuckDBLog, open_duckdb
from kpay_lab.interest.pushdown import IbisLog, check_values, compact_log, moment_at
from tests.interest.test_parquet_log import assert_same, random_log


def as_columns(events):
    """Write events in the columns of `pushdown`, without a place."""
    times = events["timestamp"].astype("int64")
    measures = events.columns.drop(["user_id", "item_id", "timestamp"])
    floats = events[measures].astype("float64")
    return pd.concat([events[["user_id", "item_id"]], times.rename("time"), floats], axis=1)


def in_sqlite(events):
    database = ibis.sqlite.connect()
    as_columns(events).to_sql("events", database.con, index=False)
    return IbisLog(database.table("events"))


def in_duckdb(events):
    database = open_duckdb()
    written = as_columns(events)
    database.con.register("written", written)
    database.con.execute("CREATE TABLE events AS SELECT * FROM written")
    return DuckDBLog(database.table("events"), database)


DATABASES = pytest.mark.parametrize("database", [in_sqlite, in_duckdb])


@DATABASES
@pytest.mark.parametrize("half_life_days", [None, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_totals_of_a_database_equal_those_in_memory(database, seed, half_life_days):
    events = random_log(seed)
    in_order = events.sort_values(["timestamp", "user_id", "item_id"], ignore_index=True)
    found = pushdown.pair_totals(database(events), half_life_days=half_life_days)
    assert_same(found, totals.pair_totals(in_order, half_life_days=half_life_days))


@DATABASES
def test_ids_of_one_time_stand_in_order_of_code_points(database):
    rows = [("b", "x", 1), ("é", "x", 1), ("Z", "x", 1), ("用户", "y", 0), ("a", "x", 2)]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    events["timestamp"] = pd.to_datetime(events["timestamp"], unit="D", utc=True)
    compact = compact_log(database(events))
    assert compact["user_id"].tolist() == ["用户", "Z", "b", "é", "a"]


@DATABASES
def test_a_log_is_cut_counted_and_narrowed_there(database):
    events = random_log(4)
    log = database(events)
    cut = moment_at(log, 0.8)
    assert cut == events["timestamp"].sort_values().iloc[160]
    assert check_values(log) == 200
    kept = log.only("user_id", pd.Series(["u", "v"]))
    compact = compact_log(kept, cut=cut)
    expected = events[events["user_id"].isin(["u", "v"])]
    assert compact["n_rows"].sum() == len(expected)
    later = expected[expected["timestamp"] >= cut]
    assert compact.loc[compact["later"], "n_rows"].sum() == len(later)


class EndlessLog(IbisLog):
    """A log of a pair a row, in so many rows that no machine holds their totals."""

    def fetch(self, answer):
        names = answer.columns
        cells = pa.array(np.zeros(2**20, dtype=np.int64))
        column = pa.chunked_array([cells] * 2**20)
        return pa.Table.from_arrays([column] * len(names), names)


def test_totals_that_outgrow_memory_are_refused_in_one_line():
    log = EndlessLog(in_sqlite(random_log(0)).events)
    with pytest.raises(ValueError) as caught:
        compact_log(log)
    message = str(caught.value)
    assert message.startswith("the interest matrix of 1,099,511,627,776 totals")
    assert "GB are free; add up fewer events with since and until" in message
    assert "\n" not in message
