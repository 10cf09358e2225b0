"""Pictures of the interest matrix, its making, and the behaviour sequences."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_dots, draw_heat, new_figure


def plot_matrix(A: InterestMatrix, title: str) -> Figure:
    """Draw a small interest matrix with its numbers; empty cells are what the log never saw."""
    table = pd.DataFrame(A.values.toarray(), index=A.users, columns=A.items)
    figure, (axes,) = new_figure(height=0.5 * len(table) + 1.0, width=6.5)
    seen = table.where(table != 0)
    bar = {"label": "interest"}
    draw_heat(axes, seen, fmt=".2f", vmin=0, vmax=1, linewidths=1, cbar_kws=bar)
    axes.set(title=title, xlabel="", ylabel="")
    return figure


def plot_signs(signs: pd.DataFrame) -> Figure:
    """Draw how each sign of interest is spread over the pairs, one panel a sign."""
    names = list(signs.columns)
    figure, axes = new_figure(1, len(names), height=2.6, sharey=True)
    for panel, name, colour in zip(axes, names, PALETTE, strict=False):
        values = signs[name].dropna()
        weights = np.full(len(values), 1 / max(len(values), 1))
        panel.hist(values, bins=np.linspace(0, 1, 21), weights=weights, color=colour)
        panel.set(title=name, xlabel="value")
    axes[0].set_ylabel("share of pairs")
    return figure


def plot_degrees(degrees: dict[str, np.ndarray]) -> Figure:
    """Draw the distribution of the degree of interest under several weightings."""
    figure, (axes,) = new_figure(height=2.8)
    for (name, values), colour in zip(degrees.items(), PALETTE, strict=False):
        axes.ecdf(values, color=colour, label=name)
    axes.set(title="Degree of interest of the pairs in the log", xlim=(0, 1), ylim=(0, 1))
    axes.set(xlabel="degree of interest", ylabel="share of pairs at or below")
    axes.legend(loc="lower right")
    return figure


def plot_occupancy(A: InterestMatrix, n_side: int = 60) -> Figure:
    """Draw the whole matrix as a coarse picture, busiest users and items first."""
    by_user = np.diff(A.values.indptr)
    by_item = np.bincount(A.values.indices, minlength=A.values.shape[1])
    rows, columns = _bins(by_user, n_side), _bins(by_item, n_side)
    picture = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(picture, (np.repeat(rows, by_user), columns[A.values.indices]), 1)
    share = pd.DataFrame(picture / np.outer(np.bincount(rows), np.bincount(columns)))
    figure, (axes,) = new_figure(height=3.6, width=6.5)
    bar = {"label": "share of cells with a value"}
    draw_heat(axes, share, xticklabels=False, yticklabels=False, annot=False, cbar_kws=bar)
    axes.set(title="Where the matrix has values", xlabel="items, busiest first")
    axes.set_ylabel("users, busiest first")
    return figure


def _bins(counts: np.ndarray, n_bins: int) -> np.ndarray:
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return rank * min(n_bins, len(counts)) // max(len(counts), 1)


def plot_sensitivity(table: pd.DataFrame) -> Figure:
    """Draw what each change of a weight does: rank correlation and the favourites that stay."""
    overlap = next(name for name in table.columns if name.startswith("overlap@"))
    figure, (axes,) = new_figure(height=0.34 * len(table) + 1.2)
    labels = {"rank_correlation": "rank correlation", overlap: f"favourites that stay ({overlap})"}
    for colour, (name, label) in zip(PALETTE, labels.items(), strict=False):
        values, one = table[name], np.ones(len(table))
        draw_dots(axes, table["change"], values, values, one, colour=colour, label=label)
    axes.axvline(1, color=NEUTRAL, linestyle="--", linewidth=1)
    axes.set(title="What a change of one weight does", xlabel="1 = nothing changes")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def plot_transitions(table: pd.DataFrame) -> Figure:
    """Draw which group of items follows which, as shares of each row."""
    side = 0.42 * len(table) + 1.6
    figure, (axes,) = new_figure(height=side, width=max(6.0, side + 2.4))
    draw_heat(axes, table, fmt=".0%", cbar_kws={"label": "share of the next steps"})
    axes.set(title="What comes next", xlabel="next", ylabel="from")
    plt.setp(axes.get_xticklabels(), rotation=40, ha="right")
    return figure
