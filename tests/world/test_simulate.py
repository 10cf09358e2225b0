"""The simulated world: its realism is fixed here, before any model is judged in it."""

import hashlib
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kpay_lab.data.admitted import FOLDER_VARIABLE, name_of
from kpay_lab.data.reading import read_tables
from kpay_lab.data.tables import SCHEMAS, Tables
from kpay_lab.data.writing import write_tables
from kpay_lab.world.presets import EDITIONS, FIELDS, N_TOPICS, SEGMENTS
from kpay_lab.world.shop import (
    build_world,
    click_probability,
    learn,
    logging_policy,
    purchase_probability,
    react,
    watch,
)
from kpay_lab.world.simulate import Simulation, WorldSpec, keep_simulation, open_shop, simulate

SMOKE = WorldSpec(n_users=200, n_items=60, n_days=30)

# Smallest and largest of three real logs, computed from their files: MovieLens 100K
# (u.data: item Gini .629, 106.0 events a user, median 65), MOOCCubeX (train.txt + test.txt of
# GEAR-Rec: .668, 72.7, 64) and KuaiRand-27K (feedback sample: .653, 63.0, 44).
REAL_ITEM_GINI = (0.629, 0.668)
REAL_MEAN_EVENTS = (63.0, 106.0)
REAL_MEDIAN_EVENTS = (44, 65)


@pytest.fixture(scope="module")
def default():
    return simulate(WorldSpec())


@pytest.fixture(scope="module")
def smoke():
    return simulate(SMOKE)


def gini(counts):
    ordered, n = np.sort(counts), len(counts)
    return (2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum())


def segment_accuracy(tables, truth):
    """Five-fold accuracy of a logistic regression on shares of topic, kind and hour.

    It stands for the best classifier: noise around a centre makes the classes almost linear.
    """
    seen = tables.events.merge(tables.items[["item_id", "kind", "category"]], on="item_id")
    traits = (seen["category"], seen["kind"], seen["timestamp"].dt.hour // 3)
    shares = [pd.crosstab(seen["user_id"], t, normalize="index") for t in traits]
    features = pd.concat([s.reindex(truth.users).fillna(0) for s in shares], axis=1).to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return cross_val_score(model, features, truth.segment, cv=5).mean()


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()


# --- realism, held


def test_events_are_spread_over_items_and_users_as_in_the_real_logs(default):
    tables, _ = default
    has_no_session = tables.items["kind"] != "live"  # as all items of the real logs
    items = tables.items.loc[has_no_session, "item_id"]
    per_item = tables.events["item_id"].value_counts().reindex(items).fillna(0)
    per_user = tables.events["user_id"].value_counts()
    assert REAL_ITEM_GINI[0] <= gini(per_item.to_numpy()) <= REAL_ITEM_GINI[1]
    assert REAL_MEAN_EVENTS[0] <= per_user.mean() <= REAL_MEAN_EVENTS[1]
    assert REAL_MEDIAN_EVENTS[0] <= per_user.median() <= REAL_MEDIAN_EVENTS[1]


def test_true_probabilities_separate_purchases_as_well_as_designed(default):
    tables, truth = default
    bought = tables.exposures["purchased"].to_numpy(dtype=int)
    assert 0.75 <= roc_auc_score(bought, truth.purchase_probability) <= 0.85


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_sells_and_has_segments_that_overlap(field):
    tables, truth = simulate(WorldSpec(field=field))
    assert 0.01 <= tables.exposures["purchased"].mean() <= 0.05
    assert 0.85 <= segment_accuracy(tables, truth) <= 0.95
    assert set(tables.items["category"]) == set(FIELDS[field].topics)
    assert (tables.orders["refund_amount"] > 0).any()


def test_double_noise_makes_segments_and_purchases_harder(default):
    noisy = simulate(WorldSpec(noise=2.0))

    def auc(world):
        bought = world[0].exposures["purchased"].to_numpy(dtype=int)
        return roc_auc_score(bought, world[1].purchase_probability)

    assert segment_accuracy(*noisy) < segment_accuracy(*default) - 0.03
    assert auc(noisy) < auc(default)


def test_demographics_say_a_little_about_the_segment(default):
    tables, truth = default
    known = tables.users[["age", "gender", "occupation"]].fillna({"age": 35.0})
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    accuracy = cross_val_score(model, pd.get_dummies(known), truth.segment, cv=5).mean()
    base = np.bincount(truth.segment).max() / len(truth.segment)
    assert base + 0.03 < accuracy < 0.5


# --- the truth is the truth


def test_purchases_follow_their_true_probability(default):
    tables, truth = default
    bought = tables.exposures["purchased"].to_numpy(dtype=float)
    p = truth.purchase_probability
    for part in np.array_split(np.argsort(p, kind="stable"), 10):
        error = bought[part].sum() - p[part].sum()
        assert abs(error) <= 3.5 * np.sqrt((p[part] * (1 - p[part])).sum())


def test_inverse_propensities_are_unbiased(default):
    tables, truth = default
    shown = tables.exposures
    catalogue = tables.items.head(WorldSpec().n_items)  # what the feed can show
    out = catalogue.set_index("item_id")["published_at"]
    available = np.searchsorted(out.to_numpy(), shown["timestamp"].to_numpy(), side="right")
    weight = 1 / truth.propensity / available  # the uniform policy over what is published
    assert abs(weight.mean() - 1) <= 3.5 * weight.std() / np.sqrt(len(weight))
    assert (shown["timestamp"] >= shown["item_id"].map(out)).all()
    np.testing.assert_array_equal(shown["propensity"], truth.propensity)


def test_coupons_are_drawn_by_user_and_lift_purchases_by_the_true_effect(default):
    tables, truth = default
    shown = tables.exposures.assign(effect=truth.treatment_effect)
    running = shown[shown["treatment"].notna()]
    assert shown["timestamp"][shown["treatment"].isna()].max() < running["timestamp"].min()
    arms = running.groupby("user_id")["treatment"].first().astype(int)
    assert (running.groupby("user_id")["treatment"].nunique() == 1).all()
    assert abs(arms.sum() - len(arms) / 2) <= 3.5 * np.sqrt(len(arms)) / 2
    rates = running.groupby("user_id")["purchased"].mean().astype(float)
    lift = rates[arms == 1].mean() - rates[arms == 0].mean()
    error = np.sqrt(sum(rates[arms == a].var() / (arms == a).sum() for a in (0, 1)))
    assert abs(lift - running.groupby("user_id")["effect"].mean().mean()) <= 3.5 * error
    assert np.quantile(truth.treatment_effect, 0.99) > 10 * np.median(truth.treatment_effect) > 0
    assert (truth.treatment_effect < 0).any()


def test_nobody_buys_an_offer_twice_and_owners_have_no_chance(default):
    tables, truth = default
    assert not tables.orders.duplicated(["user_id", "item_id"]).any()
    n_live = len(tables.orders) - tables.exposures["purchased"].sum()
    assert 100 < n_live < 0.1 * len(tables.orders)
    owned = truth.purchase_probability == 0
    assert owned.any()
    assert not tables.exposures["purchased"][owned].astype(bool).any()
    assert (truth.treatment_effect[owned] == 0).all()


# --- the tables hang together


def test_orders_learning_and_refunds_come_after_what_caused_them(default):
    tables, _ = default
    price = tables.items.set_index("item_id")["price"]
    orders, events = tables.orders, tables.events
    paid = orders["amount"] / orders["item_id"].map(price)
    assert set(paid.round(2)) == {0.8, 1.0}
    refunded = orders[orders["refund_amount"] > 0]
    assert (refunded["refunded_at"] > refunded["timestamp"]).all()
    assert (refunded["refund_amount"] <= refunded["amount"]).all()
    assert orders["refunded_at"].notna().equals(orders["refund_amount"] > 0)
    bought = orders.set_index(["user_id", "item_id"])["timestamp"]
    learned = events[events["progress"].notna()].join(
        bought, on=["user_id", "item_id"], suffixes=("", "_of_order")
    )
    assert len(learned) > 1000
    assert (learned["timestamp"] > learned["timestamp_of_order"]).all()
    assert learned["rating"].dropna().between(1, 5).all()


def test_promotions_lead_to_what_they_promote(default):
    tables, _ = default
    items = tables.items.set_index("item_id")
    promotions = items[items["promotes"].notna()]
    assert set(promotions["kind"]) == {"live", "short_video"}
    assert promotions["price"].isna().all()
    sold = items.loc[promotions["promotes"]]
    assert sold["price"].notna().all()
    assert (sold["category"].to_numpy() == promotions["category"].to_numpy()).all()
    assert (sold["published_at"].to_numpy() <= promotions["published_at"].to_numpy()).all()
    led = tables.events[tables.events["source_item_id"].notna()]
    is_promoted = led["source_item_id"].map(items["promotes"]) == led["item_id"]
    offered = pd.MultiIndex.from_frame(tables.offers[["source_item_id", "item_id"]])
    is_offered = pd.MultiIndex.from_frame(led[["source_item_id", "item_id"]]).isin(offered)
    is_session = led["item_id"].map(items["kind"]) == "live"
    assert (is_promoted | is_offered | is_session).all()


def test_attention_falls_with_position_and_replays_exist(default):
    tables, _ = default
    clicks = tables.exposures.groupby("position")["clicked"].mean()
    assert (clicks.loc[[1, 2, 4, 8]].astype(float).diff().dropna() < 0).all()
    # Replays are 31 % of the KuaiRand feedback sample (the reference's count).
    assert 0.1 < (tables.events["watch_time"] > tables.events["duration"]).mean() < 0.5


def test_the_smoke_size_still_has_every_kind_of_row(smoke):
    tables, _ = smoke
    assert set(tables.present()) == set(SCHEMAS)
    assert (tables.orders["refund_amount"] > 0).any()
    assert set(tables.exposures["treatment"].dropna()) == {0, 1}
    assert set(tables.users["consent"].dropna()) == {True, False}
    assert tables.users["consent"].isna().any()


# --- reproducible, written, read back


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_the_same_spec_gives_the_same_bytes_and_another_seed_others(tmp_path, format):
    runs = []
    for number, seed in enumerate((0, 0, 1)):
        tables, truth = simulate(WorldSpec(n_users=80, n_items=40, n_days=14, seed=seed))
        write_tables(tables, tmp_path / str(number), format=format)
        truth.save(tmp_path / str(number))
        runs.append(digest(tmp_path / str(number)))
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_what_is_written_reads_back_equal(tmp_path, smoke, format):
    tables, truth = smoke
    write_tables(tables, tmp_path, format=format)
    truth.save(tmp_path)
    back, rejected = read_tables(tmp_path)
    assert rejected.rows.empty
    for name, frame in tables.present().items():
        pd.testing.assert_frame_equal(back.present()[name], frame, check_like=True)


def test_the_truth_is_written_without_pickle(tmp_path, smoke):
    _, truth = smoke
    folder = truth.save(tmp_path)
    interest = np.load(folder / "interest.npy", allow_pickle=False)
    np.testing.assert_array_equal(interest, truth.interest)
    users = pd.read_parquet(folder / "users.parquet")
    assert users["user_id"].tolist() == truth.users.tolist()


def test_tables_pass_the_door_unchanged(smoke):
    tables, _ = smoke
    again = Tables.validated(**tables.present())
    pd.testing.assert_frame_equal(again.events, tables.events)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_users": 2}, "n_users is 2"),
        ({"n_items": 5}, "n_items is 5"),
        ({"n_days": 1}, "n_days is 1"),
        ({"seed": -1}, "seed is -1"),
        ({"field": "gardening"}, "choose one of online-education"),
        ({"noise": 0.0}, "noise is 0.0"),
        ({"noise": float("nan")}, "noise is nan"),
    ],
)
def test_a_wrong_spec_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        WorldSpec(**wrong)


def test_an_unknown_format_is_refused(tmp_path, smoke):
    with pytest.raises(ValueError, match="format is 'xlsx'"):
        write_tables(smoke[0], tmp_path, format="xlsx")


# --- the laws, for those who play on


def test_reactions_follow_the_laws():
    """20,000 showings of the same item to the same user: rates within 3.5 standard errors."""
    world, n = build_world(SMOKE), 20_000
    user, item = np.full(n, 3), np.full(n, 7)
    position, treated = np.full(n, 2), np.ones(n, dtype=int)
    shown = pd.DataFrame({"user": user, "item": item, "position": position, "treated": treated})
    happened = react(world, shown, np.random.default_rng(0))
    for seen, p in (
        (happened.clicked, click_probability(world, user, item, position)[0]),
        (happened.purchased, purchase_probability(world, user, item, treated, position)[0]),
    ):
        assert abs(seen.mean() - p) <= 3.5 * np.sqrt(p * (1 - p) / n)
    assert not (happened.purchased & ~happened.clicked).any()
    assert (happened.watch_time[~happened.clicked] == 0).all()
    assert np.isnan(happened.progress[~happened.purchased]).all()


def test_more_interest_means_more_of_everything():
    world, n = build_world(SMOKE), 20_000
    item = np.full(n, 0)  # a course: its lessons can be left unfinished
    keen, cool = (np.full(n, pick(world.interest[:, 0])) for pick in (np.argmax, np.argmin))
    rng = np.random.default_rng(0)
    for play, names in ((watch, ("watch_time", "like_count")), (learn, ("progress", "rating"))):
        more, less = play(world, keen, item, rng), play(world, cool, item, rng)
        for name in names:
            assert np.nanmean(more[name]) > np.nanmean(less[name])
    assert click_probability(world, keen, item)[0] > click_probability(world, cool, item)[0]


def test_the_logging_policy_is_a_distribution_that_explores():
    world = build_world(SMOKE)
    shown = logging_policy(world)
    np.testing.assert_allclose(shown.sum(axis=1), 1)
    assert shown.min() >= 0.2 / SMOKE.n_items


def test_vocabulary_has_two_themes_a_topic():
    assert len(SEGMENTS) == 4
    for field in FIELDS.values():
        assert len(field.topics) == N_TOPICS
        assert all(len(set(words)) == 8 for words in field.topics.values())
        assert sum(field.kinds.values()) == pytest.approx(1)


# --- titles, and what sold an order


@pytest.mark.parametrize("n_items", [60, 300, 3000])
@pytest.mark.parametrize("field", FIELDS)
def test_no_title_is_that_of_another_item(field, n_items):
    titles = build_world(WorldSpec(n_users=8, n_items=n_items, field=field)).items.table["title"]
    assert titles.is_unique


def test_a_repeated_title_says_its_edition_and_the_first_keeps_its_own(default):
    items = default[0].items
    plain = items["category"] + " " + items["kind"].str.replace("_", " ") + ": "
    assert all(title.startswith(start) for title, start in zip(items["title"], plain, strict=True))
    is_varied = items["title"].str.contains(",")
    assert 0.1 < is_varied.mean() < 0.3  # 50 of 300 had the title of another
    stems = items["title"].str.partition(",")[0]
    assert (stems[is_varied].isin(stems[~is_varied])).all()
    assert not items["title"].str.contains(r"\d\)|\(").any()


def test_editions_draw_nothing(monkeypatch):
    """Other words for editions give the same shop, but for titles."""
    spec = WorldSpec(n_users=60, n_items=200, n_days=14)
    before = simulate(spec).tables
    changed = dict.fromkeys(EDITIONS, ("another edition",))
    monkeypatch.setattr("kpay_lab.world.presets.EDITIONS", changed)
    after = simulate(spec).tables
    pd.testing.assert_frame_equal(after.events, before.events)
    pd.testing.assert_frame_equal(
        after.items.drop(columns="title"), before.items.drop(columns="title")
    )
    assert after.items["title"].is_unique
    assert not after.items["title"].equals(before.items["title"])


def test_an_order_names_the_session_or_video_that_sold_it(default):
    tables, truth = default
    items = tables.items.set_index("item_id")
    orders = tables.orders
    is_said = orders["source_item_id"].notna()
    sellers = items.loc[orders.loc[is_said, "source_item_id"]]
    assert set(sellers["kind"]) == {"live", "short_video"}
    is_promoted = sellers["promotes"].to_numpy() == orders.loc[is_said, "item_id"].to_numpy()
    of_sessions = orders.loc[is_said, "source_item_id"].isin(tables.offers["source_item_id"])
    assert (is_promoted | of_sessions).all()
    assert 0.2 < is_said.mean() < 0.8
    sold_by = truth.orders["source_item_id"]
    assert sold_by.notna().all()  # the truth knows the pages too, which sell themselves
    assert (sold_by[is_said] == orders.loc[is_said, "source_item_id"]).all()
    assert (sold_by[~is_said] == orders.loc[~is_said, "item_id"]).all()
    bought = tables.exposures[tables.exposures["purchased"] == 1]
    shown = pd.MultiIndex.from_frame(bought[["user_id", "item_id"]])
    sold = pd.MultiIndex.from_arrays([orders["user_id"], sold_by])
    assert (sold.isin(shown) | sold_by.isin(tables.offers["source_item_id"])).all()


def test_the_truth_of_a_log_has_its_orders():
    spec = WorldSpec(n_users=200, n_items=60, n_days=30)
    log, truth = open_shop(spec, since="2026-01-15", ids="pseudonymise")
    keys = ["user_id", "item_id"]
    assert len(truth.orders) == len(log.tables.orders) > 0
    pd.testing.assert_frame_equal(
        truth.orders[keys].reset_index(drop=True), log.tables.orders[keys].reset_index(drop=True)
    )


def test_what_a_run_keeps_of_a_shop_is_the_shop(tmp_path, monkeypatch):
    spec = WorldSpec(n_users=40, n_items=20, n_days=14, seed=5)
    tables, truth = simulate(spec)
    keep_simulation(Simulation(tables, truth), tmp_path / name_of(spec))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    kept_tables, kept_truth = simulate(spec)
    assert not kept_truth.interest.flags.writeable  # it is mapped, not simulated again
    for name, frame in tables.present().items():
        pd.testing.assert_frame_equal(getattr(kept_tables, name), frame, check_exact=True)
    for field in fields(truth):
        before = getattr(truth, field.name)
        kept = getattr(kept_truth, field.name)
        if isinstance(before, pd.DataFrame):
            pd.testing.assert_frame_equal(kept, before, check_exact=True)
        elif isinstance(before, pd.Index):
            pd.testing.assert_index_equal(kept, before)
        else:
            assert kept.dtype == before.dtype
            np.testing.assert_array_equal(kept, before)
