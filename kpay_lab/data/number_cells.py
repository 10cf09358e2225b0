"""Read the cells of a number column: amounts, durations, shares, counts and marks.

A column of plain numbers is cast at once. Only cells that are something else are read one by one,
each different text once. Three things are judged by the whole column, never by one cell: whether a
comma marks decimals, which currency is meant, and whether a share is written as a percentage.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.cells import (
    MARKS,
    MISSING_WORDS,
    NO_WORDS,
    PLAIN_NUMBER,
    Numbers,
    Parsed,
    as_numpy,
    cast_all,
    example,
    first_problems,
    flat,
    is_any_of,
    is_number_type,
    is_text,
    matches,
    problems_at,
    read_each,
    tidy,
    unwrapped,
    with_plain_marks,
    without,
    written_words,
)
from kpay_lab.data.rows import TEXT, printable
from kpay_lab.data.tables import KIND_OF

DURATIONS = ("watch_time", "duration")
MONEY = ("price", "amount", "refund_amount", "gift_amount")
SHARES = ("progress", "propensity")
COMMENTS = ("comment_count", "question_count")
SECONDS_A_UNIT = {
    "seconds": 1.0, "s": 1.0, "minutes": 60.0, "min": 60.0, "hours": 3600.0, "h": 3600.0,
    "days": 86_400.0, "ms": 0.001, "milliseconds": 0.001, "us": 0.000_001,
}  # fmt: skip
AMOUNT_A_UNIT = {"cents": 0.01, "分": 0.01, "yuan": 1.0, "元": 1.0, "10k": 10_000.0}
SHARE_A_UNIT = {"percent": 0.01, "%": 0.01, "share": 1.0}
TICKS_A_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
LARGEST_COUNT = 2.0**53

SIGNS_OF_CURRENCY = {
    "CNY": "¥ 元 块 圆 rmb cny 人民币 元人民币 cn¥",
    "USD": "$ us$ usd 美元 美金",
    "EUR": "€ eur 欧元",
    "GBP": "£ gbp 英镑",
    "HKD": "hk$ hkd 港元 港币",
    "TWD": "nt$ twd 新台币",
    "JPY": "円 jpy 日元 jp¥",
}
CURRENCY_OF = {
    sign: currency for currency, signs in SIGNS_OF_CURRENCY.items() for sign in signs.split()
}
MULTIPLES = {"千": 1e3, "k": 1e3, "万": 1e4, "w": 1e4, "亿": 1e8}

_SIGN = "|".join(sorted(map(re.escape, CURRENCY_OF), key=len, reverse=True))
AMOUNT = re.compile(
    rf"(?P<minus>[+-]?) ?(?P<before>{_SIGN})? ?"
    rf"(?P<number>[+-]?[0-9.](?:[0-9., ]*[0-9.])?) ?(?P<after>{_SIGN})?"
)
WITH_MULTIPLE = re.compile(rf"(?P<number>[0-9.,]+) ?(?P<multiple>[{''.join(MULTIPLES)}])")
POINT = re.compile(
    r"[+-]?(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3})+)?(?:\.[0-9]*)?"
)
COMMA = re.compile(
    r"[+-]?(?:[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3})+)(?:,[0-9]+)?"
)
ONLY_GROUPS = r"^[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+$"
# What a number in only one of the two ways of writing looks like.
SURE_POINT = r"\.[0-9]{1,2}$|\.[0-9]{4,}$|,[0-9]{3}[.,]|^[+-]?0?\.[0-9]+$"
SURE_COMMA = r"^[+-]?[0-9. ]*,(?:[0-9]{1,2}|[0-9]{4,})$|\.[0-9]{3}[.,]|^[+-]?0,[0-9]+$"

CLOCK = re.compile(
    r"(?:(?:(?P<days>[0-9]+) days?,? )?(?P<hours>[0-9]+):)?"
    r"(?P<minutes>[0-9]+):(?P<seconds>[0-9]{1,2}(?:\.[0-9]+)?)"
)
TWO_PARTS = r"^[0-9]+:[0-9]{1,2}(?:\.[0-9]+)?$"
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
PARTS = re.compile(
    rf"(?:p(?:(?P<iso_days>{_NUMBER})d)?t?)?"
    rf"(?:(?P<days>{_NUMBER}) ?(?:d|days?|天))? ?,? ?"
    rf"(?:(?P<hours>{_NUMBER}) ?(?:h|hrs?|hours?|小时|时|个小时))? ?,? ?"
    rf"(?:(?P<minutes>{_NUMBER}) ?(?:m|mins?|minutes?|分钟|分|'|′))? ?,? ?"
    rf"(?:(?P<seconds>{_NUMBER}) ?(?:s|secs?|seconds?|秒钟|秒|\"|″|''))? ?,? ?"
    rf"(?:(?P<milliseconds>{_NUMBER}) ?(?:ms|msecs?|milliseconds?|毫秒))?"
)
SECONDS_A_PART = {
    "iso_days": 86_400.0, "days": 86_400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0,
    "milliseconds": 0.001,
}  # fmt: skip
PERCENTAGE = re.compile(r"(?P<number>[+-]?[0-9.,]+) ?%")
LONGEST_NUMBER = 100  # letters; no number that means anything is longer
SUFFIX = {"age": "岁|周岁", "rating": "分|星|颗星|stars?|points?"}
COUNT_SUFFIX = "次|个|条|人|人次|times?"

TWO_COMMAS = "its comma may mark decimals or thousands; write decimals with a point"
TWO_CURRENCIES = "it is in another currency than most of its column"
NO_SHARE = "beside percentages it may be a share or a percentage; write its % sign"


class Written(NamedTuple):
    """How a column writes its numbers.

    ``decimal`` is the mark of decimals, ``currency`` the only one that is read, and
    ``has_hours`` says that ``1:30`` is hours and minutes.
    """

    decimal: str = "."
    currency: str = ""
    has_hours: bool = False


def parse_numbers(
    cells: pa.Array, column: str, unit: str = "", scale: tuple[float, float] | None = None
) -> Parsed:
    """Read a column of measurements as ``float64``.

    Parameters
    ----------
    cells : Array
        Flat cells (see `cells.flat`), text or typed.
    column : str
        Its name says what it measures.
    unit : str
        Of plain numbers: for durations ``seconds`` (so without a unit), ``minutes``, ``hours``,
        ``days``, ``ms`` or ``us``; for money ``cents``; for shares ``percent`` or ``share``.
        Text that says its own unit, such as ``30s``, keeps it.
    scale : (float, float), optional
        Smallest and largest value that there can be.

    Raises
    ------
    ValueError
        If the column has no such unit.

    Examples
    --------
    >>> texts = pa.array(["¥1,299.00", "99元", "free"], pa.large_string())
    >>> parsed = parse_numbers(texts, "price")
    >>> parsed.values.tolist(), parsed.notes
    ([1299.0, 99.0, nan], ("price: its amounts are in CNY, such as '¥1,299.00'",))
    >>> watched = pa.array(["00:12:33", "30s"], pa.large_string())
    >>> parse_numbers(watched, "watch_time").values.tolist()
    [753.0, 30.0]
    """
    size = _size(column, unit)
    if is_text(cells):
        read, is_stated = _read_texts(cells, column, unit)
    else:
        read, is_stated = _read_typed(cells, column)
    values = np.where(is_stated, read.values, _in_base_units(read.values, size))
    if column == "progress" and not unit:
        values = _judge_shares(cells, values, is_stated, read)
    if scale is not None:
        low, high = scale
        is_outside = (values < low) | (values > high)
        reason = f"it lies outside of the scale from {low:g} to {high:g}"
        read.problems.append(problems_at(is_outside, reason))
        values = np.where(is_outside, np.nan, values)
    return Parsed(pd.Series(values), first_problems(read.problems), tuple(read.notes))


def parse_counts(cells: pa.Array, column: str) -> Parsed:
    """Read a column of counts or of 0/1 marks as ``Int64``.

    A column of comments that holds their text counts 1 where something is written, else 0.

    >>> parse_counts(pa.array(["3", "Yes", "1.2万", "2.5"], pa.large_string()), "like_count").values
    0        3
    1        1
    2    12000
    3     <NA>
    dtype: Int64
    """
    if column in COMMENTS and holds_text(cells):
        return _count_contents(cells, column)
    if is_text(cells):
        read, _ = _read_texts(cells, column, "")
    else:
        read, _ = _read_typed(cells, column)
    missing = np.isnan(read.values)
    numbers = np.where(missing, 0.0, read.values)
    is_fraction = numbers != np.floor(numbers)
    is_no_count = is_fraction | (np.abs(numbers) >= LARGEST_COUNT)
    read.problems.append(problems_at(is_no_count, KIND_OF[column].words))
    integers = np.where(is_no_count, 0.0, numbers).astype(np.int64)
    values = pd.Series(pd.arrays.IntegerArray(integers, missing | is_no_count))
    return Parsed(values, first_problems(read.problems), tuple(read.notes))


def parse_yes_no(cells: pa.Array, column: str) -> Parsed:
    """Read a column of yes and no as ``boolean``; 1 is yes and 0 is no.

    >>> parse_yes_no(pa.array(["TRUE", "否", "2"], pa.large_string()), "consent").values.tolist()
    [True, False, <NA>]
    """
    counts = parse_counts(cells, column)
    is_mark = counts.values.isin([0, 1]).to_numpy()
    integers = counts.values.to_numpy(dtype=np.int64, na_value=0)
    values = pd.Series(pd.arrays.BooleanArray(integers == 1, ~is_mark))
    is_other = counts.values.notna().to_numpy() & ~is_mark
    problems = [counts.problems, problems_at(is_other, KIND_OF[column].words)]
    return Parsed(values, first_problems(problems), counts.notes)


def holds_text(cells: pa.Array) -> bool:
    """Say whether a column of counts holds what was written instead, such as comments.

    At least one written cell in ten is then text that begins with no digit and is no word for
    *missing*, *yes* or *no*. A few such cells among numbers are mistakes.

    >>> holds_text(pa.array(["讲得好", "666", ""])), holds_text(pa.array(["3", "有", "NULL"]))
    (True, False)
    """
    cells = flat(cells)
    if not is_text(cells) or _cast_at_once(cells) is not None:
        return False
    tidied = tidy(cells)
    is_prose = matches(tidied, r"^[^0-9+.#-]") & matches(tidied, r"\p{L}")
    is_prose &= ~is_any_of(tidied, [*MISSING_WORDS, *MARKS])
    n_written = len(tidied) - tidied.null_count
    return bool(is_prose.any() and is_prose.sum() * 10 >= n_written)


def _count_contents(cells: pa.Array, column: str) -> Parsed:
    """Count 1 where a column of comments holds something, 0 where it does not."""
    tidied = tidy(cells)
    is_nothing = is_any_of(tidied, [*MISSING_WORDS, *NO_WORDS])
    is_written = as_numpy(tidied.is_valid()) & ~is_nothing
    values = pd.Series(pd.array(is_written.astype(np.int64), dtype="Int64"))
    note = f"{column}: it holds text; each written cell counts as 1, others as 0"
    return Parsed(values, first_problems([]), (note,))


def _in_base_units(values: np.ndarray, size: float) -> np.ndarray:
    """Multiply by the size of a unit; divide where it is a part of one: 1999 / 100 is 19.99."""
    return values * size if size >= 1 else values / round(1 / size)


def _size(column: str, unit: str) -> float:
    """Return what one unit of a column is in seconds, in whole money, or as a share."""
    units = units_of(column)
    if unit and unit not in units:
        known = f"one of {', '.join(units)}" if units else "without one"
        raise ValueError(f"the unit of {column} is {unit!r}; it must be {known}")
    return units.get(unit, 1.0)


def units_of(column: str) -> dict[str, float]:
    """Return the units that the plain numbers of a column may have, and the size of each.

    >>> units_of("price")["cents"], units_of("age")
    (0.01, {})
    """
    if column in DURATIONS:
        return SECONDS_A_UNIT
    if column in MONEY:
        return AMOUNT_A_UNIT
    return SHARE_A_UNIT if column in SHARES else {}


def _holds_marks(column: str) -> bool:
    return str(KIND_OF[column].dtype) in ("Int64", "boolean")


def _read_typed(cells: pa.Array, column: str) -> tuple[Numbers, np.ndarray]:
    """Read typed cells; durations and clocks say their own unit."""
    dtype = cells.type
    nothing = np.zeros(len(cells), dtype=bool)
    is_span = pa.types.is_duration(dtype) or pa.types.is_time(dtype)
    if pa.types.is_boolean(dtype) and _holds_marks(column):
        return Numbers(as_numpy(cells.cast(pa.int8()).cast(pa.float64())), [], []), nothing
    if is_span and column in DURATIONS:
        ticks = as_numpy(cells.cast(_integer_of(dtype)).cast(pa.float64(), safe=False))
        return Numbers(ticks / TICKS_A_SECOND[dtype.unit], [], []), ~nothing
    if is_number_type(dtype):
        values = as_numpy(pc.cast(cells, pa.float64(), safe=False))
        is_infinite = np.isinf(values)
        problems = [problems_at(is_infinite, KIND_OF[column].words)]
        return Numbers(np.where(is_infinite, np.nan, values), problems, []), nothing
    reason = f"it is of type {dtype}; {KIND_OF[column].words}"
    problems = [problems_at(as_numpy(cells.is_valid()), reason)]
    return Numbers(np.full(len(cells), np.nan), problems, []), nothing


def _integer_of(dtype: pa.DataType) -> pa.DataType:
    return pa.int32() if dtype.bit_width == 32 else pa.int64()


def _cast_at_once(texts: pa.Array) -> np.ndarray | None:
    """Cast a column of plain numbers and empty cells; None where anything else is written."""
    written = without(texts, [""])
    try:
        numbers = as_numpy(cast_all(written, pa.float64()))
    except pa.ArrowInvalid:
        return None
    n_written = len(written) - written.null_count
    return numbers if np.isfinite(numbers).sum() == n_written else None


def _read_texts(texts: pa.Array, column: str, unit: str) -> tuple[Numbers, np.ndarray]:
    """Read texts, and say which of them state their own unit."""
    numbers = _cast_at_once(texts)
    if numbers is not None:
        return Numbers(numbers, [], []), np.zeros(len(texts), dtype=bool)
    tidied = unwrapped(texts)
    values = np.full(len(texts), np.nan)
    if _holds_marks(column):
        tidied = _take_marks(tidied, values)
    tidied, notes = written_words(tidied, column)
    is_number = matches(tidied, PLAIN_NUMBER)
    plain = pc.if_else(pa.array(is_number), tidied, pa.scalar(None, TEXT))
    numbers = as_numpy(pc.cast(plain, pa.float64()))
    values[is_number] = numbers[is_number]
    is_infinite = np.isinf(values)
    values[is_infinite] = np.nan
    problems = [problems_at(is_infinite, KIND_OF[column].words)]
    is_other = as_numpy(tidied.is_valid()) & ~is_number
    others = _as_written(tidied, is_other)
    written = _judge_writing(others, plain, column, unit, notes)
    if written.decimal == ",":
        is_other |= matches(plain, r"[.]")
        others = _as_written(tidied, is_other)
    rows = np.flatnonzero(is_other)
    values[rows], faults = read_each(others, partial(_read_one, column, written))
    for is_fault, reason in faults:
        problems.append(pd.DataFrame({"row": rows[is_fault], "reason": reason}))
    is_stated = np.zeros(len(texts), dtype=bool)
    is_stated[rows] = matches(others, r"[^0-9., +-]") & np.isfinite(values[rows])
    return Numbers(values, problems, notes), is_stated


def _as_written(texts: pa.Array, chosen: np.ndarray) -> pa.Array:
    """Take the chosen texts in lower case, with plain marks and single blanks."""
    others = texts.take(pa.array(np.flatnonzero(chosen)))
    plain = pc.utf8_lower(with_plain_marks(others))
    return pc.replace_substring_regex(plain, r"\s+", " ")


def _take_marks(texts: pa.Array, values: np.ndarray) -> pa.Array:
    """Put 1 for a word of yes and 0 for one of no, and return the other texts."""
    is_mark = is_any_of(texts, [*MARKS])
    rows = np.flatnonzero(is_mark)
    words = pc.utf8_lower(texts.take(pa.array(rows)))
    values[rows], _ = read_each(words, MARKS.__getitem__)
    return pc.if_else(pa.array(~is_mark), texts, pa.scalar(None, TEXT))


def _judge_writing(
    others: pa.Array, plain: pa.Array, column: str, unit: str, notes: list[str]
) -> Written:
    """Judge by a whole column how it writes numbers, and note what is assumed.

    Parameters
    ----------
    others, plain : Array
        The texts that are no plain numbers, and those that are.
    """
    bare = pc.utf8_trim_whitespace(pc.replace_substring_regex(others, r"[^0-9., +-]", ""))
    is_sure_comma = matches(bare, SURE_COMMA)
    is_grouped = matches(bare, ONLY_GROUPS)
    decimal = "."
    if is_sure_comma.any() or is_grouped.any():
        has_point = bool(matches(bare, SURE_POINT).any() or matches(plain, SURE_POINT).any())
        if is_sure_comma.any() and not has_point:
            decimal = ","
            first = example(others, is_sure_comma)
            notes.append(f"{column}: a comma is read as the mark of decimals, as in {first!r}")
        elif is_grouped.any() and not has_point:
            first = example(others, is_grouped)
            notes.append(f"{column}: a comma is read as the mark of thousands, as in {first!r}")
    currency = _judge_currency(others, column, notes) if column in MONEY else ""
    has_hours = unit in ("hours", "h")
    has_two_parts = matches(others, TWO_PARTS)
    if column in DURATIONS and has_two_parts.any():
        parts = "hours and minutes" if has_hours else "minutes and seconds"
        notes.append(f"{column}: {example(others, has_two_parts)!r} is read as {parts}")
    return Written(decimal, currency, has_hours)


def _judge_currency(others: pa.Array, column: str, notes: list[str]) -> str:
    """Return the currency that most amounts of a column have, '' where none is written."""
    number_of: dict[str, int] = {}
    example_of: dict[str, str] = {}
    for entry in others.value_counts().to_pylist():
        currency = _currency(entry["values"])
        number_of[currency] = number_of.get(currency, 0) + entry["counts"]
        example_of.setdefault(currency, entry["values"])
    number_of.pop("", None)
    if not number_of:
        return ""
    most = max(number_of, key=lambda currency: number_of[currency])
    notes.append(f"{column}: its amounts are in {most}, such as {printable(example_of[most])!r}")
    return most


def _currency(text: str) -> str:
    match = AMOUNT.fullmatch(_without_multiple(text[:LONGEST_NUMBER])[0])
    if not match:
        return ""
    return CURRENCY_OF.get(match["before"] or match["after"] or "", "")


def _read_one(column: str, written: Written, text: str) -> float:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(KIND_OF[column].words)
    return _reader(column)(column, written, text)


def _reader(column: str) -> Callable[[str, Written, str], float]:
    if column in DURATIONS:
        return _duration
    if column in MONEY:
        return _amount
    return _share if column in SHARES else _measure


def _plain(column: str, written: Written, text: str) -> float:
    """Read a number with separators, as its column writes them.

    >>> _plain("price", Written(), "1,299.5"), _plain("price", Written(","), "1.299,5")
    (1299.5, 1299.5)
    """
    is_point = written.decimal == "."
    is_number = (POINT if is_point else COMMA).fullmatch(text)
    is_unclear = not is_point and re.match(ONLY_GROUPS, text)
    if not is_number or is_unclear or not any(map(str.isdecimal, text)):
        has_comma = re.fullmatch("[+-]?[0-9., ]*[0-9],[0-9., ]*", text)
        raise ValueError(TWO_COMMAS if has_comma else KIND_OF[column].words)
    digits = text.replace(" ", "")
    if written.decimal == ",":
        return float(digits.replace(".", "").replace(",", "."))
    return float(digits.replace(",", ""))


def _amount(column: str, written: Written, text: str) -> float:
    """Read an amount of money: 99元, ¥1,299.00, $9.99, 1.2万元."""
    text, multiple = _without_multiple(text)
    match = AMOUNT.fullmatch(text)
    if not match:
        raise ValueError(KIND_OF[column].words)
    signs = {CURRENCY_OF[sign] for sign in (match["before"], match["after"]) if sign}
    if signs - {written.currency}:
        raise ValueError(TWO_CURRENCIES)
    amount = _plain(column, written, match["minus"] + match["number"])
    return round(multiple * amount, 6)


def _without_multiple(text: str) -> tuple[str, float]:
    """Take 万 and the like out of a number, and return its size.

    >>> _without_multiple("1.2万元"), _without_multiple("99元")
    (('1.2元', 10000.0), ('99元', 1.0))
    """
    found = WITH_MULTIPLE.search(text)
    if not found:
        return text, 1.0
    return text.replace(found[0], found["number"], 1), MULTIPLES[found["multiple"]]


def _duration(column: str, written: Written, text: str) -> float:
    """Read a duration in seconds: 00:12:33, 12分33秒, 1h 2m, 30s, 2 days 01:00:00.

    >>> _duration("duration", Written(), "1:30")
    90.0
    >>> _duration("duration", Written(has_hours=True), "1:30")
    5400.0
    """
    clock = CLOCK.fullmatch(text)
    if clock:
        minutes = float(clock["minutes"])
        seconds = float(clock["seconds"])
        if clock["hours"] is None and written.has_hours:  # 1:30 in a column of hours and minutes
            return minutes * 3600 + seconds * 60
        hours = float(clock["days"] or 0) * 24 + float(clock["hours"] or 0)
        if seconds >= 60 or (clock["hours"] and minutes >= 60):
            raise ValueError(KIND_OF[column].words)
        return (hours * 60 + minutes) * 60 + seconds
    parts = PARTS.fullmatch(text)
    if parts and any(parts.groups()):
        named = parts.groupdict()
        return sum(float(named[part] or 0) * size for part, size in SECONDS_A_PART.items())
    return _plain(column, written, text)


def _share(column: str, written: Written, text: str) -> float:
    percentage = PERCENTAGE.fullmatch(text)
    if percentage:
        return _plain(column, written, percentage["number"]) / 100
    return _plain(column, written, text)


def _measure(column: str, written: Written, text: str) -> float:
    """Read a count, an age or a rating, perhaps with its word: 1.2万, 12次, 30岁, 4.5分."""
    multiple = 1.0
    suffix = SUFFIX.get(column, "")
    if _holds_marks(column):
        text, multiple = _without_multiple(text)
        suffix = COUNT_SUFFIX
    if suffix:
        text = re.sub(rf" ?(?:{suffix})$", "", text)
    return round(multiple * _plain(column, written, text), 6)


def _judge_shares(
    cells: pa.Array, values: np.ndarray, is_stated: np.ndarray, read: Numbers
) -> np.ndarray:
    """Judge by the whole column whether plain numbers are percentages; note it.

    They are where any exceeds 1, except where most are fractions: then that one is wrong.
    """
    is_plain = ~is_stated & (values > 0)
    is_above = is_plain & (values > 1)
    is_fraction = is_plain & (values < 1)
    if is_above.any():
        first = example(cells, is_above)
        if is_fraction.sum() * 2 > is_plain.sum():
            read.notes.append(f"progress: it is read as shares of 1, though one is {first}")
            return values
        read.notes.append(f"progress: it is read as percent, because of values such as {first}")
        return np.where(is_stated, values, values / 100)
    if is_stated.any() and is_plain.any():
        read.problems.append(problems_at(is_plain, NO_SHARE))
        return np.where(is_plain, np.nan, values)
    return values
