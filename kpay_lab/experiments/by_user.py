"""A log in which users were randomised: one row a user, and what goes wrong by exposure."""

from dataclasses import replace

import numpy as np
import pandas as pd

from kpay_lab.data.money import net_amount
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.experiments.arms import ABData, Metric, per_unit, varies

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
    TooLittleError
        If exposures lack ``treatment``, a user was given both, an arm has fewer than two users,
        or nothing that is measured varies.
    """
    shown = tables.exposures
    if shown is None or "treatment" not in shown or not shown["treatment"].notna().any():
        raise TooLittleError("exposures hold no treatment; a test by user needs who was given what")
    start = shown.loc[shown["treatment"].notna(), "timestamp"].min()
    answers = [name for name in ("clicked", "purchased") if name in shown]
    counted = shown.assign(shown=1)[["user_id", "timestamp", "treatment", "shown"]].join(
        shown[answers].fillna(0).astype(float)
    )
    sums = ["shown", *answers]
    during = counted[counted["treatment"].notna()]
    given = during.groupby("user_id")["treatment"].nunique()
    if crossed := int((given > 1).sum()):
        raise TooLittleError(f"{crossed} users were given both arms, so no arm is a user's own")
    users = per_unit(during, "user_id", "treatment", sums).set_index("user_id")
    before = counted[counted["timestamp"] < start].groupby("user_id")[sums].sum()
    if tables.orders is not None:
        early = tables.orders["timestamp"] < start
        for name, orders in {"revenue": ~early, "revenue_before": early}.items():
            by_user = tables.orders.loc[orders, "user_id"]
            revenue = net_amount(tables.orders[orders]).groupby(by_user).sum()
            users[name] = revenue.reindex(users.index).fillna(0.0)
    users = users.join(before.reindex(users.index).fillna(0.0).add_suffix("_before"))
    users["segment"] = _favourite_kind(tables, start).reindex(users.index).fillna("none")
    users["arm"] = np.where(users["treatment"] == 1, "treated", "control")
    sizes = users["arm"].value_counts().reindex(["control", "treated"], fill_value=0)
    if sizes.min() < 2:
        raise TooLittleError(
            f"{sizes['control']} users are control, {sizes['treated']} treated; each arm needs 2"
        )
    metrics = tuple(metric for metric in METRICS if set(metric.columns) <= set(users))
    data = ABData(users.reset_index(), "user_id", "arm", "control", "treated", metrics)
    telling = tuple(metric for metric in metrics if varies(data, metric))
    if not telling:
        raise TooLittleError("no money, click or purchase differs between users of an arm")
    return replace(data, metrics=telling)


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
    person; by user it is that of a ratio, Σ (s_u − p n_u)² / N². A split that leaves an arm
    empty, or two arms without any variance, rejects nothing.

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
        n = np.maximum(arm @ counts, 1)
        p = arm @ sums / n
        naive += p * (1 - p) / n
        fair += (arm @ sums**2 - 2 * p * (arm @ (sums * counts)) + p**2 * (arm @ counts**2)) / n**2
        rate.append(p)
    se = np.sqrt(np.maximum([naive, fair], 0))
    gap = np.abs(rate[0] - rate[1])
    usable = (se > 0) & arms.any(axis=1) & ~arms.all(axis=1)
    z = np.divide(gap, se, out=np.zeros_like(se), where=usable)
    by_exposure, by_user = (z > 1.96).mean(axis=1)
    return float(by_exposure), float(by_user)
