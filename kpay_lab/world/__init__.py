"""The simulated shop: its log, the truth behind it, policies tried in it, and feedback.

Only the workbench, the command line and notebooks import this room. That no model sees the
truth is therefore a fact of imports.
"""

from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.simulate import open_shop

__all__ = ["WorldSpec", "open_shop"]
