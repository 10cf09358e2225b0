"""A weighted sum of models; the documents' S = w1 R + w2 A + w3 B is one of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from kpay_lab.recommend.base import (
    Recommender,
    ScoresNewcomers,
    Training,
    lack_of,
    unit_range_by_row,
)
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.markov import Markov
from kpay_lab.settings import Ranges, check_settings

SMALLEST_DRAWN = 0.01  # of a weight that a search draws: every part has a say


@dataclass(frozen=True)
class Shares:
    """All ways to share 1 among the parts of a mix, each as likely: a flat Dirichlet.

    >>> Shares(2).rvs(np.random.RandomState(0))
    (0.39, 0.61)
    """

    n_parts: int

    def rvs(self, random_state: np.random.RandomState) -> tuple[float, ...]:
        """Draw one, in hundredths; a search asks for it by this name, which is SciPy's."""
        drawn = random_state.dirichlet(np.ones(self.n_parts))
        in_hundredths = np.maximum(drawn.round(2), SMALLEST_DRAWN)
        return tuple(in_hundredths.tolist())


@dataclass(kw_only=True)
class Mix:
    """Add up the scores of any models, each with a weight.

    S = Σ_m w_m S_m, where the scores S_m of each part are first scaled to [0, 1] within a user
    over the items not yet met, and the weights are divided by their sum. A part without data
    (no description of items, no timestamps) is left out and the others share its weight; after
    ``fit`` the reasons stand in ``left_out_``. Where every part scores a user or an item 0, so
    does the mix. The parts are copied before they learn: those given stay as they were.

    Parameters
    ----------
    parts : mapping of name to Recommender
        Two or more, not fitted. A profile writes names, as in ``mix: {parts: [ease, als]}``
        (`choose.build_model`).
    weights : tuple of float
        One for each part, in their order; by default equal. What a search tries is drawn from
        `Shares`.

    Examples
    --------
    >>> Mix(parts={"ease": EASE(reg=800), "content": ContentBased()}).weights
    (0.5, 0.5)
    """

    ranges: ClassVar[Ranges] = {"weights": (0.0, 1e6)}
    parts: Mapping[str, Recommender]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)
        name = type(self).__name__
        n_parts = len(self.parts)
        if n_parts < 2:
            raise ValueError(f"{name}: parts are {[*self.parts]}; a mix needs two models or more")
        if not len(self.weights):
            equal_share = round(1 / n_parts, 4)
            self.weights = (equal_share,) * n_parts
        if len(self.weights) != n_parts:
            raise ValueError(
                f"{name}: weights are {self.weights}; give one to each of {', '.join(self.parts)}"
            )
        if not any(self.weights):
            raise ValueError(f"{name}: weights are all 0; give at least one part a weight")

    @property
    def space(self) -> Mapping[str, Any]:
        """What a search tries: the weights, for the parts are searched as models of their own."""
        return {"weights": Shares(len(self.parts))}

    def lacking_parts(self, train: Training) -> dict[str, str]:
        """Return the reason for each part that this training part cannot feed."""
        lacks = {name: lack_of(part, train) for name, part in self.parts.items()}
        return {name: lack for name, lack in lacks.items() if lack}

    def lacks(self, train: Training) -> str:
        """Say why it would be no mix: fewer than two parts have what they learn from."""
        lacking = self.lacking_parts(train)
        with_data = [name for name in self.parts if name not in lacking]
        if len(with_data) > 1:
            return ""
        if not with_data:
            return "none of its parts has data"
        return f"of its parts only {with_data[0]} has data, and it would be that alone"

    def fit(self, train: Training, *, learned: Collection[Recommender] = ()) -> Self:
        """Fit the parts that have a weight and data.

        Parameters
        ----------
        learned : collection of Recommender
            Models that have learned this training part already: a part with the settings of one
            of them is that model, and does not learn again.

        Raises
        ------
        ValueError
            If there is no such part.
        """
        self.left_out_ = self.lacking_parts(train)
        self.parts_ = {}
        for name, weight in zip(self.parts, self.weights, strict=True):
            if weight > 0 and name not in self.left_out_:
                part = self.parts[name]
                same = [model for model in learned if model == part]
                self.parts_[name] = same[0] if same else _copy_of(part).fit(train)
        self._refuse_if_empty()
        self.met_ = train.interest.values
        return self

    def reweighted(self, weights: Sequence[float]) -> Self:
        """Return the fitted mix with other weights; its parts do not learn again.

        Raises
        ------
        ValueError
            If a part is to get a weight that had none when the mix was fitted, and so has
            learned nothing; or if no part with data has a weight.
        """
        other = replace(self, weights=tuple(weights))
        other.left_out_ = self.left_out_
        other.met_ = self.met_
        other.parts_ = {}
        for name, weight in zip(self.parts, weights, strict=True):
            if weight == 0 or name in self.left_out_:
                continue
            if name not in self.parts_:
                raise ValueError(
                    f"{type(self).__name__}: {name} had no weight when the mix was fitted, and "
                    "has learned nothing; fit the mix anew"
                )
            other.parts_[name] = self.parts_[name]
        other._refuse_if_empty()
        return other

    def _refuse_if_empty(self) -> None:
        """Refuse weights of which none belongs to a part with data."""
        if self.parts_:
            return
        reasons = [f"{name}: {lack}" for name, lack in self.left_out_.items()]
        raise ValueError(
            f"{type(self).__name__}: weights {self.weights} leave no part with data "
            f"({'; '.join(reasons)}); give another part a weight"
        )

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the weighted sum: (len(users), n_items)."""
        scores = {name: part.score(users) for name, part in self.parts_.items()}
        return self._weighted_sum(scores, self.met_[users])

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return the weighted sum for newcomers: (n_newcomers, n_items).

        Raises
        ------
        ValueError
            If a part with a weight cannot score newcomers, as `Markov` cannot.
        """
        scores = {}
        for name, part in self.parts_.items():
            if not isinstance(part, ScoresNewcomers):
                raise ValueError(
                    f"{type(self).__name__}: its part {name} cannot score newcomers; "
                    f"leave it out, or set its weight to 0: {self._example_without(name)}"
                )
            scores[name] = part.score_new(histories)
        return self._weighted_sum(scores, histories)

    def _example_without(self, part: str) -> str:
        """Write the weights as a setting, with 0 for one part."""
        pairs = zip(self.parts, self.weights, strict=True)
        weights = [0 if name == part else weight for name, weight in pairs]
        return f"weights={weights}"

    def _weighted_sum(self, scores: Mapping[str, np.ndarray], met: csr_array) -> np.ndarray:
        """Scale each part's scores over the items not yet met, and add the parts up."""
        unmet = np.ones(met.shape, dtype=bool)
        unmet[met.tocoo().coords] = False
        weight_of = dict(zip(self.parts, self.weights, strict=True))
        total = sum(weight_of[name] for name in scores)
        weighted = []
        for name, scores_of_part in scores.items():
            share = weight_of[name] / total
            scaled = unit_range_by_row(scores_of_part, unmet)
            weighted.append(share * scaled)
        return np.sum(weighted, axis=0)


def _copy_of(model: Any) -> Recommender:
    """Return a model, a dataclass, with the same settings and not fitted."""
    return replace(model)


def _parts_of_documents() -> dict[str, Recommender]:
    return {"content": ContentBased(), "ease": EASE(), "markov": Markov()}


@dataclass(kw_only=True)
class Blend(Mix):
    """The mix of the documents: S = w1 R + w2 A + w3 B.

    R is content relevance, A *predicted* interest (observed interest is 0 for every unseen item
    and would leave w1 R alone) and B the behaviour sequence. The default weights are those of the
    documents' worked example. A cold user scores 0; a cold item is scored by content.
    """

    most_trials: ClassVar[int] = 2
    parts: Mapping[str, Recommender] = field(default_factory=_parts_of_documents)
    weights: tuple[float, float, float] = (0.5, 0.3, 0.2)

    @property
    def space(self) -> Mapping[str, Any]:
        """Weights for which each of the three parts leads in turn, and the documents' own."""
        return {"weights": ((0.5, 0.3, 0.2), (0.2, 0.6, 0.2), (0.2, 0.3, 0.5), (0.1, 0.8, 0.1))}
