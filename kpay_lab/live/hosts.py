r"""What a host adds, for the same hour, topic and audience: a mixed model of who buys.

In session :math:`s` of host :math:`h`, :math:`y` of :math:`n` people of one kind of audience buy:

.. math::
    y \sim \mathrm{Binomial}(n, p), \quad
    \operatorname{logit} p = x^\top \beta + a_h + b_s, \quad
    a_h \sim N(0, \tau^2), \quad b_s \sim N(0, \sigma^2)

Hosts who are seen little are drawn towards the others, the more so the less hosts differ
(:math:`\tau`). How much they differ is not known either: the answer is averaged over a grid of
:math:`\tau` and :math:`\sigma`, each weighted by how well it explains the sessions.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit
from scipy.stats import norm

from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding
from kpay_lab.live.sessions import LiveSessions
from kpay_lab.stats import ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HOURS = ("night", "morning", "afternoon", "evening")  # of six hours each, from midnight
NEW = "not seen before"
SEEN = "seen before"
BOUGHT = "bought before"
SPREADS = (0.02, 0.08, 0.16, 0.26, 0.38, 0.54, 0.75, 1.0, 1.4)  # tried for tau and sigma
PRIOR_SPREAD = 0.5  # scale of the half-normal prior of tau and sigma, in log-odds
RIDGE = 1e-3  # precision of the effects of hour, topic and audience: they are hardly held back
MOST_TOPICS = 20


@dataclass(frozen=True)
class MixedEffects:
    """The effects of groups, averaged over the spreads that may lie behind them.

    Parameters
    ----------
    mean : float array of shape (n_groups,)
        Of each group's effect less the mean effect of all groups, in log-odds.
    sd : float array of shape (n_groups,)
    baseline : float array of shape (n_rows,)
        The log-odds of each row without its group's effect, as far as the columns tell them.
    spread : float
        The mean of tau.
    """

    mean: np.ndarray
    sd: np.ndarray
    baseline: np.ndarray
    spread: float


@dataclass(frozen=True)
class _Rows:
    """What the model is fitted to; each array has a row a cell of people."""

    design: np.ndarray  # of hour, topic and audience, then one column a host
    session: np.ndarray
    n: np.ndarray
    y: np.ndarray
    n_fixed: int

    @property
    def n_sessions(self) -> int:
        return int(self.session.max()) + 1


def mixed_effects(
    fixed: np.ndarray, group: np.ndarray, session: np.ndarray, n: np.ndarray, y: np.ndarray
) -> MixedEffects:
    """Fit the model of this file, and average it over its two spreads.

    For each pair of spreads the effects are those that are likeliest, with the curvature there as
    their precision (Laplace); the pairs are weighted by the likelihood that is left when the
    effects are integrated out, and by a half-normal prior of scale `PRIOR_SPREAD`: that they differ
    by more than 1 in log-odds, 2.7 times as many buyers, is not expected.

    Parameters
    ----------
    fixed : float array of shape (n_rows, n_columns)
        A column of ones, and what else is held equal.
    group, session : int arrays of shape (n_rows,)
        Positions from 0; every session belongs to one group.
    n, y : arrays of shape (n_rows,)
        People, and how many of them bought.

    References
    ----------
    Tierney and Kadane (1986), Accurate approximations for posterior moments.
    Morris (1983), Parametric empirical Bayes inference.
    Röver et al. (2021), On weakly informative prior distributions for the heterogeneity parameter.
    """
    n_groups = int(group.max()) + 1
    of_group = np.eye(n_groups)[group]
    rows = _Rows(np.hstack([fixed, of_group]), session, n, y, fixed.shape[1])
    centre = np.eye(n_groups) - 1 / n_groups
    start = np.zeros(rows.design.shape[1])
    means = []
    variances = []
    baselines = []
    log_weights = []
    for tau in SPREADS:
        for sigma in SPREADS:
            effects, covariance, log_evidence = _laplace(rows, tau, sigma, start)
            of_columns, of_groups = np.split(effects, [rows.n_fixed])
            block = covariance[rows.n_fixed :, rows.n_fixed :]
            means.append(centre @ of_groups)
            variances.append(np.diag(centre @ block @ centre))
            baselines.append(fixed @ of_columns + of_groups.mean())
            log_prior = norm.logpdf([tau, sigma], scale=PRIOR_SPREAD).sum()
            log_weights.append(log_evidence + log_prior)
            start = effects
    weight = _weights(np.array(log_weights))
    mean = weight @ np.array(means)
    within = weight @ np.array(variances)
    between = weight @ np.square(np.array(means) - mean)
    tau_of_pair = np.repeat(SPREADS, len(SPREADS))
    return MixedEffects(
        mean=mean,
        sd=np.sqrt(within + between),
        baseline=weight @ np.array(baselines),
        spread=float(weight @ tau_of_pair),
    )


def _weights(log_weights: np.ndarray) -> np.ndarray:
    """Return the weight of each pair of spreads, for the stretch of the grid that it stands for."""
    width = np.gradient(np.array(SPREADS))
    stretch = np.outer(width, width).ravel()
    weights = stretch * np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def _laplace(
    rows: _Rows, tau: float, sigma: float, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the likeliest effects of columns and groups, their covariance, and the log evidence.

    Newton's method; the effects of sessions, each of which has its own rows, are solved for first
    (Schur's complement), so that many sessions cost little.
    """
    n_columns = rows.design.shape[1]
    precision = np.full(n_columns, RIDGE)
    precision[rows.n_fixed :] = tau**-2
    effects = start.copy()
    of_session = np.zeros(rows.n_sessions)
    for _ in range(50):
        probability = expit(rows.design @ effects + of_session[rows.session])
        surplus = rows.y - rows.n * probability
        weight = rows.n * probability * (1 - probability)
        weighted = rows.design * weight[:, None]
        across = np.zeros((rows.n_sessions, n_columns))
        np.add.at(across, rows.session, weighted)
        own = np.bincount(rows.session, weight, rows.n_sessions) + sigma**-2
        own_slope = np.bincount(rows.session, surplus, rows.n_sessions) - of_session / sigma**2
        slope = rows.design.T @ surplus - precision * effects
        information = rows.design.T @ weighted + np.diag(precision)
        reduced = information - across.T @ (across / own[:, None])
        step = np.linalg.solve(reduced, slope - across.T @ (own_slope / own))
        own_step = (own_slope - across @ step) / own
        effects = effects + step
        of_session = of_session + own_step
        if max(np.abs(step).max(), np.abs(own_step).max()) < 1e-6:
            break
    log_odds = rows.design @ effects + of_session[rows.session]
    of_buyers = rows.y @ log_expit(log_odds)
    of_others = (rows.n - rows.y) @ log_expit(-log_odds)
    log_prior = norm.logpdf(of_session, scale=sigma).sum()
    log_prior += norm.logpdf(effects, scale=precision**-0.5).sum()
    _, log_determinant = np.linalg.slogdet(reduced)
    log_curvature = log_determinant + np.log(own).sum()
    log_evidence = of_buyers + of_others + log_prior - log_curvature / 2
    return effects, np.linalg.inv(reduced), log_evidence


@dataclass(frozen=True)
class Hosts:
    """Hosts as they sold, and beside it what each adds for the same hour, topic and audience.

    Parameters
    ----------
    hosts : DataFrame
        Index: the hosts, who adds the most first. ``sessions``, ``viewers`` (people of each, added
        up), ``buyers`` among them, the ``raw_rate`` of buyers; ``effect, effect_low,
        effect_high``, what the host adds to the log-odds of buying beyond the average host, with
        its 95 % interval; and ``fair_rate, low, high``, the rate of buyers if the host had had
        everybody's hours, topics and audiences.
    held_equal : tuple of str
        What the log could tell of hour, topic and audience.
    spread : float
        How much hosts differ: the standard deviation of their effects in log-odds.
    """

    hosts: pd.DataFrame
    held_equal: tuple[str, ...]
    spread: float

    def table(self, *, minimum: int = 1) -> pd.DataFrame:
        """Return ``hosts`` with their ranks; counts of fewer than ``minimum`` buyers are hidden."""
        ranked = self.hosts.copy()
        ranked["raw_rank"] = ranked["raw_rate"].rank(ascending=False, method="min").astype(int)
        hide = ["raw_rate", "raw_rank"]
        hidden = suppress_small_groups(ranked, "buyers", minimum, hide=hide)
        return hidden.drop(columns="suppressed").rename_axis("host")

    def findings(self) -> list[Finding]:
        """Return whom to invite, and whom the raw table would have put first."""
        best = self.hosts.iloc[0]
        raw_best = self.hosts["raw_rate"].idxmax()
        average = np.average(self.hosts["fair_rate"])
        values: dict[str, Any] = {"best": str(best.name), "raw_best": str(raw_best)}
        values |= {"fair": best["fair_rate"], "low": best["low"], "high": best["high"]}
        values |= {"average": average, "n_hosts": len(self.hosts)}
        values["held_equal"] = self.held_equal or ("number of viewers",)
        values["is_shown"] = bool(best["effect_low"] > 0)
        level = "good" if values["is_shown"] else "watch"
        return [Finding("live/hosts", level, values, place="hosts")]

    def plot(self, ax: "Axes | None" = None, *, truth: pd.Series | None = None) -> "Axes":
        """Draw what each host adds with its interval; the raw rate, or the truth, beside it."""
        from kpay_lab.plots import plot_intervals  # here, for matplotlib is slow to import

        drawn = self.hosts.rename(columns={"effect": "value"})
        drawn["low"] = drawn["effect_low"]
        drawn["high"] = drawn["effect_high"]
        title = "What a host adds, beyond the average host"
        ax = plot_intervals(drawn[["value", "low", "high"]], ax=ax, zero=True, title=title)
        if truth is not None:
            rows = np.arange(len(drawn))
            ax.scatter(truth.reindex(drawn.index), rows, marker="|", s=160, color="black", zorder=4)
        ax.set_xlabel("log-odds of buying")
        return ax


def compare_hosts(
    tables: Tables, live: LiveSessions, *, time_zone: str = "UTC", minimum: int = 10
) -> Hosts:
    """Estimate what each host adds to the chance that a viewer buys.

    A viewer of a session is a person who entered it, and a buyer one with an order credited to
    it. Held equal are the quarter of the day in which it began, its category, and whether each
    viewer had been seen, or had bought, before it began.

    Parameters
    ----------
    minimum : int
        The fewest viewers of a host who is compared.

    Raises
    ------
    ValueError
        If the log names fewer than two such hosts, or no order is credited to their sessions.
    """
    if "host" not in live.sessions:
        raise ValueError("no session names its host (items.host)")
    people = _people(tables, live)
    viewers_of_host = people.groupby("host")["user_id"].nunique()
    compared = viewers_of_host.index[viewers_of_host >= minimum]
    is_compared = people["host"].isin(compared)
    people = people[is_compared]
    if len(compared) < 2:
        raise ValueError(f"fewer than two hosts have {minimum} viewers or more")
    if not people["bought"].any():
        raise ValueError("no order is credited to a session of theirs")
    held = _held_equal(people, live, time_zone)
    keys = ["session", "host", *held]
    cells = (
        people[["session", "host", "bought"]]
        .join(held)
        .groupby(keys, as_index=False, observed=True)["bought"]
        .agg(n="size", y="sum")
    )
    fixed = _columns_of(cells[list(held)])
    host, names = pd.factorize(cells["host"], sort=True)
    session, _ = pd.factorize(cells["session"])
    n = cells["n"].to_numpy(dtype=float)
    y = cells["y"].to_numpy(dtype=float)
    effects = mixed_effects(fixed, host, session, n, y)
    by_host = people.groupby("host")
    hosts = by_host["bought"].agg(viewers="size", buyers="sum").reindex(names)
    hosts.insert(0, "sessions", by_host["session"].nunique())
    hosts["raw_rate"] = ratio(hosts["buyers"], hosts["viewers"])
    half_width = norm.ppf(0.975) * effects.sd
    hosts["effect"] = effects.mean
    hosts["effect_low"] = effects.mean - half_width
    hosts["effect_high"] = effects.mean + half_width
    rates = {"fair_rate": "effect", "low": "effect_low", "high": "effect_high"}
    for rate, effect in rates.items():
        log_odds = effects.baseline[:, None] + hosts[effect].to_numpy()
        hosts[rate] = np.average(expit(log_odds), axis=0, weights=n)
    hosts = hosts.sort_values("effect", ascending=False)
    return Hosts(hosts.rename_axis("host"), tuple(held), effects.spread)


def _people(tables: Tables, live: LiveSessions) -> pd.DataFrame:
    """Return one row a session and a viewer: ``host``, ``bought``, and the ``audience``."""
    entered = live.visits[["session", "user_id"]].drop_duplicates()
    people = entered.join(live.sessions[["host", "started_at"]], on="session")
    people = people[people["host"].notna()].reset_index(drop=True)
    keys = pd.MultiIndex.from_frame(people[["session", "user_id"]])
    buyers = pd.MultiIndex.from_frame(live.orders[["session", "user_id"]])
    people["bought"] = keys.isin(buyers)
    first_seen = tables.timed().events.groupby("user_id")["timestamp"].min()
    was_seen = people["user_id"].map(first_seen) < people["started_at"]
    people["audience"] = np.where(was_seen, SEEN, NEW)
    if tables.orders is not None:
        first_order = tables.orders.groupby("user_id")["timestamp"].min()
        had_bought = people["user_id"].map(first_order) < people["started_at"]
        people["audience"] = people["audience"].mask(had_bought, BOUGHT)
    return people


def _held_equal(people: pd.DataFrame, live: LiveSessions, time_zone: str) -> pd.DataFrame:
    """Return the quarter of the day, the topic and the audience of each row, where they differ."""
    hour = people["started_at"].dt.tz_convert(time_zone).dt.hour
    held = {"hour": pd.Categorical.from_codes(hour // 6, HOURS).astype(str)}
    if "category" in live.sessions:
        topic = people["session"].map(live.sessions["category"]).fillna("not known")
        commonest = topic.value_counts().index[:MOST_TOPICS]
        held["topic"] = topic.where(topic.isin(commonest), "others")
    held["audience"] = people["audience"]
    table = pd.DataFrame(held, index=people.index)
    return table.loc[:, table.nunique() > 1]


def _columns_of(groups: pd.DataFrame) -> np.ndarray:
    """Return a column of ones, and one for each group of each column but its first."""
    columns = [np.ones((len(groups), 1))]
    for name in groups:
        indicators = pd.get_dummies(groups[name], drop_first=True, dtype=float)
        columns.append(indicators.to_numpy())
    return np.hstack(columns)
