"""What a log looks like: its long tail, its rhythm in time, and who watches what."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.data.tables import Tables


@dataclass(frozen=True)
class LongTail:
    """How unevenly attention is spread over items (or activity over users).

    Parameters
    ----------
    counts : int array
        Events of each id, largest first.
    gini : float
        0 if all have the same number of events, towards 1 if one has them all.
    head_share : float
        Share of all events that the busiest tenth of the ids holds.
    """

    counts: np.ndarray
    gini: float
    head_share: float


def long_tail(ids: pd.Series, universe: pd.Index | None = None) -> LongTail:
    r"""Count the events of each id and measure their concentration.

    .. math:: G = \frac{\sum_{i=1}^{n} (2 i - n - 1)\, x_{(i)}}{n \sum_i x_i}

    with the counts in rising order (Gini, 1912). Ids of the universe without an event count
    as 0, so that a catalogue nobody watches shows.

    Examples
    --------
    >>> tail = long_tail(pd.Series(["a", "a", "a", "b"]))
    >>> tail.counts, tail.gini
    (array([3, 1]), 0.25)
    """
    counts = ids.value_counts()
    if universe is not None:
        counts = counts.reindex(universe, fill_value=0)
    rising = np.sort(counts.to_numpy())
    n, total = len(rising), rising.sum()
    gini = float(((2 * np.arange(1, n + 1) - n - 1) * rising).sum() / (n * total))
    falling = rising[::-1]
    head = falling[: max(1, n // 10)].sum() / total
    return LongTail(falling, gini, float(head))


@dataclass(frozen=True)
class Rhythm:
    """Activity in time, in the time zone asked for.

    Parameters
    ----------
    by_day : Series
        Events a day, days without events as 0.
    by_hour : DataFrame of shape (7, 24)
        Mean events an hour, rows Monday to Sunday, columns hour 0 to 23.
    """

    by_day: pd.Series
    by_hour: pd.DataFrame


def rhythm(events: pd.DataFrame, time_zone: str = "UTC") -> Rhythm:
    """Count events by day and by hour of the week.

    Raises
    ------
    ValueError
        If the events have no timestamp column.
    """
    if "timestamp" not in events:
        raise ValueError("activity in time needs a timestamp column in events; this log has none")
    local = events["timestamp"].dropna().dt.tz_convert(time_zone)
    by_day = local.dt.floor("D").value_counts().sort_index()
    days = pd.date_range(by_day.index.min(), by_day.index.max(), freq="D")
    by_day = by_day.reindex(days, fill_value=0)
    hours = pd.crosstab(local.dt.dayofweek, local.dt.hour)
    hours = hours.reindex(index=range(7), columns=range(24), fill_value=0)
    n_weekdays = days.dayofweek.value_counts().reindex(range(7)).to_numpy()[:, None]
    by_hour = hours / np.where(n_weekdays > 0, n_weekdays, 1)
    by_hour.index = pd.Index(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], name="weekday")
    by_hour.columns.name = "hour"
    return Rhythm(by_day, by_hour)


def watched_share(events: pd.DataFrame, items: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the share of the duration watched in each event, and the item's kind.

    Returns
    -------
    DataFrame
        Columns ``share`` (above 1 for replays) and ``kind`` (``all`` where unknown); only
        events whose watch time and duration are known. Empty where none is.
    """
    if not {"watch_time", "duration"} <= set(events):
        return pd.DataFrame({"share": [], "kind": []})
    kind = pd.Series("all", events.index)
    if items is not None and "kind" in items:
        kind = events["item_id"].map(items.set_index("item_id")["kind"]).fillna("other")
    share = events["watch_time"] / events["duration"].where(events["duration"] > 0)
    return pd.DataFrame({"share": share, "kind": kind}).dropna()


def who_watches_what(tables: Tables, user_column: str, item_column: str) -> pd.DataFrame:
    """Count users and events by a group of users and a group of items.

    Parameters
    ----------
    tables : Tables
    user_column : str
        A column of ``users``; ages become bands of ten years.
    item_column : str
        A column of ``items``; of a category such as ``Drama|War`` the first part counts.

    Returns
    -------
    DataFrame
        Columns ``<user_column>``, ``<item_column>``, ``n_users``, ``n_events``, one row a
        pair of groups. Small groups are not yet suppressed.

    Raises
    ------
    ValueError
        If a table or column is missing.
    """
    groups = {}
    for name, column in (("users", user_column), ("items", item_column)):
        frame = getattr(tables, name)
        if frame is None or column not in frame:
            raise ValueError(f"who watches what needs the column {column} in {name}")
        groups[name] = frame.set_index(frame.columns[frame.columns == f"{name[:-1]}_id"][0])[column]
    users, items = groups["users"], groups["items"].str.split("|").str[0]
    if user_column == "age":
        users = age_band(users)
    joined = pd.DataFrame(
        {
            "user_id": tables.events["user_id"],
            user_column: tables.events["user_id"].map(users),
            item_column: tables.events["item_id"].map(items),
        }
    ).dropna()
    grouped = joined.groupby([user_column, item_column], observed=True)["user_id"]
    return grouped.agg(n_users="nunique", n_events="size").reset_index()


def telling_columns(tables: Tables) -> tuple[str, str] | None:
    """Choose the columns that group users and items, or None where the log names no groups."""
    users = [] if tables.users is None else tables.users.columns
    items = [] if tables.items is None else tables.items.columns
    by_user = [name for name in ("age", "occupation", "gender") if name in users]
    by_item = [name for name in ("category", "kind") if name in items]
    return (by_user[0], by_item[0]) if by_user and by_item else None


def group_shares(table: pd.DataFrame, *, minimum: int, most: int = 12) -> pd.DataFrame:
    """Turn the counts of `who_watches_what` into each user group's shares, small groups hidden.

    Parameters
    ----------
    table : DataFrame
        Of `who_watches_what`: user group, item group, n_users, n_events.
    minimum : int
        Smallest number of users a cell may show.
    most : int
        Keep the item groups with the most events, and as many user groups.

    Returns
    -------
    DataFrame
        Rows user groups, columns item groups, cells shares of the row's events; NaN where
        the cell is hidden.
    """
    rows, columns = table.columns[:2]
    kept = [table.groupby(name)["n_events"].sum().nlargest(most).index for name in (rows, columns)]
    table = table[table[rows].isin(kept[0]) & table[columns].isin(kept[1])]
    share = table["n_events"] / table.groupby(rows)["n_events"].transform("sum")
    shown = suppress_small_groups(table.assign(share=share), "n_users", minimum, within=rows)
    wide = shown.pivot(index=rows, columns=columns, values="share")
    never = table.pivot(index=rows, columns=columns, values="n_events").isna()
    return wide.mask(never, 0.0)[[name for name in kept[1] if name in wide]]


def age_band(ages: pd.Series) -> pd.Series:
    """Put ages into bands of ten years, as text; unknown stays unknown.

    Examples
    --------
    >>> age_band(pd.Series([7.0, 34.0, 82.0])).tolist()
    ['0-9', '30-39', '80+']
    """
    edges = [*range(0, 90, 10), np.inf]
    names = [f"{low}-{low + 9}" for low in range(0, 80, 10)] + ["80+"]
    return pd.cut(ages, edges, right=False, labels=names).astype("str").where(ages.notna())
