"""A folder → Tables and Rejected: no row is lost, and both ways of reading agree."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpay_lab.data.checking import check_rows
from kpay_lab.data.delimited import split_exactly, split_quickly, split_text, text_layout
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.parsing import parse_column
from kpay_lab.data.reading import read_headers, read_tables
from kpay_lab.data.splitting import HEADER_BYTES, split_file
from kpay_lab.data.tables import SCHEMAS

HEADER = "user_id,item_id,timestamp,watch_time,like_count,comment_count,session_id\n"


def written(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_bytes(
            text if isinstance(text, bytes) else text.encode()
        )
    return folder


def problems(rows):
    return list(rows[["line", "column", "value"]].itertuples(index=False, name=None))


def test_clean_file_has_the_promised_dtypes_and_order(tmp_path):
    folder = written(
        tmp_path,
        events__csv=HEADER + "007,NA,2024-01-02 03:04:05,1.5,2,有,\nu1,null,2024-01-01,,,无,s1\n",
    )
    tables, rejected = read_tables(folder)
    events = tables.events
    assert events["user_id"].tolist() == ["007", "u1"]
    assert events["item_id"].tolist() == ["NA", "null"]
    assert events["timestamp"].tolist() == [
        pd.Timestamp("2024-01-02 03:04:05", tz="UTC"),
        pd.Timestamp("2024-01-01", tz="UTC"),
    ]
    assert events["comment_count"].tolist() == [1, 0]
    assert events["session_id"].isna().tolist() == [True, False]
    assert {name: str(dtype) for name, dtype in events.dtypes.items()} == {
        "user_id": "str",
        "item_id": "str",
        "timestamp": "datetime64[us, UTC]",
        "watch_time": "float64",
        "like_count": "Int64",
        "comment_count": "Int64",
        "session_id": "str",
    }
    assert rejected.rows.empty
    SCHEMAS["events"].validate(events)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_the_documents_table_works_in_every_encoding_and_under_any_name(tmp_path, encoding):
    text = "用户,内容,观看时长,点赞,评论\n张三,课程一,12.5,1,有\n"
    folder = written(tmp_path, 行为日志__csv=text.encode(encoding))
    events = read_tables(folder)[0].events
    assert events.iloc[0].tolist() == ["张三", "课程一", 12.5, 1, 1]
    assert list(events) == ["user_id", "item_id", "watch_time", "like_count", "comment_count"]


TORTURE = (
    HEADER  # line 1
    + "u1,i1,1704067200,1,1,1,\n"  # 2 good: seconds
    + "u1,i1,1704067200000,-3,1,1,\n"  # 3 negative
    + '"u\n2",i1,,1,1,1,s\n'  # 4-5 good: a newline inside quotes
    + ",i1,,1,1,1,\n"  # 6 empty id
    + "u3,i1,,inf,1,1,\n"  # 7
    + "u3,i1,,nan,1,1,\n"  # 8 good: a word for missing
    + "u3,i1,,１２,1,1,\n"  # 9 full-width digits
    + "u3,i1\n"  # 10 ragged
    + "\n"  # 11 blank: no row
    + "u3,i1,,1,1,1,s,extra\n"  # 12 ragged
    + "u3,i1,yesterday,x,1.5,many,\n"  # 13 four problems
    + "u4,i1,20240101,1e3,2.0,无,\n"  # 14 good: a compact date
    + 'u5,i1,now,1,1,1,5" screen\n'  # 15 a word that is no time
    + 'u6,i1,,1_000,1,1,"a"b\n'  # 16 broken quotes
    + 'u7,i1,,7,1,1,"never closed\n'  # 17 costs its own line only
    + "u8,i1,2024-01-01T08:00:00+08:00,8,9007199254740993,1,\n"  # 18 too large
    + "  ,i1,,1,1,1,\n"  # 19 blank id
    + "u9,i1,2024-01-01T08:00:00+08:00, 8 ,0x10,true,\n"  # 20 hexadecimal
    + "u9,i1,2024-01-01T08:00:00+08:00, 8 ,3.0,有,"  # 21 good
)
TORTURED = [
    (3, "watch_time", "-3"),
    (6, "user_id", ""),
    (7, "watch_time", "inf"),
    (9, "watch_time", "１２"),
    (10, "", "u3,i1"),
    (12, "", "u3,i1,,1,1,1,s,extra"),
    (13, "timestamp", "yesterday"),
    (13, "watch_time", "x"),
    (13, "like_count", "1.5"),
    (13, "comment_count", "many"),
    (15, "timestamp", "now"),
    (16, "", 'u6,i1,,1_000,1,1,"a"b'),
    (17, "", 'u7,i1,,7,1,1,"never closed'),
    (18, "like_count", "9007199254740993"),
    (19, "user_id", "  "),
    (20, "like_count", "0x10"),
]


def test_torture_file_keeps_each_good_row_and_places_each_bad_one(tmp_path):
    """Only what has no id, or is no row at all, is rejected; any other bad cell is missing."""
    tables, rejected = read_tables(written(tmp_path, events__csv=TORTURE))
    fatal = [problem for problem in TORTURED if problem[1] in ("", "user_id")]
    optional = [problem for problem in TORTURED if problem not in fatal]
    assert problems(rejected.rows) == fatal
    assert problems(rejected.cells) == optional
    assert rejected.counts.iloc[0].tolist() == ["events", 18, 12, len(fatal), len(optional)]
    events = tables.events
    users = ["u1", "u1", "u\n2", "u3", "u3", "u3", "u3", "u4", "u5", "u8", "u9", "u9"]
    assert events["user_id"].tolist() == users
    watched = [1, None, 1, None, None, None, None, 1000, 1, 8, 8, 8]
    assert (
        events["watch_time"].astype(object).where(events["watch_time"].notna(), None).tolist()
        == watched
    )
    first_of_january = pd.Timestamp("2024-01-01", tz="UTC")
    timed = events["timestamp"].dropna()
    assert timed.index.tolist() == [0, 1, 7, 9, 10, 11] and (timed == first_of_january).all()
    evidence = rejected.evidence()
    assert evidence["outcome"].value_counts().to_dict() == {
        "row set aside": len(fatal),
        "cell taken as missing": len(optional),
    }
    assert "events.csv row 6: user_id is empty; it must not be empty" in rejected.messages()
    said = "\n".join(rejected.notes)
    assert (
        "events: watch_time: 4 values were not understood and count as missing, such as -3" in said
    )
    assert "many" not in said  # what may be a comment is quoted nowhere


def test_a_bad_optional_cell_takes_no_key_along(tmp_path):
    """A price that is no number once cost every event of its item, with a false reason."""
    written(
        tmp_path,
        items__csv="item_id,price\ni1,on request\n",
        users__csv="user_id,age,consent\nu1,18-23,yes\nu2,30,perhaps\nu2,30,yes\n",
        events__csv="user_id,item_id\nu1,i1\nu2,i1\n",
    )
    tables, rejected = read_tables(tmp_path)
    assert rejected.messages() == ["users.csv row 3: consent is perhaps; it must be yes or no"]
    assert len(tables.events) == 2 and "price" not in tables.items
    written(tmp_path, users__csv="user_id,age,consent\nu1,18-23,yes\nu2,30,perhaps\n")
    tables, rejected = read_tables(tmp_path)
    assert tables.events["user_id"].tolist() == ["u1"]
    reason = "events.csv row 3: user_id is u2; its row of the users table was set aside"
    assert rejected.messages()[-1] == reason


def test_an_unknown_id_that_differs_only_in_form_is_shown_so(tmp_path):
    written(
        tmp_path,
        users__csv="user_id\n7\n",
        items__csv="item_id\nA01\nB\n",
        events__csv="user_id,item_id\n007,a01\n7,C\n10001.0,B\n",
    )
    _, rejected = read_tables(tmp_path)
    reasons = {row.column + row.value: row.reason for row in rejected.rows.itertuples()}
    differs = "; one there differs only in leading zeros, case or width"
    assert reasons["user_id007"] == f"the users table has no such user_id{differs}"
    assert reasons["item_ida01"] == f"the items table has no such item_id{differs}"
    assert reasons["item_idC"] == "the items table has no such item_id"
    said = "\n".join(rejected.notes)
    assert "one of the items table: a01 for A01" in said and "007" not in said


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_ids_are_equal_across_tables_whatever_they_were_written_as(tmp_path, kind):
    events = pd.DataFrame({"user_id": [10001.0, 10002.0], "item_id": ["\ti1", '="i2"']})
    users = pd.DataFrame({"user_id": ["10001", "10002 "]})
    items = pd.DataFrame({"item_id": ["i1", "`i2"]})
    for name, frame in {"events": events, "users": users, "items": items}.items():
        path = tmp_path / f"{name}.{kind}"
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    tables, rejected = read_tables(tmp_path)
    assert rejected.rows.empty
    assert tables.events.values.tolist() == [["10001", "i1"], ["10002", "i2"]]


ORDERS = """用户ID,商品ID,下单时间,支付金额,退款金额,订单状态
u,i,2023-01-01,¥99.00,,已完成
u,i,2023-01-02,50,,已取消
w,,2023-01-03,20,,交易关闭
w,i,2023-01-04,30,,已退款
w,i,2023-01-05,,,待审
"""


def test_orders_that_came_to_nothing_are_left_out(tmp_path):
    written(tmp_path, events__csv="user_id,item_id\nu,i\n", orders__csv=ORDERS)
    tables, rejected = read_tables(tmp_path)
    orders = tables.orders
    assert orders["amount"].fillna(-1).tolist() == [99, 30, -1]
    assert orders["refund_amount"].fillna(0).tolist() == [0, 30, 0]
    assert rejected.counts.iloc[1].tolist() == ["orders", 5, 5, 0, 0]
    said = "\n".join(rejected.notes)
    assert "1 of status 已取消, 1 of status 交易关闭 came to nothing and are left out" in said
    assert "1 of status 待审 count as paid" in said
    assert "1 that say they were refunded" in said


def test_an_order_may_lack_its_item_and_its_amount(tmp_path):
    text = "user_id,timestamp,plan\nu,2023-01-01,Monthly\n"
    written(tmp_path, events__csv="user_id,item_id\nu,i\n", orders__csv=text)
    tables, _ = read_tables(tmp_path)
    assert list(tables.orders) == ["user_id", "timestamp"]
    assert tables.ids("item_id").tolist() == ["i"]


@pytest.mark.parametrize(
    "rows", ["u,2023-01-01,¥9,\nu,2023-01-02,$5,\nw,2023-01-02,¥5,\n",
             "u,2023-01-01,9,CNY\nu,2023-01-02,5,USD\nw,2023-01-02,5,CNY\n"]
)  # fmt: skip
def test_a_second_currency_is_refused_and_a_mapping_says_which_counts(tmp_path, rows):
    text = f"user_id,timestamp,amount,currency\n{rows}"
    written(tmp_path, events__csv="user_id,item_id\nu,i\n", orders__csv=text)
    with pytest.raises(ValueError, match=r"CNY \(2 orders\) and USD \(1 orders\), .*currency: CNY"):
        read_tables(tmp_path)
    tables, rejected = read_tables(tmp_path, mapping=LogMapping(currency="CNY"))
    assert tables.orders["amount"].fillna(-1).tolist() == [9, -1, 5]
    assert rejected.cells["line"].tolist() == [3]
    assert list(tables.orders) == ["user_id", "timestamp", "amount"]


def test_what_was_written_as_a_comment_is_kept(tmp_path):
    text = "user_id,item_id,评论\nu,i,讲得好\nu,j,\nw,i,666\n"
    events = read_tables(written(tmp_path, events__csv=text))[0].events
    assert events["comment_count"].tolist() == [1, 0, 1]
    assert events["comment_text"].fillna("-").tolist() == ["讲得好", "-", "666"]
    text = "user_id,item_id,评论内容\nu,i,讲得好\nu,j,\n"
    events = read_tables(written(tmp_path, events__csv=text))[0].events
    assert events["comment_count"].tolist() == [1, 0]


CELLS = st.sampled_from(
    ["u1", "NA", "007", "", " ", "1", "-1", "3.5", "+2", " 4 ", "1e400", "inf", "nan", "１", "1_0",
     "2024-01-01", "2024-01-01 10:00:00", "2024-01-01T10:00Z", "1704067200", "1704067200000.5",
     "2024/02/30", "now", "20240101", "有", "无", "true", '"a,b"', '"a\nb"', '"a""b"', '5" x', '"q',
     '"a"b', "a\rb", "=1+1"]
)  # fmt: skip
ROWS = st.lists(st.lists(CELLS, min_size=7, max_size=7) | st.lists(CELLS, max_size=8), max_size=6)


ENDINGS = st.sampled_from(["\n", "\r\n", "\r"])


def log_of(folder, rows, ending):
    text = ending.join([HEADER.strip(), *(",".join(row) for row in rows)])
    return written(folder, events__csv=text + ending * (len(rows) % 2)) / "events.csv"


@settings(max_examples=300)
@given(rows=ROWS, ending=ENDINGS)
def test_the_quick_way_splits_as_the_exact_way_or_declines(tmp_path_factory, rows, ending):
    path = log_of(tmp_path_factory.mktemp("log"), rows, ending)
    text = path.read_bytes().decode()
    layout = text_layout(text, path.name)
    quick = split_quickly(text.encode(), path.name, layout)
    exact = split_exactly(text, path.name, layout)
    if quick is None:
        assert text.count("\r") > text.count("\r\n")
    else:
        assert quick.header == exact.header
        assert quick.cells == exact.cells
        assert quick.lines.tolist() == exact.lines.tolist()
        assert quick.broken == exact.broken


@settings(max_examples=30)
@given(rows=ROWS, ending=ENDINGS)
def test_no_row_is_lost_and_reading_equals_the_exact_way(tmp_path_factory, rows, ending):
    path = log_of(tmp_path_factory.mktemp("log"), rows, ending)
    exact = split_file(path)
    expected = check_rows("events", [exact], {})
    tables, rejected = read_tables(path.parent)
    pd.testing.assert_frame_equal(tables.events, expected.good)
    _, n_read, n_good, n_rejected, _ = rejected.counts.iloc[0]
    assert (n_read, n_good) == (len(exact) + len(exact.broken), len(expected.good))
    assert n_good + n_rejected == n_read


@settings(max_examples=300)
@given(rows=ROWS, ending=ENDINGS)
def test_every_line_of_a_file_is_in_one_row_or_blank(tmp_path_factory, rows, ending):
    path = log_of(tmp_path_factory.mktemp("log"), rows, ending)
    exact = split_file(path)
    lines = re.split("\r\n|\r|\n", path.read_bytes().decode())
    starts = [(line, text) for line, text, _ in exact.broken]
    good = zip(exact.lines, zip(*exact.cells, strict=True), strict=True)
    starts += [(line, ",".join(cell.as_py() for cell in cells)) for line, cells in good]
    covered = [
        line + further
        for line, text in starts
        for further in range(1 + len(re.findall("\r\n|\r|\n", text)))
    ]
    assert len(covered) == len(set(covered))
    assert all(not lines[n - 1].strip(" ,") for n in {*range(2, len(lines) + 1)} - {*covered})


VALUES = (
    "5 0.25 -2 +3 .5 1. 1e3 1E-3 1e308 1e999 nan -inf Infinity 1704067200 1704067200000 2024-01-01 "
    "2024-01-01T10:00:00.5 2024-01-01T10:00:00Z 2024-01-01T10:00:00+08:00 true ０ 有 0x10 NA"
)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("value", ["", *VALUES.split()])
@pytest.mark.parametrize("column", ["rating", "like_count", "consent", "timestamp", "title"])
def test_a_value_is_judged_alike_in_any_company(value, column):
    """Parsing a whole column at once and value by value must not differ."""
    alone, mixed = (
        parse_column(pa.array([value, other], pa.large_string()), column) for other in (value, "?")
    )
    assert (0 in alone.problems["row"].values) == (0 in mixed.problems["row"].values)
    assert str(alone.values[0]) == str(mixed.values[0])


def test_a_clean_file_with_simple_quotes_goes_the_quick_way(tmp_path):
    text = 'user_id,item_id\n"a,b","c"\n'
    quick = split_quickly(text.encode(), "events.csv", text_layout(text, "events.csv"))
    assert quick is not None and quick.lines.tolist() == [2]
    assert [cell.to_pylist() for cell in quick.cells] == [["a,b"], ["c"]]


def test_ids_must_be_known_where_their_table_is_given(tmp_path):
    folder = written(
        tmp_path,
        users__csv="user_id,age\nu1,30\nu1,31\nu2,-1\n",
        items__csv="item_id,price,kind\ni1,5,course\ni2,,film\n",
        events__csv="user_id,item_id\nu1,i1\nu2,i1\nu1,i2\nu9,i9\n",
    )
    tables, rejected = read_tables(folder)
    assert rejected.messages() == [
        "users.csv row 3: user_id is u1; an earlier row has it already",
        "events.csv row 5: user_id is u9; the users table has no such user_id",
        "events.csv row 5: item_id is i9; the items table has no such item_id",
    ]
    assert tables.events.values.tolist() == [["u1", "i1"], ["u2", "i1"], ["u1", "i2"]]
    assert rejected.cells[["file", "line", "column", "value"]].values.tolist() == [
        ["users.csv", 4, "age", "-1"],
        ["items.csv", 3, "kind", "film"],
    ]


def test_further_columns_are_kept_in_users_and_reported_elsewhere(tmp_path):
    folder = written(
        tmp_path,
        users__csv="user_id,consent,height,zip\nu1,是,1.5,01002\nu2,,,99\n",
        events__csv="user_id,item_id,ip\nu1,i1,1\n",
    )
    tables, rejected = read_tables(folder)
    assert tables.users["height"].dtype == np.float64
    assert tables.users["zip"].tolist() == ["01002", "99"]
    assert tables.users["consent"].tolist() == [True, pd.NA]
    assert list(tables.events) == ["user_id", "item_id"]
    assert rejected.notes == ("events: the columns ip are not used",)


def test_parquet_and_json_lines_give_the_same_tables_as_csv(tmp_path):
    events = pd.DataFrame(
        {
            "user_id": ["007", "NA"],
            "item_id": ["i1", "i2"],
            "timestamp": pd.to_datetime(
                ["2024-01-01 00:00:00.0", "2024-01-02 03:04:05.5"], utc=True
            ),
            "watch_time": [0.1 + 0.2, np.nan],
            "like_count": pd.array([1, None], dtype="Int64"),
        }
    )
    folders = [tmp_path / name for name in ("csv", "parquet", "parts", "jsonl")]
    for folder in folders:
        folder.mkdir()
    events.to_csv(folders[0] / "events.csv", index=False)
    events.to_parquet(folders[1] / "events.parquet")
    (folders[2] / "events.parquet").mkdir()
    for part in range(2):
        events.iloc[[part]].to_parquet(folders[2] / "events.parquet" / f"part-{part}.parquet")
    rows = events.assign(timestamp=events["timestamp"].astype("str"))
    lines = [row.dropna().to_json(force_ascii=False) for _, row in rows.iterrows()]
    exact_first = lines[0].replace("0.3,", f"{0.1 + 0.2!r},")
    (folders[3] / "events.jsonl").write_text("\n".join([exact_first, lines[1]]))
    first, *others = [read_tables(folder)[0].events for folder in folders]
    assert first["watch_time"].iloc[0] == 0.1 + 0.2
    for other in others:
        pd.testing.assert_frame_equal(first, other)


def test_bad_json_lines_and_bad_parquet_values_are_placed(tmp_path):
    rows = [{"user_id": 7, "item_id": "i1", "watch_time": None}, {"user_id": ["a"], "item_id": "i"}]
    text = "\n".join(
        [json.dumps(rows[0]), "", "{broken", json.dumps(rows[1]), "[1]", '{"user_id":1}']
    )
    text += '\n{"user_id": "\\ud800", "item_id": "i"}'
    text += '\n{"user_id": "u", "item_id": "i", "watch_time": NaN}'
    tables, rejected = read_tables(written(tmp_path, events__ndjson=text))
    assert tables.events["user_id"].tolist() == ["7", "u"]
    assert "watch_time" not in tables.events  # null and NaN are no values
    assert rejected.rows["line"].tolist() == [3, 4, 5, 6, 7]
    (tmp_path / "events.ndjson").unlink()
    table = pa.table(
        {"user_id": [1, 2, 3], "item_id": ["a", "b", None], "watch_time": [1, -1, 2.5]}
    )
    pq.write_table(table, tmp_path / "events.parquet")
    tables, rejected = read_tables(tmp_path)
    assert tables.events["user_id"].tolist() == ["1", "2"]
    assert tables.events["watch_time"].fillna(-9).tolist() == [1.0, -9.0]
    assert problems(rejected.rows) == [(3, "item_id", "")]
    assert problems(rejected.cells) == [(2, "watch_time", "-1")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no events; add events.csv"),
        ({"users__csv": "user_id\nu", "items__csv": "item_id\ni"}, "holds no events"),
        ({"events__csv": ""}, "events.csv is empty; its first line must name the columns"),
        ({"events__csv": "a,b\n1,2\n"}, "it has no column user_id; it has no column item_id"),
        ({"events__csv": "uid,user_id,item_id\n1,2,3\n"}, "uid and user_id both mean user_id"),
        ({"events__csv": b"user_id,item_id\nu,\xff\xff\n"}, "neither UTF-8 nor GB18030"),
        ({"events__parquet": "no"}, "events.parquet cannot be read as Parquet"),
        ({"events__csv": "user_id,item_id\n", "events__jsonl": "{}"}, "events is there twice"),
        ({"events__jsonl": "[]\n"}, "events.jsonl holds no rows"),
        (
            {"events__jsonl": "{\n{\n"},
            "none of its 2 lines is a row; the first, row 1, is not a JSON",
        ),
        ({"events__csv": '"user_id,item_id\n'}, "events.csv row 1: its quotes are broken"),
    ],
)
def test_what_cannot_be_a_log_gives_one_clear_error(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        read_tables(written(tmp_path, **files))


def test_header_only_is_an_empty_table_and_an_absent_folder_an_error(tmp_path):
    tables, rejected = read_tables(written(tmp_path, events__csv=HEADER))
    assert len(tables.events) == 0 and rejected.counts["read"].tolist() == [0]
    assert str(tables.events["timestamp"].dtype) == "datetime64[us, UTC]"
    with pytest.raises(ValueError, match="is no folder"):
        read_tables(tmp_path / "absent")


def test_a_quote_closed_in_a_later_line_costs_no_other_line(tmp_path):
    text = 'user_id,item_id,title\nu1,i,"open\nu2,i,"open\nu3,i,fine\n'
    tables, rejected = read_tables(written(tmp_path, events__csv=text))
    assert tables.events["user_id"].tolist() == ["u3"]
    assert rejected.rows["line"].tolist() == [2, 3]


def test_messages_stay_on_one_short_line(tmp_path):
    text = 'user_id,timestamp\nu,"1\n\x1b[31m"\nu,' + "x" * 9999 + "\n"
    written(tmp_path, events__csv="user_id,item_id,rating\nu,i," + "y" * 9999 + "\n")
    rejected = read_tables(written(tmp_path, orders__csv=text))[1]
    messages = rejected.messages()
    assert messages[0].startswith(r"orders.csv row 2: timestamp is 1\n\x1b[31m; it is not a time")
    assert "x… (9,999 letters); it is not a time" in messages[1]
    assert "y… (9,999 letters)" in rejected.notes[0] and len(rejected.notes[0]) < 300


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize(
    "header", ["用户,内容,观看时长", "kunde,artikel", "uid,user_id,item_id", "用户"]
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_headers_are_judged_as_reading_judges_them(tmp_path, header, encoding, ending):
    names = header.split(",")
    row = json.dumps(dict.fromkeys(names, "1"), ensure_ascii=False)
    text = row if ending == "jsonl" else f"{header}\n{','.join('1' for _ in names)}\n"
    (tmp_path / f"events.{ending}").write_bytes(text.encode(encoding))
    columns, faults = read_headers(tmp_path)
    try:
        tables, _ = read_tables(tmp_path)
    except ValueError as error:
        assert faults == [str(error)]
    else:
        assert faults == [] and set(tables.events) <= columns["events"]


def test_every_file_that_cannot_be_understood_is_named(tmp_path):
    written(tmp_path, events__csv="a,b\n", items__jsonl='{"colour": 1}\n', users__parquet="no")
    (tmp_path / "orders").mkdir()
    written(tmp_path / "orders", one__csv="user_id,item_id\n", two__csv="")
    _, faults = read_headers(tmp_path)
    starts = [fault.partition(" ")[0] for fault in faults]
    assert starts == ["events.csv:", "items.jsonl:", "users.parquet", "one.csv:", "two.csv"]
    (tmp_path / "orders" / "one.csv").write_text("kunde,artikel\n")
    assert read_headers(tmp_path / "orders")[1][0].startswith(
        f"{tmp_path / 'orders'} holds no events"
    )


def test_a_header_ends_where_its_file_is_cut(tmp_path):
    """A long file is cut inside a letter of three bytes, or inside a JSON row."""
    long = "用户,内容\n" + "用,内\n" * 150_000
    with pytest.raises(UnicodeDecodeError):
        long.encode()[:HEADER_BYTES].decode()
    written(tmp_path, events__csv=long)
    assert read_headers(tmp_path) == ({"events": {"user_id", "item_id"}}, [])
    row = json.dumps({"user_id": "用", "item_id": "内"}, ensure_ascii=False)
    folder = tmp_path / "lines"
    folder.mkdir()
    written(folder, events__jsonl=f"{row}\n" * 30_000)
    assert read_headers(folder) == ({"events": {"user_id", "item_id"}}, [])


def test_a_column_without_any_value_is_as_good_as_absent(tmp_path):
    text = "user_id,item_id,timestamp,watch_time,rating\nu,a,,3,\nv,a,,,5\n"
    (tmp_path / "events.csv").write_text(text)
    tables, rejected = read_tables(tmp_path)
    assert list(tables.events) == ["user_id", "item_id", "watch_time", "rating"]
    assert rejected.notes == ("events: the columns timestamp hold no value",)
    (tmp_path / "events.csv").write_text("user_id,item_id,rating\nu,a,bad\n")
    tables, rejected = read_tables(tmp_path)
    assert list(rejected.cells["column"]) == ["rating"] and "rating" not in tables.events
    assert rejected.notes[0].startswith("events: rating: 1 value was not understood")


def test_the_rows_of_problems_are_numbers(tmp_path):
    """As objects they are compared one by one with every row, which takes hours in a large log."""
    text = "user_id,item_id,rating\nu,i,good\n,i,4\nu,i,5\n"
    rows = split_text(text, "events.csv")
    for partitions in ([rows], [split_text("user_id,item_id\nu,i\n", "events.csv")]):
        checked = check_rows("events", partitions, {})
        assert checked.problems["row"].dtype == checked.cells["row"].dtype == np.int64


def test_a_source_that_the_catalogue_lacks_is_missing_and_said():
    """The order stays: its money is known, and only who sold it is not."""
    items = pd.DataFrame({"item_id": ["course", "live"], "promotes": [None, "course"]})
    events = pd.DataFrame(
        {"user_id": ["u"] * 2, "item_id": "course", "source_item_id": ["live", "x"]}
    )
    orders = pd.DataFrame(
        {
            "user_id": ["u", "u", "u"],
            "item_id": "course",
            "timestamp": "2026-01-05 10:00",
            "amount": [9, 8, 7],
            "source_item_id": ["live", "LIVE", None],
        }
    )
    tables, rejected = read_tables({"items": items, "events": events, "orders": orders})
    assert tables.orders["source_item_id"].fillna("").tolist() == ["live", "", ""]
    assert tables.orders["amount"].sum() == 24
    assert tables.events["source_item_id"].fillna("").tolist() == ["live", ""]
    assert rejected.rows.empty
    assert rejected.cells[["table", "column", "value"]].to_numpy().tolist() == [
        ["events", "source_item_id", "x"],
        ["orders", "source_item_id", "LIVE"],
    ]
    assert any("source_item_id: 1 value was not understood" in note for note in rejected.notes)
    without_items, rejected = read_tables({"events": events, "orders": orders})
    assert without_items.orders["source_item_id"].fillna("").tolist() == ["live", "LIVE", ""]
    assert rejected.cells.empty
