"""Pair totals to a degree of interest, and the interest matrix A made of it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, get_index_dtype

from kpay_lab.data.derived import watched_share
from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.interest.totals import PairTotals, pair_totals
from kpay_lab.settings import Ranges, check_settings

SIGNS = ("watch", "like", "comment", "progress", "rating", "purchase")
WEIGHTINGS = ("auto", "interest", "binary", "counts", "rating", "bm25")


@dataclass(frozen=True, kw_only=True)
class InterestWeights:
    """How much each sign of interest counts; the weights of the signs present are scaled to 1.

    Parameters
    ----------
    watch, like, comment, progress, rating, purchase : float
        Weights, 0 or more.
    half_like, half_comment : float
        The number of likes or comments that earns half of the full sign.
    rating_scale : float
        The best rating there is.

    Raises
    ------
    ValueError
        If a weight or a half lies out of its range, or every weight is 0.
    """

    ranges: ClassVar[Ranges] = {
        **dict.fromkeys(SIGNS, (0.0, 1e9)),
        **dict.fromkeys(("half_like", "half_comment", "rating_scale"), (1e-6, 1e9)),
    }
    watch: float = 0.5
    like: float = 0.2
    comment: float = 0.1
    progress: float = 0.1
    rating: float = 0.1
    purchase: float = 0.0
    half_like: float = 1.0
    half_comment: float = 1.0
    rating_scale: float = 5.0

    def __post_init__(self) -> None:
        check_settings(self)
        if not any(getattr(self, sign) for sign in SIGNS):
            raise ValueError("every weight is 0; give at least one sign of interest a weight")


def interest_signs(
    totals: PairTotals, weights: InterestWeights, bought: csr_array | None = None
) -> pd.DataFrame:
    r"""Each sign of interest on a scale from 0 to 1, one column a sign.

    .. math::
        \text{watch} = \min(1, w / d), \quad \text{like} = \frac{n}{n + h}, \quad
        \text{rating} = \min(1, \bar r / r_{max})

    with watch time w, duration d, n likes and the half h (comments likewise): the first like
    says most. Without any duration in the log, watch is the share of the user's own watch
    time. NaN means that the log is silent on this sign for this pair.

    Parameters
    ----------
    totals : PairTotals
    weights : InterestWeights, of which the halves and the rating scale are used
    bought : csr_array of shape (n_users, n_items), optional
        Non-zero where the user bought the item.

    Returns
    -------
    DataFrame
        One row a pair; only the columns on which the log speaks.
    """
    pairs = totals.pairs
    signs = pd.DataFrame(index=pairs.index)
    if "watch_time" in pairs:
        signs["watch"] = _sign_of_watching(pairs)
    for sign, half in {"like": weights.half_like, "comment": weights.half_comment}.items():
        if (count := f"{sign}_count") in pairs:
            signs[sign] = pairs[count] / (pairs[count] + half)
    if "progress" in pairs:
        signs["progress"] = pairs["progress"].clip(upper=1.0)
    if "rating" in pairs:
        mean_rating = pairs["rating"] / pairs["n_ratings"].where(pairs["n_ratings"] > 0)
        signs["rating"] = (mean_rating / weights.rating_scale).clip(upper=1.0)
    if bought is not None:
        signs["purchase"] = (bought[pairs["user"], pairs["item"]] > 0).astype(np.float64)
    return signs


def _sign_of_watching(pairs: pd.DataFrame) -> pd.Series:
    if "duration" in pairs and pairs["duration"].gt(0).any():
        return watched_share(pairs).clip(upper=1.0)  # a replay says no more than watching whole
    own = pairs.groupby("user")["watch_time"].transform("sum")
    return pairs["watch_time"] / own.where(own > 0)


def interest_degree(
    totals: PairTotals, weights: InterestWeights | None = None, bought: csr_array | None = None
) -> np.ndarray:
    r"""Degree of interest of each pair: the weighted mean of its known signs.

    .. math:: A_{ij} = \sum_s w_s x_{ijs} \Big/ \sum_s w_s, \quad s \text{ known for } (i, j)

    A sign on which the log is silent is left out and the other weights grow; it is not taken
    for 0. Where no sign is known the degree is 0.

    Returns
    -------
    ndarray of shape (n_pairs,), in [0, 1]

    Raises
    ------
    ValueError
        If the log has no sign of interest with a weight, only ids.

    Notes
    -----
    Document A, section 4.2, asks for A_ij and leaves its making open; this is our choice.
    """
    weights = weights or InterestWeights()
    signs = interest_signs(totals, weights, bought)
    weight = np.array([getattr(weights, sign) for sign in signs.columns], dtype=np.float64)
    if not weight.sum() > 0:
        raise ValueError(
            "the events hold no weighted sign of interest (watch_time, like_count, comment_count, "
            "progress, rating); use weighting='binary'"
        )
    known = signs.notna().to_numpy() * weight
    total = known.sum(axis=1)
    summed = (signs.fillna(0.0).to_numpy() * weight).sum(axis=1)
    return np.divide(summed, total, out=np.zeros_like(total), where=total > 0)


def interest_matrix(
    tables: Tables,
    *,
    weighting: str = "auto",
    weights: InterestWeights | None = None,
    half_life_days: float | None = None,
    users: pd.Index | None = None,
    items: pd.Index | None = None,
) -> InterestMatrix:
    """Build A from the tables: totals, then weighting, then the matrix.

    Parameters
    ----------
    weighting : {"auto", "interest", "binary", "counts", "rating", "bm25"}
        ``interest`` is `interest_degree`; ``binary`` 1 for every pair; ``counts`` the number
        of events; ``rating`` the sum of ratings (with a half-life: the faded sum); ``bm25``
        counts damped by length and item rarity (Robertson and Zaragoza, 2009). ``auto`` is
        ``interest`` where the log has a sign of interest, else ``binary``.
    users, items : pandas.Index, optional
        Every id, in order; by default every id of the tables.

    Raises
    ------
    ValueError
        If the weighting is unknown or the log lacks what it needs.
    """
    totals = pair_totals(tables.events, users=users, items=items, half_life_days=half_life_days)
    rest = tables.with_events(tables.events.head(0))
    users = _every_id(totals.users, rest) if users is None else users
    items = _every_id(totals.items, rest) if items is None else items
    values = _weigh(totals, weighting, weights or InterestWeights(), _bought(tables, users, items))
    matrix = _rows(totals.pairs, values, (len(users), len(items)))
    if weighting == "bm25":
        from implicit.nearest_neighbours import bm25_weight

        matrix = csr_array(bm25_weight(matrix.astype(np.float64)))
    return InterestMatrix(matrix, users, items)


def _every_id(logged: pd.Index, rest: Tables) -> pd.Index:
    """The ids of the log, then those that only the other tables know: `Tables.ids`."""
    others = pd.Index(rest.ids(str(logged.name)), dtype=logged.dtype)
    return logged.append(others.difference(logged, sort=False))


def _bought(tables: Tables, users: pd.Index, items: pd.Index) -> csr_array | None:
    if tables.orders is None:
        return None
    pairs = tables.orders["user_id"], tables.orders["item_id"]
    ones = np.ones(len(tables.orders))
    return InterestMatrix.from_pairs(*pairs, ones, users=users, items=items).values


def _weigh(
    totals: PairTotals, weighting: str, weights: InterestWeights, bought: csr_array | None
) -> np.ndarray:
    pairs = totals.pairs
    has_sign = {"watch_time", "like_count", "comment_count", "progress", "rating"} & set(pairs)
    if weighting == "auto":
        weighting = "interest" if has_sign else "binary"
    if weighting == "interest":
        return interest_degree(totals, weights, bought)
    if weighting == "binary":
        return np.ones(len(pairs))
    if weighting in ("counts", "bm25"):
        return pairs["n_events"].to_numpy(dtype=np.float64)
    if weighting == "rating":
        if "rating" not in pairs:
            raise ValueError("weighting is 'rating', but the events have no rating column")
        return pairs["rating"].fillna(0.0).to_numpy()
    raise ValueError(f"weighting is {weighting!r}; choose one of {', '.join(WEIGHTINGS)}")


def _rows(pairs: pd.DataFrame, values: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """Lay the pairs' values, sorted by user, into rows, with the smallest index type that fits."""
    starts = np.searchsorted(pairs["user"], np.arange(shape[0] + 1))
    kind = get_index_dtype(maxval=max(len(values), shape[1]))
    return csr_array((values, pairs["item"].to_numpy(kind), starts.astype(kind)), shape=shape)
