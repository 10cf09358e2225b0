"""The data of a run, read once by a process of its own before the notebooks start.

What may be used of them lies in a private folder of the run while it lasts. What is not there a
notebook reads from its source.
"""

import dataclasses
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpay_lab.report.manifest import ADMITTED, alone
from kpay_lab.report.process import end_processes, exit_code, start_child, write_task
from kpay_lab.report.surroundings import temporary_folder

ANSWER = "answer.json"


@dataclass(frozen=True)
class Refusal:
    """Why no report can rest on a log, and the rows that were set aside, as CSV."""

    source: str
    message: str
    rows: str | None = None


class RefusedError(ValueError):
    """Ends a run before its first notebook: its data are refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True)
class Kept:
    """What was kept for a run: where it came from, and the SHA-256 of its content."""

    source: str
    sha256: str


@dataclass(frozen=True)
class Admission:
    """What came of reading the data of a run.

    Parameters
    ----------
    lines : list of str
        What was understood of each log of the user's own.
    refusal : Refusal, optional
        The first log that no report can rest on.
    kept : mapping of str to Kept
        By name, each of which is a folder.
    problems : list of str
        Why something could not be kept.
    """

    lines: list[str] = field(default_factory=list)
    refusal: Refusal | None = None
    kept: Mapping[str, Kept] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write the answer of the process that read the data."""
        text = json.dumps(dataclasses.asdict(self))
        (folder / ANSWER).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Admission":
        """Read what `write` wrote."""
        content = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
        refusal = content["refusal"]
        if refusal is not None:
            refusal = Refusal(**refusal)
        kept = {name: Kept(**about) for name, about in content["kept"].items()}
        return cls(content["lines"], refusal, kept, content["problems"])


def read_once(
    reader: str, parameters: Mapping[str, Mapping[str, Any]], run: Path, stop: threading.Event
) -> Admission:
    """Let a process read the data of a run into the run's private folder.

    Parameters
    ----------
    reader : str
        The module that does it; it gets a task file and leaves an `Admission` beside it.
    parameters : mapping of notebook to its parameters
        Of the notebooks that are to run.
    run : Path
        The run's folder.
    stop : threading.Event
        Ends the process once it is set; then, as where the process fails, nothing is kept.
    """
    kept = run / ADMITTED
    discard(run)
    kept.mkdir(mode=0o700)
    scratch = temporary_folder()
    try:
        write_task(scratch, {"parameters": parameters, "folder": str(kept), "run": str(run)})
        code = _finished(reader, scratch, stop)
        if code == 0 and (scratch / ANSWER).is_file():
            return Admission.read(scratch)
        discard(run)
        if stop.is_set():
            return Admission()
        last_words = (scratch / "log").read_text(encoding="utf-8").strip().rpartition("\n")[2]
        problem = f"the data could not be read once for all notebooks (code {code}: {last_words})"
        return Admission(problems=[problem])
    finally:
        end_processes(scratch)
        shutil.rmtree(scratch, ignore_errors=True)


def _finished(reader: str, scratch: Path, stop: threading.Event) -> int:
    """Run the process to its end, or end it once ``stop`` is set; return its exit code."""
    with (scratch / "log").open("wb") as log:
        child = start_child(reader, scratch, log)
        while child.poll() is None and not stop.wait(0.1):
            pass
        if child.poll() is None:
            child.terminate()
        code = exit_code(child)
    if child.stdin:
        child.stdin.close()
    return code


def discard(run: Path) -> None:
    """Delete what was kept for a run, if there is anything."""
    shutil.rmtree(run / ADMITTED, ignore_errors=True)


@contextmanager
def discarded(run: Path) -> Iterator[None]:
    """Delete what was kept for a run at the end of a block, however that ends."""
    try:
        yield
    finally:
        discard(run)


def discard_leftovers(output: Path) -> None:
    """Delete what killed runs left in a folder of runs; a run that is at work keeps its own."""
    for kept in output.glob(f"*/{ADMITTED}"):
        run = kept.parent
        with suppress(ValueError, OSError), alone(run):
            discard(run)
