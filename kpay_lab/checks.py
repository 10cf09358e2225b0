"""What the parameters of a notebook mean to the package, checked before anything long starts.

`report.params` checks what a parameters cell declares: types, ranges, choices. What only the
domain knows stands here: models and their settings, time zones, files and their columns. The
command line asks `domain_faults` before it starts a kernel, a notebook's ``setup`` cell calls
`check_parameters`; so JupyterLab and plain papermill refuse what ``kpay run`` refuses.

A name means the same in every notebook: ``models`` with a mapping are recommenders and their
settings, ``ks`` list lengths. The domain is imported only where a parameter asks for it, for
that takes a second.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from kpay_lab.report.files import project_root
from kpay_lab.report.params import (
    Notebook,
    ParameterError,
    checked_values,
    did_you_mean,
    hint,
    read_notebook,
)
from kpay_lab.report.profile import Domain

INJECTED = "# Parameters\n"  # how papermill heads the cell that overrules the parameters
ASSIGNED = re.compile(r"^(\w+) = ", re.MULTILINE)
NEEDS_COLUMN = {  # parameter → value → the table and column without which it cannot be
    "split": {
        "time": ("events", "timestamp"),
        "leave_last_out": ("events", "timestamp"),
        "given": ("events", "part"),
    },
    "weighting": {"rating": ("events", "rating")},
    "relevant": {"purchase": ("orders", "item_id")},
}


def check_parameters(notebook: str, namespace: dict[str, Any]) -> None:
    """Check a notebook's parameters as they stand in its namespace, in its ``setup`` cell.

    Parameters
    ----------
    notebook : str
        Its name, or its path within ``notebooks/`` without the ending: its parameters cell,
        read from the file, says what each may be.
    namespace : dict
        The notebook's ``globals()``. Values take their parameters' types there, as under
        ``kpay run``: a whole number for a float becomes a float, a date its ISO text.

    Raises
    ------
    ParameterError
        With one line for everything that ``kpay run`` would refuse, unknown parameters that
        papermill was given among it.
    """
    path = project_root() / "notebooks" / f"{notebook}.ipynb"
    if not path.is_file():
        raise ParameterError([f"there is no {path}; name the notebook's own file in its setup"])
    described = read_notebook(path, check_defaults=False)
    there = {name: namespace[name] for name in described.parameters if name in namespace}
    missing = [name for name in described.parameters if name not in namespace]
    values, problems = checked_values(described.parameters, there)
    problems += [f"{name} is not set; run the parameters cell first" for name in missing]
    problems += _unknown_parameters(described, namespace.get("In", []))
    problems += domain_faults(values)
    if problems:
        raise ParameterError(f"{notebook}: {problem}" for problem in problems)
    namespace.update(values)


def _unknown_parameters(notebook: Notebook, inputs: Iterable[str]) -> list[str]:
    """Find the names that papermill injected and that are no parameters: it only warns of them."""
    known = notebook.parameters
    injected = [cell for cell in inputs if cell.startswith(INJECTED)]
    names = ASSIGNED.findall(injected[-1]) if injected else []
    unknown = [name for name in names if name not in known]
    return [f"unknown parameter {name!r}{hint(name, known)}" for name in unknown]


def domain_faults(values: Mapping[str, Any]) -> list[str]:
    """Say everything that the package cannot do with a notebook's parameters, one line a fault.

    Parameters
    ----------
    values : mapping
        Name → value, of the types that the notebook declares. A parameter that is absent, or
        was refused before, is not judged.

    Examples
    --------
    >>> domain_faults({"time_zone": "Asia/Shangai", "ks": [10, 2.5]})
    ["time_zone is 'Asia/Shangai'; it must be a time zone; did you mean 'Asia/Shanghai'?",
     'ks holds 2.5; list lengths are whole numbers']
    """
    return [
        *_time_faults(values),
        *_list_faults(values),
        *_model_faults(values),
        *_search_faults(values),
        *_data_faults(values),
    ]


def tables_of(values: Mapping[str, Any]) -> set[str]:
    """Return the tables that a notebook with these parameters will find."""
    from kpay_lab.data import sources

    return sources.tables_of(values.get("dataset", "simulated"), values.get("data_dir"))


def files_of(values: Mapping[str, Any]) -> list[Path]:
    """Return the data files that a notebook with these parameters will read, if that is known."""
    from kpay_lab.data import sources

    return sources.files_of(values.get("dataset", "simulated"), values.get("data_dir"))


def _time_faults(values: Mapping[str, Any]) -> list[str]:
    faults = []
    zone = values.get("time_zone", "UTC")
    zones = available_timezones()
    if zone not in zones:
        near = did_you_mean(zone, zones) or " such as Asia/Shanghai"
        faults.append(f"time_zone is {zone!r}; it must be a time zone{near}")
    written = {name: values.get(name) for name in ("since", "until")}
    if any(written.values()):
        faults += _window_faults(written)
    if values.get("warm_up", 0) + values.get("test_share", 0) >= 1:
        faults.append("warm_up and test_share are the whole time; leave some to learn from")
    return faults


def _window_faults(written: Mapping[str, str | None]) -> list[str]:
    from kpay_lab.data.tables import moment

    moments = {}
    faults = []
    for name, text in written.items():
        try:
            moments[name] = moment(name, text)
        except ValueError as error:
            faults.append(str(error))
    since = moments.get("since")
    until = moments.get("until")
    if since is not None and until is not None and since >= until:
        faults.append(f"since is {written['since']} and until {written['until']}; swap them")
    return faults


def _list_faults(values: Mapping[str, Any]) -> list[str]:
    """Check lists of numbers; the range of a number is the parameters cell's affair."""
    faults = []
    lengths = values.get("ks", [10])
    if not lengths:
        faults.append("ks is empty; name at least one list length")
    for length in lengths:
        if not isinstance(length, int):
            faults.append(f"ks holds {length!r}; list lengths are whole numbers")
    weights = values.get("weights")
    if isinstance(weights, list) and len(weights) != 3:
        faults.append(f"weights holds {len(weights)} numbers; it must be three, w1, w2 and w3")
    return faults


def _model_faults(values: Mapping[str, Any]) -> list[str]:
    """Check models with their settings, names of models, and the weights of interest."""
    faults = []
    weights = values.get("weights")
    if isinstance(weights, dict) and weights:
        faults += _weight_faults(weights)
    models = values.get("models")
    if isinstance(models, dict) and models:
        from kpay_lab.recommend.choose import build_model

        for name, settings in models.items():
            faults += _said_against("models", build_model, name, settings)
    for parameter in ("gap_models", "policy_models"):
        if values.get(parameter):
            faults += _name_faults(parameter, values)
    return faults


def _weight_faults(weights: Mapping[str, Any]) -> list[str]:
    from kpay_lab.interest.weighting import InterestWeights
    from kpay_lab.settings import setting_faults

    faults = setting_faults(InterestWeights, weights, "weights")
    return faults or _said_against("weights", InterestWeights, **weights)


def _name_faults(parameter: str, values: Mapping[str, Any]) -> list[str]:
    """Check a list of models' names; the gap is measured for models that are compared."""
    from kpay_lab.recommend import MODELS

    faults = []
    known = [*MODELS, "spark_als"] if values.get("engine") == "spark" else [*MODELS]
    compared = {*values.get("models", {}), "popularity", "spark_als"}
    for name in values[parameter]:
        if name not in known:
            near = hint(str(name), known)
            faults.append(f"{parameter}: model {name!r} is unknown{near}")
        elif parameter == "gap_models" and values.get("models") and name not in compared:
            faults.append(f"gap_models: {name} is not among models; add it there, or leave it out")
    return faults


def _search_faults(values: Mapping[str, Any]) -> list[str]:
    """Check the model that is searched, and every value to try."""
    name = values.get("search_model")
    space = values.get("search_space")
    if name is None:
        return []
    from kpay_lab.recommend import MODELS
    from kpay_lab.settings import setting_faults

    if name not in MODELS:
        return [f"search_model is {name!r}; it must be a model{hint(name, MODELS)}"]
    if space is None or not values.get("n_trials", 1):
        return []
    if not space:
        return ["search_space is empty; name a setting and values to try, or set n_trials to 0"]
    faults = []
    for setting, choices in space.items():
        if not isinstance(choices, list) or not choices:
            faults.append(f"search_space: {setting} is {choices!r}; it must be a list of values")
            continue
        for choice in choices:
            faults += setting_faults(MODELS[name], {setting: choice}, f"search_space: {name}")
    return list(dict.fromkeys(faults))


def _said_against(place: str, make: Callable[..., Any], *given: Any, **named: Any) -> list[str]:
    """Return what a maker says against what it is given, a line each."""
    try:
        make(*given, **named)
    except ValueError as error:
        return [f"{place}: {line}" for line in str(error).splitlines()]
    return []


def _data_faults(values: Mapping[str, Any]) -> list[str]:
    """Check that the files are there and their headers can be understood; no row is read."""
    faults = []
    dataset = values.get("dataset", "simulated")
    engine = values.get("engine", "memory")
    if catalogue := values.get("catalogue_dir"):
        from kpay_lab.data.public import files_of

        faults += _said_against("catalogue_dir", files_of, "udemy", Path(catalogue))
    if engine != "memory" and {"dataset", "data_dir", "duplicates"} <= values.keys():
        from kpay_lab.interest.engines import engine_faults

        faults += engine_faults(engine, dataset, values["data_dir"], values["duplicates"])
    if dataset == "simulated" or "data_dir" not in values:
        return faults
    if not values["data_dir"]:
        return [*faults, f"dataset {dataset} needs data_dir, the folder of its files (--data)"]
    folder = Path(values["data_dir"])
    if not folder.exists():
        return [*faults, f"data_dir is {str(folder)!r}, which is not there; name another folder"]
    if dataset == "tables":
        return faults + _table_faults(folder, values)
    return faults + _lacking(dataset, folder)


def _lacking(dataset: str, folder: Path) -> list[str]:
    """Name the files of a public data set that its folder lacks."""
    from kpay_lab.data import public
    from kpay_lab.experiments import readers

    names = {**public.FILES, **readers.FILES}
    missing = [name for name in names.get(dataset, ()) if not (folder / name).is_file()]
    if not missing:
        return []
    return [f"data_dir: {folder} lacks {', '.join(missing)}; give the data set's own folder"]


def _table_faults(folder: Path, values: Mapping[str, Any]) -> list[str]:
    """Check the headers, and that they have what the other parameters need."""
    from kpay_lab.data.reading import read_headers

    columns, faults = read_headers(folder)
    if faults:
        return [f"data_dir: {fault}" for fault in faults]
    engine = values.get("engine", "memory")
    if engine != "memory":
        from kpay_lab.interest.engines import event_files

        faults += _said_against("data_dir", event_files, engine, folder)
    for parameter, needs in NEEDS_COLUMN.items():
        value = values.get(parameter, "")
        if value not in needs:
            continue
        table, column = needs[value]
        if column not in columns.get(table, ()):
            faults.append(f"{parameter} is {value!r}, but {folder} has no {table}.{column}")
    bounded = [name for name in ("since", "until") if values.get(name)]
    if bounded and "timestamp" not in columns["events"]:
        faults.append(f"{bounded[0]} is set, but the events of {folder} have no timestamp")
    outcome = values.get("outcome", "next tag")
    labels = columns.get("users", set()) - {"user_id"}
    if outcome != "next tag" and outcome not in labels:
        known = hint(outcome, labels)
        faults.append(f"outcome is {outcome!r}; choose next tag or a column of the users{known}")
    return faults


DOMAIN = Domain(tables_of=tables_of, files_of=files_of, faults_of=domain_faults)
