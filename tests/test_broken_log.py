"""A log too broken to report on starts no notebook, and leaves what was set aside."""

import subprocess
import sys

import pandas as pd
import pytest

from tests.running import ROOT


def failed_run(tmp_path, *arguments):
    """Run notebook 01 on a log of which every fourth row is bad; return the file that is left."""
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
    assert f"kpay check {log} shows it" in done.stderr
    (left,) = output.iterdir()  # no folder of a run: no kernel was started
    return left


def test_rejected_rows_of_a_broken_log_are_kept(tmp_path):
    left = failed_run(tmp_path)
    assert left.name.startswith("refused-")
    rejected = pd.read_csv(left)
    assert len(rejected) == 300
    assert set(rejected["column"]) == {"item_id"}


@pytest.mark.slow
def test_they_name_nobody_under_pseudonyms(tmp_path):
    text = failed_run(tmp_path, "--set", "ids=pseudonymise").read_text()
    assert text.count("\n") == 301
    assert "secret-" not in text
