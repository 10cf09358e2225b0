"""The twelve figures of a shop, with intervals, beside the period before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kpay_lab import formatting
from kpay_lab.business.periods import DAY, Period
from kpay_lab.data.money import has_amounts, net_amount, refunded_amount
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding, lacking, level_of_interval
from kpay_lab.stats import Interval, bootstrap_t_ratios

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NO_ORDERS = "the log has no orders (a table of user_id, timestamp, item_id, amount)"
NO_AMOUNTS = "no order says what was paid (orders.amount, or prices in mapping.price_of)"
NO_REFUNDS = "the log says nothing of refunds (orders.refund_amount)"
NO_TIMES = "the events bear no times (events.timestamp)"
NO_BEFORE = "the log does not reach back over a period of equal length"
FEW_USERS = "fewer than ten users stand behind it, or it is 0 in a period"
NO_STAYS = "no event says how long it was watched (events.watch_time)"


@dataclass(frozen=True)
class Definition:
    """A figure: a sum over users, or the ratio of two.

    Parameters
    ----------
    words : str
        Its name on a page.
    numerator : str
        A column of `user_sums`.
    denominator : str, optional
        Another one; none for a sum.
    per : float
        What the ratio is multiplied by.
    is_share : bool
        Whether it lies between 0 and 1.
    """

    words: str
    numerator: str
    denominator: str | None = None
    per: float = 1.0
    is_share: bool = False

    def written(self, value: float, currency: str = "") -> str:
        """Write a value of the figure for a page.

        >>> FIGURES["gmv"].written(1234.5, "CNY"), FIGURES["orders"].written(1234)
        ('1,234.50 CNY', '1,234')
        """
        if self.is_share:
            return formatting.share(value)
        if self.numerator in MONEY:
            return formatting.money(value, currency)
        return formatting.count(value) if self.denominator is None else formatting.score(value)


FIGURES = {
    "gmv": Definition("GMV", "gmv"),
    "net_revenue": Definition("net revenue", "net_revenue"),
    "orders": Definition("orders", "orders"),
    "paying_users": Definition("paying users", "buyers"),
    "value_per_order": Definition("value an order", "gmv", "orders"),
    "value_per_buyer": Definition("value a buyer", "gmv", "buyers"),
    "uv_value": Definition("UV value (GMV a viewer)", "gmv", "viewers"),
    "gpm": Definition("GPM (GMV per 1,000 views)", "gmv", "views", per=1000.0),
    "refund_rate/orders": Definition(
        "refund rate, of orders", "refunded_orders", "orders", is_share=True
    ),
    "refund_rate/money": Definition("refund rate, of money", "refunded", "gmv", is_share=True),
    "repeat_purchase_rate": Definition(
        "repeat purchase rate", "repeat_buyers", "buyers", is_share=True
    ),
    "average_stay": Definition("average stay, seconds", "seconds", "stays"),
}


MONEY = ("gmv", "refunded", "net_revenue")
NO_CHANGE = 1e-9
PARTS = ("value", "before", "change")


@dataclass(frozen=True)
class Figures:
    """The figures of a period beside those of the period before.

    Parameters
    ----------
    period : Period
    before : Period, or None
        None where the log does not reach back so far.
    values : DataFrame
        One row a figure: ``value, low, high`` (its 95 % interval), ``before, before_low,
        before_high``, and ``change, change_low, change_high``, the relative change, in which
        0.1 is 10 % more. NaN is *not known*.
    why : mapping
        Figure → what keeps its value from being known.
    """

    period: Period
    before: Period | None
    values: pd.DataFrame
    why: Mapping[str, str] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """Return ``values`` with the words of each figure as ``figure``."""
        words = [FIGURES[key].words for key in self.values.index]
        table = self.values.copy()
        table.insert(0, "figure", words)
        return table

    def in_words(self) -> pd.DataFrame:
        """Return the known figures as text for a page: ``value``, its interval, and the change."""
        rows = {}
        for key, row in self.values.dropna(subset="value").iterrows():
            definition = FIGURES[str(key)]
            value = definition.written(row["value"])
            ends = _span(row["low"], row["high"], definition.written)
            before = definition.written(row["before"])
            change = formatting.change(row["change"])
            change_ends = _span(row["change_low"], row["change_high"], formatting.change)
            rows[definition.words] = (value, ends, before, change, change_ends)
        columns = ["value", "95 % interval", "before", "change", "interval of the change"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        return table.rename_axis("figure")

    def reason(self, key: str, column: str = "value") -> str:
        """Say what keeps a number of ``values`` from being known."""
        if key in self.why:
            return self.why[key]
        if self.before is None and column.startswith(("before", "change")):
            return NO_BEFORE
        return FEW_USERS

    def findings(
        self, *, currency: str = "", time_zone: str = "UTC", prices_are_assumed: bool = False
    ) -> list[Finding]:
        """Return where the money is, what was paid back, what changed, and who bought again.

        Parameters
        ----------
        currency : str
            Of the amounts, such as CNY; '' where it is not known.
        time_zone : str
            In which the period is written.
        prices_are_assumed : bool
            Whether amounts are prices that somebody assumed (``mapping.price_of``).
        """
        found = []
        if self._is_known("gmv"):
            found.append(self._gmv(currency, time_zone, prices_are_assumed))
        else:
            found.append(lacking("money", "orders"))
        if self._is_known("refund_rate/money"):
            found.append(self._refunds(currency))
        elif self._is_known("gmv") and self.why["refund_rate/money"] == NO_REFUNDS:
            found.append(lacking("refunds", "orders"))
        if self._is_known("gmv", "change"):
            found.append(self._change(currency))
        if self._is_known("repeat_purchase_rate"):
            found.append(self._repeat())
        return found

    def _is_known(self, key: str, column: str = "value") -> bool:
        return bool(np.isfinite(self.values.loc[key, column]))

    def _ends(self, key: str, column: str = "value") -> dict[str, Any]:
        """Return the ``low`` and ``high`` end of a number of ``values``, None where unknown."""
        prefix = "" if column == "value" else f"{column}_"
        low = self.values.loc[key, f"{prefix}low"]
        high = self.values.loc[key, f"{prefix}high"]
        is_known = np.isfinite(low) and np.isfinite(high)
        return {"low": low, "high": high} if is_known else {"low": None, "high": None}

    def _gmv(self, currency: str, time_zone: str, prices_are_assumed: bool) -> Finding:
        of_period = self.values["value"]
        values = self._ends("gmv") | {"gmv": of_period["gmv"], "currency": currency}
        values["period"] = self.period.words(time_zone)
        values["n_orders"] = int(of_period["orders"])
        values["n_buyers"] = int(of_period["paying_users"])
        values["assumed"] = prices_are_assumed
        return Finding("business/gmv", "plain", values, place="figures")

    def _refunds(self, currency: str) -> Finding:
        of_period = self.values["value"]
        values = self._ends("refund_rate/money") | {"share": of_period["refund_rate/money"]}
        values["share_of_orders"] = of_period["refund_rate/orders"]
        values["net_revenue"] = of_period["net_revenue"]
        values["refunded"] = of_period["gmv"] - of_period["net_revenue"]
        values["currency"] = currency
        return Finding("business/refunds", "plain", values, place="figures")

    def _change(self, currency: str) -> Finding:
        gmv = self.values.loc["gmv"]
        values = self._ends("gmv", "change") | {"change": gmv["change"], "currency": currency}
        values["gmv_before"] = gmv["before"]
        values["days"] = self.period.length / DAY
        level = level_of_interval(gmv["change_low"], gmv["change_high"], otherwise="plain")
        return Finding("business/change", level, values, place="changes")

    def _repeat(self) -> Finding:
        key = "repeat_purchase_rate"
        values = self._ends(key) | {"share": self.values.loc[key, "value"]}
        values["n_buyers"] = int(self.values.loc["paying_users", "value"])
        return Finding("business/repeat", "plain", values, place="figures")

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the change of each figure since the period before with its interval."""
        from kpay_lab.plots import plot_intervals  # here, for matplotlib is slow to import

        changes = self.table().set_index("figure")
        columns = {"change": "change", "change_low": "low", "change_high": "high"}
        changes = changes[list(columns)].rename(columns=columns).dropna(subset="change")
        ax = plot_intervals(
            changes,
            "change",
            ax=ax,
            zero=True,
            title="What changed",
            xlabel="change since the period before",
        )
        ax.xaxis.set_major_formatter(
            lambda share, _: f"{share:+.0%}" if abs(share) > NO_CHANGE else "0%"
        )
        return ax


def _span(low: float, high: float, written: Callable[[float], str]) -> str:
    """Write an interval; a dash where it is not known."""
    return formatting.DASH if np.isnan(low) else f"{written(low)} to {written(high)}"


def unknown_sums(tables: Tables) -> dict[str, str]:
    """Return the columns of `user_sums` that a log cannot tell, each with its reason."""
    lacks: dict[str, str] = {}
    events = tables.events
    orders = tables.orders
    if "timestamp" not in events or events["timestamp"].isna().all():
        lacks |= dict.fromkeys(("views", "viewers", "seconds", "stays"), NO_TIMES)
    if "watch_time" not in events or events["watch_time"].isna().all():
        lacks |= dict.fromkeys(("seconds", "stays"), NO_STAYS)
    if orders is not None and "refund_amount" not in orders:
        lacks |= dict.fromkeys(("refunded", "refunded_orders"), NO_REFUNDS)
    if not has_amounts(orders):
        lacks |= dict.fromkeys(("gmv", "net_revenue", "refunded"), NO_AMOUNTS)
    if orders is None:
        of_orders = ("orders", "buyers", "repeat_buyers", "refunded_orders")
        of_money = ("gmv", "net_revenue", "refunded")
        lacks |= dict.fromkeys((*of_orders, *of_money), NO_ORDERS)
    return lacks


def known_money(tables: Tables) -> list[str]:
    """Return which of ``gmv, refunded, net_revenue`` a log can tell."""
    lacks = unknown_sums(tables)
    return [name for name in MONEY if name not in lacks]


def user_sums(tables: Tables) -> pd.DataFrame:
    """Add up what each user did and paid in the tables of a period.

    Parameters
    ----------
    tables : Tables
        What happened in the period, from `Period.select`.

    Returns
    -------
    DataFrame
        One row a user with an event or an order: ``views`` (rows of events), ``viewers`` (1 who
        has one), ``seconds`` watched and ``stays`` (rows with a watch time), ``orders``,
        ``buyers`` and ``repeat_buyers`` (1 who has one order, two or more), ``refunded_orders``,
        ``gmv``, ``refunded`` and ``net_revenue``. An order without an amount adds no money. What
        the log cannot tell is 0: see `unknown_sums`.
    """
    events = tables.events
    watch_time = events.reindex(columns=["watch_time"])["watch_time"]
    seen = pd.DataFrame({"user_id": events["user_id"], "views": 1.0})
    seen["seconds"] = watch_time.astype(float).fillna(0.0)
    seen["stays"] = watch_time.notna().astype(float)
    of_viewers = seen.groupby("user_id").sum()
    of_buyers = order_money(tables).groupby("user_id").sum()
    sums = pd.concat([of_viewers, of_buyers], axis=1).fillna(0.0)
    sums["viewers"] = (sums["views"] > 0).astype(float)
    sums["buyers"] = (sums["orders"] > 0).astype(float)
    sums["repeat_buyers"] = (sums["orders"] > 1).astype(float)
    return sums


def order_money(tables: Tables) -> pd.DataFrame:
    """Return what each order is worth: one row an order, as the tables know it.

    Returns
    -------
    DataFrame
        ``user_id``, ``orders`` (1), ``refunded_orders`` (1 where something was paid back),
        ``gmv``, ``refunded``, ``net_revenue``; money is 0 where an order has no amount. Rows
        keep the labels of the orders.
    """
    orders = tables.orders
    if orders is None:
        names = ("orders", "refunded_orders", "gmv", "refunded", "net_revenue")
        return pd.DataFrame({"user_id": pd.Series(dtype="str")}).assign(**dict.fromkeys(names, 0.0))
    money = pd.DataFrame({"user_id": orders["user_id"], "orders": 1.0})
    was_refunded = refunded_amount(orders) > 0
    amounts = orders.reindex(columns=["amount"])["amount"].astype(float)
    net_revenue = net_amount(orders).astype(float)
    money["refunded_orders"] = was_refunded.astype(float)
    money["gmv"] = amounts.fillna(0.0)
    money["refunded"] = (amounts - net_revenue).fillna(0.0)
    money["net_revenue"] = net_revenue.fillna(0.0)
    return money


def business_figures(
    tables: Tables,
    period: Period,
    before: Period | None = None,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
) -> Figures:
    """Measure the shop in a period and in the period before.

    Users are resampled whole, each with both periods, for the 95 % intervals
    (`stats.bootstrap_t_ratios`). A figure that rests on fewer than ten users has none.

    Parameters
    ----------
    tables : Tables
        Of the whole log; cancelled orders are out already, and amounts in one currency, if
        `open_log` read it.
    period, before : Period
        From `periods.choose_period`.
    """
    lacks = unknown_sums(tables)
    now = user_sums(period.select(tables, "watch_time"))
    sums = {"now": now}
    if before is not None:
        sums["before"] = user_sums(before.select(tables, "watch_time"))
    users = pd.concat(sums, axis=1).fillna(0.0)
    known = {
        name: definition
        for name, definition in FIGURES.items()
        if definition.numerator not in lacks and definition.denominator not in lacks
    }
    values = _intervals(users, known, rng, n_resamples)
    why = _reasons(values["value"], lacks)
    return Figures(period, before, values, why)


def _intervals(
    users: pd.DataFrame,
    known: Mapping[str, Definition],
    rng: np.random.Generator,
    n_resamples: int,
) -> pd.DataFrame:
    """Measure each known figure in each period, and its change; NaN where it is not known."""
    columns = pd.MultiIndex.from_product([PARTS, ("", "_low", "_high")])
    values = pd.DataFrame(np.nan, index=pd.Index(FIGURES, name="key"), columns=columns)
    is_compared = "before" in users.columns.unique(0)
    parts = PARTS if is_compared else PARTS[:1]
    rows = [(key, part) for part in parts for key in known]
    if rows and len(users):
        powers = [_powers(known[key], part, users.columns) for key, part in rows]
        ones = np.ones(len(users))
        matrix = np.column_stack([users.to_numpy(), ones])
        found = bootstrap_t_ratios(matrix, np.array(powers), rng=rng, n_resamples=n_resamples)
        for (key, part), interval in zip(rows, found, strict=True):
            values.loc[key, part] = _scaled(interval, known[key], part, len(users))
        _write_exact_totals(values, users, known)
    values.columns = [f"{part}{end}" for part, end in columns]
    return values.rename(columns={"value_low": "low", "value_high": "high"})


def _write_exact_totals(
    values: pd.DataFrame, users: pd.DataFrame, known: Mapping[str, Definition]
) -> None:
    """Write sums as they are, without the rounding errors of a mean times a number of users."""
    for column, part in (("value", "now"), ("before", "before")):
        for key, definition in known.items():
            if definition.denominator is None and part in users.columns.unique(0):
                total = users[part, definition.numerator].sum()
                values.loc[key, (column, "")] = total


def _powers(definition: Definition, part: str, columns: pd.MultiIndex) -> np.ndarray:
    """Return the power of each sum in a figure, or its change; the last is the number of users."""
    power = pd.Series(0.0, index=columns)
    n_users = 0.0
    signs = {"value": {"now": 1.0}, "before": {"before": 1.0}, "change": {"now": 1.0, "before": -1}}
    for period, sign in signs[part].items():
        power[period, definition.numerator] += sign
        if definition.denominator is None:
            n_users -= sign  # a sum is a mean times the number of users
        else:
            power[period, definition.denominator] -= sign
    return np.append(power.to_numpy(), n_users)


def _scaled(interval: Interval, definition: Definition, part: str, n_users: int) -> list[float]:
    """Return estimate and ends of a figure in its unit, and of a change as what was added."""
    ends = np.array([interval.estimate, interval.low, interval.high])
    if part == "change":
        return (ends - 1).tolist()
    if definition.denominator is None:
        return (ends * n_users).tolist()
    scaled = ends * definition.per
    most = 1.0 if definition.is_share else np.inf
    return np.minimum(scaled, most).tolist()


def _reasons(values: pd.Series, lacks: Mapping[str, str]) -> dict[str, str]:
    """Say of each figure without a value what is lacking."""
    why = {}
    for key, definition in FIGURES.items():
        if definition.numerator in lacks:
            why[key] = lacks[definition.numerator]
        elif definition.denominator is not None and definition.denominator in lacks:
            why[key] = lacks[definition.denominator]
        elif np.isnan(values[key]):
            why[key] = f"{definition.denominator} of the period add up to 0"
    return why
