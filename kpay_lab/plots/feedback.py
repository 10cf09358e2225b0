"""Pictures of policies and of the loop they start: three ways to a value, coverage, rounds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kpay_lab.plots.style import NEUTRAL, PALETTE, new_figure, shorten

WORDS = {
    "satisfaction": "true interest in what is shown",
    "revenue": "revenue a user, net",
    "coverage": "share of the catalogue shown",
    "gini": "concentration (Gini)",
    "diversity": "pairs in a list that differ",
}


def three_ways(found: pd.DataFrame, running: float) -> Figure:
    """Draw each policy's value by estimate, test and truth (a dashed line).

    ``found`` is that of `kpay_lab.evaluate.policies.three_ways`; ``running`` is the value of
    the policy that wrote the log, a dotted line.
    """
    names = list(found["policy"].unique())
    ways = [way for way in found["way"].unique() if way != "truth"]
    figure, axes = new_figure(1, len(names), height=2.7, sharey=True, sharex=True)
    for axis, name in zip(axes, names, strict=True):
        mine = found[found["policy"] == name].set_index("way")
        for row, way in enumerate(ways):
            low, high = mine.loc[way, ["low", "high"]]
            axis.plot([low, high], [row, row], color=PALETTE[row], linewidth=2.5)
            axis.plot(mine.loc[way, "value"], row, "o", color=PALETTE[row])
        axis.axvline(running, color=NEUTRAL, linestyle=":", linewidth=1.5, label="now running")
        truth = mine.loc["truth", "value"]
        axis.axvline(truth, color="black", linestyle="--", linewidth=1, label="truth")
        axis.set_yticks(range(len(ways)), ways)
        axis.set_title(shorten(name, 16))
    axes[0].invert_yaxis()
    figure.supxlabel("clicks a slot", fontsize=10)
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def coverage(found: pd.DataFrame, level: float = 0.95) -> Figure:
    """Draw how often each method's interval held the truth, one row a policy."""
    policies, methods = found["policy"].unique(), found["method"].unique()
    figure, (axis,) = new_figure(height=0.6 + 0.6 * len(policies))
    for number, method in enumerate(methods):
        mine = found[found["method"] == method]
        y = np.arange(len(policies)) + 0.2 * (number - (len(methods) - 1) / 2)
        axis.hlines(y, mine["low"], mine["high"], color=PALETTE[number], linewidth=2)
        axis.plot(mine["coverage"], y, "o", color=PALETTE[number], label=method)
    axis.axvline(level, color="black", linestyle="--", linewidth=1)
    axis.set_yticks(range(len(policies)), [shorten(name) for name in policies])
    axis.set(xlabel="share of repetitions whose interval holds the truth")
    axis.invert_yaxis()
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


def rejections(shares: Mapping[str, float], nominal: float = 0.05) -> Figure:
    """Draw how often tests of nothing reject, against what they promise."""
    figure, (axis,) = new_figure(height=0.5 + 0.35 * len(shares))
    bars = axis.barh([shorten(name, 40) for name in shares], list(shares.values()))
    axis.bar_label(bars, fmt="{:.1%}", padding=3)
    axis.axvline(nominal, color="black", linestyle="--", linewidth=1)
    axis.set(xlabel="A/A tests that reject", xlim=(0, 1.15 * max(*shares.values(), nominal)))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    return figure
