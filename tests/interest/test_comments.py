"""Document A's comment model on a log: its ROC-AUC, its error by users, and its findings."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from kpay_lab.data.tables import TooLittleError
from kpay_lab.findings import sentence
from kpay_lab.interest.comments import (
    _AUC,
    INTEREST,
    LEAKING,
    PRODUCT,
    WATCH_TIME,
    CommentTrial,
    try_comment_model,
)
from kpay_lab.stats import Interval
from kpay_lab.workbench import open_log


def log_of(watch_time, comment_count, users=None):
    n = len(watch_time)
    events = {
        "user_id": users or [f"u{number // 2}" for number in range(n)],
        "item_id": [f"i{number}" for number in range(n)],
        "watch_time": watch_time,
        "duration": 100.0,
        "comment_count": comment_count,
    }
    return open_log(pd.DataFrame(events)).tables


def test_by_hand():
    # Without comments A is min(1, watched share): .1, .2, .4, .3; A · B is 1, 4, 16, 9.
    trial = try_comment_model(log_of([10.0, 20.0, 40.0, 30.0], [0, 1, 1, 0]))
    np.testing.assert_allclose(np.sort(trial.products), [1, 4, 9, 16])
    # Of the 2 · 2 pairs of one with and one without a comment, (4, 9) is the wrong way round.
    assert trial.scores.loc[PRODUCT, "auc"] == 0.75
    above = trial.above(5.0)
    assert above["pairs"].tolist() == [2, 4]
    assert above["commented"].tolist() == [0.5, 0.5]


def test_interest_with_its_comments_leaks():
    rng = np.random.default_rng(0)
    trial = try_comment_model(log_of(rng.uniform(40, 60, 400), rng.integers(0, 2, 400)))
    assert trial.scores.loc[LEAKING, "auc"] > 0.8
    assert trial.scores.loc[[PRODUCT, INTEREST, WATCH_TIME], "auc"].max() < 0.6


def test_auc_is_that_of_scikit_learn_and_its_error_that_of_a_bootstrap_by_users():
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(120), 10)
    of_user = rng.normal(size=120)[users]
    scores = np.round(of_user + rng.normal(size=1200), 1)  # with ties
    positive = of_user + rng.normal(size=1200) > 0.8
    auc = _AUC.of(scores, positive, users)
    assert auc.value == pytest.approx(roc_auc_score(positive, scores))
    draws = []
    for _ in range(400):
        rows = (rng.integers(0, 120, 120)[:, None] * 10 + np.arange(10)).ravel()
        draws.append(roc_auc_score(positive[rows], scores[rows]))
    interval = auc.interval()
    assert (interval.high - interval.low) / 3.92 == pytest.approx(np.std(draws), rel=0.15)
    assert auc.above(auc) == Interval(0.0, 0.0, 0.0)


@pytest.mark.parametrize("comments", [[0, 0, 0, 0], [1, 1, 1, 1]])
def test_a_log_on_which_nothing_can_be_told_apart(comments):
    with pytest.raises(TooLittleError, match="pairs with a comment and pairs without"):
        try_comment_model(log_of([10.0, 20.0, 40.0, 30.0], comments))


def test_a_log_without_comments():
    events = pd.DataFrame({"user_id": list("ab"), "item_id": list("xy"), "watch_time": [1.0, 2.0]})
    with pytest.raises(TooLittleError, match="comment_count"):
        try_comment_model(open_log(events).tables)


@pytest.mark.parametrize(
    ("ends", "lead", "level", "words"),
    [
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.15), "good", "and better than interest"),
        ((0.7, 0.6, 0.8), (-0.1, -0.15, -0.05), "watch", "but worse than interest"),
        ((0.7, 0.6, 0.8), (0.0, -0.1, 0.1), "watch", "not shown to do so better than interest"),
        ((0.5, 0.4, 0.6), (0.1, 0.05, 0.15), "watch", "is not shown to tell"),
    ],
)
def test_findings(ends, lead, level, words):
    scores = pd.DataFrame([ends], [PRODUCT], ["auc", "low", "high"])
    trial = CommentTrial(scores, INTEREST, Interval(*lead), np.ones(4), np.ones(4, bool))
    (found,) = trial.findings()
    assert found.level == level
    assert words in sentence(found)
