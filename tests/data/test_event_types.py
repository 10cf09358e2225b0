"""Logs by type of behaviour: each row becomes what its type means, or the log is refused."""

import pandas as pd
import pytest

from kpay_lab.data.event_types import EventTypes
from kpay_lab.workbench import open_log

ROWS = """user_id,item_id,behavior_type,timestamp
u1,i1,pv,2023-01-01 10:00:00
u1,i1,fav,2023-01-01 10:01:00
u1,i2,cart,2023-01-01 10:02:00
u1,i1,buy,2023-01-01 10:03:00
u2,i1,pv,2023-01-02 10:00:00
u2,i1,buy,
u2,i1,unfav,2023-01-02 10:02:00
,i1,pv,2023-01-02 10:03:00
"""


def counts(log):
    table = log.rejected.counts.set_index("table")
    return table[["read", "good", "rejected"]].T.to_dict("list")


def test_rows_become_events_with_a_measure_or_orders(tmp_path):
    (tmp_path / "events.csv").write_text(ROWS)
    log = open_log(tmp_path, max_rejected=0.6)
    events = log.tables.events
    assert events[["user_id", "item_id"]].values.tolist() == [
        ["u1", "i1"], ["u1", "i1"], ["u1", "i2"], ["u2", "i1"],
    ]  # fmt: skip
    assert events["like_count"].tolist() == [0, 1, 1, 0]
    assert log.tables.orders["user_id"].tolist() == ["u1"]
    assert counts(log) == {"events": [5, 4, 1], "orders": [2, 1, 1]}
    rejected = log.rejected.rows[["table", "line", "column"]].values.tolist()
    assert rejected == [["events", 9, "user_id"], ["orders", 7, "timestamp"]]
    said = next(note for note in log.notes if "behavior_type" in note)
    for words in (
        "pv (3) → view",
        "buy (2) → order",
        "cart (1) → like_count (an item put into a cart counts as a like)",
        "unfav (1) → left out",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("pv view click Play watch 浏览 点击 播放 观看", "view"),
        ("fav like collect 收藏 点赞 cart add_to_cart addtocart 加购", "like_count"),
        ("gift 送礼 打赏 礼物", "gift_amount"),
        ("follow 关注", "follow"),
        ("comment 评论", "comment_count"),
        ("share forward 分享 转发", "share_count"),
        ("question 提问", "question_count"),
        ("buy purchase order pay transaction 购买 下单 支付", "order"),
        ("exposure impression show imp 曝光", "exposure"),
        ("unlike dislike uncollect 取消点赞 取消收藏 refund remove_from_cart", "ignore"),
    ],
)
def test_the_common_words_are_known(words, meaning):
    assert {EventTypes().meaning_of(word) for word in words.split()} == {meaning}


def test_types_that_nobody_knows_are_refused_with_the_lines_to_write(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,event\nu,i,view\nu,i,zap\nu,i,zap\nu,i,5\n")
    with pytest.raises(ValueError) as refused:
        open_log(path)
    message = str(refused.value)
    assert "zap (2), view (1), 5 (1)" in message
    assert 'event_types: {column: event, types: {"zap": view, "5": view}}' in message
    assert 'write mapping: {columns: {events: {"event": ignore}}}' in message
    said = {"event_types": {"column": "event", "types": {"zap": "share_count", 5: "order"}}}
    with pytest.raises(ValueError, match="it has no column timestamp"):
        open_log(path, mapping=said)
    said["event_types"]["types"][5] = "ignore"
    assert open_log(path, mapping=said).tables.events["share_count"].tolist() == [0, 1, 1]
    left = open_log(path, mapping={"columns": {"events": {"event": "ignore"}}})
    assert len(left.tables.events) == 4


def test_numbers_are_types_too(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,behavior_type,time\nu,i,1,2014-12-01\nu,i,4,2014-12-02\n")
    said = {"event_types": {"column": "behavior_type", "types": {1: "view", 4: "order"}}}
    log = open_log(path, mapping=said)
    assert len(log.tables.events) == 1 and len(log.tables.orders) == 1


def test_a_doubtful_name_holds_types_only_where_all_its_words_are_known():
    frame = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["i", "j"], "type": ["view", "like"]})
    assert open_log(frame).tables.events["like_count"].tolist() == [0, 1]
    other = frame.assign(type=["video", "like"])
    assert list(open_log(other).tables.events) == ["user_id", "item_id"]


@pytest.fixture
def folder(tmp_path):
    """One file a type, and no events.csv."""
    (tmp_path / "click.csv").write_text("user_id,item_id\nu1,i1\nu2,i1\n")
    (tmp_path / "like.csv").write_text("user_id,item_id\nu1,i1\n")
    (tmp_path / "gift.csv").write_text("user_id,item_id\nu2,i2\n")
    return tmp_path


def test_one_file_a_type_by_its_name(folder):
    log = open_log(folder)
    assert log.tables.events["item_id"].tolist() == ["i1", "i1", "i2", "i1"]
    assert log.tables.events["like_count"].tolist() == [0, 0, 1, 1]
    assert any("click.csv" in note and "like_count" in note for note in log.notes)


def test_one_file_a_type_as_a_mapping_says(folder):
    (folder / "order.csv").write_text("user_id,item_id,time\nu1,i1,2023-01-01\n")
    files = {"click.csv": "view", "like.csv": "share_count", "order.csv": "order"}
    log = open_log(folder, mapping={"event_types": {"files": files}})
    assert log.tables.events["share_count"].tolist() == [0, 0, 1]
    assert len(log.tables.orders) == 1


def test_a_measure_that_the_file_has_is_kept(tmp_path):
    frame = pd.DataFrame(
        {
            "user_id": ["u", "u", "w"],
            "item_id": ["i", "i", "i"],
            "action": ["view", "comment", "view"],
            "comment_count": [None, None, 3],
        }
    )
    assert open_log(frame).tables.events["comment_count"].fillna(-1).tolist() == [-1, 1, 3]


def test_columns_given_a_meaning_for_events_are_understood_in_their_orders(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("wer,was,action,wann,price\nu,i,view,2023-01-01,9\nu,i,buy,2023-01-02,9\n")
    names = {"wer": "user_id", "was": "item_id", "wann": "timestamp"}
    log = open_log(path, mapping={"columns": {"events": names}})
    assert log.tables.orders[["user_id", "item_id", "amount"]].values.tolist() == [["u", "i", 9.0]]


@pytest.mark.parametrize("name", ["行为时间", "event_time", "操作时间", "timestamp"])
def test_what_names_the_time_of_events_names_that_of_their_orders(tmp_path, name):
    path = tmp_path / "log.csv"
    path.write_text(
        f"uid,课程,行为类型,{name}\nu,i,观看,2023-01-01\nu,i,购买,2023-01-02\nu,i,曝光,2023-01-02\n"
    )
    tables = open_log(path).tables
    assert tables.orders["timestamp"].dt.day.tolist() == [2]
    assert tables.exposures["timestamp"].dt.day.tolist() == [2]


TWO_WORDS = """user_id,item_id,behavior_type,timestamp
u1,i1,order,2023-01-01 10:00:05
u1,i1,pay,2023-01-01 10:00:40
u2,i1,order,2023-01-01 11:00:00
u2,i1,pay,2023-01-01 11:00:00
u3,i1,pay,2023-01-01 12:00:00
u3,i1,pay,2023-01-01 12:00:00
u3,i2,order,2023-01-01 12:30:00
u4,i1,pv,2023-01-01 12:30:00
"""


def test_one_purchase_under_two_words_is_said(tmp_path):
    (tmp_path / "events.csv").write_text(TWO_WORDS)
    log = open_log(tmp_path, min_events=1)
    assert len(log.tables.orders) == 7  # nothing is merged in silence
    said = [note for note in log.notes if "two words" in note]
    assert said == [
        "orders: 2 times a user bought an item under two words within the same minute (order, "
        "pay), which may be one purchase written twice and counts as two orders; if it is, keep "
        "one word and write mapping: {event_types: {types: {order: ignore}}}"
    ]
    mapping = {"event_types": {"types": {"order": "ignore"}}}
    log = open_log(tmp_path, min_events=1, mapping=mapping)
    assert len(log.tables.orders) == 4
    assert not [note for note in log.notes if "two words" in note]


def test_two_words_for_purchases_of_their_own_are_not_doubted(tmp_path):
    rows = [row for row in TWO_WORDS.splitlines() if not row.startswith(("u1", "u2"))]
    (tmp_path / "events.csv").write_text("\n".join(rows))
    log = open_log(tmp_path, min_events=1)
    assert len(log.tables.orders) == 3
    assert not [note for note in log.notes if "two words" in note]
