"""Users of one kind, to hold against the users there are: a reference without groups.

A grouping is evidence of kinds only where the same method finds less in a crowd without any.
That crowd must be like the users in all that is not a group: a long cloud is cut in two as
easily as two clouds. So the reference keeps how the features go together, and the shape of
each feature, its skew and its tails; what it drops is a second hump.
"""

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.isotonic import isotonic_regression


def one_crowd(values: np.ndarray, *, n_draws: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw crowds of one kind that have the correlations and the skew of ``values``.

    A Gaussian copula with the correlation of the normal scores, and `one_mode` of each column.
    Source: Liu et al. (2008), Statistical significance of clustering for high-dimension, low
    sample size data, whose reference is one Gaussian with the data's covariance.

    Parameters
    ----------
    values : float array of shape (n_users, n_features)
    n_draws : int
        Number of crowds.

    Returns
    -------
    list of float arrays of shape (n_users, n_features)
    """
    n_users, n_features = values.shape
    quantile = (rankdata(values, axis=0) - 0.5) / n_users
    scores = norm.ppf(quantile)
    covariance = np.atleast_2d(np.cov(scores, rowvar=False))
    deviation = scores.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)
    rising = np.apply_along_axis(one_mode, 0, values)
    quantile_of_rising = (np.arange(n_users) + 0.5) / n_users
    centre = np.zeros(n_features)
    crowds = []
    for _ in range(n_draws):
        drawn = rng.multivariate_normal(centre, covariance, n_users, method="eigh")
        drawn_quantile = norm.cdf(drawn / scale)
        crowd = np.empty_like(values)
        for column in range(n_features):
            crowd[:, column] = np.interp(
                drawn_quantile[:, column], quantile_of_rising, rising[:, column]
            )
        crowds.append(crowd)
    return crowds


def one_mode(values: np.ndarray) -> np.ndarray:
    """Return a sample (n,) in rising order, spread anew so that it has one hump only.

    The gaps between neighbours are made to shrink towards the mode and to grow behind it, as
    near as can be to those there are; the ends and the mode stay in their places. This is the
    distribution of one mode most likely to give the sample. The mode is the middle of the
    shortest interval that holds half of it. Source: Grenander (1956), On the theory of
    mortality measurement.

    >>> one_mode(np.array([0.0, 1.0, 2.0, 9.0, 10.0]))
    array([ 0.,  1.,  2.,  6., 10.])
    """
    rising = np.sort(values)
    n_half = len(rising) // 2
    widths_of_halves = rising[n_half:] - rising[: len(rising) - n_half]
    mode = int(np.argmin(widths_of_halves)) + n_half // 2
    gaps = np.diff(rising)
    before_mode = gaps[:mode]
    behind_mode = gaps[mode:]
    if len(before_mode):
        gaps[:mode] = isotonic_regression(before_mode, increasing=False)
    if len(behind_mode):
        gaps[mode:] = isotonic_regression(behind_mode, increasing=True)
    steps = np.append(rising[0], gaps)
    return np.cumsum(steps)
