"""Intervals cover: 500 shops of 200 users, whose orders have heavy tails."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.business.figures import FIGURES, business_figures
from kpay_lab.business.periods import Period
from kpay_lab.data.tables import Tables

PERIOD = Period(pd.Timestamp("2024-03-01", tz="UTC"), pd.Timestamp("2024-03-29", tz="UTC"))
BEFORE = PERIOD.before()
SHARE_REFUNDED = 0.12


def shop(n_users: int, rng: np.random.Generator) -> Tables:
    """Draw users who differ in how busy they are; amounts and stays are lognormal."""
    busy = rng.gamma(0.8, 1.25, n_users)
    tables = []
    for start in (BEFORE.start, PERIOD.start):
        views = rng.poisson(12 * busy)
        bought = rng.poisson(0.6 * busy)
        amount = rng.lognormal(4, 1, bought.sum())
        is_refunded = rng.random(bought.sum()) < SHARE_REFUNDED
        names = np.char.add("u", np.arange(n_users).astype(str))
        events = pd.DataFrame({"user_id": np.repeat(names, views), "item_id": "a"})
        events["watch_time"] = rng.lognormal(4, 1, len(events))
        orders = pd.DataFrame({"user_id": np.repeat(names, bought), "amount": amount})
        orders["refund_amount"] = np.where(is_refunded, amount, 0.0)
        tables.append((events.assign(timestamp=start), orders.assign(timestamp=start)))
    events = pd.concat([events for events, _ in tables], ignore_index=True)
    orders = pd.concat([orders for _, orders in tables], ignore_index=True)
    return Tables(events, orders=orders)


@pytest.fixture(scope="module")
def coverage():
    """Share of the intervals that hold the truth: of each figure, and of its change."""
    n_users = 200
    rng = np.random.default_rng(0)
    n_of_population = 2000 * n_users
    population = shop(n_of_population, rng)
    truth = business_figures(population, PERIOD, rng=rng, n_resamples=2).values["value"]
    totals = [key for key, one in FIGURES.items() if one.denominator is None]
    truth[totals] *= n_users / n_of_population
    held = []
    held_of_change = []
    for _ in range(500):
        values = business_figures(shop(n_users, rng), PERIOD, BEFORE, rng=rng).values
        in_value = values["low"].le(truth) & values["high"].ge(truth)
        in_change = values["change_low"].le(0) & values["change_high"].ge(0)
        held.append(in_value.where(values["low"].notna()))
        held_of_change.append(in_change.where(values["change_low"].notna()))
    found = {"value": pd.DataFrame(held).astype(float).mean()}
    found["change"] = pd.DataFrame(held_of_change).astype(float).mean()
    found["known"] = pd.DataFrame(held).notna().mean()
    return pd.DataFrame(found)


@pytest.mark.slow
@pytest.mark.parametrize("key", FIGURES)
def test_an_interval_covers(coverage, key):
    assert coverage.loc[key, "known"] > 0.8
    assert 0.92 <= coverage.loc[key, "value"] <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("key", FIGURES)
def test_the_interval_of_a_change_covers(coverage, key):
    assert 0.92 <= coverage.loc[key, "change"] <= 0.98
