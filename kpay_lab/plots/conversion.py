"""Pictures of conversion: scores with intervals, gain, profit, dependence, uplift."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from kpay_lab.plots.style import NEUTRAL, draw_bars, draw_dots, new_figure, shorten


def plot_scores(scores: pd.DataFrame, metrics: tuple[str, ...] = ("log loss", "PR-AUC")) -> Figure:
    """Draw each model's value and interval, a panel a metric; the dashed line is the base rate."""
    models = list(scores["model"].unique())
    figure, panels = new_figure(1, len(metrics), height=1.2 + 0.35 * len(models), sharey=True)
    for axes, metric in zip(panels, metrics, strict=True):
        own = scores[scores["metric"] == metric].set_index("model").loc[models]
        axes.axvline(own["value"].iloc[0], color=NEUTRAL, linestyle="--")
        draw_dots(axes, models, own["value"], own["low"], own["high"])
        axes.set_title(metric)
    return figure


def plot_gain(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the share of purchases reached, and the lift, by share of rows contacted."""
    figure, (left, right) = new_figure(1, 2)
    left.plot([0, 1], [0, 1], color=NEUTRAL, linestyle="--")
    right.axhline(1, color=NEUTRAL, linestyle="--")
    for name, curve in curves.items():
        left.plot([0, *curve["share"]], [0, *curve["gain"]], label=name)
        right.plot(curve["share"], curve["lift"])
    left.set(title="Gain", xlabel="share contacted", ylabel="share of purchases")
    right.set(title="Lift", xlabel="share contacted", ylabel="times the base rate")
    left.legend(fontsize=8)
    return figure


def plot_profit(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw profit by share contacted; the best share of each model is marked."""
    figure, (axes,) = new_figure()
    for name, curve in curves.items():
        (line,) = axes.plot(curve["share"], curve["profit"], label=name)
        best = curve.loc[curve["profit"].idxmax()]
        axes.plot(best["share"], best["profit"], "o", color=line.get_color())
    axes.axhline(0, color=NEUTRAL, linestyle="--")
    axes.set(title="Profit", xlabel="share contacted", ylabel="account currency")
    axes.legend()
    return figure


def plot_importances(table: pd.DataFrame) -> Figure:
    """Draw the log loss that shuffling a feature adds, with two standard deviations."""
    top = table.head(15)
    figure, (axes,) = new_figure(height=1 + 0.28 * len(top))
    draw_bars(axes, top["feature"], top["importance"], xerr=2 * top["sd"], ecolor=NEUTRAL)
    axes.set(title="Permutation importance", xlabel="log loss added")
    return figure


def plot_dependence(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the mean predicted probability along each feature, one panel a feature."""
    figure, panels = new_figure(1, len(curves), height=3.0, sharey=True)
    for axes, (name, curve) in zip(panels, curves.items(), strict=True):
        axes.plot(curve["value"], curve["probability"])
        axes.set(title=shorten(name), xlabel="value")
    panels[0].set_ylabel("mean probability")
    return figure


def plot_qini(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw purchases gained by treating the best share first; the grey lines treat at random."""
    figure, (axes,) = new_figure()
    for name, curve in curves.items():
        axes.plot(curve["share"], 1000 * curve["gain"], label=name)
        axes.plot(curve["share"], 1000 * curve["random"], color=NEUTRAL, linestyle="--")
    axes.set(title="Uplift", xlabel="share treated", ylabel="purchases gained per 1,000 rows")
    axes.legend()
    return figure
