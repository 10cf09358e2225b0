"""The quality of a log, and the repairs that a profile may ask for.

No repair runs unless it is asked for: look at `quality_report` and `preview_repairs`, then decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from kpay_lab.data.codes import coded, look_up, take_rows
from kpay_lab.data.derived import watched_share
from kpay_lab.data.tables import PRIMARY_KEYS, Tables
from kpay_lab.findings import Finding

# What counts as a fault where it is missing; other columns are empty by nature.
NEEDED = (
    "events.timestamp",
    "events.watch_time",
    "events.duration",
    "orders.item_id",
    "orders.amount",
)
# What an event may record in place of watching.
INSTEAD = (
    "rating",
    "progress",
    "like_count",
    "comment_count",
    "share_count",
    "question_count",
    "gift_amount",
)
TELL_APART = ("user_id", "item_id", "timestamp")  # columns in which few rows of a log are equal
MOSTLY = 0.5  # share of events longer than their item from which on a unit is in doubt
MUCH = 0.05  # share of rows set aside or repeated from which on a log is in a bad state


@dataclass(frozen=True)
class QualityReport:
    """The state of the tables, in frames that a page can show.

    Parameters
    ----------
    columns : DataFrame
        table, column, missing, share, low, high, outliers: how many values are missing, and
        how many lie outside `fences`; NA where there is no such rule.
    duplicates : DataFrame
        table, rows, duplicates: rows equal to an earlier row in every column.
    replay_share : float
        Share of events watched longer than they last, among those with both; else NaN.
    zero_durations : int
        Events whose duration is 0; a watched share takes it for missing.
    unwatched : int
        Events without a watch time that record something else instead, such as a rating or a like,
        and so lack nothing.
    """

    columns: pd.DataFrame
    duplicates: pd.DataFrame
    replay_share: float
    zero_durations: int = 0
    unwatched: int = 0

    def findings(self, counts: pd.DataFrame, *, zero_durations: int = 0) -> list[Finding]:
        """Return what is wrong with the log: a summary, then each kind of fault by table.

        Parameters
        ----------
        counts : DataFrame
            Of the reading: table, read, rejected, cells (`reading.Rejected.counts`).
        zero_durations : int
            Durations of 0 that the reading made missing (`Log.zero_durations`).
        """
        repeated = self.duplicates[self.duplicates["duplicates"] > 0]
        missing = self._missing_cells(zero_durations)
        rejected = counts[counts["rejected"] > 0]
        unreadable = counts[counts["cells"] > 0]
        n_rejected = int(rejected["rejected"].sum())
        n_repeated = int(repeated["duplicates"].sum())
        n_missing = int(missing["missing"].sum())
        n_rows = int(self.duplicates["rows"].sum()) + n_rejected
        n_zero = self.zero_durations + zero_durations
        n_faults = n_rejected + n_repeated + n_missing + n_zero
        is_much = n_rejected + n_repeated > MUCH * n_rows
        level = "bad" if is_much else "watch" if n_faults else "good"
        values: dict[str, Any] = {"n_rows": n_rows, "n_rejected": n_rejected}
        values |= {"share_rejected": n_rejected / n_rows, "n_repeated": n_repeated}
        values |= {"n_missing": n_missing, "n_zero": n_zero}
        found = [Finding("quality/summary", level, values)]
        for row in rejected.itertuples():
            of_table = _part(row.table, row.rejected, row.read)
            found.append(Finding("quality/rejected", "watch", of_table))
        for row in repeated.itertuples():
            of_table = _part(row.table, row.duplicates, row.rows)
            found.append(Finding("quality/repeated", "watch", of_table))
        for row in missing.itertuples():
            of_column = {"table": row.table, "n": row.missing}
            of_column["column"] = row.column.replace("_", " ")
            of_column["share"] = row.share
            found.append(Finding("quality/missing", "watch", of_column, place="missing_values"))
        if n_zero:
            n_events = int(self.duplicates.set_index("table").at["events", "rows"])
            zeros = {"n": n_zero, "share": min(n_zero / n_events, 1.0)}
            found.append(Finding("quality/zero_durations", "watch", zeros))
        for row in unreadable.itertuples():
            cells = {"table": row.table, "n": row.cells}
            found.append(Finding("quality/unreadable", "watch", cells))
        if self.replay_share > MOSTLY:
            replays = {"share": self.replay_share}
            found.append(Finding("quality/replays", "watch", replays))
        return found

    def _missing_cells(self, zero_durations: int) -> pd.DataFrame:
        """Return the columns of `NEEDED` that lack what they should have, the most first.

        Durations that were zero are a fault of their own.
        """
        names = self.columns["table"] + "." + self.columns["column"]
        needed = self.columns[names.isin(NEEDED)].set_index(names[names.isin(NEEDED)])
        n_rows = self.duplicates.set_index("table")["rows"]
        explained = pd.Series(
            {"events.duration": zero_durations, "events.watch_time": self.unwatched}
        )
        n_explained = explained.reindex(needed.index, fill_value=0)
        n_missing = (needed["missing"] - n_explained).clip(lower=0)
        share = n_missing / n_rows.reindex(needed["table"]).to_numpy()
        lacking = needed.assign(missing=n_missing, share=share)[n_missing > 0]
        return lacking.sort_values("share", ascending=False, kind="stable")


def _part(table: str, n: int, n_rows: int) -> dict[str, Any]:
    return {"table": table, "n": n, "n_rows": n_rows, "share": n / n_rows}


def quality_report(tables: Tables) -> QualityReport:
    """Count missing values, outliers, exact duplicates and replays."""
    columns = []
    duplicates = []
    for table, frame in tables.present().items():
        n_duplicates = int(repeats_earlier(frame).sum())
        duplicates.append((table, len(frame), n_duplicates))
        for column, values in frame.items():
            columns.append((table, column, *_column_quality(values)))
    names = ["table", "column", "missing", "share", "low", "high", "outliers"]
    column_table = pd.DataFrame(columns, columns=names).astype({"outliers": "Int64"})
    duplicate_table = pd.DataFrame(duplicates, columns=["table", "rows", "duplicates"])
    is_replay = watched_share(tables.events).dropna() > 1
    events = tables.events.reindex(columns=["watch_time", "duration", *INSTEAD])
    n_zero = int((events["duration"] == 0).sum())
    records_other = np.zeros(len(events), dtype=bool)
    for name in INSTEAD:
        records_other |= (events[name].fillna(0) > 0).to_numpy(dtype=bool)
    n_unwatched = int((events["watch_time"].isna() & records_other).sum())
    replay_share = float(is_replay.mean())
    return QualityReport(column_table, duplicate_table, replay_share, n_zero, n_unwatched)


def repeats_earlier(frame: pd.DataFrame) -> pd.Series:
    """Mark the rows that equal an earlier row in every column, bool (n_rows,).

    It is ``frame.duplicated()``. Only rows that are equal in `TELL_APART` are compared in all of
    their columns.

    >>> frame = pd.DataFrame({"user_id": list("uuu"), "rating": [5, 4, 5]})
    >>> repeats_earlier(frame).tolist()
    [False, False, True]
    """
    keys = [name for name in TELL_APART if name in frame]
    if not keys:
        return frame.duplicated()
    is_alike = coded(frame[keys]).duplicated(keep=False)
    repeated = pd.Series(False, frame.index)
    repeated[is_alike] = frame[is_alike].duplicated()
    return repeated


def _column_quality(values: pd.Series) -> tuple[int, float, float, float, Any]:
    """Return missing values, their share, both fences, and how many values lie outside."""
    n_missing = int(values.isna().sum())
    share = n_missing / len(values) if len(values) else 0.0
    is_number = values.dtype.kind in "fiu"
    low, high = fences(values) if is_number else (np.nan, np.nan)
    if not high > low:
        return n_missing, share, low, high, pd.NA
    is_outside = (values < low) | (values > high)
    return n_missing, share, low, high, int(is_outside.sum())


def fences(values: pd.Series) -> tuple[float, float]:
    """Return Tukey's outer fences, Q1 − 3·IQR and Q3 + 3·IQR; NaN twice if the IQR is 0.

    Source: J. W. Tukey, *Exploratory Data Analysis*, 1977 ("far out").

    >>> fences(pd.Series([1.0, 2.0, 3.0, 4.0, 5.0]))
    (-4.0, 10.0)
    """
    observed = values.dropna().to_numpy(dtype=np.float64)
    if len(observed) == 0:
        return np.nan, np.nan
    first_quartile, third_quartile = np.quantile(observed, [0.25, 0.75])
    reach = 3 * (third_quartile - first_quartile)
    if not reach > 0:
        return np.nan, np.nan
    return float(first_quartile - reach), float(third_quartile + reach)


def deduplicate(tables: Tables) -> Tables:
    """Keep the first of exactly equal rows in what was logged; users and items have keys."""
    distinct = {}
    for name, frame in tables.present().items():
        if name in PRIMARY_KEYS:
            continue
        is_repeated = repeats_earlier(frame)
        if is_repeated.any():
            distinct[name] = take_rows(frame, ~is_repeated).reset_index(drop=True)
    return replace(tables, **distinct)


def repair(tables: Tables) -> Tables:
    """Read a duration of 0 as missing, and limit the watch time to the duration."""
    events = tables.events
    if "duration" not in events:
        return tables
    duration = events["duration"].where(events["duration"] != 0)
    events = events.assign(duration=duration)
    if "watch_time" in events:
        is_replay = events["watch_time"] > duration
        events["watch_time"] = events["watch_time"].mask(is_replay, duration)
    return tables.with_events(events)


def fill(tables: Tables) -> Tables:
    """Fill a missing duration from the items table or the item's median, and a missing count by 0.

    The median is that of the item's events, and is used where the items table has no duration.
    """
    events = tables.events
    filled = {}
    if "duration" in events and events["duration"].isna().any():
        duration_of_item = events.groupby("item_id", sort=False)["duration"].median()
        if tables.items is not None and "duration" in tables.items:
            listed = tables.items.set_index("item_id")["duration"]
            duration_of_item = listed.combine_first(duration_of_item)
        filling = look_up(events["item_id"], duration_of_item)
        filled["duration"] = events["duration"].fillna(filling)
    for name in events:
        if name.endswith("_count") and events[name].isna().any():
            filled[name] = events[name].fillna(0)
    return tables.with_events(events.assign(**filled))


def denoise(tables: Tables) -> Tables:
    """Clip watch times at the upper fence."""
    if "watch_time" not in tables.events:
        return tables
    watch_time = tables.events["watch_time"]
    _, upper_fence = fences(watch_time)
    if np.isnan(upper_fence):
        return tables
    clipped = watch_time.clip(upper=upper_fence)
    return tables.with_events(tables.events.assign(watch_time=clipped))


REPAIRS: dict[str, Callable[[Tables], Tables]] = {
    "deduplicate": deduplicate,
    "repair": repair,
    "fill": fill,
    "denoise": denoise,
}


def apply_repairs(tables: Tables, rules: Sequence[str]) -> Tables:
    """Apply the named rules one after the other; an unknown one is a ValueError."""
    for rule in rules:
        if rule not in REPAIRS:
            raise ValueError(f"repair rule {rule!r} is unknown; choose among {', '.join(REPAIRS)}")
        tables = REPAIRS[rule](tables)
    return tables


def preview_repairs(tables: Tables) -> pd.DataFrame:
    """Count what each rule alone would change; the tables stay as they are.

    Returns
    -------
    DataFrame
        ``rule, table, column, changed``: how many cells of the column would change, or how many
        rows would be removed where the column is ''. A rule without effect has one row of 0.
    """
    previews = []
    for rule, apply in REPAIRS.items():
        repaired = apply(tables).present()
        changes = []
        for table, frame in tables.present().items():
            for column, n_changed in _count_changes(frame, repaired[table]).items():
                changes.append((rule, table, column, n_changed))
        previews += changes or [(rule, "events", "", 0)]
    return pd.DataFrame(previews, columns=["rule", "table", "column", "changed"])


def _count_changes(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, int]:
    """Count the changed cells of each column, or the removed rows as column ''."""
    if after is before:
        return {}
    n_removed = len(before) - len(after)
    if n_removed:
        return {"": n_removed}
    changed = {str(name): _n_changed(cells, after[name]) for name, cells in before.items()}
    return {name: n_changed for name, n_changed in changed.items() if n_changed}


def _n_changed(before: pd.Series, after: pd.Series) -> int:
    both_missing = before.isna() & after.isna()
    differs = before.ne(after).fillna(True).astype(bool)
    return int((differs & ~both_missing).sum())
