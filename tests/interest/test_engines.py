"""A log read as totals leads to the same split as the log read whole."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kpay_lab.evaluate.split import make_split
from kpay_lab.interest.engines import DuckDB, Spark, open_engine
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.workbench import open_log
from kpay_lab.world import WorldSpec

ROOT = Path(__file__).parents[2]
WINDOW = {"since": "2026-01-10", "until": "2026-01-25"}


@pytest.fixture(scope="module")
def folder(small_world, tmp_path_factory):
    """The simulated log as Parquet parts, shuffled, with missing durations and a stranger."""
    tables, _ = small_world
    folder = tmp_path_factory.mktemp("log")
    for name in ("users", "items", "orders"):
        getattr(tables, name).to_parquet(folder / f"{name}.parquet")
    (folder / "events").mkdir()
    events = tables.events.sample(frac=1, random_state=0, ignore_index=True)
    events.loc[::7, "duration"] = np.nan
    events.loc[5, "user_id"] = "stranger"
    for number, rows in enumerate(np.array_split(np.arange(len(events)), 4)):
        events.iloc[rows].to_parquet(folder / "events" / f"part-{number}.parquet", index=False)
    return folder


@pytest.mark.parametrize("window", [{}, WINDOW])
@pytest.mark.parametrize("relevant", ["any", "purchase", "interest"])
def test_the_split_is_the_same(folder, window, relevant):
    streamed = open_log(folder, engine="duckdb", **window)
    whole = open_log(folder, **window)
    assert whole.cut is None
    asked = {"how": "time", "relevant": relevant, "cold_items": "recommend"}
    found = make_split(streamed.tables, interest_matrix, cut=streamed.cut, **asked)
    expected = make_split(whole.tables, interest_matrix, **asked)
    assert found.cut == expected.cut
    pd.testing.assert_frame_equal(found.table(), expected.table())
    for name in ("users", "items"):
        ours, theirs = (getattr(part.train.interest, name) for part in (found, expected))
        pd.testing.assert_index_equal(ours, theirs)
    gap = found.train.interest.values - expected.train.interest.values
    assert np.abs(gap.data).max(initial=0.0) < 1e-12
    for name in ("test", "seen"):
        assert (getattr(found, name) != getattr(expected, name)).nnz == 0
    assert np.array_equal(found.candidates, expected.candidates)


def test_rows_left_out_are_counted_alike(folder):
    for engine in ("memory", "duckdb"):
        counts = open_log(folder, engine=engine).rejected.counts.set_index("table")
        assert counts.loc["events", "rejected"] == 1
        assert counts.loc["events", "read"] == counts.loc["events", "good"] + 1


def test_the_page_is_told_what_a_row_is(folder):
    notes = " ".join(open_log(folder, engine="duckdb").notes)
    assert "a row of the events is the total of a user and an item" in notes


def test_pseudonyms_reach_totals(folder):
    log = open_log(folder, engine="duckdb", ids="pseudonymise")
    users = log.tables.ids("user_id")
    assert users.str.fullmatch("p[0-9a-f]{32}").all()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"engine": "duck"}, "it must be one of memory, duckdb, spark"),
        ({"engine": "polars"}, "engine polars is gone; set engine to duckdb"),
        ({"dataset": "movielens"}, "set dataset to tables"),
        ({"source": WorldSpec()}, "set dataset to tables"),
        ({"source": pd.DataFrame()}, "set dataset to tables"),
        ({"duplicates": "drop"}, "set duplicates to keep"),
    ],
)
def test_what_totals_cannot_give_is_refused(folder, asked, words):
    chosen = {"source": folder, "engine": "duckdb"} | asked
    with pytest.raises(ValueError, match=words):
        open_log(**chosen)


def test_only_parquet_is_streamed(tmp_path):
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,a\n")
    with pytest.raises(ValueError, match=r"convert events\.csv"):
        open_log(tmp_path, engine="duckdb")


@pytest.mark.skipif(find_spec("pyspark") is not None, reason="pyspark is installed here")
def test_a_missing_pyspark_is_named_with_its_remedy(folder):
    with pytest.raises(ValueError, match=r"pip install 'kpay-lab\[spark\]'"):
        open_log(folder, engine="spark")


@pytest.mark.slow
def test_notebooks_say_the_same_of_totals(folder, tmp_path):
    """All but what needs single events: halves, sequences, the next step, and what follows."""
    names = ["02_interest_matrix", "04_model_comparison"]
    found = {}
    for engine in ("memory", "duckdb"):
        command = [sys.executable, "-m", "kpay_lab", "run", *names, "--profile", "smoke"]
        command += ["--data", str(folder), "--set", f"engine={engine}"]
        command += ["--set", 'models={"popularity": {}, "ease": {"reg": 50.0}}']
        command += ["--output", str(tmp_path / engine)]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        found[engine] = json.loads((tmp_path / engine / "latest" / "metrics.json").read_text())
    for name in names:
        whole, streamed = found["memory"][name], found["duckdb"][name]
        missing = {key.split("/")[0] for key in set(whole) - set(streamed)}
        assert missing <= {"reliability", "sessions", "events_per_session", "gap"}
        for key, value in streamed.items():
            # Search cuts the training totals again, and blend asks what came next.
            if not key.startswith(("search/", "blend/")):
                expected = whole[key]
                if isinstance(expected, float):
                    expected = pytest.approx(expected, rel=1e-9)
                assert value == expected, f"{name}: {key}"


def test_a_cut_in_time_leaves_something_before_it(tmp_path):
    """Nine in ten events on the first of two days."""
    days = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta([0] * 9 + [1], unit="D")
    events = pd.DataFrame({"user_id": "u", "item_id": list("abcdefghij"), "timestamp": days})
    events.to_parquet(tmp_path / "events.parquet", index=False)
    assert open_log(tmp_path, engine="duckdb").cut == days[-1]


def test_an_engine_carries_its_settings(folder):
    assert open_engine("memory", half_life_days=3.0) is None
    assert open_engine("duckdb", half_life_days=3.0) == DuckDB(half_life_days=3.0)
    master, exchange = "sc://host:15002", "/shared"
    opened = open_engine("spark", spark_master=master, spark_exchange=exchange)
    assert opened == Spark(master=master, exchange=exchange)
    faded = open_log(folder, engine=DuckDB(half_life_days=3.0))
    whole = open_log(folder, engine="duckdb")
    assert "faded" in " ".join(faded.notes)
    ours = faded.tables.events["watch_time"].sum()
    assert 0 < ours < whole.tables.events["watch_time"].sum()


# What exports write for the ids 7 and 8 and for a, and what each engine reads.
WRITTEN_IDS = {
    "text": (["\t7", "7 ", '="8"', "7.0", "`8", "\u200ba"], ["7", "7", "8", "7", "8", "a"]),
    "float": ([7.0, 7.0, 8.0, 7.0, 8.0, 1.0], ["7", "7", "8", "7", "8", "1"]),
    "whole": ([7, 7, 8, 7, 8, 1], ["7", "7", "8", "7", "8", "1"]),
}


def parquet_of_ids(folder, written):
    """Write six events of one item, the last without a watch time, as NaN and not as null."""
    watched = pa.array([1.0, 1.0, 1.0, 1.0, 1.0, float("nan")])
    table = pa.table({"user_id": written, "item_id": ["i"] * 6, "watch_time": watched})
    pq.write_table(table, folder / "events.parquet")
    return folder


@pytest.mark.parametrize("kind", WRITTEN_IDS)
def test_engines_agree_on_ids_and_missing_values(tmp_path, kind):
    written, expected = WRITTEN_IDS[kind]
    folder = parquet_of_ids(tmp_path, written)
    whole = open_log(folder).tables.events
    assert whole["user_id"].tolist() == expected
    streamed = open_log(folder, engine="duckdb").tables.events
    totals = whole.groupby("user_id", sort=False)["watch_time"].sum(min_count=1)
    assert streamed["user_id"].tolist() == totals.index.tolist()
    np.testing.assert_array_equal(streamed["watch_time"], totals)


def test_ids_that_were_rounded_are_refused_by_every_engine(tmp_path):
    folder = parquet_of_ids(tmp_path, [2.0**60, 7.0, 7.0, 7.0, 7.0, 7.0])
    with pytest.raises(ValueError, match="1 of 6 rows were rejected"):
        open_log(folder)
    with pytest.raises(ValueError, match="1 have no user_id"):
        open_log(folder, engine="duckdb")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("behavior_type", "a column of types of behaviour, which only engine memory reads"),
        ("观看时长(分钟)", "watch_time is in minutes, which only engine memory converts"),
    ],
)
def test_what_only_memory_understands_is_refused(tmp_path, column, words):
    table = pa.table({"user_id": ["u"], "item_id": ["i"], column: [1.0]})
    pq.write_table(table, tmp_path / "events.parquet")
    with pytest.raises(ValueError, match=words):
        open_log(tmp_path, engine="duckdb")
