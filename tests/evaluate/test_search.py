from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.evaluate.compare import compare
from kpay_lab.evaluate.search import search
from kpay_lab.evaluate.split import make_split
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Training
from kpay_lab.recommend.ease import EASE

binary = partial(interest_matrix, weighting="binary")
SPACE = {"reg": [1.0, 20.0, 400.0]}


def find(model, space, split, n_trials=3, **more):
    return search(
        model, space, split, binary, n_trials=n_trials, rng=np.random.default_rng(0), **more
    )


def test_search_tries_the_space_and_sorts_it(small_world):
    found = find(EASE, SPACE, make_split(small_world[0], binary), n_trials=9)
    assert sorted(found["reg"]) == SPACE["reg"]  # a small space is tried whole, once
    assert found["value"].is_monotonic_decreasing


def test_search_scores_on_the_last_fifth_of_training(small_world):
    split = make_split(small_world[0], binary)
    inner = make_split(split.train.tables, binary)
    values = compare({"ease": EASE(reg=20.0)}, inner, [10]).values
    expected = values.loc[values["metric"] == "ndcg", "value"].mean()
    found = find(EASE, {"reg": [20.0]}, split)
    assert found["value"].item() == pytest.approx(expected, abs=1e-15)
    assert inner.cut < split.cut


def test_search_never_touches_the_test_part(small_world):
    """Same answer with the test part emptied, and no model learns from the cut on."""
    split, stamps = make_split(small_world[0], binary), []

    @dataclass(kw_only=True)
    class Watched(EASE):
        def fit(self, train):
            stamps.append(train.tables.events["timestamp"].max())
            return super().fit(train)

    shut = replace(split, test=csr_array(split.test.shape), seen=csr_array(split.seen.shape))
    columns = ["reg", "value"]
    pd.testing.assert_frame_equal(
        find(Watched, SPACE, split)[columns], find(Watched, SPACE, shut)[columns]
    )
    assert max(stamps) < split.cut


def test_search_draws_from_distributions_and_repeats_itself(small_world):
    from scipy.stats import loguniform

    split = make_split(small_world[0], binary)
    first, again = (find(EASE, {"reg": loguniform(1, 1000)}, split)["reg"] for _ in range(2))
    assert first.tolist() == again.tolist()
    assert first.nunique() == 3


def test_search_needs_tables(small_world):
    split = make_split(small_world[0], binary)
    bare = replace(split, train=Training.from_matrix(split.train.interest))
    with pytest.raises(ValueError, match="needs the training tables"):
        find(EASE, SPACE, bare)
