"""Pictures of the interest matrix, of what it is made from, and of the behaviour sequences."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_dots, draw_heat, new_figure


def plot_matrix(A: InterestMatrix, title: str) -> Figure:
    """Draw a small interest matrix with its numbers; pairs without an event stay empty."""
    table = pd.DataFrame(A.values.toarray(), index=A.users, columns=A.items)
    observed = table.where(table != 0)
    fig, (ax,) = new_figure(height=0.5 * len(table) + 1.0, width=6.5)
    colour_bar = {"label": "interest"}
    draw_heat(ax, observed, fmt=".2f", vmin=0, vmax=1, linewidths=1, cbar_kws=colour_bar)
    ax.set(title=title, xlabel="", ylabel="")
    return fig


def plot_signs(signs: pd.DataFrame) -> Figure:
    """Draw how each sign of interest is spread over the pairs, one panel a sign."""
    names = list(signs.columns)
    fig, axes = new_figure(1, len(names), height=2.6, sharey=True)
    bins = np.linspace(0, 1, 21)
    for ax, name, colour in zip(axes, names, PALETTE, strict=False):
        values = signs[name].dropna()
        weights = np.full(len(values), 1 / max(len(values), 1))
        ax.hist(values, bins=bins, weights=weights, color=colour)
        ax.set(title=name, xlabel="value")
    axes[0].set_ylabel("share of pairs")
    return fig


def plot_degrees(degrees: dict[str, np.ndarray]) -> Figure:
    """Draw the distribution of the degree of interest under several weightings."""
    fig, (ax,) = new_figure(height=2.8)
    for (name, values), colour in zip(degrees.items(), PALETTE, strict=False):
        ax.ecdf(values, color=colour, label=name)
    ax.set(title="Degree of interest of the pairs in the log", xlim=(0, 1), ylim=(0, 1))
    ax.set(xlabel="degree of interest", ylabel="share of pairs at or below")
    ax.legend(loc="lower right")
    return fig


def plot_occupancy(A: InterestMatrix, n_side: int = 60) -> Figure:
    """Draw where the whole matrix has values, in ``n_side`` × ``n_side`` blocks of cells.

    The users and items with the most values come first.
    """
    n_by_user = np.diff(A.values.indptr)
    n_by_item = np.bincount(A.values.indices, minlength=A.values.shape[1])
    row_blocks = _blocks(n_by_user, n_side)
    column_blocks = _blocks(n_by_item, n_side)
    filled = np.zeros((row_blocks.max() + 1, column_blocks.max() + 1))
    row_block = np.repeat(row_blocks, n_by_user)
    column_block = column_blocks[A.values.indices]
    np.add.at(filled, (row_block, column_block), 1)
    cells = np.outer(np.bincount(row_blocks), np.bincount(column_blocks))
    share = pd.DataFrame(filled / cells)
    fig, (ax,) = new_figure(height=3.6, width=6.5)
    colour_bar = {"label": "share of cells with a value"}
    draw_heat(ax, share, xticklabels=False, yticklabels=False, annot=False, cbar_kws=colour_bar)
    ax.set(title="Where the matrix has values", xlabel="items, busiest first")
    ax.set_ylabel("users, busiest first")
    return fig


def _blocks(counts: np.ndarray, n_blocks: int) -> np.ndarray:
    """Assign each row or column to one of ``n_blocks`` by its rank, the largest count first."""
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return rank * min(n_blocks, len(counts)) // max(len(counts), 1)


def plot_sensitivity(table: pd.DataFrame) -> Figure:
    """Draw what each change of a weight does: rank correlation and the favourites that stay."""
    overlap = next(name for name in table.columns if name.startswith("overlap@"))
    labels = {"rank_correlation": "rank correlation", overlap: f"favourites that stay ({overlap})"}
    fig, (ax,) = new_figure(height=0.34 * len(table) + 1.2)
    unchanged = np.ones(len(table))
    for colour, (name, label) in zip(PALETTE, labels.items(), strict=False):
        values = table[name]
        draw_dots(ax, table["change"], values, values, unchanged, colour=colour, label=label)
    ax.axvline(1, color=NEUTRAL, linestyle="--", linewidth=1)
    ax.set(title="What a change of one weight does", xlabel="1 = nothing changes")
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def plot_transitions(table: pd.DataFrame) -> Figure:
    """Draw which group of items follows which, as shares of each row."""
    side = 0.42 * len(table) + 1.6
    fig, (ax,) = new_figure(height=side, width=max(6.0, side + 2.4))
    draw_heat(ax, table, fmt=".0%", cbar_kws={"label": "share of the next steps"})
    ax.set(title="What comes next", xlabel="next", ylabel="from")
    plt.setp(ax.get_xticklabels(), rotation=40, ha="right")
    return fig
