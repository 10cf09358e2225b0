"""Fit EASE: NumPy's inverse in float64 next to the Cholesky inverse in float32."""

import numpy as np
from logs import interactions

REG = 400.0


def peer(size):
    train, _ = interactions(size)
    yield
    gram = (train.T @ train).toarray()
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += REG
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    weights[diagonal] = 0
    yield
    scores = train @ weights
    scores[train.nonzero()] = -np.inf
    yield {"lists": np.argsort(-scores, axis=1, kind="stable")[:, :10]}


def ours(size):
    from steps.shared import interest

    from kpay_lab.recommend.base import Training, top_k
    from kpay_lab.recommend.ease import EASE

    train, _ = interactions(size)
    training = Training.from_matrix(interest(train))
    yield
    model = EASE(reg=REG).fit(training)
    yield
    yield {"lists": top_k(model, np.arange(train.shape[0]), 10, exclude=train).items}


def floor(size):
    """One Cholesky factor in float32: a third of the inverse's arithmetic."""
    from scipy.linalg import lapack

    train, _ = interactions(size)
    gram = (train.T @ train).toarray(order="F").astype(np.float32)
    gram[np.diag_indices_from(gram)] += REG
    yield
    lapack.spotrf(gram, overwrite_a=True)
    yield


def check(peer, ours):
    from kpay_lab.evaluate.ranking import find_hits, ndcg

    _, test = interactions("S")
    found = np.diff(test.indptr)
    some = found > 0
    values = [ndcg(find_hits(way["lists"], test)[some], found[some]).mean() for way in (peer, ours)]
    equal = (peer["lists"] == ours["lists"]).mean()
    assert equal >= 0.999, f"{equal:.2%} of the slots are equal"
    assert abs(values[0] - values[1]) <= 1e-4, values
    return f"{equal:.3%} of top-10 slots equal, NDCG@10 {values[1] - values[0]:+.1e}"
