"""Describe a log: its long tail, its activity by day and hour, and who watches what."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpay_lab.data.derived import (
    age_band,
    are_whole_days,
    dates_written,
    main_label,
    watched_share,
)
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.data.tables import Tables
from kpay_lab.stats import correlation, gini

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class LongTail:
    """How unevenly events are spread over items, or over users.

    Parameters
    ----------
    counts : int array
        Events of each id, largest first.
    gini : float
        0 if all counts are equal, towards 1 if one id has all the events.
    head_share : float
        Share of the events that belong to the tenth of the ids with the most.
    """

    counts: np.ndarray
    gini: float
    head_share: float

    def table(self) -> pd.DataFrame:
        """Return ``rank`` (from 1) and ``events`` of each id."""
        rank = np.arange(1, len(self.counts) + 1)
        return pd.DataFrame({"rank": rank, "events": self.counts})

    def plot(self, ax: "Axes | None" = None, *, label: str = "ids") -> "Axes":
        """Draw events by rank on logarithmic scales, and return the Axes."""
        from kpay_lab.plots import plot_counts  # here, for matplotlib is slow to import

        counts = {label: self.counts}
        return plot_counts(counts, ax=ax, title="Events by rank", ylabel="events")


def long_tail(ids: pd.Series, universe: pd.Index | None = None) -> LongTail:
    """Count the events of each id and measure their concentration (`stats.gini`).

    Ids of the ``universe`` without an event count as 0, so that items which nobody watches are
    part of the concentration.

    >>> tail = long_tail(pd.Series(["a", "a", "a", "b"]))
    >>> tail.counts, tail.gini
    (array([3, 1]), 0.25)
    """
    counts = ids.value_counts()
    if universe is not None:
        counts = counts.reindex(universe, fill_value=0)
    falling = np.sort(counts.to_numpy())[::-1]
    n_head = max(1, len(falling) // 10)
    head_share = float(falling[:n_head].sum() / falling.sum())
    return LongTail(falling, gini(falling), head_share)


def split_half_correlation(events: pd.DataFrame, users: pd.Index) -> float:
    """Rank correlation of the items' popularity between every second user and the other users.

    NaN where a half has no user, or all items are equally popular in it.
    """
    in_first_half = events["user_id"].isin(users[::2])
    first = events.loc[in_first_half, "item_id"].value_counts()
    second = events.loc[~in_first_half, "item_id"].value_counts()
    items = first.index.union(second.index)
    first = first.reindex(items, fill_value=0)
    second = second.reindex(items, fill_value=0)
    return correlation(first, second, ranks=True)


@dataclass(frozen=True)
class Rhythm:
    """Activity in time.

    Parameters
    ----------
    by_day : Series of int
        Events of every day from the first to the last, 0 on a day without any.
    by_weekday : Series of float
        Mean number of events of a day, Monday to Sunday.
    by_hour : DataFrame of shape (7, 24), or None
        Mean number of events in each hour of the week; None where the times are whole days.
    """

    by_day: pd.Series
    by_weekday: pd.Series
    by_hour: pd.DataFrame | None

    @property
    def busiest_hour(self) -> int | None:
        """The hour of the day with the most events; None where hours are not known."""
        return None if self.by_hour is None else int(self.by_hour.sum().idxmax())

    def table(self) -> pd.DataFrame:
        """Return the mean week: ``by_hour``, or where that is not known ``by_weekday``."""
        return self.by_weekday.to_frame() if self.by_hour is None else self.by_hour

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the mean week as far as it is known, and return the Axes.

        `plots.plot_days` draws ``by_day``.
        """
        from kpay_lab.plots import plot_bars, plot_heat  # here, for matplotlib is slow to import

        if self.by_hour is None:
            title = "The mean week"
            return plot_bars(self.by_weekday, ax=ax, fmt=",.0f", title=title, xlabel="events a day")
        ax = plot_heat(self.by_hour, ax=ax, bar_label="events an hour")
        ax.set(title="The mean week", xlabel="hour of the day", ylabel="")
        return ax


def rhythm(events: pd.DataFrame, time_zone: str = "UTC") -> Rhythm:
    """Count events by day, weekday and hour of the week.

    Dates without an hour stay the dates that were written, in whatever zone they are shown.

    Raises
    ------
    ValueError
        If the events have no timestamps.
    """
    if "timestamp" not in events:
        raise ValueError("activity in time needs a timestamp column in events; this log has none")
    times = events["timestamp"].dropna()
    has_hours = not are_whole_days(times)
    local = times.dt.tz_convert(time_zone) if has_hours else dates_written(times)
    by_day = local.dt.floor("D").value_counts()
    days = pd.date_range(by_day.index.min(), by_day.index.max(), freq="D")
    by_day = by_day.reindex(days, fill_value=0)
    total_by_hour = pd.crosstab(local.dt.day_of_week, local.dt.hour)
    total_by_hour = total_by_hour.reindex(index=range(7), columns=range(24), fill_value=0)
    n_days_of_weekday = np.bincount(days.day_of_week, minlength=7).clip(min=1)
    by_hour = total_by_hour.div(n_days_of_weekday, axis=0).rename_axis(columns="hour")
    by_hour.index = pd.Index(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], name="weekday")
    by_weekday = by_hour.sum(axis=1).rename("events")
    return Rhythm(by_day, by_weekday, by_hour if has_hours else None)


def watched_share_by_kind(events: pd.DataFrame, items: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the watched ``share`` of the duration and the item's ``kind`` for each event.

    A share above 1 is a replay. Events without a watch time or a duration are left out. The kind
    is ``all`` where the items have no kinds.
    """
    kind = pd.Series("all", events.index)
    if items is not None and "kind" in items:
        kind_of_item = items.set_index("item_id")["kind"]
        kind = events["item_id"].map(kind_of_item).fillna("other")
    return pd.DataFrame({"share": watched_share(events), "kind": kind}).dropna()


def group_columns(tables: Tables) -> tuple[str, str] | None:
    """Choose the columns by which to group users and items; None where a table has no such column.

    The first that is there is chosen: age, occupation or gender, and category or kind.
    """
    users = [] if tables.users is None else tables.users.columns
    items = [] if tables.items is None else tables.items.columns
    user_columns = [name for name in ("age", "occupation", "gender") if name in users]
    item_columns = [name for name in ("category", "kind") if name in items]
    if not user_columns or not item_columns:
        return None
    return user_columns[0], item_columns[0]


def who_watches_what(tables: Tables, user_column: str, item_column: str) -> pd.DataFrame:
    """Count users and events for each pair of a group of users and a group of items.

    Ages become bands (`derived.age_band`), and a category such as ``Drama|War`` counts as its
    first label. The counts are not suppressed; `group_shares` does that.

    Returns
    -------
    DataFrame
        ``<user_column>, <item_column>, n_users, n_events``, one row a pair of groups.
    """
    group_of_user = _group_of_each(tables.users, "users", "user_id", user_column)
    group_of_item = _group_of_each(tables.items, "items", "item_id", item_column)
    events = tables.events
    columns = {
        "user_id": events["user_id"],
        user_column: events["user_id"].map(group_of_user),
        item_column: events["item_id"].map(group_of_item),
    }
    grouped_events = pd.DataFrame(columns).dropna()
    by_pair = grouped_events.groupby([user_column, item_column], observed=True)["user_id"]
    return by_pair.agg(n_users="nunique", n_events="size").reset_index()


def _group_of_each(frame: pd.DataFrame | None, table: str, key: str, column: str) -> pd.Series:
    """Return the group of each user or item, by id."""
    if frame is None or column not in frame:
        raise ValueError(f"who watches what needs the column {column} in {table}")
    values = frame.set_index(key)[column]
    return age_band(values) if column == "age" else main_label(values)


def group_shares(table: pd.DataFrame, *, minimum: int) -> pd.DataFrame:
    """Return how the events of each user group are shared among item groups; hide small groups.

    Parameters
    ----------
    table : DataFrame
        The counts of `who_watches_what`.
    minimum : int
        Smallest number of users a cell may show.

    Returns
    -------
    DataFrame
        Rows the twelve user groups, columns the twelve item groups with the most events;
        cells shares of the row's events, NaN where hidden.
    """
    user_column, item_column = table.columns[:2]
    user_groups = _largest_groups(table, user_column)
    item_groups = _largest_groups(table, item_column)
    is_large = table[user_column].isin(user_groups) & table[item_column].isin(item_groups)
    counts = table[is_large]
    events_of_row = counts.groupby(user_column)["n_events"].transform("sum")
    shares = counts.assign(share=counts["n_events"] / events_of_row)
    shares = suppress_small_groups(shares, "n_users", minimum, within=user_column)
    wide = shares.pivot(index=user_column, columns=item_column, values="share")
    n_events = counts.pivot(index=user_column, columns=item_column, values="n_events")
    wide = wide.mask(n_events.isna(), 0.0)
    return wide[[name for name in item_groups if name in wide]]


def _largest_groups(table: pd.DataFrame, column: str) -> pd.Index:
    """Return the twelve groups with the most events, largest first."""
    n_events = table.groupby(column)["n_events"].sum()
    return n_events.nlargest(12).index
