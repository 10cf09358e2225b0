"""From a Parquet log to the interest matrix: the share of its length that a user watched."""

from logs import log_file

COLUMNS = ["user_id", "item_id", "watch_time", "duration"]


def peer(size):
    import pandas as pd

    path = log_file(size)
    yield
    matrix, users, items = pandas_matrix(pd.read_parquet(path, columns=COLUMNS))
    yield
    yield comparable(matrix, users, items)


def ours(size):
    from kpay_lab.data.tables import Tables
    from kpay_lab.interest.parquet import read_events
    from kpay_lab.interest.weighting import interest_matrix

    path = log_file(size)
    yield
    interest = interest_matrix(Tables(read_events(path)))
    yield
    yield comparable(interest.values, interest.users, interest.items)


def floor(size):
    import pyarrow.parquet as pq

    path = log_file(size)
    yield
    table = pq.read_table(path, columns=COLUMNS, use_threads=False)
    yield
    yield {"n": [len(table)]}


def pandas_matrix(log):
    import pandas as pd
    from scipy.sparse import coo_array

    pairs = log.groupby(["user_id", "item_id"], sort=False).agg(
        watch_time=("watch_time", "sum"), duration=("duration", "max")
    )
    share = (pairs["watch_time"] / pairs["duration"]).clip(upper=1).to_numpy()
    row, users = pd.factorize(pairs.index.get_level_values("user_id"))
    column, items = pd.factorize(pairs.index.get_level_values("item_id"))
    matrix = coo_array((share, (row, column)), shape=(len(users), len(items))).tocsr()
    return matrix, users, items


def comparable(matrix, users, items):
    """Rows and columns in order of the ids' numbers, which are the same in both ways."""
    import numpy as np

    number = [np.array([int(name[1:]) for name in ids]) for ids in (users, items)]
    cells = matrix.tocoo()
    rows, columns = number[0][cells.row], number[1][cells.col]
    order = np.lexsort((columns, rows))
    return {"rows": rows[order], "columns": columns[order], "values": cells.data[order]}


def check(peer, ours):
    import numpy as np

    for name in ("rows", "columns"):
        np.testing.assert_array_equal(peer[name], ours[name])
    np.testing.assert_allclose(ours["values"], peer["values"], rtol=1e-12)
    return f"all {len(ours['values']):,} cells equal"
