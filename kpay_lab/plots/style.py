"""The house style of every picture: fonts, colours, Chinese letters, size, legend, labels."""

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from noto_cjk_sans_otc import FONT_PATH

BLUE = "#2563a8"
ORANGE = "#d9772b"
GREEN = "#3a8f5c"
RED = "#b0413e"
PALETTE = (BLUE, ORANGE, GREEN, RED, "#7a5ba6", "#8a6d4b", "#c75d94", "#6b7280")
NEUTRAL = "#9aa3ad"
GUIDE = {"color": NEUTRAL, "linestyle": "--", "linewidth": 1}  # what to compare with
TRUTH = {"color": "black", "linestyle": "--", "linewidth": 1}
GRID = "#e5e7eb"
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
    import seaborn as sns  # here, for it is slow to import

    fonts = {entry.name for entry in font_manager.fontManager.ttflist}
    if CHINESE_FONT not in fonts:
        font_manager.fontManager.addfont(str(FONT_PATH))
    sns.set_theme(style="whitegrid", palette=list(PALETTE), rc=RC_PARAMS)
    size = (width, height * n_rows)
    fig, axes = plt.subplots(n_rows, n_cols, figsize=size, squeeze=False, **options)
    return fig, list(axes.ravel())


def axes_or_new(ax: Axes | None, *, height: float = 3.4, width: float = WIDTH) -> Axes:
    """Return the Axes given, or that of a new figure (inches)."""
    if ax is not None:
        return ax
    _, (new_ax,) = new_figure(height=height, width=width)
    return new_ax


def label_rows(ax: Axes, names: Iterable[object], length: int = 28) -> None:
    """Name the rows of a picture, the first on top, each in at most ``length`` characters."""
    labels = [shorten(name, length) for name in names]
    n_rows = len(labels)
    ax.set_yticks(range(n_rows), labels)
    ax.set_ylim(n_rows - 0.4, -0.6)


def add_legend(picture: Figure | Axes, place: str = "lower center", **options: Any) -> None:
    """Put one legend, that of the first panel, outside of all panels.

    That of one Axes among others stays inside of it.
    """
    fig = picture.get_figure(root=True)
    if picture is not fig and len(fig.axes) > 1:
        picture.legend()
        return
    handles, labels = fig.axes[0].get_legend_handles_labels()
    options = {"ncols": min(len(labels), 3)} | options
    fig.legend(handles, labels, loc=f"outside {place}", **options)


def relabel(picture: Figure | Axes, translations: Mapping[str, str]) -> Figure:
    """Replace the labels of a finished picture by their translations; return its figure."""
    fig = picture.get_figure(root=True)
    for ax in fig.axes:
        _relabel_ticks(ax.xaxis, translations)
        _relabel_ticks(ax.yaxis, translations)
    for artist in fig.findobj(Text):
        text = artist.get_text()
        artist.set_text(translations.get(text, text))
    return fig


def _relabel_ticks(axis: Axis, translations: Mapping[str, str]) -> None:
    """Translate the labels of ticks; an axis without any keeps ticks that follow its limits."""
    labels = [label.get_text() for label in axis.get_ticklabels()]
    if not translations.keys().isdisjoint(labels):
        translated = [translations.get(label, label) for label in labels]
        axis.set_ticks(axis.get_ticklocs(), translated)


def nth_colour(number: int) -> str:
    """Return a colour of the palette; after its last one it begins again.

    >>> nth_colour(0) == nth_colour(len(PALETTE)) == BLUE
    True
    """
    return PALETTE[number % len(PALETTE)]


def shorten(text: object, length: int = 28) -> str:
    """Cut a label from the data to ``length`` characters; a $ in it is money, not a formula.

    >>> shorten("Machine learning for everyone", 12)
    'Machine lea…'
    """
    label = str(text)
    if len(label) > length:
        label = label[: length - 1] + "…"
    return label.replace("$", r"\$")
