import numpy as np
import pandas as pd
import pytest

from kpay_lab.findings import sentence
from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.popularity import Popularity, Random
from kpay_lab.world import feedback as f
from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.shop import build_world, purchase_probability


@pytest.fixture(scope="module")
def world():
    return build_world(WorldSpec(n_users=120, n_items=60, n_days=30, seed=0))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_every_place_of_a_list_is_shown_and_an_empty_one_is_not(world):
    lists = np.array([[3, 1, -1], [2, -1, -1]])
    shown = f.show(world, np.array([7, 9]), lists, rng=rng())
    assert shown[["user", "item", "position"]].to_numpy().tolist() == [
        [7, 3, 1],
        [7, 1, 2],
        [9, 2, 1],
    ]


def test_nobody_buys_twice(world):
    users, offers = np.arange(120), world.items.offer
    lists = np.tile(np.arange(60), (120, 1))
    owned = np.zeros((120, 60), dtype=bool)
    rounds = [f.show(world, users, lists, rng=rng(s), owned=owned) for s in range(30)]
    sold = pd.concat(rounds).query("purchased")
    assert len(sold) > 100
    assert not sold.duplicated(["user", "offer"]).any()
    assert owned.sum() == len(sold)
    assert (offers[sold["item"]] == sold["offer"]).all()


def test_money_is_the_price_less_coupon_and_refund(world):
    lists = np.tile(np.arange(60), (120, 1))
    treated = np.arange(120) % 2
    shown = f.show(world, np.arange(120), lists, rng=rng(), treated=treated)
    sold = shown[shown["purchased"]]
    price = world.items.price[sold["item"]] * np.where(sold["user"] % 2 == 1, 0.8, 1.0)
    assert sold["paid"].to_numpy() == pytest.approx(price)
    assert sold["revenue"].to_numpy() == pytest.approx(price * (sold["refunded"] == 0))
    assert shown.loc[~shown["purchased"], ["paid", "revenue"]].to_numpy().sum() == 0


@pytest.mark.slow
def test_what_is_paid_agrees_with_the_worlds_probabilities(world):
    """One place a list, 2,000 evenings: the mean paid is price times probability."""
    users, item = np.arange(120), int(np.flatnonzero(world.items.offer == np.arange(60))[0])
    lists, luck = np.full((120, 1), item), rng()
    paid = [f.show(world, users, lists, rng=luck)["paid"].mean() for _ in range(2000)]
    chance = purchase_probability(world, users, np.full(120, item))
    price = world.items.price[item]
    se = price * np.sqrt((chance * (1 - chance)).mean() / (120 * 2000))
    assert np.mean(paid) == pytest.approx(price * chance.mean(), abs=3.5 * se)


def test_a_round_is_measured(world):
    curve = f.play(world, f.Strategy(Random()), n_rounds=2, k=5, rng=rng())
    assert list(curve) == ["round", *f.MEASURES]
    assert curve["round"].tolist() == [0, 1, 2]
    assert curve["satisfaction"].between(0, 1).all()
    assert curve["coverage"].iloc[0] == 1.0  # 600 places, 60 items, by chance
    assert (curve["satisfaction"] < f.best_satisfaction(world, 5)).all()


def test_the_interest_matrix_learns_from_clicks_and_purchases(world):
    lists = np.tile(np.arange(60), (120, 1))
    owned = np.zeros((120, 60), dtype=bool)
    shown = f.show(world, np.arange(120), lists, rng=rng(), owned=owned).assign(round=0)
    train = f._training(world, shown)
    opened = shown[shown["clicked"]]
    met = np.zeros((120, 60), dtype=bool)
    met[opened["user"], opened["item"]] = True
    met |= owned
    stored = train.interest.values.tocoo()
    assert (met[stored.row, stored.col]).all() and stored.nnz == met.sum()
    assert len(train.tables.orders) == owned.sum()


def test_exploration_replaces_its_share_and_repeats_nothing():
    lists = np.tile(np.arange(10), (4000, 1))
    mixed = f._explore(lists, 0.3, 40, rng())
    assert all(len(set(row)) == 10 for row in mixed.tolist())
    # a place changes if chosen (0.3) and its drawn item is not in the list (30 of 40)
    assert (mixed != lists).mean() == pytest.approx(0.3 * 0.75, abs=3.5 * np.sqrt(0.17 / 40_000))
    assert (f._explore(lists, 0.0, 40, rng()) == lists).all()


def test_all_strategies_start_from_the_same_round_and_a_replay_is_equal(world):
    loops = {"popularity": f.Strategy(Popularity()), "ease": f.Strategy(EASE(reg=50.0), 0.2)}
    size = {"n_rounds": 2, "k": 5, "n_runs": 2}
    first, again = (f.play_all(world, loops, rng=rng(), **size) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    starts = first[first["round"] == 0].groupby("run")[list(f.MEASURES)].nunique()
    assert (starts == 1).all(axis=None)
    assert first.groupby(["strategy", "run"]).size().tolist() == [3] * 4


def test_popularity_closes_in_on_a_few_and_exploration_keeps_the_catalogue_open(world):
    loops = {
        "popularity": f.Strategy(Popularity()),
        "ease": f.Strategy(EASE(reg=50.0)),
        "exploring": f.Strategy(EASE(reg=50.0), 0.2),
    }
    curves = f.play_all(world, loops, n_rounds=5, k=5, n_runs=2, rng=rng())
    end = curves[curves["round"] == 5].groupby("strategy")[list(f.MEASURES)].mean()
    assert end.loc["popularity", "coverage"] < 0.4 < end.loc["exploring", "coverage"]
    assert end.loc["popularity", "gini"] > end.loc["ease", "gini"] > end.loc["exploring", "gini"]
    start = curves[curves["round"] == 0]["satisfaction"].mean()
    assert end.loc["ease", "satisfaction"] > start + 0.02


def curves_of(revenue):
    """Two rounds after the first; ``revenue`` of a round by strategy and run."""
    rows = []
    for strategy, by_run in revenue.items():
        for run, amount in enumerate(by_run):
            covered = {"popularity": 0.1, "ease": 0.5}.get(strategy, 0.9)
            rows.append((strategy, run, 0, 7.0, 1.0))
            rows += [(strategy, run, number, amount, covered) for number in (1, 2)]
    return pd.DataFrame(rows, columns=["strategy", "run", "round", "revenue", "coverage"])


NAMES = {"exploring": "ease, some by chance", "greedy": "ease", "simplest": "popularity"}


def test_a_lead_in_revenue_is_paired_by_run_and_leaves_the_first_round_out():
    curves = curves_of({"popularity": [2, 4, 3], "ease": [5, 7, 7], NAMES["exploring"]: [5, 6, 9]})
    lead, revenue = f.revenue_lead(curves, "ease", "popularity")
    # differences 6, 6, 8 over two rounds: mean 20/3, standard error 2/3, t 4.303
    assert lead.estimate == pytest.approx(20 / 3) and revenue == 6
    assert lead.low == pytest.approx(20 / 3 - 4.3027 * 2 / 3, abs=1e-3)
    learning, exploring, narrowing = f.loop_findings(curves, **NAMES, currency="CNY")
    assert sentence(learning).startswith("In the feedback loop ease earns more than popularity")
    assert "6.67 CNY a user in 2 rounds" in sentence(learning)
    assert learning.values["share"] == pytest.approx(20 / 3 / 6)
    assert sentence(exploring).startswith("Whether exploring pays or costs is not shown")
    assert "from 100 % of the catalogue to 10 % with popularity and to 90 %" in sentence(narrowing)


def test_exploring_pays_or_costs_where_its_interval_leaves_out_0():
    paying = {"popularity": [2, 4, 3], "ease": [5, 7, 7], NAMES["exploring"]: [7, 9, 9.1]}
    _, found, _ = f.loop_findings(curves_of(paying), **NAMES)
    assert sentence(found).startswith("Exploring pays")
    costing = paying | {NAMES["exploring"]: [3, 5, 5.1]}
    _, found, _ = f.loop_findings(curves_of(costing), **NAMES)
    assert sentence(found).startswith("Exploring costs money")
    nothing = paying | {NAMES["exploring"]: [5, 7, 7]}
    assert len(f.loop_findings(curves_of(nothing), **NAMES)) == 2  # no interval, so no lead
