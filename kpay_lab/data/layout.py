"""Find the header among the first lines of a text or a sheet, by the names of columns."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kpay_lab.data.headers import known_names
from kpay_lab.data.rows import NotUnderstoodError, listed, printable

CLEAR_SHARE = 0.8  # of the first records that must be equally long where no name is known
RECBOLE_NAME = re.compile(r"(.+):(token|float|token_seq|float_seq)")
NUMBER_OR_DATE = re.compile(r"\s*[+-]?[0-9][0-9.,:/\-T ]*\s*")
EXAMPLE = ("user_id", "item_id", "timestamp")


@dataclass(frozen=True)
class Record:
    """One record of a text or a sheet: its first line, the line after it, its fields, a fault."""

    line: int
    end: int
    fields: list[str]
    fault: str = ""


@dataclass(frozen=True)
class Layout:
    """Where the header stands, and what separates the columns.

    Parameters
    ----------
    names : tuple of str
        The names of the columns.
    written : tuple of str
        The fields of the header line.
    separator : str
    n_lines : int
        How many lines come before the first row: the header, and what stands above it.
    notes : tuple of str
        What was assumed, a sentence each.
    """

    names: tuple[str, ...]
    written: tuple[str, ...]
    separator: str
    n_lines: int
    notes: tuple[str, ...] = ()


class HeaderlessError(NotUnderstoodError):
    """A file whose first line looks like data.

    Parameters
    ----------
    problem, remedy : str
    fields : sequence of str
        The fields of its first line.
    """

    def __init__(self, problem: str, remedy: str, fields: Sequence[str]) -> None:
        super().__init__(problem, remedy)
        self.fields = tuple(fields)


def find_layout(
    records: Mapping[str, Sequence[Record]], file: str, renames: Collection[str] = ()
) -> Layout:
    """Find the header and the separator by the names of columns that are known.

    Where none is known the separator is the one that parts the first lines into equally many
    fields, and the header the first line with so many.

    Parameters
    ----------
    records : mapping
        The first records, at least one, as each separator would part them.
    file : str
        The name that messages give it.
    renames : collection of str
        Names of columns that a mapping renames.

    Raises
    ------
    ValueError
        If the header has broken quotes, or the first line looks like data.
    """
    separator, header = _by_names(records, renames) or _by_lengths(records)
    if header.fault:
        raise ValueError(
            f"{file} row {header.line}: {header.fault}; the first line must name the columns"
        )
    names = _cleaned(header.fields)
    below = [record for record in records[separator] if record.line > header.line]
    if not known_names(names, renames) and _is_like_data(names, below):
        example = ",".join(EXAMPLE[: max(2, len(names))])
        raise HeaderlessError(
            f"{file}: the first line looks like data ({listed(names)})",
            f"add a header line such as {example}, or write mapping: {{headers: "
            f'{{"{printable(file)}": [{example}]}}}}, with a name for each of its '
            f"{len(names)} columns",
            names,
        )
    n_above = sum(record.line < header.line for record in records[separator])
    notes: tuple[str, ...] = ()
    if n_above:
        above = "the first line is" if n_above == 1 else f"the first {n_above} lines are"
        notes = (f"{file}: {above} not part of the table; the header is in line {header.line}",)
    return Layout(tuple(names), tuple(header.fields), separator, header.end - 1, notes)


def named_layout(
    records: Mapping[str, Sequence[Record]], file: str, names: Sequence[str]
) -> Layout:
    """Take the names of the columns as they were given; the file has no header.

    Raises
    ------
    ValueError
        If the first line has another number of fields, whatever separates them.
    """
    found = {separator: first[0] for separator, first in records.items() if first}
    for separator, record in found.items():
        if len(record.fields) == len(names) and not record.fault:
            return Layout(tuple(names), tuple(names), separator, 0)
    separator, first = _by_lengths(records)
    raise ValueError(
        f"{file}: mapping.headers names {len(names)} columns, but its first line has "
        f"{len(first.fields)} ({listed(first.fields)}); name each"
    )


def _by_names(
    records: Mapping[str, Sequence[Record]], renames: Collection[str]
) -> tuple[str, Record] | None:
    """Return the separator and the record with most known names; the earliest among equals."""
    best = None
    most = 0
    for separator, first_records in records.items():
        for position, record in enumerate(first_records):
            if record.fault:
                continue
            names = _cleaned(record.fields)
            n_known = len(known_names(names, renames))
            is_row = _has_numbers(names) or 2 * n_known < len([*filter(None, names)])
            if position and is_row:
                continue  # a row may hold a word that is also a name
            if n_known > most:
                best = (separator, record)
                most = n_known
    return best


def _by_lengths(records: Mapping[str, Sequence[Record]]) -> tuple[str, Record]:
    """Return the separator that parts the first records most evenly, and the first such record."""
    default = next(iter(records))
    best = (default, records[default][0])
    most = 1
    for separator, first_records in records.items():
        sound = [record for record in first_records if not record.fault]
        lengths = Counter(len(record.fields) for record in sound)
        if not lengths:
            continue
        length, n_records = lengths.most_common(1)[0]
        if length <= most or n_records < CLEAR_SHARE * len(sound):
            continue
        full = [record for record in sound if len(record.fields) == length]
        titled = [record for record in full if sum(map(bool, record.fields)) > 1]
        best = (separator, (titled or full)[0])
        most = length
    return best


def _cleaned(fields: Sequence[str]) -> list[str]:
    """Take away the sign of a comment before the names, and RecBole's types behind them."""
    names = [fields[0].lstrip("\ufeff#").lstrip(), *fields[1:]]
    typed = [match for match in map(RECBOLE_NAME.fullmatch, names) if match]
    return [match.group(1) for match in typed] if len(typed) == len(names) else names


def _has_numbers(fields: Sequence[str]) -> bool:
    return any(NUMBER_OR_DATE.fullmatch(field) for field in fields)


def _is_like_data(names: Sequence[str], below: Sequence[Record]) -> bool:
    """Whether a header has numbers, or a text that its own column has again further down."""
    if _has_numbers(names):
        return True
    for record in below:
        pairs = zip(names, record.fields, strict=False)
        n_equal = sum(name == field != "" for name, field in pairs)
        if 0 < n_equal < len(names):
            return True
    return False
