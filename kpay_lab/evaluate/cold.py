"""Cold items on purpose: take items away from training and see who can still find them."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array, diags_array

from kpay_lab.evaluate.split import Split
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Training


def draw_items(split: Split, share: float, *, rng: np.random.Generator) -> np.ndarray:
    """Draw a share of the candidates that the test part names: bool (n_items,), at least one."""
    asked = np.bincount(split.test.indices, minlength=len(split.candidates)) > 0
    among = np.flatnonzero(split.candidates & asked)
    hidden = np.zeros(len(split.candidates), dtype=bool)
    hidden[rng.choice(among, size=max(1, round(share * len(among))), replace=False)] = True
    return hidden


def hide_items(split: Split, hidden: np.ndarray) -> Split:
    """Return the split as if the hidden items had been published after training.

    Their events, orders and exposures leave the training part; they alone are candidates and
    relevant. A ValueError if no test pair names one.
    """
    known = split.train.interest
    values = _columns(known.values, ~hidden)
    test = _columns(split.test, hidden)
    if test.nnz == 0:
        raise ValueError("nobody turned to a hidden item in the test part; hide other items")
    tables = split.train.tables
    if tables is not None:  # what anybody did with the items goes, their descriptions stay
        done = {n: f for n, f in tables.present().items() if n not in ("items", "users")}
        gone = known.items[hidden]
        tables = replace(tables, **{n: f[~f["item_id"].isin(gone)] for n, f in done.items()})
    train = Training(InterestMatrix(values, known.users, known.items), tables)
    return replace(split, train=train, test=test, candidates=split.candidates & hidden)


def _columns(values: csr_array, kept: np.ndarray) -> csr_array:
    """Empty every other column."""
    cut = csr_array(values @ diags_array(kept * 1.0))
    cut.eliminate_zeros()
    cut.sort_indices()
    return cut
