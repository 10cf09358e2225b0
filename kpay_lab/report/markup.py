"""Markdown, formulas and foreign HTML as safe HTML that needs no network."""

import html
import itertools
import re
from typing import Any, NamedTuple

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
HEADING = re.compile(r"<h([1-4])>(.*?)</h\1>", re.DOTALL)
MARKS = ".,;:!?)\\]”’%。，、；：！？）》"
# A formula with the bracket before it, and the ending (-th) and the marks after it.
FORMULA = re.compile(
    r"(?P<before>[(\[“（《]?)⟦formula (?P<number>\d+)⟧" + rf"(?P<after>(?:-\w+)?[{MARKS}]*)"
)
TABLE = "caption col colgroup pre summary table tbody td tfoot th thead tr ul"
TAGS = frozenset(f"{INLINE} {BLOCK} {TABLE}".split())
ENVIRONMENTS = {"align": "aligned", "gather": "gathered", "equation": "gathered"}


class Heading(NamedTuple):
    """A heading of a page: its level, its text as HTML, and the name by which links find it."""

    level: int
    label: str
    anchor: str


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
        self.headings: list[Heading] = []
        self._formulas: list[str] = []

    def markdown(self, text: str) -> str:
        """Return Markdown as HTML: its formulas drawn, its headings named."""
        renderer = _Renderer(self, escape=False, exclude_anchor_links=True)
        safe = self.clean(MarkdownWithMath(renderer=renderer).render(text))
        named = HEADING.sub(self._name, safe)
        return FORMULA.sub(self._put_in, named)

    def _put_in(self, place: re.Match[str]) -> str:
        """Return a drawn formula; no line ends between it and the marks around it."""
        drawn = self._formulas[int(place["number"])]
        before = place["before"]
        after = place["after"]
        is_alone = not before and not after
        return drawn if is_alone else f'<span class="together">{before}{drawn}{after}</span>'

    def _name(self, heading: re.Match[str]) -> str:
        """Give a heading the name by which links find it, and keep it for the contents."""
        level = int(heading[1])
        inside = heading[2]
        plain = re.sub(r"⟦formula \d+⟧|<[^>]+>", "", inside)
        anchor = self._unused(slug(html.unescape(plain)))
        unlinked = re.sub(r"</?a\b[^>]*>", "", inside)
        label = FORMULA.sub(self._put_in, unlinked)
        self.headings.append(Heading(level, label, anchor))
        return f'<h{level} id="{anchor}">{inside}</h{level}>'

    def _unused(self, name: str) -> str:
        """Return a name that no heading of the page has yet, with a number where it needs one."""
        taken = {heading.anchor for heading in self.headings}
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        return next(one for one in itertools.chain([name], numbered) if one not in taken)

    def clean(self, text: str) -> str:
        """Return HTML without anything that runs, styles or fetches."""
        allowed = {
            "*": ["class", "colspan", "rowspan", "title", "start"],
            "a": _local,
            "th": ["scope", "data-sort"],
            "td": ["data-sort"],
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


def slug(text: str) -> str:
    """Return a heading as the part of an address that names it.

    >>> slug("How sure are we?"), slug("数据: four rows"), slug("!")
    ('how-sure-are-we', '数据-four-rows', 'part')
    """
    words = re.findall(r"\w+", text.lower())
    return "-".join(words) or "part"


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
