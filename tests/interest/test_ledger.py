import json

import numpy as np
import pytest

from kpay_lab.interest.ledger import comment_thresholds, verdict_counts, worked_ledger
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
    assert LEDGER.loc[LEDGER["verdict"] == "reproduced"].index.tolist() == ["mu/u_1", "mu/u_2"]


def test_flow_charts_name_only_boxes_they_have():
    for chart in (VIEWER_FLOW, SELLER_FLOW):
        assert {end for arrow in chart.arrows for end in arrow[:2]} == set(chart.boxes)
