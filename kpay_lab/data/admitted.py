"""What a run admitted once, as Arrow files that its notebooks map instead of reading the source.

While a run lasts, the environment variable `FOLDER_VARIABLE` names its private folder. It has a
folder for each log that was admitted and each shop that was simulated, named by what was asked
for. Outside of a run there is none, and everything is read from its source.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from kpay_lab.data.codes import factorize, keep_codes
from kpay_lab.data.door import Gate
from kpay_lab.data.log import Log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.reading import Rejected
from kpay_lab.data.tables import Tables

FOLDER_VARIABLE = "KPAY_ADMITTED"
ABOUT = "about.json"
IDS = ("user_id", "item_id")  # whose codes are kept with them
LENGTH = 32  # letters of a name: 128 bits of its hash


def name_of(*asked: object) -> str:
    """Name what was asked for; equal questions have one name, in every process.

    Parameters
    ----------
    *asked
        Texts, and settings whose ``repr`` says all of them.

    Examples
    --------
    >>> name_of("/data/log", "tables") == name_of("/data/log", "tables")
    True
    """
    digest = hashlib.sha256(repr(asked).encode())
    return digest.hexdigest()[:LENGTH]


def asked_of_log(
    source: str | Path, dataset: str, mapping: LogMapping, gate: Gate, engine: object = None
) -> tuple[object, ...]:
    """Return what decides which rows of a source are admitted, for `name_of` and `kept_folder`."""
    return (str(source), dataset, mapping, gate, engine)


def kept_folder(*asked: object) -> Path | None:
    """Return where the run keeps what was asked for; None where it must be read from its source."""
    folder_of_run = os.environ.get(FOLDER_VARIABLE)
    if not folder_of_run:
        return None
    folder = Path(folder_of_run) / name_of(*asked)
    return folder if folder.is_dir() else None


def keep_log(log: Log, folder: Path) -> None:
    """Write a log to a new folder, so that `kept_log` gives an equal one."""
    rejected = log.rejected
    rejected_frames = {"rows": rejected.rows, "cells": rejected.cells, "counts": rejected.counts}
    keep_tables(log.tables, folder / "tables")
    keep_frames(rejected_frames, folder / "rejected")
    cut = None if log.cut is None else (log.cut.isoformat(), log.cut.unit)
    others = {field.name: getattr(log, field.name) for field in fields(log)}
    del others["tables"], others["rejected"]
    about = others | {
        "files": [str(path) for path in log.files],
        "cut": cut,
        "notes_on_reading": rejected.notes,
    }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def kept_log(folder: Path) -> Log:
    """Map a log that `keep_log` wrote."""
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    tables = kept_tables(folder / "tables")
    notes_on_reading = tuple(about.pop("notes_on_reading"))
    rejected = Rejected(**kept_frames(folder / "rejected"), notes=notes_on_reading)
    about["notes"] = tuple(about["notes"])
    about["files"] = tuple(map(Path, about["files"]))
    if about["cut"] is not None:
        text, unit = about["cut"]
        about["cut"] = pd.Timestamp(text).as_unit(unit)
    return Log(tables, rejected, **about)


def keep_tables(tables: Tables, folder: Path) -> None:
    """Write tables to a new folder, and the codes of their ids, which nobody has to map again."""
    keep_frames(tables.present(), folder)
    codes = {}
    distinct = {}
    for table, column in _columns_of_ids(tables):
        name = f"{table}.{column}"
        codes[name], ids = factorize(tables.present()[table][column])
        distinct[name] = pd.DataFrame({column: ids})
    keep_frames(distinct, folder / "codes")
    keep_arrays(codes, folder / "codes")


def kept_tables(folder: Path) -> Tables:
    """Map tables that `keep_tables` wrote, with the codes of their ids."""
    tables = Tables(**kept_frames(folder))
    distinct = kept_frames(folder / "codes")
    codes = kept_arrays(folder / "codes")
    for table, column in _columns_of_ids(tables):
        name = f"{table}.{column}"
        ids = pd.Index(distinct[name][column])
        keep_codes(tables.present()[table][column], codes[name], ids)
    return tables


def _columns_of_ids(tables: Tables) -> Iterator[tuple[str, str]]:
    """Yield each table and column that names people or items in text."""
    for table, frame in tables.present().items():
        for column in IDS:
            if column in frame and frame[column].dtype == "str":
                yield table, column


def keep_frames(frames: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write each frame to a file of a folder: Arrow's IPC format, which can be mapped."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        table = _as_arrow(frame)
        path = str(folder / f"{name}.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)


def kept_frames(folder: Path) -> dict[str, pd.DataFrame]:
    """Map the frames that `keep_frames` wrote, by name; equal to what was written."""
    return {path.stem: _mapped(path) for path in sorted(folder.glob("*.arrow"))}


def _as_arrow(frame: pd.DataFrame) -> pa.Table:
    """Return a frame as one batch; the same frame gives the same bytes under any version."""
    table = pa.Table.from_pandas(frame).combine_chunks()
    described = json.loads(table.schema.metadata[b"pandas"])
    described.pop("creator", None)
    described.pop("pandas_version", None)
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


def _mapped(path: Path) -> pd.DataFrame:
    """Map a file: text and numbers without gaps stay where they lie, shared by all who map it."""
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    frame = table.to_pandas(split_blocks=True)
    described = json.loads(table.schema.metadata[b"pandas"])
    mixed = {
        column["name"]: object
        for column in described["columns"]
        if column["numpy_type"] == "object" and column["name"] in frame
    }
    return frame.astype(mixed)


def keep_arrays(arrays: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write each array to a file of a folder that is there."""
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values, allow_pickle=False)


def kept_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Map the arrays that `keep_arrays` wrote, by name."""
    paths = sorted(folder.glob("*.npy"))
    return {path.stem: np.asarray(np.load(path, mmap_mode="r")) for path in paths}


def content_hash(folder: Path) -> str:
    """Return one SHA-256 over the names and the bytes of a folder's files."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
            name = path.relative_to(folder).as_posix()
            total.update(f"{name} {digest.hexdigest()}\n".encode())
    return total.hexdigest()
