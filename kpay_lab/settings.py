"""Settings of a dataclass, checked when an instance is made.

The class declares ``ranges`` beside its fields. For each setting they give the lowest and the
highest number, both of which are allowed, or the texts to choose from. A ``space``, where there
is one, has the values that a search tries (`evaluate.search.tune`), and ``most_trials`` holds a
slow model to fewer of them than the others.

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
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

Range = tuple[float, float] | tuple[str, ...]
Ranges = Mapping[str, Range]
Space = Mapping[str, Sequence[Any]]  # setting → the values that a search may try

ANY_NUMBER = (-math.inf, math.inf)


def check_settings(instance: Any) -> None:
    """Refuse an instance whose settings lie out of their ranges; for ``__post_init__``.

    Raises
    ------
    ValueError
        With one line for each setting that is wrong.
    """
    settings = {field.name: getattr(instance, field.name) for field in fields(instance)}
    settings_class = type(instance)
    faults = setting_faults(settings_class, settings, settings_class.__name__)
    if faults:
        raise ValueError("\n".join(faults))


def setting_faults(settings_class: type, settings: Mapping[str, Any], prefix: str) -> list[str]:
    """Return one line for each setting with an unknown name, a wrong type or a value out of range.

    Parameters
    ----------
    settings_class : type
        The dataclass that declares the settings.
    settings : mapping
        Name → value, as a profile or a caller gives them; those not named keep their default.
    prefix : str
        What every line begins with, such as ``model ease``.
    """
    names = [field.name for field in fields(settings_class)]
    types = get_type_hints(settings_class)
    ranges = getattr(settings_class, "ranges", {})
    faults = []
    for name, value in settings.items():
        allowed = ranges.get(name)
        if name not in names:
            remedy = _remedy_for_name(str(name), names)
            faults.append(f"{prefix} has no setting {name!r}; {remedy}")
        elif not _is_valid(value, types[name], allowed):
            requirement = _requirement(types[name], allowed)
            faults.append(f"{prefix}: {name} is {value!r}; it must be {requirement}")
    return faults


def _remedy_for_name(name: str, names: list[str]) -> str:
    """Suggest the setting that was probably meant, or else list all of them."""
    similar = get_close_matches(name, names, 1)
    if similar:
        return f"did you mean {similar[0]!r}?"
    return f"it has {', '.join(names)}"


def _is_valid(value: Any, annotation: Any, allowed: Range | None) -> bool:
    """Return whether a value has the type of its annotation and lies inside the range."""
    if isinstance(annotation, UnionType):
        members = get_args(annotation)
        return any(_is_valid(value, member, allowed) for member in members)
    if annotation is NoneType:
        return value is None
    if get_origin(annotation) is tuple:
        return _is_valid_tuple(value, get_args(annotation), allowed)
    if get_origin(annotation) is Mapping:
        _, annotation_of_value = get_args(annotation)
        return isinstance(value, Mapping) and all(
            _is_valid(element, annotation_of_value, allowed) for element in value.values()
        )
    if annotation in (int, float):
        return _is_valid_number(value, annotation, allowed)
    if annotation is str and allowed:
        return value in allowed
    return isinstance(value, annotation)


def _is_valid_tuple(value: Any, annotations: tuple[Any, ...], allowed: Range | None) -> bool:
    if not isinstance(value, list | tuple):
        return False
    if annotations[-1] is Ellipsis:  # tuple[float, ...] is of any length
        annotations = annotations[:1] * len(value)
    if len(value) != len(annotations):
        return False
    pairs = zip(value, annotations, strict=True)
    return all(_is_valid(element, annotation, allowed) for element, annotation in pairs)


def _is_valid_number(value: Any, annotation: type, allowed: Range | None) -> bool:
    """Whether a value is a number (NumPy's count, yes/no does not) in the allowed range."""
    number = Integral if annotation is int else Real
    if isinstance(value, bool) or not isinstance(value, number):
        return False
    low, high = map(float, allowed or ANY_NUMBER)
    return bool(low <= float(value) <= high)  # NaN fails both comparisons


def _requirement(annotation: Any, allowed: Range | None) -> str:
    """Say in words what a setting must be."""
    if isinstance(annotation, UnionType):
        members = get_args(annotation)
        return " or ".join(_requirement(member, allowed) for member in members)
    if annotation is NoneType:
        return "null"
    if get_origin(annotation) is tuple:
        elements = get_args(annotation)
        each = _requirement(elements[0], allowed)
        length = "" if elements[-1] is Ellipsis else f" of {len(elements)}"
        return f"a list{length}, each {each}"
    if get_origin(annotation) is Mapping:
        _, annotation_of_value = get_args(annotation)
        return f"a mapping of names, each to {_requirement(annotation_of_value, allowed)}"
    if annotation in (int, float):
        number = "a whole number" if annotation is int else "a number"
        return f"{number} from {allowed[0]:g} to {allowed[1]:g}" if allowed else number
    if allowed:
        return f"one of {', '.join(map(str, allowed))}"
    names = {str: "a text", bool: "true or false"}
    return names.get(annotation, f"a {annotation.__name__}")
