"""What `kpay check` shows: everything that was understood, at 80 columns."""

import io
import json
import shlex
import sys

import pandas as pd
import pytest

from kpay_lab.checks import Refused, look_first
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.next_step import FEWEST_EVENTS, next_step
from kpay_lab.data.terminal import WIDTH, aligned, width_of, wrapped
from kpay_lab.data.understanding import understand
from kpay_lab.report.console import told_if_slow
from kpay_lab.report.profile import read_project


@pytest.fixture
def export(tmp_path):
    """An export of a spreadsheet: Chinese names, GB18030, local times, two bad cells, totals."""
    path = tmp_path / "观看明细.csv"
    lines = ["某某学院 观看明细", "用户编号,课程名称,行为时间,观看时长（分钟）,点赞,备注"]
    for n in range(1200):
        length = "很久" if n in (3, 5) else n % 60
        mark = "是" if n % 4 == 0 else "否"
        lines.append(
            f"{10001 + n % 90},第{n % 30}课,2023/01/{n % 28 + 1:02} 20:00,{length},{mark},"
        )
    lines.append("合计,,,34234,,")
    path.write_bytes("\r\n".join(lines).encode("gb18030"))
    return path


def test_a_table_says_its_columns_its_span_and_its_counts(export):
    understood = understand(export, LogMapping.of({"source_time_zone": "Asia/Shanghai"}))
    (events,) = understood.tables
    assert events.counts == {"read": 1201, "good": 1200, "rejected": 1, "cells": 2}
    ours = dict(zip(events.columns["theirs"], events.columns["ours"], strict=True))
    assert ours == {
        "用户编号": "user_id",
        "课程名称": "item_id",
        "行为时间": "timestamp",
        "观看时长（分钟）": "watch_time",
        "点赞": "like_count",
        "备注": "",
    }
    assert events.first == pd.Timestamp("2023-01-01 12:00", tz="UTC")
    assert (events.n_users, events.n_items) == (90, 30)
    assert understood.kinds == {"events": 1200, "with a like": 300}
    text = " ".join(str(understood).split())
    assert "2023-01-01 20:00 to 2023-01-28 20:00 Asia/Shanghai, 27.0 days" in text
    assert "minutes" in text and "GB18030" in text
    assert understood.table()["good"].tolist() == [1200]


def test_lines_fit_80_columns_and_chinese_is_aligned(export):
    lines = str(understand(export)).splitlines()
    assert max(map(width_of, lines)) <= WIDTH
    first = next(n for n, line in enumerate(lines) if line.split()[:2] == ["theirs", "ours"])
    place = lines[first].index("ours")
    for line, ours in zip(lines[first + 1 :], ["user_id", "item_id", "timestamp"], strict=False):
        assert width_of(line[: line.index(ours)]) == place


def test_problems_are_counted_by_reason_with_three_examples(export):
    problems = understand(export).problems()
    (cells,) = problems[problems["outcome"] == "cell taken as missing"].itertuples()
    assert (cells.column, cells.n) == ("watch_time", 2)
    assert cells.examples == [("观看明细.csv row 6", "很久"), ("观看明细.csv row 8", "很久")]


def test_a_bad_cell_of_a_row_set_aside_is_not_why_it_was(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,watch_time\n,1,often\nu,2,3\n")
    outcomes = understand(path, max_rejected=1.0).problems().set_index("column")["outcome"]
    assert outcomes.to_dict() == {
        "user_id": "row set aside",
        "watch_time": "cell of a row set aside",
    }


def test_json_keeps_every_row(export):
    answer = json.loads(json.dumps(understand(export).as_dict(), default=str))
    assert answer["sound"] and answer["tables"][0]["first"] == "2023-01-01T20:00:00+00:00"
    assert len(answer["cells"]) == 2 and len(answer["rejected"]) == 1


def test_the_column_of_types_is_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("uid,item,action,ts\n1,a,play,1672906969\n2,a,buy,1672906969\n")
    understood = understand(path)
    columns = understood.tables[0].columns.set_index("theirs")
    assert columns.loc["action", "ours"] == "types of behaviour"
    assert understood.kinds == {"events": 1, "orders": 1}


def test_the_next_step_follows_from_what_was_understood(export, tmp_path):
    understood = understand(export)
    assert (
        next_step(understood, "mine")
        == f"Next: kpay run --data {shlex.quote(str(export))} --profile mine"
    )
    small = tmp_path / "small log.csv"
    small.write_text("user_id,item_id\nu,1\n")
    assert next_step(understand(small)).endswith("small log.csv' --set min_events=1")
    known = read_project()[0]
    fewest = {one.defaults["min_events"] for one in known.values() if "min_events" in one.defaults}
    assert fewest == {FEWEST_EVENTS}


def test_a_source_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="is no folder and no file"):
        understand(tmp_path / "nowhere")


def test_a_run_looks_first_once_a_log(export):
    values = {"dataset": "tables", "data_dir": str(export), "max_rejected": 0.05, "min_events": 9}
    lines = look_first({"01": values, "02": dict(values), "07": {"dataset": "simulated"}})
    assert lines == [
        f"{export}: 1,200 events; 1 row set aside",
        "  90 users, 30 items, 2023-01-01 20:00 to 2023-01-28 20:00 UTC, 27.0 days",
    ]
    refused = look_first({"01": values, "02": {**values, "min_events": 5000}})
    assert isinstance(refused, Refused)
    assert refused.message.startswith("1,200 events remain, fewer than min_events = 5,000")
    broken = look_first({"01": {**values, "max_rejected": 0.0}})
    assert isinstance(broken, Refused) and len(broken.rows) == 3


def test_text_is_broken_and_cut_by_its_width():
    assert wrapped("数据分析入门课程", width=10) == ["- 数据分析", "  入门课程"]
    assert wrapped("a" * 12, first="", rest="", width=5) == ["aaaaa", "aaaaa", "aa"]
    (line,) = aligned([("课程" * 30, "x")], most=9)
    assert line == "  课程课程…  x"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "is_told"), [(Terminal(), True), (io.StringIO(), False)])
def test_what_takes_long_is_told_on_a_terminal(monkeypatch, stream, is_told):
    monkeypatch.setattr(sys, "stderr", stream)
    with told_if_slow("reading log.csv", patience=0.0):
        while is_told and "reading log.csv … 0 s" not in stream.getvalue():
            pass
    assert stream.getvalue().endswith("\r\x1b[K" if is_told else "")
    assert bool(stream.getvalue()) == is_told
    with told_if_slow("something quick", patience=60.0):
        pass
    assert "quick" not in stream.getvalue()
