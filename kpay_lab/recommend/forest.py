"""A classifier over (user, item) pairs: document B's listing, put right."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from kpay_lab.recommend.base import LARGEST_SEED, Training, trained_items
from kpay_lab.settings import Ranges, check_settings
from kpay_lab.stats import random_state

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
    n_trees: int = 40
    max_depth: int = 8
    min_leaf: int = 20
    n_negatives: int = 4
    max_pairs: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self)

    def fit(self, train: Training) -> Self:
        """Sample pairs, describe them, grow the trees."""
        rng = np.random.default_rng(self.seed)
        self.values_ = train.interest.values
        self._describe(train)
        users, items, happened = self._sample(rng)
        own = np.asarray(self.values_[users, items]).ravel()
        self.forest_ = RandomForestClassifier(
            n_estimators=self.n_trees,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_leaf,
            random_state=random_state(rng),
            n_jobs=1,
        ).fit(self._pairs(users, items, own), happened)
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the probabilities, batch by batch: (len(users), n_items)."""
        n_items = self.values_.shape[1]
        scores = np.empty((len(users), n_items))
        step = max(1, PAIRS_AT_ONCE // n_items)
        for start in range(0, len(users), step):
            batch = np.asarray(users)[start : start + step]
            everything = np.repeat(batch, n_items), np.tile(np.arange(n_items), len(batch))
            chance = self.forest_.predict_proba(self._pairs(*everything, 0.0))[:, 1]
            scores[start : start + step] = chance.reshape(len(batch), n_items)
        return scores

    def _describe(self, train: Training) -> None:
        """Turn the tables into numbers, and add up interest by user, item and group."""
        values, tables = self.values_, train.tables
        users = _rows(tables.users if tables else None, train.interest.users)
        items = _rows(tables.items if tables else None, train.interest.items)
        users = users.drop(columns="consent", errors="ignore")
        known = [name for name in (*GROUPINGS, "price", "duration") if name in items]
        self.user_sum_, item_sum = values.sum(axis=1), values.sum(axis=0)
        n_met = np.diff(values.indptr), np.bincount(values.indices, minlength=values.shape[1])
        self.user_known_ = np.c_[n_met[0], _ratio(self.user_sum_, n_met[0]), _numbers(users)]
        self.item_known_ = np.c_[n_met[1], _ratio(item_sum, n_met[1]), _numbers(items[known])]
        labels = [items[name].astype("category").cat.codes for name in GROUPINGS if name in items]
        self.groups_ = [codes.to_numpy() + 1 for codes in labels]  # 0: no label
        self.in_group_ = [(values @ np.eye(codes.max() + 1)[codes]) for codes in self.groups_]

    def _sample(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw pairs that happened and, for their users, pairs that did not."""
        cells = self.values_.tocoo()
        n = min(cells.nnz, self.max_pairs)
        chosen = rng.choice(cells.nnz, size=n, replace=False)
        row, col = cells.row.astype(np.int64), cells.col  # a user times the items may pass 2^31
        users, items = row[chosen], col[chosen]
        others = np.repeat(users, self.n_negatives)
        drawn = rng.choice(np.flatnonzero(trained_items(self.values_)), size=len(others))
        width = self.values_.shape[1]
        happened = np.isin(others * width + drawn, row * width + col)
        others, drawn = others[~happened], drawn[~happened]
        if not len(others):
            raise ValueError("RandomForest found no pair that did not happen; log more items")
        mark = np.r_[np.ones(n, dtype=int), np.zeros(len(others), dtype=int)]
        return np.r_[users, others], np.r_[items, drawn], mark

    def _pairs(self, users: np.ndarray, items: np.ndarray, own: np.ndarray | float) -> np.ndarray:
        """Return the features of pairs, each without its own part in the shares."""
        rest = self.user_sum_[users] - own
        shares = [
            _ratio(totals[users, codes[items]] - own, rest)
            for codes, totals in zip(self.groups_, self.in_group_, strict=True)
        ]
        known = self.user_known_[users], self.item_known_[items]
        return np.column_stack([*shares, *known]).astype(np.float32)


def _rows(table: pd.DataFrame | None, ids: pd.Index) -> pd.DataFrame:
    """Return one row for each id, in order; without a table, rows without columns."""
    empty = pd.DataFrame(index=ids)
    return empty if table is None else table.set_index(str(ids.name)).reindex(ids)


def _numbers(frame: pd.DataFrame) -> np.ndarray:
    """Return numbers as they are, labels as codes; missing is NaN, times are left out."""
    columns = [np.empty((len(frame), 0))]
    for _, column in frame.select_dtypes(exclude="datetimetz").items():
        codes = column.astype("category").cat.codes
        measured = pd.api.types.is_numeric_dtype(column)
        values = column if measured else codes.where(codes >= 0)
        columns.append(values.to_numpy(dtype=float, na_value=np.nan)[:, None])
    return np.hstack(columns)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=whole > 1e-12)
