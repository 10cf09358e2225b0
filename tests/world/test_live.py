"""Live sessions of the simulated shop: as a public log has them, and true to their own truth."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.world import audience, live_sales
from kpay_lab.world.audience import draw_crowd, draw_visits, live_sessions
from kpay_lab.world.comments import TOPICS, write_comments
from kpay_lab.world.live import play_live
from kpay_lab.world.live_sales import added_orders, draw_purchases, expected_by_host
from kpay_lab.world.presets import FIELDS, N_TOPICS, WorldSpec
from kpay_lab.world.shop import build_world
from kpay_lab.world.simulate import open_shop, simulate

SPEC = WorldSpec(n_users=400, n_items=80, n_days=40)
NOTHING_BOUGHT = pd.DataFrame(columns=["user", "offer", "time"])
START = pd.Timestamp("2026-01-05", tz="UTC")


def gini(amounts):
    ordered, n = np.sort(amounts), len(amounts)
    return (2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum())


@pytest.fixture(scope="module")
def shop():
    return simulate(SPEC)


@pytest.fixture(scope="module")
def crowded():
    """The live log of a shop with 20,000 users, who all have been there before, and its world."""
    spec = WorldSpec(n_users=20_000, n_items=60, n_days=90)
    world = build_world(spec)
    everybody = pd.Series(0.0, np.arange(spec.n_users))
    return world, play_live(world, everybody, NOTHING_BOUGHT, 0, spec.streams()[7])


@pytest.fixture(scope="module")
def visits(crowded):
    world, live = crowded
    is_session = live.events["item"].isin(world.programme.sessions["item"])
    return live.events[is_session & live.events["watch_time"].notna()]


# --- realism, held: KuaiLive (Kuaishou, 5 to 25 May 2025; arXiv:2508.05633)


def test_interactions_come_at_the_rates_of_the_public_log(crowded, visits):
    is_reaction = crowded[1].events["watch_time"].isna()
    reactions = crowded[1].events[is_reaction]
    n = len(visits)
    assert 3.7 <= 100 * reactions["comment_count"].sum() / n <= 4.3  # 4.0
    assert 3.4 <= 100 * reactions["like_count"].sum() / n <= 4.0  # 3.7
    assert 1.3 <= 100 * reactions["gift_amount"].notna().sum() / n <= 1.66  # 1.48
    follows = crowded[1].follows
    assert 0.4 <= 100 * (follows["time"] >= 0).sum() / n <= 1.5  # not in the public log


def test_gifts_are_as_unequal_as_in_the_public_log(crowded, visits):
    gifts = crowded[1].events.dropna(subset="gift_amount")
    amount = gifts["gift_amount"]
    assert 55 <= amount.mean() <= 115  # 82.7
    assert 1.5 <= amount.median() <= 2.5  # 2
    assert 60 <= amount.quantile(0.9) <= 130  # 88
    assert 1000 <= amount.quantile(0.99) <= 2600  # 1,488
    of_giver = gifts.groupby("user")["gift_amount"].sum().sort_values()
    assert 0.92 <= gini(of_giver.to_numpy()) <= 0.965  # .94
    top = of_giver.tail(round(0.01 * len(of_giver)))
    assert 0.45 <= top.sum() / of_giver.sum() <= 0.72  # .60
    leave = visits.set_index("session")["time"] + visits.set_index("session")["watch_time"]
    inside = gifts["time"] < gifts["session"].map(leave)
    assert 0.975 <= inside.mean() <= 0.996  # .988


def test_stays_are_seconds_for_most_and_hours_in_the_tail(visits):
    stay = visits["watch_time"]
    assert stay.min() >= 1
    assert (stay < 60).mean() > 0.55
    assert 300 < stay.quantile(0.95) < 3600
    assert 3600 < stay.max() < 5 * 3600


def test_visits_peak_at_noon_and_in_the_evening(visits):
    per_hour = (visits["time"] // 3600 % 24).value_counts()
    assert set(per_hour.index[:4]) == {12, 20, 21, 22}


# --- the tables hang together


def test_a_session_is_visited_while_it_is_on_and_by_nobody_twice_at_once(shop):
    tables, _ = shop
    items = tables.items.set_index("item_id")
    end_of_log = START + pd.Timedelta(days=SPEC.n_days)
    for frame in (tables.orders, tables.offers, tables.follows):
        assert frame["timestamp"].max() < end_of_log
    live = items[items["kind"] == "live"]
    assert live["started_at"].notna().all()
    assert (live["ended_at"] > live["started_at"]).dropna().all()
    running = tables.events.join(live[["started_at", "ended_at"]], on="item_id", how="inner")
    close = running["ended_at"].fillna(end_of_log)
    running = running[(running["timestamp"] < close) & running["watch_time"].notna()]
    assert (running["timestamp"] >= running["started_at"]).all()
    leave = running["timestamp"] + pd.to_timedelta(running["watch_time"], unit="s")
    assert (leave <= close[running.index]).all()
    in_order = running.assign(leave=leave).sort_values(["user_id", "item_id", "timestamp"])
    left = in_order.groupby(["user_id", "item_id"])["leave"].shift()
    assert not (in_order["timestamp"] < left).any()
    assert len(running) > 500


def test_an_order_of_a_session_is_of_a_viewer_and_of_what_it_offers(shop):
    tables, truth = shop
    sessions = tables.offers["source_item_id"].unique()
    orders = tables.orders.assign(video=truth.orders["video_item_id"].to_numpy())
    orders = orders[orders["source_item_id"].isin(sessions)]
    items = tables.items.set_index("item_id")
    started = orders["source_item_id"].map(items["started_at"])
    ended = (
        orders["source_item_id"].map(items["ended_at"]).fillna(pd.Timestamp.max.tz_localize("UTC"))
    )
    live = orders[(orders["timestamp"] >= started) & (orders["timestamp"] < ended)]
    assert len(live) > 10
    offered = pd.MultiIndex.from_frame(tables.offers[["source_item_id", "item_id"]])
    assert pd.MultiIndex.from_frame(live[["source_item_id", "item_id"]]).isin(offered).all()
    events = tables.events
    for order in live.itertuples():
        own = events[events["user_id"] == order.user_id]
        visits = own[(own["item_id"] == order.source_item_id) & own["watch_time"].notna()]
        leave = visits["timestamp"] + pd.to_timedelta(visits["watch_time"], unit="s")
        is_inside = (visits["timestamp"] <= order.timestamp) & (order.timestamp < leave)
        assert is_inside.sum() == 1
        led_by = visits.loc[is_inside, "source_item_id"].iloc[0]
        assert (led_by == order.video) or (pd.isna(led_by) and pd.isna(order.video))
        page = own[(own["item_id"] == order.item_id) & (own["timestamp"] == order.timestamp)]
        assert (page["source_item_id"] == order.source_item_id).any()


def test_a_short_video_leads_to_the_session_right_after_it(shop):
    tables, _ = shop
    kind = tables.items.set_index("item_id")["kind"]
    events = tables.events
    entries = events[(events["item_id"].map(kind) == "live") & events["source_item_id"].notna()]
    assert set(entries["source_item_id"].map(kind)) == {"short_video"}
    seen = events[["session_id", "item_id", "timestamp"]]
    led = entries.merge(
        seen, left_on=["session_id", "source_item_id"], right_on=["session_id", "item_id"]
    )
    assert len(led) == len(entries) > 30
    assert (led["timestamp_y"] < led["timestamp_x"]).all()


def test_nobody_buys_twice_nor_follows_twice(shop):
    tables, truth = shop
    assert not tables.orders.duplicated(["user_id", "item_id"]).any()
    assert not tables.follows.duplicated(["user_id", "host"]).any()
    bought = tables.exposures["purchased"].to_numpy(dtype=bool)
    assert (truth.purchase_probability[bought] > 0).all()
    n_live = len(tables.orders) - bought.sum()
    assert 0 < n_live < 0.3 * len(tables.orders)


def test_live_sessions_change_nothing_of_the_feed_but_second_purchases(shop, monkeypatch):
    monkeypatch.setattr(audience, "VISITS_A_DAY", 0.02)
    other, _ = simulate(SPEC)
    shown = shop.tables.exposures.drop(columns="purchased")
    pd.testing.assert_frame_equal(other.exposures.drop(columns="purchased"), shown)
    pd.testing.assert_frame_equal(other.items, shop.tables.items)
    pd.testing.assert_frame_equal(other.users, shop.tables.users)
    assert len(other.events) < len(shop.tables.events)


# --- the truth is the truth


def test_purchases_come_as_often_as_the_truth_expects():
    spec = WorldSpec(n_users=4000, n_items=60, n_days=60, seed=1)
    world = build_world(spec)
    rng = np.random.default_rng(5)
    crowd = draw_crowd(world, pd.Series(0.0, np.arange(spec.n_users)), NOTHING_BOUGHT, rng)
    expected = added = 0.0
    n_sold = n_soon = 0
    for session in live_sessions(world):
        visits = draw_visits(world, session, crowd, rng)
        expected += expected_by_host(world, session, visits)[session.host]
        added += added_orders(world, session, visits).sum()
        crowd.owned_from.clear()  # each session meets people who own nothing
        sold = draw_purchases(world, session, visits, crowd, rng)
        n_sold += len(sold)
        for offer in session.offers.itertuples():
            since = sold.loc[sold["offer"] == offer.item, "time"] - offer.time
            n_soon += since.between(0, 300).sum()
    assert abs(n_sold - expected) <= 3.5 * np.sqrt(expected)
    assert 0.3 * expected < added < 0.9 * expected
    assert n_soon > 0.5 * added


def test_what_offers_add_is_what_is_missing_without_them(monkeypatch):
    world = build_world(SPEC)
    rng = np.random.default_rng(0)
    crowd = draw_crowd(world, pd.Series(0.0, np.arange(SPEC.n_users)), NOTHING_BOUGHT, rng)
    session = next(iter(live_sessions(world)))
    visits = draw_visits(world, session, crowd, rng)
    with_offers = expected_by_host(world, session, visits)[session.host]
    added = added_orders(world, session, visits).sum()
    monkeypatch.setattr(live_sales, "LIFT", 0.0)
    without = expected_by_host(world, session, visits)[session.host]
    assert with_offers - without == pytest.approx(added)
    assert added > 0


def test_a_host_who_persuades_and_keeps_viewers_sells_more(crowded):
    hosts = crowded[1].hosts
    score = hosts["log_odds"] + hosts["log_stay"]
    assert np.corrcoef(score, np.log(hosts["orders_per_visit"]))[0, 1] > 0.9


def test_the_truth_of_a_log_has_its_comments_and_offers(shop):
    log, truth = open_shop(SPEC, since="2026-01-20", ids="pseudonymise")
    assert len(truth.offers) == len(log.tables.offers) > 0
    commented = log.tables.events["comment_count"] > 0
    keys = ["user_id", "item_id", "timestamp"]
    written = pd.MultiIndex.from_frame(log.tables.events.loc[commented, keys])
    assert 0 < len(truth.comments) < len(shop.truth.comments)
    assert pd.MultiIndex.from_frame(truth.comments[keys]).isin(written).all()
    assert "comment_text" not in log.tables.events


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_comments_are_written_in_the_language_of_the_shop(field, language):
    spec = WorldSpec(field=field, language=language)
    topics = np.arange(400) % N_TOPICS
    said = write_comments(spec, topics, topics, np.random.default_rng(0))
    texts = said["comment_text"]
    assert not texts.str.contains(r"[{}]").any()
    has_chinese = texts.str.contains(r"[一-鿿]")
    assert has_chinese.all() if language == "zh" else not has_chinese.any()
    assert set(said["topic"]) == set(TOPICS.index)
    assert 0.4 < said["is_question"].mean() < 0.8
    assert not said.loc[~said["is_question"], "comment_text"].str.contains("[?？]").any()


def test_the_words_of_comments_stand_in_their_rows(shop):
    tables, truth = shop
    events = tables.events
    written = events[events["comment_text"].notna()]
    assert len(written) == len(truth.comments) > 20
    assert (written["comment_count"] == 1).all()
    keys = ["user_id", "item_id", "timestamp"]
    both = pd.MultiIndex.from_frame(written[keys]).sort_values()
    assert both.equals(pd.MultiIndex.from_frame(truth.comments[keys]).sort_values())


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="language is 'fr'; choose one of en, zh"):
        WorldSpec(language="fr")
