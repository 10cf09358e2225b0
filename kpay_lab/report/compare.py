"""Two runs side by side on one page: parameters, metrics, pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpay_lab.report.html import picture_source, render
from kpay_lab.report.manifest import Manifest
from kpay_lab.report.verify import read_finished, surroundings


@dataclass(frozen=True)
class Side:
    """A metric of one run and its interval, where ``key/low`` and ``key/high`` give one."""

    value: Any = None
    low: float | None = None
    high: float | None = None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return the interval; a bare number is one of no width, anything else has none."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            return None
        bare = self.low is None or self.high is None
        return (self.value, self.value) if bare else (self.low, self.high)  # type: ignore[return-value]


@dataclass(frozen=True)
class Row:
    """One metric in both runs."""

    key: str
    first: Side
    second: Side

    @property
    def differs(self) -> bool:
        """Whether anything at all is different."""
        return self.first != self.second

    @property
    def change(self) -> float | None:
        """Return second minus first, for numbers."""
        numbers = self.first.bounds and self.second.bounds
        return self.second.value - self.first.value if numbers else None

    @property
    def beyond(self) -> bool:
        """Whether there is an interval and the two sides do not meet.

        >>> Row("a", Side(1.0, 0.9, 1.1), Side(1.3, 1.2, 1.4)).beyond
        True
        >>> Row("a", Side(1.0), Side(2.0)).beyond  # nothing to judge it by
        False
        """
        first = self.first.bounds
        second = self.second.bounds
        has_interval = self.first.low is not None or self.second.low is not None
        if not first or not second or not has_interval:
            return False
        return first[1] < second[0] or second[1] < first[0]


def compare(first: Path, second: Path) -> str:
    """Return a page that stands alone: two runs' parameters, metrics and pictures.

    A difference is marked where both intervals, or an interval and a bare number, do not
    meet: a stricter rule than a test of the difference at the same level.
    """
    one, metrics_one = read_finished(first)
    two, metrics_two = read_finished(second)
    names = list(dict.fromkeys([*one.notebooks, *two.notebooks]))
    rows = {}
    for name in names:
        rows[name] = _rows(metrics_one.get(name, {}), metrics_two.get(name, {}))
    every = [row for block in rows.values() for row in block]
    return render(
        "compare.html.j2",
        folders=(first, second),
        manifests=(one, two),
        titles=_titles(one) | _titles(two),
        surroundings=surroundings(one, two),
        same_data=sorted(one.data.values()) == sorted(two.data.values()),
        parameters_of={name: _parameters(name, one, two) for name in names},
        rows=rows,
        n_metrics=len(every),
        n_differ=sum(row.differs for row in every),
        n_beyond=sum(row.beyond for row in every),
        pictures={name: _pictures(name, {first: one, second: two}) for name in names},
    )


def _titles(manifest: Manifest) -> dict[str, str]:
    return {name: entry.title for name, entry in manifest.notebooks.items()}


def _rows(first: dict[str, Any], second: dict[str, Any]) -> list[Row]:
    """Pair the metrics; the ends of an interval belong to their metric's row."""
    keys = dict.fromkeys([*first, *second])
    ends = {f"{key}/{end}" for key in keys for end in ("low", "high")}
    rows = [Row(key, _side(first, key), _side(second, key)) for key in keys if key not in ends]
    return sorted(rows, key=lambda row: (not row.beyond, not row.differs))


def _side(metrics: dict[str, Any], key: str) -> Side:
    return Side(metrics.get(key), metrics.get(f"{key}/low"), metrics.get(f"{key}/high"))


def _parameters(name: str, first: Manifest, second: Manifest) -> list[tuple[str, Any, Any, bool]]:
    """Return (parameter, first value, second value, whether they differ)."""
    one = first.parameters.get(name, {})
    two = second.parameters.get(name, {})
    rows = []
    for key in dict.fromkeys([*one, *two]):
        before = one.get(key)
        after = two.get(key)
        rows.append((key, before, after, before != after))
    return rows


def _pictures(name: str, runs: dict[Path, Manifest]) -> list[tuple[str, list[str | None]]]:
    """Return (figure, its picture in each run); None where a run lacks it."""
    entries = [run.notebooks[name] for run in runs.values() if name in run.notebooks]
    figures = dict.fromkeys(figure["name"] for entry in entries for figure in entry.figures)
    pictures = []
    for figure in figures:
        sources = [_source(folder / name / "figures" / f"{figure}.png") for folder in runs]
        pictures.append((figure.replace("_", " "), sources))
    return pictures


def _source(path: Path) -> str | None:
    return picture_source(path.read_bytes()) if path.is_file() else None
