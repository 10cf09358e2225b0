"""For whom, and on what, is a model good? Means by group of users and by popularity of items."""

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
    chosen = values[(values["metric"] == "ndcg") & (values["k"] == k)]
    wide = chosen.pivot(index="user_id", columns="model", values="value")
    wide = wide.loc[chosen["user_id"].unique()]  # pseudonyms move no interval
    label = groups.reindex(wide.index).fillna("unknown")
    rows = []
    for name, part in wide.groupby(label, sort=True):
        for model, found in zip(part, bootstrap_means(part.to_numpy(), rng=rng), strict=True):
            rows.append((name, len(part), model, found.estimate, found.low, found.high))
    table = pd.DataFrame(rows, columns=["group", "users", "model", "mean", "low", "high"])
    return suppress_small_groups(table, "users", min_users, within="model")


def user_groups(split: Split) -> pd.DataFrame:
    """Label each user by activity in training, and by age band, gender and occupation if known.

    Activity: ``cold`` without a training event, else thirds of the users by number of items.
    """
    met = np.diff(split.train.interest.values.indptr)
    third = pd.Series(met).where(met > 0).rank(pct=True, method="max")
    bands = pd.cut(third, [0, 1 / 3, 2 / 3, 1], labels=["low", "middle", "high"])
    index = split.train.interest.users
    found = pd.DataFrame({"activity": bands.astype("str").to_numpy()}, index=index)
    found.loc[met == 0, "activity"] = "cold"
    people = None if split.train.tables is None else split.train.tables.users
    if people is None:
        return found
    people = people.set_index("user_id").reindex(index)
    if "age" in people:
        found["age"] = age_band(people["age"]).astype("object")
    for column in ("gender", "occupation"):
        if column in people:
            found[column] = people[column]
    return found


def recall_by_item_popularity(comparison: Comparison, split: Split, k: int = 10) -> pd.DataFrame:
    """Share of the relevant pairs found in the first k places, by popularity of the item.

    Items met in training are ranked by users: ``head`` are the most popular that gather half
    all training pairs, ``tail`` the rest, ``cold`` those without a training event. Columns:
    ``model, items, pairs, recall``.
    """
    met = np.bincount(split.seen.indices, minlength=split.seen.shape[1])
    order = np.argsort(-met, kind="stable")
    head = np.zeros(len(met), dtype=bool)
    head[order] = np.cumsum(met[order]) - met[order] < met.sum() / 2
    band = np.where(met == 0, "cold", np.where(head, "head", "tail"))
    asked = pd.Series(band[split.test.indices]).value_counts()
    rows = []
    for name, lists in comparison.lists.items():
        shown = lists.items[:, :k]
        hits = find_hits(shown, split.test[lists.users])
        found = pd.Series(band[shown[hits]]).value_counts()
        for items, pairs in asked.items():
            rows.append((name, items, pairs, found.get(items, 0) / pairs))
    return pd.DataFrame(rows, columns=["model", "items", "pairs", "recall"])
