"""A run that is taken up again never mixes two states of its data, its packages or its key."""

import json
import os
import signal
import subprocess

import pytest

from kpay_lab.report.files import sha256
from kpay_lab.report.manifest import Manifest
from tests.report.shop import KPAY

READ = """
from pathlib import Path
from kpay_lab.report.session import Session
session = Session("01_save", output_dir=output_dir)
source = Path(data_dir) / "events.csv"
session.metric("letters", len(source.read_text()))
session.data_files([source])
session.save()
"""
PARAMETERS = 'dataset: str = "tables"\ndata_dir: str = ""\nids: str = "keep"'
CHANGE = "from pathlib import Path\nPath(data_dir, 'events.csv').write_text('user_id,item_id')"


@pytest.fixture
def log(shop):
    """Give the folder of a log that 01 reads, with 02 waiting behind it."""
    folder = shop.root / "log 数据"
    folder.mkdir()
    (folder / "events.csv").write_text("user_id,item_id\nu,i\n")
    shop.project.write("01_save", READ, parameters=PARAMETERS)
    return folder


def interrupted(shop, log, *arguments, environment=None):
    """Begin a run, and end it with SIGTERM once 01 is done and 02 waits; return its folder."""
    flag = shop.waits()
    runner = shop.start("--jobs", 1, "--data", log, *arguments, environment=environment)
    shop.until((shop.root / "flag-seen").exists)
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(60) == 130
    flag.unlink()
    return shop.folders()[-1]


def resume(shop, folder, *arguments, environment=None):
    return subprocess.run(
        [*KPAY, "run", "--resume", folder, *arguments],
        cwd=shop.root,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_that_was_replaced_is_refused_until_everything_runs_anew(shop, log):
    folder = interrupted(shop, log)
    before = (folder / "manifest.json").read_bytes()
    events = log / "events.csv"
    old = sha256(events)
    events.write_text("user_id,item_id\nu,i\nu,j\n")
    refused = resume(shop, folder)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert f"{events} has changed" in line
    assert f"kpay run --resume {folder} --from-scratch" in line
    assert (folder / "manifest.json").read_bytes() == before
    anew = resume(shop, folder, "--from-scratch")
    assert anew.returncode == 0, anew.stderr
    manifest = Manifest.read(folder)
    assert manifest.status == "ok"
    assert manifest.data == {str(events): sha256(events)} != {str(events): old}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["01_save"] == {"letters": len("user_id,item_id\nu,i\nu,j\n")}


@pytest.mark.slow
def test_a_file_that_is_gone_or_new_is_refused(shop, log):
    folder = interrupted(shop, log)
    events = log / "events.csv"
    orders = log / "orders.csv"
    orders.write_text("user_id,item_id,timestamp,amount\n")
    assert f"{orders} is new" in resume(shop, folder).stderr
    orders.unlink()
    text = events.read_text()
    events.unlink()
    assert f"{events} is gone" in resume(shop, folder).stderr
    events.write_text(text)
    assert resume(shop, folder).returncode == 0


@pytest.mark.slow
def test_data_that_was_replaced_before_any_notebook_ended_is_refused_too(shop, log):
    shop.project.write("00_first", "1 + 1")
    shop.project.write("01_save", READ, "import time; time.sleep(600)", parameters=PARAMETERS)
    runner = shop.start("--jobs", 1, "--data", log)
    shop.until(lambda: "01_save: started" in shop.log.read_text())
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(60) == 130
    (log / "events.csv").write_text("user_id,item_id\n")
    assert resume(shop, shop.folders()[-1]).returncode == 2


def test_a_file_that_changes_during_the_run_fails_who_reads_it_later(shop, log):
    shop.project.write("00_change", CHANGE, parameters=PARAMETERS)
    assert shop.run("--jobs", 1, "--data", log) == 1
    entries = Manifest.read(shop.folders()[-1]).notebooks
    assert entries["00_change"].status == "ok"
    assert entries["01_save"].status == "failed"
    assert "the run began with other content of" in entries["01_save"].reason
    assert str(log / "events.csv") in entries["01_save"].reason


@pytest.mark.slow
def test_packages_that_changed_are_said_and_recorded(shop, log):
    folder = interrupted(shop, log)
    package = shop.root / "more/demo-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    done = resume(shop, folder, environment={"PYTHONPATH": str(package.parent)})
    assert done.returncode == 0, done.stderr
    entries = Manifest.read(folder).notebooks
    assert "demo" not in entries["01_save"].environment["packages"]
    assert entries["02_wait"].environment["packages"]["demo"] == "1.0"
    assert "changed package demo: None → 1.0 since this run began" in done.stderr
    index = (folder / "index.html").read_text()
    assert "02_wait: changed package demo: None → 1.0" in index


@pytest.mark.slow
def test_another_key_of_pseudonyms_is_refused(shop, log):
    first = {"KPAY_PRIVACY_KEY": "the first key of all"}
    folder = interrupted(shop, log, "--set", "ids=pseudonymise", environment=first)
    other = resume(shop, folder, environment={"KPAY_PRIVACY_KEY": "quite another key"})
    assert other.returncode == 2
    assert "its pseudonyms were made with another key" in other.stderr
    assert first["KPAY_PRIVACY_KEY"] not in (folder / "manifest.json").read_text()
    assert resume(shop, folder, environment=first).returncode == 0


def test_from_scratch_without_a_run_is_a_wrong_use(shop):
    assert shop.run("--from-scratch") == 2
    assert "--from-scratch goes with --resume RUN" in shop.log.read_text()
