"""Find the tables of a source, and the files or frames that hold them.

A table is a file named after it (``events.csv``), a folder of partitions (``events/``,
``events.parquet/``), or a frame. A folder with a single data file, which is not named after a
table, holds the events.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from kpay_lab.data import public
from kpay_lab.data.splitting import SUFFIXES
from kpay_lab.data.tables import SCHEMAS

Source: TypeAlias = str | Path | pd.DataFrame | Mapping[str, pd.DataFrame]
Partition: TypeAlias = Path | pd.DataFrame


def find_partitions(source: Source) -> dict[str, list[Partition]]:
    """Find the partitions of each table: its files, as in `find_files`, or its frame.

    Parameters
    ----------
    source : str, Path, DataFrame, or mapping of str to DataFrame
        A frame is the events; a mapping names the table of each frame.

    Raises
    ------
    ValueError
        If the source is none of these, names an unknown table, or has no events.
    """
    if isinstance(source, pd.DataFrame):
        return {"events": [source]}
    if isinstance(source, Mapping):
        return {name: [frame] for name, frame in _checked_frames(source).items()}
    if isinstance(source, str | Path):
        return {name: [*paths] for name, paths in find_files(source).items()}
    raise ValueError(
        f"the source is of type {type(source).__name__}; give a file, a folder, a DataFrame of "
        "events, or a mapping of tables' names to DataFrames"
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


def find_files(folder: str | Path) -> dict[str, list[Path]]:
    """Find the files of each table; the files of one table are in order of their names.

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
    files_by_path = {path: _data_files(path) for path in sorted(folder.iterdir())}
    paths = [path for path, files in files_by_path.items() if files]
    files_by_table = {}
    for table in SCHEMAS:
        named = [path for path in paths if path.stem.lower() == table]
        if len(named) > 1:
            names = " and ".join(path.name for path in named)
            raise ValueError(f"{folder}: {table} is there twice, as {names}; keep one")
        if named:
            files_by_table[table] = files_by_path[named[0]]
    if not files_by_table and len(paths) == 1:
        files_by_table["events"] = files_by_path[paths[0]]
    if "events" not in files_by_table:
        raise ValueError(
            f"{folder} holds no events; add events.csv, events.parquet or events.jsonl "
            "(a single file may have any name)"
        )
    return files_by_table


def _data_files(path: Path) -> list[Path]:
    """Return the data files at a path: the file itself, or the files of a folder."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [candidate for candidate in candidates if _is_data_file(candidate)]


def _is_data_file(path: Path) -> bool:
    is_hidden = path.name[0] in "._"
    return path.is_file() and path.suffix.lower() in SUFFIXES and not is_hidden


def tables_of(dataset: str, folder: str | Path | None) -> set[str]:
    """Return the tables that a data set has, or without a folder those that it may have.

    A data set that is not among the public ones of this package may have every table.
    """
    if dataset == "tables" and folder is not None:
        return set(find_files(folder))
    return public.TABLES.get(dataset, set(SCHEMAS))


def files_of(dataset: str, folder: str | Path | None) -> list[Path]:
    """Return the files of the user's own tables; none of a public data set or an absent folder."""
    if dataset != "tables" or not folder or not Path(folder).exists():
        return []
    return [path for paths in find_files(folder).values() for path in paths]
