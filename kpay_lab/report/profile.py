"""A profile and ``--set`` laid over the notebooks' defaults, checked before anything runs."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kpay_lab.report.files import project_root
from kpay_lab.report.params import Notebook, ParameterError, hint, read_notebooks


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
        relative ``data_dir`` written in the profile lies in the project, ``root``.
        """
        shared = dict(self.shared)
        if shared.get("data_dir"):
            shared["data_dir"] = str((root / str(shared["data_dir"])).resolve())
        if data is not None:
            shared["data_dir"] = str(data.resolve())
            if shared.get("dataset", "simulated") == "simulated":
                shared["dataset"] = "tables"
        return replace(self, shared=shared)


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
) -> dict[str, dict[str, Any]]:
    """Return the parameters of each chosen notebook.

    The order is notebook default < profile's shared < profile's block < ``settings``
    (``key=value`` or ``notebook.key=value``, the value in YAML). Raises ParameterError with
    every unknown key, wrong type, value out of range and wrong choice at once.
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
            try:
                resolved.get(name, {})[key] = known[name].parameters[key].checked(value)
            except ValueError as error:
                problems.append(f"{place}: {error}")
    if problems:
        raise ParameterError(problems)
    return resolved


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
        layers.append((f"--set {setting}", targets, key, value))
    return layers
