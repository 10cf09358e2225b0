"""Models that score, and the one function that ranks."""
