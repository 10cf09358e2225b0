"""The funnel: shown → watched → interacted → ordered → learned → reviewed, refunded."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from kpay_lab.data.codes import factorize, look_up, take_rows
from kpay_lab.data.derived import (
    INTERACTIONS,
    are_whole_days,
    item_sold,
    n_interactions,
    orders_of_items,
    pairs_of_orders,
)
from kpay_lab.data.money import has_amounts, net_amount, refunded_amount
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding
from kpay_lab.stats import Interval, bootstrap_ratio, wilson

# Each step, and the step that its rate is a share of. One can buy without interacting.
STEPS = {
    "shown": None,
    "watched": "shown",
    "interacted": "watched",
    "ordered": "watched",
    "learned": "ordered",
    "reviewed": "ordered",
    "refunded": "ordered",
}
STEPS_FROM_WATCHING = {step: of for step, of in STEPS.items() if step != "shown"} | {
    "watched": None  # where nobody logged what was shown
}
STEPS_OF_PEOPLE = {
    "watched": None,
    "interacted": "watched",
    "ordered": "watched",
    "ordered again": "ordered",
    "refunded": "ordered",
}
LOSING_STEPS = ("ordered", "ordered again")  # who does not take them is lost
BY = ("kind", "host", "category", "hour")
SOON = 0.5  # hours since the first contact
LATE = 7 * 24.0


def funnel_pairs(tables: Tables) -> pd.DataFrame:
    """Follow each (user, item) pair from its first exposure, or first event where none is logged.

    Events without a time are left out.

    Returns
    -------
    DataFrame
        user_id, item_id, first, kind, host, category, hour (as far as known) and a boolean
        column a step. ``ordered``, ``learned``, ``reviewed`` and ``refunded`` are about the
        course that the item sells and count from the first contact on, so that an order counts
        for every item that led to it; ``learned`` is
        progress above 0 and ``reviewed`` a rating, both after the order. A step that the log
        has no column for is left out, and those of orders where no order names its item.
        ``hours`` lie between first contact and order. Where orders are whole days, one of the
        day of the first contact follows it, 0 hours later.

    Raises
    ------
    ValueError
        If the events have no timestamp.
    """
    if "timestamp" not in tables.events:
        raise ValueError("a funnel needs events.timestamp; this log has no times")
    tables = tables.timed()
    events = tables.events
    contacts = events if tables.exposures is None else tables.exposures
    by_pair = contacts.groupby(["user_id", "item_id"], sort=False)
    pairs = by_pair["timestamp"].min().rename("first").reset_index()
    pairs["shown"] = tables.exposures is not None
    pairs["offer"] = item_sold(pairs["item_id"], tables.items)
    if tables.items is not None:
        items = tables.items.set_index("item_id")
        for name in ("kind", "host", "category"):
            if name in items:
                pairs[name] = look_up(pairs["item_id"], items[name])
    if not are_whole_days(contacts["timestamp"]):
        pairs["hour"] = pairs["first"].dt.hour
    pairs["watched"] = _follows(pairs, "item_id", "first", events)
    if _known_interactions(events):
        pairs["interacted"] = _follows(pairs, "item_id", "first", _interactions(events))
    if tables.orders is None or orders_of_items(tables.orders).empty:
        return pairs
    return _after_the_order(pairs, orders_of_items(tables.orders), events)


def funnel_people(tables: Tables) -> pd.DataFrame:
    """Follow each person from the first event on, however many items were watched or bought.

    Events without a time are left out. An order of anything counts, of a subscription too; one
    before the person's first event does not. Where orders are whole days, those of the day of the
    first event count.

    Returns
    -------
    DataFrame
        One row a person with an event: user_id, first, ordered_at (the first order), hours
        between the two (NaN without an order), whether they ``ordered before`` the first event,
        and a boolean column for each of `STEPS_OF_PEOPLE` that the log has columns for;
        ``ordered again`` is an order at another time.
    """
    events = tables.timed().events
    first = events.groupby("user_id", sort=False)["timestamp"].min().rename("first")
    people = first.reset_index().assign(watched=True)
    of_interactions = _interactions(events)["user_id"].unique()
    if _known_interactions(events):
        people["interacted"] = people["user_id"].isin(of_interactions)
    orders = events.head(0) if tables.orders is None else tables.orders
    since = _since(first, orders)
    since_of_order = look_up(orders["user_id"], since)
    counted = orders[orders["timestamp"] >= since_of_order]
    too_early = orders[orders["timestamp"] < since_of_order]
    by_person = counted.groupby("user_id")["timestamp"].agg(["min", "nunique"])
    of_person = by_person.reindex(people["user_id"]).reset_index()
    people["ordered_at"] = of_person["min"]
    since_of_person = since.reset_index(drop=True)
    people["hours"] = (people["ordered_at"] - since_of_person) / pd.Timedelta(hours=1)
    people["ordered before"] = people["user_id"].isin(too_early["user_id"].unique())
    people["ordered"] = people["ordered_at"].notna()
    people["ordered again"] = of_person["nunique"] > 1
    if "refund_amount" in counted:
        was_refunded = refunded_amount(counted) > 0
        people["refunded"] = people["user_id"].isin(counted.loc[was_refunded, "user_id"])
    return people


def bought_unwatched(tables: Tables) -> pd.DataFrame:
    """Return the orders of what the buyer has no event with, at any time, nor with what sells it.

    Of an order that names no item, such as a subscription, they are those of buyers without any
    event. Rows keep their labels.

    Raises
    ------
    ValueError
        If there is no orders table.
    """
    orders = tables.orders
    if orders is None:
        raise ValueError("what was bought stands in the orders, and this log has none")
    watched = tables.events[["user_id", "item_id"]]
    of_items = orders_of_items(orders)
    bought, itself, what_it_sells = pairs_of_orders(of_items, watched, tables.items)
    is_watched = np.isin(bought, itself) | np.isin(bought, what_it_sells)
    unwatched_items = of_items.index[~is_watched]
    of_anything = orders.drop(index=of_items.index)
    has_watched = of_anything["user_id"].isin(watched["user_id"].unique())
    unwatched_rest = of_anything.index[~has_watched]
    unwatched = unwatched_items.union(unwatched_rest)
    return orders[orders.index.isin(unwatched)]


def _known_interactions(events: pd.DataFrame) -> list[str]:
    return [name for name in INTERACTIONS if name in events]


def _interactions(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events with a like, comment, share or question."""
    return take_rows(events, n_interactions(events) > 0)


def funnel(
    pairs: pd.DataFrame,
    by: str | None = None,
    *,
    steps: Mapping[str, str | None] | None = None,
    rng: np.random.Generator,
    n_resamples: int = 500,
) -> pd.DataFrame:
    """Count each step and its rate; users are resampled whole for the 95 % intervals.

    Parameters
    ----------
    pairs : DataFrame
        From `funnel_pairs` or `funnel_people`.
    by : {"kind", "host", "category", "hour"}, optional
        One funnel a value.
    steps : mapping, optional
        Each step, and the step that its rate is a share of; by default `STEPS`, or
        `STEPS_FROM_WATCHING` where no pair was shown. Steps that ``pairs`` lack are left out.

    Returns
    -------
    DataFrame
        The value of ``by`` (or "all"), step, of (the step before), n, n_users, rate, low,
        high; rate = pairs in both steps / pairs in the step before, NaN for the first.
    """
    if by is not None and (by not in BY or by not in pairs):
        choices = [name for name in BY if name in pairs]
        raise ValueError(f"by is {by!r}; this funnel can be split by {', '.join(choices)}")
    if steps is None:
        steps = STEPS if pairs["shown"].any() else STEPS_FROM_WATCHING
    known_steps = {step: previous for step, previous in steps.items() if step in pairs}
    rows = []
    groups = [("all", pairs)] if by is None else pairs.groupby(by, observed=True)
    for value, group in groups:
        for step, previous in known_steps.items():
            in_step = group[step]
            n_users = group.loc[in_step, "user_id"].nunique()
            rate = _rate(group, step, previous, rng, n_resamples)
            counts = (value, step, previous, in_step.sum(), n_users)
            rows.append((*counts, rate.estimate, rate.low, rate.high))
    columns = [by or "group", "step", "of", "n", "n_users", "rate", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def people_findings(steps: pd.DataFrame) -> list[Finding]:
    """Return where people are lost, the largest loss first.

    Parameters
    ----------
    steps : DataFrame
        A `funnel` of `funnel_people`: step, of, n, rate, low, high. Rows whose numbers are
        hidden (NaN) say nothing.
    """
    n_people = steps.set_index("step")["n"]
    known = steps[steps["of"].notna() & steps["rate"].notna()]
    losses = []
    for row in known[known["step"].isin(LOSING_STEPS)].itertuples():
        n_before = n_people[row.of]
        if pd.isna(n_before):
            continue
        values = {"step": row.step, "n_before": int(n_before), "n_lost": int(n_before - row.n)}
        values |= {"share": 1 - row.rate, "low": 1 - row.high, "high": 1 - row.low}
        losses.append(values)
    losses.sort(key=lambda values: values["n_lost"], reverse=True)
    levels = ["watch", "plain"]
    found = []
    for level, values in zip(levels, losses, strict=False):
        found.append(Finding("funnel/lost", level, values, place="people"))
    return found


def sales_totals(tables: Tables) -> pd.Series:
    """Count the people, buyers and orders of a log, and add up its money.

    Returns
    -------
    Series
        ``people with an event``, ``buyers``, ``orders``, and as far as the orders tell it ``paid``
        and ``paid back``. An order without an amount adds no money. Without orders it has people
        alone.
    """
    totals: dict[str, float] = {"people with an event": tables.events["user_id"].nunique()}
    orders = tables.orders
    if orders is not None:
        totals["buyers"] = orders["user_id"].nunique()
        totals["orders"] = len(orders)
    if orders is not None and has_amounts(orders):
        paid = orders["amount"].sum()
        totals["paid"] = paid
        if "refund_amount" in orders:
            totals["paid back"] = paid - net_amount(orders).sum()
    return pd.Series(totals, dtype=float)


def refund_findings(
    orders: pd.DataFrame, *, currency: str = "", rng: np.random.Generator, n_resamples: int = 500
) -> list[Finding]:
    """Return how much of the money was paid back; nothing where amounts or refunds are not known.

    Buyers are resampled whole for the interval.

    Parameters
    ----------
    currency : str
        That of the orders.
    """
    if not has_amounts(orders) or "refund_amount" not in orders:
        return []
    kept = net_amount(orders).fillna(0.0)
    amounts = pd.DataFrame({"paid": orders["amount"].fillna(0.0)})
    amounts["refunded"] = amounts["paid"] - kept
    by_buyer = amounts.groupby(orders["user_id"]).sum()
    paid = by_buyer["paid"].to_numpy()
    refunded = by_buyer["refunded"].to_numpy()
    if not paid.sum() > 0:
        return []
    share = bootstrap_ratio(refunded, paid, rng=rng, n_resamples=n_resamples)
    values = {"paid": paid.sum(), "refunded": refunded.sum(), "currency": currency}
    values |= {"share": share.estimate, "low": share.low, "high": share.high}
    return [Finding("funnel/refunded_money", "plain", values, place="totals")]


def unwatched_findings(
    unwatched: pd.DataFrame, orders: pd.DataFrame, *, smallest_group: int = 1
) -> list[Finding]:
    """Return how many orders are of what their buyer was never seen to watch, if any.

    Parameters
    ----------
    unwatched : DataFrame
        The orders of `bought_unwatched`.
    orders : DataFrame
        All orders.
    smallest_group : int
        Nothing is said of fewer buyers than this, 1 or more.
    """
    if unwatched["user_id"].nunique() < smallest_group:
        return []
    values: dict[str, float] = {"n": len(unwatched), "n_orders": len(orders)}
    values["share"] = len(unwatched) / len(orders)
    values["names_items"] = not orders_of_items(orders).empty
    return [Finding("funnel/unwatched", "watch", values, place="outside")]


def outside_funnel(
    unwatched: pd.DataFrame, orders: pd.DataFrame, people: pd.DataFrame
) -> pd.DataFrame:
    """Count what stands in no step of the funnel of people.

    Parameters
    ----------
    unwatched, orders : DataFrame
        The orders of `bought_unwatched`, and all orders.
    people : DataFrame
        From `funnel_people`.

    Returns
    -------
    DataFrame
        Two rows: ``what`` in words, ``n`` and ``of`` how many, ``share``, and ``n_users`` behind
        them.
    """
    n_before = int(people["ordered before"].sum())
    rows = [
        ("orders of what was never watched", len(unwatched), len(orders)),
        ("people with an order before their first event", n_before, len(people)),
    ]
    table = pd.DataFrame(rows, columns=["what", "n", "of"])
    table["share"] = table["n"] / table["of"].clip(lower=1)
    table["n_users"] = [unwatched["user_id"].nunique(), n_before]
    return table


def pairs_findings(pairs: pd.DataFrame) -> list[Finding]:
    """Return how many purchases the pairs that end in an order are; nothing without such pairs.

    A purchase is a course bought by a person; it stands in a pair for every item that led to it.
    """
    if "ordered" not in pairs or not pairs["ordered"].any():
        return []
    n_pairs = pairs["ordered"].sum()
    n_purchases = len(time_to_purchase(pairs))
    values = {"n_pairs": n_pairs, "n_purchases": n_purchases}
    return [Finding("funnel/pairs", "plain", values, place="funnel")]


def waiting_shares(hours: pd.Series, *, are_days: bool = False) -> pd.DataFrame:
    """Divide purchases by how long after the first contact they came.

    Parameters
    ----------
    hours : Series
        Of each purchase.
    are_days : bool
        Whether times are whole days: then the first part is the day of the first contact.

    Returns
    -------
    DataFrame
        ``after`` (the part, in words), n, share.

    >>> waiting_shares(pd.Series([0.1, 0.5, 30.0, 400.0]))["n"].tolist()
    [2, 0, 1, 1, 0]
    """
    first_edge = 0.0 if are_days else SOON
    first_words = "the same day" if are_days else "up to half an hour"
    edges = [-np.inf, first_edge, 24.0, LATE, 4 * LATE, np.inf]
    words = [first_words, "up to 1 day", "up to 7 days", "up to 28 days", "more than 28 days"]
    part = pd.cut(hours, edges, labels=words)
    n_of_part = part.value_counts(sort=False)
    table = n_of_part.rename_axis("after").rename("n").reset_index()
    table["after"] = table["after"].astype("str")
    table["share"] = table["n"] / max(len(hours), 1)
    return table


def waiting_findings(hours: pd.Series, what: str, *, are_days: bool = False) -> list[Finding]:
    """Return how many purchases come at once, how many late, and whether the median tells.

    Parameters
    ----------
    hours : Series
        Hours since the first contact of each purchase, one or more.
    what : str
        What was bought, such as "purchases of a course".
    are_days : bool
        Whether times are whole days.
    """
    soon_edge = 0.0 if are_days else SOON
    soon = (hours <= soon_edge).mean()
    late = (hours > LATE).mean()
    between = max(1 - soon - late, 0.0)
    values = {"what": what, "n": len(hours), "unit": "day" if are_days else "moment"}
    values |= {"soon": soon, "between": between, "late": late, "median": hours.median()}
    values |= {"soon_limit": SOON, "late_limit": LATE}
    return [Finding("funnel/waiting", "plain", values, place="waiting")]


def returning_findings(cohorts: pd.DataFrame, *, days: int) -> list[Finding]:
    """Return how many people were active again in the period after their first.

    Parameters
    ----------
    cohorts : DataFrame
        From `retention`; cohorts whose second period the log does not cover whole say nothing.
    days : int
        The length of a period.
    """
    if 1 not in cohorts:
        return []
    whole = cohorts[cohorts[1].notna()]
    n_people = int(whole["users"].sum())
    if n_people == 0:
        return []
    n_back = round((whole["users"] * whole[1]).sum())
    share = wilson(n_back, n_people)
    values = {"n": n_back, "n_people": n_people, "days": days}
    values |= {"share": share.estimate, "low": share.low, "high": share.high}
    return [Finding("funnel/returning", "plain", values, place="retention")]


def step_rates(breakdown: pd.DataFrame, step: str) -> pd.DataFrame:
    """Return ``rate, low, high`` of one step by group, as far as known.

    ``breakdown`` is a `funnel` by something. Hours stay in order, of other groups the highest
    rate comes first.
    """
    by = breakdown.columns[0]
    rows = breakdown[breakdown["step"] == step].dropna(subset="rate")
    if by != "hour":
        rows = rows.sort_values("rate", ascending=False)
    return rows.set_index(by)[["rate", "low", "high"]].astype(float)


def _rate(
    pairs: pd.DataFrame, step: str, previous: str | None, rng: np.random.Generator, n_resamples: int
) -> Interval:
    """Return the share of the pairs in the step ``previous`` that are in ``step`` too.

    NaN where there is no step before, or no pair in it.
    """
    if previous is None or not pairs[previous].any():
        return Interval(np.nan, np.nan, np.nan)
    user, user_ids = factorize(pairs["user_id"])
    in_previous = pairs[previous].to_numpy(dtype=float)
    in_both = in_previous * pairs[step].to_numpy(dtype=float)
    in_both_by_user = np.bincount(user, in_both, len(user_ids))
    previous_by_user = np.bincount(user, in_previous, len(user_ids))
    return bootstrap_ratio(in_both_by_user, previous_by_user, rng=rng, n_resamples=n_resamples)


def time_to_purchase(pairs: pd.DataFrame) -> pd.DataFrame:
    """Hours from the first contact with a course, or what sells it, to its order.

    Returns
    -------
    DataFrame
        user_id, item_id (the course), hours: one row a course bought after a contact; none
        where no order names its item.
    """
    if "ordered" not in pairs or not pairs["ordered"].any():
        return pd.DataFrame({"user_id": [], "item_id": [], "hours": []})
    bought = pairs[pairs["ordered"]]
    since_first_contact = bought.groupby(["user_id", "offer"], sort=False)["hours"].max()
    return since_first_contact.rename_axis(["user_id", "item_id"]).reset_index()


def retention(tables: Tables, *, days: int = 7) -> pd.DataFrame:
    """Share of each cohort that is active again n periods after its first.

    A cohort is the users whose first event lies in the same period of ``days`` days. Periods
    that the log does not cover whole are NaN. Events without a time are left out.

    Returns
    -------
    DataFrame
        Index: start of the cohort; column ``users``, then one column a period from 0.
    """
    events = tables.timed().events
    times = events["timestamp"]
    start = times.min().floor("D")
    period = pd.Timedelta(days=days)
    active = pd.DataFrame({"user_id": events["user_id"]})
    active["period"] = (times - start) // period
    active = active.drop_duplicates()
    active["cohort"] = active.groupby("user_id")["period"].transform("min")
    active["age"] = active["period"] - active["cohort"]
    counts = active.pivot_table(index="cohort", columns="age", values="user_id", aggfunc="count")
    last_period = int(active["period"].max())
    counts = counts.reindex(columns=range(last_period + 1))
    users = counts[0].astype(int)
    log_length = times.max() - start + pd.Timedelta(seconds=1)
    n_whole_periods = max(log_length // period, 1)
    period_of_cell = counts.index.to_numpy()[:, None] + counts.columns.to_numpy()
    share = counts.fillna(0).div(users, axis=0)
    share = share.where(period_of_cell < n_whole_periods)
    share.insert(0, "users", users)
    cohort_start = start + share.index * period
    return share.set_axis(cohort_start).rename_axis("cohort")


def _follows(pairs: pd.DataFrame, item: str, since: str, log: pd.DataFrame) -> np.ndarray:
    """Mark the pairs of which the log has a row at or after the time in the column ``since``.

    ``item`` is the column whose ids the log uses: ``item_id`` or ``offer``.
    """
    last_time = log.groupby(["user_id", "item_id"])["timestamp"].max()
    keys = pd.MultiIndex.from_frame(pairs[["user_id", item]])
    last_of_pair = last_time.reindex(keys).array
    return (last_of_pair >= pairs[since].array).astype(bool)


def _since(first: pd.Series, orders: pd.DataFrame) -> pd.Series:
    """Return from when on an order follows a first contact: its day, where orders are days."""
    times = orders["timestamp"]
    if not are_whole_days(times):
        return first
    midnight = times.iloc[0] - times.iloc[0].floor("D")  # not that of UTC in every zone
    return (first - midnight).dt.floor("D") + midnight


def _after_the_order(
    pairs: pd.DataFrame, orders: pd.DataFrame, events: pd.DataFrame
) -> pd.DataFrame:
    """Add the steps from the order on, by each pair's last order of the course."""
    by_time = orders.sort_values("timestamp")
    last_orders = by_time.drop_duplicates(["user_id", "item_id"], keep="last")
    keys = pd.MultiIndex.from_frame(pairs[["user_id", "offer"]])
    order_of_pair = last_orders.set_index(["user_id", "item_id"]).reindex(keys)
    ordered_at = order_of_pair["timestamp"].reset_index(drop=True)
    since = _since(pairs["first"], orders)
    pairs["ordered"] = (ordered_at >= since) & pairs["watched"]
    pairs["ordered_at"] = ordered_at.where(pairs["ordered"])
    pairs["hours"] = (pairs["ordered_at"] - since) / pd.Timedelta(hours=1)
    for step, column in (("learned", "progress"), ("reviewed", "rating")):
        if column in events:
            evidence = events[events[column] > 0]
            pairs[step] = _follows(pairs, "offer", "ordered_at", evidence)
    if "refund_amount" in orders:
        was_refunded = refunded_amount(order_of_pair).gt(0).to_numpy()
        pairs["refunded"] = pairs["ordered"] & was_refunded
    return pairs
