"""Everything wrong with the parameters is said at once, before a kernel starts."""

import json

import pytest

from kpay_lab.report.params import ParameterError, read_notebook, read_notebooks, read_parameters
from kpay_lab.report.profile import Profile, read_profile, read_yaml, resolve

CELL = """
k: int = 10  # list length [1, 1000]
ks: list = [10, 20]  # list lengths [1, 1000]
reg: float = 1.0  # ridge [0, 100]
split: str = "time"  # how to split {time, leave_last_out, random_per_user}
since: str = ""  # first day; ISO
shuffle: bool = False
models: dict = {"ease": {}}  # what to compare
"""


@pytest.fixture
def known(project):
    project.write("01_a", parameters=CELL)
    project.write("02_b", parameters="k: int = 5  # other [1, 9]\nonly_b: int = 1")
    return read_notebooks(project.root / "notebooks")


def resolved(known, settings=(), shared=None, blocks=None, chosen=("01_a",)):
    return resolve(known, chosen, Profile("p", None, shared or {}, blocks or {}), settings)


def test_grammar():
    found = read_parameters(CELL)
    assert [str(found[name]) for name in ("k", "split", "shuffle", "models")] == [
        "k: int = 10  # list length [1, 1000]",
        'split: str = "time"  # how to split {time, leave_last_out, random_per_user}',
        "shuffle: bool = false",
        'models: dict = {"ease": {}}  # what to compare',
    ]


@pytest.mark.parametrize("cell", ["k = 10", "k: int", "k: complex = 1", "import os"])
def test_grammar_refuses(cell):
    with pytest.raises(ValueError, match="line 1"):
        read_parameters(cell)


def test_a_range_stands_behind_the_value_wherever_a_formatter_puts_it():
    cell = "reg: float = (\n    0.1  # ridge [0.001, 10]\n)\nk: int = 1  # list length [1, 9]"
    assert [str(one) for one in read_parameters(cell).values()] == [
        "reg: float = 0.1  # ridge [0.001, 10]",
        "k: int = 1  # list length [1, 9]",
    ]


def test_every_default_out_of_its_range_is_named(project):
    path = project.write("01_a", parameters="k: int = 10  # [20, 30]\nreg: float = 'x'")
    with pytest.raises(ParameterError) as raised:
        read_notebooks(path.parent)
    assert raised.value.problems == [
        "01_a.ipynb: k is 10; it must be a number from 20 to 30",
        '01_a.ipynb: reg is "x"; it must be of type float',
    ]


def test_the_domain_is_asked_with_what_the_cell_takes(known):
    """A fault that several notebooks share is one line, and no refused value is judged."""

    def faults_of(values):
        return [f"{name} is odd" for name, value in values.items() if value in (7, 1)]

    none = Profile("p", None, {"k": 7}, {})
    with pytest.raises(ParameterError) as raised:
        resolve(known, ["01_a", "02_b"], none, ["reg=-1"], faults_of)
    assert raised.value.problems == [
        "--set reg=-1: reg is -1.0; it must be a number from 0 to 100",
        "01_a, 02_b: k is odd",
        "02_b: only_b is odd",
    ]


def test_folders_are_seen_from_where_they_were_written(project, monkeypatch):
    cell = 'data_dir: str = ""  # folder'
    project.write("01_a", parameters=cell)
    known = read_notebooks(project.root / "notebooks")
    monkeypatch.chdir(project.root / "params")
    profile = Profile("p", None, {}, {"01_a": {"data_dir": "logs"}})
    there = profile.reading(None, project.root)
    assert resolve(known, ["01_a"], there)["01_a"]["data_dir"] == str(project.root / "logs")
    here = resolve(known, ["01_a"], there, ["data_dir=logs"])["01_a"]["data_dir"]
    assert here == str(project.root / "params/logs")
    assert resolve(known, ["01_a"], there, ["data_dir="])["01_a"]["data_dir"] == ""


def test_defaults_never_run(project):
    path = project.write("01_a", parameters="k: int = __import__('os').getpid()")
    with pytest.raises(ValueError, match="malformed node"):
        read_notebook(path)


@pytest.mark.parametrize("count", [0, 2])
def test_one_parameters_cell(project, count):
    path = project.write("01_a")
    content = json.loads(path.read_text())
    cells = content["cells"]
    content["cells"] = [cells[0], *[cells[1]] * count]
    path.write_text(json.dumps(content))
    with pytest.raises(ParameterError, match=f"01_a.ipynb: it has {count} cells tagged"):
        read_notebooks(project.root / "notebooks")


def test_layers_overrule_in_order(known):
    both = ["01_a", "02_b"]
    assert resolved(known)["01_a"]["k"] == 10
    assert resolved(known, shared={"k": 7}, chosen=both)["02_b"]["k"] == 7
    layered = resolved(known, shared={"k": 7}, blocks={"01_a": {"k": 8}}, chosen=both)
    assert (layered["01_a"]["k"], layered["02_b"]["k"]) == (8, 7)
    everywhere = resolved(known, ["k=9"], {"k": 7}, {"01_a": {"k": 8}}, both)
    assert (everywhere["01_a"]["k"], everywhere["02_b"]["k"]) == (9, 9)
    one = resolved(known, ["01_a.k=500"], chosen=both)
    assert (one["01_a"]["k"], one["02_b"]["k"]) == (500, 5)


def test_a_shared_key_may_be_for_a_notebook_that_does_not_run(known):
    assert resolved(known, shared={"only_b": 2})["01_a"]["k"] == 10


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ks=[5, 7]", [5, 7]),
        ("reg=2", 2.0),
        ("reg=1e-3", 0.001),
        ("since=2024-01-01", "2024-01-01"),
        ("since=007", "007"),
        ("shuffle=true", True),
        ('models={"ease": {"reg": 5}, "als": {}}', {"ease": {"reg": 5}, "als": {}}),
    ],
)
def test_values(known, setting, value):
    found = resolved(known, [setting])["01_a"][setting.partition("=")[0]]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("k=true", "k is true; it must be of type int"),
        ("shuffle=1", "shuffle is 1; it must be of type bool"),
        ("k=1.5", "k is 1.5; it must be of type int"),
        ("k=0", "k is 0; it must be a number from 1 to 1000"),
        ("ks=[5, 0]", "ks is 0; it must be a number from 1 to 1000"),
        ("ks=[5, true]", "ks is true; it must be a number from 1 to 1000"),
        ("reg=.nan", "reg is NaN; only finite numbers and text are taken"),
        ('models={"ease": {"reg": .inf}}', "only finite numbers and text are taken"),
        ("split=tiem", "did you mean 'time'?"),
        ("kk=3", "unknown parameter 'kk'; did you mean 'k'?"),
        ("only_b=3", "unknown parameter 'only_b'"),
        ("02_b.k=3", "'02_b' does not run"),
        ("k", "write key=value"),
        ("output_dir=x", "use --output"),
        ("k=[1", "--set k: while parsing a flow sequence"),
    ],
)
def test_one_clear_line(known, setting, message):
    with pytest.raises(ParameterError) as raised:
        resolved(known, [setting])
    assert message in raised.value.problems[0]
    assert len(str(raised.value).splitlines()) == 1


def test_all_problems_at_once(known):
    with pytest.raises(ParameterError) as raised:
        resolved(known, ["k=0", "reg=x"], {"spilt": 1}, {"09_z": {"k": 1}}, ["01_a", "1_a"])
    assert raised.value.problems == [
        "there is no notebook '1_a'; did you mean '01_a'?",
        "there is no notebook '09_z'; known: 01_a, 02_b",
        "p.yaml shared: unknown parameter 'spilt'; did you mean 'split'?",
        "--set k=0: k is 0; it must be a number from 1 to 1000",
        '--set reg=x: reg is "x"; it must be of type float',
    ]


def test_profile_file(project):
    folder = project.root / "params"
    (folder / "good.yaml").write_text("notebooks: [01_a]\nshared: {k: 3}\n01_a:\n  reg: 2\n")
    expected = Profile("good", ("01_a",), {"k": 3}, {"01_a": {"reg": 2}})
    assert read_profile(folder, "good") == expected
    (folder / "twice.yaml").write_text("shared:\n  k: 3\n  k: 4\n")
    (folder / "shape.yaml").write_text("shared: 3\n")
    (folder / "code.yaml").write_text("shared: !!python/object/apply:os.getcwd []\n")
    for name, message in (
        ("twice", "the key 'k' appears twice in the mapping at line 2"),
        ("shape", "shared must be"),
        ("code", "could not determine a constructor"),
        ("goood", "did you mean 'good'"),
    ):
        with pytest.raises(ParameterError, match=message) as raised:
            read_profile(folder, name)
        assert len(str(raised.value).splitlines()) == 1


def test_data_means_tables_unless_the_profile_names_a_data_set(tmp_path):
    for shared, dataset in (
        ({}, "tables"),
        ({"dataset": "simulated"}, "tables"),
        ({"dataset": "movielens"}, "movielens"),
    ):
        reading = Profile("p", None, shared, {}).reading(tmp_path, tmp_path)
        assert reading.shared == {"dataset": dataset, "data_dir": str(tmp_path)}
    inside = Profile("p", None, {"data_dir": "data"}, {}).reading(None, tmp_path)
    assert inside.shared == {"data_dir": str(tmp_path / "data")}


def test_yaml_merges_and_nested_duplicates():
    with pytest.raises(ParameterError, match="'a' appears twice"):
        read_yaml("x: [{a: 1, a: 2}]", "here")
    assert read_yaml("x: 1e-3\ny: 2024-01-01", "here")["x"] == 0.001
