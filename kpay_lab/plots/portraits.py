"""Pictures of users: why this many segments, who they are, and how well labels are predicted."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from sklearn.pipeline import Pipeline
from sklearn.tree import plot_tree

from kpay_lab.customers.portraits import Segments
from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_bars, draw_heat, new_figure, shorten


def plot_choice_of_k(segments: Segments) -> Figure:
    """Draw stability and silhouette by k, with their bars; accepted k are filled."""
    figure, (left, right) = new_figure(1, 2)
    table = segments.table
    left.plot(table["k"], table["stability"], color=PALETTE[0])
    left.axhline(0.9, color=NEUTRAL, linestyle="--")
    left.set(title="Stable under resampling?", xlabel="k", ylabel="adjusted Rand index")
    right.plot(table["k"], table["silhouette"], color=PALETTE[0], label="data")
    right.plot(
        table["k"], table["null_max"], color=NEUTRAL, linestyle="--", label="shuffled columns"
    )
    right.set(title="More than chance?", xlabel="k", ylabel="silhouette")
    right.legend()
    for axes, column in ((left, "stability"), (right, "silhouette")):
        chosen = table[table["accepted"]]
        axes.plot(chosen["k"], chosen[column], "o", color=PALETTE[1])
        axes.set_xticks(table["k"])
    return figure


def plot_profiles(segments: Segments) -> Figure:
    """Draw each segment's mean of the most telling features, in standard deviations."""
    telling = segments.profile.abs().max().nlargest(20).index
    profile = segments.profile[[name for name in segments.profile if name in telling]].T
    figure, (axes,) = new_figure(height=1.2 + 0.25 * len(profile))
    labels = [f"{number} (n = {(segments.labels == number).sum()})" for number in profile]
    reach = profile.abs().max().max()
    shown = profile.set_axis(labels, axis=1)
    draw_heat(axes, shown, cmap="vlag", vmin=-reach, vmax=reach, annot=True, fmt=".1f")
    axes.set(title="Segments, in standard deviations from everybody", xlabel="segment", ylabel="")
    return figure


def plot_map(positions: pd.DataFrame, segments: Segments) -> Figure:
    """Draw users on the two directions of largest spread, coloured by segment."""
    figure, (axes,) = new_figure(height=4.5)
    for number, name in enumerate(segments.names):
        own = positions[positions["segment"] == number]
        look = {"color": PALETTE[number % len(PALETTE)], "label": shorten(f"{number}: {name}", 60)}
        axes.scatter(own["x"], own["y"], s=8, alpha=0.6, **look)
    axes.set(title="Users", xlabel="first direction", ylabel="second direction")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), markerscale=2, frameon=False)
    return figure


def plot_tags(counts: pd.DataFrame) -> Figure:
    """Draw how many users (second column) carry each tag (first column) as their first."""
    figure, (axes,) = new_figure(height=1 + 0.3 * len(counts))
    draw_bars(axes, counts.iloc[:, 0], counts.iloc[:, 1].astype(float))
    axes.set(title="First interest tag", xlabel="users")
    return figure


def plot_feature_weights(weights: pd.DataFrame) -> Figure:
    """Draw each feature's three weights, a panel a way of weighing; selected ones are dark."""
    top = weights.head(15)
    figure, panels = new_figure(1, 3, height=1.2 + 0.26 * len(top), sharey=True)
    colours = [PALETTE[0] if chosen else NEUTRAL for chosen in top["selected"]]
    for axes, way in zip(panels, ("permutation", "forest", "mutual information"), strict=True):
        spread = 2 * top["sd"] if way == "permutation" else None
        draw_bars(axes, top.index, top[way], color=colours, xerr=spread)
        axes.set_title(way)
    return figure


def plot_calibration(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw observed against predicted shares, one line a model; the diagonal is right."""
    figure, (axes,) = new_figure(height=4.2, width=5.5)
    top = max(curve[["predicted", "observed"]].to_numpy().max() for curve in curves.values())
    axes.plot([0, top], [0, top], color=NEUTRAL, linestyle="--")
    for name, curve in curves.items():
        axes.plot(curve["predicted"], curve["observed"], "o-", markersize=4, label=name)
    axes.set(title="Calibration", xlabel="predicted probability", ylabel="observed share")
    axes.legend()
    return figure


def plot_readable_tree(model: Pipeline) -> Figure:
    """Draw a fitted decision-tree pipeline: the question, the share of users, the label."""
    depth = model[-1].get_depth()
    figure, (axes,) = new_figure(height=1.0 + 1.1 * (depth + 1), width=10.0)
    names = [shorten(name, 24) for name in model[:-1].get_feature_names_out()]
    labels = [shorten(name, 16) for name in model[-1].classes_]
    nodes = plot_tree(
        model[-1],
        feature_names=names,
        class_names=labels,
        impurity=False,
        proportion=True,
        precision=2,
        fontsize=9,
        ax=axes,
    )
    for node in nodes:  # a row of class shares does not fit into a box
        lines = [line for line in node.get_text().split("\n") if not line.startswith("value")]
        words = "\n".join(lines).replace("samples = ", "").replace("class = ", "")
        node.set_text(words.replace(" <= ", "\n≤ "))
    axes.set_title("Decision tree")
    return figure
