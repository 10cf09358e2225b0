"""What a recommender is worth: estimated from a log, measured in a test, and in truth.

The log is that of another policy; the test and the truth are those of a simulated shop. A
policy is an array (n_users, n_items): row u holds the probabilities π(i | u) with which a slot
of u's feed shows each item.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.experiments.ope import OffPolicy, cross_fit, evaluate_policy
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Training
from kpay_lab.stats import Interval, wilson
from kpay_lab.world.shop import World, click_probability, logging_policy

Policies = Mapping[str, np.ndarray]
TOO_FEW = 30  # rows: with so many or fewer, nothing can be estimated


@dataclass(frozen=True)
class SlotLog:
    """The slots of feeds: who looked, at which position (from 1), what was shown, what came of it.

    ``user`` and ``action`` (the item shown) are positions in ``users`` and ``items``;
    ``propensity`` is the probability with which it was shown, ``reward`` 1 for a click, else 0.
    All but the two indexes are (n_slots,).
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
        arrays = {name: getattr(self, name)[rows] for name in names}
        return replace(self, **arrays)


def slot_log(exposures: pd.DataFrame, users: pd.Index, items: pd.Index) -> SlotLog:
    """Read the slots of an exposures table; ValueError if it lacks propensities or clicks."""
    needed = ["position", "propensity", "clicked"]
    missing = [name for name in needed if name not in exposures]
    if missing:
        raise ValueError(f"exposures lack {', '.join(missing)}; an off-policy estimate needs them")
    complete = exposures.dropna(subset=needed)
    return SlotLog(
        users=users,
        items=items,
        user=users.get_indexer(complete["user_id"]),
        position=complete["position"].to_numpy(np.int64),
        action=items.get_indexer(complete["item_id"]),
        propensity=complete["propensity"].to_numpy(np.float64),
        reward=complete["clicked"].to_numpy(np.float64),
    )


def split_in_time(tables: Tables, share: float = 2 / 3) -> tuple[Training, SlotLog]:
    """Return what a policy may learn from, and the slots shown after it, to judge it by.

    The cut lies at ``share`` of the time from the first exposure to the last.

    Raises
    ------
    TooLittleError
        If exposures lack propensities, positions or clicks, or a side of the cut holds no more
        than `TOO_FEW` of what it needs.
    """
    exposures = tables.exposures
    if exposures is None or not {"propensity", "clicked", "position"} <= set(exposures):
        raise TooLittleError("this data holds no exposures with propensities of a feed")
    times = exposures["timestamp"]
    cut = times.min() + (times.max() - times.min()) * share
    users = tables.ids("user_id")
    items = tables.ids("item_id")
    slots = slot_log(exposures[times >= cut], users, items)
    n_slots = len(slots.user)
    has_times = "timestamp" in tables.events
    n_before = int((tables.events["timestamp"] < cut).sum()) if has_times else 0
    if min(n_slots, n_before) <= TOO_FEW:
        raise TooLittleError(
            f"{n_before:,} events lie before {cut:%Y-%m-%d %H:%M} UTC and {n_slots:,} "
            f"slots with a propensity after it; both must be more than {TOO_FEW}"
        )
    past = tables.known_at(cut)
    interest = interest_matrix(past, users=users, items=items)
    return Training(interest, past), slots


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
    candidate_scores = np.asarray(scores, dtype=np.float64)[:, candidates]
    centred = candidate_scores - candidate_scores.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    z = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
    weight = np.exp((z - z.max(axis=1, keepdims=True)) / temperature)
    total_weight = weight.sum(axis=1, keepdims=True)
    policy = np.zeros(np.shape(scores))
    policy[:, candidates] = (1 - epsilon) * weight / total_weight
    policy[:, candidates] += epsilon / candidates.sum()
    return policy


def off_policy(
    log: SlotLog, policies: Policies, *, rng: np.random.Generator, clip: float = np.inf
) -> dict[str, OffPolicy]:
    """Estimate the clicks a slot of each policy from the log; one reward model serves all."""
    intercept = np.ones(len(log.user))
    context = np.column_stack([intercept, 1 / log.position])
    expected_reward = cross_fit(context, log.action, log.reward, len(log.items), rng=rng, folds=3)
    estimates = {}
    for name, policy in policies.items():
        target = policy[log.user]
        estimates[name] = evaluate_policy(
            log.reward, log.action, log.propensity, target, expected_reward, clip=clip
        )
    return estimates


def true_values(world: World, policies: Policies, log: SlotLog) -> dict[str, float]:
    """Return the expected clicks a slot: mean over slots of Σ_i π(i | u) P(click | u, i, k)."""
    click = _click_probabilities(world, log)
    values = {}
    for name, policy in policies.items():
        expected_clicks = (policy[log.user] * click).sum(axis=1)
        values[name] = float(expected_clicks.mean())
    return values


def simulated_test(
    world: World, policies: Policies, log: SlotLog, *, rng: np.random.Generator
) -> dict[str, Interval]:
    """Play policies against each other: each user meets one, by lot, and reacts afresh.

    An arm's value is Σ clicks / Σ slots of its users, with a 95 % interval by the delta method.
    """
    n_users = len(log.users)
    arm_of_user = rng.integers(len(policies), size=n_users)
    arm_of_slot = arm_of_user[log.user]
    click = _click_probabilities(world, log)
    values = {}
    for arm, (name, policy) in enumerate(policies.items()):
        slots = np.flatnonzero(arm_of_slot == arm)
        user = log.user[slots]
        random_number = rng.random(len(slots))
        item = _draw(policy[user], rng)
        clicked = random_number < click[slots, item]
        values[name] = _clicks_a_slot(user, clicked, n_users)
    return values


def _clicks_a_slot(user: np.ndarray, clicked: np.ndarray, n_users: int) -> Interval:
    """Return Σ clicks / Σ slots, whose users are the units that were drawn."""
    clicks_of_user = np.bincount(user, clicked.astype(float), n_users)
    slots_of_user = np.bincount(user, minlength=n_users)
    n_slots = slots_of_user.sum()
    value = clicks_of_user.sum() / n_slots
    residual = clicks_of_user - value * slots_of_user
    n = (slots_of_user > 0).sum()
    se = np.sqrt(n / (n - 1) * (residual**2).sum()) / n_slots
    return Interval(float(value), float(value - 1.96 * se), float(value + 1.96 * se))


def three_ways(
    world: World,
    policies: Policies,
    log: SlotLog,
    estimates: Mapping[str, OffPolicy],
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Put estimates, a test and the truth side by side: columns policy, way, value, low, high."""
    tests = simulated_test(world, policies, log, rng=rng)
    truth = true_values(world, policies, log)
    rows: list[tuple] = []
    for name, result in estimates.items():
        for method, estimate in result.estimates.iterrows():
            rows.append((name, method, estimate["value"], estimate["low"], estimate["high"]))
        test = tests[name]
        rows.append((name, "A/B test", test.estimate, test.low, test.high))
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
    """Draw the log again and again, and count how often an interval covers the truth.

    A repetition draws ``n_slots`` of the slots, items by the log's own policy and clicks by
    the world, and estimates every policy. Columns policy, method, coverage and its interval
    low and high, bias (mean estimate less truth), width (mean), ess (share of the slots).
    """
    truth = true_values(world, policies, log)
    logging = _logging_policy_among(world, policies, log)
    rows = []
    for _ in range(n_repetitions):
        drawn_slots = log.take(rng.integers(len(log.user), size=n_slots))
        redrawn = _redrawn(world, drawn_slots, logging, rng)
        for name, result in off_policy(redrawn, policies, rng=rng).items():
            with_interval = result.estimates.drop(index="DM")
            for method, estimate in with_interval.iterrows():
                row = {
                    "policy": name,
                    "method": method,
                    "coverage": estimate["low"] <= truth[name] <= estimate["high"],
                    "bias": estimate["value"] - truth[name],
                    "width": estimate["high"] - estimate["low"],
                    "ess": result.ess / n_slots,
                }
                rows.append(row)
    means = pd.DataFrame(rows).groupby(["policy", "method"], sort=False).mean().reset_index()
    n_covered = (means["coverage"] * n_repetitions).round().astype(int)
    intervals = pd.DataFrame([vars(wilson(n, n_repetitions)) for n in n_covered])
    return means.join(intervals[["low", "high"]])


def _logging_policy_among(world: World, policies: Policies, log: SlotLog) -> np.ndarray:
    """Return the log's own policy over the items that some policy shows, (n_users, n_items)."""
    is_shown = np.zeros(len(log.items), dtype=bool)
    for policy in policies.values():
        is_shown |= policy.any(axis=0)
    rows = world.user_positions(log.users)[:, None]
    columns = world.item_positions(log.items)
    weight = logging_policy(world)[rows, columns] * is_shown
    return weight / weight.sum(axis=1, keepdims=True)


def _redrawn(world: World, slots: SlotLog, policy: np.ndarray, rng: np.random.Generator) -> SlotLog:
    """Return the slots with items drawn anew by a policy, and the clicks that follow."""
    action = _draw(policy[slots.user], rng)
    user = world.user_positions(slots.users)[slots.user]
    item = world.item_positions(slots.items)[action]
    click = click_probability(world, user, item, slots.position)
    clicked = rng.random(len(slots.user)) < click
    return replace(
        slots,
        action=action,
        propensity=policy[slots.user, action],
        reward=clicked.astype(np.float64),
    )


def _click_probabilities(world: World, log: SlotLog) -> np.ndarray:
    """Probability of a click on every item in every slot, (n_slots, n_items)."""
    user = world.user_positions(log.users)[log.user]
    item = world.item_positions(log.items)
    return click_probability(world, user[:, None], item[None, :], log.position[:, None])


def _draw(policy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw an item for each row of probabilities, int (n,)."""
    cumulative = policy.cumsum(axis=1)
    target = rng.random(len(policy))[:, None] * cumulative[:, -1:]
    return (cumulative <= target).sum(axis=1)
