"""Pictures of the worked case: the ledger, the formulas' effect, and the flow charts."""

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
from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_bars, new_figure

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
    figure, axes = new_figure(1, len(symbols), height=2.6, sharey=True)
    for panel, symbol in zip(axes, symbols, strict=True):
        rows = ledger[ledger["key"].str.split("/").str[0] == symbol]
        places = np.arange(len(rows))[::-1]
        computed, printed = rows["computed"].astype(float), rows["printed"].astype(float)
        panel.hlines(places, computed, printed, color=NEUTRAL, linewidth=1)
        panel.plot(printed, places, "D", color=PALETTE[1], label="printed")
        panel.plot(computed, places, "o", color=PALETTE[0], label="computed")
        names = [" ".join(key.split("/")[1:]) for key in rows["key"]]
        panel.set_yticks(places, names)
        limit = 1.12 * max(computed.max(), printed.max())
        panel.set(title=symbol, xlim=(0, limit), ylim=(-0.6, len(rows) - 0.4))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def plot_verdicts(counts: pd.Series) -> Figure:
    """Draw the ledger's lines by verdict."""
    figure, (axes,) = new_figure(height=1.9)
    colours = [VERDICT_COLOURS[name] for name in counts.index]
    draw_bars(axes, counts.index, counts, counts.astype(str), color=colours)
    axes.set(title="Printed numbers by verdict", xlabel="lines of the ledger")
    return figure


def plot_what_if(mu: float, w1: float, w2: float, w3: float, threshold: float) -> Figure:
    """Draw P, S and C of the worked case for values of one's own, beside what is printed.

    P reads I as the identity; S puts P in the place of R, as the table does, and takes B as the
    share of the user's own watch time; C = A B is held against the printed label. A panel's
    title counts the cells that come out, within half a unit of the second decimal.
    """
    case = WORKED_CASE
    P = published_interest(case.interest, mu)
    S = published_score(case.predicted, case.interest, own_share(case.watch_time), (w1, w2, w3))
    products = published_comment(case.interest, case.watch_time).ravel()
    figure, axes = new_figure(1, 3, height=2.6, sharey=True)
    places = np.arange(products.size)[::-1]
    names = [f"{user} {item}" for user in case.users for item in case.items]
    tables = {"P": (P, case.predicted), "S": (S, case.ratings)}
    for panel, (symbol, (values, printed)) in zip(axes, tables.items(), strict=False):
        hits = (np.abs(values - printed) < 0.005).sum()
        panel.plot(printed.ravel(), places, "D", color=PALETTE[1], label="printed")
        panel.plot(values.ravel(), places, "o", color=PALETTE[0], label="computed")
        panel.set(title=f"{symbol}: {hits} / {products.size}", xlim=(-0.05, 1.55))
    right = (products > threshold) == case.commented.ravel()
    axes[2].barh(places, products, height=0.5, color=np.where(right, PALETTE[2], PALETTE[3]))
    axes[2].axvline(threshold, color="black", linestyle="--", linewidth=1)
    axes[2].set(title=f"C: {right.sum()} / {products.size}", xlim=(0, 30))
    axes[2].set_ylim(-0.6, products.size - 0.4)
    axes[0].set_yticks(places, names)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def plot_flow(chart: FlowChart) -> Figure:
    """Draw a flow chart: boxes at their places, arrows with their words."""
    _, columns, rows = zip(*chart.boxes.values(), strict=True)
    figure, (axes,) = new_figure(height=1.15 * (max(rows) - min(rows) + 1) + 0.5)
    frame = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": PALETTE[0]}
    boxes = {
        name: axes.text(x, -y, text, ha="center", va="center", fontsize=8.5, bbox=frame)
        for name, (text, x, y) in chart.boxes.items()
    }
    for start, end, word in chart.arrows:
        _arrow(axes, boxes[start], boxes[end], word)
    axes.set_xlim(min(columns) - 0.6, max(columns) + 0.6)
    axes.set_ylim(-max(rows) - 0.6, -min(rows) + 0.6)
    axes.set_title(chart.title)
    axes.axis("off")
    return figure


def _arrow(axes: Axes, start: Text, end: Text, word: str) -> None:
    """Neighbours are joined by a straight arrow, distant boxes by a bent one."""
    (x0, y0), (x1, y1) = start.get_position(), end.get_position()
    bend = 0.0 if abs(x1 - x0) <= 1 else 0.18 if y0 >= y1 else -0.18
    ends = {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
    style = {"arrowstyle": "-|>", "color": NEUTRAL, "connectionstyle": f"arc3,rad={bend}"} | ends
    style |= {"shrinkA": 1, "shrinkB": 1}
    axes.annotate("", (x1, y1), (x0, y0), arrowprops=style)
    if word:
        place = ((x0 + x1) / 2, (y0 + y1) / 2)
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axes.text(*place, word, ha="center", va="center", fontsize=8, color=PALETTE[3], bbox=ground)
