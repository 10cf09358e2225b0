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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
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
        bounds = f" [{self.low:g}, {self.high:g}]" if self.low > -math.inf else ""
        choices = f" {{{', '.join(self.choices)}}}" if self.choices else ""
        about = f"{self.help}{bounds}{choices}".strip()
        return f"{self.name}: {self.type} = {_shown(self.default)}" + f"  # {about}" * bool(about)

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
        for one in value if isinstance(value, list) else [value]:
            self._check_bounds(one)
        return value

    def _check_bounds(self, one: Any) -> None:
        number = isinstance(one, int | float) and not isinstance(one, bool)
        if math.isfinite(self.low) and not (number and self.low <= one <= self.high):
            bounds = f"{self.low:g} to {self.high:g}"
            raise ValueError(f"{self.name} is {_shown(one)}; it must be a number from {bounds}")
        if self.choices and one not in self.choices:
            near = did_you_mean(str(one), self.choices)
            listed = ", ".join(self.choices)
            raise ValueError(f"{self.name} is {_shown(one)}; it must be one of {listed}{near}")


@dataclass(frozen=True)
class Notebook:
    """A notebook's file, its parameters by name, and the tables it cannot do without."""

    name: str
    path: Path
    parameters: dict[str, Parameter]
    needs: tuple[str, ...] = ()
    title: str = ""

    @property
    def defaults(self) -> dict[str, Any]:
        """Return the values written in the cell."""
        return {name: parameter.default for name, parameter in self.parameters.items()}


def read_notebooks(folder: Path) -> dict[str, Notebook]:
    """Read every notebook of a folder; raises ParameterError where a cell breaks the grammar."""
    notebooks, problems = {}, []
    for path in sorted(folder.glob("*.ipynb")):
        try:
            notebooks[path.stem] = read_notebook(path)
        except (ValueError, KeyError) as error:
            problems += [f"{path.name}: {line}" for line in str(error).splitlines()]
    if problems or not notebooks:
        raise ParameterError(problems or [f"there is no notebook in {folder}"])
    return notebooks


def read_notebook(path: Path, *, check_defaults: bool = True) -> Notebook:
    """Read one notebook's parameters cell and its ``kpay`` metadata.

    Raises
    ------
    ValueError
        If the cell breaks the grammar, or with every default that its own line refuses;
        without ``check_defaults`` the latter are read as they stand.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    cells = [(cell, "".join(cell["source"])) for cell in content["cells"]]
    tagged = [text for cell, text in cells if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"it has {len(tagged)} cells tagged 'parameters'; it must have one")
    parameters = read_parameters(tagged[0])
    if check_defaults:
        defaults = {name: parameter.default for name, parameter in parameters.items()}
        _, problems = checked_values(parameters, defaults)
        if problems:
            raise ParameterError(problems)
    if "output_dir" not in parameters:
        raise ValueError('its parameters lack output_dir: str = "outputs/interactive"')
    texts = (text for cell, text in cells if cell["cell_type"] == "markdown")
    title = next((text.lstrip("# ").partition("\n")[0] for text in texts), path.stem)
    needs = content["metadata"].get("kpay", {}).get("needs", [])
    return Notebook(path.stem, path, parameters, tuple(needs), title)


def read_parameters(source: str) -> dict[str, Parameter]:
    """Read a parameters cell as text: names, types, defaults, help, range, choices.

    >>> cell = 'split: str = "time"  # how to split {time, leave_last_out}'
    >>> read_parameters(cell)["split"].choices
    ('time', 'leave_last_out')
    """
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    parameters = {}
    for line in ast.parse(source).body:
        match line:
            case ast.AnnAssign(ast.Name(name), ast.Name(kind), ast.expr() as value) if (
                kind in TYPES
            ):
                last = line.end_lineno or line.lineno  # formatters may put brackets around a value
                own = [comments[n] for n in range(line.lineno, last + 1) if n in comments]
                parameters[name] = _parameter(name, kind, value, own[0] if own else "#")
            case _:
                wanted = f"name: type = default, with a type of {', '.join(TYPES)}"
                raise ValueError(f"parameters cell line {line.lineno}: write {wanted}")
    return parameters


def checked_values(
    parameters: Mapping[str, Parameter], values: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values that their parameters take, in the parameters' types, and the problems."""
    taken, problems = {}, []
    for name, value in values.items():
        try:
            taken[name] = parameters[name].checked(value)
        except ValueError as error:
            problems.append(str(error))
    return taken, problems


def _parameter(name: str, kind: str, value: ast.expr, comment: str) -> Parameter:
    parts = COMMENT.match(comment)
    words, bounds, listed = parts.groups() if parts else ("", None, None)
    low, high = (float(end) for end in bounds.split(",")) if bounds else (-math.inf, math.inf)
    choices = tuple(choice.strip() for choice in listed.split(",")) if listed else ()
    return Parameter(name, kind, ast.literal_eval(value), words, low, high, choices)


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def hint(word: str, known: Iterable[str]) -> str:
    """Return the near name, or else all known ones, to end an error with."""
    return did_you_mean(word, known) or f"; known: {', '.join(sorted(known)) or 'none'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` where a known word is near, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
