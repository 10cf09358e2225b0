"""The period that a report is about, and the period of equal length before it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from kpay_lab.data.derived import are_whole_days
from kpay_lab.data.tables import Tables, moment

DAY = pd.Timedelta(days=1)
A_MOMENT = pd.Timedelta(microseconds=1)  # the last row lies before the end of the log


@dataclass(frozen=True)
class Period:
    """A time from ``start`` to before ``end``, both in UTC."""

    start: pd.Timestamp
    end: pd.Timestamp

    @property
    def length(self) -> pd.Timedelta:
        """The time from start to end."""
        return self.end - self.start

    def before(self) -> "Period":
        """Return the period of equal length that ends where this one starts."""
        return Period(self.start - self.length, self.start)

    def select(self, tables: Tables, *columns: str) -> Tables:
        """Return what happened in the period, as it was known at its end.

        Later refunds have not happened yet; users and items stay whole (`Tables.known_at`).
        Events without a time are in no period.

        Parameters
        ----------
        tables : Tables
        *columns : str
            What is asked of the events beside user, item and time. Their other columns are left
            out, and so are the exposures: of a large log the chosen rows are a large copy.
        """
        narrow = with_columns(tables, events=columns)
        return narrow.within(self.start, self.end)

    def words(self, time_zone: str = "UTC") -> str:
        """Write the first and the last day, and hours where an end is not midnight in the zone."""
        start = self.start.tz_convert(time_zone)
        end = self.end.tz_convert(time_zone)
        if start == start.normalize() and end == end.normalize():
            last_day = end - DAY
            return f"{start:%Y-%m-%d} to {last_day:%Y-%m-%d}"
        return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {time_zone}"

    def __str__(self) -> str:
        return self.words()


def with_times(tables: Tables) -> Tables:
    """Return the tables with a column of times of events, all missing where the log has none."""
    events = tables.events
    if "timestamp" in events:
        return tables
    unknown = pd.Series(pd.NaT, events.index, dtype="datetime64[us, UTC]")
    return tables.with_events(events.assign(timestamp=unknown))


def with_columns(
    tables: Tables, *, events: Sequence[str] = (), exposures: Sequence[str] | None = None
) -> Tables:
    """Return the tables with fewer columns of the two large ones, so that a choice copies less.

    Parameters
    ----------
    events, exposures : sequence of str
        Columns to keep beside ``user_id``, ``item_id`` and ``timestamp``, as far as they are
        there; without a sequence the exposures are left out.
    """
    timed = with_times(tables)
    narrow_events = _with_columns(timed.events, events)
    narrow_exposures = None
    if tables.exposures is not None and exposures is not None:
        narrow_exposures = _with_columns(tables.exposures, exposures)
    return replace(tables, events=narrow_events, exposures=narrow_exposures)


def _with_columns(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    kept = {"user_id", "item_id", "timestamp", *columns}
    return frame[[name for name in frame if name in kept]]


def whole_log(tables: Tables) -> Period:
    """Return the period from the first to the last moment of the events and orders.

    It ends with the last day where all times are days, else just after the last moment.

    Raises
    ------
    ValueError
        If no event and no order has a time.

    Examples
    --------
    >>> days = pd.to_datetime(["2024-03-01", "2024-03-03"], utc=True).astype("datetime64[us, UTC]")
    >>> events = pd.DataFrame({"user_id": "u", "item_id": "a", "timestamp": days})
    >>> print(whole_log(Tables(events)))
    2024-03-01 to 2024-03-03
    """
    times = _times(tables)
    if times.empty:
        raise ValueError("no event and no order has a time, so there is no period to report on")
    step = DAY if are_whole_days(times) else A_MOMENT
    return Period(times.min(), times.max() + step)


def _times(tables: Tables) -> pd.Series:
    """Return the known times of all events and orders."""
    columns = [with_times(tables).events["timestamp"]]
    if tables.orders is not None:
        columns.append(tables.orders["timestamp"])
    return pd.concat(columns).dropna()


def choose_period(
    tables: Tables, *, days: int = 28, start: str = "", end: str = "", time_zone: str = "UTC"
) -> tuple[Period, Period | None]:
    """Choose the period of a report and the period before it.

    Parameters
    ----------
    days : int
        Length of the period where ``start`` is empty. It is cut to half of the log, in whole
        days, so that the period before exists; a log of less than two days is one period.
    start, end : str
        ISO times, UTC where no offset is written. An empty end is the midnight nearest to the
        last moment of the log: its last day counts where it reaches past noon.
    time_zone : str
        Whose midnight.

    Returns
    -------
    period : Period
    before : Period, or None
        None where the log does not reach back so far.

    Raises
    ------
    ValueError
        If a bound is no ISO time, the end is not after the start, or nothing was logged between.

    Examples
    --------
    >>> days = pd.to_datetime(["2024-03-01", "2024-03-20"], utc=True).astype("datetime64[us, UTC]")
    >>> events = pd.DataFrame({"user_id": "u", "item_id": "a", "timestamp": days})
    >>> print(*choose_period(Tables(events)), sep=", before ")
    2024-03-11 to 2024-03-20, before 2024-03-01 to 2024-03-10
    """
    log = whole_log(tables)
    first = moment("period_start", start)
    last = moment("period_end", end) or _last_midnight(tables, log, time_zone)
    if first is None:
        half = (last - log.start) // 2
        whole_days = half // DAY
        length = min(pd.Timedelta(days=days), pd.Timedelta(days=whole_days))
        first = last - length if whole_days else log.start
    period = Period(first, last)
    _refuse_empty(period, log, tables)
    before = period.before()
    reaches_back = log.start.floor("D") <= before.start
    return period, before if reaches_back else None


def _last_midnight(tables: Tables, log: Period, time_zone: str) -> pd.Timestamp:
    """Return the midnight nearest to the end of a log, or the end of one shorter than two days."""
    is_short = log.length < 2 * DAY
    if is_short or are_whole_days(_times(tables)):
        return log.end
    wall_clock = log.end.tz_convert(time_zone).tz_localize(None)
    midnight = wall_clock.round("D")
    local = midnight.tz_localize(time_zone, ambiguous=True, nonexistent="shift_forward")
    return local.tz_convert("UTC")


def _refuse_empty(period: Period, log: Period, tables: Tables) -> None:
    """Refuse a period that is none, or in which nothing was logged."""
    if period.end <= period.start:
        raise ValueError(
            f"the period starts at {period.start} and ends at {period.end}; "
            f"period_end must lie after period_start, and the log is from {log}"
        )
    is_within = _times(tables).between(period.start, period.end, inclusive="left")
    if not is_within.any():
        raise ValueError(
            f"no event and no order from {period}; choose period_start and period_end within "
            f"the log, {log}"
        )
