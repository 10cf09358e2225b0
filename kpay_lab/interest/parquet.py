"""A log's Parquet files: their schemas, checked together, and their events read into memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from kpay_lab import columns as c
from kpay_lab.data.cells import is_number_type
from kpay_lab.data.event_types import EventTypes, has_types
from kpay_lab.data.headers import columns_of, units_of_columns

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


def schemas_of(paths: Sequence[Path]) -> list[pa.Schema]:
    """Read the schema of each Parquet file of a log; no row is read.

    Raises
    ------
    ValueError
        Naming every file that is no Parquet or has faults in its schema.
    """
    schemas = []
    faults = []
    for path in paths:
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            faults.append(f"{path.name} cannot be read as Parquet ({error})")
            continue
        kinds = {field.name: _kind(field.type) for field in schema}
        faults += schema_faults(path.name, kinds)
        schemas.append(schema)
    if faults or not paths:
        raise ValueError("; ".join(faults) or "there is no Parquet file of events")
    return schemas


def _kind(dtype: pa.DataType) -> str:
    """Return what `schema_faults` calls a type of Arrow."""
    if pa.types.is_dictionary(dtype):
        dtype = dtype.value_type
    if is_number_type(dtype) or pa.types.is_boolean(dtype):
        return "number"
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return "time"
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return "text"
    return "nothing" if pa.types.is_null(dtype) else str(dtype)
