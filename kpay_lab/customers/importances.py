"""What a model looks at: the log loss that scrambling a column adds."""

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
    """Shuffle one column at a time and see what the model loses (Breiman, 2001).

    All columns of a repeat share one shuffle, so that the model is asked once a repeat and
    not once a column: a pipeline's overhead is most of the time.

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
    X, column = X.iloc[rows], np.searchsorted(model.classes_, np.asarray(y)[rows])

    def loss(frame: pd.DataFrame) -> np.ndarray:
        chance = model.predict_proba(frame).reshape(-1, len(X), len(model.classes_))
        right = np.take_along_axis(chance, column[None, :, None], axis=2)[:, :, 0]
        return -np.log(np.clip(right, 1e-6, 1)).mean(axis=1)

    added = []
    for _ in range(n_repeats):
        order = rng.permutation(len(X))
        scrambled = [X.assign(**{name: X[name].iloc[order].array}) for name in X]
        added.append(loss(pd.concat(scrambled)) - loss(X))
    table = pd.DataFrame({"feature": list(X), "importance": np.mean(added, axis=0)})
    table["sd"] = np.std(added, axis=0, ddof=1) if n_repeats > 1 else np.nan
    return table.sort_values("importance", ascending=False, ignore_index=True)
