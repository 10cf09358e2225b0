"""Text that fits a terminal: Chinese letters are two columns wide, and long words are cut."""

import unicodedata
from collections.abc import Sequence

WIDTH = 80


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    >>> width_of("abc"), width_of("课程")
    (3, 4)
    """
    return sum(_width_of_letter(letter) for letter in text)


def _width_of_letter(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Return a text that is no wider than so many columns; what is missing becomes ``…``.

    >>> cut("数据分析入门", 7), cut("abc", 7)
    ('数据分…', 'abc')
    """
    if width_of(text) <= width:
        return text
    kept = ""
    for letter in text:
        if width_of(kept + letter) > width - 1:
            break
        kept += letter
    return f"{kept}…"


def padded(text: str, width: int) -> str:
    """Fill a text up with blanks to a width, or cut it.

    >>> padded("课程", 6) + "|"
    '课程  |'
    """
    fitting = cut(text, width)
    return fitting + " " * (width - width_of(fitting))


def aligned(
    rows: Sequence[Sequence[str]], *, indent: int = 2, width: int = WIDTH, most: int = 24
) -> list[str]:
    """Return rows as lines with aligned columns, two blanks apart; the last takes what is left.

    Parameters
    ----------
    rows : sequence of sequence of str
        All of one length, a heading among them.
    indent, width : int
        Blanks before each line, and columns of the terminal.
    most : int
        No column but the last is wider.

    Examples
    --------
    >>> for line in aligned([("theirs", "ours"), ("课程", "item_id")]):
    ...     print(line)
      theirs  ours
      课程    item_id
    """
    if not rows:
        return []
    widths = []
    for cells in zip(*rows, strict=True):
        widths.append(min(max(map(width_of, cells)), most))
    start = " " * indent
    lines = []
    for row in rows:
        fields = [padded(cell, size) for cell, size in zip(row, widths, strict=True)]
        left = width - indent - sum(widths[:-1]) - 2 * (len(widths) - 1)
        last = cut(row[-1], max(left, 1))
        lines.append(start + "  ".join([*fields[:-1], last]).rstrip())
    return [cut(line.rstrip(), width) for line in lines]


def wrapped(text: str, *, first: str = "- ", rest: str = "  ", width: int = WIDTH) -> list[str]:
    """Break a sentence into lines; Chinese words may be broken anywhere.

    >>> wrapped("one two three", width=9)
    ['- one two', '  three']
    """
    lines: list[str] = []
    line = first
    is_empty = True
    for word in text.split():
        blank = "" if is_empty else " "
        if not is_empty and width_of(line + blank + word) > width:
            lines.append(line)
            line = rest
            blank = ""
        line += blank
        for letter in word:
            if width_of(line + letter) > width:
                lines.append(line)
                line = rest
            line += letter
        is_empty = False
    return [*lines, line.rstrip()]
