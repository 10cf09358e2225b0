"""Predict who will buy: judged as probabilities, as rankings and in money; leakage checks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.utils.parallel import Parallel, delayed

from kpay_lab.customers.calibration import calibration_error, calibration_slope
from kpay_lab.customers.encoding import BASE
from kpay_lab.customers.models import conversion_models
from kpay_lab.customers.purchases import PurchaseData, need_both_labels
from kpay_lab.data.derived import item_sold
from kpay_lab.data.money import refunded_amount
from kpay_lab.stats import bootstrap_ratio, sample_rows


def fit_models(
    train: PurchaseData,
    later: PurchaseData | None = None,
    *,
    names: Sequence[str] | None = None,
    n_groups: int = 4,
    seed: int = 0,
) -> dict[str, BaseEstimator]:
    """Fit the base rate and the models; with a later slice also calibrate them there (Platt).

    Parameters
    ----------
    names : sequence of str, optional
        Which of `models.conversion_models`; all by default.
    n_groups : int
        Soft groups of users in the logistic regression, see `models.SegmentTerms`.

    Raises
    ------
    ValueError
        If a name is unknown, or the training labels (or the later slice's) are all equal.
    """
    need_both_labels(train.y)
    models = conversion_models(seed, n_groups)
    if unknown := set(names or ()) - set(models):
        raise ValueError(f"no model {sorted(unknown)}; choose from {', '.join(models)}")
    if later is not None:
        need_both_labels(later.y)

    def fit(name: str) -> BaseEstimator:
        model = models[name].fit(train.X, train.y)
        if later is None or name == BASE:
            return model
        return CalibratedClassifierCV(FrozenEstimator(model)).fit(later.X, later.y)

    chosen = list(models) if names is None else [n for n in models if n in (BASE, *names)]
    # Threads change the time only: no model sees another.
    fitted = Parallel(n_jobs=-1, prefer="threads")(delayed(fit)(name) for name in chosen)
    return dict(zip(chosen, fitted, strict=True))


def predictions(models: dict[str, BaseEstimator], data: PurchaseData) -> dict[str, np.ndarray]:
    """Return each model's probability of a purchase, float array (n,)."""
    return {name: model.predict_proba(data.X)[:, 1] for name, model in models.items()}


def thinned(data: PurchaseData, step: int) -> PurchaseData:
    """Keep every ``step``-th row; all of them where those alone would hold one label."""
    some = data.where(np.arange(len(data.y)) % step == 0)
    return some if len(np.unique(some.y)) == 2 else data


def judge(
    predicted: dict[str, np.ndarray],
    data: PurchaseData,
    *,
    rng: np.random.Generator,
    n_resamples: int = 200,
) -> pd.DataFrame:
    """Judge probabilities; users are resampled whole for the intervals.

    Returns
    -------
    DataFrame
        Columns model, metric, value, low, high. Log loss, Brier and calibration error:
        lower is better; PR-AUC and ROC-AUC (ties count half): higher; the slope should be
        1. The last two of calibration carry no interval.
    """
    need_both_labels(data.y)
    y, user = data.y.astype(float), pd.factorize(data.rows["user_id"])[0]
    drawn = rng.integers(0, user.max() + 1, (n_resamples, user.max() + 1))
    counts = [np.bincount(draw, minlength=user.max() + 1)[user] for draw in drawn]
    rows = []
    for name, p in predicted.items():
        losses = {"log loss": log_losses(y, p), "Brier": (p - y) ** 2}
        for metric, loss in losses.items():
            sums = np.bincount(user, weights=loss), np.bincount(user).astype(float)
            interval = bootstrap_ratio(*sums, rng=rng, n_resamples=n_resamples)
            rows.append((name, metric, interval.estimate, interval.low, interval.high))
        code = np.unique(-p, return_inverse=True)[1]
        value = _ranking(y, code, np.ones(len(y)))
        resampled = np.array([_ranking(y, code, w) for w in counts])
        resampled = resampled[~np.isnan(resampled).any(axis=1)]  # without the buyers: no ranking
        low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
        for i, metric in enumerate(("PR-AUC", "ROC-AUC")):
            rows.append((name, metric, value[i], low[i], high[i]))
        rows.append((name, "calibration slope", calibration_slope(y, p), np.nan, np.nan))
        rows.append((name, "calibration error", calibration_error(y, p), np.nan, np.nan))
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])


def log_losses(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Log loss of each prediction (nats); p is cut to [1e-6, 1 − 1e-6]."""
    safe = np.clip(p, 1e-6, 1 - 1e-6)
    return -np.log(np.where(y == 1, safe, 1 - safe))


def lift_curve(y: np.ndarray, p: np.ndarray, *, n_points: int = 100) -> pd.DataFrame:
    """Gain and lift by share of rows contacted, best first; rows of equal score are averaged.

    Returns
    -------
    DataFrame
        share; gain: the share of all purchases among those contacted; lift: gain / share.

    Examples
    --------
    >>> lift_curve(np.array([1, 0, 0, 0]), np.full(4, 0.5), n_points=2)["lift"].tolist()
    [1.0, 1.0]
    """
    code = np.unique(-np.asarray(p), return_inverse=True)[1]
    contacted, bought = (np.append(0, np.bincount(code, w).cumsum()) for w in (np.ones(len(y)), y))
    share = np.arange(1, n_points + 1) / n_points
    gain = np.interp(share * len(y), contacted, bought) / max(bought[-1], 1)
    return pd.DataFrame({"share": share, "gain": gain, "lift": gain / share})


def profit_curve(
    y: np.ndarray, p: np.ndarray, *, earned: float, contact_cost: float, n_points: int = 100
) -> pd.DataFrame:
    """Profit by share contacted: earned × purchases reached − contact_cost × contacts.

    ``earned`` is what one purchase leaves (`money.gross_profit`), ``contact_cost`` what one contact
    costs, both in the account's currency; columns share, profit.
    """
    curve = lift_curve(y, p, n_points=n_points)
    profit = earned * curve["gain"] * np.sum(y) - contact_cost * curve["share"] * len(y)
    return curve[["share"]].assign(profit=profit)


def shuffled_labels(
    train: PurchaseData,
    test: PurchaseData,
    *,
    rng: np.random.Generator,
    n_shuffles: int = 3,
    n_rows: int = 10_000,
) -> pd.Series:
    """Leakage check: mean log loss after training on shuffled labels, beside the base rate's.

    A pipeline that still beats the base rate learned its labels from the inputs' making.
    Each shuffle uses up to ``n_rows`` rows; ``sd`` is the spread over the shuffles.
    """
    test_loss = []
    for _ in range(n_shuffles):
        rows = sample_rows(len(train.y), n_rows, rng=rng)
        model = conversion_models()["logistic regression"]
        model.fit(train.X.iloc[rows], rng.permutation(train.y)[rows])
        test_loss.append(log_loss(test.y, model.predict_proba(test.X)[:, 1], labels=[0, 1]))
    base = log_loss(test.y, np.full(len(test.y), train.y.mean()), labels=[0, 1])
    values = [np.mean(test_loss), np.std(test_loss, ddof=1), base]
    return pd.Series(values, ["shuffled labels", "sd", BASE], name="log loss")


def suspicious_features(data: PurchaseData, *, threshold: float = 0.9) -> pd.DataFrame:
    """Leakage check: ROC-AUC of each number alone, and whether it is too good to be true."""
    need_both_labels(data.y)
    numbers = data.X.select_dtypes("number")
    numbers = numbers.fillna(numbers.median())
    auc = {}
    for name, values in numbers.items():
        code = np.unique(-values.to_numpy(), return_inverse=True)[1]
        one = _ranking(data.y.astype(float), code, np.ones(len(data.y)))[1]
        auc[name] = max(one, 1 - one)
    table = pd.Series(auc, name="auc").sort_values(ascending=False).rename_axis("feature")
    return table.reset_index().assign(suspicious=lambda t: t["auc"] > threshold)


def dependence(model: BaseEstimator, data: PurchaseData, feature: str) -> pd.DataFrame:
    """Mean predicted probability as one number is set to each of 12 values: value, probability.

    The values are the feature's own where it has up to 12, else evenly spaced between its
    5 % and 95 % quantiles; all are asked of the model at once (Friedman, 2001).
    """
    sample = data.X.iloc[:: max(1, len(data.X) // 1000)]
    values = sample[feature].dropna().unique()
    if len(values) > 12:
        low, high = sample[feature].quantile([0.05, 0.95])
        values = np.linspace(low, high, 12)
    values = np.sort(values)
    asked = pd.concat([sample.assign(**{feature: value}) for value in values])
    chance = model.predict_proba(asked)[:, 1].reshape(len(values), -1)
    return pd.DataFrame({"value": values, "probability": chance.mean(axis=1)})


def net_prices(items: pd.DataFrame | None, orders: pd.DataFrame) -> pd.Series:
    """Price of what each item sells, net of expected refunds, by item_id.

    net price = price · (1 − refunded / paid), the refunded share of the course's orders
    shrunk towards that of all orders by ten orders of average size.

    Parameters
    ----------
    orders : DataFrame
        Orders known at the cut; without any money in them no refund is expected.

    Returns
    -------
    Series
        Empty where the items have no prices.
    """
    if items is None or "price" not in items:
        return pd.Series(dtype=float, name="net price")
    sold = item_sold(items["item_id"], items)
    price = items.set_index("item_id")["price"].reindex(sold)
    kept = 1 - _refunded_share(sold, orders)
    return pd.Series(price.to_numpy() * kept, pd.Index(items["item_id"]), name="net price")


def _refunded_share(sold: pd.Series, orders: pd.DataFrame) -> np.ndarray:
    """Share of the money that is paid back, for each course in ``sold``."""
    sums = pd.DataFrame({"paid": orders["amount"], "back": refunded_amount(orders)})
    paid, back = sums.sum()
    if paid == 0:
        return np.zeros(len(sold))
    course = sums.groupby(orders["item_id"]).sum().reindex(sold).fillna(0)
    prior = 10 * sums["paid"].mean()
    lost = (course["back"] + prior * back / paid) / (course["paid"] + prior)
    return lost.to_numpy()


def _ranking(y: np.ndarray, code: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Average precision and ROC-AUC of weighted rows; ``code`` 0 holds the best score.

    NaN for both where the weights leave a single label.
    """
    good, bad = np.bincount(code, weight * y), np.bincount(code, weight * (1 - y))
    if not (good.any() and bad.any()):
        return float("nan"), float("nan")
    above = good.cumsum()
    precision = above / np.maximum(above + bad.cumsum(), 1e-300)
    area = (bad * (above - good / 2)).sum() / (above[-1] * bad.sum())
    return float((good * precision).sum() / above[-1]), float(area)
