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
        one, two = self.first.bounds, self.second.bounds
        if not one or not two or self.first.low is self.second.low is None:
            return False
        return one[1] < two[0] or two[1] < one[0]


def compare(first: Path, second: Path) -> str:
    """Return a page that stands alone: two runs' parameters, metrics and pictures.

    A difference is marked where both intervals, or an interval and a bare number, do not
    meet: a stricter rule than a test of the difference at the same level.
    """
    folders = (first, second)
    manifests, metrics = zip(*(read_finished(folder) for folder in folders), strict=True)
    names = list(dict.fromkeys([*manifests[0].notebooks, *manifests[1].notebooks]))
    rows = {name: _rows(*(values.get(name, {}) for values in metrics)) for name in names}
    every = [row for block in rows.values() for row in block]
    return render(
        "compare.html.j2",
        folders=folders,
        manifests=manifests,
        titles={n: e.title for run in manifests for n, e in run.notebooks.items()},
        surroundings=list(surroundings(*manifests)),
        same_data=sorted(manifests[0].data.values()) == sorted(manifests[1].data.values()),
        parameters_of={name: _parameters(name, manifests) for name in names},
        rows=rows,
        n_metrics=len(every),
        n_differ=sum(row.differs for row in every),
        n_beyond=sum(row.beyond for row in every),
        pictures={name: _pictures(name, folders, manifests) for name in names},
    )


def _rows(*runs: dict[str, Any]) -> list[Row]:
    """Pair the metrics; the ends of an interval belong to their metric's row."""
    keys = dict.fromkeys(key for run in runs for key in run)
    ends = {f"{key}/{end}" for key in keys for end in ("low", "high")}
    rows = [
        Row(key, *(Side(*(run.get(key + end) for end in ("", "/low", "/high"))) for run in runs))
        for key in keys
        if key not in ends
    ]
    return sorted(rows, key=lambda row: (not row.beyond, not row.differs))


def _parameters(name: str, manifests: tuple[Manifest, ...]) -> list[tuple[str, Any, Any, bool]]:
    """Return (parameter, first value, second value, whether they differ)."""
    one, two = (manifest.parameters.get(name, {}) for manifest in manifests)
    keys = dict.fromkeys([*one, *two])
    return [(key, one.get(key), two.get(key), one.get(key) != two.get(key)) for key in keys]


def _pictures(
    name: str, folders: tuple[Path, Path], manifests: tuple[Manifest, ...]
) -> list[tuple[str, str | None, str | None]]:
    """Return (figure, first picture, second picture); None where a run lacks it."""
    entries = [run.notebooks[name] for run in manifests if name in run.notebooks]
    found = []
    for figure in dict.fromkeys(figure["name"] for entry in entries for figure in entry.figures):
        paths = (folder / name / "figures" / f"{figure}.png" for folder in folders)
        one, two = (picture_source(path.read_bytes()) if path.is_file() else None for path in paths)
        found.append((figure.replace("_", " "), one, two))
    return found
