"""Read a source into a `Log`; a `Gate` then decides which of its rows may be used, if any."""

from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from kpay_lab.data import public
from kpay_lab.data.addresses import is_address
from kpay_lab.data.codes import coded, look_up, take_rows
from kpay_lab.data.derived import watched_share
from kpay_lab.data.log import Log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.privacy import OWN_WORDS, PERSONAL, pseudonymise, pseudonyms, with_consent
from kpay_lab.data.reading import Rejected, read_tables
from kpay_lab.data.rows import printable
from kpay_lab.data.sources import Source, find_files
from kpay_lab.data.tables import Tables, moment, window
from kpay_lab.settings import Ranges, setting_faults

READERS = {
    "movielens": public.movielens,
    "mooccubex": public.mooccubex,
    "kuairand": public.kuairand,
    "oulad": public.oulad,
}
DATASETS = ("tables", *READERS)
MOSTLY = 0.5  # share of events watched longer than they last from which the unit is in doubt


def read_log(
    source: Source | Tables, dataset: str = "tables", mapping: LogMapping | None = None
) -> Log:
    """Read a whole source, check every row, and set aside the rows that break the schema.

    Parameters
    ----------
    source : str, Path, DataFrame, mapping of str to DataFrame, or Tables
        A text may be the address of a database. As in `reading.read_tables`; finished ``Tables``
        are taken as they are.
    dataset : {"tables", "movielens", "mooccubex", "kuairand", "oulad"}
        How the files of a folder are understood: your own ``tables``, or a public data set.
    mapping : LogMapping, optional
        What your own tables mean.

    Raises
    ------
    ValueError
        If the data set is unknown, the source lacks what it needs, or a mapping is given for
        what needs none.
    """
    if dataset not in DATASETS:
        raise ValueError(f"dataset is {dataset!r}; it must be one of {', '.join(DATASETS)}")
    if mapping and (dataset in READERS or isinstance(source, Tables)):
        what = f"data set {dataset}" if dataset in READERS else "checked tables"
        raise ValueError(f"mapping says what your own files mean; leave it empty for {what}")
    if dataset in READERS:
        return _read_public(source, dataset)
    if isinstance(source, Tables):
        return Log(source)
    if isinstance(source, str | Path):
        return _read_path(source, mapping)
    tables, rejected = read_tables(source, mapping=mapping)
    return _as_the_mapping_says(Log(tables, rejected, notes=rejected.notes), mapping)


def _read_public(source: Source | Tables, dataset: str) -> Log:
    if not isinstance(source, str | Path) or not str(source) or is_address(source):
        raise ValueError(f"dataset {dataset} needs the folder of its files (data_dir, --data)")
    data = READERS[dataset](Path(source))
    n_zero = data.zero_durations
    return Log(data.tables, notes=data.notes, files=data.files, zero_durations=n_zero)


def _read_path(path: str | Path, mapping: LogMapping | None) -> Log:
    """Read one file of events, a folder of tables, or a database."""
    if not str(path):
        raise ValueError("dataset tables needs a file or a folder of tables (data_dir, --data)")
    tables, rejected = read_tables(path, mapping=mapping)
    meant = mapping or LogMapping()
    found = (
        {} if is_address(path) else find_files(path, meant.files, meant.event_types, meant.columns)
    )
    files = tuple(dict.fromkeys(chain.from_iterable(found.values())))
    return _as_the_mapping_says(Log(tables, rejected, notes=rejected.notes, files=files), meant)


def _as_the_mapping_says(log: Log, mapping: LogMapping | None) -> Log:
    """Return a log with the zone and the currency that its mapping says."""
    if mapping is None:
        return log
    zone = mapping.source_time_zone or log.time_zone
    return replace(log, time_zone=zone, currency=mapping.currency)


class BrokenLogError(ValueError):
    """A log of which too many rows were rejected.

    Parameters
    ----------
    message : str
    rejected : Rejected
        The rows that were set aside, for whoever must mend the data.
    """

    def __init__(self, message: str, rejected: Rejected) -> None:
        super().__init__(message)
        self.rejected = rejected


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a log must satisfy before a model learns from it or a page reports on it.

    Parameters
    ----------
    since, until : str
        ISO times, half open [since, until), UTC; empty for no bound.
    ids : {"keep", "pseudonymise"}
        ``pseudonymise`` replaces ids of users and sessions (see `privacy.pseudonyms`), and
        leaves out columns that are in no schema and may name somebody.
    duplicates : {"keep", "drop"}
        What happens to exact duplicate events. They are kept by default, because a user can
        do the same thing twice.
    max_rejected : float
        Largest share of rows of any table that may have been set aside, 0 to 1.
    min_events : int
        Fewest events that must remain.

    Raises
    ------
    ValueError
        If settings are out of their ranges (all are named at once), or a bound is not an ISO
        time.
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
        """Keep the rows that may be used, and note what was left out.

        Events without a duration take that of their item; no other code does this.

        Raises
        ------
        BrokenLogError
            If too many rows were rejected, or too many times of events could not be read; it
            carries them, under pseudonyms where asked.
        ValueError
            If the log is too small to report on.
        """
        unread_times = _share_of_unread_times(log)
        log = _with_duplicates(log, self.duplicates)
        if self.ids == "pseudonymise":
            log = _with_pseudonyms(log)
        self._refuse_broken(log)
        self._refuse_timeless(log, unread_times)
        log = _with_consent(log)
        log = self._inside_window(log)
        self._refuse_small(log)
        return _with_word_on_units(_with_durations(_with_word_on_times(log)))

    def _refuse_broken(self, log: Log) -> None:
        for count in log.rejected.counts.itertuples():  # one row a table
            share = count.rejected / count.read if count.read else 0.0
            if share > self.max_rejected:
                problem = (
                    f"{count.table}: {count.rejected:,} of {count.read:,} rows were rejected "
                    f"({share:.1%}), more than max_rejected = {self.max_rejected:.1%}; mend the "
                    "data (`kpay check` names the rows of files), or raise the limit"
                )
                raise BrokenLogError(problem, log.rejected)

    def _refuse_timeless(self, log: Log, unread: float) -> None:
        if unread <= self.max_rejected:
            return
        cells = log.rejected.cells
        is_time = (cells["table"] == "events") & (cells["column"] == "timestamp")
        first = cells[is_time].iloc[0]
        raise BrokenLogError(
            f"events: {unread:.1%} of the times that are written were not understood, more than "
            f"max_rejected = {self.max_rejected:.1%}; such as {printable(first['value'])} in "
            f"{first['file']} row {first['line']} ({first['reason']}); mend them, name another "
            "column of times with mapping.columns, or leave this one out there (ignore)",
            log.rejected,
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
            problem = f"{n:,} events remain, fewer than min_events = {self.min_events:,}"
            remedy = f"widen the window, or look all the same with --set min_events={max(n, 1)}"
            raise ValueError(f"{problem}; {remedy}")


def _share_of_unread_times(log: Log) -> float:
    """Return the share of the events' times that are written and could not be read."""
    cells = log.rejected.cells
    n_unread = int(((cells["table"] == "events") & (cells["column"] == "timestamp")).sum())
    events = log.tables.events
    n_read = int(events["timestamp"].notna().sum()) if "timestamp" in events else 0
    return n_unread / (n_unread + n_read) if n_unread else 0.0


def _with_note(log: Log, tables: Tables, note: str) -> Log:
    return replace(log, tables=tables, notes=(*log.notes, note))


def _with_duplicates(log: Log, duplicates: str) -> Log:
    """Note how many exact duplicate events there are, and drop them if asked to."""
    events = log.tables.events
    are_totals = "n_events" in events
    if are_totals:  # at most one row a pair and side of the cut: no two are equal
        return log
    repeated = _repeated(events)
    if not repeated.any():
        return log
    count = f"{repeated.sum():,} exact duplicate events (equal in every column used) were"
    if duplicates == "keep":
        return _with_note(log, log.tables, f"{count} kept")
    distinct = take_rows(events, ~repeated).reset_index(drop=True)
    return _with_note(log, log.tables.with_events(distinct), f"{count} dropped")


def _repeated(events: pd.DataFrame) -> np.ndarray:
    """Mark the events that equal an earlier one; all columns are compared of few rows only."""
    keys = [name for name in ("user_id", "item_id", "timestamp") if name in events]
    is_alike = coded(events[keys]).duplicated(keep=False).to_numpy()
    repeated = is_alike.copy()
    repeated[is_alike] = events[is_alike].duplicated()
    return repeated


def _with_pseudonyms(log: Log) -> Log:
    """Replace ids by pseudonyms, in the tables and in the rejected rows.

    Columns that are in no schema and may name somebody are left out.
    """
    rejected = replace(
        log.rejected,
        rows=_without_people(log.rejected.rows),
        cells=_without_people(log.rejected.cells),
    )
    tables, left_out = pseudonymise(log.tables)
    note = "ids of users and sessions were replaced by pseudonyms"
    if left_out:
        note += (
            f"; columns that may name somebody were left out: {printable(', '.join(left_out), 300)}"
        )
    return _with_note(replace(log, rejected=rejected), tables, note)


def _without_people(problems: pd.DataFrame) -> pd.DataFrame:
    """Replace ids in the values of problems, and leave out what people wrote."""
    value = problems["value"]
    is_id = problems["column"].isin(PERSONAL) & (value != "")
    value = value.mask(is_id, pseudonyms(value))
    is_whole_line = problems["column"] == ""  # not parsed: an id may be anywhere in it
    is_own_words = problems["column"].isin(OWN_WORDS)
    return problems.assign(value=value.mask(is_whole_line | is_own_words, ""))


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
    duration_of = items.set_index("item_id")["duration"]
    duration = events.get("duration", pd.Series(np.nan, events.index)).copy()
    is_missing = duration.isna()
    of_item = look_up(events.loc[is_missing, "item_id"], duration_of).astype(np.float64)
    n_filled = int(of_item.notna().sum())
    if not n_filled:
        return log
    duration[is_missing] = of_item.to_numpy()
    filled = events.assign(duration=duration)
    note = f"{n_filled:,} events without a duration have that of their item"
    return _with_note(log, log.tables.with_events(filled), note)


def _with_word_on_times(log: Log) -> Log:
    """Note how many events have no time, where others have one."""
    events = log.tables.events
    if "timestamp" not in events:
        return log
    n_untimed = int(events["timestamp"].isna().sum())
    if n_untimed in (0, len(events)):
        return log
    note = (
        f"{n_untimed:,} of {len(events):,} events have no time; they stay out of what needs one "
        "(the split in time, funnel, sessions, retention)"
    )
    return _with_note(log, log.tables, note)


def _with_word_on_units(log: Log) -> Log:
    """Note where most events were watched longer than they last: the unit may be another."""
    share = watched_share(log.tables.events).dropna()
    is_longer = share > 1
    if not len(share) or is_longer.mean() <= MOSTLY:
        return log
    note = (
        f"{is_longer.mean():.0%} of the {len(share):,} events with a duration were watched longer "
        f"than they last, at the median {share.median():,.4g} times; if watch_time is not in "
        "seconds, write mapping: {units: {watch_time: ms}}, and likewise for duration"
    )
    return _with_note(log, log.tables, note)
