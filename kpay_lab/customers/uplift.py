"""Who buys because we acted, and not merely who buys."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.customers.models import conversion_models
from kpay_lab.customers.purchases import PurchaseData
from kpay_lab.data.tables import TooLittleError


@dataclass(frozen=True)
class Uplift:
    """Predicted effect of treating each row; treated and untreated purchase probabilities."""

    effect: np.ndarray
    treated: np.ndarray
    untreated: np.ndarray


def lacking(train: PurchaseData, test: PurchaseData) -> str:
    """Say what keeps `t_learner` from learning or being judged; nothing where nothing does."""
    if "treatment" not in train.X or train.X["treatment"].nunique() < 2:
        return "no treatment was recorded, so what would have happened anyway is unknown"
    for arm, words in enumerate(("without", "with")):
        own = (train.X["treatment"] == arm).to_numpy()
        if len(np.unique(train.y[own])) < 2:
            return f"the {own.sum():,} training rows {words} a coupon are all alike in outcome"
        if not (test.X["treatment"] == arm).any():
            return f"no row {words} a coupon is left to judge on"
    return ""


def t_learner(
    train: PurchaseData,
    test: PurchaseData,
    *,
    model: str = "logistic regression",
    n_groups: int = 4,
    seed: int = 0,
) -> Uplift:
    """Fit one model to treated and one to untreated rows; the effect is their difference.

    Rows whose treatment is missing (before the experiment) are left out of training.

    Raises
    ------
    TooLittleError
        If the data has no treatment, or an arm has no purchase or nothing but purchases.

    References
    ----------
    Künzel et al. (2019), Metalearners for estimating heterogeneous treatment effects.
    """
    if "treatment" not in train.X:
        raise TooLittleError("uplift needs exposures.treatment; this data set has none")
    chance = {}
    for arm in (0, 1):
        own = (train.X["treatment"] == arm).to_numpy()
        if len(np.unique(train.y[own])) < 2:
            raise TooLittleError(
                f"arm {arm} has {own.sum()} rows without both outcomes; use more data"
            )
        fitted = conversion_models(seed, n_groups)[model].fit(_blind(train.X[own]), train.y[own])
        chance[arm] = fitted.predict_proba(_blind(test.X))[:, 1]
    return Uplift(chance[1] - chance[0], chance[1], chance[0])


def qini_curve(
    effect: np.ndarray, y: np.ndarray, treated: np.ndarray, *, n_points: int = 100
) -> pd.DataFrame:
    r"""Purchases gained by treating the best share first, estimated from a random experiment.

    .. math:: Q(\phi) = Y_1(\phi) - Y_0(\phi) \frac{N_1(\phi)}{N_0(\phi)}

    with purchases Y and rows N of the treated (1) and untreated (0) among the first
    share φ. Rows of equal effect enter together.

    Returns
    -------
    DataFrame
        share, gain (per row of the whole), random (the straight line to the same end).

    References
    ----------
    Radcliffe (2007), Using control groups to target on predicted lift.
    """
    code = np.unique(-effect, return_inverse=True)[1]
    weights = (np.ones(len(y)), treated * y, (1 - treated) * y, treated, 1 - treated)
    rows, y1, y0, n1, n0 = (np.append(0, np.bincount(code, w).cumsum()) for w in weights)
    gain = y1 - y0 * np.divide(n1, n0, out=np.zeros(len(n0)), where=n0 > 0)
    return _curve(rows, gain / len(y), n_points)


def true_gain_curve(effect: np.ndarray, truth: np.ndarray, *, n_points: int = 100) -> pd.DataFrame:
    """The same curve from the true effects: what a ranking by ``effect`` gains, free of noise."""
    code = np.unique(-effect, return_inverse=True)[1]
    rows, gain = (np.append(0, np.bincount(code, w).cumsum()) for w in (np.ones(len(truth)), truth))
    return _curve(rows, gain / len(truth), n_points)


def qini_coefficient(curve: pd.DataFrame) -> float:
    """Area between the curve and the random line (purchases per row)."""
    return float(np.trapezoid(curve["gain"] - curve["random"], curve["share"]))


def _curve(rows: np.ndarray, gain: np.ndarray, n_points: int) -> pd.DataFrame:
    share = np.linspace(0, 1, n_points + 1)
    gains = np.interp(share * rows[-1], rows, gain)
    return pd.DataFrame({"share": share, "gain": gains, "random": share * gains[-1]})


def _blind(X: pd.DataFrame) -> pd.DataFrame:
    return X.drop(columns="treatment")


def experiment_rows(data: PurchaseData) -> PurchaseData:
    """Keep the rows on which the treatment was drawn."""
    return data.where(data.X["treatment"].notna().to_numpy())
