"""A live session minute by minute: who comes, who is there, what they do, what is sold."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.findings import Finding
from kpay_lab.live.sessions import LiveSessions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MINUTE = pd.Timedelta(minutes=1)
STARTED = "%Y-%m-%d %H:%M"
INTERACTIONS = ("likes", "comments", "shares", "questions", "gifts", "follows")


def concurrent(entered: np.ndarray, left: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Count who is there at each moment: +1 at every entry, −1 at every leaving, cumulated.

    Parameters
    ----------
    entered, left : float arrays of shape (n_visits,)
        Seconds; a visit is there from its entry on, and no longer at the moment it leaves.
    moments : float array of shape (n_moments,)

    Returns
    -------
    int array of shape (n_moments,)

    Examples
    --------
    >>> concurrent(np.array([0.0, 30.0]), np.array([90.0, 60.0]), np.array([0.0, 60.0, 120.0]))
    array([1, 1, 0])
    """
    n_entered = np.searchsorted(np.sort(entered), moments, side="right")
    n_left = np.searchsorted(np.sort(left), moments, side="right")
    return n_entered - n_left


@dataclass(frozen=True)
class Minutes:
    """The minutes of the live sessions of a log.

    Parameters
    ----------
    live : LiveSessions
    by_minute : DataFrame
        Index: session and minute, from 0. ``entries`` are visits that begin in the minute;
        ``viewers`` those that are there as it begins, ``viewer_seconds`` the seconds that all
        visits together last within it (both missing where nobody logged how long a visit was);
        ``leaves`` visits that end in it by choice; ``people`` the different people who are there
        at any moment of it; then likes, comments, shares, questions, gifts, follows, ``orders``,
        and ``offers``, the times that something was offered for sale.
    """

    live: LiveSessions
    by_minute: pd.DataFrame

    def of(self, session: str) -> pd.DataFrame:
        """Return the minutes of one session; index: the minute."""
        return self.by_minute.loc[session]

    def hidden(self, session: str, *, minimum: int) -> pd.DataFrame:
        """Return the minutes of one session without the figures of those with few people in it.

        The minutes of a session are no parts of one total, for a person is in many of them: each
        is hidden for itself. What fewer than ``minimum`` people did in the whole session, such as
        buying, is hidden in all of them.
        """
        alone = self.of(session).reset_index()
        hidden = suppress_small_groups(alone, "people", minimum, within="minute")
        of_few = self._done_by_few(session, minimum)
        hidden[of_few] = pd.NA
        return hidden.drop(columns="suppressed").set_index("minute")

    def _done_by_few(self, session: str, minimum: int) -> list[str]:
        """Return what somebody, but fewer than ``minimum`` people, did in a session."""
        orders = self.live.orders.assign(action="orders")
        done = pd.concat([self.live.actions, orders])
        of_session = done[done["session"] == session]
        n_people = of_session.groupby("action")["user_id"].nunique()
        return [str(name) for name in n_people.index[n_people < minimum]]

    def table(self, *, time_zone: str = "UTC") -> pd.DataFrame:
        """Return one row a session: how many came and stayed, what they did and bought.

        Returns
        -------
        DataFrame
            ``title`` and ``host`` as far as they are known, ``started`` (in the time zone),
            ``minutes`` that it took, ``visits``, ``people``, ``mean_viewers`` and ``peak_viewers``
            (by minute, NaN where no stay is known), the ``mean_stay`` of a visit in seconds,
            ``interactions``, ``gift_amount``, ``orders``, ``buyers``, and ``gmv`` (NaN where no
            amount is known).
        """
        visits = self.live.visits.groupby("session")
        minutes = self.by_minute.groupby("session", sort=False)
        orders = self.live.orders.groupby("session")
        actions = self.live.actions
        is_interaction = actions["action"].isin(INTERACTIONS)
        counted = actions[is_interaction].groupby("session")["n"]
        given = actions.groupby("session")["amount"]
        viewers = minutes["viewers"]
        sessions = self.live.sessions
        table = sessions[[name for name in ("title", "host") if name in sessions]].copy()
        table["started"] = sessions["started_at"].dt.tz_convert(time_zone).dt.strftime(STARTED)
        table["minutes"] = minutes.size()
        table["visits"] = visits.size()
        table["people"] = visits["user_id"].nunique()
        table["mean_viewers"] = viewers.mean()
        table["peak_viewers"] = viewers.max()
        table["mean_stay"] = visits["stay"].mean()
        table["interactions"] = counted.sum()
        table["gift_amount"] = given.sum()
        table["orders"] = orders.size()
        table["buyers"] = orders["user_id"].nunique()
        table["gmv"] = orders["amount"].sum(min_count=1)
        counts = ["minutes", "visits", "people", "interactions", "orders", "buyers"]
        table[counts] = table[counts].fillna(0).astype("int64")
        table["gift_amount"] = table["gift_amount"].fillna(0.0)
        return table.rename_axis("session")

    def hidden_table(self, *, minimum: int, time_zone: str = "UTC") -> pd.DataFrame:
        """Return `table` without the figures of few people, and without the money of few buyers.

        Sessions are no parts of one total: a person is in many of them.
        """
        table = self.table(time_zone=time_zone).reset_index()
        figures = ["visits", "people", "mean_viewers", "peak_viewers", "mean_stay"]
        figures += ["interactions", "gift_amount", "orders", "buyers", "gmv"]
        hidden = suppress_small_groups(table, "people", minimum, within="session", hide=figures)
        is_seen = hidden["buyers"].notna()
        sold = ["orders", "buyers", "gmv"]
        seen = hidden[is_seen]
        of_few = suppress_small_groups(seen, "buyers", minimum, within="session", hide=sold)
        hidden[sold] = of_few[sold].reindex(hidden.index)
        return hidden.drop(columns="suppressed").set_index("session")

    def findings(self, session: str, *, minimum: int) -> list[Finding]:
        """Return how many came to a session and how many were there at once; of few people nothing.

        Parameters
        ----------
        minimum : int
            The fewest people of whom a figure may be told.
        """
        row = self.table().loc[session]
        if row["people"] < minimum or np.isnan(row["mean_viewers"]):
            return []
        viewers = self.of(session)["viewers"].to_numpy()
        values: dict[str, Any] = {"session": str(self.live.names()[session])}
        values["mean"] = row["mean_viewers"]
        values["minute"] = int(viewers.argmax())
        for name in ("people", "visits", "orders"):
            values[name] = int(row[name])
        if 0 < row["buyers"] < minimum:
            values["orders"] = None
        values["peak"] = int(row["peak_viewers"])
        return [Finding("live/audience", "plain", values, place="minutes")]

    def plot(self, session: str, *, minimum: int = 1) -> "Figure":
        """Draw a session: who is there, who comes and leaves, what they do; offers as lines."""
        from kpay_lab.plots import plot_timeline_panels  # here, for matplotlib is slow to import

        minutes = self.hidden(session, minimum=minimum).astype("Float64").astype(float)
        interactions = [name for name in INTERACTIONS if name in minutes]
        columns_of = {
            "People there as the minute begins": ["viewers"],
            "Visits that begin and end": ["entries", "leaves"],
            "What they do": interactions,
            "Orders": ["orders"],
        }
        drawn = {}
        for title, columns in columns_of.items():
            panel = minutes[columns]
            if panel.max().max() > 0:
                drawn[title] = panel
        marks = minutes.index[minutes["offers"] > 0]
        return plot_timeline_panels(drawn, marks=marks, mark="offer", xlabel="minute")


def session_minutes(live: LiveSessions, offers: pd.DataFrame | None = None) -> Minutes:
    """Divide the live sessions of a log into minutes.

    Parameters
    ----------
    live : LiveSessions
    offers : DataFrame, optional
        From `offers.offers_shown`: ``session, moment`` of each offer.
    """
    index = _minutes_of(live.sessions)
    visits = _with_seconds(live.visits, live.sessions, "entered_at", "left_at")
    is_left = ~live.visits["is_cut"] & live.visits["left_at"].notna()
    columns = {}
    columns["entries"] = _count(live.visits, live.sessions, "entered_at")
    columns["leaves"] = _count(live.visits[is_left], live.sessions, "left_at")
    columns["people"] = _people(visits)
    for action, done in live.actions.groupby("action", sort=False):
        columns[str(action)] = _count(done, live.sessions, "moment", weight="n")
    columns["orders"] = _count(live.orders, live.sessions, "moment")
    if offers is not None:
        columns["offers"] = _count(offers, live.sessions, "moment")
    counts = pd.DataFrame(columns).reindex(index).fillna(0).astype("int64")
    counts["offers"] = counts.get("offers", 0)
    knows_stays = visits["left"].notna().any()
    presence = _presence(visits, index) if knows_stays else np.full((len(index), 2), np.nan)
    counts.insert(1, "viewers", presence[:, 0])
    counts.insert(2, "viewer_seconds", presence[:, 1])
    done = [name for name in INTERACTIONS if name in counts]
    first = ["entries", "viewers", "viewer_seconds", "leaves", "people"]
    return Minutes(live, counts[[*first, *done, "orders", "offers"]])


def _minutes_of(sessions: pd.DataFrame) -> pd.MultiIndex:
    """Return every minute of every session, the last of which may be cut."""
    length = sessions["ended_at"] - sessions["started_at"]
    n_minutes = np.ceil(length / MINUTE).astype(int)
    session = sessions.index.repeat(n_minutes)
    minute = pd.Series(0, session).groupby(level=0, sort=False).cumcount()
    return pd.MultiIndex.from_arrays([session, minute], names=["session", "minute"])


def _with_seconds(
    rows: pd.DataFrame, sessions: pd.DataFrame, first: str, second: str
) -> pd.DataFrame:
    """Return rows with two of their times in seconds since the start of the session."""
    start = rows["session"].map(sessions["started_at"])
    entered = (rows[first] - start) / pd.Timedelta(seconds=1)
    left = (rows[second] - start) / pd.Timedelta(seconds=1)
    return rows[["session", "user_id"]].assign(entered=entered, left=left)


def _count(rows: pd.DataFrame, sessions: pd.DataFrame, time: str, *, weight: str = "") -> pd.Series:
    """Add up rows, or a column of them, by the session and the minute of a time."""
    since_start = rows[time] - rows["session"].map(sessions["started_at"])
    minute = (since_start // MINUTE).rename("minute")
    amount = rows[weight] if weight else pd.Series(1, rows.index)
    return amount.groupby([rows["session"], minute]).sum()


def _people(visits: pd.DataFrame) -> pd.Series:
    """Count the different people who are there at any moment of each minute."""
    first_minute = visits["entered"] // 60
    last_minute = np.ceil(visits["left"] / 60) - 1  # who leaves as a minute begins is not in it
    last_minute = last_minute.fillna(first_minute).clip(lower=first_minute)
    n_minutes = (last_minute - first_minute + 1).astype(int)
    there = visits[["session", "user_id"]].assign(minute=first_minute.astype(int))
    there = there.loc[there.index.repeat(n_minutes)]
    there["minute"] += there.groupby(level=0).cumcount()
    return there.groupby(["session", "minute"])["user_id"].nunique()


def _presence(visits: pd.DataFrame, index: pd.MultiIndex) -> np.ndarray:
    """Return who is there as each minute begins, and the seconds that visits last within it."""
    presence = np.zeros((len(index), 2))
    known = visits.dropna(subset="left")
    of_session = {str(name): group for name, group in known.groupby("session")}
    session_of_row = index.get_level_values("session")
    for session in session_of_row.unique():
        if session not in of_session:
            continue
        rows = np.flatnonzero(session_of_row == session)
        entered = of_session[session]["entered"].to_numpy()
        left = of_session[session]["left"].to_numpy()
        bounds = 60.0 * np.arange(len(rows) + 1)
        presence[rows, 0] = concurrent(entered, left, bounds[:-1])
        presence[rows, 1] = np.diff(_seconds_until(entered, left, bounds))
    return presence


def _seconds_until(entered: np.ndarray, left: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Add up how long all visits had lasted by each moment."""
    return _waited(entered, moments) - _waited(left, moments)


def _waited(times: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Add up max(moment − time, 0) over all times, for each moment."""
    rising = np.sort(times)
    n_earlier = np.searchsorted(rising, moments)
    sum_of_earlier = np.append(0.0, np.cumsum(rising))[n_earlier]
    return n_earlier * moments - sum_of_earlier
