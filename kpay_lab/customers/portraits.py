"""Group users into segments that hold up under resampling; name them; tag interests."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

from kpay_lab.customers.features import log_lift, main_group, user_features, without_gaps
from kpay_lab.customers.reference import one_crowd
from kpay_lab.data.codes import look_up, take_rows
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.findings import Finding
from kpay_lab.stats import random_state, ratio, sample_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS = ("kmeans", "mixture")
LEAST_STABILITY = 0.9  # mean adjusted Rand index that counts as stable, unless told otherwise
ABOUT_ACTIVITY = 0.1  # share of the variance of log events that makes segments a matter of activity
MOST_USERS = 5000  # on whom a number of segments is settled: they are grouped some 200 times
SILHOUETTE_USERS = 1000  # a silhouette takes the distances of all pairs of its users


@dataclass(frozen=True)
class Segments:
    """Groups of users and why there are this many.

    Parameters
    ----------
    k : int
        Number of groups; 1 where no k was both stable and real.
    labels : Series of int, index user_id
        Group of each user, 0 the largest.
    names : tuple of str
        What sets each group apart, such as ``"hour 6 +1.4, kind book +1.1"``.
    profile : DataFrame (k, n_features)
        Mean of each feature in the group, in standard deviations from everybody's.
    candidates : DataFrame
        One row a candidate k: silhouette, stability, the mean silhouette of crowds of one kind
        (``null_mean``), the ``threshold`` that it must pass, accepted.
    n_judged : int
        Users on whom k was settled: all, or a sample of them.
    """

    k: int
    labels: pd.Series
    names: tuple[str, ...]
    profile: pd.DataFrame
    candidates: pd.DataFrame
    n_judged: int

    def table(self) -> pd.DataFrame:
        """Return the name, the users and their share, a row a segment."""
        n_users = self.labels.value_counts().reindex(range(self.k))
        table = pd.DataFrame({"name": self.names, "n": n_users, "share": n_users / n_users.sum()})
        return table.rename_axis("segment")

    def findings(self, second: "Segments", n_events: pd.Series) -> list[Finding]:
        """Return whether segments exist, and if so what tells them apart.

        Parameters
        ----------
        second : Segments
            Those of another method, as a second opinion.
        n_events : Series of int, index user_id
            Events of each person: segments may only part busy people from quiet ones.
        """
        about_activity = self._by_activity(n_events)
        found = [self._exist(second, by_activity=bool(about_activity))]
        if self.n_judged < len(self.labels):
            values = {"n_judged": self.n_judged, "n_users": len(self.labels)}
            found.append(Finding("segments/sample", "plain", values, place="choice_of_k"))
        if self.k > 1:
            found += about_activity or [self._apart()]
        return found

    def _exist(self, second: "Segments", *, by_activity: bool) -> Finding:
        """Say whether segments exist, and how steady the best grouping is."""
        rows = self.candidates
        chosen = rows[rows["k"] == self.k]
        most_stable = rows.nlargest(1, "stability")
        shown = most_stable if chosen.empty else chosen
        values = {
            "k": self.k,
            "n_users": len(self.labels),
            "stability": shown["stability"].item(),
            "tried": int(shown["k"].item()),
            "needed": LEAST_STABILITY,
            "second_k": second.k,
            "agreement": adjusted_rand_score(self.labels, second.labels),
            "by_activity": by_activity,
        }
        both_find_some = min(self.k, second.k) > 1
        level = "good" if both_find_some and not by_activity else "watch"
        return Finding("segments/exist", level, values, place="choice_of_k")

    def _apart(self) -> Finding:
        """Say how large the segments are, and in which features their means differ most."""
        shares = self.table()["share"]
        reach = self.profile.max() - self.profile.min()
        widest = reach.nlargest(3)
        values = {
            "k": self.k,
            "largest": shares.max(),
            "smallest": shares.min(),
            "features": tuple(widest.index),
            "reach": widest.iloc[0],
        }
        return Finding("segments/apart", "plain", values, place="profiles")

    def _by_activity(self, n_events: pd.Series) -> list[Finding]:
        """Say whether the segments part busy people from quiet ones; else nothing."""
        amount = np.log(n_events.reindex(self.labels.index))
        if amount.nunique() == 1:
            return []
        mean_of_segment = amount.groupby(self.labels).transform("mean")
        explained = float(mean_of_segment.var(ddof=0) / amount.var(ddof=0))
        if explained < ABOUT_ACTIVITY:
            return []
        typical = n_events.groupby(self.labels).median()
        values = {
            "quietest": int(typical.idxmin()),
            "fewest": typical.min(),
            "busiest": int(typical.idxmax()),
            "highest": typical.max(),
            "explained": explained,
        }
        return [Finding("segments/activity", "watch", values, place="segments_otherwise")]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw each group's mean of the 20 features that differ most, and return the Axes."""
        from kpay_lab.plots import plot_heat  # here, for matplotlib is slow to import

        largest = self.profile.abs().max().nlargest(20).index
        features = self.profile.columns[self.profile.columns.isin(largest)]
        labels = [f"{number} (n = {n})" for number, n in self.table()["n"].items()]
        means = self.profile[features].set_axis(labels).T
        reach = means.abs().max(axis=None)
        return plot_heat(
            means,
            ax=ax,
            fmt=".1f",
            limits=(-reach, reach),
            colours="vlag",
            title="Segments, in standard deviations from everybody",
            xlabel="segment",
            ylabel="",
        )

    def plot_choice(self) -> "Figure":
        """Draw stability and silhouette by k, with the bar that each must pass.

        Accepted k are dots. Two panels, for the two have different scales.
        """
        from kpay_lab import plots

        fig, (stability, silhouette) = plots.new_figure(1, 2)
        ks = self.candidates["k"]
        threshold = self.candidates["threshold"]
        data = {"data": self.candidates}
        plots.plot_curves(data, "k", "stability", ax=stability, ylabel="adjusted Rand index")
        stability.axhline(LEAST_STABILITY, **plots.GUIDE)
        stability.set_title("Stable under resampling?")
        plots.plot_curves(data, "k", "silhouette", ax=silhouette, ylabel="silhouette")
        silhouette.plot(ks, threshold, label="reach of one kind", **plots.GUIDE)
        silhouette.set_title("More than chance?")
        silhouette.legend()
        accepted = self.candidates[self.candidates["accepted"]]
        for ax, measure in ((stability, "stability"), (silhouette, "silhouette")):
            ax.plot(accepted["k"], accepted[measure], "o", color=plots.ORANGE)
            ax.set(xlabel="k", xticks=ks)
        return fig


def find_segments(
    features: pd.DataFrame,
    *,
    rng: np.random.Generator,
    method: str = "kmeans",
    ks: tuple[int, ...] = (2, 3, 4, 5, 6),
    n_resamples: int = 12,
    n_crowds: int = 19,
    least_stability: float = LEAST_STABILITY,
    most_users: int = MOST_USERS,
) -> Segments:
    """Group users, with the largest k that is both stable and real (Ben-Hur et al., 2002).

    ``features`` (n_users, n_features) are numbers without gaps by user_id, standardised here;
    ``method`` is ``kmeans`` or ``mixture`` (Gaussians started from k-means). Stable and real
    are defined in `_accepted`: stable against ``n_resamples`` bootstrap samples, real against
    ``n_crowds`` crowds of one kind with the correlations and the skew of the features
    (`reference.one_crowd`). Without such a k the answer is one group. One crowd is called
    real in 1 / (1 + n_crowds) of all logs, whatever the number of ks.

    Of more than ``most_users`` so many are drawn by chance, and k is settled on these: they are
    what is resampled, and the crowds are as large. Everybody then goes to the group that is
    nearest, of those that these people make. Raises ValueError if the method is unknown, a value
    is missing, or users are fewer than groups.
    """
    _check(features, method, max(ks), most_users)
    of_everybody = features.to_numpy(dtype=np.float64)
    judged = _judged(len(of_everybody), most_users, rng)
    everybody = _scaled(of_everybody, like=of_everybody[judged])
    values = everybody[judged]
    n_users = len(values)
    # Every k is tested on the same draws, so that only k differs between the rows.
    crowds = [_scaled(crowd, like=crowd) for crowd in one_crowd(values, n_draws=n_crowds, rng=rng)]
    resamples = rng.integers(0, n_users, (n_resamples, n_users))
    seed = random_state(rng)
    silhouette_sample = rng.permutation(n_users)[:SILHOUETTE_USERS]
    group = partial(group_users, method=method, seed=seed)
    groupings = {1: np.zeros(len(everybody), int)}
    rows = []
    silhouettes_of_crowds = []
    for k in ks:
        groupings[k] = group(values, everybody, k)
        labels = groupings[k][judged]
        agreements = []
        for resample in resamples:
            resampled_labels = group(values[resample], values, k)
            agreements.append(adjusted_rand_score(labels, resampled_labels))
        of_crowds = []
        for crowd in crowds:
            crowd_labels = group(crowd, crowd, k)
            of_crowds.append(_silhouette(crowd, crowd_labels, silhouette_sample))
        silhouettes_of_crowds.append(of_crowds)
        row = {
            "k": k,
            "silhouette": _silhouette(values, labels, silhouette_sample),
            "stability": float(np.mean(agreements)),
        }
        rows.append(row)
    candidates = _accepted(pd.DataFrame(rows), np.array(silhouettes_of_crowds), least_stability)
    accepted_ks = candidates.loc[candidates["accepted"], "k"]
    chosen_k = 1 if accepted_ks.empty else int(accepted_ks.max())
    return _describe(features, groupings[chosen_k], candidates, n_users)


@dataclass(frozen=True)
class HalvesAgreement:
    """Whether half of a person's events puts the person where the other half does.

    Parameters
    ----------
    k : int
        Number of segments.
    n_users : int
        People with events in both halves.
    agreement : float
        Adjusted Rand index of the two groupings: 1 is the same one, 0 is chance.
    """

    k: int
    n_users: int
    agreement: float

    def findings(self) -> list[Finding]:
        """Return whether a person, and not only a segment, is found again."""
        values = {"k": self.k, "n_users": self.n_users, "agreement": self.agreement}
        values["needed"] = LEAST_STABILITY
        level = "good" if self.agreement >= LEAST_STABILITY else "watch"
        return [Finding("segments/people", level, values, place="profiles")]


def compare_halves(
    tables: Tables,
    columns: list[str],
    k: int,
    *,
    rng: np.random.Generator,
    seed: int = 0,
    least_users: int = 100,
) -> HalvesAgreement:
    """Group people by each of two random halves of their events, and compare the groupings.

    Parameters
    ----------
    columns : list of str
        The features to group by; those that a half lacks are left out.
    k : int
        Number of groups.

    Raises
    ------
    TooLittleError
        If the people with events in both halves are not more than ``least_users``.
    """
    half = rng.random(len(tables.events)) < 0.5
    portraits = []
    for side in (half, ~half):
        half_of_events = take_rows(tables.events, side)
        portraits.append(user_features(tables.with_events(half_of_events)))
    both = portraits[0].index.intersection(portraits[1].index)
    if len(both) <= least_users:
        raise TooLittleError(
            f"{len(both):,} users are in both halves, and it takes more than {least_users}"
        )
    groupings = []
    for portrait in portraits:
        habits = without_gaps(portrait[_in_each(columns, portraits)])
        values = habits.loc[both].to_numpy(dtype=np.float64)
        values = _scaled(values, like=values)
        groupings.append(group_users(values, values, k, seed=seed))
    return HalvesAgreement(k, len(both), float(adjusted_rand_score(*groupings)))


def _in_each(columns: list[str], frames: list[pd.DataFrame]) -> list[str]:
    shared = pd.Index(columns)
    for frame in frames:
        shared = shared[shared.isin(frame.columns)]
    return list(shared)


def segment_map(features: pd.DataFrame, segments: Segments) -> pd.DataFrame:
    """Project users on the two directions of largest spread: columns x, y, segment.

    Users who are all alike lie on one point.
    """
    spread = features.std().replace(0, 1)
    values = (features - features.mean()) / spread
    xy = np.zeros((len(values), 2))
    if np.any(values):
        n_directions = min(2, *values.shape)
        pca = PCA(n_directions, random_state=0)
        xy[:, :n_directions] = pca.fit_transform(values)
    projected = pd.DataFrame(xy, features.index, ["x", "y"])
    return projected.assign(segment=segments.labels)


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
    events = tables.events
    counts = events["user_id"].value_counts(sort=False)
    users = pd.Index(counts.index[counts >= least_events], name="user_id")
    categories = look_up(events["item_id"], main_group(tables.items, "category"))
    lift = np.exp(log_lift(events["user_id"], categories, users))
    tags = lift.stack().rename("lift").rename_axis(["user_id", "tag"]).reset_index()
    tags = tags[tags["lift"] > 1]
    if tags.empty:
        return pd.DataFrame({"user_id": [], "rank": [], "tag": [], "lift": []})
    tags = tags.sort_values(["user_id", "lift"], ascending=[True, False], kind="stable")
    tags["rank"] = tags.groupby("user_id").cumcount() + 1
    top = tags[tags["rank"] <= n_tags]
    return top[["user_id", "rank", "tag", "lift"]].reset_index(drop=True)


def _check(features: pd.DataFrame, method: str, most: int, most_users: int) -> None:
    """Refuse what `find_segments` cannot group into ``most`` groups."""
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
    if len(features) <= most:
        raise TooLittleError(f"{len(features)} users are too few for {most} groups; lower ks")
    if most_users <= most:
        raise ValueError(f"most_users is {most_users}; it takes more than {most} groups, the most")
    has_gaps = features.isna().any()
    if has_gaps.any():
        name = features.columns[has_gaps][0]
        raise ValueError(f"feature {name!r} has gaps; fill or drop it before grouping users")


def _judged(n_users: int, most_users: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of the users on whom k is settled, rising; nothing is drawn for all."""
    if n_users <= most_users:
        return np.arange(n_users)
    return sample_rows(n_users, most_users, rng=rng)


def _scaled(values: np.ndarray, *, like: np.ndarray) -> np.ndarray:
    """Scale each column so that ``like`` has mean 0 and deviation 1; a constant one becomes 0."""
    spread = like.std(axis=0)
    scale = np.where(spread > 0, spread, 1)
    return (values - like.mean(axis=0)) / scale


def _accepted(
    table: pd.DataFrame, silhouettes_of_crowds: np.ndarray, least_stability: float
) -> pd.DataFrame:
    """Mark the ks whose groups are stable and real.

    Stable: the mean adjusted Rand index between the grouping and those learned from
    bootstrap samples is at least ``least_stability``. Real: the silhouette lies more standard
    deviations above the mean, of the users and the crowds (n_ks, n_crowds) together, than that
    of any crowd at any k. Were the users one more crowd, each would be as likely to lie
    farthest (Westfall & Young, 1993: the maximum over all tests).
    """
    of_users = table["silhouette"].to_numpy()
    together = np.column_stack([of_users, silhouettes_of_crowds])
    mean = together.mean(axis=1)
    spread = together.std(axis=1)
    above_mean = silhouettes_of_crowds - mean[:, None]
    farthest = ratio(above_mean, spread[:, None]).max()
    threshold = mean + farthest * spread
    real = of_users > threshold
    stable = table["stability"] >= least_stability
    judged = table.assign(null_mean=silhouettes_of_crowds.mean(axis=1), threshold=threshold)
    return judged.assign(accepted=stable & real)


def group_users(
    train: np.ndarray, values: np.ndarray, k: int, *, method: str = "kmeans", seed: int = 0
) -> np.ndarray:
    """Return the group of each row of ``values`` under k groups fitted to ``train``: int (n,).

    Both are float (n, n_features). Where fewer than k rows of ``train`` are distinct, there
    are as many groups as distinct rows.
    """
    k = _count_distinct(train, k)
    kmeans = KMeans(k, n_init=2, random_state=seed).fit(train)
    if method == "kmeans":
        return kmeans.predict(values)
    mixture = GaussianMixture(
        k,
        covariance_type="diag",
        reg_covar=1e-3,
        random_state=seed,
        means_init=kmeans.cluster_centers_,
        max_iter=1000,
    )
    return mixture.fit(train).predict(values)


def _count_distinct(values: np.ndarray, most: int) -> int:
    """Count the distinct rows, up to ``most``; the first rows are mostly enough to reach it."""
    n_distinct_first = len(np.unique(values[: 10 * most], axis=0))
    if n_distinct_first >= most:
        return most
    n_distinct = len(np.unique(values, axis=0))
    return min(most, n_distinct)


def _silhouette(values: np.ndarray, labels: np.ndarray, sample: np.ndarray) -> float:
    """Silhouette on a sample of users; −1 where it is not defined.

    It needs two groups or more, and fewer groups than users.
    """
    sample_labels = labels[sample]
    n_groups = len(np.unique(sample_labels))
    if not 1 < n_groups < len(sample):
        return -1.0
    return float(silhouette_score(values[sample], sample_labels))


def _describe(
    features: pd.DataFrame, labels: np.ndarray, candidates: pd.DataFrame, n_judged: int
) -> Segments:
    """Number the groups by size and name them by their largest standardised differences."""
    group_labels, group = np.unique(labels, return_inverse=True)
    largest_first = np.argsort(-np.bincount(group), kind="stable")
    size_rank = np.argsort(largest_first)
    segment = pd.Series(size_rank[group], features.index, name="segment")
    values = features.to_numpy(dtype=np.float64)
    scaled = _scaled(values, like=values)
    standardised = pd.DataFrame(scaled, features.index, features.columns)
    profile = standardised.groupby(segment.to_numpy()).mean().rename_axis("segment")
    names = []
    for _, means in profile.iterrows():
        largest = means.abs().nlargest(3).index
        differences = [f"{name} {value:+.1f}" for name, value in means.loc[largest].items()]
        names.append(", ".join(differences))
    if len(group_labels) == 1:
        names = ["everybody"]
    return Segments(
        k=len(group_labels),
        labels=segment,
        names=tuple(names),
        profile=profile,
        candidates=candidates,
        n_judged=n_judged,
    )
