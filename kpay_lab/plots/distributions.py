"""Distributions: how values are spread, and how evenly counts are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from kpay_lab.plots.style import BLUE, GUIDE, axes_or_new


def plot_histogram(
    values: ArrayLike,
    *,
    bins: int,
    span: tuple[float, float],
    ax: Axes | None = None,
    colour: str = BLUE,
    **settings: Any,
) -> Axes:
    """Draw the share of the known values in each of ``bins`` equal parts of the ``span``."""
    ax = axes_or_new(ax, height=2.6)
    numbers = np.asarray(values, np.float64)
    known = numbers[np.isfinite(numbers)]
    weights = np.full(len(known), 1 / max(len(known), 1))
    ax.hist(known, bins, range=span, weights=weights, color=colour)
    ax.set(**settings)
    return ax


def plot_densities(
    samples: Mapping[str, ArrayLike],
    *,
    bins: int,
    span: tuple[float, float],
    ax: Axes | None = None,
    **settings: Any,
) -> Axes:
    """Draw the outline of one histogram a name, each of area 1."""
    ax = axes_or_new(ax, height=3.0)
    for name, values in samples.items():
        ax.hist(values, bins, range=span, histtype="step", density=True, label=name)
    ax.legend()
    ax.set(ylabel="density")
    ax.set(**settings)
    return ax


def plot_ecdf(samples: Mapping[str, ArrayLike], *, ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw the share of the values at or below each value, one curve a name."""
    ax = axes_or_new(ax)
    for name, values in samples.items():
        ax.ecdf(values, label=name)
    if len(samples) > 1:
        ax.legend(loc="lower right")
    ax.set(ylim=(0, 1))
    ax.set(**settings)
    return ax


def plot_counts(
    counts: Mapping[str, np.ndarray], *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw counts, the largest first, by rank on logarithmic scales, one curve a name.

    Counts of 0 have no place on such a scale and are left out.
    """
    ax = axes_or_new(ax)
    for name, values in counts.items():
        falling = np.sort(values[values > 0])[::-1]
        rank = np.arange(1, len(falling) + 1)
        ax.loglog(rank, falling, label=name)
    ax.legend()
    ax.set(xlabel="rank")
    ax.set(**settings)
    return ax


def plot_lorenz(
    counts: Mapping[str, np.ndarray], *, ax: Axes | None = None, **settings: Any
) -> Axes:
    """Draw one Lorenz curve a name: the share of all counts that the smallest counts add up to."""
    ax = axes_or_new(ax)
    for name, values in counts.items():
        total = max(values.sum(), 1)
        cumulated = np.cumsum(np.sort(values))
        share = np.concatenate([[0], cumulated]) / total
        ids = np.linspace(0, 1, len(share))
        ax.plot(ids, share, label=name)
    ax.plot([0, 1], [0, 1], label="all alike", **GUIDE)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(fontsize=8)
    ax.set(**settings)
    return ax
