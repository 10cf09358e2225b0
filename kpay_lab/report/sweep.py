"""One notebook with many parameter sets: a run whose names are ``<set>/<notebook>``."""

import io
import itertools
import json
import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from noto_cjk_sans_otc import FONT_PATH

from kpay_lab.report import runner
from kpay_lab.report.html import Metrics, picture_source, render
from kpay_lab.report.manifest import Manifest
from kpay_lab.report.params import Notebook, ParameterError, hint
from kpay_lab.report.profile import Domain, domain_problems, located, read_yaml_file
from kpay_lab.report.runner import Run, start
from kpay_lab.report.session import safe_csv

MOST = 6  # metrics that are drawn
LINES = 10  # in one picture, else no legend


def plan(
    known: Mapping[str, Notebook],
    name: str,
    base: dict[str, Any],
    grid: Path,
    metrics: Iterable[str],
    output: Path,
    domain: Domain,
    problems: Iterable[str] = (),
) -> Run:
    """Start the run of a grid's sets over a notebook's parameters; say which number is which.

    Raises ParameterError with ``problems``, those of the settings below, and everything wrong
    with the grid and its sets.
    """
    problems = list(problems)
    sets = {}
    parameters = {name: base}  # the settings alone, where the grid cannot be used
    try:
        for number, settings in enumerate(read_grid(grid, known[name]), start=1):
            sets[f"{number:03}/{name}"] = settings
        parameters = {key: base | settings for key, settings in sets.items()}
    except ParameterError as error:
        problems += error.problems
    problems += domain_problems(parameters, domain.faults_of)
    if problems:
        raise ParameterError(problems)
    run = start(known, parameters, f"sweep-{name}", output, domain, summary)
    run.manifest.metrics = list(metrics)
    for key, settings in sets.items():
        run.progress.line(key, json.dumps(settings, ensure_ascii=False))
    return run


def read_grid(path: Path, notebook: Notebook) -> list[dict[str, Any]]:
    """Return every combination of a grid, ``{k: [5, 10], seed: [0, 1]}``, or of a list of grids.

    Raises
    ------
    ParameterError
        With every unknown key, empty list and value that the notebook would refuse.
    """
    content = read_yaml_file(path)
    grids = content if isinstance(content, list) and content else [content]
    problems: list[str] = []
    checked_grids = [_checked_grid(grid, notebook, problems) for grid in grids]
    if problems:
        raise ParameterError(f"{path.name}: {problem}" for problem in problems)
    sets = []
    for grid in checked_grids:
        combinations = itertools.product(*grid.values())
        sets += [dict(zip(grid, values, strict=True)) for values in combinations]
    return sets


def _checked_grid(grid: Any, notebook: Notebook, problems: list[str]) -> dict[str, list[Any]]:
    """Return a grid with its values in their parameters' types; add what is wrong."""
    if not isinstance(grid, dict) or not grid:
        problems.append("it must be a parameter with a list of values")
        return {}
    checked: dict[str, list[Any]] = {}
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            problems.append(f"{key} must be a parameter with a list of values")
            continue
        if key not in notebook.parameters or key == "output_dir":
            near = hint(key, set(notebook.parameters) - {"output_dir"})
            problems.append(f"unknown parameter {key!r}{near}")
            continue
        checked[key] = []
        for value in values:
            try:
                there = located(key, value, Path.cwd())
                checked[key].append(notebook.parameters[key].checked(there))
            except ValueError as error:
                problems.append(str(error))
    return checked


def summary(folder: Path, manifest: Manifest, metrics: Metrics) -> dict[str, bytes]:
    """Return a sweep's ``index.html``, ``sweep.csv`` (every metric) and ``sweep.png``."""
    names = list(manifest.notebooks)
    entries = list(manifest.notebooks.values())
    parameters = pd.DataFrame(manifest.parameters).T.loc[names].map(_cell)
    sets = parameters.loc[:, parameters.nunique() > 1]
    facts = pd.DataFrame(index=names)
    facts["status"] = [entry.status for entry in entries]
    facts["seconds"] = [entry.seconds for entry in entries]
    values = pd.DataFrame([metrics.get(name, {}) for name in names], index=names)
    shown = _shown_metrics(values, manifest)
    drawn = [key for key in shown if _is_worth_drawing(values[key])][:MOST]
    table = pd.concat([sets, facts, values], axis=1)
    files = {"sweep.csv": safe_csv(table.rename_axis("set"))}
    source = None
    if drawn and len(sets.columns):
        picture = _draw(sets.infer_objects(), values, drawn)
        files["sweep.png"] = picture
        source = picture_source(picture)
    cells = table.astype(object).where(table.notna(), None)
    page = render(
        "sweep.html.j2",
        manifest=manifest,
        columns=[*sets, "status", "seconds", *shown],
        rows=cells.to_dict("index"),
        varied=list(sets),
        pages={name for name in names if (folder / f"{name}.html").is_file()},
        picture=source,
    )
    return {"index.html": page.encode()} | files


def _shown_metrics(values: pd.DataFrame, manifest: Manifest) -> list[str]:
    """Return the metrics that were asked for, else the key figures of the notebooks."""
    if manifest.metrics:
        return [key for key in values if _matches(key, manifest.metrics)]
    marked = set()
    for entry in manifest.notebooks.values():
        marked |= {note["key"] for note in entry.headlines}
    return [key for key in values if key in marked]


def _matches(key: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(key, pattern) for pattern in patterns)


def _is_worth_drawing(values: pd.Series) -> bool:
    """Whether a metric is a number, and not the same for every set."""
    return pd.api.types.is_numeric_dtype(values) and values.nunique() > 1


def summary_by_kind(folder: Path, manifest: Manifest, metrics: Metrics) -> dict[str, bytes]:
    """Return the summary of a sweep for a sweep and that of a run for a run.

    For who takes up a folder that may hold either.
    """
    is_sweep = any("/" in name for name in manifest.notebooks)
    make = summary if is_sweep else runner.summary
    return make(folder, manifest, metrics)


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, list | dict) else value


def _draw(sets: pd.DataFrame, values: pd.DataFrame, drawn: list[str]) -> bytes:
    """Draw each metric over the parameter of most values, a line for each rest of the set.

    It is plain matplotlib, for all it draws are finished numbers of ``metrics.json``.
    """
    across = sets.nunique().idxmax()
    rest = [key for key in sets if key != across]
    font_manager.fontManager.addfont(str(FONT_PATH))  # the letters of Chinese values
    with rc_context({"font.family": ["DejaVu Sans", "Noto Sans CJK JP"], "font.size": 9}):
        n_columns = min(len(drawn), 2)
        n_rows = math.ceil(len(drawn) / 2)
        figure = Figure(figsize=(9.0, 2.8 * n_rows), layout="constrained")
        panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        groups = {"": sets.index}
        if rest:
            groups = sets.groupby(rest, sort=False).groups
        for panel, key in itertools.zip_longest(panels, drawn):
            if key is None:
                panel.set_axis_off()
                continue
            for label, members in groups.items():
                _line(panel, sets.loc[members, across], values, key, label)
            panel.set_title(key, loc="left")
            panel.set_xlabel(across)
            panel.spines[["top", "right"]].set_visible(False)
        if rest and len(groups) <= LINES:
            panels[0].legend(title=", ".join(rest), frameon=False)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=144)
    return picture.getvalue()


def _line(panel: Axes, across: pd.Series, values: pd.DataFrame, key: str, label: Any) -> None:
    """Draw one line of a metric, with its interval where there is one."""
    is_number = pd.api.types.is_numeric_dtype(across)
    across = across.sort_values() if is_number else across.astype(str)
    own = values.loc[across.index]
    parts = label if isinstance(label, tuple) else (label,)
    name = ", ".join(map(str, parts))
    x = across.to_numpy()
    (line,) = panel.plot(x, own[key].to_numpy(), marker="o", label=name)
    ends = [f"{key}/low", f"{key}/high"]
    if set(ends) <= set(own):
        low, high = own[ends].astype(float).to_numpy().T
        panel.vlines(x, low, high, colors=line.get_color(), alpha=0.6)
