"""How much the interest matrix depends on the weights somebody chose."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from kpay_lab.findings import Finding
from kpay_lab.interest.totals import PairTotals
from kpay_lab.interest.weighting import InterestWeights, interest_degree, interest_signs
from kpay_lab.stats import correlation, sample_rows

STEADY = 0.9  # rank correlation from which on an order counts as the same


def totals_of_some_users(
    totals: PairTotals, most_users: int, *, rng: np.random.Generator
) -> PairTotals:
    """Draw at most ``most_users`` of the users with pairs by chance, and keep all pairs of theirs.

    The totals come back as they are where no more users have pairs; nothing is drawn then.
    """
    users = totals.pairs["user"].unique()
    if len(users) <= most_users:
        return totals
    drawn = users[sample_rows(len(users), most_users, rng=rng)]
    of_drawn = totals.pairs["user"].isin(drawn)
    pairs = totals.pairs[of_drawn].reset_index(drop=True)
    return replace(totals, pairs=pairs)


def sample_findings(some: PairTotals, totals: PairTotals) -> list[Finding]:
    """Return how many people were asked how much the order depends on the weights; none for all.

    Parameters
    ----------
    some : PairTotals
        Of `totals_of_some_users`.
    totals : PairTotals
        Those they were drawn from.
    """
    n_asked = some.pairs["user"].nunique()
    n_users = totals.pairs["user"].nunique()
    if n_asked == n_users:
        return []
    values = {"n_asked": n_asked, "n_users": n_users, "n_pairs": len(some.pairs)}
    return [Finding("interest/sample", "plain", values, place="sensitivity")]


def weight_sensitivity(totals: PairTotals, weights: InterestWeights, *, k: int = 5) -> pd.DataFrame:
    """Leave out or double each sign's weight and compare the interest that results.

    Parameters
    ----------
    totals : PairTotals
    weights : InterestWeights
        The choice under test. Where the totals are those of some users, its scales are fixed
        (`weighting.fixed_scales`) by the totals of all.
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
    favourite_pairs = _favourite_pairs(totals, base, k)
    rows = []
    for change, changed in _changes(totals, weights):
        degree = interest_degree(totals, changed)
        changed_favourites = _favourite_pairs(totals, degree, k)
        stays = np.isin(changed_favourites, favourite_pairs)
        overlap = stays.mean() if len(stays) else np.nan
        row = {
            "change": change,
            "rank_correlation": correlation(base, degree, ranks=True),
            f"overlap@{k}": overlap,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def sensitivity_findings(changes: pd.DataFrame) -> list[Finding]:
    """Return how much the order of interests depends on the weights, by the change that moves most.

    Parameters
    ----------
    changes : DataFrame
        Of `weight_sensitivity`; changes without a correlation say nothing.
    """
    known = changes.dropna(subset="rank_correlation")
    if known.empty:
        return []
    most = known.loc[known["rank_correlation"].idxmin()]
    sign, _, how = most["change"].rpartition(" ")
    values = {"sign": sign, "how": how, "correlation": most["rank_correlation"]}
    level = "good" if most["rank_correlation"] >= STEADY else "watch"
    return [Finding("interest/weights", level, values | {"steady": STEADY}, place="sensitivity")]


def _changes(totals: PairTotals, weights: InterestWeights) -> Iterator[tuple[str, InterestWeights]]:
    """Yield each change in words with the weights that result; the last sign is not left out."""
    signs = interest_signs(totals, weights).columns
    for sign in signs:
        weight = getattr(weights, sign)
        if not weight > 0:
            continue
        if len(signs) > 1:
            yield f"{sign} without", replace(weights, **{sign: 0.0})
        yield f"{sign} doubled", replace(weights, **{sign: weight * 2.0})


def _favourite_pairs(totals: PairTotals, degree: np.ndarray, k: int) -> np.ndarray:
    """Return the row numbers of the k strongest pairs of each user who has more than k.

    A row number names the user too, so lists of all users can be compared at once.
    """
    strongest_first = np.lexsort((-degree, totals.pairs["user"]))
    user = totals.pairs["user"].iloc[strongest_first]
    pairs_of_user = user.groupby(user)
    is_favourite = pairs_of_user.cumcount() < k
    has_choice = pairs_of_user.transform("size") > k
    return user.index[is_favourite & has_choice].to_numpy()
