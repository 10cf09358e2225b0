"""Diagrams: boxes and arrows, and a decision tree."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.text import Text

from kpay_lab.plots.style import BLUE, NEUTRAL, RED, axes_or_new, shorten

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


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


def plot_tree(model: "Pipeline", *, ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw a fitted decision-tree pipeline from left to right, the answer *yes* on top.

    A box holds a question and, in brackets, the share of people who come to it; a leaf the label
    that it says and how many of its people have that label. A question whose answers say
    one and the same label is drawn as a leaf, for it changes nothing.
    """
    names = [shorten(name, 24) for name in model[:-1].get_feature_names_out()]
    labels = [shorten(name, 20) for name in model[-1].classes_]
    tree = model[-1].tree_
    depths, rows = _laid_out(tree)
    n_leaves = 1 + max(rows.values())
    n_levels = 1 + max(depths.values())
    ax = axes_or_new(ax, height=1.0 + 0.62 * n_leaves, width=9.0)
    frame = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": BLUE}
    style = {"ha": "center", "va": "center", "fontsize": 10, "bbox": frame}
    drawn = {}
    for node, depth in depths.items():
        is_question = tree.children_left[node] in depths
        text = _question(tree, node, names) if is_question else _answer(tree, node, labels)
        drawn[node] = ax.text(depth, -rows[node], text, **style)
    for node in depths:
        children = {"yes": tree.children_left[node], "no": tree.children_right[node]}
        for word, child in children.items():
            if child in drawn:
                _draw_arrow(ax, drawn[node], drawn[child], word)
    ax.set_xlim(-0.5, n_levels - 0.5)
    ax.set_ylim(-n_leaves + 0.4, 0.6)
    ax.axis("off")
    ax.set(**settings)
    return ax


def _laid_out(tree: Any) -> tuple[dict[int, int], dict[int, float]]:
    """Return the level and the row of each node that is drawn; a leaf has a row of its own."""
    depths: dict[int, int] = {}
    rows: dict[int, float] = {}
    n_leaves = 0

    def lay_out(node: int, depth: int) -> None:
        nonlocal n_leaves
        depths[node] = depth
        if len(_labels_below(tree, node)) == 1:
            rows[node] = n_leaves
            n_leaves += 1
            return
        left = int(tree.children_left[node])
        right = int(tree.children_right[node])
        lay_out(left, depth + 1)
        lay_out(right, depth + 1)
        rows[node] = (rows[left] + rows[right]) / 2

    lay_out(0, 0)
    return depths, rows


def _labels_below(tree: Any, node: int) -> set[int]:
    """Return the labels that the leaves below a node say, by number."""
    left = int(tree.children_left[node])
    right = int(tree.children_right[node])
    if left == right:  # both are -1: a leaf
        return {int(tree.value[node, 0].argmax())}
    return _labels_below(tree, left) | _labels_below(tree, right)


def _question(tree: Any, node: int, names: list[str]) -> str:
    share = _share_of_people(tree, node)
    return f"{names[tree.feature[node]]}\n≤ {tree.threshold[node]:.2f}?  ({share:.0%})"


def _answer(tree: Any, node: int, labels: list[str]) -> str:
    weights = tree.value[node, 0]
    right = weights.max() / weights.sum()
    share = _share_of_people(tree, node)
    return f"{labels[weights.argmax()]}\nright: {right:.0%}  ({share:.0%})"


def _share_of_people(tree: Any, node: int) -> float:
    return float(tree.n_node_samples[node] / tree.n_node_samples[0])
