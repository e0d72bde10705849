"""The market-data sockets' own words, decoded in C; everything we do not read is skipped there too.

Stamps keep their nanoseconds: the msgpack extension is taken raw (150 ns more than a truncated
`datetime`). A frame with a word we do not know is read again point by point, so that one new kind of
message costs itself only.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from tradingd.instruments.units import SECOND_NS
from tradingd.runtime.codec import UNREADABLE, clean_text, is_instant


class StreamQuote(
    msgspec.Struct,
    tag_field="T",
    tag="q",
    gc=False,
    rename={"symbol": "S", "bid": "bp", "bid_size": "bs", "ask": "ap", "ask_size": "as", "at": "t"},
):
    """Best bid and ask."""

    symbol: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    at: Ext


class StreamTrade(
    msgspec.Struct,
    tag_field="T",
    tag="t",
    gc=False,
    rename={"symbol": "S", "price": "p", "size": "s", "at": "t"},
):
    """A print."""

    symbol: str
    price: float
    size: float
    at: Ext


_BAR = {
    "symbol": "S",
    "open": "o",
    "high": "h",
    "low": "l",
    "close": "c",
    "volume": "v",
    "opened_at": "t",
}


class StreamBar(msgspec.Struct, tag_field="T", tag="b", gc=False, rename=_BAR):
    """A finished minute; `opened_at` is its start."""

    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    opened_at: Ext


class StreamStatus(
    msgspec.Struct,
    tag_field="T",
    tag="s",
    gc=False,
    rename={"symbol": "S", "code": "sc", "text": "sm", "reason": "rm"},
):
    """A halt or its end."""

    symbol: str
    code: str = ""
    text: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        self.text, self.reason = clean_text(self.text), clean_text(self.reason)


class StreamCorrection(msgspec.Struct, tag_field="T", tag="c", gc=False):
    """Comes with trades unasked; a bar once said stays as it was."""


class StreamCancel(msgspec.Struct, tag_field="T", tag="x", gc=False):
    """Comes with trades unasked."""


class StreamSuccess(msgspec.Struct, tag_field="T", tag="success", gc=False):
    """`connected`, `authenticated`."""

    msg: str = ""


class StreamError(msgspec.Struct, tag_field="T", tag="error", gc=False):
    """A refusal by number."""

    code: int = 0
    msg: str = ""

    def __post_init__(self) -> None:
        self.msg = clean_text(self.msg)


class StreamSubscription(msgspec.Struct, tag_field="T", tag="subscription", gc=False):
    """Everything this socket is now subscribed to."""

    quotes: list[str] = msgspec.field(default_factory=list)
    trades: list[str] = msgspec.field(default_factory=list)
    bars: list[str] = msgspec.field(default_factory=list)
    statuses: list[str] = msgspec.field(default_factory=list)


Point = (
    StreamQuote
    | StreamTrade
    | StreamBar
    | StreamStatus
    | StreamCorrection
    | StreamCancel
    | StreamSuccess
    | StreamError
    | StreamSubscription
)

_FRAME = msgspec.msgpack.Decoder(list[Point])
_POINT = msgspec.msgpack.Decoder(Point)
_PARTS = msgspec.msgpack.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(list[dict[str, Any]])
_UNREADABLE_TEXT: tuple[type[Exception], ...] = (*UNREADABLE, ValueError, TypeError)

HALTING = frozenset({"2", "H", "P"})
"""Status codes of both tapes that stop trading: halts, volatility pauses."""

RESUMING = frozenset({"3", "T"})


def decode_frame(frame: str | bytes) -> tuple[list[Point], int]:
    """Return the points of a frame and how many more it had that we cannot read."""
    if isinstance(frame, str):
        return _decode_text(frame)
    try:
        return _FRAME.decode(frame), 0
    except UNREADABLE:
        return _decode_singly(frame)


def _decode_singly(frame: bytes) -> tuple[list[Point], int]:
    batch: list[Point] = []
    unread = 0
    try:
        parts = _PARTS.decode(frame)
    except UNREADABLE:
        return [], 1
    for part in parts:
        try:
            batch.append(_POINT.decode(part))
        except UNREADABLE:
            unread += 1
    return batch, unread


def _decode_text(frame: str) -> tuple[list[Point], int]:
    """Read JSON from a peer that ignores our `Content-Type`; rare, so not fast."""
    batch: list[Point] = []
    unread = 0
    try:
        parts = _TEXT.decode(frame)
    except UNREADABLE:
        return [], 1
    for part in parts:
        try:
            if "t" in part:
                part["t"] = ext_of(ns_of_text(part["t"]))
            batch.append(msgspec.convert(part, Point))
        except _UNREADABLE_TEXT:
            unread += 1
    return batch, unread


def ns_of_ext(stamp: Ext) -> int:
    """Return ns UTC of a msgpack timestamp in any of its three lengths; raises ValueError for anything else."""
    data: bytes = stamp.data  # type: ignore[assignment]  # bytes, as msgspec decodes it
    if len(data) == 8:
        value = int.from_bytes(data, "big")
        return _instant((value & 0x3_FFFF_FFFF) * SECOND_NS + (value >> 34))
    if len(data) == 4:
        return int.from_bytes(data, "big") * SECOND_NS
    if len(data) == 12:
        seconds = int.from_bytes(data[4:], "big", signed=True)
        return _instant(seconds * SECOND_NS + int.from_bytes(data[:4], "big"))
    raise ValueError(f"a timestamp of {len(data)} bytes")


def ext_of(ns: int) -> Ext:
    """Return the msgpack timestamp of an instant."""
    second, fraction = divmod(ns, SECOND_NS)
    return Ext(-1, ((fraction << 34) | second).to_bytes(8, "big"))


_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def ns_of_text(text: str) -> int:
    """Return ns UTC of an RFC 3339 time with up to nine digits; raises ValueError otherwise."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    second, fraction, offset = match.groups()
    moment = datetime.fromisoformat(second + ("+00:00" if offset in "Zz" else offset))
    return _instant(int(moment.timestamp()) * SECOND_NS + int((fraction or "").ljust(9, "0")))


def _instant(at: int) -> int:
    if not is_instant(at):
        raise ValueError(f"{at} ns is no time of ours")
    return at
