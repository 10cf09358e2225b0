"""A log in a database as `interest.pushdown` asks it: the events stay where they are.

The database is only read, so nothing of ours can be put there. Ids that the events are joined
with go to PostgreSQL inside the question, and stay on this side of SQLite and DuckDB.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from kpay_lab.columns import LARGEST, SUMMED
from kpay_lab.data.database_drivers import Driver, QueryColumn, quoted
from kpay_lab.data.databases import Database, DatabaseTable
from kpay_lab.data.event_types import has_types
from kpay_lab.data.headers import columns_of, units_of_columns
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.rows import printable
from kpay_lab.data.sources import find_partitions
from kpay_lab.data.time_cells import parse_times
from kpay_lab.interest.parquet_log import exact_total
from kpay_lab.interest.pushdown import IDS, IbisLog, with_ids_read

SEPARATOR = "\x1f"  # between ids that travel in one text
NOTHING = "\x1e"  # an id that cannot be read
NUMBERS = re.compile(
    r"u?(tiny|small|big|huge)?int(eger)?|(numeric|decimal)(\(.*\))?|real|float|double( precision)?"
)
YES_OR_NO = "boolean"
TIMES = re.compile(r"date|timestamp.*")
MEASURES = (*SUMMED, *LARGEST)
FOLLOWED = ("tables", "columns")  # what a mapping may say of a log that is added up there


@dataclass(frozen=True)
class DatabaseLog(IbisLog):
    """Events in a database, through the connection that reads the other tables.

    Parameters
    ----------
    events : ibis.Table
        As `interest.pushdown` describes it.
    backend : ibis backend
    driver : Driver
        Its connection is the backend's.
    """

    backend: Any = field(repr=False)
    driver: Driver = field(repr=False)

    def fetch(self, answer: ir.Table) -> pa.Table:
        """Have the database answer."""
        query = str(self.backend.compile(answer))
        columns = self.driver.columns(query)
        cells = self.driver.rows(query, columns)
        names = [column.name for column in columns]
        return pa.Table.from_arrays(cells, names)

    def total(self, values: ir.NumericColumn) -> ir.NumericScalar:
        """Add up as the database does: PostgreSQL and SQLite in the order of their rows.

        DuckDB adds up in several threads, and so whole multiples of a small number.
        """
        return exact_total(values) if self.driver.dialect == "duckdb" else values.sum()

    def bring(self, table: pa.Table) -> ir.Table:
        """Make a small table of text known to the database, without writing to it."""
        if self.driver.dialect == "duckdb":
            name = ibis.util.gen_name("kpay")
            self.driver.connection.register(name, table)
            return self.backend.table(name)
        if self.driver.dialect == "sqlite":
            name = _temporary_table(self.driver, table)
            return self._query(f"SELECT * FROM {name}", table.column_names)
        columns = [f"{_unnested(table[name])} AS {quoted(name)}" for name in table.column_names]
        return self._query(f"SELECT {', '.join(columns)}", table.column_names)

    def _query(self, query: str, names: Sequence[str]) -> ir.Table:
        schema = dict.fromkeys(names, "string")
        return self.backend.sql(query, schema=ibis.schema(schema))


def _unnested(texts: pa.ChunkedArray) -> str:
    """Write a column of texts as SQL of PostgreSQL: one text, taken apart there."""
    together = SEPARATOR.join(NOTHING if text is None else text for text in texts.to_pylist())
    written = together.replace("'", "''")
    if not len(texts):
        return "unnest(ARRAY[]::text[])"
    return f"unnest(string_to_array('{written}', '{SEPARATOR}', '{NOTHING}'))"


def _temporary_table(driver: Driver, table: pa.Table) -> str:
    """Put a table beside the database, where SQLite keeps what is not to stay."""
    name = ibis.util.gen_name("kpay")
    columns = ", ".join(map(quoted, table.column_names))
    marks = ", ".join("?" * table.num_columns)
    driver.connection.execute(f"CREATE TEMPORARY TABLE {name} ({columns})")
    rows = zip(*[column.to_pylist() for column in table.columns], strict=True)
    driver.connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
    first = quoted(table.column_names[0])
    driver.connection.execute(f"CREATE INDEX {name}_index ON {name} ({first})")
    return name


def database_log(database: Database, mapping: LogMapping | None = None) -> DatabaseLog:
    """Open the events of a database to be added up there; of the rows only different ids come.

    Parameters
    ----------
    database : Database
        Open, and open for as long as the log is asked.
    mapping : LogMapping, optional
        Which tables or queries hold the events, and what their columns are called.

    Raises
    ------
    ValueError
        If the events lack an id, or hold a column that cannot be added up there: all such
        faults at once.
    """
    meant = mapping or LogMapping()
    faults = mapping_faults(meant)
    if faults:
        raise ValueError("\n".join(faults))
    found = find_partitions(database, meant.fed_by, meant.event_types, meant.columns)
    pieces = [one for one in found.partitions["events"] if isinstance(one, DatabaseTable)]
    renames = meant.renames("events")
    with database.driver() as driver:
        parts = [_Part.of(piece, driver, renames) for piece in pieces]
        faults = [fault for part in parts for fault in part.faults()]
        if faults:
            raise ValueError("; ".join(faults))
        held = {name for part in parts for name in part.names}
        names = [name for name in (*IDS, "timestamp", *MEASURES) if name in held]
        query = "\nUNION ALL ".join(part.selected(names, driver) for part in parts)
        backend = _backend(driver)
        schema = {_ours(name): _ibis_type(name) for name in names}
        events = backend.sql(query, schema=ibis.schema(schema))
        log = DatabaseLog(events, backend, driver)
        for column in IDS:
            log = with_ids_read(log, column)
    return log


def mapping_faults(mapping: LogMapping) -> list[str]:
    """Say what of a mapping cannot be followed where a database adds up."""
    others = [name for name in mapping.as_dict() if name not in FOLLOWED]
    if not others:
        return []
    return [
        f"engine database follows mapping.tables and mapping.columns, and not {', '.join(others)}; "
        "say it in a query (mapping.tables), or set engine to memory"
    ]


def _backend(driver: Driver) -> Any:
    """Return ibis' view of a driver's connection."""
    if driver.dialect == "postgres":
        return ibis.postgres.from_connection(driver.connection)
    if driver.dialect == "sqlite":
        return ibis.sqlite.from_connection(driver.connection)
    return ibis.duckdb.from_connection(driver.connection)


def _ours(name: str) -> str:
    return "time" if name == "timestamp" else name


def _ibis_type(name: str) -> str:
    if name in IDS:
        return "string"
    return "int64" if name == "timestamp" else "float64"


@dataclass(frozen=True)
class _Part:
    """A table or query of events: its columns by our names."""

    piece: DatabaseTable
    columns: Mapping[str, QueryColumn]
    names: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, piece: DatabaseTable, driver: Driver, renames: Mapping[str, str]) -> "_Part":
        columns = {column.name: column for column in driver.columns(piece.query)}
        known = columns_of("events", list(columns), renames)
        wanted = (*IDS, "timestamp", *MEASURES)
        names = {name: given for name, given in known.items() if name in wanted}
        if driver.dialect == "sqlite":
            for name in set(names).intersection(MEASURES):
                theirs = names[name][0]
                columns[theirs] = _looked_at(driver, piece, theirs)
        part = cls(piece, columns, names)
        return part._without_empty(driver)

    def _without_empty(self, driver: Driver) -> "_Part":
        """Leave out a column of another type that holds no value: nobody has said its type."""
        kept = dict(self.names)
        for name, given in self.names.items():
            if not self._fits(name, self.columns[given[0]].kind):
                counted = f"SELECT COUNT({quoted(given[0])}) FROM ({self.piece.query}\n) AS asked"
                (n_values,) = driver.answer(counted)
                if not n_values:
                    del kept[name]
        return replace(self, names=kept)

    def faults(self) -> Iterator[str]:
        """Say what cannot be added up."""
        place = self.piece.name
        for name in IDS:
            if name not in self.names:
                yield f"{place} has no column {name}"
        for name, given in self.names.items():
            if len(given) > 1:
                yield f"{place} names {name} more than once: {', '.join(given)}"
            kind = self.columns[given[0]].kind
            if not self._fits(name, kind):
                wanted = "a time" if name == "timestamp" else "a number"
                yield (
                    f"{place}: {printable(given[0])} is of type {kind}, and the database adds up "
                    f"only {wanted}; cast it in a query (mapping.tables), or set engine to memory"
                )
        for name, unit in units_of_columns("events", list(self.columns)).items():
            if unit not in ("seconds", "share"):
                yield f"{place}: {name} is in {unit}; convert it in a query (mapping.tables)"
        if has_types(list(self.columns), LogMapping().event_types):
            yield f"{place} has a column of types of behaviour, which only engine memory reads"

    def _fits(self, name: str, kind: str) -> bool:
        if name in IDS:
            return True
        if name == "timestamp":
            return kind == "value" or TIMES.fullmatch(kind) is not None
        return kind == YES_OR_NO or NUMBERS.fullmatch(kind) is not None

    def selected(self, names: Sequence[str], driver: Driver) -> str:
        """Write the query of these columns, each in its one type."""
        forms = ", ".join(f"{self._form(name, driver)} AS {_ours(name)}" for name in names)
        return f"SELECT {forms} FROM ({self.piece.query}\n) AS kpay_events"

    def _form(self, name: str, driver: Driver) -> str:
        text = "VARCHAR" if driver.dialect == "duckdb" else "TEXT"
        kind = {"timestamp": "BIGINT"}.get(name, text if name in IDS else "DOUBLE PRECISION")
        if name not in self.names:
            return f"CAST(NULL AS {kind})"
        column = quoted(self.names[name][0])
        if name in IDS:
            return f"CAST({column} AS {text})"
        if name == "timestamp":
            return self._micros(column, driver)
        if self.columns[self.names[name][0]].kind == YES_OR_NO:
            column = f"CAST({column} AS INTEGER)"
        number = f"CAST({column} AS DOUBLE PRECISION)"
        if driver.dialect == "sqlite":  # which has no NaN
            return number
        return f"NULLIF({number}, CAST('NaN' AS DOUBLE PRECISION))"

    def _micros(self, column: str, driver: Driver) -> str:
        """Write a time as microseconds since 1970."""
        if driver.dialect == "postgres":
            return f"CAST(EXTRACT(EPOCH FROM {column}) * 1000000 AS BIGINT)"
        if driver.dialect == "duckdb":
            return f"epoch_us(CAST({column} AS TIMESTAMPTZ))"
        times = _times_read(driver, self.piece, column)
        return f"(SELECT read FROM {times} WHERE written IS kpay_events.{column})"


def _looked_at(driver: Driver, piece: DatabaseTable, name: str) -> QueryColumn:
    """Return a column of SQLite with the type of its values, which only they know."""
    column = quoted(name)
    texts = f"COALESCE(SUM(typeof({column}) IN ('text', 'blob')), 0)"
    (n_texts,) = driver.answer(f"SELECT {texts} FROM ({piece.query}\n)")
    return QueryColumn(name, "text" if n_texts else "real")


def _times_read(driver: Driver, piece: DatabaseTable, column: str) -> str:
    """Read the different times of SQLite, which has no type for them, and keep them beside it."""
    query = f"SELECT DISTINCT {column} AS written FROM ({piece.query}\n)"
    (cells,) = driver.rows(query, driver.columns(query))
    moments = parse_times(cells, "timestamp", "").values
    micros = pa.array(moments).cast(pa.timestamp("us")).cast(pa.int64())
    table = pa.table({"written": cells, "read": micros})
    return _temporary_table(driver, table)
