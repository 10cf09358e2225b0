"""The gate between a log and a report: consent, the window of time, and enough of it left."""

from dataclasses import replace

import numpy as np

from kpay_lab.data import Loaded
from kpay_lab.data.privacy import with_consent
from kpay_lab.data.tables import window


def admit(
    found: Loaded,
    *,
    since: str = "",
    until: str = "",
    max_rejected: float = 0.05,
    min_events: int = 1,
) -> Loaded:
    """Keep what a report may use, or refuse a log too broken or too small to report on.

    The notes say what was left out; the truth is cut to the exposures that remain.

    Parameters
    ----------
    since, until : str
        ISO times, half open [since, until), UTC; empty for no bound.
    max_rejected : float
        Largest share of rows of any table that may have been set aside, 0 to 1.
    min_events : int
        Fewest events that must remain.
    """
    _refuse_broken(found, max_rejected)
    tables, truth, notes = found.tables, found.truth, list(found.notes)
    if truth is not None and tables.exposures is not None:
        rows = np.arange(len(tables.exposures))
        tables = replace(tables, exposures=tables.exposures.assign(row=rows))
    tables, n_dropped = with_consent(tables)
    if n_dropped:
        notes.append(f"{n_dropped:,} users without consent were left out, and all their rows")
    if since or until:
        tables = window(tables, since, until)
        notes.append(f"only events from {since or 'the beginning'} up to {until or 'the end'}")
    n = len(tables.events)
    if n < min_events:
        remedy = f"widen the window, or look all the same with --set min_events={max(n, 1)}"
        raise ValueError(f"{n:,} events remain, fewer than min_events = {min_events:,}; {remedy}")
    if truth is not None and tables.exposures is not None:
        truth = truth.take(tables.exposures["row"].to_numpy())
        tables = replace(tables, exposures=tables.exposures.drop(columns="row"))
    return replace(found, tables=tables, truth=truth, notes=tuple(notes))


def _refuse_broken(found: Loaded, max_rejected: float) -> None:
    for row in found.rejected.counts.itertuples():
        share = row.rejected / row.read if row.read else 0.0
        if share > max_rejected:
            raise ValueError(
                f"{row.table}: {row.rejected:,} of {row.read:,} rows were rejected ({share:.1%}), "
                f"more than max_rejected = {max_rejected:.1%}; mend the file, or raise the limit"
            )
