"""Notebook 03 by running it: what its metrics say must fit together."""

import json
from functools import partial

import pytest

from kpay_lab.workbench import open_log
from kpay_lab.world.simulate import WorldSpec, simulate
from tests.running import notebook_run

NAME = "03_user_portraits"
LEARNED = ("naive_Bayes", "decision_tree", "random_forest")
run = partial(notebook_run, NAME)


def test_users_are_those_who_consented_and_came(smoke):
    admitted = open_log(WorldSpec(n_users=200, n_items=60, n_days=30, seed=0)).tables
    assert smoke[1]["users"] == admitted.events["user_id"].nunique() < 200


def test_segments_share_out_the_users(smoke):
    metrics = smoke[1]
    k = metrics["segments/k"]
    assert 1 <= k <= 4
    shares = [metrics[f"segments/{number}/share"] for number in range(k)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert f"segments/{k}/share" not in metrics


def test_agreements_are_adjusted_rand_indexes_below_their_ceiling(smoke):
    metrics = smoke[1]
    for key in ("mixture/ari_with_kmeans", "truth/ari"):
        assert -1 <= metrics[key] <= 1, key
    assert 0.2 < metrics["truth/ari_ceiling"] < 1
    assert metrics["truth/ari"] < metrics["truth/ari_ceiling"] + 0.1


def test_a_log_without_segments_makes_no_headline_of_them(smoke):
    """One group is no number of segments, and nobody can keep a segment that is not there."""
    folder, metrics = smoke
    assert metrics["segments/k"] == 1
    assert metrics["segments/split_half_ari"] is None
    notes = json.loads((folder / NAME / "session.json").read_text(encoding="utf-8"))
    assert not [one["key"] for one in notes["headlines"] if "segments" in one["key"]]
    assert "no segments were found" in notes["why"]["segments/split_half_ari"]


def test_the_page_says_who_stays_and_what_is_known_of_people(smoke):
    content = json.loads((smoke[0] / NAME / "findings.json").read_text(encoding="utf-8"))
    found = {one["key"]: one["values"] for one in content["findings"]}
    assert {"portraits/who", "portraits/return", "segments/exist", "portraits/outcome"} < set(found)
    assert found["portraits/return"]["share"] == smoke[1]["returning/share"]
    assert found["portraits/who"]["n_users"] == smoke[1]["users"]
    assert found["segments/exist"]["k"] == smoke[1]["segments/k"]


def test_of_many_users_a_sample_settles_the_segments_and_the_page_says_so(tmp_path, smoke):
    settings = ("--profile", "smoke", "--set", "max_users_resampled=100")
    folder, metrics = run(tmp_path, *settings)
    assert metrics["users"] == smoke[1]["users"]  # everybody has a portrait still
    content = json.loads((folder / NAME / "findings.json").read_text(encoding="utf-8"))
    found = {one["key"]: one["values"] for one in content["findings"]}
    assert found["segments/sample"] == {"n_judged": 100, "n_users": metrics["users"]}
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["notebooks"][NAME]["record"]["users_resampled"] == 100


def test_classifiers_stand_beside_the_base_rate(smoke):
    metrics = smoke[1]
    assert metrics["base_rate/balanced_accuracy"] == pytest.approx(1 / metrics["outcome/labels"])
    assert max(metrics[f"{name}/accuracy"] for name in LEARNED) > metrics["base_rate/accuracy"]
    for name in LEARNED:
        assert 0 <= metrics[f"{name}/calibration_error"] <= 1
        assert 0 <= metrics[f"{name}/Brier"] <= 2


def test_no_page_and_no_table_names_a_user(smoke):
    page = (smoke[0] / f"{NAME}.html").read_text(encoding="utf-8")
    tables = [path.read_text() for path in (smoke[0] / NAME / "tables").glob("*.csv")]
    users = simulate(WorldSpec(n_users=200, n_items=60, n_days=30, seed=0))[0].users["user_id"]
    assert len(tables) >= 8
    for text in (page, *tables):
        assert not [user for user in users if f"{user}<" in text or f"{user}," in text]


@pytest.mark.slow
def test_open_university_learners(tmp_path, real_data):
    settings = ("--profile", "oulad", "--data", str(real_data("oulad")))
    _, metrics = run(tmp_path, *settings, "--set", "max_users=1500")
    assert metrics["users"] == 1500
    assert metrics["outcome/labels"] == 4  # Pass, Fail, Withdrawn, Distinction
    assert metrics["random_forest/Brier"] < metrics["base_rate/Brier"]
    assert "truth/ari" not in metrics
