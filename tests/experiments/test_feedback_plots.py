import numpy as np
import pandas as pd
import pytest

from kpay_lab.plots import feedback as plots


def test_three_ways_share_a_scale_and_the_truth_is_dashed():
    ways = {"DR": (0.2, 0.1, 0.3), "A/B test": (0.25, 0.2, 0.3), "truth": (0.22, np.nan, np.nan)}
    rows = [(name, way, *numbers) for name in ("ease", "uniform") for way, numbers in ways.items()]
    values = pd.DataFrame(rows, columns=["policy", "way", "value", "low", "high"])
    axes = plots.plot_three_ways(values, running=0.28).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["ease", "uniform"]
    for ax in axes:
        at = {line.get_label(): line.get_xdata()[0] for line in ax.lines}
        assert at["truth"] == 0.22 and at["now running"] == 0.28
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["DR", "A/B test"]


def test_rounds_draw_the_mean_over_runs_and_the_best_possible():
    curves = pd.DataFrame(
        {
            "strategy": ["x"] * 4,
            "run": [0, 0, 1, 1],
            "round": [0, 1, 0, 1],
            "satisfaction": [0.4, 0.6, 0.6, 0.8],
            "gini": [0.1, 0.2, 0.3, 0.4],
        }
    )
    first, second = plots.plot_rounds(curves, ("satisfaction", "gini"), best=0.9).axes
    assert first.lines[0].get_ydata() == pytest.approx([0.5, 0.7])
    assert first.lines[1].get_ydata()[0] == 0.9
    assert second.lines[0].get_ydata() == pytest.approx([0.2, 0.3])
    assert len(second.lines) == 1


def test_rejections_are_labelled_and_held_against_the_promise():
    (ax,) = plots.plot_rejections({"by row": 0.2, "by user": 0.05}).axes
    assert [text.get_text() for text in ax.texts] == ["20.0%", "5.0%"]
    assert ax.lines[0].get_xdata()[0] == 0.05
