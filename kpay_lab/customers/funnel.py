"""The funnel: shown → watched → interacted → ordered → learned → reviewed, refunded."""

import numpy as np
import pandas as pd

from kpay_lab.data.derived import item_sold
from kpay_lab.data.money import refunded_amount
from kpay_lab.data.tables import Tables
from kpay_lab.stats import bootstrap_ratio

# Each step and the step whose pairs it is a share of. Interacting is no condition for buying.
STEPS = {
    "shown": None,
    "watched": "shown",
    "interacted": "watched",
    "ordered": "watched",
    "learned": "ordered",
    "reviewed": "ordered",
    "refunded": "ordered",
}
BY = ("kind", "host", "category", "hour")


def funnel_pairs(tables: Tables) -> pd.DataFrame:
    """Follow each (user, item) pair from its first exposure, or first event where none is logged.

    Returns
    -------
    DataFrame
        user_id, item_id, first, kind, host, category, hour (as far as known) and a boolean
        column a step. ``ordered``, ``learned``, ``reviewed`` and ``refunded`` speak of the
        course that the item sells and count from the first contact on, so that an order counts
        for every item that led to it; ``learned`` is
        progress above 0 and ``reviewed`` a rating, both after the order.

    Raises
    ------
    ValueError
        If the events have no timestamp.
    """
    if "timestamp" not in tables.events:
        raise ValueError("a funnel needs events.timestamp; this log has no times")
    events, key = tables.events, ["user_id", "item_id"]
    shown = events if tables.exposures is None else tables.exposures
    pairs = shown.groupby(key, sort=False)["timestamp"].min().rename("first").reset_index()
    pairs["shown"] = tables.exposures is not None
    pairs["offer"] = item_sold(pairs["item_id"], tables.items)
    if tables.items is not None:
        items = tables.items.set_index("item_id")
        for name in ("kind", "host", "category"):
            if name in items:
                pairs[name] = pairs["item_id"].map(items[name])
    pairs["hour"] = pairs["first"].dt.hour
    counts = events.filter(regex="^(like|comment|share|question)_count$")
    marked = events[counts.fillna(0).sum(axis=1) > 0]
    pairs["watched"] = _follows(pairs, "item_id", "first", events)
    pairs["interacted"] = _follows(pairs, "item_id", "first", marked)
    if tables.orders is not None:
        return _after_the_order(pairs, tables.orders, events)
    return pairs.assign(ordered=False, learned=False, reviewed=False, refunded=False)


def funnel(
    pairs: pd.DataFrame, by: str | None = None, *, rng: np.random.Generator, n_resamples: int = 500
) -> pd.DataFrame:
    """Count each step and its rate; users are resampled whole for the 95 % intervals.

    Parameters
    ----------
    pairs : DataFrame
        From `funnel_pairs`.
    by : {"kind", "host", "category", "hour"}, optional
        One funnel a value.

    Returns
    -------
    DataFrame
        The value of ``by`` (or "all"), step, of (the step before), n, n_users, rate, low,
        high; rate = pairs in both steps / pairs in the step before, NaN for the first.
    """
    if by is not None and (by not in BY or by not in pairs):
        known = [name for name in BY if name in pairs]
        raise ValueError(f"by is {by!r}; this funnel can be split by {', '.join(known)}")
    rows = []
    groups = [("all", pairs)] if by is None else pairs.groupby(by, observed=True)
    for value, group in groups:
        user, users = pd.factorize(group["user_id"])
        for step, before in STEPS.items():
            inside = group[step].to_numpy(dtype=float)
            row = [value, step, before, int(inside.sum()), len(np.unique(user[inside > 0]))]
            base = None if before is None else group[before].to_numpy(dtype=float)
            if base is None or base.sum() == 0:
                rows.append([*row, np.nan, np.nan, np.nan])
                continue
            sums = (np.bincount(user, w, len(users)) for w in (inside * base, base))
            rate = bootstrap_ratio(*sums, rng=rng, n_resamples=n_resamples)
            rows.append([*row, rate.estimate, rate.low, rate.high])
    names = [by or "group", "step", "of", "n", "n_users", "rate", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def time_to_purchase(pairs: pd.DataFrame) -> pd.DataFrame:
    """Hours from the first contact with a course, or what sells it, to its order.

    Returns
    -------
    DataFrame
        user_id, item_id (the course), hours: one row a course bought after a contact.
    """
    bought = pairs[pairs["ordered"]]
    first = bought.groupby(["user_id", "offer"], sort=False)[["first", "ordered_at"]].min()
    hours = (first["ordered_at"] - first["first"]) / pd.Timedelta(hours=1)
    return hours.rename("hours").rename_axis(["user_id", "item_id"]).reset_index()


def retention(tables: Tables, *, days: int = 7) -> pd.DataFrame:
    """Share of each cohort that comes back: users who started in a period, active n periods on.

    Periods that the log does not cover whole are NaN.

    Returns
    -------
    DataFrame
        Index: start of the cohort; column ``users``, then one column a period from 0.
    """
    start, period = tables.events["timestamp"].min().floor("D"), pd.Timedelta(days=days)
    seen = pd.DataFrame({"user_id": tables.events["user_id"]})
    seen["period"] = (tables.events["timestamp"] - start) // period
    seen = seen.drop_duplicates()
    seen["cohort"] = seen.groupby("user_id")["period"].transform("min")
    seen["age"] = seen["period"] - seen["cohort"]
    counts = seen.pivot_table(index="cohort", columns="age", values="user_id", aggfunc="count")
    whole = (tables.events["timestamp"].max() - start + pd.Timedelta(seconds=1)) // period
    counts = counts.reindex(columns=range(int(seen["period"].max()) + 1))
    users = counts[0].astype(int)
    covered = counts.index.to_numpy()[:, None] + counts.columns.to_numpy() < max(whole, 1)
    share = counts.fillna(0).div(users, axis=0).where(covered)
    share.insert(0, "users", users)
    return share.set_axis(start + share.index * period).rename_axis("cohort")


def _follows(pairs: pd.DataFrame, item: str, since: str, log: pd.DataFrame) -> np.ndarray:
    """Whether the log's last row of the pair is not before ``since``."""
    last = log.groupby(["user_id", "item_id"])["timestamp"].max()
    keys = pd.MultiIndex.from_frame(pairs[["user_id", item]])
    return (last.reindex(keys).array >= pairs[since].array).astype(bool)


def _after_the_order(
    pairs: pd.DataFrame, orders: pd.DataFrame, events: pd.DataFrame
) -> pd.DataFrame:
    orders = orders.sort_values("timestamp").drop_duplicates(["user_id", "item_id"], keep="last")
    keys = pd.MultiIndex.from_frame(pairs[["user_id", "offer"]])
    bought = orders.set_index(["user_id", "item_id"]).reindex(keys)
    at = bought["timestamp"].reset_index(drop=True)
    pairs["ordered"] = (at >= pairs["first"]) & pairs["watched"]
    pairs["ordered_at"] = at.where(pairs["ordered"])
    for step, column in (("learned", "progress"), ("reviewed", "rating")):
        done = events[events[column] > 0] if column in events else events[:0]
        pairs[step] = _follows(pairs, "offer", "ordered_at", done)
    paid_back = refunded_amount(bought).gt(0).to_numpy()
    pairs["refunded"] = pairs["ordered"] & paid_back
    return pairs
