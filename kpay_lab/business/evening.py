"""A live evening for an audience: when to go live, and what was decided about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kpay_lab.findings import Finding
from kpay_lab.stats import Interval, t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HOURS = range(24)


@dataclass(frozen=True)
class BestHour:
    """The hour of the day in which most of an audience watches.

    Parameters
    ----------
    by_hour : DataFrame, index hour
        ``people``, the mean number of different people on a day, with ``low, high``; ``is_tied``
        says that the hour is the best or cannot be told from it.
    n_people : int
        The whole audience.
    """

    by_hour: pd.DataFrame
    n_people: int

    @property
    def hour(self) -> str:
        """The hour of the most people, such as ``19:00``."""
        return str(self.by_hour["people"].idxmax())

    @property
    def tied(self) -> list[str]:
        """The other hours that cannot be told from it."""
        tied = self.by_hour.index[self.by_hour["is_tied"]]
        return [hour for hour in tied if hour != self.hour]

    def findings(self) -> list[Finding]:
        """Return when to go live, and how many are there then; nothing if days do not differ."""
        best = self.by_hour.loc[self.hour]
        if np.isnan(best["low"]):
            return []
        values = {
            "hour": self.hour,
            "people": best["people"],
            "low": best["low"],
            "high": best["high"],
            "n_people": self.n_people,
            "ties": self.tied,
            "n_ties": len(self.tied),
        }
        return [Finding("evening/hour", "plain", values, place="case_b_hours")]

    def plot(self, **settings: Any) -> "Axes":
        """Draw the hours, those that cannot be told from the best in green."""
        from kpay_lab import plots  # here, for matplotlib is slow to import

        colours = np.where(self.by_hour["is_tied"], plots.GREEN, plots.NEUTRAL)
        return plots.plot_bars(self.by_hour["people"], colours=colours, **settings)


def best_hour(events: pd.DataFrame, people: Iterable[str]) -> BestHour:
    """Count how many of an audience watch in each hour of the day, UTC.

    Two hours are compared over the same days, with Student's 95 % interval of the difference.

    Raises
    ------
    ValueError
        If none of these people has an event.

    Examples
    --------
    >>> moments = ["2026-01-05 19:10", "2026-01-05 19:40", "2026-01-06 19:00"]
    >>> times = pd.to_datetime(moments, utc=True)
    >>> events = pd.DataFrame({"user_id": ["ann", "bob", "ann"], "timestamp": times})
    >>> best = best_hour(events, ["ann", "bob"])
    >>> best.hour, float(best.by_hour.loc["19:00", "people"])
    ('19:00', 1.5)
    """
    audience = set(people)
    theirs = events[events["user_id"].isin(audience)]
    if theirs.empty:
        raise ValueError("nobody of this audience has an event; there is no hour to choose")
    day = theirs["timestamp"].dt.floor("D")
    hour = theirs["timestamp"].dt.hour
    counts = theirs.groupby([day, hour])["user_id"].nunique()
    by_day = counts.unstack(fill_value=0).reindex(columns=HOURS, fill_value=0)
    moments = events["timestamp"].dt.floor("D")
    all_days = pd.date_range(moments.min(), moments.max(), freq="D")
    by_day = by_day.reindex(all_days, fill_value=0)
    best = by_day.mean().idxmax()
    rows = []
    for one in HOURS:
        people_then = t_interval(by_day[one].to_numpy(np.float64))
        is_tied = not _is_larger(by_day[best], by_day[one])
        rows.append((people_then.estimate, people_then.low, people_then.high, is_tied))
    names = pd.Index([f"{one:02}:00" for one in HOURS], name="hour")
    table = pd.DataFrame(rows, names, ["people", "low", "high", "is_tied"])
    return BestHour(table, len(audience))


def _is_larger(first: pd.Series, second: pd.Series) -> bool:
    """Whether the first is shown to be larger on average, over two days or more."""
    ahead = t_interval((first - second).to_numpy(np.float64))
    is_same_every_day = np.isnan(ahead.low)
    if is_same_every_day:
        return len(first) > 1 and ahead.estimate > 0
    return ahead.low > 0


@dataclass(frozen=True)
class Evening:
    """What was planned for a live evening, and what the test of a coupon says.

    Parameters
    ----------
    theme, opening : str
        The category, and the title that the host begins with.
    hour : str
        When it begins, such as ``19:00``, UTC.
    n_people : int
        Whom it is for.
    profit : Interval
        What the coupon adds to the profit of one such evening, with its 95 % interval.
    n_evenings : int
        Evenings of the test.
    """

    theme: str
    opening: str
    hour: str
    n_people: int
    profit: Interval
    n_evenings: int

    @property
    def coupon(self) -> str:
        """What to do about the coupon: ``give``, ``none``, or ``open`` where it is not shown."""
        if self.profit.low > 0:
            return "give"
        return "none" if self.profit.high < 0 else "open"

    def findings(self) -> list[Finding]:
        """Return the decision in one sentence, and the money it rests on where there is any."""
        plan = {
            "theme": self.theme,
            "opening": self.opening,
            "hour": self.hour,
            "n_people": self.n_people,
            "coupon": self.coupon,
        }
        money = {
            "profit": self.profit.estimate,
            "low": self.profit.low,
            "high": self.profit.high,
            "n_people": self.n_people,
            "n_evenings": self.n_evenings,
        }
        level = {"give": "good", "none": "bad", "open": "watch"}[self.coupon]
        decision = Finding("evening/decision", "plain", plan, place="case_b_plan")
        if np.isnan(self.profit.low):
            return [decision]
        return [decision, Finding("evening/coupon", level, money, place="case_b_coupon")]
