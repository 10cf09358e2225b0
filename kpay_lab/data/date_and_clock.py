"""Two columns that say one moment: the date in one, the time of day in the other."""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.cells import flat, is_text
from kpay_lab.data.headers import columns_of, date_and_clock
from kpay_lab.data.rows import TEXT, RawRows, printable
from kpay_lab.data.time_cells import CLOCK

SIGN_OF_A_CLOCK = "[:时点]"
ONLY_A_DATE = r"[0-9]\D+[0-9]+\D+[0-9]|^[0-9]{8}$|[A-Za-z]{3}.*[0-9]"  # no plain number
ONLY_A_CLOCK = rf"^{CLOCK}(?: *(?i:[AP]M))?$"
SECONDS_A_DAY = 24 * 3600
MIDNIGHT = r"[ T]00:00:00(?:\.0+)?$"  # what a spreadsheet adds to a date


def join_date_and_clock(table: str, rows: RawRows, renames: Mapping[str, str]) -> RawRows:
    """Put a date and the time of day beside it into one column, and note that.

    Rows come back as they are where no two columns are such a pair by their names, or where
    their cells are not: every cell that is written must be a date in one and a time of day in
    the other.

    Parameters
    ----------
    table : str
    rows : RawRows
    renames : mapping of their name to ours
        What was said of the table's columns.
    """
    pair = date_and_clock(columns_of(table, rows.header, renames).get("timestamp", []))
    if pair is None:
        return rows
    date, clock = pair
    place_of_date = rows.header.index(date)
    place_of_clock = rows.header.index(clock)
    dates = _without_midnight(_texts(rows.cells[place_of_date]))
    clocks = _texts(rows.cells[place_of_clock])
    if not _are_dates(dates) or not _are_clocks(clocks):
        return rows
    joined = pc.binary_join_element_wise(dates, clocks, pa.scalar(" ", TEXT))
    header = [*rows.header]
    cells = [*rows.cells]
    cells[place_of_date] = pc.utf8_trim_whitespace(joined)
    del header[place_of_clock]
    del cells[place_of_clock]
    note = f"{table}: {printable(clock)} is taken as the time of day of {printable(date)}"
    n_without = pc.sum(pc.and_(pc.not_equal(dates, ""), pc.equal(clocks, ""))).as_py()
    if n_without:
        note += f"; where it is empty ({n_without:,}), as midnight"
    return replace(rows, header=header, cells=cells, notes=(*rows.notes, note))


def _texts(cells: pa.Array) -> pa.Array:
    """Return cells as text, '' where nothing is written."""
    plain = flat(cells)
    if pa.types.is_duration(plain.type):
        plain = _times_of_day(plain)
    texts = plain if is_text(plain) else plain.cast(TEXT)
    return pc.utf8_trim_whitespace(pc.fill_null(texts, ""))


def _times_of_day(spans: pa.Array) -> pa.Array:
    """Turn spans since midnight, as a spreadsheet has them, into times of day.

    They are rounded to seconds: a spreadsheet keeps them as a fraction of a day. Spans that are
    longer than a day come back as they are.
    """
    microseconds = spans.cast(pa.duration("us")).cast(pa.int64())
    seconds = pc.cast(pc.round(pc.divide(microseconds.cast(pa.float64()), 1e6)), pa.int32())
    inside = pc.and_(pc.greater_equal(seconds, 0), pc.less(seconds, SECONDS_A_DAY))
    return seconds.cast(pa.time32("s")) if pc.all(inside).as_py() else spans


def _without_midnight(dates: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(dates, MIDNIGHT, "")


def _are_dates(cells: pa.Array) -> bool:
    written = cells.filter(pc.not_equal(cells, ""))
    has_form = pc.match_substring_regex(written, ONLY_A_DATE)
    says_a_clock = pc.match_substring_regex(written, SIGN_OF_A_CLOCK)
    are_dates = pc.and_not(has_form, says_a_clock)
    return len(written) > 0 and pc.all(are_dates).as_py()


def _are_clocks(cells: pa.Array) -> bool:
    written = cells.filter(pc.not_equal(cells, ""))
    has_sign = pc.match_substring_regex(written, SIGN_OF_A_CLOCK)
    has_form = pc.match_substring_regex(written, ONLY_A_CLOCK)
    are_clocks = pc.and_(has_sign, has_form)
    return len(written) > 0 and pc.all(are_clocks).as_py()
