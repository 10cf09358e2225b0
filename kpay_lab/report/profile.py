"""A profile and ``--set`` laid over the notebooks' defaults, checked before anything runs."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kpay_lab.report.files import project_root, read_text
from kpay_lab.report.params import (
    Notebook,
    ParameterError,
    ambiguous,
    find_notebook,
    hint,
    matching_names,
    no_notebook,
    read_notebooks,
)

MERGE = "tag:yaml.org,2002:merge"  # of the key <<
TEXT = "tag:yaml.org,2002:str"

Parameters = Mapping[str, Mapping[str, Any]]  # of each notebook of a run
# What is wrong with a notebook's values in the eyes of the domain, which this room does not know.
States = Mapping[str, dict[str, Any]]  # of the tables of a database, by address and name
FaultsOf = Callable[[Mapping[str, Any]], Iterable[str]]


def _nothing(parameters: Mapping[str, Any]) -> tuple[()]:
    return ()


def _never(parameters: Parameters) -> bool:
    return False


def _no_database(parameters: Mapping[str, Any]) -> States:
    return {}


@dataclass(frozen=True)
class Domain:
    """What the domain says of a notebook's parameters, asked by who knows nothing of it.

    Parameters
    ----------
    tables_of : function
        Returns the tables that a notebook with these parameters will find; one that needs
        another table is *not applicable* and no kernel is started for it.
    files_of : function
        Returns the data files that such a notebook will read, where that is known beforehand.
    faults_of : function
        Says what the parameters cannot mean, a line each.
    are_read_once : function
        Says of the parameters of a run's notebooks whether they read something that is better
        read once, before all of them.
    reader : str
        The module that does so in a process of its own; see `report.once`.
    databases_of : function
        Returns what each table of a database holds that such a notebook will read.
    """

    tables_of: Callable[[Mapping[str, Any]], set[str]]
    files_of: Callable[[Mapping[str, Any]], Iterable[Path]] = _nothing
    faults_of: FaultsOf = _nothing
    are_read_once: Callable[[Parameters], bool] = _never
    reader: str = ""
    databases_of: Callable[[Mapping[str, Any]], States] = _no_database


FOLDERS = ("data_dir", "catalogue_dir")
ADDRESS = re.compile(r"[A-Za-z][\w+.-]+://")  # of a database, which is no path
ADDRESS_OF_FILE = re.compile(r"(\w+:///)([^/].*)")  # such as sqlite:///shop.db
NAMED = 7  # notebooks or sets that a problem of many of them names


@dataclass(frozen=True)
class Profile:
    """A file of ``params/``: which notebooks, with which values."""

    name: str
    notebooks: tuple[str, ...] | None
    shared: dict[str, Any]
    blocks: dict[str, dict[str, Any]]

    def reading(self, data: Path | str | None, root: Path) -> "Profile":
        """Return the profile with ``data`` (of ``--data``) as its data folder or database.

        A profile that names no data set, or the simulated one, then reads ``tables``. A
        relative folder written in the profile lies in the project, ``root``.
        """
        shared = _located(self.shared, root)
        blocks = {name: _located(block, root) for name, block in self.blocks.items()}
        if data is not None:
            shared["data_dir"] = located("data_dir", str(data), Path.cwd())
            if shared.get("dataset", "simulated") == "simulated":
                shared["dataset"] = "tables"
        return replace(self, shared=shared, blocks=blocks)


def _located(block: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Return a block of parameters whose folders are seen from ``base``."""
    return {key: located(key, value, base) for key, value in block.items()}


def located(key: str, value: Any, base: Path) -> Any:
    """Return where a folder lies, seen from ``base``: a notebook runs elsewhere; else the value.

    The address of a database is no path, but the file it may name is.

    >>> located("data_dir", "sqlite:///shop.db", Path("/srv"))
    'sqlite:////srv/shop.db'
    """
    is_folder = key in FOLDERS and isinstance(value, str) and value
    if not is_folder:
        return value
    if not ADDRESS.match(value):
        return str((base / value).resolve())
    of_file = ADDRESS_OF_FILE.fullmatch(value)
    return f"{of_file.group(1)}{(base / of_file.group(2)).resolve()}" if of_file else value


class _Loader(yaml.SafeLoader):
    """The safe loader, with keys that are text and stand once, and ``1e-3`` a number.

    YAML 1.1 takes the keys ``04`` and ``on`` for a number and for *true*; no parameter and
    no notebook has such a name. YAML 1.2 reads ``1e-3`` as a number.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        node.value = [(_text_key(key), value) for key, value in node.value]
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"the key {key.value!r} appears twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            if key.tag != MERGE:
                seen.add(key.value)
        return node


def _text_key(key: yaml.Node) -> yaml.Node:
    """Return a key as text, whatever YAML takes it for; the merge key ``<<`` stays one."""
    if not isinstance(key, yaml.ScalarNode):
        problem = "a key must be text, not a list or a mapping"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
    if key.tag == MERGE:
        return key
    return yaml.ScalarNode(TEXT, key.value, key.start_mark, key.end_mark)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def read_yaml(text: str, place: str) -> Any:
    """Read YAML safely; any fault is one line that names the place."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise ParameterError([_one_line(error, text, place)]) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ParameterError([f"{place}: {' '.join(str(error).split())}"]) from None


def read_yaml_file(path: Path) -> Any:
    """Read a YAML file; any fault of the file or its YAML is one line that names it."""
    return read_yaml(read_text(path, path.name), path.name)


def _one_line(error: yaml.MarkedYAMLError, text: str, place: str) -> str:
    """Return what is wrong with YAML, and in which line if there are several."""
    if error.problem_mark and "\n" in text.strip():
        place = f"{place} line {error.problem_mark.line + 1}"
    said = ", ".join(part for part in (error.context, error.problem) if part)
    remedy = "; indent with spaces, not with tabs" if r"'\t'" in said else ""
    return f"{place}: {said}{remedy}"


def read_project(
    profile: str | None = None, data: Path | str | None = None
) -> tuple[dict[str, Notebook], Profile, Path]:
    """Return the project's notebooks, one of its profiles reading ``data``, and its folder."""
    root = project_root()
    if not (root / "notebooks").is_dir():
        raise ParameterError([f"there is no notebooks/ in {root}; run kpay inside the project"])
    known = read_notebooks(root / "notebooks")
    chosen = read_profile(root / "params", profile) if profile else Profile("", None, {}, {})
    return known, chosen.reading(data, root), root


def read_profile(folder: Path, name: str) -> Profile:
    """Read ``<folder>/<name>.yaml``."""
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ParameterError([f"there is no profile {name!r} in {folder}{hint(name, known)}"])
    content = read_yaml_file(path)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ParameterError([f"{path.name}: it must be a mapping of blocks"])
    notebooks = content.pop("notebooks", None)
    blocks = {key: {} if block is None else block for key, block in content.items()}
    wrong = [key for key, block in blocks.items() if not isinstance(block, dict)]
    problems = [f"{path.name}: {key} must be a mapping of parameters" for key in wrong]
    if not isinstance(notebooks, list | None):
        problems.append(f"{path.name}: notebooks must be a list of names")
    if problems:
        raise ParameterError(problems)
    # ids, min_group: shared parameters under a telling name
    shared = blocks.pop("shared", {}) | blocks.pop("privacy", {})
    if "mapping" in blocks:  # one shared parameter that fills a block
        shared["mapping"] = blocks.pop("mapping")
    chosen = None if notebooks is None else tuple(map(str, notebooks))
    return Profile(name, chosen, shared, blocks)


def first_comment(path: Path) -> str:
    """Return what the first line of a profile says of it, or in brackets why it cannot be read."""
    try:
        text = read_text(path, path.name)
    except ValueError as error:
        return f"({error})"
    line = text.partition("\n")[0]
    return line.lstrip("# ").rstrip() if line.startswith("#") else ""


def chosen_notebooks(
    known: Mapping[str, Notebook], asked: Iterable[str], profile: Profile
) -> list[str]:
    """Return the names of the notebooks to run: those asked for, else the profile's, else all.

    *All* leaves out what cannot be run, unless the profile has a block for it. Raises
    ParameterError with every one that is not found or cannot be run.
    """
    names: list[str] = []
    problems: list[str] = []
    for asked_name in asked:
        try:
            names.append(find_notebook(known, asked_name))
        except ValueError as error:
            problems.append(str(error))
    if not names and not problems:
        faults = {name: notebook.fault for name, notebook in known.items() if notebook.fault}
        every = [name for name in known if name not in faults or name in profile.blocks]
        names = list(profile.notebooks or every)
        for name in names:
            if name in faults:
                problems.append(f"{profile.name}.yaml asks for {faults[name]}")
    if not names and not problems:
        problems = [notebook.fault for notebook in known.values()]
    if problems:
        raise ParameterError(problems)
    return list(dict.fromkeys(names))


def resolve(
    known: Mapping[str, Notebook],
    chosen: Iterable[str],
    profile: Profile,
    settings: Iterable[str] = (),
    faults_of: FaultsOf | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the parameters of each chosen notebook.

    The order is notebook default < profile's shared < profile's block < ``settings``
    (``key=value`` or ``notebook.key=value``, the value in YAML). Raises ParameterError with
    every unknown key, wrong type, value out of range, wrong choice and fault that
    ``faults_of`` finds in a notebook's values, all at once.
    """
    resolved, problems = lay_over(known, chosen, profile, settings)
    if faults_of is not None:
        problems += domain_problems(resolved, faults_of)
    if problems:
        raise ParameterError(problems)
    return resolved


def domain_problems(values: Mapping[str, Mapping[str, Any]], faults_of: FaultsOf) -> list[str]:
    """Ask the domain about the values of each notebook (or set); a shared fault is one line."""
    places: dict[str, list[str]] = {}
    for name, values_of_notebook in values.items():
        for fault in faults_of(values_of_notebook):
            places.setdefault(fault, []).append(name)
    problems = []
    for fault, names in places.items():
        rest = len(names) - NAMED
        more = f" and {rest} more" if rest > 0 else ""
        problems.append(f"{', '.join(names[:NAMED])}{more}: {fault}")
    return problems


def lay_over(
    known: Mapping[str, Notebook],
    chosen: Iterable[str],
    profile: Profile,
    settings: Iterable[str] = (),
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the parameters of each chosen notebook, and what breaks the notebooks' own lines.

    A parameter whose value was refused is left out, so that nobody judges another in its place.
    """
    chosen = list(chosen)
    problems = [no_notebook(name, known) for name in chosen if name not in known]
    for name in (*profile.blocks, *(profile.notebooks or ())):
        if name not in known:
            problems.append(f"{profile.name}.yaml: {no_notebook(name, known)}")
    resolved = {name: dict(known[name].defaults) for name in chosen if name in known}
    for place, names, key, value in _layers(known, chosen, profile, settings, problems):
        readable = [name for name in names if name in known and not known[name].fault]
        with_key = [name for name in readable if key in known[name].parameters]
        if key == "output_dir":
            problems.append(f"{place}: output_dir is the run's own; use --output")
            continue
        if readable and not with_key:
            known_keys: set[str] = set()
            for name in readable:
                known_keys.update(known[name].parameters)
            problems.append(f"{place}: unknown parameter {key!r}{hint(str(key), known_keys)}")
        for name in with_key:
            # A profile is checked for notebooks that do not run, too; their values go nowhere.
            values = resolved.get(name, {})
            try:
                values[key] = known[name].parameters[key].checked(value)
            except ValueError as error:
                values.pop(key, None)
                problems.append(f"{place}: {error}")
    return resolved, problems


def _layers(
    known: Mapping[str, Notebook],
    chosen: list[str],
    profile: Profile,
    settings: Iterable[str],
    problems: list[str],
) -> list[tuple[str, list[str], str, Any]]:
    """Return (place, notebooks meant, key, value), each overruling those before it.

    What is wrong with a setting's target is added to ``problems``.
    """
    file = f"{profile.name}.yaml"
    layers = [(f"{file} shared", list(known), key, value) for key, value in profile.shared.items()]
    for name, block in profile.blocks.items():
        layers += [(f"{file} {name}", [name], key, value) for key, value in block.items()]
    for setting in settings:
        target, equals, text = setting.partition("=")
        name, _, key = target.strip().rpartition(".")
        if not equals or not key:
            problems.append(f"--set {setting}: write key=value or notebook.key=value")
            continue
        targets = matching_names(name, chosen) if name else chosen
        if name and not targets:
            problems.append(f"--set {setting}: {name!r} does not run{hint(name, chosen)}")
            continue
        if name and len(targets) > 1:
            problems.append(f"--set {setting}: {ambiguous(name, targets)}")
            continue
        parameters_of_targets = [
            known[notebook].parameters for notebook in targets if notebook in known
        ]
        types = {declared[key].type for declared in parameters_of_targets if key in declared}
        # YAML would take a text such as 04 or no for something else.
        value = text if types == {"str"} else read_yaml(text, f"--set {target}")
        layers.append((f"--set {setting}", targets, key, located(key, value, Path.cwd())))
    return layers
