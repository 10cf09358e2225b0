"""The documents' S = w1 R + w2 A + w3 B, over three models that can each rank."""

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from kpay_lab.recommend.base import (
    Recommender,
    ScoresNewcomers,
    Training,
    unit_range_by_row,
)
from kpay_lab.recommend.content import ContentBased, is_described
from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.markov import Markov
from kpay_lab.settings import Ranges, Space, check_settings


@dataclass(kw_only=True)
class Blend:
    """Add up content relevance, predicted interest and behaviour sequence.

    S = w1 R + w2 A + w3 B, each part first scaled to [0, 1] within a user over the items not
    yet met. A is *predicted* interest: observed interest is 0 for every unseen item and would
    leave w1 R alone. A part without data (no description of items, no timestamps) is left out
    and the others share its weight. A cold user scores 0; a cold item is scored by content.
    The default weights are those of the documents' worked example.
    """

    ranges: ClassVar[Ranges] = {"weights": (0.0, 1e6)}
    space: ClassVar[Space] = {
        "weights": ((0.5, 0.3, 0.2), (0.2, 0.6, 0.2), (0.2, 0.3, 0.5), (0.1, 0.8, 0.1))
    }
    most_trials: ClassVar[int] = 2
    weights: tuple[float, float, float] = (0.5, 0.3, 0.2)
    content: Recommender = field(default_factory=ContentBased)
    interest: Recommender = field(default_factory=EASE)
    sequence: Recommender = field(default_factory=Markov)

    def __post_init__(self) -> None:
        check_settings(self)
        if not any(self.weights):
            raise ValueError("Blend: weights are all 0; give at least one part a weight")

    def fit(self, train: Training) -> Self:
        """Fit the parts for which there is data."""
        for_content, for_interest, for_sequence = self.weights
        usable = [(for_interest, self.interest)]
        if is_described(train):
            usable.insert(0, (for_content, self.content))
        if train.has("events", "timestamp"):
            usable.append((for_sequence, self.sequence))
        total = sum(weight for weight, _ in usable)
        if not total > 0:
            raise ValueError(f"Blend: weights {self.weights} leave no part with data; raise w2")
        self.parts_ = []
        for weight, model in usable:
            if weight > 0:
                fitted = model.fit(train)
                self.parts_.append((weight / total, fitted))
        self.met_ = train.interest.values
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return S: (len(users), n_items)."""
        scores = [model.score(users) for _, model in self.parts_]
        return self._weighted_sum(scores, self.met_[users])

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return S for newcomers: (n_newcomers, n_items).

        Raises
        ------
        ValueError
            If a part with a weight cannot score newcomers, as `Markov` cannot.
        """
        scores = []
        for _, model in self.parts_:
            if not isinstance(model, ScoresNewcomers):
                part = type(model).__name__
                raise ValueError(
                    f"Blend: its part {part} cannot score newcomers; "
                    "set the weight of that part to 0, such as weights=[0.6, 0.4, 0]"
                )
            scores.append(model.score_new(histories))
        return self._weighted_sum(scores, histories)

    def _weighted_sum(self, scores: list[np.ndarray], met: csr_array) -> np.ndarray:
        """Scale each part's scores over the items not yet met, and add the parts up."""
        unmet = np.ones(met.shape, dtype=bool)
        unmet[met.tocoo().coords] = False
        parts = []
        for (weight, _), scores_of_part in zip(self.parts_, scores, strict=True):
            scaled = unit_range_by_row(scores_of_part, unmet)
            parts.append(weight * scaled)
        return np.sum(parts, axis=0)
