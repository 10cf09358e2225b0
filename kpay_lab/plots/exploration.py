"""Pictures of a log: long tail, rhythm, missing values, and what each group watches."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kpay_lab.data.describe import LongTail, Rhythm
from kpay_lab.plots.style import (
    GRID,
    NEUTRAL,
    PALETTE,
    draw_bars,
    draw_heat,
    draw_lorenz,
    new_figure,
)


def plot_long_tail(items: LongTail, users: LongTail) -> Figure:
    """Draw rank against events on log scales, and the Lorenz curves, of items and users."""
    fig, (ranks, lorenz) = new_figure(1, 2)
    tails = {"items": items, "users": users}
    for colour, (name, tail) in zip(PALETTE, tails.items(), strict=False):
        positive = tail.counts[tail.counts > 0]
        rank = np.arange(1, len(positive) + 1)
        ranks.loglog(rank, positive, color=colour, label=name)
    counts = {f"{name}: Gini {tail.gini:.2f}": tail.counts for name, tail in tails.items()}
    draw_lorenz(lorenz, counts)
    ranks.set(title="Events by rank", xlabel="rank", ylabel="events")
    lorenz.set(title="Who holds the events", xlabel="share of ids, quietest first", ylabel="events")
    ranks.legend()
    lorenz.legend()
    return fig


def plot_rhythm(rhythm: Rhythm) -> Figure:
    """Draw events by day, and the mean week hour by hour."""
    fig, (days, week) = new_figure(2, 1, height=2.6)
    by_day = rhythm.by_day
    marker = "o" if len(by_day) == 1 else None
    days.plot(by_day.index, by_day.to_numpy(), color=PALETTE[0], marker=marker)
    half_a_day = pd.Timedelta(hours=12)  # so that a single day has a width, too
    ends = (by_day.index[0] - half_a_day, by_day.index[-1] + half_a_day)
    days.set(title="Events by day", ylabel="events", ylim=(0, None), xlim=ends)
    locator = AutoDateLocator(maxticks=9)
    days.xaxis.set_major_locator(locator)
    days.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    draw_heat(week, rhythm.by_hour, cbar_kws={"label": "events an hour"})
    week.set(title="The mean week", xlabel="hour of the day", ylabel="")
    return fig


def plot_shares(shares: pd.Series, title: str, label: str) -> Figure:
    """Draw named shares of one whole (missing values, kinds of events) as bars."""
    fig, (ax,) = new_figure(height=max(1.6, 0.32 * len(shares) + 0.9))
    falling = shares.sort_values(ascending=False)
    texts = [f"{share:.1%}" for share in falling]
    draw_bars(ax, falling.index, falling, texts)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    longest = max(falling.max() * 1.15, 0.01)
    ax.set(title=title, xlabel=label, xlim=(0, longest))
    return fig


def plot_watched_share(share: pd.DataFrame, by: str) -> Figure:
    """Draw how much of an item is watched in one event, one curve a kind.

    Parameters
    ----------
    share : DataFrame
        Columns ``share`` (of the duration, replays above 1) and the one named by ``by``.
    """
    fig, (ax,) = new_figure(height=3.0)
    bins = np.linspace(0, 1.5, 46)
    groups = share.groupby(by, observed=True)
    for colour, (name, group) in zip(PALETTE, groups, strict=False):
        values = group["share"].clip(upper=1.5)
        ax.hist(values, bins, histtype="step", density=True, color=colour, label=name)
    ax.axvline(1, color=NEUTRAL, linestyle="--", linewidth=1)
    ax.set(
        title="Watched share of an item's length",
        xlabel="watch time / duration (last bar: 1.5 and more)",
        ylabel="density",
    )
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.legend()
    return fig


def plot_who_watches_what(table: pd.DataFrame, rows: str, columns: str) -> Figure:
    """Draw each user group's events by item group as shares of the group; hidden cells stay grey.

    Parameters
    ----------
    table : DataFrame
        Rows user groups, columns item groups, cells shares of the row (NaN = suppressed).
    """
    fig, (ax,) = new_figure(height=max(2.2, 0.36 * len(table) + 1.4))
    ax.set_facecolor(GRID)
    ax.grid(visible=False)
    colour_bar = {"format": PercentFormatter(1), "label": "share of the group's events"}
    draw_heat(ax, table, fmt=".0%", cbar_kws=colour_bar)
    ax.set(title=f"What each {rows} group watches", xlabel=columns, ylabel=rows)
    plt.setp(ax.get_xticklabels(), rotation=40, ha="right")
    return fig
