"""Small logs that are odd in one way each, as a user's own export may be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables
from kpay_lab.world.simulate import WorldSpec, simulate

SHOP = WorldSpec(n_users=60, n_items=24, n_days=21, seed=3)


def shop() -> Tables:
    """60 users, 24 items, three weeks."""
    return simulate(SHOP)[0]


def few_users() -> Tables:
    """8 users of the shop."""
    tables = shop()
    some = tables.ids("user_id")[:8]
    return _only(tables, "user_id", some)


def no_times() -> Tables:
    """Nothing says when; orders and exposures cannot be told without times and are absent."""
    tables = shop()
    events = tables.events.drop(columns="timestamp")
    items = tables.items.drop(columns="published_at", errors="ignore")
    return Tables(events, items, tables.users)


def one_item() -> Tables:
    """The item most met, alone."""
    tables = replace(shop(), offers=None)  # their sessions are other items
    return _only(tables, "item_id", [tables.orders["item_id"].mode()[0]])


def all_zeros() -> Tables:
    """A tracker that was never switched on: every sign is there, and every one is 0."""
    tables = shop()
    signs = {"watch_time": 0.0, "duration": 0.0, "like_count": 0, "comment_count": 0}
    return tables.with_events(_bare(tables.events).assign(**signs))


def constant_columns() -> Tables:
    """Every user and item is described alike, every price and every watch time is the same."""
    tables = shop()
    items = tables.items.assign(kind="course", category="one", brand="one", host="one", price=9.0)
    items = items.assign(title="course", description="a course", duration=60.0)
    items = items.drop(columns="promotes")
    users = tables.users.assign(age=30, gender="f", occupation="teacher")
    events = _bare(tables.events).assign(watch_time=30.0, duration=60.0)
    return replace(tables, events=events, items=items, users=users)


def no_prices() -> Tables:
    """The catalogue names no price."""
    tables = shop()
    return replace(tables, items=tables.items.drop(columns="price"))


def prices_on_one_kind() -> Tables:
    """Only books carry a price."""
    tables = shop()
    price = tables.items["price"].where(tables.items["kind"] == "book")
    return replace(tables, items=tables.items.assign(price=price))


def dates_without_hours() -> Tables:
    """Every time is midnight."""
    return _timed(lambda times: times.dt.floor("D"))


def one_day() -> Tables:
    """Everything on one day, at its own time of day."""
    day = pd.Timestamp("2024-03-01", tz="UTC")
    return _timed(lambda times: day + (times - times.dt.floor("D")))


def one_kind() -> Tables:
    """A shop of courses only: nothing promotes, nothing has another kind or topic."""
    tables = shop()
    items = tables.items.assign(kind="course", category="one").drop(columns="promotes")
    return replace(tables, items=items)


def users_alike() -> Tables:
    """60 users who met the same 17 items once, for the same time: no structure of any kind."""
    users, items = [f"u{u:02d}" for u in range(60)], [f"i{i:02d}" for i in range(17)]
    events = pd.MultiIndex.from_product([users, items], names=["user_id", "item_id"])
    return Tables(events.to_frame(index=False).assign(watch_time=30.0))


def one_visit_each() -> Tables:
    """Each of 300 users came once."""
    rng = np.random.default_rng(5)
    events = _ids(rng, 300).assign(user_id=[f"u{n:04d}" for n in range(300)], watch_time=30.0)
    hours = pd.to_timedelta(np.arange(300), unit="h")
    return Tables(events.assign(timestamp=pd.Timestamp("2024-03-01", tz="UTC") + hours))


def bare_tables() -> Tables:
    """Events, orders and exposures alone, with few columns; nothing is described."""
    tables = shop()
    shown = tables.exposures[["user_id", "item_id", "timestamp", "treatment", "purchased"]]
    orders = tables.orders[["user_id", "item_id", "timestamp", "amount"]]
    return Tables(_bare(tables.events), orders=orders, exposures=shown)


def empty_columns() -> Tables:
    """Columns whose cells are all empty, as an export without those answers writes them."""
    tables = shop()
    events = _bare(tables.events).assign(timestamp=pd.NaT, watch_time=np.nan)
    items = tables.items.assign(category=None, kind=None, price=np.nan, title=None)
    return Tables(events, items, tables.users.assign(age=np.nan, occupation=None))


def only_likes() -> Tables:
    """Ids, and a like in 5 % of 1,000 rows."""
    rng = np.random.default_rng(5)
    liked = (rng.random(1000) < 0.05).astype(int)
    return Tables(_ids(rng).assign(like_count=liked))


def one_user_of_zeros() -> Tables:
    """1,000 rows of user, item and watch time; one user's watch times are all 0."""
    rng = np.random.default_rng(5)
    events = _ids(rng).assign(watch_time=rng.integers(1, 600, 1000).astype(float))
    zeros = events["user_id"] == events["user_id"].iloc[0]
    return Tables(events.assign(watch_time=events["watch_time"].mask(zeros, 0.0)))


def ordinary_shop() -> Tables:
    """Events and orders, as every shop has them: nobody logged what was shown, nor who anyone is.

    200 people, of whom some buy what they never watched.
    """
    tables, _ = simulate(WorldSpec(n_users=200, n_items=40, n_days=60, seed=3))
    columns = ["user_id", "item_id", "timestamp", "watch_time"]
    orders = tables.orders[["user_id", "item_id", "timestamp", "amount"]]
    elsewhere = orders.sample(20, random_state=1).assign(item_id="gift card")
    return Tables(tables.events[columns], orders=pd.concat([orders, elsewhere], ignore_index=True))


def subscription_shop() -> Tables:
    """Nobody buys an item: everybody buys time, and nobody logged the price."""
    tables = ordinary_shop()
    return replace(tables, orders=tables.orders[["user_id", "timestamp"]])


def no_amounts() -> Tables:
    """The ordinary shop, whose orders do not say what was paid."""
    tables = ordinary_shop()
    return replace(tables, orders=tables.orders.drop(columns="amount"))


def a_few_without_a_time() -> Tables:
    """One event in a hundred of the ordinary shop has no time."""
    tables = ordinary_shop()
    events = tables.events
    is_untimed = np.arange(len(events)) % 100 == 7
    return tables.with_events(events.assign(timestamp=events["timestamp"].mask(is_untimed)))


LOGS: dict[str, Callable[[], Tables]] = {
    log.__name__: log
    for log in (
        shop,
        few_users,
        no_times,
        one_item,
        all_zeros,
        constant_columns,
        no_prices,
        prices_on_one_kind,
        dates_without_hours,
        one_day,
        one_kind,
        users_alike,
        one_visit_each,
        bare_tables,
        empty_columns,
        only_likes,
        one_user_of_zeros,
        ordinary_shop,
        subscription_shop,
        no_amounts,
        a_few_without_a_time,
    )
}


def write(tables: Tables, folder: Path) -> Path:
    """Write the tables as a folder of CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.present().items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def _ids(rng: np.random.Generator, n: int = 1000) -> pd.DataFrame:
    users = pd.Series(rng.integers(0, 60, n)).map("u{:02d}".format)
    items = pd.Series(rng.integers(0, 40, n)).map("i{:02d}".format)
    return pd.DataFrame({"user_id": users, "item_id": items})


def _bare(events: pd.DataFrame) -> pd.DataFrame:
    return events[["user_id", "item_id", "timestamp"]]


def _only(tables: Tables, column: str, ids: object) -> Tables:
    kept = {
        name: frame[frame[column].isin(ids)] if column in frame else frame
        for name, frame in tables.present().items()
    }
    return Tables(**kept)


def _timed(change: Callable[[pd.Series], pd.Series]) -> Tables:
    tables = shop()
    changed = {
        name: frame.assign(
            **{
                column: change(frame[column])
                for column in ("timestamp", "refunded_at")
                if column in frame
            }
        )
        for name, frame in tables.present().items()
        if "timestamp" in frame
    }
    return replace(tables, **changed)
