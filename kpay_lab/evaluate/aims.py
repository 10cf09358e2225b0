"""What one aim costs another: lists reordered for more revenue or for more variety."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from kpay_lab.evaluate.compare import (
    SIGNIFICANT,
    paired_differences,
    tested_values,
    wide_by_model,
)
from kpay_lab.findings import Finding


def price_findings(
    values: pd.DataFrame,
    model: str,
    weights: Mapping[str, float],
    *,
    k: int,
    currency: str,
    rng: np.random.Generator,
) -> list[Finding]:
    """Return whether expensive items first raise or lower the revenue of a model's lists.

    Each reordering is tested against the model's own lists, and p-values are Holm-adjusted. It
    speaks of the largest rise that is shown, else of the largest fall that is shown, else of the
    largest change.

    Parameters
    ----------
    values : DataFrame
        ``model, metric, k, user_id, value``, as in `Comparison`, of the model and the reordered
        lists.
    weights : mapping of name to float
        The price weight of each reordering.
    """
    if not weights:
        return []
    is_named = values["model"].isin([model, *weights])
    at_k = values[is_named & (values["k"] == k)]
    of_metric = dict(list(at_k.groupby("metric")))
    earned = wide_by_model(of_metric["revenue"])
    pairs = [(name, model) for name in weights]
    tested = paired_differences(earned, pairs, rng)
    row = _most_telling(tested)
    said = tested_values(row, n_tests=len(tested))
    said |= {"currency": currency, "k": k}
    said["weight"] = weights[row.model]
    ndcg = wide_by_model(of_metric["ndcg"]).mean()
    said["ndcg"] = ndcg[row.model] - ndcg[model]
    is_raised = said["is_shown"] and row.difference > 0
    level = "good" if is_raised else "watch"
    return [Finding("trade/price", level, said, place="trade_off")]


def _most_telling(tested: pd.DataFrame) -> pd.Series:
    """Return the largest rise that is shown, else the largest fall, else the largest change."""
    shown = tested[tested["p_holm"] < SIGNIFICANT]
    rises = shown[shown["difference"] > 0]
    among = tested
    for fewer in (shown, rises):
        among = fewer if len(fewer) else among
    size = among["difference"].abs()
    return among.loc[size.idxmax()]


def undominated(points: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Return the rows that no other beats: as large in both columns and larger in one.

    >>> points = pd.DataFrame({"ndcg": [3, 2, 2, 1], "revenue": [1, 2, 1, 2]}, list("abcd"))
    >>> undominated(points, "ndcg", "revenue").index.tolist()
    ['a', 'b']
    """
    best_first = points.sort_values([x, y], ascending=False, kind="stable")
    largest_before = best_first[y].astype(float).cummax().shift(fill_value=-np.inf)
    return best_first[best_first[y] > largest_before]


def frontier_findings(
    frontier: pd.DataFrame, measure: str, *, n_lists: int, k: int
) -> list[Finding]:
    """Return which lists no other beats in both measures.

    Parameters
    ----------
    frontier : DataFrame
        As from `undominated`, with the column ``name``.
    measure : {"revenue", "diversity"}
        What is measured beside NDCG.
    """
    if n_lists < 2 or frontier.empty:
        return []
    values = {
        "lists": frontier["name"].tolist(),
        "n_best": len(frontier),
        "n_lists": n_lists,
        "measure": measure,
        "k": k,
    }
    return [Finding("trade/frontier", "plain", values, place="trade_off")]
