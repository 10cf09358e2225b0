import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from kpay_lab.experiments.ope import (
    OffPolicy,
    cross_fit,
    evaluate_policy,
    fit_rewards,
    overlap_table,
    policy_findings,
    position_policy,
)
from kpay_lab.findings import sentence
from kpay_lab.stats import Interval


def log(n=200, n_actions=4, seed=0):
    rng = np.random.default_rng(seed)
    behaviour, target = (rng.dirichlet(np.ones(n_actions), n) for _ in range(2))
    actions = (behaviour.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    predicted = rng.random((n, n_actions))
    propensity = behaviour[np.arange(n), actions]
    return rng.binomial(1, 0.3, n).astype(float), actions, propensity, target, predicted


def literal(rewards, actions, propensity, target, predicted, clip):
    """Each estimator as its sum is printed, one row at a time."""
    n, ips, weights, direct, robust = len(rewards), 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        w = min(target[i, actions[i]] / propensity[i], clip)
        model = sum(target[i, a] * predicted[i, a] for a in range(target.shape[1]))
        ips += w * rewards[i]
        weights += w
        direct += model
        robust += model + w * (rewards[i] - predicted[i, actions[i]])
    return {"DR": robust / n, "SNIPS": ips / weights, "IPS": ips / n, "DM": direct / n}


@pytest.mark.parametrize("clip", [np.inf, 3.0])
def test_the_estimators_equal_a_literal_loop(clip):
    result = evaluate_policy(*log(), clip=clip)
    expected = literal(*log(), clip=clip)
    assert result.table()["value"].to_dict() == pytest.approx(expected, abs=1e-12)


def test_dr_comes_first_and_dm_carries_no_interval():
    estimates = evaluate_policy(*log()).estimates
    assert estimates.index.tolist() == ["DR", "SNIPS", "IPS", "DM"]
    assert estimates.loc["DM", ["se", "low", "high"]].isna().all()
    others = estimates.drop(index="DM")
    assert others["value"].between(others["low"], others["high"], inclusive="neither").all()


def test_standard_errors_are_those_of_the_linearised_rows():
    """SNIPS is a ratio of means: row i counts w_i (r_i − v) / w̄."""
    rewards, actions, propensity, target, _ = log()
    w = target[np.arange(200), actions] / propensity
    estimates = evaluate_policy(*log()).estimates
    dr, snips, ips = (estimates.loc[name] for name in ("DR", "SNIPS", "IPS"))
    rows = w * (rewards - (w @ rewards) / w.sum()) / w.mean()
    assert snips.se == pytest.approx(rows.std() / np.sqrt(200))
    assert ips.se == pytest.approx((w * rewards).std(ddof=1) / np.sqrt(200))
    assert dr.high - dr.low == pytest.approx(2 * 1.959963984540054 * dr.se)  # normal table


def test_on_its_own_log_a_policy_is_worth_the_mean_reward():
    rewards, actions, _, target, predicted = log()
    result = evaluate_policy(rewards, actions, target[np.arange(200), actions], target, predicted)
    snips = result.estimates.loc["SNIPS"]
    ips = result.estimates.loc["IPS"]
    assert snips["value"] == pytest.approx(rewards.mean()) == ips["value"]
    assert ips.se == pytest.approx(rewards.std(ddof=1) / np.sqrt(200))
    assert snips.se == pytest.approx(rewards.std() / np.sqrt(200))
    assert (result.ess, result.mean_weight, result.max_weight) == pytest.approx((200, 1, 1))
    assert result.warnings == (
        f"Only {rewards.sum():.0f} rows with a reward count: normal intervals are rough.",
    )


def test_a_perfect_model_leaves_no_error_but_that_of_the_contexts():
    rewards, actions, propensity, target, predicted = log()
    rewards = predicted[np.arange(200), actions]
    result = evaluate_policy(rewards, actions, propensity, target, predicted)
    value = result.estimates["value"]
    assert value["DR"] == pytest.approx(value["DM"], abs=1e-12)


def test_equal_rows_carry_a_twentieth_each_from_twenty_on():
    def told(n):
        half = np.full((n, 2), 0.5)
        actions = np.arange(n) % 2
        result = evaluate_policy(np.ones(n), actions, half[:, 0], half, half)
        return [text for text in result.warnings if text.startswith("One row")]

    assert told(20) == []
    assert told(19) == ["One row carries 5% of all weight."]  # 1 / 19 is 5.3 %


def test_low_overlap_is_said_in_words():
    n = 1000
    target = np.tile([0.99, 0.01], (n, 1))
    actions = np.ones(n, dtype=int)
    actions[:2] = 0
    propensity = np.where(actions == 0, 0.001, 0.999)
    result = evaluate_policy(np.ones(n), actions, propensity, target, np.zeros((n, 2)), clip=500)
    told = " ".join(result.warnings)
    assert "Low overlap: 1,000 rows count as 2; the intervals are too narrow." in told
    assert "One row carries" in told and "0.2% of the weights were clipped" in told
    assert result.max_weight == pytest.approx(990) and result.clipped_share == 0.002


def test_a_target_that_the_log_never_shows_is_said_in_words():
    n = 500
    target = np.tile([0.0, 1.0], (n, 1))
    zeros = np.zeros(n, dtype=int)
    result = evaluate_policy(np.ones(n), zeros, np.full(n, 0.5), target, np.ones((n, 2)))
    assert result.ess == 0 and np.isnan(result.estimates.loc["SNIPS", "value"])
    assert any(text.startswith("The mean weight is 0.000") for text in result.warnings)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (2, np.zeros(200), "propensity holds 0 in row 1; it must be above 0"),
        (3, np.full((200, 4), 0.3), "sum to 1"),
        (4, np.zeros((200, 3)), "differ in length or width"),
        (0, np.zeros(7), "differ in length or width"),
    ],
)
def test_inputs_that_cannot_be_a_log_are_refused(position, value, message):
    arrays = list(log())
    arrays[position] = value
    with pytest.raises(ValueError, match=message):
        evaluate_policy(*arrays)


def test_cross_fitting_predicts_no_row_from_itself():
    rewards, actions, *_ = log()
    context = np.ones((200, 1))
    before = cross_fit(context, actions, rewards, 4, rng=np.random.default_rng(0))
    rewards[17] += 1000
    after = cross_fit(context, actions, rewards, 4, rng=np.random.default_rng(0))
    changed = (before != after).any(axis=1)
    assert not changed[17] and changed.sum() == 160  # the other four folds


def test_without_context_the_model_is_a_shrunken_mean():
    rewards, actions, *_ = log()
    fold = np.random.default_rng(0).permutation(200) % 5
    predicted = cross_fit(
        np.ones((200, 1)), actions, rewards, 4, rng=np.random.default_rng(0), reg=2.0
    )
    train = fold != 0
    mean, mine = rewards[train].mean(), rewards[train & (actions == 3)]
    expected = mean + (mine - mean).sum() / (len(mine) + 2)
    assert predicted[fold == 0, 3] == pytest.approx(np.full((fold == 0).sum(), expected))


def test_a_policy_is_read_from_the_propensities_of_its_log():
    actions, positions = np.array([0, 0, 1, 1]), np.array([1, 1, 1, 2])
    table, shown = position_policy(actions, positions, np.array([0.5, 0.7, 0.2, 0.9]), 3)
    assert table == pytest.approx(np.array([[0.6 / 0.8, 0.2 / 0.8, 0], [0, 1, 0]]))
    assert shown.tolist() == [[2, 1, 0], [0, 1, 0]]


def test_the_last_action_has_its_place_in_a_policy():
    actions, positions = np.array([2, 0]), np.array([1, 1])
    table, shown = position_policy(actions, positions, np.array([0.3, 0.1]), 3)
    assert table == pytest.approx(np.array([[0.25, 0, 0.75]]))
    assert shown.tolist() == [[1, 0, 1]]
    with pytest.raises(ValueError, match="actions holds 2 in row 1"):
        position_policy(actions, positions, np.array([0.3, 0.1]), 2)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, np.nan, "rewards holds nan in row 4"),
        (0, np.inf, "rewards holds inf in row 4"),
        (1, -1, "actions holds -1 in row 4; it must be a whole number from 0 to 3"),
        (1, 4, "actions holds 4 in row 4; it must be a whole number from 0 to 3"),
        (2, np.nan, "propensity holds nan in row 4"),
        (2, 1.5, "propensity holds 1.5 in row 4"),
        (3, np.nan, "target holds nan in row 4"),
        (4, np.nan, "predicted holds nan in row 4"),
    ],
)
def test_one_value_that_cannot_be_is_named(position, value, message):
    arrays = list(log())
    arrays[position][3] = value
    with pytest.raises(ValueError, match=message):
        evaluate_policy(*arrays)


def test_one_row_carries_no_interval():
    one = [array[:1] for array in log()]
    with pytest.raises(ValueError, match="1 row; an estimate needs 2"):
        evaluate_policy(*one)


def test_an_action_that_the_other_folds_never_show_is_predicted_by_their_mean():
    actions = np.array([0, 0, 1, 0])
    rewards = np.array([1.0, 0.0, 1.0, 1.0])
    fold = np.array([0, 1, 1, 0])
    model = fit_rewards(np.ones((4, 1)), actions, rewards, 3, fold=fold)
    predicted = model.predict(np.array([2, 0]))
    assert predicted[0] == pytest.approx([1, 1, 1])  # by rows 0 and 3, both of action 0
    # by rows 1 and 2, whose mean is 0.5; each action is half way to its only row
    assert predicted[1] == pytest.approx([0.25, 0.75, 0.5])
    with pytest.raises(ValueError, match="needs 2 or more rows and folds"):
        fit_rewards(np.ones((4, 1)), actions, rewards, 3, fold=np.zeros(4, dtype=int))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rewards", np.nan, "rewards holds nan in row 4"),
        ("actions", -1, "actions holds -1 in row 4"),
        ("actions", 4, "actions holds 4 in row 4; it must be a whole number from 0 to 3"),
        ("context", np.nan, "context holds nan in row 4"),
    ],
)
def test_a_reward_model_learns_from_no_value_that_cannot_be(name, value, message):
    rewards, actions, *_ = log()
    given = {"context": np.ones((200, 1)), "actions": actions, "rewards": rewards}
    given[name][3] = value
    with pytest.raises(ValueError, match=message):
        cross_fit(**given, n_actions=4, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("positions", 0, "positions holds 0 in row 2; it must be a whole number from 1"),
        ("actions", -1, "actions holds -1 in row 2"),
        ("propensity", np.nan, "propensity holds nan in row 2"),
    ],
)
def test_a_policy_is_not_read_from_a_place_that_is_not_there(name, value, message):
    given = {
        "actions": np.array([0, 0, 1]),
        "positions": np.array([1, 2, 1]),
        "propensity": np.array([0.5, 0.5, 0.5]),
    }
    given[name][1] = value
    with pytest.raises(ValueError, match=message):
        position_policy(**given, n_actions=2)


def test_the_lead_is_dr_less_what_was_logged():
    rewards, *others = log(n=500)
    result = evaluate_policy(rewards, *others)
    value = result.estimates.loc["DR", "value"]
    assert result.lead.estimate == pytest.approx(value - rewards.mean())
    z = result.lead.estimate / ((result.lead.high - result.lead.estimate) / 1.959964)
    assert result.lead_pvalue == pytest.approx(2 * norm.sf(abs(z)), rel=1e-4)
    own = np.repeat([[0.25, 0.75]], 100, axis=0)
    actions = np.tile([0, 1, 1, 1], 25)
    logged = own[np.arange(100), actions]
    same = evaluate_policy(np.tile([0.0, 1.0], 50), actions, logged, own, np.zeros((100, 2)))
    assert same.lead.estimate == 0 and same.lead_pvalue == 1


def judged(lead, p, *, ess=50.0, warnings=()):
    """An estimate of a log of 100 rows whose running policy gets 0.1 clicks a row."""
    estimates = pd.DataFrame({"value": [0.1 + lead]}, index=["DR"])
    interval = Interval(lead, lead - 0.01, lead + 0.01)
    return OffPolicy(estimates, ess, 1.0, 2.0, 0.0, warnings, 100, interval, p)


def test_what_is_shown_to_be_better_is_tried_before_what_only_looks_so():
    estimates = {"wild": judged(0.2, 0.3), "calm": judged(0.05, 1e-4)}
    found, overlap = policy_findings(estimates)
    assert found.level == "good"
    assert sentence(found).startswith("Try calm next: by the log (DR) it gets +50 clicks for each")
    assert found.values["p"] == pytest.approx(2e-4)  # Holm, of two
    assert sentence(overlap).startswith("The log is large enough")
    unsure, _ = policy_findings({"wild": judged(0.2, 0.3)})
    assert unsure.level == "watch" and sentence(unsure).startswith("No policy is shown")
    worse, _ = policy_findings({"bad": judged(-0.2, 1e-6)})
    assert sentence(worse).startswith("Keep what runs: bad")
    assert policy_findings({}) == []


def test_a_log_too_small_for_a_policy_is_said_to_be():
    doubts = ("Low overlap: 100 rows count as 4; the intervals are too narrow.",)
    estimates = {"near": judged(0.0, 1.0), "far": judged(0.0, 1.0, ess=4.0, warnings=doubts)}
    _, overlap = policy_findings(estimates)
    assert overlap.level == "bad"
    assert sentence(overlap).startswith(
        "The log is too small to judge far: its 100 slots count as 4"
    )
    few_clicks = {"near": judged(0.0, 1.0, warnings=("Only 46 rows with a reward count.",))}
    _, overlap = policy_findings(few_clicks)
    assert overlap.level == "watch" and "with doubts" in sentence(overlap)
    assert overlap_table(estimates).loc["far", "warnings"] == doubts[0]
