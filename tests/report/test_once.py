"""The data of a run are read once, lie in a private folder while it lasts, and never stay."""

import json
import os
import signal
import subprocess
import threading

import pandas as pd
import pytest

from kpay_lab.report.manifest import ADMITTED, Manifest
from kpay_lab.report.params import read_notebooks
from kpay_lab.report.profile import Domain
from kpay_lab.report.runner import Limits, start
from tests.report.shop import KPAY

PARAMETERS = """dataset: str = "tables"
data_dir: str = ""
since: str = ""
ids: str = "keep\""""
OPEN = """
from kpay_lab.report.session import Session
from kpay_lab.workbench import open_log
session = Session("01_save", output_dir=output_dir)
log = open_log(data_dir, dataset=dataset, since=since, ids=ids)
session.metric("events", len(log.tables.events))
session.metric("notes", " ".join(log.notes))
session.metric("first", log.tables.events["user_id"].iloc[0])
session.metric("evidence", len(log.rejected.evidence()))
session.save()
"""
MOVE_AWAY = "from pathlib import Path\nPath(data_dir, 'events.csv').rename(data_dir + '/away')"
HIDDEN_NAME = b"ann.secret@example.org"


@pytest.fixture
def log(shop):
    """Give the folder of a log that 01 opens."""
    folder = shop.root / "shop log"
    folder.mkdir()
    lines = [f"{HIDDEN_NAME.decode()},i{n},2026-01-0{1 + n % 9}" for n in range(60)]
    text = "\n".join(["user_id,item_id,timestamp", *lines, ",nobody,2026-01-01"])
    (folder / "events.csv").write_text(text + "\n")
    shop.project.write("01_save", OPEN, parameters=PARAMETERS)
    return folder


@pytest.fixture
def waiting(shop, log):
    """Begin a run whose 02 waits, with its data in the private folder; return runner and folder."""

    def begin(*arguments):
        shop.waits()
        runner = shop.start("--jobs", 1, "--data", log, *arguments)
        shop.until((shop.root / "flag-seen").exists)
        return runner, shop.folders()[-1] / ADMITTED

    return begin


def metrics(shop):
    return json.loads((shop.folders()[-1] / "metrics.json").read_text())["01_save"]


def content(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_notebook_finds_what_was_read_before_it(shop, log):
    shop.project.write("00_away", MOVE_AWAY, parameters=PARAMETERS)
    assert shop.run("--jobs", 1, "--data", log) == 0, shop.log.read_text()
    found = metrics(shop)
    assert found["events"] == 60
    assert found["evidence"] == 1
    assert found["first"] == HIDDEN_NAME.decode()


@pytest.mark.slow
def test_a_notebook_alone_reads_the_source_itself(shop, log):
    code = (
        f"output_dir = {str(shop.root / 'interactive')!r}\n{PARAMETERS}\n"
        f"data_dir = {str(log)!r}\n{OPEN}\nassert len(log.files) == 1"
    )
    command = [KPAY[0], "-c", code]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_folder_is_private_and_gone_at_the_end(shop, waiting):
    runner, kept = waiting()
    assert kept.stat().st_mode & 0o777 == 0o700
    assert HIDDEN_NAME in content(kept)
    (shop.root / "flag").unlink()
    assert runner.wait(60) == 0
    assert not list(kept.parent.rglob(".*"))
    manifest = Manifest.read(kept.parent)
    assert len(manifest.admitted) == 1
    assert not [name for name in manifest.outputs if ADMITTED in name]


def test_it_holds_pseudonyms_where_they_are_asked_for(shop, waiting):
    runner, kept = waiting("--set", "ids=pseudonymise")
    held = content(kept)
    assert HIDDEN_NAME not in held
    (shop.root / "flag").unlink()
    assert runner.wait(60) == 0
    assert metrics(shop)["first"].encode() in held


@pytest.mark.slow
def test_it_is_gone_when_a_notebook_fails(shop, log):
    shop.project.write("02_fails", "1 / 0")
    assert shop.run("--data", log) == 1
    assert not list(shop.folders()[-1].rglob(".*"))


def test_it_is_gone_when_the_run_is_interrupted(shop, waiting):
    runner, kept = waiting()
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(60) == 130
    assert not kept.exists()


@pytest.mark.slow
def test_it_is_gone_when_the_runner_is_killed(shop, waiting):
    runner, kept = waiting()
    runner.kill()
    runner.wait(60)
    shop.until(lambda: not kept.exists(), seconds=30)
    shop.until(lambda: shop.status() == "interrupted", seconds=30)


@pytest.mark.slow
def test_what_a_killed_run_left_goes_with_the_next_and_a_run_at_work_keeps_its_own(
    shop, log, waiting
):
    runner, kept = waiting()
    left = shop.outputs / "20200101T000000Z-default" / ADMITTED
    left.mkdir(parents=True)
    (left.parent / "params.yaml").write_text("{}")
    (left / "events.arrow").write_bytes(HIDDEN_NAME)
    beside = [*KPAY, "run", "01", "--data", log, "--output", shop.outputs]
    assert subprocess.run(beside, cwd=shop.root, check=False).returncode == 0
    assert not left.exists()
    assert HIDDEN_NAME in content(kept)
    (shop.root / "flag").unlink()
    assert runner.wait(60) == 0


def test_a_resume_reads_anew_and_refuses_what_is_read_otherwise(shop, waiting):
    runner, kept = waiting()
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(60) == 130
    (shop.root / "flag").unlink()
    shop.project.write("01_save", OPEN, "# more", parameters=PARAMETERS)
    folder = kept.parent
    path = folder / "manifest.json"
    whole = json.loads(path.read_text())
    ((name, sha256),) = whole["admitted"].items()
    whole["notebooks"]["01_save"]["status"] = "failed"
    path.write_text(json.dumps(whole | {"admitted": {name: "0" * 64}}))
    before = path.read_bytes()
    assert shop.run("--resume", folder) == 2
    lines = [line for line in shop.log.read_text().splitlines() if line.startswith("kpay:")]
    (line,) = lines
    assert "the data changed since this run began" in line
    assert f"kpay run --resume {folder} --from-scratch" in line
    assert path.read_bytes() == before
    assert not kept.exists()
    path.write_text(json.dumps(whole))
    assert shop.run("--resume", folder) == 0, shop.log.read_text()
    assert Manifest.read(folder).admitted == {name: sha256}


@pytest.mark.slow
def test_a_sweep_keeps_a_log_for_each_window_and_no_more(shop, log):
    grid = shop.root / "grid.yaml"
    grid.write_text("since: ['', '2026-01-05']\nids: [keep]\n")
    command = [*KPAY, "sweep", "01_save", "--grid", grid, "--data", log, "--output", shop.outputs]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder,) = shop.folders()
    assert len(Manifest.read(folder).admitted) == 2
    table = pd.read_csv(folder / "sweep.csv")
    assert table["events"].tolist() == [60, 32]
    assert not list(folder.rglob(".admitted"))


def run_with_reader(project, reader):
    project.write("01", "x = 1")
    known = read_notebooks(project.root / "notebooks")
    domain = Domain(lambda _: set(), are_read_once=lambda _: True, reader=reader)
    parameters = {"01": dict(known["01"].defaults)}
    return start(known, parameters, "tiny", project.root / "outputs", domain)


def test_a_reader_that_fails_is_said_and_every_notebook_reads_for_itself(project, capsys):
    run = run_with_reader(project, "kpay_lab.nothing")
    assert run.execute(Limits())
    said = capsys.readouterr().err
    assert "the data could not be read once for all notebooks" in said
    assert "No module named kpay_lab.nothing" in said
    assert not list(run.folder.rglob(".*"))


def test_a_run_is_interrupted_while_its_data_are_read(project):
    run = run_with_reader(project, "code")  # Python's own console: it waits for input
    threading.Timer(1.0, run.stop.set).start()
    assert not run.execute(Limits())
    assert run.manifest.status == "interrupted"
    assert not list(run.folder.rglob(".*"))
    assert "KPAY_ADMITTED" not in os.environ
