"""Pictures of experiments: effects, power, confidence sequences, regret, off-policy estimates."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kpay_lab.experiments.bandits import BanditRun
from kpay_lab.experiments.ope import OffPolicy
from kpay_lab.experiments.sequential import ConfidenceSequence
from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_dots, new_figure, shorten


def plot_effects(effects: pd.DataFrame, *, title: str = "", shared: bool = False) -> Figure:
    """Draw the interval of each effect; blue ones leave out zero.

    ``effects`` has difference, low and high, a row a name (index). Each effect has a scale of
    its own, unless ``shared`` (segments of one metric).
    """
    height = 0.75 if len(effects) > 1 else 1.2
    fig, axes = new_figure(len(effects), 1, height=height, sharex=shared)
    for ax, (name, effect) in zip(axes, effects.iterrows(), strict=True):
        excludes_zero = effect["low"] > 0 or effect["high"] < 0
        colour = PALETTE[0] if excludes_zero else NEUTRAL
        difference = [effect["difference"]]
        draw_dots(ax, [name], difference, effect["low"], effect["high"], colour=colour)
        ax.axvline(0, color="black", linewidth=0.8)
    axes[0].set_title(title)
    axes[-1].set_xlabel("treatment − control, with its interval")
    return fig


def plot_power(n_units: np.ndarray, power: np.ndarray, *, needed: int, target: float) -> Figure:
    """Draw the power against the number of units, and the size at which the target is met."""
    fig, (ax,) = new_figure()
    ax.plot(n_units, power)
    ax.axhline(target, color=NEUTRAL, linestyle=":")
    ax.axvline(needed, color=PALETTE[1], linestyle="--", label=f"{needed:,} units")
    ax.set(xlabel="units, both arms", ylabel="power", ylim=(0, 1.02))
    ax.legend()
    return fig


def plot_confidence_sequence(sequence: ConfidenceSequence) -> Figure:
    """Draw the always-valid interval against d ± 1.96 se, which is valid at a single look."""
    fig, (ax,) = new_figure()
    looked = np.isfinite(sequence.low)
    n = np.flatnonzero(looked) + 1
    low = sequence.low[looked]
    high = sequence.high[looked]
    difference = sequence.difference[looked]
    margin = 1.96 * sequence.se[looked]
    ax.fill_between(n, low, high, alpha=0.25, label="always valid")
    fixed = {"color": PALETTE[1], "linestyle": ":"}
    ax.plot(n, difference - margin, label="valid at one look", **fixed)
    ax.plot(n, difference + margin, **fixed)
    ax.plot(n, difference, color=PALETTE[0], label="difference")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xlabel="units seen", ylabel="treatment − control")
    ax.legend()
    return fig


def plot_regret(runs: Mapping[str, BanditRun]) -> Figure:
    """Draw regret and traffic on the best arm by step: means with intervals over seeds."""
    fig, (regret, traffic) = new_figure(1, 2)
    for name, run in runs.items():
        _draw_curve(regret, run, run.regret, name)
        _draw_curve(traffic, run, run.best_share, name)
    regret.set(xlabel="step", ylabel="cumulative regret")
    traffic.set(xlabel="step", ylabel="share on the best arm", ylim=(0, 1))
    handles, labels = regret.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=len(runs))
    return fig


def _draw_curve(ax: Axes, run: BanditRun, values: np.ndarray, label: str) -> None:
    """Draw mean and interval at 400 of the steps at most."""
    n_steps = values.shape[1]
    steps = np.unique(np.linspace(1, n_steps, 400).astype(int))
    mean, low, high = run.curve(values[:, steps - 1])
    ax.plot(steps, mean, label=label)
    ax.fill_between(steps, low, high, alpha=0.2)


def plot_off_policy(
    results: Mapping[str, OffPolicy], truth: Mapping[str, float] | None = None
) -> Figure:
    """Draw each policy's four estimates, DR first, DM without interval; ``truth`` is a line."""
    fig, axes = new_figure(1, len(results), height=2.4, sharey=True)
    for ax, (name, result) in zip(axes, results.items(), strict=True):
        found = result.estimates
        colours = PALETTE[: len(found)]
        draw_dots(ax, found.index, found["value"], found["low"], found["high"], colour=colours)
        if truth and name in truth:
            ax.axvline(truth[name], color="black", linestyle="--", linewidth=1)
        ax.set_title(f"{shorten(name)} (counts as {result.ess:,.0f} rows)")
        ax.set_xlabel("value of the policy")
    return fig
