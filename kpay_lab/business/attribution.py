"""What sold an order: as the log says it, else the last or the first touch of the buyer before."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpay_lab.business.periods import with_columns
from kpay_lab.data.codes import find_positions, take_rows
from kpay_lab.data.derived import are_whole_days, main_label
from kpay_lab.data.money import has_amounts, net_amount
from kpay_lab.data.privacy import suppress_small_groups
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RULES = ("last", "first")
BY = ("source", "kind", "category", "host", "path")
MEASURES = ("orders", "gmv", "refunded", "net_revenue")
NO_TOUCH = "no touch"
NOT_KNOWN = "not known"
STEP = " → "
LIVE = "live"
WINDOW_DAYS = 7.0
A_CENT = 0.01


@dataclass(frozen=True)
class Attribution:
    """Each order with what sold it, and the money that goes there.

    Parameters
    ----------
    orders : DataFrame
        One row an order, with its label: ``user_id, orders`` (1), ``gmv, refunded,
        net_revenue`` (0 where no amount is known), and three ids of items: ``said`` is what the
        log says (``orders.source_item_id``), ``last`` and ``first`` are what the touches say,
        missing where there is none. ``sold`` is the item of the order; ``led_last`` and
        ``led_first`` are what led to the item credited under each rule, such as the video that
        led to a live session, missing where nothing did.
    items : DataFrame
        The catalogue by ``item_id``, with the columns ``kind, category, host`` that are known.
    window_days : float
        How long before an order a touch counts.
    has_money : bool
        Whether any amount is known.
    """

    orders: pd.DataFrame
    items: pd.DataFrame
    window_days: float
    has_money: bool

    @property
    def by(self) -> str:
        """What to group by: the kind of what sold an order, the item itself without kinds."""
        return "kind" if "kind" in self.items else "source"

    @property
    def names_any(self) -> bool:
        """Whether anything is known to have sold any order."""
        return bool(self.orders[["said", *RULES]].notna().any(axis=None))

    def credited(self, rule: str) -> pd.Series:
        """Return the item that each order is credited to: what the log says, else the touch.

        Parameters
        ----------
        rule : {"last", "first"}
            Which touch counts where the log says nothing.
        """
        return self.orders["said"].fillna(self.orders[rule])

    def table(self, by: str = "kind") -> pd.DataFrame:
        """Add up the orders and their money by what sold them, under both rules.

        Every order is in one row under each rule, so that both add up to all orders and all
        money; those that nothing is known to have sold are the row *no touch*.

        Parameters
        ----------
        by : {"source", "kind", "category", "host", "path"}
            The item itself, or what the catalogue says of it; or the path of kinds that led to the
            order, such as *short video → live → course*.

        Returns
        -------
        DataFrame
            Index: the groups, the most money first. ``orders_last, gmv_last, refunded_last,
            net_revenue_last, buyers_last``, the same of the first touch, and the ``difference``
            of net revenue, last less first; of orders where no amount is known.

        Raises
        ------
        ValueError
            If the log cannot tell the groups.
        """
        measures = [*MEASURES] if self.has_money else ["orders"]
        parts = []
        for rule in RULES:
            by_group = self.orders.groupby(self._groups(rule, by))
            sums = by_group[measures].sum()
            sums["buyers"] = by_group["user_id"].nunique()
            parts.append(sums.add_suffix(f"_{rule}"))
        table = parts[0].join(parts[1], how="outer").fillna(0.0)
        counts = [name for name in table if name.startswith(("orders", "buyers"))]
        table[counts] = table[counts].astype("int64")
        compared = measures[-1]
        table["difference"] = table[f"{compared}_last"] - table[f"{compared}_first"]
        table = table.sort_values([f"{compared}_last", f"{compared}_first"], ascending=False)
        is_rest = table.index == NO_TOUCH
        return pd.concat([table[~is_rest], table[is_rest]]).rename_axis(by)

    def hidden(self, by: str = "kind", *, minimum: int) -> pd.DataFrame:
        """Return `table` with the figures of groups of fewer than ``minimum`` buyers hidden.

        A group counts as many buyers as the rule that gives it fewer, unless that gives it none.
        """
        table = self.table(by)
        fewest = table[["buyers_last", "buyers_first"]].replace(0, np.inf).min(axis=1)
        with_count = table.assign(buyers=fewest)
        hidden = suppress_small_groups(with_count, "buyers", minimum)
        return hidden.drop(columns=["buyers", "suppressed"])

    def agreement(self) -> pd.DataFrame:
        """Return how often each rule names what the log says, where the log says it.

        Returns
        -------
        DataFrame
            Index: last, first. ``orders`` and ``gmv`` of which the log names the source, and the
            shares of them for which the touch is that item; NaN where it names none.
        """
        said = self.orders[self.orders["said"].notna()]
        rows = []
        for rule in RULES:
            is_right = said[rule] == said["said"]
            gmv = said["gmv"].sum()
            gmv_right = said.loc[is_right, "gmv"].sum()
            share_of_gmv = gmv_right / gmv if gmv > 0 else np.nan
            rows.append((len(said), is_right.mean(), gmv, share_of_gmv))
        columns = ["orders", "share_of_orders", "gmv", "share_of_gmv"]
        return pd.DataFrame(rows, index=pd.Index(RULES, name="rule"), columns=columns)

    def findings(self, *, currency: str = "") -> list[Finding]:
        """Return how much net revenue goes elsewhere by the first touch, and which rule is right.

        Nothing is found where no amount is known, or nothing that sold an order.
        """
        total = self.orders["net_revenue"].sum()
        if not (self.has_money and self.names_any and total > 0):
            return []
        moved = self.table(self.by)["difference"].abs().sum() / 2
        values = {"by": "item" if self.by == "source" else self.by, "days": self.window_days}
        values |= {"moved": moved, "share": moved / total, "currency": currency}
        values["is_same"] = bool(moved < A_CENT)
        agreement = self.agreement()
        values["n_said"] = int(agreement["orders"].iloc[0])
        for rule in RULES:
            share = agreement.loc[rule, "share_of_orders"]
            values[rule] = None if np.isnan(share) else share
        return [Finding("business/attribution", "plain", values, place="attribution")]

    def path_findings(self, *, currency: str = "") -> list[Finding]:
        """Return how much net revenue live sessions are credited with, and what led to them.

        Nothing is found where no amount is known, or no kind of item.
        """
        total = self.orders["net_revenue"].sum()
        if not (self.has_money and "kind" in self.items and total > 0):
            return []
        shares = {}
        for rule in RULES:
            of_live = self._groups(rule, "kind") == LIVE
            shares[rule] = self.orders.loc[of_live, "net_revenue"].sum() / total
        money = shares["last"] * total
        of_live = self._groups("last", "kind") == LIVE
        was_led = of_live & self.orders["led_last"].notna()
        led = self.orders.loc[was_led, "net_revenue"].sum()
        values = {"money": money, "currency": currency, "share": shares["last"]}
        values |= {"first": shares["first"], "led": led / money if money > 0 else 0.0}
        return [Finding("business/paths", "plain", values, place="paths")]

    def plot(self, ax: "Axes | None" = None, *, by: str = "kind", minimum: int = 1) -> "Axes":
        """Draw the net revenue of each group under both rules, small groups left out."""
        from kpay_lab.plots import plot_intervals  # here, for matplotlib is slow to import

        compared = "net_revenue" if self.has_money else "orders"
        names = {f"{compared}_{rule}": f"{rule} touch" for rule in RULES}
        shown = self.hidden(by, minimum=minimum)[[*names]].astype(float).dropna()
        shown = shown.rename(index=lambda name: str(name).replace("_", " "), columns=names)
        points = shown.melt(ignore_index=False, var_name="rule")
        points = points.assign(low=0.0, high=points["value"])
        ax = plot_intervals(points, ax=ax, by="rule", title="What sold it")
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.set_xlabel(f"{compared.replace('_', ' ')} credited")
        if len(points):
            ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncol=2, frameon=False)
        return ax

    def _groups(self, rule: str, by: str) -> pd.Series:
        choices = ["source", *self.items.columns]
        if "kind" in self.items:
            choices.append("path")
        if by not in choices:
            raise ValueError(f"by is {by!r}; this log can tell {', '.join(choices)}")
        credited = self.credited(rule)
        is_credited = credited.notna()
        if by == "path":
            return self._paths(rule)
        if by == "source":
            return credited.where(is_credited, NO_TOUCH)
        label = main_label(credited.map(self.items[by]))
        return label.fillna(NOT_KNOWN).where(is_credited, NO_TOUCH)

    def _paths(self, rule: str) -> pd.Series:
        """Return the kinds of what led to each order, the earliest first, and of what was sold."""
        credited = self.credited(rule)
        sold = self.orders["sold"]
        own_page = credited == sold
        path = self._kind(sold)
        path = path.where(own_page, self._kind(credited) + STEP + path)
        led = self.orders[f"led_{rule}"]
        path = path.where(led.isna(), self._kind(led) + STEP + path)
        return path.where(credited.notna(), NO_TOUCH)

    def _kind(self, item: pd.Series) -> pd.Series:
        kind = item.map(self.items["kind"]).astype("str")
        return kind.str.replace("_", " ").fillna(NOT_KNOWN)


def attribute_orders(
    tables: Tables,
    *,
    window_days: float = WINDOW_DAYS,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
) -> Attribution:
    """Find what sold each order: as the log says, and by the last and the first touch before it.

    A touch is an event of the buyer, at most ``window_days`` before the order and not after it,
    with the item sold or with one that promotes it. It is credited to the item of the event; a
    view of the item sold that another item led to (``events.source_item_id``) is credited to
    that one. Where orders are whole days, the events of that day come before. An order that names
    no item has no touch.

    Parameters
    ----------
    tables : Tables
    window_days : float
        Above 0.
    since : Timestamp, optional
        Orders before it are left out; touches before it count.
    until : Timestamp, optional
        Orders at it or later are left out, and refunds that were not known then.

    Raises
    ------
    ValueError
        If there are no orders, or no times of events, or the window is not above 0.

    Examples
    --------
    >>> times = pd.to_datetime(["2026-01-05", "2026-01-06", "2026-01-07"], utc=True)
    >>> times = times.astype("datetime64[us, UTC]")
    >>> events = pd.DataFrame({"user_id": "u", "item_id": ["clip", "course"]})
    >>> items = pd.DataFrame({"item_id": ["clip", "course"], "promotes": ["course", None]})
    >>> orders = pd.DataFrame({"user_id": ["u"], "item_id": ["course"], "amount": [9.0]})
    >>> tables = Tables(
    ...     events.assign(timestamp=times[:2]), items, orders=orders.assign(timestamp=times[2:])
    ... )
    >>> found = attribute_orders(tables)
    >>> found.orders[["last", "first"]].to_numpy().tolist()
    [['course', 'clip']]
    """
    if not window_days > 0:
        raise ValueError(f"window_days is {window_days}; it must be above 0")
    if tables.orders is None:
        raise ValueError("attribution needs a table orders; this log has none")
    if "timestamp" not in tables.events:
        raise ValueError("attribution needs a timestamp column in events; this log has none")
    known = with_columns(tables, events=["source_item_id"])
    if until is not None:
        known = known.known_at(until)
    orders = known.present()["orders"]
    has_money = has_amounts(orders)
    are_days = are_whole_days(orders["timestamp"])
    if since is not None:
        orders = orders[orders["timestamp"] >= since]
    moment = orders["timestamp"]
    if are_days:
        moment = moment + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)
    window = pd.Timedelta(days=window_days)
    is_near = known.events["timestamp"].between(moment.min() - window, moment.max())
    touches = _Touches.of(known.with_events(take_rows(known.events, is_near)), orders)
    credited = _of_orders(orders)
    credited["sold"] = orders.reindex(columns=["item_id"])["item_id"].astype("str")
    leads = touches.of_others()
    for rule in RULES:
        credited[rule] = touches.nearest(orders["user_id"], credited["sold"], moment, window, rule)
        seller = credited["said"].fillna(credited[rule])
        led = leads.nearest(orders["user_id"], seller, moment, window, rule)
        credited[f"led_{rule}"] = led.where(seller != credited["sold"])
    return Attribution(
        orders=credited,
        items=_described(tables.items),
        window_days=window_days,
        has_money=has_money,
    )


def _of_orders(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the money of each order, and what the log says has sold it."""
    amount = orders.reindex(columns=["amount"])["amount"].astype(float)
    net_revenue = net_amount(orders).astype(float)
    money = {
        "gmv": amount.fillna(0.0),
        "refunded": (amount - net_revenue).fillna(0.0),
        "net_revenue": net_revenue.fillna(0.0),
    }
    said = orders.reindex(columns=["source_item_id"])["source_item_id"].astype("str")
    return orders[["user_id"]].assign(orders=1, **money, said=said)


def _described(items: pd.DataFrame | None) -> pd.DataFrame:
    if items is None:
        return pd.DataFrame(index=pd.Index([], name="item_id"))
    known = [name for name in BY if name in items]
    return items.set_index("item_id")[known]


@dataclass(frozen=True)
class _Touches:
    """What the events of buyers may have sold, in order of time, as positions of ids.

    Parameters
    ----------
    users, items : Index
        The buyers, and all items.
    frame : DataFrame
        ``pair`` (of a buyer and the item that may have been sold), ``moment``, and what is
        ``credited``; of equal times the order of the file decides.
    """

    users: pd.Index
    items: pd.Index
    frame: pd.DataFrame

    @classmethod
    def of(cls, tables: Tables, orders: pd.DataFrame) -> "_Touches":
        users = pd.Index(orders["user_id"].unique())
        user = find_positions(tables.events["user_id"], users)
        is_of_buyer = user >= 0
        events = take_rows(tables.events, is_of_buyer)
        led_from = events.reindex(columns=["source_item_id"])["source_item_id"]
        promotes = pd.Series(dtype="str")
        if tables.items is not None and "promotes" in tables.items:
            promotes = tables.items.set_index("item_id")["promotes"]
        named = [events["item_id"], led_from, promotes]
        named += [orders[name] for name in ("item_id", "source_item_id") if name in orders]
        distinct = [ids.drop_duplicates().dropna().astype("str") for ids in named]
        items = pd.Index(pd.concat(distinct).unique())
        watched = find_positions(events["item_id"], items)
        source = find_positions(led_from, items)
        promoted = find_positions(promotes.reindex(items), items)[watched]
        first_pair = user[is_of_buyer] * len(items)
        of_itself = pd.DataFrame(
            {
                "pair": first_pair + watched,
                "moment": events["timestamp"].array,
                "credited": np.where(source >= 0, source, watched),
            }
        )
        of_promotion = of_itself.assign(pair=first_pair + promoted, credited=watched)
        is_promotion = (promoted >= 0) & (promoted != watched)
        both = pd.concat([of_itself, of_promotion[is_promotion]])
        in_file_order = both.sort_index(kind="stable")
        in_time = in_file_order.sort_values("moment", kind="stable", ignore_index=True)
        return cls(users, items, in_time)

    def of_others(self) -> "_Touches":
        """Return the touches that are credited to another item than the one that may be sold."""
        item = self.frame["pair"] % max(len(self.items), 1)
        return replace(self, frame=self.frame[item != self.frame["credited"]])

    def nearest(
        self, user: pd.Series, item: pd.Series, moment: pd.Series, window: pd.Timedelta, rule: str
    ) -> pd.Series:
        """Return what the last or first touch in the window before each order is credited to.

        Parameters
        ----------
        user, item, moment : Series of equal index
            Of the orders; an order whose item is missing has no touch.
        """
        at_item = find_positions(item, self.items)
        pair = find_positions(user, self.users) * len(self.items) + at_item
        asked = pd.DataFrame({"pair": pair, "moment": moment.array})
        # The first touch: from where the window begins, what is met first lies in it or nowhere.
        direction = "backward" if rule == "last" else "forward"
        if rule == "first":
            asked["moment"] -= window
        asked = asked[at_item >= 0].sort_values("moment", kind="stable")
        of_pairs = self.frame[self.frame["pair"].isin(asked["pair"])]
        found = pd.merge_asof(
            asked, of_pairs, on="moment", by="pair", direction=direction, tolerance=window
        )
        credited = found["credited"].set_axis(asked.index).reindex(range(len(item)))
        names = pd.Series(self.items, dtype="str")
        return credited.map(names).set_axis(item.index).astype("str")
