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
from kpay_lab.report.files import project_root
from kpay_lab.report.in_short import InShort
from kpay_lab.report.language import SPOKEN, labels, translate
from kpay_lab.report.manifest import Entry, Manifest
from kpay_lab.report.markup import SCHEME, Markup
from kpay_lab.report.session import NotApplicable

Metrics = dict[str, dict[str, Any]]  # notebook -> key -> value, as metrics.json holds them
BLANK_LINES = re.compile(r"\n\s*\n+")
SKIPPED = {"injected-parameters", "papermill-error-cell-tag"}
PACKAGES = "kpay-lab numpy pandas scipy scikit-learn polars implicit matplotlib papermill"


def page(
    notebook: nbformat.NotebookNode,
    name: str,
    manifest: Manifest,
    in_short: InShort | None = None,
) -> str:
    """Return one notebook's page: its findings, then the story, its code behind a toggle."""
    markup = Markup()
    stem = name.rpartition("/")[2]
    parameters = manifest.parameters[name]
    language = parameters.get("language", SPOKEN)
    words = labels(stem, language)
    notebook = _one_stream_a_cell(notebook)
    translate(notebook, stem, language)
    shown = filter(_is_shown, _until_the_end(notebook.cells))
    cells = [_cell(cell, markup) for cell in shown]
    return render(
        "page.html.j2",
        name=name,
        language=language,
        say=lambda text: words.get(text, text),
        entry=manifest.notebooks[name],
        manifest=manifest,
        parameters=parameters,
        cells=cells,
        in_short=in_short,
        symbols=markup.symbols.values(),
    )


def _one_stream_a_cell(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy in which what a cell printed piece by piece is one text."""
    copied = copy.deepcopy(notebook)
    merged, _ = CoalesceStreamsPreprocessor().preprocess(copied, {})
    return merged


def _is_shown(cell: nbformat.NotebookNode) -> bool:
    tags = set(cell.metadata.get("tags", []))
    return not tags & SKIPPED and bool(cell.source.strip())


def index(folder: Path, manifest: Manifest, metrics: Metrics) -> str:
    """Return the run's first page: status, key figures, pictures, parameters at a glance."""
    cards = []
    seconds = 0.0
    for name, entry in manifest.notebooks.items():
        cards.append(_card(folder, name, entry, metrics.get(name)))
        seconds += entry.seconds
    shared = _shared(manifest.parameters)
    own = {name: _without(block, shared) for name, block in manifest.parameters.items()}
    packages = manifest.environment.get("packages", {})
    versions = {name: packages[name] for name in PACKAGES.split() if name in packages}
    return render(
        "index.html.j2",
        manifest=manifest,
        cards=cards,
        shared=shared,
        own=own,
        versions=versions,
        seconds=seconds,
        glossary=_glossary_path().is_file(),
    )


def _card(
    folder: Path, name: str, entry: Entry, metrics: Mapping[str, Any] | None
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
        "pictures": _pictures(folder / name, entry.figures),
    }


def _key_figure(
    headline: Mapping[str, Any], entry: Entry, metrics: Mapping[str, Any]
) -> dict[str, Any]:
    key = headline["key"]
    return {"words": headline["words"], "value": metrics[key], "why": entry.why.get(key, "")}


def _without(block: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key not in shared}


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


def _cell(cell: nbformat.NotebookNode, markup: Markup) -> dict[str, Any]:
    """Return what the template shows of a cell."""
    if cell.cell_type != "code":
        return {"text": markup.markdown(cell.source)}
    outputs = [_output(output, markup) for output in cell.outputs]
    tags = cell.metadata.get("tags", [])
    return {"code": Highlight2HTML()(cell.source), "outputs": outputs, "tags": tags}


def _output(output: nbformat.NotebookNode, markup: Markup) -> dict[str, str]:
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
            return {"kind": "picture", "html": _image(kind, data[kind], output.metadata)}
    if "application/vnd.jupyter.widget-view+json" in data:
        return {"kind": "note", "html": "Interactive: open the notebook in JupyterLab."}
    if "text/html" in data:
        return {"kind": "frame", "html": markup.clean(data["text/html"])}
    for kind in ("text/markdown", "text/latex"):
        if kind in data:
            return {"kind": "text", "html": markup.markdown(data[kind])}
    return {"kind": "stdout", "html": markup.printed(data.get("text/plain", ""))}


def _image(kind: str, content: str, metadata: Mapping[str, Any]) -> str:
    """Return a cell's picture as an element; SVG comes as text, other kinds in base 64."""
    is_text = kind == "image/svg+xml"
    coded = base64.b64encode(content.encode()).decode() if is_text else content
    one_line = "".join(coded.split())
    about = metadata.get(kind, {})
    width = f' width="{int(about["width"])}"' if "width" in about else ""
    alt = escape(about.get("alt", "figure"))
    return f'<img src="data:{kind};base64,{one_line}" alt="{alt}"{width}>'


def _pictures(folder: Path, figures: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the marked figures, else the first one, with their pixels."""
    marked = [figure for figure in figures if figure["words"]]
    pictures = []
    for figure in marked or figures[:1]:
        name = figure["name"]
        path = folder / "figures" / f"{name}.png"
        if path.is_file():
            words = figure["words"] or name.replace("_", " ")
            pictures.append({"words": words, "source": picture_source(path.read_bytes())})
    return pictures


def picture_source(png: bytes) -> str:
    """Return a picture as the address of an ``img`` that needs no file beside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _shared(parameters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters that several notebooks have, all with one value."""
    blocks = list(parameters.values())
    keys = set().union(*blocks)
    shared = {}
    for key in sorted(keys):
        values = [block[key] for block in blocks if key in block]
        first = values[0]
        if len(values) > 1 and values.count(first) == len(values):
            shared[key] = first
    return shared


@cache
def _environment() -> jinja2.Environment:
    """Return the templates with their filters, styles of code and script.

    The pages' security policy names the script's hash, so that a browser runs no other.
    """
    templates = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": formatting.plain, "duration": formatting.duration}
    light = _code_style("default")
    dark = _code_style("github-dark")
    script = environment.get_template("toggle.js").render()
    digest = hashlib.sha256(script.encode()).digest()
    environment.globals |= {
        "pygments": f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}",
        "script": script,
        "script_hash": base64.b64encode(digest).decode(),
    }
    return environment


def _code_style(name: str) -> str:
    return HtmlFormatter(style=name).get_style_defs(".highlight")


def render(template: str, **values: Any) -> str:
    """Fill a template; no address is left in what comes out."""
    text = _environment().get_template(template).render(**values)
    if template == "index.html.j2":
        text = BLANK_LINES.sub("\n", text)
    return SCHEME.sub("", text)
