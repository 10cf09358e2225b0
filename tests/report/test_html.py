"""Pages stand alone: no address, no running script but their own, formulas drawn."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kpay_lab.report.html import glossary, index, page
from kpay_lab.report.manifest import Entry, Manifest
from kpay_lab.report.markup import Markup

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:alert(3)'>x</a>"
PROSE = r"""
# Interest $A_{ui}$

$$A_{ui} = \frac{\sum_e w_e}{\log_2 (d_e + 1)} \tag{1}$$

\begin{align}
P &= A + \mu I \\
S &< w_1 R
\end{align}

See [the paper](https://doi.org/10.1000/182), <https://example.org/x>, [next](02_b.ipynb).
"""


@pytest.fixture
def manifest():
    entries = {
        "01_a": Entry(source_sha256="0", status="ok", title="One"),
        "02_b": Entry(source_sha256="0", status="failed", reason=HOSTILE, title=HOSTILE),
    }
    parameters = {"01_a": {"k": 1, "seed": 2}, "02_b": {"k": 3, "seed": 2}}
    return Manifest(profile="p", parameters=parameters, notebooks=entries, started="2024-01-01T00")


@pytest.fixture
def text(manifest):
    outputs = [
        new_output("display_data", {"text/html": f"<table><tr><td>7</td></tr></table>{HOSTILE}"}),
        new_output("display_data", {"text/markdown": f"There are $n = 3$ users. {HOSTILE}"}),
        new_output("display_data", {"text/latex": r"$\displaystyle x^2$"}),
        new_output("display_data", {"image/png": "iVBORw0KGgo="}),
        new_output("display_data", {"image/svg+xml": f"<svg>{HOSTILE}</svg>"}),
        new_output("stream", name="stdout", text=f"{HOSTILE}\nhttps://example.org\n"),
        new_output("stream", name="stdout", text="\n".join(f"line {n}" for n in range(200_000))),
        new_output("error", ename="E", evalue=HOSTILE, traceback=[f"\x1b[31m{HOSTILE}\x1b[0m"]),
    ]
    secret = new_code_cell("output_dir = '/home/me'", metadata={"tags": ["injected-parameters"]})
    code = new_code_cell(f"print('{HOSTILE}')", outputs=outputs)
    cells = [new_markdown_cell(PROSE), new_markdown_cell(HOSTILE), secret, code]
    return page(new_notebook(cells=cells), "01_a", manifest)


def test_only_the_own_script_and_no_address(text):
    assert re.findall(r"<script\b[^>]*>", text) == ["<script>"]
    assert "default-src 'none'" in text
    assert "://" not in text
    assert not re.search(r"<[^>]+\s(onerror|onload|onclick)\s*=", text)
    for source in re.findall(r'<[^>]+\s(?:src|href)="([^"]*)"', text):
        assert source.startswith(("#", "data:", "index.html", "02_b.html")), source
    assert "doi.org/10.1000/182" in text


def test_formulas_are_drawn(text):
    outside = re.sub(
        r'<style>.*?</style>|aria-label="[^"]*"|<script>.*?</script>', "", text, flags=re.S
    )
    assert "$" not in outside
    assert "formula 0" not in outside
    assert text.count('<svg class="tex"') == 5
    for glyph in re.findall(r'<use href="#([^"]+)"', text):
        assert f'id="{glyph}"' in text
    assert len(set(re.findall(r'<symbol id="([^"]+)"', text))) == text.count("<symbol ")


def test_injected_cell_and_long_print_are_left_out(text):
    assert "/home/me" not in text
    assert "lines left out" in text
    assert "line 199999" in text
    assert len(text) < 200_000


def test_lines_printed_one_by_one_stand_in_one_box(manifest):
    lines = [new_output("stream", name="stdout", text=f"model {n}\n") for n in range(3)]
    printed = new_notebook(cells=[new_code_cell("for ...", outputs=lines)])
    drawn = page(printed, "01_a", manifest)
    assert drawn.count('<div class="output stdout">') == 1
    assert "model 0\nmodel 1\nmodel 2" in drawn
    assert len(printed.cells[0].outputs) == 3  # the notebook itself stays as it ran


def test_wide_tables_scroll_in_their_box(text):
    assert '<div class="wide"><table><tbody><tr><td>7' in text


def test_a_space_in_a_formula_swallows_no_letter():
    # the glyph of a space is an empty symbol; the letter after it must stay
    markup = Markup()
    drawn = markup.markdown(r"$x \, \log y$")
    assert len(re.findall("<use ", drawn)) >= 5
    used = set(re.findall(r'href="#([^"]+)"', drawn))
    assert used <= set(markup.symbols)


def test_index(tmp_path, manifest):
    (tmp_path / "01_a/figures").mkdir(parents=True)
    (tmp_path / "01_a/figures/f.png").write_bytes(b"\x89PNG")
    (tmp_path / "01_a.html").touch()
    manifest.notebooks["01_a"].headlines = [{"key": "users", "words": "users"}]
    manifest.notebooks["01_a"].figures = [{"name": "f", "words": None}]
    text = index(tmp_path, manifest, {"01_a": {"users": 12345}})
    assert "12,345" in text
    manifest.notebooks["01_a"].why = {"users": "nobody came"}
    assert "users: nobody came" in index(tmp_path, manifest, {"01_a": {"users": None}})
    assert 'src="data:image/png;base64,iVBORw=="' in text
    assert '<a href="01_a.html">One</a>' in text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "://" not in text
    shared, own = text.split("<details>", 1)
    assert ">seed<" in shared
    assert ">k<" in own


def test_the_glossary_is_a_page_that_the_index_links(tmp_path, manifest):
    text = glossary()
    assert "术语表" in text and "用户兴趣矩阵" in text
    assert "://" not in text
    assert '<a href="glossary.html">' in index(tmp_path, manifest, {})


def test_reading_back_a_manifest(tmp_path, manifest):
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest
