"""Write tables into each kind of database, as an administrator would have them."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pandas as pd

from tests.databases.servers import Server

KINDS = ("sqlite", "duckdb", "postgresql")
TYPES = {  # of PostgreSQL
    "datetime64[us, UTC]": "timestamptz",
    "float64": "double precision",
    "Int64": "bigint",
    "boolean": "boolean",
}


def in_sqlite(tables: Mapping[str, pd.DataFrame], path: Path) -> str:
    """Write a file of SQLite, with times as text, and return its address."""
    with sqlite3.connect(path) as connection:
        for name, frame in tables.items():
            times = frame.select_dtypes("datetimetz").columns
            written = {one: frame[one].dt.strftime("%Y-%m-%d %H:%M:%S.%f") for one in times}
            frame.assign(**written).to_sql(name, connection, index=False)
    connection.close()
    return f"sqlite:///{path}"


def in_duckdb(tables: Mapping[str, pd.DataFrame], path: Path) -> str:
    """Write a file of DuckDB and return its address."""
    with duckdb.connect(path) as connection:
        for name, frame in tables.items():
            connection.register("frame", frame)
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM frame')
    return f"duckdb:///{path}"


def in_postgresql(tables: Mapping[str, pd.DataFrame], server: Server, database: str) -> str:
    """Write a database of a server and return its address."""
    address = server.new_database(database)
    for name, frame in tables.items():
        dtypes = {column: str(dtype) for column, dtype in frame.dtypes.items()}
        types = {column: TYPES[dtype] for column, dtype in dtypes.items() if dtype in TYPES}
        server.write(frame, name, types, database)
    return address
