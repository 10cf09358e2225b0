"""Logs by type of behaviour: one row a click, a like, an order, told apart by a column or by file.

Most shops log so: ``user_id, item_id, behavior_type, timestamp`` with the types pv, cart, fav and
buy. Here each row becomes what its type means: an event with a measure, an order, an
exposure, a follow.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.headers import columns_of, fold, profile_line, units_of_columns
from kpay_lab.data.parsing import holds_text, parse_column
from kpay_lab.data.rows import TEXT, NotUnderstoodError, RawRows, printable

VIEW = "view"
MEASURES = ("like_count", "comment_count", "share_count", "question_count")
GIFT = "gift_amount"
TABLE_OF = {"order": "orders", "exposure": "exposures", "follow": "follows"}  # else an event
IGNORE = "ignore"
MEANINGS = (VIEW, *MEASURES, GIFT, *TABLE_OF, IGNORE)

# The common words of logs. What has no measure of its own (a cart) counts as a like.
WORDS = {
    VIEW: "pv view views viewed click clicks clicked play played watch watched browse visit read "
    "detail enter 浏览 点击 播放 观看 查看 访问 阅读 进入 进入直播间",
    "like_count": "like likes liked fav favor favour favorite favourite collect collected "
    "thumbsup upvote 点赞 赞 喜欢 收藏 cart addtocart addcart basket wishlist 加购 加购物车 "
    "加入购物车 购物车",
    GIFT: "gift gifts sendgift reward tip tips donate donation 送礼 送礼物 礼物 打赏 赞赏",
    "comment_count": "comment comments commented review danmaku danmu 评论 弹幕 留言",
    "share_count": "share shares shared forward forwarded repost 分享 转发",
    "question_count": "question questions ask asked 提问 咨询",
    "order": "buy bought purchase purchased order ordered pay paid payment transaction checkout "
    "购买 下单 支付 付款 成交",
    "exposure": "exposure exposed impression imp show shown 曝光 展示 展现",
    "follow": "follow follows followed followhost 关注 加关注 关注主播 新增关注",
    IGNORE: "unlike dislike uncollect unfav unfavorite unfavourite unfollow removefromcart cancel "
    "refund 退款 退货 点踩 不喜欢 踩",
}
MEANING_OF_WORD = {fold(word): name for name, words in WORDS.items() for word in words.split()}
TAKEN_BACK = "取消"  # 取消点赞, 取消收藏
AS_LIKES = {
    "an item put into a cart": "cart addtocart addcart basket wishlist 加购 加购物车 加入购物车 "
    "购物车",
    "a gift without an amount": f"{GIFT} {WORDS[GIFT]}",
}
# Columns that name an item where nothing better does; beside an id they hold what was written.
WORDS_OF_CONTENT = "content text message msg body 内容 正文 文本 消息"
CONTENT = frozenset(map(fold, WORDS_OF_CONTENT.split()))
COLUMN_NAMES = (
    "behavior_type behaviour_type behavior behaviour event_type event event_name action "
    "action_type interaction_type 互动类型 行为类型 行为 事件类型 事件 事件名称 操作类型 操作 动作"
)
NAMES = frozenset(map(fold, COLUMN_NAMES.split()))
# Names that may mean something else: only where every value is a word that is known.
DOUBTFUL_NAMES = frozenset(map(fold, ("type", "类型", "op")))
# An order that was placed is paid later, or never: of two words this one can go.
PLACED = frozenset(map(fold, ("order", "ordered", "checkout", "下单")))
PURCHASE = ["user_id", "item_id", "minute"]
SHOWN_TYPES = 12  # how many types an error shows


@dataclass(frozen=True, kw_only=True)
class EventTypes:
    """What is said of the types of behaviour; empty where the common words do.

    Parameters
    ----------
    column : str
        The name of the column that holds the type; '' for the common names.
    types : mapping of type to one of `MEANINGS`
        It goes before the common words.
    files : mapping of file to one of `MEANINGS`
        Names or patterns of files that hold one type each.
    """

    column: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def meaning_of(self, type_: str) -> str | None:
        """Return what a type means, or None where nobody said and no common word fits.

        >>> EventTypes().meaning_of("PV"), EventTypes().meaning_of("取消点赞")
        ('view', 'ignore')
        >>> EventTypes(types={"3": "like_count"}).meaning_of("3")
        'like_count'
        """
        said = {fold(theirs): meaning for theirs, meaning in self.types.items()}
        folded = fold(type_)
        if folded in said:
            return said[folded]
        if folded.startswith(TAKEN_BACK):
            return IGNORE
        return MEANING_OF_WORD.get(folded)

    def meaning_of_file(self, file: str) -> str | None:
        """Return what every row of a file means, where that was said.

        >>> EventTypes(files={"gift*.csv": "like_count"}).meaning_of_file("gift-2023.csv")
        'like_count'
        """
        for pattern, meaning in self.files.items():
            if fnmatch(file, pattern) or fnmatch(Path(file).name, pattern):
                return meaning
        return None


@dataclass(frozen=True)
class Parted:
    """The rows of a log, parted by what their types mean.

    Parameters
    ----------
    events : tuple of RawRows
    moved : mapping of table to tuple of RawRows
        The rows that belong to orders, exposures or follows; only the tables that have any.
    notes : tuple of str
        Which type was read as what, with counts; empty for a log without types.
    """

    events: tuple[RawRows, ...]
    moved: Mapping[str, tuple[RawRows, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def meaning_of_word(word: str) -> str | None:
    """Return what a common word means, such as the name of a file: ``click`` holds views.

    >>> meaning_of_word("like"), meaning_of_word("notes")
    ('like_count', None)
    """
    return EventTypes().meaning_of(word)


def has_types(header: Sequence[str], said: EventTypes, renames: Iterable[str] = ()) -> bool:
    """Return whether a header has a column of types; a doubtful name is none here."""
    return _named_column(header, said, renames) is not None


def types_column(rows: RawRows, said: EventTypes, renames: Mapping[str, str]) -> str:
    """Return the name of the column of types in some rows; '' where there is none."""
    position = _named_column(rows.header, said, renames)
    if position is None:
        position = _doubtful_column(rows, said, renames)
    return "" if position is None else rows.header[position]


def part_by_type(
    partitions: Sequence[RawRows], said: EventTypes, renames: Mapping[str, str]
) -> Parted:
    """Part the rows of a log by their type, and give events the measure that their type means.

    Parameters
    ----------
    partitions : sequence of RawRows
        The files of the events.
    said : EventTypes
    renames : mapping
        Columns of the events that were given a meaning: their name → ours. Such a column holds
        no types, unless ``said`` names it.

    Raises
    ------
    ValueError
        If some type has no meaning; the message shows the types and what to write.
    """
    said = _with_named_files(partitions, said)
    types_of_rows = [_types(rows, said, renames) for rows in partitions]
    if all(types is None for types in types_of_rows):
        return Parted(tuple(partitions))
    tally: Counter[str] = Counter()
    for types in types_of_rows:
        if types is not None:
            for found in pc.value_counts(types.of_row).to_pylist():
                tally[found["values"]] += found["counts"]
    meanings = _meanings(tally, types_of_rows, said)
    if not _knows_gifts(partitions, types_of_rows, meanings, renames):
        meanings = {type_: _as_likes(meaning) for type_, meaning in meanings.items()}
    measures = [name for name in MEASURES if name in meanings.values()]
    events_of_files: list[RawRows] = []
    moved_rows: dict[str, list[RawRows]] = {}
    purchases = []
    for rows, types in zip(partitions, types_of_rows, strict=True):
        if types is None:
            events_of_files.append(rows)
            continue
        meaning_of_row = _meaning_of_rows(types, meanings)
        is_event = np.isin(meaning_of_row, [VIEW, *MEASURES, GIFT])
        untyped = _without_column(rows, types.column)
        events = _taken(untyped, is_event, with_broken=True)
        meaning_of_event = meaning_of_row[is_event]
        events = _with_words(events, meaning_of_event, renames)
        events = _with_gifts(events, meaning_of_event == GIFT, renames)
        events_of_files.append(_with_measures(events, meaning_of_event, measures, renames))
        purchases.append(_purchases(rows, types, meaning_of_row == "order", renames))
        for meaning, table in TABLE_OF.items():
            is_moved = meaning_of_row == meaning
            if is_moved.any():
                moved_rows.setdefault(table, []).append(_taken(untyped, is_moved))
    note = _note(partitions, types_of_rows, tally, meanings)
    return Parted(
        tuple(events_of_files),
        {table: tuple(rows) for table, rows in moved_rows.items()},
        (note, *_notes_on_two_words(pd.concat(purchases, ignore_index=True))),
    )


def _with_named_files(partitions: Sequence[RawRows], said: EventTypes) -> EventTypes:
    """Take files such as ``click.csv`` and ``like.csv`` by their names, if all have such names."""
    of_name = {}
    for rows in partitions:
        stem = Path(rows.file).name.partition(".")[0]
        of_name[rows.file] = meaning_of_word(stem)
    if said.files or len(of_name) < 2 or not all(of_name.values()):
        return said
    return replace(said, files={file: meaning for file, meaning in of_name.items() if meaning})


@dataclass(frozen=True)
class _Types:
    """The type of each row of a file, and the column that says it ('' where the file does)."""

    column: str
    of_row: pa.Array


def _types(rows: RawRows, said: EventTypes, renames: Mapping[str, str]) -> _Types | None:
    of_file = said.meaning_of_file(rows.file)
    if of_file is not None:
        return _Types("", pa.repeat(pa.scalar(of_file, TEXT), len(rows)))
    position = _named_column(rows.header, said, renames)
    if position is None:
        position = _doubtful_column(rows, said, renames)
    if position is None:
        return None
    texts = pc.utf8_trim_whitespace(_text(rows.cells[position]))
    return _Types(rows.header[position], texts)


def _named_column(header: Sequence[str], said: EventTypes, renames: Iterable[str]) -> int | None:
    """Return the position of the column of types by its name."""
    folded = [fold(name) for name in header]
    if said.column:
        return folded.index(fold(said.column)) if fold(said.column) in folded else None
    given = {fold(name) for name in renames}
    named = [position for position, name in enumerate(folded) if name in NAMES - given]
    return named[0] if named else None


def _doubtful_column(rows: RawRows, said: EventTypes, renames: Mapping[str, str]) -> int | None:
    """Return the position of a column such as ``type``, if all it holds are types."""
    if said.column:
        return None
    given = {fold(name) for name in renames}
    for position, name in enumerate(rows.header):
        if fold(name) in DOUBTFUL_NAMES - given:
            distinct = pc.unique(_text(rows.cells[position])).to_pylist()
            if distinct and all(said.meaning_of(one) for one in distinct if one.strip()):
                return position
    return None


def _text(cells: pa.Array) -> pa.Array:
    return pc.cast(cells, TEXT).fill_null("")


def _meanings(
    tally: Mapping[str, int], types_of_rows: Sequence[_Types | None], said: EventTypes
) -> dict[str, str]:
    """Return the meaning of each type; all must have one. A row without a type is left out."""
    meanings = {}
    for type_ in tally:
        own = type_ if type_ in MEANINGS else None  # one that a file was given
        meanings[type_] = said.meaning_of(type_) or own or ("" if type_ else IGNORE)
    unknown = [type_ for type_, meaning in meanings.items() if not meaning]
    if not unknown:
        return meanings
    columns = [types.column for types in types_of_rows if types is not None and types.column]
    column = columns[0]
    found = Counter(tally).most_common(SHOWN_TYPES)
    shown = ", ".join(f"{printable(type_)} ({n:,})" for type_, n in found)
    rest = "" if len(tally) <= SHOWN_TYPES else f" and {len(tally) - SHOWN_TYPES} more"
    lines = ", ".join(f'"{printable(type_)}": {VIEW}' for type_ in unknown[:SHOWN_TYPES])
    raise NotUnderstoodError(
        f"events: {printable(column)} holds types of behaviour, and not all are known: "
        f"{shown}{rest}",
        f"write mapping: {{event_types: {{column: {printable(column)}, types: "
        f"{{{lines}}}}}}}, each with what it means: {', '.join(MEANINGS)}; where the column is "
        f"something else, write {profile_line('events', {column: IGNORE})}",
    )


def _meaning_of_rows(types: _Types, meanings: Mapping[str, str]) -> np.ndarray:
    """Return the meaning of each row; each different type is looked up once."""
    encoded = types.of_row.dictionary_encode()
    of_code = np.array([meanings[one] for one in encoded.dictionary.to_pylist()], dtype=np.str_)
    return of_code[encoded.indices.to_numpy(zero_copy_only=False)]


def _without_column(rows: RawRows, name: str) -> RawRows:
    """Leave out the column of types, which has been read; '' names none."""
    kept = [position for position, one in enumerate(rows.header) if one != name]
    header = [rows.header[position] for position in kept]
    return replace(rows, header=header, cells=[rows.cells[position] for position in kept])


def _taken(rows: RawRows, chosen: np.ndarray, *, with_broken: bool = False) -> RawRows:
    """Return some rows; the lines that are no rows stay with the events."""
    mask = pa.array(chosen)
    return replace(
        rows,
        cells=[cells.filter(mask) for cells in rows.cells],
        lines=rows.lines[chosen],
        broken=rows.broken if with_broken else (),
        notes=rows.notes if with_broken else (),
    )


def _knows_gifts(
    partitions: Sequence[RawRows],
    types_of_rows: Sequence[_Types | None],
    meanings: Mapping[str, str],
    renames: Mapping[str, str],
) -> bool:
    """Whether a file that holds gifts says what they were worth."""
    for rows, types in zip(partitions, types_of_rows, strict=True):
        if types is None or not _money_of_gifts(rows, renames):
            continue
        distinct = pc.unique(types.of_row).to_pylist()
        if any(meanings[type_] == GIFT for type_ in distinct):
            return True
    return False


def _money_of_gifts(rows: RawRows, renames: Mapping[str, str]) -> str:
    """Return the name of the column that says what a gift was worth; '' where none does."""
    own = columns_of("events", rows.header, renames).get(GIFT, [])
    of_orders = columns_of("orders", rows.header).get("amount", [])
    return next(iter([*own, *of_orders]), "")


def _as_likes(meaning: str) -> str:
    return "like_count" if meaning == GIFT else meaning


def _with_gifts(rows: RawRows, is_gift: np.ndarray, renames: Mapping[str, str]) -> RawRows:
    """Give the rows of gifts their amounts; what the column says of other rows is no gift."""
    money = _money_of_gifts(rows, renames)
    if not money or not is_gift.any():
        return rows
    position = rows.header.index(money)
    header = list(rows.header)
    cells = list(rows.cells)
    nothing = pa.scalar(None, cells[position].type)
    cells[position] = pc.if_else(pa.array(is_gift), cells[position], nothing)
    if money not in columns_of("events", header, renames).get(GIFT, []):
        unit = units_of_columns("orders", [money]).get("amount", "")
        header[position] = f"{GIFT}({unit})" if unit else GIFT
    return replace(rows, header=header, cells=cells)


def _with_words(rows: RawRows, meanings: np.ndarray, renames: Mapping[str, str]) -> RawRows:
    """Keep what people wrote in rows of comments and questions as the text of a comment.

    It stands in the column of that measure, or in one such as 内容 beside the id of the item.
    """
    known = columns_of("events", rows.header, renames)
    is_written = np.isin(meanings, ["comment_count", "question_count"])
    if "comment_text" in known or not is_written.any():
        return rows
    position = _position_of_words(rows, known)
    if position is None:
        return rows
    header = list(rows.header)
    cells = list(rows.cells)
    header[position] = "comment_text"
    cells[position] = pc.if_else(pa.array(is_written), _text(cells[position]), "")
    return replace(rows, header=header, cells=cells)


def _position_of_words(rows: RawRows, known: Mapping[str, Sequence[str]]) -> int | None:
    measures = [*known.get("comment_count", []), *known.get("question_count", [])]
    for name in measures:
        position = rows.header.index(name)
        if holds_text(rows.cells[position]):
            return position
    used = {name for names in known.values() for name in names}
    for position, name in enumerate(rows.header):
        if name not in used and fold(name) in CONTENT:
            return position
    return None


def _with_measures(
    rows: RawRows, meanings: np.ndarray, measures: Sequence[str], renames: Mapping[str, str]
) -> RawRows:
    """Give each row 1 in the measure of its type, and 0 in those of the other types.

    A measure that the file has a column for keeps its values in the rows of other types.
    """
    header = list(rows.header)
    cells = list(rows.cells)
    present = columns_of("events", header, renames)
    for measure in measures:
        is_of_type = meanings == measure
        if measure in present:
            position = header.index(present[measure][0])
            own = _text(cells[position])
            cells[position] = pc.if_else(pa.array(is_of_type), pa.scalar("1", TEXT), own)
        else:
            header.append(measure)
            cells.append(pa.array(is_of_type.astype(np.int64)))
    return replace(rows, header=header, cells=cells)


def _note(
    partitions: Sequence[RawRows],
    types_of_rows: Sequence[_Types | None],
    tally: Mapping[str, int],
    meanings: Mapping[str, str],
) -> str:
    """Say which type was read as what, and how many rows that were."""
    columns = {types.column for types in types_of_rows if types is not None and types.column}
    if columns:
        place = f"{', '.join(sorted(columns))} says the type of behaviour: "
    else:
        files = [
            rows.file
            for rows, types in zip(partitions, types_of_rows, strict=True)
            if types is not None
        ]
        place = f"{', '.join(files)} hold one type of behaviour each: "
    parts = []
    for type_, n in Counter(tally).most_common():
        shown = printable(type_) if type_ else "no type"
        meaning = "left out" if meanings[type_] == IGNORE else meanings[type_]
        parts.append(f"{shown} ({n:,}) → {meaning}{_as_like(type_, meanings[type_])}")
    return f"events: {place}{', '.join(parts)}"


def _as_like(type_: str, meaning: str) -> str:
    if meaning != "like_count":
        return ""
    for what, words in AS_LIKES.items():
        if fold(type_) in map(fold, words.split()):
            return f" ({what} counts as a like)"
    return ""


def _purchases(
    rows: RawRows, types: _Types, is_order: np.ndarray, renames: Mapping[str, str]
) -> pd.DataFrame:
    """Return who bought what in which minute, and under which word (or in which file)."""
    known = columns_of("events", rows.header, renames)
    chosen = pa.array(is_order)
    purchases = {}
    for column in ("user_id", "item_id", "timestamp"):
        if column not in known or not is_order.any():
            return pd.DataFrame(columns=[*PURCHASE, "part", "word"])
        cells = rows.cells[rows.header.index(known[column][0])]
        purchases[column] = parse_column(cells.filter(chosen), column).values
    times = purchases.pop("timestamp")
    words = types.of_row.filter(chosen).to_pylist() if types.column else Path(rows.file).name
    part = "types" if types.column else "files"
    return pd.DataFrame(purchases).assign(minute=times.dt.floor("min"), part=part, word=words)


def _notes_on_two_words(purchases: pd.DataFrame) -> list[str]:
    """Count what a user bought under two words in one minute: a purchase may be written twice."""
    if purchases["word"].nunique() < 2:
        return []
    known = purchases.dropna(subset=PURCHASE)
    n_words = known.groupby(PURCHASE)["word"].transform("nunique")
    doubtful = known[n_words > 1]
    if doubtful.empty:
        return []
    n_times = len(doubtful.drop_duplicates(PURCHASE))
    by_count = doubtful["word"].value_counts()
    words = sorted(by_count.index)
    placed = [word for word in words if fold(Path(word).stem) in PLACED]
    rarest = by_count.index[-1]
    spare = placed[0] if placed else rarest
    part = doubtful.loc[doubtful["word"] == spare, "part"].iloc[0]
    times = "1 time" if n_times == 1 else f"{n_times:,} times"
    return [
        f"orders: {times} a user bought an item under two words within the same minute "
        f"({', '.join(map(printable, words))}), which may be one purchase written twice and "
        f"counts as two orders; if it is, keep one word and write mapping: {{event_types: "
        f"{{{part}: {{{printable(spare)}: {IGNORE}}}}}}}"
    ]
