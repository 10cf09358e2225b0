"""Cells → values, problems and notes: one block for each way in which people's files differ."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpay_lab.data.parsing import holds_text, parse_column, parse_free, parse_ids
from kpay_lab.data.tables import KIND_OF

MISSING = None


def parse(cells, column, **settings):
    array = cells if isinstance(cells, pa.Array) else pa.array(cells, pa.large_string())
    return parse_column(array, column, **settings)


def values(parsed):
    """Plain values, None where missing; times as they read in UTC."""
    plain = []
    for value in parsed.values:
        if pd.isna(value):
            plain.append(MISSING)
        elif isinstance(value, pd.Timestamp):
            plain.append(value.tz_localize(None).isoformat(" ").removesuffix(" 00:00:00"))
        else:
            plain.append(value)
    return plain


def bad_rows(parsed):
    return parsed.problems["row"].tolist()


def said(parsed):
    return "\n".join(parsed.notes)


# ---- D1: what is a time ------------------------------------------------------------------------

TIMES = [
    # compact
    ("20230105140309", "2023-01-05 14:03:09"),
    ("202301051403", "2023-01-05 14:03:00"),
    ("20230105", "2023-01-05"),
    ("20230105140309123", "2023-01-05 14:03:09.123000"),
    ("20230105T140309Z", "2023-01-05 14:03:09"),
    ("20230105 140309", "2023-01-05 14:03:09"),
    ("20230105 14:03:09", "2023-01-05 14:03:09"),
    ('="2023-01-05 14:03:09"', "2023-01-05 14:03:09"),
    ("`20230105140309\t", "2023-01-05 14:03:09"),
    # unix time
    ("1672927389", "2023-01-05 14:03:09"),
    ("1672531200", "2023-01-01"),
    ("2023013214", "2034-02-08 12:06:54"),  # no month has 32 days
    ("1672927389.25", "2023-01-05 14:03:09.250000"),
    ("1672927389000", "2023-01-05 14:03:09"),
    ("1672927389000000", "2023-01-05 14:03:09"),
    ("1672927389000000000", "2023-01-05 14:03:09"),
    # year first, in all its spellings
    ("2023-01-05", "2023-01-05"),
    ("2023-1-5", "2023-01-05"),
    ("2023/1/5 12:03", "2023-01-05 12:03:00"),
    ("2023/1/5 14:03", "2023-01-05 14:03:00"),
    ("2023/01/05 14:03:09", "2023-01-05 14:03:09"),
    ("2023.01.05 4:03", "2023-01-05 04:03:00"),
    ("2023-01-05T14:03:09", "2023-01-05 14:03:09"),
    ("2023-01-05T14:03:09Z", "2023-01-05 14:03:09"),
    ("2023-01-05T14:03:09.123456789Z", "2023-01-05 14:03:09.123456"),
    ("2023-01-05 14:03:09,123", "2023-01-05 14:03:09.123000"),
    ("2023-01-05 14:03:09 UTC", "2023-01-05 14:03:09"),
    ("2023-01-05 14:03:09+08:00", "2023-01-05 06:03:09"),
    ("2023-01-05T14:03:09+0800", "2023-01-05 06:03:09"),
    ("2023-01-05 14:03:09 +08", "2023-01-05 06:03:09"),
    ("2023-01-05 14:03:09 GMT+8", "2023-01-05 06:03:09"),
    ("2023-01-05 14:03:09-03:30", "2023-01-05 17:33:09"),
    ("\t2023-01-05 14:03:09 \u200b", "2023-01-05 14:03:09"),
    ("2023-01-05 14：03：09", "2023-01-05 14:03:09"),
    # as people write it in Chinese
    ("2023年1月5日", "2023-01-05"),
    ("2023年1月5日 14:03", "2023-01-05 14:03:00"),
    ("2023年01月05日14:03:09", "2023-01-05 14:03:09"),
    ("2023年1月5日 14时03分09秒", "2023-01-05 14:03:09"),
    ("2023年1月5日14点", "2023-01-05 14:00:00"),
    ("2023 年 1 月 5 日 14:03", "2023-01-05 14:03:00"),
    ("2023年1月5日 星期四 14:03", "2023-01-05 14:03:00"),
    ("2023/1/5 周四 14:03", "2023-01-05 14:03:00"),
    # twelve hours
    ("2023/1/5 下午2:03", "2023-01-05 14:03:00"),
    ("2023/1/5 上午 12:03", "2023-01-05 00:03:00"),
    ("2023/1/5 下午 12:03:09", "2023-01-05 12:03:09"),
    ("2023-01-05 2:03 PM", "2023-01-05 14:03:00"),
    ("2023-01-05 12:03:09 am", "2023-01-05 00:03:09"),
    # months by name
    ("Jan 5, 2023, 2:03:09 PM", "2023-01-05 14:03:09"),
    ("January 5, 2023 14:03", "2023-01-05 14:03:00"),
    ("5 Jan 2023 14:03:09", "2023-01-05 14:03:09"),
    ("05-Jan-2023", "2023-01-05"),
    ("Thu, 05 Jan 2023 14:03:09 GMT", "2023-01-05 14:03:09"),
    ("Thu Jan 05 14:03:09 +0800 2023", "2023-01-05 06:03:09"),
    ("Thu Jan 5 14:03:09 2023", "2023-01-05 14:03:09"),
    # leap days
    ("2024-02-29", "2024-02-29"),
    ("2024/2/29", "2024-02-29"),
]  # fmt: skip
NO_TIMES = [
    ("1234.5", "plain number"),
    ("230105", "plain number"),
    ("1310.25", "plain number"),
    ("0", "plain number"),
    ("-1", "plain number"),
    ("1.672927389e9", "plain number"),
    ("1.6729E+12", "plain number"),
    ("2023", "plain number"),
    ("20231305", "plain number"),
    ("20230230", "plain number"),
    ("99999999999999", "plain number"),
    ("2023010514", "a date with an hour"),
    ("2023123123", "a date with an hour"),
    ("2023040109", "a date with an hour"),
    ("44931.5854167", "looks like an Excel date"),
    ("0001-01-01 00:00:00", "the years that a log can have"),
    ("1970-01-01 08:00:00", "the years that a log can have"),
    ("2100-01-01", "the years that a log can have"),
    ("9999-12-31", "the years that a log can have"),
    ("0000-00-00 00:00:00", "2023-01-05 14:03:09"),
    ("5/1/2023 14:03", "order of its day"),
    ("05.01.2023", "order of its day"),
    ("13/01/23", "order of its day"),
    ("23-01-05", "order of its day"),
    ("2023-01-05 14:03:09 CST", "zone by its name"),
    ("2023-01-05T14:03:09+08:00[Asia/Shanghai]", "zone by its name"),
    ("2023-02-30", "not a time"),
    ("2023/2/29", "not a time"),
    ("2023-01-05 24:00", "not a time"),
    ("2023-01-05 25:00", "not a time"),
    ("2023-01-05 14:60", "not a time"),
    ("2023-01-05 14:03:09+99:99", "not a time"),
    ("2023-01-05 14:03:09+08:60", "not a time"),
    ("2023-01", "not a time"),
    ("14:03:09", "not a time"),
    ("yesterday", "not a time"),
    ("5 Marbles 2023", "not a time"),
    ("0000-01-01", "the years that a log can have"),
    ("0x63b6d85d", "not a time"),
    ("inf", "not a time"),
]  # fmt: skip


@pytest.mark.parametrize("company", [[], ["2022-02-02 02:02:02"], ["1672531200"], ["?"]])
@pytest.mark.parametrize(("written", "meant"), TIMES)
def test_a_time_is_read_in_any_company(written, meant, company):
    assert values(parse([written, "", *company], "timestamp"))[:2] == [meant, MISSING]


@pytest.mark.parametrize("company", [["2022-02-02 02:02:02"], ["1672531200"], ["?"]])
@pytest.mark.parametrize(("written", "reason"), NO_TIMES)
def test_what_is_no_time_is_a_problem_with_its_reason(written, reason, company):
    parsed = parse([written, *company], "timestamp")
    assert values(parsed)[0] is MISSING
    assert parsed.problems["row"][0] == 0
    assert reason in parsed.problems["reason"][0]


def test_a_column_of_excels_day_numbers_is_read_with_a_note():
    parsed = parse(["44931.5854167", "44932", ""], "timestamp")
    assert values(parsed) == ["2023-01-05 14:03:00", "2023-01-06", MISSING]
    assert "44931.5854167 as 2023-01-05 14:03:00" in said(parsed)
    typed = parse(pa.array([44931.5854167, 44932.0, None]), "timestamp")
    assert values(typed) == values(parsed)
    first_day = parse(["32874", "44932"], "timestamp")
    assert values(first_day) == ["1990-01-01", "2023-01-06"]
    one_other = parse(["44931", "44932", "2023-01-05"], "timestamp")
    assert bad_rows(one_other) == [0, 1]


def test_a_book_may_be_older_than_any_log():
    assert values(parse(["1925-04-10", "0001-01-01"], "published_at")) == ["1925-04-10", MISSING]
    assert bad_rows(parse(["1925-04-10"], "timestamp")) == [0]


# ---- D2: ids -----------------------------------------------------------------------------------

IDS = [
    ("10001", "10001"),
    ("\t10001", "10001"),
    ("10001\t", "10001"),
    (" 10001 ", "10001"),
    ("\u300010001\xa0", "10001"),
    ("\ufeff10001", "10001"),
    ("\u200b100\u200b01\u200d", "10001"),
    ("`10001", "10001"),
    ("'10001", "10001"),
    ("'10001'", "10001"),
    ("`10001\t", "10001"),
    ('"10001"', "10001"),
    ('="10001"', "10001"),
    ('="2022072512345928259"', "2022072512345928259"),
    ("10001.0", "10001"),
    ("10001.", "10001"),
    ("-7.00", "-7"),
    ("007", "007"),
    ("007.0", "007.0"),
    ("U1", "U1"),
    ("１０", "１０"),
    ("张 三", "张 三"),
    ("12e45", "12e45"),
    ("7e10", "7e10"),
    ("v1.0", "v1.0"),
    ("=1+1", "=1+1"),
    ("u\n2", "u\n2"),
    ("NULL", "NULL"),
    ("", MISSING),
    ("\t \u200b", MISSING),
    ('=""', MISSING),
    ("7.91557E+17", MISSING),
    ("7.91557e17", MISSING),
    ("791557000000000000.0", MISSING),
]


@pytest.mark.parametrize(("written", "meant"), IDS)
def test_an_id_is_bared_of_what_nobody_sees(written, meant):
    assert values(parse([written, "u1"], "user_id")) == [meant, "u1"]


def test_ids_that_were_rounded_are_problems():
    parsed = parse(["7.91557E+17", "u1", "791557000000000000.0", None], "user_id")
    assert bad_rows(parsed) == [0, 2]
    assert all("can no longer be told apart" in reason for reason in parsed.problems["reason"])
    typed = parse(pa.array([10001.0, float(2**53 + 2), None, np.nan]), "user_id")
    assert values(typed) == ["10001", MISSING, MISSING, MISSING] and bad_rows(typed) == [1]
    assert "2^53 or more" in typed.problems["reason"][0]


def test_a_float_holds_ids_apart_up_to_the_last_before_2_to_the_53():
    """2^53 + 1 is written as 2^53 by whatever holds floats: then nobody knows which it was."""
    last, doubtful = "9007199254740991", "9007199254740992"
    parsed = parse([f"{last}.0", f"{doubtful}.0", doubtful], "user_id")
    assert values(parsed) == [last, MISSING, doubtful] and bad_rows(parsed) == [1]
    typed = parse(pa.array([float(last), -float(last), float(doubtful)]), "user_id")
    assert values(typed) == [last, f"-{last}", MISSING] and bad_rows(typed) == [2]


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("float32", 24), ("float64", 53)])
def test_a_smaller_float_holds_fewer_ids_apart(dtype, digits):
    last = 2**digits - 1
    parsed = parse(pa.array(np.array([last, last + 1, 7], dtype)), "user_id")
    assert values(parsed) == [str(last), MISSING, "7"] and bad_rows(parsed) == [1]
    assert f"a float of 2^{digits} or more" in parsed.problems["reason"][0]


def test_floats_that_are_no_whole_numbers_keep_their_digits_as_ids():
    parsed = parse(pa.array([1.55, 7.0, None, np.inf]), "user_id")
    assert values(parsed) == ["1.55", "7", MISSING, "inf"]
    enormous = parse(pa.array([1e22, 7.0]), "user_id")
    assert bad_rows(enormous) == [0] and "2^53" in enormous.problems["reason"][0]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([7, 8], pa.uint8()),
        pa.array([7, 8], pa.int64()),
        pa.array([7.0, 8.0]),
        pa.array([7.0, 8.0], pa.float32()),
        pa.array([Decimal("7.00"), Decimal("8.00")]),
        pa.array(["7", "8"]).dictionary_encode(),
        pa.array([b"7", b"8"]),
        pa.chunked_array([["7"], ["8"]]),
    ],
)
def test_typed_ids_are_those_of_text(cells):
    parsed = parse_ids(cells)
    assert values(parsed) == ["7", "8"] and str(parsed.values.dtype) == "str"


def test_ids_that_may_be_mistakes_are_counted_but_kept():
    alike = ["007", "7", "Ab", "ab", "１０", "10", "c", "c"]
    parsed = parse(alike, "item_id")
    assert values(parsed) == alike
    differ = "6 ids differ only by leading zeros, case or width"
    assert f"{differ}, such as '007' and '7'" in said(parsed)
    assert f"{differ}; they stay apart" in said(parse(alike, "user_id"))  # notes name no person
    parsed = parse(["NULL", "NULL", "nan", "u1"], "user_id")
    assert "3 cells read 'NULL' or the like and are kept as ids" in said(parsed)
    assert parse(["u1", "u2", "0", "00x"], "user_id").notes == ()


def test_ids_that_a_spreadsheet_cut_at_15_digits_are_noted():
    cut = [f"{number}000" for number in range(791_557_000_000_011, 791_557_000_000_017)]
    assert "all 6 ids of more than 15 digits end in zeros" in said(parse(cut, "user_id"))
    assert "all 5 ids of more than 15 digits" in said(parse(cut[:5], "user_id"))
    assert parse(cut[:4], "user_id").notes == ()
    assert parse([*cut, "791557000000123456"], "user_id").notes == ()


# ---- D3: zones ---------------------------------------------------------------------------------


def test_times_without_a_zone_are_local_where_the_zone_is_known():
    parsed = parse(["2023-01-05 20:00", "2023-01-05T20:00Z"], "timestamp", zone="Asia/Shanghai")
    assert values(parsed) == ["2023-01-05 12:00:00", "2023-01-05 20:00:00"]
    assert "it mixes 1 time without a zone and 1 with one" in said(parsed)
    unix = parse(["1672927389"], "timestamp", zone="Asia/Shanghai")
    assert values(unix) == ["2023-01-05 14:03:09"] and unix.notes == ()
    typed = parse(pa.array([datetime(2023, 1, 5, 20)]), "timestamp", zone="Asia/Shanghai")
    assert values(typed) == ["2023-01-05 12:00:00"] and typed.notes == ()
    excel = parse(["44931.5"], "timestamp", zone="Asia/Shanghai")
    assert values(excel) == ["2023-01-05 04:00:00"]


@pytest.mark.parametrize(
    "cells",
    [
        ["2023-01-05 20:00", "2023-01-06 20:00"],
        ["20230105200000", "2023年1月6日"],
        pa.array([datetime(2023, 1, 5, 20), datetime(2023, 1, 6, 20)]),
    ],
)
def test_times_without_a_zone_are_utc_with_a_note(cells):
    note = "timestamp: 2 times without a zone are taken as UTC; set mapping.source_time_zone"
    assert parse(cells, "timestamp").notes == (note,)


@pytest.mark.parametrize(
    "cells",
    [
        ["2023-01-05", "2023-01-06"],
        ["20230105", "2023年1月6日"],
        pa.array([date(2023, 1, 5), date(2023, 1, 6)]),
    ],
)
def test_dates_without_a_time_of_day_are_called_dates(cells):
    note = "timestamp: 2 dates without a time of day are taken as midnight, UTC"
    assert parse(cells, "timestamp").notes == (note,)


def test_a_single_time_or_date_is_told_in_the_singular():
    (note,) = parse(["2023-01-05"], "timestamp").notes
    assert note == "timestamp: 1 date without a time of day is taken as midnight, UTC"
    (note,) = parse(["2023-01-05 20:00"], "timestamp").notes
    assert note.startswith("timestamp: 1 time without a zone is taken as UTC")


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValueError, match="there is no zone 'Shanghai'; name one such as"):
        parse(["2023-01-05"], "timestamp", zone="Shanghai")


def test_times_with_a_zone_need_no_note():
    assert parse(["2023-01-05T20:00Z", "2023-01-05T20:00+08:00"], "timestamp").notes == ()


def test_hours_that_a_clock_repeats_or_skips_are_said():
    local = ["2023-10-29 02:30", "2023-03-26 02:30", "2023-07-01 12:00"]
    parsed = parse(local, "timestamp", zone="Europe/Berlin")
    assert values(parsed) == ["2023-10-29 00:30:00", "2023-03-26 01:00:00", "2023-07-01 10:00:00"]
    assert "1 time in an hour that the clock of Europe/Berlin repeats" in said(parsed)
    assert "1 time in an hour that the clock of Europe/Berlin skips" in said(parsed)


# ---- D4: types ---------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_of_any_unit_are_seconds(unit):
    cells = pa.array([timedelta(minutes=12, seconds=33), None], pa.duration(unit))
    assert values(parse(cells, "watch_time")) == [753.0, MISSING]
    assert values(parse(cells, "watch_time", unit="minutes")) == [753.0, MISSING]
    assert bad_rows(parse(cells, "price")) == [0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_timestamps_of_any_unit_are_times(unit, zone):
    seconds = pa.array([1672927389, None]).cast(pa.timestamp("s", zone))
    cells = seconds.cast(pa.timestamp(unit, zone))
    assert values(parse(cells, "timestamp")) == ["2023-01-05 14:03:09", MISSING]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_moment_that_no_log_can_have_is_a_problem_and_no_overflow(unit):
    ticks = [2**63 - 1, -(2**63) + 1, 0]
    parsed = parse(pa.array(ticks).cast(pa.timestamp(unit)), "timestamp")
    assert values(parsed) == [MISSING] * 3 and bad_rows(parsed) == [0, 1, 2]


@pytest.mark.parametrize(("unit", "a_second"), [("s", 1), ("ms", 1000)])
def test_a_moment_far_away_is_not_wrapped_into_the_years_of_a_log(unit, a_second):
    """2^64 microseconds later the 64 bits of a moment are those of 2023 again."""
    microseconds = 2**64 + 1_672_927_389_448_384
    ticks = microseconds * a_second // 10**6
    assert ticks * 10**6 // a_second == microseconds
    parsed = parse(pa.array([ticks]).cast(pa.timestamp(unit)), "timestamp")
    assert values(parsed) == [MISSING] and bad_rows(parsed) == [0]


def test_nanoseconds_are_cut_as_written_ones_are():
    written = parse(["2023-01-05T14:03:09.123456999Z"], "timestamp")
    typed = parse(pa.array([1_672_927_389_123_456_999], pa.timestamp("ns", "UTC")), "timestamp")
    assert values(written) == values(typed) == ["2023-01-05 14:03:09.123456"]


TYPED = [
    (pa.array([1672927389, None]), "timestamp", ["2023-01-05 14:03:09", MISSING]),
    (pa.array([1672927389.0, np.nan]), "timestamp", ["2023-01-05 14:03:09", MISSING]),
    (pa.array([20230105140309, 230105]), "timestamp", ["2023-01-05 14:03:09", MISSING]),
    (pa.array([date(2023, 1, 5)]), "timestamp", ["2023-01-05"]),
    (pa.array([date(2023, 1, 5)], pa.date64()), "timestamp", ["2023-01-05"]),
    (pa.array(["2023-01-05", ""]).dictionary_encode(), "timestamp", ["2023-01-05", MISSING]),
    (pa.array([Decimal("9.90"), None]), "price", [9.9, MISSING]),
    (pa.array([1.5, np.nan, None]), "watch_time", [1.5, MISSING, MISSING]),
    (pa.array([2, 3], pa.uint64()), "rating", [2.0, 3.0]),
    (pa.array([time(0, 12, 33)]), "watch_time", [753.0]),
    (pa.array([True, False, None]), "like_count", [1, 0, MISSING]),
    (pa.array([True, False, None]), "consent", [True, False, MISSING]),
    (pa.array([1.0, 2.0, np.nan]), "like_count", [1, 2, MISSING]),
    (pa.array([1, 0]), "consent", [True, False]),
    (pa.array([35.0, 100.0, 1.0]), "progress", [0.35, 1.0, 0.01]),
    (pa.array([3, 2**53 + 1]), "price", [3.0, 2.0**53]),
    (pa.array([3, 2**53 + 1]), "like_count", [3, MISSING]),
    (pa.array([[1], None]), "title", ["[1]", MISSING]),
    (pa.array([7, 8]), "title", ["7", "8"]),
    (pa.nulls(2), "timestamp", [MISSING] * 2),
    (pa.nulls(2), "price", [MISSING] * 2),
    (pa.nulls(2), "user_id", [MISSING] * 2),
]


@pytest.mark.parametrize(("cells", "column", "meant"), TYPED)
def test_typed_cells_are_read_by_their_type(cells, column, meant):
    assert values(parse(cells, column)) == meant


@pytest.mark.parametrize("column", ["timestamp", "price", "like_count", "consent"])
@pytest.mark.parametrize(
    "cells",
    [pa.array([[1], [2]]), pa.array([{"a": 1}, {"a": 2}]), pa.array([b"\xff", b"\xfe"])],
)
def test_a_type_that_a_column_cannot_have_is_a_problem_of_each_cell(cells, column):
    assert bad_rows(parse(cells, column)) == [0, 1]


def test_infinity_is_a_problem_and_nan_is_missing_in_every_form():
    assert bad_rows(parse(pa.array([np.inf, np.nan, 1.0]), "watch_time")) == [0]
    assert bad_rows(parse(["inf", "nan", "1", "1e400"], "watch_time")) == [0, 3]


# ---- D5: words in counts -----------------------------------------------------------------------


def test_a_column_of_comments_with_text_holds_content():
    parsed = parse(["老师讲得很好", "666", "", None, "无", "3"], "comment_count")
    assert values(parsed) == [1, 1, 0, 0, 0, 1] and bad_rows(parsed) == []
    assert "it holds text; each written cell counts as 1" in said(parsed)  # and quotes nobody


@pytest.mark.parametrize(
    ("cells", "holds"),
    [
        (["好课", "666", ""], True),
        (["great course!", "1"], True),
        (["1", "2", "NULL", "有", "True", "-"], False),
        (["1.2万", "999+", "3次"], False),
        ([*["3"] * 9, "many"], True),
        ([*["3"] * 10, "many"], False),
        ([], False),
    ],
)
def test_text_is_told_from_counts(cells, holds):
    assert holds_text(pa.array(cells, pa.string())) is holds


@pytest.mark.parametrize("column", ["like_count", "clicked", "consent"])
def test_one_table_of_yes_and_no_for_every_mark(column):
    yes = ["true", "True", "TRUE", "Yes", "y", "T", "1", "1.0", "是", "有", "√", " yes\t"]
    no = ["false", "FALSE", "No", "n", "F", "0", "否", "无", "没有", "×"]
    parsed = parse([*yes, *no, ""], column)
    assert values(parsed) == [1] * len(yes) + [0] * len(no) + [MISSING]
    assert bad_rows(parsed) == []


@pytest.mark.parametrize("word", ["maybe", "2", "-1", "0.5"])
def test_consent_that_is_not_understood_is_a_problem(word):
    assert bad_rows(parse(["yes", word], "consent")) == [1]


# ---- D6: missing words -------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["watch_time", "price", "progress", "timestamp", "like_count"])
@pytest.mark.parametrize(
    "word", ["NA", "N/A", "NULL", "null", "None", "nan", "-", "--", "\\N", "无数据"]
)
def test_a_word_for_missing_is_missing(column, word):
    parsed = parse([word, "", f" {word} "], column)
    assert values(parsed) == [MISSING] * 3 and bad_rows(parsed) == []
    assert f"2 cells such as {word!r} are taken as missing" in said(parsed)


def test_words_stay_in_ids_and_titles():
    assert values(parse(["NA", "nan"], "user_id")) == ["NA", "nan"]
    assert values(parse(["NA", "None", "NULL"], "title")) == ["NA", "None", MISSING]


# ---- D7: numbers -------------------------------------------------------------------------------

AMOUNTS = [
    ("99", 99.0),
    ("99.00", 99.0),
    ("+.5", 0.5),
    ("1e3", 1000.0),
    ("¥99.00", 99.0),
    ("￥ 99", 99.0),
    ("99元", 99.0),
    ("99.00 元", 99.0),
    ("¥1,299.00", 1299.0),
    ("1,299.00", 1299.0),
    ("1,234,567.89", 1234567.89),
    ("1 299.00", 1299.0),
    ("-¥5.00", -5.0),
    ("¥-5.00", -5.0),
    ("CNY 99", 99.0),
    ("99 RMB", 99.0),
    ("1.2万", 12000.0),
    ("1.2万元", 12000.0),
    ("99．00", 99.0),
    ('="99.00"', 99.0),
    ("'99.00", 99.0),
    ("  99  元 ", 99.0),
]
NO_AMOUNTS = [
    "免费",
    "9,99",
    "1,29",
    "12,34,567",
    "99起",
    "１２",
    "0x10",
    "1_000",
    "9.9.9",
    ",",
    "99元/年",
]


@pytest.mark.parametrize(("written", "meant"), AMOUNTS)
def test_an_amount_is_read_as_people_write_it(written, meant):
    assert values(parse([written, "1.5", ""], "price")) == [meant, 1.5, MISSING]


@pytest.mark.parametrize("written", NO_AMOUNTS)
def test_what_is_no_amount_is_a_problem(written):
    parsed = parse([written, "1.5"], "price")
    assert values(parsed) == [MISSING, 1.5] and bad_rows(parsed) == [0]


@pytest.mark.parametrize("sign", ["$9.99", "9.99 USD", "€9.99", "£9.99", "HK$9.99", "9.99美元"])
def test_a_currency_is_read_and_noted(sign):
    parsed = parse([sign, "1.5"], "amount")
    assert values(parsed) == [9.99, 1.5]
    assert "its amounts are in" in said(parsed)


def test_a_second_currency_is_a_problem():
    parsed = parse(["¥9", "9元", "$9", "9"], "amount")
    assert values(parsed) == [9.0, 9.0, MISSING, 9.0] and bad_rows(parsed) == [2]
    assert "another currency" in parsed.problems["reason"][0]


def test_a_comma_is_judged_by_its_column():
    commas = parse(["9,99", "1299", "1.299,50", "1,5 €"], "price")
    assert values(commas) == [9.99, 1299.0, 1299.5, 1.5]
    assert "a comma is read as the mark of decimals, as in '9,99'" in said(commas)
    assert values(parse(["0,123", "1.299"], "price")) == [0.123, 1299.0]
    groups = parse(["1,299", "12,000"], "price")
    assert values(groups) == [1299.0, 12000.0]
    assert "a comma is read as the mark of thousands, as in '1,299'" in said(groups)
    sure = parse(["1,299", "9.99"], "price")
    assert values(sure) == [1299.0, 9.99] and sure.notes == ()
    unclear = parse(["9,99", "1,299"], "price")
    assert values(unclear) == [9.99, MISSING] and bad_rows(unclear) == [1]
    both = parse(["9,99", "9.99", "1,299"], "price")
    assert values(both) == [MISSING, 9.99, 1299.0] and bad_rows(both) == [0]
    assert "decimals or thousands" in both.problems["reason"][0]


DURATIONS = [
    ("753", 753.0),
    ("00:12:33", 753.0),
    ("0:12:33", 753.0),
    ("12:33", 753.0),
    ("75:30", 4530.0),
    ("1:02:03", 3723.0),
    ("00:12:33.5", 753.5),
    ("12：33", 753.0),
    ("30s", 30.0),
    ("30 sec", 30.0),
    ("30秒", 30.0),
    ("12分33秒", 753.0),
    ("12分钟", 720.0),
    ("1小时2分", 3720.0),
    ("1h 2m", 3720.0),
    ("1h2m3s", 3723.0),
    ("1 hour 2 min", 3720.0),
    ("1.5h", 5400.0),
    ("12'33\"", 753.0),
    ("2天", 172_800.0),
    ("1 day 2 h", 93_600.0),
    ("P1DT2H", 93_600.0),
    ("500ms", 0.5),
    ("0 days 00:12:33", 753.0),
    ("1 day 00:00:01", 86401.0),
    ("1 day, 0:00:01", 86401.0),
    ("PT12M33S", 753.0),
    ("1,299", 1299.0),
]


@pytest.mark.parametrize(("written", "meant"), DURATIONS)
def test_a_duration_is_read_as_people_write_it(written, meant):
    assert values(parse([written, "5"], "watch_time")) == [meant, 5.0]


@pytest.mark.parametrize("written", ["12:75", "1:75:00", "half an hour", "s", "1:2:3:4", "¥5"])
def test_what_is_no_duration_is_a_problem(written):
    assert bad_rows(parse([written, "5"], "watch_time")) == [0]


def test_two_parts_of_a_clock_are_noted():
    assert "'12:33' is read as minutes and seconds" in said(parse(["12:33"], "watch_time"))
    hours = parse(["1:30", "2"], "watch_time", unit="hours")
    assert values(hours) == [5400.0, 7200.0]
    assert "'1:30' is read as hours and minutes" in said(hours)


@pytest.mark.parametrize(
    ("column", "unit", "cells", "meant"),
    [
        ("watch_time", "minutes", ["0.5", "2", "30s"], [30.0, 120.0, 30.0]),
        ("watch_time", "minutes", ["1,299", "2"], [77_940.0, 120.0]),
        ("duration", "ms", ["753000", ""], [753.0, MISSING]),
        ("duration", "hours", ["1.5"], [5400.0]),
        ("progress", "percent", ["0.5", "1", "35%"], [0.005, 0.01, 0.35]),
        ("progress", "%", ["0.5", "35"], [0.005, 0.35]),
        ("progress", "share", ["0.5", "35"], [0.5, 35.0]),
        ("price", "cents", ["1999", "¥5"], [19.99, 5.0]),
    ],
)
def test_a_unit_is_that_of_plain_numbers(column, unit, cells, meant):
    assert values(parse(cells, column, unit=unit)) == meant


@pytest.mark.parametrize("column", ["watch_time", "progress", "price", "rating"])
def test_an_unknown_unit_is_refused(column):
    with pytest.raises(ValueError, match=f"the unit of {column} is 'fortnights'; it must be"):
        parse(["1"], column, unit="fortnights")


@pytest.mark.parametrize(
    ("cells", "meant", "note"),
    [
        (["35", "100", "1"], [0.35, 1.0, 0.01], "read as percent, because of values such as 35"),
        (["35%", "100 %", "0.5%", "0"], [0.35, 1.0, 0.005, 0.0], ""),
        (["35%", "40"], [0.35, 0.4], "read as percent"),
        (["0.35", "1", "0"], [0.35, 1.0, 0.0], ""),
        (["0.35", "0.8", "1.02"], [0.35, 0.8, 1.02], "read as shares of 1, though one is 1.02"),
        (["35％"], [0.35], ""),
    ],
)
def test_percent_is_judged_by_the_column(cells, meant, note):
    parsed = parse(cells, "progress")
    assert values(parsed) == pytest.approx(meant) and note in said(parsed)
    assert bad_rows(parsed) == []


def test_a_plain_fraction_among_percentages_is_a_problem():
    parsed = parse(["35%", "0.5", "0"], "progress")
    assert values(parsed) == [0.35, MISSING, 0.0] and bad_rows(parsed) == [1]


@pytest.mark.parametrize(
    ("column", "cells", "meant"),
    [
        ("like_count", ["1,299", "1.13万", "3k", "12次", "3.0"], [1299, 11300, 3000, 12, 3]),
        ("age", ["30岁", "31"], [30.0, 31.0]),
        ("rating", ["4.5分", "5星", "3"], [4.5, 5.0, 3.0]),
    ],
)
def test_a_number_may_have_its_word(column, cells, meant):
    assert values(parse(cells, column)) == meant


@pytest.mark.parametrize("written", ["2.5", "999+", "1e300", "9007199254740993", "many", "18-23"])
def test_what_is_no_count_is_a_problem(written):
    assert bad_rows(parse(["3", written], "like_count")) == [1]


def test_a_scale_bounds_a_rating():
    parsed = parse(["5", "1", "0", "10"], "rating", scale=(1, 5))
    assert values(parsed) == [5.0, 1.0, MISSING, MISSING] and bad_rows(parsed) == [2, 3]
    assert "outside of the scale from 1 to 5" in parsed.problems["reason"][0]


# ---- columns of users, and properties of all ---------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "meant"),
    [
        (["1.5", "2", ""], [1.5, 2.0, MISSING]),
        (["1.5", "NA"], [1.5, MISSING]),
        (["01002", "99"], ["01002", "99"]),
        (["north", "1"], ["north", "1"]),
        (["inf", "1"], ["inf", "1"]),
        (["", None], [MISSING, MISSING]),
    ],
)
def test_a_free_column_is_numbers_if_all_are(cells, meant):
    assert values(parse_free(pa.array(cells, pa.string()))) == meant


def test_a_free_column_of_typed_numbers_is_numbers_however_large():
    assert values(parse_free(pa.array([2**53 + 1, None]))) == [2.0**53, MISSING]


SCRAPS = st.sampled_from(
    ["", " ", "NA", "0", "1", "-1", "35%", "¥9", "$9", "9,99", "1,299", "1.299,5", "1e308",
     "1e400", "9" * 400, "12:33", "0:00:00", "1h", "万", "1万", "是", "无", "20230105", "44931.5",
     "2023010514", "2023-01-05", "2023-02-30", "2023年1月5日", "2023/1/5 下午2:03", "0001-01-01",
     "1672927389", '="7"', "'", "`", "7.9E+17", "10001.0", "1.1", "\x00", "\ud7ff", "\U0001f600",
     "：", "½", "²"]
)  # fmt: skip
CELLS = st.lists(
    st.one_of(st.none(), SCRAPS, st.text(max_size=8), st.floats().map(repr)), max_size=6
)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@settings(max_examples=400)
@given(
    cells=CELLS, column=st.sampled_from(sorted(KIND_OF)), zone=st.sampled_from(["", "Asia/Tokyo"])
)
def test_every_cell_is_a_value_a_problem_or_missing(cells, column, zone):
    parsed = parse(cells, column, zone=zone)
    assert len(parsed.values) == len(cells)
    assert pd.Series(parsed.values).isna()[bad_rows(parsed)].all()
    assert bad_rows(parsed) == sorted(set(bad_rows(parsed)))
    dtype = KIND_OF[column].dtype
    assert str(parsed.values.dtype) == str(
        pd.Series([], dtype="str" if dtype is str else dtype).dtype
    )
    assert all(note.startswith(f"{column}: ") for note in parsed.notes)
    blank = [row for row, cell in enumerate(cells) if not (cell or "").strip()]
    if not holds_text(pa.array(cells, pa.string())):
        assert parsed.values.isna()[blank].all()


TIME_FORMS = [
    "{:%Y-%m-%d %H:%M:%S}", "{:%Y-%m-%dT%H:%M:%S}", "{:%Y/%m/%d %H:%M:%S}", "{:%Y%m%d%H%M%S}",
    "{:%Y年%m月%d日 %H:%M:%S}", "{:%Y年%m月%d日%H时%M分%S秒}", "{:%Y-%m-%d %I:%M:%S %p}",
    "{:%Y-%m-%d %H:%M:%S}.000", "{0.year}/{0.month}/{0.day} {0.hour}:{0:%M:%S}",
    "{:%b %d, %Y %H:%M:%S}", "{:%d %B %Y %I:%M:%S %p}",
]  # fmt: skip
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2099, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0)
)


@settings(max_examples=200)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=5), data=st.data())
def test_a_time_in_any_form_reads_back_to_itself(moments, data):
    forms = st.sampled_from(TIME_FORMS)
    written = [data.draw(forms).format(moment) for moment in moments]
    parsed = parse(written, "timestamp")
    assert parsed.values.dt.tz_localize(None).tolist() == moments
    local = [moment.replace(tzinfo=ZoneInfo("UTC")) for moment in moments]
    unix = [str(int(moment.timestamp())) for moment in local]
    parsed = parse(unix, "timestamp")
    is_read = parsed.values.notna()
    assert parsed.values[is_read].tolist() == [local[row] for row in np.flatnonzero(is_read)]


@settings(max_examples=200)
@given(
    cents=st.lists(st.integers(0, 10**11), min_size=1, max_size=5),
    form=st.sampled_from(["{:.2f}", "{:,.2f}", "¥{:,.2f}", "{:,.2f}元", "{:.2f} CNY"]),
)
def test_an_amount_with_separators_reads_back_to_itself(cents, form):
    amounts = [number / 100 for number in cents]
    assert values(parse([form.format(amount) for amount in amounts], "price")) == amounts
    with_commas = [form.format(amount).translate(str.maketrans(",.", ".,")) for amount in amounts]
    assert values(parse(with_commas, "price")) == amounts


@settings(max_examples=200)
@given(seconds=st.lists(st.integers(0, 360_000), min_size=1, max_size=5))
def test_a_duration_in_any_form_reads_back_to_itself(seconds):
    for form in (
        "{h:02d}:{m:02d}:{s:02d}",
        "{h}h {m}m {s}s",
        "{h}小时{m}分{s}秒",
        "PT{h}H{m}M{s}S",
    ):
        parts = [{"h": t // 3600, "m": t // 60 % 60, "s": t % 60} for t in seconds]
        assert values(parse([form.format(**part) for part in parts], "duration")) == seconds


@pytest.mark.parametrize("word", ["half", "一半", "about 50%"])
def test_one_word_beside_shares_costs_no_other_cell(word):
    parsed = parse_column(pa.array(["0.25", word, "1", "0.5"]), "progress")
    assert parsed.values.fillna(-1).tolist() == [0.25, -1, 1, 0.5]
    assert parsed.problems["row"].tolist() == [1]


def test_kinds_of_items_are_read_in_two_languages():
    words = ["课程", "Course", "短视频", "short video", "直播", "图书", "报告", "其他", "club", ""]
    meant = ["course", "course", "short_video", "short_video", "live", "book", "report", "other"]
    assert parse_column(pa.array(words), "kind").values.fillna("").tolist() == [*meant, "club", ""]


@pytest.mark.parametrize(
    ("written", "order", "meant"),
    [
        ("03/25/2026", "month_first", "2026-03-25 00:00:00"),
        ("3/5/2026 2:03 PM", "month_first", "2026-03-05 14:03:00"),
        ("3/5/2026 14:03", "day_first", "2026-05-03 14:03:00"),
        ("25.03.2026 14:03:09", "day_first", "2026-03-25 14:03:09"),
        ("03-25-2026T14:03:09Z", "month_first", "2026-03-25 14:03:09"),
        ("2026-03-25 14:03", "day_first", "2026-03-25 14:03:00"),  # the year first is as it was
        ("03/25/2026", "day_first", None),
        ("13/01/23", "day_first", None),  # nobody knows the century, nor where the year is
        ("02/30/2026", "month_first", None),
    ],
)
def test_a_date_with_the_year_last_is_read_in_the_order_that_was_said(written, order, meant):
    parsed = parse([written, "2026-01-05"], "timestamp", date_order=order)
    times = parsed.values.dt.strftime("%Y-%m-%d %H:%M:%S").fillna("").tolist()
    assert times[0] == (meant or "")
    assert len(parsed.problems) == (meant is None)


def test_a_date_with_the_year_last_names_the_key_that_would_read_it():
    reason = parse(["03/25/2026"], "timestamp").problems["reason"].item()
    assert "mapping: {date_order: month_first}" in reason and "day_first" in reason
    reason = parse(["25/03/2026"], "timestamp", date_order="month_first").problems["reason"].item()
    assert "mapping.date_order is month_first" in reason
