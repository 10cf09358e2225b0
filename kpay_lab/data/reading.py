"""Read files of CSV, Parquet or JSON lines, or frames, as tables; list every rejected row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.data.checking import Checked, check_rows
from kpay_lab.data.headers import name_columns
from kpay_lab.data.rows import RawRows, printable
from kpay_lab.data.sources import Source, find_partitions
from kpay_lab.data.splitting import Partition, read_header, split_file, split_frame
from kpay_lab.data.tables import PRIMARY_KEYS, Tables

ROW_COLUMNS = ["table", "file", "line", "column", "value", "reason"]
COUNT_COLUMNS = ["table", "read", "good", "rejected"]
READING_ORDER = ("users", "items", "events", "orders", "exposures")  # ids before their use


@dataclass(frozen=True)
class Rejected:
    """The rejected rows, and how many rows were read, good and rejected.

    Parameters
    ----------
    rows : DataFrame
        One row for each problem: ``table, file, line, column, value, reason``. A rejected row
        may have several problems. The column is '' where a line is not a row at all. In Parquet
        and in frames the line is the number of the row, from 1. The file of a frame is the name
        of its table.
    counts : DataFrame
        One row a table: table, read, good, rejected; good + rejected = read.
    notes : tuple of str
        What else a reader should know, such as columns that are not used.
    """

    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ROW_COLUMNS))
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


def read_tables(source: Source, *, events: pd.DataFrame | None = None) -> tuple[Tables, Rejected]:
    """Read the tables of a file, a folder or frames; reject the rows that break the schema.

    Parameters
    ----------
    source : str, Path, DataFrame, or mapping of str to DataFrame
        A single file or frame is the events; a mapping names the table of each frame.
    events : DataFrame, optional
        Used in place of the source's events, whose files are then not read.

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
    frames = {} if events is None else {"events": events}
    problems = [pd.DataFrame(columns=ROW_COLUMNS)]
    counts = []
    found = find_partitions(source)
    partitions = found.partitions
    notes = [*found.notes]
    for table in READING_ORDER:
        if table not in partitions or table in frames:
            continue
        valid_ids = {key: frames[name][key] for name, key in PRIMARY_KEYS.items() if name in frames}
        checked, problems_of_table, n_read, file_notes = _read_table(
            table, partitions[table], valid_ids
        )
        n_good = len(checked.good)
        n_rejected = len(problems_of_table.drop_duplicates(["file", "line"]))
        if n_good + n_rejected != n_read:
            raise RuntimeError(f"{table}: a row was lost in reading; please report this fault")
        frames[table] = checked.good
        problems.append(problems_of_table)
        counts.append((table, n_read, n_good, n_rejected))
        notes += file_notes
        notes += _notes_on_columns(table, checked)
    rows = pd.concat(problems, ignore_index=True)
    count_table = pd.DataFrame(counts, columns=COUNT_COLUMNS)
    return Tables(**frames), Rejected(rows, count_table, tuple(notes))


def _notes_on_columns(table: str, checked: Checked) -> list[str]:
    """Name the columns of a table that are not used, and those without a value."""
    notes = []
    if checked.ignored:
        names = ", ".join(map(printable, checked.ignored))
        notes.append(f"{table}: the columns {names} are not used")
    if checked.empty:
        names = ", ".join(map(printable, checked.empty))
        notes.append(f"{table}: the columns {names} hold no value")
    return notes


def read_headers(folder: str | Path) -> tuple[dict[str, set[str]], list[str]]:
    """Read the headers of a folder's tables, and no rows.

    Returns
    -------
    columns : dict of table to set of str
        The columns of the files that can be understood, by the names of the schemas.
    faults : list of str
        What `read_tables` would refuse as a whole: no events, or one line a file.
    """
    columns: dict[str, set[str]] = {}
    faults = []
    try:
        found = find_partitions(folder)
    except ValueError as error:
        return columns, [str(error)]
    for table, partitions in found.partitions.items():
        for partition in partitions:
            try:
                names = name_columns(table, partition.name, read_header(partition))
            except ValueError as error:
                faults.append(str(error))
                continue
            columns.setdefault(table, set()).update(names)
    return columns, faults


def _read_table(
    table: str, partitions: Sequence[Partition | pd.DataFrame], valid_ids: dict[str, pd.Series]
) -> tuple[Checked, pd.DataFrame, int, list[str]]:
    """Return a table's checked rows, its problems with file and line, and what its files say."""
    raw = [_read_rows(table, partition) for partition in partitions]
    checked = check_rows(table, raw, valid_ids)
    n_read = sum(len(rows) + len(rows.broken) for rows in raw)
    notes = [note for rows in raw for note in rows.notes]
    return checked, _locate(table, raw, checked.problems), n_read, notes


def _read_rows(table: str, partition: Partition | pd.DataFrame) -> RawRows:
    if isinstance(partition, pd.DataFrame):
        return split_frame(partition, table)
    return split_file(partition)


def _locate(table: str, partitions: Sequence[RawRows], problems: pd.DataFrame) -> pd.DataFrame:
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
        for line, text, reason in rows.broken:
            problems_here.append((line, "", text, reason))
        problems_here.sort(key=itemgetter(0))
        located += [(table, rows.file, *problem) for problem in problems_here]
        start = end
    return pd.DataFrame(located, columns=ROW_COLUMNS)
