"""The two documents' programs as printed: run on tables of data, and where they stop.

They stand in ``printed/``, quoted whole, because what is wrong with them is the lesson.
"""

import contextlib
import io
import re
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.findings import Finding
from kpay_lab.interest.published import WORKED_CASE, WorkedCase
from kpay_lab.stats import Interval, bootstrap_ratio

PRINTED = Path(__file__).parent / "printed"
PERSON = ["age", "gender", "occupation"]  # the features that document B's program names
OFFER = ["category", "brand", "price"]
N_SALES = 10_000  # rows of sales that its forest is given; more change nothing but the time

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
            with contextlib.chdir(folder), _captured(output):
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


def attempts_at_a(case: WorkedCase = WORKED_CASE) -> dict[str, Files]:
    """Return document A's own tables for `run_with_repairs`, then what its program asks of them."""
    measures = ["watch_time", "like_count", "comment_count"]
    log = case.in_rows({"watch_time": case.watch_time, "like_count": case.likes})
    log = log.rename(columns={"user": "user_id", "content": "content_id"})
    commented = case.commented.ravel()
    as_printed = log.assign(comment_count=np.where(commented, "有", "无"))
    counted = log.assign(comment_count=commented.astype(int))
    features = pd.DataFrame(case.item_features, columns=["feature_1", "feature_2", "feature_3"])
    features.insert(0, "content_id", case.items)
    by_content = counted.groupby("content_id", as_index=False)[measures].sum()
    by_user = counted.groupby("user_id", as_index=False)[measures].sum()
    described = features.merge(by_content)
    numbered_users = by_user.assign(user_id=[1, 2])
    numbered_contents = described.assign(content_id=[1, 2])
    alike = numbered_contents[["content_id", *measures]]
    attempts: dict[str, Files] = {}
    attempts["as printed"] = _files_for_a(as_printed, features)
    attempts["有 / 无 written as 1 / 0"] = _files_for_a(counted, features)
    attempts["watch time, likes and comments of contents, too"] = _files_for_a(counted, described)
    attempts["one row a user"] = _files_for_a(by_user, described)
    attempts["ids written as numbers"] = _files_for_a(numbered_users, numbered_contents)
    attempts["the same columns in both files"] = _files_for_a(numbered_users, alike)
    return attempts


def _files_for_a(users: pd.DataFrame, contents: pd.DataFrame) -> Files:
    return {"user_data.csv": users, "content_data.csv": contents}


def attempts_at_b(tables: Tables) -> dict[str, Files]:
    """Return a log's tables for `run_with_repairs`, then what document B's program asks of them.

    The log needs ``users``, ``items`` and ``exposures``, as a simulated shop has them.
    """
    users = _need(tables, "users")[["user_id", *PERSON]]
    items = _need(tables, "items")
    courses = items.loc[items["price"].notna(), ["item_id", *OFFER]]
    sales = purchase_rows(tables).head(N_SALES)[[*PERSON, "item_id", "purchase"]]
    courses = courses.rename(columns={"item_id": "course_id"})
    sales = sales.rename(columns={"item_id": "course_id"})
    n = min(len(users), len(courses))
    as_many = users.head(n)
    some_courses = courses.head(n)
    coded_users = _coded(as_many)
    coded_courses = _coded(some_courses)
    bands = pd.cut(some_courses["price"], 5, labels=False)
    banded = coded_courses.assign(price=bands)
    attempts: dict[str, Files] = {}
    attempts["as they are"] = _files_for_b(users, courses, sales)
    attempts["as many users as courses"] = _files_for_b(as_many, some_courses, sales)
    attempts["words of both written as numbers"] = _files_for_b(coded_users, coded_courses, sales)
    attempts["prices in five bands"] = _files_for_b(coded_users, banded, sales)
    attempts["words of sales written as numbers"] = _files_for_b(coded_users, banded, _coded(sales))
    return attempts


def _files_for_b(users: pd.DataFrame, courses: pd.DataFrame, sales: pd.DataFrame) -> Files:
    return {"user_data.csv": users, "course_data.csv": courses, "sales_data.csv": sales}


def purchase_rows(tables: Tables) -> pd.DataFrame:
    """Return what was shown, in order of time: who, which item, and whether it was bought.

    Columns are ``user_id``, those of `PERSON`, ``item_id``, those of `OFFER`, and ``purchase``.
    """
    shown = _need(tables, "exposures").sort_values("timestamp", kind="stable")
    shown = shown.rename(columns={"purchased": "purchase"})
    shown = shown[["user_id", "item_id", "purchase"]]
    people = _need(tables, "users")[["user_id", *PERSON]]
    offers = _need(tables, "items")[["item_id", *OFFER]]
    rows = shown.merge(people, on="user_id").merge(offers, on="item_id")
    return rows[["user_id", *PERSON, "item_id", *OFFER, "purchase"]]


def _need(tables: Tables, name: str) -> pd.DataFrame:
    frame: pd.DataFrame | None = getattr(tables, name)
    if frame is None:
        raise ValueError(f"document B's program reads {name}, which the log lacks")
    return frame


def _coded(frame: pd.DataFrame) -> pd.DataFrame:
    """Write each column of words as numbers, in order of appearance."""
    columns = {}
    for name, values in frame.items():
        is_number = pd.api.types.is_numeric_dtype(values)
        columns[name] = values if is_number else pd.factorize(values)[0]
    return pd.DataFrame(columns, index=frame.index)


def mended_purchase_model(rows: pd.DataFrame, *, seed: int) -> tuple[pd.DataFrame, Interval]:
    """Fit document B's forest as it could be meant: in order of time, judged as a probability.

    Parameters
    ----------
    rows : DataFrame
        From `purchase_rows`. The first four fifths are learned from, the last is judged by.

    Returns
    -------
    DataFrame, index model
        ``log_loss`` and ``accuracy`` of the forest and of the base rate, which gives everybody
        the share of purchases of the first part.
    Interval
        How much smaller the forest's log loss is, with a 95 % interval over users.

    Raises
    ------
    TooLittleError
        If nobody or everybody bought in the first part.
    """
    from sklearn.ensemble import RandomForestClassifier  # here, for it is slow to import

    known = pd.get_dummies(rows[[*PERSON, *OFFER]])
    bought = rows["purchase"].to_numpy() > 0
    n_early = len(rows) * 4 // 5
    early = bought[:n_early]
    late = bought[n_early:]
    if early.all() or not early.any():
        raise TooLittleError("a purchase model needs exposures with a purchase and some without")
    forest = RandomForestClassifier(30, min_samples_leaf=50, max_samples=0.2, random_state=seed)
    forest.fit(known[:n_early], early)
    chances = {
        "forest, mended": forest.predict_proba(known[n_early:])[:, 1],
        "base rate": np.full(len(late), early.mean()),
    }
    losses = {model: _log_losses(chance, late) for model, chance in chances.items()}
    accuracies = {model: ((chance > 0.5) == late).mean() for model, chance in chances.items()}
    mean_losses = {model: loss.mean() for model, loss in losses.items()}
    table = pd.DataFrame({"log_loss": mean_losses, "accuracy": accuracies}).rename_axis("model")
    gain = losses["base rate"] - losses["forest, mended"]
    by_user = pd.Series(gain).groupby(rows["user_id"].to_numpy()[n_early:])
    rng = np.random.default_rng(seed)
    smaller = bootstrap_ratio(by_user.sum().to_numpy(), by_user.size().to_numpy(float), rng=rng)
    return table, smaller


def _log_losses(chance: np.ndarray, happened: np.ndarray) -> np.ndarray:
    """Return the log loss of each row; a chance is kept a little off 0 and 1."""
    kept = np.clip(chance, 1e-6, 1 - 1e-6)
    return -np.log(np.where(happened, kept, 1 - kept))


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


@contextlib.contextmanager
def _captured(output: io.StringIO) -> Iterator[None]:
    """Keep what a program prints, and its warnings."""
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        yield


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
