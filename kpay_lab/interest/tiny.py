"""A world of 4 users and 5 items, small enough to compute by hand."""

import pandas as pd

from kpay_lab.data.tables import Tables

# user, item, minutes after the start, watch_time s, likes, comments
_LOG = (
    ("ann", "python", 0, 60.0, 1, 0),
    ("ann", "python", 10, 30.0, 0, 1),
    ("ann", "sql", 20, 30.0, 0, 0),
    ("bob", "python", 5, 120.0, 3, 1),
    ("bob", "chess", 300, 15.0, 0, 0),
    ("cai", "sql", 7, 60.0, 1, 0),
    ("cai", "chess", 12, 60.0, 0, 0),
)
_LENGTH = {"python": 100.0, "sql": 60.0, "chess": 60.0, "baking": 50.0, "tax": 80.0}


def tiny_world() -> Tables:
    """Return the hand-made tables: dan has done nothing, baking and tax were never seen.

    Watch time and duration in seconds. Python lasts 100 s, SQL and chess 60 s.

    >>> tables = tiny_world()
    >>> len(tables.ids("user_id")), len(tables.ids("item_id"))
    (4, 5)
    """
    names = ["user_id", "item_id", "minute", "watch_time", "like_count", "comment_count"]
    events = pd.DataFrame(_LOG, columns=names)
    start = pd.Timestamp("2024-03-01 20:00", tz="UTC")
    since_start = pd.to_timedelta(events.pop("minute"), unit="min")
    moments = start + since_start
    events.insert(2, "timestamp", moments.astype("datetime64[us, UTC]"))
    events["duration"] = events["item_id"].map(_LENGTH)
    counts = {"like_count": "Int64", "comment_count": "Int64"}
    items = pd.DataFrame(_LENGTH.items(), columns=["item_id", "duration"])
    users = pd.DataFrame({"user_id": ["ann", "bob", "cai", "dan"]})
    return Tables.validated(events=events.astype(counts), items=items, users=users)
