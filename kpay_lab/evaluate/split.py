"""Split a log into what a model may learn and what it must foresee."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array, diags_array

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.evaluate.parts import Parts, global_leakage, part
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Training, trained_items
from kpay_lab.recommend.candidates import candidate_items

InterestOf = Callable[[Tables], InterestMatrix]
CHOICES = {
    "relevant": ("any", "interest", "purchase"),
    "cold_items": ("drop", "count", "recommend"),
}


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
    cut: pd.Timestamp | None = None,
    relevant: str = "any",
    threshold: float = 0.5,
    candidate_kinds: Sequence[str] | None = None,
    cold_users: bool = False,
    cold_items: str = "drop",
) -> Split:
    """Part the tables, pass the leakage gate, decide what is relevant.

    Parameters
    ----------
    interest_of : callable, Tables -> InterestMatrix
        Weighs the training part, and the test part where ``relevant="interest"``.
    how, train_share, cut
        See `parts.rows_to_train`.
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
    TooLittleError
        If a part is empty, or nobody has anything to find.
    ValueError
        On an unknown choice, a missing column, or a leak.
    """
    _check(relevant=relevant, cold_items=cold_items)
    if len(tables.ids("item_id")) == 1:
        raise TooLittleError("the log names a single item, so every list would be the same")
    parts = part(tables, how, train_share, cut)
    ids = tables.ids("user_id"), tables.ids("item_id")
    trained = _pairs(parts.train.events, *ids)
    wanted, seen = _pairs(parts.held_back, *ids), trained
    if relevant == "purchase":
        wanted, seen = _purchases(tables, parts, *ids)
    elif relevant == "interest":
        degrees = _aligned(interest_of(tables.with_events(parts.held_back)), *ids).values
        wanted = (degrees > threshold).astype(np.float64)
    allowed = candidate_items(parts.train, ids[1], kinds=candidate_kinds)
    candidates = allowed & (trained_items(trained) | (cold_items == "recommend"))
    known = (np.diff(trained.indptr) > 0) | cold_users
    findable = allowed if cold_items == "count" else candidates
    fresh = _stored(wanted - wanted.multiply(seen))
    test = _stored(diags_array(known * 1.0) @ fresh @ diags_array(findable * 1.0))
    train = Training(_aligned(interest_of(parts.train), *ids), parts.train)
    report = _report(how, relevant, parts, (wanted, fresh, test), candidates)
    return Split(train, test, candidates, seen, report)


def draw_items(split: Split, share: float, *, rng: np.random.Generator) -> np.ndarray:
    """Draw a share of the candidates that the test part names: bool (n_items,), at least one."""
    asked = np.bincount(split.test.indices, minlength=len(split.candidates)) > 0
    among = np.flatnonzero(split.candidates & asked)
    hidden = np.zeros(len(split.candidates), dtype=bool)
    hidden[rng.choice(among, size=max(1, round(share * len(among))), replace=False)] = True
    return hidden


def hide_items(split: Split, hidden: np.ndarray) -> Split:
    """Return the split as if the hidden items had been published after training.

    Their events, orders and exposures leave the training part, they alone are candidates,
    and only they count as relevant: what is found is found without anybody's behaviour
    towards the item.

    Raises
    ------
    ValueError
        If no test pair names a hidden item.
    """
    known, tables = split.train.interest, split.train.tables
    values = _stored(known.values @ diags_array(~hidden * 1.0))
    test = _stored(split.test @ diags_array(hidden * 1.0))
    if test.nnz == 0:
        raise ValueError("nobody turned to a hidden item in the test part; hide other items")
    if tables is not None:  # what anybody did with the items goes, their descriptions stay
        for name in tables.present().keys() - {"items", "users"}:
            frame = getattr(tables, name)
            left = frame[~frame["item_id"].isin(known.items[hidden])]
            tables = replace(tables, **{name: left})
    train = Training(InterestMatrix(values, known.users, known.items), tables)
    return replace(split, train=train, test=test, candidates=split.candidates & hidden)


def _check(**given: str) -> None:
    for name, value in given.items():
        if value not in CHOICES[name]:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(CHOICES[name])}")


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
    tables: Tables, parts: Parts, users: pd.Index, items: pd.Index
) -> tuple[csr_array, csr_array]:
    """Return the pairs bought from the cut on, and those bought before it."""
    if tables.orders is None or parts.train.orders is None or parts.cut is None:
        raise ValueError("relevant='purchase' needs an orders table and how='time'")
    later = tables.orders[tables.orders["timestamp"] >= parts.cut]
    return _pairs(later, users, items), _pairs(parts.train.orders, users, items)


def _report(
    how: str,
    relevant: str,
    parts: Parts,
    pairs: tuple[csr_array, csr_array, csr_array],
    candidates: np.ndarray,
) -> SplitReport:
    learned, held_back = parts.train.events, parts.held_back
    wanted, fresh, test = pairs
    already_seen, unreachable = wanted.nnz - fresh.nnz, fresh.nnz - test.nnz
    if test.nnz == 0:
        raise TooLittleError(
            f"nobody has anything to find: {already_seen} relevant pairs were seen in training, "
            f"{unreachable} are of cold users or of no candidates; use a larger log or another "
            "split"
        )
    names = ("user_id", "item_id")
    cold = [set(held_back[name].unique()) - set(learned[name].unique()) for name in names]
    digest = hashlib.sha256()
    for numbers in (learned.index, held_back.index, test.indptr, test.indices, candidates):
        digest.update(np.asarray(numbers, dtype=np.int64).tobytes())
    return SplitReport(
        how=how,
        relevant=relevant,
        train_events=_n_events(learned),
        test_events=_n_events(held_back),
        users=int(np.count_nonzero(np.diff(test.indptr))),
        pairs=test.nnz,
        already_seen=already_seen,
        unreachable=unreachable,
        cold_users=len(cold[0]),
        cold_items=len(cold[1]),
        cut=parts.cut,
        leakage=global_leakage(learned, held_back),
        fingerprint=digest.hexdigest(),
    )


def _n_events(events: pd.DataFrame) -> int:
    """Count events, or what a compact log has added up."""
    return int(events["n_events"].sum()) if "n_events" in events else len(events)
