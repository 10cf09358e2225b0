"""What comes next: behaviour sequences as a Markov chain."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from kpay_lab.interest.sequences import behaviour_sequences
from kpay_lab.recommend.base import Training
from kpay_lab.recommend.linear import ItemToItemModel
from kpay_lab.settings import Ranges, Space, check_settings


@dataclass(kw_only=True)
class Markov(ItemToItemModel):
    """Score an item by how often it followed what the user did last.

    score_uj = Σ_m decay^m p(j | the item m steps before the end of B_u), over the last
    ``n_last`` behaviours, with p(j | i) = n_ij / (Σ_j n_ij + smoothing) and n_ij the times
    that j directly followed i, in one session or at all. The smoothing, imagined moves to
    nowhere, keeps a rare item from being certain. A cold user or item scores 0. Degrees of
    interest do not say what came last, so newcomers are not scored.
    """

    ranges: ClassVar[Ranges] = {
        "n_last": (1, 1_000_000),
        "decay": (0.0, 1.0),
        "smoothing": (0.0, 1e9),
    }
    space: ClassVar[Space] = {
        "n_last": (1, 3, 10, 30),
        "decay": (0.5, 0.8, 0.95),
        "smoothing": (1.0, 5.0, 20.0),
    }
    n_last: int = 10
    decay: float = 0.8
    smoothing: float = 5.0
    within_session: bool = False

    def __post_init__(self) -> None:
        check_settings(self)

    def lacks(self, train: Training) -> str:
        """Say that there are no times, where there are none."""
        if train.has("events", "timestamp"):
            return ""
        return "the log has no times, so what came next is not known"

    def fit(self, train: Training) -> Self:
        """Count the moves and keep the end of each user's sequence."""
        matrix = train.interest
        events = train.need("events", "timestamp", "Markov")
        behaviour = behaviour_sequences(events, matrix.users, matrix.items)
        moves = behaviour.transitions(within_session=self.within_session)
        n_departures = np.asarray(moves.sum(axis=1)) + self.smoothing
        shares = moves.data / np.repeat(n_departures, np.diff(moves.indptr))
        self.item_weights_ = csr_array((shares, moves.indices, moves.indptr), shape=moves.shape)
        user = behaviour.user  # rising: one user's behaviour stands together
        last_position = np.searchsorted(user, user, side="right") - 1  # of each behaviour's user
        steps_back = last_position - np.arange(len(user))
        recent = steps_back < self.n_last
        weights = self.decay ** steps_back[recent]
        cells = (user[recent], behaviour.item[recent])
        self.history_ = csr_array((weights, cells), shape=matrix.values.shape)
        return self
