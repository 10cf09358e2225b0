"""One look for every picture: type, colours, sizes, and letters for Chinese text."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import seaborn as sns
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from noto_cjk_sans_otc import FONT_PATH

PALETTE = ("#2563a8", "#d9772b", "#3a8f5c", "#b0413e", "#7a5ba6", "#8a6d4b", "#c75d94", "#6b7280")
NEUTRAL = "#9aa3ad"
SEQUENTIAL = "crest"
DIVERGING = "vlag"
WIDTH = 8.0  # inches, the text width of a page


def use_style() -> None:
    """Set the look of every later figure; each drawing function calls it through `new_figure`."""
    known = {entry.name for entry in font_manager.fontManager.ttflist}
    if "Noto Sans CJK JP" not in known:  # the collection's first face; it holds all CJK letters
        font_manager.fontManager.addfont(str(FONT_PATH))
    look = {
        "font.family": ["DejaVu Sans", "Noto Sans CJK JP"],
        "font.size": 10,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=PALETTE),
        "grid.color": "#e5e7eb",
        "figure.dpi": 110,
        "savefig.dpi": 110,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "kpay_lab",
    }
    sns.set_theme(style="whitegrid", palette=list(PALETTE), rc=look)


def new_figure(
    n_rows: int = 1,
    n_cols: int = 1,
    *,
    height: float = 3.4,
    width: float = WIDTH,
    **options: object,
) -> tuple[Figure, list[Axes]]:
    """Make a figure in the house style.

    Parameters
    ----------
    n_rows, n_cols : int
        The grid of axes.
    height : float
        Inches of one row.
    width : float
        Inches of the whole figure.
    options
        Passed to `matplotlib.pyplot.subplots`.

    Returns
    -------
    figure, axes
        The axes as a flat list, row by row.
    """
    use_style()
    figure, axes = plt.subplots(
        n_rows, n_cols, figsize=(width, height * n_rows), squeeze=False, **options
    )
    return figure, list(axes.ravel())


def relabel(figure: Figure, words: Mapping[str, str]) -> Figure:
    """Exchange the labels of a finished figure, such as for another language's."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if not words.keys().isdisjoint(labels):
                axis.set_ticks(axis.get_ticklocs(), [words.get(text, text) for text in labels])
    for artist in figure.findobj(Text):
        artist.set_text(words.get(artist.get_text(), artist.get_text()))
    return figure


def shorten(text: object, length: int = 28) -> str:
    """Cut a label from the data to ``length`` characters; a $ in it is money, not a formula.

    Examples
    --------
    >>> shorten("Machine learning for everyone", 12)
    'Machine lea…'
    """
    text = str(text)
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return cut.replace("$", r"\$")
