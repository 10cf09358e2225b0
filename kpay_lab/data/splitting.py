"""A file → rows of text: quickly while it is clean, exactly once anything is odd.

No value is judged here. Every cell becomes text ('' where nothing is written), so that
CSV, JSON lines and Parquet pass through the same checks afterwards.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from kpay_lab.data.decoding import decode

TEXT = pa.large_string()
SUFFIXES = (".csv", ".parquet", ".jsonl", ".ndjson")
# Cells in quotes without a quote or a line end inside, standing alone between separators.
SIMPLE_QUOTES = re.compile(r'(?<![^,\r\n])"[^"\r\n]*"(?![^,\r\n])')


@dataclass(frozen=True)
class Broken:
    """A line that is no row: too many or too few fields, or not readable at all."""

    line: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True)
class RawRows:
    """The rows of one file as text, one array a header cell.

    ``lines`` holds the physical line of each row (for Parquet the row number), or
    None after the quick way, which does not count lines.
    """

    file: str
    header: list[str]
    cells: list[pa.Array]
    lines: np.ndarray | None
    broken: tuple[Broken, ...] = ()
    guessed: bool = False

    def __len__(self) -> int:
        return len(self.cells[0]) if self.cells else 0


def split_file(path: Path, *, exactly: bool) -> RawRows | None:
    """Split a file into rows of text.

    Parameters
    ----------
    path : Path
        A .csv, .parquet, .jsonl or .ndjson file.
    exactly : bool
        False asks for the quick way of CSV, which returns None on any complaint.

    Raises
    ------
    ValueError
        If the file has no header, is not text, or is not Parquet.
    """
    if path.suffix.lower() == ".parquet":
        return _split_parquet(path)
    text, guessed = decode(path.read_bytes(), path.name)
    if not text.strip():
        raise ValueError(f"{path.name} is empty; its first line must name the columns")
    if path.suffix.lower() != ".csv":
        return _split_json_lines(text, path.name)
    split = _split_csv_exactly if exactly else _split_csv_quickly
    return split(text, path.name, guessed)


def _split_csv_quickly(text: str, file: str, guessed: bool) -> RawRows | None:
    """Split clean CSV with Arrow; None where Arrow and the exact way could differ."""
    quotes = text.count('"')
    if text[0] in "\r\n" or (quotes and quotes != 2 * len(SIMPLE_QUOTES.findall(text))):
        return None
    header = next(csv.reader(io.StringIO(text, newline="")))
    names = [str(position) for position in range(len(header))]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text.encode()),
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, TEXT)),
        )
    except pa.ArrowInvalid:
        return None
    cells = [pa.concat_arrays(column.chunks) for column in table.columns]
    return RawRows(file, header, cells, None, guessed=guessed)


def _split_csv_exactly(text: str, file: str, guessed: bool) -> RawRows:
    """Split any CSV, keeping the physical line of each record and every broken line."""
    csv.field_size_limit(2**31 - 1)
    records = _records(list(io.StringIO(text, newline="")))
    _, header, problem = next(records)
    if problem:
        raise ValueError(f"{file} row 1: {problem}; the first line must name the columns")
    rows: list[list[str]] = []
    lines: list[int] = []
    broken: list[Broken] = []
    blocks: list[list[pa.Array]] = []
    for line, fields, fault in records:
        if fault or len(fields) != len(header):
            ragged = f"the line has {len(fields)} fields, but the header has {len(header)}"
            broken.append(Broken(line, "", ",".join(fields), fault or ragged))
            continue
        rows.append(fields)
        lines.append(line)
        if len(rows) == 50_000:
            blocks.append([pa.array(cells, TEXT) for cells in zip(*rows, strict=True)])
            rows = []
    rows_left = zip(*rows, strict=True) if rows else [[] for _ in header]
    blocks.append([pa.array(cells, TEXT) for cells in rows_left])
    cells = [pa.concat_arrays(column) for column in zip(*blocks, strict=True)]
    return RawRows(file, header, cells, np.array(lines, dtype=np.int64), tuple(broken), guessed)


def _records(lines: list[str]) -> Iterator[tuple[int, list[str], str]]:
    """Yield (first physical line, fields, problem) of each record; blank lines are none."""
    start = 0
    reader = csv.reader(iter(lines), strict=True)
    while True:
        first = start + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield first, [lines[first - 1].rstrip("\r\n")], f"its quotes are broken: {error}"
            if "end of data" in str(error):  # a quote never closed costs its own line only
                start = first
                reader = csv.reader(islice(lines, start, None), strict=True)
        else:
            if fields:
                yield first, fields, ""


def _split_json_lines(text: str, file: str) -> RawRows:
    """Split JSON lines; numbers stay as written and null is ''."""
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    broken: list[Broken] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_json_row(line))
            lines.append(number)
        except (ValueError, RecursionError) as error:
            broken.append(Broken(number, "", line.strip(), f"not a JSON row: {error}"))
    header = list(dict.fromkeys(name for row in rows for name in row))
    cells = [pa.array([row.get(name, "") for row in rows], TEXT) for name in header]
    return RawRows(file, header, cells, np.array(lines, dtype=np.int64), tuple(broken))


def _json_row(line: str) -> dict[str, str]:
    """Read one JSON object of plain values as texts."""
    row = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    if not isinstance(row, dict):
        raise ValueError("it must be an object of names and values")
    return {name: _json_text(name, value) for name, value in row.items()}


def _json_text(name: str, value: Any) -> str:
    if isinstance(value, list | dict):
        raise ValueError(f"{name} must be a text, a number, true, false or null")
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else value
    text.encode()  # half a surrogate pair is no text: UnicodeEncodeError, a ValueError
    return text


def _split_parquet(path: Path) -> RawRows:
    """Read Parquet and write every value as text; null is ''."""
    try:
        table = pq.read_table(path, partitioning=None)
        columns = [column.cast(TEXT).fill_null("") for column in table.columns]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"{path.name} cannot be read as Parquet of plain values: {error}"
        ) from None
    cells = [pa.concat_arrays(column.chunks or [pa.array([], TEXT)]) for column in columns]
    return RawRows(path.name, table.column_names, cells, np.arange(1, table.num_rows + 1))
