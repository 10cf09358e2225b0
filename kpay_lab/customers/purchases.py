"""The purchase data set: features strictly before a row's moment, the label after it."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpay_lab.customers.features import described, gives
from kpay_lab.customers.visits import before_visits, known_from
from kpay_lab.data.codes import find_positions, look_up
from kpay_lab.data.derived import are_whole_days, item_sold, orders_of_items, watched_share
from kpay_lab.data.money import has_amounts
from kpay_lab.data.tables import Tables, TooLittleError

Columns = dict[str, np.ndarray | pd.Series]  # by name, one value a row
NO_GAP = pd.Timedelta(0)
# What is predicted by each unit, and what a row is.
PREDICTED = {
    "exposure": "a purchase on each exposure",
    "course": "a purchase on each course met before",
    "person": "the first order of each person who watched before",
}
ROWS = {"exposure": "exposures", "course": "pairs of person and course", "person": "people"}
TEXT = ("kind", "category", "host")
DEMOGRAPHICS = ("age", "gender", "occupation")
IDENTIFIERS = ("user_id", "item_id", "moment", "exposure")  # of a row, which are no features


@dataclass(frozen=True)
class PurchaseData:
    """One row a user and course (or exposure, or person), in time order.

    Parameters
    ----------
    X : DataFrame (n, n_features)
        Known strictly before the row's moment; for exposures also what showing itself
        fixes: item, position, hour, coupon. What a person did in a live session is known when
        the visit is over (`visits.known_from`).
    y : int array (n,)
        1 where the purchase followed within the horizon.
    rows : DataFrame (n, 2 to 4)
        user_id, item_id (none for people), moment; for exposures also ``exposure``, the index
        of its row there.
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

    Rows without a time are left out.

    Parameters
    ----------
    unit : {"course", "exposure", "person"}
        ``course``: a row for each user and course that met before the cut (directly or by a
        promotion) and is not yet owned; its moment is the cut, its label an order.
        ``exposure``: a row for each exposure in the window; moment: its own time − gap.
        ``person``: a row for each user with an event before the cut and no order of anything;
        its moment is the cut, its label the first order.

    Raises
    ------
    TooLittleError
        If a table or column is missing, or no row lies in the window.
    ValueError
        If the window leaves the log.
    """
    tables = tables.timed()
    log = _log(tables, unit)
    first, last = tables.span()
    start = cut + gap
    stop = start + horizon
    end_of_log = last + pd.Timedelta(days=1)  # a window in whole days may end with the last day
    if not first < cut < stop <= end_of_log:
        raise ValueError(f"cut {cut} to {stop} is outside the log; it runs from {first} to {last}")
    in_window = log["timestamp"].between(start, stop, inclusive="right")
    window = log[in_window]
    if unit == "exposure":
        rows = window.rename(columns={"timestamp": "moment"}).reset_index(names="exposure")
        if not are_whole_days(log["timestamp"]):
            rows["hour"] = rows["moment"].dt.hour
        rows["moment"] = rows["moment"] - gap
        y = rows["purchased"].to_numpy(dtype=int)
    elif unit == "person":
        past = tables.known_at(cut)
        earlier_orders = log[log["timestamp"] < cut]
        rows = _people_who_never_ordered(past, earlier_orders).assign(moment=cut)
        y = rows["user_id"].isin(window["user_id"].unique()).to_numpy(dtype=int)
    else:
        past = tables.known_at(cut)
        past_orders = log[log["timestamp"] < cut]
        rows = _pairs_not_owned(past, past_orders).assign(moment=cut)
        pairs = pd.MultiIndex.from_frame(rows[["user_id", "item_id"]])
        bought = pd.MultiIndex.from_frame(window[["user_id", "item_id"]])
        y = pairs.isin(bought).astype(int)
    if rows.empty:
        raise TooLittleError(f"no {unit} row between {start} and {stop}; choose another cut")
    identifiers = [name for name in rows if name in IDENTIFIERS]
    X = _features_of_people(rows, past) if unit == "person" else _features(rows, tables)
    return PurchaseData(X, y, rows[identifiers])


def default_unit(tables: Tables) -> str:
    """Return what a purchase is predicted of: what the tables say most precisely.

    ``exposure`` where exposures say whether they led to a purchase, else ``course`` where orders
    name their item, else ``person``.
    """
    exposures = tables.exposures
    if exposures is not None and "purchased" in exposures and exposures["purchased"].notna().any():
        return "exposure"
    if tables.orders is None or len(orders_of_items(tables.orders)):
        return "course"
    return "person"


def train_and_test(
    tables: Tables, *, unit: str, warm_up: float, test_share: float
) -> tuple[PurchaseData, PurchaseData, pd.Timestamp]:
    """Return rows to learn from, later rows to judge on, and the moment between them.

    Courses and people are learned over a horizon as long as the one they are judged over, as far
    as the warm-up leaves room: a purchase within a longer time is likelier.

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
    if unit != "exposure":
        first = max(first, cut - (end - cut))
    train = make_dataset(tables, first, cut - first, unit=unit)
    test = make_dataset(tables, cut, end - cut, unit=unit)
    for data in (train, test):
        need_both_labels(data.y)
    features = train.X.columns  # a kind of item that people met later is none of them
    return train, replace(test, X=test.X.reindex(columns=features)), cut


def need_both_labels(y: np.ndarray) -> None:
    """Raise `TooLittleError` unless there are purchases and non-purchases."""
    if len(np.unique(y)) < 2:
        raise TooLittleError(
            f"all {len(y)} labels are {y[0] if len(y) else 'missing'}; a model needs purchases "
            "and non-purchases: widen the horizon or move the cut"
        )


def _log(tables: Tables, unit: str) -> pd.DataFrame:
    """Return the table that records the purchases of the unit: orders or exposures."""
    needed = {"course": "orders", "person": "orders", "exposure": "exposures"}.get(unit)
    if needed is None:
        raise ValueError(f"unit is {unit!r}; choose course, exposure or person")
    log = getattr(tables, needed)
    if log is None:
        raise TooLittleError(
            f"there is no {needed} table; purchases per {unit} cannot be predicted"
        )
    if unit == "exposure" and "purchased" not in log:
        raise TooLittleError("exposures have no column purchased; use unit='course'")
    if unit != "course":
        return log
    of_items = orders_of_items(log)
    if of_items.empty:
        raise TooLittleError(
            "no order names its item (orders.item_id), so no purchase is one of a course; use "
            "unit='person'"
        )
    return of_items


def leaky(data: PurchaseData) -> PurchaseData:
    """Add the label to the features, as h(features, purchase result) asks: a leak on purpose.

    The score becomes perfect and worthless, because nobody knows the result at the moment
    of prediction.
    """
    result = data.y.astype(float)
    return replace(data, X=data.X.assign(**{"purchase result": result}))


def history(rows: pd.DataFrame, log: pd.DataFrame, by: list[str], values: list[str]) -> np.ndarray:
    """Sum ``values`` over the log's rows with the same keys, strictly before each row's moment.

    ``by`` names the key columns; both frames have these and ``moment``. Rows and log are sorted
    together by key and moment, so that a running sum from the start of each key is the answer.

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
    n_rows = len(rows)
    keys = pd.concat([rows[by], log[by]], ignore_index=True)
    key = keys.groupby(by, sort=False, dropna=False).ngroup().to_numpy()
    n_all = len(key)
    moment = np.concatenate([rows["moment"].to_numpy(), log["moment"].to_numpy()])
    is_log = np.arange(n_all) >= n_rows
    # The last key sorts first. At one moment a row stands before the log, which it must not see.
    order = np.lexsort((is_log, moment, key))
    amounts = np.zeros((n_all, len(values)))
    amounts[n_rows:] = log[values].to_numpy(dtype=np.float64)
    sums = np.cumsum(amounts[order], axis=0)
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))  # of each key, in sorted order
    key_lengths = np.diff(np.append(starts, n_all))
    sums_at_start = np.vstack([np.zeros(len(values)), sums[starts[1:] - 1]])
    sums -= np.repeat(sums_at_start, key_lengths, axis=0)
    sums_in_given_order = np.empty_like(sums)
    sums_in_given_order[order] = sums
    return sums_in_given_order[:n_rows]


def _pairs_not_owned(past: Tables, orders: pd.DataFrame) -> pd.DataFrame:
    """Return each user and course that met, directly or by a promotion, and is not yet owned."""
    logs = [log for log in (past.events, past.exposures) if log is not None]
    contacts = pd.concat(logs, ignore_index=True)
    contacts = contacts.assign(item_id=item_sold(contacts["item_id"], past.items))
    pairs = contacts[["user_id", "item_id"]].drop_duplicates(ignore_index=True)
    of_items = orders_of_items(orders)
    bought = pd.MultiIndex.from_frame(of_items[["user_id", "item_id"]])
    is_owned = pd.MultiIndex.from_frame(pairs).isin(bought)
    return pairs[~is_owned].reset_index(drop=True)


def _people_who_never_ordered(past: Tables, orders: pd.DataFrame) -> pd.DataFrame:
    """Return the users with an event who ordered nothing so far."""
    users = past.events[["user_id"]].drop_duplicates()
    has_ordered = users["user_id"].isin(orders["user_id"].unique())
    return users[~has_ordered].reset_index(drop=True)


def _features_of_people(rows: pd.DataFrame, past: Tables) -> pd.DataFrame:
    """Describe people by what they did and how long ago; none of them ordered anything yet."""
    users = past.users
    if users is not None:
        users = users[["user_id", *[name for name in DEMOGRAPHICS if name in users]]]
    moment = rows["moment"].iloc[0]
    about = replace(past, users=users, orders=None)
    portraits = described(about, moment)
    features = portraits.loc[rows["user_id"]].reset_index(drop=True)
    by_user = before_visits(past, moment).events.groupby("user_id")
    times = {"first": by_user["timestamp"].min(), "last": by_user["timestamp"].max()}
    for name, time_of_user in times.items():
        days = (moment - look_up(rows["user_id"], time_of_user)) / pd.Timedelta(days=1)
        features[f"log days since {name}"] = np.log1p(days)
    if "watch_time" in past.events:
        seconds = by_user["watch_time"].sum().reindex(rows["user_id"].unique(), fill_value=0.0)
        features["log watch time"] = np.log1p(look_up(rows["user_id"], seconds))
    text = features.select_dtypes(exclude="number").columns
    return features.astype(dict.fromkeys(text, "category"))


def _with_item_columns(frame: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Add the item's columns, the user as a number, the moment in microseconds, and n = 1."""
    frame = frame.rename(columns={"timestamp": "moment"}).reset_index(drop=True)
    frame["moment"] = _microseconds(frame["moment"])
    frame["offer"] = item_sold(frame["item_id"], tables.items)
    if tables.items is not None:
        items = tables.items.set_index("item_id")
        for name in TEXT:
            if name in items:
                label = look_up(frame["item_id"], items[name])
                frame[name] = label.astype("category")
        if "price" in items:
            frame["price"] = look_up(frame["offer"], items["price"])
    frame["user"] = find_positions(frame["user_id"], tables.ids("user_id"))
    return frame.assign(n=1.0)


def _microseconds(moments: pd.Series) -> pd.Series:
    return moments.dt.tz_convert(None).astype("datetime64[us]").astype("int64")


def _features(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Describe each row by what its tables, as far as there are any, knew before its moment."""
    rows = _with_item_columns(rows, tables)
    events = _with_item_columns(tables.events, tables)
    events["happened"] = events["moment"]
    events["moment"] = _microseconds(known_from(tables.events, tables)).to_numpy()
    features: Columns = {name: rows[name] for name in TEXT if name in rows}
    features["item"] = rows["item_id"].astype("category")
    if "price" in rows:
        features["log price"] = np.log1p(rows["price"])
    if "position" in rows:
        features["log position"] = np.log(rows["position"].astype(float))
    for name in ("treatment", "hour"):
        if name in rows:
            features[name] = rows[name].astype(float)
    features |= _viewing(rows, events)
    features |= _profile(rows, events)
    if gives(tables.events):
        features |= _giving(rows, events)
    if tables.follows is not None and len(tables.follows):
        features |= _following(rows, tables, tables.follows)
    if tables.orders is not None:
        features |= _buying(rows, _with_item_columns(_naming_items(tables.orders), tables))
    if tables.exposures is not None and {"clicked", "purchased"} <= set(tables.exposures):
        features |= _reactions(rows, _with_item_columns(tables.exposures, tables))
    if tables.users is not None:
        features |= _demographics(rows, tables.users)
    return pd.DataFrame(features)


def _naming_items(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders with a column of items, missing where none was logged."""
    if "item_id" in orders:
        return orders
    return orders.assign(item_id=pd.Series(pd.NA, orders.index, dtype="str"))


def _buying(rows: pd.DataFrame, orders: pd.DataFrame) -> Columns:
    """How often and for how much this user bought, and whether this course is owned.

    Orders of subscriptions name no item and own no course; without amounts there is no usual one.
    """
    n_orders = history(rows, orders, ["user"], ["n"])[:, 0]
    n_of_course = history(rows, orders, ["user", "offer"], ["n"])[:, 0]
    columns: Columns = {"orders": np.log1p(n_orders)}
    if has_amounts(orders):
        columns["usual log amount"] = _usual_log_amount(rows, orders)
    columns["owned"] = (n_of_course > 0).astype(float)
    return columns


def _usual_log_amount(rows: pd.DataFrame, orders: pd.DataFrame) -> np.ndarray:
    paid = orders[orders["amount"].notna()]
    paid = paid.assign(log_amount=np.log1p(paid["amount"]))
    n_paid, log_spent = history(rows, paid, ["user"], ["n", "log_amount"]).T
    unknown = np.full(len(rows), np.nan)
    return np.divide(log_spent, n_paid, out=unknown, where=n_paid > 0)


def _demographics(rows: pd.DataFrame, users: pd.DataFrame) -> Columns:
    """Age as a number, gender and occupation as text, where known."""
    by_id = users.set_index("user_id")
    columns: Columns = {}
    for name in DEMOGRAPHICS:
        if name in by_id:
            values = look_up(rows["user_id"], by_id[name])
            columns[name] = values if name == "age" else values.astype("category")
    return columns


def _viewing(rows: pd.DataFrame, events: pd.DataFrame) -> Columns:
    """How often and how fully this user watched this item, offer, topic and kind.

    The watched share is the mean over the views whose share is known, shrunk towards 0.3 by
    five views.
    """
    share = watched_share(events).clip(upper=1.0)  # a replay is no second view
    events = events.assign(has_share=share.notna(), share=share.fillna(0.0))
    keys_by_name = {
        "user": ["user"],
        "topic": ["user", "category"],
        "kind": ["user", "kind"],
        "course": ["user", "offer"],
        "item": ["user", "item_id"],
    }
    columns: Columns = {}
    for name, keys in keys_by_name.items():
        if not set(keys) <= set(rows):
            continue
        sums = history(rows, events, keys, ["n", "has_share", "share"])
        n_views, n_shares, share_sum = sums.T
        columns[f"{name} views"] = np.log1p(n_views)
        columns[f"{name} watched"] = (share_sum + 1.5) / (n_shares + 5)
    return columns


def _giving(rows: pd.DataFrame, events: pd.DataFrame) -> Columns:
    """How many gifts this user gave and what they were worth, to anybody and to this host."""
    gifts = events[events["gift_amount"] > 0]
    n_gifts, amount = history(rows, gifts, ["user"], ["n", "gift_amount"]).T
    columns: Columns = {"gifts": np.log1p(n_gifts), "log gift amount": np.log1p(amount)}
    if "host" in rows:
        n_to_host = history(rows, gifts, ["user", "host"], ["n"])[:, 0]
        columns["gifts to host"] = np.log1p(n_to_host)
    return columns


def _following(rows: pd.DataFrame, tables: Tables, follows: pd.DataFrame) -> Columns:
    """How many hosts this user follows, and whether this host is one of them."""
    known = follows.assign(timestamp=known_from(follows, tables))
    in_order = known.sort_values("timestamp", kind="stable")
    first = in_order.drop_duplicates(["user_id", "host"])
    user = find_positions(first["user_id"], tables.ids("user_id"))
    log = pd.DataFrame({"user": user, "host": first["host"].to_numpy(), "n": 1.0})
    log["moment"] = _microseconds(first["timestamp"]).to_numpy()
    n_hosts = history(rows, log, ["user"], ["n"])[:, 0]
    columns: Columns = {"follows": np.log1p(n_hosts)}
    if "host" in rows:
        columns["follows host"] = history(rows, log, ["user", "host"], ["n"])[:, 0]
    return columns


def _profile(rows: pd.DataFrame, events: pd.DataFrame) -> Columns:
    """Log-lifts of the user's views by topic, kind and three-hour band, over an equal share.

    Each level counts as viewed once more than it was. Whole days have no bands.
    """
    levels_by_name = {name: events[name] for name in ("category", "kind") if name in events}
    times = pd.to_datetime(events["happened"], unit="us")
    if not are_whole_days(times):
        levels_by_name["hour"] = times.dt.hour // 3 * 3
    columns: Columns = {}
    for name, levels in levels_by_name.items():
        indicators = pd.get_dummies(levels, dtype=float).add_prefix(f"views by {name} ")
        log = pd.concat([events[["user", "moment"]], indicators], axis=1)
        counts = history(rows, log, ["user"], list(indicators))
        totals = counts.sum(axis=1, keepdims=True)
        n_levels = indicators.shape[1]
        share = (counts + 1) / (totals + n_levels)
        log_lift = np.log(share * n_levels)
        columns |= dict(zip(indicators, log_lift.T, strict=True))
    return columns


def _reactions(rows: pd.DataFrame, exposures: pd.DataFrame) -> Columns:
    """Log of clicks and purchases over those expected from the positions of the exposures.

    The expected rates are those of the position so far, shrunk by ten exposures at a click rate
    of 0.25 and a purchase rate of 0.02; without positions those of the policy. Three clicks and
    one purchase, added to what happened and to what was expected, shrink the logs towards 0.
    """
    by_position = ["position"] if "position" in exposures else ["policy"]
    past = history(exposures, exposures, by_position, ["clicked", "purchased", "n"])
    n_clicks, n_purchases, n_exposures = past.T
    expected_click = (n_clicks + 2.5) / (n_exposures + 10)
    expected_purchase = (n_purchases + 0.2) / (n_exposures + 10)
    exposures = exposures.assign(expected_click=expected_click, expected_purchase=expected_purchase)
    purchases_of_course = history(rows, exposures, ["user", "offer"], ["purchased"])
    columns: Columns = {"bought before": purchases_of_course[:, 0]}
    keys_by_name = {
        "user": ["user"],
        "topic": ["user", "category"],
        "kind": ["user", "kind"],
        "course": ["user", "offer"],
        "item": ["item_id"],
        "offer": ["offer"],
        "host": ["host"],
    }
    values = ["clicked", "expected_click", "purchased", "expected_purchase"]
    shared_columns = set(rows) & set(exposures)
    for name, keys in keys_by_name.items():
        if not set(keys) <= shared_columns:
            continue
        sums = history(rows, exposures, keys, values)
        clicks, expected_clicks, purchases, expected_purchases = sums.T
        click_lift = (clicks + 3) / (expected_clicks + 3)
        buy_lift = (purchases + 1) / (expected_purchases + 1)
        columns[f"{name} click lift"] = np.log(click_lift)
        columns[f"{name} buy lift"] = np.log(buy_lift)
    return columns
