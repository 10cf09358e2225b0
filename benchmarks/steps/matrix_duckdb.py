"""From a Parquet log to the interest matrix, the events added up by DuckDB within a limit."""

from logs import log_file
from steps.matrix_parquet import check, comparable, floor, peer  # noqa: F401

MEMORY_LIMIT = 1_000_000_000  # bytes


def ours(size):
    from kpay_lab.data.tables import Tables
    from kpay_lab.interest.parquet_log import parquet_log
    from kpay_lab.interest.pushdown import compact_log
    from kpay_lab.interest.weighting import interest_matrix

    path = log_file(size)
    yield
    compact = compact_log(parquet_log([path], MEMORY_LIMIT))
    interest = interest_matrix(Tables(compact))
    yield
    yield comparable(interest.values, interest.users, interest.items)
