"""Expected values are arithmetic on the printed inputs of document A, section 4.3."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kpay_lab.interest import formulas as f
from kpay_lab.interest.published import WORKED_CASE as CASE

cell = st.integers(0, 1000).map(lambda hundredths: hundredths / 100)
square = arrays(float, (3, 3), elements=cell)
wide = arrays(float, (3, 4), elements=cell)


def test_relevance_has_two_readings():
    meaning = f.published_relevance(CASE.item_features, CASE.user_features)
    u1v1 = 0.4 * 0.1 + 0.5 * 0.2 + 0.6 * 0.3
    u1v2 = 0.4 * 0.3 + 0.5 * 0.4 + 0.6 * 0.5
    u2v1 = 0.2 * 0.1 + 0.3 * 0.2 + 0.4 * 0.3
    u2v2 = 0.2 * 0.3 + 0.3 * 0.4 + 0.4 * 0.5
    np.testing.assert_allclose(meaning, [[u1v1, u1v2], [u2v1, u2v2]], rtol=1e-15)
    indices = f.published_relevance(CASE.item_features, CASE.user_features, "indices")
    np.testing.assert_array_equal(indices, meaning.T)


def test_score_with_the_tables_own_inputs():
    S = f.published_score(CASE.predicted, CASE.interest, CASE.watch_time, CASE.weights)
    expected = [[0.4 + 0.15 + 6, 0.15 + 0.15 + 4], [0.4 + 0.15 + 10, 0.15 + 0.15 + 8]]
    np.testing.assert_allclose(S, expected, rtol=1e-15)


def test_score_with_the_share_of_watch_time_shows_the_printed_pattern():
    share = f.own_share(CASE.watch_time)
    S = f.published_score(CASE.predicted, CASE.interest, share, CASE.weights)
    assert np.abs(S - CASE.ratings).max() == pytest.approx(0.8 - (0.55 + 0.2 * 50 / 90))
    assert (S[:, 0] > S[:, 1]).all()


def test_comment_labels_for_every_threshold_in_range():
    for t in (20, 22.5, np.nextafter(25, 0)):
        labels = f.published_comment(CASE.interest, CASE.watch_time, t)
        np.testing.assert_array_equal(labels, CASE.commented)
    for t in (np.nextafter(20, 0), 25):
        labels = f.published_comment(CASE.interest, CASE.watch_time, t)
        assert (labels != CASE.commented).any()


def test_all_ones_are_added_to_any_rectangle():
    added = f.published_interest([[0.1, 0.2, 0.3]], 0.5, "ones")
    np.testing.assert_allclose(added, [[0.6, 0.7, 0.8]], rtol=1e-15)


def test_a_range_of_one_is_scaled_as_any_other():
    np.testing.assert_array_equal(f.unit_range(np.array([[2.0, 2.5, 3.0]])), [[0, 0.5, 1]])
    np.testing.assert_array_equal(f.unit_range(np.array([[2.0, 2.0]])), [[0, 0]])


def test_relevance_is_a_cosine_unless_told_otherwise():
    """(3, 4) and (4, 3): 24 of 25; a zero vector has no direction."""
    relevance = f.content_relevance([[3, 4], [0, 0]], [[40, 30]])
    np.testing.assert_allclose(relevance, [[0.96, 0]], rtol=1e-15)


@given(square, cell)
def test_predicted_interest_reduces_to_print(A, mu):
    for identity in ("eye", "ones"):
        np.testing.assert_array_equal(
            f.predicted_interest(A, mu, identity), f.published_interest(A, mu, identity)
        )


@given(wide)
def test_a_constant_per_user_reorders_nothing(A):
    P = f.predicted_interest(A)
    for before, after in zip(A, P, strict=True):
        assert (
            after[np.argsort(before, kind="stable")][:-1]
            <= after[np.argsort(before, kind="stable")][1:]
        ).all()


@given(wide, arrays(float, (2, 4), elements=cell))
def test_relevance_reduces_to_print(C, D):
    np.testing.assert_array_equal(
        f.content_relevance(C, D, normalise=False), f.published_relevance(C, D)
    )
    assert f.content_relevance(C, D).max() <= 1 + 1e-12


@given(wide, wide, wide)
def test_score_reduces_to_print(R, A, B):
    printed = f.published_score(R, A, B, (0.5, 0.3, 0.2))
    np.testing.assert_array_equal(
        f.combined_score(R, A, B, (0.5, 0.3, 0.2), scale=lambda values: values), printed
    )
    scaled = f.combined_score(R, A, B, (0.5, 0.3, 0.2))
    assert scaled.min() >= 0 and scaled.max() <= 1 + 1e-12


@given(wide, wide)
def test_comment_model_reduces_to_print(A, B):
    np.testing.assert_array_equal(f.comment_model(A, B, np.multiply), f.published_comment(A, B))
    np.testing.assert_array_equal(f.comment_model(A, B, np.add), A + B)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: f.published_interest(np.ones((2, 3)), 0.5), "A is 2 x 3"),
        (lambda: f.published_interest(np.ones(3), 0.5), "A has 1 dimensions"),
        (lambda: f.published_interest(np.eye(2), 0.5, "I"), "identity is 'I'"),
        (lambda: f.published_relevance(np.ones((2, 3)), np.ones((2, 2))), "C has 3 features"),
        (lambda: f.published_relevance(np.eye(2), np.eye(2), "x"), "reading is 'x'"),
        (
            lambda: f.published_score(np.ones((2, 2)), np.ones((1, 2)), np.ones((2, 2)), (1, 1, 1)),
            r"A is \(1, 2\)",
        ),
        (lambda: f.published_comment(np.ones((2, 2)), np.ones((2, 1))), r"B is \(2, 1\)"),
        (lambda: f.predicted_interest(np.eye(2), np.ones(3)), "mu has shape"),
    ],
)
def test_shapes_are_checked_and_never_broadcast(call, words):
    with pytest.raises(ValueError, match=words):
        call()
