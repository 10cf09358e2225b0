"""Faults, really made: after each, whole files, no orphan, an honest status, and a resume."""

import ctypes
import resource
import signal
import subprocess
import time

import nbformat
import numpy as np
import pytest

from kpay_lab.report.manifest import Manifest
from tests.report.shop import KPAY

ORPHAN = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"
pytestmark = pytest.mark.slow  # each runs kpay several times
# A runner may be done when the signal comes; killed outright, it may have no notebook's process
# yet, or no longer, that tells of it.
STATUS = {
    0: ["ok"],
    130: ["interrupted"],
    -signal.SIGTERM: ["ok"],
    -signal.SIGKILL: ["interrupted", "running", "ok"],
}


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_runner_killed_at_ten_random_moments(shop, sent):
    shop.project.write("02_more", ORPHAN, "import time; time.sleep(1)", "print('文' * 5000)")
    begun = time.monotonic()
    assert shop.run("--jobs", 2) == 0
    whole = time.monotonic() - begun
    shop.check()
    seen = []
    for moment in np.random.default_rng(0).uniform(0, whole, 10):
        before = len(shop.folders())
        runner = shop.start("--jobs", 2)
        time.sleep(moment)
        runner.send_signal(sent)
        code = runner.wait(60)
        patience = 20 if sent == signal.SIGKILL else 0
        shop.check(patience)
        if len(shop.folders()) == before:  # it had not begun
            assert code in (-sent, 130)
            continue
        manifest = shop.folders()[-1] / "manifest.json"
        assert manifest.is_file() or code == -signal.SIGKILL
        if not manifest.is_file():
            continue
        seen.append(shop.status())
        assert seen[-1] in STATUS[code], shop.log.read_text()
        shop.resumes(patience)
    assert seen


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_runner_killed_in_the_middle_of_a_cell(shop, sent):
    flag = shop.waits()
    runner = shop.start("--jobs", 1)
    shop.until((shop.root / "flag-seen").exists)
    runner.send_signal(sent)
    assert runner.wait(60) == (130 if sent == signal.SIGTERM else -sent)
    shop.check(patience=20)
    manifest = Manifest.read(shop.folders()[-1])
    found = {name: entry.status for name, entry in manifest.notebooks.items()}
    assert found == {"01_save": "ok", "02_wait": "interrupted"}
    assert manifest.status == "interrupted" and manifest.finished
    flag.unlink()
    shop.resumes()


@pytest.mark.parametrize("victim", ["kpay_lab.report.kernel", "kpay_lab.report.execute"])
def test_a_killed_kernel_or_child(shop, victim):
    flag = shop.waits()
    runner = shop.start("--jobs", 1)
    shop.until((shop.root / "flag-seen").exists)
    (process,) = shop.processes(victim)
    process.kill()
    assert runner.wait(60) == 1
    shop.check()
    entries = Manifest.read(shop.folders()[-1]).notebooks
    assert (entries["01_save"].status, entries["02_wait"].status) == ("ok", "failed")
    said = {
        "kpay_lab.report.kernel": "the kernel was killed (signal 9), as a machine does",
        "kpay_lab.report.execute": "code -9",
    }
    assert said[victim] in entries["02_wait"].reason
    flag.unlink()
    shop.resumes()


@pytest.mark.parametrize("limit", [3_000, 12_000, 40_000])
def test_a_full_disk(shop, limit):
    """A limit on a file's size stands for it: writing on then fails in the same way."""

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    assert shop.run(preexec_fn=limited) == 1
    assert "File too large" in shop.log.read_text()
    assert "Traceback" not in shop.log.read_text()
    shop.check()
    (folder,) = shop.folders()
    if (folder / "manifest.json").is_file():
        assert shop.status() == "failed"
        shop.resumes()
    else:
        assert limit == 3_000
        assert shop.run() == 0


def without_override():
    """Let permission bits bite root too: drop CAP_DAC_OVERRIDE for the next program."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP; refused to others than root


@pytest.fixture
def bound(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    tried = subprocess.run(["touch", closed / "x"], preexec_fn=without_override, check=False)
    if tried.returncode == 0:
        pytest.skip("this user may write anywhere, and cannot give that up")
    return without_override


def test_outputs_that_cannot_be_written(shop, bound):
    shop.outputs.mkdir(mode=0o555)
    assert shop.run(preexec_fn=bound) == 1
    (line,) = shop.log.read_text().splitlines()
    assert "Permission denied" in line
    assert str(shop.outputs) in line
    shop.check()
    shop.outputs.chmod(0o755)
    assert shop.run(preexec_fn=bound) == 0


def test_outputs_that_turn_read_only(shop, bound):
    flag = shop.root / "flag"
    flag.touch()
    closing = f"import os\nif os.path.exists({str(flag)!r}):\n    os.chmod(output_dir, 0o555)"
    shop.project.write("02_close", closing)
    assert shop.run("--jobs", 1, preexec_fn=bound) == 1
    assert "Permission denied" in shop.log.read_text().splitlines()[-1]
    shop.check()
    (folder,) = shop.folders()
    assert shop.status() == "running"  # the last thing that could be written
    flag.unlink()
    folder.chmod(0o700)
    shop.resumes()


def test_two_runs_at_once_and_two_on_one_folder(shop):
    flag = shop.waits()
    runners = [shop.start("--jobs", 2) for _ in range(2)]

    def both_wait():
        runs = [path for path in shop.folders() if (path / "manifest.json").is_file()]
        saved = [Manifest.read(path).notebooks["01_save"].status for path in runs]
        return saved == ["ok", "ok"] and len(shop.processes("kpay_lab.report.kernel")) == 2

    shop.until(both_wait)
    refused = subprocess.run(
        [*KPAY, "run", "--resume", shop.folders()[0]],
        cwd=shop.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "another process is at work on" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    flag.unlink()
    assert [runner.wait(120) for runner in runners] == [0, 0]
    assert len(shop.folders()) == 2
    one, two = (folder / "metrics.json" for folder in shop.folders())
    assert one.read_bytes() == two.read_bytes()
    assert (shop.outputs / "latest").resolve() in shop.folders()
    shop.check()


def test_200_000_lines(shop):
    shop.project.write("02_talk", "for i in range(200_000):\n    print('line', i)")
    assert shop.run("02_talk") == 0
    shop.check()
    (folder,) = shop.folders()
    page = (folder / "02_talk.html").read_text()
    assert "199,600 lines left out" in page
    assert "line 199999" in page
    assert len(page) < 100_000
    (cell,) = nbformat.read(folder / "02_talk.ipynb", as_version=4).cells[-1:]
    assert "".join(output.text for output in cell.outputs).count("\n") == 200_000
