"""Read an A/B test from a file of one row a unit: the unit, its arm, and what was measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from kpay_lab.experiments.arms import ABData, Metric, varies
from kpay_lab.experiments.checking import check_values

SUFFIXES = (".csv", ".parquet", ".jsonl")
BEFORE = "_before"  # what ends the name of a column that was measured before the assignment
YES_AND_NO = {"true": 1.0, "false": 0.0}
NO_SEGMENT = "none"


def read_ab_test(
    path: str | Path,
    *,
    unit: str = "unit",
    arm: str = "arm",
    control: str = "control",
    metrics: Sequence[str] = (),
    covariates: Mapping[str, str] | None = None,
    segments: Sequence[str] = (),
) -> ABData:
    """Read a .csv, .parquet or .jsonl file of one row a unit of randomisation.

    Parameters
    ----------
    path : str or Path
        The file, or a folder that holds no other.
    unit, arm : str
        The columns of the unit and of the arm it was given, both read as text.
    control : str
        The arm with which every other one is compared.
    metrics : sequence of str, optional
        Columns to compare, each a number, true or false. Unless named: all such columns that
        are nothing else and differ between units of an arm.
    covariates : mapping of metric to column, optional
        What was measured before the assignment, for CUPED. A column ``sales_before`` is taken
        for that of ``sales`` unless another is named.
    segments : sequence of str, optional
        Columns known before the assignment; an empty cell is the segment "none".

    Returns
    -------
    ABData
        Its frame holds every column of the file; those that are not used stay text.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file or a column cannot be understood, the control is not among the arms, or the
        units are no A/B test; the message names column, value and remedy.
    """
    path = find_data_file(path)
    texts = _read_texts(path)
    named_covariates = dict(covariates or {})
    roles = {
        "unit": [unit],
        "arm": [arm],
        "metrics": metrics,
        "covariates": named_covariates.values(),
        "segments": segments,
    }
    for role, names in roles.items():
        _require_columns(texts, names, role, path.name)
    for name in (unit, arm):
        is_filled = texts[name] != ""
        if not is_filled.all():
            raise ValueError(f"{name} is empty in row {is_filled.argmin() + 1}; fill it or drop it")
    found = metrics or _columns_of_numbers(texts, {unit, arm, *segments})
    before = {name: f"{name}{BEFORE}" for name in found if f"{name}{BEFORE}" in texts}
    before |= named_covariates
    chosen = metrics or [name for name in found if name not in before.values()]
    for name in named_covariates:
        if name not in chosen:
            raise ValueError(f"covariates names {name}, which is no metric; choose among {chosen}")
    frame = texts.copy()
    for name in segments:
        frame[name] = frame[name].replace("", NO_SEGMENT)
    measured = [*chosen, *(before[name] for name in chosen if name in before)]
    for name in dict.fromkeys(measured):
        frame[name] = _numbers(texts[name])
    treatments = _treatments(frame[arm], control)
    data = ABData(frame, unit, arm, control, treatments, _with_covariates(chosen, before))
    return data if metrics else _varying_only(data)


def find_data_file(path: str | Path) -> Path:
    """Return the file, or the only data file of a folder.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the folder holds another number of data files, or the file is of another kind.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise ValueError(f"{path} holds {len(files)} data files, {names}; name one of them")
        return files[0]
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; name the file of the A/B test")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path.name} is no {', '.join(SUFFIXES)} file; save it as one of these")
    return path


def _read_texts(path: Path) -> pd.DataFrame:
    """Read every cell as text, '' where it is empty; so the arm NA is no missing value."""
    try:
        match path.suffix.lower():
            case ".parquet":
                cells = pd.read_parquet(path)
            case ".jsonl":
                cells = pd.read_json(path, lines=True, dtype=False)
            case _:
                return _read_csv(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name}: {error}") from None
    texts = cells.astype(str)
    return texts.where(cells.notna(), "")


def _read_csv(path: Path) -> pd.DataFrame:
    as_text = {"dtype": str, "keep_default_na": False}
    try:
        return pd.read_csv(path, encoding="utf-8-sig", **as_text)
    except UnicodeDecodeError:
        return pd.read_csv(path, encoding="gb18030", **as_text)


def _require_columns(texts: pd.DataFrame, names: Iterable[str], role: str, file: str) -> None:
    for name in names:
        if name in texts:
            continue
        near = get_close_matches(name, list(texts), 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(texts)}"
        raise ValueError(f"{file} has no column {name!r} ({role}); {remedy}")


def _columns_of_numbers(texts: pd.DataFrame, taken: set[str]) -> list[str]:
    """Return the columns that hold numbers, or true and false, and no other text."""
    columns = []
    for name in texts:
        filled = texts.loc[texts[name] != "", name]
        is_numeric = len(filled) > 0 and _as_numbers(filled).notna().all()
        if is_numeric and name not in taken:
            columns.append(name)
    return columns


def _as_numbers(texts: pd.Series) -> pd.Series:
    """Return the numbers of a column; NaN for other texts."""
    marks = texts.str.lower().map(YES_AND_NO)
    return pd.to_numeric(texts, errors="coerce").astype(float).fillna(marks)


def _numbers(texts: pd.Series) -> pd.Series:
    """Return the numbers of a column, NaN where a cell is empty; refuse other texts."""
    numbers = _as_numbers(texts)
    is_valid = numbers.notna() | (texts == "")
    check_values(str(texts.name), texts, is_valid, "a number, true or false")
    return numbers


def _treatments(arms: pd.Series, control: str) -> tuple[str, ...]:
    """Return the arms other than the control, in the order of their names."""
    present = sorted(arms.unique())
    if control not in present:
        raise ValueError(
            f"{arms.name} holds {', '.join(present)}, and no {control!r}; name the arm that is the "
            "control"
        )
    return tuple(label for label in present if label != control)


def _with_covariates(names: Sequence[str], before: Mapping[str, str]) -> tuple[Metric, ...]:
    """Return each metric, and after it the same with its covariate where there is one."""
    metrics = []
    for name in names:
        metrics.append(Metric(name))
        if name in before:
            metrics.append(Metric(name, covariate=before[name]))
    return tuple(metrics)


def _varying_only(data: ABData) -> ABData:
    """Leave out the metrics that are the same for all units of the arms of a pair."""
    pairs = data.pairs()
    metrics = []
    for metric in data.metrics:
        varying = [pair for pair in pairs if varies(pair, metric)]
        if len(varying) == len(pairs):
            metrics.append(metric)
    if not metrics:
        raise ValueError(
            "there is no column of numbers that differ inside the arms; name the metrics to compare"
        )
    return replace(data, metrics=tuple(metrics))
