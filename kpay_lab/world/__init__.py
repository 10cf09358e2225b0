"""The simulated shop: its log, the truth behind it, policies tried in it, and feedback.

Only the workbench, the command line and notebooks import this room. That no model sees the
truth is therefore a fact of imports.
"""
