"""One file → rows: each container, each encoding, each separator; what was assumed is noted."""

import gzip
import json
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpay_lab.data.decoding import BYTE_ORDER_MARKS, as_utf8, decode
from kpay_lab.data.reading import read_tables
from kpay_lab.data.splitting import read_header, split_file, split_frame
from tests.workbooks import (
    DATE,
    DURATION,
    MOMENT,
    TIME,
    error,
    formula,
    styled,
    write_ods,
    write_xlsx,
)

LOG = "user_id,item_id,watch_time\nu1,i1,5\nu2,i2,7\n"
CHINESE = "用户,内容,观看时长\n张三,摄影第一课,5\n李四,课程二,7\n"


def split(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return split_file(path)


def columns(rows):
    return {name: column.to_pylist() for name, column in zip(rows.header, rows.cells, strict=True)}


def reasons(rows):
    return [(line, reason) for line, _, reason in rows.broken]


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.txt", "LOG.CSV"])
@pytest.mark.parametrize(
    ("separator", "word"),
    [(",", ""), (";", "a semicolon"), ("\t", "a TAB"), ("|", "|"), ("\x01", r"\x01")],
)
def test_the_header_tells_the_separator(tmp_path, name, separator, word):
    rows = split(tmp_path, name, LOG.replace(",", separator))
    assert columns(rows) == {
        "user_id": ["u1", "u2"],
        "item_id": ["i1", "i2"],
        "watch_time": ["5", "7"],
    }
    assert rows.notes == ((f"{name}: its columns are separated by {word}",) if word else ())
    assert read_header(tmp_path / name) == rows.header


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_told_by_even_lines_where_no_name_is_known(tmp_path, separator):
    text = f"kunde{separator}artikel{separator}notiz\n"
    text += "".join(f"k{n}{separator}a{n}{separator}x | y\n" for n in range(9))
    assert split(tmp_path, "log.csv", text).header == ["kunde", "artikel", "notiz"]


def test_lines_above_the_header_are_no_rows_and_are_noted(tmp_path):
    text = f"观看报告,,\n导出时间：2023-01-05,,\n\n# internal use\n{LOG}"
    rows = split(tmp_path, "log.csv", text)
    assert rows.lines.tolist() == [6, 7] and not rows.broken
    assert rows.header == ["user_id", "item_id", "watch_time"]
    assert rows.notes == (
        "log.csv: the first 3 lines are not part of the table; the header is in line 5",
    )


def test_a_row_that_says_course_is_no_header(tmp_path):
    rows = split(tmp_path, "log.csv", "kunde,artikel,art\nk1,a1,课程\nk2,a2,课程\n")
    assert rows.header == ["kunde", "artikel", "art"] and len(rows) == 2


def test_a_comment_sign_and_types_in_the_header_are_taken_away(tmp_path):
    rows = split(tmp_path, "log.csv", "# user_id,item_id\nu,i\n")
    assert rows.header == ["user_id", "item_id"]
    recbole = "user_id:token\titem_id:token\ttimestamp:float\n1\t2\t881250949\n"
    assert split(tmp_path, "ml.inter", recbole).header == ["user_id", "item_id", "timestamp"]


@pytest.mark.parametrize(
    "text",
    [
        "10001,2,2023-01-05 14:03:00,544\n10002,2,2023-01-05 14:03:00,544\n",
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        "u1,i1\nu1,i2\nu2,i1\n",
    ],
)
def test_a_first_line_that_is_data_is_called_so(tmp_path, text):
    message = "log.csv: the first line looks like data .* add a header line such as user_id,item_id"
    with pytest.raises(ValueError, match=message):
        split(tmp_path, "log.csv", text)
    with pytest.raises(ValueError, match=message):
        read_header(tmp_path / "log.csv")


def test_the_unicode_text_of_a_spreadsheet_program_is_read(tmp_path):
    text = CHINESE.replace(",", "\t").replace("\n", "\r\n")
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        rows = split(tmp_path, "log.txt", text.encode(encoding))
        assert rows.header == ["用户", "内容", "观看时长"] and rows.lines.tolist() == [2, 3]


def test_blank_lines_and_lines_of_separators_are_no_rows(tmp_path):
    rows = split(tmp_path, "log.csv", "\n\nuser_id,item_id\n\nu,i\n,\n \nv,j\n , \n")
    assert rows.lines.tolist() == [5, 8]
    assert reasons(rows) == [(7, "the line has 1 fields, but the header has 2")]


def test_rows_of_totals_and_repeated_headers_are_set_aside(tmp_path):
    text = (
        "用户,内容,观看时长\nu1,i1,5\n合计,1 条,5\n\ufeff用户,内容,观看时长\nu2,i2,7\n"
        "sum,i3,1\nu3,i1,2\nu4,i1,2\nu5,i1,2\nu6,i1,2\n总计：,,19\n制表人,张三,\n"
    )
    rows = split(tmp_path, "log.csv", text)
    assert reasons(rows) == [
        (4, "the header is repeated here"),
        (3, "it is a row of totals, not of data"),
        (11, "it is a row of totals, not of data"),
    ]
    assert columns(rows)["用户"] == ["u1", "u2", "sum", "u3", "u4", "u5", "u6", "制表人"]
    _, rejected = read_tables(tmp_path)
    assert rejected.counts.iloc[0].tolist() == ["events", 11, 8, 3, 0]


@pytest.mark.parametrize("word", ["合计", "小计", "汇总", "Total", "Grand total:", "合计：3 条"])
def test_the_last_row_may_be_a_total_in_any_words(tmp_path, word):
    rows = split(tmp_path, "log.csv", f"user_id,item_id\nu1,i1\n{word},\n")
    assert columns(rows)["user_id"] == ["u1"] and len(rows.broken) == 1


def test_a_bad_line_costs_itself_alone_and_every_row_knows_its_line(tmp_path):
    text = 'user_id,item_id\nu1,"a\nb"\nu2\n\nu3,5" screen\n'
    text += 'u4,"say ""hi"""\nu5,"open\nu6,"x" y\nu7,i\n'
    rows = split(tmp_path, "log.csv", text)
    assert columns(rows)["user_id"] == ["u1", "u3", "u4", "u7"]
    assert columns(rows)["item_id"] == ["a\nb", '5" screen', 'say "hi"', "i"]
    assert rows.lines.tolist() == [2, 6, 7, 10]
    assert [line for line, _, _ in rows.broken] == [4, 8, 9]
    assert rows.broken[1][1] == 'u5,"open'


def test_packed_files_are_unpacked(tmp_path):
    rows = split(tmp_path, "events.csv.gz", gzip.compress(LOG.encode()))
    assert len(rows) == 2 and rows.file == "events.csv.gz"
    lines = '{"user_id": 1, "item_id": 2}\n'
    assert len(split(tmp_path, "events.jsonl.gz", gzip.compress(lines.encode()))) == 1
    with pytest.raises(ValueError, match=r"broken.csv.gz cannot be unpacked"):
        split(tmp_path, "broken.csv.gz", gzip.compress(LOG.encode())[:-9])


def test_a_guessed_encoding_is_noted_with_a_sample(tmp_path):
    rows = split(tmp_path, "log.csv", CHINESE.encode("gb18030"))
    assert columns(rows)["内容"] == ["摄影第一课", "课程二"]
    assert rows.notes == (
        "log.csv: it is not UTF-8 and was read as GB18030, for example 用户; "
        "if that is wrong, save it as UTF-8",
    )
    western = "user_id,item_id,host\nu1,i1,Müller\nu2,i2,Übergröße\n"
    rows = split(tmp_path, "log.csv", western.encode("cp1252"))
    assert columns(rows)["host"] == ["Müller", "Übergröße"]
    assert "was read as Windows-1252, for example Müller" in rows.notes[0]


def test_known_chinese_names_or_common_letters_prove_the_guess(tmp_path):
    rare = "用户,内容,备注\n龘靐齉,饕餮,魑魅\n"
    assert split(tmp_path, "log.csv", rare.encode("gb18030")).header == ["用户", "内容", "备注"]
    latin_header = "user_id,item_id,备注\nu,i,很好的课程\n"
    rows = split(tmp_path, "log.csv", latin_header.encode("gb18030"))
    assert columns(rows)["备注"] == ["很好的课程"]


def test_signs_of_money_do_not_hide_the_guess(tmp_path):
    """In GB18030 the narrow sign has four bytes, which no other encoding has."""
    text = "user_id,timestamp,amount\n" + "u1,2023-01-05,¥9.90\n" * 9 + "合计,,¥89.10\n"
    path = tmp_path / "orders.csv"
    path.write_bytes(text.encode("gb18030"))
    assert split_file(path).cells[2][0].as_py() == "¥9.90"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_damaged_letter_is_named_by_its_byte_and_line(tmp_path, encoding):
    raw = (CHINESE * 50).encode(encoding)
    cut = raw.index("李".encode(encoding if encoding != "utf-8-sig" else "utf-8"), 400)
    line = raw.count(b"\n", 0, cut) + 1
    broken = raw[:cut] + b"\xff" + raw[cut + 1 :]
    name = "GB18030" if encoding == "gb18030" else "UTF-8"
    message = rf"log.csv row {line}: the byte 0xff \(number {cut + 1:,} of the file\) is not {name}"
    with pytest.raises(ValueError, match=message):
        split(tmp_path, "log.csv", broken)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("user_id,item_id\n使用者,課程內容與學習\n" * 9, "big5"),
        ("user_id,id\nпривет,мир\n", "cp1251"),
    ],
)
def test_an_encoding_that_cannot_be_told_is_refused(tmp_path, text, encoding):
    with pytest.raises(ValueError, match="save it as UTF-8"):
        split(tmp_path, "log.csv", text.encode(encoding))


def test_a_single_broken_letter_does_not_make_the_others_western(tmp_path):
    raw = "user_id,item_id,host\nu,i,café\nu,i,caf".encode() + b"\xe9\n"
    with pytest.raises(ValueError, match=r"log.csv row 3: the byte 0xe9 .* is not UTF-8"):
        split(tmp_path, "log.csv", raw)


def test_two_encodings_in_one_file_are_refused_with_the_line(tmp_path):
    raw = CHINESE.encode() + "王五,课程二,5\n王六,课程二,5\n".encode("gb18030")
    with pytest.raises(ValueError, match=r"row 4"):
        split(tmp_path, "log.csv", raw)


def test_json_may_be_lines_an_array_or_an_object_around_one(tmp_path):
    rows = [{"user_id": 1, "item_id": "a", "tags": ["x"], "watch_time": 1.50}, {"user_id": 2}]
    texts = {
        "log.json": json.dumps(rows, indent=2),
        "log.jsonl": "\n".join(map(json.dumps, rows)),
        "dump.json": json.dumps({"RECORDS": rows}),
    }
    for name, text in texts.items():
        found = split(tmp_path, name, text.replace("1.5", "1.50"))
        assert columns(found) == {
            "user_id": ["1", "2"],
            "item_id": ["a", ""],
            "watch_time": ["1.50", ""],
        }
        assert found.notes == (f"{name}: the lists and objects in tags are left out",)
        assert read_header(tmp_path / name) == ["user_id", "item_id", "watch_time"]


def test_a_nested_value_where_one_is_needed_breaks_its_row(tmp_path):
    text = '[{"user_id": ["a"], "item_id": "i"}, {"user_id": "u", "item_id": "i"}, 3]'
    rows = split(tmp_path, "log.json", text)
    assert columns(rows)["user_id"] == ["u"] and rows.lines.tolist() == [2]
    assert [line for line, _, _ in rows.broken] == [1, 3]


def test_json_without_a_single_row_is_told_by_its_own_fault(tmp_path):
    with pytest.raises(ValueError, match=r"array that cannot be read: .* line 2"):
        split(tmp_path, "log.json", '[{"user_id": 1},\n{"user_id": }]')
    with pytest.raises(ValueError, match="none of its 2 lines is a row; the first, row 1, is not"):
        split(tmp_path, "log.jsonl", "no\nno\n")


def test_parquet_keeps_its_types(tmp_path):
    table = pa.table(
        {
            "user_id": pa.array([1, 2], pa.int64()),
            "item_id": pa.array(["a", "b"]).dictionary_encode(),
            "watch_time": pa.array([timedelta(minutes=12, seconds=33), None], pa.duration("us")),
            "timestamp": pa.array([datetime(2023, 1, 5), None], pa.timestamp("ns")),
            "title": pa.array([b"\xe8\xaf\xbe", b"b"], pa.binary()),
            "tags": [["x"], []],
            "embedding": [{"a": 1}, None],
            "icon": pa.array([b"\xff", b"\xfe"], pa.binary()),
        }
    )
    path = tmp_path / "events.parquet"
    pq.write_table(table, path)
    rows = split_file(path)
    types = dict(zip(rows.header, [str(column.type) for column in rows.cells], strict=True))
    assert types == {
        "user_id": "int64",
        "item_id": "large_string",
        "watch_time": "duration[us]",
        "timestamp": "timestamp[ns]",
        "title": "large_string",
    }
    assert columns(rows)["title"] == ["课", "b"]
    assert rows.lines.tolist() == [1, 2]
    assert rows.notes == (
        "events.parquet: the columns tags, embedding, icon hold no plain values and are left out",
    )
    pq.write_table(table.append_column("rating", [[[1], [2]]]), path)
    with pytest.raises(ValueError, match="rating must hold plain values; it holds list"):
        split_file(path)


def test_old_times_of_parquet_stay_what_they_are(tmp_path):
    path = tmp_path / "events.parquet"
    moments = [datetime(2023, 1, 5, 14, 3), datetime(2101, 1, 1)]
    table = pa.table({"timestamp": pa.array(moments, pa.timestamp("us"))})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    assert columns(split_file(path))["timestamp"] == [pd.Timestamp(moment) for moment in moments]


def test_frames_keep_their_types_and_mixed_columns_each_value_for_itself():
    frame = pd.DataFrame(
        {
            "user_id": [7, "u8"],
            "item_id": pd.Categorical(["a", "b"]),
            "watch_time": [1.5, np.nan],
            "tags": [["x"], {"y": 1}],
        }
    )
    rows = split_frame(frame, "events")
    assert columns(rows) == {
        "user_id": ["7", "u8"],
        "item_id": ["a", "b"],
        "watch_time": [1.5, None],
    }
    assert rows.notes == ("events: the columns tags hold no plain values and are left out",)


def test_a_sheet_gives_typed_columns(tmp_path):
    write_xlsx(
        tmp_path / "log.xlsx",
        {
            "Sheet1": [
                ["课程观看报告"],
                [],
                [None, "用户", "课程", "时间", "观看时长", "点赞", "评分", "备注"],
                [None, 10001, 7, styled(44931.5, MOMENT), styled(0.5, TIME), True, 4.5, "好"],
                [],
                [None, 10002, "u8", styled(44932, DATE), styled(1.25, DURATION), False, error()],
                [None, "合计", None, None, None, None, formula("SUM(G4:G6)", 9)],
            ]
        },
    )
    rows = split_file(tmp_path / "log.xlsx")
    assert columns(rows) == {
        "用户": [10001, 10002],
        "课程": ["7", "u8"],
        "时间": [datetime(2023, 1, 5, 12), datetime(2023, 1, 6)],
        "观看时长": [timedelta(hours=12), timedelta(hours=30)],
        "点赞": [True, False],
        "评分": [4.5, None],
        "备注": ["好", ""],
    }
    assert rows.lines.tolist() == [4, 6]
    assert reasons(rows) == [(7, "it is a row of totals, not of data")]
    assert rows.notes == (
        "log.xlsx: the first line is not part of the table; the header is in line 3",
        "log.xlsx: 1 cells of the workbook hold an error, such as #N/A; taken as empty",
    )
    assert read_header(tmp_path / "log.xlsx")[1:3] == ["用户", "课程"]


def test_formulas_give_their_values_and_large_numbers_stay_floats(tmp_path):
    rows = [["user_id", "item_id"], [7.91557e17, formula("1+1", 2)], [1, formula("1+2", 3)]]
    write_xlsx(tmp_path / "log.xlsx", {"S": rows})
    found = split_file(tmp_path / "log.xlsx")
    assert columns(found) == {"user_id": [7.91557e17, 1.0], "item_id": [2, 3]}


def test_open_document_sheets_are_read_and_what_is_none_is_refused(tmp_path):
    write_ods(tmp_path / "log.ods", {"S": [["user_id", "item_id"], ["u1", 2.0]]})
    assert columns(split_file(tmp_path / "log.ods")) == {"user_id": ["u1"], "item_id": [2]}
    with pytest.raises(ValueError, match=r"bad.xlsx cannot be read as a spreadsheet"):
        split(tmp_path, "bad.xlsx", "no")
    write_xlsx(tmp_path / "empty.xlsx", {"S": []})
    with pytest.raises(ValueError, match=r"empty.xlsx is empty"):
        split_file(tmp_path / "empty.xlsx")
    write_xlsx(tmp_path / "hidden.xlsx", {"S": [["user_id"]]}, hidden=["S"])
    with pytest.raises(ValueError, match=r"hidden.xlsx has no sheet that can be seen"):
        split_file(tmp_path / "hidden.xlsx")


def test_a_file_may_be_something_else_than_its_name_says(tmp_path):
    rows = split(tmp_path, "export.xls", LOG.replace(",", "\t"))
    assert rows.header == ["user_id", "item_id", "watch_time"]
    write_xlsx(tmp_path / "log.csv", {"S": [["user_id", "item_id"], ["u", "i"]]})
    assert columns(split_file(tmp_path / "log.csv")) == {"user_id": ["u"], "item_id": ["i"]}
    with pytest.raises(ValueError, match=r"page.xls is a web page, not a table; open it in"):
        split(tmp_path, "page.xls", "<html><table><tr><td>用户</td></tr></table></html>")


def test_a_value_in_an_object_is_a_column_where_its_dotted_name_is_known_or_said(tmp_path):
    rows = [
        {"event": "play", "user": {"id": 7}, "properties": {"course_id": "c1", "os": "ios"}},
        {"event": "play", "user": {"id": 8}, "properties": {"course_id": "c2", "more": {"s": 3}}},
        {"event": "play", "user": {"id": 9}, "properties": None},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = split_file(path)
    assert columns(found) == {
        "event": ["play"] * 3,
        "user.id": ["7", "8", "9"],
        "properties": [""] * 3,
    }
    assert found.notes == ("log.jsonl: the lists and objects in properties are left out",)
    said = ["properties.course_id", "properties.more.s"]
    found = split_file(path, said)
    assert columns(found)["properties.course_id"] == ["c1", "c2", ""]
    assert columns(found)["properties.more.s"] == ["", "3", ""]
    assert "properties.os" not in found.header
    assert found.notes == ("log.jsonl: the lists and objects in properties are left out",)
    assert read_header(path, said) == found.header
    assert found.broken == ()


MARKS = st.sampled_from([b"", *BYTE_ORDER_MARKS])
ENCODED = st.builds(
    str.encode,
    st.text("user_id,用户é\ufeff\n1\0", max_size=40),
    st.sampled_from(["utf-8", "gb18030", "utf-16-le"]),
)


@settings(max_examples=300)
@given(mark=MARKS, body=ENCODED | st.binary(max_size=20))
def test_the_bytes_of_a_file_in_utf8_are_those_of_its_text(mark, body):
    """The text of a large file is never made, so nothing else compares the two."""
    raw = mark + body
    try:
        text, notes = decode(raw, "log.csv")
    except ValueError as error:
        with pytest.raises(ValueError) as raised:
            as_utf8(raw, "log.csv")
        assert str(raised.value) == str(error)
    else:
        assert as_utf8(raw, "log.csv") == (text.encode(), notes)


def test_a_letter_across_two_blocks_is_read(monkeypatch):
    monkeypatch.setattr("kpay_lab.data.decoding.BYTES_A_BLOCK", 4)
    raw = "用户,内容".encode()
    utf8, notes = as_utf8(raw, "log.csv")
    assert utf8 is raw and not notes
