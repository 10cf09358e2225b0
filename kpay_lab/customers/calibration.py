"""Calibration of predicted probabilities: curve, slope and expected error."""

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression


def calibration_curve(y: np.ndarray, p: np.ndarray, n_bins: int = 10) -> pd.DataFrame:
    """Compare predicted and observed shares in bins of equal count (equal p stays together).

    Parameters
    ----------
    y : 0/1 array (n,)
    p : float array (n,)
        Predicted probabilities.

    Returns
    -------
    DataFrame
        predicted, observed, n; one row a bin.

    Examples
    --------
    >>> calibration_curve(np.array([0, 0, 0, 1]), np.array([.1, .1, .6, .6]), 2)
       predicted  observed  n
    0        0.1       0.0  2
    1        0.6       0.5  2
    """
    predicted = np.asarray(p, dtype=np.float64)
    observed = np.asarray(y, dtype=np.float64)
    inner_levels = np.linspace(0, 1, n_bins + 1)[1:-1]
    quantiles = np.quantile(predicted, inner_levels, method="higher")
    edges = np.unique(quantiles)
    bin_of_row = np.searchsorted(edges, predicted, "right")
    bins = pd.DataFrame({"predicted": predicted, "observed": observed}).groupby(bin_of_row)
    curve = bins.mean()
    curve["n"] = bins.size()
    return curve.reset_index(drop=True)


def calibration_error(y: np.ndarray, p: np.ndarray, n_bins: int = 10) -> float:
    """Expected calibration error: the mean of abs(predicted − observed) over bins, by count."""
    curve = calibration_curve(y, p, n_bins)
    error = (curve["predicted"] - curve["observed"]).abs()
    return float(np.average(error, weights=curve["n"]))


def calibration_slope(y: np.ndarray, p: np.ndarray) -> float:
    """Slope of the outcome's log-odds on the predicted log-odds: 1 is right.

    Below 1 the predictions are overconfident. NaN where all predictions are equal.

    References
    ----------
    Cox (1958), Two further applications of a model for binary regression.
    """
    clipped = np.clip(p, 1e-6, 1 - 1e-6)  # the log-odds of 0 and 1 are infinite
    log_odds = logit(clipped)[:, None]
    if np.ptp(log_odds) == 0:
        return float("nan")
    regression = LogisticRegression(C=np.inf, max_iter=1000)
    regression.fit(log_odds, y)
    return float(regression.coef_[0, 0])
