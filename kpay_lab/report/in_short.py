"""*In short*: what a notebook and a run found, as sentences, the most important first."""

import shutil
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from kpay_lab.findings import SPOKEN, Finding, catalogue, order, sentence
from kpay_lab.report.files import read_json

FILE = "findings.json"
SIGNS = {"good": "✓", "watch": "!", "bad": "✗", "plain": "•"}
MOST = 6  # findings at the end of a run
OPEN = 7  # findings that a page shows at once
REMEDY = "the file is damaged: restore it, or run the notebooks again"


@dataclass(frozen=True)
class Line:
    """One finding as a page shows it.

    ``key`` says what it is about, as in the catalogue; ``place`` is the name of the figure or table
    that it speaks of; ``word`` and ``sign`` say its level without colour; ``order`` is its place in
    the order of importance.
    """

    key: str
    level: str
    sentence: str
    place: str
    word: str
    sign: str
    order: int


@dataclass(frozen=True)
class InShort:
    """The findings of a notebook, as a list that shows itself in JupyterLab and on a page.

    A page shows the first `OPEN` of them and folds the others under the words ``rest``.
    """

    title: str
    note: str
    lines: tuple[Line, ...]
    rest: str = ""

    @property
    def opened(self) -> tuple[Line, ...]:
        """The lines that a page shows at once."""
        return self.lines[:OPEN]

    @property
    def folded(self) -> tuple[Line, ...]:
        """The lines that a page shows at a click."""
        return self.lines[OPEN:]

    def __str__(self) -> str:
        return "\n".join(f"{line.sign} {line.sentence}" for line in self.lines)

    def _repr_html_(self) -> str:
        items = [
            f'<li class="{line.level}"><b>{line.sign} {escape(line.word)}</b> '
            f"{escape(line.sentence)}</li>"
            for line in self.lines
        ]
        return f'<ul class="findings" style="list-style: none">{"".join(items)}</ul>'


def say(findings: Iterable[Finding], language: str = SPOKEN) -> InShort:
    """Say findings in a language, the most important first.

    Raises
    ------
    ValueError
        If a finding has no words, see `findings.sentence`.
    """
    words = catalogue(language)
    lines = [_line(finding, language) for finding in findings]
    lines.sort(key=lambda line: line.order)
    rest = words.titles["rest"].format(n=max(0, len(lines) - OPEN))
    return InShort(words.titles["in short"], words.titles["intervals"], tuple(lines), rest)


def _line(finding: Finding, language: str) -> Line:
    words = catalogue(language)
    said = sentence(finding, language)
    word = words.levels[finding.level]
    sign = SIGNS[finding.level]
    rank = order(finding, language)
    return Line(finding.key, finding.level, said, finding.place, word, sign, rank)


def in_short(folder: Path, language: str = SPOKEN) -> InShort:
    """Return what the notebook of a folder found; no lines where it left no findings."""
    path = folder / FILE
    if not path.is_file():
        return say([], language)
    content = read_json(path, str(path))
    found = _findings(content.get("findings"), path)
    return say(found, language)


def of_run(folder: Path, language: str = SPOKEN) -> dict[str, InShort]:
    """Return what each notebook of a run found, by its name."""
    by_notebook = read_findings(folder)
    return {name: say(found, language) for name, found in by_notebook.items()}


def read_findings(folder: Path) -> dict[str, list[Finding]]:
    """Return the findings of a run by notebook; raises ValueError if its file is damaged."""
    path = folder / FILE
    content = read_json(path, str(path))
    return {name: _findings(found, path) for name, found in content.items()}


def most_important(
    by_notebook: Mapping[str, InShort], n: int = MOST
) -> tuple[list[tuple[str, Line]], int]:
    """Return a run's most important findings, each with its notebook, and how many are left.

    Of several about one thing (the lead over one model, and over another) the first stands for
    all.
    """
    n_lines = 0
    first_of_each: dict[tuple[int, str], tuple[str, Line]] = {}
    for name, found in by_notebook.items():
        n_lines += len(found.lines)
        for line in found.lines:
            first_of_each.setdefault((line.order, line.key), (name, line))
    by_order = sorted(first_of_each.items())
    shown = [pair for _, pair in by_order[:n]]
    return shown, n_lines - len(shown)


def told(folder: Path, width: int | None = None, language: str = SPOKEN) -> str:
    """Return a run's most important findings for a terminal, in lines of at most ``width``.

    Where they cannot be read or said (a run of another version), that is what is returned.
    """
    width = width or shutil.get_terminal_size().columns
    words = catalogue(language)
    try:
        by_notebook = of_run(folder, language)
    except ValueError as error:
        return f"{error}\n"
    shown, n_more = most_important(by_notebook)
    if not shown:
        return ""
    lines = [f"{words.titles['in short']}:"]
    for name, line in shown:
        number = name.partition("_")[0]
        said = f"{line.sign} {line.sentence} [{number}]"
        lines += textwrap.wrap(said, width, subsequent_indent="  ", break_on_hyphens=False)
    if n_more:
        more = words.titles["more"].format(n=n_more)
        lines.append(more)
    return "\n".join(lines) + "\n"


def _findings(content: Any, path: Path) -> list[Finding]:
    """Return the findings that a file holds; raise ValueError, one line, if it holds others."""
    try:
        return [Finding.from_dict(one) for one in content]
    except (TypeError, KeyError, AttributeError):
        raise ValueError(f"{path} holds no findings; {REMEDY}") from None
