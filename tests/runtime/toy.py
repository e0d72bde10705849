"""A toy system on the real wiring: five cores, a broker edge with random delays, a feed.

Small enough to read at once; the actors' names and words are those of the real line.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

import msgspec

from tests.support.verdicts import intent_approved, intent_refused
from tradingd.log.journal import Journal
from tradingd.log.memory_store import MemoryStore
from tradingd.log.memory_tape import MemoryTape
from tradingd.log.recovery import recover
from tradingd.messages import (
    NOTHING,
    Core,
    Envelope,
    Intent,
    IntentApproved,
    Mark,
    Message,
    OrderApproved,
    OrderFilled,
    OrderProposed,
    OrderSent,
    OrderType,
    PositionChanged,
    Quote,
    Role,
    RunStarted,
    SetTimer,
    Side,
    TimeInForce,
    TimerFired,
)
from tradingd.runtime.actor import Actor
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import SystemClock
from tradingd.runtime.mailbox import received
from tradingd.runtime.ports import Clock, LogStore
from tradingd.runtime.timers import Timers
from tradingd.wiring import WIRING

EXPOSURE_MAX = 3
STARTED = RunStarted("genes", "run", "build", "hash", "mock")


class Toy:
    """The base: state is one list of integers; `apply` is all that changes it."""

    def __init__(self) -> None:
        self.state: list[int] = [0, 0, 0]

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        self.apply(message, now)
        emitted = self.decide(message, now)
        for value in emitted:
            self.apply(value, now)
        return emitted

    def apply(self, message: Message, now: int) -> None:
        """Apply."""

    def decide(self, message: Message, now: int) -> Sequence[Message]:
        return NOTHING

    def save(self) -> bytes:
        return msgspec.msgpack.encode(self.state)

    def load(self, state: bytes) -> None:
        self.state = msgspec.msgpack.decode(state, type=list[int])


class Quotes(Toy):
    """Marks every second quote; counts the timers it set for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0  # only market data feeds it: not in `save`

    def apply(self, message: Message, now: int) -> None:
        self.state[0] += isinstance(message, SetTimer)
        self.state[1] += isinstance(message, TimerFired)

    def decide(self, message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, RunStarted | TimerFired):
            return (SetTimer("quotes", "tick", now + 7_300_000),)
        if isinstance(message, Quote):
            self.seen += 1
            if self.seen % 2 == 0:
                return (Mark(message.symbol, message.bid, message.ask, message.quoted_at),)
        return NOTHING


class Strategy(Toy):
    """Wants one more on every quote whose bid ends in 0; state: intents said, fills seen."""

    def apply(self, message: Message, now: int) -> None:
        self.state[0] += isinstance(message, Intent)
        self.state[1] += isinstance(message, OrderFilled)

    def decide(self, message: Message, now: int) -> Sequence[Message]:
        if not isinstance(message, Quote) or round(message.bid) % 3:
            return NOTHING
        side = Side.BUY if self.state[0] % 2 == 0 else Side.SELL
        return (
            Intent(
                f"genes-e-toy-{self.state[0] + 1}", "toy", message.symbol, side, Role.ENTRY,
                Decimal(1), f"fills {self.state[1]}", 0.5, message.bid, message.ask, message.quoted_at,
            ),
        )  # fmt: skip


class Risk(Toy):
    """Counts from approval, knows the position from fills only."""

    def apply(self, message: Message, now: int) -> None:
        if isinstance(message, IntentApproved):
            self.state[0] += 1
        elif isinstance(message, OrderFilled):
            self.state[0] -= 1
            self.state[1] += 1 if message.side is Side.BUY else -1

    def position(self) -> int:
        return self.state[1]

    def decide(self, message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, Intent):
            return (self._judge(message),)
        if isinstance(message, OrderProposed):
            return (OrderApproved(message),)
        return NOTHING

    def _judge(self, intent: Intent) -> Message:
        seen = f"{self.state[0]} in flight, position {self.position()}"
        if self.state[0] >= EXPOSURE_MAX:
            return intent_refused(
                intent.intent_id,
                intent.strategy,
                intent.symbol,
                intent.role,
                "exposure",
                seen,
                "3",
                "",
            )
        return intent_approved(
            intent.intent_id, intent.strategy, intent.symbol, intent.side, intent.role, Decimal(1),
            Decimal(1 + abs(self.position())), 0.5, intent.quoted_at,
        )  # fmt: skip


class Router(Toy):
    """One order per approved intent."""

    def apply(self, message: Message, now: int) -> None:
        self.state[0] += isinstance(message, OrderProposed)

    def decide(self, message: Message, now: int) -> Sequence[Message]:
        if not isinstance(message, IntentApproved):
            return NOTHING
        return (
            OrderProposed(
                f"{message.intent_id}-1", message.intent_id, message.intent.strategy, message.intent.symbol,
                message.intent.side, message.intent.role, message.quantity, OrderType.LIMIT, message.limit_price,
                TimeInForce.DAY, message.intent.quoted_at,
            ),
        )  # fmt: skip


class Portfolio(Toy):
    """Adds fills up."""

    def apply(self, message: Message, now: int) -> None:
        if isinstance(message, OrderFilled):
            self.state[0] += 1 if message.side is Side.BUY else -1

    def decide(self, message: Message, now: int) -> Sequence[Message]:
        if not isinstance(message, OrderFilled):
            return NOTHING
        zero = Decimal(0)
        return (PositionChanged("toy", "IBM", Decimal(self.state[0]), zero, zero, zero, "fill"),)


class PeekingRisk(Risk):
    """The cheat: reads the portfolio's object in place of hearing fills."""

    def __init__(self, portfolio: Portfolio) -> None:
        super().__init__()
        self._portfolio = portfolio

    def position(self) -> int:
        return self._portfolio.state[0]


def cores(*, is_cheating: bool = False) -> dict[str, Core]:
    portfolio = Portfolio()
    return {
        "quotes": Quotes(),
        "strategy": Strategy(),
        "risk": PeekingRisk(portfolio) if is_cheating else Risk(),
        "router": Router(),
        "portfolio": portfolio,
    }


async def broker(bus: Bus, journal: Journal, rng: random.Random) -> None:
    """Durable, sent, filled after a while; orders overtake each other."""

    async def fill(order: OrderApproved, seq: int, n: int) -> None:
        await journal.durable(seq)
        bus.publish("broker", OrderSent(order.order_id))
        await asyncio.sleep(rng.uniform(0, 0.003))
        bus.publish(
            "broker",
            OrderFilled(
                order.order_id, f"b{n}", f"x{n}", order.order.intent_id, order.order.strategy, order.order.symbol,
                order.order.side, order.order.role, order.order.quantity, Decimal(1), order.order.quantity,
                order.order.quantity, bus.at,
            ),
        )  # fmt: skip

    async with asyncio.TaskGroup() as lanes:
        async for envelope in received(bus.mailbox("broker")):
            if isinstance(envelope.message, OrderApproved):
                lanes.create_task(fill(envelope.message, envelope.seq, envelope.seq))


async def feed(bus: Bus, rng: random.Random, quotes: int) -> None:
    for n in range(quotes):
        if bus.has_room():
            bus.publish("feed", Quote("IBM", float(rng.randrange(100, 120)), 1.0, 120.0, 1.0, n))
        if rng.random() < 0.2:
            await asyncio.sleep(rng.uniform(0, 0.002))


async def session(
    store: LogStore,
    tape: MemoryTape,
    seed: int,
    *,
    quotes: int = 200,
    is_cheating: bool = False,
    is_cut: bool = False,
    clock: Clock | None = None,
) -> tuple[Mapping[str, Core], list[Envelope]]:
    """Run one life over a store; return its cores and, when it ended quietly, all it said."""
    rng = random.Random(f"session:{seed}")
    clock = clock or SystemClock()
    system = cores(is_cheating=is_cheating)
    last = tape.rows[-1].seq if tape.rows else -1
    recovered = await recover(store, system, WIRING, rng, last)
    journal = Journal(store, tape)
    bus = Bus(clock, journal, WIRING, next_seq=recovered.next_seq, at=recovered.at)
    timers = Timers(bus, clock)
    timers.restore([])
    runs = [Actor(name, core, bus, lambda _: None).run() for name, core in system.items()]
    runs += [timers.run(), journal.run(), broker(bus, journal, rng)]
    tasks = [asyncio.create_task(run) for run in runs]
    bus.publish("daemon", STARTED)
    await feed(bus, rng, quotes)
    if not is_cut:
        await settle(bus, system)
        await journal.durable(bus.seq - 1)
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait(tasks)
    return system, await store.read()


async def settle(bus: Bus, system: Mapping[str, Core]) -> None:
    """Wait until nothing is in flight; the tick timer goes on for ever."""
    risk = system["risk"]
    assert isinstance(risk, Risk)
    async with asyncio.timeout(60):
        while risk.state[0] or not bus.is_quiet():  # noqa: ASYNC110 - the toy tells nobody
            await asyncio.sleep(0.001)


def memory() -> tuple[MemoryStore, MemoryTape]:
    return MemoryStore(), MemoryTape()
