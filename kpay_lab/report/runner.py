"""A run: each notebook in its own process, the pages, the index and the manifest."""

import itertools
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import nbformat
import yaml

from kpay_lab.report.files import project_root, sha256, to_json, write_bytes, write_text
from kpay_lab.report.html import Metrics, glossary, index, page
from kpay_lab.report.manifest import (
    DONE,
    Entry,
    Manifest,
    alone,
    environment,
    now,
    output_hashes,
)
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

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.moving = self.stream.isatty()
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


def _summary(folder: Path, manifest: Manifest, metrics: Metrics) -> dict[str, bytes]:
    """Make the files that tell of a whole run, or of a sweep."""
    if any("/" in name for name in manifest.notebooks):
        from kpay_lab.report.sweep import summary

        return summary(folder, manifest, metrics)
    terms = glossary()
    pages = {"index.html": index(folder, manifest, metrics), "glossary.html": terms}
    return {name: text.encode() for name, text in pages.items() if text}


@dataclass
class Run:
    """One run's folder and everything that happens in it.

    A name is a notebook's own, or ``<set>/<notebook>`` where one notebook runs several
    times; its files lie under that path.
    """

    folder: Path
    notebooks: Mapping[str, Notebook]
    manifest: Manifest
    progress: Progress = field(default_factory=Progress)
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, limits: Limits) -> bool:
        """Run what is pending; return whether no notebook failed.

        A failed notebook does not keep the others from running. Once ``stop`` is set, or
        on an exception, the children are ended and the manifest says *interrupted*.

        Raises
        ------
        ValueError
            If another process is at work on this run.
        """
        with alone(self.folder):
            for name, entry in self.manifest.notebooks.items():
                if entry.status in DONE:
                    self.progress.line(name, f"{entry.status} {entry.reason}".strip())
            for path in self.folder.rglob(".*.tmp"):  # what a killed runner was writing
                path.unlink()
            (self.folder / "index.html").unlink(missing_ok=True)  # it tells of the last try
            try:
                self.manifest.status = "running"
                self.manifest.write(self.folder)
                self._all(limits)
            finally:
                self._finish()
        return self.manifest.status == "ok"

    def _all(self, limits: Limits) -> None:
        entries = self.manifest.notebooks
        with ThreadPoolExecutor(limits.jobs) as pool:
            try:
                for future in [
                    pool.submit(self._one, name, limits)
                    for name, entry in entries.items()
                    if entry.status not in DONE
                ]:
                    future.result()
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _one(self, name: str, limits: Limits) -> None:
        if self.stop.is_set():
            return
        if not self.progress.moving:
            self.progress.line(name, "started")
        entry, entries = self.manifest.notebooks[name], self.manifest.notebooks.values()
        try:
            self._clear(name)
            outcome = execute(
                self.notebooks[name].path,
                self.folder,
                self.manifest.parameters[name] | {"output_dir": str((self.folder / name).parent)},
                timeout=limits.timeout,
                cell_timeout=limits.cell_timeout,
                stop=self.stop,
                on_cell=lambda number, of: self.progress.cell(name, number, of),
            )
            with self._lock:  # pages are drawn one at a time
                self._keep(name, outcome)
        except Exception as error:  # the other notebooks go on
            entry.status = "failed"
            entry.reason = f"its page cannot be made: {type(error).__name__}: {error}"
        reason = f" ({entry.reason})" if entry.reason else ""
        done = sum(one.status != "pending" for one in entries)
        words = f"{entry.status} after {entry.seconds:.1f} s, {done} of {len(entries)}{reason}"
        self.progress.line(name, words)

    def _clear(self, name: str) -> None:
        """Remove what an earlier, failed try left behind."""
        whole = self.folder / name
        for path in (*whole.parent.glob(f".{whole.name}.*"), whole):
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
            entry.record, entry.why = content["record"], content["why"]
        if outcome.notebook is not None:
            ending = ".ipynb" if outcome.status in DONE else ".failed.ipynb"
            write_text(self.folder / f"{name}{ending}", nbformat.writes(outcome.notebook) + "\n")
            text = page(outcome.notebook, name, self.manifest)
            write_text(self.folder / f"{name}.html", text)
        self.manifest.write(self.folder)

    def _finish(self) -> None:
        """Write what tells of the run as a whole; the manifest even if the rest fails."""
        entries = self.manifest.notebooks.values()
        self.manifest.end_pending()
        statuses = {entry.status for entry in entries}
        worst = [status for status in ("interrupted", "failed") if status in statuses]
        self.manifest.status = worst[0] if worst else "ok"
        try:
            metrics = self._metrics()
            files = {"metrics.json": to_json(metrics).encode()}
            for name, content in (files | _summary(self.folder, self.manifest, metrics)).items():
                write_bytes(self.folder / name, content)
        except BaseException:
            self.manifest.status = worst[0] if worst else "failed"
            raise
        finally:
            self.manifest.outputs = output_hashes(self.folder)
            self.manifest.write(self.folder)
        if self.manifest.status == "ok":
            _point(self.folder.parent / "latest", self.folder.name)

    def _metrics(self) -> dict[str, dict[str, Any]]:
        """Merge the metrics of the notebooks that ended well, or had nothing to go on with."""
        files = {
            name: self.folder / name / "metrics.json"
            for name, entry in self.manifest.notebooks.items()
            if entry.status in DONE
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
    kept = {
        name: {key: value for key, value in values.items() if key != "output_dir"}
        for name, values in parameters.items()
    }
    chosen = named(kept, notebooks)
    entries = {name: _entry(chosen[name], tables_of(values)) for name, values in kept.items()}
    folder = _new_folder(output, profile)
    manifest = Manifest(profile=profile, parameters=kept, notebooks=entries, started=now())
    manifest.environment = environment(project_root())
    as_profile = {"notebooks": list(kept), **kept}
    written = yaml.safe_dump(as_profile, sort_keys=False, allow_unicode=True)
    write_text(folder / "params.yaml", written)
    manifest.write(folder)
    return Run(folder, chosen, manifest)


def resume(folder: Path, notebooks: Mapping[str, Notebook]) -> Run:
    """Take a run up again: what is missing or failed becomes pending."""
    manifest = Manifest.read(folder)
    notebooks = named(manifest.notebooks, notebooks)
    for name, entry in manifest.notebooks.items():
        whole = all((folder / f"{name}{ending}").is_file() for ending in (".ipynb", ".html"))
        if entry.status != "not applicable" and not (entry.status == "ok" and whole):
            fresh = Entry(source_sha256=sha256(notebooks[name].path), title=notebooks[name].title)
            manifest.notebooks[name] = fresh
    return Run(folder, notebooks, manifest)


def named(names: Iterable[str], notebooks: Mapping[str, Notebook]) -> dict[str, Notebook]:
    """Return the notebook of each name of a run (``<set>/<notebook>`` in a sweep)."""
    found = {name: name.rpartition("/")[2] for name in names}
    if gone := sorted({stem for stem in found.values() if stem not in notebooks}):
        raise ValueError(f"the run has {', '.join(gone)}, which notebooks/ no longer has")
    return {name: notebooks[stem] for name, stem in found.items()}


def _entry(notebook: Notebook, tables: set[str]) -> Entry:
    entry = Entry(source_sha256=sha256(notebook.path), title=notebook.title)
    lacking = [table for table in notebook.needs if table not in tables]
    if lacking:
        entry.status, entry.reason = "not applicable", f"no {' and no '.join(lacking)} table"
    return entry


def _new_folder(output: Path, profile: str) -> Path:
    output.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{profile}"
    for number in itertools.count(1):
        folder = output / (stem if number == 1 else f"{stem}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            break
    return folder.resolve()


def _point(link: Path, target: str) -> None:
    """Point a symbolic link at a run, without a moment in which there is none."""
    beside = link.with_name(f".latest.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)
