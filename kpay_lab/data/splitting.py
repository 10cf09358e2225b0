"""Read a file or a frame as rows of text, so that all formats pass the same checks.

Every cell becomes text, '' where it is empty. A clean CSV file is read by a fast reader; any other
CSV file is read exactly, with the line of each row.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from kpay_lab.data.wording import printable

TEXT = pa.large_string()
SUFFIXES = (".csv", ".parquet", ".jsonl", ".ndjson")
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# A whole cell in quotes, without a quote or a line end inside.
SIMPLE_QUOTES = re.compile(r'(?<![^,\r\n])"[^"\r\n]*"(?![^,\r\n])')
ROWS_A_BLOCK = 50_000
HEADER_BYTES = 2**20  # the beginning of a file, which must hold its header
BrokenLine = tuple[int, str, str]  # line, text, reason


@dataclass(frozen=True)
class RawRows:
    """The rows of one file or frame as text.

    Parameters
    ----------
    file : str
        The name that messages give it.
    header : list of str
        The names of the columns, as written.
    cells : list of Array
        The texts of each column.
    lines : int array or None
        The line of the file on which each row begins; in Parquet and in frames the number of
        the row, from 1. None from the fast reader, which does not know it.
    broken : tuple of (line, text, reason)
        Lines that are not rows.
    guessed : bool
        Whether the encoding of the file was guessed.
    """

    file: str
    header: list[str]
    cells: list[pa.Array]
    lines: np.ndarray | None
    broken: tuple[BrokenLine, ...] = ()
    guessed: bool = False

    def __len__(self) -> int:
        return len(self.cells[0]) if self.cells else 0


def split_file(path: Path, *, exactly: bool) -> RawRows | None:
    """Split a .csv, .parquet, .jsonl or .ndjson file into rows of text.

    Without ``exactly`` a CSV file is read by the fast reader. It returns None where it meets
    anything that it might read differently from the exact reader.

    Raises
    ------
    ValueError
        If the file has no header, is not text, or is not Parquet.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _split_parquet(path)
    text, guessed = decode(path.read_bytes(), path.name)
    if not text.strip():
        raise ValueError(f"{path.name} is empty; its first line must name the columns")
    if suffix != ".csv":
        return _split_json_lines(text, path.name)
    split = _split_csv_exactly if exactly else _split_csv_quickly
    return split(text, path.name, guessed)


def split_frame(frame: pd.DataFrame, name: str) -> RawRows:
    """Write every value of a frame as text, as if it had been read from a file.

    Parameters
    ----------
    frame : DataFrame
        Its columns are those of the table; its index is ignored.
    name : str
        The name that messages give it.

    Raises
    ------
    ValueError
        If a column holds values that are not plain, such as lists.

    Examples
    --------
    >>> rows = split_frame(pd.DataFrame({"uid": [7, 8], "likes": [1.0, None]}), "events")
    >>> rows.header, [cells.to_pylist() for cells in rows.cells]
    (['uid', 'likes'], [['7', '8'], ['1', '']])
    """
    header = [str(column) for column in frame.columns]
    cells = []
    for position, column in enumerate(header):
        try:
            cells.append(_frame_column(frame.iloc[:, position]))
        except (pa.ArrowException, TypeError) as error:
            reason = printable(str(error), 200)
            raise ValueError(
                f"{name}: {printable(column)} must hold plain values: {reason}"
            ) from None
    return RawRows(name, header, cells, np.arange(1, len(frame) + 1))


def _frame_column(values: pd.Series) -> pa.Array:
    """Write a column as text; of several types, such as 7 and "u8", each value for itself."""
    try:
        cells = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        if not values.map(pd.api.types.is_scalar).all():
            raise
        cells = pa.array(values.astype("str"), from_pandas=True)
    chunks = cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]
    return pa.concat_arrays([pa.array([], TEXT), *map(_as_text, chunks)])


def read_header(path: Path) -> tuple[list[str], bool]:
    """Read the names of a file's columns, and whether its encoding was guessed.

    Only the beginning of the file is read; in JSON lines the names are those in the rows there.

    Raises
    ------
    ValueError
        If the file has no header, is not text, or is not Parquet.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(pq.read_schema, path).names, False
    with path.open("rb") as stream:
        raw = stream.read(HEADER_BYTES)
    is_whole = len(raw) < HEADER_BYTES
    text, guessed = decode(raw, path.name, whole=is_whole)
    if not text.strip():
        raise ValueError(f"{path.name} is empty; its first line must name the columns")
    if suffix != ".csv":
        whole_lines = text if is_whole else text.rpartition("\n")[0]
        return _split_json_lines(whole_lines, path.name).header, guessed
    lines = list(io.StringIO(text, newline=""))
    return _csv_header(_records(lines), path.name), guessed


def decode(raw: bytes, file: str, *, whole: bool = True) -> tuple[str, bool]:
    """Decode bytes: by their byte-order mark, or else as UTF-8, or else as GB18030.

    The second value says whether GB18030 was guessed; almost any bytes are valid in it. Without
    ``whole`` the bytes may end inside a character.

    >>> decode("用户,内容".encode("gb18030"), "events.csv")
    ('用户,内容', True)
    """
    encodings = [name for mark, name in BYTE_ORDER_MARKS.items() if raw.startswith(mark)]
    for encoding in encodings or ["utf-8", "gb18030"]:
        try:
            decoder = codecs.getincrementaldecoder(encoding)()
            return decoder.decode(raw, final=whole), encoding == "gb18030"
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{file} is neither UTF-8 nor GB18030 text; save it as UTF-8")


def _split_csv_quickly(text: str, file: str, guessed: bool) -> RawRows | None:
    """Split clean CSV with Arrow; None where Arrow and the exact reader could differ."""
    if text[0] in "\r\n":
        return None
    n_quotes = text.count('"')
    if n_quotes and n_quotes != 2 * len(SIMPLE_QUOTES.findall(text)):
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
    """Split any CSV; keep the line on which each record begins, and every broken line."""
    csv.field_size_limit(2**31 - 1)
    records = _records(list(io.StringIO(text, newline="")))
    header = _csv_header(records, file)
    blocks = [[pa.array([], TEXT) for _ in header]]
    rows: list[list[str]] = []
    lines: list[int] = []
    broken: list[BrokenLine] = []
    for line, fields, fault in records:
        if fault or len(fields) != len(header):
            wrong_length = f"the line has {len(fields)} fields, but the header has {len(header)}"
            broken.append((line, ",".join(fields), fault or wrong_length))
            continue
        rows.append(fields)
        lines.append(line)
        if len(rows) == ROWS_A_BLOCK:
            blocks.append([pa.array(cells, TEXT) for cells in zip(*rows, strict=True)])
            rows.clear()
    if rows:
        blocks.append([pa.array(cells, TEXT) for cells in zip(*rows, strict=True)])
    cells = [pa.concat_arrays(column) for column in zip(*blocks, strict=True)]
    return RawRows(file, header, cells, np.array(lines, dtype=np.int64), tuple(broken), guessed)


def _csv_header(records: Iterator[tuple[int, list[str], str]], file: str) -> list[str]:
    """Take the first record as the names of the columns."""
    _, header, problem = next(records)
    if problem:
        raise ValueError(f"{file} row 1: {problem}; the first line must name the columns")
    return header


def _records(lines: list[str]) -> Iterator[tuple[int, list[str], str]]:
    """Yield (first line, fields, problem) of each record; blank lines are skipped.

    Where a quote is never closed, or closed inside a field, only its own line is broken.
    """
    start = 0
    while start < len(lines):
        reader = csv.reader((lines[n] for n in range(start, len(lines))), strict=True)
        first = start + 1
        try:
            for fields in reader:
                if fields:
                    yield first, fields, ""
                first = start + reader.line_num + 1
            return
        except csv.Error as error:
            yield first, [lines[first - 1].rstrip("\r\n")], f"its quotes are broken: {error}"
            start = first


def _split_json_lines(text: str, file: str) -> RawRows:
    """Split JSON lines; numbers stay as they are written, and null becomes ''."""
    rows: dict[int, dict[str, str]] = {}
    broken: list[BrokenLine] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows[number] = _json_row(line)
        except (ValueError, RecursionError) as error:
            broken.append((number, line.strip(), f"not a JSON row: {error}"))
    header = list(dict.fromkeys(name for row in rows.values() for name in row))
    cells = []
    for name in header:
        texts = [row.get(name, "") for row in rows.values()]
        cells.append(pa.array(texts, TEXT))
    return RawRows(file, header, cells, np.array([*rows], dtype=np.int64), tuple(broken))


def _json_row(line: str) -> dict[str, str]:
    """Read a JSON object of plain values as texts."""
    row = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    if not isinstance(row, dict):
        raise ValueError("it must be an object of names and values")
    return {_json_text(name, name): _json_text(name, value) for name, value in row.items()}


def _json_text(name: str, value: Any) -> str:
    if isinstance(value, list | dict):
        raise ValueError(f"{printable(name)} must be a text, a number, true, false or null")
    text = {None: "", True: "true", False: "false"}.get(value, value)
    text.encode()  # refuses half a surrogate pair: UnicodeEncodeError is a ValueError
    return text


def _split_parquet(path: Path) -> RawRows:
    """Read Parquet and write every value as text; null becomes ''."""
    table, columns = _parquet(_read_as_text, path)
    cells = [pa.concat_arrays(column.chunks or [pa.array([], TEXT)]) for column in columns]
    return RawRows(path.name, table.column_names, cells, np.arange(1, table.num_rows + 1))


def _read_as_text(path: Path) -> tuple[pa.Table, list[pa.ChunkedArray]]:
    table = pq.read_table(path, partitioning=None)
    return table, [_as_text(column) for column in table.columns]


def _as_text(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Write typed values as text; null becomes '', a duration the number of its seconds."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_duration(column.type):
        nanoseconds = column.cast(pa.duration("ns")).cast(pa.int64())
        column = pc.divide(nanoseconds.cast(pa.float64(), safe=False), 1e9)
    return column.cast(TEXT).fill_null("")


def _parquet(read: Callable[[Path], Any], path: Path) -> Any:
    """Call a reader of a Parquet file; what Arrow refuses becomes one ValueError."""
    try:
        return read(path)
    except (pa.ArrowException, OSError) as error:
        reason = f"cannot be read as Parquet of plain values: {printable(str(error), 200)}"
        raise ValueError(f"{path.name} {reason}") from None
