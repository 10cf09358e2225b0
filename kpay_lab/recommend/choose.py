"""From names and settings to models, and what the data cannot feed.

A name of `MODELS` is that model. Any other name says which model it is, so that one run may hold
two settings of one:

>>> models = build_models({"ease": {}, "ease_800": {"model": "ease", "reg": 800}})
>>> models["ease_800"]
EASE(reg=800, dtype='float32')
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from kpay_lab.recommend import MODELS
from kpay_lab.recommend.base import Recommender, Training, lack_of
from kpay_lab.recommend.mix import Blend, Mix
from kpay_lab.recommend.popularity import Popularity
from kpay_lab.settings import setting_faults

Settings = Mapping[str, Any] | None

MIX = "mix"
KINDS = {**MODELS, MIX: Mix}
WHICH_MODEL = "model"  # the setting in which a name says which model it is
TAKEN = ("best", "spark_als")  # names of what a page reports beside the models of a profile
# A name stands in keys of metrics, such as ease_800/ndcg@10, and in tables and figures.
NAME = re.compile(r"[^\W\d_][\w.-]{0,39}")


def build_model(name: str, settings: Settings = None) -> Recommender:
    """Make one model of `MODELS`, or a mix of them; a setting is a field of its class.

    Parameters
    ----------
    name : str
        That of a model; or any other, where the settings say which ``model`` it is.
    settings : mapping, optional
        Of a mix, ``parts`` are names of models, or a mapping of names to settings as in
        `build_models`; without ``weights`` they weigh alike.

    Raises
    ------
    ValueError
        If the model is unknown, or with one line for each setting that is unknown, of the
        wrong type or out of its range.

    Examples
    --------
    >>> build_model("ease", {"reg": 100.0})
    EASE(reg=100.0, dtype='float32')
    >>> mix = build_model("mix", {"parts": ["ease", "als"], "weights": [0.3, 0.7]})
    >>> list(mix.parts)
    ['ease', 'als']
    """
    return _build(name, settings, {})


def build_models(wanted: Mapping[str, Settings]) -> dict[str, Recommender]:
    """Make the models of one run.

    A part of a mix that is named without settings is the model of that name in the run, where
    there is one; else the model as it is by default.

    Parameters
    ----------
    wanted : mapping of name to settings
        As in `build_model`.

    Raises
    ------
    ValueError
        With one line for each fault.

    Examples
    --------
    >>> models = build_models({"mix": {"parts": ["ease", "als"]}, "ease": {"reg": 800}})
    >>> models["mix"].parts["ease"]
    EASE(reg=800, dtype='float32')
    """
    mixes = {name: settings for name, settings in wanted.items() if _is_mix(name, settings)}
    others = {name: settings for name, settings in wanted.items() if name not in mixes}
    built, faults = _build_each(others, {})
    # A faulty model has had its line; for the check of a mix that names it, any model stands in.
    stand_ins = {name: Popularity() for name in others if name not in built}
    built_mixes, faults_of_mixes = _build_each(mixes, {**built, **stand_ins})
    _refuse([*faults, *faults_of_mixes])
    built |= built_mixes
    return {name: built[name] for name in wanted}


def _is_mix(name: str, settings: Any) -> bool:
    says_so = isinstance(settings, Mapping) and settings.get(WHICH_MODEL) == MIX
    return name == MIX or says_so


def _build_each(
    wanted: Mapping[str, Settings], run: Mapping[str, Recommender]
) -> tuple[dict[str, Recommender], list[str]]:
    """Build models; return those that could be, and a line for each fault of the others."""
    built = {}
    faults = []
    for name, settings in wanted.items():
        try:
            built[name] = _build(name, settings, run)
        except ValueError as error:
            faults += str(error).splitlines()
    return built, faults


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ValueError("\n".join(faults))


def _build(name: str, settings: Any, run: Mapping[str, Recommender]) -> Recommender:
    """Build one model; the parts of a mix may be models of the run."""
    kind = model_class(name, settings)
    values = {**(settings or {})}
    values.pop(WHICH_MODEL, None)
    if kind is Blend and "parts" in values:
        raise ValueError(
            f"model {name}: its parts are the documents' content, ease and markov; for others "
            "name a mix, such as {model: mix, parts: [ease, als]}"
        )
    if kind is Mix:
        values["parts"] = _build_parts(name, values.get("parts"), run)
    _refuse(setting_faults(kind, values, f"model {name}"))
    return kind(**values)


def model_class(name: str, settings: Settings = None) -> type[Any]:
    """Return the class of the model that a name and its settings ask for.

    Raises
    ------
    ValueError
        If there is no such model, the name cannot stand for it, or its settings are no mapping.
    """
    if settings is not None and not isinstance(settings, Mapping):
        raise ValueError(
            f"model {name} is set to {settings!r}; write its settings, {{name: value}}"
        )
    asked = (settings or {}).get(WHICH_MODEL)
    if asked is None and name not in KINDS:
        raise ValueError(
            f"model {name!r} is unknown; choose one of {', '.join(KINDS)}, "
            f"or say which it is, {{model: ease}}{_near(name)}"
        )
    if asked is None or asked == name:
        return KINDS[name]
    if not isinstance(asked, str) or asked not in KINDS:
        raise ValueError(
            f"model {name}: model is {asked!r}; it must be one of {', '.join(KINDS)}{_near(asked)}"
        )
    if name in KINDS or name in TAKEN:
        raise ValueError(
            f"model {name}: the name has a meaning of its own and cannot stand for {asked}; "
            f"choose another, such as {asked}_2"
        )
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"model {name!r} is no name for a model; use at most 40 letters, digits, '_', '-' "
            f"and '.', a letter first, such as {asked}_2"
        )
    return KINDS[asked]


def _near(name: Any) -> str:
    near = get_close_matches(str(name), KINDS, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _build_parts(mix: str, parts: Any, run: Mapping[str, Recommender]) -> dict[str, Recommender]:
    """Build the parts of a mix; those named without settings are the run's own models."""
    settings_of = _settings_of_parts(mix, parts)
    of_the_run = {
        name: run[name] for name, settings in settings_of.items() if name in run and not settings
    }
    own = {name: settings for name, settings in settings_of.items() if name not in of_the_run}
    built, faults = _build_each(own, {})
    _refuse([f"model {mix}: parts: {fault}" for fault in faults])
    built |= of_the_run
    return {name: built[name] for name in settings_of}


def _settings_of_parts(mix: str, parts: Any) -> Mapping[str, Any]:
    """Return name → settings for parts given as names or as such a mapping."""
    if isinstance(parts, Mapping):
        weighted = [name for name, value in parts.items() if isinstance(value, int | float)]
        if weighted:
            raise ValueError(
                f"model {mix}: parts sets {weighted[0]} to {parts[weighted[0]]!r}; weights stand "
                "beside the parts, such as parts: [ease, als] and weights: [0.3, 0.7]"
            )
        return parts
    is_list_of_names = isinstance(parts, list | tuple) and all(
        isinstance(part, str) for part in parts
    )
    if not is_list_of_names:
        given = "not named" if parts is None else repr(parts)
        raise ValueError(
            f"model {mix}: parts are {given}; write names of models, such as parts: [ease, als]"
        )
    names = dict.fromkeys(parts)
    if len(names) < len(parts):
        raise ValueError(
            f"model {mix}: parts are {parts!r}; name each once, and two settings of one model as "
            "parts: {ease: {}, ease_800: {model: ease, reg: 800}}"
        )
    return names


def choose_models(
    wanted: Mapping[str, Settings], train: Training
) -> tuple[dict[str, Recommender], dict[str, str]]:
    """Build the wanted models (all of `MODELS` for an empty mapping), popularity always among them.

    A model that lacks what it learns from (times for ``markov``, a description of the items
    for ``content``, a pair that never met for ``forest``, all parts but one for a mix) is left
    out with a reason; so is such a part of a mix, whose weight the others share.

    Returns
    -------
    models : dict of str to Recommender
        By name, not fitted.
    left_out : dict of str to str
        The reason for each model left out, and for each part, as ``content of blend``.
    """
    settings = dict(wanted) or dict.fromkeys(MODELS)
    names = dict.fromkeys(["popularity", *settings])
    models = build_models({name: settings.get(name) for name in names})
    left_out = {}
    for name, model in models.items():
        lack = lack_of(model, train)
        if lack:
            left_out[name] = lack
        elif isinstance(model, Mix):
            for part, lack_of_part in model.lacking_parts(train).items():
                left_out[f"{part} of {name}"] = lack_of_part
    usable = {name: model for name, model in models.items() if name not in left_out}
    return usable, left_out


def own_names(models: Mapping[str, Recommender]) -> dict[str, str]:
    """Return for each name of a run the name of `MODELS` that the model has, or ``mix``.

    A model that is none of these, such as ``spark_als``, keeps its name.

    >>> own_names(build_models({"ease_800": {"model": "ease", "reg": 800}}))
    {'ease_800': 'ease'}
    """
    name_of_kind = {kind: name for name, kind in KINDS.items()}
    return {name: name_of_kind.get(type(model), name) for name, model in models.items()}
