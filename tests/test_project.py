"""The house rules that a program can read: layers, environments, notebooks, language."""

import ast
import re
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from tests import density
from tests.density import Figures

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kpay_lab"
MODULES = sorted(PACKAGE.rglob("*.py"))

# An import goes to a strictly lower number, or stays inside its own room.
LAYERS = {
    "formatting": -1,
    "findings": 0,
    "columns": 0,
    "memory": 0,
    "settings": 0,
    "stats": 0,
    "plots": 0,
    "data": 1,
    "interest": 2,
    "recommend": 3,
    "business": 3,
    "customers": 3,
    "experiments": 3,
    "live": 3,
    "evaluate": 4,
    "checks": 5,
    "world": 5,
    "workbench": 6,
    "admission": 7,
    "cli": 7,
}
GROUND = {"formatting", "findings"}  # know nothing of the domain, so report may import them
ALONE = {"report", "spark"}  # import no domain code; spark imports interest's totals only
BRIDGES = {
    ("interest", "spark"),
    ("checks", "report"),
    ("admission", "report"),
}
# What the statements of each room ask of a reader: see `tests.density`, which prints this table.
# A figure may fall, and none may rise.
DENSITY = {
    ".": Figures(7, 13, 0.0, 0, 0),
    "business": Figures(9, 14, 0.0, 0, 0),
    "customers": Figures(9, 14, 0.2, 0, 0),
    "data": Figures(7, 14, 0.2, 0, 0),
    "evaluate": Figures(7, 12, 0.2, 0, 0),
    "experiments": Figures(8, 14, 0.2, 0, 0),
    "interest": Figures(8, 14, 0.0, 0, 4),
    "live": Figures(9, 15, 0.0, 0, 0),
    "plots": Figures(8, 14, 0.0, 0, 0),
    "recommend": Figures(8, 13, 0.2, 0, 0),
    "report": Figures(7, 13, 0.3, 0, 0),
    "world": Figures(8, 13, 0.6, 0, 0),
}
MAY_IMPORT_WORLD = {
    "world",
    "workbench",
    "admission",
    "cli",
}  # and notebooks: no model sees the truth


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("kpay_lab.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    for there in imported_rooms(path) - {here}:
        if here == "report":
            if there in GROUND:
                continue
            pytest.fail(f"report imports {there}: it knows nothing of the domain")
        if (here == "cli" and there in ALONE) or (here, there) in BRIDGES:
            continue
        if here == "spark":
            assert there in {"data", "interest", "recommend", "settings"}
            continue
        assert LAYERS[there] < LAYERS[here], f"{here} imports {there}: not downwards"


def test_the_simulated_world_is_out_of_reach_of_models():
    importers = {room(path) for path in MODULES if "world" in imported_rooms(path)}
    assert importers <= MAY_IMPORT_WORLD


def test_only_spark_imports_pyspark():
    importers = {
        path.name
        for path in MODULES
        if re.search(r"^\s*(import|from) pyspark", path.read_text(), re.M)
    }
    assert importers <= {"spark.py"}


def imported_packages(path: Path) -> set[str]:
    """The first name of whatever a file imports, such as ``numpy``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def conda() -> tuple[list[str], list[str]]:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    return [entry for entry in entries if isinstance(entry, str)], pip


def squeezed(requirement: str) -> str:
    """One spelling for pip's ``jupyter-client>=8.6`` and conda's ``jupyter_client >=8.6``."""
    return requirement.replace(" ", "").replace("_", "-")


def project_name(requirement: str) -> str:
    return re.match(r"[a-z0-9-]+", squeezed(requirement).lower()).group()


def test_conda_users_get_the_same_packages():
    specs, pip = conda()
    ours = {squeezed(requirement) for requirement in project()["dependencies"]}
    theirs = {squeezed(spec) for spec in [*specs, *pip]}
    assert ours == theirs - {"pip", "-e.", f"python{project()['requires-python']}"}
    assert pip[-1] == "-e ."


def test_what_the_package_imports_is_declared():
    """An import that rests on another package's dependency breaks when that one drops it."""
    extras = project()["optional-dependencies"]
    declared = {project_name(one) for one in [*project()["dependencies"], *extras["spark"]]}
    modules = set().union(*map(imported_packages, MODULES))
    foreign = modules - sys.stdlib_module_names - {"kpay_lab"}
    distributions = packages_distributions()
    for module in sorted(foreign):
        names = {project_name(name) for name in distributions.get(module, [module])}
        assert names & declared, f"{module} is imported and not declared in pyproject.toml"


def test_every_conda_line_parses_strictly():
    from rattler import MatchSpec

    for spec in conda()[0]:
        assert MatchSpec(spec, strict=True).name is not None


def test_the_lock_names_no_address_and_covers_the_project():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    locked = {line.split("==")[0] for line in lock.splitlines()}
    for requirement in project()["dependencies"]:
        assert project_name(requirement) in locked


def test_the_readme_maps_every_module():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## The map") : readme.index("## Adding a model")]
    named = set(re.findall(r"`(?:\w+/)?(\w+)`", table))
    models = {path.stem for path in (PACKAGE / "recommend").glob("*.py")}  # "and its neighbours"
    plots = {path.stem for path in (PACKAGE / "plots").glob("*.py")}
    modules = {path.stem for path in MODULES} - models - plots - {"__init__", "__main__"}
    assert modules <= named, f"not on the map: {sorted(modules - named)}"


def imported_modules(path: Path) -> set[str]:
    """Every module of the package that a file imports, inside of functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in names if is_module(name)}
            found |= modules
            if names != modules:
                found.add(node.module)
    ours = {name for name in found if name.startswith("kpay_lab.")}
    return {name.removeprefix("kpay_lab.") for name in ours}


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def module_name(path: Path) -> str:
    """``report.html`` of kpay_lab/report/html.py, ``report`` of kpay_lab/report/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def test_no_module_imports_in_a_circle():
    graph = {module_name(path): imported_modules(path) for path in MODULES}
    TopologicalSorter(graph).prepare()  # a circle is a CycleError


@pytest.fixture(scope="module")
def rooms():
    return density.rooms()


def test_the_density_table_names_every_room(rooms):
    assert set(rooms) == set(DENSITY)


@pytest.mark.parametrize("name", DENSITY)
def test_no_room_asks_more_of_a_reader_than_before(name, rooms):
    before = DENSITY[name]
    room = rooms[name]
    worse = [
        f"{figure} was {was} and is {now}"
        for figure, was, now in zip(Figures._fields, before, room.figures, strict=True)
        if now > was
    ]
    fullest = ", ".join(f"{place} ({n_nodes} nodes)" for n_nodes, place in room.fullest[:3])
    assert not worse, f"room {name}: {'; '.join(worse)}. Its fullest statements: {fullest}"


SAMPLE = """
def learn(model: Model, *, n: int = 3) -> Model:
    \"\"\"A docstring is no statement.\"\"\"
    rate: float = 0.5
    print(f"{n + n + n} rounds")
    for step in range(n):
        model.fit(step)
    try:
        low, high = rate, n
    except ValueError:
        raise
    def inner(x):
        return [y for y in x if all(z for z in y)]
    return model
"""


def test_the_measure_counts_as_it_says(tmp_path):
    path = tmp_path / "learn.py"
    path.write_text(SAMPLE)
    figures, fullest = density.measure([path])
    by_line = {int(place.rpartition(":")[2]): n_nodes for n_nodes, place in fullest}
    assert by_line == {4: 3, 5: 4, 6: 5, 7: 5, 9: 7, 11: 1, 13: 13, 14: 2}
    assert figures == Figures(4, 7, 0.0, 1, 1)
