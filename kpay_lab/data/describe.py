"""What a log looks like: its long tail, its rhythm in time, and who watches what."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.data.derived import age_band, main_label, watched_share
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.data.tables import Tables
from kpay_lab.stats import correlation, gini


@dataclass(frozen=True)
class LongTail:
    """How unevenly attention is spread over items (or activity over users).

    ``counts`` of each id, largest first; ``gini``, 0 if all are equal, towards 1 if one id has
    them all; ``head_share``, what the busiest tenth holds.
    """

    counts: np.ndarray
    gini: float
    head_share: float


def long_tail(ids: pd.Series, universe: pd.Index | None = None) -> LongTail:
    """Count the events of each id and measure their concentration (`stats.gini`).

    Ids of the universe without an event count as 0, so that a catalogue nobody watches shows.

    >>> tail = long_tail(pd.Series(["a", "a", "a", "b"]))
    >>> tail.counts, tail.gini
    (array([3, 1]), 0.25)
    """
    counts = ids.value_counts()
    if universe is not None:
        counts = counts.reindex(universe, fill_value=0)
    falling = np.sort(counts.to_numpy())[::-1]
    busiest_tenth = falling[: max(1, len(falling) // 10)]
    head_share = float(busiest_tenth.sum() / falling.sum())
    return LongTail(falling, gini(falling), head_share)


def agreement_of_halves(events: pd.DataFrame, users: pd.Index) -> float:
    """Rank correlation of item popularity between every second user and the others.

    NaN where a half has no user, or finds all items equally popular.
    """
    half = events["user_id"].isin(users[::2])
    counts = [events.loc[side, "item_id"].value_counts() for side in (half, ~half)]
    items = counts[0].index.union(counts[1].index)
    one, other = (count.reindex(items, fill_value=0) for count in counts)
    return correlation(one, other, ranks=True)


@dataclass(frozen=True)
class Rhythm:
    """Events ``by_day`` (0 on days without), and the mean of each hour: Monday to Sunday × 24."""

    by_day: pd.Series
    by_hour: pd.DataFrame


def rhythm(events: pd.DataFrame, time_zone: str = "UTC") -> Rhythm:
    """Count events by day and by hour of the week; without timestamps it is a ValueError."""
    if "timestamp" not in events:
        raise ValueError("activity in time needs a timestamp column in events; this log has none")
    local = events["timestamp"].dropna().dt.tz_convert(time_zone)
    by_day = local.dt.floor("D").value_counts()
    days = pd.date_range(by_day.index.min(), by_day.index.max(), freq="D")
    hours = pd.crosstab(local.dt.day_of_week, local.dt.hour)
    hours = hours.reindex(index=range(7), columns=range(24), fill_value=0)
    n_weekdays = np.bincount(days.day_of_week, minlength=7).clip(min=1)
    by_hour = hours.div(n_weekdays, axis=0)
    by_hour.index = pd.Index(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], name="weekday")
    return Rhythm(by_day.reindex(days, fill_value=0), by_hour.rename_axis(columns="hour"))


def watched_share_by_kind(events: pd.DataFrame, items: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return ``share`` of the duration watched (above 1: a replay) and ``kind`` of each event.

    Only events whose watch time and duration are known; the kind is ``all`` where no item
    has one.
    """
    kind = pd.Series("all", events.index)
    if items is not None and "kind" in items:
        kind = events["item_id"].map(items.set_index("item_id")["kind"]).fillna("other")
    return pd.DataFrame({"share": watched_share(events), "kind": kind}).dropna()


def telling_columns(tables: Tables) -> tuple[str, str] | None:
    """Choose the columns that group users and items, or None where the log names no groups."""
    users = [] if tables.users is None else tables.users.columns
    items = [] if tables.items is None else tables.items.columns
    by_user = [name for name in ("age", "occupation", "gender") if name in users]
    by_item = [name for name in ("category", "kind") if name in items]
    return (by_user[0], by_item[0]) if by_user and by_item else None


def who_watches_what(tables: Tables, user_column: str, item_column: str) -> pd.DataFrame:
    """Count users and events by a group of users and a group of items.

    Ages become bands (`derived.age_band`); of a category such as ``Drama|War`` the first part
    counts. Small groups are not yet suppressed.

    Returns
    -------
    DataFrame
        ``<user_column>, <item_column>, n_users, n_events``, one row a pair of groups.
    """
    groups = {}
    for name, key, column in (("users", "user_id", user_column), ("items", "item_id", item_column)):
        frame = getattr(tables, name)
        if frame is None or column not in frame:
            raise ValueError(f"who watches what needs the column {column} in {name}")
        values = frame.set_index(key)[column]
        values = age_band(values) if column == "age" else main_label(values)
        groups[column] = tables.events[key].map(values)
    joined = pd.DataFrame({"user_id": tables.events["user_id"], **groups}).dropna()
    grouped = joined.groupby([user_column, item_column], observed=True)["user_id"]
    return grouped.agg(n_users="nunique", n_events="size").reset_index()


def group_shares(table: pd.DataFrame, *, minimum: int) -> pd.DataFrame:
    """Turn the counts of `who_watches_what` into each user group's shares, small groups hidden.

    Parameters
    ----------
    minimum : int
        Smallest number of users a cell may show.

    Returns
    -------
    DataFrame
        Rows the twelve user groups, columns the twelve item groups with the most events;
        cells shares of the row's events, NaN where hidden.
    """
    rows, columns = table.columns[:2]
    kept = [table.groupby(name)["n_events"].sum().nlargest(12).index for name in (rows, columns)]
    table = table[table[rows].isin(kept[0]) & table[columns].isin(kept[1])]
    share = table["n_events"] / table.groupby(rows)["n_events"].transform("sum")
    shown = suppress_small_groups(table.assign(share=share), "n_users", minimum, within=rows)
    wide = shown.pivot(index=rows, columns=columns, values="share")
    never = table.pivot(index=rows, columns=columns, values="n_events").isna()
    return wide.mask(never, 0.0)[[name for name in kept[1] if name in wide]]
