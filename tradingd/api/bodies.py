"""What callers may send, as types: closed, short, printable, and every number a decimal string.

The door of the API. msgspec checks the shape while it decodes, in C; what is let through here can be put
into a message, a log line and an audit row as it is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from tradingd.messages import Side

_PRINTABLE = "!-~\\u00a1-\\u00ac\\u00ae-\\u024f"
REASON_CHARS_MAX = 200

Reason = Annotated[
    str,
    Meta(
        pattern=f"^[{_PRINTABLE}][ {_PRINTABLE}]*$",
        max_length=REASON_CHARS_MAX,
        description="Why, for the log and the audit trail: one line, Latin letters.",
    ),
]
Symbol = Annotated[
    str, Meta(pattern="^[A-Z][A-Z0-9.]{0,9}(/USD)?$", max_length=14, description="IBM or BTC/USD.")
]
Strategy = Annotated[str, Meta(pattern="^[a-z0-9_]{1,16}$", max_length=16)]
Amount = Annotated[
    str,
    Meta(
        pattern="^(0\\.0{0,8}[1-9][0-9]{0,8}|[1-9][0-9]{0,8}(\\.[0-9]{1,9})?)$",
        max_length=19,
        description="A positive decimal number, as a string.",
    ),
]


class RequestBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every body; raises ValueError at a line end, which a pattern's `$` would let through."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f"{name} is not printable")


class Asked(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command that needs nothing but its reason."""

    reason: Reason


class FlattenAsked(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sell everything, or one symbol."""

    reason: Reason
    symbol: Symbol | None = None


class StopAsked(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End the run. `keep` leaves positions as they are, whatever `on_stop` says."""

    reason: Reason
    keep: bool = False


class OrderAsked(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order of a person. It passes the same gate as every other."""

    symbol: Symbol
    side: Side
    quantity: Amount
    reason: Reason
    limit_price: Amount | None = None
    strategy: Strategy | None = None
    """Whose position a sale reduces first."""

    @property
    def amount(self) -> Decimal:
        """Return the quantity as a number."""
        return Decimal(self.quantity)

    @property
    def limit(self) -> Decimal | None:
        """Return the limit price as a number."""
        return None if self.limit_price is None else Decimal(self.limit_price)
