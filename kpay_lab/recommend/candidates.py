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
    catalogue = pd.DataFrame(index=items)
    if tables.items is not None:
        catalogue = tables.items.set_index("item_id").reindex(items)
    if kinds is None and {"kind", "price"} <= set(catalogue):
        has_price = catalogue["price"].notna()
        kinds = catalogue.loc[has_price, "kind"].dropna().unique()
    if kinds is not None and len(kinds):
        allowed &= _column(catalogue, "items", "kind").isin(kinds).to_numpy()
    if reviewed_only:
        allowed &= _is_marked(catalogue, "reviewed")
    if verified_only:
        allowed &= _is_marked(catalogue, "author_verified")
    if min_rating is not None:
        ratings = _column(tables.events, "events", "rating")
        means = ratings.groupby(tables.events["item_id"]).mean()
        too_low = means.reindex(items) < min_rating
        allowed &= ~too_low.to_numpy()
    return allowed


def _is_marked(catalogue: pd.DataFrame, mark: str) -> np.ndarray:
    is_true = _column(catalogue, "items", mark).eq(True)
    return is_true.fillna(False).to_numpy(dtype=bool)


def _column(frame: pd.DataFrame, table: str, column: str) -> pd.Series:
    if column not in frame:
        raise ValueError(f"this filter needs {table}.{column}; add the column or drop the filter")
    return frame[column]
