"""Who people are, who of them comes back, and which of their fields the log tells."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.customers.fields import (
    FieldsRead,
    about_people,
    answers,
    describe_fields,
    read_fields,
)
from kpay_lab.customers.staying import EVERYBODY, who_returns
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.findings import sentence


def events_on(days):
    """Events of the users of a mapping, each on the days given, counted from 1 March 2024."""
    start = pd.Timestamp("2024-03-01", tz="UTC")
    rows = [(user, "a", start + pd.Timedelta(days=d)) for user, on in days.items() for d in on]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return Tables(frame.astype({"timestamp": "datetime64[us, UTC]"}))


def test_who_came_back_is_counted_within_the_days_and_only_if_followed():
    days = {"back": [0, 3], "same day": [0, 0.5], "late": [0, 9], "new": [8, 9], "last": [5, 6]}
    returning = who_returns(events_on(days), most_days=4)
    everybody = returning.people.loc[EVERYBODY]
    assert returning.days == 4
    assert (everybody["n"], everybody["returned"]) == (4, 2)  # "new" is followed for 1 day only
    assert len(returning.people) == 1  # groups of fewer than ten are not shown


def test_half_of_a_short_log_is_the_window():
    assert who_returns(events_on({"u": [0, 5], "w": [0, 1]})).days == 3


def test_the_first_day_tells_who_comes_back_where_it_does():
    few = {f"few {n}": [0] if n % 2 else [0, 1] for n in range(40)}
    many = {f"many {n}": [0, 0.1, 0.2, 1] for n in range(40)}
    returning = who_returns(events_on(few | many))
    assert returning.limit == 2  # half have 1 event on the first day, half 3
    assert returning.people["share"].tolist() == [0.75, 0.5, 1.0]
    # Wilson: 20 of 40 is 0.352 to 0.648, 40 of 40 is 0.912 to 1
    difference = returning.difference()
    assert difference.estimate == 0.5
    assert difference.low == pytest.approx(0.5 - np.hypot(1 - 0.9124, 0.6480 - 0.5), abs=1e-3)
    assert difference.high == pytest.approx(0.5 + (0.5 - 0.3520), abs=1e-3)
    came_back, first_day = map(sentence, returning.findings())
    assert came_back.startswith("75 % of 80 people (64.5 % to 83.2 %) came back within 1 day")
    assert (
        "100 % of 40 people whose events on it number more than 2, 50 % of the 40 others"
        in first_day
    )


def test_nothing_is_said_of_the_first_day_where_it_tells_nothing():
    alike = {f"{n} {m}": [0] * m + [1] for n in range(30) for m in (1, 4)}
    assert [f.key for f in who_returns(events_on(alike)).findings()] == ["portraits/return"]


@pytest.mark.parametrize(
    "tables",
    [events_on({"u": [0, 0.5]}), Tables(pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}))],
)
def test_without_two_days_nobody_comes_back(tables):
    with pytest.raises(TooLittleError, match="nobody can be seen to come back"):
        who_returns(tables)


def test_fields_are_described_and_rare_answers_are_not_named():
    users = pd.DataFrame({"user_id": range(40), "gender": ["f"] * 30 + ["m"] * 10})
    users["town"] = [f"town {n}" for n in range(40)]
    users["age"] = [np.nan] * 10 + list(range(30))
    table = describe_fields(users.assign(consent=True))
    assert table.index.tolist() == ["gender", "town", "age"]
    assert table.loc["gender"].tolist() == [1.0, "f", 0.75]
    assert table.loc["town", ["most frequent", "share"]].isna().all()
    assert table.loc["age", "answered"] == 0.75
    assert set(answers(users["age"])) == {"up to 9", "over 9 to 19", "over 19"}


def test_a_field_is_read_where_what_people_do_tells_it():
    """Everybody of one club watches another item; the coin says nothing."""
    made = np.random.default_rng(0)
    n = 200
    club = np.array(["red", "blue"])[np.arange(n) % 2]
    events = pd.DataFrame({"user_id": np.repeat(range(n), 5).astype(str)})
    events["item_id"] = np.repeat(np.where(club == "red", "a", "b"), 5)
    items = pd.DataFrame({"item_id": ["a", "b"], "category": ["cooking", "chess"]})
    users = pd.DataFrame({"user_id": np.arange(n).astype(str), "club": club})
    users["coin"] = made.choice(["head", "tail"], n)
    users["name"] = [f"name {number}" for number in range(n)]
    read = read_fields(Tables(events, items, users))
    assert read.table.index.tolist() == ["club", "coin"]  # a name is no field
    assert read.table["shown"].tolist() == [True, False]
    assert read.table.loc["club", "forest"] == 1 and read.table.loc["club", "guess"] == 0.5
    (found,) = read.findings()
    assert sentence(found).startswith(
        "What people do tells their club, and is not shown to tell their coin; clearest is club: "
        "a random forest is right for 100 % of 60 people, the most frequent answer for 50 %"
    )


def test_without_fields_nothing_is_read(tiny):
    alone = Tables(tiny.events)
    assert read_fields(alone).table.empty and read_fields(alone).findings() == []
    who, lacks = map(sentence, about_people(alone))
    n_users = tiny.events["user_id"].nunique()
    assert who.startswith(f"{n_users} people have an event")
    once = Tables(pd.DataFrame({"user_id": [*"uvw"], "item_id": "a"}))
    assert "half of them or more have no other" in sentence(about_people(once)[0])
    assert lacks.startswith("Who the people are is not known: it would take the table users")


def test_the_level_of_what_is_not_read_is_no_praise():
    row = {"n": 60, "answers": 2, "guess": 0.7, "forest": 0.69, "difference": -0.01}
    row |= {"low": -0.05, "high": 0.03, "shown": False}
    (found,) = FieldsRead(pd.DataFrame([row], index=["gender"])).findings()
    assert found.level == "plain"
    assert sentence(found).startswith("What people do is not shown to tell their gender:")
