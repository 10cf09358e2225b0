r"""The simulated world: who its users are, what it sells, and how a user reacts to an item.

Every law is a pure function of positions (integer arrays), so that a policy or a
feedback loop can be played in the world long after the log was written. With the
degree of interest :math:`I_{ui} \in (0, 1)`, position :math:`k`, coupon :math:`t` and
the offer :math:`o` that item :math:`i` sells (a live or clip sells what it promotes):

.. math::
    P(click) &= k^{-0.7} \, \sigma(\operatorname{logit} I_{ui} - 0.2) \\
    P(buy | click) &= \sigma(b + 0.5 \operatorname{logit} I_{uo} + h_i
                      - s_u \log p_o + t \, c_u)
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from kpay_lab.world.catalogue import Catalogue, People, draw_catalogue, draw_people
from kpay_lab.world.presets import EXAMINATION, FIELDS, WorldSpec

EXPLORATION = 0.2  # share of the feed that the log's own policy fills at random


@dataclass(frozen=True)
class World:
    """Everything that is true: ``interest`` float32 (n_users, n_items), ``intercept`` *b* above."""

    spec: WorldSpec
    users: People
    items: Catalogue
    interest: np.ndarray
    intercept: float = 0.0

    def user_positions(self, ids: pd.Index | pd.Series) -> np.ndarray:
        """Return the positions of users, int (n,); raises ValueError if one is unknown."""
        return _positions("user", self.users.table["user_id"], ids)

    def item_positions(self, ids: pd.Index | pd.Series) -> np.ndarray:
        """Return the positions of items, int (n,); raises ValueError if one is unknown."""
        return _positions("item", self.items.table["item_id"], ids)


@dataclass(frozen=True)
class Reactions:
    """What n exposures led to, (n,) each, 0 or NaN where nothing; the last three of the offer."""

    clicked: np.ndarray
    watch_time: np.ndarray
    like_count: np.ndarray
    comment_count: np.ndarray
    share_count: np.ndarray
    question_count: np.ndarray
    purchased: np.ndarray
    progress: np.ndarray
    rating: np.ndarray
    refunded: np.ndarray


def build_world(spec: WorldSpec, user_ids: pd.Index | None = None) -> World:
    """Draw users, items and the true interest of each user in each item.

    ``user_ids`` (n_users,) are the names of the users, such as the pseudonyms of a log
    (`truth.GroundTruth.users`); by default the world's own.
    """
    user_rng, item_rng = spec.streams()[:2]
    users, items = draw_people(spec, user_rng), draw_catalogue(spec, item_rng)
    if user_ids is not None:
        users = replace(users, table=users.table.assign(user_id=user_ids))
    taste = users.tastes @ items.traits.T + users.kind_liking[:, items.kind]
    taste = (taste - taste.mean()) / taste.std() + items.quality
    interest = expit(0.75 * taste / spec.noise).astype(np.float32)
    world = World(spec, users, items, interest)
    return replace(world, intercept=_intercept(world))


def _positions(what: str, known: pd.Series, ids: pd.Index | pd.Series) -> np.ndarray:
    found = pd.Index(known).get_indexer(ids)
    if (found < 0).any():
        strange = pd.Index(ids)[found < 0][0]
        raise ValueError(f"{what} {strange!r} is not in this world; build it with the log's ids")
    return found


def _intercept(world: World) -> float:
    """Solve for the ``b`` at which the logging policy sells at the field's rate."""
    users = np.repeat(np.arange(min(200, world.spec.n_users)), world.spec.n_items)
    items = np.tile(np.arange(world.spec.n_items), len(users) // world.spec.n_items)
    shown = logging_policy(world)[: users[-1] + 1].ravel() / (users[-1] + 1)
    seen = shown * click_probability(world, users, items, np.full(len(users), 3.0))
    log_odds = _purchase_log_odds(world, users, items)
    rate = FIELDS[world.spec.field].purchase_rate
    return float(brentq(lambda b: seen @ expit(b + log_odds) - rate, -30, 30))


def logging_policy(world: World) -> np.ndarray:
    r"""Probability with which the log's own policy shows each item to each user.

    .. math:: \pi(i|u) = 0.8 \operatorname{softmax}_i(a_i + 1.1 \operatorname{logit} I_{ui})
        + 0.2 / n

    Float (n_users, n_items), over the whole catalogue: before an item is published its share
    goes to the others in proportion.
    """
    pull = np.exp(world.items.appeal + 1.1 * logit(world.interest.astype(float)))
    pull /= pull.sum(axis=1, keepdims=True)
    return (1 - EXPLORATION) * pull + EXPLORATION / world.spec.n_items


def click_probability(
    world: World, users: np.ndarray, items: np.ndarray, positions: np.ndarray | int = 1
) -> np.ndarray:
    """Probability that a user opens an item shown at a position (from 1)."""
    liked = expit(logit(world.interest[users, items].astype(float)) - 0.2)
    return np.asarray(positions, dtype=float) ** -EXAMINATION * liked


def purchase_probability(
    world: World,
    users: np.ndarray,
    items: np.ndarray,
    treated: np.ndarray | int = 0,
    positions: np.ndarray | int = 1,
) -> np.ndarray:
    """Probability that showing an item sells its offer to a user who does not own it.

    Arrays are (n,); ``treated`` is 1 where the user holds a coupon.
    """
    log_odds = world.intercept + _purchase_log_odds(world, users, items)
    bought = expit(log_odds + np.asarray(treated) * world.users.coupon_effect[users])
    return click_probability(world, users, items, positions) * bought


def _purchase_log_odds(world: World, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    wanted = 0.5 * logit(world.interest[users, world.items.offer[items]].astype(float))
    price = np.log(world.items.price[items] / np.median(world.items.price))
    return wanted + world.items.persuasion[items] - world.users.price_sensitivity[users] * price


def react(
    world: World,
    users: np.ndarray,
    items: np.ndarray,
    positions: np.ndarray,
    treated: np.ndarray,
    rng: np.random.Generator,
) -> Reactions:
    """Play what follows when items are shown; that nobody buys twice is the caller's to see to."""
    click = click_probability(world, users, items, positions)
    buy = purchase_probability(world, users, items, treated, positions) / click
    clicked = rng.random(len(users)) < click
    purchased = clicked & (rng.random(len(users)) < buy)
    watched = watch(world, users, items, rng)
    after = learn(world, users, world.items.offer[items], rng)
    return Reactions(
        clicked=clicked,
        purchased=purchased,
        **{name: np.where(clicked, values, 0) for name, values in watched.items()},
        **{name: np.where(purchased, values, np.nan) for name, values in after.items()},
    )


def watch(
    world: World, users: np.ndarray, items: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Play one opening: seconds watched of one lesson (more in a replay), interactions (0/1)."""
    n, interest = len(users), world.interest[users, items].astype(float)
    stays = rng.random(n) < 0.25 + 0.65 * interest
    share = np.where(stays, np.exp(rng.normal(interest - 0.8, 0.5)), rng.beta(1, 14, n))
    happened = {"watch_time": np.ceil(share * world.items.lesson_length[items])}
    for name, rate in (("like", 0.22), ("comment", 0.07), ("share", 0.03), ("question", 0.04)):
        happened[f"{name}_count"] = (rng.random(n) < rate * interest * stays).astype(int)
    return happened


def learn(
    world: World, users: np.ndarray, offers: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Play the time after a purchase: progress in [0, 1], rating 1–5 (NaN: none), refund (0/1)."""
    n, interest = len(users), world.interest[users, offers].astype(float)
    progress = rng.beta(0.5 + 2.5 * interest, 1.2)
    progress = np.ceil(progress * world.items.lessons[offers]) / world.items.lessons[offers]
    stars = np.clip(np.rint(1.8 + 3 * interest + rng.normal(0, 0.8, n)), 1, 5)
    rating = np.where(rng.random(n) < 0.4, stars, np.nan)
    return {
        "progress": progress,
        "rating": rating,
        "refunded": (rng.random(n) < 0.02 + 0.2 * (1 - interest) ** 2).astype(float),
    }
