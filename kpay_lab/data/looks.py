"""What the columns of a file look like by their values, whatever they are called."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.cells import MISSING_WORDS, flat, is_any_of, is_text, matches, tidy
from kpay_lab.data.event_types import meaning_of_word
from kpay_lab.data.parsing import parse_column
from kpay_lab.data.rows import RawRows, printable
from kpay_lab.data.splitting import as_text

TIMES = "times"
TYPES = "types of behaviour"
MARKS = "yes or no"
NUMBERS = "numbers"
WHOLE = "whole numbers"
CODES = "codes"
WORDS = "text"
EMPTY = "nothing"

EXAMPLES = 3
BETWEEN_WORDS = re.compile(r"[\W_]+")
MOST_TYPES = 30  # more different values are no types of behaviour
MOST_BAD = 0.05  # share of the written cells that may be something else
LONGEST_CODE = 64
LONGEST_EXAMPLE = 24
CLOCK_WITH_ZEROS = r"(:[0-9]{2})\.0+$"  # as Arrow writes times
PLAIN_WHOLE = r"^[+-]?[0-9]+(?:\.0+)?$"
# Of whole numbers only these can be told from ids: unix times of our days, and compact dates.
UNIX_OR_DATE = r"^(?:1[0-9]{9}|1[0-9]{12}|1[0-9]{15}|(?:19|20)[0-9]{6}(?:[0-9]{4}(?:[0-9]{2})?)?)$"


@dataclass(frozen=True)
class ColumnLook:
    """What a column looks like.

    Parameters
    ----------
    name : str
        As written.
    cells : Array
        Its cells in the sample.
    looks : str
        One of the constants of this module.
    examples : tuple of str
        Its first different values.
    n_written, n_different : int
        How many cells hold something, and how many different values there are.
    """

    name: str
    cells: pa.Array
    looks: str
    examples: tuple[str, ...]
    n_written: int
    n_different: int

    @property
    def is_unique(self) -> bool:
        """Whether no value is there twice, as in a key."""
        return self.n_different == self.n_written

    def values(self) -> list[str]:
        """Return the different values, as text."""
        return pc.unique(_written(self.cells)).to_pylist()

    def can_be(self, column: str) -> bool:
        """Whether nearly all that is written can be read as a column of the schemas."""
        problems = parse_column(self.cells, column).problems
        return self.n_written > 0 and len(problems) <= MOST_BAD * self.n_written


def look_at(rows: RawRows) -> list[ColumnLook]:
    """Look at each column of some rows.

    >>> text = pa.large_string()
    >>> cells = [pa.array(["u1", "u2", "u1"], text), pa.array(["pv", "buy", "pv"], text)]
    >>> [look.looks for look in look_at(RawRows("a", ["x", "y"], cells, [1, 2, 3]))]
    ['codes', 'types of behaviour']
    """
    looks = []
    for name, cells in zip(rows.header, rows.cells, strict=True):
        column = flat(cells)
        written = _written(column)
        different = pc.unique(written)
        examples = first_values(column)
        kind = _kind(column, written, different.to_pylist())
        looks.append(ColumnLook(name, column, kind, tuple(examples), len(written), len(different)))
    return looks


def first_values(cells: pa.Array, most: int = EXAMPLES) -> list[str]:
    """Return the first different values of a column, short and on one line.

    >>> first_values(pa.array(["a", "", "a", "b"]), 2)
    ['a', 'b']
    """
    written = pc.unique(_written(flat(cells)))[:most]
    without_fraction = pc.replace_substring_regex(written, CLOCK_WITH_ZEROS, r"\1")
    return [printable(value, LONGEST_EXAMPLE) for value in without_fraction.to_pylist()]


def _written(cells: pa.Array) -> pa.Array:
    """Return the texts of the cells that hold something."""
    texts = tidy(as_text(cells))
    is_word = pa.array(is_any_of(texts, MISSING_WORDS))
    return texts.filter(pc.and_not(texts.is_valid(), is_word))


def _kind(cells: pa.Array, written: pa.Array, different: Sequence[str]) -> str:
    if not different:
        return EMPTY
    if _are_types(different):
        return TYPES
    if len(different) <= 2 and not len(parse_column(cells, "consent").problems):
        return MARKS
    if not is_text(cells):
        return _kind_of_typed(cells, written)
    if matches(written, PLAIN_WHOLE).all():
        return _kind_of_whole(written)
    n_bad = len(parse_column(cells, "timestamp").problems)
    is_decimal = matches(written, r"^[+-]?[0-9]*[.,]?[0-9]+$").all()
    if n_bad <= MOST_BAD * len(written) and not is_decimal:
        return TIMES
    if len(parse_column(cells, "watch_time").problems) <= MOST_BAD * len(written):
        return NUMBERS
    is_code = ~matches(written, r"\s") & (pc.utf8_length(written).to_numpy() <= LONGEST_CODE)
    return CODES if is_code.mean() > 1 - MOST_BAD else WORDS


def _kind_of_typed(cells: pa.Array, written: pa.Array) -> str:
    if pa.types.is_temporal(cells.type) and not pa.types.is_duration(cells.type):
        return TIMES
    if matches(written, PLAIN_WHOLE).all():
        return _kind_of_whole(written)
    return NUMBERS


def _kind_of_whole(written: pa.Array) -> str:
    return TIMES if matches(written, UNIX_OR_DATE).all() else WHOLE


def _are_types(different: Sequence[str]) -> bool:
    """Whether at least two values, and half of all, are or hold common words of behaviour."""
    if len(different) > MOST_TYPES:
        return False
    n_known = sum(_speaks_of_behaviour(value) for value in different)
    return n_known >= 2 and 2 * n_known >= len(different)


def _speaks_of_behaviour(value: str) -> bool:
    """Whether a value is a common word of behaviour, or is made of one: ``send_gift``."""
    words = [value, *BETWEEN_WORDS.split(value)]
    return any(meaning_of_word(word) is not None for word in words)
