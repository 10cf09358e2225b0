"""Which items may be recommended at all: kinds that can be sold, and content that is trusted."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables


def candidate_items(
    tables: Tables,
    items: pd.Index,
    *,
    kinds: Sequence[str] = (),
    reviewed_only: bool = False,
    verified_only: bool = False,
    min_rating: float | None = None,
    live_at: pd.Timestamp | None = None,
) -> np.ndarray:
    """Mark the items that may appear in a list: bool of shape (n_items,).

    Parameters
    ----------
    items : pandas.Index
        The item ids, in order of position.
    kinds : sequence of str
        Where none is named, those that `recommended_kinds` gives; with ``live_at`` all.
    reviewed_only, verified_only : bool
        Leave out what is not ``reviewed``, or whose author is not ``author_verified``; a
        missing mark counts as no.
    min_rating : float, optional
        Leave out items with a lower mean rating; an item without ratings stays.
    live_at : Timestamp, optional
        Leave out what is not live at this moment: ``started_at`` is later, or ``ended_at`` is not.

    Examples
    --------
    >>> def at(*hours):
    ...     return pd.to_datetime([f"2026-01-05 {hour}" for hour in hours], utc=True)
    >>> items = pd.DataFrame({"item_id": ["early", "late"], "started_at": at("19:00", "20:00")})
    >>> items["ended_at"] = at("20:00", "22:00")
    >>> tables = Tables(pd.DataFrame({"user_id": ["u"], "item_id": ["late"]}), items)
    >>> moment = pd.Timestamp("2026-01-05 20:00", tz="UTC")
    >>> candidate_items(tables, pd.Index(["early", "late"]), live_at=moment)
    array([False,  True])
    """
    allowed = np.ones(len(items), dtype=bool)
    catalogue = pd.DataFrame(index=items)
    if tables.items is not None:
        catalogue = tables.items.set_index("item_id").reindex(items)
    if live_at is None:
        kinds = recommended_kinds(tables, kinds)
    if kinds:
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
    if live_at is not None:
        has_started = _column(catalogue, "items", "started_at") <= live_at
        goes_on = _column(catalogue, "items", "ended_at") > live_at
        allowed &= (has_started & goes_on).to_numpy()
    return allowed


def recommended_kinds(tables: Tables, kinds: Sequence[str] = ()) -> list[str]:
    """Return the kinds of items that may be recommended; none named means items of every kind.

    They are ``kinds`` where some are named, else those of which an item has a price: what can
    be sold.
    """
    items = tables.items
    if kinds or items is None or not {"kind", "price"} <= set(items):
        return list(kinds)
    has_price = items["price"].notna()
    return list(items.loc[has_price, "kind"].dropna().unique())


def rule_on_kinds(tables: Tables, kinds: Sequence[str] = ()) -> str:
    """Say which kinds of items may be recommended; empty where items of every kind may.

    >>> items = pd.DataFrame({"item_id": list("ab"), "kind": ["book", "live"]})
    >>> items["price"] = [9.0, None]
    >>> tables = Tables(pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}), items)
    >>> rule_on_kinds(tables)
    'only items of kinds that have a price are recommended: book'
    >>> rule_on_kinds(tables, kinds=["live"])
    'only items of the chosen kinds are recommended: live'
    """
    allowed = recommended_kinds(tables, kinds)
    if not allowed or tables.items is None or "kind" not in tables.items:
        return ""
    if set(tables.items["kind"].dropna()) <= set(allowed):
        return ""
    rule = "of the chosen kinds" if kinds else "of kinds that have a price"
    return f"only items {rule} are recommended: {', '.join(allowed)}"


def _is_marked(catalogue: pd.DataFrame, mark: str) -> np.ndarray:
    is_true = _column(catalogue, "items", mark).eq(True)
    return is_true.fillna(False).to_numpy(dtype=bool)


def _column(frame: pd.DataFrame, table: str, column: str) -> pd.Series:
    if column not in frame:
        raise ValueError(f"this filter needs {table}.{column}; add the column or drop the filter")
    return frame[column]
