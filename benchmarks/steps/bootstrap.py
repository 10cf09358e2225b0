"""Resample 100,000 users 1,000 times for the intervals of 8 models' means."""

import numpy as np

N_USERS, N_MODELS, N_RESAMPLES = 100_000, 8, 1_000


def values():
    return np.random.default_rng(0).random((N_USERS, N_MODELS))


def peer(size):
    from scipy.stats import bootstrap

    sample = (values(),)
    rng = np.random.default_rng(1)
    yield
    found = bootstrap(
        sample, np.mean, axis=0, n_resamples=N_RESAMPLES, method="percentile", batch=10, rng=rng
    ).confidence_interval
    yield
    yield {"low": found.low, "high": found.high}


def ours(size):
    from kpay_lab.stats import bootstrap_means

    sample, rng = values(), np.random.default_rng(1)
    yield
    found = bootstrap_means(sample, rng=rng, n_resamples=N_RESAMPLES)
    yield
    yield {"low": [each.low for each in found], "high": [each.high for each in found]}


def floor(size):
    """Drawing the rows alone."""
    rng = np.random.default_rng(1)
    yield
    for _ in range(N_RESAMPLES):
        rng.integers(0, N_USERS, N_USERS, dtype=np.int32)
    yield


def check(peer, ours):
    """Two sets of 1,000 resamples agree to the error of their quantiles."""
    standard_error = values().std(axis=0) / np.sqrt(N_USERS)
    apart = max(np.abs(peer[end] - ours[end]).max() for end in ("low", "high"))
    assert apart < 0.5 * standard_error.max(), apart
    return f"ends differ by at most {apart / standard_error.max():.2f} standard errors"
