"""Cohorts by the week of the first visit: who comes back, and what a user has brought so far."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpay_lab.business.figures import order_money, unknown_sums
from kpay_lab.business.periods import DAY, Period, whole_log, with_columns
from kpay_lab.data.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WEEK = 7 * DAY


@dataclass(frozen=True)
class Cohorts:
    """Users by the week of their first visit, followed by the weeks since their own first visit.

    Both tables have one row a cohort, named by its first day, and one column a week, from 0. A
    cell is NaN until every user of the cohort has lived through that week.

    Parameters
    ----------
    users : Series of int
        Size of each cohort.
    retention : DataFrame
        Share of the cohort with an event in that week.
    revenue : DataFrame
        Net revenue a user of the cohort up to the end of that week, cumulated; all NaN where the
        log has no amounts.
    """

    users: pd.Series
    retention: pd.DataFrame
    revenue: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return both side by side: ``users``, then ``retention`` and ``revenue`` by week."""
        wide = {"retention": self.retention, "revenue": self.revenue}
        table = pd.concat(wide, axis=1)
        table.columns = [f"{name}_week_{week}" for name, week in table.columns]
        table.insert(0, "users", self.users)
        return table

    def at_least(self, n_users: int) -> "Cohorts":
        """Return the cohorts of at least so many users: smaller groups are not shown."""
        large = self.users >= n_users
        return Cohorts(self.users[large], self.retention[large], self.revenue[large])

    def revenue_after(self, n_weeks: int) -> float | None:
        """Return the net revenue a user in the first weeks, of all cohorts that are old enough.

        None where no cohort is, or the log has no amounts.
        """
        week = n_weeks - 1
        by_cohort = self.revenue.reindex(columns=[week])[week].dropna()
        if by_cohort.empty:
            return None
        weights = self.users[by_cohort.index]
        return float(np.average(by_cohort, weights=weights))

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        what: str = "retention",
        most_cohorts: int = 16,
        most_weeks: int = 12,
    ) -> "Axes":
        """Draw ``retention`` or ``revenue`` of the last cohorts; open cells are grey."""
        from kpay_lab.plots import plot_heat  # here, for matplotlib is slow to import

        shown = getattr(self, what).iloc[-most_cohorts:, :most_weeks]
        shown = shown.dropna(axis=1, how="all").dropna(how="all")
        labels = [f"{start:%Y-%m-%d} ({self.users[start]:,})" for start in shown.index]
        titles = {"retention": "Who comes back", "revenue": "Net revenue a user so far"}
        fmt = ".0%" if what == "retention" else ",.1f"
        later_weeks = shown.iloc[:, 1:] if what == "retention" else shown
        highest = later_weeks.max(axis=None) if later_weeks.notna().any(axis=None) else 1.0
        limits = (0.0, max(float(highest), 1e-9))  # week 0 is 100 % by definition
        ax = plot_heat(shown.set_axis(labels), ax=ax, fmt=fmt, limits=limits, title=titles[what])
        ax.set(xlabel="weeks since the first visit", ylabel="cohort (users)")
        return ax


def weekly_cohorts(tables: Tables, until: Period | None = None) -> Cohorts:
    """Follow the users of each week from their first visit to the end of a period.

    The first visit is the first event or order, whichever came first, so that every order counts.
    Money is net of the refunds known by the end. The first cohort holds all who were there before
    the log began.

    Parameters
    ----------
    until : Period, optional
        Its end is that of the log, by default the last moment.

    Raises
    ------
    ValueError
        If no event and no order has a time.
    """
    span = whole_log(tables) if until is None else Period(whole_log(tables).start, until.end)
    known = with_columns(tables).known_at(span.end)
    orders = known.events.head(0) if known.orders is None else known.orders
    paid = order_money(known)["net_revenue"].to_numpy(dtype=float)
    visits = pd.concat([known.events, orders])[["user_id", "timestamp"]]
    user, _ = pd.factorize(visits["user_id"])
    first = visits["timestamp"].groupby(user).min()
    start = span.start.floor("D")
    cohort_of_user = ((first - start) // WEEK).to_numpy()
    n_weeks = int((span.end - start) // WEEK) + 1
    n_users = pd.Series(cohort_of_user).value_counts().sort_index()
    since_first = visits["timestamp"].array - first.array[user]
    week = np.asarray(since_first // WEEK)
    n_events = len(known.events)
    active = pd.unique(user[:n_events] * n_weeks + week[:n_events])  # a user and a week once
    cohort_of_active = cohort_of_user[active // n_weeks]
    n_active = _wide(cohort_of_active, active % n_weeks, 1.0, n_users.index, n_weeks)
    cohort_of_order = cohort_of_user[user[n_events:]]
    revenue = _wide(cohort_of_order, week[n_events:], paid, n_users.index, n_weeks)
    starts = pd.DatetimeIndex(start + n_users.index * WEEK).rename("cohort")
    weeks_lived = (span.end - starts - WEEK) // WEEK  # by the last of a cohort to come
    is_known = np.arange(n_weeks) < weeks_lived.to_numpy()[:, None]
    per_user = 1 / n_users.to_numpy()[:, None]
    retention = (n_active * per_user).where(is_known)
    cumulated = (revenue.cumsum(axis=1) * per_user).where(is_known)
    if "net_revenue" in unknown_sums(tables):
        cumulated = cumulated * np.nan
    return Cohorts(
        n_users.set_axis(starts).rename("users"),
        retention.set_axis(starts),
        cumulated.set_axis(starts),
    )


def _wide(
    cohort: np.ndarray,
    week: np.ndarray,
    values: np.ndarray | float,
    cohorts: pd.Index,
    n_weeks: int,
) -> pd.DataFrame:
    """Add values up by cohort and week; 0 where there are none."""
    cells = pd.DataFrame({"cohort": cohort, "week": week}).assign(value=values)
    totals = cells.groupby(["cohort", "week"])["value"].sum()
    wide = totals.unstack("week", fill_value=0.0)
    return wide.reindex(index=cohorts, columns=range(n_weeks), fill_value=0.0)


def time_between_orders(tables: Tables) -> pd.Series:
    """Return the days between each order and the same buyer's order before it.

    >>> days = pd.to_datetime(["2024-03-01", "2024-03-02", "2024-03-05"], utc=True)
    >>> orders = pd.DataFrame({"user_id": ["u", "w", "u"], "timestamp": days})
    >>> events = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    >>> time_between_orders(Tables(events, orders=orders)).tolist()
    [4.0]
    """
    if tables.orders is None:
        return pd.Series(dtype=float, name="days")
    in_order = tables.orders.sort_values(["user_id", "timestamp"], kind="stable")
    gaps = in_order.groupby("user_id")["timestamp"].diff().dropna()
    return (gaps / DAY).rename("days")
