"""Tiny notebooks for the runner, in a folder whose name has a space and Chinese letters."""

from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kpay_lab.report.params import read_notebooks
from kpay_lab.report.profile import Domain, Profile, resolve
from kpay_lab.report.runner import start
from tests.report.shop import SAVE, Shop

OUTPUT_DIR = 'output_dir: str = "outputs/interactive"  # where results go'
ALL_TABLES = {"events", "items", "users", "orders", "exposures"}


@dataclass
class Project:
    root: Path

    def write(self, name, *cells, parameters="", needs=(), stays_open=""):
        """Write a notebook: text cells are Markdown if they start with # or ¶."""
        first = new_code_cell(
            f"{parameters}\n{OUTPUT_DIR}".strip(), metadata={"tags": ["parameters"]}
        )
        made = [new_markdown_cell(f"# Title of {name}"), first]
        for cell in cells:
            prose = cell.startswith(("#", "¶"))
            made.append(new_markdown_cell(cell.lstrip("¶")) if prose else new_code_cell(cell))
        about = {"needs": list(needs), "stays_open": stays_open}
        notebook = new_notebook(cells=made, metadata={"kpay": about})
        path = self.root / "notebooks" / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    def run(self, *names, settings=(), tables=ALL_TABLES):
        """Start a run of some notebooks, or all, without a profile."""
        known = read_notebooks(self.root / "notebooks")
        chosen = names or list(known)
        values = resolve(known, chosen, Profile("tiny", None, {}, {}), settings)
        return start(known, values, "tiny", self.root / "outputs", Domain(lambda _: set(tables)))


def new_project(folder):
    root = folder / "项 目"
    (root / "notebooks").mkdir(parents=True)
    (root / "params").mkdir()
    return Project(root)


@pytest.fixture
def project(tmp_path):
    return new_project(tmp_path)


@pytest.fixture
def shop(project):
    project.write("01_save", SAVE)
    return Shop(project)
