"""What the files of a log mean, where they do not say it themselves: `LogMapping`.

A profile says it under ``mapping:``, the command line with ``--set mapping=…``, and Python with
``open_log(mapping=…)``.

>>> LogMapping.of({"columns": {"events": {"wer": "user"}}})
Traceback (most recent call last):
ValueError: mapping.columns.events: 'wer' → 'user'; there is no column user; did you mean user_id?
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml

from kpay_lab.data.event_types import MEANINGS, EventTypes
from kpay_lab.data.headers import HAS_UNIT, IGNORE, READ_ALONG, unit_of_word
from kpay_lab.data.tables import KIND_OF, SCHEMAS
from kpay_lab.data.time_cells import DATE_ORDERS

Text = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class LogMapping:
    """What the files of a log mean; empty where they say it themselves.

    Parameters
    ----------
    files : mapping of table to tuple of str
        The names or patterns (``2023-*.csv``) of the files that feed a table.
    tables : mapping of table to tuple of str
        The same of a database: names or patterns of its tables and views, or a query.
    headers : mapping of file to tuple of str
        The names of all columns of a file that has no header line.
    columns : mapping of table to (their name → ours)
        ``ignore`` in place of our name leaves a column out. A column of the users may be given a
        name of its own: ``{"users": {"age": "age_range"}}``, where the ages are no numbers.
    event_types : EventTypes
        What the types of behaviour mean.
    source_time_zone : str
        The zone of times that are written without one; '' for UTC.
    date_order : {"", "month_first", "day_first"}
        How dates with the year last are written (03/25/2026); '' refuses them.
    units : mapping of column to unit
        Such as ``{"watch_time": "minutes"}``.
    currency : str
        The one currency whose amounts count, such as CNY; '' where there is only one.
    rating_scale : (float, float), optional
        The lowest and the highest rating.
    price_of : mapping of their column to (value → amount)
        What an order costs whose amount nobody wrote down, such as a subscription.
    constants : mapping of file to (our column → value)
        The value of a column that a file lacks. An item named here joins the catalogue, with
        what is said of it that the table of the file does not hold, such as its kind.
    """

    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, Text] = field(default_factory=dict)
    event_types: EventTypes = field(default_factory=EventTypes)
    source_time_zone: str = ""
    date_order: str = ""
    units: Text = field(default_factory=dict)
    currency: str = ""
    rating_scale: tuple[float, float] | None = None
    price_of: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    constants: Mapping[str, Text] = field(default_factory=dict)

    @classmethod
    def of(cls, said: "LogMapping | Mapping[str, Any] | str | Path | None") -> "LogMapping":
        """Make a mapping of what was said, and check all of it at once.

        Parameters
        ----------
        said : LogMapping, mapping, str, Path or None
            A path leads to a YAML file that holds a mapping, or a profile with a block
            ``mapping``; None is the empty mapping.

        Raises
        ------
        ValueError
            With one line for each thing that cannot be meant.

        Examples
        --------
        >>> mapping = LogMapping.of({"columns": {"events": {"visitor": "user_id"}}})
        >>> mapping.renames("events")
        {'visitor': 'user_id'}
        """
        if isinstance(said, cls):
            return said
        if isinstance(said, str | Path):
            said = _read(Path(said))
        if said is None:
            return cls()
        if not isinstance(said, Mapping):
            raise ValueError(
                f"mapping is of type {type(said).__name__}; write a mapping, such as "
                '{columns: {events: {"visitor": user_id}}}'
            )
        faults = [*_faults(said), *_faults_together(said)]
        if faults:
            raise ValueError("\n".join(faults))
        return cls(**{name: MADE[name](value) for name, value in said.items() if value})

    def as_dict(self) -> dict[str, Any]:
        """Return what is said as plain values that `of` and YAML take.

        >>> LogMapping.of({"units": {"watch_time": "ms"}}).as_dict()
        {'units': {'watch_time': 'ms'}}
        """
        said = {}
        for one in fields(self):
            value = _plain(getattr(self, one.name))
            if value:
                said[one.name] = value
        return said

    def __bool__(self) -> bool:
        """Return whether anything is said."""
        return self != LogMapping()

    @property
    def fed_by(self) -> Mapping[str, tuple[str, ...]]:
        """What feeds each table: files, or tables of a database and queries."""
        return self.tables or self.files

    def renames(self, table: str) -> dict[str, str]:
        """Return what is said of a table's columns: their name → ours, or ``ignore``."""
        return dict(self.columns.get(table, {}))

    def names_said(self) -> list[str]:
        """Return every name of a column that something is said of."""
        renamed = [name for names in self.columns.values() for name in names]
        return [*renamed, *filter(None, [self.event_types.column]), *self.price_of]

    def header_of(self, file: str) -> tuple[str, ...]:
        """Return the names of the columns of a file that has no header; none where it has one."""
        for pattern, names in self.headers.items():
            if names_file(pattern, file):
                return names
        return ()

    def constants_of(self, file: str) -> dict[str, str]:
        """Return the columns that are the same in every row of a file."""
        found: dict[str, str] = {}
        for pattern, values in self.constants.items():
            if names_file(pattern, file):
                found |= values
        return found


def _plain(value: Any) -> Any:
    """Return mappings as dicts and tuples as lists, without what is empty."""
    if isinstance(value, EventTypes):
        value = vars(value)
    if isinstance(value, Mapping):
        plain = {name: _plain(one) for name, one in value.items()}
        return {name: one for name, one in plain.items() if one not in ({}, [], "", None)}
    return list(value) if isinstance(value, tuple) else value


def names_file(pattern: str, file: str) -> bool:
    """Return whether a name or a pattern such as ``2023-*.csv`` names a file.

    >>> names_file("2023-*.csv", "2023-01.csv"), names_file("a.csv", "logs/a.csv")
    (True, True)
    """
    return fnmatch(file, pattern) or fnmatch(Path(file).name, pattern)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` did you mean user_id?`` after a semicolon, or the names there are."""
    names = [str(one) for one in known]
    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def _read(path: Path) -> Any:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"mapping is {str(path)!r}, and there is no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path.name} cannot be read as YAML: {reason}") from None
    is_profile = isinstance(content, Mapping) and "mapping" in content
    return content["mapping"] if is_profile else content


def _faults(said: Mapping[str, Any]) -> Iterator[str]:
    """Say everything that is wrong with a mapping, a line each."""
    names = [one.name for one in fields(LogMapping)]
    for name, value in said.items():
        if name not in names:
            yield f"mapping has no {name!r}; {did_you_mean(str(name), names)}"
        elif value:
            yield from CHECKS[name](value)


def _faults_together(said: Mapping[str, Any]) -> Iterator[str]:
    if said.get("files") and said.get("tables"):
        yield (
            "mapping.files names files and mapping.tables those of a database; a log lies in one "
            "place, so keep one of them"
        )


def _wrong_shape(place: str, value: Any, shape: str) -> str:
    return f"{place} is {value!r}; write {shape}"


def _table_faults(place: str, table: Any) -> list[str]:
    if table in SCHEMAS:
        return []
    return [f"{place}: there is no table {table!r}; {did_you_mean(str(table), SCHEMAS)}"]


def _files_faults(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _wrong_shape("mapping.files", value, "{events: [watching.csv, ratings.csv]}")
        return
    yield from _feeding_faults("mapping.files", value, "names of files, such as [a.csv, b-*.csv]")


def _tables_faults(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _wrong_shape("mapping.tables", value, '{events: "SELECT * FROM watching"}')
        return
    shape = "the name of a table, a query, or names in a list"
    yield from _feeding_faults("mapping.tables", value, shape)


def _feeding_faults(place: str, said: Mapping[str, Any], shape: str) -> Iterator[str]:
    """Check that each table of ours is fed by a text, or by several in a list."""
    for table, names in said.items():
        yield from _table_faults(place, table)
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, Sequence) or not listed or not all(map(_is_text, listed)):
            yield _wrong_shape(f"{place}.{table}", names, shape)


def _headers_faults(value: Any) -> Iterator[str]:
    place = "mapping.headers"
    if not isinstance(value, Mapping):
        yield _wrong_shape(place, value, "{log.csv: [user_id, item_id, timestamp]}")
        return
    for file, names in value.items():
        is_list = isinstance(names, Sequence) and not isinstance(names, str)
        if not is_list or not names or not all(map(_is_text, names)):
            yield _wrong_shape(f"{place}.{file}", names, "a name for each column, in a list")


def _columns_faults(value: Any) -> Iterator[str]:
    place = "mapping.columns"
    if not isinstance(value, Mapping):
        yield _wrong_shape(place, value, '{events: {"visitor": user_id}}')
        return
    for table, renames in value.items():
        if wrong := _table_faults(place, table):
            yield from wrong
            continue
        if not isinstance(renames, Mapping):
            yield _wrong_shape(f"{place}.{table}", renames, '{"visitor": user_id}')
            continue
        ours = [*SCHEMAS[table].columns, *READ_ALONG.get(table, ())]
        for theirs, column in renames.items():
            if column not in (*ours, IGNORE) and not _is_own_name(table, column, ours):
                remedy = did_you_mean(str(column), [*ours, IGNORE])
                yield (
                    f"{place}.{table}: {str(theirs)!r} → {str(column)!r}; "
                    f"there is no column {column}; {remedy}"
                )


def _is_own_name(table: str, column: Any, ours: Sequence[str]) -> bool:
    """Return whether a column is a further one of the users, which keep every column by its name.

    A name that is nearly one of ours is more likely misspelt.
    """
    return table == "users" and _is_text(column) and not get_close_matches(column, ours, 1)


def _event_types_faults(value: Any) -> Iterator[str]:
    place = "mapping.event_types"
    if not isinstance(value, Mapping):
        yield _wrong_shape(place, value, "{column: behavior_type, types: {pv: view, buy: order}}")
        return
    keys = [one.name for one in fields(EventTypes)]
    for key, part in value.items():
        if key not in keys:
            yield f"{place} has no {key!r}; {did_you_mean(str(key), keys)}"
        elif key == "column":
            if not _is_text(part):
                yield _wrong_shape(f"{place}.column", part, "the name of a column")
        elif not isinstance(part, Mapping):
            yield _wrong_shape(f"{place}.{key}", part, "{theirs: view}")
        else:
            for theirs, meaning in part.items():
                if meaning not in MEANINGS:
                    remedy = did_you_mean(str(meaning), MEANINGS)
                    yield f"{place}.{key}: {str(theirs)!r} → {meaning!r}; {remedy}"


def _zone_faults(value: Any) -> Iterator[str]:
    zones = available_timezones()
    if value not in zones:
        near = get_close_matches(str(value), zones, 1)
        remedy = f"did you mean {near[0]}?" if near else "write a name such as Asia/Shanghai"
        yield f"mapping.source_time_zone is {value!r}, which is no time zone; {remedy}"


def _date_order_faults(value: Any) -> Iterator[str]:
    if value not in DATE_ORDERS:
        yield _wrong_shape("mapping.date_order", value, " or ".join(DATE_ORDERS))


def _units_faults(value: Any) -> Iterator[str]:
    place = "mapping.units"
    if not isinstance(value, Mapping):
        yield _wrong_shape(place, value, "{watch_time: minutes}")
        return
    for column, unit in value.items():
        if column not in HAS_UNIT:
            yield f"{place}: {column!r} has no unit; {did_you_mean(str(column), HAS_UNIT)}"
        elif not _unit(column, unit):
            choices = ", ".join(HAS_UNIT[column])
            yield f"{place}: {column} → {unit!r}; it must be one of {choices}"


def _unit(column: str, said: Any) -> str:
    """Return the unit that a word says, such as ``minutes`` for min; '' where it says none."""
    word = str(said).casefold()
    return word if word in HAS_UNIT[column] else unit_of_word(word, column)


def _currency_faults(value: Any) -> Iterator[str]:
    is_code = _is_text(value) and len(value) == 3 and value.isascii() and value.isalpha()
    if not is_code:
        yield _wrong_shape("mapping.currency", value, "a code of three letters, such as CNY")


def _scale_faults(value: Any) -> Iterator[str]:
    ends = value if isinstance(value, Sequence) and len(value) == 2 else []
    if not ends or not all(map(_is_number, ends)) or ends[0] >= ends[1]:
        yield _wrong_shape("mapping.rating_scale", value, "its lowest and highest value, [1, 5]")


def _price_faults(value: Any) -> Iterator[str]:
    place = "mapping.price_of"
    if not isinstance(value, Mapping):
        yield _wrong_shape(place, value, "{purchase_type: {Monthly: 29}}")
        return
    for column, prices in value.items():
        if not isinstance(prices, Mapping):
            yield _wrong_shape(f"{place}.{column}", prices, "{Monthly: 29}")
            continue
        for named, price in prices.items():
            if not _is_number(price) or price < 0:
                yield f"{place}.{column}: {named} costs {price!r}; it must be a number, 0 or more"


def _constants_faults(value: Any) -> Iterator[str]:
    place = "mapping.constants"
    if not isinstance(value, Mapping):
        yield _wrong_shape(place, value, "{questions.csv: {item_id: hub}}")
        return
    for file, values in value.items():
        if not isinstance(values, Mapping):
            yield _wrong_shape(f"{place}.{file}", values, "{item_id: hub}")
            continue
        for column, constant in values.items():
            if column not in KIND_OF:
                remedy = did_you_mean(str(column), KIND_OF)
                yield f"{place}.{file}: there is no column {column}; {remedy}"
            elif isinstance(constant, Mapping | list) or constant is None:
                yield f"{place}.{file}: {column} is {constant!r}; it must be one value"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(values: Mapping[Any, Any]) -> dict[str, str]:
    """Write names and values as text: YAML reads 1 as a number, and ids are text."""
    return {str(name): str(value) for name, value in values.items()}


def _texts_by_name(blocks: Mapping[Any, Mapping[Any, Any]]) -> dict[str, dict[str, str]]:
    return {str(name): _texts(values) for name, values in blocks.items()}


def _made_files(value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {
        table: (names,) if isinstance(names, str) else tuple(names)
        for table, names in value.items()
    }


def _made_units(value: Mapping[str, Any]) -> dict[str, str]:
    return {column: _unit(column, said) for column, said in value.items()}


def _made_event_types(value: Mapping[str, Any]) -> EventTypes:
    return EventTypes(
        column=str(value.get("column") or ""),
        types=_texts(value.get("types") or {}),
        files=_texts(value.get("files") or {}),
    )


def _made_prices(value: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    made = {}
    for column, prices in value.items():
        made[str(column)] = {str(named): float(price) for named, price in prices.items()}
    return made


def _made_scale(value: Sequence[float]) -> tuple[float, float]:
    low, high = value
    return float(low), float(high)


CHECKS = {
    "files": _files_faults,
    "tables": _tables_faults,
    "headers": _headers_faults,
    "columns": _columns_faults,
    "event_types": _event_types_faults,
    "source_time_zone": _zone_faults,
    "date_order": _date_order_faults,
    "units": _units_faults,
    "currency": _currency_faults,
    "rating_scale": _scale_faults,
    "price_of": _price_faults,
    "constants": _constants_faults,
}
MADE: dict[str, Any] = {
    "files": _made_files,
    "tables": _made_files,
    "headers": _made_files,
    "columns": _texts_by_name,
    "event_types": _made_event_types,
    "source_time_zone": str,
    "date_order": str,
    "units": _made_units,
    "currency": str.upper,
    "rating_scale": _made_scale,
    "price_of": _made_prices,
    "constants": _texts_by_name,
}
