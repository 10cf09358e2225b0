"""Parse texts as typed columns: one grammar for numbers, counts, truth values and times."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
ISO_TIME = r"^[0-9]{4}[-/.][0-9]"
YES_NO = {"true": "1", "yes": "1", "是": "1", "false": "0", "no": "0", "否": "0"}
HAS_COMMENT = {"有": "1", "无": "0"}
LARGEST_COUNT = 2.0**53
FIRST_MILLISECOND = 1e11  # as seconds this would be the year 5138
LAST_MILLISECOND = 253_402_300_799_999  # 9999-12-31


@dataclass(frozen=True)
class Typed:
    """A column in its dtype, and a mask ``bad`` of the rows whose text could not be parsed."""

    values: Any
    bad: np.ndarray


def typed_column(texts: pa.Array, dtype: str, column: str) -> Typed:
    """Parse the texts of one column as the dtype of its schema.

    Blank text is missing. A number is written in ASCII digits, perhaps with a sign, a decimal
    point and an exponent; ``nan``, ``inf``, ``1_000`` and ``１２`` are not numbers. A
    ``comment_count`` may also be 有 (1) or 无 (0).

    >>> texts = pa.array(["3", "inf", ""], pa.large_string())
    >>> typed = typed_column(texts, "float64", "watch_time")
    >>> typed.values, typed.bad
    (array([ 3., nan, nan]), array([False,  True, False]))
    """
    present = pc.and_(pc.not_equal(texts, ""), pc.invert(pc.utf8_is_space(texts)))
    texts = pc.if_else(present, texts, pa.scalar(None, pa.large_string()))
    if dtype == "float64":
        return _numbers(texts)
    if dtype == "Int64":
        return _counts(texts, HAS_COMMENT if column == "comment_count" else YES_NO)
    if dtype == "boolean":
        counts = _counts(pc.utf8_lower(texts), YES_NO)
        integers = counts.values.to_numpy(dtype=np.int64, na_value=0)
        out_of_range = (integers < 0) | (integers > 1)
        missing = np.asarray(counts.values.isna()) | out_of_range
        return Typed(pd.arrays.BooleanArray(integers == 1, missing), counts.bad | out_of_range)
    if dtype.startswith("datetime64"):
        return _times(texts)
    return Typed(pd.Series(pd.array(texts, dtype="str")), np.zeros(len(texts), dtype=bool))


def extra_column(texts: pa.Array) -> Any:
    """Parse a column of the users that is not in the schema: numbers if all are, else text.

    A column with a leading zero (``007``) holds codes and stays text.
    """
    written = pc.if_else(pc.not_equal(texts, ""), texts, pa.scalar(None, texts.type))
    numbers = _numbers(written)
    has_code = pc.any(pc.match_substring_regex(texts, r"^\s*0[0-9]")).as_py()
    if numbers.bad.any() or has_code or np.isnan(numbers.values).all():
        return typed_column(texts, "str", "").values
    return numbers.values


def _numbers(texts: pa.Array, words: Mapping[str, str] | None = None) -> Typed:
    """Parse the whole column at once; where that fails, parse only the texts that are numbers."""
    try:
        values = _cast(texts, pa.float64())
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(texts)
        for word, digit in (words or {}).items():
            trimmed = pc.if_else(pc.equal(trimmed, word), digit, trimmed)
        is_number = pc.match_substring_regex(trimmed, NUMBER)
        numbers = pc.if_else(is_number, trimmed, pa.scalar(None, texts.type))
        values = pc.cast(numbers, pa.float64())
    values = values.to_numpy(zero_copy_only=False)
    bad = _as_numpy(texts.is_valid()) & ~np.isfinite(values)
    return Typed(np.where(bad, np.nan, values), bad)


def _counts(texts: pa.Array, words: Mapping[str, str]) -> Typed:
    """Parse whole numbers; 3.0 is one, 3.5 is not."""
    parsed = _numbers(texts, words)
    missing = np.isnan(parsed.values)
    numbers = np.where(missing, 0.0, parsed.values)
    has_fraction = numbers != np.floor(numbers)
    no_count = has_fraction | (np.abs(numbers) >= LARGEST_COUNT)
    integers = np.where(no_count, 0.0, numbers).astype(np.int64)
    return Typed(pd.arrays.IntegerArray(integers, missing | no_count), parsed.bad | no_count)


def _times(texts: pa.Array) -> Typed:
    """Parse ISO texts (UTC where no offset is written), unix seconds or milliseconds."""
    is_written = _as_numpy(texts.is_valid())
    for timestamp in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            stamps = _cast(texts, timestamp).cast(pa.int64()).fill_null(0).to_numpy()
            return Typed(_utc(stamps, ~is_written), np.zeros(len(texts), dtype=bool))
        except pa.ArrowInvalid:
            continue
    trimmed = pc.utf8_trim_whitespace(texts)
    unix = _unix_microseconds(_numbers(trimmed).values)
    is_iso = pc.match_substring_regex(trimmed, ISO_TIME)
    iso = pc.if_else(is_iso, trimmed, pa.scalar(None, texts.type))
    if iso.null_count < len(iso):
        iso = pd.Series(_as_numpy(iso), dtype="str")
        parsed = pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce")
        is_parsed = parsed.notna().to_numpy()
        microseconds = parsed.dt.as_unit("us").astype("int64").to_numpy()
        unix[is_parsed] = microseconds[is_parsed]
    missing = np.isnan(unix)
    stamps = _utc(np.where(missing, 0, unix).astype(np.int64), missing)
    return Typed(stamps, missing & is_written)


def _unix_microseconds(numbers: np.ndarray) -> np.ndarray:
    """Convert unix seconds or milliseconds to microseconds; NaN where a number is neither.

    A number such as 20220411 may mean a date or a second of 1970, so it is refused.
    """
    is_like_date = (numbers >= 19_000_101) & (numbers <= 21_001_231)
    is_unix = (numbers >= 0) & (numbers <= LAST_MILLISECOND) & ~is_like_date
    numbers = np.where(is_unix, numbers, np.nan)
    microseconds_a_unit = np.where(numbers < FIRST_MILLISECOND, 1e6, 1e3)
    return np.round(numbers * microseconds_a_unit)


def _utc(microseconds: np.ndarray, missing: np.ndarray) -> pd.Series:
    stamps = microseconds.astype("datetime64[us]")
    stamps[missing] = np.datetime64("NaT", "us")
    return pd.Series(stamps).dt.tz_localize("UTC")


def _cast(texts: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Cast all texts or raise; Arrow takes long to fail, so a few texts are tried first."""
    pc.cast(texts[:100], dtype)
    return pc.cast(texts, dtype)


def _as_numpy(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
