"""``python -m kpay_lab`` is ``kpay``."""

from kpay_lab.cli import main

main()
