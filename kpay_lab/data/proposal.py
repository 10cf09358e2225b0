"""Propose what the files of a log mean, from the names of their columns and from their values.

A proposal says only what the files support. What remains a guess is marked as one, and what
nobody can know from the files is a gap (None) and a question.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from kpay_lab import columns as c
from kpay_lab.data.addresses import is_address
from kpay_lab.data.databases import Database, DatabaseTable
from kpay_lab.data.event_types import (
    DOUBTFUL_NAMES,
    MEANINGS,
    NAMES,
    TABLE_OF,
    EventTypes,
    meaning_of_word,
)
from kpay_lab.data.headers import (
    IGNORE,
    columns_of,
    date_and_clock,
    fold,
    unit_of_word,
    units_of_columns,
)
from kpay_lab.data.layout import HeaderlessError
from kpay_lab.data.looks import (
    CODES,
    EMPTY,
    MARKS,
    MOST_TYPES,
    NUMBERS,
    TIMES,
    TYPES,
    WHOLE,
    WORDS,
    ColumnLook,
    look_at,
)
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.privacy import HIDDEN_TEXT, OWN_WORDS
from kpay_lab.data.rows import listed, printable
from kpay_lab.data.sources import (
    TABLE_OF_WORD,
    find_partitions,
    list_partitions,
    table_of_name,
)
from kpay_lab.data.splitting import HEADER_BYTES, Partition, Piece, read_beginning
from kpay_lab.data.tables import SCHEMAS
from kpay_lab.data.terminal import WIDTH, width_of

MOST_FILES = 40  # how many files are looked into
ALIKE = 0.8  # how alike two names must be to mean the same
SMALL_COUNT = 20  # whole numbers from 0 that are all smaller are counts, not ids
# What a column may mean by a name that only resembles one we know, by table.
GUESSED = {
    "events": "user_id item_id timestamp watch_time duration progress rating like_count "
    "comment_count share_count question_count gift_amount",
    "items": "item_id title price category host started_at ended_at",
    "users": "user_id",
    "orders": "user_id item_id source_item_id timestamp amount refund_amount status",
    "exposures": "user_id item_id timestamp position clicked purchased",
    "follows": "user_id host timestamp",
    "offers": "source_item_id item_id timestamp",
}
LOOKS_OF = {
    "user_id": (WHOLE, CODES, NUMBERS),  # 1234567890.1672531200 is an id of web analytics
    "item_id": (WHOLE, CODES, WORDS),
    "source_item_id": (WHOLE, CODES, WORDS),
    "timestamp": (TIMES,),
    "started_at": (TIMES,),
    "ended_at": (TIMES,),
    "title": (CODES, WORDS),
    "category": (CODES, WORDS, WHOLE),
    "host": (CODES, WORDS),
    "status": (CODES, TYPES, WHOLE),
}
# The rest of a name beside the word that we know: of an id, or of something else.
ID_WORDS = "id ids no num number code sn key pk 编号 号 号码 代码 id号"
OTHER_NOUNS = (
    "name nick nickname age agent type level city country gender phone email ip tag geohash count "
    "category cat 昵称 姓名 名字 年龄 性别 城市 等级 手机 手机号 电话 类型 数 数量"
)
INNER_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
PARTS = re.compile(r"[^\W_]+")
DAY_FIRST = re.compile(r"[0-3]?[0-9][./-][0-3]?[0-9][./-](?:(?:19|20)[0-9]{2}|[0-9]{2})\b.*")
NUMBER_AT_END = re.compile(r"[_ ]?[0-9]+$")
WIDE = 3  # as many columns that differ in a number alone are one thing in many columns
DAY = re.compile(r"(20[0-9]{2})[-_.]?([01][0-9])[-_.]?([0-3][0-9])")
MONEY = frozenset({"fee", "money", "cost", "price", "amount", "paid", "revenue", "sum", "金额"})
MOST_PLANS = 12  # more different values are no plans of a subscription
WITHOUT_NAME = "column {}"


@dataclass(frozen=True)
class Proposal:
    """What the files of a log may mean.

    Parameters
    ----------
    said : mapping
        What `LogMapping.of` takes. None stands where only a person knows the answer.
    reasons : mapping of path to str
        Why a part is proposed; the path is that of its keys.
    questions : tuple of str
        What the files do not say.
    files : DataFrame
        ``file, column, looks, values``: what was seen, a row a column.
    """

    said: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    questions: tuple[str, ...] = ()
    files: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def has_gaps(self) -> bool:
        """Whether somebody must fill in something first."""
        return _has_none(self.said)

    @property
    def has_guesses(self) -> bool:
        """Whether a part rests on values alone."""
        return any(reason.startswith("a guess") for reason in self.reasons.values())

    def as_yaml(self) -> str:
        """Return the proposal as the block ``mapping:`` of a profile, with its reasons."""
        if not self.said:
            return "mapping: {}\n"
        return "\n".join(["mapping:", *_yaml_lines(self.said, self.reasons, ()), ""])


def _has_none(said: Any) -> bool:
    if isinstance(said, Mapping):
        return any(map(_has_none, said.values()))
    return said is None


def _yaml_lines(
    said: Mapping[str, Any], reasons: Mapping[tuple[str, ...], str], path: tuple[str, ...]
) -> Iterator[str]:
    indent = "  " * (len(path) + 1)
    for key, value in said.items():
        here = (*path, key)
        reason = reasons.get(here, "")
        is_leaf = not isinstance(value, Mapping)
        written = f" {_scalar(value)}" if is_leaf and value is not None else ""
        line = f"{indent}{_scalar(key)}:{written}"
        remark = f"  # {reason}" if reason else ""
        if width_of(line + remark) <= WIDTH:
            yield line + remark
        else:
            yield from [f"{indent}# {reason}"] if reason else []
            yield line
        if isinstance(value, Mapping):
            yield from _yaml_lines(value, reasons, here)


def _scalar(value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return written.removesuffix("\n").removesuffix("\n...")


@dataclass(frozen=True)
class _Sample:
    """The beginning of a file, and the files that are like it."""

    partition: Piece
    like: tuple[str, ...]
    looks: Sequence[ColumnLook] = ()
    fault: str = ""
    has_header: bool = True

    @property
    def names(self) -> list[str]:
        return [look.name for look in self.looks]

    @property
    def named(self) -> str:
        """The names of its columns, for a message."""
        return listed(name for name in self.names if name)

    @property
    def pattern(self) -> str:
        """A name or pattern for all files that are like this one."""
        if len(self.like) == 1:
            return self.like[0]
        start = os.path.commonprefix(self.like)  # noqa: RUF071 (letters are meant)
        backwards = [name[::-1] for name in self.like]
        end = os.path.commonprefix(backwards)[::-1]  # noqa: RUF071
        return f"{start}*{end}"


class _Draft:
    """A proposal in the making, on top of what a mapping says already."""

    def __init__(self, mapping: LogMapping, feeding: str = "files") -> None:
        self.feeding = feeding  # the part of a mapping that says what feeds which table
        self.said: dict[str, Any] = mapping.as_dict()
        self.reasons: dict[tuple[str, ...], str] = {}
        self.questions: list[str] = []
        self.is_new = False

    def put(self, *path: str, value: Any, reason: str = "") -> None:
        """Say something, unless something is said there already."""
        place = self.said
        for key in path[:-1]:
            place = place.setdefault(key, {})
        if path[-1] in place:
            return
        place[path[-1]] = value
        self.is_new = True
        if reason:
            self.reasons[path] = reason

    def rename(self, table: str, theirs: str, ours: str, reason: str) -> None:
        self.put("columns", table, theirs, value=ours, reason=reason)


def propose(source: str | Path, mapping: LogMapping | None = None) -> Proposal:
    """Propose what the files of a log mean, beyond what a mapping says already.

    Parameters
    ----------
    source : str or Path
        A file, a folder, or the address of a database.
    mapping : LogMapping, optional

    Returns
    -------
    Proposal
        Its ``said`` holds what the mapping says too; empty where there is nothing to add.
    """
    mapping = mapping or LogMapping()
    place: Path | Database = Path(source)
    if is_address(source):
        place = Database(str(source))
    samples = [_sampled(one, like, mapping) for one, like in _groups(place)]
    draft = _Draft(mapping, "tables" if isinstance(place, Database) else "files")
    seen = _seen(samples)
    tables = _tables(place, samples, mapping, draft)
    if not tables.get("events"):
        draft.questions.append(_no_log(samples, tables))
        return Proposal(questions=tuple(draft.questions), files=seen)
    for table in SCHEMAS:
        for sample in tables.get(table, ()):
            _propose_columns(table, sample, mapping, draft)
    _propose_days(tables["events"], mapping, draft)
    _propose_types(tables["events"], mapping, draft)
    _propose_money_of_types(tables["events"], mapping, draft)
    said = draft.said if draft.is_new else {}
    reasons = draft.reasons if draft.is_new else {}
    questions = tuple(dict.fromkeys(draft.questions))
    return Proposal(said, reasons, questions, seen)


def _groups(place: Path | Database) -> list[tuple[Piece, tuple[str, ...]]]:
    """Take files whose names differ in numbers alone together; only the first is looked into."""
    groups: dict[tuple[str, str], list[Piece]] = {}
    for partition in list_partitions(place):
        parent = str(Path(partition.name).parent)
        letters = re.sub(r"[\W\d_]+", "", Path(partition.name).stem)
        key = (re.sub(r"\d+", "0", parent), letters or "0")
        groups.setdefault(key, []).append(partition)
    chosen = list(groups.values())[:MOST_FILES]
    grouped = []
    for group in chosen:
        names = tuple(one.name for one in group)
        grouped.append((group[0], names))
    return grouped


def _sampled(partition: Piece, like: tuple[str, ...], mapping: LogMapping) -> _Sample:
    renames = mapping.names_said()
    if isinstance(partition, DatabaseTable):
        return _sampled_table(partition, like, renames)
    named = replace(partition, names=mapping.header_of(partition.name))
    try:
        return _Sample(partition, like, look_at(read_beginning(named, renames, with_nested=True)))
    except HeaderlessError as error:
        names = [WITHOUT_NAME.format(n + 1) for n in range(len(error.fields))]
        rows = read_beginning(replace(partition, names=tuple(names)), renames)
        return _Sample(partition, like, look_at(rows), has_header=False)
    except ValueError as error:
        return _Sample(partition, like, fault=str(error))


def _sampled_table(
    table: DatabaseTable, like: tuple[str, ...], renames: Collection[str]
) -> _Sample:
    try:
        return _Sample(table, like, look_at(table.beginning(renames)))
    except ValueError as error:
        return _Sample(table, like, fault=str(error))


def _seen(samples: Sequence[_Sample]) -> pd.DataFrame:
    rows = []
    for sample in samples:
        for look in sample.looks:
            examples = HIDDEN_TEXT if _is_own_words(look) else ", ".join(look.examples)
            rows.append((sample.pattern, look.name, look.looks, examples))
    return pd.DataFrame(rows, columns=["file", "column", "looks", "values"])


def _is_own_words(look: ColumnLook) -> bool:
    """Whether a column holds what people wrote, by its name; no page quotes it."""
    columns = columns_of("events", [look.name])
    return look.looks in (WORDS, CODES) and not columns.keys().isdisjoint(OWN_WORDS)


def _tables(
    place: Path | Database, samples: Sequence[_Sample], mapping: LogMapping, draft: _Draft
) -> dict[str, list[_Sample]]:
    """Return the samples of each table; where the names of files do not say it, propose them."""
    try:
        found = find_partitions(
            place, mapping.fed_by, mapping.event_types, mapping.columns
        ).partitions
    except ValueError:
        return _tables_by_header(samples, draft)
    tables: dict[str, list[_Sample]] = {}
    for table, partitions in found.items():
        pieces = [one for one in partitions if isinstance(one, Piece)]
        places = set(map(_place_of, pieces))
        tables[table] = [sample for sample in samples if _place_of(sample.partition) in places]
        queries = [one for one in pieces if isinstance(one, DatabaseTable) and one.is_query]
        tables[table] += [_sampled(one, (one.name,), mapping) for one in queries]
    if not mapping.fed_by:
        _propose_further_files(tables, samples, draft)
    return tables


def _place_of(piece: Piece) -> tuple[str, str]:
    """Return what tells a file, a sheet or a table from any other."""
    if isinstance(piece, DatabaseTable):
        return str(piece.database), piece.query
    return str(piece.path), piece.sheet


def _propose_further_files(
    tables: dict[str, list[_Sample]], samples: Sequence[_Sample], draft: _Draft
) -> None:
    """Propose the files that no table is named after, where they hold a table that is missing."""
    used = [sample for members in tables.values() for sample in members]
    further: dict[str, list[_Sample]] = {}
    for sample in samples:
        if sample in used or not sample.looks:
            continue
        table, _ = _table_of(sample)
        if table and table not in tables and _knows(table, sample, tables["events"]):
            further.setdefault(table, []).append(sample)
    if not further:
        return
    tables |= further
    _propose_files(tables, draft)


def _knows(table: str, sample: _Sample, events: Sequence[_Sample]) -> bool:
    """Whether a small table of users or items knows half of those of the events, as it should."""
    column = {"users": "user_id", "items": "item_id"}.get(table)
    if column is None or not _is_small(sample.partition):
        return True
    own = _column_of(sample, column, {table})
    known = set(own.values()) if own else set()
    for one in events:
        met = _column_of(one, column, {"events"})
        values = set(met.values()) if met else set()
        if len(values & known) < len(values) / 2:
            return False
    return True


def _is_small(partition: Piece) -> bool:
    """Whether its beginning is all of it."""
    if isinstance(partition, DatabaseTable):
        return False
    return partition.path.stat().st_size < HEADER_BYTES


def _propose_files(tables: Mapping[str, Sequence[_Sample]], draft: _Draft) -> None:
    for table in SCHEMAS:
        if table in tables:
            patterns = [sample.pattern for sample in tables[table]]
            draft.put(draft.feeding, table, value=patterns)


def _tables_by_header(samples: Sequence[_Sample], draft: _Draft) -> dict[str, list[_Sample]]:
    """Tell the tables apart by what their columns hold, and propose which file feeds which."""
    tables: dict[str, list[_Sample]] = {}
    for sample in samples:
        if not sample.looks:
            draft.questions.append(f"{sample.fault}; it is left out")
            continue
        table, why = _table_of(sample)
        if table:
            tables.setdefault(table, []).append(sample)
        elif why:
            draft.questions.append(f"{sample.pattern}: {why}")
    if not tables.get("events"):
        return tables
    _propose_files(tables, draft)
    _propose_types_of_files(tables["events"], draft)
    return tables


def _table_of(sample: _Sample) -> tuple[str, str]:
    """Return the table that a file feeds, or '' and why that is not known."""
    words = _words(Path(sample.partition.name).name.partition(".")[0])
    named = {TABLE_OF_WORD[word] for word in words if word in TABLE_OF_WORD}
    sheet = sample.partition.sheet if isinstance(sample.partition, Partition) else ""
    if table_of_name(sheet):
        named.add(table_of_name(sheet))
    user = _column_of(sample, "user_id", named)
    item = _column_of(sample, "item_id", named)
    is_sale = "orders" in named or bool(named.isdisjoint({"events"}) and _has(sample, "amount"))
    if user and item:
        if is_sale:
            return "orders", ""
        return ("exposures" if "exposures" in named else "events"), ""
    if user and is_sale and _has_times(sample):
        return "orders", ""
    if user and not item and columns_of("follows", sample.names).get("host"):
        return "follows", ""
    if user and user.is_unique:
        return "users", ""
    if item and item.is_unique:
        return "items", ""
    if user:
        return "", _acts_without_item(sample, words)
    return "", ""


def _acts_without_item(sample: _Sample, words: Iterable[str]) -> str:
    meanings = [meaning_of_word(word) for word in words]
    measure = next((one for one in meanings if one and one.endswith("_count")), None)
    filled = f"item_id: NAME{f', {measure}: 1' if measure else ''}"
    return (
        "it has users and no items, and is left out; if each row is something a user did to one "
        f"and the same thing, add it to files.events and write constants: {{{sample.pattern}: "
        f"{{{filled}}}}}"
    )


def _has(sample: _Sample, column: str) -> bool:
    return column in columns_of("orders", sample.names)


def _has_times(sample: _Sample) -> bool:
    return any(look.looks == TIMES for look in sample.looks)


def _column_of(sample: _Sample, column: str, named: set[str]) -> ColumnLook | None:
    """Return the column of users or items by its name, known or near."""
    table = {"user_id": "users", "item_id": "items"}[column]
    spoken_for = named if named & {"users", "items"} == {table} else set()
    tables = ["events", table] if spoken_for or len(named) == 0 else ["events", *sorted(named)]
    for one in tables:
        known = columns_of(one, sample.names).get(column)
        if known:
            return sample.looks[sample.names.index(known[0])]
    return _near("events", column, [look for look in sample.looks if _is_unknown(look.name)])


def _is_unknown(name: str) -> bool:
    return not any(columns_of(table, [name]) for table in ("events", "orders"))


def _propose_columns(table: str, sample: _Sample, mapping: LogMapping, draft: _Draft) -> None:
    """Propose what the columns of a file mean that are not understood by their names."""
    if not sample.looks:
        return
    if not sample.has_header:
        _propose_header(table, sample, draft)
        return
    renames = mapping.renames(table)
    known = columns_of(table, sample.names, renames)
    _propose_one_of_several(table, known, sample, draft)
    constants = mapping.constants_of(sample.partition.name)
    used = {name for names in known.values() for name in names}
    said = {fold(name) for name in renames}
    free = [
        look
        for look in sample.looks
        if look.name not in used and fold(look.name) not in said and look.looks != EMPTY
    ]
    free = _without_wide(table, sample, free, draft)
    missing = [one for one in GUESSED[table].split() if one not in {*known, *constants}]
    for column in missing:
        found = _near(table, column, free)
        if found:
            reason = _doubt_of_times(found, free) if column == "timestamp" else ""
            _take(table, column, found, free, draft, reason)
    _propose_times(table, missing, free, draft)
    _propose_clock(table, free, draft)
    _propose_by_unit(table, missing, free, draft)
    _propose_ids(table, missing, free, sample, draft)
    if table == "events":
        _say_day_first(missing, free, sample, draft)
        _say_orders(sample, used, draft)
    if table in ("orders", "items"):
        _propose_money(table, missing, free, draft)


def _doubt_of_times(look: ColumnLook, free: Sequence[ColumnLook]) -> str:
    others = [one.name for one in free if one.looks == TIMES and one is not look]
    return f"a guess: {listed(others)} could be it too" if others else ""


def _without_wide(
    table: str, sample: _Sample, free: Sequence[ColumnLook], draft: _Draft
) -> list[ColumnLook]:
    """Leave out columns such as course1, course2, course3: one an item, in a wide table."""
    measures = [look for look in free if look.looks in (WHOLE, NUMBERS, MARKS)]
    stems = Counter(NUMBER_AT_END.sub("", look.name) for look in measures)
    wide = [look for look in measures if stems[NUMBER_AT_END.sub("", look.name)] >= WIDE]
    if wide and table == "events":
        draft.questions.append(
            f"{sample.pattern}: {listed((look.name for look in wide), 3)} look like one thing in "
            "many columns; a log has one row for each user and item, so turn them into rows "
            "(in pandas: melt)"
        )
    return [look for look in free if look not in wide]


def _take(
    table: str,
    column: str,
    look: ColumnLook,
    free: list[ColumnLook],
    draft: _Draft,
    reason: str,
) -> None:
    draft.rename(table, look.name, column, reason)
    free.remove(look)
    written = {table: {look.name: column}}
    unit = _unit_in(look.name)
    is_said = units_of_columns(table, [look.name], written[table])
    if unit and column in ("watch_time", "duration") and not is_said and unit != "seconds":
        draft.put("units", column, value=unit, reason=f"the name {printable(look.name)} says so")


def _propose_one_of_several(
    table: str, known: Mapping[str, Sequence[str]], sample: _Sample, draft: _Draft
) -> None:
    """Where two columns mean one thing, keep the first that is filled."""
    for column, names in known.items():
        if len(set(names)) < 2:
            continue
        looks = {look.name: look.looks for look in sample.looks}
        pair = date_and_clock(names) if column == "timestamp" else None
        if pair is not None and looks[pair[1]] == NUMBERS:
            continue  # hours and minutes look like numbers: together they say one moment
        kept = next((name for name in names if looks[name] != EMPTY), names[0])
        for name in names:
            if name != kept:
                reason = f"a guess: {printable(kept)} means {column} too; keep the right one"
                draft.rename(table, name, IGNORE, reason)


def _propose_times(
    table: str, missing: Sequence[str], free: list[ColumnLook], draft: _Draft
) -> None:
    if "timestamp" not in missing or _is_said(draft, table, "timestamp"):
        return
    times = [look for look in free if look.looks == TIMES]
    if len(times) == 1:
        _take(table, "timestamp", times[0], free, draft, "its only column of times")
    elif times:
        names = listed(look.name for look in times)
        draft.questions.append(
            f"{table}: which of {names} is the time of the row? write it under columns.{table} "
            "as timestamp"
        )


def _propose_clock(table: str, free: list[ColumnLook], draft: _Draft) -> None:
    """Take the column of the time of day that stands beside a date."""
    columns = draft.said.get("columns", {}).get(table, {})
    moments = [theirs for theirs, ours in columns.items() if ours == "timestamp"]
    if len(moments) != 1:
        return
    clocks = []
    for look in free:
        pair = date_and_clock([moments[0], look.name])
        if pair is not None and pair[1] == look.name and look.looks == NUMBERS:
            clocks.append(look)
    if len(clocks) == 1:
        _take(table, "timestamp", clocks[0], free, draft, "a guess: the time of day of the date")


def _propose_by_unit(
    table: str, missing: Sequence[str], free: list[ColumnLook], draft: _Draft
) -> None:
    """Take numbers whose name says seconds, minutes or the like as the time watched."""
    if "watch_time" not in missing or _is_said(draft, table, "watch_time"):
        return
    spans = []
    for look in free:
        if look.looks in (WHOLE, NUMBERS) and _unit_in(look.name) and look.can_be("watch_time"):
            spans.append(look)
    if len(spans) == 1:
        reason = "a guess: a span of time by its name; it may be the duration"
        _take(table, "watch_time", spans[0], free, draft, reason)


def _propose_ids(
    table: str,
    missing: Sequence[str],
    free: list[ColumnLook],
    sample: _Sample,
    draft: _Draft,
) -> None:
    """Find the ids that a table requires by their values, where only one column can be them."""
    wanted = []
    for column in c.REQUIRED[table].split():
        is_id = column in ("user_id", "item_id") and column in missing
        if is_id and not _is_said(draft, table, column):
            wanted.append(column)
    if not wanted:
        return
    candidates = _id_columns(free)
    if len(wanted) == 1 and len(candidates) == 1:
        reason = "a guess: the only other column that looks like ids"
        _take(table, wanted[0], candidates[0], free, draft, reason)
        return
    titles = [
        look
        for look in free
        if look.looks == WORDS and _is_repeated_title(look) and fold(look.name) not in NAMES
    ]
    if len(wanted) == 2 and len(candidates) == len(titles) == 1:
        reason = "a guess: its only column that looks like ids"
        _take(table, "user_id", candidates[0], free, draft, reason)
        reason = "a guess: its only column of texts that come again"
        _take(table, "item_id", titles[0], free, draft, reason)
        return
    if len(wanted) == 2 and len(candidates) + len(titles) < 2:
        draft.questions.append(
            f"{sample.pattern}: none of its columns ({sample.named}) says which user met "
            "which item, so it does not look like a log of behaviour; where one does, write it "
            f"under columns.{table}"
        )
        return
    for column in wanted:
        choices = listed(look.name for look in [*candidates, *titles])
        draft.questions.append(
            f"{sample.pattern}: no column is known as {column}; of its columns "
            f"these could be it: {choices or 'none'}; write it under columns.{table}"
        )


def _is_repeated_title(look: ColumnLook) -> bool:
    is_date = all(map(DAY_FIRST.fullmatch, look.examples))
    return 1 < look.n_different <= look.n_written / 2 and not is_date


def _propose_money(
    table: str, missing: Sequence[str], free: list[ColumnLook], draft: _Draft
) -> None:
    """Take numbers whose name speaks of money as amount or price; ask what an order costs."""
    column = {"orders": "amount", "items": "price"}[table]
    if column not in missing or _is_said(draft, table, column):
        return
    sums = []
    for look in free:
        if MONEY.intersection(_words(look.name)) and look.can_be(column):
            sums.append(look)
    if len(sums) == 1:
        reason = "a guess: money by its name; it may be another sum"
        _take(table, column, sums[0], free, draft, reason)
    elif table == "orders":
        _ask_for_prices(free, draft)


def _ask_for_prices(free: Sequence[ColumnLook], draft: _Draft) -> None:
    for look in free:
        if look.looks in (CODES, WORDS) and 1 < look.n_different <= MOST_PLANS:
            prices = ", ".join(f"{_scalar(value)}: PRICE" for value in look.values())
            draft.questions.append(
                "orders: no column says what was paid, so there is no money; if it follows from "
                f"{printable(look.name)}, write price_of: {{{_scalar(look.name)}: {{{prices}}}}}"
            )
            return


def _propose_days(events: Sequence[_Sample], mapping: LogMapping, draft: _Draft) -> None:
    """Take the days of the events from the names of daily files whose rows have no times."""
    for sample in events:
        days = {name: DAY.search(Path(name).name) for name in sample.like}
        has_times = "timestamp" in columns_of("events", sample.names, mapping.renames("events"))
        if has_times or _is_said(draft, "events", "timestamp") or len(days) < 2:
            continue
        for name, day in days.items():
            if day is None:
                break
            value = "-".join(day.groups())
            if "timestamp" not in mapping.constants_of(name):
                draft.put("constants", name, "timestamp", value=value)
                reason = "a guess: the days in the names of the files"
                draft.reasons[("constants",)] = reason


def _is_said(draft: _Draft, table: str, column: str) -> bool:
    return column in draft.said.get("columns", {}).get(table, {}).values()


def _id_columns(looks: Sequence[ColumnLook]) -> list[ColumnLook]:
    """Return the columns that can be ids of users or items: repeated, and no mere attributes."""
    candidates = []
    for look in looks:
        is_repeated = look.n_different > 1 and not _is_row_number(look)
        is_type = fold(look.name) in NAMES
        if look.looks in (WHOLE, CODES) and is_repeated and not is_type:
            candidates.append(look)
    candidates = [look for look in candidates if not _are_small_counts(look)]
    return [look for look in candidates if not _is_attribute(look, candidates)]


def _is_attribute(look: ColumnLook, others: Sequence[ColumnLook]) -> bool:
    return any(_depends_on(look, other) for other in others if other is not look)


def _is_row_number(look: ColumnLook) -> bool:
    return look.is_unique and look.n_written > SMALL_COUNT


def _are_small_counts(look: ColumnLook) -> bool:
    if look.looks != WHOLE:
        return False
    numbers = [float(value) for value in look.values()]
    return min(numbers) <= 0 and max(numbers) < SMALL_COUNT


def _depends_on(look: ColumnLook, other: ColumnLook) -> bool:
    """Whether a column is fixed by another one, as the category of an item is."""
    if look.n_different >= other.n_different or other.is_unique:
        return False
    pairs = pd.DataFrame({"other": other.cells.to_pandas(), "look": look.cells.to_pandas()})
    return bool((pairs.groupby("other")["look"].nunique() <= 1).all())


def _propose_header(table: str, sample: _Sample, draft: _Draft) -> None:
    """Name the columns of a file without a header by their values."""
    names = {look.name: f"unknown_{n}" for n, look in enumerate(sample.looks, start=1)}
    types = [look for look in sample.looks if look.looks == TYPES]
    times = [look for look in sample.looks if look.looks == TIMES]
    ids = _id_columns([look for look in sample.looks if look.looks in (WHOLE, CODES)])
    if len(ids) < 2:
        found = listed(look.name for look in ids) or "none"
        draft.questions.append(
            f"{sample.pattern}: it has no header, and columns of users and items are not clear "
            f"(those that look like ids: {found}); name all {len(names)} columns under headers"
        )
        draft.put("headers", sample.pattern, value=[*names.values()], reason="name each column")
        return
    user, item = ids[:2]
    names |= {user.name: "user_id", item.name: "item_id"}
    names |= {look.name: "behavior_type" for look in types[:1]}
    names |= {look.name: "timestamp" for look in times[:1]}
    rest = len(ids) > 2
    doubt = " (other columns could be ids too)" if rest else ""
    reason = f"a guess from the values, users first{doubt}; look at the first rows"
    draft.put("headers", sample.pattern, value=[*names.values()], reason=reason)


def _say_orders(sample: _Sample, used: Collection[str], draft: _Draft) -> None:
    """Say of events that speak of money that no purchase is seen in them."""
    types = _types_column(sample, EventTypes(), set())
    known = columns_of("orders", sample.names)
    own = [name for column in ("amount", "status") for name in known.get(column, ())]
    unused = [name for name in own if name not in used]
    if types is None and unused:
        draft.questions.append(
            f"{sample.pattern}: {listed(unused)} speak of orders, but each row is taken as an "
            "event and no money is read; if the rows are orders, put them beside the behaviour "
            "log and write files: {events: [THE LOG], orders: [" + sample.pattern + "]}"
        )


def _say_day_first(
    missing: Sequence[str], free: Sequence[ColumnLook], sample: _Sample, draft: _Draft
) -> None:
    if "timestamp" not in missing or _is_said(draft, "events", "timestamp"):
        return
    for look in free:
        if look.examples and all(map(DAY_FIRST.fullmatch, look.examples)):
            draft.questions.append(
                f"{sample.pattern}: {printable(look.name)} holds times with the year last, such "
                f"as {look.examples[0]}; day and month cannot be told apart, so write date_order: "
                "day_first (or month_first), and under columns.events "
                f"{_scalar(look.name)}: timestamp; or go on without times"
            )


def _propose_types(events: Sequence[_Sample], mapping: LogMapping, draft: _Draft) -> None:
    """Find the column of types of behaviour, and what its types may mean."""
    said = mapping.event_types
    if said.files or "files" in draft.said.get("event_types", {}):
        return
    renamed = {fold(name) for name in mapping.renames("events")}
    for sample in events:
        look = _types_column(sample, said, renamed)
        if look is None:
            continue
        if not said.column and sample.has_header and fold(look.name) not in NAMES | DOUBTFUL_NAMES:
            reason = "its values are types of behaviour"
            draft.put("event_types", "column", value=look.name, reason=reason)
        _propose_meanings(look, said, draft)
        has_times = "timestamp" in columns_of("events", sample.names, mapping.renames("events"))
        if sample.has_header and not has_times and not _is_said(draft, "events", "timestamp"):
            _leave_out_timeless(look, said, draft)


def _propose_money_of_types(events: Sequence[_Sample], mapping: LogMapping, draft: _Draft) -> None:
    """Take the money on rows whose type is a purchase as the amounts of the orders."""
    of_types = draft.said.get("event_types", {})
    types = {str(type_): meaning for type_, meaning in of_types.get("types", {}).items()}
    said = EventTypes(column=of_types.get("column", ""), types=types)
    of_events = mapping.renames("events")
    for sample in events:
        look = _types_column(sample, said, {fold(name) for name in of_events})
        if look is None or "order" not in map(said.meaning_of, look.values()):
            continue
        known = columns_of("orders", sample.names, of_events | mapping.renames("orders"))
        if "amount" in known or _is_said(draft, "orders", "amount"):
            continue
        used = columns_of("events", sample.names, of_events)
        used_names = {name for names in used.values() for name in names}
        free = [one for one in sample.looks if one.name not in used_names and one is not look]
        amounts = [one for one in free if MONEY.intersection(_words(one.name))]
        near = _near("orders", "amount", free)
        found = near or (amounts[0] if len(amounts) == 1 else None)
        if found is not None and found.can_be("amount"):
            reason = f"a guess: money on rows of {printable(look.name)}"
            draft.rename("orders", found.name, "amount", reason)


def _leave_out_timeless(look: ColumnLook, said: EventTypes, draft: _Draft) -> None:
    """Leave out the types that become orders or exposures, which need a time."""
    for type_ in look.values():
        table = TABLE_OF.get(said.meaning_of(type_) or "", "")
        if table:
            reason = f"{table} that have no time cannot be used"
            draft.put("event_types", "types", type_, value=IGNORE, reason=reason)


def _types_column(sample: _Sample, said: EventTypes, renamed: set[str]) -> ColumnLook | None:
    for look in sample.looks:
        folded = fold(look.name)
        if said.column:
            if folded == fold(said.column):
                return look
        elif folded not in renamed and folded in NAMES:
            return look
    if said.column:
        return None
    free = [look for look in sample.looks if fold(look.name) not in renamed]
    return next((look for look in free if look.looks == TYPES and _is_unknown(look.name)), None)


def _propose_meanings(look: ColumnLook, said: EventTypes, draft: _Draft) -> None:
    if look.n_different > MOST_TYPES:
        draft.questions.append(
            f"{printable(look.name)} has {look.n_different:,} different values; if they are no "
            f"types of behaviour, write {_scalar(look.name)}: ignore under columns.events"
        )
        return
    counts = Counter(map(str.strip, _texts(look)))
    for type_, n in sorted(counts.items()):
        if not type_ or said.meaning_of(type_):
            continue
        guess = _near_meaning(type_)
        share = f"{n:,} of the first {sum(counts.values()):,} rows"
        reason = f"a guess from the word; {share}" if guess else share
        draft.put("event_types", "types", type_, value=guess, reason=reason)
        if not guess:
            draft.questions.append(
                f"what do the types of {printable(look.name)} mean? write one of "
                f"{', '.join(MEANINGS)} behind each under event_types"
            )


def _texts(look: ColumnLook) -> list[str]:
    return [str(value) for value in look.cells.to_pylist() if value is not None]


def _near_meaning(type_: str) -> str | None:
    """Return what a type such as PlayVideo or 点赞直播间 means by a word in it."""
    words = _words(type_)
    pieces = [*words]
    for word in words:
        if not word.isascii():
            pieces += [word[:size] for size in range(len(word) - 1, 1, -1)]
            pieces += [word[-size:] for size in range(len(word) - 1, 1, -1)]
    found = [meaning for meaning in map(meaning_of_word, pieces) if meaning]
    if not found and fold(type_).endswith("view"):
        return "view"
    return found[0] if found else None


def _propose_types_of_files(events: Sequence[_Sample], draft: _Draft) -> None:
    """Take files by the types in their names, where each has one and they differ."""
    meanings = {}
    for sample in events:
        stem = Path(sample.partition.name).name.partition(".")[0]
        words = [word for word in _words(stem) if word not in TABLE_OF_WORD]
        found = [meaning for meaning in map(meaning_of_word, words) if meaning]
        if len(found) != 1:
            return
        meanings[sample.pattern] = found[0]
    if len(set(meanings.values())) > 1:
        for pattern, meaning in meanings.items():
            reason = "by the name of the file"
            draft.put("event_types", "files", pattern, value=meaning, reason=reason)


def _words(name: str) -> list[str]:
    """Return the words of a name: parts at signs and inner capitals, in lower case."""
    spaced = INNER_CAPITAL.sub(" ", unicodedata.normalize("NFKC", name))
    return PARTS.findall(spaced.replace("_", " ").casefold())


def _unit_in(name: str) -> str:
    """Return the unit of time that a name says, such as ``stay_secs``."""
    for word in reversed(_words(name)):
        unit = unit_of_word(word, "watch_time")
        if unit and len(word) > 1:
            return unit
    return ""


def _near(table: str, column: str, looks: Sequence[ColumnLook]) -> ColumnLook | None:
    """Return the column whose name is nearest to one that we know and whose values fit."""
    best = None
    most = 0.0
    for look in looks:
        innermost = look.name.rpartition(".")[2]  # course_id of properties.course_id
        likeness_of_end = _likeness(table, column, innermost)
        score = max(_likeness(table, column, look.name), likeness_of_end)
        if score > most and _fits(column, look):
            best = look
            most = score
    return best


def _fits(column: str, look: ColumnLook) -> bool:
    if column in LOOKS_OF and look.looks not in LOOKS_OF[column]:
        return False
    if column.endswith("_count") and look.looks not in (WHOLE, MARKS):
        return False
    if column in ("user_id", "item_id") and _are_small_counts(look):
        return False
    return look.can_be(column)


def _likeness(table: str, column: str, name: str) -> float:
    """Return how much a name is like one that means a column: 0 for not at all, at most 1."""
    words = _words(name)
    folded = fold(name)
    if not folded:
        return 0.0
    own = c.OTHER_NAMES_IN.get(table, {})
    others = own.get(column, c.OTHER_NAMES.get(column, "")).replace("|", " ").split()
    best = 0.0
    for other in map(fold, (column, *others)):
        is_word = other in words if other.isascii() else other in folded
        if is_word and len(other) > 1:
            rest = [word for word in words if word != other] if other.isascii() else []
            rest = rest or [part for part in folded.split(other) if part]
            best = max(best, _score_of_rest(rest, len(other) / len(folded)))
        alike = SequenceMatcher(None, other, folded).ratio()
        if alike >= ALIKE:
            best = max(best, alike)
    return best


def _score_of_rest(rest: Sequence[str], share: float) -> float:
    """Judge the words beside the known one: a number or code speaks for an id, a nickname not."""
    if any(word in OTHER_NOUNS.split() for word in rest):
        return 0.0
    if any(word in ID_WORDS.split() for word in rest):
        return 1.0
    return share


def _no_log(samples: Sequence[_Sample], tables: Mapping[str, Sequence[_Sample]]) -> str:
    readable = [sample for sample in samples if sample.looks]
    if not readable:
        return "no file here can be read as a table"
    if tables:
        found = []
        for table, members in tables.items():
            files = listed(sample.pattern for sample in members)
            found.append(f"{table} ({files})")
        return f"there is {', '.join(found)}, but no file says which user met which item"
    return "no file here says which user met which item, so it is no log of behaviour"
