"""The shop's figures: where the money is, what changed, who buys, and what a promotion earns."""
