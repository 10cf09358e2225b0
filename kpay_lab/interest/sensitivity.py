"""How much the interest matrix depends on the weights somebody chose."""

from dataclasses import replace

import numpy as np
import pandas as pd

from kpay_lab.interest.totals import PairTotals
from kpay_lab.interest.weighting import InterestWeights, interest_degree, interest_signs
from kpay_lab.stats import correlation


def weight_sensitivity(totals: PairTotals, weights: InterestWeights, *, k: int = 5) -> pd.DataFrame:
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
        the unchanged ones (NaN where one of the two does not vary); ``overlap@k``, the mean
        share of a user's k favourite items that stay. Only users with more than k items count
        for the overlap (NaN without any).
    """
    base = interest_degree(totals, weights)
    favourites = _favourites(totals, base, k)
    present = interest_signs(totals, weights).columns
    changes = [
        (sign, words, factor)
        for sign in present
        for words, factor in (("without", 0.0), ("doubled", 2.0))
        if getattr(weights, sign) > 0 and (factor > 0 or len(present) > 1)
    ]
    rows = []
    for sign, words, factor in changes:
        changed = replace(weights, **{sign: getattr(weights, sign) * factor})
        degree = interest_degree(totals, changed)
        stay = np.isin(_favourites(totals, degree, k), favourites)
        overlap = stay.mean() if len(stay) else np.nan
        rows.append((f"{sign} {words}", correlation(base, degree, ranks=True), overlap))
    return pd.DataFrame(rows, columns=["change", "rank_correlation", f"overlap@{k}"])


def _favourites(totals: PairTotals, degree: np.ndarray, k: int) -> np.ndarray:
    """Row numbers of the k strongest pairs of each user who has more than k."""
    user = totals.pairs["user"].iloc[np.lexsort((-degree, totals.pairs["user"]))]
    of_user = user.groupby(user)
    return user.index[(of_user.cumcount() < k) & (of_user.transform("size") > k)].to_numpy()
