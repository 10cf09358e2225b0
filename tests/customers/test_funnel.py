import numpy as np
import pandas as pd
import pytest

from kpay_lab.business.figures import business_figures
from kpay_lab.business.periods import whole_log
from kpay_lab.customers.funnel import (
    STEPS_OF_PEOPLE,
    bought_unwatched,
    funnel,
    funnel_pairs,
    funnel_people,
    outside_funnel,
    pairs_findings,
    people_findings,
    refund_findings,
    retention,
    returning_findings,
    sales_totals,
    step_rates,
    time_to_purchase,
    unwatched_findings,
    waiting_findings,
    waiting_shares,
)
from kpay_lab.data.tables import Tables
from kpay_lab.findings import sentence
from kpay_lab.plots import plot_funnel


def at(*hours: float) -> pd.Series:
    start = pd.Timestamp("2026-01-01", tz="UTC")
    return pd.Series([start + pd.Timedelta(hours=h) for h in hours]).astype("datetime64[us, UTC]")


@pytest.fixture
def shop() -> Tables:
    """u: sees the live, likes it, buys its course, learns, refunds; w only sees; x watches."""
    return Tables.validated(
        items=pd.DataFrame(
            {
                "item_id": ["live", "course"],
                "kind": ["live", "course"],
                "promotes": ["course", None],
            }
        ),
        exposures=pd.DataFrame(
            {"user_id": list("uwx"), "item_id": "live", "timestamp": at(1, 2, 3)}
        ),
        events=pd.DataFrame(
            {
                "user_id": ["u", "u", "x", "w"],
                "item_id": ["live", "course", "live", "live"],
                "timestamp": at(1, 5, 3, 0),  # w watched before being shown: not a step
                "like_count": pd.array([1, 0, 0, 0], dtype="Int64"),
                "progress": [np.nan, 0.5, np.nan, np.nan],
                "rating": [np.nan, np.nan, np.nan, np.nan],
            }
        ),
        orders=pd.DataFrame(
            {
                "user_id": ["u", "w"],
                "item_id": "course",
                "timestamp": at(4, 1),
                "amount": 10.0,
                "refund_amount": [10.0, 0.0],
            }
        ),
    )


def test_each_step_is_counted_after_the_one_before(shop):
    steps = funnel(funnel_pairs(shop), rng=np.random.default_rng(0)).set_index("step")
    assert steps["n"].to_dict() == {
        "shown": 3,
        "watched": 2,
        "interacted": 1,
        "ordered": 1,
        "learned": 1,
        "reviewed": 0,
        "refunded": 1,
    }
    assert steps.loc["watched", "rate"] == 2 / 3
    assert steps.loc["ordered", "rate"] == 1 / 2
    assert steps.loc["reviewed", "rate"] == 0


def test_time_to_purchase_runs_from_the_first_contact(shop):
    assert time_to_purchase(funnel_pairs(shop))["hours"].tolist() == [3.0]


def test_groups_add_up_to_the_whole(small_world):
    tables, _ = small_world
    pairs = funnel_pairs(tables)
    whole = funnel(pairs, rng=np.random.default_rng(0), n_resamples=50).set_index("step")["n"]
    for by in ("kind", "host", "category", "hour"):
        parts = funnel(pairs, by, rng=np.random.default_rng(0), n_resamples=50)
        assert parts.groupby("step")["n"].sum().to_dict() == whole.to_dict()
    known = parts.dropna(subset="rate")
    assert ((known["low"] <= known["rate"]) & (known["rate"] <= known["high"])).all()
    with pytest.raises(ValueError, match="by is 'colour'"):
        funnel(pairs, "colour", rng=np.random.default_rng(0))


def test_retention_counts_who_comes_back_and_hides_half_seen_periods():
    hours = [0, 24 * 7, 24 * 15, 0, 24 * 8, 24 * 20]
    events = pd.DataFrame({"user_id": list("uuuvww"), "item_id": "i", "timestamp": at(*hours)})
    table = retention(Tables.validated(events=events))
    assert table["users"].tolist() == [2, 1]
    assert table.iloc[0][[0, 1]].tolist() == [1.0, 0.5]
    assert table.iloc[0].isna()[2]  # day 20 of 21: the third week is not whole


def test_the_rates_of_a_step_are_known_ones_from_the_highest_and_hours_in_order(small_world):
    tables, _ = small_world
    pairs = funnel_pairs(tables)
    rng = np.random.default_rng(0)
    by_kind = step_rates(funnel(pairs, "kind", rng=rng, n_resamples=50), "ordered")
    assert set(by_kind.index) == set(pairs["kind"]) and by_kind.index.name == "kind"
    assert by_kind["rate"].is_monotonic_decreasing and not by_kind["rate"].is_monotonic_increasing
    by_hour = funnel(pairs, "hour", rng=rng, n_resamples=50)
    hidden = by_hour["hour"] == 20
    by_hour.loc[hidden, "rate"] = np.nan
    rates = step_rates(by_hour, "ordered")
    assert rates.index.is_monotonic_increasing and 20 not in rates.index and 21 in rates.index


def test_a_funnel_is_drawn_with_a_bar_a_step(small_world):
    tables, _ = small_world
    steps = funnel(funnel_pairs(tables), rng=np.random.default_rng(0))
    ax = plot_funnel(steps)
    assert [bar.get_width() for bar in ax.patches] == steps["n"].tolist()
    assert ax.texts[3].get_text().endswith("% of watched")


def test_an_event_without_a_time_is_in_no_step_and_in_no_cohort(shop):
    timed = shop.events[["user_id", "item_id", "timestamp", "like_count"]]
    untimed = timed.head(1).assign(user_id="y")
    untimed["timestamp"] = pd.Series(pd.NaT, untimed.index, dtype="datetime64[us, UTC]")
    events = pd.concat([timed, untimed], ignore_index=True)
    with_times = Tables(timed, orders=shop.orders)
    without_one = Tables(events, orders=shop.orders)
    pd.testing.assert_frame_equal(funnel_pairs(without_one), funnel_pairs(with_times))
    pd.testing.assert_frame_equal(retention(without_one), retention(with_times))


def test_people_are_counted_once_from_their_first_event(shop):
    """u bought a course twice at once and again later, v before ever watching, z never watched."""
    orders = pd.DataFrame(
        {
            "user_id": ["u", "u", "u", "w", "v", "z"],
            "item_id": ["course", "other", "course", None, "course", "course"],
            "timestamp": at(4, 4, 9, 6, 1, 1),
            "refund_amount": [0.0, 0.0, 3.0, 0.0, 0.0, 0.0],
        }
    )
    watched = shop.events[["user_id", "item_id", "timestamp", "like_count"]]
    late = pd.DataFrame({"user_id": ["v"], "item_id": ["live"], "timestamp": at(2)})
    tables = Tables(pd.concat([watched, late], ignore_index=True), shop.items, orders=orders)
    people = funnel_people(tables)
    rng = np.random.default_rng(0)
    steps = funnel(people, steps=STEPS_OF_PEOPLE, rng=rng).set_index("step")
    assert steps["n"].to_dict() == {
        "watched": 4,
        "interacted": 1,
        "ordered": 2,  # w's subscription counts too
        "ordered again": 1,
        "refunded": 1,
    }
    assert steps.loc["ordered", "rate"] == 2 / 4
    assert people.set_index("user_id")["hours"].dropna().to_dict() == {"u": 3.0, "w": 6.0}
    assert "refunded" not in funnel_people(Tables(watched, orders=orders.iloc[:, :3]))
    without = funnel_people(Tables(watched))
    assert not without["ordered"].any() and without["hours"].isna().all()


def test_what_was_bought_and_never_watched_is_found(shop):
    """The live sells the course: who watched it watched what sold it."""
    orders = pd.DataFrame(
        {
            "user_id": ["x", "x", "y", "y", "u"],
            "item_id": ["course", "other", None, "live", None],
            "timestamp": at(1, 1, 1, 1, 1),
        }
    )
    tables = Tables(shop.events, shop.items, orders=orders)
    assert bought_unwatched(tables).index.tolist() == [1, 2, 3]
    subscriptions = Tables(shop.events, orders=orders.drop(columns="item_id"))
    assert bought_unwatched(subscriptions).index.tolist() == [2, 3]


def test_without_exposures_the_funnel_begins_with_watching(shop):
    pairs = funnel_pairs(Tables(shop.events, shop.items, orders=shop.orders))
    steps = funnel(pairs, rng=np.random.default_rng(0)).set_index("step")
    assert steps.index[0] == "watched" and np.isnan(steps.loc["watched", "rate"])
    assert pd.isna(steps.loc["watched", "of"])


def test_a_step_that_the_log_does_not_record_is_left_out_not_zero(shop):
    bare = Tables(
        shop.events[["user_id", "item_id", "timestamp"]],
        orders=shop.orders[["user_id", "item_id", "timestamp"]],
    )
    steps = funnel(funnel_pairs(bare), rng=np.random.default_rng(0))
    assert steps["step"].tolist() == ["watched", "ordered"]
    subscriptions = Tables(bare.events, orders=bare.orders.drop(columns="item_id"))
    pairs = funnel_pairs(subscriptions)
    assert "ordered" not in pairs and time_to_purchase(pairs).empty
    people = funnel(funnel_people(bare), steps=STEPS_OF_PEOPLE, rng=np.random.default_rng(0))
    assert people["step"].tolist() == ["watched", "ordered", "ordered again"]


@pytest.mark.parametrize("midnight", [0, 16])  # UTC, and Shanghai
def test_an_order_of_the_day_of_the_first_contact_follows_it_where_orders_are_days(midnight):
    day = pd.Timedelta(hours=midnight)
    tables = Tables.validated(
        events=pd.DataFrame(
            {"user_id": list("uvwx"), "item_id": "a", "timestamp": at(10, 34, 58, 34) + day}
        ),
        orders=pd.DataFrame(
            {"user_id": list("uvwx"), "item_id": "a", "timestamp": at(0, 72, 24, 48) + day}
        ),
    )
    pairs = funnel_pairs(tables)
    assert pairs.loc[pairs["ordered"], "user_id"].tolist() == ["u", "v", "x"]
    assert time_to_purchase(pairs)["hours"].tolist() == [0, 48, 24]
    people = funnel_people(tables).set_index("user_id")
    assert people["hours"].dropna().to_dict() == {"u": 0, "v": 48, "x": 24}
    assert people.index[people["ordered before"]].tolist() == ["w"]


def test_findings_say_how_many_people_are_lost_the_largest_loss_first():
    rates = {"rate": [np.nan, 0.5, 0.4, 0.2, 0.1], "low": 0.05, "high": 0.6}
    steps = pd.DataFrame(
        {
            "step": ["watched", "interacted", "ordered", "ordered again", "refunded"],
            "of": [None, "watched", "watched", "ordered", "ordered"],
            "n": [100.0, 50, 40, 8, 4],
            **rates,
        }
    )
    found = people_findings(steps)
    assert [finding.level for finding in found] == ["watch", "plain"]
    assert [sentence(finding) for finding in found] == [
        "60 of 100 people who watched ordered nothing from then to the end of the log: 60 % "
        "(40 % to 95 %).",
        "32 of 40 buyers had not ordered again by the end of the log: 80 % (40 % to 95 %).",
    ]
    steps.loc[steps["step"].isin(["ordered again", "refunded"]), ["n", "rate"]] = np.nan
    assert len(people_findings(steps)) == 1  # what is hidden stays hidden
    steps.loc[0, "n"] = np.nan
    assert people_findings(steps) == []


def test_the_totals_are_those_of_the_shop_with_the_whole_log_as_its_period(small_world):
    tables, _ = small_world
    figures = business_figures(tables, whole_log(tables), rng=np.random.default_rng(0))
    shop = figures.values["value"]
    totals = sales_totals(tables)
    assert totals["buyers"] == shop["paying_users"]
    assert totals["orders"] == shop["orders"]
    assert totals["paid"] == pytest.approx(shop["gmv"])
    assert totals["paid back"] == pytest.approx(shop["gmv"] - shop["net_revenue"])
    (found,) = refund_findings(tables.orders, rng=np.random.default_rng(0))
    assert found.values["share"] == pytest.approx(shop["refund_rate/money"])


def test_totals_hold_what_is_known():
    events = pd.DataFrame({"user_id": list("uuw"), "item_id": "a"})
    orders = pd.DataFrame({"user_id": list("uux"), "amount": [10.0, None, 5.0]})
    assert sales_totals(Tables(events)).to_dict() == {"people with an event": 2}
    known = {"people with an event": 2, "buyers": 2, "orders": 3}
    assert sales_totals(Tables(events, orders=orders[["user_id"]])).to_dict() == known
    assert sales_totals(Tables(events, orders=orders)).to_dict() == known | {"paid": 15}
    back = orders.assign(refund_amount=[4.0, None, None])
    assert sales_totals(Tables(events, orders=back))["paid back"] == 4


def test_findings_say_how_much_money_was_paid_back():
    rng = np.random.default_rng(0)
    orders = pd.DataFrame({"user_id": list("uvw"), "amount": 100.0, "refund_amount": 25.0})
    (found,) = refund_findings(orders, currency="CNY", rng=rng)
    said = "Of 300.00 CNY paid in the whole log 75.00 CNY was paid back: 25 % (25 % to 25 %)."
    assert sentence(found) == said
    assert refund_findings(orders[["user_id", "amount"]], rng=rng) == []
    assert refund_findings(orders[["user_id", "refund_amount"]], rng=rng) == []
    assert refund_findings(orders.assign(amount=0.0, refund_amount=0.0), rng=rng) == []


def test_findings_say_how_many_orders_are_of_what_was_never_watched(shop):
    orders = pd.DataFrame(
        {"user_id": list("xyyu"), "item_id": ["other", "live", "course", "course"]}
    )
    orders["timestamp"] = at(1, 1, 1, 1)
    unwatched = bought_unwatched(Tables(shop.events, shop.items, orders=orders))
    (found,) = unwatched_findings(unwatched, orders)
    assert sentence(found).startswith("3 of 4 orders (75 %) are of what their buyer was never seen")
    assert found.level == "watch"
    assert unwatched_findings(unwatched, orders, smallest_group=3) == []  # of two buyers
    assert unwatched_findings(unwatched.head(0), orders) == []
    bare = orders.drop(columns="item_id")
    (of_buyers,) = unwatched_findings(bare.head(1), bare)
    assert "of buyers who were never seen to watch anything" in sentence(of_buyers)
    people = pd.DataFrame({"user_id": list("uvwx"), "ordered before": [True, False, False, False]})
    outside = outside_funnel(unwatched, orders, people)
    assert outside[["n", "of", "share", "n_users"]].values.tolist() == [
        [3, 4, 0.75, 2],
        [1, 4, 0.25, 1],
    ]


def test_a_purchase_that_two_items_led_to_is_two_pairs(shop):
    """Only u follows: the live, which sells the course, and the course itself lead to one order."""
    both = pd.DataFrame({"user_id": "u", "item_id": ["live", "course"], "timestamp": at(1, 2)})
    pairs = funnel_pairs(Tables(both, shop.items, orders=shop.orders))
    (found,) = pairs_findings(pairs)
    assert sentence(found) == (
        "The 2 pairs of person and item that end in an order are 1 purchases of a course: one "
        "counts for each item that led to it."
    )
    one = funnel_pairs(Tables(both.head(1), shop.items, orders=shop.orders))
    assert "as many purchases" in sentence(pairs_findings(one)[0])
    assert pairs_findings(funnel_pairs(Tables(both, shop.items))) == []


IN_A_GAP = (
    "Of 100 purchases of a course 47 % come within 30 minutes of the first contact and 45 % after "
    "more than 7 days; 8 % lie between, and so does the median (58 hours): it tells of neither "
    "kind."
)


def test_a_median_between_two_kinds_of_purchase_is_said_to_tell_of_neither():
    hours = pd.Series([0.2] * 47 + [58.0] * 8 + [400.0] * 45)
    (found,) = waiting_findings(hours, "purchases of a course")
    assert sentence(found) == IN_A_GAP
    shares = waiting_shares(hours).set_index("after")
    assert shares["n"].tolist() == [47, 0, 8, 45, 0]
    assert shares["share"].sum() == pytest.approx(1)
    many_at_once = pd.Series([0.2] * 60 + [400.0] * 40)
    (found,) = waiting_findings(many_at_once, "purchases of a course")
    assert sentence(found).endswith(
        "60 % come within 30 minutes of the first contact and 40 % after more than 7 days."
    )


def test_whole_days_wait_from_the_same_day_on():
    days = pd.Series([0.0, 0.0, 0.0, 24.0, 240.0])
    (found,) = waiting_findings(days, "first orders of a person", are_days=True)
    assert "60 % come on the day of the first contact and 20 % after" in sentence(found)
    assert waiting_shares(days, are_days=True)["n"].tolist() == [3, 1, 0, 1, 0]


def test_findings_say_how_many_were_active_again():
    cohorts = pd.DataFrame({"users": [10, 30, 5], 0: 1.0, 1: [0.5, 0.4, np.nan]})
    (found,) = returning_findings(cohorts, days=7)
    assert sentence(found).startswith(
        "17 of 40 people were active again in the period of 7 days after their first: 42.5 % ("
    )
    assert found.values["low"] < 17 / 40 < found.values["high"]
    assert returning_findings(cohorts.tail(1), days=7) == []
    assert returning_findings(cohorts[["users", 0]], days=7) == []
