"""The outcome that a portrait predicts: a column of the users, or the next interest tag."""

import itertools

import pandas as pd

from kpay_lab.customers.features import user_features
from kpay_lab.customers.portraits import interest_tags
from kpay_lab.data.codes import take_rows
from kpay_lab.data.tables import Tables

NEXT_TAG = "next tag"
Window = tuple[pd.DataFrame, pd.Series]  # features and outcome, both by user_id
LEAST_USERS = 10  # that a label needs: a rarer one cannot be learned, and could identify a person


def labelled_windows(tables: Tables, outcome: str = NEXT_TAG, n_windows: int = 2) -> list[Window]:
    """Pair the users' features, as known at a cut, with the outcome to predict.

    Parameters
    ----------
    outcome : str
        ``"next tag"``: the log is cut into n_windows + 1 parts of as many events; the features
        before each cut go with the first interest tag in the part after it. Otherwise a
        column of users: there is one window, whose features do not hold this column.

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
        return _learnable([_window_of_column(tables, outcome)])
    events = tables.events
    if "timestamp" not in events or tables.items is None or "category" not in tables.items:
        return []
    times = events["timestamp"]
    cuts = [times.quantile(i / (n_windows + 1)) for i in range(1, n_windows + 1)]
    just_after_the_log = times.max() + pd.Timedelta(seconds=1)
    windows = []
    for cut, end in itertools.pairwise([*cuts, just_after_the_log]):
        between = (times >= cut) & (times < end)
        inside = take_rows(events, between)
        tags = interest_tags(tables.with_events(inside), n_tags=1)
        labels = tags.set_index("user_id")["tag"]
        windows.append((user_features(tables, cut), labels))
    return _learnable(windows)


def _window_of_column(tables: Tables, column: str) -> Window:
    """Return one window: the column as the outcome, and the whole log's features without it."""
    if tables.users is None or column not in tables.users:
        columns = [] if tables.users is None else [*tables.users.columns.drop("user_id")]
        raise ValueError(f"outcome is {column!r}; choose {NEXT_TAG!r} or one of {columns}")
    labels = tables.users.set_index("user_id")[column].dropna().astype("str")
    return user_features(tables, leave_out=(column,)), labels


def _learnable(windows: list[Window]) -> list[Window]:
    """Drop rare labels and users without features, then windows of fewer than two labels."""
    learnable = []
    for features, labels in windows:
        with_features = labels[labels.index.isin(features.index)]
        n_users = with_features.map(with_features.value_counts())
        frequent = with_features[n_users >= LEAST_USERS]
        if frequent.nunique() > 1:
            learnable.append((features, frequent))
    return learnable
