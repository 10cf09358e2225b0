"""Small groups stay hidden even from subtraction, and no consent means no rows."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay_lab.data.privacy import suppress_small_groups, with_consent
from kpay_lab.data.tables import Tables


def test_a_single_small_group_takes_the_next_smallest_with_it_in_its_own_total():
    groups = pd.DataFrame(
        {
            "segment": ["a", "a", "a", "b", "b", "b", "c"],
            "age": [1, 2, 3, 1, 2, 3, 1],
            "n": [3, 12, 40, 2, 4, 50, 9],
            "mean": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
        }
    )
    found = suppress_small_groups(groups, "n", 10, within="segment", hide=["mean"])
    assert found["suppressed"].tolist() == [True, True, False, True, True, False, True]
    assert found["n"].isna().tolist() == found["suppressed"].tolist()
    assert found["mean"].isna().tolist() == found["suppressed"].tolist()
    assert found["age"].tolist() == groups["age"].tolist()
    assert groups["n"].tolist() == [3, 12, 40, 2, 4, 50, 9]


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 12))
def test_what_is_shown_is_large_and_what_is_hidden_cannot_be_subtracted(counts, minimum):
    found = suppress_small_groups(pd.DataFrame({"n": counts}), "n", minimum)
    shown = found["n"].dropna()
    assert ((shown == 0) | (shown >= minimum)).all()
    hidden = found["suppressed"].sum()
    assert hidden != 1 or (shown == 0).all()
    assert hidden >= sum(0 < n < minimum for n in counts)


def test_counts_must_be_counts():
    for counts, minimum in (([1, -1], 5), ([1, None], 5), ([1, 2], 0)):
        with pytest.raises(ValueError, match=r"it must be 1 or more|must hold a count"):
            suppress_small_groups(pd.DataFrame({"n": counts}), "n", minimum)


def test_without_consent_no_row_stays():
    rows = pd.DataFrame({"user_id": ["yes", "no", "unasked", "stranger"], "item_id": ["i"] * 4})
    consent = pd.array([True, False, None], dtype="boolean")
    users = pd.DataFrame({"user_id": ["yes", "no", "unasked"], "consent": consent})
    items = pd.DataFrame({"item_id": ["i", "j"]})
    tables = Tables(events=rows, users=users, items=items, orders=rows, exposures=rows)
    kept, n_dropped = with_consent(tables)
    assert n_dropped == 3
    for frame in (kept.events, kept.users, kept.orders, kept.exposures):
        assert frame["user_id"].tolist() == ["yes"]
    assert len(kept.items) == 2


def test_where_nobody_was_asked_all_are_kept():
    rows = pd.DataFrame({"user_id": ["u"], "item_id": ["i"]})
    for users in (None, rows[["user_id"]]):
        tables = Tables(events=rows, users=users)
        assert with_consent(tables) == (tables, 0)
