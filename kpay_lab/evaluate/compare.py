"""Compare models on one split: who is better, by how much, and how sure we are.

Everything falls out of one per-user long table ``model, metric, k, user_id, value``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
    """What each model recommended to the users with something to find, and what came of it.

    ``values`` is long (``model, metric, k, user_id, value``); ``lists`` are as long as the
    largest k; ``seconds`` to fit and rank, by model.
    """

    values: pd.DataFrame
    lists: Mapping[str, TopK]
    seconds: pd.Series


def compare(
    models: Mapping[str, Recommender],
    split: Split,
    ks: Sequence[int] = (10,),
    *,
    paid: csr_array | None = None,
    on_progress: OnProgress | None = None,
) -> Comparison:
    """Fit each model, rank for every user with something to find, measure each list.

    Parameters
    ----------
    paid : csr_array of shape (n_users, n_items), optional
        Net revenue of the test part (`value.held_back_revenue`): adds the metric ``revenue``.
    on_progress : callable, optional
        Called with one line before each model.
    """
    lists: dict[str, TopK] = {}
    frames, seconds = [], {}
    for name, model in models.items():
        if on_progress is not None:
            on_progress(f"{name}: learning and ranking ({len(lists) + 1} of {len(models)})")
        start = perf_counter()
        fitted = model.fit(split.train)
        lists[name] = top_k(
            fitted, split.users, max(ks), exclude=split.seen, candidates=split.candidates
        )
        seconds[name] = perf_counter() - start
        frames.append(measure_lists(lists[name], split, ks, paid=paid, model=name))
    values = pd.concat(frames, ignore_index=True)
    return Comparison(values, lists, pd.Series(seconds, name="seconds"))


def measure_lists(
    top: TopK, split: Split, ks: Sequence[int] = (10,), *, model: str, paid: csr_array | None = None
) -> pd.DataFrame:
    """Measure lists however they came about, such as reranked ones: the long table of one model."""
    parts = [per_user(top.items, split.test[top.users], ks).values]
    if paid is not None:
        bought = paid[top.users]
        for k in ks:
            earned = pd.DataFrame({"value": revenue(top.items[:, :k], bought)})
            parts.append(earned.assign(metric="revenue", k=k, user=earned.index))
    measured = pd.concat(parts, ignore_index=True)
    labels = split.train.interest.users[top.users]
    measured.insert(0, "model", model)
    measured.insert(3, "user_id", labels[measured.pop("user")])
    return measured


def summarise(
    values: pd.DataFrame, *, reference: str, rng: np.random.Generator, n_resamples: int = 2000
) -> pd.DataFrame:
    """Mean of each metric with a 95 % bootstrap interval, and the difference to a reference.

    Differences are paired by user. p comes from a sign-flip permutation test; ``p_holm`` is
    adjusted over the models of one metric and k. Columns: ``metric, k, model, mean, low,
    high, difference, difference_low, difference_high, p, p_holm``; the differences of the
    reference itself are missing.
    """
    parts = []
    for (metric, k), group in values.groupby(["metric", "k"], sort=False):
        wide = _wide(group)
        if reference not in wide:
            raise ValueError(f"reference {reference!r} was not compared; take one of {list(wide)}")
        means = bootstrap_means(wide.to_numpy(), rng=rng, n_resamples=n_resamples)
        table = pd.DataFrame(means).rename(columns={"estimate": "mean"})
        table.insert(0, "model", wide.columns)
        others = [(name, reference) for name in wide if name != reference]
        pairs = _differences(wide, others, rng, n_resamples).drop(columns="other")
        pairs = pairs.rename(columns={"low": "difference_low", "high": "difference_high"})
        parts.append(table.merge(pairs, on="model", how="left").assign(metric=metric, k=k))
    summary = pd.concat(parts, ignore_index=True)
    return summary[["metric", "k", *summary.columns.drop(["metric", "k"])]]


def verdict(values: pd.DataFrame, *, rng: np.random.Generator, k: int = 10) -> list[str]:
    """Say in plain language whether each model beats the next in NDCG.

    It does where the paired permutation test, Holm-adjusted over all pairs of models, stays
    below 0.05; the figures are the ends of the bootstrap interval: "ease beats popularity by
    0.030 to 0.050 NDCG@10 (p = 0.0012)".
    """
    wide = _wide(values[(values["metric"] == "ndcg") & (values["k"] == k)])
    ranking = list(wide.mean().sort_values(ascending=False, kind="stable").index)
    pairs = [(a, b) for i, a in enumerate(ranking) for b in ranking[i + 1 :]]
    tested = _differences(wide, pairs, rng).set_index(["model", "other"])
    lines = []
    for pair in pairwise(ranking):
        found = tested.loc[pair]
        if found["p_holm"] < 0.05:
            by = f"by {found['low']:.3f} to {found['high']:.3f} NDCG@{k}"
            lines.append(f"{pair[0]} beats {pair[1]} {by} (p = {found['p_holm']:.2g})")
        else:
            lines.append(f"{pair[0]} cannot be told from {pair[1]} in NDCG@{k}")
    return lines


def protocol_gap(
    models: Mapping[str, Recommender],
    tables: Tables,
    interest_of: InterestOf,
    *,
    hows: Sequence[str] = ("random_per_user", "leave_last_out", "time"),
    k: int = 10,
) -> pd.DataFrame:
    """Measure NDCG of models under several splits: ``split, model, users, value, rank``.

    A split under which nobody has anything to find has no rows.
    """
    columns = ["split", "model", "users", "value", "rank"]
    parts = []
    for how in hows:
        try:
            split = make_split(tables, interest_of, how=how)
        except TooLittleError:
            continue
        values = compare(models, split, [k]).values.query("metric == 'ndcg'")
        mean = values.groupby("model", sort=False)["value"].mean()
        ranks = mean.rank(ascending=False, method="min").astype(int)
        part = pd.DataFrame({"value": mean, "rank": ranks}).reset_index()
        parts.append(part.assign(split=how, users=split.report.users))
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _wide(values: pd.DataFrame) -> pd.DataFrame:
    """One row a user, one column a model, in order of appearance: pseudonyms move no interval."""
    wide = values.pivot(index="user_id", columns="model", values="value")
    return wide.loc[values["user_id"].unique(), values["model"].unique()]


def _differences(
    wide: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    columns = ["model", "other", "difference", "low", "high", "p", "p_holm"]
    if not pairs:
        return pd.DataFrame(columns=columns)
    gaps = np.column_stack([wide[a] - wide[b] for a, b in pairs])
    ends = bootstrap_means(gaps, rng=rng, n_resamples=n_resamples)
    p = sign_flip_test(gaps, rng=rng)
    rows = [(*pair, end.estimate, end.low, end.high) for pair, end in zip(pairs, ends, strict=True)]
    return pd.DataFrame(rows, columns=columns[:5]).assign(p=p, p_holm=holm(p))
