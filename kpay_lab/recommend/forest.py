"""A classifier over (user, item) pairs: document B's listing, put right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.recommend.base import LARGEST_SEED, Training, trained_items
from kpay_lab.settings import Ranges, Space, check_settings
from kpay_lab.stats import random_state

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

PAIRS_AT_ONCE = 200_000
GROUPINGS = ("category", "brand", "host", "kind")


@dataclass(kw_only=True)
class RandomForest:
    """Score a pair by the probability that a forest takes it for one that happened.

    It sees the user (demographics, activity, mean interest), the item (labels, price, number
    of users, mean interest) and both (the share of the user's interest in the item's
    category, brand, host and kind, the pair's own left out). It learns from at most
    ``max_pairs`` pairs that happened and ``n_negatives`` for each, drawn among those that did
    not; only the order of its probabilities counts. A cold user is scored by demographics
    and the item, a cold item by its labels and price.
    """

    ranges: ClassVar[Ranges] = {
        "n_trees": (1, 10_000),
        "max_depth": (1, 1_000),
        "min_leaf": (1, 1_000_000),
        "n_negatives": (1, 1_000),
        "max_pairs": (1, 1_000_000_000),
        "seed": (0, LARGEST_SEED),
    }
    space: ClassVar[Space] = {"max_depth": (4, 8, 12), "min_leaf": (5, 20, 80)}
    most_trials: ClassVar[int] = 2
    n_trees: int = 40
    max_depth: int = 8
    min_leaf: int = 20
    n_negatives: int = 4
    max_pairs: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self)

    def lacks(self, train: Training) -> str:
        """Say that no pair is left to tell apart, where every user met every item."""
        values = train.interest.values
        n_users = np.count_nonzero(np.diff(values.indptr))
        n_items = np.count_nonzero(trained_items(values))
        if values.nnz < n_users * n_items:
            return ""
        return "every user met every item, so no pair is left to tell apart"

    def fit(self, train: Training) -> Self:
        """Sample pairs, describe them, grow the trees."""
        from sklearn.ensemble import RandomForestClassifier  # here, for it is slow to import

        rng = np.random.default_rng(self.seed)
        self.values_ = train.interest.values
        self._describe(train)
        users, items, happened = self._sample(rng)
        pair_interest = np.asarray(self.values_[users, items]).ravel()
        features = self._features(users, items, pair_interest)
        forest = RandomForestClassifier(
            n_estimators=self.n_trees,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_leaf,
            random_state=random_state(rng),
            n_jobs=1,
        )
        self.forest_ = forest.fit(features, happened)
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the probability of every pair: (len(users), n_items)."""
        shape = (len(users), self.values_.shape[1])
        return self.score_candidates(users, np.ones(shape, dtype=bool))

    def score_candidates(self, users: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
        """Return the probabilities of candidates, and −inf elsewhere: (len(users), n_items).

        Pairs of one item stand together: they part only where a tree asks about the user. The
        processor then foresees most turns, and walks the trees faster.
        """
        item, row = np.nonzero(is_candidate.T)
        user = np.asarray(users)[row]
        probability = np.empty(len(row))
        for start in range(0, len(row), PAIRS_AT_ONCE):
            pairs = slice(start, start + PAIRS_AT_ONCE)
            features = self._features(user[pairs], item[pairs], pair_interest=0.0)
            probability[pairs] = _mean_of_trees(self.forest_.estimators_, features)
        scores = np.full(is_candidate.shape, -np.inf)
        scores[row, item] = probability
        return scores

    def _describe(self, train: Training) -> None:
        """Turn the tables into numbers, and add up interest by user, item and group."""
        values = self.values_
        tables = train.tables
        users = _rows_of(tables.users if tables else None, train.interest.users)
        items = _rows_of(tables.items if tables else None, train.interest.items)
        demographics = users.drop(columns="consent", errors="ignore")
        known = [name for name in (*GROUPINGS, "price", "duration") if name in items]
        properties = items[known]
        self.user_sum_ = values.sum(axis=1)
        self.user_features_ = _profiles(self.user_sum_, np.diff(values.indptr), demographics)
        n_users_met = np.bincount(values.indices, minlength=values.shape[1])
        self.item_features_ = _profiles(values.sum(axis=0), n_users_met, properties)
        self.groups_ = [_group_codes(items[name]) for name in GROUPINGS if name in items]
        self.interest_in_group_ = [_sums_by_group(values, codes) for codes in self.groups_]

    def _sample(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw pairs that happened and, for their users, pairs that did not.

        Returns users, items and labels (1 where the pair happened), each (n_pairs,).
        """
        cells = self.values_.tocoo()
        n_positives = min(cells.nnz, self.max_pairs)
        positives = rng.choice(cells.nnz, size=n_positives, replace=False)
        users = cells.row[positives]
        items = cells.col[positives]
        negative_users = np.repeat(users, self.n_negatives)
        candidates = np.flatnonzero(trained_items(self.values_))
        negative_items = rng.choice(candidates, size=len(negative_users))
        happened = self._has_happened(negative_users, negative_items)
        negative_users = negative_users[~happened]
        negative_items = negative_items[~happened]
        if not len(negative_users):
            raise ValueError("RandomForest found no pair that did not happen; log more items")
        labels = np.repeat([1, 0], [n_positives, len(negative_users)])
        return np.r_[users, negative_users], np.r_[items, negative_items], labels

    def _has_happened(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return of each pair whether it is stored, with whatever interest: bool (n_pairs,)."""
        stored = self.values_
        marks = np.ones(stored.nnz, dtype=bool)
        is_stored = csr_array((marks, stored.indices, stored.indptr), shape=stored.shape)
        return np.asarray(is_stored[users, items]).ravel()

    def _features(
        self, users: np.ndarray, items: np.ndarray, pair_interest: np.ndarray | float
    ) -> np.ndarray:
        """Describe pairs; the interest of the pair itself is left out of the user's shares.

        ``pair_interest`` (n,) is that of the pairs to learn from, whose shares would else give
        away that they happened; it is 0 for pairs to be scored.
        """
        other_interest = self.user_sum_[users] - pair_interest
        shares = []
        for codes, totals in zip(self.groups_, self.interest_in_group_, strict=True):
            other_in_group = totals[users, codes[items]] - pair_interest
            share = _ratio(other_in_group, other_interest)
            shares.append(share[:, None])
        columns = [*shares, self.user_features_[users], self.item_features_[items]]
        return np.concatenate(columns, axis=1, dtype=np.float32)


def _mean_of_trees(trees: "Sequence[DecisionTreeClassifier]", features: np.ndarray) -> np.ndarray:
    """Return the probability of class 1 of each row, as a forest's ``predict_proba``: (n,).

    Rows that end in the same leaf of the first tree stand together in the others, for they take
    much the same way there too.
    """
    first, *others = trees
    leaf = first.tree_.apply(features)
    order = np.argsort(leaf.astype(np.uint16), kind="stable")  # 16 bits are sorted fastest
    ordered = features[order]
    total = _share_of_leaf(first, leaf[order])
    for tree in others:
        total += _share_of_leaf(tree, tree.tree_.apply(ordered))
    probability = np.empty(len(features))
    probability[order] = total / len(trees)
    return probability


def _share_of_leaf(tree: "DecisionTreeClassifier", leaf: np.ndarray) -> np.ndarray:
    """Return the share of class 1 in each leaf among the pairs that the tree learned from."""
    share_of_node = tree.tree_.value[:, 0, 1]
    return share_of_node[leaf]


def _profiles(interest: np.ndarray, n_met: np.ndarray, properties: pd.DataFrame) -> np.ndarray:
    """Return for each user or item: how many were met, the mean interest, the properties."""
    return np.c_[n_met, _ratio(interest, n_met), _numbers(properties)]


def _group_codes(labels: pd.Series) -> np.ndarray:
    """Number the labels from 1; 0 stands for no label."""
    return labels.astype("category").cat.codes.to_numpy() + 1


def _sums_by_group(values: csr_array, codes: np.ndarray) -> np.ndarray:
    """Add up each user's interest by the items' groups: (n_users, n_groups)."""
    n_items = len(codes)
    cells = (np.ones(n_items), (np.arange(n_items), codes))
    membership = csr_array(cells, shape=(n_items, codes.max() + 1))
    return (values @ membership).toarray()


def _rows_of(table: pd.DataFrame | None, ids: pd.Index) -> pd.DataFrame:
    """Return one row for each id, in order; without a table, rows without columns."""
    if table is None:
        return pd.DataFrame(index=ids)
    return table.set_index(str(ids.name)).reindex(ids)


def _numbers(frame: pd.DataFrame) -> np.ndarray:
    """Return numbers as they are, labels as codes; missing is NaN, times are left out."""
    columns = [np.empty((len(frame), 0))]  # a frame without columns gives (n, 0)
    for _, column in frame.select_dtypes(exclude="datetimetz").items():
        values = column
        if not pd.api.types.is_numeric_dtype(column):
            codes = column.astype("category").cat.codes
            values = codes.where(codes >= 0)  # a missing label has the code −1
        columns.append(values.to_numpy(dtype=float, na_value=np.nan)[:, None])
    return np.hstack(columns)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=whole > 1e-12)
