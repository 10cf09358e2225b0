"""Pictures of the way from an exposure to a refund, and of who comes back."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from kpay_lab.plots.style import draw_bars, draw_dots, draw_heat, new_figure


def plot_funnel(steps: pd.DataFrame) -> Figure:
    """Draw the pairs at each step on a logarithmic scale, and the rate of each step."""
    figure, (axes,) = new_figure(height=3.8)
    steps = steps[steps["n"] > 0]
    rates = [
        f"{row.n:,}" + (f" = {row.rate:.1%} of {row.of}" if row.rate >= 0 else "")
        for row in steps.itertuples()
    ]
    draw_bars(axes, steps["step"], steps["n"], rates)
    axes.set_xscale("log")
    axes.set(title="How far they come", xlabel="user-item pairs", xlim=(1, steps["n"].max() * 30))
    return figure


def plot_rates(splits: Sequence[pd.DataFrame], step: str) -> Figure:
    """Draw one step's rate with its interval for each value of each split, a panel a split.

    A split without a rate to show has no panel; at least one must have some.
    """
    known = [rows[(rows["step"] == step) & rows["rate"].notna()] for rows in splits]
    own = [rows for rows in known if len(rows)]
    longest = max(len(rows) for rows in own)
    columns = min(2, len(own))
    figure, panels = new_figure(-(-len(own) // columns), columns, height=1.2 + 0.15 * longest)
    for axes, split in zip(panels, own, strict=False):
        by = split.columns[0]
        rows = split if by == "hour" else split.sort_values("rate", ascending=False)
        draw_dots(axes, rows[by], *rows[["rate", "low", "high"]].to_numpy(float).T, length=18)
        axes.tick_params(axis="y", labelsize=8)
        axes.set(title=f"{step} by {by}", xlabel=f"share of {rows['of'].iloc[0]}")
    for axes in panels[len(own) :]:
        axes.set_visible(False)
    return figure


def plot_time_to_purchase(times: pd.DataFrame) -> Figure:
    """Draw the share of purchases made within a time from the first contact."""
    figure, (axes,) = new_figure()
    axes.ecdf(times["hours"].clip(lower=0.01))
    axes.set(title="Time to purchase", xscale="log", ylim=(0, 1))
    axes.set(xlabel="hours since the first contact", ylabel="share of purchases")
    return figure


def plot_retention(cohorts: pd.DataFrame) -> Figure:
    """Draw the share of each cohort active n periods after its first."""
    figure, (axes,) = new_figure(height=1.2 + 0.3 * len(cohorts))
    labels = [f"{start:%Y-%m-%d} ({n})" for start, n in cohorts["users"].items()]
    shares = cohorts.drop(columns="users").set_axis(labels)
    draw_heat(axes, shares, vmin=0, vmax=1, annot=True, fmt=".0%", annot_kws={"fontsize": 7})
    axes.set(title="Who comes back", xlabel="periods since the first", ylabel="cohort (users)")
    return figure
