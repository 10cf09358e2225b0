"""Points: pairs of measures, places on a map, ranks, and pairs of numbers that should agree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kpay_lab.plots.style import (
    BLUE,
    NEUTRAL,
    ORANGE,
    add_legend,
    axes_or_new,
    new_figure,
    nth_colour,
    shorten,
)

MARKERS = "os^Dv"
BOX = {"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"}
BESIDE = 1.03  # where labels beside a picture begin, in widths of its axes
THIN_LINE = {"arrowstyle": "-", "color": NEUTRAL, "linewidth": 0.5, "relpos": (0, 0.5)}


def plot_scatter(
    points: pd.DataFrame, names: Sequence[str], *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw points ``x, y`` coloured by their ``segment``, a number whose name is in ``names``.

    The points are drawn in mixed order, so that no segment lies on top of another.
    """
    ax = axes_or_new(ax, height=4.5)
    order = np.random.default_rng(0).permutation(len(points))
    mixed = points.iloc[order]
    colours = [nth_colour(number) for number in mixed["segment"]]
    ax.scatter(mixed["x"], mixed["y"], s=8, alpha=0.6, c=colours)
    for number, name in enumerate(names):
        label = shorten(f"{number}: {name}", 80)
        ax.scatter([], [], color=nth_colour(number), label=label)  # its entry in the legend
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15)}
    ax.legend(frameon=False, **below)
    ax.set(**settings)
    return ax


def plot_trade_off(
    points: pd.DataFrame, x: str, y: str, *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw two measures of each list, variants of one list joined; best is up and right.

    ``points`` has the columns ``family`` (the single models first, then one for each curve),
    ``name`` and the two measures; of a curve the ends are named.
    """
    ax = axes_or_new(ax, height=4.2)
    for number, (family, rows) in enumerate(points.groupby("family", sort=False)):
        marker = MARKERS[number % len(MARKERS)]
        line = "-" if number else "none"  # the first family, of single models, is not joined
        style = {"color": nth_colour(number), "marker": marker, "linestyle": line}
        ax.plot(rows[x], rows[y], label=family, **style)
    named = _named_points(points)
    places = named[[x, y]].to_numpy()
    heights = _heights_of_labels(ax, places)
    for name, place, height in zip(named["name"], places, heights, strict=True):
        ax.annotate(
            name,
            place,
            xytext=(BESIDE, height),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            arrowprops=THIN_LINE,
        )
    add_legend(ax)
    ax.set(**settings)
    return ax


def _heights_of_labels(ax: Axes, places: np.ndarray) -> np.ndarray:
    """Choose the height of each point's label, (n,), so that no two lines to them cross.

    Of all ways to give evenly spaced labels to the points the one with the shortest lines in
    total is taken: two lines that cross would become shorter by changing their labels.
    """
    from scipy.optimize import linear_sum_assignment  # here, for it is slow to import

    heights = np.linspace(0.02, 0.98, len(places))
    labels = np.column_stack([np.full(len(places), BESIDE), heights])
    ax.autoscale_view()
    on_screen = ax.transData.transform(places)
    in_axes = ax.transAxes.inverted().transform(on_screen)
    lengths = np.linalg.norm(in_axes[:, None, :] - labels[None, :, :], axis=2)
    _, label_of_point = linear_sum_assignment(lengths)
    return heights[label_of_point]


def _named_points(points: pd.DataFrame) -> pd.DataFrame:
    """Return the single models, which are the first family, and the two ends of each curve."""
    family = points["family"]
    is_single = family == family.iloc[0]
    is_first = ~points.duplicated("family")
    is_last = ~points.duplicated("family", keep="last")
    return points[is_single | is_first | is_last]


def plot_ranks(values: pd.DataFrame, *, ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw the rank of each row in each column, the largest value first, joined by a line.

    The value stands beside its point. Rows come in the order of the first column.
    """
    ranks = values.rank(ascending=False, method="first")
    ranks = ranks.sort_values(ranks.columns[0])
    n_rows, n_columns = ranks.shape
    ax = axes_or_new(ax, height=1.3 + 0.42 * n_rows)
    for number, name in enumerate(ranks.index):
        _draw_ranks(ax, str(name), ranks.loc[name], values.loc[name], nth_colour(number))
    ax.set_xticks(range(n_columns), ranks.columns)
    ax.set_yticks(range(1, n_rows + 1))
    ax.set(xlim=(-0.55, n_columns - 0.6), ylim=(n_rows + 0.5, 0.5), ylabel="rank")
    ax.grid(axis="x", visible=False)
    ax.set(**settings)
    return ax


def _draw_ranks(ax: Axes, name: str, ranks: pd.Series, values: pd.Series, colour: str) -> None:
    """Draw a row's line over the columns, its name before and its values along it."""
    beside = {"textcoords": "offset points", "va": "center"}
    ax.plot(range(len(ranks)), ranks, "o-", color=colour, linewidth=2)
    start = (0, ranks.iloc[0])
    ax.annotate(name, start, xytext=(-10, 0), ha="right", color=colour, **beside)
    for column, value in enumerate(values):
        point = (column, ranks.iloc[column])
        ax.annotate(f"{value:.3f}", point, xytext=(9, 6), fontsize=8, bbox=BOX, **beside)


def plot_pairs(
    names: Sequence[str],
    printed: ArrayLike,
    computed: ArrayLike,
    *,
    ax: Axes | None = None,
    **settings: Any,
) -> Axes:
    """Draw what is printed and what is computed in one row a name, the first on top."""
    n_rows = len(names)
    ax = axes_or_new(ax, height=1 + 0.3 * n_rows)
    y = np.arange(n_rows)
    ax.hlines(y, computed, printed, color=NEUTRAL, linewidth=1)
    ax.plot(printed, y, "D", color=ORANGE, label="printed")
    ax.plot(computed, y, "o", color=BLUE, label="computed")
    ax.set_yticks(y, names)
    ax.set_ylim(n_rows - 0.4, -0.6)
    ax.set(**settings)
    return ax


def plot_ledger_panels(ledger: pd.DataFrame, symbols: Sequence[str]) -> Figure:
    """Draw the printed number beside the computed one, cell by cell, one panel a symbol.

    Parameters
    ----------
    ledger : DataFrame
        ``key, printed, computed``; a key is a symbol and the names of a cell, joined by ``/``.
    symbols : sequence of str
        Such as ``("P", "R", "R[indices]", "S[share]")``.
    """
    fig, axes = new_figure(1, len(symbols), height=2.6, sharey=True)
    symbol_of_row = ledger["key"].str.split("/").str[0]
    for ax, symbol in zip(axes, symbols, strict=True):
        rows = ledger[symbol_of_row == symbol]
        numbers = rows[["printed", "computed"]].astype(float)
        cells = rows["key"].str.split("/").str[1:].str.join(" ")
        largest = numbers.max(axis=None)
        plot_pairs(cells, numbers["printed"], numbers["computed"], ax=ax, title=symbol)
        ax.set_xlim(0, 1.12 * largest)
    add_legend(fig)
    return fig
