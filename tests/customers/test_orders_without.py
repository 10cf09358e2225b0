"""Orders that name no item (a subscription) or no amount: what needs them is absent, not wrong."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kpay_lab.customers.conversion import net_prices
from kpay_lab.customers.features import user_features
from kpay_lab.customers.funnel import funnel_pairs, time_to_purchase
from kpay_lab.customers.purchases import default_unit, make_dataset, train_and_test
from kpay_lab.data.money import has_amounts, net_amount
from kpay_lab.data.tables import SCHEMAS, TooLittleError
from kpay_lab.evaluate.split import make_split
from kpay_lab.evaluate.value import has_revenue, held_back_revenue, net_revenue
from kpay_lab.experiments.by_user import randomised_users
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.world import WorldSpec
from kpay_lab.world.simulate import simulate

ABSENT = [("item_id",), ("amount",), ("item_id", "amount", "refund_amount")]


@pytest.fixture(scope="module")
def shop():
    """A small shop whose orders say everything."""
    return simulate(WorldSpec(n_users=120, n_items=30, n_days=30, seed=1)).tables


@pytest.fixture(params=ABSENT, ids="-".join)
def lacking(shop, request):
    """The same shop without some columns of its orders, and their names."""
    orders = shop.orders.drop(columns=list(request.param))
    SCHEMAS["orders"].validate(orders)
    return replace(shop, orders=orders), request.param


def test_everything_that_reads_orders_runs_without_their_items_and_amounts(shop, lacking):
    tables, absent = lacking
    assert not tables.ids("item_id").isna().any()
    features = user_features(tables)
    assert ("log mean amount" in features) == ("amount" not in absent)
    np.testing.assert_array_equal(features["log orders"], user_features(shop)["log orders"])
    pairs = funnel_pairs(tables)
    ordered = funnel_pairs(shop)["ordered"]
    assert ("ordered" in pairs) == ("item_id" not in absent)  # not known, rather than none
    if "ordered" in pairs:
        assert pairs["ordered"].equals(ordered)
    n_courses_bought = len(time_to_purchase(funnel_pairs(shop)))
    assert len(time_to_purchase(pairs)) == (0 if "item_id" in absent else n_courses_bought)
    start, end = tables.span()
    middle = start + (end - start) / 2
    data = make_dataset(tables, middle, end - middle, unit="exposure")
    assert ("usual log amount" in data.X) == ("amount" not in absent)
    assert (data.X["owned"].sum() > 0) == ("item_id" not in absent)
    price = net_prices(tables.items, tables.orders)
    assert price.notna().sum() == net_prices(shop.items, shop.orders).notna().sum()
    assert has_amounts(tables.orders) == net_amount(tables.orders).notna().any()
    assert interest_matrix(tables).values.nnz == interest_matrix(shop).values.nnz
    revenue = [
        metric.name for metric in randomised_users(tables).metrics if "revenue" in metric.name
    ]
    assert bool(revenue) == ("amount" not in absent)


def test_what_cannot_be_without_them_says_so(lacking):
    tables, absent = lacking
    split = make_split(tables, interest_matrix, how="time")
    assert not has_revenue(tables)
    assert net_revenue(tables.orders, tables.ids("user_id"), tables.ids("item_id")).sum() == 0
    with pytest.raises(ValueError, match="revenue needs orders with an item and an amount"):
        held_back_revenue(tables, split)
    if "item_id" not in absent:
        return
    with pytest.raises(TooLittleError, match="needs orders that name their item; none does"):
        make_split(tables, interest_matrix, how="time", relevant="purchase")
    with pytest.raises(TooLittleError, match="no order names its item"):
        make_dataset(tables, tables.span()[0] + pd.Timedelta(days=9), pd.Timedelta(days=9))


def test_pairs_and_items_are_held_back_from_orders_without_items_too(lacking):
    tables, _ = lacking
    parts = make_split(tables, interest_matrix, how="random_per_user")
    assert parts.train.tables.orders is not None


def test_where_no_order_names_its_item_the_first_order_of_a_person_is_foretold(shop):
    tables = replace(shop, orders=shop.orders.drop(columns="item_id"), exposures=None)
    assert default_unit(tables) == "person"
    start, end = tables.span()
    cut = start + (end - start) / 2
    data = make_dataset(tables, cut, end - cut, unit="person")
    bought_at = tables.orders.groupby("user_id")["timestamp"].min()
    first_seen = tables.events.groupby("user_id")["timestamp"].min()
    has_bought = bought_at.index[bought_at < cut]
    expected = first_seen.index[first_seen < cut].difference(has_bought)
    assert sorted(data.rows["user_id"]) == sorted(expected)
    buys_later = data.rows["user_id"].isin(bought_at.index).to_numpy()
    np.testing.assert_array_equal(data.y, buys_later)
    assert 0 < data.y.sum() < len(data.y)
    later_events = tables.events["timestamp"] >= cut
    without_future = replace(tables, events=tables.events.assign(like_count=0)[later_events])
    changed = pd.concat([tables.events[~later_events], without_future.events])
    same = make_dataset(replace(tables, events=changed), cut, end - cut, unit="person")
    pd.testing.assert_frame_equal(same.X, data.X)
    assert not any("order" in name for name in data.X)


def test_features_of_people_are_those_of_the_schema(shop):
    """Whatever else a table of users holds, such as an address, is no feature."""
    users = shop.users.assign(address=shop.users["user_id"])
    tables = replace(shop, users=users)
    start, end = tables.span()
    cut = start + (end - start) / 2
    data = make_dataset(tables, cut, end - cut, unit="person")
    assert "age" in data.X and "address" not in data.X
    of_one = tables.events[tables.events["user_id"] == data.rows["user_id"].iloc[0]]
    seconds = of_one.loc[of_one["timestamp"] < cut, "watch_time"].sum()
    assert data.X["log watch time"].iloc[0] == pytest.approx(np.log1p(seconds))
    ages = (cut - of_one["timestamp"]) / pd.Timedelta(days=1)
    assert data.X["log days since first"].iloc[0] == pytest.approx(np.log1p(ages.max()))
    since_last = ages[ages > 0].min()
    assert data.X["log days since last"].iloc[0] == pytest.approx(np.log1p(since_last))


@pytest.mark.parametrize("absent", [["item_id"], []])
def test_people_who_will_buy_are_told_from_those_who_will_not(shop, absent):
    tables = replace(shop, orders=shop.orders.drop(columns=absent), exposures=None)
    unit = "person" if absent else "course"
    assert default_unit(tables) == unit
    train, test, cut = train_and_test(tables, unit=unit, warm_up=0.2, test_share=0.3)
    assert train.rows["moment"].max() < cut == test.rows["moment"].min()
    assert list(train.X) == list(test.X)
