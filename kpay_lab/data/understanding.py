"""What was understood of the files of a log, and what is proposed where they were not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from kpay_lab.data.addresses import is_address
from kpay_lab.data.door import BrokenLogError, Gate
from kpay_lab.data.event_types import CONTENT, MEASURES, types_column
from kpay_lab.data.headers import columns_of, fold, units_of_columns
from kpay_lab.data.log import Log
from kpay_lab.data.looks import TYPES, first_values
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.parsing import holds_text
from kpay_lab.data.privacy import HIDDEN_TEXT, OWN_WORDS
from kpay_lab.data.proposal import propose
from kpay_lab.data.reading import Rejected, read_tables
from kpay_lab.data.rows import NotUnderstoodError, printable
from kpay_lab.data.sources import find_partitions
from kpay_lab.data.splitting import Partition, Piece, read_beginning
from kpay_lab.data.tables import KIND_OF, SCHEMAS, Tables
from kpay_lab.data.understood import Understanding, UnderstoodTable

FIRST_ROWS = 3
COUNTED = ("read", "good", "rejected", "cells")
SHOWN_FILES = 4
IN_SECONDS = ("watch_time", "duration")
LONGEST_USUAL = 3 * 3600  # seconds; a median above it is more likely in another unit
TYPE_WORDS = {"user_id": "id", "item_id": "id", "source_item_id": "id", "session_id": "id"}


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
        A file, a folder, or the address of a database.
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
    if not is_address(source) and not Path(source).exists():
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
    types = mapping.event_types
    found = find_partitions(source, mapping.fed_by, types, mapping.columns).partitions
    frames = tables.present()
    for count in rejected.counts.to_dict("records"):
        table = str(count["table"])
        counts = {name: int(count[name]) for name in COUNTED}
        partitions = [one for one in found.get(table, ()) if isinstance(one, Piece)]
        yield _understood_table(table, counts, frames[table], partitions, mapping)


def _understood_table(
    table: str,
    counts: Mapping[str, int],
    frame: pd.DataFrame,
    partitions: Sequence[Piece],
    mapping: LogMapping,
) -> UnderstoodTable:
    times = frame["timestamp"].dropna() if "timestamp" in frame else pd.Series()
    columns_of_table = SCHEMAS[table].columns  # users may have a column of any other name, as text
    in_seconds = [name for name in IN_SECONDS if name in frame and name in columns_of_table]
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
    table: str, partitions: Sequence[Piece], mapping: LogMapping, frame: pd.DataFrame
) -> pd.DataFrame:
    """Return what each column of a table's files means, with its first values as written."""
    rows: dict[str, tuple[str, str, str, str]] = {}
    headers = set()
    renames = mapping.renames(table)
    for partition in partitions:
        named = partition
        if isinstance(partition, Partition):
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
            column = ours.get(name, "")
            values = _shown_values(cells, column)
            type_ = _type_of(column, units.get(column, ""))
            if name == types:
                column = TYPES
                type_ = "type"
            rows.setdefault(name, (name, column, type_, values))
        if len(headers) > SHOWN_FILES:
            break
    return pd.DataFrame(list(rows.values()), columns=["theirs", "ours", "type", "values"])


def _shown_values(cells: pa.Array, column: str) -> str:
    """Return the first values of a column; of what people wrote only that it is text."""
    if column in OWN_WORDS and holds_text(cells):
        return HIDDEN_TEXT
    return ", ".join(first_values(cells))


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
    if table == "events" and "comment_text" in frame and "comment_text" not in ours.values():
        ours |= {name: "comment_text" for name in header if fold(name) in CONTENT - {*ours}}
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
    if "comment_text" in shown:
        is_written = shown["comment_text"].notna()
        shown["comment_text"] = shown["comment_text"].mask(is_written, HIDDEN_TEXT)
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
    """Count the events by what was done in them, and the rows of the tables beside them."""
    events = tables.events
    kinds = {"events": len(events)}
    for measure in MEASURES:
        if measure in events:
            word = measure.removesuffix("_count")
            kinds[f"with a {word}"] = int((events[measure] > 0).sum())
    if "rating" in events:
        kinds["with a rating"] = int(events["rating"].notna().sum())
    if "gift_amount" in events:
        kinds["with a gift"] = int((events["gift_amount"] > 0).sum())
    for table in ("orders", "exposures", "follows", "offers"):
        frame = tables.present().get(table)
        if frame is not None:
            kinds[table] = len(frame)
    return {name: n for name, n in kinds.items() if n}
