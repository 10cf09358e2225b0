"""Refuse values that cannot be, by the name of their column, the value and its row."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def check_values(
    name: str, values: ArrayLike, is_valid: ArrayLike, must_be: str, *, file: str = ""
) -> None:
    """Raise ValueError at the first value that is not valid.

    Parameters
    ----------
    name : str
        Of the column or argument.
    values : (n,) or (n, m)
    is_valid : bool, of the shape of ``values``
    must_be : str
        What a value must be, in words.
    file : str, optional
        The name of the file that holds the column.

    Examples
    --------
    >>> rewards = np.array([1.0, np.nan])
    >>> check_values("rewards", rewards, np.isfinite(rewards), "a finite number")
    Traceback (most recent call last):
    ValueError: rewards holds nan in row 2; it must be a finite number
    """
    values = np.asarray(values)
    invalid = np.argwhere(~np.asarray(is_valid, dtype=bool))
    if not len(invalid):
        return
    first = tuple(invalid[0])
    value = _shown(values[first])
    place = f" of {file}" if file else ""
    raise ValueError(f"{name} holds {value} in row {first[0] + 1}{place}; it must be {must_be}")


def check_finite(name: str, values: ArrayLike, *, file: str = "") -> None:
    """Raise ValueError at the first value that is missing or infinite."""
    check_values(name, values, np.isfinite(values), "a finite number", file=file)


def check_marks(name: str, values: ArrayLike, *, file: str = "") -> None:
    """Raise ValueError at the first value that is neither 0 nor 1.

    >>> check_marks("treated", np.array([0, 1, 2]))
    Traceback (most recent call last):
    ValueError: treated holds 2 in row 3; it must be 0 or 1
    """
    check_values(name, values, np.isin(np.asarray(values), (0, 1)), "0 or 1", file=file)


def check_positions(
    name: str, values: ArrayLike, low: int, high: int | None = None, *, file: str = ""
) -> None:
    """Raise ValueError at the first value that is not a whole number from low to high.

    NumPy takes a negative position from the end: -1 would be credited to the last.
    """
    numbers = np.asarray(values)
    is_valid = (numbers >= low) & (numbers % 1 == 0)
    must_be = f"a whole number from {low}"
    if high is not None:
        is_valid &= numbers <= high
        must_be += f" to {high}"
    check_values(name, numbers, is_valid, must_be, file=file)


def check_propensity(name: str, values: ArrayLike, *, file: str = "") -> None:
    """Raise ValueError at the first value that is not a probability above 0."""
    numbers = np.asarray(values)
    is_valid = (numbers > 0) & (numbers <= 1)
    must_be = "above 0 and at most 1, the true probability of what was logged"
    check_values(name, numbers, is_valid, must_be, file=file)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, Real) else repr(str(value))
