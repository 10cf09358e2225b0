"""Events to pair totals: the only aggregation in the package.

Any engine that yields the same columns for each (user, item) pair (pandas here, another
for logs beyond memory) is followed by the same weighting, matrix, models and reports.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.columns import LARGEST, SUMMED


@dataclass(frozen=True)
class PairTotals:
    """One row per (user, item) that met in the log.

    Parameters
    ----------
    pairs : DataFrame
        ``user`` and ``item`` (positions), ``n_events``, and for each column of the log its
        total: sums of watch time (seconds), likes, comments, shares, questions and ratings
        (``n_ratings`` counts them); the largest duration (seconds) and progress;
        ``last_seen``. A pair for which the log never gives a value holds NaN there.
        Sorted by user, then item.
    users, items : pandas.Index
        The labels behind the positions.
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

    With a half-life every event counts :math:`2^{-(t_0 - t) / h}` instead of 1, where
    :math:`t_0` is the last event: sums and ``n_events`` fade; largest values and ``n_ratings``
    do not. Totals of totals are totals: ``n_events`` and ``n_ratings`` in ``events`` add up.

    Parameters
    ----------
    events : DataFrame, validated
    users, items : pandas.Index, optional
        Every id, in order; by default those of the events, in order of appearance.

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
    keys, users = _encode(events["user_id"], users)
    codes, items = _encode(events["item_id"], items)
    keys *= len(items)
    keys += codes  # the number of a pair: user position * number of items + item position
    del codes
    keys, order, first = _by_pair(keys)
    fade = _fade(events, half_life_days)
    pairs = {"user": keys // len(items), "item": keys % len(items)}
    pairs |= _totals(events, order, first, None if fade is None else fade[order])
    return PairTotals(pd.DataFrame(pairs, copy=False), users, items)


def _totals(
    events: pd.DataFrame, order: np.ndarray, first: np.ndarray, fade: np.ndarray | None
) -> dict[str, np.ndarray | pd.DatetimeIndex]:
    """Total every column of the log by pair."""
    n_events = np.diff(first, append=len(order))
    found = {"n_events": n_events if fade is None else np.add.reduceat(fade, first)}
    for name in (name for name in SUMMED if name in events):
        values, count = _numbers(events[name])[order], n_events
        if (unknown := np.isnan(values)).any():
            values[unknown] = 0.0
            count = n_events - np.add.reduceat(unknown.astype(np.int64), first)
        total = _sum(values, first, fade)
        found[name] = total if count is n_events else np.where(count > 0, total, np.nan)
        if name == "rating":
            found["n_ratings"] = count.astype(np.float64)
    for name in (name for name in ("n_events", "n_ratings") if name in events):
        found[name] = _sum(events[name].to_numpy()[order], first, fade).astype(events[name].dtype)
    for name in (name for name in LARGEST if name in events):
        found[name] = np.fmax.reduceat(_numbers(events[name])[order], first)
    if "timestamp" in events:
        found["last_seen"] = _last_seen(events["timestamp"], order, first)
    return found


def _encode(ids: pd.Series, index: pd.Index | None) -> tuple[np.ndarray, pd.Index]:
    """Positions of the ids; against an index given, the distinct ids only are looked up."""
    codes, found = pd.factorize(ids)
    found = pd.Index(found, dtype="str", name=ids.name)  # the ids of a log may be categories
    if index is None:
        return codes, found
    positions = index.get_indexer(found)
    if (positions < 0).any():
        stranger = found[positions < 0][0]
        raise ValueError(f"{ids.name} {stranger!r} is not in the index given; pass tables.ids()")
    return positions[codes], index


def _numbers(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def check_half_life(half_life_days: float, timed: bool) -> None:
    """Raise where totals cannot fade: without times, or with no positive half-life."""
    if half_life_days <= 0:
        raise ValueError(f"half_life_days is {half_life_days}; it must be more than 0")
    if not timed:
        raise ValueError("half_life_days needs a timestamp column; leave it out for this log")


def _fade(events: pd.DataFrame, half_life_days: float | None) -> np.ndarray | None:
    if half_life_days is None:
        return None
    check_half_life(half_life_days, "timestamp" in events)
    moments = events["timestamp"]
    age = (moments.max() - moments) / pd.Timedelta(days=1)
    return np.exp2(-age.to_numpy(dtype=np.float64, na_value=np.inf) / half_life_days)


def _by_pair(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the events by pair: the pairs, the events in their order, where each pair begins.

    File order stays within a pair. Key and position share one 64-bit number where they fit:
    sorting plain numbers is several times faster than sorting positions by key.
    """
    n, largest = len(keys), int(keys.max(initial=0))
    bits = n.bit_length()
    if largest.bit_length() + bits < 64:
        keys <<= bits
        keys |= np.arange(n)
        keys.sort()
        order = keys & ((1 << bits) - 1)
        keys >>= bits
    else:
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], order, first


def _sum(values: np.ndarray, first: np.ndarray, fade: np.ndarray | None) -> np.ndarray:
    return np.add.reduceat(values if fade is None else values * fade, first)


def _last_seen(moments: pd.Series, order: np.ndarray, first: np.ndarray) -> pd.DatetimeIndex:
    """The latest time by pair; a missing time is the smallest integer and so never wins."""
    micros = moments.dt.tz_convert(None).to_numpy(dtype="datetime64[us]").astype(np.int64)
    latest = np.maximum.reduceat(micros[order], first)
    return pd.DatetimeIndex(latest.astype("datetime64[us]"), tz="UTC")
