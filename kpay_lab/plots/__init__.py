"""Shapes: they draw frames and arrays, and know nothing of what was computed.

A function ``plot_<shape>(data, *, ax=None, **settings)`` draws into an Axes, by default that of
a new figure, and returns it; the settings, such as ``title`` and ``xlabel``, go to `Axes.set`.
A function ``plot_<shape>_panels`` makes a figure of several panels and returns that.

=============  =====================================================================
bars           `plot_bars`, `plot_funnel`
intervals      `plot_intervals`, `plot_interval_panels`, `plot_points`, `plot_sensitivity`
curves         `plot_curves`, `plot_curve_panels`, `plot_days`, `plot_calibration`,
               `plot_power`, `plot_qini`, `plot_search`, `plot_survival`,
               `plot_timeline_panels`
distributions  `plot_histogram`, `plot_densities`, `plot_ecdf`, `plot_counts`,
               `plot_lorenz`
heat           `plot_heat`
points         `plot_scatter`, `plot_trade_off`, `plot_ranks`, `plot_pairs`,
               `plot_ledger_panels`
diagrams       `plot_flow`, `plot_tree`
style          `new_figure`, `add_legend`, `relabel`, `shorten`, and the colours
=============  =====================================================================
"""

from kpay_lab.plots.bars import plot_bars, plot_funnel
from kpay_lab.plots.curves import (
    plot_calibration,
    plot_curve_panels,
    plot_curves,
    plot_days,
    plot_power,
    plot_qini,
    plot_search,
    plot_survival,
    plot_timeline_panels,
)
from kpay_lab.plots.diagrams import plot_flow, plot_tree
from kpay_lab.plots.distributions import (
    plot_counts,
    plot_densities,
    plot_ecdf,
    plot_histogram,
    plot_lorenz,
)
from kpay_lab.plots.heat import plot_heat
from kpay_lab.plots.intervals import (
    plot_interval_panels,
    plot_intervals,
    plot_points,
    plot_sensitivity,
)
from kpay_lab.plots.points import (
    plot_ledger_panels,
    plot_pairs,
    plot_ranks,
    plot_scatter,
    plot_trade_off,
)
from kpay_lab.plots.style import (
    BLUE,
    GREEN,
    GUIDE,
    NEUTRAL,
    ORANGE,
    PALETTE,
    RED,
    TRUTH,
    add_legend,
    new_figure,
    relabel,
    shorten,
)

__all__ = [
    "BLUE",
    "GREEN",
    "GUIDE",
    "NEUTRAL",
    "ORANGE",
    "PALETTE",
    "RED",
    "TRUTH",
    "add_legend",
    "new_figure",
    "plot_bars",
    "plot_calibration",
    "plot_counts",
    "plot_curve_panels",
    "plot_curves",
    "plot_days",
    "plot_densities",
    "plot_ecdf",
    "plot_flow",
    "plot_funnel",
    "plot_heat",
    "plot_histogram",
    "plot_interval_panels",
    "plot_intervals",
    "plot_ledger_panels",
    "plot_lorenz",
    "plot_pairs",
    "plot_points",
    "plot_power",
    "plot_qini",
    "plot_ranks",
    "plot_scatter",
    "plot_search",
    "plot_sensitivity",
    "plot_survival",
    "plot_timeline_panels",
    "plot_trade_off",
    "plot_tree",
    "relabel",
    "shorten",
]
