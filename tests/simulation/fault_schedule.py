"""Brings the script about: arms troubles, kills lives, and plays the people who trade, halt and resume."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from random import Random
from typing import Any, Protocol

from tests.simulation.disk import Disk
from tests.simulation.environment import START_NS, SYMBOLS
from tests.simulation.external_events import People, Place
from tests.simulation.fault_injector import FaultInjector
from tests.simulation.process import Process
from tests.simulation.script import EVENT_KINDS, Burst, Script, Trouble
from tests.simulation.wire import TroubledNetwork
from tradingd.messages import Ask, OperatorAsked, OperatorOrder, Role, Side

STORM = "simulator-storm"
SLOW_DISK_S = 12.0


class Stage(Place, Protocol):
    """What the storm falls upon."""

    life: Process | None
    network: TroubledNetwork | None
    disk: Disk
    weather: FaultInjector
    doomed: list[int]
    """Steps after which each of the lives to come dies."""
    is_restart_wanted: bool


class FaultScheduler:
    """One per session; its tasks belong to the world and not to the system."""

    def __init__(self, script: Script, stage: Stage) -> None:
        self._script = script
        self._stage = stage
        self._rng = Random(f"storm:{script.seed}")
        self._people = People(script.seed, stage)
        self._orders = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let it begin."""
        self._spawn(self._run())
        self._spawn(self._people.look_after())

    async def end(self) -> None:
        """Calm: nothing goes wrong from here on."""
        stage = self._stage
        if stage.life is not None:
            stage.life.spare()  # before anything is awaited: nobody would bury it
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._people.leave()
        stage.weather.clear()
        stage.disk.slow_s = 0.0
        stage.doomed.clear()
        stage.is_restart_wanted = False
        if stage.network is not None:
            stage.network.closed.clear()

    def mend(self) -> None:
        """Let the system go on where only a person can."""
        self._people.mend()
        if self._stage.is_held():
            self._stage.publish(OperatorAsked(Ask.RESUME, STORM, "the storm is over"))

    async def _run(self) -> None:
        events: list[Trouble | Burst] = [*self._script.troubles, *self._script.bursts]
        events.sort(key=lambda event: event.at_s)
        for event in events:
            wait_s = event.at_s - (self._stage.clock.now() - START_NS) / 1e9
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if isinstance(event, Burst):
                self._burst(event)
            else:
                await self._strike(event)

    async def _strike(self, trouble: Trouble) -> None:
        stage = self._stage
        match trouble.kind:
            case "crash":
                self._crash(int(trouble.amount))
            case "crash_again":
                stage.doomed.append(int(trouble.amount))
            case "restart":
                self._restart()
            case "halt":
                stage.weather.fired["halt"] += 1
                self._spawn(self._hold(trouble.amount))
            case "cut":
                stage.weather.fired["cut"] += 1
                await self._cut(trouble.where)
            case "no_socket":
                stage.weather.fired["no_socket"] += 1
                self._spawn(self._close(trouble))
            case "slow_disk":
                stage.weather.fired["slow_disk"] += 1
                self._spawn(self._slow(trouble.amount))
            case kind if kind in EVENT_KINDS:
                self._spawn(self._do(trouble))
            case _:
                stage.weather.arm(trouble)

    def _crash(self, steps: int) -> None:
        life = self._stage.life
        if life is not None and not life.is_dead:
            life.arm(steps)
        else:
            self._stage.doomed.append(steps)

    def _restart(self) -> None:
        life = self._stage.life
        if life is not None and life.is_started and not life.is_dead:
            self._stage.is_restart_wanted = True
            life.ended.set()

    async def _cut(self, kind: str) -> None:
        if self._stage.network is not None:
            await self._stage.network.cut(kind)

    async def _close(self, trouble: Trouble) -> None:
        network = self._stage.network
        if network is None:
            return
        network.closed.add(trouble.where)
        await network.cut(trouble.where)
        await asyncio.sleep(trouble.amount)
        network.closed.discard(trouble.where)

    async def _slow(self, seconds: float) -> None:
        self._stage.disk.slow_s = seconds
        await asyncio.sleep(SLOW_DISK_S)
        self._stage.disk.slow_s = 0.0

    async def _hold(self, seconds: float) -> None:
        await self._people.hold(Ask.HALT, seconds)

    async def _do(self, event: Trouble) -> None:
        self._stage.weather.fired[event.kind] += await self._people.do(event)

    def _burst(self, burst: Burst) -> None:
        instance_id = self._stage.disk.values.get("genesis")
        if instance_id is None:
            return
        rng = self._rng
        symbols = rng.choices(SYMBOLS[:4], k=rng.randint(1, 2))
        for _ in range(burst.orders):
            self._orders += 1
            is_exit = rng.random() < 0.2
            self._stage.publish(
                OperatorOrder(
                    intent_id=f"{instance_id}-o-operator-{self._orders}",
                    symbol=rng.choice(symbols),
                    side=Side.SELL if is_exit else Side.BUY,
                    role=Role.EXIT if is_exit else Role.ENTRY,
                    quantity=Decimal(rng.randint(5, 120)),
                    limit_price=None,
                    who="storm",
                    reason="burst",
                )
            )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=STORM))
