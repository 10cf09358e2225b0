"""A/B tests, bandits and off-policy evaluation."""
