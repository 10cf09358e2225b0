"""Pair totals of a log where it lies: one expression, answered by whoever holds the events.

A log is an `EventLog`: an ibis table of events, a way to fetch an answer, and a way to add up.
`compact_log` writes one expression over that table, and DuckDB over Parquet files
(`interest.parquet_log`), a database or Spark (`kpay_lab.spark`) answers it. What comes back is a
*compact log*, one row a pair, which the rest of the workbench takes for events. Memory is bounded
by the number of distinct pairs; the events stay where they are.

The table of events has these columns, each null where it is not known:

- ``user_id`` and ``item_id``, text, read as memory reads ids (`with_ids_read`); where a log
  keeps its ids beside the events, numbers that stand for them;
- ``time``, whole microseconds since 1970 in UTC, where the events have times;
- the columns `columns.SUMMED` and `columns.LARGEST` that the log holds, as float64;
- ``place``, a whole number that grows in file order, where there are files.

Ids stand in order of their first appearance, which is the least ``place``. A database has no file
order: without ``place``, pairs stand by their first time, then by user and item, as if the events
had been sorted by ``time, user_id, item_id`` before they were read. They are put in this order
here and not there, for databases sort text by rules of their own.

A log in a database is an `IbisLog` (in a file of DuckDB an `interest.parquet_log.DuckDBLog`):

>>> events = pd.DataFrame({"user_id": ["u", "u", "w"], "item_id": ["a", "a", "a"],
...                        "time": [2, 3, 1], "watch_time": [30.0, 20.0, 5.0]})
>>> database = ibis.sqlite.connect()
>>> n_written = events.to_sql("events", database.con, index=False)
>>> compact = compact_log(IbisLog(database.table("events")))
>>> compact[["user_id", "item_id", "n_events", "watch_time"]]
  user_id item_id  n_events  watch_time
0       w       a         1         5.0
1       u       a         2        50.0
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis import _

from kpay_lab.columns import LARGEST, SUMMED
from kpay_lab.data.parsing import parse_ids
from kpay_lab.data.tables import KIND_OF
from kpay_lab.interest import totals
from kpay_lab.interest.parquet import joined_categories
from kpay_lab.interest.totals import PairTotals, check_half_life
from kpay_lab.memory import lack_of_memory

HOUR = 3_600_000_000  # microseconds
LARGEST_VALUE = 2.0**40  # of a measure: as seconds 35,000 years
UNKNOWN = np.iinfo(np.int64).min  # stands for a missing time where whole numbers are kept
IDS = ("user_id", "item_id")
TIMES_THE_ANSWER = 1.5  # of its bytes are needed beside it until the matrix stands, as measured
WHOLE = ("n_rows", "time", "first")  # columns of an answer that hold whole numbers
YES_OR_NO = ("later", "lacks_duration")


class EventLog(Protocol):
    """Events somewhere, as the table that the module describes."""

    @property
    def events(self) -> ir.Table:
        """The events; nothing is read until an answer is fetched."""

    def fetch(self, answer: ir.Table) -> pa.Table:
        """Have an expression over `events` answered.

        Ids come as text, or as dictionaries of text. Errors of the backend leave as a ValueError
        that names the place and the remedy. Where the column ``first`` cannot come over, the
        rows come in its order, without it.
        """

    def total(self, values: ir.NumericColumn) -> ir.NumericScalar:
        """Return the sum of float64 values, null of none; equal from run to run where it can be."""

    def only(self, column: str, ids: pd.Series) -> Self:
        """Keep the events whose ``user_id`` or ``item_id`` is among some ids."""


@dataclass(frozen=True)
class IbisLog:
    """Events in a database that ibis reaches.

    Parameters
    ----------
    events : ibis.Table
        As the module describes it.
    """

    events: ir.Table

    def fetch(self, answer: ir.Table) -> pa.Table:
        """Have the backend of the events answer."""
        return answer.to_pyarrow()

    def total(self, values: ir.NumericColumn) -> ir.NumericScalar:
        """Add up as the backend does."""
        return values.sum()

    def only(self, column: str, ids: pd.Series) -> Self:
        """Join with the ids."""
        known = self.bring(pa.table({column: pa.array(ids, pa.string())}))
        return replace(self, events=self.events.semi_join(known, column))

    def bring(self, table: pa.Table) -> ir.Table:
        """Give the backend a small table of ours, to be joined with the events."""
        return ibis.memtable(table)


Log = TypeVar("Log", bound=IbisLog)


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
    the events, but for last digits, as sums are added in another order.

    Parameters
    ----------
    since, until : Timestamp, optional
        Only events in [since, until).
    cut : Timestamp, optional
        Events before it and events from it on are added up apart (column ``later``).
    half_life_days : float, optional
        As in `totals.pair_totals`; the sums come back faded.

    Returns
    -------
    DataFrame
        Ids as categories, ``n_rows`` (events added up), ``n_events`` (the same, faded), the
        measures, ``n_ratings``, ``lacks_duration`` (whether an event has none) and the last
        ``timestamp``. Rows stand in the order of their first event, so that ids keep their order
        of first appearance.

    Raises
    ------
    ValueError
        If a window or a half-life is asked of events without times, the half-life is not
        positive, or the matrix of so many pairs does not fit into memory.
    """
    events = _window(log.events, since, until)
    if half_life_days is not None:
        events = events.mutate(fade=_fade(log, events, half_life_days))
    if cut is not None:
        events = events.mutate(later=_.time >= _micros(cut))
    columns = _columns(log.fetch(_totals(log, events)))
    order = _order_by_place(columns) if "place" in events.columns else _order_by_time(columns)
    return _as_events(columns, order)


def _totals(log: EventLog, events: ir.Table) -> ir.Table:
    """Write the totals by pair of a window of the log; ``fade`` and ``later`` are optional."""
    keys = [name for name in (*IDS, "later") if name in events.columns]
    is_faded = "fade" in events.columns
    asked = {"n_rows": _.count()}
    if is_faded:
        asked["n_events"] = log.total(events["fade"])
    for name in _held(SUMMED, events):
        values = events[name] * events["fade"] if is_faded else events[name]
        asked[name] = log.total(values)
    for name in _held(LARGEST, events):
        asked[name] = events[name].max()
    if "rating" in events.columns:
        asked["n_ratings"] = events["rating"].count()
    if "duration" in events.columns:
        asked["lacks_duration"] = events["duration"].isnull().any()
    if "time" in events.columns:
        asked["time"] = events["time"].max()
    for name in ("time", "place"):  # the place in the file wins where there is one
        if name in events.columns:
            asked["first"] = events[name].min()
    return events.group_by(keys).aggregate(**asked)


def check_values(log: EventLog) -> int:
    """Count the events and refuse a log with values that cannot be.

    Raises
    ------
    ValueError
        If there is no event, an id or some time is missing, or a measure is out of its
        range: all such faults at once. Single rows are not set aside here; `kpay check`
        names them.
    """
    events = log.events
    measures = _held((*SUMMED, *LARGEST), events)
    counted = _held((*IDS, "time"), events)
    asked = {"n": _.count()}
    asked |= {f"n_{name}": events[name].count() for name in counted}
    asked |= {f"least_{name}": events[name].min() for name in measures}
    asked |= {f"most_{name}": events[name].max() for name in measures}
    found = _one_row(log, events.aggregate(**asked))
    faults = [] if found["n"] else ["there is none"]
    for name in counted:
        if missing := found["n"] - found[f"n_{name}"]:
            faults.append(f"{missing:,} have no {'timestamp' if name == 'time' else name}")
    for name in measures:
        for end in ("least", "most"):
            faults += _value_faults(name, found[f"{end}_{name}"])
    if faults:
        raise ValueError(f"events: {'; '.join(faults)} (`kpay check` names the rows)")
    return int(found["n"])


def _value_faults(name: str, value: float | None) -> list[str]:
    """Say why a measure cannot have a value, if it cannot."""
    if value is None:
        return []
    largest = 1.0 if name == "progress" else np.finfo(np.float64).max
    if not 0 <= value <= largest:
        return [f"{name} is {value:g} somewhere; {KIND_OF[name].words}"]
    if value > LARGEST_VALUE:
        return [f"{name} is {value:g} somewhere; totals are exact up to {LARGEST_VALUE:.0f}"]
    return []


def count_events(log: EventLog) -> int:
    """Count the events of a log."""
    answer = log.events.aggregate(n=_.count())
    return int(_one_row(log, answer)["n"])


def moment_at(
    log: EventLog,
    share: float,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
) -> pd.Timestamp:
    """Return the time at position int(share n) of the events in order of time.

    Events are counted by the hour, then by the moment in the hour that holds the position.
    """
    events = _window(log.events, since, until)
    in_hours = events.mutate(hour=_.time - _.time % HOUR)
    hours = _counts(log, in_hours, "hour")
    n_events = int(hours["n"].sum())
    last = n_events - 1
    hour, left = _position(hours, min(int(share * n_events), last))
    moments = _counts(log, in_hours.filter(_.hour == hour), "time")
    moment, _left = _position(moments, left)
    return _timestamp(moment)


def next_moment(
    log: EventLog,
    after: pd.Timestamp | None = None,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
) -> pd.Timestamp:
    """Return the first time after a moment, or of all; the moment itself where it is the last."""
    events = _window(log.events, since, until)
    if after is not None:
        events = events.filter(_.time > _micros(after))
    found = _one_row(log, events.aggregate(moment=_.time.min()))
    if after is not None and found["moment"] is None:
        return after
    return _timestamp(found["moment"])


def with_ids_read(log: Log, column: str) -> Log:
    """Write the ids of a column as `parse_ids` does; one that cannot be told apart is null.

    Only the different ids come over to be read; where reading changes one, the events are
    joined with what was read.

    Parameters
    ----------
    log : IbisLog
        Its column holds text or numbers.
    column : str

    Examples
    --------
    >>> database = ibis.sqlite.connect()
    >>> written = pd.DataFrame({"user_id": ["7.0", " 7", "a"]})
    >>> n_written = written.to_sql("events", database.con, index=False)
    >>> log = with_ids_read(IbisLog(database.table("events")), "user_id")
    >>> sorted(log.events.to_pandas()["user_id"])
    ['7', '7', 'a']
    """
    events = log.events
    given = events[column]
    if given.type().is_integer():
        return replace(log, events=events.mutate(**{column: given.cast("string")}))
    written = different_values(log, column)
    texts = pa.array(parse_ids(written).values, pa.string(), from_pandas=True)
    if given.type().is_string() and pa.chunked_array([texts]).equals(written):
        return log
    return with_values_of(log, column, pa.table({"written": written, "read": texts}))


def different_values(log: IbisLog, column: str) -> pa.ChunkedArray:
    """Fetch the different values of a column, in no order, without the missing one."""
    given = log.events[column]
    different = log.events.filter(given.notnull()).select(written=given).distinct()
    return _table(log, different)["written"]


def with_values_of(log: Log, column: str, known: pa.Table) -> Log:
    """Put for what is ``written`` in a column what is ``read``, and null where nothing is."""
    events = log.events
    brought = log.bring(known)
    joined = events.left_join(brought, events[column] == brought["written"])
    renamed = joined.drop(column, "written").rename({column: "read"})
    return replace(log, events=renamed.select(*events.columns))


def _held(names: tuple[str, ...], events: ir.Table) -> list[str]:
    return [name for name in names if name in events.columns]


def _window(events: ir.Table, since: pd.Timestamp | None, until: pd.Timestamp | None) -> ir.Table:
    is_asked = since is not None or until is not None
    if is_asked and "time" not in events.columns:
        raise ValueError("the events have no timestamp; leave since and until empty")
    if since is not None:
        events = events.filter(_.time >= _micros(since))
    if until is not None:
        events = events.filter(_.time < _micros(until))
    return events


def _fade(log: EventLog, events: ir.Table, half_life_days: float) -> ir.FloatingColumn:
    """Write the weight of each event, 0 where its time is not known."""
    check_half_life(half_life_days, "time" in events.columns)
    last = _one_row(log, events.aggregate(last=_.time.max()))["last"] or 0
    age = (events["time"] - last).cast("float64")
    half_life = half_life_days * 24 * HOUR
    faded = ibis.literal(2.0) ** (age / half_life)
    return faded.fill_null(0.0)


def _counts(log: EventLog, events: ir.Table, column: str) -> pd.DataFrame:
    """Count the events by a column of moments."""
    answer = events.group_by(moment=_[column]).aggregate(n=_.count())
    return _table(log, answer).to_pandas()


def _position(counts: pd.DataFrame, place: int) -> tuple[int, int]:
    """Return the moment that holds a position, and the position among its own events."""
    counts = counts.sort_values("moment", ignore_index=True)
    upto = counts["n"].cumsum().to_numpy()
    row = int(np.searchsorted(upto, place, side="right"))
    before = int(upto[row] - counts["n"].iloc[row])
    return int(counts["moment"].iloc[row]), place - before


def _one_row(log: EventLog, answer: ir.Table) -> dict[str, Any]:
    """Fetch an answer of one row."""
    (row,) = _table(log, answer).to_pylist()
    return row


def _table(log: EventLog, answer: ir.Table) -> pa.Table:
    """Fetch a small answer."""
    schema = answer.schema().to_pyarrow()
    return log.fetch(answer).cast(schema)


def _micros(moment: pd.Timestamp) -> int:
    return moment.value // 1000


def _timestamp(micros: int) -> pd.Timestamp:
    return pd.Timestamp(micros, unit="us", tz="UTC")


def _refuse_to_outgrow_memory(answer: pa.Table) -> None:
    """Refuse totals from which no matrix could be made within the memory that is free."""
    lack = lack_of_memory(TIMES_THE_ANSWER * answer.nbytes)
    if lack:
        raise ValueError(
            f"the interest matrix of {answer.num_rows:,} totals of a user and an item: {lack}; "
            "add up fewer events with since and until, or take a machine with more memory"
        )


def _columns(answer: pa.Table) -> dict[str, Any]:
    """Bring an answer into arrays of a few bytes a cell; a column is freed once it is there.

    Ids become categories, missing times `UNKNOWN`, other missing values NaN.
    """
    _refuse_to_outgrow_memory(answer)
    given = dict(zip(answer.column_names, answer.columns, strict=True))
    del answer
    columns = {}
    for name in list(given):
        columns[name] = _column(name, given.pop(name))
    return columns


def _column(name: str, cells: pa.ChunkedArray) -> np.ndarray | pd.Categorical:
    """Bring the cells of an answer into the form that the compact log has."""
    if name in IDS:
        is_encoded = pa.types.is_dictionary(cells.type)
        encoded = cells if is_encoded else cells.cast(pa.string()).dictionary_encode()
        return joined_categories(encoded)
    if name in YES_OR_NO:
        return cells.cast(pa.bool_()).to_numpy()
    if name in WHOLE:
        whole = cells.cast(pa.int64()).fill_null(UNKNOWN)
        return whole.to_numpy()
    return cells.cast(pa.float64()).to_numpy()


def _order_by_place(columns: Mapping[str, Any]) -> np.ndarray | None:
    """Return the rows in order of their first event; None where they come so."""
    if "first" not in columns:
        return None
    return np.argsort(columns["first"], kind="stable")


def _order_by_time(columns: Mapping[str, Any]) -> np.ndarray:
    """Return the rows in order of their first time, which is last where missing, and of ids."""
    keys = [_rank_of_text(columns[name]) for name in ("item_id", "user_id")]
    if "first" in columns:
        first = columns["first"]
        keys.append(np.where(first == UNKNOWN, np.iinfo(np.int64).max, first))
    return np.lexsort(keys)


def _rank_of_text(ids: pd.Categorical) -> np.ndarray:
    """Return for each id its place in the order of code points."""
    words = ids.categories.to_numpy(dtype=object)
    rank = np.empty(len(words), dtype=np.int32)
    rank[np.argsort(words)] = np.arange(len(words), dtype=np.int32)
    return rank[ids.codes]


def _in_order_of_appearance(ids: pd.Categorical) -> pd.Categorical:
    """Number ids anew, for their numbers so far depend on which thread was first."""
    codes, appeared = pd.factorize(ids.codes)
    return pd.Categorical.from_codes(codes.astype(np.int32), ids.categories[appeared])


def _as_events(columns: dict[str, Any], order: np.ndarray | None) -> pd.DataFrame:
    """Make the compact log of an answer's columns, which are given up one by one."""
    columns.pop("first", None)
    events = {}
    for name in list(columns):
        cells = columns.pop(name)
        in_order = cells if order is None else cells[order]
        events[name] = _in_order_of_appearance(in_order) if name in IDS else in_order
    if "n_events" not in events:
        events["n_events"] = events["n_rows"]
    micros = events.pop("time", None)
    compact = pd.DataFrame(events, copy=False)
    if micros is not None:
        compact["timestamp"] = pd.DatetimeIndex(micros.view("datetime64[us]"), tz="UTC")
    return compact
