"""The three databases that can be read, each through its own driver, and never written to.

Every driver does the same things: it lists tables, tells the columns of a query, brings its rows
as Arrow or adds them up to a few numbers, and says in plain words what went wrong. Its Python
package is imported where a database is opened, because most logs are files.
"""

import hashlib
import io
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Protocol
from urllib.parse import quote

import pyarrow as pa
import pyarrow.csv

from kpay_lab.data.addresses import VARIABLE, Address, credentials_for
from kpay_lab.data.rows import TEXT, printable

BATCH = 50_000  # rows that are Python objects at a time
BLOCK = 2**24  # bytes of CSV that become a batch at a time
PATIENCE = 10  # seconds to wait for a server


@dataclass(frozen=True)
class QueryColumn:
    """A column of a query: its name, its type as the database calls it, and how it is read.

    ``arrow`` is the type in which its cells come; None where they are no plain values.
    """

    name: str
    kind: str
    arrow: pa.DataType | None = TEXT


class Driver(Protocol):
    """An open connection that only reads, and sees one state of the database to its end.

    ``dialect`` is that of its SQL; ``checksum`` an expression over the rows of ``kpay_row`` whose
    value changes with any of them, and not with their order.
    """

    dialect: ClassVar[str]
    checksum: ClassVar[str]

    @property
    def connection(self) -> Any:
        """The connection of the driver's own package."""

    def tables(self) -> list[str]:
        """Return the names of the tables and views of the schema, in order."""

    def columns(self, query: str) -> list[QueryColumn]:
        """Return the columns of a query; no row is read."""

    def rows(self, query: str, columns: Sequence[QueryColumn]) -> list[pa.Array | None]:
        """Return the cells of each column; None for one that turns out to hold no plain values."""

    def answer(self, sql: str) -> tuple[Any, ...]:
        """Return the only row of an answer."""

    def close(self) -> None:
        """End the connection."""


class DatabaseError(ValueError):
    """What a database refused, in one line without a secret."""


def quoted(name: str) -> str:
    """Return a name as SQL writes it: a quotation mark in it is doubled.

    >>> quoted('the "log" of 2023')
    '"the ""log"" of 2023"'
    """
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def selected(columns: Iterable[QueryColumn], query: str) -> str:
    """Return a query for the plain columns of a query."""
    names = ", ".join(quoted(column.name) for column in columns if column.arrow is not None)
    return f"SELECT {names} FROM ({query}\n) AS asked"


def one_line(error: Exception) -> str:
    """Return the first line of a driver's message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0], 300)


# types of PostgreSQL by the numbers it gives them; every other plain one comes as text
ARROW_OF_TYPE = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    700: pa.float64(),
    701: pa.float64(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
}
NOT_PLAIN = ("bytea", "json", "jsonb", "xml", "hstore", "geometry", "geography", "record")
NOT_PLAIN_CATEGORIES = "ACGR"  # arrays, composites, geometric types, ranges
TABLES_OF_POSTGRESQL = """
SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition
AND nspname = COALESCE(NULLIF(%s, ''), current_schema())
ORDER BY relname COLLATE "C"
"""
NAMES_OF_TYPES = "SELECT oid, format_type(oid, NULL), typcategory FROM pg_type WHERE oid = ANY(%s)"
SAME_EVERY_TIME = """
SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601';
SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0
"""


class PostgreSQL:
    """A server; rows come through its ``COPY``, which is its fastest way out."""

    dialect: ClassVar[str] = "postgres"
    checksum: ClassVar[str] = "SUM(hashtextextended(kpay_row::text, 0))"

    def __init__(self, address: Address) -> None:
        import psycopg

        credentials = credentials_for(address)
        self.address = address
        self._credentials = credentials
        settings = {
            "host": address.host,
            "port": address.port,
            "dbname": address.database,
            "user": credentials.user or address.user,
            "password": credentials.password,
            "connect_timeout": PATIENCE,
        }
        given = {name: value for name, value in settings.items() if value}
        given |= address.options
        given["options"] = "-c default_transaction_read_only=on"
        given["client_encoding"] = "utf8"
        given["application_name"] = "kpay_lab"
        try:
            self.connection = psycopg.connect(**given)
            self.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self.connection.read_only = True
            self._execute(SAME_EVERY_TIME)
            if address.schema:
                self._execute(f"SET search_path TO {quoted(address.schema)}, public")
        except psycopg.Error as error:
            self._refuse(error)

    def tables(self) -> list[str]:
        """Return tables, views and partitioned tables, without their partitions."""
        found = self._execute(TABLES_OF_POSTGRESQL, (self.address.schema,))
        return [name for (name,) in found]

    def columns(self, query: str) -> list[QueryColumn]:
        """Ask for no row of a query."""
        import psycopg

        try:
            with self.connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({query}\n) AS asked LIMIT 0")
                described = [(column.name, column.type_code) for column in cursor.description]
            numbers = list({number for _, number in described})
            found = self._execute(NAMES_OF_TYPES, (numbers,))
        except psycopg.Error as error:
            self._refuse(error)
        types = {number: (kind, category) for number, kind, category in found}
        columns = []
        for name, number in described:
            kind, category = types[number]
            is_plain = kind not in NOT_PLAIN and category not in NOT_PLAIN_CATEGORIES
            arrow = ARROW_OF_TYPE.get(number, TEXT) if is_plain else None
            columns.append(QueryColumn(name, kind, arrow))
        return columns

    def rows(self, query: str, columns: Sequence[QueryColumn]) -> list[pa.Array | None]:
        """Copy the rows as CSV; cells of a type that Arrow cannot hold come as they are written.

        Such are times before Christ, or ``infinity``: they are for the checks to refuse.
        """
        import psycopg

        plain = [column for column in columns if column.arrow is not None]
        try:
            try:
                table = self._copied(query, plain)
            except pa.ArrowInvalid:
                as_text = [QueryColumn(column.name, column.kind) for column in plain]
                table = self._copied(query, as_text)
        except psycopg.Error as error:
            self._refuse(error)
        cells = iter([joined(column.chunks, column.type) for column in table.columns])
        return [None if column.arrow is None else next(cells) for column in columns]

    def _copied(self, query: str, columns: Sequence[QueryColumn]) -> pa.Table:
        names = [str(number) for number in range(len(columns))]  # two columns may have one name
        types = [column.arrow for column in columns]
        schema = pa.schema(list(zip(names, types, strict=True)))
        reading = pa.csv.ReadOptions(column_names=names, block_size=BLOCK, use_threads=False)
        parsing = pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
        converting = pa.csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,  # an empty text is quoted
            true_values=["t"],
            false_values=["f"],
        )
        asked = f"COPY ({selected(columns, query)}) TO STDOUT (FORMAT csv)"
        with self.connection.cursor() as cursor, cursor.copy(asked) as copy:
            lines = iter(copy)
            first = next(lines, None)
            if first is None:  # Arrow takes no rows for a file that cannot be read
                return schema.empty_table()
            stream = _Stream(bytes(first), lines)
            batches = pa.csv.open_csv(stream, reading, parsing, converting)
            return pa.Table.from_batches(batches, schema)

    def answer(self, sql: str) -> tuple[Any, ...]:
        """Return the only row of an answer."""
        import psycopg

        try:
            return self._execute(sql)[0]
        except psycopg.Error as error:
            self._refuse(error)

    def close(self) -> None:
        """End the connection."""
        self.connection.close()

    def _execute(self, sql: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []

    def _refuse(self, error: Exception) -> NoReturn:
        said = self._credentials.scrubbed(one_line(error))
        raise DatabaseError(_refusal_of_server(self.address, error, said)) from None


class _Stream(io.RawIOBase):
    """The blocks of a copy as a file that Arrow reads."""

    def __init__(self, first: bytes, lines: Iterator[Any]) -> None:
        self._lines = lines
        self._rest = first

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes; none at the end."""
        if not self._rest:
            self._rest = self._next()
        block = self._rest[:size]
        self._rest = self._rest[size:]
        return block

    def _next(self) -> bytes:
        """Put many lines together, one by one: as a list they would take three times as long."""
        lines = io.BytesIO()
        for line in islice(self._lines, BATCH):
            lines.write(line)
        return lines.getvalue()


def _refusal_of_server(address: Address, error: Any, said: str) -> str:
    """Say what a server refused, and the remedy where there is one."""
    from psycopg import errors

    detail = said.rpartition("FATAL:  ")[2]
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{address}: {said}; ask for the right to SELECT there"
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
        return f"{address}: {said}; kpay check {address} lists what there is"
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return f"{address}: {said}; a query may only read"
    if error.sqlstate is not None or not isinstance(error, errors.OperationalError):
        return f"{address}: the query was refused: {said}"
    if "does not exist" in detail and "database" in detail:
        return f"{address}: {detail}; name a database of that server"
    if detail != said or "password" in said:  # the server answered
        return (
            f"{address}: the server refuses to connect: {detail}; user and password come from "
            f"{VARIABLE}, where it names this server and user, or from the driver's own ~/.pgpass"
        )
    return f"{address}: the server cannot be reached ({said}); is it running there?"


MARKS = {"sqlite": ("SQLite", b"SQLite format 3"), "duckdb": ("DuckDB", b"DUCK")}
LONGEST_MARK = 16  # bytes at the beginning of a file that say what it is


class SQLite:
    """A file of SQLite: a cell has the type of its value, and times are text or numbers."""

    dialect: ClassVar[str] = "sqlite"
    checksum: ClassVar[str] = "SUM_OF_HASHES({columns})"

    def __init__(self, address: Address) -> None:
        self.address = address
        self._path = existing_file(address)
        place = f"file:{quote(str(self._path.resolve()))}?mode=ro"
        try:
            self.connection = sqlite3.connect(place, uri=True, isolation_level=None)
            summing: Any = _SumOfHashes
            self.connection.create_aggregate("SUM_OF_HASHES", -1, summing)
            self.connection.execute("BEGIN")
            self.connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            self._refuse(error)

    def tables(self) -> list[str]:
        """Return tables and views."""
        found = self.connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        )
        return [name for (name,) in found]

    def columns(self, query: str) -> list[QueryColumn]:
        """Ask for no row of a query; types are those of the values, so none is known yet."""
        try:
            cursor = self.connection.execute(f"SELECT * FROM ({query}\n) AS asked LIMIT 0")
        except sqlite3.Error as error:
            self._refuse(error)
        return [QueryColumn(column[0], "value") for column in cursor.description]

    def rows(self, query: str, columns: Sequence[QueryColumn]) -> list[pa.Array | None]:
        """Fetch the rows batch by batch; a column of several types is written as text."""
        chunks: list[list[pa.Array | None]] = [[] for _ in columns]
        try:
            cursor = self.connection.execute(query)
            while batch := cursor.fetchmany(BATCH):
                for position, values in enumerate(zip(*batch, strict=True)):
                    chunks[position].append(_array_of_values(values))
        except sqlite3.Error as error:
            self._refuse(error)
        return [_of_one_type(found) for found in chunks]

    def answer(self, sql: str) -> tuple[Any, ...]:
        """Return the only row of an answer."""
        try:
            row: tuple[Any, ...] = self.connection.execute(sql).fetchone()
        except sqlite3.Error as error:
            self._refuse(error)
        return row

    def close(self) -> None:
        """End the connection."""
        self.connection.close()

    def _refuse(self, error: Exception) -> NoReturn:
        said = one_line(error)
        if "no such table" in said:
            said += f"; kpay check {self.address} lists what there is"
        elif "unable to open" in said:
            said += "; ask for the right to read the file and its folder"
        elif "readonly" in said:
            said += "; a query may only read"
        else:
            said = f"the query was refused: {said}"
        raise DatabaseError(f"{self.address}: {said}") from None


class _SumOfHashes:
    """The sum of a hash of each row, which SQLite itself has not; as text, for it is large."""

    def __init__(self) -> None:
        self._sum = 0

    def step(self, *values: Any) -> None:
        """Add a row."""
        digest = hashlib.blake2b(repr(values).encode(), digest_size=8).digest()
        self._sum += int.from_bytes(digest, "big")

    def finalize(self) -> str:
        """Return the sum."""
        return str(self._sum)


def existing_file(address: Address) -> Path:
    """Return the file of an address; one that is not there or no database is a `DatabaseError`."""
    path = address.path
    assert path is not None
    if path.is_file():
        _refuse_other_files(address, path)
        return path
    problem = "is a folder" if path.is_dir() else "is not there"
    slashes = ""
    if not path.is_absolute() and Path(f"/{path}").is_file():
        slashes = f"; an absolute path has four slashes: {address.scheme}:////{path}"
    raise DatabaseError(f"{address}: the file {path} {problem}{slashes or '; name another'}")


def _refuse_other_files(address: Address, path: Path) -> None:
    try:
        with path.open("rb") as stream:
            start = stream.read(LONGEST_MARK)
    except OSError as error:
        said = f"{path.name} cannot be read: {error.strerror}; ask for the right to"
        raise DatabaseError(f"{address}: {said}") from None
    name, mark = MARKS[address.scheme]
    if start and mark not in start:  # an empty file is a database without tables
        raise DatabaseError(f"{address}: {path.name} is no database of {name}; name its file")


def _array_of_values(values: Sequence[Any]) -> pa.Array | None:
    """Return Python values in their type, of several types as text; None if bytes are there."""
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        if any(isinstance(value, bytes) for value in values):
            return None
        return pa.array([None if value is None else str(value) for value in values], TEXT)
    if pa.types.is_binary(array.type):
        return None
    return array.cast(TEXT) if pa.types.is_string(array.type) else array


def _of_one_type(chunks: Sequence[pa.Array | None]) -> pa.Array | None:
    """Join the parts of a column; where their types differ, as text."""
    known = [chunk for chunk in chunks if chunk is not None]
    if len(known) < len(chunks):
        return None
    types = {chunk.type for chunk in known if not pa.types.is_null(chunk.type)}
    kind = types.pop() if len(types) == 1 else TEXT
    return joined([chunk.cast(kind) for chunk in known], kind)


def joined(chunks: Sequence[pa.Array], kind: pa.DataType) -> pa.Array:
    """Return the parts of a column as one array."""
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)


NOT_PLAIN_IN_DUCKDB = re.compile(
    r"BLOB|BIT|JSON|INTERVAL|VARIANT|(STRUCT|MAP|UNION)\(.*|.*\[\d*\]", re.DOTALL
)
CLOSED = {  # a query reads this file alone: no other one, and no network
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


class DuckDB:
    """A file of DuckDB, which gives its rows as Arrow itself."""

    dialect: ClassVar[str] = "duckdb"
    checksum: ClassVar[str] = "SUM(md5_number_lower(kpay_row::VARCHAR))"

    def __init__(self, address: Address) -> None:
        import duckdb

        self.address = address
        path = existing_file(address)
        self._scratch = tempfile.TemporaryDirectory(prefix="kpay-duckdb-")  # for what is too large
        try:
            settings = CLOSED | {"temp_directory": self._scratch.name}
            self.connection = duckdb.connect(str(path), read_only=True, config=settings)
            self.connection.execute("SET TimeZone = 'UTC'")
            self.connection.execute("BEGIN")
        except duckdb.Error as error:
            self._refuse(error)

    def tables(self) -> list[str]:
        """Return tables and views."""
        found = self.connection.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_catalog = current_database() AND table_schema = current_schema() "
            "ORDER BY table_name"
        )
        return [name for (name,) in found.fetchall()]

    def columns(self, query: str) -> list[QueryColumn]:
        """Ask for no row of a query."""
        import duckdb

        try:
            asked = self.connection.execute(f"SELECT * FROM ({query}\n) AS asked LIMIT 0")
        except duckdb.Error as error:
            self._refuse(error)
        columns = []
        for name, kind, *_ in asked.description:
            is_plain = NOT_PLAIN_IN_DUCKDB.fullmatch(str(kind)) is None
            columns.append(QueryColumn(name, str(kind).lower(), TEXT if is_plain else None))
        return columns

    def rows(self, query: str, columns: Sequence[QueryColumn]) -> list[pa.Array | None]:
        """Take the rows batch by batch."""
        import duckdb

        plain = [column for column in columns if column.arrow is not None]
        try:
            asked = self.connection.sql(selected(plain, query))
            table = asked.to_arrow_reader(BATCH).read_all()
        except duckdb.Error as error:
            self._refuse(error)
        cells = iter([joined(column.chunks, column.type) for column in table.columns])
        return [None if column.arrow is None else next(cells) for column in columns]

    def answer(self, sql: str) -> tuple[Any, ...]:
        """Return the only row of an answer."""
        import duckdb

        try:
            row: tuple[Any, ...] = self.connection.execute(sql).fetchone()
        except duckdb.Error as error:
            self._refuse(error)
        return row

    def close(self) -> None:
        """End the connection."""
        self.connection.close()
        self._scratch.cleanup()

    def _refuse(self, error: Exception) -> NoReturn:
        said = one_line(error)
        if "lock" in said.lower():
            said = "another program has it open for writing; close it there first"
        elif "Table with name" in said:
            said = f"{said.rstrip('!')}; kpay check {self.address} lists what there is"
        else:
            said = f"the query was refused: {said}"
        raise DatabaseError(f"{self.address}: {said}") from None


DRIVERS: dict[str, type[PostgreSQL] | type[SQLite] | type[DuckDB]] = {
    "postgresql": PostgreSQL,
    "sqlite": SQLite,
    "duckdb": DuckDB,
}
