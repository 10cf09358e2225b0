import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from kpay_lab.experiments.ab import Effect
from kpay_lab.experiments.bandits import Environment, Thompson, run_bandit
from kpay_lab.experiments.ope import evaluate_policy
from kpay_lab.experiments.power import power, sample_size
from kpay_lab.experiments.sequential import always_valid
from kpay_lab.plots import experiments as plots


def ends(span: LineCollection) -> np.ndarray:
    return np.array([segment[:, 0] for segment in span.get_segments()])


def test_each_effect_has_its_interval_and_only_what_leaves_out_zero_is_coloured():
    found = (
        Effect("sales", 1.0, 2.0, 1.0, 0.5, 1.5, 0.01, 0.02),
        Effect("visits", 3.0, 3.1, 0.1, -0.2, 0.4, 0.5, 0.5),
    )
    axes = plots.effects(found).axes
    spans = [axis.collections[0] for axis in axes]
    assert [ends(span).tolist() for span in spans] == [[[0.5, 1.5]], [[-0.2, 0.4]]]
    colours = [to_hex(span.get_color()[0]) for span in spans]
    assert colours[0] != colours[1] == plots.NEUTRAL
    assert [axis.get_yticklabels()[0].get_text() for axis in axes] == ["sales", "visits"]


def test_the_power_curve_crosses_its_target_at_the_size_needed():
    units, needed = np.arange(100, 30_000, 100), sample_size(0.02, 0.5, power=0.8)
    (axis,) = plots.power_curve(units, power(0.02, 0.5, units), needed=needed, target=0.8).axes
    curve, _, line = axis.lines
    assert np.interp(line.get_xdata()[0], *curve.get_data()) == pytest.approx(0.8, abs=1e-4)


def test_peeking_shows_the_always_valid_interval_around_the_other():
    rng = np.random.default_rng(0)
    run = always_valid(rng.normal(size=500), rng.random(500) < 0.5, tightest_at=500)
    (axis,) = plots.peeking(run).axes
    low, high = (line.get_ydata() for line in axis.lines[:2])
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() < low.min() and band.max() > high.max()


def test_regret_is_drawn_a_policy_with_its_band():
    run = run_bandit(
        Thompson(), Environment.bernoulli([0.1, 0.9]), 100, 5, rng=np.random.default_rng(0)
    )
    axes = plots.regret({"a": run, "b": run}).axes
    assert axes[0].lines[0].get_ydata()[-1] == pytest.approx(run.regret[:, -1].mean())
    assert axes[1].lines[1].get_ydata()[-1] == pytest.approx(run.on_best.mean())
    assert all(len(axis.collections) == 2 for axis in axes)


def test_dm_is_a_point_without_an_interval():
    n = 100
    half = np.full((n, 2), 0.5)
    result = evaluate_policy(np.arange(n) % 2.0, np.arange(n) % 2, half[:, 0], half, half)
    (axis,) = plots.off_policy({"target": result}, {"target": 0.5}).axes
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["DR", "SNIPS", "IPS", "DM"]
    assert [len(segment) for segment in axis.collections[0].get_segments()] == [2, 2, 2, 0]
    assert axis.lines[-1].get_xdata()[0] == 0.5
