"""Executed notebooks and their manifest as pages that stand alone: offline, no address."""

import base64
import copy
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from nbconvert.filters import Highlight2HTML, strip_ansi
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

from kpay_lab import formatting
from kpay_lab.findings import catalogue
from kpay_lab.report.files import project_root
from kpay_lab.report.in_short import InShort, Line, most_important
from kpay_lab.report.language import SPOKEN, labels, translate
from kpay_lab.report.manifest import Entry, Manifest
from kpay_lab.report.markup import SCHEME, Markup
from kpay_lab.report.session import NAME, NotApplicable
from kpay_lab.report.tables import KINDS, words

Metrics = dict[str, dict[str, Any]]  # notebook -> key -> value, as metrics.json holds them
BLANK_LINES = re.compile(r"\n\s*\n+")
SKIPPED = {"injected-parameters", "papermill-error-cell-tag"}
SHOP = "00_business"  # the notebook whose metrics are the shop's figures
SIMULATOR = {"field", "n_users", "n_items", "n_days", "noise"}  # parameters of a simulated log
N_PICTURES = 4
CONTENTS = (2, 3)  # levels of headings in a page's contents
PACKAGES = "kpay-lab numpy pandas scipy scikit-learn duckdb implicit matplotlib papermill"


def page(
    notebook: nbformat.NotebookNode,
    name: str,
    manifest: Manifest,
    in_short: InShort | None = None,
) -> str:
    """Return one notebook's page: its findings, then the story, its code behind a toggle.

    Pictures and tables link the files that `Session` keeps beside the page.
    """
    markup = Markup()
    stem = name.rpartition("/")[2]
    entry = manifest.notebooks[name]
    parameters = manifest.parameters[name]
    language = parameters.get("language", SPOKEN)
    words = labels(stem, language)
    notebook = _one_stream_a_cell(notebook)
    translate(notebook, stem, language)
    shown = list(filter(_is_shown, _until_the_end(notebook.cells)))
    kept = _kept_names(entry, shown)
    cells = [_cell(cell, markup, stem) for cell in shown if _has_its_subject(cell, kept)]
    title = _take_title(cells)
    places = _name_places(cells)
    root = "../" * name.count("/")
    before, after = _neighbours(name, manifest, root)
    headings = [heading for heading in markup.headings if heading.level in CONTENTS]
    tables = {table: f"{stem}/tables/{table}.csv" for table in entry.tables}
    return render(
        "page.html.j2",
        name=name,
        language=language,
        say=lambda text: words.get(text, text),
        entry=entry,
        manifest=manifest,
        parameters={key: parameters[key] for key in parameters if _counts(key, parameters)},
        title=title,
        cells=cells,
        in_short=in_short,
        places=places,
        headings=headings,
        tables=tables,
        root=root,
        before=before,
        after=after,
        symbols=markup.symbols.values(),
    )


def _kept_names(entry: Entry, cells: list[nbformat.NotebookNode]) -> set[str]:
    """Return the names of the pictures and tables that a notebook made."""
    names = {figure["name"] for figure in entry.figures} | set(entry.tables)
    for cell in cells:
        for output in cell.get("outputs", []):
            for about in output.get("metadata", {}).values():
                names |= {about[kind] for kind in ("figure", "table") if kind in about}
    return names


def _has_its_subject(cell: nbformat.NotebookNode, kept: set[str]) -> bool:
    """Whether what a paragraph is about was made; one about nothing in particular always stays.

    Its metadata ``kpay: {"about": NAME}`` names the picture or table.
    """
    subject = cell.metadata.get("kpay", {}).get("about")
    return subject is None or subject in kept


def _counts(key: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a parameter has a meaning here: those of the simulator have none for a real log."""
    return key not in SIMULATOR or parameters.get("dataset", "simulated") == "simulated"


def _take_title(cells: list[dict[str, Any]]) -> str:
    """Take the heading that the first cell begins with out of it, for findings follow it."""
    if not cells or not cells[0].get("text", "").startswith("<h1"):
        return ""
    title, end, rest = cells[0]["text"].partition("</h1>")
    cells[0]["text"] = rest
    return title + end


def _name_places(cells: list[dict[str, Any]]) -> set[str]:
    """Give the first output of each picture and table the anchor `anchor`; return their names."""
    places: set[str] = set()
    for cell in cells:
        for output in cell.get("outputs", []):
            name = output.get("name")
            if name and name not in places:
                output["anchor"] = anchor(name)
                places.add(name)
    return places


def anchor(place: str) -> str:
    """Return the name by which links find a picture or a table on its page."""
    return f"at-{place}"


def _neighbours(name: str, manifest: Manifest, root: str) -> list[dict[str, str] | None]:
    """Return the address and title of the page before and the page after, None at the ends."""
    names = list(manifest.notebooks)
    position = names.index(name)
    neighbours: list[dict[str, str] | None] = []
    for beside in (position - 1, position + 1):
        if not 0 <= beside < len(names):
            neighbours.append(None)
            continue
        other = names[beside]
        title = manifest.notebooks[other].title or other
        neighbours.append({"address": f"{root}{other}.html", "title": title})
    return neighbours


def _one_stream_a_cell(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy in which what a cell printed piece by piece is one text."""
    copied = copy.deepcopy(notebook)
    merged, _ = CoalesceStreamsPreprocessor().preprocess(copied, {})
    return merged


def _is_shown(cell: nbformat.NotebookNode) -> bool:
    tags = set(cell.metadata.get("tags", []))
    return not tags & SKIPPED and bool(cell.source.strip())


def index(
    folder: Path,
    manifest: Manifest,
    metrics: Metrics,
    found: Mapping[str, InShort] | None = None,
) -> str:
    """Return the run's first page, which answers in two minutes.

    What was found stands first, then the shop's figures, four pictures and a line a notebook;
    everything else is folded.

    Parameters
    ----------
    found : mapping of notebook to InShort, optional
        The findings of each notebook.
    """
    by_notebook = found or {}
    shown, n_more = most_important(by_notebook)
    findings = [_linked(folder, manifest, name, line) for name, line in shown]
    cards = []
    seconds = 0.0
    for name, entry in manifest.notebooks.items():
        answer = by_notebook.get(name)
        cards.append(_card(folder, name, entry, metrics.get(name), answer))
        seconds += entry.seconds
    packages = manifest.environment.get("packages", {})
    versions = {name: packages[name] for name in PACKAGES.split() if name in packages}
    return render(
        "index.html.j2",
        manifest=manifest,
        log=_log(manifest),
        titles=catalogue().titles,
        findings=findings,
        n_more=n_more,
        shop=_shop_figures(metrics.get(SHOP, {})),
        shop_period=_shop_period(manifest),
        prices_are_assumed=metrics.get(SHOP, {}).get("prices_are_assumed"),
        pictures=_four_pictures(folder, manifest, shown),
        cards=cards,
        changed=_changed(manifest),
        versions=versions,
        seconds=seconds,
        glossary=_glossary_path().is_file(),
    )


def _log(manifest: Manifest) -> dict[str, Any]:
    """Return what the report is about: the log's name and, where recorded, its period and people.

    The first notebook that opened the log records the latter as ``log``.
    """
    about = {"name": _log_name(manifest)}
    for entry in manifest.notebooks.values():
        if "log" in entry.record:
            return about | entry.record["log"]
    return about


def _log_name(manifest: Manifest) -> str:
    """Return the name of the folder or file that was read, or of the simulated shop."""
    for parameters in manifest.parameters.values():
        if parameters.get("data_dir"):
            place, _, _ = parameters["data_dir"].partition("?")  # of a database
            return Path(place).name
        if parameters.get("dataset") == "simulated":
            return f"Simulated shop: {parameters['field']}"
    return manifest.profile


def _linked(folder: Path, manifest: Manifest, name: str, line: Line) -> dict[str, Any]:
    """Return a finding with the address of the figure or table that it speaks of."""
    entry = manifest.notebooks[name]
    page_name = f"{name}.html"
    address = page_name if (folder / page_name).is_file() else None
    figures = {figure["name"] for figure in entry.figures}
    if address and line.place in figures.union(entry.tables):
        address = f"{page_name}#{anchor(line.place)}"
    return {"line": line, "address": address, "title": entry.title or name}


def _shop_figures(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the shop's figures that the metrics hold, each with its change if that is known."""
    currency = metrics.get("currency") or ""
    figures = []
    for key, about in words()["figures"].items():
        if metrics.get(key) is None:
            continue
        value = KINDS[about["kind"]](metrics[key])
        if about["kind"] == "money":
            value = formatting.money(metrics[key], currency)
        change = metrics.get(f"{key}/change")
        written = "" if change is None else formatting.change(change)
        figures.append({"words": about["words"], "value": value, "change": written})
    return figures


def _shop_period(manifest: Manifest) -> str:
    """Return the period of the shop's figures in words, empty where it is not recorded."""
    entry = manifest.notebooks.get(SHOP)
    if entry is None or "period" not in entry.record:
        return ""
    return str(entry.record["period"])


def _four_pictures(
    folder: Path, manifest: Manifest, shown: list[tuple[str, Line]]
) -> list[dict[str, Any]]:
    """Return the pictures of the first findings, then the first of each notebook: four at most."""
    wanted = [(name, line.place) for name, line in shown]
    for name, entry in manifest.notebooks.items():
        marked = [figure["name"] for figure in entry.figures if figure["words"]]
        first = marked or [figure["name"] for figure in entry.figures]
        wanted += [(name, figure) for figure in first[:1]]
    pictures: dict[str, dict[str, Any]] = {}
    for name, place in wanted:
        picture = _picture(folder, manifest, name, place)
        if picture and name not in pictures and len(pictures) < N_PICTURES:
            pictures[name] = picture
    return list(pictures.values())


def _picture(folder: Path, manifest: Manifest, name: str, figure: str) -> dict[str, Any] | None:
    """Return a picture of a notebook with its words and addresses, None where there is none."""
    entry = manifest.notebooks[name]
    words_of = {one["name"]: one["words"] for one in entry.figures}
    file = f"{name}/figures/{figure}.png"
    if figure not in words_of or not (folder / file).is_file():
        return None
    png = (folder / file).read_bytes()
    about = words_of[figure] or figure.replace("_", " ")
    return {
        "words": about,
        "source": picture_source(png),
        "file": file,
        "address": f"{name}.html#{anchor(figure)}",
        "title": entry.title or name,
    }


def _changed(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the parameters that differ from their default, those of equal value in one row."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, entry in manifest.notebooks.items():
        for key in entry.changed:
            value = manifest.parameters[name][key]
            row = rows.setdefault((key, repr(value)), {"key": key, "value": value, "of": []})
            row["of"].append(name.partition("_")[0])
    return list(rows.values())


def _card(
    folder: Path,
    name: str,
    entry: Entry,
    metrics: Mapping[str, Any] | None,
    found: InShort | None,
) -> dict[str, Any]:
    """Return what the index page shows of a notebook."""
    page_name = f"{name}.html"
    figures = []
    if metrics is not None:
        figures = [_key_figure(headline, entry, metrics) for headline in entry.headlines]
    return {
        "name": name,
        "entry": entry,
        "page": page_name if (folder / page_name).is_file() else None,
        "figures": figures,
        "answer": found.lines[0] if found and found.lines else None,
    }


def _key_figure(
    headline: Mapping[str, Any], entry: Entry, metrics: Mapping[str, Any]
) -> dict[str, Any]:
    key = headline["key"]
    return {"words": headline["words"], "value": metrics[key], "why": entry.why.get(key, "")}


def glossary() -> str | None:
    """Return the glossary of the documents' terms as a page, if the project has one."""
    path = _glossary_path()
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    return render("glossary.html.j2", text=Markup().markdown(text))


def _glossary_path() -> Path:
    return project_root() / "docs" / "glossary.md"


def _until_the_end(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Leave out what follows the cell that found the notebook not applicable."""
    for position, cell in enumerate(cells):
        if any(_ends(output) for output in cell.get("outputs", [])):
            return cells[: position + 1]
    return cells


def _ends(output: nbformat.NotebookNode) -> bool:
    return output.output_type == "error" and output.ename == NotApplicable.__name__


def _cell(cell: nbformat.NotebookNode, markup: Markup, stem: str) -> dict[str, Any]:
    """Return what the template shows of a cell."""
    if cell.cell_type != "code":
        return {"text": markup.markdown(cell.source)}
    outputs = [_output(output, markup, stem) for output in cell.outputs if _says(output)]
    tags = cell.metadata.get("tags", [])
    return {"code": Highlight2HTML()(cell.source), "outputs": outputs, "tags": tags}


def _says(output: nbformat.NotebookNode) -> bool:
    """Whether an output is more than an empty line."""
    return output.output_type != "stream" or bool(output.text.strip())


def _output(output: nbformat.NotebookNode, markup: Markup, stem: str) -> dict[str, Any]:
    """Return what the template shows of an output: the richest form that a page can hold."""
    if output.output_type == "stream":
        return {"kind": output.name, "html": markup.printed(output.text)}
    if _ends(output):
        return {"kind": "note", "html": escape(output.evalue)}
    if output.output_type == "error":
        trace = "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
        return {"kind": "error", "html": markup.printed(strip_ansi(trace))}
    data = output.data
    for kind in ("image/svg+xml", "image/png", "image/jpeg"):
        if kind in data:
            about = output.metadata.get(kind, {})
            name = _kept_name(about.get("figure"))
            shown = {"kind": "picture", "html": _image(kind, data[kind], about), "name": name}
            return shown | ({"file": f"{stem}/figures/{name}.png"} if name else {})
    if "application/vnd.jupyter.widget-view+json" in data:
        return {"kind": "note", "html": "Interactive: open the notebook in JupyterLab."}
    if "text/html" in data:
        about = output.metadata.get("text/html", {})
        name = _kept_name(about.get("table"))
        table = {"kind": "frame", "html": markup.clean(data["text/html"]), "name": name}
        table |= {"n_shown": about.get("shown"), "n_rows": about.get("rows")}
        return table | ({"file": f"{stem}/tables/{name}.csv"} if name else {})
    for kind in ("text/markdown", "text/latex"):
        if kind in data:
            return {"kind": "text", "html": markup.markdown(data[kind])}
    return {"kind": "stdout", "html": markup.printed(data.get("text/plain", ""))}


def _kept_name(name: Any) -> str:
    """Return the name under which a session kept a picture or table, empty for another output."""
    return name if isinstance(name, str) and NAME.fullmatch(name) else ""


def _image(kind: str, content: str, about: Mapping[str, Any]) -> str:
    """Return a cell's picture as an element; SVG comes as text, other kinds in base 64."""
    is_text = kind == "image/svg+xml"
    coded = base64.b64encode(content.encode()).decode() if is_text else content
    one_line = "".join(coded.split())
    width = ""
    if "width" in about:
        pixels = int(about["width"])
        width = f' width="{pixels}" style="--width: {pixels}px"'
    alt = escape(about.get("alt", "figure"))
    return f'<img src="data:{kind};base64,{one_line}" alt="{alt}"{width}>'


def picture_source(png: bytes) -> str:
    """Return a picture as the address of an ``img`` that needs no file beside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


@cache
def _environment() -> jinja2.Environment:
    """Return the templates with their filters, styles of code and script.

    The pages' security policy names the script's hash, so that a browser runs no other.
    """
    templates = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": formatting.plain,
        "duration": formatting.duration,
        "unbroken": _unbroken,
    }
    light = _code_style("default")
    dark = _code_style("github-dark")
    script = environment.get_template("page.js").render()
    digest = hashlib.sha256(script.encode()).digest()
    environment.globals |= {
        "anchor": anchor,
        "pygments": f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}",
        "script": script,
        "script_hash": base64.b64encode(digest).decode(),
    }
    return environment


def _unbroken(sentence: str) -> str:
    """Keep a number on one line with its sign or unit.

    >>> _unbroken("5 % (p = 0.1)") == "5\u00a0% (p\u00a0=\u00a00.1)"
    True
    """
    return re.sub(r"(?<=\d) (?=%)|(?<=\bp) (?=[=≤<])|(?<=[=≤<]) (?=\d)", "\u00a0", sentence)


def _code_style(name: str) -> str:
    return HtmlFormatter(style=name).get_style_defs(".highlight")


def render(template: str, **values: Any) -> str:
    """Fill a template; no address is left in what comes out."""
    text = _environment().get_template(template).render(**values)
    if template == "index.html.j2":
        text = BLANK_LINES.sub("\n", text)
    return SCHEME.sub("", text)
