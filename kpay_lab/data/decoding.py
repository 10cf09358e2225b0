"""Bytes → text: a byte-order mark decides, else UTF-8, else GB18030."""

import codecs
from dataclasses import dataclass

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Decoded:
    """A file's text; ``guessed`` when only the fallback fitted its bytes."""

    text: str
    guessed: bool = False


def decode(raw: bytes, file: str) -> Decoded:
    """Turn the bytes of a file into text.

    GB18030 gives a meaning to almost any bytes, so whoever uses a guessed text must
    find known words in it (the reader asks for known column names).

    Raises
    ------
    ValueError
        If the bytes fit none of the encodings.

    Examples
    --------
    >>> decode("用户,内容".encode("gb18030"), "events.csv")
    Decoded(text='用户,内容', guessed=True)
    """
    marked = next((name for mark, name in MARKS.items() if raw.startswith(mark)), None)
    for encoding in [marked] if marked else ["utf-8", "gb18030"]:
        try:
            return Decoded(raw.decode(encoding), guessed=encoding == "gb18030")
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{file} is neither UTF-8 nor GB18030 text; save it as UTF-8")
