"""One row a user, fused from behaviour, orders, exposures and demographics, as known at a cut."""

import numpy as np
import pandas as pd

from kpay_lab.customers.visits import before_visits
from kpay_lab.data.codes import factorize, find_positions, look_up, take_rows
from kpay_lab.data.derived import (
    INTERACTIONS,
    are_whole_days,
    main_label,
    n_interactions,
    watched_share,
)
from kpay_lab.data.money import has_amounts, refunded_amount
from kpay_lab.data.tables import Tables
from kpay_lab.stats import ratio, sample_rows

HABITS = ("category ", "kind ", "hour ")  # columns of taste and habit; the others are amounts


def user_features(
    tables: Tables, cut: pd.Timestamp | None = None, *, leave_out: tuple[str, ...] = ()
) -> pd.DataFrame:
    r"""Describe each user by what was known strictly before the cut.

    Habits (``category …``, ``kind …``, ``hour …``) are log-lifts of the user's share over
    everybody's, shrunk towards 0 by one event a level,

    .. math:: x_{uc} = \log \frac{n_{uc} + C b_c}{(n_u + C) \, b_c}

    with b the share in the whole log and C the number of levels. Amounts are logarithms
    of 1 + count. Demographics are kept as they are, text included. Where the times are whole
    days there are no habits of hours. What somebody did in a live session is
    known when the visit is over (`visits.known_from`).

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
        Index ``user_id``: every user with an event before the cut. A table that is absent
        adds no columns; NaN means that it never happened, such as the click rate of a user
        without an exposure.

    Raises
    ------
    ValueError
        If the events have no time or the cut is outside the log.
    """
    past = tables if cut is None else _known_at_inner_cut(tables, cut)
    return described(past, cut, leave_out=leave_out)


def described(
    past: Tables, cut: pd.Timestamp | None = None, *, leave_out: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Describe users as `user_features` does, by tables as they were known at the cut."""
    users = pd.Index(past.events["user_id"].unique(), name="user_id")
    seen = past if cut is None else before_visits(past, cut)
    blocks = [_behaviour(seen, users), _habits(seen, users), _giving(past, seen, users)]
    if past.orders is not None:
        blocks.append(_orders(past.orders, users))
    if past.exposures is not None and "clicked" in past.exposures:
        user = find_positions(past.exposures["user_id"], users)
        click_rate = past.exposures["clicked"].groupby(user).mean().astype(float)
        of_users = click_rate.reindex(range(len(users))).set_axis(users)
        blocks.append(of_users.rename("click rate").to_frame())
    if past.users is not None:
        excluded = [*leave_out, "consent"]
        demographics = past.users.set_index("user_id").drop(columns=excluded, errors="ignore")
        blocks.append(demographics.reindex(users))
    return pd.concat(blocks, axis=1)


def _known_at_inner_cut(tables: Tables, cut: pd.Timestamp) -> Tables:
    """Return the tables as known at a cut that has events on both sides."""
    first, last = tables.span()
    if not first < cut <= last:
        raise ValueError(f"cut {cut} is outside the log; choose one from {first} to {last}")
    return tables.known_at(cut)


def some_users(tables: Tables, most: int, *, rng: np.random.Generator) -> Tables:
    """Draw at most ``most`` users with events and keep only their rows; rows keep their index."""
    ids = factorize(tables.events["user_id"]).ids
    if len(ids) <= most:
        return tables
    drawn = ids[sample_rows(len(ids), most, rng=rng)]
    sample = {}
    for name, frame in tables.present().items():
        sample[name] = frame
        if "user_id" in frame:
            is_drawn = frame["user_id"].isin(drawn)
            sample[name] = take_rows(frame, is_drawn)
    return Tables(**sample)


def main_group(items: pd.DataFrame, column: str) -> pd.Series:
    """Return each item's group by item_id; of a category such as ``Drama|War`` the first part."""
    return main_label(items.set_index("item_id")[column])


def habit_columns(features: pd.DataFrame) -> list[str]:
    """Return the columns of taste and habit, on which users are grouped."""
    return [name for name in features if name.startswith(HABITS)]


def without_gaps(features: pd.DataFrame) -> pd.DataFrame:
    """Fill gaps in numbers by the column's median; a column without any value is left out."""
    not_empty = features.dropna(axis=1, how="all")
    return not_empty.fillna(not_empty.median()).astype(float)


def _behaviour(past: Tables, users: pd.Index) -> pd.DataFrame:
    """Describe how much each user watches and interacts, one row a user."""
    events = past.events
    user = find_positions(events["user_id"], users)
    n_events = np.bincount(user, minlength=len(users))
    columns = {"log events": np.log1p(n_events)}
    if "watch_time" in events and "duration" in events:
        share = watched_share(events).clip(upper=1.0)  # a replay does not make up for leaving
        columns["watched share"] = share.groupby(user).mean().reindex(range(len(users)))
    interactions = [name for name in INTERACTIONS if name in events]
    if interactions:
        per_user = np.bincount(user, weights=n_interactions(events), minlength=len(users))
        columns["interactions per event"] = ratio(per_user, n_events, undefined=np.nan)
    if "timestamp" in events:
        day = events["timestamp"].dt.floor("D")
        n_days = day.groupby(user).nunique().reindex(range(len(users)), fill_value=0)
        columns["log active days"] = np.log1p(n_days)
    return pd.DataFrame(columns).set_axis(users)


def _habits(past: Tables, users: pd.Index) -> pd.DataFrame:
    """Return the log-lifts of category, kind and three-hour band, one row a user."""
    user_ids = past.events["user_id"]
    blocks = []
    for name in ("category", "kind"):
        if past.items is not None and name in past.items:
            groups = main_group(past.items, name).astype("category")  # small in many rows
            levels = look_up(past.events["item_id"], groups)
            blocks.append(log_lift(user_ids, levels, users).add_prefix(f"{name} "))
    if "timestamp" in past.events and not are_whole_days(past.events["timestamp"]):
        hour = past.events["timestamp"].dt.hour // 3 * 3
        blocks.append(log_lift(user_ids, hour, users).add_prefix("hour "))
    return pd.concat(blocks, axis=1) if blocks else pd.DataFrame(index=users)


def _giving(past: Tables, seen: Tables, users: pd.Index) -> pd.DataFrame:
    """Describe what each user gave, and how many hosts they follow; no column where nobody does.

    Whether there is a column is told by all that is past, what it holds by what was seen of it.
    """
    columns = {}
    if gives(past.events):
        gifts = seen.events.groupby("user_id")["gift_amount"]
        n_gifts = gifts.agg(lambda amounts: amounts.gt(0).sum())
        columns["log gifts"] = np.log1p(n_gifts.reindex(users, fill_value=0))
        columns["log gift amount"] = np.log1p(gifts.sum().reindex(users, fill_value=0.0))
    if past.follows is not None and seen.follows is not None and len(past.follows):
        n_hosts = seen.follows.groupby("user_id")["host"].nunique()
        columns["log follows"] = np.log1p(n_hosts.reindex(users, fill_value=0))
    return pd.DataFrame(columns, index=users)


def gives(events: pd.DataFrame) -> bool:
    """Return whether any event is a gift."""
    return "gift_amount" in events and bool(events["gift_amount"].gt(0).any())


def log_lift(user_ids: pd.Series, levels: pd.Series, users: pd.Index) -> pd.DataFrame:
    """Log of each user's share of each level over everybody's share, shrunk towards 0.

    The shrinkage adds to each user as many rows as there are levels, spread as everybody's
    are; see `user_features`. Where every level is missing, the frame has no column.

    Examples
    --------
    >>> who, what = pd.Series(["u", "u", "w", "w"]), pd.Series(["a", "a", "a", "b"])
    >>> log_lift(who, what, pd.Index(["u", "w"])).round(2)
            a     b
    u    0.15 -0.69
    w   -0.18  0.41
    """
    level, level_names = pd.factorize(levels, sort=True)
    n_levels = len(level_names)
    if n_levels == 0:
        return pd.DataFrame(index=users)
    has_level = level >= 0
    overall_share = np.bincount(level[has_level]) / has_level.sum()
    user = find_positions(user_ids, users)
    counted = (user >= 0) & has_level
    cell = user[counted] * n_levels + level[counted]  # numbers the cells row by row
    cell_counts = np.bincount(cell, minlength=len(users) * n_levels)
    counts = cell_counts.reshape(len(users), n_levels)
    totals = counts.sum(axis=1, keepdims=True)
    shrunk_share = (counts + n_levels * overall_share) / (totals + n_levels)
    lift = shrunk_share / overall_share
    return pd.DataFrame(np.log(lift), index=users, columns=list(level_names))


def _orders(orders: pd.DataFrame, users: pd.Index) -> pd.DataFrame:
    """Describe how often and for how much each user buys, one row a user."""
    by_user = orders.groupby("user_id")
    n_orders = by_user.size().reindex(users, fill_value=0)
    columns = {"log orders": np.log1p(n_orders)}
    if has_amounts(orders):
        mean_amount = by_user["amount"].mean().reindex(users)
        columns["log mean amount"] = np.log1p(mean_amount)
    if "refund_amount" in orders:
        was_refunded = refunded_amount(orders).gt(0)
        refund_rate = was_refunded.groupby(orders["user_id"]).mean()
        columns["refund rate"] = refund_rate.reindex(users)
    return pd.DataFrame(columns)
