"""What every model of users starts from: the encoder of its columns, and the base rate to beat."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import BaseCrossValidator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

BASE = "base rate"


def base_rate() -> Pipeline:
    """Return the unfitted baseline: it predicts each label's share for everybody."""
    prior = DummyClassifier(strategy="prior")
    return make_pipeline(prior)


def encoder(
    *,
    mark_gaps: bool = False,
    most_levels: float = np.inf,
    folds: BaseCrossValidator | None = None,
) -> ColumnTransformer:
    """Return the unfitted encoder of a frame of numbers and text.

    Gaps in numbers are filled by the column's median; a gap in text is the level "unknown".
    Text is one-hot encoded; a level that training did not have becomes all zeros.

    Parameters
    ----------
    mark_gaps : bool
        Add a column for each number with gaps that says where they were.
    most_levels : float
        Text with more levels is encoded by the mean of a yes/no label (target encoding).
    folds : cross-validator, optional
        The folds on which those means are cross-fitted; needed with ``most_levels``.
    """
    number_imputer = SimpleImputer(
        strategy="median", add_indicator=mark_gaps, keep_empty_features=True
    )
    text_imputer = SimpleImputer(strategy="constant", fill_value="unknown", missing_values=np.nan)
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)

    def few_levels(X: pd.DataFrame) -> list[str]:
        text = X.select_dtypes(exclude="number")
        return [name for name in text if text[name].nunique() <= most_levels]

    def many_levels(X: pd.DataFrame) -> list[str]:
        text = X.select_dtypes(exclude="number")
        return [name for name in text if text[name].nunique() > most_levels]

    numbers = make_column_selector(dtype_include="number")
    steps = [
        ("number", number_imputer, numbers),
        ("text", make_pipeline(text_imputer, one_hot), few_levels),
    ]
    if np.isfinite(most_levels):
        target_means = TargetEncoder(target_type="binary", cv=folds)
        steps.append(("many levels", target_means, many_levels))
    return ColumnTransformer(steps, verbose_feature_names_out=False)
