"""What is wrong with a log, and the explicit repairs that a profile may ask for.

Nothing here runs by itself: look at `quality_report` and `preview_repairs`, then decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpay_lab.data.derived import watched_share
from kpay_lab.data.tables import Tables


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
    """

    columns: pd.DataFrame
    duplicates: pd.DataFrame
    replay_share: float


def quality_report(tables: Tables) -> QualityReport:
    """Count missing values, outliers, exact duplicates and replays."""
    found, duplicates = [], []
    for name, frame in tables.present().items():
        duplicates.append((name, len(frame), int(frame.duplicated().sum())))
        for column, values in frame.items():
            missing = int(values.isna().sum())
            low, high = fences(values) if values.dtype.kind in "fiu" else (np.nan, np.nan)
            outside = int(((values < low) | (values > high)).sum()) if high > low else pd.NA
            share = missing / len(frame) if len(frame) else 0.0
            found.append((name, column, missing, share, low, high, outside))
    names = "table column missing share low high outliers"
    columns = pd.DataFrame(found, columns=names.split(" "))
    share = watched_share(tables.events).dropna()
    return QualityReport(
        columns.astype({"outliers": "Int64"}),
        pd.DataFrame(duplicates, columns=["table", "rows", "duplicates"]),
        float((share > 1).mean()),
    )


def fences(values: pd.Series) -> tuple[float, float]:
    """Return Tukey's outer fences, Q1 − 3·IQR and Q3 + 3·IQR; NaN twice if the IQR is 0.

    Source: J. W. Tukey, *Exploratory Data Analysis*, 1977 ("far out").

    >>> fences(pd.Series([1.0, 2.0, 3.0, 4.0, 5.0]))
    (-4.0, 10.0)
    """
    known = values.dropna().to_numpy(dtype=np.float64)
    low, high = np.quantile(known, [0.25, 0.75]) if len(known) else (0.0, 0.0)
    reach = 3 * (high - low)
    return (float(low - reach), float(high + reach)) if reach > 0 else (np.nan, np.nan)


def deduplicate(tables: Tables) -> Tables:
    """Keep the first of exactly equal rows in events, orders and exposures."""
    logs = {n: f for n, f in tables.present().items() if n in ("events", "orders", "exposures")}
    return replace(tables, **{n: f.drop_duplicates(ignore_index=True) for n, f in logs.items()})


def repair(tables: Tables) -> Tables:
    """Take a duration of 0 as missing and end a watch time at the duration."""
    events = tables.events
    if "duration" not in events:
        return tables
    events = events.assign(duration=events["duration"].where(events["duration"] != 0))
    if "watch_time" in events:
        watched = events["watch_time"]
        events["watch_time"] = watched.mask(watched > events["duration"], events["duration"])
    return tables.with_events(events)


def fill(tables: Tables) -> Tables:
    """Fill a missing duration from the items, else the item's median; missing counts by 0."""
    events = tables.events.copy()
    if "duration" in events:
        by_item = events.groupby("item_id", sort=False)["duration"].median()
        if tables.items is not None and "duration" in tables.items:
            by_item = tables.items.set_index("item_id")["duration"].combine_first(by_item)
        events["duration"] = events["duration"].fillna(events["item_id"].map(by_item))
    counts = [name for name in events if str(name).endswith("_count")]
    events[counts] = events[counts].fillna(0)
    return tables.with_events(events)


def denoise(tables: Tables) -> Tables:
    """Bring a watch time above the outer fence down to the fence."""
    if "watch_time" not in tables.events:
        return tables
    watched = tables.events["watch_time"]
    top = fences(watched)[1]
    clipped = watched if np.isnan(top) else watched.clip(upper=top)
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
    """Show what each rule alone would change, without changing anything.

    Returns rule, table, column, changed: cells changed, or rows removed where the column is
    ''; a rule without effect has one row of 0.
    """
    found = []
    for rule, apply in REPAIRS.items():
        after = apply(tables).present()
        changes = [
            (rule, name, column, changed)
            for name, frame in tables.present().items()
            for column, changed in _changes(frame, after[name]).items()
        ]
        found += changes or [(rule, "events", "", 0)]
    return pd.DataFrame(found, columns=["rule", "table", "column", "changed"])


def _changes(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, int]:
    """Compare two states of a table: cells changed by column, or rows removed as column ''."""
    if len(before) != len(after):
        return {"": len(before) - len(after)}
    unequal = before.ne(after).fillna(True).astype(bool) & ~(before.isna() & after.isna())
    return {str(column): int(changed) for column, changed in unequal.sum().items() if changed}
