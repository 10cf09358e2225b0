"""One evening as a Chinese platform exports it: clicks, comments, orders and rooms, a file each."""

from pathlib import Path

import numpy as np
import pandas as pd

START = pd.Timestamp("2026-03-06 20:00")
HOURS = 2
ROOMS = {
    "R801": ("零基础学 Python", "李老师", "编程"),
    "R802": ("三步写好文案", "王老师", "写作"),
}
WORDS = ("老师讲得清楚", "这门课适合零基础吗", "多少钱", "哈哈", "有回放吗")


def write_evening(folder: Path, *, n_people: int = 120, seed: int = 0) -> Path:
    """Write the four files, as a spreadsheet saves them in China; return their folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    clicks = _clicks(rng, n_people)
    tables = {"点击": clicks, "评论": _comments(rng, clicks), "订单": _orders(rng, clicks)}
    tables["直播间"] = _rooms()
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, encoding="gb18030")
    return folder


def _rooms() -> pd.DataFrame:
    rooms = pd.DataFrame.from_dict(ROOMS, orient="index", columns=["标题", "主播", "直播类目"])
    rooms = rooms.rename_axis("直播间ID").reset_index()
    rooms["开播时间"] = f"{START:%Y-%m-%d %H:%M:%S}"
    rooms["下播时间"] = f"{START + pd.Timedelta(hours=HOURS):%Y-%m-%d %H:%M:%S}"
    return rooms


def _clicks(rng: np.random.Generator, n_people: int) -> pd.DataFrame:
    """Draw three visits a person on average, most of them short, some to the end."""
    n_visits = 3 * n_people
    people = rng.integers(0, n_people, n_visits)
    seconds = rng.integers(0, 3600 * HOURS, n_visits)
    clicks = pd.DataFrame({"用户ID": [f"wx_{person:04d}" for person in people]})
    clicks["直播间ID"] = rng.choice(list(ROOMS), n_visits, p=[0.7, 0.3])
    clicks["进入时间"] = _written(seconds)
    clicks["观看时长(秒)"] = np.ceil(np.exp(rng.normal(4.5, 1.6, n_visits))).astype(int)
    return clicks


def _comments(rng: np.random.Generator, clicks: pd.DataFrame) -> pd.DataFrame:
    chosen = clicks.sample(60, random_state=int(rng.integers(1000)))
    moments = pd.to_datetime(chosen["进入时间"]) + pd.Timedelta(seconds=5)
    comments = chosen[["用户ID", "直播间ID"]].assign(
        评论时间=moments.dt.strftime("%Y-%m-%d %H:%M:%S")
    )
    return comments.assign(评论内容=rng.choice(WORDS, len(comments)))


def _orders(rng: np.random.Generator, clicks: pd.DataFrame) -> pd.DataFrame:
    """Draw orders of people who were there half a minute or more."""
    stayed = clicks[clicks["观看时长(秒)"] > 30]
    chosen = stayed.sample(40, random_state=int(rng.integers(1000)))
    moments = pd.to_datetime(chosen["进入时间"]) + pd.Timedelta(seconds=30)
    orders = chosen[["用户ID", "直播间ID"]].assign(
        下单时间=moments.dt.strftime("%Y-%m-%d %H:%M:%S")
    )
    orders["商品ID"] = rng.choice(["C1", "C2"], len(orders))
    orders["实付金额"] = rng.choice(["¥199.00", "99元"], len(orders))
    orders["订单状态"] = "已支付"
    return orders


def slow_viewers(folder: Path, room: str) -> list[int]:
    """Count who is in a room as each minute begins, visit by visit from the file itself."""
    clicks = pd.read_csv(folder / "点击.csv", encoding="gb18030")
    of_room = clicks[clicks["直播间ID"] == room]
    counts = []
    for minute in range(60 * HOURS):
        moment = START + pd.Timedelta(minutes=minute)
        entered = pd.to_datetime(of_room["进入时间"])
        left = entered + pd.to_timedelta(of_room["观看时长(秒)"], unit="s")
        counts.append(int(((entered <= moment) & (moment < left)).sum()))
    return counts


def _written(seconds: np.ndarray) -> pd.Series:
    moments = START + pd.to_timedelta(pd.Series(seconds), unit="s")
    return moments.dt.strftime("%Y-%m-%d %H:%M:%S")
