"""Where the money comes from: by time, by what was sold and who sold it, and how concentrated."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from kpay_lab import formatting
from kpay_lab.business.figures import MONEY, known_money, order_money
from kpay_lab.business.periods import DAY, Period
from kpay_lab.data.codes import factorize, look_up
from kpay_lab.data.derived import are_whole_days, dates_written, main_label
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding
from kpay_lab.stats import gini

BY = ("kind", "category", "host")
UNKNOWN = "not known"


def groups_of_orders(tables: Tables) -> pd.DataFrame:
    """Return what each order sold: one row an order, with the labels of the orders.

    Returns
    -------
    DataFrame
        The columns of `BY` that the log can tell of the item that was ordered; what sold it says
        `attribution.attribute_orders`.
    """
    orders = tables.orders
    if orders is None or "item_id" not in orders:
        return pd.DataFrame(index=None if orders is None else orders.index)
    groups = {}
    items = pd.DataFrame({"item_id": []}) if tables.items is None else tables.items
    catalogue = items.set_index("item_id")
    for name in BY:
        if name in catalogue:
            groups[name] = main_label(look_up(orders["item_id"], catalogue[name])).fillna(UNKNOWN)
    return pd.DataFrame(groups, index=orders.index)


def breakdown(
    tables: Tables, by: str, period: Period, before: Period | None = None
) -> pd.DataFrame:
    """Add up orders and money by what was sold, largest first; every order is in one row.

    Parameters
    ----------
    tables : Tables
        Of the whole log.
    by : {"kind", "category", "host"}

    Returns
    -------
    DataFrame
        Index: the groups; ``orders, paying_users, gmv, refunded, net_revenue``, ``gmv_before``
        where there is a period before, the ``share`` of all GMV, and ``refund_rate`` (of money).
        What the log cannot tell of money is left out.

    Raises
    ------
    ValueError
        If the log cannot tell the groups.
    """
    table = _by_group(period.select(tables), by)
    money = known_money(tables)
    if before is not None:
        earlier = _by_group(before.select(tables), by)
        groups = table.index.union(earlier.index, sort=False)
        table = table.reindex(groups, fill_value=0)
        table["gmv_before"] = earlier["gmv"].reindex(groups, fill_value=0.0)
    table = table.rename_axis(by).sort_values(["gmv", "orders"], ascending=False, kind="stable")
    gmv = table["gmv"].where(table["gmv"] > 0)
    if "gmv" in money:
        table["share"] = table["gmv"] / gmv.sum() if gmv.notna().any() else np.nan
    else:
        table = table.drop(columns="gmv_before", errors="ignore")
    if "refunded" in money:
        table["refund_rate"] = table["refunded"] / gmv
    unknown = [name for name in MONEY if name not in money]
    return table.drop(columns=unknown)


def live_figures(tables: Tables, by: str, period: Period, credited: pd.Series) -> pd.DataFrame:
    """Measure the live sessions of a period: what was watched, and what they are credited with.

    Parameters
    ----------
    tables : Tables
        Of the whole log.
    by : {"session", "host"}
    credited : Series
        The item that each order of the period is credited to, from `attribution.Attribution`.

    Returns
    -------
    DataFrame
        Index: the sessions (by title, or id) or hosts, the most GMV first; ``views, viewers,
        orders, paying_users, gmv, refunded, net_revenue``, and with them ``value_per_order``,
        ``uv_value`` (GMV a viewer), ``gpm`` (GMV per 1,000 views) and ``refund_rate`` of money.
        What the log cannot tell of money is left out; empty where it has no live session.
    """
    items = pd.DataFrame({"item_id": []}) if tables.items is None else tables.items
    sessions = items.reindex(columns=["item_id", "kind", "title", "host"]).set_index("item_id")
    sessions = sessions[sessions["kind"] == "live"]
    names = sessions["host"] if by == "host" else _titles(sessions)
    within = period.select(tables)
    group_of_view = look_up(within.events["item_id"], names)
    seen = within.events.groupby(group_of_view)["user_id"].agg(views="size", viewers="nunique")
    group_of_order = credited.map(names)
    sold = _add_up(order_money(within).loc[credited.index], group_of_order)
    table = seen.join(sold, how="outer").fillna(0.0)
    gmv = table["gmv"]
    table["value_per_order"] = gmv / table["orders"].where(table["orders"] > 0)
    table["uv_value"] = gmv / table["viewers"].where(table["viewers"] > 0)
    table["gpm"] = 1000 * gmv / table["views"].where(table["views"] > 0)
    table["refund_rate"] = table["refunded"] / gmv.where(gmv > 0)
    money = known_money(tables)
    of_gmv = ["value_per_order", "uv_value", "gpm"]
    unknown = [name for name in MONEY if name not in money]
    unknown += [] if "gmv" in money else of_gmv
    unknown += [] if "refunded" in money else ["refund_rate"]
    counts = ["views", "viewers", "orders", "paying_users"]
    table[counts] = table[counts].astype("int64")
    table = table.sort_values(["gmv", "orders", "views"], ascending=False, kind="stable")
    return table.drop(columns=unknown).rename_axis(by)


def _titles(sessions: pd.DataFrame) -> pd.Series:
    """Return what to call each session: its title, with the id where several share it."""
    ids = pd.Series(sessions.index, sessions.index).astype("str")
    titles = sessions["title"].astype("str").fillna(ids)
    is_shared = titles.duplicated(keep=False) & (titles != ids)
    return titles.where(~is_shared, titles + " (" + ids + ")")


def hide_small_groups(table: pd.DataFrame, minimum: int) -> pd.DataFrame:
    """Return a table with the figures of groups of fewer than ``minimum`` buyers hidden (NaN).

    Parameters
    ----------
    table : DataFrame
        Each row a group, with a column ``paying_users``.
    """
    others = [name for name in table if name != "paying_users"]
    hidden = suppress_small_groups(table, "paying_users", minimum, hide=others)
    return hidden.drop(columns="suppressed")


def largest_groups(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Return which kind, category and host hold the most GMV, as far as known.

    A table says nothing where it has one group, no GMV, or where its largest group is hidden or
    *not known*.

    Parameters
    ----------
    tables : mapping
        What the groups are → their `breakdown`, small groups hidden or not.
    """
    largest = []
    for by, table in tables.items():
        if len(table) < 2 or "share" not in table:
            continue
        group = table.index[0]
        share = table["share"].iloc[0]
        if share > 0 and group != UNKNOWN:
            name = str(group).replace("_", " ")
            largest.append(f"the {by} {name} ({formatting.share(share)})")
    if not largest:
        return []
    return [Finding("business/where", "plain", {"groups": tuple(largest)}, place="by_group")]


def _by_group(tables: Tables, by: str) -> pd.DataFrame:
    groups = groups_of_orders(tables)
    if by not in groups:
        choices = ", ".join(groups) or "nothing, for no order names its item"
        raise ValueError(f"by is {by!r}; the orders of this log can be grouped by {choices}")
    return _add_up(order_money(tables), groups[by])


def _add_up(money: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
    """Add up orders, buyers and money by the group of each order."""
    by_group = money.groupby(group)
    table = by_group["user_id"].agg(orders="size", paying_users="nunique")
    return table.join(by_group[list(MONEY)].sum())


def by_days(
    tables: Tables, period: Period, *, n_days: int = 1, time_zone: str = "UTC"
) -> pd.DataFrame:
    """Add up views, orders and money by day, or by several days counted back from the period's end.

    Parameters
    ----------
    n_days : int
        1 for days, 7 for weeks. The first week may be cut off by the period's start.
    time_zone : str
        In which a day begins; dates without an hour stay the dates that were written.

    Returns
    -------
    DataFrame
        Index: the first day; ``days`` that lie in the period, ``views, viewers, orders,
        paying_users, gmv, refunded, net_revenue``. Nothing happened on a day of zeros.
    """
    within = period.select(tables)
    events = within.events
    day_of_event = _days(events["timestamp"], time_zone)
    bounds = _days(pd.Series([period.start, period.end - pd.Timedelta(microseconds=1)]), time_zone)
    if are_whole_days(events["timestamp"]):
        bounds = dates_written(pd.Series([period.start, period.end - DAY]))
    first_day = bounds.iloc[0].tz_localize(None)
    last_day = bounds.iloc[1].tz_localize(None)
    all_days = pd.date_range(first_day, last_day, freq="D")
    block_of_day = pd.Series(_blocks(all_days, last_day, n_days), index=all_days)
    days = block_of_day.groupby(block_of_day).size().rename("days")
    user, _ = factorize(events["user_id"])
    seen = pd.Series(user).groupby(_blocks(day_of_event, last_day, n_days))
    table = pd.DataFrame(days).join(seen.agg(views="size", viewers="nunique"))
    if within.orders is not None:
        day_of_order = _days(within.orders["timestamp"], time_zone)
        block_of_order = _blocks(day_of_order, last_day, n_days)
        sold = _add_up(order_money(within), pd.Series(block_of_order, within.orders.index))
        table = table.join(sold)
    table.index = pd.DatetimeIndex(last_day - (table.index.to_numpy() + 1) * n_days * DAY + DAY)
    table = table.fillna(0.0).rename_axis("from")
    counts = [name for name in table if name not in MONEY]
    unknown = [name for name in MONEY if name not in known_money(tables)]
    table = table.drop(columns=unknown, errors="ignore")
    return table.astype(dict.fromkeys(counts, int)).sort_index()


def _days(times: pd.Series, time_zone: str) -> pd.Series:
    """Return the day of each time, without a zone."""
    local = dates_written(times) if are_whole_days(times) else times.dt.tz_convert(time_zone)
    return local.dt.tz_localize(None).dt.floor("D")


def _blocks(days: pd.Series | pd.DatetimeIndex, last_day: pd.Timestamp, n_days: int) -> np.ndarray:
    """Number blocks of days backwards from the last day, which is in block 0."""
    days_before_last = (last_day - days) // DAY
    return np.asarray(days_before_last // n_days)


def concentration(tables: Tables, period: Period, *, share: float = 0.01) -> pd.DataFrame:
    """Return how much of GMV the best buyers and the best-selling items hold.

    Returns
    -------
    DataFrame
        One row for ``buyers`` and one for ``items``, as far as known: ``n`` with an order, ``top``
        of them (1 %, at least one), ``share_of_gmv`` of those, ``gini`` over all n.
    """
    within = period.select(tables)
    money = order_money(within)
    totals = {"buyers": money.groupby("user_id")["gmv"].sum()}
    if within.orders is not None and "item_id" in within.orders:
        totals["items"] = money.groupby(within.orders["item_id"])["gmv"].sum()
    rows = {}
    for name, total in totals.items():
        n_top = int(np.ceil(share * len(total)))
        gmv = total.sum()
        of_top = total.nlargest(n_top).sum()
        share_of_gmv = of_top / gmv if gmv > 0 else np.nan
        inequality = gini(total) if len(total) else np.nan
        rows[name] = (len(total), n_top, share_of_gmv, inequality)
    table = pd.DataFrame(rows, index=["n", "top", "share_of_gmv", "gini"]).T
    return table.astype({"n": int, "top": int})
