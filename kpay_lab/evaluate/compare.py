"""Compare models on one split: who is better, by how much, and how sure we are.

`compare` gives one long table, ``model, metric, k, user_id, value``: a row for each value of each
user. `summarise` and `verdict` compute means, intervals and tests from this table alone.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.evaluate.queries import needs_a_cut
from kpay_lab.evaluate.ranking import per_user
from kpay_lab.evaluate.sample import sample_users
from kpay_lab.evaluate.split import InterestOf, Split, make_split
from kpay_lab.evaluate.value import revenue
from kpay_lab.findings import Finding, level_of_interval
from kpay_lab.recommend import SIMPLEST_FIRST
from kpay_lab.recommend.base import Recommender, TopK, top_k
from kpay_lab.recommend.mix import Mix
from kpay_lab.stats import (
    bootstrap_means,
    holm,
    percentile_intervals,
    resampled_means,
    sign_flip_test,
)

OnProgress = Callable[[str], None]

SIGNIFICANT = 0.05
DECISION = ["question", "model", "other", "difference", "low", "high", "p", "p_holm", "is_smallest"]
VALUES = ["model", "metric", "k", "user_id", "value"]  # columns of a comparison's long table
ORDERS_NOTHING = "it gives every candidate of a user the same score, so it orders nothing"


@dataclass(frozen=True)
class Comparison:
    """The lists of each model, and every metric of each user who has a relevant item.

    Parameters
    ----------
    values : DataFrame
        ``model, metric, k, user_id, value``.
    lists : mapping of model to TopK
        They are as long as the largest k.
    seconds : Series
        By model, the seconds to fit it and to rank; those of a mix count the fits of its parts.
    unranked : mapping of model to str
        Each model that gives all candidates of a user one score, with this reason: it cannot
        order anything, and is left out of the rest.
    fitted : mapping of model to Recommender
        Those that were ranked, as they learned the training part.
    """

    values: pd.DataFrame
    lists: Mapping[str, TopK]
    seconds: pd.Series
    unranked: Mapping[str, str]
    fitted: Mapping[str, Recommender]

    def table(self, *, k: int | None = None) -> pd.DataFrame:
        """Return one row a model, the best mean NDCG first.

        Parameters
        ----------
        k : int, optional
            Length of the lists; by default the largest compared.

        Returns
        -------
        DataFrame
            ``model``, the mean over users of each metric, and ``seconds`` to fit and rank.
        """
        lengths = self.values["k"].unique()
        if k is None:
            k = lengths.max()
        if k not in lengths:
            raise ValueError(f"k is {k}; it must be one of {', '.join(map(str, lengths))}")
        at_k = self.values.query("k == @k")
        by_metric = at_k.pivot_table("value", index="model", columns="metric", sort=False)
        means = by_metric.rename_axis(columns=None)
        best_first = means.sort_values("ndcg", ascending=False, kind="stable")
        return best_first.assign(seconds=self.seconds).reset_index()


@dataclass(frozen=True)
class Decision:
    """What a decision rests on: the best model by NDCG tested against each of the others.

    Parameters
    ----------
    table : DataFrame
        ``question`` (``floor, simplest, other``), ``model`` (the best), ``other``,
        ``difference`` with its 95 % interval ``low, high``, ``p, p_holm``, and ``is_smallest``:
        whether no flip came out as far, so that p is at most what is given. No row where one
        model was compared.
    metric : {"ndcg", "revenue"}
        In what they are compared.
    k : int
        Length of the lists.
    n_users : int
        Users that they are compared on.
    floor : str
        The model that others must beat.
    """

    table: pd.DataFrame
    metric: str
    k: int
    n_users: int
    floor: str

    @property
    def simplest(self) -> str | None:
        """The simplest of the models that cannot be told from the best, if it is simpler."""
        is_simplest = self.table["question"] == "simplest"
        others = self.table.loc[is_simplest, "other"]
        return None if others.empty else others.item()

    def sentences(self) -> list[str]:
        """Say every test in a plain sentence."""
        is_in_money = self.metric == "revenue"
        name = "revenue a user" if is_in_money else self.metric.upper()
        unit = f"{name}@{self.k}"
        return [_sentence(row, unit) for row in self.table.itertuples()]

    def findings(
        self, *, currency: str = "", days: float | None = None, simplest: str | None = None
    ) -> list[Finding]:
        """Return which model to ship, and its lead over the floor and the simplest tied one.

        Of revenue it is the lead in money alone, and what the money means.

        Parameters
        ----------
        currency : str
            That of the orders.
        days : float, optional
            Length of the test part, in which the orders were made; None where it is no period.
        simplest : str, optional
            The model beside the floor that the lead is said over; by default `simplest`.
        """
        if self.table.empty:
            return []
        compared_with = [self.floor, simplest or self.simplest]
        is_in_money = self.metric == "revenue"
        if self._floor_standing == "tied" and not is_in_money:
            compared_with.append("random")
        is_asked = self.table["other"].isin(compared_with)
        rows = self.table[is_asked].itertuples()
        if is_in_money:
            about_money = Finding("comparison/money", "plain", {"currency": currency})
            return [*(self._earnings(row, currency, days) for row in rows), about_money]
        return [self._which_to_ship(), *map(self._lead, rows)]

    @property
    def _ties(self) -> list[str]:
        is_tied = self.table["p_holm"] >= SIGNIFICANT
        return self.table.loc[is_tied, "other"].tolist()

    @property
    def _floor_standing(self) -> str:
        """Where the floor stands: best, tied with the best, beaten by it, or not compared."""
        best = self.table["model"]
        others = self.table["other"]
        if self.floor in best.array:
            return "best"
        if self.floor in self._ties:
            return "tied"
        return "beaten" if self.floor in others.array else "absent"

    def _which_to_ship(self) -> Finding:
        best = self.table["model"].iloc[0]
        ties = self._ties
        standing = self._floor_standing
        values = {
            "best": best,
            "ties": ties,
            "n_ties": len(ties),
            "floor": self.floor,
            "standing": standing,
            "k": self.k,
            "n_users": self.n_users,
        }
        level = "good" if standing == "beaten" else "watch"
        return Finding("comparison/ship", level, values, place="leads")

    def _lead(self, row: Any) -> Finding:
        values = tested_values(row, n_tests=len(self.table)) | {"k": self.k}
        return Finding("comparison/lead", _level(row), values, place="leads")

    def _earnings(self, row: Any, currency: str, days: float | None) -> Finding:
        tested = tested_values(row, n_tests=len(self.table))
        values = tested | {"currency": currency, "days": days}
        return Finding("comparison/earnings", _level(row), values, place="verdict")


def tested_values(row: Any, *, n_tests: int) -> dict[str, Any]:
    """Return what one row of `paired_differences` gives a finding."""
    is_shown = row.p_holm < SIGNIFICANT
    return {
        "best": row.model,
        "other": row.other,
        "difference": row.difference,
        "low": row.low,
        "high": row.high,
        "p": row.p_holm,
        "p_is_floor": row.is_smallest,
        "is_shown": is_shown,
        "n_tests": n_tests,
    }


def _level(row: Any) -> str:
    is_shown = row.p_holm < SIGNIFICANT
    if not is_shown:
        return "watch"
    return "good" if row.difference > 0 else "bad"


def compare(
    models: Mapping[str, Recommender],
    split: Split,
    ks: Sequence[int] = (10,),
    *,
    paid: csr_array | None = None,
    on_progress: OnProgress | None = None,
    ties: str = "mean",
    floor: str = "popularity",
) -> Comparison:
    """Fit each model, rank items for every user who has a relevant one, measure each list.

    Items that a model scores alike have no order of their own, and every metric is the mean
    over all orders. So the rows of the log may stand in any order, and a model that scores
    everything alike would get what chance gets; it is not ranked at all.

    Parameters
    ----------
    models : mapping of name to Recommender
        Copies of them learn the training part of the split; those given stay as they were. Mixes
        come last: a part with the settings of a compared model does not learn again.
    split : Split
    ks : sequence of int
        Lengths of the lists.
    paid : csr_array of shape (n_users, n_items), optional
        Net revenue of the test part (`value.held_back_revenue`), in the currency of the orders.
        With it the metric ``revenue`` is measured too.
    on_progress : callable, optional
        Called with one line before each model; all are equally long, so that one can be
        written over another.
    ties : {"mean", "position"}
        See `top_k`; ``position`` is for reference numbers of other libraries.
    floor : str
        The model that others must beat. It is measured even where it orders nothing: its
        metrics are then those of chance.
    """
    lists: dict[str, TopK] = {}
    learned: dict[str, Recommender] = {}
    seconds_to_learn: dict[str, float] = {}
    seconds: dict[str, float] = {}
    measured: dict[str, pd.DataFrame] = {}
    unranked: dict[str, str] = {}
    longest = max(ks)
    width = max(map(len, models), default=0)
    for number, name in enumerate(_mixes_last(models), start=1):
        if on_progress is not None:
            on_progress(f"learning and ranking, {number:2d} of {len(models)}: {name:<{width}}")
        start = perf_counter()
        fitted = copy(models[name])
        if isinstance(fitted, Mix):
            fitted.fit(split.train, learned=learned.values())
        else:
            fitted.fit(split.train)
        learning_ended = perf_counter()
        top = top_k(
            fitted,
            split.users,
            longest,
            exclude=split.seen,
            candidates=split.candidates,
            ties=ties,
        )
        if name != floor and top.ties is not None and top.ties.orders_nothing:
            unranked[name] = ORDERS_NOTHING
            continue
        parts = _parts_among(learned, fitted)
        seconds_of_parts = sum(seconds_to_learn[part] for part in parts)
        seconds_to_learn[name] = learning_ended - start + seconds_of_parts
        seconds[name] = perf_counter() - start + seconds_of_parts
        lists[name] = top
        learned[name] = fitted
        measured[name] = measure_lists(top, split, ks, paid=paid, model=name)
    ranked = [name for name in models if name in lists]
    values = pd.DataFrame(columns=VALUES)
    if ranked:
        in_order = [measured[name] for name in ranked]
        values = pd.concat(in_order, ignore_index=True)
    lists = {name: lists[name] for name in ranked}
    learned = {name: learned[name] for name in ranked}
    seconds_in_order = pd.Series(seconds, ranked, name="seconds")
    return Comparison(values, lists, seconds_in_order, unranked, learned)


def _mixes_last(models: Mapping[str, Recommender]) -> list[str]:
    """Return the names of the models, mixes after all others: those may be parts of them."""
    mixes = [name for name, model in models.items() if isinstance(model, Mix)]
    others = [name for name in models if name not in mixes]
    return others + mixes


def _parts_among(learned: Mapping[str, Recommender], model: Recommender) -> list[str]:
    """Return the names of the learned models that a mix took over as its parts."""
    if not isinstance(model, Mix):
        return []
    identities = {id(part) for part in model.parts_.values()}
    return [name for name, other in learned.items() if id(other) in identities]


def measure_lists(
    top: TopK, split: Split, ks: Sequence[int] = (10,), *, model: str, paid: csr_array | None = None
) -> pd.DataFrame:
    """Measure lists, such as those of a model or reranked ones.

    Returns
    -------
    DataFrame
        ``model, metric, k, user_id, value``, as in `Comparison`; ``model`` is the name given.
    """
    relevant = split.test[top.users]
    parts = [per_user(top.items, relevant, ks, ties=top.ties)]
    if paid is not None:
        bought = paid[top.users]
        users = np.arange(len(top.users))
        for k in ks:
            value = revenue(top.items, bought, ties=top.ties, k=k)
            columns = {"metric": "revenue", "k": k, "user": users, "value": value}
            parts.append(pd.DataFrame(columns))
    measured = pd.concat(parts, ignore_index=True)
    user_ids = split.train.interest.users[top.users]
    measured["model"] = model
    measured["user_id"] = user_ids[measured["user"]]
    return measured[VALUES]


def summarise(
    values: pd.DataFrame, *, reference: str, rng: np.random.Generator, n_resamples: int = 2000
) -> pd.DataFrame:
    """Return each metric's mean with a 95 % interval, and its difference to a reference model.

    Parameters
    ----------
    values : DataFrame
        ``model, metric, k, user_id, value``, as in `Comparison`.
    reference : str
        The model to which every other is compared.
    rng : numpy.random.Generator
    n_resamples : int
        Bootstrap resamples behind an interval.

    Returns
    -------
    DataFrame
        ``metric, k, model, mean, low, high, difference, difference_low, difference_high, p,
        p_holm, is_smallest``. Differences are paired by user. ``p`` is that of a sign-flip
        permutation test, and ``p_holm`` is adjusted over the models of one metric and k;
        ``is_smallest`` says whether p is the smallest that so many flips can give. For the
        reference itself the columns from ``difference`` on are missing. Metrics of the same
        users share one draw of resamples and one of flips, and a difference is taken between
        the two means of each resample; metrics of other users have draws, and rows, of their
        own.
    """
    by_model = {}
    for metric_and_k, group in values.groupby(["metric", "k"], sort=False):
        wide = wide_by_model(group)
        names = list(wide)
        if reference not in names:
            raise ValueError(f"reference {reference!r} was not compared; take one of {names}")
        by_model[metric_and_k] = wide
    parts = []
    for of_same_users in _grouped_by_users(by_model):
        part = _summarise_same_users(of_same_users, reference, rng, n_resamples)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _grouped_by_users(by_model: Mapping[Any, pd.DataFrame]) -> list[dict[Any, pd.DataFrame]]:
    """Group tables with a row a user by their users, so that those of one group share draws."""
    groups: dict[Any, dict[Any, pd.DataFrame]] = {}
    for metric_and_k, wide in by_model.items():
        users = tuple(wide.index)
        group = groups.setdefault(users, {})
        group[metric_and_k] = wide
    return list(groups.values())


def _summarise_same_users(
    by_model: Mapping[Any, pd.DataFrame],
    reference: str,
    rng: np.random.Generator,
    n_resamples: int,
) -> pd.DataFrame:
    """Return the rows of `summarise` for metrics of the same users, by one draw for all.

    Parameters
    ----------
    by_model : mapping of (metric, k) to DataFrame
        As from `wide_by_model`, all with the same rows.
    """
    by_user = pd.concat(by_model, axis=1, names=["metric", "k"])
    drawn = resampled_means(by_user.to_numpy(), rng=rng, n_resamples=n_resamples)
    resampled = pd.DataFrame(drawn, columns=by_user.columns)
    intervals = _intervals(by_user, resampled)
    means = intervals.rename(columns={"estimate": "mean"})
    gaps = _minus_reference(by_user, reference)
    resampled_gaps = _minus_reference(resampled, reference)
    differences = _intervals(gaps, resampled_gaps)
    new_names = {"estimate": "difference", "low": "difference_low", "high": "difference_high"}
    differences = differences.rename(columns=new_names)
    n_others = [len(wide.columns) - 1 for wide in by_model.values()]
    n_flips = flips_for(max(n_others))
    p = sign_flip_test(gaps.to_numpy(), rng=rng, n_permutations=n_flips)
    differences["p"] = p
    families = differences.groupby(["metric", "k"], sort=False)
    differences["p_holm"] = families["p"].transform(holm)
    smallest_p = 1 / (1 + n_flips)
    differences["is_smallest"] = p <= smallest_p
    summary = means.join(differences)
    return summary.reset_index()


def _minus_reference(by_user: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Subtract the reference model's column of the same metric and k from each other column."""
    of_reference = by_user.xs(reference, axis=1, level="model")
    others = by_user.drop(columns=reference, level="model")
    metric_and_k = others.columns.droplevel("model")
    return others - of_reference[metric_and_k].to_numpy()


def _intervals(by_user: pd.DataFrame, resampled: pd.DataFrame) -> pd.DataFrame:
    """Return ``estimate, low, high`` of each column, by its name."""
    estimates = by_user.mean().to_numpy()
    intervals = percentile_intervals(estimates, resampled.to_numpy())
    return pd.DataFrame(intervals, by_user.columns, columns=["estimate", "low", "high"])


def decide(
    values: pd.DataFrame,
    *,
    rng: np.random.Generator,
    k: int = 10,
    metric: str = "ndcg",
    floor: str = "popularity",
    own_names: Mapping[str, str] | None = None,
) -> Decision:
    """Test what a decision rests on: the best model by NDCG against each of the others.

    The first row of the table is the best against the floor; the second, where the floor is
    beaten, the best against the simplest model that cannot be told from it, if one is simpler;
    then come the others, best first. The p-values are those of paired sign-flip tests,
    Holm-adjusted over these rows, which are all that is reported.

    Parameters
    ----------
    values : DataFrame
        ``model, metric, k, user_id, value``, as in `Comparison`.
    metric : str
        In what the models are compared; the best is the best by NDCG whatever it says. It is
        ``ndcg``, or ``revenue`` where orders are known.
    floor : str
        The model that others must beat.
    own_names : mapping of str to str, optional
        By name, the name of `MODELS` by which a model is simple or not, where it goes by another
        (`recommend.choose.own_names`).
    """
    at_k = values[values["k"] == k]
    ndcg = wide_by_model(at_k[at_k["metric"] == "ndcg"])
    best_first = ndcg.mean().sort_values(ascending=False, kind="stable")
    best, *others = best_first.index
    wide = ndcg if metric == "ndcg" else wide_by_model(at_k[at_k["metric"] == metric])
    pairs = [(best, other) for other in others]
    table = paired_differences(wide, pairs, rng)
    table["question"] = "other"
    table.loc[table["other"] == floor, "question"] = "floor"
    place = pd.Series(range(len(SIMPLEST_FIRST)), SIMPLEST_FIRST)
    names = pd.Series({name: (own_names or {}).get(name, name) for name in wide})
    simplicity = names.map(place)
    is_tied = table["p_holm"] >= SIGNIFICANT
    is_floor_tied = (is_tied & (table["question"] == "floor")).any()
    complexity = table.loc[is_tied, "other"].map(simplicity)
    simpler = complexity[complexity < place.get(names[best], np.inf)]
    if len(simpler) and not is_floor_tied:
        table.loc[simpler.idxmin(), "question"] = "simplest"
    order = table["question"].map({"floor": 0, "simplest": 1, "other": 2})
    table = table.loc[order.sort_values(kind="stable").index]
    ordered = table[DECISION].reset_index(drop=True)
    return Decision(ordered, metric, k, len(wide), floor)


def verdict(
    values: pd.DataFrame,
    *,
    rng: np.random.Generator,
    k: int = 10,
    metric: str = "ndcg",
    floor: str = "popularity",
    own_names: Mapping[str, str] | None = None,
) -> list[str]:
    """Say in plain sentences what `decide` has tested, a line each.

    A sentence gives the 95 % bootstrap interval of the difference: "ease beats popularity by
    0.030 to 0.050 NDCG@10 (p ≤ 0.0012)". Where no flip of the signs came out as far, the test
    can say no more than ``p ≤``.
    """
    decided = decide(values, rng=rng, k=k, metric=metric, floor=floor, own_names=own_names)
    return decided.sentences()


def _sentence(row: Any, unit: str) -> str:
    """Say what one row of `decide` found."""
    if row.p_holm >= SIGNIFICANT:
        said = f"{row.model} cannot be told from {row.other} in {unit}"
        said += f" ({row.low:+.3f} to {row.high:+.3f}, p = {row.p_holm:.2g})"
        if row.question in ("floor", "simplest"):
            said += f": {row.other} is simpler and does as well, as far as these users tell"
        return said
    sign = "≤" if row.is_smallest else "="
    if row.difference > 0:
        by = f"by {row.low:.3f} to {row.high:.3f} {unit}"
        return f"{row.model} beats {row.other} {by} (p {sign} {row.p_holm:.2g})"
    by = f"by {-row.high:.3f} to {-row.low:.3f} {unit}"
    return f"{row.other} beats {row.model} {by} (p {sign} {row.p_holm:.2g})"


def protocol_gap(
    models: Mapping[str, Recommender],
    tables: Tables,
    interest_of: InterestOf,
    *,
    rng: np.random.Generator,
    hows: Sequence[str] = ("random_per_user", "leave_last_out", "time"),
    k: int = 10,
    most_users: int | None = None,
    known: Mapping[str, Comparison] | None = None,
    **question: Any,
) -> pd.DataFrame:
    """Measure the mean NDCG of models under several kinds of split.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the users of each split where there are more than ``most_users``.
    hows : sequence of str
        The kinds of split, see `make_split`.
    k : int
        Length of the lists.
    most_users : int, optional
        Most users to evaluate under each split, see `sample.sample_users`; by default all.
    known : mapping of a kind of split to Comparison, optional
        What was compared already, of these models and this question: they do not learn again.
    question
        What is ranked and what is relevant, see `make_split`: ``candidate_kinds, candidates,
        relevant, threshold``.

    Returns
    -------
    DataFrame
        ``split, model, users`` (the number evaluated), ``value`` (mean NDCG) and ``rank`` of the
        model under this split, 1 the best. A split that leaves no user a relevant item has no
        rows, nor has one without a moment in time where the question needs that.
    """
    relevant = question.get("relevant", "any")
    only_in_time = needs_a_cut(relevant, question.get("candidates", "all"))
    columns = ["split", "model", "users", "value", "rank"]
    known = known or {}
    parts = []
    for how in hows:
        if only_in_time and how != "time":
            continue
        if how in known:
            values = known[how].values
        else:
            try:
                split = make_split(tables, interest_of, how=how, **question)
            except TooLittleError:
                continue
            if most_users is not None:
                split = sample_users(split, most_users, rng=rng)
            values = compare(models, split, [k]).values
            del split  # before the next one is made: each is as large as the log
        part = _ranks_by_ndcg(values, models, k)
        part["split"] = how
        parts.append(part)
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _ranks_by_ndcg(values: pd.DataFrame, models: Mapping[str, Recommender], k: int) -> pd.DataFrame:
    """Return ``model, value, rank, users`` of some models by their mean NDCG@k."""
    is_asked = values["model"].isin([*models]) & (values["metric"] == "ndcg") & (values["k"] == k)
    ndcg = values[is_asked]
    by_model = ndcg.groupby("model", sort=False)
    ranks = by_model["value"].mean().reset_index()
    rank = ranks["value"].rank(ascending=False, method="min")
    ranks["rank"] = rank.astype(int)
    ranks["users"] = ndcg["user_id"].nunique()
    return ranks


def protocol_findings(gap: pd.DataFrame, *, k: int) -> list[Finding]:
    """Return whether the model with the largest mean is the same under each kind of split.

    Parameters
    ----------
    gap : DataFrame
        As from `protocol_gap`; with fewer than two splits or models there is nothing to say.
    """
    n_splits = gap["split"].nunique()
    n_models = gap["model"].nunique()
    if n_splits < 2 or n_models < 2:
        return []
    first = gap[gap["rank"] == 1].drop_duplicates("split")
    models = first["model"]
    values: dict[str, Any] = {"n_splits": n_splits, "n_models": n_models, "k": k}
    values["model"] = models.iloc[0]
    winners = models + " (" + first["split"] + ")"
    values["winners"] = winners.tolist()
    values["is_same"] = models.nunique() == 1
    values["smallest"] = first["value"].min()
    values["largest"] = first["value"].max()
    level = "good" if values["is_same"] else "watch"
    return [Finding("comparison/protocol", level, values, place="protocol_gap")]


def new_item_findings(found: pd.DataFrame, *, model: str, k: int, n_items: int) -> list[Finding]:
    """Return whether a model finds new items better than chance, in NDCG.

    Parameters
    ----------
    found : DataFrame
        As from `summarise` with ``random`` as the reference.
    n_items : int
        New items, among which it ranks.
    """
    rows = found[found["metric"] == "ndcg"].set_index("model")
    if model not in rows.index:
        return []
    row = rows.loc[model]
    is_shown = row["p"] < SIGNIFICANT
    values = row[["mean", "low", "high", "p"]].to_dict()
    values |= {"model": model, "n_items": n_items, "is_shown": is_shown, "k": k}
    values["chance"] = rows.loc["random", "mean"]
    values["p_is_floor"] = row["is_smallest"]
    is_better = is_shown and row["difference"] > 0
    level = "good" if is_better else "watch"
    return [Finding("items/new", level, values, place="cold_items")]


def live_findings(summary: pd.DataFrame, *, model: str, n_users: int) -> list[Finding]:
    """Return whether a model tells which of the sessions that run together a person enters.

    Parameters
    ----------
    summary : DataFrame
        As from `summarise` of lists of one place, ranked among what is live.
    n_users : int
        People who had a choice.
    """
    is_first = (summary["metric"] == "hit") & (summary["k"] == 1)
    rows = summary[is_first].set_index("model")
    reference = rows[rows["difference"].isna()]
    if model not in rows.index or reference.empty:
        return []
    row = rows.loc[model]
    ends = {"low": row["difference_low"], "high": row["difference_high"]}
    values: dict[str, Any] = {"model": model, "n_users": n_users, "share": row["mean"]}
    values |= {"chance": reference["mean"].iloc[0], "difference": row["difference"], **ends}
    level = level_of_interval(**ends)
    return [Finding("live/candidates", level, values, place="live_first")]


def wide_by_model(values: pd.DataFrame) -> pd.DataFrame:
    """Return one row a user and one column a model, both in order of appearance.

    Sorted by id, users would stand in another order under pseudonyms, and the bootstrap would
    draw others.
    """
    wide = values.pivot(index="user_id", columns="model", values="value")
    users = values["user_id"].unique()
    models = values["model"].unique()
    return wide.loc[users, models]


def paired_differences(
    wide: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    """Test each pair of models on the users' differences, model minus other.

    Returns
    -------
    DataFrame
        ``model, other, difference`` (mean), its 95 % interval ``low, high``, ``p, p_holm``, and
        ``is_smallest``, whether p is the smallest that so many flips can give.
    """
    if not pairs:
        return pd.DataFrame(columns=[*DECISION[1:]])
    table = pd.DataFrame(pairs, columns=["model", "other"])
    differences = [wide[model] - wide[other] for model, other in pairs]
    by_user = np.column_stack(differences)
    intervals = bootstrap_means(by_user, rng=rng, n_resamples=n_resamples)
    n_flips = flips_for(len(pairs))
    p = sign_flip_test(by_user, rng=rng, n_permutations=n_flips)
    smallest_p = 1 / (1 + n_flips)
    means = pd.DataFrame(intervals).rename(columns={"estimate": "difference"})
    return table.join(means).assign(p=p, p_holm=holm(p), is_smallest=p <= smallest_p)


def flips_for(n_tests: int) -> int:
    """Return how many flips of the signs a family of tests needs.

    Holm multiplies the smallest p by the number of tests. With 1,000 flips a test, and 5,000 at
    least, that product can still be as small as 0.001.

    >>> flips_for(1), flips_for(22)
    (5000, 22000)
    """
    return max(5000, 1000 * n_tests)
