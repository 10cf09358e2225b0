r"""Split text with separators (CSV and its kin) into rows.

The header is looked for among the first lines, and tells the separator: a comma, a semicolon, a
TAB, a ``|``, or the ``\x01`` of Hive. Arrow splits all lines that it reads as Python's `csv` does.
The others, with a quote inside a cell or a line end inside quotes, are split by `csv`.
"""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from kpay_lab.data.layout import Layout, Record, find_layout, named_layout
from kpay_lab.data.rows import TEXT, BrokenLine, RawRows, without_misplaced

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a TAB", "|": "|", "\x01": r"\x01"}
LINES_LOOKED_AT = 100
RECORDS_LOOKED_AT = 30
LETTERS_LOOKED_AT = 2**20
BYTES_LOOKED_AT = 4 * LETTERS_LOOKED_AT  # no letter of UTF-8 has more bytes
ROWS_A_BLOCK = 50_000
LINES_A_BLOCK = 100_000
BYTES_A_BLOCK = 2**26
NEW_LINE = ord("\n")
CARRIAGE_RETURN = ord("\r")
QUOTE = ord('"')


def split_text(
    text: str, file: str, renames: Collection[str] = (), names: Sequence[str] = ()
) -> RawRows:
    r"""Split a text with separators into rows; none is lost, and each knows its line.

    Parameters
    ----------
    text : str
    file : str
        The name that messages give it.
    renames : collection of str
        Names of columns that a mapping renames.
    names : sequence of str
        The names of all columns, where the text has no header.

    Raises
    ------
    ValueError
        If the text is empty or has no header.

    Examples
    --------
    >>> rows = split_text("Report\nuser_id;item_id\nu1;i1\nu2\n", "log.csv")
    >>> rows.header, rows.lines
    (['user_id', 'item_id'], array([3]))
    >>> rows.broken
    ((4, 'u2', 'the line has 1 fields, but the header has 2'),)
    >>> print("\n".join(rows.notes))
    log.csv: the first line is not part of the table; the header is in line 2
    log.csv: its columns are separated by a semicolon
    """
    return split_utf8(text.encode(), file, renames, names)


def split_utf8(
    utf8: bytes, file: str, renames: Collection[str] = (), names: Sequence[str] = ()
) -> RawRows:
    """Split the bytes of a text as `split_text` does; it need not exist as a text beside them."""
    beginning = utf8[:BYTES_LOOKED_AT].decode(errors="ignore")
    layout = text_layout(beginning, file, renames, names)
    rows = split_quickly(utf8, file, layout)
    if rows is None:
        rows = split_exactly(utf8.decode(), file, layout)
    return without_misplaced(rows, layout.written)


def text_layout(
    text: str, file: str, renames: Collection[str] = (), names: Sequence[str] = ()
) -> Layout:
    """Find the header and the separator of a text, as `layout.find_layout` does.

    Where ``names`` are given, the text has no header.

    Raises
    ------
    ValueError
        If the text is empty, its header has broken quotes, or its first line looks like data.
    """
    if not text or text.isspace():
        raise ValueError(f"{file} is empty; its first line must name the columns")
    csv.field_size_limit(2**31 - 1)
    lines = list(islice(io.StringIO(text[:LETTERS_LOOKED_AT], newline=""), LINES_LOOKED_AT))
    records = {}
    for separator in SEPARATORS:
        records[separator] = list(islice(_records(lines, separator), RECORDS_LOOKED_AT))
    layout = named_layout(records, file, names) if names else find_layout(records, file, renames)
    separator = layout.separator
    if separator == "," or len(layout.names) == 1:
        return layout
    note = f"{file}: its columns are separated by {SEPARATORS[separator]}"
    return replace(layout, notes=(*layout.notes, note))


def split_quickly(utf8: bytes, file: str, layout: Layout) -> RawRows | None:
    """Split with Arrow all lines that it reads as `csv` does, and the others with `csv`.

    None where lines end in a lone carriage return, which Arrow and `csv` may count differently.
    """
    if b"\r" in utf8 and utf8.count(b"\r") != utf8.count(b"\r\n"):
        return None
    lines = _Lines(utf8, _end_of_lines(utf8, layout.n_lines))
    odd = _odd_lines(lines, layout.separator) if b'"' in utf8 else []
    records = _records_at(lines, odd, layout.separator)
    is_plain = lines.lengths() > 0
    for record in records:
        is_plain[record.line - 1 : record.end - 1] = False
    numbers = np.flatnonzero(is_plain) + layout.n_lines + 1
    by_csv = _gathered(records, lines, file, layout)
    plain = lines.without(records)
    del lines  # two numbers a line, of millions
    by_arrow = _split_by_arrow(plain, file, layout, numbers)
    if by_arrow is None or not records:
        return by_arrow
    broken = [(line + layout.n_lines, text, reason) for line, text, reason in by_csv.broken]
    by_csv = replace(by_csv, lines=by_csv.lines + layout.n_lines, broken=tuple(broken))
    return _merged(by_arrow, by_csv)


def _end_of_lines(raw: bytes, n_lines: int) -> int:
    """Return where the first lines end."""
    position = 0
    for _ in range(n_lines):
        end = raw.find(b"\n", position)
        if end < 0:
            return len(raw)
        position = end + 1
    return position


class _Lines(Sequence[str]):
    """The lines of a text from a position on, by number from 0, with their ends.

    A line is made a text only when it is asked for, because millions are not.
    """

    def __init__(self, raw: bytes, position: int) -> None:
        self.body = memoryview(raw)[position:]
        self.codes = np.frombuffer(self.body, np.uint8)
        self.ends = np.append(_positions_of(NEW_LINE, self.codes), len(self.codes))
        self.starts = np.concatenate([[0], self.ends[:-1] + 1])

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        line = self.body[self.starts[number] : self.ends[number] + 1]
        return bytes(line).decode()

    def lengths(self) -> np.ndarray:
        """Return the number of bytes of each line without its end."""
        lengths = self.ends - self.starts
        filled = np.flatnonzero(lengths)
        last = self.codes[self.ends[filled] - 1]
        lengths[filled] -= last == CARRIAGE_RETURN
        return lengths

    def without(self, records: Sequence[Record]) -> memoryview:
        """Return the bytes of all lines but those of some records."""
        if not records:
            return self.body
        kept = []
        position = 0
        for record in records:
            kept.append(self.body[position : self.starts[record.line - 1]])
            position = self.ends[record.end - 2] + 1
        kept.append(self.body[position:])
        return memoryview(b"".join(kept))


def _positions_of(code: int, codes: np.ndarray) -> np.ndarray:
    """Find where a code stands, block by block: a mask of all codes is as large as they are."""
    positions = [np.array([], dtype=np.int64)]
    for start in range(0, len(codes), BYTES_A_BLOCK):
        block = codes[start : start + BYTES_A_BLOCK]
        positions.append(np.flatnonzero(block == code) + start)
    return np.concatenate(positions)


def _odd_lines(lines: _Lines, separator: str) -> list[int]:
    """Return the lines in which quotes do more than stand around cells, doubled inside them.

    Along a line quotes open and close a cell in turn. One that opens stands behind a separator,
    one that closes before one; both may also touch the other of a doubled quote.
    """
    odd: list[int] = []
    for first in range(0, len(lines), LINES_A_BLOCK):
        last = min(first + LINES_A_BLOCK, len(lines)) - 1
        block = lines.codes[lines.starts[first] : lines.ends[last]]
        padded = np.concatenate([[NEW_LINE], block, [NEW_LINE]])
        quotes = np.flatnonzero(padded == QUOTE)
        if not len(quotes):
            continue
        line_of = np.cumsum(padded == NEW_LINE)[quotes] - 1
        positions = np.arange(len(quotes))
        is_first = np.diff(line_of, prepend=-1) > 0
        rank = positions - np.maximum.accumulate(np.where(is_first, positions, 0))
        opens = rank % 2 == 0
        outside = np.where(opens, padded[quotes - 1], padded[quotes + 1])
        is_last = np.diff(line_of, append=len(padded)) > 0
        is_sound = np.isin(outside, [ord(separator), NEW_LINE, CARRIAGE_RETURN, QUOTE])
        is_sound &= ~(is_last & opens)
        odd += (np.unique(line_of[~is_sound]) + first).tolist()
    return odd


def _split_by_arrow(
    body: memoryview, file: str, layout: Layout, numbers: np.ndarray
) -> RawRows | None:
    """Split lines without odd quotes; ``numbers`` are those of the lines that are not blank."""
    header = list(layout.names)
    if not len(numbers):
        nothing = [pa.array([], TEXT) for _ in header]
        return RawRows(file, header, nothing, numbers, notes=layout.notes)
    wrong: list[tuple[int, str, int]] = []

    def keep_wrong(row: arrow_csv.InvalidRow) -> str:
        wrong.append((row.number - 1, row.text, row.actual_columns))
        return "skip"

    columns = [str(position) for position in range(len(header))]
    read_options = arrow_csv.ReadOptions(
        column_names=columns, use_threads=False, block_size=BYTES_A_BLOCK
    )
    parse_options = arrow_csv.ParseOptions(
        delimiter=layout.separator, invalid_row_handler=keep_wrong
    )
    convert_options = arrow_csv.ConvertOptions(column_types=dict.fromkeys(columns, TEXT))
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body),
            read_options=read_options,
            parse_options=parse_options,
            convert_options=convert_options,
        )
    except pa.ArrowInvalid:  # a line longer than a block
        return None
    is_row = np.ones(len(numbers), dtype=bool)
    is_row[[position for position, _, _ in wrong]] = False
    if is_row.sum() != table.num_rows:
        raise RuntimeError(f"{file}: a row was lost in reading; please report this fault")
    cells = []
    while table.num_columns:  # the blocks of a column go as soon as they are one array
        cells.append(pa.concat_arrays(_chunks(table.column(0))))
        table = table.remove_column(0)
        pa.default_memory_pool().release_unused()
    broken = []
    for position, line, n_fields in wrong:
        reason = _wrong_length(n_fields, layout)
        broken.append((int(numbers[position]), line.rstrip("\r\n"), reason))
    return RawRows(file, header, cells, numbers[is_row], tuple(broken), layout.notes)


def _chunks(column: pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks or [pa.array([], TEXT)]


def _wrong_length(n_fields: int, layout: Layout) -> str:
    return f"the line has {n_fields} fields, but the header has {len(layout.names)}"


def _records_at(lines: Sequence[str], starts: Iterable[int], separator: str) -> list[Record]:
    """Return the records that begin at the given lines, unless an earlier one contains them."""
    records = []
    end = 0
    for start in starts:
        if start >= end:
            record = next(_records(lines, separator, start))
            records.append(record)
            end = record.end - 1
    return records


def _merged(first: RawRows, second: RawRows) -> RawRows:
    """Put the rows of two parts of a file in the order of their lines."""
    lines = np.concatenate([first.lines, second.lines])
    order = np.argsort(lines, kind="stable")
    cells = []
    for columns in zip(first.cells, second.cells, strict=True):
        cells.append(pa.concat_arrays(columns).take(pa.array(order)))
    broken = sorted([*first.broken, *second.broken])
    return replace(first, cells=cells, lines=lines[order], broken=tuple(broken))


def split_exactly(text: str, file: str, layout: Layout) -> RawRows:
    """Split any text with Python's `csv`, record by record."""
    csv.field_size_limit(2**31 - 1)
    lines = list(io.StringIO(text, newline=""))
    records = _records(lines, layout.separator, layout.n_lines)
    return _gathered(records, lines, file, layout)


def _gathered(
    records: Iterable[Record], lines: Sequence[str], file: str, layout: Layout
) -> RawRows:
    """Gather records as columns; those that are no rows are broken lines."""
    blocks = [[pa.array([], TEXT) for _ in layout.names]]
    rows: list[list[str]] = []
    numbers: list[int] = []
    broken: list[BrokenLine] = []
    for record in records:
        n_fields = len(record.fields)
        if record.fault or n_fields != len(layout.names):
            text = "".join(lines[record.line - 1 : record.end - 1]).rstrip("\r\n")
            broken.append((record.line, text, record.fault or _wrong_length(n_fields, layout)))
            continue
        rows.append(record.fields)
        numbers.append(record.line)
        if len(rows) == ROWS_A_BLOCK:
            blocks.append([pa.array(cells, TEXT) for cells in zip(*rows, strict=True)])
            rows.clear()
    if rows:
        blocks.append([pa.array(cells, TEXT) for cells in zip(*rows, strict=True)])
    cells = [pa.concat_arrays(column) for column in zip(*blocks, strict=True)]
    line_numbers = np.array(numbers, dtype=np.int64)
    return RawRows(file, list(layout.names), cells, line_numbers, tuple(broken), layout.notes)


def _records(lines: Sequence[str], separator: str, start: int = 0) -> Iterator[Record]:
    """Yield the records from a line on (from 0); blank lines are skipped.

    Where a quote is never closed, or closed inside a field, only its own line is broken.
    """
    while start < len(lines):
        remaining = (lines[number] for number in range(start, len(lines)))
        reader = csv.reader(remaining, delimiter=separator, strict=True)
        first = start + 1
        try:
            for fields in reader:
                end = start + reader.line_num + 1
                if fields:
                    yield Record(first, end, fields)
                first = end
            return
        except csv.Error as error:
            line = lines[first - 1].rstrip("\r\n")
            yield Record(first, first + 1, [line], f"its quotes are broken: {error}")
            start = first
