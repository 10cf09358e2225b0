"""The interest matrix: users by items, sparse, with the ids of its rows and columns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from kpay_lab.data.codes import find_positions
from kpay_lab.stats import ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CELLS = 200  # of a matrix whose numbers can be read in a picture


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
        If the shape and the indexes disagree, an id occurs twice, or a value is NaN or
        infinite.

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
        is_number = np.isfinite(self.values.data)
        if not is_number.all():
            self._refuse_degree(np.argmin(is_number))

    def _refuse_degree(self, place: np.intp) -> None:
        """Name the pair whose stored value, at this place, is no number."""
        row = np.searchsorted(self.values.indptr, place, side="right") - 1
        user = self.users[row]
        item = self.items[self.values.indices[place]]
        degree = self.values.data[place]
        raise ValueError(
            f"the interest of user {user!r} in item {item!r} is {degree}; it must be a number"
        )

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
        rows = positions_of(user_ids, users, "user_id")
        columns = positions_of(item_ids, items, "item_id")
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

    def table(self) -> pd.DataFrame:
        """Return ``user_id, item_id, interest`` of each stored value."""
        pairs = self.values.tocoo()
        columns = {
            "user_id": self.users[pairs.row],
            "item_id": self.items[pairs.col],
            "interest": pairs.data,
        }
        return pd.DataFrame(columns)

    def occupancy(self, n_side: int = 60) -> pd.DataFrame:
        """Share of the cells with a value in each of ``n_side`` × ``n_side`` blocks.

        The users and items with the most values come first.
        """
        pairs = self.values.tocoo()
        n_users, n_items = self.values.shape
        block_of_user = _blocks(np.bincount(pairs.row, minlength=n_users), n_side)
        block_of_item = _blocks(np.bincount(pairs.col, minlength=n_items), n_side)
        users_in_block = np.bincount(block_of_user)
        items_in_block = np.bincount(block_of_item)
        filled = np.zeros((len(users_in_block), len(items_in_block)))
        blocks = (block_of_user[pairs.row], block_of_item[pairs.col])
        np.add.at(filled, blocks, 1)
        return pd.DataFrame(filled / np.outer(users_in_block, items_in_block))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the degrees of a small matrix, or where a large one has values; return the Axes.

        A pair without a value is grey. A large matrix is drawn by its `occupancy`.
        """
        from kpay_lab.plots import plot_heat  # here, for matplotlib is slow to import

        if len(self.users) * len(self.items) <= MOST_CELLS:
            wide = self.table().pivot(index="user_id", columns="item_id", values="interest")
            wide = wide.reindex(index=self.users, columns=self.items)
            return plot_heat(
                wide,
                ax=ax,
                fmt=".2f",
                limits=(0, 1),
                bar_label="interest",
                width=6.5,
                title="Interest",
                xlabel="",
                ylabel="",
            )
        return plot_heat(
            self.occupancy(),
            ax=ax,
            bar_label="share of cells with a value",
            width=6.5,
            height=3.6,
            xticks=[],
            yticks=[],
            title="Where the matrix has values",
            xlabel="items, busiest first",
            ylabel="users, busiest first",
        )


def positions_of(ids: pd.Series | pd.Index | list[str], index: pd.Index, column: str) -> np.ndarray:
    """Return the position of each id in an index: int array of the length of ``ids``.

    An id that is not there is refused. Its position would be -1, which reads as the last one.

    Parameters
    ----------
    ids : sequence
    index : pandas.Index
        Distinct ids, such as `Tables.ids`.
    column : str
        What the ids are called in a message.

    Raises
    ------
    ValueError
        Naming the first id that the index lacks.

    Examples
    --------
    >>> positions_of(["b", "a"], pd.Index(["a", "b"]), "item_id")
    array([1, 0])
    """
    positions = find_positions(ids, index)
    is_unknown = positions < 0
    if is_unknown.any():
        first_unknown = np.argmax(is_unknown)
        unknown = pd.Index(ids).to_list()[first_unknown]
        are_text = len(index) > 0 and isinstance(index[0], str)
        remedy = "pass tables.ids()"
        if are_text and not isinstance(unknown, str):
            remedy = "ids there are text: make these text too, .astype(str)"
        raise ValueError(f"{column} {unknown!r} is not in the index given; {remedy}")
    return positions


def _blocks(counts: np.ndarray, n_blocks: int) -> np.ndarray:
    """Assign each row or column to one of ``n_blocks`` by its rank, the largest count first."""
    largest_first = np.argsort(-counts, kind="stable")
    rank = np.empty(len(counts), dtype=np.int64)
    rank[largest_first] = np.arange(len(counts))
    return rank * min(n_blocks, len(counts)) // max(len(counts), 1)
