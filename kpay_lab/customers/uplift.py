"""Uplift: how much a treatment such as a coupon raises each row's probability of a purchase."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from kpay_lab.customers.gains import cumulative_sums, score_ranks
from kpay_lab.customers.models import conversion_models
from kpay_lab.customers.purchases import PurchaseData
from kpay_lab.data.tables import TooLittleError
from kpay_lab.findings import Finding
from kpay_lab.stats import Interval

NEEDED = 0.95  # share of dealt-out effects that the learned ones must beat


def lacking(train: PurchaseData, test: PurchaseData) -> str:
    """Return the reason why `t_learner` cannot learn or be judged; empty where it can."""
    if "treatment" not in train.X or train.X["treatment"].nunique() < 2:
        return (
            "no treatment of these rows was recorded (exposures.treatment, with unit=exposure), so "
            "what would have happened anyway is unknown"
        )
    for arm, words in enumerate(("without", "with")):
        in_arm = _in_arm(train, arm)
        if len(np.unique(train.y[in_arm])) < 2:
            return f"the {in_arm.sum():,} training rows {words} a coupon are all alike in outcome"
        if not _in_arm(test, arm).any():
            return f"no row {words} a coupon is left to judge on"
    return ""


def t_learner(
    train: PurchaseData,
    test: PurchaseData,
    *,
    model: str = "logistic regression",
    seed: int = 0,
) -> pd.DataFrame:
    """Fit one model to treated and one to untreated rows; the effect is their difference.

    Rows whose treatment is missing (before the experiment) are left out of training.

    Returns
    -------
    DataFrame (n, 3)
        Of each row of ``test`` the probability of a purchase ``untreated`` and ``treated``,
        and the ``effect`` of a treatment on it.

    Raises
    ------
    TooLittleError
        If the data has no treatment, everybody or nobody was treated, or an arm has no purchase
        or nothing but purchases.

    References
    ----------
    Künzel et al. (2019), Metalearners for estimating heterogeneous treatment effects.
    """
    if "treatment" not in train.X:
        raise TooLittleError("uplift needs exposures.treatment; this data set has none")
    one_arm = _single_arm(train.X["treatment"].dropna().to_numpy())
    if one_arm:
        raise TooLittleError(
            f"training: {one_arm}; what a treatment changes is learned from treated and untreated "
            "rows, so both are needed"
        )
    X_train = train.X.drop(columns="treatment")
    X_test = test.X.drop(columns="treatment")
    probability = pd.DataFrame(index=test.X.index)
    for arm, name in enumerate(("untreated", "treated")):
        in_arm = _in_arm(train, arm)
        y_arm = train.y[in_arm]
        if len(np.unique(y_arm)) < 2:
            raise TooLittleError(
                f"arm {arm} has {in_arm.sum()} rows without both outcomes; use more data"
            )
        classifier = conversion_models(seed)[model]
        classifier.fit(X_train[in_arm], y_arm)
        probability[name] = classifier.predict_proba(X_test)[:, 1]
    return probability.assign(effect=probability["treated"] - probability["untreated"])


def qini_curve(
    effect: np.ndarray, y: np.ndarray, treated: np.ndarray, *, n_points: int = 100
) -> pd.DataFrame:
    r"""Purchases gained by treating the best share first, estimated from a random experiment.

    .. math:: Q(\phi) = Y_1(\phi) - Y_0(\phi) \frac{N_1(\phi)}{N_0(\phi)}

    with purchases Y and rows N of the treated (1) and untreated (0) among the first
    share φ. Rows of equal effect enter together.

    Parameters
    ----------
    effect : float array of shape (n,)
        The effect predicted for each row.
    y, treated : arrays of shape (n,)
        0 or 1: whether it bought, and whether it was treated.

    Returns
    -------
    DataFrame
        share, gain (per row of the whole), random (the straight line to the same end).

    Raises
    ------
    ValueError
        If everybody or nobody was treated, the arrays differ in length, or a value cannot be.

    References
    ----------
    Radcliffe (2007), Using control groups to target on predicted lift.
    """
    _check_rows(effect=effect, y=y, treated=treated)
    one_arm = _single_arm(treated)
    if one_arm:
        raise ValueError(
            f"{one_arm}; a Qini curve compares treated with untreated rows, so it needs both: "
            "keep some rows untreated, drawn at random"
        )
    rank = score_ranks(effect)
    untreated = 1 - treated
    rows = cumulative_sums(rank, np.ones(len(y)))
    treated_purchases = cumulative_sums(rank, treated * y)
    untreated_purchases = cumulative_sums(rank, untreated * y)
    treated_rows = cumulative_sums(rank, treated)
    untreated_rows = cumulative_sums(rank, untreated)
    nothing = np.zeros(len(untreated_rows))
    size_ratio = np.divide(treated_rows, untreated_rows, out=nothing, where=untreated_rows > 0)
    gain = treated_purchases - untreated_purchases * size_ratio
    return _curve(rows, gain / len(y), n_points)


def _single_arm(treated: np.ndarray) -> str:
    """Say that everybody or nobody was treated; empty where there are both."""
    is_treated = treated == 1
    if not is_treated.any():
        return "no row is treated"
    return "every row is treated" if is_treated.all() else ""


def _check_rows(*, effect: np.ndarray, y: np.ndarray, treated: np.ndarray) -> None:
    """Refuse arrays of different length, effects that are no numbers, marks other than 0 and 1."""
    for name, values in {"y": y, "treated": treated}.items():
        if len(values) != len(effect):
            raise ValueError(
                f"{name} has {len(values)} rows and effect {len(effect)}; give a value for each row"
            )
        _refuse_first(name, values, np.isin(values, (0, 1)), "0 or 1")
    _refuse_first("effect", effect, np.isfinite(effect), "a finite number")


def _refuse_first(name: str, values: np.ndarray, is_valid: np.ndarray, must_be: str) -> None:
    """Raise a ValueError at the first value that is not valid."""
    wrong = np.flatnonzero(~is_valid)
    if len(wrong):
        row = wrong[0]
        raise ValueError(f"{name} holds {values[row]} in row {row + 1}; it must be {must_be}")


def true_gain_curve(effect: np.ndarray, truth: np.ndarray, *, n_points: int = 100) -> pd.DataFrame:
    """Return the curve of `qini_curve` from the true effects, free of sampling noise."""
    rank = score_ranks(effect)
    rows = cumulative_sums(rank, np.ones(len(truth)))
    gain = cumulative_sums(rank, truth)
    return _curve(rows, gain / len(truth), n_points)


def qini_coefficient(curve: pd.DataFrame) -> float:
    """Area between the curve and the random line (purchases per row)."""
    return float(np.trapezoid(curve["gain"] - curve["random"], curve["share"]))


def _curve(rows: np.ndarray, gain: np.ndarray, n_points: int) -> pd.DataFrame:
    share = np.linspace(0, 1, n_points + 1)
    gains = np.interp(share * rows[-1], rows, gain)
    return pd.DataFrame({"share": share, "gain": gains, "random": share * gains[-1]})


def _in_arm(data: PurchaseData, arm: int) -> np.ndarray:
    """Mark the rows of one arm: 1 treated, 0 untreated."""
    return (data.X["treatment"] == arm).to_numpy()


def effect_of_coupon(trial: PurchaseData, *, level: float = 0.95) -> Interval:
    """Return by how much a coupon raised the share of rows with a purchase.

    The standard error adds up what each user contributes to the difference of the two shares, for
    the rows of a user are not independent.

    Parameters
    ----------
    trial : PurchaseData
        From `experiment_rows`, with rows of both arms.
    """
    user, user_ids = pd.factorize(trial.rows["user_id"])
    n_users = len(user_ids)
    effect = 0.0
    part_of_user = np.zeros(n_users)
    for arm, sign in ((1, 1), (0, -1)):
        in_arm = _in_arm(trial, arm)
        share = trial.y[in_arm].mean()
        effect += sign * share
        deviation = in_arm * (trial.y - share) / in_arm.sum()
        part_of_user += sign * np.bincount(user, deviation, n_users)
    if n_users < 2:
        return Interval(float(effect), np.nan, np.nan)
    variance = n_users / (n_users - 1) * (part_of_user**2).sum()
    width = norm.ppf((1 + level) / 2) * np.sqrt(variance)
    return Interval(float(effect), float(effect - width), float(effect + width))


def coupon_findings(trial: PurchaseData, *, rows: str) -> list[Finding]:
    """Return whether a coupon raised the purchases; nothing where a single user tells.

    Parameters
    ----------
    trial : PurchaseData
        From `experiment_rows`, with rows of both arms.
    rows : str
        What the rows are, such as "exposures".
    """
    effect = effect_of_coupon(trial)
    if np.isnan(effect.low):
        return []
    points = {"effect": effect.estimate, "low": effect.low, "high": effect.high}
    values = {name: 100 * share for name, share in points.items()} | {"rows": rows}
    values["treated"] = trial.y[_in_arm(trial, 1)].mean()
    values["untreated"] = trial.y[_in_arm(trial, 0)].mean()
    is_shown = effect.low > 0 or effect.high < 0
    level = "plain" if is_shown else "watch"
    return [Finding("uplift/effect", level, values, place="qini")]


def targeting_findings(beaten: float, n_orders: int) -> list[Finding]:
    """Return whether it can be told whom a coupon moves.

    Parameters
    ----------
    beaten : float
        The share of ``n_orders`` orders of the rows, drawn at random, whose Qini area is smaller
        than that of the order by predicted effect.
    """
    values = {"beaten": beaten, "n_orders": n_orders, "needed": NEEDED}
    level = "good" if beaten >= NEEDED else "watch"
    return [Finding("uplift/targeting", level, values, place="qini")]


def true_gain_findings(share: float) -> list[Finding]:
    """Return which share of the gain of the best possible order the predicted effects reach."""
    return [Finding("truth/uplift", "plain", {"share": share}, place="qini_true")]


def experiment_rows(data: PurchaseData) -> PurchaseData:
    """Keep the rows of the experiment: those whose treatment was drawn at random."""
    assigned = data.X["treatment"].notna()
    return data.where(assigned.to_numpy())
