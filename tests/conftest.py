"""What many tests share: small worlds, the real data, and runs of the notebooks."""

import fcntl
import json
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pandas as pd
import pytest

from kpay_lab.data.tables import Tables
from kpay_lab.interest.tiny import tiny_world
from tests.running import Run, kpay_run

# A property holds or it does not, however long a busy machine takes over one example.
hypothesis.settings.register_profile("kpay_lab", deadline=None)
hypothesis.settings.load_profile("kpay_lab")

SHARED_DATA = Path(__file__).parents[1] / ".." / "shared" / "data"


@pytest.fixture(autouse=True)
def close_figures():
    """Let no test leave a figure open."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):  # not imported where nothing is drawn
        pyplot.close("all")


@pytest.fixture(scope="session")
def real_data():
    """Return a function: name of a real data set -> its folder, or skip with the reason."""

    def folder(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.is_dir():
            pytest.skip(f"real data {name} is not at ../shared/data/{name}")
        return path

    return folder


@pytest.fixture
def tiny() -> Tables:
    """4 users x 5 items, small enough to compute by hand."""
    return tiny_world()


@pytest.fixture(scope="session")
def small_world():
    """A simulated world of 200 users: (Tables, GroundTruth)."""
    from kpay_lab.world.simulate import WorldSpec, simulate

    return simulate(WorldSpec(n_users=200, n_items=60, n_days=30, seed=0))


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory) -> Callable[[str], Run]:
    """Return a function: notebook -> its smoke run, made once for all tests and workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-gw") else base

    def run(notebook: str) -> Run:
        output = shared / f"smoke 报告 {notebook}"
        with (shared / f"{notebook}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not output.exists():
                kpay_run(output, notebook, "--profile", "smoke")
        folder = (output / "latest").resolve(strict=True)
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return folder, metrics[notebook]

    return run


@pytest.fixture(scope="module")
def smoke(request, smoke_run) -> Run:
    """Give the smoke run of the notebook that a module's ``NAME`` names."""
    return smoke_run(request.module.NAME)


def utc(*texts: str) -> pd.Series:
    """Times as the tables hold them."""
    return pd.Series(pd.to_datetime(list(texts), utc=True)).astype("datetime64[us, UTC]")
