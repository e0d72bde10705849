"""A whole session in virtual time: the real system, the real edges, a local Alpaca, no sockets, no threads."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from tests.app.lives import keep_virtual_time
from tradingd.app import endpoints as ends_module
from tradingd.app.session import is_down
from tradingd.app.system import TradingSystem
from tradingd.config import load
from tradingd.config.mapping import core_settings, warmup_of
from tradingd.instruments.calendar import ns_of
from tradingd.log.memory_store import MemoryStore
from tradingd.log.memory_tape import MemoryTape
from tradingd.log.recovery import recover
from tradingd.log.replay import ReplayVerdict, replay
from tradingd.messages import (
    Ask,
    BrokerSnapshot,
    Core,
    Envelope,
    LevelChanged,
    Message,
    OperatorAsked,
    RunStarted,
    RunStopped,
)
from tradingd.runtime.virtual_loop import VirtualClock, VirtualLoop
from tradingd.simulator.exchange.orders import TERMINAL
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.network import SimulatorNetwork
from tradingd.wiring import WIRING, CoreSettings, build_cores

M = TypeVar("M", bound=Message)
ROOT = Path(__file__).parents[2]
MINUTE_S = 60
STOP_S_MAX = 600


@dataclass(frozen=True)
class Recorded:
    """What a session left behind."""

    log: list[Envelope]
    tape: list[Envelope]
    settings: CoreSettings
    account_equity: Decimal
    account_positions: int
    account_orders: int

    def published(self, kind: type[M]) -> list[M]:
        """Return all messages of one type, in order."""
        return [e.message for e in self.log if isinstance(e.message, kind)]


Tamper = Callable[[dict[str, Core]], None]
Retell = Callable[[CoreSettings], CoreSettings]
Act = tuple[float, OperatorAsked]
"""Market seconds after the start, and what a person asks for then."""


def again(recorded: Recorded) -> list[ReplayVerdict]:
    """Decide a recorded session again, actor by actor."""
    return replay(recorded.log, recorded.tape, lambda _: build_cores(recorded.settings), WIRING)


def play(
    seed: int,
    minutes: int,
    scenario: str = "calm",
    tamper: Tamper | None = None,
    *,
    retell: Retell = lambda settings: settings,
    acts: Sequence[Act] = (),
) -> Recorded:
    """Record one session of `minutes` market minutes under `seed`, stopped flat.

    `retell` changes what the actors are told; `acts` are done at their times.
    """
    loop = VirtualLoop(seed)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(
            _session(loop, seed, minutes, scenario, tamper=tamper, retell=retell, acts=acts)
        )


async def _session(
    loop: VirtualLoop,
    seed: int,
    minutes: int,
    scenario: str,
    *,
    tamper: Tamper | None,
    retell: Retell,
    acts: Sequence[Act],
) -> Recorded:
    settings = load(ROOT / "config" / "mock.toml")
    given = retell(core_settings(settings))
    start = ns_of("2024-03-05", "09:30")
    clock = VirtualClock(loop, start)
    simulated = SimulatorSettings(
        scenario=scenario,
        seed=seed,
        start=start,
        minutes=minutes + STOP_S_MAX // MINUTE_S,
        symbols=settings.quotes.symbols,
        exchange=ExchangeSettings(cash_usd=settings.mock.cash, latency_ms=20),
    )
    world = build_world(simulated)
    alpaca = LocalAlpaca(world, simulated.wire)
    network = SimulatorNetwork(alpaca, clock)
    keys = (simulated.wire.keys.key_id, simulated.wire.keys.secret_key)
    endpoints = ends_module._local(settings, warmup_of(given), "simulator", clock, keys)
    cores = build_cores(given)
    if tamper is not None:
        tamper(cores)
    store, tape = MemoryStore(), MemoryTape()
    recovered = await recover(store, cores, WIRING, random.Random(seed), -1)
    system = TradingSystem(
        cores,
        recovered,
        endpoints,
        store=store,
        tape=tape,
        network=network,
        rng=random.Random(seed),
    )
    keep_virtual_time(system, clock)
    news = system.bus.watch("test", (LevelChanged, BrokerSnapshot), 100_000)
    system.start()
    system.bus.publish("daemon", RunStarted(recovered.instance_id, "run", "test", "", "mock"))
    system.open_market()
    begun = clock.now()
    for seconds, asked in acts:
        await asyncio.sleep(seconds - (clock.now() - begun) / 1e9)
        system.bus.publish("control", asked)
    await asyncio.sleep(minutes * MINUTE_S - (clock.now() - begun) / 1e9)
    system.bus.publish("control", OperatorAsked(Ask.STOP, "test", "the session ends"))
    async with asyncio.timeout(STOP_S_MAX):
        while True:
            message = (await news.get()).message
            if isinstance(message, LevelChanged) and is_down(message):
                break
    system.bus.publish("daemon", RunStopped("run", is_flat=True, reason="test"))
    await system.stop()
    now = clock.now()
    account = world.exchange.account(now)
    recorded = Recorded(
        log=await store.read(),
        tape=list(tape.read()),
        settings=given,
        account_equity=account.equity,
        account_positions=len(world.exchange.positions()),
        account_orders=sum(o.status not in TERMINAL for o in world.exchange.orders()),
    )
    await network.close()
    return recorded
