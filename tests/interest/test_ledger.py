import json

import numpy as np
import pytest

from kpay_lab.findings import sentence
from kpay_lab.interest.ledger import (
    comment_thresholds,
    ledger_findings,
    outcome_counts,
    printed_results,
    verdict_counts,
    worked_ledger,
)
from kpay_lab.interest.published import SELLER_FLOW, VIEWER_FLOW, WORKED_CASE

LEDGER = worked_ledger().set_index("key")


def test_the_tables_are_the_printed_ones(real_data):
    path = real_data("ml-100k").parents[1] / "documents" / "worked_tables.json"
    printed = json.loads(path.read_text(encoding="utf-8"))
    case = WORKED_CASE
    pairs = [
        (case.predicted, printed["predicted_interest_P"]),
        (case.item_features, printed["item_features_C"]),
        (case.user_features, printed["user_features_D"]),
        (case.content_scores, printed["content_scores_R"]),
        (case.weights, printed["rating_weights"]),
        (case.ratings, printed["ratings_S"]),
        (case.interest, printed["rating_inputs"]["interest"]),
        (case.watch_time, printed["rating_inputs"]["watch_time"]),
        (case.watch_time.ravel(), [event["watch_time"] for event in printed["events"]]),
        (case.likes.ravel(), [event["like_count"] for event in printed["events"]]),
        (case.commented, np.array(printed["comments"]) == "有"),
        (case.mean_interest, printed["mean_interest_mu"]),
    ]
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("R", [0.32, 0.62, 0.20, 0.38]),
        ("R[indices]", [0.32, 0.20, 0.62, 0.38]),
        ("P", [0.5 + 0.5, 0.5, 0.5, 0.5 + 0.5]),
        ("P[ones]", [1.0] * 4),
        ("S", [6.55, 4.30, 10.55, 8.30]),
        ("C", [0.5 * 30, 0.5 * 20, 0.5 * 50, 0.5 * 40]),
    ],
)
def test_computed_values(symbol, expected):
    keys = [f"{symbol}/{user}/{item}" for user in ("u_1", "u_2") for item in ("v_1", "v_2")]
    assert LEDGER.loc[keys, "computed"].tolist() == pytest.approx(expected, abs=1e-12)


def test_what_would_have_to_hold():
    assert "A = 0.3" in LEDGER.loc["P/u_1/v_1", "needs"]
    assert "not negative" in LEDGER.loc["P/u_2/v_2", "needs"]
    assert LEDGER.loc["S/u_2/v_1", "needs"].startswith("B = 1.25")
    assert comment_thresholds() == (20, 25)


def test_every_line_has_one_verdict():
    counts = verdict_counts(worked_ledger())
    assert counts.sum() == len(LEDGER)
    assert counts["not_given"] == 4  # the interest matrix, printed without a value
    assert counts["reproduced_if"] == 4  # the comments
    assert counts["reproduced"] == 0
    assert LEDGER.loc[LEDGER["verdict"] == "input"].index.tolist() == ["mu/u_1", "mu/u_2"]


def test_a_printed_result_counts_once_whatever_its_readings(real_data):
    """The document prints four cells each of P, R, S and C, and one mean."""
    path = real_data("ml-100k").parents[1] / "documents" / "worked_tables.json"
    printed = json.loads(path.read_text(encoding="utf-8"))
    tables = ("predicted_interest_P", "content_scores_R", "ratings_S", "comments")
    n_cells = sum(np.size(printed[name]) for name in tables)
    results = printed_results(worked_ledger())
    assert len(results) == n_cells + 1 == 17
    assert outcome_counts(results).to_dict() == {
        "follow": 0,
        "follow for a range": 4,
        "do not follow": 12,
        "are inputs": 1,
    }
    ranged = results.index[results["outcome"] == "follow for a range"]
    assert {result.partition("/")[0] for result in ranged} == {"C"}


def test_a_printed_result_is_as_near_as_its_nearest_reading():
    """R/u_1/v_1 is printed as 0.52 and computed as 0.32 by either reading; S as 0.67 by share."""
    results = printed_results(worked_ledger())
    assert results.loc["R/u_1/v_1", "closest"] == pytest.approx(0.20)
    assert results.loc["S/u_1/v_1", "closest"] == pytest.approx(0.13)
    assert results["closest"].drop("mu").notna().sum() == 12


def test_a_reading_that_comes_out_saves_the_result():
    ledger = worked_ledger()
    ledger.loc[ledger["key"] == "S[share]/u_1/v_2", "verdict"] = "reproduced"
    assert outcome_counts(printed_results(ledger))["follow"] == 1


def test_flow_charts_name_only_boxes_they_have():
    for chart in (VIEWER_FLOW, SELLER_FLOW):
        assert {end for arrow in chart.arrows for end in arrow[:2]} == set(chart.boxes)


def test_findings_say_how_many_printed_results_follow():
    results = printed_results(worked_ledger())
    found, formulas = ledger_findings(results)
    counts = outcome_counts(results)
    assert found.level == "watch"
    assert sum(found.values.values()) == 2 * len(results) == 2 * counts.sum()
    assert f"{counts['do not follow']} do not follow" in sentence(found)
    assert formulas.values["lost"] == ("P", "R", "S")
    assert formulas.values["kept"] == ("C",)
    assert "The tables of P, R and S contradict" in sentence(formulas)
    assert "t from 20 up to, not including, 25" in sentence(formulas)


def test_a_formula_with_one_result_that_follows_is_not_lost():
    results = printed_results(worked_ledger())
    results.loc["R/u_1/v_1", "outcome"] = "follow"
    _, formulas = ledger_findings(results)
    assert formulas.values["lost"] == ("P", "S")
