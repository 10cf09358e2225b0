"""A project of tiny notebooks, run as a user does, whose every process can be found."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import nbformat
import psutil
import yaml

from kpay_lab.report.manifest import Manifest

SAVE = """
import time
from kpay_lab.report.session import Session
session = Session("01_save", output_dir=output_dir)
session.metric("one", 1)
session.record("text", "x" * 50_000)
time.sleep(0.3)
session.save()
"""
WAIT = """import os, time
open({flag!r} + "-seen", "w")
while os.path.exists({flag!r}):
    time.sleep(0.1)"""
KPAY = [sys.executable, "-c", "from kpay_lab.cli import main; main()"]


class Shop:
    """A project whose every process can be found by a mark in its environment."""

    def __init__(self, project):
        self.project, self.root = project, project.root
        self.mark = uuid.uuid4().hex
        self.outputs = self.root / "输出 目录"
        (self.root / "params/default.yaml").write_text("shared: {}\n")

    def start(self, *arguments, environment=None, **options):
        command = [*KPAY, "run", *map(str, arguments)]
        if "--resume" not in arguments:
            command += ["--output", str(self.outputs)]
        variables = os.environ | {"KPAY_TEST_MARK": self.mark} | (environment or {})
        self.log = self.root / "log"
        with self.log.open("w") as stream:
            return subprocess.Popen(
                command, cwd=self.root, env=variables, stdout=stream, stderr=stream, **options
            )

    def run(self, *arguments, **options):
        return self.start(*arguments, **options).wait(300)

    def processes(self, word=""):
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("KPAY_TEST_MARK") == self.mark:
                    found += [process] * any(word in part for part in process.cmdline())
            except (psutil.Error, OSError):
                continue
        return found

    def waits(self):
        """Add a notebook that waits in a cell until the flag returned is taken away."""
        flag = self.root / "flag"
        flag.touch()
        self.project.write("02_wait", WAIT.format(flag=str(flag)))
        return flag

    def until(self, condition, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def folders(self):
        return sorted(self.outputs.glob("2*")) if self.outputs.is_dir() else []

    def status(self):
        return Manifest.read(self.folders()[-1]).status

    def check(self, patience=0):
        """Assert that nothing is half written and nobody is left."""
        self.until(lambda: not self.processes(), seconds=patience + 0.1)
        mine = [run for run in private_runs() if run.is_relative_to(self.root)]
        assert patience or not mine  # a killed runner may leave its private folder in /tmp
        for path in self.outputs.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                READERS[path.suffix](path)

    def resumes(self, patience=0):
        """Assert that a resume ends well and leaves nothing hidden."""
        folder = self.folders()[-1]
        assert self.run("--resume", folder) == 0, self.log.read_text()
        assert self.status() == "ok"
        assert json.loads((folder / "metrics.json").read_text())["01_save"] == {"one": 1}
        assert not list(folder.rglob(".*"))
        self.check(patience)


def private_runs():
    """Yield the run's folder of every notebook that has a private folder now."""
    for path in Path(tempfile.gettempdir()).glob("kpay-*/task.json"):
        try:
            yield Path(json.loads(path.read_text())["run"])
        except FileNotFoundError:  # another test's run, which ended meanwhile
            continue


def ends_with(ending):
    def read(path):
        assert path.read_bytes().rstrip().endswith(ending), path

    return read


READERS = {
    ".json": lambda path: json.loads(path.read_text("utf-8")),
    ".yaml": lambda path: yaml.safe_load(path.read_text("utf-8")),
    ".ipynb": lambda path: nbformat.validate(nbformat.read(path, as_version=4)),
    ".html": ends_with(b"</html>"),
}
