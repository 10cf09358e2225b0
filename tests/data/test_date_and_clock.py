"""The date in one column and the time of day in another are one moment."""

import pandas as pd
import pytest

from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.reading import read_headers, read_tables
from kpay_lab.data.understanding import understand
from tests.workbooks import DATE, TIME, styled, write_xlsx

MOMENTS = ["2023-01-05 14:03:09+00:00", "2023-02-12 00:30:00+00:00"]


def read(folder, header, rows, mapping=None):
    lines = [",".join(header), *(",".join(["u1", "i1", *row]) for row in rows)]
    path = folder / "events.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_tables(path, mapping=mapping)


def times_of(tables):
    return [str(one) for one in tables.events["timestamp"]]


@pytest.mark.parametrize(
    "names", [("date", "time"), ("日期", "时间"), ("时间", "日期"), ("日期(UTC)", "时间")]
)
@pytest.mark.parametrize(
    "first, second",
    [
        (("2023-01-05", "14:03:09"), ("2023-02-12", "00:30:00")),
        (("2023/1/5", "下午2:03:09"), ("2023/2/12", "0:30")),
        (("2023年1月5日", "14时3分9秒"), ("2023年2月12日", "0时30分")),
        (("20230105", "14:03:09"), ("20230212", "00:30")),
    ],
)
def test_a_date_and_a_time_of_day_are_one_moment(tmp_path, names, first, second):
    is_turned = names[0] in ("时间",)
    rows = [row[::-1] if is_turned else row for row in (first, second)]
    tables, rejected = read(tmp_path, ["user_id", "item_id", *names], rows)
    assert times_of(tables) == MOMENTS
    date, clock = names[::-1] if is_turned else names
    assert f"events: {clock} is taken as the time of day of {date}" in rejected.notes
    columns, faults = read_headers(tmp_path)
    assert "timestamp" in columns["events"] and not faults


def test_a_row_without_its_date_or_its_time_of_day_loses_nothing_else(tmp_path):
    rows = [("2023-01-05", "14:03:09"), ("2023-02-12", ""), ("", "10:00:00")]
    tables, rejected = read(tmp_path, ["user_id", "item_id", "date", "time"], rows)
    assert times_of(tables) == [MOMENTS[0], "2023-02-12 00:00:00+00:00", "NaT"]
    assert rejected.cells["value"].tolist() == ["10:00:00"]
    assert rejected.notes[0].endswith("time of day of date; where it is empty (1), as midnight")


@pytest.mark.parametrize(
    "row",
    [
        ("2023-01-05", "831"),  # a number may be seconds watched
        ("2023-01-05", "2023-01-05 14:03:09"),
        ("2023-01-05 14:03:09", "14:03:09"),
        ("2023-01-05", ""),
        ("", "14:03:09"),
        ("1672927389", "14:03:09"),  # unix time says the moment alone
        ("44931.5", "14:03:09"),
    ],
)
def test_columns_that_are_no_date_and_no_time_of_day_are_refused_as_before(tmp_path, row):
    with pytest.raises(ValueError, match="date and time both mean timestamp; rename one"):
        read(tmp_path, ["user_id", "item_id", "date", "time"], [row])


def test_a_column_that_is_named_twice_stays_refused(tmp_path):
    header = ["user_id", "item_id", "date", "time", "rating", "rating"]
    with pytest.raises(ValueError, match="it names rating more than once"):
        read(tmp_path, header, [("2023-01-05", "14:03:09", "1", "5")])


def test_of_two_times_of_day_none_is_proposed(tmp_path):
    header = ["user_id", "item_id", "观看日期", "开始时刻", "结束时刻"]
    rows = [("2023-01-05", "14:03:09", "15:00:00"), ("2023-02-12", "00:30:00", "01:00:00")]
    read(tmp_path, header, rows)
    assert understand(tmp_path).proposal.said["columns"]["events"] == {"观看日期": "timestamp"}


def test_a_spreadsheet_and_a_frame_are_read_alike(tmp_path):
    header = ["user_id", "item_id", "日期", "时间"]
    serial = 44931  # 2023-01-05 in days since 1899-12-30
    second = (14 * 3600 + 3 * 60 + 9) / 86400
    cells = [["u1", "i1", styled(serial, DATE), styled(second, TIME)]]
    write_xlsx(tmp_path / "events.xlsx", {"events": [header, *cells]})
    tables, _ = read_tables(tmp_path)
    assert times_of(tables) == MOMENTS[:1]
    frame = pd.DataFrame([["u1", "i1", "2023-01-05", "14:03:09"]], columns=header)
    from_frame, _ = read_tables(frame)
    assert times_of(from_frame) == MOMENTS[:1]


def test_other_names_are_proposed_and_can_be_said(tmp_path):
    header = ["user_id", "item_id", "观看日期", "观看时刻"]
    rows = [("2023-01-05", "14:03:09"), ("2023-02-12", "00:30:00")]
    read(tmp_path, header, rows)
    said = understand(tmp_path).proposal.said
    assert said["columns"]["events"] == {"观看日期": "timestamp", "观看时刻": "timestamp"}
    tables, _ = read(tmp_path, header, rows, LogMapping.of(said))
    assert times_of(tables) == MOMENTS
