"""What a live session leaves in a log: its times, gifts, words, follows and offers."""

import pandas as pd
import pytest

from kpay_lab.data.quality import quality_report
from kpay_lab.data.tables import Tables
from kpay_lab.data.understanding import understand
from kpay_lab.workbench import open_log

ROOMS = """直播间ID,标题,主播,开播时间,下播时间
L1,春茶专场,李娜,2026-01-05 20:00:00,2026-01-05 22:00:00
L2,红茶专场,王磊,2026-01-06 20:00:00,2026-01-06 19:00:00
c1,泡茶课,李娜,,
"""
EVENING = """用户ID,直播间ID,类型,时间,内容,金额(分)
u1,L1,进入直播间,2026-01-05 20:00:00,,
u1,L1,评论,2026-01-05 20:01:00,我的电话是13800000000,
u1,L1,打赏,2026-01-05 20:02:00,,8800
u1,L1,关注,2026-01-05 20:03:00,,
u2,L2,进入直播间,2026-01-06 20:00:00,,
u2,L2,提问,2026-01-06 20:01:00,有回放吗,
u2,L1,购买,2026-01-05 20:05:00,,9900
"""
OFFERS = """直播间ID,商品ID,讲解时间
L1,c1,2026-01-05 20:10:00
L1,gone,2026-01-05 20:20:00
L9,c1,2026-01-05 20:30:00
"""


@pytest.fixture
def evening(tmp_path):
    (tmp_path / "events.csv").write_text(EVENING)
    (tmp_path / "items.csv").write_text(ROOMS)
    (tmp_path / "讲解记录.csv").write_text(OFFERS)
    return tmp_path


def moment(text):
    return pd.Timestamp(text, tz="UTC")


def test_each_row_of_an_evening_becomes_what_its_type_means(evening):
    log = open_log(evening, max_rejected=1)
    events = log.tables.events
    assert events["comment_count"].tolist() == [0, 1, 0, 0, 0]
    assert events["question_count"].tolist() == [0, 0, 0, 0, 1]
    assert events["comment_text"].dropna().tolist() == ["我的电话是13800000000", "有回放吗"]
    assert events["gift_amount"].dropna().to_dict() == {2: 88.0}
    assert "like_count" not in events
    follows = log.tables.follows
    assert follows[["user_id", "host"]].values.tolist() == [["u1", "李娜"]]
    assert follows["timestamp"].tolist() == [moment("2026-01-05 20:03")]
    assert log.tables.orders["amount"].tolist() == [99.0]
    said = next(note for note in log.notes if "says the type of behaviour" in note)
    assert "打赏 (1) → gift_amount" in said and "关注 (1) → follow" in said


def test_a_session_that_ends_before_it_starts_lacks_its_end(evening):
    log = open_log(evening, max_rejected=1)
    items = log.tables.items
    assert items["started_at"].notna().tolist() == [True, True, False]
    assert items["ended_at"].notna().tolist() == [True, False, False]
    cells = log.rejected.cells
    cell = cells[cells["column"] == "ended_at"].iloc[0]
    assert (cell["line"], cell["reason"]) == (3, "it lies before started_at")


def test_an_offer_names_a_session_and_an_item_that_are_there(evening):
    log = open_log(evening, max_rejected=1)
    offers = log.tables.offers
    assert offers[["source_item_id", "item_id"]].values.tolist() == [["L1", "c1"]]
    rows = log.rejected.rows
    found = rows[rows["table"] == "offers"][["line", "column"]].values.tolist()
    assert found == [[3, "item_id"], [4, "source_item_id"]]


@pytest.mark.parametrize("with_hosts", [True, False])
def test_a_follow_is_of_the_host_of_its_row_or_nobody_knows_of_whom(tmp_path, with_hosts):
    header = "user_id,live_id,action,streamer_id\n"
    rows = "u,a,view,h1\nu,a,follow,h2\nw,a,取消关注,h2\n"
    if not with_hosts:
        header = header.replace("streamer_id", "colour")
    path = tmp_path / "log.csv"
    path.write_text(header + rows)
    log = open_log(path)
    assert len(log.tables.events) == 1
    if with_hosts:
        assert log.tables.follows[["user_id", "host"]].values.tolist() == [["u", "h2"]]
        return
    assert log.tables.follows is None
    assert any(note.startswith("follows: 1 in the log of events is left out") for note in log.notes)


def test_gifts_without_amounts_are_likes_as_before(tmp_path):
    (tmp_path / "click.csv").write_text("user_id,live_id\nu1,i1\n")
    (tmp_path / "gift.csv").write_text("user_id,live_id\nu2,i2\n")
    (tmp_path / "order.csv").write_text("user_id,live_id,time,amount\nu2,i2,2026-01-01,9\n")
    log = open_log(tmp_path)
    assert log.tables.events["like_count"].tolist() == [0, 1]
    assert any("a gift without an amount counts as a like" in note for note in log.notes)
    (tmp_path / "gift.csv").write_text("user_id,live_id,gift_price\nu2,i2,0.5\nu2,i2,-1\n")
    log = open_log(tmp_path)
    assert log.tables.events["gift_amount"].fillna(-9).tolist() == [-9, 0.5, -9]
    assert log.rejected.cells["reason"].tolist() == ["it must be 0 or more"]
    assert "like_count" not in log.tables.events


def test_text_in_a_file_of_comments_stays_with_its_rows(tmp_path):
    (tmp_path / "点击.csv").write_text("用户ID,直播间ID\nu1,i1\n")
    (tmp_path / "评论.csv").write_text("用户ID,直播间ID,评论\nu1,i1,多少钱\nu2,i1,好\n")
    events = open_log(tmp_path).tables.events
    assert events["comment_count"].tolist() == [0, 1, 1]
    assert events["comment_text"].dropna().tolist() == ["多少钱", "好"]


def test_what_people_wrote_is_not_shown_by_the_check(evening):
    printed = str(understand(evening))
    assert "13800000000" not in printed and "有回放吗" not in printed
    assert "(text)" in printed
    assert "1 with a gift" in printed and "1 follows" in printed
    (evening / "events.csv").write_text("who,评论\nu1,我的电话是13800000000\nu2,好的好的\n")
    assert "13800000000" not in str(understand(evening))


def frames():
    times = pd.to_datetime(["2026-01-05", "2026-01-07", None], utc=True).as_unit("us")
    events = pd.DataFrame({"user_id": ["u", "w", "x"], "item_id": "L", "timestamp": times})
    follows = pd.DataFrame({"user_id": ["u", "w", "x"], "host": "h", "timestamp": times})
    users = pd.DataFrame({"user_id": ["u", "w", "x"], "consent": [True, False, True]})
    items = pd.DataFrame({"item_id": ["L", "M"], "started_at": times[:2], "ended_at": times[:2]})
    offers = pd.DataFrame({"source_item_id": ["L"], "item_id": ["M"], "timestamp": times[1:2]})
    return {
        "events": events, "users": users, "items": items, "follows": follows, "offers": offers,
    }  # fmt: skip


def test_what_was_known_of_follows_offers_and_ends():
    tables = Tables(**frames()).known_at(moment("2026-01-06"))
    assert tables.follows["user_id"].tolist() == ["u"]
    assert len(tables.offers) == 0
    assert tables.items["ended_at"].notna().tolist() == [True, False]
    assert tables.items["started_at"].notna().all()
    undated = frames()["follows"].drop(columns="timestamp")
    tables = Tables(**frames() | {"follows": undated})
    assert len(tables.known_at(moment("2027-01-06")).follows) == 0
    assert len(tables.since(moment("2020-01-06")).follows) == 0


def test_follows_obey_consent_window_and_pseudonyms():
    log = open_log(frames(), ids="pseudonymise", until="2026-01-06")
    assert log.tables.follows["host"].tolist() == ["h"]
    assert log.tables.follows["user_id"].str.startswith("p").all()
    assert open_log(frames()).tables.follows["user_id"].tolist() == ["u", "x"]


def test_a_follow_of_an_unknown_user_is_set_aside():
    stranger = pd.DataFrame({"user_id": ["u", "who"], "host": "h"})
    log = open_log(frames() | {"follows": stranger}, max_rejected=1)
    assert log.tables.follows["user_id"].tolist() == ["u"]
    rows = log.rejected.rows
    assert rows[["table", "column"]].values.tolist() == [["follows", "user_id"]]


def test_a_gift_or_a_like_lacks_no_watch_time():
    events = pd.DataFrame({"user_id": "u", "item_id": ["a", "b", "c"]})
    events["watch_time"] = [5.0, None, None]
    events["gift_amount"] = [None, 2.0, None]
    assert quality_report(Tables(events)).unwatched == 1
