"""The house style of every figure (fonts, colours, Chinese letters) and the marks that recur."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import PercentFormatter
from noto_cjk_sans_otc import FONT_PATH
from numpy.typing import ArrayLike

PALETTE = ("#2563a8", "#d9772b", "#3a8f5c", "#b0413e", "#7a5ba6", "#8a6d4b", "#c75d94", "#6b7280")
NEUTRAL = "#9aa3ad"
GRID = "#e5e7eb"
SEQUENTIAL = "crest"
WIDTH = 8.0  # inches, the text width of a page
CHINESE_FONT = "Noto Sans CJK JP"  # the collection's first face; it holds all CJK letters
RC_PARAMS = {
    "font.family": ["DejaVu Sans", CHINESE_FONT],
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": GRID,
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
    fonts = {entry.name for entry in font_manager.fontManager.ttflist}
    if CHINESE_FONT not in fonts:
        font_manager.fontManager.addfont(str(FONT_PATH))
    sns.set_theme(style="whitegrid", palette=list(PALETTE), rc=RC_PARAMS)
    size = (width, height * n_rows)
    fig, axes = plt.subplots(n_rows, n_cols, figsize=size, squeeze=False, **options)
    return fig, list(axes.ravel())


def draw_bars(
    ax: Axes,
    names: Iterable[object],
    values: ArrayLike,
    texts: Sequence[str] | None = None,
    **style: Any,
) -> None:
    """Draw one bar a name, the first on top, with its text at its end."""
    labels = [shorten(name) for name in names]
    style = {"color": PALETTE[0]} | style
    bars = ax.barh(range(len(labels)), values, **style)
    _label_rows(ax, labels)
    ax.grid(axis="y", visible=False)
    if texts is not None:
        ax.bar_label(bars, texts, padding=3, fontsize=9)


def draw_dots(
    ax: Axes,
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
    y = np.arange(len(labels)) + shift
    ax.hlines(y, low, high, color=colour, linewidth=2, alpha=0.5)
    ax.scatter(values, y, color=colour, label=label, zorder=3)
    _label_rows(ax, labels)


def _label_rows(ax: Axes, labels: list[str]) -> None:
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)


def draw_heat(ax: Axes, table: pd.DataFrame, **options: Any) -> None:
    """Draw a table as colours and, where there is room, as numbers; ``options`` go to seaborn."""
    defaults = {
        "cmap": SEQUENTIAL,
        "annot": table.shape[1] <= 12,
        "annot_kws": {"fontsize": 8},
    }
    if not table.notna().any(axis=None):  # no cell from which to take a scale
        defaults |= {"vmin": 0, "vmax": 1}
    labelled = table.rename(index=shorten, columns=lambda name: shorten(name, 18))
    sns.heatmap(labelled, ax=ax, **defaults | options)
    ax.tick_params(axis="y", rotation=0)


def draw_lorenz(ax: Axes, counts: Mapping[str, np.ndarray]) -> None:
    """Draw one Lorenz curve a name: the share of all counts that the smallest counts add up to."""
    for colour, (name, values) in zip(PALETTE, counts.items(), strict=False):
        total = max(values.sum(), 1)
        cumulated = np.cumsum(np.sort(values))
        share = np.concatenate([[0], cumulated]) / total
        ids = np.linspace(0, 1, len(share))
        ax.plot(ids, share, color=colour, label=name)
    ax.plot([0, 1], [0, 1], color=NEUTRAL, linestyle="--", linewidth=1, label="all alike")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))


def relabel(fig: Figure, translations: Mapping[str, str]) -> Figure:
    """Replace the labels of a finished figure by their translations; others stay."""
    for ax in fig.axes:
        _relabel_ticks(ax.xaxis, translations)
        _relabel_ticks(ax.yaxis, translations)
    for artist in fig.findobj(Text):
        text = artist.get_text()
        artist.set_text(translations.get(text, text))
    return fig


def _relabel_ticks(axis: Axis, translations: Mapping[str, str]) -> None:
    labels = [label.get_text() for label in axis.get_ticklabels()]
    if not translations.keys().isdisjoint(labels):
        translated = [translations.get(label, label) for label in labels]
        axis.set_ticks(axis.get_ticklocs(), translated)


def shorten(text: object, length: int = 28) -> str:
    """Cut a label from the data to ``length`` characters; a $ in it is money, not a formula.

    >>> shorten("Machine learning for everyone", 12)
    'Machine lea…'
    """
    label = str(text)
    if len(label) > length:
        label = label[: length - 1] + "…"
    return label.replace("$", r"\$")
