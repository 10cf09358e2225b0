"""What would have worked? The value of a policy, estimated from another policy's log.

Throughout: rewards r_i, logged actions a_i drawn with probability p_i, the target policy's
π(a | x_i), weights w_i = min(π(a_i | x_i) / p_i, clip), a reward model q(x, a). Clipping
lowers the variance and biases IPS, SNIPS and DR.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm


@dataclass(frozen=True)
class Estimate:
    """One estimate of the target policy's mean reward; DM carries no interval (NaN)."""

    method: str
    value: float
    se: float
    low: float
    high: float


@dataclass(frozen=True)
class OffPolicy:
    """The estimates, the most trustworthy first, and how far the log can carry them.

    ``ess`` is the effective sample size (Σ w)² / Σ w² (Kish, 1965); mean and largest weight
    and the share clipped are those of the weights before clipping.
    """

    estimates: tuple[Estimate, ...]
    ess: float
    mean_weight: float
    max_weight: float
    clipped_share: float
    warnings: tuple[str, ...]


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
    """Estimate the value of a target policy in four ways.

    - DR = mean(Σ_a π(a|x_i) q(x_i, a) + w_i (r_i − q(x_i, a_i))), right if either the
      propensities or q are (Dudík, Langford & Li, 2011);
    - SNIPS = Σ w_i r_i / Σ w_i (Swaminathan & Joachims, 2015), variance by the delta method;
    - IPS = mean(w_i r_i) (Horvitz & Thompson, 1952);
    - DM = mean(Σ_a π(a|x_i) q(x_i, a)): no interval, for its error is bias.

    Intervals are normal; the effective sample size is (Σ w)² / Σ w² (Kish, 1965).

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
        If shapes disagree, a propensity is outside (0, 1] or a row of ``target`` is no policy.
    """
    _check(target, predicted, propensity, actions, rewards)
    rows = np.arange(len(rewards))
    raw = target[rows, actions] / propensity
    w = np.minimum(raw, clip)
    direct = (target * predicted).sum(axis=1)
    values = {
        "DR": _mean(direct + w * (rewards - predicted[rows, actions])),
        "SNIPS": _self_normalised(w, rewards),
        "IPS": _mean(w * rewards),
        "DM": (direct.mean(), np.nan),
    }
    z = norm.ppf((1 + level) / 2)
    ends = {name: (v, s, v - z * s, v + z * s) for name, (v, s) in values.items()}
    estimates = tuple(Estimate(name, *map(float, numbers)) for name, numbers in ends.items())
    ess, clipped = float(w.sum() ** 2 / (w @ w)) if w.any() else 0.0, float((raw > clip).mean())
    notes = _warnings(raw, w, rewards, ess, clipped)
    return OffPolicy(estimates, ess, float(raw.mean()), float(raw.max()), clipped, notes)


def _self_normalised(w: np.ndarray, rewards: np.ndarray) -> tuple[float, float]:
    """Return SNIPS and its standard error, NaN without any weight."""
    if not w.any():
        return np.nan, np.nan
    value = w @ rewards / w.sum()
    return value, np.sqrt((w**2) @ (rewards - value) ** 2) / w.sum()


def _mean(values: np.ndarray) -> tuple[float, float]:
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def _check(
    target: np.ndarray, predicted: np.ndarray, propensity: np.ndarray, *others: np.ndarray
) -> None:
    if target.shape != predicted.shape or {len(a) for a in (propensity, *others)} != {len(target)}:
        raise ValueError("the arrays of the log, target and predicted differ in length or width")
    if not ((propensity > 0) & (propensity <= 1)).all():
        raise ValueError("a logged propensity is not in (0, 1]; the log must hold the true ones")
    if not np.allclose(target.sum(axis=1), 1) or (target < 0).any():
        raise ValueError("the target policy's probabilities must be 0 or more and sum to 1 by row")


def _warnings(
    raw: np.ndarray, w: np.ndarray, rewards: np.ndarray, ess: float, clipped: float
) -> tuple[str, ...]:
    n, mean, se = len(raw), raw.mean(), raw.std(ddof=1) / np.sqrt(len(raw))
    largest, used = w.max() / w.sum() if w.any() else 1.0, int(((rewards != 0) & (w > 0)).sum())
    reason = "the target does what the log never does, or the propensities are not the true ones"
    low = f"Low overlap: {n:,} rows count as {ess:,.0f}; the intervals are too narrow."
    cases = (
        (ess < 0.1 * n, low),
        (abs(mean - 1) > 3 * se + 1e-9, f"The mean weight is {mean:.3f}, not 1: {reason}."),
        (largest > 0.05, f"One row carries {largest:.0%} of all weight."),
        (used < 100, f"Only {used} rows with a reward count: normal intervals are rough."),
        (clipped > 0, f"{clipped:.1%} of the weights were clipped: the estimates are biased."),
    )
    return tuple(sentence for holds, sentence in cases if holds)


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

    q(x, a) = r̄ + xᵀβ_a with β_a = argmin Σ_{i: a_i = a} (r_i − r̄ − x_iᵀβ)² + reg ‖β‖²: a
    ridge model an action, shrunk to the mean of the training folds.

    ``context`` (n, n_features) holds a column of ones, or indicators of the position, say.
    Returns (n, n_actions). Source: Chernozhukov et al. (2018), Double/debiased machine learning.
    """
    fold = rng.permutation(len(rewards)) % folds
    predicted = np.empty((len(rewards), n_actions))
    penalty = reg * np.eye(context.shape[1])
    for held in range(folds):
        mean = rewards[fold != held].mean()
        for action in range(n_actions):
            rows = (fold != held) & (actions == action)
            x, y = context[rows], rewards[rows] - mean
            beta = np.linalg.solve(x.T @ x + penalty, x.T @ y)
            predicted[fold == held, action] = mean + context[fold == held] @ beta
    return predicted


def position_policy(
    actions: np.ndarray, positions: np.ndarray, propensity: np.ndarray, n_actions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Approximate a policy by its mean propensity per (position, item), scaled to sum to 1.

    For logs that hold the propensities of logged items only. What is likely is logged more
    often, so the mean is E[p²] / E[p] ≥ E[p]; scaling repairs the sum, not the shape.

    Returns
    -------
    probabilities, shown : (n_positions, n_actions) float
        ``shown`` counts the rows of each cell: 0 is a cell without support, and
        ``shown / shown.sum(axis=1)`` a second, noisier estimate to compare with.
    """
    shape = (int(positions.max()), n_actions)
    shown, total = np.zeros(shape), np.zeros(shape)
    np.add.at(shown, (positions - 1, actions), 1)
    np.add.at(total, (positions - 1, actions), propensity)
    mean = total / np.maximum(shown, 1)
    return mean / mean.sum(axis=1, keepdims=True), shown
