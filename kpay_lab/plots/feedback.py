"""Pictures of policies and of the loop they start: three ways to a value, coverage, rounds."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_bars, draw_dots, new_figure, shorten

WORDS = {
    "satisfaction": "true interest in what is shown",
    "revenue": "revenue a user, net",
    "coverage": "share of the catalogue shown",
    "gini": "concentration (Gini)",
    "diversity": "pairs in a list that differ",
}


def three_ways(found: pd.DataFrame, running: float) -> Figure:
    """Draw each policy's value by estimate, test and truth (a dashed line).

    ``found`` is that of `kpay_lab.world.policies.three_ways`; ``running`` is the value of
    the policy that wrote the log, a dotted line.
    """
    names = list(found["policy"].unique())
    figure, axes = new_figure(1, len(names), height=2.7, sharey=True, sharex=True)
    for axis, name in zip(axes, names, strict=True):
        mine = found[found["policy"] == name].set_index("way")
        ways = mine.drop(index="truth")
        colours = PALETTE[: len(ways)]
        draw_dots(axis, ways.index, ways["value"], ways["low"], ways["high"], colour=colours)
        axis.axvline(running, color=NEUTRAL, linestyle=":", linewidth=1.5, label="now running")
        truth = mine.loc["truth", "value"]
        axis.axvline(truth, color="black", linestyle="--", linewidth=1, label="truth")
        axis.set_title(shorten(name, 16))
    figure.supxlabel("clicks a slot", fontsize=10)
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def coverage(found: pd.DataFrame, level: float = 0.95) -> Figure:
    """Draw how often each method's interval held the truth, one row a policy."""
    policies, methods = found["policy"].unique(), found["method"].unique()
    figure, (axis,) = new_figure(height=0.6 + 0.6 * len(policies))
    for number, method in enumerate(methods):
        mine = found[found["method"] == method]
        values = mine["coverage"], mine["low"], mine["high"]
        look = {"colour": PALETTE[number], "label": method}
        draw_dots(axis, policies, *values, shift=0.2 * (number - (len(methods) - 1) / 2), **look)
    axis.axvline(level, color="black", linestyle="--", linewidth=1)
    axis.set(xlabel="share of repetitions whose interval holds the truth")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right upper")
    return figure


def rounds(curves: pd.DataFrame, measures: tuple[str, ...], best: float | None = None) -> Figure:
    """Draw each measure by round, one line a strategy: mean and range over runs.

    ``best`` is the satisfaction that no list can beat, a dashed line.
    """
    figure, axes = new_figure((len(measures) + 1) // 2, 2, height=2.5, sharex=True)
    for axis, measure in zip(axes, measures, strict=False):
        for number, (name, mine) in enumerate(curves.groupby("strategy", sort=False)):
            by_round = mine.groupby("round")[measure]
            colour = PALETTE[number % len(PALETTE)]
            axis.plot(by_round.mean(), color=colour, label=name)
            band = by_round.min(), by_round.max()
            axis.fill_between(band[0].index, *band, color=colour, alpha=0.15, linewidth=0)
        if measure == "satisfaction" and best is not None:
            axis.axhline(best, color="black", linestyle="--", linewidth=1)
        axis.set_title(WORDS.get(measure, measure), fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    for axis in axes[len(measures) :]:
        axis.axis("off")
        axis.legend(handles, labels, loc="center", frameon=False)
    if len(axes) == len(measures):
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    for axis in axes[max(len(measures) - 2, 0) : len(measures)]:
        axis.set_xlabel("round")
        axis.tick_params(labelbottom=True)
    return figure


def rejections(shares: Mapping[str, float]) -> Figure:
    """Draw how often tests of nothing reject, against the 5 % they promise."""
    figure, (axis,) = new_figure(height=0.5 + 0.35 * len(shares))
    draw_bars(axis, shares, list(shares.values()), [f"{share:.1%}" for share in shares.values()])
    axis.axvline(0.05, color="black", linestyle="--", linewidth=1)
    axis.set(xlabel="A/A tests that reject", xlim=(0, 1.15 * max(*shares.values(), 0.05)))
    return figure
