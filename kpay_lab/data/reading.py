"""Files of CSV, Parquet or JSON lines, or frames → Tables, and every row that was set aside."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.data.checking import Checked, check_rows, name_columns
from kpay_lab.data.sources import Part, Source, find_files, find_parts
from kpay_lab.data.splitting import RawRows, read_header, shown, split_file, split_frame
from kpay_lab.data.tables import PRIMARY_KEYS, Tables

ROW_COLUMNS = ["table", "file", "line", "column", "value", "reason"]
COUNT_COLUMNS = ["table", "read", "good", "rejected"]
READING_ORDER = ("users", "items", "events", "orders", "exposures")
MOST_LISTED = 20


@dataclass(frozen=True)
class Rejected:
    """The rows that were set aside, and how many were read, good and rejected.

    Parameters
    ----------
    rows : DataFrame
        One row a problem: table, file, line, column, value, reason. A rejected row may
        have several; a line that is no row has column ''. Of Parquet and of a frame, the line
        is the number of the row, from 1, and a frame goes by its table's name.
    counts : DataFrame
        One row a table: table, read, good, rejected; good + rejected = read.
    notes : tuple of str
        What else a reader should know, such as columns that are not used.
    """

    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ROW_COLUMNS))
    counts: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COUNT_COLUMNS))
    notes: tuple[str, ...] = ()

    def messages(self) -> list[str]:
        """Say each problem in a sentence: place, value, remedy."""
        return [
            f"{row.file} row {row.line}: "
            + (f"{row.column} is {shown(row.value) or 'empty'}; " if row.column else "")
            + row.reason
            for row in self.rows.itertuples()
        ]


def read_tables(
    source: Source, on_bad_rows: str = "quarantine", *, events: pd.DataFrame | None = None
) -> tuple[Tables, Rejected]:
    """Read the tables of a file, a folder or frames, and set bad rows aside.

    Parameters
    ----------
    source : str, Path, DataFrame, or mapping of str to DataFrame
        A single file or frame is the events; a mapping names the table of each frame.
    on_bad_rows : {"quarantine", "fail"}
        Set bad rows aside, or raise one error that lists them.
    events : DataFrame, optional
        Stands in for the source's events, whose files then stay shut.

    Raises
    ------
    ValueError
        If the source or the events are missing, a table cannot be understood as a whole,
        or rows are bad and ``on_bad_rows`` is "fail".
    """
    if on_bad_rows not in ("quarantine", "fail"):
        raise ValueError(f"on_bad_rows is {on_bad_rows!r}; it must be 'quarantine' or 'fail'")
    frames = {} if events is None else {"events": events}
    rows, counts, notes = [pd.DataFrame(columns=ROW_COLUMNS)], [], []
    sources = find_parts(source)
    for table in (name for name in READING_ORDER if name in sources and name not in frames):
        known = {key: frames[name][key] for name, key in PRIMARY_KEYS.items() if name in frames}
        checked, found, n_read = _read_one(table, sources[table], known)
        n_rejected = len(found.drop_duplicates(["file", "line"]))
        if len(checked.good) + n_rejected != n_read:
            raise RuntimeError(f"{table}: a row was lost in reading; please report this fault")
        frames[table] = checked.good
        rows.append(found)
        counts.append((table, n_read, len(checked.good), n_rejected))
        if checked.ignored:
            names = ", ".join(map(shown, checked.ignored))
            notes.append(f"{table}: the columns {names} are not used")
        if checked.empty:
            names = ", ".join(map(shown, checked.empty))
            notes.append(f"{table}: the columns {names} hold no value")
    found = pd.concat(rows, ignore_index=True)
    rejected = Rejected(found, pd.DataFrame(counts, columns=COUNT_COLUMNS), tuple(notes))
    if on_bad_rows == "fail" and len(found):
        raise ValueError(_listing(rejected.messages()))
    return Tables(**frames), rejected


def read_headers(folder: str | Path) -> tuple[dict[str, set[str]], list[str]]:
    """Look at the headers of a folder's tables, no rows.

    Returns
    -------
    columns : dict of table to set of str
        The columns of the files that can be understood, by the design's names.
    faults : list of str
        What `read_tables` would refuse as a whole: no events, or one line a file.
    """
    columns: dict[str, set[str]] = {}
    faults = []
    try:
        sources = find_files(folder)
    except ValueError as error:
        return columns, [str(error)]
    for table, paths in sources.items():
        for path in paths:
            try:
                header, guessed = read_header(path)
                names = name_columns(table, path.name, header, guessed=guessed)
            except ValueError as error:
                faults.append(str(error))
                continue
            columns.setdefault(table, set()).update(names)
    return columns, faults


def _read_one(
    table: str, parts: Sequence[Part], known: dict[str, pd.Series]
) -> tuple[Checked, pd.DataFrame, int]:
    """Read a table: what is good, the rows set aside with their places, how many were read.

    A clean CSV file goes the quick way; any complaint sends the whole table the exact way,
    which knows physical lines. Both judge the same texts by the same rules.
    """
    for exactly in (False, True):
        split = [_split(table, part, exactly) for part in parts]
        raw = [rows for rows in split if rows is not None]
        if len(raw) == len(parts):
            checked = check_rows(table, raw, known)
            if exactly or checked.problems.empty:
                break
    n_read = sum(len(rows) + len(rows.broken) for rows in raw)
    return checked, _located(table, raw, checked.problems), n_read


def _split(table: str, part: Part, exactly: bool) -> RawRows | None:
    if isinstance(part, pd.DataFrame):
        return split_frame(part, table)
    return split_file(part, exactly=exactly)


def _located(table: str, parts: Sequence[RawRows], problems: pd.DataFrame) -> pd.DataFrame:
    """Give each problem its file and line, and add the lines that are no rows."""
    rows, start = [], 0
    for part in parts:
        own = problems[problems["row"].between(start, start + len(part), inclusive="left")]
        lines = np.asarray(part.lines)
        found = [(lines[row - start], *rest) for row, *rest in own.itertuples(index=False)]
        found += [(line, "", text, reason) for line, text, reason in part.broken]
        rows += [(table, part.file, *one) for one in sorted(found, key=lambda one: one[0])]
        start += len(part)
    return pd.DataFrame(rows, columns=ROW_COLUMNS)


def _listing(messages: list[str]) -> str:
    """List the problems, the first of them in full, and count the rest."""
    rest = len(messages) - MOST_LISTED
    more = [f"... and {rest} more"] if rest > 0 else []
    return "\n".join([f"{len(messages)} problems:", *messages[:MOST_LISTED], *more])
