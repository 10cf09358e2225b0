"""Tables, where they come from, and what protects the people in them.

`load` is the one door: it names a data set and gives validated tables, the rows that were
set aside, the truth where the data are simulated, and sentences that a page should show.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kpay_lab.data import public
from kpay_lab.data.reading import Rejected, find_sources, read_tables
from kpay_lab.data.tables import Tables, window

if TYPE_CHECKING:
    from kpay_lab.data.simulate import GroundTruth, WorldSpec

__all__ = ["DATASETS", "Loaded", "Rejected", "Tables", "load", "read_tables", "window"]

PUBLIC: dict[str, Callable[[Path], public.PublicData]] = {
    "movielens": public.movielens,
    "mooccubex": public.mooccubex,
    "kuairand": public.kuairand,
    "oulad": public.oulad,
}
DATASETS = ("simulated", "tables", *PUBLIC)


@dataclass(frozen=True)
class Loaded:
    """What `load` found.

    Parameters
    ----------
    tables : Tables
    rejected : Rejected
        Rows set aside while reading; empty for simulated and public data.
    truth : GroundTruth or None
        What the simulator knows; only tests and cells tagged ``oracle`` look at it.
    notes : tuple of str
        Sentences that belong beside any result.
    files : tuple of Path
        The data files read, for their hashes.
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
    on_bad_rows: str = "quarantine",
    duplicates: str = "keep",
) -> Loaded:
    """Load a data set by name.

    Parameters
    ----------
    dataset : {"simulated", "tables", "movielens", "mooccubex", "kuairand", "oulad"}
        ``tables`` reads one's own files with `read_tables`.
    data_dir : str or Path
        Where the files lie; needed by all but ``simulated``.
    spec : WorldSpec, optional
        The world to simulate; its defaults otherwise.
    on_bad_rows : {"quarantine", "fail"}
    duplicates : {"keep", "drop"}
        Exact duplicate events: a log may repeat honestly, so they are kept by default.

    Raises
    ------
    ValueError
        If a choice is unknown, the folder is missing or lacks what the data set needs.
    """
    for name, value, choices in (
        ("dataset", dataset, DATASETS),
        ("duplicates", duplicates, ("keep", "drop")),
    ):
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
    if dataset == "simulated":
        found = _simulated(spec)
    elif data_dir is None:
        raise ValueError(f"dataset {dataset} needs data_dir, the folder of its files")
    elif dataset == "tables":
        tables, rejected = read_tables(data_dir, on_bad_rows)
        paths = [path for parts in find_sources(data_dir).values() for path in parts]
        found = Loaded(tables, rejected, notes=rejected.notes, files=tuple(paths))
    else:
        data = PUBLIC[dataset](Path(data_dir))
        found = Loaded(data.tables, notes=data.notes, files=data.files)
    return _settle_duplicates(found, duplicates)


def _simulated(spec: "WorldSpec | None") -> Loaded:
    from kpay_lab.data.simulate import WorldSpec, simulate

    tables, truth = simulate(spec or WorldSpec())
    return Loaded(tables, truth=truth)


def _settle_duplicates(found: Loaded, duplicates: str) -> Loaded:
    """Count exact duplicate events, and drop them if asked to."""
    events = found.tables.events
    repeated = events.duplicated()
    if not repeated.any():
        return found
    done = "kept" if duplicates == "keep" else "dropped"
    note = f"{repeated.sum():,} exact duplicate events were {done}"
    if duplicates == "drop":
        tables = found.tables.with_events(events[~repeated].reset_index(drop=True))
        found = replace(found, tables=tables)
    return replace(found, notes=(*found.notes, note))
