"""Read the cells of a column as its kind, whatever a person's export wrote in them.

Cells are text or typed Arrow arrays. A column is judged as a whole: a clean one takes a single
cast, and only cells that are something else are looked at. Nothing is misread in silence: what
cannot be read is a *problem* and its value is missing; what was assumed is said in a *note*.

The grammar of each kind has its own module: `time_cells`, `number_cells` and `id_cells`.
"""

from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab import columns as c
from kpay_lab.data.cells import (
    MISSING_WORDS,
    Parsed,
    as_numpy,
    cast_all,
    first_problems,
    flat,
    is_any_of,
    is_number_type,
    is_text,
    matches,
    tidy,
)
from kpay_lab.data.headers import fold
from kpay_lab.data.id_cells import parse_ids
from kpay_lab.data.number_cells import (
    holds_text,
    parse_counts,
    parse_numbers,
    parse_yes_no,
    units_of,
)
from kpay_lab.data.rows import TEXT
from kpay_lab.data.tables import KIND_OF
from kpay_lab.data.time_cells import parse_times

__all__ = ["Parsed", "holds_text", "parse_column", "parse_free", "parse_ids", "units_of"]

IDS = ("user_id", "item_id", "source_item_id", "session_id", "promotes")
# In a title or a name "NA" and "None" may be meant; no person writes these.
WORDS_OF_DUMPS = ("null", "(null)", r"\n", "<na>", "nan", "nat", "#n/a", "undefined")
KIND_OF_WORD = {fold(kind): kind for kind in c.ITEM_KINDS}
KIND_OF_WORD |= {word: kind for kind, words in c.KIND_WORDS.items() for word in words.split()}


def parse_column(
    cells: pa.Array | pa.ChunkedArray,
    column: str,
    *,
    unit: str = "",
    zone: str = "",
    date_order: str = "",
    scale: tuple[float, float] | None = None,
) -> Parsed:
    """Read a column of the schemas.

    Parameters
    ----------
    cells : Array
        Text or typed; empty text and null are missing.
    column : str
        Its name in `tables.KIND_OF`, which says its dtype.
    unit : str
        What its plain numbers are in; see `number_cells.parse_numbers`.
    zone : str
        Where times without an offset are local, such as ``Asia/Shanghai``; empty for UTC,
        which a note then says.
    date_order : {"", "month_first", "day_first"}
        How dates with the year last are written.
    scale : (float, float), optional
        Smallest and largest number that there can be.

    Returns
    -------
    Parsed

    Raises
    ------
    ValueError
        If the column has no such unit, or there is no such zone.

    Examples
    --------
    >>> parsed = parse_column(pa.array(["35", "100", "1", "NA", "half"]), "progress")
    >>> parsed.values.tolist()
    [0.35, 1.0, 0.01, nan, nan]
    >>> parsed.problems.values.tolist()
    [[4, 'it must be between 0 and 1']]
    >>> for note in parsed.notes:
    ...     print(note)
    progress: 1 cell such as 'NA' is taken as missing
    progress: it is read as percent, because of values such as 35
    """
    cells = flat(cells)
    dtype = str(KIND_OF[column].dtype)
    if column in IDS:
        return parse_ids(cells, column)
    if dtype.startswith("datetime64"):
        return parse_times(cells, column, zone, date_order=date_order)
    if dtype == "Int64":
        return parse_counts(cells, column)
    if dtype == "boolean":
        return parse_yes_no(cells, column)
    if KIND_OF[column].dtype is float:
        return parse_numbers(cells, column, unit, scale)
    texts = _parse_text(cells)
    return _with_known_kinds(texts) if column == "kind" else texts


def parse_free(cells: pa.Array | pa.ChunkedArray) -> Parsed:
    """Read a column that is in no schema: numbers if all are, else text.

    A column with a leading zero (``007``) holds codes and stays text.

    >>> parse_free(pa.array(["1.5", "NA"])).values.tolist()
    [1.5, nan]
    >>> parse_free(pa.array(["01002", "99"])).values.tolist()
    ['01002', '99']
    """
    cells = flat(cells)
    if is_number_type(cells.type):
        numbers = as_numpy(pc.cast(cells, pa.float64(), safe=False))
        return Parsed(pd.Series(numbers.copy()), first_problems([]))
    if not is_text(cells):
        return _parse_text(cells)
    tidied = tidy(cells)
    written = pc.if_else(pa.array(is_any_of(tidied, MISSING_WORDS)), pa.scalar(None, TEXT), tidied)
    is_all_missing = written.null_count == len(written)
    if is_all_missing or matches(written, "^[+-]?0[0-9]").any():
        return _parse_text(cells)
    try:
        numbers = as_numpy(cast_all(written, pa.float64()))
    except pa.ArrowInvalid:
        return _parse_text(cells)
    if pd.Series(numbers).isin([float("inf"), float("-inf")]).any():
        return _parse_text(cells)
    return Parsed(pd.Series(numbers.copy()), first_problems([]))


def _parse_text(cells: pa.Array) -> Parsed:
    """Read text as it is; nested values and bytes that are no text are written as Python does."""
    if not is_text(cells):
        try:
            cells = cells.cast(TEXT)
        except pa.ArrowException:
            texts = [None if cell is None else str(cell) for cell in cells.to_pylist()]
            cells = pa.array(texts, TEXT)
    encoded = cells.dictionary_encode()
    written = encoded.dictionary
    tidied = tidy(written)
    is_missing = is_any_of(tidied, WORDS_OF_DUMPS)
    kept = pc.if_else(pa.array(is_missing), pa.scalar(None, TEXT), tidied)
    texts = cells if kept.equals(written) else kept.take(encoded.indices)
    return Parsed(pd.Series(pd.array(texts, dtype="str")), first_problems([]))


def _with_known_kinds(texts: Parsed) -> Parsed:
    """Replace the words for kinds of items; any other word stays, and its check will refuse it."""
    kind_of = {word: KIND_OF_WORD.get(fold(word), word) for word in texts.values.dropna().unique()}
    kinds = texts.values.map(kind_of, na_action="ignore")
    return replace(texts, values=kinds.astype("str"))
