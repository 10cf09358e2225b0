"""What was understood of a log: a result that prints as lines of 80 columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kpay_lab import columns as c
from kpay_lab.data.cells import count_of
from kpay_lab.data.proposal import Proposal
from kpay_lab.data.reading import Rejected
from kpay_lab.data.rows import listed, printable
from kpay_lab.data.tables import SCHEMAS
from kpay_lab.data.terminal import WIDTH, aligned, cut, width_of, wrapped

SHOWN_NOTES = 25
SHOWN_PROBLEMS = 25
SHOWN_COLUMNS = 30
LONGEST_CELL = 24
SECONDS_A_DAY = 86_400
OUTCOMES = {
    "row set aside": ("row", "set aside"),
    "cell taken as missing": ("cell", "taken as missing"),
    "cell of a row set aside": ("cell", "in rows set aside anyway"),
}
COUNTED_BELOW = "not understood and count as missing"  # a note that the problems say better
SHOWN_FILES = 4


FATAL = ("item_id", "consent")  # optional columns of which a bad cell may reject its row
EXAMPLES = 3


@dataclass(frozen=True)
class UnderstoodTable:
    """What was understood of one table.

    Parameters
    ----------
    name : str
    files : tuple of str
        The files that feed it; none where its rows came in the log of events.
    counts : mapping of str to int
        read, good, rejected, cells (that count as missing).
    columns : DataFrame
        ``theirs, ours, type, values``: a row a column of the files; ``ours`` is '' for one that
        is not used.
    first_rows : DataFrame
        The first good rows, as text.
    first, last : Timestamp, optional
        The span of its times, UTC.
    n_users, n_items : int
        How many different ones there are.
    medians : mapping of str to float
        Of the columns that hold seconds.
    """

    name: str
    files: tuple[str, ...]
    counts: Mapping[str, int]
    columns: pd.DataFrame
    first_rows: pd.DataFrame
    first: pd.Timestamp | None
    last: pd.Timestamp | None
    n_users: int
    n_items: int
    medians: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "table": self.name,
            "files": list(self.files),
            **self.counts,
            "columns": self.columns.to_dict("records"),
            "first_rows": self.first_rows.to_dict("records"),
            "first": None if self.first is None else self.first.isoformat(),
            "last": None if self.last is None else self.last.isoformat(),
            "users": self.n_users,
            "items": self.n_items,
        }


@dataclass(frozen=True, repr=False)
class Understanding:
    """What was understood of a source; printing it shows everything at 80 columns.

    Parameters
    ----------
    source : str
    tables : tuple of UnderstoodTable
        None where the files were not understood as a whole.
    kinds : mapping of str to int
        The kinds of events, orders and exposures, with their counts.
    rejected : Rejected
    zone : str
        In which the times are shown.
    refusal : str
        Why no report can rest on the source, with a remedy; '' where one can.
    problem : str
        The same without a remedy, for a proposal is better.
    proposal : Proposal
        What may be said of the files beyond what was said.
    tried : Understanding, optional
        The same source read as the proposal has it, where it has no gaps.
    """

    source: str
    tables: tuple[UnderstoodTable, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    rejected: Rejected = field(default_factory=Rejected)
    zone: str = "UTC"
    refusal: str = ""
    problem: str = ""
    proposal: Proposal = field(default_factory=Proposal)
    tried: "Understanding | None" = None

    @property
    def is_sound(self) -> bool:
        """Whether a report can rest on the source as it is understood."""
        return not self.refusal

    @property
    def is_sound_as_proposed(self) -> bool:
        """Whether a report can rest on the source as the proposal, if there is one, has it."""
        if not self.proposal.said:
            return self.is_sound
        return self.tried is not None and self.tried.is_sound

    @property
    def n_events(self) -> int:
        """How many events there are."""
        return self.kinds.get("events", 0)

    def table(self) -> pd.DataFrame:
        """Return one row a table: its counts, users, items and span."""
        rows = []
        for one in self.tables:
            row = {"table": one.name, **one.counts}
            row |= {"users": one.n_users, "items": one.n_items}
            row |= {"first": one.first, "last": one.last}
            rows.append(row)
        return pd.DataFrame(rows)

    def problems(self) -> pd.DataFrame:
        """Return one row a (table, column, outcome, reason): how many, and three examples."""
        evidence = self.rejected.evidence()
        rows = []
        evidence["outcome"] = [_outcome(row) for row in evidence.itertuples()]
        keys = ["table", "column", "outcome", "reason"]
        for key, found in evidence.groupby(keys, sort=False):
            examples = []
            for row in found.head(EXAMPLES).itertuples():
                value = printable(str(row.value), 30) or "empty"
                examples.append((f"{row.file} row {row.line}", value))
            rows.append((*key, len(found), examples))
        problems = pd.DataFrame(rows, columns=[*keys, "n", "examples"])
        return problems.sort_values("n", ascending=False, kind="stable", ignore_index=True)

    def brief(self) -> list[str]:
        """Return two lines of what was understood."""
        return _brief_lines(self)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON: every row, and not only examples."""
        return {
            "source": self.source,
            "sound": self.is_sound,
            "refusal": self.refusal,
            "tables": [one.as_dict() for one in self.tables],
            "kinds": dict(self.kinds),
            "time_zone": self.zone,
            "rejected": self.rejected.rows.to_dict("records"),
            "cells": self.rejected.cells.to_dict("records"),
            "notes": list(self.rejected.notes),
            "proposal": dict(self.proposal.said),
            "questions": list(self.proposal.questions),
            "looks": self.proposal.files.to_dict("records"),
        }

    def __str__(self) -> str:
        """Show what was understood, what was not, and what is proposed."""
        return "\n".join(_all_lines(self))

    __repr__ = __str__


def _outcome(row: Any) -> str:
    """Say what became of a row with a problem, or of its cell.

    A row that was set aside for another column may have bad optional cells too.
    """
    if not row.outcome.startswith("row"):
        return "cell taken as missing"
    optional = c.OPTIONAL[row.table].split()
    is_fatal = row.column not in optional or row.column in FATAL
    return "row set aside" if is_fatal else "cell of a row set aside"


def _all_lines(understood: Understanding) -> list[str]:
    """Return everything: the tables, what was assumed, what was not read, what is proposed."""
    lines: list[str] = []
    for table in understood.tables:
        lines += [*_lines_of_table(table, understood.zone), ""]
    if understood.kinds:
        kinds = [f"{n:,} {name}" for name, n in understood.kinds.items()]
        lines += [*wrapped(", ".join(kinds), first="kinds of rows: ", rest="  "), ""]
    lines += _lines_of_notes(understood.rejected.notes)
    lines += _lines_of_problems(understood.problems())
    lines += _lines_of_refusal(understood)
    lines += _lines_of_proposal(understood)
    return lines[:-1]


def _brief_lines(understood: Understanding) -> list[str]:
    """Return two lines: how much there is, and who did it when."""
    sizes = [f"{one.counts['good']:,} {one.name}" for one in understood.tables]
    n_rejected = sum(one.counts["rejected"] for one in understood.tables)
    set_aside = f"; {count_of(n_rejected, 'row')} set aside" if n_rejected else ""
    events = next(one for one in understood.tables if one.name == "events")
    who = f"{events.n_users:,} users, {events.n_items:,} items"
    return [
        f"{printable(understood.source, 300)}: {', '.join(sizes)}{set_aside}",
        f"  {who}, {_span(events, understood.zone)}",
    ]


def _lines_of_refusal(understood: Understanding) -> list[str]:
    """Say why no report can rest on the log; its remedy only where nothing better is proposed."""
    if understood.is_sound:
        return []
    is_answered = understood.proposal.said or understood.proposal.questions
    said = understood.problem if is_answered else understood.refusal
    lines = ["Not usable as it is" if understood.tables else "Not understood"]
    for sentence in said.splitlines():
        lines += wrapped(sentence)
    return [*lines, ""]


def _span(table: UnderstoodTable, zone: str) -> str:
    if table.first is None or table.last is None:
        return "at times not known"
    first = table.first.tz_convert(zone)
    last = table.last.tz_convert(zone)
    days = (table.last - table.first).total_seconds() / SECONDS_A_DAY
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} {zone}, {days:,.1f} days"


def _lines_of_table(table: UnderstoodTable, zone: str) -> list[str]:
    counts = table.counts
    said = [f"{counts['read']:,} rows read", f"{counts['good']:,} good"]
    said.append(f"{counts['rejected']:,} set aside")
    if counts["cells"]:
        said.append(f"{counts['cells']:,} cells missing")
    files = [printable(name, 50) for name in table.files[:SHOWN_FILES]]
    more = len(table.files) - SHOWN_FILES
    origin = ", ".join(files) + (f" and {more:,} more" if more > 0 else "")
    lines = wrapped(f"{table.name}: {', '.join(said)}", first="", rest="  ")
    lines += wrapped(f"from {origin or 'rows of the log of events'}", first="  ", rest="    ")
    who = [f"{table.n_users:,} users"] if table.n_users else []
    who += [f"{table.n_items:,} items"] if table.n_items else []
    has_times = "timestamp" in SCHEMAS[table.name].columns
    when = [_span(table, zone)] if has_times else []
    if who or when:
        lines += wrapped(", ".join([*who, *when]), first="  ", rest="    ")
    return [*lines, *_lines_of_columns(table.columns), *_lines_of_first_rows(table.first_rows)]


def _lines_of_columns(columns: pd.DataFrame) -> list[str]:
    if columns.empty:
        return []
    rows = [("theirs", "ours", "type", "first values, as written")]
    for row in columns.head(SHOWN_COLUMNS).itertuples():
        rows.append((printable(row.theirs, 40), row.ours or "not used", row.type, row.values))
    more = len(columns) - SHOWN_COLUMNS
    lines = aligned(rows)
    return [*lines, f"  and {more:,} more columns"] if more > 0 else lines


def _lines_of_first_rows(first_rows: pd.DataFrame) -> list[str]:
    """Show the first rows, and as many columns as fit."""
    if first_rows.empty:
        return []
    names = list(first_rows)
    while True:
        rows = [[cut(name, LONGEST_CELL) for name in names]]
        for values in first_rows[names].itertuples(index=False):
            rows.append([cut(value, LONGEST_CELL) for value in values])
        lines = aligned(rows, indent=4, width=10 * WIDTH)
        widest = max(map(width_of, lines))
        if widest <= WIDTH or len(names) == 1:
            break
        names = names[:-1]
    left_out = first_rows.shape[1] - len(names)
    more = f" (without {left_out} more columns)" if left_out else ""
    return [f"  first rows, as read{more}:", *lines]


def _lines_of_notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    lines = ["What was assumed"]
    gathered = _gathered(notes)
    for note in gathered[:SHOWN_NOTES]:
        lines += wrapped(printable(note, 600))
    more = len(gathered) - SHOWN_NOTES
    if more > 0:
        lines.append(f"- and {more:,} more (--json has all)")
    return [*lines, ""]


def _gathered(notes: Sequence[str]) -> list[str]:
    """Say once what holds of several files, as of daily ones."""
    files: dict[str, list[str]] = {}
    for note in notes:
        file, colon, said = note.partition(": ")
        if COUNTED_BELOW not in note:
            files.setdefault(said if colon else note, []).append(file if colon else "")
    gathered = []
    for said, places in files.items():
        place = places[0] if len(places) == 1 else listed(places, 2)
        gathered.append(f"{place}: {said}" if place else said)
    return gathered


def _lines_of_problems(problems: pd.DataFrame) -> list[str]:
    if problems.empty:
        return []
    lines = ["What could not be read"]
    for row in problems.head(SHOWN_PROBLEMS).itertuples():
        place = f"{row.table}.{row.column}" if row.column else row.table
        examples = "; ".join(f"{where}: {value}" for where, value in row.examples)
        unit, outcome = OUTCOMES[row.outcome]
        counted = count_of(row.n, unit)
        lines += wrapped(f"{place}: {counted} {outcome}: {row.reason} ({examples})")
    more = len(problems) - SHOWN_PROBLEMS
    if more > 0:
        lines.append(f"- and {more:,} more kinds (--json has all)")
    return [*lines, ""]


def _lines_of_proposal(understood: Understanding) -> list[str]:
    proposal = understood.proposal
    lines: list[str] = []
    if not understood.tables and len(proposal.files):
        lines += ["What the columns look like"]
        for file, looks in proposal.files.groupby("file", sort=False):
            shown = looks.head(SHOWN_COLUMNS).itertuples()
            rows = [(row.column, row.looks, row.values) for row in shown]
            lines += [f"  {cut(printable(str(file), 70), WIDTH - 2)}", *aligned(rows, indent=4)]
        lines.append("")
    if proposal.said:
        lines += ["Proposed mapping", *proposal.as_yaml().rstrip("\n").splitlines(), ""]
        lines += _lines_of_trial(understood)
    if proposal.questions:
        lines.append("What the files do not say")
        for question in proposal.questions:
            lines += wrapped(printable(question, 600))
        lines.append("")
    return lines


def _lines_of_trial(understood: Understanding) -> list[str]:
    """Say what comes of the proposal."""
    if understood.tried is None:
        return ["Fill in what is empty there before it is used.", ""]
    if not understood.tried.tables:
        return [*wrapped(f"With it alone: {understood.tried.problem}", first="", rest="  "), ""]
    outcome = understood.tried.brief()
    said = f"With it: {outcome[0].partition(': ')[2]}; {outcome[1].strip()}"
    return [*wrapped(said, first="", rest="  "), ""]
