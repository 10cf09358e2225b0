"""Follow a running test by what was known at each look: outcomes in a window after arrival."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.data.codes import factorize, find_positions
from kpay_lab.data.money import gross_profit, refunded_amount
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.experiments.arms import PROFIT
from kpay_lab.experiments.by_user import running_exposures
from kpay_lab.experiments.sequential import ConfidenceSequence, confidence_sequence
from kpay_lab.findings import Finding

LEAST_PLANNED = 100  # units at which the interval is narrowest, where fewer are expected


@dataclass(frozen=True)
class FollowedTest:
    """A test as it could have been watched.

    Parameters
    ----------
    outcomes : DataFrame
        Those of `matured_outcomes`.
    sequence : ConfidenceSequence
        The difference of the arms after each of them.
    started_on : Timestamp
        The first arrival.
    window_days : float
        Days after a user's arrival whose outcome counts.
    n_users : int
        Users of the test, those whose window is not over included.
    """

    outcomes: pd.DataFrame
    sequence: ConfidenceSequence
    started_on: pd.Timestamp
    window_days: float
    n_users: int

    @property
    def stopped_on(self) -> pd.Timestamp | None:
        """The moment of the first look that left out 0; None if none did."""
        stopped_at = self.sequence.stopped_at
        if stopped_at is None:
            return None
        return self.outcomes["known_at"].iloc[stopped_at - 1]

    def sentence(self) -> str:
        """Say when the test could have stopped, and what a look counts."""
        metric = self.outcomes.columns[-1]
        counted = (
            f"A look counts the {metric} of the {self.window_days:g} days after arrival, of users "
            f"for whom they are over: {len(self.outcomes):,} of {self.n_users:,} in the end"
        )
        if self.stopped_on is None:
            return f"{counted}; no look told the arms apart."
        days = (self.stopped_on - self.started_on) / pd.Timedelta(days=1)
        return (
            f"{counted}. The test could have stopped after {self.sequence.stopped_at:,} users, "
            f"{days:.0f} days after it began."
        )

    def findings(self) -> list[Finding]:
        """Return when the test could have stopped."""
        has_stopped = self.stopped_on is not None
        days = None
        if self.stopped_on is not None:
            days = (self.stopped_on - self.started_on) / pd.Timedelta(days=1)
        values = {
            "has_stopped": has_stopped,
            "n_stopped": self.sequence.stopped_at,
            "days": days,
            "window": self.window_days,
            "n_counted": len(self.outcomes),
            "n_users": self.n_users,
        }
        has_picture = bool(np.isfinite(self.sequence.low).any())
        place = "peeking" if has_picture else ""
        return [Finding("experiment/followed", "plain", values, place=place)]


@dataclass(frozen=True)
class _Arrivals:
    """What every window of a test looks at: who arrived when, and what each did from then on.

    Parameters
    ----------
    users : DataFrame, index user_id
        ``treated`` (bool) and ``arrived_at``, in order of the ids.
    metric : str
        What is followed: profit, or purchased where no order is known.
    rows : DataFrame
        What counts from its user's arrival on: the position of the ``user``, ``timestamp``,
        ``value``, its ``refund`` and, where the log says it, when it was ``refunded_at``.
    ends_at : Timestamp
        The last moment of which the log tells.
    """

    users: pd.DataFrame
    metric: str
    rows: pd.DataFrame
    ends_at: pd.Timestamp

    @classmethod
    def of(cls, tables: Tables) -> "_Arrivals":
        in_test = running_exposures(tables)
        ids = factorize(in_test["user_id"]).ids.sort_values()
        user = find_positions(in_test["user_id"], ids)
        by_user = in_test[["treatment", "timestamp"]].groupby(user)
        users = by_user.agg(treated=("treatment", "first"), arrived_at=("timestamp", "min"))
        users["treated"] = users["treated"] == 1
        users = users.set_axis(ids.rename("user_id"))
        orders = tables.orders
        if orders is not None and len(orders):
            metric = PROFIT
            rows = orders[[name for name in ("timestamp", "refunded_at") if name in orders]]
            rows = rows.assign(value=orders["amount"], refund=refunded_amount(orders))
            rows["user"] = find_positions(orders["user_id"], users.index)
        elif "purchased" in in_test:
            metric = "purchased"
            purchased = in_test["purchased"].fillna(0).astype(float)
            rows = in_test[["timestamp"]].assign(value=purchased, refund=0.0, user=user)
        else:
            raise TooLittleError("the log holds neither orders nor purchases to follow")
        rows = rows[rows["user"] >= 0]
        is_later = rows["timestamp"].array >= users["arrived_at"].array[rows["user"]]
        return cls(users, metric, rows[np.asarray(is_later)], _end(tables))

    def matured(
        self, *, window_days: float, margin: float, coupon_price: float = 1.0
    ) -> pd.DataFrame:
        """Return the outcomes of one window: see `matured_outcomes`."""
        rows = self.rows
        users = self.users[["treated"]].copy()
        users["known_at"] = self.users["arrived_at"] + pd.Timedelta(days=window_days)
        known_at = users["known_at"].array[rows["user"]]
        refund = rows["refund"]
        if "refunded_at" in rows:
            refund = refund.mask(rows["refunded_at"].array > known_at, 0.0)
        value = rows["value"] - refund
        is_within = np.asarray(rows["timestamp"].array <= known_at)
        sums = value[is_within].groupby(rows["user"][is_within]).sum()
        users[self.metric] = sums.reindex(range(len(users)), fill_value=0.0).to_numpy()
        is_over = users["known_at"] <= self.ends_at
        outcomes = users[is_over].sort_values("known_at", kind="stable")
        if self.metric == PROFIT:
            has_coupon = outcomes["treated"].to_numpy()
            terms = {"has_coupon": has_coupon, "coupon_price": coupon_price}
            outcomes[PROFIT] = gross_profit(outcomes[PROFIT].to_numpy(), margin, **terms)
        return outcomes.reset_index()


def _refuse_no_window(window_days: float) -> None:
    if not window_days > 0:
        raise ValueError(f"window_days is {window_days:g}; it must be above 0")


def _end(tables: Tables) -> pd.Timestamp:
    """Return the last moment of which the log tells."""
    frames = tables.present().values()
    last_ones = [frame["timestamp"].max() for frame in frames if "timestamp" in frame]
    return pd.Series(last_ones).max()


def matured_outcomes(
    tables: Tables, *, window_days: float, margin: float, coupon_price: float = 1.0
) -> pd.DataFrame:
    """Return the outcome of each user of a test in a window after arrival, as it became known.

    A user arrives with the first exposure that has a treatment, and is known when the window is
    over. What comes later, a refund too, does not change the outcome: no look sees the future.

    Parameters
    ----------
    window_days : float
    margin, coupon_price : float
        As for `gross_profit`; the treated hold the coupon.

    Returns
    -------
    DataFrame
        ``user_id``, ``treated`` (bool), ``known_at``, and ``profit``, or ``purchased`` where no
        order is known; in the order of ``known_at``. Users whose window ends after the log
        are left out.

    Raises
    ------
    TooLittleError
        If there is no test by user, or neither orders nor purchases are known.
    """
    _refuse_no_window(window_days)
    arrivals = _Arrivals.of(tables)
    terms = {"margin": margin, "coupon_price": coupon_price}
    return arrivals.matured(window_days=window_days, **terms)


def follow_test(
    tables: Tables,
    *,
    window_days: float,
    margin: float,
    coupon_price: float = 1.0,
    level: float = 0.95,
) -> FollowedTest:
    """Follow a test by user with an always-valid interval, a look whenever a user is known.

    The interval is narrowest near half of the users that the test has.

    Parameters
    ----------
    window_days, margin, coupon_price : float
        As for `matured_outcomes`.
    level : float
        Probability with which the interval holds the difference at all looks together.

    Raises
    ------
    TooLittleError
        If the windows of fewer than two users of an arm are over.
    """
    _refuse_no_window(window_days)
    terms = {"margin": margin, "coupon_price": coupon_price, "level": level}
    return _follow(_Arrivals.of(tables), window_days, **terms)


def _follow(
    arrivals: _Arrivals, window_days: float, *, margin: float, coupon_price: float, level: float
) -> FollowedTest:
    """Follow the users who arrived by their outcomes in one window."""
    terms = {"margin": margin, "coupon_price": coupon_price}
    outcomes = arrivals.matured(window_days=window_days, **terms)
    n_users = len(arrivals.users)
    treated = outcomes["treated"].to_numpy()
    if min(treated.sum(), (~treated).sum()) < 2:
        raise TooLittleError(
            f"{len(outcomes)} of {n_users} users arrived {window_days:g} days or more before the "
            "end of the log; each arm needs 2"
        )
    values = outcomes.iloc[:, -1].to_numpy(np.float64)
    planned = max(n_users // 2, LEAST_PLANNED)
    sequence = confidence_sequence(values, treated, tightest_at=planned, level=level)
    started_on = arrivals.users["arrived_at"].min()
    return FollowedTest(outcomes, sequence, started_on, window_days, n_users)


def compare_windows(
    tables: Tables,
    windows: Sequence[float],
    *,
    margin: float,
    coupon_price: float = 1.0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Follow one test by the outcomes of several windows: each window asks another question.

    Every interval keeps its promise for one window that was chosen before the test. Who follows
    several and reports the one that stopped has looked more often than `level` allows.

    Parameters
    ----------
    windows : sequence of float
        Days after arrival.
    margin, coupon_price, level : float
        As for `follow_test`.

    Returns
    -------
    DataFrame, index window_days
        ``users`` whose window is over, ``stopped_at`` (NaN: no look told the arms apart), and
        the ``difference`` at the last look with its always-valid ``low`` and ``high``. A window
        that is over for too few users has no row.
    """
    terms = {"margin": margin, "coupon_price": coupon_price, "level": level}
    for window_days in windows:
        _refuse_no_window(window_days)
    try:
        arrivals = _Arrivals.of(tables)
    except TooLittleError:
        windows = ()  # nothing can be followed, whatever the window
    rows = {}
    for window_days in windows:
        try:
            followed = _follow(arrivals, window_days, **terms)
        except TooLittleError:
            continue
        last_look = followed.sequence.table().iloc[-1]
        ends = (last_look["difference"], last_look["low"], last_look["high"])
        rows[window_days] = (len(followed.outcomes), followed.sequence.stopped_at, *ends)
    columns = ["users", "stopped_at", "difference", "low", "high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("window_days").astype({"stopped_at": "float"})


def window_findings(by_window: pd.DataFrame) -> list[Finding]:
    """Return how many of the windows of `compare_windows` would have stopped the test."""
    if by_window.empty:
        return []
    n_stopped = int(by_window["stopped_at"].notna().sum())
    n_windows = len(by_window)
    level = "watch" if 0 < n_stopped < n_windows else "plain"
    values = {
        "n_stopped": n_stopped,
        "n_windows": n_windows,
        "shortest": by_window.index.min(),
        "longest": by_window.index.max(),
    }
    return [Finding("experiment/windows", level, values, place="windows")]
