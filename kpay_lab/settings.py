"""Settings of a class: their ranges stand beside the fields, and are checked when it is made.

A dataclass declares ``ranges``: a setting → the lowest and the highest number, both allowed,
or the texts to choose from.

>>> from dataclasses import dataclass
>>> from typing import ClassVar
>>> @dataclass(kw_only=True)
... class Ridge:
...     ranges: ClassVar[Ranges] = {"reg": (0.0, 100.0)}
...     reg: float = 1.0
...
...     def __post_init__(self) -> None:
...         check_settings(self)
>>> Ridge(reg=-5)
Traceback (most recent call last):
ValueError: Ridge: reg is -5; it must be a number from 0 to 100
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

Range = tuple[float, float] | tuple[str, ...]
Ranges = Mapping[str, Range]

ANY_NUMBER = (-math.inf, math.inf)


def check_settings(instance: Any) -> None:
    """Refuse an instance whose settings lie out of their ranges; for ``__post_init__``.

    Raises
    ------
    ValueError
        With one line for each setting that is wrong.
    """
    settings = {field.name: getattr(instance, field.name) for field in fields(instance)}
    kind = type(instance)
    faults = setting_faults(kind, settings, kind.__name__)
    if faults:
        raise ValueError("\n".join(faults))


def setting_faults(kind: type, settings: Mapping[str, Any], place: str) -> list[str]:
    """Say what is wrong with settings, one line each: an unknown name, a type, a range.

    Parameters
    ----------
    kind : type
        The dataclass that they are for.
    settings : mapping
        Name → value, as a profile or a caller gives them; those not named keep their default.
    place : str
        What the lines begin with, such as ``model ease``.
    """
    known = [field.name for field in fields(kind)]
    types = get_type_hints(kind)
    ranges = getattr(kind, "ranges", {})
    faults = []
    for name, value in settings.items():
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            faults.append(f"{place} has no setting {name!r}; {remedy}")
        elif not _fits(value, types[name], ranges.get(name)):
            wanted = _in_words(types[name], ranges.get(name))
            faults.append(f"{place}: {name} is {value!r}; it must be {wanted}")
    return faults


def _fits(value: Any, kind: Any, allowed: Range | None) -> bool:
    """Return whether a value is of the kind of its annotation and inside the range."""
    if isinstance(kind, UnionType):
        return any(_fits(value, one, allowed) for one in get_args(kind))
    if kind is NoneType:
        return value is None
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            return False
        return all(_fits(one, part, allowed) for one, part in zip(value, parts, strict=True))
    if kind in (int, float):
        number = Integral if kind is int else Real
        if isinstance(value, bool) or not isinstance(value, number):
            return False
        low, high = map(float, allowed or ANY_NUMBER)
        return bool(low <= float(value) <= high)  # never so for NaN
    if kind is str and allowed:
        return value in allowed
    return isinstance(value, kind)


def _in_words(kind: Any, allowed: Range | None) -> str:
    """Say what a setting must be."""
    if isinstance(kind, UnionType):
        return " or ".join(_in_words(one, allowed) for one in get_args(kind))
    if kind is NoneType:
        return "null"
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return f"a list of {len(parts)}, each {_in_words(parts[0], allowed)}"
    if kind in (int, float):
        number = "a whole number" if kind is int else "a number"
        return f"{number} from {allowed[0]:g} to {allowed[1]:g}" if allowed else number
    if allowed:
        return f"one of {', '.join(map(str, allowed))}"
    names = {str: "a text", bool: "true or false"}
    return names.get(kind, f"a {kind.__name__}")
