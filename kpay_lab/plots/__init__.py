"""Draw results; nothing is computed here.

A function ``plot_<what>`` takes a result and returns its Figure, a new one unless an Axes ``ax``
is given; the functions ``draw_<marks>`` of `kpay_lab.plots.style` add marks to an Axes.
"""
