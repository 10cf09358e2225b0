"""The front door of the workbench, for notebooks, the command line and Python."""

from pathlib import Path

from kpay_lab.data.door import Gate, read_log
from kpay_lab.data.log import Log
from kpay_lab.data.sources import Source
from kpay_lab.data.tables import Tables
from kpay_lab.interest.engines import Engine, engine_faults, open_engine, read_totals
from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.simulate import simulate


def open_log(
    source: Source | Tables | WorldSpec | None = None,
    *,
    dataset: str = "tables",
    since: str = "",
    until: str = "",
    ids: str = "keep",
    duplicates: str = "keep",
    max_rejected: float = 0.05,
    min_events: int = 1,
    engine: str | Engine = "memory",
) -> Log:
    """Open a behaviour log: read it, check every row, and keep what may be used.

    Parameters
    ----------
    source : str, Path, DataFrame, mapping of str to DataFrame, Tables, or WorldSpec
        A file or folder; frames, of which a single one is the events and a mapping names the
        table of each; finished tables; or a shop to simulate, which is also the default.
    dataset : {"tables", "movielens", "mooccubex", "kuairand", "oulad", "simulated"}
        How the files of a folder are understood: one's own ``tables``, or a public data set.
        ``simulated`` says that the source is a simulated shop.
    since, until, ids, duplicates, max_rejected, min_events
        What the log must pass, see `data.door.Gate`.
    engine : {"memory", "polars", "spark"}, or an opened engine
        Who adds up the events; another one than memory reads Parquet and never loads it whole.
        One of `interest.engines` carries its settings.

    Returns
    -------
    Log
        With ``cut`` where an engine other than memory added the events up.

    Raises
    ------
    ValueError
        If a setting is unknown, the source cannot be read, or the log is too broken or small.

    Examples
    --------
    >>> import pandas as pd
    >>> clicks = pd.DataFrame({"uid": ["ann", "ann", "bob"], "课程": ["Python", "SQL", "SQL"]})
    >>> open_log(clicks)
    Log: 2 users met 2 items, at times not known
      events               3 rows   2 columns
    """
    gate = Gate(
        since=since,
        until=until,
        ids=ids,
        duplicates=duplicates,
        max_rejected=max_rejected,
        min_events=min_events,
    )
    opened = open_engine(engine) if isinstance(engine, str) else engine
    if opened is not None:
        faults = engine_faults(opened.name, dataset, source, duplicates)
        if faults or not isinstance(source, str | Path):
            raise ValueError("\n".join(faults))
        return gate.admit(read_totals(source, opened, gate))
    if source is None and dataset in ("tables", "simulated"):
        source = WorldSpec()
    if isinstance(source, WorldSpec):
        source = simulate(source).tables
    return gate.admit(read_log(source, "tables" if dataset == "simulated" else dataset))
