"""Turn pair totals into degrees of interest, and these into the interest matrix A.

A *sign of interest* is one kind of behaviour that speaks for interest, such as watching or
liking, as a number from 0 to 1. The degree of interest is the weighted mean of the signs.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, get_index_dtype

from kpay_lab.data.derived import orders_of_items, watched_share
from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.interest.totals import PairTotals, pair_totals
from kpay_lab.settings import Ranges, check_settings
from kpay_lab.stats import ratio

SIGNS = ("watch", "like", "comment", "progress", "rating", "purchase")
MARKS = ("like_count", "comment_count")  # columns that say little where they are 0
GRADED = ("watch_time", "progress", "rating")  # columns that tell more interest from less
SIGN_COLUMNS = (*GRADED, *MARKS)
WEIGHTINGS = ("auto", "interest", "binary", "counts", "rating", "bm25")


@dataclass(frozen=True, kw_only=True)
class InterestWeights:
    """How much each sign of interest counts.

    Only the ratios of the weights matter: those of the known signs are divided by their sum.

    Parameters
    ----------
    watch, like, comment, progress, rating, purchase : float
        Weights, 0 or more.
    half_like, half_comment : float
        The number of likes or comments for which the sign is 0.5.
    half_watch : float, optional
        The seconds of watching for which the sign is 0.5, used where a log has no durations; by
        default the mean over the pairs of the log.
    rating_scale : float, optional
        The best rating there is; by default the largest of the log.

    Raises
    ------
    ValueError
        If a weight or a half lies out of its range, or every weight is 0.
    """

    ranges: ClassVar[Ranges] = {
        **dict.fromkeys(SIGNS, (0.0, 1e9)),
        **dict.fromkeys(("half_like", "half_comment", "half_watch", "rating_scale"), (1e-6, 1e9)),
    }
    watch: float = 0.5
    like: float = 0.2
    comment: float = 0.1
    progress: float = 0.1
    rating: float = 0.1
    purchase: float = 0.0
    half_like: float = 1.0
    half_comment: float = 1.0
    half_watch: float | None = None
    rating_scale: float | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if not any(getattr(self, sign) for sign in SIGNS):
            raise ValueError("every weight is 0; give at least one sign of interest a weight")


def interest_signs(
    totals: PairTotals, weights: InterestWeights, bought: csr_array | None = None
) -> pd.DataFrame:
    r"""Return each sign of interest of each pair, from 0 to 1, one column a sign.

    .. math::
        \text{watch} = \min(1, w / d), \quad \text{like} = \frac{n}{n + h}, \quad
        \text{rating} = \min(1, \bar r / r_{max})

    with watch time w and duration d (seconds), n likes, the half h = ``half_like``, the mean
    rating :math:`\bar r` and the best rating :math:`r_{max}` = ``rating_scale``, by default the
    largest mean rating of a pair. A second like adds less than the first. ``comment`` follows
    the formula of ``like``, ``progress`` is the largest progress, and ``purchase`` is 1 where the
    user bought the item, else 0.

    If the log has no duration at all, watch follows the formula of ``like``: w / (w + h) with
    h = ``half_watch``, by default the mean watch time of a pair. NaN means that the log holds no
    value of this sign for this pair.

    Parameters
    ----------
    totals : PairTotals
    weights : InterestWeights
        Only the halves and the rating scale are used here; those that are None are taken
        from the totals.
    bought : csr_array of shape (n_users, n_items), optional
        Non-zero where the user bought the item.

    Returns
    -------
    DataFrame
        One row a pair; only the signs that the log has columns for.
    """
    pairs = totals.pairs
    scales = _scales_of(pairs)
    signs = pd.DataFrame(index=pairs.index)
    if "half_watch" in scales:
        half_watch = weights.half_watch or scales["half_watch"]
        signs["watch"] = _sign_of_count(pairs["watch_time"], half_watch)
    elif "watch_time" in pairs:
        # A replay says no more than watching whole.
        signs["watch"] = watched_share(pairs).clip(upper=1.0)
    if "like_count" in pairs:
        signs["like"] = _sign_of_count(pairs["like_count"], weights.half_like)
    if "comment_count" in pairs:
        signs["comment"] = _sign_of_count(pairs["comment_count"], weights.half_comment)
    if "progress" in pairs:
        signs["progress"] = pairs["progress"].clip(upper=1.0)
    if "rating" in pairs:
        best_rating = weights.rating_scale or scales["rating_scale"]
        share_of_best = _mean_ratings(pairs) / best_rating
        signs["rating"] = share_of_best.clip(upper=1.0)
    if bought is not None:
        is_bought = bought[pairs["user"], pairs["item"]] > 0
        signs["purchase"] = is_bought.astype(np.float64)
    return signs


def _sign_of_count(count: pd.Series, half: float) -> pd.Series:
    return count / (count + half)


def _mean_ratings(pairs: pd.DataFrame) -> pd.Series:
    n_ratings = pairs["n_ratings"].where(pairs["n_ratings"] > 0)  # NaN instead of 0
    return pairs["rating"] / n_ratings


def _scales_of(pairs: pd.DataFrame) -> dict[str, float]:
    """Return the scales of `InterestWeights` that this log needs, as its pairs have them.

    ``half_watch`` is needed where there is watch time and no duration. A scale of 0, where all
    is 0, becomes 1.
    """
    scales = {}
    has_durations = "duration" in pairs and pairs["duration"].max() > 0
    if "watch_time" in pairs and not has_durations:
        scales["half_watch"] = pairs["watch_time"].mean()
    if "rating" in pairs:
        scales["rating_scale"] = _mean_ratings(pairs).max()
    return {name: scale if scale > 0 else 1.0 for name, scale in scales.items()}


def fixed_scales(totals: PairTotals, weights: InterestWeights) -> InterestWeights:
    """Return the weights with the scales of this log in place of those that are None.

    So parts of a log are measured alike.

    >>> log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "rating": [4.0]})
    >>> float(fixed_scales(pair_totals(log), InterestWeights()).rating_scale)
    4.0
    """
    scales = _scales_of(totals.pairs)
    missing = {name: scale for name, scale in scales.items() if getattr(weights, name) is None}
    return replace(weights, **missing)


def describe_scales(totals: PairTotals, weights: InterestWeights | None = None) -> list[str]:
    """Say in plain sentences which scales the log itself has set, and how to set them."""
    weights = weights or InterestWeights()
    scales = _scales_of(totals.pairs)
    sentences = []
    if "half_watch" in scales and weights.half_watch is None:
        sentences.append(
            f"The log has no durations: {_rounded(scales['half_watch'])} seconds of watching count "
            "half, its mean (weights: half_watch)."
        )
    if "rating_scale" in scales and weights.rating_scale is None:
        sentences.append(
            f"A rating of {_rounded(scales['rating_scale'])} counts whole, the largest of the log "
            "(weights: rating_scale)."
        )
    return sentences


def _rounded(scale: float) -> str:
    """Write a number to three digits without an exponent: 4,001.2 becomes 4000."""
    return np.format_float_positional(scale, precision=3, fractional=False, trim="-")


def weights_table(signs: pd.DataFrame, weights: InterestWeights) -> pd.DataFrame:
    """Return the weight of each sign of a log, and its share of their sum.

    >>> signs = pd.DataFrame({"watch": [0.5], "like": [0.0]})
    >>> weights_table(signs, InterestWeights(watch=0.6, like=0.2)).round(2)
           weight  share of the sum
    sign
    watch     0.6              0.75
    like      0.2              0.25
    """
    weight = pd.Series({name: getattr(weights, str(name)) for name in signs}, dtype=float)
    shares = ratio(weight.to_numpy(), np.array(weight.sum()))
    columns = {"weight": weight, "share of the sum": shares}
    return pd.DataFrame(columns).rename_axis("sign")


def interest_degree(
    totals: PairTotals, weights: InterestWeights | None = None, bought: csr_array | None = None
) -> np.ndarray:
    r"""Degree of interest of each pair: the weighted mean of its known signs.

    .. math:: A_{ij} = \sum_s w_s x_{ijs} \Big/ \sum_s w_s, \quad s \text{ known for } (i, j)

    A sign that is not known for a pair is left out of both sums; it is not taken for 0. Where
    no sign is known the degree is 0.

    Parameters
    ----------
    totals, bought
        As in `interest_signs`.
    weights : InterestWeights, optional

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
    weight_of_sign = np.array([float(getattr(weights, sign)) for sign in signs])
    if not weight_of_sign.sum() > 0:
        raise ValueError(
            f"the events hold no weighted sign of interest ({', '.join(SIGN_COLUMNS)}); "
            "use weighting='binary'"
        )
    sum_of_weights = np.zeros(len(signs))
    weighted_sum = np.zeros(len(signs))
    for sign, weight in zip(signs, weight_of_sign, strict=True):
        degree = signs[sign].to_numpy()
        is_known = ~np.isnan(degree)
        sum_of_weights += weight * is_known
        weighted_sum += weight * np.where(is_known, degree, 0.0)
    return ratio(weighted_sum, sum_of_weights)


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
        ``interest`` is `interest_degree`; ``binary`` is 1 for every pair; ``counts`` is the
        number of events; ``rating`` is the sum of ratings; ``bm25`` is `bm25_weight` of the
        number of events. ``auto`` is `default_weighting`.
    weights : InterestWeights, optional
        Used by ``interest``.
    half_life_days : float, optional
        As in `pair_totals`: older events count less, in ``counts`` and ``rating`` too.
    users, items : pandas.Index, optional
        Every id, in order; by default every id of the tables.

    Raises
    ------
    ValueError
        If the weighting is unknown or the log lacks what it needs.
    """
    totals = pair_totals(tables.events, users=users, items=items, half_life_days=half_life_days)
    if users is None:
        users = _with_cold_ids(totals.users, tables)
    if items is None:
        items = _with_cold_ids(totals.items, tables)
    bought = _bought(tables, users, items)
    degrees = _weigh(totals, weighting, weights or InterestWeights(), bought)
    matrix = _sparse(totals.pairs, degrees, (len(users), len(items)))
    if weighting == "bm25":
        matrix = bm25_weight(matrix)
    return InterestMatrix(matrix, users, items)


def default_weighting(log: pd.DataFrame) -> str:
    """Return ``interest`` where a sign tells more interest from less, else ``binary``.

    Marks alone (likes, comments) tell no such thing: nearly every view has none, and would be
    an interest of 0.

    Parameters
    ----------
    log : DataFrame
        Events or their totals.

    Examples
    --------
    >>> default_weighting(pd.DataFrame({"watch_time": [60.0, 5.0], "like_count": [0, 1]}))
    'interest'
    >>> default_weighting(pd.DataFrame({"like_count": [0, 1]}))
    'binary'
    """
    is_graded = any(column in log and log[column].notna().any() for column in GRADED)
    return "interest" if is_graded else "binary"


def bm25_weight(
    counts: csr_array, *, saturation: float = 100.0, by_length: float = 0.8
) -> csr_array:
    r"""Weigh numbers of events as text search weighs words: rare items and short histories more.

    .. math:: \ln\left(1 + \frac{N - n_i + 1/2}{n_i + 1/2}\right)
        \frac{c_{ui} (K + 1)}{c_{ui} + K (1 - B + B\, l_u / \bar l)}

    with the count :math:`c_{ui}`, N users of whom :math:`n_i` met the item, and the user's number
    of events :math:`l_u` with its mean :math:`\bar l`. The logarithm is above 0 for every item,
    also for one that everybody met; the older :math:`\ln(N / (n_i + 1))` is not.

    Parameters
    ----------
    counts : csr_array of shape (n_users, n_items)
    saturation : float
        K: the larger, the more a repeated event still adds.
    by_length : float
        B, from 0 to 1: how much a long history takes from its items.

    References
    ----------
    Robertson and Zaragoza (2009), The probabilistic relevance framework: BM25 and beyond.

    Examples
    --------
    >>> bool(bm25_weight(csr_array([[1.0, 1.0], [1.0, 0.0]])).data.min() > 0)
    True
    """
    n_users, n_items = counts.shape
    n_met = np.bincount(counts.indices, minlength=n_items)
    rarity = np.log1p((n_users - n_met + 0.5) / (n_met + 0.5))
    lengths = counts.sum(axis=1)
    relative_length = ratio(lengths, lengths.mean())
    slowness = saturation * (1 - by_length + by_length * relative_length)
    n_stored = np.diff(counts.indptr)
    slowness_of_cell = np.repeat(slowness, n_stored)
    saturated = counts.data * (saturation + 1) / (counts.data + slowness_of_cell)
    weights = saturated * rarity[counts.indices]
    return csr_array((weights, counts.indices, counts.indptr), shape=counts.shape)


def _with_cold_ids(event_ids: pd.Index, tables: Tables) -> pd.Index:
    """Append the ids that only the other tables have: the same index as `Tables.ids`.

    The ids of the events are distinct already, so the events are not read again.
    """
    other_tables = tables.with_events(tables.events.head(0))
    other_ids = other_tables.ids(str(event_ids.name)).astype(event_ids.dtype)
    cold_ids = other_ids.difference(event_ids, sort=False)
    return event_ids.append(cold_ids)


def _bought(tables: Tables, users: pd.Index, items: pd.Index) -> csr_array | None:
    """Return how often each user ordered each item; None where no order names its item."""
    if tables.orders is None or "item_id" not in tables.orders:
        return None
    orders = orders_of_items(tables.orders)
    ones = np.ones(len(orders))
    bought = InterestMatrix.from_pairs(
        orders["user_id"], orders["item_id"], ones, users=users, items=items
    )
    return bought.values


def _weigh(
    totals: PairTotals, weighting: str, weights: InterestWeights, bought: csr_array | None
) -> np.ndarray:
    """Return one value a pair: float array of shape (n_pairs,)."""
    pairs = totals.pairs
    if weighting == "auto":
        weighting = default_weighting(pairs)
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


def _sparse(pairs: pd.DataFrame, values: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """Build the CSR matrix of one value a pair; the pairs are sorted by user, then item."""
    n_users, n_items = shape
    users_and_end = np.arange(n_users + 1)
    row_starts = np.searchsorted(pairs["user"], users_and_end)
    largest_number = max(len(values), n_items)
    index_dtype = get_index_dtype(maxval=largest_number)  # the smallest that fits
    columns = pairs["item"].to_numpy(index_dtype)
    return csr_array((values, columns, row_starts.astype(index_dtype)), shape=shape)
