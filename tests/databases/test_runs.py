"""Whole runs on a database: what the manifest keeps, what changed, and that nothing leaks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kpay_lab.report.manifest import Manifest
from kpay_lab.world.simulate import WorldSpec, simulate
from tests.databases.servers import PASSWORD, SECRET
from tests.databases.stores import in_postgresql

ROOT = Path(__file__).parents[2]
SECRETS = (PASSWORD.encode(), SECRET.encode(), b"battery")


@pytest.fixture(scope="module")
def address(server):
    tables, _ = simulate(WorldSpec(n_users=200, n_items=40, n_days=30, seed=2))
    return in_postgresql(tables.present(), server, "runs")


def kpay(*arguments, **environment):
    """Call kpay as a user does; return the exit code and everything it said."""
    done = subprocess.run(
        [sys.executable, "-m", "kpay_lab", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert not holds_a_secret(said.encode()), said
    return done.returncode, said


def holds_a_secret(content):
    return any(secret in content for secret in SECRETS)


def run(output, *arguments):
    code, said = kpay("run", "01_data_exploration", *arguments, "--output", output)
    assert code == 0, said
    return (output / "latest").resolve()


def test_check_reads_a_database(address, password):
    code, said = kpay("check", address)
    assert code == 0, said
    assert re.search(r"events: [\d,]+ rows read", said)
    assert f"kpay run --data {address}" in said


def add_a_second(server):
    """Let somebody have watched a second longer."""
    one = "(SELECT ctid FROM events WHERE watch_time IS NOT NULL LIMIT 1)"
    server.run(f"UPDATE events SET watch_time = watch_time + 1 WHERE ctid = {one}", database="runs")


def test_a_run_keeps_what_the_tables_held_and_no_secret(address, password, server, tmp_path):
    folder = run(tmp_path / "outputs", "--profile", "smoke", "--data", address)
    with server.connect("runs") as connection:
        n_events, last = connection.execute(
            "SELECT count(*), max(timestamp) FROM events"
        ).fetchone()
    state = Manifest.read(folder).databases[f"{address} events"]
    assert state["query"] == 'SELECT * FROM "events"'
    assert state["rows"] == n_events
    assert state["last"].startswith(f"{last:%Y-%m-%d %H:%M:%S}")
    assert re.fullmatch("[0-9a-f]{64}", state["totals"])
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if holds_a_secret(path.read_bytes())]
    assert kpay("run", "--resume", folder)[0] == 0
    add_a_second(server)
    code, said = kpay("run", "--resume", folder)
    assert code == 2
    (line,) = said.splitlines()
    assert f"{address} events: totals" in line
    assert "rows" not in line


@pytest.mark.slow
def test_verify_says_which_table_changed(address, password, server, tmp_path):
    folder = run(tmp_path / "outputs", "--profile", "smoke", "--data", address)
    rows = Manifest.read(folder).databases[f"{address} events"]["rows"]
    code, said = kpay("verify", folder)
    assert code == 0, said
    one_more = "INSERT INTO events SELECT * FROM events LIMIT 1"
    server.run(one_more, database="runs")
    code, said = kpay("verify", folder)
    assert code == 1
    assert f"changed input table {address} events: rows {rows} → {rows + 1}, totals" in said


def test_no_refusal_gives_a_password_away(address, password, server):
    with_password = f"postgresql://owner:{SECRET}@127.0.0.1:{server.port}/runs"
    for arguments in (
        ("check", with_password),
        ("run", "01", "--data", with_password),
        ("run", "01", "--set", "dataset=tables", "--set", f"data_dir={with_password}"),
        ("params", "01", "--set", "dataset=tables", "--set", f"data_dir={with_password}"),
        ("recommend", "--data", with_password, "-o", "lists.csv"),
    ):
        code, said = kpay(*arguments)
        assert code == 2
        assert "holds a password" in said
    wrong = password.replace("correct", "incorrect")
    code, said = kpay("check", address, KPAY_DATABASE_URL=wrong, KPAY_DEBUG="1")
    assert code != 0
    assert "password authentication failed" in said
