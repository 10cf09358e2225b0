"""top_k against a literal loop."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from kpay_lab.recommend import base
from kpay_lab.recommend.base import largest, top_k, trained_items


@dataclass
class Fixed:
    """A model that has learned a table of scores."""

    table: np.ndarray

    def fit(self, train):
        return self

    def score(self, users):
        return self.table[users]


def literal_list(scores, k, seen, allowed):
    """Sort the candidates by score, then position; pad with -1."""
    left = [i for i in range(len(scores)) if allowed[i] and not seen[i]]
    ranked = sorted(left, key=lambda i: (-scores[i], i))[:k]
    return ranked + [-1] * (k - len(ranked))


@st.composite
def rankings(draw):
    n, m, k, seed = (draw(st.integers(1, top)) for top in (6, 9, 12, 10**6))
    rng = np.random.default_rng(seed)
    scores = rng.choice([-1.0, 0.0, 0.5, 2.0], (n, m))  # few values, so that ties abound
    share = draw(st.sampled_from([0.0, 0.3, 0.9]))
    return scores, rng.random((n, m)) < share, rng.random(m) >= share, k


@given(rankings())
def test_equals_a_literal_loop(ranking):
    scores, seen, allowed, k = ranking
    users = np.arange(len(scores))[::-1]
    top = top_k(Fixed(scores), users, k, exclude=csr_array(seen), candidates=allowed)
    expected = [literal_list(scores[u], k, seen[u], allowed) for u in users]
    np.testing.assert_array_equal(top.items, expected)
    np.testing.assert_array_equal(np.isneginf(top.scores), top.items == -1)
    for user, items, kept in zip(top.users, top.items, top.scores, strict=True):
        np.testing.assert_array_equal(kept[items >= 0], scores[user, items[items >= 0]])


@given(rankings())
def test_without_masks_every_item_competes(ranking):
    scores, seen, allowed, k = ranking
    top = top_k(Fixed(scores), np.arange(len(scores)), k)
    nothing, everything = np.zeros_like(seen[0]), np.ones_like(allowed)
    expected = [literal_list(row, k, nothing, everything) for row in scores]
    np.testing.assert_array_equal(top.items, expected)


def test_batches_join_without_a_seam(monkeypatch):
    scores = np.random.default_rng(0).integers(0, 5, (50, 30)).astype(np.float32)
    whole = top_k(Fixed(scores), np.arange(50), 7)
    monkeypatch.setattr(base, "BATCH", 8)
    parts = top_k(Fixed(scores), np.arange(50), 7)
    np.testing.assert_array_equal(parts.items, whole.items)
    np.testing.assert_array_equal(parts.scores, whole.scores)


def test_items_unseen_in_training_are_masked_unless_named():
    seen = csr_array(np.array([[1, 0, 0], [0, 1, 0]]))
    scores = np.array([[0.1, 0.2, 0.9], [0.1, 0.2, 0.9]])
    users = np.array([0, 1])
    np.testing.assert_array_equal(trained_items(seen), [True, True, False])
    assert top_k(Fixed(scores), users, 1, exclude=seen).items.tolist() == [[1], [0]]
    named = top_k(Fixed(scores), users, 1, exclude=seen, candidates=np.ones(3, dtype=bool))
    assert named.items.tolist() == [[2], [2]]


def test_a_stored_zero_counts_as_seen():
    seen = csr_array((np.array([0.0]), np.array([1]), np.array([0, 1])), shape=(1, 2))
    everything = np.ones(2, dtype=bool)
    top = top_k(
        Fixed(np.array([[1.0, 2.0]])), np.array([0]), 2, exclude=seen, candidates=everything
    )
    assert top.items.tolist() == [[0, -1]]


def test_nobody_gives_empty_lists():
    top = top_k(Fixed(np.ones((3, 4))), np.array([], dtype=int), 2)
    assert top.items.shape == (0, 2)


def test_large_rows_partition_exactly():
    scores = np.random.default_rng(0).integers(0, 50, (20, 3000)).astype(np.float64)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :100]
    np.testing.assert_array_equal(largest(scores, 100), expected)


def test_bad_input_names_value_and_remedy():
    one = Fixed(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="k is 0"):
        top_k(one, np.array([0]), 0)
    with pytest.raises(ValueError, match="NaN"):
        top_k(one, np.array([0]), 1)
    with pytest.raises(ValueError, match="2 booleans"):
        top_k(Fixed(np.ones((1, 2))), np.array([0]), 1, candidates=np.array([0, 1]))


@pytest.mark.parametrize("levels", [2, 50, 10**6])
@pytest.mark.parametrize("shape", [(7, 403), (1, 80), (300, 1000)])
def test_groups_of_wide_rows_lose_no_item(shape, levels):
    scores = np.random.default_rng(0).integers(levels, size=shape).astype(np.float32)
    for k in (1, 3, shape[1]):
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(largest(scores, k), expected)


@pytest.mark.parametrize("n", [0, 1, 5, 40])
def test_a_gram_matrix_is_the_plain_product(n):
    rows = csr_array(np.random.default_rng(0).integers(3, size=(n, 7)).astype(float))
    np.testing.assert_array_equal(base.gram(rows), (rows @ rows.T).toarray())
