"""Learning while acting: policies that choose an arm at each step, over many seeds at once."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Environment:
    """Arms that pay 1 or 0; who arrives at a step is a row drawn at random.

    ``probabilities`` (n_contexts, n_arms) are the chances of a reward, ``contexts``
    (n_contexts, n_features) what a contextual policy sees.
    """

    probabilities: np.ndarray
    contexts: np.ndarray

    def __post_init__(self) -> None:
        p = self.probabilities
        if len(self.contexts) != len(p) or not ((p >= 0) & (p <= 1)).all():
            raise ValueError("probabilities need one row a context, and values in [0, 1]")

    @classmethod
    def bernoulli(cls, means: np.ndarray) -> "Environment":
        """Make arms that pay the same to everybody."""
        return cls(np.atleast_2d(np.asarray(means, dtype=np.float64)), np.ones((1, 1)))


class Policy(Protocol):
    """Start, choose, learn; every array has one row a seed."""

    def start(self, n_seeds: int, n_arms: int, n_features: int) -> None:
        """Forget everything."""

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one arm a seed, (n_seeds,) int, for contexts x (n_seeds, n_features)."""

    def learn(self, x: np.ndarray, arms: np.ndarray, rewards: np.ndarray) -> None:
        """Take in what the chosen arms paid, (n_seeds,) float."""


class _Counting:
    """Keeps pulls and wins of each arm, (n_seeds, n_arms)."""

    def start(self, n_seeds: int, n_arms: int, n_features: int) -> None:
        self.pulls_, self.wins_ = np.zeros((n_seeds, n_arms)), np.zeros((n_seeds, n_arms))
        self.seeds_ = np.arange(n_seeds)

    def learn(self, x: np.ndarray, arms: np.ndarray, rewards: np.ndarray) -> None:
        self.pulls_[self.seeds_, arms] += 1
        self.wins_[self.seeds_, arms] += rewards

    def means(self) -> np.ndarray:
        return np.where(self.pulls_ > 0, self.wins_ / np.maximum(self.pulls_, 1), np.inf)


def _best(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the best arm of each row; ties are broken at random."""
    return (rng.random(scores.shape) * (scores >= scores.max(axis=1, keepdims=True))).argmax(axis=1)


@dataclass(kw_only=True)
class EpsilonGreedy(_Counting):
    """With chance ε any arm, else the best mean so far; its regret grows linearly."""

    epsilon: float = 0.1

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Explore with chance ε."""
        best, n_arms = _best(self.means(), rng), self.pulls_.shape[1]
        explore = rng.random(len(best)) < self.epsilon
        return np.where(explore, rng.integers(n_arms, size=len(best)), best)


@dataclass(kw_only=True)
class UCB1(_Counting):
    """The arm with the largest mean + √(2 ln t / pulls) (Auer, Cesa-Bianchi & Fischer, 2002)."""

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose the arm that could be best; every arm is tried once first."""
        t = np.maximum(self.pulls_.sum(axis=1, keepdims=True), 1)
        return _best(self.means() + np.sqrt(2 * np.log(t) / np.maximum(self.pulls_, 1)), rng)


@dataclass(kw_only=True)
class Thompson(_Counting):
    """Argmax of one draw an arm from Beta(1 + wins, 1 + losses) (Thompson, 1933)."""

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a mean for each arm, take the largest."""
        return rng.beta(1 + self.wins_, 1 + self.pulls_ - self.wins_).argmax(axis=1)


@dataclass(kw_only=True)
class LinUCB:
    """A ridge model an arm; the largest xᵀθ + α √(xᵀ A⁻¹ x), A = reg·I + Σ x xᵀ, θ = A⁻¹ Σ r x.

    Li, Chu, Langford & Schapire (2010), algorithm 1; A⁻¹ by Sherman and Morrison's update.
    """

    alpha: float = 0.5
    reg: float = 1.0

    def start(self, n_seeds: int, n_arms: int, n_features: int) -> None:
        """Forget everything."""
        shape = (n_seeds, n_arms, n_features)
        self.inverse_ = np.broadcast_to(np.eye(n_features) / self.reg, (*shape, n_features)).copy()
        self.sums_, self.theta_ = np.zeros(shape), np.zeros(shape)
        self.seeds_ = np.arange(n_seeds)

    def choose(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose the arm that could be best for x."""
        spread = np.einsum("sakf,sf->sak", self.inverse_, x)
        bonus = np.sqrt(np.einsum("sak,sk->sa", spread, x))
        return _best(np.einsum("saf,sf->sa", self.theta_, x) + self.alpha * bonus, rng)

    def learn(self, x: np.ndarray, arms: np.ndarray, rewards: np.ndarray) -> None:
        """Update the models of the chosen arms."""
        at = (self.seeds_, arms)
        v = np.einsum("skf,sf->sk", self.inverse_[at], x)
        shrink = 1 + np.einsum("sk,sk->s", v, x)
        self.inverse_[at] -= v[:, :, None] * v[:, None, :] / shrink[:, None, None]
        self.sums_[at] += rewards[:, None] * x
        self.theta_[at] = np.einsum("skf,sf->sk", self.inverse_[at], self.sums_[at])


@dataclass(frozen=True)
class BanditRun:
    """Cumulative expected regret and whether the best arm was taken; (n_seeds, n_steps) each."""

    regret: np.ndarray
    on_best: np.ndarray

    def curve(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return mean, low and high over seeds at each step (95 % t intervals)."""
        n, mean = len(values), values.mean(axis=0)
        half = stats.t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
        return mean, mean - half, mean + half

    @property
    def best_share(self) -> np.ndarray:
        """Share of the traffic so far that went to the best arm, (n_seeds, n_steps)."""
        return self.on_best.cumsum(axis=1) / np.arange(1, self.on_best.shape[1] + 1)


def run_bandit(
    policy: Policy,
    environment: Environment,
    n_steps: int,
    n_seeds: int,
    *,
    rng: np.random.Generator,
) -> BanditRun:
    """Let a policy act in an environment, all seeds at once.

    regret(t) = Σ max_a p(x, a) − p(x, chosen). Arrivals and luck come from a generator of
    their own: policies run with equal ``rng`` meet the same world, seed by seed.
    """
    world, own = rng.spawn(2)
    p = environment.probabilities
    policy.start(n_seeds, p.shape[1], environment.contexts.shape[1])
    loss = np.empty((n_steps, n_seeds))
    for step in range(n_steps):
        who, luck = world.integers(len(p), size=n_seeds), world.random(n_seeds)
        x = environment.contexts[who]
        arms = policy.choose(x, own)
        chance = p[who, arms]
        policy.learn(x, arms, (luck < chance).astype(np.float64))
        loss[step] = p[who].max(axis=1) - chance
    return BanditRun(loss.T.cumsum(axis=1), loss.T == 0)
