"""Read the cells of an id column, so that one person has one id in every table.

What nobody sees and signs that only wrap an id go; a whole number written as a float is that
number. Whatever else differs stays different, and what might be a mistake is counted in a note.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.cells import (
    MISSING_WORDS,
    Parsed,
    as_numpy,
    count_of,
    example,
    first_problems,
    flat,
    is_any_of,
    is_text,
    matches,
    problems_at,
    unwrapped,
)
from kpay_lab.data.rows import TEXT

LARGEST_EXACT = 2.0**53 - 1  # the float after it stands for 2^53 and for 2^53 + 1
NEVER_SEEN = "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
EXPONENT = r"^[+-]?[0-9](?:\.[0-9]+)?[eE]\+[0-9]+$|^[+-]?[0-9]\.[0-9]+[eE][0-9]+$"
WHOLE_FLOAT = r"^-?(?:0|[1-9][0-9]*)\.0*$"
ROUNDED = r"^[1-9][0-9]{14}0+$"
LONGER = r"^[1-9][0-9]{15,}$"
OF_PEOPLE = ("user_id", "session_id")  # notes stand on pages, and pages carry no such id
FEWEST_ROUNDED = 5  # by chance one id in ten ends in 0

IS_ROUNDED = "it was rounded to {form}, so that ids can no longer be told apart; export ids as text"
IN_EXPONENT_FORM = IS_ROUNDED.format(form="exponent form")
BEYOND_FLOAT = IS_ROUNDED.format(form="a float of 2^53 or more")


def parse_ids(cells: pa.Array | pa.ChunkedArray, column: str = "id") -> Parsed:
    r"""Read a column of ids as text.

    Parameters
    ----------
    cells : Array
        Text or typed.
    column : str
        Its name, for the notes.

    Examples
    --------
    >>> ids = pa.array(["\t10001 ", '="10001"', "10001.0", "007", "7.91557E+17", "NULL"])
    >>> parsed = parse_ids(ids, "user_id")
    >>> parsed.values.tolist()
    ['10001', '10001', '10001', '007', nan, 'NULL']
    >>> parsed.notes
    ("user_id: 1 cell reads 'NULL' or the like and is kept as an id",)
    """
    cells = flat(cells)
    problems: list[pd.DataFrame] = []
    if not is_text(cells):
        cells, problems = _as_text(cells)
    encoded = cells.dictionary_encode()
    written = encoded.dictionary
    ids = _clean(written)
    ids, is_beyond = _without_point(ids)
    problems.append(problems_at(_of_cells(is_beyond, encoded), BEYOND_FLOAT))
    is_exponent = matches(ids, EXPONENT)
    problems.append(problems_at(_of_cells(is_exponent, encoded), IN_EXPONENT_FORM))
    ids = pc.if_else(pa.array(is_exponent), pa.scalar(None, TEXT), ids)
    n_words = int(_of_cells(is_any_of(ids, MISSING_WORDS), encoded).sum())
    notes = _notes(ids, n_words, column)
    values = cells if ids.equals(written) else ids.take(encoded.indices)
    return Parsed(_series(values), first_problems(problems), tuple(notes))


def _series(texts: pa.Array) -> pd.Series:
    return pd.Series(pd.array(texts, dtype="str"))


def _of_cells(of_words: np.ndarray, encoded: pa.DictionaryArray) -> np.ndarray:
    """Carry a mask of the different words over to all cells."""
    indices = as_numpy(encoded.indices.fill_null(-1))
    return np.append(of_words, False)[indices]


def _as_text(cells: pa.Array) -> tuple[pa.Array, list[pd.DataFrame]]:
    """Write typed ids as text."""
    try:
        if pa.types.is_floating(cells.type):
            return _floats_as_text(cells)
        return cells.cast(TEXT), []
    except pa.ArrowException:
        reason = f"it is of type {cells.type}; an id must be text or a whole number"
        problems = [problems_at(as_numpy(cells.is_valid()), reason)]
        return pa.nulls(len(cells), TEXT), problems


def _floats_as_text(cells: pa.Array) -> tuple[pa.Array, list[pd.DataFrame]]:
    """Write whole floats as whole numbers; those too large for their type are problems."""
    numbers = as_numpy(cells.cast(pa.float64()))
    is_whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
    n_digits = np.finfo(cells.type.to_pandas_dtype()).nmant + 1  # binary ones: 53 of a double
    is_exact = is_whole & (np.abs(numbers) < 2.0**n_digits)
    integers = pa.array(np.where(is_exact, numbers, 0).astype(np.int64)).cast(TEXT)
    if is_exact.all():
        return integers, []
    fractions = pa.array([*map(_float_text, np.where(is_whole, np.nan, numbers))], TEXT)
    reason = IS_ROUNDED.format(form=f"a float of 2^{n_digits} or more")
    problems = [problems_at(is_whole & ~is_exact, reason)]
    return pc.if_else(pa.array(is_exact), integers, fractions), problems


def _float_text(number: float) -> str | None:
    return None if np.isnan(number) else repr(float(number))


def _clean(ids: pa.Array) -> pa.Array:
    """Take away invisible characters and wrapping signs; what is then empty is null."""
    if not pc.all(pc.string_is_ascii(ids)).as_py():
        ids = pc.replace_substring_regex(ids, NEVER_SEEN, "")
    return unwrapped(ids)


def _without_point(ids: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Write whole floats as whole numbers, and say which are too large to be exact."""
    is_float = matches(ids, WHOLE_FLOAT)
    if not is_float.any():
        return ids, is_float
    whole = pc.replace_substring_regex(ids, r"\.0*$", "")
    ids = pc.if_else(pa.array(is_float), whole, ids)
    numbers = pc.if_else(pa.array(is_float), whole, pa.scalar(None, TEXT)).cast(pa.float64())
    is_beyond = np.abs(as_numpy(numbers)) > LARGEST_EXACT
    return pc.if_else(pa.array(is_beyond), pa.scalar(None, TEXT), ids), is_beyond


def _notes(ids: pa.Array, n_words: int, column: str) -> list[str]:
    """Say what may be a mistake in the different ids of a column."""
    notes = []
    if n_words:
        word = example(ids, is_any_of(ids, MISSING_WORDS))
        cells = "1 cell reads" if n_words == 1 else f"{n_words:,} cells read"
        verb = "is kept as an id" if n_words == 1 else "are kept as ids"
        notes.append(f"{column}: {cells} {word!r} or the like and {verb}")
    distinct = pc.unique(ids.drop_null())
    folded = pc.utf8_lower(pc.utf8_normalize(distinct, "NFKC"))
    folded = pc.replace_substring_regex(folded, "^0+(.)", r"\1")
    codes = as_numpy(folded.dictionary_encode().indices)
    is_alike = np.bincount(codes)[codes] > 1
    if is_alike.any():
        first = int(np.argmax(is_alike))
        alike = [distinct[int(row)].as_py() for row in np.flatnonzero(codes == codes[first])[:2]]
        pair = f", such as {alike[0]!r} and {alike[1]!r}"
        shown = "" if column in OF_PEOPLE else pair
        differ = f"differ only by leading zeros, case or width{shown}"
        notes.append(f"{column}: {is_alike.sum():,} ids {differ}; they stay apart")
    n_rounded = int(matches(distinct, ROUNDED).sum())
    if n_rounded >= FEWEST_ROUNDED and n_rounded == matches(distinct, LONGER).sum():
        ids_of = count_of(n_rounded, "id")
        end = "end in zeros after their 15th digit, as a spreadsheet rounds"
        notes.append(f"{column}: all {ids_of} of more than 15 digits {end}; export ids as text")
    return notes
