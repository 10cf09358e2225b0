from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kpay_lab.experiments.ab import analyse
from kpay_lab.experiments.ope import cross_fit, evaluate_policy, position_policy
from kpay_lab.experiments.readers import BanditLog, cookie_cats, off_policy, open_bandit

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_cats = pytest.mark.skipif(
    not (DATA / "cookie-cats").is_dir(), reason="the Cookie Cats data is not there"
)
needs_bandit = pytest.mark.skipif(
    not (DATA / "obd-small").is_dir(), reason="the Open Bandit sample is not there"
)


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cookie_cats\.csv is not there"):
        cookie_cats(tmp_path)


def test_a_small_bandit_log_is_read(tmp_path):
    room = tmp_path / "random" / "men"
    room.mkdir(parents=True)
    (room / "men.csv").write_text("item_id,position,click,action_prob\n1,3,1,0.25\n0,1,0,0.5\n")
    (room / "item_context.csv").write_text("item_id,item_feature_0\n1,0.5\n0,0.1\n")
    log = open_bandit(tmp_path, "random", "men")
    assert log.action.tolist() == [1, 0] and log.position.tolist() == [3, 1]
    assert log.reward.tolist() == [1.0, 0.0] and log.propensity.tolist() == [0.25, 0.5]
    assert log.n_actions == 2 and log.items["item_feature_0"].tolist() == [0.1, 0.5]


@needs_cats
def test_cookie_cats_fails_the_sample_ratio_and_gets_no_verdict():
    result = analyse(cookie_cats(DATA / "cookie-cats"))
    check = result.check
    assert check.sizes == {"gate_30": 44_700, "gate_40": 45_489}
    assert round(check.pvalue, 4) == 0.0086 and not check.passed
    assert result.worth("retention_7", value_per_unit=1, n_units=1) is None


@needs_cats
def test_the_outlier_is_shown_and_capped():
    data = cookie_cats(DATA / "cookie-cats")
    effects = analyse(data).effects
    assert data.frame["sum_gamerounds"].max() == 49_854
    raw, capped = effects.loc["sum_gamerounds"], effects.loc["rounds_capped_at_3000"]
    assert raw.control - capped.control == pytest.approx((49_854 - 3000) / 44_700)
    assert raw.high - raw.low > 1.8 * (capped.high - capped.low)


@needs_bandit
@pytest.mark.parametrize("campaign", ["men", "women"])
def test_bts_is_estimated_from_the_random_log(campaign):
    log, other = (open_bandit(DATA / "obd-small", p, campaign) for p in ("random", "bts"))
    assert log.propensity == pytest.approx(np.full(10_000, 1 / log.n_actions))
    table, shown = position_policy(other.action, other.position, other.propensity, other.n_actions)
    assert table.shape == (3, log.n_actions) and shown.sum() == 10_000
    context = np.eye(3)[log.position - 1]
    q = cross_fit(
        context, log.action, log.reward, log.n_actions, rng=np.random.default_rng(0), reg=20
    )
    result = evaluate_policy(log.reward, log.action, log.propensity, table[log.position - 1], q)
    assert result.mean_weight == pytest.approx(1, abs=0.05)
    on_policy = other.reward.mean()
    noise = np.sqrt(on_policy * (1 - on_policy) / len(other.reward))
    with_interval = result.estimates.drop(index="DM")
    distance = (with_interval["value"] - on_policy).abs()
    assert (distance < 3.5 * np.hypot(with_interval["se"], noise)).all()
    assert "46 rows" in result.warnings[-1]  # clicks in either random log


def test_a_uniform_policy_judged_from_a_uniform_log_is_its_click_rate():
    rng = np.random.default_rng(0)
    logs = [
        BanditLog(
            rng.integers(4, size=600),
            rng.integers(1, 4, size=600),
            (rng.random(600) < 0.2).astype(float),
            np.full(600, 0.25),
            4,
            pd.DataFrame(index=range(4)),
        )
        for _ in range(2)
    ]
    ips = off_policy(*logs, rng=rng).estimates.loc["IPS", "value"]
    assert ips == pytest.approx(logs[0].reward.mean())  # every weight is 1
    assert logs[1].click_rate().estimate == logs[1].reward.mean()
    assert logs[1].unsupported_share() == 0


def test_a_cell_that_a_log_never_shows_is_unsupported():
    action = np.array([0, 1, 1])
    position = np.array([1, 1, 2])
    log = BanditLog(action, position, np.zeros(3), np.full(3, 0.5), 3, pd.DataFrame())
    assert log.unsupported_share() == 3 / 6  # of 2 positions and 3 items


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("7,1,0,0.5", r"item_id holds 7 in row 2 of men\.csv; .* from 0 to 1"),
        ("0,0,0,0.5", r"position holds 0 in row 2 of men\.csv"),
        ("0,1,,0.5", r"click holds nan in row 2 of men\.csv; it must be 0 or 1"),
        ("0,1,0,1.5", r"action_prob holds 1\.5 in row 2 of men\.csv; it must be above 0"),
    ],
)
def test_a_bandit_log_with_a_value_that_cannot_be_is_refused(tmp_path, row, message):
    room = tmp_path / "random" / "men"
    room.mkdir(parents=True)
    (room / "men.csv").write_text(f"item_id,position,click,action_prob\n1,3,1,0.25\n{row}\n")
    (room / "item_context.csv").write_text("item_id,item_feature_0\n1,0.5\n0,0.1\n")
    with pytest.raises(ValueError, match=message):
        open_bandit(tmp_path, "random", "men")


def test_a_bandit_log_that_lacks_a_column_is_refused(tmp_path):
    room = tmp_path / "bts" / "women"
    room.mkdir(parents=True)
    (room / "women.csv").write_text("item_id,click,action_prob\n1,1,0.25\n")
    (room / "item_context.csv").write_text("item_id,item_feature_0\n1,0.5\n0,0.1\n")
    with pytest.raises(ValueError, match=r"women\.csv has no column position; it has: item_id"):
        open_bandit(tmp_path, "bts", "women")
