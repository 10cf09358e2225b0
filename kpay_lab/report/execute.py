"""The child process that runs one notebook: ``python -m kpay_lab.report.execute``.

It announces each cell and the exception that ended the run in a file of JSON lines. It
does not judge: whether the notebook succeeded is read from what it left behind.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

# jsonschema imports these if it can, for formats that no notebook's schema names: seconds saved.
for unused in ("rfc3987_syntax", "rfc3986_validator", "isoduration"):
    sys.modules[unused] = None  # type: ignore[assignment]

from jupyter_client.kernelspec import KernelSpec  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from nbclient.exceptions import DeadKernelError  # noqa: E402
from papermill.clientwrap import PapermillNotebookClient  # noqa: E402
from papermill.engines import Engine, papermill_engines  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402
from papermill.execute import execute_notebook  # noqa: E402

from kpay_lab.report.manifest import abandon  # noqa: E402
from kpay_lab.report.process import GRACE, end_processes  # noqa: E402
from kpay_lab.report.session import NotApplicable  # noqa: E402

SAVE_EVERY = 2.0  # seconds; papermill would write the whole notebook twice a cell
START_TIMEOUT = 120.0  # seconds; a busy machine may take long over a kernel's imports


def main(task_file: str) -> int:
    """Run the notebook a task file describes; return 0 if Python raised nothing."""
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))
    scratch = Path(task_file).parent
    sockets = Path(task["sockets"])
    orphaned = threading.Event()  # set once the runner is gone
    events = scratch / "events"
    signal.signal(signal.SIGTERM, _stop)
    follower = threading.Thread(
        target=_follow_parent, args=(scratch, Path(task["run"]), orphaned), daemon=True
    )
    follower.start()
    kernel_folder = Path(task["source"]).parent
    papermill_engines.register("kpay", _engine(events, kernel_folder, sockets))
    try:
        execute_notebook(
            task["source"],
            str(scratch / "out.ipynb"),
            task["parameters"],
            engine_name="kpay",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            execution_timeout=task["cell_timeout"],
        )
    except Exception as error:
        if isinstance(error, PapermillExecutionError) and error.ename == NotApplicable.__name__:
            _append(events, {"not applicable": error.evalue})
            return 0
        _append(events, {"error": _message(error)})
        return 1
    finally:
        end_processes(scratch, spare=os.getpid())  # the runner may not live to do it
        if orphaned.is_set():
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(sockets, ignore_errors=True)
    return 0


class _KernelManager(AsyncKernelManager):
    """Starts `kpay_lab.report.kernel` of this very Python, and reads all it sends."""

    notebook_folder: Path
    exit_code: int | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.transport = "ipc"  # no port for others to connect to
        self.context.rcvhwm = 0  # zmq otherwise drops output that is not read at once

    @property
    def kernel_spec(self) -> KernelSpec:
        module = "kpay_lab.report.kernel"
        command = [sys.executable, "-P", "-m", module, str(self.notebook_folder)]
        return KernelSpec(argv=[*command, "-f", "{connection_file}"], language="python")

    async def is_alive(self) -> bool:  # type: ignore[override]
        if self.provisioner is not None:
            self.exit_code = await self.provisioner.poll()
        return await super().is_alive()


def _engine(events: Path, notebook_folder: Path, sockets: Path) -> type[Engine]:
    """Make papermill's engine: it announces cells and saves seldom."""

    class Announcing(Engine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
            _announce_cells(nb_man, events)
            save = _save_seldom(nb_man)
            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                kernel_manager_class=_KernelManager,
                startup_timeout=START_TIMEOUT,
                timeout=options["execution_timeout"],
                iopub_timeout=options["execution_timeout"],  # reading takes what it takes
            )
            manager = client.create_kernel_manager()
            manager.notebook_folder = notebook_folder
            # Else sockets are named relative to the kernel's folder, and two kernels share them.
            manager.ip = str(sockets / "kernel")
            try:
                client.execute()
            except DeadKernelError:
                raise DeadKernelError(_death(manager.exit_code)) from None
            finally:  # whatever ended it, what ran is kept
                save()

    return Announcing


def _announce_cells(nb_man: Any, events: Path) -> None:
    """Let papermill write a line to ``events`` before it starts a cell."""
    start = nb_man.cell_start

    def announced_start(cell: Any, cell_index: int | None = None, **options: Any) -> None:
        number = (cell_index or 0) + 1
        _append(events, {"cell": number, "of": len(nb_man.nb.cells)})
        start(cell, cell_index, **options)

    nb_man.cell_start = announced_start


def _save_seldom(nb_man: Any) -> Any:
    """Let papermill save at most every `SAVE_EVERY` seconds; return what saves at once."""
    save = nb_man.save
    last_saved = time.monotonic()

    def save_if_due(**options: Any) -> None:
        nonlocal last_saved
        if time.monotonic() - last_saved > SAVE_EVERY:
            save(**options)
            last_saved = time.monotonic()

    nb_man.save = save_if_due
    return save


def _death(exit_code: int | None) -> str:
    """Say how a kernel died, and what helps.

    >>> _death(3)
    'the kernel ended with exit code 3'
    """
    if exit_code == -signal.SIGKILL:
        remedy = "run with --jobs 1, on fewer events (since, until), or with more memory"
        return (
            f"the kernel was killed (signal 9), as a machine does that runs out of memory; {remedy}"
        )
    if exit_code is not None and exit_code < 0:
        return f"the kernel was ended by signal {-exit_code} ({signal.strsignal(-exit_code)})"
    return f"the kernel ended with exit code {exit_code}"


def _message(error: Exception) -> str:
    """Return what was raised in the notebook, or here."""
    if isinstance(error, PapermillExecutionError):
        return f"{error.ename}: {error.evalue}".strip(": ")
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _append(events: Path, event: dict[str, Any]) -> None:
    with events.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(event) + "\n")


def _stop(*_: Any) -> None:
    raise SystemExit(143)


def _follow_parent(scratch: Path, run: Path, orphaned: threading.Event) -> None:
    """End with the runner, even a killed one: the pipe it holds open then closes."""
    os.read(0, 1)  # returns when the pipe closes, for nothing is ever sent
    orphaned.set()  # nobody else is left to end what the notebook started
    try:
        abandon(run)
    finally:  # even where the run's folder cannot be written
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    end_processes(scratch)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
