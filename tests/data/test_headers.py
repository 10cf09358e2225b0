"""Names of columns as people write them: understood, or refused with the line to write."""

import pandas as pd
import pytest

from kpay_lab import columns as c
from kpay_lab.data.headers import (
    READ_ALONG,
    columns_of,
    fold,
    known_names,
    name_columns,
    units_of_columns,
)
from kpay_lab.data.reading import read_tables
from kpay_lab.data.tables import SCHEMAS


def named(table, header, **options):
    return name_columns(table, "log.csv", header.split(","), **options)


@pytest.mark.parametrize(
    ("table", "header", "expected"),
    [
        ("events", "userId,movieId,rating,timestamp", "user_id,item_id,rating,timestamp"),
        ("events", "userID,itemID", "user_id,item_id"),
        ("events", "User ID,Course ID", "user_id,item_id"),
        ("events", "timestamp,visitorid,event,itemid", "timestamp,user_id,event,item_id"),
        ("events", "user_id:token,item_id:token", "user_id,item_id"),
        (
            "events",
            "用户ID,课程ID,观看时长(秒),点赞数",
            "user_id,item_id,watch_time,like_count",
        ),
        ("events", "学员 ID,视频-ID,播放时长（分钟）", "user_id,item_id,watch_time"),
        ("events", "直播间ID,用户ID,转发,弹幕", "item_id,user_id,share_count,comment_count"),
        ("events", "用户,课程,收藏", "user_id,item_id,like_count"),
        (
            "orders",
            "用户ID,商品ID,下单时间,支付金额,退款金额(元),退款时间,订单状态",
            "user_id,item_id,timestamp,amount,refund_amount,refunded_at,status",
        ),
        ("orders", "student_id,date_purchased,price", "user_id,timestamp,amount"),
        (
            "items",
            "课程ID,标题,类目,价格,讲师,发布时间",
            "item_id,title,category,price,host,published_at",
        ),
        ("items", "id,name,主播", "item_id,title,host"),
        ("users", "id,年龄,性别,职业,注册时间", "user_id,age,gender,occupation,注册时间"),
        (
            "exposures",
            "用户ID,内容ID,曝光时间,点击,购买",
            "user_id,item_id,timestamp,clicked,purchased",
        ),
    ],
)
def test_the_names_of_real_exports_are_understood(table, header, expected):
    assert named(table, header) == expected.split(",")


def test_every_name_means_one_column_of_a_table():
    """A header that meant two columns would be read as whichever comes first."""
    for table, schema in SCHEMAS.items():
        own = c.OTHER_NAMES_IN.get(table, {})
        columns_of_name: dict[str, set[str]] = {}
        for column in (*schema.columns, *READ_ALONG.get(table, ())):
            others = own.get(column, c.OTHER_NAMES.get(column, "")).replace("|", " ")
            for name in (column, *others.split()):
                columns_of_name.setdefault(fold(name), set()).add(column)
        twice = {name: columns for name, columns in columns_of_name.items() if len(columns) > 1}
        assert not twice, table


@pytest.mark.parametrize(
    ("header", "units"),
    [
        ("用户ID,课程ID,观看时长(秒)", {"watch_time": "seconds"}),
        ("用户ID,课程ID,观看时长（分钟）", {"watch_time": "minutes"}),
        ("user,item,watch time [min],duration_ms", {"watch_time": "minutes", "duration": "ms"}),
        ("user,item,watchTimeMs", {"watch_time": "ms"}),
        ("user,item,进度(%)", {"progress": "percent"}),
        ("user,item,minutes_watched", {"watch_time": "minutes"}),
        ("user,item,时长小时数", {"duration": "hours"}),
        ("user,item,评分(分)", {}),
        ("user,item,学习时长(天)", {"watch_time": "days"}),
    ],
)
def test_a_unit_in_a_name_is_read(header, units):
    assert units_of_columns("events", header.split(",")) == units


@pytest.mark.parametrize(
    ("name", "amount"),
    [
        ("实付金额(分)", 199.0),
        ("amount_cents", 199.0),
        ("金额（元）", 19_900),
        ("金额(万元)", 1.99e8),
    ],
)
def test_the_unit_of_money_is_read(name, amount):
    orders = pd.DataFrame({"user_id": ["u"], "time": ["2026-01-05"], name: ["19900"]})
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["i"]})
    tables, _ = read_tables({"events": events, "orders": orders})
    assert tables.orders["amount"].tolist() == [amount]


def test_a_unit_that_is_not_understood_is_noted():
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["i"], "观看时长(课时)": ["3"]})
    tables, rejected = read_tables(events)
    assert tables.events["watch_time"].tolist() == [3]
    assert rejected.notes == (
        "events: the unit of 观看时长(课时) is not understood, and its plain numbers count as "
        "seconds; if they are not, write mapping: {units: {watch_time: minutes}} or another",
    )


def test_of_names_of_several_ranks_the_first_wins_and_the_others_are_not_used():
    header = "用户ID,下单时间,支付时间,订单金额,实付金额"
    expected = ["user_id", "timestamp", "支付时间", "订单金额", "amount"]
    assert named("orders", header) == expected
    assert named("events", "user_id,用户,item_id,title") == ["user_id", "用户", "item_id", "title"]


def test_two_names_of_one_rank_are_refused_with_the_line_to_write():
    with pytest.raises(ValueError, match="课程 and 内容 both mean item_id; rename one, or write "):
        named("events", "用户,课程,内容")
    with pytest.raises(ValueError, match=r'mapping: \{columns: \{events: \{"uid": ignore\}\}\}'):
        named("events", "uid,user_id,item_id")
    with pytest.raises(ValueError, match="it names item_id more than once"):
        named("events", "user_id,item_id,item_id")
    with pytest.raises(ValueError, match="it names city more than once"):
        named("users", "user_id,city,city")


def test_what_a_mapping_says_goes_first():
    renames = {"wer": "user_id", "内容": "ignore", "uid": "session_id"}
    names = named("events", "wer,uid,课程,内容", renames=renames)
    assert names == ["user_id", "session_id", "item_id", ""]
    assert named("events", "WER ,课程", renames=renames) == ["user_id", "item_id"]
    units = units_of_columns("events", ["Zeit (min)"], {"Zeit": "watch_time"})
    assert units == {"watch_time": "minutes"}


def test_a_missing_column_names_the_nearest_and_the_remedy():
    with pytest.raises(ValueError) as refused:
        named("events", "visitor_nr,artikel,colour")
    message = str(refused.value)
    for words in (
        "it has no column user_id; it has no column item_id (its columns: visitor_nr, artikel",
        "understood as user_id are user_id, uid,",
        "用户id",
        'write mapping: {columns: {events: {"visitor_nr": user_id, "artikel": item_id}}}',
    ):
        assert words in message


def test_the_columns_of_a_header_and_the_names_known():
    assert columns_of("events", ["uid", "user", "课程"]) == {
        "user_id": ["uid"],
        "item_id": ["课程"],
    }
    assert known_names(["用户", "备注", "User ID", "下单时间", "mine"], ["Mine"]) == [
        "用户", "User ID", "下单时间", "mine",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "ours", "unit"),
    [("pay_amt_fen", "amount", "cents"), ("stay_ms", "watch_time", "ms"), ("paid", "amount", "")],
)
def test_a_renamed_column_keeps_the_unit_in_its_name(name, ours, unit):
    table = "orders" if ours == "amount" else "events"
    assert units_of_columns(table, [name], {name: ours}).get(ours, "") == unit


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "用户ID,商品ID,来源直播间ID,下单时间,实付金额",
            "user_id,item_id,source_item_id,timestamp,amount",
        ),
        ("uid,courseId,source_live_id,order_time", "user_id,item_id,source_item_id,timestamp"),
        ("买家ID,商品ID,直播间ID,支付时间", "user_id,item_id,source_item_id,timestamp"),
        ("user_id,product_id,room_id,paid_at", "user_id,item_id,source_item_id,timestamp"),
        ("user_id,item_id,Video ID,time", "user_id,item_id,source_item_id,timestamp"),
        ("用户ID,直播间ID,支付时间", "user_id,item_id,timestamp"),  # a gift: the room is the item
        ("用户,视频ID,视频标题,时间", "user_id,item_id,视频标题,timestamp"),
    ],
)
def test_the_room_or_video_beside_a_product_is_what_sold_it(header, expected):
    assert named("orders", header) == expected.split(",")


@pytest.mark.parametrize("name", c.PLACES_OF_SALE.split())
def test_a_place_of_sale_alone_is_the_item(name):
    assert columns_of("orders", [name]) == {"item_id": [name]}


def test_a_mapping_decides_what_the_room_of_an_order_is():
    renames = {"商品ID": "ignore", "直播间ID": "item_id"}
    header = "用户ID,商品ID,直播间ID,支付时间"
    assert named("orders", header, renames=renames) == ["user_id", "", "item_id", "timestamp"]
    with pytest.raises(ValueError, match="both mean item_id"):
        named("events", "用户ID,商品ID,直播间ID,时间")
