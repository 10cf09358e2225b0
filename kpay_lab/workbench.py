"""The front door: open a log, fit a model, compare models, measure lists made elsewhere.

>>> import kpay_lab as kp
>>> events = pd.DataFrame({"user_id": list("aabbccd"), "item_id": list("xyxyxzx")})
>>> log = kp.open_log(events)
>>> model = kp.fit(log, "ease", reg=1)
>>> model.recommend("d", k=1)[["rank", "item_id", "why"]]
   rank item_id why
0     1       y   x
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from numbers import Integral, Number, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.business.figures import Figures, business_figures
from kpay_lab.business.periods import choose_period
from kpay_lab.data.admitted import asked_of_log, kept_folder, kept_log
from kpay_lab.data.door import DATASETS, Gate, read_log
from kpay_lab.data.log import Log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.sources import Source
from kpay_lab.data.tables import Tables
from kpay_lab.evaluate import compare as evaluation
from kpay_lab.evaluate.parts import default_split
from kpay_lab.evaluate.ranking import from_ids, per_user
from kpay_lab.evaluate.sample import MOST_USERS, sample_users
from kpay_lab.evaluate.search import tune
from kpay_lab.evaluate.split import Split, make_split
from kpay_lab.findings import Finding
from kpay_lab.interest.engines import Engine, engine_faults, open_engine
from kpay_lab.interest.weighting import MARKS, default_weighting, interest_matrix
from kpay_lab.recommend.base import Explains, Recommender, Training
from kpay_lab.recommend.choose import build_model, build_models, choose_models, own_names
from kpay_lab.recommend.lists import (
    explaining_model,
    item_titles,
    recommend_for_all,
    recommend_to,
    recommend_to_newcomer,
    similar_items,
)
from kpay_lab.recommend.mix import Mix
from kpay_lab.recommend.popularity import WithFallback
from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.simulate import CURRENCY, simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_TRIALS = 6  # settings tried for each model, as notebook 04 does
REFERENCE = "popularity"  # what every other model must beat
ACRONYMS = ("ndcg", "map", "mrr")  # metrics written in capitals on a figure


def open_log(
    source: Source | Tables | WorldSpec | None = None,
    *,
    dataset: str = "tables",
    mapping: LogMapping | Mapping[str, Any] | str | Path | None = None,
    since: str = "",
    until: str = "",
    ids: str = "keep",
    duplicates: str = "keep",
    max_rejected: float = 0.05,
    min_events: int = 1,
    engine: str | Engine | None = "memory",
) -> Log:
    """Open a behaviour log: read it, check every row, and keep what may be used.

    Parameters
    ----------
    source : str, Path, DataFrame, mapping of str to DataFrame, Tables, or WorldSpec
        A file of events, a folder of tables, or the address of a database
        (``postgresql://host/db``, ``sqlite:///file``, ``duckdb:///file``); a DataFrame of
        events; a mapping of a table's name to its DataFrame; checked ``Tables``; or a shop to
        simulate, also the default.
    dataset : {"tables", "movielens", "mooccubex", "kuairand", "oulad", "simulated"}
        How the files of a folder are understood: your own ``tables``, or a public data set.
        ``simulated`` says that the source is a simulated shop.
    mapping : LogMapping, mapping, str or Path, optional
        What your own files mean where they do not say it themselves: names of columns, types
        of behaviour, units, zones; a path leads to a YAML file. See `data.mapping.LogMapping`.
    since, until, ids, duplicates, max_rejected, min_events
        Which rows are used, and when a log is refused; see `data.door.Gate`.
    engine : {"memory", "duckdb", "spark", "database"}, or an engine of `interest.engines`
        What adds up the events. ``duckdb`` and ``spark`` read Parquet and never load all of it;
        ``database`` is the one that holds the log, where ``source`` is its address.
        To choose an engine's settings, pass one that is made by `interest.engines.open_engine`,
        which returns None for memory.

    Returns
    -------
    Log
        The tables and a record of how they were read. With an engine other than memory the
        events are totals, and ``cut`` is where they are split in time.

    Raises
    ------
    ValueError
        If a setting is unknown, the source cannot be read, or the log is too broken or small.

    Examples
    --------
    >>> clicks = pd.DataFrame({"uid": ["ann", "ann", "bob"], "课程": ["Python", "SQL", "SQL"]})
    >>> open_log(clicks)
    Log: 2 users met 2 items, at times not known
      events               3 rows   2 columns

    A column that goes by another name:

    >>> renamed = clicks.rename(columns={"uid": "wer"})
    >>> log = open_log(renamed, mapping={"columns": {"events": {"wer": "user_id"}}})
    >>> log.tables.events["user_id"].tolist()
    ['ann', 'ann', 'bob']
    """
    refuse_mistaken_source(source, dataset)
    gate = Gate(
        since=since,
        until=until,
        ids=ids,
        duplicates=duplicates,
        max_rejected=max_rejected,
        min_events=min_events,
    )
    meant = LogMapping.of(mapping)
    beyond_memory = open_engine(engine) if isinstance(engine, str) else engine
    if isinstance(source, str | Path):
        asked = asked_of_log(source, dataset, meant, gate, beyond_memory)
        folder = kept_folder(*asked)
        if folder is not None:
            return _with_word_on_marks(kept_log(folder))
    return _with_word_on_marks(admit_log(source, dataset, meant, gate, beyond_memory))


def admit_log(
    source: Source | Tables | WorldSpec | None,
    dataset: str,
    mapping: LogMapping,
    gate: Gate,
    engine: Engine | None = None,
) -> Log:
    """Read a source and let its gate decide what of it may be used; see `open_log`."""
    if engine is not None:
        faults = engine_faults(
            engine.name, dataset, source, gate.duplicates, has_mapping=bool(mapping)
        )
        if faults or not isinstance(source, str | Path):  # a source without a path is a fault too
            raise ValueError("\n".join(faults))
        from kpay_lab.interest.totals_log import read_totals  # here, for ibis is slow to import

        return gate.admit(read_totals(source, engine, gate, mapping))
    if source is None and dataset in ("tables", "simulated"):
        source = WorldSpec()
    data = simulate(source).tables if isinstance(source, WorldSpec) else source
    file_format = "tables" if dataset == "simulated" else dataset
    log = read_log(data, file_format, mapping)
    if isinstance(source, WorldSpec):
        log = replace(log, currency=CURRENCY)
    return gate.admit(log)


def _with_word_on_marks(log: Log) -> Log:
    """Note where marks are the only signs of interest, so that no view counts more than another."""
    events = log.tables.events
    marks = [column for column in MARKS if column in events]
    if not marks or default_weighting(events) != "binary":
        return log
    note = (
        f"the only signs of interest are marks ({', '.join(marks)}), which most views lack; "
        "every pair that met counts alike (weighting binary) unless another weighting is asked for"
    )
    return replace(log, notes=(*log.notes, note))


def refuse_mistaken_source(source: Any, dataset: str) -> None:
    """Refuse a path given as ``dataset`` and a data set's name given as ``source``.

    The message gives the right call.

    Raises
    ------
    ValueError
        If ``dataset`` looks like a path, or ``source`` is a data set's name and not a file.
    """
    names = ("simulated", *DATASETS)
    exists = Path(str(dataset)).exists()
    looks_like_path = exists or isinstance(dataset, Path) or "." in str(dataset)
    if dataset not in names and looks_like_path:
        raise ValueError(
            f"dataset is {str(dataset)!r}, which looks like a path; the path comes first: "
            f"kp.open_log({str(dataset)!r})"
        )
    is_data_set = isinstance(source, str) and source in names
    if is_data_set and not Path(source).exists():
        folder = "" if source == "simulated" else "folder, "
        raise ValueError(
            f"{source!r} is the name of a data set and no file; write "
            f"kp.open_log({folder}dataset={source!r})"
        )


@dataclass(frozen=True, repr=False)
class Fitted:
    """A model fitted to a whole log; users and items are named by their ids.

    Parameters
    ----------
    with_fallback : WithFallback
        The model, with popularity for users without events.
    train : Training
        What the model learned from: the log's tables and its interest matrix.
    """

    with_fallback: WithFallback
    train: Training

    @property
    def model(self) -> Recommender:
        """The model without the fallback."""
        return self.with_fallback.model

    @cached_property
    def _explaining_model(self) -> Explains:
        return explaining_model(self.model, self.train)

    @property
    def users(self) -> pd.Index:
        """Ids of the users, in the order of the log."""
        return self.train.interest.users

    @property
    def items(self) -> pd.Index:
        """Ids of the items, in the order of the log."""
        return self.train.interest.items

    def recommend(self, user_id: str | Iterable[str], k: int = 10, **only: Any) -> pd.DataFrame:
        """List the k best items that a user has not met yet.

        To *meet* an item is to have an event with it. Candidates are the items that at least
        one user met and that are of a kind that can be sold. A user without events gets the
        most popular ones. A list is shorter than k if fewer candidates are left.

        Parameters
        ----------
        user_id : str or sequence of str
            One id; or several, for which the frame begins with a column ``user_id``.
        k : int
            Length of a list.
        only
            Further conditions on the items: ``reviewed_only``, ``verified_only``,
            ``min_rating``, ``kinds``, ``live_at``; see `recommend.candidates.candidate_items`.

        Returns
        -------
        DataFrame
            ``rank`` (from 1), ``item_id``, ``title`` (the id where the log has none),
            ``score`` (the model's, higher is better), and ``why``: the titles or features that
            speak for the item, empty if there are none.

        Raises
        ------
        ValueError
            If an id is unknown or no text, or k is below 1.
        """
        _check_length("k", k)
        is_one = isinstance(user_id, str) or not isinstance(user_id, Iterable)
        ids = [user_id] if is_one else list(user_id)
        users = _positions("user", ids, self.users)
        lists = recommend_to(
            users, self.with_fallback, self._explaining_model, self.train, k, **only
        )
        return lists.drop(columns="user_id") if is_one else lists

    def recommend_new(
        self, history: Mapping[str, float] | Iterable[str], k: int = 10, **only: Any
    ) -> pd.DataFrame:
        """List the k best items for somebody who is not in the log, without a new fit.

        Parameters
        ----------
        history : mapping of str to float, or sequence of str
            What they met, by id or by a title that only one item has, with the degree of
            interest in each, from 0 to 1; in a sequence each counts 1. Without any item the
            list has the most popular ones.
        k, only
            As in `recommend`, which also says what the candidates are.

        Returns
        -------
        DataFrame
            As from `recommend`: ``rank``, ``item_id``, ``title``, ``score``, ``why``.

        Raises
        ------
        ValueError
            If the model cannot score newcomers (random, forest, markov, and a mix of which one
            is a part, such as blend), an item is unknown, a degree is not from 0 to 1, or k is
            below 1.

        Examples
        --------
        >>> events = pd.DataFrame({"user_id": list("aabbccd"), "item_id": list("xyxyxzx")})
        >>> model = fit(open_log(events), "ease", reg=1)
        >>> model.recommend_new({"y": 0.5}, k=1)[["rank", "item_id", "why"]]
           rank item_id why
        0     1       x   y
        """
        _check_length("k", k)
        row = self._history_of_newcomer(history)
        return recommend_to_newcomer(
            row, self.with_fallback, self._explaining_model, self.train, k, **only
        )

    def _history_of_newcomer(self, history: Any) -> csr_array:
        """Return the degrees as a row of the interest matrix, (1, n_items)."""
        if isinstance(history, str) or not isinstance(history, Iterable):
            raise ValueError(
                f"history is {history!r}; write a list of item ids, such as [{self.items[0]!r}], "
                f"or a mapping to degrees of interest, such as {{{self.items[0]!r}: 1.0}}"
            )
        degrees = history if isinstance(history, Mapping) else dict.fromkeys(history, 1.0)
        degree_at = {}
        for item, degree in degrees.items():
            is_number = isinstance(degree, Real)
            if not is_number or not 0 <= degree <= 1:
                raise ValueError(
                    f"the degree of interest in {item!r} is {degree!r}; "
                    "it must be a number from 0 to 1"
                )
            degree_at[self._item_position(item)] = float(degree)
        positions = np.array(list(degree_at), dtype=np.intp)
        values = np.array(list(degree_at.values()))
        cells = (np.zeros(len(positions), dtype=np.intp), positions)
        return csr_array((values, cells), shape=(1, len(self.items)))

    def similar(self, item: str, k: int = 10) -> pd.DataFrame:
        """List the k items most similar to one item.

        The similarity depends on the model:

        - `EASE`, `ItemNeighbours`, `ContentBased` and `Markov`: the item weight, which is how
          much a user's having met this item adds to the score of the other;
        - `ALS`: the cosine of the two items' factors;
        - every other model: the cosine of the two items' columns of the interest matrix.

        Parameters
        ----------
        item : str
            An id, or a title that only one item has.
        k : int
            Length of the list.

        Returns
        -------
        DataFrame
            ``rank`` (from 1), ``item_id``, ``title`` (the id where the log has none),
            ``score``; an item whose similarity is not above 0 is not listed.

        Raises
        ------
        ValueError
            If the item is unknown, several have the title, or k is below 1.
        """
        _check_length("k", k)
        return similar_items(self._item_position(item), self.model, self.train, k)

    def _item_position(self, item: str) -> int:
        """Return the position of an item named by its id, or by a title that it alone has."""
        if not isinstance(item, str) or item in self.items:
            return int(_positions("item", [item], self.items)[0])
        titles = pd.Index(item_titles(self.train))
        with_title = np.flatnonzero(titles == item)
        n_items = len(with_title)
        if n_items > 1:
            some_items = self.items[with_title[:5]]
            ids = ", ".join(map(repr, some_items))
            raise ValueError(f"{n_items} items have the title {item!r}; name one by id: {ids}")
        if n_items == 0:
            ids_and_titles = self.items.append(titles).unique()
            raise ValueError(_message_unknown("item", item, ids_and_titles))
        return int(with_title[0])

    def __repr__(self) -> str:
        fitted_to = f"{len(self.users):,} users and {len(self.items):,} items"
        lines = [f"{self.model}, fitted to {fitted_to}", *left_out_parts(self.model)]
        lines.append(
            f".recommend({self.users[0]!r}, k=10) lists items for a user, "
            f".similar({self.items[0]!r}, k=10) those like an item"
        )
        return "\n".join(lines)


def fit(log: Log, model: str, **settings: Any) -> Fitted:
    """Fit a model to a whole log.

    Parameters
    ----------
    log : Log
        See `open_log`.
    model : str
        Its name: random, popularity, baseline, content, blend, forest, user_neighbours,
        item_neighbours, ease, als, markov, or mix of several of them.
    settings
        Fields of the model's class, such as ``reg=200`` of ``ease``; of a mix ``parts``, such as
        ``["ease", "als"]``, and ``weights``, such as ``[0.3, 0.7]``; see
        `recommend.choose.build_model`.

    Raises
    ------
    ValueError
        If the model or a setting is unknown or out of its range, or the log lacks what the
        model learns from.
    """
    _check_log("fit", log, model)
    built = build_model(model, settings)
    train = Training(interest_matrix(log.tables), log.tables)
    fitted = WithFallback(model=built).fit(train)
    return Fitted(fitted, train)


def left_out_parts(model: Recommender) -> list[str]:
    """Say for each part of a fitted mix that had no data that it was left out, and why."""
    if not isinstance(model, Mix):
        return []
    return [f"{part} was left out of the mix: {why}" for part, why in model.left_out_.items()]


def list_for_everybody(log: Log, model: Recommender, k: int, **only: Any) -> pd.DataFrame:
    """Fit a model to a log and list k items for every user; see `recommend_for_all`."""
    return recommend_for_all(log.tables, model, k, interest_of=interest_matrix, **only)


@dataclass(frozen=True, repr=False)
class Comparison(evaluation.Comparison):
    """Models measured on the same users, with intervals and a verdict.

    It has the fields of `evaluate.compare.Comparison`, such as ``values`` and ``lists``, and
    these:

    Parameters
    ----------
    split : Split
        The training part, from which the models learned, and the test part.
    summary : DataFrame
        The mean of every metric at every k with its interval, and the difference to
        popularity; see `evaluate.compare.summarise`.
    decision : Decision
        Which model beats which, in NDCG at the largest k; see `evaluate.compare.decide`.
    left_out : mapping of str to str
        Each model that was asked for and could not learn from this log, or could not order
        anything by what it learned, with the reason; so too a part of a mix.
    tuning : DataFrame
        A row a model: ``model, trials, settings, value``; see `evaluate.search.Tuning`.
    """

    split: Split
    summary: pd.DataFrame
    decision: evaluation.Decision
    left_out: Mapping[str, str]
    tuning: pd.DataFrame

    def table(self, metric: str = "ndcg", k: int | None = None) -> pd.DataFrame:
        """Return one row a model, the best mean first.

        Parameters
        ----------
        metric : {"ndcg", "map", "mrr", "precision", "recall", "recall_capped", "hit"}
        k : int, optional
            Length of the lists; by default the largest compared.

        Returns
        -------
        DataFrame
            ``model``; the mean over users, named as ``ndcg@10``, with the ends ``low, high``
            of its 95 % bootstrap interval; ``lead_over_popularity`` with ``lead_low,
            lead_high`` and ``p_holm``, paired by user; ``trials``, how many settings were tried
            on the validation slice, and ``settings``, those chosen there, or *as configured*;
            ``seconds`` to fit and rank.
        """
        rows = self._summary_of(metric, k)
        names = {
            "model": "model",
            "mean": _metric_at_k(rows),
            "low": "low",
            "high": "high",
            "difference": f"lead_over_{REFERENCE}",
            "difference_low": "lead_low",
            "difference_high": "lead_high",
            "p_holm": "p_holm",
        }
        table = rows[list(names)].rename(columns=names)
        searched = self.tuning[["model", "trials", "settings"]]
        table = table.merge(searched, on="model", how="left")
        return table.assign(seconds=rows["model"].map(self.seconds))

    def verdict(self) -> list[str]:
        """Say in plain sentences which model beats which, in NDCG at the largest k."""
        return self.decision.sentences()

    def findings(self) -> list[Finding]:
        """Return which model to ship, and its lead over popularity and the simplest tied one."""
        return self.decision.findings()

    def plot(
        self, ax: "Axes | None" = None, *, metric: str = "ndcg", k: int | None = None
    ) -> "Axes":
        """Draw each model's mean with its 95 % interval, and return the Axes.

        It is drawn into ``ax``, by default that of a new figure: ``.plot().figure``.
        """
        from kpay_lab.plots import plot_intervals  # here, for matplotlib is slow to import

        rows = self._summary_of(metric, k)
        name = _metric_at_k(rows)
        if metric in ACRONYMS:
            name = name.upper()
        title = f"{name} with 95 % intervals"
        label = f"mean over {len(self.split.users):,} users"
        means = rows.set_index("model")
        return plot_intervals(means, "mean", ax=ax, title=title, xlabel=label)

    def _summary_of(self, metric: str, k: int | None) -> pd.DataFrame:
        """Return the summary's rows of one metric at one k, the best mean first."""
        k = self.summary["k"].max() if k is None else k
        is_chosen = (self.summary["metric"] == metric) & (self.summary["k"] == k)
        rows = self.summary[is_chosen]
        if rows.empty:
            metrics = ", ".join(self.summary["metric"].unique())
            lengths = ", ".join(map(str, self.summary["k"].unique()))
            raise ValueError(
                f"{metric}@{k} was not measured; metric is one of {metrics} and k one of {lengths}"
            )
        return rows.sort_values("mean", ascending=False, kind="stable", ignore_index=True)

    def __repr__(self) -> str:
        left_out = [f"{name} was left out: {why}" for name, why in self.left_out.items()]
        lines = [*self.split.describe(), *left_out, *self.verdict()]
        return "\n".join([*lines, ".table(), .verdict() and .plot() tell more"])


def compare(
    log: Log,
    models: Sequence[str] | Mapping[str, Mapping[str, Any] | None] = (),
    *,
    split: str = "auto",
    relevant: str = "any",
    threshold: float = 0.5,
    candidates: str = "all",
    candidate_kinds: Sequence[str] = (),
    ks: Sequence[int] = (10,),
    max_users_evaluated: int = MOST_USERS,
    n_trials: int = N_TRIALS,
    n_resamples: int = 2000,
    seed: int = 0,
    on_progress: evaluation.OnProgress | None = None,
) -> Comparison:
    """Fit models to the training part of a log and measure their lists on the test part.

    Items that a model scores alike have no order of their own: every metric is the mean over
    all orders of them, and a model that scores everything alike is left out.

    A comparison in which one model was tuned and another was not compares the tuning. So every
    model that has settings to search gets the same number of trials, by the same search as in
    notebook 04 (`evaluate.search.tune`): on a validation slice of the training part, the first
    trial being the model as configured. Settings that you name are not searched.

    Parameters
    ----------
    log : Log
        See `open_log`.
    models : sequence of names, or mapping of name to settings
        Such as ``["ease", "als"]`` or ``{"ease": {"reg": 200}, "als": {}}``; by default every
        model that can learn from this log. Popularity is always added. A name of your own says
        which model it is, ``{"ease": {}, "ease_800": {"model": "ease", "reg": 800}}``, and a mix
        what it is made of, ``{"ease": {}, "als": {}, "mix": {"parts": ["ease", "als"]}}``.
    split : str
        How the log is split: ``auto`` takes ``time`` where times are known, else
        ``random_per_user``; see `evaluate.parts.rows_to_train` for the others.
    relevant, threshold
        What counts as found: ``any`` later event, degrees of ``interest`` above the threshold,
        or a ``purchase``; see `evaluate.split.make_split`.
    candidates : {"all", "exposed", "rated", "live"}
        What is ranked for a user: all items that may be recommended, what was shown to them in
        the test part, what they met there, or what was live when they came; see
        `evaluate.queries`.
    candidate_kinds : sequence of str
        Kinds of items that may be recommended; where none is named, those with a price, else
        all.
    ks : sequence of int
        Lengths of the lists.
    max_users_evaluated : int
        Where more users have something to find, so many are drawn by chance and evaluated, the
        same for each model; see `evaluate.sample.sample_users`. All are learned from.
    n_trials : int
        Settings to try for each model, 6 by default; with 0 all stand as configured, and the
        table says so. ``forest`` and ``blend`` are slow and get two at most.
    n_resamples : int
        Bootstrap resamples behind an interval.
    seed : int
        Seed of the sample of users, the search and the bootstrap: the same seed gives the same
        users, settings and intervals.
    on_progress : callable, optional
        Called with one line before each model, such as ``print``.

    Raises
    ------
    TooLittleError
        If the log is too small to be split.
    ValueError
        If a model, a setting, the split or what is ranked is unknown or does not go together, or
        ``n_trials`` is no whole number from 0.
    """
    _check_log("compare", log, models)
    if isinstance(models, str):
        raise ValueError(f"models is {models!r}; write a list: kp.compare(log, [{models!r}])")
    _check_lengths(ks)
    is_whole = isinstance(max_users_evaluated, Integral)
    if not is_whole or isinstance(max_users_evaluated, bool) or max_users_evaluated < 1:
        raise ValueError(
            f"max_users_evaluated is {max_users_evaluated!r}; it must be a whole number, 1 or more"
        )
    if not isinstance(n_trials, Integral) or isinstance(n_trials, bool) or n_trials < 0:
        raise ValueError(f"n_trials is {n_trials!r}; it must be a whole number, 0 for no search")
    settings = models if isinstance(models, Mapping) else dict.fromkeys(models)
    build_models(settings)  # a wrong setting is refused before the split
    kind_of_split = default_split(log.tables) if split == "auto" else split
    cut = log.cut if kind_of_split == "time" else None
    # A generator for each task, so that the draws of one do not depend on how many others make.
    rngs = np.random.default_rng(seed).spawn(4)
    rng_of_summary, rng_of_verdict, rng_of_search, rng_of_users = rngs
    with_all_users = make_split(
        log.tables,
        interest_matrix,
        how=kind_of_split,
        cut=cut,
        relevant=relevant,
        threshold=threshold,
        candidates=candidates,
        candidate_kinds=candidate_kinds,
    )
    train_and_test = sample_users(with_all_users, max_users_evaluated, rng=rng_of_users)
    usable, left_out = choose_models(settings, train_and_test.train)
    tuning = tune(
        usable,
        train_and_test,
        interest_matrix,
        n_trials=n_trials,
        rng=rng_of_search,
        k=max(ks),
        given=settings,
        on_progress=on_progress,
    )
    measured = evaluation.compare(tuning.models, train_and_test, ks, on_progress=on_progress)
    summary = evaluation.summarise(
        measured.values, reference=REFERENCE, rng=rng_of_summary, n_resamples=n_resamples
    )
    decision = evaluation.decide(
        measured.values, rng=rng_of_verdict, k=max(ks), own_names=own_names(usable)
    )
    without_a_place = {**left_out, **measured.unranked}
    return Comparison(
        values=measured.values,
        lists=measured.lists,
        seconds=measured.seconds,
        unranked=measured.unranked,
        fitted=measured.fitted,
        split=train_and_test,
        summary=summary,
        decision=decision,
        left_out=without_a_place,
        tuning=tuning.table,
    )


def evaluate_lists(
    lists: pd.DataFrame,
    relevant: pd.DataFrame,
    ks: Sequence[int] = (10,),
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure lists that were made elsewhere.

    Parameters
    ----------
    lists : DataFrame
        ``user_id, item_id, rank`` (from 1); other columns are ignored.
    relevant : DataFrame
        ``user_id, item_id``: the relevant items of each user. A user with relevant items and
        without a list scores 0. A user with a list and without relevant items is left out.
    ks : sequence of int
        Lengths at which the lists are cut.
    n_resamples : int
        Bootstrap resamples behind an interval.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        ``metric, k, mean``, the ends ``low, high`` of the 95 % interval, and ``users``, over
        whom the mean is taken. `evaluate.ranking` defines the metrics.

    Raises
    ------
    ValueError
        If a frame lacks a column, one has numbers and the other text as ids, or a list has an
        item or a rank twice.

    Examples
    --------
    >>> lists = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "rank": [1, 2]})
    >>> found = evaluate_lists(lists, pd.DataFrame({"user_id": ["u"], "item_id": ["b"]}), [2])
    >>> found.set_index("metric").loc["precision", "mean"]
    np.float64(0.5)
    """
    _check_lengths(ks)
    item_positions, relevant_matrix = from_ids(lists, relevant)
    measured = per_user(item_positions, relevant_matrix, ks)
    values = measured.rename(columns={"user": "user_id"}).assign(model="lists")
    rng = np.random.default_rng(seed)
    summary = evaluation.summarise(values, reference="lists", rng=rng, n_resamples=n_resamples)
    metrics = summary[["metric", "k", "mean", "low", "high"]]
    return metrics.assign(users=values["user_id"].nunique())


def figures(
    log: Log,
    *,
    days: int = 28,
    start: str = "",
    end: str = "",
    time_zone: str = "UTC",
    n_resamples: int = 1000,
    seed: int = 0,
) -> Figures:
    """Measure the shop in a period, beside the period of equal length before it.

    Parameters
    ----------
    log : Log
        Orders and their amounts make the figures in money; what is not known is NaN.
    days, start, end, time_zone
        The period; see `business.periods.choose_period`.
    n_resamples : int
        Bootstrap resamples behind an interval.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    ValueError
        If nothing has a time, or the period is none.

    Examples
    --------
    >>> days = pd.to_datetime(["2024-03-01", "2024-03-02"], utc=True)
    >>> events = pd.DataFrame({"user_id": list("ab"), "item_id": "x", "timestamp": days})
    >>> orders = pd.DataFrame({"user_id": ["b"], "amount": [9.0], "timestamp": days[1:]})
    >>> log = open_log({"events": events, "orders": orders})
    >>> figures(log, days=1).values["value"].loc[["gmv", "uv_value"]].tolist()
    [9.0, 9.0]
    """
    if not isinstance(log, Log):
        raise ValueError("open the log first: kp.figures(kp.open_log(...))")
    period, before = choose_period(log.tables, days=days, start=start, end=end, time_zone=time_zone)
    rng = np.random.default_rng(seed)
    return business_figures(log.tables, period, before, rng=rng, n_resamples=n_resamples)


def _metric_at_k(rows: pd.DataFrame) -> str:
    """Name what the rows of a summary hold, such as ``ndcg@10``."""
    first = rows.iloc[0]
    return f"{first['metric']}@{first['k']}"


def _check_log(call: str, log: Any, models: Any) -> None:
    """Refuse a first argument that is not a log; the message gives the right call."""
    if isinstance(log, Log):
        return
    if isinstance(models, Log):
        raise ValueError(f"the log comes first: kp.{call}(log, {log!r})")
    if isinstance(log, str | Path):
        opened = f"kp.open_log({str(log)!r})"
    elif isinstance(log, pd.DataFrame):
        opened = "kp.open_log(frame)"
    else:
        opened = "kp.open_log(...)"
    given = type(log).__name__
    raise ValueError(f"log is a {given}; open it first: kp.{call}({opened}, {models!r})")


def _check_lengths(ks: Any) -> None:
    """Refuse list lengths that are no list of whole numbers from 1 on."""
    if isinstance(ks, Number | str) or not len(ks):
        raise ValueError(f"ks is {ks!r}; write a list of list lengths, such as [10]")
    for k in ks:
        _check_length("ks", k)


def _check_length(name: str, k: Any) -> None:
    if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
        raise ValueError(f"{name} is {k!r}; a list has a whole number of places, 1 or more")


def _positions(what: str, ids: Sequence[Any], known: pd.Index) -> np.ndarray:
    """Return the positions of ids in the index ``known``; any other id is a ValueError."""
    for given in ids:
        if not isinstance(given, str):
            raise ValueError(_message_not_text(what, given, known))
    positions = known.get_indexer(pd.Index(ids, dtype=known.dtype))
    unknown = np.flatnonzero(positions < 0)
    if len(unknown):
        first_unknown = ids[unknown[0]]
        raise ValueError(_message_unknown(what, first_unknown, known))
    return positions


def _message_not_text(what: str, given: Any, known: pd.Index) -> str:
    """Return the error that an id is no text; a number may be meant as one, or as a position."""
    if not isinstance(given, Number):
        return f"{what} is a {type(given).__name__}; ids are text such as {known[0]!r}"
    if str(given) in known:
        return f"{what} {given} is a number, and ids are text: write {str(given)!r}"
    return f"{what} {given}: positions are not ids; {what} ids look like {known[0]!r}"


def _message_unknown(what: str, given: str, known: pd.Index) -> str:
    """Return the error that an id is unknown, with the nearest known one or an example."""
    near = get_close_matches(given, known, 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"{what} ids look like {known[0]!r}"
    return f"the log has no {what} {given!r}; {remedy}"
