"""What a run keeps of a log is the log: every table, type, label, rejected row and note."""

from dataclasses import fields

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpay_lab.data.admitted import (
    FOLDER_VARIABLE,
    content_hash,
    keep_log,
    kept_folder,
    kept_log,
    name_of,
)
from kpay_lab.data.door import Gate, read_log
from kpay_lab.data.log import Log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.reading import Rejected
from kpay_lab.data.tables import Tables
from kpay_lab.world.messy import messy_shop
from kpay_lab.world.presets import WorldSpec
from tests.odd_logs import LOGS


def assert_same_log(kept, log):
    """Every frame to the bit, with its types and labels; every other field equal."""
    tables = log.tables.present()
    kept_tables = kept.tables.present()
    assert [*kept_tables] == [*tables]
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(kept_tables[name], frame, check_exact=True)
    for name in ("rows", "cells", "counts"):
        before = getattr(log.rejected, name)
        pd.testing.assert_frame_equal(getattr(kept.rejected, name), before, check_exact=True)
    assert kept.rejected.notes == log.rejected.notes
    others = {field.name for field in fields(Log)} - {"tables", "rejected"}
    for name in others:
        assert getattr(kept, name) == getattr(log, name), name


def through(log, folder):
    keep_log(log, folder)
    return kept_log(folder)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    ids=st.sampled_from(["keep", "pseudonymise"]),
    duplicates=st.sampled_from(["keep", "drop"]),
)
def test_a_messy_log_is_kept_as_the_door_admits_it(tmp_path_factory, seed, ids, duplicates):
    shop = messy_shop(WorldSpec(n_users=60, n_items=20, n_days=14, seed=seed % 7), seed)
    folder = tmp_path_factory.mktemp("shop")
    shop.write(folder)
    read = read_log(folder / "log", mapping=LogMapping.of(folder / "mapping.yaml"))
    log = Gate(ids=ids, duplicates=duplicates, max_rejected=1.0).admit(read)
    assert_same_log(through(log, folder / "kept"), log)


@pytest.mark.parametrize("name", LOGS)
def test_an_odd_log_is_kept(tmp_path, name):
    log = Log(LOGS[name]())
    assert_same_log(through(log, tmp_path / "kept"), log)


def test_rows_that_were_set_aside_are_kept(tmp_path):
    source = tmp_path / "log.csv"
    source.write_text('user_id,item_id,watch_time\nu,i,3\n,i,4\nv,i,long\n"w\n')
    log = read_log(source)
    assert len(log.rejected.evidence()) == 3
    kept = through(log, tmp_path / "kept")
    assert_same_log(kept, log)
    assert kept.files == (source,)


def test_whatever_is_known_of_a_log_is_kept(tmp_path):
    """A field that is added to `Log` gets its value here, and must come back."""
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["i"]}, dtype="str")
    log = Log(
        Tables(events),
        Rejected(notes=("on reading",)),
        notes=("one", "two"),
        files=(tmp_path / "events.csv",),
        cut=pd.Timestamp("2026-01-05", tz="UTC"),
        time_zone="Asia/Shanghai",
        currency="CNY",
        zero_durations=3,
    )
    usual = Log(Tables(events))
    for field in fields(Log):
        if field.name not in ("tables", "rejected"):
            assert getattr(log, field.name) != getattr(usual, field.name), field.name
    assert_same_log(through(log, tmp_path / "kept"), log)


def test_a_cut_keeps_its_moment_and_its_unit(tmp_path):
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["i"]}, dtype="str")
    for unit in ("s", "us", "ns"):
        cut = pd.Timestamp("2026-01-05 12:00:03", tz="UTC").as_unit(unit)
        kept = through(Log(Tables(events), cut=cut), tmp_path / unit)
        assert (kept.cut, kept.cut.unit) == (cut, unit)


def test_the_same_content_has_the_same_hash_and_another_has_another(tmp_path):
    events = pd.DataFrame({"user_id": ["u", "v"], "item_id": ["i", "j"]}, dtype="str")
    log = Log(Tables(events))
    other = Log(Tables(events.iloc[::-1].reset_index(drop=True)))
    for name, one in {"first": log, "again": log, "other": other}.items():
        keep_log(one, tmp_path / name)
    first = content_hash(tmp_path / "first")
    assert content_hash(tmp_path / "again") == first
    assert content_hash(tmp_path / "other") != first


def test_only_within_a_run_something_is_kept(tmp_path, monkeypatch):
    asked = ("/data/log", "tables", LogMapping(), None, Gate())
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert kept_folder(*asked) is None
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert kept_folder(*asked) is None
    (tmp_path / name_of(*asked)).mkdir()
    assert kept_folder(*asked) == tmp_path / name_of(*asked)
    others = ("/data/log", "tables", LogMapping(), None, Gate(min_events=2))
    assert kept_folder(*others) is None
