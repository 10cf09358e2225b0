"""The schemas of a log's Parquet files: checked together, and brought to one form."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import polars.exceptions
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from kpay_lab import columns as c
from kpay_lab.data.event_types import EventTypes, has_types
from kpay_lab.data.headers import columns_of, units_of_columns
from kpay_lab.data.parsing import parse_ids

BATCH = 4_000_000  # events added up at once: under a gigabyte
WANTED = {
    "user_id": ("text", "number"),
    "item_id": ("text", "number"),
    "timestamp": ("time",),
    **dict.fromkeys((*c.SUMMED, *c.LARGEST), ("number",)),
}


def known_columns(header: Sequence[str]) -> dict[str, list[str]]:
    """Name the columns of a file that totals use: design's name → the file's names for it.

    >>> known_columns(["uid", "内容", "play_time", "colour"])
    {'user_id': ['uid'], 'item_id': ['内容'], 'watch_time': ['play_time']}
    """
    return {name: given for name, given in columns_of("events", header).items() if name in WANTED}


def schema_faults(file: str, kinds: Mapping[str, str]) -> list[str]:
    """Say what is wrong with the columns of a file.

    Parameters
    ----------
    file : str
    kinds : mapping
        Column → ``text``, ``number``, ``time``, ``nothing`` or the name of another type.
    """
    names = known_columns(list(kinds))
    faults = [
        f"{file} has no column {name}" for name in ("user_id", "item_id") if name not in names
    ]
    for name, given in names.items():
        if len(given) > 1:
            faults.append(f"{file} names {name} more than once: {', '.join(given)}")
        kind = kinds[given[0]]
        if kind not in (*WANTED[name], "nothing"):
            wanted = " or ".join(WANTED[name])
            faults.append(f"{file}: {given[0]} is of type {kind}; it must hold {wanted}")
    for name, unit in units_of_columns("events", list(kinds)).items():
        if unit not in ("seconds", "share"):
            faults.append(f"{file}: {name} is in {unit}, which only engine memory converts")
    if has_types(list(kinds), EventTypes()):
        faults.append(f"{file} has a column of types of behaviour, which only engine memory reads")
    return faults


def read_events(paths: str | Path | Sequence[str | Path]) -> pd.DataFrame:
    """Read a log that fits into memory, its ids as categories: four bytes an event.

    Parquet mostly stores each distinct id once and then numbers; the numbers are taken as
    they are, so that no text is compared event by event. Only the columns that totals use
    are read, under their names in the files; nothing is checked, unlike `workbench.open_log`.

    Returns
    -------
    DataFrame
        For `totals.pair_totals`; ``user_id`` and ``item_id`` are categories.

    Raises
    ------
    ValueError
        If the ids are not text columns named user_id and item_id.
    """
    ids = ["user_id", "item_id"]
    schema = ds.dataset(paths, format="parquet").schema
    texts = {field.name for field in schema if field.type in (pa.string(), pa.large_string())}
    if wrong := [name for name in ids if name not in texts]:
        raise ValueError(f"{wrong[0]} must be a text column; rename or cast it first")
    chosen = [name for name in schema.names if name in WANTED]
    table = pq.read_table(paths, columns=chosen, read_dictionary=ids)
    columns = {
        name: joined_categories(table[name]) if name in ids else table[name].to_pandas()
        for name in chosen
    }
    del table
    pa.default_memory_pool().release_unused()  # else Arrow keeps what the events were read into
    return pd.DataFrame(columns, copy=False)


def joined_categories(column: pa.ChunkedArray) -> pd.Categorical:
    """Number ids over chunks that carry dictionaries, many of them the same one."""
    chunks = [
        (chunk.dictionary.buffers()[1].address, chunk) for chunk in column.chunks if len(chunk)
    ]
    own = {address: chunk.dictionary for address, chunk in chunks}
    texts = [dictionary.to_numpy(zero_copy_only=False) for dictionary in own.values()]
    position, known = pd.factorize(np.concatenate([np.array([], dtype=object), *texts]))
    ends = np.cumsum([len(words) for words in texts])
    parts = np.split(position.astype(np.int32), ends[:-1]) if texts else []
    positions = {address: np.append(part, -1) for address, part in zip(own, parts, strict=True)}
    codes = [positions[address][chunk.indices.fill_null(-1)] for address, chunk in chunks]
    numbers = np.concatenate([np.array([], np.int32), *codes])
    return pd.Categorical.from_codes(numbers, pd.Index(known, dtype="str"))


def batches(paths: Sequence[Path]) -> list[pl.LazyFrame]:
    """Scan Parquet files in the form of `streaming.EventLog`, a bounded number of events each.

    A column that only some files have is null in the others.

    Raises
    ------
    ValueError
        Naming every file that is no Parquet or has faults in its schema.
    """
    schemas, faults = [], []
    for path in paths:
        try:
            schemas.append(pl.read_parquet_schema(path))
        except (pl.exceptions.ComputeError, OSError) as error:
            faults.append(f"{path.name} cannot be read as Parquet ({error})")
            continue
        kinds = {name: _kind(dtype) for name, dtype in schemas[-1].items()}
        faults += schema_faults(path.name, kinds)
    if faults or not paths:
        raise ValueError("; ".join(faults) or "there is no Parquet file of events")
    held = {name for schema in schemas for name in known_columns(list(schema))}
    pieces = []
    for path, schema in zip(paths, schemas, strict=True):
        n, scan = pq.read_metadata(path).num_rows, pl.scan_parquet(path)
        for start in range(0, max(n, 1), BATCH):
            piece = scan.slice(start, BATCH).select(_columns(schema, held))
            pieces.append((piece, min(BATCH, n - start)))
    return _together(pieces)


def _together(pieces: Sequence[tuple[pl.LazyFrame, int]]) -> list[pl.LazyFrame]:
    """Put pieces below each other while a batch has room, and number their rows throughout."""
    found: list[tuple[list[pl.LazyFrame], int]] = []
    for piece, n in pieces:
        if found and found[-1][1] + n <= BATCH:
            found[-1] = ([*found[-1][0], piece], found[-1][1] + n)
        else:
            found.append(([piece], n))
    starts = accumulate((n for _, n in found), initial=0)
    return [
        pl.concat(parts).with_row_index("place", offset=start)
        for (parts, _), start in zip(found, starts, strict=False)
    ]


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "number"
    if dtype.is_temporal() and dtype not in (pl.Time, pl.Duration):
        return "time"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    return "nothing" if dtype == pl.Null else str(dtype)


def _columns(schema: Mapping[str, pl.DataType], held: set[str]) -> list[pl.Expr]:
    """Write each column held by any file in its one type, null where this file lacks it."""
    names = {name: given[0] for name, given in known_columns(list(schema)).items()}
    given = {name: pl.col(theirs) for name, theirs in names.items()}
    forms = []
    for name in (name for name in WANTED if name in held):
        column = given.get(name, pl.lit(None))
        if name == "timestamp":
            moments = column if name in given else column.cast(pl.Datetime("us"))
            forms.append(moments.dt.epoch("us").alias("time"))
        elif name in ("user_id", "item_id"):
            forms.append(_ids(column, schema[names[name]]).alias(name))
        else:
            forms.append(column.cast(pl.Float64).fill_nan(None).alias(name))
    return forms


def _ids(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Write ids as memory writes them; one that can no longer be told apart is null."""
    if dtype.is_integer():
        return column.cast(pl.String)
    plain = column if dtype.is_numeric() else column.cast(pl.String)
    return plain.map_batches(_parsed_ids, return_dtype=pl.String, is_elementwise=True)


def _parsed_ids(ids: pl.Series) -> pl.Series:
    texts = pa.array(parse_ids(ids.to_arrow()).values, pa.large_string(), from_pandas=True)
    return pl.Series(ids.name, texts)
