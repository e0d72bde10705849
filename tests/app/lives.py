"""Several lives of one house over one market, in virtual time: it may stop, crash, lose its database, be halted.

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
from tradingd.app.system import House
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
from tradingd.runtime.routing import ANYONE_SAYS
from tradingd.runtime.virtual_loop import VirtualClock, VirtualLoop
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.network import SimulatorNetwork
from tradingd.wiring import WATCHERS_HEAR, WIRING, CoreSettings, build_cores

M = TypeVar("M", bound=Message)
CONFIG = Path(__file__).parents[2] / "config"
LOOK_S = 0.02
HEARD_MAX = 10_000_000

Tamper = Callable[[dict[str, Core]], None]
Retell = Callable[[CoreSettings], CoreSettings]


def keep_virtual_time(house: House, clock: Clock) -> None:
    """Show the pulse no clock of this machine: a neighbor that holds the core is no step of it."""
    house.pulse._wall_ns = clock.now
    house.pulse._offset = clock.now() - clock.monotonic()


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
        retell: Retell = lambda told: told,
    ) -> None:
        self.settings = load(CONFIG / config)
        self.told = retell(core_settings(self.settings))
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
        """Start a house on whatever the earlier ones left behind."""
        cores = build_cores(self.told)
        if tamper is not None:
            tamper(cores)
        rng = random.Random(self.seed)
        network = SimulatorNetwork(self._alpaca, self.clock)
        warmup = warmup_of(self.told)
        ends = ends_module._local(self.settings, warmup, "simulator", self.clock, self._keys)
        recovered = await recover(self.store, cores, WIRING, rng, -1)
        house = House(
            cores,
            recovered,
            ends,
            store=self.store,
            tape=MemoryTape(),
            network=network,
            rng=rng,
            halt_file=self.halt_file,
        )
        keep_virtual_time(house, self.clock)
        for envelope in await self.store.read():
            house.broker.apply(envelope)
        return Life(self, house, network, recovered.genesis)

    def lose_database(self) -> None:
        """Leave the next life without a log."""
        self.store = MemoryStore()

    def at(self, time: str) -> float:
        """Return the market seconds until a time of the day."""
        return (ns_of("2024-03-05", time) - self.clock.now()) / 1e9


class Life:
    """One run of the house, started."""

    def __init__(self, town: Town, house: House, network: SimulatorNetwork, genesis: str) -> None:
        self.town = town
        self.house = house
        self.genesis = genesis
        self._network = network
        self._watch = house.bus.watch("life", WATCHERS_HEAR | ANYONE_SAYS, HEARD_MAX)
        self._log: list[Envelope] = []
        house.start()
        house.bus.publish("daemon", RunStarted(genesis, "run", "test", "", "mock"))
        house.open_market()

    @property
    def log(self) -> list[Envelope]:
        """All that was said but the market's flood."""
        while not self._watch.empty():
            self._log.append(self._watch.get_nowait())
        return self._log

    def said(self, kind: type[M], after_seq: int = -1) -> list[M]:
        """Return all messages of one type, in order."""
        return [e.message for e in self.log if isinstance(e.message, kind) and e.seq > after_seq]

    @property
    def level(self) -> Level:
        """The level the supervisor said last; before its first word nothing may be entered."""
        said = self.said(LevelChanged)
        return said[-1].level if said else Level.NO_ENTRIES

    @property
    def causes(self) -> tuple[str, ...]:
        """Its causes."""
        said = self.said(LevelChanged)
        return said[-1].causes if said else ()

    def is_at(self, level: Level) -> bool:
        """Tell whether the house is at a level now."""
        return self.level is level

    def alerts(self) -> list[str]:
        """The kinds of all alerts."""
        return [alert.kind for alert in self.said(AlertRaised)]

    def entries_sent(self, after_seq: int = -1) -> list[str]:
        """Return the opening orders that left after an event."""
        entries = {o.order_id for o in self.said(OrderApproved) if o.order.role is Role.ENTRY}
        return [o.order_id for o in self.said(OrderSent, after_seq) if o.order_id in entries]

    def say(self, source: str, message: Message) -> int:
        """Publish, and return its number."""
        return self.house.bus.publish(source, message).seq

    def ask(self, ask: Ask, reason: str = "because", target: str = "") -> int:
        """Ask as a person would."""
        return self.say("control", OperatorAsked(ask, "ada", reason, target))

    def order(
        self, n: int, symbol: str, quantity: str, off_pct: str, role: Role = Role.ENTRY
    ) -> int:
        """Order as a person would, so far from the middle: below it to buy, above it to sell."""
        mark = next(e for e in reversed(self.said(Mark)) if e.symbol == symbol)
        middle = (Decimal(repr(mark.bid)) + Decimal(repr(mark.ask))) / 2
        side = Side.BUY if role is Role.ENTRY else Side.SELL
        limit = round_limit(symbol, middle * (1 + Decimal(off_pct) / 100), side)
        intent_id = f"{self.genesis}-o-operator-{n}"
        amount = Decimal(quantity)
        return self.say(
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
        tasks = [*self.house._tasks, self.house._writer]
        for task in tasks:
            assert task is not None
            task.cancel()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
        await self._network.close()

    async def stop(self, within_s: float = 120) -> None:
        """End in order."""
        self.ask(Ask.STOP)
        await self.until(lambda: "stopped" in self.causes, within_s)
        self.say("daemon", RunStopped("run", is_flat=True, reason="test"))
        await self.house.stop()
        await self._network.close()


def in_town(seed: int, story: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    """Let a story happen in virtual time."""
    loop = VirtualLoop(seed)

    async def told() -> None:
        await story(loop)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(told())


def without_strategies(told: CoreSettings) -> CoreSettings:
    """Leave the trading to the test."""
    return replace(told, strategies=())
