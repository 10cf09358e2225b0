"""Every page of a report, opened offline in Chromium: quiet, complete and readable."""

from pathlib import Path
from urllib.parse import unquote

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


def test_contents_lead_to_every_heading(page):
    if not page.url.endswith(tuple(f"{name}.html" for name in NOTEBOOKS)):
        pytest.skip("only the pages of notebooks have contents")
    contents = page.locator("details.contents")
    is_wide = page.viewport_size["width"] >= 1200
    assert contents.evaluate("node => node.open") == is_wide
    headings = page.locator("main h2, main h3").evaluate_all("all => all.map(one => one.id)")
    links = contents.locator("a").evaluate_all("all => all.map(one => one.hash.slice(1))")
    named = [unquote(link) for link in links]
    assert named == headings
    if not is_wide:
        contents.locator("summary").click()
    contents.locator("a").last.click()
    last = page.locator(f"[id='{named[-1]}']").bounding_box()
    assert 0 <= last["y"] <= page.viewport_size["height"]


def test_every_link_leads_somewhere(page, report):
    links = page.locator("a[href]").evaluate_all("all => all.map(one => one.href)")
    assert links
    for link in links:
        address, _, anchor = link.partition("#")
        path = Path(unquote(address.removeprefix("file://")))
        assert path.is_file(), link
        assert report in path.parents
        if anchor:
            text = path.read_text(encoding="utf-8")
            assert f'id="{unquote(anchor)}"' in text, link


def test_a_table_is_sorted_by_what_is_clicked(screen, report):
    page = screen.new_page()
    page.goto((report / "04_model_comparison.html").as_uri())
    table = page.locator("table.frame").filter(has=page.get_by_role("button", name="NDCG")).last
    head = table.locator("thead th").filter(has_text="NDCG")
    column = head.evaluate("node => node.cellIndex")

    def numbers():
        cells = table.locator("tbody tr").evaluate_all(
            "(rows, column) => rows.map(row => row.cells[column].dataset.sort)", column
        )
        return [float(cell) for cell in cells]

    before = numbers()
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert numbers() == sorted(before, reverse=True)
    head.get_by_role("button").click()
    assert numbers() == sorted(before)
    words = table.locator("thead th").first
    words.get_by_role("button").press("Enter")
    names = table.locator("tbody tr > :first-child").all_inner_texts()
    assert names == sorted(names)
    assert head.get_attribute("aria-sort") is None
    page.close()


def test_a_picture_opens_at_full_size(screen, report):
    page = screen.new_page()
    page.goto((report / "01_data_exploration.html").as_uri())
    picture = page.locator(".picture a").first
    shown = picture.locator("img").evaluate("node => node.naturalWidth")
    picture.click()
    assert page.url.endswith(".png")
    assert page.evaluate("document.images[0].naturalWidth") == shown
    page.close()


def test_what_is_wider_than_the_screen_says_so(page):
    unmarked = """() => [...document.querySelectorAll(".wide, .picture > a")]
      .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
      .filter(box => !box.previousElementSibling?.matches(".hint") || box.tabIndex !== 0)
      .map(box => box.outerHTML.slice(0, 200))"""
    if page.url.endswith(("index.html", "glossary.html")):
        pytest.skip("these pages hold no script")
    assert page.evaluate(unmarked) == []


def test_no_table_shows_row_numbers_or_names_of_code(page):
    heads = page.locator("table.frame thead th").all_inner_texts()
    assert not [head for head in heads if "_" in head or head in ("pvalue", "ess")]
    tables = page.locator("table.frame")
    assert tables.evaluate_all("all => all.every(one => one.tHead.rows.length === 1)")
    cells = page.locator("table.frame td, table.frame th").all_inner_texts()
    assert not {"True", "False", "nan", "NaN", "None", "cannot_be"} & set(cells)


def test_findings_stand_first(screen, report):
    page = screen.new_page()
    page.goto((report / "04_model_comparison.html").as_uri())
    first = page.locator("main h2").first
    assert first.inner_text() == "In short"
    page.goto((report / "index.html").as_uri())
    assert page.locator("main h2").first.inner_text() == "In short"
    lines = page.locator(".findings li")
    assert 1 <= lines.count() <= 6
    for line in lines.all():
        sign, word = line.locator(".level").inner_text().split()
        assert (sign, word) in {("✓", "good"), ("!", "watch"), ("✗", "bad"), ("•", "note")}
        assert line.locator("a").count() == 1
    assert 1 <= page.locator(".pictures img").count() <= 4
    page.close()


def test_one_page_leads_to_the_next_and_back(screen, report):
    page = screen.new_page()
    page.goto((report / f"{NOTEBOOKS[0]}.html").as_uri())
    for name in NOTEBOOKS[1:]:
        page.locator("a[rel=next]").first.click()
        assert page.url.endswith(f"{name}.html")
    for name in reversed(NOTEBOOKS[:-1]):
        page.locator("a[rel=prev]").last.click()
        assert page.url.endswith(f"{name}.html")
    page.close()


def test_the_index_leads_to_every_page_and_back(screen, report):
    page = screen.new_page()
    page.goto((report / "index.html").as_uri())
    for name in NOTEBOOKS:
        page.locator(f"h3 a[href='{name}.html']").click()
        assert page.url.endswith(f"{name}.html")
        page.get_by_role("link", name="← report").click()
        assert page.url.endswith("index.html")
    page.get_by_role("link", name="Glossary").click()
    page.get_by_role("link", name="← report").click()
    assert page.url.endswith("index.html")
    page.close()
