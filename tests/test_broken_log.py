"""A log too broken to report on still leaves what was set aside, for whoever must mend it."""

import subprocess
import sys

import pandas as pd
import pytest

from tests.running import ROOT


def failed_run(tmp_path, *arguments):
    """Run notebook 01 on a log of which every fourth row is bad; return the run's folder."""
    rows = [f"secret-{n % 90},{'' if n % 4 == 0 else f'v{n % 30}'},{n % 60}" for n in range(1_200)]
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id,watch_time\n" + "\n".join(rows) + "\n")
    output = tmp_path / "out"
    command = [sys.executable, "-m", "kpay_lab", "run", "01", "--data", str(log)]
    done = subprocess.run(
        [*command, "--output", str(output), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "300 of 1,200 rows were rejected (25.0%)" in done.stderr
    (folder,) = output.glob("2*")
    return folder


def test_rejected_rows_of_a_broken_log_are_kept(tmp_path):
    folder = failed_run(tmp_path)
    rejected = pd.read_csv(folder / "rejected/01_data_exploration.csv")
    assert len(rejected) == 300
    assert set(rejected["column"]) == {"item_id"}


@pytest.mark.slow
def test_they_name_nobody_under_pseudonyms(tmp_path):
    folder = failed_run(tmp_path, "--set", "ids=pseudonymise")
    text = (folder / "rejected/01_data_exploration.csv").read_text()
    assert text.count("\n") == 301
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"secret-" not in path.read_bytes(), path
