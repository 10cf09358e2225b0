import numpy as np
import pytest

from kpay_lab.experiments.bandits import (
    UCB1,
    BanditRun,
    Environment,
    EpsilonGreedy,
    LinUCB,
    Thompson,
    bandit_findings,
    final_regret,
    run_bandit,
)
from kpay_lab.findings import sentence

POLICIES = [EpsilonGreedy(), UCB1(), Thompson(), LinUCB()]


def contextual():
    """Two kinds of visitors who want opposite arms."""
    return Environment(np.array([[0.8, 0.2], [0.2, 0.8]]), np.array([[1.0, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_each_policy_finds_the_better_arm_and_repeats_itself(policy):
    env = Environment.bernoulli([0.2, 0.8])
    first, again = (
        run_bandit(policy, env, 400, 20, rng=np.random.default_rng(1)) for _ in range(2)
    )
    assert np.array_equal(first.regret, again.regret)
    assert first.regret.shape == (20, 400)
    assert (np.diff(first.regret, axis=1) >= 0).all()
    assert first.on_best[:, 200:].mean() > 0.85


def test_regret_is_the_chance_given_away():
    run = run_bandit(UCB1(), Environment.bernoulli([0.5, 0.2]), 50, 3, rng=np.random.default_rng(0))
    wrong = (~run.on_best).sum(axis=1)
    assert run.regret[:, -1] == pytest.approx(0.3 * wrong)
    assert run.best_share[:, -1] == pytest.approx(1 - wrong / 50)
    last = run.table().loc[50]
    assert last["regret"] == pytest.approx(0.3 * wrong.mean())
    assert last["best_share"] == pytest.approx(1 - wrong.mean() / 50)
    assert last["regret_low"] < last["regret"] < last["regret_high"]


def test_only_the_contextual_policy_learns_who_wants_what():
    runs = {
        type(p).__name__: run_bandit(p, contextual(), 1000, 20, rng=np.random.default_rng(0))
        for p in POLICIES
    }
    assert runs["LinUCB"].on_best[:, 500:].mean() > 0.95
    for blind in ("EpsilonGreedy", "UCB1", "Thompson"):
        assert runs[blind].on_best[:, 500:].mean() == pytest.approx(0.5, abs=0.1)


def test_ucb1_chooses_by_the_printed_formula():
    """100 wins of 100 against 5 of 10: the bonus √(2 ln 110 / 10) decides, √(ln 110 / 10) not."""
    policy, x = UCB1(), np.ones((1, 1))
    policy.start(1, 2, 1)
    policy.pulls_[:], policy.wins_[:] = [100, 10], [100, 5]
    assert 1 + np.sqrt(2 * np.log(110) / 100) < 0.5 + np.sqrt(2 * np.log(110) / 10)
    assert 1 + np.sqrt(np.log(110) / 100) > 0.5 + np.sqrt(np.log(110) / 10)
    assert policy.choose(x, np.random.default_rng(0)).tolist() == [1]
    policy.pulls_[:], policy.wins_[:] = [100, 20], [100, 10]
    assert 1 + np.sqrt(2 * np.log(120) / 100) > 0.5 + np.sqrt(2 * np.log(120) / 20)
    assert policy.choose(x, np.random.default_rng(0)).tolist() == [0]


def test_every_arm_is_tried_once_first():
    policy, rng = UCB1(), np.random.default_rng(0)
    policy.start(4, 5, 1)
    for _ in range(5):
        policy.learn(np.ones((4, 1)), policy.choose(np.ones((4, 1)), rng), np.zeros(4))
    assert (policy.pulls_ == 1).all()


def test_epsilon_of_the_choices_are_random():
    policy = EpsilonGreedy(epsilon=0.2)
    policy.start(40_000, 4, 1)
    policy.pulls_[:] = 1
    policy.wins_[:, 2] = 1
    chosen = policy.choose(np.ones((40_000, 1)), np.random.default_rng(0))
    share, expected = (chosen == 2).mean(), 0.8 + 0.2 / 4
    assert share == pytest.approx(expected, abs=3.5 * np.sqrt(expected * (1 - expected) / 40_000))


def test_thompson_chooses_an_arm_as_often_as_it_is_the_best():
    """P(Beta(2, 1) > Beta(1, 1)) = 2/3."""
    policy = Thompson()
    policy.start(40_000, 2, 1)
    policy.pulls_[:, 0] = policy.wins_[:, 0] = 1
    share = (policy.choose(np.ones((40_000, 1)), np.random.default_rng(0)) == 0).mean()
    assert share == pytest.approx(2 / 3, abs=3.5 * np.sqrt(2 / 9 / 40_000))


def test_linucb_keeps_the_inverse_and_the_ridge_solution():
    rng = np.random.default_rng(0)
    x, arms, rewards = (
        rng.normal(size=(30, 2, 3)),
        rng.integers(2, size=(30, 2)),
        rng.random((30, 2)),
    )
    policy = LinUCB(alpha=0.7, reg=2.0)
    policy.start(2, 2, 3)
    for step in range(30):
        policy.learn(x[step], arms[step], rewards[step])
    mine = x[:, 1][arms[:, 1] == 0]
    gram = 2 * np.eye(3) + mine.T @ mine
    theta = np.linalg.solve(gram, mine.T @ rewards[:, 1][arms[:, 1] == 0])
    assert policy.inverse_[1, 0] == pytest.approx(np.linalg.inv(gram), abs=1e-12)
    assert policy.theta_[1, 0] == pytest.approx(theta, abs=1e-12)


def test_the_curve_is_a_t_interval_over_seeds():
    run = run_bandit(Thompson(), contextual(), 10, 4, rng=np.random.default_rng(0))
    values = np.array([[1.0], [2.0], [3.0], [6.0]])
    mean, low, high = run.curve(values)
    half = 3.182446305284263 * values.std(ddof=1) / 2  # t table, 3 degrees of freedom
    assert (mean[0], low[0], high[0]) == pytest.approx((3, 3 - half, 3 + half), rel=1e-9)


def test_probabilities_outside_the_unit_interval_are_refused():
    with pytest.raises(ValueError, match=r"values in \[0, 1\]"):
        Environment.bernoulli([0.2, 1.2])
    with pytest.raises(ValueError, match="one row a context"):
        Environment(np.ones((2, 2)), np.ones((3, 1)))


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="n_seeds is 1; an interval over seeds needs 2"):
        run_bandit(
            Thompson(), Environment.bernoulli([0.1, 0.9]), 10, 1, rng=np.random.default_rng(0)
        )


def test_a_chance_that_is_missing_makes_no_arms():
    with pytest.raises(ValueError, match=r"values in \[0, 1\]"):
        Environment.bernoulli([0.1, np.nan])


def played(regret_at_the_end):
    """Runs of one step, with the regret of each seed."""
    regret = np.array(regret_at_the_end, float)[:, None]
    return BanditRun(regret=regret, on_best=np.zeros_like(regret, dtype=bool))


def test_the_least_regret_is_told_from_the_next_by_pairs_of_seeds():
    runs = {"A": played([11.0, 21.0, 32.0]), "B": played([10.0, 20.0, 30.0])}
    (found,) = bandit_findings(runs)
    assert (found.values["least"], found.values["other"]) == ("B", "A")
    # differences 1, 1, 2: mean 4/3, standard error 1/3, t of 2 degrees of freedom 4.303
    assert found.values["difference"] == pytest.approx(4 / 3)
    assert found.values["low"] == pytest.approx(4 / 3 - 4.3027 / 3, abs=1e-3)
    assert sentence(found).startswith("B and A cannot be told apart")
    clear = {"A": played([21.0, 31.0, 42.0]), "B": played([10.0, 20.0, 30.0])}
    (found,) = bandit_findings(clear)
    assert sentence(found).startswith(
        "B loses least while it learns: 20 clicks of 1 visitors, 11.3"
    )
    table = final_regret(clear)
    assert table.loc["B", "regret"] == 20 and table.loc["B", "best_share"] == 0


def test_equal_policies_or_one_alone_have_no_lead():
    assert bandit_findings({"A": played([1.0, 2.0])}) == []
    assert bandit_findings({"A": played([1.0, 2.0]), "B": played([1.0, 2.0])}) == []
