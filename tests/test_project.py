"""The house rules that a program can read: layers, environments, notebooks, language."""

import ast
import re
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kpay_lab"
MODULES = sorted(PACKAGE.rglob("*.py"))

# An import goes to a strictly lower number, or stays inside its own room.
LAYERS = {
    "columns": 0,
    "settings": 0,
    "stats": 0,
    "plots": 0,
    "data": 1,
    "interest": 2,
    "recommend": 3,
    "customers": 3,
    "experiments": 3,
    "evaluate": 4,
    "checks": 5,
    "world": 5,
    "workbench": 6,
    "cli": 7,
}
ALONE = {"report", "spark"}  # import no domain code; spark imports interest's totals only
BRIDGES = {
    ("interest", "spark"),
    ("checks", "report"),
}
MAY_IMPORT_WORLD = {"world", "workbench", "cli"}  # and notebooks: no model sees the truth


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
            pytest.fail(f"report imports {there}: it knows nothing of the domain")
        if (here == "cli" and there in ALONE) or (here, there) in BRIDGES:
            continue
        if here == "spark":
            assert there in {"interest", "recommend", "settings"}
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


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def conda() -> tuple[list[str], list[str]]:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    return [entry for entry in entries if isinstance(entry, str)], pip


def squeezed(requirement: str) -> str:
    return requirement.replace(" ", "")


def test_conda_users_get_the_same_packages():
    specs, pip = conda()
    ours = {squeezed(requirement) for requirement in project()["dependencies"]}
    theirs = {squeezed(spec) for spec in [*specs, *pip]}
    assert ours == theirs - {"pip", "-e.", f"python{project()['requires-python']}"}
    assert pip[-1] == "-e ."


def test_every_conda_line_parses_strictly():
    from rattler import MatchSpec

    for spec in conda()[0]:
        assert MatchSpec(spec, strict=True).name is not None


def test_the_lock_names_no_address_and_covers_the_project():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    locked = {line.split("==")[0] for line in lock.splitlines()}
    for requirement in project()["dependencies"]:
        assert re.match(r"[A-Za-z0-9_-]+", requirement).group() in locked


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
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name.removeprefix("kpay_lab.") for name in found if str(name).startswith("kpay_lab.")}


def test_the_modules_of_report_import_in_no_circle():
    paths = (PACKAGE / "report").glob("*.py")
    graph = {f"report.{path.stem}": imported_modules(path) for path in paths}
    TopologicalSorter(graph).prepare()  # a circle is a CycleError
