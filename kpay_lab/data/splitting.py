"""Split a file, a sheet, a table of a database or a frame into rows, whatever its format.

All formats pass the same checks afterwards. Text formats give text, '' where nothing is written;
formats with types keep them.
"""

import gzip
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

import pyarrow as pa

from kpay_lab.data.arrow_rows import (
    as_text,
    parquet_beginning,
    parquet_header,
    split_frame,
    split_parquet,
)
from kpay_lab.data.databases import DatabaseTable
from kpay_lab.data.decoding import as_utf8, decode
from kpay_lab.data.delimited import split_text, split_utf8, text_layout
from kpay_lab.data.headers import known_names, may_mean_the_same
from kpay_lab.data.json_rows import split_json
from kpay_lab.data.rows import TEXT, RawRows, printable
from kpay_lab.data.spreadsheets import WORKBOOKS, sheet_header, split_sheet

__all__ = [
    "Partition",
    "Piece",
    "RawRows",
    "as_text",
    "printable",
    "read_header",
    "split_file",
    "split_frame",
]

DELIMITED = (".csv", ".tsv", ".txt", ".inter", ".item", ".user")  # the last three are RecBole's
JSON = (".json", ".jsonl", ".ndjson")
SUFFIXES = (*DELIMITED, *JSON, ".parquet", *WORKBOOKS)
UNPACKED = (".parquet", *WORKBOOKS)  # never inside .gz
HEADER_BYTES = 2**20  # the beginning of a file, which must hold its header
PAGE_BYTES = 1000  # a web page says in them that it is one
WORKBOOK_STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Partition:
    """One file of a table, or one sheet of a workbook.

    Parameters
    ----------
    path : Path
    name : str
        The name that messages give it.
    sheet : str
        The name of the sheet where a workbook has several; else ''.
    folder_columns : mapping of str to str
        Columns that the names of its folders give, as in ``dt=2023-01-05``.
    names : tuple of str
        The names of its columns, where a mapping gives them because the file has no header.
    """

    path: Path
    name: str
    sheet: str = ""
    folder_columns: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()


Piece: TypeAlias = Partition | DatabaseTable


def suffix_of(path: Path) -> str:
    """Return the suffix that tells the format of a data file; '' where it is none.

    >>> suffix_of(Path("events.csv.gz")), suffix_of(Path("log.XLSX")), suffix_of(Path("a.docx"))
    ('.csv', '.xlsx', '')
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffix = suffixes[-2] if len(suffixes) > 1 else ""
        return suffix if suffix in SUFFIXES and suffix not in UNPACKED else ""
    suffix = suffixes[-1] if suffixes else ""
    return suffix if suffix in SUFFIXES else ""


def split_file(
    partition: Piece | Path, renames: Collection[str] = (), *, with_nested: bool = False
) -> RawRows:
    """Split a file or a sheet into rows; every row knows its line, and none is lost.

    Parameters
    ----------
    partition : Partition, DatabaseTable or Path
    renames : collection of str
        Names of columns that a mapping renames; they count as known where the header, the
        separator and the encoding are looked for.
    with_nested : bool
        Whether all values in objects of JSON are columns, known or not.

    Raises
    ------
    ValueError
        If the file has no header, is not text, or is not what its suffix says; if the database
        refuses.
    """
    if isinstance(partition, DatabaseTable):
        return partition.rows(renames)
    if isinstance(partition, Path):
        partition = Partition(partition, partition.name)
    rows = _split(partition, renames, with_nested=with_nested)
    return _with_folder_columns(rows, partition, renames)


def _split(partition: Partition, renames: Collection[str], *, with_nested: bool = False) -> RawRows:
    path = partition.path
    file = partition.name
    kind = _kind(path)
    if kind == "parquet":
        return split_parquet(path, file, renames)
    if kind == "workbook":
        return split_sheet(path, partition.sheet, file, renames)
    utf8, notes = _read_utf8(path, file, renames)
    _refuse_pages(utf8[:PAGE_BYTES].decode(errors="ignore"), file)
    if kind == "text":
        rows = split_utf8(utf8, file, renames, partition.names)
        return replace(rows, notes=(*notes, *rows.notes))
    text = utf8.decode()
    if not text or text.isspace():
        raise ValueError(f"{file} is empty; its first line must name the columns")
    rows = split_json(text, file, renames, with_nested=with_nested)
    return replace(rows, notes=(*notes, *rows.notes))


def read_header(partition: Piece | Path, renames: Collection[str] = ()) -> list[str]:
    """Read the names of a file's columns from its beginning.

    In JSON the names are those in the rows there.

    Raises
    ------
    ValueError
        If the file has no header, is not text, or is not what its suffix says; if the database
        refuses.
    """
    if isinstance(partition, DatabaseTable):
        return partition.header()
    if isinstance(partition, Path):
        partition = Partition(partition, partition.name)
    header = _header(partition, renames)
    usable = _usable_folder_columns(header, partition.folder_columns, renames)
    return [*header, *usable]


def read_beginning(
    partition: Piece, renames: Collection[str] = (), *, with_nested: bool = False
) -> RawRows:
    """Read the first rows of a file, to see what they look like; of a workbook all rows.

    With ``with_nested`` all values in objects of JSON are columns, known or not.

    Raises
    ------
    ValueError
        As `split_file` does.
    """
    if isinstance(partition, DatabaseTable):
        return partition.beginning(renames)
    path = partition.path
    file = partition.name
    kind = _kind(path)
    if kind == "workbook":
        return split_file(partition, renames)
    if kind == "parquet":
        return _with_folder_columns(parquet_beginning(path, file, renames), partition, renames)
    raw = _read_bytes(path, file, HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        return split_file(partition, renames, with_nested=with_nested)
    text, _ = decode(raw, file, renames=renames, whole=False)
    _refuse_pages(text, file)
    whole_lines = text.rpartition("\n")[0]
    if kind == "json":
        rows = split_json(whole_lines, file, renames, with_nested=with_nested)
    else:
        rows = split_text(whole_lines, file, renames, partition.names)
    return _with_folder_columns(rows, partition, renames)


def _header(partition: Partition, renames: Collection[str]) -> list[str]:
    path = partition.path
    file = partition.name
    kind = _kind(path)
    if kind == "parquet":
        return parquet_header(path, file)
    if kind == "workbook":
        return sheet_header(path, partition.sheet, file, renames)
    raw = _read_bytes(path, file, HEADER_BYTES)
    is_whole = len(raw) < HEADER_BYTES
    text, _ = decode(raw, file, renames=renames, whole=is_whole)
    _refuse_pages(text, file)
    if not text or text.isspace():
        raise ValueError(f"{file} is empty; its first line must name the columns")
    if kind == "text":
        return list(text_layout(text, file, renames, partition.names).names)
    if not is_whole and not text.lstrip().startswith("["):
        whole_lines = text.rpartition("\n")[0]
        return split_json(whole_lines, file, renames).header
    return _split(partition, renames).header


def _kind(path: Path) -> str:
    """Return parquet, json, workbook or text; a workbook is known by its first bytes too.

    Shops' systems write text or a web page into files that they name .xls.
    """
    suffix = suffix_of(path)
    if suffix == ".parquet":
        return "parquet"
    if suffix in JSON:
        return "json"
    with path.open("rb") as stream:
        is_workbook = stream.read(4) in WORKBOOK_STARTS
    if is_workbook or (suffix in WORKBOOKS and suffix != ".xls"):
        return "workbook"
    return "text"


def _read_bytes(path: Path, file: str, most: int = -1) -> bytes:
    """Read a file or its beginning, unpacked."""
    if path.suffix.lower() != ".gz":
        with path.open("rb") as stream:
            return stream.read(most)
    try:
        with gzip.open(path) as unpacked:
            return unpacked.read(most)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file} cannot be unpacked: {error}") from None


def _read_utf8(path: Path, file: str, renames: Collection[str]) -> tuple[bytes, tuple[str, ...]]:
    raw = _read_bytes(path, file)
    return as_utf8(raw, file, renames=renames)


def _refuse_pages(text: str, file: str) -> None:
    if text[:200].lstrip().lower().startswith(("<html", "<!doctype", "<table", "<?xml", "<meta")):
        raise ValueError(
            f"{file} is a web page, not a table; open it in a spreadsheet program and save it "
            "as .xlsx or .csv"
        )


def _with_folder_columns(rows: RawRows, partition: Partition, renames: Collection[str]) -> RawRows:
    """Add the columns that the names of folders give, where they are known and not there yet."""
    values = partition.folder_columns
    usable = _usable_folder_columns(rows.header, values, renames)
    header = [*rows.header, *usable]
    cells = list(rows.cells)
    for name in usable:
        value = "" if values[name] == HIVE_NULL else unquote(values[name])
        cells.append(pa.repeat(pa.scalar(value, TEXT), len(rows)))
    notes = list(rows.notes)
    unused = [name for name in values if name not in usable]
    if unused:
        example = ", ".join(f"{name}={values[name]}" for name in unused)
        notes.append(f"{rows.file}: its folder says {printable(example)}, which is not used")
    return replace(rows, header=header, cells=cells, notes=tuple(notes))


def _usable_folder_columns(
    header: Collection[str], values: Mapping[str, str], renames: Collection[str]
) -> list[str]:
    """Return the names in the folders that are known and that the file does not have itself."""
    usable = []
    for name in known_names([*values], renames):
        is_in_the_file = any(may_mean_the_same(name, own) for own in header)
        if not is_in_the_file:
            usable.append(name)
    return usable
