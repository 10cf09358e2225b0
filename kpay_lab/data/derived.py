"""Derived from columns: the share watched, the item sold, orders of items, labels, bands of age."""

import numpy as np
import pandas as pd

AGE_STARTS = (0, 18, 25, 35, 45, 55)  # the first year of each band
AGE_BANDS = ("under 18", "18-24", "25-34", "35-44", "45-54", "55 and over")


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
    promoted = item_ids.map(promoted_by_item)
    return promoted.fillna(item_ids)


def orders_of_items(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders that name their item; a subscription, which sells everything, names none.

    The frame has the column ``item_id`` even where the orders lack it; rows keep their labels.

    >>> orders = pd.DataFrame({"user_id": ["u", "w"], "item_id": ["a", None]})
    >>> orders_of_items(orders)["user_id"].tolist()
    ['u']
    """
    if "item_id" not in orders:
        return orders.head(0).assign(item_id=pd.Series(dtype="str"))
    return orders[orders["item_id"].notna()]


def main_label(labels: pd.Series) -> pd.Series:
    """Return the first label of each list such as ``Drama|War``; missing stays missing.

    >>> main_label(pd.Series(["Drama|War", "War"])).tolist()
    ['Drama', 'War']
    """
    return labels.astype("str").str.split("|").str[0]


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
