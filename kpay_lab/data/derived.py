"""What follows from columns, said once for every part: the share watched, the course sold."""

import numpy as np
import pandas as pd


def watched_share(log: pd.DataFrame) -> pd.Series:
    """Return the share of the duration that was watched in each row, above 1 for a replay.

    It is NaN where the watch time or the duration is not known; a duration of 0 is not known.
    Whoever wants a replay to count as watched whole clips the share at 1.

    Parameters
    ----------
    log : DataFrame
        Events or their totals, with ``watch_time`` and ``duration`` in seconds where known.

    Examples
    --------
    >>> seconds = {"watch_time": [30.0, 90.0, 5.0], "duration": [60.0, 60.0, 0.0]}
    >>> watched_share(pd.DataFrame(seconds)).tolist()
    [0.5, 1.5, nan]
    """
    seconds = log.reindex(columns=["watch_time", "duration"]).astype(np.float64)
    known_duration = seconds["duration"].where(seconds["duration"] > 0)
    return (seconds["watch_time"] / known_duration).rename("share")


def item_sold(item_ids: pd.Series, items: pd.DataFrame | None) -> pd.Series:
    """Return what each item sells: what it promotes, else itself.

    An item that the catalogue does not list sells itself.

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
    promoted = item_ids.map(items.set_index("item_id")["promotes"])
    return promoted.fillna(item_ids)
