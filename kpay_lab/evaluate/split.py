"""Split a log into what a model may learn and what it must foresee."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array, diags_array

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.parts import global_leakage, leakage_gate, rows_to_train, training_tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Training, trained_items
from kpay_lab.recommend.candidates import candidate_items

InterestOf = Callable[[Tables], InterestMatrix]


@dataclass(frozen=True)
class SplitReport:
    """What the split did, in numbers.

    ``users`` have something to find, ``pairs`` in all; ``already_seen`` and ``unreachable``
    (cold user, or item no candidate) pairs were dropped. ``cold_users`` and ``cold_items``
    occur in test events only. ``leakage``: see `parts.global_leakage`. ``fingerprint`` is
    the SHA-256 of the parts, for the manifest.
    """

    how: str
    relevant: str
    train_events: int
    test_events: int
    users: int
    pairs: int
    already_seen: int
    unreachable: int
    cold_users: int
    cold_items: int
    cut: pd.Timestamp | None
    leakage: float | None
    fingerprint: str

    def sentences(self) -> list[str]:
        """Say the report in plain sentences."""
        lines = [
            f"Split `{self.how}`: {self.train_events:,} events to learn from, "
            f"{self.test_events:,} held back; no event is in both.",
            f"{self.users:,} users have something to find, {self.pairs:,} pairs in all "
            f"(relevant: {self.relevant}).",
            f"Dropped: {self.already_seen:,} pairs already seen in training, "
            f"{self.unreachable:,} of cold users or of items that are no candidates.",
            f"The test part names {self.cold_users:,} cold users and {self.cold_items:,} "
            "cold items.",
        ]
        if self.cut is not None:
            lines.append(f"Nothing at or after {self.cut:%Y-%m-%d %H:%M} UTC was learned from.")
        elif self.leakage is not None:
            lines.append(
                f"Seen from a test event, {self.leakage:.1%} of the training events lie in the "
                "future: the models know more than they would in use."
            )
        return lines


@dataclass(frozen=True)
class Split:
    """One training part, and what is to be found after it.

    Parameters
    ----------
    train : Training
        Indexes cover every id of the full tables; what is cold is an empty row or column.
    test : csr_array of shape (n_users, n_items)
        1 where an item is relevant to a user.
    candidates : bool array of shape (n_items,)
        Items that may be recommended.
    seen : csr_array of shape (n_users, n_items)
        1 where the user had the item in training (``relevant="purchase"``: had bought it);
        withheld from the lists.
    report : SplitReport
    """

    train: Training
    test: csr_array
    candidates: np.ndarray
    seen: csr_array
    report: SplitReport

    @property
    def users(self) -> np.ndarray:
        """Positions of the users with something to find: those who are evaluated."""
        return np.flatnonzero(np.diff(self.test.indptr))


def make_split(
    tables: Tables,
    interest_of: InterestOf,
    *,
    how: str = "time",
    train_share: float | None = None,
    legacy_seed: int = 42,
    cut: pd.Timestamp | None = None,
    relevant: str = "any",
    threshold: float = 0.5,
    candidate_kinds: Sequence[str] | None = None,
    cold_users: bool = False,
    cold_items: str = "drop",
) -> Split:
    """Part the rows, cut the tables, pass the leakage gate, decide what is relevant.

    Parameters
    ----------
    interest_of : callable, Tables -> InterestMatrix
        Weighs the training part, and the test part where ``relevant="interest"``.
    how, train_share, legacy_seed, cut
        See :func:`kpay_lab.evaluate.parts.rows_to_train`.
    relevant : {"any", "interest", "purchase"}
        Any test event; test-part interest above ``threshold``; an order after the cut.
    candidate_kinds : sequence of str, optional
        Kinds that may be recommended; by default those with a price, else all.
    cold_users : bool
        Keep the relevant pairs of users without a training event.
    cold_items : {"drop", "count", "recommend"}
        Relevant items without a training event: drop the pair; count it although no list
        can hold the item (as Microsoft Recommenders does); or make the item a candidate.

    Raises
    ------
    ValueError
        On an unknown choice, a missing column, an empty part, or a leak.
    """
    _check("relevant", relevant, ("any", "interest", "purchase"))
    _check("cold_items", cold_items, ("drop", "count", "recommend"))
    tables = tables.with_events(tables.events.reset_index(drop=True))
    in_train, cut = rows_to_train(tables.events, how, train_share, legacy_seed, cut)
    train, held_back = training_tables(tables, in_train, cut), tables.events[~in_train]
    leakage_gate(train, held_back, cut)
    ids = tables.ids("user_id"), tables.ids("item_id")
    trained = _pairs(train.events, *ids)
    wanted, seen = _pairs(held_back, *ids), trained
    if relevant == "purchase":
        wanted, seen = _purchases(tables, train, cut, *ids)
    elif relevant == "interest":
        degrees = _aligned(interest_of(tables.with_events(held_back)), *ids).values
        wanted = (degrees > threshold).astype(np.float64)
    fresh = _stored(wanted - wanted.multiply(seen))
    allowed = candidate_items(train, ids[1], kinds=candidate_kinds)
    candidates = allowed & (trained_items(trained) | (cold_items == "recommend"))
    findable = allowed if cold_items == "count" else candidates
    known = (np.diff(trained.indptr) > 0) | cold_users
    test = _stored(diags_array(known * 1.0) @ fresh @ diags_array(findable * 1.0))
    dropped = wanted.nnz - fresh.nnz, fresh.nnz - test.nnz
    report = _report(how, relevant, cut, train, held_back, test, dropped, candidates)
    return Split(
        Training(_aligned(interest_of(train), *ids), train), test, candidates, seen, report
    )


def _check(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}")


def _stored(matrix: csr_array) -> csr_array:
    matrix = csr_array(matrix)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _pairs(frame: pd.DataFrame, users: pd.Index, items: pd.Index) -> csr_array:
    """Return 1 for each (user, item) of the frame, however often it occurs."""
    cells = users.get_indexer(frame["user_id"]), items.get_indexer(frame["item_id"])
    pairs = coo_array((np.ones(len(frame)), cells), shape=(len(users), len(items))).tocsr()
    pairs.data[:] = 1.0
    return pairs


def _aligned(matrix: InterestMatrix, users: pd.Index, items: pd.Index) -> InterestMatrix:
    """Return the same values under the indexes of the full tables."""
    cells = matrix.values.tocoo()
    places = users.get_indexer(matrix.users)[cells.row], items.get_indexer(matrix.items)[cells.col]
    values = coo_array((cells.data, places), shape=(len(users), len(items))).tocsr()
    return InterestMatrix(values, users, items)


def _purchases(
    tables: Tables, train: Tables, cut: pd.Timestamp | None, users: pd.Index, items: pd.Index
) -> tuple[csr_array, csr_array]:
    """Return the pairs bought from the cut on, and those bought before it."""
    if tables.orders is None or train.orders is None or cut is None:
        raise ValueError("relevant='purchase' needs an orders table and how='time'")
    later = tables.orders[tables.orders["timestamp"] >= cut]
    return _pairs(later, users, items), _pairs(train.orders, users, items)


def _report(
    how: str,
    relevant: str,
    cut: pd.Timestamp | None,
    train: Tables,
    held_back: pd.DataFrame,
    test: csr_array,
    dropped: tuple[int, int],
    candidates: np.ndarray,
) -> SplitReport:
    if test.nnz == 0:
        raise ValueError(
            f"nobody has anything to find: {dropped[0]} relevant pairs were seen in training, "
            f"{dropped[1]} are of cold users or of no candidates; use a larger log or another split"
        )
    hot_users, hot_items = (set(train.events[name].unique()) for name in ("user_id", "item_id"))
    digest = hashlib.sha256()
    for part in (train.events.index, held_back.index, test.indptr, test.indices, candidates):
        digest.update(np.asarray(part, dtype=np.int64).tobytes())
    return SplitReport(
        how=how,
        relevant=relevant,
        train_events=_n_events(train.events),
        test_events=_n_events(held_back),
        users=int(np.count_nonzero(np.diff(test.indptr))),
        pairs=test.nnz,
        already_seen=dropped[0],
        unreachable=dropped[1],
        cold_users=len(set(held_back["user_id"].unique()) - hot_users),
        cold_items=len(set(held_back["item_id"].unique()) - hot_items),
        cut=cut,
        leakage=global_leakage(train.events, held_back),
        fingerprint=digest.hexdigest(),
    )


def _n_events(events: pd.DataFrame) -> int:
    """Count events, or what a compact log has added up."""
    return int(events["n_events"].sum()) if "n_events" in events else len(events)
