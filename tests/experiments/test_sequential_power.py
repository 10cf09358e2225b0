import numpy as np
import pytest
import tea_tasting as tt
from tea_tasting.aggr import Aggregates

from kpay_lab.experiments.power import plan_test, power, sample_size
from kpay_lab.experiments.sequential import ConfidenceSequence, confidence_sequence
from kpay_lab.findings import sentence


def literal(values, treated, n, tightest_at, alpha):
    """The formula of the docstring, at one n."""
    new, old = (values[:n][arm[:n]] for arm in (treated, ~treated))
    se = np.sqrt(new.var(ddof=1) / len(new) + old.var(ddof=1) / len(old))
    r = (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) * n / tightest_at
    margin = se * np.sqrt((1 + 1 / r) * (np.log(1 + r) - 2 * np.log(alpha)))
    return new.mean() - old.mean(), margin


@pytest.mark.parametrize("n", [100, 101, 500])
def test_the_sequence_equals_a_literal_loop(n):
    rng = np.random.default_rng(0)
    values, treated = rng.exponential(50, 500), rng.random(500) < 0.3
    run = confidence_sequence(values, treated, tightest_at=400, level=0.9)
    d, margin = literal(values, treated, n, 400, 0.1)
    found = (run.difference[n - 1], run.low[n - 1], run.high[n - 1])
    assert found == pytest.approx((d, d - margin, d + margin), rel=1e-10)
    assert run.table().loc[n, ["difference", "low", "high"]].tolist() == list(found)


def test_it_is_narrowest_against_one_look_where_it_was_planned():
    values, treated = np.random.default_rng(0).normal(size=4000), np.arange(4000) % 2 == 0
    run = confidence_sequence(values, treated, tightest_at=1000)
    factor = (run.high - run.low)[200:] / run.se[200:]
    assert 201 + factor.argmin() == pytest.approx(1000, rel=0.05)


def test_before_the_first_look_and_without_variation_nothing_is_said():
    treated = np.arange(1000) % 2 == 0
    values = np.where(treated, 0.0, 0.1)
    values[900:902] = 1.0
    run = confidence_sequence(values, treated, tightest_at=1000)
    assert not np.isfinite(run.low[:901]).any()
    assert np.isfinite(run.low[901:]).all()
    noise = np.random.default_rng(0).normal(size=300)
    run = confidence_sequence(noise, treated[:300], tightest_at=300, first_look=200)
    assert np.isfinite(run.low).tolist() == [False] * 199 + [True] * 101
    steady = confidence_sequence(np.full(500, 0.1), treated[:500], tightest_at=500)
    assert steady.stopped_at is None and not np.isfinite(steady.high).any()


def test_a_clear_effect_stops_the_test_early():
    rng = np.random.default_rng(0)
    treated = rng.random(2000) < 0.5
    run = confidence_sequence(rng.normal(size=2000) + treated, treated, tightest_at=2000)
    assert run.stopped_at is not None and 100 <= run.stopped_at < 500
    assert run.low[run.stopped_at - 1] > 0 >= run.low[run.stopped_at - 2]


@pytest.mark.parametrize(
    ("low", "high", "stopped_at"),
    [
        ([-1.0, 0.0, 0.2], [9.0, 9.0, 9.0], 3),
        ([-9.0, -9.0, -9.0], [1.0, 0.0, -0.2], 3),
        ([0.2, -1.0, 0.3], [9.0, 9.0, 9.0], 1),
        ([-1.0, -1.0, 0.0], [0.0, 1.0, 1.0], None),
    ],
)
def test_an_interval_that_ends_at_0_holds_it(low, high, stopped_at):
    run = ConfidenceSequence(np.zeros(3), np.ones(3), np.array(low), np.array(high))
    assert run.stopped_at == stopped_at


@pytest.mark.parametrize("treated_first", [True, False])
def test_while_one_arm_has_not_varied_nothing_is_said(treated_first):
    treated = np.arange(300) % 2 == 0
    values = np.random.default_rng(0).normal(size=300)
    steady = treated if treated_first else ~treated
    values[steady & (np.arange(300) < 250)] = 1.0
    run = confidence_sequence(values, treated, tightest_at=300)
    assert not np.isfinite(run.high[:250]).any()
    assert np.isfinite(run.high[251:]).all()


@pytest.mark.parametrize(("unit", "shift"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e8), (1.0, -1e8)])
def test_a_metric_in_another_unit_or_from_another_zero_has_the_same_sequence(unit, shift):
    rng = np.random.default_rng(0)
    values, treated = rng.normal(size=400), rng.random(400) < 0.5
    run = confidence_sequence(values, treated, tightest_at=400)
    other = confidence_sequence(values * unit + shift, treated, tightest_at=400)
    assert other.low[99:] / unit == pytest.approx(run.low[99:], rel=1e-5)
    assert other.high[99:] / unit == pytest.approx(run.high[99:], rel=1e-5)


def test_missing_values_are_refused():
    with pytest.raises(ValueError, match="one finite value"):
        confidence_sequence(np.array([1.0, np.nan]), np.array([True, False]), tightest_at=2)


@pytest.mark.parametrize("ratio", [1, 0.25])
def test_sample_size_and_power_agree_with_tea_tasting(ratio):
    population = Aggregates(1000, {"y": 0.3}, {"y": 0.21}, {})
    options = {"effect_size": 0.02, "use_t": False, "ratio": ratio, "alpha": 0.05}
    n = tt.Mean("y", power=0.9, **options).solve_power_from_aggregates(population, "n_obs")
    share, sd = ratio / (1 + ratio), np.sqrt(0.21)
    assert sample_size(0.02, sd, power=0.9, share=share) == pytest.approx(n[0].n_obs, abs=1)
    at = tt.Mean("y", n_obs=3000, **options).solve_power_from_aggregates(population, "power")
    assert float(power(0.02, sd, 3000, share=share)) == pytest.approx(at[0].power, rel=1e-12)


def test_the_planned_size_has_the_planned_power():
    n = sample_size(-0.01, 0.5, power=0.8)
    assert power(0.01, 0.5, n - 1) < 0.8 <= power(0.01, 0.5, n)


@pytest.mark.parametrize(("effect", "sd", "share"), [(0, 1, 0.5), (1, 0, 0.5), (1, 1, 1)])
def test_a_size_that_does_not_exist_is_refused(effect, sd, share):
    with pytest.raises(ValueError, match="a sample size needs an effect"):
        sample_size(effect, sd, share=share)


@pytest.mark.parametrize("wished", [0.01, 0.025, 0.05, 1, 1.0, 0, -1, np.nan])
def test_a_power_that_no_size_can_have_is_refused(wished):
    with pytest.raises(ValueError, match=f"power is {wished}; it must lie between 0.05 and 1"):
        sample_size(0.01, 0.5, power=wished)


@pytest.mark.parametrize(
    ("effect", "sd", "n_units", "share"),
    [
        (0.0, 1.0, 100, 0.5),
        (np.nan, 1.0, 100, 0.5),
        (0.1, 0.0, 100, 0.5),
        (0.1, np.nan, 100, 0.5),
        (0.1, 1.0, 100, 0.0),
        (0.1, 1.0, [100, 0], 0.5),
    ],
)
def test_a_power_that_does_not_exist_is_refused(effect, sd, n_units, share):
    with pytest.raises(ValueError, match="a power needs an effect"):
        power(effect, sd, n_units, share=share)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"treated": np.array([0, 1, 2, 1])}, "treated holds 2 in row [123]; it must be 0 or 1"),
        (
            {"treated": np.array(["a", "b", "a", "b"])},
            "treated holds 'a' in row [123]; it must be 0 or 1",
        ),
        (
            {"treated": np.array([1.0, 0.0, np.nan, 0.0])},
            "treated holds nan in row [123]; it must be 0 or 1",
        ),
        ({"treated": np.ones(4, dtype=bool)}, "every unit is treated"),
        ({"treated": np.zeros(4, dtype=bool)}, "no unit is treated"),
        ({"tightest_at": 0}, "tightest_at is 0; it must be 1 or more"),
        ({"level": 1.0}, "level is 1.0; it must lie between 0 and 1"),
        ({"level": 0}, "level is 0; it must lie between 0 and 1"),
        ({"values": np.arange(3.0)}, "one finite value and one arm a unit"),
    ],
)
def test_what_cannot_be_followed_is_refused(change, message):
    units = {"values": np.arange(4.0), "treated": np.array([0, 1, 0, 1]), "tightest_at": 4}
    with pytest.raises(ValueError, match=message):
        confidence_sequence(**(units | change))


def test_a_plan_says_the_need_and_whether_this_test_had_it():
    control = np.array([0.0, 1.0] * 500)
    plan = plan_test(control, 0.1)
    # (1.96 + 0.842)² sd² / (d² / 4), with sd 0.5 and d = 0.05
    assert plan.n_needed == pytest.approx(4 * 7.849 * 0.25 / 0.05**2, rel=0.01)
    assert plan.mean == 0.5
    curve = plan.table().set_index("units")["power"]
    assert curve[curve >= 0.8].index[0] == pytest.approx(plan.n_needed, rel=0.05)
    (few,) = plan.findings("sales", n_now=100)
    assert sentence(few).startswith(f"The next test needs {plan.n_needed:,} people, 50 % of them")
    (enough,) = plan.findings("sales", n_now=plan.n_needed)
    assert sentence(enough).startswith(f"A test of {plan.n_needed:,} people")


@pytest.mark.parametrize("control", [[2.0, 2.0, 2.0], [-1.0, 1.0]])
def test_no_test_is_planned_from_equal_units_or_a_mean_of_0(control):
    assert plan_test(np.array(control), 0.1) is None
