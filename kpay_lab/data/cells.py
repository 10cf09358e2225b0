"""What all cells share: the words for *missing*, *yes* and *no*, and the result of parsing.

Cells come as text (CSV, JSON) or typed (Parquet, frames, spreadsheets). An empty cell is missing,
and so is null. How a column becomes values is said in `parsing`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.rows import TEXT, printable

_MISSING = (
    r"na n/a n.a. null (null) none nan nat nil \n <na> #n/a undefined unknown - -- — —— / "
    "空 空值 无 无数据 暂无 暂无数据 未知 缺失 未填 未填写"
)
_YES = (
    "true yes y t 1 on √ ✓ ✔ ☑ 是 有 对 真 已 同意 已同意 已点赞 已赞 已评论 已分享 已转发 "
    "已收藏 已提问 已购买 已购 已支付 已付款 已点击 已审核 已认证 agreed granted clicked "
    "purchased treatment 实验组"
)
_NO = (
    "false no n f 0 off × ✗ ✘ ☐ 否 无 没有 错 假 未 不同意 未同意 拒绝 未点赞 未赞 未评论 "
    "未分享 未转发 未收藏 未提问 未购买 未购 未支付 未付款 未点击 未审核 未认证 declined denied "
    "refused control 对照组"
)
MISSING_WORDS = _MISSING.split()
NO_WORDS = _NO.split()
MARKS = dict.fromkeys(_YES.split(), 1.0) | dict.fromkeys(NO_WORDS, 0.0)
PLAIN_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
# Blanks of every width, and characters that nobody sees: controls, zero width, direction, BOM.
INVISIBLE = (
    "".join(map(chr, range(0x21)))
    + "\x7f\x85\xa0\xad\u1680\u180e\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
    + "".join(map(chr, range(0x2000, 0x2010)))
    + "".join(map(chr, range(0x202A, 0x202F)))
    + "".join(map(chr, range(0x2066, 0x206A)))
)
# What a Chinese keyboard writes for the marks inside numbers and times.
PLAIN_MARKS = {
    "：": ":", "，": ",", "．": ".", "－": "-", "\u2212": "-", "＋": "+", "／": "/", "％": "%",
    "￥": "¥", "＄": "$", "（": "(", "）": ")", "\u3000": " ", "\xa0": " ", "\u202f": " ",
}  # fmt: skip


FORMULA = r'^="(.*?)"?$'
QUOTED = r"""^(?:"(.*)"|'(.*)'|`(.*)`)$"""
LEADING_SIGN = "^['`]+(.)"


@dataclass(frozen=True)
class Parsed:
    """A column in its dtype, what could not be read, and what was assumed.

    Parameters
    ----------
    values : Series
        As many as there were cells; missing where a cell is empty or could not be read.
    problems : DataFrame
        ``row, reason``: the cells that are written but could not be read, by position from 0.
    notes : tuple of str
        One sentence for each assumption, with an example; it begins with the column's name.
    """

    values: pd.Series
    problems: pd.DataFrame
    notes: tuple[str, ...] = ()


class Numbers(NamedTuple):
    """Numbers in the making: ``values`` (NaN where there is none) and a reason for each fault."""

    values: np.ndarray
    problems: list[pd.DataFrame]
    notes: list[str]


def flat(cells: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return one array, without dictionaries, with every kind of text as large strings.

    >>> flat(pa.array(["a", "b", "a"]).dictionary_encode()).type
    DataType(large_string)
    """
    if isinstance(cells, pa.ChunkedArray):
        cells = pa.concat_arrays(cells.chunks) if cells.num_chunks else pa.array([], cells.type)
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    return cells.cast(TEXT) if _is_any_string(cells.type) else cells


def _is_any_string(dtype: pa.DataType) -> bool:
    return pa.types.is_string(dtype) or pa.types.is_string_view(dtype)


def is_text(cells: pa.Array) -> bool:
    """Say whether flat cells are texts rather than typed values."""
    return pa.types.is_large_string(cells.type)


def is_number_type(dtype: pa.DataType) -> bool:
    """Say whether a type holds numbers; true and false are none."""
    is_exact = pa.types.is_integer(dtype) or pa.types.is_decimal(dtype)
    return is_exact or pa.types.is_floating(dtype)


def tidy(texts: pa.Array) -> pa.Array:
    r"""Take away what nobody sees at both ends; what is then empty is null.

    >>> tidy(pa.array(["\t7 ", "\u3000", ""], pa.large_string())).to_pylist()
    ['7', None, None]
    """
    return without(pc.utf8_trim(texts, characters=INVISIBLE), [""])


def unwrapped(texts: pa.Array) -> pa.Array:
    r"""Tidy texts, and take away what only wraps them so that a spreadsheet keeps every digit.

    >>> unwrapped(pa.array(['="007"', "`007\t", "'007", '"007"'], pa.large_string())).to_pylist()
    ['007', '007', '007', '007']
    """
    texts = tidy(texts)
    if not matches(texts, "^[=\"'`]").any():
        return texts
    texts = pc.replace_substring_regex(texts, FORMULA, r"\1")
    texts = pc.replace_substring_regex(texts, QUOTED, r"\1\2\3")
    texts = pc.replace_substring_regex(texts, LEADING_SIGN, r"\1")
    return tidy(texts)


def with_plain_marks(texts: pa.Array) -> pa.Array:
    """Write the full-width marks in numbers and times as plain ones; digits stay.

    >>> with_plain_marks(pa.array(["￥９，９", "12：33"], pa.large_string())).to_pylist()
    ['¥９,９', '12:33']
    """
    if pc.all(pc.string_is_ascii(texts)).as_py():
        return texts
    for mark, plain in PLAIN_MARKS.items():
        texts = pc.replace_substring(texts, mark, plain)
    return texts


def without(texts: pa.Array, words: Sequence[str]) -> pa.Array:
    """Replace texts that are one of the words by null."""
    is_word = pc.is_in(texts, value_set=pa.array(words, TEXT))
    return pc.if_else(is_word, pa.scalar(None, TEXT), texts)


def is_any_of(texts: pa.Array, words: Sequence[str]) -> np.ndarray:
    """Say which texts are one of the words, in any case."""
    return as_numpy(pc.is_in(pc.utf8_lower(texts), value_set=pa.array(words, TEXT)))


def matches(texts: pa.Array, pattern: str) -> np.ndarray:
    """Say which texts match a pattern; a null does not."""
    return as_numpy(pc.match_substring_regex(texts, pattern).fill_null(False))


def written_words(texts: pa.Array, column: str) -> tuple[pa.Array, list[str]]:
    """Make the words for *missing* null, and note how many there are.

    >>> written_words(pa.array(["3", "NULL"], pa.large_string()), "rating")[1]
    ["rating: 1 cell such as 'NULL' is taken as missing"]
    """
    is_missing = is_any_of(texts, MISSING_WORDS)
    if not is_missing.any():
        return texts, []
    example = texts[int(np.argmax(is_missing))].as_py()
    cells = count_of(is_missing.sum(), "cell")
    verb = "is" if is_missing.sum() == 1 else "are"
    note = f"{column}: {cells} such as {example!r} {verb} taken as missing"
    return pc.if_else(pa.array(~is_missing), texts, pa.scalar(None, TEXT)), [note]


def read_each(
    texts: pa.Array, read: Callable[[str], float]
) -> tuple[np.ndarray, list[tuple[np.ndarray, str]]]:
    """Read each different text once.

    Parameters
    ----------
    texts : Array
        None is null.
    read : callable
        Gives the number of a text, or raises ValueError with the reason why there is none.

    Returns
    -------
    values : float array
        NaN where a text could not be read.
    faults : list of (mask, reason)
        Which texts could not be read, and why.
    """
    encoded = texts.dictionary_encode()
    codes = as_numpy(encoded.indices)
    values = np.full(len(encoded.dictionary), np.nan)
    codes_of: dict[str, list[int]] = {}
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            values[code] = read(text)
        except ValueError as error:
            codes_of.setdefault(str(error), []).append(code)
    faults = [(np.isin(codes, bad), reason) for reason, bad in codes_of.items()]
    return values[codes], faults


def problems_at(bad: np.ndarray, reason: str) -> pd.DataFrame:
    """List the rows of a mask with one reason."""
    return pd.DataFrame({"row": np.flatnonzero(bad), "reason": reason})


def first_problems(problems: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put problems in order of their rows; a row keeps its first."""
    nothing = pd.DataFrame({"row": np.array([], dtype=np.int64), "reason": pd.Series(dtype="str")})
    found = [each for each in problems if len(each)]
    if not found:
        return nothing
    together = pd.concat(found).drop_duplicates("row")
    return together.sort_values("row", ignore_index=True)


def example(cells: pa.Array, chosen: np.ndarray) -> str:
    """Quote the first of the chosen cells, short enough for a sentence."""
    return printable(str(cells[int(np.argmax(chosen))].as_py()).strip(INVISIBLE), 40)


def count_of(number: int, noun: str) -> str:
    """Write a number with its noun.

    >>> count_of(1, "time"), count_of(2500, "time")
    ('1 time', '2,500 times')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def as_numpy(values: pa.Array) -> np.ndarray:
    """Return an Arrow array as a NumPy array, copied where needed."""
    return values.to_numpy(zero_copy_only=False)


def cast_all(texts: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Cast all texts or raise; Arrow takes long to fail, so a few texts are tried first."""
    pc.cast(texts[:100], dtype)
    return pc.cast(texts, dtype)
