"""Follows that come in a log by type of behaviour: whom somebody follows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import pyarrow as pa

from kpay_lab.data.headers import columns_of
from kpay_lab.data.parsing import parse_column
from kpay_lab.data.rows import TEXT, RawRows


def with_hosts(
    follows: Sequence[RawRows], items: pd.DataFrame | None, renames: Mapping[str, str]
) -> tuple[tuple[RawRows, ...], list[str]]:
    """Say whom a follow is of: the host that its row names, else the host of its item.

    Parameters
    ----------
    follows : sequence of RawRows
        The follows among the rows of a log of events.
    items : DataFrame, optional
        The catalogue.
    renames : mapping
        What a mapping says of the columns of events: their name → ours.

    Returns
    -------
    follows : tuple of RawRows
        Each with a column of hosts. Rows of a log that says nowhere who the host is are left
        out.
    notes : list of str

    Examples
    --------
    >>> cells = [pa.array(["u"], TEXT), pa.array(["live"], TEXT)]
    >>> rows = RawRows("log.csv", ["user_id", "item_id"], cells, [2])
    >>> items = pd.DataFrame({"item_id": ["live"], "host": ["Li Na"]})
    >>> with_hosts([rows], items, {})[0][0].cells[-1].to_pylist()
    ['Li Na']
    >>> with_hosts([rows], None, {})[1][0][:34]
    'follows: 1 in the log of events is'
    """
    named = []
    n_without = 0
    for rows in follows:
        if "host" in columns_of("follows", rows.header):
            named.append(rows)
        elif items is not None and "host" in items:
            named.append(_with_hosts_of_items(rows, items, renames))
        else:
            n_without += len(rows)
    if not n_without:
        return tuple(named), []
    verb = "is" if n_without == 1 else "are"
    note = (
        f"follows: {n_without:,} in the log of events {verb} left out, for nothing says who is "
        "followed; add a column host to the log or to the items"
    )
    return tuple(named), [note]


def _with_hosts_of_items(rows: RawRows, items: pd.DataFrame, renames: Mapping[str, str]) -> RawRows:
    host_of = items.set_index("item_id")["host"]
    name = columns_of("events", rows.header, renames)["item_id"][0]
    cells = rows.cells[rows.header.index(name)]
    item_ids = parse_column(cells, "item_id").values
    hosts = item_ids.map(host_of)
    texts = pa.array(hosts.fillna("").tolist(), TEXT)
    return replace(rows, header=[*rows.header, "host"], cells=[*rows.cells, texts])
