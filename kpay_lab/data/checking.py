"""Check rows of text against the schemas of `tables`: the same rules for every format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pyarrow as pa

from kpay_lab.data.arrow_rows import as_text
from kpay_lab.data.headers import name_columns, used_columns
from kpay_lab.data.rows import TEXT, RawRows
from kpay_lab.data.tables import KIND_OF, PRIMARY_KEYS, SCHEMAS
from kpay_lab.data.values import extra_column, typed_column


@dataclass(frozen=True)
class Checked:
    """The checked rows of a table.

    Parameters
    ----------
    good : DataFrame
        The rows without a problem, in the dtypes of the schema.
    problems : DataFrame
        ``row, column, value, reason``; the row is its position among all rows, from 0.
    ignored : tuple of str
        Columns that the schema does not have.
    empty : tuple of str
        Columns without any value.
    """

    good: pd.DataFrame
    problems: pd.DataFrame
    ignored: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def check_rows(
    table: str, partitions: Sequence[RawRows], valid_ids: Mapping[str, pd.Series]
) -> Checked:
    """Parse the rows of a table's partitions, and validate them.

    Parameters
    ----------
    table : str
        Its name.
    partitions : sequence of RawRows
        All its rows.
    valid_ids : mapping
        ``user_id`` or ``item_id`` → the ids that its own table holds. A column that is not in
        the mapping may hold any id.

    Returns
    -------
    Checked
        Optional columns without any value are left out.

    Raises
    ------
    ValueError
        If the header of a partition cannot be understood.
    """
    named = [_name_columns(table, rows) for rows in partitions]
    texts = _stack([cells for cells, _ in named], [len(rows) for rows in partitions])
    rules = SCHEMAS[table].columns
    columns: dict[str, Any] = {}
    problems_by_rule = []
    for column in dict.fromkeys([*rules, *texts]):
        if column not in texts:
            continue
        if column not in rules:
            columns[column] = extra_column(texts[column])
            continue
        typed = typed_column(texts[column], str(rules[column].dtype), column)
        columns[column] = typed.values
        problems_by_rule.append(_problems(typed.bad, column, KIND_OF[column].words))
    required = {name for name, rule in rules.items() if rule.required}
    unparsed = set(pd.concat(problems_by_rule)["column"])
    optional = [name for name in columns if name not in required | unparsed]
    empty = [name for name in optional if _is_empty(columns[name])]
    data = pd.DataFrame({name: values for name, values in columns.items() if name not in empty})
    problems_by_rule += _schema_problems(table, data)
    problems_by_rule += _unknown_ids(table, data, valid_ids)
    problems = pd.concat(problems_by_rule).drop_duplicates(["row", "column"])
    is_good = ~np.isin(np.arange(len(data)), problems["row"])
    if table in PRIMARY_KEYS:
        key = PRIMARY_KEYS[table]
        is_repeated = data[key].where(is_good).duplicated().to_numpy() & is_good
        repeated = _problems(is_repeated, key, "an earlier row has it already")
        problems = pd.concat([problems, repeated])
        is_good &= ~is_repeated
    problems = problems.sort_values("row", kind="stable")
    cells = zip(problems["column"], problems["row"], strict=True)
    problems.insert(2, "value", [texts[column][row].as_py() for column, row in cells])
    ignored = dict.fromkeys(name for _, names in named for name in names if name)
    good = data if is_good.all() else data[is_good].reset_index(drop=True)
    return Checked(good, problems, tuple(ignored), tuple(empty))


def _is_empty(values: pd.Series | np.ndarray) -> bool:
    return len(values) > 0 and bool(pd.isna(values).all())


def _name_columns(table: str, raw: RawRows) -> tuple[dict[str, pa.Array], list[str]]:
    """Return the columns by their names in the schema, and the names that are not used."""
    names = name_columns(table, raw.file, raw.header)
    used = used_columns(table, names)
    cells = {}
    for name, column in zip(names, raw.cells, strict=True):
        if name in used:
            cells[name] = as_text(column)
    return cells, [name for name in names if name not in used]


def _stack(
    partitions: Sequence[Mapping[str, pa.Array]], sizes: Sequence[int]
) -> dict[str, pa.Array]:
    """Concatenate the partitions of a table; a column is '' in a partition that lacks it."""
    names = dict.fromkeys(name for columns in partitions for name in columns)
    stacked = {}
    for name in names:
        arrays = []
        for columns, size in zip(partitions, sizes, strict=True):
            blank = pa.repeat(pa.scalar("", TEXT), size)
            arrays.append(columns.get(name, blank))
        stacked[name] = pa.concat_arrays(arrays)
    return stacked


def _problems(bad: np.ndarray, column: str, reason: str) -> pd.DataFrame:
    return pd.DataFrame({"row": np.flatnonzero(bad), "column": column, "reason": reason})


def _schema_problems(table: str, data: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Validate with the schema; uniqueness is checked later, among the good rows only."""
    try:
        SCHEMAS[table].validate(data, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        is_of_row = cases["index"].notna() & (cases["check"] != "field_uniqueness")
        for column, rows in cases[is_of_row].groupby("column"):
            bad = np.isin(data.index, rows["index"].astype("int64"))
            yield _problems(bad, str(column), KIND_OF[column].words)


def _unknown_ids(
    table: str, data: pd.DataFrame, valid_ids: Mapping[str, pd.Series]
) -> Iterator[pd.DataFrame]:
    """Find rows with a user or an item that is missing from its own table."""
    for column, ids in valid_ids.items():
        if column in data and PRIMARY_KEYS.get(table) != column:
            unknown = (data[column].notna() & ~data[column].isin(ids)).to_numpy()
            reason = f"the {column.removesuffix('_id')}s table has no such {column}"
            yield _problems(unknown, column, reason)
