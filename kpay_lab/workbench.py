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
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from numbers import Integral, Number
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kpay_lab.data.door import DATASETS, Gate, read_log
from kpay_lab.data.log import Log
from kpay_lab.data.sources import Source
from kpay_lab.data.tables import Tables
from kpay_lab.evaluate import compare as comparing
from kpay_lab.evaluate.parts import default_split
from kpay_lab.evaluate.ranking import from_ids, per_user
from kpay_lab.evaluate.split import Split, make_split
from kpay_lab.interest.engines import Engine, engine_faults, open_engine, read_totals
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.plots.comparison import plot_intervals
from kpay_lab.recommend.base import Recommender, Training
from kpay_lab.recommend.choose import build_model, choose_models
from kpay_lab.recommend.lists import (
    explaining_model,
    item_titles,
    recommend_for_all,
    recommend_to,
    similar_items,
)
from kpay_lab.recommend.popularity import WithFallback
from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.simulate import simulate

REFERENCE = "popularity"  # what every other model must beat
ACRONYMS = ("ndcg", "map", "mrr")


def open_log(
    source: Source | Tables | WorldSpec | None = None,
    *,
    dataset: str = "tables",
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
        A file or folder; frames, of which a single one is the events and a mapping names the
        table of each; finished tables; or a shop to simulate, which is also the default.
    dataset : {"tables", "movielens", "mooccubex", "kuairand", "oulad", "simulated"}
        How the files of a folder are understood: one's own ``tables``, or a public data set.
        ``simulated`` says that the source is a simulated shop.
    since, until, ids, duplicates, max_rejected, min_events
        What the log must pass, see `data.door.Gate`.
    engine : {"memory", "polars", "spark"}, or an opened engine
        Who adds up the events; another one than memory reads Parquet and never loads it whole.
        What `interest.engines.open_engine` returns carries its settings; None is memory.

    Returns
    -------
    Log
        With ``cut`` where an engine other than memory added the events up.

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
    opened = open_engine(engine) if isinstance(engine, str) else engine
    if opened is not None:
        faults = engine_faults(opened.name, dataset, source, duplicates)
        if faults or not isinstance(source, str | Path):
            raise ValueError("\n".join(faults))
        return gate.admit(read_totals(source, opened, gate))
    if source is None and dataset in ("tables", "simulated"):
        source = WorldSpec()
    if isinstance(source, WorldSpec):
        source = simulate(source).tables
    return gate.admit(read_log(source, "tables" if dataset == "simulated" else dataset))


def refuse_mistaken_source(source: Any, dataset: str) -> None:
    """Say the right call where the name of a data set and a place were taken for each other.

    Raises
    ------
    ValueError
        If ``dataset`` is a path, or ``source`` is the name of a data set and no file.
    """
    names = ("simulated", *DATASETS)
    is_path = isinstance(dataset, Path) or Path(str(dataset)).exists() or "." in str(dataset)
    if dataset not in names and is_path:
        raise ValueError(
            f"dataset is {str(dataset)!r}, which looks like a path; the path comes first: "
            f"kp.open_log({str(dataset)!r})"
        )
    is_name = isinstance(source, str) and source in names
    if is_name and not Path(source).exists():
        folder = "" if source == "simulated" else "folder, "
        raise ValueError(
            f"{source!r} is the name of a data set and no file; write "
            f"kp.open_log({folder}dataset={source!r})"
        )


@dataclass(frozen=True, repr=False)
class Fitted:
    """A model that has learned a whole log; ids go in and ids come out.

    Parameters
    ----------
    ranking : WithFallback
        The model, with popularity for users without a past.
    train : Training
        The log as the model saw it, with its interest matrix.
    """

    ranking: WithFallback
    train: Training

    @property
    def model(self) -> Recommender:
        """The model itself."""
        return self.ranking.model

    @cached_property
    def _explaining(self) -> Recommender:
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

        A user without events gets the most popular items. The list is shorter than k where
        fewer items are left, and only items that somebody met, of a kind that can be sold,
        are candidates.

        Parameters
        ----------
        user_id : str or sequence of str
            One id; or several, for which the frame begins with a column ``user_id``.
        only
            What else an item must be: ``reviewed_only``, ``verified_only``, ``min_rating``,
            ``kinds``; see `recommend.candidates.candidate_items`.

        Returns
        -------
        DataFrame
            ``rank`` (from 1), ``item_id``, ``title`` (the id where the log has none),
            ``score``, and ``why``: what speaks for the item, empty where nothing does.

        Raises
        ------
        ValueError
            If an id is unknown or no text, or k is below 1.
        """
        _check_length("k", k)
        is_one = isinstance(user_id, str) or not isinstance(user_id, Iterable)
        ids = [user_id] if is_one else list(user_id)
        users = _positions("user", ids, self.users)
        lists = recommend_to(users, self.ranking, self._explaining, self.train, k, **only)
        return lists.drop(columns="user_id") if is_one else lists

    def similar(self, item: str, k: int = 10) -> pd.DataFrame:
        """List the k items most like one.

        The similarity is the model's own where it has one. `EASE`, `ItemNeighbours`,
        `ContentBased` and `Markov` have item weights: how much having met the item says for
        each other one. `ALS` has item factors: their cosine. For every other model it is the
        cosine of the two columns of the interest matrix: who met both, and how gladly.

        Parameters
        ----------
        item : str
            An id, or a title that one item alone has.

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
        if not isinstance(item, str) or item in self.items:
            return int(_positions("item", [item], self.items)[0])
        titles = pd.Index(item_titles(self.train))
        called = np.flatnonzero(titles == item)
        if len(called) > 1:
            ids = ", ".join(map(repr, self.items[called[:5]]))
            raise ValueError(f"{len(called)} items have the title {item!r}; name one by id: {ids}")
        if len(called) == 0:
            names = self.items.append(titles).unique()
            raise ValueError(_unknown("item", item, names))
        return int(called[0])

    def __repr__(self) -> str:
        n_users, n_items = len(self.users), len(self.items)
        return (
            f"{self.model}, fitted to {n_users:,} users and {n_items:,} items\n"
            f".recommend({self.users[0]!r}, k=10) lists items for a user, "
            f".similar({self.items[0]!r}, k=10) those like an item"
        )


def fit(log: Log, model: str, **settings: Any) -> Fitted:
    """Fit a model to a whole log.

    Parameters
    ----------
    log : Log
        See `open_log`.
    model : str
        Its name: random, popularity, baseline, content, blend, forest, user_neighbours,
        item_neighbours, ease, als or markov.
    settings
        Fields of the model's class, such as ``reg=200`` of ``ease``.

    Raises
    ------
    ValueError
        If the model or a setting is unknown or out of its range, or the log lacks what the
        model learns from.
    """
    _check_log("fit", log, model)
    built = build_model(model, settings)
    train = Training(interest_matrix(log.tables), log.tables)
    return Fitted(WithFallback(model=built).fit(train), train)


def list_for_everybody(log: Log, model: Recommender, k: int, **only: Any) -> pd.DataFrame:
    """Fit a model to a log and list k items for every user; see `recommend_for_all`."""
    return recommend_for_all(log.tables, model, k, interest_of=interest_matrix, **only)


@dataclass(frozen=True, repr=False)
class Comparison(comparing.Comparison):
    """Models measured on the same users, with how sure we are.

    Beside what `evaluate.compare.Comparison` holds (each user's values, the lists, seconds):

    Parameters
    ----------
    split : Split
        What the models learned from, and what was to be found.
    summary : DataFrame
        Every metric at every k, with the differences to popularity; see
        `evaluate.compare.summarise`.
    sentences : tuple of str
        Which model beats which, in NDCG at the largest k.
    left_out : mapping
        Why a model that was asked for is not among them: the log lacks what it learns from.
    """

    split: Split
    summary: pd.DataFrame
    sentences: tuple[str, ...]
    left_out: Mapping[str, str]

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
            lead_high`` and ``p_holm``, paired by user; ``seconds`` to fit and rank.
        """
        rows = self._rows(metric, k)
        table = {
            "model": rows["model"],
            _measure(rows): rows["mean"],
            "low": rows["low"],
            "high": rows["high"],
            f"lead_over_{REFERENCE}": rows["difference"],
            "lead_low": rows["difference_low"],
            "lead_high": rows["difference_high"],
            "p_holm": rows["p_holm"],
            "seconds": rows["model"].map(self.seconds),
        }
        return pd.DataFrame(table)

    def verdict(self) -> list[str]:
        """Say in plain sentences which model beats which, in NDCG at the largest k."""
        return list(self.sentences)

    def plot(self, ax: Axes | None = None, *, metric: str = "ndcg", k: int | None = None) -> Axes:
        """Draw each model's mean with its 95 % interval, and return the Axes.

        It is drawn into ``ax``, by default that of a new figure: ``.plot().figure``.
        """
        rows = self._rows(metric, k)
        measure = _measure(rows)
        name = measure.upper() if metric in ACRONYMS else measure
        label = f"mean over {self.split.report.users:,} users"
        fig = plot_intervals(rows, f"{name} with 95 % intervals", label, ax=ax)
        return fig.axes[0] if ax is None else ax

    def _rows(self, metric: str, k: int | None) -> pd.DataFrame:
        """Return the summary's rows of one metric at one k, the best mean first."""
        k = self.summary["k"].max() if k is None else k
        rows = self.summary[(self.summary["metric"] == metric) & (self.summary["k"] == k)]
        if rows.empty:
            metrics = ", ".join(self.summary["metric"].unique())
            lengths = ", ".join(map(str, self.summary["k"].unique()))
            raise ValueError(
                f"{metric}@{k} was not measured; metric is one of {metrics} and k one of {lengths}"
            )
        return rows.sort_values("mean", ascending=False, kind="stable", ignore_index=True)

    def __repr__(self) -> str:
        left_out = [f"{name} was left out: {why}" for name, why in self.left_out.items()]
        lines = [*self.split.report.sentences(), *left_out, *self.sentences]
        return "\n".join([*lines, ".table(), .verdict() and .plot() tell more"])


def compare(
    log: Log,
    models: Sequence[str] | Mapping[str, Mapping[str, Any] | None] = (),
    *,
    split: str = "auto",
    ks: Sequence[int] = (10,),
    n_resamples: int = 2000,
    seed: int = 0,
    on_progress: comparing.OnProgress | None = None,
) -> Comparison:
    """Fit models to one part of a log and measure what they foresee of the other.

    Parameters
    ----------
    log : Log
        See `open_log`.
    models : sequence of names, or mapping of name to settings
        Such as ``["ease", "als"]`` or ``{"ease": {"reg": 200}, "als": {}}``; by default all
        that the log can feed. Popularity is always among them.
    split : str
        How the log is parted: ``auto`` takes ``time`` where times are known, else
        ``random_per_user``; see `evaluate.parts.rows_to_train` for the others.
    ks : sequence of int
        Lengths of the lists.
    n_resamples : int
        Bootstrap resamples behind an interval.
    seed : int
        Of the resamples: the same seed gives the same intervals.
    on_progress : callable, optional
        Called with one line before each model, such as ``print``.

    Raises
    ------
    TooLittleError
        If the log is too small to be parted.
    ValueError
        If a model, a setting or the split is unknown.
    """
    _check_log("compare", log, models)
    if isinstance(models, str):
        raise ValueError(f"models is {models!r}; write a list: kp.compare(log, [{models!r}])")
    _check_lengths(ks)
    settings = models if isinstance(models, Mapping) else dict.fromkeys(models)
    for name, setting in settings.items():  # before the log is parted
        build_model(name, setting)
    how = default_split(log.tables) if split == "auto" else split
    cut = log.cut if how == "time" else None
    parted = make_split(log.tables, interest_matrix, how=how, cut=cut)
    chosen = choose_models(settings, parted.train)
    measured = comparing.compare(chosen.models, parted, ks, on_progress=on_progress)
    rng_of_means, rng_of_verdict = np.random.default_rng(seed).spawn(2)
    summary = comparing.summarise(
        measured.values, reference=REFERENCE, rng=rng_of_means, n_resamples=n_resamples
    )
    return Comparison(
        values=measured.values,
        lists=measured.lists,
        seconds=measured.seconds,
        split=parted,
        summary=summary,
        sentences=tuple(comparing.verdict(measured.values, rng=rng_of_verdict, k=max(ks))),
        left_out=chosen.left_out,
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
        ``user_id, item_id, rank`` (from 1); other columns are not looked at.
    relevant : DataFrame
        ``user_id, item_id``: what there was to find. A user in it without a list scores 0; a
        user with a list who is not in it is left out.
    ks : sequence of int
        Lengths at which the lists are cut.
    n_resamples : int
        Bootstrap resamples behind an interval.
    seed : int
        Of the resamples.

    Returns
    -------
    DataFrame
        ``metric, k, mean``, the ends ``low, high`` of the 95 % interval, and ``users``, over
        whom the mean is taken. `evaluate.ranking` defines the metrics.

    Raises
    ------
    ValueError
        If a frame lacks a column, their ids are not alike, or a list names an item or a rank
        twice.

    Examples
    --------
    >>> lists = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "rank": [1, 2]})
    >>> found = evaluate_lists(lists, pd.DataFrame({"user_id": ["u"], "item_id": ["b"]}), [2])
    >>> found.set_index("metric").loc["precision", "mean"]
    np.float64(0.5)
    """
    _check_lengths(ks)
    _check_lists(lists, relevant)
    measured = per_user(*from_ids(lists, relevant), ks).values
    measured = measured.rename(columns={"user": "user_id"}).assign(model="lists")
    rng = np.random.default_rng(seed)
    summary = comparing.summarise(measured, reference="lists", rng=rng, n_resamples=n_resamples)
    metrics = summary[["metric", "k", "mean", "low", "high"]]
    return metrics.assign(users=measured["user_id"].nunique())


def _measure(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['metric']}@{first['k']}"


def _check_log(call: str, log: Any, second: Any) -> None:
    """Refuse what is not a log, with the call that would be right."""
    if isinstance(log, Log):
        return
    if isinstance(second, Log):
        raise ValueError(f"the log comes first: kp.{call}(log, {log!r})")
    if isinstance(log, str | Path):
        opened = f"kp.open_log({str(log)!r})"
    elif isinstance(log, pd.DataFrame):
        opened = "kp.open_log(frame)"
    else:
        opened = "kp.open_log(...)"
    what = type(log).__name__
    raise ValueError(f"log is a {what}; open it first: kp.{call}({opened}, {second!r})")


def _check_lengths(ks: Any) -> None:
    if isinstance(ks, Number | str) or not len(ks):
        raise ValueError(f"ks is {ks!r}; write a list of list lengths, such as [10]")
    for k in ks:
        _check_length("ks", k)


def _check_length(name: str, k: Any) -> None:
    if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
        raise ValueError(f"{name} is {k!r}; a list has a whole number of places, 1 or more")


def _positions(what: str, ids: Sequence[Any], known: pd.Index) -> np.ndarray:
    """Return the positions of ids, or say which is no id and what one looks like."""
    for one in ids:
        if not isinstance(one, str):
            raise ValueError(_not_text(what, one, known))
    positions = known.get_indexer(pd.Index(ids, dtype=known.dtype))
    unknown = np.flatnonzero(positions < 0)
    if len(unknown):
        raise ValueError(_unknown(what, ids[unknown[0]], known))
    return positions


def _not_text(what: str, given: Any, known: pd.Index) -> str:
    if not isinstance(given, Number):
        return f"{what} is a {type(given).__name__}; ids are text such as {known[0]!r}"
    if str(given) in known:
        return f"{what} {given} is a number, and ids are text: write {str(given)!r}"
    return f"{what} {given}: positions are not ids; {what} ids look like {known[0]!r}"


def _unknown(what: str, given: str, known: pd.Index) -> str:
    near = get_close_matches(given, known, 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"{what} ids look like {known[0]!r}"
    return f"the log has no {what} {given!r}; {remedy}"


def _check_lists(lists: pd.DataFrame, relevant: pd.DataFrame) -> None:
    """Refuse frames that would be measured without sense."""
    wanted = {"lists": ["user_id", "item_id", "rank"], "relevant": ["user_id", "item_id"]}
    frames = {"lists": lists, "relevant": relevant}
    for name, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            what = type(frame).__name__
            raise ValueError(
                f"{name} is a {what}; it must be a frame with {', '.join(wanted[name])}"
            )
        lacking = [column for column in wanted[name] if column not in frame]
        if lacking:
            raise ValueError(f"{name} has no column {lacking[0]}; it has {', '.join(frame)}")
        if frame.empty:
            raise ValueError(f"{name} has no rows")
        gaps = frame[wanted[name]].isna().any(axis=1)
        if gaps.any():
            raise ValueError(f"{name} has a missing value in row {gaps.idxmax()}")
    for column in ("user_id", "item_id"):
        _check_same_ids(column, lists[column], relevant[column])
    _check_ranks(lists)


def _check_same_ids(column: str, listed: pd.Series, relevant: pd.Series) -> None:
    are_numbers = [pd.api.types.is_numeric_dtype(ids) for ids in (listed, relevant)]
    if are_numbers[0] != are_numbers[1]:
        raise ValueError(
            f"{column} is {_first(listed)!r} in lists and {_first(relevant)!r} in relevant: "
            "numbers and text are never equal; make both text, .astype(str)"
        )
    if column == "user_id" and not relevant.isin(listed).any():
        raise ValueError(
            f"no user of relevant has a list: user ids are {_first(listed)!r} in lists and "
            f"{_first(relevant)!r} in relevant"
        )


def _check_ranks(lists: pd.DataFrame) -> None:
    ranks = lists["rank"]
    if not pd.api.types.is_integer_dtype(ranks) or ranks.min() < 1:
        raise ValueError("rank must be a whole number from 1 on: 1 is the best place of a list")
    for column in ("rank", "item_id"):
        twice = lists[lists.duplicated(["user_id", column])]
        if len(twice):
            user, value = _first(twice["user_id"]), _first(twice[column])
            raise ValueError(f"the list of user {user!r} has {column} {value!r} twice")


def _first(values: pd.Series) -> Any:
    """Return the first value as Python's own, which shows as it was written."""
    return values.head(1).item()
