"""Pictures of policies and of the feedback loop that a recommender starts."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_bars, draw_dots, new_figure, shorten

TITLES = {
    "satisfaction": "true interest in what is shown",
    "revenue": "revenue a user, net",
    "coverage": "share of the catalogue shown",
    "gini": "concentration (Gini)",
    "diversity": "pairs in a list that differ",
}


def plot_three_ways(values: pd.DataFrame, running: float) -> Figure:
    """Draw each policy's value by estimate, test and truth (a dashed line).

    ``values`` is that of `kpay_lab.world.policies.three_ways`; ``running`` is the value of
    the policy that wrote the log, a dotted line.
    """
    policies = list(values["policy"].unique())
    fig, axes = new_figure(1, len(policies), height=2.7, sharey=True, sharex=True)
    for ax, policy in zip(axes, policies, strict=True):
        by_way = values[values["policy"] == policy].set_index("way")
        measured = by_way.drop(index="truth")
        low = measured["low"]
        high = measured["high"]
        colours = PALETTE[: len(measured)]
        draw_dots(ax, measured.index, measured["value"], low, high, colour=colours)
        ax.axvline(running, color=NEUTRAL, linestyle=":", linewidth=1.5, label="now running")
        truth = by_way.loc["truth", "value"]
        ax.axvline(truth, color="black", linestyle="--", linewidth=1, label="truth")
        ax.set_title(shorten(policy, 16))
    fig.supxlabel("clicks a slot", fontsize=10)
    handles, labels = axes[-1].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper right", ncols=2)
    return fig


def plot_rounds(
    curves: pd.DataFrame, measures: tuple[str, ...], best: float | None = None
) -> Figure:
    """Draw each measure by round, one line a strategy: mean and range over runs.

    ``best`` is the satisfaction that no list can beat, a dashed line.
    """
    n_rows = (len(measures) + 1) // 2
    fig, axes = new_figure(n_rows, 2, height=2.5, sharex=True)
    for ax, measure in zip(axes, measures, strict=False):
        _draw_strategies(ax, curves, measure)
        if measure == "satisfaction" and best is not None:
            ax.axhline(best, color="black", linestyle="--", linewidth=1)
        ax.set_title(TITLES.get(measure, measure), fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    for ax in axes[len(measures) :]:  # an odd number of measures leaves room for the legend
        ax.axis("off")
        ax.legend(handles, labels, loc="center", frameon=False)
    if len(axes) == len(measures):
        fig.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    first_of_last_two = max(len(measures) - 2, 0)
    for ax in axes[first_of_last_two : len(measures)]:
        ax.set_xlabel("round")
        ax.tick_params(labelbottom=True)
    return fig


def _draw_strategies(ax: Axes, curves: pd.DataFrame, measure: str) -> None:
    for number, (strategy, rows) in enumerate(curves.groupby("strategy", sort=False)):
        by_round = rows.groupby("round")[measure]
        lowest = by_round.min()
        highest = by_round.max()
        colour = PALETTE[number % len(PALETTE)]
        ax.plot(by_round.mean(), color=colour, label=strategy)
        ax.fill_between(lowest.index, lowest, highest, color=colour, alpha=0.15, linewidth=0)


def plot_rejections(shares: Mapping[str, float]) -> Figure:
    """Draw the shares of A/A tests that reject, against the 5 % that they promise."""
    fig, (ax,) = new_figure(height=0.5 + 0.35 * len(shares))
    values = list(shares.values())
    labels = [f"{share:.1%}" for share in values]
    draw_bars(ax, shares, values, labels)
    ax.axvline(0.05, color="black", linestyle="--", linewidth=1)
    ax.set(xlabel="A/A tests that reject", xlim=(0, 1.15 * max(*values, 0.05)))
    return fig
