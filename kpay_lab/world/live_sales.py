r"""What live sessions sell.

A viewer who is there buys an item at the rate, a minute,

.. math:: \lambda = \kappa \, \sigma(b + 0.5 \operatorname{logit} I_{uo} + h - s_u \log p_o + a)
          \, \Bigl(1 + 15 \sum_j e^{-m_j / 4}\Bigr)

with *b*, *I*, *s* and *p* as in `shop`, *h* what a live session and its host add, *a* what hour and
luck of the session add, and :math:`m_j` the minutes since the item's j-th offer in it.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from kpay_lab.world.audience import Crowd, LiveSession, leaving
from kpay_lab.world.presets import HOSTS, ITEM_KINDS
from kpay_lab.world.shop import World, log_odds_of_buying

BUYING = 0.0036  # the kappa of this file's formula
LIFT = 15.0  # how many times the usual rate an offer adds for its item at first
FADING = 4.0  # minutes in which the lift falls to 1/e
MOST_FOR_HOSTS = 250  # visits of a session on which the effects of hosts are computed


def lift_after_offer(minutes: np.ndarray) -> np.ndarray:
    """Return what an offer adds to the rate of buying its item, in times the usual one.

    >>> lift_after_offer(np.array([-1.0, 0.0, 4.0])).round(2).tolist()
    [0.0, 15.0, 5.52]
    """
    since = np.maximum(minutes, 0.0)
    lift = LIFT * np.exp(-since / FADING)
    return np.where(minutes >= 0, lift, 0.0)


def draw_purchases(
    world: World,
    session: LiveSession,
    visits: pd.DataFrame,
    crowd: Crowd,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw who buys what when in a session; nobody buys what is owned already.

    Returns
    -------
    DataFrame
        ``visit`` (label in ``visits``), ``offer`` (position) and ``time``.
    """
    presence = _minutes_present(session, visits, visits["leave"])
    factors = _factors(session)
    rates = _rates(world, session, visits, session.host)
    expected = rates * (presence @ factors.T)
    row, column = np.nonzero(rng.poisson(expected))
    weights = presence[row] * factors[column]
    begins = session.minutes[_draw_columns(weights, rng)]
    bought_by = visits.iloc[row]
    earliest = np.maximum(bought_by["time"], begins)
    latest = np.minimum(bought_by["leave"], begins + 60)
    time = np.floor(rng.uniform(earliest, latest))
    offer = session.offered[column]
    purchases = pd.DataFrame({"visit": bought_by.index, "offer": offer, "time": time})
    purchases["user"] = bought_by["user"].to_numpy()
    in_order = purchases.sort_values("time", kind="stable")
    is_first = [_is_first(crowd, row) for row in in_order.itertuples()]
    sold = in_order[np.array(is_first, dtype=bool)]
    return sold.drop(columns="user")


def _is_first(crowd: Crowd, purchase: Any) -> bool:
    """Whether a purchase is the first of its user and offer; if so it is written down."""
    pair = (purchase.user, purchase.offer)
    owned_from = crowd.owned_from.get(pair, np.inf)
    if owned_from <= purchase.time:
        return False
    crowd.owned_from[pair] = purchase.time
    return True


def shown_to(session: LiveSession, visits: pd.DataFrame) -> pd.DataFrame:
    """Return who is there at the moment of an offer: ``visit`` (label), ``offer`` and ``time``."""
    entry = visits["time"].to_numpy()
    leave = visits["leave"].to_numpy()
    moments = session.offers["time"].to_numpy()
    has_come = entry[:, None] <= moments
    is_there = has_come & (leave[:, None] > moments)
    row, column = np.nonzero(is_there)
    shown = session.offers.iloc[column].rename(columns={"item": "offer"})
    return shown.assign(visit=visits.index[row])


def added_orders(world: World, session: LiveSession, visits: pd.DataFrame) -> np.ndarray:
    """Return how many orders each offer of a session adds in expectation, (n_offers,)."""
    presence = _minutes_present(session, visits, visits["leave"])
    rates = _rates(world, session, visits, session.host)
    usual = rates.T @ presence  # orders without any offer, (n_items, n_minutes)
    added = _lifts(session) * usual
    return added.sum(axis=(1, 2))


def expected_by_host(world: World, session: LiveSession, visits: pd.DataFrame) -> np.ndarray:
    """Return the expected orders of a session if each host had given it, (n_hosts,).

    A host changes how gladly people buy and how long they stay; who comes stays the same. Of a
    session with very many visits some stand for all.
    """
    step = max(1, len(visits) // MOST_FOR_HOSTS)
    some = visits.iloc[::step]
    factors = _factors(session)
    log_stay = world.programme.log_stay
    longer = np.exp(log_stay - log_stay[session.host])
    expected = np.zeros(len(HOSTS))
    for host, factor in enumerate(longer):
        leave = leaving(session, some, some["free_stay"] * factor)
        presence = _minutes_present(session, some, leave)
        rates = _rates(world, session, some, host)
        orders = rates * (presence @ factors.T)
        expected[host] = orders.sum()
    n_some = max(len(some), 1)
    return expected * len(visits) / n_some


def _minutes_present(session: LiveSession, visits: pd.DataFrame, leave: pd.Series) -> np.ndarray:
    """Return which part of each minute of a session each visit is there, (n_visits, n_minutes)."""
    begins = session.minutes
    entry = visits["time"].to_numpy(dtype=float)
    exit_ = leave.to_numpy(dtype=float)
    last = np.minimum(exit_[:, None], begins + 60)
    first = np.maximum(entry[:, None], begins)
    seconds = np.maximum(last - first, 0.0)
    return seconds / 60


def _factors(session: LiveSession) -> np.ndarray:
    """Return by how much offers raise the usual rate of each item, (n_items, n_minutes)."""
    lifts = _lifts(session)
    return 1 + lifts.sum(axis=0)


def _lifts(session: LiveSession) -> np.ndarray:
    """Return what each offer adds for each item in each minute, (n_offers, n_items, n_minutes)."""
    middle_of_minute = session.minutes + 30
    times = session.offers["time"].to_numpy()
    seconds_since = middle_of_minute - times[:, None]
    lift = lift_after_offer(seconds_since / 60)
    item = session.offers["item"].to_numpy()
    is_item = item[:, None] == session.offered
    return is_item[:, :, None] * lift[:, None, :]


def _rates(world: World, session: LiveSession, visits: pd.DataFrame, host: int) -> np.ndarray:
    """Return the usual rate, a minute, at which each visit buys each item, (n_visits, n_items)."""
    users = visits["user"].to_numpy(dtype=np.int64)
    persuasion = ITEM_KINDS.loc["live", "persuasion"]
    persuasion += world.items.host_charm[host]
    items = session.offered[None, :]
    log_odds = log_odds_of_buying(world, users[:, None], items, persuasion)
    log_odds += world.intercept + session.log_odds
    return BUYING * expit(log_odds)


def _draw_columns(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a column for each row of weights."""
    cumulative = weights.cumsum(axis=1)
    total = cumulative[:, -1]
    target = rng.random(len(weights)) * total
    is_before = cumulative <= target[:, None]
    return is_before.sum(axis=1)
