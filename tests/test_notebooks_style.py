"""How a notebook is written: read from the files, without running them."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
FORBIDDEN = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def cells(path, kind):
    return [cell for cell in load(path)["cells"] if cell["cell_type"] == kind]


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return request.param


def test_committed_without_outputs(notebook):
    for cell in cells(notebook, "code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None


def test_defines_nothing_and_keeps_cells_short(notebook):
    for cell in cells(notebook, "code"):
        text = source(cell)
        nodes = list(ast.walk(ast.parse(text)))
        assert not [node for node in nodes if isinstance(node, FORBIDDEN[:3])], text
        if set(tags(cell)) & {"parameters", "setup"}:  # as long as what they name
            continue
        assert len([line for line in text.splitlines() if line.strip()]) <= 16, text


def test_follows_the_template(notebook):
    code = cells(notebook, "code")
    order = [tag for cell in code for tag in tags(cell) if tag in {"parameters", "setup", "record"}]
    assert order == ["parameters", "setup", "record"]
    assert source(load(notebook)["cells"][0]).startswith("# ")
    assert code[-1]["metadata"]["tags"] == ["record"]
    assert "session.save()" in source(code[-1])


def test_words_stand_beside_code(notebook):
    """A reader meets words again after a few cells, however small the cells are."""
    kinds = "".join(cell["cell_type"][0] for cell in load(notebook)["cells"])
    assert "c" * 6 not in kinds


def test_truth_is_used_only_in_oracle_cells(notebook):
    code = cells(notebook, "code")
    may_be_real = any("dataset: str" in source(cell) for cell in code)
    for cell in code:
        if "truth" in source(cell) and "setup" not in tags(cell):
            assert "oracle" in tags(cell), source(cell)
            assert "is not None" in source(cell) or not may_be_real, source(cell)


def test_hides_no_warning_and_names_no_machine(notebook):
    for cell in cells(notebook, "code"):
        text = source(cell)
        assert "filterwarnings" not in text and "simplefilter" not in text
        assert "/home/" not in text and "C:\\" not in text


def test_raises_where_results_rest_on_something(notebook):
    """An assert can be switched off from outside; solutions keep it as an exercise's check."""
    if notebook.parent.name == "solutions":
        return
    for cell in cells(notebook, "code"):
        asserts = [
            node for node in ast.walk(ast.parse(source(cell))) if isinstance(node, ast.Assert)
        ]
        assert asserts == [], source(cell)


def test_a_paragraph_names_a_picture_or_table_that_its_notebook_makes(notebook):
    """A wrong name would take the paragraph off every page."""
    code = "\n".join(source(cell) for cell in cells(notebook, "code"))
    for cell in cells(notebook, "markdown"):
        subject = cell["metadata"].get("kpay", {}).get("about")
        assert subject is None or f'"{subject}"' in code, subject
