"""Splits, metrics and the comparison of models."""
