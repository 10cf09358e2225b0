import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpay_lab.data.tables import TooLittleError
from kpay_lab.experiments.ope import cross_fit, evaluate_policy
from kpay_lab.findings import sentence
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Training
from kpay_lab.recommend.ease import EASE
from kpay_lab.world import policies as p
from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.shop import build_world, click_probability, logging_policy
from kpay_lab.world.simulate import simulate

SPEC = WorldSpec(n_users=60, n_items=24, n_days=14, seed=0)


class Table:
    """A policy whose probabilities are all known: (n_users, n_items)."""

    def __init__(self, table):
        self.table = table
        self.candidates = table.any(axis=0)

    def probabilities(self, users):
        return self.table[users]


@pytest.fixture(scope="module")
def world():
    return build_world(SPEC)


@pytest.fixture(scope="module")
def log(world):
    """3,000 slots of the log's own policy, users and items in reverse order of the world's."""
    rng = np.random.default_rng(0)
    users = pd.Index(world.users.table["user_id"])[::-1]
    items = pd.Index(world.items.table["item_id"])[::-1]
    own = logging_policy(world)[::-1, ::-1]
    user, position = rng.integers(60, size=3000), rng.integers(1, 7, size=3000)
    action = np.array([rng.choice(24, p=own[u]) for u in user])
    click = click_probability(world, 59 - user, 23 - action, position)
    slots = {
        "user": pd.Categorical.from_codes(user, users),
        "item": pd.Categorical.from_codes(action, items),
        "position": position,
        "propensity": own[user, action],
        "reward": (rng.random(3000) < click).astype(float),
    }
    return pd.DataFrame(slots)


def test_a_world_goes_by_the_ids_of_its_log(world, log):
    names = {old: f"p{old}" for old in world.users.table["user_id"]}
    renamed = build_world(SPEC, pd.Index(names.values()))
    masked = log.assign(user=log["user"].cat.rename_categories(names))
    policies = two_policies(world)
    assert p.true_values(renamed, policies, masked) == p.true_values(world, policies, log)
    with pytest.raises(ValueError, match=r"user 'pu\d+' is not in this world; build it with"):
        p.true_values(world, policies, masked)


def two_policies(world):
    """Uniform, and one that follows the truth, in the log's reversed order."""
    everything = np.ones(24, dtype=bool)
    liked = world.interest[::-1, ::-1].astype(float)
    return {
        "uniform": p.SoftmaxPolicy(model=None, candidates=everything, epsilon=1.0),
        "liked": Table(p.stochastic(liked, everything, epsilon=0.1)),
    }


class Scores:
    """A fitted model whose scores are all known: (n_users, n_items)."""

    def __init__(self, table):
        self.table = table

    def score(self, users):
        return self.table[users]


def small_log(rng, n_users, n_items, n_slots):
    """Slots in which everything is drawn by chance; some users and items have none."""
    users = pd.Index([f"u{number}" for number in range(n_users)])
    items = pd.Index([f"i{number}" for number in range(n_items)])
    slots = {
        "user": pd.Categorical.from_codes(rng.integers(n_users, size=n_slots), users),
        "item": pd.Categorical.from_codes(rng.integers(n_items, size=n_slots), items),
        "position": rng.integers(1, 7, size=n_slots),
        "propensity": rng.uniform(0.05, 1, size=n_slots),
        "reward": rng.integers(2, size=n_slots).astype(float),
    }
    return pd.DataFrame(slots)


def judged_whole(slots, policies, *, rng, clip):
    """Estimate from the probabilities of every user and item, all held at once."""
    row, column = (slots[name].cat.codes.to_numpy(int) for name in ("user", "item"))
    n_users, n_items = (len(slots[name].cat.categories) for name in ("user", "item"))
    reward, propensity = slots["reward"].to_numpy(), slots["propensity"].to_numpy()
    context = np.column_stack([np.ones(len(slots)), 1 / slots["position"]])
    predicted = cross_fit(context, column, reward, n_items, rng=rng, folds=3)
    found = {}
    for name, policy in policies.items():
        target = policy.probabilities(np.arange(n_users))[row]
        found[name] = evaluate_policy(reward, column, propensity, target, predicted, clip=clip)
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.integers(1, 9),
    n_items=st.integers(1, 6),
    n_slots=st.integers(2, 40),
    slots_at_once=st.sampled_from([1, 7, 1000]),
)
@settings(max_examples=30, deadline=None)
def test_batches_of_users_are_judged_as_the_whole_table(
    seed, n_users, n_items, n_slots, slots_at_once
):
    rng = np.random.default_rng(seed)
    slots = small_log(rng, n_users, n_items, n_slots)
    everything = np.ones(n_items, dtype=bool)
    model = Scores(rng.normal(size=(n_users, n_items)))
    policies = {
        "softmax": p.SoftmaxPolicy(model=model, candidates=everything, epsilon=0.2),
        "table": Table(rng.dirichlet(np.ones(n_items), n_users)),
    }
    whole = judged_whole(slots, policies, rng=np.random.default_rng(seed), clip=3.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(p, "CELLS_AT_ONCE", slots_at_once * n_items)
        found = p.off_policy(slots, policies, rng=np.random.default_rng(seed), clip=3.0)
        again = np.random.default_rng(seed)
        by_clip = p.values_by_clip(slots, policies, [3.0, 1e6], rng=again)
    for name, expected in whole.items():
        value = found[name].estimates
        assert value.to_numpy() == pytest.approx(expected.estimates.to_numpy(), nan_ok=True)
        assert found[name].ess == pytest.approx(expected.ess)
        assert found[name].max_weight == pytest.approx(expected.max_weight)
        assert found[name].lead.estimate == pytest.approx(expected.lead.estimate, abs=1e-12)
        assert by_clip.loc[name, 3.0] == value.loc["DR", "value"]


@pytest.mark.parametrize("slots_at_once", [1, 7])
def test_what_is_drawn_and_what_is_true_know_of_no_batch(world, log, monkeypatch, slots_at_once):
    few = log.take(np.arange(300))
    targets = two_policies(world)

    def played():
        rng = np.random.default_rng(0)
        tests = p.simulated_test(world, targets, few, rng=rng)
        size = {"n_repetitions": 4, "n_slots": 40}
        covered = p.coverage(world, targets, few, rng=rng, **size)
        return p.true_values(world, targets, few), tests, covered

    truth, tests, covered = played()
    monkeypatch.setattr(p, "CELLS_AT_ONCE", slots_at_once * 24)
    monkeypatch.setattr(p, "LOGS_AT_ONCE", 3)
    truth_by_batch, tests_by_batch, covered_by_batch = played()
    assert truth_by_batch == pytest.approx(truth)
    assert tests_by_batch == tests
    pd.testing.assert_frame_equal(covered_by_batch, covered)


def test_logs_drawn_together_are_judged_as_one_by_one(world, log):
    """Each draws its slots, its items, its clicks and its folds, in this order."""
    targets = two_policies(world)
    rng = np.random.default_rng(0)
    covered = p.coverage(world, targets, log, n_repetitions=3, n_slots=200, rng=rng)
    own = logging_policy(world)[::-1, ::-1]
    rng = np.random.default_rng(0)
    values = []
    for _ in range(3):
        slots = log.take(rng.integers(len(log), size=200))
        user = slots["user"].cat.codes.to_numpy(int)
        below = (
            own[user].cumsum(axis=1) <= rng.random(200)[:, None] * own[user].sum(axis=1)[:, None]
        )
        item = below.sum(axis=1)
        click = click_probability(world, 59 - user, 23 - item, slots["position"].to_numpy())
        clicked = rng.random(200) < click
        redrawn = slots.assign(
            item=pd.Categorical.from_codes(item, log["item"].cat.categories),
            propensity=own[user, item],
            reward=clicked.astype(float),
        )
        found = judged_whole(redrawn, targets, rng=rng, clip=np.inf)
        values.append({name: one.estimates["value"] for name, one in found.items()})
    truth = p.true_values(world, targets, log)
    for row in covered.itertuples():
        mean = np.mean([of_log[row.policy][row.method] for of_log in values])
        assert row.bias == pytest.approx(mean - truth[row.policy], abs=1e-12)


def peak_of_estimates(n_users, n_items):
    """Return the most bytes held at once while 2,000 slots are judged."""
    rng = np.random.default_rng(0)
    slots = small_log(rng, n_users, n_items, 2000)
    everything = np.ones(n_items, dtype=bool)
    uniform = {"uniform": p.SoftmaxPolicy(model=None, candidates=everything)}
    tracemalloc.start()
    p.off_policy(slots, uniform, rng=rng)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_grows_with_the_log_and_not_with_users_by_items(monkeypatch):
    monkeypatch.setattr(p, "CELLS_AT_ONCE", 2**16)
    small = peak_of_estimates(n_users=4000, n_items=500)
    large = peak_of_estimates(n_users=8000, n_items=4000)
    assert large < 1.5 * small  # users by items are 16 times as many


def test_a_policy_that_does_not_add_up_is_refused_by_its_user(log):
    table = np.full((60, 24), 1 / 24)
    table[17, 3] = 0.5
    policies = {"odd": Table(table)}
    with pytest.raises(ValueError, match="the user at position 17 do not sum to 1"):
        p.off_policy(log, policies, rng=np.random.default_rng(0))


def test_a_policy_is_a_softmax_with_some_chance_over_the_candidates():
    scores = np.array([[2.0, 0.0, 5.0], [1.0, 1.0, 0.0]])
    candidates = np.array([True, True, False])
    policy = p.stochastic(scores, candidates, temperature=2.0, epsilon=0.2)
    high = np.exp(1 / 2) / (np.exp(1 / 2) + np.exp(-1 / 2))  # z is +1 and -1
    assert policy[0] == pytest.approx([0.8 * high + 0.1, 0.8 * (1 - high) + 0.1, 0])
    assert policy[1] == pytest.approx([0.5, 0.5, 0])  # equal scores: nothing to prefer


@pytest.mark.parametrize("temperature", [0.05, 1.0, 50.0])
def test_policies_add_up_to_one_and_keep_the_order(temperature):
    scores = np.random.default_rng(0).normal(size=(20, 9))
    policy = p.stochastic(scores, np.ones(9, dtype=bool), temperature=temperature, epsilon=0.1)
    assert policy.sum(axis=1) == pytest.approx(np.ones(20))
    assert policy.min() >= 0.1 / 9
    assert (policy.argmax(axis=1) == scores.argmax(axis=1)).all()


def test_the_true_value_is_that_of_a_literal_loop(world, log):
    target = two_policies(world)["liked"]
    few = log.take(np.arange(40))
    total = 0.0
    for user, position in zip(few["user"].cat.codes, few["position"], strict=True):
        for item in range(24):
            chance = click_probability(world, np.array(59 - user), np.array(23 - item), position)
            total += target.table[user, item] * float(chance)
    assert p.true_values(world, {"liked": target}, few)["liked"] == pytest.approx(total / 40)


def test_the_estimates_of_a_log_hold_the_truth(world, log):
    targets = two_policies(world)
    truth = p.true_values(world, targets, log)
    found = p.off_policy(log, targets, rng=np.random.default_rng(0))
    for name, result in found.items():
        assert result.mean_weight == pytest.approx(1, abs=0.1)
        with_interval = result.estimates.drop(index="DM")
        distance = (with_interval["value"] - truth[name]).abs()
        assert (distance < 3.5 * with_interval["se"]).all()


def test_the_logs_own_policy_needs_no_weights(world, log):
    own = logging_policy(world)[::-1, ::-1]
    result = p.off_policy(log, {"own": Table(own)}, rng=np.random.default_rng(0))["own"]
    assert result.ess == pytest.approx(3000)
    ips = result.estimates.loc["IPS", "value"]
    assert ips == pytest.approx(log.reward.mean())


def test_a_test_gives_each_user_one_policy_and_finds_the_truth(world, log):
    many = log.take(np.tile(np.arange(3000), 20))
    targets = two_policies(world)
    truth = p.true_values(world, targets, many)
    tests = p.simulated_test(world, targets, many, rng=np.random.default_rng(0))
    for name, found in tests.items():
        se = (found.high - found.low) / 2 / 1.96
        assert abs(found.estimate - truth[name]) < 3.5 * se
        by_slot = np.sqrt(truth[name] * (1 - truth[name]) / (len(many) / 2))
        assert se > 1.5 * by_slot  # users differ, and there are 60 of them


def test_tests_differ_from_each_other_as_their_intervals_say(world, log):
    """Given out by slot instead of by user, both arms would meet all users and hardly differ."""
    is_odd = log["user"].cat.codes % 2
    uneven = log.assign(position=np.where(is_odd, 1, 30))  # half see the first place only
    uniform, rng = two_policies(world)["uniform"], np.random.default_rng(0)
    runs = [
        p.simulated_test(world, {"a": uniform, "b": uniform}, uneven, rng=rng)["a"]
        for _ in range(100)
    ]
    claimed = np.mean([(run.high - run.low) / 2 / 1.96 for run in runs])
    spread = np.std([run.estimate for run in runs])
    print(f"spread {spread:.4f}, claimed {claimed:.4f}")
    # an arm is half of the 60 users there are: sqrt(1 - 1/2) of what a sample of many would show
    assert spread == pytest.approx(claimed * np.sqrt(0.5), rel=0.25)


def test_three_ways_stand_side_by_side(world, log):
    targets = two_policies(world)
    rng = np.random.default_rng(0)
    estimates = p.off_policy(log, targets, rng=rng)
    table = p.three_ways(world, targets, log, estimates, rng=rng)
    ways = ["DR", "SNIPS", "IPS", "DM", "A/B test", "truth"]
    assert table["way"].tolist() == 2 * ways
    assert table["policy"].tolist() == 6 * ["uniform"] + 6 * ["liked"]
    truth = table[table["way"] == "truth"].set_index("policy")["value"].to_dict()
    assert truth == p.true_values(world, targets, log)


def test_slots_are_read_from_a_simulated_log(small_world):
    tables, truth = small_world
    shown = pd.Index(tables.exposures["item_id"].unique())
    of_feed = tables.with_events(tables.events[tables.events["item_id"].isin(shown)])
    interest = interest_matrix(of_feed, items=shown)
    log = p.slot_log(tables.exposures, interest.users, interest.items)
    assert log["item"].tolist() == tables.exposures["item_id"].tolist()
    assert (log["item"].cat.categories == interest.items).all()
    assert log["propensity"].to_numpy() == pytest.approx(truth.propensity)
    model = EASE(reg=50.0).fit(Training(interest, tables))
    everything = np.ones(len(interest.items), dtype=bool)
    policy = p.SoftmaxPolicy(model=model, candidates=everything)
    world = build_world(WorldSpec(n_users=200, n_items=60, n_days=30, seed=0))
    value = p.true_values(world, {"ease": policy}, log)["ease"]
    uniform = p.SoftmaxPolicy(model=None, candidates=everything, epsilon=1.0)
    assert value > p.true_values(world, {"uniform": uniform}, log)["uniform"]


def test_a_log_without_propensities_is_refused(tiny):
    exposures = pd.DataFrame({"user_id": ["u"], "item_id": ["i"], "clicked": [1]})
    with pytest.raises(ValueError, match="lack position, propensity"):
        p.slot_log(exposures, pd.Index(["u"]), pd.Index(["i"]))


@pytest.mark.parametrize("n", [8, pytest.param(2000, marks=pytest.mark.slow)])
def test_intervals_hold_the_truth_over_redrawn_logs(world, log, n):
    """DR, SNIPS and IPS of both policies, at good overlap: 95 %, within 3.5 standard errors."""
    size = {"n_repetitions": n, "n_slots": 1500}
    again = p.coverage(world, two_policies(world), log, rng=np.random.default_rng(0), **size)
    print(again.round(4).to_string())
    slack = 3.5 * np.sqrt(0.95 * 0.05 / n)
    assert again["coverage"].to_numpy() == pytest.approx(np.full(6, 0.95), abs=slack)
    assert again["coverage"].between(again["low"], again["high"]).all()
    assert (again["bias"].abs() < 3.5 * again["width"] / 3.92 / np.sqrt(n)).all()
    assert again["ess"].min() > 0.3


def test_wrong_propensities_are_noticed(world, log):
    wrong = log.assign(propensity=1 / 24)
    result = p.off_policy(wrong, two_policies(world), rng=np.random.default_rng(0))["liked"]
    assert any("mean weight" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": "stranger"}, "user_id holds 'stranger', which is not among the 200 users"),
        ({"item_id": "new"}, "item_id holds 'new', which is not among the 72 items"),
        ({"position": 0}, "position holds 0 in row 8; it must be a whole number from 1"),
        ({"clicked": 3}, "clicked holds 3 in row 8; it must be 0 or 1"),
        ({"propensity": 1.5}, "propensity holds 1.5 in row 8; it must be above 0 and at most 1"),
    ],
)
def test_a_slot_that_cannot_be_placed_is_refused(small_world, change, message):
    """An unknown id has no row: it was credited to the last user or item."""
    tables, _ = small_world
    interest = interest_matrix(tables)
    exposures = tables.exposures.head(50).astype({"propensity": float, "position": float})
    exposures = exposures.astype({"clicked": float, "user_id": object, "item_id": object})
    ((column, value),) = change.items()
    exposures.loc[exposures.index[7], column] = value
    with pytest.raises(ValueError, match=message):
        p.slot_log(exposures, interest.users, interest.items)


@pytest.mark.parametrize("column", ["user", "item"])
def test_a_slot_without_a_user_or_an_item_is_refused(world, log, column):
    odd = log.copy()
    odd.loc[5, column] = None
    message = f"slots.{column} is missing in row 6"
    with pytest.raises(ValueError, match=message):
        p.off_policy(odd, two_policies(world), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        p.true_values(world, two_policies(world), odd)


def test_scores_that_are_missing_make_no_policy():
    with pytest.raises(ValueError, match="scores holds nan in row 1"):
        p.stochastic(np.array([[1.0, np.nan]]), np.array([True, True]))
    with pytest.raises(ValueError, match="no candidate"):
        p.stochastic(np.array([[1.0, 2.0]]), np.array([False, False]))


def test_a_test_whose_arm_meets_one_user_says_so(world, log):
    one_user = log[log["user"] == log["user"].iloc[0]]
    with pytest.raises(TooLittleError, match="users; a test needs 2 or more an arm"):
        p.simulated_test(world, two_policies(world), one_user, rng=np.random.default_rng(0))


def test_log_test_and_truth_agree_or_each_name_their_own():
    rows = []
    for policy, log_value, test_value, truth in (("a", 0.3, 0.1, 0.3), ("b", 0.2, 0.2, 0.2)):
        rows.append((policy, "DR", log_value, log_value - 0.05, log_value + 0.05))
        rows.append((policy, "DM", log_value, np.nan, np.nan))
        rows.append((policy, "A/B test", test_value, test_value - 0.05, test_value + 0.05))
        rows.append((policy, "truth", truth, np.nan, np.nan))
    ways = pd.DataFrame(rows, columns=["policy", "way", "value", "low", "high"])
    (found,) = p.agreement_findings(ways)
    assert found.level == "watch"
    assert sentence(found) == (
        "The log puts a first, the test b, and in truth it is a; 3 of 4 intervals of 95 % hold the "
        "truth."
    )
    (found,) = p.agreement_findings(ways[ways["way"] != "A/B test"].replace("DM", "A/B test"))
    assert found.level == "good" and "name one policy, a; 2 of 2" in sentence(found)


def test_lost_coverage_is_named_where_an_interval_lies_wholly_below():
    covered = pd.DataFrame(
        {
            "policy": ["a", "a"],
            "method": ["DR", "IPS"],
            "coverage": [0.94, 0.8],
            "low": [0.9, 0.7],
            "high": [0.97, 0.88],
            "ess": [0.5, 0.02],
        }
    )
    (lost,) = p.coverage_findings(covered, n_logs=100, n_slots=500)
    assert lost.level == "watch" and "1 of 2 estimates hold the truth less" in sentence(lost)
    assert "IPS of a, 80 % (70 % to 88 %), where the slots count as 10" in sentence(lost)
    unlucky = pd.concat(
        [covered.iloc[:1]] * 11 + [covered.iloc[1:].assign(coverage=0.9, high=0.944)]
    )
    (chance,) = p.coverage_findings(unlucky.reset_index(), n_logs=100, n_slots=500)
    assert chance.level == "good" and "which may be chance among 12" in sentence(chance)
    (held,) = p.coverage_findings(covered.iloc[:1], n_logs=100, n_slots=500)
    assert held.level == "good" and "the lowest of 1 is DR of a, 94 %" in sentence(held)


def test_what_the_feed_never_shows_is_no_candidate():
    tables = simulate(WorldSpec(n_users=200, n_items=30, n_days=30)).tables
    sessions = tables.items["item_id"].iloc[30:]  # in no feed, and visited all the same
    assert tables.events["item_id"].isin(sessions).any()
    train, slots = p.split_in_time(tables)
    shown = set(tables.exposures["item_id"])
    assert set(train.interest.items) == set(slots["item"].cat.categories) == shown
    assert not train.tables.events["item_id"].isin(sessions).any()
