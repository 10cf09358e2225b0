"""The answers every model must beat: chance, popularity, and the documents' baseline."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.interest.matrix import positions_of
from kpay_lab.recommend.base import (
    LARGEST_SEED,
    Recommender,
    Training,
    candidate_scores,
    scoring_newcomers,
)
from kpay_lab.settings import Ranges, Space, check_settings


@dataclass(kw_only=True)
class Random:
    """Score by chance: a user's fixed draw, cold or not, from ``seed`` and user position."""

    ranges: ClassVar[Ranges] = {"seed": (0, LARGEST_SEED)}
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self)

    def fit(self, train: Training) -> Self:
        """Remember how many items there are."""
        self.n_items_ = len(train.interest.items)
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Draw uniform scores in [0, 1): (len(users), n_items)."""
        scores = np.empty((len(users), self.n_items_))
        for row, user in enumerate(users):
            rng = np.random.default_rng([self.seed, int(user)])
            scores[row] = rng.random(self.n_items_)
        return scores


@dataclass(kw_only=True)
class Popularity:
    """Score an item by how many users met it, the same for everybody.

    With a ``half_life`` h in days: Σ over its events of 0.5^((t_max − t) / h). A cold
    user gets the list of everybody; a cold item scores 0.
    """

    ranges: ClassVar[Ranges] = {"half_life": (1e-6, 1e6)}
    half_life: float | None = None

    def __post_init__(self) -> None:
        check_settings(self)

    def fit(self, train: Training) -> Self:
        """Count users or, with a half-life, decayed events."""
        n_items = len(train.interest.items)
        if self.half_life is None:
            met = train.interest.values.indices
            self.popularity_ = np.bincount(met, minlength=n_items).astype(float)
            return self
        events = train.need("events", "timestamp", "Popularity with a half_life")
        times = events["timestamp"]
        age = (times.max() - times) / pd.Timedelta(days=1)
        weight = 0.5 ** (age / self.half_life)
        known_weight = weight.fillna(0).to_numpy()  # an event without a time counts nothing
        positions = positions_of(events["item_id"], train.interest.items, "item_id")
        self.popularity_ = np.bincount(positions, known_weight, minlength=n_items)
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Repeat the popularity for each user: (len(users), n_items), read only."""
        return np.broadcast_to(self.popularity_, (len(users), len(self.popularity_)))

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Repeat the popularity for each newcomer: (n_newcomers, n_items), read only."""
        return np.broadcast_to(self.popularity_, histories.shape)


@dataclass(kw_only=True)
class Baseline:
    """Predict μ + b_u + b_i, the documents' P = A + μ made able to rank.

    P = A + μ adds one constant to every item of a user, so it reorders nothing. What can
    rank is the bias of the item. With n the stored values and a their degrees,

    b_i = Σ_u (a_ui − μ) / (n_i + reg),  b_u = Σ_i (a_ui − μ − b_i) / (n_u + reg).

    ``reg`` imagined average values hold back biases that rest on few. A cold user gets
    μ + b_i, a cold item μ + b_u. Equal degrees everywhere leave no bias and no ranking.
    Source: Koren, Bell, Volinsky (2009), Matrix factorization techniques for recommenders.
    """

    ranges: ClassVar[Ranges] = {"reg": (0.0, 1e9)}
    space: ClassVar[Space] = {"reg": (1.0, 3.0, 10.0, 30.0, 100.0)}
    reg: float = 10.0

    def __post_init__(self) -> None:
        check_settings(self)

    def fit(self, train: Training) -> Self:
        """Learn the mean and the damped biases from the stored degrees."""
        cells = train.interest.values.tocoo()
        n_items = cells.shape[1]
        self.mean_ = float(cells.data.mean()) if cells.nnz else 0.0
        above_mean = cells.data - self.mean_
        self.item_bias_ = self._damped_mean(cells.col, above_mean, n_items)
        self.user_bias_ = self._user_biases(train.interest.values)
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Predict the degree of interest: (len(users), n_items)."""
        return self._predict(self.user_bias_[users])

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Predict newcomers' degrees of interest: (n_newcomers, n_items)."""
        return self._predict(self._user_biases(histories))

    def _predict(self, user_biases: np.ndarray) -> np.ndarray:
        return self.mean_ + user_biases[:, None] + self.item_bias_

    def _user_biases(self, histories: csr_array) -> np.ndarray:
        cells = histories.tocoo()
        residual = cells.data - self.mean_ - self.item_bias_[cells.col]
        return self._damped_mean(cells.row, residual, cells.shape[0])

    def _damped_mean(self, groups: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
        """Return the mean of each of n groups, as if ``reg`` further values of it were 0."""
        sums = np.bincount(groups, values, minlength=n)
        counts = np.bincount(groups, minlength=n) + self.reg
        return sums / np.where(counts > 0, counts, 1)


@dataclass(kw_only=True)
class WithFallback:
    """Let popularity answer for cold users: those without a training value."""

    model: Recommender

    def fit(self, train: Training) -> Self:
        """Fit both models and note who is cold."""
        self.model.fit(train)
        self.popular_ = Popularity().fit(train)
        self.cold_ = np.diff(train.interest.values.indptr) == 0
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Score by the model, and by popularity where the user is cold."""
        return self._with_popularity(self.model.score(users), users)

    def score_candidates(self, users: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
        """Score likewise, of the model what is asked for alone: (len(users), n_items)."""
        scores = candidate_scores(self.model, users, is_candidate)
        return self._with_popularity(scores, users)

    def _with_popularity(self, scores: np.ndarray, users: np.ndarray) -> np.ndarray:
        """Return the scores with popularity in the rows of cold users."""
        filled = np.array(scores)
        filled[self.cold_[users]] = self.popular_.popularity_
        return filled

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Score newcomers likewise; a ValueError if the model cannot, see `scoring_newcomers`."""
        scores = np.array(scoring_newcomers(self.model).score_new(histories))
        is_cold = np.diff(histories.indptr) == 0
        scores[is_cold] = self.popular_.popularity_
        return scores
