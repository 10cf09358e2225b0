"""Execute a notebook's cells in this process: no kernel to start, and every warning is seen."""

import ast
import contextlib
import io
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpay_lab.report.session import NotApplicable

ROOT = Path(__file__).parents[1]
UNSHOWN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@dataclass
class Warm:
    """What a run in this process left: results by name, printed text, and what went to stderr."""

    folder: Path
    printed: str = ""
    stderr: str = ""
    warned: list[str] = field(default_factory=list)
    not_applicable: str = ""

    def _json(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    @property
    def metrics(self) -> dict[str, Any]:
        return self._json("metrics.json")

    @property
    def why(self) -> dict[str, str]:
        return self._json("session.json")["why"]


def run_warm(notebook: str, output: Path, **parameters: Any) -> Warm:
    """Run every code cell in one namespace, the parameters set as the runner would set them."""
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {"__name__": "__main__", "display": display}
    run = Warm(output / notebook)
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        try:
            for cell in (cell for cell in cells if cell["cell_type"] == "code"):
                _execute("".join(cell["source"]), f"{notebook} [{cell['id']}]", names)
                if "parameters" in cell["metadata"].get("tags", []):
                    unknown = parameters.keys() - names.keys()
                    assert not unknown, f"{notebook} has no parameter {unknown}"
                    names |= {**parameters, "output_dir": str(output)}
        except NotApplicable as end:
            run.not_applicable = str(end)
    run.printed, run.stderr = out.getvalue(), err.getvalue()
    run.warned = [
        f"{one.filename}:{one.lineno}: {one.category.__name__}: {one.message}"
        for one in caught
        if not issubclass(one.category, UNSHOWN) or notebook in one.filename
    ]
    return run


def display(*shown: Any) -> None:
    """Render as a page would: a styled table makes its HTML only when it is shown."""
    for one in shown:
        render = getattr(one, "_repr_html_", None) or one.__repr__
        print(render())


def _execute(source: str, name: str, names: dict[str, Any]) -> None:
    """Execute a cell, and show its last expression."""
    body = ast.parse(source, name).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), name, "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), name, "eval"), names)
        if value is not None:
            display(value)
