"""Seeded logs with the long tails of real ones: few items gather most events, few users most."""

import tempfile
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

CACHE = Path(tempfile.gettempdir()) / "kpay-bench"
SIZES = {  # users, items, events
    "S": (6_000, 3_700, 1_000_000),
    "M": (100_000, 10_000, 10_000_000),
    "1M": (100_000, 10_000, 1_000_000),
    "3M": (100_000, 10_000, 3_000_000),
    "30M": (100_000, 10_000, 30_000_000),
}


def zipf_log(n_users, n_items, n_events, seed=0):
    """Draw users by rank^-0.5 and items by rank^-0.8; each item has a length, watched in part."""
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    user = _by_rank(rng, n_users, 0.5, n_events)
    item = _by_rank(rng, n_items, 0.8, n_events)
    length = rng.integers(30, 3_600, n_items).astype(np.float64)
    watched = np.round(rng.exponential(0.4, n_events) * length[item])
    ids = (
        pa.DictionaryArray.from_arrays(codes.astype(np.int32), names)
        for codes, names in ((user, _names("u", n_users)), (item, _names("i", n_items)))
    )
    return pa.table([*ids, watched, length[item]], ["user_id", "item_id", "watch_time", "duration"])


def log_file(size):
    """Return the Parquet file of a size, written when first asked for."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = CACHE / f"log-{size}.parquet"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        table = zipf_log(*SIZES[size])
        plain = [table[name].cast(pa.string()) for name in ("user_id", "item_id")]
        table = pa.table([*plain, table["watch_time"], table["duration"]], table.column_names)
        unfinished = path.with_suffix(".part")
        pq.write_table(table, unfinished)
        unfinished.rename(path)
    return path


def _by_rank(rng, n, power, size):
    """Draw positions with probability by rank; ranks lie in random order, as ids do."""
    weight = np.arange(1, n + 1) ** -power
    drawn = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(size))
    return rng.permutation(n)[np.minimum(drawn, n - 1)]


def _names(letter, n):
    import pyarrow as pa

    return pa.array([f"{letter}{number}" for number in range(n)])


def interactions(size):
    """Return who met what in a log, as two 0/1 CSR arrays: four fifths to learn from, the rest."""
    path = CACHE / f"interactions-{size}.npz"
    if not path.exists():
        table = zipf_log(*SIZES[size])
        n_items = SIZES[size][1]
        user, item = (
            np.asarray(table[name].combine_chunks().indices) for name in table.column_names[:2]
        )
        pairs = np.unique(user.astype(np.int64) * n_items + item)
        learned = np.random.default_rng(1).random(len(pairs)) < 0.8
        np.savez(path, pairs=pairs, learned=learned)
    with np.load(path) as saved:
        pairs, learned = saved["pairs"], saved["learned"]
    return tuple(_cells(pairs[part], *SIZES[size][:2]) for part in (learned, ~learned))


def _cells(pairs, n_users, n_items):
    starts = np.searchsorted(pairs, np.arange(n_users + 1) * n_items)
    cells = np.ones(len(pairs)), (pairs % n_items).astype(np.int32), starts.astype(np.int32)
    return csr_array(cells, shape=(n_users, n_items))
