"""The ledger: every printed number of document A's case beside what its formula gives.

A row's verdict is one of

- ``reproduced``: the formula with the printed inputs gives the printed value, to its digits;
- ``reproduced_if``: a value the document leaves open makes it so, and nothing printed
  contradicts it;
- ``cannot_be``: only inputs that contradict a printed value, or lie outside [0, 1], would do;
- ``not_given``: the document prints no value.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.interest.formulas import (
    own_share,
    published_comment,
    published_interest,
    published_relevance,
    published_score,
)
from kpay_lab.interest.published import WORKED_CASE, WorkedCase

VERDICTS = ("reproduced", "reproduced_if", "cannot_be", "not_given")


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    ``needs`` says in words what would have to hold for the printed value to come out.
    """

    key: str
    computed: float
    printed: float | bool | None
    difference: float | None
    verdict: str
    needs: str


def worked_ledger(case: WorkedCase = WORKED_CASE) -> pd.DataFrame:
    """Recompute every printed table of document A, section 4.3.

    Keys are ``SYMBOL/user/item`` for the canonical reading and ``SYMBOL[reading]/user/item``
    for another. Canonical: R by meaning; P with the rating table's A = 0.5 and the identity
    matrix; S with the inputs of its own table (P in the place of R, raw seconds for B);
    C = A B.

    Returns
    -------
    DataFrame
        Columns key, computed, printed, difference, verdict, needs.

    Examples
    --------
    >>> ledger = worked_ledger().set_index("key")
    >>> ledger.loc["R/u_1/v_1", ["computed", "printed", "verdict"]]
    computed         0.32
    printed          0.52
    verdict     cannot_be
    Name: R/u_1/v_1, dtype: object
    """
    entries = [
        *_mean_entries(case),
        *_interest_entries(case),
        *_predicted_entries(case),
        *_relevance_entries(case),
        *_score_entries(case),
        *_comment_entries(case),
    ]
    return pd.DataFrame([vars(entry) for entry in entries])


def verdict_counts(ledger: pd.DataFrame) -> pd.Series:
    """Count the ledger's lines by verdict, verdicts without a line included."""
    return ledger["verdict"].value_counts().reindex(list(VERDICTS), fill_value=0)


def comment_thresholds(case: WorkedCase = WORKED_CASE) -> tuple[float, float]:
    """Return the half-open range [low, high) of t for which C > t gives every printed label.

    Examples
    --------
    >>> comment_thresholds()
    (20.0, 25.0)
    """
    values = published_comment(case.interest, case.watch_time)
    return float(values[~case.commented].max()), float(values[case.commented].min())


def _mean_entries(case: WorkedCase) -> list[Entry]:
    means = case.interest.mean(axis=1)
    return [
        _entry(f"mu/{user}", mean, case.mean_interest, "")
        for user, mean in zip(case.users, means, strict=True)
    ]


def _interest_entries(case: WorkedCase) -> list[Entry]:
    """A itself: printed without values; the share of own watch time is one way to make it."""
    made = own_share(case.watch_time)
    needs = "the document to say how A is made; shown: the share of the user's own watch time"
    return [
        Entry(_key("A", case, i, j), _clean(made[i, j]), None, None, "not_given", needs)
        for i, j in _cells(case)
    ]


def _predicted_entries(case: WorkedCase) -> list[Entry]:
    entries = []
    for symbol, identity in (("P", "eye"), ("P[ones]", "ones")):
        computed = published_interest(case.interest, case.mean_interest, identity)
        added = computed - case.interest
        for i, j in _cells(case):
            needed = case.predicted[i, j] - added[i, j]
            needs = f"A = {needed:.2g}, but the rating table prints {case.interest[i, j]:.2g}"
            if needed < 0:
                needs += ", and a degree of interest is not negative"
            entries.append(
                _entry(_key(symbol, case, i, j), computed[i, j], case.predicted[i, j], needs)
            )
    return entries


def _relevance_entries(case: WorkedCase) -> list[Entry]:
    entries = []
    for symbol, reading in (("R", "meaning"), ("R[indices]", "indices")):
        computed = published_relevance(case.item_features, case.user_features, reading)
        for i, j in _cells(case):
            ratio = case.content_scores[i, j] / computed[i, j]
            needs = f"this product to be {ratio:.3g} times as large; C and D are both printed"
            entries.append(
                _entry(_key(symbol, case, i, j), computed[i, j], case.content_scores[i, j], needs)
            )
    return entries


def _score_entries(case: WorkedCase) -> list[Entry]:
    first, second, third = case.weights
    by_meaning = published_relevance(case.item_features, case.user_features)
    readings = (
        ("S", case.predicted, case.watch_time),
        ("S[formula]", by_meaning, case.watch_time),
        ("S[share]", case.predicted, own_share(case.watch_time)),
    )
    entries = []
    for symbol, R, B in readings:
        computed = published_score(R, case.interest, B, case.weights)
        needed = (case.ratings - first * R - second * case.interest) / third
        for i, j in _cells(case):
            needs = f"B = {needed[i, j]:.3g}, where it is {B[i, j]:.3g}"
            entries.append(
                _entry(_key(symbol, case, i, j), computed[i, j], case.ratings[i, j], needs)
            )
    return entries


def _comment_entries(case: WorkedCase) -> list[Entry]:
    computed = published_comment(case.interest, case.watch_time)
    low, high = comment_thresholds(case)
    possible = low < high
    needs = f"“has commented” to mean C > t with t from {low:g} up to, not including, {high:g}"
    return [
        Entry(
            key=_key("C", case, i, j),
            computed=_clean(computed[i, j]),
            printed=bool(case.commented[i, j]),
            difference=None,
            verdict="reproduced_if" if possible else "cannot_be",
            needs=needs,
        )
        for i, j in _cells(case)
    ]


def _cells(case: WorkedCase) -> list[tuple[int, int]]:
    return [(i, j) for i in range(len(case.users)) for j in range(len(case.items))]


def _key(symbol: str, case: WorkedCase, i: int, j: int) -> str:
    return f"{symbol}/{case.users[i]}/{case.items[j]}"


def _entry(key: str, computed: float, printed: float, needs: str) -> Entry:
    """A number printed to two digits is reproduced within half a unit of the second."""
    difference = _clean(computed - printed)
    if abs(difference) < 0.005:
        return Entry(key, _clean(computed), printed, difference, "reproduced", "")
    return Entry(key, _clean(computed), printed, difference, "cannot_be", needs)


def _clean(value: float) -> float:
    """Drop the binary dust of sums such as 0.1 + 0.2: the inputs have at most two decimals."""
    return float(np.round(value, 12))
