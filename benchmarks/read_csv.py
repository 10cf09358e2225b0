"""Time reading and validating a clean log, next to pandas reading it as text.

Usage: python benchmarks/read_csv.py [ROWS] [ROUNDS]

Each measurement runs in a fresh process; the two ways alternate. The aim is a ratio of at most 3.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

WAYS = {
    "pandas": "import pandas; read = lambda: pandas.read_csv(folder / 'events.csv', dtype=str)",
    "kpay": "from kpay_lab.data import read_tables; read = lambda: read_tables(folder)",
}
TIMED = """
import sys, time, pathlib
folder = pathlib.Path(sys.argv[1])
{way}
start = time.perf_counter()
read()
print(time.perf_counter() - start)
"""


def write_log(folder, n_rows):
    """Write a clean events.csv of eight columns, and the users and items it names."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, n_rows // 50 + 1, n_rows), rng.integers(0, 3000, n_rows)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    events = pd.DataFrame(
        {
            "user_id": "u" + pd.Series(users).astype("str"),
            "item_id": "i" + pd.Series(items).astype("str"),
            "timestamp": start + pd.to_timedelta(rng.integers(0, 90 * 86_400, n_rows), unit="s"),
            "watch_time": rng.exponential(100, n_rows).round(2),
            "duration": rng.integers(10, 600, n_rows),
            "like_count": rng.integers(0, 2, n_rows),
            "comment_count": rng.integers(0, 2, n_rows),
            "rating": rng.integers(1, 6, n_rows),
        }
    )
    events.to_csv(folder / "events.csv", index=False)
    for column in ("user", "item"):
        events[[f"{column}_id"]].drop_duplicates().to_csv(folder / f"{column}s.csv", index=False)


def seconds(way, folder):
    """Time one reading in a process of its own."""
    command = [sys.executable, "-c", TIMED.format(way=WAYS[way]), str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as name:
        write_log(Path(name), n_rows)
        taken = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                taken[way].append(seconds(way, Path(name)))
    middle = {way: median(values) for way, values in taken.items()}
    for way, values in taken.items():
        print(f"{way:7s} median {middle[way]:.2f} s of", [f"{value:.2f}" for value in values])
    print(f"ratio   {middle['kpay'] / middle['pandas']:.2f} over {n_rows:,} rows (aim: at most 3)")


if __name__ == "__main__":
    main()
