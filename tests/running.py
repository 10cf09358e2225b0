"""Run notebooks as a user does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Run = tuple[Path, dict[str, Any]]


def kpay_run(output: Path, *arguments: str) -> Run:
    """`kpay run` as a user calls it: the run's folder and its metrics by notebook."""
    command = [sys.executable, "-m", "kpay_lab", "run", *arguments, "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (folder,) = (path for path in output.iterdir() if not path.is_symlink())
    return folder, json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def notebook_run(
    notebook: str, output: Path, *arguments: str
) -> tuple[Path, dict[str, Any] | None]:
    """`kpay run` of one notebook: the run's folder and its metrics, if it was applicable."""
    folder, metrics = kpay_run(output, notebook, *arguments)
    return folder, metrics.get(notebook)
