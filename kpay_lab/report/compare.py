"""Two runs side by side on one page: parameters, metrics, pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpay_lab.report.html import picture_source, render
from kpay_lab.report.manifest import Manifest
from kpay_lab.report.verify import read_finished, read_metrics, surroundings

ENDS = ("low", "high")


@dataclass(frozen=True)
class Side:
    """A metric of one run and its interval, where ``key/low`` and ``key/high`` give one."""

    value: Any
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """One metric in both runs; a run that lacks it has None."""

    key: str
    first: Side | None
    second: Side | None

    @property
    def differs(self) -> bool:
        """Whether anything at all is different."""
        return self.first != self.second

    @property
    def change(self) -> float | None:
        """Return second minus first, for numbers."""
        if not (_numeric(self.first) and _numeric(self.second)):
            return None
        return float(self.second.value - self.first.value)  # type: ignore[union-attr]

    @property
    def beyond(self) -> bool:
        """Whether the two intervals do not meet; a bare number is one of no width.

        >>> Row("a", Side(1.0, 0.9, 1.1), Side(1.3, 1.2, 1.4)).beyond
        True
        >>> Row("a", Side(1.0, 0.9, 1.1), Side(1.15, 1.05, 1.25)).beyond
        False
        >>> Row("a", Side(1.0), Side(2.0)).beyond  # nothing to judge it by
        False
        """
        one, two = _bounds(self.first), _bounds(self.second)
        if not one or not two or (self.first.low is None and self.second.low is None):  # type: ignore[union-attr]
            return False
        return one[1] < two[0] or two[1] < one[0]


def _numeric(side: Side | None) -> bool:
    value = None if side is None else side.value
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounds(side: Side | None) -> tuple[float, float] | None:
    if side is None or not _numeric(side):
        return None
    if side.low is None or side.high is None:
        return side.value, side.value
    return side.low, side.high


def compare(first: Path, second: Path) -> str:
    """Return a page that stands alone: two runs' parameters, metrics and pictures.

    A difference is marked where both intervals, or an interval and a bare number, do not
    meet: a stricter rule than a test of the difference at the same level.
    """
    folders, manifests = (first, second), (read_finished(first), read_finished(second))
    metrics = (read_metrics(first), read_metrics(second))
    names = list(dict.fromkeys([*manifests[0].notebooks, *manifests[1].notebooks]))
    rows = {name: _rows(*(values.get(name, {}) for values in metrics)) for name in names}
    titles = {
        name: next(m.notebooks[name].title for m in manifests if name in m.notebooks) or name
        for name in names
    }
    return render(
        "compare.html.j2",
        folders=folders,
        manifests=manifests,
        names=names,
        titles=titles,
        surroundings=list(surroundings(*manifests)),
        same_data=sorted(manifests[0].data.values()) == sorted(manifests[1].data.values()),
        parameters_of={name: _parameters(name, manifests) for name in names},
        rows=rows,
        n_metrics=sum(map(len, rows.values())),
        n_differ=sum(row.differs for block in rows.values() for row in block),
        n_beyond=sum(row.beyond for block in rows.values() for row in block),
        pictures={name: _pictures(name, folders, manifests) for name in names},
    )


def _rows(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[Row]:
    """Pair the metrics; the ends of an interval belong to their metric's row."""
    keys = list(dict.fromkeys([*one, *two]))
    stems = {key.rpartition("/")[0] for key in keys if key.rpartition("/")[2] in ENDS}
    ends = {f"{stem}/{end}" for stem in stems & set(keys) for end in ENDS}
    rows = [Row(key, _side(one, key), _side(two, key)) for key in keys if key not in ends]
    return sorted(rows, key=lambda row: (not row.beyond, not row.differs))


def _side(metrics: Mapping[str, Any], key: str) -> Side | None:
    if key not in metrics:
        return None
    return Side(metrics[key], *(metrics.get(f"{key}/{end}") for end in ENDS))


def _parameters(
    name: str, manifests: tuple[Manifest, Manifest]
) -> list[tuple[str, Any, Any, bool]]:
    """Return (parameter, first value, second value, whether they differ)."""
    one, two = (manifest.parameters.get(name, {}) for manifest in manifests)
    keys = dict.fromkeys([*one, *two])
    return [(key, one.get(key), two.get(key), one.get(key) != two.get(key)) for key in keys]


def _pictures(
    name: str, folders: tuple[Path, Path], manifests: tuple[Manifest, Manifest]
) -> list[tuple[str, str | None, str | None]]:
    """Return (figure, first picture, second picture); None where a run lacks it."""
    entries = [manifest.notebooks.get(name) for manifest in manifests]
    figures = [figure["name"] for entry in entries if entry for figure in entry.figures]
    found = []
    for figure in dict.fromkeys(figures):
        paths = [folder / name / "figures" / f"{figure}.png" for folder in folders]
        one, two = (picture_source(path.read_bytes()) if path.is_file() else None for path in paths)
        found.append((figure.replace("_", " "), one, two))
    return found
