"""Rows of the sheets of a workbook (.xlsx, .xls, .xlsb, .ods), as calamine reads them."""

import zipfile
import zlib
from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from kpay_lab.data.layout import Layout, Record, find_layout
from kpay_lab.data.rows import TEXT, BrokenLine, RawRows, misplaced_rows, printable

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
ROWS_LOOKED_AT = 100
LARGEST_WHOLE = 2.0**53  # from here on a spreadsheet does not keep every digit


def sheet_names(path: Path) -> list[str]:
    """Return the names of a workbook's sheets that can be seen and hold something.

    Raises
    ------
    ValueError
        If the file is no workbook, is protected by a password, or hides all its sheets.
    """
    with _opened(path) as workbook:
        visible = []
        for sheet in workbook.sheets_metadata:
            if sheet.visible == SheetVisibleEnum.Visible:
                visible.append(sheet.name)
        if not visible:
            raise ValueError(f"{path.name} has no sheet that can be seen; show one and save it")
        if len(visible) == 1:
            return visible
        return [name for name in visible if workbook.get_sheet_by_name(name).height]


def split_sheet(path: Path, sheet: str, file: str, renames: Collection[str] = ()) -> RawRows:
    """Read a sheet as typed columns: numbers, times, durations, yes/no, or text.

    In a column of several types each value is written as text for itself, a whole number
    without a point. Rows in which nothing is written are left out, and cells that hold an
    error, such as ``#N/A``, are empty.

    Parameters
    ----------
    path : Path
    sheet : str
        Its name; '' is the only sheet, or the first one.
    file : str
        The name that messages give it.
    renames : collection of str
        Names of columns that a mapping renames.

    Raises
    ------
    ValueError
        If the file is no workbook, or the sheet is empty or has no header.
    """
    rows = _read_rows(path, sheet)
    layout = _sheet_layout(rows, file, renames)
    filled = []
    for number in range(layout.n_lines, len(rows)):
        if any(map(_is_filled, rows[number])):
            filled.append(number)
    texts = [list(map(_text, rows[number])) for number in filled]
    repeated = [row for row, fields in enumerate(texts) if fields == list(layout.written)]
    reasons = misplaced_rows(repeated, len(filled), texts.__getitem__)
    broken: list[BrokenLine] = []
    for row, reason in reasons.items():
        broken.append((filled[row] + 1, ",".join(texts[row]), reason))
    kept = [number for row, number in enumerate(filled) if row not in reasons]
    header = []
    cells = []
    for position, name in enumerate(layout.names):
        values = [rows[number][position] for number in kept]
        if name or any(map(_is_filled, values)):
            header.append(name)
            cells.append(_typed(values))
    lines = np.array(kept, dtype=np.int64) + 1
    notes = (*layout.notes, *_notes_on_errors(path, file))
    return RawRows(file, header, cells, lines, tuple(broken), notes)


def sheet_header(path: Path, sheet: str, file: str, renames: Collection[str] = ()) -> list[str]:
    """Return the names of a sheet's columns; errors are those of `split_sheet`."""
    return list(_sheet_layout(_read_rows(path, sheet, ROWS_LOOKED_AT), file, renames).names)


def _opened(path: Path) -> CalamineWorkbook:
    try:
        return CalamineWorkbook.from_path(path)
    except (CalamineError, OSError) as error:
        raise _no_workbook(path, error) from None


def _no_workbook(path: Path, error: Exception) -> ValueError:
    reason = printable(str(error), 200)
    return ValueError(f"{path.name} cannot be read as a spreadsheet: {reason}")


def _read_rows(path: Path, sheet: str, most: int | None = None) -> list[list[Any]]:
    name = sheet or sheet_names(path)[0]
    with _opened(path) as workbook:
        try:
            return workbook.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=most)
        except CalamineError as error:
            reason = printable(str(error), 200)
            raise ValueError(f"{path.name}: sheet {name} cannot be read: {reason}") from None


def _sheet_layout(rows: Sequence[Sequence[Any]], file: str, renames: Collection[str]) -> Layout:
    records = []
    for line, row in enumerate(rows[:ROWS_LOOKED_AT], start=1):
        if any(map(_is_filled, row)):
            records.append(Record(line, line + 1, [_text(cell) for cell in row]))
    if not records:
        raise ValueError(f"{file} is empty; its first row must name the columns")
    return find_layout({"": records}, file, renames)


def _is_filled(cell: Any) -> bool:
    return bool(cell.strip()) if isinstance(cell, str) else True


def _typed(values: Sequence[Any]) -> pa.Array:
    """Return a column in its type, or as text where the types of its values differ."""
    kinds = {type(value) for value in values if _is_filled(value)}
    present = [value if _is_filled(value) else None for value in values]
    if kinds and kinds <= {int, float}:
        return _numbers(present)
    if kinds == {bool}:
        return pa.array(present, pa.bool_())
    if kinds and kinds <= {date, datetime}:
        return pa.array([_moment(value) for value in present], pa.timestamp("us"))
    if kinds and kinds <= {time, timedelta}:
        return pa.array([_duration(value) for value in present], pa.duration("us"))
    return pa.array([_text(value) for value in values], TEXT)


def _numbers(values: Sequence[float | None]) -> pa.Array:
    numbers = pa.array(values, pa.float64())
    is_whole = [value is None or _is_whole(value) for value in values]
    return numbers.cast(pa.int64()) if all(is_whole) else numbers


def _is_whole(value: float) -> bool:
    return float(value).is_integer() and abs(value) < LARGEST_WHOLE


def _moment(value: date | datetime | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day)


def _duration(value: time | timedelta | None) -> timedelta | None:
    if isinstance(value, time):
        whole = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second)
        return whole + timedelta(microseconds=value.microsecond)
    return value


def _text(value: Any) -> str:
    """Write a cell as text: ISO times, hours:minutes:seconds, whole numbers without a point.

    >>> _text(10001.0), _text(0.5), _text(timedelta(hours=30)), _text(date(2023, 1, 5))
    ('10001', '0.5', '30:00:00', '2023-01-05')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and _is_whole(value):
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}"
    return str(value)


def _notes_on_errors(path: Path, file: str) -> tuple[str, ...]:
    """Count the cells that hold an error; calamine gives them as empty ones.

    Only an .xlsx file tells them, in its XML.
    """
    if not zipfile.is_zipfile(path):
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
            n_errors = sum(archive.read(name).count(b' t="e"') for name in sheets)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error) as error:
        raise _no_workbook(path, error) from None  # damaged, though calamine does not mind
    if not n_errors:
        return ()
    note = f"{file}: {n_errors:,} cells of the workbook hold an error, such as #N/A; taken as empty"
    return (note,)
