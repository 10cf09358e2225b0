"""Markdown, formulas and foreign HTML as safe HTML that needs no network."""

import html
import re
from typing import Any

import bleach  # type: ignore[import-untyped]
import ziamath
from nbconvert.filters import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

SIZE = 15.0  # the formula font's units in one em of text: its letters are rather small
SCHEME = re.compile(r"https?://")
UNSEEN = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
SYMBOL = re.compile(r'<symbol id="([^"]+)"[^>]*?(?:/>|>.*?</symbol>)', re.DOTALL)
LONG = 400  # lines of printed text a page shows
INLINE = "a abbr b br code del em i kbd mark q s small span strong sub sup u var"
BLOCK = "blockquote center details div dl dt dd figure figcaption h1 h2 h3 h4 h5 h6 hr img li ol p"
TABLE = "caption col colgroup pre summary table tbody td tfoot th thead tr ul"
TAGS = frozenset(f"{INLINE} {BLOCK} {TABLE}".split())
ENVIRONMENTS = {"align": "aligned", "gather": "gathered", "equation": "gathered"}


class Markup:
    """Turn the texts of one page into HTML; the glyphs of its formulas are kept once.

    Examples
    --------
    >>> markup = Markup()
    >>> "<svg" in markup.markdown("$x^2$"), markup.markdown("[a](https://b.org/c)").strip()
    (True, '<p>a (b.org/c)</p>')
    """

    def __init__(self) -> None:
        self.symbols: dict[str, str] = {}
        self._formulas: list[str] = []

    def markdown(self, text: str) -> str:
        """Return Markdown as HTML, its formulas drawn."""
        renderer = _Renderer(self, escape=False, exclude_anchor_links=True)
        safe = self.clean(MarkdownWithMath(renderer=renderer).render(text))
        return re.sub(r"⟦formula (\d+)⟧", lambda m: self._formulas[int(m[1])], safe)

    def clean(self, text: str) -> str:
        """Return HTML without anything that runs, styles or fetches."""
        allowed = {
            "*": ["class", "colspan", "rowspan", "title", "start"],
            "a": _local,
            "img": _data,
        }
        safe = bleach.clean(
            UNSEEN.sub("", text), TAGS, allowed, protocols={"data"}, strip=True, strip_comments=True
        )
        safe = SCHEME.sub("", safe)
        tables = re.sub(r"<table\b", '<div class="wide"><table', safe)
        return tables.replace("</table>", "</table></div>")

    def printed(self, text: str) -> str:
        """Return printed text, its colours kept and its middle left out when it is long."""
        lines = text.splitlines()
        if len(lines) > LONG:
            left = f"… {len(lines) - LONG:,} lines left out; the notebook file has them …"
            lines = [*lines[: LONG - 50], left, *lines[-50:]]
        return f"<pre>{SCHEME.sub('', ansi2html(chr(10).join(lines)))}</pre>"

    def formula(self, tex: str, inline: bool) -> str:
        """Draw a formula and return a placeholder that survives the cleaning."""
        tex = re.sub(r"\\(label|tag)\{[^}]*\}|\\(nonumber|notag)\b", "", html.unescape(tex)).strip()
        for name, drawn in ENVIRONMENTS.items():
            tex = re.sub(rf"\\(begin|end)\{{{name}\*?\}}", rf"\\\1{{{drawn}}}", tex)
        drawn = self._draw(tex, inline)
        box = drawn if inline else f'<span class="formula">{drawn}</span>'
        self._formulas.append(box)
        return f"⟦formula {len(self._formulas) - 1}⟧"

    def _draw(self, tex: str, inline: bool) -> str:
        """Draw a formula as SVG, in units of the text's size and standing on its baseline."""
        picture = ziamath.Latex(tex, size=16, inline=inline, color="currentColor")
        svg = SYMBOL.sub(self._share, picture.svg())
        left, top, width, height = _view_box(svg)
        below = top + height if inline else 0.0  # from the baseline, at 0, to the lower edge
        head = (
            f'<svg class="tex" role="img" aria-label="{html.escape(tex)}" '
            f'viewBox="{left} {top} {width} {height}" style="width:{width / SIZE:.3f}em;'
            f'height:{height / SIZE:.3f}em;vertical-align:{-below / SIZE:.3f}em">'
        )
        return re.sub(r"^<svg[^>]*>", lambda _: head, svg)

    def _share(self, symbol: re.Match[str]) -> str:
        """Move a glyph to the page's store, unless another one has its name."""
        kept = self.symbols.setdefault(symbol[1], symbol[0])
        return "" if kept == symbol[0] else symbol[0]


def _view_box(svg: str) -> list[float]:
    """Return left, top, width and height of a picture."""
    box = svg.partition('viewBox="')[2].partition('"')[0]
    return [float(number) for number in re.findall(r"-?[\d.]+", box)]


class _Renderer(IPythonRenderer):
    def __init__(self, markup: Markup, **options: Any) -> None:
        super().__init__(**options)
        self._markup = markup

    def block_math(self, body: str) -> str:
        return self._markup.formula(body, inline=False)

    def inline_math(self, body: str) -> str:
        return self._markup.formula(body, inline=True)

    def latex_environment(self, name: str, body: str) -> str:
        return self._markup.formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", inline=False)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Keep a link within the report; write another's address out, for pages fetch nothing."""
        if re.match(r"[a-z]+:", url):
            address = url.partition("//")[2] or url
            return text if address in text else f"{text} ({html.escape(address)})"
        return super().link(text, re.sub(r"\.ipynb\b", ".html", url), title)


def _local(_: str, name: str, value: str) -> bool:
    return name == "href" and not re.match(r"\s*([a-z]+:|//)", value, re.IGNORECASE)


def _data(_: str, name: str, value: str) -> bool:
    return name in ("alt", "width") or (name == "src" and value.startswith("data:image/"))
