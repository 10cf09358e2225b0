"""Pictures of a comparison of recommenders."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_bars, draw_dots, draw_lorenz, new_figure

MARKERS = "os^Dv"
GROUPS = ("cold", "low", "middle", "high", "under 18")  # the order of labels that have one
BOX = {"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"}
THIN_LINE = {"arrowstyle": "-", "color": NEUTRAL, "linewidth": 0.5, "relpos": (0, 0.5)}


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


def plot_segments(breakdowns: Mapping[str, pd.DataFrame], label: str) -> Figure:
    """Draw each table of `breakdown` as a panel; hidden groups are left out."""
    visible = {name: table.dropna(subset="mean") for name, table in breakdowns.items()}
    n_groups = [max(table["group"].nunique(), 2) for table in visible.values()]
    heights = []
    for first in range(0, len(n_groups), 2):
        most_groups = max(n_groups[first : first + 2])
        heights.append(0.3 * most_groups + 1.1)
    n_rows = len(heights)
    mean_height = sum(heights) / n_rows
    fig, axes = new_figure(n_rows, 2, height=mean_height, height_ratios=heights)
    for ax, (name, table) in zip(axes, visible.items(), strict=False):
        _draw_groups(ax, table)
        ax.set(title=f"by {name}", xlabel=label, xlim=(0, None))
        ax.locator_params(axis="x", nbins=5)
    for ax in axes[len(visible) :]:
        ax.set_axis_off()
    handles, models = axes[0].get_legend_handles_labels()
    fig.legend(handles, models, loc="outside lower center", ncols=3)
    return fig


def _draw_groups(ax: Axes, table: pd.DataFrame) -> None:
    """Draw each model's interval in each group, models below each other."""
    for number, (model, rows) in enumerate(table.groupby("model", sort=False)):
        ordered = rows.sort_values("group", key=_group_order, kind="stable")
        draw_dots(
            ax,
            ordered["group"],
            ordered["mean"],
            ordered["low"],
            ordered["high"],
            colour=PALETTE[number],
            label=model,
            shift=0.16 * number,
            length=18,
        )


def _group_order(groups: pd.Series) -> pd.Series:
    positions = {group: position for position, group in enumerate(GROUPS)}
    return groups.map(lambda group: positions.get(group, len(GROUPS)))


def plot_side_by_side(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw several measures of the same models, a panel each, models in one order."""
    fig, axes = new_figure(1, len(titles), height=0.3 * len(table) + 1.2, sharey=True)
    for ax, (column, title), colour in zip(axes, titles.items(), PALETTE, strict=False):
        values = table[column]
        zeros = 0 * values
        draw_dots(ax, table.index, values, zeros, values, colour=colour)
        left = min(0, values.min() * 1.1)
        ax.set(title=title, xlim=(left, None))
        ax.locator_params(axis="x", nbins=5)
    return fig


def plot_protocol_gap(gap: pd.DataFrame, label: str) -> Figure:
    """Draw each model's rank under each split, with its value beside the point."""
    splits = list(gap["split"].unique())
    values = gap.pivot(index="model", columns="split", values="value")[splits]
    ranks = values.rank(ascending=False, method="first").sort_values(splits[0])
    fig, (ax,) = new_figure(height=0.42 * len(ranks) + 1.3)
    for model, colour in zip(ranks.index, PALETTE * 2, strict=False):
        _draw_ranks(ax, str(model), ranks.loc[model], values.loc[model], colour)
    x = np.arange(len(splits))
    users = gap.drop_duplicates("split")["users"]
    labels = [f"{split}\n{n:,} users" for split, n in zip(splits, users, strict=True)]
    ax.set_xticks(x, labels)
    ax.set(xlim=(-0.55, len(splits) - 0.6), ylabel="rank")
    ax.set_title(f"Rank under each split (beside the point: {label})")
    ax.set_yticks(np.arange(1, len(ranks) + 1))
    ax.set_ylim(len(ranks) + 0.5, 0.5)
    ax.grid(axis="x", visible=False)
    return fig


def _draw_ranks(ax: Axes, model: str, ranks: pd.Series, values: pd.Series, colour: str) -> None:
    """Draw a model's line over the splits, its name before and its values along it."""
    beside = {"textcoords": "offset points", "va": "center"}
    positions = np.arange(len(ranks))
    ax.plot(positions, ranks, "o-", color=colour, linewidth=2)
    ax.annotate(model, (0, ranks.iloc[0]), (-10, 0), ha="right", color=colour, **beside)
    for position, (rank, value) in enumerate(zip(ranks, values, strict=True)):
        ax.annotate(f"{value:.3f}", (position, rank), (9, 6), fontsize=8, bbox=BOX, **beside)


def plot_audit(audit: pd.DataFrame, title: str) -> Figure:
    """Draw what the same lists score under each definition, ours in colour."""
    fig, (ax,) = new_figure(height=0.3 * len(audit) + 1.0)
    colours = np.where(audit["used_by"] == "ours", PALETTE[0], NEUTRAL)
    names = audit["metric"] + ": " + audit["definition"]
    texts = audit["value"].map("{:.3f}".format)
    draw_bars(ax, names, audit["value"], texts, color=colours)
    ax.set_yticks(range(len(names)), names)  # in full
    ax.set(title=title, xlabel="value", xlim=(0, audit["value"].max() * 1.12))
    ax.locator_params(axis="x", nbins=6)
    return fig


def plot_trade_off(points: pd.DataFrame, x: str, y: str, labels: Sequence[str]) -> Figure:
    """Draw two measures of each list, variants of one list joined; best is up and right.

    ``points`` has the columns ``family`` (the single models first, then one for each curve),
    ``name`` and the two measures; of a curve the ends are named.
    """
    fig, (ax,) = new_figure(height=4.2)
    for number, (family, rows) in enumerate(points.groupby("family", sort=False)):
        marker = MARKERS[number % len(MARKERS)]
        line = "-" if number else "none"
        style = {"color": PALETTE[number], "marker": marker, "linestyle": line}
        ax.plot(rows[x], rows[y], label=family, **style)
    named = _named_points(points).sort_values(y)
    heights = np.linspace(0.02, 0.98, len(named))
    for point, height in zip(named.itertuples(), heights, strict=True):
        ax.annotate(
            point.name,
            (getattr(point, x), getattr(point, y)),
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            arrowprops=THIN_LINE,
        )
    ax.set(xlabel=labels[0], ylabel=labels[1], title="What one measure costs the other")
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def _named_points(points: pd.DataFrame) -> pd.DataFrame:
    """Return the single models and the two ends of each curve."""
    after_first = points.duplicated("family")
    before_last = points.duplicated("family", keep="last")
    single = points["family"] == points["family"].iloc[0]
    return points[single | ~(after_first & before_last)]


def plot_recommended(n_lists: pd.Series, shares: Mapping[str, np.ndarray]) -> Figure:
    """Draw the titles in most lists, and how evenly each model spreads over the candidates.

    ``n_lists`` counts the lists that hold each title, the most frequent first.
    """
    fig, (bars, lorenz) = new_figure(1, 2, height=4.0, width_ratios=(1.25, 1))
    top = n_lists.head(15)
    draw_bars(bars, top.index, top)
    bars.tick_params(axis="y", labelsize=8)
    bars.set(title="Most recommended", xlabel="lists that show the item")
    draw_lorenz(lorenz, shares)
    lorenz.set(title="Who gets the places", xlabel="share of candidates, least shown first")
    lorenz.set_ylabel("share of places")
    lorenz.legend(fontsize=8)
    return fig


def plot_search(trials: pd.DataFrame, setting: str, label: str) -> Figure:
    """Draw the validation value of each trial over one hyperparameter; row 0 is the best trial."""
    fig, (ax,) = new_figure(height=2.6)
    rows = trials.sort_values(setting)
    ax.plot(rows[setting], rows["value"], "o-", color=PALETTE[0])
    best = trials.iloc[0]
    ax.plot(best[setting], best["value"], "o", color=PALETTE[1], ms=10)
    if pd.api.types.is_numeric_dtype(rows[setting]) and rows[setting].min() > 0:
        ax.set_xscale("log")
    ax.set(title="Trials on the validation slice (best in colour)", xlabel=setting, ylabel=label)
    return fig
