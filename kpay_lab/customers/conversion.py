"""Predict who will buy, judge it by probability, ranking and money, and check it for leakage."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import inspection
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.utils.parallel import Parallel, delayed

from kpay_lab.customers.calibration import calibration_error, calibration_slope
from kpay_lab.customers.encoding import BASE
from kpay_lab.customers.gains import average_precision_and_auc, cumulative_sums, score_ranks
from kpay_lab.customers.models import conversion_models
from kpay_lab.customers.purchases import PurchaseData, need_both_labels
from kpay_lab.data.derived import item_sold, orders_of_items
from kpay_lab.data.money import has_amounts, refunded_amount
from kpay_lab.findings import Finding
from kpay_lab.stats import Interval, bootstrap_ratio, sample_rows

EVERYBODY = "contact everybody"  # the rule without a model
PER = 1000  # rows that a profit is given for


def fit_models(
    train: PurchaseData,
    later: PurchaseData | None = None,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, BaseEstimator]:
    """Fit the base rate and the models; with a later slice also calibrate them there (Platt).

    Parameters
    ----------
    names : sequence of str, optional
        Which of `models.conversion_models`; all by default.

    Raises
    ------
    ValueError
        If a name is unknown, or the training labels (or the later slice's) are all equal.
    """
    need_both_labels(train.y)
    models = conversion_models(seed)
    if unknown := set(names or ()) - set(models):
        raise ValueError(f"no model {sorted(unknown)}; choose from {', '.join(models)}")
    if later is not None:
        need_both_labels(later.y)

    def fit(name: str) -> BaseEstimator:
        model = models[name].fit(train.X, train.y)
        if later is None or name == BASE:
            return model
        calibrated = CalibratedClassifierCV(FrozenEstimator(model))
        return calibrated.fit(later.X, later.y)

    chosen = list(models)
    if names is not None:
        chosen = [name for name in models if name in (BASE, *names)]
    in_threads = Parallel(n_jobs=-1, prefer="threads")  # a matter of time: no model sees another
    fitted = in_threads(delayed(fit)(name) for name in chosen)
    return dict(zip(chosen, fitted, strict=True))


def predictions(models: dict[str, BaseEstimator], data: PurchaseData) -> dict[str, np.ndarray]:
    """Return each model's probability of a purchase, float array (n,)."""
    return {name: model.predict_proba(data.X)[:, 1] for name, model in models.items()}


def thinned(data: PurchaseData, step: int) -> PurchaseData:
    """Keep every ``step``-th row; all of them where those alone would hold one label."""
    row_number = np.arange(len(data.y))
    sample = data.where(row_number % step == 0)
    has_both_labels = len(np.unique(sample.y)) == 2
    return sample if has_both_labels else data


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
        1. Calibration slope and calibration error carry no interval.
    """
    need_both_labels(data.y)
    y = data.y.astype(float)
    user, user_ids = pd.factorize(data.rows["user_id"])
    n_users = len(user_ids)
    drawn = rng.integers(0, n_users, (n_resamples, n_users))  # the same for every model
    row_weights = [np.bincount(draw, minlength=n_users)[user] for draw in drawn]
    rows_of_user = np.bincount(user).astype(float)
    rows = []
    for name, p in predicted.items():
        scores = {}
        losses = {"log loss": log_losses(y, p), "Brier": (p - y) ** 2}
        for metric, loss in losses.items():
            loss_of_user = np.bincount(user, weights=loss)
            scores[metric] = bootstrap_ratio(
                loss_of_user, rows_of_user, rng=rng, n_resamples=n_resamples
            )
        scores |= _ranking_scores(y, p, row_weights)
        scores["calibration slope"] = Interval(calibration_slope(y, p), np.nan, np.nan)
        scores["calibration error"] = Interval(calibration_error(y, p), np.nan, np.nan)
        for metric, score in scores.items():
            rows.append((name, metric, score.estimate, score.low, score.high))
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])


def _ranking_scores(
    y: np.ndarray, p: np.ndarray, row_weights: list[np.ndarray]
) -> dict[str, Interval]:
    """Return PR-AUC and ROC-AUC; ``row_weights`` say how often each resample has each row."""
    rank = score_ranks(p)
    values = average_precision_and_auc(y, rank, np.ones(len(y)))
    resampled = np.array([average_precision_and_auc(y, rank, weight) for weight in row_weights])
    without_buyers = np.isnan(resampled).any(axis=1)
    low, high = np.quantile(resampled[~without_buyers], [0.025, 0.975], axis=0)
    scores = {}
    for i, metric in enumerate(("PR-AUC", "ROC-AUC")):
        scores[metric] = Interval(values[i], low[i], high[i])
    return scores


def log_losses(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Log loss of each prediction (nats); p is clipped to [1e-6, 1 − 1e-6]."""
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    probability_of_label = np.where(y == 1, clipped, 1 - clipped)
    return -np.log(probability_of_label)


def way_to_truth(
    base_losses: np.ndarray,
    model_losses: np.ndarray,
    true_losses: np.ndarray,
    users: np.ndarray,
    *,
    rng: np.random.Generator,
    n_resamples: int = 200,
) -> Interval:
    """Share of the way from the base rate's log loss to the truth's that a model has gone.

    Users are resampled whole: the interval says how much other users of the same kind would
    move the share. The model stays as it was fitted.

    Parameters
    ----------
    base_losses, model_losses, true_losses : float arrays of shape (n,)
        Log loss of each row under the base rate, the model and the true probabilities.
    users : array of shape (n,)
        The user of each row.

    Returns
    -------
    Interval
        NaN throughout where the truth loses no less than the base rate: there is no way.

    >>> losses = (np.full(4, 1.0), np.full(4, 0.75), np.full(4, 0.5))
    >>> way_to_truth(*losses, np.array([1, 1, 2, 3]), rng=np.random.default_rng(0))
    Interval(estimate=0.5, low=0.5, high=0.5)
    """
    user, _ = pd.factorize(users)
    gone = np.bincount(user, weights=base_losses - model_losses)
    whole = np.bincount(user, weights=base_losses - true_losses)
    if not whole.sum() > 0:
        return Interval(np.nan, np.nan, np.nan)
    return bootstrap_ratio(gone, whole, rng=rng, n_resamples=n_resamples)


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
    rank = score_ranks(p)
    contacts = cumulative_sums(rank, np.ones(len(y)))
    purchases = cumulative_sums(rank, y)
    share = np.arange(1, n_points + 1) / n_points
    reached = np.interp(share * len(y), contacts, purchases)
    gain = reached / max(purchases[-1], 1)
    return pd.DataFrame({"share": share, "gain": gain, "lift": gain / share})


def profit_curve(
    y: np.ndarray, p: np.ndarray, *, earned: float, contact_cost: float, n_points: int = 100
) -> pd.DataFrame:
    """Profit by share contacted: earned × purchases reached − contact_cost × contacts.

    ``earned`` is the profit of one purchase (`money.gross_profit`), ``contact_cost`` the cost of
    one contact, both in the account's currency; columns share, profit.
    """
    curve = lift_curve(y, p, n_points=n_points)
    income = earned * curve["gain"] * np.sum(y)
    cost = contact_cost * curve["share"] * len(y)
    return curve[["share"]].assign(profit=income - cost)


def contact_findings(rules: pd.DataFrame, model: str, *, currency: str = "") -> list[Finding]:
    """Return whom to contact by a model, and what the purchases reached are worth after costs.

    Parameters
    ----------
    rules : DataFrame
        A row a rule, the model and `EVERYBODY` among them: contacted (share of the rows), profit
        of `PER` rows, and the ends low and high of its interval.
    model : str
        The model to act on, chosen before its profit was seen.
    currency : str
        That of the orders.
    """
    row = rules.loc[model]
    values = row[["contacted", "profit", "low", "high"]].to_dict()
    values["everybody"] = rules.loc[EVERYBODY, "profit"]
    values |= {"model": model, "per": PER, "currency": currency}
    level = "watch"
    if row["low"] > 0:
        level = "good"
    elif row["high"] < 0:
        level = "bad"
    return [Finding("contact/profit", level, values, place="profit")]


def shuffled_labels(
    train: PurchaseData,
    test: PurchaseData,
    *,
    rng: np.random.Generator,
    n_shuffles: int = 3,
    n_rows: int = 10_000,
) -> pd.Series:
    """Leakage check: mean log loss after training on shuffled labels, beside the base rate's.

    Where the pipeline still beats the base rate, the features contain the labels.
    Each shuffle uses up to ``n_rows`` rows; ``sd`` is the spread over the shuffles.
    """
    test_losses = []
    for _ in range(n_shuffles):
        rows = sample_rows(len(train.y), n_rows, rng=rng)
        shuffled = rng.permutation(train.y)
        model = conversion_models()["logistic regression"]
        model.fit(train.X.iloc[rows], shuffled[rows])
        probability = model.predict_proba(test.X)[:, 1]
        test_losses.append(log_loss(test.y, probability, labels=[0, 1]))
    base_rates = np.full(len(test.y), train.y.mean())
    base_loss = log_loss(test.y, base_rates, labels=[0, 1])
    values = [np.mean(test_losses), np.std(test_losses, ddof=1), base_loss]
    return pd.Series(values, ["shuffled labels", "sd", BASE], name="log loss")


def suspicious_features(data: PurchaseData, *, threshold: float = 0.9) -> pd.DataFrame:
    """Leakage check: ROC-AUC of each number alone; ``suspicious`` where above the threshold."""
    need_both_labels(data.y)
    y = data.y.astype(float)
    equal_weights = np.ones(len(y))
    numbers = data.X.select_dtypes("number")
    numbers = numbers.fillna(numbers.median())
    auc_by_feature = {}
    for name, values in numbers.items():
        rank = score_ranks(values.to_numpy())
        _, auc = average_precision_and_auc(y, rank, equal_weights)
        auc_by_feature[name] = max(auc, 1 - auc)
    sorted_auc = pd.Series(auc_by_feature, name="auc").sort_values(ascending=False)
    table = sorted_auc.rename_axis("feature").reset_index()
    table["suspicious"] = table["auc"] > threshold
    return table


def partial_dependence(model: BaseEstimator, data: PurchaseData, feature: str) -> pd.DataFrame:
    """Mean predicted probability as one number is set to each of 12 values: value, probability.

    The values are those of the feature where it has up to 12, else evenly spaced between its
    5 % and 95 % quantiles (Friedman, 2001); gaps in it are left out of the choice.
    """
    step = max(1, len(data.X) // 1000)
    sample = data.X.iloc[::step]
    values = sample[feature].dropna().unique()
    if len(values) > 12:
        low, high = sample[feature].quantile([0.05, 0.95])
        values = np.linspace(low, high, 12)
    values = np.sort(values)
    found = inspection.partial_dependence(
        model, sample, [feature], custom_values={feature: values}, response_method="predict_proba"
    )
    return pd.DataFrame({"value": values, "probability": found["average"][0]})


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
    net = price.to_numpy() * (1 - _refunded_share(sold, orders))
    return pd.Series(net, pd.Index(items["item_id"]), name="net price")


def _refunded_share(sold: pd.Series, orders: pd.DataFrame) -> np.ndarray:
    """Share of the money that is paid back, for each course in ``sold``; 0 without amounts."""
    if not has_amounts(orders):
        return np.zeros(len(sold))
    orders = orders_of_items(orders)
    amounts = pd.DataFrame({"paid": orders["amount"], "refunded": refunded_amount(orders)})
    paid, refunded = amounts.sum()
    if paid == 0:
        return np.zeros(len(sold))
    by_course = amounts.groupby(orders["item_id"]).sum().reindex(sold).fillna(0)
    prior = 10 * amounts["paid"].mean()
    shrunk_refunds = by_course["refunded"] + prior * refunded / paid
    share = shrunk_refunds / (by_course["paid"] + prior)
    return share.to_numpy()
