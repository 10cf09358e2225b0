"""One notebook in one child process: started, watched, ended, and judged by what it left."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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
    admitted: Path | None = None,
) -> Outcome:
    """Run a notebook in its own process; when this returns, none that it started is alive.

    ``run`` is the run's folder; ``timeout`` is for the whole notebook, ``cell_timeout`` for
    each cell, in seconds. ``admitted`` is where the run keeps its data as they may be used.
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
        write_task(scratch, task)
        cut_off, code = _watch(scratch, admitted, timeout, stop, on_cell)
        seconds = time.monotonic() - started
        events = _events(scratch)
        notebook = _read(scratch / "out.ipynb")
        reasons = [event["not applicable"] for event in events if "not applicable" in event]
        if reasons and not cut_off:
            return Outcome("not applicable", reasons[0], seconds, notebook)
        reason = cut_off or _fault(events, notebook, code)
        status = "ok"
        if reason:
            status = "interrupted" if stop.is_set() else "failed"
        return Outcome(status, reason, seconds, notebook)
    finally:
        end_processes(scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


def write_task(scratch: Path, task: Mapping[str, Any]) -> None:
    """Write what a child process is to do into its private folder."""
    text = json.dumps(task, allow_nan=False)
    try:
        (scratch / "task.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{scratch.parent}: {error.strerror}; {MEND_TEMPORARY}") from None


def start_child(
    module: str, scratch: Path, log: IO[bytes], admitted: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a module of the package on the task in its private folder, in a session of its own.

    ``admitted`` is where the run keeps its data as they may be used.
    """
    command = [sys.executable, "-m", module, str(scratch / "task.json")]
    environment = child_environment(scratch, admitted)
    return subprocess.Popen(
        command,
        cwd=scratch,
        env=environment,
        stdin=subprocess.PIPE,  # closes with the runner, even when that is killed
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _watch(
    scratch: Path,
    admitted: Path | None,
    timeout: float,
    stop: threading.Event,
    on_cell: Callable[[int, int], None],
) -> tuple[str, int]:
    """Return why the child was cut off (nothing if it was not) and its exit code."""
    deadline = time.monotonic() + timeout
    n_announced = 0
    cut_off = ""
    with (scratch / "log").open("wb") as log:
        child = start_child("kpay_lab.report.execute", scratch, log, admitted)
        while child.poll() is None and not cut_off:
            cells = [event for event in _events(scratch) if "cell" in event]
            if len(cells) > n_announced:
                n_announced = len(cells)
                on_cell(cells[-1]["cell"], cells[-1]["of"])
            if time.monotonic() > deadline:
                cut_off = f"it ran longer than the {timeout:g} s allowed in all"
            elif stop.wait(0.1):
                cut_off = "the run was interrupted"
        if cut_off:
            child.terminate()
        code = exit_code(child)
    if child.stdin:
        child.stdin.close()
    return cut_off, code


def exit_code(child: subprocess.Popen[bytes]) -> int:
    """Wait for a process that should end soon; end it where it does not."""
    try:
        return child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _events(scratch: Path) -> list[dict[str, Any]]:
    """Return what the child process has announced so far; see `report.execute`."""
    path = scratch / "events"
    if not path.is_file():
        return []
    whole_lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # the last may be torn
    return [json.loads(line) for line in whole_lines]


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
    last_cell = max((event["cell"] for event in events if "cell" in event), default=0)
    if raised:
        return f"cell {last_cell}: {raised[-1]}" if last_cell else raised[-1]
    if notebook is None or code < 0:
        return f"the process ended with code {code} in cell {last_cell}"
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


def end_processes(scratch: Path, spare: int = 0) -> None:
    """End whatever still carries this notebook's private folder in its environment."""
    survivors = [process for process in psutil.process_iter() if _belongs(process, scratch)]
    to_end = [process for process in survivors if process.pid != spare]
    for process in to_end:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(to_end, timeout=GRACE)


def _belongs(process: psutil.Process, scratch: Path) -> bool:
    """Whether a process was started for the notebook of this folder."""
    try:
        return process.environ().get("JUPYTER_RUNTIME_DIR") == str(scratch)
    except (psutil.Error, OSError):
        return False  # gone, or another user's
