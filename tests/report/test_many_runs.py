"""A runner that goes on for long: run after run in one process, into one folder."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import psutil
import pytest

from kpay_lab.report.manifest import Manifest
from kpay_lab.report.profile import Domain, read_project, resolve
from kpay_lab.report.runner import Limits, start
from tests.report.conftest import ALL_TABLES, new_project
from tests.report.shop import Shop, private_runs

NOTEBOOK, PROFILE = "02_interest_matrix", "smoke"
RUNS = 200
# Measured over 200 runs: 84.6 MB after the first, 87.2 after 25 (buffers and caches fill), 88.3
# after 188, that is 7,000 bytes a run. Keeping each run's page would cost 1.3 MB a run.
MOST_GROWTH = 50_000  # bytes a run
ROOT = Path(__file__).parents[2]
CALL = "import sys; from tests.report.test_many_runs import repeat; repeat(*sys.argv[1:])"
pytestmark = pytest.mark.slow


def repeat(output: str, times: str) -> None:
    """Run the notebook many times; print after each the bytes that this process alone holds."""
    known, profile, _ = read_project(PROFILE)
    parameters = resolve(known, [NOTEBOOK], profile, ())
    for _ in range(int(times)):
        run = start(known, parameters, PROFILE, Path(output), Domain(lambda _: ALL_TABLES))
        run.execute(Limits())
        print(psutil.Process().memory_full_info().uss, flush=True)


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """Return the mark of a runner's processes, its folder of runs, and its memory after each."""
    shop = Shop(new_project(tmp_path_factory.mktemp("many")))
    environment = os.environ | {"KPAY_TEST_MARK": shop.mark}
    command = [sys.executable, "-c", CALL, str(shop.outputs), str(RUNS)]
    memory, log = shop.root / "memory", shop.root / "log"
    with memory.open("w") as stdout, log.open("w") as stderr:
        code = subprocess.call(command, cwd=ROOT, env=environment, stdout=stdout, stderr=stderr)
    assert code == 0, log.read_text()
    return shop, [int(line) for line in memory.read_text().split()]


def test_every_run_ends_well_with_the_same_metrics(runner):
    shop, _ = runner
    assert [Manifest.read(folder).status for folder in shop.folders()] == ["ok"] * RUNS
    metrics = {(folder / "metrics.json").read_bytes() for folder in shop.folders()}
    assert len(metrics) == 1


def test_no_process_is_left(runner):
    shop, _ = runner
    assert shop.processes() == []


def test_no_private_folder_is_left(runner):
    shop, _ = runner
    assert [run for run in private_runs() if run.is_relative_to(shop.root)] == []


def test_no_half_written_file_is_left(runner):
    shop, _ = runner
    left = [path for path in shop.outputs.rglob("*") if path.name.startswith(".")]
    left += shop.outputs.rglob("*.tmp")
    assert left == []


def test_the_runner_does_not_grow(runner):
    _, used = runner
    tenth = RUNS // 10
    early, late = used[tenth : 2 * tenth], used[-tenth:]
    runs_between = RUNS - 2 * tenth
    growth = (median(late) - median(early)) / runs_between
    assert growth < MOST_GROWTH, used
