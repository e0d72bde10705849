"""Rows that an earlier version wrote, read as the messages of this one.

A row rests byte for byte as it was written, for the chain of hashes covers it. So what an old row says is put
into today's words whenever it is read: `CHANGES` has one entry for each tag whose name, fields or shape is
another now; every other row says today what it said then. `migrations/0003_versions.sql` notes where each
version of a log begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tradingd.messages import AnyMessage, Message
from tradingd.state.ids import OrderId, Origin

ALL_ROWS = (1 << 63) - 1
"""The last row of version 1 in a log that has not been taken up by this version yet."""

Raw = dict[str, Any]
"""A message as msgpack has it: field names and plain values, its tag under `type`."""


class Tag(msgspec.Struct):
    """The name that a row's message bears in its body, which the chain covers."""

    type: str


decode: Callable[[bytes], AnyMessage] = msgspec.msgpack.Decoder(AnyMessage).decode
"""A row of this version; raises what `codec.UNREADABLE` names."""

tag_of = msgspec.msgpack.Decoder(Tag).decode
_decode_raw = msgspec.msgpack.Decoder(Raw).decode


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one tag of version 1."""

    tag: str
    """Its name now."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Fields that have another name now."""
    reshaped: Callable[[Raw], Raw] | None = None
    """Makes the shape of now of the one of then, after the fields have got their names."""


def _with_origin(raw: Raw) -> Raw:
    """Tell the router's own exits apart by a field: version 1 told them by their id alone."""
    parts = OrderId.parse(raw["order_id"])
    is_own = parts is not None and parts.origin in (Origin.EXIT, Origin.FLATTEN)
    return {**raw, "is_own_exit": is_own}


CHANGES: Mapping[str, Change] = {
    "OrderProposed": Change("OrderProposed", reshaped=_with_origin),
}
"""By the tag in version 1."""


class OldRows:
    """Reads rows of version 1, ascending, for one reading of a log."""

    def decode(self, body: bytes) -> AnyMessage:
        """Return what a row says, as this version says it."""
        change = CHANGES.get(tag_of(body).type)
        if change is None:
            return decode(body)
        raw = {change.fields.get(name, name): value for name, value in _decode_raw(body).items()}
        raw["type"] = change.tag
        message: AnyMessage = msgspec.convert(
            raw if change.reshaped is None else change.reshaped(raw), AnyMessage
        )
        return message


def names_of(kind: type[Message]) -> tuple[str, ...]:
    """Return every tag under which a log may list the rows that are of a type now."""
    name = kind.__name__
    return (name, *(old for old, change in CHANGES.items() if change.tag == name != old))
