"""Split JSON into rows: one object a line, or one array of objects."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow as pa

from kpay_lab.data.headers import known_names
from kpay_lab.data.rows import TEXT, BrokenLine, RawRows, listed, printable

# Numbers stay as they are written.
_parse = partial(json.loads, parse_int=str, parse_float=str, parse_constant=str)


def split_json(
    text: str, file: str, renames: Collection[str] = (), *, with_nested: bool = False
) -> RawRows:
    """Split JSON into rows; numbers stay as they are written, and null becomes ''.

    The text is one object a line, an array of objects, or an object that holds nothing but such
    an array. A value in an object inside a row has a dotted name, such as
    ``properties.course_id``; it is a column where that name is known.

    Parameters
    ----------
    text : str
    file : str
        The name that messages give it.
    renames : collection of str
        Names of columns that a mapping renames, which are known too.
    with_nested : bool
        Whether all values in objects become columns; lists never do.

    Raises
    ------
    ValueError
        If there are no rows, or none of them can be read.

    Examples
    --------
    >>> rows = split_json('[{"user_id": 7, "tags": ["new"]}, "x"]', "log.json")
    >>> rows.header, [column.to_pylist() for column in rows.cells], rows.notes
    (['user_id'], [['7']], ('log.json: the lists and objects in tags are left out',))
    >>> rows.broken
    ((2, '"x"', 'not a JSON row: it must be an object of names and values'),)
    """
    elements = _elements_of_array(text)
    broken: list[BrokenLine] = []
    if elements is None:
        values, broken = _parsed_lines(text)
    else:
        values = dict(enumerate(elements, start=1))
    rows: dict[int, dict[str, str]] = {}
    nested: dict[str, None] = {}
    plain = _plain_names(values.values())

    @cache
    def is_known(name: str) -> bool:
        return bool(known_names([name], renames))

    for number, value in values.items():
        try:
            rows[number] = _fields(value, plain, is_known, nested, with_nested=with_nested)
        except (ValueError, RecursionError) as error:
            broken.append((number, _written(value), f"not a JSON row: {error}"))
    broken.sort()
    if not rows:
        raise ValueError(_why_no_rows(text, file, broken))
    header = list(dict.fromkeys(name for fields in rows.values() for name in fields))
    cells = []
    for name in header:
        texts = [fields.get(name, "") for fields in rows.values()]
        cells.append(pa.array(texts, TEXT))
    notes = (f"{file}: the lists and objects in {listed(nested)} are left out",) if nested else ()
    return RawRows(file, header, cells, np.array([*rows], dtype=np.int64), tuple(broken), notes)


def _elements_of_array(text: str) -> list[Any] | None:
    """Return the elements where the whole text is one array, or one object around an array."""
    try:
        whole = _parse(text)
    except (ValueError, RecursionError):
        return None  # several lines, or broken: each line is judged alone
    if isinstance(whole, list):
        return whole
    if not isinstance(whole, dict):
        return None
    values = list(whole.values())
    is_around_rows = len(values) == 1 and isinstance(values[0], list)
    has_rows = is_around_rows and all(isinstance(value, dict) for value in values[0])
    return values[0] if has_rows else [whole]


def _parsed_lines(text: str) -> tuple[dict[int, Any], list[BrokenLine]]:
    """Parse each line that is not blank, by its number."""
    values = {}
    broken = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values[number] = _parse(line)
        except (ValueError, RecursionError) as error:
            broken.append((number, line.strip(), f"not a JSON row: {error}"))
    return values, broken


def _written(value: Any) -> str:
    """Write a value back; half a surrogate pair, which no text can hold, as its escape."""
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def _why_no_rows(text: str, file: str, broken: list[BrokenLine]) -> str:
    if not broken:
        return f"{file} holds no rows; it must hold objects of names and values"
    if text.lstrip().startswith("["):
        try:
            _parse(text)
        except (ValueError, RecursionError) as error:
            return f"{file} is a JSON array that cannot be read: {error}"
    line, _, reason = broken[0]
    return f"{file}: none of its {len(broken):,} lines is a row; the first, row {line}, is {reason}"


def _plain_names(values: Iterable[Any]) -> set[str]:
    """Return the names under which some row has a plain value; null is none."""
    names = set()
    for value in values:
        if isinstance(value, dict):
            names |= {name for name, cell in value.items() if _is_plain(cell)}
    return names


def _is_plain(cell: Any) -> bool:
    return cell is not None and not isinstance(cell, list | dict)


def _fields(
    value: Any,
    plain: Collection[str],
    is_known: Callable[[str], bool],
    nested: dict[str, None],
    *,
    with_nested: bool,
) -> dict[str, str]:
    """Return a row's names and texts.

    The name of what is nested and no column joins ``nested``, unless it is known and other rows
    have plain values.
    """
    if not isinstance(value, dict):
        raise ValueError("it must be an object of names and values")
    fields = {}
    for name, cell in value.items():
        if not isinstance(cell, list | dict):
            fields[_checked(name)] = _text(cell)
            continue
        if name in plain and is_known(name):
            raise ValueError(f"{printable(name)} must be a text, a number, true, false or null")
        for dotted, leaf in _leaves(name, cell):
            is_column = with_nested or is_known(dotted)
            if isinstance(leaf, list) or not is_column:
                nested[name] = None
            else:
                fields.setdefault(_checked(dotted), _text(leaf))
    return fields


def _leaves(name: str, cell: Any) -> Iterator[tuple[str, Any]]:
    """Yield what lies in an object, at any depth, under its dotted name; a list is one leaf.

    >>> list(_leaves("properties", {"course": {"id": "c1"}, "tags": []}))
    [('properties.course.id', 'c1'), ('properties.tags', [])]
    """
    if not isinstance(cell, dict):
        yield name, cell
        return
    for inner, value in cell.items():
        yield from _leaves(f"{name}.{inner}", value)


def _text(cell: Any) -> str:
    return _checked({None: "", True: "true", False: "false"}.get(cell, cell))


def _checked(text: str) -> str:
    text.encode()  # refuses half a surrogate pair: UnicodeEncodeError is a ValueError
    return text
