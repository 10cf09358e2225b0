"""How much the interest matrix depends on the weights somebody chose."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import spearmanr

from kpay_lab.interest.totals import PairTotals
from kpay_lab.interest.weighting import SIGNS, InterestWeights, interest_degree, interest_signs


def weight_sensitivity(
    totals: PairTotals,
    weights: InterestWeights,
    *,
    k: int = 5,
    bought: csr_array | None = None,
) -> pd.DataFrame:
    """Leave out or double each sign's weight and compare the interest that results.

    Parameters
    ----------
    totals : PairTotals
    weights : InterestWeights
        The choice under test.
    k : int
        Length of the lists compared.

    Returns
    -------
    DataFrame
        One row a change: ``change``; ``rank_correlation``, Spearman's rho of all degrees with
        the unchanged ones; ``overlap@k``, the mean share of a user's k favourite items that
        stay. Only users with more than k items count for the overlap (NaN without any).
    """
    base = interest_degree(totals, weights, bought)
    favourites = _favourites(totals, base, k)
    rows = []
    present = interest_signs(totals, weights, bought).columns
    for sign in (sign for sign in SIGNS if sign in present and weights.of_sign(sign) > 0):
        for words, factor in (("without", 0.0), ("doubled", 2.0)):
            changed_weights = {sign: weights.of_sign(sign) * factor}
            if factor == 0 and len(present) == 1:
                continue
            degree = interest_degree(totals, replace(weights, **changed_weights), bought)
            stay = np.isin(_favourites(totals, degree, k), favourites)
            rows.append(
                {
                    "change": f"{sign} {words}",
                    "rank_correlation": spearmanr(base, degree).statistic,
                    f"overlap@{k}": stay.mean() if len(stay) else np.nan,
                }
            )
    return pd.DataFrame(rows)


def _favourites(totals: PairTotals, degree: np.ndarray, k: int) -> np.ndarray:
    """Row numbers of the k strongest pairs of each user who has more than k."""
    user = totals.pairs["user"].to_numpy()
    order = np.lexsort((totals.pairs["item"].to_numpy(), -degree, user))
    counts = np.bincount(user)
    first = np.cumsum(counts) - counts
    rank = np.arange(len(order)) - first[user[order]]
    return order[(rank < k) & (counts[user[order]] > k)]
