"""Pictures of experiments: effects, power, peeking, regret, off-policy estimates."""

from collections.abc import Mapping
from dataclasses import astuple

import numpy as np
from matplotlib.figure import Figure

from kpay_lab.experiments.ab import Effect
from kpay_lab.experiments.bandits import BanditRun
from kpay_lab.experiments.ope import OffPolicy
from kpay_lab.experiments.sequential import AlwaysValid
from kpay_lab.plots.style import NEUTRAL, PALETTE, draw_dots, new_figure, shorten


def effects(found: tuple[Effect, ...], *, title: str = "", shared: bool = False) -> Figure:
    """Draw one interval an effect; a scale of its own for each, unless ``shared`` (segments)."""
    figure, axes = new_figure(len(found), 1, height=0.75 if len(found) > 1 else 1.2, sharex=shared)
    for axis, e in zip(axes, found, strict=True):
        colour = PALETTE[0] if e.low > 0 or e.high < 0 else NEUTRAL
        draw_dots(axis, [e.name], [e.difference], e.low, e.high, colour=colour)
        axis.axvline(0, color="black", linewidth=0.8)
    axes[0].set_title(title)
    axes[-1].set_xlabel("treatment − control, with its interval")
    return figure


def power_curve(n_units: np.ndarray, power: np.ndarray, *, needed: int, target: float) -> Figure:
    """Draw the power against the number of units, and the size at which the target is met."""
    figure, (axis,) = new_figure()
    axis.plot(n_units, power)
    axis.axhline(target, color=NEUTRAL, linestyle=":")
    axis.axvline(needed, color=PALETTE[1], linestyle="--", label=f"{needed:,} units")
    axis.set(xlabel="units, both arms", ylabel="power", ylim=(0, 1.02))
    axis.legend()
    return figure


def peeking(sequence: AlwaysValid) -> Figure:
    """Draw the always-valid interval against d ± 1.96 se, which is valid at a single look."""
    figure, (axis,) = new_figure()
    seen = np.isfinite(sequence.low)
    n = np.arange(1, len(seen) + 1)
    axis.fill_between(
        n[seen], sequence.low[seen], sequence.high[seen], alpha=0.25, label="always valid"
    )
    for z, label in ((-1.96, "valid at one look"), (1.96, None)):
        fixed = sequence.difference + z * sequence.se
        axis.plot(n[seen], fixed[seen], color=PALETTE[1], linestyle=":", label=label)
    axis.plot(n[seen], sequence.difference[seen], color=PALETTE[0], label="difference")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set(xlabel="units seen", ylabel="treatment − control")
    axis.legend()
    return figure


def regret(runs: Mapping[str, BanditRun]) -> Figure:
    """Draw regret and traffic on the best arm by step: means with intervals over seeds."""
    figure, axes = new_figure(1, 2)
    for name, run in runs.items():
        steps = np.unique(np.linspace(1, run.regret.shape[1], 400).astype(int))
        for axis, values in zip(axes, (run.regret, run.best_share), strict=True):
            mean, low, high = run.curve(values[:, steps - 1])
            axis.plot(steps, mean, label=name)
            axis.fill_between(steps, low, high, alpha=0.2)
    axes[0].set(xlabel="step", ylabel="cumulative regret")
    axes[1].set(xlabel="step", ylabel="share on the best arm", ylim=(0, 1))
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(runs))
    return figure


def off_policy(
    results: Mapping[str, OffPolicy], truth: Mapping[str, float] | None = None
) -> Figure:
    """Draw the four estimates a policy, DR first, DM without interval; ``truth`` is a line."""
    figure, axes = new_figure(1, len(results), height=2.4, sharey=True)
    for axis, (name, result) in zip(axes, results.items(), strict=True):
        names, values, _, low, high = zip(*map(astuple, result.estimates), strict=True)
        draw_dots(axis, names, values, low, high, colour=PALETTE[: len(names)])
        if truth and name in truth:
            axis.axvline(truth[name], color="black", linestyle="--", linewidth=1)
        axis.set_title(f"{shorten(name)} (counts as {result.ess:,.0f} rows)")
        axis.set_xlabel("value of the policy")
    return figure
