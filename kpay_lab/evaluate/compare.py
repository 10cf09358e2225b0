"""Compare models on one split: who is better, by how much, and how sure we are.

`compare` gives one long table, ``model, metric, k, user_id, value``: a row for each value of each
user. `summarise` and `verdict` compute means, intervals and tests from this table alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from time import perf_counter

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.evaluate.ranking import per_user
from kpay_lab.evaluate.split import InterestOf, Split, make_split
from kpay_lab.evaluate.value import revenue
from kpay_lab.recommend.base import Recommender, TopK, top_k
from kpay_lab.stats import bootstrap_means, holm, sign_flip_test

OnProgress = Callable[[str], None]


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
        By model, the seconds to fit it and to rank.
    """

    values: pd.DataFrame
    lists: Mapping[str, TopK]
    seconds: pd.Series

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


def compare(
    models: Mapping[str, Recommender],
    split: Split,
    ks: Sequence[int] = (10,),
    *,
    paid: csr_array | None = None,
    on_progress: OnProgress | None = None,
) -> Comparison:
    """Fit each model, rank items for every user who has a relevant one, measure each list.

    Parameters
    ----------
    models : mapping of name to Recommender
        They are fitted here, to the training part of the split.
    split : Split
    ks : sequence of int
        Lengths of the lists.
    paid : csr_array of shape (n_users, n_items), optional
        Net revenue of the test part (`value.held_back_revenue`), in the currency of the orders.
        With it the metric ``revenue`` is measured too.
    on_progress : callable, optional
        Called with one line before each model.
    """
    lists: dict[str, TopK] = {}
    seconds = {}
    measured = []
    longest = max(ks)
    for name, model in models.items():
        if on_progress is not None:
            number = len(lists) + 1
            on_progress(f"{name}: learning and ranking ({number} of {len(models)})")
        start = perf_counter()
        fitted = model.fit(split.train)
        top = top_k(fitted, split.users, longest, exclude=split.seen, candidates=split.candidates)
        seconds[name] = perf_counter() - start
        lists[name] = top
        values_of_model = measure_lists(top, split, ks, paid=paid, model=name)
        measured.append(values_of_model)
    values = pd.concat(measured, ignore_index=True)
    return Comparison(values, lists, pd.Series(seconds, name="seconds"))


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
    parts = [per_user(top.items, relevant, ks)]
    if paid is not None:
        bought = paid[top.users]
        users = np.arange(len(top.users))
        for k in ks:
            value = revenue(top.items[:, :k], bought)
            columns = {"metric": "revenue", "k": k, "user": users, "value": value}
            parts.append(pd.DataFrame(columns))
    measured = pd.concat(parts, ignore_index=True)
    user_ids = split.train.interest.users[top.users]
    measured["model"] = model
    measured["user_id"] = user_ids[measured["user"]]
    return measured[["model", "metric", "k", "user_id", "value"]]


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
        p_holm``. Differences are paired by user. ``p`` is that of a sign-flip permutation
        test, and ``p_holm`` is adjusted over the models of one metric and k. For the reference
        itself the columns from ``difference`` on are missing.
    """
    parts = {}
    for metric_and_k, group in values.groupby(["metric", "k"], sort=False):
        wide = _wide(group)
        names = list(wide)
        if reference not in names:
            raise ValueError(f"reference {reference!r} was not compared; take one of {names}")
        intervals = bootstrap_means(wide.to_numpy(), rng=rng, n_resamples=n_resamples)
        means = pd.DataFrame(intervals).rename(columns={"estimate": "mean"})
        means.insert(0, "model", names)
        others = [name for name in names if name != reference]
        pairs = [(name, reference) for name in others]
        differences = _differences(wide, pairs, rng, n_resamples)
        new_names = {"low": "difference_low", "high": "difference_high"}
        differences = differences.drop(columns="other").rename(columns=new_names)
        parts[metric_and_k] = means.merge(differences, on="model", how="left")
    summary = pd.concat(parts, names=["metric", "k"])
    return summary.reset_index(["metric", "k"]).reset_index(drop=True)


def verdict(values: pd.DataFrame, *, rng: np.random.Generator, k: int = 10) -> list[str]:
    """Say in plain sentences whether each model beats the next best one in NDCG.

    It does if the p-value of the paired permutation test is below 0.05, Holm-adjusted over all
    pairs of models. A sentence gives the 95 % bootstrap interval of the difference: "ease beats
    popularity by 0.030 to 0.050 NDCG@10 (p = 0.0012)".
    """
    ndcg = values.query("metric == 'ndcg' and k == @k")
    wide = _wide(ndcg)
    best_first = wide.mean().sort_values(ascending=False, kind="stable")
    ranking = list(best_first.index)
    pairs = list(combinations(ranking, 2))
    differences = _differences(wide, pairs, rng)
    tested = differences.set_index(["model", "other"])
    lines = []
    for better, worse in pairwise(ranking):
        difference = tested.loc[(better, worse)]
        p = difference["p_holm"]
        if p < 0.05:
            by = f"by {difference['low']:.3f} to {difference['high']:.3f} NDCG@{k}"
            lines.append(f"{better} beats {worse} {by} (p = {p:.2g})")
        else:
            lines.append(f"{better} cannot be told from {worse} in NDCG@{k}")
    return lines


def protocol_gap(
    models: Mapping[str, Recommender],
    tables: Tables,
    interest_of: InterestOf,
    *,
    hows: Sequence[str] = ("random_per_user", "leave_last_out", "time"),
    k: int = 10,
    candidate_kinds: Sequence[str] = (),
) -> pd.DataFrame:
    """Measure the mean NDCG of models under several kinds of split.

    Parameters
    ----------
    hows : sequence of str
        The kinds of split, see `make_split`.
    k : int
        Length of the lists.
    candidate_kinds : sequence of str
        Kinds that may be recommended, see `make_split`.

    Returns
    -------
    DataFrame
        ``split, model, users`` (their number), ``value`` (mean NDCG) and ``rank`` of the model
        under this split, 1 the best. A split that leaves no user a relevant item has no rows.
    """
    columns = ["split", "model", "users", "value", "rank"]
    parts = []
    for how in hows:
        try:
            split = make_split(tables, interest_of, how=how, candidate_kinds=candidate_kinds)
        except TooLittleError:
            continue
        compared = compare(models, split, [k])
        ndcg = compared.values.query("metric == 'ndcg'")
        by_model = ndcg.groupby("model", sort=False)
        part = by_model["value"].mean().reset_index()
        rank = part["value"].rank(ascending=False, method="min")
        part["rank"] = rank.astype(int)
        part["split"] = how
        part["users"] = len(split.users)
        parts.append(part)
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _wide(values: pd.DataFrame) -> pd.DataFrame:
    """Return one row a user and one column a model, both in order of appearance.

    Sorted by id, users would stand in another order under pseudonyms, and the bootstrap would
    draw others.
    """
    wide = values.pivot(index="user_id", columns="model", values="value")
    users = values["user_id"].unique()
    models = values["model"].unique()
    return wide.loc[users, models]


def _differences(
    wide: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    """Test each pair of models on the users' differences, model minus other.

    Returns
    -------
    DataFrame
        ``model, other, difference`` (mean), its 95 % interval ``low, high``, ``p, p_holm``.
    """
    if not pairs:
        columns = ["model", "other", "difference", "low", "high", "p", "p_holm"]
        return pd.DataFrame(columns=columns)
    table = pd.DataFrame(pairs, columns=["model", "other"])
    differences = [wide[model] - wide[other] for model, other in pairs]
    by_user = np.column_stack(differences)
    intervals = bootstrap_means(by_user, rng=rng, n_resamples=n_resamples)
    p = sign_flip_test(by_user, rng=rng)
    means = pd.DataFrame(intervals).rename(columns={"estimate": "difference"})
    return table.join(means).assign(p=p, p_holm=holm(p))
