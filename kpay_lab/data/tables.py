"""The five tables a workbench lives on, and the schema of each.

Dtypes after the door: ids and other text are pandas ``str``; times are
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
    """What a column may hold: its dtype, its rule, the rule in words, and who is of the kind."""

    dtype: Any
    rule: pa.Check | None
    words: str
    columns: str


# A column is of one kind, whatever its table.
KINDS = (
    Kind(str, None, "it must not be empty", "user_id item_id source_item_id session_id promotes"),
    Kind(str, None, "it must be text", "title description category brand host policy"),
    Kind(str, None, "it must be text", "gender occupation"),
    Kind(str, pa.Check.isin(c.KINDS), f"it must be one of {', '.join(c.KINDS)}", "kind"),
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
KIND_OF = {name: kind for kind in KINDS for name in kind.columns.split()}
PRIMARY_KEYS = {"users": "user_id", "items": "item_id"}


def _column(table: str, name: str) -> pa.Column:
    kind, needed = KIND_OF[name], name in c.REQUIRED[table].split()
    rule = pa.Check.str_length(min_value=1) if needed and kind.dtype is str else kind.rule
    unique = PRIMARY_KEYS.get(table) == name
    return pa.Column(kind.dtype, rule, nullable=not needed, required=needed, unique=unique)


SCHEMAS = {
    table: pa.DataFrameSchema(
        {name: _column(table, name) for name in f"{c.REQUIRED[table]} {c.OPTIONAL[table]}".split()}
    )
    for table in c.REQUIRED
}


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
        return cls(**{name: SCHEMAS[name].validate(f, lazy=True) for name, f in given.items()})

    def with_events(self, events: pd.DataFrame) -> "Tables":
        """Return the same tables with other events (a filter or a part of a split)."""
        return replace(self, events=events)

    def known_at(self, cut: pd.Timestamp) -> "Tables":
        """Return the tables as they stood just before ``cut``; rows keep their labels.

        A row of events, orders or exposures whose ``timestamp`` is at or after the cut is not
        there; nor is a row without a time, of which nobody can say that it was known. Users
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
        known = {
            name: frame[frame["timestamp"] < cut]
            for name, frame in self.present().items()
            if "timestamp" in frame
        }
        if "orders" in known:
            known["orders"] = _without_later_refunds(known["orders"], cut)
        return replace(self, **known)

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
        found = [frame[column] for frame in self.present().values() if column in frame]
        return pd.Index(pd.concat([ids.drop_duplicates() for ids in found]).unique(), name=column)


def _without_later_refunds(orders: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    if "refunded_at" not in orders:
        return orders
    later = orders["refunded_at"] >= cut
    undone = {"refunded_at": orders["refunded_at"].mask(later)}
    if "refund_amount" in orders:
        undone["refund_amount"] = orders["refund_amount"].mask(later, 0.0)
    return orders.assign(**undone)


def window(tables: Tables, since: str | None = None, until: str | None = None) -> Tables:
    """Keep what happened from ``since`` on and was known at ``until``, rows numbered from 0.

    Both are ISO times, UTC where no offset is written; see `Tables.since`, `Tables.known_at`.
    A bound that is no time, events without times, or none inside is a ValueError.
    """
    start, end = moment("since", since), moment("until", until)
    kept = tables if start is None else tables.since(start)
    kept = kept if end is None else kept.known_at(end)
    if kept is tables:
        return tables
    if kept.events.empty:
        first, last = tables.span()
        raise ValueError(
            f"no event from since={since} to until={until}; the log runs from {first} to {last}"
        )
    renumbered = {name: frame.reset_index(drop=True) for name, frame in kept.present().items()}
    return Tables(**renumbered)


def moment(name: str, text: str | None) -> pd.Timestamp | None:
    """Return the moment that a bound of a window names, UTC where no offset is written.

    Nothing written is no bound; what is no ISO time is a ValueError.
    """
    if not text:
        return None
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; it must be an ISO time such as 2022-04-07") from None
    return pd.Timestamp(written if written.tzinfo else written.replace(tzinfo=UTC))
