"""Add up the events of each (user, item) pair: one row a pair, its totals.

This is pandas, for a log in memory. `interest.engines` makes the same columns for a log that
is larger than memory. The weighting that follows reads these columns and nothing else, so it is
the same for every engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.columns import LARGEST, SUMMED
from kpay_lab.data.codes import factorize
from kpay_lab.interest.matrix import positions_of


@dataclass(frozen=True)
class PairTotals:
    """One row for each (user, item) pair that has an event in the log.

    Parameters
    ----------
    pairs : DataFrame
        Sorted by user, then item. ``user`` and ``item`` are positions, ``n_events`` counts the
        events, ``last_seen`` is the time of the last one. The columns `columns.SUMMED` hold
        sums: watch time (seconds), likes, comments, shares, questions, ratings; ``n_ratings``
        counts the ratings. The columns `columns.LARGEST` hold the largest value: duration
        (seconds), progress (0 to 1). Only columns that the log has are there, and a pair
        without any value in a column holds NaN.
    users, items : pandas.Index
        The id at each position.
    """

    pairs: pd.DataFrame
    users: pd.Index
    items: pd.Index


def pair_totals(
    events: pd.DataFrame,
    *,
    users: pd.Index | None = None,
    items: pd.Index | None = None,
    half_life_days: float | None = None,
) -> PairTotals:
    r"""Add up the events of each (user, item) pair.

    With a half-life h an event at time t has the weight :math:`2^{-(t_0 - t) / h}` instead of
    1, where :math:`t_0` is the time of the last event of the log. Sums and ``n_events`` are
    weighted; largest values and ``n_ratings`` are not.

    A row of ``events`` may itself be a total, with ``n_events`` and ``n_ratings``: these are
    then added up.

    Parameters
    ----------
    events : DataFrame, validated
    users, items : pandas.Index, optional
        Every id, in order; by default those of the events, in order of appearance.
    half_life_days : float, optional
        Days after which an event counts half.

    Raises
    ------
    ValueError
        If a half-life is asked of events without times, or is not positive.

    Examples
    --------
    >>> log = pd.DataFrame({"user_id": ["u", "u", "w"], "item_id": ["a", "a", "a"],
    ...                     "watch_time": [30.0, 20.0, 5.0]})
    >>> pair_totals(log).pairs
       user  item  n_events  watch_time
    0     0     0         2        50.0
    1     1     0         1         5.0
    """
    pair_of_event, users, items = _encode_pairs(events, users, items)
    pair_numbers, order, starts = _group_by_pair(pair_of_event)
    event_weights = _event_weights(events, half_life_days)
    if event_weights is not None:
        event_weights = event_weights[order]
    totals = _totals(events, order, starts, event_weights)
    user, item = np.divmod(pair_numbers, len(items))
    pairs = pd.DataFrame({"user": user, "item": item, **totals}, copy=False)
    return PairTotals(pairs, users, items)


def _totals(
    events: pd.DataFrame, order: np.ndarray, starts: np.ndarray, event_weights: np.ndarray | None
) -> dict[str, np.ndarray | pd.DatetimeIndex]:
    """Return the total of every column by pair, each of shape (n_pairs,).

    Parameters
    ----------
    order : int array of shape (n_events,)
        Positions of the events, sorted by pair.
    starts : int array of shape (n_pairs,)
        Where in this order the events of each pair begin.
    event_weights : array of shape (n_events,), optional
        In this order.
    """
    n_events = np.diff(starts, append=len(order))
    totals = {"n_events": n_events}
    if event_weights is not None:
        totals["n_events"] = np.add.reduceat(event_weights, starts)
    for name in _in_log(SUMMED, events):
        values = _numbers(events[name])[order]
        n_known = n_events
        is_missing = np.isnan(values)
        has_gaps = is_missing.any()
        if has_gaps:
            values[is_missing] = 0.0
            n_missing = np.add.reduceat(is_missing.astype(np.int64), starts)
            n_known = n_events - n_missing
        totals[name] = _sum_by_pair(values, starts, event_weights)
        if has_gaps:
            totals[name] = np.where(n_known > 0, totals[name], np.nan)
        if name == "rating":
            totals["n_ratings"] = n_known.astype(np.float64)
    for name in _in_log(("n_events", "n_ratings"), events):  # the rows are totals already
        counts = events[name].to_numpy()[order]
        summed = _sum_by_pair(counts, starts, event_weights)
        totals[name] = summed.astype(events[name].dtype)
    for name in _in_log(LARGEST, events):
        values = _numbers(events[name])[order]
        totals[name] = np.fmax.reduceat(values, starts)
    if "timestamp" in events:
        totals["last_seen"] = _last_seen(events["timestamp"], order, starts)
    return totals


def _in_log(names: Sequence[str], events: pd.DataFrame) -> list[str]:
    return [name for name in names if name in events]


def _encode_pairs(
    events: pd.DataFrame, users: pd.Index | None, items: pd.Index | None
) -> tuple[np.ndarray, pd.Index, pd.Index]:
    """Return for each event the number of its pair, and the two indexes.

    The number is user position * number of items + item position. It is computed in place:
    with many millions of events one array less is worth it.
    """
    pair_of_event, users = _encode(events["user_id"], users)
    item_of_event, items = _encode(events["item_id"], items)
    pair_of_event *= len(items)
    pair_of_event += item_of_event
    return pair_of_event, users, items


def _encode(ids: pd.Series, index: pd.Index | None) -> tuple[np.ndarray, pd.Index]:
    """Return the position of each id in an index, by default that of the distinct ids.

    Only the distinct ids are looked up in the index: they are far fewer than the events.
    """
    codes, distinct = factorize(ids)
    if codes.min(initial=0) < 0:
        row = ids.index[np.argmin(codes)]
        raise ValueError(
            f"{ids.name} is missing in row {row}; every event names a user and an item"
        )
    distinct = pd.Index(distinct, dtype="str", name=ids.name)  # ids may come as categories
    if index is None:
        return codes.astype(np.int64), distinct
    positions = positions_of(distinct, index, str(ids.name))
    return positions[codes], index


def _numbers(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def check_half_life(half_life_days: float, timed: bool) -> None:
    """Refuse a half-life that is not positive, and any where the events have no times."""
    if half_life_days <= 0:
        raise ValueError(f"half_life_days is {half_life_days}; it must be more than 0")
    if not timed:
        raise ValueError("half_life_days needs a timestamp column; leave it out for this log")


def _event_weights(events: pd.DataFrame, half_life_days: float | None) -> np.ndarray | None:
    """Return 2^(-age / half-life) of each event; an event without a time has weight 0."""
    if half_life_days is None:
        return None
    check_half_life(half_life_days, "timestamp" in events)
    times = events["timestamp"]
    age = times.max() - times
    age_in_days = age / pd.Timedelta(days=1)
    days = age_in_days.to_numpy(dtype=np.float64, na_value=np.inf)
    return np.exp2(-days / half_life_days)


def _group_by_pair(pair_of_event: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group the events by pair, in file order within a pair; the argument is overwritten.

    Where both fit, an event's pair and its position are packed into one 64-bit integer, the
    pair in the high bits: sorting plain integers is several times faster than an argsort.

    Returns
    -------
    pair_numbers : int array of shape (n_pairs,)
        The distinct pairs, rising.
    order : int array of shape (n_events,)
        Positions of the events, sorted by pair.
    starts : int array of shape (n_pairs,)
        Where in this order the events of each pair begin.
    """
    n_events = len(pair_of_event)
    position_bits = n_events.bit_length()
    pair_bits = int(pair_of_event.max(initial=0)).bit_length()
    if pair_bits + position_bits < 64:
        packed = pair_of_event
        packed <<= position_bits
        packed |= np.arange(n_events)
        packed.sort()
        order = packed & ((1 << position_bits) - 1)
        packed >>= position_bits
        sorted_pairs = packed
    else:
        order = np.argsort(pair_of_event, kind="stable")
        sorted_pairs = pair_of_event[order]
    starts = np.flatnonzero(np.diff(sorted_pairs, prepend=-1))
    return sorted_pairs[starts], order, starts


def _sum_by_pair(
    values: np.ndarray, starts: np.ndarray, event_weights: np.ndarray | None
) -> np.ndarray:
    if event_weights is not None:
        values = values * event_weights
    return np.add.reduceat(values, starts)


def _last_seen(times: pd.Series, order: np.ndarray, starts: np.ndarray) -> pd.DatetimeIndex:
    """Return the latest time of each pair, missing where none of its events has a time."""
    in_utc = times.dt.tz_convert(None)
    microseconds = in_utc.to_numpy(dtype="datetime64[us]").astype(np.int64)
    latest = np.maximum.reduceat(microseconds[order], starts)  # missing is the smallest integer
    return pd.DatetimeIndex(latest.astype("datetime64[us]"), tz="UTC")
