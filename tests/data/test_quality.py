"""What the quality report counts, and that a repair happens only where it is named."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.quality import (
    REPAIRS,
    apply_repairs,
    fences,
    preview_repairs,
    quality_report,
    repeats_earlier,
)
from kpay_lab.data.tables import Tables
from kpay_lab.findings import sentence


@pytest.fixture
def dirty():
    watched = [10.0, 20.0, 30.0, 40.0, 1000.0, 10.0, np.nan]
    events = pd.DataFrame(
        {
            "user_id": ["a", "a", "b", "b", "c", "a", "c"],
            "item_id": ["x", "y", "x", "y", "y", "x", "z"],
            "watch_time": watched,
            "duration": [15.0, 15.0, np.nan, 0.0, np.nan, 15.0, np.nan],
            "like_count": pd.array([1, 0, None, 0, 0, 1, 0], dtype="Int64"),
        }
    )
    items = pd.DataFrame({"item_id": ["x", "y", "z"], "duration": [60.0, np.nan, np.nan]})
    return Tables.validated(events=events, items=items)


def test_report_counts_by_hand(dirty):
    report = quality_report(dirty)
    columns = report.columns.set_index(["table", "column"])
    assert columns.loc[("events", "duration"), ["missing", "share"]].tolist() == [3, 3 / 7]
    assert columns.loc[("items", "duration"), "missing"] == 2
    # watched: quartiles of 10 10 20 30 40 1000 are 12.5 and 37.5, so the fence is 37.5 + 3·25
    watched = columns.loc[("events", "watch_time"), ["low", "high", "outliers"]]
    assert watched.tolist() == [12.5 - 75, 37.5 + 75, 1]
    assert pd.isna(columns.loc[("items", "duration"), "outliers"])  # one value has no spread
    assert pd.isna(columns.loc[("events", "user_id"), "outliers"])  # a text has none
    assert report.duplicates.values.tolist() == [["events", 7, 1], ["items", 3, 0]]
    assert report.replay_share == 1 / 3  # of the rows 10/15, 20/15, 10/15


def test_a_row_is_repeated_only_where_all_of_its_columns_are():
    rng = np.random.default_rng(0)
    drawn = {name: rng.integers(0, 3, 400) for name in ("user_id", "item_id", "position", "other")}
    frame = pd.DataFrame(drawn).astype({"user_id": "str", "item_id": "str"})
    frame.loc[::7, "other"] = np.nan
    days = pd.to_timedelta(rng.integers(0, 3, 400), unit="D")
    moments = pd.Series(pd.Timestamp("2026-01-01", tz="UTC") + days)
    frame["timestamp"] = moments.where(rng.random(400) < 0.9)
    for columns in (
        ["user_id", "timestamp"],
        ["user_id", "item_id", "timestamp", "position"],
        ["user_id", "item_id"],
        ["user_id", "position"],
        ["position", "other"],
        ["user_id", "item_id", "position", "other"],
    ):
        chosen = frame[columns]
        expected = chosen.duplicated()
        assert expected.any() and not expected.all()
        pd.testing.assert_series_equal(repeats_earlier(chosen), expected)


def test_a_rule_copies_no_table_that_it_leaves_as_it_is(dirty):
    moments = pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True).astype("datetime64[us, UTC]")
    shown = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": moments})
    tables = Tables.validated(events=dirty.events, exposures=shown)
    assert apply_repairs(tables, list(REPAIRS)).exposures is tables.exposures


def test_fences_are_undefined_without_spread():
    assert np.isnan(fences(pd.Series([1.0, 1.0, 1.0, 1.0, 9.0, np.nan]))).all()
    assert np.isnan(fences(pd.Series([], dtype=float))).all()


def test_each_repair_does_what_it_says(dirty):
    def column(rule, name):
        return apply_repairs(dirty, [rule]).events[name].tolist()

    assert len(column("deduplicate", "user_id")) == 6
    np.testing.assert_equal(column("repair", "watch_time"), [10, 15, 30, 40, 1000, 10, np.nan])
    np.testing.assert_equal(
        column("repair", "duration"), [15, 15, np.nan, np.nan, np.nan, 15, np.nan]
    )
    # x: 60 s by the items table; y: the median of 15 and 0; z: nothing is known
    np.testing.assert_equal(column("fill", "duration"), [15, 15, 60, 0, 7.5, 15, np.nan])
    assert column("fill", "like_count") == [1, 0, 0, 0, 0, 1, 0]
    np.testing.assert_equal(column("denoise", "watch_time"), [10, 20, 30, 40, 112.5, 10, np.nan])


def test_preview_counts_what_apply_changes_and_changes_nothing(dirty):
    before = dirty.events.copy()
    preview = preview_repairs(dirty)
    pd.testing.assert_frame_equal(dirty.events, before)
    assert preview.values.tolist() == [
        ["deduplicate", "events", "", 1],
        ["repair", "events", "watch_time", 1],
        ["repair", "events", "duration", 1],
        ["fill", "events", "duration", 2],
        ["fill", "events", "like_count", 1],
        ["denoise", "events", "watch_time", 1],
    ]
    assert apply_repairs(dirty, []) is dirty
    Tables.validated(**apply_repairs(dirty, list(REPAIRS)).present())


def test_a_repair_has_nothing_left_to_do_after_itself(dirty):
    for rule in REPAIRS:
        changed = [
            preview_repairs(tables).groupby("rule")["changed"].sum()[rule]
            for tables in (dirty, apply_repairs(dirty, [rule]))
        ]
        assert changed[0] > 0 == changed[1]


def test_unknown_rule_and_bare_events(dirty):
    with pytest.raises(ValueError, match="'polish' is unknown; choose among deduplicate"):
        apply_repairs(dirty, ["polish"])
    bare = Tables(events=dirty.events[["user_id", "item_id"]])
    assert apply_repairs(bare, ["repair", "fill", "denoise"]).events.equals(bare.events)
    assert np.isnan(quality_report(bare).replay_share)


def counts_of(**table):
    return pd.DataFrame([{"table": "events", "read": 8, "rejected": 1, "cells": 2} | table])


def test_findings_say_what_is_wrong_in_numbers(dirty):
    report = quality_report(dirty)
    found = report.findings(counts_of())
    said = [sentence(finding) for finding in found]
    assert said == [
        "Not all of the log can be used: of 11 rows set aside 1 (9.1 %), repeated 1. Missing cells "
        "(times, watch times, durations, amounts or items of orders): 4; durations of zero: 1.",
        "1 of 8 rows of events were set aside: 12.5 %.",
        "1 of 7 rows of events repeat an earlier row: 14.3 %.",
        "duration is missing in 42.9 % of the rows of events (3).",
        "watch time is missing in 14.3 % of the rows of events (1).",
        "Durations of zero: 1 (14.3 % of the events); they count as missing.",
        "2 cells of events could not be read and count as missing.",
    ]
    assert [finding.level for finding in found] == ["bad", *["watch"] * 6]


def test_a_log_that_misses_no_cell_is_said_to_miss_none(dirty):
    complete = Tables(dirty.events[["user_id", "item_id"]])
    counts = counts_of(read=len(complete.events), rejected=0, cells=0)
    first = quality_report(complete).findings(counts)[0]
    assert sentence(first).endswith("amount is missing where one should be.")
    assert "repeated" in sentence(first)


def test_a_sound_log_is_said_to_be_one():
    events = pd.DataFrame({"user_id": ["a", "b"], "item_id": "x"})
    report = quality_report(Tables.validated(events=events))
    (found,) = report.findings(counts_of(read=2, rejected=0, cells=0))
    assert found.level == "good"
    assert sentence(found).startswith("The log is clean: of 2 rows none was set aside")


def test_durations_made_missing_are_one_fault_and_not_two():
    seconds = {"watch_time": [3.0, 4.0, 5.0], "duration": [9.0, None, None]}
    events = pd.DataFrame({"user_id": list("abc"), "item_id": "x"} | seconds)
    report = quality_report(Tables.validated(events=events))
    found = report.findings(counts_of(read=3, rejected=0, cells=0), zero_durations=1)
    assert [finding.key for finding in found] == [
        "quality/summary",
        "quality/missing",
        "quality/zero_durations",
    ]
    assert found[0].values["n_missing"] == found[0].values["n_zero"] == 1


def test_a_rating_lacks_no_watch_time():
    seconds = {"watch_time": [3.0, None, None], "rating": [None, 5.0, None]}
    events = pd.DataFrame({"user_id": list("abc"), "item_id": "x"} | seconds)
    report = quality_report(Tables.validated(events=events))
    found = report.findings(counts_of(read=3, rejected=0, cells=0))
    assert found[0].values["n_missing"] == 1


def test_a_unit_is_in_doubt_where_most_is_longer_than_it_lasts():
    events = pd.DataFrame({"user_id": list("abc"), "item_id": "x", "duration": 10.0})
    events["watch_time"] = [5.0, 5000.0, 9000.0]
    report = quality_report(Tables.validated(events=events))
    found = report.findings(counts_of(read=3, rejected=0, cells=0))
    assert sentence(found[-1]).startswith(
        "Most events with a duration (66.7 %) were watched longer"
    )
