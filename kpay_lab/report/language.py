"""A notebook's words in another language: one Markdown file beside it, cell by cell.

``notebooks/zh/07_case_study.md`` holds a section for each Markdown cell, headed by the beginning
of the English one as ``<!-- ## The data: four rows -->``, and one headed ``<!-- words -->`` with a
line ``- English = 中文`` for each label of a figure or table.
"""

import re

import nbformat

from kpay_lab.report.files import project_root

HEAD = re.compile(r"^<!-- (.+) -->\n", re.MULTILINE)
SPOKEN = "en"  # the language of the notebooks themselves


def translation(notebook: str, language: str) -> dict[str, str]:
    """Return a notebook's texts by section; none for the language it is written in.

    Raises
    ------
    ValueError
        If the notebook is not translated into that language.
    """
    if language == SPOKEN:
        return {}
    path = project_root() / "notebooks" / language / f"{notebook}.md"
    if not path.is_file():
        raise ValueError(f"language is {language!r}, but there is no {path}; use {SPOKEN!r}")
    _, *parts = HEAD.split(path.read_text(encoding="utf-8"))
    sections = zip(parts[::2], parts[1::2], strict=True)  # head, text, head, text, ...
    return {head: text.strip() for head, text in sections}


def beginning(text: str) -> str:
    """Return what heads a cell's translation: the first forty letters of its first line.

    >>> beginning("## The data: four rows" + chr(10) + "Everything follows from this log.")
    '## The data: four rows'
    """
    return text.partition("\n")[0][:40].strip()


def labels(notebook: str, language: str) -> dict[str, str]:
    """Return the labels of a notebook's figures and tables: English → the language."""
    lines = translation(notebook, language).get("words", "").splitlines()
    parts = (line.removeprefix("- ").partition(" = ") for line in lines)
    return {english: other for english, _, other in parts if english}


def translate(document: nbformat.NotebookNode, notebook: str, language: str) -> None:
    """Put the language's texts in the place of the Markdown cells that have one."""
    texts = translation(notebook, language)
    for cell in document.cells:
        if cell.cell_type == "markdown":
            cell.source = texts.get(beginning(cell.source), cell.source)
