"""Read the cells of a time column: written dates and times, compact dates, unix times, serials.

Every form is tried in one order, the same for all cells:

1. a plain number is unix seconds, milliseconds, microseconds or nanoseconds where that gives a
   moment between 1990 and 2100;
2. digits alone are a compact date: ``20230105``, ``202301051403``, ``20230105140309``;
3. a column in which every cell is a day number of Excel between 1990 and 2100 holds those;
4. a date written with its year first, perhaps with a clock and an offset from UTC;
5. one with its year last, where somebody said whether the month or the day comes first.

No other number is a time. A time without an offset is local to the zone that the caller names.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.cells import (
    PLAIN_NUMBER,
    Parsed,
    as_numpy,
    cast_all,
    count_of,
    example,
    first_problems,
    is_any_of,
    is_number_type,
    is_text,
    matches,
    problems_at,
    unwrapped,
    with_plain_marks,
    without,
    written_words,
)
from kpay_lab.data.rows import TEXT

MICROSECONDS_A_DAY = 86_400_000_000
# The latest moment of a log, and the earliest; a book may be older than any log.
EARLIEST = int(np.datetime64("1990-01-01", "us").astype(np.int64))
EARLIEST_PUBLICATION = int(np.datetime64("1000-01-01", "us").astype(np.int64))
LATEST = int(np.datetime64("2100-01-01", "us").astype(np.int64))
MICROSECONDS_A_UNIT = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
LARGEST_UNIX = LATEST * 1000  # in nanoseconds
EXCEL_ORIGIN = int(np.datetime64("1899-12-30", "us").astype(np.int64))

DIGITS = r"^[0-9]+$"
UNIX = r"^[0-9]+\.?[0-9]*$"
# Every date that the calendar has in every year, so that Arrow reads all of them at once.
_CERTAIN_DAY = (
    r"^[12][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    r"|(?:0[13578]|1[02])-31)"
)
_CERTAIN_CLOCK = r"[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
CERTAIN_ISO = rf"{_CERTAIN_DAY}(?:{_CERTAIN_CLOCK})?$"
CERTAIN_ZONED_ISO = rf"{_CERTAIN_DAY}{_CERTAIN_CLOCK}(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])$"
COMPACT = (
    r"^(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:[T ]*(?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})"
    r"(?:\.?(?P<fraction>[0-9]{3,9}))?)?)? *(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?$"
)
HALF = r"(?P<half>上午|下午|(?i:[AP]M))"
CLOCK = (
    rf"(?:{HALF} *)?(?P<hour>[0-9]{{1,2}})(?:(?:[:时点] *(?P<minute>[0-9]{{1,2}})"
    r"(?:[:分] *(?:(?P<second>[0-9]{1,2})(?:[.,](?P<fraction>[0-9]{1,9}))?秒?)?)?)|时|点)?"
)
WEEKDAY = r"(?:[ ,(]*(?:星期|周)[一二三四五六日天]\)?)?"
WRITTEN = (
    r"^(?P<year>[0-9]{4})(?: *[-/.] *| *年 *)(?P<month>[0-9]{1,2})(?: *[-/.] *| *月 *)"
    rf"(?P<day>[0-9]{{1,2}})(?: *[日号])?{WEEKDAY}"
    rf"(?:[T ,]*{CLOCK}(?: *(?P<half_after>(?i:[AP]M)))?)?"
    r" *(?P<offset>Z|UTC|GMT|(?:(?:UTC|GMT)? ?[+-][0-9]{1,2}(?::?[0-9]{2})?))?$"
)
MONTHS = (
    "Jan(?:uary)? Feb(?:ruary)? Mar(?:ch)? Apr(?:il)? May June? July? Aug(?:ust)? "
    "Sep(?:t|tember)? Oct(?:ober)? Nov(?:ember)? Dec(?:ember)?"
)
_WEEKDAY_NAME = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?"
# Where a month has its name, there is no doubt about the order.
NAMED_MONTH_FORMS = (
    (rf"(?i)^{_WEEKDAY_NAME}([0-9]{{1,2}})[ -]MONTH[., -]+([0-9]{{4}})", r"\2-MONTH-\1"),
    (rf"(?i)^{_WEEKDAY_NAME}MONTH[. ]+([0-9]{{1,2}})[, ]+([0-9]{{4}})\b", r"\2-MONTH-\1"),
    (
        rf"(?i)^{_WEEKDAY_NAME}MONTH +([0-9]{{1,2}}) +([0-9:]+)( .+)? ([0-9]{{4}})$",
        r"\4-MONTH-\1 \2\3",
    ),
)
LIKE_DAY_FIRST = r"^[0-9]{1,2}[-/. ][0-9]{1,2}[-/. ][0-9]{2,4}\b|^[0-9]{2}[-/.][0-9]{1,2}[-/.]"
YEAR_LAST = r"^([0-9]{1,2}) *[-/.] *([0-9]{1,2}) *[-/.] *([0-9]{4})([^0-9]|$)"
# How such a date reads with its year first.
DATE_ORDERS = {"month_first": r"\3-\1-\2\4", "day_first": r"\3-\2-\1\4"}
WITH_ZONE_NAME = r"^[0-9]{4}.*[0-9].*(?:[ \[(][A-Z]{3,4}\b|[A-Za-z]+/[A-Za-z_]+)"

REMEDY = "write it as 2023-01-05 14:03:09"
NO_TIME = f"it is not a time that is understood; {REMEDY} or as unix seconds"
NO_NUMBER = f"a plain number is no time unless it is unix time from 1990 to 2100; {REMEDY}"
LIKE_EXCEL = f"it looks like an Excel date among other values; {REMEDY}"
LIKE_HOUR = f"it may be a date with an hour or a unix time after 2033; {REMEDY}"
DAY_FIRST = f"the order of its day, month and year is not certain; {REMEDY}"
ORDER_TO_SAY = f"{DAY_FIRST}, or say mapping: {{date_order: month_first}} (or day_first)"
NOT_IN_ORDER = f"it is no date in that order, and mapping.date_order is {{}}; {REMEDY}"
ZONE_NAME = f"a zone by its name is not understood; {REMEDY}+08:00"
OUT_OF_RANGE = "it lies outside of the years that a log can have; it may stand for no time"


@dataclass(frozen=True)
class Moments:
    """Times in the making.

    Parameters
    ----------
    microseconds : int array
        Since 1970; of a local time, as if it were in UTC.
    is_read, is_local : bool array
        Whether there is a time, and whether it was written without a zone.
    """

    microseconds: np.ndarray
    is_read: np.ndarray
    is_local: np.ndarray

    @classmethod
    def none(cls, size: int) -> "Moments":
        """Begin with no time at all."""
        is_false = np.zeros(size, dtype=bool)
        return cls(np.zeros(size, dtype=np.int64), is_false.copy(), is_false.copy())

    def put(self, rows: np.ndarray, found: "Moments") -> None:
        """Fill in what was found for some rows, given by their positions."""
        at = rows[found.is_read]
        self.microseconds[at] = found.microseconds[found.is_read]
        self.is_local[at] = found.is_local[found.is_read]
        self.is_read[at] = True


def parse_times(cells: pa.Array, column: str, zone: str = "", *, date_order: str = "") -> Parsed:
    """Read a column of times as UTC.

    Parameters
    ----------
    cells : Array
        Flat cells (see `cells.flat`), text or typed.
    column : str
        Its name, for the notes.
    zone : str
        Where times without an offset are local, such as ``Asia/Shanghai``; empty for UTC.
    date_order : {"", "month_first", "day_first"}
        How dates with the year last are written; '' where nobody said it: they are no times.

    Raises
    ------
    ValueError
        If there is no such zone.

    Examples
    --------
    >>> texts = pa.array(["2023年1月5日 14:03", "20230105140309", "230105"], pa.large_string())
    >>> parsed = parse_times(texts, "timestamp", "Asia/Shanghai")
    >>> parsed.values.dt.strftime("%d %H:%M:%S").tolist()
    ['05 06:03:00', '05 06:03:09', nan]
    >>> parsed.problems["row"].tolist()
    [2]
    """
    _check_zone(zone)
    if is_text(cells):
        moments, problems, notes = _read_texts(cells, column, date_order)
    elif pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        moments, problems, notes = _read_typed_times(cells)
    elif is_number_type(cells.type):
        moments, problems, notes = _read_numbers(cells, column)
    else:
        moments = Moments.none(len(cells))
        is_written = as_numpy(cells.is_valid())
        problems = [problems_at(is_written, f"it is of type {cells.type}; {REMEDY}")]
        notes = []
    problems.append(_remove_placeholders(moments, column))
    values = _as_utc(moments, column, zone, notes)
    return Parsed(values, first_problems(problems), tuple(notes))


def _check_zone(zone: str) -> None:
    try:
        pd.Timestamp(0).tz_localize(zone or "UTC")
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no zone {zone!r}; name one such as Asia/Shanghai") from None


Found = tuple[Moments, list[pd.DataFrame], list[str]]


def _read_typed_times(cells: pa.Array) -> Found:
    """Read Arrow's times and dates of any unit; what no log can hold stays out of the cast."""
    if pa.types.is_date(cells.type):
        days = pc.cast(cells, pa.date32()).cast(pa.int32())
        numbers = as_numpy(days.fill_null(0)).astype(np.float64)
        microseconds_a_unit = float(MICROSECONDS_A_DAY)
        is_local = True
    else:
        numbers = as_numpy(cells.cast(pa.int64()).fill_null(0))
        microseconds_a_unit = MICROSECONDS_A_UNIT[cells.type.unit]
        is_local = cells.type.tz is None
    is_written = as_numpy(cells.is_valid())
    is_late_enough = numbers >= EARLIEST_PUBLICATION / microseconds_a_unit
    is_possible = is_late_enough & (numbers < LATEST / microseconds_a_unit)
    possible = np.where(is_possible, numbers, 0)
    if microseconds_a_unit < 1:
        microseconds = possible.astype(np.int64) // 1000
    else:
        microseconds = possible.astype(np.int64) * int(microseconds_a_unit)
    is_read = is_written & is_possible
    moments = Moments(microseconds, is_read, is_read & is_local)
    return moments, [problems_at(is_written & ~is_possible, OUT_OF_RANGE)], []


def _read_numbers(cells: pa.Array, column: str) -> Found:
    """Read typed numbers: unix times at once, anything else as if its digits were written."""
    numbers = as_numpy(pc.cast(cells, pa.float64(), safe=False))
    microseconds, is_unix = _unix(numbers)
    is_missing = np.isnan(numbers)
    if (is_unix | is_missing).all():
        return Moments(microseconds, is_unix, np.zeros(len(cells), dtype=bool)), [], []
    return _read_texts(pa.array([*map(_digits, numbers)], TEXT), column)


def _digits(number: float) -> str | None:
    """Write a number as text, without an exponent where it is whole."""
    if np.isnan(number):
        return None
    return f"{number:.0f}" if number == np.floor(number) else repr(float(number))


def _read_texts(texts: pa.Array, column: str, date_order: str = "") -> Found:
    """Read a clean column at once; else tidy it and read each form in its turn."""
    moments = _read_iso_at_once(texts)
    if moments is None:
        moments = _read_unix_at_once(texts)
    if moments is not None:
        return moments, [], []
    tidied, notes = written_words(unwrapped(texts), column)
    moments = Moments.none(len(texts))
    is_written = as_numpy(tidied.is_valid())
    is_number = matches(tidied, PLAIN_NUMBER)
    problems = _read_plain_numbers(tidied, is_number, is_written, moments, column, notes)
    _read_rows(tidied, matches(tidied, CERTAIN_ISO), moments, _certain_iso)
    _read_rows(tidied, matches(tidied, CERTAIN_ZONED_ISO), moments, _certain_zoned_iso)
    _read_rows(tidied, is_written & ~is_number & ~moments.is_read, moments, _written_time)
    if date_order:
        year_first = pc.replace_substring_regex(tidied, YEAR_LAST, DATE_ORDERS[date_order])
        is_year_last = matches(tidied, YEAR_LAST) & ~moments.is_read
        _read_rows(year_first, is_year_last, moments, _written_time)
    problems += _problems_of_unread(tidied, is_written & ~moments.is_read, date_order)
    return moments, problems, notes


def _problems_of_unread(
    texts: pa.Array, is_unread: np.ndarray, date_order: str
) -> list[pd.DataFrame]:
    """Say why each unread text is no time."""
    year_last = NOT_IN_ORDER.format(date_order) if date_order else ORDER_TO_SAY
    rows = np.flatnonzero(is_unread)
    unread = texts.take(pa.array(rows))
    problems = []
    for pattern, reason in (
        (YEAR_LAST, year_last),
        (LIKE_DAY_FIRST, DAY_FIRST),
        (WITH_ZONE_NAME, ZONE_NAME),
        ("", NO_TIME),
    ):
        at = rows[matches(unread, pattern)]
        problems.append(pd.DataFrame({"row": at, "reason": reason}))
    return problems


def _read_rows(
    texts: pa.Array,
    chosen: np.ndarray,
    moments: Moments,
    read: Callable[[pa.Array], Moments],
) -> None:
    rows = np.flatnonzero(chosen)
    if len(rows):
        moments.put(rows, read(texts.take(pa.array(rows))))


def _read_iso_at_once(texts: pa.Array) -> Moments | None:
    """Cast a column in which every cell is an ISO time, all with an offset or all without."""
    written = without(texts, [""])
    for dtype in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            stamps = cast_all(written, dtype)
        except pa.ArrowInvalid:
            continue
        is_read = as_numpy(stamps.is_valid())
        microseconds = as_numpy(stamps.cast(pa.int64()).fill_null(0)).copy()
        is_local = is_read & (dtype.tz is None)
        return Moments(microseconds, is_read.copy(), is_local)
    return None


def _read_unix_at_once(texts: pa.Array) -> Moments | None:
    """Cast a column in which every cell is a unix time, none with an exponent."""
    written = without(texts, [""])
    try:
        numbers = as_numpy(cast_all(written, pa.float64()))
    except pa.ArrowInvalid:
        return None
    microseconds, is_unix = _unix(numbers)
    is_missing = as_numpy(written.is_null())
    if not (is_unix | is_missing).all() or matches(written, "[eE+]").any():
        return None
    return Moments(microseconds, is_unix, np.zeros(len(texts), dtype=bool))


def _unix(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert unix times of any unit to microseconds, and say which numbers are one.

    From 1990 to 2100 the units never overlap. Ten digits that also read as a date with an hour
    (2023010514) are seconds of 2033 to 2036; they are not taken for either.

    >>> microseconds, is_unix = _unix(np.array([1704067200, 1704067200000, 1310.25, 2023010514]))
    >>> microseconds[:2].tolist(), is_unix.tolist()
    ([1704067200000000, 1704067200000000], [True, True, False, False])
    """
    microseconds = np.zeros(len(numbers))
    is_unix = np.zeros(len(numbers), dtype=bool)
    for factor in MICROSECONDS_A_UNIT.values():
        is_unit = (numbers >= EARLIEST / factor) & (numbers < LATEST / factor)
        microseconds[is_unit] = np.round(numbers[is_unit] * factor)
        is_unix |= is_unit
    is_unix &= ~_is_date_with_hour(numbers)
    return microseconds.astype(np.int64), is_unix


def _is_date_with_hour(numbers: np.ndarray) -> np.ndarray:
    is_ten_digits = (numbers >= 1_990_010_100) & (numbers <= 2_099_123_123)
    whole = np.where(is_ten_digits, numbers, 0).astype(np.int64)
    month = whole // 10_000 % 100
    day = whole // 100 % 100
    is_day = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    return is_ten_digits & is_day & (whole % 100 < 24) & (whole == numbers)


def _read_plain_numbers(
    texts: pa.Array,
    is_number: np.ndarray,
    is_written: np.ndarray,
    moments: Moments,
    column: str,
    notes: list[str],
) -> list[pd.DataFrame]:
    """Read unix times, compact dates and day numbers of Excel; list the other numbers."""
    if not is_number.any():
        return []
    numeric = pc.if_else(pa.array(is_number), texts, pa.scalar(None, TEXT))
    numbers = as_numpy(pc.cast(numeric, pa.float64()))
    has_unix_form = matches(numeric, UNIX) & (numbers < LARGEST_UNIX)
    numbers = np.where(has_unix_form, numbers, np.nan)
    microseconds, is_unix = _unix(numbers)
    rows = np.flatnonzero(is_unix)
    moments.put(rows, Moments(microseconds[rows], is_unix[rows], np.zeros(len(rows), dtype=bool)))
    _read_rows(texts, matches(numeric, DIGITS) & ~is_unix, moments, _compact_time)
    days = numbers + EXCEL_ORIGIN / MICROSECONDS_A_DAY
    first_day = EARLIEST / MICROSECONDS_A_DAY
    is_serial = (days >= first_day) & (days < LATEST / MICROSECONDS_A_DAY)
    if is_serial.any() and is_serial[is_written].all():
        rows = np.flatnonzero(is_written)
        moments.put(rows, _excel_times(days[rows]))
        time = moments.microseconds[rows[:1]].astype("datetime64[us]").item(0)
        first = example(texts, is_written)
        notes.append(f"{column}: day numbers of Excel are read as dates ({first} as {time})")
    is_unread = is_number & ~moments.is_read
    return [
        problems_at(is_unread & is_serial, LIKE_EXCEL),
        problems_at(is_unread & _is_date_with_hour(numbers), LIKE_HOUR),
        problems_at(is_unread, NO_NUMBER),
    ]


def _excel_times(days: np.ndarray) -> Moments:
    """Read days since 1970, which hold about a millisecond, to the second."""
    seconds = np.round(days * 86_400).astype(np.int64)
    are_all = np.ones(len(days), dtype=bool)
    return Moments(seconds * 1_000_000, are_all, are_all)


def _certain_iso(texts: pa.Array) -> Moments:
    stamps = as_numpy(pc.cast(texts, pa.timestamp("us")).cast(pa.int64()))
    are_read = np.ones(len(texts), dtype=bool)
    return Moments(stamps, are_read, are_read)


def _certain_zoned_iso(texts: pa.Array) -> Moments:
    instants = as_numpy(pc.cast(texts, pa.timestamp("us", "UTC")).cast(pa.int64()))
    are_read = np.ones(len(texts), dtype=bool)
    return Moments(instants, are_read, ~are_read)


def _compact_time(texts: pa.Array) -> Moments:
    return _from_fields(pc.extract_regex(texts, COMPACT))


def _written_time(texts: pa.Array) -> Moments:
    """Read dates with the year first, and compact dates with a T or an offset.

    >>> found = _written_time(pa.array(["2023/1/5 下午2:03", "2023-02-30"], pa.large_string()))
    >>> found.microseconds[:1].astype("datetime64[us]").astype(str).tolist(), found.is_read.tolist()
    (['2023-01-05T14:03:00.000000'], [True, False])
    """
    texts = with_plain_marks(texts)
    moments = _from_fields(pc.extract_regex(texts, WRITTEN))
    _read_rows(texts, ~moments.is_read, moments, _compact_time)
    _read_rows(texts, ~moments.is_read, moments, _time_with_named_month)
    return moments


def _time_with_named_month(texts: pa.Array) -> Moments:
    """Read dates such as ``Jan 5, 2023`` and ``Thu, 05 Jan 2023 14:03:09 GMT``."""
    if not matches(texts, f"(?i){MONTHS.replace(' ', '|')}").any():
        return Moments.none(len(texts))
    for number, name in enumerate(MONTHS.split(), start=1):
        for pattern, year_first in NAMED_MONTH_FORMS:
            named = pattern.replace("MONTH", name)
            numbered = year_first.replace("MONTH", str(number))
            texts = pc.replace_substring_regex(texts, named, numbered)
    return _from_fields(pc.extract_regex(texts, WRITTEN))


def _from_fields(fields: pa.StructArray) -> Moments:
    """Put the fields of dates together; what the calendar or the clock lacks is not read."""
    year = _whole(fields, "year")
    month = _whole(fields, "month")
    months = (year - 1970) * 12 + month - 1
    first_days = months.astype("datetime64[M]").astype("datetime64[D]")
    dates = first_days + (_whole(fields, "day") - 1).astype("timedelta64[D]")
    is_same_month = dates.astype("datetime64[M]").astype(np.int64) == months
    is_date = (month >= 1) & (month <= 12) & is_same_month
    hour, is_hour = _hours(fields)
    minute = _whole(fields, "minute")
    second = _whole(fields, "second")
    is_clock = is_hour & (minute < 60) & (second < 60)
    offset, is_offset = _offset_minutes(fields)
    seconds = (hour * 60 + minute - offset) * 60 + second
    microseconds = dates.astype("datetime64[us]").astype(np.int64)
    microseconds += seconds * 1_000_000 + _microseconds(fields)
    is_match = as_numpy(fields.is_valid())
    is_read = is_match & is_date & is_clock & is_offset
    has_no_offset = as_numpy(pc.equal(_field(fields, "offset"), ""))
    return Moments(microseconds, is_read, is_read & has_no_offset)


def _field(fields: pa.StructArray, name: str) -> pa.Array:
    """Return a field as text, empty where it is not written."""
    return pc.struct_field(fields, name).fill_null("")


def _whole(fields: pa.StructArray, name: str) -> np.ndarray:
    """Return a field as whole numbers, 0 where it is not written."""
    digits = _field(fields, name)
    written = pc.if_else(pc.equal(digits, ""), "0", digits)
    return as_numpy(pc.cast(written, pa.int64()))


def _microseconds(fields: pa.StructArray) -> np.ndarray:
    digits = _field(fields, "fraction")
    if pc.all(pc.equal(digits, "")).as_py():
        return np.zeros(len(fields), dtype=np.int64)
    six = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, 6, "0"), 0, 6)
    return as_numpy(pc.cast(six, pa.int64()))


def _hours(fields: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hours of 24, and whether each can be one; 下午 and PM add twelve."""
    hour = _whole(fields, "hour")
    if fields.type.get_field_index("half") < 0:
        return hour, hour < 24
    before = _field(fields, "half")
    after = _field(fields, "half_after")
    halves = pc.binary_join_element_wise(before, after, pa.scalar("", TEXT))
    is_morning = is_any_of(halves, ["上午", "am"])
    is_afternoon = is_any_of(halves, ["下午", "pm"])
    is_both = ~is_morning & ~is_afternoon & as_numpy(pc.not_equal(halves, ""))
    of_twelve = hour % 12 + 12 * is_afternoon
    is_of_twelve = (is_morning | is_afternoon) & (hour <= 12)
    is_hour = (hour < 24) & ~(is_morning & (hour > 12)) & ~is_both
    return np.where(is_of_twelve, of_twelve, hour), is_hour


def _offset_minutes(fields: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Return minutes east of UTC, and whether any place can have them."""
    encoded = _field(fields, "offset").dictionary_encode()
    minutes = np.zeros(len(encoded.dictionary), dtype=np.int64)
    is_offset = np.ones(len(encoded.dictionary), dtype=bool)
    for position, text in enumerate(encoded.dictionary.to_pylist()):
        digits = text.lstrip("UTCGMZ ").replace(":", "")
        if not digits:
            continue
        sign = -1 if digits[0] == "-" else 1
        hours = int(digits[1:3])
        rest = int(digits[3:] or 0)
        minutes[position] = sign * (hours * 60 + rest)
        is_offset[position] = hours <= 14 and rest < 60
    codes = as_numpy(encoded.indices)
    return minutes[codes], is_offset[codes]


def _remove_placeholders(moments: Moments, column: str) -> pd.DataFrame:
    """Take out moments that no log can have, such as those of year 1, 1970 or 9999."""
    earliest = EARLIEST_PUBLICATION if column == "published_at" else EARLIEST
    microseconds = moments.microseconds
    is_out = (microseconds < earliest) | (microseconds >= LATEST) | (microseconds == 0)
    is_out &= moments.is_read
    moments.is_read[is_out] = False
    return problems_at(is_out, OUT_OF_RANGE)


def _as_utc(moments: Moments, column: str, zone: str, notes: list[str]) -> pd.Series:
    """Return the moments as UTC, and note what was assumed about local times."""
    stamps = moments.microseconds.astype("datetime64[us]")
    stamps[~moments.is_read] = np.datetime64("NaT", "us")
    is_local = moments.is_local & moments.is_read
    n_local = int(is_local.sum())
    n_zoned = int(moments.is_read.sum()) - n_local
    if n_local and n_zoned:
        both = f"{count_of(n_local, 'time')} without a zone and {n_zoned:,} with one"
        notes.append(f"{column}: it mixes {both} (or in unix time)")
    if n_local and not zone:
        verb = "is" if n_local == 1 else "are"
        is_date = moments.microseconds[is_local] % MICROSECONDS_A_DAY == 0
        if is_date.all():  # another zone would only move the dates
            dates = count_of(n_local, "date")
            notes.append(f"{column}: {dates} without a time of day {verb} taken as midnight, UTC")
        else:
            times = count_of(n_local, "time")
            remedy = "set mapping.source_time_zone"
            notes.append(f"{column}: {times} without a zone {verb} taken as UTC; {remedy}")
    if not n_local or not zone:
        return pd.Series(stamps).dt.tz_localize("UTC")
    local = pd.Series(stamps[is_local])
    stamps[is_local] = _instants(local, column, zone, notes)
    return pd.Series(stamps).dt.tz_localize("UTC")


def _instants(local: pd.Series, column: str, zone: str, notes: list[str]) -> np.ndarray:
    """Convert local times; say where the clock repeats or skips an hour."""
    is_summer = np.ones(len(local), dtype=bool)
    first = local.dt.tz_localize(zone, ambiguous=is_summer, nonexistent="shift_forward")
    second = local.dt.tz_localize(zone, ambiguous=~is_summer, nonexistent="shift_forward")
    is_repeated = (first != second).to_numpy()
    is_skipped = (first.dt.tz_localize(None) != local).to_numpy()
    cases = (
        (is_repeated, "repeats", "taken as the earlier of the two"),
        (is_skipped, "skips", "moved to its end"),
    )
    for is_case, happens, done in cases:
        if is_case.any():
            times = count_of(is_case.sum(), "time")
            when = local[is_case].iloc[0]
            hour = f"an hour that the clock of {zone} {happens} ({when})"
            notes.append(f"{column}: {times} in {hour}, {done}")
    return first.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
