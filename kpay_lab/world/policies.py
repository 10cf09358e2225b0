"""What would a recommender be worth? From another policy's log, from a test, and in truth.

A policy is an array (n_users, n_items): row u holds the probabilities π(i | u) with which a
slot of u's feed shows each item.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables, TooLittleError, window
from kpay_lab.experiments.ope import OffPolicy, cross_fit, evaluate_policy
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Training
from kpay_lab.stats import Interval, wilson
from kpay_lab.world.shop import World, click_probability, logging_policy

Policies = Mapping[str, np.ndarray]
FEW = 30  # rows from which nothing can be estimated


@dataclass(frozen=True)
class SlotLog:
    """Who looked, in which place (from 1), what was shown, how likely, and the click; (n,) each.

    ``user`` and ``action`` are positions in the indexes.
    """

    users: pd.Index
    items: pd.Index
    user: np.ndarray
    position: np.ndarray
    action: np.ndarray
    propensity: np.ndarray
    reward: np.ndarray

    def take(self, rows: np.ndarray) -> "SlotLog":
        """Return some of the slots."""
        names = ("user", "position", "action", "propensity", "reward")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def slot_log(exposures: pd.DataFrame, users: pd.Index, items: pd.Index) -> SlotLog:
    """Read the slots of an exposures table; ValueError if it lacks propensities or clicks."""
    needed = ["position", "propensity", "clicked"]
    if missing := [name for name in needed if name not in exposures]:
        raise ValueError(f"exposures lack {', '.join(missing)}; an off-policy estimate needs them")
    kept = exposures.dropna(subset=needed)
    user, action = users.get_indexer(kept["user_id"]), items.get_indexer(kept["item_id"])
    chance, click = (kept[name].to_numpy(np.float64) for name in needed[1:])
    return SlotLog(users, items, user, kept["position"].to_numpy(np.int64), action, chance, click)


def part_in_time(tables: Tables, share: float = 2 / 3) -> tuple[Training, SlotLog]:
    """Return what a policy may learn from, and the slots shown after it, to judge it by.

    The cut lies at ``share`` of the time from the first exposure to the last.

    Raises
    ------
    TooLittleError
        If exposures lack propensities, positions or clicks, or a side of the cut holds no more
        than `FEW` of what it needs.
    """
    exposures = tables.exposures
    if exposures is None or not {"propensity", "clicked", "position"} <= set(exposures):
        raise TooLittleError("this data holds no exposures with propensities of a feed")
    moments = exposures["timestamp"]
    cut = moments.min() + (moments.max() - moments.min()) * share
    users, items = tables.ids("user_id"), tables.ids("item_id")
    slots = slot_log(exposures[moments >= cut], users, items)
    n_before = int((tables.events["timestamp"] < cut).sum()) if "timestamp" in tables.events else 0
    if min(len(slots.user), n_before) <= FEW:
        raise TooLittleError(
            f"{n_before:,} events lie before {cut:%Y-%m-%d %H:%M} UTC and {len(slots.user):,} "
            f"slots with a propensity after it; both must be more than {FEW}"
        )
    past = window(tables, until=cut.isoformat())
    return Training(interest_matrix(past, users=users, items=items), past), slots


def stochastic(
    scores: np.ndarray, candidates: np.ndarray, *, temperature: float = 1.0, epsilon: float = 0.1
) -> np.ndarray:
    r"""Turn a recommender's scores (n_users, n_items) into a policy over m candidates.

    .. math:: \pi(i|u) = (1 - \epsilon) \operatorname{softmax}_i(z_{ui} / T) + \epsilon / m

    with z the user's scores, standardised. It leaves every candidate a chance: what is never
    shown cannot be judged.

    >>> stochastic(np.array([[1.0, 0.0, 9.0]]), np.array([True, True, False]), epsilon=0).round(2)
    array([[0.88, 0.12, 0.  ]])
    """
    chosen = np.asarray(scores, dtype=np.float64)[:, candidates]
    z = chosen - chosen.mean(axis=1, keepdims=True)
    spread = z.std(axis=1, keepdims=True)
    z = np.divide(z, spread, out=np.zeros_like(z), where=spread > 1e-12)
    pull = np.exp((z - z.max(axis=1, keepdims=True)) / temperature)
    policy = np.zeros(np.shape(scores))
    policy[:, candidates] = (1 - epsilon) * pull / pull.sum(axis=1, keepdims=True)
    policy[:, candidates] += epsilon / candidates.sum()
    return policy


def off_policy(
    log: SlotLog, policies: Policies, *, rng: np.random.Generator, clip: float = np.inf
) -> dict[str, OffPolicy]:
    """Estimate the clicks a slot of each policy from the log; one reward model serves all."""
    context = np.column_stack([np.ones(len(log.user)), 1 / log.position])
    q = cross_fit(context, log.action, log.reward, len(log.items), rng=rng, folds=3)
    logged = log.reward, log.action, log.propensity
    return {n: evaluate_policy(*logged, p[log.user], q, clip=clip) for n, p in policies.items()}


def true_values(world: World, policies: Policies, log: SlotLog) -> dict[str, float]:
    """Return the expected clicks a slot: mean over slots of Σ_i π(i | u) P(click | u, i, k)."""
    chance = _chances(world, log)
    return {n: float((p[log.user] * chance).sum(axis=1).mean()) for n, p in policies.items()}


def simulated_test(
    world: World, policies: Policies, log: SlotLog, *, rng: np.random.Generator
) -> dict[str, Interval]:
    """Play policies against each other: each user meets one, by lot, and reacts afresh.

    An arm's value is Σ clicks / Σ slots of its users, with a 95 % interval by the delta method.
    """
    arm = rng.integers(len(policies), size=len(log.users))[log.user]
    chance, found = _chances(world, log), {}
    for number, (name, policy) in enumerate(policies.items()):
        mine = np.flatnonzero(arm == number)
        user = log.user[mine]
        clicks = rng.random(len(mine)) < chance[mine, _draw(policy[user], rng)]
        sums, slots = (np.bincount(user, w, len(log.users)) for w in (clicks.astype(float), None))
        value, n = sums.sum() / slots.sum(), (slots > 0).sum()
        se = np.sqrt(n / (n - 1) * ((sums - value * slots) ** 2).sum()) / slots.sum()
        found[name] = Interval(*map(float, (value, value - 1.96 * se, value + 1.96 * se)))
    return found


def three_ways(
    world: World,
    policies: Policies,
    log: SlotLog,
    estimates: Mapping[str, OffPolicy],
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Put estimates, a test and the truth side by side: columns policy, way, value, low, high."""
    tests, truth = simulated_test(world, policies, log, rng=rng), true_values(world, policies, log)
    rows: list[tuple] = []
    for name, result in estimates.items():
        rows += [(name, e.method, e.value, e.low, e.high) for e in result.estimates]
        rows.append((name, "A/B test", *vars(tests[name]).values()))
        rows.append((name, "truth", truth[name], np.nan, np.nan))
    return pd.DataFrame(rows, columns=["policy", "way", "value", "low", "high"])


def coverage(
    world: World,
    policies: Policies,
    log: SlotLog,
    *,
    n_repetitions: int,
    n_slots: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Let the log happen again and again; count how often an interval holds the truth.

    A repetition draws ``n_slots`` of the slots, items by the log's own policy and clicks by
    the world, and estimates every policy. Columns policy, method, coverage and its interval
    low and high, bias (mean estimate less truth), width (mean), ess (share of the slots).
    """
    truth, rows = true_values(world, policies, log), []
    people, things = _places(world, log)
    shown = sum(policies.values(), np.zeros(())).any(axis=0)
    own = logging_policy(world)[np.ix_(people, things)] * shown
    own /= own.sum(axis=1, keepdims=True)
    for _ in range(n_repetitions):
        slots = log.take(rng.integers(len(log.user), size=n_slots))
        action = _draw(own[slots.user], rng)
        chance = click_probability(world, people[slots.user], things[action], slots.position)
        click = (rng.random(n_slots) < chance).astype(np.float64)
        slots = replace(slots, action=action, propensity=own[slots.user, action], reward=click)
        for name, result in off_policy(slots, policies, rng=rng).items():
            for e in result.estimates[:3]:
                inside, bias = e.low <= truth[name] <= e.high, e.value - truth[name]
                rows.append((name, e.method, inside, bias, e.high - e.low, result.ess / n_slots))
    names = ["policy", "method", "coverage", "bias", "width", "ess"]
    found = pd.DataFrame(rows, columns=names).groupby(names[:2], sort=False).mean().reset_index()
    hits = (found["coverage"] * n_repetitions).round()
    bounds = pd.DataFrame([vars(wilson(hit, n_repetitions)) for hit in hits])
    return found.join(bounds[["low", "high"]])


def _places(world: World, log: SlotLog) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the world of the log's users and items."""
    return world.user_positions(log.users), world.item_positions(log.items)


def _chances(world: World, log: SlotLog) -> np.ndarray:
    """Probability of a click on every item in every slot, (n, n_items)."""
    people, things = _places(world, log)
    places = log.position[:, None]
    return click_probability(world, people[log.user][:, None], things[None, :], places)


def _draw(policy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one item a row, (n,) int."""
    reach = policy.cumsum(axis=1)
    return (reach <= rng.random(len(policy))[:, None] * reach[:, -1:]).sum(axis=1)
