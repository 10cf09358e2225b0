"""Pictures of conversion: scores with intervals, gain, profit, dependence, uplift."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from kpay_lab.plots.style import NEUTRAL, draw_bars, draw_dots, new_figure, shorten


def plot_scores(scores: pd.DataFrame, metrics: tuple[str, ...] = ("log loss", "PR-AUC")) -> Figure:
    """Draw each model's value and interval, a panel a metric; the dashed line is the base rate."""
    models = list(scores["model"].unique())
    fig, axes = new_figure(1, len(metrics), height=1.2 + 0.35 * len(models), sharey=True)
    for ax, metric in zip(axes, metrics, strict=True):
        rows = scores[scores["metric"] == metric].set_index("model").loc[models]
        base_rate = rows["value"].iloc[0]
        ax.axvline(base_rate, color=NEUTRAL, linestyle="--")
        draw_dots(ax, models, rows["value"], rows["low"], rows["high"])
        ax.set_title(metric)
    return fig


def plot_gain(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the share of purchases reached, and the lift, by share of rows contacted."""
    fig, (gain, lift) = new_figure(1, 2)
    gain.plot([0, 1], [0, 1], color=NEUTRAL, linestyle="--")
    lift.axhline(1, color=NEUTRAL, linestyle="--")
    for name, curve in curves.items():
        gain.plot([0, *curve["share"]], [0, *curve["gain"]], label=name)
        lift.plot(curve["share"], curve["lift"])
    gain.set(title="Gain", xlabel="share contacted", ylabel="share of purchases")
    lift.set(title="Lift", xlabel="share contacted", ylabel="times the base rate")
    gain.legend(fontsize=8)
    return fig


def plot_profit(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw profit by share contacted; the best share of each model is marked."""
    fig, (ax,) = new_figure()
    for name, curve in curves.items():
        (line,) = ax.plot(curve["share"], curve["profit"], label=name)
        best = curve.loc[curve["profit"].idxmax()]
        ax.plot(best["share"], best["profit"], "o", color=line.get_color())
    ax.axhline(0, color=NEUTRAL, linestyle="--")
    ax.set(title="Profit", xlabel="share contacted", ylabel="account currency")
    ax.legend()
    return fig


def plot_importances(importances: pd.DataFrame) -> Figure:
    """Draw the log loss that shuffling a feature adds, with two standard deviations."""
    top = importances.head(15)
    fig, (ax,) = new_figure(height=1 + 0.28 * len(top))
    draw_bars(ax, top["feature"], top["importance"], xerr=2 * top["sd"], ecolor=NEUTRAL)
    ax.set(title="Permutation importance", xlabel="log loss added")
    return fig


def plot_dependence(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the mean predicted probability along each feature, one panel a feature."""
    fig, axes = new_figure(1, len(curves), height=3.0, sharey=True)
    for ax, (feature, curve) in zip(axes, curves.items(), strict=True):
        ax.plot(curve["value"], curve["probability"])
        ax.set(title=shorten(feature), xlabel="value")
    axes[0].set_ylabel("mean probability")
    return fig


def plot_qini(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw purchases gained by treating the best share first; the grey lines treat at random."""
    fig, (ax,) = new_figure()
    for name, curve in curves.items():
        ax.plot(curve["share"], 1000 * curve["gain"], label=name)
        ax.plot(curve["share"], 1000 * curve["random"], color=NEUTRAL, linestyle="--")
    ax.set(title="Uplift", xlabel="share treated", ylabel="purchases gained per 1,000 rows")
    ax.legend()
    return fig
