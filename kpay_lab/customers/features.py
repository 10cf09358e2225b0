"""One row a user, fused from behaviour, orders, exposures and demographics, as known at a cut."""

import numpy as np
import pandas as pd

from kpay_lab.data.derived import main_label, watched_share
from kpay_lab.data.money import refunded_amount
from kpay_lab.data.tables import Tables
from kpay_lab.stats import sample_rows

HABITS = ("category ", "kind ", "hour ")  # columns of taste and habit; the others are amounts
INTERACTIONS = ["like_count", "comment_count", "share_count", "question_count"]


def user_features(
    tables: Tables, cut: pd.Timestamp | None = None, *, leave_out: tuple[str, ...] = ()
) -> pd.DataFrame:
    r"""Describe each user by what was known strictly before the cut.

    Habits (``category …``, ``kind …``, ``hour …``) are log-lifts of the user's share over
    everybody's, shrunk towards 0 by one event a level,

    .. math:: x_{uc} = \log \frac{n_{uc} + C b_c}{(n_u + C) \, b_c}

    with b the share in the whole log and C the number of levels. Amounts are logarithms
    of 1 + count. Demographics are kept as they are, text included.

    Parameters
    ----------
    tables : Tables
    cut : Timestamp, optional
        None uses the whole log.
    leave_out : tuple of str
        Columns of users that must not enter, such as the outcome.

    Returns
    -------
    DataFrame
        Index ``user_id``: every user with an event before the cut. What a table that is
        absent would say is absent; NaN is "never happened", such as a click rate unseen.

    Raises
    ------
    ValueError
        If the events have no time or the cut is outside the log.
    """
    past = tables if cut is None else _known_inside(tables, cut)
    users = pd.Index(past.events["user_id"].unique(), name="user_id")
    parts = [_behaviour(past, users), _habits(past, users)]
    if past.orders is not None:
        parts.append(_orders(past.orders, users))
    if past.exposures is not None and "clicked" in past.exposures:
        clicks = past.exposures.groupby("user_id")["clicked"].mean()
        parts.append(clicks.astype(float).reindex(users).rename("click rate").to_frame())
    if past.users is not None:
        hidden = [*leave_out, "consent"]
        people = past.users.set_index("user_id").drop(columns=hidden, errors="ignore")
        parts.append(people.reindex(users))
    return pd.concat(parts, axis=1)


def _known_inside(tables: Tables, cut: pd.Timestamp) -> Tables:
    """Return the tables as known at a cut that has events on both sides."""
    first, last = tables.span()
    if not first < cut <= last:
        raise ValueError(f"cut {cut} is outside the log; choose one from {first} to {last}")
    return tables.known_at(cut)


def some_users(tables: Tables, most: int, *, rng: np.random.Generator) -> Tables:
    """Draw at most ``most`` users with events and keep only their rows; rows keep their index."""
    ids = pd.Index(tables.events["user_id"].unique())
    if len(ids) <= most:
        return tables
    chosen = ids[sample_rows(len(ids), most, rng=rng)]
    kept = {
        name: frame[frame["user_id"].isin(chosen)] if "user_id" in frame else frame
        for name, frame in tables.present().items()
    }
    return Tables(**kept)


def main_group(items: pd.DataFrame, column: str) -> pd.Series:
    """Return each item's group by item_id; of a category such as ``Drama|War`` the first part."""
    return main_label(items.set_index("item_id")[column])


def habit_columns(features: pd.DataFrame) -> list[str]:
    """Return the columns of taste and habit, on which users are grouped."""
    return [name for name in features if name.startswith(HABITS)]


def without_gaps(features: pd.DataFrame) -> pd.DataFrame:
    """Fill gaps in numbers by the column's median; a column without any value is left out."""
    known = features.dropna(axis=1, how="all")
    return known.fillna(known.median()).astype(float)


def _behaviour(past: Tables, users: pd.Index) -> pd.DataFrame:
    events = past.events
    who = users.get_indexer(events["user_id"])
    n = np.bincount(who)
    columns = {"log events": np.log1p(n)}
    if "watch_time" in events and "duration" in events:
        share = watched_share(events).clip(upper=1.0)  # a replay does not make up for leaving
        columns["watched share"] = share.groupby(who).mean()
    if marks := [name for name in INTERACTIONS if name in events]:
        total = events[marks].sum(axis=1).to_numpy(dtype=np.float64)
        columns["interactions per event"] = np.bincount(who, weights=total) / n
    if "timestamp" in events:
        days = events["timestamp"].dt.floor("D").groupby(who).nunique()
        columns["log active days"] = np.log1p(days)
    return pd.DataFrame(columns).set_axis(users)


def _habits(past: Tables, users: pd.Index) -> pd.DataFrame:
    who, parts = past.events["user_id"], []
    for name in ("category", "kind"):
        if past.items is not None and name in past.items:
            levels = past.events["item_id"].map(main_group(past.items, name))
            parts.append(log_lift(who, levels, users).add_prefix(f"{name} "))
    if "timestamp" in past.events:
        hour = past.events["timestamp"].dt.hour // 3 * 3
        parts.append(log_lift(who, hour, users).add_prefix("hour "))
    return pd.concat(parts, axis=1) if parts else pd.DataFrame(index=users)


def log_lift(user_ids: pd.Series, levels: pd.Series, users: pd.Index) -> pd.DataFrame:
    """Log of each user's share of each level over everybody's share, shrunk towards 0.

    Without any level known there is no column.

    Examples
    --------
    >>> who, what = pd.Series(["u", "u", "w", "w"]), pd.Series(["a", "a", "a", "b"])
    >>> log_lift(who, what, pd.Index(["u", "w"])).round(2)
            a     b
    u    0.15 -0.69
    w   -0.18  0.41
    """
    code, names = pd.factorize(levels, sort=True)
    if len(names) == 0:
        return pd.DataFrame(index=users)
    base = np.bincount(code[code >= 0]) / (code >= 0).sum()
    who, width = users.get_indexer(user_ids), len(names)
    known = (who >= 0) & (code >= 0)
    cells = np.bincount(who[known] * width + code[known], minlength=len(users) * width)
    counts = cells.reshape(len(users), width)
    shrunk = (counts + width * base) / (counts.sum(axis=1, keepdims=True) + width)
    return pd.DataFrame(np.log(shrunk / base), index=users, columns=names)


def _orders(orders: pd.DataFrame, users: pd.Index) -> pd.DataFrame:
    by_user = orders.groupby("user_id")
    columns = {"log orders": np.log1p(by_user.size().reindex(users, fill_value=0))}
    columns["log mean amount"] = np.log1p(by_user["amount"].mean()).reindex(users)
    if "refund_amount" in orders:
        refunded = refunded_amount(orders).gt(0).groupby(orders["user_id"]).mean()
        columns["refund rate"] = refunded.reindex(users)
    return pd.DataFrame(columns)
