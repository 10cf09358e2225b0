"""The gate between a log and a report: consent, the window of time, and enough of it left."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kpay_lab.data import Loaded
from kpay_lab.data.privacy import with_consent
from kpay_lab.data.tables import Tables, window

if TYPE_CHECKING:
    from kpay_lab.data.simulate import GroundTruth


def admit(
    found: Loaded,
    *,
    since: str = "",
    until: str = "",
    max_rejected: float = 0.05,
    min_events: int = 1,
) -> Loaded:
    """Keep what a report may use, or refuse a log too broken or too small to report on.

    Parameters
    ----------
    found : Loaded
    since, until : str
        ISO times, half open [since, until), UTC; empty for no bound.
    max_rejected : float
        Largest share of rows of any table that may have been set aside, 0 to 1.
    min_events : int
        Fewest events that must remain.

    Returns
    -------
    Loaded
        The admitted tables; its notes say what was left out. The truth of a simulated world
        is cut to the exposures that remain.

    Raises
    ------
    ValueError
        If too many rows were rejected or too few events remain.
    """
    counts = found.rejected.counts
    for row in counts.itertuples():
        share = row.rejected / row.read if row.read else 0.0
        if share > max_rejected:
            raise ValueError(
                f"{row.table}: {row.rejected:,} of {row.read:,} rows were rejected ({share:.1%}), "
                f"more than max_rejected = {max_rejected:.1%}; mend the file, or raise the limit"
            )
    tables, n_dropped = with_consent(_numbered(found.tables))
    notes = list(found.notes)
    if n_dropped:
        notes.append(f"{n_dropped:,} users without consent were left out, and all their rows")
    if since or until:
        tables = window(tables, since or None, until or None)
        notes.append(f"only events from {since or 'the beginning'} up to {until or 'the end'}")
    if len(tables.events) < min_events:
        raise ValueError(
            f"{len(tables.events):,} events remain, fewer than min_events = {min_events:,}; "
            "widen the window or lower the limit"
        )
    tables, truth = _follow(tables, found.truth)
    return replace(found, tables=tables, truth=truth, notes=tuple(notes))


def _numbered(tables: Tables) -> Tables:
    """Number the exposures, so that what is known of each can follow the filters."""
    if tables.exposures is None:
        return tables
    rows = np.arange(len(tables.exposures))
    return replace(tables, exposures=tables.exposures.assign(row=rows))


def _follow(tables: Tables, truth: "GroundTruth | None") -> tuple[Tables, "GroundTruth | None"]:
    """Take the numbers away again; the truth keeps what belongs to the exposures left."""
    if tables.exposures is None:
        return tables, truth
    rows = tables.exposures["row"].to_numpy()
    tables = replace(tables, exposures=tables.exposures.drop(columns="row"))
    if truth is not None:
        truth = replace(
            truth,
            purchase_probability=truth.purchase_probability[rows],
            treatment_effect=truth.treatment_effect[rows],
            propensity=truth.propensity[rows],
        )
    return tables, truth
