"""Runs notebooks and turns them into pages; knows nothing of the domain."""
