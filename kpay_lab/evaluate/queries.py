"""Which items are ranked for each query, that is, for a user at a moment.

Each user asks once. What is ranked for them is either the same for everybody (every item that may
be recommended) or depends on the query: what they were shown after the cut, what they met there,
or what was live when they came. In the second case the candidates are a matrix with a row a user
and a stored value for each candidate of theirs.

Candidates that depend on the query are taken as the log has them, and are not withheld where
the user had met them in training. That is the field's practice where every candidate has a
label (Marlin & Zemel 2009 and Schnabel et al. 2016 on ratings of items drawn at random; the
mode *labeled* of RecBole, Zhao et al. 2022): the question is in which order this user takes
what lies on the table, and the platform has put it there whether it was new to them or not.
Where all items are candidates the question is what to show next, and what was met is withheld.

Live sessions exist only while they run. A user who asks for one asks at the moment at which they
first entered one after the cut, and what ran then is what they could choose from. Most of it
began after the cut, so nobody had met it in training: such items are candidates all the same.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.codes import take_rows
from kpay_lab.data.tables import Tables

CANDIDATES = ("all", "exposed", "rated", "live")
USERS_AT_ONCE = 1024  # whose moments are held against the times of all sessions

# Why nothing can be told from a user's candidates.
WITHOUT_CHOICE = {
    "one_candidate": "users left out, because they have a single candidate",
    "none_relevant": "users left out, because none of their candidates is relevant",
    "all_relevant": "users left out, because all of their candidates are relevant",
}


def needs_a_cut(relevant: str, candidates: str) -> bool:
    """Return whether a question can only be asked after a moment in time.

    Orders, exposures and live sessions belong to the test part by their time alone.
    """
    return relevant == "purchase" or candidates in ("exposed", "live")


def check_question(relevant: str, candidates: str) -> None:
    """Refuse candidates among which nothing is irrelevant.

    Raises
    ------
    ValueError
        If all that was met counts as relevant, and only what was met is ranked.
    """
    if candidates == "rated" and relevant == "any":
        raise ValueError(
            "candidates='rated' needs relevant='interest' or relevant='purchase': with "
            "relevant='any' every candidate is relevant, and there is nothing to order"
        )


def offered_pairs(
    candidates: str, tables: Tables, test_events: pd.DataFrame, cut: pd.Timestamp | None
) -> pd.DataFrame | None:
    """Return ``user_id, item_id`` of what each user may choose from in the test part.

    Parameters
    ----------
    candidates : {"all", "exposed", "rated", "live"}
        What was shown to the user after the cut; what the user met in the test part; or what was
        live when the user first entered a live session there. With ``all`` nothing depends on
        the user, and the answer is None.
    test_events : DataFrame
        The events held back.
    cut : Timestamp or None
        The moment between the two parts, where there is one.

    Raises
    ------
    ValueError
        If it is not known what was shown after the cut, or what was live when.
    """
    if candidates == "all":
        return None
    if candidates == "rated":
        return test_events[["user_id", "item_id"]]
    if candidates == "live":
        return live_pairs(tables, test_events, cut)
    exposures = tables.exposures
    if exposures is None or "timestamp" not in exposures or cut is None:
        raise ValueError(
            "candidates='exposed' needs an exposures table with times, and how='time': what was "
            "shown in the test part is what was shown after the cut"
        )
    is_later = exposures["timestamp"] >= cut
    shown = exposures[["user_id", "item_id"]]
    return take_rows(shown, is_later)


def live_pairs(tables: Tables, test_events: pd.DataFrame, cut: pd.Timestamp | None) -> pd.DataFrame:
    """Return ``user_id, item_id`` of what was live when each user first entered a live session.

    An item is live from its ``started_at`` until just before its ``ended_at``; one that lacks
    either is never known to be live. Users without an event in a session that was live then have
    no row.

    Raises
    ------
    ValueError
        If no item says when it was live, or there is no moment between the two parts.

    Examples
    --------
    >>> def at(*hours):
    ...     return pd.to_datetime([f"2026-01-05 {hour}" for hour in hours], utc=True)
    >>> items = pd.DataFrame({"item_id": ["early", "late"], "started_at": at("19:00", "20:00")})
    >>> items["ended_at"] = at("20:30", "22:00")
    >>> events = pd.DataFrame({"user_id": ["u", "v"], "item_id": "late"})
    >>> events["timestamp"] = at("20:10", "21:00")
    >>> pairs = live_pairs(Tables(events, items), events, pd.Timestamp("2026-01-05", tz="UTC"))
    >>> pairs.to_numpy().tolist()
    [['u', 'early'], ['u', 'late'], ['v', 'late']]
    """
    items = pd.DataFrame() if tables.items is None else tables.items
    has_times = {"started_at", "ended_at"} <= set(items)
    if cut is None or not has_times:
        raise ValueError(
            "candidates='live' needs items with started_at and ended_at, and how='time': what "
            "can be chosen in the test part is what was live when the user came"
        )
    sessions = items.set_index("item_id")
    times = sessions[["started_at", "ended_at"]].dropna()
    visits = test_events.join(times, on="item_id", how="inner")
    has_begun = visits["timestamp"] >= visits["started_at"]
    goes_on = visits["timestamp"] < visits["ended_at"]
    live_visits = visits[has_begun & goes_on]
    by_user = live_visits.groupby("user_id", sort=False)
    moment_of_user = by_user["timestamp"].min()
    start = times["started_at"].to_numpy()
    end = times["ended_at"].to_numpy()
    parts = [pd.DataFrame({"user_id": [], "item_id": []}, dtype="str")]
    for first in range(0, len(moment_of_user), USERS_AT_ONCE):
        asking = moment_of_user.iloc[first : first + USERS_AT_ONCE]
        moments = asking.to_numpy()[:, np.newaxis]
        runs_then = (start <= moments) & (moments < end)
        user, item = np.nonzero(runs_then)
        part = {"user_id": asking.index[user], "item_id": times.index[item]}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def kinds_of_sessions(tables: Tables) -> list[str]:
    """Return the kinds of the items that are live at some time; none where kinds are not known."""
    items = pd.DataFrame() if tables.items is None else tables.items
    has_kinds = {"kind", "started_at"} <= set(items)
    if not has_kinds:
        return []
    is_session = items["started_at"].notna()
    sessions = items[is_session]
    return list(sessions["kind"].dropna().unique())


def without_choice(test: csr_array, candidates: csr_array) -> Mapping[str, np.ndarray]:
    """Mark the users from whom no model can gain or lose, by the reason.

    A list of one item has one order, and so in effect have lists in which all or none is
    relevant: every model gets the same, and the user would only draw all means together.

    Parameters
    ----------
    test, candidates : csr_arrays of shape (n_users, n_items)
        A stored value marks what is relevant, and what is a candidate.

    Returns
    -------
    mapping of a name of ``WITHOUT_CHOICE`` to a bool array of shape (n_users,)
        A user without any candidate is in none.

    Examples
    --------
    >>> found = without_choice(csr_array([[0, 1], [1, 1], [0, 0]]), csr_array(np.ones((3, 2))))
    >>> found["none_relevant"], found["all_relevant"]
    (array([False, False,  True]), array([False,  True, False]))
    """
    n_candidates = np.diff(candidates.indptr)
    relevant_candidates = test.astype(bool).multiply(candidates.astype(bool))
    n_relevant = np.asarray(relevant_candidates.sum(axis=1)).ravel()
    has_several = n_candidates > 1
    return {
        "one_candidate": n_candidates == 1,
        "none_relevant": has_several & (n_relevant == 0),
        "all_relevant": has_several & (n_relevant == n_candidates),
    }
