"""Notebook 08 by running it: bandits, policies judged from a log, and the feedback loop."""

import pytest

from tests.running import kpay_run

NAME = "08_policies"
POLICIES = ("uniform", "popularity", "content", "ease")


@pytest.fixture(scope="module")
def smoke(smoke_run):
    return smoke_run(NAME)


@pytest.fixture(scope="module")
def metrics(smoke):
    return smoke[1]


def test_every_interval_holds_its_estimate(metrics):
    keys = [key.removesuffix("/low") for key in metrics if key.endswith("/low")]
    assert len(keys) >= 4
    for key in keys:
        assert metrics[f"{key}/low"] <= metrics[key] <= metrics[f"{key}/high"], key


def test_three_ways_agree_in_the_simulated_world(metrics):
    for name in POLICIES:
        truth = metrics[f"three_ways/{name}/truth"]
        assert 0 < truth < 1
        for way in ("DR", "SNIPS", "IPS", "A/B test"):
            assert metrics[f"three_ways/{name}/{way}"] == pytest.approx(truth, abs=0.12)
        assert 0 < metrics[f"ess/{name}"] <= 1000


def test_bandits_and_the_loop_leave_their_traces(smoke, metrics):
    for name in ("epsilon-greedy", "UCB1", "Thompson", "LinUCB (contextual)"):
        assert metrics[f"regret/{name}"] > 0
        assert 0 < metrics[f"best_share/{name}"] <= 1
    chance = "ease, 10% by chance"
    assert metrics[f"feedback/{chance}/coverage"] > metrics["feedback/popularity/coverage"]
    assert metrics["feedback/popularity/gini"] > metrics[f"feedback/{chance}/gini"]
    pictures = {path.stem for path in (smoke[0] / NAME / "figures").glob("*.png")}
    assert {"regret", "three_ways", "feedback"} <= pictures


@pytest.mark.slow
def test_open_bandit_is_judged_from_the_other_log(real_data, tmp_path):
    folder = real_data("obd-small")
    _, metrics = kpay_run(tmp_path, "--profile", "open-bandit", "--data", str(folder))
    found = metrics[NAME]
    assert found["open_bandit/bts, men/own"] == 69 / 10_000
    assert found["open_bandit/random, women/own"] == 46 / 10_000
    for name in ("bts, men", "bts, women", "random, men", "random, women"):
        assert 0 < found[f"open_bandit/{name}/DR"] < 0.03
    assert not [key for key in found if key.startswith(("feedback/", "regret/"))]


@pytest.mark.slow
def test_read_tables_are_judged_without_a_truth(tmp_path):
    from kpay_lab.data.writing import write_tables
    from kpay_lab.world.simulate import WorldSpec, simulate

    tables, _ = simulate(WorldSpec(n_users=150, n_items=40, n_days=30))
    write_tables(tables, tmp_path / "mine", format="parquet")
    given = ["--data", str(tmp_path / "mine"), "--set", "n_slots=500", "--set", "min_events=100"]
    _, metrics = kpay_run(tmp_path / "runs", NAME, "--profile", "smoke", *given)
    found = metrics[NAME]
    assert found["ess/ease"] > 0
    assert not [key for key in found if key.startswith(("three_ways/", "feedback/"))]
