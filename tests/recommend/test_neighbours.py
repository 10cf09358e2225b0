"""Neighbours kept while multiplying are those of a dense comparison, ties and all."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend import neighbours
from kpay_lab.recommend.base import Training
from kpay_lab.recommend.neighbours import ItemNeighbours, SharedUsers, UserNeighbours, similarity

N_USERS, N_ITEMS = 30, 40
seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(["cosine", "jaccard"])
ties_kept = st.sampled_from(["all", "position"])
n_wanted = st.sampled_from([1, 3, 10, 25, 39, 100])  # with and without an end to the product


def training(seed, *, is_marked, n_users=N_USERS) -> Training:
    """Draw interests; as marks (1 or nothing) many similarities are equal."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.02, 0.4)
    met = rng.random((n_users, N_ITEMS)) < share
    degrees = np.ones(met.shape) if is_marked else rng.random(met.shape)
    values = csr_array(np.where(met, degrees, 0.0))
    return Training(InterestMatrix(values, pd.RangeIndex(n_users), pd.RangeIndex(N_ITEMS)))


def nearest_of_dense(similar, n_neighbors, evidence, ties):
    """Return all similarities of which the n nearest of each row are kept, and 0 elsewhere."""
    kept = np.zeros_like(similar)
    for row, values in enumerate(similar):
        ranked = (values if ties == "position" else np.round(values, 12)) * evidence
        first = np.argsort(-ranked, kind="stable")[:n_neighbors]
        if ties == "all":
            first = np.flatnonzero(ranked >= ranked[first[-1]])
        kept[row, first] = values[first]
    return kept


@given(seeds, st.booleans(), kinds, n_wanted, ties_kept)
def test_item_neighbours_are_those_of_a_dense_comparison(seed, is_marked, kind, n, ties):
    train = training(seed, is_marked=is_marked)
    columns = csr_array(train.interest.values.T.tocsr())
    similar = similarity(columns, columns, kind)
    np.fill_diagonal(similar, 0)
    evidence = 1 - 1e-9 / (1 + np.diff(columns.indptr))
    expected = nearest_of_dense(similar, n, evidence, ties)
    model = ItemNeighbours(n_neighbors=n, similarity=kind, ties=ties).fit(train)
    np.testing.assert_allclose(model.item_weights_.T.toarray(), expected, rtol=1e-12)


@given(seeds, st.booleans(), kinds, n_wanted, ties_kept)
def test_user_neighbours_are_those_of_a_dense_comparison(seed, is_marked, kind, n, ties):
    train = training(seed, is_marked=is_marked)
    values = train.interest.values
    similar = similarity(values, values, kind)
    newcomers = nearest_of_dense(similar, n, 1.0, ties) @ values
    np.fill_diagonal(similar, 0)
    expected = nearest_of_dense(similar, n, 1.0, ties) @ values
    model = UserNeighbours(n_neighbors=n, similarity=kind, ties=ties).fit(train)
    users = np.random.default_rng(seed).permutation(N_USERS)
    np.testing.assert_allclose(model.score(users), expected[users], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(model.score_new(values), newcomers, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("n_cells", [1, 150, 2**20])
def test_strips_change_nothing(n_cells, monkeypatch):
    train = training(0, is_marked=True, n_users=200)
    whole = ItemNeighbours(n_neighbors=5).fit(train).item_weights_
    monkeypatch.setattr(neighbours, "STRIP_CELLS", n_cells)
    monkeypatch.setattr(neighbours, "NARROWEST_STRIP", 1)
    in_strips = ItemNeighbours(n_neighbors=5).fit(train).item_weights_
    np.testing.assert_array_equal(in_strips.toarray(), whole.toarray())


def test_a_tie_larger_than_what_the_product_keeps_is_kept_whole():
    """One user met all items: every two have cosine 1, so each has 39 nearest neighbours."""
    values = csr_array(np.ones((1, N_ITEMS)))
    train = Training(InterestMatrix(values, pd.RangeIndex(1), pd.RangeIndex(N_ITEMS)))
    all_tied = ItemNeighbours(n_neighbors=2).fit(train).item_weights_
    np.testing.assert_array_equal(all_tied.toarray(), 1 - np.eye(N_ITEMS))
    first = ItemNeighbours(n_neighbors=2, ties="position").fit(train).item_weights_
    assert np.flatnonzero(first.toarray()[:, 0]).tolist() == [1, 2]
    assert np.flatnonzero(first.toarray()[:, 9]).tolist() == [0, 1]


@given(seeds, st.booleans())
def test_shared_users_explain_as_all_cosines_do(seed, is_marked):
    train = training(seed, is_marked=is_marked)
    rng = np.random.default_rng(seed)
    users = rng.integers(0, N_USERS, 100)
    items = rng.integers(0, N_ITEMS, 100)
    expected = ItemNeighbours(n_neighbors=None).fit(train).explain(users, items)
    reasons = SharedUsers().fit(train).explain(users, items)
    np.testing.assert_allclose(reasons.toarray(), expected.toarray(), rtol=1e-12, atol=1e-15)
    of_newcomers = SharedUsers().fit(train).explain_new(train.interest.values[users], items)
    np.testing.assert_array_equal(of_newcomers.toarray(), reasons.toarray())
