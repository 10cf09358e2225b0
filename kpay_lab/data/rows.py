"""The rows of one file, sheet or frame before any cell is understood."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
BrokenLine = tuple[int, str, str]  # line, text, reason

REPEATED_HEADER = "the header is repeated here"
TOTAL_ROW = "it is a row of totals, not of data"
TOTAL = re.compile(
    r"(本页|本月|本日|全部|数据)?(合计|总计|小计|汇总|共计|总和|累计|平均|平均值)\s*([:：].*)?"
    r"|((sub|grand|page)[ -]?)?totals?\s*([:：].*)?|sum|average|mean",
    re.IGNORECASE,
)
LAST_ROWS = 5  # totals stand at the end, perhaps above a line or two about the export


@dataclass(frozen=True)
class RawRows:
    """The rows of one file, sheet or frame.

    Parameters
    ----------
    file : str
        The name that messages give it.
    header : list of str
        The names of the columns, as written.
    cells : list of Array
        The cells of each column: text with '' where nothing is written, or the typed values of
        a format that has types (numbers, times, durations, booleans) with null.
    lines : int array
        The line of the file on which each row begins; in JSON arrays, Parquet and frames the
        number of the row, from 1.
    broken : tuple of (line, text, reason)
        Lines that are not rows.
    notes : tuple of str
        What was assumed about the file, a sentence each.
    """

    file: str
    header: list[str]
    cells: list[pa.Array]
    lines: np.ndarray
    broken: tuple[BrokenLine, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)


class NotUnderstoodError(ValueError):
    """What a file means is not clear.

    Parameters
    ----------
    problem : str
        What is wrong, with its place and value.
    remedy : str
        What to write; whoever proposes something better leaves it out.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem = problem


def printable(text: str, length: int = 60) -> str:
    r"""Return a text for a message: short, on one line, without control characters.

    >>> printable("red\x1b[31m\n"), printable("x" * 99, 5)
    ('red\\x1b[31m\\n', 'xxxxx… (99 letters)')
    """
    characters = [one if one.isprintable() else repr(one)[1:-1] for one in text[:length]]
    excerpt = "".join(characters)
    return excerpt if len(text) <= length else f"{excerpt}… ({len(text):,} letters)"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names for a message, separated by commas, and how many more there are.

    >>> listed(["a.csv", "b.csv", "c.csv"], most=2)
    'a.csv, b.csv and 1 more'
    """
    shown = [printable(name) for name in names]
    if len(shown) <= most:
        return ", ".join(shown)
    return f"{', '.join(shown[:most])} and {len(shown) - most:,} more"


def without_misplaced(raw: RawRows, written: Sequence[str]) -> RawRows:
    """Set aside repeated headers and rows of totals; leave out rows in which nothing is written.

    A row without anything in it is what a blank line becomes in a spreadsheet.

    Parameters
    ----------
    raw : RawRows
        All its cells are text.
    written : sequence of str
        The fields of the header line, as written.
    """
    if not len(raw):
        return raw
    is_header = _rows_that_equal(raw.cells, written)
    repeated = np.flatnonzero(is_header).tolist()

    def fields_at(row: int) -> list[str]:
        return [column[row].as_py() for column in raw.cells]

    reasons = misplaced_rows(repeated, len(raw), fields_at)
    is_blank = _rows_without_text(raw.cells)
    is_data = ~is_blank
    is_data[list(reasons)] = False
    if is_data.all():
        return raw
    set_aside = []
    for row, reason in reasons.items():
        line = int(raw.lines[row])
        set_aside.append((line, ",".join(fields_at(row)), reason))
    kept = pa.array(is_data)
    return replace(
        raw,
        cells=[column.filter(kept) for column in raw.cells],
        lines=raw.lines[is_data],
        broken=(*raw.broken, *set_aside),
    )


def misplaced_rows(
    repeated: Sequence[int], n_rows: int, fields_at: Callable[[int], Sequence[str]]
) -> dict[int, str]:
    """Return the reason for each repeated header, and for the totals before one or at the end.

    Parameters
    ----------
    repeated : sequence of int
        The positions of the repeated headers.
    n_rows : int
    fields_at : function
        The texts of the row at a position.
    """
    reasons = dict.fromkeys(repeated, REPEATED_HEADER)
    for end in (*repeated, n_rows):
        for row in range(max(0, end - LAST_ROWS), end):
            if row not in reasons and is_total(fields_at(row)):
                reasons[row] = TOTAL_ROW
    return reasons


def is_total(fields: Sequence[str]) -> bool:
    """Whether the first text of a row says that it holds totals.

    >>> is_total(["合计", "2 条", "", "564"]), is_total(["", "Total:"]), is_total(["u1", "sum"])
    (True, True, False)
    """
    first = next((field.strip() for field in fields if field.strip()), "")
    return TOTAL.fullmatch(first) is not None


def _rows_that_equal(cells: Sequence[pa.Array], written: Sequence[str]) -> np.ndarray:
    """Mark the rows that repeat the header, perhaps with the byte-order mark of another file."""
    first = written[0].lstrip("\ufeff")
    spellings = pa.array([first, f"\ufeff{first}"], TEXT)
    is_equal = pc.is_in(cells[0], value_set=spellings)
    for column, name in zip(cells[1:], written[1:], strict=True):
        if not pc.any(is_equal).as_py():
            break
        is_equal = pc.and_(is_equal, pc.equal(column, name))
    return is_equal.to_numpy(zero_copy_only=False)


def _rows_without_text(cells: Sequence[pa.Array]) -> np.ndarray:
    is_blank = _is_blank(cells[0])
    for column in cells[1:]:
        if not pc.any(is_blank).as_py():
            break
        is_blank = pc.and_(is_blank, _is_blank(column))
    return is_blank.to_numpy(zero_copy_only=False)


def _is_blank(column: pa.Array) -> pa.Array:
    return pc.or_(pc.equal(column, ""), pc.utf8_is_space(column))
