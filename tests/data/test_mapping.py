"""What the files mean, said in one object: checked at once, and followed by reading."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kpay_lab.data.event_types import EventTypes
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.reading import read_tables
from kpay_lab.workbench import open_log

SAID = {
    "files": {"events": ["watching*.csv", "ratings.csv"], "orders": "sales.csv"},
    "columns": {"events": {"wer": "user_id", "was": "item_id"}},
    "event_types": {"column": "art", "types": {1: "view", "kauf": "order"}},
    "source_time_zone": "Asia/Shanghai",
    "units": {"watch_time": "minutes"},
    "currency": "cny",
    "rating_scale": [1, 5],
    "price_of": {"plan": {"Monthly": 29}},
    "constants": {"ratings.csv": {"item_id": 7}},
}


def test_what_is_said_is_kept_as_text_and_numbers():
    mapping = LogMapping.of(SAID)
    assert mapping.files == {"events": ("watching*.csv", "ratings.csv"), "orders": ("sales.csv",)}
    assert mapping.event_types == EventTypes(column="art", types={"1": "view", "kauf": "order"})
    assert mapping.currency == "CNY" and mapping.rating_scale == (1.0, 5.0)
    assert mapping.constants_of("ratings.csv") == {"item_id": "7"}
    assert mapping and not LogMapping() and LogMapping.of(mapping) is mapping
    assert LogMapping.of({"columns": {}, "units": None}) == LogMapping.of(None) == LogMapping()


def test_a_file_of_yaml_says_the_same(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("shared: {seed: 1}\nmapping:\n  columns: {events: {wer: user_id}}\n")
    alone = tmp_path / "alone.yaml"
    alone.write_text("columns: {events: {wer: user_id}}\n")
    expected = LogMapping.of({"columns": {"events": {"wer": "user_id"}}})
    assert LogMapping.of(path) == LogMapping.of(str(alone)) == expected
    alone.write_text("columns: [")
    with pytest.raises(ValueError, match=r"alone.yaml cannot be read as YAML"):
        LogMapping.of(alone)
    with pytest.raises(ValueError, match="there is no such file"):
        LogMapping.of(tmp_path / "absent.yaml")


WRONG = [
    ({"colums": {}}, "mapping has no 'colums'; did you mean columns?"),
    (
        {"columns": {"events": {"visitor": "user"}}},
        "mapping.columns.events: 'visitor' → 'user'; there is no column user; did you mean user_id",
    ),
    ({"columns": {"event": {"a": "user_id"}}}, "there is no table 'event'; did you mean events?"),
    (
        {"columns": {"users": {"born": "agee"}}},
        "mapping.columns.users: 'born' → 'agee'; there is no column agee; did you mean age?",
    ),
    ({"columns": {"users": {"born": 7}}}, "'born' → '7'; there is no column 7; there are user_id"),
    ({"columns": {"events": ["a"]}}, "mapping.columns.events is ['a']; write {\"visitor\""),
    ({"files": {"events": [1]}}, "mapping.files.events is [1]; write names of files"),
    ({"event_types": {"types": {"pv": "viev"}}}, "'pv' → 'viev'; did you mean view?"),
    ({"event_types": {"colum": "a"}}, "mapping.event_types has no 'colum'; did you mean column?"),
    ({"headers": {"log.csv": "user_id"}}, "mapping.headers.log.csv is 'user_id'; write a name for"),
    ({"source_time_zone": "Asia/Shangai"}, "no time zone; did you mean Asia/Shanghai?"),
    ({"units": {"watch_time": "weeks"}}, "it must be one of seconds, minutes, hours, days, ms"),
    ({"date_order": "us"}, "mapping.date_order is 'us'; write month_first or day_first"),
    ({"units": {"rating": "stars"}}, "mapping.units: 'rating' has no unit"),
    ({"currency": "yuan"}, "write a code of three letters, such as CNY"),
    ({"rating_scale": [5, 1]}, "mapping.rating_scale is [5, 1]; write its lowest and highest"),
    ({"price_of": {"plan": {"Monthly": "29"}}}, "Monthly costs '29'; it must be a number"),
    ({"constants": {"a.csv": {"item": 1}}}, "there is no column item; did you mean item_id?"),
    ({"constants": {"a.csv": {"item_id": [1]}}}, "item_id is [1]; it must be one value"),
    (["events"], "mapping is of type list; write a mapping"),
]


@pytest.mark.parametrize(("said", "words"), WRONG)
def test_what_cannot_be_meant_is_refused_with_a_near_name(said, words):
    with pytest.raises(ValueError) as refused:
        LogMapping.of(said)
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_people_may_have_columns_of_any_name_and_a_mapping_may_give_it(tmp_path):
    (tmp_path / "events.csv").write_text("user_id,item_id\nu1,c1\nu2,c1\n")
    (tmp_path / "users.csv").write_text("user_id,age,city\nu1,18-23,Xi'an\nu2,50+,Wuhan\n")
    log = open_log(tmp_path, mapping={"columns": {"users": {"age": "age_range"}}})
    users = log.tables.users
    assert users["age_range"].tolist() == ["18-23", "50+"] and "age" not in users
    assert log.rejected.cells.empty
    with pytest.raises(ValueError, match=r"users.csv: age and city both mean city; rename one"):
        open_log(tmp_path, mapping={"columns": {"users": {"age": "city"}}})
    with pytest.raises(ValueError, match="age and city both mean place; rename one") as refused:
        open_log(tmp_path, mapping={"columns": {"users": {"age": "place", "city": "place"}}})
    assert str(refused.value).count("both mean") == 1


def test_all_faults_are_said_at_once():
    said = {"colums": 1, "currency": "yuan", "units": {"rating": "x", "watch_time": "weeks"}}
    with pytest.raises(ValueError) as refused:
        LogMapping.of(said)
    assert len(str(refused.value).splitlines()) == 4


@pytest.fixture
def shop(tmp_path):
    """Four files as a platform exports them, none named after a table."""
    files = {
        "learning.csv": "wer,was,minutes_watched\nu1,c1,2.5\nu2,c2,10\n",
        "ratings.csv": "wer,was,stars\nu1,c1,5\nu2,c1,9\n",
        "questions.csv": "wer,asked_on\nu1,2022-01-03\n",
        "courses.csv": "was,name\nc1,Python\nc2,SQL\n",
        "sales.csv": "wer,date_purchased,plan\nu1,2022-01-01,Annual\nu2,2022-01-02,Weekly\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


MEANT = {
    "files": {
        "events": ["learning.csv", "ratings.csv", "questions.csv"],
        "items": "courses.csv",
        "orders": "sales.csv",
    },
    "columns": {
        "events": {"wer": "user_id", "was": "item_id", "asked_on": "timestamp"},
        "items": {"was": "item_id"},
        "orders": {"wer": "user_id"},
    },
    "source_time_zone": "Asia/Shanghai",
    "rating_scale": [1, 5],
    "price_of": {"plan": {"Annual": 349}},
    "constants": {"questions.csv": {"item_id": "hub", "question_count": 1}},
}


RENAMED_WRONGLY = MEANT["columns"] | {"events": {"were": "user_id", "was": "item_id"}}


def test_a_shop_of_foreign_files_opens_by_its_mapping_alone(shop):
    log = open_log(shop, mapping=MEANT)
    events = log.tables.events
    assert events["item_id"].tolist() == ["c1", "c2", "c1", "c1", "hub"]
    assert events["watch_time"].iloc[:2].tolist() == [150.0, 600.0]
    assert events["rating"].dropna().tolist() == [5.0]
    assert events["question_count"].iloc[4] == 1
    assert events["timestamp"].iloc[4] == pd.Timestamp("2022-01-02 16:00", tz="UTC")
    assert log.tables.items["item_id"].tolist() == ["c1", "c2", "hub"]
    assert list(log.tables.orders) == ["user_id", "timestamp", "amount"]
    assert log.tables.orders["amount"].fillna(-1).tolist() == [349.0, -1.0]
    said = " ".join(log.notes)
    assert "items: hub joined the catalogue" in said
    assert "orders: 1 amounts are the price of their plan (mapping.price_of)" in said
    assert "orders: 1 have no amount, and plan=Weekly has no price" in said
    assert "events: rating: 1 value was not understood and count as missing, such as 9" in said
    assert sorted(path.name for path in log.files) == sorted(path.name for path in shop.iterdir())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"columns": RENAMED_WRONGLY}, "'were', which no file of events has; did you mean wer"),
        ({"files": {"events": "learnin.csv"}}, "it holds learning.csv"),
        ({"constants": {"question.csv": {"item_id": 1}}}, "did you mean questions.csv?"),
    ],
)
def test_what_is_said_of_files_and_names_that_are_not_there_is_refused(shop, said, words):
    with pytest.raises(ValueError, match=words):
        open_log(shop, mapping=MEANT | said)


def test_a_mapping_is_for_ones_own_files_and_for_memory(shop, tmp_path):
    with pytest.raises(ValueError, match="mapping says what your own files mean"):
        open_log(shop, dataset="movielens", mapping=MEANT)
    with pytest.raises(
        ValueError, match=r"engine duckdb .* follows no mapping; leave mapping empty"
    ):
        open_log(shop, mapping=MEANT, engine="duckdb")


def hub_with(tmp_path, **said) -> tuple[Path, dict[str, Any]]:
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,a\n")
    (tmp_path / "questions.csv").write_text("user_id\nu\n")
    (tmp_path / "items.csv").write_text("item_id,kind\na,course\n")
    mapping = {"files": {"events": ["events.csv", "questions.csv"], "items": "items.csv"}}
    return tmp_path, mapping | {"constants": {"questions.csv": {"item_id": "hub"} | said}}


def test_an_item_that_constants_name_is_described_by_what_the_events_do_not_hold(tmp_path):
    folder, mapping = hub_with(tmp_path, kind="other", price=9, question_count=1)
    tables, rejected = read_tables(folder, mapping=LogMapping.of(mapping))
    assert tables.items.set_index("item_id")["kind"].to_dict() == {"a": "course", "hub": "other"}
    assert tables.items.set_index("item_id")["price"]["hub"] == 9.0
    assert tables.events["question_count"].fillna(-1).tolist() == [-1, 1]
    assert "kind" not in tables.events
    assert not any("not used" in note for note in rejected.notes)


def test_an_item_that_constants_describe_wrongly_is_refused(tmp_path):
    folder, mapping = hub_with(tmp_path, kind="forum")
    words = "mapping.constants: the kind of hub is forum; it must be one of course"
    with pytest.raises(ValueError, match=words):
        read_tables(folder, mapping=LogMapping.of(mapping))


def test_a_file_without_a_header_takes_the_names_that_are_said(tmp_path):
    """As in the UserBehavior files of a large shop: no header, types in the fourth column."""
    log = tmp_path / "UserBehavior.csv"
    log.write_text("7,101,9,pv,1511544070\n7,101,9,buy,1511544090\n8,102,9,fav,1511544070\n")
    names = ["user_id", "item_id", "category", "behavior_type", "timestamp"]
    tables, rejected = read_tables(log, mapping=LogMapping.of({"headers": {log.name: names}}))
    assert tables.events["user_id"].tolist() == ["7", "8"]
    assert tables.events["like_count"].tolist() == [0, 1]
    assert tables.orders["item_id"].tolist() == ["101"]
    assert rejected.counts["good"].sum() == rejected.counts["read"].sum() == 3
    with pytest.raises(ValueError, match=r"names 2 columns, but its first line has 5 \(7, 101, 9"):
        read_tables(log, mapping=LogMapping.of({"headers": {"User*": ["user_id", "item_id"]}}))
    with pytest.raises(ValueError, match=r"looks like data.*write mapping: \{headers: \{"):
        read_tables(log)
    with pytest.raises(ValueError, match=r"mapping\.headers names no\.csv, which feeds no table"):
        read_tables(log, mapping=LogMapping.of({"headers": {"no.csv": names}}))


def test_files_of_one_type_are_not_called_unused(tmp_path):
    for name in ("click", "like"):
        (tmp_path / f"{name}.csv").write_text("uid,live_id\n7,1\n")
    notes = read_tables(tmp_path)[1].notes
    assert not any("not used" in note for note in notes), notes


@pytest.mark.parametrize("word", ["WAIT_PAY", "WAIT_BUYER_PAY", "TRADE_CLOSED", "PENDING_PAYMENT"])
def test_an_order_that_waits_for_its_payment_is_no_sale(tmp_path, word):
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,i\n")
    orders = f"user_id,item_id,timestamp,amount,status\nu,i,2024-01-01,9,{word}\n"
    (tmp_path / "orders.csv").write_text(orders + "u,i,2024-01-02,8,TRADE_SUCCESS\n")
    log = open_log(tmp_path)
    assert log.tables.orders["amount"].tolist() == [8.0]
    assert any(f"1 of status {word} came to nothing" in note for note in log.notes)


@pytest.mark.parametrize(
    ("column", "word", "unit"),
    [
        ("amount", "fen", "cents"),
        ("amount", "分", "cents"),
        ("watch_time", "分", "minutes"),
        ("watch_time", "min", "minutes"),
        ("progress", "%", "percent"),
        ("duration", "Milliseconds", "ms"),
    ],
)
def test_a_unit_may_be_said_in_its_other_words(column, word, unit):
    assert LogMapping.of({"units": {column: word}}).units == {column: unit}


def test_columns_of_a_table_that_nothing_feeds_are_refused(tmp_path):
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["i"], "behavior_type": ["buy"]})
    events["timestamp"] = "2026-01-05"
    said = {"columns": {"orders": {"money": "amount"}}}
    message = "mapping.columns names columns of orders, and no file feeds that table; there are"
    views = events.drop(columns="behavior_type")
    with pytest.raises(ValueError, match=message):
        read_tables(views, mapping=LogMapping.of(said))
    path = tmp_path / "events.csv"
    views.to_csv(path, index=False)
    with pytest.raises(ValueError, match=message):
        open_log(path, mapping=said, min_events=1)
    typed = events.assign(money=9.0)  # its orders are rows of the events
    tables, _ = read_tables(typed, mapping=LogMapping.of(said))
    assert tables.orders["amount"].tolist() == [9]


def test_the_order_of_dates_is_followed_in_every_table():
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": ["03/25/2026 10:00"]})
    orders = events.assign(refunded_at="04/01/2026")
    items = pd.DataFrame({"item_id": ["i"], "published_at": ["12/31/2025"]})
    source = {"events": events, "orders": orders, "items": items}
    mapping = LogMapping.of({"date_order": "month_first"})
    tables, rejected = read_tables(source, mapping=mapping)
    assert rejected.rows.empty and rejected.cells.empty
    assert tables.events["timestamp"].item().isoformat() == "2026-03-25T10:00:00+00:00"
    assert tables.orders["refunded_at"].item().isoformat() == "2026-04-01T00:00:00+00:00"
    assert tables.items["published_at"].item().isoformat() == "2025-12-31T00:00:00+00:00"
    assert LogMapping.of(mapping.as_dict()) == mapping
