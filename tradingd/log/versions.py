"""Rows that an earlier version wrote, read as the messages of this one.

A row rests byte for byte as it was written, for the chain of hashes covers it. So what an old row says is put
into today's words whenever it is read: `CHANGES` has one entry for each tag whose name, fields or shape is
another now; every other row says today what it said then. `migrations/0003_versions.sql` notes where each
version of a log begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
_encode = msgspec.msgpack.Encoder().encode
_decode_raw = msgspec.msgpack.Decoder(Raw).decode


class Questions:
    """What the gate was asked, by id: in version 1 its answers repeated some of it, now they carry it whole."""

    def __init__(self, all_of_them: Callable[[], Iterable[bytes]]) -> None:
        self._all_of_them: Callable[[], Iterable[bytes]] | None = all_of_them
        self._seen: dict[str, Raw] = {}

    def note(self, raw: Raw) -> Raw:
        """Keep a question that was read."""
        self._seen[raw.get("order_id") or raw["intent_id"]] = raw
        return raw

    def get(self, name: str) -> Raw | None:
        """Return a question; reads all of the log's where this reading passed it over. None: it was let go."""
        if name not in self._seen and self._all_of_them is not None:
            read, self._all_of_them = self._all_of_them, None
            for body in read():
                _upgraded(_decode_raw(body), self)
        return self._seen.get(name)


@dataclass(frozen=True, slots=True)
class TagChange:
    """What became of one tag of version 1."""

    tag: str
    """Its name now."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Fields that have another name now."""
    reshaped: Callable[[Raw, Questions], Raw] | None = None
    """Makes the shape of now of the one of then, after the fields have got their names."""


def _upgraded(raw: Raw, questions: Questions) -> Raw:
    change = CHANGES.get(raw["type"])
    if change is None:
        return raw
    raw = {change.fields.get(name, name): value for name, value in raw.items()}
    raw["type"] = change.tag
    return raw if change.reshaped is None else change.reshaped(raw, questions)


def _asked(raw: Raw, questions: Questions) -> Raw:
    return questions.note(raw)


def _proposed(raw: Raw, questions: Questions) -> Raw:
    """Tell the router's own exits apart by a field: version 1 told them by their id alone."""
    parts = OrderId.parse(raw["order_id"])
    is_own = parts is not None and parts.origin in (Origin.EXIT, Origin.FLATTEN)
    return questions.note({**raw, "is_own_exit": is_own})


def _order_answer(raw: Raw, questions: Questions) -> Raw:
    order = questions.get(raw["order_id"]) or _proposed({**_UNKNOWN_ORDER, **raw}, questions)
    return {**raw, "order": {**order, "type": "OrderProposed"}}


def _intent_answer(raw: Raw, questions: Questions) -> Raw:
    """Nest the intent; of an operator's order the one that the gate makes of it, with the owner it named."""
    asked = {**_UNKNOWN_INTENT, **(questions.get(raw["intent_id"]) or raw)}
    if asked["type"] != "Intent":
        asked |= {
            "type": "Intent",
            "strategy": raw["strategy"],
            "quoted_at": raw.get("quoted_at", 0),
        }
    return {**raw, "intent": asked}


_UNKNOWN_ORDER: Raw = {
    "side": "buy", "quantity": "0", "order_type": "market", "limit_price": None,
    "time_in_force": "day", "quoted_at": 0,
}  # fmt: skip
_UNKNOWN_INTENT: Raw = {
    "side": "buy", "quantity": None, "confidence": 1.0, "bid": 0.0, "ask": 0.0, "quoted_at": 0,
    "reason": "",
}  # fmt: skip
"""What an answer of version 1 does not repeat, where its question was let go with the days before it."""

QUESTIONS = ("Intent", "OperatorOrder", "OrderProposed")
"""Tags of version 1 that the gate answered."""

CHANGES: Mapping[str, TagChange] = {
    "Intent": TagChange("Intent", reshaped=_asked),
    "OperatorOrder": TagChange("OperatorOrder", reshaped=_asked),
    "IntentApproved": TagChange("IntentApproved", reshaped=_intent_answer),
    "IntentRefused": TagChange("IntentRefused", reshaped=_intent_answer),
    "OrderProposed": TagChange("OrderProposed", reshaped=_proposed),
    "OrderApproved": TagChange("OrderApproved", reshaped=_order_answer),
    "OrderRefused": TagChange("OrderRefused", reshaped=_order_answer),
    "StationFailed": TagChange("ActorFailed", {"station": "actor"}),
    "StationStalled": TagChange("ActorStalled", {"station": "actor"}),
    "StationRecovered": TagChange("ActorRecovered", {"station": "actor"}),
    "WordUnknown": TagChange("UnrecognizedValue", {"word": "value"}),
    "DifferenceExplained": TagChange("BreakExplained", {"ours": "local", "theirs": "reported"}),
    "DifferenceUnexplained": TagChange("BreakOpened", {"ours": "local", "theirs": "reported"}),
    "AlertRaised": TagChange("AlertRaised", {"speaker": "publisher"}),
    "RunStarted": TagChange("RunStarted", {"genesis": "instance_id"}),
    "EquityMarked": TagChange("EquityMarked", {"doubt_usd": "unconfirmed_usd"}),
}
"""By the tag in version 1."""


class OldRows:
    """Reads rows of version 1, ascending, for one reading of a log."""

    def __init__(self, questions: Callable[[], Iterable[bytes]]) -> None:
        self._questions = Questions(questions)

    def decode(self, body: bytes) -> AnyMessage:
        """Return what a row says, as this version says it; raises what `codec.UNREADABLE` names."""
        if tag_of(body).type not in CHANGES:
            return decode(body)
        # Encoded anew rather than converted: `msgspec.convert` takes the whole union apart at each call.
        return decode(_encode(_upgraded(_decode_raw(body), self._questions)))


def names_of(kind: type[Message]) -> tuple[str, ...]:
    """Return every tag under which a log may list the rows that are of a type now."""
    name = kind.__name__
    return (name, *(old for old, change in CHANGES.items() if change.tag == name != old))
