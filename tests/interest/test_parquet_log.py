"""Totals of Parquet files are the totals in memory, for any log and any way to part its files."""

import gc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpay_lab.interest import parquet, totals
from kpay_lab.interest.parquet_log import parquet_log
from kpay_lab.interest.pushdown import check_values, compact_log, moment_at, pair_totals

START = pd.Timestamp("2024-03-01", tz="UTC")


def write(folder, events, n_parts=3):
    paths = []
    for number, rows in enumerate(np.array_split(np.arange(len(events)), n_parts)):
        paths.append(folder / f"part-{number}.parquet")
        events.iloc[rows].to_parquet(paths[-1], index=False)
    return parquet_log(paths)


def random_log(seed, n=200):
    """Every column, with gaps, in no order of time; watched beyond the duration now and then."""
    rng = np.random.default_rng(seed)
    log = pd.DataFrame(
        {"user_id": rng.choice(list("uvwxyz"), n), "item_id": rng.choice(list("abcd"), n)}
    )
    moments = START + pd.to_timedelta(rng.integers(0, 10 * 86_400_000_000, n), unit="us")
    log["timestamp"] = pd.Series(moments).astype("datetime64[us, UTC]")
    for name in ("watch_time", "duration"):
        log[name] = np.where(rng.random(n) < 0.5, np.nan, rng.exponential(100, n))
    log["progress"] = np.where(rng.random(n) < 0.5, np.nan, rng.random(n))
    for name in ("like_count", "comment_count", "share_count", "question_count"):
        log[name] = pd.Series(rng.integers(0, 3, n), dtype="Int64").mask(rng.random(n) < 0.7)
    log["rating"] = np.where(rng.random(n) < 0.8, np.nan, rng.integers(1, 6, n))
    return log


def assert_same(found, expected):
    """Counts, indexes and largest values exactly; sums up to the order of adding."""
    pd.testing.assert_frame_equal(found.pairs, expected.pairs, rtol=1e-12, atol=0)
    pd.testing.assert_index_equal(found.users, expected.users)
    pd.testing.assert_index_equal(found.items, expected.items)


@pytest.mark.parametrize("half_life_days", [None, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_totals_of_files_equal_those_in_memory(tmp_path, seed, half_life_days):
    events = random_log(seed)
    log = write(tmp_path, events)
    found = pair_totals(log, half_life_days=half_life_days)
    assert_same(found, totals.pair_totals(events, half_life_days=half_life_days))


def test_the_ids_given_keep_their_places(tmp_path):
    events, users = random_log(0), pd.Index(list("zyxwvut"), name="user_id")
    found = pair_totals(write(tmp_path, events), users=users)
    assert_same(found, totals.pair_totals(events, users=users))


rows = st.lists(
    st.tuples(st.sampled_from("uv"), st.sampled_from("ab"), st.integers(0, 9999)), min_size=1
)


@settings(max_examples=40)
@given(rows, st.floats(0, 1), st.integers(1, 4))
def test_any_log_parted_at_any_moment(tmp_path_factory, rows, share, n_parts):
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "seconds"])
    moments = START + pd.to_timedelta(events.pop("seconds"), unit="s")
    events["timestamp"] = moments.astype("datetime64[us, UTC]")
    log = write(tmp_path_factory.mktemp("log"), events, n_parts)
    cut = moment_at(log, share)
    assert cut == events["timestamp"].sort_values().iloc[min(int(share * len(rows)), len(rows) - 1)]
    compact = compact_log(log, cut=cut)
    later = events["timestamp"] >= cut
    for side in (False, True):
        theirs = compact[compact["later"] == side]
        assert_same(totals.pair_totals(theirs), totals.pair_totals(events[later == side]))
    for name in ("user_id", "item_id"):
        assert compact[name].unique().tolist() == events[name].unique().tolist()


def test_a_window_is_half_open(tmp_path):
    events = random_log(1)
    since, until = events["timestamp"].iloc[[3, 8]].sort_values()
    inside = events[(events["timestamp"] >= since) & (events["timestamp"] < until)]
    found = compact_log(write(tmp_path, events), since=since, until=until)
    assert_same(totals.pair_totals(found), totals.pair_totals(inside))


def test_files_may_differ_in_columns_types_and_names(tmp_path):
    one = pd.DataFrame({"uid": [7, 8], "内容": ["a", "b"], "play_time": [3, 4]})
    two = pd.DataFrame({"user_id": ["7"], "item_id": ["a"], "like_count": [1], "colour": ["red"]})
    two["timestamp"] = pd.to_datetime(["2024-03-01 08:00+08:00"])
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    one.to_parquet(paths[0])
    two.to_parquet(paths[1])
    found = compact_log(parquet_log(paths))
    assert found["user_id"].tolist() == ["7", "8"]
    assert found["watch_time"].tolist() == [3.0, 4.0]
    assert found["like_count"].tolist()[0] == 1.0 and np.isnan(found["like_count"].tolist()[1])
    assert found["timestamp"].tolist() == [START, pd.NaT]


def test_all_faults_of_all_schemas_are_told_at_once(tmp_path):
    paths = [tmp_path / f"{name}.parquet" for name in ("good", "short", "text", "broken")]
    good = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "watch_time": [1.0]})
    good.to_parquet(paths[0])
    good.drop(columns="item_id").to_parquet(paths[1])
    good.assign(watch_time="long", timestamp="2024-03-01").to_parquet(paths[2])
    paths[3].write_text("user_id,item_id\nu,a\n")
    with pytest.raises(ValueError) as caught:
        parquet_log(paths)
    faults = str(caught.value)
    assert faults.startswith("short.parquet has no column item_id; text.parquet: ")
    for column, wanted in {"watch_time": "number", "timestamp": "time"}.items():
        assert f"text.parquet: {column} is of type text; it must hold {wanted}" in faults
    assert "broken.parquet cannot be read as Parquet" in faults
    assert "good.parquet" not in faults


def test_values_that_cannot_be_are_refused(tmp_path):
    events = random_log(0)
    assert check_values(write(tmp_path, events)) == len(events)
    events.loc[0, "user_id"], events.loc[1, "user_id"] = "", None
    events.loc[2, "timestamp"] = pd.NaT
    events.loc[3, ["watch_time", "progress", "rating"]] = [-3.0, 1.5, np.inf]
    with pytest.raises(ValueError) as caught:
        check_values(write(tmp_path, events))
    for words in (
        "2 have no user_id",
        "1 have no timestamp",
        "watch_time is -3 somewhere; it must be 0 or more seconds",
        "progress is 1.5 somewhere; it must be between 0 and 1",
        "rating is inf somewhere",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"half_life_days": 0}, "must be more than 0"),
        ({"half_life_days": 3}, "needs a timestamp"),
        ({"since": START}, "no timestamp"),
    ],
)
def test_what_a_log_without_times_cannot_give(tmp_path, asked, words):
    log = write(tmp_path, pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}), 1)
    with pytest.raises(ValueError, match=words):
        compact_log(log, **asked)


def test_events_read_with_ids_as_categories_have_the_same_totals(tmp_path):
    log = random_log(3)
    log.loc[5, "watch_time"] = np.nan
    write(tmp_path, log)
    read = parquet.read_events(tmp_path)
    assert read["user_id"].astype("str").tolist() == log["user_id"].tolist()
    assert (read["item_id"].dtype.kind, len(read)) == ("O", len(log))
    ours, plain = (totals.pair_totals(events) for events in (read, log))
    pd.testing.assert_frame_equal(ours.pairs[plain.pairs.columns], plain.pairs)
    assert ours.users.tolist() == plain.users.tolist()
    assert ours.items.tolist() == plain.items.tolist()


def test_ids_must_be_text_to_be_read_as_categories(tmp_path):
    pd.DataFrame({"user_id": [1, 2], "item_id": ["a", "b"]}).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(ValueError, match="user_id must be a text column"):
        parquet.read_events(tmp_path)
    empty = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})[:0]
    empty.to_parquet(tmp_path / "log.parquet")
    assert parquet.read_events(tmp_path).empty


def test_sums_do_not_depend_on_threads_or_memory(tmp_path):
    """Hundredths and thirds, whose sums as floats depend on the order of adding."""
    rng = np.random.default_rng(0)
    n = 400_000
    users = rng.integers(0, 40_000, n).astype("str")
    events = pd.DataFrame({"user_id": users, "item_id": "a"})
    events["watch_time"] = rng.integers(1, 10**6, n) / 300
    log = write(tmp_path, events, 8)
    compact = compact_log(log)
    log.backend.con.execute("SET threads = 1")
    one_thread = compact_log(log)
    log.backend.con.execute("SET threads = 4")
    log.backend.con.execute("SET memory_limit = '60MB'")
    little_memory = compact_log(log)
    pd.testing.assert_frame_equal(one_thread, compact, check_exact=True)
    pd.testing.assert_frame_equal(little_memory, compact, check_exact=True)


def test_a_limit_that_ends_it_is_one_line(tmp_path):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 10**9, (300_000, 2)).astype("str")
    events = pd.DataFrame(ids, columns=["user_id", "item_id"])
    events.to_parquet(tmp_path / "events.parquet")
    log = parquet_log([tmp_path / "events.parquet"])
    log.backend.con.execute("SET memory_limit = '20MB'")
    log.backend.con.execute("SET max_temp_directory_size = '1MB'")
    with pytest.raises(ValueError) as caught:
        compact_log(log)
    message = str(caught.value)
    assert "\n" not in message
    (scratch,) = log.backend.con.execute("SELECT current_setting('temp_directory')").fetchone()
    for words in ("19.0 MiB of memory", scratch, "GB are free", "TMPDIR"):
        assert words in message


def test_the_scratch_folder_goes_with_the_log(tmp_path):
    log = write(tmp_path, random_log(0))
    (scratch,) = log.backend.con.execute("SELECT current_setting('temp_directory')").fetchone()
    assert Path(scratch).is_dir()
    del log
    gc.collect()
    assert not Path(scratch).exists()
