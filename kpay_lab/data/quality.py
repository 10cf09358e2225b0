"""What is wrong with a log, and the explicit repairs that a profile may ask for.

Nothing here runs by itself: look at `quality_report` and `preview_repairs`, then decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables


@dataclass(frozen=True)
class QualityReport:
    """The state of the tables, in frames that a page can show.

    Parameters
    ----------
    missing : DataFrame
        table, column, missing, share.
    outliers : DataFrame
        table, column, low, high, outliers: values outside the fences of `fences`. Where
        half of all values are equal there is no rule, and outliers is missing.
    duplicates : DataFrame
        table, rows, duplicates: rows equal to an earlier row in every column.
    times : DataFrame
        table, column, first, last.
    replay_share : float
        Share of events watched longer than they last, among those with both; else NaN.
    """

    missing: pd.DataFrame
    outliers: pd.DataFrame
    duplicates: pd.DataFrame
    times: pd.DataFrame
    replay_share: float


def quality_report(tables: Tables) -> QualityReport:
    """Count missing values, outliers, exact duplicates and replays; give the time ranges."""
    missing, outliers, duplicates, times = [], [], [], []
    for name, frame in tables.present().items():
        duplicates.append((name, len(frame), int(frame.duplicated().sum())))
        for column, values in frame.items():
            absent = int(values.isna().sum())
            missing.append((name, column, absent, absent / len(frame) if len(frame) else 0.0))
            if isinstance(values.dtype, pd.DatetimeTZDtype):
                times.append((name, column, values.min(), values.max()))
            elif pd.api.types.is_float_dtype(values) or values.dtype.kind in "iu":
                low, high = fences(values)
                outside = (values < low) | (values > high)
                n_outside = int(outside.sum()) if high > low else pd.NA
                outliers.append((name, column, low, high, n_outside))
    return QualityReport(
        pd.DataFrame(missing, columns=["table", "column", "missing", "share"]),
        pd.DataFrame(outliers, columns=["table", "column", "low", "high", "outliers"]).astype(
            {"outliers": "Int64"}
        ),
        pd.DataFrame(duplicates, columns=["table", "rows", "duplicates"]),
        pd.DataFrame(times, columns=["table", "column", "first", "last"]),
        _replay_share(tables.events),
    )


def fences(values: pd.Series) -> tuple[float, float]:
    """Return Tukey's outer fences, Q1 − 3·IQR and Q3 + 3·IQR; NaN twice if the IQR is 0.

    Source: J. W. Tukey, *Exploratory Data Analysis*, 1977 ("far out").

    Examples
    --------
    >>> fences(pd.Series([1.0, 2.0, 3.0, 4.0, 5.0]))
    (-4.0, 10.0)
    """
    known = values.dropna().to_numpy(dtype=np.float64)
    low, high = np.quantile(known, [0.25, 0.75]) if len(known) else (0.0, 0.0)
    reach = 3 * (high - low)
    return (float(low - reach), float(high + reach)) if reach > 0 else (np.nan, np.nan)


def deduplicate(tables: Tables) -> Tables:
    """Keep the first of exactly equal rows in events, orders and exposures."""
    kept = {
        name: frame.drop_duplicates(ignore_index=True)
        for name, frame in tables.present().items()
        if name in ("events", "orders", "exposures")
    }
    return replace(tables, **kept)


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
    """Apply the named rules one after the other; none unless it is named.

    Raises
    ------
    ValueError
        If a rule is unknown.
    """
    for rule in rules:
        if rule not in REPAIRS:
            raise ValueError(f"repair rule {rule!r} is unknown; choose among {', '.join(REPAIRS)}")
        tables = REPAIRS[rule](tables)
    return tables


def preview_repairs(tables: Tables, rules: Sequence[str] = tuple(REPAIRS)) -> pd.DataFrame:
    """Show what each rule alone would change, without changing anything.

    Returns
    -------
    DataFrame
        rule, table, column, changed, missing_before, missing_after, rows_before,
        rows_after. Column '' counts removed rows; a rule without effect has one row of 0.
    """
    found = []
    for rule in rules:
        after = apply_repairs(tables, [rule]).present()
        changes = [
            (rule, name, *change)
            for name, frame in tables.present().items()
            for change in _changes(frame, after[name])
        ]
        n = len(tables.events)
        found += changes or [(rule, "events", "", 0, 0, 0, n, n)]
    names = "rule table column changed missing_before missing_after rows_before rows_after"
    return pd.DataFrame(found, columns=names.split())


def _changes(
    before: pd.DataFrame, after: pd.DataFrame
) -> list[tuple[str, int, int, int, int, int]]:
    """Compare two states of a table: rows removed, or cells changed by column."""
    sizes = (len(before), len(after))
    if sizes[0] != sizes[1]:
        return [("", sizes[0] - sizes[1], 0, 0, *sizes)]
    found = []
    for column in before:
        old, new = before[column], after[column]
        same = old.eq(new).fillna(False).astype(bool) | (old.isna() & new.isna())
        gaps = (int(old.isna().sum()), int(new.isna().sum()))
        if not same.all():
            found.append((str(column), int((~same).sum()), *gaps, *sizes))
    return found


def _replay_share(events: pd.DataFrame) -> float:
    if not {"watch_time", "duration"} <= set(events):
        return float("nan")
    both = events[["watch_time", "duration"]].dropna()
    both = both[both["duration"] > 0]
    return float((both["watch_time"] > both["duration"]).mean()) if len(both) else float("nan")
