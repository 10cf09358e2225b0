"""A log in Parquet files, or in a file of DuckDB, asked through DuckDB.

DuckDB reads the files itself, keeps to a memory limit, and writes to a scratch folder what does
not fit; both are named in the error where they do not suffice.
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import psutil
import pyarrow as pa
from ibis.backends.duckdb import Backend

from kpay_lab.interest.pushdown import IbisLog

BATCH = 1_000_000  # rows of an answer that come over at once
SHARE_OF_MEMORY = 0.25  # of what is free; the answer needs its own beside it
LEAST_MEMORY = 500_000_000  # bytes
SCALE = 2.0**60  # sums are taken of whole multiples of 1 / SCALE


@dataclass(frozen=True)
class DuckDBLog(IbisLog):
    """Events in any table of a DuckDB connection.

    Parameters
    ----------
    events : ibis.Table
        As `interest.pushdown` describes it.
    backend : ibis.backends.duckdb.Backend
        The connection that holds it; see `open_duckdb`.
    """

    backend: Backend

    def fetch(self, answer: ir.Table) -> Iterator[pa.RecordBatch]:
        """Have DuckDB answer; a limit that ends it is one line."""
        query = str(self.backend.compile(answer))
        try:
            yield from self.backend.con.sql(query).to_arrow_reader(BATCH)
        except duckdb.OutOfMemoryException as error:
            raise ValueError(_limit_fault(self.backend)) from error
        except duckdb.IOException as error:
            raise ValueError(f"DuckDB cannot read or write: {_first_line(error)}") from error

    def total(self, values: ir.NumericColumn) -> ir.NumericScalar:
        """Add up whole multiples of 2⁻⁶⁰: the sum is the same in whatever order threads add."""
        multiples = (values * SCALE).cast("decimal(38, 0)")
        return multiples.sum().cast("float64") / SCALE

    def bring(self, table: pa.Table) -> ir.Table:
        """Register a small table of ours."""
        name = ibis.util.gen_name("kpay")
        self.backend.con.register(name, table)
        return self.backend.table(name)


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


def _limit_fault(backend: Backend) -> str:
    """Say which limit ended a query, and what helps."""
    limit = _setting(backend, "memory_limit")
    scratch = _setting(backend, "temp_directory")
    free_disk = shutil.disk_usage(scratch).free
    return (
        f"adding up the events ended at a limit: DuckDB may take {limit} of memory and may write "
        f"to {scratch}, where {free_disk / 1e9:.1f} GB are free; free memory or disk, let TMPDIR "
        "name a folder on a larger disk, or add up fewer events with since and until"
    )


def _setting(backend: Backend, name: str) -> str:
    (found,) = backend.con.sql(f"SELECT current_setting('{name}')").fetchone()
    return str(found)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
