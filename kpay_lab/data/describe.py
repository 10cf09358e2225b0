"""Describe a log: its long tail, its activity by day and hour, and who watches what."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpay_lab.data.codes import factorize, look_up
from kpay_lab.data.derived import (
    age_band,
    are_whole_days,
    dates_written,
    main_label,
    watched_share,
)
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding
from kpay_lab.stats import correlation, gini

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DAYS_AROUND = 7  # the days that a first or last day is compared with


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

    def findings(self) -> list[Finding]:
        """Return how unevenly the events are spread over the items of a catalogue."""
        n_items = len(self.counts)
        values = {
            "n_items": n_items,
            "n_busiest": max(1, n_items // 10),
            "head_share": self.head_share,
            "gini": self.gini,
            "n_without": int((self.counts == 0).sum()),
        }
        return [Finding("log/tail", "plain", values, place="long_tail")]


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

    def findings(self, time_zone: str, *, is_known: bool) -> list[Finding]:
        """Return the busiest hour, the ends that are cut off, and the days without an event.

        Parameters
        ----------
        time_zone : str
            In which the hours are counted.
        is_known : bool
            Whether somebody said that the people live in it.
        """
        found = day_findings(self.by_day)
        if self.by_hour is None:
            return found
        of_hour = self.by_hour.sum()
        busiest = int(of_hour.idxmax())
        values = {
            "hour": f"{busiest}:00 to {busiest + 1}:00",
            "share": of_hour.max() / of_hour.sum(),
            "time_zone": time_zone,
            "is_known": is_known,
        }
        return [Finding("log/hours", "plain", values, place="rhythm"), *found]


def day_findings(by_day: pd.Series) -> list[Finding]:
    """Return which ends of a log are cut off, and the days between them without any event.

    A first or last day is cut off where it has less than half of the events that the nearest
    seven days have at the median.

    Parameters
    ----------
    by_day : Series of int
        Events of every day from the first to the last (`Rhythm.by_day`).
    """
    return [*_cut_ends(by_day), *_gaps(by_day)]


def _cut_ends(by_day: pd.Series) -> list[Finding]:
    near_first = by_day.iloc[1 : 1 + DAYS_AROUND].median()
    near_last = by_day.iloc[-1 - DAYS_AROUND : -1].median()
    n_first = by_day.iloc[0]
    n_last = by_day.iloc[-1]
    cut = []
    if n_first < near_first / 2:
        cut.append("first")
    if n_last < near_last / 2:
        cut.append("last")
    if len(by_day) < 3 or not cut:
        return []
    values = {
        "which": "both" if len(cut) == 2 else cut[0],
        "n_first": n_first,
        "n_last": n_last,
        "near_first": near_first,
        "near_last": near_last,
    }
    return [Finding("log/ends", "watch", values, place="rhythm")]


def _gaps(by_day: pd.Series) -> list[Finding]:
    is_empty = by_day == 0
    if not is_empty.any():
        return []
    number_of_gap = (~is_empty).cumsum()[is_empty]
    lengths = number_of_gap.value_counts(sort=False)
    longest_gap = number_of_gap == lengths.idxmax()
    start = number_of_gap.index[longest_gap][0]
    values = {
        "n": is_empty.sum(),
        "n_days": len(by_day),
        "longest": lengths.max(),
        "start": f"{start:%Y-%m-%d}",
    }
    return [Finding("log/gaps", "watch", values, place="rhythm")]


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
        kind = look_up(events["item_id"], kind_of_item).fillna("other")
    return pd.DataFrame({"share": watched_share(events), "kind": kind}).dropna()


def watched_findings(shares: pd.Series) -> list[Finding]:
    """Return how much of an item people watch; nothing without any share.

    Parameters
    ----------
    shares : Series of float
        Watched shares of the duration, one an event.
    """
    if shares.empty:
        return []
    is_left = shares <= 0.1
    is_to_the_end = shares.between(0.9, 1.0)
    is_longer = shares > 1
    values = {
        "n": len(shares),
        "median": shares.median(),
        "left": is_left.mean(),
        "to_the_end": is_to_the_end.mean(),
        "longer": is_longer.mean(),
    }
    return [Finding("log/watched", "plain", values, place="watched_share")]


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
    counts = events_of_users(tables, user_column, item_column)
    by_group = counts.groupby(level=user_column, observed=True)
    n_events = by_group.sum().stack()
    n_users = (counts > 0).groupby(level=user_column, observed=True).sum().stack()
    table = pd.DataFrame({"n_users": n_users, "n_events": n_events})
    return table[table["n_events"] > 0].reset_index()


def events_of_users(tables: Tables, user_column: str, item_column: str) -> pd.DataFrame:
    """Count the events of each user in each group of items.

    Returns
    -------
    DataFrame of int
        Index: ``user_id`` and the group ``user_column``, in order of the ids, of users that have
        a group and an event with an item that has one; columns: the groups ``item_column``.
    """
    group_of_user = _group_of_each(tables.users, "users", "user_id", user_column)
    group_of_item = _group_of_each(tables.items, "items", "item_id", item_column)
    user, users = factorize(tables.events["user_id"])
    item, items = factorize(tables.events["item_id"])
    group, groups = pd.factorize(group_of_item.reindex(items), sort=True)
    group_of_event = group[item]
    is_known = group_of_event >= 0
    cell = user[is_known].astype(np.int64) * len(groups) + group_of_event[is_known]
    counts = np.bincount(cell, minlength=len(users) * len(groups))
    columns = pd.Index(groups, name=item_column)
    table = pd.DataFrame(counts.reshape(len(users), len(groups)), columns=columns)
    names = ["user_id", user_column]
    table.index = pd.MultiIndex.from_arrays([users, group_of_user.reindex(users)], names=names)
    has_group = table.index.get_level_values(1).notna()
    has_event = table.any(axis=1)
    return table[has_group & has_event].sort_index(level="user_id")


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
