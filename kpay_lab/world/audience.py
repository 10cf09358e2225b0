"""Who comes to a live session, when, and for how long."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from kpay_lab import columns as c
from kpay_lab.world.catalogue import DAY
from kpay_lab.world.presets import HOSTS
from kpay_lab.world.shop import World

VISITS_A_DAY = 0.07  # of a user, to all live sessions together
COMES_EARLY = 0.25  # share of the visits that begin in the first minutes
EARLY = 180.0  # seconds, on average
# Stays are log-normal: seconds for most, minutes to hours in the tail.
MEDIAN_STAY = 15.0  # seconds
SPREAD_OF_STAYS = 2.3  # standard deviation of their logarithm
FOLLOWERS_COME = 4.0  # how many times as often as others
FOLLOWERS_STAY = 0.5  # what following adds to the logarithm of a stay
LED_BY_VIDEO = 0.25  # share of visits that a short video leads to, where one fits
GENEROSITY = 1.5  # standard deviation of the logarithm of how often a user gives
KNOWN_FROM_START = 14 * DAY  # who comes before may follow a host since before the log
EARLIER_FOLLOWS = 180 * DAY  # over which time


@dataclass(frozen=True)
class LiveSession:
    """One session of the programme, and what users and short videos have to do with it.

    ``item``, ``host`` and ``topic`` are positions, ``start`` and ``closing`` seconds; it closes
    at its end, or is cut off by the end of the log. ``interest`` is that of each user, ``clips``
    are the short videos on its topic, ``share`` is its part of all visits. ``offers`` has
    ``item`` and ``time``, in order.
    """

    item: int
    start: float
    closing: float
    host: int
    topic: int
    share: float
    log_odds: float
    interest: np.ndarray
    clips: np.ndarray
    offers: pd.DataFrame

    @property
    def minutes(self) -> np.ndarray:
        """When each minute of the session begins, seconds."""
        length = self.closing - self.start
        n_minutes = int(np.ceil(length / 60))
        return self.start + 60 * np.arange(n_minutes)

    @property
    def offered(self) -> np.ndarray:
        """The items that are offered, each once."""
        return self.offers["item"].unique()


@dataclass
class Crowd:
    """What is true of the users in live sessions; follows and possessions grow with the log.

    ``came_first`` (n_users,) is the time of the first visit to the shop, inf for who never comes;
    ``generosity`` and ``talkativeness`` are logarithms; ``follows`` is bool (n_users, n_hosts);
    ``owned_from`` tells since when a user owns an item.
    """

    came_first: np.ndarray
    generosity: np.ndarray
    talkativeness: np.ndarray
    follows: np.ndarray
    owned_from: dict[tuple[int, int], float]


def live_sessions(world: World) -> Iterator[LiveSession]:
    """Yield the sessions of a shop in order of time."""
    n_items = world.spec.n_items
    is_clip = world.items.kind == c.ITEM_KINDS.index("short_video")
    topics = world.items.subjects["topic"].to_numpy()
    offers = world.programme.offers.groupby("session")
    offers_of = {number: rows[["item", "time"]] for number, rows in offers}
    total = world.programme.sessions["viewers"].sum()
    for number, session in enumerate(world.programme.sessions.itertuples()):
        if session.item < n_items:
            interest = world.interest[:, session.item]
        else:
            interest = world.interest_in_sessions[:, session.item - n_items]
        is_fitting = is_clip & (topics == session.topic)
        is_fitting &= world.items.published < session.start
        closing = min(session.end, world.end)
        share = session.viewers / total
        yield LiveSession(
            session.item,
            session.start,
            closing,
            session.host,
            session.topic,
            share,
            session.log_odds,
            interest=interest.astype(float),
            clips=np.flatnonzero(is_fitting),
            offers=offers_of[number],
        )


def draw_crowd(
    world: World, came_first: pd.Series, bought: pd.DataFrame, rng: np.random.Generator
) -> Crowd:
    """Draw what users are like in live sessions, and whom they follow before the log.

    Parameters
    ----------
    world : World
    came_first : Series
        By user: the time of the first visit to the shop; who never comes is not there.
    bought : DataFrame
        ``user, offer, time`` of what is bought outside the sessions.
    """
    n_users = world.spec.n_users
    first = came_first.reindex(np.arange(n_users))
    first = first.fillna(np.inf).to_numpy()
    liking_of_topics = world.users.tastes[:, : len(HOSTS)]
    probability = expit(liking_of_topics - 2.2)
    is_known = first < KNOWN_FROM_START
    follows = rng.random(probability.shape) < probability
    follows &= is_known[:, None]
    generosity = rng.normal(0, GENEROSITY, n_users)
    talkativeness = rng.normal(0, 1, n_users)
    owned_from = {}
    for user, offer, time in bought[["user", "offer", "time"]].itertuples(index=False):
        owned_from[user, offer] = time
    return Crowd(first, generosity, talkativeness, follows, owned_from)


def early_follows(crowd: Crowd, rng: np.random.Generator) -> pd.DataFrame:
    """Say since when the follows from before the log are there: ``user, host, time``."""
    user, host = np.nonzero(crowd.follows)
    before = rng.uniform(0, EARLIER_FOLLOWS, len(user))
    time = -np.ceil(before)
    return pd.DataFrame({"user": user, "host": host, "time": time})


def draw_visits(
    world: World, session: LiveSession, crowd: Crowd, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the visits to a session, in order of time.

    Returns
    -------
    DataFrame
        ``user, item, host, topic``, the last three those of the session; ``time`` of the entry
        and ``leave``, whole seconds; ``free_stay``, how long the visit would last if the session
        did not close; the user's ``interest`` in the session; ``video``, the clip that led to
        it, missing where none did.
    """
    is_there = crowd.came_first < session.start
    follows = crowd.follows[:, session.host]
    odds = session.interest / (1 - session.interest)
    readiness = np.where(follows, FOLLOWERS_COME, 1.0) * is_there
    weight = world.users.activity * odds * readiness
    visits_of_shop = VISITS_A_DAY * world.spec.n_days * is_there.sum()
    n_visits = rng.poisson(visits_of_shop * session.share)
    share = weight / weight.sum() if n_visits else None
    user = rng.choice(len(weight), n_visits, p=share)
    time = _draw_entries(session, n_visits, rng)
    liking = logit(session.interest[user])
    log_stay = np.log(MEDIAN_STAY) + 0.3 * liking
    log_stay += world.programme.log_stay[session.host]
    log_stay += FOLLOWERS_STAY * follows[user]
    log_stay += rng.normal(0, SPREAD_OF_STAYS, n_visits)
    video = _draw_videos(world, session, n_visits, rng)
    visits = pd.DataFrame({"user": user, "time": time, "video": video})
    visits["item"] = session.item
    visits["host"] = session.host
    visits["topic"] = session.topic
    visits["interest"] = session.interest[user]
    visits["free_stay"] = np.exp(log_stay)
    visits["leave"] = leaving(session, visits, visits["free_stay"])
    return _without_overlaps(visits)


def _draw_entries(session: LiveSession, n_visits: int, rng: np.random.Generator) -> np.ndarray:
    """Draw when visits begin: many soon after the start, the others at any time."""
    length = session.closing - session.start
    is_early = rng.random(n_visits) < COMES_EARLY
    after_start = rng.exponential(EARLY, n_visits)
    any_time = rng.random(n_visits) * length
    offset = np.where(is_early, after_start, any_time)
    before_closing = np.minimum(offset, length - 1)
    return session.start + np.floor(before_closing)


def leaving(session: LiveSession, visits: pd.DataFrame, free_stay: pd.Series) -> pd.Series:
    """Return when visits end: nobody stays longer than the session, or than the log goes."""
    return (visits["time"] + np.ceil(free_stay)).clip(upper=session.closing)


def _draw_videos(
    world: World, session: LiveSession, n_visits: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw the short video that leads to each visit, popular ones more often; NaN for none."""
    if not len(session.clips):
        return np.full(n_visits, np.nan)
    weight = np.exp(world.items.appeal[session.clips])
    clip = rng.choice(session.clips, n_visits, p=weight / weight.sum())
    is_led = rng.random(n_visits) < LED_BY_VIDEO
    return np.where(is_led, clip, np.nan)


def _without_overlaps(visits: pd.DataFrame) -> pd.DataFrame:
    """Leave out who enters while being inside."""
    in_order = visits.sort_values(["user", "time"], kind="stable")
    last_leave = in_order.groupby("user")["leave"].cummax()
    left = last_leave.groupby(in_order["user"]).shift()
    is_inside = in_order["time"] <= left
    return in_order[~is_inside].sort_values("time", kind="stable", ignore_index=True)
