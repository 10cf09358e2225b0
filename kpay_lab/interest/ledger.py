"""The ledger: every printed number of document A's case beside what its formula gives.

A row's verdict is one of

- ``reproduced``: the formula with the printed inputs gives the printed value, to its digits;
- ``reproduced_if``: a value the document leaves open makes it so, and nothing printed
  contradicts it;
- ``cannot_be``: only inputs that contradict a printed value, or lie outside [0, 1], would do;
- ``input``: the value is put in, so no formula gives it;
- ``not_given``: the document prints no value.

A printed result that can be read in several ways has a row a reading; `printed_results` counts it
once.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kpay_lab.findings import Finding
from kpay_lab.interest.formulas import (
    own_share,
    published_comment,
    published_interest,
    published_relevance,
    published_score,
)
from kpay_lab.interest.published import WORKED_CASE, WorkedCase

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTCOMES = {  # what becomes of a printed result by the best verdict of its readings, best first
    "reproduced": "follow",
    "reproduced_if": "follow for a range",
    "cannot_be": "do not follow",
    "input": "are inputs",
}
VERDICTS = (*OUTCOMES, "not_given")
COLUMNS = ["key", "computed", "printed", "difference", "verdict", "needs"]
Row = tuple[str, float, float | bool | None, float | None, str, str]  # in the order of COLUMNS


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
    rows = []
    mean_of_user = case.interest.mean(axis=1)
    for user, mean in zip(case.users, mean_of_user, strict=True):
        rows.append(_input(f"mu/{user}", mean, case.mean_interest))
    for part in (_interest, _predicted, _relevance, _score, _comment):
        rows += part(case)
    return pd.DataFrame(rows, columns=COLUMNS)


def verdict_counts(ledger: pd.DataFrame) -> pd.Series:
    """Count the ledger's lines by verdict, verdicts without a line included."""
    counts = ledger["verdict"].value_counts()
    return counts.reindex(list(VERDICTS), fill_value=0)


def printed_results(ledger: pd.DataFrame) -> pd.DataFrame:
    """Return what becomes of each printed result, however many ways there are to read it.

    Returns
    -------
    DataFrame, index result
        ``outcome``, a value of `OUTCOMES` (the best that a reading gives), and ``closest``, the
        smallest absolute difference of a reading; NaN where a label and no number is printed.

    Examples
    --------
    >>> results = printed_results(worked_ledger())
    >>> results.loc["P/u_1/v_1", "outcome"]
    'do not follow'
    """
    printed = ledger[ledger["printed"].notna()]
    without_reading = printed["key"].str.replace(r"\[.*\]", "", regex=True)
    result = without_reading.str.replace(r"^mu/.*", "mu", regex=True)  # one value for all users
    place = list(OUTCOMES).index
    best = printed["verdict"].map(place).groupby(result, sort=False).min()
    outcome = best.map(dict(enumerate(OUTCOMES.values())))
    closest = printed["difference"].abs().groupby(result, sort=False).min()
    return pd.DataFrame({"outcome": outcome, "closest": closest}).rename_axis("result")


def outcome_counts(results: pd.DataFrame) -> pd.Series:
    """Count `printed_results` by outcome, outcomes without a result included."""
    counts = results["outcome"].value_counts()
    return counts.reindex(list(OUTCOMES.values()), fill_value=0)


def ledger_findings(results: pd.DataFrame) -> list[Finding]:
    """Return how many of the `printed_results` follow from the document's formulas, and which."""
    counts = outcome_counts(results)
    values = {"n_results": len(results)}
    values |= {f"n_{verdict}": counts[outcome] for verdict, outcome in OUTCOMES.items()}
    level = "watch" if counts[OUTCOMES["cannot_be"]] else "good"
    low, high = comment_thresholds()
    formulas = {"low": low, "high": high, **_formulas(results)}
    return [
        Finding("ledger/outcomes", level, values, place="outcomes"),
        Finding("ledger/formulas", "plain", formulas, place="ledger"),
    ]


def _formulas(results: pd.DataFrame) -> dict[str, Any]:
    """Return the symbols whose results do not follow, and those whose results do for a range."""
    symbol = results.index.str.partition("/").get_level_values(0)
    outcomes_of = results["outcome"].groupby(symbol, sort=False).agg(set)
    lost = outcomes_of.index[outcomes_of == {OUTCOMES["cannot_be"]}]
    kept = outcomes_of.index[outcomes_of == {OUTCOMES["reproduced_if"]}]
    return {"lost": list(lost), "n_lost": len(lost), "kept": list(kept), "n_kept": len(kept)}


def plot_what_if(
    mu: float,
    w1: float,
    w2: float,
    w3: float,
    threshold: float,
    translations: Mapping[str, str] | None = None,
) -> "Figure":
    """Draw P, S and C of the worked case for values of one's own, beside what is printed.

    P reads I as the identity; S puts P in the place of R, as the table does, and takes B as the
    share of the user's own watch time; C = A B is held against the printed label. A panel's
    title counts the cells that come out, within half a unit of the second decimal.
    ``translations`` are those of `plots.relabel`.
    """
    import matplotlib.pyplot as plt  # here, for matplotlib is slow to import

    from kpay_lab import plots

    case = WORKED_CASE
    P = published_interest(case.interest, mu)
    share = own_share(case.watch_time)
    S = published_score(case.predicted, case.interest, share, (w1, w2, w3))
    products = published_comment(case.interest, case.watch_time).ravel()
    cells = [f"{user} {item}" for user in case.users for item in case.items]
    fig, (interest, score, comment) = plots.new_figure(1, 3, height=2.6, sharey=True)
    tables = {"P": (P, case.predicted, interest), "S": (S, case.ratings, score)}
    for symbol, (computed, printed, ax) in tables.items():
        hits = (np.abs(computed - printed) < 0.005).sum()
        plots.plot_pairs(cells, printed.ravel(), computed.ravel(), ax=ax, xlim=(-0.05, 1.55))
        ax.set_title(f"{symbol}: {hits} / {len(cells)}")
    right = (products > threshold) == case.commented.ravel()
    colours = np.where(right, plots.GREEN, plots.RED)
    plots.plot_bars(pd.Series(products, cells), ax=comment, colours=colours, xlim=(0, 30))
    comment.axvline(threshold, **plots.TRUTH)
    comment.set_title(f"C: {right.sum()} / {len(cells)}")
    plots.add_legend(fig)
    plt.close(fig)  # else a slider's output would draw it a second time
    return plots.relabel(fig, translations or {})


def comment_thresholds(case: WorkedCase = WORKED_CASE) -> tuple[float, float]:
    """Return the half-open range [low, high) of t for which C > t gives every printed label.

    >>> comment_thresholds()
    (20.0, 25.0)
    """
    values = published_comment(case.interest, case.watch_time)
    low = values[~case.commented].max()
    high = values[case.commented].min()
    return float(low), float(high)


def _interest(case: WorkedCase) -> list[Row]:
    """A itself: printed without values; the share of own watch time is one way to make it."""
    needs = "the document to say how A is made; shown: the share of the user's own watch time"
    shares = own_share(case.watch_time).ravel()
    keys = _keys("A", case)
    rows: list[Row] = []
    for key, share in zip(keys, shares, strict=True):
        rows.append((key, _clean(share), None, None, "not_given", needs))
    return rows


def _predicted(case: WorkedCase) -> list[Row]:
    """P = A + μ I, with I as the identity matrix and as all ones."""
    rows = []
    readings = {"P": "eye", "P[ones]": "ones"}
    for symbol, identity in readings.items():
        computed = published_interest(case.interest, case.mean_interest, identity)
        added_by_formula = computed - case.interest
        needed = case.predicted - added_by_formula
        needs = map(_needed_interest, needed.flat, case.interest.flat)
        rows += _table(_keys(symbol, case), computed, case.predicted, needs)
    return rows


def _needed_interest(needed: float, printed: float) -> str:
    """Say which A would give the printed P, beside the A that is printed."""
    words = f"A = {needed:.2g}, but the rating table prints {printed:.2g}"
    if needed < 0:
        return f"{words}, and a degree of interest is not negative"
    return words


def _relevance(case: WorkedCase) -> list[Row]:
    """R = C · D, with the indices by meaning and as they are printed."""
    rows = []
    readings = {"R": "meaning", "R[indices]": "indices"}
    for symbol, reading in readings.items():
        computed = published_relevance(case.item_features, case.user_features, reading)
        ratios = (case.content_scores / computed).flat
        words = "this product to be {:.3g} times as large; C and D are both printed"
        needs = map(words.format, ratios)
        rows += _table(_keys(symbol, case), computed, case.content_scores, needs)
    return rows


def _score(case: WorkedCase) -> list[Row]:
    """S = w1 R + w2 A + w3 B: as the table does it, with R by formula, with B as a share."""
    weight_of_R, weight_of_A, weight_of_B = case.weights
    relevance = published_relevance(case.item_features, case.user_features)
    share = own_share(case.watch_time)
    readings = {
        "S": (case.predicted, case.watch_time),
        "S[formula]": (relevance, case.watch_time),
        "S[share]": (case.predicted, share),
    }
    rows = []
    for symbol, (R, B) in readings.items():
        computed = published_score(R, case.interest, B, case.weights)
        left_for_B = case.ratings - weight_of_R * R - weight_of_A * case.interest
        needed = left_for_B / weight_of_B
        needs = map("B = {:.3g}, where it is {:.3g}".format, needed.flat, B.flat)
        rows += _table(_keys(symbol, case), computed, case.ratings, needs)
    return rows


def _comment(case: WorkedCase) -> list[Row]:
    """C = A B beside the printed label; a number and a label have no difference."""
    low, high = comment_thresholds(case)
    verdict = "reproduced_if" if low < high else "cannot_be"
    needs = f"“has commented” to mean C > t with t from {low:g} up to, not including, {high:g}"
    keys = _keys("C", case)
    computed = published_comment(case.interest, case.watch_time)
    rows: list[Row] = []
    for key, value, has_commented in zip(keys, computed.flat, case.commented.flat, strict=True):
        rows.append((key, _clean(value), bool(has_commented), None, verdict, needs))
    return rows


def _keys(symbol: str, case: WorkedCase) -> list[str]:
    """Return the keys of a symbol's cells, row by row."""
    return [f"{symbol}/{user}/{item}" for user in case.users for item in case.items]


def _table(
    keys: list[str], computed: np.ndarray, printed: np.ndarray, needs: Iterable[str]
) -> list[Row]:
    """Return the rows of a whole printed table; keys and needs go row by row through its cells."""
    return list(map(_row, keys, computed.flat, printed.flat, needs))


def _row(key: str, computed: float, printed: float, needs: str) -> Row:
    """A number printed to two digits is reproduced within half a unit of the second."""
    difference = _clean(computed - printed)
    if abs(difference) < 0.005:
        return key, _clean(computed), float(printed), difference, "reproduced", ""
    return key, _clean(computed), float(printed), difference, "cannot_be", needs


def _input(key: str, computed: float, printed: float) -> Row:
    """Return the row of a value that the formulas are given."""
    words = "nothing: the document puts it in"
    return key, _clean(computed), float(printed), _clean(computed - printed), "input", words


def _clean(value: float) -> float:
    """Drop the binary dust of sums such as 0.1 + 0.2: the inputs have at most two decimals."""
    return float(np.round(value, 12))
