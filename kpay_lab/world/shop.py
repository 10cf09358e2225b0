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
from scipy.special import expit, logit

from kpay_lab import columns as c
from kpay_lab.world.catalogue import DAY, Catalogue, People, draw_catalogue, draw_people, moments
from kpay_lab.world.presets import EXAMINATION, FIELDS, WorldSpec
from kpay_lab.world.programme import Programme, draw_programme

EXPLORATION = 0.2  # share of the feed that the log's own policy fills at random
# How often someone of full interest who stays interacts.
INTERACTION_RATES = {
    "like_count": 0.22,
    "comment_count": 0.07,
    "share_count": 0.03,
    "question_count": 0.04,
}


@dataclass(frozen=True)
class World:
    """Everything that is true of a simulated shop.

    ``interest`` is float32 (n_users, n_items), ``interest_in_sessions`` the same of the new live
    sessions of ``programme``, and ``intercept`` the *b* of this file's formula.
    """

    spec: WorldSpec
    users: People
    items: Catalogue
    interest: np.ndarray
    programme: Programme
    interest_in_sessions: np.ndarray
    intercept: float = 0.0

    @property
    def user_ids(self) -> pd.Index:
        """Id of each user, in the order of the rows of ``interest``."""
        return pd.Index(self.users.table["user_id"])

    @property
    def item_ids(self) -> pd.Index:
        """Id of each item, in the order of the columns of ``interest``."""
        return pd.Index(self.items.table["item_id"])

    @property
    def logged_ids(self) -> pd.Index:
        """Id of each item of `logged_items`."""
        return self.item_ids.append(pd.Index(self.programme.new_items["item_id"]))

    @property
    def logged_items(self) -> pd.DataFrame:
        """The items table: the catalogue, and then the live sessions that no feed shows."""
        table = self.items.table.join(self.programme.recorded)
        sessions = self.programme.new_items
        return pd.concat([table[[*sessions]], sessions], ignore_index=True)

    @property
    def logged_lengths(self) -> np.ndarray:
        """Seconds of one lesson of each item of `logged_items`; of a session all of it."""
        of_sessions = self.programme.new_items["duration"].to_numpy()
        return np.concatenate([self.items.lesson_length, of_sessions])

    @property
    def end(self) -> float:
        """Seconds from the start of the log to its end."""
        return self.spec.n_days * DAY

    def interest_of(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the interest of each user in the item beside, float64; both are positions."""
        return self.interest[users, items].astype(float)

    def interest_log_odds(self, users: np.ndarray | None = None) -> np.ndarray:
        """Return the log-odds of users' interest in each item, (len(users), n_items).

        ``users`` are positions; by default all.
        """
        interest = self.interest if users is None else self.interest[users]
        return logit(interest.astype(float))

    def user_positions(self, ids: pd.Index | pd.Series) -> np.ndarray:
        """Return the positions of users, int (n,); raises ValueError if one is unknown."""
        return _positions("user", self.user_ids, ids)

    def item_positions(self, ids: pd.Index | pd.Series) -> np.ndarray:
        """Return the positions of items, int (n,); raises ValueError if one is unknown."""
        return _positions("item", self.item_ids, ids)

    def log_rows(self, users: pd.Series, items: pd.Series, seconds: pd.Series) -> pd.DataFrame:
        """Return who met what and when, as a log writes it: user_id, item_id, timestamp.

        ``users`` and ``items`` (of `logged_items`) are positions and ``seconds`` count from the
        start of the log, (n,) each; rows are numbered from 0.
        """
        keys = {
            "user_id": self.user_ids.take(users),
            "item_id": self.logged_ids.take(items),
            "timestamp": moments(seconds),
        }
        return pd.DataFrame(keys)


def build_world(spec: WorldSpec, user_ids: pd.Index | None = None) -> World:
    """Draw users, items and the true interest of each user in each item.

    ``user_ids`` (n_users,) are the names of the users, such as the pseudonyms of a log
    (`truth.GroundTruth.users`); by default the world's own.
    """
    streams = spec.streams()
    users = draw_people(spec, streams[0])
    items = draw_catalogue(spec, streams[1])
    programme = draw_programme(spec, items, streams[6])
    if user_ids is not None:
        users = replace(users, table=users.table.assign(user_id=user_ids))
    liking_of_traits = users.tastes @ items.traits.T
    liking = liking_of_traits + users.kind_liking[:, items.kind]
    centred = liking - liking.mean()
    standardised = centred / liking.std()
    log_odds = 0.75 * (standardised + items.quality) / spec.noise  # 0.75: how far they spread
    interest = expit(log_odds).astype(np.float32)
    is_new = programme.sessions["item"] >= spec.n_items
    new = programme.sessions[is_new].sort_values("item")
    live = c.ITEM_KINDS.index("live")
    hero = new["hero"].to_numpy()
    liking_of_sessions = liking_of_traits[:, hero] + users.kind_liking[:, [live]]
    centred_sessions = liking_of_sessions - liking.mean()
    standardised_sessions = centred_sessions / liking.std()
    quality = new["quality"].to_numpy()
    log_odds_of_sessions = 0.75 * (standardised_sessions + quality) / spec.noise
    interest_in_sessions = expit(log_odds_of_sessions).astype(np.float32)
    without_intercept = World(spec, users, items, interest, programme, interest_in_sessions)
    return replace(without_intercept, intercept=_intercept(without_intercept))


def _positions(what: str, ids_of_world: pd.Index, ids: pd.Index | pd.Series) -> np.ndarray:
    """Return the positions of ids in a world; an unknown id is an error that calls it ``what``."""
    positions = ids_of_world.get_indexer(ids)
    is_unknown = positions < 0
    if is_unknown.any():
        unknown_id = pd.Index(ids)[is_unknown][0]
        raise ValueError(f"{what} {unknown_id!r} is not in this world; build it with the log's ids")
    return positions


def _intercept(world: World) -> float:
    """Solve for the ``b`` at which the logging policy sells at the field's rate.

    The rate is that of a place in the middle of the feed, over the first 200 users, who are
    drawn like all others.
    """
    from scipy.optimize import brentq  # here, for it is slow to import

    n_users = min(200, world.spec.n_users)
    n_items = world.spec.n_items
    users = np.repeat(np.arange(n_users), n_items)
    items = np.tile(np.arange(n_items), n_users)
    policy = logging_policy(world, np.arange(n_users)).ravel()
    middle_of_feed = np.full(len(users), 3.0)
    click = click_probability(world, users, items, middle_of_feed)
    click_rate = policy / n_users * click
    log_odds = _purchase_log_odds(world, users, items)
    target_rate = FIELDS[world.spec.field].purchase_rate

    def excess_rate(intercept: float) -> float:
        purchase_rate = click_rate @ expit(intercept + log_odds)
        return purchase_rate - target_rate

    return float(brentq(excess_rate, -30, 30))


def logging_policy(world: World, users: np.ndarray | None = None) -> np.ndarray:
    r"""Probability with which the log's own policy shows each item to each user.

    .. math:: \pi(i|u) = 0.8 \operatorname{softmax}_i(a_i + 1.1 \operatorname{logit} I_{ui})
        + 0.2 / n

    Float (len(users), n_items), over the whole catalogue: before an item is published its share
    goes to the others in proportion. ``users`` are positions; by default all.
    """
    log_weights = world.items.appeal + 1.1 * world.interest_log_odds(users)
    shares = shares_of_rows(np.exp(log_weights))
    by_chance = EXPLORATION / world.spec.n_items
    return (1 - EXPLORATION) * shares + by_chance


def shares_of_rows(weights: np.ndarray) -> np.ndarray:
    """Divide each row of weights by its sum."""
    return weights / weights.sum(axis=1, keepdims=True)


def click_probability(
    world: World, users: np.ndarray, items: np.ndarray, positions: np.ndarray | int = 1
) -> np.ndarray:
    """Probability that a user opens an item shown at a position (from 1)."""
    examined = np.asarray(positions, dtype=float) ** -EXAMINATION
    interest = world.interest_of(users, items)
    return examined * expit(logit(interest) - 0.2)


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
    coupon = np.asarray(treated) * world.users.coupon_effect[users]
    log_odds = world.intercept + _purchase_log_odds(world, users, items)
    purchase_after_click = expit(log_odds + coupon)
    return click_probability(world, users, items, positions) * purchase_after_click


def _purchase_log_odds(world: World, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the log-odds of buying after a click, without the intercept and without a coupon.

    The price counts in relation to the median one, which only shifts the intercept.
    """
    offers = world.items.offer[items]
    return log_odds_of_buying(world, users, offers, world.items.persuasion[items])


def log_odds_of_buying(
    world: World, users: np.ndarray, offers: np.ndarray, persuasion: np.ndarray | float
) -> np.ndarray:
    """Return the log-odds of buying offers where persuasion is so much, without the intercept.

    Arrays are of shapes that fit; ``persuasion`` is what host and kind add to the log-odds.
    """
    interest_in_offer = world.interest_of(users, offers)
    attraction = 0.5 * logit(interest_in_offer) + persuasion
    relative_price = world.items.price[offers] / np.median(world.items.price)
    resistance = world.users.price_sensitivity[users] * np.log(relative_price)
    return attraction - resistance


def react(world: World, shown: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Play what follows when items are shown to users.

    It does not know what users own: a caller who plays on must leave second purchases out.

    Parameters
    ----------
    shown : DataFrame
        One row an exposure: ``user`` and ``item`` (positions), ``position`` (from 1), and
        ``treated``, 1 where the user holds a coupon.

    Returns
    -------
    DataFrame
        ``shown`` with ``clicked`` and ``purchased``; the columns of `watch`, 0 without a click;
        and those of `learn`, NaN without a purchase, about the offer that was bought.
    """
    user = shown["user"].to_numpy()
    item = shown["item"].to_numpy()
    position = shown["position"].to_numpy()
    treated = shown["treated"].to_numpy()
    click = click_probability(world, user, item, position)
    purchase = purchase_probability(world, user, item, treated, position)
    purchase_after_click = purchase / click
    clicked = rng.random(len(shown)) < click
    wants_to_buy = rng.random(len(shown)) < purchase_after_click
    purchased = clicked & wants_to_buy
    reactions = shown.assign(clicked=clicked, purchased=purchased)
    watched = watch(world, user, item, rng)
    learned = learn(world, user, world.items.offer[item], rng)
    for name, values in watched.items():
        reactions[name] = np.where(clicked, values, 0)
    for name, values in learned.items():
        reactions[name] = np.where(purchased, values, np.nan)
    return reactions


def watch(
    world: World, users: np.ndarray, items: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Play one opening: seconds watched of one lesson (more in a replay), interactions (0/1)."""
    n = len(users)
    interest = world.interest_of(users, items)
    stay_probability = 0.25 + 0.65 * interest
    stays = rng.random(n) < stay_probability
    share_if_staying = np.exp(rng.normal(interest - 0.8, 0.5))
    share_if_leaving = rng.beta(1, 14, n)
    share = np.where(stays, share_if_staying, share_if_leaving)
    lesson_length = world.items.lesson_length[items]
    watched = {"watch_time": np.ceil(share * lesson_length)}
    for name, rate in INTERACTION_RATES.items():
        probability = rate * interest * stays
        interacts = rng.random(n) < probability
        watched[name] = interacts.astype(int)
    return watched


def learn(
    world: World, users: np.ndarray, offers: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Play the time after a purchase: progress in [0, 1], rating 1–5 (NaN: none), refund (0/1)."""
    n = len(users)
    interest = world.interest_of(users, offers)
    n_lessons = world.items.lessons[offers]
    progress = rng.beta(0.5 + 2.5 * interest, 1.2)
    lessons_taken = np.ceil(progress * n_lessons)
    enjoyment = 1.8 + 3 * interest + rng.normal(0, 0.8, n)
    stars = np.clip(np.rint(enjoyment), 1, 5)
    is_rated = rng.random(n) < 0.4
    refund_probability = 0.02 + 0.2 * (1 - interest) ** 2
    is_refunded = rng.random(n) < refund_probability
    return {
        "progress": lessons_taken / n_lessons,
        "rating": np.where(is_rated, stars, np.nan),
        "refunded": is_refunded.astype(float),
    }
