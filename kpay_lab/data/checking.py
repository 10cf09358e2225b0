"""Rows of text → a typed table and the problems found: one set of rules for every format.

The schemas of `tables` are the rules; this module only puts them into words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pyarrow as pa

from kpay_lab import columns as c
from kpay_lab.data.splitting import TEXT, RawRows
from kpay_lab.data.tables import PRIMARY_KEYS, SCHEMAS
from kpay_lab.data.values import extra_column, typed_column

UNITS = {"watch_time": " seconds", "duration": " seconds"}
PROBLEM_COLUMNS = ["row", "column", "value", "reason"]


@dataclass(frozen=True)
class Checked:
    """The good rows, typed; and the problems, ``row`` being the position in the input."""

    good: pd.DataFrame
    problems: pd.DataFrame
    ignored: tuple[str, ...] = ()


def requirement(table: str, column: str) -> str:
    """Say in words what the schema asks of a column.

    Examples
    --------
    >>> requirement("events", "watch_time")
    'it must be 0 or more seconds'
    """
    rule = SCHEMAS[table].to_schema().columns[column]
    dtype = str(rule.dtype)
    bounds = {check.name: check.statistics for check in rule.checks}
    if "isin" in bounds:
        return "it must be one of " + ", ".join(map(str, bounds["isin"]["allowed_values"]))
    if "in_range" in bounds:
        return "it must be between {min_value} and {max_value}".format(**bounds["in_range"])
    if dtype.startswith("datetime"):
        return "it must be an ISO time, unix seconds or milliseconds"
    if "greater_than_or_equal_to" in bounds:
        least = bounds["greater_than_or_equal_to"]["min_value"]
        whole = "a whole number, " if dtype == "Int64" else ""
        return f"it must be {whole}{least} or more{UNITS.get(column, '')}"
    return "it must be yes or no" if dtype == "boolean" else "it must not be empty"


def name_columns(table: str, raw: RawRows) -> tuple[dict[str, pa.Array], tuple[str, ...]]:
    """Give the header's cells the design's names; return the columns and what is ignored.

    Raises
    ------
    ValueError
        If a required column is absent, a column occurs twice, or the encoding had to be
        guessed and a name is unknown; all such problems of the file at once.
    """
    rules = SCHEMAS[table].to_schema().columns
    names = [c.ALIASES.get(name.strip().lower(), name.strip()) for name in raw.header]
    names = [name.lower() if name.lower() in rules else name for name in names]
    unknown = [name for name in names if name not in rules]
    kept = [name for name in names if name in rules or (table == "users" and name)]
    missing = [name for name, rule in rules.items() if rule.required and name not in names]
    faults = [f"it has no column {name}" for name in missing]
    faults += [
        f"it names {name} more than once" for name in sorted(set(kept)) if kept.count(name) > 1
    ]
    if raw.guessed and unknown:
        faults.append(f"it is not UTF-8 and its columns {unknown} are not known; save it as UTF-8")
    if faults:
        raise ValueError(f"{raw.file}: {'; '.join(faults)} (its columns: {', '.join(raw.header)})")
    cells = {name: cell for name, cell in zip(names, raw.cells, strict=True) if name in kept}
    return cells, tuple(name for name in names if name not in kept)


def check_rows(table: str, parts: Sequence[RawRows], known: Mapping[str, pd.Series]) -> Checked:
    """Type and check the rows of a table.

    Parameters
    ----------
    table : str
        One of events, items, users, orders, exposures.
    parts : sequence of RawRows
        Its files, in order.
    known : mapping
        For ``user_id`` and ``item_id`` the ids that exist, where their table is given.
    """
    named = [name_columns(table, part) for part in parts]
    texts = _stack([cells for cells, _ in named], [len(part) for part in parts])
    rules = SCHEMAS[table].to_schema().columns
    frame, found = {}, []
    for column in sorted(texts, key=lambda name: list(rules).index(name) if name in rules else 99):
        if column not in rules:
            frame[column] = extra_column(texts[column])
            continue
        typed = typed_column(texts[column], str(rules[column].dtype), column)
        frame[column] = typed.values
        found.append(_problems(np.flatnonzero(typed.bad), column, requirement(table, column)))
    data = pd.DataFrame(frame)
    found += [*_schema_problems(table, data), *_unknown_ids(table, data, known)]
    problems = pd.concat(found).drop_duplicates(["row", "column"])
    keep = np.ones(len(data), dtype=bool)
    keep[problems["row"]] = False
    if table in PRIMARY_KEYS:
        twice = data[PRIMARY_KEYS[table]].where(keep).duplicated().to_numpy() & keep
        reason = "an earlier row has it already"
        problems = pd.concat(
            [problems, _problems(np.flatnonzero(twice), PRIMARY_KEYS[table], reason)]
        )
        keep &= ~twice
    problems = problems.sort_values("row", kind="stable")
    problems["value"] = [
        texts[column][row].as_py()
        for row, column in zip(problems["row"], problems["column"], strict=True)
    ]
    ignored = tuple(dict.fromkeys(name for _, names in named for name in names if name))
    good = data if keep.all() else data[keep].reset_index(drop=True)
    return Checked(good, problems[PROBLEM_COLUMNS], ignored)


def _stack(parts: Sequence[Mapping[str, pa.Array]], sizes: Sequence[int]) -> dict[str, pa.Array]:
    """Put the parts of a table below each other; '' where a part lacks a column."""
    names = dict.fromkeys(name for part in parts for name in part)
    blank = pa.scalar("", TEXT)
    return {
        name: pa.concat_arrays(
            [
                part.get(name, pa.repeat(blank, size))
                for part, size in zip(parts, sizes, strict=True)
            ]
        )
        for name in names
    }


def _problems(rows: Any, column: str, reason: str) -> pd.DataFrame:
    return pd.DataFrame({"row": rows, "column": column, "reason": reason}).astype({"row": "int64"})


def _schema_problems(table: str, data: pd.DataFrame) -> list[pd.DataFrame]:
    """Ask the schema; uniqueness is judged later, among the good rows."""
    try:
        SCHEMAS[table].validate(data, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        cases = cases[cases["index"].notna() & (cases["check"] != "field_uniqueness")]
        return [
            _problems(rows["index"], str(column), requirement(table, str(column)))
            for column, rows in cases.groupby("column")
        ]
    return []


def _unknown_ids(
    table: str, data: pd.DataFrame, known: Mapping[str, pd.Series]
) -> list[pd.DataFrame]:
    """Find rows that name a user or an item which its own table lacks."""
    found = []
    for column, ids in known.items():
        if column in data and PRIMARY_KEYS.get(table) != column:
            unknown = data[column].notna() & ~data[column].isin(ids)
            reason = f"the {column.removesuffix('_id')}s table has no such {column}"
            found.append(_problems(np.flatnonzero(unknown), column, reason))
    return found
