"""Permutation importance: the log loss that is added when a column is shuffled."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance

from kpay_lab.stats import random_state, sample_rows


def importances(
    model: BaseEstimator,
    X: pd.DataFrame,
    y: np.ndarray,
    *,
    rng: np.random.Generator,
    n_repeats: int = 3,
    n_rows: int = 2000,
) -> pd.DataFrame:
    """Measure how much log loss rises when one column is shuffled (Breiman, 2001).

    Parameters
    ----------
    X, y : DataFrame (n, n_features), array (n,)
        Rows the model has not seen and their labels; at most ``n_rows`` are drawn.

    Returns
    -------
    DataFrame
        feature, importance (log loss added, nats), sd over repeats; largest first.
    """
    # Drawn here: scikit-learn's max_samples holds the loss of a shuffled sample against that
    # of all rows, and the luck of the sample is as large as many an importance.
    rows = sample_rows(len(y), n_rows, rng=rng)
    found = permutation_importance(
        model,
        X.iloc[rows],
        np.asarray(y)[rows],
        scoring=_mean_log_probability,
        n_repeats=n_repeats,
        random_state=random_state(rng),
    )
    table = pd.DataFrame({"feature": list(X), "importance": found.importances_mean})
    by_repeat = pd.DataFrame(found.importances)
    table["sd"] = by_repeat.std(axis=1)  # NaN for a single repeat
    return table.sort_values("importance", ascending=False, ignore_index=True)


def _mean_log_probability(model: BaseEstimator, X: pd.DataFrame, labels: np.ndarray) -> float:
    """Return the log loss with its sign turned, so that more is better."""
    probability = model.predict_proba(X)
    label_position = np.searchsorted(model.classes_, labels)
    of_label = probability[np.arange(len(X)), label_position]
    clipped = np.clip(of_label, 1e-6, 1)  # one label held impossible must not cost infinitely much
    return float(np.log(clipped).mean())
