"""A running test is followed by what was known at each look, on logs small enough to read."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.experiments.followed import (
    compare_windows,
    follow_test,
    matured_outcomes,
    window_findings,
)
from kpay_lab.findings import sentence
from kpay_lab.world.simulate import WorldSpec, simulate

START = pd.Timestamp("2026-01-01", tz="UTC")


def day(number):
    return START + pd.Timedelta(days=number)


def shop(exposures, orders=()):
    """Exposures are (user, day, treatment); orders (user, day, amount, refund, day of refund)."""
    shown = pd.DataFrame(exposures, columns=["user_id", "timestamp", "treatment"])
    shown["timestamp"] = shown["timestamp"].map(day)
    names = ["user_id", "timestamp", "amount", "refund_amount", "refunded_at"]
    paid = pd.DataFrame(orders, columns=names)
    paid["timestamp"] = pd.to_datetime(paid["timestamp"].map(day), utc=True)
    paid["refunded_at"] = pd.to_datetime(paid["refunded_at"].map(day, na_action="ignore"), utc=True)
    shown["item_id"] = "i"
    events = shown[["user_id", "item_id", "timestamp"]]
    return Tables(events=events, exposures=shown, orders=paid.assign(item_id="i"))


ARRIVALS = [
    ("a", 0, 0.0),
    ("b", 1, 1.0),
    ("a", 3, 0.0),
    ("c", 2, 1.0),
    ("late", 9, 0.0),
    ("z", 12, 1),
]


def test_an_outcome_is_what_fell_into_the_users_own_window():
    orders = [
        ("a", 0.0, 10.0, None, None),  # at the moment of arrival
        ("a", 5.0, 7.0, None, None),  # the window of 4 days is over
        ("b", 0.5, 20.0, None, None),  # before arrival
        ("b", 4.9, 30.0, 30.0, 5.1),  # paid back after the window: nobody knew
        ("c", 3.0, 40.0, 15.0, 4.0),  # paid back within it
        ("late", 10.0, 5.0, 5.0, None),  # a refund without a date is known with its order
    ]
    found = matured_outcomes(shop(ARRIVALS, orders), window_days=4, margin=1.0)
    assert found["user_id"].tolist() == ["a", "b", "c"]  # the window of the others is not over
    assert found["profit"].tolist() == [10.0, 30.0, 25.0]
    assert found["treated"].tolist() == [False, True, True]
    assert found["known_at"].tolist() == [day(4), day(5), day(6)]


def test_nothing_that_happens_later_changes_an_outcome():
    """Cut the log anywhere: whoever was known by then has the same outcome."""
    rng = np.random.default_rng(0)
    exposures = [(f"u{n}", rng.uniform(0, 40), float(n % 2)) for n in range(120)]
    orders = []
    for number in range(300):
        paid = rng.uniform(0, 60)
        refund = (5.0, paid + rng.exponential(5)) if number % 4 == 0 else (None, None)
        orders.append((f"u{rng.integers(120)}", paid, rng.exponential(20), *refund))
    tables = shop(exposures, orders)
    whole = matured_outcomes(tables, window_days=5, margin=0.6).set_index("user_id")
    for cut in (12, 25, 38):
        so_far = matured_outcomes(tables.known_at(day(cut)), window_days=5, margin=0.6)
        then = so_far.set_index("user_id")
        assert len(then) > 10
        pd.testing.assert_frame_equal(then, whole.loc[then.index])


def random_test(seed):
    """A few users whose moments are whole days, so that many fall on the edge of a window."""
    rng = np.random.default_rng(seed)
    names = np.array(list("abcdefgh"))
    arm_of = dict(zip(names, rng.integers(0, 2, len(names)).astype(float), strict=True))
    shown = [(user, int(rng.integers(0, 15)), arm_of[user]) for user in rng.choice(names, 20)]
    shown += [(user, int(rng.integers(0, 15)), None) for user in rng.choice(names, 3)]
    orders = []
    for user in rng.choice([*names, "x"], 30):  # nobody showed x anything
        bought = int(rng.integers(0, 18))
        refund = float(rng.integers(0, 5)) if rng.random() < 0.4 else None
        refunded = bought + int(rng.integers(0, 5)) if refund and rng.random() < 0.7 else None
        orders.append((user, bought, float(rng.integers(5, 50)), refund, refunded))
    return shop(shown, orders)


def slowly(tables, window):
    """Look at every order of every user, one by one: user → when it is known, and the sum."""
    in_test = tables.exposures.dropna(subset="treatment")
    found = {}
    for user, theirs in in_test.groupby("user_id"):
        arrived = theirs["timestamp"].min()
        known_at = arrived + window
        total = 0.0
        for order in tables.orders.itertuples():
            if order.user_id != user or not arrived <= order.timestamp <= known_at:
                continue
            was_known = pd.isna(order.refunded_at) or order.refunded_at <= known_at
            total += order.amount - (np.nan_to_num(order.refund_amount) if was_known else 0.0)
        found[user] = (known_at, total)
    return found


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), window=st.integers(1, 9))
def test_outcomes_are_those_of_the_slow_way_for_every_window(seed, window):
    tables = random_test(seed)
    expected = slowly(tables, pd.Timedelta(days=window))
    end = max(frame["timestamp"].max() for frame in tables.present().values())
    found = matured_outcomes(tables, window_days=window, margin=1.0).set_index("user_id")
    in_time = {user for user, (known_at, _) in expected.items() if known_at <= end}
    assert set(found.index) == in_time
    assert found["known_at"].is_monotonic_increasing
    for user, row in found.iterrows():
        assert (row["known_at"], row["profit"]) == expected[user]
    windows = [window / 2, window, 2 * window]
    together = compare_windows(tables, windows, margin=0.6)
    alone = {one: compare_windows(tables, [one], margin=0.6) for one in windows}
    for one, table in alone.items():
        row = together[together.index == one]
        np.testing.assert_array_equal(row.astype(float), table.astype(float))


def test_profit_takes_the_coupon_off_the_treated():
    orders = [("a", 1.0, 10.0, None, None), ("b", 2.0, 8.0, None, None)]
    terms = {"window_days": 4, "margin": 0.6, "coupon_price": 0.8}
    found = matured_outcomes(shop(ARRIVALS, orders), **terms)
    assert found["profit"].tolist() == pytest.approx([6.0, 4.0, 0.0])


def test_without_orders_purchases_are_followed():
    tables = shop(ARRIVALS)
    exposures = tables.exposures.assign(purchased=[0, 1, 1, 1, 0, 0])
    without = Tables(events=tables.events, exposures=exposures)
    found = matured_outcomes(without, window_days=4, margin=0.6)
    assert found["purchased"].tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(TooLittleError, match="neither orders nor purchases"):
        matured_outcomes(Tables(tables.events, exposures=tables.exposures), window_days=4, margin=1)


def test_the_last_moment_of_a_window_belongs_to_it():
    """Of an order, of a refund, and of the log; a window may be half a day."""
    arrivals = [("a", 0, 0.0), ("b", 1, 1.0), ("c", 8, 1.0), ("z", 12, 1.0)]
    orders = [
        ("a", 4.0, 10.0, None, None),
        ("b", 2.0, 20.0, 5.0, 5.0),
    ]
    found = matured_outcomes(shop(arrivals, orders), window_days=4, margin=1.0)
    assert found["user_id"].tolist() == ["a", "b", "c"]  # c's window ends with the log
    assert found["profit"].tolist() == [10.0, 15.0, 0.0]
    short = matured_outcomes(shop(arrivals, orders), window_days=0.5, margin=1.0)
    assert short["profit"].tolist() == [0.0, 0.0, 0.0]


def test_a_purchase_that_nobody_noted_is_none():
    tables = shop(ARRIVALS)
    exposures = tables.exposures.assign(purchased=[None, 1, 1, 1, 0, 0])
    without = Tables(events=tables.events, exposures=exposures)
    found = matured_outcomes(without, window_days=4, margin=0.6)
    assert found.set_index("user_id")["purchased"].to_dict() == {"a": 1.0, "b": 1.0, "c": 1.0}
    exposures = tables.exposures.assign(purchased=[None, 1, None, 1, 0, 0])
    without = Tables(events=tables.events, exposures=exposures)
    found = matured_outcomes(without, window_days=4, margin=0.6)
    assert found.set_index("user_id")["purchased"].to_dict() == {"a": 0.0, "b": 1.0, "c": 1.0}


@pytest.mark.parametrize(("n_control", "n_treated"), [(1, 9), (9, 1)])
def test_each_arm_needs_two_users(n_control, n_treated):
    def log(n_control, n_treated):
        arms = [0.0] * n_control + [1.0] * n_treated
        arrivals = [(f"u{number}", number / 10, arm) for number, arm in enumerate(arms)]
        return shop([*arrivals, ("z", 30, 0.0)], [("u0", 1.0, 5.0, None, None)])

    with pytest.raises(TooLittleError, match=r"10 of 11 users .* each arm needs 2"):
        follow_test(log(n_control, n_treated), window_days=4, margin=1.0)
    two = follow_test(log(2, 2), window_days=4, margin=1.0)
    assert len(two.outcomes) == 4 and two.stopped_on is None


def test_a_test_that_is_too_young_says_so():
    with pytest.raises(TooLittleError, match="0 of 5 users arrived 30 days or more before the end"):
        follow_test(shop(ARRIVALS, [("a", 1.0, 5.0, None, None)]), window_days=30, margin=1.0)
    with pytest.raises(ValueError, match="window_days is 0; it must be above 0"):
        matured_outcomes(shop(ARRIVALS), window_days=0, margin=1.0)


def big_effect(n=1500, gain=1.0):
    rng = np.random.default_rng(0)
    arrival = np.sort(rng.uniform(0, 30, n))
    treated = rng.random(n) < 0.5
    exposures = [(f"u{i}", arrival[i], float(treated[i])) for i in range(n)]
    orders = []
    for i in range(n):
        amount = rng.exponential(20) + gain * 20 * treated[i]
        orders.append((f"u{i}", arrival[i] + rng.uniform(0, 10), amount, None, None))
    return shop(exposures, orders)


def test_a_test_stops_when_what_was_known_told_the_arms_apart():
    followed = follow_test(big_effect(), window_days=7, margin=1.0)
    stopped_at = followed.sequence.stopped_at
    assert 100 <= stopped_at < 700
    moment = followed.outcomes["known_at"].iloc[stopped_at - 1]
    assert followed.stopped_on == moment
    said = followed.sentence()
    assert f"after {stopped_at:,} users" in said
    assert said.startswith("A look counts the profit of the 7 days after arrival, of users")
    assert f"{(moment - followed.started_on) / pd.Timedelta(days=1):.0f} days" in said
    calm = follow_test(big_effect(gain=0.0), window_days=7, margin=1.0)
    assert calm.stopped_on is None and "no look told the arms apart" in calm.sentence()


def test_another_window_counts_other_outcomes_and_may_stop_at_another_time():
    """Coupons bring purchases forward: more in the first day, as many in thirty."""
    rng = np.random.default_rng(0)
    exposures = []
    orders = []
    for number in range(1200):
        arrived = number / 40
        is_treated = number % 2
        exposures.append((f"u{number}", arrived, float(is_treated)))
        delay = rng.uniform(0, 1) if is_treated else rng.uniform(0, 20)
        amount = rng.exponential(20)
        orders.append((f"u{number}", arrived + delay, amount, None, None))
    tables = shop(exposures, orders)
    found = compare_windows(tables, [1, 20, 300], margin=1.0)
    assert found.index.tolist() == [1, 20]  # nobody's 300 days are over
    assert compare_windows(tables, [300], margin=1.0).empty
    assert found.loc[1, "stopped_at"] == 100 and np.isnan(found.loc[20, "stopped_at"])
    assert found.loc[1, "low"] > 0 > found.loc[20, "low"]
    alone = follow_test(tables, window_days=20, margin=1.0)
    assert found.loc[20, "users"] == len(alone.outcomes)
    assert found.loc[20, "difference"] == alone.sequence.difference[-1]


def test_the_interval_is_narrowest_near_half_of_the_users():
    tables = big_effect()
    followed = follow_test(tables, window_days=7, margin=1.0)
    pd.testing.assert_frame_equal(
        followed.outcomes, matured_outcomes(tables, window_days=7, margin=1.0)
    )
    run = followed.sequence
    against_one_look = (run.high - run.low)[200:] / run.se[200:]
    assert 201 + against_one_look.argmin() == pytest.approx(1500 / 2, rel=0.05)


def null_shop(rng, n=1200):
    """Users who come soon or late, one in six buys, a few buy very much; nothing is treated."""
    arrival = np.minimum(rng.exponential(12, n), 55)
    ids = pd.Series([f"u{i}" for i in range(n)])
    times = START + pd.to_timedelta(arrival, unit="D")
    treatment = (rng.random(n) < 0.5).astype(float)
    shown = pd.DataFrame(
        {"user_id": ids, "item_id": "i", "timestamp": times, "treatment": treatment}
    )
    n_orders = rng.poisson(0.25, n) * (rng.random(n) < 0.7)
    buyer = np.repeat(np.arange(n), n_orders)
    delay = pd.to_timedelta(rng.exponential(10, len(buyer)), unit="D")
    amount = rng.lognormal(3, 0.8, len(buyer))
    orders = pd.DataFrame(
        {
            "user_id": ids.to_numpy()[buyer],
            "item_id": "i",
            "timestamp": times[buyer] + delay,
            "amount": amount,
        }
    )
    events = shown[["user_id", "item_id", "timestamp"]]
    return Tables(events=events, exposures=shown, orders=orders[orders["timestamp"] < day(60)])


@pytest.mark.slow
def test_null_tests_followed_as_the_page_does_reject_as_promised():
    rng = np.random.default_rng(0)
    stopped = []
    for _ in range(2000):
        followed = follow_test(null_shop(rng), window_days=7, margin=0.6)
        stopped.append(followed.stopped_on is not None)
    print(f"followed null tests stop in {np.mean(stopped):.4f}")
    assert np.mean(stopped) <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.slow
def test_a_simulated_shop_whose_arms_are_drawn_anew_keeps_the_promise():
    """Outcomes as the shop has them, and arms that did nothing to them."""
    tables = simulate(WorldSpec(n_users=600, n_items=80, n_days=60, seed=0)).tables
    rng = np.random.default_rng(0)
    running = tables.exposures["treatment"].notna()
    users = tables.exposures["user_id"].unique()
    stopped = []
    for _ in range(2000):
        arm = pd.Series(rng.integers(0, 2, len(users)), users)
        drawn = tables.exposures["user_id"].map(arm).where(running)
        exposures = tables.exposures.assign(treatment=drawn)
        redrawn = Tables(tables.events, tables.items, exposures=exposures, orders=tables.orders)
        followed = follow_test(redrawn, window_days=7, margin=0.6)
        stopped.append(followed.stopped_on is not None)
    print(f"redrawn arms stop in {np.mean(stopped):.4f}")
    assert np.mean(stopped) <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 2000)


def test_the_answer_may_hang_on_the_window():
    windows = pd.Index([1.0, 7.0], name="window_days")
    by_window = pd.DataFrame({"users": [10, 9], "stopped_at": [np.nan, 5.0]}, windows)
    (some,) = window_findings(by_window)
    assert some.level == "watch"
    assert "with 1 of 2 it could, from 1 day to 7 days after arrival" in sentence(some)
    (none,) = window_findings(by_window.iloc[:1])
    assert sentence(none).startswith("With no window from 1 day to 1 day")
    (each,) = window_findings(by_window.iloc[1:])
    assert sentence(each).startswith("With each of 1 windows")
    assert window_findings(by_window.iloc[:0]) == []
