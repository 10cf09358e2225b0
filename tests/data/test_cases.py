"""Real situations at the door, by number: whole files through `read_log`, and what is right."""

import gzip
import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kpay_lab.data.door import BrokenLogError, Gate, read_log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.workbench import open_log
from tests.workbooks import write_xlsx


def read(folder, files, **mapping):
    """Write texts, bytes or frames into a folder, and read it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            pq.write_table(pa.table(content), path)
    return read_log(folder, mapping=LogMapping.of(mapping or None))


def column_of_events(folder, name, cells, **mapping):
    """Read one column of events; returns the log."""
    rows = [f'u{row},i1,"{cell}"\n' for row, cell in enumerate(cells)]
    return read(folder, {"events.csv": f"user_id,item_id,{name}\n" + "".join(rows)}, **mapping)


def values(log, column, table="events"):
    """Return a column as a list, None for what is missing."""
    frame = log.tables.present()[table]
    return [None if pd.isna(value) else value for value in frame[column]]


def said(log, *words):
    return any(all(word in note for word in words) for note in log.notes)


def balanced(log):
    counts = log.rejected.counts
    return (counts["read"] == counts["good"] + counts["rejected"]).all()


# D1


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["20230105140309", "20230105140310"], "2023-01-05 14:03:09"),
        (["2023年1月5日 14:03", "2023年1月6日 8:00"], "2023-01-05 14:03:00"),
        (["1672927389", "1672927390"], "2023-01-05 14:03:09"),
        (["1672927389000", "1672927390000"], "2023-01-05 14:03:09"),
        (["44931.5854167", "44932"], "2023-01-05 14:03:00"),
    ],
)
def test_d1_times_are_what_was_meant(tmp_path, cells, first):
    log = column_of_events(tmp_path, "timestamp", cells)
    assert log.tables.events["timestamp"][0] == pd.Timestamp(first, tz="UTC")
    assert log.rejected.cells.empty
    assert said(log, "Excel", "44931.5854167") == (cells[0] == "44931.5854167")


@pytest.mark.parametrize(
    "cell", ["1234.5", "230105", "1310.25", "0", "1.6729E+09", "9999-12-31", "05/01/2023 14:03"]
)
def test_d1_what_is_no_time_is_missing_and_a_log_of_it_is_refused(tmp_path, cell):
    log = column_of_events(tmp_path, "timestamp", [cell, "2023-01-05"])
    assert values(log, "timestamp")[0] is None and len(log.tables.events) == 2
    assert log.rejected.cells["value"].tolist() == [cell]
    with pytest.raises(BrokenLogError, match=r"such as .* in events\.csv row 2"):
        Gate(max_rejected=0.4).admit(log)


# D2


@pytest.mark.parametrize(
    "spelled", ["\tu1", "u1 ", "`u1", "'u1", '=""u1""', "u1\u200b", "\ufeffu1", "\u3000u1"]
)
def test_d2_what_nobody_sees_makes_no_second_user(tmp_path, spelled):
    log = read(tmp_path, {"events.csv": f'user_id,item_id\nu1,i\n"{spelled}",i\n'})
    assert values(log, "user_id") == ["u1", "u1"]


def test_d2_a_formula_that_keeps_digits_is_its_id(tmp_path):
    text = 'user_id,item_id\n="2022072512345928259",i\n2022072512345928259,i\n'
    log = read(tmp_path, {"events.csv": text})
    assert set(values(log, "user_id")) == {"2022072512345928259"}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_d2_ids_that_can_no_longer_be_told_apart_are_set_aside(tmp_path, kind):
    floats = np.array([7.91557e17, 7.91557e17, 3.0])
    frame = pd.DataFrame({"user_id": floats, "item_id": "i"})
    if kind == "csv":
        frame["user_id"] = ["7.91557E+17", "7.91557E+17", "3.0"]
    getattr(frame, f"to_{kind}")(tmp_path / f"events.{kind}", index=False)
    log = read_log(tmp_path)
    assert values(log, "user_id") == ["3"]
    assert log.rejected.rows["reason"].str.contains("rounded").sum() == 2


def test_d2_a_whole_float_is_its_number_in_every_table(tmp_path):
    files = {"events.csv": "user_id,item_id\n10001.0,i\n", "users.csv": "user_id,age\n10001,30\n"}
    log = read(tmp_path, files)
    assert values(log, "user_id") == ["10001"] and log.rejected.rows.empty


@pytest.mark.parametrize("total", ["合计,2 条,564", "总计,,564", "Total,,564"])
def test_d2_a_row_of_totals_is_nobody(tmp_path, total):
    text = f"用户,内容,观看时长\n张三,a,544\n李四,b,20\n{total}\n"
    log = read(tmp_path, {"events.csv": text})
    assert values(log, "user_id") == ["张三", "李四"] and balanced(log)
    assert log.rejected.rows[["line", "reason"]].values.tolist() == [
        [4, "it is a row of totals, not of data"]
    ]


def test_d2_a_repeated_header_is_nobody(tmp_path):
    log = read(tmp_path, {"events.csv": "用户,内容\n张三,a\n用户,内容\n李四,b\n"})
    assert values(log, "user_id") == ["张三", "李四"]
    assert log.rejected.rows["reason"].tolist() == ["the header is repeated here"]


def test_d2_ids_that_may_be_mistakes_are_kept_and_counted(tmp_path):
    rows = ["007", "7", "NULL", "nan", "ａ1", "a1"]
    text = "user_id,item_id\n" + "".join(f"{one},i\n" for one in rows)
    log = read(tmp_path, {"events.csv": text})
    assert values(log, "user_id") == rows
    assert said(log, "user_id: 4 ids differ only by leading zeros, case or width")
    assert said(log, "user_id: 2 cells read 'NULL' or the like and are kept as ids")


# D3


def test_d3_the_zone_of_times_without_one_is_said_or_noted(tmp_path):
    cells = ["2023-01-05 20:00:00"]
    unsaid = column_of_events(tmp_path, "timestamp", cells)
    assert unsaid.tables.events["timestamp"].dt.hour.tolist() == [20]
    assert said(unsaid, "1 time without a zone is taken as UTC; set mapping.source_time_zone")
    log = column_of_events(tmp_path, "timestamp", cells, source_time_zone="Asia/Shanghai")
    assert log.tables.events["timestamp"].dt.hour.tolist() == [12]
    assert not said(log, "without a zone")


def test_d3_a_column_of_both_is_noted(tmp_path):
    log = column_of_events(tmp_path, "timestamp", ["2023-01-05 20:00", "2023-01-05T20:00:00+08:00"])
    assert log.tables.events["timestamp"].dt.hour.tolist() == [20, 12]
    assert said(log, "timestamp: it mixes 1 time without a zone and 1 with one")


# D4


def test_d4_types_of_parquet_keep_their_meaning(tmp_path):
    events = {
        "user_id": pa.array([1.0, 2.0]),
        "item_id": pa.array(["i", "i"]).dictionary_encode(),
        "timestamp": pa.array([253_402_214_400, 1_672_927_389], pa.timestamp("s")),
        "watch_time": pa.array([timedelta(minutes=12, seconds=33), None], pa.duration("us")),
        "rating": pa.array([4.5, float("nan")]),
        "tags": pa.array([["a"], []]),
        "more": pa.array([{"a": 1}, {"a": 2}]),
    }
    log = read(tmp_path, {"events.parquet": events, "users.csv": "user_id\n1\n2\n"})
    assert values(log, "user_id") == ["1", "2"] and log.rejected.rows.empty
    assert values(log, "watch_time") == [753.0, None] and values(log, "rating") == [4.5, None]
    assert values(log, "timestamp") == [None, pd.Timestamp("2023-01-05 14:03:09", tz="UTC")]
    assert log.rejected.cells["column"].tolist() == ["timestamp"]
    assert said(log, "events.parquet", "tags, more", "left out")


# D5


def test_d5_a_column_of_comments_holds_content(tmp_path):
    log = column_of_events(tmp_path, "评论", ["讲得很好", "666", "", "太快了"])
    assert values(log, "comment_count") == [1, 1, 0, 1]
    assert values(log, "comment_text") == ["讲得很好", "666", None, "太快了"]
    assert log.rejected.cells.empty


@pytest.mark.parametrize("name", ["like_count", "是否点赞"])
def test_d5_yes_and_no_in_any_case(tmp_path, name):
    cells = ["True", "FALSE", "Yes", "no", "是", "否", "√", "1", "0"]
    assert values(column_of_events(tmp_path, name, cells), "like_count") == [
        1, 0, 1, 0, 1, 0, 1, 1, 0,
    ]  # fmt: skip


# D6


@pytest.mark.parametrize("word", ["NA", "NULL", "null", "None", "N/A", "-", "无数据"])
@pytest.mark.parametrize(
    ("name", "cell"),
    [("watch_time", "5"), ("timestamp", "2023-01-05"), ("like_count", "2"), ("rating", "4")],
)
def test_d6_a_word_for_missing_is_missing_and_counted(tmp_path, word, name, cell):
    log = column_of_events(tmp_path, name, [cell, word])
    assert values(log, name)[1] is None and values(log, name)[0] is not None
    assert log.rejected.cells.empty and said(log, f"{name}: 1 cell such as '{word}'")


# D7


@pytest.mark.parametrize(
    ("cell", "amount"),
    [("¥99.00", 99), ("99元", 99), ("1,299.00", 1299), ("$9.99", 9.99), ("1.2万", 12_000)],
)
def test_d7_amounts_as_people_write_them(tmp_path, cell, amount):
    orders = f'user_id,timestamp,amount\nu,2023-01-05,"{cell}"\n'
    log = read(tmp_path, {"events.csv": "user_id,item_id\nu,i\n", "orders.csv": orders})
    assert values(log, "amount", "orders") == [amount]


def test_d7_watch_time_and_progress_as_people_write_them(tmp_path):
    watched = column_of_events(tmp_path, "watch_time", ["00:12:33", "30s", "12分33秒", "90"])
    assert values(watched, "watch_time") == [753, 30, 753, 90]
    signed = column_of_events(tmp_path, "progress", ["35%", "100%", ""])
    assert values(signed, "progress") == [0.35, 1, None]
    plain = column_of_events(tmp_path, "progress", ["35", "100", "1"])
    assert values(plain, "progress") == [0.35, 1, 0.01]
    assert said(plain, "progress: it is read as percent, because of values such as 35")


def test_d7_milliseconds_are_said_or_noted(tmp_path):
    text = "user_id,item_id,watch_time,duration\nu,i,50000,100\nw,i,90000,100\n"
    log = Gate().admit(read(tmp_path, {"events.csv": text}))
    assert said(log, "100% of the 2 events", "write mapping: {units: {watch_time: ms}}")
    log = Gate().admit(read(tmp_path, {"events.csv": text}, units={"watch_time": "ms"}))
    assert values(log, "watch_time") == [50, 90] and not said(log, "watched longer")


# D8


def test_d8_a_bad_optional_cell_keeps_its_key(tmp_path):
    files = {
        "events.csv": "user_id,item_id\nu1,i1\nu2,i2\nu3,i1\n",
        "items.csv": "item_id,price\ni1,免费\ni2,9\n",
        "users.csv": "user_id,age,consent\nu1,18-23,1\nu2,30,yes\nu3,30,看情况\n",
    }
    log = read(tmp_path, files)
    assert values(log, "user_id") == ["u1", "u2"]
    assert log.rejected.cells[["table", "line", "column"]].values.tolist() == [
        ["users", 2, "age"], ["items", 2, "price"],
    ]  # fmt: skip
    assert log.rejected.rows[["table", "column", "reason"]].values.tolist() == [
        ["users", "consent", "it must be yes or no"],
        ["events", "user_id", "its row of the users table was set aside"],
    ]
    assert balanced(log)


# D9


@pytest.mark.parametrize(
    "header",
    ["userId,movieId,rating,timestamp", "userID,itemID,Rating,TimeStamp",
     "User ID,Course ID,Stars,Date", "用户ID,课程ID,评分(分),时间", "visitorid,itemid,score,ts"],
)  # fmt: skip
def test_d9_names_as_people_write_them(tmp_path, header):
    log = read(tmp_path, {"log.csv": f"{header}\nu,i,4,1672927389\n"})
    assert [*log.tables.events] == ["user_id", "item_id", "timestamp", "rating"]


def test_d9_orders_in_chinese(tmp_path):
    orders = "用户ID,课程ID,下单时间,支付金额\nu,i,2023-01-05,9\n"
    log = read(tmp_path, {"events.csv": "user_id,item_id\nu,i\n", "订单.csv": orders})
    assert [*log.tables.orders] == ["user_id", "timestamp", "item_id", "amount"]


def test_d9_what_is_not_understood_says_the_line_to_write(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("wer,内容\nu,i\n")
    with pytest.raises(ValueError, match=r"log\.csv: it has no column user_id") as refused:
        read_log(path)
    assert 'write mapping: {columns: {events: {"wer": user_id}}}' in str(refused.value)
    mapping = LogMapping.of({"columns": {"events": {"wer": "user_id"}}})
    assert values(read_log(path, mapping=mapping), "user_id") == ["u"]


# D10


TEXT = "user_id,item_id\nu,i\n"
CONTAINERS = {
    "log.csv.gz": gzip.compress(TEXT.encode()),
    "log.tsv": TEXT.replace(",", "\t").encode(),
    "log.txt": TEXT.replace(",", "|").encode(),
    "log.json": json.dumps([{"user_id": "u", "item_id": "i"}]).encode(),
    "log.jsonl": b'{"user_id": "u", "item_id": "i"}\n',
}


@pytest.mark.parametrize("name", [*CONTAINERS, "log.xlsx", "log.parquet"])
def test_d10_every_container_is_read(tmp_path, name):
    path = tmp_path / name
    if name == "log.xlsx":
        write_xlsx(path, {"Sheet1": [["user_id", "item_id"], ["u", "i"]]})
    elif name == "log.parquet":
        pq.write_table(pa.table({"user_id": ["u"], "item_id": ["i"]}), path)
    else:
        path.write_bytes(CONTAINERS[name])
    for source in (path, tmp_path):
        assert values(read_log(source), "user_id") == ["u"]


def test_d10_folders_of_days_and_files_of_months(tmp_path):
    day = {"user_id": ["u"], "item_id": ["i"]}
    days = {f"events/dt=2023-01-0{number}/x.parquet": day for number in (5, 6)}
    assert len(read(tmp_path / "hive", days).tables.events) == 2
    months = {f"2023-0{month}.csv": TEXT for month in (1, 2)}
    log = read(tmp_path / "months", months)
    assert len(log.tables.events) == 2 and said(log, "2023-01.csv, 2023-02.csv", "one table")


# D11


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_d11_lines_above_the_header_and_other_separators(tmp_path, separator):
    text = "导出时间：2023-01-05\n\n用户ID,课程ID,观看时长\nu,i,5\n".replace(",", separator)
    log = read(tmp_path, {"log.csv": text})
    assert values(log, "watch_time") == [5]
    assert said(log, "log.csv: its columns are separated by")
    assert said(log, "log.csv: the first line is not part of the table; the header is in line 3")


def test_d11_the_unicode_text_of_excel_and_recbole(tmp_path):
    utf16 = "用户\t内容\nu\ti\n".encode("utf-16")
    assert values(read(tmp_path / "a", {"log.txt": utf16}), "user_id") == ["u"]
    recbole = "user_id:token\titem_id:token\ttimestamp:float\nu\ti\t1672927389\n"
    log = read(tmp_path / "b", {"log.inter": recbole})
    assert log.tables.events["timestamp"].dt.year.tolist() == [2023]


def test_d11_a_log_without_a_header_is_told_so(tmp_path):
    with pytest.raises(ValueError, match=r"the first line looks like data .* add a header line"):
        read(tmp_path, {"log.csv": "10001,20001,2023-01-05\n10002,20001,2023-01-06\n"})


# D12


def test_d12_a_guessed_encoding_is_told(tmp_path):
    western = "user_id,item_id\nMüller,Café\nJosé,i\n".encode("cp1252")
    log = read(tmp_path / "a", {"log.csv": western})
    assert values(log, "user_id") == ["Müller", "José"]
    assert said(log, "read as Windows-1252, for example Müller")
    chinese = "用户,内容,备注栏\n张三,摄影,无\n".encode("gb18030")
    log = read(tmp_path / "b", {"log.csv": chinese})
    assert values(log, "user_id") == ["张三"] and said(log, "read as GB18030, for example 用户")


def test_d12_one_cut_letter_is_named_by_its_byte(tmp_path):
    rows = "".join(f"用户{n},内容{n}\n" for n in range(50))
    cut = f"用户,内容\n{rows}".encode().replace("内容7\n".encode(), "内容7\n".encode()[1:])
    with pytest.raises(ValueError, match=r"log.csv row 9: the byte 0x.* is not UTF-8"):
        read(tmp_path, {"log.csv": cut})


# D13


def test_d13_unused_nested_values_are_left_out_with_a_note(tmp_path):
    rows = [{"user_id": n, "item_id": "i", "device": {"os": "ios"}, "tags": [1]} for n in (1, 2)]
    lines = "\n".join(map(json.dumps, rows))
    for name, text in (("log.jsonl", lines), ("log.json", json.dumps(rows))):
        log = read(tmp_path / name.removeprefix("log."), {name: text})
        assert values(log, "user_id") == ["1", "2"]
        assert said(log, f"{name}: the lists and objects in device, tags are left out")


def test_d13_json_of_which_every_row_is_broken_is_told_by_its_own_fault(tmp_path):
    with pytest.raises(ValueError, match="none of its 2 lines is a row; the first, row 1, is not"):
        read(tmp_path, {"log.jsonl": '{"user_id": 1,\n{"user_id": 2,\n'})


# D15


def test_d15_a_purchase_is_an_order_and_what_was_taken_back_is_no_interest(tmp_path):
    rows = ["pv", "cart", "fav", "buy", "unlike", "exposure"]
    cells = "".join(f"u,i,{word},2023-01-05\n" for word in rows)
    log = read(tmp_path, {"log.csv": f"user_id,item_id,behavior_type,timestamp\n{cells}"})
    assert values(log, "like_count") == [0, 1, 1]
    assert len(log.tables.orders) == 1 and len(log.tables.exposures) == 1
    assert said(log, "behavior_type says the type of behaviour", "unlike (1) → left out")


@pytest.mark.parametrize(
    "names", [("click", "like", "comment", "gift"), ("观看", "点赞", "评论", "送礼")]
)
def test_d15_one_file_a_type(tmp_path, names):
    log = read(tmp_path, {f"{name}.csv": TEXT for name in names})
    assert log.tables.events[["like_count", "comment_count"]].sum().tolist() == [2, 1]
    assert said(log, "hold one type of behaviour each")


def test_d15_types_that_nobody_knows_are_refused_with_the_lines_to_write(tmp_path):
    text = "user_id,item_id,event_type\nu,i,7\nu,i,8\nw,i,7\n"
    with pytest.raises(ValueError, match=r"7 \(2\), 8 \(1\); write mapping") as refused:
        read(tmp_path, {"log.csv": text})
    assert '{column: event_type, types: {"7": view, "8": view}}' in str(refused.value)
    types = {"column": "event_type", "types": {"7": "view", "8": "order"}}
    timed = text.replace("event_type", "event_type,time").replace("\nu,i,7", "\nu,i,7,2023-01-05")
    timed = timed.replace("\nu,i,8", "\nu,i,8,2023-01-05").replace("\nw,i,7", "\nw,i,7,")
    log = read(tmp_path, {"log.csv": timed}, event_types=types)
    assert len(log.tables.events) == 2 and len(log.tables.orders) == 1


# D16


def test_d16_cancelled_orders_a_second_currency_and_orders_without_an_item(tmp_path):
    rows = "u,2023-01-05,paid,¥9\nu,2023-01-06,cancelled,¥8\n"
    files = {"events.csv": TEXT, "orders.csv": f"user_id,time,status,amount\n{rows}"}
    log = read(tmp_path, files)
    assert values(log, "amount", "orders") == [9] and "item_id" not in log.tables.orders
    assert said(log, "1 of status cancelled came to nothing and are left out")
    files["orders.csv"] = "user_id,time,amount\nu,2023-01-05,¥9\nu,2023-01-06,$8\n"
    with pytest.raises(ValueError, match=r"write mapping: \{currency: CNY\}"):
        read(tmp_path, files)
    log = read(tmp_path, files, currency="CNY")
    assert values(log, "amount", "orders") == [9, None]
    assert log.rejected.cells["value"].tolist() == ["$8"]


def test_d16_one_event_without_a_time_among_many_is_kept(tmp_path):
    rows = "".join(f"u{n},i{n % 3},2023-01-{n % 27 + 1:02}\n" for n in range(200))
    path = tmp_path / "events.csv"
    path.write_text(f"user_id,item_id,timestamp\n{rows}u1,i1,\n")
    events = open_log(path).tables.events
    assert len(events) == 201 and events["timestamp"].isna().sum() == 1
