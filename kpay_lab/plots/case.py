"""Pictures of the worked case: the ledger, the formulas' effect, and the flow charts."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from kpay_lab.interest.formulas import (
    own_share,
    published_comment,
    published_interest,
    published_score,
)
from kpay_lab.interest.published import WORKED_CASE, FlowChart
from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_bars, new_figure, relabel

VERDICT_COLOURS = {
    "reproduced": PALETTE[2],
    "reproduced_if": PALETTE[0],
    "cannot_be": PALETTE[3],
    "not_given": NEUTRAL,
}


def plot_ledger(ledger: pd.DataFrame, symbols: tuple[str, ...]) -> Figure:
    """Draw the printed number beside the computed one, cell by cell, one panel a table.

    Parameters
    ----------
    ledger : DataFrame
        Of `kpay_lab.interest.ledger.worked_ledger`.
    symbols : tuple of str
        Key heads, e.g. ``("P", "R", "R[indices]", "S[share]")``.
    """
    fig, axes = new_figure(1, len(symbols), height=2.6, sharey=True)
    heads = ledger["key"].str.split("/").str[0]
    for ax, symbol in zip(axes, symbols, strict=True):
        rows = ledger[heads == symbol]
        computed = rows["computed"].astype(float)
        printed = rows["printed"].astype(float)
        y = np.arange(len(rows))[::-1]
        ax.hlines(y, computed, printed, color=NEUTRAL, linewidth=1)
        _draw_pairs(ax, y, printed, computed)
        cells = [" ".join(key.split("/")[1:]) for key in rows["key"]]
        ax.set_yticks(y, cells)
        limit = 1.12 * max(computed.max(), printed.max())
        ax.set(title=symbol, xlim=(0, limit), ylim=(-0.6, len(rows) - 0.4))
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig


def _draw_pairs(ax: Axes, y: np.ndarray, printed: Any, computed: Any) -> None:
    ax.plot(printed, y, "D", color=PALETTE[1], label="printed")
    ax.plot(computed, y, "o", color=PALETTE[0], label="computed")


def plot_verdicts(counts: pd.Series) -> Figure:
    """Draw the ledger's lines by verdict."""
    fig, (ax,) = new_figure(height=1.9)
    colours = [VERDICT_COLOURS[name] for name in counts.index]
    draw_bars(ax, counts.index, counts, counts.astype(str), color=colours)
    ax.set(title="Printed numbers by verdict", xlabel="lines of the ledger")
    return fig


def plot_what_if(
    mu: float,
    w1: float,
    w2: float,
    w3: float,
    threshold: float,
    translations: Mapping[str, str] | None = None,
) -> Figure:
    """Draw P, S and C of the worked case for values of one's own, beside what is printed.

    P reads I as the identity; S puts P in the place of R, as the table does, and takes B as the
    share of the user's own watch time; C = A B is held against the printed label. A panel's
    title counts the cells that come out, within half a unit of the second decimal.
    ``translations`` are those of `relabel`.
    """
    case = WORKED_CASE
    P = published_interest(case.interest, mu)
    share = own_share(case.watch_time)
    S = published_score(case.predicted, case.interest, share, (w1, w2, w3))
    products = published_comment(case.interest, case.watch_time).ravel()
    fig, (interest, score, comment) = new_figure(1, 3, height=2.6, sharey=True)
    _draw_reproduced(interest, "P", P, case.predicted)
    _draw_reproduced(score, "S", S, case.ratings)
    _draw_comments(comment, products, threshold, case.commented.ravel())
    comment.set_ylim(-0.6, products.size - 0.4)
    y = np.arange(products.size)[::-1]
    names = [f"{user} {item}" for user in case.users for item in case.items]
    interest.set_yticks(y, names)
    handles, labels = interest.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    plt.close(fig)  # else a slider's output would draw it a second time
    return relabel(fig, translations or {})


def _draw_reproduced(ax: Axes, symbol: str, computed: np.ndarray, printed: np.ndarray) -> None:
    """Draw printed and computed cells of a table; the title counts those that agree."""
    y = np.arange(computed.size)[::-1]
    hits = (np.abs(computed - printed) < 0.005).sum()
    _draw_pairs(ax, y, printed.ravel(), computed.ravel())
    ax.set(title=f"{symbol}: {hits} / {computed.size}", xlim=(-0.05, 1.55))


def _draw_comments(ax: Axes, products: np.ndarray, threshold: float, commented: np.ndarray) -> None:
    """Draw the products A B against the threshold, green where it predicts the printed label."""
    y = np.arange(products.size)[::-1]
    right = (products > threshold) == commented
    colours = np.where(right, PALETTE[2], PALETTE[3])
    ax.barh(y, products, height=0.5, color=colours)
    ax.axvline(threshold, color="black", linestyle="--", linewidth=1)
    ax.set(title=f"C: {right.sum()} / {products.size}", xlim=(0, 30))


def plot_flow(chart: FlowChart) -> Figure:
    """Draw a flow chart: boxes at their positions, arrows with their words."""
    columns = [column for _, column, _ in chart.boxes.values()]
    rows = [row for _, _, row in chart.boxes.values()]
    fig, (ax,) = new_figure(height=1.15 * (max(rows) - min(rows) + 1) + 0.5)
    frame = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": PALETTE[0]}
    boxes = {}
    for name, (text, x, y) in chart.boxes.items():
        boxes[name] = ax.text(x, -y, text, ha="center", va="center", fontsize=8.5, bbox=frame)
    for start, end, word in chart.arrows:
        _draw_arrow(ax, boxes[start], boxes[end], word)
    ax.set_xlim(min(columns) - 0.6, max(columns) + 0.6)
    ax.set_ylim(-max(rows) - 0.6, -min(rows) + 0.6)
    ax.set_title(chart.title)
    ax.axis("off")
    return fig


def _draw_arrow(ax: Axes, start: Text, end: Text, word: str) -> None:
    """Join neighbours by a straight arrow, distant boxes by a bent one."""
    x0, y0 = start.get_position()
    x1, y1 = end.get_position()
    bend = 0.18 if y0 >= y1 else -0.18
    if abs(x1 - x0) <= 1:
        bend = 0.0
    arrow = {
        "arrowstyle": "-|>",
        "color": NEUTRAL,
        "connectionstyle": f"arc3,rad={bend}",
        "patchA": start.get_bbox_patch(),
        "patchB": end.get_bbox_patch(),
        "shrinkA": 1,
        "shrinkB": 1,
    }
    ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
    if word:
        x = (x0 + x1) / 2
        y = (y0 + y1) / 2
        background = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        style = {"ha": "center", "va": "center", "fontsize": 8, "color": PALETTE[3]}
        ax.text(x, y, word, bbox=background, **style)
