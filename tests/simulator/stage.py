"""A scripted market for tests over real sockets: quotes five times a second, sizes that never suffice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from tradingd.instruments.calendar import ns_of
from tradingd.messages import Quote, Trade
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.market.events import MINUTE, MarketEvent
from tradingd.simulator.market.generator import GeneratedMarket
from tradingd.simulator.market.universe import assets
from tradingd.simulator.server import ScenarioStage, SimulatorServer, SimulatorSettings
from tradingd.simulator.settings import calendar_around
from tradingd.simulator.wire.settings import WireSettings
from tradingd.simulator.world import World

START = ns_of("2026-03-04", "10:00")
SYMBOLS = ("ACMX", "ZORB", "BTC/USD")
BID, ASK, SIZE = 100.0, 100.1, 100.0
STEP = 200_000_000
DEADLINE_S = 60.0
"""Real seconds until a test gives up waiting."""
SETTINGS = SimulatorSettings(
    speed=20.0, wire=WireSettings(requests_per_minute_max=0, data_requests_per_minute_max=0)
)


def scripted(minutes: int = 30) -> Iterator[MarketEvent]:
    """Yield a flat market whose shown size changes each time, so that it is fresh each time."""
    for n in range(minutes * 300):
        at = START + n * STEP
        for symbol in SYMBOLS:
            size = SIZE + n % 2
            yield Quote(symbol, BID, size, ASK, size, at)
            if n % 5 == 0:
                yield Trade(symbol, BID, 1.0, at)


def scripted_stage() -> ScenarioStage:
    """Return a world of the scripted market, with two days of generated history before it."""
    settings = ExchangeSettings(assets=assets(SYMBOLS), depth_levels=0)
    history = GeneratedMarket("calm", 1, SYMBOLS, START, 30).history_bars
    exchange = Exchange(settings, calendar_around(START), seed=1)
    world = World(exchange, scripted(), start_ns=START, history=history)
    return ScenarioStage(world, START, START + 30 * MINUTE)


@asynccontextmanager
async def serving(**changes: Any) -> AsyncIterator[tuple[SimulatorServer, int]]:
    """Run a server of the scripted market."""
    server = SimulatorServer(replace(SETTINGS, **changes), scripted_stage())
    port = await server.start()
    try:
        yield server, port
    finally:
        await server.stop()


async def do(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call the blocking client beside the loop that runs the server."""
    return await asyncio.to_thread(call, *args, **named)


@asynccontextmanager
async def running(stream: Any) -> AsyncIterator[None]:
    """Run an alpaca-py stream until the block ends."""
    task = asyncio.create_task(stream._run_forever())
    try:
        yield
    finally:
        while not task.done():  # its `wait_for` swallows a cancellation that meets a message
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
        await stream.close()


class Heard:
    """What a stream's handler heard; tests wait for it, never sleep."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = asyncio.Event()

    async def handle(self, item: Any) -> None:
        """Keep an item; the handler a client calls."""
        self.items.append(item)
        self._changed.set()

    async def until(self, is_enough: Callable[[list[Any]], bool]) -> list[Any]:
        """Wait until what was heard is enough."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_enough(self.items):
                self._changed.clear()
                await self._changed.wait()
        return self.items
