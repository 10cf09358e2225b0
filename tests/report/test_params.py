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


@pytest.mark.parametrize(
    "cell", ["k = 10", "k: int", "k: complex = 1", "import os", "k: int = 10  # [20, 30]"]
)
def test_grammar_refuses(cell):
    with pytest.raises(ValueError, match=r"line 1|k is 10; it must be a number from 20 to 30"):
        read_parameters(cell)


def test_defaults_never_run(project):
    path = project.write("01_a", parameters="k: int = __import__('os').getpid()")
    with pytest.raises(ValueError, match="line 1: the default of k must be written out"):
        read_notebook(path)


def refusal(path):
    """The one line with which a notebook is refused."""
    with pytest.raises(ValueError) as raised:
        read_notebook(path)
    (line,) = str(raised.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("k: int = (10", "line 1: '(' was never closed"),
        ('j: int = 1\nk: str = "ten', "line 2: unterminated string literal"),
        ("j: int = 1\n  k: int = 2", "line 2: unexpected indent"),
        ("%matplotlib inline\nk: int = 1", "line 1: invalid syntax"),
        ("j: int = 1\nk: dict = {[]: 1}", "line 2: the default of k must be written out"),
        ("k: int = 1  # few [1]", "line 1: the range of k, [1], must be two numbers"),
        ("k: int = 1  # few [1, 2, 3]", "line 1: the range of k, [1, 2, 3], must be two numbers"),
        ("k: int = 1  # few [see below]", "line 1: the range of k, [see below], must be two"),
        ("j: int = 1\nk: int = 0  # few [1, 2]", "line 2: k is 0; it must be a number"),
    ],
)
def test_a_broken_parameters_cell_is_one_line(project, cell, message):
    said = refusal(project.write("01_a", parameters=cell))
    assert said.startswith("01_a.ipynb: parameters cell ")
    assert message in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "01_a.ipynb line 1: it is not whole JSON"),
        (b'{\n"cells": [', "01_a.ipynb line 2: it is not whole JSON"),
        (b"<<<<<<< HEAD\n{}", "01_a.ipynb line 1: it is not whole JSON"),
        ('{"cells":\n"表"}'.encode("gbk"), "01_a.ipynb line 2: it is not UTF-8 text"),
        ("{}".encode("utf-16"), "01_a.ipynb line 1: it is not UTF-8 text; save the file as UTF-8"),
        (b"[]", "01_a.ipynb: it must be a JSON object"),
        (b"{}", "01_a.ipynb: it has no list of cells"),
        (b'{"cells": {}, "metadata": {}}', "01_a.ipynb: it has no list of cells"),
        (b'{"cells": []}', "01_a.ipynb: it has no list of cells"),
        (b'{"cells": [3], "metadata": {}}', "01_a.ipynb: cell 1 lacks its type"),
        (b'{"cells": [{"cell_type": "code", "metadata": {}}], "metadata": {}}', "cell 1 lacks its"),
        (b'{"cells": [], "metadata": {"kpay": {"needs": "orders"}}}', "needs must be a list"),
        (b'{"cells": [], "metadata": {"kpay": 3}}', "needs must be a list"),
    ],
)
def test_a_file_that_is_no_notebook_is_one_line(project, content, message):
    path = project.write("01_a")
    path.write_bytes(content)
    assert message in refusal(path)


def test_a_folder_and_a_lost_link_are_no_notebooks(project):
    folder, link = (project.root / "notebooks" / f"{name}.ipynb" for name in ("a", "b"))
    folder.mkdir()
    link.symlink_to("nowhere")
    assert refusal(folder) == "a.ipynb: it cannot be read: Is a directory"
    assert refusal(link) == "b.ipynb: it cannot be read: No such file or directory"


@pytest.mark.parametrize("tags", [None, 3, {}])
def test_a_byte_order_mark_and_tags_that_are_none_are_read(project, tags):
    path = project.write("01_a", parameters="k: int = 1")
    content = json.loads(path.read_text())
    content["cells"][0]["metadata"]["tags"] = tags
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    assert list(read_notebook(path).parameters) == ["k", "output_dir"]


@pytest.mark.parametrize("count", [0, 2])
def test_one_parameters_cell(project, count):
    path = project.write("01_a")
    content = json.loads(path.read_text())
    cells = content["cells"]
    content["cells"] = [cells[0], *[cells[1]] * count]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"01_a.ipynb: it has {count} cells tagged"):
        read_notebook(path)


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
        "p.yaml: there is no notebook '09_z'; known: 01_a, 02_b",
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
        ("twice", "twice.yaml line 3: the key 'k' appears twice"),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# 默认\nshared: {k: 3}".encode("gbk"), "p.yaml line 1: it is not UTF-8 text; save the"),
        (b"- k: 3\n", "p.yaml: it must be a mapping of blocks"),
        (b"[]", "p.yaml: it must be a mapping of blocks"),
        (b"shared: {k: 3}\nnotebooks: 01_a", "p.yaml: notebooks must be a list of names"),
        (b"01_a: 3\nnotebooks: [01_a]", "p.yaml: 01_a must be a mapping"),
        (b"shared:\n\tk: 3\n", "p.yaml line 2: while scanning for the next token, found character"),
        (b"shared:\n\tk: 3\n", "indent with spaces, not with tabs"),
        (b"shared:\n  ? [k]\n  : 3\n", "p.yaml line 2: a key must be text"),
        (b"shared:\n  k: *b\n", "p.yaml line 2: found undefined alias 'b'"),
        (b"shared:\n  <<: 3\n", "p.yaml line 2: while constructing a mapping, expected a mapping"),
        (b"a: 1\n---\nb: 1\n", "p.yaml line 2: expected a single document"),
        (b"shared: {since: 2024-13-01}", "p.yaml: month must be in 1..12"),
        (b"a: \x00", "p.yaml: unacceptable character"),
    ],
)
def test_a_broken_profile_is_one_line(project, content, message):
    (project.root / "params/p.yaml").write_bytes(content)
    with pytest.raises(ValueError) as raised:
        read_profile(project.root / "params", "p")
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_profile_that_is_a_folder_and_an_empty_one(project):
    folder = project.root / "params"
    (folder / "p.yaml").mkdir()
    with pytest.raises(ValueError, match=r"p\.yaml: it cannot be read: Is a directory"):
        read_profile(folder, "p")
    (folder / "q.yaml").write_text("# nothing yet\n")
    assert read_profile(folder, "q") == Profile("q", None, {}, {})


def test_keys_are_text_as_it_is_written():
    written = "04: {on: 1, 1: 2, 1e3: 3, null: 4, 2024-01-01: 5, '7': 6}"
    keys = ["on", "1", "1e3", "null", "2024-01-01", "7"]
    assert list(read_yaml(written, "here")["04"]) == keys
    with pytest.raises(ParameterError, match=r"here: the key '04' appears twice"):
        read_yaml("{04: 1, '04': 2}", "here")


@pytest.mark.parametrize("key", ["01", "'01'", "1"])
def test_a_profile_says_the_whole_name_of_a_notebook(known, project, key):
    (project.root / "params/p.yaml").write_text(f"{key}:\n  k: 3\nnotebooks: [{key}]\n")
    with pytest.raises(ParameterError) as raised:
        resolve(known, ["01_a"], read_profile(project.root / "params", "p"))
    (name,) = {key.strip("'")}
    assert f"p.yaml: there is no notebook {name!r}; did you mean '01_a'?" in raised.value.problems
    assert all(problem.endswith("did you mean '01_a'?") for problem in raised.value.problems)


def test_yaml_merges_and_nested_duplicates():
    with pytest.raises(ParameterError, match="'a' appears twice"):
        read_yaml("x: [{a: 1, a: 2}]", "here")
    assert read_yaml("x: 1e-3\ny: 2024-01-01", "here")["x"] == 0.001
    merged = "a: {b: &B {<<: &A {x: 1, y: 1}, y: 2}}\nc: {<<: *B, z: 3}\nd: {<<: [*A, *B]}"
    assert read_yaml(merged, "here") == {
        "a": {"b": {"x": 1, "y": 2}},
        "c": {"x": 1, "y": 2, "z": 3},
        "d": {"x": 1, "y": 1},
    }
