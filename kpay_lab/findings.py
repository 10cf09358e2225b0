"""What a result found, and the sentence that says it.

A result makes a `Finding`: a key, a level and the values it rests on. The words lie in a catalogue,
``words/<language>.yaml``: for each key the kinds of its values, its place in the order of
importance, and wordings, each with the condition under which it stands. So a sentence cannot say
what the numbers do not.
"""

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import yaml
from jinja2 import StrictUndefined, meta
from jinja2.sandbox import SandboxedEnvironment

from kpay_lab import formatting

LEVELS = ("good", "watch", "bad", "plain")
SPOKEN = "en"  # the language every finding has words in
WORDS = Path(__file__).parent / "words"
ALWAYS = "true"
# libyaml is nine times as fast; PyYAML may have been built without it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Value = bool | int | float | str | tuple[str, ...] | None

FORMATTERS: dict[str, Callable[[Any], str]] = {
    "amount": formatting.money,  # money in a bracket, after one that names the currency
    "share": formatting.share,
    "change": formatting.change,
    "points": formatting.points,
    "count": formatting.count,
    "score": formatting.score,
    "difference": formatting.difference,
    "days": formatting.days,
    "hours": formatting.hours,
    "duration": formatting.duration,
    "text": formatting.text,
    "flag": formatting.text,  # yes or no, for conditions
    "names": formatting.names,
    "time": formatting.time,
}
KINDS = {*FORMATTERS, "money", "p"}


@dataclass(frozen=True)
class Finding:
    """One thing that a result found.

    Parameters
    ----------
    key : str
        Its entry in the catalogue of words.
    level : {"good", "watch", "bad", "plain"}
    values : mapping of name to bool, int, float, str or tuple of str
        What the sentence rests on, raw: rounding is the formatter's. A value of None is allowed
        where the catalogue's conditions ask for it (``low is none``).
    place : str
        The name of the figure or table that it speaks of; empty for the page as a whole.

    Raises
    ------
    ValueError
        If the level is no level, or a value is NaN or infinite: what cannot be computed is no
        finding, or a value of None.

    >>> finding = Finding("model/best", "good", {"k": 10, "ndcg": 0.3132})
    >>> finding.values["k"]
    10
    >>> Finding("model/best", "good", {"ndcg": float("nan")})
    Traceback (most recent call last):
        ...
    ValueError: finding 'model/best': its value ndcg is nan; leave out what cannot be computed
    """

    key: str
    level: str
    values: Mapping[str, Any]
    place: str = ""

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            known = ", ".join(LEVELS)
            raise ValueError(f"finding {self.key!r}: its level is {self.level!r}; take {known}")
        values = {name: self._checked(name, value) for name, value in self.values.items()}
        object.__setattr__(self, "values", values)

    def _checked(self, name: str, value: Any) -> Value:
        """Return a value as plain Python that JSON takes."""
        if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
            value = value.item()
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, list | tuple):
            return tuple(map(str, value))
        if isinstance(value, numbers.Integral):
            return int(value)
        if not isinstance(value, numbers.Real):
            kind = type(value).__name__
            raise ValueError(f"finding {self.key!r}: its value {name} is a {kind}; say it as text")
        number = float(value)
        if not math.isfinite(number):
            remedy = "leave out what cannot be computed"
            raise ValueError(f"finding {self.key!r}: its value {name} is {number}; {remedy}")
        return number

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "key": self.key,
            "level": self.level,
            "values": dict(self.values),
            "place": self.place,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Finding":
        """Return the finding that `as_dict` wrote."""
        return cls(content["key"], content["level"], content["values"], content.get("place", ""))


@dataclass(frozen=True)
class Wording:
    """A sentence, and the condition over the raw values under which it stands.

    ``order`` is its place among the findings of a run where that is another than its entry's.
    """

    when: str
    say: str
    order: int | None = None

    @property
    def fields(self) -> set[str]:
        """The names of the values that the sentence writes."""
        return {field for _, field, _, _ in Formatter().parse(self.say) if field is not None}

    @property
    def conditions(self) -> set[str]:
        """The names of the values that the condition asks about."""
        tree = _jinja().parse(f"{{{{ {self.when} }}}}")
        return meta.find_undeclared_variables(tree)

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether the condition holds of these values."""
        return bool(_condition(self.when)(**values))


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of a key.

    Parameters
    ----------
    values : mapping of name to kind
        A kind of `KINDS`, or the list of texts that the value may be.
    order : int
        Its place among the findings of a run, the most important first.
    intervals : tuple of tuples of names
        Values that are never out of order, such as ``(low, difference, high)``.
    wordings : tuple of Wording
        Exactly one of them stands for any values.
    """

    values: Mapping[str, Any]
    order: int
    intervals: tuple[tuple[str, ...], ...]
    wordings: tuple[Wording, ...]


@dataclass(frozen=True)
class Catalogue:
    """The words of one language: those of the levels and titles, and an entry for each key."""

    levels: Mapping[str, str]
    titles: Mapping[str, str]
    entries: Mapping[str, Entry]

    def __getitem__(self, key: str) -> Entry:
        if key not in self.entries:
            raise ValueError(
                f"finding {key!r} has no words; write its entry in words/{SPOKEN}.yaml"
            )
        return self.entries[key]


def level_of_interval(
    low: float, high: float, *, than: float = 0.0, otherwise: str = "watch"
) -> str:
    """Return the level of a difference by its interval: good above ``than``, bad below.

    An end that is not known (NaN) is neither.

    >>> level_of_interval(0.2, 0.4), level_of_interval(0.2, 0.4, than=1), level_of_interval(-1, 1)
    ('good', 'bad', 'watch')
    >>> level_of_interval(math.nan, math.nan, otherwise="plain")
    'plain'
    """
    if low > than:
        return "good"
    return "bad" if high < than else otherwise


def lacking(question: str, table: str) -> Finding:
    """Return the finding that a question stays open, and which table it would take.

    Parameters
    ----------
    question : str
        One that the catalogue lists under ``lacking/table``.
    """
    return Finding("lacking/table", "plain", {"question": question, "table": table})


@cache
def catalogue(language: str = SPOKEN) -> Catalogue:
    """Read the words of a language.

    Raises
    ------
    ValueError
        If there is no such catalogue, or an entry names a kind or a value that is not known.
    """
    path = WORDS / f"{language}.yaml"
    if language not in languages():
        raise ValueError(f"language is {language!r}; findings speak {', '.join(languages())}")
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    entries = {key: _entry(key, entry) for key, entry in content["findings"].items()}
    return Catalogue(content["levels"], content["titles"], entries)


def languages() -> list[str]:
    """Return the languages that findings have words in.

    >>> "en" in languages()
    True
    """
    return sorted(path.stem for path in WORDS.glob("*.yaml"))


def _entry(key: str, content: Mapping[str, Any]) -> Entry:
    kinds = content["values"]
    for name, kind in kinds.items():
        if not isinstance(kind, list) and kind not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise ValueError(f"words of {key!r}: {name} is of kind {kind!r}; take one of {known}")
    intervals = tuple(map(tuple, content.get("intervals", [])))
    wordings = []
    for number, wording in enumerate(content["wordings"], start=1):
        when = str(wording.get("when", ALWAYS))
        made = Wording(when, wording["say"].strip(), wording.get("order"))
        used = made.fields | made.conditions | {name for names in intervals for name in names}
        unknown = sorted(used - set(kinds))
        if unknown:
            listed = ", ".join(unknown)
            raise ValueError(f"words of {key!r}, wording {number}: its values lack {listed}")
        wordings.append(made)
    return Entry(kinds, content["order"], intervals, tuple(wordings))


def sentence(finding: Finding, language: str = SPOKEN) -> str:
    """Say a finding in a language.

    Raises
    ------
    ValueError
        If the catalogue has no such key, declares other values, or not exactly one of its
        wordings stands.

    >>> sentence(lacking("contact", "orders"))
    'What a contact is worth is not known: it would take the table orders with what was paid.'
    """
    wording = _standing(finding, language)
    return wording.say.format(**formatted(finding, language))


def order(finding: Finding, language: str = SPOKEN) -> int:
    """Return the place of a finding among those of a run, the most important first.

    >>> order(lacking("earnings", "orders")) < order(lacking("contact", "orders"))
    True
    """
    own = _standing(finding, language).order
    return catalogue(language)[finding.key].order if own is None else own


def _standing(finding: Finding, language: str) -> Wording:
    """Return the one wording that stands for a finding's values."""
    entry = catalogue(language)[finding.key]
    declared = set(entry.values)
    given = set(finding.values)
    if declared != given:
        apart = ", ".join(sorted(declared ^ given))
        raise ValueError(f"finding {finding.key!r}: {apart} stand in its values or its words alone")
    standing = [wording for wording in entry.wordings if wording.holds(finding.values)]
    if len(standing) != 1:
        n_standing = len(standing)
        raise ValueError(
            f"finding {finding.key!r}: {n_standing} of its wordings stand for "
            f"{dict(finding.values)}; exactly one must"
        )
    return standing[0]


def formatted(finding: Finding, language: str = SPOKEN) -> dict[str, str]:
    """Return each value of a finding as people read it.

    Money carries the value ``currency`` of the same finding, where there is one; a p-value
    ``p`` stands as *at most* where the value ``p_is_floor`` is true.
    """
    kinds = catalogue(language)[finding.key].values
    written = {}
    for name, value in finding.values.items():
        kind = kinds[name]
        if value is None or isinstance(kind, list):
            written[name] = formatting.text(value)
        elif kind == "money":
            written[name] = formatting.money(value, finding.values.get("currency", ""))
        elif kind == "p":
            is_floor = finding.values.get(f"{name}_is_floor", False)
            written[name] = formatting.p(value, is_floor=is_floor)
        else:
            written[name] = FORMATTERS[kind](value)
    return written


@cache
def _jinja() -> SandboxedEnvironment:
    return SandboxedEnvironment(undefined=StrictUndefined)


@cache
def _condition(when: str) -> Callable[..., Any]:
    """Make a function of the raw values from the text of a condition."""
    return _jinja().compile_expression(when, undefined_to_none=False)
