"""The seven tables that a log may have, and the schema of each.

Dtypes once a table is read and checked: ids and other text are pandas ``str``; times are
``datetime64[us, UTC]``; measurements are ``float64`` (missing = NaN); counts and
0/1 marks are ``Int64``; yes/no columns are ``boolean``. An absent optional column
is absent, never filled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from kpay_lab import columns as c
from kpay_lab.data.codes import factorize, take_rows

if TYPE_CHECKING:
    import pandera.pandas as pa


class TooLittleError(ValueError):
    """A sound log holds too little for the question asked of it; the message says what."""


class Rule(NamedTuple):
    """A rule for values: a check of `pandera.Check`, by its name, and its settings."""

    check: str
    settings: Mapping[str, Any]


class Kind(NamedTuple):
    """What columns of one kind may hold.

    ``rule`` is checked beside the dtype, ``words`` say it in an error, and ``columns`` are the
    names of the columns of this kind, with spaces between.
    """

    dtype: Any
    rule: Rule | None
    words: str
    columns: str


def _one_of(*values: Any) -> Rule:
    return Rule("isin", {"allowed_values": values})


PARTS = ("train", "test")
AT_LEAST_0 = Rule("ge", {"min_value": 0})
AT_LEAST_1 = Rule("ge", {"min_value": 1})
BETWEEN_0_AND_1 = Rule("in_range", {"min_value": 0, "max_value": 1})
# A column has one kind, the same in every table.
COLUMN_KINDS = (
    Kind(str, None, "it must not be empty", "user_id item_id source_item_id session_id promotes"),
    Kind(str, None, "it must be text", "title description category brand host policy"),
    Kind(str, None, "it must be text", "gender occupation status comment_text"),
    Kind(
        str, _one_of(*c.ITEM_KINDS), f"it must be one of {', '.join(c.ITEM_KINDS)}", "kind"
    ),
    Kind(str, _one_of(*PARTS), f"it must be one of {', '.join(PARTS)}", "part"),
    Kind(
        "datetime64[us, UTC]", None, "it must be an ISO time, unix seconds or milliseconds",
        "timestamp published_at started_at ended_at refunded_at",
    ),
    Kind(float, AT_LEAST_0, "it must be 0 or more seconds", "watch_time duration"),
    Kind(
        float, AT_LEAST_0, "it must be 0 or more",
        "rating price age amount refund_amount gift_amount",
    ),
    Kind(float, BETWEEN_0_AND_1, "it must be between 0 and 1", "progress propensity"),
    Kind(
        pd.Int64Dtype(), AT_LEAST_0, "it must be a whole number, 0 or more",
        "like_count comment_count share_count question_count",
    ),
    Kind(pd.Int64Dtype(), AT_LEAST_1, "it must be a whole number, 1 or more", "position"),
    Kind(
        pd.Int64Dtype(), _one_of(0, 1), "it must be one of 0, 1",
        "treatment clicked purchased",
    ),
    Kind(pd.BooleanDtype(), None, "it must be yes or no", "reviewed author_verified consent"),
)  # fmt: skip
KIND_OF = {column: kind for kind in COLUMN_KINDS for column in kind.columns.split()}
PRIMARY_KEYS = {"users": "user_id", "items": "item_id"}


@dataclass(frozen=True)
class Schema:
    """The columns that a table may have, and the check of a frame against them.

    Parameters
    ----------
    table : str
    columns : mapping of column to Kind
        Required ones first.
    """

    table: str
    columns: Mapping[str, Kind]

    def validate(self, frame: pd.DataFrame, *, lazy: bool = False) -> pd.DataFrame:
        """Return a frame that keeps the schema, or raise pandera's SchemaError.

        With ``lazy`` all problems are raised at once (SchemaErrors).
        """
        shared = frame.copy(deep=False)
        return _checks_of(self.table).validate(shared, lazy=lazy, inplace=True)


def _schema(table: str) -> Schema:
    names = [*c.REQUIRED[table].split(), *c.OPTIONAL[table].split()]
    return Schema(table, {name: KIND_OF[name] for name in names})


SCHEMAS = {table: _schema(table) for table in c.REQUIRED}


@cache
def _checks_of(table: str) -> "pa.DataFrameSchema":
    """Return a table's schema in pandera's form."""
    import pandera.pandas as pa  # here, for it is slow to import and a log is checked once a run

    columns = {name: _checks_of_column(table, name) for name in SCHEMAS[table].columns}
    return pa.DataFrameSchema(columns)


def _checks_of_column(table: str, name: str) -> "pa.Column":
    import pandera.pandas as pa

    kind = KIND_OF[name]
    required = name in c.REQUIRED[table].split()
    rule = kind.rule
    if required and kind.dtype is str:
        rule = Rule("str_length", {"min_value": 1})  # required text is an id: empty names nobody
    check = None
    if rule is not None:
        make = getattr(pa.Check, rule.check)
        check = make(**rule.settings)
    unique = PRIMARY_KEYS.get(table) == name
    return pa.Column(kind.dtype, check, nullable=not required, required=required, unique=unique)


@dataclass(frozen=True)
class Tables:
    """The validated tables of one log, in file order; an absent table is None.

    Tables made of these by `known_at`, `since`, `within`, `timed` or `window` map no text again:
    the codes of ids go with the rows (`data.codes`).
    """

    events: pd.DataFrame
    items: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    orders: pd.DataFrame | None = None
    exposures: pd.DataFrame | None = None
    follows: pd.DataFrame | None = None
    offers: pd.DataFrame | None = None

    @classmethod
    def validated(cls, **frames: pd.DataFrame | None) -> "Tables":
        """Check each frame against its schema, or raise all problems at once (SchemaErrors)."""
        given = {name: frame for name, frame in frames.items() if frame is not None}
        validated = {
            name: SCHEMAS[name].validate(frame, lazy=True) for name, frame in given.items()
        }
        return cls(**validated)

    def with_events(self, events: pd.DataFrame) -> "Tables":
        """Return the same tables with other events (a filter or a part of a split)."""
        return replace(self, events=events)

    def known_at(self, cut: pd.Timestamp) -> "Tables":
        """Return the tables as they stood just before ``cut``; rows keep their labels.

        Rows of events, orders, exposures, follows and offers whose ``timestamp`` is at or after
        the cut are left out. Rows without a time are left out too: nobody can say whether they
        were known. Users and items stay whole, but the end of a live session that is still on is
        not known yet: its ``ended_at`` is missing. A refund at or after the cut has not happened
        yet: its ``refund_amount`` is 0 and its ``refunded_at`` missing. A refund without a date
        is known with its order.

        Raises
        ------
        ValueError
            If the events have no timestamp.

        Examples
        --------
        >>> moments = pd.to_datetime(["2026-01-01", "2026-01-05", None], utc=True)
        >>> log = pd.DataFrame({"user_id": "u", "item_id": list("abc"), "timestamp": moments})
        >>> Tables(log).known_at(pd.Timestamp("2026-01-05", tz="UTC")).events["item_id"].tolist()
        ['a']
        """
        self._need_times()
        earlier = {name: take_rows(frame, moment < cut) for name, frame, moment in self._logged()}
        return self._as_known_at(cut, earlier)

    def since(self, start: pd.Timestamp) -> "Tables":
        """Return the tables with what happened at ``start`` or later; rows keep their labels.

        Rows without a time are left out, and users and items stay whole, as in `known_at`.

        Raises
        ------
        ValueError
            If the events have no timestamp.
        """
        self._need_times()
        later = {name: take_rows(frame, moment >= start) for name, frame, moment in self._logged()}
        return replace(self, **later)

    def within(self, start: pd.Timestamp, end: pd.Timestamp) -> "Tables":
        """Return what happened at ``start`` or later and before ``end``, as it was known then.

        It is `since` the start of what was `known_at` the end, and copies the rows of a large log
        once only.

        Raises
        ------
        ValueError
            If the events have no timestamp.
        """
        self._need_times()
        inside = {}
        for name, frame, moment in self._logged():
            is_inside = (moment >= start) & (moment < end)
            inside[name] = take_rows(frame, is_inside)
        return self._as_known_at(end, inside)

    def _as_known_at(self, cut: pd.Timestamp, logged: dict[str, pd.DataFrame]) -> "Tables":
        """Put rows in the place of what was logged, without what was not known of them by then."""
        known = dict(logged)
        if "orders" in known:
            known["orders"] = _without_later_refunds(known["orders"], cut)
        if self.items is not None:
            known["items"] = _without_later_ends(self.items, cut)
        return replace(self, **known)

    def timed(self) -> "Tables":
        """Return the tables without the rows of which nobody knows when; rows keep their labels.

        Users and items stay whole. What orders a log in time looks at these tables alone.

        >>> moments = pd.to_datetime(["2026-01-01", None], utc=True)
        >>> log = pd.DataFrame({"user_id": "u", "item_id": list("ab"), "timestamp": moments})
        >>> Tables(log).timed().events["item_id"].tolist()
        ['a']
        """
        timed = {name: take_rows(frame, moment.notna()) for name, frame, moment in self._logged()}
        return replace(self, **timed)

    def _logged(self) -> Iterator[tuple[str, pd.DataFrame, pd.Series]]:
        """Yield what was logged, and when; a table of follows without times has none at all."""
        for name, frame in self.present().items():
            if name not in PRIMARY_KEYS:
                never = pd.Series(pd.NaT, frame.index, dtype="datetime64[us, UTC]")
                yield name, frame, frame.get("timestamp", never)

    def span(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Return the first and the last moment of the events; without times a ValueError."""
        self._need_times()
        times = self.events["timestamp"]
        return times.min(), times.max()

    def _need_times(self) -> None:
        if "timestamp" not in self.events:
            raise ValueError(
                "the events have no timestamp, so they have no before and after; "
                "add the column, or ask without a moment (leave cut, since and until empty)"
            )

    def present(self) -> dict[str, pd.DataFrame]:
        """Return the tables that are there, by name, in the schema's order."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: frame for name, frame in named.items() if frame is not None}

    def ids(self, column: str) -> pd.Index:
        """Return every id of ``user_id`` or ``item_id`` in order of first appearance.

        Those of the events come first; ids that only other tables know (cold ones) follow.
        """
        tables = [frame for frame in self.present().values() if column in frame]
        distinct = [pd.Series(factorize(frame[column]).ids) for frame in tables]
        ids = pd.concat(distinct)
        return pd.Index(ids.unique(), name=column)


def _without_later_refunds(orders: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    if "refunded_at" not in orders:
        return orders
    later = orders["refunded_at"] >= cut
    before = orders.assign(refunded_at=orders["refunded_at"].mask(later))
    if "refund_amount" in orders:
        before["refund_amount"] = orders["refund_amount"].mask(later, 0.0)
    return before


def _without_later_ends(items: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    if "ended_at" not in items:
        return items
    return items.assign(ended_at=items["ended_at"].mask(items["ended_at"] >= cut))


def in_order_of_time(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the rows of a table that knows no order by time, then by ids, numbered from 0.

    Rows of equal time and ids stand in the order of their other values, so that equal rows give
    equal tables whatever order they come in. Rows without a time come last.

    >>> moments = pd.to_datetime(["2026-01-05", "2026-01-01", "2026-01-05"], utc=True)
    >>> log = pd.DataFrame({"user_id": list("bca"), "item_id": "i", "timestamp": moments})
    >>> in_order_of_time(log)["user_id"].tolist()
    ['c', 'a', 'b']
    """
    keys = [name for name in ("timestamp", "user_id", "item_id") if name in frame]
    ordered = frame.sort_values(keys, kind="stable", ignore_index=True)
    is_tied = ordered.duplicated(keys, keep=False)
    if is_tied.any():
        rest = [name for name in frame if name not in keys]
        tied = ordered[is_tied].sort_values([*keys, *rest], kind="stable")
        order = np.arange(len(ordered))
        order[is_tied] = tied.index
        ordered = ordered.take(order).reset_index(drop=True)
    return ordered


def window(tables: Tables, since: str | None = None, until: str | None = None) -> Tables:
    """Keep what happened at ``since`` or later and before ``until``, rows numbered from 0.

    Both are ISO times, UTC where no offset is written; an empty one is no bound. Without any
    bound the tables come back as they are. See `Tables.since` and `Tables.known_at`.

    Raises
    ------
    ValueError
        If a bound is not an ISO time, the events have no times, or none lies in the window.
    """
    start = moment("since", since)
    end = moment("until", until)
    if start is None and end is None:
        return tables
    inside = tables if start is None else tables.since(start)
    inside = inside if end is None else inside.known_at(end)
    if inside.events.empty:
        first, last = tables.span()
        raise ValueError(
            f"no event from since={since} to until={until}; the log runs from {first} to {last}"
        )
    renumbered = {name: frame.reset_index(drop=True) for name, frame in inside.present().items()}
    return Tables(**renumbered)


def moment(name: str, text: str | None) -> pd.Timestamp | None:
    """Return the moment that a bound of a window names, UTC where no offset is written.

    An empty text means no bound and gives None.

    Raises
    ------
    ValueError
        If the text is not an ISO time; the message calls the bound by its ``name``.
    """
    if not text:
        return None
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; it must be an ISO time such as 2022-04-07") from None
    return pd.Timestamp(written if written.tzinfo else written.replace(tzinfo=UTC))
