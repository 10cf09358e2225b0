"""Bars: one value a name."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from kpay_lab.plots.style import BLUE, axes_or_new, label_rows

ROOM_FOR_RATES = 1.5  # of the longest bar, so that a number and its rate fit in


def plot_bars(
    values: pd.Series,
    *,
    ax: Axes | None = None,
    fmt: str = "",
    colours: Any = BLUE,
    errors: pd.Series | None = None,
    length: int = 28,
    **settings: Any,
) -> Axes:
    """Draw one bar an entry, named by the index, the first on top.

    Parameters
    ----------
    values : Series
        Lengths of the bars.
    fmt : str
        Format of the number at a bar's end, such as ``.3f``, by default none; one that ends
        in ``%`` shows the axis in percent, too.
    colours : colour, or one colour a bar
    errors : Series, optional
        Half the width of each interval.
    length : int
        Characters of a name that are shown.
    **settings
        Go to `Axes.set`: title, xlabel, xlim, ...
    """
    ax = axes_or_new(ax, height=1 + 0.3 * len(values))
    rows = np.arange(len(values))
    bars = ax.barh(rows, values, color=colours, xerr=errors, error_kw={"linewidth": 1})
    label_rows(ax, values.index, length)
    ax.grid(axis="y", visible=False)
    if fmt:
        texts = [format(value, fmt) for value in values]
        ax.bar_label(bars, texts, padding=3, fontsize=9)
        ax.margins(x=0.15)  # room for the numbers
    if fmt.endswith("%"):
        ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set(**settings)
    return ax


def plot_funnel(steps: pd.DataFrame, *, ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw how many there are at each step, and the rate of each step.

    ``steps`` has the columns ``step, n, rate, of``: the rate is a share of the step ``of``.
    """
    reached = steps[steps["n"] > 0]
    ax = plot_bars(reached.set_index("step")["n"], ax=ax)
    texts = []
    for row in reached.itertuples():
        rate = f" = {row.rate:.1%} of {row.of}" if row.rate >= 0 else ""
        texts.append(f"{row.n:,}{rate}")
    ax.bar_label(ax.containers[0], texts, padding=3, fontsize=9)
    most = reached["n"].max()
    ax.set(xlim=(0, most * ROOM_FOR_RATES))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set(**settings)
    return ax
