"""The referee: does the project still give the numbers that were committed?

``python -m tests.referee`` runs the profiles of `PROFILES` and lists every metric and every
column of a table that differs from ``tests/golden/<profile>/``. With ``--accept`` the golden
files become what was found, after a change that was meant.

Nothing is left out of the comparison: a run writes no measured time into its metrics or tables.
"""

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kpay_lab.report.files import to_json, write_text
from kpay_lab.report.manifest import DONE, Manifest
from kpay_lab.report.verify import SAME, parts_apart, same_value, tolerance

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
PROFILES = ("smoke", "default")
ABSENT = object()  # the value of a key that one side does not have


@dataclass(frozen=True)
class Results:
    """What a run found: its metrics by notebook, its tables by key, and where it ran.

    ``tables`` has, for each table, the keys of `digest_table` after ``<notebook>/<file>``.
    """

    environment: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    tables: dict[str, Any]

    @classmethod
    def of_run(cls, folder: Path) -> "Results":
        """Read them from a run's folder."""
        manifest = Manifest.read(folder)
        environment = {key: manifest.environment[key] for key in SAME}
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        tables: dict[str, Any] = {}
        for path in sorted(folder.glob("*/tables/*")):
            notebook = path.parents[1].name
            tables |= digest_table(f"{notebook}/{path.name}", read_table(path))
        return cls(environment, metrics, tables)

    @classmethod
    def read(cls, folder: Path) -> "Results":
        """Read golden files."""
        parts = ("environment", "metrics", "tables")
        texts = {part: (folder / f"{part}.json").read_text(encoding="utf-8") for part in parts}
        return cls(**{part: json.loads(text) for part, text in texts.items()})

    def write(self, folder: Path) -> None:
        """Write golden files, in place of older ones."""
        write_text(folder / "environment.json", to_json(self.environment))
        write_text(folder / "metrics.json", to_json(self.metrics))
        write_text(folder / "tables.json", to_json(self.tables))

    def by_key(self) -> dict[str, Any]:
        """Return every value under a key of its own."""
        metrics = {
            f"{notebook} {key}": value
            for notebook, values in self.metrics.items()
            for key, value in values.items()
        }
        return metrics | self.tables


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of a run; only an empty cell of a CSV is missing."""
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def digest_table(name: str, frame: pd.DataFrame) -> dict[str, Any]:
    """Return a table's number of rows, its columns in order, and a digest of each column.

    >>> digest_table("03/tags.csv", pd.DataFrame({"tag": ["Writing"]}))
    {'03/tags.csv rows': 1, '03/tags.csv columns': 'tag', '03/tags.csv/tag': '6900ef1a48a9'}
    """
    columns = {str(column): cells for column, cells in frame.items()}
    shape = {f"{name} rows": len(frame), f"{name} columns": ", ".join(columns)}
    return shape | {f"{name}/{column}": _digest(cells) for column, cells in columns.items()}


def _digest(cells: pd.Series) -> str:
    texts = ["" if pd.isna(cell) else _text(cell) for cell in cells]
    return hashlib.sha256(to_json(texts).encode()).hexdigest()[:12]


def _text(cell: Any) -> str:
    """Return a cell as text, a fraction with as many digits as any processor agrees on.

    Nine significant digits, and twelve decimals: the tolerances of `same_value`.

    >>> _text(0.1 + 0.2), _text(-1e-17), _text(3), _text("0.30000000000000004")
    ('3.00000000e-01', '0.00000000e+00', '3', '0.30000000000000004')
    """
    if not isinstance(cell, float):
        return str(cell)
    without_noise = round(cell, 12) + 0.0  # and without a sign of zero
    return f"{without_noise:.8e}"


def differences(golden: Results, found: Results) -> list[str]:
    """Return a line for each key that was added, is gone, or has another value."""
    apart = parts_apart(golden.environment, found.environment)
    rtol, _ = tolerance(apart)
    before, after = golden.by_key(), found.by_key()
    return [
        line
        for key in sorted({*before, *after})
        for line in _difference(key, before.get(key, ABSENT), after.get(key, ABSENT), rtol)
    ]


def _difference(key: str, before: Any, after: Any, rtol: float) -> Iterator[str]:
    if before is ABSENT:
        yield f"added {key}: {after!r}"
    elif after is ABSENT:
        yield f"gone {key}: {before!r}"
    elif not same_value(before, after, rtol):
        yield f"changed {key}: {before!r} → {after!r}"


def kpay_run(profile: str, output: Path, project: Path) -> int:
    """Run a profile as a user does and return the exit code; an interruption ends it in order."""
    command = [sys.executable, "-m", "kpay_lab", "run", "--profile", profile]
    command += ["--output", str(output)]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.terminate()
            child.wait()
            raise


def faults(code: int, manifest: Manifest | None) -> list[str]:
    """Return what kept a run from ending well, a line for each notebook; none if it did."""
    if code == 0:
        return []
    notebooks = manifest.notebooks if manifest else {}
    unfinished = [
        f"{name} is {entry.status}: {entry.reason or 'no reason given'}"
        for name, entry in notebooks.items()
        if entry.status not in DONE
    ]
    return [f"kpay run ended with code {code}", *unfinished]


def finished_run(output: Path) -> Path | None:
    """Return the folder of the one run that was made here, if it came to an end."""
    return next((path.parent for path in output.glob("2*/metrics.json")), None)


def judge(code: int, run: Path | None, golden: Path) -> list[str]:
    """Return a line for all that a run has otherwise than the golden files, and say by what rule.

    ``code`` is the exit code of ``kpay run``; ``run`` is its folder, or None where it left none.
    """
    failed = faults(code, Manifest.read(run) if run else None)
    if run is None:
        return failed
    try:
        expected = Results.read(golden)
    except (OSError, ValueError) as error:
        return [*failed, f"the golden files in {golden} cannot be read: {error}"]
    found = Results.of_run(run)
    _, rule = tolerance(parts_apart(expected.environment, found.environment))
    print(f"compared {rule}")
    return failed + differences(expected, found)


def referee(profile: str, golden: Path, *, accept: bool, project: Path = ROOT) -> bool:
    """Run a profile in a folder that is removed, print what differs; return whether nothing does.

    With ``accept``, a run that ended well becomes the golden files, and nothing differs then.
    """
    with tempfile.TemporaryDirectory(prefix="kpay-referee-") as scratch:
        code = kpay_run(profile, Path(scratch), project)
        run = finished_run(Path(scratch))
        differing = judge(code, run, golden)
        accepted = run if accept and code == 0 else None
        if accepted:
            Results.of_run(accepted).write(golden)
    for line in differing:
        print(f"{profile}: {line}", flush=True)
    words = "accepted" if accepted else "not accepted" if accept else "found"
    print(f"{profile}: differences {words}: {len(differing)}", flush=True)
    return bool(accepted) or not differing


def main(arguments: list[str] | None = None) -> int:
    """Judge the profiles; return 0 if nothing differs, or all was accepted, else 1."""
    parser = argparse.ArgumentParser(prog="referee", description=__doc__.partition("\n")[0])
    parser.add_argument("profiles", nargs="*", default=PROFILES, help="of params/; default: both")
    parser.add_argument("--accept", action="store_true", help="make the golden files anew")
    given = parser.parse_args(arguments)
    equal = []
    try:
        for profile in given.profiles:
            equal.append(referee(profile, GOLDEN / profile, accept=given.accept))
    except KeyboardInterrupt:
        print("a run was interrupted")
        equal.append(False)
    print("referee: equal" if all(equal) else "referee: not equal")
    return 0 if all(equal) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: in order
    sys.exit(main())
