"""Protect the people in a log: pseudonyms, consent, and suppression of small groups."""

import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from kpay_lab.data.tables import SCHEMAS, Tables

KEY_VARIABLE = "KPAY_PRIVACY_KEY"
SHORTEST_KEY = 16
PERSONAL = ("user_id", "session_id")  # the id of a session often contains that of its user
HIDDEN_TEXT = "(text)"  # stands where a person's words do
OWN_WORDS = ("comment_text", "comment_count", "question_count")  # cells that hold what people wrote


@cache
def _random_key() -> str:
    return secrets.token_hex(32)


def pseudonyms(ids: pd.Series) -> pd.Series:
    """Replace ids by the first 128 bits of HMAC-SHA-256(key, id); missing stays missing.

    The key is the environment variable ``KPAY_PRIVACY_KEY``. Without it each process uses a
    random key, so that its pseudonyms cannot be linked to those of another process.

    Source: RFC 2104.
    """
    key = os.environ.get(KEY_VARIABLE) or _random_key()
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"{KEY_VARIABLE} is too short; use {SHORTEST_KEY} random letters or more")
    codes, distinct_ids = pd.factorize(ids)
    names: list[str | None] = []
    for distinct_id in distinct_ids:
        digest = hmac.digest(key.encode(), distinct_id.encode(), "sha256")
        names.append(f"p{digest.hex()[:32]}")
    names.append(None)  # a missing id has the code -1, the last name
    pseudonym_of_row = np.array(names, dtype=object)[codes]
    return pd.Series(pseudonym_of_row, ids.index, dtype="str")


def pseudonymise(tables: Tables) -> tuple[Tables, list[str]]:
    """Replace the ids of users and sessions, and drop other columns that may name somebody.

    Returns
    -------
    tables : Tables
        The users without any column that is not in their schema, such as ``email``; the other
        tables without any such column of text, and without what people wrote.
    dropped : list of str
        The names of the dropped columns, such as ``users.email``.
    """
    frames = tables.present()
    dropped: list[str] = []
    for name, frame in frames.items():
        unsafe = _unsafe_columns(name, frame)
        dropped += [f"{name}.{column}" for column in unsafe]
        masked = {column: pseudonyms(frame[column]) for column in PERSONAL if column in frame}
        frames[name] = frame.drop(columns=unsafe).assign(**masked)
    return Tables(**frames), dropped


def _unsafe_columns(table: str, frame: pd.DataFrame) -> list[str]:
    """Name the columns outside the schema; a number or a time is safe except of a user."""
    extra = [column for column in frame if column not in SCHEMAS[table].columns]
    if table == "users":
        return extra
    written = [column for column in frame if column == "comment_text"]
    return written + [column for column in extra if not _is_number_or_time(frame[column])]


def _is_number_or_time(values: pd.Series) -> bool:
    types = pd.api.types
    return types.is_numeric_dtype(values) or types.is_datetime64_any_dtype(values)


def suppress_small_groups(
    table: pd.DataFrame,
    count_column: str,
    minimum: int = 10,
    *,
    within: str | Sequence[str] | None = None,
    hide: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Hide the figures of groups of fewer than ``minimum`` people; add a column ``suppressed``.

    Whoever knows a total can subtract the visible groups from it. Where the hidden groups
    together have fewer than ``minimum`` people, the next smallest group is therefore hidden
    too. A group of 0 people stays visible.

    Parameters
    ----------
    table : DataFrame
        One row a group.
    count_column : str
        The column with the number of people; it is hidden too.
    minimum : int
        The fewest people of a visible group.
    within : str or sequence of str, optional
        Columns whose values say which rows belong to one total; by default all rows do.
    hide : sequence of str, optional
        Further columns to hide; by default every column of numbers.

    Examples
    --------
    >>> groups = pd.DataFrame({"age": ["18-24", "25-34", "35-44"], "n": [3, 12, 40]})
    >>> suppress_small_groups(groups, "n", 5)["n"].tolist()
    [<NA>, <NA>, 40]
    """
    if minimum < 1:
        raise ValueError(f"minimum is {minimum}; it must be 1 or more")
    sizes = table[count_column].to_numpy(dtype=np.float64, na_value=np.nan)
    if not (sizes >= 0).all():
        raise ValueError(f"{count_column} must hold a count of 0 or more in every row")
    keys = [within] if isinstance(within, str) else list(within or [])
    total_of_row = table.groupby(keys, dropna=False).ngroup() if keys else np.zeros(len(table))
    hidden = np.zeros(len(table), dtype=bool)
    for total in np.unique(total_of_row):
        rows = np.flatnonzero(total_of_row == total)
        hidden[rows] = _hidden_groups(sizes[rows], minimum)
    hidden_columns = table.select_dtypes("number") if hide is None else hide
    result = table.copy()
    for column in {*hidden_columns, count_column}:
        values = result[column]
        if pd.api.types.is_integer_dtype(values):
            values = values.astype("Int64")
        result[column] = values.mask(hidden)
    return result.assign(suppressed=hidden)


def _hidden_groups(sizes: np.ndarray, minimum: int) -> np.ndarray:
    """Return which groups of one total to hide."""
    hidden = (sizes > 0) & (sizes < minimum)
    n_hidden_people = sizes[hidden].sum()
    visible = np.flatnonzero(sizes >= minimum)
    if 0 < n_hidden_people < minimum and len(visible):
        smallest = visible[np.argmin(sizes[visible])]
        hidden[smallest] = True
    return hidden


def with_consent(tables: Tables) -> tuple[Tables, int]:
    """Keep the rows of users who consented; return also how many users were left out.

    A user whose answer is missing, or who is not in the users table, did not consent. Without a
    users table, or without its column ``consent``, nobody was asked and everybody is kept.
    """
    users = tables.users
    if users is None or "consent" not in users:
        return tables, 0
    has_consent = users["consent"].fillna(False).astype(bool)
    consenting = users.loc[has_consent, "user_id"]
    frames = {}
    for name, frame in tables.present().items():
        if "user_id" in frame:
            is_consenting = frame["user_id"].isin(consenting)
            kept = frame if is_consenting.all() else frame[is_consenting]
            frames[name] = kept.reset_index(drop=True)
    n_left_out = len(tables.ids("user_id")) - len(consenting)
    return replace(tables, **frames), n_left_out
