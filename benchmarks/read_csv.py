"""Time reading and checking a log, next to pandas with pandera doing the same.

Usage: python benchmarks/read_csv.py [ROWS] [ROUNDS]

Each measurement runs in a fresh process at one thread; the ways take turns. Seconds are those of
the processor, and each ratio is taken within a round. `report.py` writes them into RESULTS.md.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from report import keep_reading, reading_lines
from table import READING

IMPORTS = {
    "ours": "from kpay_lab.data import read_tables",
    "pandas": "import pandas as pd\nfrom kpay_lab.data.tables import Tables",
}
WORK = {
    "ours": "read_tables(folder)",
    "pandas": """
frames = {}
for table in ("events", "items", "users"):
    path = folder / f"{table}.parquet"
    if path.exists():
        frames[table] = pd.read_parquet(path)
        continue
    frame = pd.read_csv(folder / f"{table}.csv", dtype={"user_id": "str", "item_id": "str"})
    if table == "events":
        times = pd.to_datetime(frame["timestamp"], format="ISO8601", utc=True)
        counts = {name: frame[name].astype("Int64") for name in ("like_count", "comment_count")}
        floats = {name: frame[name].astype(float) for name in ("duration", "rating")}
        frame = frame.assign(timestamp=times.astype("datetime64[us, UTC]"), **counts, **floats)
    frames[table] = frame
if not (folder / "events.parquet").exists():
    Tables.validated(**frames)
""",
}
TIMED = """
import pathlib, sys, time
{imports}
folder = pathlib.Path(sys.argv[1])
start = time.process_time()
{work}
print(time.process_time() - start)
"""
BAD_CELLS = {"watch_time": "long", "timestamp": "yesterday", "like_count": "many", "user_id": ""}


def clean_events(n_rows):
    """Draw a log of eight columns."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, n_rows // 50 + 1, n_rows)
    items = rng.integers(0, 3000, n_rows)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    seconds = pd.to_timedelta(rng.integers(0, 90 * 86_400, n_rows), unit="s")
    return pd.DataFrame(
        {
            "user_id": "u" + pd.Series(users).astype("str"),
            "item_id": "i" + pd.Series(items).astype("str"),
            "timestamp": (start + seconds).astype("datetime64[us, UTC]"),
            "watch_time": rng.exponential(100, n_rows).round(2),
            "duration": rng.integers(10, 600, n_rows).astype(float),
            "like_count": rng.integers(0, 2, n_rows),
            "comment_count": rng.integers(0, 2, n_rows),
            "rating": rng.integers(1, 6, n_rows).astype(float),
        }
    )


def spoiled(events):
    """Spoil one row in a hundred, each in one cell; the columns take turns."""
    rng = np.random.default_rng(1)
    bad = events.astype("str")
    for column, text in BAD_CELLS.items():
        rows = rng.choice(len(bad), len(bad) // 100 // len(BAD_CELLS), replace=False)
        bad.loc[rows, column] = text
    return bad


def write_logs(folder, n_rows):
    """Write the log as clean CSV, as CSV with bad cells, and as Parquet, with users and items."""
    events = clean_events(n_rows)
    homes = {"clean": events, "bad": spoiled(events), "parquet": events}
    for name, frame in homes.items():
        home = folder / name
        home.mkdir()
        tables = {
            "events": frame,
            "users": events[["user_id"]].drop_duplicates(),
            "items": events[["item_id"]].drop_duplicates(),
        }
        for table, rows in tables.items():
            if name == "parquet":
                rows.to_parquet(home / f"{table}.parquet", index=False)
            else:
                rows.to_csv(home / f"{table}.csv", index=False)


def seconds(way, folder):
    """Time one reading in a process of its own."""
    code = TIMED.format(imports=IMPORTS[way], work=WORK[way])
    command = [sys.executable, "-c", code, str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def main():
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_logs(folder, n_rows)
        for _ in range(rounds):
            for line in READING:
                for way, home in (line.peer, line.ours):
                    found.setdefault(line.name, []).append(seconds(way, folder / home))
    pairs = {name: list(zip(taken[::2], taken[1::2], strict=True)) for name, taken in found.items()}
    keep_reading(pairs, n_rows)
    print("\n".join(reading_lines({"pairs": pairs, "rows": n_rows})))


if __name__ == "__main__":
    main()
