"""The five tables that a log may have, and the schema of each.

Dtypes once a table is read and checked: ids and other text are pandas ``str``; times are
``datetime64[us, UTC]``; measurements are ``float64`` (missing = NaN); counts and
0/1 marks are ``Int64``; yes/no columns are ``boolean``. An absent optional column
is absent, never filled.
"""

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pandas as pd
import pandera.pandas as pa

from kpay_lab import columns as c


class TooLittleError(ValueError):
    """A sound log holds too little for the question asked of it; the message says what."""


class Kind(NamedTuple):
    """What columns of one kind may hold.

    ``rule`` is checked beside the dtype, ``words`` say it in an error, and ``columns`` are the
    names of the columns of this kind, with spaces between.
    """

    dtype: Any
    rule: pa.Check | None
    words: str
    columns: str


# A column has one kind, the same in every table.
COLUMN_KINDS = (
    Kind(str, None, "it must not be empty", "user_id item_id source_item_id session_id promotes"),
    Kind(str, None, "it must be text", "title description category brand host policy"),
    Kind(str, None, "it must be text", "gender occupation status comment_text"),
    Kind(str, pa.Check.isin(c.ITEM_KINDS), f"it must be one of {', '.join(c.ITEM_KINDS)}", "kind"),
    Kind(str, pa.Check.isin(("train", "test")), "it must be one of train, test", "part"),
    Kind(
        "datetime64[us, UTC]", None, "it must be an ISO time, unix seconds or milliseconds",
        "timestamp published_at refunded_at",
    ),
    Kind(float, pa.Check.ge(0), "it must be 0 or more seconds", "watch_time duration"),
    Kind(float, pa.Check.ge(0), "it must be 0 or more", "rating price age amount refund_amount"),
    Kind(float, pa.Check.in_range(0, 1), "it must be between 0 and 1", "progress propensity"),
    Kind(
        pd.Int64Dtype(), pa.Check.ge(0), "it must be a whole number, 0 or more",
        "like_count comment_count share_count question_count",
    ),
    Kind(pd.Int64Dtype(), pa.Check.ge(1), "it must be a whole number, 1 or more", "position"),
    Kind(
        pd.Int64Dtype(), pa.Check.isin([0, 1]), "it must be one of 0, 1",
        "treatment clicked purchased",
    ),
    Kind(pd.BooleanDtype(), None, "it must be yes or no", "reviewed author_verified consent"),
)  # fmt: skip
KIND_OF = {column: kind for kind in COLUMN_KINDS for column in kind.columns.split()}
PRIMARY_KEYS = {"users": "user_id", "items": "item_id"}


def _column(table: str, name: str) -> pa.Column:
    kind = KIND_OF[name]
    rule = kind.rule
    required = name in c.REQUIRED[table].split()
    if required and kind.dtype is str:
        rule = pa.Check.str_length(min_value=1)  # required text is an id: empty names nobody
    unique = PRIMARY_KEYS.get(table) == name
    return pa.Column(kind.dtype, rule, nullable=not required, required=required, unique=unique)


def _schema(table: str) -> pa.DataFrameSchema:
    names = [*c.REQUIRED[table].split(), *c.OPTIONAL[table].split()]
    return pa.DataFrameSchema({name: _column(table, name) for name in names})


SCHEMAS = {table: _schema(table) for table in c.REQUIRED}


@dataclass(frozen=True)
class Tables:
    """The validated tables of one log, in file order; an absent table is None."""

    events: pd.DataFrame
    items: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    orders: pd.DataFrame | None = None
    exposures: pd.DataFrame | None = None

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

        Rows of events, orders and exposures whose ``timestamp`` is at or after the cut are left
        out. Rows without a time are left out too: nobody can say whether they were known. Users
        and items stay whole. A refund at or after the cut has not happened yet: its
        ``refund_amount`` is 0 and its ``refunded_at`` missing. A refund without a date is
        known with its order.

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
        earlier = {
            name: frame[frame["timestamp"] < cut]
            for name, frame in self.present().items()
            if "timestamp" in frame
        }
        if "orders" in earlier:
            earlier["orders"] = _without_later_refunds(earlier["orders"], cut)
        return replace(self, **earlier)

    def since(self, start: pd.Timestamp) -> "Tables":
        """Return the tables with what happened at ``start`` or later; rows keep their labels.

        Rows without a time are left out, and users and items stay whole, as in `known_at`.

        Raises
        ------
        ValueError
            If the events have no timestamp.
        """
        self._need_times()
        later = {
            name: frame[frame["timestamp"] >= start]
            for name, frame in self.present().items()
            if "timestamp" in frame
        }
        return replace(self, **later)

    def timed(self) -> "Tables":
        """Return the tables without the rows of which nobody knows when; rows keep their labels.

        Users and items stay whole. What orders a log in time looks at these tables alone.

        >>> moments = pd.to_datetime(["2026-01-01", None], utc=True)
        >>> log = pd.DataFrame({"user_id": "u", "item_id": list("ab"), "timestamp": moments})
        >>> Tables(log).timed().events["item_id"].tolist()
        ['a']
        """
        timed = {}
        for name, frame in self.present().items():
            if "timestamp" not in frame:
                continue
            has_time = frame["timestamp"].notna()
            timed[name] = frame if has_time.all() else frame[has_time]  # no copy of a whole log
        return replace(self, **timed)

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
        ids = pd.concat([frame[column].drop_duplicates() for frame in tables])
        known = ids.dropna()  # an order of a subscription names no item
        return pd.Index(known.unique(), name=column)


def _without_later_refunds(orders: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    if "refunded_at" not in orders:
        return orders
    later = orders["refunded_at"] >= cut
    before = orders.assign(refunded_at=orders["refunded_at"].mask(later))
    if "refund_amount" in orders:
        before["refund_amount"] = orders["refund_amount"].mask(later, 0.0)
    return before


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
