import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay_lab.interest.totals import pair_totals


def row(totals, user, item):
    user, item = totals.users.get_loc(user), totals.items.get_loc(item)
    pairs = totals.pairs
    return pairs[(pairs["user"] == user) & (pairs["item"] == item)].squeeze()


def test_totals_add_up_by_hand(tiny):
    totals = pair_totals(tiny.events)
    ann = row(totals, "ann", "python")
    assert (ann["n_events"], ann["watch_time"]) == (2, 60 + 30)
    assert (ann["like_count"], ann["comment_count"]) == (1 + 0, 0 + 1)
    assert ann["last_seen"] == pd.Timestamp("2024-03-01 20:10", tz="UTC")
    assert len(totals.pairs) == 6


def test_every_id_of_the_tables_keeps_its_place(tiny):
    users, items = tiny.ids("user_id"), tiny.ids("item_id")
    totals = pair_totals(tiny.events, users=users, items=items)
    assert totals.users.tolist() == ["ann", "bob", "cai", "dan"]
    assert totals.items.tolist() == ["python", "sql", "chess", "baking", "tax"]
    assert totals.pairs["user"].max() == 2  # dan has no row


def test_half_life_halves_what_is_one_half_life_old():
    times = pd.to_datetime(["2024-01-01", "2024-01-31"], utc=True)
    log = pd.DataFrame({"user_id": "u", "item_id": "a", "timestamp": times, "watch_time": 8.0})
    totals = pair_totals(log, half_life_days=30).pairs
    assert totals["watch_time"].item() == pytest.approx(8 * 0.5 + 8, rel=1e-15)
    assert totals["n_events"].item() == pytest.approx(1.5, rel=1e-15)


def test_missing_values_are_not_zero():
    log = pd.DataFrame(
        {
            "user_id": ["u", "u", "w"],
            "item_id": "a",
            "watch_time": [np.nan, 3.0, np.nan],
            "like_count": pd.array([None, 2, None], dtype="Int64"),
        }
    )
    pairs = pair_totals(log).pairs
    assert pairs["watch_time"].tolist()[0] == 3.0
    assert np.isnan(pairs["watch_time"].tolist()[1])
    assert np.isnan(pairs["like_count"].tolist()[1])


@pytest.mark.parametrize(
    ("half_life", "words"), [(0, "must be more than 0"), (30, "needs a timestamp")]
)
def test_a_half_life_that_cannot_be_is_refused(half_life, words):
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    with pytest.raises(ValueError, match=words):
        pair_totals(log, half_life_days=half_life)


def test_an_id_outside_the_index_is_named(tiny):
    with pytest.raises(ValueError, match="user_id 'cai' is not in the index"):
        pair_totals(tiny.events, users=pd.Index(["ann", "bob"]))


events = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.integers(0, 100)), min_size=1
)


@given(events)
def test_totals_equal_a_slow_loop(rows):
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "watch_time"])
    expected = {}
    for user, item, seconds in rows:
        n, total = expected.get((user, item), (0, 0))
        expected[user, item] = n + 1, total + seconds
    totals = pair_totals(log.astype({"watch_time": float}))
    found = {
        (totals.users[pair.user], totals.items[pair.item]): (pair.n_events, pair.watch_time)
        for pair in totals.pairs.itertuples()
    }
    assert found == expected
