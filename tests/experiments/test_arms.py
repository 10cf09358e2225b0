from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kpay_lab.experiments.arms import (
    ABData,
    Metric,
    heavy_findings,
    heavy_units,
    per_unit,
    sample_ratio,
    with_profit,
)
from kpay_lab.findings import sentence


def frame():
    return pd.DataFrame(
        {
            "user_id": ["a", "b", "c", "d"],
            "arm": ["old", "new", "old", "new"],
            "sales": [1.0, 2.0, 3.0, 4.0],
            "visits": pd.array([1, 2, 1, 2], dtype="Int64"),
        }
    )


def data(table, *metrics):
    return ABData(table, "user_id", "arm", "old", ("new",), metrics or (Metric("sales"),))


def test_the_arms_are_told_apart():
    control, treated = data(frame()).arms
    assert control.tolist() == [True, False, True, False]
    assert treated.tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": ["old"] * 4}, "arm 'new' has 0 units"),
        ({"arm": ["old", "old", "old", "new"]}, "arm 'new' has 1 units"),
        ({"arm": ["old", "new", "mid", "new"]}, "mid"),
        ({"user_id": ["a", "a", "c", "d"]}, "1 rows repeat a user_id"),
        ({"sales": [1.0, np.nan, 3.0, 4.0]}, "sales is missing or infinite in 1 rows.* row 2"),
        ({"sales": [1.0, 2.0, np.inf, 4.0]}, "sales is missing or infinite in 1 rows.* row 3"),
    ],
)
def test_data_that_cannot_be_compared_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        data(frame().assign(**change))


def test_profit_takes_the_place_of_revenue():
    """At a margin of 0.6 and with a fifth off, 8 paid leave 4, and 10 without a coupon 6."""
    table = frame().assign(sales=[10.0, 8.0, 0.0, 16.0], before=[1.0, 2.0, 3.0, 5.0])
    metrics = (Metric("sales"), Metric("sales", covariate="before"), Metric("visits"))
    found = with_profit(data(table, *metrics), "sales", margin=0.6, coupon_price=0.8)
    assert [metric.name for metric in found.metrics] == ["profit", "profit (CUPED)", "visits"]
    assert found.frame["profit"].tolist() == pytest.approx([6.0, 4.0, 0.0, 8.0])
    assert found.frame["sales"].tolist() == table["sales"].tolist()
    with pytest.raises(ValueError, match="no metric is made of 'revenue'; they are made of: sales"):
        with_profit(data(table, *metrics), "revenue", margin=0.6)
    with pytest.raises(ValueError, match="there is a column profit already"):
        with_profit(found, "visits", margin=0.6)


def test_one_arm_named_twice_is_refused():
    with pytest.raises(ValueError, match="name different arms"):
        replace(data(frame()), treatments=("old",))


def test_an_unknown_column_is_named_with_the_columns_there_are():
    with pytest.raises(ValueError, match="no column 'clicks'; it has: user_id, arm, sales, visits"):
        data(frame(), Metric("clicks"))


def test_a_missing_count_is_refused():
    visits = pd.array([1, None, 1, 2], dtype="Int64")
    with pytest.raises(ValueError, match="sales / visits is missing"):
        data(frame().assign(visits=visits), Metric("sales", per="visits"))


def test_a_denominator_of_zeros_is_refused():
    with pytest.raises(ValueError, match="visits sums to 0"):
        data(frame().assign(visits=[0, 1, 0, 1]), Metric("sales", per="visits"))


def test_rows_of_a_unit_add_up():
    units = per_unit(pd.concat([frame(), frame()]), "user_id", "arm", ["sales", "visits"])
    assert units["sales"].tolist() == [2.0, 4.0, 6.0, 8.0]
    assert units.columns.tolist() == ["user_id", "arm", "sales", "visits"]


def test_a_unit_in_two_arms_is_refused():
    log = pd.concat([frame(), frame().assign(arm="new")])
    with pytest.raises(ValueError, match="2 units are in more than one arm"):
        per_unit(log, "user_id", "arm", ["sales"])


def test_sample_ratio_is_the_chi_square_test_of_two_counts():
    n0, n1 = 44_700, 45_489  # cookie-cats
    z = (n0 - n1) / np.sqrt(n0 + n1)
    sizes = {"gate_30": n0, "gate_40": n1}
    check = sample_ratio(sizes)
    assert check.pvalue == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-10)
    assert not check.passed and sample_ratio(sizes, alpha=0.001).passed


def test_sample_ratio_follows_the_planned_share():
    sizes = {"old": 9_000, "new": 1_000}
    planned = sample_ratio(sizes, {"new": 0.1, "old": 0.9})
    assert planned.pvalue == pytest.approx(1.0) and planned.passed
    assert planned.sentence().startswith(
        "Sample ratio 9,000 : 1,000, planned 90 : 10, p = 1: passes"
    )
    assert sample_ratio(sizes, {"old": 9, "new": 1}) == planned
    assert not sample_ratio(sizes).passed


def test_small_samples_are_checked_exactly():
    assert sample_ratio({"old": 0, "new": 10}).pvalue == pytest.approx(2 / 2**10)


def test_three_arms_are_one_chi_square_test_of_their_planned_shares():
    sizes = {"old": 5_050, "a": 2_400, "b": 2_550}
    planned = {"old": 0.5, "a": 0.25, "b": 0.25}
    chi2 = 50**2 / 5000 + 100**2 / 2500 + 50**2 / 2500
    check = sample_ratio(sizes, planned)
    assert check.pvalue == pytest.approx(stats.chi2.sf(chi2, 2), rel=1e-10)
    assert check.sentence().startswith(
        "Sample ratio 5,050 : 2,400 : 2,550, planned 50 : 25 : 25, p"
    )


@pytest.mark.parametrize(
    ("planned", "message"),
    [
        ({"old": 0.9}, "planned_shares names old, but the arms are old, new; give each a share"),
        ({"old": 0.9, "mid": 0.1}, "planned_shares names old, mid, but the arms are old, new"),
        ({"old": 1.0, "new": 0.0}, "planned_shares gives new 0; a share must be above 0"),
        ({"old": 1.0, "new": np.nan}, "planned_shares gives new nan; a share must be above 0"),
    ],
)
def test_shares_that_were_not_planned_are_refused(planned, message):
    with pytest.raises(ValueError, match=message):
        sample_ratio({"old": 90, "new": 10}, planned)


def test_several_arms_are_pairs_with_the_control():
    arms = frame().assign(arm=["old", "a", "old", "b"])
    arms = pd.concat([arms, arms.assign(user_id=["e", "f", "g", "h"])])
    several = ABData(arms, "user_id", "arm", "old", ("a", "b"), (Metric("sales"),))
    assert several.sizes == {"old": 4, "a": 2, "b": 2}
    first, second = several.pairs()
    assert (first.treatment, second.treatment) == ("a", "b")
    assert first.sizes == {"old": 4, "a": 2} and set(second.frame["arm"]) == {"old", "b"}
    with pytest.raises(ValueError, match="3 arms; compare them pair by pair"):
        _ = several.arms


def test_a_metric_is_not_its_own_covariate():
    with pytest.raises(ValueError, match="sales is its own covariate; CUPED needs a column"):
        Metric("sales", covariate="sales")
    with pytest.raises(ValueError, match="sales is its own denominator"):
        Metric("sales", per="sales")


def test_one_unit_stands_apart_or_none_carries_the_average():
    n = 2000
    table = pd.DataFrame({"user_id": np.arange(n).astype(str), "arm": ["old", "new"] * (n // 2)})
    table["sales"] = np.tile([1.0, 2.0], n // 2)
    table["rounds"] = table["sales"].where(table.index > 0, 300.0)
    both = data(table, Metric("sales"), Metric("rounds"))
    heavy = heavy_units(both)
    assert heavy.loc["rounds", "all in one unit"] == pytest.approx(300 / 3299)
    assert heavy.loc["sales", "all in the top 1 %"] == pytest.approx(40 / 3000)
    (apart,) = heavy_findings(heavy, n)
    assert apart.level == "watch"
    assert "stands apart: 300 rounds, 9.1 % of the total, where 99.9 % of the" in sentence(apart)
    (none,) = heavy_findings(heavy.loc[["sales"]], n)
    assert none.level == "good" and "the largest sales is 2" in sentence(none)


def test_a_total_that_losses_make_smaller_has_no_shares():
    table = frame().assign(sales=[5.0, -4.0, 1.0, 2.0])
    heavy = heavy_units(data(table))
    assert heavy.loc["sales", ["all in one unit", "all in the top 1 %"]].isna().all()
    assert heavy_findings(heavy, 4) == []
