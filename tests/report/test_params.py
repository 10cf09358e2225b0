"""Everything wrong with the parameters is said at once, before a kernel starts."""

import json

import pytest

from kpay_lab.report.params import (
    ParameterError,
    find_notebook,
    read_notebook,
    read_notebooks,
    read_parameters,
)
from kpay_lab.report.profile import Profile, chosen_notebooks, read_profile, read_yaml, resolve

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
        read_notebook(path)
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


@pytest.fixture
def stray(known, project):
    """The known notebooks beside what JupyterLab and a Mac leave in a folder."""
    folder = project.root / "notebooks"
    (folder / "Untitled.ipynb").write_text('{"cells": [], "metadata": {}}')
    (folder / "old.ipynb").mkdir()
    (folder / ".ipynb_checkpoints").mkdir()
    for name in (".ipynb_checkpoints/01_a-checkpoint.ipynb", ".~01_a.ipynb", "._02_b.ipynb"):
        (folder / name).write_bytes(b"\x00\x05")
    return read_notebooks(folder)


def test_a_stray_file_is_kept_apart_with_its_fault(known, stray):
    assert {name: notebook.fault for name, notebook in stray.items() if notebook.fault} == {
        "Untitled": "Untitled.ipynb: it has 0 cells tagged 'parameters'; it must have one",
        "old": "old.ipynb: it cannot be read: Is a directory",
    }
    assert {name: one for name, one in stray.items() if not one.fault} == known


def test_what_runs_is_what_is_asked_for_or_else_all_that_can_be_read(stray):
    profile = Profile("p", None, {}, {})
    listed = Profile("p", ("02_b",), {}, {})
    assert chosen_notebooks(stray, (), profile) == ["01_a", "02_b"]
    assert chosen_notebooks(stray, (), listed) == ["02_b"]
    assert chosen_notebooks(stray, ("02_b", "01", "2"), listed) == ["02_b", "01_a"]


@pytest.mark.parametrize(
    ("asked", "notebooks", "blocks", "message"),
    [
        (["Untitled"], None, {}, "Untitled.ipynb: it has 0 cells"),
        (["Unt"], None, {}, "Untitled.ipynb: it has 0 cells"),
        ([], ("01_a", "Untitled"), {}, "p.yaml asks for Untitled.ipynb: it has 0 cells"),
        ([], None, {"Untitled": {"k": 3}}, "p.yaml asks for Untitled.ipynb: it has 0 cells"),
    ],
)
def test_a_stray_file_is_refused_where_it_is_asked_for(stray, asked, notebooks, blocks, message):
    profile = Profile("p", notebooks, {}, blocks)
    with pytest.raises(ParameterError, match=message) as raised:
        chosen_notebooks(stray, asked, profile)
    assert len(raised.value.problems) == 1


def test_a_block_for_a_stray_file_does_not_keep_others_from_running(stray):
    profile = Profile("p", None, {"k": 7}, {"Untitled": {"k": 3}})
    assert resolve(stray, ["01_a"], profile)["01_a"]["k"] == 7


def test_a_folder_of_strays_runs_nothing(tmp_path):
    (tmp_path / "Untitled.ipynb").write_text("")
    known = read_notebooks(tmp_path)
    with pytest.raises(ParameterError, match=r"Untitled\.ipynb line 1: it is not whole JSON"):
        chosen_notebooks(known, (), Profile("p", None, {}, {}))


@pytest.fixture
def many(project):
    names = ["00_start", "01_data", "01_data-Copy1", "04_models", "10_more", "four_more"]
    for name in names:
        project.write(name)
    copy = project.root / "notebooks/04_models.ipynb"
    (project.root / "notebooks/answers").mkdir()
    (project.root / "notebooks/answers/04_models.ipynb").write_bytes(copy.read_bytes())
    (project.root / "04_own.ipynb").write_bytes(copy.read_bytes())
    (project.root / "notebooks/04_broken.ipynb").write_text("")
    return read_notebooks(project.root / "notebooks")


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("04_models", "04_models"),
        ("04", "04_models"),
        ("4", "04_models"),
        ("04_mo", "04_models"),
        ("0", "00_start"),
        ("10", "10_more"),
        ("f", "four_more"),
        ("01_data", "01_data"),
        ("01_data-", "01_data-Copy1"),
        ("04_models.ipynb", "04_models"),
        ("notebooks/04_models.ipynb", "04_models"),
        ("notebooks/04_models", "04_models"),
        ("./notebooks/../notebooks/04_models.ipynb", "04_models"),
    ],
)
def test_a_notebook_is_found(many, project, monkeypatch, asked, name):
    monkeypatch.chdir(project.root)
    assert find_notebook(many, asked) == name
    assert find_notebook(many, str(project.root / "notebooks/01_data.ipynb")) == "01_data"


def test_a_path_is_seen_from_the_working_folder_and_then_from_the_project(
    many, project, monkeypatch
):
    monkeypatch.chdir(project.root / "notebooks")
    assert find_notebook(many, "04_models.ipynb") == "04_models"
    assert find_notebook(many, "notebooks/04_models.ipynb") == "04_models"
    monkeypatch.chdir(project.root / "notebooks/answers")
    assert find_notebook(many, "../01_data.ipynb") == "01_data"
    with pytest.raises(ValueError, match=r"^04_models.ipynb is not a notebook of .*notebooks"):
        find_notebook(many, "04_models.ipynb")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("01", "'01' may be 01_data or 01_data-Copy1; write more of the name"),
        ("", "'' may be 00_start or 01_data or"),
        ("2", "there is no notebook '2'; known: 00_start"),
        ("04_modles", "there is no notebook '04_modles'; did you mean '04_models'?"),
        ("04_broken", "04_broken.ipynb line 1: it is not whole JSON"),
        ("notebooks/04_broken.ipynb", "04_broken.ipynb line 1: it is not whole JSON"),
        (
            "notebooks/answers/04_models.ipynb",
            "notebooks/answers/04_models.ipynb is not a notebook",
        ),
        ("04_own.ipynb", "open it in JupyterLab, or copy it there under a name of its own"),
        ("notebooks/04_modles.ipynb", "there is no file notebooks/04_modles.ipynb; did you mean"),
        ("notebooks/", "there is no file notebooks.ipynb; known:"),
    ],
)
def test_what_is_not_found_is_one_line(many, project, monkeypatch, asked, message):
    monkeypatch.chdir(project.root)
    with pytest.raises(ValueError) as raised:
        find_notebook(many, asked)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_setting_may_shorten_the_name_of_a_notebook(known):
    both = ["01_a", "02_b"]
    assert resolved(known, ["01.k=500"], chosen=both)["01_a"]["k"] == 500
    assert resolved(known, ["2.k=8"], chosen=both)["02_b"]["k"] == 8
    both_twos = known | {"02_c": known["02_b"]}
    with pytest.raises(ParameterError, match=r"--set 2\.k=8: '2' may be 02_b or 02_c; write more"):
        resolved(both_twos, ["2.k=8"], chosen=list(both_twos))


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
