"""Write texts of unknown origin into messages."""


def printable(text: str, length: int = 60) -> str:
    r"""Return a text for a message: short, on one line, without control characters.

    >>> printable("red\x1b[31m\n"), printable("x" * 99, 5)
    ('red\\x1b[31m\\n', 'xxxxx… (99 letters)')
    """
    characters = [one if one.isprintable() else repr(one)[1:-1] for one in text[:length]]
    excerpt = "".join(characters)
    return excerpt if len(text) <= length else f"{excerpt}… ({len(text):,} letters)"
