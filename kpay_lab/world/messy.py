"""A simulated shop as people export theirs, and what a reader must find in it.

Each seed draws another export: names and units of columns, encodings, separators, ways to write
times, money and ids, totals, repeated headers, and a few cells that nobody can read. Beside the
files stands the truth: the tables, the mapping that is needed, and what becomes of each bad row and
cell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from kpay_lab.data.tables import PRIMARY_KEYS, Tables
from kpay_lab.data.writing import write_tables
from kpay_lab.world.expected import Expected, expected_of, tables_in
from kpay_lab.world.exports import KINDS_OF_FILES, Exported, as_parquet, export
from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.sheets import (
    CALLED_OFF,
    KEYS,
    Draft,
    Place,
    Sheet,
    leave_to_views,
    log_by_types,
    misname,
    pay_abroad,
    repeat_a_row,
    spoil,
    tidied,
    with_states,
    written,
)
from kpay_lab.world.simulate import simulate
from kpay_lab.world.spellings import choose, happens

NAMES_OF_FILES = {
    "events": "events|行为日志|用户行为|behavior_log",
    "items": "items|课程表|商品信息|courses",
    "users": "users|用户|学员信息|会员列表",
    "orders": "orders|订单|订单明细|purchases",
    "exposures": "exposures|曝光|曝光明细",
}
TYPE_WORDS = {
    "view": ("pv", "观看", "1", "view"),
    "like_count": ("fav", "点赞", "2", "like"),
    "comment_count": ("comment", "评论", "3", "comment"),
    "share_count": ("share", "分享", "4", "share"),
    "question_count": ("ask", "提问", "5", "question"),
    "order": ("buy", "购买", "6", "purchase"),
    "exposure": ("imp", "曝光", "7", "impression"),
    "ignore": ("unlike", "取消点赞", "8", "unlike"),
}
CODES = 2  # the words that only a mapping explains
NAMES_OF_TYPES = ("行为类型", "behavior_type", "event_type", "操作类型")


@dataclass(frozen=True)
class MessyShop:
    """The files of a shop, and what must be read in them.

    Parameters
    ----------
    files : mapping of name to bytes
    mapping : dict
        What has to be said of them, as in a profile.
    tables : Tables
        What must be read.
    evidence : DataFrame
        ``table, file, line, column, value, outcome``: every row that must be set aside, and
        every cell that must count as missing.
    counts : DataFrame
        ``table, read, good, rejected, cells``, one row a table.
    notes : tuple of str
        Words that must stand in some note of the reader.
    """

    files: Mapping[str, bytes]
    mapping: Mapping[str, Any]
    tables: Tables
    evidence: pd.DataFrame
    counts: pd.DataFrame
    notes: tuple[str, ...]

    def write(self, folder: str | Path) -> list[Path]:
        """Write the files into ``log/``, and what must be read into ``truth/``.

        ``mapping.yaml`` is beside them, a profile's block. Returns the paths in ``log/``.
        """
        folder = Path(folder)
        log = folder / "log"
        log.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, raw in self.files.items():
            path = log / name
            path.write_bytes(raw)
            paths.append(path)
        text = yaml.safe_dump({"mapping": dict(self.mapping)}, allow_unicode=True, sort_keys=False)
        (folder / "mapping.yaml").write_text(text, encoding="utf-8")
        truth = folder / "truth"
        write_tables(self.tables, truth, "parquet")
        self.evidence.to_csv(truth / "evidence.csv", index=False)
        self.counts.to_csv(truth / "counts.csv", index=False)
        (truth / "notes.txt").write_text("\n".join(self.notes) + "\n", encoding="utf-8")
        return paths


def messy_shop(spec: WorldSpec, seed: int) -> MessyShop:
    """Simulate a shop and export it as people do.

    Parameters
    ----------
    spec : WorldSpec
        The shop.
    seed : int
        Draws how it is exported; each seed is another mess.

    Examples
    --------
    >>> shop = messy_shop(WorldSpec(n_users=60, n_items=20, n_days=14), seed=1)
    >>> "events" in set(shop.counts["table"]), len(shop.files) > 0
    (True, True)
    """
    rng = np.random.default_rng(seed)
    frames = tidied(simulate(spec).tables, rng)
    draft = Draft(rng, has_odd_files=happens(rng, 0.2))
    if happens(rng, 0.2):
        draft.unit_of["watch_time"] = choose(rng, ("minutes", "ms"))
        draft.unit_of["progress"] = "percent"
    shape = choose(rng, ("columns", "days", "types", "files"))
    present = [table for table in ("users", "items") if happens(rng, 0.7)]
    later = [table for table in ("orders", "exposures") if happens(rng, 0.7)]
    moved = [table for table in later if shape == "types" and happens(rng, 0.5)]
    if shape in ("types", "files"):
        frames["events"] = log_by_types(frames, moved, rng)
    frames["orders"] = with_states(frames["orders"], rng)
    own = [table for table in later if table not in moved]
    for table in [*present, "events", *own]:
        shape_of_table = shape if table == "events" else "columns"
        _export_table(draft, table, frames[table], shape_of_table, present)
    return _with_truth(draft)


def _export_table(
    draft: Draft, table: str, frame: pd.DataFrame, shape: str, present: Sequence[str]
) -> None:
    """Write a table as one file or several, with a few faults."""
    rng = draft.rng
    kind = choose(rng, KINDS_OF_FILES)
    sheet = written(draft, table, frame, is_typed=kind == ".parquet")
    if shape == "files":
        leave_to_views(sheet)
    if kind != ".parquet":
        spoil(sheet, rng)
        if table == "orders":
            pay_abroad(sheet, draft)
    misname(sheet, [PRIMARY_KEYS[one] for one in present], rng)
    if table in PRIMARY_KEYS and happens(rng, 0.3):
        repeat_a_row(sheet, rng)
    files = np.full(len(sheet.truth), "", dtype=object)
    lines = np.zeros(len(sheet.truth), dtype=np.int64)
    broken = []
    for part in _parts(sheet, shape, draft):
        exported = _export_part(part, kind, sheet, draft)
        files[part.rows] = exported.name
        lines[part.rows] = exported.lines
        for line, text in exported.broken:
            broken.append((exported.name, line, text))
        draft.files[exported.name] = exported.raw
        draft.notes += exported.notes
        if part.meaning:
            of_types = draft.mapping.setdefault("event_types", {})
            of_types.setdefault("files", {})[exported.name] = part.meaning
    if draft.has_odd_files:
        draft.say("files", **{table: sorted(set(files))})
    draft.sheets.append((sheet, Place(files, lines, broken)))


class Part(NamedTuple):
    """Rows of a sheet that become one file, and the columns that they have there.

    ``type_name`` and ``words`` are the column of types and its words; ``meaning`` is that of all
    rows where only a mapping says it.
    """

    stem: str
    rows: np.ndarray
    columns: list[str]
    type_name: str = ""
    words: Mapping[str, str] = {}
    meaning: str = ""


def _parts(sheet: Sheet, shape: str, draft: Draft) -> list[Part]:
    """Part the rows of a sheet into files."""
    stem = choose(draft.rng, NAMES_OF_FILES[sheet.table].split("|"))
    if draft.has_odd_files:
        stem = f"导出{len(draft.sheets)}"
    columns = [*sheet.texts]
    if shape == "days":
        return _parts_of_days(sheet, stem, columns)
    family = int(draft.rng.integers(4))
    words = {meaning: of_family[family] for meaning, of_family in TYPE_WORDS.items()}
    if shape == "files":
        draft.notes.append("hold one type of behaviour each")
        is_odd = family == CODES or draft.has_odd_files
        return _parts_of_types(sheet, columns, words, is_odd)
    everything = np.arange(len(sheet.truth))
    if shape == "columns":
        return [Part(stem, everything, columns)]
    name = choose(draft.rng, NAMES_OF_TYPES)
    draft.notes.append("says the type of behaviour")
    if family == CODES:
        types = {word: meaning for meaning, word in words.items()}
        draft.mapping["event_types"] = {"column": name, "types": types}
    return [Part(stem, everything, columns, name, words)]


def _parts_of_days(sheet: Sheet, stem: str, columns: list[str]) -> list[Part]:
    days = sheet.day.to_numpy()
    parts = []
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        parts.append(Part(f"{stem}_{day}", rows, columns))
    return parts


def _parts_of_types(
    sheet: Sheet, columns: list[str], words: Mapping[str, str], is_odd: bool
) -> list[Part]:
    parts = []
    for meaning, word in words.items():
        rows = np.flatnonzero(sheet.meaning == meaning)
        of_type = columns if meaning == "view" else KEYS
        if len(rows):
            parts.append(Part(word, rows, of_type, meaning=meaning if is_odd else ""))
    return parts


def _export_part(part: Part, kind: str, sheet: Sheet, draft: Draft) -> Exported:
    header = [sheet.spelled[column].header for column in part.columns]
    texts = sheet.texts.iloc[part.rows][part.columns]
    values = sheet.truth.iloc[part.rows][part.columns]
    if part.type_name:
        types = sheet.meaning.iloc[part.rows].map(part.words).astype("str")
        header.append(part.type_name)
        texts[part.type_name] = types
        values[part.type_name] = types
    if kind != ".parquet":
        return export(part.stem, kind, header, texts, draft.rng)
    local = [column for column, spelling in sheet.spelled.items() if spelling.way.is_local]
    return as_parquet(part.stem, header, values, local, draft.rng)


def _with_truth(draft: Draft) -> MessyShop:
    """Say what must be read in what was written."""
    found: list[Expected] = []
    known: dict[str, pd.Series] = {}
    for sheet, place in draft.sheets:
        for table in tables_in(sheet):
            expected = expected_of(table, sheet, place, known)
            found.append(expected)
            if table in PRIMARY_KEYS:
                key = PRIMARY_KEYS[table]
                known[key] = expected.good[key]
    tables = {}
    notes = list(draft.notes)
    for expected in found:
        good = expected.good
        notes += expected.notes
        is_off = good.get("status", pd.Series("", good.index)) == CALLED_OFF
        if is_off.any():
            notes.append(f"of status {CALLED_OFF} came to nothing and are left out")
        tables[expected.table] = good[~is_off].reset_index(drop=True)
    return MessyShop(
        files=draft.files,
        mapping=draft.mapping,
        tables=Tables.validated(**tables),
        evidence=pd.concat([expected.evidence for expected in found], ignore_index=True),
        counts=pd.DataFrame([expected.counts() for expected in found]),
        notes=tuple(dict.fromkeys(notes)),
    )
