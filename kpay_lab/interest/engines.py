"""Engines that add a log up where it lies: Polars over Parquet files, Spark on a cluster.

Every engine enters at the same arrow, pair totals, and everything after is the same code.
In memory there is no engine: `data.door.read_log` reads single events.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import pandas as pd

from kpay_lab.data.door import Gate
from kpay_lab.data.log import Log
from kpay_lab.data.privacy import with_consent
from kpay_lab.data.reading import Rejected, read_tables
from kpay_lab.data.sources import find_files
from kpay_lab.data.tables import Tables, moment
from kpay_lab.interest.streaming import (
    EventLog,
    ParquetLog,
    check_values,
    compact_log,
    moment_at,
    next_moment,
)

ENGINES = ("memory", "polars", "spark")
TRAIN_SHARE = 0.8  # of the events, as the split by time has it


@dataclass(frozen=True, kw_only=True)
class Polars:
    """Parquet files of this machine, streamed.

    Parameters
    ----------
    half_life_days : float, optional
        Fades the totals; those of memory are faded later, by `totals.pair_totals`.
    """

    name: ClassVar[str] = "polars"
    half_life_days: float | None = None

    def open(self, paths: Sequence[Path]) -> EventLog:
        """Look at the files' schemas; no row is read."""
        return ParquetLog.open(paths)


@dataclass(frozen=True, kw_only=True)
class Spark:
    """Parquet files that a cluster adds up.

    Parameters
    ----------
    half_life_days : float, optional
        As for `Polars`.
    master, exchange : str
        See `kpay_lab.spark.connect` and `kpay_lab.spark.SparkLog`.
    """

    name: ClassVar[str] = "spark"
    half_life_days: float | None = None
    master: str = "local[*]"
    exchange: str = ""

    def open(self, paths: Sequence[Path]) -> EventLog:
        """Connect, and look at the files' schemas; no row is read."""
        from kpay_lab.spark import SparkLog, connect

        return SparkLog.open(connect(self.master), [str(path) for path in paths], self.exchange)


Engine: TypeAlias = Polars | Spark


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
    if name == "polars":
        return Polars(half_life_days=half_life_days)
    if name == "spark":
        return Spark(half_life_days=half_life_days, master=spark_master, exchange=spark_exchange)
    if name != "memory":
        raise ValueError(f"engine is {name!r}; it must be one of {', '.join(ENGINES)}")
    return None


def engine_faults(
    engine: str, dataset: str, source: object, duplicates: str, *, has_mapping: bool = False
) -> list[str]:
    """Say, a line each, why an engine other than memory cannot serve; no file is looked at."""
    faults = []
    if has_mapping:
        faults.append(
            f"engine {engine} reads tables whose columns say what they mean, and follows no "
            "mapping; leave mapping empty, or set engine to memory"
        )
    if duplicates != "keep":
        faults.append(f"engine {engine} cannot compare whole events; set duplicates to keep")
    if engine == "spark" and find_spec("pyspark") is None:
        faults.append("engine spark needs pyspark and Java 17: pip install 'kpay-lab[spark]'")
    is_path = isinstance(source, str | Path) and bool(str(source))
    if dataset != "tables" or not is_path:
        faults.append(f"engine {engine} reads Parquet: set dataset to tables, and data_dir")
    return faults


def event_files(engine: str, folder: Path) -> list[Path]:
    """Return the files of the events; one that the engine cannot read is a ValueError."""
    paths = find_files(folder)["events"]
    others = [path.name for path in paths if path.suffix != ".parquet"]
    if others:
        raise ValueError(f"engine {engine} reads Parquet alone; convert {', '.join(others)}")
    return paths


def read_totals(source: str | Path, engine: Engine, gate: Gate) -> Log:
    """Read the small tables of a folder, and have an engine add its events up.

    The totals come as a compact log inside the gate's window. With times they are parted at
    the moment ``cut``, the one that a split by time of the events would choose.

    Parameters
    ----------
    source : str or Path
        One's own tables, the events in Parquet; the other tables are small and read as ever.
    engine : Polars or Spark
    gate : Gate
        Its window and consent decide which events are added up; `Gate.admit` does the rest.

    Raises
    ------
    ValueError
        If totals cannot give what is asked, or the events hold values that cannot be.
    """
    folder = Path(source)
    events = engine.open(event_files(engine.name, folder))
    n_read = check_values(events)
    nothing = pd.DataFrame({"user_id": [], "item_id": []}, dtype="str")
    tables, rejected = read_tables(folder, events=nothing)
    events = _of_known_ids(events, tables)
    n_known = int(events.query("SELECT COUNT(*) AS n FROM log")["n"].item())
    rejected = _with_events_counted(rejected, n_read, n_known)
    agreed = with_consent(tables)[0].users
    if agreed is not None:
        events = events.only("user_id", agreed["user_id"])
    cut = _cut(events, gate)
    compact = compact_log(
        events,
        since=moment("since", gate.since),
        until=moment("until", gate.until),
        cut=cut,
        half_life_days=engine.half_life_days,
    )
    files = [path for paths in find_files(folder).values() for path in paths]
    notes = [_what_a_row_is(compact, cut)]
    if engine.half_life_days:
        notes.append("the totals are faded, the counts of events too")
    return Log(
        tables.with_events(_as_events(compact, tables)),
        rejected,
        notes=(*notes, *rejected.notes),
        files=tuple(files),
        cut=cut,
    )


def _of_known_ids(events: EventLog, tables: Tables) -> EventLog:
    """Leave out events of ids that the users or items table lacks, as reading does."""
    for frame, name in ((tables.users, "user_id"), (tables.items, "item_id")):
        if frame is not None:
            events = events.only(name, frame[name])
    return events


def _with_events_counted(rejected: Rejected, n_read: int, n_known: int) -> Rejected:
    row = pd.DataFrame([("events", n_read, n_known, n_read - n_known, 0)])
    counts = pd.concat([row.set_axis(rejected.counts.columns, axis=1), rejected.counts])
    return replace(rejected, counts=counts.reset_index(drop=True))


def _cut(events: EventLog, gate: Gate) -> pd.Timestamp | None:
    """Return the moment of the split; the next one where nothing would come before it."""
    if "time" not in events.columns:
        return None
    window = {"since": moment("since", gate.since), "until": moment("until", gate.until)}
    cut = moment_at(events, TRAIN_SHARE, **window)
    first = next_moment(events, **window)
    return next_moment(events, cut, **window) if cut == first else cut


def _what_a_row_is(compact: pd.DataFrame, cut: pd.Timestamp | None) -> str:
    sides = "" if cut is None else f", apart before and from {cut:%Y-%m-%d %H:%M} UTC on"
    return (
        f"{compact['n_rows'].sum():,} events were added up to {len(compact):,} totals{sides}; "
        "a row of the events is the total of a user and an item, with the last time they met; "
        "single steps (sessions, what came next) are not known"
    )


def _as_events(compact: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Fill the durations of single events where some of a total's lacked one.

    Where all of them did, the gate fills the total's.
    """
    if "duration" in compact and tables.items is not None and "duration" in tables.items:
        listed = compact["item_id"].map(tables.items.set_index("item_id")["duration"])
        partly = (compact["n_durations"] > 0) & (compact["n_durations"] < compact["n_rows"])
        longest = np.fmax(compact["duration"], listed)
        compact = compact.assign(duration=compact["duration"].mask(partly, longest))
    return compact.drop(columns=["n_rows", "n_durations", "later"], errors="ignore")
