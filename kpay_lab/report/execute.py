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

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # saves seconds at import

from papermill.engines import NBClientEngine, papermill_engines  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402
from papermill.execute import execute_notebook  # noqa: E402
from traitlets.config import Config  # noqa: E402

from kpay_lab.report.manifest import abandon  # noqa: E402
from kpay_lab.report.process import GRACE, sweep  # noqa: E402
from kpay_lab.report.session import NotApplicable  # noqa: E402

SAVE_EVERY = 2.0  # seconds; papermill would write the whole notebook twice a cell


def main(task_file: str) -> int:
    """Run the notebook a task file describes; return 0 if Python raised nothing."""
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))
    scratch, alone = Path(task_file).parent, threading.Event()
    events = scratch / "events"
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(
        target=_follow_parent, args=(scratch, Path(task["run"]), alone), daemon=True
    ).start()
    papermill_engines.register("kpay", _announcing(events))
    config = Config()
    config.KernelManager.transport = "ipc"  # no port for others to connect to
    # Else the sockets are named relative to the kernel's folder, and two kernels share them.
    config.KernelManager.ip = str(scratch / "kernel")
    try:
        execute_notebook(
            task["source"],
            str(scratch / "out.ipynb"),
            task["parameters"],
            engine_name="kpay",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=str(Path(task["source"]).parent),
            config=config,
            execution_timeout=task["cell_timeout"],
        )
    except Exception as error:
        if isinstance(error, PapermillExecutionError) and error.ename == NotApplicable.__name__:
            _append(events, {"not applicable": error.evalue})
            return 0
        _append(events, {"error": _one_line(error)})
        return 1
    finally:
        sweep(scratch, spare=os.getpid())  # the runner may not live to do it
        if alone.is_set():
            shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _announcing(events: Path) -> type[NBClientEngine]:
    class Announcing(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
            start, save, saved = nb_man.cell_start, nb_man.save, time.monotonic()

            def save_seldom(**rest: Any) -> None:
                nonlocal saved
                if time.monotonic() - saved > SAVE_EVERY:
                    save(**rest)
                    saved = time.monotonic()

            def cell_start(cell: Any, cell_index: int | None = None, **rest: Any) -> None:
                _append(events, {"cell": (cell_index or 0) + 1, "of": len(nb_man.nb.cells)})
                start(cell, cell_index, **rest)

            nb_man.cell_start, nb_man.save = cell_start, save_seldom
            try:
                super().execute_managed_notebook(nb_man, kernel_name, **options)
            finally:  # whatever ended it, what ran is kept
                save()

    return Announcing


def _one_line(error: Exception) -> str:
    """Return one line: what was raised in the notebook, or here."""
    if isinstance(error, PapermillExecutionError):
        return f"{error.ename}: {error.evalue}".strip(": ")
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _append(events: Path, event: dict[str, Any]) -> None:
    with events.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(event) + "\n")


def _stop(*_: Any) -> None:
    raise SystemExit(143)


def _follow_parent(scratch: Path, run: Path, alone: threading.Event) -> None:
    """End with the runner, even a killed one: the pipe it holds open then closes."""
    os.read(0, 1)  # returns when the pipe closes, for nothing is ever sent
    alone.set()  # nobody else is left to end what the notebook started
    try:
        abandon(run)
    finally:  # even where the run's folder cannot be written
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    sweep(scratch)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
