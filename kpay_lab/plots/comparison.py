"""Pictures of a comparison of recommenders."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_bars, draw_dots, draw_lorenz, new_figure

MARKERS = "os^Dv"
GROUPS = ("cold", "low", "middle", "high", "under 18")  # the order of labels that have one


def plot_intervals(
    table: pd.DataFrame, title: str, label: str, zero: bool = False, *, ax: Axes | None = None
) -> Figure:
    """Draw one row (``model, mean, low, high``) a line; ``zero`` marks *no difference*.

    It is drawn into ``ax``, by default that of a new figure.
    """
    if ax is None:
        _, (ax,) = new_figure(height=0.3 * len(table) + 1.1)
    draw_dots(ax, table["model"], table["mean"], table["low"], table["high"])
    if zero:
        ax.axvline(0, color=NEUTRAL, linestyle="--", linewidth=1)
    ax.set(title=title, xlabel=label)
    return ax.figure


def plot_segments(parts: Mapping[str, pd.DataFrame], label: str) -> Figure:
    """Draw each table of `breakdown` as a panel; hidden groups are left out."""
    shown = {name: part.dropna(subset="mean") for name, part in parts.items()}
    sizes = [max(part["group"].nunique(), 2) for part in shown.values()]
    heights = [0.3 * max(sizes[nth : nth + 2]) + 1.1 for nth in range(0, len(sizes), 2)]
    n_rows, height = len(heights), sum(heights) / len(heights)
    figure, axes = new_figure(n_rows, 2, height=height, height_ratios=heights)
    for panel, (name, part) in zip(axes, shown.items(), strict=False):
        for nth, (model, rows) in enumerate(part.groupby("model", sort=False)):
            own = rows.sort_values("group", key=_places, kind="stable")
            values = own["mean"], own["low"], own["high"]
            look = {"colour": PALETTE[nth], "label": model, "shift": 0.16 * nth, "length": 18}
            draw_dots(panel, own["group"], *values, **look)
        panel.set(title=f"by {name}", xlabel=label, xlim=(0, None))
        panel.locator_params(axis="x", nbins=5)
    for panel in axes[len(shown) :]:
        panel.set_axis_off()
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def plot_side_by_side(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw several measures of the same models, a panel each, models in one order."""
    figure, axes = new_figure(1, len(titles), height=0.3 * len(table) + 1.2, sharey=True)
    for panel, (column, title), colour in zip(axes, titles.items(), PALETTE, strict=False):
        values = table[column]
        draw_dots(panel, table.index, values, 0 * values, values, colour=colour)
        panel.set(title=title, xlim=(min(0, values.min() * 1.1), None))
        panel.locator_params(axis="x", nbins=5)
    return figure


def plot_protocol_gap(gap: pd.DataFrame, label: str) -> Figure:
    """Draw each model's rank under each split, with its value beside the point."""
    splits = list(gap["split"].unique())
    values = gap.pivot(index="model", columns="split", values="value")[splits]
    ranks = values.rank(ascending=False, method="first").sort_values(splits[0])
    figure, (axes,) = new_figure(height=0.42 * len(ranks) + 1.3)
    across = np.arange(len(splits))
    for (model, row), colour in zip(ranks.iterrows(), PALETTE * 2, strict=False):
        axes.plot(across, row, "o-", color=colour, linewidth=2)
        axes.annotate(str(model), (0, row.iloc[0]), (-10, 0), **_BESIDE, ha="right", color=colour)
        for place, split in zip(across, splits, strict=True):
            text = f"{values.loc[model, split]:.3f}"
            axes.annotate(text, (place, row[split]), (9, 6), **_BESIDE, fontsize=8, bbox=_PAPER)
    axes.set(title=f"Rank under each split (beside the point: {label})", xticks=across)
    users = gap.drop_duplicates("split")["users"]
    labels = [f"{split}\n{n:,} users" for split, n in zip(splits, users, strict=True)]
    axes.set(xticklabels=labels, xlim=(-0.55, len(splits) - 0.6), ylabel="rank")
    axes.set_yticks(np.arange(1, len(ranks) + 1))
    axes.set_ylim(len(ranks) + 0.5, 0.5)
    axes.grid(axis="x", visible=False)
    return figure


_BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center"}
_PAPER = {"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"}


def plot_audit(audit: pd.DataFrame, title: str) -> Figure:
    """Draw what the same lists score under each definition, ours in colour."""
    figure, (axes,) = new_figure(height=0.3 * len(audit) + 1.0)
    colours = np.where(audit["used_by"] == "ours", PALETTE[0], NEUTRAL)
    names, texts = audit["metric"] + ": " + audit["definition"], audit["value"].map("{:.3f}".format)
    draw_bars(axes, names, audit["value"], texts, color=colours)
    axes.set_yticks(range(len(names)), names)  # in full
    axes.set(title=title, xlabel="value", xlim=(0, audit["value"].max() * 1.12))
    axes.locator_params(axis="x", nbins=6)
    return figure


def plot_trade_off(points: pd.DataFrame, x: str, y: str, labels: Sequence[str]) -> Figure:
    """Draw two measures of each list, variants of one list joined; best is up and right.

    ``points`` has the columns ``family`` (the single models first, then one for each curve),
    ``name`` and the two measures; of a curve the ends are named.
    """
    figure, (axes,) = new_figure(height=4.2)
    for nth, (family, rows) in enumerate(points.groupby("family", sort=False)):
        style = {"color": PALETTE[nth], "marker": MARKERS[nth % len(MARKERS)], "label": family}
        axes.plot(rows[x], rows[y], linestyle="-" if nth else "none", **style)
    inside = points.duplicated("family") & points.duplicated("family", keep="last")
    named = points[~inside | (points["family"] == points["family"].iloc[0])].sort_values(y)
    heights = np.linspace(0.02, 0.98, len(named))
    for at, height, name in zip(named[[x, y]].to_numpy(), heights, named["name"], strict=True):
        axes.annotate(
            name, at, (1.03, height), textcoords="axes fraction", va="center", fontsize=8,
            arrowprops={"arrowstyle": "-", "color": NEUTRAL, "linewidth": 0.5, "relpos": (0, 0.5)},
        )  # fmt: skip
    axes.set(xlabel=labels[0], ylabel=labels[1], title="What one measure costs the other")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def plot_recommended(shown: pd.Series, shares: Mapping[str, np.ndarray]) -> Figure:
    """Draw the lists that hold each title (``shown``), and each model's spread over candidates."""
    figure, (bars, lorenz) = new_figure(1, 2, height=4.0, width_ratios=(1.25, 1))
    top = shown.head(15)
    draw_bars(bars, top.index, top)
    bars.tick_params(axis="y", labelsize=8)
    bars.set(title="Most recommended", xlabel="lists that show the item")
    draw_lorenz(lorenz, shares)
    lorenz.set(title="Who gets the places", xlabel="share of candidates, least shown first")
    lorenz.set_ylabel("share of places")
    lorenz.legend(fontsize=8)
    return figure


def plot_search(trials: pd.DataFrame, setting: str, label: str) -> Figure:
    """Draw the validation value of each trial over one hyperparameter."""
    figure, (axes,) = new_figure(height=2.6)
    rows = trials.sort_values(setting)
    axes.plot(rows[setting], rows["value"], "o-", color=PALETTE[0])
    axes.plot(trials[setting].iloc[0], trials["value"].iloc[0], "o", color=PALETTE[1], ms=10)
    if pd.api.types.is_numeric_dtype(rows[setting]) and rows[setting].min() > 0:
        axes.set_xscale("log")
    axes.set(title="Trials on the validation slice (best in colour)", xlabel=setting, ylabel=label)
    return figure


def _places(groups: pd.Series) -> pd.Series:
    return groups.map(lambda group: GROUPS.index(group) if group in GROUPS else len(GROUPS))
