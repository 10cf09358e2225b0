"""A run: each notebook in its own process, the pages, the index and the manifest."""

import copy
import itertools
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import nbformat
import yaml

from kpay_lab.findings import SPOKEN, lacking, languages
from kpay_lab.report.console import say, told_if_slow
from kpay_lab.report.files import project_root, read_json, sha256, to_json, write_bytes, write_text
from kpay_lab.report.html import Metrics, glossary, index, page
from kpay_lab.report.in_short import FILE, in_short, of_run
from kpay_lab.report.manifest import (
    ADMITTED,
    DONE,
    Entry,
    Manifest,
    alone,
    environment,
    environment_changes,
    now,
    output_hashes,
    table_changes,
)
from kpay_lab.report.once import (
    Admission,
    RefusedError,
    discard,
    discard_leftovers,
    discarded,
    read_once,
)
from kpay_lab.report.params import Notebook, refuse_faulty
from kpay_lab.report.process import Outcome, execute
from kpay_lab.report.profile import Domain
from kpay_lab.report.surroundings import key_fingerprint

RESERVE = ".reserve.tmp"
RESERVED_BYTES = 2_000_000  # more than a manifest, the metrics and an index without pictures


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
        self._lock = threading.Lock()
        self._cells: dict[str, str] = {}

    def cell(self, name: str, number: int, of: int) -> None:
        """Tell that a notebook reached a cell."""
        with self._lock:
            self._cells[name] = f"{name} {number}/{of}"
            if self.moving:
                width = shutil.get_terminal_size().columns - 1
                places = " · ".join(self._cells.values())
                say("\r\x1b[K" + places[:width], self.stream)

    def line(self, name: str, text: str) -> None:
        """Tell what happened to a notebook, in a line that stays."""
        with self._lock:
            self._cells.pop(name, None)
            clear = "\r\x1b[K" if self.moving else ""
            say(f"{clear}{name}: {text}\n", self.stream)


Summary = Callable[[Path, Manifest, Metrics], dict[str, bytes]]


def summary(folder: Path, manifest: Manifest, metrics: Metrics) -> dict[str, bytes]:
    """Return the files that tell of a whole run, by name: its index and the glossary."""
    found = of_run(folder) if (folder / FILE).is_file() else {}
    files = {"index.html": index(folder, manifest, metrics, found).encode()}
    terms = glossary()
    if terms:
        files["glossary.html"] = terms.encode()
    return files


@dataclass
class Run:
    """One run's folder and everything that happens in it.

    A name is a notebook's own, or ``<set>/<notebook>`` where one notebook runs several
    times; its files lie under that path. ``summary`` makes the files that tell of the run as
    a whole once it has ended; who starts the run hands it in, and what reads its data. A log
    that is refused ends the run where ``refuses`` says so; else its notebooks tell of it.
    """

    folder: Path
    notebooks: Mapping[str, Notebook]
    manifest: Manifest
    summary: Summary = summary
    domain: Domain | None = None
    refuses: bool = False
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
            If another process is at work on this run, its data have changed since it began, or
            they are refused (`report.once.RefusedError`); then nothing of the run is left.
        """
        discard_leftovers(self.folder.parent)
        with alone(self.folder):
            self._tell_what_is_done()
            with discarded(self.folder):
                self._read_once()
                self._tidy_up_last_try()
                self.manifest.begin()
                self.manifest.write(self.folder)
                self._reserve_room()
                try:
                    self._execute_pending(limits)
                finally:
                    discard(self.folder)
                    self._finish()
        return self.manifest.status == "ok"

    def _read_once(self) -> None:
        """Read the data of the pending notebooks; they map what may be used of them."""
        pending = {name: self.manifest.parameters[name] for name in self._pending()}
        if self.domain is None or not self.domain.are_read_once(pending):
            return
        with told_if_slow("reading the data"):
            admission = read_once(self.domain.reader, pending, self.folder, self.stop)
        if self.refuses and admission.refusal is not None:
            shutil.rmtree(self.folder)
            raise RefusedError(admission.refusal)
        if self.refuses:
            said = "".join(f"{line}\n" for line in admission.lines)
            say(said, self.progress.stream)
        for problem in admission.problems:
            self.progress.line("note", problem)
        self._compare_with_first(admission)

    def _compare_with_first(self, admission: Admission) -> None:
        """Refuse data that have changed since the run began, and note what was read now."""
        known = self.manifest.admitted
        changed = []
        for name, kept in admission.kept.items():
            if known.setdefault(name, kept.sha256) != kept.sha256:
                changed.append(kept.source)
        if changed:
            listed = ", ".join(dict.fromkeys(changed))
            raise ValueError(
                f"{self.folder}: the data changed since this run began: {listed} is no longer read "
                f"as it was then. {_remedy_for_changed_data(self.folder)}"
            )

    def _pending(self) -> list[str]:
        entries = self.manifest.notebooks
        return [name for name, entry in entries.items() if entry.status not in DONE]

    def _tell_what_is_done(self) -> None:
        for name, entry in self.manifest.notebooks.items():
            if entry.status in DONE:
                self.progress.line(name, f"{entry.status} {entry.short_reason}".strip())
        for change in environment_changes(self.manifest.environment, environment(project_root())):
            self.progress.line("note", f"{change} since this run began; what is done was kept")

    def _tidy_up_last_try(self) -> None:
        for path in self.folder.rglob(".*.tmp"):  # what a killed runner was writing
            path.unlink()
        (self.folder / "index.html").unlink(missing_ok=True)  # it tells of the last try

    def _reserve_room(self) -> None:
        """Keep room on the disk for the end: a run that filled it can still say so."""
        with suppress(OSError):  # the disk is full already; the notebooks will say so
            (self.folder / RESERVE).write_bytes(bytes(RESERVED_BYTES))

    def _execute_pending(self, limits: Limits) -> None:
        """Run the pending notebooks, so many at once; on any exception stop those that run."""
        with ThreadPoolExecutor(limits.jobs) as pool:
            futures = {pool.submit(self._execute_one, name, limits) for name in self._pending()}
            try:
                self._wait_for(futures)
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _wait_for(self, futures: set[Future[None]]) -> None:
        """Wait for all; once asked to stop, say so before tidying up, for that may be cut short."""
        while futures:
            finished, futures = wait(futures, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
            if self.stop.is_set() and self.manifest.status == "running":
                self.manifest.status = "interrupted"
                self._write_manifest()

    def _write_manifest(self) -> None:
        with self._lock:
            self.manifest.write(self.folder)

    def _execute_one(self, name: str, limits: Limits) -> None:
        """Run one notebook and take up what it left; whatever fails is said in its entry."""
        if self.stop.is_set():
            return
        if not self.progress.moving:
            self.progress.line(name, "started")
        entry = self.manifest.notebooks[name]
        entry.environment = environment(project_root())
        output_dir = (self.folder / name).parent
        parameters = self.manifest.parameters[name] | {"output_dir": str(output_dir)}
        try:
            self._clear(name)
            outcome = execute(
                self.notebooks[name].path,
                self.folder,
                parameters,
                timeout=limits.timeout,
                cell_timeout=limits.cell_timeout,
                stop=self.stop,
                on_cell=lambda number, of: self.progress.cell(name, number, of),
                admitted=self.folder / ADMITTED,
            )
        except Exception as error:  # the other notebooks go on
            self._fail(entry, "it cannot be started", error)
        else:
            self._keep(name, outcome)
        self._tell_how_it_ended(name)

    def _fail(self, entry: Entry, what: str, error: Exception) -> None:
        entry.status = "failed"
        entry.reason = f"{what}: {_description(error)}"

    def _tell_how_it_ended(self, name: str) -> None:
        entries = self.manifest.notebooks
        entry = entries[name]
        n_done = sum(other.status != "pending" for other in entries.values())
        reason = f" ({entry.short_reason})" if entry.reason else ""
        ending = f"{entry.status} after {entry.seconds:.1f} s, {n_done} of {len(entries)}"
        self.progress.line(name, ending + reason)

    def clear(self) -> None:
        """Remove what every notebook left behind, and the rows it set aside."""
        for name in self.manifest.notebooks:
            self._clear(name)
        shutil.rmtree(self.folder / "rejected", ignore_errors=True)

    def _clear(self, name: str) -> None:
        """Remove what an earlier, failed try left behind."""
        whole = self.folder / name
        for path in (*whole.parent.glob(f".{whole.name}.*"), whole):
            shutil.rmtree(path, ignore_errors=True)
        for ending in (".ipynb", ".failed.ipynb", ".html"):
            (self.folder / f"{name}{ending}").unlink(missing_ok=True)

    def _keep(self, name: str, outcome: Outcome) -> None:
        """Take up how a notebook ended and what it left, and draw its page."""
        entry = self.manifest.notebooks[name]
        entry.status = outcome.status
        entry.reason = outcome.reason
        entry.seconds = round(outcome.seconds, 1)
        with self._lock:  # pages are drawn one at a time
            try:
                self._keep_notes(name)
                self._keep_page(name, outcome)
                self.manifest.write(self.folder)
            except Exception as error:  # the other notebooks go on
                self._fail(entry, "its page cannot be made", error)

    def _keep_notes(self, name: str) -> None:
        """Move what the notebook's session noted into its entry, and check the files it read."""
        path = self.folder / name / "session.json"
        if not path.is_file():
            return
        entry = self.manifest.notebooks[name]
        notes = json.loads(path.read_text(encoding="utf-8"))
        entry.headlines = notes["headlines"]
        entry.figures = notes["figures"]
        entry.tables = notes["tables"]
        entry.record = notes["record"]
        entry.why = notes["why"]
        entry.data = notes["data_files"]
        changed = self.manifest.add_data(entry.data)
        if changed:
            entry.status = "failed"
            entry.reason = (
                f"the run began with other content of {', '.join(changed)}: its notebooks "
                "would not tell of one log; run it again once the file is whole"
            )

    def _keep_page(self, name: str, outcome: Outcome) -> None:
        """Write the executed notebook and its page, if there is a notebook to be read."""
        if outcome.notebook is None:
            return
        entry = self.manifest.notebooks[name]
        ending = ".ipynb" if entry.status in DONE else ".failed.ipynb"
        executed = nbformat.writes(outcome.notebook)
        write_text(self.folder / f"{name}{ending}", f"{executed}\n")
        language = self.manifest.parameters[name].get("language", SPOKEN)
        spoken = language if language in languages() else SPOKEN
        found = in_short(self.folder / name, spoken)
        text = page(outcome.notebook, name, self.manifest, found)
        write_text(self.folder / f"{name}.html", text)

    def _finish(self) -> None:
        """Say how the run ended, and only then write what tells of it as a whole."""
        manifest = self.manifest
        (self.folder / RESERVE).unlink(missing_ok=True)
        manifest.end_pending()
        manifest.status = self._worst_status()
        manifest.write(self.folder)
        try:
            self._write_summary()
        except Exception as error:
            manifest.reason = f"its index cannot be written: {_description(error)}"
            if manifest.status == "ok":
                manifest.status = "failed"
            self._write_plain_index()
        manifest.outputs = output_hashes(self.folder)
        manifest.write(self.folder)
        if manifest.status == "ok":
            self._point_latest()
        if manifest.reason:
            self.progress.line("run", f"{manifest.status} ({manifest.reason})")

    def _write_lacking_pages(self) -> None:
        """Give a notebook that left no page one that says why: its neighbours link it."""
        for name in self.manifest.notebooks:
            path = self.folder / f"{name}.html"
            if not path.is_file():
                write_text(path, page(nbformat.v4.new_notebook(), name, self.manifest))

    def _worst_status(self) -> str:
        """Return the run's status: interrupted or failed as soon as one notebook is, else ok."""
        statuses = {entry.status for entry in self.manifest.notebooks.values()}
        for worst in ("interrupted", "failed"):
            if worst in statuses:
                return worst
        return "ok"

    def _write_summary(self) -> None:
        self._write_lacking_pages()
        metrics = self._metrics()
        write_text(self.folder / "metrics.json", to_json(metrics))
        write_text(self.folder / FILE, to_json(self._findings()))
        for name, content in self.summary(self.folder, self.manifest, metrics).items():
            write_bytes(self.folder / name, content)

    def _write_plain_index(self) -> None:
        """Write an index without pictures, where there was no room for more."""
        plain = copy.deepcopy(self.manifest)
        for entry in plain.notebooks.values():
            entry.figures = []
        with suppress(OSError):  # the manifest and the console say why there is none
            write_text(self.folder / "index.html", index(self.folder, plain, {}))

    def _point_latest(self) -> None:
        """Point ``latest`` at this run, or say why that is not possible."""
        link = self.folder.parent / "latest"
        if link.is_dir() and not link.is_symlink():
            self.progress.line("note", f"{link} is a folder and no link; it was left as it is")
            return
        try:
            _point(link, self.folder.name)
        except OSError as error:
            self.progress.line("note", f"{link} cannot point to this run: {error.strerror}")

    def _metrics(self) -> dict[str, dict[str, Any]]:
        """Merge the metrics of the notebooks that ended well, or had nothing to go on with."""
        metrics = {}
        for name, entry in self.manifest.notebooks.items():
            path = self.folder / name / "metrics.json"
            if entry.status in DONE and path.is_file():
                metrics[name] = read_json(path, str(path))
        return metrics

    def _findings(self) -> dict[str, list[dict[str, Any]]]:
        """Merge the findings of the notebooks whose metrics count, and what the others lack."""
        findings = {}
        for name, entry in self.manifest.notebooks.items():
            path = self.folder / name / FILE
            if entry.status in DONE and path.is_file():
                content = read_json(path, str(path))
                findings[name] = content["findings"]
            elif entry.lacks:
                open_questions = [lacking(*pair) for pair in entry.lacks.items()]
                findings[name] = [finding.as_dict() for finding in open_questions]
        return findings


def start(
    notebooks: Mapping[str, Notebook],
    parameters: Mapping[str, dict[str, Any]],
    profile: str,
    output: Path,
    domain: Domain,
    summary: Summary = summary,
) -> Run:
    """Make a run's folder, never an existing one, and write its parameters and manifest.

    Parameters
    ----------
    domain : Domain
        Says which tables a notebook will find, and which files it will read; the hashes of
        these are taken at once.
    summary : function
        Makes the files that tell of the whole run.
    """
    recorded = {}  # without output_dir, which is the run's own and not to be repeated
    for name, values in parameters.items():
        recorded[name] = {key: value for key, value in values.items() if key != "output_dir"}
    chosen = named(recorded, notebooks)
    refuse_faulty(chosen.values())
    entries = {}
    for name, values in recorded.items():
        entries[name] = _entry(chosen[name], values, domain.tables_of(values))
    manifest = Manifest(profile=profile, parameters=recorded, notebooks=entries, started=now())
    manifest.environment = environment(project_root())
    manifest.data = _hashes(recorded, domain)
    manifest.databases = _states(recorded, domain)
    manifest.key_fingerprint = key_fingerprint() if _has_pseudonyms(recorded) else ""
    folder = _new_folder(output, profile)
    as_profile = {"notebooks": list(recorded), **recorded}
    written = yaml.safe_dump(as_profile, sort_keys=False, allow_unicode=True)
    write_text(folder / "params.yaml", written)
    manifest.write(folder)
    return Run(folder, chosen, manifest, summary, domain)


def _hashes(parameters: Mapping[str, dict[str, Any]], domain: Domain) -> dict[str, str]:
    """Return the SHA-256 of every file that these notebooks will read."""
    files: set[Path] = set()
    for values in parameters.values():
        files |= {path.resolve() for path in domain.files_of(values)}
    return {str(path): sha256(path) for path in sorted(files)}


def _states(parameters: Mapping[str, dict[str, Any]], domain: Domain) -> dict[str, dict[str, Any]]:
    """Return what the tables of databases hold that these notebooks will read, each asked once."""
    states: dict[str, dict[str, Any]] = {}
    asked = []
    for values in parameters.values():
        question = (values.get("dataset"), values.get("data_dir"), values.get("mapping"))
        if question not in asked:
            asked.append(question)
            states |= domain.databases_of(values)
    return states


def resume(
    folder: Path,
    notebooks: Mapping[str, Notebook],
    domain: Domain,
    summary: Summary = summary,
) -> Run:
    """Take a run up again: what is missing or failed becomes pending.

    Raises
    ------
    ValueError
        If a data file of the run has changed, or the key of its pseudonyms: its notebooks
        would rest on two states.
    """
    manifest = Manifest.read(folder)
    chosen = named(manifest.notebooks, notebooks)
    _refuse_changed_data(folder, manifest, domain)
    _refuse_other_key(folder, manifest)
    for name, entry in manifest.notebooks.items():
        if entry.status != "not applicable" and not _is_whole(folder, name, entry):
            refuse_faulty([chosen[name]])
            manifest.notebooks[name] = _fresh(chosen[name], manifest.parameters[name])
    return Run(folder, chosen, manifest, summary, domain)


def _is_whole(folder: Path, name: str, entry: Entry) -> bool:
    """Whether a notebook ended well and both its files are there."""
    notebook = folder / f"{name}.ipynb"
    page = folder / f"{name}.html"
    return entry.status == "ok" and notebook.is_file() and page.is_file()


def _refuse_changed_data(folder: Path, manifest: Manifest, domain: Domain) -> None:
    """Compare the files of a run with what lies there now, those of its folders included."""
    known = manifest.data
    present = {path: sha256(Path(path)) for path in known if Path(path).is_file()}
    problems = [f"{path} is gone" for path in known if path not in present]
    problems += [f"{path} has changed" for path in present if present[path] != known[path]]
    if known and not problems:
        expected = _hashes(manifest.parameters, domain)
        problems = [f"{path} is new" for path in expected if path not in known]
    if manifest.databases:
        states = _states(manifest.parameters, domain)
        problems += table_changes(manifest.databases, states)
    if problems:
        listed = "; ".join(problems)
        raise ValueError(
            f"{folder}: the data changed since this run began: {listed}. "
            f"{_remedy_for_changed_data(folder)}"
        )


def _remedy_for_changed_data(folder: Path) -> str:
    return f"Put the files back, or run everything anew: kpay run --resume {folder} --from-scratch"


def _has_pseudonyms(parameters: Mapping[str, dict[str, Any]]) -> bool:
    return any(values.get("ids") == "pseudonymise" for values in parameters.values())


def _refuse_other_key(folder: Path, manifest: Manifest) -> None:
    """Refuse another key once a notebook has used the first; until then take up the new one."""
    if manifest.key_fingerprint in ("", key_fingerprint()):
        return
    if any(entry.status == "ok" for entry in manifest.notebooks.values()):
        raise ValueError(
            f"{folder}: its pseudonyms were made with another key. Set KPAY_PRIVACY_KEY to that "
            f"key, or run everything anew: kpay run --resume {folder} --from-scratch"
        )
    manifest.key_fingerprint = key_fingerprint()
    manifest.admitted = {}  # under other pseudonyms


def from_scratch(
    folder: Path,
    notebooks: Mapping[str, Notebook],
    domain: Domain,
    summary: Summary = summary,
) -> Run:
    """Take a run up with its parameters, as if nothing of it had run yet."""
    manifest = Manifest.read(folder)
    chosen = named(manifest.notebooks, notebooks)
    refuse_faulty(chosen.values())
    for name, parameters in manifest.parameters.items():
        tables = domain.tables_of(parameters)
        manifest.notebooks[name] = _entry(chosen[name], parameters, tables)
    manifest.started = now()
    manifest.environment = environment(project_root())
    manifest.data = _hashes(manifest.parameters, domain)
    manifest.databases = _states(manifest.parameters, domain)
    manifest.key_fingerprint = key_fingerprint() if manifest.key_fingerprint else ""
    manifest.admitted = {}
    run = Run(folder, chosen, manifest, summary, domain)
    with alone(folder):
        run.clear()
        manifest.write(folder)
    return run


def named(names: Iterable[str], notebooks: Mapping[str, Notebook]) -> dict[str, Notebook]:
    """Return the notebook of each name of a run (``<set>/<notebook>`` in a sweep)."""
    stems = {name: name.rpartition("/")[2] for name in names}
    gone = set(stems.values()) - set(notebooks)
    if gone:
        listed = ", ".join(sorted(gone))
        raise ValueError(f"the run has {listed}, which notebooks/ no longer has")
    return {name: notebooks[stem] for name, stem in stems.items()}


def _fresh(notebook: Notebook, values: Mapping[str, Any]) -> Entry:
    """Return the entry of a notebook that nothing is known of but its file and parameters."""
    return Entry(
        source_sha256=sha256(notebook.path),
        title=notebook.title,
        question=notebook.question,
        changed=_changed(notebook, values),
    )


def _changed(notebook: Notebook, values: Mapping[str, Any]) -> list[str]:
    """Return the parameters that differ from their default and say something about this log."""
    is_simulated = values.get("dataset", "simulated") == "simulated"
    changed = []
    for name, value in values.items():
        parameter = notebook.parameters[name]
        tells = is_simulated or not parameter.shapes_the_simulation
        if tells and value != parameter.default:
            changed.append(name)
    return changed


def _entry(notebook: Notebook, values: Mapping[str, Any], tables: set[str]) -> Entry:
    """Return the entry of a notebook to be run, *not applicable* if a table it needs is lacking."""
    entry = _fresh(notebook, values)
    tables_lacking = [table for table in notebook.needs if table not in tables]
    if tables_lacking:
        entry.status = "not applicable"
        entry.reason = f"no {' and no '.join(tables_lacking)} table"
        if notebook.stays_open:
            entry.lacks = {notebook.stays_open: " and ".join(tables_lacking)}
    return entry


def _description(error: Exception) -> str:
    """Say what went wrong: the package's own errors by their words, others by their kind too."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _new_folder(output: Path, profile: str) -> Path:
    """Make a folder named by time and profile; runs of the same second are numbered."""
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
