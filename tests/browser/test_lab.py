"""Every notebook in a real JupyterLab: opened, Run All, no error, pictures there."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted(p.stem for p in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.browser
# Prompts are "[ ]:" before, "[*]:" while, and "[3]:" after a cell runs.
DONE = """() => {
  const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")]
    .map(node => node.textContent.trim());
  const failed = document.querySelector("[data-mime-type='application/vnd.jupyter.error']");
  return failed || (prompts.length && prompts.every(text => /^\\[\\d+\\]:$/.test(text)));
}"""


def run_all(page, lab, name):
    """Open a notebook, choose Run → Run All Cells, and wait until nothing is left to run."""
    page.goto(lab.format(f"{name}.ipynb"))
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
    page.get_by_text("| Idle").wait_for(timeout=120_000)  # the kernel is there
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(DONE, timeout=600_000)


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    yield page
    context.close()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_run_all(page, lab, project, name):
    run_all(page, lab, name)
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.all_inner_texts()
    pictures = page.evaluate(
        "[...document.querySelectorAll('.jp-OutputArea img')].map(image => image.naturalWidth)"
    )
    saved = project / "outputs" / "interactive" / name
    assert len(pictures) >= len(list((saved / "figures").glob("*.png"))) > 0
    assert min(pictures) > 100
    assert json.loads((saved / "metrics.json").read_text(encoding="utf-8"))


def test_a_slider_draws_the_figure_anew(page, lab):
    run_all(page, lab, "07_case_study")
    panel = page.locator(".widget-interact")
    assert panel.locator(".widget-slider").count() == 5
    before = panel.locator("img").get_attribute("src")
    number = panel.locator(".widget-readout").first
    number.click()
    number.fill("0.3")
    number.press("Enter")
    changed = "([node, old]) => node.querySelector('img') && node.querySelector('img').src !== old"
    page.wait_for_function(changed, arg=[panel.element_handle(), before], timeout=60_000)
