"""From the bytes of a file to its text; what had to be guessed is said."""

import codecs
import re
from collections.abc import Collection
from functools import cache
from itertools import islice

import numpy as np

from kpay_lab.data.headers import known_names
from kpay_lab.data.rows import printable

BYTE_ORDER_MARKS = {  # the longer marks first, because UTF-32 begins like UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"\x84\x31\x95\x33": "gb18030",
}
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
RUN_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
WORD_NOT_ASCII = re.compile(r"\w*[^\x00-\x7f]\w*")
BETWEEN_NAMES = re.compile('[,;\t|\x01\r\n"]+')
LETTERS_LOOKED_AT = 20_000
HEADER_LETTERS = 4096
COMMON_SHARE = 0.75  # of Chinese text in GB18030; Big5 read as GB18030 has less than half
WESTERN_SHARE = 0.9
ALONE_SHARE = 0.7
ZERO_SHARE = 0.05
WESTERN_SIGNS = frozenset("€‚„…‘’“”•–—™°§«»·´¿¡£©®²³½ \xa0")
LARGEST_DAMAGE = 0.05  # share of letters that may be broken where an encoding is named as such
BYTES_A_BLOCK = 2**24


def decode(
    raw: bytes, file: str, *, renames: Collection[str] = (), whole: bool = True
) -> tuple[str, tuple[str, ...]]:
    """Decode bytes: by their byte-order mark, or as UTF-8, or else as GB18030 or Windows-1252.

    Almost any bytes are valid in GB18030. It is taken where a Chinese name in the header is
    known, or where nearly all letters are common Chinese ones.

    Parameters
    ----------
    raw : bytes
    file : str
        The name that messages give it.
    renames : collection of str
        Names of columns that a mapping renames.
    whole : bool
        Whether the bytes are the whole file; else they may end inside a letter.

    Returns
    -------
    text : str
    notes : tuple of str
        A sentence with a sample where the encoding was guessed.

    Raises
    ------
    ValueError
        If nearly all of it is in one encoding but a byte is not, or no encoding is likely.

    Examples
    --------
    >>> text, notes = decode("用户,内容".encode("gb18030"), "events.csv")
    >>> text, notes[0]
    ('用户,内容', 'events.csv: it is not UTF-8 and was read as GB18030, for example 用户;
    if that is wrong, save it as UTF-8')
    """
    marked = _marked_encoding(raw)
    encoding = marked or _unmarked_encoding(raw)
    try:
        return _decoded(raw, encoding, whole).removeprefix("\ufeff"), ()
    except UnicodeDecodeError as error:
        broken_at = error.start
    if marked or _is_nearly_all_utf8(raw):
        raise ValueError(_damage(raw, file, broken_at, encoding.upper()))
    text, guess = _guess(raw, file, renames, whole, broken_at)
    sample = _sample(text)
    note = (
        f"{file}: it is not UTF-8 and was read as {guess}, for example {sample}; "
        "if that is wrong, save it as UTF-8"
    )
    return text, (note,)


def as_utf8(
    raw: bytes, file: str, *, renames: Collection[str] = ()
) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a whole file in UTF-8, without a byte-order mark; see `decode`.

    Bytes that are so already are returned themselves, because a log may be as large as memory.

    Examples
    --------
    >>> utf8, notes = as_utf8("用户".encode("utf-16"), "events.csv")
    >>> utf8.decode(), notes
    ('用户', ())
    """
    encoding = _marked_encoding(raw) or _unmarked_encoding(raw)
    if encoding == "utf-8" and _is_utf8(raw):
        return raw.removeprefix(codecs.BOM_UTF8), ()
    text, notes = decode(raw, file, renames=renames)
    return text.encode(), notes


def _is_utf8(raw: bytes) -> bool:
    """Decode block by block, so that the text need not exist as a whole."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(raw)
    try:
        for start in range(0, len(view), BYTES_A_BLOCK):
            decoder.decode(view[start : start + BYTES_A_BLOCK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _marked_encoding(raw: bytes) -> str | None:
    """Return the encoding that a byte-order mark names, if there is one."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            return encoding
    return None


def _unmarked_encoding(raw: bytes) -> str:
    """Tell UTF-16 by its zeros, every second byte of a separator, a digit or a Latin letter."""
    beginning = raw[:1000]
    n_first = beginning[0::2].count(0)
    n_second = beginning[1::2].count(0)
    enough = ZERO_SHARE * len(beginning)
    if n_second > max(enough, 3 * n_first):  # a few letters have a zero in the other byte
        return "utf-16-le"
    if n_first > max(enough, 3 * n_second):
        return "utf-16-be"
    return "utf-8"


def _decoded(raw: bytes, encoding: str, whole: bool) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    return decoder.decode(raw, final=whole)


def _is_nearly_all_utf8(raw: bytes) -> bool:
    """Whether most letters beyond ASCII are valid UTF-8, Latin ones or of three bytes.

    Many pairs of bytes in GB18030 are valid too, as letters of other alphabets.
    """
    text = raw.decode("utf-8", "replace")
    code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    is_likely = ((code_points > 0x7F) & (code_points < 0x180)) | (code_points >= 0x800)
    n_broken = text.count("\ufffd")
    n_likely = int(is_likely.sum()) - n_broken
    n_beyond_ascii = int((code_points > 0x7F).sum())
    return 2 * n_likely >= n_beyond_ascii


def _damage(raw: bytes, file: str, position: int, encoding: str) -> str:
    place = f"the byte 0x{raw[position]:02x} (number {position + 1:,} of the file)"
    return (
        f"{file} row {_line_of(raw, position)}: {place} is not {encoding}, though the rest is; "
        "mend that letter, or save the file again as UTF-8"
    )


def _line_of(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, position) + 1


def _guess(
    raw: bytes, file: str, renames: Collection[str], whole: bool, broken_at: int
) -> tuple[str, str]:
    """Return the text and the encoding that is likely."""
    try:
        text = _decoded(raw, "gb18030", whole)
        if _has_known_chinese_names(text, renames) or _is_common_chinese(text):
            return text, "GB18030"
    except UnicodeDecodeError as error:
        damaged = raw.decode("gb18030", "replace")
        if _is_common_chinese(damaged, LARGEST_DAMAGE):
            raise ValueError(_damage(raw, file, error.start, "GB18030")) from None
    try:
        text = raw.decode("cp1252")
        if _is_western(text):
            return text, "Windows-1252"
    except UnicodeDecodeError:
        pass  # five bytes mean nothing in it
    line = _line_of(raw, broken_at)
    raise ValueError(
        f"{file} is neither UTF-8 nor GB18030 nor Windows-1252, or not clearly so (row {line} is "
        "the first that is not UTF-8); save it as UTF-8"
    )


def _has_known_chinese_names(text: str, renames: Collection[str]) -> bool:
    names = BETWEEN_NAMES.split(text[:HEADER_LETTERS])
    return any(not name.isascii() for name in known_names(names, renames))


def _is_common_chinese(text: str, damaged: float = 0.0) -> bool:
    letters = _letters_beyond_ascii(text)
    n_common = sum(letter in _common_chinese() for letter in letters)
    n_damaged = letters.count("\ufffd")
    is_sound = n_damaged <= damaged * len(letters)
    return is_sound and n_common >= COMMON_SHARE * len(letters)


def _letters_beyond_ascii(text: str) -> list[str]:
    matches = islice(NOT_ASCII.finditer(text), LETTERS_LOOKED_AT)
    return [match.group() for match in matches]


@cache
def _common_chinese() -> frozenset[str]:
    """Return the 3,755 most common characters, and punctuation: the first part of GB2312.

    The narrow signs of money are beside it; their four bytes mean nothing elsewhere.
    """
    leads = [0xA1, 0xA3, *range(0xB0, 0xD8)]
    trails = range(0xA1, 0xFF)
    pairs = [bytes([lead, trail]) for lead in leads for trail in trails]
    letters = {pair.decode("gb2312", "ignore") for pair in pairs}
    return frozenset(letters | {"¥", "£"})


def _is_western(text: str) -> bool:
    """Whether letters with accents stand among plain ones, as in Müller; three seldom touch."""
    letters = _letters_beyond_ascii(text)
    n_likely = sum(_is_likely_western(letter) for letter in letters)
    runs = islice(RUN_NOT_ASCII.finditer(text), LETTERS_LOOKED_AT)
    n_alone = sum(len(run.group()) for run in runs if len(run.group()) <= 2)
    return n_likely >= WESTERN_SHARE * len(letters) and n_alone >= ALONE_SHARE * len(letters)


def _is_likely_western(letter: str) -> bool:
    is_damage = letter == "ÿ"  # the byte 0xff
    return letter in WESTERN_SIGNS or (letter.isalpha() and not is_damage)


def _sample(text: str) -> str:
    match = WORD_NOT_ASCII.search(text)
    return printable(match.group(), 20) if match else ""
