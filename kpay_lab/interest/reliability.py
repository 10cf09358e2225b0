"""Whether the degrees of interest come out the same again, and what they say beyond counting."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab import formatting
from kpay_lab.data.codes import factorize
from kpay_lab.findings import Finding
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.interest.totals import PairTotals, pair_totals
from kpay_lab.interest.weighting import (
    SIGN_COLUMNS,
    InterestWeights,
    fixed_scales,
    interest_degree,
    interest_signs,
)
from kpay_lab.stats import bootstrap_correlation, correlation

REPEATS = 0.7  # rank correlation from which on interest counts as found again
HARDLY = 0.3  # and below which it does not
FEWEST_PAIRS = 100  # pairs that met twice; below, no correlation is worth an interval
ALIKE = 0.9  # rank correlation from which on two orders count as the same
COMMON = 0.1  # share of the pairs that makes one degree worth explaining


@dataclass(frozen=True)
class Reliability:
    """How far interest measured in one half of the events is found again in the other.

    Parameters
    ----------
    table : DataFrame
        Index: ``interest`` and each sign. ``n_pairs`` that have the sign in both halves, their
        rank ``correlation``, and the ends ``low``, ``high`` of its 95 % interval; NaN where one
        half is constant or fewer than `FEWEST_PAIRS` pairs have it.
    n_twice, n_pairs : int
        Pairs that met more than once, and all pairs.
    """

    table: pd.DataFrame
    n_twice: int
    n_pairs: int

    def findings(self) -> list[Finding]:
        """Return how far a degree of interest can be trusted to come out the same again."""
        share = self.n_twice / self.n_pairs
        degree = self.table.loc["interest"]
        if np.isnan(degree["correlation"]) or np.isnan(degree["low"]):
            once = {"share_once": 1 - share, "n_twice": self.n_twice}
            return [Finding("interest/once", "watch", once)]
        values = {
            "correlation": degree["correlation"],
            "low": degree["low"],
            "high": degree["high"],
            "share": share,
            "n_pairs": int(degree["n_pairs"]),
            "repeats": REPEATS,
            "hardly": HARDLY,
        }
        is_good = degree["correlation"] >= REPEATS
        is_bad = degree["correlation"] < HARDLY
        level = "good" if is_good else "bad" if is_bad else "watch"
        return [Finding("interest/reliability", level, values, place="reliability")]


def split_half_reliability(
    events: pd.DataFrame,
    weights: InterestWeights,
    *,
    rng: np.random.Generator,
    n_resamples: int = 500,
) -> Reliability:
    """Measure interest in each of two halves of the events, and compare.

    The events of a pair are dealt out by turns in an order drawn by chance, so that each pair
    that met twice has events in both halves. Intervals come from drawing whole users again.

    Parameters
    ----------
    events : DataFrame, validated
        One row an event, not a total.
    weights : InterestWeights
        A scale that is None is taken from all events, for both halves alike.
    """
    measured = _measured(events)
    whole = pair_totals(measured)
    scaled = fixed_scales(whole, weights)
    in_first = _deal_out(measured, rng)
    first = _degrees(measured[in_first], scaled, whole)
    other = _degrees(measured[~in_first], scaled, whole)
    both = pd.concat({"first": first, "other": other}, axis=1, join="inner")
    rows = {}
    for name in first:
        known = both.xs(name, axis=1, level=1).dropna()
        users = known.index // len(whole.items)
        rows[name] = _agreement(known, users, rng, n_resamples)
    columns = ["n_pairs", "correlation", "low", "high"]
    table = pd.DataFrame.from_dict(rows, orient="index")[columns].astype({"n_pairs": int})
    table.index.name = "sign"
    return Reliability(table, len(both), len(whole.pairs))


def _measured(events: pd.DataFrame) -> pd.DataFrame:
    """Return what interest is measured by, with ids as categories: each half is a copy of it."""
    columns = ["user_id", "item_id", "duration", *SIGN_COLUMNS]
    measured = events[[name for name in columns if name in events]]
    user = _as_category(measured["user_id"])
    item = _as_category(measured["item_id"])
    return measured.assign(user_id=user, item_id=item)


def _as_category(ids: pd.Series) -> pd.Categorical:
    codes, distinct = factorize(ids)
    return pd.Categorical.from_codes(codes, distinct)


def _deal_out(events: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Say of each event whether it goes to the first half."""
    order = rng.permutation(len(events))
    shuffled = events[["user_id", "item_id"]].iloc[order]
    turn = shuffled.groupby(["user_id", "item_id"], sort=False, observed=True).cumcount()
    in_first = np.empty(len(events), dtype=bool)
    in_first[order] = turn.to_numpy() % 2 == 0
    return in_first


def _degrees(half: pd.DataFrame, weights: InterestWeights, whole: PairTotals) -> pd.DataFrame:
    """Return degree and signs of each pair of a half, by its number.

    The number is that of the user's position times the number of items, plus the item's position.
    """
    totals = pair_totals(half, users=whole.users, items=whole.items)
    signs = interest_signs(totals, weights)
    signs.insert(0, "interest", interest_degree(totals, weights))
    number = totals.pairs["user"] * len(whole.items) + totals.pairs["item"]
    signs.index = pd.Index(number, name="pair")
    return signs


def _agreement(
    known: pd.DataFrame, users: pd.Index, rng: np.random.Generator, n_resamples: int
) -> dict[str, float]:
    """Return the row of `Reliability.table` of two columns, one a half; ``users`` are the rows'."""
    found: dict[str, float] = dict.fromkeys(("correlation", "low", "high"), np.nan)
    found["n_pairs"] = len(known)
    if len(known) < FEWEST_PAIRS:
        return found
    first = known.iloc[:, 0]
    other = known.iloc[:, 1]
    interval = bootstrap_correlation(first, other, users, rng=rng, n_resamples=n_resamples)
    found["correlation"] = interval.estimate
    found["low"] = interval.low
    found["high"] = interval.high
    return found


def matrix_findings(matrix: InterestMatrix) -> list[Finding]:
    """Return how much of the matrix is known, and how many people and items are cold."""
    is_known = matrix.values > 0
    known_of_user = is_known.sum(axis=1)
    known_of_item = is_known.sum(axis=0)
    cold_users = np.sum(known_of_user == 0)
    cold_items = np.sum(known_of_item == 0)
    values = {
        "n_users": len(matrix.users),
        "n_items": len(matrix.items),
        "n_pairs": matrix.values.nnz,
        "density": matrix.density,
        "cold_users": cold_users,
        "cold_items": cold_items,
    }
    return [Finding("interest/known", "plain", values, place="occupancy")]


def counting_findings(counts: InterestMatrix, degrees: InterestMatrix) -> list[Finding]:
    """Return what the number of events says of the pairs, beside their degree of interest.

    Both matrices hold the same pairs.
    """
    n_events = _of_the_same_pairs(counts.values, degrees.values)
    degree = degrees.values.data
    least = n_events.min()
    is_least = n_events == least
    is_same = bool(is_least.all())
    is_degree_same = bool(np.ptp(degree) == 0)
    found = correlation(n_events, degree, ranks=True)
    values = {
        "n_pairs": len(n_events),
        "least": least,
        "share_least": is_least.mean(),
        "is_same": is_same,
        "correlation": None if np.isnan(found) else found,
        "is_degree_same": is_degree_same,
        "alike": ALIKE,
    }
    place = "" if is_same and is_degree_same else "degrees"
    return [Finding("interest/counting", "plain", values, place=place)]


def _of_the_same_pairs(counts: csr_array, degrees: csr_array) -> np.ndarray:
    if not np.array_equal(counts.indices, degrees.indices):
        raise ValueError("counts and degrees must hold the same pairs; make both of one log")
    return counts.data


def commonest_degree(totals: PairTotals, weights: InterestWeights) -> list[Finding]:
    """Return the degree that the most pairs share, and the signs that make it, where it is common.

    In a picture of the degrees it is a jump.
    """
    degree = interest_degree(totals, weights).round(6)
    shares = pd.Series(degree).value_counts(normalize=True)
    commonest = shares.index[0]
    share = shares.iloc[0]
    if share < COMMON or len(shares) == 1:
        return []
    signs = interest_signs(totals, weights)[degree == commonest]
    made_of = []
    for name in signs.columns[signs.notna().any()]:
        if getattr(weights, name) > 0:
            made_of.append(f"{name} {_usual(signs[name])}")
    values = {"degree": commonest, "share": share, "signs": tuple(made_of)}
    return [Finding("interest/commonest", "plain", values, place="degrees")]


def _usual(sign: pd.Series) -> str:
    """Write the value that most of some pairs have of a sign."""
    value = sign.round(6).value_counts(dropna=False).index[0]
    return "unknown" if np.isnan(value) else formatting.score(value)


def stay_findings(transitions: csr_array, groups: pd.Series, what: str) -> list[Finding]:
    """Return how many next steps stay in the group of items, beside what chance would give.

    By chance the next step would not depend on the group that was left.

    Parameters
    ----------
    transitions : csr_array of shape (n_items, n_items)
        `sequences.Sequences.transitions`.
    groups : Series of length n_items
        Missing groups are left out.
    what : str
        What the groups are, such as ``category``.
    """
    codes, names = pd.factorize(groups)
    one_hot = np.eye(len(names) + 1)[codes][:, :-1]
    steps = one_hot.T @ (transitions @ one_hot)
    n_steps = steps.sum()
    if not n_steps or len(names) < 2:
        return []
    left = steps.sum(axis=1) / n_steps
    taken = steps.sum(axis=0) / n_steps
    values = {
        "stays": float(np.trace(steps) / n_steps),
        "by_chance": float(left @ taken),
        "n_steps": int(n_steps),
        "what": what,
    }
    return [Finding("interest/stay", "plain", values, place="transitions")]
