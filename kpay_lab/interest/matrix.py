"""The interest matrix: users by items, sparse, with the ids of its rows and columns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from kpay_lab.stats import ratio


@dataclass(frozen=True)
class InterestMatrix:
    """Degree of interest of each user in each item.

    Parameters
    ----------
    values : csr_array of shape (n_users, n_items)
        Degrees of interest; a cell that is not stored is 0.
    users, items : pandas.Index
        The ids of the rows and of the columns. Models know positions only, and these two
        indexes translate ids into positions and back. A user or item without a stored value
        is *cold*.

    Raises
    ------
    ValueError
        If the shape and the indexes disagree, or an id occurs twice.

    Examples
    --------
    >>> A = InterestMatrix.from_pairs(["u1", "u1", "u2"], ["a", "b", "b"], [0.9, 0.1, 0.4])
    >>> A.values.toarray()
    array([[0.9, 0.1],
           [0. , 0.4]])
    """

    values: csr_array
    users: pd.Index
    items: pd.Index

    def __post_init__(self) -> None:
        expected = (len(self.users), len(self.items))
        if self.values.shape != expected:
            raise ValueError(
                f"interest matrix is {self.values.shape}, but its indexes name {expected}; "
                "pass one label for each row and column"
            )
        for name, index in (("users", self.users), ("items", self.items)):
            if not index.is_unique:
                twice = index[index.duplicated()][0]
                raise ValueError(f"{name}: {twice!r} occurs twice; ids must be unique")

    @classmethod
    def from_pairs(
        cls,
        user_ids: pd.Series | list[str],
        item_ids: pd.Series | list[str],
        values: np.ndarray | list[float],
        *,
        users: pd.Index | None = None,
        items: pd.Index | None = None,
    ) -> "InterestMatrix":
        """Build the matrix from one value a (user, item) pair; repeated pairs add up.

        Parameters
        ----------
        user_ids, item_ids : sequences of str, length n
        values : sequence of float, length n
        users, items : pandas.Index, optional
            Every id, in order; by default those of the pairs, in order of appearance.
        """
        if users is None:
            users = pd.Index(user_ids, name="user_id").unique()
        if items is None:
            items = pd.Index(item_ids, name="item_id").unique()
        rows = users.get_indexer(user_ids)
        columns = items.get_indexer(item_ids)
        if (rows < 0).any() or (columns < 0).any():
            raise ValueError("a pair names a user or item that is not in the index given")
        degrees = np.asarray(values, dtype=np.float64)
        shape = (len(users), len(items))
        matrix = coo_array((degrees, (rows, columns)), shape=shape).tocsr()
        return cls(matrix, users, items)

    @property
    def relative(self) -> np.ndarray:
        """Stored values divided by the largest, of shape (n_stored,); 0 if none is above 0."""
        degrees = self.values.data
        largest = degrees.max(initial=0.0)
        return ratio(degrees, largest)

    @property
    def density(self) -> float:
        """Share of all cells that hold a value."""
        n_cells = len(self.users) * len(self.items)
        return self.values.nnz / n_cells if n_cells else 0.0
