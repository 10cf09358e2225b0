"""What every model of users starts from: numbers out of columns, and the base rate to beat."""

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
    """Return the unfitted model that knows nothing: each label's share, for everybody."""
    return make_pipeline(DummyClassifier(strategy="prior"))


def encoder(
    *,
    mark_gaps: bool = False,
    most_levels: float = np.inf,
    folds: BaseCrossValidator | None = None,
) -> ColumnTransformer:
    """Return the unfitted encoder of a frame of numbers and text.

    Gaps in numbers are filled by the column's median; a gap in text is the level "unknown".
    Text is one-hot encoded, and a level never seen is all zeros.

    Parameters
    ----------
    mark_gaps : bool
        Add a column for each number with gaps that says where they were.
    most_levels : float
        Text of more levels is encoded by target means of a yes/no label.
    folds : cross-validator, optional
        By which those means are cross-fitted; needed with ``most_levels``.
    """
    gaps_filled = SimpleImputer(
        strategy="median", add_indicator=mark_gaps, keep_empty_features=True
    )
    named_gaps = SimpleImputer(strategy="constant", fill_value="unknown", missing_values=np.nan)
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)

    def few_levels(X: pd.DataFrame) -> list[str]:
        text = X.select_dtypes(exclude="number")
        return [name for name in text if text[name].nunique() <= most_levels]

    def many_levels(X: pd.DataFrame) -> list[str]:
        text = X.select_dtypes(exclude="number")
        return [name for name in text if text[name].nunique() > most_levels]

    steps = [
        ("number", gaps_filled, make_column_selector(dtype_include="number")),
        ("text", make_pipeline(named_gaps, one_hot), few_levels),
    ]
    if np.isfinite(most_levels):
        means = TargetEncoder(target_type="binary", cv=folds)
        steps.append(("many levels", means, many_levels))
    return ColumnTransformer(steps, verbose_feature_names_out=False)
