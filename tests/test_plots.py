"""Shapes: what they draw, where, and that they know nothing of the rooms above them."""

import inspect
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from kpay_lab import plots

TABLE = pd.DataFrame(
    {"value": [1.0, 0.1], "low": [0.5, -0.2], "high": [1.5, 0.4]}, index=["sales", "visits"]
)
CURVE = pd.DataFrame({"x": [0, 1, 2], "y": [0.0, 0.5, 0.2], "low": [0, 0.4, 0], "high": [0, 1, 1]})
DRAWN = [name for name in plots.__all__ if name.startswith("plot_")]


@pytest.mark.parametrize("name", DRAWN)
def test_one_rule_names_what_is_drawn(name):
    draw = getattr(plots, name)
    parameters = inspect.signature(draw).parameters
    if name.endswith("_panels"):
        assert "ax" not in parameters and draw.__annotations__["return"] is Figure
    else:
        assert parameters["ax"].default is None and draw.__annotations__["return"] is Axes
        assert parameters["settings"].kind is inspect.Parameter.VAR_KEYWORD


def calls():
    counts = np.array([5, 3, 1, 0])
    numbers = pd.DataFrame([[0.1, 0.9], [0.5, np.nan]], index=["a", "b"], columns=["p", "q"])
    steps = pd.DataFrame(
        {
            "step": ["shown", "watched"],
            "n": [100, 40],
            "rate": [np.nan, 0.4],
            "of": [None, "shown"],
        }
    )
    points = pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 0.0], "segment": [0, 1]})
    lists = pd.DataFrame(
        {
            "family": ["models", "models", "price"],
            "name": ["a", "b", "c"],
            "u": [1, 2, 3],
            "v": [3, 2, 1],
        }
    )
    shares = pd.DataFrame({"predicted": [0.1, 0.5], "observed": [0.2, 0.4]})
    gains = pd.DataFrame({"share": [0, 1], "gain": [0, 0.1], "random": [0, 0.1]})
    trials = pd.DataFrame({"reg": [10.0, 1.0], "value": [0.3, 0.2]})
    days = pd.Series([3, 4], pd.date_range("2026-01-05", periods=2))
    power = pd.DataFrame({"units": [10, 20], "power": [0.5, 0.9]})
    stays = CURVE.set_axis(["time", "stays", "low", "high"], axis=1)
    boxes = {"A": ("start", 0, 0), "B": ("end", 1, 0)}
    return {
        "plot_bars": (plots.plot_bars, [TABLE["value"]], {"fmt": ".1f"}),
        "plot_funnel": (plots.plot_funnel, [steps], {}),
        "plot_intervals": (plots.plot_intervals, [TABLE], {"zero": True}),
        "plot_sensitivity": (plots.plot_sensitivity, [numbers, {"p": "first"}], {}),
        "plot_curves": (plots.plot_curves, [{"a": CURVE, "b": CURVE}, "x", "y"], {"band": True}),
        "plot_days": (plots.plot_days, [days], {}),
        "plot_calibration": (plots.plot_calibration, [{"a": shares}], {}),
        "plot_power": (plots.plot_power, [power], {"needed": 15, "target": 0.8}),
        "plot_qini": (plots.plot_qini, [{"a": gains}], {}),
        "plot_search": (plots.plot_search, [trials, "reg"], {}),
        "plot_survival": (plots.plot_survival, [{"a": stays, "b": stays}], {}),
        "plot_points": (plots.plot_points, [TABLE.set_axis([0, 1])], {}),
        "plot_histogram": (plots.plot_histogram, [[0.1, np.nan]], {"bins": 2, "span": (0, 1)}),
        "plot_densities": (plots.plot_densities, [{"a": [0.1, 0.9]}], {"bins": 2, "span": (0, 1)}),
        "plot_ecdf": (plots.plot_ecdf, [{"a": [0.1, 0.9], "b": [0.2]}], {}),
        "plot_counts": (plots.plot_counts, [{"a": counts}], {}),
        "plot_lorenz": (plots.plot_lorenz, [{"a": counts}], {}),
        "plot_heat": (plots.plot_heat, [numbers], {"fmt": ".1f"}),
        "plot_scatter": (plots.plot_scatter, [points, ("a", "b")], {}),
        "plot_trade_off": (plots.plot_trade_off, [lists, "u", "v"], {}),
        "plot_ranks": (plots.plot_ranks, [numbers.fillna(0)], {}),
        "plot_pairs": (plots.plot_pairs, [["a", "b"], [1, 2], [1, 3]], {}),
        "plot_flow": (plots.plot_flow, [boxes, [("A", "B", "yes")]], {}),
    }


@pytest.mark.parametrize(
    "name", [name for name in DRAWN if not name.endswith(("_panels", "_tree"))]
)
def test_a_shape_is_drawn_where_it_is_asked_for(name):
    draw, data, options = calls()[name]
    new = draw(*data, **options, title="a title")
    assert new.get_title(loc="left") == "a title"
    fig, (left, right) = plots.new_figure(1, 2)
    assert draw(*data, **options, ax=right) is right
    assert right.has_data() or right.texts
    assert not left.has_data() and not left.texts
    plt.close(fig)
    plt.close(new.figure)


def test_bars_carry_their_numbers_and_stand_in_order():
    ax = plots.plot_bars(pd.Series({"by row": 0.2, "by user": 0.05}), fmt=".1%")
    assert [text.get_text() for text in ax.texts] == ["20.0%", "5.0%"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["by row", "by user"]
    first, second = (bar.get_y() for bar in ax.patches)
    assert ax.yaxis_inverted() and first < second


def test_an_interval_that_holds_zero_is_grey():
    ax = plots.plot_intervals(TABLE, zero=True)
    ends = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    assert ends == [[0.5, 1.5], [-0.2, 0.4]]
    colours = [to_hex(colour) for colour in ax.collections[0].get_colors()]
    assert colours == [plots.BLUE, plots.NEUTRAL]


def test_groups_share_the_rows_of_their_names_whatever_their_order():
    rows = pd.DataFrame(
        {"value": [1.0, 2.0, 3.0], "low": 0.0, "high": 4.0, "model": ["x", "x", "y"]},
        index=["low", "high", "high"],
    )
    ax = plots.plot_intervals(rows, by="model")
    dots = {dots.get_label(): dots.get_offsets()[:, 1].tolist() for dots in ax.collections[1::2]}
    assert dots == {"x": [0, 1], "y": [1.16]}


def test_marks_stand_in_the_panel_they_belong_to():
    panels = {"ease": TABLE, "uniform": TABLE}
    marks = {"truth": {"ease": 0.22, "uniform": 0.3}, "now running": {"ease": 0.28}}
    axes = plots.plot_interval_panels(panels, marks=marks, sharey=True).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["ease", "uniform"]
    at = [{line.get_label(): line.get_xdata()[0] for line in ax.lines} for ax in axes]
    assert at == [{"truth": 0.22, "now running": 0.28}, {"truth": 0.3}]


def test_curve_panels_draw_the_mean_and_the_range_over_runs():
    curves = pd.DataFrame(
        {
            "strategy": ["x"] * 4,
            "run": [0, 0, 1, 1],
            "round": [0, 1, 0, 1],
            "satisfaction": [0.4, 0.6, 0.6, 0.8],
            "gini": [0.1, 0.2, 0.3, 0.4],
        }
    )
    titles = {"satisfaction": "true interest", "gini": "concentration"}
    first, second = plots.plot_curve_panels(curves, "round", titles, by="strategy").axes
    assert first.lines[0].get_ydata() == pytest.approx([0.5, 0.7])
    assert second.lines[0].get_ydata() == pytest.approx([0.2, 0.3])
    band = first.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.4, 0.8))
    assert first.get_title(loc="left") == "true interest" and second.get_xlabel() == "round"


def test_ranks_follow_the_largest_value():
    ax = plots.plot_ranks(pd.DataFrame({"a": [0.1, 0.9], "b": [0.8, 0.2]}, index=["x", "y"]))
    names = [text.get_text() for text in ax.texts]
    assert names == ["y", "0.900", "0.200", "x", "0.100", "0.800"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[1, 2], [2, 1]]


def test_more_rows_than_colours_are_all_drawn():
    numbers = np.arange(17.0)
    many = pd.DataFrame({"family": numbers, "name": numbers.astype(str), "u": numbers})
    many = many.assign(v=numbers, low=numbers - 1, high=numbers + 1)
    assert len(plots.plot_ranks(many[["u", "v"]]).lines) == 17
    assert len(plots.plot_trade_off(many, "u", "v").lines) == 17
    assert len(plots.plot_intervals(many, "u", by="family").collections) == 2 * 17


def test_a_table_without_any_value_has_a_scale_all_the_same():
    ax = plots.plot_heat(pd.DataFrame({"a": [np.nan]}), fmt=".1f")
    assert ax.collections[0].get_clim() == (0, 1)


def test_one_picture_among_others_keeps_its_legend_to_itself():
    lists = pd.DataFrame({"family": ["models", "price"], "name": ["a", "b"], "u": [1, 2]})
    alone = plots.plot_trade_off(lists.assign(v=[2, 1]), "u", "v")
    assert [text.get_text() for text in alone.figure.legends[0].get_texts()] == ["models", "price"]
    fig, (left, right) = plots.new_figure(1, 2)
    left.plot([0, 1], label="another picture")
    plots.plot_trade_off(lists.assign(v=[2, 1]), "u", "v", ax=right)
    assert not fig.legends and left.get_legend() is None
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["models", "price"]


def crosses(one, other):
    """Whether two lines, each from a point to a label, cross."""
    (a, b), (c, d) = one, other
    side = [
        np.sign(np.linalg.det(np.array([end - start, point - start])))
        for start, end, point in ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    ]
    return side[0] * side[1] < 0 and side[2] * side[3] < 0


def test_lines_from_points_to_their_names_do_not_cross():
    """Sorted by height alone the first two would cross: the upper one lies far to the left."""
    u = [0.0, 0.9, 1.0, 0.1, 0.5, 0.95, 0.2]
    v = [0.52, 0.5, 0.51, 0.9, 0.49, 0.1, 0.48]
    points = pd.DataFrame({"family": "models", "name": list("abcdefg"), "u": u, "v": v})
    ax = plots.plot_trade_off(points, "u", "v")
    ax.figure.draw_without_rendering()
    to_axes = ax.transData + ax.transAxes.inverted()
    lines = [(to_axes.transform(text.xy), np.array(text.xyann)) for text in ax.texts]
    assert len(lines) == 7
    crossing = [pair for pair in combinations(lines, 2) if crosses(*pair)]
    assert not crossing


def test_numbers_of_a_heat_map_stand_out_from_their_cells():
    shares = pd.DataFrame([[0.05, np.nan], [0.1, 0.4]])
    texts = plots.plot_heat(shares, fmt=".0%").texts
    assert [(text.get_text(), text.get_color()) for text in texts] == [
        ("5%", "black"),
        ("10%", "black"),
        ("40%", "white"),
    ]


def test_a_timeline_leaves_out_what_is_not_known_and_marks_every_panel():
    known = pd.DataFrame({"viewers": [1.0, 4.0], "gifts": np.nan})
    panels = {"there": known, "orders": known[["viewers"]]}
    top, bottom = plots.plot_timeline_panels(panels, marks=[1], mark="offer").axes
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["offer", "viewers"]
    assert [len(ax.lines) for ax in (top, bottom)] == [2, 2]
