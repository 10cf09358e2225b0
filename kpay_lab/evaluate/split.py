"""Split a log into a training part and the test part that a model must predict."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array, dia_array, diags_array

from kpay_lab.data.derived import orders_of_items
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.evaluate.parts import global_leakage, split_tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Training, trained_items
from kpay_lab.recommend.candidates import candidate_items, recommended_kinds, rule_on_kinds

InterestOf = Callable[[Tables], InterestMatrix]
CHOICES = {
    "relevant": ("any", "interest", "purchase"),
    "cold_items": ("drop", "count", "recommend"),
}

MEANING_OF_COUNTS = {
    "train_events": "events to learn from",
    "test_events": "events held back",
    "users": "users with something to find",
    "pairs": "pairs of a user and an item to find",
    "already_seen": "pairs dropped, because the user had met the item in training",
    "unreachable": "pairs dropped, because the user is cold or the item no candidate",
    "cold_users": "users in the test part only",
    "cold_items": "items in the test part only",
}


@dataclass(frozen=True)
class Split:
    """What a model may learn from, and what it must find after that.

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
    test_events : DataFrame
        The events held back.
    how, relevant, candidate_kinds
        As they were given to `make_split`.
    cut : Timestamp or None
        The moment between the two parts, where there is one.
    already_seen, unreachable : int
        Relevant pairs that were dropped: the user had the item in training; or the user is
        cold, or the item no candidate.
    """

    train: Training
    test: csr_array
    candidates: np.ndarray
    seen: csr_array
    test_events: pd.DataFrame
    how: str
    relevant: str
    candidate_kinds: Sequence[str]
    cut: pd.Timestamp | None
    already_seen: int
    unreachable: int

    @property
    def users(self) -> np.ndarray:
        """Positions of the users with something to find: those who are evaluated."""
        n_relevant = np.diff(self.test.indptr)
        return np.flatnonzero(n_relevant)

    @property
    def train_events(self) -> pd.DataFrame:
        """The events to learn from; a ValueError where the training part has no tables."""
        tables = self.train.tables
        if tables is None:
            raise ValueError("the training part has no tables; make the split with make_split")
        return tables.events

    @property
    def leakage(self) -> float | None:
        """Share of training events later than a test event; see `parts.global_leakage`."""
        return global_leakage(self.train_events, self.test_events)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of who lies in which part: two splits are the same if theirs are equal."""
        events = (self.train_events.index, self.test_events.index)
        pairs = (self.test.indptr, self.test.indices)
        digest = hashlib.sha256()
        for numbers in (*events, *pairs, self.candidates):
            int64 = np.asarray(numbers, dtype=np.int64)
            digest.update(int64.tobytes())
        return digest.hexdigest()

    def table(self) -> pd.DataFrame:
        """Count what lies in the two parts, and what was dropped.

        Returns
        -------
        DataFrame
            ``count`` and what it counts, ``meaning``, under the names ``train_events,
            test_events, users, pairs, already_seen, unreachable, cold_users, cold_items``.
        """
        train = self.train_events
        test = self.test_events
        counts = {
            "train_events": _n_events(train),
            "test_events": _n_events(test),
            "users": len(self.users),
            "pairs": self.test.nnz,
            "already_seen": self.already_seen,
            "unreachable": self.unreachable,
            "cold_users": _count_cold(test["user_id"], train["user_id"]),
            "cold_items": _count_cold(test["item_id"], train["item_id"]),
        }
        return pd.DataFrame({"count": counts, "meaning": MEANING_OF_COUNTS})

    def describe(self) -> list[str]:
        """Say in plain sentences what lies in the two parts, and what was dropped."""
        count = self.table()["count"]
        lines = [
            f"Split `{self.how}`: {count['train_events']:,} events to learn from, "
            f"{count['test_events']:,} held back; no event is in both.",
            f"{count['users']:,} users have something to find, {count['pairs']:,} pairs in all "
            f"(relevant: {self.relevant}).",
            f"Dropped: {count['already_seen']:,} pairs already seen in training, "
            f"{count['unreachable']:,} of cold users or of items that are no candidates.",
            f"The test part names {count['cold_users']:,} cold users and "
            f"{count['cold_items']:,} cold items.",
        ]
        tables = self.train.tables
        rule = "" if tables is None else rule_on_kinds(tables, self.candidate_kinds)
        if rule:
            lines.append(f"{rule.capitalize()}.")
        if self.cut is not None:
            lines.append(f"Nothing at or after {self.cut:%Y-%m-%d %H:%M} UTC was learned from.")
            return lines
        leakage = self.leakage
        if leakage is not None:
            lines.append(
                f"Seen from a test event, {leakage:.1%} of the training events lie in the "
                "future: the models know more than they would in use."
            )
        return lines


def make_split(
    tables: Tables,
    interest_of: InterestOf,
    *,
    how: str = "time",
    train_share: float | None = None,
    cut: pd.Timestamp | None = None,
    relevant: str = "any",
    threshold: float = 0.5,
    candidate_kinds: Sequence[str] = (),
    cold_users: bool = False,
    cold_items: str = "drop",
) -> Split:
    """Split the tables, check them for leakage, and decide what is relevant.

    Parameters
    ----------
    interest_of : callable, Tables -> InterestMatrix
        Weighs the training part, and the test part where ``relevant="interest"``.
    how, train_share, cut
        See `parts.rows_to_train`.
    relevant : {"any", "interest", "purchase"}
        Any test event; test-part interest above ``threshold``; an order after the cut.
    candidate_kinds : sequence of str
        Kinds that may be recommended; where none is named, those with a price, else all.
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
    users = tables.ids("user_id")
    items = tables.ids("item_id")
    if len(items) == 1:
        raise TooLittleError("the log names a single item, so every list would be the same")
    train_tables, test_events, cut = split_tables(tables, how, train_share, cut)
    train_pairs = _pairs(train_tables.events, users, items)
    relevant_pairs = _pairs(test_events, users, items)
    seen = train_pairs
    if relevant == "purchase":
        if tables.orders is None or train_tables.orders is None or cut is None:
            raise ValueError("relevant='purchase' needs an orders table and how='time'")
        of_items = orders_of_items(tables.orders)
        if of_items.empty:
            raise TooLittleError("relevant='purchase' needs orders that name their item; none does")
        is_later = of_items["timestamp"] >= cut
        known_of_items = orders_of_items(train_tables.orders)
        relevant_pairs = _pairs(of_items[is_later], users, items)
        seen = _pairs(known_of_items, users, items)
    elif relevant == "interest":
        test_interest = interest_of(tables.with_events(test_events))
        degrees = _aligned(test_interest, users, items).values
        relevant_pairs = (degrees > threshold).astype(np.float64)
    allowed = candidate_items(train_tables, items, kinds=candidate_kinds)
    candidates = allowed
    if cold_items != "recommend":
        candidates = allowed & trained_items(train_pairs)
    findable = allowed if cold_items == "count" else candidates
    is_warm_user = np.diff(train_pairs.indptr) > 0
    seen_pairs = relevant_pairs.multiply(seen)
    unseen = _canonical(relevant_pairs - seen_pairs)
    test = _masked(unseen, users=is_warm_user | cold_users, items=findable)
    already_seen = relevant_pairs.nnz - unseen.nnz
    unreachable = unseen.nnz - test.nnz
    if test.nnz == 0:
        remedy = _remedy(train_tables, test_events, candidate_kinds)
        raise TooLittleError(
            f"nobody has anything to find: {already_seen} relevant pairs were seen in training, "
            f"{unreachable} are of cold users or of no candidates; {remedy}"
        )
    train_interest = _aligned(interest_of(train_tables), users, items)
    return Split(
        train=Training(train_interest, train_tables),
        test=test,
        candidates=candidates,
        seen=seen,
        test_events=test_events,
        how=how,
        relevant=relevant,
        candidate_kinds=candidate_kinds,
        cut=cut,
        already_seen=already_seen,
        unreachable=unreachable,
    )


def _remedy(train: Tables, test_events: pd.DataFrame, candidate_kinds: Sequence[str]) -> str:
    """Say what could give somebody something to find: other kinds of items, or more events."""
    rule = rule_on_kinds(train, candidate_kinds)
    if rule and train.items is not None:
        kind_of_item = train.items.set_index("item_id")["kind"]
        kinds_met = test_events["item_id"].map(kind_of_item).dropna()
        allowed = recommended_kinds(train, candidate_kinds)
        others = sorted(set(kinds_met) - set(allowed))
        if others:
            return f"{rule}; set candidate_kinds=[{', '.join(others)}]"
    return "use a larger log or another split"


def draw_items(split: Split, share: float, *, rng: np.random.Generator) -> np.ndarray:
    """Draw a share of the candidates that the test part names: bool (n_items,), at least one."""
    n_items = len(split.candidates)
    n_asking = np.bincount(split.test.indices, minlength=n_items)
    eligible = np.flatnonzero(split.candidates & (n_asking > 0))
    n_drawn = round(share * len(eligible))
    drawn = rng.choice(eligible, size=max(1, n_drawn), replace=False)
    is_drawn = np.zeros(n_items, dtype=bool)
    is_drawn[drawn] = True
    return is_drawn


def hide_items(split: Split, hidden: np.ndarray) -> Split:
    """Return the split as if the hidden items had been published after training.

    Their events, orders and exposures leave the training part, they alone are candidates,
    and only they count as relevant: a model has to find them without anybody's behaviour
    towards them.

    Raises
    ------
    ValueError
        If no test pair names a hidden item.
    """
    test = _masked(split.test, items=hidden)
    if test.nnz == 0:
        raise ValueError("nobody turned to a hidden item in the test part; hide other items")
    n_dropped = split.test.nnz - test.nnz
    interest = split.train.interest
    visible = _masked(interest.values, items=~hidden)
    tables = split.train.tables
    if tables is not None:
        tables = _without_behaviour(tables, interest.items[hidden])
    return replace(
        split,
        train=Training(replace(interest, values=visible), tables),
        test=test,
        candidates=split.candidates & hidden,
        unreachable=split.unreachable + n_dropped,
    )


def _without_behaviour(tables: Tables, items: pd.Index) -> Tables:
    """Drop the events, orders and exposures of the items; their descriptions stay."""
    visible = {}
    for name, frame in tables.present().items():
        names_items = "item_id" in frame  # orders of subscriptions name none
        if name not in ("items", "users") and names_items:
            is_hidden = frame["item_id"].isin(items)
            visible[name] = frame[~is_hidden]
    return replace(tables, **visible)


def _check(**given: str) -> None:
    """Refuse a choice that `CHOICES` does not name."""
    for name, value in given.items():
        if value not in CHOICES[name]:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(CHOICES[name])}")


def _masked(matrix: csr_array, *, items: np.ndarray, users: np.ndarray | None = None) -> csr_array:
    """Set the rows and columns outside the masks to zero, which is then not stored."""
    if users is not None:
        matrix = _diagonal(users) @ matrix
    return _canonical(matrix @ _diagonal(items))


def _diagonal(mask: np.ndarray) -> dia_array:
    """Return the matrix that keeps the rows or columns where the mask is true."""
    return diags_array(mask.astype(np.float64))


def _canonical(matrix: csr_array) -> csr_array:
    """Return the matrix with sorted columns and no stored zero, so that equal ones are alike."""
    matrix = csr_array(matrix)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _pairs(frame: pd.DataFrame, users: pd.Index, items: pd.Index) -> csr_array:
    """Return 1 for each (user, item) of the frame, however often it occurs."""
    user = users.get_indexer(frame["user_id"])
    item = items.get_indexer(frame["item_id"])
    shape = (len(users), len(items))
    events = coo_array((np.ones(len(frame)), (user, item)), shape=shape)
    pairs = events.tocsr()
    pairs.data[:] = 1.0
    return pairs


def _aligned(matrix: InterestMatrix, users: pd.Index, items: pd.Index) -> InterestMatrix:
    """Return the same values under the indexes of the full tables."""
    cells = matrix.values.tocoo()
    user = users.get_indexer(matrix.users)[cells.row]
    item = items.get_indexer(matrix.items)[cells.col]
    shape = (len(users), len(items))
    values = coo_array((cells.data, (user, item)), shape=shape)
    return InterestMatrix(values.tocsr(), users, items)


def _count_cold(test_ids: pd.Series, train_ids: pd.Series) -> int:
    """Count the ids that occur in the test part only."""
    is_cold = ~test_ids.isin(train_ids)
    return test_ids[is_cold].nunique()


def _n_events(events: pd.DataFrame) -> int:
    """Count events, or what a compact log has added up."""
    if "n_events" not in events:
        return len(events)
    return int(events["n_events"].sum())
