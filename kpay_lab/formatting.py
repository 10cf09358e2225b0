"""How a number is written for people: one function a kind of number.

Sentences, tables and tiles of a page use these, so that a number looks the same wherever it
stands. What is not defined (None, NaN) is a dash. A negative number has a minus sign, not a hyphen.
"""

import math
from datetime import datetime
from math import isnan
from typing import Any

DASH = "–"
MINUS = "−"
TINY = 1e-6  # below this a number is written as about 0
LARGE = 1000  # from here on without decimals
SECONDS_A_DAY = 86_400


def money(value: float | None, currency: str = "") -> str:
    """Write an amount with two decimals, followed by its currency.

    >>> money(1234.5, "CNY"), money(-0.004, "CNY"), money(2.5), money(None)
    ('1,234.50 CNY', '0.00 CNY', '2.50', '–')
    """
    if value is None or isnan(value):
        return DASH
    amount = _signed(f"{value:,.2f}")
    return f"{amount} {currency}" if currency else amount


def share(value: float | None) -> str:
    """Write a share of a whole (0 to 1) in per cent.

    A share is not rounded to all or nothing.

    >>> [share(value) for value in (0.4193, 0.05, 0, 1, 0.00123, 0.99996, -0.25)]
    ['41.9 %', '5 %', '0 %', '100 %', '0.12 %', '> 99.9 %', '−25 %']
    """
    if value is None or isnan(value):
        return DASH
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    percent = 100 * value
    is_small = 0 < abs(percent) < 1
    digits = _significant(percent, 2) if is_small else _trimmed(f"{percent:,.1f}")
    return f"{_signed(digits)} %"


def change(value: float | None) -> str:
    """Write a change as a share of what was before, a growth with its sign.

    >>> change(0.125), change(-0.05), change(2), change(0)
    ('+12.5 %', '−5 %', '+200 %', '0 %')
    """
    written = share(value)
    return f"+{written}" if value is not None and value > 0 else written


def points(value: float | None) -> str:
    """Write a difference of two shares in percentage points, always with its sign.

    >>> points(0.0321), points(-0.2), points(0)
    ('+3.21 percentage points', '−20 percentage points', '0 percentage points')
    """
    if value is None or isnan(value):
        return DASH
    return f"{difference(100 * value)} percentage points"


def count(value: float | None) -> str:
    """Write how many there are, thousands parted.

    >>> count(1234567), count(3.0), count(None)
    ('1,234,567', '3', '–')
    """
    if value is None or isnan(value):
        return DASH
    return _signed(f"{value:,.0f}")


def score(value: float | None) -> str:
    """Write a number without a unit in three significant digits, never as a power of ten.

    >>> [score(value) for value in (0.06834, 0.5, 12345.6, -261.0, 4.8e-10, 0.0000483, 0)]
    ['0.0683', '0.5', '12,346', '−261', '≈ 0', '0.0000483', '0']
    """
    if value is None or isnan(value):
        return DASH
    if 0 < abs(value) < TINY:
        return "≈ 0"
    if abs(value) >= LARGE:
        return _signed(f"{value:,.0f}")
    return _signed(_significant(value, 3))


def difference(value: float | None) -> str:
    """Write a number as `score` does, a positive one with its sign.

    >>> difference(0.0683), difference(-0.0683)
    ('+0.0683', '−0.0683')
    """
    written = score(value)
    is_positive = value is not None and value >= TINY
    return f"+{written}" if is_positive else written


def p(value: float | None, *, is_floor: bool = False) -> str:
    """Write a p-value; ``is_floor`` says that the test could not give a smaller one.

    >>> p(0.0002, is_floor=True), p(0.0312), p(1), p(1e-9)
    ('p ≤ 0.0002', 'p = 0.031', 'p = 1', 'p < 0.0001')
    """
    if value is None or isnan(value):
        return DASH
    if value < 0.0001:
        return "p < 0.0001"
    sign = "≤" if is_floor else "="
    return f"p {sign} {_significant(value, 2)}"


def days(value: float | None) -> str:
    """Write a number of days.

    >>> days(27), days(1), days(1.5)
    ('27 days', '1 day', '1.5 days')
    """
    written = score(value)
    if written == DASH:
        return written
    return f"{written} day" if written == "1" else f"{written} days"


def hours(value: float | None) -> str:
    """Write a number of hours: minutes where it is less than one, days where it is many.

    >>> hours(58.6), hours(0.5), hours(0), hours(240)
    ('58.6 hours', '30 minutes', '0 hours', '10 days')
    """
    if value is None or isnan(value):
        return DASH
    if 0 < value < 1:
        return f"{score(60 * value)} minutes"
    if value >= 96:
        return days(value / 24)
    written = score(value)
    return f"{written} hour" if written == "1" else f"{written} hours"


def duration(seconds: float | None) -> str:
    """Write how long something took.

    >>> duration(5.25), duration(125), duration(3600)
    ('5.2 s', '2 min 5 s', '60 min 0 s')
    """
    if seconds is None or isnan(seconds):
        return DASH
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def text(value: Any) -> str:
    """Write a text as it is, a yes or no as a word.

    >>> text("ease"), text(True), text(None)
    ('ease', 'yes', '–')
    """
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def names(values: list[str] | tuple[str, ...]) -> str:
    """Write several names as a list in words.

    >>> names(["als"]), names(["als", "ease"]), names(["als", "ease", "markov"]), names([])
    ('als', 'als and ease', 'als, ease and markov', '–')
    """
    if not values:
        return DASH
    *others, last = values
    if not others:
        return last
    return f"{', '.join(others)} and {last}"


def time(value: str | datetime | None) -> str:
    """Write a moment to the minute, one given in ISO format too; midnight is the day alone.

    >>> time("2023-01-05T14:03:09+00:00"), time("2023-01-05"), time(None)
    ('2023-01-05 14:03 UTC', '2023-01-05', '–')
    """
    if value is None or value != value:  # NaT is not equal to itself
        return DASH
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    is_midnight = not (moment.hour or moment.minute)
    return f"{moment:%Y-%m-%d}" if is_midnight else f"{moment:%Y-%m-%d %H:%M} UTC"


def plain(value: Any) -> str:
    """Write a value of which nothing is known but its type.

    >>> [plain(value) for value in (1234567, 0.123456, 12345.6, True, None, "ease")]
    ['1,234,567', '0.123', '12,346', 'yes', '–', 'ease']
    """
    if isinstance(value, bool) or value is None:
        return text(value)
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return score(value)
    return text(value)


def _significant(value: float, digits: int) -> str:
    """Write a number in so many significant digits, without zeros at its end and no power of ten.

    >>> _significant(0.00001234, 3), _significant(100.04, 3), _significant(0.5, 3)
    ('0.0000123', '100', '0.5')
    """
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    exponent = math.floor(math.log10(abs(rounded)))
    decimals = max(digits - 1 - exponent, 0)
    return _trimmed(f"{rounded:,.{decimals}f}")


def _trimmed(number: str) -> str:
    """Leave out the zeros at the end of a number's decimals."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _signed(number: str) -> str:
    """Write a minus sign for a hyphen, and none before a zero."""
    magnitude = number.removeprefix("-")
    is_zero = not magnitude.strip("0.,")
    if is_zero or magnitude == number:
        return magnitude
    return f"{MINUS}{magnitude}"
