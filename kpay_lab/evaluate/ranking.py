"""Ranking metrics at k, one value a user, all users at once.

Every metric reads two arrays: ``hits`` (n_users, k) bool, whether the item at a rank is
relevant, and ``n_relevant`` (n_users,), how many items there were to find (at least one:
users with nothing to find are left out and counted, see :func:`per_user`). In the
formulas h_r is 1 for a hit at rank r, n is ``n_relevant``, k the list length. A list that
ran short (-1) holds no hit there and is still divided by k.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array


def precision(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Share of the list that is relevant: sum_r h_r / k."""
    return hits.mean(axis=1)


def recall(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Share of what there was to find that is in the list: sum_r h_r / n."""
    return hits.sum(axis=1) / n_relevant


def recall_capped(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Hits over the most that k places can hold: sum_r h_r / min(n, k).

    >>> recall_capped(np.array([[True, False, True, False]]), np.array([8]))
    array([0.5])
    """
    return hits.sum(axis=1) / np.minimum(n_relevant, hits.shape[1])


def hit(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """1 if the list holds anything relevant, else 0."""
    return np.asarray(hits.any(axis=1), dtype=np.float64)


def mrr(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """One over the rank of the first hit; 0 without one."""
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)


def average_precision(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Average precision, AP@k = sum_r h_r P@r / min(n, k); its mean over users is MAP@k.

    P@r is the precision of the first r places. The best list of k places scores 1.

    >>> average_precision(np.array([[True, False, True]]), np.array([2]))  # (1/1 + 2/3) / 2
    array([0.83333333])
    """
    return _precision_sum(hits) / np.minimum(n_relevant, hits.shape[1])


def ndcg(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Normalised discounted cumulative gain with binary gain.

    DCG = sum_r h_r / log2(r + 1), divided by the DCG of min(n, k) hits in a row: as in
    trec_eval, scikit-learn, ranx and Microsoft Recommenders (Järvelin & Kekäläinen 2002).

    >>> ndcg(np.array([[False, True]]), np.array([1])) * np.log2(3)
    array([1.])
    """
    discount = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.cumsum(discount)[np.minimum(n_relevant, hits.shape[1]) - 1]
    return hits @ discount / ideal


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "precision": precision,
    "recall": recall,
    "recall_capped": recall_capped,
    "hit": hit,
    "map": average_precision,
    "mrr": mrr,
    "ndcg": ndcg,
}


@dataclass(frozen=True)
class PerUser:
    """``values``: ``metric, k, user, value``, user being the row of the lists.

    ``left_out`` counts the users without a relevant item: they have no value, rather than 0.
    """

    values: pd.DataFrame
    left_out: int


def find_hits(items: np.ndarray, relevant: csr_array) -> np.ndarray:
    """Mark which recommended items are relevant.

    Parameters
    ----------
    items : int array of shape (n, k)
        Item positions, best first, -1 where the list ran short.
    relevant : csr_array of shape (n, n_items)
        Row for row, a stored value where the item is relevant.

    >>> find_hits(np.array([[2, 0, -1]]), csr_array([[1, 1, 0]]))
    array([[False,  True, False]])
    """
    n, n_items = relevant.shape
    if len(items) != n:
        raise ValueError(f"{len(items)} lists for {n} rows of relevant items; pass equal rows")
    row_of = np.repeat(np.arange(n), np.diff(relevant.indptr))
    wanted = np.sort(np.append(row_of * n_items + relevant.indices, n * n_items))
    listed = np.arange(n)[:, None] * n_items + items
    return (wanted[np.searchsorted(wanted, listed)] == listed) & (items >= 0)


def from_ids(recommended: pd.DataFrame, relevant: pd.DataFrame) -> tuple[np.ndarray, csr_array]:
    """Turn tables of ids into the two inputs of :func:`per_user`, for lists made elsewhere.

    ``recommended`` has ``user_id, item_id, rank`` (from 1), ``relevant`` ``user_id, item_id``.
    Rows are the users in order of appearance, those with something to find first.

    >>> lists = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "rank": [2, 1]})
    >>> items, wanted = from_ids(lists, pd.DataFrame({"user_id": ["u"], "item_id": ["b"]}))
    >>> find_hits(items, wanted)
    array([[ True, False]])
    """
    n = len(relevant)
    user, users = pd.factorize(pd.concat([relevant["user_id"], recommended["user_id"]]))
    item, ids = pd.factorize(pd.concat([relevant["item_id"], recommended["item_id"]]))
    rank = recommended["rank"].to_numpy()
    lists = np.full((len(users), rank.max(initial=0)), -1)
    lists[user[n:], rank - 1] = item[n:]
    cells = np.ones(n), (user[:n], item[:n])
    return lists, csr_array(cells, shape=(len(users), len(ids)))


def per_user(items: np.ndarray, relevant: csr_array, ks: Sequence[int]) -> PerUser:
    """Compute ``METRICS`` at every k for each user with something to find; see `find_hits`."""
    if max(ks) > items.shape[1]:
        raise ValueError(f"k = {max(ks)}, but lists hold {items.shape[1]}; rank longer lists")
    n_relevant = np.diff(relevant.indptr)
    users = np.flatnonzero(n_relevant)
    hits, found = find_hits(items, relevant)[users], n_relevant[users]
    parts = [
        pd.DataFrame({"metric": name, "k": k, "user": users, "value": metric(hits[:, :k], found)})
        for k in ks
        for name, metric in METRICS.items()
    ]
    return PerUser(pd.concat(parts, ignore_index=True), int(len(n_relevant) - len(users)))


def metric_audit(items: np.ndarray, relevant: csr_array, k: int) -> pd.DataFrame:
    """Show what the same lists score as others define it: ``metric, definition, used_by, value``.

    Ours is the first row of each metric.
    """
    n_relevant = np.diff(relevant.indptr)
    users = np.flatnonzero(n_relevant)
    hits, n = find_hits(items[:, :k], relevant)[users], n_relevant[users]
    ranks = np.arange(1, k + 1)
    ap, n_hits = _precision_sum(hits), hits.sum(axis=1)
    running = (np.cumsum(hits, axis=1) / ranks).mean(axis=1)
    log2_rank = 1.0 / np.maximum(np.log2(ranks), 1.0)
    lenskit = hits @ log2_rank / np.cumsum(log2_rank)[np.minimum(n, k) - 1]
    always_k = hits @ (1.0 / np.log2(ranks + 1)) / (1.0 / np.log2(ranks + 1)).sum()
    rows = [
        ("map", "AP / min(n_relevant, k)", "ours", average_precision(hits, n)),
        ("map", "AP / n_relevant (map_trec)", "trec_eval, ranx, RecTools", ap / n),
        ("map", "AP / k", "RecTools divide_by_k", ap / k),
        ("map", "mean of precision at 1..k", "Elliot", running),
        ("map", "AP / hits", "some notebooks", ap / np.maximum(n_hits, 1)),
        ("ndcg", "ideal of min(n_relevant, k) hits", "ours", ndcg(hits, n)),
        ("ndcg", "ideal always of k hits", "RecTools default", always_k),
        ("ndcg", "discount max(log2 rank, 1)", "LensKit", lenskit),
        ("recall", "hits / n_relevant", "ours", recall(hits, n)),
        ("recall", "hits / min(n_relevant, k)", "LensKit", recall_capped(hits, n)),
    ]
    table = pd.DataFrame(rows, columns=["metric", "definition", "used_by", "value"])
    return table.assign(value=[float(values.mean()) for values in table["value"]])


def _precision_sum(hits: np.ndarray) -> np.ndarray:
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return (precisions * hits).sum(axis=1)
