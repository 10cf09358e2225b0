"""What a recommender is worth: estimated from a log, measured in a test, and in truth.

The log is that of another policy; the test and the truth are those of a simulated shop. A
`Policy` gives the probabilities π(i | u) with which a slot of u's feed shows each item. They are
asked for in batches of the users of some slots, and only what is read of a batch is kept: the
probabilities of all users and items would not fit into memory.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.special import bdtr

from kpay_lab.data.codes import take_rows
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.experiments.checking import (
    check_finite,
    check_marks,
    check_positions,
    check_propensity,
)
from kpay_lab.experiments.ope import (
    LoggedCells,
    OffPolicy,
    RewardModel,
    draw_folds,
    estimate_value,
    fit_rewards,
)
from kpay_lab.findings import Finding
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Recommender, Training
from kpay_lab.stats import Interval, holm, wilson
from kpay_lab.world.shop import World, click_probability, logging_policy, shares_of_rows

PROMISED = 0.95  # of intervals, to hold the truth
TOO_FEW = 30  # rows: with so many or fewer, nothing can be estimated
FOLDS = 3  # of the log, for its reward model
CELLS_AT_ONCE = 2**20  # of slots by items: 8 MB an array, whatever the log and the catalogue
LOGS_AT_ONCE = 100  # of those that are drawn anew


class Policy(Protocol):
    """What shows each user items by chance."""

    @property
    def candidates(self) -> np.ndarray:
        """The items that it may show, bool (n_items,)."""

    def probabilities(self, users: np.ndarray) -> np.ndarray:
        """Return π(i | u) of users, by position, and every item: (len(users), n_items)."""


Policies = Mapping[str, Policy]


@dataclass(frozen=True, kw_only=True)
class SoftmaxPolicy:
    """Show items by the `stochastic` of a recommender's scores.

    Parameters
    ----------
    model : Recommender, fitted
        None scores all items alike.
    candidates : bool (n_items,)
    temperature, epsilon : float
        As in `stochastic`.
    """

    model: Recommender | None
    candidates: np.ndarray
    temperature: float = 1.0
    epsilon: float = 0.1

    def probabilities(self, users: np.ndarray) -> np.ndarray:
        """Return π(i | u) of users, by position, and every item: (len(users), n_items)."""
        if self.model is None:
            scores = np.zeros((len(users), len(self.candidates)))
        else:
            scores = self.model.score(users)
        return stochastic(
            scores, self.candidates, temperature=self.temperature, epsilon=self.epsilon
        )


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
    among = tables.with_events(take_rows(tables.events, is_among))
    orders = tables.orders
    if orders is None or "item_id" not in orders:
        return among
    is_sold = orders["item_id"].isin(items)
    return replace(among, orders=take_rows(orders, is_sold))


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
    fold = draw_folds(len(slots), FOLDS, rng=rng)
    rewards = _reward_model(slots, fold)
    cells = _logged_cells(slots, policies, rewards)
    return {name: _estimate(slots, of_policy, clip) for name, of_policy in cells.items()}


def values_by_clip(
    slots: pd.DataFrame,
    policies: Policies,
    clips: Sequence[float],
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Estimate the clicks a slot of each policy by DR, for several largest weights allowed.

    Everything else is the same in all of them, the reward model too.

    Returns
    -------
    DataFrame, index policy
        One column a limit.
    """
    fold = draw_folds(len(slots), FOLDS, rng=rng)
    rewards = _reward_model(slots, fold)
    cells = _logged_cells(slots, policies, rewards)
    values = {}
    for clip in clips:
        found = {name: _estimate(slots, of_policy, clip) for name, of_policy in cells.items()}
        values[clip] = {name: one.estimates.loc["DR", "value"] for name, one in found.items()}
    return pd.DataFrame(values).rename_axis("policy")


def _reward_model(slots: pd.DataFrame, fold: np.ndarray) -> RewardModel:
    """Fit clicks to the item and the position of a slot."""
    _, column = _rows_and_columns(slots)
    intercept = np.ones(len(slots))
    context = np.column_stack([intercept, 1 / slots["position"]])
    n_items = len(slots["item"].cat.categories)
    return fit_rewards(context, column, slots["reward"].to_numpy(), n_items, fold=fold)


def _logged_cells(
    slots: pd.DataFrame, policies: Policies, rewards: RewardModel
) -> dict[str, LoggedCells]:
    """Read policies and reward model at what was logged, a batch of slots at a time."""
    row, column = _rows_and_columns(slots)
    batches = list(_batches(slots))
    parts: dict[str, list[LoggedCells]] = {name: [] for name in policies}
    for batch in batches:
        predicted = rewards.predict(batch)
        for name, policy in policies.items():
            target = _probabilities(policy, row[batch])
            of_batch = LoggedCells.of_rows(column[batch], target, predicted)
            parts[name].append(of_batch)
    return {name: LoggedCells.joined(of_policy, batches) for name, of_policy in parts.items()}


def _batches(slots: pd.DataFrame) -> Iterator[np.ndarray]:
    """Part slots into batches of about equal size, those of a user together: their positions."""
    row, _ = _rows_and_columns(slots)
    n_items = len(slots["item"].cat.categories)
    n_at_once = max(1, CELLS_AT_ONCE // n_items)
    n_batches = max(1, math.ceil(len(slots) / n_at_once))
    by_user = np.argsort(row, kind="stable")
    yield from np.array_split(by_user, n_batches)


def _probabilities(policy: Policy, row: np.ndarray) -> np.ndarray:
    """Return π(i | u) of the user of each slot, (n_slots, n_items); it is made once a user."""
    users, place = np.unique(row, return_inverse=True)
    of_users = policy.probabilities(users)
    sums_to_one = np.isclose(of_users.sum(axis=1), 1)
    if not sums_to_one.all():
        user = users[sums_to_one.argmin()]
        raise ValueError(
            f"the probabilities of the user at position {user} do not sum to 1; a policy shows one "
            "item in each slot"
        )
    return of_users[place]


def _estimate(slots: pd.DataFrame, cells: LoggedCells, clip: float = np.inf) -> OffPolicy:
    reward = slots["reward"].to_numpy()
    propensity = slots["propensity"].to_numpy()
    return estimate_value(reward, propensity, cells, clip=clip)


def true_values(world: World, policies: Policies, slots: pd.DataFrame) -> dict[str, float]:
    """Return the expected clicks a slot: mean over slots of Σ_i π(i | u) P(click | u, i, k)."""
    row, _ = _rows_and_columns(slots)
    expected_clicks = {name: np.empty(len(slots)) for name in policies}
    for batch in _batches(slots):
        click = _click_probabilities(world, slots.take(batch))
        for name, policy in policies.items():
            target = _probabilities(policy, row[batch])
            expected_clicks[name][batch] = (target * click).sum(axis=1)
    return {name: float(clicks.mean()) for name, clicks in expected_clicks.items()}


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
    values = {}
    for arm, (name, policy) in enumerate(policies.items()):
        is_of_arm = arm_of_slot == arm
        of_arm = slots[is_of_arm]
        user = row[is_of_arm]
        n_met = len(np.unique(user))
        if n_met < 2:
            raise TooLittleError(f"{name} meets {n_met} users; a test needs 2 or more an arm")
        click_number = rng.random(len(of_arm))
        item_number = rng.random(len(of_arm))
        item, _ = _draw(policy, of_arm, item_number)
        clicked = click_number < _click_probability(world, of_arm, item)
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
    rows: list[dict[str, Any]] = []
    for first in range(0, n_repetitions, LOGS_AT_ONCE):
        n_logs = min(LOGS_AT_ONCE, n_repetitions - first)
        for results in _estimates_of_redrawn_logs(world, policies, slots, n_logs, n_slots, rng):
            for name, result in results.items():
                rows += _errors(name, result, truth[name], n_slots)
    means = pd.DataFrame(rows).groupby(["policy", "method"], sort=False).mean().reset_index()
    n_covered = (means["coverage"] * n_repetitions).round().astype(int)
    intervals = pd.DataFrame([vars(wilson(n, n_repetitions)) for n in n_covered])
    return means.join(intervals[["low", "high"]])


def _estimates_of_redrawn_logs(
    world: World,
    policies: Policies,
    slots: pd.DataFrame,
    n_logs: int,
    n_slots: int,
    rng: np.random.Generator,
) -> Iterator[dict[str, OffPolicy]]:
    """Draw logs anew and estimate every policy from each.

    The logs stand one below the other, so that the probabilities of a user are made once for
    all of them.
    """
    drawn_slots = []
    item_numbers = []
    click_numbers = []
    folds = []
    for _ in range(n_logs):
        drawn_slots.append(rng.integers(len(slots), size=n_slots))
        item_numbers.append(rng.random(n_slots))
        click_numbers.append(rng.random(n_slots))
        folds.append(draw_folds(n_slots, FOLDS, rng=rng))
    drawn_slot = np.concatenate(drawn_slots)
    to_fill = slots.take(drawn_slot)
    logging = _logging_policy_among(world, policies, slots)
    item_number = np.concatenate(item_numbers)
    click_number = np.concatenate(click_numbers)
    redrawn = _redrawn(world, to_fill, logging, item_number, click_number)
    first_slots = range(0, len(redrawn), n_slots)
    logs = [slice(first, first + n_slots) for first in first_slots]
    models = []
    for log, fold in zip(logs, folds, strict=True):
        model = _reward_model(redrawn.iloc[log], fold)
        models.append(model)
    rewards = RewardModel.joined(models)
    cells = _logged_cells(redrawn, policies, rewards)
    for log in logs:
        of_log = redrawn.iloc[log]
        yield {name: _estimate(of_log, of_policy.take(log)) for name, of_policy in cells.items()}


def coverage_findings(covered: pd.DataFrame, *, n_logs: int, n_slots: int) -> list[Finding]:
    """Return where the intervals of `coverage` hold the truth less often than they promise.

    That is shown by a one-sided binomial test, adjusted by Holm for all estimates.
    """
    n_held = (covered["coverage"] * n_logs).round()
    pvalues = bdtr(n_held, n_logs, PROMISED)
    adjusted = holm(pvalues)
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


@dataclass(frozen=True, kw_only=True)
class _LoggingPolicy:
    """The log's own policy over some of the items.

    ``users`` and ``items`` are the positions in the world of those of the log.
    """

    world: World
    users: np.ndarray
    items: np.ndarray
    candidates: np.ndarray

    def probabilities(self, users: np.ndarray) -> np.ndarray:
        """Return π(i | u) of users, by position in the log: (len(users), n_items)."""
        in_world = logging_policy(self.world, self.users[users])
        weight = in_world.take(self.items, axis=1) * self.candidates
        return shares_of_rows(weight)


def _logging_policy_among(world: World, policies: Policies, slots: pd.DataFrame) -> _LoggingPolicy:
    """Return the log's own policy over the items that some policy may show."""
    users = world.user_positions(slots["user"].cat.categories)
    items = world.item_positions(slots["item"].cat.categories)
    may_be_shown = np.any([policy.candidates for policy in policies.values()], axis=0)
    return _LoggingPolicy(world=world, users=users, items=items, candidates=may_be_shown)


def _redrawn(
    world: World,
    slots: pd.DataFrame,
    policy: Policy,
    item_numbers: np.ndarray,
    click_numbers: np.ndarray,
) -> pd.DataFrame:
    """Return the slots with items drawn anew by a policy, and the clicks that follow.

    The numbers, (n_slots,) each, are drawn at random between 0 and 1.
    """
    column, propensity = _draw(policy, slots, item_numbers)
    items = slots["item"].cat.categories
    item = pd.Categorical.from_codes(column, items)
    clicked = click_numbers < _click_probability(world, slots, column)
    reward = clicked.astype(np.float64)
    return slots.assign(item=item, propensity=propensity, reward=reward)


def _draw(
    policy: Policy, slots: pd.DataFrame, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw an item for each slot by a random number between 0 and 1.

    Returns
    -------
    item : int (n_slots,)
    probability : float (n_slots,)
        That of the item.
    """
    row, _ = _rows_and_columns(slots)
    item = np.empty(len(slots), dtype=np.intp)
    probability = np.empty(len(slots))
    for batch in _batches(slots):
        target = _probabilities(policy, row[batch])
        cumulative = target.cumsum(axis=1)
        total = cumulative[:, -1]
        aim = numbers[batch] * total
        is_before_aim = cumulative <= aim[:, None]
        drawn = is_before_aim.sum(axis=1)
        item[batch] = drawn
        rows = np.arange(len(batch))
        probability[batch] = target[rows, drawn]
    return item, probability


def _click_probability(world: World, slots: pd.DataFrame, column: np.ndarray) -> np.ndarray:
    """Probability of a click on one item in each slot, (n_slots,)."""
    user = _users_in_world(world, slots)
    item = world.item_positions(slots["item"].cat.categories)
    position = slots["position"].to_numpy()
    return click_probability(world, user, item[column], position)


def _click_probabilities(world: World, slots: pd.DataFrame) -> np.ndarray:
    """Probability of a click on every item in every slot, (n_slots, n_items)."""
    user = _users_in_world(world, slots)
    item = world.item_positions(slots["item"].cat.categories)
    position = slots["position"].to_numpy()
    return click_probability(world, user[:, None], item[None, :], position[:, None])


def _users_in_world(world: World, slots: pd.DataFrame) -> np.ndarray:
    """Return the position in the world of each slot's user, int (n_slots,)."""
    row, _ = _rows_and_columns(slots)
    users = slots["user"].cat.categories
    in_world = world.user_positions(users)
    return in_world[row]
