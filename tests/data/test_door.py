"""The one door: files, folders, frames and shops pass the same checks and the same gate."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data import Log, Tables
from kpay_lab.data.describe import rhythm
from kpay_lab.data.door import BrokenLogError, Gate, read_log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.reading import read_tables
from kpay_lab.data.writing import write_tables
from kpay_lab.workbench import open_log
from kpay_lab.world import WorldSpec, open_shop

SPEC = WorldSpec(n_users=60, n_items=24, n_days=21, seed=3)


@pytest.fixture(scope="module")
def shop():
    """A small simulated log, before the gate, and its truth."""
    from kpay_lab.world.simulate import simulate

    return simulate(SPEC)


def test_a_frame_meets_the_checks_of_a_file(tmp_path):
    """The same rows are good, and the others have the same reasons."""
    frame = pd.DataFrame(
        {
            "用户": ["u1", "u2", None, "u4"],
            "内容": [7, 8, 9, 10],
            "观看时长": [5.0, -1.0, 3.0, np.inf],
            "colour": ["red", "", "blue", "red"],
        }
    )
    path = tmp_path / "events.csv"
    frame.to_csv(path, index=False)
    from_file, rejected_of_file = read_tables(path)
    from_frame, rejected = read_tables(frame)
    pd.testing.assert_frame_equal(from_frame.events, from_file.events)
    assert from_frame.events["item_id"].tolist() == ["7", "8", "10"]
    assert from_frame.events["watch_time"].fillna(-9).tolist() == [5, -9, -9]
    same = ["column", "reason"]
    pd.testing.assert_frame_equal(rejected.rows[same], rejected_of_file.rows[same])
    pd.testing.assert_frame_equal(rejected.cells[same], rejected_of_file.cells[same])
    assert rejected.rows["line"].tolist() == [3]
    assert rejected.cells["line"].tolist() == [2, 4]
    assert rejected.counts.iloc[0].tolist() == ["events", 4, 3, 1, 2]
    assert rejected.messages() == ["events row 3: user_id is empty; it must not be empty"]
    assert "events: watch_time: 2 values were not understood" in rejected.notes[0]


def test_frames_and_files_of_a_whole_shop_open_alike(shop, tmp_path):
    write_tables(shop.tables, tmp_path)
    from_frames = open_log(shop.tables.present())
    from_files = open_log(tmp_path)
    for name, frame in from_files.tables.present().items():
        pd.testing.assert_frame_equal(getattr(from_frames.tables, name), frame)
    pd.testing.assert_frame_equal(from_frames.rejected.counts, from_files.rejected.counts)
    assert from_frames.files == () and len(from_files.files) == 7


def test_a_mapping_of_frames_is_checked_across_its_tables():
    events = pd.DataFrame({"user_id": ["u", "w"], "item_id": ["i", "i"]})
    frames = {"events": events, "users": pd.DataFrame({"user_id": ["u"]})}
    log = open_log(frames, max_rejected=0.5)
    assert log.tables.events["user_id"].tolist() == ["u"]
    assert log.rejected.rows["reason"].tolist() == ["the users table has no such user_id"]


MOMENT = pd.Timestamp("2026-01-02 03:04:05.678901")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"user_id": pd.Series([1, "u2"], dtype=object)}, {"user_id": ["1", "u2"]}),
        ({"user_id": pd.Categorical([5, 6])}, {"user_id": ["5", "6"]}),
        ({"user_id": [1.0, 2.0]}, {"user_id": ["1", "2"]}),
        ({"like_count": [True, False]}, {"like_count": [1, 0]}),
        ({"watch_time": pd.to_timedelta([90, 0.5], unit="s")}, {"watch_time": [90.0, 0.5]}),
        (
            {"timestamp": pd.DatetimeIndex([MOMENT] * 2).tz_localize("Asia/Shanghai")},
            {"timestamp": [(MOMENT - pd.Timedelta(hours=8)).tz_localize("UTC")] * 2},
        ),
        (
            {"timestamp": pd.DatetimeIndex([MOMENT] * 2).as_unit("ns")},
            {"timestamp": [MOMENT.tz_localize("UTC")] * 2},
        ),
    ],
    ids=["mixed", "category", "float", "bool", "timedelta", "zone", "nanoseconds"],
)
def test_whatever_pandas_holds_is_read_as_it_is_meant(given, expected):
    frame = pd.DataFrame({"user_id": ["u", "w"], "item_id": ["i", "i"]}).assign(**given)
    events = open_log(frame).tables.events
    for name, values in expected.items():
        assert events[name].tolist() == values


def test_a_span_of_time_in_parquet_is_in_seconds_too(tmp_path):
    watched = pd.to_timedelta([90, 0.5], unit="s")
    frame = pd.DataFrame({"user_id": ["u", "w"], "item_id": ["i", "i"], "watch_time": watched})
    frame.to_parquet(tmp_path / "events.parquet")
    assert open_log(tmp_path).tables.events["watch_time"].tolist() == [90.0, 0.5]


IDS = pd.DataFrame({"user_id": ["u"], "item_id": ["i"]})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            IDS.drop(columns="item_id"),
            r"events: it has no column item_id \(its columns: user_id\); understood as",
        ),
        (IDS.assign(item_id=[["a", "b"]]), "events: item_id must hold plain values"),
        (IDS.assign(uid="x"), "user_id and uid both mean user_id"),
        ({"users": IDS}, "the frames hold no events; name the behaviour log 'events'"),
        ({"events": IDS, "clicks": IDS}, "table 'clicks' is unknown; choose among events, items"),
        ({"events": [1, 2]}, "table events is of type list; it must be a DataFrame"),
        ([1, 2], "the source is of type list; give a file, a folder, the address of a database"),
        ("", "dataset tables needs a file or a folder"),
        ("movielens", "'movielens' is the name of a data set and no file"),
        ("nowhere/at/all", "nowhere/at/all is no folder"),
    ],
)
def test_a_source_that_cannot_be_is_refused(source, words):
    with pytest.raises(ValueError, match=words):
        open_log(source)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dataset": "netflix"}, "dataset is 'netflix'; it must be one of tables, movielens"),
        ({"dataset": "movielens"}, "dataset movielens needs the folder of its files"),
        ({"ids": "hide"}, "open_log: ids is 'hide'; it must be one of keep, pseudonymise"),
        ({"duplicates": "merge"}, "duplicates is 'merge'; it must be one of keep, drop"),
        ({"max_rejected": 5}, "max_rejected is 5; it must be a number from 0 to 1"),
        ({"since": "yesterday"}, "since is 'yesterday'; it must be an ISO time"),
        ({"engine": "duck"}, "engine is 'duck'; it must be one of memory, duckdb, spark"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        open_log(IDS, **settings)


def test_a_path_for_a_data_set_is_told_apart(tmp_path):
    path = tmp_path / "my.csv"
    IDS.to_csv(path, index=False)
    with pytest.raises(ValueError, match="the path comes first"):
        open_log(dataset=str(path))


def test_own_files_duplicates_and_notes(tmp_path):
    (tmp_path / "events.csv").write_text("user_id,item_id,ip\nu,i,1\nu,i,2\n,i,3\n")
    log = open_log(tmp_path, max_rejected=0.5)
    assert log.notes == (
        "events: the columns ip are not used",
        "1 exact duplicate events (equal in every column used) were kept",
    )
    assert log.files == (tmp_path / "events.csv",)
    assert len(log.rejected.rows) == 1
    dropped = open_log(tmp_path, max_rejected=0.5, duplicates="drop")
    assert len(dropped.tables.events) == 1
    assert dropped.notes[-1] == "1 exact duplicate events (equal in every column used) were dropped"
    with pytest.raises(ValueError, match=r"1 of 3 rows were rejected \(33.3%\)"):
        open_log(tmp_path)
    with pytest.raises(ValueError, match=r"lacks u\.data, u\.user"):
        open_log(tmp_path, dataset="movielens")


TIMES = ["2026-01-01", "2026-01-02", "2026-01-03", ""]


def test_a_log_whose_times_are_not_understood_is_refused_with_the_remedy():
    """An empty time is none that was misread."""
    frame = pd.DataFrame({"user_id": "u", "item_id": "i", "timestamp": [*TIMES, "soon"]})
    with pytest.raises(BrokenLogError) as refused:
        open_log(frame)
    assert "25.0% of the times that are written were not understood" in str(refused.value)
    assert "such as soon in events row 5" in str(refused.value)
    assert "mapping.columns" in str(refused.value)
    assert refused.value.rejected.evidence()["value"].tolist() == ["soon"]
    log = open_log(frame, max_rejected=0.25)
    assert log.tables.events["timestamp"].notna().tolist() == [True, True, True, False, False]
    assert any("timestamp: 1 value was not understood" in note for note in log.notes)


def test_watching_longer_than_the_items_last_is_noted():
    frame = IDS.loc[[0, 0, 0]].assign(watch_time=[30_000.0, 60_000.0, 5.0], duration=60.0)
    log = open_log(frame)
    assert "67% of the 3 events with a duration were watched longer than they last" in log.notes[-1]
    assert "mapping: {units: {watch_time: ms}}" in log.notes[-1]
    said = open_log(frame, mapping={"units": {"watch_time": "ms"}})
    assert said.tables.events["watch_time"].tolist() == [30.0, 60.0, 0.005]
    assert not any("longer than" in note for note in said.notes)


def test_too_few_events_are_refused():
    with pytest.raises(ValueError, match="1 events remain, fewer than min_events = 2"):
        open_log(IDS, min_events=2)


def test_durations_of_the_log_win_over_the_catalogue(tiny):
    own = [np.nan, 200.0, *[np.nan] * 5]
    tables = tiny.with_events(tiny.events.assign(duration=own))
    log = open_log(tables)
    assert log.tables.events["duration"].tolist() == [100, 200, 60, 100, 60, 60, 60]
    assert log.notes == ("6 events without a duration have that of their item",)


def test_a_log_whose_durations_are_unknown_gains_no_column():
    items = pd.DataFrame({"item_id": ["i", "j"], "duration": [np.nan, 60.0]})
    assert list(open_log(Tables(IDS, items)).tables.events) == ["user_id", "item_id"]


def test_a_log_prints_what_it_holds_and_names_nobody(shop):
    text = repr(open_log(shop.tables, ids="keep", since="2026-01-08"))
    assert text.splitlines()[0].startswith("Log: ") and "2026-01-08" in text
    for name in ("events", "items", "users", "orders", "exposures", "without consent"):
        assert name in text
    assert not any(user in text for user in shop.tables.ids("user_id"))
    short = repr(Log(Tables(IDS)))
    assert short.splitlines()[0] == "Log: 1 users met 1 items, at times not known"


@pytest.mark.parametrize("zone", ["", "Asia/Shanghai"])
def test_a_log_of_days_prints_its_dates_as_they_were_written(zone):
    dates = ["2022-01-05", "2022-03-01"]
    events = pd.DataFrame({"user_id": "u", "item_id": "i", "timestamp": dates})
    log = open_log(events, mapping={"source_time_zone": zone})
    headline = repr(log).splitlines()[0]
    assert headline == "Log: 1 users met 1 items, 2022-01-05 to 2022-03-01, days without an hour"


def test_a_shop_is_a_source_and_no_source_is_a_shop():
    log = open_log(SPEC)
    assert log.files == () and log.rejected.counts.empty
    assert len(log.tables.users) < SPEC.n_users  # some did not consent
    pd.testing.assert_frame_equal(log.tables.events, open_shop(SPEC)[0].tables.events)
    n_sessions = 36  # which are in no feed, beside the catalogue
    n_items = WorldSpec().n_items + n_sessions
    assert len(open_log(since="2026-03-25").tables.ids("item_id")) == n_items


GATES = [
    {},
    {"since": "2026-01-08"},
    {"until": "2026-01-15", "ids": "pseudonymise"},
    {"since": "2026-01-05", "until": "2026-01-15", "duplicates": "drop"},
]


@pytest.mark.parametrize("gate", GATES)
def test_the_truth_follows_consent_window_and_pseudonyms(shop, gate):
    log, truth = open_shop(SPEC, **gate)
    exposures = log.tables.exposures
    assert len(truth.propensity) == len(exposures) < len(shop.tables.exposures)
    np.testing.assert_array_equal(truth.propensity, exposures["propensity"])
    bought = exposures["purchased"].to_numpy(dtype=bool)
    assert (truth.purchase_probability[bought] > 0).all()
    assert exposures["user_id"].isin(truth.users).all()
    assert len(truth.interest) == len(truth.users) == SPEC.n_users


def test_what_is_true_of_an_exposure_is_looked_up_by_its_key(shop):
    """Shuffled and doubled in part, each row keeps what is true of it."""
    tables, truth = shop
    chosen = np.random.default_rng(0).permutation(len(tables.exposures))[:500]
    some = Log(replace(tables, exposures=tables.exposures.iloc[chosen]))
    np.testing.assert_array_equal(truth.of(some).treatment_effect, truth.treatment_effect[chosen])


def test_two_exposures_alike_are_told_apart_by_their_order(shop):
    tables, truth = shop
    twin = tables.exposures.iloc[[0, 0]].reset_index(drop=True)
    alike = replace(
        truth,
        exposures=truth.exposures.iloc[[0, 0]],
        purchase_probability=np.array([0.5, 0.0]),
        treatment_effect=np.array([0.1, 0.0]),
        propensity=np.array([0.2, 0.2]),
    )
    found = alike.of(Log(replace(tables, exposures=twin)))
    assert found.purchase_probability.tolist() == [0.5, 0.0]


def test_another_shop_has_another_truth(shop):
    other, _ = open_shop(replace(SPEC, seed=4))
    with pytest.raises(ValueError, match="exposures that this simulation does not"):
        shop.truth.of(other)
    with pytest.raises(ValueError, match="users whom this simulation does not"):
        shop.truth.of(Log(Tables(IDS)))


def test_events_without_a_time_are_counted_in_a_note(shop):
    """They stay in the log, for what a person met; only what needs a time does without them."""
    events = shop.tables.events
    holes = events.assign(timestamp=events["timestamp"].where(events.index >= 3))
    log = open_log(Tables(holes))
    assert len(log.tables.events) == len(events)
    assert any(note.startswith(f"3 of {len(events):,} events have no time") for note in log.notes)
    for others in (events, events.drop(columns="timestamp")):
        assert not any("no time" in note for note in open_log(Tables(others)).notes)


def test_a_log_counts_hours_in_the_zone_of_its_source():
    """Nobody who says in which zone the times were written means to read the hours in UTC."""
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": ["2026-01-05 20:00"]})
    log = read_log(events, mapping=LogMapping.of({"source_time_zone": "Asia/Shanghai"}))
    assert log.time_zone == "Asia/Shanghai"
    assert Gate().admit(log).time_zone == "Asia/Shanghai"
    assert rhythm(log.tables.events, log.time_zone).busiest_hour == 20
    assert read_log(events).time_zone == "UTC"


def test_a_log_bears_the_currency_that_its_mapping_says():
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    log = read_log(events, mapping=LogMapping.of({"currency": "EUR"}))
    assert log.currency == "EUR" and Gate().admit(log).currency == "EUR"
    assert read_log(events).currency == ""
    assert open_log(WorldSpec(n_users=20, n_items=20, n_days=7)).currency == "CNY"


def test_events_are_equal_only_if_all_their_values_are():
    """Few rows are compared whole, and they are the ones that whole rows would give."""
    rng = np.random.default_rng(7)
    n = 300
    events = pd.DataFrame(
        {
            "user_id": rng.choice(["u1", "u2"], n),
            "item_id": rng.choice(["i1", "i2", "i3"], n),
            "timestamp": pd.to_datetime(rng.choice([None, "2026-01-05"], n), utc=True),
            "rating": rng.choice([np.nan, 1.0, 2.0], n),
        }
    )
    expected = events.duplicated()
    kept = Gate(duplicates="drop").admit(Log(Tables(events))).tables.events
    assert 0 < len(kept) < n
    pd.testing.assert_frame_equal(kept, events[~expected].reset_index(drop=True))
