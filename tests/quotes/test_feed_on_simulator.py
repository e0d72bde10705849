"""The feed, the bus and the quotes actor on the local Alpaca, in one process and on one hand-moved clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

from tradingd.instruments.calendar import ns_of, session_days
from tradingd.messages import (
    ActorFailed,
    Bar,
    CalendarRead,
    Envelope,
    FeedConnected,
    HistoryRead,
    Mark,
    Message,
    Quote,
    RunStarted,
    SessionChanged,
    Trade,
)
from tradingd.quotes.core import QuotesCore
from tradingd.quotes.feed import AlpacaFeed
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.settings import QuotesSettings
from tradingd.runtime.actor import Actor
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.market.events import MarketEvent
from tradingd.simulator.market.generator import GeneratedMarket
from tradingd.simulator.market.universe import assets
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.faults import SimulatedFault
from tradingd.simulator.wire.network import SimulatorNetwork
from tradingd.simulator.world import World
from tradingd.wiring import WIRING

START = ns_of("2026-03-04", "10:00")
SYMBOLS = ("ACMX", "BTC/USD")
STEP = 1_000_000_000


def scripted() -> Iterator[MarketEvent]:
    for n in range(1, 200):
        at = START + n * STEP
        for symbol in SYMBOLS:
            yield Quote(symbol, 100.0, 10.0 + n % 2, 100.1, 10.0, at)
            yield Trade(symbol, 100.0 + n % 3 / 100, 1.0, at)


class House:
    """Everything from the exchange to the quotes actor; `published` is the log."""

    def __init__(self) -> None:
        self.published: list[Envelope] = []
        self._news = asyncio.Event()
        self.failures: list[ActorFailed] = []
        self.clock = ManualClock(START)
        settings = ExchangeSettings(assets=assets(SYMBOLS))
        history = GeneratedMarket("calm", 1, SYMBOLS, START, 30).history_bars
        exchange = Exchange(settings, session_days("2026-02-02", "2026-03-31"), seed=1)
        world = World(exchange, scripted(), start_ns=START, history=history)
        self.alpaca = LocalAlpaca(world)
        self.network = SimulatorNetwork(self.alpaca, self.clock, is_paced=False)
        self.bus = Bus(self.clock, self, WIRING)
        core = QuotesCore(QuotesSettings(symbols=SYMBOLS, bar_spans_s=(60, 300)))
        self.actor = Actor("quotes", core, self.bus, self.failures.append)
        keys = self.alpaca.settings.keys
        feed = FeedSettings(
            symbols=SYMBOLS,
            key_id=keys.key_id,
            secret_key=keys.secret_key,
            channels=("quotes", "trades", "bars", "statuses"),
            warmup=tuple((symbol, span, 20) for symbol in SYMBOLS for span in (60, 300)),
            back_off_s_min=0.001,
        )
        self.feed = AlpacaFeed(self.network, self.clock, self.bus, feed, random.Random(1))

    def append(self, envelope: Envelope) -> None:
        self.published.append(envelope)
        self._news.set()

    def of(self, kind: type[Message]) -> list[Any]:
        return [
            envelope.message for envelope in self.published if isinstance(envelope.message, kind)
        ]

    async def until(self, kind: type[Message], count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()

    async def play(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(STEP)
            self.network.settle()
            await self.until(Quote, len(SYMBOLS) * (self.clock.now() - START) // STEP)


async def test_the_whole_way_from_the_exchange_to_marks_and_bars() -> None:
    system = House()
    actor = asyncio.create_task(system.actor.run())
    system.bus.publish("daemon", RunStarted("g", "1", "b", "c", "mock"))
    feed = asyncio.create_task(system.feed.run())
    try:
        await system.until(FeedConnected, 2)
        assert len(system.of(CalendarRead)) == 1
        assert [read.bars for read in system.of(HistoryRead)] == [40, 40]
        await system.play(65)
        await system.until(Bar, 82)
        await system.until(Mark, 130)
    finally:
        for task in (feed, actor):
            task.cancel()
        await asyncio.gather(feed, actor, return_exceptions=True)
        await system.network.close()
    assert system.failures == []
    assert len(system.of(Mark)) == 2 * 65
    assert system.of(SessionChanged) != []
    live = [bar for bar in system.of(Bar) if not bar.is_history and bar.span_s == 60]
    assert sorted(bar.symbol for bar in live) == list(SYMBOLS)
    assert all((bar.opened_at, bar.high) == (START, 100.02) for bar in live)
    assert sum(system.feed.handler.quote_filter.counts.values()) == 0
    assert system.feed.handler.unread == 0


async def test_a_cut_socket_comes_back() -> None:
    system = House()
    feed = asyncio.create_task(system.feed.run())
    try:
        await system.until(FeedConnected, 2)
        await system.play(3)
        system.alpaca.faults.arm(SimulatedFault(fault="close", socket="data", code=1006))
        await system.until(FeedConnected, 4)
        await system.play(3)
    finally:
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)
        await system.network.close()
    assert len(system.of(Quote)) == 12
