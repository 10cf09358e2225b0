"""Behaviour sequences B_i: what a user did in order, the sessions, and what followed what."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array


@dataclass(frozen=True)
class Sequences:
    """The events of every user in order of time, laid end to end.

    Document A, section 4.2: B_i is user i's sequence, b_j the behaviour at time t_j.

    Parameters
    ----------
    user, item : int array of shape (n_events,)
        Positions, sorted by user, then time, then file order.
    timestamp : Series of length n_events
        UTC times, non-decreasing within a user.
    session : int array of shape (n_events,)
        Session number, counted over all users from 0.
    n_items : int
        Number of items, the side of the transition matrix.
    """

    user: np.ndarray
    item: np.ndarray
    session: np.ndarray
    n_items: int

    def of_user(self, user: int) -> np.ndarray:
        """Return B_i as item positions in order of time."""
        first, last = np.searchsorted(self.user, [user, user + 1])
        return self.item[first:last]

    def transitions(self, *, within_session: bool = True) -> csr_array:
        """Count how often one item directly followed another.

        Parameters
        ----------
        within_session : bool
            Only count pairs of the same session; otherwise of the same user.

        Returns
        -------
        csr_array of shape (n_items, n_items)
            Row: the item left; column: the item that came next. Staying on an item is
            not counted.
        """
        group = self.session if within_session else self.user
        item_left = self.item[:-1]
        item_next = self.item[1:]
        same_group = group[1:] == group[:-1]
        follows = same_group & (item_next != item_left)
        cells = (item_left[follows], item_next[follows])
        counts = np.ones(follows.sum())
        return coo_array((counts, cells), shape=(self.n_items, self.n_items)).tocsr()


def behaviour_sequences(
    events: pd.DataFrame, users: pd.Index, items: pd.Index, *, gap_minutes: float = 30.0
) -> Sequences:
    """Order the events of every user and cut them into sessions.

    A session ends where the next event begins more than ``gap_minutes`` later. A
    ``session_id`` column, where there is one, decides instead. Events without a time are
    left out.

    Parameters
    ----------
    events : DataFrame, validated
    users, items : pandas.Index
        Every id, in order.
    gap_minutes : float
        Pause that ends a session.

    Raises
    ------
    ValueError
        If the events have no timestamps: without times there is no order.

    Examples
    --------
    >>> times = pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02"],
    ...                        format="ISO8601", utc=True)
    >>> log = pd.DataFrame({"user_id": "u", "item_id": ["a", "b", "a"], "timestamp": times})
    >>> B = behaviour_sequences(log, pd.Index(["u"]), pd.Index(["a", "b"]))
    >>> B.of_user(0), B.session
    (array([0, 1, 0]), array([0, 0, 1]))
    >>> B.transitions().toarray()
    array([[0., 1.],
           [0., 0.]])
    """
    if "timestamp" not in events:
        raise ValueError("behaviour sequences need a timestamp column in events; this log has none")
    timed = events[events["timestamp"].notna()]
    user = users.get_indexer(timed["user_id"])
    item = items.get_indexer(timed["item_id"])
    times = timed["timestamp"].dt.tz_convert(None).to_numpy(dtype="datetime64[us]")
    order = np.lexsort((times, user))
    user = user[order]
    item = item[order]
    if "session_id" in timed:
        session_codes, _ = pd.factorize(timed["session_id"])
        session_ends = np.diff(session_codes[order]) != 0
    else:
        longest_pause = pd.Timedelta(minutes=gap_minutes).to_timedelta64()
        session_ends = np.diff(times[order]) > longest_pause
    is_new = session_ends | (np.diff(user) != 0)
    session = np.cumsum(np.append(0, is_new))[: len(user)]
    return Sequences(user, item, session, len(items))


def group_transitions(transitions: csr_array, groups: pd.Series, *, most: int = 10) -> pd.DataFrame:
    """Add transitions up by groups of items and give each row as shares.

    Parameters
    ----------
    transitions : csr_array of shape (n_items, n_items)
    groups : Series of length n_items
        Group of each item, in the order of the matrix; missing ones are left out.
    most : int
        Keep the groups with the most steps.

    Returns
    -------
    DataFrame
        Rows the group left, columns the next one; rows sum to 1 over the groups kept.

    Examples
    --------
    >>> steps = csr_array(np.array([[0, 3, 1], [0, 0, 0], [4, 0, 0]]))
    >>> group_transitions(steps, pd.Series(["x", "x", "y"]))
          x     y
    x  0.75  0.25
    y  1.00  0.00
    """
    codes, names = pd.factorize(groups)
    membership = np.eye(len(names) + 1)[codes, :-1]  # without a group, code -1: a row of zeros
    steps = membership.T @ (transitions @ membership)
    busiest_first = np.argsort(-steps.sum(axis=1), kind="stable")
    chosen = np.sort(busiest_first[:most])
    steps = steps[np.ix_(chosen, chosen)]
    total = steps.sum(axis=1, keepdims=True)
    shares = np.divide(steps, total, out=np.zeros_like(steps), where=total > 0)
    labels = list(names[chosen])
    return pd.DataFrame(shares, index=labels, columns=labels)
