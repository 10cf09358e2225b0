"""The codes of ids: equal to mapping the text anew, whatever was done to the frame before."""

import gc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpay_lab.data import codes
from kpay_lab.data.admitted import keep_tables, kept_tables
from kpay_lab.data.codes import factorize, find_positions, keep_codes, look_up, take_rows
from kpay_lab.data.tables import Tables, window

DAYS = [*pd.date_range("2026-01-01", periods=6, tz="UTC"), None]
NAMES = ["a", "b", "c", "d", "e"]


def moments(days):
    return pd.Series(pd.to_datetime(days, utc=True)).dt.as_unit("us")


@st.composite
def frames(draw, *, may_lack_items=False):
    """A table of a log: users, items and days, some of which are missing."""
    n = draw(st.integers(1, 12))

    def drawn(values):
        return draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))

    items = [*NAMES, None] if may_lack_items else NAMES
    ids = pd.DataFrame({"user_id": drawn(NAMES), "item_id": drawn(items)}, dtype="str")
    return ids.assign(timestamp=moments(drawn(DAYS)), watch_time=1.0)


@st.composite
def logs(draw):
    tables = {"events": draw(frames()), "exposures": draw(frames())}
    tables["orders"] = draw(frames(may_lack_items=True))
    tables["users"] = pd.DataFrame({"user_id": ["e", "new", "a"]}, dtype="str")
    return Tables(**tables)


def with_other_cells(tables):
    """A cell is set in place, as a notebook may do: the column is another one from then on."""
    events = tables.events.copy()
    events.iloc[0, 0] = "changed"
    return tables.with_events(events)


def whole_rows(tables):
    return replace(
        tables,
        orders=tables.orders.drop(columns="watch_time", errors="ignore").reset_index(drop=True),
    )


def some_rows(tables):
    is_taken = np.arange(len(tables.events)) % 3 > 0
    return tables.with_events(take_rows(tables.events, is_taken))


def foreign_events(tables):
    events = tables.events.iloc[::-1]
    return tables.with_events(pd.concat([events, events.assign(user_id="late")]))


def window_or_all(tables):
    """A window that holds no event is refused; then the tables stay."""
    try:
        return window(tables, "2026-01-02", "2026-01-05")
    except ValueError:
        return tables


STEPS = {
    "known_at": lambda tables: tables.known_at(DAYS[4]),
    "since": lambda tables: tables.since(DAYS[1]),
    "within": lambda tables: tables.within(DAYS[1], DAYS[5]),
    "timed": Tables.timed,
    "window": window_or_all,
    "some_rows": some_rows,
    "whole_rows": whole_rows,
    "foreign_events": foreign_events,
    "with_other_cells": with_other_cells,
    "asked": lambda tables: (assert_right(tables), tables)[1],
}


def mapped_anew(ids):
    """The codes and ids of a column of which nothing is known."""
    return pd.factorize(ids.astype(object))


def assert_right(tables):
    for frame in tables.present().values():
        for name in frame.columns.intersection(["user_id", "item_id"]):
            numbers, ids = factorize(frame[name])
            expected, distinct = mapped_anew(frame[name])
            assert numbers.tolist() == expected.tolist()
            assert ids.tolist() == distinct.tolist()
            assert numbers.dtype == np.int32
    for column in ("user_id", "item_id"):
        present = [frame for frame in tables.present().values() if column in frame]
        texts = pd.concat([frame[column].astype(object) for frame in present])
        assert tables.ids(column).tolist() == texts.dropna().unique().tolist()
        assert tables.ids(column).name == column


@settings(max_examples=200, deadline=None)
@given(tables=logs(), steps=st.lists(st.sampled_from([*STEPS]), max_size=6))
def test_codes_are_those_of_the_text_after_any_chain_of_steps(tables, steps):
    for step in steps:
        if len(tables.events):
            tables = STEPS[step](tables)
    assert_right(tables)


@settings(max_examples=50, deadline=None)
@given(tables=logs())
def test_codes_that_a_run_kept_are_those_of_the_text(tmp_path_factory, tables):
    folder = tmp_path_factory.mktemp("run") / "tables"
    keep_tables(tables, folder)
    kept = kept_tables(folder)
    assert_right(kept)
    assert_right(some_rows(kept))


def test_a_run_maps_no_text_that_it_kept(tmp_path, monkeypatch):
    events = pd.DataFrame({"user_id": ["u", "v", "u"], "item_id": ["i", "i", "j"]}, dtype="str")
    keep_tables(Tables(events), tmp_path / "tables")
    kept = kept_tables(tmp_path / "tables")
    monkeypatch.delattr(codes, "_mapped")
    part = take_rows(kept.events, np.array([False, True, True]))
    assert factorize(part["item_id"]).ids.tolist() == ["i", "j"]
    assert kept.ids("user_id").tolist() == ["u", "v"]


def test_a_column_is_mapped_once_however_its_frame_changes():
    frame = pd.DataFrame({"user_id": ["v", "u", "v"], "n": 1}, dtype="str")
    first = factorize(frame["user_id"]).codes
    others = [
        frame.copy(),
        frame.assign(n=2),
        frame[["user_id"]],
        frame.set_axis([7, 8, 9]).reset_index(drop=True),
        take_rows(frame, np.ones(3, dtype=bool)),
    ]
    for other in others:
        assert factorize(other["user_id"]).codes is first


def test_codes_go_with_their_column():
    gc.collect()
    before = len(codes._KEPT)
    frame = pd.DataFrame({"user_id": ["v", "u", "v"]}, dtype="str")
    factorize(frame["user_id"])
    part = take_rows(frame, np.array([True, True, False]))
    assert len(codes._KEPT) == before + 2
    del frame, part
    gc.collect()
    assert len(codes._KEPT) == before


def test_nobody_can_change_codes_that_others_share():
    ids = pd.Series(["v", "u"], dtype="str")
    with pytest.raises(ValueError, match="read-only"):
        factorize(ids).codes[0] = 1


def test_codes_of_another_length_are_refused():
    ids = pd.Series(["v", "u"], dtype="str")
    with pytest.raises(ValueError, match="3 codes for 2 rows"):
        keep_codes(ids, np.array([0, 1, 0], dtype=np.int32), pd.Index(["v", "u"]))


VALUES = {
    "numbers": [1.5, None, 2.5],
    "whole numbers": [1, 2, 3],
    "text": ["x", None, "x"],
    "times": moments([DAYS[0], None, DAYS[2]]),
    "categories": pd.Categorical(["x", "y", None], categories=["y", "x"], ordered=True),
    "marks": pd.array([True, None, False], dtype="boolean"),
}


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=25, deadline=None)
@given(ids=st.lists(st.sampled_from(["a", "b", "c", "unknown", None]), min_size=1, max_size=8))
def test_look_up_is_pandas_map(kind, ids):
    by_id = pd.Series(VALUES[kind], index=["a", "b", "c"])
    named = pd.Series(ids, dtype="str", name="item_id", index=range(5, 5 + len(ids)))
    pd.testing.assert_series_equal(look_up(named, by_id), named.map(by_id))


def test_positions_of_ids_of_any_kind():
    index = pd.Index(["b", "a"])
    assert find_positions(["a", "b", "c"], index).tolist() == [1, 0, -1]
    assert find_positions(pd.Index([1, 2]), pd.Index([2, 1])).tolist() == [1, 0]
    assert find_positions(pd.Series(["a", None], dtype="str"), index).tolist() == [1, -1]
    assert find_positions([], index).tolist() == []
