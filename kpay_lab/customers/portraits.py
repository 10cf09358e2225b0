"""Group users into segments that hold up under resampling; name them; tag interests."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

from kpay_lab.customers.features import log_lift, main_group
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.stats import random_state

METHODS = ("kmeans", "mixture")
COLUMNS = ["k", "silhouette", "null_mean", "null_sd", "null_max", "stability"]


@dataclass(frozen=True)
class Segments:
    """Groups of users and why there are this many.

    Parameters
    ----------
    k : int
        Number of groups; 1 says that no structure held up.
    labels : Series of int, index user_id
        Group of each user, 0 the largest.
    names : tuple of str
        What sets each group apart, such as ``"hour 6 +1.4, kind book +1.1"``.
    profile : DataFrame (k, n_features)
        Mean of each feature in the group, in standard deviations from everybody's.
    table : DataFrame
        One row a candidate k: silhouette, that of the null, stability, accepted.
    """

    k: int
    labels: pd.Series
    names: tuple[str, ...]
    profile: pd.DataFrame
    table: pd.DataFrame


def find_segments(
    features: pd.DataFrame,
    *,
    rng: np.random.Generator,
    method: str = "kmeans",
    ks: tuple[int, ...] = (2, 3, 4, 5, 6),
    n_resamples: int = 12,
    n_shuffles: int = 6,
    least_stability: float = 0.9,
) -> Segments:
    """Group users, with the largest k that is both stable and real (Ben-Hur et al., 2002).

    ``features`` (n_users, n_features) are numbers without gaps by user_id, standardised here;
    ``method`` is ``kmeans`` or ``mixture`` (Gaussians started from k-means). Stable and real
    are defined in `_accepted`; without such a k the answer is one group. One long cloud is
    told from two by neither test, so look at the map. Raises ValueError if the method is
    unknown, a value is missing, or users are fewer than groups.
    """
    values = _standardised(features, method, max(ks))
    shuffled = [rng.permuted(values, axis=0) for _ in range(n_shuffles)]
    drawn = rng.integers(0, len(values), (n_resamples, len(values)))
    seed = random_state(rng)
    sample = rng.permutation(len(values))[:1000]
    group = partial(group_users, method=method, seed=seed)
    rows, groupings = [], {1: np.zeros(len(values), int)}
    for k in ks:
        labels = groupings[k] = group(values, values, k)
        stable = [adjusted_rand_score(labels, group(values[draw], values, k)) for draw in drawn]
        null = [_score(x, group(x, x, k), sample) for x in shuffled]
        spread = np.mean(null), np.std(null, ddof=1), max(null), np.mean(stable)
        rows.append((k, _score(values, labels, sample), *map(float, spread)))
    table = _accepted(pd.DataFrame(rows, columns=COLUMNS), least_stability)
    k = int(table.loc[table["accepted"], "k"].max()) if table["accepted"].any() else 1
    return _describe(features, values, groupings[k], table)


def segment_map(features: pd.DataFrame, segments: Segments) -> pd.DataFrame:
    """Project users on the two directions of largest spread: columns x, y, segment.

    Users who are all alike lie on one point.
    """
    values = (features - features.mean()) / features.std().replace(0, 1)
    xy = np.zeros((len(values), 2))
    if np.any(values):
        n = min(2, *values.shape)
        xy[:, :n] = PCA(n, random_state=0).fit_transform(values)
    return pd.DataFrame(xy, features.index, ["x", "y"]).assign(segment=segments.labels)


def interest_tags(tables: Tables, *, n_tags: int = 3, least_events: int = 5) -> pd.DataFrame:
    """Tag each user with the categories watched more than others watch them.

    Returns
    -------
    DataFrame
        Columns user_id, rank (from 1), tag, lift: the user's share of the category over
        everybody's, shrunk as in `features.log_lift`; only lifts above 1, and only users
        with ``least_events`` events.

    Raises
    ------
    ValueError
        If the items have no category.
    """
    if tables.items is None or "category" not in tables.items:
        raise ValueError("interest tags need items.category; add the column or leave tags out")
    events, categories = tables.events, main_group(tables.items, "category")
    counts = events["user_id"].value_counts(sort=False)
    users = pd.Index(counts.index[counts >= least_events], name="user_id")
    mine = events["user_id"].isin(users)
    lift = np.exp(log_lift(events["user_id"], events["item_id"].map(categories), users))
    long = lift.stack().rename("lift").rename_axis(["user_id", "tag"]).reset_index()
    if not mine.any() or (long := long[long["lift"] > 1]).empty:
        return pd.DataFrame({"user_id": [], "rank": [], "tag": [], "lift": []})
    long = long.sort_values(["user_id", "lift"], ascending=[True, False], kind="stable")
    long["rank"] = long.groupby("user_id").cumcount() + 1
    top = long[long["rank"] <= n_tags]
    return top[["user_id", "rank", "tag", "lift"]].reset_index(drop=True)


def _standardised(features: pd.DataFrame, method: str, most: int) -> np.ndarray:
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
    if len(features) <= most:
        raise TooLittleError(f"{len(features)} users are too few for {most} groups; lower ks")
    if features.isna().any(axis=None):
        gap = features.columns[features.isna().any()][0]
        raise ValueError(f"feature {gap!r} has gaps; fill or drop it before grouping users")
    values = features.to_numpy(dtype=np.float64)
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)


def _accepted(table: pd.DataFrame, least_stability: float) -> pd.DataFrame:
    """Mark the ks whose groups are stable and real.

    Stable: the mean adjusted Rand index between the grouping and those learned from
    bootstrap samples is at least ``least_stability``. Real: the silhouette lies more than
    three standard deviations above, and above the largest of, that of shuffled columns.
    """
    bar = np.maximum(table["null_mean"] + 3 * table["null_sd"], table["null_max"])
    stable = table["stability"] >= least_stability
    return table.assign(accepted=stable & (table["silhouette"] > bar))


def group_users(
    learned: np.ndarray, values: np.ndarray, k: int, *, method: str = "kmeans", seed: int = 0
) -> np.ndarray:
    """Return the groups of ``values`` under k groups learned from ``learned``: int (n,).

    Both are (n, n_features). Users who are all alike cannot be told apart: where fewer than k
    differ, there are as many groups as differ.
    """
    k = _count_different(learned, k)
    model = KMeans(k, n_init=2, random_state=seed).fit(learned)
    if method == "mixture":
        options = {"covariance_type": "diag", "reg_covar": 1e-3, "random_state": seed}
        options |= {"means_init": model.cluster_centers_, "max_iter": 1000}
        model = GaussianMixture(k, **options).fit(learned)
    return model.predict(values)


def _count_different(values: np.ndarray, most: int) -> int:
    """Count the rows that differ, up to ``most``; a few rows mostly settle it."""
    some = len(np.unique(values[: 10 * most], axis=0))
    return most if some >= most else min(most, len(np.unique(values, axis=0)))


def _score(values: np.ndarray, labels: np.ndarray, sample: np.ndarray) -> float:
    """Silhouette on a sample of users; −1 where a single group is left."""
    labels = labels[sample]
    several = 1 < len(np.unique(labels)) < len(labels)
    return float(silhouette_score(values[sample], labels)) if several else -1.0


def _describe(
    features: pd.DataFrame, values: np.ndarray, labels: np.ndarray, table: pd.DataFrame
) -> Segments:
    """Number the groups by size and name them by their largest standardised differences."""
    found, labels = np.unique(labels, return_inverse=True)
    order = np.argsort(-np.bincount(labels), kind="stable")
    labels = np.argsort(order)[labels]
    frame = pd.DataFrame(values, features.index, features.columns)
    profile = frame.groupby(labels).mean().rename_axis("segment")
    names = []
    for _, row in profile.iterrows():
        top = row.loc[row.abs().nlargest(3).index]
        names.append(", ".join(f"{name} {value:+.1f}" for name, value in top.items()))
    if len(found) == 1:
        names = ["everybody"]
    return Segments(
        len(found), pd.Series(labels, features.index, name="segment"), tuple(names), profile, table
    )
