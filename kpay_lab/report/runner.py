"""A run: each notebook in its own process, the pages, the index and the manifest."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import nbformat
import yaml

from kpay_lab.report.files import project_root, sha256, to_json, write_text
from kpay_lab.report.html import index, page
from kpay_lab.report.manifest import DONE, Entry, Manifest, environment, now, output_hashes
from kpay_lab.report.params import Notebook
from kpay_lab.report.process import Outcome, execute


@dataclass(frozen=True)
class Limits:
    """How much may run at once, and how long (seconds)."""

    jobs: int = 1
    timeout: float = 1800.0
    cell_timeout: float = 900.0


class Progress:
    """One line that moves on a terminal; plain lines elsewhere."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self.stream, self.moving = stream, stream.isatty()
        self._lock, self._cells = threading.Lock(), dict[str, str]()

    def cell(self, name: str, number: int, of: int) -> None:
        """Tell that a notebook reached a cell."""
        with self._lock:
            self._cells[name] = f"{name} {number}/{of}"
            if self.moving:
                width = shutil.get_terminal_size().columns - 1
                self.stream.write("\r\x1b[K" + " · ".join(self._cells.values())[:width])
                self.stream.flush()

    def line(self, name: str, text: str) -> None:
        """Tell what happened to a notebook, in a line that stays."""
        with self._lock:
            self._cells.pop(name, None)
            self.stream.write(("\r\x1b[K" if self.moving else "") + f"{name}: {text}\n")
            self.stream.flush()


@dataclass
class Run:
    """One run's folder and everything that happens in it."""

    folder: Path
    notebooks: Mapping[str, Notebook]
    manifest: Manifest
    progress: Progress = field(default_factory=Progress)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, limits: Limits) -> bool:
        """Run what is pending; return whether no notebook failed.

        A failed notebook does not keep the others from running. On an interrupt the
        children are ended, the manifest says *interrupted*, and the exception goes on.
        """
        entries = self.manifest.notebooks
        pending = [name for name, entry in entries.items() if entry.status not in DONE]
        for name, entry in entries.items():
            if entry.status in DONE:
                self.progress.line(name, f"{entry.status} {entry.reason}".strip())
        self.manifest.status = "running"
        self.manifest.write(self.folder)
        try:
            with ThreadPoolExecutor(limits.jobs) as pool:
                futures = [pool.submit(self._one, name, limits) for name in pending]
                try:
                    for future in futures:
                        future.result()
                except BaseException:
                    self._stop.set()
                    pool.shutdown(cancel_futures=True)
                    raise
        finally:
            self._finish()
        return self.manifest.status == "ok"

    def _one(self, name: str, limits: Limits) -> None:
        if self._stop.is_set():
            return
        self._clear(name)
        if not self.progress.moving:
            self.progress.line(name, "started")
        outcome = execute(
            self.notebooks[name].path,
            self.manifest.parameters[name] | {"output_dir": str(self.folder)},
            timeout=limits.timeout,
            cell_timeout=limits.cell_timeout,
            stop=self._stop,
            on_cell=lambda number, of: self.progress.cell(name, number, of),
        )
        entry = self.manifest.notebooks[name]
        with self._lock:  # pages are drawn one at a time
            try:
                self._keep(name, outcome)
            except Exception as error:  # the other notebooks go on
                entry.status = "failed"
                entry.reason = f"its page cannot be made: {type(error).__name__}: {error}"
        words = f"{entry.status} after {outcome.seconds:.1f} s"
        self.progress.line(name, words + (f" ({entry.reason})" if entry.reason else ""))

    def _clear(self, name: str) -> None:
        """Remove what an earlier, failed try left behind."""
        for path in (*self.folder.glob(f".{name}.*"), self.folder / name):
            shutil.rmtree(path, ignore_errors=True)
        for ending in (".ipynb", ".failed.ipynb", ".html"):
            (self.folder / f"{name}{ending}").unlink(missing_ok=True)

    def _keep(self, name: str, outcome: Outcome) -> None:
        entry = self.manifest.notebooks[name]
        entry.status, entry.reason = outcome.status, outcome.reason
        entry.seconds = round(outcome.seconds, 1)
        notes = self.folder / name / "session.json"
        if notes.is_file():
            content = json.loads(notes.read_text(encoding="utf-8"))
            self.manifest.add_data(content.pop("data_files"))
            entry.headlines, entry.figures = content["headlines"], content["figures"]
            entry.record = content["record"]
        if outcome.notebook is not None:
            ending = ".ipynb" if outcome.status == "ok" else ".failed.ipynb"
            write_text(self.folder / f"{name}{ending}", nbformat.writes(outcome.notebook) + "\n")
            text = page(outcome.notebook, name, self.manifest)
            write_text(self.folder / f"{name}.html", text)
        self.manifest.write(self.folder)

    def _finish(self) -> None:
        for entry in self.manifest.notebooks.values():
            if entry.status in ("pending", "running"):
                entry.status = "interrupted"
        statuses = {entry.status for entry in self.manifest.notebooks.values()}
        worst = [status for status in ("interrupted", "failed") if status in statuses]
        self.manifest.status = worst[0] if worst else "ok"
        self.manifest.finished = now()
        metrics = self._metrics()
        write_text(self.folder / "metrics.json", to_json(metrics))
        write_text(self.folder / "index.html", index(self.folder, self.manifest, metrics))
        self.manifest.outputs = output_hashes(self.folder)
        self.manifest.write(self.folder)
        if self.manifest.status == "ok":
            _point(self.folder.parent / "latest", self.folder.name)

    def _metrics(self) -> dict[str, dict[str, Any]]:
        """Merge the metrics of the notebooks that ended well."""
        files = {
            name: self.folder / name / "metrics.json"
            for name, entry in self.manifest.notebooks.items()
            if entry.status == "ok"
        }
        return {n: json.loads(f.read_text("utf-8")) for n, f in files.items() if f.is_file()}


def start(
    notebooks: Mapping[str, Notebook],
    parameters: Mapping[str, dict[str, Any]],
    profile: str,
    output: Path,
    tables_of: Callable[[dict[str, Any]], set[str]],
) -> Run:
    """Make a run's folder, never an existing one, and write its parameters and manifest.

    ``tables_of`` returns the tables that a notebook with these parameters will find; one
    that needs another table is *not applicable* and no kernel is started for it.
    """
    kept = {name: _without_output(values) for name, values in parameters.items()}
    entries = {name: _entry(notebooks[name], tables_of(values)) for name, values in kept.items()}
    folder = _new_folder(output, profile)
    manifest = Manifest(profile=profile, parameters=kept, notebooks=entries, started=now())
    manifest.environment = environment(project_root())
    manifest.write(folder)
    as_profile = {"notebooks": list(kept), **kept}
    text = yaml.safe_dump(as_profile, sort_keys=False, allow_unicode=True)
    write_text(folder / "params.yaml", text)
    return Run(folder, notebooks, manifest)


def resume(folder: Path, notebooks: Mapping[str, Notebook]) -> Run:
    """Take a run up again: what is missing or failed becomes pending."""
    manifest = Manifest.read(folder)
    gone = [name for name in manifest.notebooks if name not in notebooks]
    if gone:
        raise ValueError(f"{folder.name} ran {', '.join(gone)}, which notebooks/ no longer has")
    for path in folder.rglob(".*.tmp"):  # what a killed runner was writing
        path.unlink()
    for name, entry in manifest.notebooks.items():
        whole = all((folder / f"{name}{ending}").is_file() for ending in (".ipynb", ".html"))
        if entry.status != "not applicable" and not (entry.status == "ok" and whole):
            fresh = Entry(source_sha256=sha256(notebooks[name].path), title=notebooks[name].title)
            manifest.notebooks[name] = fresh
    return Run(folder, notebooks, manifest)


def _entry(notebook: Notebook, tables: set[str]) -> Entry:
    entry = Entry(source_sha256=sha256(notebook.path), title=notebook.title)
    lacking = [table for table in notebook.needs if table not in tables]
    if lacking:
        entry.status, entry.reason = "not applicable", f"no {' and no '.join(lacking)} table"
    return entry


def _without_output(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "output_dir"}


def _new_folder(output: Path, profile: str) -> Path:
    output.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{profile}"
    number = 1
    while True:
        folder = output / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return folder.resolve()


def _point(link: Path, target: str) -> None:
    """Point a symbolic link at a run, without a moment in which there is none."""
    beside = link.with_name(f".latest.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)
