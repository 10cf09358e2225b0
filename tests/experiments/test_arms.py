from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kpay_lab.experiments.arms import ABData, Metric, per_unit, sample_ratio


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
    return ABData(table, "user_id", "arm", "old", "new", metrics or (Metric("sales"),))


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


def test_one_arm_named_twice_is_refused():
    with pytest.raises(ValueError, match="name two different arms"):
        replace(data(frame()), treatment="old")


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
    check = sample_ratio(n0, n1)
    assert check.pvalue == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-10)
    assert not check.passed and sample_ratio(n0, n1, alpha=0.001).passed


def test_sample_ratio_follows_the_planned_share():
    assert sample_ratio(9_000, 1_000, treatment_share=0.1).pvalue == pytest.approx(1.0)
    assert not sample_ratio(9_000, 1_000).passed


def test_small_samples_are_checked_exactly():
    assert sample_ratio(0, 10).pvalue == pytest.approx(2 / 2**10)


def test_a_metric_is_not_its_own_covariate():
    with pytest.raises(ValueError, match="sales is its own covariate; CUPED needs a column"):
        Metric("sales", covariate="sales")
    with pytest.raises(ValueError, match="sales is its own denominator"):
        Metric("sales", per="sales")
