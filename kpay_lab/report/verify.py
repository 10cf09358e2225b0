"""Does a run reproduce? The same notebooks and parameters again, and what differs."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpay_lab.report.manifest import Manifest

SAME = ("processor", "python", "packages", "threads")  # what exact equality may be asked of
RTOL = 1e-9


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
        lines = [*self.surroundings, *self.inputs, *self.metrics]
        return "\n".join([*lines, f"compared {self.rule}", "equal" if self.equal else "not equal"])


def read_finished(folder: Path) -> Manifest:
    """Read the manifest of a run that came to its end.

    Raises
    ------
    ValueError
        If the folder holds no run, or one that was cut off.
    """
    manifest = Manifest.read(folder)
    if manifest.status not in ("ok", "failed"):
        remedy = f"kpay run --resume {folder}"
        raise ValueError(f"{folder} did not come to its end ({manifest.status}); first {remedy}")
    return manifest


def read_metrics(folder: Path) -> dict[str, dict[str, Any]]:
    """Read a run's ``metrics.json``."""
    content: dict[str, dict[str, Any]] = json.loads((folder / "metrics.json").read_text("utf-8"))
    return content


def verify(folder: Path, again: Path, rtol: float | None = None) -> Verdict:
    """Compare a run with its rerun.

    Numbers must be equal to the last bit on the same processor, Python and packages, and to
    ``1e-9`` relatively elsewhere (near zero, to a thousandth of that absolutely); ``rtol``
    overrules both. Text and yes/no must be equal.
    """
    first, second = read_finished(folder), read_finished(again)
    apart = [key for key in SAME if first.environment.get(key) != second.environment.get(key)]
    used = rtol if rtol is not None else RTOL if apart else 0.0
    why = f"other {', '.join(apart)}" if apart else "same processor, Python and packages"
    how = f"with rtol {used:g}" if used else "exactly"
    return Verdict(
        f"{how} ({'as asked; ' if rtol is not None else ''}{why})",
        list(_metrics(read_metrics(folder), read_metrics(again), used)),
        list(_changed("input file", first.data, second.data)),
        list(surroundings(first, second)),
    )


def surroundings(first: Manifest, second: Manifest) -> Iterator[str]:
    """Yield what differs around two runs: machine, Python, packages, code, notebooks, status."""
    one, two = first.environment, second.environment
    for key in ("processor", "python", "threads"):
        yield from _changed("", {key: one.get(key)}, {key: two.get(key)})
    yield from _changed("package", one.get("packages", {}), two.get("packages", {}))
    yield from _changed("code,", one.get("git", {}), two.get("git", {}))
    for key in ("source_sha256", "status", "reason"):
        values = (
            {name: getattr(entry, key) for name, entry in manifest.notebooks.items()}
            for manifest in (first, second)
        )
        yield from _changed(f"{key.removesuffix('_sha256')} of", *values)


def _changed(kind: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*one, *two}):
        before, after = one.get(key), two.get(key)
        if before != after:
            yield f"changed {kind} {key}: {_short(before)} → {_short(after)}".replace("  ", " ")


def _metrics(
    one: Mapping[str, Mapping[str, Any]], two: Mapping[str, Mapping[str, Any]], rtol: float
) -> Iterator[str]:
    for name in sorted({*one, *two}):
        before, after = one.get(name, {}), two.get(name, {})
        for key in sorted({*before, *after}):
            if key not in before or key not in after:
                yield f"{name} {key}: only in the {'run' if key in before else 'rerun'}"
            elif not _same(before[key], after[key], rtol):
                yield f"{name} {key}: {before[key]!r} → {after[key]!r}"


def _same(a: Any, b: Any, rtol: float) -> bool:
    """Compare two values of a metric.

    >>> _same(1.0, 1.0 + 1e-10, 1e-9), _same(1.0, 1.0 + 1e-10, 0.0), _same(True, 1, 1e-9)
    (True, False, False)
    """
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (a, b)):
        return type(a) is type(b) and bool(a == b)
    return math.isclose(a, b, rel_tol=rtol, abs_tol=rtol / 1000)


def _short(value: Any) -> str:
    """Write a value, a hash by its beginning.

    >>> _short("0" * 64), _short(None), _short("2.1")
    ('000000000000…', 'none', '2.1')
    """
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
