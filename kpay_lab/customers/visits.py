"""From when on it is known what somebody did in a live session: from the end of the visit on.

The row of a visit tells how long it was, which nobody knows while it lasts; and a gift or a follow
in it may be a part of the purchase that ends it.
"""

from dataclasses import replace

import pandas as pd

from kpay_lab.data.codes import look_up, take_rows
from kpay_lab.data.tables import Tables

ACTS = ["like_count", "comment_count", "share_count", "question_count", "gift_amount"]


def known_from(log: pd.DataFrame, tables: Tables) -> pd.Series:
    """Return from when on each event or follow is known.

    An event with a live session, and any follow, is known from the end of the visit that it falls
    into; everything else from its own time. A visit lasts from the time of its event until its
    watch time is over; where nobody logged how long it was, and nothing was done, until the end
    of the session. Visits of a person that overlap are one.

    Parameters
    ----------
    log : DataFrame
        The events or the follows of the tables, with their times.
    tables : Tables

    Returns
    -------
    Series of datetime64[us, UTC], with the labels of the log

    Examples
    --------
    >>> times = pd.to_datetime(["2026-01-05 20:00", "2026-01-05 20:10"], utc=True)
    >>> times = times.astype("datetime64[us, UTC]")
    >>> items = pd.DataFrame({"item_id": ["evening"], "started_at": times[:1]})
    >>> events = pd.DataFrame({"user_id": "u", "item_id": "evening", "timestamp": times})
    >>> events["watch_time"] = [3600.0, None]
    >>> events["gift_amount"] = [None, 9.0]
    >>> known_from(events, Tables(events, items)).dt.strftime("%H:%M").tolist()
    ['21:00', '21:00']
    """
    visits = _joined(_visits(tables))
    done = log[["user_id", "timestamp"]].reset_index(drop=True)
    if "item_id" in log:
        done = done[log["item_id"].isin(_live(tables).index).to_numpy()]
    if visits.empty or done.empty:
        return log["timestamp"]
    in_order = done.rename_axis("row").reset_index().sort_values("timestamp", kind="stable")
    met = pd.merge_asof(
        in_order, visits, left_on="timestamp", right_on="entered_at", by="user_id"
    ).set_index("row")
    known = log["timestamp"].reset_index(drop=True)
    inside = met.loc[met["timestamp"] <= met["left_at"], "left_at"]
    known[inside.index] = inside
    return known.set_axis(log.index)


def before_visits(tables: Tables, moment: pd.Timestamp) -> Tables:
    """Return the tables without the events and follows that are not known yet at a moment."""
    kept = {}
    for name in ("events", "follows"):
        frame = getattr(tables, name)
        if frame is not None and "timestamp" in frame:
            kept[name] = take_rows(frame, known_from(frame, tables) < moment)
    return replace(tables, **kept)


def _live(tables: Tables) -> pd.DataFrame:
    """Return the items that were live, by their ids."""
    items = tables.items
    if items is None or "started_at" not in items:
        return pd.DataFrame(index=pd.Index([], dtype="str"))
    return items[items["started_at"].notna()].set_index("item_id")


def _visits(tables: Tables) -> pd.DataFrame:
    """Return ``user_id, entered_at, left_at`` of the visits of live items, recordings too."""
    live = _live(tables)
    events = tables.events
    of_live = take_rows(events, events["item_id"].isin(live.index))
    entered_at = of_live["timestamp"]
    seconds = of_live.reindex(columns=["watch_time"])["watch_time"].astype(float)
    left_at = entered_at + pd.to_timedelta(seconds, unit="s").astype("timedelta64[us]")
    did_something = of_live.reindex(columns=ACTS).astype(float).gt(0).any(axis=1)
    if "ended_at" in live:
        end = look_up(of_live["item_id"], live["ended_at"])
        is_open = left_at.isna() & ~did_something & (end > entered_at)
        left_at = left_at.mask(is_open, end)
    visits = of_live[["user_id"]].assign(entered_at=entered_at, left_at=left_at)
    return visits.dropna()


def _joined(visits: pd.DataFrame) -> pd.DataFrame:
    """Make one of the visits of a person that overlap; in order of entry."""
    in_order = visits.sort_values(["user_id", "entered_at"], kind="stable", ignore_index=True)
    last_left = in_order.groupby("user_id")["left_at"].cummax()
    left_before = last_left.groupby(in_order["user_id"]).shift()
    goes_on = in_order["entered_at"] <= left_before
    number = (~goes_on).cumsum()
    by_visit = in_order.groupby(number)
    joined = by_visit.agg(user_id=("user_id", "first"), entered_at=("entered_at", "first"))
    joined["left_at"] = by_visit["left_at"].max()
    return joined.sort_values("entered_at", kind="stable", ignore_index=True)
