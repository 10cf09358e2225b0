"""Likes, comments, gifts and follows in live sessions, at the rates of a public log.

KuaiLive (Kuaishou, 5 to 25 May 2025; arXiv:2508.05633) counts 4,909,515 clicks, 196,526 comments,
179,311 likes and 72,646 gifts; 98.8 % of the gifts fall inside their visit. All of its users gave
at least once, so its rates are taken for a visit and never for a user.
"""

import numpy as np
import pandas as pd
from scipy.special import ndtr

from kpay_lab.world.audience import GENEROSITY, Crowd, LiveSession
from kpay_lab.world.comments import write_comments
from kpay_lab.world.presets import WorldSpec

# For each visit. KuaiLive has no follows; 12 in 1,000 is what platforms call usual.
LIKES = 0.037
COMMENTS = 0.040
GIFTS = 0.0148
FOLLOWS = 0.012
GIFT_AFTER_VISIT = 0.012
# The quantiles of the amount of a gift, log-linear between: median, 90 % and 99 % are KuaiLive's,
# and the largest amount is where the mean becomes its 82.7.
GIFT_SHARES = (0.0, 0.5, 0.9, 0.99, 1.0)
GIFT_AMOUNTS = (0.5, 2.0, 88.0, 1488.0, 4950.0)
# How far who gives often gives much: the Gini over givers is .94, and 1 % of them give 60 %.
LOYALTY = 0.75


def draw_likes(visits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw likes: ``visit`` (label in ``visits``), ``time`` and ``like_count``, which is 1."""
    chosen = _draw_rows(visits, LIKES, _engagement(visits), rng)
    return _during(visits, chosen, rng).assign(like_count=1)


def draw_comments(
    spec: WorldSpec, visits: pd.DataFrame, crowd: Crowd, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw comments: ``visit, time, comment_count`` (1), and the columns of `write_comments`."""
    talkativeness = np.exp(crowd.talkativeness[visits["user"]])
    weight = _engagement(visits) * talkativeness
    chosen = _draw_rows(visits, COMMENTS, weight, rng)
    comments = _during(visits, chosen, rng).assign(comment_count=1)
    commented = visits.iloc[chosen]
    topics = commented["topic"].to_numpy()
    hosts = commented["host"].to_numpy()
    written = write_comments(spec, topics, hosts, rng)
    return comments.join(written)


def draw_gifts(visits: pd.DataFrame, crowd: Crowd, rng: np.random.Generator) -> pd.DataFrame:
    """Draw gifts: ``visit, time, gift_amount``; a few come after their visit."""
    generosity = crowd.generosity[visits["user"]]
    weight = np.exp(generosity) * _patience(visits)
    chosen = _draw_rows(visits, GIFTS, weight, rng)
    gifts = _during(visits, chosen, rng)
    is_late = rng.random(len(gifts)) < GIFT_AFTER_VISIT
    seconds_late = rng.integers(1, 60, len(gifts))
    after_visit = visits["leave"].to_numpy()[chosen] + seconds_late
    gifts["time"] = np.where(is_late, after_visit, gifts["time"])
    # Of who is drawn by generosity, its logarithm is normal around the square of its spread.
    level = (generosity[chosen] - GENEROSITY**2) / GENEROSITY
    by_chance = rng.standard_normal(len(gifts))
    rest = np.sqrt(1 - LOYALTY**2)
    score = LOYALTY * level + rest * by_chance
    amount = gift_amounts(ndtr(score))
    return gifts.assign(gift_amount=amount)


def gift_amounts(shares: np.ndarray) -> np.ndarray:
    """Return the amount below which a share of all gifts lies, to the tenth.

    >>> gift_amounts(np.array([0.5, 0.9, 0.99])).tolist()
    [2.0, 88.0, 1488.0]
    """
    logarithms = np.log(GIFT_AMOUNTS)
    logarithm = np.interp(shares, GIFT_SHARES, logarithms)
    return np.exp(logarithm).round(1)


def draw_follows(
    session: LiveSession, visits: pd.DataFrame, crowd: Crowd, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw who follows the host from now on: ``user, host, time``; it is written down."""
    follows_already = crowd.follows[visits["user"], session.host]
    newcomers = visits[~follows_already]
    chosen = _draw_rows(newcomers, FOLLOWS, _engagement(newcomers), rng)
    follows = _during(newcomers, chosen, rng).drop(columns="visit")
    follows["user"] = newcomers["user"].to_numpy()[chosen]
    follows["host"] = session.host
    first = follows.sort_values("time", kind="stable").drop_duplicates("user")
    crowd.follows[first["user"], session.host] = True
    return first


def _patience(visits: pd.DataFrame) -> np.ndarray:
    """Return how much likelier the longer of two visits is to hold something."""
    stay = visits["leave"] - visits["time"]
    return np.sqrt(stay.to_numpy(dtype=float))


def _engagement(visits: pd.DataFrame) -> np.ndarray:
    return _patience(visits) * visits["interest"].to_numpy()


def _draw_rows(
    visits: pd.DataFrame, rate: float, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw the row in ``visits`` of each of about ``rate`` things a visit."""
    n_things = rng.poisson(rate * len(visits))
    share = weight / weight.sum() if n_things else None
    return rng.choice(len(visits), n_things, p=share)


def _during(visits: pd.DataFrame, chosen: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Draw a whole second of each chosen visit: ``visit`` (its label) and ``time``."""
    of_visit = visits.iloc[chosen]
    second = rng.uniform(of_visit["time"], of_visit["leave"])
    time = np.floor(second)
    return pd.DataFrame({"visit": of_visit.index, "time": time})
