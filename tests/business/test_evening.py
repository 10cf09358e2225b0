"""A live evening: the best hour of an audience, and the decision."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.business.evening import Evening, best_hour
from kpay_lab.findings import sentence
from kpay_lab.stats import Interval


def events_of(rows):
    frame = pd.DataFrame(rows, columns=["user_id", "timestamp"])
    return frame.assign(timestamp=pd.to_datetime(frame["timestamp"], utc=True))


def test_people_count_once_an_hour_and_days_without_them_count():
    rows = [("ann", "2026-01-05 19:01"), ("ann", "2026-01-05 19:59"), ("bob", "2026-01-05 19:30")]
    rows += [("ann", "2026-01-06 08:00"), ("else", "2026-01-08 23:00")]
    best = best_hour(events_of(rows), ["ann", "bob"])
    assert best.hour == "19:00"
    assert best.by_hour.loc["19:00", "people"] == 2 / 4
    assert best.by_hour.loc["08:00", "people"] == 1 / 4
    assert best.by_hour.loc["23:00", "people"] == 0


def test_hours_that_cannot_be_told_from_the_best():
    rows = []
    for day in range(1, 29):
        if day > 1:
            rows.append(("ann", f"2026-02-{day:02} 20:00"))
        if day % 2:
            rows += [("ann", f"2026-02-{day:02} 21:00"), ("bob", f"2026-02-{day:02} 21:00")]
        if day % 7 == 0:
            rows.append(("bob", f"2026-02-{day:02} 9:00"))
    best = best_hour(events_of(rows), ["ann", "bob"])
    assert best.by_hour["people"].loc[["20:00", "21:00", "09:00"]].tolist() == [27 / 28, 1, 4 / 28]
    assert best.hour == "21:00"
    assert best.tied == ["20:00"]
    (found,) = best.findings()
    assert "20:00 cannot be told from it" in sentence(found)
    assert len(best.plot().patches) == 24


def test_an_audience_that_never_came():
    with pytest.raises(ValueError, match="nobody of this audience"):
        best_hour(events_of([("ann", "2026-01-05 19:01")]), ["bob"])


@pytest.mark.parametrize(
    ("ends", "coupon", "level", "decision", "money"),
    [
        ((200.0, 50.0, 350.0), "give", "good", "and give the coupon", "The coupon pays: 200.00"),
        ((-200.0, -350.0, -50.0), "none", "bad", "give no coupon.", "costs more than it brings"),
        ((200.0, -50.0, 450.0), "open", "watch", "until more evenings", "is not shown: a profit"),
    ],
)
def test_the_decision_follows_the_interval(ends, coupon, level, decision, money):
    evening = Evening("Python", "Plots", "20:00", 243, Interval(*ends), 12)
    assert evening.coupon == coupon
    planned, paid = evening.findings()
    assert decision in sentence(planned)
    assert paid.level == level
    assert money in sentence(paid)
    assert "in one evening, tested on 12 evenings" in sentence(paid)


def test_one_day_tells_no_hour_apart():
    best = best_hour(events_of([("ann", "2026-01-05 19:01")]), ["ann"])
    assert np.isnan(best.by_hour["low"]).all()
    assert len(best.tied) == 23
    assert best.findings() == []


def test_the_same_on_every_day_is_told_apart():
    rows = [("ann", f"2026-02-{day:02} 20:00") for day in range(1, 15)]
    assert best_hour(events_of(rows), ["ann"]).tied == []
