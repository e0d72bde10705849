"""The parts of the broker edge that read, with two orders at the broker."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

from tests.properties.odd import (
    check_message,
)
from tests.properties.wire import Answers
from tests.support.verdicts import order_approved
from tradingd import messages as m
from tradingd.broker.context import EdgeContext
from tradingd.broker.gap import Gap
from tradingd.broker.order_path import OrderPath
from tradingd.broker.settings import AlpacaSettings
from tradingd.broker.snapshot import Snapshots
from tradingd.broker.stale_orders import StaleOrderCanceler
from tradingd.broker.update_translator import UpdateTranslator
from tradingd.broker.updates import OrderStream
from tradingd.messages import Envelope, Message, OrderType, Role, Side, TimeInForce
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.wiring import WIRING

D = Decimal
NOW = 1_709_649_000_000_000_000
SETTINGS = AlpacaSettings(
    trading_url="http://broker",
    trading_stream_url="ws://broker/stream",
    key_id="k",
    secret_key="s",
    snapshot_tries_max=1,
    snapshot_settle_s=60.0,
)


class Said:
    """What was said, looked at as the log would."""

    def __init__(self) -> None:
        self.published: list[Message] = []

    def append(self, envelope: Envelope) -> None:
        check_message(envelope.message)
        self.published.append(envelope.message)

    async def durable(self, seq: int) -> None:
        """Everything is."""


class Edge:
    """The parts of the edge that read, with two orders at the broker."""

    def __init__(self, network: Answers, settings: AlpacaSettings = SETTINGS) -> None:
        self.bus, clock = Said(), ManualClock(NOW)
        bus = Bus(clock, self.bus, WIRING)
        self.state = EdgeContext(
            network, clock, bus, self.bus, settings=settings, rng=random.Random(1)
        )
        path = OrderPath(self.state)
        gap = Gap(self.state, path)
        self.snapshots = Snapshots(self.state, gap, path, StaleOrderCanceler(self.state, ()))
        translator = UpdateTranslator(self.state, path.cancels, self.snapshots.ask)
        self.stream = OrderStream(self.state, gap, self.snapshots, translator)
        self.stream._release()
        self.state.known.apply(m.RunStarted("g", "r", "b", "c", "mock"), NOW)
        for order in ORDERS:
            self.state.known.apply(order, NOW)
            self.state.known.apply(m.OrderSent(order.order_id), NOW)

    def check_orders(self) -> None:
        """Each share once, forwards only, and nothing but late fills after an end."""
        settings: defaultdict[str, Decimal] = defaultdict(Decimal)
        ended: set[str] = set()
        for fact in self.bus.published:
            if isinstance(fact, m.OrderFilled):
                assert fact.quantity > 0
                assert fact.price > 0
                settings[fact.order_id] += fact.quantity
                assert settings[fact.order_id] == fact.cumulative
            elif isinstance(fact, m.OrderCanceled | m.OrderExpired | m.OrderRejected | m.OrderReplaced):  # fmt: skip
                assert fact.order_id not in ended
                ended.add(fact.order_id)


def approved(order_id: str, symbol: str, quantity: str, price: str) -> m.OrderApproved:
    return order_approved(
        order_id, order_id.rpartition("-")[0], "sma", symbol, Side.BUY, Role.ENTRY, D(quantity),
        OrderType.LIMIT, D(price), TimeInForce.DAY, NOW,
    )  # fmt: skip


ORDERS = (
    approved("g-e-sma-1-1", "IBM", "100", "101"),
    approved("g-e-sma-2-1", "BTC/USD", "0.5", "64000"),
)


def order(order_id: str = "g-e-sma-1-1", **changes: Any) -> dict[str, Any]:
    given = {
        "id": "b-" + order_id, "client_order_id": order_id, "symbol": "IBM", "side": "buy", "type": "limit",
        "status": "new", "qty": "100", "filled_qty": "0", "filled_avg_price": None, "limit_price": "101",
        "created_at": "2024-03-05T14:30:00.000000001Z", "replaced_by": None, "legs": None,
    }  # fmt: skip
    return {**given, **changes}


ACCOUNT = {
    "id": "a-1", "account_number": "PA1", "status": "ACTIVE", "cash": "100000.01", "equity": "100500.5",
    "buying_power": "200000", "trading_blocked": False, "account_blocked": False,
    "trade_suspended_by_user": False,
}  # fmt: skip
LISTED = [order(), order("g-e-sma-2-1", symbol="BTC/USD", qty="0.5", limit_price="64000")]
