"""Heat maps: a table as colours."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from kpay_lab.plots.style import GRID, WIDTH, axes_or_new, shorten

EVEN = 0.179  # luminance from which black and white text stand out alike


def plot_heat(
    table: pd.DataFrame,
    *,
    ax: Axes | None = None,
    fmt: str = "",
    bar_label: str = "",
    limits: tuple[float, float] | None = None,
    colours: str = "crest",
    slant: bool = False,
    width: float = WIDTH,
    height: float | None = None,
    **settings: Any,
) -> Axes:
    """Draw a table as colours, and as numbers where a format is given; empty cells are grey.

    Parameters
    ----------
    table : DataFrame
        Numbers; NaN is no value.
    fmt : str
        Format of the number in a cell, such as ``.2f`` or ``.0%``; none by default.
    bar_label : str
        What the colours show.
    limits : two floats, optional
        Ends of the scale; by default those of the values.
    slant : bool
        Slant long names of columns.
    width, height : float
        Of a new figure, in inches.
    **settings
        Go to `Axes.set`: title, xlabel, ...
    """
    import seaborn as sns  # here, for it is slow to import

    height_of_rows = 1.4 + 0.36 * len(table)
    ax = axes_or_new(ax, height=height or height_of_rows, width=width)
    if limits is None and not table.notna().any(axis=None):  # no cell to take a scale from
        limits = (0.0, 1.0)
    lowest, highest = limits or (None, None)
    in_percent = PercentFormatter(1) if fmt.endswith("%") else None
    colour_bar = {"label": bar_label, "format": in_percent}
    rows = [shorten(name) for name in table.index]
    columns = [shorten(name, 18) for name in table.columns]
    sns.heatmap(
        table,
        ax=ax,
        annot=bool(fmt),
        fmt=fmt,
        annot_kws={"fontsize": 8},
        cmap=colours,
        vmin=lowest,
        vmax=highest,
        cbar_kws=colour_bar,
        xticklabels=columns,
        yticklabels=rows,
    )
    _write_readably(ax)
    ax.set_facecolor(GRID)
    ax.grid(visible=False)
    ax.tick_params(axis="y", rotation=0)
    if slant:
        plt.setp(ax.get_xticklabels(), rotation=40, ha="right")
    ax.set(**settings)
    return ax


def _write_readably(ax: Axes) -> None:
    """Write each number of a heat map black or white, whichever stands out from its cell."""
    cells = ax.collections[0]
    cells.update_scalarmappable()
    shown = ~np.ma.getmaskarray(cells.get_array()).ravel()
    for text, colour in zip(ax.texts, cells.get_facecolors()[shown], strict=False):
        linear = np.where(colour[:3] <= 0.03928, colour[:3] / 12.92, _linear(colour[:3]))
        luminance = float(linear @ (0.2126, 0.7152, 0.0722))
        text.set_color("white" if luminance < EVEN else "black")


def _linear(colour: np.ndarray) -> np.ndarray:
    """Return the linear light of sRGB values (WCAG 2, relative luminance)."""
    return ((colour + 0.055) / 1.055) ** 2.4
