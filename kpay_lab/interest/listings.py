"""The two documents' programs as printed: run on tables of data, and where they stop.

They stand in ``printed/``, quoted whole, because what is wrong with them is the lesson.
"""

import contextlib
import io
import re
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.findings import Finding

PRINTED = Path(__file__).parent / "printed"

Files = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Outcome:
    """How far a program came.

    Parameters
    ----------
    line : int
        The line of the program at which it stopped; 0 if it ran to its end.
    error : str
        The error's own words, such as ``KeyError: 'watch_time'``; empty if it ran to its end.
    printed : str
        What it printed until then.
    """

    line: int
    error: str
    printed: str


def printed_listing(document: str) -> str:
    """Return the program of document ``A`` or ``B``, to the letter.

    >>> printed_listing("A").splitlines()[0]
    'import numpy as np'
    """
    path = PRINTED / f"document_{document.lower()}.txt"
    return path.read_text(encoding="utf-8")


def numbered(listing: str) -> str:
    r"""Return the statements of a program with their line numbers, comments and blanks left out.

    >>> print(numbered("# sum\n\nx = 1\nx + 1\n"))
     3  x = 1
     4  x + 1
    """
    lines = []
    for number, line in enumerate(listing.splitlines(), start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            lines.append(f"{number:2}  {line}")
    return "\n".join(lines)


def run_listing(listing: str, files: Files, *, seed: int = 0) -> Outcome:
    r"""Run a program in a folder of its own that holds CSV files, and report how far it came.

    Parameters
    ----------
    listing : str
        A program of the documents; it may read the files by their names.
    files : mapping of str to DataFrame
        Each file's name and its content, written without row names.
    seed : int
        Of NumPy's global generator, from which the programs draw.

    Examples
    --------
    >>> run_listing("print(1)\n{}['watch_time']\n", {})
    Outcome(line=2, error="KeyError: 'watch_time'", printed='1\n')
    """
    program = compile(listing, "<listing>", "exec")
    output = io.StringIO()
    state = np.random.get_state()  # noqa: NPY002 - the programs use the global generator
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            content.to_csv(Path(folder) / name, index=False)
        np.random.seed(seed)  # noqa: NPY002
        try:
            with contextlib.chdir(folder), contextlib.redirect_stdout(output):
                exec(program, {"__name__": "__main__"})
        except Exception as error:  # whatever it is, it is the result
            return Outcome(_line_of(error), _words_of(error), output.getvalue())
        finally:
            np.random.set_state(state)  # noqa: NPY002
    return Outcome(0, "", output.getvalue())


def run_with_repairs(listing: str, attempts: Mapping[str, Files], *, seed: int = 0) -> pd.DataFrame:
    """Run a program on tables that are repaired a little further each time.

    Parameters
    ----------
    attempts : mapping of str to files
        What was changed since the attempt before, in words, and the files to run on.

    Returns
    -------
    DataFrame
        One row an attempt, in order: ``data`` (the words), ``line`` and ``error`` where it
        stopped (0 and empty if it ran to its end), ``printed``.
    """
    rows = []
    for words, files in attempts.items():
        outcome = run_listing(listing, files, seed=seed)
        rows.append((words, outcome.line, outcome.error, outcome.printed.strip()))
    return pd.DataFrame(rows, columns=["data", "line", "error", "printed"])


def listing_findings(of_A: pd.DataFrame, of_B: pd.DataFrame, *, place: str) -> list[Finding]:
    """Return where the two documents' programs stop as printed, and after repairs of their data.

    Parameters
    ----------
    of_A, of_B : DataFrame
        From `run_with_repairs`, the first attempt on the tables that the document itself names.
    """
    values: dict[str, object] = {}
    for document, attempts in {"a": of_A, "b": of_B}.items():
        first = attempts.iloc[0]
        last = attempts.iloc[-1]
        values[f"line_{document}"] = first["line"]
        values[f"error_{document}"] = first["error"]
        values[f"n_repairs_{document}"] = len(attempts) - 1
        values[f"runs_{document}"] = bool(last["error"] == "")
    return [Finding("listing/stops", "watch", values, place=place)]


def _line_of(error: Exception) -> int:
    """Return the last line of the program itself that led to the error."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == "<listing>"]
    return lines[-1] or 0


def _words_of(error: Exception) -> str:
    """Return the error's kind and the first line of its words, shortened where it is long."""
    message = str(error).strip().splitlines()[0]
    plain = re.sub(r"np\.\w+\((.*?)\)", r"\1", message)
    return f"{type(error).__name__}: {plain}"
