"""Play the live sessions of a simulated shop: short video → session → pages of what it offers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.world.audience import draw_crowd, draw_visits, early_follows, live_sessions
from kpay_lab.world.live_reactions import draw_comments, draw_follows, draw_gifts, draw_likes
from kpay_lab.world.live_sales import (
    added_orders,
    draw_purchases,
    expected_by_host,
    shown_to,
)
from kpay_lab.world.presets import HOSTS
from kpay_lab.world.shop import World, watch

CURIOSITY = 0.12  # how often someone of full interest opens the page of what is offered
ABOUT_COMMENTS = ["topic", "is_question"]  # what a log does not say
BEFORE_ENTRY = 3  # seconds between a short video and the session that it leads to


@dataclass(frozen=True)
class LiveLog:
    """What happened in the live sessions, with users, items and hosts as positions.

    Parameters
    ----------
    events : DataFrame
        Visits, what is done in them, the short videos that led to them, and the pages of items
        that they led to.
    purchases : DataFrame
        ``user, offer, item`` (the session), ``time, session`` and ``video``, the short video that
        led to the visit, missing where none did.
    follows : DataFrame
        ``user, host, time``, those from before the log too.
    comments : DataFrame
        ``user, item, time, topic, is_question``.
    offers : DataFrame
        ``item`` (the session), ``offer``, ``time`` and ``added_orders``, how many orders it adds
        in expectation.
    hosts : DataFrame
        By name: ``log_odds`` and ``log_stay``, and ``orders_per_visit``, which is expected if
        this host had given every session.
    """

    events: pd.DataFrame
    purchases: pd.DataFrame
    follows: pd.DataFrame
    comments: pd.DataFrame
    offers: pd.DataFrame
    hosts: pd.DataFrame


def play_live(
    world: World,
    came_first: pd.Series,
    bought: pd.DataFrame,
    first_visit: int,
    rng: np.random.Generator,
) -> LiveLog:
    """Play all live sessions: who comes, buys and follows in each, and then what else they do.

    Parameters
    ----------
    world : World
    came_first : Series
        By user: the time of the first visit to the shop; who never comes is not there.
    bought : DataFrame
        ``user, offer, time`` of what is bought outside the sessions: nobody buys it again later.
    first_visit : int
        The number of the first visit, for ``session``.
    """
    crowd = draw_crowd(world, came_first, bought, rng)
    follows = [early_follows(crowd, rng)]
    visits_of = []
    sold_in = []
    shown_in = []
    offers_of = []
    expected = np.zeros(len(HOSTS))
    n_visits = 0
    for session in live_sessions(world):
        visits = draw_visits(world, session, crowd, rng)
        visits.index += n_visits
        n_visits += len(visits)
        visits_of.append(visits)
        sold = draw_purchases(world, session, visits, crowd, rng)
        sold_in.append(sold)
        shown = shown_to(session, visits)
        shown_in.append(shown)
        followed = draw_follows(session, visits, crowd, rng)
        follows.append(followed)
        added = added_orders(world, session, visits)
        offers = session.offers.rename(columns={"item": "offer"})
        offers_of.append(offers.assign(item=session.item, added_orders=added))
        expected += expected_by_host(world, session, visits)
    all_visits = pd.concat(visits_of)
    all_visits["session"] = first_visit + all_visits.index
    purchases = _of_visits(all_visits, pd.concat(sold_in))
    all_shown = _of_visits(all_visits, pd.concat(shown_in))
    comments = draw_comments(world.spec, all_visits, crowd, rng)
    comments = _of_visits(all_visits, comments)
    likes = draw_likes(all_visits, rng)
    likes = _of_visits(all_visits, likes)
    gifts = draw_gifts(all_visits, crowd, rng)
    gifts = _of_visits(all_visits, gifts)
    entries = _entries(all_visits)
    videos = _videos(world, all_visits, rng)
    pages = _draw_pages(world, purchases, all_shown, rng)
    written = comments.drop(columns=ABOUT_COMMENTS)
    events = pd.concat([entries, videos, written, likes, gifts, pages])
    orders_per_visit = expected / max(n_visits, 1)
    about = comments[["user", "item", "time", *ABOUT_COMMENTS]]
    return LiveLog(
        _inside(world, events),
        _inside(world, purchases),
        follows=_inside(world, pd.concat(follows)),
        comments=_inside(world, about),
        offers=_inside(world, pd.concat(offers_of)),
        hosts=_hosts(world, orders_per_visit),
    )


def _hosts(world: World, orders_per_visit: np.ndarray) -> pd.DataFrame:
    """Return what is true of each host, by name."""
    hosts = pd.DataFrame(index=pd.Index(HOSTS, name="host"))
    hosts["log_odds"] = world.items.host_charm
    hosts["log_stay"] = world.programme.log_stay
    hosts["orders_per_visit"] = orders_per_visit
    return hosts


def _inside(world: World, rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out what comes after the log's end, and number the rows from 0."""
    return rows[rows["time"] < world.end].reset_index(drop=True)


def _of_visits(visits: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Give rows the user, the session's item, the number and the video of their visit."""
    of_visit = visits.loc[rows["visit"], ["user", "item", "session", "video"]]
    own = rows.drop(columns="visit").reset_index(drop=True)
    return own.join(of_visit.reset_index(drop=True))


def _entries(visits: pd.DataFrame) -> pd.DataFrame:
    """Return an event for each visit, with the short video that led to it as its source."""
    stay = visits["leave"] - visits["time"]
    entries = visits[["user", "item", "time", "session"]]
    return entries.assign(watch_time=stay, source=visits["video"])


def _videos(world: World, visits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return an event for each short video that led to a visit; it was seen just before."""
    led = visits[visits["video"].notna()]
    video = led["video"].astype(np.int64)
    length = world.items.lesson_length[video]
    watched = np.ceil(length * rng.uniform(0.2, 1.0, len(led)))
    time = led["time"] - watched - BEFORE_ENTRY
    return led[["user", "session"]].assign(item=video, time=time, watch_time=watched)


def _draw_pages(
    world: World, sold: pd.DataFrame, shown: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw who opens the page of an item from a session: buyers, and the curious among others."""
    viewer = shown["user"].to_numpy()
    offer = shown["offer"].to_numpy()
    interest = world.interest_of(viewer, offer)
    is_curious = rng.random(len(shown)) < CURIOSITY * interest
    curious = shown[is_curious]
    opened = pd.concat([sold, curious], ignore_index=True)
    pages = opened[["user", "time", "session"]]
    pages = pages.assign(item=opened["offer"], source=opened["item"])
    user = pages["user"].to_numpy()
    item = pages["item"].to_numpy()
    watched = watch(world, user, item, rng)
    return pages.assign(**watched)
