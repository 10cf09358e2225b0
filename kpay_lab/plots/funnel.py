"""Pictures of the funnel from an exposure to a refund, and of retention."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kpay_lab.plots.style import draw_bars, draw_dots, draw_heat, new_figure


def plot_funnel(steps: pd.DataFrame) -> Figure:
    """Draw the pairs at each step on a logarithmic scale, and the rate of each step."""
    fig, (ax,) = new_figure(height=3.8)
    reached = steps[steps["n"] > 0]
    texts = []
    for row in reached.itertuples():
        rate = f" = {row.rate:.1%} of {row.of}" if row.rate >= 0 else ""
        texts.append(f"{row.n:,}{rate}")
    draw_bars(ax, reached["step"], reached["n"], texts)
    ax.set_xscale("log")
    ax.set(title="How far they come", xlabel="user-item pairs", xlim=(1, reached["n"].max() * 30))
    return fig


def plot_rates(breakdowns: Sequence[pd.DataFrame], step: str) -> Figure:
    """Draw one step's rate with its interval for each group, a panel a breakdown.

    A breakdown names its groups in the first column. One without a rate to show has no panel;
    at least one must have some.
    """
    panels = []
    for breakdown in breakdowns:
        rows = breakdown[(breakdown["step"] == step) & breakdown["rate"].notna()]
        if len(rows):
            panels.append(rows)
    n_columns = min(2, len(panels))
    n_rows = -(-len(panels) // n_columns)
    longest = max(len(rows) for rows in panels)
    fig, axes = new_figure(n_rows, n_columns, height=1.2 + 0.15 * longest)
    for ax, rows in zip(axes, panels, strict=False):
        _draw_rates(ax, rows, step)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    return fig


def _draw_rates(ax: Axes, rows: pd.DataFrame, step: str) -> None:
    """Draw a breakdown's rates, hours in their order and other groups from the highest down."""
    by = rows.columns[0]
    if by != "hour":
        rows = rows.sort_values("rate", ascending=False)
    rate, low, high = rows[["rate", "low", "high"]].to_numpy(float).T
    draw_dots(ax, rows[by], rate, low, high, length=18)
    ax.tick_params(axis="y", labelsize=8)
    ax.set(title=f"{step} by {by}", xlabel=f"share of {rows['of'].iloc[0]}")


def plot_time_to_purchase(times: pd.DataFrame) -> Figure:
    """Draw the share of purchases made within a time from the first contact."""
    fig, (ax,) = new_figure()
    ax.ecdf(times["hours"].clip(lower=0.01))
    ax.set(title="Time to purchase", xscale="log", ylim=(0, 1))
    ax.set(xlabel="hours since the first contact", ylabel="share of purchases")
    return fig


def plot_retention(cohorts: pd.DataFrame) -> Figure:
    """Draw the share of each cohort active n periods after its first."""
    fig, (ax,) = new_figure(height=1.2 + 0.3 * len(cohorts))
    labels = [f"{start:%Y-%m-%d} ({n})" for start, n in cohorts["users"].items()]
    shares = cohorts.drop(columns="users").set_axis(labels)
    draw_heat(ax, shares, vmin=0, vmax=1, annot=True, fmt=".0%", annot_kws={"fontsize": 7})
    ax.set(title="Who comes back", xlabel="periods since the first", ylabel="cohort (users)")
    return fig
