"""From names and settings to models, and what the data cannot feed."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from kpay_lab.recommend import MODELS
from kpay_lab.recommend.base import Recommender, Training, trained_items
from kpay_lab.recommend.content import is_described
from kpay_lab.settings import setting_faults


def build_model(name: str, settings: Mapping[str, Any] | None = None) -> Recommender:
    """Make one model of `MODELS`; a setting is a field of its class.

    Raises
    ------
    ValueError
        If the model is unknown, or with one line for each setting that is unknown, of the
        wrong type or out of its range.

    Examples
    --------
    >>> build_model("ease", {"reg": 100.0})
    EASE(reg=100.0, dtype='float32')
    """
    if name not in MODELS:
        near = get_close_matches(str(name), MODELS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"model {name!r} is unknown; choose one of {', '.join(MODELS)}{hint}")
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        raise ValueError(
            f"model {name} is set to {settings!r}; write its settings, {{name: value}}"
        )
    faults = setting_faults(MODELS[name], settings, f"model {name}")
    if faults:
        raise ValueError("\n".join(faults))
    return MODELS[name](**settings)


def choose_models(
    wanted: Mapping[str, Mapping[str, Any] | None], train: Training
) -> tuple[dict[str, Recommender], dict[str, str]]:
    """Build the wanted models (all for an empty mapping), popularity always among them.

    A model that lacks what it learns from (times for ``markov``, a description of the items
    for ``content``, one of the two for ``blend``, a pair that never met for ``forest``) is
    left out with a reason.

    Returns
    -------
    models : dict of str to Recommender
        By name, not fitted.
    left_out : dict of str to str
        The reason for each model left out.
    """
    settings = dict(wanted) or dict.fromkeys(MODELS)
    models = {}
    left_out = {}
    for name in dict.fromkeys(["popularity", *settings]):
        models[name] = build_model(name, settings.get(name))
    timed = train.has("events", "timestamp")
    described = is_described(train)
    if "markov" in models and not timed:
        left_out["markov"] = "the log has no times, so what came next is not known"
    if "content" in models and not described:
        left_out["content"] = "nothing describes the items"
    if "blend" in models and not (timed or described):
        left_out["blend"] = "without times and descriptions it is predicted interest alone"
    if "forest" in models and _every_pair_met(train.interest.values):
        left_out["forest"] = "every user met every item, so no pair is left to tell apart"
    usable = {name: model for name, model in models.items() if name not in left_out}
    return usable, left_out


def _every_pair_met(values: csr_array) -> bool:
    """Whether every user with an event met every item that anybody met."""
    n_users = np.count_nonzero(np.diff(values.indptr))
    n_items = np.count_nonzero(trained_items(values))
    return values.nnz == n_users * n_items
