import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.beyond import (
    catalogue_coverage,
    gini,
    intra_list_diversity,
    mean_diversity,
    novelty,
    overlap,
    popularity_lift,
    serendipity,
)
from kpay_lab.evaluate.split import make_split
from kpay_lab.evaluate.value import held_back_revenue, net_revenue, revenue
from kpay_lab.interest.weighting import interest_matrix

ALL = np.ones(4, dtype=bool)


def test_coverage_counts_candidates_only():
    items = np.array([[0, 3], [3, -1]])
    assert catalogue_coverage(items, np.array([True, True, True, False])) == 1 / 3


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_gini_equals_the_mean_absolute_difference(shown):
    counts = np.bincount(shown, minlength=4)
    gaps = np.abs(counts[:, None] - counts[None, :]).sum()
    assert gini(np.array(shown)[:, None], ALL) == pytest.approx(
        gaps / (2 * 4 * counts.sum()), abs=1e-14
    )


def test_of_empty_lists_nothing_is_defined():
    empty = np.array([[-1]])
    assert np.isnan(gini(empty, ALL))
    assert np.isnan(overlap(empty, empty))
    assert np.isnan(mean_diversity(empty, csr_array(np.eye(4))))


def test_novelty_is_in_bits_and_skips_the_padding():
    popularity = np.array([16, 4, 0, 16])  # item 2 counts as met by one
    found = novelty(np.array([[1, 2], [1, -1], [-1, -1]]), popularity, 16)
    np.testing.assert_allclose(found, [(2 + 4) / 2, 2, np.nan])


def test_diversity_agrees_with_scipy():
    rng = np.random.default_rng(0)
    features = rng.random((30, 6))
    items = np.array([rng.permutation(30)[:5] for _ in range(20)])
    expected = [pdist(features[row], "cosine").mean() for row in items]
    for given_features in (features, csr_array(features)):
        np.testing.assert_allclose(
            intra_list_diversity(items, given_features), expected, atol=1e-12
        )


def test_diversity_of_items_without_features_and_of_short_lists():
    features = np.array([[1.0, 0], [1, 0], [0, 0]])
    found = intra_list_diversity(np.array([[0, 2], [0, 1], [0, -1]]), features)
    np.testing.assert_allclose(found, [1, 0, np.nan], atol=1e-15)


def test_mean_diversity_is_that_of_the_first_1000_lists():
    features = csr_array(np.eye(3)[[0, 0, 1]])  # items 0 and 1 are alike
    items = np.array([[0, 1]] * 999 + [[0, 2]] * 2)
    assert mean_diversity(items, features) == pytest.approx(1 / 1000)


def test_serendipity_needs_both_relevance_and_surprise():
    items, expected = np.array([[0, 1, 2, 3]]), np.array([[0, 2, -1]])
    hits = np.array([[True, True, False, False]])
    assert serendipity(items, hits, expected)[0] == 1 / 4
    assert serendipity(items, hits, items)[0] == 0


def test_popularity_lift_by_hand():
    popularity = np.array([8.0, 4.0, 2.0, 2.0])
    history = csr_array([[0, 0, 1, 1], [0, 0, 0, 0]])
    found = popularity_lift(np.array([[0, 1], [0, 1]]), popularity, history)
    np.testing.assert_allclose(found, [6 / 2 - 1, np.nan])


def test_a_past_without_interest_is_a_past_all_the_same():
    """A stored 0 says that the user met the item; where nobody counts, no lift is defined."""
    history = csr_array((np.zeros(2), [2, 3], [0, 2]), shape=(1, 4))
    items = np.array([[0, 1]])
    popularity = np.array([8.0, 4.0, 2.0, 2.0])
    np.testing.assert_allclose(popularity_lift(items, popularity, history), [6 / 2 - 1])
    np.testing.assert_array_equal(popularity_lift(items, np.zeros(4), history), [np.nan])
    unmet = np.array([8.0, 4.0, 0.0, 0.0])
    np.testing.assert_array_equal(popularity_lift(items, unmet, history), [np.nan])
    np.testing.assert_allclose(
        popularity_lift(items, np.array([1.0, 1.0, 0.5, 0.5]), history), [1.0]
    )


def orders(**more):
    days = pd.to_datetime(["2026-01-02", "2026-01-09", "2026-01-10"], utc=True)
    frame = {"user_id": ["u", "u", "w"], "item_id": ["a", "b", "b"], "amount": [5.0, 20.0, 30.0]}
    return pd.DataFrame({**frame, "timestamp": days.astype("datetime64[us, UTC]"), **more})


def test_net_revenue_takes_refunds_off_and_adds_repeats():
    users, items = pd.Index(["u", "w"]), pd.Index(["a", "b"])
    twice = pd.concat([orders(refund_amount=[0.0, 8.0, np.nan])] * 2)
    found = net_revenue(twice, users, items).toarray()
    assert found.tolist() == [[10.0, 24.0], [0.0, 60.0]]


def test_held_back_revenue_holds_the_orders_from_the_cut_on():
    days = pd.date_range("2026-01-01", periods=10, tz="UTC").astype("datetime64[us, UTC]")
    events = pd.DataFrame(
        {"user_id": ["u", "w"] * 5, "item_id": [*"abababab", "b", "a"], "timestamp": days}
    )
    tables = Tables.validated(events=events, orders=orders())
    found = held_back_revenue(tables, make_split(tables, interest_of))
    assert found.toarray().tolist() == [[0.0, 20.0], [0.0, 30.0]]
    with pytest.raises(ValueError, match="no"):
        held_back_revenue(Tables(events), make_split(Tables(events), interest_of))


def interest_of(tables):
    return interest_matrix(tables, weighting="binary")


def test_revenue_sums_the_list_and_never_the_padding():
    paid = csr_array([[0.0, 10.0, 99.0]])
    assert revenue(np.array([[1, 0, -1]]), paid)[0] == 10
    assert revenue(np.array([[-1, -1]]), paid).tolist() == [0]
