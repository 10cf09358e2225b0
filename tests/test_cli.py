"""The command line: right use works, wrong use is clear lines and exit 2."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kpay_lab import findings
from kpay_lab.cli import main
from kpay_lab.report.profile import _Loader

CELL = 'k: int = 10  # list length [1, 1000]\noutput_dir: str = "outputs/interactive"  # results'


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "params").mkdir()
    (tmp_path / "params/default.yaml").write_text("shared: {k: 12}\n")
    parameters = new_code_cell(CELL, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("# A title"), parameters, new_code_cell("1 / 0")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks/01_a.ipynb")
    (tmp_path / "away").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "away/01_a.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kpay(capsys):
    def call(*arguments):
        try:
            main([str(argument) for argument in arguments])
            code = 0
        except SystemExit as error:
            code = error.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum"], "No such command 'rum'"),
        (["run", "01_b"], "there is no notebook '01_b'; did you mean '01_a'?"),
        (["run", "--profile", "defalt"], "did you mean 'default'?"),
        (["run", "--set", "kk=3"], "unknown parameter 'kk'; did you mean 'k'?"),
        (["run", "--set", "k=3.5"], "k is 3.5; it must be of type int"),
        (["run", "--set", "k=0"], "k is 0; it must be a number from 1 to 1000"),
        (["run", "--data", "nowhere"], "'nowhere' does not exist"),
        (["run", "--jobs", "0"], "0 is not in the range"),
        (["run", "--resume", "params"], "params is not a run: it has no manifest.json"),
        (["run", "01_a", "--resume", "params"], "leave out notebooks"),
        (["run", "--profile", "default", "--resume", "params"], "leave out profile"),
        (["run", "--timeout", "0"], "0.0 is not in the range"),
        (["params"], "Missing argument 'NOTEBOOK'"),
        (["params", "01_b"], "did you mean '01_a'?"),
        (["params", "away/01_a.ipynb"], "away/01_a.ipynb is not a notebook of"),
        (["run", "away/01_a.ipynb"], "away/01_a.ipynb is not a notebook of"),
        (["run", "notebooks/01_b.ipynb"], "there is no file notebooks/01_b.ipynb; did you mean"),
        (["sweep", "away/01_a.ipynb", "--grid", "params/default.yaml"], "is not a notebook of"),
        (["list", "away/01_a.ipynb"], "away/01_a.ipynb is not a notebook of"),
        (["list", "default"], "there is no notebook 'default'"),
        (["verify", "params"], "params is not a run: it has no manifest.json"),
        (["verify", "params", "--rtol", "2"], "2.0 is not in the range"),
        (["compare", "params"], "Missing argument 'RUN_B'"),
        (["compare", "params", "notebooks"], "params is not a run: it has no manifest.json"),
        (["sweep"], "name a notebook and its --grid FILE, or --resume SWEEP"),
        (["sweep", "01_a", "--grid", "nowhere"], "'nowhere' does not exist"),
        (["sweep", "01_b", "--grid", "params/default.yaml"], "did you mean '01_a'?"),
        (["sweep", "01_a", "--grid", "params/default.yaml"], "shared must be a parameter with a"),
        (["sweep", "--resume", "params", "--metric", "a"], "leave out metrics"),
        (["list", "--frob"], "No such option"),
        (["check", "nowhere"], "'nowhere' does not exist"),
        (["check", "params", "--set", "k=3"], "--set k=3: check knows mapping={…} alone"),
        (["check", "params", "--set", "mapping={unit: 1}"], "mapping has no 'unit'; did you mean"),
        (["check", "params", "--write", "params/default.yaml"], "is there already; add --force"),
        (["check", "params", "--profile", "defalt"], "did you mean 'default'?"),
        (["simulate", "params"], "params is not empty"),
        (["simulate", "new", "--field", "nothing"], "field is 'nothing'; choose one of"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(project, kpay, arguments, message):
    code, _, err = kpay(*arguments)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (project / "outputs").exists()


def test_all_problems_of_the_parameters_are_said(project, kpay):
    code, _, err = kpay("run", "--set", "k=0", "--set", "kk=3")
    assert code == 2
    assert len(err.splitlines()) == 2


def test_outside_of_a_project(kpay, tmp_path, monkeypatch):
    monkeypatch.setattr("kpay_lab.report.profile.project_root", lambda: tmp_path)
    code, _, err = kpay("list")
    assert code == 2
    assert "there is no notebooks/" in err


def test_list_and_params(project, kpay):
    code, out, err = kpay("list")
    assert (code, err) == (0, "")
    first, second = out.splitlines()[:2]
    assert first == "notebooks:"
    assert second.split(maxsplit=1) == ["01_a", "A title"]
    assert "list length" not in out
    code, out, _ = kpay("params", "notebooks/01_a.ipynb", "--set", "k=3")
    assert (code, yaml.safe_load(out)) == (0, {"k": 3})
    assert yaml.safe_load(kpay("params", "01_a")[1]) == {"k": 12}


def test_list_tells_a_profile_by_its_first_line(project, kpay):
    (project / "params/default.yaml").write_text("# As it is.\n# More.\nshared: {k: 3}\n")
    (project / "params/plain.yaml").write_text("shared: {k: 3}\n")
    (project / "params/旧.yaml").write_bytes("# 旧\n".encode("gbk"))
    (project / "params/folder.yaml").mkdir()
    code, out, _ = kpay("list")
    assert code == 0
    profiles = out.splitlines()[out.splitlines().index("profiles:") + 1 :]
    assert [line.split(maxsplit=1) for line in profiles[:4]] == [
        ["default", "As it is."],
        ["folder", "(folder.yaml: it cannot be read: Is a directory)"],
        ["plain"],
        ["旧", "(旧.yaml line 1: it is not UTF-8 text; save the file as UTF-8)"],
    ]


@pytest.mark.parametrize("asked", ["01_a", "01", "1", "notebooks/01_a.ipynb", "01_a.ipynb"])
def test_list_of_one_notebook_tells_its_parameters_and_tables(project, kpay, asked):
    path = project / "notebooks/01_a.ipynb"
    content = json.loads(path.read_text())
    content["metadata"]["kpay"] = {"needs": ["orders", "exposures"]}
    path.write_text(json.dumps(content))
    code, out, err = kpay("list", asked)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "01_a  A title",
        "needs: orders, exposures",
        "parameters:",
        "  k: int = 10  # list length [1, 1000]",
        '  output_dir: str = "outputs/interactive"  # results',
    ]


def test_the_project_lists_itself_on_one_screen(kpay, monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.chdir(root)
    out = kpay("list")[1].splitlines()
    notebooks = list((root / "notebooks").glob("*.ipynb"))
    profiles = list((root / "params").glob("*.yaml"))
    heads_and_advice = 5
    assert len(out) <= len(notebooks) + len(profiles) + heads_and_advice
    assert not [line for line in out if line.endswith(" ")]  # a title, a comment for each


STRAY = (
    "kpay: Untitled.ipynb: it has 0 cells tagged 'parameters'; it must have one"
    " (left out; mend it, or move it out of notebooks/)\n"
)


@pytest.fixture
def stray(project):
    """What JupyterLab's button for a new notebook leaves."""
    nbformat.write(new_notebook(), project / "notebooks/Untitled.ipynb")


def test_a_stray_notebook_stops_only_who_asks_for_it(project, stray, kpay):
    refused = STRAY.partition(" (left")[0] + "\n"
    for command in ("run", "params", "list"):
        assert kpay(command, "Untitled") == (2, "", refused)
    (project / "grid.yaml").write_text("k: [1]")
    assert kpay("sweep", "notebooks/Untitled.ipynb", "--grid", "grid.yaml") == (2, "", refused)
    assert not (project / "outputs").exists()
    code, out, err = kpay("params", "01")
    assert (code, yaml.safe_load(out), err) == (0, {"k": 12}, STRAY)
    code, out, err = kpay("list")
    assert (code, err) == (0, "")
    assert f"left out: {refused.removeprefix('kpay: ')}" in out


def test_a_nightly_run_goes_on_beside_a_stray_notebook(project, stray, kpay):
    path = project / "notebooks/01_a.ipynb"
    path.write_text(path.read_text().replace("1 / 0", "1 / 1"))
    code, out, err = kpay("run")
    assert code == 0
    assert STRAY in err
    folder = Path(out.removeprefix("report: ").strip()).parent
    assert set(json.loads((folder / "manifest.json").read_text())["notebooks"]) == {"01_a"}
    assert STRAY in kpay("run", "--resume", folder)[2]


def test_a_failed_notebook_is_exit_1(project, kpay):
    code, out, _ = kpay("run")
    assert code == 1
    assert "report: " in out
    (folder,) = (project / "outputs").iterdir()
    assert (folder / "01_a.failed.ipynb").is_file()
    assert yaml.safe_load((folder / "params.yaml").read_text())["01_a"] == {"k": 12}


def test_simulate_then_check(project, kpay):
    size = ["--users", 30, "--items", 25, "--days", 10]
    assert kpay("simulate", "log", *size)[0] == 0
    code, out, _ = kpay("check", "log", "--json")
    tables = {row["table"]: row for row in json.loads(out)["tables"]}
    assert code == 0
    written = "events items users orders exposures follows offers"
    assert set(tables) == set(written.split())
    assert all(row["read"] == row["good"] for row in tables.values())
    with (project / "log/events.csv").open("a") as stream:
        stream.write("broken\n")
    answer = json.loads(kpay("check", "log", "--json")[1])
    assert [row["file"] for row in answer["rejected"]][:1] == ["events.csv"]
    assert "(events.csv row" in kpay("check", "log")[1]


def write_shop(folder):
    """A log whose names nobody could know, a table of orders, and notes of a meeting."""
    folder.mkdir()
    rows = [f"M{n % 90},G{n % 30},{n % 60},2023-01-{n % 28 + 1:02} 10:00:00" for n in range(1200)]
    header = "member_no,goods_no,stay_secs,gmt_create\n"
    (folder / "t_watch_log.csv").write_text(header + "\n".join(rows))
    (folder / "t_order.csv").write_text(
        "order_sn,member_no,gmt_pay\n" + "\n".join(f"S{n},M{n},2023-01-05" for n in range(40))
    )


def test_check_proposes_a_profile_that_then_is_used(project, kpay):
    """From a refusal to a log that is understood, with the commands that check itself names."""
    write_shop(project / "shop")
    code, out, err = kpay("check", "shop")
    assert (code, err) == (1, "")
    assert "Not understood" in out and "member_no: user_id" in out
    next_line = out.splitlines()[-1]
    assert next_line == "Next: kpay check shop --write params/mine.yaml"
    code, out, _ = kpay(*next_line.split()[2:])
    assert code == 0
    look, start = out.splitlines()[-2:]
    shown = "Next, to see what it reads and assumes: kpay check shop --profile mine"
    assert look == shown
    assert start == "  and then: kpay run --data shop --profile mine"
    written = (project / "params/mine.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(written)["mapping"]["files"] == {
        "events": ["t_watch_log.csv"],
        "orders": ["t_order.csv"],
    }
    code, out, _ = kpay("check", "shop", "--profile", "mine", "--json")
    answer = json.loads(out)
    assert (code, answer["sound"], answer["proposal"]) == (0, True, {})
    assert [table["good"] for table in answer["tables"]] == [1200, 40]
    assert kpay("check", "shop", "--write", "params/mine.yaml")[0] == 2
    assert (project / "params/mine.yaml").read_text(encoding="utf-8") == written
    assert kpay("check", "shop", "--write", "params/mine.yaml", "--force")[0] == 0


def test_check_is_exit_1_where_nothing_can_be_read(project, kpay):
    code, out, err = kpay("check", "params")
    assert (code, err) == (1, "")
    assert "params holds no events" in out
    (project / "empty.csv").write_text("user_id,item_id\n")
    code, out, _ = kpay("check", "empty.csv")
    assert code == 1 and "events: it has no rows" in out


def test_check_counts_bad_rows_by_reason(project, kpay):
    rows = [f"{'' if n % 5 == 0 else n},i{n % 7}" for n in range(500)]
    (project / "log.csv").write_text("user_id,item_id\n" + "\n".join(rows))
    code, out, _ = kpay("check", "log.csv")
    lines = [line for line in out.splitlines() if "must not be empty" in line]
    assert code == 1 and len(lines) == 1
    assert "events.user_id: 100 rows set aside" in lines[0]
    assert "100 of 500 rows were rejected (20.0%)" in out
    assert kpay("check", "log.csv", "--max-rejected", "0.3")[0] == 0
    assert len(json.loads(kpay("check", "log.csv", "--json")[1])["rejected"]) == 100


def test_simulate_a_messy_shop_then_check_it_against_its_truth(project, kpay):
    code, out, _ = kpay(
        "simulate", "mess", "--users", 60, "--items", 20, "--days", 14, "--messy", 0
    )
    assert code == 0
    assert {path.name for path in (project / "mess").iterdir()} == {"log", "mapping.yaml", "truth"}
    assert len(out.splitlines()) == len([*(project / "mess/log").iterdir()])
    mapping = yaml.safe_load((project / "mess/mapping.yaml").read_text(encoding="utf-8"))
    assert [*mapping] == ["mapping"]
    assert kpay("simulate", "other", "--messy", "-1")[0] == 2


HEAVY = ["numpy", "pandas", "sklearn", "matplotlib", "scipy", "ibis", "duckdb"]
HEAVY += ["nbconvert", "nbformat", "papermill"]


@pytest.mark.parametrize(
    "statement", ["import kpay_lab; dir(kpay_lab)", "from kpay_lab.cli import main; main()"]
)
def test_neither_the_package_nor_its_help_imports_what_is_slow(statement):
    code = f"""import atexit, sys
atexit.register(lambda: print("HEAVY", sorted(set({HEAVY}) & set(sys.modules))))
{statement}"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_pickle_is_nowhere():
    root = Path(__file__).parents[1]
    files = [
        *root.glob("kpay_lab/**/*.py"),
        *root.glob("notebooks/**/*.ipynb"),
        *root.glob("*/*.py"),
    ]
    forbidden = r"\b(to_|read_)?c?pickle\b|import (joblib|shelve|marshal|dill)\b|allow_pickle=True"
    loader = rf"{forbidden}|yaml\.((full|unsafe)_)?load\((?!.*_Loader)"
    said = {
        (path.name, line.strip())
        for path in files
        if path != Path(__file__)
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(loader, line, re.IGNORECASE)
    }
    assert not said
    assert issubclass(_Loader, yaml.SafeLoader)
    assert issubclass(findings._Loader, yaml.constructor.SafeConstructor)


def test_the_unexpected_is_one_line_and_exit_1(kpay, monkeypatch):
    monkeypatch.setattr("kpay_lab.cli.read_project", lambda: {}[1])
    code, _, err = kpay("list")
    assert (code, err) == (1, "kpay: KeyError: 1 (KPAY_DEBUG=1 shows where)\n")
    monkeypatch.setenv("KPAY_DEBUG", "1")
    with pytest.raises(KeyError):
        main(["list"])
