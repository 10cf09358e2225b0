"""Notebook 05 by running it: what its metrics say must fit together."""

import json
from functools import partial

import pytest

from kpay_lab.data.writing import write_tables
from kpay_lab.report.manifest import Manifest
from kpay_lab.world.simulate import WorldSpec, simulate
from tests.running import notebook_run

NAME = "05_sales_conversion"
MODELS = ("logistic_regression", "decision_tree")
run = partial(notebook_run, NAME)


def test_the_leak_is_perfect_until_it_is_used(smoke):
    assert smoke[1]["leak/roc_auc"] == 1
    assert smoke[1]["leak/roc_auc_when_used"] < 0.75
    assert smoke[1]["leakage/suspicious"] == 0
    assert smoke[1]["leakage/shuffled_labels"] > smoke[1]["leakage/base_rate"] - 0.001


def test_the_funnel_narrows(smoke):
    steps = [smoke[1][f"funnel/{step}"] for step in ("shown", "watched", "interacted")]
    assert steps == sorted(steps, reverse=True)
    assert smoke[1]["funnel/ordered"] <= smoke[1]["funnel/watched"]
    assert smoke[1]["funnel/learned"] <= smoke[1]["funnel/ordered"]
    rate = smoke[1]["funnel/watched"] / smoke[1]["funnel/shown"]
    assert smoke[1]["funnel/watched/rate"] == pytest.approx(rate)


def test_the_best_model_beats_the_base_rate(smoke):
    metrics = smoke[1]
    best = metrics["best_model"].replace(" ", "_")
    losses = {name: metrics[f"{name}/log_loss"] for name in (*MODELS, "base_rate")}
    assert losses[best] == min(losses.values()) < losses["base_rate"]
    assert metrics["base_rate/ROC-AUC"] == 0.5
    assert metrics["base_rate/PR-AUC"] == pytest.approx(metrics["test/base_rate"])
    assert metrics["base_rate/calibration_slope"] is None
    assert f"truth/way/{best}" in metrics
    assert metrics["truth/best_way"] == metrics[f"truth/way/{best}"] < 1
    for name in MODELS:
        key = f"truth/way/{name}"
        assert metrics[f"{key}/low"] <= metrics[key] <= metrics[f"{key}/high"]


def test_every_interval_holds_its_value(smoke):
    metrics = smoke[1]
    keys = [f"{name}/{metric}" for name in MODELS for metric in ("log_loss", "Brier", "ROC-AUC")]
    for key in keys:
        assert metrics[f"{key}/low"] <= metrics[key] <= metrics[f"{key}/high"], key


def test_the_rule_that_uses_probabilities_loses_no_money_to_contacting_nobody(smoke):
    table = (smoke[0] / NAME / "tables" / "profit.csv").read_text()
    assert table.count("\n") == 2 + 1 + len(MODELS)
    assert smoke[1]["logistic_regression/profit_per_1000_rows"] > 0
    assert -1 <= smoke[1]["truth/qini_share"] <= 1


def test_the_page_answers_where_who_and_whom(smoke):
    found = json.loads((smoke[0] / NAME / "findings.json").read_text(encoding="utf-8"))["findings"]
    by_key = {finding["key"]: finding["values"] for finding in found}
    asked = {"funnel/lost", "contact/profit", "conversion/model", "conversion/level"}
    asked |= {"uplift/effect", "uplift/targeting", "funnel/waiting", "funnel/refunded_money"}
    assert asked <= set(by_key)
    best = smoke[1]["best_model"].replace(" ", "_")
    contact = by_key["contact/profit"]
    assert contact["profit"] == smoke[1][f"{best}/profit_per_1000_rows"]
    assert contact["currency"] == "CNY"
    assert contact["difference"] == pytest.approx(contact["profit"] - contact["everybody"])


def test_no_page_and_no_table_names_a_user(smoke):
    page = (smoke[0] / f"{NAME}.html").read_text(encoding="utf-8")
    tables = [path.read_text() for path in (smoke[0] / NAME / "tables").glob("*.csv")]
    users = simulate(WorldSpec(n_users=200, n_items=60, n_days=30, seed=0))[0].users["user_id"]
    assert len(tables) >= 10
    for text in (page, *tables):
        assert not [user for user in users if f"{user}<" in text or f"{user}," in text]


def test_without_orders_it_does_not_apply(tmp_path):
    tables, _ = simulate(WorldSpec(n_users=60, n_items=30, n_days=14, seed=0))
    write_tables(tables, tmp_path / "log")
    (tmp_path / "log" / "orders.csv").unlink()
    result, metrics = run(
        tmp_path / "runs",
        "--data",
        str(tmp_path / "log"),
        "--set",
        "dataset=tables",
        "--set",
        "min_events=100",
    )
    entry = Manifest.read(result).notebooks[NAME]
    assert metrics is None
    assert (entry.status, entry.reason) == ("not applicable", "no orders table")
