"""What a reader must find in sheets as they were written: rows, faults and notes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab import columns as c
from kpay_lab.data.cells import count_of
from kpay_lab.data.tables import PRIMARY_KEYS, SCHEMAS
from kpay_lab.world.sheets import MEASURES, Fault, Place, Sheet

SET_ASIDE = "row set aside"
TAKEN_AS_MISSING = "cell taken as missing"
EVIDENCE_COLUMNS = ["table", "file", "line", "column", "value", "outcome"]


@dataclass(frozen=True)
class Expected:
    """What must be found of a table.

    Parameters
    ----------
    table : str
    good : DataFrame
        Its rows in the order of their files.
    evidence : DataFrame
        ``table, file, line, column, value, outcome`` of the other rows, and of cells that must
        count as missing.
    n_rejected : int
    notes : tuple of str
        Words of notes on its cells.
    """

    table: str
    good: pd.DataFrame
    evidence: pd.DataFrame
    n_rejected: int
    notes: tuple[str, ...]

    def counts(self) -> dict[str, str | int]:
        """Return the row of the table of counts."""
        n_good = len(self.good)
        return {
            "table": self.table,
            "read": n_good + self.n_rejected,
            "good": n_good,
            "rejected": self.n_rejected,
            "cells": int((self.evidence["outcome"] == TAKEN_AS_MISSING).sum()),
        }


def tables_in(sheet: Sheet) -> list[str]:
    """Return the tables whose rows a sheet has: a log by types may have three."""
    tables = [sheet.table]
    for meaning, table in (("order", "orders"), ("exposure", "exposures")):
        if (sheet.meaning == meaning).any():
            tables.append(table)
    return tables


def expected_of(table: str, sheet: Sheet, place: Place, known: Mapping[str, pd.Series]) -> Expected:
    """Find the rows of a table in a sheet, and judge its faults.

    Parameters
    ----------
    table : str
    sheet : Sheet
    place : Place
        Where its rows were written.
    known : mapping of key to Series
        The ids of the tables of users and items that are there.
    """
    rows = _rows_of_table(table, sheet)
    order = np.lexsort((place.lines[rows.index], place.files[rows.index]))
    rows = rows.iloc[order]
    faults, fatal = _faults(table, rows, sheet.faults, known)
    unknown_sources = _rows_of_unknown_sources(rows, known)
    faults += [(row, "source_item_id") for row in unknown_sources]
    if len(unknown_sources):
        rows = rows.copy()
        rows.loc[unknown_sources, "source_item_id"] = None
    evidence = []
    for row, column in faults:
        outcome = SET_ASIDE if row in fatal else TAKEN_AS_MISSING
        value = sheet.texts.loc[row, column]
        evidence.append((table, place.files[row], place.lines[row], column, value, outcome))
    n_rejected = len(fatal)
    if table == sheet.table:
        n_rejected += len(place.broken)
        for file, line, text in place.broken:
            evidence.append((table, file, line, "", text, SET_ASIDE))
    optional = rows.columns.difference(c.REQUIRED[table].split())
    empty = [column for column in optional if rows[column].isna().all()]
    found = pd.DataFrame(evidence, columns=EVIDENCE_COLUMNS)
    return Expected(
        table=table,
        good=rows.drop(columns=empty)[~rows.index.isin(fatal)],
        evidence=found,
        n_rejected=n_rejected,
        notes=(*_notes_on_columns(table, sheet, rows.drop(columns=empty)), *_notes_on_cells(found)),
    )


def _rows_of_table(table: str, sheet: Sheet) -> pd.DataFrame:
    """Return the rows of a sheet that belong to a table, with the columns that it has."""
    rows = sheet.truth
    if len(sheet.meaning):
        rows = _rows_of_types(table, sheet)
    if "comment_text" in rows and "comment_count" not in rows:
        is_written = rows["comment_text"].notna()
        rows = rows.assign(comment_count=is_written.astype("Int64"))
    return rows[[column for column in SCHEMAS[table].columns if column in rows]]


def _rows_of_types(table: str, sheet: Sheet) -> pd.DataFrame:
    """Return the rows of a log by types that belong to a table, with the measures of events."""
    wanted = {"orders": ["order"], "exposures": ["exposure"]}.get(table, ["view", *MEASURES])
    is_wanted = sheet.meaning.isin(wanted)
    rows = sheet.truth[is_wanted]
    meaning = sheet.meaning[is_wanted]
    for measure in MEASURES:
        is_of_type = meaning == measure
        if is_of_type.any():
            rows = rows.assign(**{measure: is_of_type.astype("Int64")})
    return rows


def _faults(
    table: str,
    rows: pd.DataFrame,
    made: Sequence[Fault],
    known: Mapping[str, pd.Series],
) -> tuple[list[tuple[int, str]], set[int]]:
    """Return each fault as row and column, and the rows that are rejected for one."""
    required = c.REQUIRED[table].split()
    faults = []
    for row, column, is_empty in made:
        is_here = row in rows.index and column in rows
        if is_here and (column in required or not is_empty):  # an order may lack its item
            faults.append((row, column))
    fatal_columns = [*required, "consent"]
    fatal = {row for row, column in faults if column in fatal_columns}
    key = PRIMARY_KEYS.get(table)
    for column, ids in known.items():
        if column in rows and column != key:
            is_unknown = rows[column].notna() & ~rows[column].isin(ids)
            unknown = rows.index[is_unknown]
            faults += [(row, column) for row in unknown]
            fatal |= set(unknown)
    if key is not None:
        sound = rows.loc[~rows.index.isin(fatal), key]
        again = sound.index[sound.duplicated()]
        faults += [(row, key) for row in again]
        fatal |= set(again)
    return list(dict.fromkeys(faults)), fatal


def _rows_of_unknown_sources(rows: pd.DataFrame, known: Mapping[str, pd.Series]) -> pd.Index:
    """Return the rows whose source is missing from the items; it alone counts as missing."""
    if "source_item_id" not in rows or "item_id" not in known:
        return rows.index[:0]
    source = rows["source_item_id"]
    return rows.index[source.notna() & ~source.isin(known["item_id"])]


def _notes_on_columns(table: str, sheet: Sheet, rows: pd.DataFrame) -> Iterator[str]:
    """Say what a reader must note of the words and signs in a table's columns."""
    for column in rows:
        spelling = sheet.spelled.get(str(column))
        if spelling is None:
            continue
        is_word = sheet.texts.loc[rows.index, column] == spelling.missing
        if spelling.missing and is_word.any():
            yield f"{table}: {column}: {count_of(int(is_word.sum()), 'cell')} such as"
        if spelling.way.note:
            yield f"{table}: {column}: {spelling.way.note}"


def _notes_on_cells(evidence: pd.DataFrame) -> Iterator[str]:
    """Say how many cells of each column a reader must take as missing."""
    is_cell = evidence["outcome"] == TAKEN_AS_MISSING
    for place, n_cells in evidence[is_cell].groupby(["table", "column"]).size().items():
        table, column = place
        values = "1 value was" if n_cells == 1 else f"{n_cells:,} values were"
        yield f"{table}: {column}: {values} not understood"
