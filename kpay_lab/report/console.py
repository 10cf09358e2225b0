"""Words for whoever watches a run. They may get lost; they never decide over the run."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TextIO


def prepare_streams() -> None:
    """Give the process standard streams that exist and take any text.

    A closed stream becomes the null device: else the next file to be opened would get its
    number, and words meant for the terminal would end in that file. Letters that the
    console's encoding lacks are written as escapes.
    """
    _open_missing_handles()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, stream: TextIO) -> None:
    """Write text at once, or, where nobody can be reached any more, let it and the rest go."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # a full disk, a closed pipe, a lost terminal, a closed stream
        silence(stream)


def silence(stream: TextIO) -> None:
    """Lead a stream to the null device, so that Python's own flush at the end succeeds too."""
    with suppress(OSError, ValueError):  # a stream without a file number, or closed for good
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)


@contextmanager
def told_if_slow(doing: str, patience: float = 2.0) -> Iterator[None]:
    """Count on the terminal the seconds of what takes longer than ``patience`` (seconds).

    The line is taken away at the end. Where nobody watches (no terminal) nothing is said.
    """
    done = threading.Event()
    teller = threading.Thread(target=_tell, args=(doing, patience, done), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _tell(doing: str, patience: float, done: threading.Event) -> None:
    if not sys.stderr.isatty() or done.wait(patience):
        return
    seconds = patience
    while not done.is_set():
        say(f"\r\x1b[K{doing} … {seconds:.0f} s", sys.stderr)
        done.wait(1.0)
        seconds += 1.0
    say("\r\x1b[K", sys.stderr)


def _open_missing_handles() -> None:
    handle = os.open(os.devnull, os.O_RDWR)
    while handle <= 2:
        handle = os.open(os.devnull, os.O_RDWR)
    os.close(handle)
