"""A log in Parquet files, or in a file of DuckDB, asked through DuckDB.

DuckDB reads the files itself, keeps to a memory limit, and writes to a scratch folder what does
not fit; both are named in the error where they do not suffice.
"""

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
from ibis.backends.duckdb import Backend

from kpay_lab.data.cells import flat
from kpay_lab.data.parsing import parse_ids
from kpay_lab.interest.parquet import WANTED, known_columns, schemas_of
from kpay_lab.interest.pushdown import IDS, IbisLog, different_values, with_values_of

SHARE_OF_MEMORY = 0.25  # of what is free; the answer needs its own beside it
ROWS_OF_A_FILE = 2**40  # more than a file has
LEAST_MEMORY = 500_000_000  # bytes
SCALE = 2.0**60  # sums are taken of whole multiples of 1 / SCALE

# A fault in the middle of an answer comes through Arrow, in DuckDB's words.
FAULTS_OF_READING = (duckdb.OutOfMemoryException, duckdb.IOException, pa.ArrowException, OSError)


@ibis.udf.scalar.builtin
def epoch_us(moment: dt.timestamp) -> int:  # type: ignore[empty-body]
    """Return the microseconds since 1970 of a moment."""


@dataclass(frozen=True)
class DuckDBLog(IbisLog):
    """Events in any table of a DuckDB connection.

    Parameters
    ----------
    events : ibis.Table
        As `interest.pushdown` describes it.
    backend : ibis.backends.duckdb.Backend
        The connection that holds it; see `open_duckdb`.
    ids : mapping of str to pandas.Index
        ``user_id`` or ``item_id`` → its different ids, where the events hold their positions:
        whole numbers are grouped faster than text, and come over in less memory.
    """

    backend: Backend
    ids: Mapping[str, pd.Index] = field(default_factory=dict, repr=False)

    def fetch(self, answer: ir.Table) -> pa.Table:
        """Have DuckDB answer; a limit that ends it is one line."""
        query = str(self.backend.compile(answer))
        try:
            found = self.backend.con.sql(query).to_arrow_table()
        except FAULTS_OF_READING as error:
            raise ValueError(_fault(self.backend, error)) from error
        for name in self.ids:
            if name in found.column_names:
                place = found.column_names.index(name)
                found = found.set_column(place, name, self._texts(name, found[name]))
        return found

    def _texts(self, column: str, positions: pa.ChunkedArray) -> pa.ChunkedArray:
        """Give positions of ids their texts, which all chunks share."""
        texts = flat(pa.array(self.ids[column], pa.string()))
        kind = pa.dictionary(pa.int32(), texts.type)
        chunks = [pa.DictionaryArray.from_arrays(part, texts) for part in positions.chunks]
        return pa.chunked_array(chunks, kind)

    def total(self, values: ir.NumericColumn) -> ir.NumericScalar:
        """Add up exactly, see `exact_total`."""
        return exact_total(values)

    def only(self, column: str, ids: pd.Series) -> Self:
        """Join with the ids, or with their positions."""
        if column not in self.ids:
            return super().only(column, ids)
        positions = self.ids[column].get_indexer(pd.Index(ids, dtype="str").unique())
        known = self.bring(pa.table({column: positions[positions >= 0].astype(np.int32)}))
        return replace(self, events=self.events.semi_join(known, column))

    def bring(self, table: pa.Table) -> ir.Table:
        """Copy a small table of ours, so that DuckDB knows its length when it plans a join."""
        name = ibis.util.gen_name("kpay")
        self.backend.con.register(f"{name}_ours", table)
        self.backend.con.execute(f"CREATE TEMPORARY TABLE {name} AS SELECT * FROM {name}_ours")
        self.backend.con.unregister(f"{name}_ours")
        return self.backend.table(name)


def exact_total(values: ir.NumericColumn) -> ir.NumericScalar:
    """Add up whole multiples of 2⁻⁶⁰: the sum is the same in whatever order threads add."""
    multiples = (values * SCALE).cast("decimal(38, 0)")
    return multiples.sum().cast("float64") / SCALE


def parquet_log(paths: Sequence[str | Path], memory_limit: int | None = None) -> DuckDBLog:
    """Open Parquet files as one log; of the rows only different ids are read.

    A column that only some files have is null in the others.

    Parameters
    ----------
    paths : sequence of str or Path
        In the order that the ids shall have.
    memory_limit : int, optional
        As for `open_duckdb`.

    Raises
    ------
    ValueError
        If a file is no Parquet, lacks an id or holds a column of the wrong type: all such
        faults at once.
    """
    schemas = schemas_of([Path(path) for path in paths])
    held = {name for schema in schemas for name in known_columns(schema.names)}
    backend = open_duckdb(memory_limit=memory_limit)
    parts = []
    for numbers in _files_of_one_schema(schemas):
        view = _view(backend, paths, schemas, numbers)
        schema = schemas[numbers[0]]
        parts.append(DuckDBLog(view.select(_forms(view, schema, held)), backend))
    ids = {}
    for column in IDS:
        parts, ids[column] = _with_ids_numbered(parts, column)
    events = [part.events for part in parts]
    return DuckDBLog(ibis.union(*events) if len(events) > 1 else events[0], backend, ids)


def _with_ids_numbered(parts: Sequence[DuckDBLog], column: str) -> tuple[list[DuckDBLog], pd.Index]:
    """Read the different ids of a column of all parts, and put their positions for the ids."""
    written_in = [different_values(part, column) for part in parts]
    read_in = [pd.Index(parse_ids(written).values) for written in written_in]
    none = pd.Index([], dtype="str")
    ids = none.append(read_in).dropna().unique()
    numbered = []
    for part, written, read in zip(parts, written_in, read_in, strict=True):
        positions = ids.get_indexer(read)
        is_read = positions >= 0
        known = pa.table(
            {"written": written.filter(is_read), "read": positions[is_read].astype(np.int32)}
        )
        numbered.append(with_values_of(part, column, known))
    return numbered, ids


def _files_of_one_schema(schemas: Sequence[pa.Schema]) -> list[list[int]]:
    """Return the numbers of the files that have the same columns of the same types."""
    numbers_of: dict[frozenset[tuple[str, str]], list[int]] = {}
    for number, schema in enumerate(schemas):
        columns = frozenset((field.name, str(field.type)) for field in schema)
        numbers_of.setdefault(columns, []).append(number)
    return list(numbers_of.values())


def _view(
    backend: Backend,
    paths: Sequence[str | Path],
    schemas: Sequence[pa.Schema],
    numbers: list[int],
) -> ir.Table:
    """Name the files as one table, with the place of every row in the whole log."""
    schema = schemas[numbers[0]]
    given = [name for names in known_columns(schema.names).values() for name in names]
    columns = ", ".join(_quoted(name, '"') for name in given)
    files = ", ".join(_quoted(str(paths[number]), "'") for number in numbers)
    name = ibis.util.gen_name("kpay")
    backend.con.execute(
        f"CREATE VIEW {name} AS SELECT {columns}, {numbers}[file_index::BIGINT + 1]::BIGINT "
        f"* {ROWS_OF_A_FILE} + file_row_number AS place "
        f"FROM read_parquet([{files}], union_by_name = true)"
    )
    return backend.table(name)


def _quoted(text: str, mark: str) -> str:
    return mark + text.replace(mark, mark * 2) + mark


def _forms(view: ir.Table, schema: pa.Schema, held: set[str]) -> list[ir.Value]:
    """Write each column held by any file in its one type, null where these files lack it."""
    names = known_columns(schema.names)
    forms = []
    for name in (name for name in WANTED if name in held):
        has_values = name in names and not pa.types.is_null(schema.field(names[name][0]).type)
        form = _form(name, view[names[name][0]]) if has_values else ibis.null(_type_of(name))
        forms.append(form.name("time" if name == "timestamp" else name))
    return [*forms, view["place"]]


def _form(name: str, cells: ir.Value) -> ir.Value:
    """Write the values of a column as `interest.pushdown` has them; ids are read later."""
    if name in IDS:
        return cells
    if name == "timestamp":
        return epoch_us(cells)
    numbers = cells.cast("float64")
    return numbers.isnan().ifelse(ibis.null("float64"), numbers)


def _type_of(name: str) -> str:
    if name in IDS:
        return "string"
    return "int64" if name == "timestamp" else "float64"


def open_duckdb(path: str | Path = ":memory:", memory_limit: int | None = None) -> Backend:
    """Connect to DuckDB with a memory limit and a private scratch folder.

    Parameters
    ----------
    path : str or Path
        File of a database, which is only read; by default none.
    memory_limit : int, optional
        Bytes; by default a quarter of the memory that is free, at least half a gigabyte.
    """
    if memory_limit is None:
        free = psutil.virtual_memory().available
        memory_limit = max(int(SHARE_OF_MEMORY * free), LEAST_MEMORY)
    scratch = tempfile.mkdtemp(prefix="kpay-totals-")
    backend = ibis.duckdb.connect(
        path,
        read_only=str(path) != ":memory:",
        memory_limit=f"{memory_limit}B",
        temp_directory=scratch,
        preserve_insertion_order=False,
    )
    weakref.finalize(backend, shutil.rmtree, scratch, ignore_errors=True)
    return backend


def _fault(backend: Backend, error: Exception) -> str:
    """Say in one line what ended a query; of a limit, which one and what helps."""
    if "Out of Memory" not in str(error):
        return f"DuckDB cannot read or write: {_first_line(error)}"
    limit = _setting(backend, "memory_limit")
    scratch = _setting(backend, "temp_directory")
    free_disk = shutil.disk_usage(scratch).free
    return (
        f"adding up the events ended at a limit: DuckDB may take {limit} of memory and may write "
        f"to {scratch}, where {free_disk / 1e9:.1f} GB are free; free memory or disk, let TMPDIR "
        "name a folder on a larger disk, or add up fewer events with since and until"
    )


def _setting(backend: Backend, name: str) -> str:
    (found,) = backend.con.execute(f"SELECT current_setting('{name}')").fetchone()
    return str(found)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
