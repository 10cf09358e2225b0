import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from kpay_lab import stats
from kpay_lab.stats import (
    Interval,
    bootstrap_means,
    bootstrap_ratio,
    holm,
    sign_flip_test,
    wilson,
)


def rng():
    return np.random.default_rng(0)


@given(st.lists(st.integers(0, 9), min_size=1).filter(any))
def test_gini_equals_the_mean_absolute_difference(counts):
    x = np.array(counts, dtype=float)
    expected = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert stats.gini(counts) == pytest.approx(expected)


def test_gini_of_nothing_is_undefined():
    assert np.isnan(stats.gini([])) and np.isnan(stats.gini([0, 0]))


def test_sampled_rows_are_drawn_once_each_and_rise():
    rows = stats.sample_rows(50, 20, rng=rng())
    assert len(rows) == 20 and (np.diff(rows) > 0).all()
    assert set(rows) <= set(range(50))
    drawn = np.bincount(
        np.concatenate([stats.sample_rows(5, 2, rng=draw) for draw in rng().spawn(2000)])
    )
    assert drawn == pytest.approx(np.full(5, 800), rel=0.1)  # every row as often


def test_bootstrap_means_is_near_the_normal_interval_for_a_large_sample():
    values = rng().normal(5, 2, 4000)
    found = bootstrap_means(values, rng=rng(), n_resamples=4000)[0]
    half = 1.96 * values.std() / np.sqrt(4000)
    assert found.estimate == pytest.approx(values.mean(), abs=1e-12)
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_means_equals_a_literal_loop_over_the_same_draws():
    values = rng().random((7, 2))
    drawn = np.random.default_rng(3).integers(0, 7, (50, 7))
    means = np.array([[values[rows, column].mean() for column in (0, 1)] for rows in drawn])
    found = bootstrap_means(values, rng=np.random.default_rng(3), n_resamples=50, level=0.9)
    for column in (0, 1):
        low, high = np.quantile(means[:, column], [0.05, 0.95])
        assert found[column].low == pytest.approx(low, abs=1e-14)
        assert found[column].high == pytest.approx(high, abs=1e-14)


def test_an_interval_of_a_difference_comes_from_the_resampled_means_of_both():
    values = rng().random((9, 2))
    drawn = np.random.default_rng(3).integers(0, 9, (200, 9))
    gaps = [values[rows, 0].mean() - values[rows, 1].mean() for rows in drawn]
    means = stats.resampled_means(values, rng=np.random.default_rng(3), n_resamples=200)
    resampled = means[:, :1] - means[:, 1:]
    (found,) = stats.percentile_intervals(np.array([7.0]), resampled)
    low, high = np.quantile(gaps, [0.025, 0.975])
    assert found.estimate == 7
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-14)


def test_blocks_do_not_change_the_result(monkeypatch):
    values = rng().random(30)
    whole = bootstrap_means(values, rng=rng(), n_resamples=100), sign_flip_test(values, rng=rng())
    monkeypatch.setattr(stats, "_NUMBERS_A_BLOCK", 200)  # six resamples a block
    parts = bootstrap_means(values, rng=rng(), n_resamples=100), sign_flip_test(values, rng=rng())
    assert whole[0][0].low == pytest.approx(parts[0][0].low, abs=1e-15)
    assert whole[1] == parts[1]


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_bootstrap_means_refuses_what_has_no_mean(values):
    with pytest.raises(ValueError, match="finite"):
        bootstrap_means(np.array(values), rng=rng())


def test_bootstrap_ratio_of_a_constant_ratio_has_no_width():
    weight = np.arange(1.0, 9.0)
    assert bootstrap_ratio(0.25 * weight, weight, rng=rng()) == Interval(0.25, 0.25, 0.25)


def test_bootstrap_ratio_refuses_an_empty_denominator():
    with pytest.raises(ValueError, match="denominator"):
        bootstrap_ratio(np.ones(3), np.zeros(3), rng=rng())


def test_sign_flip_agrees_with_all_flips_of_scipy():
    gaps = rng().normal(0.5, 1, 12)
    exact = scipy_stats.permutation_test(
        (gaps,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    drawn = sign_flip_test(gaps, rng=rng(), n_permutations=40_000)[0]
    assert drawn == pytest.approx(exact, abs=3.5 * np.sqrt(exact * (1 - exact) / 40_000))


def test_sign_flip_knows_no_difference_from_a_sure_one():
    gaps = np.column_stack([np.zeros(20), np.ones(20)])
    none, sure = sign_flip_test(gaps, rng=rng(), n_permutations=999)
    assert none == 1
    assert sure == 1 / 1000  # none of 999 flips of 20 signs is as extreme


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_a_p_value_does_not_depend_on_the_unit_of_money(unit):
    gaps = np.array([0.1, 0.2, 0.3, -0.1, 0.4, 0.2])
    as_it_is, in_units = (sign_flip_test(one, rng=rng()) for one in (gaps, gaps * unit))
    assert as_it_is == in_units


@pytest.mark.parametrize("n", [1, 31, 32, 33, 64])
def test_each_sign_is_flipped_as_often_as_not(n):
    bits = stats._random_bits(4000, n, rng())
    assert set(np.unique(bits)) == {0.0, 1.0}
    assert bits.mean(axis=0) == pytest.approx(np.full(n, 0.5), abs=4 * 0.5 / np.sqrt(4000))
    assert len(np.unique(bits, axis=1).T) == n  # no two units carry the same signs


def test_sign_flip_draws_5000_flips_unless_told_otherwise():
    assert sign_flip_test(np.ones(40), rng=rng()) == 1 / 5001  # the floor that pages name


def test_sign_flip_counts_flips_that_tie():
    # Of the 4 flips of (0.1, 0.2) half are as extreme as the observed sum, however it rounds.
    p = sign_flip_test(np.array([0.1, 0.2]), rng=rng(), n_permutations=20_000)[0]
    assert p == pytest.approx(0.5, abs=3.5 * np.sqrt(0.25 / 20_000))


def test_correlation_of_two_points_is_1_and_of_a_constant_is_undefined(recwarn):
    assert stats.correlation([0, 1], [5, 6]) == pytest.approx(1)
    assert stats.correlation([0, 1], [6, 5], ranks=True) == pytest.approx(-1)
    assert np.isnan(stats.correlation([5, 5, 5], [1, 2, 3]))
    assert np.isnan(stats.correlation([1], [2]))
    assert list(recwarn) == []


def test_a_seed_fits_into_32_bits_with_a_sign():
    draw = rng()
    assert max(stats.random_state(draw) for _ in range(100)) < 2**31


def test_a_sample_beyond_a_block_is_drawn_once_at_a_time(monkeypatch):
    monkeypatch.setattr(stats, "_NUMBERS_A_BLOCK", 10)
    assert list(stats._block_sizes(3, 30)) == [1, 1, 1]
    assert list(stats._block_sizes(5, 5)) == [2, 2, 1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_the_definition(p_values):
    p = np.array(p_values)
    order = np.argsort(p, kind="stable")
    expected = np.empty(len(p))
    for place, index in enumerate(order):
        steps = [(len(p) - j) * p[order[j]] for j in range(place + 1)]
        expected[index] = min(1.0, max(steps))
    np.testing.assert_allclose(holm(p), expected, rtol=1e-14)


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (1, 7), (7, 7), (31, 64), (5, 100_000)])
def test_wilson_holds_the_shares_whose_score_test_does_not_reject(successes, n):
    """An end p other than 0 and 1 solves (share - p)² = z² p (1 - p) / n."""
    z = 1.6448536269514722  # normal table, 90 %
    found = wilson(successes, n, level=0.9)
    for end in {found.low, found.high} - {0.0, 1.0}:
        gap = (successes / n - end) ** 2
        assert gap == pytest.approx(z**2 * end * (1 - end) / n, rel=1e-9)
    assert (found.low == 0) == (successes == 0)
    assert (found.high == 1) == (successes == n)


@pytest.mark.parametrize(("successes", "n"), [(3, 2), (-1, 4), (0, 0)])
def test_wilson_refuses_impossible_counts(successes, n):
    with pytest.raises(ValueError, match="must"):
        wilson(successes, n)


@pytest.mark.slow
def test_bootstrap_intervals_cover_the_true_mean():
    draw, repetitions, level = rng(), 2000, 0.95
    samples = draw.exponential(1.0, (200, repetitions))  # each column its own experiment
    covered = 0
    for column in samples.T:  # separate draws: the shared resample would couple experiments
        found = bootstrap_means(column, rng=draw, n_resamples=500, level=level)[0]
        covered += found.low <= 1.0 <= found.high
    error = 3.5 * np.sqrt(level * (1 - level) / repetitions)
    # The percentile bootstrap under-covers skewed means by O(1/n): 1 % at n = 200.
    assert level - 0.01 - error < covered / repetitions < level + error


@pytest.mark.slow
def test_sign_flip_rejects_a_true_null_no_more_often_than_promised():
    draw, repetitions = rng(), 4000
    gaps = draw.standard_t(4, (60, repetitions))  # symmetric around 0: the null holds
    p = np.array([sign_flip_test(g, rng=draw, n_permutations=399)[0] for g in gaps.T])
    for alpha in (0.01, 0.05, 0.2):
        error = 3.5 * np.sqrt(alpha * (1 - alpha) / repetitions)
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=error)


@pytest.mark.slow
def test_holm_keeps_the_family_error():
    draw, repetitions = rng(), 2000
    rejected = 0
    for _ in range(repetitions):
        gaps = draw.normal(0, 1, (40, 5))
        rejected += (holm(sign_flip_test(gaps, rng=draw, n_permutations=399)) <= 0.05).any()
    error = 3.5 * np.sqrt(0.05 * 0.95 / repetitions)
    assert rejected / repetitions < 0.05 + error
