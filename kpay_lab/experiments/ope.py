"""Off-policy evaluation: the value of a policy, estimated from the log of another one.

Throughout: rewards r_i, logged actions a_i drawn with probability p_i, the target policy's
π(a | x_i), weights w_i = min(π(a_i | x_i) / p_i, clip), a reward model q(x, a). Clipping
lowers the variance and biases IPS, SNIPS and DR.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from kpay_lab.experiments.checking import (
    check_finite,
    check_positions,
    check_propensity,
    check_values,
)
from kpay_lab.findings import Finding
from kpay_lab.stats import Interval, holm, ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LEAST_SHARE = 0.1  # effective of all rows; with less the intervals are too narrow
PER = 1000  # rows for which findings count rewards
ALPHA = 0.05  # of the leads of all policies together


@dataclass(frozen=True)
class OffPolicy:
    """Estimates of the target policy's mean reward, and what says how far to trust them.

    Parameters
    ----------
    estimates : DataFrame, index method
        value, se, low, high; the most trustworthy first. DM carries no interval (NaN).
    ess : float
        Effective sample size (Σ w)² / Σ w² (Kish, 1965).
    mean_weight, max_weight, clipped_share : float
        Of the weights before clipping.
    warnings : tuple of str
        What makes the estimates doubtful, in words.
    n_rows : int
        Rows of the log.
    lead : Interval
        DR less the mean reward of the policy that wrote the log, row by row.
    lead_pvalue : float
        Two-sided, of no lead.
    """

    estimates: pd.DataFrame
    ess: float
    mean_weight: float
    max_weight: float
    clipped_share: float
    warnings: tuple[str, ...]
    n_rows: int
    lead: Interval
    lead_pvalue: float

    def table(self) -> pd.DataFrame:
        """Return the estimates, a row a method."""
        return self.estimates

    def plot(self, ax: "Axes | None" = None, *, known: float | None = None) -> "Axes":
        """Draw the estimates, and a line at the ``known`` value; return the Axes."""
        from kpay_lab.plots import PALETTE, TRUTH, plot_intervals  # matplotlib is slow to import

        colours = PALETTE[: len(self.estimates)]
        label = "value of the policy"
        ax = plot_intervals(self.estimates, ax=ax, colours=colours, xlabel=label)
        if known is not None:
            ax.axvline(known, **TRUTH)
        ax.set_title(f"counts as {self.ess:,.0f} rows")
        return ax


@dataclass(frozen=True)
class LoggedCells:
    """What the estimates need of a policy π and a reward model q: three numbers a row of a log.

    So a policy over many actions need not be held whole, nor the predictions of q.

    Parameters
    ----------
    target : (n,) float
        π(a_i | x_i), of the action that was logged.
    predicted : (n,) float
        q(x_i, a_i).
    direct : (n,) float
        Σ_a π(a | x_i) q(x_i, a).
    """

    target: np.ndarray
    predicted: np.ndarray
    direct: np.ndarray

    @classmethod
    def of_rows(
        cls, actions: np.ndarray, target: np.ndarray, predicted: np.ndarray
    ) -> "LoggedCells":
        """Read them from whole rows of π and q, (n, n_actions) each; ``actions`` are (n,)."""
        rows = np.arange(len(actions))
        direct = (target * predicted).sum(axis=1)
        return cls(target[rows, actions], predicted[rows, actions], direct)

    @classmethod
    def joined(cls, parts: Sequence["LoggedCells"], places: Sequence[np.ndarray]) -> "LoggedCells":
        """Join parts of a log; ``places`` holds where in the log the rows of each part stand."""
        in_log_order = np.argsort(np.concatenate(places))
        target = np.concatenate([part.target for part in parts])
        predicted = np.concatenate([part.predicted for part in parts])
        direct = np.concatenate([part.direct for part in parts])
        return cls(target[in_log_order], predicted[in_log_order], direct[in_log_order])

    def take(self, rows: slice) -> "LoggedCells":
        """Return those of some rows of the log."""
        return LoggedCells(self.target[rows], self.predicted[rows], self.direct[rows])


def evaluate_policy(
    rewards: np.ndarray,
    actions: np.ndarray,
    propensity: np.ndarray,
    target: np.ndarray,
    predicted: np.ndarray,
    *,
    clip: float = np.inf,
    level: float = 0.95,
) -> OffPolicy:
    """Estimate the value of a target policy whose probabilities are known in every row.

    The estimates are those of `estimate_value`.

    Parameters
    ----------
    rewards, actions, propensity : (n,) float, int, float
    target, predicted : (n, n_actions) float
        π, and q from `cross_fit`, so that no row is predicted from itself.
    clip : float
        Largest weight allowed; lowers the variance and biases IPS, SNIPS and DR.

    Raises
    ------
    ValueError
        If shapes disagree, there is one row, a value is missing, an action has no column in
        ``target``, a propensity is outside (0, 1] or a row of ``target`` is no policy.
    """
    _check_lengths(rewards, actions, propensity, target, predicted)
    check_finite("predicted", predicted)
    check_positions("actions", actions, 0, target.shape[1] - 1)
    _check_policy(target)
    cells = LoggedCells.of_rows(actions, target, predicted)
    return estimate_value(rewards, propensity, cells, clip=clip, level=level)


def estimate_value(
    rewards: np.ndarray,
    propensity: np.ndarray,
    cells: LoggedCells,
    *,
    clip: float = np.inf,
    level: float = 0.95,
) -> OffPolicy:
    """Estimate the value of a target policy in four ways.

    - DR = mean(Σ_a π(a|x_i) q(x_i, a) + w_i (r_i − q(x_i, a_i))), right if either the
      propensities or q are (Dudík, Langford & Li, 2011);
    - SNIPS = Σ w_i r_i / Σ w_i (Swaminathan & Joachims, 2015), variance by the delta method;
    - IPS = mean(w_i r_i) (Horvitz & Thompson, 1952);
    - DM = mean(Σ_a π(a|x_i) q(x_i, a)): no interval, for its error is bias.

    Intervals are normal; the effective sample size is (Σ w)² / Σ w² (Kish, 1965).

    Parameters
    ----------
    rewards, propensity : (n,) float
    cells : LoggedCells
        π and q at what was logged, in the order of the rewards.
    clip : float
        Largest weight allowed; lowers the variance and biases IPS, SNIPS and DR.

    Raises
    ------
    ValueError
        If there is one row, a reward is missing, or a propensity is outside (0, 1].
    """
    if len(rewards) < 2:
        raise ValueError("the log has 1 row; an estimate needs 2 or more for its interval")
    check_finite("rewards", rewards)
    check_propensity("propensity", propensity)
    weights = cells.target / propensity
    clipped = np.minimum(weights, clip)
    residuals = rewards - cells.predicted
    doubly_robust_rows = cells.direct + clipped * residuals
    doubly_robust = _mean_and_error(doubly_robust_rows)
    self_normalised = _self_normalised_mean_and_error(clipped, rewards)
    inverse_propensity = _mean_and_error(clipped * rewards)
    direct_method = (cells.direct.mean(), np.nan)
    values_and_errors = {
        "DR": doubly_robust,
        "SNIPS": self_normalised,
        "IPS": inverse_propensity,
        "DM": direct_method,
    }
    lead, lead_pvalue = _lead(doubly_robust_rows - rewards, level)
    estimates = _with_intervals(values_and_errors, level)
    mean_weight = float(weights.mean())
    max_weight = float(weights.max())
    clipped_share = float((weights > clip).mean())
    return OffPolicy(
        estimates,
        ess=_effective_sample_size(clipped),
        mean_weight=mean_weight,
        max_weight=max_weight,
        clipped_share=clipped_share,
        warnings=_warnings(weights, clipped, rewards),
        n_rows=len(rewards),
        lead=lead,
        lead_pvalue=lead_pvalue,
    )


def _lead(differences: np.ndarray, level: float) -> tuple[Interval, float]:
    """Return the mean of the differences with its normal interval, and the p-value of 0."""
    mean, se = _mean_and_error(differences)
    margin = ndtri((1 + level) / 2) * se
    lead = Interval(float(mean), float(mean - margin), float(mean + margin))
    if mean == 0:
        return lead, 1.0
    pvalue = float(2 * ndtr(-abs(mean) / se)) if se > 0 else 0.0
    return lead, pvalue


def _with_intervals(
    values_and_errors: dict[str, tuple[float, float]], level: float
) -> pd.DataFrame:
    """Put the value and the standard error of each method into a frame, with normal intervals."""
    table = pd.DataFrame.from_dict(values_and_errors, orient="index", columns=["value", "se"])
    margin = ndtri((1 + level) / 2) * table["se"]
    table["low"] = table["value"] - margin
    table["high"] = table["value"] + margin
    return table.rename_axis("method")


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    se = values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), se


def _self_normalised_mean_and_error(
    weights: np.ndarray, rewards: np.ndarray
) -> tuple[float, float]:
    """Return SNIPS and its standard error, NaN without any weight."""
    if not weights.any():
        return np.nan, np.nan
    value = weights @ rewards / weights.sum()
    squared_error = weights**2 @ (rewards - value) ** 2
    return value, np.sqrt(squared_error) / weights.sum()


def _effective_sample_size(weights: np.ndarray) -> float:
    if not weights.any():
        return 0.0
    return float(weights.sum() ** 2 / (weights @ weights))


def _check_lengths(
    rewards: np.ndarray,
    actions: np.ndarray,
    propensity: np.ndarray,
    target: np.ndarray,
    predicted: np.ndarray,
) -> None:
    lengths = {len(array) for array in (rewards, actions, propensity, target)}
    if len(lengths) > 1 or target.shape != predicted.shape:
        raise ValueError("the arrays of the log, target and predicted differ in length or width")


def _check_policy(target: np.ndarray) -> None:
    check_values("target", target, target >= 0, "a probability, 0 or more")
    if not np.allclose(target.sum(axis=1), 1):
        raise ValueError("the target policy's probabilities must be 0 or more and sum to 1 by row")


def _warnings(weights: np.ndarray, clipped: np.ndarray, rewards: np.ndarray) -> tuple[str, ...]:
    """Say in words what makes the estimates doubtful; ``clipped`` are the weights after it."""
    warnings = []
    n = len(weights)
    ess = _effective_sample_size(clipped)
    if ess < LEAST_SHARE * n:
        warnings.append(
            f"Low overlap: {n:,} rows count as {ess:,.0f}; the intervals are too narrow."
        )
    mean, se = _mean_and_error(weights)
    if abs(mean - 1) > 3 * se + 1e-9:
        warnings.append(
            f"The mean weight is {mean:.3f}, not 1: the target does what the log never does, "
            "or the propensities are not the true ones."
        )
    largest_share = clipped.max() / clipped.sum() if clipped.any() else 1.0
    if largest_share > 0.05:
        warnings.append(f"One row carries {largest_share:.0%} of all weight.")
    n_rewarded = int(((rewards != 0) & (clipped > 0)).sum())
    if n_rewarded < 100:
        warnings.append(f"Only {n_rewarded} rows with a reward count: normal intervals are rough.")
    clipped_share = (clipped < weights).mean()
    if clipped_share > 0:
        warnings.append(
            f"{clipped_share:.1%} of the weights were clipped: the estimates are biased."
        )
    return tuple(warnings)


@dataclass(frozen=True)
class RewardModel:
    """Predicts the reward of every action, each row of a log by models that have not seen it.

    q(x, a) = r̄ + xᵀβ_a, with a mean and a β of each action for each fold.

    Parameters
    ----------
    context : (n, n_features) float
        x of each row.
    fold : (n,) int
        Whose model predicts the row: that of the other folds' rows.
    means : (n_folds,) float
    coefficients : (n_folds, n_features, n_actions) float
    """

    context: np.ndarray
    fold: np.ndarray
    means: np.ndarray
    coefficients: np.ndarray

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return q(x, a) of some rows and every action, (len(rows), n_actions)."""
        fold = self.fold[rows]
        above_mean = np.zeros((len(rows), self.coefficients.shape[2]))
        for feature, values in enumerate(self.context[rows].T):
            above_mean += values[:, None] * self.coefficients[fold, feature]
        return self.means[fold][:, None] + above_mean

    @classmethod
    def joined(cls, models: Sequence["RewardModel"]) -> "RewardModel":
        """Join the models of several logs into that of their rows, one log below the other."""
        n_folds = [len(model.means) for model in models]
        first_fold = np.cumsum(n_folds) - n_folds
        folds = [model.fold + first for model, first in zip(models, first_fold, strict=True)]
        return cls(
            np.concatenate([model.context for model in models]),
            np.concatenate(folds),
            np.concatenate([model.means for model in models]),
            np.concatenate([model.coefficients for model in models]),
        )


def fit_rewards(
    context: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    n_actions: int,
    *,
    fold: np.ndarray,
    reg: float = 1.0,
) -> RewardModel:
    """Fit a ridge model an action to the rewards, shrunk to the mean, for each fold without it.

    β_a = argmin Σ_{i: a_i = a} (r_i − r̄ − x_iᵀβ)² + reg ‖β‖², over the rows of the other folds.
    An action that these never show is predicted by their mean.

    Parameters
    ----------
    context, actions, rewards : (n, n_features) float, (n,) int, (n,) float
    fold : (n,) int
        From 0.

    Raises
    ------
    ValueError
        If a value of the context or a reward is missing, an action is not below ``n_actions``, or
        there is one fold.
    """
    check_finite("context", context)
    check_finite("rewards", rewards)
    check_positions("actions", actions, 0, n_actions - 1)
    if len(np.unique(fold)) < 2:
        raise ValueError("the rows are of one fold; a reward model needs 2 or more rows and folds")
    n_folds = fold.max() + 1
    n_features = context.shape[1]
    by_action = np.argsort(actions, kind="stable")
    means = np.zeros(n_folds)
    coefficients = np.zeros((n_folds, n_features, n_actions))
    for number in range(n_folds):
        means[number] = rewards[fold != number].mean()
        learned_from = by_action[fold[by_action] != number]
        shown, first = np.unique(actions[learned_from], return_index=True)
        rows_of_action = np.split(learned_from, first[1:])
        products = np.empty((len(shown), n_features, n_features))
        moments = np.empty((len(shown), n_features))
        for place, rows in enumerate(rows_of_action):
            x = context[rows]
            products[place] = x.T @ x
            moments[place] = x.T @ (rewards[rows] - means[number])
        penalised = products + reg * np.eye(n_features)
        solved = np.linalg.solve(penalised, moments[:, :, None])
        coefficients[number][:, shown] = solved[:, :, 0].T
    return RewardModel(context, fold, means, coefficients)


def draw_folds(n: int, folds: int, *, rng: np.random.Generator) -> np.ndarray:
    """Give each of n rows a fold by lot, int (n,) from 0; they differ in size by one at most."""
    return rng.permutation(n) % folds


def cross_fit(
    context: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    n_actions: int,
    *,
    rng: np.random.Generator,
    folds: int = 5,
    reg: float = 1.0,
) -> np.ndarray:
    """Predict the reward of every action, each row by models that have not seen it.

    The models are those of `fit_rewards`.

    ``context`` (n, n_features) holds a column of ones, or indicators of the position, say.
    Returns (n, n_actions). Source: Chernozhukov et al. (2018), Double/debiased machine learning.

    Raises
    ------
    ValueError
        If a value of the context or a reward is missing, or an action is not below ``n_actions``.
    """
    fold = draw_folds(len(rewards), folds, rng=rng)
    model = fit_rewards(context, actions, rewards, n_actions, fold=fold, reg=reg)
    return model.predict(np.arange(len(rewards)))


def position_policy(
    actions: np.ndarray, positions: np.ndarray, propensity: np.ndarray, n_actions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Approximate a policy by its mean propensity per (position, item), scaled to sum to 1.

    For logs that hold the propensities of logged items only. What is likely is logged more
    often, so the mean is E[p²] / E[p] ≥ E[p]; scaling repairs the sum, not the shape.

    Returns
    -------
    probabilities, n_logged : (n_positions, n_actions) float
        ``n_logged`` counts the rows of each cell: 0 is a cell without support, and
        ``n_logged / n_logged.sum(axis=1)`` a second, noisier estimate to compare with. A
        position that was never logged is a row of zeros.

    Raises
    ------
    ValueError
        If a position is not 1 or more, an action not below ``n_actions``, or a propensity
        outside (0, 1].
    """
    check_positions("positions", positions, 1)
    check_positions("actions", actions, 0, n_actions - 1)
    check_propensity("propensity", propensity)
    shape = (int(positions.max()), n_actions)
    cells = (positions - 1, actions)
    n_logged = np.zeros(shape)
    np.add.at(n_logged, cells, 1)
    total = np.zeros(shape)
    np.add.at(total, cells, propensity)
    mean = total / np.maximum(n_logged, 1)
    return ratio(mean, mean.sum(axis=1, keepdims=True)), n_logged


def overlap_table(estimates: Mapping[str, OffPolicy]) -> pd.DataFrame:
    """Return the health of each policy's estimate: weights, effective sample size, warnings."""
    rows = {}
    for name, result in estimates.items():
        rows[name] = {
            "ess": result.ess,
            "mean_weight": result.mean_weight,
            "max_weight": result.max_weight,
            "clipped_share": result.clipped_share,
            "warnings": " ".join(result.warnings),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("policy")


def policy_leads(estimates: Mapping[str, OffPolicy]) -> pd.DataFrame:
    """Return by how much DR puts each policy ahead of the one that wrote the log.

    Returns
    -------
    DataFrame, index policy
        ``value`` by DR, its ``lead`` with the ends ``low`` and ``high``, ``p``, and ``p_holm``,
        adjusted for all policies.
    """
    rows = {}
    for name, result in estimates.items():
        value = result.estimates.loc["DR", "value"]
        lead = result.lead
        rows[name] = (value, lead.estimate, lead.low, lead.high, result.lead_pvalue)
    columns = ["value", "lead", "low", "high", "p"]
    leads = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    leads["p_holm"] = holm(leads["p"].to_numpy())
    return leads.rename_axis("policy")


def policy_findings(estimates: Mapping[str, OffPolicy]) -> list[Finding]:
    """Return which policy to try next by DR, and how much of the log judges the worst judged.

    A policy is shown to differ from the one that wrote the log where its adjusted p-value of
    `policy_leads` is below 0.05; one that is shown to be better comes before one that is not.
    """
    if not estimates:
        return []
    leads = policy_leads(estimates)
    is_shown = leads["p_holm"] < ALPHA
    is_better = is_shown & (leads["lead"] > 0)
    candidates = leads[is_better] if is_better.any() else leads
    policy = candidates["lead"].idxmax()
    ends = leads.loc[policy, ["lead", "low", "high"]] * PER
    values: dict[str, object] = {"policy": policy, "per": PER, "n_tests": len(leads)}
    values |= ends.rename({"lead": "difference"}).to_dict()
    values |= {"p": leads.loc[policy, "p_holm"], "is_shown": is_shown[policy]}
    level = "good" if is_better.any() else "watch"
    next_policy = Finding("policies/next", level, values, place="leads")
    return [next_policy, _overlap(estimates)]


def _overlap(estimates: Mapping[str, OffPolicy]) -> Finding:
    shares = {name: result.ess / result.n_rows for name, result in estimates.items()}
    worst = min(shares, key=lambda name: shares[name])
    doubtful = [name for name, result in estimates.items() if result.warnings]
    is_too_few = shares[worst] < LEAST_SHARE
    level = "good"
    if doubtful:
        level = "bad" if is_too_few else "watch"
    values = {
        "policy": worst,
        "n_rows": estimates[worst].n_rows,
        "ess": estimates[worst].ess,
        "is_too_few": is_too_few,
        "doubtful": doubtful,
    }
    return Finding("policies/overlap", level, values, place="overlap")
