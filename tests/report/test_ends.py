"""Beginnings and ends: the links, scratch folders and last words of a run."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from kpay_lab.report.manifest import Manifest
from tests.report.shop import KPAY

STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({flag!r} + "-seen", "w")
while True:
    time.sleep(0.1)"""
BIG = """
import numpy as np
from pathlib import Path
noise = np.random.default_rng(0).bytes(200_000_000)
with open(Path(output_dir) / "big", "wb") as stream:
    stream.write(noise)
"""


def test_latest_may_be_a_real_folder(shop):
    """It was copied, or unzipped from an archive that holds no links."""
    latest = shop.outputs / "latest"
    latest.mkdir(parents=True)
    (latest / "index.html").write_text("a copy")
    assert shop.run() == 0
    assert shop.status() == "ok"
    assert (latest / "index.html").read_text() == "a copy"
    assert f"{latest} is a folder and no link; it was left as it is" in shop.log.read_text()


@pytest.mark.slow
def test_a_broken_link_latest_is_mended(shop):
    shop.outputs.mkdir()
    (shop.outputs / "latest").symlink_to("gone")
    assert shop.run() == 0
    assert (shop.outputs / "latest").resolve() == shop.folders()[-1]


@pytest.mark.slow
def test_an_interrupted_verify_leaves_nothing(shop):
    flag = shop.waits()
    flag.unlink()
    assert shop.run() == 0
    flag.touch()
    (shop.root / "flag-seen").unlink()
    scratch = shop.root / "tmp"
    scratch.mkdir()
    verifying = subprocess.Popen(
        [*KPAY, "verify", shop.folders()[-1]],
        cwd=shop.root,
        env=os.environ | {"TMPDIR": str(scratch), "KPAY_TEST_MARK": shop.mark},
        stderr=subprocess.DEVNULL,
    )
    shop.until((shop.root / "flag-seen").exists)
    verifying.send_signal(signal.SIGINT)
    assert verifying.wait(60) == 130
    assert list(scratch.iterdir()) == []
    shop.check()


@pytest.mark.slow
def test_killed_while_it_ends(shop):
    """The notebook ignores what should end it, so that tidying takes seconds."""
    shop.project.write("02_stubborn", STUBBORN.format(flag=str(shop.root / "flag")))
    runner = shop.start("--jobs", 1)
    shop.until((shop.root / "flag-seen").exists)
    runner.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert runner.poll() is None
    runner.kill()
    runner.wait(60)
    assert shop.status() == "interrupted"
    shop.check(patience=30)
    manifest = Manifest.read(shop.folders()[-1])
    assert manifest.status == "interrupted"
    assert manifest.notebooks["02_stubborn"].status == "interrupted"


def test_a_disk_that_is_full_at_the_end(shop):
    """The outputs lie on a file system of 24 MB that a notebook fills."""
    unshare = shutil.which("unshare")
    own = ("--user", "--map-root-user", "--mount")
    if not unshare or subprocess.run([unshare, *own, "true"], check=False).returncode:
        pytest.skip("this machine gives no file system of one's own")
    shop.outputs.mkdir()
    saved = shop.root / "saved"
    shop.project.write("02_big", BIG)
    script = (
        f'mount -t tmpfs -o size=24m tmpfs "{shop.outputs}"; "$@"; code=$?; '
        f'cp -r "{shop.outputs}" "{saved}"; exit $code'
    )
    command = [*KPAY, "run", "--jobs", "1", "--output", shop.outputs]
    done = subprocess.run(
        [unshare, *own, "sh", "-c", script, "sh", *command],
        cwd=shop.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (folder,) = saved.glob("2*")
    manifest = Manifest.read(folder)
    assert manifest.status == "failed"
    assert manifest.notebooks["01_save"].status == "ok"
    assert "No space left on device" in manifest.notebooks["02_big"].reason
    index = (folder / "index.html").read_text()
    assert "No space left on device" in index
    assert index.rstrip().endswith("</html>")
    assert not list(folder.rglob(".*"))
