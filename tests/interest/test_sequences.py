import numpy as np
import pytest

from kpay_lab.interest.sequences import behaviour_sequences


def sequences(tables, **options):
    return behaviour_sequences(
        tables.events, tables.ids("user_id"), tables.ids("item_id"), **options
    )


def test_order_sessions_and_transitions_by_hand(tiny):
    B = sequences(tiny)
    assert B.user.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert B.item[B.user == 0].tolist() == [0, 0, 1]  # python, python, sql
    assert B.item[B.user == 1].tolist() == [0, 2]  # python, then chess five hours later
    assert B.session.tolist() == [0, 0, 0, 1, 2, 3, 3]
    within = B.transitions().toarray()
    assert within.sum() == 2 and within[0, 1] == 1 and within[1, 2] == 1
    across = B.transitions(within_session=False).toarray()
    assert across[0, 2] == 1 and across.sum() == 3


def test_a_shorter_gap_cuts_more_sessions(tiny):
    assert sequences(tiny, gap_minutes=9).session.max() == 5


def test_session_ids_of_the_log_decide(tiny):
    named = tiny.with_events(tiny.events.assign(session_id=list("xyzabcc")))
    assert sequences(named).session.tolist() == [0, 1, 2, 3, 4, 5, 5]


def test_file_order_does_not_matter(tiny):
    shuffled = tiny.events.sample(frac=1, random_state=np.random.default_rng(0))
    users, items = tiny.ids("user_id"), tiny.ids("item_id")
    one = behaviour_sequences(tiny.events, users, items)
    other = behaviour_sequences(shuffled, users, items)
    assert one.item.tolist() == other.item.tolist()


def test_without_times_there_is_no_order(tiny):
    with pytest.raises(ValueError, match="need a timestamp column"):
        sequences(tiny.with_events(tiny.events.drop(columns="timestamp")))
