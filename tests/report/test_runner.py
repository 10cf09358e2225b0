"""Each trap of running notebooks, really sprung."""

import json
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest

from kpay_lab.report.manifest import Manifest
from kpay_lab.report.params import ParameterError, read_notebooks
from kpay_lab.report.profile import Domain
from kpay_lab.report.runner import Limits, Progress, _new_folder, resume, start

NO_TABLES = Domain(lambda _: set())
GOOD = """
import os, sys
from kpay_lab.report.session import Session
session = Session("01_good", output_dir=output_dir)
session.metric("tenth", 0.1 * k, headline="tenth of k")
session.metric("kernel", sys.executable)
session.metric("threads", os.environ["OMP_NUM_THREADS"] + os.environ["PYTHONHASHSEED"])
session.data_files([data_file])
session.record("split", "abc")
session.save()
"""
UNFED = """
from kpay_lab.report.session import Session
session = Session("07_unfed", output_dir=output_dir)
session.metric("mean", float("nan"), headline="mean", why="no user")
session.not_applicable("Nobody has <anything> to find.")
"""
MARK = f"kpay-orphan-{uuid.uuid4()}"
ORPHAN = f"""
import subprocess, sys
forever = [sys.executable, "-c", "import time; time.sleep(600)", "{MARK}"]
subprocess.Popen(forever, start_new_session=True)
1 / 0
"""
SPIN = "import time\nwhile True:\n    time.sleep(0.1)"


def running(word):
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if word in (process.info["cmdline"] or []):
            found.append(process.pid)
    return found


@pytest.fixture(scope="module")
def sprung(tmp_path_factory):
    """One run of a good notebook among bad ones."""
    from tests.report.conftest import new_project

    project = new_project(tmp_path_factory.mktemp("run"))
    data_file = project.root / "数据 1.csv"
    data_file.write_text("a\n1\n")
    project.write("01_good", GOOD, parameters='k: int = 1\ndata_file: str = ""\nseed: int = 4')
    project.write("02_error", ORPHAN, "print('never')")
    project.write("03_killed", "import os\nos.kill(os.getpid(), 9)", "print('never')")
    project.write("04_exit", "import sys\nsys.exit(0)", "print('never')")
    project.write("05_slow", SPIN)
    project.write("06_orders", "1 / 0", needs=["orders"], stays_open="contact")
    project.write("07_unfed", UNFED, "print('never')")
    run = project.run(settings=[f"data_file={data_file}"], tables={"events"})
    run.progress = Progress(Path.open(project.root / "log", "w"))
    good = run.execute(Limits(jobs=2, cell_timeout=8))
    return run, good, project


def test_a_notebook_that_its_data_cannot_feed_ends_with_a_sentence(sprung):
    run, _, _ = sprung
    entry = Manifest.read(run.folder).notebooks["07_unfed"]
    assert entry.reason == "Nobody has <anything> to find."
    assert entry.why == {"mean": "no user"}
    page = (run.folder / "07_unfed.html").read_text()
    assert '<p class="note">Nobody has &lt;anything&gt; to find.</p>' in page
    assert '<div class="output note">Nobody has &lt;anything&gt; to find.</div>' in page
    assert "never" not in page  # nothing of what follows
    assert "mean: no user" in (run.folder / "index.html").read_text()
    assert json.loads((run.folder / "metrics.json").read_text())["07_unfed"] == {"mean": None}


def test_a_question_without_its_table_stays_open_on_the_index(sprung):
    run, _, _ = sprung
    [finding] = json.loads((run.folder / "findings.json").read_text())["06_orders"]
    assert finding["values"] == {"question": "contact", "table": "orders"}
    index = (run.folder / "index.html").read_text()
    assert "What a contact is worth is not known: it would take the table orders" in index


def test_status_is_what_happened(sprung):
    run, good, _ = sprung
    assert not good
    entries = Manifest.read(run.folder).notebooks
    assert {name: entry.status for name, entry in entries.items()} == {
        "01_good": "ok",
        "02_error": "failed",
        "03_killed": "failed",
        "04_exit": "failed",
        "05_slow": "failed",
        "06_orders": "not applicable",
        "07_unfed": "not applicable",
    }
    for name, words in (
        ("02_error", "ZeroDivisionError: division by zero"),
        ("03_killed", "DeadKernelError"),
        ("04_exit", "SystemExit: 0"),
        ("05_slow", "CellTimeoutError"),
        ("06_orders", "no orders table"),
    ):
        assert words in entries[name].reason


def test_failed_notebooks_are_kept_and_on_the_index(sprung):
    run, _, _ = sprung
    names = {path.name for path in run.folder.iterdir()}
    failed = {f"{name}.failed.ipynb" for name in ("02_error", "03_killed", "04_exit", "05_slow")}
    expected = {"01_good.ipynb", "01_good.html", "01_good", "02_error.html"} | failed
    assert expected <= names
    unwanted = (".", "06_orders.ipynb", "02_error.ipynb")
    assert not {name for name in names if name.startswith(unwanted)}
    lacking = (run.folder / "06_orders.html").read_text()  # its neighbours link it
    assert "no orders table" in lacking
    index = (run.folder / "index.html").read_text()
    assert "ZeroDivisionError: division by zero" in index
    assert "no orders table" in index
    assert not (run.folder.parent / "latest").exists()


def test_no_orphan_and_no_scratch(sprung):
    run, _, _ = sprung
    assert running(MARK) == []
    assert not [p for p in run.folder.rglob("*") if p.name.endswith(".tmp")]


def test_results_and_manifest(sprung):
    run, _, project = sprung
    metrics = json.loads((run.folder / "metrics.json").read_text())
    good = {"kernel": sys.executable, "tenth": 0.1, "threads": "10"}
    assert metrics == {"01_good": good, "07_unfed": {"mean": None}}
    manifest = Manifest.read(run.folder)
    assert manifest.status == "failed"
    data_file = project.root / "数据 1.csv"
    # sha256sum of the two lines "a" and "1"
    digest = subprocess.run(["sha256sum", data_file], capture_output=True, check=True).stdout
    assert manifest.data == {str(data_file): digest.split()[0].decode()}
    assert manifest.notebooks["01_good"].record == {"split": "abc"}
    assert manifest.parameters["01_good"]["seed"] == 4
    assert set(manifest.outputs) >= {"01_good.ipynb", "index.html", "metrics.json", "params.yaml"}
    assert json.loads((run.folder / "manifest.json").read_text())["seeds"]["01_good"] == 4
    assert run.folder.stat().st_mode & 0o777 == 0o700


def test_plain_lines_where_there_is_no_terminal(sprung):
    _, _, project = sprung
    log = (project.root / "log").read_text()
    assert "\x1b" not in log
    assert "\r" not in log
    assert "01_good: started\n" in log
    assert "06_orders: not applicable no orders table\n" in log


def test_resume_redoes_what_failed(sprung):
    run, _, project = sprung
    before = (run.folder / "01_good.ipynb").stat().st_mtime_ns
    metrics = (run.folder / "metrics.json").read_bytes()
    for name in ("02_error", "03_killed", "04_exit", "05_slow"):
        project.write(name, "1 + 1")
    again = resume(run.folder, read_notebooks(project.root / "notebooks"), NO_TABLES)
    again.progress = run.progress
    pending = [
        name for name, entry in again.manifest.notebooks.items() if entry.status == "pending"
    ]
    assert pending == ["02_error", "03_killed", "04_exit", "05_slow"]
    assert again.execute(Limits(jobs=2))
    assert (run.folder / "01_good.ipynb").stat().st_mtime_ns == before
    assert (run.folder / "metrics.json").read_bytes() == metrics
    assert not list(run.folder.glob("*.failed.ipynb"))
    assert (run.folder.parent / "latest").resolve() == run.folder
    third = resume(run.folder, again.notebooks, NO_TABLES)
    assert third.manifest.notebooks == again.manifest.notebooks


def test_two_runs_give_equal_bytes(sprung):
    run, _, project = sprung
    settings = [f"data_file={project.root / '数据 1.csv'}"]
    second = project.run("01_good", settings=settings)
    second.progress = run.progress
    assert second.execute(Limits())
    equal = "01_good/metrics.json"
    assert (second.folder / equal).read_bytes() == (run.folder / equal).read_bytes()
    assert (run.folder.parent / "latest").resolve() == second.folder
    notebook = nbformat.read(second.folder / "01_good.ipynb", as_version=4)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def test_runs_of_one_second_get_a_suffix(tmp_path):
    names = [_new_folder(tmp_path, "p").name for _ in range(20)]
    assert len(set(names)) == 20
    assert any(name.endswith("Z-p-2") for name in names)


def test_a_page_that_cannot_be_made_fails_its_notebook_only(project, monkeypatch):
    project.write("01_a", "1 + 1")
    run = project.run()
    monkeypatch.setattr("kpay_lab.report.runner.page", lambda *_: 1 / 0)
    assert not run.execute(Limits())
    entry = Manifest.read(run.folder).notebooks["01_a"]
    assert entry.reason == "its page cannot be made: ZeroDivisionError: division by zero"
    (run.folder / ".index.html.x.tmp").touch()
    assert not resume(run.folder, run.notebooks, NO_TABLES).execute(Limits())
    assert not list(run.folder.glob(".*"))
    with pytest.raises(ValueError, match="the run has 01_a, which notebooks/ no longer has"):
        resume(run.folder, {}, NO_TABLES)


@pytest.mark.slow
def test_total_timeout(project):
    project.write("01_slow", "print('begun')", SPIN)
    run = project.run()
    assert not run.execute(replace(Limits(), timeout=20))
    entry = Manifest.read(run.folder).notebooks["01_slow"]
    assert entry.reason == "it ran longer than the 20 s allowed in all"
    assert "begun" in (run.folder / "01_slow.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_runner_leaves_no_process_and_can_be_resumed(project, sent):
    spin = f"import os\nif not os.path.exists({str(project.root / 'go')!r}):\n    " + (
        "import time; time.sleep(600)"
    )
    project.write("01_first", "1 + 1")
    project.write("02_spin", spin)
    (project.root / "params" / "default.yaml").write_text("shared: {}\n")
    command = [sys.executable, "-c", "from kpay_lab.cli import main; main()", "run"]
    log = project.root / "log"
    with log.open("w") as stream:
        runner = subprocess.Popen(command, cwd=project.root, stderr=stream)
    deadline, started = time.monotonic() + 300, []
    while "02_spin: started" not in log.read_text() or len(started) < 2:  # child and kernel
        assert time.monotonic() < deadline
        time.sleep(0.2)
        started = psutil.Process(runner.pid).children(recursive=True)
    runner.send_signal(sent)
    assert runner.wait(40) == {signal.SIGKILL: -9}.get(sent, 130)
    _, left = psutil.wait_procs(started, timeout=30)
    assert left == []
    (folder,) = (path for path in (project.root / "outputs").iterdir() if path.name != "latest")
    status = Manifest.read(folder).status
    assert status == "interrupted"
    (project.root / "go").touch()
    resumed = subprocess.run([*command, "--resume", folder], cwd=project.root, check=False)
    assert resumed.returncode == 0
    assert Manifest.read(folder).status == "ok"
    assert (project.root / "outputs" / "latest").resolve() == folder


def test_a_notebook_broken_meanwhile_is_refused_before_a_run_is_begun(project):
    path = project.write("01_a", "1")
    folder = project.run("01_a").folder
    path.write_text("{")
    broken = read_notebooks(project.root / "notebooks")
    with pytest.raises(ParameterError, match=r"01_a\.ipynb line 1: it is not whole JSON"):
        resume(folder, broken, NO_TABLES)
    with pytest.raises(ParameterError, match=r"01_a\.ipynb line 1: it is not whole JSON"):
        start(broken, {"01_a": {}}, "again", project.root / "outputs", NO_TABLES)
    assert list((project.root / "outputs").iterdir()) == [folder]
