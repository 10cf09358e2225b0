"""Notebook 04 by running it: what its metrics say must fit together."""

import json
from functools import partial

import pandas as pd
import pytest

from kpay_lab.world.simulate import WorldSpec, simulate
from tests.running import notebook_run

NAME = "04_model_comparison"
run = partial(notebook_run, NAME)


def test_every_interval_holds_its_mean(smoke):
    _, metrics = smoke
    keys = [key.removesuffix("/low") for key in metrics if key.endswith("/low")]
    assert len(keys) > 50
    for key in keys:
        assert metrics[f"{key}/low"] <= metrics[key] <= metrics[f"{key}/high"], key


def test_the_best_model_leads_all_others(smoke):
    _, metrics = smoke
    best = metrics["best/model"]
    compared = {key.split("/")[0] for key in metrics if key.endswith("/true_regret@10")}
    assert {"popularity", "content", "ease", "als", "markov", "blend", "forest"} <= compared
    for name in compared - {best}:
        lead = metrics[f"{best}/ndcg@10"] - metrics[f"{name}/ndcg@10"]
        assert lead >= 0
        assert metrics[f"lead/{name}/ndcg@10"] == pytest.approx(lead, abs=1e-12)
    assert metrics["best/ndcg@10"] == metrics[f"{best}/ndcg@10"]


def test_models_learn_something(smoke):
    _, metrics = smoke
    assert metrics["ease/ndcg@10"] > metrics["random/ndcg@10/high"]
    assert 0 <= metrics["ease/true_regret@10"] < metrics["random/true_regret@10"]
    assert metrics["P/distinct_scores_of_unseen_items"] == 1
    assert metrics["blend/overlap_with_content"] < 1


def test_definitions_order_the_values(smoke):
    """AP / n_relevant never exceeds AP / min(n_relevant, k), nor recall its capped form."""
    _, metrics = smoke
    for name in ("ease", "popularity", "content"):
        assert metrics[f"{name}/map_trec@10"] <= metrics[f"{name}/map@10"]
        assert metrics[f"{name}/recall@10"] <= metrics[f"{name}/recall_capped@10"]


def test_the_cut_in_time_is_the_split_of_the_headline(smoke):
    _, metrics = smoke
    assert metrics["split"] == "time"
    for name in ("popularity", "ease"):
        gap = metrics[f"gap/time/{name}/ndcg@10"]
        assert gap == pytest.approx(metrics[f"{name}/ndcg@10"], abs=1e-12)


def test_hidden_items_are_few_and_found_by_their_description(smoke):
    _, metrics = smoke
    assert 1 <= metrics["cold_items/items"] < 20
    assert metrics["cold_items/content/ndcg@10"] > metrics["cold_items/random/ndcg@10/low"]


def test_lists_carry_ids_and_the_page_does_not(smoke):
    result, metrics = smoke
    lists = pd.read_parquet(result / NAME / "tables/recommendations.parquet")
    assert list(lists) == ["user_id", "rank", "item_id", "title", "score", "why"]
    assert lists["user_id"].nunique() == metrics["lists/users"]
    page = (result / f"{NAME}.html").read_text()
    tables = "".join(path.read_text() for path in (result / NAME / "tables").glob("*.csv"))
    for user in lists["user_id"].unique():
        assert user not in page and user not in tables
    manifest = json.loads((result / "manifest.json").read_text())
    assert len(json.dumps(manifest).split("split_hash")[1].split('"')[2]) == 64


def test_a_sample_is_evaluated_and_said_and_everybody_gets_a_list(smoke, tmp_path):
    _, of_all = smoke
    few = ["max_users_evaluated=60", "models={ease: {reg: 50}}", "n_trials=0"]
    settings = [part for setting in few for part in ("--set", setting)]
    result, metrics = run(tmp_path, "--profile", "smoke", *settings)
    assert of_all["users_evaluated"] > 60
    assert metrics["users_evaluated"] == 60
    assert metrics["lists/users"] == of_all["lists/users"]
    assert metrics["pairs_to_find"] < of_all["pairs_to_find"]
    assert metrics["ease/ndcg@10"] != of_all["ease/ndcg@10"]
    whom = f"60 of {of_all['users_evaluated']} users, drawn by chance"
    manifest = json.loads((result / "manifest.json").read_text())
    assert manifest["notebooks"][NAME]["record"]["users_evaluated"] == whom
    page = (result / f"{NAME}.html").read_text(encoding="utf-8")
    assert (
        f"60 of {of_all['users_evaluated']} users with something to find, drawn by chance" in page
    )
    gap = pd.read_csv(result / NAME / "tables/protocol_gap.csv")
    assert gap["users"].max() == 60


@pytest.mark.slow
def test_a_log_of_ids_alone(tmp_path):
    """No times, items, users, prices or orders: each part says so or does without."""
    tables, _ = simulate(WorldSpec(n_users=150, n_items=60, n_days=20, seed=1))
    data = tmp_path / "log"
    data.mkdir()
    tables.events[["user_id", "item_id"]].to_csv(data / "events.csv", index=False)
    settings = [
        "min_events=100",
        "n_resamples=200",
        "n_trials=0",
        'models={"ease": {"reg": 50}, "content": {}, "markov": {}}',
    ]
    chosen = [part for setting in settings for part in ("--set", setting)]
    runs = tmp_path / "runs"
    runs.mkdir()
    result, metrics = run(runs, "--data", str(data), *chosen)
    assert metrics["split"] == "random_per_user"
    assert "ease/ndcg@10" in metrics and "popularity/ndcg@10" in metrics
    assert "content/ndcg@10" not in metrics and "markov/ndcg@10" not in metrics
    assert not [key for key in metrics if "revenue" in key or "regret" in key]
    page = (result / f"{NAME}.html").read_text()
    assert "the log has no times" in page
    assert "What a recommender earns is not known: it would take" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("candidates", "relevant"), [("rated", "interest"), ("exposed", "any"), ("exposed", "purchase")]
)
def test_candidates_of_each_user(tmp_path, candidates, relevant):
    asked = ["--set", f"candidates={candidates}", "--set", f"relevant={relevant}"]
    settings = ["--profile", "smoke", "--set", "threshold=0.3", "--set", "n_trials=1"]
    folder, metrics = run(tmp_path, *settings, *asked)
    page = (folder / f"{NAME}.html").read_text(encoding="utf-8")
    assert f"Candidates (`{candidates}`)" in page
    assert "Few users carry this page" in page
    for name in ("popularity", "ease"):
        in_time = metrics[f"gap/time/{name}/ndcg@10"]
        assert in_time == pytest.approx(metrics[f"{name}/ndcg@10"], abs=1e-12)
        assert 0 <= metrics[f"{name}/coverage@10"] <= 1


@pytest.mark.slow
def test_the_reference_numbers_of_movielens(tmp_path, real_data):
    """Origin: see tests/evaluate/test_golden.py."""
    folder = real_data("ml-100k")
    profile = ["--profile", "movielens-100k", "--data", str(folder), "--set"]
    _, metrics = run(tmp_path, *profile, "split=stratified_item", "--set", "n_trials=0")
    names = ("map_trec", "map", "ndcg", "precision", "recall")
    expected = {
        ("ease", 1e-5): [0.150548, 0.343396, 0.485461, 0.422375, 0.230152],
        ("popularity", 4e-4): [0.055959, 0.137371, 0.252353, 0.228738, 0.113188],
        ("item_neighbours", 4e-4): [0.130428, 0.302009, 0.441560, 0.389820, 0.212857],
    }
    for (model, tolerance), values in expected.items():
        found = [metrics[f"{model}/{name}@10"] for name in names]
        assert found == pytest.approx(values, rel=0, abs=tolerance), model
