"""What a portrait is asked to foretell: a column of the users, or the interest tag to come."""

import pandas as pd

from kpay_lab.customers.features import user_features
from kpay_lab.customers.portraits import interest_tags
from kpay_lab.data.tables import Tables

NEXT_TAG = "next tag"
Window = tuple[pd.DataFrame, pd.Series]
LEAST = 10  # users a label needs; rarer ones cannot be learned, and could name a person


def labelled_windows(tables: Tables, outcome: str = NEXT_TAG, n_windows: int = 2) -> list[Window]:
    """Pair what was known of the users with what is to be foretold.

    Parameters
    ----------
    outcome : str
        ``"next tag"``: the log is cut into n_windows + 1 parts of as many events; the features
        before each cut go with the first interest tag in the part after it. Otherwise a
        column of users, which is one window, and leaves the features.

    Returns
    -------
    list of (features, outcome), in time order
        Both by user_id. Labels of fewer than ten users are left out, and windows of fewer
        than two labels; so it is empty where the log knows no times or no categories.

    Raises
    ------
    ValueError
        If the users have no such column.
    """
    if outcome != NEXT_TAG:
        if tables.users is None or outcome not in tables.users:
            known = [] if tables.users is None else [*tables.users.columns.drop("user_id")]
            raise ValueError(f"outcome is {outcome!r}; choose {NEXT_TAG!r} or one of {known}")
        labels = tables.users.set_index("user_id")[outcome].dropna().astype("str")
        return _learnable([(user_features(tables, leave_out=(outcome,)), labels)])
    events = tables.events
    if "timestamp" not in events or tables.items is None or "category" not in tables.items:
        return []
    times = events["timestamp"]
    cuts = [times.quantile(i / (n_windows + 1)) for i in range(1, n_windows + 1)]
    windows = []
    for cut, end in zip(cuts, [*cuts[1:], times.max() + pd.Timedelta(seconds=1)], strict=True):
        part = tables.with_events(events[(times >= cut) & (times < end)])
        tags = interest_tags(part, n_tags=1).set_index("user_id")["tag"]
        windows.append((user_features(tables, cut), tags))
    return _learnable(windows)


def _learnable(windows: list[Window]) -> list[Window]:
    """Keep the users whose features and label are known, and windows of two labels or more."""
    kept = []
    for features, labels in windows:
        known = labels[labels.index.isin(features.index)]
        frequent = known[known.map(known.value_counts()) >= LEAST]
        if frequent.nunique() > 1:
            kept.append((features, frequent))
    return kept
