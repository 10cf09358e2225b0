"""Choose hyperparameters on a validation slice of training; the test part is never read."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterSampler

from kpay_lab.data.tables import TooLittleError
from kpay_lab.evaluate.compare import OnProgress, compare
from kpay_lab.evaluate.parts import default_split
from kpay_lab.evaluate.split import InterestOf, Split, make_split
from kpay_lab.recommend.base import Recommender


def search(
    model: Callable[..., Recommender],
    space: Mapping[str, Any],
    split: Split,
    interest_of: InterestOf,
    *,
    n_trials: int,
    rng: np.random.Generator,
    k: int = 10,
    on_progress: OnProgress | None = None,
) -> pd.DataFrame:
    """Try settings drawn from the space on the last fifth of the training events.

    They are split again, by time or else at random per user; ``split.test`` is never read.

    Parameters
    ----------
    space : mapping of hyperparameter to a list or a scipy distribution
    interest_of : callable, Tables -> InterestMatrix
    n_trials : int
        Settings to try; a finite space smaller than that is tried whole.

    Returns
    -------
    DataFrame
        One row a setting, best first: the hyperparameters, ``value`` (mean NDCG over
        validation users) and ``seconds``; no row where nobody has anything to find in the
        validation slice. Source: Bergstra & Bengio (2012).
    """
    tables = split.train.tables
    if tables is None:
        raise ValueError("search needs the training tables; make the split with make_split")
    try:
        validation = make_split(
            tables,
            interest_of,
            how=default_split(tables),
            candidate_kinds=split.candidate_kinds,
        )
    except TooLittleError:
        return pd.DataFrame(columns=[*space, "value", "seconds"])
    n_settings = _count_settings(space)
    n_trials = int(min(n_trials, n_settings))
    seed = int(rng.integers(2**32))
    rows = []
    for setting in ParameterSampler(space, n_trials, random_state=seed):
        trial = {"trial": model(**setting)}
        measured = compare(trial, validation, [k], on_progress=on_progress)
        ndcg = measured.values.query("metric == 'ndcg'")
        mean_ndcg = ndcg["value"].mean()
        seconds = measured.seconds["trial"]
        rows.append({**setting, "value": mean_ndcg, "seconds": seconds})
    trials = pd.DataFrame(rows)
    return trials.sort_values("value", ascending=False, ignore_index=True)


def _count_settings(space: Mapping[str, Any]) -> float:
    """Return how many settings a space holds; a distribution holds infinitely many."""
    n_settings = 1.0
    for choice in space.values():
        n_settings *= len(choice) if hasattr(choice, "__len__") else np.inf
    return n_settings
