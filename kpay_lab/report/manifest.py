"""What ran, on what, with what: the record from which a run can be repeated."""

import dataclasses
import fcntl
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from kpay_lab.report.files import sha256, to_json, write_text

# One thread a library: some sums depend on how many threads share them.
THREADS = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")
} | {"POLARS_MAX_THREADS": "1"}

DONE = ("ok", "not applicable")
PATIENCE = 2.0  # seconds to wait for the lock of a process that is ending


@dataclass(kw_only=True)
class Entry:
    """How one notebook fared: pending, running, ok, failed, not applicable or interrupted."""

    source_sha256: str
    status: str = "pending"
    reason: str = ""
    seconds: float = 0.0
    title: str = ""
    headlines: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)  # metric that is null -> what it lacks


@dataclass(kw_only=True)
class Manifest:
    """The content of ``manifest.json``; it holds no environment variable and no user id."""

    profile: str
    parameters: dict[str, dict[str, Any]]
    notebooks: dict[str, Entry]
    status: str = "running"
    started: str = ""
    finished: str | None = None
    data: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)  # patterns of those a sweep shows

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` whole."""
        seeds = {name: values.get("seed") for name, values in self.parameters.items()}
        write_text(folder / "manifest.json", to_json(dataclasses.asdict(self) | {"seeds": seeds}))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read a run's manifest back; raises ValueError where there is none."""
        if not (folder / "manifest.json").is_file():
            raise ValueError(f"{folder} is not a run: it has no manifest.json")
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        content.pop("seeds")
        content["notebooks"] = {
            name: Entry(**entry) for name, entry in content["notebooks"].items()
        }
        return cls(**content)

    def end_pending(self) -> None:
        """Mark what never ran, or never ended, as interrupted, and the run as over."""
        for entry in self.notebooks.values():
            if entry.status == "pending":
                entry.status = "interrupted"
        self.finished = now()

    def add_data(self, paths: Iterable[str]) -> None:
        """Hash the data files that are not hashed yet."""
        for path in paths:
            if path not in self.data and Path(path).is_file():
                self.data[path] = sha256(Path(path))


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


def output_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run but the manifest itself."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: sha256(path) for name, path in named.items() if name != "manifest.json"}


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
                manifest = Manifest.read(folder)
                if manifest.status == "running":
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
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
