"""Derived from columns: whole days, the share watched, the item sold, labels, bands of age."""

import numpy as np
import pandas as pd

from kpay_lab.data.codes import factorize, find_positions, look_up, take_rows

INTERACTIONS = ("like_count", "comment_count", "share_count", "question_count")
A_FEW = 1000  # of the times of a log, which seldom are dates where these are none
AGE_STARTS = (0, 18, 25, 35, 45, 55)  # the first year of each band
AGE_BANDS = ("under 18", "18-24", "25-34", "35-44", "45-54", "55 and over")


def are_whole_days(times: pd.Series) -> bool:
    """Whether times are dates without an hour: what needs hours cannot be known from them.

    They are if all are midnight in UTC, or if on several days all fall at one time of day, which
    is midnight in another zone (or two an hour apart, where that has summer time).

    Parameters
    ----------
    times : Series of datetime, UTC
        Missing ones count for nothing; without any time the answer is no.

    Examples
    --------
    >>> dates = pd.Series(pd.to_datetime(["2022-01-05", "2022-07-06", None], utc=True))
    >>> are_whole_days(dates), are_whole_days(dates + pd.Timedelta(hours=16))
    (True, True)
    >>> moments = pd.Series(pd.to_datetime(["2022-01-05 10:00", "2022-01-06 19:30"], utc=True))
    >>> are_whole_days(moments)
    False
    """
    known = times.dropna()
    if known.empty:
        return False
    if len(_times_of_day(known.head(A_FEW))) > 2:
        return False  # whatever the others are
    days = known.dt.floor("D")
    times_of_day = _times_of_day(known)
    if not times_of_day.any():
        return True
    spread = times_of_day.max() - times_of_day.min()
    summer_time = pd.to_timedelta([0, 1, 23], unit="h")
    is_one_midnight = len(times_of_day) <= 2 and spread in summer_time
    return is_one_midnight and days.nunique() > 1


def _times_of_day(moments: pd.Series) -> pd.Series:
    """Return how far each moment lies from midnight in UTC; equal ones once."""
    return (moments - moments.dt.floor("D")).drop_duplicates()


def dates_written(times: pd.Series) -> pd.Series:
    """Return the dates of times that are whole days, as they were written in their own zone.

    >>> in_shanghai = pd.Series(pd.to_datetime(["2022-01-05 16:00"], utc=True))
    >>> dates_written(in_shanghai).dt.date.item().isoformat()
    '2022-01-06'
    """
    half_a_day = pd.Timedelta(hours=12)  # no zone is much further from UTC
    return (times + half_a_day).dt.floor("D")


def watched_share(log: pd.DataFrame) -> pd.Series:
    """Return the share of the duration that was watched in each row, above 1 for a replay.

    It is NaN where the watch time or the duration is missing; a duration of 0 counts as missing.
    Clip the share at 1 where a replay should count like an item watched to its end.

    Parameters
    ----------
    log : DataFrame
        Events or their totals, with ``watch_time`` and ``duration`` in seconds, if they have them.

    Examples
    --------
    >>> seconds = {"watch_time": [30.0, 90.0, 5.0], "duration": [60.0, 60.0, 0.0]}
    >>> watched_share(pd.DataFrame(seconds)).tolist()
    [0.5, 1.5, nan]
    """
    seconds = log.reindex(columns=["watch_time", "duration"]).astype(np.float64)
    duration = seconds["duration"].where(seconds["duration"] > 0)
    share = seconds["watch_time"] / duration
    return share.rename("share")


def n_interactions(events: pd.DataFrame) -> np.ndarray:
    """Return the likes, comments, shares and questions of each event together; missing ones are 0.

    Returns
    -------
    float array (n_events,)
        All 0 where the events have none of these columns.

    Examples
    --------
    >>> n_interactions(pd.DataFrame({"like_count": [1, None], "share_count": [2, 3]})).tolist()
    [3.0, 3.0]
    """
    total = np.zeros(len(events))
    for name in INTERACTIONS:
        if name in events:
            total += events[name].fillna(0).to_numpy(dtype=np.float64)
    return total


def item_sold(item_ids: pd.Series, items: pd.DataFrame | None) -> pd.Series:
    """Return the item that each item sells: the one that it promotes, or else itself.

    An item that is not in ``items`` sells itself.

    Parameters
    ----------
    item_ids : Series of item_id
    items : DataFrame, optional
        The catalogue; ``promotes`` names what an item sells.

    Examples
    --------
    >>> items = pd.DataFrame({"item_id": ["course", "clip"], "promotes": [None, "course"]})
    >>> item_sold(pd.Series(["clip", "course", "unlisted"]), items).tolist()
    ['course', 'course', 'unlisted']
    """
    if items is None or "promotes" not in items:
        return item_ids
    promoted_by_item = items.set_index("item_id")["promotes"]
    promoted = look_up(item_ids, promoted_by_item)
    return promoted.fillna(item_ids)


def pairs_of_orders(
    orders: pd.DataFrame, contacts: pd.DataFrame, items: pd.DataFrame | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find which pair of buyer and item each contact is about: itself, and by what it sells.

    The pairs of the orders are numbered in an order of their own. Of the many contacts of a log
    few are about one of them.

    Parameters
    ----------
    orders, contacts : DataFrame
        With ``user_id`` and ``item_id``; an order may lack its item.
    items : DataFrame, optional
        The catalogue, as in `item_sold`.

    Returns
    -------
    of_order : int array (n_orders,)
        The pair of each order; -1 where it names no item.
    of_contact, of_what_it_sells : int arrays (n_contacts,)
        The pair of the user with the item of the contact, and with the item that this sells; -1
        where that user did not order it.

    Examples
    --------
    >>> items = pd.DataFrame({"item_id": ["course", "clip"], "promotes": [None, "course"]})
    >>> contacts = pd.DataFrame({"user_id": ["u", "u", "w"], "item_id": ["clip", "book", "clip"]})
    >>> orders = pd.DataFrame({"user_id": ["w", "u"], "item_id": ["book", "course"]})
    >>> pairs_of_orders(orders, contacts, items)
    (array([0, 1]), array([-1, -1, -1]), array([ 1, -1, -1]))
    """
    user_of_order, buyers = factorize(orders["user_id"])
    item_of_order, sold = factorize(orders["item_id"])
    n_sold = len(sold)
    cell_of_order = _cells(user_of_order, item_of_order, n_sold)
    cells = np.unique(cell_of_order[cell_of_order >= 0])
    user = find_positions(contacts["user_id"], buyers)
    itself = find_positions(contacts["item_id"], sold)
    code_of_item, distinct_items = factorize(contacts["item_id"])
    what_they_sell = item_sold(pd.Series(distinct_items), items)
    what_it_sells = find_positions(what_they_sell, sold)[code_of_item]
    of_contact = _cells(user, itself, n_sold)
    of_what_it_sells = _cells(user, what_it_sells, n_sold)
    return (
        _numbers(cell_of_order, cells),
        _numbers(of_contact, cells),
        _numbers(of_what_it_sells, cells),
    )


def _cells(users: np.ndarray, items: np.ndarray, n_items: int) -> np.ndarray:
    """Return one number a pair of positions; -1 where one of them is -1."""
    is_pair = (users >= 0) & (items >= 0)
    return np.where(is_pair, users.astype(np.int64) * n_items + items, -1)


def _numbers(cells: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return where each cell stands among the known ones, in rising order; -1 where it does not."""
    place = np.searchsorted(known, cells)
    known_and_none = np.append(known, -2)  # which is no cell
    is_known = known_and_none[place] == cells
    return np.where(is_known, place, -1)


def orders_of_items(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders that name their item; a subscription, which sells everything, names none.

    The frame has the column ``item_id`` even where the orders lack it; rows keep their labels.

    >>> orders = pd.DataFrame({"user_id": ["u", "w"], "item_id": ["a", None]})
    >>> orders_of_items(orders)["user_id"].tolist()
    ['u']
    """
    if "item_id" not in orders:
        return orders.head(0).assign(item_id=pd.Series(dtype="str"))
    return take_rows(orders, orders["item_id"].notna())


def main_label(labels: pd.Series) -> pd.Series:
    """Return the first label of each list such as ``Drama|War``; missing stays missing.

    >>> main_label(pd.Series(["Drama|War", "War"])).tolist()
    ['Drama', 'War']
    """
    return labels.astype("str").str.replace(r"(?s)\|.*", "", regex=True)


def age_band(ages: pd.Series) -> pd.Series:
    """Group ages in years into bands that are usual for audiences; missing stays missing.

    Returns
    -------
    Series of an ordered category, youngest first

    Examples
    --------
    >>> age_band(pd.Series([7.0, 34.0, 82.0])).tolist()
    ['under 18', '25-34', '55 and over']
    """
    edges = [*AGE_STARTS, np.inf]
    return pd.cut(ages, edges, right=False, labels=AGE_BANDS)
