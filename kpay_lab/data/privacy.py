"""What protects people: consent, and no published group so small that it names someone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables


def suppress_small_groups(
    table: pd.DataFrame,
    count_column: str,
    minimum: int = 10,
    *,
    within: str | Sequence[str] | None = None,
    hide: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Hide the figures of groups with fewer than ``minimum`` people.

    Were exactly one group of a total hidden, the total would give it away: then the next
    smallest group is hidden as well. An empty group names nobody and stays.

    Parameters
    ----------
    table : DataFrame
        One row a group.
    count_column : str
        How many people the group has.
    minimum : int
        Smallest count that may be shown.
    within : str or sequence of str, optional
        The columns that name a total (such as the segment whose ages are listed); by
        default the whole table is one.
    hide : sequence of str, optional
        Columns to blank; by default every numeric one. The count is always among them.

    Returns
    -------
    DataFrame
        A copy with hidden figures missing and a column ``suppressed``.

    Raises
    ------
    ValueError
        If a count is missing or negative, or ``minimum`` is below 1.

    Examples
    --------
    >>> groups = pd.DataFrame({"age": ["18-24", "25-34", "35-44"], "n": [3, 12, 40]})
    >>> suppress_small_groups(groups, "n", 5)["n"].tolist()
    [<NA>, <NA>, 40]
    """
    counts = table[count_column]
    if minimum < 1:
        raise ValueError(f"minimum is {minimum}; it must be 1 or more")
    if counts.isna().any() or (counts < 0).any():
        raise ValueError(f"{count_column} must hold a count of 0 or more in every row")
    sizes = counts.to_numpy(dtype=np.float64)
    hidden = (sizes > 0) & (sizes < minimum)
    totals = np.zeros(len(table), dtype=int)
    if within is not None:
        keys = [within] if isinstance(within, str) else list(within)
        totals = table.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    for total in np.unique(totals):
        rows = np.flatnonzero(totals == total)
        shown = rows[~hidden[rows] & (sizes[rows] > 0)]
        if hidden[rows].sum() == 1 and len(shown):
            hidden[shown[np.argmin(sizes[shown])]] = True
    numeric = table.select_dtypes("number").columns if hide is None else hide
    result = table.copy()
    for column in dict.fromkeys([*numeric, count_column]):
        whole = pd.api.types.is_integer_dtype(result[column])
        values = result[column].astype("Int64") if whole else result[column]
        result[column] = values.mask(hidden)
    return result.assign(suppressed=hidden)


def with_consent(tables: Tables) -> tuple[Tables, int]:
    """Keep the users who consented, and only their rows in every table.

    A missing answer is no consent, and neither is an absence from the users table. Where
    nobody was asked (no users, or no column ``consent``) everybody is kept; a page must
    then say that consent was not recorded.

    Returns
    -------
    Tables, int
        What may be used, and how many users were left out.
    """
    if tables.users is None or "consent" not in tables.users:
        return tables, 0
    consent = tables.users["consent"].fillna(False).astype(bool)
    agreed = tables.users.loc[consent, "user_id"]
    kept = {
        name: frame[frame["user_id"].isin(agreed)].reset_index(drop=True)
        for name, frame in tables.present().items()
        if "user_id" in frame
    }
    return replace(tables, **kept), len(tables.ids("user_id")) - len(agreed)
