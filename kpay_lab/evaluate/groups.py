"""Scores of a model by group of users and by popularity of items."""

import numpy as np
import pandas as pd

from kpay_lab.data.derived import age_band
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.evaluate.compare import Comparison
from kpay_lab.evaluate.split import Split
from kpay_lab.evaluate.ties import inclusion
from kpay_lab.stats import Interval, t_interval

FEWEST_FOUND = 10  # users with a value other than 0 behind an interval

# By the number of groups that ties leave.
NAMES_OF_ACTIVITY = {1: ["alike"], 2: ["low", "high"], 3: ["low", "middle", "high"]}

# What labels begin with that have an order.
IN_ORDER = ("cold", "alike", "low", "middle", "high", "under 18")


def breakdown(
    values: pd.DataFrame, groups: pd.Series, *, k: int = 10, min_users: int = 10
) -> pd.DataFrame:
    """Mean NDCG by model and group of users, small groups hidden.

    An interval is `stats.t_interval`, and stands only where `FEWEST_FOUND` users of the group
    have a value other than 0: with fewer no interval covers what it promises. There the mean
    and the count stand alone.

    Parameters
    ----------
    values : DataFrame
        ``model, metric, k, user_id, value``, as in `Comparison`.
    groups : Series
        Maps user_id to a label, such as a column of `user_groups`.
    min_users : int
        Smallest group that is shown at all.

    Returns
    -------
    DataFrame
        ``group, users, model, mean, low, high, suppressed``.
    """
    ndcg = values.query("metric == 'ndcg' and k == @k")
    by_model = ndcg.pivot(index="user_id", columns="model", values="value")
    users = ndcg["user_id"].unique()
    by_model = by_model.loc[users]
    label = groups.reindex(users).fillna("unknown")
    parts = []
    for group, scores in by_model.groupby(label, sort=True):
        intervals = [_interval(scores[model].to_numpy()) for model in scores]
        part = pd.DataFrame(intervals).rename(columns={"estimate": "mean"})
        part.insert(0, "group", group)
        part.insert(1, "users", len(scores))
        part.insert(2, "model", scores.columns)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    return suppress_small_groups(table, "users", min_users, within="model")


def _interval(scores: np.ndarray) -> Interval:
    """Return the mean of scores, from 0 up, and its interval where enough are not 0."""
    interval = t_interval(scores)
    if np.count_nonzero(scores) < FEWEST_FOUND:
        return Interval(interval.estimate, np.nan, np.nan)
    low = np.maximum(interval.low, 0.0)  # NaN stays
    return Interval(interval.estimate, float(low), interval.high)


def shown_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a `breakdown` that are not hidden, by group: labels in their order."""
    visible = table.dropna(subset="mean").set_index("group")
    position = pd.Series(range(len(IN_ORDER)), IN_ORDER)
    first_part = [str(label).partition(":")[0] for label in visible.index]
    positions = position.reindex(first_part)
    ordered = np.argsort(positions.to_numpy(), kind="stable")  # NaN, without an order, last
    return visible.iloc[ordered]


def user_groups(split: Split) -> pd.DataFrame:
    """Label each user by activity in training, and by age band, gender and occupation if known.

    Activity: the label of `activity_groups`, of the number of items met in training.
    """
    interest = split.train.interest
    n_items = np.diff(interest.values.indptr)
    groups = pd.DataFrame({"activity": activity_groups(n_items)}, index=interest.users)
    tables = split.train.tables
    if tables is None or tables.users is None:
        return groups
    users = tables.users.set_index("user_id")
    demographics = users.reindex(interest.users)
    if "age" in demographics:
        band = age_band(demographics["age"])
        groups["age"] = band.astype("object")
    for column in ("gender", "occupation"):
        if column in demographics:
            groups[column] = demographics[column]
    return groups


def activity_groups(n_items: np.ndarray) -> np.ndarray:
    """Label users (n,) by how many items they met: ``cold`` for none, else thirds of the users.

    Users with equally many items stay together. A border lies where it comes nearest to a
    third; where both come to lie in one place there are two groups, and one where all users
    have equally many. A label names its range.

    >>> activity_groups(np.array([0, 1, 1, 2, 3, 9, 9]))  # doctest: +NORMALIZE_WHITESPACE
    array(['cold', 'low: 1 item', 'low: 1 item', 'middle: 2–3 items', 'middle: 2–3 items',
           'high: 9 items', 'high: 9 items'], dtype=object)
    """
    is_warm = n_items > 0
    labels = np.full(len(n_items), "cold", dtype=object)
    if not is_warm.any():
        return labels
    numbers, n_users = np.unique(n_items[is_warm], return_counts=True)
    share_of_users = np.cumsum(n_users) / n_users.sum()
    borders = share_of_users[:-1]
    last_of_group = [len(numbers) - 1]
    for ideal in (2 / 3, 1 / 3) if len(borders) else ():
        nearest = int(np.argmin(np.abs(borders - ideal)))
        if nearest < last_of_group[0]:
            last_of_group.insert(0, nearest)
    first = 0
    for name, last in zip(NAMES_OF_ACTIVITY[len(last_of_group)], last_of_group, strict=True):
        least = numbers[first]
        most = numbers[last]
        span = f"{most}" if least == most else f"{least}–{most}"
        noun = "item" if most == 1 else "items"
        is_in_group = (n_items >= least) & (n_items <= most)
        labels[is_in_group] = f"{name}: {span} {noun}"
        first = last + 1
    return labels


def recall_by_item_popularity(comparison: Comparison, split: Split, k: int = 10) -> pd.DataFrame:
    """Share of the relevant pairs found in the first k places, by popularity of the item.

    Items met in training are ranked by users: ``head`` are the most popular that gather half
    all training pairs, ``tail`` the rest, ``cold`` those without a training event. It is the
    mean over every order of tied items where the lists carry their ties. Columns: ``model,
    items, pairs, recall``.
    """
    n_items = len(split.train.interest.items)
    popularity = np.bincount(split.met.indices, minlength=n_items)
    order = np.argsort(-popularity, kind="stable")
    by_popularity = popularity[order]
    pairs_before = np.cumsum(by_popularity) - by_popularity
    half_of_pairs = popularity.sum() / 2
    is_head = np.zeros(n_items, dtype=bool)
    is_head[order] = pairs_before < half_of_pairs
    head_or_tail = np.where(is_head, "head", "tail")
    band = np.where(popularity == 0, "cold", head_or_tail)
    relevant_bands = pd.Series(band[split.test.indices])
    n_relevant = relevant_bands.value_counts()
    parts = []
    for name, lists in comparison.lists.items():
        relevant = split.test[lists.users]
        shown = inclusion(lists.items, lists.ties, k, n_items)
        times_found = np.asarray(relevant.multiply(shown).sum(axis=0)).ravel()
        n_found = pd.Series(times_found).groupby(band).sum().reindex(n_relevant.index)
        part = pd.DataFrame({"pairs": n_relevant, "recall": n_found / n_relevant})
        part.insert(0, "model", name)
        parts.append(part.rename_axis("items").reset_index())
    table = pd.concat(parts, ignore_index=True)
    return table[["model", "items", "pairs", "recall"]]
