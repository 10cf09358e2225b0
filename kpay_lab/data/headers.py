"""The names of columns: from the header of a file to the names of the schema."""

from collections.abc import Collection, Mapping, Sequence

from kpay_lab import columns as c
from kpay_lab.data.rows import printable
from kpay_lab.data.tables import KIND_OF, SCHEMAS


def known_names(header: Sequence[str], renames: Collection[str] = ()) -> list[str]:
    """Return the names of a header that some table understands.

    Parameters
    ----------
    header : sequence of str
    renames : collection of str
        Further names, those that a mapping renames.

    Examples
    --------
    >>> known_names(["用户", "Item_ID", "colour"])
    ['用户', 'Item_ID']
    """
    return [name for name in header if name in renames or _ours(name) in KIND_OF]


def _ours(name: str) -> str:
    written = name.strip()
    folded = written.lower()
    return c.ALIASES.get(folded, folded if folded in KIND_OF else written)


def name_columns(
    table: str,
    file: str,
    header: Sequence[str],
    *,
    renames: Mapping[str, str] = {},
    guessed: bool = False,
) -> list[str]:
    """Replace the names in a header by those of the schema, as `columns.ALIASES` has them.

    Raises
    ------
    ValueError
        With all problems of the header at once: a required column is missing, a column is
        there twice, or the encoding was ``guessed`` and a name is unknown.
    """
    rules = SCHEMAS[table].columns
    names = [renames.get(name, _ours(name)) for name in header]
    names = [name.lower() if name.lower() in rules else name for name in names]
    used = used_columns(table, names)
    missing = [name for name, rule in rules.items() if rule.required and name not in names]
    faults = [f"it has no column {name}" for name in missing]
    repeated = sorted(name for name in set(used) if used.count(name) > 1)
    faults += [f"it names {printable(name)} more than once" for name in repeated]
    if guessed and not rules.keys() >= set(names):
        unknown = printable(", ".join(name for name in names if name not in rules))
        faults.append(f"it is not UTF-8 and its columns {unknown} are not known; save it as UTF-8")
    if faults:
        columns = printable(", ".join(header), 200)
        raise ValueError(f"{file}: {'; '.join(faults)} (its columns: {columns})")
    return names


def used_columns(table: str, names: Sequence[str]) -> list[str]:
    """Return the names that the table uses; the users table uses every column with a name."""
    rules = SCHEMAS[table].columns
    return [name for name in names if name in rules or (table == "users" and name)]
