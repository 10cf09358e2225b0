"""Where the project lies, and files that are either whole or not there."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def project_root() -> Path:
    """Return the folder that holds ``notebooks/`` and ``params/``.

    It is the working folder if that has them, else the folder the package was installed
    from (an editable install), else the working folder.
    """
    candidates = [Path.cwd(), *Path.cwd().parents, Path(__file__).parents[2]]
    found = (root for root in candidates if (root / "notebooks").is_dir())
    return next((root for root in found if (root / "params").is_dir()), Path.cwd())


def read_text(path: Path, place: str) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises ValueError, one line that begins with ``place``, if the file cannot be opened or
    holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{place}: it cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        problem = "it is not UTF-8 text; save the file as UTF-8"
        raise ValueError(f"{place} line {line}: {problem}") from None


def read_json(path: Path, place: str) -> dict[str, Any]:
    """Return the JSON object of a file; raises ValueError as `read_text` does."""
    text = read_text(path, place)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"it is not whole JSON ({error.msg}); restore the file"
        raise ValueError(f"{place} line {error.lineno}: {problem}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{place}: it must be a JSON object; restore the file")
    return content


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    write_bytes(path, text.encode())


def to_json(value: Any) -> str:
    """Return JSON with sorted keys, the same bytes for equal values.

    >>> print(to_json({"b": 0.1, "a": [1, None]}).replace(chr(10), ""))
    { "a": [  1,  null ], "b": 0.1}
    """
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
