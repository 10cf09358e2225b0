"""Engines that add a log up where it lies: DuckDB over Parquet files, Spark, or a database.

Every engine enters at the same arrow, pair totals, and everything after is the same code:
`interest.totals_log`. In memory there is no engine: `data.door.read_log` reads single events.
What an engine needs is imported when it opens files, for ibis and Spark are slow to import.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from kpay_lab.data.addresses import is_address
from kpay_lab.data.sources import find_files

if TYPE_CHECKING:
    from kpay_lab.interest.pushdown import EventLog

ENGINES = ("memory", "duckdb", "spark", "database")


@dataclass(frozen=True, kw_only=True)
class DuckDB:
    """Parquet files of this machine, added up by DuckDB within a memory limit.

    Parameters
    ----------
    half_life_days : float, optional
        Fades the totals; those of memory are faded later, by `totals.pair_totals`.
    memory_limit : int, optional
        Bytes that DuckDB may take; see `interest.parquet_log.open_duckdb`.
    """

    name: ClassVar[str] = "duckdb"
    half_life_days: float | None = None
    memory_limit: int | None = None

    def open(self, paths: Sequence[Path]) -> "EventLog":
        """Look at the files' schemas and their different ids."""
        from kpay_lab.interest.parquet_log import parquet_log

        return parquet_log(paths, self.memory_limit)


@dataclass(frozen=True, kw_only=True)
class Spark:
    """Parquet files that a cluster adds up.

    Parameters
    ----------
    half_life_days : float, optional
        As for `DuckDB`.
    master, exchange : str
        See `kpay_lab.spark.connect` and `kpay_lab.spark.SparkLog`.
    """

    name: ClassVar[str] = "spark"
    half_life_days: float | None = None
    master: str = "local[*]"
    exchange: str = ""

    def open(self, paths: Sequence[Path]) -> "EventLog":
        """Connect, and look at the files' schemas; no row is read."""
        from kpay_lab.spark import SparkLog, connect

        return SparkLog.open(connect(self.master), [str(path) for path in paths], self.exchange)


@dataclass(frozen=True, kw_only=True)
class InDatabase:
    """The database that holds the log; see `interest.database_log`.

    Parameters
    ----------
    half_life_days : float, optional
        As for `DuckDB`.
    """

    name: ClassVar[str] = "database"
    half_life_days: float | None = None


Engine: TypeAlias = DuckDB | Spark | InDatabase


def open_engine(
    name: str,
    *,
    half_life_days: float | None = None,
    spark_master: str = "local[*]",
    spark_exchange: str = "",
) -> Engine | None:
    """Return the engine of a name with its settings; None for ``memory``, which has none.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name == "duckdb":
        return DuckDB(half_life_days=half_life_days)
    if name == "spark":
        return Spark(half_life_days=half_life_days, master=spark_master, exchange=spark_exchange)
    if name == "database":
        return InDatabase(half_life_days=half_life_days)
    if name == "polars":
        raise ValueError(
            "engine polars is gone; set engine to duckdb, which adds up the same Parquet files"
        )
    if name != "memory":
        raise ValueError(f"engine is {name!r}; it must be one of {', '.join(ENGINES)}")
    return None


def engine_faults(
    engine: str, dataset: str, source: object, duplicates: str, *, has_mapping: bool = False
) -> list[str]:
    """Say, a line each, why an engine other than memory cannot serve; no file is looked at."""
    faults = []
    if has_mapping and engine != "database":  # which says itself what it follows
        faults.append(
            f"engine {engine} reads tables whose columns say what they mean, and follows no "
            "mapping; leave mapping empty, or set engine to memory"
        )
    if duplicates != "keep":
        faults.append(f"engine {engine} cannot compare whole events; set duplicates to keep")
    if engine == "spark" and find_spec("pyspark") is None:
        faults.append("engine spark needs pyspark and Java 17: pip install 'kpay-lab[spark]'")
    if engine == "database" or is_address(source):
        return [*faults, *_place_faults(engine, source)]
    is_path = isinstance(source, str | Path) and bool(str(source))
    if dataset != "tables" or not is_path:
        faults.append(f"engine {engine} reads Parquet: set dataset to tables, and data_dir")
    return faults


def _place_faults(engine: str, source: object) -> list[str]:
    """Say that a log and its engine do not go together, where one of them is a database."""
    if not is_address(source):
        return [
            "engine database adds up a log in a database; let data_dir be its address, such as "
            "postgresql://host/database, or set engine to memory or duckdb"
        ]
    if engine != "database":
        return [f"engine {engine} reads Parquet; set engine to database for a log in a database"]
    return []


def event_files(engine: str, folder: Path) -> list[Path]:
    """Return the files of the events; one that the engine cannot read is a ValueError."""
    paths = find_files(folder)["events"]
    others = [path.name for path in paths if path.suffix != ".parquet"]
    if others:
        raise ValueError(f"engine {engine} reads Parquet alone; convert {', '.join(others)}")
    return paths
