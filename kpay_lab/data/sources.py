"""Find the tables of a source, and the files, sheets, frames or tables of a database with them.

A table is a file or a sheet named after it (``events.csv``, ``订单``), several such files that
differ only in numbers (``events_2023-01.csv``), a folder of files (``events/``,
``events.parquet/``, ``events/dt=2023-01-05/``), a table or view of a database, or a frame. Files
that no table is named after hold the events if there is nothing else that does, and no doubt
which.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from kpay_lab.data import public
from kpay_lab.data.addresses import is_address
from kpay_lab.data.databases import Database, DatabaseTable, TableState, is_query
from kpay_lab.data.event_types import MEANINGS, EventTypes, meaning_of_word
from kpay_lab.data.headers import columns_of, name_columns
from kpay_lab.data.rows import NotUnderstoodError, listed, printable
from kpay_lab.data.splitting import JSON, Partition, Piece, read_header, suffix_of
from kpay_lab.data.spreadsheets import WORKBOOKS, sheet_names
from kpay_lab.data.tables import SCHEMAS

Source: TypeAlias = str | Path | Database | pd.DataFrame | Mapping[str, pd.DataFrame]
Files: TypeAlias = Mapping[str, Sequence[str]]
Columns: TypeAlias = Mapping[str, Mapping[str, str]]

# what a file or a sheet may be called, besides the table's own name
TABLE_WORDS = {
    "events": "event log logs behavior behaviors behaviour behaviours interaction interactions "
    "behaviorlog behaviourlog userbehavior userbehaviour userlog eventlog "
    "行为 事件 日志 行为日志 用户行为 用户行为日志 观看 互动",
    "items": "item course courses content contents product products goods 课程 内容 商品 产品",
    "users": "user customer customers student students member members 用户 会员 学员 客户",
    "orders": "order purchase purchases transaction transactions 订单 购买 交易",
    "exposures": "exposure impression impressions 曝光",
    "follows": "follow follower followers 关注 粉丝",
    "offers": "offer pitches 讲解 商品讲解 讲解商品",
}
TABLE_OF_WORD = {word: table for table, words in TABLE_WORDS.items() for word in words.split()}
TABLE_OF_WORD |= {table: table for table in SCHEMAS}
PACKED = (".zip", ".rar", ".7z", ".tar", ".tgz")
DATABASE_FILES = {".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".duckdb": "duckdb"}
RECBOLE_TABLES = {".inter": "events", ".item": "items", ".user": "users"}
END_OF_NAME = re.compile(r"(表|数据|信息|明细|记录|列表|导出)$")
COPY_OF_FILE = re.compile(r" \(\d+\)$")  # what a browser adds to a second download
ID_OF_WRITER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # Spark, one a write
NO_LETTERS = re.compile(r"[\W\d_]+")
HIVE_FOLDER = re.compile(r"([^=]+)=(.*)")


@dataclass(frozen=True)
class Found:
    """What a source holds.

    Parameters
    ----------
    partitions : dict of table to list of Partition, DatabaseTable or DataFrame
        The files of one table are in order of their names.
    notes : tuple of str
        Which files were taken together, and which are not used.
    """

    partitions: dict[str, list[Piece | pd.DataFrame]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """A file, a sheet, a folder of files or a table of a database: one candidate for a table.

    ``title`` is its name in messages, ``stem`` the name that may be a table's, and ``table``
    the table that it is named after, or ''; ``is_of_one_type`` where all its rows are one type of
    behaviour.
    """

    title: str
    stem: str
    table: str
    partitions: Sequence[Piece] = field(default_factory=list)
    is_of_one_type: bool = False


def find_partitions(
    source: Source,
    files: Files | None = None,
    types: EventTypes | None = None,
    columns: Columns | None = None,
) -> Found:
    """Find the partitions of each table: its files and sheets, or its frame.

    Parameters
    ----------
    source : str, Path, Database, DataFrame, or mapping of str to DataFrame
        A text may be the address of a database. A frame is the events; a mapping names the table
        of each frame.
    files : mapping of table to names, optional
        The files of each table, as paths inside the folder or patterns (``2023-*.csv``); a sheet
        is ``book.xlsx/sheet``. Of a database the names or patterns of its tables, or queries.
        Other files and tables are then not used.
    types : EventTypes, optional
        Files that hold one type of behaviour each are events.
    columns : mapping of table to (their name → ours), optional
        The columns that a mapping gives a meaning; by them a file may be the events.

    Raises
    ------
    ValueError
        If the source is none of these, names an unknown table, or has no events; if ``files``
        names what is not there, or one file for two tables.
    """
    if isinstance(source, str | Path | Database):
        return _find_at(source, files, types or EventTypes(), columns or {})
    if files:
        raise ValueError("mapping.files names files, but the source is frames; leave it out")
    if isinstance(source, pd.DataFrame):
        return Found({"events": [source]})
    if isinstance(source, Mapping):
        frames = _checked_frames(source)
        return Found({name: [frame] for name, frame in frames.items()})
    raise ValueError(
        f"the source is of type {type(source).__name__}; give a file, a folder, the address of a "
        "database, a DataFrame of events, or a mapping of tables' names to DataFrames"
    )


def _checked_frames(frames: Mapping[str, pd.DataFrame]) -> Mapping[str, pd.DataFrame]:
    for name, frame in frames.items():
        if name not in SCHEMAS:
            raise ValueError(f"table {name!r} is unknown; choose among {', '.join(SCHEMAS)}")
        if not isinstance(frame, pd.DataFrame):
            kind = type(frame).__name__
            raise ValueError(f"table {name} is of type {kind}; it must be a DataFrame")
    if "events" not in frames:
        raise ValueError("the frames hold no events; name the behaviour log 'events'")
    return frames


def _find_at(
    place: str | Path | Database, files: Files | None, types: EventTypes, columns: Columns
) -> Found:
    if isinstance(place, str) and is_address(place):
        place = Database(place)
    if isinstance(place, Database):
        return _find_tables(place, files, types, columns)
    return _find(Path(place), files, types, columns)


def find_files(
    folder: str | Path | Database,
    files: Files | None = None,
    types: EventTypes | None = None,
    columns: Columns | None = None,
) -> dict[str, list[Path]]:
    """Find the files of each table, as `find_partitions` does; a database has none.

    Raises
    ------
    ValueError
        If there is no such file or folder, no events, or a table in two places.
    """
    paths_by_table = {}
    found = _find_at(folder, files, types or EventTypes(), columns or {})
    for table, partitions in found.partitions.items():
        paths = [partition.path for partition in partitions if isinstance(partition, Partition)]
        paths_by_table[table] = list(dict.fromkeys(paths))
    return paths_by_table


def _find(place: Path, files: Files | None, types: EventTypes, columns: Columns) -> Found:
    if not place.exists():
        raise ValueError(f"{place} is no folder and no file; name a folder that holds events.csv")
    if place.is_file() and not suffix_of(place):
        raise ValueError(_why_unread(place))
    if files:
        return _find_named(place, files, list_partitions(place))
    is_folder = place.is_dir()
    entries = _folder_entries(place, columns) if is_folder else _file_entries(place, columns)
    if len(entries) == 1 and not is_folder:  # whatever its name: it was asked for
        return Found({"events": [*entries[0].partitions]})
    unread = _unread_tables(place, is_all=not entries) if is_folder else []
    return _assign(place, [_typed(entry, types) for entry in entries], columns, unread)


def _unread_tables(folder: Path, *, is_all: bool) -> list[Path]:
    """List the files of a folder that seem to hold tables, in a form that is not read.

    With ``is_all`` the names of files do not matter: nothing in the folder can be read.
    """
    unread = []
    for path in _visible_below(folder):
        if suffix_of(path):
            continue
        holds_tables = path.suffix.lower() in (*PACKED, *DATABASE_FILES)
        if holds_tables or is_all or table_of_name(path.stem):
            unread.append(path)
    return unread


def _visible_below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of its folders, in order of their names."""
    for path in sorted(folder.iterdir()):
        if not _is_visible(path):
            continue
        if path.is_dir():
            yield from _visible_below(path)
        else:
            yield path


def _notes_on_unread(paths: Sequence[Path]) -> list[str]:
    """Say of each kind of unread files which they are, and what to do with the first."""
    names_of_kind: dict[str, list[Path]] = {}
    for path in paths:
        names_of_kind.setdefault(path.suffix.lower(), []).append(path)
    notes = []
    for first, *others in names_of_kind.values():
        also = f"; so are {listed(path.name for path in others)}" if others else ""
        notes.append(f"not read: {_why_unread(first)}{also}")
    return notes


def _why_unread(path: Path) -> str:
    """Say why a file is not read, and what to do."""
    suffix = path.suffix.lower()
    if suffix in PACKED:
        return f"{path.name} is packed; unpack it, and name the folder that results"
    if suffix in DATABASE_FILES:
        address = f"{DATABASE_FILES[suffix]}:///{path.resolve()}"
        return f"{path.name} is the file of a database; name it as {address}"
    return (
        f"{path.name} is of a kind that cannot be read; save it as .csv, .xlsx, .json or .parquet"
    )


def _find_tables(
    database: Database, tables: Files | None, types: EventTypes, columns: Columns
) -> Found:
    """Find the tables and views of a database by their names, as the files of a folder."""
    available = database.tables()
    if tables:
        return _find_named(database, tables, available)
    if not available:
        raise ValueError(
            f"{database} holds no table that you may see; name another schema ({database}?schema="
            "NAME), or a query: mapping: {tables: {events: SELECT …}}"
        )
    entries = [_Entry(one.name, one.name, table_of_name(one.name), [one]) for one in available]
    if len(entries) == 1:  # whatever its name: it was asked for
        return Found({"events": [*entries[0].partitions]})
    return _assign(database, [_typed(entry, types) for entry in entries], columns)


def _said_of(place: Path | Database) -> str:
    """Return where a mapping says what feeds which table."""
    return "mapping.tables" if isinstance(place, Database) else "mapping.files"


def _typed(entry: _Entry, types: EventTypes) -> _Entry:
    """Take a candidate as events if it was said which type of behaviour it holds."""
    if any(types.meaning_of_file(partition.name) for partition in entry.partitions):
        return replace(entry, table="events", is_of_one_type=True)
    return entry


def table_of_name(stem: str) -> str:
    """Return the table that a file, folder or sheet is named after; '' where there is none.

    >>> table_of_name("events_2023-01-05"), table_of_name("订单明细"), table_of_name("report")
    ('events', 'orders', '')
    """
    word = _letters(stem)
    return TABLE_OF_WORD.get(word) or TABLE_OF_WORD.get(END_OF_NAME.sub("", word), "")


def _letters(stem: str) -> str:
    """Return the letters of a name in lower case; the rest tells parts of one table apart."""
    without_id = ID_OF_WRITER.sub("", stem.lower())
    return NO_LETTERS.sub("", without_id)


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name[: -len(suffix_of(path))] if suffix_of(path) else name


def _is_visible(path: Path) -> bool:
    return path.name[0] not in "._~"


def _folder_entries(folder: Path, columns: Columns) -> list[_Entry]:
    """List the candidates in a folder; a folder that holds one folder alone is looked into."""
    paths = [path for path in sorted(folder.iterdir()) if _is_visible(path)]
    folders = [path for path in paths if path.is_dir()]
    if any(HIVE_FOLDER.fullmatch(path.name) for path in folders):
        return [_Entry(folder.name, folder.name, "events", list(_files_below(folder)))]
    entries = []
    for path in paths:
        if path.is_dir():
            entries += _subfolder_entries(path)
        elif suffix_of(path):
            entries += _file_entries(path, columns)
    if len(paths) == len(folders) == 1 and not any(entry.table for entry in entries):
        inner = _folder_entries(folders[0], columns)
        if not entries or any(entry.table for entry in inner):
            return inner
    return entries


def _subfolder_entries(folder: Path) -> list[_Entry]:
    """Take a folder as one table; only one that is named after a table is searched to its end."""
    table = table_of_name(_stem(folder))
    is_deep = bool(table) or any(HIVE_FOLDER.fullmatch(path.name) for path in folder.iterdir())
    partitions = list(_files_below(folder) if is_deep else _files_in(folder))
    return [_Entry(f"{folder.name}/", _stem(folder), table, partitions)] if partitions else []


def _files_in(folder: Path) -> Iterator[Partition]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and _is_visible(path) and suffix_of(path):
            yield Partition(path, path.name)


def _files_below(folder: Path, inside: str = "") -> Iterator[Partition]:
    """Yield the data files of a folder and its folders, with the columns that their names give."""
    for path in sorted(folder.iterdir()):
        if not _is_visible(path):
            continue
        name = f"{inside}{path.name}"
        if path.is_dir():
            yield from _files_below(path, f"{name}/")
        elif suffix_of(path):
            parts = [HIVE_FOLDER.fullmatch(part) for part in inside.split("/")]
            columns = {match.group(1): match.group(2) for match in parts if match}
            yield Partition(path, name, folder_columns=columns)


def _file_entries(path: Path, columns: Columns) -> list[_Entry]:
    """Take a file as one candidate, a workbook with several sheets as several."""
    stem = _stem(path)
    table = table_of_name(stem) or RECBOLE_TABLES.get(suffix_of(path), "")
    whole = _Entry(path.name, stem, table, [Partition(path, path.name)])
    if suffix_of(path) not in WORKBOOKS:
        return [whole]
    sheets = _sheets(path)
    if len(sheets) < 2:
        named = table or "".join(table_of_name(sheet) for sheet in sheets)
        return [_Entry(whole.title, stem, named, whole.partitions)]
    entries = []
    for sheet in sheets:
        partition = Partition(path, f"{path.name}/{sheet}", sheet)
        entries.append(_Entry(partition.name, sheet, table_of_name(sheet), [partition]))
    if any(entry.table for entry in entries) or not table:
        return entries
    fitting = [entry for entry in entries if _fits(entry, table, columns)] or entries
    return [_Entry(entry.title, entry.stem, table, entry.partitions) for entry in fitting]


def _sheets(path: Path) -> list[str]:
    """Return the names of a workbook's sheets; none where reading it will say what is wrong."""
    try:
        return sheet_names(path)
    except ValueError:
        return []


def _assign(
    place: Path | Database,
    entries: Sequence[_Entry],
    columns: Columns,
    unread: Sequence[Path] = (),
) -> Found:
    """Give each table its candidates; those without a table's name may be the events."""
    notes = _notes_on_unread(unread)
    partitions: dict[str, list[Piece | pd.DataFrame]] = {}
    entries = _with_files_of_types(entries, columns)
    for table in SCHEMAS:
        named = [entry for entry in entries if entry.table == table]
        if named:
            partitions[table] = _parts(place, table, named, columns, notes)
    unnamed = [entry for entry in entries if not entry.table]
    if "events" not in partitions:
        if unread and not unnamed:
            raise ValueError(f"{place} holds no events that can be read: {_why_unread(unread[0])}")
        events = _events_among(place, unnamed, columns, is_alone=not partitions)
        partitions["events"] = _parts(place, "events", events, columns, notes)
        titles = [entry.title for entry in events]
        unnamed = [entry for entry in unnamed if entry.title not in titles]
        if partitions.keys() - {"events"}:
            notes.append(f"events: {listed(titles)} are taken as the events")
    if unnamed:
        unused = listed(entry.title for entry in unnamed)
        notes.append(
            f"not used: {unused}; no table has such a name ({_said_of(place)} says which "
            f"{'table' if isinstance(place, Database) else 'file'} is which)"
        )
    in_order = {table: partitions[table] for table in SCHEMAS if table in partitions}
    return Found(in_order, tuple(notes))


def _with_files_of_types(entries: Sequence[_Entry], columns: Columns) -> list[_Entry]:
    """Take files such as 观看.csv and 点赞.csv together, though the first also names the events."""
    named = [entry for entry in entries if entry.table == "events"]
    is_said = any(entry.is_of_one_type for entry in named)
    if not named or is_said or not all(meaning_of_word(entry.stem) for entry in named):
        return [*entries]
    taken = []
    for entry in entries:
        is_candidate = not entry.table and meaning_of_word(entry.stem) is not None
        is_other_type = is_candidate and _fits(entry, "events", columns)
        taken.append(replace(entry, table="events") if is_other_type else entry)
    of_events = [entry for entry in taken if entry.table == "events"]
    if len(of_events) == len(named):
        return taken
    return [
        replace(entry, is_of_one_type=True) if entry.table == "events" else entry for entry in taken
    ]


def _parts(
    place: Path | Database,
    table: str,
    entries: Sequence[_Entry],
    columns: Columns,
    notes: list[str],
) -> list[Piece | pd.DataFrame]:
    """Take the candidates of a table together where they are its parts, and note that."""
    titles = [entry.title for entry in entries]
    if len(entries) > 1 and not all(entry.is_of_one_type for entry in entries):
        if not _are_numbered(entries):
            raise ValueError(
                f"{place}: {table} is there twice, as {listed(titles)}; keep one, or say which to "
                f"read with {_said_of(place)}, such as {{{table}: [{titles[0]}]}}"
            )
        _refuse_other_headers(place, table, entries, columns)
        notes.append(f"{table}: {listed(titles)} are read as parts of one table")
    return [partition for entry in entries for partition in entry.partitions]


def _are_numbered(entries: Sequence[_Entry]) -> bool:
    """Whether names differ in numbers alone, as the days of a log do."""
    stems = {COPY_OF_FILE.sub("", entry.stem.lower()) for entry in entries}
    letters = {_letters(entry.stem) for entry in entries}
    return len(stems) == len(entries) and len(letters) == 1


def _refuse_other_headers(
    place: Path | Database, table: str, entries: Sequence[_Entry], columns: Columns
) -> None:
    """Refuse parts of unlike columns; in JSON a name that no row has is not written at all."""
    names = columns.get(table, {})
    first = entries[0].partitions[0]
    header_of_first = read_header(first, names)
    for entry in entries[1:]:
        partition = entry.partitions[0]
        header = read_header(partition, names)
        are_json = _is_json(first) and _is_json(partition)
        differing = {*header} ^ {*header_of_first}
        if any(differing) and not are_json:  # a column without a name is none
            raise ValueError(
                f"{place}: {entries[0].title} and {entry.title} look like parts of {table}, but "
                f"their columns differ ({listed(header_of_first)}; {listed(header)}); say which to "
                f"read with {_said_of(place)}, such as {{{table}: [{entries[0].title}]}}"
            )


def _is_json(partition: Piece) -> bool:
    return isinstance(partition, Partition) and suffix_of(partition.path) in JSON


def _fits(entry: _Entry, table: str, columns: Columns) -> bool:
    """Whether the header of a candidate has what the table requires."""
    partition = entry.partitions[0]
    renames = columns.get(table, {})
    try:
        header = read_header(partition, renames)
        name_columns(table, partition.name, header, renames=renames, cells_unknown=True)
    except ValueError:
        return False
    return True


def _events_among(
    place: Path | Database, entries: Sequence[_Entry], columns: Columns, *, is_alone: bool
) -> list[_Entry]:
    """Choose the events among candidates that are named after no table.

    Where no table is named either, a single candidate, or numbered ones, need not fit: reading
    them says what their header lacks.
    """
    fitting = [entry for entry in entries if _fits(entry, "events", columns)]
    candidates = fitting or [*entries]
    if len(fitting) > 1 and all(meaning_of_word(entry.stem) for entry in fitting):
        return [replace(entry, is_of_one_type=True) for entry in fitting]
    is_clear = len(candidates) == 1 or (len(candidates) > 1 and _are_numbered(candidates))
    if is_clear and (fitting or is_alone):
        return candidates
    raise _without_events(place, entries, fitting)


def _without_events(
    place: Path | Database, entries: Sequence[_Entry], fitting: Sequence[_Entry]
) -> ValueError:
    """Say what was found where the events are not clear, and what to do."""
    if not entries:
        return ValueError(
            f"{place} holds no events; add events.csv, events.xlsx, events.parquet or "
            "events.jsonl (a single file may have any name)"
        )
    titles = [entry.title for entry in entries]
    if len(fitting) < 2 and isinstance(place, Database):
        return NotUnderstoodError(
            f"{place} holds no events; found {listed(titles)}",
            "name the table of the behaviour log, or a query, with mapping.tables, such as "
            f"{{events: {titles[0]}}}",
        )
    if len(fitting) < 2:
        largest = max(entries, key=_size).title
        file = Path(largest)
        suffix = file.name.removeprefix(_stem(file))
        return NotUnderstoodError(
            f"{place} holds no events; found {listed(titles)}",
            f"name the behaviour log events{suffix}, or set mapping.files, such as "
            f"{{events: [{largest}]}}",
        )
    names = [entry.title for entry in fitting]
    types = ", ".join(f"{name}: view" for name in names)
    meanings = ", ".join(MEANINGS)
    said = _said_of(place)
    return NotUnderstoodError(
        f"{place} holds no events, but {listed(names)} could be",
        f"to read several as one log set {said} to {{events: [{listed(names)}]}}, or where "
        f"each holds one type of behaviour mapping.event_types to {{files: "
        f"{{{printable(types, 200)}}}}}, each with what it means: {meanings}",
    )


def _size(entry: _Entry) -> int:
    files = [one for one in entry.partitions if isinstance(one, Partition)]
    return sum(file.path.stat().st_size for file in files)


def _find_named(place: Path | Database, files: Files, available: Sequence[Piece]) -> Found:
    """Give each table the files, sheets, tables and queries that ``files`` names; note others."""
    said = _said_of(place)
    unknown = [table for table in files if table not in SCHEMAS]
    if unknown:
        raise ValueError(
            f"{said}: table {unknown[0]!r} is unknown; choose among {', '.join(SCHEMAS)}"
        )
    if "events" not in files:
        raise ValueError(f"{said} names no events; add {{events: [your behaviour log]}}")
    table_of: dict[str, str] = {}
    partitions: dict[str, list[Piece | pd.DataFrame]] = {}
    for table in SCHEMAS:
        for pattern in files.get(table, ()):
            for partition in _meant(table, pattern, available, place):
                earlier = table_of.setdefault(partition.name, table)
                if earlier != table:
                    raise ValueError(
                        f"{said}: {partition.name} is named for {earlier} and for {table}; keep one"
                    )
                so_far = partitions.setdefault(table, [])
                if partition not in so_far:
                    so_far.append(partition)
    unused = [partition.name for partition in available if partition.name not in table_of]
    notes = (f"not used: {listed(unused)}; {said} does not name them",) if unused else ()
    return Found(partitions, notes)


def _meant(
    table: str, pattern: str, available: Sequence[Piece], place: Path | Database
) -> Sequence[Piece]:
    """Return what a name or a pattern means; of a database also a query, or another schema's."""
    if not isinstance(place, Database):
        return _matching(pattern, available, place)
    names = [one.name for one in available]
    if pattern in names:
        return [place.table(pattern)]
    if is_query(pattern):
        return [place.asked(table, pattern)]
    is_elsewhere = "." in pattern and "*" not in pattern
    return (
        [place.table_elsewhere(pattern)] if is_elsewhere else _matching(pattern, available, place)
    )


def list_partitions(place: Path | Database) -> Sequence[Piece]:
    """List every file below a place, every sheet of a workbook with several, or every table."""
    if isinstance(place, Database):
        return place.tables()
    files: Iterable[Partition] = _files_below(place) if place.is_dir() else []
    if place.is_file() and suffix_of(place):
        files = [Partition(place, place.name)]
    partitions = []
    for partition in files:
        sheets = _sheets(partition.path) if suffix_of(partition.path) in WORKBOOKS else []
        if len(sheets) < 2:
            partitions.append(partition)
            continue
        for sheet in sheets:
            partitions.append(Partition(partition.path, f"{partition.name}/{sheet}", sheet))
    return partitions


def _matching(pattern: str, available: Sequence[Piece], place: Path | Database) -> list[Piece]:
    """Return the files and sheets that a name, a folder or a pattern means; none is an error."""
    said = _said_of(place)
    wanted = pattern.strip("/")
    below = f"{wanted}/"
    matches = []
    for partition in available:
        is_named = fnmatchcase(partition.name, wanted) or partition.name == wanted
        if is_named or partition.name.startswith(below):
            matches.append(partition)
    names = [partition.name for partition in available]
    if not matches:
        near = get_close_matches(wanted, names, 3) or names
        remedy = f"it holds {listed(near)}" if near else "it holds nothing that can be read"
        raise ValueError(f"{said}: {printable(pattern)} is not in {place}; {remedy}")
    sheets = [one for one in matches if isinstance(one, Partition) and one.sheet]
    are_all_sheets = [f"{wanted}/{one.sheet}" for one in sheets] == [one.name for one in matches]
    if len(matches) > 1 and are_all_sheets:
        raise ValueError(
            f"{said}: {wanted} has several sheets; name one, such as {matches[0].name}"
        )
    return matches


def tables_of(
    dataset: str,
    folder: str | Path | None,
    files: Files | None = None,
    types: EventTypes | None = None,
    columns: Columns | None = None,
) -> set[str]:
    """Return the tables that a data set has, or without a folder those that it may have.

    A data set that is not among the public ones of this package may have every table.
    """
    if dataset == "tables" and folder is not None:
        return set(find_partitions(folder, files, types, columns).partitions)
    return public.TABLES.get(dataset, set(SCHEMAS))


def states_of(
    dataset: str,
    source: str | Path | None,
    files: Files | None = None,
    types: EventTypes | None = None,
    columns: Columns | None = None,
) -> dict[str, TableState]:
    """Return what each table of a database holds, by address and name; nothing of files."""
    states: dict[str, TableState] = {}
    if dataset != "tables" or not is_address(source):
        return states
    with Database(str(source)) as database:
        found = find_partitions(database, files, types, columns)
        for table, pieces in found.partitions.items():
            renames = (columns or {}).get(table, {})
            for piece in pieces:
                if isinstance(piece, DatabaseTable):
                    times = columns_of(table, piece.header(), renames).get("timestamp", [""])
                    states[f"{database} {piece.name}"] = piece.state(times[0])
    return states


def files_of(
    dataset: str,
    folder: str | Path | None,
    files: Files | None = None,
    types: EventTypes | None = None,
    columns: Columns | None = None,
) -> list[Path]:
    """Return the files of the user's own tables; none of a public data set or an absent folder."""
    is_there = folder and not is_address(folder) and Path(folder).exists()
    if dataset != "tables" or not folder or not is_there:
        return []
    found = find_files(folder, files, types, columns)
    return list(dict.fromkeys(path for paths in found.values() for path in paths))
