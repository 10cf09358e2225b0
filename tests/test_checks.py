"""What no notebook can run with is refused before a kernel starts, and in its `setup` cell."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from kpay_lab.checks import check_parameters, domain_faults
from kpay_lab.cli import main
from kpay_lab.customers.models import BASE, conversion_models
from kpay_lab.data.quality import REPAIRS
from kpay_lab.report.params import ParameterError, checked_values, read_notebook, read_notebooks
from kpay_lab.report.profile import read_profile, resolve

ROOT = Path(__file__).parents[1]
KNOWN = read_notebooks(ROOT / "notebooks")
EVERY = sorted((ROOT / "notebooks").rglob("*.ipynb"))


@pytest.fixture
def kpay(capsys, monkeypatch, tmp_path):
    """Call the command line; the code, the lines of its complaint, and whether a run began."""
    monkeypatch.chdir(ROOT)
    output = tmp_path / "outputs"

    def call(command, *arguments):
        place = [] if command == "params" else ["--output", str(output)]
        with pytest.raises(SystemExit) as ended:
            main([command, *map(str, arguments), *place])
        return ended.value.code, capsys.readouterr().err.splitlines(), output.exists()

    return call


def log(folder, events="user_id,item_id\nu,i\n", **tables):
    folder.mkdir(exist_ok=True)
    for name, text in {"events": events, **tables}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


NOT_MEANT = {"colums": {}}
OPENING = ("00_business", "01_data_exploration", "02_interest_matrix", "03_user_portraits")
OPENING += ("04_model_comparison", "05_sales_conversion", "06_experiments", "08_policies")
OPENING += ("09_live_sessions",)

# notebook, parameter, a value that its line in the cell allows or not, what is said
REFUSED = [
    ("01_data_exploration", "time_zone", "Asia/Shangai", "did you mean 'Asia/Shanghai'?"),
    ("01_data_exploration", "near_duplicate", 5.0, "near_duplicate is 5.0; it must be a number"),
    ("01_data_exploration", "since", "yesterday", "since is 'yesterday'; it must be an ISO time"),
    ("00_business", "period_start", "soon", "period_start is 'soon'; it must be an ISO time"),
    ("01_data_exploration", "repairs", ["dedup"], "it must be one of deduplicate"),
    ("01_data_exploration", "dataset", "tables", "dataset tables needs data_dir"),
    ("01_data_exploration", "catalogue_dir", "/nowhere", "catalogue_dir: /nowhere lacks udemy"),
    ("02_interest_matrix", "weights", {"wacth": 1}, "no setting 'wacth'; did you mean 'watch'?"),
    ("02_interest_matrix", "weights", {"watch": -1}, "weights: watch is -1; it must be a number"),
    ("04_model_comparison", "weights", {"half_watch": 0}, "weights: half_watch is 0; it must be a"),
    ("02_interest_matrix", "engine", "duckdb", "engine duckdb reads Parquet: set dataset"),
    ("04_model_comparison", "candidate_kinds", ["courses"], "it must be one of course, report"),
    ("04_model_comparison", "candidates", "rated", "needs relevant='interest' or relevant='purch"),
    ("04_model_comparison", "candidates", "seen", "it must be one of all, exposed, rated"),
    ("06_experiments", "metric_columns", ["sales", 3], "metric_columns holds 3; the name of a col"),
    ("06_experiments", "segment_columns", [None], "segment_columns holds None; the name of a col"),
    ("06_experiments", "covariate_columns", {"sales": 1}, "covariate_columns holds 1; the name"),
    ("06_experiments", "dataset", "ab_test", "dataset ab_test needs data_dir"),
    ("06_experiments", "planned_shares", {"control": 0}, "planned_shares gives control 0; a share"),
    ("06_experiments", "planned_shares", {"new": "half"}, "gives new 'half'; a share is a number"),
    ("04_model_comparison", "models", {"esae": {}}, "did you mean 'ease'?"),
    ("04_model_comparison", "models", {"als": {"n_factors": 0}}, "n_factors is 0"),
    ("04_model_comparison", "models", {"popularity": {"half_life": -3}}, "half_life is -3"),
    ("04_model_comparison", "models", {"ease": [1]}, "write its settings"),
    ("04_model_comparison", "models", {"ease_8": {"reg": 8}}, "say which it is, {model: ease}"),
    ("04_model_comparison", "models", {"ease": {"model": "als"}}, "cannot stand for als"),
    ("04_model_comparison", "models", {"a/b": {"model": "als"}}, "model 'a/b' is no name"),
    ("04_model_comparison", "models", {"mix": {"parts": ["ease", "asl"]}}, "did you mean 'als'?"),
    ("04_model_comparison", "gap_models", ["esae"], "gap_models: model 'esae' is unknown"),
    ("04_model_comparison", "search_model", "esae", "search_model is 'esae'"),
    ("04_model_comparison", "search_space", {"reg": [10.0, -1]}, "search_space: ease: reg is -1"),
    ("04_model_comparison", "search_space", {"rge": [10.0]}, "did you mean 'reg'?"),
    ("04_model_comparison", "search_space", {"reg": 10.0}, "it must be a list of values"),
    ("04_model_comparison", "search_space", {}, "search_space is empty"),
    ("04_model_comparison", "ks", [], "ks is empty"),
    ("04_model_comparison", "ks", [2.5], "ks holds 2.5; list lengths are whole numbers"),
    ("04_model_comparison", "ks", [0], "ks is 0; it must be a number from 1 to 1000"),
    ("05_sales_conversion", "models", ["decision tre"], "did you mean 'decision tree'?"),
    ("08_policies", "policy_models", ["esae"], "policy_models: model 'esae' is unknown"),
    ("06_experiments", "min_effect", 0.0, "min_effect is 0.0; it must be a number from 0.001"),
    ("07_case_study", "weights", [0.5, 0.5], "weights holds 2 numbers; it must be three"),
    ("07_case_study", "weights", [0.5, 0.5, 9], "weights is 9; it must be a number from -1 to 1"),
    *((name, "mapping", NOT_MEANT, "no 'colums'; did you mean columns?") for name in OPENING),
    ("01_data_exploration", "mapping", {"currency": "CNY"}, "but dataset is simulated; use --data"),
]


@pytest.mark.parametrize(("notebook", "name", "value", "message"), REFUSED)
def test_refused_in_the_setup_cell(notebook, name, value, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    namespace = {**KNOWN[notebook].defaults, name: value}
    with pytest.raises(ParameterError) as raised:
        check_parameters(notebook, namespace)
    (line,) = raised.value.problems
    assert line.startswith(f"{notebook}: ") and message in line


@pytest.mark.parametrize(("notebook", "name", "value", "message"), REFUSED)
def test_refused_before_a_run(notebook, name, value, message, kpay):
    text = value if isinstance(value, str) else json.dumps(value)
    code, lines, began = kpay("run", notebook, "--set", f"{name}={text}")
    assert (code, began) == (2, False)
    assert len(lines) == 1 and message in lines[0]


def test_every_list_and_mapping_is_checked_by_something():
    structured = {
        (notebook.name, name)
        for notebook in KNOWN.values()
        for name, parameter in notebook.parameters.items()
        if parameter.type in ("list", "dict")
    }
    assert structured <= {(notebook, name) for notebook, name, _, _ in REFUSED}


@pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_number_has_a_range_and_every_setup_checks(path):
    parameters = read_notebook(path).parameters
    for parameter in parameters.values():
        if parameter.type in ("int", "float"):
            assert parameter.low < parameter.high < float("inf"), parameter
    (setup,) = (
        cell.source
        for cell in nbformat.read(path, 4).cells
        if "setup" in cell.metadata.get("tags", [])
    )
    name = path.relative_to(ROOT / "notebooks").with_suffix("").as_posix()
    check = f'check_parameters("{name}", globals())'
    assert check in setup
    code = [line for line in setup.splitlines() if line and not line.startswith((" ", ")"))]
    first = next(line for line in code if not line.startswith(("import", "from")))
    assert first == check


def test_choices_in_the_cells_are_those_of_the_package():
    assert KNOWN["01_data_exploration"].parameters["repairs"].choices == tuple(REPAIRS)
    models = {*KNOWN["05_sales_conversion"].parameters["models"].choices}
    assert models == conversion_models().keys() - {BASE}


def test_committed_profiles_are_taken(monkeypatch):
    monkeypatch.chdir(ROOT)
    for path in sorted((ROOT / "params").glob("*.yaml")):
        values = resolve(KNOWN, list(KNOWN), read_profile(path.parent, path.stem))
        for one in values.values():
            data = one.get("dataset", "simulated")
            faults = domain_faults(one)
            assert faults == [] or faults[0].startswith(f"dataset {data} needs data_dir")


def test_everything_at_once(kpay, tmp_path):
    foreign = log(tmp_path / "log", "kunde,artikel\n1,2\n", items="farbe\n1\n")
    wrong = {
        "time_zone": "Asia/Shangai",
        "near_duplicate": 5,
        "models": '{"esae": {}, "als": {"n_factors": 0, "reg": -1}}',
        "k": 0,
        "since": "2024-02-01",
        "until": "2024-01-01",
        "kk": 3,
    }
    settings = [word for key, value in wrong.items() for word in ("--set", f"{key}={value}")]
    names = [name for name in KNOWN if name[:2] in ("01", "02", "04")]
    code, lines, began = kpay("run", *names, "--data", foreign, *settings)
    assert (code, began) == (2, False)
    said = "\n".join(lines)
    for message in (
        "04_model_comparison: models: model 'esae' is unknown",
        "04_model_comparison: models: model als: n_factors is 0",
        "04_model_comparison: models: model als: reg is -1",
        "01_data_exploration: time_zone is 'Asia/Shangai'",
        "near_duplicate is 5.0; it must be a number from 0.1 to 1",
        "k is 0; it must be a number",
        "unknown parameter 'kk'",
        "since is 2024-02-01 and until 2024-01-01",
        "events.csv: it has no column user_id; it has no column item_id (its columns: kunde",
        "items.csv: it has no column item_id (its columns: farbe)",
    ):
        assert said.count(message) == 1, f"{message}\n{said}"


def test_a_grid_is_checked_with_its_sets(kpay, tmp_path):
    grid = tmp_path / "grid.yaml"
    space = {"search_model": ["ease", "esae"], "n_trials": [0, 2000], "ks": [[10], []]}
    grid.write_text(yaml.safe_dump(space, sort_keys=False))
    code, lines, began = kpay("sweep", "04_model_comparison", "--grid", grid, "--set", "noise=99")
    assert (code, began) == (2, False)
    assert [line.partition(": ")[2] for line in lines] == [
        "--set noise=99: noise is 99.0; it must be a number from 0.01 to 10",
        "grid.yaml: n_trials is 2000; it must be a number from 0 to 1000",
    ]
    space["n_trials"] = [0, 2]
    grid.write_text(yaml.safe_dump(space, sort_keys=False))
    code, lines, began = kpay("sweep", "04_model_comparison", "--grid", grid)
    assert (code, began, len(lines)) == (2, False, 2)
    assert "ks is empty" in lines[0] and "search_model is 'esae'" in lines[1]
    sets = [f"{n:03}/04_model_comparison" for n in range(1, 9)]
    assert lines[0].startswith(f"kpay: {', '.join(sets[1::2])}: ks is empty")
    assert lines[1].startswith(f"kpay: {', '.join(sets[4:])}: search_model")


def test_params_prints_nothing_that_papermill_would_refuse(kpay):
    code, lines, _ = kpay("params", "04_model_comparison", "--set", "models={esae: {}}")
    assert code == 2 and len(lines) == 1 and "did you mean 'ease'?" in lines[0]


def test_a_refused_value_is_not_judged_by_what_stood_below_it(kpay):
    code, lines, _ = kpay(
        "run", "02_interest_matrix", "--set", "engine=duckdb", "--set", "dataset=x"
    )
    assert code == 2
    assert len(lines) == 1 and "dataset is" in lines[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "time"}, "split is 'time', but .* has no events.timestamp"),
        ({"split": "given"}, "split is 'given', but .* has no events.part"),
        ({"weighting": "rating"}, "weighting is 'rating', but .* has no events.rating"),
        ({"relevant": "purchase"}, "relevant is 'purchase', but .* has no orders.item_id"),
        ({"candidates": "exposed"}, "candidates is 'exposed', but .* has no exposures.timestamp"),
        ({"since": "2024-01-01"}, "since is set, but the events of .* have no timestamp"),
        ({"outcome": "gendr"}, "did you mean 'gender'"),
        ({"engine": "duckdb", "duplicates": "keep"}, "reads Parquet alone; convert events.csv"),
        ({"dataset": "oulad"}, "lacks studentInfo.csv"),
        ({"dataset": "open_bandit"}, r"lacks random/men/men\.csv, random/men/item_context\.csv"),
        ({"data_dir": "/nowhere"}, "data_dir is '/nowhere', which is not there"),
    ],
)
def test_parameters_must_fit_the_files(tmp_path, settings, message):
    folder = log(tmp_path / "log", users="user_id,gender\nu,f\n")
    good = {"dataset": "tables", "data_dir": str(folder)}
    assert domain_faults(good) == []
    faults = domain_faults({**good, **settings})
    assert len(faults) == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(faults[0])


def test_what_was_shown_is_known_after_a_cut_in_time_alone():
    asked = {"candidates": "exposed", "split": "auto", "relevant": "any"}
    assert domain_faults(asked) == []
    (fault,) = domain_faults({**asked, "split": "leave_last_out"})
    assert fault == "candidates is 'exposed', but split is leave_last_out; use split=time"


def test_models_of_the_gap_are_among_those_compared():
    chosen = {"models": {"ease": {}}, "gap_models": ["ease", "popularity"]}
    assert domain_faults(chosen) == []
    (fault,) = domain_faults({**chosen, "gap_models": ["als"]})
    assert fault == "gap_models: als is not among models; add it there, or leave it out"
    named = {"models": {"ease_8": {"model": "ease", "reg": 8}}, "gap_models": ["ease_8"]}
    assert domain_faults(named) == []
    (fault,) = domain_faults({**named, "gap_models": ["ease_9"]})
    assert fault == "gap_models: model 'ease_9' is unknown; did you mean 'ease_8'?"


def test_the_model_searched_may_go_by_a_name_of_its_own():
    chosen = {"models": {"little": {"model": "als"}}, "search_model": "little"}
    assert domain_faults({**chosen, "search_space": {"alpha": [1.0, 2.0]}}) == []
    (fault,) = domain_faults({**chosen, "search_space": {"reg": [-1.0]}})
    assert fault.startswith("search_space: little: reg is -1.0; it must be a number from")
    (fault,) = domain_faults({"models": {"x": [1]}, "search_model": "x", "search_space": {}})
    assert "write its settings" in fault


def test_a_file_of_an_a_b_test_is_read_before_a_run(tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("unit,arm,sales\nu1,A,1\nu2,B,2\nu3,A,4\nu4,B,3\n", encoding="utf-8")
    values = KNOWN["06_experiments"].defaults | {"dataset": "ab_test", "data_dir": str(path)}
    (fault,) = domain_faults(values)
    assert fault == ("data_dir: arm holds A, B, and no 'control'; name the arm that is the control")
    assert domain_faults(values | {"control_arm": "A"}) == []
    (fault,) = domain_faults(values | {"control_arm": "A", "data_dir": str(tmp_path / "none")})
    assert "which is not there" in fault


def test_no_row_is_read(tmp_path):
    """Rows that reading would set aside are not the check's affair, nor is a file's size."""
    rows = "u,\n" * 500_000
    folder = log(tmp_path / "log", f"user_id,item_id\n{rows}")
    pq.write_table(pa.table({"user_id": ["u"], "age": ["old"]}), folder / "users.parquet")
    assert domain_faults({"dataset": "tables", "data_dir": str(folder)}) == []


def test_values_take_their_parameters_types(monkeypatch):
    monkeypatch.chdir(ROOT)
    namespace = {**KNOWN["01_data_exploration"].defaults, "noise": 2, "In": ["", "x = 1"]}
    check_parameters("01_data_exploration", namespace)
    assert isinstance(namespace["noise"], float)
    del namespace["seed"]
    with pytest.raises(ParameterError, match="seed is not set; run the parameters cell first"):
        check_parameters("01_data_exploration", namespace)
    with pytest.raises(ParameterError, match="name the notebook's own file in its setup"):
        check_parameters("01_data_exploratoin", namespace)


def test_plain_papermill_refuses_all_at_once_before_any_work(tmp_path):
    """Names that papermill only warns of, too; and nothing is written."""
    given = {"near_duplicate": 5, "near_duplicates": 0.5, "time_zone": "Asia/Shangai"}
    given |= {"output_dir": str(tmp_path / "results")}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(given))
    source, output = ROOT / "notebooks/01_data_exploration.ipynb", tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", source, output, "-f", tmp_path / "p.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode != 0
    cells = nbformat.read(output, 4).cells
    ran = [cell for cell in cells if cell.cell_type == "code" and cell.execution_count]
    assert "setup" in ran[-1].metadata["tags"]
    (error,) = (one for one in ran[-1].outputs if one.output_type == "error")
    assert (error.ename, error.evalue.splitlines()) == (
        "ParameterError",
        [
            "01_data_exploration: near_duplicate is 5.0; it must be a number from 0.1 to 1",
            "01_data_exploration: unknown parameter 'near_duplicates'; "
            "did you mean 'near_duplicate'?",
            "01_data_exploration: time_zone is 'Asia/Shangai'; it must be a time zone; "
            "did you mean 'Asia/Shanghai'?",
        ],
    )
    assert not (tmp_path / "results").exists()


def test_faults_of_the_domain_are_asked_of_every_default():
    for notebook in KNOWN.values():
        values, problems = checked_values(notebook.parameters, notebook.defaults)
        assert problems == [] and domain_faults(values) == []
