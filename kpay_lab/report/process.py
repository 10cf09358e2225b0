"""One notebook in one child process: started, watched, ended, and judged by what it left."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil

from kpay_lab.report.surroundings import (
    MEND_TEMPORARY,
    child_environment,
    socket_folder,
    temporary_folder,
)

GRACE = 8.0  # seconds between asking a process to end and ending it


@dataclass(frozen=True)
class Outcome:
    """How a notebook ended; ``notebook`` is None where nothing readable was left."""

    status: str
    reason: str
    seconds: float
    notebook: nbformat.NotebookNode | None


def execute(
    source: Path,
    run: Path,
    parameters: dict[str, Any],
    *,
    timeout: float,
    cell_timeout: float,
    stop: threading.Event,
    on_cell: Callable[[int, int], None],
) -> Outcome:
    """Run a notebook in its own process; when this returns, none that it started is alive.

    ``run`` is the run's folder; ``timeout`` is for the whole notebook, ``cell_timeout`` for
    each cell, in seconds.
    """
    started = time.monotonic()
    scratch = temporary_folder()
    sockets = scratch
    try:
        sockets = socket_folder(scratch)
        task = {
            "source": str(source),
            "run": str(run),
            "sockets": str(sockets),
            "parameters": parameters,
            "cell_timeout": cell_timeout,
        }
        _write_task(scratch, task)
        cut_off, code = _watch(scratch, timeout, stop, on_cell)
        notebook = _read(scratch / "out.ipynb")
        unfed = [event["not applicable"] for event in _events(scratch) if "not applicable" in event]
        if unfed and not cut_off:
            return Outcome("not applicable", unfed[0], time.monotonic() - started, notebook)
        reason = cut_off or _fault(_events(scratch), notebook, code)
        status = "ok"
        if reason:
            status = "interrupted" if stop.is_set() else "failed"
        return Outcome(status, reason, time.monotonic() - started, notebook)
    finally:
        sweep(scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


def _write_task(scratch: Path, task: dict[str, Any]) -> None:
    text = json.dumps(task, allow_nan=False)
    try:
        (scratch / "task.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{scratch.parent}: {error.strerror}; {MEND_TEMPORARY}") from None


def _watch(
    scratch: Path, timeout: float, stop: threading.Event, on_cell: Callable[[int, int], None]
) -> tuple[str, int]:
    """Return why the child was cut off (nothing if it was not) and its exit code."""
    deadline = time.monotonic() + timeout
    command = [sys.executable, "-m", "kpay_lab.report.execute", str(scratch / "task.json")]
    seen, cut_off = 0, ""
    with (scratch / "log").open("wb") as log:
        child = subprocess.Popen(
            command,
            cwd=scratch,
            env=child_environment(scratch),
            stdin=subprocess.PIPE,  # closes with the runner, even when that is killed
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        while child.poll() is None and not cut_off:
            cells = [event for event in _events(scratch) if "cell" in event]
            if len(cells) > seen:
                seen = len(cells)
                on_cell(cells[-1]["cell"], cells[-1]["of"])
            if time.monotonic() > deadline:
                cut_off = f"it ran longer than the {timeout:g} s allowed in all"
            elif stop.wait(0.1):
                cut_off = "the run was interrupted"
        if cut_off:
            child.terminate()
        try:
            code = child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
    if child.stdin:
        child.stdin.close()
    return cut_off, code


def _events(scratch: Path) -> list[dict[str, Any]]:
    path = scratch / "events"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def _read(target: Path) -> nbformat.NotebookNode | None:
    """Read what papermill wrote; it does not write atomically, so it may be torn."""
    try:
        return nbformat.read(target, as_version=4)
    except (OSError, ValueError):
        return None


def _fault(events: list[dict[str, Any]], notebook: nbformat.NotebookNode | None, code: int) -> str:
    """Return one line for what went wrong, or nothing.

    papermill's own metadata is not asked: after a kernel's death, a timeout or a
    ``sys.exit(0)`` it claims success.
    """
    raised = [event["error"] for event in events if "error" in event]
    place = max((event["cell"] for event in events if "cell" in event), default=0)
    if raised:
        return f"cell {place}: {raised[-1]}" if place else raised[-1]
    if notebook is None or code < 0:
        return f"the process ended with code {code} in cell {place}"
    for number, cell in enumerate(notebook.cells, start=1):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or not cell.source.strip() or "skip-execution" in tags:
            continue
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in tags:
            return f"cell {number}: {errors[0].ename}: {errors[0].evalue}"
        if cell.execution_count is None:
            return f"cell {number} never ran to its end"
    return f"the process ended with code {code}" if code else ""


def sweep(scratch: Path, spare: int = 0) -> None:
    """End whatever still carries this notebook's private folder in its environment."""
    left = [one for one in psutil.process_iter() if one.pid != spare and _belongs(one, scratch)]
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=GRACE)


def _belongs(process: psutil.Process, scratch: Path) -> bool:
    try:
        return process.environ().get("JUPYTER_RUNTIME_DIR") == str(scratch)
    except (psutil.Error, OSError):
        return False  # gone, or another user's
