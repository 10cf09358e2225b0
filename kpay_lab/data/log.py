"""`Log`: the tables of an opened log, with a record of what was read and what was left out."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from kpay_lab.data.derived import are_whole_days, dates_written
from kpay_lab.data.reading import Rejected
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding


@dataclass(frozen=True, repr=False)
class Log:
    """The validated tables of a log, with a record of how they were read.

    Printing it shows the number of users and items, the time span, and the size of each table.
    A user *met* an item if the two have an event together.

    Parameters
    ----------
    tables : Tables
    rejected : Rejected
        The rows that were set aside, and how many were read.
    notes : tuple of str
        What a page should say: columns not used, users left out, bounds in time.
    files : tuple of Path
        The files that were read; none for frames and a simulated shop.
    cut : Timestamp, optional
        An engine other than memory keeps up to two rows a (user, item) pair: the total of the
        events before this moment, and of those at it or later. None where each row of the
        events is one event, or where they have no times.
    time_zone : str
        Where its times were written as far as somebody said it; its hours are counted there,
        unless another zone is asked for. The times themselves are UTC.
    currency : str
        The one currency of its amounts, such as CNY; '' where nobody said it.
    zero_durations : int
        Durations of 0 in the files that were read as missing.
    """

    tables: Tables
    rejected: Rejected = field(default_factory=Rejected)
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    cut: pd.Timestamp | None = None
    time_zone: str = "UTC"
    currency: str = ""
    zero_durations: int = 0

    def __repr__(self) -> str:
        """Show users, items and time span, the tables' sizes, rejected rows, and the notes."""
        lines = [self._headline()]
        for name, frame in self.tables.present().items():
            lines.append(f"  {name:9}  {len(frame):>11,} rows  {frame.shape[1]:>2} columns")
        for count in self.rejected.counts.itertuples():  # one row a table
            if count.rejected:
                rows = f"{count.rejected:,} of {count.read:,} rows"
                lines.append(f"  {rows} of {count.table} set aside")
        lines += [f"- {note}" for note in self.notes]
        return "\n".join(lines)

    def in_figures(self) -> dict[str, int | str]:
        """Return users and items that met, and the first and last day where times are known.

        Returns
        -------
        dict
            ``users``, ``items``, and where times are known ``first_day``, ``last_day`` (ISO).
        """
        events = self.tables.events
        figures: dict[str, int | str] = {
            "users": events["user_id"].nunique(),
            "items": events["item_id"].nunique(),
        }
        if "timestamp" in events and events["timestamp"].notna().any():
            times = events["timestamp"]
            days = dates_written(times) if are_whole_days(times) else times
            figures["first_day"] = f"{days.min():%Y-%m-%d}"
            figures["last_day"] = f"{days.max():%Y-%m-%d}"
        return figures

    def findings(self) -> list[Finding]:
        """Return how much there is: people, events, items and days."""
        figures = self.in_figures()
        first_day = figures.get("first_day")
        last_day = figures.get("last_day")
        is_timed = first_day is not None
        n_days = len(pd.date_range(first_day, last_day)) if is_timed else None
        values = {
            "n_users": figures["users"],
            "n_items": figures["items"],
            "n_events": len(self.tables.events),
            "is_timed": is_timed,
            "first_day": first_day,
            "last_day": last_day,
            "n_days": n_days,
        }
        return [Finding("log/size", "plain", values)]

    def _headline(self) -> str:
        events = self.tables.events
        n_users = events["user_id"].nunique()
        n_items = events["item_id"].nunique()
        text = f"Log: {n_users:,} users met {n_items:,} items"
        if "timestamp" not in events or events["timestamp"].isna().all():
            return f"{text}, at times not known"
        times = events["timestamp"]
        if are_whole_days(times):
            first, last = dates_written(times).agg(["min", "max"])
            return f"{text}, {first:%Y-%m-%d} to {last:%Y-%m-%d}, days without an hour"
        first = times.min()
        last = times.max()
        return f"{text}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
