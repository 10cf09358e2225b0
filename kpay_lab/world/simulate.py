"""Play a log in the simulated world: sessions → feed and own search → purchases → learning.

Beside them live sessions are played (`live`), each from streams of its own: what they change of
the rest is that nobody buys twice.

- **Feed.** Each slot of a session's feed draws its item independently from the logging
  policy over what is published by then, so ``propensity`` is exactly the probability of
  that item in that slot, given the user and the time: inverse weights are unbiased.
- **Coupon.** Half of the users, drawn by coin, hold a coupon (20 % off) from one third of
  the log on. ``treatment`` is missing before, 0 or 1 by user after: analyse by user.
- **Purchase.** Exposing a live or clip may sell what it promotes. Nobody buys twice: once
  the offer is owned, the true probability is 0.
- **Live.** A session that is on is visited, and sells what it offers. Its recording, if the
  catalogue has one, is shown in the feed later like any item.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kpay_lab.data.admitted import keep_tables, kept_folder, kept_tables
from kpay_lab.data.door import Gate
from kpay_lab.data.log import Log
from kpay_lab.data.money import price_with_coupon
from kpay_lab.data.tables import Tables
from kpay_lab.world.catalogue import DAY, moments
from kpay_lab.world.live import ABOUT_COMMENTS, LiveLog, play_live
from kpay_lab.world.presets import HOSTS, SEGMENTS, WorldSpec
from kpay_lab.world.shop import (
    INTERACTION_RATES,
    World,
    build_world,
    learn,
    logging_policy,
    purchase_probability,
    react,
    shares_of_rows,
    watch,
)
from kpay_lab.world.truth import EXPOSURE_KEYS, ORDER_KEYS, GroundTruth

SESSIONS_PER_DAY = 0.19
COUPON_PRICE = 0.8  # what a coupon leaves of a price
CURRENCY = "CNY"  # of the prices
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
    whole = Log(simulation.tables, currency=CURRENCY)
    log = Gate(**gate).admit(whole)
    return log, simulation.truth.of(log)


def simulate(spec: WorldSpec) -> Simulation:
    """Simulate one log and the truth behind it, or map those that the run has simulated.

    >>> tables, truth = simulate(WorldSpec(n_users=50, n_items=30, n_days=14))
    >>> list(tables.present())
    ['events', 'items', 'users', 'orders', 'exposures', 'follows', 'offers']
    >>> bool(truth.treatment_effect.max() > 0)
    True
    """
    folder = kept_folder(spec)
    if folder is not None:
        return kept_simulation(folder)
    return _played(build_world(spec))


def keep_simulation(simulation: Simulation, folder: Path) -> None:
    """Write a log and its truth to a new folder, so that `kept_simulation` gives equal ones."""
    keep_tables(simulation.tables, folder / "tables")
    simulation.truth.keep(folder / "truth")


def kept_simulation(folder: Path) -> Simulation:
    """Map a log and its truth that `keep_simulation` wrote."""
    tables = kept_tables(folder / "tables")
    return Simulation(tables, GroundTruth.kept(folder / "truth"))


def _played(world: World) -> Simulation:
    """Play a world from its first day to its last."""
    spec = world.spec
    session_rng, feed_rng, reaction_rng, after_rng, _, live_rng = spec.streams()[2:]
    sessions = _draw_sessions(world, session_rng)
    feed = _draw_feed(world, sessions, feed_rng)
    feed = react(world, feed, reaction_rng)
    is_free_to_buy = _is_free_to_buy(world, feed)
    feed["purchased"] &= is_free_to_buy
    orders = _orders(world, feed[feed["purchased"]], after_rng)
    opened = _opened(world, feed, after_rng)
    searched = _searched(world, sessions, after_rng)
    lessons = _lessons(world, orders, len(sessions), after_rng)
    came_first = sessions.groupby("user")["time"].min()
    n_sessions = len(sessions) + len(lessons)
    live = play_live(world, came_first, orders, n_sessions, live_rng)
    sold_live = _live_orders(world, live.purchases, live_rng)
    lessons_of_live = _lessons(world, sold_live, n_sessions + len(live.events), live_rng)
    sold_before = _owned_from(world, orders, live.purchases) < orders["time"]
    pair_of_order = _pairs(world, orders)
    bought_again = pair_of_order[sold_before]
    orders = _by_time(pd.concat([orders[~sold_before], sold_live]))
    pair_of_lesson = _pairs(world, lessons.assign(offer=lessons["item"]))
    lessons = lessons[~pair_of_lesson.isin(bought_again)]
    feed, is_free_to_buy = _without_owned(world, feed, is_free_to_buy, live.purchases)
    events = pd.concat([opened, searched, lessons, live.events, lessons_of_live])
    order_table = _order_table(world, orders)
    follow_table = _follow_table(world, live.follows)
    offer_table = _offer_table(world, live.offers)
    tables = Tables.validated(
        events=_event_table(world, events),
        items=world.logged_items,
        users=world.users.table,
        orders=order_table,
        exposures=_exposure_table(world, feed),
        follows=follow_table,
        offers=offer_table,
    )
    truth = _truth(world, tables, feed, is_free_to_buy, orders, live)
    return Simulation(tables, truth)


def _pairs(world: World, rows: pd.DataFrame) -> pd.Series:
    """Number the pairs of ``user`` and ``offer``."""
    return rows["user"] * world.spec.n_items + rows["offer"]


def _live_orders(world: World, purchases: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Write an order for each purchase in a live session, at the full price."""
    learned = learn(world, purchases["user"], purchases["offer"], rng)
    sold = purchases.assign(treated=0, **learned)
    return _settled(world, sold, rng)


def _owned_from(world: World, rows: pd.DataFrame, purchases: pd.DataFrame) -> pd.Series:
    """Return since when the offer of each row is owned from a live session, NaN for never."""
    pair_of_purchase = _pairs(world, purchases)
    time_of_pair = purchases.set_index(pair_of_purchase)["time"]
    pair = _pairs(world, rows)
    return pair.map(time_of_pair)


def _without_owned(
    world: World, feed: pd.DataFrame, is_free_to_buy: np.ndarray, purchases: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray]:
    """Take the purchases out of slots whose offer was bought in a live session before."""
    offer = world.items.offer[feed["item"]]
    owned_from = _owned_from(world, feed.assign(offer=offer), purchases)
    is_owned = (owned_from < feed["time"]).to_numpy()
    purchased = feed["purchased"] & ~is_owned
    return feed.assign(purchased=purchased), is_free_to_buy & ~is_owned


def _draw_sessions(world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Draw when each user comes: late joiners, declining interest, weekdays, favourite hours."""
    n_users = world.spec.n_users
    n_days = world.spec.n_days
    joins_first_day = rng.random(n_users) < 0.7
    share_before_joining = rng.uniform(0, 0.6, n_users)
    joined = np.where(joins_first_day, 0, share_before_joining) * n_days
    days_left = n_days - joined
    relative_activity = world.users.activity / world.users.activity.mean()
    n_expected = relative_activity * SESSIONS_PER_DAY * days_left
    n_sessions = rng.poisson(n_expected)
    user = np.repeat(np.arange(n_users), n_sessions)
    elapsed = rng.random(len(user)) ** 1.15  # more sessions early than late
    day = np.floor(joined[user] + days_left[user] * elapsed)
    weekday = day.astype(int) % 7
    comes = rng.random(len(user)) < COMES_ON_WEEKDAY[weekday]
    user = user[comes]
    time = _seconds(day[comes], _draw_hours(world, user, rng))
    return _by_time(pd.DataFrame({"user": user, "time": time}))


def _by_time(rows: pd.DataFrame, then: str = "user") -> pd.DataFrame:
    """Sort by time, and by another column where times are equal."""
    return rows.sort_values(["time", then], kind="stable", ignore_index=True)


def _seconds(day: np.ndarray | pd.Series, hour: np.ndarray) -> np.ndarray | pd.Series:
    """Return the whole seconds from the start of the log to an hour of a day."""
    return np.rint(day * DAY + hour * 3600)


def _draw_hours(world: World, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw hours of the day: 4 in 10 near the segment's favourite, the others in the evening."""
    segment = world.users.segment[users]
    favourite = SEGMENTS["hour"].to_numpy()[segment]
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
    n_published = np.searchsorted(world.items.published, views["time"], side="right")
    newest = n_published - 1
    shares = shares_of_rows(weights)
    cumulative = np.cumsum(shares, axis=1)
    published_share = cumulative[user, newest]
    # Each user's row ends at 1. Rows 2 apart make one sorted array: one search serves all users.
    offset = 2 * np.arange(len(weights))
    all_rows = (cumulative + offset[:, None]).ravel()
    target = offset[user] + rng.random(len(user)) * published_share
    cell = np.searchsorted(all_rows, target, side="right")
    item_of_cell = cell - user * world.spec.n_items
    item = np.minimum(item_of_cell, newest)
    probability = shares[user, item] / published_share
    return item, probability


def _draw_feed(world: World, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the feed of each session: 3 to 10 slots, one item and a known propensity each."""
    n_slots = rng.integers(3, 11, len(sessions))
    feed = _views_of(sessions, n_slots)
    place = feed.groupby("session").cumcount()  # from 0
    feed["position"] = place + 1
    feed["time"] += 30 * place
    feed["item"], feed["propensity"] = _draw_items(world, logging_policy(world), feed, rng)
    holds_coupon = rng.integers(0, 2, world.spec.n_users)
    feed["in_experiment"] = feed["time"] >= world.end / 3
    feed["treated"] = holds_coupon[feed["user"]] * feed["in_experiment"]
    return _by_time(feed, "session")


def _views_of(sessions: pd.DataFrame, n_views: np.ndarray) -> pd.DataFrame:
    """Repeat each session by its number of views; ``session`` is its position."""
    return sessions.loc[sessions.index.repeat(n_views)].reset_index(names="session")


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
    world: World,
    tables: Tables,
    feed: pd.DataFrame,
    is_free_to_buy: np.ndarray,
    orders: pd.DataFrame,
    live: LiveLog,
) -> GroundTruth:
    """Return the truth of each slot of the feed, of each order and of what happened live.

    Rows of exposures and orders are those of the tables.
    """
    user = feed["user"].to_numpy()
    item = feed["item"].to_numpy()
    position = feed["position"].to_numpy()
    without_coupon = purchase_probability(world, user, item, 0, position)
    with_coupon = purchase_probability(world, user, item, 1, position)
    has_coupon = feed["treated"] == 1
    probability = np.where(has_coupon, with_coupon, without_coupon)
    effect = with_coupon - without_coupon
    logged = tables.present()
    sold_by = _ids(world, orders["item"])
    led_by = _ids(world, _video_of_order(world, orders))
    caused = logged["orders"][ORDER_KEYS]
    caused = caused.assign(source_item_id=sold_by, video_item_id=led_by)
    said = live.comments
    comments = world.log_rows(said["user"], said["item"], said["time"])
    comments = comments.join(said[ABOUT_COMMENTS])
    offers = logged["offers"].assign(added_orders=live.offers["added_orders"])
    interest = np.hstack([world.interest, world.interest_in_sessions])
    return GroundTruth(
        logged["exposures"][EXPOSURE_KEYS],
        caused,
        comments,
        offers,
        live.hosts,
        users=world.user_ids,
        items=world.logged_ids,
        interest=interest,
        segment=world.users.segment,
        purchase_probability=probability * is_free_to_buy,
        treatment_effect=effect * is_free_to_buy,
        propensity=feed["propensity"].to_numpy(),
    )


def _video_of_order(world: World, orders: pd.DataFrame) -> pd.Series:
    """Return the short video that sold an order, or led to the live session that did."""
    kinds = world.logged_items["kind"]
    is_video = orders["item"].map(kinds) == "short_video"
    sold_itself = orders["item"].where(is_video)
    return orders["video"].fillna(sold_itself)


def _orders(world: World, sold: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Write an order for each purchase in the feed; it is paid within half an hour."""
    orders = sold.assign(offer=world.items.offer[sold["item"]])
    paid_at = sold["time"] + rng.integers(60, 1800, len(sold))
    orders["time"] = np.minimum(paid_at, world.end - 1)
    return _settled(world, orders, rng)


def _settled(world: World, sold: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Write what is paid for each purchase, and its refund if that falls into the log.

    ``sold`` has ``offer``, ``time`` and ``treated``, and the columns of `shop.learn`.
    """
    n_orders = len(sold)
    orders = sold.copy()
    price = world.items.price[sold["offer"]]
    has_coupon = sold["treated"].to_numpy()
    paid = price_with_coupon(price, has_coupon, coupon_price=COUPON_PRICE)
    orders["amount"] = np.round(paid, 2)
    days_to_refund = rng.uniform(1, 10, n_orders)
    refunded_at = orders["time"] + days_to_refund * DAY
    is_refunded = (sold["refunded"] == 1) & (refunded_at < world.end)
    orders["refunded_at"] = refunded_at.where(is_refunded)
    is_refunded_whole = rng.random(n_orders) < 0.8
    refunded_share = np.where(is_refunded_whole, 1.0, 0.5) * is_refunded
    orders["refund_amount"] = (refunded_share * orders["amount"]).round(2)
    return _by_time(orders)


def _opened(world: World, feed: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Events of opened exposures, and the step from a live or clip to what it promotes."""
    opened = feed[feed["clicked"]].drop(columns=["progress", "rating"])
    item = opened["item"].to_numpy()
    offer = world.items.offer[item]
    interest_in_offer = world.interest[opened["user"], offer]
    is_curious = rng.random(len(opened)) < 0.6 * interest_in_offer
    goes_on = is_curious | opened["purchased"].to_numpy()
    goes_on &= offer != item
    next_views = opened.loc[goes_on, ["session", "user", "time"]]
    next_views["source"] = item[goes_on]
    next_views["item"] = offer[goes_on]
    next_views["time"] += 20
    watched = watch(world, next_views["user"], next_views["item"], rng)
    return pd.concat([opened, next_views.assign(**watched)])


def _searched(world: World, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Events that users look for themselves, drawn by appeal and true interest."""
    n_views = rng.poisson(2.2, len(sessions))
    views = _views_of(sessions, n_views)
    views["time"] += rng.integers(0, 1800, len(views))
    log_weights = 0.8 * world.items.appeal + 2.1 * world.interest_log_odds()
    views["item"], _ = _draw_items(world, np.exp(log_weights), views, rng)
    watched = watch(world, views["user"], views["item"], rng)
    return views.assign(**watched)


def _lessons(
    world: World, orders: pd.DataFrame, first_session: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Learning after a purchase: a lesson on some of the next days, until progress is reached."""
    lessons_of_offer = world.items.lessons[orders["offer"]]
    lessons_wanted = np.rint(orders["progress"] * lessons_of_offer)
    is_refunded = orders["refunded"] == 1
    n_taken = np.where(is_refunded, 1, lessons_wanted).astype(int)  # one, and the money back
    bought = orders[["user", "time", "rating"]].assign(item=orders["offer"])
    lessons = bought.loc[bought.index.repeat(n_taken)]
    order = lessons.index  # the row of ``orders`` that a lesson belongs to
    number = lessons.groupby(order).cumcount() + 1
    days_between = 1 + np.floor(rng.exponential(1.2, len(lessons)))
    days_after_order = pd.Series(days_between, order).groupby(order).cumsum()
    day_of_order = np.floor(lessons["time"] / DAY)
    hour = _draw_hours(world, lessons["user"].to_numpy(), rng)
    lessons["time"] = _seconds(day_of_order + days_after_order, hour)
    lessons["progress"] = number / world.items.lessons[lessons["item"]]
    is_last = number == np.repeat(n_taken, n_taken)
    lessons["rating"] = lessons["rating"].where(is_last)  # a course is rated at its end
    share = np.exp(rng.normal(-0.1, 0.25, len(lessons)))
    lesson_length = world.items.lesson_length[lessons["item"]]
    lessons["watch_time"] = np.ceil(share * lesson_length)
    asks = rng.random(len(lessons)) < 0.05
    lessons["question_count"] = asks.astype(int)
    lessons["session"] = first_session + np.arange(len(lessons))
    return lessons[lessons["time"] < world.end]


def _event_table(world: World, events: pd.DataFrame) -> pd.DataFrame:
    """Write events as a log does: ids for positions, in order of time."""
    events = _by_time(events)
    table = world.log_rows(events["user"], events["item"], events["time"])
    table["watch_time"] = events["watch_time"]
    table["duration"] = world.logged_lengths[events["item"]]
    interactions = list(INTERACTION_RATES)
    table[interactions] = events[interactions].fillna(0).astype("Int64")
    table[["progress", "rating"]] = events[["progress", "rating"]]
    table["gift_amount"] = events["gift_amount"]
    table["comment_text"] = events["comment_text"].astype("str")
    table["source_item_id"] = _ids(world, events["source"])
    session_id = "s" + events["session"].astype(str)
    table["session_id"] = session_id.astype("str")
    return table


def _exposure_table(world: World, feed: pd.DataFrame) -> pd.DataFrame:
    """Write the slots of the feed as a log does; ``treatment`` is missing before the experiment."""
    table = world.log_rows(feed["user"], feed["item"], feed["time"])
    table["position"] = feed["position"].astype("Int64")
    table["propensity"] = feed["propensity"]
    treated = feed["treated"].astype("Int64")
    table["treatment"] = treated.where(feed["in_experiment"])
    table["policy"] = "popularity+interest+random"
    happened = ["clicked", "purchased"]
    table[happened] = feed[happened].astype("Int64")
    return table


def _order_table(world: World, orders: pd.DataFrame) -> pd.DataFrame:
    """Write orders as a log does: the item of an order is the offer that was bought.

    Its source is the live session or video that sold it; none where its own page did.
    """
    table = world.log_rows(orders["user"], orders["offer"], orders["time"])
    table["amount"] = orders["amount"]
    table["refund_amount"] = orders["refund_amount"]
    table["refunded_at"] = moments(orders["refunded_at"])
    promotion = orders["item"].where(orders["item"] != orders["offer"])
    table["source_item_id"] = _ids(world, promotion)
    return table


def _follow_table(world: World, follows: pd.DataFrame) -> pd.DataFrame:
    """Write follows as a platform exports them, those from before the log first."""
    follows = _by_time(follows)
    hosts = pd.Index(HOSTS).take(follows["host"])
    table = pd.DataFrame({"user_id": world.user_ids.take(follows["user"]), "host": hosts})
    return table.assign(timestamp=moments(follows["time"]))


def _offer_table(world: World, offers: pd.DataFrame) -> pd.DataFrame:
    """Write when each session began to show which item."""
    table = {
        "source_item_id": world.logged_ids.take(offers["item"]),
        "item_id": world.logged_ids.take(offers["offer"]),
        "timestamp": moments(offers["time"]),
    }
    return pd.DataFrame(table)


def _ids(world: World, positions: pd.Series) -> pd.Series:
    """Return the ids of items given by their positions; missing stays missing."""
    return positions.map(pd.Series(world.logged_ids)).astype("str")
