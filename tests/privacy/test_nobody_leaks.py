"""Plant ids and a key, run the notebooks, and look for them in everything a run leaves."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from kpay_lab.data.tables import Tables
from kpay_lab.data.writing import write_tables
from kpay_lab.report.params import ParameterError, read_notebooks
from kpay_lab.report.profile import read_profile, resolve
from kpay_lab.workbench import open_log

KEY = "the-planted-key-of-the-privacy-test"
USER = "planted-user-"
PHONE = "+86-555-01"
EMAIL = "@planted.example"
KEYS = f"{KEY}|{base64.b64encode(KEY.encode()).decode()}"
SECRETS = re.compile(f"{USER}|{re.escape(PHONE)}|{EMAIL}|{KEYS}")
FOR_MACHINES = {"rejected/01_data_exploration.csv"}


def planted_log(small_world, folder: Path, *, further: bool) -> Path:
    """Write the small world with telling ids and three rows to be set aside.

    With ``further`` the users also have a phone number and an e-mail address.
    """
    frames = dict(small_world[0].present())
    for name, frame in frames.items():
        changed = {}
        if "user_id" in frame:
            changed["user_id"] = USER + frame["user_id"].astype("str")
        if "session_id" in frame:
            changed["session_id"] = changed["user_id"] + "-" + frame["session_id"]
        frames[name] = frame.assign(**changed)
    if further:
        numbers = pd.Series(range(len(frames["users"]))).astype("str").str.zfill(3)
        frames["users"]["phone"] = PHONE + numbers
        frames["users"]["email"] = numbers + EMAIL
    write_tables(Tables(**frames), folder)
    columns = len(frames["events"].columns) - 2
    with (folder / "events.csv").open("a") as events:
        events.write(f"{USER}u99999,i0001{',' * columns}\n{USER}u00001,i0001\n")
        events.write(f'"{USER}u00002,never closed\n')
    return folder


@pytest.fixture(scope="module")
def log(small_world, tmp_path_factory):
    return planted_log(small_world, tmp_path_factory.mktemp("log"), further=True)


@pytest.fixture(scope="module")
def known_columns(small_world, tmp_path_factory):
    return planted_log(small_world, tmp_path_factory.mktemp("known"), further=False)


def run(log: Path | None, output: Path, pattern: str, *settings: str) -> tuple[Path, str]:
    """Run notebooks on a log or the simulated world; return the folder and what was printed."""
    names = [path.stem for path in sorted(Path("notebooks").glob(pattern))]
    command = [sys.executable, "-m", "kpay_lab", "run", *names, "--profile", "smoke"]
    command += ["--output", str(output), *(["--data", str(log)] if log else []), *settings]
    environment = os.environ | {"KPAY_PRIVACY_KEY": KEY}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=1200, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (output / "latest").resolve(), done.stdout + done.stderr


@pytest.fixture(scope="module")
def kept(known_columns, tmp_path_factory):
    return run(known_columns, tmp_path_factory.mktemp("kept"), "0[0-6]*.ipynb")


@pytest.fixture(scope="module")
def masked(log, tmp_path_factory):
    return run(log, tmp_path_factory.mktemp("masked"), "0[0-6]*.ipynb", "--set", "ids=pseudonymise")


def readable(path: Path) -> str:
    """Return everything in a file that could name somebody, as text."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return str(picture.info)
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        return frame.to_csv() + str(frame.attrs)
    return path.read_text(encoding="utf-8")


def leaks(folder: Path) -> set[str]:
    """Return the files of a run that hold a planted id, phone number, address or key."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".html", ".ipynb", ".json", ".csv", ".png", ".yaml"}
    found = {path for path in files if SECRETS.search(readable(path))}
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_first_notebook_shows_nobody(log, tmp_path):
    folder, printed = run(log, tmp_path, "01*.ipynb")
    assert leaks(folder) == FOR_MACHINES
    assert not SECRETS.search(printed + (folder / "index.html").read_text(encoding="utf-8"))
    assert str(log) not in (folder / "index.html").read_text(encoding="utf-8")


def test_what_a_notebook_is_handed_with_pseudonyms_names_nobody(log):
    def handed(ids: str) -> str:
        found = open_log(log, ids=ids)
        frames = [*found.tables.present().values(), found.rejected.rows]
        return " ".join([*(frame.to_csv() for frame in frames), *found.notes])

    assert {USER, PHONE, EMAIL} <= set(SECRETS.findall(handed("keep")))
    assert SECRETS.findall(handed("pseudonymise")) == []


@pytest.mark.slow
def test_with_ids_kept_only_files_for_machines_carry_them(kept):
    folder, printed = kept
    found = leaks(folder)
    assert found >= FOR_MACHINES
    assert all(name in FOR_MACHINES or name.endswith(".parquet") for name in found)
    assert any(name.endswith("recommendations.parquet") for name in found)
    for path in (*folder.rglob("*.parquet"), *(folder / "rejected").iterdir()):
        assert KEY not in readable(path)
    assert not SECRETS.search(printed)


@pytest.mark.slow
def test_further_columns_of_users_reach_no_page(log, tmp_path):
    folder, printed = run(log, tmp_path, "0[34]*.ipynb")
    assert not SECRETS.search(printed)
    assert all(name.endswith("recommendations.parquet") for name in leaks(folder))
    for path in folder.rglob("*.parquet"):
        assert PHONE not in readable(path) and EMAIL not in readable(path)


@pytest.mark.slow
def test_with_pseudonyms_nothing_carries_an_id_or_the_key(masked):
    folder, printed = masked
    assert leaks(folder) == set()
    assert not SECRETS.search(printed)
    lists = pd.read_parquet(next(folder.rglob("recommendations.parquet")))
    assert lists["user_id"].str.fullmatch("p[0-9a-f]{32}").all()


def metrics_of(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def differing(ours: dict, theirs: dict) -> dict:
    """Return the metrics that are not equal, but for the order in which users were added up."""
    assert ours.keys() == theirs.keys()
    pairs = {key: (value, theirs[key]) for key, value in ours.items()}
    return {
        key: pair
        for key, pair in pairs.items()
        if pair[1] != (pytest.approx(pair[0], rel=1e-9) if isinstance(pair[0], float) else pair[0])
    }


@pytest.mark.slow
def test_no_result_depends_on_what_an_id_looks_like(kept, masked):
    ours, theirs = metrics_of(kept[0]), metrics_of(masked[0])
    assert {name: differing(ours[name], theirs[name]) for name in ours} == {
        name: {} for name in ours
    }


@pytest.mark.slow
def test_the_truth_of_the_simulated_world_goes_by_the_pseudonyms(smoke_run, tmp_path):
    folder, _ = run(None, tmp_path, "0[0-7]*.ipynb", "--set", "ids=pseudonymise")
    theirs = metrics_of(folder)
    found = {name: differing(smoke_run(name)[1], theirs[name]) for name in theirs}
    assert found == {name: {} for name in theirs}


def test_a_run_without_a_key_shares_a_random_one(monkeypatch):
    from kpay_lab.report.surroundings import child_environment

    monkeypatch.setenv("KPAY_PRIVACY_KEY", "")
    first, second = (child_environment(Path("/tmp"))["KPAY_PRIVACY_KEY"] for _ in range(2))
    assert first == second and len(first) == 64
    monkeypatch.setenv("KPAY_PRIVACY_KEY", KEY)
    assert child_environment(Path("/tmp"))["KPAY_PRIVACY_KEY"] == KEY


def test_a_profile_has_a_privacy_block(tmp_path):
    known = read_notebooks(Path("notebooks"))
    (tmp_path / "mine.yaml").write_text("privacy: {ids: pseudonymise, min_group: 20}\n")
    for name, values in resolve(known, list(known), read_profile(tmp_path, "mine")).items():
        assert values.get("ids", "pseudonymise") == "pseudonymise", name
        assert values.get("min_group", 20) == 20, name
    for block, wrong in (("{ids: hide}", "one of keep, pseudonymise"), ("{idz: keep}", "idz")):
        (tmp_path / "mine.yaml").write_text(f"privacy: {block}\n")
        with pytest.raises(ParameterError, match=wrong):
            resolve(known, list(known), read_profile(tmp_path, "mine"))


def test_every_notebook_that_reads_a_log_asks_about_ids():
    for path in Path("notebooks").glob("*.ipynb"):
        source = path.read_text(encoding="utf-8")
        if "data_dir: str" in source:
            assert "ids: str" in source, path.name
            assert "ids=ids" in source, path.name
