"""Executed notebooks and their manifest as pages that stand alone: offline, no address."""

import base64
import copy
import hashlib
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from nbconvert.filters import Highlight2HTML, strip_ansi
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

from kpay_lab.report.files import project_root
from kpay_lab.report.language import SPOKEN, labels, translate
from kpay_lab.report.manifest import Manifest
from kpay_lab.report.markup import SCHEME, Markup
from kpay_lab.report.session import NotApplicable

Metrics = dict[str, dict[str, Any]]  # notebook -> key -> value, as metrics.json holds them
GLOSSARY = "docs/glossary.md"
SKIPPED = {"injected-parameters", "papermill-error-cell-tag"}
PACKAGES = "kpay-lab numpy pandas scipy scikit-learn polars implicit matplotlib papermill"


def page(notebook: nbformat.NotebookNode, name: str, manifest: Manifest) -> str:
    """Return one notebook's page: the story first, its code behind a toggle."""
    markup = Markup()
    notebook, _ = CoalesceStreamsPreprocessor().preprocess(copy.deepcopy(notebook), {})
    language = manifest.parameters[name].get("language", SPOKEN)
    translate(notebook, name.rpartition("/")[2], language)
    words = labels(name.rpartition("/")[2], language)
    cells = [
        _cell(cell, markup)
        for cell in _until_the_end(notebook.cells)
        if not SKIPPED & set(cell.metadata.get("tags", [])) and cell.source.strip()
    ]
    return render(
        "page.html.j2",
        name=name,
        language=language,
        say=lambda text: words.get(text, text),
        entry=manifest.notebooks[name],
        manifest=manifest,
        parameters=manifest.parameters[name],
        cells=cells,
        symbols=markup.symbols.values(),
    )


def index(folder: Path, manifest: Manifest, metrics: Metrics) -> str:
    """Return the run's first page: status, key figures, pictures, parameters at a glance."""
    cards = [
        {
            "name": name,
            "entry": entry,
            "page": f"{name}.html" if (folder / f"{name}.html").is_file() else None,
            "figures": [
                {
                    "words": headline["words"],
                    "value": metrics[name][headline["key"]],
                    "why": entry.why.get(headline["key"], ""),
                }
                for headline in entry.headlines
                if name in metrics
            ],
            "pictures": _pictures(folder / name, entry.figures),
        }
        for name, entry in manifest.notebooks.items()
    ]
    shared = _shared(manifest.parameters)
    blocks = manifest.parameters.items()
    own = {name: {k: v for k, v in block.items() if k not in shared} for name, block in blocks}
    packages = manifest.environment.get("packages", {})
    versions = {name: packages[name] for name in PACKAGES.split() if name in packages}
    return render(
        "index.html.j2",
        manifest=manifest,
        cards=cards,
        shared=shared,
        own=own,
        versions=versions,
        seconds=sum(entry.seconds for entry in manifest.notebooks.values()),
        glossary=(project_root() / GLOSSARY).is_file(),
    )


def glossary() -> str | None:
    """Return the glossary of the documents' terms as a page, if the project has one."""
    path = project_root() / GLOSSARY
    if not path.is_file():
        return None
    return render("glossary.html.j2", text=Markup().markdown(path.read_text(encoding="utf-8")))


def _until_the_end(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Leave out what follows the cell that found the notebook not applicable."""
    ended = [place for place, cell in enumerate(cells) if any(map(_ends, cell.get("outputs", [])))]
    return cells[: ended[0] + 1] if ended else cells


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
            raw = data[kind]
            coded = raw if kind != "image/svg+xml" else base64.b64encode(raw.encode()).decode()
            source = f"data:{kind};base64,{''.join(coded.split())}"
            shown = output.metadata.get(kind, {})
            size = f' width="{int(shown["width"])}"' if "width" in shown else ""
            alt = escape(shown.get("alt", "figure"))
            return {"kind": "picture", "html": f'<img src="{source}" alt="{alt}"{size}>'}
    if "application/vnd.jupyter.widget-view+json" in data:
        return {"kind": "note", "html": "Interactive: open the notebook in JupyterLab."}
    if "text/html" in data:
        return {"kind": "frame", "html": markup.clean(data["text/html"])}
    for kind in ("text/markdown", "text/latex"):
        if kind in data:
            return {"kind": "text", "html": markup.markdown(data[kind])}
    return {"kind": "stdout", "html": markup.printed(data.get("text/plain", ""))}


def _pictures(folder: Path, figures: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the marked figures, else the first one, with their pixels."""
    chosen = [figure for figure in figures if figure["words"]] or figures[:1]
    return [
        {
            "words": figure["words"] or figure["name"].replace("_", " "),
            "source": picture_source(path.read_bytes()),
        }
        for figure in chosen
        if (path := folder / "figures" / f"{figure['name']}.png").is_file()
    ]


def picture_source(png: bytes) -> str:
    """Return a picture as the address of an ``img`` that needs no file beside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _shared(parameters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters that several notebooks have, all with one value."""
    blocks = list(parameters.values())
    keys = {key for block in blocks for key in block}
    values = {key: [block[key] for block in blocks if key in block] for key in sorted(keys)}
    return {k: v[0] for k, v in values.items() if len(v) > 1 and all(one == v[0] for one in v)}


def _number(value: Any) -> str:
    """Write a key figure for people.

    >>> [_number(value) for value in (1234567, 0.123456, 12345.6, True, None)]
    ['1,234,567', '0.123', '12,346', 'yes', '–']
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


@cache
def _environment() -> jinja2.Environment:
    templates = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "duration": _duration}
    light, dark = (
        HtmlFormatter(style=style).get_style_defs(".highlight")
        for style in ("default", "github-dark")
    )
    environment.globals["pygments"] = (
        f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}"
    )
    script = environment.get_template("toggle.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"script": script, "script_hash": digest}
    return environment


def render(template: str, **values: Any) -> str:
    """Fill a template; no address is left in what comes out."""
    text = _environment().get_template(template).render(**values)
    return SCHEME.sub("", re.sub(r"\n\s*\n+", "\n", text) if template == "index.html.j2" else text)
