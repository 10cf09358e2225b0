"""Check rows against the schemas of `tables`: the same rules for every format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab import columns as c
from kpay_lab.data.cells import flat
from kpay_lab.data.headers import READ_ALONG, name_columns, notes_on_units, units_of_columns
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.parsing import Parsed, holds_text, parse_column, parse_free
from kpay_lab.data.rows import TEXT, RawRows, printable
from kpay_lab.data.tables import KIND_OF, PRIMARY_KEYS, SCHEMAS

PROBLEM_COLUMNS = ["row", "column", "reason"]
# What may stand in these cells was written by a person: no note quotes it.
WRITTEN_BY_PEOPLE = ("user_id", "session_id", "comment_count", "comment_text", "question_count")


@dataclass(frozen=True)
class KnownIds:
    """The ids of a table that has them as its key.

    Parameters
    ----------
    good : Series
        Those of its good rows.
    set_aside : Series
        Those of its rows that were rejected.
    """

    good: pd.Series
    set_aside: pd.Series = field(default_factory=lambda: pd.Series(dtype="str"))


@dataclass(frozen=True)
class Checked:
    """The checked rows of a table.

    Parameters
    ----------
    good : DataFrame
        The rows that are kept, in the dtypes of the schema.
    problems : DataFrame
        ``row, column, value, reason`` of the rows that are not kept; the row is its position
        among all rows, from 0.
    cells : DataFrame
        The same of the good rows: optional cells that could not be read and are missing.
    key_set_aside : Series
        The ids of the rejected rows, of a table that has ids as its key.
    ignored : tuple of str
        Columns that are not used.
    empty : tuple of str
        Columns without any value.
    notes : tuple of str
        What was assumed about a column.
    """

    good: pd.DataFrame
    problems: pd.DataFrame
    cells: pd.DataFrame
    key_set_aside: pd.Series
    ignored: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_rows(
    table: str,
    partitions: Sequence[RawRows],
    known_ids: Mapping[str, KnownIds],
    mapping: LogMapping | None = None,
    *,
    renames: Mapping[str, str] | None = None,
    foreign: np.ndarray | None = None,
) -> Checked:
    """Parse the rows of a table's partitions, and validate them.

    A row is rejected where a required cell cannot be read, an id is not in its own table, a key
    was there before, or consent is not understood. Any other bad cell is missing, and counted.

    Parameters
    ----------
    table : str
        Its name.
    partitions : sequence of RawRows
        All its rows.
    known_ids : mapping
        ``user_id`` or ``item_id`` → the ids of its own table. A column that is not in the
        mapping may hold any id.
    mapping : LogMapping, optional
        What was said of units, zones and scales.
    renames : mapping, optional
        Their name → ours; by default those of the mapping.
    foreign : bool array, optional
        Orders in a currency that does not count: their amounts are missing.

    Returns
    -------
    Checked
        Optional columns without any value are left out.

    Raises
    ------
    ValueError
        If the header of a partition cannot be understood.
    """
    mapping = mapping or LogMapping()
    renames = mapping.renames(table) if renames is None else renames
    parts = [_named_part(table, rows, renames) for rows in partitions]
    cells = _stack(parts)
    rules = SCHEMAS[table].columns
    columns: dict[str, pd.Series] = {}
    no_rows = np.zeros(0, dtype=bool)
    problems_by_rule = [_problems(no_rows, "", "")]
    notes = [note for part in parts for note in part.notes]
    for column in dict.fromkeys([*rules, *cells]):
        if column not in cells:
            continue
        if column not in rules:
            columns[column] = parse_free(cells[column]).values
            continue
        parsed = _parsed(column, cells[column], parts, mapping)
        columns[column] = parsed.values
        problems_by_rule.append(_with_column(parsed.problems, column))
        notes += [f"{table}: {note}" for note in parsed.notes]
    if foreign is not None and foreign.any():
        problems_by_rule += _foreign_amounts(columns, foreign, mapping.currency)
    if table == "events":
        _keep_comments(columns, cells)
    data = pd.DataFrame(columns, copy=False)
    problems_by_rule += _schema_problems(table, data)
    problems_by_rule += _unknown_sources(data, known_ids)
    problems_by_rule += _ends_before_starts(data)
    found = pd.concat(problems_by_rule).drop_duplicates(["row", "column"])
    is_fatal = found["column"].isin(_fatal_columns(table)).to_numpy()
    for column, rows in found[~is_fatal].groupby("column")["row"]:
        is_bad = np.isin(np.arange(len(data)), rows)
        data[column] = data[column].mask(is_bad)
    fatal = pd.concat([found[is_fatal], *_unknown_ids(table, data, known_ids)])
    fatal = fatal.drop_duplicates(["row", "column"])
    is_good = ~np.isin(np.arange(len(data)), fatal["row"])
    if table in PRIMARY_KEYS:
        key = PRIMARY_KEYS[table]
        is_repeated = data[key].where(is_good).duplicated().to_numpy() & is_good
        fatal = pd.concat([fatal, _problems(is_repeated, key, "an earlier row has it already")])
        is_good &= ~is_repeated
    is_of_bad_row = np.isin(found["row"], fatal["row"])
    problems = pd.concat([fatal, found[~is_fatal & is_of_bad_row]])
    bad_cells = found[~is_fatal & ~is_of_bad_row]
    notes += _notes_on_cells(table, bad_cells, cells)
    notes += _notes_on_form(table, data, fatal, known_ids)
    unread = set(found["column"])
    optional = [name for name in data if name not in c.REQUIRED[table].split()]
    empty = [name for name in optional if len(data) > 0 and bool(data[name].isna().all())]
    data = data.drop(columns=empty)
    good = data if is_good.all() else data[is_good].reset_index(drop=True)
    return Checked(
        good=good,
        problems=_with_values(problems, cells),
        cells=_with_values(bad_cells, cells),
        key_set_aside=_key_set_aside(table, data, is_good),
        ignored=tuple(dict.fromkeys(name for part in parts for name in part.ignored)),
        empty=tuple(name for name in empty if name not in unread),
        notes=tuple(dict.fromkeys(notes)),
    )


@dataclass(frozen=True)
class _Part:
    """The columns of one partition by our names, their units, and the names not used."""

    cells: Mapping[str, pa.Array]
    units: Mapping[str, str]
    ignored: tuple[str, ...]
    size: int
    notes: tuple[str, ...]


def _named_part(table: str, rows: RawRows, renames: Mapping[str, str]) -> _Part:
    names = name_columns(table, rows.file, rows.header, renames=renames)
    rules = SCHEMAS[table].columns
    read_along = READ_ALONG.get(table, ())
    cells = {}
    ignored = []
    for name, column in zip(names, rows.cells, strict=True):
        if name in rules or (table == "users" and name):
            cells[name] = flat(column)
        elif name and name not in read_along:
            ignored.append(name)
    units = units_of_columns(table, rows.header, renames)
    notes = notes_on_units(table, rows.header, renames)
    return _Part(cells, units, tuple(ignored), len(rows), tuple(notes))


def _stack(parts: Sequence[_Part]) -> dict[str, pa.Array]:
    """Concatenate the columns of a table's partitions; a part that lacks one has nulls there.

    Columns of unlike types are written as text, each as its own type writes it.
    """
    stacked = {}
    for name in dict.fromkeys(name for part in parts for name in part.cells):
        types = {part.cells[name].type for part in parts if name in part.cells}
        dtype = types.pop() if len(types) == 1 else TEXT
        arrays = []
        for part in parts:
            array = part.cells.get(name, pa.nulls(part.size, dtype))
            arrays.append(array if array.type == dtype else _as_text(array))
        stacked[name] = arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)
    return stacked


def _as_text(cells: pa.Array) -> pa.Array:
    """Write typed cells as text; a span of time as the number of its seconds."""
    if pa.types.is_duration(cells.type):
        nanoseconds = cells.cast(pa.duration("ns")).cast(pa.int64())
        cells = pc.divide(nanoseconds.cast(pa.float64(), safe=False), 1e9)
    try:
        return cells.cast(TEXT)
    except pa.ArrowException:
        texts = [None if cell is None else str(cell) for cell in cells.to_pylist()]
        return pa.array(texts, TEXT)


def _parsed(column: str, cells: pa.Array, parts: Sequence[_Part], mapping: LogMapping) -> Parsed:
    """Parse a column as a whole; where the headers say unlike units, each part in its own."""
    said = mapping.units.get(column, "")
    settings: dict[str, Any] = {
        "zone": mapping.source_time_zone,
        "date_order": mapping.date_order,
        "scale": mapping.rating_scale if column == "rating" else None,
    }
    units = {said or part.units.get(column, "") for part in parts if column in part.cells}
    if len(units) == 1:
        return parse_column(cells, column, unit=units.pop(), **settings)
    values: list[pd.Series] = []
    problems: list[pd.DataFrame] = []
    notes: list[str] = []
    start = 0
    for part in parts:
        unit = said or part.units.get(column, "")
        parsed = parse_column(cells.slice(start, part.size), column, unit=unit, **settings)
        values.append(parsed.values)
        problems.append(parsed.problems.assign(row=parsed.problems["row"] + start))
        notes += parsed.notes
        start += part.size
    return Parsed(pd.concat(values, ignore_index=True), pd.concat(problems), tuple(notes))


def _with_column(problems: pd.DataFrame, column: str) -> pd.DataFrame:
    return problems.assign(column=column)[PROBLEM_COLUMNS]


def _problems(bad: np.ndarray, column: str, reason: str) -> pd.DataFrame:
    return pd.DataFrame({"row": np.flatnonzero(bad), "column": column, "reason": reason})


def _foreign_amounts(
    columns: dict[str, pd.Series], foreign: np.ndarray, currency: str
) -> Iterator[pd.DataFrame]:
    """Find the amounts in a currency that does not count."""
    for column in ("amount", "refund_amount"):
        if column in columns:
            is_written = columns[column].notna().to_numpy()
            reason = f"it is in another currency than mapping.currency, {currency}"
            yield _problems(foreign & is_written, column, reason)


def _keep_comments(columns: dict[str, pd.Series], cells: Mapping[str, pa.Array]) -> None:
    """Keep what people wrote: a column of comments holds their number, or their text.

    Text in the column of numbers is kept as ``comment_text``; where there is only text, one
    that is written counts as one comment.
    """
    if "comment_count" in cells and holds_text(cells["comment_count"]):
        if "comment_text" not in columns:
            columns["comment_text"] = parse_column(cells["comment_count"], "comment_text").values
    elif "comment_text" in columns and "comment_count" not in columns:
        is_written = columns["comment_text"].notna()
        columns["comment_count"] = is_written.astype("Int64")


def _fatal_columns(table: str) -> list[str]:
    """Name the columns of which a bad cell rejects its row."""
    return [*c.REQUIRED[table].split(), "consent"]


def _schema_problems(table: str, data: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Validate with the schema; uniqueness is checked later, among the good rows only."""
    import pandera.errors  # here, for it is slow to import and a log is checked once a run

    try:
        SCHEMAS[table].validate(data, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        is_of_row = cases["index"].notna() & (cases["check"] != "field_uniqueness")
        for column, rows in cases[is_of_row].groupby("column"):
            bad = np.isin(data.index, rows["index"].astype("int64"))
            yield _problems(bad, str(column), KIND_OF[column].words)


def _unknown_ids(
    table: str, data: pd.DataFrame, known_ids: Mapping[str, KnownIds]
) -> Iterator[pd.DataFrame]:
    """Find rows with a user or an item that is missing from its own table, and say why."""
    for column, known in known_ids.items():
        if column not in data or PRIMARY_KEYS.get(table) == column:
            continue
        home = f"{column.removesuffix('_id')}s"
        unknown = (data[column].notna() & ~data[column].isin(known.good)).to_numpy()
        if not unknown.any():
            continue
        is_set_aside = unknown & data[column].isin(known.set_aside).to_numpy()
        yield _problems(is_set_aside, column, f"its row of the {home} table was set aside")
        has_like = unknown & _form(data[column]).isin(_form(known.good)).to_numpy()
        reason = f"the {home} table has no such {column}"
        differs = "; one there differs only in leading zeros, case or width"
        yield _problems(unknown & ~is_set_aside & has_like, column, reason + differs)
        yield _problems(unknown & ~is_set_aside & ~has_like, column, reason)


def _unknown_sources(
    data: pd.DataFrame, known_ids: Mapping[str, KnownIds]
) -> Iterator[pd.DataFrame]:
    """Find what led to an event or sold an order and is missing from the items table."""
    if "source_item_id" not in data or "item_id" not in known_ids:
        return
    sources = data["source_item_id"]
    unknown = sources.notna() & ~sources.isin(known_ids["item_id"].good)
    yield _problems(unknown.to_numpy(), "source_item_id", "the items table has no such item_id")


def _ends_before_starts(data: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Find live sessions that end before they start; the end cannot be."""
    if "started_at" in data and "ended_at" in data:
        is_earlier = data["ended_at"] < data["started_at"]
        yield _problems(is_earlier.to_numpy(), "ended_at", "it lies before started_at")


def _form(ids: pd.Series) -> pd.Series:
    """Return ids without what may differ by accident: leading zeros, case and width."""
    folded = ids.str.normalize("NFKC").str.casefold()
    return folded.str.replace(r"^0+(?=.)", "", regex=True)


def _notes_on_form(
    table: str, data: pd.DataFrame, fatal: pd.DataFrame, known_ids: Mapping[str, KnownIds]
) -> Iterator[str]:
    """Show an unknown item beside the one that it may be; ids of users stand in no note."""
    unlike = fatal[fatal["reason"].str.contains("differs only in").astype(bool)]
    for column, rows in unlike.groupby("column")["row"]:
        words = f"{table}: {len(rows):,} rows name a {column} that differs only in leading zeros, "
        words += f"case or width from one of the {str(column).removesuffix('_id')}s table"
        if column in WRITTEN_BY_PEOPLE:
            yield words
            continue
        given = str(data[column].iloc[int(rows.iloc[0])])
        good = known_ids[str(column)].good
        form = _form(pd.Series([given], dtype="str"))
        near = good[_form(good).isin(form)].iloc[0]
        yield f"{words}: {printable(given)} for {printable(near)}"


def _notes_on_cells(
    table: str, bad_cells: pd.DataFrame, cells: Mapping[str, pa.Array]
) -> Iterator[str]:
    """Count the bad cells of each column, with an example."""
    in_order = bad_cells.sort_values("row", kind="stable")
    for column, found in in_order.groupby("column", sort=False):
        row = int(found["row"].iloc[0])
        reason = found["reason"].iloc[0]
        n = len(found)
        values = "1 value was" if n == 1 else f"{n:,} values were"
        given = "" if column in WRITTEN_BY_PEOPLE else f", such as {_shown(cells, column, row)}"
        yield f"{table}: {column}: {values} not understood and count as missing{given} ({reason})"


def _shown(cells: Mapping[str, pa.Array], column: str, row: int) -> str:
    text = _as_text(cells[column].slice(row, 1))[0].as_py()
    return printable(text or "")


def _with_values(problems: pd.DataFrame, cells: Mapping[str, pa.Array]) -> pd.DataFrame:
    """Add what is written in each bad cell, and put the problems in order of their rows."""
    problems = problems.reset_index(drop=True)
    values = pd.Series("", index=problems.index, dtype=object)
    for column, rows in problems.groupby("column", sort=False)["row"]:
        chosen = cells[column].take(pa.array(rows.to_numpy(dtype=np.int64)))
        values[rows.index] = _as_text(chosen).fill_null("").to_pylist()
    problems.insert(2, "value", values)
    return problems.sort_values("row", kind="stable")


def _key_set_aside(table: str, data: pd.DataFrame, is_good: np.ndarray) -> pd.Series:
    if table not in PRIMARY_KEYS:
        return pd.Series(dtype="str")
    return data.loc[~is_good, PRIMARY_KEYS[table]].dropna()
