"""Pair totals of a log larger than memory: one SQL query, answered by whoever holds the log.

The query is the same for every engine, so that there is one calculation: Polars streams it
over Parquet files here, Spark spreads it over a cluster in `kpay_lab.spark`. What comes back
is a *compact log*, one row a pair, which the rest of the workbench takes for events.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import pandas as pd
import polars as pl

from kpay_lab.columns import LARGEST, SUMMED
from kpay_lab.data.tables import KIND_OF
from kpay_lab.interest import totals
from kpay_lab.interest.parquet import batches
from kpay_lab.interest.totals import PairTotals, check_half_life

HOUR = 3_600_000_000  # microseconds


class EventLog(Protocol):
    """Events somewhere, as an SQL table ``log``, its cells null where not known.

    Columns: ``user_id``, ``item_id`` (text), ``time`` (microseconds since 1970, UTC), ``place``
    (grows in file order) and the measures of `totals`.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the files hold."""

    def query(self, sql: str, again: str | None = None) -> pd.DataFrame:
        """Answer a query about ``log``, rows in the query's order.

        ``again`` makes one answer of two, one below the other, for engines that work in parts.
        """

    def only(self, column: str, ids: pd.Series) -> Self:
        """Keep the events whose ``user_id`` or ``item_id`` is among some ids."""


@dataclass(frozen=True)
class ParquetLog:
    """Parquet files, streamed by Polars: memory grows with the answer, not with the log.

    Parameters
    ----------
    parts : tuple of polars.LazyFrame
        The log in batches of events.
    columns : tuple of str
    """

    parts: tuple[pl.LazyFrame, ...]
    columns: tuple[str, ...]

    @classmethod
    def open(cls, paths: Sequence[str | Path]) -> "ParquetLog":
        """Look at the files' schemas; no row is read.

        Raises
        ------
        ValueError
            If a file is no Parquet, lacks an id or holds a column of the wrong type: all
            such faults at once.
        """
        parts = batches([Path(path) for path in paths])
        return cls(tuple(parts), tuple(parts[0].collect_schema().names()))

    def query(self, sql: str, again: str | None = None) -> pd.DataFrame:
        """Answer with Polars' streaming engine, with ``again`` batch by batch.

        In one go its group-by would keep a note on most events of a log of many pairs.
        """
        if again is None:
            return _collect(sql, pl.concat(self.parts)).to_pandas()
        answer = _collect(sql, self.parts[0])
        for part in self.parts[1:]:
            answer = _collect(again, pl.concat([answer, _collect(sql, part)]).lazy())
        return answer.to_pandas()

    def only(self, column: str, ids: pd.Series) -> Self:
        """Join with the ids, which must be unique."""
        known = pl.LazyFrame({column: ids.to_numpy(dtype=object)}, schema={column: pl.String})
        kept = (part.join(known, on=column, how="semi") for part in self.parts)
        return replace(self, parts=tuple(kept))


def _collect(sql: str, log: pl.LazyFrame) -> pl.DataFrame:
    return pl.SQLContext(log=log).execute(sql).collect(engine="streaming")


def pair_totals(
    log: EventLog,
    *,
    users: pd.Index | None = None,
    items: pd.Index | None = None,
    half_life_days: float | None = None,
) -> PairTotals:
    """Add up a log by (user, item) as `totals.pair_totals` does, without loading it."""
    compact = compact_log(log, half_life_days=half_life_days)
    return totals.pair_totals(compact, users=users, items=items)


def compact_log(
    log: EventLog,
    *,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
    cut: pd.Timestamp | None = None,
    half_life_days: float | None = None,
) -> pd.DataFrame:
    """Return one row a pair, or with a ``cut`` one for each side of it the pair has events on.

    Totals of totals are totals: `totals.pair_totals` gives the same for the compact log as for
    the events, but for last digits, as sums are added in another order. Memory is bounded by
    the number of distinct pairs.

    Parameters
    ----------
    since, until : Timestamp, optional
        Only events in [since, until).
    cut : Timestamp, optional
        Events before it and events from it on are added up apart.
    half_life_days : float, optional
        As in `totals.pair_totals`; the sums come back faded.

    Returns
    -------
    DataFrame
        Ids, ``n_rows`` (events added up), ``n_events`` (the same, faded), the measures,
        ``n_ratings``, ``n_durations`` and the last ``timestamp``. Rows stand in the order
        of their first event, so that ids keep their order of first appearance.
    """
    window = _window(log, since, until)
    fade = None if half_life_days is None else _fade(log, window, half_life_days)
    first = totals_query(log.columns, window=window, cut=cut, fade=fade)
    again = totals_query(log.columns, cut=cut, again=True)
    return _typed(log.query(first, again))


def totals_query(
    columns: Sequence[str],
    *,
    window: str = "",
    cut: pd.Timestamp | None = None,
    fade: str | None = None,
    again: bool = False,
) -> str:
    """Write the query of `compact_log`, in the SQL that Polars and Spark share.

    With ``again`` the one that adds up its answers: what was counted is summed.

    >>> print(totals_query(["user_id", "item_id", "watch_time"]))
    SELECT user_id, item_id, COUNT(*) AS n_rows, COUNT(*) AS n_events,
    CASE WHEN COUNT(watch_time) > 0 THEN SUM(watch_time) END AS watch_time,
    MIN(place) AS place
    FROM log GROUP BY user_id, item_id ORDER BY place
    """
    times = " * fade" if fade else ""
    chosen = {"n_rows": "COUNT(*)", "n_events": "SUM(fade)" if fade else "COUNT(*)"}
    for name in (name for name in SUMMED if name in columns):
        chosen[name] = f"CASE WHEN COUNT({name}) > 0 THEN SUM({name}{times}) END"
    chosen |= {name: f"MAX({name})" for name in (*LARGEST, "time") if name in columns}
    for name, counted in (("rating", "n_ratings"), ("duration", "n_durations")):
        if name in columns:
            chosen[counted] = f"COUNT({name})"
    if again:
        chosen |= {name: f"SUM({name})" for name in chosen if name.startswith("n_")}
    chosen["place"] = "MIN(place)"
    keys, source = "user_id, item_id", f"log {window}"
    if cut is not None or fade:
        later = f", time >= {_micros(cut)} AS later" if cut is not None and not again else ""
        faded = f", {fade} AS fade" if fade else ""
        keys += ", later" if cut is not None else ""
        source = f"(SELECT *{later}{faded} FROM log {window}) AS events "
    terms = [f"{term} AS {name}" for name, term in chosen.items()]
    selected = ",\n".join([", ".join([keys, *terms[:2]]), *terms[2:]])
    return f"SELECT {selected}\nFROM {source}GROUP BY {keys} ORDER BY place"


def check_values(log: EventLog) -> int:
    """Count the events and refuse a log with values that cannot be.

    Raises
    ------
    ValueError
        If there is no event, an id or some time is missing, or a measure is out of its
        range: all such faults at once. Single rows are not set aside here; `kpay check`
        names them.
    """
    measures = [name for name in (*SUMMED, *LARGEST) if name in log.columns]
    counted = ["user_id", "item_id", *({"time"} & set(log.columns))]
    asked = [f"COUNT({name}) AS n_{name}" for name in counted]
    asked += [f"{end}({name}) AS {end}_{name}" for end in ("MIN", "MAX") for name in measures]
    found = log.query(f"SELECT COUNT(*) AS n, {', '.join(asked)} FROM log").iloc[0]
    faults = [] if found["n"] else ["there is none"]
    for name in counted:
        if missing := int(found["n"] - found[f"n_{name}"]):
            faults.append(f"{missing:,} have no {'timestamp' if name == 'time' else name}")
    for name in measures:
        most = 1.0 if name == "progress" else np.finfo(np.float64).max
        for value in (found[f"MIN_{name}"], found[f"MAX_{name}"]):
            if not pd.isna(value) and not 0 <= value <= most:
                faults.append(f"{name} is {value:g} somewhere; {KIND_OF[name].words}")
    if faults:
        raise ValueError(f"events: {'; '.join(faults)} (`kpay check` names the rows)")
    return int(found["n"])


def moment_at(
    log: EventLog,
    share: float,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
) -> pd.Timestamp:
    """Return the time at position int(share n) of the events in order of time.

    Events are counted by the hour, then by the moment in the hour that holds the position.
    """
    window, hour = _window(log, since, until), f"time - time % {HOUR}"
    hours = log.query(f"SELECT {hour} AS moment, COUNT(*) AS n FROM log {window}GROUP BY {hour}")
    n = int(hours["n"].sum())
    moment, left = _position(hours, min(int(share * n), n - 1))
    inside = f"{window or 'WHERE '}{'AND ' if window else ''}{hour} = {moment} "
    moments = log.query(f"SELECT time AS moment, COUNT(*) AS n FROM log {inside}GROUP BY time")
    return pd.Timestamp(_position(moments, left)[0], unit="us", tz="UTC")


def next_moment(
    log: EventLog,
    after: pd.Timestamp | None = None,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
) -> pd.Timestamp:
    """Return the first time after a moment, or of all; the moment itself where it is the last."""
    window = _window(log, since, until)
    if after is not None:
        window += f"{'AND' if window else 'WHERE'} time > {_micros(after)}"
    found = log.query(f"SELECT MIN(time) AS moment FROM log {window}")["moment"]
    if after is not None and found.isna().all():
        return after
    return pd.Timestamp(int(found.iloc[0]), unit="us", tz="UTC")


def _position(counts: pd.DataFrame, place: int) -> tuple[int, int]:
    """Return the moment that holds a position, and the position among its own events."""
    counts = counts.sort_values("moment", ignore_index=True)
    upto = counts["n"].cumsum().to_numpy()
    row = int(np.searchsorted(upto, place, side="right"))
    return int(counts["moment"].iloc[row]), place - int(upto[row] - counts["n"].iloc[row])


def _window(log: EventLog, since: pd.Timestamp | None, until: pd.Timestamp | None) -> str:
    bounds = [f"time >= {_micros(since)}"] if since is not None else []
    bounds += [f"time < {_micros(until)}"] if until is not None else []
    if bounds and "time" not in log.columns:
        raise ValueError("the events have no timestamp; leave since and until empty")
    return f"WHERE {' AND '.join(bounds)} " if bounds else ""


def _fade(log: EventLog, window: str, half_life_days: float) -> str:
    check_half_life(half_life_days, "time" in log.columns)
    start = log.query(f"SELECT MAX(time) AS last FROM log {window}")["last"].item()
    half_life = half_life_days * 24 * HOUR
    return f"COALESCE(POWER(2, CAST(time - {start:.0f} AS DOUBLE) / {half_life:.0f}), 0)"


def _micros(moment: pd.Timestamp) -> int:
    return moment.value // 1000


def _typed(compact: pd.DataFrame) -> pd.DataFrame:
    """Give the answer the dtypes of events."""
    measured = [name for name in (*SUMMED, *LARGEST, "n_ratings") if name in compact]
    compact = compact.astype(dict.fromkeys(measured, np.float64)).drop(
        columns="place", errors="ignore"
    )
    if "time" in compact:
        micros = compact.pop("time").fillna(np.iinfo(np.int64).min).astype(np.int64)
        stamps = micros.to_numpy().astype("datetime64[us]")
        compact["timestamp"] = pd.DatetimeIndex(stamps, tz="UTC")
    return compact
