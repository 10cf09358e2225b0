"""Name the columns of a file: what a header says, whatever its case, signs and language.

>>> name_columns("events", "log.csv", ["User ID", "课程ID", "观看时长(分钟)", "colour"])
['user_id', 'item_id', 'watch_time', 'colour']
>>> units_of_columns("events", ["User ID", "课程ID", "观看时长(分钟)", "colour"])
{'watch_time': 'minutes'}
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache

from kpay_lab import columns as c
from kpay_lab.data.rows import NotUnderstoodError, printable
from kpay_lab.data.tables import SCHEMAS

IGNORE = "ignore"  # what a mapping says of a column that is to be left out
# What is understood beside the columns of a schema, and not kept as a column.
READ_ALONG = {"orders": ("currency",)}
UNIT_WORDS = {
    "seconds": "s sec secs second seconds 秒 秒钟",
    "minutes": "min mins minute minutes 分 分钟",
    "hours": "h hr hrs hour hours 小时",
    "days": "d day days 天",
    "ms": "ms msec millis millisecond milliseconds 毫秒",
    "us": "us μs microsecond microseconds 微秒",
    "percent": "% percent pct 百分比",
    "cents": "cent cents fen 分 美分",
    "10k": "万 万元",
}
UNITS_OF_TIME = ("seconds", "minutes", "hours", "days", "ms", "us")
UNITS_OF_MONEY = ("cents", "10k")
HAS_UNIT = {
    "watch_time": UNITS_OF_TIME,
    "duration": UNITS_OF_TIME,
    "progress": ("percent",),
    "price": UNITS_OF_MONEY,
    "amount": UNITS_OF_MONEY,
    "refund_amount": UNITS_OF_MONEY,
    "gift_amount": UNITS_OF_MONEY,
}
CLOCKS = re.compile(r"[hms:时分秒.]+")  # hh:mm:ss says how cells are written, and they say it too
# The names that say a unit of their own, without brackets.
UNIT_OF_NAME = {
    "watchminutes": "minutes",
    "minuteswatched": "minutes",
    "观看分钟数": "minutes",
    "percentwatched": "percent",
    "watchedpercent": "percent",
}
BRACKETS = re.compile(r"\s*[\[(【{]([^\])】}]*)[\])】}]\s*$")
TYPE_SUFFIX = re.compile(r":(token|float)(_seq)?$")  # RecBole writes user_id:token
LAST_WORD = re.compile(r"(?:[\s_-]+([a-z%]+)|(毫秒|秒|分钟|小时)数?)$")
INNER_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SIGNS = re.compile(r"[\s_\-./]+")
EXPLICIT = -1  # rank of a name that a mapping gives
RANK_OF_TITLES = 2  # of the names of an item, from which on they are titles and no ids
NAMES_OF_DATES = ("date", "日期")  # how the names of a moment's two parts end
NAMES_OF_CLOCKS = ("time", "时间", "时刻")
SHOWN_NAMES = 8  # how many of the names understood an error lists


@dataclass(frozen=True)
class Meaning:
    """What the name of a column means in a table.

    Parameters
    ----------
    column : str
        Our name of it.
    rank : int
        Of several names for one column in a file the lowest rank wins.
    unit : str
        The unit that the name says, such as ``minutes``; '' where it says none.
    """

    column: str
    rank: int
    unit: str = ""


def fold(name: str) -> str:
    """Return a name without what nobody means by it: case, width, spaces and signs.

    >>> fold("User ID") == fold("userId") == fold("user_id") == fold("ｕｓｅｒ－ｉｄ") == "userid"
    True
    """
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    return SIGNS.sub("", TYPE_SUFFIX.sub("", plain))


PLACES_OF_SALE = frozenset(map(fold, c.PLACES_OF_SALE.split()))


@cache
def _meanings(table: str) -> dict[str, Meaning]:
    """Return what each folded name means in a table."""
    own = c.OTHER_NAMES_IN.get(table, {})
    found: dict[str, Meaning] = {}
    for column in (*SCHEMAS[table].columns, *READ_ALONG.get(table, ())):
        ranks = own.get(column, c.OTHER_NAMES.get(column, "")).split("|")
        for rank, names in enumerate(ranks):
            for name in names.split():
                unit = UNIT_OF_NAME.get(fold(name), "")
                found.setdefault(fold(name), Meaning(column, rank, unit))
    for column in (*SCHEMAS[table].columns, *READ_ALONG.get(table, ())):
        found[fold(column)] = Meaning(column, 0)
    return found


def _meaning(table: str, name: str, renames: Mapping[str, str]) -> Meaning | None:
    """Return what a name means in a table: as a mapping has it, or else by the names we know."""
    word = _word_in_brackets(name)
    said = {fold(theirs): ours for theirs, ours in renames.items()}
    for spelling in (fold(name), fold(without_brackets(name))):
        if spelling in said:
            unit = unit_of_word(word or _last_word(name), said[spelling])
            return Meaning(said[spelling], EXPLICIT, unit)
    known = _meanings(table)
    if fold(name) in known:
        return known[fold(name)]
    stem = without_brackets(name)
    found = known.get(fold(stem))
    last_word = LAST_WORD.search(stem)
    if found is None and last_word and stem == _plain(name):
        word = last_word.group(1) or last_word.group(2)
        found = known.get(fold(LAST_WORD.sub("", stem)))
        if found is not None and not unit_of_word(word, found.column):
            return None  # the last word is no unit, so the name is another
    if found is None:
        return None
    return Meaning(found.column, found.rank, unit_of_word(word, found.column) or found.unit)


def without_brackets(name: str) -> str:
    """Return a name without the brackets at its end, in lower case.

    >>> without_brackets("观看时长（秒）")
    '观看时长'
    """
    return BRACKETS.sub("", _plain(name))


def _plain(name: str) -> str:
    words = INNER_CAPITAL.sub("_", name)
    return unicodedata.normalize("NFKC", words).casefold().strip()


def _last_word(name: str) -> str:
    """Return the last word of a name such as ``pay_amt_fen``, which may be a unit."""
    found = LAST_WORD.search(_plain(name))
    return (found.group(1) or found.group(2)) if found else ""


def _word_in_brackets(name: str) -> str:
    inside = BRACKETS.search(_plain(name))
    return inside.group(1).strip() if inside else ""


def unit_of_word(word: str, column: str) -> str:
    """Return the unit that a word says of a column: 分 are minutes of time, and cents of money."""
    for unit in HAS_UNIT.get(column, ()):
        if word in UNIT_WORDS[unit].split():
            return unit
    return ""


def _understood(
    table: str, header: Sequence[str], renames: Mapping[str, str]
) -> list[Meaning | None]:
    """Return the meaning of each column; None where it has none, or an earlier rank has it."""
    meanings = [_meaning(table, name, renames) for name in header]
    if table in ("orders", "offers"):
        meanings = _with_places_of_sale(header, meanings)
    best: dict[str, int] = {}
    for meaning in meanings:
        if meaning is not None:
            best[meaning.column] = min(meaning.rank, best.get(meaning.column, meaning.rank))
    return [
        meaning if meaning is not None and meaning.rank == best[meaning.column] else None
        for meaning in meanings
    ]


def _with_places_of_sale(
    header: Sequence[str], meanings: Sequence[Meaning | None]
) -> list[Meaning | None]:
    """Let a room or video be the source where another column names what was sold or offered."""
    places = set()
    sold_ranks = []
    for name, meaning in zip(header, meanings, strict=True):
        if meaning is None or meaning.column != "item_id":
            continue
        if meaning.rank != EXPLICIT and fold(name) in PLACES_OF_SALE:
            places.add(name)
        else:
            sold_ranks.append(meaning.rank)
    names_a_product = bool(sold_ranks) and min(sold_ranks) < RANK_OF_TITLES
    if not names_a_product:
        return list(meanings)
    return [
        replace(meaning, column="source_item_id") if meaning and name in places else meaning
        for name, meaning in zip(header, meanings, strict=True)
    ]


def name_columns(
    table: str,
    file: str,
    header: Sequence[str],
    *,
    renames: Mapping[str, str] | None = None,
    guessed: bool = False,
    cells_unknown: bool = False,
) -> list[str]:
    """Replace the names in a header by ours; a name without a meaning stays as it is.

    Parameters
    ----------
    table : str
    file : str
        The name that messages give it.
    header : sequence of str
        The names of the columns, as written.
    renames : mapping, optional
        What a mapping says of this table: their name → ours, or ``ignore``; '' comes back for
        a column that is ignored.
    guessed : bool
        Whether the encoding was guessed. Letters beyond ASCII of which no name is known do not
        prove the guess, and are refused.
    cells_unknown : bool
        Whether only the header was read. A date and a time of day by their names may then both
        mean one column: their cells will tell whether they are (`date_and_clock`).

    Raises
    ------
    ValueError
        With all problems of the header at once: a required column is missing, two columns
        mean the same, or a guessed encoding makes no sense.
    """
    renames = renames or {}
    meanings = _understood(table, header, renames)
    names = []
    for written, meaning in zip(header, meanings, strict=True):
        if meaning is None:
            names.append(written.strip())
        else:
            names.append("" if meaning.column == IGNORE else meaning.column)
    missing = _missing(table, names)
    faults = [f"it has no column {column}" for column in missing]
    faults += _repeated(table, header, meanings, cells_unknown)
    if table == "users":
        faults += _repeated_extra(header, names, meanings)
    if guessed and not known_names([name for name in header if not name.isascii()], renames):
        unknown = ", ".join(name for name in header if not name.isascii())
        if unknown:
            shown = printable(unknown)
            faults.append(
                f"it is not UTF-8 and its columns {shown} are not known; save it as UTF-8"
            )
    if faults:
        columns = printable(", ".join(header), 200)
        remedy = _remedy(table, header, meanings, missing) if missing else ""
        problem = f"{file}: {'; '.join(faults)} (its columns: {columns})"
        raise NotUnderstoodError(problem, remedy)
    return names


def units_of_columns(
    table: str, header: Sequence[str], renames: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the units that the names of a header say: our column → unit."""
    meanings = _understood(table, header, renames or {})
    return {found.column: found.unit for found in meanings if found is not None and found.unit}


def notes_on_units(
    table: str, header: Sequence[str], renames: Mapping[str, str] | None = None
) -> list[str]:
    """Say which columns have a unit in brackets that is not understood.

    >>> notes_on_units("events", ["user", "item", "watch time (lessons)"])[0][:52]
    'events: the unit of watch time (lessons) is not unde'
    """
    notes = []
    for written, found in zip(header, _understood(table, header, renames or {}), strict=True):
        word = _word_in_brackets(written)
        is_time = found is not None and HAS_UNIT.get(found.column) == UNITS_OF_TIME
        if found is None or not is_time or not word or found.unit or CLOCKS.fullmatch(word):
            continue
        notes.append(
            f"{table}: the unit of {printable(written)} is not understood, and its plain numbers "
            f"count as seconds; if they are not, write mapping: {{units: {{{found.column}: "
            "minutes}} or another"
        )
    return notes


def columns_of(
    table: str, header: Sequence[str], renames: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Return our columns that a header has, each with the names that mean it there.

    >>> columns_of("events", ["uid", "内容", "play_time", "colour"])
    {'user_id': ['uid'], 'item_id': ['内容'], 'watch_time': ['play_time']}
    """
    found: dict[str, list[str]] = {}
    for written, meaning in zip(header, _understood(table, header, renames or {}), strict=True):
        if meaning is not None and meaning.column != IGNORE:
            found.setdefault(meaning.column, []).append(written)
    return found


def date_and_clock(names: Sequence[str]) -> tuple[str, str] | None:
    """Return which of two names of a moment may hold its date, and which its time of day.

    >>> date_and_clock(["时间", "日期"])
    ('日期', '时间')
    >>> date_and_clock(["date", "created_at"])
    """
    dates = [name for name in names if without_brackets(name).endswith(NAMES_OF_DATES)]
    clocks = [name for name in names if without_brackets(name).endswith(NAMES_OF_CLOCKS)]
    if len(names) != 2 or len(dates) != 1 or len(clocks) != 1:
        return None
    return dates[0], clocks[0]


def known_names(header: Sequence[str], renames: Collection[str] = ()) -> list[str]:
    """Return the names of a header that some table understands, or that a mapping names.

    >>> known_names(["用户", "备注", "User ID", "观看时长(秒)"])
    ['用户', 'User ID', '观看时长(秒)']
    """
    said = {fold(name) for name in renames}
    return [name for name in header if fold(name) in said or _has_a_meaning(name)]


def _has_a_meaning(name: str) -> bool:
    return any(_meaning(table, name, {}) for table in SCHEMAS)


def may_mean_the_same(first: str, second: str) -> bool:
    """Return whether two names mean one column in some table.

    >>> may_mean_the_same("timestamp", "时间"), may_mean_the_same("user", "item")
    (True, False)
    """
    for table in SCHEMAS:
        one = _meaning(table, first, {})
        other = _meaning(table, second, {})
        if one is not None and other is not None and one.column == other.column:
            return True
    return fold(first) == fold(second)


def _missing(table: str, names: Sequence[str]) -> list[str]:
    return [column for column in c.REQUIRED[table].split() if column not in names]


def _remedy(
    table: str, header: Sequence[str], meanings: Sequence[Meaning | None], missing: Sequence[str]
) -> str:
    """Say which names are understood for what is missing, and the line for any other name."""
    unnamed = [name for name, one in zip(header, meanings, strict=True) if one is None]
    renames = {}
    sentences = []
    for column in missing:
        nearest = _nearest(unnamed, table, column)
        if nearest:
            unnamed.remove(nearest)
        renames[nearest or f"YOUR NAME OF {column}"] = column
        listed = ", ".join(_names_shown(table, column))
        sentences.append(f"understood as {column} are {listed} and the like")
    sentences.append(f"for other names write {profile_line(table, renames)}")
    return "; ".join(sentences)


def _nearest(unnamed: Sequence[str], table: str, column: str) -> str:
    """Return the name without a meaning that is most like one that means the column."""
    understood = [name for name, one in _meanings(table).items() if one.column == column]
    by_fold = {fold(name): name for name in reversed(unnamed)}
    for cutoff in (0.8, 0.65):
        for folded in reversed(by_fold):
            if get_close_matches(folded, understood, 1, cutoff):
                return by_fold[folded]
    return ""


def _names_shown(table: str, column: str) -> list[str]:
    """Return our name of a column and a few others, English and Chinese."""
    own = c.OTHER_NAMES_IN.get(table, {})
    others = own.get(column, c.OTHER_NAMES.get(column, "")).replace("|", " ").split()
    english = [name for name in others if name.isascii()]
    chinese = [name for name in others if not name.isascii()]
    half = SHOWN_NAMES // 2
    return [column, *english[: half - 1], *chinese[:half]]


def profile_line(table: str, renames: Mapping[str, str]) -> str:
    """Return what to write into a profile so that columns are understood.

    >>> profile_line("events", {"visitor": "user_id"})
    'mapping: {columns: {events: {"visitor": user_id}}}'
    """
    said = ", ".join(f'"{printable(theirs)}": {ours}' for theirs, ours in renames.items())
    return f"mapping: {{columns: {{{table}: {{{said}}}}}}}"


def _repeated(
    table: str,
    header: Sequence[str],
    meanings: Sequence[Meaning | None],
    cells_unknown: bool,
) -> list[str]:
    """Refuse two names of one rank for a column, and say which to rename or to leave out."""
    names_of: dict[str, list[str]] = {}
    for written, meaning in zip(header, meanings, strict=True):
        if meaning is not None and meaning.column != IGNORE:
            names_of.setdefault(meaning.column, []).append(written)
    faults = []
    for column, spelled in names_of.items():
        may_be_parts = cells_unknown and column == "timestamp" and date_and_clock(spelled)
        if len(spelled) == 1 or may_be_parts:
            continue
        others = [name for name in spelled if fold(name) != fold(column)]
        if len(set(spelled)) == 1 or not others:
            faults.append(f"it names {printable(spelled[0])} more than once; rename one")
            continue
        both = " and ".join(map(printable, spelled))
        line = profile_line(table, {others[-1]: IGNORE})
        faults.append(f"{both} both mean {column}; rename one, or write {line}")
    return faults


def _repeated_extra(
    header: Sequence[str], names: Sequence[str], meanings: Sequence[Meaning | None]
) -> list[str]:
    """Refuse a further column of a name that there is already; the users table keeps them all.

    Where a mapping gives two columns one name, `_repeated` says so.
    """
    faults = []
    extra = {name for name, one in zip(names, meanings, strict=True) if one is None and name}
    for name in sorted(extra):
        spelled = [written for written, own in zip(header, names, strict=True) if own == name]
        if len(set(spelled)) > 1:
            both = " and ".join(map(printable, spelled))
            faults.append(f"{both} both mean {printable(name)}; rename one")
        elif len(spelled) > 1:
            faults.append(f"it names {printable(name)} more than once")
    return faults
