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
from kpay_lab.data.money import price_with_coupon
from kpay_lab.data.tables import Tables
from kpay_lab.world.catalogue import DAY, moments
from kpay_lab.world.presets import SEGMENTS, WorldSpec
from kpay_lab.world.shop import (
    INTERACTION_RATES,
    World,
    build_world,
    logging_policy,
    purchase_probability,
    react,
    watch,
)
from kpay_lab.world.truth import EXPOSURE_KEYS, GroundTruth

SESSIONS_PER_DAY = 0.19
COUPON_PRICE = 0.8  # what a coupon leaves of a price
COMES_ON_WEEKDAY = np.array([0.8, 0.8, 0.85, 0.85, 0.95, 1.0, 1.0])  # from Monday


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
    world = build_world(spec)
    session_rng, feed_rng, reaction_rng, after_rng = spec.streams()[2:]
    sessions = _draw_sessions(world, session_rng)
    feed = _draw_feed(world, sessions, feed_rng)
    feed = _with_reactions(world, feed, reaction_rng)
    is_free_to_buy = _is_free_to_buy(world, feed)
    feed["purchased"] &= is_free_to_buy
    orders = _orders(world, feed[feed["purchased"]], after_rng)
    opened = _opened(world, feed, after_rng)
    searched = _searched(world, sessions, after_rng)
    lessons = _lessons(world, orders, len(sessions), after_rng)
    events = pd.concat([opened, searched, lessons])
    tables = Tables.validated(
        events=_event_table(world, events),
        items=world.items.table,
        users=world.users.table,
        orders=_order_table(world, orders),
        exposures=_exposure_table(world, feed),
    )
    return Simulation(tables, _truth(world, tables, feed, is_free_to_buy))


def _draw_sessions(world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Draw when each user comes: late joiners, fading interest, weekdays, favourite hours."""
    n_users = world.spec.n_users
    n_days = world.spec.n_days
    joins_first_day = rng.random(n_users) < 0.7
    joined = np.where(joins_first_day, 0, rng.uniform(0, 0.6, n_users)) * n_days
    days_left = n_days - joined
    relative_activity = world.users.activity / world.users.activity.mean()
    n_sessions = rng.poisson(relative_activity * SESSIONS_PER_DAY * days_left)
    user = np.repeat(np.arange(n_users), n_sessions)
    elapsed = rng.random(len(user)) ** 1.15  # more sessions early than late
    day = np.floor(joined[user] + days_left[user] * elapsed).astype(int)
    comes = rng.random(len(user)) < COMES_ON_WEEKDAY[day % 7]
    user = user[comes]
    day = day[comes]
    time = np.rint(day * DAY + _draw_hours(world, user, rng) * 3600)
    sessions = pd.DataFrame({"user": user, "time": time})
    return sessions.sort_values(["time", "user"], kind="stable", ignore_index=True)


def _draw_hours(world: World, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw hours of the day: 4 in 10 near the segment's favourite, the others in the evening."""
    hour_of_segment = np.array([segment.hour for segment in SEGMENTS])
    favourite = hour_of_segment[world.users.segment[users]]
    comes_at_favourite = rng.random(len(users)) < 0.4
    near_favourite = rng.normal(favourite, 2)
    in_the_evening = rng.normal(19.5, 3, len(users))
    return np.where(comes_at_favourite, near_favourite, in_the_evening) % 24


def _draw_items(
    world: World, weights: np.ndarray, views: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a published item for each view, and return it with its probability.

    Items are in order of publication, so what is published by a time is a prefix of them.
    ``weights`` is (n_users, n_items).
    """
    user = views["user"].to_numpy()
    newest = np.searchsorted(world.items.published, views["time"], side="right") - 1
    total = weights.sum(axis=1, keepdims=True)
    cumulative = np.cumsum(weights / total, axis=1)
    published_share = cumulative[user, newest]
    # Each user's row ends at 1. Rows 2 apart make one sorted array: one search serves all users.
    offset = 2 * np.arange(len(weights))
    all_rows = (cumulative + offset[:, None]).ravel()
    target = offset[user] + rng.random(len(user)) * published_share
    cell = np.searchsorted(all_rows, target, side="right")
    item = np.minimum(cell - user * world.spec.n_items, newest)
    probability = weights[user, item] / total[user, 0] / published_share
    return item, probability


def _draw_feed(world: World, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the feed of each session: 3 to 10 slots, one item and a known propensity each."""
    n_slots = rng.integers(3, 11, len(sessions))
    feed = sessions.loc[sessions.index.repeat(n_slots)].reset_index(names="session")
    feed["position"] = feed.groupby("session").cumcount() + 1
    feed["time"] += 30 * (feed["position"] - 1)
    feed["item"], feed["propensity"] = _draw_items(world, logging_policy(world), feed, rng)
    arm_of_user = rng.integers(0, 2, world.spec.n_users)
    feed["in_experiment"] = feed["time"] >= world.spec.n_days * DAY / 3
    feed["treated"] = arm_of_user[feed["user"]] * feed["in_experiment"]
    return feed.sort_values(["time", "session"], kind="stable", ignore_index=True)


def _with_reactions(world: World, feed: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Play every slot, and add the fields of `Reactions` as columns."""
    reactions = react(
        world,
        feed["user"].to_numpy(),
        feed["item"].to_numpy(),
        feed["position"].to_numpy(),
        feed["treated"].to_numpy(),
        rng,
    )
    return feed.assign(**vars(reactions))


def _is_free_to_buy(world: World, feed: pd.DataFrame) -> np.ndarray:
    """Return which slots met a user who did not own the offer yet, bool (n_slots,)."""
    offer = world.items.offer[feed["item"]]
    user_and_offer = feed["user"] * world.spec.n_items + offer
    slot = pd.Series(np.arange(len(feed)))
    purchased = feed["purchased"]
    first_purchase = slot[purchased].groupby(user_and_offer[purchased]).min()
    owned_after = user_and_offer.map(first_purchase).fillna(len(feed))
    return (slot <= owned_after).to_numpy()


def _truth(
    world: World, tables: Tables, feed: pd.DataFrame, is_free_to_buy: np.ndarray
) -> GroundTruth:
    user = feed["user"].to_numpy()
    item = feed["item"].to_numpy()
    position = feed["position"].to_numpy()
    without_coupon = purchase_probability(world, user, item, 0, position)
    with_coupon = purchase_probability(world, user, item, 1, position)
    probability = np.where(feed["treated"] == 1, with_coupon, without_coupon)
    return GroundTruth(
        exposures=tables.present()["exposures"][EXPOSURE_KEYS],
        users=pd.Index(world.users.table["user_id"]),
        items=pd.Index(world.items.table["item_id"]),
        interest=world.interest,
        segment=world.users.segment,
        purchase_probability=probability * is_free_to_buy,
        treatment_effect=(with_coupon - without_coupon) * is_free_to_buy,
        propensity=feed["propensity"].to_numpy(),
    )


def _orders(world: World, sold: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Write an order for each purchase, and its refund if that falls into the log."""
    end = world.spec.n_days * DAY
    n_orders = len(sold)
    orders = sold.assign(offer=world.items.offer[sold["item"]])
    paid_at = sold["time"] + rng.integers(60, 1800, n_orders)
    orders["time"] = np.minimum(paid_at, end - 1)
    price = world.items.price[sold["item"]]
    has_coupon = sold["treated"].to_numpy()
    paid = price_with_coupon(price, has_coupon, coupon_price=COUPON_PRICE)
    orders["amount"] = np.round(paid, 2)
    refunded_at = orders["time"] + rng.uniform(1, 10, n_orders) * DAY
    is_refunded = (sold["refunded"] == 1) & (refunded_at < end)
    orders["refunded_at"] = refunded_at.where(is_refunded)
    refunded_share = np.where(rng.random(n_orders) < 0.8, 1.0, 0.5) * is_refunded
    orders["refund_amount"] = (refunded_share * orders["amount"]).round(2)
    return orders.sort_values(["time", "user"], kind="stable", ignore_index=True)


def _opened(world: World, feed: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Events of opened exposures, and the step from a live or clip to what it promotes."""
    opened = feed[feed["clicked"]].drop(columns=["progress", "rating"])
    item = opened["item"].to_numpy()
    offer = world.items.offer[item]
    interest_in_offer = world.interest[opened["user"], offer]
    goes_on = rng.random(len(opened)) < 0.6 * interest_in_offer
    goes_on |= opened["purchased"].to_numpy()
    goes_on &= offer != item
    next_views = opened.loc[goes_on, ["session", "user", "time"]]
    next_views["source"] = item[goes_on]
    next_views["item"] = offer[goes_on]
    next_views["time"] += 20
    next_views = _with_watching(world, next_views, rng)
    return pd.concat([opened, next_views])


def _searched(world: World, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Events that users look for themselves, drawn by appeal and true interest."""
    n_views = rng.poisson(2.2, len(sessions))
    views = sessions.loc[sessions.index.repeat(n_views)].reset_index(names="session")
    views["time"] += rng.integers(0, 1800, len(views))
    interest_log_odds = logit(world.interest.astype(float))
    weights = np.exp(0.8 * world.items.appeal + 2.1 * interest_log_odds)
    views["item"], _ = _draw_items(world, weights, views, rng)
    return _with_watching(world, views, rng)


def _with_watching(world: World, views: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    watched = watch(world, views["user"].to_numpy(), views["item"].to_numpy(), rng)
    return views.assign(**watched)


def _lessons(
    world: World, orders: pd.DataFrame, first_session: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Learning after a purchase: a lesson on some of the next days, until progress is reached."""
    lessons_of_offer = world.items.lessons[orders["offer"]]
    lessons_wanted = np.rint(orders["progress"] * lessons_of_offer)
    n_taken = np.where(orders["refunded"] == 1, 1, lessons_wanted).astype(int)
    columns = ["user", "offer", "time", "rating"]
    lessons = orders.loc[orders.index.repeat(n_taken), columns]
    lessons = lessons.rename(columns={"offer": "item"})
    order = lessons.index
    number = lessons.groupby(order).cumcount() + 1
    days_between = np.floor(rng.exponential(1.2, len(lessons))) + 1
    days_after_order = pd.Series(days_between, order).groupby(order).cumsum()
    day = np.floor(lessons["time"] / DAY) + days_after_order
    item = lessons["item"].to_numpy()
    hour = _draw_hours(world, lessons["user"].to_numpy(), rng)
    lessons["time"] = np.rint(day * DAY + hour * 3600)
    lessons["progress"] = number / world.items.lessons[item]
    is_last = number == np.repeat(n_taken, n_taken)
    lessons["rating"] = lessons["rating"].where(is_last)
    share = np.exp(rng.normal(-0.1, 0.25, len(lessons)))
    lessons["watch_time"] = np.ceil(share * world.items.lesson_length[item])
    lessons["question_count"] = (rng.random(len(lessons)) < 0.05).astype(int)
    lessons["session"] = first_session + np.arange(len(lessons))
    end = world.spec.n_days * DAY
    return lessons[lessons["time"] < end]


def _event_table(world: World, events: pd.DataFrame) -> pd.DataFrame:
    events = events.sort_values(["time", "user"], kind="stable", ignore_index=True)
    table = world.log_rows(events["user"], events["item"], events["time"])
    table["watch_time"] = events["watch_time"]
    table["duration"] = world.items.lesson_length[events["item"]]
    for name in INTERACTION_RATES:
        table[name] = events[name].fillna(0).astype("Int64")
    table["progress"] = events["progress"]
    table["rating"] = events["rating"]
    table["source_item_id"] = world.item_ids(events["source"])
    table["session_id"] = ("s" + events["session"].astype(str)).astype("str")
    return table


def _exposure_table(world: World, feed: pd.DataFrame) -> pd.DataFrame:
    table = world.log_rows(feed["user"], feed["item"], feed["time"])
    table["position"] = feed["position"].astype("Int64")
    table["propensity"] = feed["propensity"]
    table["treatment"] = feed["treated"].astype("Int64").where(feed["in_experiment"])
    table["policy"] = pd.Series("popularity+interest+random", feed.index, dtype="str")
    table["clicked"] = feed["clicked"].astype("Int64")
    table["purchased"] = feed["purchased"].astype("Int64")
    return table


def _order_table(world: World, orders: pd.DataFrame) -> pd.DataFrame:
    table = world.log_rows(orders["user"], orders["offer"], orders["time"])
    table["amount"] = orders["amount"]
    table["refund_amount"] = orders["refund_amount"]
    table["refunded_at"] = moments(orders["refunded_at"])
    return table
