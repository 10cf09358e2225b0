"""Play a log in the simulated world: sessions → feed and own search → purchases → learning.

- **Feed.** Each slot of a session's feed draws its item independently from the logging
  policy over what is published by then, so ``propensity`` is exactly the probability of
  that item in that slot, given the user and the time: inverse weights are unbiased.
- **Coupon.** Half of the users, drawn by coin, hold a coupon (20 % off) from one third of
  the log on. ``treatment`` is missing before, 0 or 1 by user after: analyse by user.
- **Purchase.** Exposing a live or clip may sell what it promotes. Nobody buys twice: once
  the offer is owned, the true probability is 0.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit

from kpay_lab.data.door import Gate
from kpay_lab.data.log import Log
from kpay_lab.data.tables import Tables
from kpay_lab.world import shop as w
from kpay_lab.world.catalogue import DAY, moments
from kpay_lab.world.presets import SEGMENTS, WorldSpec
from kpay_lab.world.shop import World, watch
from kpay_lab.world.truth import EXPOSURE_KEYS, GroundTruth

SESSIONS_PER_DAY = 0.19
COUPON_PRICE = 0.8
WEEKDAY = np.array([0.8, 0.8, 0.85, 0.85, 0.95, 1.0, 1.0])


class Simulation(NamedTuple):
    """A simulated log, and the truth behind it."""

    tables: Tables
    truth: GroundTruth


def open_shop(spec: WorldSpec, **gate: Any) -> tuple[Log, GroundTruth]:
    """Simulate a shop, and open its log as any other; the truth tells of that log.

    Parameters
    ----------
    spec : WorldSpec
    **gate
        What the log must pass, see `data.door.Gate`.

    Examples
    --------
    >>> log, truth = open_shop(WorldSpec(n_users=50, n_items=30, n_days=14), since="2026-01-08")
    >>> len(log.tables.exposures) == len(truth.propensity)
    True
    """
    simulation = simulate(spec)
    log = Gate(**gate).admit(Log(simulation.tables))
    return log, simulation.truth.of(log)


def simulate(spec: WorldSpec) -> Simulation:
    """Simulate one log and the truth behind it.

    >>> tables, truth = simulate(WorldSpec(n_users=50, n_items=30, n_days=14))
    >>> list(tables.present())
    ['events', 'items', 'users', 'orders', 'exposures']
    >>> bool(truth.treatment_effect.max() > 0)
    True
    """
    world = w.build_world(spec)
    session_rng, feed_rng, reaction_rng, after_rng = spec.streams()[2:]
    sessions = _sessions(world, session_rng)
    feed = _feed(world, sessions, feed_rng)
    shown = feed[["user", "item", "position", "treated"]].to_numpy().T
    user, item, position, treated = shown
    feed = feed.assign(**vars(w.react(world, user, item, position, treated, reaction_rng)))
    feed["purchased"], free = _first_purchases(world, feed)
    orders = _orders(world, feed[feed["purchased"]], after_rng)
    views = [_opened(world, feed, after_rng), _searched(world, sessions, after_rng)]
    events = pd.concat([*views, _lessons(world, orders, len(sessions), after_rng)])
    tables = _tables(world, events, orders, feed)
    without, with_coupon = (w.purchase_probability(world, user, item, t, position) for t in (0, 1))
    exposures = tables.present()["exposures"]
    truth = GroundTruth(
        exposures=exposures[EXPOSURE_KEYS],
        users=pd.Index(world.users.table["user_id"]),
        items=pd.Index(world.items.table["item_id"]),
        interest=world.interest,
        segment=world.users.segment,
        purchase_probability=np.where(treated == 1, with_coupon, without) * free,
        treatment_effect=(with_coupon - without) * free,
        propensity=feed["propensity"].to_numpy(),
    )
    return Simulation(tables, truth)


def _sessions(world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Draw when each user comes: late joiners, fading interest, weekdays, favourite hours."""
    n, days = world.spec.n_users, world.spec.n_days
    joined = np.where(rng.random(n) < 0.7, 0, rng.uniform(0, 0.6, n)) * days
    rate = world.users.activity / world.users.activity.mean() * SESSIONS_PER_DAY * (days - joined)
    user = np.repeat(np.arange(n), rng.poisson(rate))
    day = np.floor(joined[user] + (days - joined[user]) * rng.random(len(user)) ** 1.15).astype(int)
    kept = rng.random(len(user)) < WEEKDAY[day % 7]
    user, day = user[kept], day[kept]
    start = np.rint(day * DAY + _hours(world, user, rng) * 3600)
    return pd.DataFrame({"user": user, "time": start}).sort_values(
        ["time", "user"], kind="stable", ignore_index=True
    )


def _hours(world: World, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw hours of the day: half around the segment's favourite, half in the common evening."""
    favourite = np.array([s.hour for s in SEGMENTS])[world.users.segment[users]]
    own = rng.random(len(users)) < 0.4
    return np.where(own, rng.normal(favourite, 2), rng.normal(19.5, 3, len(users))) % 24


def _pick(
    world: World, weights: np.ndarray, views: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one published item a row, and say with what probability.

    What is published by a time is a prefix: one search in the cumulative weights serves all.
    """
    user, n_items = views["user"].to_numpy(), world.spec.n_items
    out = np.searchsorted(world.items.published, views["time"], side="right") - 1
    cumulative = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    reach = cumulative[user, out]
    ladder = (cumulative + 2 * np.arange(len(weights))[:, None]).ravel()
    drawn = np.searchsorted(ladder, 2 * user + rng.random(len(user)) * reach, side="right")
    item = np.minimum(drawn - user * n_items, out)
    return item, weights[user, item] / weights.sum(axis=1)[user] / reach


def _feed(world: World, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the feed of each session: 3 to 10 slots, one item and a known propensity each."""
    slots = rng.integers(3, 11, len(sessions))
    feed = sessions.loc[sessions.index.repeat(slots)].reset_index(names="session")
    feed["position"] = feed.groupby("session").cumcount() + 1
    feed["time"] += 30 * (feed["position"] - 1)
    feed["item"], feed["propensity"] = _pick(world, w.logging_policy(world), feed, rng)
    arm = rng.integers(0, 2, world.spec.n_users)[feed["user"]]
    feed["running"] = feed["time"] >= world.spec.n_days * DAY / 3
    feed["treated"] = arm * feed["running"]
    return feed.sort_values(["time", "session"], kind="stable", ignore_index=True)


def _first_purchases(world: World, feed: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Keep the first purchase of each (user, offer); say which rows met a user free to buy."""
    key = pd.Series(feed["user"].to_numpy() * world.spec.n_items + world.items.offer[feed["item"]])
    wanted = feed["purchased"].to_numpy()
    first = pd.Series(np.arange(len(feed)))[wanted].groupby(key[wanted]).min()
    free = np.arange(len(feed)) <= key.map(first).fillna(len(feed)).to_numpy()
    return wanted & free, free


def _orders(world: World, sold: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Write an order for each purchase, and its refund if that falls into the log."""
    end, n = world.spec.n_days * DAY, len(sold)
    orders = sold.assign(offer=world.items.offer[sold["item"]])
    orders["time"] = np.minimum(sold["time"] + rng.integers(60, 1800, n), end - 1)
    paid = np.where(sold["treated"] == 1, COUPON_PRICE, 1.0) * world.items.price[sold["item"]]
    orders["amount"] = np.round(paid, 2)
    back = orders["time"] + rng.uniform(1, 10, n) * DAY
    orders["refunded_at"] = back.where((sold["refunded"] == 1) & (back < end))
    part = np.where(rng.random(n) < 0.8, 1.0, 0.5) * orders["refunded_at"].notna()
    orders["refund_amount"] = (part * orders["amount"]).round(2)
    return orders.sort_values(["time", "user"], kind="stable", ignore_index=True)


def _opened(world: World, feed: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Events of opened exposures, and the step from a live or clip to what it promotes."""
    opened = feed[feed["clicked"]].drop(columns=["progress", "rating"])
    item = opened["item"].to_numpy()
    wish = world.interest[opened["user"], world.items.offer[item]]
    steps = (rng.random(len(opened)) < 0.6 * wish) | opened["purchased"].to_numpy()
    steps &= world.items.offer[item] != item
    led = opened.loc[steps, ["session", "user", "time", "item"]].rename(columns={"item": "source"})
    led["item"] = world.items.offer[led["source"]]
    led["time"] += 20
    seen = watch(world, led["user"].to_numpy(), led["item"].to_numpy(), rng)
    return pd.concat([opened, led.assign(**seen)])


def _searched(world: World, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Events that users look for themselves, drawn by appeal and true interest."""
    views = sessions.loc[sessions.index.repeat(rng.poisson(2.2, len(sessions)))]
    views = views.reset_index(names="session")
    views["time"] += rng.integers(0, 1800, len(views))
    wish = np.exp(0.8 * world.items.appeal + 2.1 * logit(world.interest.astype(float)))
    views["item"], _ = _pick(world, wish, views, rng)
    return views.assign(**watch(world, views["user"].to_numpy(), views["item"].to_numpy(), rng))


def _lessons(
    world: World, orders: pd.DataFrame, first_session: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Learning after a purchase: a lesson on some of the next days, until progress is reached."""
    total = world.items.lessons[orders["offer"]]
    taken = np.where(orders["refunded"] == 1, 1, np.rint(orders["progress"] * total)).astype(int)
    rows = orders.loc[orders.index.repeat(taken), ["user", "offer", "time", "rating"]]
    step = rows.groupby(level=0).cumcount() + 1
    gap = np.floor(rng.exponential(1.2, len(rows))) + 1
    day = np.floor(rows["time"] / DAY) + pd.Series(gap, rows.index).groupby(level=0).cumsum()
    lesson = rows.rename(columns={"offer": "item"})
    user, item = rows["user"].to_numpy(), rows["offer"].to_numpy()
    lesson["time"] = np.rint(day * DAY + _hours(world, user, rng) * 3600)
    lesson["progress"] = step / world.items.lessons[item]
    lesson["rating"] = rows["rating"].where(step == np.repeat(taken, taken))
    share = np.exp(rng.normal(-0.1, 0.25, len(rows)))
    lesson["watch_time"] = np.ceil(share * world.items.lesson_length[item])
    lesson["question_count"] = (rng.random(len(rows)) < 0.05).astype(int)
    lesson["session"] = first_session + np.arange(len(rows))
    return lesson[lesson["time"] < world.spec.n_days * DAY]


def _tables(world: World, events: pd.DataFrame, orders: pd.DataFrame, feed: pd.DataFrame) -> Tables:
    """Put labels for positions, times for seconds, and pass the door."""
    events = events.sort_values(["time", "user"], kind="stable", ignore_index=True)
    counts = ["like_count", "comment_count", "share_count", "question_count"]
    log = _labelled(world, events, events["item"]).assign(
        watch_time=events["watch_time"],
        duration=world.items.lesson_length[events["item"]],
        **{name: events[name].fillna(0).astype("Int64") for name in counts},
        **events[["progress", "rating"]],
        source_item_id=_labels(world.items.table["item_id"], events["source"]),
        session_id=("s" + events["session"].astype(str)).astype("str"),
    )
    exposures = _labelled(world, feed, feed["item"]).assign(
        position=feed["position"].astype("Int64"),
        propensity=feed["propensity"],
        treatment=feed["treated"].astype("Int64").where(feed["running"]),
        policy=pd.Series("popularity+interest+random", feed.index, dtype="str"),
        **feed[["clicked", "purchased"]].astype("Int64"),
    )
    paid = _labelled(world, orders, orders["offer"]).assign(
        **orders[["amount", "refund_amount"]], refunded_at=moments(orders["refunded_at"])
    )
    people, items = world.users.table, world.items.table
    return Tables.validated(events=log, items=items, users=people, orders=paid, exposures=exposures)


def _labels(names: pd.Series, positions: pd.Series) -> pd.Series:
    """Look the labels of positions up; a missing position stays missing."""
    found = names.take(positions.fillna(0).astype(int)).reset_index(drop=True)
    return found.mask(positions.isna().reset_index(drop=True))


def _labelled(world: World, rows: pd.DataFrame, item: pd.Series) -> pd.DataFrame:
    columns = {
        "user_id": _labels(world.users.table["user_id"], rows["user"]),
        "item_id": _labels(world.items.table["item_id"], item),
        "timestamp": moments(rows["time"]),
    }
    return pd.DataFrame(columns)
