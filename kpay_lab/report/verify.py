"""Does a run reproduce? The same notebooks and parameters again, and what differs."""

import math
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpay_lab.findings import Finding
from kpay_lab.report.files import read_json
from kpay_lab.report.in_short import FILE, read_findings
from kpay_lab.report.manifest import (
    Manifest,
    changes,
    check_mappings,
    environment_changes,
    table_changes,
)
from kpay_lab.report.params import Notebook
from kpay_lab.report.profile import Domain
from kpay_lab.report.runner import Limits, start
from kpay_lab.report.sweep import summary_by_kind

SAME = ("processor", "python", "packages", "threads")  # what exact equality may be asked of


@dataclass(frozen=True)
class Verdict:
    """What differs between a run and its rerun, one line each, and the rule that was used.

    ``rerun`` is the folder of the rerun.
    """

    rerun: Path
    rule: str
    metrics: list[str]
    inputs: list[str]
    surroundings: list[str]

    @property
    def equal(self) -> bool:
        """Whether the same input files gave the same metrics and findings."""
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


def run_again(
    folder: Path,
    notebooks: Mapping[str, Notebook],
    domain: Domain,
    *,
    limits: Limits,
    stop: threading.Event,
    rtol: float | None = None,
) -> Verdict | None:
    """Run a run again in a temporary folder and tell what differs.

    The folder is kept only where something differs, to be looked at; it is removed on every
    other way out.

    Parameters
    ----------
    domain : Domain
        See `runner.start`.
    stop : threading.Event
        Ends the rerun once it is set.

    Returns
    -------
    Verdict or None
        None if the rerun was interrupted.

    Raises
    ------
    ValueError
        If the folder holds no run, or one that did not come to its end.
    """
    before = read_finished(folder)[0]
    scratch = Path(tempfile.mkdtemp(prefix="kpay-verify-"))
    differs = False
    try:
        again = start(
            notebooks,
            before.parameters,
            before.profile,
            scratch,
            domain,
            summary_by_kind,
        )
        again.stop = stop
        again.execute(limits)
        if again.manifest.status == "interrupted":
            return None
        verdict = verify(folder, again.folder, rtol)
        differs = not verdict.equal
    finally:
        if not differs:
            shutil.rmtree(scratch)
    return verdict


def verify(folder: Path, again: Path, rtol: float | None = None) -> Verdict:
    """Compare a run with its rerun.

    Numbers must be equal to the last bit on the same processor, Python and packages, and to
    1e-9 relatively elsewhere (near zero, to a thousandth of that absolutely); ``rtol``
    overrules both. Text and yes/no must be equal.
    """
    first, first_metrics = read_finished(folder)
    second, second_metrics = read_finished(again)
    apart = _parts_apart(first, second)
    used, rule = tolerance(apart, rtol)
    differences: list[str] = []
    for name in sorted({*first_metrics, *second_metrics}):
        before = first_metrics.get(name, {})
        after = second_metrics.get(name, {})
        differences += _differences(name, before, after, used)
    if FILE in first.outputs:  # runs of older versions have no findings
        differences += _finding_differences(folder, again, used)
    return Verdict(
        rerun=again,
        rule=rule,
        metrics=differences,
        inputs=_input_changes(first, second),
        surroundings=surroundings(first, second),
    )


def _input_changes(first: Manifest, second: Manifest) -> list[str]:
    """Say which files and tables of databases differ, one line each."""
    of_tables = table_changes(first.databases, second.databases)
    lines = [f"changed input table {line}" for line in of_tables]
    return [*changes("input file", first.data, second.data), *lines]


def parts_apart(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the parts of two environments that differ and decide over exact equality.

    >>> parts_apart({"processor": "A", "python": "3.11"}, {"processor": "B", "python": "3.11"})
    ['processor']
    """
    return [key for key in SAME if first.get(key) != second.get(key)]


def tolerance(apart: Sequence[str], rtol: float | None = None) -> tuple[float, str]:
    """Return how far apart numbers may lie (relatively), and why in words.

    ``apart`` are the `parts_apart` of the two environments; ``rtol`` overrules what they ask for.

    >>> tolerance([])
    (0.0, 'exactly (same processor, Python and packages)')
    >>> tolerance(["processor"])
    (1e-09, 'with rtol 1e-09 (other processor)')
    """
    used = 1e-9 if apart else 0.0
    why = f"other {', '.join(apart)}" if apart else "same processor, Python and packages"
    if rtol is not None:
        used = rtol
        why = f"as asked; {why}"
    rule = f"with rtol {used:g}" if used else "exactly"
    return used, f"{rule} ({why})"


def _parts_apart(first: Manifest, second: Manifest) -> list[str]:
    """Return what differs when the runs began, or around any notebook that both have."""
    apart = parts_apart(first.environment, second.environment)
    for name in _common(first, second):
        apart += parts_apart(first.environment_of(name), second.environment_of(name))
    return list(dict.fromkeys(apart))


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


def _finding_differences(folder: Path, again: Path, rtol: float) -> Iterator[str]:
    """Yield a line for each level or value of a finding that differs or that one side lacks."""
    first = read_findings(folder)
    second = read_findings(again)
    for name in sorted({*first, *second}):
        before = _by_value(first.get(name, []))
        after = _by_value(second.get(name, []))
        yield from _differences(f"{name} finding", before, after, rtol)


def _by_value(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the levels and values of findings, each under a key of its own.

    >>> _by_value([Finding("funnel/loss", "watch", {"lost": 247})])
    {'1 funnel/loss level': 'watch', '1 funnel/loss lost': 247}
    """
    by_value: dict[str, Any] = {}
    for number, finding in enumerate(findings, start=1):
        head = f"{number} {finding.key}"
        by_value[f"{head} level"] = finding.level
        for name, value in finding.values.items():
            by_value[f"{head} {name}"] = value
    return by_value


def _differences(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any], rtol: float
) -> Iterator[str]:
    """Yield a line for each metric of a notebook that differs or that one side lacks."""
    for key in sorted({*before, *after}):
        if key not in after:
            yield f"{name} {key}: only in the run"
        elif key not in before:
            yield f"{name} {key}: only in the rerun"
        elif not same_value(before[key], after[key], rtol):
            yield f"{name} {key}: {before[key]!r} → {after[key]!r}"


def same_value(a: Any, b: Any, rtol: float) -> bool:
    """Compare two values of a metric; near zero ``rtol / 1000`` holds absolutely.

    >>> same_value(1.0, 1.0 + 1e-10, 1e-9), same_value(1.0, 1.0 + 1e-10, 0.0)
    (True, False)
    >>> same_value(True, 1, 1e-9)  # yes/no is no number
    False
    """
    if _is_number(a) and _is_number(b):
        return math.isclose(a, b, rel_tol=rtol, abs_tol=rtol / 1000)
    return type(a) is type(b) and bool(a == b)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
