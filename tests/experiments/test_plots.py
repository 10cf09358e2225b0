import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from kpay_lab import plots
from kpay_lab.experiments.ab import ABResult
from kpay_lab.experiments.arms import SampleRatio
from kpay_lab.experiments.bandits import Environment, Thompson, run_bandit
from kpay_lab.experiments.ope import evaluate_policy
from kpay_lab.experiments.power import power, sample_size
from kpay_lab.experiments.sequential import confidence_sequence


def ends(span: LineCollection) -> np.ndarray:
    return np.array([segment[:, 0] for segment in span.get_segments()])


def test_each_effect_has_its_interval_and_only_what_leaves_out_zero_is_coloured():
    numbers = {"arm": "b", "difference": [1.0, 0.1], "low": [0.5, -0.2], "high": [1.5, 0.4]}
    effects = pd.DataFrame(numbers, index=["sales", "visits"])
    check = SampleRatio({"a": 100, "b": 100}, {"a": 0.5, "b": 0.5}, pvalue=1.0, alpha=0.01)
    axes = ABResult(check, effects, level=0.95).plot().axes
    spans = [ax.collections[0] for ax in axes]
    assert [ends(span).tolist() for span in spans] == [[[0.5, 1.5]], [[-0.2, 0.4]]]
    colours = [to_hex(span.get_color()[0]) for span in spans]
    assert colours[0] != colours[1] == plots.NEUTRAL
    assert [ax.get_yticklabels()[0].get_text() for ax in axes] == ["sales", "visits"]
    below = "treatment − control, with its interval"
    assert [ax.get_xlabel() for ax in axes] == ["", below]


def test_of_several_arms_each_has_its_line():
    numbers = {"arm": ["b", "c"], "difference": 1.0, "low": 0.5, "high": 1.5}
    effects = pd.DataFrame(numbers, index=["sales", "sales"])
    check = SampleRatio(dict.fromkeys("abc", 100), dict.fromkeys("abc", 1 / 3), 1.0, alpha=0.01)
    (ax,) = ABResult(check, effects, level=0.95).plot(title="Arms").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["sales, b", "sales, c"]
    assert ax.get_title(loc="left") == "Arms"


def test_the_power_curve_crosses_its_target_at_the_size_needed():
    units, needed = np.arange(100, 30_000, 100), sample_size(0.02, 0.5, power=0.8)
    curve = pd.DataFrame({"units": units, "power": power(0.02, 0.5, units)})
    ax = plots.plot_power(curve, needed=needed, target=0.8)
    curve, _, line = ax.lines
    assert np.interp(line.get_xdata()[0], *curve.get_data()) == pytest.approx(0.8, abs=1e-4)


def test_peeking_shows_the_always_valid_interval_around_the_other():
    rng = np.random.default_rng(0)
    sequence = confidence_sequence(rng.normal(size=500), rng.random(500) < 0.5, tightest_at=500)
    ax = sequence.plot()
    low, high = (line.get_ydata() for line in ax.lines[1:3])
    middle = ax.lines[0].get_ydata()
    assert (low + high) / 2 == pytest.approx(middle) and (low < high).all()
    assert high[-1] - low[-1] == pytest.approx(2 * 1.96 * sequence.se[-1])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() < low.min() and band.max() > high.max()


def test_regret_of_each_policy_is_drawn_with_its_band():
    run = run_bandit(
        Thompson(), Environment.bernoulli([0.1, 0.9]), 100, 5, rng=np.random.default_rng(0)
    )
    regret = run.plot(label="a")
    assert run.plot(regret, label="b") is regret
    assert regret.lines[0].get_ydata()[-1] == pytest.approx(run.regret[:, -1].mean())
    assert len(regret.collections) == 2
    traffic = run.plot(measure="best_share")
    assert traffic.lines[0].get_ydata()[-1] == pytest.approx(run.on_best.mean())
    assert traffic.get_ylabel() == "share on the best arm"


def test_dm_is_a_point_without_an_interval():
    n = 100
    half = np.full((n, 2), 0.5)
    result = evaluate_policy(np.arange(n) % 2.0, np.arange(n) % 2, half[:, 0], half, half)
    ax = result.plot(known=0.5)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["DR", "SNIPS", "IPS", "DM"]
    assert [len(segment) for segment in ax.collections[0].get_segments()] == [2, 2, 2, 0]
    assert ax.lines[-1].get_xdata()[0] == 0.5
