"""Split a log into a training part and the test part that a model must predict."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array, dia_array, diags_array

from kpay_lab.data.codes import factorize, take_rows
from kpay_lab.data.derived import orders_of_items
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.evaluate.cautions import drawn_by_lot, few_users
from kpay_lab.evaluate.parts import global_leakage, split_tables
from kpay_lab.evaluate.queries import (
    CANDIDATES,
    WITHOUT_CHOICE,
    check_question,
    kinds_of_sessions,
    offered_pairs,
    without_choice,
)
from kpay_lab.findings import Finding, sentence
from kpay_lab.interest.matrix import InterestMatrix, positions_of
from kpay_lab.recommend.base import Training, trained_items
from kpay_lab.recommend.candidates import candidate_items, recommended_kinds, rule_on_kinds

InterestOf = Callable[[Tables], InterestMatrix]
CHOICES = {
    "relevant": ("any", "interest", "purchase"),
    "cold_items": ("drop", "count", "recommend"),
    "candidates": CANDIDATES,
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
    **WITHOUT_CHOICE,
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
    candidates : bool array of shape (n_items,), or csr_array of shape (n_users, n_items)
        Items that may be recommended: the same ones for everybody, or for each user those
        with a stored value, where they depend on who asks and when (see `queries`).
    seen : csr_array of shape (n_users, n_items)
        1 where the user had the item in training (``relevant="purchase"``: had bought it);
        withheld from the lists. Empty where candidates depend on the user.
    test_events : DataFrame
        The events held back.
    how, relevant, threshold, candidate_kinds
        As they were given to `make_split`; for ``live`` by default the kinds of the sessions.
    pool : {"all", "exposed", "rated", "live"}
        What was given to `make_split` as ``candidates``.
    cut : Timestamp or None
        The moment between the two parts, where there is one.
    already_seen, unreachable : int
        Relevant pairs that were dropped: the user had the item in training; or the user is
        cold, or the item no candidate.
    left_out : Series
        Number of users whose candidates leave nothing to order, by reason (``WITHOUT_CHOICE``);
        empty where all users have the same candidates.
    drawn_from : Split, optional
        The split with all users who have something to find, where those evaluated are a sample
        of them (`sample.sample_users`).
    """

    train: Training
    test: csr_array
    candidates: np.ndarray | csr_array
    seen: csr_array
    test_events: pd.DataFrame
    how: str
    relevant: str
    threshold: float
    candidate_kinds: Sequence[str]
    pool: str
    cut: pd.Timestamp | None
    already_seen: int
    unreachable: int
    left_out: pd.Series
    drawn_from: "Split | None" = None

    @property
    def users(self) -> np.ndarray:
        """Positions of the users with something to find: those who are evaluated."""
        n_relevant = np.diff(self.test.indptr)
        return np.flatnonzero(n_relevant)

    @property
    def of_whom(self) -> str:
        """Who is evaluated: ``133 users``, or ``5,000 of 17,672 users, drawn by chance``."""
        n_users = len(self.users)
        if self.drawn_from is None:
            return f"{n_users:,} users"
        n_all = len(self.drawn_from.users)
        return f"{n_users:,} of {n_all:,} users, drawn by chance"

    @property
    def question(self) -> dict[str, Any]:
        """What `make_split` was asked, but for the parts: to ask it of other parts."""
        return {
            "relevant": self.relevant,
            "threshold": self.threshold,
            "candidates": self.pool,
            "candidate_kinds": self.candidate_kinds,
        }

    @property
    def catalogue(self) -> np.ndarray:
        """Mark the items that some evaluated user may be recommended: bool (n_items,)."""
        if isinstance(self.candidates, np.ndarray):
            return self.candidates
        of_evaluated = self.candidates[self.users]
        return trained_items(of_evaluated)

    @cached_property
    def met(self) -> csr_array:
        """1 where the user had the item in a training event: (n_users, n_items)."""
        interest = self.train.interest
        return _pairs(self.train_events, interest.users, interest.items)

    def is_candidate(self, users: np.ndarray) -> np.ndarray:
        """Mark what each of some users may be recommended: bool (len(users), n_items)."""
        if isinstance(self.candidates, np.ndarray):
            return np.broadcast_to(self.candidates, (len(users), len(self.candidates)))
        return self.candidates[users].toarray() > 0

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
        candidates = [self.candidates]
        if not isinstance(self.candidates, np.ndarray):
            candidates = [self.candidates.indptr, self.candidates.indices]
        for numbers in (*events, *pairs, *candidates):
            int64 = np.asarray(numbers, dtype=np.int64)
            digest.update(int64.tobytes())
        return digest.hexdigest()

    def table(self) -> pd.DataFrame:
        """Count what lies in the two parts, and what was dropped.

        Returns
        -------
        DataFrame
            ``count`` and what it counts, ``meaning``, under the names ``train_events,
            test_events, users, pairs, already_seen, unreachable, cold_users, cold_items``, and
            those of ``left_out``.
        """
        train = self.train_events
        test = self.test_events
        with_all_users = self.drawn_from or self
        counts = {
            "train_events": _n_events(train),
            "test_events": _n_events(test),
            "users": len(with_all_users.users),
            "pairs": with_all_users.test.nnz,
            "already_seen": self.already_seen,
            "unreachable": self.unreachable,
        }
        counts["cold_users"] = _count_cold(test["user_id"], train["user_id"])
        counts["cold_items"] = _count_cold(test["item_id"], train["item_id"])
        counts |= self.left_out.to_dict()
        meanings = {name: MEANING_OF_COUNTS[name] for name in counts}
        return pd.DataFrame({"count": counts, "meaning": meanings})

    def describe(self, *, cautions: bool = True) -> list[str]:
        """Say in plain sentences what lies in the two parts, and what was dropped.

        Parameters
        ----------
        cautions : bool
            Whether to say the `findings` too.
        """
        count = self.table()["count"]
        events = (
            f"Split `{self.how}`: {count['train_events']:,} events to learn from, "
            f"{count['test_events']:,} held back; no event is in both."
        )
        to_find = (
            f"{count['users']:,} users have something to find, {count['pairs']:,} pairs in all "
            f"(relevant: {self.relevant})."
        )
        dropped = (
            f"Dropped: {count['already_seen']:,} pairs already seen in training, "
            f"{count['unreachable']:,} of cold users or of items that are no candidates."
        )
        cold = (
            f"The test part names {count['cold_users']:,} cold users and "
            f"{count['cold_items']:,} cold items."
        )
        lines = [events, to_find, dropped, cold]
        tables = self.train.tables
        rule = "" if tables is None else rule_on_kinds(tables, self.candidate_kinds)
        if rule:
            lines.append(f"{rule.capitalize()}.")
        lines += self._describe_candidates()
        if self.cut is not None:
            lines.append(f"Nothing at or after {self.cut:%Y-%m-%d %H:%M} UTC was learned from.")
        if cautions:
            lines += [sentence(finding) for finding in self.findings()]
        return lines

    def findings(self) -> list[Finding]:
        """Return what a reader must be warned of.

        A sample of the users or few of them carry the comparison, its test part looks drawn by
        lot, or its models know more of the future than they would in use.
        """
        users = self.users
        found = few_users(len(users), len(self.train.interest.users))
        if self.drawn_from is not None:
            found.append(self._sample_finding(self.drawn_from))
        if self.relevant == "any" and isinstance(self.candidates, np.ndarray):
            popularity = np.bincount(self.met.indices, minlength=len(self.candidates))
            test = self.test[users]
            found += drawn_by_lot(test, self.seen[users], self.candidates, popularity)
        leakage = self.leakage if self.cut is None else None
        if leakage is not None:
            values = {"share": leakage}
            found.append(Finding("split/future", "watch", values))
        return found

    def _sample_finding(self, with_all_users: "Split") -> Finding:
        values = {
            "n_users": len(self.users),
            "n_all": len(with_all_users.users),
            "n_pairs": self.test.nnz,
        }
        return Finding("split/sample", "plain", values)

    @property
    def days(self) -> float | None:
        """Days from the cut to the last event held back; None without a cut."""
        if self.cut is None:
            return None
        length = self.test_events["timestamp"].max() - self.cut
        return length / pd.Timedelta(days=1)

    def _describe_candidates(self) -> list[str]:
        """Say from what users choose, and who has no choice; nothing where all have the same."""
        if isinstance(self.candidates, np.ndarray):
            return []
        with_all_users = self.drawn_from or self
        users = with_all_users.users
        offered = self.candidates[users]
        sizes = np.diff(offered.indptr)
        n_met = offered.multiply(self.met[users]).nnz
        n_with_candidates = len(users) + self.left_out.sum()
        of_user = {
            "exposed": "was shown to them after the cut",
            "rated": "they met in this part",
            "live": "was live when they first entered a live session after the cut",
        }
        kind = (
            f"Candidates (`{self.pool}`): for each user what {of_user[self.pool]}, "
            f"{np.median(sizes):g} items at the median ({sizes.min()} to {sizes.max()}). A list "
            "as long as that holds them all, and only their order counts."
        )
        met = (
            f"{n_met:,} of {offered.nnz:,} candidates had been met in training. They stay: the "
            "question is how a user orders what lies on the table, new or not."
        )
        judged = (
            f"Of {n_with_candidates:,} users with candidates {len(users):,} can be evaluated: "
            f"{_words_of(self.left_out)}."
        )
        return [kind, met, judged]


@dataclass(frozen=True)
class PartedLog:
    """A log parted in two, before anything is asked of it; several questions can share it.

    Parameters
    ----------
    tables : Tables
        The whole log.
    interest_of : callable, Tables -> InterestMatrix
    train_tables : Tables
        The tables to learn from.
    test_events : DataFrame
        The events held back.
    how, cut
        As in `Split`.
    """

    tables: Tables
    interest_of: InterestOf
    train_tables: Tables
    test_events: pd.DataFrame
    how: str
    cut: pd.Timestamp | None

    @cached_property
    def users(self) -> pd.Index:
        """Every user of the whole log."""
        return self.tables.ids("user_id")

    @cached_property
    def items(self) -> pd.Index:
        """Every item of the whole log."""
        return self.tables.ids("item_id")

    @cached_property
    def train(self) -> Training:
        """What models learn from, the same for each question."""
        degrees = self.interest_of(self.train_tables)
        return Training(_aligned(degrees, self.users, self.items), self.train_tables)

    @cached_property
    def train_pairs(self) -> csr_array:
        """1 for each pair of a user and an item in the events to learn from."""
        return _pairs(self.train_tables.events, self.users, self.items)

    @cached_property
    def test_pairs(self) -> csr_array:
        """1 for each pair of a user and an item in the events held back."""
        return _pairs(self.test_events, self.users, self.items)


def part_log(
    tables: Tables,
    interest_of: InterestOf,
    *,
    how: str = "time",
    train_share: float | None = None,
    cut: pd.Timestamp | None = None,
    candidates: str = "all",
) -> PartedLog:
    """Part the tables in two and check them for leakage.

    Parameters
    ----------
    interest_of : callable, Tables -> InterestMatrix
        Weighs the training part, and the test part where ``relevant="interest"``.
    how, train_share, cut
        See `parts.rows_to_train`.
    candidates : {"all", "exposed", "rated", "live"}
        What is to be asked, see `ask`. No model learns from exposures, which may be the largest
        table: the training part holds them only where they are the candidates, for a validation
        slice of it is asked the same.

    Raises
    ------
    TooLittleError
        If a part is empty, or the log names a single item.
    ValueError
        On an unknown way, a missing column, or a leak.
    """
    if len(tables.ids("item_id")) == 1:
        raise TooLittleError("the log names a single item, so every list would be the same")
    parted = tables if candidates == "exposed" else replace(tables, exposures=None)
    train_tables, test_events, cut = split_tables(parted, how, train_share, cut)
    return PartedLog(tables, interest_of, train_tables, test_events, how, cut)


def make_split(
    tables: Tables,
    interest_of: InterestOf,
    *,
    how: str = "time",
    train_share: float | None = None,
    cut: pd.Timestamp | None = None,
    **question: Any,
) -> Split:
    """Part the tables, check them for leakage, and decide what is relevant.

    Parameters
    ----------
    interest_of, how, train_share, cut
        See `part_log`.
    question
        What is ranked and what is relevant: the keywords of `ask`.

    Raises
    ------
    TooLittleError
        If a part is empty, or nobody has anything to find.
    ValueError
        On an unknown choice, a missing column, a leak, or candidates that are all relevant.
    """
    _check_question(**question)
    candidates = question.get("candidates", "all")
    parted = part_log(
        tables, interest_of, how=how, train_share=train_share, cut=cut, candidates=candidates
    )
    return ask(parted, **question)


def ask(
    parted: PartedLog,
    *,
    relevant: str = "any",
    threshold: float = 0.5,
    candidate_kinds: Sequence[str] = (),
    candidates: str = "all",
    cold_users: bool = False,
    cold_items: str = "drop",
) -> Split:
    """Decide what a model must find in the test part of a parted log, and among what.

    Parameters
    ----------
    relevant : {"any", "interest", "purchase"}
        Any test event; test-part interest above ``threshold``; an order after the cut.
    candidate_kinds : sequence of str
        Kinds that may be recommended; where none is named, those with a price, else all.
    candidates : {"all", "exposed", "rated", "live"}
        What is ranked for a user, of these kinds: every item that the user had not met; what
        was shown to the user after the cut; what the user met in the test part; or what was live
        when the user first entered a live session there. In the last three cases items stay that
        were met in training, and users whose candidates leave nothing to order are left out;
        `queries` says why. What is live may be cold, and by default is of the sessions' kinds.
    cold_users : bool
        Keep the relevant pairs of users without a training event.
    cold_items : {"drop", "count", "recommend"}
        Relevant items without a training event: drop the pair; count it although no list
        can hold the item (as Microsoft Recommenders does); or make the item a candidate.

    Raises
    ------
    TooLittleError
        If nobody has anything to find.
    ValueError
        On an unknown choice, a missing column, or candidates that are all relevant.
    """
    _check_question(relevant=relevant, cold_items=cold_items, candidates=candidates)
    tables = parted.tables
    if candidates == "live":
        candidate_kinds = candidate_kinds or kinds_of_sessions(tables)
        cold_items = "recommend"  # a session of the test part began after training
    users = parted.users
    items = parted.items
    train_tables = parted.train_tables
    test_events = parted.test_events
    cut = parted.cut
    train_pairs = parted.train_pairs
    relevant_pairs = parted.test_pairs
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
        test_interest = parted.interest_of(tables.with_events(test_events))
        aligned = _aligned(test_interest, users, items)
        relevant_pairs = (aligned.values > threshold).astype(np.float64)
    allowed = candidate_items(train_tables, items, kinds=candidate_kinds)
    reachable = allowed
    if cold_items != "recommend":
        reachable = allowed & trained_items(train_pairs)
    findable = allowed if cold_items == "count" else reachable
    is_warm_user = np.diff(train_pairs.indptr) > 0
    is_judged = is_warm_user | cold_users
    offered = offered_pairs(candidates, tables, test_events, cut)
    if offered is not None:
        seen = csr_array(seen.shape)  # nothing is withheld of what lay on the table
    seen_pairs = relevant_pairs.multiply(seen)
    unseen = _canonical(relevant_pairs - seen_pairs)
    test = _masked(unseen, users=is_judged, items=findable)
    ranked = reachable
    lacking: Mapping[str, np.ndarray] = {}
    if offered is not None:
        on_the_table = _pairs(offered, users, items)
        test = _canonical(test.multiply(on_the_table))
        ranked = _masked(on_the_table, users=is_judged, items=reachable)
        lacking = without_choice(test, ranked)
    already_seen = relevant_pairs.nnz - unseen.nnz
    unreachable = unseen.nnz - test.nnz
    test = _without_users(test, lacking)
    left_out = _count_users(lacking)
    if test.nnz == 0 and left_out.any():
        raise TooLittleError(
            f"no user's candidates leave anything to order: {_words_of(left_out)}; "
            f"{_remedy_without_choice(left_out, threshold)}"
        )
    if test.nnz == 0:
        remedy = _remedy(train_tables, test_events, candidate_kinds)
        raise TooLittleError(
            f"nobody has anything to find: {already_seen} relevant pairs were seen in training, "
            f"{unreachable} are of cold users or of no candidates; {remedy}"
        )
    return Split(
        train=parted.train,
        test=test,
        candidates=ranked,
        seen=seen,
        test_events=test_events,
        how=parted.how,
        relevant=relevant,
        threshold=threshold,
        candidate_kinds=candidate_kinds,
        pool=candidates,
        cut=cut,
        already_seen=already_seen,
        unreachable=unreachable,
        left_out=left_out,
    )


def _count_users(lacking: Mapping[str, np.ndarray]) -> pd.Series:
    """Count the users that each mask marks."""
    counts = {name: int(mask.sum()) for name, mask in lacking.items()}
    return pd.Series(counts, dtype=int)


def _without_users(test: csr_array, lacking: Mapping[str, np.ndarray]) -> csr_array:
    """Return what there is to find, without the users that a mask marks."""
    if not lacking:
        return test
    has_choice = ~np.logical_or.reduce([*lacking.values()])
    everything = np.ones(test.shape[1], dtype=bool)
    return _masked(test, users=has_choice, items=everything)


def _words_of(left_out: pd.Series) -> str:
    """Say how many users have no choice, and why."""
    n_single = left_out["one_candidate"]
    have = "has" if n_single == 1 else "have"
    return (
        f"{n_single:,} {have} a single candidate, {left_out['none_relevant']:,} none that is "
        f"relevant, {left_out['all_relevant']:,} none that is irrelevant"
    )


def _remedy_without_choice(left_out: pd.Series, threshold: float) -> str:
    """Say what could leave users something to order: another threshold, or more candidates."""
    if left_out["none_relevant"] > left_out["all_relevant"]:
        return f"lower the threshold ({threshold:g}), or use candidates='all'"
    if left_out["all_relevant"]:
        return (
            f"raise the threshold ({threshold:g}), or use weighting='interest', whose degrees "
            "reach from 0 to 1"
        )
    return "use a larger log, another split or candidates='all'"


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


def with_users(split: Split, users: np.ndarray) -> Split:
    """Return the split with these users alone to be evaluated; all are still learned from."""
    is_kept = np.zeros(split.test.shape[0], dtype=bool)
    is_kept[users] = True
    everything = np.ones(split.test.shape[1], dtype=bool)
    return replace(split, test=_masked(split.test, users=is_kept, items=everything))


def draw_items(split: Split, share: float, *, rng: np.random.Generator) -> np.ndarray:
    """Draw a share of the candidates that the test part names: bool (n_items,), at least one."""
    catalogue = split.catalogue
    n_items = len(catalogue)
    n_asking = np.bincount(split.test.indices, minlength=n_items)
    eligible = np.flatnonzero(catalogue & (n_asking > 0))
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
        If no test pair names a hidden item, or nobody has a choice among the hidden items.
    """
    test = _masked(split.test, items=hidden)
    left_out = split.left_out
    if isinstance(split.candidates, np.ndarray):
        candidates = split.candidates & hidden
    else:
        candidates = _masked(split.candidates, items=hidden)
        lacking = without_choice(test, candidates)
        left_out = _count_users(lacking)
        test = _without_users(test, lacking)
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
        candidates=candidates,
        unreachable=split.unreachable + n_dropped,
        left_out=left_out,
    )


def _without_behaviour(tables: Tables, items: pd.Index) -> Tables:
    """Drop the events, orders and exposures of the items; their descriptions stay."""
    visible = {}
    for name, frame in tables.present().items():
        names_items = "item_id" in frame  # orders of subscriptions name none
        if name not in ("items", "users") and names_items:
            is_hidden = frame["item_id"].isin(items)
            visible[name] = take_rows(frame, ~is_hidden)
    return replace(tables, **visible)


def _check_question(**question: Any) -> None:
    """Refuse a choice that `CHOICES` does not name, and what does not go together."""
    for name, choices in CHOICES.items():
        value = question.get(name, choices[0])
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
    check_question(question.get("relevant", "any"), question.get("candidates", "all"))


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
    user = positions_of(frame["user_id"], users, "user_id")
    item = positions_of(frame["item_id"], items, "item_id")
    shape = (len(users), len(items))
    ones = np.ones(len(frame))
    events = coo_array((ones, (user, item)), shape=shape)
    pairs = events.tocsr()
    pairs.data[:] = 1.0
    return pairs


def _aligned(matrix: InterestMatrix, users: pd.Index, items: pd.Index) -> InterestMatrix:
    """Return the same values under the indexes of the full tables."""
    cells = matrix.values.tocoo()
    position_of_user = positions_of(matrix.users, users, "user_id")
    position_of_item = positions_of(matrix.items, items, "item_id")
    user = position_of_user[cells.row]
    item = position_of_item[cells.col]
    shape = (len(users), len(items))
    values = coo_array((cells.data, (user, item)), shape=shape)
    return InterestMatrix(values.tocsr(), users, items)


def _count_cold(test_ids: pd.Series, train_ids: pd.Series) -> int:
    """Count the ids that occur in the test part only."""
    in_test = factorize(test_ids).ids
    in_train = factorize(train_ids).ids
    return len(in_test.difference(in_train))


def _n_events(events: pd.DataFrame) -> int:
    """Count events, or what a compact log has added up."""
    if "n_events" not in events:
        return len(events)
    return int(events["n_events"].sum())
