"""`Log`: what was opened. It is handed around, prints itself, and learns nothing."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from kpay_lab.data.reading import Rejected
from kpay_lab.data.tables import Tables


@dataclass(frozen=True, repr=False)
class Log:
    """The validated tables of a log, and what happened on the way to them.

    Parameters
    ----------
    tables : Tables
    rejected : Rejected
        The rows that were set aside, and how many were read.
    notes : tuple of str
        What a page should say: columns not used, people left out, the window.
    files : tuple of Path
        What was read; empty for frames and a simulated shop.
    cut : Timestamp, optional
        Where an engine other than memory added the events up, the moment between the totals
        of before and of after; None where the events are single ones, or have no times.
    """

    tables: Tables
    rejected: Rejected = field(default_factory=Rejected)
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    cut: pd.Timestamp | None = None

    def __repr__(self) -> str:
        """Say who met what and when, the size of each table, what was set aside, the notes."""
        lines = [self._headline()]
        for name, frame in self.tables.present().items():
            lines.append(f"  {name:9}  {len(frame):>11,} rows  {frame.shape[1]:>2} columns")
        for row in self.rejected.counts.itertuples():
            if row.rejected:
                lines.append(f"  {row.rejected:,} of {row.read:,} rows of {row.table} set aside")
        lines += [f"- {note}" for note in self.notes]
        return "\n".join(lines)

    def _headline(self) -> str:
        events = self.tables.events
        n_users = events["user_id"].nunique()
        n_items = events["item_id"].nunique()
        text = f"Log: {n_users:,} users met {n_items:,} items"
        if "timestamp" not in events or events["timestamp"].isna().all():
            return f"{text}, at times not known"
        first = events["timestamp"].min()
        last = events["timestamp"].max()
        return f"{text}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
