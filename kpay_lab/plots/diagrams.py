"""Diagrams: boxes and arrows, and a decision tree."""

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.text import Text
from sklearn import tree
from sklearn.pipeline import Pipeline

from kpay_lab.plots.style import BLUE, NEUTRAL, RED, axes_or_new, shorten


def plot_flow(
    boxes: Mapping[str, tuple[str, float, float]],
    arrows: Iterable[tuple[str, str, str]],
    *,
    ax: Axes | None = None,
    **settings: Any,
) -> Axes:
    """Draw a flow chart.

    Parameters
    ----------
    boxes : mapping
        Name → text, column and row (from the top) of a box.
    arrows : iterable
        Names of the boxes that an arrow joins, and the word on it.
    """
    columns = [column for _, column, _ in boxes.values()]
    rows = [row for _, _, row in boxes.values()]
    left = min(columns)
    right = max(columns)
    top = min(rows)
    bottom = max(rows)
    ax = axes_or_new(ax, height=1.65 + 1.15 * (bottom - top))
    frame = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": BLUE}
    style = {"ha": "center", "va": "center", "fontsize": 8.5, "bbox": frame}
    drawn = {}
    for name, (text, column, row) in boxes.items():
        drawn[name] = ax.text(column, -row, text, **style)
    for start, end, word in arrows:
        _draw_arrow(ax, drawn[start], drawn[end], word)
    ax.set_xlim(left - 0.6, right + 0.6)
    ax.set_ylim(-bottom - 0.6, -top + 0.6)
    ax.axis("off")
    ax.set(**settings)
    return ax


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
        style = {"ha": "center", "va": "center", "fontsize": 8, "color": RED}
        ax.text(x, y, word, bbox=background, **style)


def plot_tree(model: Pipeline, *, ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw a fitted decision-tree pipeline: the question, the share of users, the label."""
    fitted = model[-1]
    features = [shorten(name, 24) for name in model[:-1].get_feature_names_out()]
    labels = [shorten(name, 16) for name in fitted.classes_]
    n_levels = fitted.get_depth() + 1
    ax = axes_or_new(ax, height=1.0 + 1.1 * n_levels, width=10.0)
    nodes = tree.plot_tree(
        fitted,
        feature_names=features,
        class_names=labels,
        impurity=False,
        proportion=True,
        precision=2,
        fontsize=9,
        ax=ax,
    )
    for node in nodes:
        text = _node_text(node.get_text())
        node.set_text(text)
    ax.set(**settings)
    return ax


def _node_text(text: str) -> str:
    """Shorten what sklearn writes into a node; the row of class shares does not fit."""
    lines = [line for line in text.split("\n") if not line.startswith("value")]
    shortened = "\n".join(lines)
    for long, short in {"samples = ": "", "class = ": "", " <= ": "\n≤ "}.items():
        shortened = shortened.replace(long, short)
    return shortened
