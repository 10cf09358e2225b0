"""What a source of data holds: which tables, and in which files or frames.

A table is a file named after it (``events.csv``), a folder of such parts (``events/``,
``events.parquet/``), or a frame. Where no file of a folder carries a table's name and the
folder holds exactly one data file, that file is the events table.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from kpay_lab.data import public
from kpay_lab.data.splitting import SUFFIXES
from kpay_lab.data.tables import SCHEMAS

Source: TypeAlias = str | Path | pd.DataFrame | Mapping[str, pd.DataFrame]
Part: TypeAlias = Path | pd.DataFrame


def find_parts(source: Source) -> dict[str, list[Part]]:
    """Find the parts of each table: a file or folder as `find_files` has it, or frames.

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
    places = [path for path in sorted(folder.iterdir()) if _files_at(path)]
    sources = {}
    for table in SCHEMAS:
        named = [path for path in places if path.stem.lower() == table]
        if len(named) > 1:
            names = " and ".join(path.name for path in named)
            raise ValueError(f"{folder}: {table} is there twice, as {names}; keep one")
        if named:
            sources[table] = _files_at(named[0])
    if not sources and len(places) == 1:
        sources["events"] = _files_at(places[0])
    if "events" not in sources:
        raise ValueError(
            f"{folder} holds no events; add events.csv, events.parquet or events.jsonl "
            "(a single file may have any name)"
        )
    return sources


def _files_at(path: Path) -> list[Path]:
    """Return the data files at a path: itself, or the parts in a folder."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [one for one in candidates if one.is_file() and one.suffix.lower() in SUFFIXES]
    return [one for one in files if one.name[0] not in "._"]


def tables_of(dataset: str, folder: str | Path | None) -> set[str]:
    """Return the tables that a data set has; without a folder, those that it may have.

    What is no public data set of this package may hold every table.
    """
    if dataset == "tables" and folder is not None:
        return set(find_files(folder))
    return public.TABLES.get(dataset, set(SCHEMAS))


def files_of(dataset: str, folder: str | Path | None) -> list[Path]:
    """Return the files of one's own tables, where the folder is there; else nothing."""
    if dataset != "tables" or not folder or not Path(folder).exists():
        return []
    return [path for paths in find_files(folder).values() for path in paths]
