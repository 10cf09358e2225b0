"""Notebook 07: sliders that move, a picture where they cannot, and a Chinese page."""

import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from ipywidgets import FloatSlider, fixed, interactive

from kpay_lab.interest.ledger import plot_what_if
from kpay_lab.interest.published import WORKED_CASE
from kpay_lab.plots import plot_bars, relabel
from kpay_lab.report.language import beginning, labels, translation

ROOT = Path(__file__).parents[1]
NAME = "07_case_study"
WIDGET = "application/vnd.jupyter.widget-view+json"
CELLS = nbformat.read(ROOT / "notebooks" / f"{NAME}.ipynb", 4).cells


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_what_can_be_saved_by_other_values():
    printed = plot_what_if(0.5, *WORKED_CASE.weights, 22.5)
    assert titles(printed) == ["P: 0 / 4", "S: 0 / 4", "C: 4 / 4"]
    # 0.5 + 0.3 = 0.8; with w3 = 0: 0.8 * 0.8 + 0.32 * 0.5 = 0.8 and 0.8 * 0.3 + 0.32 * 0.5 = 0.4
    saved = plot_what_if(0.3, 0.8, 0.32, 0.0, 25.0)
    assert titles(saved) == ["P: 1 / 4", "S: 4 / 4", "C: 3 / 4"]


def test_a_slider_redraws_in_the_language_of_the_page():
    values = {"w1": 0.3, "w2": 0.3, "w3": 0.3, "threshold": 22.5}
    slider = FloatSlider(0.5, min=0, max=1, step=0.05)
    spoken = {"P: 0 / 4": "P：0 / 4", "P: 1 / 4": "P：1 / 4"}
    fixed_values = {name: fixed(value) for name, value in values.items()}
    moving = interactive(plot_what_if, mu=slider, **fixed_values, translations=fixed(spoken))
    assert titles(moving.result)[0] == "P：0 / 4"
    slider.value = 0.3
    assert titles(moving.result)[0] == "P：1 / 4"
    assert not plt.fignum_exists(moving.result.number)


def test_labels_change_on_axes_titles_and_ticks():
    import pandas as pd

    counts = pd.Series({"follow": 0, "do not follow": 12})
    axes = plot_bars(counts, title="What becomes of the printed results")
    figure = relabel(axes, labels(NAME, "zh"))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["成立", "不成立"]
    assert titles(figure) == ["文中各结果的核对情况"]


@pytest.mark.parametrize(
    "cell", [c for c in CELLS if c.cell_type == "markdown"], ids=lambda c: c.id
)
def test_every_cell_is_translated_with_its_formulas_and_code(cell):
    chinese = translation(NAME, "zh")[beginning(cell.source)]
    assert re.search("[一-鿿]", chinese)
    for pattern in (r"\$[^$]+\$", r"`[^`]+`", r"(?m)^#+ ", r"(?m)^- |^\d\. |^\|"):
        ours, theirs = (re.findall(pattern, text) for text in (cell.source, chinese))
        assert sorted(map(str.strip, ours)) == sorted(map(str.strip, theirs)), pattern


def test_no_translation_is_left_over_or_missing():
    assert translation(NAME, "en") == {}
    heads = {beginning(cell.source) for cell in CELLS if cell.cell_type == "markdown"}
    assert set(translation(NAME, "zh")) == heads | {"words"}
    with pytest.raises(ValueError, match=r"language is 'fr', but there is no .*07_case_study.md"):
        translation(NAME, "fr")


@pytest.fixture(scope="module")
def chinese(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "kpay_lab", "run", NAME, "--profile", "smoke"]
    command += ["--set", "language=zh", "--output", str(folder)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "latest").resolve()


def test_the_page_is_chinese_and_shows_the_picture_of_the_sliders(chinese):
    page = (chinese / f"{NAME}.html").read_text(encoding="utf-8")
    assert '<html lang="zh">' in page
    assert "算例复核" in page and "局限与练习" in page
    assert "The naive answer first" not in page and "How sure are we?" not in page
    assert "open the notebook in JupyterLab" not in page
    assert "显示代码" in page and "Show code" not in page
    assert "观看时长" in page and page.count("<svg") > 20
    executed = nbformat.read(chinese / f"{NAME}.ipynb", 4)
    (sliders,) = (cell for cell in executed.cells if "interact(" in cell.source)
    picture, widget = (output.data for output in sliders.outputs)
    assert "image/png" in picture and WIDGET in widget
    assert "请在 JupyterLab 中打开" in page
    found = json.loads((chinese / "metrics.json").read_text(encoding="utf-8"))[NAME]
    assert found["S/u_1/v_1"] == 6.55  # the numbers speak every language
    counts = {key: value for key, value in found.items() if key.startswith("printed/")}
    assert counts == {
        "printed/follow": 0,
        "printed/follow for a range": 4,
        "printed/do not follow": 12,
        "printed/are inputs": 1,
    }
