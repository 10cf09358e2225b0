"""Texts → typed columns: one grammar for numbers, counts, marks and times."""

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
COMMENTED = {"有": "1", "无": "0"}
LARGEST_COUNT = 2.0**53
FIRST_MILLISECOND = 1e11  # as seconds this would be the year 5138
LAST_MILLISECOND = 253_402_300_799_999  # 9999-12-31


@dataclass(frozen=True)
class Typed:
    """A column in its dtype, and where its text had no meaning (a row of True)."""

    values: Any
    bad: np.ndarray


def typed_column(texts: pa.Array, dtype: str, column: str) -> Typed:
    """Give the texts of one column the dtype of its schema.

    Blank text is missing. A number is written in ASCII digits, perhaps with sign, decimal point
    and exponent; ``nan``, ``inf``, ``1_000`` and ``１２`` are none. A ``comment_count`` may also
    say 有 (1) or 无 (0).

    >>> found = typed_column(pa.array(["3", "inf", ""], pa.large_string()), "float64", "watch_time")
    >>> found.values, found.bad
    (array([ 3., nan, nan]), array([False,  True, False]))
    """
    present = pc.and_(pc.not_equal(texts, ""), pc.invert(pc.utf8_is_space(texts)))
    texts = pc.if_else(present, texts, pa.scalar(None, pa.large_string()))
    if dtype == "float64":
        return _numbers(texts)
    if dtype == "Int64":
        return _counts(texts, COMMENTED if column == "comment_count" else YES_NO)
    if dtype == "boolean":
        marks = _counts(pc.utf8_lower(texts), YES_NO)
        whole = marks.values.to_numpy(dtype=np.int64, na_value=0)
        wrong = (whole < 0) | (whole > 1)
        missing = np.asarray(marks.values.isna()) | wrong
        return Typed(pd.arrays.BooleanArray(whole == 1, missing), marks.bad | wrong)
    if dtype.startswith("datetime64"):
        return _times(texts)
    return Typed(pd.Series(pd.array(texts, dtype="str")), np.zeros(len(texts), dtype=bool))


def extra_column(texts: pa.Array) -> Any:
    """Keep a further column of the users: numbers if all are, else text.

    A leading zero (``007``) marks a code, which stays text.
    """
    found = _numbers(pc.if_else(pc.not_equal(texts, ""), texts, pa.scalar(None, texts.type)))
    coded = pc.any(pc.match_substring_regex(texts, r"^\s*0[0-9]")).as_py()
    if found.bad.any() or coded or np.isnan(found.values).all():
        return typed_column(texts, "str", "").values
    return found.values


def _numbers(texts: pa.Array, words: Mapping[str, str] | None = None) -> Typed:
    """Parse all at once where that works, else only what is written as a number."""
    try:
        values = _cast(texts, pa.float64())
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(texts)
        for word, digit in (words or {}).items():
            trimmed = pc.if_else(pc.equal(trimmed, word), digit, trimmed)
        written = pc.match_substring_regex(trimmed, NUMBER)
        values = pc.cast(pc.if_else(written, trimmed, pa.scalar(None, texts.type)), pa.float64())
    values = values.to_numpy(zero_copy_only=False)
    bad = _mask(texts.is_valid()) & ~np.isfinite(values)
    return Typed(np.where(bad, np.nan, values), bad)


def _counts(texts: pa.Array, words: Mapping[str, str]) -> Typed:
    """Parse whole numbers; 3.0 is one, 3.5 is not."""
    found = _numbers(texts, words)
    missing = np.isnan(found.values)
    numbers = np.where(missing, 0.0, found.values)
    wrong = (numbers != np.floor(numbers)) | (np.abs(numbers) >= LARGEST_COUNT)
    whole = np.where(wrong, 0.0, numbers).astype(np.int64)
    return Typed(pd.arrays.IntegerArray(whole, missing | wrong), found.bad | wrong)


def _times(texts: pa.Array) -> Typed:
    """Parse ISO texts (UTC where no offset is written), unix seconds or milliseconds."""
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            stamps = _cast(texts, kind).cast(pa.int64()).fill_null(0).to_numpy()
            return Typed(_utc(stamps, ~_mask(texts.is_valid())), np.zeros(len(texts), dtype=bool))
        except pa.ArrowInvalid:
            continue
    trimmed = pc.utf8_trim_whitespace(texts)
    unix = _unix_microseconds(_numbers(trimmed).values)
    dated = pc.match_substring_regex(trimmed, ISO_TIME)
    iso = pc.if_else(dated, trimmed, pa.scalar(None, texts.type))
    if iso.null_count < len(iso):
        iso = pd.Series(_mask(iso), dtype="str")
        parsed = pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce")
        written = parsed.notna().to_numpy()
        unix[written] = parsed.dt.as_unit("us").astype("int64").to_numpy()[written]
    missing = np.isnan(unix)
    stamps = _utc(np.where(missing, 0, unix).astype(np.int64), missing)
    return Typed(stamps, missing & _mask(texts.is_valid()))


def _unix_microseconds(numbers: np.ndarray) -> np.ndarray:
    """Turn unix seconds or milliseconds into microseconds; NaN where neither is meant.

    A whole number such as 20220411 may be a date or a day in 1970: it is refused.
    """
    like_a_date = (numbers >= 19_000_101) & (numbers <= 21_001_231)
    usable = (numbers >= 0) & (numbers <= LAST_MILLISECOND) & ~like_a_date
    numbers = np.where(usable, numbers, np.nan)
    return np.round(numbers * np.where(numbers < FIRST_MILLISECOND, 1e6, 1e3))


def _utc(microseconds: np.ndarray, missing: np.ndarray) -> pd.Series:
    stamps = microseconds.astype("datetime64[us]")
    stamps[missing] = np.datetime64("NaT", "us")
    return pd.Series(stamps).dt.tz_localize("UTC")


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast all texts or raise; Arrow is slow at failing, so a few are tried first."""
    pc.cast(texts[:100], kind)
    return pc.cast(texts, kind)


def _mask(found: pa.Array) -> np.ndarray:
    return found.to_numpy(zero_copy_only=False)
