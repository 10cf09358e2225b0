"""Heat maps: a table as colours."""

from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap
from matplotlib.ticker import PercentFormatter

from kpay_lab.plots.style import GRID, SEQUENTIAL, WIDTH, axes_or_new, shorten

EVEN = 0.179  # luminance from which black and white text stand out alike


def plot_heat(
    table: pd.DataFrame,
    *,
    ax: Axes | None = None,
    fmt: str = "",
    bar_label: str = "",
    limits: tuple[float, float] | None = None,
    colours: Colormap = SEQUENTIAL,
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
    height_of_rows = 1.4 + 0.36 * len(table)
    ax = axes_or_new(ax, height=height or height_of_rows, width=width)
    if limits is None and not table.notna().any(axis=None):  # no cell to take a scale from
        limits = (0.0, 1.0)
    lowest, highest = limits or (None, None)
    values = np.ma.masked_invalid(table.to_numpy(dtype=float))
    cells = ax.pcolormesh(values, cmap=colours, vmin=lowest, vmax=highest)
    in_percent = PercentFormatter(1) if fmt.endswith("%") else None
    colour_bar = ax.figure.colorbar(cells, ax=ax, label=bar_label, format=in_percent)
    colour_bar.outline.set_linewidth(0)
    _name_rows_and_columns(ax, table)
    if fmt:
        _write_numbers(ax, cells, fmt)
    ax.spines[:].set_visible(False)
    ax.set_facecolor(GRID)
    ax.grid(visible=False)
    if slant:
        plt.setp(ax.get_xticklabels(), rotation=40, ha="right")
    ax.set(**settings)
    return ax


def _name_rows_and_columns(ax: Axes, table: pd.DataFrame) -> None:
    """Name the rows, the first on top, and the columns; columns' names that collide stand up."""
    n_rows, n_columns = table.shape
    rows = [shorten(name) for name in table.index]
    columns = [shorten(name, 18) for name in table.columns]
    ax.set_xticks(np.arange(n_columns) + 0.5, columns)
    ax.set_yticks(np.arange(n_rows) + 0.5, rows, va="center")
    ax.set_ylim(n_rows, 0)
    ax.set_xlabel(table.columns.name or "")
    ax.set_ylabel(table.index.name or "")
    ax.figure.draw_without_rendering()  # where a name ends is known only then
    names = ax.get_xticklabels()
    ends = [name.get_window_extent() for name in names]
    if any(left.overlaps(right) for left, right in pairwise(ends)):
        plt.setp(names, rotation="vertical")


def _write_numbers(ax: Axes, cells: QuadMesh, fmt: str) -> None:
    """Write the number of each cell, black or white, whichever stands out from its colour."""
    cells.update_scalarmappable()
    values = cells.get_array()
    colours = cells.get_facecolors().reshape(*values.shape, 4)
    style = {"ha": "center", "va": "center", "fontsize": 8}
    for row, column in np.argwhere(~np.ma.getmaskarray(values)):
        number = format(values[row, column], fmt)
        ink = _ink_on(colours[row, column, :3])
        ax.text(column + 0.5, row + 0.5, number, color=ink, **style)


def _ink_on(colour: np.ndarray) -> str:
    """Return the colour of the letters that stand out more from a colour, red, green and blue."""
    linear = np.where(colour <= 0.03928, colour / 12.92, _linear(colour))
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "white" if luminance < EVEN else "black"


def _linear(colour: np.ndarray) -> np.ndarray:
    """Return the linear light of sRGB values (WCAG 2, relative luminance)."""
    return ((colour + 0.055) / 1.055) ** 2.4
