"""Rows of text → a typed table and the problems found: one set of rules for every format.

The schemas of `tables` are the rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pyarrow as pa

from kpay_lab import columns as c
from kpay_lab.data.splitting import TEXT, RawRows, printable
from kpay_lab.data.tables import KIND_OF, PRIMARY_KEYS, SCHEMAS
from kpay_lab.data.values import extra_column, typed_column


@dataclass(frozen=True)
class Checked:
    """The good rows, typed; and the problems: row (its position), column, value, reason.

    ``ignored`` names the columns that nothing here knows, ``empty`` those without any value.
    """

    good: pd.DataFrame
    problems: pd.DataFrame
    ignored: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def check_rows(table: str, parts: Sequence[RawRows], known: Mapping[str, pd.Series]) -> Checked:
    """Type and check the rows of a table's files.

    An optional column without any value is as good as absent, and left out. ``known`` holds the
    ids that exist, for ``user_id`` and ``item_id`` where given.
    """
    named = [_name_columns(table, part) for part in parts]
    texts = _stack([cells for cells, _ in named], [len(part) for part in parts])
    rules = SCHEMAS[table].columns
    frame: dict[str, Any] = {}
    found = []
    for column in (name for name in dict.fromkeys([*rules, *texts]) if name in texts):
        if column not in rules:
            frame[column] = extra_column(texts[column])
            continue
        typed = typed_column(texts[column], str(rules[column].dtype), column)
        frame[column] = typed.values
        found.append(_problems(typed.bad, column, KIND_OF[column].words))
    needed = {name for name, rule in rules.items() if rule.required}
    rejected = {name for part in found for name in part["column"]}
    empty = [name for name in frame if name not in needed | rejected and _is_empty(frame[name])]
    data = pd.DataFrame({name: values for name, values in frame.items() if name not in empty})
    found += [*_schema_problems(table, data), *_unknown_ids(table, data, known)]
    problems = pd.concat(found).drop_duplicates(["row", "column"])
    keep = ~np.isin(np.arange(len(data)), problems["row"])
    if table in PRIMARY_KEYS:
        key = PRIMARY_KEYS[table]
        twice = data[key].where(keep).duplicated().to_numpy() & keep
        problems = pd.concat([problems, _problems(twice, key, "an earlier row has it already")])
        keep &= ~twice
    problems = problems.sort_values("row", kind="stable")
    cells = zip(problems["column"], problems["row"], strict=True)
    problems.insert(2, "value", [texts[column][row].as_py() for column, row in cells])
    ignored = tuple(dict.fromkeys(name for _, names in named for name in names if name))
    good = data if keep.all() else data[keep].reset_index(drop=True)
    return Checked(good, problems, ignored, tuple(empty))


def _is_empty(values: pd.Series | np.ndarray) -> bool:
    return len(values) > 0 and bool(pd.isna(values).all())


def _name_columns(table: str, raw: RawRows) -> tuple[dict[str, pa.Array], list[str]]:
    """Give the header's cells the design's names; return the columns and the names not used."""
    names = name_columns(table, raw.file, raw.header, guessed=raw.guessed)
    used = _used(table, names)
    cells = {name: cell for name, cell in zip(names, raw.cells, strict=True) if name in used}
    return cells, [name for name in names if name not in used]


def _used(table: str, names: Sequence[str]) -> list[str]:
    """Return the names that the table takes; the users keep any further column."""
    rules = SCHEMAS[table].columns
    return [name for name in names if name in rules or (table == "users" and name)]


def name_columns(table: str, file: str, header: Sequence[str], *, guessed: bool) -> list[str]:
    """Give the names in a header the design's names.

    Raises
    ------
    ValueError
        With all problems of the header at once: a column absent or there twice, or an
        unknown name where the encoding had to be ``guessed``.
    """
    rules = SCHEMAS[table].columns
    names = [c.ALIASES.get(name.strip().lower(), name.strip()) for name in header]
    names = [name.lower() if name.lower() in rules else name for name in names]
    used = _used(table, names)
    missing = [name for name, rule in rules.items() if rule.required and name not in names]
    faults = [f"it has no column {name}" for name in missing]
    twice = sorted(name for name in set(used) if used.count(name) > 1)
    faults += [f"it names {printable(name)} more than once" for name in twice]
    if guessed and not rules.keys() >= set(names):
        unknown = printable(", ".join(name for name in names if name not in rules))
        faults.append(f"it is not UTF-8 and its columns {unknown} are not known; save it as UTF-8")
    if faults:
        found = printable(", ".join(header), 200)
        raise ValueError(f"{file}: {'; '.join(faults)} (its columns: {found})")
    return names


def _stack(parts: Sequence[Mapping[str, pa.Array]], sizes: Sequence[int]) -> dict[str, pa.Array]:
    """Put the parts of a table below each other; '' where a part lacks a column."""
    sized = list(zip(parts, sizes, strict=True))
    blank = pa.scalar("", TEXT)
    return {
        name: pa.concat_arrays([part.get(name, pa.repeat(blank, size)) for part, size in sized])
        for name in dict.fromkeys(name for part in parts for name in part)
    }


def _problems(bad: np.ndarray, column: str, reason: str) -> pd.DataFrame:
    return pd.DataFrame({"row": np.flatnonzero(bad), "column": column, "reason": reason})


def _schema_problems(table: str, data: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Ask the schema; uniqueness is judged later, among the good rows."""
    try:
        SCHEMAS[table].validate(data, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        cases = cases[cases["index"].notna() & (cases["check"] != "field_uniqueness")]
        for column, rows in cases.groupby("column"):
            bad = np.isin(data.index, rows["index"].astype("int64"))
            yield _problems(bad, str(column), KIND_OF[column].words)


def _unknown_ids(
    table: str, data: pd.DataFrame, known: Mapping[str, pd.Series]
) -> Iterator[pd.DataFrame]:
    """Find rows that name a user or an item which its own table lacks."""
    for column, ids in known.items():
        if column in data and PRIMARY_KEYS.get(table) != column:
            unknown = (data[column].notna() & ~data[column].isin(ids)).to_numpy()
            reason = f"the {column.removesuffix('_id')}s table has no such {column}"
            yield _problems(unknown, column, reason)
