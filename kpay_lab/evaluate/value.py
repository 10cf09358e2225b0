"""What a list would earn: the money of its hits, net of refunds."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.split import Split
from kpay_lab.interest.matrix import InterestMatrix


def net_revenue(orders: pd.DataFrame, users: pd.Index, items: pd.Index) -> csr_array:
    """Money paid for each (user, item), less what was paid back.

    csr_array (n_users, n_items) in the account's currency.
    """
    net = orders["amount"]
    if "refund_amount" in orders:
        net = net - orders["refund_amount"].fillna(0.0)
    pairs = orders["user_id"], orders["item_id"]
    return InterestMatrix.from_pairs(*pairs, net.to_numpy(), users=users, items=items).values


def held_back_revenue(tables: Tables, split: Split) -> csr_array:
    """Net revenue of the test part: the orders that training did not know."""
    known = split.train.tables
    if tables.orders is None or known is None or known.orders is None:
        raise ValueError("revenue needs an orders table, and these tables have none")
    later = tables.orders.drop(index=known.orders.index)
    return net_revenue(later, split.train.interest.users, split.train.interest.items)


def revenue(items: np.ndarray, paid: csr_array) -> np.ndarray:
    """Sum over the list of what the user paid for the item in the test part, net of refunds.

    Credits a model with sales it merely foresaw; what it would have caused is a question
    for an experiment.

    ``items`` are lists (n, k), ``paid`` the net revenue (n, n_items), row for row.

    >>> revenue(np.array([[1, 0], [1, -1]]), csr_array([[0.0, 99.0, 5.0], [10.0, 0.0, 7.0]]))
    array([99.,  0.])
    """
    rows = np.broadcast_to(np.arange(len(items))[:, None], items.shape)
    amounts = np.asarray(paid[rows.ravel(), items.ravel()]).reshape(items.shape)
    return np.where(items >= 0, amounts, 0.0).sum(axis=1)
