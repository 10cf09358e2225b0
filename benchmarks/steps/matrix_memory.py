"""From a log in memory (a pandas frame with text ids) to the interest matrix."""

from logs import log_file
from steps.matrix_parquet import COLUMNS, check, comparable, pandas_matrix  # noqa: F401


def peer(size):
    log = frame(size)
    yield
    matrix, users, items = pandas_matrix(log)
    yield
    yield comparable(matrix, users, items)


def ours(size):
    from kpay_lab.data.tables import Tables
    from kpay_lab.interest.weighting import interest_matrix

    tables = Tables(frame(size))
    yield
    interest = interest_matrix(tables)
    yield
    yield comparable(interest.values, interest.users, interest.items)


def floor(size):
    """Two passes over the measures: what adding up costs where nothing has to be found."""
    log = frame(size)[["watch_time", "duration"]].to_numpy()
    yield
    log.sum(axis=0)
    yield


def frame(size):
    import pandas as pd
    import pyarrow as pa

    log = pd.read_parquet(log_file(size), columns=COLUMNS)
    pa.default_memory_pool().release_unused()
    return log
