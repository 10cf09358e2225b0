"""Hosts: an oracle for the likeliest effects, intervals that cover, a league table set right."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit

from kpay_lab.business.attribution import attribute_orders
from kpay_lab.data.tables import Tables
from kpay_lab.live import hosts as module
from kpay_lab.live.hosts import compare_hosts, mixed_effects
from kpay_lab.live.sessions import live_sessions
from kpay_lab.world.simulate import WorldSpec, open_shop

START = pd.Timestamp("2026-01-05 12:00", tz="UTC")


def drawn(rng, *, n_hosts=8, n_sessions=64, tau=0.4, sigma=0.3):
    """Sessions of hosts, with two columns that matter and hosts who are met unequally often."""
    often = np.arange(1, n_hosts + 1)
    host = rng.choice(n_hosts, n_sessions, p=often / often.sum())
    host[:n_hosts] = np.arange(n_hosts)
    effect = rng.normal(0, tau, n_hosts)
    column = rng.normal(0.3 * host, 1)  # the better hours go to some hosts
    of_session = rng.normal(0, sigma, n_sessions)
    log_odds = -2.5 + 0.4 * column + effect[host] + of_session
    n = rng.poisson(np.exp(rng.normal(4, 0.7, n_sessions))) + 1
    y = rng.binomial(n, expit(log_odds))
    fixed = np.column_stack([np.ones(n_sessions), column])
    return fixed, host, np.arange(n_sessions), n.astype(float), y.astype(float), effect


def test_without_any_drawing_together_it_is_logistic_regression():
    """A wide spread of hosts, none of sessions: the effects of a fixed column a host."""
    fixed, host, _, n, y, _ = drawn(np.random.default_rng(0), n_hosts=4, sigma=0)
    rows = module._Rows(np.hstack([fixed, np.eye(4)[host]]), np.arange(len(n)), n, y, 2)
    effects, covariance, _ = module._laplace(rows, 30.0, 1e-4, np.zeros(6))
    design = np.column_stack([fixed[:, 1], np.eye(4)[host]])
    oracle = sm.GLM(np.column_stack([y, n - y]), design, family=sm.families.Binomial()).fit()
    ours = effects[2:] - effects[2:].mean()
    theirs = oracle.params[1:] - oracle.params[1:].mean()
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    centre = np.eye(4) - 1 / 4
    expected = np.diag(centre @ oracle.cov_params()[1:, 1:] @ centre)
    np.testing.assert_allclose(np.diag(centre @ covariance[2:, 2:] @ centre), expected, rtol=1e-2)


def test_hosts_seen_little_are_drawn_to_the_others():
    """One session with 4 of 10 buyers, and many with one in ten."""
    n_sessions = 41
    host = np.append(np.repeat(np.arange(4), 10), 4)
    n = np.append(np.full(40, 200.0), 10.0)
    y = np.append(np.tile([18.0, 20, 22, 20], 10), 4.0)
    found = mixed_effects(np.ones((n_sessions, 1)), host, np.arange(n_sessions), n, y)
    raw = np.log(0.4 / 0.6) - np.log(0.1 / 0.9)
    assert 0 < found.mean[4] < raw / 3
    assert found.sd[4] > 2 * found.sd[:4].max()


def coverage(n_repetitions, **settings):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(n_repetitions):
        *rows, effect = drawn(rng, **settings)
        found = mixed_effects(*rows)
        truth = effect - effect.mean()
        shares.append((np.abs(found.mean - truth) <= 1.96 * found.sd).mean())
    return np.mean(shares)


@pytest.mark.slow
@pytest.mark.parametrize(("tau", "sigma"), [(0.4, 0.3), (0.2, 0.5), (0.8, 0.1)])
def test_intervals_cover_hosts_of_the_model(tau, sigma):
    assert 0.92 <= coverage(300, tau=tau, sigma=sigma) <= 0.97


def shop(rng, *, hosts, hours, n_viewers=150):
    """A session a day; in the evening twice as many buy, whoever speaks. Nobody comes twice."""
    items = []
    events = []
    orders = []
    for day, (host, hour) in enumerate(zip(hosts, hours, strict=True)):
        start = START.normalize() + pd.Timedelta(days=day, hours=hour)
        items.append((f"live{day}", "live", host, start, start + pd.Timedelta(hours=1)))
        rate = 0.30 if hour >= 18 else 0.15
        for viewer in range(n_viewers):
            user = f"u{day}-{viewer}"
            events.append((user, f"live{day}", start + pd.Timedelta(minutes=1), 60.0))
            if rng.random() < rate:
                orders.append((user, "course", start + pd.Timedelta(minutes=2), f"live{day}"))
    columns = ["item_id", "kind", "host", "started_at", "ended_at"]
    items = pd.DataFrame(items, columns=columns)
    events = pd.DataFrame(events, columns=["user_id", "item_id", "timestamp", "watch_time"])
    orders = pd.DataFrame(orders, columns=["user_id", "item_id", "timestamp", "source_item_id"])
    for frame, names in ((items, columns[3:]), (events, ["timestamp"]), (orders, ["timestamp"])):
        for name in names:
            frame[name] = frame[name].astype("datetime64[us, UTC]")
    return Tables(events, items, orders=orders)


def test_the_host_of_the_best_hour_is_no_better():
    """Li has the evenings, Wu the mornings, Zhao both alike: the raw table ranks the hours."""
    hosts = ["Li"] * 12 + ["Li"] * 4 + ["Wu"] * 12 + ["Wu"] * 4 + ["Zhao"] * 16
    hours = [20] * 12 + [8] * 4 + [8] * 12 + [20] * 4 + [8, 20] * 8
    tables = shop(np.random.default_rng(0), hosts=hosts, hours=hours)
    live = live_sessions(tables, tables.orders["source_item_id"])
    found = compare_hosts(tables, live)
    raw = found.hosts["raw_rate"]
    assert raw["Li"] > 1.3 * raw["Wu"]
    assert found.hosts["fair_rate"].max() < 1.15 * found.hosts["fair_rate"].min()
    assert (found.hosts["effect_low"] < 0).all() and (found.hosts["effect_high"] > 0).all()
    assert found.held_equal == ("hour",)
    (finding,) = found.findings()
    assert finding.values["raw_best"] == "Li" and not finding.values["is_shown"]


def test_viewers_who_bought_before_are_told_from_the_others():
    """The same people come every evening; Li has those who bought on the evening before."""
    tables = shop(np.random.default_rng(2), hosts=["Wu", "Li"] * 4, hours=[20] * 8)
    same = {name: getattr(tables, name) for name in ("events", "orders")}
    for name, frame in same.items():
        same[name] = frame.assign(user_id=frame["user_id"].str.replace(r"u\d+", "u", regex=True))
    tables = Tables(same["events"], tables.items, orders=same["orders"])
    found = compare_hosts(tables, live_sessions(tables, tables.orders["source_item_id"]))
    assert found.held_equal == ("audience",)
    assert found.hosts["viewers"].tolist() == [600, 600]


def test_counts_of_few_buyers_are_hidden_and_the_estimate_stays():
    hosts = ["Li"] * 3 + ["Wu"] * 3 + ["Zhao"]
    rng = np.random.default_rng(1)
    tables = shop(rng, hosts=hosts, hours=[20] * 7, n_viewers=30)
    few = tables.orders.groupby("source_item_id").head(2)
    tables = Tables(tables.events, tables.items, orders=few)
    live = live_sessions(tables, few["source_item_id"])
    table = compare_hosts(tables, live).table(minimum=5)
    assert table["buyers"].isna().sum() >= 1 and table["fair_rate"].notna().all()


def test_what_cannot_be_compared_is_refused():
    tables = shop(np.random.default_rng(0), hosts=["Li"] * 3, hours=[20] * 3)
    live = live_sessions(tables, tables.orders["source_item_id"])
    with pytest.raises(ValueError, match="fewer than two hosts"):
        compare_hosts(tables, live)
    no_orders = live_sessions(tables)
    with pytest.raises(ValueError, match="fewer than two hosts"):
        compare_hosts(tables, no_orders)
    nameless = Tables(tables.events, tables.items.drop(columns="host"), orders=tables.orders)
    with pytest.raises(ValueError, match=r"items\.host"):
        compare_hosts(nameless, live_sessions(nameless))


@pytest.mark.slow
def test_intervals_cover_the_hosts_of_simulated_shops():
    """The mean coverage over 30 shops, each of 8 hosts who hold unequal hours and topics."""
    shares = []
    for seed in range(30):
        log, truth = open_shop(WorldSpec(seed=seed))
        attribution = attribute_orders(log.tables)
        live = live_sessions(log.tables, attribution.credited("last"))
        hosts = compare_hosts(log.tables, live).hosts
        log_rate = np.log(truth.hosts["orders_per_visit"].reindex(hosts.index))
        effect = log_rate - log_rate.mean()
        is_covered = effect.between(hosts["effect_low"], hosts["effect_high"])
        shares.append(is_covered.mean())
    assert 0.92 <= np.mean(shares) <= 0.97
