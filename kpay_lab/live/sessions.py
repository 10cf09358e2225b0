"""The live sessions of a log, the visits to them, and what was done and ordered in them."""

from dataclasses import dataclass

import pandas as pd

from kpay_lab.data.derived import main_label
from kpay_lab.data.tables import Tables, TooLittleError

COUNTED = {
    "like_count": "likes",
    "comment_count": "comments",
    "share_count": "shares",
    "question_count": "questions",
}
NO_SOURCE = "nothing known"
DESCRIBED = ("title", "host", "category", "promotes")


@dataclass(frozen=True)
class LiveSessions:
    """What happened in the live sessions of a log, while they were live.

    Parameters
    ----------
    sessions : DataFrame
        Index: the ids, in order of their starts. ``started_at, ended_at`` and, as far as the
        catalogue tells them, ``title, host, category, promotes``. The end of a session that names
        none after its start is the last moment at which anybody is known to be in it. Sessions
        that nobody is seen to enter, such as those before the log begins, are left out.
    visits : DataFrame
        One row a visit, in order of entry: ``session, user_id, entered_at, left_at``, ``stay``
        in seconds, and ``is_cut``: the visit was cut off by the end of the session or of the log,
        so that the person would have stayed for ``stay`` or longer. ``left_at`` and ``stay`` are
        missing where nobody logged how long the visit was. ``source`` is the kind of item that led
        here, where the log has a column for it.
    actions : DataFrame
        One row a kind of thing that a person did: ``session, user_id, moment, action`` (likes,
        comments, shares, questions, gifts, follows), ``n`` of them, and the ``amount`` of gifts.
    orders : DataFrame
        One row an order that is credited to a session and was made while it was live: ``session,
        user_id, moment, item_id, amount``. What a recording sells is no order of the session.
    n_outside : int
        Events with a session that lie before its start or after its end, such as a recording that
        was watched; they are left out.
    """

    sessions: pd.DataFrame
    visits: pd.DataFrame
    actions: pd.DataFrame
    orders: pd.DataFrame
    n_outside: int

    def names(self) -> pd.Series:
        """Return what to call each session on a page: its title, else its id."""
        ids = pd.Series(self.sessions.index, self.sessions.index)
        if "title" not in self.sessions:
            return ids
        return self.sessions["title"].fillna(ids)

    def people_acting(self) -> pd.DataFrame:
        """Return how many people did each kind of thing, and how often.

        Returns
        -------
        DataFrame
            One row an action: ``action``, ``times``, different ``people`` and the
            ``share_of_people`` among all who entered a session.
        """
        by_action = self.actions.groupby("action", sort=False)
        table = by_action["n"].sum().astype("int64").rename("times").reset_index()
        table["people"] = by_action["user_id"].nunique().to_numpy()
        n_people = self.visits["user_id"].nunique()
        table["share_of_people"] = table["people"] / max(n_people, 1)
        return table

    def choose(self, session: str = "") -> str:
        """Return the id of a session, by default of the one that the most people entered.

        Raises
        ------
        ValueError
            If the log has no such session, or nobody entered it while it was live.
        """
        if session and session not in self.sessions.index:
            some = ", ".join(self.sessions.index[:5])
            raise ValueError(f"nobody entered a session {session!r} while it was live; try {some}")
        people = self.visits.groupby("session")["user_id"].nunique()
        return session or str(people.reindex(self.sessions.index).idxmax())


def live_sessions(tables: Tables, credited: pd.Series | None = None) -> LiveSessions:
    """Find the sessions of a log, and what happened in each while it was live.

    A session is an item with a time at which it started. A visit is an event with it that says
    how long it was, or that says of nothing done: a row that holds a comment or a like alone is
    an action, and no entry.

    Parameters
    ----------
    tables : Tables
    credited : Series, optional
        The item that each order is credited to, with the labels of the orders
        (`business.attribution.Attribution.credited`); without it no order belongs to a session.

    Raises
    ------
    TooLittleError
        If no item has a start, the events have no times, or none lies in a session.

    Examples
    --------
    >>> def at(*texts):
    ...     return pd.to_datetime(list(texts), utc=True).astype("datetime64[us, UTC]")
    >>> items = pd.DataFrame({"item_id": ["evening"], "started_at": at("2026-01-05 20:00")})
    >>> items["ended_at"] = at("2026-01-05 21:00")
    >>> events = pd.DataFrame({"user_id": ["u", "v"], "item_id": "evening"})
    >>> events["timestamp"] = at("2026-01-05 20:10", "2026-01-05 20:50")
    >>> live = live_sessions(Tables(events.assign(watch_time=[90.0, 900.0]), items))
    >>> live.visits[["user_id", "stay", "is_cut"]].to_numpy().tolist()
    [['u', 90.0, False], ['v', 600.0, True]]
    """
    sessions = _sessions(tables)
    events = _events_of(tables, sessions.index)
    sessions["ended_at"] = _ends(sessions, events)
    start = events["session"].map(sessions["started_at"])
    end = events["session"].map(sessions["ended_at"])
    is_live = events["timestamp"].between(start, end, inclusive="left")
    inside = events[is_live]
    if inside.empty:
        raise TooLittleError("no event lies between the start and the end of its live session")
    visits = _visits(inside, sessions, _log_end(tables, events))
    sessions = sessions[sessions.index.isin(visits["session"])]
    actions = [*_actions(inside), *_follows(tables, sessions)]
    return LiveSessions(
        sessions=sessions,
        visits=visits,
        actions=pd.concat(actions, ignore_index=True),
        orders=_orders(tables, sessions, credited),
        n_outside=len(events) - len(inside),
    )


def _sessions(tables: Tables) -> pd.DataFrame:
    items = pd.DataFrame({"item_id": []}) if tables.items is None else tables.items
    started = items[items.reindex(columns=["started_at"])["started_at"].notna()]
    if started.empty:
        raise TooLittleError(
            "no item says when it was live; it would take the column started_at (and ended_at) "
            "in the table items, one row a live session"
        )
    if "timestamp" not in tables.events:
        raise TooLittleError("the events bear no times, so nothing is known to happen in a session")
    started = started.set_index("item_id")
    described = [name for name in DESCRIBED if name in started]
    times = started.reindex(columns=["started_at", "ended_at"])
    times["ended_at"] = times["ended_at"].astype("datetime64[us, UTC]")
    sessions = times.join(started[described])
    if "category" in sessions:
        sessions["category"] = main_label(sessions["category"])
    return sessions.sort_values("started_at", kind="stable").rename_axis("session")


def _events_of(tables: Tables, sessions: pd.Index) -> pd.DataFrame:
    """Return the events with a session, in order of time, with the columns that this room needs."""
    events = tables.timed().events
    of_sessions = events[events["item_id"].isin(sessions)].rename(columns={"item_id": "session"})
    ordered = of_sessions.sort_values("timestamp", kind="stable", ignore_index=True)
    if "source_item_id" in ordered and tables.items is not None and "kind" in tables.items:
        kind_of_item = tables.items.set_index("item_id")["kind"]
        ordered["source"] = ordered["source_item_id"].map(kind_of_item).fillna(NO_SOURCE)
    return ordered


def _ends(sessions: pd.DataFrame, events: pd.DataFrame) -> pd.Series:
    """Return the end of each session; of one that names none the last moment anybody is in it."""
    last_seen = _left_at(events).fillna(events["timestamp"])
    last_moment = last_seen.groupby(events["session"]).max()
    just_after = last_moment + pd.Timedelta(seconds=1)
    is_an_end = sessions["ended_at"] > sessions["started_at"]
    return sessions["ended_at"].where(is_an_end, just_after.reindex(sessions.index))


def _log_end(tables: Tables, events: pd.DataFrame) -> pd.Timestamp:
    """Return the last moment of which the log knows anything: whoever is there then may stay on."""
    last_event = tables.timed().events["timestamp"].max()
    last_left = _left_at(events).max()
    return last_event if pd.isna(last_left) else max(last_event, last_left)


def _left_at(events: pd.DataFrame) -> pd.Series:
    seconds = events.reindex(columns=["watch_time"])["watch_time"].astype(float)
    return events["timestamp"] + pd.to_timedelta(seconds, unit="s").astype("timedelta64[us]")


def _visits(events: pd.DataFrame, sessions: pd.DataFrame, log_end: pd.Timestamp) -> pd.DataFrame:
    left_at = _left_at(events)
    did_something = _amounts(events).gt(0).any(axis=1)
    is_visit = left_at.notna() | ~did_something
    entered = events.loc[is_visit, ["session", "user_id", "timestamp"]]
    visits = entered.rename(columns={"timestamp": "entered_at"})
    left_at = left_at[is_visit]
    end_of_session = visits["session"].map(sessions["ended_at"])
    last_seen = end_of_session.clip(upper=log_end)
    visits["is_cut"] = left_at >= last_seen
    visits["left_at"] = left_at.mask(visits["is_cut"], last_seen)
    visits["stay"] = (visits["left_at"] - visits["entered_at"]) / pd.Timedelta(seconds=1)
    if "source" in events:
        visits["source"] = events.loc[is_visit, "source"]
    return visits.reset_index(drop=True)


def _amounts(events: pd.DataFrame) -> pd.DataFrame:
    """Return how much of each thing was done in each row; 0 where it is missing."""
    amounts = events.reindex(columns=[*COUNTED, "gift_amount"]).astype(float)
    return amounts.fillna(0.0)


def _actions(events: pd.DataFrame) -> list[pd.DataFrame]:
    """Return one row an event and a kind of thing that was done in it, a frame a kind."""
    amounts = _amounts(events)
    counts = amounts.rename(columns=COUNTED)
    counts["gifts"] = (counts.pop("gift_amount") > 0).astype(float)
    parts = []
    for action, count in counts.items():
        done = count > 0
        part = events.loc[done, ["session", "user_id"]]
        part["moment"] = events.loc[done, "timestamp"]
        part["action"] = action
        part["n"] = count[done]
        part["amount"] = amounts.loc[done, "gift_amount"] if action == "gifts" else 0.0
        parts.append(part)
    return parts


def _follows(tables: Tables, sessions: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the follows of a host while a session of the host ran, if the log has any."""
    follows = tables.follows
    if follows is None or "host" not in sessions or "timestamp" not in follows:
        return []
    times = sessions.reset_index()[["session", "host", "started_at", "ended_at"]]
    dated = follows[follows["timestamp"].notna()].rename(columns={"timestamp": "moment"})
    met = dated.merge(times, on="host")
    is_inside = met["moment"].between(met["started_at"], met["ended_at"], inclusive="left")
    inside = met[is_inside].drop_duplicates(["user_id", "host", "moment"])
    of_session = inside[["session", "user_id", "moment"]]
    return [of_session.assign(action="follows", n=1.0, amount=0.0)]


def _orders(tables: Tables, sessions: pd.DataFrame, credited: pd.Series | None) -> pd.DataFrame:
    """Return the orders that are credited to a session and were made while it was live."""
    if tables.orders is None or credited is None:
        empty = {name: pd.Series(dtype="str") for name in ("session", "user_id", "item_id")}
        moment = pd.Series(dtype="datetime64[us, UTC]")
        return pd.DataFrame(empty).assign(moment=moment, amount=pd.Series(dtype=float))
    is_of_session = credited.isin(sessions.index)
    orders = tables.orders.loc[credited.index[is_of_session]]
    found = orders.reindex(columns=["user_id", "item_id", "amount"])
    found["amount"] = found["amount"].astype(float)
    found["session"] = credited[is_of_session]
    found["moment"] = orders["timestamp"]
    start = found["session"].map(sessions["started_at"])
    end = found["session"].map(sessions["ended_at"])
    while_live = found[found["moment"].between(start, end, inclusive="left")]
    return while_live.sort_values("moment", kind="stable", ignore_index=True)
