"""Alpaca's JSON, read leniently and written exactly.

Every field may be missing, null, a string or a number; a word we do not know spoils one field, never a
whole list. Quantities and prices leave as exact strings, because floats such as 0.30000000000000004
would be taken literally.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from tradingd.instruments.units import ZERO
from tradingd.messages import OrderApproved, OrderType
from tradingd.runtime.codec import UNREADABLE, clean_text, is_instant

T = TypeVar("T")


class Unreadable(Exception):  # noqa: N818 - it names the state of affairs
    """The broker's text is not what it should be: truncated, HTML, or of another shape."""


class _Wire(msgspec.Struct, gc=False):
    """The base of what comes from the broker: its words are made fit for a line where they come in."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if type(value) is str:
                setattr(self, name, clean_text(value))


class WireOrder(_Wire):
    """An order object; `Any` where strings, numbers and null have all been seen."""

    id: str | None = None
    client_order_id: str | None = None
    symbol: str | None = None
    side: str | None = None
    status: str | None = None
    type: str | None = None
    qty: Any = None
    filled_qty: Any = None
    filled_avg_price: Any = None
    limit_price: Any = None
    created_at: str | None = None
    replaced_by: str | None = None


class WireUpdate(_Wire):
    """The `data` of a `trade_updates` message."""

    event: str = ""
    order: msgspec.Raw = msgspec.Raw(b"{}")
    execution_id: str | None = None
    price: Any = None
    qty: Any = None
    position_qty: Any = None
    timestamp: str | None = None


class WireFrame(_Wire):
    """A message of the order stream."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


class WireStreamData(_Wire):
    """The `data` of a control message of the order stream."""

    status: str | None = None
    action: str | None = None
    streams: list[str] = msgspec.field(default_factory=list)
    error: str | None = None


class WireAccount(_Wire):
    """The account object."""

    id: str | None = None
    account_number: str | None = None
    status: str | None = None
    cash: Any = None
    equity: Any = None
    buying_power: Any = None
    trading_blocked: bool | None = None
    account_blocked: bool | None = None
    trade_suspended_by_user: bool | None = None


class WirePosition(_Wire):
    """A position object."""

    symbol: str | None = None
    asset_id: str | None = None
    asset_class: str | None = None
    qty: Any = None
    avg_entry_price: Any = None
    side: str | None = None


class WireActivity(_Wire):
    """A line of account activity: a fill, or money that is not trading."""

    id: str | None = None
    activity_type: str | None = None
    order_id: str | None = None
    transaction_time: str | None = None
    qty: Any = None
    cum_qty: Any = None
    price: Any = None
    net_amount: Any = None
    date: str | None = None
    created_at: str | None = None
    status: str | None = None


class WireSplit(_Wire):
    """A split of the corporate actions: `new_rate` shares for `old_rate`."""

    id: str | None = None
    symbol: str | None = None
    new_rate: Any = None
    old_rate: Any = None
    ex_date: str | None = None


class _Splits(msgspec.Struct):
    forward_splits: list[WireSplit] = msgspec.field(default_factory=list)
    reverse_splits: list[WireSplit] = msgspec.field(default_factory=list)


class WireActions(msgspec.Struct):
    """The corporate actions of a query; a thousand fit on the only page we ask for."""

    corporate_actions: _Splits = msgspec.field(default_factory=_Splits)


class WireError(_Wire):
    """An error body."""

    code: Any = None
    message: Any = None


_CLOSED = frozenset({
    "ACCOUNT_CLOSED", "ACCOUNT_CLOSED_PENDING", "INACTIVE", "REJECTED", "SUBMISSION_FAILED", "DISABLED",
})  # fmt: skip


def why_blocked(account: WireAccount) -> str:
    """Return why this account may not trade, or nothing; a status nobody knows is no reason."""
    switches = {
        "trading_blocked": account.trading_blocked,
        "account_blocked": account.account_blocked,
        "trade_suspended_by_user": account.trade_suspended_by_user,
    }
    values = [name for name, is_set in switches.items() if is_set]
    if account.status in _CLOSED:
        values.append(f"status {account.status}")
    return ", ".join(values)


@dataclass(frozen=True, slots=True)
class BrokerOrderView:
    """An order as the broker has it, in our types."""

    order_id: str
    broker_order_id: str
    symbol: str
    side: str
    status: str
    order_type: str
    quantity: Decimal
    cumulative: Decimal
    average: Decimal
    limit_price: Decimal | None
    created_at: int
    replaced_by: str
    is_whole: bool = True
    """Whether it says how much was filled, and at what price: without that it proves no fill and no end."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What an update says about the one execution it tells of."""

    execution_id: str
    quantity: Decimal
    price: Decimal
    position: Decimal | None
    at: int


def decode(body: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """Decode one object; raises `Unreadable`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise Unreadable(f"{kind.__name__}: {error}") from error


def decode_rows(body: bytes, kind: type[T]) -> tuple[list[T], list[str]]:
    """Decode a list row by row: what could be read, and why the rest could not."""
    rows: list[T] = []
    faults: list[str] = []
    for raw in decode(body, list[msgspec.Raw]):
        try:
            rows.append(decode(raw, kind))
        except Unreadable as fault:
            faults.append(str(fault)[:200])
    return rows, faults


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
NUMBER_CHARS_MAX = 64
NUMBER_MAX = Decimal(10) ** 15
"""No price, quantity or cash of an account is as large; beyond it arithmetic would not stay exact."""
PLACES_MAX = 40


def number(value: object) -> Decimal | None:
    """Return a Decimal of a plain string or number, else None: finite, and of a size that can be counted with."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, int) and abs(value) >= NUMBER_MAX:
        return None
    text = str(value)
    if len(text) > NUMBER_CHARS_MAX or _NUMBER.fullmatch(text) is None:
        return None
    result = Decimal(text)
    if not result:
        return ZERO
    is_countable = abs(result) < NUMBER_MAX and result.adjusted() > -PLACES_MAX
    return result if is_countable else None


def read_order(body: bytes | msgspec.Raw) -> BrokerOrderView:
    """Read one order; raises `Unreadable` when it does not even say which order it is."""
    return view_of(decode(body, WireOrder))


def view_of(wire: WireOrder) -> BrokerOrderView:
    """Turn a decoded order into our types; raises Unreadable where one has no id."""
    if not wire.id or not wire.client_order_id:
        raise Unreadable("an order without id")
    cumulative, average = number(wire.filled_qty), number(wire.filled_avg_price)
    return BrokerOrderView(
        order_id=wire.client_order_id,
        broker_order_id=wire.id,
        symbol=wire.symbol or "",
        side=wire.side or "",
        status=wire.status or "",
        order_type=wire.type or "",
        quantity=number(wire.qty) or ZERO,
        cumulative=cumulative or ZERO,
        average=average or ZERO,
        limit_price=number(wire.limit_price),
        created_at=time_ns(wire.created_at),
        replaced_by=wire.replaced_by or "",
        is_whole=cumulative is not None and (not cumulative or bool(average)),
    )


class _Named(msgspec.Struct):
    client_order_id: str = ""


def named_in(order: msgspec.Raw) -> str:
    """Return our id in an order that cannot be read otherwise, or nothing."""
    try:
        return decode(order, _Named).client_order_id
    except Unreadable:
        return ""


def execution_of(update: WireUpdate, now: int) -> Execution | None:
    """Return the execution an update tells of, None where it tells of none (or not fully)."""
    quantity, price = number(update.qty), number(update.price)
    if quantity is None or price is None or quantity <= 0 or price <= 0:
        return None
    return Execution(
        execution_id=update.execution_id or "",
        quantity=quantity,
        price=price,
        position=number(update.position_qty),
        at=time_ns(update.timestamp) or now,
    )


_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)


def time_ns(text: str | None) -> int:
    """Return ns UTC of an RFC 3339 time with up to nine digits; 0 when it is none."""
    match = _TIME.fullmatch(text or "")
    if match is None:
        return 0
    seconds, fraction, zone = match.groups()
    try:
        stamp = datetime.fromisoformat(seconds + ("+00:00" if zone in {None, "Z"} else zone))
    except ValueError:
        return 0
    at = int(stamp.timestamp()) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
    return at if is_instant(at) else 0


def time_text(at: int) -> str:
    """Return the RFC 3339 second at or before `at`, for a query."""
    return datetime.fromtimestamp(at // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def order_body(approved: OrderApproved) -> bytes:
    """Return the body of POST /v2/orders: exact strings, and our own id."""
    order = approved.order
    fields = {
        "symbol": order.symbol,
        "qty": f"{order.quantity:f}",
        "side": order.side.value,
        "type": order.order_type.value,
        "time_in_force": order.time_in_force.value,
        "client_order_id": order.order_id,
    }
    if order.order_type is OrderType.LIMIT:
        assert order.limit_price is not None, "a limit order has a price"
        fields["limit_price"] = f"{order.limit_price:f}"
    return msgspec.json.encode(fields)


_QUOTES = ("USDT", "USDC", "USD", "BTC")


def local_symbol(symbol: str, asset_class: str | None) -> str:
    """Return our spelling: positions call `BTC/USD` `BTCUSD`."""
    if "/" in symbol or not (asset_class or "").startswith("crypto"):
        return symbol
    for quote in _QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return f"{symbol.removesuffix(quote)}/{quote}"
    return symbol


SIDES = frozenset({"buy", "sell", "sell_short"})

ORDER_TYPES = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})

OPEN_STATUSES = frozenset({
    "new", "partially_filled", "done_for_day", "pending_cancel", "pending_replace", "pending_review",
    "accepted", "pending_new", "accepted_for_bidding", "stopped", "suspended", "calculated", "held",
})  # fmt: skip
"""The order may still trade (`done_for_day` goes on tomorrow)."""

TERMINAL_STATUSES = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
"""The order will not trade again."""

EVENT_STATUS = {
    "fill": "filled",
    "partial_fill": "partially_filled",
    "canceled": "canceled",
    "expired": "expired",
    "replaced": "replaced",
    "rejected": "rejected",
}
"""What an event says of the status, should the order object beside it say nothing we know."""

SILENT_EVENTS = OPEN_STATUSES | {"restated", "order_replace_rejected"}
"""Events that change nothing we keep."""

KNOWN_EVENTS = (
    SILENT_EVENTS | EVENT_STATUS.keys() | {"order_cancel_rejected", "trade_bust", "trade_correct"}
)
