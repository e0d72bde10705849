"""The edge on a bus of its own, against the twin."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from tests.broker.twin import TwinBroker
from tests.support.loops import PLAIN, LoopFactories
from tests.support.verdicts import order_approved
from tradingd.broker import AlpacaBroker, AlpacaSettings
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import (
    Envelope,
    Level,
    LevelChanged,
    Market,
    Message,
    OrderApproved,
    OrderFilled,
    OrderType,
    Role,
    RunStarted,
    Session,
    SessionChanged,
    Side,
    TimeInForce,
)
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import Clock
from tradingd.runtime.virtual_loop import VirtualLoop
from tradingd.wiring import WIRING

M = TypeVar("M", bound=Message)

NOW = 1_700_000_000_000_000_000
D = Decimal

QUICK: dict[str, Any] = {
    "grace_s": 0.02, "flatten_grace_s": 0.01, "presume_s": 0.05, "watch_interval_s": 0.01, "cancel_check_s": 0.02,
    "back_off_s_min": 0.002, "back_off_s_max": 0.01, "refused_interval_s": 0.02,
    "silence_s_max": 0.05, "snapshot_settle_s": 0.005, "handshake_s_max": 0.2,
    "emergency_poll_s": 0.005, "emergency_wait_s": 0.05, "retry_age_s_max": 0.5,
}  # fmt: skip


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> LoopFactories:
    """Run in virtual time what needs no socket."""
    return PLAIN if item.get_closest_marker("wire") else {"virtual": lambda: VirtualLoop(1)}


class LoopClock:
    """Market time by the running loop's own time, `speed` times as fast; virtual on a virtual loop."""

    def __init__(self, start: int = NOW, speed: float = 1.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._start = start
        self._speed = speed

    def now(self) -> int:
        return self._start + int((self._loop.time() - self._began) * self._speed * SECOND_NS)

    def monotonic(self) -> int:
        return int(self._loop.time() * SECOND_NS)

    def real_seconds(self, market_ns: int) -> float:
        return market_ns / SECOND_NS / self._speed


class House:
    """A bus whose every word is kept, and the edge on it."""

    def __init__(self, broker: TwinBroker | None = None, log: list[Envelope] | None = None,
                 clock: Clock | None = None, former_instances: tuple[str, ...] = (),
                 **changes: Any) -> None:  # fmt: skip
        self.clock = clock or LoopClock()
        self.broker = broker or TwinBroker(self.clock)
        self.published: list[Envelope] = []
        self._news = asyncio.Event()
        self.durable_gate = asyncio.Event()
        self.durable_gate.set()
        earlier = log or []
        self.bus = Bus(self.clock, self, WIRING, next_seq=len(earlier))
        where = {"trading_url": "http://twin", "trading_stream_url": "ws://twin/stream"}
        settings = AlpacaSettings(
            key_id="key", secret_key="secret", **{**where, **QUICK, **changes}
        )
        self.edge = AlpacaBroker(
            self.broker,
            self.clock,
            self.bus,
            self,
            settings=settings,
            rng=random.Random(7),
            former_instances=former_instances,
        )
        for envelope in earlier:
            self.edge.apply(envelope)
        self.earlier = earlier
        self._task: asyncio.Task[None] | None = None

    def append(self, envelope: Envelope) -> None:
        self.published.append(envelope)
        self._news.set()

    async def durable(self, seq: int) -> None:
        assert seq < self.bus.seq
        await self.durable_gate.wait()

    async def start(self, level: Level = Level.NORMAL) -> House:
        self._task = asyncio.create_task(self.edge.run())
        self.publish(RunStarted("gen", "run", "build", "hash", "mock"))
        for market in Market:
            self.publish(SessionChanged(market, Session.REGULAR, 0))
        self.publish(LevelChanged(level, ()))
        return self

    async def connected(self) -> House:
        await self.start()
        await self.until("BrokerConnected")
        return self

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def publish(self, message: Message) -> Envelope:
        source = next(name for name, row in WIRING.items() if type(message) in row.publishes)
        return self.bus.publish(source, message)

    async def until(self, what: str | Callable[[], bool], count: int = 1) -> None:
        """Wait until so many of a kind were said, or something is true."""

        def is_so() -> bool:
            return what() if callable(what) else len(self.all(what)) >= count

        try:
            async with asyncio.timeout(60):
                while not is_so():
                    self._news.clear()
                    try:
                        async with asyncio.timeout(0.01):
                            await self._news.wait()
                    except TimeoutError:
                        continue
        except TimeoutError:
            raise AssertionError(f"never {what}: {self.names()}") from None

    def all(self, name: str) -> list[Any]:
        return [e.message for e in self.published if type(e.message).__name__ == name]

    def one(self, name: str) -> Any:
        found = self.all(name)
        assert len(found) == 1, f"{len(found)} x {name}: {self.names()}"
        return found[0]

    def names(self, source: str = "broker") -> list[str]:
        return [type(e.message).__name__ for e in self.published if e.source == source]

    def filled(self, order_id: str) -> Decimal:
        fills: list[OrderFilled] = [f for f in self.all("OrderFilled") if f.order_id == order_id]
        return sum((fill.quantity for fill in fills), D(0))


def approved(
    k: int = 1,
    role: Role = Role.ENTRY,
    *,
    symbol: str = "IBM",
    quantity: str = "10",
    limit: str | None = "10.5",
    side: Side = Side.BUY,
    quoted_at: int | None = None,
    n: int = 1,
) -> OrderApproved:
    letter = {Role.ENTRY: "e", Role.EXIT: "x", Role.FLATTEN: "f", Role.PROTECT: "p"}[role]
    parent = f"gen-{letter}-s-{n}"
    return order_approved(
        order_id=f"{parent}-{k}", intent_id=parent, strategy="s", symbol=symbol, side=side,
        role=role, quantity=D(quantity),
        order_type=OrderType.LIMIT if limit else OrderType.MARKET,
        limit_price=D(limit) if limit else None, time_in_force=TimeInForce.DAY,
        quoted_at=NOW if quoted_at is None else quoted_at,
    )  # fmt: skip


@pytest.fixture
async def houses() -> AsyncIterator[Callable[..., House]]:
    """Make houses that are torn down at the end."""
    made: list[House] = []

    def make(*args: Any, **changes: Any) -> House:
        system = House(*args, **changes)
        made.append(system)
        return system

    yield make
    for system in made:
        await system.stop()


@pytest.fixture
async def system(houses: Callable[..., House]) -> House:
    """A connected system at NORMAL."""
    return await houses().connected()
