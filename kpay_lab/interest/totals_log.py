"""A log read as totals: an engine adds the events up, the small tables are read as ever."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.data.codes import keep_codes
from kpay_lab.data.databases import Database, opened
from kpay_lab.data.door import Gate
from kpay_lab.data.log import Log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.privacy import with_consent
from kpay_lab.data.reading import Rejected, read_tables
from kpay_lab.data.sources import find_files
from kpay_lab.data.tables import Tables, moment
from kpay_lab.interest.engines import Engine, InDatabase, event_files
from kpay_lab.interest.pushdown import (
    IDS,
    EventLog,
    check_values,
    compact_log,
    count_events,
    moment_at,
    next_moment,
)

TRAIN_SHARE = 0.8  # of the events, as the split by time has it


def read_totals(
    source: str | Path, engine: Engine, gate: Gate, mapping: LogMapping | None = None
) -> Log:
    """Read the small tables of a folder or a database, and have an engine add its events up.

    The totals come as a compact log inside the gate's window. With times they are parted at
    the moment ``cut``, the one that a split by time of the events would choose.

    Parameters
    ----------
    source : str or Path
        One's own tables, the events in Parquet or a database; the other tables are small and
        read as ever.
    engine : DuckDB, Spark or InDatabase
    gate : Gate
        Its window and consent decide which events are added up; `Gate.admit` does the rest.
    mapping : LogMapping, optional
        Which tables and columns of a database mean what.

    Raises
    ------
    ValueError
        If totals cannot give what is asked, or the events hold values that cannot be.
    """
    with opened(source) as place:  # one state of a database for events and tables
        return _read_totals(place, engine, gate, mapping or LogMapping())


def _read_totals(
    place: str | Path | Database, engine: Engine, gate: Gate, mapping: LogMapping
) -> Log:
    events = _opened_events(place, engine, mapping)
    n_read = check_values(events)
    nothing = pd.DataFrame({"user_id": [], "item_id": []}, dtype="str")
    tables, rejected = read_tables(place, events=nothing, mapping=mapping)
    events = _of_known_ids(events, tables)
    n_known = count_events(events)
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
    files = [] if isinstance(place, Database) else chain(*find_files(place).values())
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


def _opened_events(place: str | Path | Database, engine: Engine, mapping: LogMapping) -> EventLog:
    if isinstance(place, Database):
        from kpay_lab.interest.database_log import database_log  # its drivers are seldom needed

        return database_log(place, mapping)
    assert not isinstance(engine, InDatabase)  # `engine_faults` has said so
    return engine.open(event_files(engine.name, Path(place)))


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
    if "time" not in events.events.columns:
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
    """Fill the durations of single events where some of a total's lacked one; write ids as text.

    Where all of them did, the gate fills the total's.
    """
    for name in IDS:
        ids = compact[name].cat
        compact[name] = compact[name].astype("str")
        keep_codes(compact[name], ids.codes.to_numpy(), ids.categories)
    if "duration" in compact and tables.items is not None and "duration" in tables.items:
        listed = compact["item_id"].map(tables.items.set_index("item_id")["duration"])
        partly = compact["duration"].notna() & compact["lacks_duration"]
        longest = np.fmax(compact["duration"], listed)
        compact = compact.assign(duration=compact["duration"].mask(partly, longest))
    return compact.drop(columns=["n_rows", "lacks_duration", "later"], errors="ignore")
