"""One data point of the market as the sockets spell it, encoded once per encoding however many listen.

At 20,000 quotes a second encoding per socket would be the whole budget; here sockets only join bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from tradingd.simulator.wire.encoding import time_text, timestamp_ext

JSON: Final = "json"
MSGPACK: Final = "msgpack"
_to_json = msgspec.json.Encoder().encode
_to_msgpack = msgspec.msgpack.Encoder().encode


class StockQuote(msgspec.Struct, tag_field="T", tag="q", gc=False):
    """Best bid and ask of an equity."""

    S: str
    bx: str
    bp: float
    bs: float
    ax: str
    ap: float
    as_: float = msgspec.field(name="as")
    t: object
    c: tuple[str, ...] = ("R",)
    z: str = "C"


class CryptoQuote(msgspec.Struct, tag_field="T", tag="q", gc=False):
    """Best bid and ask of a pair."""

    S: str
    bp: float
    bs: float
    ap: float
    as_: float = msgspec.field(name="as")
    t: object


class StockTrade(msgspec.Struct, tag_field="T", tag="t", gc=False):
    """One print of an equity."""

    S: str
    i: int
    x: str
    p: float
    s: float
    t: object
    c: tuple[str, ...] = ("@",)
    z: str = "C"


class CryptoTrade(msgspec.Struct, tag_field="T", tag="t", gc=False):
    """One print of a pair."""

    S: str
    p: float
    s: float
    t: object
    i: int
    tks: str


class BarBody(msgspec.Struct, tag_field="T", gc=False):
    """What all bars have."""

    S: str
    o: float
    h: float
    l: float  # noqa: E741 - the broker's name
    c: float
    v: float
    t: object
    n: int
    vw: float


class MinuteBar(BarBody, tag="b", gc=False):
    """A finished minute."""


class DailyBar(BarBody, tag="d", gc=False):
    """The running day."""


class MarketBody(Protocol):
    """What every point has."""

    S: str
    t: object


class Point(msgspec.Struct, gc=False, eq=False):
    """A point with the channel it travels on; its encodings are made when first asked for.

    Outside the garbage collector's view like its body: half a million of them are kept, and a full
    collection over those stops the market for longer than an order may wait.
    """

    channel: str
    at: int
    body: MarketBody
    symbol: str = ""
    is_crypto: bool = False
    in_json: bytes = b""
    in_msgpack: bytes = b""

    def __post_init__(self) -> None:
        """Have at hand what every socket asks."""
        self.symbol = symbol = self.body.S
        self.is_crypto = "/" in symbol

    def encoded(self, encoding: str) -> bytes:
        """Return the point as bytes of one encoding."""
        if encoding == MSGPACK:
            if not self.in_msgpack:
                self.body.t = timestamp_ext(self.at)
                self.in_msgpack = _to_msgpack(self.body)
            return self.in_msgpack
        if not self.in_json:
            self.body.t = time_text(self.at)
            self.in_json = _to_json(self.body)
        return self.in_json

    def forget_encodings(self) -> None:
        """Drop the bytes once everybody has them; who asks later gets them made again."""
        self.in_json = self.in_msgpack = b""
        self.body.t = None

    def rest(self) -> dict[str, object]:
        """Return the point as the REST API spells it: without type and symbol."""
        self.body.t = time_text(self.at)
        fields: dict[str, object] = msgspec.to_builtins(self.body)
        del fields["T"], fields["S"]
        return fields


def frame_of(parts: Sequence[bytes], encoding: str) -> str | bytes:
    """Join encoded points into one array: a text frame of JSON or a binary one of msgpack."""
    if encoding == JSON:
        return (b"[" + b",".join(parts) + b"]").decode()
    return _array_header(len(parts)) + b"".join(parts)


def _array_header(length: int) -> bytes:
    if length < 16:
        return bytes((0x90 | length,))
    return struct.pack(">BH", 0xDC, length)  # frames are cut far below 65,536 points
