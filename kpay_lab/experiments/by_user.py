"""A log in which users were randomised: one row a user, and what goes wrong by exposure."""

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables
from kpay_lab.experiments.arms import ABData, Metric, per_unit

METRICS = (
    Metric("revenue"),
    Metric("revenue", covariate="revenue_before"),
    Metric("purchased"),
    Metric("purchased", per="shown"),
    Metric("clicked", per="shown"),
)


def randomised_users(tables: Tables) -> ABData:
    """Turn exposures with a treatment by user into one row a user, with what came before.

    The test runs from the first exposure with a ``treatment``; a user counts if shown anything
    since. Columns: ``arm`` (control, treated), ``shown``, ``clicked``, ``purchased`` and
    ``revenue`` (less refunds) since then, the same with ``_before``, ``segment`` (the kind
    opened most before; "none" without any), in the order in which users came into the test.

    Raises
    ------
    ValueError
        If exposures lack ``treatment``, or a user was given both.
    """
    shown = tables.exposures
    if shown is None or "treatment" not in shown or not shown["treatment"].notna().any():
        raise ValueError("exposures hold no treatment; a test by user needs who was given what")
    start = shown.loc[shown["treatment"].notna(), "timestamp"].min()
    counted = shown.assign(shown=1)[["user_id", "timestamp", "treatment", "shown"]].join(
        shown[["clicked", "purchased"]].fillna(0).astype(float)
    )
    sums = ["shown", "clicked", "purchased"]
    during = counted[counted["treatment"].notna()]
    users = per_unit(during, "user_id", "treatment", sums).set_index("user_id")
    before = counted[counted["timestamp"] < start].groupby("user_id")[sums].sum()
    if tables.orders is not None:
        early = tables.orders["timestamp"] < start
        for name, orders in {"revenue": ~early, "revenue_before": early}.items():
            users[name] = _net(tables.orders[orders]).reindex(users.index).fillna(0.0)
    users = users.join(before.reindex(users.index).fillna(0.0).add_suffix("_before"))
    users["segment"] = _favourite_kind(tables, start).reindex(users.index).fillna("none")
    users["arm"] = np.where(users["treatment"] == 1, "treated", "control")
    metrics = tuple(metric for metric in METRICS if set(metric.columns) <= set(users))
    return ABData(users.reset_index(), "user_id", "arm", "control", "treated", metrics)


def _net(orders: pd.DataFrame) -> pd.Series:
    back = orders["refund_amount"].fillna(0.0) if "refund_amount" in orders else 0.0
    return (orders["amount"] - back).groupby(orders["user_id"]).sum()


def _favourite_kind(tables: Tables, start: pd.Timestamp) -> pd.Series:
    if tables.items is None or "kind" not in tables.items or "timestamp" not in tables.events:
        return pd.Series(dtype="str")
    events = tables.events[tables.events["timestamp"] < start]
    kinds = events["item_id"].map(tables.items.set_index("item_id")["kind"]).rename("kind")
    counts = kinds.groupby(events["user_id"]).value_counts().reset_index()
    return counts.drop_duplicates("user_id").set_index("user_id")["kind"]


def aa_rejections(
    sums: np.ndarray, counts: np.ndarray, *, n_tests: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Split users at random, where nothing differs, and test at 5 %: by exposure, by user.

    By exposure the variance of an arm's rate p is p (1 − p) / N, as if every exposure were a
    person; by user it is that of a ratio, Σ (s_u − p n_u)² / N².

    Parameters
    ----------
    sums, counts : (n_users,)
        Clicks (say) and exposures of each user.

    Returns
    -------
    by_exposure, by_user : float
        Shares of the tests that reject.
    """
    arms = rng.random((n_tests, len(sums))) < 0.5
    naive, fair, rate = np.zeros(n_tests), np.zeros(n_tests), []
    for arm in (arms.astype(float), (~arms).astype(float)):
        n, p = arm @ counts, arm @ sums / (arm @ counts)
        naive += p * (1 - p) / n
        fair += (arm @ sums**2 - 2 * p * (arm @ (sums * counts)) + p**2 * (arm @ counts**2)) / n**2
        rate.append(p)
    z = np.abs(rate[0] - rate[1]) / np.sqrt([naive, fair])
    by_exposure, by_user = (z > 1.96).mean(axis=1)
    return float(by_exposure), float(by_user)
