"""Curves: one quantity along another, with bands where it is uncertain."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kpay_lab.plots.style import (
    BLUE,
    GUIDE,
    NEUTRAL,
    ORANGE,
    add_legend,
    axes_or_new,
    new_figure,
    shorten,
)


def plot_curves(
    curves: Mapping[str, pd.DataFrame],
    x: str,
    y: str,
    *,
    ax: Axes | None = None,
    band: bool = False,
    marker: str = "",
    legend: bool = True,
    **settings: Any,
) -> Axes:
    """Draw the column ``y`` along the column ``x``, one curve a table.

    Parameters
    ----------
    curves : mapping
        Name → table. The names make a legend, unless there is but one or ``legend`` is off.
    band : bool
        Shade from the column ``low`` to the column ``high``.
    marker : str
        Matplotlib's sign for the points; none by default.
    **settings
        Go to `Axes.set`: title, xlabel, xscale, ...
    """
    ax = axes_or_new(ax)
    for name, curve in curves.items():
        (line,) = ax.plot(curve[x], curve[y], marker=marker, markersize=4, label=name)
        if band:
            shade = {"color": line.get_color(), "alpha": 0.18, "linewidth": 0}
            ax.fill_between(curve[x], curve["low"], curve["high"], **shade)
    if legend and len(curves) > 1:
        ax.legend()
    ax.set(**settings)
    return ax


def plot_curve_panels(
    table: pd.DataFrame, x: str, titles: Mapping[str, str], *, by: str, height: float = 2.5
) -> Figure:
    """Draw each measure as a panel of a new figure: its mean and its range along ``x``.

    Parameters
    ----------
    table : DataFrame
        One row a run, a group ``by`` and a place ``x``, with the measures as columns.
    titles : mapping
        Column of a measure → title of its panel.
    """
    n_rows = (len(titles) + 1) // 2
    fig, axes = new_figure(n_rows, 2, height=height, sharex=True)
    for ax, (measure, title) in zip(axes, titles.items(), strict=False):
        over_runs = table.groupby([by, x], sort=False)[measure]
        spread = over_runs.agg(mean="mean", low="min", high="max").reset_index()
        curves = dict(list(spread.groupby(by, sort=False)))
        plot_curves(curves, x, "mean", ax=ax, band=True, legend=False)
        ax.set_title(title, fontsize=10)
    first_of_last_two = max(len(titles) - 2, 0)
    for ax in axes[first_of_last_two : len(titles)]:
        ax.set_xlabel(x)
        ax.tick_params(labelbottom=True)
    for ax in axes[len(titles) :]:  # an odd number of measures leaves room for the legend
        ax.axis("off")
        handles, labels = axes[0].get_legend_handles_labels()
        ax.legend(handles, labels, loc="center", frameon=False)
    if len(axes) == len(titles):
        add_legend(fig)
    return fig


def plot_calibration(
    curves: Mapping[str, pd.DataFrame], *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw observed against predicted shares, one curve a model; the diagonal is right.

    Each table has the columns ``predicted, observed``.
    """
    ax = axes_or_new(ax, height=4.2, width=5.5)
    top = 0.0
    for curve in curves.values():
        largest = curve[["predicted", "observed"]].max(axis=None)
        top = max(top, largest)
    ax.plot([0, top], [0, top], **GUIDE)
    labels = {"title": "Calibration", "xlabel": "predicted probability", "ylabel": "observed share"}
    plot_curves(curves, "predicted", "observed", ax=ax, marker="o", **labels | settings)
    ax.legend()  # the name of a single model, too
    return ax


def plot_qini(
    curves: Mapping[str, pd.DataFrame], *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw purchases gained by treating the best share first; the grey lines treat at random.

    Each table has the columns ``share, gain, random``, the last two per row.
    """
    ax = axes_or_new(ax)
    for name, curve in curves.items():
        share = curve["share"]
        ax.plot(share, 1000 * curve["gain"], label=name)
        ax.plot(share, 1000 * curve["random"], **GUIDE)
    ax.set(title="Uplift", xlabel="share treated", ylabel="purchases gained per 1,000 rows")
    ax.set(**settings)
    ax.legend()
    return ax


def plot_days(by_day: pd.Series, *, ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw one value a day; the index holds the days, in order."""
    ax = axes_or_new(ax, height=2.6)
    marker = "o" if len(by_day) == 1 else None
    ax.plot(by_day.index, by_day.to_numpy(), color=BLUE, marker=marker)
    half_a_day = pd.Timedelta(hours=12)  # so that a single day has a width, too
    start = by_day.index[0] - half_a_day
    end = by_day.index[-1] + half_a_day
    ax.set(xlim=(start, end), ylim=(0, None))
    locator = AutoDateLocator(maxticks=9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set(**settings)
    return ax


def plot_survival(
    curves: Mapping[str, pd.DataFrame], *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw the share that stays longer than a time, one curve of steps a group.

    Parameters
    ----------
    curves : mapping
        Group → its ``time`` in seconds, ``stays``, and the ends ``low, high`` of its interval.
    """
    ax = axes_or_new(ax)
    for name, curve in curves.items():
        label = shorten(name).replace("_", " ")
        (line,) = ax.step(curve["time"], curve["stays"], where="post", label=label)
        shade = {"color": line.get_color(), "alpha": 0.15, "linewidth": 0}
        ax.fill_between(curve["time"], curve["low"], curve["high"], step="post", **shade)
    ax.set_xscale("log")
    last = max(curve["time"].max() for curve in curves.values())
    ticks = [1, 10, 60, 300, 1800, 7200]
    ticks = [tick for tick in ticks if tick <= max(last, 60)]
    ax.set_xticks(ticks, [_span(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(xlim=(1, None), ylim=(0, 1.02), xlabel="time since entry", ylabel="share still there")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set(**settings)
    if len(curves) > 1:
        ax.legend()
    return ax


def _span(seconds: int) -> str:
    """Write a whole number of seconds, minutes or hours.

    >>> _span(10), _span(300), _span(7200)
    ('10 s', '5 min', '2 h')
    """
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"


def plot_timeline_panels(
    panels: Mapping[str, pd.DataFrame],
    *,
    marks: Iterable[float] = (),
    mark: str = "",
    height: float = 1.7,
    xlabel: str = "",
) -> Figure:
    """Draw tables below each other along one time, one curve a column; gaps stay gaps.

    Parameters
    ----------
    panels : mapping
        Title → its table, whose index is the time. A column without any value is left out.
    marks : iterable of float
        Times at which something happened: a line in every panel, called ``mark`` in a legend.
    """
    fig, axes = new_figure(len(panels), height=height, sharex=True)
    for ax, (title, table) in zip(axes, panels.items(), strict=True):
        for number, moment in enumerate(marks):
            ax.axvline(moment, label=mark if number == 0 else None, **GUIDE)
        drawn = table.dropna(axis=1, how="all")
        for column in drawn:
            ax.step(drawn.index, drawn[column], where="post", label=str(column))
        ax.set_title(title, fontsize=10)
        ax.set_ylim(0, None)
        ax.margins(x=0.01)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        handles, labels = ax.get_legend_handles_labels()
        if len(labels) > 1:
            place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "frameon": False}
            ax.legend(handles, labels, fontsize=9, **place)
    axes[-1].set_xlabel(xlabel)
    return fig


def plot_power(
    curve: pd.DataFrame, *, needed: int, target: float, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw ``power`` by the number of ``units``, and the size ``needed`` to reach the target."""
    ax = plot_curves({"power": curve}, "units", "power", ax=ax)
    ax.axhline(target, color=NEUTRAL, linestyle=":")
    ax.axvline(needed, color=ORANGE, linestyle="--", label=f"{needed:,} units")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[1:], labels[1:], loc="lower right")  # the curve itself is named by the axis
    ax.set(xlabel="units, both arms", ylabel="power", ylim=(0, 1.02))
    ax.set(**settings)
    return ax


def plot_search(
    trials: pd.DataFrame, setting: str, *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw the ``value`` of each trial over one hyperparameter; row 0 is the best trial."""
    ordered = trials.sort_values(setting)
    ax = axes_or_new(ax, height=2.6)
    plot_curves({"trials": ordered}, setting, "value", ax=ax, marker="o", xlabel=setting)
    best = trials.iloc[0]
    ax.plot(best[setting], best["value"], "o", color=ORANGE, markersize=10)
    is_number = pd.api.types.is_numeric_dtype(ordered[setting])
    if is_number and ordered[setting].min() > 0:
        ax.set_xscale("log")
    ax.set(title="Trials on the validation slice (best in colour)")
    ax.set(**settings)
    return ax
