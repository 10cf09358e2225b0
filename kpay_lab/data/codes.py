"""The codes of ids: a column of text is mapped to integers once, and they go with its rows.

A log names few people and items in many rows, and whatever counts them needs integers. A column
of text lies in Arrow, where nothing is ever changed in place: who sets a cell gets another column.
So the codes are kept beside the column itself, for as long as it lives, and whatever frame it
stands in: a copy, other columns beside it, other labels of the rows. They cannot be those of
another text, and no table has to know whether its codes still hold.
"""

import weakref
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa


class Codes(NamedTuple):
    """The id of each row of a column, as an integer.

    Parameters
    ----------
    codes : int32 array of shape (n_rows,), read-only
        The position of each row's id in ``ids``; -1 where it is missing.
    ids : pandas.Index of length n_ids
        Distinct ids.
    """

    codes: np.ndarray
    ids: pd.Index


_KEPT: dict[int, Codes] = {}  # by the identity of a column that lives
_OF_PART: set[int] = set()  # of these, the columns whose codes are those of a larger column


def factorize(ids: pd.Series) -> Codes:
    """Return the code of each id, and the distinct ids in order of first appearance.

    It is `pandas.factorize`, and maps the text of a column that stays no second time.

    >>> codes, ids = factorize(pd.Series(["b", None, "a", "b"]))
    >>> codes.tolist(), ids.tolist()
    ([0, -1, 1, 0], ['b', 'a'])
    """
    column = _arrow(ids)
    if column is None:
        return _mapped(ids)
    key = id(column)
    if key not in _KEPT:
        _keep(column, _mapped(ids))
    if key in _OF_PART:
        _KEPT[key] = _renumbered(*_KEPT[key])
        _OF_PART.discard(key)
    return _KEPT[key]


def keep_codes(ids: pd.Series, codes: np.ndarray, distinct: pd.Index) -> None:
    """Keep codes that are known already, as `factorize` gave them for an equal column.

    Raises
    ------
    ValueError
        If there is not one code for each row.
    """
    if len(codes) != len(ids):
        raise ValueError(f"{len(codes)} codes for {len(ids)} rows of {ids.name}; keep them anew")
    column = _arrow(ids)
    if column is not None:
        _keep(column, Codes(_read_only(codes.astype(np.int32, copy=False)), distinct))


def take_rows(frame: pd.DataFrame, is_taken: np.ndarray | pd.Series) -> pd.DataFrame:
    """Return the rows that a mask marks, and let the known codes of their ids go with them.

    A frame that is taken whole shares its memory.

    Parameters
    ----------
    frame : DataFrame
    is_taken : bool array or Series of shape (n_rows,)
        In the order of the rows, whatever their labels.

    Examples
    --------
    >>> log = pd.DataFrame({"user_id": ["u", "v", "w"]})
    >>> take_rows(log, np.array([False, True, True]))["user_id"].tolist()
    ['v', 'w']
    """
    if is_taken.all():
        return frame.copy(deep=False)
    mask = np.asarray(is_taken, dtype=bool)
    part = frame[mask]
    for name in frame.select_dtypes("str"):
        known = _KEPT.get(id(_arrow(frame[name])))
        column = _arrow(part[name])
        if known is not None and column is not None:
            codes = _read_only(known.codes[mask])
            _keep(column, Codes(codes, known.ids))
            _OF_PART.add(id(column))
    return part


def find_positions(ids: pd.Series | pd.Index | list[str], index: pd.Index) -> np.ndarray:
    """Return the position of each id in an index, and -1 of an id that is not there.

    Only the distinct ids are looked up: a log has far fewer of them than rows.

    >>> find_positions(["b", None, "a", "b"], pd.Index(["a", "b"])).tolist()
    [1, -1, 0, 1]
    """
    codes, distinct = factorize(pd.Series(ids))
    position_of_id = index.get_indexer(distinct)
    position_of_missing = index.get_indexer([None])
    return np.append(position_of_id, position_of_missing)[codes]


def look_up(ids: pd.Series, by_id: pd.Series) -> pd.Series:
    """Return the value of each row's id; missing where the id is missing or has no value.

    It is ``ids.map(by_id)``, and looks up the distinct ids only. Of no ids at all it has the type
    of ``by_id``.

    Parameters
    ----------
    ids : Series
    by_id : Series
        A value for each id, which its index names.

    Examples
    --------
    >>> price = pd.Series({"a": 5, "b": 7})
    >>> look_up(pd.Series(["b", "a", "b"]), price).tolist()
    [7, 5, 7]
    """
    codes, distinct = factorize(ids)
    of_distinct = by_id.reindex(distinct).reset_index(drop=True)
    values = of_distinct.reindex(codes)
    return values.set_axis(ids.index).rename(ids.name)


def coded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with codes in the place of its text: rows are equal where they were.

    >>> log = pd.DataFrame({"user_id": ["v", "u", "v"], "n": [1, 1, 1]})
    >>> coded(log).to_numpy().tolist()
    [[0, 1], [1, 1], [0, 1]]
    """
    text = frame.select_dtypes("str")
    codes = {name: factorize(text[name]).codes for name in text}
    return frame.assign(**codes)


def _arrow(ids: pd.Series) -> pa.ChunkedArray | None:
    """Return the Arrow column in which text lies; None where it lies elsewhere."""
    dtype = ids.dtype
    if isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow":
        return ids.array.__arrow_array__()
    return None


def _keep(column: pa.ChunkedArray, codes: Codes) -> None:
    key = id(column)
    if key not in _KEPT:
        weakref.finalize(column, _forget, key)
    _KEPT[key] = codes
    _OF_PART.discard(key)


def _forget(key: int) -> None:
    del _KEPT[key]
    _OF_PART.discard(key)


def _mapped(ids: pd.Series) -> Codes:
    """Map the text of a column."""
    codes, distinct = pd.factorize(ids)
    return Codes(_read_only(codes.astype(np.int32)), pd.Index(distinct))


def _renumbered(codes: np.ndarray, ids: pd.Index) -> Codes:
    """Return the codes of a part of a column without the ids that it lacks."""
    in_order = pd.unique(codes)
    in_order = in_order[in_order >= 0]
    new_code = np.full(len(ids) + 1, -1, dtype=np.int32)  # a missing id, -1, finds the last one
    new_code[in_order] = np.arange(len(in_order))
    return Codes(_read_only(new_code[codes]), ids[in_order])


def _read_only(codes: np.ndarray) -> np.ndarray:
    """Return codes that many may share, because nobody can change them."""
    shared = codes.view()
    shared.flags.writeable = False
    return shared
