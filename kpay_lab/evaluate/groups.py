"""Scores of a model by group of users and by popularity of items."""

import numpy as np
import pandas as pd

from kpay_lab.data.derived import age_band
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.evaluate.compare import Comparison
from kpay_lab.evaluate.ranking import find_hits
from kpay_lab.evaluate.split import Split
from kpay_lab.stats import bootstrap_means


def breakdown(
    values: pd.DataFrame,
    groups: pd.Series,
    *,
    rng: np.random.Generator,
    k: int = 10,
    min_users: int = 10,
) -> pd.DataFrame:
    """Mean NDCG by model and group of users, with intervals; small groups hidden.

    ``groups`` maps user_id to a label, such as a column of `user_groups`. Columns:
    ``group, users, model, mean, low, high, suppressed``.
    """
    ndcg = values[(values["metric"] == "ndcg") & (values["k"] == k)]
    by_model = ndcg.pivot(index="user_id", columns="model", values="value")
    by_model = by_model.loc[ndcg["user_id"].unique()]  # so that pseudonyms change no interval
    label = groups.reindex(by_model.index).fillna("unknown")
    rows = []
    for group, scores in by_model.groupby(label, sort=True):
        intervals = bootstrap_means(scores.to_numpy(), rng=rng)
        for model, mean in zip(scores, intervals, strict=True):
            rows.append((group, len(scores), model, mean.estimate, mean.low, mean.high))
    table = pd.DataFrame(rows, columns=["group", "users", "model", "mean", "low", "high"])
    return suppress_small_groups(table, "users", min_users, within="model")


def user_groups(split: Split) -> pd.DataFrame:
    """Label each user by activity in training, and by age band, gender and occupation if known.

    Activity: ``cold`` without a training event, else thirds of the users by number of items.
    """
    interest = split.train.interest
    n_items = np.diff(interest.values.indptr)
    rank = pd.Series(n_items).where(n_items > 0).rank(pct=True, method="max")
    activity = pd.cut(rank, [0, 1 / 3, 2 / 3, 1], labels=["low", "middle", "high"])
    groups = pd.DataFrame({"activity": activity.astype("str").to_numpy()}, index=interest.users)
    groups.loc[n_items == 0, "activity"] = "cold"
    tables = split.train.tables
    if tables is None or tables.users is None:
        return groups
    demographics = tables.users.set_index("user_id").reindex(interest.users)
    if "age" in demographics:
        groups["age"] = age_band(demographics["age"]).astype("object")
    for column in ("gender", "occupation"):
        if column in demographics:
            groups[column] = demographics[column]
    return groups


def recall_by_item_popularity(comparison: Comparison, split: Split, k: int = 10) -> pd.DataFrame:
    """Share of the relevant pairs found in the first k places, by popularity of the item.

    Items met in training are ranked by users: ``head`` are the most popular that gather half
    all training pairs, ``tail`` the rest, ``cold`` those without a training event. Columns:
    ``model, items, pairs, recall``.
    """
    popularity = np.bincount(split.seen.indices, minlength=split.seen.shape[1])
    order = np.argsort(-popularity, kind="stable")
    by_popularity = popularity[order]
    pairs_before = np.cumsum(by_popularity) - by_popularity
    is_head = np.zeros(len(popularity), dtype=bool)
    is_head[order] = pairs_before < popularity.sum() / 2
    head_or_tail = np.where(is_head, "head", "tail")
    band = np.where(popularity == 0, "cold", head_or_tail)
    relevant_counts = pd.Series(band[split.test.indices]).value_counts()
    rows = []
    for name, lists in comparison.lists.items():
        items = lists.items[:, :k]
        hits = find_hits(items, split.test[lists.users])
        hit_counts = pd.Series(band[items[hits]]).value_counts()
        for label, n_relevant in relevant_counts.items():
            recall = hit_counts.get(label, 0) / n_relevant
            rows.append((name, label, n_relevant, recall))
    return pd.DataFrame(rows, columns=["model", "items", "pairs", "recall"])
