"""The share watched, the course sold and the age band, on rows small enough to read."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.derived import (
    A_FEW,
    age_band,
    are_whole_days,
    item_sold,
    main_label,
    watched_share,
)


@pytest.mark.parametrize(
    ("watch_time", "duration", "share"),
    [
        (30.0, 60.0, 0.5),
        (90.0, 60.0, 1.5),  # a replay is kept: the caller clips
        (0.0, 60.0, 0.0),
        (30.0, 0.0, np.nan),  # nothing lasts 0 s: the duration is not known
        (0.0, 0.0, np.nan),
        (None, 60.0, np.nan),
        (30.0, None, np.nan),
    ],
)
def test_a_share_needs_a_watch_time_and_a_duration_above_zero(watch_time, duration, share):
    log = pd.DataFrame({"watch_time": [watch_time], "duration": [duration]})
    assert watched_share(log).tolist() == pytest.approx([share], nan_ok=True)


def test_without_either_column_no_share_is_known():
    log = pd.DataFrame({"watch_time": [1.0, 2.0]}, index=[7, 9])
    assert watched_share(log).isna().tolist() == [True, True]
    assert watched_share(log).index.tolist() == [7, 9]


def test_an_item_sells_what_it_promotes_else_itself():
    items = pd.DataFrame({"item_id": ["a", "clip"], "promotes": [None, "a"]})
    asked = pd.Series(["clip", "a", "unlisted"], index=[3, 3, 5])
    assert item_sold(asked, items).tolist() == ["a", "a", "unlisted"]
    for without in (None, items[["item_id"]]):
        assert item_sold(asked, without).tolist() == asked.tolist()


def test_ages_fall_into_bands_from_young_to_old():
    bands = age_band(pd.Series([17.9, 18.0, 24.9, 25.0, 55.0, 110.0, None, 0.0]))
    named = ["under 18", "18-24", "18-24", "25-34", "55 and over", "55 and over", None, "under 18"]
    assert bands.astype("object").where(bands.notna(), None).tolist() == named
    assert bands.min() == "under 18" and bands.max() == "55 and over"


@pytest.mark.parametrize(
    ("texts", "are_days"),
    [
        (["2022-01-05", "2022-07-06"], True),
        (["2022-01-05"], True),
        (["2022-01-05 16:00", "2022-07-06 16:00"], True),  # midnight in Shanghai
        (["2022-01-05 05:00", "2022-07-06 04:00"], True),  # midnight in New York
        (["2022-01-05 00:00", "2022-07-06 23:00"], True),  # midnight in London
        (["2022-01-05 16:00", "2022-01-05 16:00"], False),  # one moment is no log of days
        (["2022-01-05", "2022-07-06 10:30"], False),
        ([None, None], False),
    ],
)
def test_times_are_days_where_all_are_a_midnight_of_one_zone(texts, are_days):
    times = pd.Series(pd.to_datetime(texts, utc=True, format="ISO8601"))
    assert are_whole_days(times) is are_days


def test_one_hour_at_the_end_of_many_dates_makes_them_no_days():
    dates = pd.Series(pd.date_range("2020-01-01", periods=2 * A_FEW, freq="D", tz="UTC"))
    assert are_whole_days(dates)
    last_with_an_hour = dates.mask(dates == dates.iloc[-1], dates + pd.Timedelta(hours=10))
    assert not are_whole_days(last_with_an_hour)
    first_with_hours = dates.mask(dates < dates.iloc[3], dates + pd.Timedelta(hours=10))
    assert not are_whole_days(first_with_hours)


def test_labels_that_are_all_missing_stay_so():
    assert main_label(pd.Series([None, None], dtype="str")).isna().all()
    assert main_label(pd.Series([np.nan, np.nan])).isna().all()
    assert main_label(pd.Series(["|War", "a\nb|c", None])).fillna("-").tolist() == ["", "a\nb", "-"]
