"""Read files or frames as tables, as a mapping says what they mean; list every rejected row."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from kpay_lab.data.checking import Checked, KnownIds, check_rows
from kpay_lab.data.databases import Database, DatabaseTable, in_stable_order, opened
from kpay_lab.data.date_and_clock import join_date_and_clock
from kpay_lab.data.event_types import TABLE_OF, Parted, has_types, part_by_type
from kpay_lab.data.follows import with_hosts
from kpay_lab.data.headers import IGNORE, columns_of, fold, name_columns, without_brackets
from kpay_lab.data.mapping import LogMapping, did_you_mean, names_file
from kpay_lab.data.orders import (
    currencies,
    foreign_rows,
    price_notes,
    with_prices,
    without_called_off,
)
from kpay_lab.data.rows import TEXT, RawRows, printable
from kpay_lab.data.sources import Source, find_partitions
from kpay_lab.data.splitting import Piece, read_header, split_file, split_frame
from kpay_lab.data.tables import PRIMARY_KEYS, SCHEMAS, Tables, in_order_of_time

ROW_COLUMNS = ["table", "file", "line", "column", "value", "reason"]
COUNT_COLUMNS = ["table", "read", "good", "rejected", "cells"]
# Ids before their use.
READING_ORDER = ("users", "items", "events", "orders", "exposures", "follows", "offers")


def _no_rows() -> pd.DataFrame:
    return pd.DataFrame(columns=ROW_COLUMNS)


@dataclass(frozen=True)
class Rejected:
    """The rejected rows, the cells that count as missing, and how many of all there were.

    Parameters
    ----------
    rows : DataFrame
        One row for each problem of a rejected row: ``table, file, line, column, value,
        reason``. A rejected row may have several problems. The column is '' where a line is not
        a row at all. In Parquet and in frames the line is the number of the row, from 1. The
        file of a frame is the name of its table.
    cells : DataFrame
        The same of good rows: optional cells that could not be read and count as missing.
    counts : DataFrame
        One row a table: table, read, good, rejected, cells; good + rejected = read. An order
        or exposure that came in the log of events is counted in its own table.
    notes : tuple of str
        What was assumed, and what else a reader should know.
    """

    rows: pd.DataFrame = field(default_factory=_no_rows)
    cells: pd.DataFrame = field(default_factory=_no_rows)
    counts: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COUNT_COLUMNS))
    notes: tuple[str, ...] = ()

    def messages(self) -> list[str]:
        """Return a sentence for each problem: where it is, the value, and the remedy."""
        messages = []
        for row in self.rows.itertuples():
            value = printable(row.value) or "empty"
            problem = f"{row.column} is {value}; {row.reason}" if row.column else row.reason
            messages.append(f"{row.file} row {row.line}: {problem}")
        return messages

    def evidence(self) -> pd.DataFrame:
        """Return rejected rows and missing cells in one frame; ``outcome`` says which is which."""
        rows = self.rows.assign(outcome="row set aside")
        cells = self.cells.assign(outcome="cell taken as missing")
        return pd.concat([rows, cells], ignore_index=True)


def read_tables(
    source: Source,
    *,
    events: pd.DataFrame | None = None,
    mapping: LogMapping | None = None,
) -> tuple[Tables, Rejected]:
    """Read the tables of a file, a folder or frames; reject the rows that break the schema.

    Parameters
    ----------
    source : str, Path, Database, DataFrame, or mapping of str to DataFrame
        A single file or frame is the events; a mapping names the table of each frame; a text may
        be the address of a database, whose rows come in order of time, then id.
    events : DataFrame, optional
        Used in place of the source's events, whose files are then not read.
    mapping : LogMapping, optional
        What the files mean where they do not say it themselves.

    Returns
    -------
    tables : Tables
        The good rows.
    rejected : Rejected
        The other rows, and counts of all.

    Raises
    ------
    ValueError
        If the source or the events are missing, or a table cannot be understood as a whole.
    """
    with opened(source) as place:  # one state of a database for all tables
        return _read_tables(place, events, mapping or LogMapping())


def _read_tables(
    source: Source, events: pd.DataFrame | None, mapping: LogMapping
) -> tuple[Tables, Rejected]:
    frames = {} if events is None else {"events": events}
    rejected = [_no_rows()]
    missing_cells = [_no_rows()]
    counts = []
    known_ids: dict[str, KnownIds] = {}
    types = mapping.event_types
    found = find_partitions(source, mapping.fed_by, types, mapping.columns)
    partitions = found.partitions
    notes = [*found.notes]
    _refuse_unused(mapping, partitions)
    parted = Parted(())
    for table in READING_ORDER:
        moved = parted.moved.get(table, ())
        if table == "follows":
            renames_of_events = mapping.renames("events")
            moved, notes_on_hosts = with_hosts(moved, frames.get("items"), renames_of_events)
            notes += notes_on_hosts
        if table in frames or not (table in partitions or moved):
            continue
        raw = [_read_rows(table, one, mapping) for one in partitions.get(table, ())]
        if table == "events":
            parted = part_by_type(raw, types, mapping.renames(table))
            raw = list(parted.events)
            parted = replace(parted, events=())  # `raw` alone has them, and is deleted below
            notes += parted.notes
        raw += moved
        renames = _renames(table, mapping, [rows.header for rows in moved])
        checked, notes_of_table = _checked(table, raw, known_ids, mapping, renames)
        n_broken = sum(len(rows.broken) for rows in raw)
        n_read = sum(len(rows) for rows in raw) + n_broken
        n_rejected = checked.problems["row"].nunique() + n_broken
        if len(checked.good) + n_rejected != n_read:
            raise RuntimeError(f"{table}: a row was lost in reading; please report this fault")
        counts.append((table, n_read, len(checked.good), n_rejected, len(checked.cells)))
        frames[table] = checked.good
        if isinstance(source, Database):
            frames[table] = in_order_of_time(checked.good)
        rejected.append(_located(table, raw, checked.problems, with_broken=True))
        missing_cells.append(_located(table, raw, checked.cells))
        notes += notes_of_table
        del raw  # one table at a time stands in memory as it was written
        pa.default_memory_pool().release_unused()
        if table in PRIMARY_KEYS:
            key = PRIMARY_KEYS[table]
            if table == "items":
                frames[table], joined = _with_named_items(checked.good, mapping)
                notes += joined
            known_ids[key] = KnownIds(frames[table][key], checked.key_set_aside)
    _refuse_unfed(mapping, frames)
    if "orders" in frames:
        frames["orders"], notes_on_status = without_called_off(frames["orders"])
        notes += notes_on_status
    return Tables(**frames), Rejected(
        rows=pd.concat(rejected, ignore_index=True),
        cells=pd.concat(missing_cells, ignore_index=True),
        counts=pd.DataFrame(counts, columns=COUNT_COLUMNS),
        notes=tuple(dict.fromkeys(notes)),
    )


def _read_rows(table: str, partition: Piece | pd.DataFrame, mapping: LogMapping) -> RawRows:
    """Split a file or a frame into rows, and add the columns that are the same in all of them."""
    names = mapping.names_said()
    if isinstance(partition, pd.DataFrame):
        rows = split_frame(partition, table, names)
    elif isinstance(partition, DatabaseTable) and table in PRIMARY_KEYS:
        rows = in_stable_order(partition.rows(names))  # of rows with one id the first counts
    else:
        rows = split_file(_with_header(partition, mapping), names)
    constants = _constants(table, rows.file, mapping)
    added = [pa.repeat(pa.scalar(value, TEXT), len(rows)) for value in constants.values()]
    return replace(rows, header=[*rows.header, *constants], cells=[*rows.cells, *added])


def _constants(table: str, file: str, mapping: LogMapping) -> dict[str, str]:
    """Return the columns that are the same in every row of a file.

    What describes an item that is named here belongs to the catalogue (`_with_named_items`).
    """
    values = mapping.constants_of(file)
    if "item_id" not in values:
        return values
    of_item = SCHEMAS["items"].columns.keys() - SCHEMAS[table].columns.keys()
    return {column: value for column, value in values.items() if column not in of_item}


def _with_header(partition: Piece, mapping: LogMapping) -> Piece:
    """Give a file the names of its columns, where a mapping has them because it has no header."""
    if isinstance(partition, DatabaseTable):
        return partition
    return replace(partition, names=mapping.header_of(partition.name))


def _checked(
    table: str,
    raw: list[RawRows],
    known_ids: Mapping[str, KnownIds],
    mapping: LogMapping,
    renames: Mapping[str, str],
) -> tuple[Checked, list[str]]:
    """Check a table's rows; return also what should be said of it."""
    faults = _absent_names(mapping, {table: [name for rows in raw for name in rows.header]})
    if faults:
        raise ValueError("\n".join(faults))
    for position, rows in enumerate(raw):
        raw[position] = join_date_and_clock(table, rows, renames)
    notes = [note for rows in raw for note in rows.notes]
    foreign = None
    if table == "orders":
        counts: Counter[str] = Counter()
        for position, rows in enumerate(raw):
            raw[position], filled = with_prices(rows, mapping.price_of, renames)
            counts += filled
        notes += price_notes(counts)
        found = [currencies(rows, renames) for rows in raw]
        foreign = foreign_rows(found, mapping.currency)
    checked = check_rows(table, raw, known_ids, mapping, renames=renames, foreign=foreign)
    priced = {fold(name) for name in mapping.price_of} if table == "orders" else set()
    ignored = [name for name in checked.ignored if fold(name) not in priced]
    return checked, [*notes, *checked.notes, *_notes_on_columns(table, ignored, checked.empty)]


def _renames(
    table: str, mapping: LogMapping, headers: Iterable[Sequence[str]] = ()
) -> dict[str, str]:
    """Return the names that columns of a table have beside those that it understands.

    Orders, exposures and follows may come in the log of events, so they obey what is said of that
    too; ``headers`` are those of such a log, whose names mean in them what they mean in events.
    """
    own = mapping.renames(table)
    if table not in TABLE_OF.values():
        return own
    ours = SCHEMAS[table].columns
    of_events = mapping.renames("events")
    renames = {theirs: column for theirs, column in of_events.items() if column in ours} | own
    for header in headers:
        understood = columns_of(table, header, renames)
        for column, names in columns_of("events", header, of_events).items():
            if column in ours and column not in understood:
                renames[names[0]] = column
    return renames


def _with_named_items(items: pd.DataFrame, mapping: LogMapping) -> tuple[pd.DataFrame, list[str]]:
    """Add the items that a mapping names as constants to the catalogue, unless they are there.

    Raises
    ------
    ValueError
        If something that is said of such an item cannot be.
    """
    known = set(items["item_id"])
    new: dict[str, dict[str, str]] = {}
    for values in mapping.constants.values():
        if "item_id" in values and values["item_id"] not in known:
            about = {name: values[name] for name in SCHEMAS["items"].columns if name in values}
            new.setdefault(values["item_id"], {}).update(about)
    if not new:
        return items, []
    written = pd.DataFrame(list(new.values())).fillna("")
    cells = [pa.array(written[name], TEXT) for name in written]
    rows = RawRows("mapping.constants", list(written), cells, np.arange(1, len(written) + 1))
    checked = check_rows("items", [rows], {}, LogMapping())
    problems = pd.concat([checked.problems, checked.cells])
    if len(problems):
        first = problems.iloc[0]
        item = printable(written["item_id"][first["row"]])
        value = printable(first["value"])
        raise ValueError(
            f"mapping.constants: the {first['column']} of {item} is {value}; {first['reason']}"
        )
    joined = pd.concat([items, checked.good], ignore_index=True)
    joined = joined.astype(checked.good.dtypes.to_dict() | items.dtypes.to_dict())
    shown = ", ".join(map(printable, new))
    return joined, [f"items: {shown} joined the catalogue (mapping.constants)"]


def _notes_on_columns(table: str, ignored: Sequence[str], empty: Sequence[str]) -> list[str]:
    """Name the columns of a table that are not used, and those without a value."""
    notes = []
    if ignored:
        names = ", ".join(map(printable, ignored))
        notes.append(f"{table}: the columns {names} are not used")
    if empty:
        names = ", ".join(map(printable, empty))
        notes.append(f"{table}: the columns {names} hold no value")
    return notes


def read_headers(
    folder: str | Path, mapping: LogMapping | None = None
) -> tuple[dict[str, set[str]], list[str]]:
    """Read the headers of a folder's tables, and no rows.

    Returns
    -------
    columns : dict of table to set of str
        The columns of the files that can be understood, by the names of the schemas.
    faults : list of str
        What `read_tables` would refuse as a whole: no events, or one line a file.
    """
    with opened(folder) as place:
        return _read_headers(place, mapping or LogMapping())


def _read_headers(
    folder: str | Path | Database, mapping: LogMapping
) -> tuple[dict[str, set[str]], list[str]]:
    columns: dict[str, set[str]] = {}
    headers: dict[str, list[str]] = {}
    faults = []
    try:
        types = mapping.event_types
        found = find_partitions(folder, mapping.fed_by, types, mapping.columns)
        partitions = found.partitions
        _refuse_unused(mapping, partitions)
    except ValueError as error:
        return columns, [str(error)]
    for table, parts in partitions.items():
        for partition in parts:
            try:
                given = _with_header(partition, mapping)
                header = read_header(given, mapping.names_said())
                header += _constants(table, partition.name, mapping)
                headers.setdefault(table, []).extend(header)
                renames = _renames(table, mapping)
                names = name_columns(
                    table, partition.name, header, renames=renames, cells_unknown=True
                )
            except ValueError as error:
                faults.append(str(error))
                continue
            columns.setdefault(table, set()).update(names)
            if table == "events" and has_types(header, types, renames):
                for moved in TABLE_OF.values():
                    known = columns_of(moved, header, _renames(moved, mapping, [header]))
                    columns.setdefault(moved, set()).update(known)
    if not faults:
        faults = _absent_names(mapping, headers)
    return columns, faults


def tables_by_type(folder: str | Path, mapping: LogMapping) -> set[str]:
    """Return the tables, beside the events, that rows of the log of events belong to.

    Only a log that tells types of behaviour apart is read for this, and none of its cells is
    checked. One that cannot be read has none; reading it will say why.
    """
    with opened(folder) as place:
        return _tables_by_type(place, mapping)


def _tables_by_type(folder: str | Path | Database, mapping: LogMapping) -> set[str]:
    renames = mapping.renames("events")
    types = mapping.event_types
    try:
        found = find_partitions(folder, mapping.fed_by, types, mapping.columns)
        partitions = found.partitions["events"]
        given = [_with_header(one, mapping) for one in partitions]
        headers = [read_header(one, mapping.names_said()) for one in given]
        are_typed = [has_types(header, types, renames) for header in headers]
        if not any(are_typed) and not types.files:
            return set()
        raw = [_read_rows("events", one, mapping) for one in partitions]
        parted = part_by_type(raw, types, renames)
    except ValueError:
        return set()
    return set(parted.moved)


def _refuse_unused(
    mapping: LogMapping, partitions: Mapping[str, Sequence[Piece | pd.DataFrame]]
) -> None:
    """Refuse what is said of files that are not there.

    Raises
    ------
    ValueError
        With one line for each.
    """
    files = [
        table if isinstance(partition, pd.DataFrame) else partition.name
        for table, parts in partitions.items()
        for partition in parts
    ]
    faults = []
    said = {
        "mapping.headers": mapping.headers,
        "mapping.constants": mapping.constants,
        "mapping.event_types.files": mapping.event_types.files,
    }
    for place, patterns in said.items():
        for pattern in patterns:
            if not any(names_file(pattern, file) for file in files):
                remedy = did_you_mean(pattern, files)
                faults.append(f"{place} names {pattern}, which feeds no table; {remedy}")
    if faults:
        raise ValueError("\n".join(faults))


def _refuse_unfed(mapping: LogMapping, fed: Collection[str]) -> None:
    """Refuse what is said of the columns of a table that neither a file nor an event feeds."""
    for table in mapping.columns:
        if table not in fed:
            raise ValueError(
                f"mapping.columns names columns of {table}, and no file feeds that table; there "
                f"are {', '.join(fed)}; name its files under mapping.files, or leave this out"
            )


def _absent_names(mapping: LogMapping, headers: Mapping[str, Sequence[str]]) -> list[str]:
    """Say of which names a mapping gives a meaning, though no file of their table has them."""
    faults = []
    for table, header in headers.items():
        written = {fold(name) for name in header}
        for theirs, ours in mapping.renames(table).items():
            without_unit = {fold(without_brackets(name)) for name in header}
            if ours != IGNORE and fold(theirs) not in written | without_unit:
                place = f"mapping.columns.{table} names {printable(theirs)!r}"
                remedy = did_you_mean(theirs, [printable(name) for name in dict.fromkeys(header)])
                faults.append(f"{place}, which no file of {table} has; {remedy}")
    return faults


def _located(
    table: str,
    partitions: Sequence[RawRows],
    problems: pd.DataFrame,
    *,
    with_broken: bool = False,
) -> pd.DataFrame:
    """Give each problem its file and line, and add the lines that are not rows."""
    located = []
    start = 0
    for rows in partitions:
        end = start + len(rows)
        lines = np.asarray(rows.lines)
        is_here = problems["row"].between(start, end, inclusive="left")
        problems_here = []
        for row, column, value, reason in problems[is_here].itertuples(index=False):
            problems_here.append((lines[row - start], column, value, reason))
        if with_broken:
            for line, text, reason in rows.broken:
                problems_here.append((line, "", text, reason))
        problems_here.sort(key=itemgetter(0))
        located += [(table, rows.file, *problem) for problem in problems_here]
        start = end
    return pd.DataFrame(located, columns=ROW_COLUMNS)
