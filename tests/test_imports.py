"""What a user waits for before anything happens: a notebook imports the libraries that it uses."""

import ast
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SLOW = "scipy.optimize scipy.stats sklearn ibis tea_tasting implicit sparse_dot_topn ipywidgets"
SLOW += " duckdb pandera papermill nbformat nbconvert statsmodels hypothesis"
# By what a notebook may import beyond those before it, which run in the same process.
NOTEBOOKS = {
    "00_business": "",
    "02_interest_matrix": "",
    "08_policies": "",
    "04_model_comparison": "scipy.stats scipy.optimize",
    "01_data_exploration": "sklearn",
    "03_user_portraits": "",
    "05_sales_conversion": "",
    "09_live_sessions": "",
    "06_experiments": "ibis tea_tasting",
    "07_case_study": "ipywidgets nbformat",
}


def imports_of_setup(path):
    """Return the import statements of a notebook's set-up cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (setup,) = [cell for cell in cells if "setup" in cell["metadata"].get("tags", [])]
    statements = ast.parse("".join(setup["source"])).body
    imports = [line for line in statements if isinstance(line, ast.Import | ast.ImportFrom)]
    return "\n".join(ast.unparse(line) for line in imports)


def test_a_notebook_imports_no_slow_library_that_it_does_not_use():
    script = ["import sys"]
    for name in NOTEBOOKS:
        script.append(imports_of_setup(ROOT / "notebooks" / f"{name}.ipynb"))
        script.append(f"print(*[name for name in {SLOW.split()} if name in sys.modules])")
    command = [sys.executable, "-c", "\n".join(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = [set(line.split()) for line in done.stdout.splitlines()]
    before = set()
    for (name, allowed), found in zip(NOTEBOOKS.items(), loaded, strict=True):
        assert found - before <= set(allowed.split()), name
        before = found


def test_every_notebook_is_looked_at():
    assert sorted(NOTEBOOKS) == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
