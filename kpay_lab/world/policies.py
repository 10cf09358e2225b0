"""What a recommender is worth: estimated from a log, measured in a test, and in truth.

The log is that of another policy; the test and the truth are those of a simulated shop. A
policy is an array (n_users, n_items): row u holds the probabilities π(i | u) with which a slot
of u's feed shows each item.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.experiments.checking import (
    check_finite,
    check_marks,
    check_positions,
    check_propensity,
)
from kpay_lab.experiments.ope import OffPolicy, cross_fit, evaluate_policy
from kpay_lab.findings import Finding
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Training
from kpay_lab.stats import Interval, holm, wilson
from kpay_lab.world.shop import World, click_probability, logging_policy, shares_of_rows

Policies = Mapping[str, np.ndarray]
PROMISED = 0.95  # of intervals, to hold the truth
TOO_FEW = 30  # rows: with so many or fewer, nothing can be estimated


def slot_log(exposures: pd.DataFrame, users: pd.Index, items: pd.Index) -> pd.DataFrame:
    """Read the slots of feeds from an exposures table.

    Parameters
    ----------
    exposures : DataFrame
    users, items : pandas.Index
        The ids of a policy's rows and columns.

    Returns
    -------
    DataFrame
        One row a slot: ``user`` and ``item`` (the one shown), categories ``users`` and
        ``items``; ``position`` (from 1); ``propensity``, the probability with which the item
        was shown; ``reward``, 1 for a click, else 0.

    Raises
    ------
    ValueError
        If the exposures lack positions, propensities or clicks, hold one that cannot be, or an
        id that is not among ``users`` or ``items``.
    """
    needed = ["position", "propensity", "clicked"]
    missing = [name for name in needed if name not in exposures]
    if missing:
        raise ValueError(f"exposures lack {', '.join(missing)}; an off-policy estimate needs them")
    complete = exposures.dropna(subset=needed)
    _refuse_strangers("user_id", complete["user_id"], users, "users of the policy")
    _refuse_strangers("item_id", complete["item_id"], items, "items of the policy")
    check_positions("position", complete["position"], 1)
    check_propensity("propensity", complete["propensity"])
    check_marks("clicked", complete["clicked"])
    slots = {
        "user": pd.Categorical(complete["user_id"], users),
        "item": pd.Categorical(complete["item_id"], items),
        "position": complete["position"].to_numpy(np.int64),
        "propensity": complete["propensity"].to_numpy(np.float64),
        "reward": complete["clicked"].to_numpy(np.float64),
    }
    return pd.DataFrame(slots)


def _refuse_strangers(column: str, ids: pd.Series, known: pd.Index, which: str) -> None:
    is_stranger = ~ids.isin(known)
    if is_stranger.any():
        stranger = ids[is_stranger].iloc[0]
        raise ValueError(
            f"{column} holds {stranger!r}, which is not among the {len(known)} {which}; leave such "
            "exposures out, or make the policy for everybody in them"
        )


def _rows_and_columns(slots: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return where each slot's user and item stand in a policy, int (n_slots,) each."""
    for name in ("user", "item"):
        is_missing = slots[name].isna().to_numpy()
        if is_missing.any():
            first = is_missing.argmax() + 1
            raise ValueError(
                f"slots.{name} is missing in row {first}; no policy has a place for it"
            )
    row = slots["user"].cat.codes.to_numpy(np.intp)
    column = slots["item"].cat.codes.to_numpy(np.intp)
    return row, column


def split_in_time(tables: Tables, share: float = 2 / 3) -> tuple[Training, pd.DataFrame]:
    """Return what a policy may learn from, and the slots shown after it, to judge it by.

    The cut lies at ``share`` of the time from the first exposure to the last. What the feed never
    shows, such as a live session that people come to by themselves, no policy for it can show:
    those items are left out.

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
    time_spanned = times.max() - times.min()
    cut = times.min() + time_spanned * share
    users = tables.ids("user_id")
    items = tables.ids("item_id")
    items = items[items.isin(exposures["item_id"])]
    slots = slot_log(exposures[times >= cut], users, items)
    n_before = 0
    if "timestamp" in tables.events:
        is_before = tables.events["timestamp"] < cut
        n_before = int(is_before.sum())
    if min(len(slots), n_before) <= TOO_FEW:
        raise TooLittleError(
            f"{n_before:,} events lie before {cut:%Y-%m-%d %H:%M} UTC and {len(slots):,} "
            f"slots with a propensity after it; both must be more than {TOO_FEW}"
        )
    past = _among(tables.known_at(cut), items)
    interest = interest_matrix(past, users=users, items=items)
    return Training(interest, past), slots


def _among(tables: Tables, items: pd.Index) -> Tables:
    """Return tables with the events and orders of some items alone."""
    is_among = tables.events["item_id"].isin(items)
    among = tables.with_events(tables.events[is_among])
    orders = tables.orders
    if orders is None or "item_id" not in orders:
        return among
    is_sold = orders["item_id"].isin(items)
    return replace(among, orders=orders[is_sold])


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
    if not np.any(candidates):
        raise ValueError("candidates holds no candidate; a policy needs 1 or more items to show")
    candidate_scores = np.asarray(scores, dtype=np.float64)[:, candidates]
    check_finite("scores", candidate_scores)
    centred = candidate_scores - candidate_scores.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    standardised = np.zeros_like(centred)
    np.divide(centred, spread, out=standardised, where=spread > 1e-12)
    below_best = standardised - standardised.max(axis=1, keepdims=True)
    weight = np.exp(below_best / temperature)
    total_weight = weight.sum(axis=1, keepdims=True)
    by_chance = epsilon / candidates.sum()
    policy = np.zeros(np.shape(scores))
    policy[:, candidates] = (1 - epsilon) * weight / total_weight + by_chance
    return policy


def off_policy(
    slots: pd.DataFrame, policies: Policies, *, rng: np.random.Generator, clip: float = np.inf
) -> dict[str, OffPolicy]:
    """Estimate the clicks a slot of each policy from the log; one reward model serves all.

    ``slots`` are those of `slot_log`.
    """
    row, column = _rows_and_columns(slots)
    reward = slots["reward"].to_numpy()
    propensity = slots["propensity"].to_numpy()
    intercept = np.ones(len(slots))
    context = np.column_stack([intercept, 1 / slots["position"]])
    n_items = len(slots["item"].cat.categories)
    expected_reward = cross_fit(context, column, reward, n_items, rng=rng, folds=3)
    estimates = {}
    for name, policy in policies.items():
        target = policy[row]
        estimates[name] = evaluate_policy(
            reward, column, propensity, target, expected_reward, clip=clip
        )
    return estimates


def true_values(world: World, policies: Policies, slots: pd.DataFrame) -> dict[str, float]:
    """Return the expected clicks a slot: mean over slots of Σ_i π(i | u) P(click | u, i, k)."""
    row, _ = _rows_and_columns(slots)
    click = _click_probabilities(world, slots)
    values = {}
    for name, policy in policies.items():
        expected_clicks = (policy[row] * click).sum(axis=1)
        values[name] = float(expected_clicks.mean())
    return values


def simulated_test(
    world: World, policies: Policies, slots: pd.DataFrame, *, rng: np.random.Generator
) -> dict[str, Interval]:
    """Play policies against each other: each user meets one, by lot, and reacts afresh.

    An arm's value is Σ clicks / Σ slots of its users, with a 95 % interval by the delta method.

    Raises
    ------
    TooLittleError
        If a policy meets fewer than two users.
    """
    row, _ = _rows_and_columns(slots)
    n_users = len(slots["user"].cat.categories)
    arm_of_user = rng.integers(len(policies), size=n_users)
    arm_of_slot = arm_of_user[row]
    click = _click_probabilities(world, slots)
    values = {}
    for arm, (name, policy) in enumerate(policies.items()):
        slots_of_arm = np.flatnonzero(arm_of_slot == arm)
        user = row[slots_of_arm]
        n_met = len(np.unique(user))
        if n_met < 2:
            raise TooLittleError(f"{name} meets {n_met} users; a test needs 2 or more an arm")
        random_number = rng.random(len(slots_of_arm))
        item = _draw(policy[user], rng)
        clicked = random_number < click[slots_of_arm, item]
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
    variance_of_sum = n / (n - 1) * (residual**2).sum()
    se = np.sqrt(variance_of_sum) / n_slots
    half_width = 1.96 * se
    return Interval(float(value), float(value - half_width), float(value + half_width))


def three_ways(
    world: World,
    policies: Policies,
    slots: pd.DataFrame,
    estimates: Mapping[str, OffPolicy],
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Put estimates, a test and the truth side by side: columns policy, way, value, low, high."""
    tests = simulated_test(world, policies, slots, rng=rng)
    truth = true_values(world, policies, slots)
    rows: list[tuple] = []
    for name, result in estimates.items():
        for method, estimate in result.estimates.iterrows():
            rows.append((name, method, estimate["value"], estimate["low"], estimate["high"]))
        test = tests[name]
        rows.append((name, "A/B test", test.estimate, test.low, test.high))
        rows.append((name, "truth", truth[name], np.nan, np.nan))
    return pd.DataFrame(rows, columns=["policy", "way", "value", "low", "high"])


def agreement_findings(ways: pd.DataFrame) -> list[Finding]:
    """Return whether log, test and truth of `three_ways` name one policy, and how often they hold.

    Counted are the intervals, of the log's methods and of the test, that hold the truth.
    """
    by_way = ways.pivot(index="policy", columns="way", values="value")
    first = by_way.idxmax()
    with_interval = ways.dropna(subset=["low", "high"])
    truth = with_interval["policy"].map(by_way["truth"])
    is_inside = truth.between(with_interval["low"], with_interval["high"])
    by_log = first["DR"]
    by_test = first["A/B test"]
    by_truth = first["truth"]
    agree = by_log == by_test == by_truth
    values = {"by_log": by_log, "by_test": by_test, "by_truth": by_truth}
    values |= {"n_inside": is_inside.sum(), "n": len(is_inside), "promised": PROMISED}
    level = "good" if agree else "watch"
    return [Finding("policies/agreement", level, values, place="three_ways")]


def coverage(
    world: World,
    policies: Policies,
    slots: pd.DataFrame,
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
    truth = true_values(world, policies, slots)
    logging = _logging_policy_among(world, policies, slots)
    rows: list[dict[str, Any]] = []
    for _ in range(n_repetitions):
        drawn_slots = slots.take(rng.integers(len(slots), size=n_slots))
        redrawn = _redrawn(world, drawn_slots, logging, rng)
        for name, result in off_policy(redrawn, policies, rng=rng).items():
            rows += _errors(name, result, truth[name], n_slots)
    means = pd.DataFrame(rows).groupby(["policy", "method"], sort=False).mean().reset_index()
    n_covered = (means["coverage"] * n_repetitions).round().astype(int)
    intervals = pd.DataFrame([vars(wilson(n, n_repetitions)) for n in n_covered])
    return means.join(intervals[["low", "high"]])


def coverage_findings(covered: pd.DataFrame, *, n_logs: int, n_slots: int) -> list[Finding]:
    """Return where the intervals of `coverage` hold the truth less often than they promise.

    That is shown by a one-sided binomial test, adjusted by Holm for all estimates.
    """
    n_held = (covered["coverage"] * n_logs).round()
    pvalues = [binomtest(int(n), n_logs, PROMISED, "less").pvalue for n in n_held]
    adjusted = holm(np.array(pvalues))
    n_shown = (adjusted < 0.05).sum()
    worst = covered.loc[covered["coverage"].idxmin()]
    values: dict[str, object] = {"n_logs": n_logs, "n_slots": n_slots, "promised": PROMISED}
    values |= {"n": len(covered), "n_shown": n_shown, "ess": worst["ess"] * n_slots}
    named = worst[["policy", "method", "coverage", "low", "high"]]
    values |= named.rename({"coverage": "share"}).to_dict()
    level = "watch" if n_shown else "good"
    return [Finding("policies/coverage", level, values, place="coverage")]


def _errors(policy: str, result: OffPolicy, truth: float, n_slots: int) -> list[dict[str, Any]]:
    """Compare each estimate that carries an interval with the truth."""
    rows = []
    with_interval = result.estimates.drop(index="DM")
    for method, estimate in with_interval.iterrows():
        row = {
            "policy": policy,
            "method": method,
            "coverage": estimate["low"] <= truth <= estimate["high"],
            "bias": estimate["value"] - truth,
            "width": estimate["high"] - estimate["low"],
            "ess": result.ess / n_slots,
        }
        rows.append(row)
    return rows


def _logging_policy_among(world: World, policies: Policies, slots: pd.DataFrame) -> np.ndarray:
    """Return the log's own policy over the items that some policy shows, (n_users, n_items)."""
    users = slots["user"].cat.categories
    items = slots["item"].cat.categories
    is_shown = np.zeros(len(items), dtype=bool)
    for policy in policies.values():
        is_shown |= policy.any(axis=0)
    rows = world.user_positions(users)[:, None]
    columns = world.item_positions(items)
    weight = logging_policy(world)[rows, columns] * is_shown
    return shares_of_rows(weight)


def _redrawn(
    world: World, slots: pd.DataFrame, policy: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the slots with items drawn anew by a policy, and the clicks that follow."""
    row, _ = _rows_and_columns(slots)
    items = slots["item"].cat.categories
    column = _draw(policy[row], rng)
    item = pd.Categorical.from_codes(column, items)
    redrawn = slots.assign(item=item, propensity=policy[row, column])
    user_in_world = world.user_positions(slots["user"])
    item_in_world = world.item_positions(items)[column]
    click = click_probability(world, user_in_world, item_in_world, slots["position"])
    clicked = rng.random(len(slots)) < click
    redrawn["reward"] = clicked.astype(np.float64)
    return redrawn


def _click_probabilities(world: World, slots: pd.DataFrame) -> np.ndarray:
    """Probability of a click on every item in every slot, (n_slots, n_items)."""
    user = world.user_positions(slots["user"])
    item = world.item_positions(slots["item"].cat.categories)
    position = slots["position"].to_numpy()
    return click_probability(world, user[:, None], item[None, :], position[:, None])


def _draw(policy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw an item for each row of probabilities, int (n,)."""
    cumulative = policy.cumsum(axis=1)
    total = cumulative[:, -1]
    target = rng.random(len(policy)) * total
    is_before_target = cumulative <= target[:, None]
    return is_before_target.sum(axis=1)
