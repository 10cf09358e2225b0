"""What the browser tests share: Chromium, a smoke report, and a running JupyterLab."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync")


@pytest.fixture(scope="session")
def browser():
    """Return the system's Chromium, headless, or skip with the reason."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    from playwright.sync_api import sync_playwright

    arguments = [*QUIET, "--no-first-run", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """The folder of a run of every notebook on the smoke profile."""
    folder = tmp_path_factory.mktemp("a report 报告")
    command = [sys.executable, "-m", "kpay_lab", "run", "--profile", "smoke", "--output", folder]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "latest").resolve()


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the notebooks in which the smoke parameters stand below the defaults."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "params", folder / "params")
    (folder / "notebooks").mkdir()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        command = [sys.executable, "-m", "kpay_lab", "params", path.stem, "--profile", "smoke"]
        values = yaml.safe_load(subprocess.check_output(command, cwd=ROOT, text=True))
        notebook = parameterize_notebook(load_notebook_node(str(path)), values)
        nbformat.write(notebook, folder / "notebooks" / path.name)
    return folder


@pytest.fixture(scope="session")
def lab(project, tmp_path_factory):
    """A JupyterLab on the project, as `make lab` starts it: the address of its files."""
    home = tmp_path_factory.mktemp("jupyter")
    settings = home / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)  # show every cell, also those that are not on the screen
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    names = ("JUPYTERLAB_SETTINGS_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token=t"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", *options],
        cwd=project,
        env=os.environ | dict.fromkeys(names, str(home)),
        stdout=(home / "log").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_answered(f"{address}/api/status?token=t", server, home / "log")
        yield f"{address}/lab/tree/notebooks/{{}}?token=t&reset"
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the kernels too
        server.wait(30)


def _wait_until_answered(address, server, log):
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not answer:\n{log.read_text()}")
