"""How people write the values of a column: the names, units, words and signs of their exports."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

ZONE = "Asia/Shanghai"
NAMES = {
    "user_id": "用户ID|用户编号|User ID|uid|学员ID|会员编号|user_id|userId|用户",
    "item_id": "课程ID|内容ID|商品编号|courseId|item_id|Content ID|内容",
    "timestamp": "行为时间|时间|发生时间|timestamp|event_time|操作时间",
    "watch_time": "观看时长|播放时长|watch_time|Watch Time",
    "duration": "视频时长|时长|duration|总时长",
    "like_count": "点赞数|点赞|是否点赞|likes|收藏",
    "comment_count": "评论数|评论次数|comments",
    "comment_text": "评论|评论内容|comment_text",
    "gift_amount": "礼物金额|打赏金额|gift_amount",
    "share_count": "分享数|转发数|shares",
    "question_count": "提问数|提问|questions",
    "progress": "学习进度|进度|progress|完成度",
    "rating": "评分|打分|rating|Stars",
    "source_item_id": "来源内容ID|source_item_id",
    "session_id": "会话ID|session_id",
    "kind": "类型|内容类型|kind",
    "title": "标题|课程名称|title",
    "description": "简介|description",
    "category": "分类|类目|category",
    "brand": "品牌|brand",
    "host": "讲师|主播|instructor",
    "price": "价格|售价|price",
    "published_at": "发布时间|上架时间|published_at",
    "started_at": "开播时间|直播开始时间|started_at",
    "ended_at": "下播时间|直播结束时间|ended_at",
    "promotes": "推广商品ID|promotes",
    "reviewed": "是否审核|reviewed",
    "author_verified": "是否认证|author_verified",
    "age": "年龄|age",
    "gender": "性别|gender",
    "occupation": "职业|occupation",
    "consent": "是否同意|授权|consent",
    "amount": "实付金额|支付金额|amount|订单金额",
    "refund_amount": "退款金额|refund_amount",
    "refunded_at": "退款时间|refunded_at",
    "status": "订单状态|status",
    "position": "曝光位置|position",
    "propensity": "概率|propensity",
    "treatment": "实验组|treatment",
    "policy": "策略|policy",
    "clicked": "是否点击|clicked",
    "purchased": "是否购买|purchased",
}
NAMES_OF_TIMES = {
    "orders": "下单时间|支付时间|购买时间|order_time|时间",
    "exposures": "曝光时间|时间|timestamp",
}
KINDS = {
    "course": "课程", "report": "报告", "book": "图书", "live": "直播", "short_video": "短视频",
    "other": "其他",
}  # fmt: skip
MISSING_WORDS = ("", "", "", "NULL", "-", "N/A", "无", "null", "NaN", r"\N", "--", "暂无")
NOT_READABLE = {
    "timestamp": ("昨天", "05/01/2026 14:03", "2026-02-30 10:00:00", "1234.5", "9999-12-31"),
    "refunded_at": ("处理中",),
    "published_at": ("即将上线",),
    "watch_time": ("很久", "12:99:99", "-5"),
    "duration": ("约半小时",),
    "like_count": ("很多", "2.5", "-1"),
    "progress": ("一半",),
    "rating": ("不错", "五星"),
    "price": ("免费咨询", "面议"),
    "amount": ("面议", "9.9.9"),
    "age": ("18-23", "三十"),
    "reviewed": ("审核中",),
    "consent": ("看情况", "2"),
    "position": ("首页", "0"),
    "clicked": ("也许", "7"),
}

T = TypeVar("T")


def choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Return one of the options."""
    return options[int(rng.integers(len(options)))]


def happens(rng: np.random.Generator, probability: float) -> bool:
    """Say whether something happens that has a probability."""
    return bool(rng.random() < probability)


def _same(values: pd.Series) -> pd.Series:
    return values


class Way(NamedTuple):
    """One way to write the values of a column.

    Parameters
    ----------
    text : callable
        Writes one value.
    ending : str
        What the name of the column says behind it, such as ``(分钟)``.
    unit : str
        The unit that only a mapping can say; '' where none is needed.
    kept : callable
        What is left of the values once they are written so.
    note : str
        Words that a reader's note must have after the name of the column.
    is_local : bool
        Whether it writes times without their zone.
    is_whole : bool
        Whether one cell that cannot be read leaves the whole column unread.
    """

    text: Callable[[Any], str]
    ending: str = ""
    unit: str = ""
    kept: Callable[[pd.Series], pd.Series] = _same
    note: str = ""
    is_local: bool = False
    is_whole: bool = False


def _date_of(time: pd.Timestamp) -> str:
    return f"{time.year}/{time.month}/{time.day}"


def _chinese_date_of(time: pd.Timestamp) -> str:
    return f"{time.year}年{time.month}月{time.day}日"


def _to_the_minute(time: pd.Timestamp) -> str:
    return f"{_date_of(time)} {time.hour}:{time.minute:02}"


def _to_the_second(time: pd.Timestamp) -> str:
    return f"{_date_of(time)} {time.hour}:{time.minute:02}:{time.second:02}"


def _of_twelve_hours(time: pd.Timestamp) -> str:
    half = "上午" if time.hour < 12 else "下午"
    hour = time.hour % 12 or 12
    return f"{_date_of(time)} {half}{hour}:{time.minute:02}:{time.second:02}"


def _in_chinese(time: pd.Timestamp) -> str:
    return f"{_chinese_date_of(time)} {time.hour:02}:{time.minute:02}:{time.second:02}"


def _excel_day(time: pd.Timestamp) -> str:
    days = (time.tz_localize(None) - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    return f"{days:.10f}"


def _clock(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours:02}:{minutes:02}:{left:02}"


def _minutes_and_seconds(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes}分{left}秒"


def _tenths_of_minutes(seconds: pd.Series) -> pd.Series:
    return (seconds / 60).round(1) * 60


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


TIMES = (
    Way(lambda time: f"{time:%Y-%m-%d %H:%M:%S}", is_local=True),
    Way(_to_the_minute, kept=lambda times: times.dt.floor("min"), is_local=True),
    Way(_to_the_second, is_local=True),
    Way(_in_chinese, is_local=True),
    Way(_of_twelve_hours, is_local=True),
    Way(lambda time: f"{time:%Y%m%d%H%M%S}", is_local=True),
    Way(_excel_day, note="day numbers of Excel are read as dates", is_local=True, is_whole=True),
    Way(lambda time: time.isoformat()),
    Way(lambda time: f"{time.tz_convert('UTC'):%Y-%m-%dT%H:%M:%SZ}"),
    Way(lambda time: str(int(time.timestamp()))),
    Way(lambda time: str(int(time.timestamp()) * 1000)),
)
SPANS = (
    Way(lambda seconds: f"{seconds:.0f}"),
    Way(lambda seconds: f"{seconds:.1f}"),
    Way(lambda seconds: f"{seconds:,.0f}"),
    Way(_clock),
    Way(_minutes_and_seconds),
    Way(lambda seconds: f"{seconds:.0f}秒"),
    Way(lambda seconds: f"{seconds:.0f}s"),
    Way(_minutes, ending="(分钟)", kept=_tenths_of_minutes),
    Way(_minutes, ending="[min]", kept=_tenths_of_minutes),
    Way(_minutes, unit="minutes", kept=_tenths_of_minutes),
    Way(lambda seconds: f"{seconds * 1000:.0f}", ending="（毫秒）"),
    Way(lambda seconds: f"{seconds * 1000:.0f}", unit="ms"),
)
IN_CNY = "its amounts are in CNY"
AMOUNTS = (
    Way(lambda amount: f"{amount:.2f}"),
    Way(lambda amount: f"{amount:.2f}", ending="(元)"),
    Way(lambda amount: f"{amount:,.2f}"),
    Way(lambda amount: f"¥{amount:,.2f}", note=IN_CNY),
    Way(lambda amount: f"￥ {amount:.2f}", note=IN_CNY),
    Way(lambda amount: f"{amount:.2f}元", note=IN_CNY),
    Way(lambda amount: f"CNY {amount:.2f}", note=IN_CNY),
    Way(lambda amount: f"{amount * 100:.0f}", ending="(分)"),
)
AS_PERCENT = "it is read as percent"
SHARES = (
    Way(lambda share: f"{share:.2f}"),
    Way(lambda share: f"{share * 100:.0f}%"),
    Way(lambda share: f"{share * 100:.0f}", ending="(%)"),
    Way(lambda share: f"{share * 100:.0f}", note=AS_PERCENT),
    Way(lambda share: f"{share * 100:.0f}", unit="percent"),
)
RATINGS = (
    Way(lambda rating: f"{rating:.0f}"),
    Way(lambda rating: f"{rating:.1f}"),
    Way(lambda rating: f"{rating:.0f}星"),
    Way(lambda rating: f"{rating:.1f}分"),
)
AGES = (
    Way(lambda age: f"{age:.0f}"),
    Way(lambda age: f"{age:.1f}"),
    Way(lambda age: f"{age:.0f}岁"),
)
COUNTS = (
    Way(lambda count: str(count)),
    Way(lambda count: f"{count}.0"),
    Way(lambda count: f"{count}次"),
)
MARKS = (
    Way(lambda mark: str(int(mark))),
    Way(lambda mark: "是" if mark else "否"),
    Way(lambda mark: "TRUE" if mark else "FALSE"),
    Way(lambda mark: "Yes" if mark else "No"),
    Way(lambda mark: "√" if mark else "×"),
)
COUNTS_OR_MARKS = (*COUNTS[:2], *MARKS)
TEXTS = (Way(str), Way(lambda text: f"{text} "))
WRAPPED_IDS = (
    Way(str),
    Way(lambda id_: f"\t{id_}"),
    Way(lambda id_: f"{id_}\t"),
    Way(lambda id_: f"{id_} "),
    Way(lambda id_: f"`{id_}"),
    Way(lambda id_: f"'{id_}"),
    Way(lambda id_: f'="{id_}"'),
)
WHOLE_FLOAT = Way(lambda id_: f"{id_}.0")
ID_FORMS: tuple[Callable[[int], str], ...] = (
    lambda number: f"u{number:05}",
    lambda number: f"{number + 10_001}",
    lambda number: f"{number + 2_022_072_512_345_900_001}",
    lambda number: f"{number:06}",
    lambda number: f"学员{number:03}",
)
DESCRIPTIONS = (Way(str), Way(str, kept=lambda texts: texts.str.replace(" on ", "\n")))
KINDS_OF_ITEMS = (Way(str), Way(KINDS.__getitem__), Way(str.upper))
WAYS_OF_TEXT = (DESCRIPTIONS, KINDS_OF_ITEMS)
WAYS = {
    **dict.fromkeys(("timestamp", "published_at", "started_at", "ended_at", "refunded_at"), TIMES),
    **dict.fromkeys(("watch_time", "duration"), SPANS),
    **dict.fromkeys(("price", "amount", "refund_amount", "gift_amount"), AMOUNTS),
    **dict.fromkeys(("like_count", "treatment", "clicked", "purchased"), COUNTS_OR_MARKS),
    **dict.fromkeys(("comment_count", "share_count", "question_count", "position"), COUNTS),
    **dict.fromkeys(("reviewed", "author_verified", "consent"), MARKS),
    "progress": SHARES,
    "rating": RATINGS,
    "age": AGES,
    "propensity": (Way(repr),),
    "kind": KINDS_OF_ITEMS,
    "description": DESCRIPTIONS,
}


class Spelling(NamedTuple):
    """How a column of a table is written: its name, its way, and the word for *missing*."""

    header: str
    way: Way
    missing: str
