"""The value of a list: the revenue of its hits, and its regret where true interest is known."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.derived import orders_of_items
from kpay_lab.data.money import has_amounts, net_amount
from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.split import Split
from kpay_lab.evaluate.ties import inclusion
from kpay_lab.findings import Finding
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Ties, TopK, largest, users_at_once
from kpay_lab.stats import t_interval


def net_revenue(orders: pd.DataFrame, users: pd.Index, items: pd.Index) -> csr_array:
    """Money paid for each (user, item), less what was paid back: (n_users, n_items).

    An order without an item or an amount is no revenue of an item.
    """
    of_items = orders_of_items(orders)
    net = net_amount(of_items).fillna(0.0).to_numpy()
    buyers = of_items["user_id"]
    bought = of_items["item_id"]
    matrix = InterestMatrix.from_pairs(buyers, bought, net, users=users, items=items)
    return matrix.values


def has_revenue(tables: Tables) -> bool:
    """Whether some order names its item and says what was paid for it."""
    return tables.orders is not None and has_amounts(orders_of_items(tables.orders))


def held_back_revenue(tables: Tables, split: Split) -> csr_array:
    """Net revenue of the test part: the orders that training did not know."""
    train = split.train
    known_orders = train.tables.orders if train.tables is not None else None
    if tables.orders is None or known_orders is None:
        raise ValueError("revenue needs an orders table, and these tables have none")
    if not has_revenue(tables):
        raise ValueError("revenue needs orders with an item and an amount; these have none")
    later = tables.orders.drop(index=known_orders.index)
    return net_revenue(later, train.interest.users, train.interest.items)


def revenue(
    items: np.ndarray, paid: csr_array, *, ties: Ties | None = None, k: int | None = None
) -> np.ndarray:
    """Sum over each list (n, length) what the user paid for the items: ``paid`` (n, n_items).

    It credits a model with sales that would have happened anyway; only an experiment shows
    what the model causes.

    Parameters
    ----------
    ties : Ties, optional
        Of the lists: the sum is then the mean over every order of tied items.
    k : int, optional
        Places that count, by default all.

    >>> revenue(np.array([[1, 0], [1, -1]]), csr_array([[0.0, 99.0, 5.0], [10.0, 0.0, 7.0]]))
    array([99.,  0.])
    """
    n_places = items.shape[1] if k is None else k
    shown = inclusion(items, ties, n_places, paid.shape[1])
    return np.asarray(paid.multiply(shown).sum(axis=1)).ravel()


def true_regret(
    items: np.ndarray,
    interest: np.ndarray,
    seen: csr_array,
    candidates: np.ndarray,
    *,
    ties: Ties | None = None,
) -> np.ndarray:
    r"""True interest that the best possible list would have had beyond this one, a place.

    .. math:: \text{regret}_u = \frac{1}{k} \Big( \max_{|L| = k} \sum_{i \in L} I_{ui}
        - \sum_{i \in \text{list}_u} I_{ui} \Big)

    with L among the candidates the user had not met. 0: nothing better could be shown.
    A list that ran short loses what its empty places could have held.

    Parameters
    ----------
    items : int array of shape (n, k)
        Lists of item positions, -1 where they ran short.
    interest : float array of shape (n, n_items)
        True degrees of interest, row for row.
    seen : csr_array of shape (n, n_items)
        What was withheld from each list.
    candidates : bool array of shape (n_items,) or (n, n_items)
        Of everybody, or of each list (`Split.is_candidate`).
    ties : Ties, optional
        Of the lists: the regret is then the mean over every order of tied items.

    Returns
    -------
    float array of shape (n,)

    Examples
    --------
    >>> true_regret(np.array([[1]]), np.array([[0.9, 0.2, 0.7]]), csr_array([[1, 0, 0]]),
    ...             np.array([True, True, True])).round(2)
    array([0.5])
    """
    available = np.where(candidates, interest, 0.0)
    available[seen.tocoo().coords] = 0.0
    n_items = available.shape[1]
    k = items.shape[1]
    best_items = largest(available, min(k, n_items))
    best = np.take_along_axis(available, best_items, axis=1)
    shown = inclusion(items, ties, k, n_items)
    interest_shown = np.asarray(shown.multiply(available).sum(axis=1)).ravel()
    lost = best.sum(axis=1) - interest_shown
    return lost / k


def true_regrets(
    lists: Mapping[str, TopK],
    split: Split,
    interest: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the `true_regret` of each model's lists, a batch of users at a time.

    Parameters
    ----------
    lists : mapping of model to TopK
        One list for each evaluated user of the split, in their order.
    interest : float array
        True degrees of interest.
    rows : int array of shape (n_evaluated,)
        The row of ``interest`` of each evaluated user.
    columns : int array of shape (n_items,)
        The column of ``interest`` of each item of the split.

    Returns
    -------
    dict of model to float array of shape (n_evaluated,)
    """
    users = split.users
    batch_size = users_at_once(len(columns))
    of_batches: dict[str, list[np.ndarray]] = {name: [] for name in lists}
    for start in range(0, len(users), batch_size):
        batch = slice(start, start + batch_size)
        wanted = interest[np.ix_(rows[batch], columns)]
        met = split.seen[users[batch]]
        offered = split.is_candidate(users[batch])
        for name, top in lists.items():
            part = top.part(batch)
            regret = true_regret(part.items, wanted, met, offered, ties=part.ties)
            of_batches[name].append(regret)
    return {name: np.concatenate(regrets) for name, regrets in of_batches.items()}


def truth_findings(ndcg: pd.Series, regrets: Mapping[str, np.ndarray]) -> list[Finding]:
    """Return whether the model that is best by the log is best by the truth too.

    Parameters
    ----------
    ndcg : Series
        Mean NDCG by model.
    regrets : mapping of model to array of shape (n_users,)
        As from `true_regret`, of the same users.
    """
    regret = pd.Series({name: values.mean() for name, values in regrets.items()})
    if len(regret) < 2:
        return []
    best = ndcg.idxmax()
    least = regret.idxmin()
    regret_beyond = regrets[best] - regrets[least]
    lost = t_interval(regret_beyond)
    values = {"best": best, "least": least, "n_models": len(regret)}
    values["regret"] = regret[best]
    values["least_regret"] = regret[least]
    values["difference"] = lost.estimate
    has_interval = np.isfinite(lost.low)
    values["low"] = lost.low if has_interval else lost.estimate
    values["high"] = lost.high if has_interval else lost.estimate
    by_log = ndcg.reindex(regret.index).rank(ascending=False, method="min")
    by_truth = regret.rank(method="min")
    places_apart = (by_log - by_truth).abs()
    moved = places_apart.idxmax()
    values["moved"] = moved
    values["offline"] = int(by_log[moved])
    values["truly"] = int(by_truth[moved])
    level = "good" if best == least else "watch"
    return [Finding("comparison/truth", level, values, place="regret")]
