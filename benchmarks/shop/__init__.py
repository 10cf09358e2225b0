"""The shop that benchmarks measure on: a simulator that stays as it is.

It is `kpay_lab.world` of November 2026, whose files it writes to the byte, less what no log shows.
The workbench's own simulator goes on changing; this one must not, or figures of different days
could not be held side by side. It imports nothing of the workbench.
"""
