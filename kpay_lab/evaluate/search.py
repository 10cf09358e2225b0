"""Choose hyperparameters on a validation slice of training; the test part is never read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from kpay_lab.data.tables import TooLittleError
from kpay_lab.evaluate.compare import OnProgress, compare
from kpay_lab.evaluate.parts import default_split
from kpay_lab.evaluate.queries import needs_a_cut
from kpay_lab.evaluate.split import InterestOf, Split, make_split, with_users
from kpay_lab.recommend.base import Learned, Recommender, Training, lack_of
from kpay_lab.recommend.mix import Mix
from kpay_lab.settings import Space
from kpay_lab.stats import random_state, sample_rows

MOST_USERS = 500  # of a validation slice: more would cost time and change no choice

AS_CONFIGURED = "as configured"


@dataclass(frozen=True)
class Tuning:
    """Models with the settings that did best on the validation slice.

    Parameters
    ----------
    models : mapping of name to Recommender
        With the chosen settings, not fitted.
    trials : mapping of name to DataFrame
        Of each model that was searched, as from `search`.
    table : DataFrame
        A row a model: ``model, trials`` (their number), ``settings`` (those chosen, or *as
        configured*), ``value`` (mean validation NDCG, missing where there was no trial).
    users : int
        Users of the validation slice, over whom the mean is taken.
    """

    models: Mapping[str, Recommender]
    trials: Mapping[str, pd.DataFrame]
    table: pd.DataFrame
    users: int


def tune(
    models: Mapping[str, Recommender],
    split: Split,
    interest_of: InterestOf,
    *,
    n_trials: int,
    rng: np.random.Generator,
    k: int = 10,
    given: Mapping[str, Mapping[str, Any] | None] | None = None,
    spaces: Mapping[str, Space] | None = None,
    on_progress: OnProgress | None = None,
) -> Tuning:
    """Search every model that has a ``space`` with the same number of trials.

    A comparison in which one model was tuned and another was not compares the tuning. The
    first trial of a model is the model as it was given; the others are drawn from its space.
    A model's ``most_trials`` holds it to fewer, and a space may be smaller than ``n_trials``:
    the table has the number that each got. A mix comes last: its parts that are models of the
    run take the settings chosen for them, and its own trials are of weights.

    Parameters
    ----------
    models : mapping of name to Recommender
        As configured, not fitted.
    interest_of : callable, Tables -> InterestMatrix
    n_trials : int
        Settings to try for each model; with 0 all stay as configured.
    given : mapping of name to settings, optional
        Settings that somebody has chosen: they are not searched.
    spaces : mapping of name to space, optional
        In the place of the model's own.
    """
    validation = validation_slice(split, interest_of, rng=rng) if n_trials else None
    chosen = dict(models)
    trials = {}
    rngs = rng.spawn(len(models))  # so that no model's draws depend on the others
    rng_of = dict(zip(models, rngs, strict=True))
    for name in _mixes_last(models):
        model = _with_chosen_parts(models[name], models, chosen)
        chosen[name] = model
        space = _open_space(name, model, given or {}, spaces or {})
        if validation is None or not space:
            continue
        if on_progress is not None:
            on_progress(f"{name}: trying settings")
        most_trials = getattr(model, "most_trials", n_trials)
        as_given = {setting: getattr(model, setting) for setting in space}
        drawn = _draw_settings(space, n_trials, rng_of[name])
        maker = _maker_of_trials(model, space, validation)
        others = [
            setting
            for setting in drawn
            if setting != as_given and not lack_of(maker(**setting), validation.train)
        ]
        settings = [as_given, *others][: min(n_trials, most_trials)]
        trials[name] = _try_settings(maker, settings, validation, k)
        best = settings[trials[name].index[0]]
        chosen[name] = _with_settings(model, **best)
    table = _table_of(chosen, trials)
    return Tuning(chosen, trials, table, 0 if validation is None else len(validation.users))


def _mixes_last(models: Mapping[str, Recommender]) -> list[str]:
    """Return the names with those of mixes last: their parts may be models of the run."""
    mixes = [name for name, model in models.items() if type(model) is Mix]
    others = [name for name in models if name not in mixes]
    return others + mixes


def _with_chosen_parts(
    model: Recommender, models: Mapping[str, Recommender], chosen: Mapping[str, Recommender]
) -> Recommender:
    """Return a mix whose parts, where they are models of the run, have the settings chosen."""
    if not isinstance(model, Mix):
        return model
    parts = {}
    for name, part in model.parts.items():
        is_of_the_run = part is models.get(name)
        parts[name] = chosen[name] if is_of_the_run else part
    return replace(model, parts=parts)


def _maker_of_trials(
    model: Recommender, space: Space, validation: Split
) -> Callable[..., Recommender]:
    """Return what makes the model of a trial from its settings.

    What the parts of a mix learn does not depend on the weights, so they learn once.
    """
    if not isinstance(model, Mix) or set(space) != {"weights"}:
        return partial(_with_settings, model)
    equal_weights = (1.0,) * len(model.parts)
    mix = replace(model, weights=equal_weights).fit(validation.train)
    return partial(_reweighted, mix, validation.train)


def _reweighted(mix: Mix, train: Training, *, weights: Sequence[float]) -> Learned:
    return Learned(mix.reweighted(weights), train)


def validation_slice(
    split: Split, interest_of: InterestOf, *, rng: np.random.Generator
) -> Split | None:
    """Split the training part again, and keep at most `MOST_USERS` of those with something to find.

    The question is that of the split: the same items are candidates, and the same are relevant.
    Returns None where nobody has anything to find; ``split.test`` is never read.
    """
    tables = split.train.tables
    if tables is None:
        raise ValueError("search needs the training tables; make the split with make_split")
    how = default_split(tables)
    if how != "time" and needs_a_cut(split.relevant, split.pool):
        return None
    try:
        validation = make_split(
            tables,
            interest_of,
            how=how,
            **split.question,
        )
    except TooLittleError:
        return None
    rows = sample_rows(len(validation.users), MOST_USERS, rng=rng)
    return with_users(validation, validation.users[rows])


def _open_space(
    name: str,
    model: Recommender,
    given: Mapping[str, Mapping[str, Any] | None],
    spaces: Mapping[str, Space],
) -> Space:
    """Return the settings of a model that are to be searched."""
    space = spaces.get(name, getattr(model, "space", {}))
    settled = given.get(name) or {}
    return {setting: values for setting, values in space.items() if setting not in settled}


def _with_settings(model: Any, **settings: Any) -> Recommender:
    """Return the model, a dataclass, with some settings changed, not fitted."""
    return replace(model, **settings)


def _table_of(
    models: Mapping[str, Recommender], trials: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return the ``table`` of a `Tuning`."""
    rows = []
    for name, model in models.items():
        row = {"model": name, "trials": 0, "settings": AS_CONFIGURED, "value": np.nan}
        if name in trials:
            tried = trials[name]
            searched = tried.columns.drop(["value", "seconds"])
            settings = [f"{setting}={getattr(model, setting)}" for setting in searched]
            row["trials"] = len(tried)
            row["settings"] = ", ".join(settings)
            row["value"] = tried["value"].iloc[0]
        rows.append(row)
    return pd.DataFrame(rows)


def search(
    model: Callable[..., Recommender],
    space: Space | Mapping[str, Any],
    split: Split,
    interest_of: InterestOf,
    *,
    n_trials: int,
    rng: np.random.Generator,
    k: int = 10,
    on_progress: OnProgress | None = None,
) -> pd.DataFrame:
    """Try settings of one model drawn from the space, on the `validation_slice`.

    Parameters
    ----------
    space : mapping of hyperparameter to a list or a scipy distribution
    interest_of : callable, Tables -> InterestMatrix
    n_trials : int
        Settings to try; a finite space smaller than that is tried whole.

    Returns
    -------
    DataFrame
        One row a setting, best first: the hyperparameters, ``value`` (mean NDCG over
        validation users) and ``seconds``; no row where nobody has anything to find in the
        validation slice. Source: Bergstra & Bengio (2012).
    """
    validation = validation_slice(split, interest_of, rng=rng)
    if validation is None:
        return pd.DataFrame(columns=[*space, "value", "seconds"])
    settings = _draw_settings(space, n_trials, rng)
    trials = _try_settings(model, settings, validation, k, on_progress)
    return trials.reset_index(drop=True)


def _draw_settings(
    space: Mapping[str, Any], n_trials: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Draw settings without repeating one; a finite space smaller than that is drawn whole."""
    from sklearn.model_selection import ParameterSampler  # here, for it is slow to import

    n_drawn = int(min(n_trials, _count_settings(space)))
    sampler = ParameterSampler(space, n_drawn, random_state=random_state(rng))
    return list(sampler)


def _try_settings(
    model: Callable[..., Recommender],
    settings: Sequence[Mapping[str, Any]],
    validation: Split,
    k: int,
    on_progress: OnProgress | None = None,
) -> pd.DataFrame:
    """Measure the model with each of the settings, best first; the index numbers the settings."""
    rows = []
    for setting in settings:
        trial = {"trial": model(**setting)}
        measured = compare(trial, validation, [k], on_progress=on_progress, floor="trial")
        ndcg = measured.values.query("metric == 'ndcg'")
        mean_ndcg = ndcg["value"].mean()
        seconds = measured.seconds["trial"]
        rows.append({**setting, "value": mean_ndcg, "seconds": seconds})
    trials = pd.DataFrame(rows)
    return trials.sort_values("value", ascending=False, kind="stable")


def _count_settings(space: Mapping[str, Any]) -> float:
    """Return how many settings a space holds; a distribution holds infinitely many."""
    n_settings = 1.0
    for choice in space.values():
        n_settings *= len(choice) if hasattr(choice, "__len__") else np.inf
    return n_settings
