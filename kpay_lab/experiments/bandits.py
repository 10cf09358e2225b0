"""Bandits: policies that learn which arm pays while they choose, played in many seeds at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from kpay_lab.findings import Finding
from kpay_lab.stats import t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 400  # of a curve, however many the steps
MEASURES = {"regret": "cumulative regret", "best_share": "share on the best arm"}


@dataclass(frozen=True)
class Environment:
    """Arms that pay 1 or 0; at each step a visitor arrives, whose context is a row drawn at random.

    ``probabilities`` (n_contexts, n_arms) are the chances of a reward, ``contexts``
    (n_contexts, n_features) what a contextual policy sees.
    """

    probabilities: np.ndarray
    contexts: np.ndarray

    def __post_init__(self) -> None:
        in_range = (self.probabilities >= 0) & (self.probabilities <= 1)
        if len(self.contexts) != len(self.probabilities) or not in_range.all():
            raise ValueError("probabilities need one row a context, and values in [0, 1]")

    @classmethod
    def bernoulli(cls, means: np.ndarray) -> "Environment":
        """Make arms that pay the same to everybody."""
        probabilities = np.atleast_2d(np.asarray(means, dtype=np.float64))
        return cls(probabilities, contexts=np.ones((1, 1)))


class Policy(Protocol):
    """A rule that chooses an arm and learns from the reward; every array has one row a seed."""

    def start(self, n_seeds: int, n_arms: int, n_features: int) -> None:
        """Forget everything."""

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one arm a seed, (n_seeds,) int, for contexts x (n_seeds, n_features)."""

    def learn(self, x: np.ndarray, arms: np.ndarray, rewards: np.ndarray) -> None:
        """Update from the rewards of the chosen arms, (n_seeds,) float."""


class _Counting:
    """Counts the pulls and the wins of each arm, (n_seeds, n_arms)."""

    def start(self, n_seeds: int, n_arms: int, n_features: int) -> None:
        self.pulls_ = np.zeros((n_seeds, n_arms))
        self.wins_ = np.zeros((n_seeds, n_arms))
        self.seeds_ = np.arange(n_seeds)

    def learn(self, x: np.ndarray, arms: np.ndarray, rewards: np.ndarray) -> None:
        self.pulls_[self.seeds_, arms] += 1
        self.wins_[self.seeds_, arms] += rewards

    def means(self) -> np.ndarray:
        """Return the mean reward of each arm; infinite before its first pull."""
        means = self.wins_ / np.maximum(self.pulls_, 1)
        return np.where(self.pulls_ > 0, means, np.inf)


def _best(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the best arm of each row; ties are broken at random."""
    lots = rng.random(scores.shape)
    is_best = scores >= scores.max(axis=1, keepdims=True)
    lots_of_the_best = lots * is_best  # 0 for every other arm
    return lots_of_the_best.argmax(axis=1)


@dataclass(kw_only=True)
class EpsilonGreedy(_Counting):
    """With chance ε any arm, else the best mean so far; its regret grows linearly."""

    epsilon: float = 0.1

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Explore with chance ε."""
        n_seeds, n_arms = self.pulls_.shape
        best = _best(self.means(), rng)
        explores = rng.random(n_seeds) < self.epsilon
        any_arm = rng.integers(n_arms, size=n_seeds)
        return np.where(explores, any_arm, best)


@dataclass(kw_only=True)
class UCB1(_Counting):
    """The arm with the largest mean + √(2 ln t / pulls) (Auer, Cesa-Bianchi & Fischer, 2002)."""

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose the arm that could be best; every arm is tried once first."""
        n_pulls = self.pulls_.sum(axis=1, keepdims=True)
        t = np.maximum(n_pulls, 1)
        pulls = np.maximum(self.pulls_, 1)
        bonus = np.sqrt(2 * np.log(t) / pulls)
        return _best(self.means() + bonus, rng)


@dataclass(kw_only=True)
class Thompson(_Counting):
    """Argmax of one draw an arm from Beta(1 + wins, 1 + losses) (Thompson, 1933)."""

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a mean for each arm, take the largest."""
        losses = self.pulls_ - self.wins_
        means = rng.beta(1 + self.wins_, 1 + losses)
        return means.argmax(axis=1)


@dataclass(kw_only=True)
class LinUCB:
    """A ridge model an arm; the largest xᵀθ + α √(xᵀ A⁻¹ x), A = reg·I + Σ x xᵀ, θ = A⁻¹ Σ r x.

    Li, Chu, Langford & Schapire (2010), algorithm 1; A⁻¹ by Sherman and Morrison's update.
    In the sums over indices ``s`` is the seed, ``a`` the arm, ``f`` and ``k`` are features.
    """

    alpha: float = 0.5
    reg: float = 1.0

    def start(self, n_seeds: int, n_arms: int, n_features: int) -> None:
        """Forget everything."""
        shape = (n_seeds, n_arms, n_features)
        prior = np.eye(n_features) / self.reg
        self.inverse_ = np.broadcast_to(prior, (*shape, n_features)).copy()
        self.sums_ = np.zeros(shape)
        self.theta_ = np.zeros(shape)
        self.seeds_ = np.arange(n_seeds)

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose the arm with the largest xᵀθ + α √(xᵀ A⁻¹ x): it could be the best for x."""
        means = np.einsum("saf,sf->sa", self.theta_, x)
        inverse_times_x = np.einsum("sakf,sf->sak", self.inverse_, x)
        bonus = np.sqrt(np.einsum("sak,sk->sa", inverse_times_x, x))
        return _best(means + self.alpha * bonus, rng)

    def learn(self, x: np.ndarray, arms: np.ndarray, rewards: np.ndarray) -> None:
        """Update the models of the chosen arms.

        (A + x xᵀ)⁻¹ = A⁻¹ − v vᵀ / (1 + vᵀx) with v = A⁻¹ x (Sherman & Morrison, 1950).
        """
        chosen = (self.seeds_, arms)
        v = np.einsum("skf,sf->sk", self.inverse_[chosen], x)
        divisor = 1 + np.einsum("sk,sk->s", v, x)
        outer_product = v[:, :, None] * v[:, None, :]
        self.inverse_[chosen] -= outer_product / divisor[:, None, None]
        self.sums_[chosen] += rewards[:, None] * x
        self.theta_[chosen] = np.einsum("skf,sf->sk", self.inverse_[chosen], self.sums_[chosen])


@dataclass(frozen=True)
class BanditRun:
    """Cumulative expected regret and whether the best arm was taken; (n_seeds, n_steps) each."""

    regret: np.ndarray
    on_best: np.ndarray

    def curve(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return mean, low and high over seeds at each step (95 % t intervals)."""
        n = len(values)
        mean = values.mean(axis=0)
        quantile = stdtrit(n - 1, 0.975)
        margin = quantile * values.std(axis=0, ddof=1) / np.sqrt(n)
        return mean, mean - margin, mean + margin

    def table(self) -> pd.DataFrame:
        """Return regret and the share on the best arm, a row a step: mean, low and high."""
        regret, regret_low, regret_high = self.curve(self.regret)
        share, share_low, share_high = self.curve(self.best_share)
        columns = {
            "regret": regret,
            "regret_low": regret_low,
            "regret_high": regret_high,
            "best_share": share,
            "best_share_low": share_low,
            "best_share_high": share_high,
        }
        steps = pd.RangeIndex(1, len(regret) + 1, name="step")
        return pd.DataFrame(columns, steps)

    @property
    def best_share(self) -> np.ndarray:
        """Share of the traffic so far that went to the best arm, (n_seeds, n_steps)."""
        n_steps = self.on_best.shape[1]
        return self.on_best.cumsum(axis=1) / np.arange(1, n_steps + 1)

    def plot(self, ax: "Axes | None" = None, *, measure: str = "regret", label: str = "") -> "Axes":
        """Draw ``regret`` or ``best_share`` by step with its interval, and return the Axes."""
        from kpay_lab.plots import plot_curves  # here, for matplotlib is slow to import

        means = self.table()
        places = np.linspace(0, len(means) - 1, MOST_POINTS).astype(int)
        means = means.iloc[np.unique(places)].reset_index()
        band = {f"{measure}_low": "low", f"{measure}_high": "high"}
        curves = {label: means.rename(columns=band)}
        words = MEASURES[measure]
        return plot_curves(curves, "step", measure, ax=ax, band=True, xlabel="step", ylabel=words)


def run_bandit(
    policy: Policy,
    environment: Environment,
    n_steps: int,
    n_seeds: int,
    *,
    rng: np.random.Generator,
) -> BanditRun:
    """Let a policy act in an environment, all seeds at once.

    regret(t) = Σ max_a p(x, a) − p(x, chosen). Visitors and rewards are drawn by a generator of
    their own, so policies run with equal ``rng`` meet the same visitors, seed by seed.
    """
    if n_seeds < 2:
        raise ValueError(f"n_seeds is {n_seeds}; an interval over seeds needs 2 or more")
    environment_rng, policy_rng = rng.spawn(2)
    n_contexts, n_arms = environment.probabilities.shape
    n_features = environment.contexts.shape[1]
    policy.start(n_seeds, n_arms, n_features)
    lost = np.empty((n_steps, n_seeds))
    for step in range(n_steps):
        visitors = environment_rng.integers(n_contexts, size=n_seeds)
        luck = environment_rng.random(n_seeds)
        x = environment.contexts[visitors]
        arms = policy.choose(x, policy_rng)
        chance = environment.probabilities[visitors, arms]
        rewards = (luck < chance).astype(np.float64)
        policy.learn(x, arms, rewards)
        best_chance = environment.probabilities[visitors].max(axis=1)
        lost[step] = best_chance - chance
    return BanditRun(regret=lost.T.cumsum(axis=1), on_best=lost.T == 0)


def final_regret(runs: Mapping[str, BanditRun]) -> pd.DataFrame:
    """Return each policy's regret after the last step, with its interval over seeds.

    Returns
    -------
    DataFrame, index policy
        regret, low, high, and the ``best_share`` of the traffic that went to the best arm.
    """
    rows = {}
    for name, run in runs.items():
        at_the_end = run.regret[:, -1:]
        mean, low, high = run.curve(at_the_end)
        rows[name] = (mean[0], low[0], high[0], run.best_share[:, -1].mean())
    columns = ["regret", "low", "high", "best_share"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("policy")


def bandit_findings(runs: Mapping[str, BanditRun]) -> list[Finding]:
    """Return which policy loses least, and its lead over the next with an interval over seeds.

    The policies have met the same visitors, seed by seed, so that their regret is compared in
    pairs. Nothing is found where there is but one policy, or two do the same in every seed.
    """
    lost = {name: run.regret[:, -1] for name, run in runs.items()}
    by_mean = sorted(lost, key=lambda name: lost[name].mean())
    if len(by_mean) < 2:
        return []
    least, next_one = by_mean[:2]
    lead = t_interval(lost[next_one] - lost[least])
    if np.isnan(lead.low):
        return []
    n_steps = runs[least].regret.shape[1]
    values = {"least": least, "other": next_one, "n_steps": n_steps, "n_seeds": len(lost[least])}
    values |= {"regret": lost[least].mean()}
    values |= {"difference": lead.estimate, "low": lead.low, "high": lead.high}
    return [Finding("policies/bandit", "plain", values, place="regret")]
