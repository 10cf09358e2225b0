"""Each figure equals a plain pandas query, on the simulated shop and on a real platform."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.business.changes import gmv_changes
from kpay_lab.business.figures import FIGURES, business_figures
from kpay_lab.business.periods import Period, choose_period, whole_log
from kpay_lab.data.tables import Tables
from kpay_lab.workbench import open_log
from tests.conftest import utc
from tests.running import ROOT


def plain(log: Tables, start: pd.Timestamp, end: pd.Timestamp) -> dict[str, float]:
    """The twelve figures by their definitions, without the package."""
    events = log.events.query("@start <= timestamp < @end")
    orders = log.orders.query("@start <= timestamp < @end")
    gmv = orders["amount"].sum()
    figures = {
        "gmv": gmv,
        "orders": len(orders),
        "paying_users": orders["user_id"].nunique(),
        "value_per_order": gmv / len(orders),
        "value_per_buyer": gmv / orders["user_id"].nunique(),
        "uv_value": gmv / events["user_id"].nunique(),
        "gpm": 1000 * gmv / len(events),
        "repeat_purchase_rate": (orders["user_id"].value_counts() >= 2).mean(),
        "average_stay": events["watch_time"].sum() / events["watch_time"].count(),
    }
    if "refund_amount" not in orders:
        return figures | {"net_revenue": gmv}
    refund = orders["refund_amount"].fillna(0).where(~(orders["refunded_at"] >= end), 0)
    return figures | {
        "net_revenue": gmv - refund.sum(),
        "refund_rate/orders": (refund > 0).mean(),
        "refund_rate/money": refund.sum() / gmv,
    }


@pytest.fixture(scope="module")
def shop(small_world):
    return small_world[0]


@pytest.fixture(scope="module")
def courses(real_data):
    mapping = ROOT / "params" / "courses-365.yaml"
    return open_log(real_data("courses-365"), mapping=mapping).tables


def measured(log: Tables, seed: int = 0):
    period, before = choose_period(log)
    return business_figures(log, period, before, rng=np.random.default_rng(seed))


def check_against_plain(log: Tables) -> None:
    figures = measured(log)
    for part, period in {"value": figures.period, "before": figures.before}.items():
        expected = plain(log, period.start, period.end)
        found = figures.values[part].dropna().to_dict()
        assert found == pytest.approx(expected)
    change = figures.values["value"] / figures.values["before"] - 1
    pd.testing.assert_series_equal(figures.values["change"], change, check_names=False)
    assert figures.values.index[figures.values["value"].isna()].tolist() == list(figures.why)


def test_the_simulated_shop_has_the_figures_of_a_plain_query(shop):
    check_against_plain(shop)
    assert list(measured(shop).values.index) == list(FIGURES)


def test_a_real_platform_has_the_figures_of_a_plain_query(courses):
    check_against_plain(courses)
    assert set(measured(courses).why) == {"refund_rate/orders", "refund_rate/money"}


def test_the_files_of_the_platform_have_the_same_money(courses, real_data):
    """From the file itself, with the prices of the profile."""
    purchases = pd.read_csv(real_data("courses-365") / "365_student_purchases.csv")
    price = {"Monthly": 29, "Quarterly": 79, "Annual": 249}
    in_period = purchases[purchases["date_purchased"].between("2022-09-23", "2022-10-20")]
    figures = measured(courses).values["value"]
    assert figures["gmv"] == in_period["purchase_type"].map(price).sum()
    assert figures["paying_users"] == in_period["student_id"].nunique()


def test_an_interval_holds_its_value_and_is_equal_for_an_equal_seed(shop):
    values = measured(shop).values.dropna()
    for part, low, high in (
        ("value", "low", "high"),
        ("before", "before_low", "before_high"),
        ("change", "change_low", "change_high"),
    ):
        assert (values[low] < values[part]).all() and (values[part] < values[high]).all()
    pd.testing.assert_frame_equal(measured(shop, 5).values, measured(shop, 5).values)


def small_log(**orders) -> Tables:
    events = pd.DataFrame({"user_id": list("abca"), "item_id": list("xyxx")})
    events["timestamp"] = utc("2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04")
    bought = pd.DataFrame({"user_id": list("abb"), "item_id": list("xyx")})
    bought["timestamp"] = utc("2024-03-01", "2024-03-03", "2024-03-04")
    return Tables(events, orders=bought.assign(**orders))


def test_a_refund_after_the_end_has_not_happened_yet():
    back = utc("2024-03-02", "2024-03-20", "2024-03-04")
    log = small_log(amount=[10.0, 20.0, 30.0], refund_amount=[4.0, 5.0, 6.0], refunded_at=back)
    period = Period(*utc("2024-03-03", "2024-03-05"))
    figures = business_figures(log, period, rng=np.random.default_rng(0)).values["value"]
    assert (figures["gmv"], figures["net_revenue"]) == (50, 50 - 6)
    assert figures["refund_rate/orders"] == 0.5
    assert figures["refund_rate/money"] == pytest.approx(6 / 50)
    assert figures["uv_value"] == 50 / 2 and figures["gpm"] == 1000 * 50 / 2


@pytest.mark.parametrize(
    ("log", "absent", "reason"),
    [
        (small_log(), {"gmv", "gpm", "uv_value", "net_revenue", "refund_rate/money"}, "amount"),
        (Tables(small_log().events), {"orders", "paying_users", "gmv"}, "no orders"),
    ],
)
def test_what_needs_money_is_absent_with_its_reason(log, absent, reason):
    figures = measured(log)
    assert absent <= figures.why.keys()
    assert all(reason in figures.why[key] for key in absent)
    assert figures.values.loc[list(absent), "value"].isna().all()
    assert gmv_changes(figures) is None


def test_orders_are_counted_without_amounts_and_without_times_of_events():
    assert measured(small_log()).values.loc["paying_users", "value"] == 1
    events = small_log().events.drop(columns="timestamp")
    log = Tables(events, orders=small_log(amount=9.0).orders)
    figures = measured(log)
    assert figures.values.loc["value_per_order", "value"] == 9
    assert "events.timestamp" in figures.why["gpm"]


def test_few_users_have_a_figure_and_no_interval():
    figures = measured(small_log(amount=9.0))
    assert figures.values.loc["gmv", "value"] == 18
    assert np.isnan(figures.values.loc["gmv", "low"])
    assert "fewer than ten users" in figures.reason("gmv", "low")


def test_the_contributions_add_up_to_the_change(shop):
    figures = measured(shop)
    changes = gmv_changes(figures)
    gmv = figures.values.loc["gmv"]
    assert changes.factors["contribution"].sum() == pytest.approx(gmv["value"] - gmv["before"])
    assert changes.factors["now"].prod() == pytest.approx(gmv["value"])


def test_the_period_before_is_as_long_and_ends_where_the_period_starts(shop):
    period, before = choose_period(shop)
    assert before.end == period.start and before.length == period.length == pd.Timedelta(days=14)
    assert period.start.normalize() == period.start  # whole days
    week, _ = choose_period(shop, days=7)
    assert week.end == period.end and week.length == pd.Timedelta(days=7)


def test_a_period_is_chosen_by_its_ends(shop):
    period, before = choose_period(shop, start="2026-01-20", end="2026-01-30")
    assert str(period) == "2026-01-20 to 2026-01-29"
    assert str(before) == "2026-01-10 to 2026-01-19"
    assert choose_period(shop, start="2026-01-06")[1] is None  # the log does not reach back


def test_a_day_begins_in_the_zone_of_the_shop(shop):
    period, _ = choose_period(shop, time_zone="Asia/Shanghai")
    assert period.end.tz_convert("Asia/Shanghai").hour == 0


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"start": "2026-01-20", "end": "2026-01-10"}, "period_end must lie after period_start"),
        ({"start": "soon"}, "period_start is 'soon'; it must be an ISO time"),
        ({"start": "2030-01-01", "end": "2030-02-01"}, "choose period_start and period_end within"),
    ],
)
def test_a_period_that_is_none_is_refused(shop, bounds, words):
    with pytest.raises(ValueError, match=words):
        choose_period(shop, **bounds)


def test_a_log_without_times_has_no_period():
    events = small_log().events.drop(columns="timestamp")
    with pytest.raises(ValueError, match="no event and no order has a time"):
        whole_log(Tables(events))


def test_cancelled_orders_are_out_and_a_second_currency_is_refused():
    events = small_log().events
    orders = small_log(amount=["9", "9", "9"], status=["paid", "cancelled", "paid"]).orders
    log = open_log({"events": events, "orders": orders})
    assert measured(log.tables).values.loc["orders", "value"] == 1
    foreign = orders.assign(currency=["CNY", "USD", "CNY"])
    with pytest.raises(ValueError, match=r"convert them to one, or write mapping: \{currency"):
        open_log({"events": events, "orders": foreign})
