"""Checks of lists and relevant items that come from elsewhere: what no metric can judge is refused.

Each error names the column or the array, and the value.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.codes import factorize

IDS = ["user_id", "item_id"]


def check_lists(lists: pd.DataFrame, relevant: pd.DataFrame) -> None:
    """Refuse tables of ids whose metrics would be meaningless.

    Parameters
    ----------
    lists : DataFrame
        ``user_id, item_id, rank`` (from 1).
    relevant : DataFrame
        ``user_id, item_id``, and perhaps ``relevance``, which must then be above 0.

    Raises
    ------
    ValueError
        If a column or a value is missing, ids are numbers on one side and text on the other,
        no user of ``relevant`` has a list, a rank is not a whole number from 1 on, or a list
        has an item or a rank twice.
    """
    _check_frame("lists", lists, [*IDS, "rank"])
    _check_frame("relevant", relevant, IDS)
    for column in IDS:
        _check_same_kind(column, lists[column], relevant[column])
    with_lists = factorize(lists["user_id"]).ids
    has_list = with_lists.get_indexer(factorize(relevant["user_id"]).ids) >= 0
    if not has_list.any():
        raise ValueError(
            f"no user of relevant has a list: user ids are {_first(lists['user_id'])!r} in lists "
            f"and {_first(relevant['user_id'])!r} in relevant"
        )
    _check_ranks(lists)
    if "relevance" in relevant:
        _check_relevance(relevant["relevance"])


def check_positions(items: np.ndarray, n_items: int) -> None:
    """Refuse lists of positions (n, k) in which an item is unknown, or stands twice.

    −1 stands for an empty place.

    Raises
    ------
    ValueError
        Naming the list and the item.
    """
    if not np.issubdtype(items.dtype, np.integer):
        raise ValueError(f"items are {items.dtype}; positions are whole numbers")
    is_unknown = (items < -1) | (items >= n_items)
    if is_unknown.any():
        row, place = np.argwhere(is_unknown)[0]
        item = items[row, place]
        raise ValueError(
            f"items: list {row} holds item {item}; positions are from 0 to {n_items - 1}, and -1 "
            "is an empty place"
        )
    rising = np.sort(items, axis=1)
    following = rising[:, 1:]
    is_repeated = (following == rising[:, :-1]) & (following >= 0)
    if is_repeated.any():
        row, place = np.argwhere(is_repeated)[0]
        item = following[row, place]
        raise ValueError(f"items: list {row} holds item {item} twice; a list names an item once")


def check_relevant(relevant: csr_array) -> None:
    """Refuse stored values that are not above 0: every stored value marks a relevant item.

    Raises
    ------
    ValueError
        Naming the row, the item and the value.
    """
    is_wrong = ~(relevant.data > 0)  # NaN too
    if is_wrong.any():
        position = np.flatnonzero(is_wrong)[0]
        row = np.searchsorted(relevant.indptr, position, side="right") - 1
        item = relevant.indices[position]
        value = relevant.data[position]
        raise ValueError(
            f"relevant: row {row} stores {value} for item {item}; store relevant items alone, "
            "above 0 (eliminate_zeros)"
        )


def _check_frame(name: str, frame: Any, required: list[str]) -> None:
    if not isinstance(frame, pd.DataFrame):
        given = type(frame).__name__
        raise ValueError(f"{name} is a {given}; it must be a frame with {', '.join(required)}")
    missing = [column for column in required if column not in frame]
    if missing:
        columns = ", ".join(map(str, frame))
        raise ValueError(f"{name} has no column {missing[0]}; it has {columns}")
    if frame.empty:
        raise ValueError(f"{name} has no rows")
    for column in required:
        has_gap = frame[column].isna()
        if has_gap.any():
            row = has_gap.idxmax()
            raise ValueError(f"{name} has a missing value in row {row}: {column} is empty")


def _check_same_kind(column: str, listed: pd.Series, relevant: pd.Series) -> None:
    """Refuse ids of which some are text and others are not: those are never equal."""
    sides = {"lists": listed, "relevant": relevant}
    for name, ids in sides.items():
        is_text = _is_text(ids)
        if is_text.any() and not is_text.all():
            text = _first(ids[is_text])
            other = _first(ids[~is_text])
            raise ValueError(f"{name}: {column} is {other!r} and {text!r}; make all ids text")
    if _is_text(listed).any() != _is_text(relevant).any():
        raise ValueError(
            f"{column} is {_first(listed)!r} in lists and {_first(relevant)!r} in relevant: "
            "numbers and text are never equal; make both text, .astype(str)"
        )


def _is_text(ids: pd.Series) -> pd.Series:
    """Mark the ids that are text; of each distinct one the type is asked once."""
    if isinstance(ids.dtype, pd.StringDtype):
        return pd.Series(True, ids.index)
    codes, distinct = factorize(ids)
    is_text = np.array([isinstance(value, str) for value in distinct], dtype=bool)
    return pd.Series(is_text[codes], ids.index)


def _check_ranks(lists: pd.DataFrame) -> None:
    ranks = pd.to_numeric(lists["rank"], errors="coerce")
    is_wrong = ~((ranks >= 1) & (ranks % 1 == 0))
    if is_wrong.any():
        wrong = _first(lists.loc[is_wrong, "rank"])
        raise ValueError(
            f"rank is {wrong!r}; rank must be a whole number from 1 on, and 1 is the best place"
        )
    for column in ("rank", "item_id"):
        repeated = lists[lists.duplicated(["user_id", column])]
        if len(repeated):
            user = _first(repeated["user_id"])
            value = _first(repeated[column])
            raise ValueError(f"the list of user {user!r} has {column} {value!r} twice")


def _check_relevance(relevance: pd.Series) -> None:
    is_wrong = ~(relevance > 0)
    if is_wrong.any():
        value = _first(relevance[is_wrong])
        raise ValueError(
            f"relevant: relevance is {value!r} in row {is_wrong.idxmax()}; every row marks a "
            "relevant item, so leave the others out"
        )


def _first(values: pd.Series) -> Any:
    """Return the first value as a plain Python object: ``1`` rather than ``np.int64(1)``."""
    first = values.iloc[0]
    return first.item() if isinstance(first, np.generic) else first
