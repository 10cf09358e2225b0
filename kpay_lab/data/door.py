"""The door: a source is read into a `Log`, and the `Gate` decides what of it may be used."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from kpay_lab.data import public
from kpay_lab.data.log import Log
from kpay_lab.data.privacy import PERSONAL, pseudonymise, pseudonyms, with_consent
from kpay_lab.data.reading import read_tables
from kpay_lab.data.sources import Source, find_files
from kpay_lab.data.splitting import printable
from kpay_lab.data.tables import Tables, moment, window
from kpay_lab.settings import Ranges, setting_faults

READERS = {
    "movielens": public.movielens,
    "mooccubex": public.mooccubex,
    "kuairand": public.kuairand,
    "oulad": public.oulad,
}
DATASETS = ("tables", *READERS)


def read_log(source: Source | Tables, dataset: str = "tables") -> Log:
    """Read a source whole, check it row by row, and let everything in that is sound.

    Parameters
    ----------
    source : str, Path, DataFrame, mapping of str to DataFrame, or Tables
        As in `reading.read_tables`; finished ``Tables`` are taken as they are.
    dataset : {"tables", "movielens", "mooccubex", "kuairand", "oulad"}
        How the files of a folder are understood; ``tables`` are one's own.

    Raises
    ------
    ValueError
        If the data set is unknown, or the source lacks what it needs.
    """
    if dataset not in DATASETS:
        raise ValueError(f"dataset is {dataset!r}; it must be one of {', '.join(DATASETS)}")
    if dataset in READERS:
        return _read_public(source, dataset)
    if isinstance(source, Tables):
        return Log(source)
    if isinstance(source, str | Path):
        return _read_folder(source)
    tables, rejected = read_tables(source)
    return Log(tables, rejected, notes=rejected.notes)


def _read_public(source: Source | Tables, dataset: str) -> Log:
    if not isinstance(source, str | Path) or not str(source):
        raise ValueError(f"dataset {dataset} needs the folder of its files (data_dir, --data)")
    data = READERS[dataset](Path(source))
    return Log(data.tables, notes=data.notes, files=data.files)


def _read_folder(folder: str | Path) -> Log:
    if not str(folder):
        raise ValueError("dataset tables needs a file or a folder of tables (data_dir, --data)")
    tables, rejected = read_tables(folder)
    files = [path for paths in find_files(folder).values() for path in paths]
    return Log(tables, rejected, notes=rejected.notes, files=tuple(files))


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a log must pass before anything is learned from it or told of it.

    Parameters
    ----------
    since, until : str
        ISO times, half open [since, until), UTC; empty for no bound.
    ids : {"keep", "pseudonymise"}
        Whether ids of users and sessions stand as read, or as `privacy.pseudonyms`, without
        the columns that no schema knows.
    duplicates : {"keep", "drop"}
        Exact duplicate events: a log may repeat honestly, so they are kept by default.
    max_rejected : float
        Largest share of rows of any table that may have been set aside, 0 to 1.
    min_events : int
        Fewest events that must remain.

    Raises
    ------
    ValueError
        If a setting is out of its range, or a bound is no time: all at once.
    """

    ranges: ClassVar[Ranges] = {
        "ids": ("keep", "pseudonymise"),
        "duplicates": ("keep", "drop"),
        "max_rejected": (0.0, 1.0),
        "min_events": (0, 1e12),
    }
    since: str = ""
    until: str = ""
    ids: str = "keep"
    duplicates: str = "keep"
    max_rejected: float = 0.05
    min_events: int = 1

    def __post_init__(self) -> None:
        settings = {field.name: getattr(self, field.name) for field in fields(self)}
        faults = setting_faults(type(self), settings, "open_log")
        if faults:
            raise ValueError("\n".join(faults))
        moment("since", self.since)
        moment("until", self.until)

    def admit(self, log: Log) -> Log:
        """Keep what may be used, and say in the notes what was left out.

        Durations that events lack are taken from the items table, here and nowhere else.

        Raises
        ------
        ValueError
            If the log is too broken or too small to report on.
        """
        self._refuse_broken(log)
        log = _with_duplicates(log, self.duplicates)
        if self.ids == "pseudonymise":
            log = _with_pseudonyms(log)
        log = _with_consent(log)
        log = self._inside_window(log)
        self._refuse_small(log)
        return _with_durations(log)

    def _refuse_broken(self, log: Log) -> None:
        for row in log.rejected.counts.itertuples():
            share = row.rejected / row.read if row.read else 0.0
            if share > self.max_rejected:
                raise ValueError(
                    f"{row.table}: {row.rejected:,} of {row.read:,} rows were rejected "
                    f"({share:.1%}), more than max_rejected = {self.max_rejected:.1%}; mend the "
                    "data (`kpay check` names the rows of files), or raise the limit"
                )

    def _inside_window(self, log: Log) -> Log:
        if not self.since and not self.until:
            return log
        tables = window(log.tables, self.since, self.until)
        span = f"from {self.since or 'the beginning'} up to {self.until or 'the end'}"
        return _with_note(log, tables, f"only events {span}")

    def _refuse_small(self, log: Log) -> None:
        n = len(log.tables.events)
        if n < self.min_events:
            remedy = f"widen the window, or look all the same with --set min_events={max(n, 1)}"
            least = f"{n:,} events remain, fewer than min_events = {self.min_events:,}"
            raise ValueError(f"{least}; {remedy}")


def _with_note(log: Log, tables: Tables, note: str) -> Log:
    return replace(log, tables=tables, notes=(*log.notes, note))


def _with_duplicates(log: Log, duplicates: str) -> Log:
    """Count exact duplicate events, and drop them if asked to; totals are never alike."""
    events = log.tables.events
    if "n_events" in events:
        return log
    repeated = events.duplicated()
    if not repeated.any():
        return log
    count = f"{repeated.sum():,} exact duplicate events were"
    if duplicates == "keep":
        return _with_note(log, log.tables, f"{count} kept")
    distinct = events[~repeated].reset_index(drop=True)
    return _with_note(log, log.tables.with_events(distinct), f"{count} dropped")


def _with_pseudonyms(log: Log) -> Log:
    """Put pseudonyms for the ids in the tables and in the rows set aside.

    Columns that may name somebody and that the project does not know are left out.
    """
    rows = log.rejected.rows
    personal = rows["column"].isin(PERSONAL) & (rows["value"] != "")
    value = rows["value"].mask(personal, pseudonyms(rows["value"]))
    value = value.mask(rows["column"] == "", "")  # a line that is no row may hold an id anywhere
    rejected = replace(log.rejected, rows=rows.assign(value=value))
    tables, left_out = pseudonymise(log.tables)
    note = "ids of users and sessions were replaced by pseudonyms"
    if left_out:
        note += (
            f"; columns that may name somebody were left out: {printable(', '.join(left_out), 300)}"
        )
    return _with_note(replace(log, rejected=rejected), tables, note)


def _with_consent(log: Log) -> Log:
    tables, n_dropped = with_consent(log.tables)
    if not n_dropped:
        return replace(log, tables=tables)
    note = f"{n_dropped:,} users without consent were left out, and all their rows"
    return _with_note(log, tables, note)


def _with_durations(log: Log) -> Log:
    """Take the durations that events lack from the items table, where it has them."""
    events = log.tables.events
    items = log.tables.items
    if items is None or "duration" not in items:
        return log
    listed = events["item_id"].map(items.set_index("item_id")["duration"]).astype(np.float64)
    own = events.get("duration", pd.Series(np.nan, events.index))
    n_filled = int((own.isna() & listed.notna()).sum())
    if not n_filled:
        return log
    filled = events.assign(duration=own.fillna(listed))
    note = f"{n_filled:,} events without a duration have that of their item"
    return _with_note(log, log.tables.with_events(filled), note)
