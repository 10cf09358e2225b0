"""A notebook's parameters, read from its annotated cell without running it."""

import ast
import datetime
import difflib
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kpay_lab.report.files import read_json

TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
WANTED = f"write name: type = default, with a type of {', '.join(TYPES)}"
SIMULATION = ("simulated ", "field of use of the simulated ")
QUESTION = re.compile(r"\*\*The question\.\*\*\s*(.+?)\s*(?:\n\n|\Z)", re.DOTALL)
COMMENT = re.compile(
    r"#\s*(?P<help>.*?)\s*(?:\[(?P<range>[^\[\]]+)\]|\{(?P<choices>[^{}]+)\})?\s*$"
)


class ParameterError(ValueError):
    """Everything that is wrong with the parameters, one line a problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(dict.fromkeys(problems))
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Parameter:
    """One annotated line of a parameters cell: ``k: int = 10  # list length [1, 1000]``."""

    name: str
    type: str
    default: Any
    help: str = ""
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        bounds = f" [{self.low:.12g}, {self.high:.12g}]" if self.low > -math.inf else ""
        choices = f" {{{', '.join(self.choices)}}}" if self.choices else ""
        about = f"{self.help}{bounds}{choices}".strip()
        return f"{self.name}: {self.type} = {_shown(self.default)}" + f"  # {about}" * bool(about)

    @property
    def shapes_the_simulation(self) -> bool:
        """Whether it says what the simulated world is like, and so nothing about a real log."""
        return self.help.startswith(SIMULATION)

    def checked(self, value: Any) -> Any:
        """Return the value in the parameter's type, or raise ValueError saying what it must be.

        >>> Parameter("reg", "float", 1.0, low=0).checked(2)
        2.0
        >>> Parameter("k", "int", 10).checked(True)
        Traceback (most recent call last):
        ValueError: k is true; it must be of type int
        """
        if self.type == "float" and type(value) is int:
            value = float(value)
        if self.type == "str" and isinstance(value, datetime.date):
            value = value.isoformat()
        if type(value) is not TYPES[self.type]:
            raise ValueError(f"{self.name} is {_shown(value)}; it must be of type {self.type}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            problem = f"{self.name} is {_shown(value)}; only finite numbers and text are taken"
            raise ValueError(problem) from None
        for element in value if isinstance(value, list) else [value]:
            self._check_bounds(element)
        return value

    def _check_bounds(self, value: Any) -> None:
        """Refuse a value, or an element of a list, out of the range or the choices."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_inside = is_number and self.low <= value <= self.high
        if math.isfinite(self.low) and not is_inside:
            bounds = f"{self.low:.12g} to {self.high:.12g}"
            raise ValueError(f"{self.name} is {_shown(value)}; it must be a number from {bounds}")
        if self.choices and value not in self.choices:
            near = did_you_mean(str(value), self.choices)
            listed = ", ".join(self.choices)
            raise ValueError(f"{self.name} is {_shown(value)}; it must be one of {listed}{near}")


@dataclass(frozen=True)
class Notebook:
    """A notebook's file, its parameters by name, and the tables it cannot do without.

    ``question`` is what follows **The question.** in its first cell, empty where nothing does.
    ``stays_open`` is the question of ``lacking/table`` that has no answer where a table is lacking.
    ``fault`` is why it cannot be run: one line, empty for a notebook that can.
    """

    name: str
    path: Path
    parameters: dict[str, Parameter]
    needs: tuple[str, ...] = ()
    title: str = ""
    fault: str = ""
    question: str = ""
    stays_open: str = ""

    @property
    def defaults(self) -> dict[str, Any]:
        """Return the values written in the cell."""
        return {name: parameter.default for name, parameter in self.parameters.items()}


def read_notebooks(folder: Path) -> dict[str, Notebook]:
    """Read every notebook of a folder; one that cannot be run says so in its ``fault``.

    Hidden files are not read: editors keep their own copies there. Raises ParameterError if
    there is no notebook at all.
    """
    notebooks = {}
    for path in sorted(folder.glob("[!.]*.ipynb")):
        try:
            notebooks[path.stem] = read_notebook(path)
        except ValueError as error:
            fault = "; ".join(str(error).splitlines())
            notebooks[path.stem] = Notebook(path.stem, path, {}, fault=fault)
    if not notebooks:
        raise ParameterError([f"there is no notebook in {folder}"])
    return notebooks


def refuse_faulty(notebooks: Iterable[Notebook]) -> None:
    """Raise ParameterError with the fault of every notebook that cannot be run."""
    faults = [notebook.fault for notebook in notebooks if notebook.fault]
    if faults:
        raise ParameterError(faults)


def read_notebook(path: Path, *, check_defaults: bool = True) -> Notebook:
    """Read one notebook's parameters cell and its ``kpay`` metadata.

    Raises
    ------
    ValueError
        Lines that begin with the file's name, if the notebook cannot be run as it is: its
        cell breaks the grammar, or with every default that its own line refuses; without
        ``check_defaults`` the latter are read as they stand.
    """
    content = read_json(path, path.name)
    try:
        cells = _cells(content)
        needs = _needs(content["metadata"])
        tagged = [cell["source"] for cell in cells if "parameters" in _tags(cell)]
        if len(tagged) != 1:
            raise ValueError(f"it has {len(tagged)} cells tagged 'parameters'; it must have one")
        parameters = read_parameters(tagged[0])
        if "output_dir" not in parameters:
            raise ValueError('its parameters lack output_dir: str = "outputs/interactive"')
        if check_defaults:
            _refuse_wrong_defaults(parameters)
    except ValueError as error:
        lines = [f"{path.name}: {line}" for line in str(error).splitlines()]
        raise ParameterError(lines) from None
    texts = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
    title = texts[0].lstrip("# ").partition("\n")[0] if texts else path.stem
    asked = QUESTION.search(texts[0]) if texts else None
    question = " ".join(asked[1].split()) if asked else ""
    stays_open = str(content["metadata"].get("kpay", {}).get("stays_open", ""))
    return Notebook(
        path.stem, path, parameters, needs, title, question=question, stays_open=stays_open
    )


def _cells(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cells of a notebook as its file has them, each source as one text."""
    match content:
        case {"cells": list(cells), "metadata": dict()}:
            return [_cell(cell, number) for number, cell in enumerate(cells, start=1)]
    raise ValueError("it has no list of cells, or no metadata; save it again in JupyterLab")


def _cell(content: Any, number: int) -> dict[str, Any]:
    """Return one cell with its source as one text; the file may hold it as a list of lines."""
    match content:
        case {"cell_type": str(), "metadata": dict(), "source": str() | list() as lines}:
            return content | {"source": "".join(map(str, lines))}
    problem = f"cell {number} lacks its type, metadata or source"
    raise ValueError(f"{problem}; save the notebook again in JupyterLab")


def _tags(cell: Mapping[str, Any]) -> list[Any]:
    tags = cell["metadata"].get("tags")
    return tags if isinstance(tags, list) else []


def _needs(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Return the tables that a notebook's metadata says it needs."""
    match metadata.get("kpay", {}):
        case {"needs": list(tables)}:
            return tuple(map(str, tables))
        case {"needs": _}:
            pass
        case dict():
            return ()
    raise ValueError('its metadata kpay.needs must be a list, such as {"needs": ["orders"]}')


def read_parameters(source: str) -> dict[str, Parameter]:
    """Read a parameters cell as text: names, types, defaults, help, range, choices.

    >>> cell = 'split: str = "time"  # how to split {time, leave_last_out}'
    >>> read_parameters(cell)["split"].choices
    ('time', 'leave_last_out')
    """
    try:
        lines = ast.parse(source).body
    except SyntaxError as error:
        raise ValueError(f"parameters cell line {error.lineno}: {error.msg}; {WANTED}") from None
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    parameters = {}
    for line in lines:
        last = line.end_lineno or line.lineno  # formatters may put brackets around a value
        own_comments = [comments[n] for n in range(line.lineno, last + 1) if n in comments]
        try:
            parameter = _parameter(line, own_comments[0] if own_comments else "#")
        except ValueError as error:
            raise ValueError(f"parameters cell line {line.lineno}: {error}") from None
        parameters[parameter.name] = parameter
    return parameters


def _refuse_wrong_defaults(parameters: Mapping[str, Parameter]) -> None:
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    _, problems = checked_values(parameters, defaults)
    if problems:
        raise ParameterError(problems)


def checked_values(
    parameters: Mapping[str, Parameter], values: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values that their parameters take, in the parameters' types, and the problems."""
    taken = {}
    problems = []
    for name, value in values.items():
        try:
            taken[name] = parameters[name].checked(value)
        except ValueError as error:
            problems.append(str(error))
    return taken, problems


def _parameter(line: ast.stmt, comment: str) -> Parameter:
    """Read one line of a parameters cell, ``name: type = default``, and the comment behind it."""
    match line:
        case ast.AnnAssign(ast.Name(name), ast.Name(kind), ast.expr() as value) if kind in TYPES:
            pass
        case _:
            raise ValueError(WANTED)
    try:
        default = ast.literal_eval(value)
    except (ValueError, TypeError):
        problem = f"the default of {name} must be written out: a number, text, list or the like"
        raise ValueError(problem) from None
    parts = COMMENT.match(comment)
    parameter = Parameter(name, kind, default)
    if parts is None:
        return parameter
    words, bounds, listed = parts.groups()
    parameter = replace(parameter, help=words)
    if bounds:
        low, high = _range(name, bounds)
        return replace(parameter, low=low, high=high)
    if listed:
        choices = tuple(map(str.strip, listed.split(",")))
        return replace(parameter, choices=choices)
    return parameter


def _range(name: str, bounds: str) -> tuple[float, float]:
    """Read the two numbers of a range such as ``1, 100``."""
    try:
        low, high = map(float, bounds.split(","))
    except ValueError:
        problem = f"the range of {name}, [{bounds}], must be two numbers, such as [1, 100]"
        raise ValueError(problem) from None
    return low, high


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def find_notebook(known: Mapping[str, Notebook], asked: str) -> str:
    """Return the name of the notebook that a user asks for, and that can be run.

    Parameters
    ----------
    known
        The notebooks of a folder by name, as `read_notebooks` returns them.
    asked
        A name; its number or its beginning, where only one notebook has it (``04``); or
        the path of a notebook of that folder, seen from the working folder, the project or
        the folder itself.

    Raises
    ------
    ValueError
        If no notebook or more than one is meant, a path leads elsewhere, or the notebook
        cannot be run. A file elsewhere is never run under the name of one in the folder.
    """
    is_path = Path(asked).name != asked or Path(asked).suffix == ".ipynb"
    name = _name_of_path(known, asked) if is_path else _completed(known, asked)
    refuse_faulty([known[name]])
    return name


def _name_of_path(known: Mapping[str, Notebook], asked: str) -> str:
    """Return the name of the notebook at a path, which must lie in the notebooks' folder."""
    path = Path(asked)
    if path.suffix != ".ipynb":
        path = path.with_name(f"{path.name}.ipynb")
    folder = next(iter(known.values())).path.parent
    seen_from = (Path.cwd(), folder.parent, folder)
    files = [place / path for place in seen_from if (place / path).exists()]
    if not files:
        raise ValueError(f"there is no file {path}{hint(path.stem, known)}")
    file = files[0]
    if not file.parent.samefile(folder) or file.stem not in known:
        remedy = "open it in JupyterLab, or copy it there under a name of its own"
        raise ValueError(f"{path} is not a notebook of {folder}; {remedy}")
    return file.stem


def _completed(known: Mapping[str, Notebook], asked: str) -> str:
    """Return the one name meant by a name, number or beginning; runnable notebooks come first."""
    if asked in known:
        return asked
    runnable = [name for name, notebook in known.items() if not notebook.fault]
    names = matching_names(asked, runnable) or matching_names(asked, known)
    if not names:
        raise ValueError(no_notebook(asked, known))
    if len(names) > 1:
        raise ValueError(ambiguous(asked, names))
    return names[0]


def ambiguous(asked: str, names: Iterable[str]) -> str:
    """Return the error that a shortened name may be any of several."""
    return f"{asked!r} may be {' or '.join(sorted(names))}; write more of the name"


def matching_names(asked: str, names: Iterable[str]) -> list[str]:
    """Return the name that was asked for, or else those with its number or its beginning.

    >>> matching_names("4", ["04_model_comparison", "40_more"])
    ['04_model_comparison']
    >>> matching_names("04_mod", ["04_model_comparison", "40_more"])
    ['04_model_comparison']
    """
    names = list(names)
    if asked in names:
        return [asked]
    if asked.isdecimal():
        numbered = [name for name in names if _number(name) == _number(asked)]
        if numbered:
            return numbered
    return [name for name in names if name.startswith(asked)]


def _number(name: str) -> str:
    """Return the digits that a name begins with, ``4`` for both ``4`` and ``04_model``."""
    digits = re.match(r"\d*", name)[0]  # type: ignore[index]
    return digits.lstrip("0") or digits[:1]


def no_notebook(asked: str, known: Iterable[str]) -> str:
    """Return the error that no notebook is named so, with the one that may be meant."""
    meant = matching_names(asked, known)
    near = f"; did you mean {meant[0]!r}?" if len(meant) == 1 else hint(asked, known)
    return f"there is no notebook {asked!r}{near}"


def hint(word: str, known: Iterable[str]) -> str:
    """Return the near name, or else all known ones, to end an error with."""
    return did_you_mean(word, known) or f"; known: {', '.join(sorted(known)) or 'none'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` where a known word is near, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
