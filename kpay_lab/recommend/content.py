"""Content: what is described alike is recommended together, no other user needed."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, hstack, vstack

from kpay_lab.recommend.base import TopK, Training, rank, unit_rows
from kpay_lab.settings import Ranges, Space, check_settings

LABELS = ("category", "brand", "host")
DESCRIPTION = (*LABELS, "price", "title", "description")
USERS_AT_ONCE = 32  # their features should stay in the CPU's cache while items are compared
PAIRS_AT_ONCE = 256  # the features of a user that are held for each pair that is explained


def is_described(train: Training) -> bool:
    """Return whether anything describes the items."""
    return any(train.has("items", column) for column in DESCRIPTION)


@dataclass(kw_only=True)
class ContentBased:
    """Score an item by the cosine of its features with the user's.

    The documents' R = C·D read by meaning: with C (n_items, n_features) of unit rows, the
    user's features are D = A C scaled to length 1 and R = D Cᵀ. No two items are compared.
    Features are category, brand, host, price band (fifths) and the TF-IDF of title and description
    by character n-grams, which suit Chinese; each counts alike. A cold item is scored as any
    other; a cold user, or an item that nothing describes, scores 0. ``ngrams`` are the
    shortest and longest run, ``max_ngrams`` the most frequent kept.
    """

    ranges: ClassVar[Ranges] = {"ngrams": (1, 20), "max_ngrams": (1, 100_000_000)}
    space: ClassVar[Space] = {
        "ngrams": ((1, 2), (2, 3), (2, 4), (3, 5)),
        "max_ngrams": (5_000, 20_000),
    }
    ngrams: tuple[int, int] = (2, 3)
    max_ngrams: int = 20_000

    def __post_init__(self) -> None:
        check_settings(self)
        shortest, longest = self.ngrams
        if shortest > longest:
            raise ValueError(
                f"ContentBased: ngrams are {self.ngrams}; the shortest must come first"
            )

    def lacks(self, train: Training) -> str:
        """Say that nothing describes the items, where nothing does."""
        return "" if is_described(train) else "nothing describes the items"

    def fit(self, train: Training) -> Self:
        """Describe the items."""
        table = train.need("items", "item_id", "ContentBased").set_index("item_id")
        described = table.reindex(train.interest.items)
        blocks = _label_blocks(described) | self._text_block(described)
        if not blocks:
            raise ValueError(
                f"ContentBased needs one of {', '.join(DESCRIPTION)} in items; "
                "add one or choose another model"
            )
        self.names_ = np.array([name for names in blocks for name in names])
        features = hstack(list(blocks.values()), format="csr")
        self.features_ = csr_array(unit_rows(features))
        self.history_ = train.interest.values
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the cosine, between 0 and 1 for degrees of 0 and more."""
        return self.score_new(self.history_[users])

    def score_new(self, histories: csr_array) -> np.ndarray:
        """Return the cosine for newcomers: (n_newcomers, n_items)."""
        return self._cosines(histories, self.features_)

    def _cosines(self, histories: csr_array, features_of_items: csr_array) -> np.ndarray:
        """Return the cosine of each history with some items: (n_histories, n_of_them)."""
        scores = np.empty((histories.shape[0], features_of_items.shape[0]))
        for start in range(0, len(scores), USERS_AT_ONCE):
            users = slice(start, start + USERS_AT_ONCE)
            features_of_users = unit_rows(histories[users] @ self.features_)
            scores[users] = (features_of_items @ features_of_users.T.toarray()).T
        return scores

    def score_candidates(self, users: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
        """Return the cosine with what is a candidate of any of the users, else −inf."""
        columns = np.flatnonzero(is_candidate.any(axis=0))
        scores = np.full(is_candidate.shape, -np.inf)
        scores[:, columns] = self._cosines(self.history_[users], self.features_[columns])
        return scores

    def explain(self, users: np.ndarray, items: np.ndarray) -> csr_array:
        """Weigh the features that a user's history shares with ``items[p]``."""
        return self.explain_new(self.history_[users], items)

    def explain_new(self, histories: csr_array, items: np.ndarray) -> csr_array:
        """Weigh the features that a history shares with ``items[p]``: (n_pairs, n_features).

        They say more than the items of the history would; ``names_`` names them. A row adds
        up to the cosine times the length of the user's features.
        """
        shared = [csr_array((0, self.features_.shape[1]))]
        for start in range(0, len(items), PAIRS_AT_ONCE):
            pairs = slice(start, start + PAIRS_AT_ONCE)
            features_of_users = histories[pairs] @ self.features_
            shared.append(self.features_[items[pairs]].multiply(features_of_users))
        return csr_array(vstack(shared, format="csr"))

    def _text_block(self, table: pd.DataFrame) -> dict[tuple[str, ...], csr_array]:
        """Return the TF-IDF of titles and descriptions under the names of its columns."""
        known = [name for name in ("title", "description") if name in table]
        texts = [table[name].fillna("") for name in known]
        longest = [text.str.len().max() for text in texts]
        shortest_ngram, _ = self.ngrams
        if not any(length >= shortest_ngram for length in longest):
            return {}
        lines = [" ".join(parts) for parts in zip(*texts, strict=True)]
        ngrams, block = _tf_idf(tuple(lines), tuple(self.ngrams), self.max_ngrams)
        names = tuple(f"text: {ngram}" for ngram in ngrams)
        return {names: block}


@lru_cache(maxsize=2)
def _tf_idf(
    lines: tuple[str, ...], ngrams: tuple[int, int], max_ngrams: int
) -> tuple[tuple[str, ...], csr_array]:
    """Return the n-grams of some texts and their TF-IDF: (n_texts, n_ngrams), not to be changed.

    The texts of a catalogue are the same in every part of a log, so the last are remembered.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # here, for it is slow to import

    vectorizer = TfidfVectorizer(
        analyzer="char_wb",
        sublinear_tf=True,
        ngram_range=ngrams,
        max_features=max_ngrams,
    )
    block = csr_array(vectorizer.fit_transform(lines))
    return tuple(vectorizer.get_feature_names_out()), block


def _label_blocks(table: pd.DataFrame) -> dict[tuple[str, ...], csr_array]:
    """Return one-hot columns for the labels and the price band, under the names of the columns."""
    labels = {name: table[name] for name in LABELS if name in table}
    if "price" in table:
        labels["price"] = pd.qcut(table["price"], 5, duplicates="drop").astype("str")
    blocks = {}
    for feature, column in labels.items():
        known = column.where(table[feature].notna())  # the band of no price is the text "nan"
        one_hot = pd.get_dummies(known, dtype=float)
        if one_hot.shape[1]:
            names = tuple(f"{feature}: {label}" for label in one_hot.columns)
            blocks[names] = csr_array(one_hot.to_numpy())
    return blocks


def recommend_by_cosine(user_features: np.ndarray, item_features: np.ndarray, k: int) -> TopK:
    """List the k items closest in direction to each user: document A's listing, put right.

    Features are (n_users, n_features) and (n_items, n_features); a zero vector has cosine 0.

    >>> recommend_by_cosine([[1, 0], [1, 2]], [[0, 5], [3, 0], [1, 1]], 2).items
    array([[1, 2], [2, 0]])
    """
    users = unit_rows(np.asarray(user_features, dtype=float))
    items = unit_rows(np.asarray(item_features, dtype=float))
    return rank(users @ items.T, k)
