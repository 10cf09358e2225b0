"""A log of dates without an hour: nothing that needs hours is made of its midnights."""

import pandas as pd
import pytest

from kpay_lab.customers.features import habit_columns, user_features
from kpay_lab.customers.funnel import funnel_pairs
from kpay_lab.customers.purchases import train_and_test
from kpay_lab.data import Tables


@pytest.fixture(scope="module", params=[0, 16])  # midnight in UTC, and in Shanghai
def daily(request, small_world) -> Tables:
    frames = small_world.tables.present()
    midnight = pd.Timedelta(hours=request.param)
    for name in ("events", "orders", "exposures"):
        days = frames[name]["timestamp"].dt.floor("D")
        frames[name] = frames[name].assign(timestamp=days + midnight)
    return Tables(**frames)


def test_days_give_no_habit_of_hours(daily):
    habits = habit_columns(user_features(daily))
    assert habits
    assert not [name for name in habits if name.startswith("hour ")]


def test_a_funnel_of_days_cannot_be_split_by_the_hour(daily):
    assert "hour" not in funnel_pairs(daily)


@pytest.mark.parametrize("unit", ["course", "exposure"])
def test_no_model_of_purchases_learns_an_hour_from_days(daily, unit):
    train, test, _ = train_and_test(daily, unit=unit, warm_up=0.3, test_share=0.3)
    for data in (train, test):
        assert not [name for name in data.X if "hour" in name]
