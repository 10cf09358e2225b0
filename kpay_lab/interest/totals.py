"""Events to pair totals: the only aggregation in the package.

Any engine that yields the same columns for each (user, item) pair (pandas here, another
for logs beyond memory) is followed by the same weighting, matrix, models and reports.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SUMMED = ("watch_time", "like_count", "comment_count", "share_count", "question_count", "rating")
LARGEST = ("duration", "progress")


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
    as_of: pd.Timestamp | None = None,
) -> PairTotals:
    r"""Add up the events of each (user, item) pair.

    With a half-life every event counts :math:`2^{-(t_0 - t) / h}` instead of 1, where
    :math:`t_0` is ``as_of``: old behaviour fades. Sums and ``n_events`` fade; the largest
    duration, progress and the number of ratings do not. Totals of totals are totals: where
    ``events`` hold ``n_events`` and ``n_ratings`` (`streaming.compact_log`), those add up.

    Parameters
    ----------
    events : DataFrame
        Validated events.
    users, items : pandas.Index, optional
        Every id, in order (``tables.ids(...)``); by default those of the events, in order
        of appearance.
    half_life_days : float, optional
        Days after which an event counts half; None counts all alike.
    as_of : Timestamp, optional
        The moment from which age is measured; by default the last event.

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
    user, users = _encode(events["user_id"], users)
    item, items = _encode(events["item_id"], items)
    keys, place = np.unique(user * len(items) + item, return_inverse=True)
    fade = _fade(events, half_life_days, as_of)
    pairs = {"user": keys // len(items), "item": keys % len(items)}
    pairs["n_events"] = np.bincount(place, weights=fade, minlength=len(keys))
    for name in SUMMED:
        if name in events:
            pairs[name], known = _sum(events[name], place, len(keys), fade)
            if name == "rating":
                pairs["n_ratings"] = known
    for name in ("n_events", "n_ratings"):
        if name in events:
            pairs[name] = _sum(events[name], place, len(keys), fade)[0].astype(events[name].dtype)
    for name in LARGEST:
        if name in events:
            pairs[name] = _largest(_numbers(events[name]), place, len(keys))
    if "timestamp" in events:
        pairs["last_seen"] = _last_seen(events["timestamp"], place, len(keys))
    return PairTotals(pd.DataFrame(pairs), users, items)


def _encode(ids: pd.Series, index: pd.Index | None) -> tuple[np.ndarray, pd.Index]:
    """Positions of the ids; against an index given, the distinct ids only are looked up."""
    codes, found = pd.factorize(ids)
    if index is None:
        return codes, pd.Index(found, name=ids.name)
    positions = index.get_indexer(found)
    if (positions < 0).any():
        stranger = found[positions < 0][0]
        raise ValueError(f"{ids.name} {stranger!r} is not in the index given; pass tables.ids()")
    return positions[codes], index


def _numbers(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _fade(
    events: pd.DataFrame, half_life_days: float | None, as_of: pd.Timestamp | None
) -> np.ndarray | None:
    if half_life_days is None:
        return None
    if half_life_days <= 0:
        raise ValueError(f"half_life_days is {half_life_days}; it must be more than 0")
    if "timestamp" not in events:
        raise ValueError("half_life_days needs a timestamp column; leave it out for this log")
    moments = events["timestamp"]
    age = ((as_of or moments.max()) - moments) / pd.Timedelta(days=1)
    return np.exp2(-age.to_numpy(dtype=np.float64, na_value=np.inf) / half_life_days)


def _sum(
    column: pd.Series, place: np.ndarray, n_pairs: int, fade: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sum by pair, NaN where no event gives a value; and how many give one."""
    values = _numbers(column)
    known = ~np.isnan(values)
    weights = np.where(known, values, 0.0)
    if fade is not None:
        weights *= fade
    count = np.bincount(place, weights=known, minlength=n_pairs)
    total = np.bincount(place, weights=weights, minlength=n_pairs)
    return np.where(count > 0, total, np.nan), count


def _largest(values: np.ndarray, place: np.ndarray, n_pairs: int) -> np.ndarray:
    largest = np.full(n_pairs, np.nan)
    np.fmax.at(largest, place, values)
    return largest


def _last_seen(moments: pd.Series, place: np.ndarray, n_pairs: int) -> pd.DatetimeIndex:
    """The latest time by pair; a missing time is the smallest integer and so never wins."""
    latest = np.full(n_pairs, np.iinfo(np.int64).min)
    micros = moments.dt.tz_convert(None).to_numpy(dtype="datetime64[us]").astype(np.int64)
    np.maximum.at(latest, place, micros)
    return pd.DatetimeIndex(latest.astype("datetime64[us]"), tz="UTC")
