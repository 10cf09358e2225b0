"""Write rows as the files that people export; each row knows its line."""

import gzip
import io
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kpay_lab.world.spellings import ZONE, choose, happens

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "gb18030", "gb18030")
SEPARATORS = {",": "", ";": "a semicolon", "\t": "a TAB", "|": "|"}
PREAMBLES = (
    (),
    (),
    ("数据导出",),
    ("店铺：知识小店", "导出时间：2026-03-01 10:00"),
    ("统计周期：2026-01-05,2026-02-01", "", "共 3 页"),
)
KINDS_OF_FILES = (".csv", ".csv", ".csv", ".txt", ".tsv", ".json", ".jsonl", ".parquet")
RAGGED = "此行已损坏"
EXTRA_LINES = ("head", "ragged", "blank", "separators")
PLAIN_NUMBER = re.compile(r"0|[1-9][0-9]*(?:\.[0-9]+)?")


class Exported(NamedTuple):
    """A file: its name and bytes, the line of each of its rows, and its lines that are no rows."""

    name: str
    raw: bytes
    lines: list[int]
    broken: list[tuple[int, str]]
    notes: list[str]


class Lines:
    """The lines of a text in the making; each knows its number in the file."""

    def __init__(self, first: Iterable[str]) -> None:
        self.texts = list(first)
        self.n_lines = len(self.texts)
        self.broken: list[tuple[int, str]] = []

    def add(self, text: str) -> int:
        """Add a line, or several where a cell has line ends, and return the number of the first."""
        self.texts.append(text)
        first = self.n_lines + 1
        self.n_lines = first + text.count("\n")
        return first

    def add_broken(self, text: str) -> None:
        """Add a line that is no row."""
        line = self.add(text)
        self.broken.append((line, text))


def export(
    stem: str, kind: str, header: Sequence[str], rows: pd.DataFrame, rng: np.random.Generator
) -> Exported:
    """Write rows of texts as a file of one kind."""
    if kind in (".json", ".jsonl"):
        return _as_json(stem, kind, header, rows, rng)
    separator = "\t" if kind == ".tsv" else choose(rng, [*SEPARATORS])
    form = Form(separator, quotes_all=happens(rng, 0.2), ends_open=happens(rng, 0.1))
    preamble = choose(rng, PREAMBLES)
    lines = Lines(preamble)
    head = form.line(header)
    lines.add(head)
    extras = {int(rng.integers(4 * len(rows) + 1)): extra for extra in EXTRA_LINES}
    numbers = []
    for position, cells in enumerate(rows.itertuples(index=False)):
        extra = extras.get(position)
        if extra == "head":
            lines.add_broken(head)
        elif extra == "ragged":
            lines.add_broken(RAGGED)
        elif extra == "blank":
            lines.add("")
        elif extra == "separators":
            lines.add(separator * (len(header) - 1 + form.ends_open))
        numbers.append(lines.add(form.line(cells)))
    if happens(rng, 0.3):
        total = ["合计", f"{len(rows)}条", *[""] * (len(header) - 2)]
        lines.add_broken(form.line(total))
        if happens(rng, 0.3):
            lines.add_broken("导出人：张三")
    ending = choose(rng, ("\n", "\r\n"))
    text = "".join(line + ending for line in lines.texts)
    encoding = choose(rng, ENCODINGS)
    if encoding == "gb18030" and _passes_for_utf8(text):
        encoding = "utf-8"
    raw = text.encode(encoding)
    name = stem + choose(rng, (kind, kind, f"{kind}.gz"))
    if name.endswith(".gz"):
        raw = gzip.compress(raw, mtime=0)
    notes = []
    if encoding == "gb18030" and not text.isascii():
        notes.append(f"{name}: it is not UTF-8 and was read as GB18030")
    if SEPARATORS[separator]:
        notes.append(f"{name}: its columns are separated by {SEPARATORS[separator]}")
    if preamble:
        notes.append(f"{name}: the first")
    return Exported(name, raw, numbers, lines.broken, notes)


def _passes_for_utf8(text: str) -> bool:
    """Whether the GB18030 of a text is another, valid text in UTF-8, so that nobody can tell.

    >>> _passes_for_utf8("amount(元)"), _passes_for_utf8("课程")
    (True, False)
    """
    try:
        text.encode("gb18030").decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not text.isascii()


class Form(NamedTuple):
    """How a program writes lines: ``ends_open`` where a separator follows the last cell too."""

    separator: str
    quotes_all: bool
    ends_open: bool

    def line(self, cells: Iterable[str]) -> str:
        """Join cells as one line."""
        joined = self.separator.join(map(self._cell, cells))
        return joined + self.separator if self.ends_open else joined

    def _cell(self, cell: str) -> str:
        """Quote a cell where it must be; ``="007"`` stays bare, as shops' systems write it."""
        is_special = self.separator in cell or "\n" in cell or cell.startswith('"')
        if not is_special and not self.quotes_all:
            return cell
        doubled = cell.replace('"', '""')
        return f'"{doubled}"'


def _as_json(
    stem: str, kind: str, header: Sequence[str], rows: pd.DataFrame, rng: np.random.Generator
) -> Exported:
    """Write rows as objects in one array, or one a line; plain numbers are numbers."""
    has_nested = happens(rng, 0.5)
    objects = []
    for cells in rows.itertuples(index=False):
        named = {name: _json_value(cell) for name, cell in zip(header, cells, strict=True) if cell}
        if has_nested:
            named["扩展"] = {"版本": 2}
        objects.append(json.dumps(named, ensure_ascii=False))
    name = f"{stem}{kind}"
    notes = [f"{name}: the lists and objects in 扩展"] if has_nested else []
    broken = []
    if kind == ".json":
        text = "[" + ",\n".join(objects) + "]"
    else:
        if happens(rng, 0.3):
            objects.append("# 导出结束")
            broken.append((len(objects), "# 导出结束"))
        text = "\n".join(objects)
    numbers = list(range(1, len(rows) + 1))
    return Exported(name, text.encode(), numbers, broken, notes)


def _json_value(text: str) -> Any:
    is_number = PLAIN_NUMBER.fullmatch(text) is not None
    return json.loads(text) if is_number else text


def as_parquet(
    stem: str,
    header: Sequence[str],
    columns: Mapping[str, pd.Series],
    local: Collection[str],
    rng: np.random.Generator,
) -> Exported:
    """Write values with their types, of which a database has several for each kind.

    The times of the columns ``local`` are written without their zone.
    """
    arrays = []
    for column, values in columns.items():
        arrays.append(_typed(column, pa.array(values), column in local, rng))
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, list(header)), file)
    n_rows = len(arrays[0])
    return Exported(f"{stem}.parquet", file.getvalue(), list(range(1, n_rows + 1)), [], [])


def _typed(column: str, values: pa.Array, is_local: bool, rng: np.random.Generator) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        unit = choose(rng, ("ms", "us", "ns"))
        zoned = values.cast(pa.timestamp(unit, choose(rng, ("UTC", ZONE))))
        at_home = zoned.cast(pa.timestamp(unit, ZONE))
        return pc.local_timestamp(at_home) if is_local else zoned
    if column in ("watch_time", "duration"):
        milliseconds = pc.multiply(values, 1000).cast(pa.int64())
        return milliseconds.cast(pa.duration("ms"))
    if column in ("like_count", "clicked", "purchased") and happens(rng, 0.5):
        return values.cast(pa.bool_())
    if column in ("amount", "price") and happens(rng, 0.5):
        return values.cast(pa.decimal128(12, 2))
    if pa.types.is_integer(values.type) and happens(rng, 0.3):
        return values.cast(pa.float64())
    if column in ("user_id", "item_id") and happens(rng, 0.5):
        return values.dictionary_encode()
    return values
