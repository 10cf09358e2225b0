"""Small groups stay hidden even from subtraction, and no consent means no rows."""

import hashlib
import hmac

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay_lab.data import Gate, Log
from kpay_lab.data.privacy import pseudonymise, pseudonyms, suppress_small_groups, with_consent
from kpay_lab.data.tables import Tables
from kpay_lab.workbench import open_log
from kpay_lab.world.simulate import WorldSpec, simulate

KEY = "a key of the tests, 32 letters or"


def test_small_groups_take_the_next_smallest_with_them_in_their_own_total():
    groups = pd.DataFrame(
        {
            "segment": ["a", "a", "a", "b", "b", "b", "c"],
            "age": [1, 2, 3, 1, 2, 3, 1],
            "n": [3, 12, 40, 2, 4, 50, 9],
            "mean": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
        }
    )
    found = suppress_small_groups(groups, "n", 10, within="segment", hide=["mean"])
    assert found["suppressed"].tolist() == [True, True, False, True, True, True, True]
    assert found["n"].isna().tolist() == found["suppressed"].tolist()
    assert found["mean"].isna().tolist() == found["suppressed"].tolist()
    assert found["age"].tolist() == groups["age"].tolist()
    assert groups["n"].tolist() == [3, 12, 40, 2, 4, 50, 9]


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 12))
def test_what_is_shown_is_large_and_what_is_hidden_cannot_be_subtracted(counts, minimum):
    found = suppress_small_groups(pd.DataFrame({"n": counts}), "n", minimum)
    shown = found["n"].dropna()
    assert ((shown == 0) | (shown >= minimum)).all()
    hidden = [n for n, gone in zip(counts, found["suppressed"], strict=True) if gone]
    assert not hidden or sum(hidden) >= minimum or (shown == 0).all()
    assert {n for n in counts if 0 < n < minimum} <= set(hidden)
    assert sum(n >= minimum for n in hidden) <= 1


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


def test_a_pseudonym_is_the_hmac_of_the_id(monkeypatch):
    monkeypatch.setenv("KPAY_PRIVACY_KEY", KEY)
    ids = pd.Series(["u1", None, "用户", "u1"], index=[3, 1, 2, 0])
    found = pseudonyms(ids)
    expected = hmac.new(KEY.encode(), "用户".encode(), hashlib.sha256).hexdigest()
    assert found[2] == "p" + expected[:32]
    assert found.index.tolist() == [3, 1, 2, 0] and pd.isna(found[1]) and found[3] == found[0]
    monkeypatch.setenv("KPAY_PRIVACY_KEY", KEY.upper())
    assert not set(pseudonyms(ids).dropna()) & set(found.dropna())
    monkeypatch.setenv("KPAY_PRIVACY_KEY", "tiny-key")
    with pytest.raises(ValueError, match="too short") as caught:
        pseudonyms(ids)
    assert "tiny-key" not in str(caught.value)


def test_pseudonyms_reach_every_table_and_change_nothing_else(monkeypatch):
    monkeypatch.delenv("KPAY_PRIVACY_KEY", raising=False)
    spec = WorldSpec(n_users=40, n_items=30, n_days=14)
    plain = Log(simulate(spec).tables)
    masked = Gate(ids="pseudonymise").admit(plain)
    plain = Gate().admit(plain)
    of_user = dict(zip(plain.tables.ids("user_id"), masked.tables.ids("user_id"), strict=True))
    n_users = plain.tables.users["user_id"].nunique()
    assert len(set(of_user.values())) == n_users and not set(of_user) & set(of_user.values())
    for name, frame in plain.tables.present().items():
        other = getattr(masked.tables, name)
        if "user_id" in frame:
            assert other["user_id"].tolist() == frame["user_id"].map(of_user).tolist()
        same = frame.columns.difference(["user_id", "session_id", "comment_text"])
        pd.testing.assert_frame_equal(other[same], frame[same])
    sessions = (log.tables.events["session_id"] for log in (plain, masked))
    assert len(set(zip(*sessions, strict=True))) == plain.tables.events["session_id"].nunique()


def test_rows_set_aside_keep_no_id(tmp_path):
    (tmp_path / "users.csv").write_text("user_id\nann\n")
    (tmp_path / "events.csv").write_text(
        "user_id,item_id,watch_time\nann,i,1\nbob,i,1\nann,i,-3\nbob,i\n"
    )
    rejected = open_log(tmp_path, ids="pseudonymise", max_rejected=1.0).rejected
    found = rejected.rows
    assert found["column"].tolist() == ["user_id", ""]
    assert found["value"][0].startswith("p") and found["value"][1] == ""
    assert rejected.cells[["column", "value"]].values.tolist() == [["watch_time", "-3"]]
    with pytest.raises(ValueError, match="ids is 'hide'; it must be one of keep, pseudonymise"):
        open_log(tmp_path, ids="hide")


def test_what_people_wrote_stays_out_under_pseudonyms(tmp_path):
    (tmp_path / "events.csv").write_text("user_id,item_id,评论\nann,i,I am ann\nbob,i,\n")
    assert "comment_text" in open_log(tmp_path).tables.events
    masked = open_log(tmp_path, ids="pseudonymise")
    assert [*masked.tables.events] == ["user_id", "item_id", "comment_count"]
    assert any(note.endswith("left out: events.comment_text") for note in masked.notes)
    assert not any("I am" in note for note in masked.notes)
    counts = "user_id,item_id,评论\n" + "ann,i,1\n" * 20 + "ann,i,I am ann\n"
    (tmp_path / "events.csv").write_text(counts)
    rejected = open_log(tmp_path, ids="pseudonymise").rejected
    assert rejected.cells["value"].tolist() == [""]
    assert not any("I am" in note for note in rejected.notes)


def test_columns_that_no_schema_knows_are_left_out(tmp_path):
    (tmp_path / "users.csv").write_text("user_id,age,email,phone\nann,30,ann@x.org,5550100\n")
    (tmp_path / "events.csv").write_text("user_id,item_id,ip\nann,i,10.0.0.1\n")
    kept = open_log(tmp_path)
    assert [*kept.tables.users] == ["user_id", "age", "email", "phone"]
    masked = open_log(tmp_path, ids="pseudonymise")
    assert [*masked.tables.users] == ["user_id", "age"]
    assert [*masked.tables.events] == ["user_id", "item_id"]
    assert "left out: users.email, users.phone" in masked.notes[-1]


def test_of_other_tables_only_unknown_text_is_left_out():
    events = pd.DataFrame({"user_id": ["ann"], "item_id": ["i"], "n_rows": [3], "ip": ["::1"]})
    masked, left_out = pseudonymise(Tables(events=events))
    assert [*masked.events] == ["user_id", "item_id", "n_rows"] and left_out == ["events.ip"]
