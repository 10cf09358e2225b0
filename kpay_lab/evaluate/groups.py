"""Scores of a model by group of users and by popularity of items."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from kpay_lab.data.derived import age_band
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.evaluate.compare import SIGNIFICANT, Comparison
from kpay_lab.evaluate.split import Split
from kpay_lab.evaluate.ties import inclusion
from kpay_lab.findings import Finding
from kpay_lab.stats import Interval, holm, t_interval

FEWEST_FOUND = 10  # users with a value other than 0 behind an interval
MOST_WORSE = 3  # groups named as served worse
SAID_OF_GROUP = ["by", "group", "users", "mean", "low", "high", "others"]

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


def against_others(
    values: pd.DataFrame,
    groups: pd.DataFrame,
    *,
    model: str,
    k: int = 10,
    min_users: int = 10,
) -> pd.DataFrame:
    """Test each group of users against all others, in the NDCG of one model.

    Parameters
    ----------
    values : DataFrame
        ``model, metric, k, user_id, value``, as in `Comparison`.
    groups : DataFrame
        A column of labels for each way to part the users, by user id, as from `user_groups`.
    min_users : int
        Smallest group that is named.

    Returns
    -------
    DataFrame
        A row for each group that `breakdown` shows with an interval and that leaves as many
        others: ``by, group, users, mean, low, high, others`` (their mean), ``difference, p`` of
        Welch's test, and ``p_holm`` over all rows.
    """
    ndcg = _ndcg_by_user(values, model, k)
    of_model = values[values["model"] == model]
    rows = []
    for by in groups:
        label = groups[by].reindex(ndcg.index).fillna("unknown")
        table = breakdown(of_model, groups[by], k=k, min_users=min_users)
        with_interval = table.dropna(subset="low")
        for row in with_interval.to_dict("records"):
            is_member = label == row["group"]
            others = ndcg[~is_member]
            if len(others) < min_users:
                continue
            test = ttest_ind(ndcg[is_member], others, equal_var=False)
            row["by"] = by
            row["others"] = others.mean()
            row["p"] = test.pvalue
            rows.append(row)
    tested = pd.DataFrame(rows, columns=[*SAID_OF_GROUP, "p"])
    tested["difference"] = tested["mean"] - tested["others"]
    tested["p_holm"] = holm(tested["p"].to_numpy(dtype=float))
    return tested


def _ndcg_by_user(values: pd.DataFrame, model: str, k: int) -> pd.Series:
    """Return the NDCG of each user of one model, by user id in their order."""
    of_model = values[(values["model"] == model) & (values["k"] == k)]
    is_ndcg = of_model["metric"] == "ndcg"
    return of_model[is_ndcg].set_index("user_id")["value"]


def group_findings(tested: pd.DataFrame, *, model: str, k: int) -> list[Finding]:
    """Return which groups get worse lists than all others, the worst first; or that none is shown.

    Parameters
    ----------
    tested : DataFrame
        As from `against_others`.
    """
    is_worse = (tested["p_holm"] < SIGNIFICANT) & (tested["difference"] < 0)
    n_groups = len(tested)
    if not is_worse.any():
        values = {"model": model, "n_groups": n_groups}
        return [Finding("groups/alike", "plain", values, place="segments")]
    worst_first = tested[is_worse].sort_values("difference", kind="stable")
    found = []
    for _, row in worst_first.head(MOST_WORSE).iterrows():
        values = row[SAID_OF_GROUP].to_dict()
        values |= {"model": model, "p": row["p_holm"], "k": k}
        found.append(Finding("groups/worse", "watch", values, place="segments"))
    return found


def newcomer_findings(
    values: pd.DataFrame,
    is_new: pd.Series,
    *,
    answer: str,
    model: str,
    k: int = 10,
    min_users: int = 10,
) -> list[Finding]:
    """Return how new users, who get what is popular, are served beside known ones.

    Parameters
    ----------
    values : DataFrame
        ``model, metric, k, user_id, value``, as in `Comparison`.
    is_new : bool Series
        By user id, whether the user has no past.
    answer : str
        The model in ``values`` that serves both.
    model : str
        What it is called for known users.
    min_users : int
        Smallest group that is spoken of.
    """
    ndcg = _ndcg_by_user(values, answer, k)
    is_new_user = is_new.reindex(ndcg.index)
    new = ndcg[is_new_user].to_numpy()
    known = ndcg[~is_new_user].to_numpy()
    n_new = len(new)
    n_known = len(known)
    fewest = min(n_new, n_known)
    if fewest < min_users:
        return []
    said: dict[str, Any] = {"n_users": n_new, "model": model, "k": k}
    said["mean"] = new.mean()
    said["known"] = known.mean()
    said["difference"] = said["mean"] - said["known"]
    said |= {"low": None, "high": None}
    if _has_interval(new) and _has_interval(known):
        test = ttest_ind(new, known, equal_var=False)
        interval = test.confidence_interval()
        said |= {"low": interval.low, "high": interval.high}
    is_worse = said["high"] is not None and said["high"] < 0
    level = "watch" if is_worse else "plain"
    return [Finding("groups/newcomers", level, said, place="new_users")]


def _has_interval(scores: np.ndarray) -> bool:
    """Whether enough scores are not 0, and not all are equal."""
    n_found = np.count_nonzero(scores)
    return bool(n_found >= FEWEST_FOUND and np.ptp(scores) > 0)


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
