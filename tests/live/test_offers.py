"""What an offer does: by hand, equal to a Poisson regression, and covering where it is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from kpay_lab.live.minutes import Minutes
from kpay_lab.live.offers import offer_effect, offer_effects
from kpay_lab.live.sessions import LiveSessions

START = pd.Timestamp("2026-01-05 12:00", tz="UTC")


def effect_of(*sessions, window, of_item=False):
    """The effect in sessions, each a list of minutes (viewer seconds, orders, offers)."""
    return offer_effect(*evenings(*sessions), window=window, of_item=of_item)


def evenings(*sessions):
    """Minutes and offers of sessions that sell one item; an order and an offer a row of its own."""
    watched = {}
    rows = {"orders": [], "offers": []}
    names = [f"s{number}" for number in range(len(sessions))]
    for session, minutes in zip(names, sessions, strict=True):
        for minute, (seconds, n_orders, n_offers) in enumerate(minutes):
            watched[session, minute] = seconds
            moment = START + pd.Timedelta(minutes=minute, seconds=30)
            rows["orders"] += [(session, "course", moment)] * int(n_orders)
            rows["offers"] += [(session, "course", moment)] * int(n_offers)
    columns = ["session", "item_id", "moment"]
    orders, offers = (pd.DataFrame(some, columns=columns) for some in rows.values())
    by_minute = pd.DataFrame({"viewer_seconds": watched}).rename_axis(["session", "minute"])
    starts = pd.DataFrame({"started_at": START}, index=pd.Index(names, name="session"))
    live = LiveSessions(starts, pd.DataFrame(), pd.DataFrame(), orders, 0)
    return Minutes(live, by_minute), offers


BY_HAND = [(60, 1, 0), (120, 3, 1), (120, 1, 0), (60, 0, 0), (60, 1, 0)]


def test_one_session_by_hand():
    """An offer in the second minute, a window of two: 4 orders in 4 minutes against 2 in 3."""
    found = effect_of(BY_HAND, window=2)
    assert found.table()["orders"].tolist() == [4, 2]
    assert found.table()["watched"].tolist() == [4, 3]
    assert found.ratio.estimate == pytest.approx((4 / 4) / (2 / 3))
    error = np.sqrt(1 / 4 + 1 / 2)
    assert found.ratio.high == pytest.approx(1.5 * np.exp(1.959964 * error))
    assert found.extra_orders.estimate == pytest.approx(4 - 2 * 4 / 3)
    assert found.extra_orders.high == pytest.approx(4 / 3 + 1.959964 * np.sqrt(4 + 2 * 16 / 9))
    assert found.by_wait["orders"].tolist() == [3, 1, 0, 1]
    assert found.by_wait["rate"].tolist() == [1500, 500, 0, 1000]
    assert found.by_wait["low"].iloc[2] == 0


def test_a_second_offer_begins_anew_and_no_minute_counts_twice():
    rows = [(60, 0, 1), (60, 0, 0), (60, 0, 1), (60, 1, 0), (60, 1, 0), (60, 1, 0)]
    found = effect_of(rows, window=3)
    assert found.table()["watched"].tolist() == [5, 1]
    assert found.n_offers == 2


def test_windows_that_leave_nothing_to_compare_with_are_left_out():
    table = offer_effects(*evenings(BY_HAND), (2, 3, 9))
    assert table.index.tolist() == [2, 3, 9]
    whole = offer_effects(*evenings(BY_HAND[1:]), (2, 3, 9))
    assert whole.index.tolist() == [2, 3]


def test_a_session_without_an_offer_or_without_other_minutes_is_not_compared():
    no_offer = [(60, 5, 0)] * 4
    nothing_else = [(60, 5, 1)] * 4
    found = effect_of(BY_HAND, no_offer, nothing_else, window=2)
    assert len(found.by_stratum) == 1
    with pytest.raises(ValueError, match="both after an offer and without one"):
        effect_of(no_offer, nothing_else, window=2)


def test_orders_of_another_item_are_no_orders_of_the_offer():
    """The book is bought throughout, and the course after its offer alone."""
    minutes, offers = evenings([(60, 1, 0), (60, 1, 1), (60, 1, 0), (60, 1, 0), (60, 1, 0)])
    orders = minutes.live.orders
    books = orders.assign(item_id="book")
    courses = pd.concat([orders.iloc[[1, 2]], orders.iloc[[4]]])
    live = replace(minutes.live, orders=pd.concat([books, courses]))
    minutes = replace(minutes, live=live)
    of_item = offer_effect(minutes, offers, window=2)
    assert of_item.table()["orders"].tolist() == [2, 1]
    assert of_item.ratio.estimate == pytest.approx((2 / 2) / (1 / 3))
    assert of_item.what == "the item offered"
    of_all = offer_effect(minutes, offers, window=2, of_item=False)
    assert of_all.table()["orders"].tolist() == [4, 4]


def test_without_stays_plain_minutes_are_compared():
    rows = [(np.nan, orders, offers) for _, orders, offers in BY_HAND]
    found = effect_of(rows, window=2)
    assert found.table()["watched"].tolist() == [2, 3]
    assert not found.is_watched


def test_a_good_session_does_not_make_offers_look_good():
    """Within each session offers change nothing; the busy one has more of them."""
    quiet = [(600, 1, 0)] * 8 + [(600, 1, 1), (600, 1, 0)]
    busy = [(600, 5, 1), (600, 5, 0)] * 4 + [(600, 5, 0)] * 2
    found = effect_of(quiet, busy, window=2)
    assert found.ratio.estimate == pytest.approx(1)
    table = found.table()["per_1000"]
    assert table.iloc[0] > 1.5 * table.iloc[1]


def drawn(rng, effect, n_sessions=30):
    sessions = []
    for _ in range(n_sessions):
        rate = np.exp(rng.normal(-6.5, 0.7))
        seconds = rng.integers(60, 2000, 50)
        offers = (rng.random(50) < 0.06).astype(int)
        offers[10] = 1
        is_after = np.convolve(offers, np.ones(5))[:50] > 0
        orders = rng.poisson(rate * seconds * np.where(is_after, effect, 1.0))
        sessions.append(list(zip(seconds, orders, offers, strict=True)))
    return evenings(*sessions)


def test_the_ratio_is_near_that_of_a_poisson_regression_with_a_level_a_session():
    found = offer_effect(*drawn(np.random.default_rng(0), 1.6), window=5)
    sums = found.by_stratum
    orders = np.append(sums["orders_after"], sums["orders_other"])
    watched = np.append(sums["watched_after"], sums["watched_other"])
    levels = np.vstack([np.eye(len(sums)), np.eye(len(sums))])
    is_after = np.repeat([1.0, 0.0], len(sums))[:, None]
    model = sm.GLM(
        orders, np.hstack([is_after, levels]), family=sm.families.Poisson(), exposure=watched
    )
    fitted = model.fit()
    low, high = np.exp(fitted.conf_int()[0])
    assert found.ratio.estimate == pytest.approx(np.exp(fitted.params[0]), rel=0.03)
    assert found.ratio.low == pytest.approx(low, rel=0.03)
    assert found.ratio.high == pytest.approx(high, rel=0.03)


@pytest.mark.slow
def test_the_interval_covers():
    rng = np.random.default_rng(0)
    n_repetitions = 2000
    covered = 0
    for _ in range(n_repetitions):
        found = offer_effect(*drawn(rng, 1.6, n_sessions=5), window=5).ratio
        covered += found.low <= 1.6 <= found.high
    error = np.sqrt(0.95 * 0.05 / n_repetitions)
    assert covered / n_repetitions == pytest.approx(0.95, abs=3.5 * error)
