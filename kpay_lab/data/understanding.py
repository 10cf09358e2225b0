"""What was understood of the files of a log, and what is proposed where they were not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from kpay_lab import columns as c
from kpay_lab.data.door import BrokenLogError, Gate
from kpay_lab.data.event_types import MEASURES, types_column
from kpay_lab.data.headers import columns_of, units_of_columns
from kpay_lab.data.log import Log
from kpay_lab.data.looks import TYPES, first_values
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.proposal import Proposal, propose
from kpay_lab.data.reading import Rejected, read_tables
from kpay_lab.data.rows import NotUnderstoodError, printable
from kpay_lab.data.sources import find_partitions
from kpay_lab.data.splitting import Partition, read_beginning
from kpay_lab.data.tables import KIND_OF, SCHEMAS, Tables
from kpay_lab.data.understanding_lines import all_lines, brief_lines

EXAMPLES = 3
FIRST_ROWS = 3
COUNTED = ("read", "good", "rejected", "cells")
SHOWN_FILES = 4
FATAL = ("item_id", "consent")  # optional columns of which a bad cell may reject its row
IN_SECONDS = ("watch_time", "duration")
LONGEST_USUAL = 3 * 3600  # seconds; a median above it is more likely in another unit
TYPE_WORDS = {"user_id": "id", "item_id": "id", "source_item_id": "id", "session_id": "id"}


@dataclass(frozen=True)
class UnderstoodTable:
    """What was understood of one table.

    Parameters
    ----------
    name : str
    files : tuple of str
        The files that feed it; none where its rows came in the log of events.
    counts : mapping of str to int
        read, good, rejected, cells (that count as missing).
    columns : DataFrame
        ``theirs, ours, type, values``: a row a column of the files; ``ours`` is '' for one that
        is not used.
    first_rows : DataFrame
        The first good rows, as text.
    first, last : Timestamp, optional
        The span of its times, UTC.
    n_users, n_items : int
        How many different ones there are.
    medians : mapping of str to float
        Of the columns that hold seconds.
    """

    name: str
    files: tuple[str, ...]
    counts: Mapping[str, int]
    columns: pd.DataFrame
    first_rows: pd.DataFrame
    first: pd.Timestamp | None
    last: pd.Timestamp | None
    n_users: int
    n_items: int
    medians: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "table": self.name,
            "files": list(self.files),
            **self.counts,
            "columns": self.columns.to_dict("records"),
            "first_rows": self.first_rows.to_dict("records"),
            "first": None if self.first is None else self.first.isoformat(),
            "last": None if self.last is None else self.last.isoformat(),
            "users": self.n_users,
            "items": self.n_items,
        }


@dataclass(frozen=True, repr=False)
class Understanding:
    """What was understood of a source; printing it shows everything at 80 columns.

    Parameters
    ----------
    source : str
    tables : tuple of UnderstoodTable
        None where the files were not understood as a whole.
    kinds : mapping of str to int
        The kinds of events, orders and exposures, with their counts.
    rejected : Rejected
    zone : str
        In which the times are shown.
    refusal : str
        Why no report can rest on the source, with a remedy; '' where one can.
    problem : str
        The same without a remedy, for a proposal is better.
    proposal : Proposal
        What may be said of the files beyond what was said.
    tried : Understanding, optional
        The same source read as the proposal has it, where it has no gaps.
    """

    source: str
    tables: tuple[UnderstoodTable, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    rejected: Rejected = field(default_factory=Rejected)
    zone: str = "UTC"
    refusal: str = ""
    problem: str = ""
    proposal: Proposal = field(default_factory=Proposal)
    tried: "Understanding | None" = None

    @property
    def is_sound(self) -> bool:
        """Whether a report can rest on the source as it is understood."""
        return not self.refusal

    @property
    def is_sound_as_proposed(self) -> bool:
        """Whether a report can rest on the source as the proposal, if there is one, has it."""
        if not self.proposal.said:
            return self.is_sound
        return self.tried is not None and self.tried.is_sound

    @property
    def n_events(self) -> int:
        """How many events there are."""
        return self.kinds.get("events", 0)

    def table(self) -> pd.DataFrame:
        """Return one row a table: its counts, users, items and span."""
        rows = []
        for one in self.tables:
            row = {"table": one.name, **one.counts}
            row |= {"users": one.n_users, "items": one.n_items}
            row |= {"first": one.first, "last": one.last}
            rows.append(row)
        return pd.DataFrame(rows)

    def problems(self) -> pd.DataFrame:
        """Return one row a (table, column, outcome, reason): how many, and three examples."""
        evidence = self.rejected.evidence()
        rows = []
        evidence["outcome"] = [_outcome(row) for row in evidence.itertuples()]
        keys = ["table", "column", "outcome", "reason"]
        for key, found in evidence.groupby(keys, sort=False):
            examples = []
            for row in found.head(EXAMPLES).itertuples():
                value = printable(str(row.value), 30) or "empty"
                examples.append((f"{row.file} row {row.line}", value))
            rows.append((*key, len(found), examples))
        problems = pd.DataFrame(rows, columns=[*keys, "n", "examples"])
        return problems.sort_values("n", ascending=False, kind="stable", ignore_index=True)

    def brief(self) -> list[str]:
        """Return two lines of what was understood."""
        return brief_lines(self)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON: every row, and not only examples."""
        return {
            "source": self.source,
            "sound": self.is_sound,
            "refusal": self.refusal,
            "tables": [one.as_dict() for one in self.tables],
            "kinds": dict(self.kinds),
            "time_zone": self.zone,
            "rejected": self.rejected.rows.to_dict("records"),
            "cells": self.rejected.cells.to_dict("records"),
            "notes": list(self.rejected.notes),
            "proposal": dict(self.proposal.said),
            "questions": list(self.proposal.questions),
            "looks": self.proposal.files.to_dict("records"),
        }

    def __str__(self) -> str:
        """Show what was understood, what was not, and what is proposed."""
        return "\n".join(all_lines(self))

    __repr__ = __str__


def _outcome(row: Any) -> str:
    """Say what became of a row with a problem, or of its cell.

    A row that was set aside for another column may have bad optional cells too.
    """
    if not row.outcome.startswith("row"):
        return "cell taken as missing"
    optional = c.OPTIONAL[row.table].split()
    is_fatal = row.column not in optional or row.column in FATAL
    return "row set aside" if is_fatal else "cell of a row set aside"


def understand(
    source: str | Path,
    mapping: LogMapping | None = None,
    *,
    max_rejected: float = 0.05,
) -> Understanding:
    """Read a source, and tell what was understood; where it was not, propose a mapping.

    Parameters
    ----------
    source : str or Path
        A file or a folder.
    mapping : LogMapping, optional
        What was said of its files.
    max_rejected : float
        Largest share of the rows of a table that may be set aside.

    Raises
    ------
    ValueError
        If the source does not exist.
    """
    mapping = mapping or LogMapping()
    if not Path(source).exists():
        raise ValueError(f"{source} is no folder and no file; name a file or a folder")
    understood = _as_said(source, mapping, max_rejected)
    proposal = propose(source, mapping)
    doubts = _doubts_of_units(understood.tables)
    proposal = replace(proposal, questions=(*proposal.questions, *doubts))
    tried = None
    if proposal.said and not proposal.has_gaps:
        tried = _as_said(source, LogMapping.of(proposal.said), max_rejected)
    return replace(understood, proposal=proposal, tried=tried)


def _doubts_of_units(tables: Iterable[UnderstoodTable]) -> Iterator[str]:
    """Ask for the unit of times watched that are longer than anybody watches."""
    for table in tables:
        for column, median in table.medians.items():
            if median > LONGEST_USUAL:
                yield (
                    f"{table.name}: half of the values of {column} are longer than "
                    f"{median / 3600:.1f} hours; if they are no seconds, write units: "
                    f"{{{column}: ms}}"
                )


def _as_said(source: str | Path, mapping: LogMapping, max_rejected: float) -> Understanding:
    try:
        tables, rejected = read_tables(source, mapping=mapping)
    except NotUnderstoodError as error:
        return Understanding(str(source), refusal=str(error), problem=error.problem)
    except ValueError as error:
        return Understanding(str(source), refusal=str(error), problem=str(error))
    refusal = _refusal(tables, rejected, max_rejected)
    understood = understood_of(source, mapping, tables, rejected)
    return replace(understood, refusal=refusal, problem=refusal)


def understood_of(
    source: str | Path, mapping: LogMapping, tables: Tables, rejected: Rejected
) -> Understanding:
    """Tell what was understood of a source that was read already."""
    return Understanding(
        str(source),
        _in_order(_understood_tables(source, mapping, tables, rejected)),
        _kinds(tables),
        rejected,
        mapping.source_time_zone or "UTC",
    )


def _refusal(tables: Tables, rejected: Rejected, max_rejected: float) -> str:
    for count in rejected.counts.itertuples():  # one row a table
        if not count.good:
            rows = "none of its rows is good" if count.read else "it has no rows"
            return f"{count.table}: {rows}"
    try:
        Gate(max_rejected=max_rejected).admit(Log(tables, rejected))
    except BrokenLogError as error:
        return str(error)
    return ""


def _understood_tables(
    source: str | Path, mapping: LogMapping, tables: Tables, rejected: Rejected
) -> Iterator[UnderstoodTable]:
    found = find_partitions(source, mapping.files, mapping.event_types).partitions
    frames = tables.present()
    for count in rejected.counts.to_dict("records"):
        table = str(count["table"])
        counts = {name: int(count[name]) for name in COUNTED}
        partitions = [one for one in found.get(table, ()) if isinstance(one, Partition)]
        yield _understood_table(table, counts, frames[table], partitions, mapping)


def _understood_table(
    table: str,
    counts: Mapping[str, int],
    frame: pd.DataFrame,
    partitions: Sequence[Partition],
    mapping: LogMapping,
) -> UnderstoodTable:
    times = frame["timestamp"].dropna() if "timestamp" in frame else pd.Series()
    in_seconds = [name for name in IN_SECONDS if name in frame]
    return UnderstoodTable(
        name=table,
        files=tuple(partition.name for partition in partitions),
        counts=counts,
        columns=_columns(table, partitions, mapping, frame),
        first_rows=_first_rows(frame, mapping.source_time_zone),
        first=times.min() if len(times) else None,
        last=times.max() if len(times) else None,
        n_users=_n_different(frame, "user_id"),
        n_items=_n_different(frame, "item_id"),
        medians={name: float(frame[name].median()) for name in in_seconds},
    )


def _in_order(tables: Iterable[UnderstoodTable]) -> tuple[UnderstoodTable, ...]:
    """Put the events first."""
    order = list(SCHEMAS)
    return tuple(sorted(tables, key=lambda one: order.index(one.name)))


def _n_different(frame: pd.DataFrame, column: str) -> int:
    return int(frame[column].nunique()) if column in frame else 0


def _columns(
    table: str, partitions: Sequence[Partition], mapping: LogMapping, frame: pd.DataFrame
) -> pd.DataFrame:
    """Return what each column of a table's files means, with its first values as written."""
    rows: dict[str, tuple[str, str, str, str]] = {}
    headers = set()
    renames = mapping.renames(table)
    for partition in partitions:
        named = replace(partition, names=mapping.header_of(partition.name))
        beginning = read_beginning(named, mapping.names_said())
        header = tuple(beginning.header)
        if header in headers:
            continue
        headers.add(header)
        ours = _ours(table, header, renames, frame)
        units = {**units_of_columns(table, header, renames), **mapping.units}
        types = ""
        if table == "events":
            types = types_column(beginning, mapping.event_types, renames)
        for name, cells in zip(header, beginning.cells, strict=True):
            values = ", ".join(first_values(cells))
            column = ours.get(name, "")
            type_ = _type_of(column, units.get(column, ""))
            if name == types:
                column = TYPES
                type_ = "type"
            rows.setdefault(name, (name, column, type_, values))
        if len(headers) > SHOWN_FILES:
            break
    return pd.DataFrame(list(rows.values()), columns=["theirs", "ours", "type", "values"])


def _ours(
    table: str, header: Sequence[str], renames: Mapping[str, str], frame: pd.DataFrame
) -> dict[str, str]:
    """Return our name of each column that is kept; the users table keeps further ones."""
    ours = {}
    if table == "users":
        ours = {name: name for name in header if name in frame}
    for column, names in columns_of(table, header, renames).items():
        for name in names:
            ours[name] = column
    return ours


def _type_of(column: str, unit: str) -> str:
    """Say what a column holds in a word or two, and its unit as written."""
    if unit:
        return unit
    if not column:
        return ""
    if column in TYPE_WORDS or column not in KIND_OF:
        return TYPE_WORDS.get(column, "")
    dtype = str(KIND_OF[column].dtype)
    if dtype.startswith("datetime"):
        return "time"
    if column in ("watch_time", "duration"):
        return "seconds"
    if column in ("progress", "propensity"):
        return "share"
    if dtype == "boolean":
        return "yes or no"
    return "text" if KIND_OF[column].dtype is str else "number"


def _first_rows(frame: pd.DataFrame, zone: str) -> pd.DataFrame:
    shown = frame.head(FIRST_ROWS).copy()
    for column in shown:
        shown[column] = [_cell_text(value, zone) for value in shown[column]]
    return shown


def _cell_text(value: Any, zone: str) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return f"{_in_zone(value, zone):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.10g}"
    return printable(str(value), 40)


def _in_zone(moment: pd.Timestamp, zone: str) -> pd.Timestamp:
    return moment.tz_convert(zone) if zone else moment


def _kinds(tables: Tables) -> dict[str, int]:
    """Count the events by what was done in them, and the orders and exposures."""
    events = tables.events
    kinds = {"events": len(events)}
    for measure in MEASURES:
        if measure in events:
            word = measure.removesuffix("_count")
            kinds[f"with a {word}"] = int((events[measure] > 0).sum())
    if "rating" in events:
        kinds["with a rating"] = int(events["rating"].notna().sum())
    for table in ("orders", "exposures"):
        frame = tables.present().get(table)
        if frame is not None:
            kinds[table] = len(frame)
    return {name: n for name, n in kinds.items() if n}
