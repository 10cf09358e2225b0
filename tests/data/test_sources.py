"""A source → which files, sheets and frames feed which table, and what is not used."""

import gzip
import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kpay_lab.data.event_types import EventTypes
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.reading import read_headers, read_tables
from kpay_lab.data.sources import files_of, find_files, find_partitions, tables_of
from kpay_lab.data.splitting import split_file
from tests.workbooks import write_xlsx

EVENTS = "user_id,item_id\nu1,i1\n"
ORDERS = "user_id,item_id,timestamp,amount\nu1,i1,2023-01-05,9\n"
SHEET = [["user_id", "item_id"], ["u1", "i1"]]


def written(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def names(found):
    return {
        table: [partition.name for partition in partitions]
        for table, partitions in found.partitions.items()
    }


@pytest.mark.parametrize(
    "name", ["log.csv", "log.tsv", "log.txt", "log.json", "log.jsonl", "whatever.csv", "用户.csv"]
)
def test_a_single_file_of_any_name_is_the_events(tmp_path, name):
    text = '[{"user_id": 1, "item_id": 2}]' if "json" in name else EVENTS
    path = written(tmp_path, {name: text}) / name
    assert names(find_partitions(path)) == {"events": [name]}
    if name != "用户.csv":
        assert names(find_partitions(tmp_path)) == {"events": [name]}
    assert len(read_tables(path)[0].events) == 1


def test_a_single_sheet_of_any_name_is_the_events(tmp_path):
    write_xlsx(tmp_path / "log.xlsx", {"Sheet1": SHEET, "Sheet2": []})
    assert names(find_partitions(tmp_path / "log.xlsx")) == {"events": ["log.xlsx"]}
    tables, _ = read_tables(tmp_path)
    assert tables.events.values.tolist() == [["u1", "i1"]]


def test_sheets_are_named_after_tables(tmp_path):
    sheets = {
        "说明": [["这是一份报告"]],
        "行为": SHEET,
        "订单": [["user_id", "item_id", "timestamp", "amount"], ["u1", "i1", "2023-01-05", 9.5]],
        "Users": [["user_id"], ["u1"]],
    }
    write_xlsx(tmp_path / "shop.xlsx", sheets, hidden=["Users"])
    found = find_partitions(tmp_path / "shop.xlsx")
    assert names(found) == {"events": ["shop.xlsx/行为"], "orders": ["shop.xlsx/订单"]}
    assert found.notes == (
        "not used: shop.xlsx/说明; no table has such a name "
        "(mapping.files says which file is which)",
    )
    tables, rejected = read_tables(tmp_path)
    assert tables.orders["amount"].tolist() == [9.5]
    assert rejected.counts["table"].tolist() == ["events", "orders"]
    assert find_files(tmp_path) == {
        "events": [tmp_path / "shop.xlsx"],
        "orders": [tmp_path / "shop.xlsx"],
    }


def test_a_workbook_named_after_a_table_holds_it_in_the_sheet_that_fits(tmp_path):
    written(tmp_path, {"users.csv": "user_id\nu1\n"})
    write_xlsx(tmp_path / "events.xlsx", {"数据": SHEET, "说明": [["x"], ["y"]]})
    assert names(find_partitions(tmp_path))["events"] == ["events.xlsx/数据"]


def test_files_are_named_after_tables_in_two_languages(tmp_path):
    files = {
        "行为日志.csv": EVENTS,
        "用户信息.csv": "user_id\nu1\n",
        "课程表.csv": "item_id\ni1\n",
        "订单明细_2023.csv": ORDERS,
        "曝光.csv": "user_id,item_id,timestamp\n",
        "README.txt": "a few words",
        "notes.docx": "",
    }
    found = find_partitions(written(tmp_path, files))
    assert names(found) == {
        "events": ["行为日志.csv"],
        "items": ["课程表.csv"],
        "users": ["用户信息.csv"],
        "orders": ["订单明细_2023.csv"],
        "exposures": ["曝光.csv"],
    }
    assert found.notes[0].startswith("not used: README.txt; no table has such a name")


@pytest.mark.parametrize("stem", ["{}", "events_{}", "log-{}", "行为{}"])
def test_a_file_a_day_feeds_one_table(tmp_path, stem):
    days = ["2023-01-05", "2023-01-06"]
    files = {f"{stem.format(day)}.csv": EVENTS for day in days}
    found = find_partitions(written(tmp_path, files))
    assert names(found) == {"events": list(files)}
    assert found.notes == (f"events: {', '.join(files)} are read as parts of one table",)
    assert len(read_tables(tmp_path)[0].events) == 2


def test_parts_must_have_the_same_columns(tmp_path):
    files = {"events_1.csv": EVENTS, "events_2.csv": ORDERS}
    with pytest.raises(ValueError, match=r"look like parts of events, but their columns differ"):
        find_partitions(written(tmp_path, files))


@pytest.mark.parametrize("second", ["events.parquet", "events (1).csv", "Events.tsv", "行为.csv"])
def test_a_table_in_two_places_is_refused(tmp_path, second):
    written(tmp_path, {"events.csv": EVENTS, second: EVENTS})
    with pytest.raises(ValueError, match=r"events is there twice, as .* mapping.files"):
        find_partitions(tmp_path)


def test_folders_give_columns_where_the_schema_knows_their_name(tmp_path):
    for day in (5, 6):
        folder = tmp_path / "events" / "region=华东" / f"timestamp=2023-01-0{day}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"user_id": ["u1"], "item_id": [f"i{day}"]}), folder / "x.parquet")
    (tmp_path / "events" / "_SUCCESS").touch()
    for source in (tmp_path, tmp_path / "events"):
        tables, rejected = read_tables(source)
        days = tables.events["timestamp"].dt.strftime("%Y-%m-%d").tolist()
        assert days == ["2023-01-05", "2023-01-06"]
        assert rejected.notes[0] == (
            "region=华东/timestamp=2023-01-05/x.parquet: its folder says region=华东, "
            "which is not used"
        )
        assert read_headers(source)[0]["events"] == {"user_id", "item_id", "timestamp"}


def test_a_column_of_the_file_wins_over_its_folder(tmp_path):
    folder = tmp_path / "events" / "timestamp=2020-01-01"
    written(folder, {"x.csv": "uid,item_id,时间\nu,i,2023-01-05\n"})
    tables, rejected = read_tables(tmp_path)
    assert tables.events["timestamp"].dt.year.tolist() == [2023]
    assert "its folder says timestamp=2020-01-01, which is not used" in rejected.notes[0]


def test_equal_names_in_several_folders_stay_apart(tmp_path):
    files = {f"events/{year}/part.csv": f"{EVENTS}u2\n" for year in (2022, 2023)}
    _, rejected = read_tables(written(tmp_path, files))
    assert rejected.counts.iloc[0].tolist() == ["events", 4, 2, 2, 0]
    assert rejected.rows["file"].tolist() == ["2022/part.csv", "2023/part.csv"]


def test_a_folder_that_spark_wrote_is_one_table(tmp_path):
    ids = ["3b1f0c52-9c1d-4a6e-8a55-0d9b7f1c2e3a", "77aa0c52-9c1d-4b6e-9a55-0d9b7f1cffff"]
    folder = tmp_path / "mylog.parquet"
    folder.mkdir()
    table = pa.table({"user_id": ["u1"], "item_id": ["i1"]})
    for part in ids:
        pq.write_table(table, folder / f"part-00000-{part}-c000.snappy.parquet")
    for source in (tmp_path, folder):
        assert len(read_tables(source)[0].events) == 2


def test_a_folder_in_a_folder_is_looked_into(tmp_path):
    files = {"archive/events.csv": EVENTS, "archive/orders.csv": ORDERS}
    assert find_files(written(tmp_path, files)).keys() == {"events", "orders"}


def test_the_file_that_can_be_the_events_is_taken_for_them_and_noted(tmp_path):
    files = {"clicks.csv": EVENTS, "orders.csv": ORDERS, "shops.csv": "shop\na\n"}
    found = find_partitions(written(tmp_path, files))
    assert names(found) == {"events": ["clicks.csv"], "orders": ["orders.csv"]}
    assert found.notes[0] == "events: clicks.csv are taken as the events"
    assert found.notes[1].startswith("not used: shops.csv")


def test_where_nothing_fits_one_message_names_what_was_found_and_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"holds no events; add events.csv, events.xlsx"):
        find_partitions(tmp_path)
    written(tmp_path, {"a.csv": "kunde\n", "b.csv": "shop\nthe larger one\n"})
    with pytest.raises(ValueError, match=r"found a.csv, b.csv; name .* \{events: \[b.csv\]\}"):
        find_partitions(tmp_path)
    with pytest.raises(ValueError, match=r"log.docx is of a kind that cannot be read; save it as"):
        find_partitions(written(tmp_path, {"log.docx": ""}) / "log.docx")
    with pytest.raises(ValueError, match=r"log.zip is packed; unpack it, and name the folder"):
        find_partitions(written(tmp_path, {"log.zip": ""}) / "log.zip")


@pytest.mark.parametrize(
    "name, remedy",
    [
        ("export.zip", "export.zip is packed; unpack it"),
        ("shop.db", r"shop.db is the file of a database; name it as sqlite:////.*/shop.db"),
        ("shop.duckdb", r"shop.duckdb is the file .* name it as duckdb:////.*/shop.duckdb"),
        ("订单.numbers", r"订单.numbers is of a kind that cannot be read; save it as .csv"),
    ],
)
def test_a_file_that_seems_to_hold_a_table_is_never_passed_over_in_silence(tmp_path, name, remedy):
    written(tmp_path, {name: "", ".hidden.zip": ""})
    with pytest.raises(ValueError, match=f"holds no events that can be read: {remedy}"):
        find_partitions(tmp_path)
    written(tmp_path, {"notes.docx": ""})
    found = find_partitions(written(tmp_path, {"events.csv": EVENTS}))
    (note,) = found.notes
    assert re.match(f"not read: {remedy}", note)


def test_unread_files_of_one_kind_are_one_note_also_in_folders_below(tmp_path):
    packed = {f"export/day-{number}.zip": "" for number in range(3)}
    found = find_partitions(written(tmp_path, {"export/events.csv": EVENTS, **packed}))
    (note,) = found.notes
    assert note.startswith("not read: day-0.zip is packed")
    assert note.endswith("; so are day-1.zip, day-2.zip")


def test_where_nothing_can_be_read_any_file_is_named(tmp_path):
    written(tmp_path, {"ratings.dat": "1::2::5"})
    with pytest.raises(ValueError, match=r"can be read: ratings.dat is of a kind that cannot be"):
        find_partitions(tmp_path)


def test_a_file_a_type_is_not_taken_as_one_log_without_a_word(tmp_path):
    """Where the names of the files are common words for types, reading notes what they mean."""
    written(tmp_path, {"ios.csv": EVENTS, "like.csv": EVENTS})
    with pytest.raises(
        ValueError, match=r"event_types to \{files: \{ios.csv: view, like.csv: view"
    ):
        find_partitions(tmp_path)
    files = {"events": ["ios.csv", "like.csv"]}
    assert names(find_partitions(tmp_path, files)) == files
    types = EventTypes(files={"ios.csv": "view", "like.csv": "like_count"})
    assert names(find_partitions(tmp_path, types=types)) == files
    (tmp_path / "ios.csv").rename(tmp_path / "click.csv")
    assert names(find_partitions(tmp_path)) == {"events": ["click.csv", "like.csv"]}


def test_a_mapping_says_which_file_is_which(tmp_path):
    written(tmp_path, {"a/1.csv": EVENTS, "a/2.csv": EVENTS, "b.csv": ORDERS, "events.csv": "x\n"})
    files = {"events": ["a/*.csv"], "orders": ["b.csv"]}
    found = find_partitions(tmp_path, files)
    assert names(found) == {"events": ["a/1.csv", "a/2.csv"], "orders": ["b.csv"]}
    assert found.notes == ("not used: events.csv; mapping.files does not name them",)
    assert find_partitions(tmp_path, {"events": ["a"]}).partitions == {
        "events": found.partitions["events"]
    }
    assert tables_of("tables", tmp_path, files) == {"events", "orders"}
    assert files_of("tables", tmp_path, files)[-1] == tmp_path / "b.csv"


def test_a_mapping_may_name_sheets(tmp_path):
    write_xlsx(tmp_path / "book.xlsx", {"甲": SHEET, "乙": SHEET})
    files = {"events": ["book.xlsx/乙"]}
    found = find_partitions(tmp_path, files)
    assert names(found) == {"events": ["book.xlsx/乙"]}
    assert len(split_file(found.partitions["events"][0])) == 1
    assert names(find_partitions(tmp_path / "book.xlsx", files)) == names(found)
    for source in (tmp_path, tmp_path / "book.xlsx"):
        with pytest.raises(ValueError, match=r"has several sheets; name one, such as book.xlsx/甲"):
            find_partitions(source, {"events": ["book.xlsx"]})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"events": ["lgo.csv"]}, r"mapping.files: lgo.csv is not in .* it holds log.csv"),
        ({"events": ["*.json"]}, r"mapping.files: \*.json is not in .* it holds log.csv, orders"),
        (
            {"events": ["log.csv"], "orders": ["*.csv"]},
            "named for events and for orders",
        ),
        ({"event": ["log.csv"]}, "table 'event' is unknown; choose among events, "),
        ({"orders": ["orders.csv"]}, "mapping.files names no events"),
    ],
)
def test_a_mapping_that_cannot_be_followed_is_an_error(tmp_path, files, message):
    written(tmp_path, {"log.csv": EVENTS, "orders.csv": ORDERS})
    with pytest.raises(ValueError, match=message):
        find_partitions(tmp_path, files)


def test_a_mapping_of_files_means_nothing_for_frames():
    with pytest.raises(ValueError, match=r"mapping.files names files, but the source is frames"):
        find_partitions(pd.DataFrame({"user_id": [1], "item_id": [2]}), {"events": ["a.csv"]})


def test_files_of_types_are_one_log_though_one_has_the_name_of_a_table(tmp_path):
    written(tmp_path, {"观看.csv": EVENTS, "点赞.csv": EVENTS, "orders.csv": ORDERS})
    found = find_partitions(tmp_path)
    assert names(found) == {"events": ["点赞.csv", "观看.csv"], "orders": ["orders.csv"]}
    assert not any("not used" in note for note in found.notes)
    assert read_tables(tmp_path)[0].events["like_count"].tolist() == [1, 0]


def test_what_is_taken_as_the_events_is_not_said_to_be_unused(tmp_path):
    written(tmp_path, {"click.csv": EVENTS, "like.csv": EVENTS, "orders.csv": ORDERS})
    notes = find_partitions(tmp_path).notes
    assert notes == ("events: click.csv, like.csv are taken as the events",)


def test_the_days_of_a_json_log_may_lack_a_name_that_no_row_has(tmp_path):
    full = '{"user_id": 1, "item_id": 2, "rating": 5}\n'
    written(tmp_path, {"events_1.jsonl": full, "events_2.jsonl": '{"user_id": 1, "item_id": 3}\n'})
    assert read_tables(tmp_path)[0].events["rating"].fillna(-1).tolist() == [5, -1]


def test_the_events_are_found_by_what_a_mapping_says_of_their_columns(tmp_path):
    written(tmp_path, {"a.csv": "wer,was\nu1,i1\n", "b.csv": "x\n1\n", "orders.csv": ORDERS})
    mapping = LogMapping.of({"columns": {"events": {"wer": "user_id", "was": "item_id"}}})
    tables, rejected = read_tables(tmp_path, mapping=mapping)
    assert tables.events["user_id"].tolist() == ["u1"]
    assert "events: a.csv are taken as the events" in rejected.notes
    assert "events" in read_headers(tmp_path, mapping)[0]


def test_the_name_that_is_asked_for_keeps_what_a_file_is(tmp_path):
    written(tmp_path, {"a.csv": "x\n", "b.csv": "x\n"})
    (tmp_path / "large.csv.gz").write_bytes(gzip.compress(b"x\n" * 50, mtime=0))
    with pytest.raises(ValueError, match=r"name the behaviour log events.csv.gz, or set"):
        find_partitions(tmp_path)


def test_parts_may_differ_in_a_column_without_a_name(tmp_path):
    """A separator at the end of each line, or the row numbers of a frame."""
    written(tmp_path, {"events_1.csv": EVENTS, "events_2.csv": "user_id,item_id,\nu2,i1,\n"})
    written(tmp_path, {"events_3.csv": ",user_id,item_id\n0,u3,i1\n"})
    assert read_tables(tmp_path)[0].events["user_id"].tolist() == ["u1", "u2", "u3"]
