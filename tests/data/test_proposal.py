"""What is proposed for files as people have them: right, or plainly not known."""

import json

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.proposal import propose
from kpay_lab.data.reading import read_tables
from kpay_lab.data.understanding import understand

N = 400


@pytest.fixture
def log():
    """Who met what, when: columns as text, to be written under any names."""
    rng = np.random.default_rng(7)
    users = rng.integers(10_001, 10_060, N)
    items = rng.integers(501, 530, N)
    seconds = np.sort(rng.integers(0, 40 * 86_400, N))
    times = pd.Timestamp("2023-01-05 08:00") + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"user": users, "item": items, "time": times.astype("datetime64[s]")})


def read_as_proposed(source):
    proposal = propose(source)
    assert not proposal.has_gaps
    return proposal, *read_tables(source, mapping=LogMapping.of(proposal.said))


def test_a_log_without_a_header_is_told_by_its_values(tmp_path, log):
    """User, item, category, type and unix time, as in the UserBehavior files of a shop."""
    path = tmp_path / "UserBehavior.csv"
    types = np.resize(["pv", "pv", "cart", "buy"], N)
    unix = log["time"].astype("int64")
    frame = pd.DataFrame({0: log["user"], 1: log["item"], 2: log["item"] % 7, 3: types, 4: unix})
    frame.to_csv(path, header=False, index=False)
    proposal, tables, rejected = read_as_proposed(path)
    (names,) = proposal.said["headers"].values()
    assert names == ["user_id", "item_id", "unknown_3", "behavior_type", "timestamp"]
    assert proposal.has_guesses
    assert len(tables.events) == N * 3 // 4 and len(tables.orders) == N // 4
    assert tables.events["timestamp"].min() == log["time"].min().tz_localize("UTC")
    assert rejected.rows.empty


def test_the_tables_of_a_dump_are_told_apart(tmp_path, log):
    """Files and columns of a shop's database, with NULL as MySQL writes it."""
    null = chr(92) + "N"
    watched = pd.DataFrame(
        {
            "id": range(N),
            "member_no": "M" + log["user"].astype(str),
            "goods_no": "G" + log["item"].astype(str),
            "gmt_create": log["time"],
            "stay_secs": np.resize(["30", null, "7"], N),
        }
    )
    watched.to_csv(tmp_path / "t_watch_log.csv", index=False)
    goods = watched[["goods_no"]].drop_duplicates().assign(goods_title="a title", fee="9.00")
    goods.to_csv(tmp_path / "t_goods.csv", index=False)
    bought = watched.iloc[::9, [1, 2]].assign(pay_fee="99.00", gmt_pay=log["time"].iloc[::9])
    bought.to_csv(tmp_path / "t_order.csv", index=False)
    proposal, tables, rejected = read_as_proposed(tmp_path)
    assert proposal.said["files"] == {
        "events": ["t_watch_log.csv"],
        "items": ["t_goods.csv"],
        "orders": ["t_order.csv"],
    }
    assert tables.events["watch_time"].isna().sum() == N // 3
    assert tables.orders["amount"].eq(99).all() and tables.items["price"].eq(9).all()
    assert tables.items["title"].eq("a title").all()
    assert rejected.rows.empty


def test_a_column_that_is_not_understood_is_proposed_for_a_sound_log(tmp_path, log):
    """A log that passes without its times is misread in silence."""
    path = tmp_path / "log.csv"
    renamed = log.set_axis(["学员编号", "课程名称", "开始观看时间"], axis=1)
    renamed.to_csv(path, index=False)
    understood = understand(path)
    assert understood.is_sound
    assert understood.proposal.said == {"columns": {"events": {"开始观看时间": "timestamp"}}}
    assert understood.tried.tables[0].first == log["time"].min().tz_localize("UTC")


def test_types_under_another_name_and_milliseconds_of_parquet(tmp_path, log):
    """A folder of a Spark job: no name of it but uid is known."""
    folder = tmp_path / "dwd_user_action/dt=2023-01-05"
    folder.mkdir(parents=True)
    frame = pd.DataFrame(
        {
            "uid": log["user"],
            "vid": log["item"],
            "act": np.resize(["play", "like"], N),
            "event_ts": log["time"],
            "dur_ms": 1500,
            "ext": [{"a": 1}] * N,
        }
    )
    frame.to_parquet(folder / "part-0.snappy.parquet")
    proposal, tables, _ = read_as_proposed(tmp_path)
    assert proposal.said["event_types"] == {"column": "act"}
    assert tables.events["like_count"].sum() == N // 2
    assert tables.events["watch_time"].eq(1.5).all()
    assert proposal.reasons["columns", "events", "vid"].startswith("a guess")


def test_the_days_of_daily_files_come_from_their_names(tmp_path, log):
    for day in ("05", "06", "07"):
        log[["user", "item"]].to_csv(tmp_path / f"2023-01-{day}.csv", index=False)
    proposal, tables, _ = read_as_proposed(tmp_path)
    assert proposal.has_guesses
    assert tables.events["timestamp"].dt.day.value_counts().to_dict() == {5: N, 6: N, 7: N}


def test_types_that_are_words_are_guessed_and_numbers_are_asked_for(tmp_path, log):
    words = log.assign(event=np.resize(["PlayVideo", "LikeVideo", "Buy"], N))
    path = tmp_path / "log.jsonl"
    written = words.astype(str).to_dict("records")
    path.write_text("\n".join(json.dumps({**row, "content": {"id": 1}}) for row in written))
    proposal, tables, _ = read_as_proposed(path)
    assert proposal.said["event_types"]["types"] == {"PlayVideo": "view", "LikeVideo": "like_count"}
    assert len(tables.orders) == N // 3
    numbers = tmp_path / "numbers.csv"
    log.assign(behavior_type=np.resize([1, 2, 4], N)).to_csv(numbers, index=False)
    asked = propose(numbers)
    assert asked.said["event_types"]["types"] == {"1": None, "2": None, "4": None}
    assert asked.has_gaps and "what do the types of behavior_type mean?" in asked.questions[0]
    with pytest.raises(ValueError, match=r"types: '1' → None"):
        LogMapping.of(asked.said)


def test_orders_without_a_time_are_left_out_of_a_log_of_types(tmp_path, log):
    path = tmp_path / "log.csv"
    log.assign(action=np.resize(["play", "buy"], N)).drop(columns="time").to_csv(path, index=False)
    proposal, tables, _ = read_as_proposed(path)
    assert proposal.said == {"event_types": {"types": {"buy": "ignore"}}}
    assert "have no time" in proposal.reasons["event_types", "types", "buy"]
    assert len(tables.events) == N // 2 and tables.orders is None


def test_several_columns_that_could_be_ids_are_a_question(tmp_path, log):
    """Three columns could be the item, and nobody can say which: a question, not a guess."""
    path = tmp_path / "log.csv"
    log.assign(page=log.index % 50, seat=log.index % 40).rename(columns={"item": "x"}).to_csv(
        path, index=False
    )
    proposal = propose(path)
    assert "columns" not in proposal.said
    assert "no column is known as item_id" in proposal.questions[0]
    assert "x, page, seat" in proposal.questions[0]


@pytest.mark.parametrize(
    "text",
    [
        "date,station,temp_c,rain_mm\n2023-01-01,S1,0.3,0\n2023-01-02,S1,0.4,2\n",
        "Dear colleague,\n\nhere are my notes, as promised.\n",
    ],
)
def test_what_is_no_log_is_called_so(tmp_path, text):
    path = tmp_path / "some.csv"
    path.write_text(text)
    proposal = propose(path)
    assert not proposal.said
    assert "does not look like a log of behaviour" in proposal.questions[0]


def test_day_first_times_are_named_and_not_guessed(tmp_path, log):
    path = tmp_path / "Auswertung.csv"
    titles = "Kurs " + log["item"].astype(str)
    days = log["time"].dt.strftime("%d.%m.%Y %H:%M")
    frame = pd.DataFrame({"Kunde": log["user"], "Kurs": titles, "Datum": days})
    frame.to_csv(path, index=False, sep=";", encoding="cp1252")
    proposal, tables, _ = read_as_proposed(path)
    assert proposal.said == {"columns": {"events": {"Kunde": "user_id", "Kurs": "item_id"}}}
    assert len(tables.events) == N and "timestamp" not in tables.events
    assert "day and month cannot be told apart" in proposal.questions[0]


def test_a_user_agent_or_a_nickname_is_no_user(tmp_path, log):
    path = tmp_path / "log.csv"
    frame = log.assign(user_agent="Mozilla", 用户昵称="小明").rename(columns={"user": "会员号"})
    frame.to_csv(path, index=False)
    assert propose(path).said == {"columns": {"events": {"会员号": "user_id"}}}


def test_what_is_said_already_is_kept(tmp_path, log):
    path = tmp_path / "log.csv"
    log.set_axis(["a", "item", "moment"], axis=1).to_csv(path, index=False)
    said = LogMapping.of({"columns": {"events": {"a": "user_id"}}, "currency": "CNY"})
    proposal = propose(path, said)
    assert proposal.said["currency"] == "CNY"
    assert proposal.said["columns"] == {"events": {"a": "user_id", "moment": "timestamp"}}
    assert not propose(path, LogMapping.of(proposal.said)).said


def test_a_wide_table_is_called_one(tmp_path):
    path = tmp_path / "wide.csv"
    wide = pd.DataFrame({f"course{n}": np.resize([0, 1, 2], 60) for n in range(4)})
    wide.assign(student=range(60)).to_csv(path, index=False)
    proposal = propose(path)
    assert not proposal.said
    assert "one row for each user and item" in proposal.questions[0]


def test_orders_alone_are_said_to_be_taken_as_events(tmp_path, log):
    path = tmp_path / "sales.csv"
    frame = log.set_axis(["买家ID", "商品名称", "下单时间"], axis=1).assign(实付金额="99.0")
    frame.to_csv(path, index=False)
    proposal = propose(path)
    assert proposal.said == {"columns": {"events": {"下单时间": "timestamp"}}}
    assert "实付金额 speak of orders" in proposal.questions[0]


def test_the_first_of_two_times_is_a_guess(tmp_path, log):
    path = tmp_path / "log.csv"
    log.assign(离开时间=log["time"]).rename(columns={"time": "进入时间"}).to_csv(path, index=False)
    proposal = propose(path)
    assert proposal.said == {"columns": {"events": {"进入时间": "timestamp"}}}
    assert proposal.reasons["columns", "events", "进入时间"].startswith("a guess: 离开时间")


def test_ids_of_web_analytics_are_no_numbers(tmp_path, log):
    path = tmp_path / "ga.csv"
    ids = log["user"].astype(str) + ".1672531" + (log["user"] % 7).astype(str)
    log.assign(user=ids).rename(columns={"user": "user_pseudo_id"}).to_csv(path, index=False)
    proposal, tables, _ = read_as_proposed(path)
    assert proposal.said == {"columns": {"events": {"user_pseudo_id": "user_id"}}}
    assert tables.events["user_id"].nunique() == log["user"].nunique()


def test_milliseconds_without_a_name_for_them_are_asked_about(tmp_path, log):
    path = tmp_path / "log.csv"
    log.assign(play_duration=35_000).to_csv(path, index=False)
    understood = understand(path)
    assert (
        understood.is_sound and "write units: {watch_time: ms}" in understood.proposal.questions[0]
    )
    said = LogMapping.of({"units": {"watch_time": "ms"}})
    assert not understand(path, said).proposal.questions


def test_names_without_a_meaning_are_a_question(tmp_path, log):
    path = tmp_path / "log.csv"
    log.set_axis(["c1", "c2", "c3"], axis=1).to_csv(path, index=False)
    proposal = propose(path)
    assert proposal.said == {"columns": {"events": {"c3": "timestamp"}}}
    assert all("these could be it: c1, c2" in question for question in proposal.questions)


def test_a_small_table_of_other_items_is_no_catalogue(tmp_path, log):
    """Taken as the items it would set aside nearly every event."""
    log.to_csv(tmp_path / "events.csv", index=False)
    other = tmp_path / "properties.csv"
    other.write_text("itemid,property\n501,888\n9,790\n")
    assert not propose(tmp_path).said
    pd.DataFrame({"itemid": sorted(set(log["item"])), "property": 1}).to_csv(other, index=False)
    assert propose(tmp_path).said["files"]["items"] == ["properties.csv"]


def test_a_column_of_composed_types_under_an_unknown_name_is_proposed(tmp_path):
    path = tmp_path / "live.csv"
    acts = ["enter_room", "send_gift", "pay_success", "forward_wechat", "click_cart", "danmaku"]
    rows = "".join(f"u{n},g{n % 7},{acts[n % 6]},{1714521640456 + n}\n" for n in range(60))
    path.write_text("viewer,goods,act,ts_ms\n" + rows)
    proposal = understand(path).proposal
    assert proposal.said["event_types"]["column"] == "act"
    assert proposal.said["event_types"]["types"]["pay_success"] == "order"


def test_what_sold_an_order_is_proposed_by_a_near_name(tmp_path, log):
    log.to_csv(tmp_path / "events.csv", index=False)
    orders = log.head(40).assign(amount=9.9, 来源直播间编码=log["item"] + 1000)
    orders.to_csv(tmp_path / "orders.csv", index=False)
    proposal = propose(tmp_path)
    assert proposal.said["columns"]["orders"] == {"来源直播间编码": "source_item_id"}


@pytest.mark.parametrize("name", ["export.jsonl", "export.json"])
def test_what_lies_in_objects_is_proposed_by_its_dotted_name(tmp_path, log, name):
    """As the exports of web analytics: who and when on top, what in the properties."""
    rows = []
    for row in log.itertuples():
        properties = {"course_id": f"c{row.item}", "watch_seconds": 30, "os": "ios", "tags": []}
        when = row.time.isoformat()
        rows.append({"distinct_id": f"d{row.user}", "time": when, "properties": properties})
    text = json.dumps(rows) if name.endswith(".json") else "\n".join(map(json.dumps, rows))
    (tmp_path / name).write_text(text)
    proposal, tables, rejected = read_as_proposed(tmp_path / name)
    assert proposal.said["columns"]["events"] == {
        "properties.course_id": "item_id",
        "properties.watch_seconds": "watch_time",
    }
    assert tables.events["item_id"].tolist() == [f"c{item}" for item in log["item"]]
    assert tables.events["watch_time"].eq(30).all()
    assert rejected.rows.empty


@pytest.mark.parametrize("name", ["total_fee", "实际支付的金额"])
def test_money_in_a_log_of_types_is_proposed_for_its_orders(tmp_path, log, name):
    types = np.resize(["pv", "pv", "cart", "buy"], N)
    money = pd.Series(np.where(types == "buy", 19.9, np.nan))
    path = tmp_path / "log.csv"
    log.assign(**{"behavior_type": types, name: money}).to_csv(path, index=False)
    proposal, tables, _ = read_as_proposed(path)
    assert proposal.said["columns"] == {"orders": {name: "amount"}}
    assert len(tables.orders) == N // 4
    assert tables.orders["amount"].eq(19.9).all()


def test_money_in_a_log_of_types_without_purchases_is_left_alone(tmp_path, log):
    types = np.resize(["pv", "cart"], N)
    path = tmp_path / "log.csv"
    log.assign(behavior_type=types, total_fee=19.9).to_csv(path, index=False)
    assert "orders" not in propose(path).said.get("columns", {})
