"""Measure quality and cost of each model against the number of items; write RESULTS.md.

Usage: python benchmarks/catalogue.py [--items 3000 30000 100000] [--models ease ...] [--jobs 1]

A shop of 10,000 users and 400,000 events, whatever the number of items. Each measurement is a
fresh process at one thread that fits the model and lists ten items for 500 users; the peer is
implicit's item-to-item cosine in the same run. With more than one job they disturb each other:
seconds are those of the processor.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import report
from bench import measure
from logs import CACHE

MODELS = [
    "popularity",
    "item_neighbours",
    "user_neighbours",
    "content",
    "markov",
    "ease",
    "als",
    "blend",
    "forest",
]


def measured(way, n_items):
    """Return what one way takes at one size, and how good its lists are."""
    kept = CACHE / f"catalogue-{way}-{n_items}.npz"
    found = measure(sys.executable, "catalogue", way, n_items, kept)
    with np.load(kept) as arrays:
        found |= {"ndcg": float(arrays["ndcg"]), "refused": str(arrays["refused"])}
    Path(kept).unlink()
    print(f"  {way} {n_items:,}: {found['cpu']:.1f} s, {found['extra']:.0f} MB", flush=True)
    return {"way": way, "items": n_items, **found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", nargs="+", type=int, default=[3_000, 30_000, 100_000])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    runs = [(way, size) for size in chosen.items for way in ["peer", *chosen.models]]
    with ThreadPoolExecutor(chosen.jobs) as pool:
        rows = list(pool.map(lambda run: measured(*run), runs))
    found = report.keep_catalogue(rows)
    print("\n".join(report.catalogue_lines(found)))


if __name__ == "__main__":
    main()
