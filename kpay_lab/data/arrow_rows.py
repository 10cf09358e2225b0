"""Rows of Parquet files and frames; their values keep their types."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kpay_lab.data.headers import known_names
from kpay_lab.data.rows import TEXT, RawRows, listed, printable

FIRST_ROWS = 10_000


def split_parquet(path: Path, file: str, renames: Collection[str] = ()) -> RawRows:
    """Read a Parquet file; values keep their types.

    A column of lists, structs, maps or bytes is left out with a note, unless its name is known.

    Raises
    ------
    ValueError
        If the file is not Parquet, or a column with a known name does not hold plain values.
    """
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(file, error) from None
    columns = [pa.concat_arrays(_chunks(column)) for column in table.columns]
    return plain_rows(file, table.column_names, columns, table.num_rows, renames)


def parquet_beginning(path: Path, file: str, renames: Collection[str] = ()) -> RawRows:
    """Read the first rows of a Parquet file, as `split_parquet` reads all."""
    try:
        with pq.ParquetFile(path) as opened:
            schema = opened.schema_arrow
            batch = next(opened.iter_batches(FIRST_ROWS), None)
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(file, error) from None
    table = schema.empty_table() if batch is None else pa.Table.from_batches([batch])
    columns = [pa.concat_arrays(_chunks(column)) for column in table.columns]
    return plain_rows(file, table.column_names, columns, table.num_rows, renames)


def parquet_header(path: Path, file: str) -> list[str]:
    """Return the names of a Parquet file's columns; without one a ValueError."""
    try:
        return pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(file, error) from None


def _not_parquet(file: str, error: Exception) -> ValueError:
    return ValueError(f"{file} cannot be read as Parquet: {printable(str(error), 200)}")


def split_frame(frame: pd.DataFrame, name: str, renames: Collection[str] = ()) -> RawRows:
    """Take the rows of a frame; values keep their types.

    In a column of several types, such as 7 and "u8", each value is written as text for itself.
    A column of lists, dicts or bytes is left out with a note, unless its name is known.

    Parameters
    ----------
    frame : DataFrame
        Its columns are those of the table; its index is ignored.
    name : str
        The name that messages give it.
    renames : collection of str
        Names of columns that a mapping renames.

    Raises
    ------
    ValueError
        If a column with a known name does not hold plain values.

    Examples
    --------
    >>> rows = split_frame(pd.DataFrame({"uid": [7, 8], "likes": [1.0, None]}), "events")
    >>> rows.header, [cells.to_pylist() for cells in rows.cells]
    (['uid', 'likes'], [[7, 8], [1.0, None]])
    """
    header = [str(column) for column in frame.columns]
    columns = []
    for position in range(len(header)):
        columns.append(_frame_column(frame.iloc[:, position]))
    return plain_rows(name, header, columns, len(frame), renames)


def _frame_column(values: pd.Series) -> pa.Array | None:
    """Return a column in its type, of several types as text; None where values are not plain."""
    try:
        cells = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError):
        if not values.map(pd.api.types.is_scalar).all():
            return None
        cells = pa.array(values.astype("str"), TEXT, from_pandas=True)
    return pa.concat_arrays(_chunks(cells))


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    if isinstance(column, pa.ChunkedArray):
        return column.chunks or [pa.array([], column.type)]
    return [column]


def plain_rows(
    file: str,
    header: Sequence[str],
    columns: Sequence[pa.Array | None],
    n_rows: int,
    renames: Collection[str],
) -> RawRows:
    """Keep the columns of plain values, and say which are left out."""
    names = []
    cells = []
    left_out = []
    for name, column in zip(header, columns, strict=True):
        plain = None if column is None else _plain(column)
        if plain is not None:
            names.append(name)
            cells.append(plain)
        elif known_names([name], renames):
            kind = "several types" if column is None else printable(str(column.type))
            raise ValueError(f"{file}: {printable(name)} must hold plain values; it holds {kind}")
        else:
            left_out.append(name)
    notes: tuple[str, ...] = ()
    if left_out:
        notes = (f"{file}: the columns {listed(left_out)} hold no plain values and are left out",)
    return RawRows(file, names, cells, np.arange(1, n_rows + 1), notes=notes)


def _plain(column: pa.Array) -> pa.Array | None:
    """Return plain values: text in one type, dictionaries decoded; None for any other."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(column.storage)
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(column))
    if pa.types.is_nested(kind):
        return None
    if _is_binary(kind):
        return _text_of_bytes(column)
    is_text = pa.types.is_string(kind) or pa.types.is_string_view(kind)
    if is_text or pa.types.is_null(kind):
        return column.cast(TEXT)
    return column


def _is_binary(kind: pa.DataType) -> bool:
    is_long = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return is_long or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind)


def _text_of_bytes(column: pa.Array) -> pa.Array | None:
    """Read bytes as the UTF-8 text that old writers of Parquet mean by them."""
    try:
        return column.cast(pa.large_binary()).cast(TEXT)
    except pa.ArrowInvalid:
        return None


def as_text(column: pa.Array) -> pa.Array:
    """Write typed values as text; null becomes '', a duration the number of its seconds."""
    if pa.types.is_duration(column.type):
        nanoseconds = column.cast(pa.duration("ns")).cast(pa.int64())
        column = pc.divide(nanoseconds.cast(pa.float64(), safe=False), 1e9)
    return column.cast(TEXT).fill_null("")
