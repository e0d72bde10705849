"""The edge against the simulated Alpaca, with the reconciler looking on: whatever breaks, the books agree."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.broker.conftest import House, LoopClock
from tests.support.verdicts import order_approved
from tradingd.instruments.calendar import ns_of
from tradingd.messages import (
    BooksAgreed,
    CancelOrder,
    Envelope,
    OrderType,
    Quote,
    Role,
    Side,
    SnapshotAsked,
    TimeInForce,
)
from tradingd.reconciler.core import ReconcilerCore
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.market.events import MarketEvent
from tradingd.simulator.settings import calendar_around
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.faults import SimulatedFault
from tradingd.simulator.wire.network import SimulatorNetwork
from tradingd.simulator.wire.session import Keys
from tradingd.simulator.wire.settings import WireSettings
from tradingd.simulator.world import World
from tradingd.wiring import WIRING

D = Decimal
START = ns_of("2026-03-04", "10:00")
SPEED = 20.0
STEP = 200_000_000
SUBSCRIBES = WIRING["reconciler"].subscribes


def quotes() -> Iterator[MarketEvent]:
    """Yield a flat market that shows little size, so that orders fill in parts."""
    for n in range(9000):
        for symbol in ("IBM", "BTC/USD"):
            yield Quote(symbol, 100.0, 5.0 + n % 2, 100.1, 5.0 + n % 2, START + n * STEP)


class Simulated(House):
    """A system on the simulator; every fact goes to a reconciler, whose words are kept."""

    def __init__(self) -> None:
        clock = LoopClock(START, SPEED)
        settings = ExchangeSettings(depth_levels=0, latency_ms=50)
        exchange = Exchange(settings, calendar_around(START), seed=1)
        world = World(exchange, quotes(), start_ns=START)
        wire = WireSettings(keys=Keys("key", "secret"), requests_per_minute_max=0)
        self.alpaca = LocalAlpaca(world, wire)
        self.network = SimulatorNetwork(self.alpaca, clock)
        self.reconciler = ReconcilerCore()
        self.judged: list[Any] = []
        super().__init__(self.network, clock=clock)  # type: ignore[arg-type]

    def append(self, envelope: Envelope) -> None:
        super().append(envelope)
        if type(envelope.message) in SUBSCRIBES:
            self.judged += self.reconciler.handle(envelope.message, envelope.at)

    def fault(self, **fields: Any) -> None:
        self.alpaca.faults.arm(SimulatedFault(**fields))

    def order(self, n: int, symbol: str, side: Side, quantity: str, limit: str | None) -> str:
        role = Role.ENTRY if side is Side.BUY else Role.EXIT
        parent = f"gen-{role.value[0]}-s-{n}"
        kind = OrderType.LIMIT if limit else OrderType.MARKET
        self.publish(order_approved(
            f"{parent}-1", parent, "s", symbol, side, role, D(quantity), kind,
            D(limit) if limit else None, TimeInForce.GTC, self.clock.now(),
        ))  # fmt: skip
        return f"{parent}-1"

    def has_ended(self, order_id: str) -> bool:
        kinds = ("OrderNotSent", "OrderCanceled", "OrderRejected", "OrderExpired")
        ended = {m.order_id for kind in kinds for m in self.all(kind)}
        done = {m.order_id for m in self.all("OrderFilled") if m.cumulative >= m.order_quantity}
        return order_id in ended | done

    async def agreed(self) -> BooksAgreed:
        """Ask for a snapshot and return the reconciler's last word."""
        count = len(self.all("BrokerSnapshot"))
        self.publish(SnapshotAsked("period"))
        await self.until("BrokerSnapshot", count + 1)
        last = self.judged[-1]
        assert isinstance(last, BooksAgreed), self.judged
        return last


@pytest.fixture
async def simulated() -> AsyncIterator[Simulated]:
    system = Simulated()
    await system.connected()
    yield system
    await system.stop()
    await system.network.close()


@pytest.mark.parametrize("symbol", ["IBM", "BTC/USD"])
async def test_a_round_trip_leaves_the_books_agreed(simulated: Simulated, symbol: str) -> None:
    bought = simulated.order(1, symbol, Side.BUY, "8", "100.5")
    await simulated.until(lambda: simulated.has_ended(bought))
    assert not (await simulated.agreed()).is_flat
    held = simulated.all("BrokerSnapshot")[-1].positions[0].quantity
    sold = simulated.order(2, symbol, Side.SELL, str(held), None)
    await simulated.until(lambda: simulated.has_ended(sold))
    assert (await simulated.agreed()).is_flat
    explained = [value for value in simulated.judged if type(value).__name__ == "BreakExplained"]
    assert explained == [], "fees were known exactly"


async def test_a_partial_fill_and_a_cancel_agree(simulated: Simulated) -> None:
    order_id = simulated.order(1, "IBM", Side.BUY, "500", "100.5")
    await simulated.until("OrderFilled")
    simulated.publish(CancelOrder(order_id, "enough"))
    await simulated.until("OrderCanceled")
    assert simulated.one("OrderCanceled").cumulative == simulated.filled(order_id)
    assert (await simulated.agreed()).open_orders == 0


FAULTS: list[dict[str, Any]] = [
    {"fault": "drop_reply", "method": "POST", "path": "/v2/orders", "count": 1},
    {"fault": "status", "method": "POST", "path": "/v2/orders", "count": 1, "status": 504,
     "is_processed": True},
    {"fault": "status", "method": "POST", "path": "/v2/orders", "count": 1, "status": 200,
     "body": "<html>", "is_processed": True},
    {"fault": "status", "method": "POST", "path": "/v2/orders", "count": 1, "status": 503},
    {"fault": "refuse", "path": "/v2/", "count": 2},
    {"fault": "status", "method": "DELETE", "path": "/v2/orders", "count": 2, "status": 500},
    {"fault": "status", "method": "GET", "path": "/v2/account", "count": 1, "status": 502},
    {"fault": "close", "socket": "trade", "code": 1006},
    {"fault": "mute", "socket": "trade", "count": 2},
    {"fault": "delay", "path": "/v2/orders", "count": 2, "seconds": 0.02},
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_breaks_every_order_ends_and_the_books_agree(
    simulated: Simulated, seed: int
) -> None:
    rng = random.Random(seed)
    sent: list[str] = []
    for n in range(1, 13):
        simulated.fault(**rng.choice(FAULTS))
        symbol = rng.choice(("IBM", "BTC/USD"))
        sent.append(simulated.order(n, symbol, Side.BUY, str(rng.randint(1, 20)), "100.5"))
        await asyncio.sleep(rng.uniform(0, 0.03))
        if rng.random() < 0.3:
            simulated.publish(CancelOrder(rng.choice(sent), "chance"))
    simulated.fault(fault="clear")
    for order_id in sent:
        simulated.publish(CancelOrder(order_id, "the end"))
    await simulated.until(lambda: all(simulated.has_ended(order_id) for order_id in sent))
    await simulated.until(lambda: simulated.edge._context.interlock.is_stream_up)
    assert (await simulated.agreed()).open_orders == 0
    kinds = {alert.kind for alert in simulated.all("AlertRaised")}
    assert not kinds & {"edge_task_failed", "edge_stream_failed", "edge_unheard", "overfill"}
    for order_id in sent:
        assert len([m for m in simulated.all("OrderSent") if m.order_id == order_id]) <= 1
