"""What comes from elsewhere is checked at the door: one error, with the column and the value."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.evaluate.ranking import find_hits, from_ids, metric_audit, per_user
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.interest.totals import pair_totals
from kpay_lab.recommend.base import Training, rank, top_k
from kpay_lab.recommend.popularity import Popularity

RELEVANT = csr_array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
LISTS = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "rank": [1, 2]})
WANTED = pd.DataFrame({"user_id": ["u"], "item_id": ["b"]})


def stored(value):
    """Relevance of one user with a value stored for item 2."""
    return csr_array((np.array([1.0, value]), np.array([0, 2]), np.array([0, 2])), shape=(1, 3))


@pytest.mark.parametrize(
    "measure", [lambda i, r: per_user(i, r, [2]), find_hits, lambda i, r: metric_audit(i, r, 2)]
)
@pytest.mark.parametrize(
    ("items", "relevant", "words"),
    [
        ([[0, 0], [1, 2]], RELEVANT, "items: list 0 holds item 0 twice"),
        ([[0, 1], [1, 3]], RELEVANT, "items: list 1 holds item 3; positions are from 0 to 2"),
        ([[0, -2], [1, 2]], RELEVANT, "items: list 0 holds item -2; positions are from 0 to 2"),
        ([[0.0, 1.0], [1.0, 2.0]], RELEVANT, "items are float64; positions are whole numbers"),
        ([[0, 1]], stored(0.0), "relevant: row 0 stores 0.0 for item 2"),
        ([[0, 1]], stored(np.nan), "relevant: row 0 stores nan for item 2"),
        ([[0, 1]], stored(-1.0), "relevant: row 0 stores -1.0 for item 2"),
    ],
)
def test_lists_that_no_metric_can_judge(measure, items, relevant, words):
    with pytest.raises(ValueError, match=words):
        measure(np.array(items), relevant)


def test_empty_places_are_no_item_twice():
    assert not find_hits(np.array([[1, -1, -1], [0, -1, -1]]), RELEVANT).any()


@pytest.mark.parametrize(
    ("lists", "wanted", "words"),
    [
        (LISTS.assign(item_id="a"), WANTED, "the list of user 'u' has item_id 'a' twice"),
        (LISTS.assign(rank=1), WANTED, "the list of user 'u' has rank 1 twice"),
        (LISTS.assign(rank=[0, 1]), WANTED, "rank is 0; rank must be a whole number from 1 on"),
        (
            LISTS.assign(rank=[1, np.nan]),
            WANTED,
            "value in row 1: rank is empty",
        ),
        (LISTS.assign(rank=[1.0, 2.5]), WANTED, "rank is 2.5; rank must be a whole number"),
        (
            LISTS.assign(item_id=["a", None]),
            WANTED,
            "in row 1: item_id is empty",
        ),
        (LISTS, WANTED.assign(user_id=[1]), "user_id is 'u' in lists and 1 in relevant"),
        (LISTS.assign(item_id=[1, 2]), WANTED, "item_id is 1 in lists and 'b' in relevant"),
        (
            LISTS.assign(item_id=pd.Series([1, 2], dtype="object")),
            WANTED,
            "item_id is 1 in lists and 'b' in relevant",
        ),
        (LISTS.assign(item_id=[1, "b"]), WANTED, "lists: item_id is 1 and 'b'"),
        (LISTS.drop(columns="rank"), WANTED, "lists has no column rank"),
        (LISTS, WANTED.assign(user_id=["w"]), "no user of relevant has a list"),
        (LISTS, WANTED.assign(relevance=0), "relevant: relevance is 0 in row 0"),
    ],
)
def test_tables_that_no_metric_can_judge(lists, wanted, words):
    with pytest.raises(ValueError, match=words):
        from_ids(lists, wanted)


def test_whole_ranks_may_come_as_floats():
    items, relevant = from_ids(LISTS.assign(rank=[1.0, 2.0]), WANTED)
    assert find_hits(items, relevant).tolist() == [[False, True]]


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_a_score_that_is_no_number_is_named(bad, word):
    with pytest.raises(ValueError, match=f"scored {word} for item 1 in row 0"):
        rank(np.array([[1.0, bad, 0.0]]), 2)


@pytest.mark.parametrize("user", [-1, 2])
def test_nobody_is_credited_to_the_last_user(user):
    interest = InterestMatrix.from_pairs(["u", "w"], ["a", "b"], [1, 1])
    model = Popularity().fit(Training(interest))
    with pytest.raises(ValueError, match=f"users holds {user}; positions are from 0 to 1"):
        top_k(model, np.array([0, user]), 1, exclude=interest.values)


@pytest.mark.parametrize("degree", [np.nan, np.inf])
def test_a_degree_that_is_no_number_is_refused(degree):
    with pytest.raises(ValueError, match=f"interest of user 'u' in item 'b' is {degree}"):
        InterestMatrix.from_pairs(["u", "u"], ["a", "b"], [1.0, degree])


def test_unknown_and_missing_ids_are_named():
    known = {"users": pd.Index(["u"], name="user_id"), "items": pd.Index(["a"], name="item_id")}
    with pytest.raises(ValueError, match="user_id 'w' is not in the index given"):
        InterestMatrix.from_pairs(["w"], ["a"], [1.0], **known)
    with pytest.raises(ValueError, match="item_id 7 is not in the index given; ids there are text"):
        InterestMatrix.from_pairs(["u"], [7], [1.0], **known)
    events = pd.DataFrame({"user_id": ["u", None], "item_id": ["a", "a"]})
    with pytest.raises(ValueError, match="user_id is missing in row 1"):
        pair_totals(events)
    with pytest.raises(ValueError, match="item_id 'b' is not in the index given"):
        pair_totals(pd.DataFrame({"user_id": ["u"], "item_id": ["b"]}), **known)
