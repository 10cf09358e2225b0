"""Dots with their intervals: estimates that are not certain."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kpay_lab.plots.style import (
    BLUE,
    GUIDE,
    NEUTRAL,
    TRUTH,
    add_legend,
    axes_or_new,
    label_rows,
    new_figure,
    nth_colour,
)

MARKS = (TRUTH, {"color": NEUTRAL, "linestyle": ":", "linewidth": 1.5})


def plot_intervals(
    table: pd.DataFrame,
    value: str = "value",
    *,
    ax: Axes | None = None,
    by: str = "",
    zero: bool = False,
    colours: Any = None,
    length: int = 28,
    **settings: Any,
) -> Axes:
    """Draw one dot with its interval a row of the table, the first on top.

    Parameters
    ----------
    table : DataFrame
        The estimate, in the column named by ``value``, and the ends ``low, high`` of its
        interval, NaN where it has none. The index names the rows.
    by : str
        A column whose values get a colour each, below each other under one name.
    zero : bool
        Mark *no difference*; without ``colours``, intervals that hold it are grey.
    colours : colour, or one colour a row, optional
        Without ``by`` only.
    length : int
        Characters of a name that are shown.
    **settings
        Go to `Axes.set`: title, xlabel, xlim, ...
    """
    names = table.index.unique()
    ax = axes_or_new(ax, height=1.1 + 0.3 * len(names))
    if zero:
        ax.axvline(0, color="black", linewidth=0.8)
        excludes_zero = (table["low"] > 0) | (table["high"] < 0)
        if colours is None:
            colours = excludes_zero.map({True: BLUE, False: NEUTRAL})
    if by:
        for number, (group, rows) in enumerate(table.groupby(by, sort=False)):
            y = names.get_indexer(rows.index) + 0.16 * number
            _draw_intervals(ax, y, rows, value, nth_colour(number), str(group))
    else:
        y = names.get_indexer(table.index)
        _draw_intervals(ax, y, table, value, BLUE if colours is None else colours)
    label_rows(ax, names, length)
    ax.set(**settings)
    return ax


def _draw_intervals(
    ax: Axes, y: Any, rows: pd.DataFrame, value: str, colours: Any, label: str | None = None
) -> None:
    ax.hlines(y, rows["low"], rows["high"], color=colours, linewidth=2, alpha=0.5)
    ax.scatter(rows[value], y, color=colours, label=label, zorder=3)


def plot_points(
    table: pd.DataFrame, value: str = "value", *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw one dot with an upright interval a row, along the numbers of the index.

    Parameters
    ----------
    table : DataFrame
        The estimate, in the column named by ``value``, and the ends ``low, high``.
    """
    ax = axes_or_new(ax)
    ax.vlines(table.index, table["low"], table["high"], color=BLUE, linewidth=2, alpha=0.5)
    ax.scatter(table.index, table[value], color=BLUE, zorder=3)
    ax.set_ylim(0, None)
    ax.set(**settings)
    return ax


def plot_interval_panels(
    tables: Mapping[str, pd.DataFrame],
    value: str = "value",
    *,
    n_columns: int = 2,
    by: str = "",
    marks: Mapping[str, Mapping[str, float]] | None = None,
    sharex: bool = False,
    sharey: bool = False,
    **settings: Any,
) -> Figure:
    """Draw each table by `plot_intervals` as a panel of a new figure.

    Parameters
    ----------
    tables : mapping
        Title of a panel → its table.
    n_columns : int
        Panels side by side.
    marks : mapping, optional
        Name of a vertical line → title of a panel → where it stands there. The first is the
        truth, dashed; the second is dotted.
    **settings
        Go to `plot_intervals`.
    """
    n_rows = [max(table.index.nunique(), 2) for table in tables.values()]
    heights = []
    for first in range(0, len(n_rows), n_columns):
        longest = max(n_rows[first : first + n_columns])
        heights.append(1.1 + 0.3 * longest)
    mean_height = sum(heights) / len(heights)
    fig, axes = new_figure(
        len(heights),
        n_columns,
        height=mean_height,
        height_ratios=heights,
        sharex=sharex,
        sharey=sharey,
    )
    marks = marks or {}
    n_ticks = max(3, 10 // n_columns)
    for ax, (title, table) in zip(axes, tables.items(), strict=False):
        plot_intervals(table, value, ax=ax, by=by, title=title, **settings)
        for (label, places), style in zip(marks.items(), MARKS, strict=False):
            if title in places:
                ax.axvline(places[title], label=label, **style)
        ax.locator_params(axis="x", nbins=n_ticks)
    for ax in axes[len(tables) :]:
        ax.set_axis_off()
    if by or marks:
        add_legend(fig, "lower center" if by else "upper right")
    return fig


def plot_sensitivity(
    table: pd.DataFrame, labels: Mapping[str, str], *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw how far each measure falls from 1, where nothing changes.

    ``table`` has a row a change, named by the index; ``labels`` gives the columns their names.
    """
    measured = table[list(labels)].rename(columns=labels)
    stacked = measured.rename_axis(columns="measure").stack()
    rows = stacked.rename("value").reset_index("measure")
    rows["low"] = rows["value"]
    rows["high"] = 1.0
    ax = plot_intervals(rows, ax=ax, by="measure", **settings)
    ax.axvline(1, **GUIDE)
    add_legend(ax)
    return ax
