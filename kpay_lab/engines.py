"""Which engine adds up the log: pandas in memory, Polars over Parquet files, Spark on a cluster.

Every engine enters at the same arrow, pair totals, and everything after is the same code.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kpay_lab.data import Loaded, load, without_ids
from kpay_lab.data.privacy import with_consent
from kpay_lab.data.reading import find_sources, read_tables
from kpay_lab.data.tables import Tables
from kpay_lab.interest.streaming import (
    EventLog,
    ParquetLog,
    check_values,
    compact_log,
    moment_at,
    next_moment,
)

if TYPE_CHECKING:
    from kpay_lab.world.simulate import WorldSpec

ENGINES = ("memory", "polars", "spark")
TRAIN_SHARE = 0.8  # of the events, as the split by time has it


def load_log(
    dataset: str,
    data_dir: str | Path | None,
    spec: "WorldSpec | None" = None,
    *,
    engine: str = "memory",
    spark_master: str = "local[*]",
    exchange: str = "",
    since: str = "",
    until: str = "",
    half_life_days: float | None = None,
    duplicates: str = "keep",
    ids: str = "keep",
) -> tuple[Loaded, pd.Timestamp | None]:
    """Load a log whole, or only its totals where another engine adds them up.

    Parameters
    ----------
    dataset, data_dir, spec, duplicates, ids
        As in `data.load`. Another engine than memory reads one's own ``tables``, the events
        in Parquet; the other tables are small and read as ever.
    engine : {"memory", "polars", "spark"}
    spark_master, exchange : str
        See `kpay_lab.spark.connect` and `kpay_lab.spark.SparkLog`.
    since, until : str
        Window of the totals; `admission.admit` then cuts the other tables alike.
    half_life_days : float, optional
        Fades the totals; events in memory are faded later, by `totals.pair_totals`.

    Returns
    -------
    Loaded, cut
        Totals come as a compact log, and with times they are parted at the moment ``cut``,
        the one that a split by time of the events would choose. In memory it is None.

    Raises
    ------
    ValueError
        If the engine is unknown, or asked for what totals cannot give.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; it must be one of {', '.join(ENGINES)}")
    if engine == "memory":
        return load(dataset, data_dir, spec, duplicates=duplicates, ids=ids), None
    faults = engine_faults(engine, dataset, data_dir, duplicates)
    if faults:
        raise ValueError("\n".join(faults))
    paths = event_files(engine, Path(str(data_dir)))
    log = _open(engine, paths, spark_master, exchange)
    window = {"since": _moment(since), "until": _moment(until)}
    found, cut = _read_totals(Path(str(data_dir)), log, window, half_life_days)
    return (without_ids(found) if ids == "pseudonymise" else found), cut


def engine_faults(
    engine: str, dataset: str, data_dir: str | Path | None, duplicates: str
) -> list[str]:
    """Say, a line each, why an engine other than memory cannot serve; no file is looked at."""
    faults = []
    if duplicates != "keep":
        faults.append(f"engine {engine} cannot compare whole events; set duplicates to keep")
    if engine == "spark" and find_spec("pyspark") is None:
        faults.append("engine spark needs pyspark and Java 17: pip install 'kpay-lab[spark]'")
    if dataset != "tables" or not data_dir:
        faults.append(f"engine {engine} reads Parquet: set dataset to tables, and data_dir")
    return faults


def event_files(engine: str, folder: Path) -> list[Path]:
    """Return the files of the events; one that the engine cannot read is a ValueError."""
    paths = find_sources(folder)["events"]
    if other := [path.name for path in paths if path.suffix != ".parquet"]:
        raise ValueError(f"engine {engine} reads Parquet alone; convert {', '.join(other)}")
    return paths


def _moment(text: str) -> pd.Timestamp | None:
    return pd.to_datetime(text, utc=True) if text else None


def _open(engine: str, paths: Sequence[Path], spark_master: str, exchange: str) -> EventLog:
    if engine == "polars":
        return ParquetLog.open(paths)
    from kpay_lab.spark import SparkLog, connect

    return SparkLog.open(connect(spark_master), [str(path) for path in paths], exchange)


def _read_totals(
    folder: Path, log: EventLog, window: dict[str, Any], half_life_days: float | None
) -> tuple[Loaded, pd.Timestamp | None]:
    """Read the small tables, have the events added up, and say what that means."""
    n_read = check_values(log)
    nothing = pd.DataFrame({"user_id": [], "item_id": []}, dtype="str")
    tables, rejected = read_tables(folder, events=nothing)
    known, n_known = _only_known(log, tables)
    row = pd.DataFrame([("events", n_read, n_known, n_read - n_known)])
    counts = pd.concat([row.set_axis(rejected.counts.columns, axis=1), rejected.counts])
    rejected = replace(rejected, counts=counts.reset_index(drop=True))
    agreed = with_consent(tables)[0].users
    if agreed is not None:
        known = known.only("user_id", agreed["user_id"])
    cut = moment_at(known, TRAIN_SHARE, **window) if "time" in log.columns else None
    if cut is not None and cut == next_moment(known, **window):  # else nothing would come before
        cut = next_moment(known, cut, **window)
    compact = compact_log(known, cut=cut, half_life_days=half_life_days, **window)
    tables = tables.with_events(_as_events(compact, tables))
    sides = "" if cut is None else f", apart before and from {cut:%Y-%m-%d %H:%M} UTC on"
    notes = [
        f"{compact['n_rows'].sum():,} events were added up to {len(compact):,} totals{sides}; "
        "a row of the events is the total of a user and an item, with the last time they met; "
        "single steps (sessions, what came next) are not known"
    ]
    if half_life_days:
        notes.append("the totals are faded, the counts of events too")
    files = tuple(path for parts in find_sources(folder).values() for path in parts)
    return Loaded(tables, rejected, notes=(*notes, *rejected.notes), files=files), cut


def _only_known(log: EventLog, tables: Tables) -> tuple[EventLog, int]:
    """Leave out events of ids that the users or items table lacks, as reading does."""
    for frame, name in ((tables.users, "user_id"), (tables.items, "item_id")):
        if frame is not None:
            log = log.only(name, frame[name])
    return log, int(log.query("SELECT COUNT(*) AS n FROM log")["n"].item())


def _as_events(compact: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Fill the durations of single events, which `weighting.with_durations` no longer sees."""
    if "duration" in compact and tables.items is not None and "duration" in tables.items:
        listed = compact["item_id"].map(tables.items.set_index("item_id")["duration"])
        partly = (compact["n_durations"] > 0) & (compact["n_durations"] < compact["n_rows"])
        longest = np.fmax(compact["duration"], listed)
        compact = compact.assign(duration=compact["duration"].mask(partly, longest))
    return compact.drop(columns=["n_rows", "n_durations", "later"], errors="ignore")
