"""Read a log out of a database: its tables by their names, or the answers to queries.

A database is only read, and a query may only select. Rows come as Arrow and pass the same checks
as those of a Parquet file.
"""

import hashlib
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.addresses import Address, is_address
from kpay_lab.data.arrow_rows import FIRST_ROWS, as_text, plain_rows
from kpay_lab.data.database_drivers import (
    DRIVERS,
    DatabaseError,
    Driver,
    QueryColumn,
    quoted,
)
from kpay_lab.data.headers import known_names
from kpay_lab.data.rows import RawRows, listed, printable

BEGINS_A_QUERY = re.compile(r"\s*[(\w]+\s")
_Source = TypeVar("_Source")
# As in dblink('host=… password=…'), or in the address of another server.
PASSWORD_IN_QUERY = re.compile(r"password\s*=|://[^/@\s]*:[^@\s]*@", re.IGNORECASE)
REMEDY_OF_TYPES = "a query can turn it into text or numbers: mapping: {tables: {events: SELECT …}}"


class Database:
    """A database at an address; as a context it is read in one state, through one connection.

    Elsewhere each question opens a connection of its own, and closes it.

    Parameters
    ----------
    address : str or Address

    Raises
    ------
    ValueError
        If the address holds a password, or is none of a database that can be read.
    """

    def __init__(self, address: str | Address) -> None:
        self.address = Address.of(address) if isinstance(address, str) else address
        self._driver: Driver | None = None

    def __str__(self) -> str:
        return str(self.address)

    def __enter__(self) -> Self:
        self._driver = self._opened()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._driver is not None
        self._driver.close()
        self._driver = None

    @contextmanager
    def driver(self) -> Iterator[Driver]:
        """Give the open connection, or one for this question alone."""
        if self._driver is not None:
            yield self._driver
            return
        driver = self._opened()
        try:
            yield driver
        finally:
            driver.close()

    def tables(self) -> "list[DatabaseTable]":
        """Return the tables and views, in order of their names; each can be read whole."""
        with self.driver() as driver:
            names = driver.tables()
        return [self.table(name) for name in names]

    def table(self, name: str) -> "DatabaseTable":
        """Return a table by its name as it stands in the database."""
        return DatabaseTable(self, name, f"SELECT * FROM {quoted(name)}")

    def table_elsewhere(self, name: str) -> "DatabaseTable":
        """Return a table of another schema, by a name such as ``live.events``."""
        parts = ".".join(quoted(part) for part in name.split("."))
        return DatabaseTable(self, name, f"SELECT * FROM {parts}")

    def asked(self, table: str, query: str) -> "DatabaseTable":
        """Return the answer to a query as a table of ours.

        Raises
        ------
        ValueError
            If it is not one SELECT.
        """
        dialect = DRIVERS[self.address.scheme].dialect
        selecting = one_select(table, query, dialect)
        return DatabaseTable(self, f"query of {table}", selecting, is_query=True)

    def _opened(self) -> Driver:
        kind = DRIVERS[self.address.scheme]
        return kind(self.address)


@dataclass(frozen=True)
class TableState:
    """What a table of a database held when it was asked.

    Parameters
    ----------
    query : str
    rows : int
    last : str
        The last of its times, as the database writes it; '' where it has none.
    totals : str
        SHA-256 of its totals: the rows, the values in each column, and a checksum of them all.
    """

    query: str
    rows: int
    last: str
    totals: str


@dataclass(frozen=True)
class DatabaseTable:
    """A table, a view, or the answer to a query.

    Parameters
    ----------
    database : Database
    name : str
        The name that messages give it.
    query : str
        One SELECT.
    is_query : bool
        Whether somebody wrote it, and it is not a table as it stands.
    """

    database: Database
    name: str
    query: str
    is_query: bool = False

    def header(self) -> list[str]:
        """Return the names of the columns; no row is read."""
        with self.database.driver() as driver:
            return [column.name for column in driver.columns(self.query)]

    def beginning(self, renames: Collection[str] = ()) -> RawRows:
        """Read the first rows that the database gives, as `rows` reads all."""
        limited = f"SELECT * FROM ({self.query}\n) AS beginning LIMIT {FIRST_ROWS}"
        return replace(self, query=limited).rows(renames)

    def rows(self, renames: Collection[str] = ()) -> RawRows:
        """Read all rows; values keep their types.

        A column of bytes, JSON, arrays or the like is left out with a note, unless its name is
        known. A row has the number in which it came: a database keeps no order.

        Raises
        ------
        ValueError
            If the database refuses, or a column with a known name does not hold plain values.
        """
        with self.database.driver() as driver:
            columns = driver.columns(self.query)
            self._refuse_columns([one for one in columns if one.arrow is None], renames)
            cells = driver.rows(self.query, columns)
        found = list(zip(columns, cells, strict=True))
        left_out = [column for column, values in found if values is None]
        self._refuse_columns(left_out, renames)
        kept = [(column, values) for column, values in found if values is not None]
        header = [column.name for column, _ in kept]
        arrays = [values for _, values in kept]
        n_rows = len(arrays[0]) if arrays else 0
        rows = plain_rows(self.name, header, arrays, n_rows, renames)
        if not left_out:
            return rows
        note = f"{self.name}: the columns {_with_types(left_out)} hold no plain values and are "
        note += "left out; a query can bring what is in them"
        return replace(rows, notes=(*rows.notes, note))

    def state(self, time: str = "") -> TableState:
        """Return what tells whether the table has changed; its rows stay where they are.

        Parameters
        ----------
        time : str
            The column of its times, if it has one.
        """
        with self.database.driver() as driver:
            names = [quoted(column.name) for column in driver.columns(self.query)]
            last = f"CAST(MAX({quoted(time)}) AS VARCHAR)" if time else "NULL"
            checksum = driver.checksum.format(columns=", ".join(names))
            values = [f"COUNT({name})" for name in names]
            asked = ", ".join(["COUNT(*)", last, f"CAST({checksum} AS VARCHAR)", *values])
            found = driver.answer(f"SELECT {asked} FROM ({self.query}\n) AS kpay_row")
        n_rows, last_time, *totals = found
        digest = hashlib.sha256(repr([n_rows, *totals]).encode())
        return TableState(self.query, n_rows, last_time or "", digest.hexdigest())

    def _refuse_columns(self, columns: Collection[QueryColumn], renames: Collection[str]) -> None:
        for column in columns:
            if known_names([column.name], renames):
                raise ValueError(
                    f"{self.name}: {printable(column.name)} is of type {_type_of(column)}, which "
                    f"cannot be read; {REMEDY_OF_TYPES}"
                )


def _type_of(column: QueryColumn) -> str:
    """Return the type of a column; SQLite tells none, and only bytes are refused there."""
    return "blob" if column.kind == "value" else column.kind


def _with_types(columns: Collection[QueryColumn]) -> str:
    return listed(f"{column.name} ({_type_of(column)})" for column in columns)


@contextmanager
def opened(source: _Source) -> "Iterator[Database | _Source]":
    """Give the database at an address, open through one connection; else the source as it is."""
    if isinstance(source, str) and is_address(source):
        with Database(source) as database:
            yield database
    else:
        yield source


def in_stable_order(rows: RawRows) -> RawRows:
    """Put rows of a database in the order of what is written in them, column by column."""
    texts = {str(position): as_text(cells) for position, cells in enumerate(rows.cells)}
    keys = [(name, "ascending") for name in texts]
    if not keys:
        return rows
    order = pc.sort_indices(pa.table(texts), sort_keys=keys)
    return replace(rows, cells=[cells.take(order) for cells in rows.cells])


def is_query(text: str) -> bool:
    """Return whether a text is a query rather than the name of a table.

    >>> is_query("SELECT * FROM log"), is_query("watch_log"), is_query("watch_2023_*")
    (True, False, False)
    """
    return BEGINS_A_QUERY.match(text) is not None


def one_select(table: str, query: str, dialect: str) -> str:
    """Return a query that is one SELECT and nothing else.

    Parameters
    ----------
    table : str
        The table of ours that it feeds, for the message.
    query : str
    dialect : {"postgres", "sqlite", "duckdb"}

    Raises
    ------
    DatabaseError
        If it writes, locks, holds a password, is several statements, or cannot be read.

    Examples
    --------
    >>> one_select("events", "SELECT * FROM log;", "duckdb")
    'SELECT * FROM log'
    >>> one_select("events", "WITH gone AS (DELETE FROM log RETURNING *) SELECT * FROM gone",
    ...            "postgres")
    Traceback (most recent call last):
    kpay_lab.data.database_drivers.DatabaseError: mapping.tables.events: the query holds DELETE; it
    may only select
    """
    import sqlglot
    from sqlglot import errors, expressions

    place = f"mapping.tables.{table}"
    if PASSWORD_IN_QUERY.search(query):
        raise DatabaseError(
            f"{place}: the query holds a password; leave it out: parameters are written down"
        )
    try:
        statements = [one for one in sqlglot.parse(query, read=dialect) if one is not None]
    except errors.SqlglotError as error:
        said = _syntax_fault(error)
        raise DatabaseError(f"{place}: the query cannot be read{said}") from None
    if len(statements) != 1:
        raise DatabaseError(f"{place}: write one SELECT; it holds {len(statements)} statements")
    statement = statements[0]
    if not isinstance(statement, expressions.Query):
        word = query.split()[0].upper()
        raise DatabaseError(f"{place}: the query begins with {printable(word)}; it may only select")
    writing = (expressions.DML, expressions.DDL, expressions.Into, expressions.Lock)
    for node in statement.walk():
        is_writing = isinstance(node, writing) and not isinstance(node, expressions.Query)
        if is_writing or isinstance(node, expressions.Command):
            raise DatabaseError(f"{place}: the query holds {node.key.upper()}; it may only select")
    return query.strip().rstrip(";").rstrip()


def _syntax_fault(error: Exception) -> str:
    """Say what is wrong with a query and where, as far as its parser knows."""
    faults = getattr(error, "errors", None)
    if not faults:
        return "; write one SELECT"
    first = faults[0]
    where = f"line {first['line']}, near {printable(str(first['highlight']), 40)!r}"
    return f": {first['description'].rstrip('.')} ({where})"
