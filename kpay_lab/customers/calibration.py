"""Tell believable probabilities from others: calibration curve, slope and error."""

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
    y, p = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    edges = np.unique(np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1], method="higher"))
    bins = pd.DataFrame({"predicted": p, "observed": y}).groupby(np.searchsorted(edges, p, "right"))
    return bins.mean().assign(n=bins.size()).reset_index(drop=True)


def calibration_error(y: np.ndarray, p: np.ndarray, n_bins: int = 10) -> float:
    """Expected calibration error: the mean of abs(predicted − observed) over bins, by count."""
    curve = calibration_curve(y, p, n_bins)
    return float(np.average((curve["predicted"] - curve["observed"]).abs(), weights=curve["n"]))


def calibration_slope(y: np.ndarray, p: np.ndarray) -> float:
    """Slope of the outcome's log-odds on the predicted log-odds; 1 is right, below 1 too sure.

    NaN where all predictions are equal.

    References
    ----------
    Cox (1958), Two further applications of a model for binary regression.
    """
    scores = logit(np.clip(p, 1e-6, 1 - 1e-6))[:, None]
    if np.ptp(scores) == 0:
        return float("nan")
    return float(LogisticRegression(C=np.inf, max_iter=1000).fit(scores, y).coef_[0, 0])
