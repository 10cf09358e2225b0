"""The referee, on a tiny project's real run and on copies of it in which something was changed."""

import json
import shutil

import pandas as pd
import pytest

from kpay_lab.report.manifest import Manifest
from tests import referee
from tests.report.conftest import new_project

CELL = """
import pandas as pd
from kpay_lab.report.session import Session
session = Session("01_a", output_dir=output_dir)
session.metric("third", 1 / 3)
session.metric("name", "ease")
frame = pd.DataFrame({"model": ["ease", "als"], "value": [2 / 3, None], "users": [7, 8]})
session.table("means", frame)
session.table("lists.parquet", frame.rename(columns={"value": "score"}))
session.save()
"""
FAIL = CELL.replace("session.save()", "raise ValueError('no users')")


def write_project(folder, cell=CELL):
    project = new_project(folder)
    (project.root / "params/default.yaml").write_text("shared: {}\n")
    project.write("01_a", cell)
    return project


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of a run and what the referee reads in it."""
    folder = tmp_path_factory.mktemp("referee")
    project = write_project(folder)
    assert referee.kpay_run("default", folder / "out", project.root) == 0
    run = referee.finished_run(folder / "out")
    return run, referee.Results.of_run(run)


@pytest.fixture
def copy(made, tmp_path):
    """Return a copy of that run, to be changed."""
    return shutil.copytree(made[0], tmp_path / "copy")


def differences(made, changed):
    return referee.differences(made[1], referee.Results.of_run(changed))


def change_metrics(run, **values):
    path = run / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["01_a"] |= values
    path.write_text(json.dumps(metrics))


def move_to_another_processor(run):
    manifest = Manifest.read(run)
    manifest.environment["processor"] = "another"
    manifest.write(run)


def change_means(run, change):
    path = run / "01_a/tables/means.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)


def keys(lines):
    return [line.partition(":")[0] for line in lines]


def test_an_equal_run_has_no_difference(made, copy):
    assert differences(made, copy) == []
    move_to_another_processor(copy)
    assert differences(made, copy) == []


def test_a_number_counts_to_the_last_bit_here_and_to_1e_9_elsewhere(made, copy):
    nearly = (1 + 1e-12) / 3
    change_metrics(copy, third=nearly)
    assert differences(made, copy) == [f"changed 01_a third: {1 / 3} → {nearly}"]
    move_to_another_processor(copy)
    assert differences(made, copy) == []
    other = (1 + 2e-9) / 3
    change_metrics(copy, third=other)
    assert differences(made, copy) == [f"changed 01_a third: {1 / 3} → {other}"]


def test_text_counts_everywhere(made, copy):
    move_to_another_processor(copy)
    change_metrics(copy, name="als")
    assert differences(made, copy) == ["changed 01_a name: 'ease' → 'als'"]


def test_a_metric_that_came_and_one_that_went(made, copy):
    change_metrics(copy, fourth=0.25)
    assert differences(made, copy) == ["added 01_a fourth: 0.25"]
    lost = referee.differences(referee.Results.of_run(copy), made[1])
    assert lost == ["gone 01_a fourth: 0.25"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("value", [2 / 3 + 1e-8, None]),
        ("value", [2 / 3, 0.0]),
        ("users", [8, 7]),
        ("users", [7.0, 8.0]),
        ("model", ["ease", "ALS"]),
    ],
)
def test_a_changed_column_is_named(made, copy, column, values):
    change_means(copy, lambda frame: frame.assign(**{column: values}))
    assert keys(differences(made, copy)) == [f"changed 01_a/means.csv/{column}"]


def test_the_last_bits_of_a_table_do_not_count(made, copy):
    change_means(copy, lambda frame: frame.assign(value=frame["value"] * (1 + 1e-12)))
    assert differences(made, copy) == []


def test_noise_around_zero_is_zero():
    digests = [
        referee.digest_table("t", pd.DataFrame({"x": [noise]})) for noise in (0.0, -0.0, 3e-17)
    ]
    assert digests[0] == digests[1] == digests[2]


def test_rows_and_columns_that_came_or_went(made, copy):
    change_means(copy, lambda frame: pd.concat([frame, frame]))
    assert "changed 01_a/means.csv rows: 2 → 4" in differences(made, copy)
    change_means(copy, lambda frame: frame.iloc[:2, [1, 0]])
    assert differences(made, copy) == [
        "changed 01_a/means.csv columns: 'model, value, users' → 'value, model'",
        f"gone 01_a/means.csv/users: {made[1].tables['01_a/means.csv/users']!r}",
    ]


def test_a_table_that_is_gone(made, copy):
    (copy / "01_a/tables/lists.parquet").unlink()
    name = "gone 01_a/lists.parquet"
    ends = [" columns", " rows", "/model", "/score", "/users"]
    assert keys(differences(made, copy)) == [name + end for end in ends]


def test_golden_files_are_written_and_read_back(made, tmp_path):
    made[1].write(tmp_path / "golden")
    assert referee.Results.read(tmp_path / "golden") == made[1]


def test_accepted_and_then_equal_and_a_failed_run_is_never_accepted(tmp_path, capsys):
    project, golden = write_project(tmp_path), tmp_path / "golden"

    def judged(accept=False):
        equal = referee.referee("default", golden, accept=accept, project=project.root)
        return equal, capsys.readouterr().out

    equal, said = judged(accept=True)
    assert equal
    assert "cannot be read" in said
    assert said.endswith("default: differences accepted: 1\n")
    assert judged() == (
        True,
        "compared exactly (same processor, Python and packages)\ndefault: differences found: 0\n",
    )
    accepted = referee.Results.read(golden)
    project.write("01_a", FAIL)
    equal, said = judged(accept=True)
    assert not equal
    assert "default: kpay run ended with code 1\n" in said
    assert "default: 01_a is failed: cell 4: ValueError: no users\n" in said
    assert f"default: gone 01_a third: {1 / 3}\n" in said
    assert "default: differences not accepted: " in said
    assert referee.Results.read(golden) == accepted


def test_a_call_that_leaves_no_run_is_a_difference(made, tmp_path):
    code = referee.kpay_run("no_such_profile", tmp_path, made[0].parents[1])
    lines = referee.judge(code, referee.finished_run(tmp_path), tmp_path / "golden")
    assert lines == ["kpay run ended with code 2"]
