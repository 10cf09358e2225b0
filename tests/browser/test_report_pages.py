"""Every page of a report, opened offline in Chromium: quiet, complete and readable."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted(p.stem for p in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.browser
PAGES = ["index", "glossary", *NOTEBOOKS]
SCREENS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]

# The lowest contrast of any visible text with what lies behind it (WCAG 2, 1 to 21).
CONTRAST = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > .5) return colour;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let worst = {contrast: 21};
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const shown = node.checkVisibility() && !node.closest("svg, script, .not-applicable");
    if (!texts.currentNode.data.trim() || !shown) continue;
    const faint = node.closest("details.code:not([open])");  // a quiet handle, not the text
    const [ink, paper] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
    const contrast = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (!faint && contrast < worst.contrast) worst = {contrast, text: node.outerHTML.slice(0, 200)};
  }
  return worst;
}"""

# What reaches beyond the right edge and does not scroll in a box of its own.
BEYOND = """() => [...document.querySelectorAll("body *")].filter(node => {
  const box = node.getBoundingClientRect();
  if (box.width === 0 || box.right <= innerWidth + 1) return false;
  for (let up = node; up; up = up.parentElement)
    if (["auto", "scroll", "hidden"].includes(getComputedStyle(up).overflowX)) return false;
  return true;
}).map(node => node.outerHTML.slice(0, 200))"""

SIZES = """() => [...document.querySelectorAll("p, li, td")]
  .map(node => parseFloat(getComputedStyle(node).fontSize))"""
FORMULAS = """() => [...document.querySelectorAll("svg.tex")]
  .map(node => node.getBoundingClientRect()).map(box => [box.width, box.height])"""


@pytest.fixture(params=SCREENS, ids=lambda screen: "-".join(map(str, screen)), scope="module")
def screen(request, browser):
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    yield context
    context.close()


@pytest.fixture(params=PAGES)
def page(request, screen, report):
    """An open page; what it said on the console or asked for is in ``page.noise``."""
    page, noise = screen.new_page(), []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda request: noise.append(request.url))
    address = (report / f"{request.param}.html").as_uri()
    page.goto(address)
    page.noise = [text for text in noise if text != address and not text.startswith("data:")]
    yield page
    page.close()


def test_says_nothing_and_asks_for_nothing(page):
    assert page.noise == []


def test_fits_the_screen(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert page.evaluate(BEYOND) == []


def test_can_be_read(page):
    worst = page.evaluate(CONTRAST)
    assert worst["contrast"] >= 4.5, worst
    assert min(page.evaluate(SIZES)) >= 12


def test_pictures_and_formulas_are_drawn(page):
    pictures = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert page.url.endswith("glossary.html") or (pictures and min(pictures) > 100)
    formulas = page.evaluate(FORMULAS)
    assert all(width > 3 and height > 3 for width, height in formulas)
    written = page.evaluate("document.body.innerText")
    assert "\\frac" not in written and "⟦" not in written
    if page.url.endswith(("02_interest_matrix.html", "07_case_study.html")):
        assert len(formulas) > 10


def test_the_code_comes_at_a_click(screen, report):
    page = screen.new_page()
    page.goto((report / "07_case_study.html").as_uri())
    assert not page.locator("details.code pre").first.is_visible()
    page.get_by_role("button", name="Show code").click()
    assert page.locator("details.code pre").first.is_visible()
    page.close()


def test_the_index_leads_to_every_page_and_back(screen, report):
    page = screen.new_page()
    page.goto((report / "index.html").as_uri())
    for name in NOTEBOOKS:
        page.locator(f"h2 a[href='{name}.html']").click()
        assert page.url.endswith(f"{name}.html")
        page.get_by_role("link", name="← report").click()
        assert page.url.endswith("index.html")
    page.get_by_role("link", name="Glossary").click()
    page.get_by_role("link", name="← report").click()
    assert page.url.endswith("index.html")
    page.close()
