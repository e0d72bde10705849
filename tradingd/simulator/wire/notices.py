"""What the sockets tell beside quotes, trades and bars: halts, price bands, corrections, order books.

The generated market makes none of it but order books; the admin route and scenarios hand the rest in,
in the broker's own fields.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tradingd.simulator.wire.market_data import BarBody, MarketBody, Point


class NoticeStatus(msgspec.Struct, tag_field="T", tag="s", gc=False):
    """A trading status: halted, resumed."""

    S: str
    sc: str
    sm: str
    rc: str = ""
    rm: str = ""
    t: object = None
    z: str = "C"


_WHY = "Trading Halted; For information requested by NASDAQ"
HALTED: Final = NoticeStatus("", "H", "Trading Halt", "T12", _WHY)
RESUMED: Final = NoticeStatus("", "T", "Trading Resumption")


class Luld(msgspec.Struct, tag_field="T", tag="l", gc=False):
    """A price band: limit up, limit down."""

    S: str
    u: float
    d: float
    i: str = "B"
    t: object = None
    z: str = "C"


class Imbalance(msgspec.Struct, tag_field="T", tag="i", gc=False):
    """The price an auction out of balance points to."""

    S: str
    p: float
    t: object = None
    z: str = "C"


class Correction(msgspec.Struct, tag_field="T", tag="c", gc=False):
    """A print that is restated."""

    S: str
    oi: int
    op: float
    os: float
    cp: float
    cs: float
    ci: int = 0
    x: str = "V"
    oc: tuple[str, ...] = ("@",)
    cc: tuple[str, ...] = ("@",)
    t: object = None
    z: str = "C"


class CancelError(msgspec.Struct, tag_field="T", tag="x", gc=False):
    """A print that is taken back."""

    S: str
    i: int
    p: float
    s: float
    a: str = "C"
    x: str = "V"
    t: object = None
    z: str = "C"


class UpdatedBar(BarBody, tag="u", gc=False):
    """A minute that is restated because prints came late."""


class BookLevel(msgspec.Struct, gc=False):
    """One price of an order book and its size; a size of 0 removes it."""

    p: float
    s: float


class OrderBook(msgspec.Struct, tag_field="T", tag="o", omit_defaults=True, gc=False):
    """An order book: whole when `r` is set, else what changed."""

    S: str
    b: list[BookLevel]
    a: list[BookLevel]
    t: object = None
    r: bool = False


Notice = NoticeStatus | Luld | Imbalance | Correction | CancelError | UpdatedBar
CHANNELS: Final[dict[type, str]] = {
    NoticeStatus: "statuses",
    Luld: "lulds",
    Imbalance: "imbalances",
    Correction: "trades",
    CancelError: "trades",
    UpdatedBar: "updatedBars",
    OrderBook: "orderbooks",
}
"""Corrections come by themselves to whoever has the trades of a symbol."""


def notice_point(body: Notice | OrderBook, at: int) -> Point:
    """Return a notice as a point of its channel."""
    carried: MarketBody = body
    return Point(CHANNELS[type(body)], at, carried)
