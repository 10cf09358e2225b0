"""A real platform of paid courses comes in by its profile alone; plain pandas stands beside."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from kpay_lab.customers.funnel import bought_unwatched, funnel_pairs, funnel_people
from kpay_lab.workbench import open_log
from tests.running import ROOT, kpay_run

PROFILE = ROOT / "params" / "courses-365.yaml"
LACKING = {"59", "65", "66", "67"}  # courses that were watched and are not in the catalogue


@pytest.fixture(scope="module")
def raw(real_data):
    """The files as pandas reads them, ids as text, without the courses that the catalogue lacks."""
    folder = real_data("courses-365")
    ids = {"student_id": "str", "course_id": "str"}
    names = "student_learning course_ratings student_hub_questions student_purchases student_info"
    files = {name: pd.read_csv(folder / f"365_{name}.csv", dtype=ids) for name in names.split()}
    watched = files["student_learning"]
    return SimpleNamespace(
        watched=watched[~watched["course_id"].isin(LACKING)],
        n_rejected=int(watched["course_id"].isin(LACKING).sum()),
        ratings=files["course_ratings"],
        questions=files["student_hub_questions"],
        purchases=files["student_purchases"],
        users=files["student_info"],
    )


@pytest.fixture(scope="module")
def log(real_data):
    return open_log(real_data("courses-365"), mapping=PROFILE)


def first_days(frame: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_datetime(frame.groupby("student_id")[column].min())


def test_every_row_is_read_or_of_a_course_that_the_catalogue_lacks(raw, log):
    counts = log.rejected.counts.set_index("table")
    n_events = len(raw.watched) + len(raw.ratings) + len(raw.questions)
    assert counts["read"].to_dict() == {
        "users": len(raw.users),
        "items": 46,
        "events": n_events + raw.n_rejected,
        "orders": len(raw.purchases),
    }
    assert counts["rejected"].to_dict() == {"users": 0, "items": 0, "events": 71, "orders": 0}
    assert raw.n_rejected == 71
    assert set(log.rejected.rows["value"]) == LACKING
    assert log.rejected.cells.empty


def test_minutes_ratings_and_questions_are_what_the_files_say(raw, log):
    events = log.tables.events
    minutes = events["watch_time"].sum() / 60
    assert minutes == pytest.approx(raw.watched["minutes_watched"].sum())
    assert events["rating"].mean() == pytest.approx(raw.ratings["course_rating"].mean())
    assert events["question_count"].sum() == len(raw.questions)
    days = pd.concat(
        [
            raw.watched["date_watched"],
            raw.ratings["date_rated"],
            raw.questions["date_question_asked"],
        ]
    )
    written = events["timestamp"].dt.strftime("%Y-%m-%d")
    assert written.value_counts().to_dict() == days.value_counts().to_dict()
    kinds = log.tables.items["kind"].value_counts().to_dict()
    assert kinds == {"course": 46, "other": 1}
    of_hub = events.loc[events["item_id"] == "hub", "user_id"]
    assert sorted(of_hub) == sorted(raw.questions["student_id"])


def test_money_is_the_assumed_price_of_what_was_bought_and_says_so(raw, log):
    price = {"Monthly": 29.0, "Quarterly": 79.0, "Annual": 249.0}
    expected = raw.purchases["purchase_type"].map(price)
    assert log.tables.orders["amount"].tolist() == expected.tolist()
    assert "item_id" not in log.tables.orders
    (note,) = (note for note in log.notes if "price of their purchase_type" in note)
    assert note.startswith("orders: 3,041 amounts") and "assumed" in note


def test_what_is_left_out_and_that_times_are_days_is_said(log):
    assert any("not used: 365_student_exams.csv" in note for note in log.notes)
    assert repr(log).splitlines()[0].endswith("2022-01-01 to 2022-10-20, days without an hour")


def test_buyers_are_those_of_the_files(raw, log):
    people = funnel_people(log.tables)
    days = [
        first_days(raw.watched, "date_watched"),
        first_days(raw.ratings, "date_rated"),
        first_days(raw.questions, "date_question_asked"),
    ]
    first_event = pd.concat(days, axis=1).min(axis=1)
    assert len(people) == len(first_event)
    bought = raw.purchases.assign(day=pd.to_datetime(raw.purchases["date_purchased"]))
    waited = (bought["day"] - bought["student_id"].map(first_event)).dt.days
    assert people["ordered"].sum() == bought["student_id"][waited >= 0].nunique()
    assert people["ordered before"].sum() == bought["student_id"][waited < 0].nunique()
    days_to_first = waited[waited >= 0].groupby(bought["student_id"]).min()
    assert sorted(people["hours"].dropna() / 24) == sorted(days_to_first)
    assert len(bought_unwatched(log.tables)) == waited.isna().sum()
    assert not {"ordered", "hour"} & set(funnel_pairs(log.tables))


@pytest.mark.slow  # about a minute of processor time
def test_every_notebook_that_can_apply_runs(real_data, tmp_path):
    """Notebook 05 foretells the first order of a person, since no order names its course."""
    folder, metrics = kpay_run(
        tmp_path, "--profile", "courses-365", "--data", str(real_data("courses-365"))
    )
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    status = {name: entry["status"] for name, entry in manifest["notebooks"].items()}
    for name in ("06_experiments", "08_policies"):  # nobody logged what was shown
        assert status.pop(name) == "not applicable"
    assert set(status.values()) == {"ok"}
    business = metrics["00_business"]
    assert (business["gmv"], business["paying_users"]) == (51_241, 359)
    assert business["refund_rate/orders"] is None
    explored = metrics["01_data_exploration"]
    assert explored["events/rows"] == 67_791
    assert explored["busiest_hour"] is None
    assert "sessions" not in metrics["02_interest_matrix"]
    assert metrics["04_model_comparison"]["split"] == "time"
    sold = metrics["05_sales_conversion"]
    assert sold["days_to_first_order/median"] == 0
    assert "hours_to_first_order/median" not in sold
    assert sold["test/rows"] > 1000
