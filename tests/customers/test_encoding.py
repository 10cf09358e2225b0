"""Numbers out of columns: what becomes of a gap, of an unseen level, of a text of many levels."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from kpay_lab.customers.encoding import base_rate, encoder

USERS = pd.DataFrame(
    {
        "age": [20.0, None, 40.0, 60.0],
        "trade": pd.Series(["cook", "nurse", None, "cook"], dtype="category"),
    }
)


def test_gaps_are_filled_by_the_median_and_named():
    fitted = encoder().fit(USERS)
    names = ["age", "trade_cook", "trade_nurse", "trade_unknown"]
    assert fitted.get_feature_names_out().tolist() == names
    assert fitted.transform(USERS).tolist() == [
        [20, 1, 0, 0],
        [40, 0, 1, 0],
        [40, 0, 0, 1],
        [60, 1, 0, 0],
    ]
    stranger = pd.DataFrame({"age": [np.nan], "trade": ["pilot"]})
    assert fitted.transform(stranger).tolist() == [[40, 0, 0, 0]]


def test_gaps_in_numbers_may_be_marked():
    marked = encoder(mark_gaps=True).fit(USERS)
    assert marked.transform(USERS)[:, 1].tolist() == [0, 1, 0, 0]


def test_a_text_of_many_levels_becomes_one_column_of_target_means():
    levels = pd.DataFrame({"item": list("aabbccdd") * 4, "kind": ["live", "book"] * 16})
    bought = np.tile([1, 1, 1, 0, 0, 0, 0, 0], 4)
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    made = encoder(most_levels=3, folds=folds).fit(levels, bought).transform(levels)
    assert made.shape == (32, 2 + 1)
    by_item = pd.Series(made[:, 2]).groupby(levels["item"]).mean()
    assert by_item["a"] > by_item["b"] > by_item["c"]


def test_the_base_rate_says_the_same_of_everybody():
    model = base_rate().fit(USERS, [0, 0, 0, 1])
    assert model.predict_proba(USERS).tolist() == [[0.75, 0.25]] * 4
