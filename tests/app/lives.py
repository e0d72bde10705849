"""Several lives of one system over one market, in virtual time: it may stop, crash, lose its database, be halted.

`virtual.play` records one whole session; here a test holds the strings while the session goes on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from tradingd.app import endpoints as ends_module
from tradingd.app.system import TradingSystem
from tradingd.config import load
from tradingd.config.mapping import core_settings, warmup_of
from tradingd.instruments.calendar import ns_of
from tradingd.instruments.money import round_limit
from tradingd.log.memory_store import MemoryStore
from tradingd.log.memory_tape import MemoryTape
from tradingd.log.recovery import recover
from tradingd.messages import (
    AlertRaised,
    Ask,
    Core,
    Envelope,
    Level,
    LevelChanged,
    Mark,
    Message,
    OperatorAsked,
    OperatorOrder,
    OrderApproved,
    OrderSent,
    Role,
    RunStarted,
    RunStopped,
    Side,
)
from tradingd.runtime.ports import Clock
from tradingd.runtime.routing import ANYONE_PUBLISHES
from tradingd.runtime.virtual_loop import VirtualClock, VirtualLoop
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.network import SimulatorNetwork
from tradingd.wiring import OBSERVED, WIRING, CoreSettings, build_cores

M = TypeVar("M", bound=Message)
CONFIG = Path(__file__).parents[2] / "config"
LOOK_S = 0.02
HEARD_MAX = 10_000_000

Tamper = Callable[[dict[str, Core]], None]
Retell = Callable[[CoreSettings], CoreSettings]


def keep_virtual_time(system: TradingSystem, clock: Clock) -> None:
    """Show the heartbeat monitor no clock of this machine: a neighbor that holds the core is no step of it."""
    system.heartbeat._wall_ns = clock.now
    system.heartbeat._offset = clock.now() - clock.monotonic()


class Town:
    """A market and a broker that outlive the houses in it."""

    def __init__(
        self,
        loop: VirtualLoop,
        seed: int,
        folder: Path,
        *,
        config: str = "mock.toml",
        start: str = "09:30",
        minutes: int = 60,
        retell: Retell = lambda settings: settings,
    ) -> None:
        self.settings = load(CONFIG / config)
        self.core_settings = retell(core_settings(self.settings))
        begin = ns_of("2024-03-05", start)
        self.clock = VirtualClock(loop, begin)
        mock = self.settings.mock
        simulated = SimulatorSettings(
            scenario=mock.scenario,
            seed=seed,
            start=begin,
            minutes=minutes,
            symbols=self.settings.quotes.symbols,
            exchange=ExchangeSettings(cash_usd=mock.cash, latency_ms=20),
        )
        self.world = build_world(simulated)
        self.exchange = self.world.exchange
        self.halt_file = folder / "HALT"
        self.store = MemoryStore()
        self.seed = seed
        self._alpaca = LocalAlpaca(self.world, simulated.wire)
        self._keys = (simulated.wire.keys.key_id, simulated.wire.keys.secret_key)

    async def live(self, tamper: Tamper | None = None) -> Life:
        """Start a system on whatever the earlier ones left behind."""
        cores = build_cores(self.core_settings)
        if tamper is not None:
            tamper(cores)
        rng = random.Random(self.seed)
        network = SimulatorNetwork(self._alpaca, self.clock)
        warmup = warmup_of(self.core_settings)
        endpoints = ends_module._local(self.settings, warmup, "simulator", self.clock, self._keys)
        recovered = await recover(self.store, cores, WIRING, rng, -1)
        system = TradingSystem(
            cores,
            recovered,
            endpoints,
            store=self.store,
            tape=MemoryTape(),
            network=network,
            rng=rng,
            halt_file=self.halt_file,
        )
        keep_virtual_time(system, self.clock)
        for envelope in await self.store.read():
            system.broker.apply(envelope)
        return Life(self, system, network, recovered.instance_id)

    def lose_database(self) -> None:
        """Leave the next life without a log."""
        self.store = MemoryStore()

    def at(self, time: str) -> float:
        """Return the market seconds until a time of the day."""
        return (ns_of("2024-03-05", time) - self.clock.now()) / 1e9


class Life:
    """One run of the system, started."""

    def __init__(
        self, town: Town, system: TradingSystem, network: SimulatorNetwork, instance_id: str
    ) -> None:
        self.town = town
        self.system = system
        self.instance_id = instance_id
        self._network = network
        self._watch = system.bus.watch("life", OBSERVED | ANYONE_PUBLISHES, HEARD_MAX)
        self._log: list[Envelope] = []
        system.start()
        system.bus.publish("daemon", RunStarted(instance_id, "run", "test", "", "mock"))
        system.open_market()

    @property
    def log(self) -> list[Envelope]:
        """All that was said but the market's flood."""
        while not self._watch.empty():
            self._log.append(self._watch.get_nowait())
        return self._log

    def published(self, kind: type[M], after_seq: int = -1) -> list[M]:
        """Return all messages of one type, in order."""
        return [e.message for e in self.log if isinstance(e.message, kind) and e.seq > after_seq]

    @property
    def level(self) -> Level:
        """The level the supervisor said last; before its first word nothing may be entered."""
        emitted = self.published(LevelChanged)
        return emitted[-1].level if emitted else Level.NO_ENTRIES

    @property
    def causes(self) -> tuple[str, ...]:
        """Its causes."""
        emitted = self.published(LevelChanged)
        return emitted[-1].causes if emitted else ()

    def is_at(self, level: Level) -> bool:
        """Tell whether the system is at a level now."""
        return self.level is level

    def alerts(self) -> list[str]:
        """The kinds of all alerts."""
        return [alert.kind for alert in self.published(AlertRaised)]

    def entries_sent(self, after_seq: int = -1) -> list[str]:
        """Return the opening orders that left after an event."""
        entries = {o.order_id for o in self.published(OrderApproved) if o.order.role is Role.ENTRY}
        return [o.order_id for o in self.published(OrderSent, after_seq) if o.order_id in entries]

    def publish(self, source: str, message: Message) -> int:
        """Publish, and return its number."""
        return self.system.bus.publish(source, message).seq

    def ask(self, ask: Ask, reason: str = "because", target: str = "") -> int:
        """Ask as a person would."""
        return self.publish("control", OperatorAsked(ask, "ada", reason, target))

    def order(
        self, n: int, symbol: str, quantity: str, off_pct: str, role: Role = Role.ENTRY
    ) -> int:
        """Order as a person would, so far from the middle: below it to buy, above it to sell."""
        mark = next(e for e in reversed(self.published(Mark)) if e.symbol == symbol)
        middle = (Decimal(repr(mark.bid)) + Decimal(repr(mark.ask))) / 2
        side = Side.BUY if role is Role.ENTRY else Side.SELL
        limit = round_limit(symbol, middle * (1 + Decimal(off_pct) / 100), side)
        intent_id = f"{self.instance_id}-o-operator-{n}"
        amount = Decimal(quantity)
        return self.publish(
            "control",
            OperatorOrder(intent_id, symbol, side, role, amount, limit, "ada", "because"),
        )

    async def until(self, is_so: Callable[[], bool], within_s: float) -> float:
        """Wait until something is so; returns how long it took."""
        began = self.town.clock.monotonic()
        async with asyncio.timeout(within_s):
            while not is_so():  # noqa: ASYNC110 - in virtual time a look costs nothing
                await asyncio.sleep(LOOK_S)
        return (self.town.clock.monotonic() - began) / 1e9

    async def crash(self) -> None:
        """End at once: nothing is finished, what is not durable is lost."""
        tasks = [*self.system._tasks, self.system._writer]
        for task in tasks:
            assert task is not None
            task.cancel()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
        await self._network.close()

    async def stop(self, within_s: float = 120) -> None:
        """End in order."""
        self.ask(Ask.STOP)
        await self.until(lambda: "stopped" in self.causes, within_s)
        self.publish("daemon", RunStopped("run", is_flat=True, reason="test"))
        await self.system.stop()
        await self._network.close()


def in_town(seed: int, story: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    """Let a story happen in virtual time."""
    loop = VirtualLoop(seed)

    async def playing() -> None:
        await story(loop)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(playing())


def without_strategies(settings: CoreSettings) -> CoreSettings:
    """Leave the trading to the test."""
    return replace(settings, strategies=())
