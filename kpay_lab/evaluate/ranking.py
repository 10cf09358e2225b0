"""Ranking metrics at k, one value a user, all users at once.

Every metric has the same two arguments:

- ``hits``, bool array (n_users, k): whether the item at each rank is relevant;
- ``n_relevant``, int array (n_users,): how many relevant items the user has, at least 1.

Users without a relevant item have no value, see :func:`per_user`, which can also take the mean
over every order of tied items. In the formulas
h_r is 1 for a hit at rank r and else 0, n is ``n_relevant``, and k is the length of the list. A
place that a list leaves empty (item -1) counts as a miss.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.evaluate.handed import IDS, check_lists, check_positions, check_relevant
from kpay_lab.evaluate.ties import OVER_TIES, expected_hits
from kpay_lab.recommend.base import Ties


def precision(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Share of the list that is relevant: sum_r h_r / k."""
    return hits.mean(axis=1)


def recall(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Share of the relevant items that are in the list: sum_r h_r / n."""
    return hits.sum(axis=1) / n_relevant


def recall_capped(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Hits divided by the largest possible number of hits: sum_r h_r / min(n, k).

    >>> recall_capped(np.array([[True, False, True, False]]), np.array([8]))
    array([0.5])
    """
    most_hits = _most_hits(hits, n_relevant)
    return hits.sum(axis=1) / most_hits


def hit(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """1 if the list holds anything relevant, else 0."""
    return np.asarray(hits.any(axis=1), dtype=np.float64)


def mrr(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """One over the rank of the first hit; 0 without one."""
    rank_of_first_hit = hits.argmax(axis=1) + 1
    has_hit = hits.any(axis=1)
    return np.where(has_hit, 1.0 / rank_of_first_hit, 0.0)


def average_precision(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Average precision, AP@k = sum_r h_r P@r / min(n, k); its mean over users is MAP@k.

    P@r is the precision of the first r places. The best list of k places scores 1.

    >>> average_precision(np.array([[True, False, True]]), np.array([2]))  # (1/1 + 2/3) / 2
    array([0.83333333])
    """
    most_hits = _most_hits(hits, n_relevant)
    return _precision_sum(hits) / most_hits


def ndcg(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Normalised discounted cumulative gain with binary gain.

    DCG = sum_r h_r / log2(r + 1), divided by the DCG of the best list, which has min(n, k) hits
    at its first ranks. Trec_eval, scikit-learn, ranx and Microsoft Recommenders compute the
    same (Järvelin & Kekäläinen 2002).

    >>> ndcg(np.array([[False, True]]), np.array([1])) * np.log2(3)
    array([1.])
    """
    ranks = _ranks(hits)
    discount = 1.0 / np.log2(ranks + 1)
    most_hits = _most_hits(hits, n_relevant)
    return _normalised_gain(hits, discount, most_hits)


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "precision": precision,
    "recall": recall,
    "recall_capped": recall_capped,
    "hit": hit,
    "map": average_precision,
    "mrr": mrr,
    "ndcg": ndcg,
}


def find_hits(items: np.ndarray, relevant: csr_array) -> np.ndarray:
    """Mark which recommended items are relevant.

    Parameters
    ----------
    items : int array of shape (n, k)
        Item positions, best first, -1 where the list leaves a place empty.
    relevant : csr_array of shape (n, n_items)
        A stored value marks a relevant item; row i belongs to list i.

    Returns
    -------
    bool array of shape (n, k)

    Raises
    ------
    ValueError
        If a list holds an item twice or one that there is not, or a stored value is not above
        0; see `handed`.

    >>> find_hits(np.array([[2, 0, -1]]), csr_array([[1, 1, 0]]))
    array([[False,  True, False]])
    """
    n_rows, n_items = relevant.shape
    if len(items) != n_rows:
        raise ValueError(f"{len(items)} lists for {n_rows} rows of relevant items; pass equal rows")
    check_positions(items, n_items)
    check_relevant(relevant)
    # Each cell of the matrix has a number, row * n_items + column; a hit is a listed cell
    # among the relevant ones. One number beyond the last cell lets every search end inside.
    first_cell_of_row = np.arange(n_rows) * n_items
    n_relevant = np.diff(relevant.indptr)
    relevant_cells = np.repeat(first_cell_of_row, n_relevant) + relevant.indices
    beyond_the_last = n_rows * n_items
    sorted_cells = np.append(np.sort(relevant_cells), beyond_the_last)
    listed_cells = first_cell_of_row[:, None] + items
    position = np.searchsorted(sorted_cells, listed_cells)
    is_relevant = sorted_cells[position] == listed_cells
    return is_relevant & (items >= 0)


def from_ids(recommended: pd.DataFrame, relevant: pd.DataFrame) -> tuple[np.ndarray, csr_array]:
    """Turn two tables of ids into the inputs ``items`` and ``relevant`` of :func:`per_user`.

    Parameters
    ----------
    recommended : DataFrame
        ``user_id, item_id, rank`` (from 1), the lists.
    relevant : DataFrame
        ``user_id, item_id``, the relevant items of each user.

    Returns
    -------
    int array of shape (n_users, longest list) and csr_array of shape (n_users, n_items)
        Rows are the users in order of appearance, those of ``relevant`` first.

    Raises
    ------
    ValueError
        If the tables cannot be judged; see `handed.check_lists`.

    Examples
    --------
    >>> lists = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "rank": [2, 1]})
    >>> items, wanted = from_ids(lists, pd.DataFrame({"user_id": ["u"], "item_id": ["b"]}))
    >>> find_hits(items, wanted)
    array([[ True, False]])
    """
    check_lists(recommended, relevant)
    both = pd.concat([relevant[IDS], recommended[IDS]])
    rows, user_ids = pd.factorize(both["user_id"])
    columns, item_ids = pd.factorize(both["item_id"])
    n_relevant = len(relevant)
    relevant_cells = (rows[:n_relevant], columns[:n_relevant])
    shape = (len(user_ids), len(item_ids))
    relevant_matrix = csr_array((np.ones(n_relevant), relevant_cells), shape=shape)
    ranks = recommended["rank"].to_numpy(dtype=np.int64)
    longest = ranks.max()
    lists = np.full((len(user_ids), longest), -1)
    row_of_list = rows[n_relevant:]
    lists[row_of_list, ranks - 1] = columns[n_relevant:]
    return lists, relevant_matrix


def per_user(
    items: np.ndarray, relevant: csr_array, ks: Sequence[int], *, ties: Ties | None = None
) -> pd.DataFrame:
    """Compute each of ``METRICS`` at every k for each user who has a relevant item.

    Parameters
    ----------
    items, relevant
        As in `find_hits`.
    ks : sequence of int
        Lengths of the lists.
    ties : Ties, optional
        Of the lists, from ``top_k(..., ties="mean")``: each value is then the mean over every
        order of the tied items (`evaluate.ties`). Without it the order is taken as it is,
        and that of equal scores is by item position, as in most libraries.

    Returns
    -------
    DataFrame
        ``metric, k, user, value``, where ``user`` is the user's row in the lists. A user
        without a relevant item has no row: what cannot be measured is not 0.
    """
    if max(ks) > items.shape[1]:
        raise ValueError(f"k = {max(ks)}, but lists hold {items.shape[1]}; rank longer lists")
    n_relevant = np.diff(relevant.indptr)
    users = np.flatnonzero(n_relevant)
    hits = find_hits(items, relevant)
    expected = None if ties is None else expected_hits(hits, ties, relevant)
    parts = []
    for k in ks:
        for name, metric in METRICS.items():
            if expected is None:
                values = metric(hits[users, :k], n_relevant[users])
            elif name in OVER_TIES:
                values = OVER_TIES[name](expected.part(users, k), n_relevant[users])
            else:
                values = metric(expected.chance[users, :k], n_relevant[users])
            columns = {"metric": name, "k": k, "user": users, "value": values}
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def metric_audit(
    items: np.ndarray, relevant: csr_array, k: int, *, ties: Ties | None = None
) -> pd.DataFrame:
    """Score the same lists by our definitions and by those of other libraries.

    ``items``, ``relevant`` and ``ties`` are as in `per_user`. With ties, AP / hits is the mean
    AP over the mean number of hits.

    Returns
    -------
    DataFrame
        ``metric, definition, used_by, value`` (the mean over users); the first row of each
        metric is ours.
    """
    n_relevant = np.diff(relevant.indptr)
    users = np.flatnonzero(n_relevant)
    n = n_relevant[users]
    all_hits = find_hits(items, relevant)
    hits = all_hits[users, :k]
    most_hits = _most_hits(hits, n)
    precision_sum = _precision_sum(hits)
    if ties is not None:
        expected = expected_hits(all_hits, ties, relevant).part(users, k)
        hits = expected.chance
        precision_sum = OVER_TIES["map"](expected, n) * most_hits
    n_hits = np.maximum(hits.sum(axis=1), 1)  # without a hit the sum above it is 0 anyway
    mean_precision = _precisions(hits).mean(axis=1)
    ranks = _ranks(hits)
    discount = 1.0 / np.log2(ranks + 1)
    ndcg_of_k_hits = hits @ discount / discount.sum()
    lenskit_discount = 1.0 / np.maximum(np.log2(ranks), 1.0)
    lenskit_ndcg = _normalised_gain(hits, lenskit_discount, most_hits)
    definitions = {
        ("map", "AP / min(n_relevant, k)", "ours"): precision_sum / most_hits,
        ("map", "AP / n_relevant (map_trec)", "trec_eval, ranx, RecTools"): precision_sum / n,
        ("map", "AP / k", "RecTools divide_by_k"): precision_sum / k,
        ("map", "mean of precision at 1..k", "Elliot"): mean_precision,
        ("map", "AP / hits", "some notebooks"): precision_sum / n_hits,
        ("ndcg", "ideal of min(n_relevant, k) hits", "ours"): ndcg(hits, n),
        ("ndcg", "ideal always of k hits", "RecTools default"): ndcg_of_k_hits,
        ("ndcg", "discount max(log2 rank, 1)", "LensKit"): lenskit_ndcg,
        ("recall", "hits / n_relevant", "ours"): recall(hits, n),
        ("recall", "hits / min(n_relevant, k)", "LensKit"): recall_capped(hits, n),
    }
    means = {labels: values.mean() for labels, values in definitions.items()}
    table = pd.Series(means, name="value")
    return table.rename_axis(["metric", "definition", "used_by"]).reset_index()


def _ranks(hits: np.ndarray) -> np.ndarray:
    """Return the ranks of the places of a list, 1 to k."""
    return np.arange(1, hits.shape[1] + 1)


def _most_hits(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Return how many hits the best list of k places has: min(n, k) of each user."""
    return np.minimum(n_relevant, hits.shape[1])


def _precisions(hits: np.ndarray) -> np.ndarray:
    """Return the precision of the first 1 to k places: (n_users, k)."""
    return np.cumsum(hits, axis=1) / _ranks(hits)


def _precision_sum(hits: np.ndarray) -> np.ndarray:
    """Return sum_r h_r P@r of each user: the sum of the precisions at the ranks of the hits."""
    precisions_at_hits = _precisions(hits) * hits
    return precisions_at_hits.sum(axis=1)


def _normalised_gain(hits: np.ndarray, discount: np.ndarray, most_hits: np.ndarray) -> np.ndarray:
    """Return the discounted hits, divided by those of the best list: its hits stand first."""
    ideal = np.cumsum(discount)[most_hits - 1]
    return hits @ discount / ideal
