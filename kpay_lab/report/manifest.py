"""What ran, on what, with what: the record from which a run can be repeated."""

import dataclasses
import fcntl
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, get_origin

from kpay_lab.report.files import read_json, sha256, to_json, write_text

# One thread a library: some sums depend on how many threads share them.
THREADS = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")
}

DONE = ("ok", "not applicable")
SHORT = 300  # letters of a reason on the console and the index page
WORDS = {dict: "mapping", list: "list"}
REMEDY = "the file is damaged: restore it, or run the notebooks again"
PATIENCE = 2.0  # seconds to wait for the lock of a process that is ending
ADMITTED = ".admitted"  # a run's private folder, with its data as they may be used


@dataclass(kw_only=True)
class Entry:
    """How one notebook fared: pending, ok, failed, not applicable or interrupted.

    ``data`` and ``environment`` are those of this notebook's own execution: the SHA-256 of
    each file it read, and versions, machine and source code as `environment` gives them.
    """

    source_sha256: str
    status: str = "pending"
    reason: str = ""
    seconds: float = 0.0
    title: str = ""
    question: str = ""
    changed: list[str] = field(default_factory=list)  # parameters that differ from their default
    data: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    headlines: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    lacks: dict[str, str] = field(default_factory=dict)  # question that stays open -> its table
    why: dict[str, str] = field(default_factory=dict)  # metric that is null -> what it lacks

    @property
    def short_reason(self) -> str:
        """The reason in one line of at most `SHORT` letters; `reason` holds the whole."""
        one_line = " ".join(self.reason.split())
        return one_line if len(one_line) <= SHORT else f"{one_line[: SHORT - 1]}…"


@dataclass(kw_only=True)
class Manifest:
    """The content of ``manifest.json``; it holds no environment variable and no user id."""

    profile: str
    parameters: dict[str, dict[str, Any]]
    notebooks: dict[str, Entry]
    status: str = "running"
    reason: str = ""
    started: str = ""
    finished: str | None = None
    data: dict[str, str] = field(default_factory=dict)
    databases: dict[str, dict[str, Any]] = field(default_factory=dict)  # what each table held
    environment: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    key_fingerprint: str = ""  # of the key of pseudonyms, where there are any
    admitted: dict[str, str] = field(default_factory=dict)  # what was read once -> its SHA-256
    metrics: list[str] = field(default_factory=list)  # patterns of those a sweep shows

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` whole."""
        content = dataclasses.asdict(self)
        content["seeds"] = {name: values.get("seed") for name, values in self.parameters.items()}
        write_text(folder / "manifest.json", to_json(content))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read a run's manifest back, an older one with defaults for what it lacks.

        Raises ValueError, one line that names the file, if there is none, it is damaged, or
        it holds what this version does not know.
        """
        path = folder / "manifest.json"
        if not path.exists():
            raise ValueError(f"{folder} is not a run: it has no manifest.json")
        content = read_json(path, str(path))
        content.pop("seeds", None)
        _check_fields(cls, content, str(path))
        check_mappings(content["notebooks"], f"{path}: notebooks")
        check_mappings(content["parameters"], f"{path}: parameters")
        for name, entry in content["notebooks"].items():
            _check_fields(Entry, entry, f"{path} {name}")
            if name not in content["parameters"]:
                raise ValueError(f"{path}: it has no parameters of {name}; {REMEDY}")
            content["notebooks"][name] = Entry(**entry)
        return cls(**content)

    def begin(self) -> None:
        """Mark the run as running, anew where it ended before."""
        self.status = "running"
        self.reason = ""
        self.finished = None

    def end_pending(self) -> None:
        """Mark what never ran, or never ended, as interrupted, and the run as over."""
        for entry in self.notebooks.values():
            if entry.status == "pending":
                entry.status = "interrupted"
        self.finished = now()

    def add_data(self, files: Mapping[str, str]) -> list[str]:
        """Take up files with their hashes; return those known with another content."""
        changed = []
        for path, new_hash in files.items():
            known_hash = self.data.setdefault(path, new_hash)
            if known_hash != new_hash:
                changed.append(path)
        return changed

    def environment_of(self, name: str) -> dict[str, Any]:
        """Return the environment that a notebook ran in, or else that of the run's start."""
        return self.notebooks[name].environment or self.environment

    def environment_changes(self) -> list[str]:
        """Say where a finished notebook ran in another environment than the run began in."""
        lines = []
        for name, entry in self.notebooks.items():
            if entry.status == "ok":
                changes = environment_changes(self.environment, self.environment_of(name))
                lines += [f"{name}: {change}" for change in changes]
        return lines


def check_mappings(content: dict[str, Any], place: str) -> None:
    """Raise ValueError unless every value of a run's JSON object is an object, too."""
    wrong = [name for name, value in content.items() if not isinstance(value, dict)]
    if wrong:
        raise ValueError(f"{place} must be a mapping of mappings, and {wrong[0]} is not; {REMEDY}")


def _check_fields(kind: type, content: dict[str, Any], place: str) -> None:
    """Raise ValueError unless the keys are those of a dataclass, and lists and dicts are such."""
    fields = dataclasses.fields(kind)
    unknown = sorted(set(content) - {attribute.name for attribute in fields})
    if unknown:
        problem = f"has {', '.join(unknown)}, which this version of kpay_lab does not know"
        raise ValueError(f"{place} {problem}; read the run with the version that made it")
    lacking = []
    wrong = []
    for attribute in fields:
        name = attribute.name
        container = get_origin(attribute.type)
        if name not in content:
            if attribute.default is MISSING and attribute.default_factory is MISSING:
                lacking.append(name)
        elif container in WORDS and not isinstance(content[name], container):
            wrong.append(f"{name} must be a {WORDS[container]}")
    if lacking:
        raise ValueError(f"{place} lacks {', '.join(sorted(lacking))}; {REMEDY}")
    if wrong:
        raise ValueError(f"{place}: {', '.join(wrong)}; {REMEDY}")


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def environment(project: Path) -> dict[str, Any]:
    """Return the versions, the machine and the state of the source code."""
    installed = {dist.name: dist.version for dist in metadata.distributions() if dist.name}
    return {
        "git": {
            "revision": _git(project, "rev-parse", "HEAD"),
            "dirty": bool(_git(project, "status", "--porcelain")),
        },
        "python": platform.python_version(),
        "packages": installed,
        "system": platform.platform(),
        "processor": _processor(),
        "processor_count": os.cpu_count(),
        "threads": THREADS,
    }


def environment_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say what differs between two answers of `environment`, one line each.

    >>> environment_changes({"python": "3.11.7"}, {"python": "3.13.0"})
    ['changed python: 3.11.7 → 3.13.0']
    """
    lines = []
    for key in ("processor", "python", "threads"):
        lines += changes("", {key: before.get(key)}, {key: after.get(key)})
    for kind, part in (("package", "packages"), ("code,", "git")):
        lines += changes(kind, before.get(part, {}), after.get(part, {}))
    return lines


def changes(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say which values of two mappings differ, one line a key.

    >>> changes("package", {"numpy": "2.1"}, {"numpy": "2.2"})
    ['changed package numpy: 2.1 → 2.2']
    """
    lines = []
    for key in sorted({*before, *after}):
        old = before.get(key)
        new = after.get(key)
        if old != new:
            subject = f"changed {kind} {key}".replace("  ", " ")
            lines.append(f"{subject}: {_brief(old)} → {_brief(new)}")
    return lines


def table_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say how the tables of a database differ from what they were, one line a table.

    >>> table_changes({"events": {"rows": 5, "last": ""}}, {"events": {"rows": 6, "last": ""}})
    ['events: rows 5 → 6']
    """
    lines = []
    for name in sorted({*before, *after}):
        old = before.get(name)
        new = after.get(name)
        if old is None or new is None:
            lines.append(f"{name} is {'new' if old is None else 'gone'}")
        elif old != new:
            keys = [key for key in new if old.get(key) != new[key]]
            changed = [f"{key} {_brief(old.get(key))} → {_brief(new[key])}" for key in keys]
            lines.append(f"{name}: {', '.join(changed)}")
    return lines


def _brief(value: Any) -> Any:
    """Shorten a hash to its beginning, by which people know it."""
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else value


def output_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run but the manifest itself."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != "manifest.json":
            hashes[name] = sha256(path)
    return hashes


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from the same run; the lock ends with the process.

    Raises ValueError if another one is at work on it.
    """
    with (folder / "params.yaml").open("r+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process is at work on {folder}; let it end") from None
        yield


def abandon(folder: Path) -> None:
    """Say of a run whose runner was killed that it was interrupted; ``--resume`` takes it up.

    A run that another process is at work on for longer than `PATIENCE` was taken up already.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with alone(folder):
                shutil.rmtree(folder / ADMITTED, ignore_errors=True)
                manifest = Manifest.read(folder)
                if manifest.finished is None:
                    manifest.status = "interrupted"
                    manifest.end_pending()
                    manifest.write(folder)
                return
        except ValueError:  # a killed process may lose its pipes a moment before its locks
            time.sleep(0.05)


def _git(project: Path, *arguments: str) -> str | None:
    """Return git's answer, or None where there is no git or no repository."""
    command = ["git", "-C", str(project), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _processor() -> str:
    """Return the processor's name, for results are exact only on the same one."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
