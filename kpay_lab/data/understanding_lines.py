"""What was understood of a log, as lines that fit a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from kpay_lab.data.cells import count_of
from kpay_lab.data.rows import listed, printable
from kpay_lab.data.tables import SCHEMAS
from kpay_lab.data.terminal import WIDTH, aligned, cut, width_of, wrapped

if TYPE_CHECKING:
    from kpay_lab.data.understanding import Understanding, UnderstoodTable

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


def all_lines(understood: "Understanding") -> list[str]:
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


def brief_lines(understood: "Understanding") -> list[str]:
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


def _lines_of_refusal(understood: "Understanding") -> list[str]:
    """Say why no report can rest on the log; its remedy only where nothing better is proposed."""
    if understood.is_sound:
        return []
    is_answered = understood.proposal.said or understood.proposal.questions
    said = understood.problem if is_answered else understood.refusal
    lines = ["Not usable as it is" if understood.tables else "Not understood"]
    for sentence in said.splitlines():
        lines += wrapped(sentence)
    return [*lines, ""]


def _span(table: "UnderstoodTable", zone: str) -> str:
    if table.first is None or table.last is None:
        return "at times not known"
    first = table.first.tz_convert(zone)
    last = table.last.tz_convert(zone)
    days = (table.last - table.first).total_seconds() / SECONDS_A_DAY
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} {zone}, {days:,.1f} days"


def _lines_of_table(table: "UnderstoodTable", zone: str) -> list[str]:
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


def _lines_of_proposal(understood: "Understanding") -> list[str]:
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


def _lines_of_trial(understood: "Understanding") -> list[str]:
    """Say what comes of the proposal."""
    if understood.tried is None:
        return ["Fill in what is empty there before it is used.", ""]
    if not understood.tried.tables:
        return [*wrapped(f"With it alone: {understood.tried.problem}", first="", rest="  "), ""]
    outcome = understood.tried.brief()
    said = f"With it: {outcome[0].partition(': ')[2]}; {outcome[1].strip()}"
    return [*wrapped(said, first="", rest="  "), ""]
