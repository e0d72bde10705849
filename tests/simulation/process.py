"""One life of the daemon: recovered from the disk, run over ports that die with it, buried without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.simulation import environment
from tests.simulation.crash import Crashable
from tests.simulation.disk import Disk, ProcessLog, ProcessTape
from tests.simulation.wire import TroubledNetwork
from tradingd.app.system import TradingSystem
from tradingd.log.recovery import recover
from tradingd.messages import MARKET_DATA, Core, Envelope, EquityMarked, Message, RunStarted
from tradingd.runtime.ports import Clock
from tradingd.strategy.protocol import Strategy
from tradingd.supervisor.heartbeat import HeartbeatMonitor
from tradingd.supervisor.latch import HaltLatch
from tradingd.wiring import WIRING, CoreSettings, build_cores

MARKET_FLOOD = MARKET_DATA | {EquityMarked}
"""Words that are no step of their own: there are too many, and nothing follows from them outside."""

TURNS_TO_BEGIN = 4
"""Turns of the loop within which every task has begun."""

BEAT_S = 5.0
"""Between two heartbeats: in virtual time nothing stalls, so that they are asked for less often."""

Hear = Callable[[Envelope], None]


class SimulatedSystem(TradingSystem):
    """The system, with strategies that no wall clock looks at."""

    def _timed(self, name: str, strategy: Strategy) -> Strategy:
        del name
        return strategy


class Process(Crashable):
    """From recovery to the end, whichever comes."""

    def __init__(self, number: int, settings: CoreSettings, disk: Disk, clock: Clock) -> None:
        super().__init__()
        self.number = number
        self.system: SimulatedSystem | None = None
        self.cores: dict[str, Core] = {}
        self.is_started = False
        self._settings_given = settings
        self._disk = disk
        self._clock = clock

    async def start(
        self, network: TroubledNetwork, rng: Random, halt_file: Path, handle: Hear, per_min_max: int
    ) -> None:
        """Recover and run; raises `SimulatedCrash` when the crash comes before that is done."""
        self.cores = build_cores(self._settings_given)
        store, tape = ProcessLog(self._disk, self), ProcessTape(self._disk, self)
        await store.open()
        newest = self._disk.tape[-1].seq if self._disk.tape else -1
        recovered = await recover(store, self.cores, WIRING, rng, newest)
        system = SimulatedSystem(
            self.cores,
            recovered,
            environment.endpoints(self._clock, per_min_max),
            store=store,
            tape=tape,
            network=network,
            rng=rng,
        )
        latch = HaltLatch(halt_file, self._clock.now)
        system.heartbeat = HeartbeatMonitor(
            system.bus, self._clock, self._clock.now, latch=latch, heartbeat_s=BEAT_S
        )
        for envelope in await store.read():
            system.broker.apply(envelope)
        self.system = system
        self._listen(handle)
        system.start()
        run = RunStarted(recovered.instance_id, f"life{self.number}", "simulation", "", "mock")
        system.bus.publish("daemon", run)
        system.open_market()
        self.is_started = True

    def publish(self, message: Message) -> bool:
        """Have a person say something; False when nobody is there to hear it."""
        if self.is_dead or self.system is None or not self.is_started:
            return False
        self.system.bus.publish("control", message)
        return True

    async def bury(self, network: TroubledNetwork) -> None:
        """Unwind what is left of a dead life; the broker sees its sockets end."""
        await unwind()
        await network.cut()
        self._disk.crash()

    def _listen(self, handle: Hear) -> None:
        assert self.system is not None
        bus = self.system.bus
        publish = bus.publish

        def received(source: str, message: Message) -> Envelope:
            if type(message) not in MARKET_FLOOD:
                self.step()
            else:
                self.look()
            envelope = publish(source, message)
            handle(envelope)
            return envelope

        bus.publish = received  # type: ignore[method-assign]  # the one place every word passes


async def unwind() -> None:
    """Cancel every task of the system, in the order they were made."""
    for _ in range(TURNS_TO_BEGIN):  # a coroutine canceled unbegun is one that was never awaited
        await asyncio.sleep(0)
    me = asyncio.current_task()
    tasks = [
        task
        for task in asyncio.all_tasks()
        if task is not me and not task.get_name().startswith("simulator-")
    ]
    tasks.sort(key=_age)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _age(task: asyncio.Task[object]) -> tuple[str, int]:
    name, _, number = task.get_name().rpartition("-")
    return (name, int(number)) if number.isdecimal() else (task.get_name(), 0)
