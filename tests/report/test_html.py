"""Pages stand alone: no address, no running script but their own, formulas drawn."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kpay_lab.report.html import glossary, index, page
from kpay_lab.report.in_short import InShort, Line
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
        assert source.startswith(("#", "data:", "index.html", "02_b.html", "01_a/")), source
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


def write_picture(folder, name, width=1800, height=800):
    """Write the beginning of a PNG, which says its size."""
    folder.mkdir(parents=True, exist_ok=True)
    size = width.to_bytes(4) + height.to_bytes(4)
    (folder / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR" + size)


def line(sentence, place="", order=1):
    return Line(f"key/{order}", "bad", sentence, place, "bad", "✗", order)


def test_index(tmp_path, manifest):
    write_picture(tmp_path / "01_a/figures", "f")
    (tmp_path / "01_a.html").touch()
    entry = manifest.notebooks["01_a"]
    entry.headlines = [{"key": "users", "words": "users"}]
    entry.figures = [{"name": "f", "words": None}]
    text = index(tmp_path, manifest, {"01_a": {"users": 12345}})
    assert "12,345" in text
    entry.why = {"users": "nobody came"}
    assert "users: nobody came" in index(tmp_path, manifest, {"01_a": {"users": None}})
    assert 'src="data:image/png;base64,iVBORw0K' in text
    assert '<a href="01_a.html">One</a>' in text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "://" not in text


def test_the_index_says_what_log_it_is_about(tmp_path, manifest):
    manifest.parameters["01_a"]["data_dir"] = "/data/my_shop"
    days = {"users": 193, "first_day": "2026-01-05", "last_day": "2026-02-04"}
    manifest.notebooks["01_a"].record = {"log": days}
    text = index(tmp_path, manifest, {})
    assert "<h1>my_shop</h1>" in text
    assert "2026-01-05 to 2026-02-04" in text
    assert "193 people" in text


def test_the_index_begins_with_findings_that_lead_to_their_places(tmp_path, manifest):
    write_picture(tmp_path / "01_a/figures", "lead")
    (tmp_path / "01_a.html").touch()
    entry = manifest.notebooks["01_a"]
    entry.figures = [{"name": "lead", "words": "The lead"}]
    entry.question = "Which one?"
    lines = [line("Ship <als>.", "lead"), line("Nobody came.", order=2)]
    text = index(tmp_path, manifest, {}, {"01_a": InShort("In short", "", tuple(lines))})
    assert '<a href="01_a.html#at-lead">Ship &lt;als&gt;.</a>' in text
    assert '<a href="01_a.html">Nobody came.</a>' in text
    assert text.index("Ship &lt;als&gt;.") < text.index('id="in-short"') + 400
    assert '<b class="level">✗ bad</b>' in text
    assert 'href="01_a/figures/lead.png"' in text
    row = text[text.index("Which one?") :]
    assert "Ship &lt;als&gt;." in row


def test_the_index_shows_the_shop_and_four_pictures_at_most(tmp_path):
    names = ["00_business", *(f"0{n}_x" for n in range(1, 6))]
    entries = {}
    for name in names:
        write_picture(tmp_path / name / "figures", "f")
        figure = {"name": "f", "words": name}
        entries[name] = Entry(source_sha256="0", status="ok", figures=[figure])
    parameters = {name: {} for name in names}
    manifest = Manifest(profile="p", parameters=parameters, notebooks=entries, started="2024")
    shop = {"gmv": 1234.5, "currency": "CNY", "orders": 20, "orders/change": -0.05}
    entries["00_business"].record = {"period": "2026-01-28 to 2026-02-03"}
    text = index(tmp_path, manifest, {"00_business": shop | {"gpm": None}})
    assert "2026-01-28 to 2026-02-03. The small number" in text
    assert "1,234.50 CNY" in text
    assert "20 <small>−5 %</small>" in text
    assert "GPM" not in text
    assert text.count("<img") == 4


def test_the_index_names_parameters_that_differ_from_their_default(tmp_path, manifest):
    for name in ("01_a", "02_b"):
        manifest.notebooks[name].changed = ["k", "seed"]
    folded = index(tmp_path, manifest, {}).partition("Parameters that differ")[2]
    assert re.findall(r'<th scope="row">(\w+)</th><td>(\d)</td><td>(.*?)</td>', folded) == [
        ("k", "1", "01"),
        ("seed", "2", "01, 02"),
        ("k", "3", "02"),
    ]


def test_a_page_has_contents_neighbours_and_links_to_its_files(manifest):
    png = {"image/png": {"width": 640, "figure": "tail"}}
    outputs = [
        new_output("display_data", {"image/png": "iVBORw0KGgo="}, metadata=png),
        new_output(
            "display_data",
            {"text/html": "<table><tr><td>7</td></tr></table>"},
            metadata={"text/html": {"table": "rows", "rows": 40, "shown": 8}},
        ),
    ]
    prose = new_markdown_cell("# One\n\n## The data\n\ntext\n\n## The data\n\n### With $x$")
    manifest.notebooks["01_a"].tables = ["rows", "kept"]
    cells = [prose, new_code_cell("x", outputs=outputs)]
    said = InShort("In short", "", (line("Most is lost.", "tail"),))
    text = page(new_notebook(cells=cells), "01_a", manifest, said)
    assert '<a href="01_a/figures/tail.png"' in text
    assert '<a href="01_a/tables/rows.csv">rows.csv</a>' in text
    assert '<li id="at-kept"><a href="01_a/tables/kept.csv">' in text
    assert "8 of 40 rows" in text
    assert '<a href="#at-tail">Most is lost.</a>' in text
    for anchor in re.findall(r'href="#([^"]+)"', text):
        assert text.count(f'id="{anchor}"') == 1, anchor
    assert '<h2 id="the-data-2">The data</h2>' in text
    assert '<a href="#the-data-2">The data</a>' in text
    assert 'rel="next" href="02_b.html"' in text
    assert 'rel="prev"' not in text
    assert text.index("<h1") < text.index("Most is lost.") < text.index('<section class="prose">')
    assert text.count("<h1") == 1


def test_the_name_of_a_file_that_no_session_gave_makes_no_link(manifest):
    png = {"image/png": {"figure": '"><script>alert(1)</script>'}}
    output = new_output("display_data", {"image/png": "iVBORw0KGgo="}, metadata=png)
    text = page(new_notebook(cells=[new_code_cell("x", outputs=[output])]), "01_a", manifest)
    assert "<script>alert" not in text and "figures/" not in text


def test_no_line_ends_between_a_formula_and_the_marks_around_it():
    drawn = Markup().markdown("Read ($x$), the $n$-th, and $y$ as in 矩阵 $z$，所以。")
    bare = re.sub(r"<svg.*?</svg>", "F", drawn, flags=re.S)
    kept = re.findall(r'<span class="together">(.*?)</span>', bare)
    assert kept == ["(F),", "F-th,", "F，"]
    assert "and F as" in bare


def test_the_glossary_is_a_page_that_the_index_links(tmp_path, manifest):
    text = glossary()
    assert "术语表" in text and "用户兴趣矩阵" in text
    assert "://" not in text
    assert '<a href="glossary.html">' in index(tmp_path, manifest, {})


def test_reading_back_a_manifest(tmp_path, manifest):
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def test_a_real_log_is_not_told_by_parameters_of_the_simulator(project):
    lines = [
        'dataset: str = "simulated"  # where the log comes from {simulated, tables}',
        "n_users: int = 2000  # simulated users [10, 1000000]",
        "k: int = 10  # length of a list [1, 100]",
    ]
    project.write("01_a", "¶text", parameters="\n".join(lines))
    settings = ["n_users=50", "k=5"]
    simulated = project.run(settings=settings).manifest.notebooks["01_a"]
    assert simulated.changed == ["n_users", "k"]
    real = project.run(settings=[*settings, "dataset=tables"]).manifest.notebooks["01_a"]
    assert real.changed == ["dataset", "k"]


def test_a_notebook_asks_its_question_on_the_index(project):
    project.write("01_a", "¶text")
    path = project.root / "notebooks" / "01_a.ipynb"
    written = path.read_text().replace(
        "# Title", "# Title\\n\\n**The question.** Who\\nstays?\\n\\nMore of"
    )
    path.write_text(written)
    assert project.run().manifest.notebooks["01_a"].question == "Who stays?"


def test_a_paragraph_about_a_picture_goes_when_the_picture_does(manifest):
    drawn = new_output("display_data", {"image/png": "iVBORw0KGgo="})
    drawn.metadata = {"image/png": {"figure": "activity"}}
    cells = [
        new_code_cell("session.figure(...)", outputs=[drawn]),
        new_markdown_cell("Bars are days.", metadata={"kpay": {"about": "activity"}}),
        new_markdown_cell("## Hours\n\nBars are hours.", metadata={"kpay": {"about": "hours"}}),
        new_markdown_cell("What to do next."),
    ]
    text = page(new_notebook(cells=cells), "01_a", manifest)
    assert "Bars are days" in text and "What to do next" in text
    assert "Bars are hours" not in text and "Hours" not in text
    manifest.notebooks["01_a"].figures = [{"name": "hours", "words": None}]
    assert "Bars are hours" in page(new_notebook(cells=cells), "01_a", manifest)


def test_a_real_log_has_no_parameters_of_the_simulator(manifest):
    notebook = new_notebook(cells=[])
    values = {"dataset": "tables", "n_users": 2000, "k": 10}
    manifest.parameters["01_a"] = values
    foot = page(notebook, "01_a", manifest).partition('class="facts"')[2]
    assert ">k</th>" in foot and "n_users" not in foot
    manifest.parameters["01_a"] = values | {"dataset": "simulated"}
    assert ">n_users</th>" in page(notebook, "01_a", manifest)


def test_a_page_folds_what_it_found_beyond_seven(manifest):
    sentences = [f"Sentence {number}." for number in range(9)]
    lines = tuple(line(sentence, order=number) for number, sentence in enumerate(sentences))
    cells = [new_markdown_cell("# One")]
    text = page(
        new_notebook(cells=cells), "01_a", manifest, InShort("In short", "", lines, "2 more")
    )
    shown, _, folded = text.partition("<summary>2 more</summary>")
    assert all(sentence in shown for sentence in sentences[:7])
    assert all(sentence in folded for sentence in sentences[7:])
    few = page(
        new_notebook(cells=cells), "01_a", manifest, InShort("In short", "", lines[:7], "0 more")
    )
    assert "0 more" not in few
