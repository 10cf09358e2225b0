"""Does a run reproduce? The same notebooks and parameters again, and what differs."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpay_lab.report.files import read_json
from kpay_lab.report.manifest import Manifest, changes, check_mappings, environment_changes

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
    path = folder / "metrics.json"
    metrics = read_json(path, str(path))
    check_mappings(metrics, str(path))
    return manifest, metrics


def verify(folder: Path, again: Path, rtol: float | None = None) -> Verdict:
    """Compare a run with its rerun.

    Numbers must be equal to the last bit on the same processor, Python and packages, and to
    1e-9 relatively elsewhere (near zero, to a thousandth of that absolutely); ``rtol``
    overrules both. Text and yes/no must be equal.
    """
    (first, one), (second, two) = read_finished(folder), read_finished(again)
    apart = [key for key in SAME if _differs(key, first, second)]
    used = rtol if rtol is not None else 1e-9 if apart else 0.0
    why = f"other {', '.join(apart)}" if apart else "same processor, Python and packages"
    why = f"as asked; {why}" if rtol is not None else why
    return Verdict(
        f"{f'with rtol {used:g}' if used else 'exactly'} ({why})",
        [line for name in sorted({*one, *two})
         for line in _metrics(name, one.get(name, {}), two.get(name, {}), used)],
        changes("input file", first.data, second.data),
        surroundings(first, second),
    )  # fmt: skip


def surroundings(first: Manifest, second: Manifest) -> list[str]:
    """Say what differs around two runs: machine, Python, packages, code, notebooks, status."""
    lines = environment_changes(first.environment, second.environment)
    for name in _common(first, second):
        lines += environment_changes(first.environment_of(name), second.environment_of(name))
    for word, key in (("source of", "source_sha256"), ("status of", "status")):
        before = {name: getattr(entry, key) for name, entry in first.notebooks.items()}
        after = {name: getattr(entry, key) for name, entry in second.notebooks.items()}
        lines += changes(word, before, after)
    return list(dict.fromkeys(lines))


def _common(first: Manifest, second: Manifest) -> list[str]:
    return [name for name in first.notebooks if name in second.notebooks]


def _differs(key: str, first: Manifest, second: Manifest) -> bool:
    """Return whether a part of the environment differs, at the start or in any notebook."""
    if first.environment.get(key) != second.environment.get(key):
        return True
    return any(
        first.environment_of(name).get(key) != second.environment_of(name).get(key)
        for name in _common(first, second)
    )


def _metrics(
    name: str, one: Mapping[str, Any], two: Mapping[str, Any], rtol: float
) -> Iterator[str]:
    for key in sorted({*one, *two}):
        if key not in one or key not in two:
            yield f"{name} {key}: only in the {'run' if key in one else 'rerun'}"
        elif not _same(one[key], two[key], rtol):
            yield f"{name} {key}: {one[key]!r} → {two[key]!r}"


def _same(a: Any, b: Any, rtol: float) -> bool:
    """Compare two values of a metric.

    >>> _same(1.0, 1.0 + 1e-10, 1e-9), _same(1.0, 1.0 + 1e-10, 0.0), _same(True, 1, 1e-9)
    (True, False, False)
    """
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (a, b)):
        return type(a) is type(b) and bool(a == b)
    return math.isclose(a, b, rel_tol=rtol, abs_tol=rtol / 1000)
