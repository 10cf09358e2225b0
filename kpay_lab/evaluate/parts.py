"""Split the tables into what trains and what is held back, and check the two for leakage."""

from dataclasses import replace

import numpy as np
import pandas as pd

from kpay_lab.data.codes import factorize, find_positions, take_rows
from kpay_lab.data.derived import orders_of_items
from kpay_lab.data.tables import Tables, TooLittleError

BY_KEY = {"random_per_user": "user_id", "stratified_user": "user_id", "stratified_item": "item_id"}
NEED_TIMES = ("time", "leave_last_out")
SPLITS = ("time", "leave_last_out", "random_rows", *BY_KEY, "given")
LEGACY_SEED = 42  # of NumPy's legacy generator, which drew the splits of Microsoft Recommenders


def default_split(tables: Tables, most_untimed: float = 0.05) -> str:
    """Return ``time`` where events have times and not all the same, else ``random_per_user``.

    Parameters
    ----------
    most_untimed : float
        Largest share of events without a time, 0 to 1, with which the split is still ``time``;
        these events then stay out of it.
    """
    if "timestamp" not in tables.events:
        return "random_per_user"
    times = tables.events["timestamp"]
    mostly_timed = times.isna().mean() <= most_untimed
    return "time" if mostly_timed and times.min() < times.max() else "random_per_user"


def split_tables(
    tables: Tables, how: str, train_share: float | None = None, cut: pd.Timestamp | None = None
) -> tuple[Tables, pd.DataFrame, pd.Timestamp | None]:
    """Split the tables by `rows_to_train`, their events numbered from 0; raise on a leak.

    An event without a time is in neither part of a split that needs times.

    Returns
    -------
    train : Tables
        With a cut, what was known then (`Tables.known_at`). Without one, all tables but the
        orders and exposures of the (user, item) pairs held back.
    test_events : DataFrame
        The events held back.
    cut : Timestamp or None
        The moment between the two, where there is one.
    """
    events = tables.events.reset_index(drop=True)
    tables = tables.with_events(events)
    if how in NEED_TIMES:
        tables = tables.timed()
        events = tables.events
    in_train, cut = rows_to_train(events, how, train_share, cut)
    test_events = take_rows(events, ~in_train)
    if cut is None:
        train_events = take_rows(events, in_train)
        train = _without_pairs(tables.with_events(train_events), test_events)
    else:
        train = tables.known_at(cut)
    leakage_gate(train, test_events, cut)
    return train, test_events, cut


def rows_to_train(
    events: pd.DataFrame,
    how: str,
    train_share: float | None = None,
    cut: pd.Timestamp | None = None,
) -> tuple[np.ndarray, pd.Timestamp | None]:
    """Mark the events to learn from.

    ``time``: those before the cut, by default the stamp at position int(share n) of the stable
    time order; where that is the first stamp of all, the next one. ``leave_last_out``: all but
    the last of each user. ``random_per_user``, ``stratified_user``, ``stratified_item``: one
    uniform number a row in file order, sort by (key, number), the first round(share count) of
    each key. ``random_rows``: all but the first round((1 - share) n) of a permutation.
    ``given``: the column ``part``.

    Parameters
    ----------
    train_share : float, optional
        By default 0.8 for ``time`` and ``random_per_user``, else 0.75.
    cut : Timestamp, optional
        The moment for ``time`` itself, where ``train_share`` must not choose it.

    Returns
    -------
    in_train : bool array of shape (n,)
    cut : Timestamp or None
        Of ``time`` only.
    """
    share = train_share
    if share is None:
        share = 0.8 if how in ("time", "random_per_user") else 0.75
    if how == "time":
        return _before_the_cut(events, share, cut)
    if how == "leave_last_out":
        return _all_but_the_last(events), None
    if how == "given":
        return _marked_as_train(events), None
    legacy = np.random.RandomState(LEGACY_SEED)
    n = len(events)
    if how == "random_rows":
        n_test = round((1 - share) * n)
        test_rows = legacy.permutation(n)[:n_test]
        in_train = np.ones(n, dtype=bool)
        in_train[test_rows] = False
        return in_train, None
    if how in BY_KEY:
        ids = events[BY_KEY[how]]
        draws = legacy.rand(n)
        return _first_of_each(ids, draws, share), None
    raise ValueError(f"split {how!r} is unknown; choose one of {', '.join(SPLITS)}")


def _before_the_cut(
    events: pd.DataFrame, share: float, cut: pd.Timestamp | None
) -> tuple[np.ndarray, pd.Timestamp]:
    """Mark the events before the cut; without one, find it at ``share`` of the time order."""
    times = event_times(events)
    if cut is None:
        stamps = np.sort(times)
        # Training needs an event before the cut, so the cut is never at the first stamp.
        row_of_second_stamp = np.searchsorted(stamps, stamps[0], side="right")
        first_test_row = max(int(share * len(stamps)), row_of_second_stamp)
        last_row = len(stamps) - 1
        cut_time = stamps[min(first_test_row, last_row)]
        cut = pd.Timestamp(cut_time, tz="UTC")
    return times < cut.tz_localize(None).to_datetime64(), cut


def _all_but_the_last(events: pd.DataFrame) -> np.ndarray:
    """Mark all events but the last of each user; of equal times the later row is the last."""
    order = np.argsort(event_times(events), kind="stable")
    user, _ = factorize(events["user_id"])
    users_by_time = pd.Series(user[order])
    is_not_last = np.empty(len(order), dtype=bool)
    is_not_last[order] = users_by_time.duplicated(keep="last")
    return is_not_last


def _without_pairs(tables: Tables, test_events: pd.DataFrame) -> Tables:
    """Drop orders and exposures of the (user, item) pairs held back, which would leak them."""
    users = factorize(test_events["user_id"]).ids
    items = factorize(test_events["item_id"]).ids
    pairs_held_back = _pair_numbers(test_events, users, items)
    reduced = {}
    for name in ("orders", "exposures"):
        frame = getattr(tables, name)
        if frame is not None:
            of_items = orders_of_items(frame)
            is_held_back = np.isin(_pair_numbers(of_items, users, items), pairs_held_back)
            leaking = of_items.index[is_held_back]
            is_leaking = frame.index.isin(leaking)
            reduced[name] = take_rows(frame, ~is_leaking)
    return replace(tables, **reduced)


def _pair_numbers(frame: pd.DataFrame, users: pd.Index, items: pd.Index) -> np.ndarray:
    """Number each row's pair of a user and an item; -1 where one of them is not listed."""
    user = find_positions(frame["user_id"], users)
    item = find_positions(frame["item_id"], items)
    is_listed = (user >= 0) & (item >= 0)
    return np.where(is_listed, user * len(items) + item, -1)


def leakage_gate(train: Tables, test_events: pd.DataFrame, cut: pd.Timestamp | None) -> None:
    """Raise if a model could have seen what it must predict.

    No event (row label) may be in both parts. With a cut no training event, order, refund or
    exposure may lie at or after it, no test event before. An empty part is a `TooLittleError`.
    """
    if train.events.empty or test_events.empty:
        raise TooLittleError(
            f"the split has {len(train.events)} training and {len(test_events)} test events; "
            "both parts need some: change train_share or the split"
        )
    shared = train.events.index.intersection(test_events.index)
    if len(shared):
        raise ValueError(f"leak: {len(shared)} events are in both parts, first row {shared[0]}")
    if cut is None:
        return
    for name, frame in train.present().items():
        for column in frame.columns.intersection(["timestamp", "refunded_at"]):
            is_late = frame[column] >= cut
            late = frame.index[is_late]
            if len(late):
                raise ValueError(
                    f"leak: {len(late)} training {name} have {column} at or after the cut "
                    f"{cut}, first row {late[0]}"
                )
    if (test_events["timestamp"] < cut).any():
        raise ValueError(f"leak: a test event lies before the cut {cut}")


def global_leakage(train_events: pd.DataFrame, test_events: pd.DataFrame) -> float | None:
    """Share of training events later than a test event, mean over test events.

    0 for a split by time; None without time stamps. Events without one are left out. A model
    trained on the future of what it must predict scores better than it ever will in use
    (Ji et al. 2023).
    """
    if "timestamp" not in train_events:
        return None
    train = Tables(train_events).timed()
    test = Tables(test_events).timed()
    if train.events.empty or test.events.empty:
        return None
    in_file_order = event_times(train.events)
    train_times = np.sort(in_file_order)
    test_times = event_times(test.events)
    n_not_later = np.searchsorted(train_times, test_times, side="right")
    share_not_later = n_not_later / len(train_times)
    return float(1 - share_not_later.mean())


def event_times(events: pd.DataFrame) -> np.ndarray:
    """Return the events' times as datetime64[us] in UTC; raise where one is missing."""
    if "timestamp" not in events:
        raise ValueError("events have no timestamp; choose how='random_per_user'")
    times = events["timestamp"]
    if times.isna().all():
        raise ValueError("no event has a time; choose how='random_per_user'")
    missing = times.isna().sum()
    if missing:
        raise ValueError(f"{missing} events have no timestamp; drop them or split at random")
    return times.dt.tz_localize(None).to_numpy("datetime64[us]")


def _first_of_each(ids: pd.Series, draws: np.ndarray, share: float) -> np.ndarray:
    """Mark ``share`` of the rows of each id: those with its smallest draws."""
    key, _ = factorize(ids)
    n_rows = np.bincount(key)
    n_train = np.round(share * n_rows)  # half to even
    rank = pd.Series(draws).groupby(key).rank(method="first")
    is_first = rank <= n_train[key]
    return is_first.to_numpy()


def _marked_as_train(events: pd.DataFrame) -> np.ndarray:
    """Mark the rows whose column ``part`` says train."""
    if "part" not in events:
        raise ValueError("events have no column 'part'; how='given' needs train or test in it")
    part = events["part"]
    invalid = part[~part.isin(["train", "test"])]
    if len(invalid):
        raise ValueError(f"part is {invalid.iloc[0]!r}; it must be train or test")
    is_train = part == "train"
    return is_train.to_numpy()
