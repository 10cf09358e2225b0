from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kpay_lab.experiments.ab import analyse
from kpay_lab.experiments.ab_files import read_ab_test
from kpay_lab.experiments.ope import cross_fit, evaluate_policy, position_policy
from kpay_lab.experiments.readers import (
    BanditLog,
    click_rate_findings,
    cookie_cats,
    off_policy,
    open_bandit,
    other_log_findings,
)
from kpay_lab.findings import sentence
from kpay_lab.stats import Interval

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


ROWS = """player,group,sales,sales_before,visits,came back,country
007,NA,1.5,2,3,True,FR
08,B,0,1,2,false,
9,NA,2.5,0,1,FALSE,DE
10,B,4,3,5,True,FR
"""
COLUMNS = {"unit": "player", "arm": "group", "control": "NA"}


def ab_file(folder, text=ROWS, name="test.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_an_a_b_file_has_one_row_a_unit(tmp_path):
    data = read_ab_test(ab_file(tmp_path), **COLUMNS)
    assert data.frame["player"].tolist() == ["007", "08", "9", "10"]  # ids are text
    assert data.control == "NA" and data.treatments == ("B",)
    assert data.sizes == {"NA": 2, "B": 2}
    names = [metric.name for metric in data.metrics]
    assert names == ["sales", "sales (CUPED)", "visits", "came back"]
    assert data.frame["came back"].tolist() == [1, 0, 0, 1]
    assert data.metrics[1].covariate == "sales_before"


def test_metrics_covariates_and_segments_can_be_named(tmp_path):
    named = {"metrics": ["visits"], "covariates": {"visits": "sales_before"}}
    data = read_ab_test(ab_file(tmp_path), **COLUMNS, **named, segments=["country"])
    assert [metric.name for metric in data.metrics] == ["visits", "visits (CUPED)"]
    assert data.frame["country"].tolist() == ["FR", "none", "DE", "FR"]


def test_other_formats_and_encodings_are_the_same_test(tmp_path):
    expected = read_ab_test(ab_file(tmp_path), **COLUMNS)
    frame = pd.read_csv(tmp_path / "test.csv", dtype={"player": str}, keep_default_na=False)
    frame.to_parquet(tmp_path / "test.parquet")
    frame.to_json(tmp_path / "test.jsonl", orient="records", lines=True)
    chinese = ROWS.replace("FR", "法国")
    paths = [tmp_path / "test.parquet", tmp_path / "test.jsonl"]
    paths.append(ab_file(tmp_path, chinese, "chinese.csv", "gb18030"))
    paths.append(ab_file(tmp_path, ROWS, "marked.csv", "utf-8-sig"))
    for path in paths:
        data = read_ab_test(path, **COLUMNS)
        assert data.metrics == expected.metrics and data.sizes == expected.sizes
        shared = ["player", "sales", "came back"]
        pd.testing.assert_frame_equal(data.frame[shared], expected.frame[shared], check_dtype=False)


def test_a_folder_with_one_file_is_that_file(tmp_path):
    ab_file(tmp_path)
    assert read_ab_test(tmp_path, **COLUMNS).sizes == {"NA": 2, "B": 2}
    ab_file(tmp_path, name="other.csv")
    with pytest.raises(ValueError, match=r"holds 2 data files, other.csv, test.csv; name one"):
        read_ab_test(tmp_path, **COLUMNS)


def test_three_arms_of_a_file_stand_against_the_control(tmp_path):
    arms = ["old", "a", "b"]
    rows = [f"u{n},{arms[n % 3]},{n % 5}" for n in range(30)]
    path = ab_file(tmp_path, "\n".join(["unit,arm,sales", *rows]) + "\n")
    data = read_ab_test(path, unit="unit", arm="arm", control="old")
    assert data.treatments == ("a", "b") and len(data.pairs()) == 2


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (("player", "who"), {}, r"test\.csv has no column 'player' \(unit\); it has: who, group"),
        (("group", "arm"), {}, r"test\.csv has no column 'group' \(arm\); it has: player, arm"),
        (
            ("", ""),
            {"control": "A"},
            "group holds B, NA, and no 'A'; name the arm that is the control",
        ),
        (("007", "08"), {}, "1 rows repeat a player"),
        (("007", ""), {}, "player is empty in row 1"),
        ((",B,0", ",,0"), {}, "group is empty in row 2"),
        (("1.5", "dear"), {"metrics": ["sales"]}, "sales holds 'dear' in row 1; it must be a num"),
        (("1.5", ""), {}, "sales is missing or infinite in 1 rows"),
        (("", ""), {"metrics": ["sale"]}, r"no column 'sale' \(metrics\); did you mean 'sales'"),
        (("", ""), {"segments": ["land"]}, r"no column 'land' \(segments\)"),
        (("", ""), {"covariates": {"sales": "old"}}, r"no column 'old' \(covariates\)"),
        (
            ("", ""),
            {"covariates": {"income": "visits"}},
            "covariates names income, which is no met",
        ),
    ],
)
def test_a_file_that_is_no_test_is_refused(tmp_path, change, given, message):
    path = ab_file(tmp_path, ROWS.replace(*change, 1) if change[0] else ROWS)
    with pytest.raises(ValueError, match=message):
        read_ab_test(path, **(COLUMNS | given))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv is not there"):
        read_ab_test(tmp_path / "none.csv", **COLUMNS)
    with pytest.raises(ValueError, match=r"test\.xls is no \.csv, \.parquet"):
        read_ab_test(ab_file(tmp_path, name="test.xls"), **COLUMNS)
    ragged = ab_file(tmp_path, "player,group\n1,A\n2,B,3\n", "ragged.csv")
    with pytest.raises(ValueError, match=r"ragged\.csv: .*line 3"):
        read_ab_test(ragged, **COLUMNS)
    words = "player,group,sales\n1,NA,x\n2,B,y\n3,NA,x\n4,B,y\n"
    with pytest.raises(ValueError, match="no column of numbers that differ inside the arms"):
        read_ab_test(ab_file(tmp_path, words, "words.csv"), **COLUMNS)


@needs_cats
def test_cookie_cats_is_an_a_b_file_like_any_other():
    own = cookie_cats(DATA / "cookie-cats")
    columns = {"unit": "userid", "arm": "version", "control": "gate_30"}
    data = read_ab_test(DATA / "cookie-cats" / "cookie_cats.csv", **columns)
    assert data.sizes == own.sizes
    shared = analyse(own).effects.index.intersection(analyse(data).effects.index)
    assert set(shared) == {"retention_1", "retention_7", "sum_gamerounds"}


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


def clicks(n_clicks, n=1000):
    """A log of two items with so many clicks."""
    reward = (np.arange(n) < n_clicks).astype(float)
    return BanditLog(np.arange(n) % 2, np.ones(n, int), reward, np.full(n, 0.5), 2, pd.DataFrame())


def test_click_rates_of_two_logs_differ_or_are_not_told_apart():
    pairs = {"men": (clicks(100), clicks(200)), "women": (clicks(100), clicks(103))}
    men, women = click_rate_findings(pairs)
    assert sentence(men).startswith("In campaign men the two policies differ: bts gets +100 clicks")
    # se² = (0.1 · 0.9 + 0.2 · 0.8) / 1000
    assert men.values["low"] == pytest.approx(100 - 1.96 * 1000 * np.sqrt(0.25 / 1000), abs=0.01)
    assert sentence(women).startswith("In campaign women the 203 clicks of two logs do not tell")
    (same,) = click_rate_findings({"men": (clicks(5), clicks(5))})
    assert same.values["p"] == 1


def test_estimates_from_the_other_log_hold_the_own_rate_or_do_not():
    log, target = clicks(100), clicks(100)
    estimates = {"a": off_policy(log, target, rng=np.random.default_rng(0))}
    (inside,) = other_log_findings(estimates, {"a": Interval(0.1, 0.05, 0.15)})
    assert inside.values["n_inside"] == 1 and "1 of 1 intervals" in sentence(inside)
    (outside,) = other_log_findings(estimates, {"a": Interval(0.5, 0.4, 0.6)})
    assert outside.values["n_inside"] == 0
    assert other_log_findings({}, {}) == []
