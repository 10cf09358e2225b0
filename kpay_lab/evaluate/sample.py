"""Evaluate a sample of the users: drawn by chance, the same for every model."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.evaluate.split import Split, with_users
from kpay_lab.stats import sample_rows

MOST_USERS = 5000  # evaluated: the interval of a mean is then at most 0.014 to either side


def sample_users(split: Split, most: int, *, rng: np.random.Generator) -> Split:
    """Draw at most ``most`` of the users with something to find; the others are not evaluated.

    All users are still learned from. Each user has the same chance to be drawn, so a mean over
    the sample is an unbiased estimate of the mean over all, and an interval over the sample is
    about all. The interval counts the users as a sample of ever more, which covers a little
    more than it promises where the sample is a large part of them.

    Who is drawn depends on the generator and on what users met and have to find, neither on the
    order of rows in a file nor on how users are named: under pseudonyms the sample is the same.

    Parameters
    ----------
    split : Split
    most : int
        Where no more users have something to find, the split comes back as it is, and nothing
        is drawn.
    rng : numpy.random.Generator

    Returns
    -------
    Split
        Its ``drawn_from`` is the split that was given.
    """
    users = split.users
    if len(users) <= most:
        return split
    order = _order_of_behaviour(split, users)
    alike_together = users[order]
    rows = sample_rows(len(users), most, rng=rng)
    drawn = with_users(split, alike_together[rows])
    return replace(drawn, drawn_from=split)


def _order_of_behaviour(split: Split, users: np.ndarray) -> np.ndarray:
    """Order users by what they met and what they have to find: positions in ``users``.

    Users who are alike in both stand together, and any of them may stand for another.
    """
    items = split.train.interest.items.astype(str)
    number_of_item = pd.util.hash_array(items.to_numpy(dtype=object))
    learned = _sum_of_numbers(split.train.interest.values[users], number_of_item)
    to_find = _sum_of_numbers(split.test[users], number_of_item)
    return np.lexsort((to_find, learned))


def _sum_of_numbers(pairs: csr_array, number_of_item: np.ndarray) -> np.ndarray:
    """Add up the numbers of the items stored in each row, modulo 2^64: uint64 (n_rows,)."""
    numbers = number_of_item[pairs.indices]
    sums = np.cumsum(numbers, dtype=np.uint64)
    sum_so_far = np.append(np.uint64(0), sums)
    sum_at_ends = sum_so_far[pairs.indptr]
    return np.diff(sum_at_ends)
