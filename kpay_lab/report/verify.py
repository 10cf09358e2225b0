"""Does a run reproduce? The same notebooks and parameters again, and what differs."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpay_lab.report.manifest import Manifest

SAME = ("processor", "python", "packages", "threads")  # what exact equality may be asked of


@dataclass(frozen=True)
class Verdict:
    """What differs between a run and its rerun, one line each, and the rule that was used."""

    rule: str
    metrics: list[str]
    inputs: list[str]
    surroundings: list[str]

    @property
    def equal(self) -> bool:
        """Whether the same input files gave the same metrics."""
        return not self.metrics and not self.inputs

    def __str__(self) -> str:
        lines = [*self.surroundings, *self.inputs, *self.metrics, f"compared {self.rule}"]
        return "\n".join([*lines, "equal" if self.equal else "not equal"])


def read_finished(folder: Path) -> tuple[Manifest, dict[str, dict[str, Any]]]:
    """Read a run's manifest and metrics; raises ValueError if there is none, or it was cut off."""
    manifest = Manifest.read(folder)
    if manifest.status not in ("ok", "failed"):
        remedy = f"kpay run --resume {folder}"
        raise ValueError(f"{folder} did not come to its end ({manifest.status}); first {remedy}")
    return manifest, json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def verify(folder: Path, again: Path, rtol: float | None = None) -> Verdict:
    """Compare a run with its rerun.

    Numbers must be equal to the last bit on the same processor, Python and packages, and to
    1e-9 relatively elsewhere (near zero, to a thousandth of that absolutely); ``rtol``
    overrules both. Text and yes/no must be equal.
    """
    (first, one), (second, two) = read_finished(folder), read_finished(again)
    used, rule = tolerance(first.environment, second.environment, rtol)
    return Verdict(
        rule,
        [line for name in sorted({*one, *two})
         for line in _metrics(name, one.get(name, {}), two.get(name, {}), used)],
        list(_changed("input file", first.data, second.data)),
        list(surroundings(first, second)),
    )  # fmt: skip


def tolerance(
    first: Mapping[str, Any], second: Mapping[str, Any], rtol: float | None = None
) -> tuple[float, str]:
    """Return how far apart numbers of two environments may lie (relatively), and why in words.

    ``rtol`` overrules what the environments ask for.

    >>> here = {"processor": "A", "python": "3.11", "packages": {}, "threads": {}}
    >>> tolerance(here, here)
    (0.0, 'exactly (same processor, Python and packages)')
    >>> tolerance(here, here | {"processor": "B"})
    (1e-09, 'with rtol 1e-09 (other processor)')
    """
    apart = [key for key in SAME if first.get(key) != second.get(key)]
    used = rtol if rtol is not None else 1e-9 if apart else 0.0
    why = f"other {', '.join(apart)}" if apart else "same processor, Python and packages"
    why = f"as asked; {why}" if rtol is not None else why
    return used, f"{f'with rtol {used:g}' if used else 'exactly'} ({why})"


def surroundings(first: Manifest, second: Manifest) -> Iterator[str]:
    """Yield what differs around two runs: machine, Python, packages, code, notebooks, status."""
    one, two = ({"packages": {}, "git": {}} | run.environment for run in (first, second))
    for key in ("processor", "python", "threads"):
        yield from _changed("", {key: one.get(key)}, {key: two.get(key)})
    yield from _changed("package", one["packages"], two["packages"])
    yield from _changed("code,", one["git"], two["git"])
    for word, key in (("source of", "source_sha256"), ("status of", "status")):
        runs = (first.notebooks, second.notebooks)
        yield from _changed(word, *({n: getattr(e, key) for n, e in run.items()} for run in runs))


def _changed(kind: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*one, *two}):
        before, after = (
            f"{str(side.get(key))[:12]}…" if len(str(side.get(key))) == 64 else side.get(key)
            for side in (one, two)  # a hash is known by its beginning
        )
        if one.get(key) != two.get(key):
            yield " ".join(f"changed {kind} {key}: {before} → {after}".split())


def _metrics(
    name: str, one: Mapping[str, Any], two: Mapping[str, Any], rtol: float
) -> Iterator[str]:
    for key in sorted({*one, *two}):
        if key not in one or key not in two:
            yield f"{name} {key}: only in the {'run' if key in one else 'rerun'}"
        elif not same_value(one[key], two[key], rtol):
            yield f"{name} {key}: {one[key]!r} → {two[key]!r}"


def same_value(a: Any, b: Any, rtol: float) -> bool:
    """Compare two values of a metric; near zero ``rtol / 1000`` holds absolutely.

    >>> same_value(1.0, 1.0 + 1e-10, 1e-9), same_value(1.0, 1.0 + 1e-10, 0.0)
    (True, False)
    >>> same_value(True, 1, 1e-9)  # yes/no is no number
    False
    """
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (a, b)):
        return type(a) is type(b) and bool(a == b)
    return math.isclose(a, b, rel_tol=rtol, abs_tol=rtol / 1000)
