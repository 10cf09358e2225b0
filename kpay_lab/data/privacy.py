"""What protects people: pseudonyms, consent, and no published group that names someone."""

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
PERSONAL = ("user_id", "session_id")  # a session's id often holds its user's


@cache
def _random_key() -> str:
    return secrets.token_hex(32)


def pseudonyms(ids: pd.Series) -> pd.Series:
    """Replace ids by the first 128 bits of HMAC-SHA-256(key, id); missing stays missing.

    The key is the environment variable ``KPAY_PRIVACY_KEY``; without one, the pseudonyms
    of this process have a random key and can never be linked to another's. Source: RFC 2104.
    """
    key = os.environ.get(KEY_VARIABLE) or _random_key()
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"{KEY_VARIABLE} is too short; use {SHORTEST_KEY} random letters or more")
    codes, known = pd.factorize(ids)
    names = [f"p{hmac.digest(key.encode(), one.encode(), 'sha256').hex()[:32]}" for one in known]
    return pd.Series(np.array([*names, None], dtype=object)[codes], ids.index, dtype="str")


def pseudonymise(tables: Tables) -> tuple[Tables, list[str]]:
    """Replace the ids of users and sessions, and leave out what else may name somebody.

    Of the users every column that no schema knows goes (``email``), of the other tables such
    a column of text. The second value names them as ``users.email``.
    """
    frames, left_out = tables.present(), []
    for name, frame in frames.items():
        further = [column for column in frame if column not in SCHEMAS[name].columns]
        if name != "users":
            further = [column for column in further if not _measured(frame[column])]
        left_out += [f"{name}.{column}" for column in further]
        masked = {column: pseudonyms(frame[column]) for column in PERSONAL if column in frame}
        frames[name] = frame.drop(columns=further).assign(**masked)
    return Tables(**frames), left_out


def _measured(values: pd.Series) -> bool:
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
    """Blank the figures of groups of fewer than ``minimum`` people; add ``suppressed``.

    A total less what is shown gives the hidden groups together: while these are fewer than
    ``minimum`` people, the next smallest group is hidden too. An empty group names nobody.
    ``within`` names the columns of a total (default: the whole table is one), ``hide`` what
    to blank beside the count (default: every number).

    >>> groups = pd.DataFrame({"age": ["18-24", "25-34", "35-44"], "n": [3, 12, 40]})
    >>> suppress_small_groups(groups, "n", 5)["n"].tolist()
    [<NA>, <NA>, 40]
    """
    if minimum < 1:
        raise ValueError(f"minimum is {minimum}; it must be 1 or more")
    sizes = table[count_column].to_numpy(dtype=np.float64, na_value=np.nan)
    if not (sizes >= 0).all():
        raise ValueError(f"{count_column} must hold a count of 0 or more in every row")
    hidden = (sizes > 0) & (sizes < minimum)
    keys = [within] if isinstance(within, str) else list(within or [])
    totals = table.groupby(keys, dropna=False).ngroup() if keys else np.zeros(len(table))
    for total in np.unique(totals):
        rows = np.flatnonzero(totals == total)
        shown = rows[sizes[rows] >= minimum]
        if 0 < sizes[rows[hidden[rows]]].sum() < minimum and len(shown):
            hidden[shown[np.argmin(sizes[shown])]] = True
    result = table.copy()
    for column in {*(table.select_dtypes("number") if hide is None else hide), count_column}:
        whole = pd.api.types.is_integer_dtype(result[column])
        result[column] = (result[column].astype("Int64") if whole else result[column]).mask(hidden)
    return result.assign(suppressed=hidden)


def with_consent(tables: Tables) -> tuple[Tables, int]:
    """Keep the users who consented and their rows; return also how many were left out.

    A missing answer is no consent, and neither is an absence from the users table. Where
    nobody was asked (no users, or no column ``consent``) everybody is kept.
    """
    if tables.users is None or "consent" not in tables.users:
        return tables, 0
    agreed = tables.users.loc[tables.users["consent"].fillna(False).astype(bool), "user_id"]
    kept = {
        name: frame[frame["user_id"].isin(agreed)].reset_index(drop=True)
        for name, frame in tables.present().items()
        if "user_id" in frame
    }
    return replace(tables, **kept), len(tables.ids("user_id")) - len(agreed)
