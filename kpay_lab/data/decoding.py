"""Bytes → text: a byte-order mark decides, else UTF-8, else GB18030."""

import codecs

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def decode(raw: bytes, file: str) -> tuple[str, bool]:
    """Turn the bytes of a file into text, and say whether the encoding was guessed.

    GB18030 gives a meaning to almost any bytes, so whoever uses a guessed text must
    find known words in it (the reader asks for known column names).

    Raises
    ------
    ValueError
        If the bytes fit none of the encodings.

    Examples
    --------
    >>> decode("用户,内容".encode("gb18030"), "events.csv")
    ('用户,内容', True)
    """
    marked = next((name for mark, name in MARKS.items() if raw.startswith(mark)), None)
    for encoding in [marked] if marked else ["utf-8", "gb18030"]:
        try:
            return raw.decode(encoding), encoding == "gb18030"
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{file} is neither UTF-8 nor GB18030 text; save it as UTF-8")
