r"""How long people stay: survival curves of visits, those that were cut off counted as such.

With :math:`n_j` visits that last until :math:`t_j` and :math:`d_j` that end there by choice, the
share that stays longer than :math:`t` is

.. math:: \hat S(t) = \prod_{t_j \le t} \left(1 - \frac{d_j}{n_j}\right)

A visit that ran into the end of its session is no choice to leave: it is known to be as long as it
was seen, and leaves :math:`n_j` without adding to :math:`d_j`. So does one that the log's end cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm

from kpay_lab.findings import Finding
from kpay_lab.live.sessions import LiveSessions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EVERYBODY = "all visits"
NUMBERS_A_BLOCK = 4_000_000
LONG = 300.0  # seconds of a visit that is called long
MARKS = (10.0, 60.0, LONG, 1800.0)  # seconds of which a table tells who stays longer


def kaplan_meier(
    stay: np.ndarray, left: np.ndarray, units: np.ndarray | None = None, *, level: float = 0.95
) -> pd.DataFrame:
    r"""Estimate the share that stays longer than each time, by the product-limit formula.

    The interval is that of :math:`\log(-\log S)`, so that it stays between 0 and 1. The variance of
    :math:`\log S` adds up the squared influence of each unit, so that the visits of one person need
    not be independent; where every visit is a unit of its own, it is Greenwood's.

    Parameters
    ----------
    stay : float array of shape (n,)
        How long each visit was seen, 0 or more.
    left : bool array of shape (n,)
        Whether it ended then by choice; where not, it was cut off.
    units : array of shape (n,), optional
        What each visit belongs to, such as its user; by default to itself.

    Returns
    -------
    DataFrame
        One row a time at which a visit ended by choice, after a first row at 0: ``time``,
        ``at_risk`` visits that last until then, ``stays`` (the share that stays longer), ``low``
        and ``high`` (NaN where the share is 0 or 1).

    References
    ----------
    Kaplan and Meier (1958), Nonparametric estimation from incomplete observations.
    Ying and Wei (1994), The Kaplan-Meier estimate for dependent failure time observations.

    Examples
    --------
    >>> curve = kaplan_meier(np.array([10.0, 20.0, 20.0, 40.0]), np.array([1, 1, 0, 1]) == 1)
    >>> curve["stays"].tolist()
    [1.0, 0.75, 0.5, 0.0]
    """
    unit = np.arange(len(stay)) if units is None else pd.factorize(units)[0]
    visits = pd.DataFrame({"stay": stay, "left": left, "unit": unit}).sort_values("unit")
    times = np.unique(stay[left])
    at_risk = len(stay) - np.searchsorted(np.sort(stay), times, side="left")
    left_by_then = np.searchsorted(np.sort(stay[left]), times, side="right")
    n_left = np.diff(left_by_then, prepend=0)
    stays = np.cumprod(1 - n_left / at_risk)
    variance = _variance_of_log(visits, times, at_risk, n_left)
    low, high = _log_log_interval(stays, variance, level)
    curve = {"time": times, "at_risk": at_risk, "stays": stays, "low": low, "high": high}
    rows = pd.DataFrame(curve)
    at_start = {"time": 0.0, "at_risk": len(stay), "stays": 1.0, "low": np.nan, "high": np.nan}
    everybody = pd.DataFrame([at_start])
    return pd.concat([everybody, rows[rows["time"] > 0]], ignore_index=True)


def _variance_of_log(
    visits: pd.DataFrame, times: np.ndarray, at_risk: np.ndarray, n_left: np.ndarray
) -> np.ndarray:
    r"""Return the variance of :math:`\log \hat S` at each time: the squared influence of units.

    A visit adds :math:`d_j / n_j (n_j - d_j)` at each time that it reaches, and takes
    :math:`1 / (n_j - d_j)` away at the time it leaves. Units are added up in blocks that fit into
    memory; visits come in their order.
    """
    n_stay_on = np.where(at_risk > n_left, at_risk - n_left, np.nan)
    added = np.cumsum(n_left / (at_risk * n_stay_on))
    reached = np.searchsorted(times, visits["stay"], side="right") - 1
    is_told = reached >= 0  # a visit cut off before anybody left tells nothing
    last = reached[is_told]
    unit = visits["unit"].to_numpy()[is_told]
    has_left = visits["left"].to_numpy()[is_told]
    influence_at_last = added[last] - np.where(has_left, 1 / n_stay_on[last], 0.0)
    variance = np.zeros(len(times))
    n_units = 1 + int(visits["unit"].max())
    size = max(1, NUMBERS_A_BLOCK // max(len(times), 1))
    for first in range(0, n_units, size):
        of_block = slice(*np.searchsorted(unit, [first, first + size]))
        cells = (unit[of_block] - first, last[of_block])
        ended = np.zeros((min(size, n_units - first), len(times)))
        settled = np.zeros_like(ended)
        np.add.at(ended, cells, 1.0)
        np.add.at(settled, cells, influence_at_last[of_block])
        n_ended = np.cumsum(ended, axis=1)
        n_going_on = n_ended[:, -1:] - n_ended
        influence = np.cumsum(settled, axis=1) + n_going_on * added
        variance += np.square(influence).sum(axis=0)
    return variance


def _log_log_interval(
    stays: np.ndarray, variance: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    z = norm.ppf((1 + level) / 2)
    log_stays = np.log(np.where((stays > 0) & (stays < 1), stays, np.nan))
    half_width = z * np.sqrt(variance) / -log_stays
    low = np.exp(log_stays * np.exp(half_width))
    high = np.exp(log_stays * np.exp(-half_width))
    return low, high


def share_after(curve: pd.DataFrame, seconds: float) -> pd.Series:
    """Return the row of a curve that holds at a time: ``stays, low, high`` and the ``at_risk``.

    Beyond the longest stay seen nothing is known, unless everybody had left: ``stays`` is NaN.

    >>> curve = kaplan_meier(np.array([10.0, 30.0]), np.array([True, True]))
    >>> float(share_after(curve, 20.0)["stays"])
    0.5
    """
    return curve[curve["time"] <= seconds].iloc[-1]


def time_until(curve: pd.DataFrame, share: float = 0.5) -> tuple[float, float, float]:
    """Return when the share that stays falls to ``share``, and the ends of its interval.

    An end is NaN where the interval of the curve never reaches the share, the estimate where the
    curve does not (Brookmeyer and Crowley, 1982).

    >>> curve = kaplan_meier(np.array([10.0, 20.0, 30.0]), np.array([True, True, True]))
    >>> time_until(curve)[0]
    20.0
    """
    estimate = _first_time(curve, "stays", share)
    earliest = _first_time(curve, "low", share)
    latest = _first_time(curve, "high", share)
    return estimate, earliest, latest


def _first_time(curve: pd.DataFrame, column: str, share: float) -> float:
    fallen = curve.loc[curve[column] <= share, "time"]
    return float(fallen.iloc[0]) if len(fallen) else float("nan")


@dataclass(frozen=True)
class StayCurves:
    """How long groups of visits last.

    Parameters
    ----------
    by : str
        What parts the visits: ``source``, ``host`` or nothing.
    curves : mapping
        Group → its curve from `kaplan_meier`, all visits first, then the largest groups.
    sizes : DataFrame
        Index: the groups. ``visits``, ``people``, ``cut``, the share of the visits that were cut
        off, and ``mean_seen``, the mean of what was seen of them in seconds.
    """

    by: str
    curves: Mapping[str, pd.DataFrame]
    sizes: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return the sizes, the median stay with its interval, and the shares that stay longer.

        Returns
        -------
        DataFrame
            Index: the groups. ``median, median_low, median_high`` in seconds, NaN where fewer than
            half leave by choice while they are seen, and ``share_after_60_s`` and the like.
        """
        rows = {}
        for group, curve in self.curves.items():
            median, low, high = time_until(curve)
            row = {"median": median, "median_low": low, "median_high": high}
            for seconds in MARKS:
                is_seen = seconds <= curve["time"].max() or curve["stays"].iloc[-1] == 0
                share = share_after(curve, seconds)["stays"] if is_seen else np.nan
                row[f"share_after_{seconds:.0f}_s"] = share
            rows[group] = row
        found = pd.DataFrame.from_dict(rows, orient="index")
        return self.sizes.join(found).rename_axis(self.by or "visits")

    def findings(self) -> list[Finding]:
        """Return how long half of all visits last, and how far their mean is from it."""
        found = self.table().iloc[0]
        ends = found[["median", "median_low", "median_high"]]
        if ends.isna().any():
            return []
        values = {"median": found["median"], "low": found["median_low"]}
        values |= {"high": found["median_high"], "mean": found["mean_seen"]}
        values |= {"cut": found["cut"], "n_visits": int(found["visits"])}
        values |= {"beyond": LONG, "share": share_after(self.curves[EVERYBODY], LONG)["stays"]}
        return [Finding("live/stay", "plain", values, place="stays")]

    def plot(self, ax: "Axes | None" = None, *, most: int = 5) -> "Axes":
        """Draw the curves of the largest groups with their intervals, time on a log scale."""
        from kpay_lab.plots import plot_survival  # here, for matplotlib is slow to import

        groups = list(self.curves)
        shown = groups[1 : most + 1] if len(groups) > 1 else groups
        curves = {group: self.curves[group] for group in shown}
        title = f"How long visits last, by {self.by}" if self.by else "How long visits last"
        return plot_survival(curves, ax=ax, title=title)


def stay_curves(live: LiveSessions, by: str = "", *, minimum: int = 10) -> StayCurves:
    """Estimate how long the visits of each group last.

    Parameters
    ----------
    by : {"", "source", "host"}
        What led to the visit, or who hosted the session; by default all visits are one group.
    minimum : int
        The fewest people of a group that is shown.

    Raises
    ------
    ValueError
        If no visit says how long it was, or the log cannot tell the groups.
    """
    visits = live.visits.dropna(subset="stay")
    if visits.empty:
        raise ValueError("nobody logged how long a visit was (events.watch_time)")
    groups = {EVERYBODY: visits}
    if by:
        of_visit = _group_of(live, visits, by)
        by_size = of_visit.value_counts()
        groups |= {str(name): visits[of_visit == name] for name in by_size.index}
    groups = {name: part for name, part in groups.items() if part["user_id"].nunique() >= minimum}
    curves = {}
    sizes = {}
    for name, part in groups.items():
        stay = part["stay"].to_numpy()
        is_cut = part["is_cut"].to_numpy(dtype=bool)
        curves[name] = kaplan_meier(stay, ~is_cut, part["user_id"].to_numpy())
        sizes[name] = (len(part), part["user_id"].nunique(), is_cut.mean(), stay.mean())
    columns = ["visits", "people", "cut", "mean_seen"]
    table = pd.DataFrame.from_dict(sizes, orient="index", columns=columns)
    return StayCurves(by, curves, table)


def _group_of(live: LiveSessions, visits: pd.DataFrame, by: str) -> pd.Series:
    if by == "source" and "source" in visits:
        return visits["source"]
    if by == "host" and "host" in live.sessions:
        return visits["session"].map(live.sessions["host"])
    raise ValueError(f"by is {by!r}; this log cannot tell it of a visit")
