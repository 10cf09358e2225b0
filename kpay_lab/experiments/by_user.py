"""A/B tests by user from a log of exposures, and how often a test by exposure rejects wrongly."""

from dataclasses import replace

import numpy as np
import pandas as pd

from kpay_lab.data.codes import factorize, look_up, take_rows
from kpay_lab.data.money import has_amounts, net_amount
from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.experiments.arms import ABData, Metric, per_unit, varies
from kpay_lab.experiments.checking import check_finite, check_marks

ASKED = ("user_id", "timestamp", "treatment", "clicked", "purchased")  # of exposures
METRICS = (
    Metric("revenue"),
    Metric("revenue", covariate="revenue_before"),
    Metric("purchased"),
    Metric("purchased", per="shown"),
    Metric("clicked", per="shown"),
)


def randomised_users(tables: Tables) -> ABData:
    """Make A/B data with one row a user from exposures whose treatment was given by user.

    The test runs from the first exposure with a ``treatment``, and takes in every user who was
    shown anything since. Columns: ``arm`` (control, treated), ``shown``, ``clicked``,
    ``purchased`` and ``revenue`` (less refunds) since then, the same with ``_before``,
    ``segment`` (the kind opened most before; "none" without any), in the order in which users
    came into the test.

    Raises
    ------
    TooLittleError
        If exposures lack ``treatment``, a user was given both arms, an arm has fewer than two
        users, or nothing that is measured varies.
    ValueError
        If a treatment is neither 0 nor 1.
    """
    in_test = _counts(running_exposures(tables))
    start = in_test["timestamp"].min()
    users = _sums_in_test(in_test)
    if tables.orders is not None and has_amounts(tables.orders):
        early = tables.orders["timestamp"] < start
        users["revenue"] = _net_revenue(tables.orders[~early], users.index)
        users["revenue_before"] = _net_revenue(tables.orders[early], users.index)
    exposures = tables.present()["exposures"]
    columns = [name for name in ASKED if name in exposures]
    before_test = _counts(exposures.loc[exposures["timestamp"] < start, columns])
    sums_before = before_test.groupby("user_id")[_summed(in_test)].sum()
    sums_before = sums_before.reindex(users.index).fillna(0.0)
    users = users.join(sums_before.add_suffix("_before"))
    favourite_kinds = _favourite_kinds(tables, start)
    users["segment"] = favourite_kinds.reindex(users.index).fillna("none")
    return _ab_data(users)


def running_exposures(tables: Tables) -> pd.DataFrame:
    """Return the exposures of a test by user: those that have a treatment, 0 or 1.

    Of their columns those of `ASKED` are there: the exposures of a large log are many.

    Raises
    ------
    TooLittleError
        If no exposure has a treatment, or a user was given both arms.
    ValueError
        If a treatment is neither 0 nor 1.
    """
    exposures = tables.exposures
    if exposures is None or not _has_treatment(exposures):
        raise TooLittleError("exposures hold no treatment; a test by user needs who was given what")
    columns = [name for name in ASKED if name in exposures]
    in_test = take_rows(exposures[columns], exposures["treatment"].notna())
    check_marks("exposures.treatment", in_test["treatment"])
    user, _ = factorize(in_test["user_id"])
    treatments = in_test["treatment"].groupby(user).agg(["min", "max"])
    crossed = int((treatments["min"] != treatments["max"]).sum())
    if crossed:
        raise TooLittleError(f"{crossed} users were given both arms, so no arm is a user's own")
    return in_test


def _has_treatment(exposures: pd.DataFrame) -> bool:
    return "treatment" in exposures and bool(exposures["treatment"].notna().any())


def _counts(exposures: pd.DataFrame) -> pd.DataFrame:
    """Return what each exposure adds to its user's sums: 1 shown, 0 or 1 clicked or purchased."""
    counts = exposures[["user_id", "timestamp", "treatment"]].assign(shown=1)
    for answer in ("clicked", "purchased"):
        if answer in exposures:
            counts[answer] = exposures[answer].fillna(0).astype(float)
    return counts


def _summed(counts: pd.DataFrame) -> list[str]:
    """Name the columns of `_counts` that are summed up by user."""
    return [name for name in ("shown", "clicked", "purchased") if name in counts]


def _sums_in_test(in_test: pd.DataFrame) -> pd.DataFrame:
    """Sum up the test's exposures by user and name each user's arm; indexed by user_id."""
    users = per_unit(in_test, "user_id", "treatment", _summed(in_test)).set_index("user_id")
    users["arm"] = np.where(users["treatment"] == 1, "treated", "control")
    sizes = users["arm"].value_counts().reindex(["control", "treated"], fill_value=0)
    if sizes.min() < 2:
        raise TooLittleError(
            f"{sizes['control']} users are control, {sizes['treated']} treated; each arm needs 2"
        )
    return users


def _net_revenue(orders: pd.DataFrame, users: pd.Index) -> pd.Series:
    """Return what each user paid less refunds; 0 without an order."""
    revenue = net_amount(orders).groupby(orders["user_id"]).sum()
    return revenue.reindex(users).fillna(0.0)


def _favourite_kinds(tables: Tables, start: pd.Timestamp) -> pd.Series:
    """Return the kind of item that each user opened most before the test, by user_id."""
    if tables.items is None or "kind" not in tables.items or "timestamp" not in tables.events:
        return pd.Series(dtype="str")
    events = tables.events[tables.events["timestamp"] < start]
    kind_of_item = tables.items.set_index("item_id")["kind"]
    kinds = look_up(events["item_id"], kind_of_item).rename("kind")
    counts = kinds.groupby(events["user_id"]).value_counts().reset_index()
    most_opened = counts.drop_duplicates("user_id")  # counts fall within a user
    return most_opened.set_index("user_id")["kind"]


def _ab_data(users: pd.DataFrame) -> ABData:
    """Keep the metrics that have their columns and differ between users of an arm."""
    available = tuple(metric for metric in METRICS if set(metric.columns) <= set(users))
    data = ABData(users.reset_index(), "user_id", "arm", "control", ("treated",), available)
    varying = tuple(metric for metric in available if varies(data, metric))
    if not varying:
        raise TooLittleError("no money, click or purchase differs between users of an arm")
    return replace(data, metrics=varying)


def aa_rejections(
    sums: np.ndarray, counts: np.ndarray, *, n_tests: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Run A/A tests, in which nothing differs, at 5 %, and return how often each way rejects.

    A test assigns users to two arms at random. By exposure the variance of an arm's rate p is
    p (1 − p) / N, as if every exposure were a person; by user it is that of a ratio,
    Σ (s_u − p n_u)² / N². An assignment that leaves an arm empty, or two arms without any
    variance, rejects nothing.

    Parameters
    ----------
    sums, counts : (n_users,)
        Clicks (say) and exposures of each user.

    Returns
    -------
    by_exposure, by_user : float
        Shares of the tests that reject.
    """
    check_finite("sums", sums)
    check_finite("counts", counts)
    treated = rng.random((n_tests, len(sums))) < 0.5
    rate, variances = _rates(treated, sums, counts)
    control_rate, control_variances = _rates(~treated, sums, counts)
    se = np.sqrt(np.maximum(variances + control_variances, 0))
    difference = np.abs(rate - control_rate)
    usable = (se > 0) & treated.any(axis=1) & ~treated.all(axis=1)
    z = np.divide(difference, se, out=np.zeros_like(se), where=usable)
    by_exposure, by_user = (z > 1.96).mean(axis=1)
    return float(by_exposure), float(by_user)


def _rates(
    members: np.ndarray, sums: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return an arm's rate in each test, (n_tests,), and its variance by exposure and by user."""
    arm = members.astype(float)
    n = np.maximum(arm @ counts, 1)
    p = arm @ sums / n
    by_exposure = p * (1 - p) / n
    sum_of_squares = arm @ sums**2
    sum_of_products = arm @ (sums * counts)
    sum_of_squared_counts = arm @ counts**2
    # Σ (s_u − p n_u)², multiplied out, so that one product of matrices serves all tests.
    squared_residuals = sum_of_squares - 2 * p * sum_of_products + p**2 * sum_of_squared_counts
    by_user = squared_residuals / n**2
    return p, np.array([by_exposure, by_user])
