"""Notebook 00 by running it: its figures are those of a plain query, and nobody is named."""

import re

import pandas as pd
import pytest

from kpay_lab.workbench import open_log
from kpay_lab.world.simulate import WorldSpec
from tests.odd_logs import LOGS, write
from tests.warm import run_warm

NAME = "00_business"
FIGURES = "gmv net_revenue orders paying_users value_per_order value_per_buyer uv_value gpm "
FIGURES += "refund_rate/orders refund_rate/money repeat_purchase_rate average_stay"


def test_the_figures_are_those_of_a_plain_query(smoke):
    metrics = smoke[1]
    shop = open_log(WorldSpec(n_users=200, n_items=60, n_days=30, seed=0)).tables
    end = pd.Timestamp("2026-02-04", tz="UTC")  # the log ends a quarter past midnight
    start = end - pd.Timedelta(days=14)
    in_period = shop.orders["timestamp"].between(start, end, inclusive="left")
    orders = shop.orders[in_period]
    refund = orders["refund_amount"].where(~(orders["refunded_at"] >= end), 0)
    is_view = shop.events["timestamp"].between(start, end, inclusive="left")
    viewers = shop.events.loc[is_view, "user_id"].nunique()
    assert metrics["gmv"] == pytest.approx(orders["amount"].sum())
    assert metrics["net_revenue"] == pytest.approx((orders["amount"] - refund).sum())
    assert metrics["orders"] == len(orders)
    assert metrics["paying_users"] == orders["user_id"].nunique()
    assert metrics["uv_value"] == pytest.approx(orders["amount"].sum() / viewers)
    assert metrics["refund_rate/orders"] == pytest.approx((refund > 0).mean())
    assert set(FIGURES.split()) <= metrics.keys()


def test_every_interval_holds_its_value(smoke):
    metrics = smoke[1]
    for key in ("gmv", "orders", "paying_users", "uv_value", "average_stay"):
        assert metrics[f"{key}/low"] < metrics[key] < metrics[f"{key}/high"], key


def test_the_money_of_every_table_is_that_of_the_period(smoke):
    folder = smoke[0] / NAME / "tables"
    factors = pd.read_csv(folder / "factors.csv").set_index("factor")
    change = smoke[1]["gmv"] * (1 - 1 / (1 + smoke[1]["gmv/change"]))
    assert factors["contribution"].sum() == pytest.approx(change)
    by_day = pd.read_csv(folder / "by_day.csv", parse_dates=["from"])
    in_period = by_day[by_day["from"] >= "2026-01-21"]
    assert in_period["gmv"].sum() == pytest.approx(smoke[1]["gmv"])


def test_no_page_and_no_table_names_a_user(smoke):
    page = (smoke[0] / f"{NAME}.html").read_text(encoding="utf-8")
    tables = (smoke[0] / NAME / "tables").iterdir()
    for text in (page, *(path.read_text(encoding="utf-8") for path in tables)):
        assert not re.search(r"\bu0\d{4}\b", text)


def test_a_log_without_orders_says_which_table_it_lacks(tmp_path):
    tables = LOGS["shop"]()
    events = tables.events
    folder = write(type(tables)(events, tables.items), tmp_path / "shop")
    asked = {"dataset": "tables", "data_dir": str(folder), "min_events": 1, "n_resamples": 50}
    found = run_warm(NAME, tmp_path, **asked)
    assert found.not_applicable == ""
    assert "the log has no orders (a table of user_id, timestamp, item_id, amount)" in found.printed
    assert "no orders" in found.why["gmv"]
    assert found.metrics["average_stay"] > 0 and found.metrics["people/watched"] > 0


def test_a_log_without_times_has_no_figures(tmp_path):
    folder = write(LOGS["no_times"](), tmp_path / "shop")
    asked = {"dataset": "tables", "data_dir": str(folder), "min_events": 1}
    assert "no event and no order has a time" in run_warm(NAME, tmp_path, **asked).not_applicable
