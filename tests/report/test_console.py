"""The console may be lost, full, closed or of another alphabet: the run does not care."""

import os
import pty
import signal
import subprocess

import pytest

from kpay_lab.report.manifest import Manifest
from tests.report.shop import KPAY, SAVE


def slow(redirection, name):
    return pytest.param(redirection, id=name, marks=pytest.mark.slow)


REDIRECTIONS = [
    pytest.param(">/dev/full 2>&1", id="full"),
    pytest.param("<&- >&- 2>&-", id="closed"),
    pytest.param("2>&1 | head -1", id="head"),
    slow("2>/dev/full", "words full"),
    slow("2>&-", "words closed"),
    slow(">&- 2>&-", "both closed"),
    slow("2>&1 | true", "nobody reads"),
]


def shell(shop, redirection, notebook="01_save", **variables):
    """Run kpay in bash with a redirection; return its exit code and the run's status."""
    command = f'"$@" {redirection}; exit ${{PIPESTATUS[0]}}'
    outputs = str(shop.outputs)
    done = subprocess.run(
        ["bash", "-c", command, "bash", *KPAY, "run", notebook, "--output", outputs],
        cwd=shop.root,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        check=False,
    )
    return done.returncode, Manifest.read(shop.folders()[-1]).status


@pytest.mark.parametrize("redirection", REDIRECTIONS)
def test_a_stream_that_takes_no_words(shop, redirection):
    assert shell(shop, redirection) == (0, "ok")
    shop.check()


@pytest.mark.parametrize(
    "redirection", ["2>&-", slow("2>/dev/full", "full"), slow("2>&1 | true", "nobody reads")]
)
def test_the_exit_code_is_the_manifests(shop, redirection):
    shop.project.write("02_bad", "1 / 0")
    assert shell(shop, redirection, "02_bad") == (1, "failed")
    entry = Manifest.read(shop.folders()[-1]).notebooks["02_bad"]
    assert entry.reason == "cell 4: ZeroDivisionError: division by zero"


@pytest.mark.slow
def test_a_console_that_knows_no_chinese(shop):
    """The project's path and the output folder are Chinese."""
    assert shell(shop, ">said", PYTHONIOENCODING="latin-1") == (0, "ok")
    assert b"report: " in (shop.root / "said").read_bytes()


def test_a_locale_that_knows_no_chinese(shop):
    """File names then have another encoding in the runner than in a notebook's process."""
    assert shell(shop, ">said", PYTHONUTF8="0", LC_ALL="C") == (0, "ok")
    said = (shop.root / "said").read_bytes().decode("ascii")
    assert said.startswith("report: ")
    assert "\\u8f93" in said


@pytest.mark.parametrize("hangup", [signal.SIG_DFL, signal.SIG_IGN], ids=["plain", "nohup"])
def test_a_terminal_that_is_lost(shop, hangup):
    flag = shop.waits()
    shop.project.write("03_after", "1 + 1")
    read_end, terminal = pty.openpty()

    def take_terminal():
        os.setsid()
        os.login_tty(terminal)
        signal.signal(signal.SIGHUP, hangup)

    runner = subprocess.Popen(
        [*KPAY, "run", "--jobs", "1", "--output", str(shop.outputs)],
        cwd=shop.root,
        preexec_fn=take_terminal,  # noqa: PLW1509
    )
    os.close(terminal)
    shop.log = shop.root / "log"
    shop.log.touch()
    shop.until((shop.root / "flag-seen").exists)
    os.close(read_end)  # the window is closed
    flag.unlink()
    assert runner.wait(60) == 0
    manifest = Manifest.read(shop.folders()[-1])
    assert manifest.status == "ok"
    assert {entry.status for entry in manifest.notebooks.values()} == {"ok"}


def test_a_long_reason_is_short_on_console_and_index(shop):
    shop.project.write("02_long", "raise ValueError('why ' * 800)")
    assert shop.run("02_long") == 1
    (folder,) = shop.folders()
    reason = Manifest.read(folder).notebooks["02_long"].reason
    assert len(reason) > 3_000
    line = next(line for line in shop.log.read_text().splitlines() if "failed" in line)
    assert len(line) < 400
    assert "…" in line
    index = (folder / "index.html").read_text()
    assert reason not in index
    assert "ValueError: why why" in index


def test_answers_that_cannot_be_written_are_no_success(shop):
    """`kpay list` is its words: losing them is a failure, unlike a run's progress."""
    done = subprocess.run(
        ["bash", "-c", '"$@" >/dev/full', "bash", *KPAY, "list"],
        cwd=shop.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_saving_does_not_depend_on_the_console(shop):
    """The notebook's own results are the same with and without a console."""
    shop.project.write("01_save", SAVE)
    assert shell(shop, "2>&-") == (0, "ok")
    assert shell(shop, "") == (0, "ok")
    one, two = (folder / "metrics.json" for folder in shop.folders())
    assert one.read_bytes() == two.read_bytes()
