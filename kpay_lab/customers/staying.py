"""Who stays: the share of people who come back on a later day, and what their first day tells."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpay_lab import formatting
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.findings import Finding
from kpay_lab.stats import Interval, wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DAY = pd.Timedelta(days=1)
MOST_DAYS = 28  # four weeks hold every weekday equally often
EVERYBODY = "everybody"


@dataclass(frozen=True)
class Returning:
    """How many people came back within a number of days after the day they were first seen.

    Parameters
    ----------
    days : int
        Days after the first within which a return counts.
    limit : int
        Events on the first day of the person in the middle; it parts those who did more on it.
    people : DataFrame
        One row a group of people, everybody first: ``n, returned, share, low, high``.
    start, end : Timestamp
        First and last day of the events.
    """

    days: int
    limit: int
    people: pd.DataFrame
    start: pd.Timestamp
    end: pd.Timestamp

    @property
    def share(self) -> Interval:
        """The share of everybody who came back, with Wilson's interval."""
        everybody = self.people.loc[EVERYBODY]
        return Interval(*map(float, everybody[["share", "low", "high"]]))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the share of each group that came back, with its interval."""
        from matplotlib.ticker import PercentFormatter  # here, for it is slow to import

        from kpay_lab.plots import plot_intervals

        title = f"Came back within {formatting.days(self.days)}"
        ax = plot_intervals(self.people, "share", ax=ax, length=40, title=title)
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xlabel("share of people, with its 95 % interval")
        return ax

    def difference(self) -> Interval | None:
        """Return how much more often those with more on the first day came back than the others.

        Newcombe's (1998) interval of a difference of two shares; None where one group is empty.
        """
        if len(self.people) < 3:
            return None
        fewer = self.people.iloc[1]
        more = self.people.iloc[2]
        estimate = more["share"] - fewer["share"]
        below = np.hypot(more["share"] - more["low"], fewer["high"] - fewer["share"])
        above = np.hypot(more["high"] - more["share"], fewer["share"] - fewer["low"])
        return Interval(float(estimate), float(estimate - below), float(estimate + above))

    def findings(self) -> list[Finding]:
        """Return how many came back, and what the first day tells of it where that is shown."""
        share = self.share
        values = {"share": share.estimate, "low": share.low, "high": share.high}
        values |= {"n_users": int(self.people.loc[EVERYBODY, "n"]), "days": self.days}
        values |= {"start": self.start.isoformat(), "end": self.end.isoformat()}
        found = [Finding("portraits/return", "plain", values, place="returning")]
        difference = self.difference()
        if difference is None or difference.low <= 0 <= difference.high:
            return found
        fewer = self.people.iloc[1]
        more = self.people.iloc[2]
        values = {"difference": difference.estimate, "low": difference.low, "high": difference.high}
        values |= {"fewer": fewer["share"], "n_fewer": int(fewer["n"])}
        values |= {"more": more["share"], "n_more": int(more["n"]), "limit": self.limit}
        return [*found, Finding("portraits/first_day", "plain", values, place="returning")]


def who_returns(tables: Tables, *, most_days: int = MOST_DAYS, least_users: int = 10) -> Returning:
    """Count the people who have an event on a day after the one they were first seen on.

    A return counts within ``most_days``, or half of the log where that is shorter. Only people
    are counted whom the log follows that long: whoever was first seen later may still come back.

    Parameters
    ----------
    least_users : int
        Fewest people of a group; a smaller one is not shown.

    Raises
    ------
    TooLittleError
        If the events have no times, or span less than two days, or nobody is followed so long.

    Examples
    --------
    >>> days = pd.to_datetime(["2024-03-01", "2024-03-01", "2024-03-02", "2024-03-04"], utc=True)
    >>> events = pd.DataFrame({"user_id": [*"uvuw"], "item_id": "a", "timestamp": days})
    >>> who_returns(Tables(events)).people[["n", "returned"]].values.tolist()
    [[2, 1]]
    """
    events = tables.events
    if "timestamp" not in events or events["timestamp"].isna().all():
        raise TooLittleError("the events have no times, so nobody can be seen to come back")
    timed = events[["user_id", "timestamp"]].dropna()
    day = timed["timestamp"].dt.floor("D")
    start = day.min()
    end = day.max()
    n_days = (end - start) // DAY
    window = min(most_days, (n_days + 1) // 2)
    if window < 1:
        raise TooLittleError("all events are of one day, so nobody can be seen to come back")
    days_since_first = (day - day.groupby(timed["user_id"]).transform("min")) // DAY
    first_day = day.groupby(timed["user_id"]).min()
    is_return = days_since_first.between(1, window)
    users = pd.DataFrame({"first_day": first_day})
    users["returned"] = is_return.groupby(timed["user_id"]).any()
    users["on_first_day"] = (days_since_first == 0).groupby(timed["user_id"]).sum()
    followed = users[users["first_day"] + window * DAY <= end]
    limit = int(followed["on_first_day"].median())
    people = _by_first_day(followed, limit, least_users)
    return Returning(int(window), limit, people, start, end)


def _by_first_day(users: pd.DataFrame, limit: int, least_users: int) -> pd.DataFrame:
    """Return the share that came back: of everybody, and of those with less and more to begin."""
    does_more = users["on_first_day"] > limit
    groups = {EVERYBODY: users}
    unit = "event" if limit == 1 else "events"
    parts = {
        f"up to {limit} {unit} on the first day": users[~does_more],
        f"more than {limit} {unit} on the first day": users[does_more],
    }
    if min(len(part) for part in parts.values()) >= least_users:
        groups |= parts
    rows = {}
    for name, group in groups.items():
        n_returned = int(group["returned"].sum())
        share = wilson(n_returned, len(group))
        rows[name] = (len(group), n_returned, share.estimate, share.low, share.high)
    columns = ["n", "returned", "share", "low", "high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("people")
