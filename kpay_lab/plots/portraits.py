"""Pictures of users: the choice of segments, their profiles, and the prediction of labels."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from sklearn.pipeline import Pipeline
from sklearn.tree import plot_tree

from kpay_lab.customers.portraits import Segments
from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_bars, draw_heat, new_figure, shorten


def plot_choice_of_k(segments: Segments) -> Figure:
    """Draw stability and silhouette by k, with the bar that each must pass; accepted k are dots."""
    table = segments.candidates
    fig, (stability, silhouette) = new_figure(1, 2)
    stability.plot(table["k"], table["stability"], color=PALETTE[0])
    stability.axhline(0.9, color=NEUTRAL, linestyle="--")
    stability.set(title="Stable under resampling?", xlabel="k", ylabel="adjusted Rand index")
    silhouette.plot(table["k"], table["silhouette"], color=PALETTE[0], label="data")
    null = {"color": NEUTRAL, "linestyle": "--", "label": "shuffled columns"}
    silhouette.plot(table["k"], table["null_max"], **null)
    silhouette.set(title="More than chance?", xlabel="k", ylabel="silhouette")
    silhouette.legend()
    accepted = table[table["accepted"]]
    stability.plot(accepted["k"], accepted["stability"], "o", color=PALETTE[1])
    silhouette.plot(accepted["k"], accepted["silhouette"], "o", color=PALETTE[1])
    for ax in (stability, silhouette):
        ax.set_xticks(table["k"])
    return fig


def plot_profiles(segments: Segments) -> Figure:
    """Draw each segment's mean of the 20 features that differ most, in standard deviations."""
    largest = segments.profile.abs().max().nlargest(20).index
    features = [name for name in segments.profile if name in largest]
    profile = segments.profile[features].T
    labels = [f"{number} (n = {(segments.labels == number).sum()})" for number in profile]
    fig, (ax,) = new_figure(height=1.2 + 0.25 * len(profile))
    reach = profile.abs().max().max()
    labelled = profile.set_axis(labels, axis=1)
    draw_heat(ax, labelled, cmap="vlag", vmin=-reach, vmax=reach, annot=True, fmt=".1f")
    ax.set(title="Segments, in standard deviations from everybody", xlabel="segment", ylabel="")
    return fig


def plot_map(positions: pd.DataFrame, segments: Segments) -> Figure:
    """Draw users on the two directions of largest spread, coloured by segment."""
    fig, (ax,) = new_figure(height=4.5)
    for number, name in enumerate(segments.names):
        members = positions[positions["segment"] == number]
        colour = PALETTE[number % len(PALETTE)]
        label = shorten(f"{number}: {name}", 60)
        ax.scatter(members["x"], members["y"], s=8, alpha=0.6, color=colour, label=label)
    ax.set(title="Users", xlabel="first direction", ylabel="second direction")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), markerscale=2, frameon=False)
    return fig


def plot_tags(counts: pd.DataFrame) -> Figure:
    """Draw how many users (second column) carry each tag (first column) as their first."""
    fig, (ax,) = new_figure(height=1 + 0.3 * len(counts))
    tags = counts.iloc[:, 0]
    n_users = counts.iloc[:, 1].astype(float)
    draw_bars(ax, tags, n_users)
    ax.set(title="First interest tag", xlabel="users")
    return fig


def plot_feature_weights(weights: pd.DataFrame) -> Figure:
    """Draw each feature's three weights, a panel a way of weighing; selected ones are dark."""
    top = weights.head(15)
    colours = [PALETTE[0] if selected else NEUTRAL for selected in top["selected"]]
    fig, axes = new_figure(1, 3, height=1.2 + 0.26 * len(top), sharey=True)
    for ax, way in zip(axes, ("permutation", "forest", "mutual information"), strict=True):
        spread = 2 * top["sd"] if way == "permutation" else None
        draw_bars(ax, top.index, top[way], color=colours, xerr=spread)
        ax.set_title(way)
    return fig


def plot_calibration(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw observed against predicted shares, one line a model; the diagonal is right."""
    fig, (ax,) = new_figure(height=4.2, width=5.5)
    top = max(curve[["predicted", "observed"]].to_numpy().max() for curve in curves.values())
    ax.plot([0, top], [0, top], color=NEUTRAL, linestyle="--")
    for name, curve in curves.items():
        ax.plot(curve["predicted"], curve["observed"], "o-", markersize=4, label=name)
    ax.set(title="Calibration", xlabel="predicted probability", ylabel="observed share")
    ax.legend()
    return fig


def plot_readable_tree(model: Pipeline) -> Figure:
    """Draw a fitted decision-tree pipeline: the question, the share of users, the label."""
    tree = model[-1]
    features = model[:-1].get_feature_names_out()
    fig, (ax,) = new_figure(height=1.0 + 1.1 * (tree.get_depth() + 1), width=10.0)
    nodes = plot_tree(
        tree,
        feature_names=[shorten(name, 24) for name in features],
        class_names=[shorten(name, 16) for name in tree.classes_],
        impurity=False,
        proportion=True,
        precision=2,
        fontsize=9,
        ax=ax,
    )
    for node in nodes:
        node.set_text(_node_text(node.get_text()))
    ax.set_title("Decision tree")
    return fig


def _node_text(text: str) -> str:
    """Shorten what sklearn writes into a node; the row of class shares does not fit."""
    lines = [line for line in text.split("\n") if not line.startswith("value")]
    shortened = "\n".join(lines).replace("samples = ", "").replace("class = ", "")
    return shortened.replace(" <= ", "\n≤ ")
