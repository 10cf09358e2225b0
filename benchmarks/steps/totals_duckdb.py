"""From a Parquet log to one row a user and item, added up by DuckDB within a limit."""

from logs import log_file
from steps.matrix_duckdb import MEMORY_LIMIT
from steps.matrix_parquet import COLUMNS


def peer(size):
    import pandas as pd

    path = log_file(size)
    yield
    log = pd.read_parquet(path, columns=COLUMNS)
    pairs = log.groupby(["user_id", "item_id"], sort=False).agg(
        watch_time=("watch_time", "sum"), duration=("duration", "max")
    )
    yield
    yield comparable(pairs.reset_index())


def ours(size):
    from kpay_lab.interest.parquet_log import parquet_log
    from kpay_lab.interest.pushdown import compact_log

    path = log_file(size)
    yield
    compact = compact_log(parquet_log([path], MEMORY_LIMIT))
    yield
    yield comparable(compact.astype({"user_id": "str", "item_id": "str"}))


def floor(size):
    """DuckDB's own group-by of the text ids, in floats, its rows only counted."""
    import duckdb

    path = log_file(size)
    yield
    connection = duckdb.connect(config={"memory_limit": f"{MEMORY_LIMIT}B"})
    pairs = connection.sql(
        "SELECT user_id, item_id, count(*), sum(watch_time), max(duration) "
        f"FROM read_parquet('{path}') GROUP BY ALL"
    )
    for batch in pairs.to_arrow_reader(1_000_000):
        assert batch.num_rows
    yield


def comparable(pairs):
    """Rows in order of the ids' numbers, which are the same in both ways."""
    import numpy as np

    users, items = (pairs[name].str[1:].astype("int32") for name in ("user_id", "item_id"))
    order = np.lexsort((items, users))
    columns = {"users": users, "items": items} | {name: pairs[name] for name in COLUMNS[2:]}
    return {name: column.to_numpy()[order] for name, column in columns.items()}


def check(peer, ours):
    import numpy as np

    for name in ("users", "items", "duration"):
        np.testing.assert_array_equal(peer[name], ours[name])
    np.testing.assert_allclose(ours["watch_time"], peer["watch_time"], rtol=1e-12)
    return f"all {len(ours['users']):,} totals equal"
