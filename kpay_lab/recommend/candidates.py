"""Which items may be recommended at all: kinds that can be sold, and content that is trusted."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables


def candidate_items(
    tables: Tables,
    items: pd.Index,
    *,
    kinds: Sequence[str] | None = None,
    reviewed_only: bool = False,
    verified_only: bool = False,
    min_rating: float | None = None,
) -> np.ndarray:
    """Mark the items that may appear in a list: bool of shape (n_items,).

    Parameters
    ----------
    items : pandas.Index
        The item ids, in order of position.
    kinds : sequence of str, optional
        By default the kinds of which an item has a price (what can be sold), else all.
    reviewed_only, verified_only : bool
        Leave out what is not ``reviewed``, or whose author is not ``author_verified``; a
        missing mark counts as no.
    min_rating : float, optional
        Leave out items with a lower mean rating; an item without ratings stays.
    """
    allowed = np.ones(len(items), dtype=bool)
    known = pd.DataFrame(index=items)
    if tables.items is not None:
        known = tables.items.set_index("item_id").reindex(items)
    if kinds is None and {"kind", "price"} <= set(known):
        kinds = known.loc[known["price"].notna(), "kind"].dropna().unique()
    if kinds is not None and len(kinds):
        allowed &= _column(known, "items", "kind").isin(kinds).to_numpy()
    for asked, mark in ((reviewed_only, "reviewed"), (verified_only, "author_verified")):
        if asked:
            allowed &= _column(known, "items", mark).eq(True).fillna(False).to_numpy(dtype=bool)
    if min_rating is not None:
        means = _column(tables.events, "events", "rating").groupby(tables.events["item_id"]).mean()
        allowed &= ~(means.reindex(items) < min_rating).to_numpy()
    return allowed


def _column(frame: pd.DataFrame, table: str, column: str) -> pd.Series:
    if column not in frame:
        raise ValueError(f"this filter needs {table}.{column}; add the column or drop the filter")
    return frame[column]
