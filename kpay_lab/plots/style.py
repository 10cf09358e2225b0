"""One look for every picture: type, colours, letters for Chinese, and the marks that recur."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import PercentFormatter
from noto_cjk_sans_otc import FONT_PATH
from numpy.typing import ArrayLike

PALETTE = ("#2563a8", "#d9772b", "#3a8f5c", "#b0413e", "#7a5ba6", "#8a6d4b", "#c75d94", "#6b7280")
NEUTRAL = "#9aa3ad"
SEQUENTIAL = "crest"
WIDTH = 8.0  # inches, the text width of a page
LOOK = {
    "font.family": ["DejaVu Sans", "Noto Sans CJK JP"],
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": "#e5e7eb",
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "kpay_lab",
}


def new_figure(
    n_rows: int = 1, n_cols: int = 1, *, height: float = 3.4, width: float = WIDTH, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Make a figure in the house style, and a flat list of its axes, row by row.

    ``height`` is that of one row, ``width`` of the whole, in inches.
    """
    known = {entry.name for entry in font_manager.fontManager.ttflist}
    if "Noto Sans CJK JP" not in known:  # the collection's first face; it holds all CJK letters
        font_manager.fontManager.addfont(str(FONT_PATH))
    sns.set_theme(style="whitegrid", palette=list(PALETTE), rc=LOOK)
    size = (width, height * n_rows)
    figure, axes = plt.subplots(n_rows, n_cols, figsize=size, squeeze=False, **options)
    return figure, list(axes.ravel())


def draw_bars(
    axes: Axes,
    names: Iterable[object],
    values: ArrayLike,
    texts: Sequence[str] | None = None,
    **style: Any,
) -> None:
    """Draw one bar a name, the first on top, with its text at its end."""
    labels = [shorten(name) for name in names]
    bars = axes.barh(range(len(labels)), values, **{"color": PALETTE[0]} | style)
    _rows(axes, labels)
    axes.grid(axis="y", visible=False)
    if texts is not None:
        axes.bar_label(bars, texts, padding=3, fontsize=9)


def draw_dots(
    axes: Axes,
    names: Iterable[object],
    values: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    colour: Any = PALETTE[0],
    label: str | None = None,
    shift: float = 0.0,
    length: int = 28,
) -> None:
    """Draw one dot with its interval a name, the first on top, ``shift`` rows further down."""
    labels = [shorten(name, length) for name in names]
    places = np.arange(len(labels)) + shift
    axes.hlines(places, low, high, color=colour, linewidth=2, alpha=0.5)
    axes.scatter(values, places, color=colour, label=label, zorder=3)
    _rows(axes, labels)


def _rows(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def draw_heat(axes: Axes, table: pd.DataFrame, **options: Any) -> None:
    """Draw a table as colours and, where there is room, as numbers; ``options`` go to seaborn."""
    fits = {"annot": table.shape[1] <= 12, "annot_kws": {"fontsize": 8}}
    if not table.notna().any(axis=None):
        options = {"vmin": 0, "vmax": 1} | options  # no cell from which to take a scale
    labelled = table.rename(index=shorten, columns=lambda name: shorten(name, 18))
    sns.heatmap(labelled, ax=axes, **{"cmap": SEQUENTIAL} | fits | options)
    axes.tick_params(axis="y", rotation=0)


def draw_lorenz(axes: Axes, counts: Mapping[str, np.ndarray]) -> None:
    """Draw what share the quietest ids hold, one curve a name; the diagonal is all alike."""
    for colour, (name, values) in zip(PALETTE, counts.items(), strict=False):
        share = np.concatenate([[0], np.cumsum(np.sort(values))]) / max(values.sum(), 1)
        axes.plot(np.linspace(0, 1, len(share)), share, color=colour, label=name)
    axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle="--", linewidth=1, label="all alike")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))


def relabel(figure: Figure, words: Mapping[str, str]) -> Figure:
    """Exchange the labels of a finished figure, such as for another language's."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if not words.keys().isdisjoint(labels):
                axis.set_ticks(axis.get_ticklocs(), [words.get(text, text) for text in labels])
    for artist in figure.findobj(Text):
        artist.set_text(words.get(artist.get_text(), artist.get_text()))
    return figure


def shorten(text: object, length: int = 28) -> str:
    """Cut a label from the data to ``length`` characters; a $ in it is money, not a formula.

    >>> shorten("Machine learning for everyone", 12)
    'Machine lea…'
    """
    text = str(text)
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return cut.replace("$", r"\$")
