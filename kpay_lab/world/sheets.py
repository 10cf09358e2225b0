"""Tables as a shop writes them, beside what is true of each row; and what is made unreadable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kpay_lab import columns as c
from kpay_lab.data.tables import PRIMARY_KEYS, Tables
from kpay_lab.world.spellings import (
    AS_PERCENT,
    COUNTS,
    COUNTS_OR_MARKS,
    ID_FORMS,
    MARKS,
    MISSING_WORDS,
    NAMES,
    NAMES_OF_TIMES,
    NOT_READABLE,
    TEXTS,
    TIMES,
    WAYS,
    WAYS_OF_TEXT,
    WHOLE_FLOAT,
    WRAPPED_IDS,
    ZONE,
    Spelling,
    Way,
    choose,
    happens,
)

CALLED_OFF = "已取消"
UNKNOWN_ID = "查无此号"
ALWAYS_LOGGED = {
    "events": ("timestamp", "watch_time"),
    "items": ("title",),
    "users": ("age",),
}
GENDERS = {"male": "男", "female": "女"}
PROSE = ("讲得很好", "老师，能再讲一遍吗？", "听不懂…", "good", "买了，值")
COMMENTS = (*PROSE, "666", "1")
KEYS = ["user_id", "item_id", "timestamp"]  # what every row of a log by types has
MEASURES = ("like_count", "comment_count", "share_count", "question_count")


class Fault(NamedTuple):
    """A cell that was made unreadable, or empty where its column is required."""

    row: int
    column: str
    is_empty: bool


@dataclass
class Sheet:
    """A table as it is written, beside what is true of it; both have a row for each row.

    Parameters
    ----------
    table : str
    truth : DataFrame
        The values, missing where a cell was made unreadable.
    texts : DataFrame
        The cells by our names; '' where nothing is written.
    spelled : dict of column to Spelling
    faults : list of Fault
        What was made unreadable.
    day : Series
        The local date of each row, of a table with times.
    meaning : Series
        Of a log by types: what the type of each row means.
    """

    table: str
    truth: pd.DataFrame
    texts: pd.DataFrame
    spelled: dict[str, Spelling]
    faults: list[Fault] = field(default_factory=list)
    day: pd.Series = field(default_factory=pd.Series)
    meaning: pd.Series = field(default_factory=pd.Series)


def tidied(tables: Tables, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Return the tables with Chinese words, numbers that people write, and ids of one form."""
    frames = {name: frame.copy() for name, frame in tables.present().items()}
    form_of = {"user_id": choose(rng, ID_FORMS), "item_id": choose(rng, ID_FORMS)}
    for frame in frames.values():
        for column in ("user_id", "item_id", "promotes", "source_item_id"):
            if column in frame:
                form = form_of.get(column, form_of["item_id"])
                number = frame[column].str.lstrip("ui").astype("Int64")
                frame[column] = number.map(form, na_action="ignore").astype("str")
    events = frames["events"]
    events["duration"] = events["duration"].round()
    events["progress"] = events["progress"].round(2)
    is_comment = (events["comment_count"] > 0).to_numpy()
    words = pd.Series(rng.choice(COMMENTS, len(events)), dtype="str")
    events["comment_text"] = words.where(is_comment)
    items = frames["items"]
    items["duration"] = items["duration"].round()
    items["published_at"] = items["published_at"].dt.floor("s")
    users = frames["users"]
    users["gender"] = users["gender"].map(GENDERS).astype("str")
    orders = frames["orders"]
    orders["refunded_at"] = orders["refunded_at"].dt.floor("s")
    return frames


def _chosen_columns(table: str, frame: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Choose what a shop logs: what is required, when and how long, and some of the rest."""
    always = [*c.REQUIRED[table].split(), *ALWAYS_LOGGED.get(table, ())]
    left_out = choose(rng, ("comment_count", "comment_text"))
    chosen = list(always)
    for column in c.OPTIONAL[table].split():
        is_wanted = column not in (*always, left_out)
        has_values = column in frame and frame[column].notna().any()
        if is_wanted and has_values and happens(rng, 0.6):
            chosen.append(column)
    return chosen


class Place(NamedTuple):
    """Where the rows of a sheet were written: file and line of each, and lines that are no rows."""

    files: np.ndarray
    lines: np.ndarray
    broken: list[tuple[str, int, str]]


@dataclass
class Draft:
    """What is drawn so far: the units that no file says, the mapping, and the notes."""

    rng: np.random.Generator
    has_odd_files: bool = False
    unit_of: dict[str, str] = field(default_factory=dict)
    mapping: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    sheets: list[tuple[Sheet, Place]] = field(default_factory=list)

    def say(self, part: str, **values: Any) -> None:
        """Add to a part of the mapping."""
        self.mapping.setdefault(part, {}).update(values)

    def say_column(self, table: str, theirs: str, ours: str) -> None:
        """Give a column of a table a meaning in the mapping."""
        columns = self.mapping.setdefault("columns", {})
        columns.setdefault(table, {})[theirs] = ours

    def n_renamed(self) -> int:
        """Return how many columns a mapping gives a meaning."""
        return sum(map(len, self.mapping.get("columns", {}).values()))


def written(draft: Draft, table: str, frame: pd.DataFrame, *, is_typed: bool) -> Sheet:
    """Write the chosen columns of a table as text; ``is_typed`` where a file keeps their types."""
    truth = frame[_chosen_columns(table, frame, draft.rng)].copy()
    spelled = {}
    texts = {}
    for column in truth:
        spelling = _spelling(draft, table, str(column), truth[column], is_typed)
        truth[column] = spelling.way.kept(truth[column])
        texts[column] = _texts(truth[column], spelling)
        spelled[str(column)] = spelling
    day = pd.Series(dtype="str")
    if "timestamp" in truth:
        day = truth["timestamp"].dt.tz_convert(ZONE).dt.strftime("%Y-%m-%d")
    meaning = frame["meaning"] if "meaning" in frame else pd.Series(dtype="str")
    return Sheet(table, truth, pd.DataFrame(texts), spelled, day=day, meaning=meaning)


def _spelling(draft: Draft, table: str, column: str, values: pd.Series, is_typed: bool) -> Spelling:
    rng = draft.rng
    way = _typed_way(column, rng) if is_typed else _way(draft, table, column, values)
    if way.is_local:
        draft.mapping["source_time_zone"] = ZONE
    names = NAMES_OF_TIMES.get(table, "") if column == "timestamp" else ""
    name = choose(rng, (names or NAMES[column]).split("|"))
    if column == "comment_text" and not values.isin(PROSE).any():
        name = column  # else a number would be the number of comments
    if happens(rng, 0.05):
        name = f"字段{draft.n_renamed()}"
        draft.say_column(table, f"{name}{way.ending}", column)
    missing = ""
    is_optional = column in WAYS and column not in c.REQUIRED[table].split()
    if is_optional and WAYS[column] not in WAYS_OF_TEXT and not is_typed:
        words: tuple[str, ...] = MISSING_WORDS
        if WAYS[column] in (COUNTS, MARKS, COUNTS_OR_MARKS):
            words = tuple(word for word in words if word != "无")  # it means 0 there
        missing = choose(rng, words)
    return Spelling(f"{name}{way.ending}", way, missing)


def _typed_way(column: str, rng: np.random.Generator) -> Way:
    """Return how a file with types keeps a column: times with or without their zone."""
    is_time = WAYS.get(column) is TIMES
    return Way(str, is_local=is_time and happens(rng, 0.5))


def _way(draft: Draft, table: str, column: str, values: pd.Series) -> Way:
    """Choose how a column is written."""
    ways = WAYS.get(column, TEXTS)
    if column in ("user_id", "item_id", "source_item_id", "promotes"):
        ways = WRAPPED_IDS
        if values.dropna().str.fullmatch("[1-9][0-9]{0,6}").all():
            ways = (*WRAPPED_IDS, WHOLE_FLOAT, WHOLE_FLOAT)
    unit = draft.unit_of.get(column, "")
    way = choose(draft.rng, [one for one in ways if one.unit == unit])
    if way.note == AS_PERCENT and not (values > 0.01).any():
        way = ways[0]  # a lone 1 may be a share
    if unit:
        draft.say("units", **{column: unit})
    return way


def _texts(values: pd.Series, spelling: Spelling) -> list[str]:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert(ZONE)
    missing = values.isna().to_numpy()
    texts = []
    for value, is_missing in zip(values, missing, strict=True):
        texts.append(spelling.missing if is_missing else spelling.way.text(value))
    return texts


def leave_to_views(sheet: Sheet) -> None:
    """Take what only the file of views has out of the rows of the others."""
    is_other = (sheet.meaning != "view").to_numpy()
    for column in sheet.texts.columns.difference(KEYS):
        sheet.texts.loc[is_other, column] = None


def spoil(sheet: Sheet, rng: np.random.Generator) -> None:
    """Make a few cells unreadable; each in a row of its own."""
    rows = iter(rng.permutation(len(sheet.truth)).tolist())
    for column, spelling in sheet.spelled.items():
        words = NOT_READABLE.get(column, ())
        if not words or spelling.way.is_whole or not happens(rng, 0.4):
            continue
        for row in islice(rows, int(rng.integers(1, 4))):
            if sheet.texts[column].notna()[row]:
                _spoil_cell(sheet, row, column, choose(rng, words))


def _spoil_cell(sheet: Sheet, row: int, column: str, text: str) -> None:
    sheet.texts.loc[row, column] = text
    sheet.truth.loc[row, column] = None
    sheet.faults.append(Fault(row, column, is_empty=not text))


def misname(sheet: Sheet, known: Iterable[str], rng: np.random.Generator) -> None:
    """Leave a required id out, or name one that its own table lacks."""
    for column in ("user_id", "item_id"):
        is_key = PRIMARY_KEYS.get(sheet.table) == column
        if column not in sheet.texts or not happens(rng, 0.3):
            continue
        row = int(rng.integers(len(sheet.texts)))
        is_required = column in c.REQUIRED[sheet.table].split()
        if is_required and (is_key or happens(rng, 0.5)):
            _spoil_cell(sheet, row, column, "")
        elif column in known:
            sheet.texts.loc[row, column] = UNKNOWN_ID
            sheet.truth.loc[row, column] = UNKNOWN_ID


def pay_abroad(sheet: Sheet, draft: Draft) -> None:
    """Write a few orders in another currency, which a mapping then leaves out."""
    is_rare = not happens(draft.rng, 0.3)
    is_small = len(sheet.texts) < 8
    if "amount" not in sheet.texts or is_small or is_rare:
        return
    draft.mapping["currency"] = "CNY"
    spoiled = {fault.row for fault in sheet.faults}
    for row in draft.rng.integers(0, len(sheet.texts), 2).tolist():
        if row in spoiled:
            continue
        spoiled.add(row)
        _spoil_cell(sheet, row, "amount", "$9.99")
        if "refund_amount" in sheet.truth and pd.notna(sheet.truth.loc[row, "refund_amount"]):
            text = sheet.texts.loc[row, "refund_amount"]
            _spoil_cell(sheet, row, "refund_amount", str(text))


def repeat_a_row(sheet: Sheet, rng: np.random.Generator) -> None:
    """Write one row of a table once more at its end."""
    row = int(rng.integers(len(sheet.truth)))
    again = sheet.truth.iloc[[row]]
    sheet.truth = pd.concat([sheet.truth, again], ignore_index=True)
    texts_again = sheet.texts.iloc[[row]]
    sheet.texts = pd.concat([sheet.texts, texts_again], ignore_index=True)
    last = len(sheet.truth) - 1
    again_bad = [fault._replace(row=last) for fault in sheet.faults if fault.row == row]
    sheet.faults += again_bad


def with_states(orders: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Give each order a state; some were called off."""
    words = ("已完成", "已完成", "已完成", "交易成功", CALLED_OFF)
    states = rng.choice(words, len(orders))
    return orders.assign(status=pd.Series(states, dtype="str"))


def log_by_types(
    frames: Mapping[str, pd.DataFrame], moved: Sequence[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Return one row for each thing that somebody did; ``meaning`` says what."""
    events = frames["events"]
    views = events.drop(columns=[*MEASURES, "comment_text", "rating"])
    rows = [views.assign(meaning="view")]
    for measure in MEASURES:
        did = (events[measure] > 0).to_numpy()
        rows.append(events.loc[did, KEYS].assign(meaning=measure))
    took_back = rng.random(len(events)) < 0.01
    rows.append(events.loc[took_back, KEYS].assign(meaning="ignore"))
    if "orders" in moved:
        rows.append(frames["orders"][[*KEYS, "amount"]].assign(meaning="order"))
    if "exposures" in moved:
        rows.append(frames["exposures"][KEYS].assign(meaning="exposure"))
    return pd.concat(rows).sort_values("timestamp", kind="stable", ignore_index=True)
