"""A run again, two runs side by side, one notebook with many parameters: with real runs."""

import contextlib
import json
import re
import shutil
import tempfile
import threading
from pathlib import Path

import pandas as pd
import pytest

from kpay_lab.cli import main
from kpay_lab.report.compare import compare, metrics_side_by_side
from kpay_lab.report.in_short import told
from kpay_lab.report.manifest import Manifest
from kpay_lab.report.params import Notebook, read_notebooks, read_parameters
from kpay_lab.report.profile import Domain
from kpay_lab.report.runner import Limits
from kpay_lab.report.sweep import read_grid
from kpay_lab.report.verify import run_again, verify
from tests.report.conftest import new_project

CELL = """
from pathlib import Path
from matplotlib.figure import Figure
from kpay_lab.findings import lacking
from kpay_lab.report.session import Session
session = Session("01_a", output_dir=output_dir)
session.findings([lacking("earnings", f"orders of {k}")])
total = sum(int(x) for x in Path(data_file).read_text().split())
session.metric("total", total * k, headline="k times the total")
session.metric("total/low", total * k - 0.5)
session.metric("total/high", total * k + 0.5)
session.metric("third", k / 3)
session.metric("names", "<script>")
figure = Figure()
figure.subplots().plot([0, k])
session.figure("line", figure)
session.figure("same", Figure())
session.data_files([data_file])
session.save()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a project and its runs with k = 1 and k = 2."""
    project = new_project(tmp_path_factory.mktemp("verify"))
    data_file = project.root / "数据 1.csv"
    data_file.write_text("1\n2\n")
    shared = f"shared: {{data_file: {json.dumps(str(data_file))}}}\n"
    (project.root / "params/default.yaml").write_text(shared)
    project.write("01_a", CELL, parameters='k: int = 1  # times [1, 9]\ndata_file: str = ""')
    kpay = caller(project.root)
    for k in (1, 2):
        assert kpay("run", "--set", f"k={k}")[0] == 0
    first, second = sorted(path for path in (project.root / "outputs").glob("2*"))
    return kpay, first, second, data_file


def caller(root):
    def call(*arguments):
        try:
            with contextlib.chdir(root):
                main([str(argument) for argument in arguments])
        except SystemExit as error:
            return error.code, ""
        return 0, ""

    return call


def test_a_run_reproduces_exactly(made, capsys):
    kpay, first, _, _ = made
    assert kpay("verify", first)[0] == 0
    out = capsys.readouterr().out
    assert "compared exactly (same processor, Python and packages)" in out
    assert out.endswith("\nequal\n")
    assert "changed" not in re.sub("changed code.*", "", out)


def test_changed_input_is_named_and_exit_1(made, capsys):
    kpay, first, _, data_file = made
    data_file.write_text("1\n3\n")
    try:
        assert kpay("verify", first)[0] == 1
    finally:
        data_file.write_text("1\n2\n")
    said = capsys.readouterr()
    assert f"changed input file {data_file}: " in said.out
    assert "01_a total: 3 → 4\n" in said.out
    assert "01_a third" not in said.out
    assert said.out.endswith("\nnot equal\n")
    rerun = re.search(r"the rerun: (.*)/index.html", said.err)[1]
    shutil.rmtree(Path(rerun).parent)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder in which temporary folders are made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def rerun(made, notebooks=None, stop=None):
    _, first, _, data_file = made
    notebooks = read_notebooks(data_file.parent / "notebooks") if notebooks is None else notebooks
    return run_again(
        first,
        notebooks,
        Domain(lambda parameters: {"events"}),
        limits=Limits(),
        stop=stop or threading.Event(),
    )


def test_an_interrupted_rerun_leaves_no_folder(made, scratch):
    stop = threading.Event()
    stop.set()
    assert rerun(made, stop=stop) is None
    assert list(scratch.iterdir()) == []


def test_a_rerun_that_cannot_start_leaves_no_folder(made, scratch):
    with pytest.raises(ValueError, match="which notebooks/ no longer has"):
        rerun(made, notebooks={})
    assert list(scratch.iterdir()) == []


def changed(folder, copy, **environment):
    """Copy a run, its environment changed."""
    shutil.copytree(folder, copy)
    manifest = Manifest.read(copy)
    manifest.environment |= environment
    manifest.write(copy)
    return copy


def test_other_packages_are_named_and_compared_with_a_tolerance(made, tmp_path):
    _, first, _, _ = made
    packages = Manifest.read(first).environment["packages"] | {"numpy": "1.0"}
    other = changed(first, tmp_path / "other", packages=packages)
    path = other / "metrics.json"
    path.write_text(path.read_text().replace(repr(1 / 3), repr((1 + 5e-10) / 3)))
    found = verify(first, other)
    assert found.equal
    assert found.rule == "with rtol 1e-09 (other packages)"
    assert found.surroundings == [line for line in found.surroundings if "package numpy: " in line]
    strict = verify(first, other, rtol=1e-10)
    assert [line.split(":")[0] for line in strict.metrics] == ["01_a third"]
    assert strict.rule == "with rtol 1e-10 (as asked; other packages)"
    same = changed(first, tmp_path / "same")
    (same / "metrics.json").write_text(path.read_text())
    assert not verify(first, same).equal  # to the last bit here


def test_metrics_that_come_and_go(made, tmp_path):
    _, first, _, _ = made
    other = changed(first, tmp_path / "other")
    metrics = json.loads((first / "metrics.json").read_text())
    metrics["01_a"]["new"] = metrics["01_a"].pop("third")
    metrics["01_a"]["total"] = 3.0  # an int before
    (other / "metrics.json").write_text(json.dumps(metrics))
    lines = verify(first, other).metrics
    assert lines == ["01_a new: only in the rerun", "01_a third: only in the run"]


def test_findings_that_differ_are_named(made, tmp_path):
    _, first, second, _ = made
    expected = "01_a finding 1 lacking/table table: 'orders of 1' → 'orders of 2'"
    assert expected in verify(first, second).metrics
    other = changed(first, tmp_path / "other")
    (other / "findings.json").write_text('{"01_a": []}')
    lines = verify(first, other).metrics
    assert "01_a finding 1 lacking/table level: only in the run" in lines
    for damaged in ('{"01_a": 3}', '{"01_a": [{"key": 1}]}', "[]"):
        (other / "findings.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"findings\.json"):
            verify(first, other)


def test_a_run_ends_with_what_it_found(made, capsys):
    kpay, _, second, _ = made
    assert kpay("run", "--resume", second)[0] == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "In short:"
    assert lines[1].startswith("• What a recommender earns is not known")
    assert all(len(line) <= 80 for line in lines[:-1])
    assert lines[-1].startswith("report: ")
    page = (second / "01_a.html").read_text()
    title = page.index("Title of 01_a</h1>")
    assert title < page.index("In short", title) < page.index('<section class="prose">', title)


def test_a_run_of_another_version_is_said_to_be_one(made, tmp_path):
    _, first, _, _ = made
    other = changed(first, tmp_path / "other")
    text = (other / "findings.json").read_text()
    (other / "findings.json").write_text(text.replace("lacking/table", "old/key"))
    assert told(other) == ("finding 'old/key' has no words; write its entry in words/en.yaml\n")
    assert told(other, width=30)


def test_a_run_that_did_not_end_is_refused(made, tmp_path, capsys):
    kpay, first, _, _ = made
    other = changed(first, tmp_path / "other")
    manifest = Manifest.read(other)
    manifest.status = "running"
    manifest.write(other)
    for command in (["verify", other], ["compare", first, other]):
        assert kpay(*command)[0] == 2
        assert (
            "did not come to its end (running); first kpay run --resume" in capsys.readouterr().err
        )


@pytest.mark.parametrize(
    ("first", "second", "beyond"),
    [
        ((1.0, 0.9, 1.1), (1.2, 1.1, 1.3), False),  # they touch
        ((1.0, 0.9, 1.1), (1.3, 1.2, 1.4), True),
        ((1.3, 1.2, 1.4), (1.0, 0.9, 1.1), True),
        ((1.0, 0.9, 1.1), (1.2,), True),
        ((1.05,), (1.0, 0.9, 1.1), False),
        ((1.0,), (9.0,), False),
        ((True,), (False,), False),
        (("a", 0.0, 1.0), ("b", 2.0, 3.0), False),
        ((1.0, 0.9, 1.1), (), False),
        ((None,), (1.0, 0.9, 1.1), False),
    ],
)
def test_beyond_the_intervals(first, second, beyond):
    keys = ("a", "a/low", "a/high")
    one = dict(zip(keys, first, strict=False))
    two = dict(zip(keys, second, strict=False))
    for table in (metrics_side_by_side(one, two), metrics_side_by_side(two, one)):
        assert table["metric"].tolist() == ["a"]
        assert table["beyond"].item() is beyond
        assert table["differs"].item()


def test_what_is_beyond_stands_first_and_then_what_differs():
    before = {"a": 1, "b": 1.0, "c": 1.0, "c/low": 0.9, "c/high": 1.1, "d": None}
    after = before | {"b": 2.0, "c": 3.0, "c/low": 2.9, "c/high": 3.1, "e": "new"}
    table = metrics_side_by_side(before, after)
    assert table["metric"].tolist() == ["c", "b", "e", "a", "d"]
    assert table["differs"].tolist() == [True, True, True, False, False]
    assert table.loc[3, ["first", "second", "change"]].tolist() == [1, 1, 0]
    assert table.loc[2, "first"] is None
    assert metrics_side_by_side({}, {}).empty


def test_two_runs_side_by_side(made, capsys, tmp_path):
    kpay, first, second, _ = made
    page = tmp_path / "页 1.html"
    assert kpay("compare", first, second, "-o", page)[0] == 0
    assert str(page) in capsys.readouterr().out
    text = page.read_text()
    assert text == compare(first, second)
    assert "2 of 3 metrics differ, 1 beyond their intervals" in text
    (marked,) = re.findall(r'<tr class="beyond">.*?</tr>', text)
    assert "total" in marked
    assert "[2.5, 3.5]" in marked
    assert "[5.5, 6.5]" in marked
    assert text.count("<img") == 3  # two lines, and once what is the same
    assert "&lt;script&gt;" in text
    assert not re.search(r"<script|https?:|src=\"(?!data:)", text)


def test_a_sweep_is_one_table_and_one_picture(made, capsys, tmp_path):
    kpay, _, _, data_file = made
    grid = tmp_path / "grid.yaml"
    grid.write_text("k: [1, 2, 4]\n")
    assert kpay("sweep", "01_a", "--grid", grid, "--metric", "t*", "--jobs", 2)[0] == 0
    said = capsys.readouterr()
    assert '003/01_a: {"k": 4}' in said.err
    assert "3 of 3" in said.err
    folder = data_file.parent / "outputs/sweeps/latest"
    table = pd.read_csv(folder / "sweep.csv")
    assert table["k"].tolist() == [1, 2, 4]
    assert table["total"].tolist() == [3, 6, 12]
    assert table["status"].tolist() == ["ok"] * 3
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    text = (folder / "index.html").read_text()
    assert "[11.5, 12.5]" in text
    assert 'href="002/01_a.html"' in text
    assert 'href="../index.html"' in (folder / "002/01_a.html").read_text()
    assert set(Manifest.read(folder).outputs) >= {"sweep.csv", "sweep.png", "index.html"}


def test_a_sweep_is_resumed_where_it_stopped(made, capsys):
    kpay, _, _, data_file = made
    folder = (data_file.parent / "outputs/sweeps/latest").resolve()
    (folder / "002/01_a.html").unlink()
    (folder / "sweep.csv").unlink()
    before = (folder / "001/01_a.ipynb").stat().st_mtime_ns
    assert kpay("sweep", "--resume", folder)[0] == 0
    assert (folder / "002/01_a.html").is_file()
    assert (folder / "001/01_a.ipynb").stat().st_mtime_ns == before
    assert len(pd.read_csv(folder / "sweep.csv")) == 3
    assert "002/01_a: started" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run"], ["sweep"], ["run", "--from-scratch"]])
def test_a_sweep_stays_a_sweep_whichever_command_takes_it_up(made, command):
    kpay, _, _, data_file = made
    folder = (data_file.parent / "outputs/sweeps/latest").resolve()
    (folder / "sweep.csv").unlink()
    assert kpay(*command, "--resume", folder)[0] == 0
    assert len(pd.read_csv(folder / "sweep.csv")) == 3
    assert 'href="002/01_a.html"' in (folder / "index.html").read_text()


def test_values_that_a_grid_shares_are_read_as_each_parameter_wants_them(tmp_path):
    parameters = read_parameters("k: int = 1\nreg: float = 1.0")
    grid = tmp_path / "grid.yaml"
    grid.write_text("k: &two [1, 2]\nreg: *two\n")
    sets = read_grid(grid, Notebook("01_a", grid, parameters))
    values = [(one["k"], one["reg"]) for one in sets]
    assert values == [(1, 1.0), (1, 2.0), (2, 1.0), (2, 2.0)]
    assert {(type(k), type(reg)) for k, reg in values} == {(int, float)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# 网格\nk: [1]".encode("gbk"), "grid.yaml line 1: it is not UTF-8 text"),
        (b"4: [1]", "grid.yaml: unknown parameter '4'"),
        (b"k:\n\t- 1", "grid.yaml line 2: while scanning"),
    ],
)
def test_a_grid_that_cannot_be_read_is_one_line(tmp_path, content, message):
    grid = tmp_path / "grid.yaml"
    grid.write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        read_grid(grid, Notebook("01_a", grid, read_parameters("k: int = 1")))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kk: [1]", "unknown parameter 'kk'; did you mean 'k'?"),
        ("k: 3", "k must be a parameter with a list of values"),
        ("k: []", "k must be a parameter with a list of values"),
        ("k: [10]", "k is 10; it must be a number from 1 to 9"),
        ("output_dir: [a]", "unknown parameter 'output_dir'"),
        ("k: [1]\nk: [2]", "the key 'k' appears twice"),
        ("", "it must be a parameter with a list of values"),
        ("[1, 2]", "it must be a parameter with a list of values"),
        ("k: !!python/object:os.system [1]", "could not determine a constructor"),
    ],
)
def test_a_bad_grid_is_one_line_and_exit_2(made, capsys, tmp_path, text, message):
    kpay, first, _, _ = made
    grid = tmp_path / "grid.yaml"
    grid.write_text(text)
    before = sorted(first.parent.rglob("*"))
    assert kpay("sweep", "01_a", "--grid", grid)[0] == 2
    assert message in capsys.readouterr().err
    assert sorted(first.parent.rglob("*")) == before
