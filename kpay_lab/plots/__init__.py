"""Draw results; nothing is computed here.

A function ``plot_<what>`` takes a result and returns a new Figure; the functions ``draw_<marks>``
of `kpay_lab.plots.style` add marks to an Axes.
"""
