"""What a model may see, what it must do, and the only code that ranks."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix


@dataclass(frozen=True)
class Training:
    """Everything a model may learn from: the training part, and nothing after it.

    Parameters
    ----------
    interest : InterestMatrix
        Interest degrees of the training events, (n_users, n_items).
    tables : Tables, optional
        The tables as known at training time; ``tables.events`` holds training events
        only. Absent in tests and benchmarks that start from a matrix.
    """

    interest: InterestMatrix
    tables: Tables | None = None

    @classmethod
    def from_matrix(cls, interest: InterestMatrix) -> Self:
        """Wrap a bare matrix, for tests and benchmarks."""
        return cls(interest)


class Recommender(Protocol):
    """A model learns and scores; it never filters, ranks or evaluates."""

    def fit(self, train: Training) -> Self:
        """Learn from the training part."""
        ...

    def score(self, users: np.ndarray) -> np.ndarray:
        """Score every item for the given user positions: (len(users), n_items)."""
        ...
