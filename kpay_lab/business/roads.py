"""The funnel of people and of money: a person counts once in a step, an order once in all."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from kpay_lab.business.figures import MONEY, known_money, order_money, unknown_sums
from kpay_lab.business.periods import DAY, Period, with_times
from kpay_lab.data.codes import factorize, find_positions, take_rows
from kpay_lab.data.derived import INTERACTIONS, are_whole_days, n_interactions, pairs_of_orders
from kpay_lab.data.money import gross_profit
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding
from kpay_lab.stats import wilson

# Each step, and the step that its rate is a share of.
STEPS = {
    "watched": None,
    "interacted": "watched",
    "bought": "watched",
    "bought again": "bought",
    "paid back": "bought",
    "bought unseen": None,
}
ROADS = ("interacted with it", "watched it", "was shown it", "never seen with it")


def funnel_of_people(tables: Tables, period: Period) -> pd.DataFrame:
    """Count the people of a period at each step, and the money that they paid.

    Returns
    -------
    DataFrame
        One row a step: ``step, of`` (the step that the rate is a share of), ``n`` people,
        ``rate``, and ``gmv`` of these people, where it is known. ``watched`` has an event,
        ``interacted`` a like, comment, share or question, ``bought`` an order, ``bought again``
        two, ``paid back`` a refund. ``bought unseen`` are the buyers without an event in the
        period; with those who ``bought`` they are all the buyers, and hold all the GMV.
    """
    within = period.select(tables, *INTERACTIONS)
    events = within.events
    viewers = factorize(events["user_id"]).ids
    by_buyer = order_money(within).groupby("user_id").sum()
    bought = by_buyer.index.intersection(viewers)
    unseen = by_buyer.index.difference(viewers)
    of_watching_buyers = by_buyer.loc[bought]
    again = bought[of_watching_buyers["orders"] > 1]
    paid_back = bought[of_watching_buyers["refunded_orders"] > 0]
    people_in = {"watched": viewers}
    interacted = _interacted(events)
    if interacted is not None:
        people_in["interacted"] = pd.Index(interacted["user_id"].unique())
    if within.orders is not None:
        people_in |= {"bought": bought, "bought again": again, "bought unseen": unseen}
    if "refunded_orders" not in unknown_sums(tables):
        people_in["paid back"] = paid_back
    rows = []
    for step, of in STEPS.items():
        if step in people_in:
            people = people_in[step]
            n_of = len(people_in[of]) if of else 0
            rate = len(people) / n_of if n_of else np.nan
            gmv = by_buyer["gmv"].reindex(people).sum()
            rows.append((step, of, len(people), rate, gmv))
    table = pd.DataFrame(rows, columns=["step", "of", "n", "rate", "gmv"])
    return table if "gmv" in known_money(tables) else table.drop(columns="gmv")


def people_lost(people: pd.DataFrame, *, period: str) -> list[Finding]:
    """Return how many of those who watched did not buy.

    Parameters
    ----------
    people : DataFrame
        From `funnel_of_people`; nothing is found where its numbers are hidden (NaN).
    period : str
        Its period in words.
    """
    n_of_step = people.set_index("step")["n"]
    n_viewers = n_of_step.get("watched")
    n_bought = n_of_step.get("bought")
    if pd.isna(n_viewers) or pd.isna(n_bought) or not n_viewers:
        return []
    n_lost = int(n_viewers - n_bought)
    lost = wilson(n_lost, int(n_viewers))
    values = {"n_lost": n_lost, "n_viewers": int(n_viewers), "period": period}
    values |= {"share": lost.estimate, "low": lost.low, "high": lost.high}
    return [Finding("business/lost", "watch", values, place="people")]


def roads_to_orders(tables: Tables, period: Period) -> pd.DataFrame:
    """Divide the orders of a period among what their buyers had done before.

    An order counts once, for the first road of `ROADS` that fits: its buyer had interacted with
    the item (or with what sells it), had watched it, was shown it, or none of these. Of an order
    that names no item it counts what the buyer had done with anything. Where orders are whole
    days, what was done on that day came before.

    Returns
    -------
    DataFrame
        Index: the roads; ``orders, paying_users, gmv, refunded, net_revenue``, and the ``share``
        of all GMV. The money of the roads adds up to that of the period.
    """
    within = period.select(tables)
    money = order_money(within)
    road = pd.Series(ROADS[3], index=money.index)
    if within.orders is not None:
        orders = within.orders
        times = orders["timestamp"]
        limit = times + DAY if are_whole_days(times) else times
        is_open = np.ones(len(orders), dtype=bool)  # no road is found yet
        for name, contacts, is_contact in _roads(tables):
            known = is_contact & (contacts["timestamp"] < period.end)
            found = _came_before(orders[is_open], limit[is_open], contacts, known, tables.items)
            place = np.flatnonzero(is_open)[found]
            road.iloc[place] = name
            is_open[place] = False
    by_road = money.groupby(road)
    people = by_road["user_id"].agg(orders="size", paying_users="nunique")
    table = people.join(by_road[list(MONEY)].sum())
    table = table.reindex(ROADS, fill_value=0).rename_axis("road")
    gmv = table["gmv"].sum()
    if gmv > 0:
        table["share"] = table["gmv"] / gmv
    unknown = [name for name in MONEY if name not in known_money(tables)]
    return table.drop(columns=unknown)


def money_kept(tables: Tables, period: Period, *, margin: float) -> pd.Series:
    """Return what is left of the money of a period: GMV, net of refunds, and gross profit.

    >>> orders = pd.DataFrame({"user_id": ["u"], "amount": [100.0], "refund_amount": [20.0]})
    >>> days = pd.to_datetime(["2024-03-01"], utc=True).astype("datetime64[us, UTC]")
    >>> orders["timestamp"] = days
    >>> log = Tables(pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}), orders=orders)
    >>> period = Period(days[0], days[0] + DAY)
    >>> money_kept(log, period, margin=0.5).tolist()
    [100.0, 80.0, 40.0]
    """
    money = order_money(period.select(tables))
    gmv = money["gmv"].sum()
    net_revenue = money["net_revenue"].sum()
    profit = gross_profit(net_revenue, margin)
    steps = {"GMV": gmv, "net of refunds": net_revenue, "gross profit": profit}
    return pd.Series(steps, name="money")


def _roads(tables: Tables) -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
    """Yield each road, the nearest first: its name, and the rows of a table that lead along it."""
    events = with_times(tables).events
    yield ROADS[0], events, n_interactions(events) > 0
    yield ROADS[1], events, np.ones(len(events), dtype=bool)
    if tables.exposures is not None:
        yield ROADS[2], tables.exposures, np.ones(len(tables.exposures), dtype=bool)


def _interacted(events: pd.DataFrame) -> pd.DataFrame | None:
    """Return the events with a like, comment, share or question; None where nobody logged any."""
    is_logged = any(name in events for name in INTERACTIONS)
    return take_rows(events, n_interactions(events) > 0) if is_logged else None


def _came_before(
    orders: pd.DataFrame,
    limit: pd.Series,
    rows: pd.DataFrame,
    is_contact: pd.Series,
    items: pd.DataFrame | None,
) -> np.ndarray:
    """Mark the orders whose buyer had a contact with the item, or what sells it, by their limit.

    Of the rows, which may be many, only those of a buyer of the orders are copied.
    """
    buyers = factorize(orders["user_id"]).ids
    is_of_buyer = find_positions(rows["user_id"], buyers) >= 0
    contacts = take_rows(rows[["user_id", "item_id", "timestamp"]], is_contact & is_of_buyer)
    if contacts.empty:
        return np.zeros(len(orders), dtype=bool)
    names_item = orders.reindex(columns=["item_id"])["item_id"].notna()
    first = pd.Series(pd.NaT, orders.index, dtype=contacts["timestamp"].dtype)
    if names_item.any():
        pair, itself, what_it_sells = pairs_of_orders(orders, contacts, items)
        found = []
        for pair_of_contact in (itself, what_it_sells):
            is_found = pair_of_contact >= 0
            times_of_pair = contacts.loc[is_found, "timestamp"]
            found.append(times_of_pair.set_axis(pair_of_contact[is_found]))
        first_of_pair = pd.concat(found).groupby(level=0).min()
        first = pd.Series(first_of_pair.reindex(pair).array, index=orders.index)
    if not names_item.all():
        first_of_user = contacts.groupby("user_id")["timestamp"].min()
        first = first.where(names_item, orders["user_id"].map(first_of_user))
    return (first <= limit).to_numpy(dtype=bool)
