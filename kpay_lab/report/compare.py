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
    one, metrics_one = read_finished(first)
    two, metrics_two = read_finished(second)
    names = dict.fromkeys([*one.notebooks, *two.notebooks])
    titles = {}
    parameters = {}
    tables = {}
    pictures = {}
    for name in names:
        last_entry = _entries(name, one, two)[-1]
        titles[name] = last_entry.title
        parameters[name] = _parameters(name, one, two)
        first_metrics = metrics_one.get(name, {})
        second_metrics = metrics_two.get(name, {})
        tables[name] = metrics_side_by_side(first_metrics, second_metrics)
        pictures[name] = _pictures(name, {first: one, second: two})
    every_metric = pd.concat(tables)
    same_data = sorted(one.data.values()) == sorted(two.data.values())
    return render(
        "compare.html.j2",
        folders=(first, second),
        manifests=(one, two),
        titles=titles,
        surroundings=surroundings(one, two),
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
    one = [first.get(name) for name in names]
    two = [second.get(name) for name in names]
    bounds_of_one = _bounds(*one)
    bounds_of_two = _bounds(*two)
    change = None
    beyond = False
    if bounds_of_one and bounds_of_two:
        change = second[key] - first[key]
        has_interval = one[1] is not None or two[1] is not None
        beyond = has_interval and _are_apart(bounds_of_one, bounds_of_two)
    return [key, *one, *two, change, one != two, beyond]


def _bounds(value: Any, low: float | None, high: float | None) -> tuple[float, float] | None:
    """Return the interval; a bare number is one of no width, anything else has none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if low is None or high is None:
        return value, value
    return low, high


def _are_apart(one: tuple[float, float], two: tuple[float, float]) -> bool:
    return one[1] < two[0] or two[1] < one[0]


def _entries(name: str, *runs: Manifest) -> list[Entry]:
    """Return how a notebook fared in each run that has it."""
    return [run.notebooks[name] for run in runs if name in run.notebooks]


def _parameters(name: str, first: Manifest, second: Manifest) -> list[tuple[str, Any, Any, bool]]:
    """Return (parameter, first value, second value, whether they differ)."""
    one = first.parameters.get(name, {})
    two = second.parameters.get(name, {})
    keys = dict.fromkeys([*one, *two])
    rows = []
    for key in keys:
        before = one.get(key)
        after = two.get(key)
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
