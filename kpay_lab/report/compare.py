"""Two runs side by side on one page: parameters, metrics, pictures."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kpay_lab.report.html import picture_source, render
from kpay_lab.report.manifest import Entry, Manifest
from kpay_lab.report.verify import read_finished, surroundings

FIRST = ["first", "first_low", "first_high"]
SECOND = ["second", "second_low", "second_high"]
COLUMNS = ["metric", *FIRST, *SECOND, "change", "differs", "beyond"]
Scalars = Mapping[str, Any]  # the metrics of one notebook: key -> value


def compare(first: Path, second: Path) -> str:
    """Return a page that stands alone: two runs' parameters, metrics and pictures.

    A difference is marked where both intervals, or an interval and a bare number, do not
    meet: a stricter rule than a test of the difference at the same level.
    """
    first_run, metrics_of_first = read_finished(first)
    second_run, metrics_of_second = read_finished(second)
    names = dict.fromkeys([*first_run.notebooks, *second_run.notebooks])
    titles = {}
    parameters = {}
    tables = {}
    pictures = {}
    for name in names:
        last_entry = _entries(name, first_run, second_run)[-1]
        titles[name] = last_entry.title
        parameters[name] = _parameters(name, first_run, second_run)
        first_metrics = metrics_of_first.get(name, {})
        second_metrics = metrics_of_second.get(name, {})
        tables[name] = metrics_side_by_side(first_metrics, second_metrics)
        pictures[name] = _pictures(name, {first: first_run, second: second_run})
    every_metric = pd.concat(tables)
    same_files = sorted(first_run.data.values()) == sorted(second_run.data.values())
    same_data = same_files and first_run.databases == second_run.databases
    return render(
        "compare.html.j2",
        folders=(first, second),
        manifests=(first_run, second_run),
        titles=titles,
        surroundings=surroundings(first_run, second_run),
        same_data=same_data,
        parameters_of=parameters,
        rows={name: table.to_dict("records") for name, table in tables.items()},
        n_metrics=len(every_metric),
        n_differ=every_metric["differs"].sum(),
        n_beyond=every_metric["beyond"].sum(),
        pictures=pictures,
    )


def metrics_side_by_side(first: Scalars, second: Scalars) -> pd.DataFrame:
    """Pair a notebook's metrics in two runs.

    Returns
    -------
    DataFrame
        One row a metric, those beyond their intervals first and then those that differ:
        ``metric``; ``first`` with the ends of its interval, ``first_low`` and
        ``first_high``, which metrics named ``key/low`` and ``key/high`` give; ``second``
        likewise; ``change``, second minus first; ``differs``, anything at all; ``beyond``,
        there is an interval and the two sides do not meet. What a run lacks is None.

    Examples
    --------
    >>> before = {"ndcg": 1.0, "ndcg/low": 0.9, "ndcg/high": 1.1, "users": 5}
    >>> table = metrics_side_by_side(before, {"ndcg": 1.3, "users": 6})
    >>> table[["metric", "change", "beyond"]].round(2)
      metric change beyond
    0   ndcg    0.3   True
    1  users      1  False
    """
    keys = dict.fromkeys([*first, *second])
    rows = [_row(key, first, second) for key in keys if not _is_end(key, keys)]
    table = pd.DataFrame(rows, columns=COLUMNS, dtype=object)  # whole numbers stay whole
    return table.sort_values(["beyond", "differs"], ascending=False, ignore_index=True)


def _is_end(key: str, keys: Iterable[str]) -> bool:
    """Whether a metric is the end of another one's interval."""
    metric, _, end = key.rpartition("/")
    return end in ("low", "high") and metric in keys


def _row(key: str, first: Scalars, second: Scalars) -> list[Any]:
    """Return a metric's row, in the order of `COLUMNS`."""
    names = (key, f"{key}/low", f"{key}/high")
    first_values = [first.get(name) for name in names]
    second_values = [second.get(name) for name in names]
    first_bounds = _bounds(*first_values)
    second_bounds = _bounds(*second_values)
    change = None
    beyond = False
    if first_bounds and second_bounds:
        change = second[key] - first[key]
        lows = (first_values[1], second_values[1])
        has_interval = lows != (None, None)
        beyond = has_interval and _are_apart(first_bounds, second_bounds)
    differs = first_values != second_values
    return [key, *first_values, *second_values, change, differs, beyond]


def _bounds(value: Any, low: float | None, high: float | None) -> tuple[float, float] | None:
    """Return the interval; a bare number is one of no width, anything else has none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if low is None or high is None:
        return value, value
    return low, high


def _are_apart(first: tuple[float, float], second: tuple[float, float]) -> bool:
    first_low, first_high = first
    second_low, second_high = second
    return first_high < second_low or second_high < first_low


def _entries(name: str, *runs: Manifest) -> list[Entry]:
    """Return how a notebook fared in each run that has it."""
    return [run.notebooks[name] for run in runs if name in run.notebooks]


def _parameters(name: str, first: Manifest, second: Manifest) -> list[tuple[str, Any, Any, bool]]:
    """Return (parameter, first value, second value, whether they differ)."""
    first_values = first.parameters.get(name, {})
    second_values = second.parameters.get(name, {})
    keys = dict.fromkeys([*first_values, *second_values])
    rows = []
    for key in keys:
        before = first_values.get(key)
        after = second_values.get(key)
        rows.append((key, before, after, before != after))
    return rows


def _pictures(name: str, runs: dict[Path, Manifest]) -> list[tuple[str, list[str | None]]]:
    """Return (figure, its picture in each run); None where a run lacks it."""
    figures: dict[str, None] = {}
    for entry in _entries(name, *runs.values()):
        figures |= dict.fromkeys(figure["name"] for figure in entry.figures)
    pictures = []
    for figure in figures:
        sources = [_source(folder / name / "figures" / f"{figure}.png") for folder in runs]
        pictures.append((figure.replace("_", " "), sources))
    return pictures


def _source(path: Path) -> str | None:
    return picture_source(path.read_bytes()) if path.is_file() else None
