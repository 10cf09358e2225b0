"""The five tables a workbench lives on, and the schema of each.

Dtypes after the door: ids and other text are pandas ``str``; times are
``datetime64[us, UTC]``; measurements are ``float64`` (missing = NaN); counts and
0/1 marks are ``Int64``; yes/no columns are ``boolean``. An absent optional column
is absent, never filled.
"""

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from kpay_lab import columns as c

UTC_TIME = pd.DatetimeTZDtype("us", "UTC")


class EventSchema(pa.DataFrameModel):
    """What a user did with an item: one row per view, visit or rating."""

    user_id: Series[str] = pa.Field(str_length={"min_value": 1})
    item_id: Series[str] = pa.Field(str_length={"min_value": 1})
    timestamp: Series[UTC_TIME] | None = pa.Field(nullable=True)
    watch_time: Series[float] | None = pa.Field(ge=0, nullable=True)
    duration: Series[float] | None = pa.Field(ge=0, nullable=True)
    like_count: Series[pd.Int64Dtype] | None = pa.Field(ge=0, nullable=True)
    comment_count: Series[pd.Int64Dtype] | None = pa.Field(ge=0, nullable=True)
    share_count: Series[pd.Int64Dtype] | None = pa.Field(ge=0, nullable=True)
    question_count: Series[pd.Int64Dtype] | None = pa.Field(ge=0, nullable=True)
    progress: Series[float] | None = pa.Field(
        in_range={"min_value": 0, "max_value": 1}, nullable=True
    )
    rating: Series[float] | None = pa.Field(ge=0, nullable=True)
    source_item_id: Series[str] | None = pa.Field(nullable=True)
    session_id: Series[str] | None = pa.Field(nullable=True)
    part: Series[str] | None = pa.Field(isin=("train", "test"), nullable=True)


class ItemSchema(pa.DataFrameModel):
    """A piece of content: a course, report or book, or the live or video that sells it."""

    item_id: Series[str] = pa.Field(str_length={"min_value": 1}, unique=True)
    kind: Series[str] | None = pa.Field(isin=c.KINDS, nullable=True)
    title: Series[str] | None = pa.Field(nullable=True)
    description: Series[str] | None = pa.Field(nullable=True)
    category: Series[str] | None = pa.Field(nullable=True)
    brand: Series[str] | None = pa.Field(nullable=True)
    host: Series[str] | None = pa.Field(nullable=True)
    price: Series[float] | None = pa.Field(ge=0, nullable=True)
    duration: Series[float] | None = pa.Field(ge=0, nullable=True)
    published_at: Series[UTC_TIME] | None = pa.Field(nullable=True)
    promotes: Series[str] | None = pa.Field(nullable=True)
    reviewed: Series[pd.BooleanDtype] | None = pa.Field(nullable=True)
    author_verified: Series[pd.BooleanDtype] | None = pa.Field(nullable=True)


class UserSchema(pa.DataFrameModel):
    """A person; any further column is kept."""

    user_id: Series[str] = pa.Field(str_length={"min_value": 1}, unique=True)
    age: Series[float] | None = pa.Field(ge=0, nullable=True)
    gender: Series[str] | None = pa.Field(nullable=True)
    occupation: Series[str] | None = pa.Field(nullable=True)
    consent: Series[pd.BooleanDtype] | None = pa.Field(nullable=True)


class OrderSchema(pa.DataFrameModel):
    """A purchase; money in the account's currency."""

    user_id: Series[str] = pa.Field(str_length={"min_value": 1})
    item_id: Series[str] = pa.Field(str_length={"min_value": 1})
    timestamp: Series[UTC_TIME]
    amount: Series[float] = pa.Field(ge=0)
    refund_amount: Series[float] | None = pa.Field(ge=0, nullable=True)
    refunded_at: Series[UTC_TIME] | None = pa.Field(nullable=True)


class ExposureSchema(pa.DataFrameModel):
    """An item was shown to a user, at a position, with a probability, under a policy."""

    user_id: Series[str] = pa.Field(str_length={"min_value": 1})
    item_id: Series[str] = pa.Field(str_length={"min_value": 1})
    timestamp: Series[UTC_TIME]
    position: Series[pd.Int64Dtype] | None = pa.Field(ge=1, nullable=True)
    propensity: Series[float] | None = pa.Field(
        in_range={"min_value": 0, "max_value": 1}, nullable=True
    )
    treatment: Series[pd.Int64Dtype] | None = pa.Field(isin=[0, 1], nullable=True)
    policy: Series[str] | None = pa.Field(nullable=True)
    clicked: Series[pd.Int64Dtype] | None = pa.Field(isin=[0, 1], nullable=True)
    purchased: Series[pd.Int64Dtype] | None = pa.Field(isin=[0, 1], nullable=True)


SCHEMAS: dict[str, Any] = {
    "events": EventSchema,
    "items": ItemSchema,
    "users": UserSchema,
    "orders": OrderSchema,
    "exposures": ExposureSchema,
}
PRIMARY_KEYS = {"users": "user_id", "items": "item_id"}


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


def window(tables: Tables, since: str | None = None, until: str | None = None) -> Tables:
    """Keep what happened in ``[since, until)``; items and users stay whole.

    The bounds are ISO dates or times, UTC where no offset is written. It is a ValueError if
    one is not, if the events have no time stamps, or if none is inside.
    """
    if not since and not until:
        return tables
    if c.TIMESTAMP not in tables.events:
        raise ValueError("the events have no timestamp; leave since and until empty")
    start, end = (_bound(name, text) for name, text in (("since", since), ("until", until)))
    kept = {}
    for name, frame in tables.present().items():
        if c.TIMESTAMP in frame:
            inside = frame[c.TIMESTAMP].notna()
            inside &= True if start is None else frame[c.TIMESTAMP] >= start
            inside &= True if end is None else frame[c.TIMESTAMP] < end
            kept[name] = frame[inside].reset_index(drop=True)
    if kept["events"].empty:
        first, last = tables.events[c.TIMESTAMP].min(), tables.events[c.TIMESTAMP].max()
        raise ValueError(
            f"no event from since={since} to until={until}; the log runs from {first} to {last}"
        )
    return replace(tables, **kept)


def _bound(name: str, text: str | None) -> pd.Timestamp | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; it must be an ISO time such as 2022-04-07") from None
    return pd.Timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
