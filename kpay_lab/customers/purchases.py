"""The purchase data set: features strictly before a row's moment, the label after it."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpay_lab.data.derived import item_sold, watched_share
from kpay_lab.data.tables import Tables, TooLittleError

NO_GAP = pd.Timedelta(0)
TEXT = ("kind", "category", "host")
PROFILE = "views by "  # columns that say what kind of user this is


@dataclass(frozen=True)
class PurchaseData:
    """One row a user and course (or exposure), in time order.

    Parameters
    ----------
    X : DataFrame (n, n_features)
        Known strictly before the row's moment; for exposures also what showing itself
        fixes: item, position, hour, coupon.
    y : int array (n,)
        1 where the purchase followed within the horizon.
    rows : DataFrame (n, 3 or 4)
        user_id, item_id, moment; for exposures also ``exposure``, the index of its row there.
    """

    X: pd.DataFrame
    y: np.ndarray
    rows: pd.DataFrame

    def where(self, mask: np.ndarray) -> "PurchaseData":
        """Keep the rows at which the mask is true."""
        return PurchaseData(self.X[mask], self.y[mask], self.rows[mask])


def make_dataset(
    tables: Tables,
    cut: pd.Timestamp,
    horizon: pd.Timedelta,
    gap: pd.Timedelta = NO_GAP,
    *,
    unit: str = "course",
) -> PurchaseData:
    """Build features from before the cut and labels from (cut + gap, cut + gap + horizon].

    Parameters
    ----------
    unit : {"course", "exposure"}
        ``course``: a row for each user and course that met before the cut (directly or by a
        promotion) and is not yet owned; its moment is the cut, its label an order.
        ``exposure``: a row for each exposure in the window; moment: its own time − gap.

    Raises
    ------
    TooLittleError
        If a table or column is missing, or no row lies in the window.
    ValueError
        If the window leaves the log.
    """
    log = _log(tables, unit)
    first, last = tables.span()
    start, stop = cut + gap, cut + gap + horizon
    if not first < cut < stop <= last + pd.Timedelta(days=1):
        raise ValueError(f"cut {cut} to {stop} is outside the log; it runs from {first} to {last}")
    window = log[log["timestamp"].between(start, stop, inclusive="right")]
    if unit == "exposure":
        rows = window.rename(columns={"timestamp": "moment"}).reset_index(names="exposure")
        rows["hour"], rows["moment"] = rows["moment"].dt.hour, rows["moment"] - gap
        y = rows["purchased"].to_numpy(dtype=int)
    else:
        past = tables.known_at(cut)
        rows = _open_pairs(past, _log(past, unit)).assign(moment=cut)
        bought = pd.MultiIndex.from_frame(window[["user_id", "item_id"]])
        y = pd.MultiIndex.from_frame(rows[["user_id", "item_id"]]).isin(bought).astype(int)
    if rows.empty:
        raise TooLittleError(f"no {unit} row between {start} and {stop}; choose another cut")
    names = [name for name in rows if name in ("user_id", "item_id", "moment", "exposure")]
    return PurchaseData(_features(rows, tables), y, rows[names])


def train_and_test(
    tables: Tables, *, unit: str, warm_up: float, test_share: float
) -> tuple[PurchaseData, PurchaseData, pd.Timestamp]:
    """Return rows to learn from, later rows to judge on, and the moment between them.

    Parameters
    ----------
    warm_up, test_share : float
        First share of the time, from which only habits are learned, and last share, to judge on.

    Raises
    ------
    TooLittleError
        If the events bear no times, or all the same, or a part lacks rows of either label.
    """
    times = tables.events["timestamp"] if "timestamp" in tables.events else pd.Series(dtype=object)
    start, end = times.agg(["min", "max"])
    if not start < end:
        raise TooLittleError("the events bear no times, or all the same one")
    first = start + warm_up * (end - start)
    cut = end - test_share * (end - start)
    train = make_dataset(tables, first, cut - first, unit=unit)
    test = make_dataset(tables, cut, end - cut, unit=unit)
    for data in (train, test):
        need_both_labels(data.y)
    return train, test, cut


def need_both_labels(y: np.ndarray) -> None:
    """Raise `TooLittleError` unless there are purchases and non-purchases."""
    if len(np.unique(y)) < 2:
        raise TooLittleError(
            f"all {len(y)} labels are {y[0] if len(y) else 'missing'}; a model needs purchases "
            "and non-purchases: widen the horizon or move the cut"
        )


def _log(tables: Tables, unit: str) -> pd.DataFrame:
    """Return the table that says what was purchased, row by row of the unit."""
    needed = {"course": "orders", "exposure": "exposures"}.get(unit)
    if needed is None:
        raise ValueError(f"unit is {unit!r}; choose course or exposure")
    log = getattr(tables, needed)
    if log is None:
        raise TooLittleError(
            f"there is no {needed} table; purchases per {unit} cannot be predicted"
        )
    if unit == "exposure" and "purchased" not in log:
        raise TooLittleError("exposures have no column purchased; use unit='course'")
    return log


def leaky(data: PurchaseData) -> PurchaseData:
    """Put the purchase result among the inputs, as h(features, purchase result) asks.

    The score becomes perfect and worthless: at the moment of prediction the result is
    what nobody has.
    """
    return replace(data, X=data.X.assign(**{"purchase result": data.y.astype(float)}))


def history(rows: pd.DataFrame, log: pd.DataFrame, by: list[str], values: list[str]) -> np.ndarray:
    """Sum ``values`` over the log's rows with the same keys, strictly before each row's moment.

    Returns
    -------
    float array (len(rows), len(values))

    Examples
    --------
    >>> log = pd.DataFrame({"u": ["a", "a"], "moment": [1, 5], "n": [1.0, 1.0]})
    >>> history(pd.DataFrame({"u": ["a", "a"], "moment": [5, 6]}), log, ["u"], ["n"])
    array([[1.],
           [2.]])
    """
    n = len(rows)
    keys = pd.concat([rows[by], log[by]], ignore_index=True)
    key = keys.groupby(by, sort=False, dropna=False).ngroup().to_numpy()
    moment = np.concatenate([rows["moment"].to_numpy(), log["moment"].to_numpy()])
    is_log = np.arange(n + len(log)) >= n
    order = np.lexsort((is_log, moment, key))  # at one moment a row stands before the log
    amounts = np.zeros((len(key), len(values)))
    amounts[n:] = log[values].to_numpy(dtype=np.float64)
    sums = np.cumsum(amounts[order], axis=0)
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    before = np.vstack([np.zeros(len(values)), sums[starts[1:] - 1]])
    sums -= np.repeat(before, np.diff(np.append(starts, len(key))), axis=0)
    result = np.empty_like(sums)
    result[order] = sums
    return result[:n]


def _open_pairs(past: Tables, orders: pd.DataFrame) -> pd.DataFrame:
    """Return each user and course that met, directly or by a promotion, and is not yet owned."""
    logs = [log for log in (past.events, past.exposures) if log is not None]
    met = pd.concat(logs, ignore_index=True)
    met = met.assign(item_id=item_sold(met["item_id"], past.items))
    pairs = met[["user_id", "item_id"]].drop_duplicates(ignore_index=True)
    owned = orders[["user_id", "item_id"]]
    free = ~pd.MultiIndex.from_frame(pairs).isin(pd.MultiIndex.from_frame(owned))
    return pairs[free].reset_index(drop=True)


def _dressed(frame: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Add what is known of the item, ids as numbers, the moment as an integer."""
    frame = frame.rename(columns={"timestamp": "moment"}).reset_index(drop=True)
    frame["moment"] = frame["moment"].dt.tz_convert(None).astype("datetime64[us]").astype("int64")
    frame["offer"] = item_sold(frame["item_id"], tables.items)
    if tables.items is not None:
        items = tables.items.set_index("item_id")
        for name in TEXT:
            if name in items:
                frame[name] = frame["item_id"].map(items[name]).astype("category")
        if "price" in items:
            frame["price"] = frame["offer"].map(items["price"])
    frame["user"] = tables.ids("user_id").get_indexer(frame["user_id"])
    return frame.assign(n=1.0)


def _features(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    rows, events = _dressed(rows, tables), _dressed(tables.events, tables)
    found: dict[str, np.ndarray | pd.Series] = {n: rows[n] for n in TEXT if n in rows}
    found["item"] = rows["item_id"].astype("category")
    if "price" in rows:
        found["log price"] = np.log1p(rows["price"])
    if "position" in rows:
        found["log position"] = np.log(rows["position"].astype(float))
    for name in ("treatment", "hour"):
        if name in rows:
            found[name] = rows[name].astype(float)
    found |= _viewing(rows, events) | _profile(rows, events)
    if tables.orders is not None:
        orders = _dressed(tables.orders, tables).assign(log_amount=lambda o: np.log1p(o["amount"]))
        count, spent = history(rows, orders, ["user"], ["n", "log_amount"]).T
        found["orders"] = np.log1p(count)
        found["usual log amount"] = np.divide(
            spent, count, np.full(len(rows), np.nan), where=count > 0
        )
        found["owned"] = (history(rows, orders, ["user", "offer"], ["n"])[:, 0] > 0).astype(float)
    if tables.exposures is not None and {"clicked", "purchased"} <= set(tables.exposures):
        found |= _reactions(rows, _dressed(tables.exposures, tables))
    if tables.users is not None:
        people = tables.users.set_index("user_id")
        for name in ("age", "gender", "occupation"):
            if name in people:
                values = rows["user_id"].map(people[name])
                found[name] = values if name == "age" else values.astype("category")
    return pd.DataFrame(found)


def _viewing(rows: pd.DataFrame, events: pd.DataFrame) -> dict[str, np.ndarray]:
    """How often and how fully this user watched this item, offer, topic and kind.

    The share watched is the mean over the views of which it is known, drawn towards 0.3 by
    five views.
    """
    share = watched_share(events).clip(upper=1.0)  # a replay is no second view
    events = events.assign(known=share.notna(), share=share.fillna(0.0))
    found = {}
    for name, key in (
        ("user", None),
        ("topic", "category"),
        ("kind", "kind"),
        ("course", "offer"),
        ("item", "item_id"),
    ):
        if key is None or key in rows:
            keys = ["user", key] if key else ["user"]
            views, known, watched = history(rows, events, keys, ["n", "known", "share"]).T
            found[f"{name} views"] = np.log1p(views)
            found[f"{name} watched"] = (watched + 1.5) / (known + 5)
    return found


def _profile(rows: pd.DataFrame, events: pd.DataFrame) -> dict[str, np.ndarray]:
    """Log-lifts of the user's views by topic, kind and three-hour band, as in `features`."""
    bands = pd.to_datetime(events["moment"], unit="us").dt.hour // 3 * 3
    found: dict[str, np.ndarray] = {}
    for name, levels in (
        ("category", events.get("category")),
        ("kind", events.get("kind")),
        ("hour", bands),
    ):
        if levels is None:
            continue
        marks = pd.get_dummies(levels, dtype=float).add_prefix(f"{PROFILE}{name} ")
        log = pd.concat([events[["user", "moment"]], marks], axis=1)
        counts = history(rows, log, ["user"], list(marks))
        total, width = counts.sum(axis=1, keepdims=True), marks.shape[1]
        share = (counts + 1) / (total + width)
        found |= dict(zip(marks, np.log(share * width).T, strict=True))
    return found


def _reactions(rows: pd.DataFrame, shown: pd.DataFrame) -> dict[str, np.ndarray]:
    """Log of clicks and purchases over what the positions shown would lead one to expect."""
    by_place = ["position"] if "position" in shown else ["policy"]
    clicks, buys, n = history(shown, shown, by_place, ["clicked", "purchased", "n"]).T
    shown = shown.assign(click=(clicks + 2.5) / (n + 10), buy=(buys + 0.2) / (n + 10))
    found = {"bought before": history(rows, shown, ["user", "offer"], ["purchased"])[:, 0]}
    keys = {
        "user": ["user"],
        "topic": ["user", "category"],
        "kind": ["user", "kind"],
        "course": ["user", "offer"],
        "item": ["item_id"],
        "offer": ["offer"],
        "host": ["host"],
    }
    for name, key in keys.items():
        if set(key) <= set(rows) & set(shown):
            c, ec, b, eb = history(rows, shown, key, ["clicked", "click", "purchased", "buy"]).T
            found[f"{name} click lift"] = np.log((c + 3) / (ec + 3))
            found[f"{name} buy lift"] = np.log((b + 1) / (eb + 1))
    return found
