"""Frames as tables for people: heads in words, numbers written by their kind, no row numbers.

A frame that `Session.table` has kept carries its name, its length and the kinds of its columns in
``attrs``, where they outlive ``head``, ``drop`` and the like.
"""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import yaml

from kpay_lab import formatting
from kpay_lab.findings import SPOKEN, WORDS

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

MOST_ROWS = 60  # rows a page shows; the file has all
P_VALUES = {"p", "pvalue", "p_value", "p_holm"}
KINDS_WITH_ENDS = ("money", "share", "score", "difference", "days")
FLOOR = "is_smallest"  # a column that says which p-values are the smallest a test can give
SYMBOL = re.compile(r"\b([A-Za-z])_(\d)\b")  # u_1 for the formula's u with a low 1
LOW_DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# A word of a column's name that says what kind of number it holds.
SHARES = {"share", "rate", "contacted", "chance"}
MONEY = {
    "revenue",
    "price",
    "amount",
    "profit",
    "earned",
    "cost",
    "net",
    "gmv",
    "refund",
    "refunded",
    "money",
}
NAMES = {"id", "year", "seed"}  # whole numbers that count nothing


def _p(value: float) -> str:
    """Write a p-value below a head that says so already.

    >>> _p(0.0312), _p(1e-9)
    ('0.031', '< 0.0001')
    """
    return formatting.p(value).removeprefix("p ").removeprefix("= ")


def _hours(value: "pd.Timedelta") -> str:
    return formatting.hours(value.total_seconds() / 3600)


KINDS: dict[str, Callable[[Any], str]] = {
    "money": formatting.money,
    "share": formatting.share,
    "change": formatting.change,
    "count": formatting.count,
    "score": formatting.score,
    "difference": formatting.difference,
    "p": _p,
    "days": formatting.days,
    "hours": formatting.hours,
    "time": formatting.time,
    "duration": formatting.duration,
    "timedelta": _hours,
    "text": formatting.text,
    "any": formatting.plain,
}


@dataclass(frozen=True)
class Cell:
    """What one cell shows, and what it is sorted by where that is a number."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Column:
    """A column as it is shown; ``names_rows`` says that it is part of the frame's index."""

    head: str
    cells: list[Cell]
    is_number: bool
    names_rows: bool


def check_kinds(frame: "pd.DataFrame", kinds: Mapping[Hashable, str]) -> None:
    """Raise ValueError where a kind is none of `KINDS`, or of a column that is not there."""
    for column, kind in kinds.items():
        if column not in frame.columns and column not in frame.index.names:
            raise ValueError(f"kinds names the column {column!r}, which the table lacks")
        if kind not in KINDS:
            listed = ", ".join(KINDS)
            raise ValueError(f"the kind of {column!r} is {kind!r}; it must be one of {listed}")


def show_frames() -> None:
    """Let the notebook that runs show its frames as `to_html` does; elsewhere nothing happens."""
    import pandas as pd
    from IPython.core.getipython import get_ipython
    from pandas.io.formats.style import Styler

    shell = get_ipython()
    if shell is None:
        return
    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type(pd.DataFrame, shown)
    formatter.for_type(Styler, shown_styler)


def shown(frame: "pd.DataFrame") -> tuple[str, dict[str, Any]]:
    """Return a frame as HTML, and where the whole of it is kept, for Jupyter's metadata."""
    about = {"rows": frame.attrs.get("rows", len(frame)), "shown": min(len(frame), MOST_ROWS)}
    if "table" in frame.attrs:
        about["table"] = frame.attrs["table"]
    return to_html(frame), about


def shown_styler(styler: "Styler") -> tuple[str, dict[str, Any]]:
    """Show the frame of a Styler: what it hides stays hidden, its formats give way to ours."""
    frame = styler.data
    visible = [n for n in range(frame.shape[1]) if n not in styler.hidden_columns]
    frame = frame.iloc[:, visible]
    if all(styler.hide_index_):
        frame = frame.reset_index(drop=True)
    return shown(frame)


def to_html(frame: "pd.DataFrame") -> str:
    """Return a frame as an HTML table.

    Row numbers are left out, other row names are columns like the rest. Text stands left and
    numbers right. A column's kind is that of ``frame.attrs["kinds"]``, else what its type and
    name tell (`kind_of`). Only the first `MOST_ROWS` rows are shown.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"model": ["ease"], "revenue": [1234.5], "accepted": [True]})
    >>> html = to_html(frame)
    >>> "1,234.50" in html, ">yes<" in html, "<th>0</th>" in html
    (True, True, False)
    """
    columns = _columns(frame.head(MOST_ROWS))
    heads = "".join(_head(column) for column in columns)
    n_rows = min(len(frame), MOST_ROWS)
    rows = [_row(columns, number) for number in range(n_rows)]
    body = "\n".join(rows)
    head = f"<thead><tr>{heads}</tr></thead>"
    return f'<table class="frame">\n{head}\n<tbody>\n{body}\n</tbody>\n</table>'


def _columns(frame: "pd.DataFrame") -> list[Column]:
    given = frame.attrs.get("kinds", {})
    columns = []
    for label, values in _row_names(frame):
        kind = given.get(label) or kind_of(label, values)
        head = _row_head(frame, label)
        columns.append(_column(frame, head, values, kind, names_rows=True))
    bounded = "score"  # the kind of the last column that is no end of an interval
    for position, label in enumerate(frame.columns):
        if label == FLOOR:
            continue
        values = frame.iloc[:, position]
        kind = given.get(label) or kind_of(label, values)
        if _is_end(label) and kind == "score":
            kind = bounded
        elif kind in KINDS_WITH_ENDS:
            bounded = kind
        columns.append(_column(frame, head_of(label), values, kind))
    return columns


def _is_end(label: Hashable) -> bool:
    """Whether a column is one end of the interval of the column before.

    >>> _is_end("low"), _is_end("difference_high"), _is_end("flow")
    (True, True, False)
    """
    return re.split(r"[^a-z]", str(label))[-1] in ("low", "high")


def _column(
    frame: "pd.DataFrame", head: str, values: "pd.Series", kind: str, *, names_rows: bool = False
) -> Column:
    missing = frame.attrs.get("missing", formatting.DASH)
    cells = [_cell(value, kind, missing) for value in values]
    if kind == "p" and FLOOR in frame:
        cells = [_at_floor(*pair) for pair in zip(cells, frame[FLOOR], strict=True)]
    return Column(head, cells, _are_numbers(cells), names_rows)


def _row_names(frame: "pd.DataFrame") -> list[tuple[str, "pd.Series"]]:
    """Return what the rows are called; mere numbers without a name are no names."""
    from pandas.api import types

    index = frame.index
    has_name = any(name is not None for name in index.names)
    if not has_name and types.is_integer_dtype(index.dtype):
        return []
    named = []
    for level, name in enumerate(index.names):
        values = index.get_level_values(level).to_series()
        named.append((name or "", values))
    return named


def _row_head(frame: "pd.DataFrame", label: Hashable) -> str:
    """Return the head above row names; where columns are numbers, it says of what, too."""
    across = frame.columns.name
    has_words = all(isinstance(column, str) for column in frame.columns)
    if across is None or has_words:
        return head_of(label)
    head = head_of(label)
    return f"{head} ↓ {head_of(across)} →" if head else f"{head_of(across)} →"


def kind_of(label: Hashable, values: "pd.Series") -> str:
    """Tell what kind of number a column holds, by its type and by the words of its name.

    >>> import pandas as pd
    >>> kind_of("refund_rate", pd.Series([0.1])), kind_of("item_id", pd.Series([7]))
    ('share', 'text')
    """
    from pandas.api import types

    if types.is_bool_dtype(values):
        return "any"
    if types.is_datetime64_any_dtype(values):
        return "time"
    if types.is_timedelta64_dtype(values):
        return "timedelta"
    if not types.is_numeric_dtype(values) or types.is_complex_dtype(values):
        return "any"
    words = set(re.split(r"[^a-z]+", str(label).lower()))
    if str(label) in P_VALUES:
        return "p"
    if types.is_integer_dtype(values):
        return "text" if words & NAMES else "count"
    if words & SHARES:
        magnitudes = values.dropna().abs()
        return "share" if (magnitudes <= 1).all() else "score"
    return "money" if words & MONEY else "score"


def _cell(value: Any, kind: str, missing: str) -> Cell:
    """Write one value; what is not there is written as ``missing``."""
    import pandas as pd

    if isinstance(value, list | tuple | set | frozenset):
        return Cell(", ".join(formatting.plain(one) for one in value))
    if pd.isna(value):
        return Cell(missing)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, str):
        return Cell(_in_words(value))
    text = KINDS[kind](value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "timedelta":
        return Cell(text, value.total_seconds())
    return Cell(text, float(value)) if is_number and kind != "text" else Cell(text)


def _in_words(text: str) -> str:
    """Write a text that stands as it does in code: a symbol with its number lowered.

    >>> _in_words("cannot_be"), _in_words("S[share]/u_1/v_2"), _in_words("user_10/a")
    ('cannot be', 'S[share] · u₁ · v₂', 'user_10/a')
    """
    if text in words()["cells"]:
        return str(words()["cells"][text])
    lowered = SYMBOL.sub(_lowered, text)
    return lowered if lowered == text else lowered.replace("/", " · ")


def _lowered(symbol: re.Match[str]) -> str:
    return symbol[1] + symbol[2].translate(LOW_DIGITS)


def _at_floor(cell: Cell, is_floor: bool) -> Cell:
    """Say of a p-value that the test could not give a smaller one."""
    return Cell(f"≤ {cell.text}", cell.number) if is_floor and cell.number is not None else cell


def _are_numbers(cells: list[Cell]) -> bool:
    """Tell whether a column holds numbers and nothing else but gaps."""
    numbers = [cell for cell in cells if cell.number is not None]
    others = [cell for cell in cells if cell.number is None]
    return bool(numbers) and len({cell.text for cell in others}) <= 1


def head_of(label: Hashable) -> str:
    """Return a column's name in words.

    >>> head_of("p_holm"), head_of("n_users"), head_of(("ndcg", "als")), head_of(3)
    ('p (Holm)', 'users', 'NDCG · als', '3')
    """
    if isinstance(label, tuple):
        parts = [head_of(part) for part in label if part != ""]
        return " · ".join(parts)
    name = SYMBOL.sub(_lowered, str(label))
    counted = name.removeprefix("n_")
    return words()["heads"].get(name, counted.replace("_", " "))


@cache
def words() -> dict[str, dict[str, Any]]:
    """Return the catalogue's words of tables and figures: ``heads``, ``cells`` and ``figures``."""
    path = WORDS / f"{SPOKEN}.yaml"
    content: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _head(column: Column) -> str:
    return f'<th scope="col"{_side(column)}>{escape(column.head)}</th>'


def _row(columns: list[Column], number: int) -> str:
    cells = [_written(column, column.cells[number]) for column in columns]
    return f"<tr>{''.join(cells)}</tr>"


def _written(column: Column, cell: Cell) -> str:
    """Return one cell; what it is sorted by is more exact than what it shows."""
    order = "" if cell.number is None else f' data-sort="{cell.number!r}"'
    name = "th" if column.names_rows else "td"
    scope = ' scope="row"' if column.names_rows else ""
    text = cell.text if column.is_number else cell.text.replace(" %", "\u00a0%")
    return f"<{name}{scope}{_side(column)}{order}>{escape(text)}</{name}>"


def _side(column: Column) -> str:
    """Say on which side a column stands: to pages by a class, to JupyterLab by a style."""
    side = "right" if column.is_number else "left"
    kind = "number" if column.is_number else "words"
    return f' class="{kind}" style="text-align: {side}"'
