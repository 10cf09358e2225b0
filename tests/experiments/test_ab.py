import numpy as np
import pandas as pd
import pytest
import tea_tasting as tt
from scipy import stats
from tea_tasting.experiment import ExperimentResult

from kpay_lab.experiments.ab import (
    analyse,
    cuped_findings,
    cuped_gains,
    effects_by_segment,
    estimate_effect,
    interaction_pvalue,
    permutation_test,
    segment_findings,
)
from kpay_lab.experiments.arms import ABData, Metric
from kpay_lab.findings import sentence


def world(n=400, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    treated = rng.permutation(np.arange(n) % 2)
    before = rng.normal(10, 2, n)
    visits = 1.0 + rng.poisson(3, n)
    return pd.DataFrame(
        {
            "user_id": np.arange(n).astype(str),
            "arm": np.where(treated, "new", "old"),
            "before": before,
            "sales": 0.8 * before + rng.normal(0, 1, n) + shift * treated,
            "visits": visits,
            "clicks": rng.binomial(visits.astype(int), 0.3),
            "segment": rng.choice(["young", "old"], n),
        }
    )


def data(frame, *metrics):
    return ABData(frame, "user_id", "arm", "old", ("new",), metrics)


def arms(frame, column):
    return (frame.loc[frame["arm"] == arm, column].to_numpy() for arm in ("old", "new"))


def test_a_mean_is_compared_as_scipy_does():
    frame = world(shift=0.3)
    old, new = arms(frame, "sales")
    welch = stats.ttest_ind(new, old, equal_var=False)
    interval = welch.confidence_interval(0.95)
    e = estimate_effect(data(frame), Metric("sales"))
    assert e.difference == pytest.approx(new.mean() - old.mean(), rel=1e-12)
    assert (e.low, e.high, e.pvalue) == pytest.approx((*interval, welch.pvalue), rel=1e-9)


def test_a_ratio_is_the_welch_test_of_its_linearised_units():
    """The delta method replaces unit i by R + (y_i − R x_i) / x̄ inside each arm."""
    frame = world()
    units = []
    for clicks, visits in zip(arms(frame, "clicks"), arms(frame, "visits"), strict=True):
        ratio = clicks.sum() / visits.sum()
        units.append(ratio + (clicks - ratio * visits) / visits.mean())
    welch = stats.ttest_ind(units[1], units[0], equal_var=False)
    e = estimate_effect(data(frame), Metric("clicks", per="visits"))
    assert e.name == "clicks / visits"
    assert e.pvalue == pytest.approx(welch.pvalue, rel=1e-9)
    assert (e.low, e.high) == pytest.approx(tuple(welch.confidence_interval(0.95)), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_a_ratio_does_not_depend_on_the_unit_of_its_denominator(unit):
    frame = world(shift=0.3)
    metric = Metric("sales", per="visits")
    expected = estimate_effect(data(frame), metric)
    found = estimate_effect(data(frame.assign(visits=frame["visits"] * unit)), metric)
    assert found.pvalue == pytest.approx(expected.pvalue, rel=1e-6)
    for end in ("difference", "low", "high"):
        assert found[end] * unit == pytest.approx(expected[end], rel=1e-6)


def test_cuped_is_the_welch_test_of_what_the_covariate_leaves():
    frame = world(shift=0.3)
    cov = np.cov(frame["sales"], frame["before"])
    theta = cov[0, 1] / cov[1, 1]
    frame["left"] = frame["sales"] - theta * (frame["before"] - frame["before"].mean())
    old, new = arms(frame, "left")
    welch = stats.ttest_ind(new, old, equal_var=False)
    e = estimate_effect(data(frame), Metric("sales", covariate="before"))
    assert e.pvalue == pytest.approx(welch.pvalue, rel=1e-9)
    assert e.difference == pytest.approx(new.mean() - old.mean(), rel=1e-9)


def test_a_mean_near_zero_and_an_arm_of_zeros_are_compared_too():
    frame = world()
    frame["sales"] -= frame["sales"].mean()
    for sales in (frame["sales"], frame["sales"].where(frame["arm"] == "new", 0.0)):
        old, new = arms(frame.assign(sales=sales), "sales")
        e = estimate_effect(data(frame.assign(sales=sales)), Metric("sales"))
        assert e.pvalue == pytest.approx(stats.ttest_ind(new, old, equal_var=False).pvalue)
        assert (e.control, e.treatment) == pytest.approx((old.mean(), new.mean()), abs=1e-12)


def test_holm_is_that_of_tea_tasting():
    metrics = [Metric(name) for name in ("sales", "visits", "clicks", "before")]
    found = analyse(data(world(shift=0.3), *metrics)).table()
    pvalues = {name: {"pvalue": value} for name, value in found["pvalue"].items()}
    theirs = tt.adjust_fwer(
        ExperimentResult(pvalues), method="bonferroni", arbitrary_dependence=True
    )
    adjusted = [row["pvalue_adj"] for row in theirs.to_dicts()]
    assert found["p_holm"].tolist() == pytest.approx(adjusted, rel=1e-12)


@pytest.mark.parametrize("per", [None, "visits"])
def test_a_control_near_zero_is_compared_as_any_other(per):
    """What is added to every unit's mean or ratio changes no difference."""
    frame = world(shift=0.1)
    units = 1.0 if per is None else frame["visits"]
    sales, _ = arms(frame, "sales")
    denominator, _ = arms(frame.assign(units=units), "units")
    level = sales.sum() / denominator.sum() - 1e-15
    near_zero = frame.assign(sales=frame["sales"] - level * units)
    far = frame.assign(sales=near_zero["sales"] + 3 * units)
    metric = Metric("sales", per=per)
    found, expected = (estimate_effect(data(one), metric) for one in (near_zero, far))
    assert 0 < abs(found.control) < 1e-12
    columns = ["difference", "low", "high", "pvalue"]
    assert found[columns].tolist() == pytest.approx(expected[columns].tolist(), rel=1e-9)


@pytest.mark.parametrize("names", [("sales", None, None), ("clicks", "visits", "before")])
def test_the_effect_is_that_of_tea_tasting(names):
    frame = world(shift=0.3)
    options = {"equal_var": False, "use_t": True, "confidence_level": 0.9}
    r = tt.RatioOfMeans(*names, **options).analyze(frame, "old", "new", "arm")
    e = estimate_effect(data(frame), Metric(*names), level=0.9)
    expected = (r.effect_size, r.effect_size_ci_lower, r.effect_size_ci_upper, r.pvalue)
    assert (e.difference, e.low, e.high, e.pvalue) == pytest.approx(expected, rel=1e-9)
    assert (e.control, e.treatment) == pytest.approx((r.control, r.treatment), rel=1e-12)


def test_a_metric_that_never_varies_is_refused():
    frame = world().assign(sales=0.0)
    with pytest.raises(ValueError, match="sales does not vary"):
        estimate_effect(data(frame), Metric("sales"))


def test_several_metrics_are_adjusted_by_holm():
    frame = world(shift=0.3)
    result = analyse(data(frame, Metric("sales"), Metric("visits")))
    p = result.table()["pvalue"].to_numpy()
    adjusted = np.minimum(p * np.where(p == p.min(), 2, 1), 1)
    adjusted[p.argmax()] = adjusted.max()
    assert result.table()["p_holm"].tolist() == pytest.approx(adjusted)


def test_the_verdict_is_worth_difference_times_value_times_units():
    frame = world(shift=1.0)
    result = analyse(data(frame, Metric("sales")))
    stake = {"value_per_unit": 2.0, "n_units": 1000}
    worth = result.worth("sales", **stake)
    e = result.effects.loc["sales"]
    assert worth.estimate == pytest.approx(2000 * e.difference)
    assert (worth.low, worth.high) == pytest.approx((2000 * e.low, 2000 * e.high))
    said = result.verdict("sales", **stake)
    assert "raises sales" in said and said.endswith("Ship it.")


def test_a_verdict_names_currency_and_period():
    result = analyse(data(world(shift=1.0), Metric("sales")))
    stake = {"value_per_unit": 1.0, "n_units": 1000}
    worth = result.worth("sales", **stake)
    said = result.verdict("sales", **stake, currency="yuan", period="60 days")
    interval = f"({worth.low:+,.0f} to {worth.high:+,.0f})"
    assert f"a profit of {worth.estimate:+,.0f} yuan {interval} in 60 days." in said
    unsaid = result.verdict("sales", **stake)
    assert "in the account's currency" in unsaid and "in the time of the test" in unsaid


def test_without_a_value_a_change_is_told_and_no_money():
    result = analyse(data(world(shift=1.0), Metric("visits"), Metric("sales")))
    said = result.verdict("sales", value_per_unit=None, n_units=1000)
    assert said.startswith("The treatment raises sales") and "profit of" not in said
    assert said.endswith("What one more is worth is not said, so there is no advice.")
    assert result.worth("sales", value_per_unit=None, n_units=1000) is None
    unshown = result.verdict("visits", value_per_unit=None, n_units=1000)
    assert unshown.endswith("Keep testing, or stop.")


def test_a_small_profit_is_a_profit():
    result = analyse(data(world(shift=1.0), Metric("sales")))
    stake = {"value_per_unit": 0.01, "n_units": 10}
    assert 0 < result.worth("sales", **stake).estimate < 1
    assert result.verdict("sales", **stake).endswith("Ship it.")


def test_a_cost_that_rises_keeps_the_control_and_swaps_the_ends():
    result = analyse(data(world(shift=1.0), Metric("sales")))
    worth = result.worth("sales", value_per_unit=-1.0, n_units=10)
    assert worth.low < worth.estimate < worth.high < 0
    said = result.verdict("sales", value_per_unit=-1.0, n_units=10)
    assert said.endswith("Keep the control.")


def test_without_evidence_the_verdict_says_so():
    result = analyse(data(world(), Metric("sales", covariate="before")))
    assert result.effects.loc["sales (CUPED)", "p_holm"] > 0.05
    said = result.verdict("sales (CUPED)", value_per_unit=1, n_units=1)
    assert "is not shown to change sales (CUPED)" in said and said.endswith("or stop.")


def test_significance_is_judged_after_holm():
    """A p-value of .02 among five is .1 after Holm, though its own interval leaves out 0."""
    frame = world(shift=0.27)
    alone = analyse(data(frame, Metric("sales", covariate="before")))
    alone_effect = alone.effects.loc["sales (CUPED)"]
    assert alone_effect.p_holm < 0.05
    assert alone.verdict("sales (CUPED)", value_per_unit=1, n_units=1).endswith("Ship it.")
    noise = [Metric("visits"), Metric("clicks"), Metric("before"), Metric("clicks", per="visits")]
    crowd = analyse(data(frame, Metric("sales", covariate="before"), *noise))
    crowd_effect = crowd.effects.loc["sales (CUPED)"]
    assert crowd_effect.p_holm == pytest.approx(5 * alone_effect.pvalue)
    assert crowd_effect.low > 0 and crowd_effect.p_holm > 0.05
    assert "is not shown" in crowd.verdict("sales (CUPED)", value_per_unit=1, n_units=1)


def found_by(result, name, **stake):
    """What is said of the treatment itself: the sizes of the arms and the list come after it."""
    found = result.findings(name, **stake)
    listed = {"experiment/moved", "experiment/sizes"}
    return [(one.level, sentence(one)) for one in found if one.key not in listed]


def test_findings_say_whether_it_paid_and_for_whom_and_when():
    result = analyse(data(world(shift=1.0), Metric("sales")))
    stake = {"value_per_unit": 2.0, "n_units": 1000}
    worth = result.worth("sales", **stake)
    ((level, said),) = found_by(result, "sales", **stake, currency="CNY", period="60 days")
    assert level == "good"
    assert said.startswith(
        f"The treatment (new) pays: a profit of {worth.estimate:,.2f} CNY (95 % "
    )
    assert said.endswith("for 1,000 people in 60 days.")
    ((level, said),) = found_by(result, "sales", value_per_unit=-2.0, n_units=1000)
    assert level == "bad" and "does not pay: a profit of −" in said
    ((level, said),) = found_by(result, "sales", value_per_unit=None, n_units=1)
    assert level == "plain" and said.startswith("The treatment (new) raises sales: +")


def test_findings_say_that_nothing_is_shown_or_may_be_chance_among_many():
    stake = {"value_per_unit": 1, "n_units": 1}
    unsure = analyse(data(world(), Metric("sales")))
    ((level, said),) = found_by(unsure, "sales", **stake)
    assert level == "watch" and said.startswith("Whether the treatment (new) pays is not shown")
    noise = [Metric("visits"), Metric("clicks"), Metric("before"), Metric("clicks", per="visits")]
    sales = [Metric("sales"), Metric("sales", covariate="before")]
    crowd = analyse(data(world(shift=0.27), *sales, *noise))
    ((level, said),) = found_by(crowd, "sales (CUPED)", **stake)
    assert level == "watch" and "may be chance among 5 comparisons" in said


def test_findings_of_arms_of_wrong_sizes_say_nothing_else():
    frame = world(shift=1.0)
    frame = frame[(frame["arm"] == "new") | (np.arange(len(frame)) % 2 == 0)]
    result = analyse(data(frame, Metric("sales")))
    ((level, said),) = found_by(result, "sales", value_per_unit=1, n_units=1)
    assert level == "bad" and said.startswith("The 2 arms of the test have other sizes")


def test_findings_list_what_moved_once_for_a_metric_and_its_cuped_twin():
    frame = world(n=2000, shift=1.0)
    metrics = [Metric("sales"), Metric("sales", covariate="before"), Metric("clicks")]
    result = analyse(data(frame, *metrics))
    found = result.findings("sales", value_per_unit=1, n_units=1)
    said = {one.key: sentence(one) for one in found}
    moved = "Up with the treatment: sales. No change is shown in clicks."
    assert said["experiment/moved"] == moved
    (moved,) = [
        one
        for one in result.findings("sales (CUPED)", value_per_unit=1, n_units=1)
        if one.key == "experiment/moved"
    ]
    assert sentence(moved).startswith("Up with the treatment: sales (CUPED). No")
    assert said["experiment/sizes"].endswith("1,000 old and 1,000 new (p = 1).")


def test_findings_of_several_arms_name_each_and_a_failed_ratio_once():
    frame = world(n=600)
    frame.loc[:99, "arm"] = "newer"
    both = ABData(frame, "user_id", "arm", "old", ("new", "newer"), (Metric("sales"),))
    stake = {"value_per_unit": 1, "n_units": 1}
    planned = {"old": 250, "new": 250, "newer": 100}
    found = analyse(both, planned_shares=planned).findings("sales", **stake)
    profits = [one for one in found if one.key == "experiment/profit"]
    assert [one.values["arm"] for one in profits] == ["new", "newer"]
    (moved,) = [one for one in found if one.key == "experiment/moved"]
    assert "sales (newer)" in sentence(moved)
    blocked = analyse(both).findings("sales", **stake)
    assert [one.key for one in blocked] == ["experiment/blocked"]


def test_the_profit_decides_where_what_was_asked_for_is_absent():
    frame = world().rename(columns={"clicks": "profit"})
    result = analyse(data(frame, Metric("sales"), Metric("profit")))
    assert result.decisive("profit (CUPED)") == "profit"
    assert result.decisive("sales") == "sales"
    sales = [Metric("sales"), Metric("sales", covariate="before")]
    assert analyse(data(frame, *sales)).decisive("profit (CUPED)") == "sales (CUPED)"
    assert analyse(data(frame, *sales[:1])).decisive("profit (CUPED)") == "sales"


def test_the_plain_mean_of_what_decides_is_planned_for():
    ratio = Metric("clicks", per="visits")
    ours = data(
        world(), Metric("visits"), Metric("sales"), Metric("sales", covariate="before"), ratio
    )
    assert ours.plain_metric("sales (CUPED)") == Metric("sales")
    assert ours.plain_metric("clicks / visits") == Metric("visits")


def test_cuped_spares_what_the_past_explains():
    frame = world(n=20_000)
    both = data(frame, Metric("sales"), Metric("sales", covariate="before"))
    gains = cuped_gains(both, analyse(both))
    # sales = 0.8 before + noise of variance 1, before has variance 4: 2.56 of 3.56 is known
    assert gains.loc["sales", "variance_expected"] == pytest.approx(1 / 3.56, rel=0.03)
    assert gains.loc["sales", "variance_left"] == pytest.approx(1 / 3.56, rel=0.03)
    assert gains.loc["sales", "more_units"] == pytest.approx(2.56, rel=0.04)
    (found,) = cuped_findings(gains)
    assert found.values["metric"] == "sales" and " off the variance of sales" in sentence(found)
    without = data(frame, Metric("sales"))
    assert cuped_findings(cuped_gains(without, analyse(without))) == []


def test_segments_differ_or_are_not_shown_to():
    ends = {"control": 0.0, "treatment": 0.0, "pvalue": 0.5, "p_holm": 0.5}
    north = ends | {"difference": 5.0, "low": 4.0, "high": 6.0}
    south = ends | {"difference": 1.0, "low": 0.0, "high": 2.0}
    apart = pd.DataFrame({"north": north, "south": south}).T
    alike = pd.DataFrame({"north": north, "south": north}).T
    differ, same = segment_findings({"a": apart, "b": alike}, "sales")
    assert "effect of a on sales differs between 2 segments" in sentence(differ)
    assert "from +1 (south) to +5 (north)" in sentence(differ)
    assert "b on sales is not shown to differ between 2 segments (p = 1)" in sentence(same)
    assert segment_findings({"a": apart.iloc[:1]}, "sales") == []


def test_the_truth_lies_inside_or_outside():
    result = analyse(data(world(n=2000, shift=1.0), Metric("sales")))
    (inside,) = result.truth_findings("sales", 1.0)
    (outside,) = result.truth_findings("sales", 5.0)
    assert inside.level == "good" and "is +1, inside" in sentence(inside)
    assert outside.level == "watch" and "is +5, outside" in sentence(outside)
    assert result.truth_findings("revenue", 1.0) == []


def test_a_failed_sample_ratio_blocks_the_verdict():
    frame = world(shift=1.0)
    frame = frame[(frame["arm"] == "new") | (np.arange(len(frame)) % 2 == 0)]
    result = analyse(data(frame, Metric("sales")))
    stake = {"value_per_unit": 1, "n_units": 1}
    assert not result.check.passed and result.worth("sales", **stake) is None
    assert result.verdict("sales", **stake).startswith("No verdict. Sample ratio")


def test_a_planned_share_is_not_taken_for_missing_units():
    frame = world(4000, shift=1.0)
    treated = (frame["arm"] == "new").to_numpy()
    frame = frame[~treated | (np.cumsum(treated) % 9 == 0)]
    assert not analyse(data(frame, Metric("sales"))).check.passed
    result = analyse(data(frame, Metric("sales")), planned_shares={"old": 0.9, "new": 0.1})
    assert result.check.passed
    said = result.verdict("sales", value_per_unit=1, n_units=1)
    assert said.startswith("The treatment raises sales")


def three_arms():
    frame = world(3000)
    frame["arm"] = np.array(["old", "a", "b"])[np.arange(3000) % 3]
    frame["sales"] += 1.0 * (frame["arm"] == "b")
    metrics = (Metric("sales"), Metric("visits"))
    return ABData(frame, "user_id", "arm", "old", ("a", "b"), metrics)


def test_each_arm_is_compared_with_the_control_and_all_are_one_family():
    several = three_arms()
    result = analyse(several)
    assert result.effects["arm"].tolist() == ["a", "a", "b", "b"]
    assert result.effects.index.tolist() == ["sales", "visits", "sales", "visits"]
    for pair in several.pairs():
        alone = analyse(pair).effects
        mine = result.effects[result.effects["arm"] == pair.treatment]
        pd.testing.assert_frame_equal(mine.drop(columns="p_holm"), alone.drop(columns="p_holm"))
    smallest = result.effects["pvalue"].min()
    assert result.effects["p_holm"].min() == pytest.approx(4 * smallest)
    assert result.check.sizes == {"old": 1000, "a": 1000, "b": 1000}


def test_a_verdict_names_its_arm():
    result = analyse(three_arms())
    stake = {"value_per_unit": 1, "n_units": 10}
    assert result.verdict("sales", arm="b", **stake).startswith("Arm b raises sales")
    assert "is not shown to change" in result.verdict("sales", arm="a", **stake)
    assert result.worth("sales", arm="b", **stake).estimate == pytest.approx(10, rel=0.2)
    with pytest.raises(ValueError, match="name the arm: a, b"):
        result.verdict("sales", **stake)
    with pytest.raises(ValueError, match="no arm 'c' in the result; it has: a, b"):
        result.worth("sales", arm="c", **stake)


def test_a_metric_with_and_without_cuped_counts_once_in_the_family():
    """They ask one question: whether sales change."""
    frame = world(shift=0.2)
    plain, adjusted = Metric("sales"), Metric("sales", covariate="before")
    others = [Metric("visits"), Metric("clicks", per="visits")]
    found = analyse(data(frame, plain, adjusted, *others)).effects["p_holm"]
    without_plain = analyse(data(frame, adjusted, *others)).effects["p_holm"]
    without_adjusted = analyse(data(frame, plain, *others)).effects["p_holm"]
    assert found.drop("sales").to_dict() == pytest.approx(without_plain.to_dict(), rel=1e-12)
    assert found["sales"] == pytest.approx(without_adjusted["sales"], rel=1e-12)


def test_shuffled_arms_are_those_of_scipy():
    frame = world(60, shift=0.5)
    old, new = arms(frame, "sales")
    options = {"permutation_type": "independent", "n_resamples": 20_000}
    theirs = stats.permutation_test(
        (new, old), lambda a, b: a.mean() - b.mean(), rng=np.random.default_rng(1), **options
    )
    rng = np.random.default_rng(0)
    ours = permutation_test(data(frame), "sales", rng=rng, n_permutations=20_000)
    assert ours == pytest.approx(theirs.pvalue, abs=3.5 * np.sqrt(theirs.pvalue / 10_000))


def skewed(share, n=1000):
    """Revenue of which a twentieth of the units have any, and a few very much."""
    rng = np.random.default_rng(0)
    frame = world(n)
    frame["arm"] = np.where(np.arange(n) < share * n, "new", "old")
    frame["sales"] = (rng.random(n) < 0.05) * rng.lognormal(3, 1, n)
    return data(frame, Metric("sales"), Metric("visits"))


def test_skewed_money_in_unequal_arms_gets_a_warning():
    planned = {"old": 0.9, "new": 0.1}
    result = analyse(skewed(0.1), planned_shares=planned)
    (warning,) = result.warnings
    assert warning.startswith("sales is skewed and the arms are 900 : 100")
    assert "permutation_test" in warning and "logarithm" in warning
    stake = {"value_per_unit": 1, "n_units": 1}
    assert warning in result.verdict("sales", **stake)
    assert warning not in result.verdict("visits", **stake)
    assert analyse(skewed(0.5)).warnings == ()


@pytest.mark.parametrize(("times", "skewness"), [(5, 0.298), (6, 0.315)])
def test_the_warning_begins_at_a_skewness_of_0_3(times, skewness):
    """Units of −1, −1 and 2 around their mean: m₂ = 2 and m₃ = 2."""
    n_new, n_old = 3, 3 * times
    spread = 2 * (1 / n_new + 1 / n_old)
    assert 2 * (1 / n_new**2 - 1 / n_old**2) / spread**1.5 == pytest.approx(skewness, abs=5e-4)
    arm = ["new"] * n_new + ["old"] * n_old
    sales = np.tile([9.0, 9.0, 12.0], times + 1)
    frame = pd.DataFrame({"user_id": range(len(arm)), "arm": arm, "sales": sales})
    result = analyse(data(frame, Metric("sales")))
    assert len(result.warnings) == (skewness > 0.3)


def test_an_unknown_metric_is_named():
    result = analyse(data(world(), Metric("sales")))
    with pytest.raises(ValueError, match="no metric 'revenue' in the result; it has: sales"):
        result.verdict("revenue", value_per_unit=1, n_units=1)


def test_segments_that_differ_are_found():
    frame = world(4000)
    frame["sales"] += 1.0 * ((frame["arm"] == "new") & (frame["segment"] == "young"))
    result = effects_by_segment(data(frame), Metric("sales"), "segment")
    young = result.loc["young"]
    old = result.loc["old"]
    assert young.low > 0 and old.low < 0 < old.high
    assert interaction_pvalue(result) < 1e-6
    assert young.p_holm == pytest.approx(2 * young.pvalue)


def test_two_segments_are_compared_as_by_a_z_test_of_their_difference():
    frame = world(4000)
    result = effects_by_segment(data(frame), Metric("sales"), "segment")
    se = (result["high"] - result["low"]) / 2 / stats.norm.ppf(0.975)
    z = result["difference"].diff().iloc[1] / np.hypot(*se)
    assert interaction_pvalue(result) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)


def test_small_and_constant_segments_are_left_out_by_name():
    frame = world(1000)
    frame.loc[:9, "segment"] = "tiny"
    frame.loc[10:199, ["segment", "sales"]] = ["flat", 0.0]
    result = effects_by_segment(data(frame), Metric("sales"), "segment")
    assert result.index[result["difference"].isna()].tolist() == ["flat", "tiny"]
    alone = effects_by_segment(data(frame.query("segment == 'flat'")), Metric("sales"), "segment")
    assert alone.isna().all(axis=None) and np.isnan(interaction_pvalue(alone))


@pytest.mark.parametrize(("n_old", "is_compared"), [(29, False), (30, True)])
@pytest.mark.parametrize("arms", [("old", "new"), ("new", "old")])
def test_a_segment_needs_30_units_in_each_arm(arms, n_old, is_compared):
    frame = world(200)
    frame["arm"] = np.where(np.arange(200) < n_old, *arms)
    result = effects_by_segment(data(frame.assign(segment="all")), Metric("sales"), "segment")
    assert np.isfinite(result.loc["all", "difference"]) == is_compared


def test_a_copy_of_the_metric_is_no_covariate():
    """What explains everything was not measured before: no variance is left to test with."""
    frame = world(shift=1.0)
    frame["copy"] = 2 * frame["sales"] + 1
    with pytest.raises(ValueError, match=r"copy explains all of sales; .* before the assignment"):
        estimate_effect(data(frame), Metric("sales", covariate="copy"))
    opposite = frame.assign(copy=-frame["copy"])
    with pytest.raises(ValueError, match="copy explains all of sales"):
        estimate_effect(data(opposite), Metric("sales", covariate="copy"))
    only_new = frame.assign(sales=frame["sales"].where(frame["arm"] == "new", 0.0))
    with pytest.raises(ValueError, match="copy explains all of sales"):
        estimate_effect(data(only_new), Metric("sales", covariate="copy"))


def test_a_ratio_that_is_the_same_for_all_is_refused():
    frame = world().assign(clicks=lambda known: 3 * known["visits"])
    with pytest.raises(ValueError, match="clicks / visits does not vary"):
        estimate_effect(data(frame), Metric("clicks", per="visits"))


def test_one_buyer_in_sixty_gives_numbers_without_a_warning(recwarn):
    frame = world(60).assign(sales=0.0, none_before=0.0)
    frame.loc[7, "sales"] = 5.0
    metrics = [Metric("sales"), Metric("sales", covariate="none_before"), Metric("sales", "visits")]
    result = analyse(data(frame, *metrics))
    assert np.isfinite(result.effects[["low", "high", "pvalue", "p_holm"]]).all(axis=None)
    assert [str(one.message) for one in recwarn] == []


def test_numbers_too_large_to_square_are_refused():
    frame = world()
    frame["sales"] *= 1e200
    with pytest.raises(ValueError, match="sales has no interval"):
        estimate_effect(data(frame), Metric("sales"))
