"""What the shop's figures find: each value that of a hand-made result, each sentence that of it."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.business.attribution import attribute_orders
from kpay_lab.business.breakdown import UNKNOWN, hide_small_groups, largest_groups
from kpay_lab.business.changes import (
    Changes,
    gmv_change_by_length,
    gmv_changes,
    length_findings,
)
from kpay_lab.business.cohorts import Cohorts
from kpay_lab.business.figures import FIGURES, NO_ORDERS, NO_REFUNDS, Figures
from kpay_lab.business.periods import Period
from kpay_lab.business.promotion import Contact, coupon_findings
from kpay_lab.business.quality import quality_findings
from kpay_lab.business.rfm import Rfm
from kpay_lab.business.roads import people_lost
from kpay_lab.data.tables import Tables
from kpay_lab.findings import sentence
from tests.conftest import utc

PERIOD = Period(*utc("2024-03-03", "2024-03-10"))


def figures_of(rows, why=None):
    """Figures whose numbers are known as far as they are given."""
    columns = ["value", "low", "high", "before", "before_low", "before_high"]
    columns += ["change", "change_low", "change_high"]
    values = pd.DataFrame(np.nan, index=pd.Index(FIGURES, name="key"), columns=columns)
    for key, numbers in rows.items():
        values.loc[key, list(numbers)] = list(numbers.values())
    return Figures(PERIOD, PERIOD.before(), values, why or {})


SHOP = {
    "gmv": {"value": 1000.0, "low": 800.0, "high": 1200.0, "before": 800.0}
    | {"change": 0.25, "change_low": 0.05, "change_high": 0.5},
    "net_revenue": {"value": 900.0},
    "orders": {"value": 20.0},
    "paying_users": {"value": 10.0},
    "refund_rate/money": {"value": 0.1, "low": 0.05, "high": 0.15},
    "refund_rate/orders": {"value": 0.05},
    "repeat_purchase_rate": {"value": 0.4, "low": 0.2, "high": 0.6},
}


def by_key(found):
    return {finding.key: finding for finding in found}


def test_figures_say_where_the_money_is_and_what_changed():
    found = by_key(figures_of(SHOP).findings(currency="CNY"))
    assert set(found) == {f"business/{key}" for key in ("gmv", "refunds", "change", "repeat")}
    assert sentence(found["business/gmv"]) == (
        "GMV is 1,000.00 CNY (800.00 to 1,200.00) in 2024-03-03 to 2024-03-09: "
        "20 orders of 10 people."
    )
    assert sentence(found["business/refunds"]) == (
        "100.00 CNY had been paid back by the end of the period, 10 % of GMV (5 % to 15 %) "
        "and 5 % of the orders: net revenue is 900.00 CNY."
    )
    assert found["business/change"].level == "good"
    assert sentence(found["business/change"]) == (
        "GMV rose: +25 % (+5 % to +50 %) against the 7 days before (800.00 CNY); "
        "that is more than chance."
    )
    assert "40 % of 10 buyers ordered twice or more" in sentence(found["business/repeat"])


@pytest.mark.parametrize(
    ("low", "high", "level", "words"),
    [
        (-0.5, -0.1, "bad", "GMV fell"),
        (-0.5, 0.1, "plain", "as much can be chance"),
        (np.nan, np.nan, "plain", "too few people"),
    ],
)
def test_a_change_is_judged_by_its_interval(low, high, level, words):
    change = {"value": 60.0, "before": 80.0, "change": -0.25, "change_low": low}
    gmv = SHOP["gmv"] | change | {"change_high": high}
    finding = by_key(figures_of(SHOP | {"gmv": gmv}).findings())["business/change"]
    assert finding.level == level and words in sentence(finding)


def test_assumed_prices_are_said():
    found = by_key(figures_of(SHOP).findings(prices_are_assumed=True))
    assert "at assumed prices" in sentence(found["business/gmv"])


def test_what_is_lacking_is_said_with_its_table():
    [money] = figures_of({}, dict.fromkeys(FIGURES, NO_ORDERS)).findings()
    assert sentence(money).startswith("Where the money is, is not known: it would take the table")
    without = {key: row for key, row in SHOP.items() if not key.startswith("refund_rate")}
    why = dict.fromkeys(("refund_rate/money", "refund_rate/orders"), NO_REFUNDS)
    found = by_key(figures_of(without, why).findings())
    assert "the column refund_amount" in sentence(found["lacking/table"])


def test_the_factor_that_moved_gmv_most_says_what_to_ask():
    factors = pd.DataFrame({"contribution": [50.0, -250.0, 10.0, -10.0]})
    factors.index = ["viewers", "buyers a viewer", "orders a buyer", "value an order"]
    [finding] = Changes(factors, is_shown=True).findings(currency="CNY")
    assert finding.values["contribution"] == -250 and finding.values["total"] == -200
    assert "Ask at which step people are lost" in sentence(finding)
    [by_chance] = Changes(factors, is_shown=False).findings()
    assert sentence(by_chance).startswith("The change of GMV can be chance")


def test_a_change_that_can_be_chance_is_not_shown(small_world):
    shown = {"low": 0.1, "high": 0.5}
    for ends, is_shown in ((shown, True), ({"low": -0.1, "high": 0.5}, False)):
        change = {"change": 0.25, "change_low": ends["low"], "change_high": ends["high"]}
        parts = {"orders": 1.0, "paying_users": 1.0, "uv_value": 1.0, "value_per_order": 1.0}
        rows = {key: {"value": value, "before": value} for key, value in parts.items()}
        rows["gmv"] = {"value": 10.0, "before": 8.0} | change
        assert gmv_changes(figures_of(rows)).is_shown is is_shown


def test_the_largest_groups_are_named_unless_hidden_or_not_known():
    columns = {"paying_users": [12, 3], "gmv": [90.0, 10.0], "share": [0.9, 0.1]}
    by_kind = pd.DataFrame(columns, index=["short_video", "book"])
    by_host = pd.DataFrame(columns, index=[UNKNOWN, "Li"])
    small = pd.DataFrame(columns | {"paying_users": [3, 12]}, index=["a", "b"])
    hidden = hide_small_groups(small, 5)
    assert np.isnan(hidden.loc["a", "share"])
    [finding] = largest_groups({"kind": by_kind, "host": by_host, "category": hidden})
    assert sentence(finding) == "The most GMV comes from the kind short video (90 %)."
    assert largest_groups({"kind": by_kind.head(1), "host": by_host}) == []


def test_people_who_watched_and_did_not_buy_are_lost():
    people = pd.DataFrame({"step": ["watched", "bought"], "n": [100, 40]})
    [finding] = people_lost(people, period="March")
    assert finding.values["n_lost"] == 60 and finding.values["share"] == 0.6
    assert finding.values["low"] < 0.6 < finding.values["high"]
    hidden = people.assign(n=[100, np.nan])
    assert people_lost(hidden, period="March") == []


def test_buyers_at_risk_are_those_of_the_groups_that_may_be_shown():
    groups = ["not to be lost"] * 3 + ["at risk"] * 2 + ["loyal"] * 2 + ["lost"] * 5
    money = [20.0] * 3 + [10.0] * 2 + [5.0] * 2 + [2.0] * 5
    buyers = pd.DataFrame({"group": groups, "money": money})
    buyers = buyers.assign(recency=1.0, frequency=1.0)
    people = Rfm(buyers, buyers[["recency", "frequency", "money"]].median())
    [finding] = people.findings(currency="CNY")
    assert (finding.values["n"], finding.values["money"], finding.values["share"]) == (5, 80, 0.8)
    [shown] = people.findings(minimum=3)
    assert shown.values["groups"] == ("not to be lost",) and shown.values["n"] == 3
    assert people.findings(minimum=6) == []


def test_quality_says_what_hangs_on_the_items_with_a_fault():
    flags = pd.Index(["not reviewed", "rated low", "any of these"], name="flag")
    shares = {"share_of_views": [0.1, 0.1, 0.2], "share_of_gmv": np.nan}
    quality = pd.DataFrame({"items": [3, 2, 5], "share": 0.1, **shares}, index=flags)
    [finding] = quality_findings(quality, 50)
    assert sentence(finding) == (
        "Items with a fault (not reviewed or rated low): 5 of 50, with 20 % of the views."
    )
    assert quality_findings(quality.head(0), 50) == []


def test_a_contact_must_bring_about_orders_that_can_be():
    [possible] = Contact(profit_per_order=10.0, cost=2.0, orders_per_viewer=0.5).findings()
    assert possible.values["needed"] == 200 and possible.values["orders"] == 500
    [too_many] = Contact(profit_per_order=1.0, cost=2.0, orders_per_viewer=0.5).findings()
    assert too_many.level == "bad" and "only with 2,000 orders" in sentence(too_many)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(1.1, 3, "paid for itself"), (0.2, 0.9, "did not pay"), (0.5, 2, "is not shown")],
)
def test_a_coupon_pays_where_its_interval_lies_above_one(low, high, words):
    people = {"users_with": 10.0, "users_without": 12.0}
    coupon = pd.Series(people | {"roi": (low + high) / 2, "roi_low": low, "roi_high": high})
    [finding] = coupon_findings(coupon, period="March")
    assert words in sentence(finding)
    coupon["roi"] = np.nan
    assert coupon_findings(coupon, period="March") == []


def test_money_that_the_first_touch_credits_elsewhere():
    items = pd.DataFrame({"item_id": ["course", "clip"], "kind": ["course", "short_video"]})
    items["promotes"] = [None, "course"]
    events = pd.DataFrame({"user_id": "u", "item_id": ["clip", "course"]})
    events["timestamp"] = utc("2024-03-03", "2024-03-04")
    orders = pd.DataFrame({"user_id": ["u", "u"], "item_id": "course", "amount": [30.0, 10.0]})
    orders["timestamp"] = utc("2024-03-05 12:00", "2024-03-06 12:00")
    orders["source_item_id"] = [None, "course"]
    attribution = attribute_orders(Tables(events, items, orders=orders))
    [finding] = attribution.findings(currency="CNY")
    assert (finding.values["moved"], finding.values["share"]) == (30, 0.75)
    assert (finding.values["last"], finding.values["first"]) == (1, 0)
    nothing = orders.drop(columns=["item_id", "source_item_id"])
    subscriptions = attribute_orders(Tables(events, items, orders=nothing))
    assert not subscriptions.names_any and subscriptions.findings() == []


def test_the_length_of_the_period_can_turn_the_sign(small_world):
    rng = np.random.default_rng(0)
    by_length = gmv_change_by_length(small_world[0], (7, 14, 400), rng=rng, n_resamples=50)
    assert by_length.index.tolist() == ["7 days", "14 days"]
    by_length["change"] = [0.1, -0.1]
    [finding] = length_findings(by_length)
    assert finding.level == "watch" and "rose over the last 7 days" in sentence(finding)
    by_length["change"] = [-0.2, -0.1]
    [finding] = length_findings(by_length)
    assert sentence(finding).startswith("GMV did not rise")
    assert length_findings(by_length.head(1)) == []


def test_revenue_after_some_weeks_weighs_cohorts_by_their_users():
    starts = pd.to_datetime(["2024-03-04", "2024-03-11", "2024-03-18"])
    users = pd.Series([10, 30, 5], index=starts)
    revenue = pd.DataFrame({0: [1.0, 2.0, 9.0], 1: [4.0, 8.0, np.nan]}, index=starts)
    cohorts = Cohorts(users, retention=revenue, revenue=revenue)
    assert cohorts.revenue_after(2) == (10 * 4 + 30 * 8) / 40
    assert cohorts.revenue_after(3) is None
