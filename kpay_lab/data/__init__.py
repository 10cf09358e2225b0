"""Tables, where they come from, and what protects the people in them.

`load` is the one door: it names a data set and gives validated tables, the rows that were
set aside, the truth where the data are simulated, and sentences that a page should show.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kpay_lab.data import public
from kpay_lab.data.privacy import PERSONAL, pseudonymise, pseudonyms
from kpay_lab.data.reading import Rejected, find_sources, read_tables
from kpay_lab.data.splitting import shown
from kpay_lab.data.tables import Tables, window

if TYPE_CHECKING:
    from kpay_lab.world.presets import WorldSpec
    from kpay_lab.world.truth import GroundTruth

__all__ = ["Loaded", "Tables", "load", "read_tables", "window", "without_ids"]

PUBLIC = {
    "movielens": public.movielens,
    "mooccubex": public.mooccubex,
    "kuairand": public.kuairand,
    "oulad": public.oulad,
}
DATASETS = ("simulated", "tables", *PUBLIC)


@dataclass(frozen=True)
class Loaded:
    """What `load` found: tables, rows set aside, sentences for the page, and the files read.

    ``truth`` is what the simulator knows; only tests and cells tagged ``oracle`` look at it.
    """

    tables: Tables
    rejected: Rejected = field(default_factory=Rejected)
    truth: "GroundTruth | None" = None
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def load(
    dataset: str,
    data_dir: str | Path | None = None,
    spec: "WorldSpec | None" = None,
    *,
    duplicates: str = "keep",
    ids: str = "keep",
) -> Loaded:
    """Load a data set by name.

    Parameters
    ----------
    dataset : {"simulated", "tables", "movielens", "mooccubex", "kuairand", "oulad"}
        ``tables`` reads one's own files with `read_tables`.
    data_dir : str or Path
        Where the files lie; needed by all but ``simulated``, which takes ``spec``.
    duplicates : {"keep", "drop"}
        Exact duplicate events: a log may repeat honestly, so they are kept by default.
    ids : {"keep", "pseudonymise"}
        Whether ids of users stand as read, or as `privacy.pseudonyms`, without the columns
        that no schema knows.

    Raises
    ------
    ValueError
        If a choice is unknown, the folder is missing or lacks what the data set needs.
    """
    _choose("dataset", dataset, *DATASETS)
    _choose("duplicates", duplicates, "keep", "drop")
    _choose("ids", ids, "keep", "pseudonymise")
    if dataset != "simulated" and data_dir is None:
        raise ValueError(f"dataset {dataset} needs data_dir, the folder of its files")
    found = _simulated(spec) if dataset == "simulated" else _read(dataset, Path(data_dir or ""))
    found = _settle_duplicates(found, duplicates)
    return without_ids(found) if ids == "pseudonymise" else found


def _choose(name: str, value: str, *choices: str) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


def _simulated(spec: "WorldSpec | None") -> Loaded:
    from kpay_lab.world.simulate import WorldSpec, simulate

    tables, truth = simulate(spec or WorldSpec())
    return Loaded(tables, truth=truth)


def _read(dataset: str, folder: Path) -> Loaded:
    if dataset in PUBLIC:
        data = PUBLIC[dataset](folder)
        return Loaded(data.tables, notes=data.notes, files=data.files)
    tables, rejected = read_tables(folder)
    paths = [path for parts in find_sources(folder).values() for path in parts]
    return Loaded(tables, rejected, notes=rejected.notes, files=tuple(paths))


def _settle_duplicates(found: Loaded, duplicates: str) -> Loaded:
    """Count exact duplicate events, and drop them if asked to."""
    events = found.tables.events
    repeated = events.duplicated()
    if not repeated.any():
        return found
    tables, done = found.tables, "kept"
    if duplicates == "drop":
        tables = tables.with_events(events[~repeated].reset_index(drop=True))
        done = "dropped"
    note = f"{repeated.sum():,} exact duplicate events were {done}"
    return replace(found, tables=tables, notes=(*found.notes, note))


def without_ids(found: Loaded) -> Loaded:
    """Put pseudonyms for the ids in the tables, the truth and the rows set aside.

    Columns that may name somebody and that the project does not know are left out.
    """
    rows, truth = found.rejected.rows, found.truth
    personal = rows["column"].isin(PERSONAL) & (rows["value"] != "")
    value = rows["value"].mask(personal, pseudonyms(rows["value"]))
    value = value.mask(rows["column"] == "", "")  # a line that is no row may hold an id anywhere
    rejected = replace(found.rejected, rows=rows.assign(value=value))
    if truth is not None:
        truth = replace(truth, users=pd.Index(pseudonyms(truth.users.to_series())))
    tables, left_out = pseudonymise(found.tables)
    note = "ids of users and sessions were replaced by pseudonyms"
    if left_out:
        note += f"; columns that may name somebody were left out: {shown(', '.join(left_out), 300)}"
    notes = (*found.notes, note)
    return replace(found, tables=tables, rejected=rejected, truth=truth, notes=notes)
