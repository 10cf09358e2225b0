"""Check the parameters of a notebook before a long run starts.

`report.params` checks what a parameters cell declares: types, ranges, choices. This module
checks what needs the domain: models and their settings, time zones, files and their columns.
The command line calls `domain_faults` before it starts a kernel, and a notebook's ``setup``
cell calls `check_parameters`; so JupyterLab and plain papermill refuse what ``kpay run`` refuses.

A parameter means the same in every notebook: ``models`` maps recommenders to their settings,
``ks`` holds list lengths. Domain modules are imported only where a parameter needs them,
because importing them takes a second.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
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

if TYPE_CHECKING:
    import pandas as pd

    from kpay_lab.data.door import Gate
    from kpay_lab.data.log import Log
    from kpay_lab.data.mapping import LogMapping

INJECTED_HEADING = "# Parameters\n"  # first line of the cell that papermill injects
ASSIGNMENT = re.compile(r"^(\w+) = ", re.MULTILINE)
REQUIRED_COLUMN = {  # parameter → value → the table and the column that this value needs
    "split": {
        "time": ("events", "timestamp"),
        "leave_last_out": ("events", "timestamp"),
        "given": ("events", "part"),
    },
    "weighting": {"rating": ("events", "rating")},
    "relevant": {"purchase": ("orders", "item_id")},
    "candidates": {"exposed": ("exposures", "timestamp"), "live": ("items", "started_at")},
}

GATE = ("since", "until", "ids", "duplicates", "max_rejected", "min_events")
SHOP = ("n_users", "n_items", "n_days", "seed", "field", "noise")


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
    declared = read_notebook(path, check_defaults=False)
    assigned = {name: namespace[name] for name in declared.parameters if name in namespace}
    missing = [name for name in declared.parameters if name not in namespace]
    values, faults = checked_values(declared.parameters, assigned)
    faults += [f"{name} is not set; run the parameters cell first" for name in missing]
    faults += _unknown_parameters(declared, namespace.get("In", []))
    faults += domain_faults(values)
    if faults:
        raise ParameterError(f"{notebook}: {fault}" for fault in faults)
    namespace.update(values)


def _unknown_parameters(notebook: Notebook, inputs: Iterable[str]) -> list[str]:
    """Refuse injected names that are no parameters; papermill itself only warns of them."""
    declared = notebook.parameters
    injected_cells = [cell for cell in inputs if cell.startswith(INJECTED_HEADING)]
    if not injected_cells:
        return []
    names = ASSIGNMENT.findall(injected_cells[-1])
    unknown = [name for name in names if name not in declared]
    return [f"unknown parameter {name!r}{hint(name, declared)}" for name in unknown]


def domain_faults(values: Mapping[str, Any]) -> list[str]:
    """Return one line for each value of a notebook's parameters that the package cannot use.

    Parameters
    ----------
    values : mapping
        Name → value, of the types that the notebook declares. A parameter that is absent, or
        was already refused, is not checked.

    Examples
    --------
    >>> domain_faults({"time_zone": "Asia/Shangai", "ks": [10, 2.5]})
    ["time_zone is 'Asia/Shangai'; it must be a time zone; did you mean 'Asia/Shanghai'?",
     'ks holds 2.5; list lengths are whole numbers']
    """
    checks = (
        _time_faults,
        _list_faults,
        _model_faults,
        _search_faults,
        _question_faults,
        _experiment_faults,
        _mapping_faults,
        _data_faults,
    )
    faults = []
    for check in checks:
        faults += check(values)
    return faults


def tables_of(values: Mapping[str, Any]) -> set[str]:
    """Return the tables that a notebook with these parameters will find."""
    from kpay_lab.data import sources

    dataset = values.get("dataset", "simulated")
    mapping = _mapping(values)
    folder = values.get("data_dir")
    tables = sources.tables_of(
        dataset, folder, mapping.fed_by, mapping.event_types, mapping.columns
    )
    if dataset == "tables" and folder is not None:
        from kpay_lab.data.reading import tables_by_type

        tables |= tables_by_type(folder, mapping)
    return tables


def files_of(values: Mapping[str, Any]) -> list[Path]:
    """Return the data files that a notebook with these parameters will read, if that is known."""
    from kpay_lab.data import sources

    dataset = values.get("dataset", "simulated")
    mapping = _mapping(values)
    folder = values.get("data_dir")
    return sources.files_of(dataset, folder, mapping.fed_by, mapping.event_types, mapping.columns)


def databases_of(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the tables of a database hold that a notebook with these parameters will read."""
    from kpay_lab.data import sources

    dataset = values.get("dataset", "simulated")
    mapping = _mapping(values)
    folder = values.get("data_dir")
    states = sources.states_of(
        dataset, folder, mapping.fed_by, mapping.event_types, mapping.columns
    )
    return {name: asdict(state) for name, state in states.items()}


def _mapping(values: Mapping[str, Any]) -> "LogMapping":
    """Return what is said of the meaning of files; the empty mapping where nonsense is said."""
    from kpay_lab.data.mapping import LogMapping

    return LogMapping() if _mapping_faults(values) else LogMapping.of(values.get("mapping"))


def _mapping_faults(values: Mapping[str, Any]) -> list[str]:
    """Check what is said of the meaning of files, and that there are files to say it of."""
    said = values.get("mapping")
    if not said:
        return []
    from kpay_lab.data.mapping import LogMapping

    try:
        LogMapping.of(said)
    except ValueError as error:
        return str(error).splitlines()
    dataset = values.get("dataset", "tables")
    if dataset != "tables":
        return [f"mapping says what your own files mean, but dataset is {dataset}; use --data"]
    return []


def _time_faults(values: Mapping[str, Any]) -> list[str]:
    """Check the time zone, the window, and the shares into which time is divided."""
    faults = []
    zone = values.get("time_zone", "UTC")
    zones = available_timezones()
    if zone and zone not in zones:  # empty: that of the log
        suggestion = did_you_mean(zone, zones) or " such as Asia/Shanghai"
        faults.append(f"time_zone is {zone!r}; it must be a time zone{suggestion}")
    for names in (("since", "until"), ("period_start", "period_end")):
        bounds = {name: values.get(name) for name in names}
        if any(bounds.values()):
            faults += _bound_faults(bounds)
    if values.get("warm_up", 0) + values.get("test_share", 0) >= 1:
        faults.append("warm_up and test_share are the whole time; leave some to learn from")
    return faults


def _bound_faults(bounds: Mapping[str, str | None]) -> list[str]:
    """Check that the first bound and the second are times, in this order."""
    from kpay_lab.data.tables import moment

    moments = {}
    faults = []
    for name, text in bounds.items():
        try:
            moments[name] = moment(name, text)
        except ValueError as error:
            faults.append(str(error))
    first, second = bounds
    start = moments.get(first)
    end = moments.get(second)
    if start is not None and end is not None and start >= end:
        faults.append(f"{first} is {bounds[first]} and {second} {bounds[second]}; swap them")
    return faults


def _list_faults(values: Mapping[str, Any]) -> list[str]:
    """Check lists of numbers; `report.params` has checked the range of each number."""
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
    if models := _models_of_run(values):
        from kpay_lab.recommend.choose import build_models

        faults += _call_faults("models", build_models, models)
    for parameter in ("gap_models", "policy_models"):
        if values.get(parameter):
            faults += _name_faults(parameter, values)
    return faults


def _models_of_run(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recommenders that a notebook names, with their settings; else an empty dict."""
    models = values.get("models")
    return models if isinstance(models, dict) else {}


def _weight_faults(weights: Mapping[str, Any]) -> list[str]:
    """Check each weight of interest, and only if all are valid what they make together."""
    from kpay_lab.interest.weighting import InterestWeights
    from kpay_lab.settings import setting_faults

    faults = setting_faults(InterestWeights, weights, "weights")
    return faults or _call_faults("weights", InterestWeights, **weights)


def _name_faults(parameter: str, values: Mapping[str, Any]) -> list[str]:
    """Check a list of models' names; ``gap_models`` must be among the compared ``models``."""
    from kpay_lab.recommend import MODELS

    faults = []
    models = _models_of_run(values)
    available = [*{**MODELS, **models}]
    if values.get("engine") == "spark":
        available.append("spark_als")
    compared = {*models, "popularity", "spark_als"}
    must_be_compared = parameter == "gap_models" and models
    for name in values[parameter]:
        if name not in available:
            suggestion = hint(str(name), available)
            faults.append(f"{parameter}: model {name!r} is unknown{suggestion}")
        elif must_be_compared and name not in compared:
            faults.append(f"gap_models: {name} is not among models; add it there, or leave it out")
    return faults


def _search_faults(values: Mapping[str, Any]) -> list[str]:
    """Check the model whose settings are searched, and every value to try."""
    name = values.get("search_model")
    space = values.get("search_space")
    if name is None:
        return []
    from kpay_lab.recommend import MODELS
    from kpay_lab.recommend.choose import model_class
    from kpay_lab.settings import setting_faults

    models = _models_of_run(values)
    available = {**MODELS, **models}
    if name not in available:
        return [f"search_model is {name!r}; it must be a model{hint(name, available)}"]
    try:
        kind = model_class(name, models.get(name))
    except ValueError:  # `_model_faults` says it
        return []
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
            faults += setting_faults(kind, {setting: choice}, f"search_space: {name}")
    return list(dict.fromkeys(faults))


def _question_faults(values: Mapping[str, Any]) -> list[str]:
    """Check that candidates go with what is relevant, and with the split."""
    candidates = values.get("candidates", "all")
    if candidates == "all":
        return []
    from kpay_lab.evaluate.queries import check_question

    relevant = values.get("relevant", "any")
    split = values.get("split", "auto")
    faults = _call_faults("candidates", check_question, relevant, candidates)
    if candidates in ("exposed", "live") and split not in ("auto", "time"):
        faults.append(f"candidates is {candidates!r}, but split is {split}; use split=time")
    return faults


def _experiment_faults(values: Mapping[str, Any]) -> list[str]:
    """Check the names of an A/B file's columns and the planned shares of its arms.

    Which columns and arms there are is known from the data only.
    """
    faults = []
    for parameter in ("metric_columns", "segment_columns", "covariate_columns"):
        names = values.get(parameter, [])
        texts = [*names, *names.values()] if isinstance(names, dict) else names
        for text in texts:
            if not isinstance(text, str):
                faults.append(f"{parameter} holds {text!r}; the name of a column is text")
    for arm, share in values.get("planned_shares", {}).items():
        is_number = isinstance(share, int | float) and not isinstance(share, bool)
        if not is_number or share <= 0:
            faults.append(f"planned_shares gives {arm} {share!r}; a share is a number above 0")
    return faults


def _call_faults(
    parameter: str, function: Callable[..., Any], *arguments: Any, **settings: Any
) -> list[str]:
    """Call a function, and return each line of the ValueError with which it refuses."""
    try:
        function(*arguments, **settings)
    except ValueError as error:
        return [f"{parameter}: {line}" for line in str(error).splitlines()]
    return []


def _data_faults(values: Mapping[str, Any]) -> list[str]:
    """Check that the files are there and their headers can be understood; no row is read."""
    faults = []
    dataset = values.get("dataset", "simulated")
    engine = values.get("engine", "memory")
    if catalogue := values.get("catalogue_dir"):
        from kpay_lab.data.public import required_files

        faults += _call_faults("catalogue_dir", required_files, "udemy", Path(catalogue))
    if engine != "memory" and {"dataset", "data_dir", "duplicates"} <= values.keys():
        from kpay_lab.interest.engines import engine_faults

        faults += engine_faults(
            engine,
            dataset,
            values["data_dir"],
            values["duplicates"],
            has_mapping=bool(values.get("mapping")),
        )
    if dataset == "simulated" or "data_dir" not in values:
        return faults
    if not values["data_dir"]:
        return [*faults, f"dataset {dataset} needs data_dir, the folder of its files (--data)"]
    from kpay_lab.data.addresses import is_address

    if is_address(values["data_dir"]):
        return faults + _address_faults(values["data_dir"], values)
    folder = Path(values["data_dir"])
    if not folder.exists():
        return [*faults, f"data_dir is {str(folder)!r}, which is not there; name another folder"]
    if dataset == "tables":
        return faults + _table_faults(folder, values)
    if dataset == "ab_test":
        return faults + _ab_file_faults(folder, values)
    return faults + _missing_public_files(dataset, folder)


def _address_faults(address: str, values: Mapping[str, Any]) -> list[str]:
    """Check the address of a database before it is repeated anywhere, and then its tables."""
    from kpay_lab.data.addresses import Address

    if values["dataset"] != "tables":
        return [f"dataset {values['dataset']} lies in files; set dataset to tables for a database"]
    return _call_faults("data_dir", Address.of, address) or _table_faults(address, values)


def _ab_file_faults(path: Path, values: Mapping[str, Any]) -> list[str]:
    """Read the file of an A/B test: one row a unit, it is soon read."""
    from kpay_lab.experiments.ab_files import read_ab_test

    columns = {
        "unit": values["unit_column"],
        "arm": values["arm_column"],
        "control": values["control_arm"],
        "metrics": values["metric_columns"],
        "covariates": values["covariate_columns"],
        "segments": values["segment_columns"],
    }
    return _call_faults("data_dir", read_ab_test, path, **columns)


def _missing_public_files(dataset: str, folder: Path) -> list[str]:
    """Name the files of a public data set that its folder lacks."""
    from kpay_lab.data import public
    from kpay_lab.experiments import readers

    files = {**public.FILES, **readers.FILES}
    required = files.get(dataset, ())
    missing = [name for name in required if not (folder / name).is_file()]
    if not missing:
        return []
    return [f"data_dir: {folder} lacks {', '.join(missing)}; give the data set's own folder"]


def _table_faults(folder: str | Path, values: Mapping[str, Any]) -> list[str]:
    """Check the headers, and that they have what the other parameters need."""
    from kpay_lab.data.reading import read_headers

    if _mapping_faults(values):  # said already; headers cannot be understood without it
        return []
    columns, faults = read_headers(folder, _mapping(values))
    if faults:
        *others, last = faults
        check = f"kpay check {shlex.quote(str(folder))} shows more, and proposes a mapping"
        return [f"data_dir: {fault}" for fault in (*others, f"{last}; {check}")]
    engine = values.get("engine", "memory")
    if engine not in ("memory", "database"):
        from kpay_lab.interest.engines import event_files

        faults += _call_faults("data_dir", event_files, engine, folder)
    for parameter, required in REQUIRED_COLUMN.items():
        value = values.get(parameter, "")
        if value not in required:
            continue
        table, column = required[value]
        if column not in columns.get(table, ()):
            faults.append(f"{parameter} is {value!r}, but {folder} has no {table}.{column}")
    bounds = [name for name in ("since", "until") if values.get(name)]
    if bounds and "timestamp" not in columns["events"]:
        faults.append(f"{bounds[0]} is set, but the events of {folder} have no timestamp")
    outcome = values.get("outcome", "next tag")
    user_columns = columns.get("users", set()) - {"user_id"}
    if outcome != "next tag" and outcome not in user_columns:
        choices = hint(outcome, user_columns)
        faults.append(f"outcome is {outcome!r}; choose next tag or a column of the users{choices}")
    return faults


@dataclass(frozen=True)
class Refused:
    """A log that no report can rest on.

    Parameters
    ----------
    source : str
    message : str
        Why, and what to do.
    rows : DataFrame, optional
        What was set aside, for whoever must mend the data.
    """

    source: str
    message: str
    rows: "pd.DataFrame | None" = None


OnAdmitted: TypeAlias = Callable[[str, str, "Log"], None]


def look_first(
    parameters: Mapping[str, Mapping[str, Any]], on_admitted: OnAdmitted | None = None
) -> list[str] | Refused:
    """Read the logs that notebooks will read, before any of them starts.

    Parameters
    ----------
    parameters : mapping of notebook to its parameters
        Those that read files of the user's own into memory count.
    on_admitted : function, optional
        Called with each log that notebooks will find: its name as `data.admitted.name_of` gives
        it, its source, and the log.

    Returns
    -------
    list of str, or Refused
        Two lines of what was understood of each log; or the first refusal that a notebook would
        end with.
    """
    asked: dict[str, list[Mapping[str, Any]]] = {}
    for values in parameters.values():
        if reads_own_tables(values):
            key = repr((values["data_dir"], values.get("mapping")))
            asked.setdefault(key, []).append(values)
    lines: list[str] = []
    refusals: list[Refused] = []
    for group in asked.values():
        answer = _look_at_log(group, on_admitted)
        if isinstance(answer, Refused):
            refusals.append(answer)
        else:
            lines += answer
    return refusals[0] if refusals else lines


def reads_own_tables(values: Mapping[str, Any]) -> bool:
    """Whether a notebook with these parameters reads files of the user's own into memory."""
    has_source = values.get("dataset") == "tables" and bool(values.get("data_dir"))
    return has_source and values.get("engine", "memory") == "memory"


def reads_log(values: Mapping[str, Any]) -> bool:
    """Whether a notebook with these parameters reads a log: one's own, or a public one."""
    from kpay_lab.data.door import DATASETS

    return values.get("dataset") in DATASETS and bool(values.get("data_dir"))


def gate_of(values: Mapping[str, Any]) -> "Gate":
    """Return the gate that a notebook's parameters describe."""
    from kpay_lab.data.door import Gate

    return Gate(**{name: values[name] for name in GATE if name in values})


def shop_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a notebook's parameters say of the shop that it simulates; else nothing."""
    if values.get("dataset", "simulated") != "simulated":
        return {}
    return {name: values[name] for name in SHOP if name in values}


def are_read_once(parameters: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether something that notebooks read is worth reading before them, once for all.

    That is each log, which is checked in any case, and a shop that several of them simulate.
    """
    if any(reads_log(values) for values in parameters.values()):
        return True
    shops = [shop for values in parameters.values() if (shop := shop_of(values))]
    return any(shops.count(shop) > 1 for shop in shops)


def _look_at_log(
    group: Sequence[Mapping[str, Any]], on_admitted: OnAdmitted | None
) -> list[str] | Refused:
    """Read one log, and ask the gate of each notebook."""
    from kpay_lab.data.admitted import asked_of_log, name_of
    from kpay_lab.data.door import BrokenLogError, read_log
    from kpay_lab.data.understanding import understood_of

    folder = group[0]["data_dir"]
    mapping = _mapping(group[0])
    gates = list(dict.fromkeys(map(gate_of, group)))
    refusals = []
    try:
        log = read_log(folder, mapping=mapping)
    except ValueError as error:
        return Refused(folder, str(error))
    for gate in gates:
        try:
            admitted = gate.admit(log)
        except BrokenLogError as error:
            refusals.append(Refused(folder, str(error), error.rejected.evidence()))
        except ValueError as error:
            refusals.append(Refused(folder, str(error)))
        else:
            if on_admitted is not None:
                asked = asked_of_log(folder, "tables", mapping, gate)
                on_admitted(name_of(*asked), folder, admitted)
    if refusals:
        return refusals[0]
    return understood_of(folder, mapping, log.tables, log.rejected).brief()


DOMAIN = Domain(
    tables_of=tables_of,
    files_of=files_of,
    faults_of=domain_faults,
    are_read_once=are_read_once,
    reader="kpay_lab.admission",
    databases_of=databases_of,
)
