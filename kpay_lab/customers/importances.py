"""Permutation importance: the log loss that is added when a column is shuffled."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from kpay_lab.stats import sample_rows


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

    All columns of a repeat share one permutation, so that the model predicts once a repeat
    and not once a column: the overhead of a pipeline takes most of the time.

    Parameters
    ----------
    X, y : DataFrame (n, n_features), array (n,)
        Rows the model has not seen and their labels; at most ``n_rows`` are drawn.

    Returns
    -------
    DataFrame
        feature, importance (log loss added, nats), sd over repeats; largest first.
    """
    rows = sample_rows(len(y), n_rows, rng=rng)
    sample = X.iloc[rows]
    labels = np.asarray(y)[rows]
    losses_added = []
    for _ in range(n_repeats):
        order = rng.permutation(len(sample))
        shuffled = []
        for name in sample:
            values = sample[name].iloc[order].array
            shuffled.append(sample.assign(**{name: values}))
        shuffled_loss = _mean_log_losses(model, pd.concat(shuffled), labels)
        losses_added.append(shuffled_loss - _mean_log_losses(model, sample, labels))
    table = pd.DataFrame({"feature": list(sample), "importance": np.mean(losses_added, axis=0)})
    table["sd"] = np.std(losses_added, axis=0, ddof=1) if n_repeats > 1 else np.nan
    return table.sort_values("importance", ascending=False, ignore_index=True)


def _mean_log_losses(model: BaseEstimator, X: pd.DataFrame, labels: np.ndarray) -> np.ndarray:
    """Mean log loss of each copy of the sample: float (n_copies,).

    ``X`` holds the copies one below the other; ``labels`` (n,) are those of one copy.
    """
    n_classes = len(model.classes_)
    probability = model.predict_proba(X).reshape(-1, len(labels), n_classes)
    label_position = np.searchsorted(model.classes_, labels)
    of_label = np.take_along_axis(probability, label_position[None, :, None], axis=2)[:, :, 0]
    clipped = np.clip(of_label, 1e-6, 1)
    return -np.log(clipped).mean(axis=1)
