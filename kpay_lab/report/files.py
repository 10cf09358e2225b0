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
