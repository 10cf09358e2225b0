"""The pipelines that predict a purchase, encoding and imputation inside."""

from collections.abc import Iterator

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from kpay_lab.customers.encoding import BASE, base_rate, encoder

MOST_LEVELS = 20  # text with more levels than this is not one-hot encoded


class Folds(StratifiedKFold):
    """Stratified folds; not stratified where the rarer label has fewer rows than folds."""

    def split(self, X: object, y: np.ndarray, groups: None = None) -> Iterator:
        """Yield the training rows and the validation rows of each fold."""
        _, label_counts = np.unique(y, return_counts=True)
        if label_counts.min() >= self.n_splits:
            return super().split(X, y)
        plain = KFold(self.n_splits, shuffle=True, random_state=self.random_state)
        return plain.split(X)


def conversion_models(seed: int = 0) -> dict[str, Pipeline]:
    """Return the unfitted pipelines, by name; classes are never re-weighted.

    Text of up to 20 levels is one-hot encoded, text of more levels by cross-fitted target
    means; gaps are filled by the median and marked.
    """
    linear = LogisticRegression(C=0.02, solver="newton-cholesky")
    tree = DecisionTreeClassifier(max_depth=6, min_samples_leaf=0.002, random_state=seed)
    forest = RandomForestClassifier(20, min_samples_leaf=40, max_samples=0.3, random_state=seed)
    boosting = HistGradientBoostingClassifier(
        learning_rate=0.12,
        max_iter=60,
        max_leaf_nodes=8,
        min_samples_leaf=100,
        l2_regularization=10,
        random_state=seed,
    )
    return {
        BASE: base_rate(),
        "logistic regression": make_pipeline(_encoder(seed), StandardScaler(), linear),
        "decision tree": make_pipeline(_encoder(seed), tree),
        "random forest": make_pipeline(_encoder(seed), forest),
        "gradient boosting": make_pipeline(_encoder(seed), boosting),
    }


def _encoder(seed: int) -> ColumnTransformer:
    folds = Folds(5, shuffle=True, random_state=seed)
    return encoder(mark_gaps=True, most_levels=MOST_LEVELS, folds=folds)
