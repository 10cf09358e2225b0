"""Calibration of predicted probabilities: curve, slope and expected error."""

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from kpay_lab.stats import Interval


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
    log_odds = _log_odds(p)
    if np.ptp(log_odds) == 0:
        return float("nan")
    return float(_fitted(y, log_odds).coef_[0, 0])


def slope_interval(
    y: np.ndarray, p: np.ndarray, users: np.ndarray, *, level: float = 0.95
) -> Interval:
    """`calibration_slope` with an interval for rows that come in users.

    The standard error is the sandwich of the logistic regression, with the scores of a user's
    rows added up. NaN throughout where all predictions are equal, NaN ends where there is one
    user or one label.

    Parameters
    ----------
    users : array of shape (n,)
        The user of each row.

    References
    ----------
    Liang & Zeger (1986), Longitudinal data analysis using generalized linear models.
    """
    log_odds = _log_odds(p)
    user, user_ids = pd.factorize(np.asarray(users))
    if np.ptp(log_odds) == 0:
        return Interval(np.nan, np.nan, np.nan)
    regression = _fitted(y, log_odds)
    slope = float(regression.coef_[0, 0])
    fitted = regression.predict_proba(log_odds[:, None])[:, 1]
    design = np.column_stack([np.ones(len(log_odds)), log_odds])
    information = design.T @ (design * (fitted * (1 - fitted))[:, None])
    residual = np.asarray(y) - fitted
    n_users = len(user_ids)
    scores = [np.bincount(user, column * residual, n_users) for column in design.T]
    score_of_user = np.column_stack(scores)
    if n_users < 2 or np.linalg.cond(information) > 1e12:
        return Interval(slope, np.nan, np.nan)
    inverse = np.linalg.inv(information)
    spread = n_users / (n_users - 1) * score_of_user.T @ score_of_user
    covariance = inverse @ spread @ inverse
    width = norm.ppf((1 + level) / 2) * np.sqrt(covariance[1, 1])
    return Interval(slope, slope - width, slope + width)


def _log_odds(p: np.ndarray) -> np.ndarray:
    clipped = np.clip(p, 1e-6, 1 - 1e-6)  # the log-odds of 0 and 1 are infinite
    return logit(clipped)


def _fitted(y: np.ndarray, log_odds: np.ndarray) -> LogisticRegression:
    """Regress the outcome on the predicted log-odds."""
    regression = LogisticRegression(C=np.inf, max_iter=1000)
    return regression.fit(log_odds[:, None], y)
