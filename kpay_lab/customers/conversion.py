"""Predict who will buy, judge it by probability, ranking and money, and check it for leakage."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn import inspection
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.utils.parallel import Parallel, delayed

from kpay_lab.customers.calibration import calibration_error, calibration_slope, slope_interval
from kpay_lab.customers.encoding import BASE
from kpay_lab.customers.gains import average_precision_and_auc, cumulative_sums, score_ranks
from kpay_lab.customers.models import conversion_models
from kpay_lab.customers.purchases import PurchaseData, need_both_labels
from kpay_lab.data.derived import item_sold, orders_of_items
from kpay_lab.data.money import gross_profit, has_amounts, net_amount, refunded_amount
from kpay_lab.findings import Finding, level_of_interval
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


def profit_of_purchase(orders: pd.DataFrame, margin: float) -> float:
    """Return what a mean order of known amount earns, net of its refund; NaN without amounts.

    Parameters
    ----------
    orders : DataFrame
        Those known at the cut, with the refunds known by then.
    margin : float
        The share of an amount that is earned (`money.gross_profit`), 0 to 1.

    >>> orders = pd.DataFrame({"amount": [100.0, 60.0], "refund_amount": [None, 60.0]})
    >>> profit_of_purchase(orders, margin=0.5)
    25.0
    """
    if not has_amounts(orders):
        return float("nan")
    kept = float(net_amount(orders).mean())
    return gross_profit(kept, margin)


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


def contact_rules(
    probabilities: Mapping[str, np.ndarray],
    data: PurchaseData,
    *,
    earned: float,
    contact_cost: float,
    rng: np.random.Generator,
    n_resamples: int = 200,
) -> pd.DataFrame:
    """Contact the rows whose expected profit exceeds the cost, by each model, and count the money.

    Parameters
    ----------
    probabilities : mapping
        Model → its probability of a purchase on each row of ``data``.
    earned : float
        The profit of one purchase (`profit_of_purchase`).
    contact_cost : float
        Of one contact, in the same currency.

    Returns
    -------
    DataFrame
        One row a rule, `EVERYBODY` first: ``contacted`` (share of the rows), ``profit`` of `PER`
        rows with its 95 % interval ``low, high``, and ``difference``, that profit less the one of
        contacting everybody, with ``difference_low, difference_high``. Users are resampled whole.
    """
    user, _ = pd.factorize(data.rows["user_id"])
    rows_of_user = np.bincount(user).astype(float)
    profit_if_contacted = earned * data.y - contact_cost
    is_contacted = {EVERYBODY: np.ones(len(data.y), dtype=bool)}
    for name, p in probabilities.items():
        is_contacted[name] = earned * p > contact_cost
    by_user = {}
    rules = {}
    for name, contacted in is_contacted.items():
        by_user[name] = PER * np.bincount(user, weights=contacted * profit_if_contacted)
        profit = bootstrap_ratio(by_user[name], rows_of_user, rng=rng, n_resamples=n_resamples)
        rules[name] = [contacted.mean(), profit.estimate, profit.low, profit.high]
    for name, profit_of_user in by_user.items():
        more = profit_of_user - by_user[EVERYBODY]
        difference = bootstrap_ratio(more, rows_of_user, rng=rng, n_resamples=n_resamples)
        rules[name] += [difference.estimate, difference.low, difference.high]
    columns = ["contacted", "profit", "low", "high"]
    columns += ["difference", "difference_low", "difference_high"]
    return pd.DataFrame.from_dict(rules, orient="index", columns=columns).rename_axis("rule")


def contact_findings(
    rules: pd.DataFrame, model: str, *, rows: str = "occasions", currency: str = ""
) -> list[Finding]:
    """Return whom to contact by a model, and what the purchases reached are worth after costs.

    Parameters
    ----------
    rules : DataFrame
        From `contact_rules`.
    model : str
        The model to act on, chosen before its profit was seen.
    rows : str
        What the rows are, such as "people".
    currency : str
        That of the orders.
    """
    row = rules.loc[model]
    values = row.to_dict()
    values["everybody"] = rules.loc[EVERYBODY, "profit"]
    values |= {"model": model, "per": PER, "rows": rows, "currency": currency}
    level = level_of_interval(row["low"], row["high"])
    return [Finding("contact/profit", level, values, place="profit")]


def loss_gaps(
    predicted: Mapping[str, np.ndarray],
    data: PurchaseData,
    best: str,
    *,
    rng: np.random.Generator,
    n_resamples: int = 200,
) -> pd.DataFrame:
    """Return how much more log loss each model has than the best; users are resampled whole.

    Returns
    -------
    DataFrame
        Index: the models but the best; ``gap, low, high``. Models are compared on the same
        users, so an interval above 0 is a model worse than the best.
    """
    user, _ = pd.factorize(data.rows["user_id"])
    rows_of_user = np.bincount(user).astype(float)
    best_losses = log_losses(data.y, predicted[best])
    gaps = {}
    for name, p in predicted.items():
        more_of_user = np.bincount(user, weights=log_losses(data.y, p) - best_losses)
        gap = bootstrap_ratio(more_of_user, rows_of_user, rng=rng, n_resamples=n_resamples)
        gaps[name] = (gap.estimate, gap.low, gap.high)
    table = pd.DataFrame.from_dict(gaps, orient="index", columns=["gap", "low", "high"])
    return table.drop(index=best).rename_axis("model")


def gain_of_top(
    p: np.ndarray,
    data: PurchaseData,
    *,
    share: float = 0.1,
    rng: np.random.Generator,
    n_resamples: int = 200,
) -> Interval:
    """Return the share of the purchases among the rows of highest score, as `lift_curve` has it.

    Users are resampled whole, the choice of rows stays; rows of equal score are averaged.
    """
    rank = score_ranks(p)
    contacts = cumulative_sums(rank, np.ones(len(p)))
    n_chosen = share * len(p)
    rows_of_rank = np.diff(contacts)
    left = np.clip(n_chosen - contacts[:-1], 0, rows_of_rank)
    chosen_share_of_rank = left / rows_of_rank
    reached = data.y * chosen_share_of_rank[rank]
    user, _ = pd.factorize(data.rows["user_id"])
    reached_of_user = np.bincount(user, weights=reached)
    bought_of_user = np.bincount(user, weights=data.y)
    return bootstrap_ratio(reached_of_user, bought_of_user, rng=rng, n_resamples=n_resamples)


def model_findings(
    losses: pd.Series, gaps: pd.DataFrame, best: str, gain: Interval, *, top: float, rows: str
) -> list[Finding]:
    """Return whether the best model predicts a purchase better than the base rate.

    Parameters
    ----------
    losses : Series
        The log loss of each model, `BASE` among them.
    gaps : DataFrame
        From `loss_gaps`.
    best : str
        The model with the smallest log loss.
    gain : Interval
        From `gain_of_top`: the purchases among the share ``top`` of the rows that it puts first.
    rows : str
        What the rows are, such as "people".
    """
    is_base = best == BASE
    nothing = pd.Series({"gap": 0.0, "low": 0.0, "high": 0.0})
    to_base = nothing if is_base else gaps.loc[BASE]
    others = gaps.drop(index=BASE, errors="ignore")
    ties = others.index[others["low"] <= 0].tolist()
    values = to_base[["gap", "low", "high"]].to_dict()
    values |= {"model": best, "is_base": is_base, "ties": ties, "n_ties": len(ties)}
    values |= {"base_loss": losses[BASE], "rows": rows, "top": top}
    values |= {"gain": gain.estimate, "gain_low": gain.low, "gain_high": gain.high}
    level = "good" if to_base["low"] > 0 else "watch"
    return [Finding("conversion/model", level, values, place="differences")]


def calibration_checks(
    predicted: Mapping[str, np.ndarray],
    data: PurchaseData,
    *,
    rng: np.random.Generator,
    n_resamples: int = 200,
) -> pd.DataFrame:
    """Hold each model's probabilities against what happened: their level and their spread.

    Returns
    -------
    DataFrame
        By model: ``predicted`` and ``bought``, shares of the rows; ``ratio``, the purchases
        predicted for each that came, with ``ratio_low, ratio_high`` (users resampled whole);
        ``slope`` with ``slope_low, slope_high`` (`calibration.slope_interval`), NaN where all
        predictions are equal.
    """
    user, _ = pd.factorize(data.rows["user_id"])
    bought_of_user = np.bincount(user, weights=data.y)
    rows = {}
    for name, p in predicted.items():
        expected_of_user = np.bincount(user, weights=p)
        ratio = bootstrap_ratio(expected_of_user, bought_of_user, rng=rng, n_resamples=n_resamples)
        slope = slope_interval(data.y, p, user)
        level = [p.mean(), data.y.mean(), ratio.estimate, ratio.low, ratio.high]
        rows[name] = [*level, slope.estimate, slope.low, slope.high]
    columns = ["predicted", "bought", "ratio", "ratio_low", "ratio_high"]
    columns += ["slope", "slope_low", "slope_high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("model")


def calibration_findings(checks: pd.DataFrame, model: str) -> list[Finding]:
    """Return whether a model predicts as many purchases as come, and if it is too sure or timid.

    Parameters
    ----------
    checks : DataFrame
        From `calibration_checks`.
    """
    row = checks.loc[model]
    is_level = row["ratio_low"] <= 1 <= row["ratio_high"]
    of_level = row[["predicted", "bought", "ratio", "ratio_low", "ratio_high"]].to_dict()
    of_level["model"] = model
    level = "good" if is_level else "watch"
    found = [Finding("conversion/level", level, of_level, place="calibration_checks")]
    is_off = row["slope_low"] > 1 or row["slope_high"] < 1  # NaN is neither
    if is_off:
        of_slope = {"model": model, "slope": row["slope"]}
        of_slope |= {"low": row["slope_low"], "high": row["slope_high"]}
        found.append(Finding("conversion/slope", "watch", of_slope, place="calibration_checks"))
    return found


def way_findings(way: Interval, model: str) -> list[Finding]:
    """Return how much of the way from the base rate to the truth a model has gone, if known."""
    if np.isnan(way.estimate):
        return []
    values = {"model": model, "way": way.estimate, "low": way.low, "high": way.high}
    return [Finding("truth/way", "plain", values, place="way_to_the_truth")]


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


def in_own_unit(feature: str, curve: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Take the values of a feature that is a logarithm back to what it counts.

    Parameters
    ----------
    curve : DataFrame
        From `partial_dependence`.

    Returns
    -------
    name : str
        That of the feature, without its "log".
    curve : DataFrame
        With other values in ``value``.

    >>> price = pd.DataFrame({"value": [np.log1p(99.0)], "probability": [0.1]})
    >>> name, curve = in_own_unit("log price", price)
    >>> name, curve["value"].round(6).tolist()
    ('price', [99.0])
    """
    if not feature.startswith("log "):
        return feature, curve
    name = feature.removeprefix("log ")
    has_no_zero = name == "position"  # log x, the others are log (1 + x)
    values = np.exp(curve["value"]) if has_no_zero else np.expm1(curve["value"])
    return name, curve.assign(value=values)


def with_titles(rows: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Add to rows of chance and net price the title, the expected revenue and the rank.

    Parameters
    ----------
    rows : DataFrame
        ``item_id, chance, net``, the highest chance first.
    """
    titles = items.set_index("item_id").get("title", pd.Series(dtype="str"))
    title = titles.reindex(rows["item_id"]).fillna("untitled").to_numpy()
    expected = rows["chance"] * rows["net"]
    rank = range(1, len(rows) + 1)
    return rows.assign(title=title, expected=expected, rank_by_chance=rank)


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
