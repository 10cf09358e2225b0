"""A profile and ``--set`` laid over the notebooks' defaults, checked before anything runs."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kpay_lab.report.files import project_root
from kpay_lab.report.params import Notebook, ParameterError, hint, read_notebooks

# What is wrong with a notebook's values in the eyes of the domain, which this room does not know.
FaultsOf = Callable[[Mapping[str, Any]], Iterable[str]]
FOLDERS = ("data_dir", "catalogue_dir")
NAMED = 7  # notebooks or sets that a problem of many of them names


@dataclass(frozen=True)
class Profile:
    """A file of ``params/``: which notebooks, with which values."""

    name: str
    notebooks: tuple[str, ...] | None
    shared: dict[str, Any]
    blocks: dict[str, dict[str, Any]]

    def reading(self, data: Path | None, root: Path) -> "Profile":
        """Return the profile with ``data`` (of ``--data``) as its data folder.

        A profile that names no data set, or the simulated one, then reads ``tables``. A
        relative folder written in the profile lies in the project, ``root``.
        """
        shared = {key: located(key, value, root) for key, value in self.shared.items()}
        blocks = {}
        for name, block in self.blocks.items():
            blocks[name] = {key: located(key, value, root) for key, value in block.items()}
        if data is not None:
            shared["data_dir"] = str(data.resolve())
            if shared.get("dataset", "simulated") == "simulated":
                shared["dataset"] = "tables"
        return replace(self, shared=shared, blocks=blocks)


def located(key: str, value: Any, base: Path) -> Any:
    """Return where a folder lies, seen from ``base``: a notebook runs elsewhere; else the value."""
    is_folder = key in FOLDERS and isinstance(value, str) and value
    return str((base / value).resolve()) if is_folder else value


class _Loader(yaml.SafeLoader):
    """The safe loader, with duplicate keys refused and ``1e-3`` a number as in YAML 1.2."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise ValueError(f"the key {key!r} appears twice in the mapping at line {line}")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def read_yaml(text: str, place: str) -> Any:
    """Read YAML safely; any fault is one line that names the place."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ParameterError([f"{place}: {' '.join(str(error).split())}"]) from None


def read_project(
    profile: str | None = None, data: Path | None = None
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
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ParameterError([f"there is no profile {name!r} in {folder}{hint(name, known)}"])
    content = read_yaml(path.read_text(encoding="utf-8"), path.name) or {}
    if not isinstance(content, dict):
        raise ParameterError([f"{path.name}: it must be a mapping of blocks"])
    notebooks = content.pop("notebooks", None)
    blocks = {key: {} if block is None else block for key, block in content.items()}
    wrong = [key for key, block in blocks.items() if not isinstance(block, dict)]
    if wrong or not isinstance(notebooks, list | None):
        raise ParameterError(
            [f"{path.name}: {(*wrong, 'notebooks')[0]} must be a list of names or a mapping"]
        )
    # ids, min_group: shared parameters under a telling name
    shared = blocks.pop("shared", {}) | blocks.pop("privacy", {})
    chosen = None if notebooks is None else tuple(map(str, notebooks))
    return Profile(name, chosen, shared, blocks)


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
    for name, own in values.items():
        for fault in faults_of(own):
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
    named = [*chosen, *profile.blocks, *(profile.notebooks or ())]
    problems = [f"there is no notebook {n!r}{hint(n, known)}" for n in named if n not in known]
    resolved = {name: dict(known[name].defaults) for name in chosen if name in known}
    for place, meant, key, value in _layers(known, chosen, profile, settings, problems):
        targets = [name for name in meant if name in known]
        having = [name for name in targets if key in known[name].parameters]
        if key == "output_dir":
            problems.append(f"{place}: output_dir is the run's own; use --output")
            continue
        if targets and not having:
            keys = {key for name in targets for key in known[name].parameters}
            problems.append(f"{place}: unknown parameter {key!r}{hint(str(key), keys)}")
        for name in having:  # a profile is checked for notebooks that do not run, too
            own = resolved.get(name, {})
            try:
                own[key] = known[name].parameters[key].checked(value)
            except ValueError as error:
                own.pop(key, None)
                problems.append(f"{place}: {error}")
    return resolved, problems


def _layers(
    known: Mapping[str, Notebook],
    chosen: list[str],
    profile: Profile,
    settings: Iterable[str],
    problems: list[str],
) -> list[tuple[str, list[str], str, Any]]:
    """Return (place, notebooks meant, key, value) in the order in which they overrule."""
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
        if name and name not in chosen:
            problems.append(f"--set {setting}: {name!r} does not run{hint(name, chosen)}")
            continue
        targets = [name] if name else chosen
        having = [known[n].parameters for n in targets if n in known]
        kinds = {parameters[key].type for parameters in having if key in parameters}
        value = text if kinds == {"str"} else read_yaml(text, f"--set {target}")
        layers.append((f"--set {setting}", targets, key, located(key, value, Path.cwd())))
    return layers
