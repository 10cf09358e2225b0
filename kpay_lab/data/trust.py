"""How far a log can be trusted: who is in it, whether it repeats itself, and its times."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from kpay_lab.data.codes import coded, factorize, find_positions, take_rows
from kpay_lab.data.derived import are_whole_days
from kpay_lab.data.describe import events_of_users
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding
from kpay_lab.stats import correlation, ratio

LEVEL = 0.05  # of the test whether groups differ
FEW = 10  # events; a person with fewer tells a recommender little
CHOSEN = 5  # events; where everybody has at least so many, others were left out
AGREE = 0.7  # rank correlation from which on two halves say the same
HARDLY = 0.3  # and below which they say nearly nothing alike
MOVES = 0.1  # how much less two halves of the time agree where popularity moves
BURST = 0.05  # share of events at one moment from which on the order in time is in doubt


@dataclass(frozen=True)
class Activity:
    """How active the people of a log are.

    Parameters
    ----------
    n_users, n_events : int
        People with an event, and events.
    median : float
        Events of a person.
    fewest : int
        Events of the least active person.
    share_few : float
        Share of the people with fewer than `FEW` events.
    """

    n_users: int
    n_events: int
    median: float
    fewest: int
    share_few: float

    def findings(self) -> list[Finding]:
        """Return how active people are, and whether those who do little were left out."""
        values = {
            "n_users": self.n_users,
            "median": self.median,
            "few": FEW,
            "share_few": self.share_few,
        }
        level = "watch" if self.share_few > 0.5 else "plain"
        found = [Finding("log/activity", level, values, place="long_tail")]
        if self.fewest >= CHOSEN:
            chosen = {"fewest": self.fewest}
            found.append(Finding("log/chosen", "watch", chosen, place="long_tail"))
        return found


def activity(events: pd.DataFrame) -> Activity:
    """Count the events of each person.

    >>> activity(pd.DataFrame({"user_id": list("aaab")}))
    Activity(n_users=2, n_events=4, median=2.0, fewest=1, share_few=1.0)
    """
    per_user = events["user_id"].value_counts()
    median = float(per_user.median())
    share_few = float((per_user < FEW).mean())
    return Activity(len(per_user), len(events), median, int(per_user.min()), share_few)


@dataclass(frozen=True)
class Halves:
    """Whether halves of the people find the same items popular.

    Parameters
    ----------
    correlation : float
        Rank correlation of the items' events between every second user and the others; NaN
        where a half has no user, or finds all items equally popular.
    low, high : float
        The smallest and the largest over this and ``n_halvings`` other ways to halve the people.
    n_halvings : int
    n_items : int
        Items with an event.
    events_per_item : float
        At the median.
    """

    correlation: float
    low: float
    high: float
    n_halvings: int
    n_items: int
    events_per_item: float

    def findings(self) -> list[Finding]:
        """Return how far the popularity of items can be trusted, if it is defined."""
        if np.isnan(self.correlation):
            return []
        values = {
            "correlation": self.correlation,
            "low": self.low,
            "high": self.high,
            "n_ways": 1 + self.n_halvings,
            "n_items": self.n_items,
            "events_per_item": self.events_per_item,
            "agree": AGREE,
            "hardly": HARDLY,
        }
        agrees = self.correlation >= AGREE
        differs = self.correlation < HARDLY
        level = "watch"
        if agrees:
            level = "good"
        elif differs:
            level = "bad"
        return [Finding("log/halves", level, values)]


def compare_halves(
    events: pd.DataFrame, users: pd.Index, *, rng: np.random.Generator, n_halvings: int = 20
) -> Halves:
    """Compare the items' popularity between halves of the people.

    Parameters
    ----------
    events : DataFrame
    users : Index
        In the order by which every second one goes to the first half.
    n_halvings : int
        Further halvings, by chance.
    """
    user = find_positions(events["user_id"], users)
    item, items = factorize(events["item_id"])
    ones = np.ones(len(events))
    shape = (len(users), len(items))
    counts = coo_array((ones, (user, item)), shape=shape).tocsr()
    of_item = counts.sum(axis=0)
    is_even = np.arange(len(users)) % 2 == 0
    found = _agreement(counts, of_item, is_even)
    agreements = [found]
    for _ in range(n_halvings):
        is_first = rng.permuted(is_even)
        agreements.append(_agreement(counts, of_item, is_first))
    known = [value for value in agreements if not np.isnan(value)]
    low = min(known, default=np.nan)
    high = max(known, default=np.nan)
    events_per_item = float(np.median(of_item))
    return Halves(found, low, high, n_halvings, len(items), events_per_item)


def _agreement(counts: csr_array, of_item: np.ndarray, is_first: np.ndarray) -> float:
    """Rank correlation of the items' events in the first half of the people and in the other."""
    first = is_first.astype(np.float64) @ counts
    other = of_item - first
    return correlation(first, other, ranks=True)


def agreement_in_time(events: pd.DataFrame) -> float:
    """Rank correlation of the items' popularity between the earlier and the later half of events.

    Only items met in either half count. NaN without times, or where a half finds all items
    equally popular.

    >>> days = pd.to_datetime(["2026-01-01"] * 3 + ["2026-01-02"] * 3, utc=True)
    >>> round(agreement_in_time(pd.DataFrame({"item_id": list("aababb"), "timestamp": days})), 6)
    -1.0
    """
    if "timestamp" not in events:
        return float("nan")
    timed = events[["item_id", "timestamp"]].dropna(subset="timestamp")
    if timed.empty:
        return float("nan")
    is_late = timed["timestamp"] >= timed["timestamp"].median()
    late = timed.loc[is_late, "item_id"].value_counts()
    early = timed.loc[~is_late, "item_id"].value_counts()
    items = early.index.union(late.index)
    early = early.reindex(items, fill_value=0)
    late = late.reindex(items, fill_value=0)
    return correlation(early, late, ranks=True)


def time_findings(events: pd.DataFrame, halves: Halves) -> list[Finding]:
    """Return what the times of a log leave in doubt.

    They may be lacking, or days without an hour, or the same for many events of a person; and the
    popularity of items may move more between the halves of the time than between those of the
    people.
    """
    if "timestamp" not in events or events["timestamp"].isna().all():
        return [Finding("log/no_times", "watch", {})]
    found = []
    if are_whole_days(events["timestamp"]):
        found.append(Finding("log/whole_days", "watch", {}))
    else:
        share = _share_at_one_moment(events)
        if share > BURST:
            found.append(Finding("log/one_moment", "watch", {"share": share}))
    in_time = agreement_in_time(events)
    if not np.isnan(in_time) and not np.isnan(halves.correlation):
        moves = in_time < halves.correlation - MOVES
        values = {"correlation": in_time, "of_people": halves.correlation, "moves": moves}
        level = "watch" if moves else "good"
        found.append(Finding("log/in_time", level, values))
    return found


def _share_at_one_moment(events: pd.DataFrame) -> float:
    """Share of the events whose user has another event at the very same moment."""
    visits = events[["user_id", "timestamp"]]
    timed = take_rows(visits, visits["timestamp"].notna())
    return float(coded(timed).duplicated(keep=False).mean())


@dataclass(frozen=True)
class Taste:
    """How far groups of people differ in what they watch.

    Parameters
    ----------
    by, what : str
        The columns that group people and items.
    distance : float
        Share of the events that would have to go to another group of items for every group of
        people to watch alike, 0 to 1.
    by_chance : float
        The same, on average, where people are put into groups of these sizes by chance.
    p : float
        Of the permutation test; with ``n_permutations`` it is never below 1 / (1 + n).
    n_permutations : int
    """

    by: str
    what: str
    distance: float
    by_chance: float
    p: float
    n_permutations: int

    def findings(self) -> list[Finding]:
        """Return whether the groups differ by more than chance makes them differ."""
        floor = 1 / (1 + self.n_permutations)
        values = {
            "by": self.by,
            "what": self.what,
            "distance": self.distance,
            "by_chance": self.by_chance,
            "p": self.p,
            "p_is_floor": self.p <= floor,
            "level": LEVEL,
        }
        return [Finding("log/taste", "plain", values, place="who_watches_what")]


def taste_of_groups(
    tables: Tables,
    by: str,
    what: str,
    *,
    rng: np.random.Generator,
    n_permutations: int = 500,
) -> Taste | None:
    """Measure how far groups of people differ in the groups of items they watch.

    Each group's shares are set against those of all people: half the sum of their absolute
    differences, weighted by the group's events. The test puts whole people into other groups, for
    one person's events are not independent.

    Returns
    -------
    Taste or None
        None where there are not two groups of people and two of items.
    """
    table = events_of_users(tables, by, what)
    table = table.loc[:, table.any()]
    codes, names = pd.factorize(table.index.get_level_values(by).astype("str"))
    counts = table.to_numpy(np.float64)
    if len(names) < 2 or counts.shape[1] < 2:
        return None
    found = _distance(counts, codes)
    by_chance = []
    for _ in range(n_permutations):
        shuffled = rng.permutation(codes)
        by_chance.append(_distance(counts, shuffled))
    slack = 1e-12  # so that a shuffle that merely re-orders the sum counts as equal
    n_extreme = int((np.array(by_chance) >= found - slack).sum())
    p = (1 + n_extreme) / (1 + n_permutations)
    return Taste(by, what, found, float(np.mean(by_chance)), p, n_permutations)


def _distance(counts: np.ndarray, codes: np.ndarray) -> float:
    """Return the distance of `Taste` from the counts (n_users, n_groups) of each person."""
    membership = np.eye(codes.max() + 1)[codes]
    of_groups = membership.T @ counts
    size = of_groups.sum(axis=1, keepdims=True)
    shares = ratio(of_groups, size)
    of_all = of_groups.sum(axis=0) / of_groups.sum()
    apart = np.abs(shares - of_all).sum(axis=1) / 2
    return float((apart * size[:, 0]).sum() / size.sum())
