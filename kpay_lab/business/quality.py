"""The quality of what is sold: items not reviewed, not verified, or rated low."""

import numpy as np
import pandas as pd

from kpay_lab.business.figures import order_money
from kpay_lab.business.periods import Period, with_columns
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding

ANY = "any of these"
FLAGS = ("not reviewed", "author not verified", "rated low", ANY)
NEEDS = {
    "not reviewed": "items.reviewed",
    "author not verified": "items.author_verified",
    "rated low": "events.rating",
}


def item_flags(tables: Tables, *, low_rating: float) -> pd.DataFrame:
    """Mark the items that a careful shop would look at, as far as the log can tell.

    Returns
    -------
    DataFrame
        Index: item_id, every item of the log; a boolean column for each of `FLAGS` that is known.
        A missing mark counts as no, as in ``kpay recommend --reviewed-only``; an item without
        ratings is not rated low, one with a mean below ``low_rating`` is.
    """
    items = tables.ids("item_id")
    flags = pd.DataFrame(index=items)
    catalogue = pd.DataFrame(index=items)
    if tables.items is not None:
        catalogue = tables.items.set_index("item_id").reindex(items)
    for flag, column in {
        "not reviewed": "reviewed",
        "author not verified": "author_verified",
    }.items():
        if column in catalogue:
            is_marked = catalogue[column].fillna(False).astype(bool)
            flags[flag] = ~is_marked
    if "rating" in tables.events:
        means = tables.events.groupby("item_id")["rating"].mean()
        flags["rated low"] = (means.reindex(items) < low_rating).to_numpy()
    if len(flags.columns):
        flags[ANY] = flags.any(axis=1)
    return flags


def content_quality(tables: Tables, period: Period, *, low_rating: float = 3.0) -> pd.DataFrame:
    """Count the items with each flag, and their share of the views and the money of a period.

    Ratings are the means by the end of the period; the views and the money of an item are its
    own.

    Returns
    -------
    DataFrame
        Index: the flags that are known; ``items``, their ``share`` of all items,
        ``share_of_views`` and ``share_of_gmv``, NaN where there are none.
    """
    known = period.select(tables)
    rated = with_columns(tables, events=["rating"], exposures=[])
    if "timestamp" in tables.events:
        rated = rated.known_at(period.end)
    flags = item_flags(rated, low_rating=low_rating)
    views = known.events["item_id"].value_counts().reindex(flags.index, fill_value=0)
    gmv = pd.Series(0.0, index=flags.index)
    if known.orders is not None and "item_id" in known.orders:
        by_item = order_money(known)["gmv"].groupby(known.orders["item_id"]).sum()
        gmv = by_item.reindex(flags.index, fill_value=0.0)
    rows = {}
    for flag in flags:
        flagged = flags[flag]
        shares = [_share(values, flagged) for values in (views, gmv)]
        rows[flag] = (int(flagged.sum()), flagged.mean(), *shares)
    columns = ["items", "share", "share_of_views", "share_of_gmv"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("flag")


def quality_findings(quality: pd.DataFrame, n_items: int) -> list[Finding]:
    """Return how many items have a flag, and what hangs on them.

    Parameters
    ----------
    quality : DataFrame
        From `content_quality`; nothing is found where no flag is known.
    n_items : int
        How many items there are.
    """
    if ANY not in quality.index:
        return []
    flagged = quality.loc[ANY]
    others = [name for name in quality.index if name != ANY]
    values = {"n": int(flagged["items"]), "n_items": n_items, "flags": " or ".join(others)}
    for column in ("share_of_views", "share_of_gmv"):
        share = flagged[column]
        values[column] = None if np.isnan(share) else share
    level = "watch" if values["n"] else "good"
    return [Finding("business/quality", level, values, place="quality")]


def _share(values: pd.Series, flagged: pd.Series) -> float:
    """Return the share of the sum that the flagged items hold."""
    total = values.sum()
    return float(values[flagged].sum() / total) if total > 0 else np.nan
