"""A folder of CSV, Parquet or JSON lines → Tables, and every row that was set aside.

A table is a file named after it (``events.csv``) or a folder of such parts (``events/``,
``events.parquet/``). Where no file carries a table's name and the folder holds exactly
one data file, that file is the events table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.data.checking import Checked, check_rows, name_columns
from kpay_lab.data.splitting import SUFFIXES, RawRows, read_header, shown, split_file
from kpay_lab.data.tables import PRIMARY_KEYS, SCHEMAS, Tables

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
        have several; a line that is no row has column ''.
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
    folder: str | Path, on_bad_rows: str = "quarantine", *, events: pd.DataFrame | None = None
) -> tuple[Tables, Rejected]:
    """Read the tables of a folder, or of its one file of events, and set bad rows aside.

    Parameters
    ----------
    on_bad_rows : {"quarantine", "fail"}
        Set bad rows aside, or raise one error that lists them.
    events : DataFrame, optional
        Stands in for the folder's events, whose files then stay shut.

    Raises
    ------
    ValueError
        If the folder or the events are missing, a file cannot be understood as a whole,
        or rows are bad and ``on_bad_rows`` is "fail".
    """
    if on_bad_rows not in ("quarantine", "fail"):
        raise ValueError(f"on_bad_rows is {on_bad_rows!r}; it must be 'quarantine' or 'fail'")
    frames = {} if events is None else {"events": events}
    rows, counts, notes = [pd.DataFrame(columns=ROW_COLUMNS)], [], []
    sources = find_sources(folder)
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
        sources = find_sources(folder)
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


def find_sources(folder: str | Path) -> dict[str, list[Path]]:
    """Find the files of each table; parts of a table in order of their names.

    Raises
    ------
    ValueError
        If there is no such folder, no events, or a table in two places.
    """
    folder = Path(folder)
    if folder.is_file() and folder.suffix.lower() in SUFFIXES:
        return {"events": [folder]}
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name a folder that holds events.csv")
    places = [path for path in sorted(folder.iterdir()) if _parts(path)]
    named = {table: [path for path in places if path.stem.lower() == table] for table in SCHEMAS}
    for table, paths in named.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise ValueError(f"{folder}: {table} is there twice, as {names}; keep one")
    sources = {table: _parts(paths[0]) for table, paths in named.items() if paths}
    if not sources and len(places) == 1:
        sources = {"events": _parts(places[0])}
    if "events" not in sources:
        raise ValueError(
            f"{folder} holds no events; add events.csv, events.parquet or events.jsonl "
            "(a single file may have any name)"
        )
    return sources


def _parts(path: Path) -> list[Path]:
    """Return the data files at a path: itself, or the parts in a folder."""
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [one for one in found if one.is_file() and one.suffix.lower() in SUFFIXES]
    return [one for one in found if one.name[0] not in "._"]


def _read_one(
    table: str, paths: Sequence[Path], known: dict[str, pd.Series]
) -> tuple[Checked, pd.DataFrame, int]:
    """Read a table: what is good, the rows set aside with their places, how many were read.

    A clean CSV file goes the quick way; any complaint sends the whole table the exact way,
    which knows physical lines. Both judge the same texts by the same rules.
    """
    for exactly in (False, True):
        parts = [part for path in paths if (part := split_file(path, exactly=exactly)) is not None]
        if len(parts) == len(paths):
            checked = check_rows(table, parts, known)
            if exactly or checked.problems.empty:
                break
    n_read = sum(len(part) + len(part.broken) for part in parts)
    return checked, _located(table, parts, checked.problems), n_read


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
