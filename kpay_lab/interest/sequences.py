"""Behaviour sequences B_i: what a user did in order, the sessions, and what followed what."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from kpay_lab.data.codes import factorize, find_positions, take_rows
from kpay_lab.stats import ratio


@dataclass(frozen=True)
class Sequences:
    """The events of every user in order of time, laid end to end.

    Document A, section 4.2: B_i is user i's sequence, b_j the behaviour at time t_j.

    Parameters
    ----------
    user, item : int array of shape (n_events,)
        Positions, sorted by user, then time, then file order.
    session : int array of shape (n_events,)
        Session number, counted over all users from 0.
    n_items : int
        Number of items, the side of the transition matrix.
    """

    user: np.ndarray
    item: np.ndarray
    session: np.ndarray
    n_items: int

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
        ones = np.ones(follows.sum())
        shape = (self.n_items, self.n_items)
        return coo_array((ones, cells), shape=shape).tocsr()  # equal cells add up


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
    >>> B.item, B.session
    (array([0, 1, 0]), array([0, 0, 1]))
    >>> B.transitions().toarray()
    array([[0., 1.],
           [0., 0.]])
    """
    if "timestamp" not in events:
        raise ValueError("behaviour sequences need a timestamp column in events; this log has none")
    timed = take_rows(events, events["timestamp"].notna())
    user = find_positions(timed["user_id"], users)
    item = find_positions(timed["item_id"], items)
    in_utc = timed["timestamp"].dt.tz_convert(None)
    times = in_utc.to_numpy(dtype="datetime64[us]")
    order = np.lexsort((times, user))
    user = user[order]
    if "session_id" in timed:
        session_codes, _ = factorize(timed["session_id"])
        session_ends = np.diff(session_codes[order]) != 0
    else:
        longest_pause = pd.Timedelta(minutes=gap_minutes).to_timedelta64()
        session_ends = np.diff(times[order]) > longest_pause
    is_next_user = np.diff(user) != 0
    is_new = session_ends | is_next_user
    session = np.append(0, np.cumsum(is_new))[: len(user)]  # none where there is no event
    return Sequences(user, item[order], session, len(items))


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
    one_hot = np.eye(len(names) + 1)[codes]
    membership = one_hot[:, :-1]  # without a group the code is -1, which is the last column
    steps = membership.T @ (transitions @ membership)
    n_steps_from = steps.sum(axis=1)
    busiest_first = np.argsort(-n_steps_from, kind="stable")
    chosen = np.sort(busiest_first[:most])
    steps = steps[np.ix_(chosen, chosen)]
    total = steps.sum(axis=1, keepdims=True)
    labels = list(names[chosen])
    return pd.DataFrame(ratio(steps, total), index=labels, columns=labels)
