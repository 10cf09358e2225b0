"""What several steps begin with."""

import numpy as np
import pandas as pd


def interest(matrix):
    """Give a bare matrix ids."""
    from kpay_lab.interest.matrix import InterestMatrix

    n_users, n_items = matrix.shape
    users = pd.Index([f"u{number}" for number in range(n_users)], name="user_id")
    items = pd.Index([f"i{number}" for number in range(n_items)], name="item_id")
    return InterestMatrix(matrix, users, items)


def factors(shape, n_factors=64, seed=0):
    """Draw factors of users and items in float32."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, n_factors), dtype=np.float32) for n in shape]


def same_lists(peer, ours, least=0.999):
    """Compare two sets of lists place by place."""
    equal = float((peer["lists"] == ours["lists"]).mean())
    assert equal >= least, f"only {equal:.2%} of the slots are equal"
    return f"{equal:.3%} of top-10 slots equal"
