"""One seed: lives one after another under one broker and one clock, the script's troubles, and the end.

The end is a proof of its own: troubles over, the system must come to itself, its books equal the broker's,
close everything when asked, and leave a log from which all of it can be decided again.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from tests.simulation.crash import SimulatedCrash
from tests.simulation.disk import Disk
from tests.simulation.environment import CANARY, START_NS, lay
from tests.simulation.fault_injector import FaultInjector
from tests.simulation.fault_schedule import FaultScheduler
from tests.simulation.invariants import rest
from tests.simulation.invariants.finding import Finding
from tests.simulation.invariants.system import Invariants
from tests.simulation.process import Process, unwind
from tests.simulation.script import HOUR_S, Script
from tests.simulation.wire import TroubledNetwork
from tradingd.messages import (
    Ask,
    BooksAgreed,
    Envelope,
    Level,
    Message,
    OperatorAsked,
    Quote,
    RunStopped,
)
from tradingd.runtime.ports import Clock
from tradingd.runtime.virtual_loop import VirtualClock, VirtualLoop
from tradingd.simulator.wire.network import SimulatorNetwork

DOWN_S = (0.2, 40.0)
"""Until whoever looks after the daemon has it running again."""
CALM_S_MAX = 300.0
"""From the last trouble until the system is back at NORMAL."""
DOOMED_S = 15.0
"""A life that is to die may outlast the storm by so much: long enough for its recovery."""
REST_S_MAX = 300.0
STOP_S_MAX = 600.0
LIVES_MAX = 200
_ENCODE = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class Result:
    """What one seed came to."""

    seed: int
    findings: list[Finding] = field(default_factory=list)
    orders: int = 0
    parents: int = 0
    fills: int = 0
    quotes: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    crashes: int = 0
    steps: int = 0
    """At which the last of its lives could have crashed before the storm was over."""
    digest: str = ""


def play(script: Script, config: Path, *, is_audited: bool = True) -> Result:
    """Play one script to its end, or to the first broken law."""
    loop = VirtualLoop(script.seed)
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        # A process that is killed awaits nothing any more; only here does Python see it.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        session = Session(script, config, loop, Path(folder) / "HALT")
        return runner.run(session.run(is_audited=is_audited))


class Session:
    """The stage: what lives in it dies and is born again, the broker and the disk stay."""

    def __init__(self, script: Script, config: Path, loop: VirtualLoop, halt_file: Path) -> None:
        self.life: Process | None = None
        self.network: TroubledNetwork | None = None
        self.disk = Disk(Random(f"disk:{script.seed}"))
        self.weather = FaultInjector(Random(f"weather:{script.seed}"))
        self.clock: Clock = VirtualClock(loop, START_NS)
        self.doomed: list[int] = []
        self.is_restart_wanted = False
        self._script = script
        self._halt_file = halt_file
        self._loop = loop
        self._ground = lay(script, config)
        self._laws = Invariants(
            self._ground.core_settings, self.disk, self.clock, script.requests_per_min
        )
        self.alpaca = self._ground.alpaca
        self.excuses = self._laws.excuses
        self._inner = SimulatorNetwork(self.alpaca, self.clock)
        self._storm = FaultScheduler(script, self)
        self._result = Result(script.seed)
        self._lives = 0
        self._rng = Random(f"session:{script.seed}")
        self._agreed = 0
        loop.set_exception_handler(self._unretrieved)

    # What storm and people see.

    def publish(self, message: Message) -> bool:
        """Say something to the system; False when nobody is there to hear it."""
        try:
            return self.life is not None and self.life.publish(message)
        except SimulatedCrash:
            return False

    def is_held(self) -> bool:
        """Tell whether only a person can let the system go on."""
        level = self._laws.level
        return level.is_latched or level.level is Level.HALTED or "operator" in level.causes

    def is_apart(self) -> bool:
        """Tell whether our books and the broker's differ, for a reason that people know."""
        return "mismatch" in self._laws.level.causes and self.excuses.is_any

    def causes(self) -> tuple[str, ...]:
        """Return what holds the system."""
        return self._laws.level.causes

    async def run(self, *, is_audited: bool) -> Result:
        """Do the whole session."""
        self._storm.start()
        await self._live_until(self._script.hours * HOUR_S)
        self._result.steps = 0 if self.life is None else self.life.steps
        await self._storm.end()
        if self._is_sound():
            await self._finish(is_audited=is_audited)
        await unwind()
        await self._inner.close()
        return self._settings_given()

    # Lives.

    async def _live_until(self, end_s: float) -> None:
        while self._is_sound():
            life = await self._born()
            left_s = end_s - self._now_s()
            if life is not None and not life.is_dead:
                if life.is_doomed:
                    left_s = max(left_s, DOOMED_S)
                if left_s <= 0:
                    return
                try:
                    async with asyncio.timeout(left_s):
                        await life.ended.wait()
                except TimeoutError:
                    if not life.is_dead:
                        return
            await self._end_process()
            if self._lives > LIVES_MAX:
                raise AssertionError("the house never lives long enough")
            await asyncio.sleep(self._rng.uniform(*DOWN_S))

    async def _born(self) -> Process | None:
        self._lives += 1
        life = self.life = Process(self._lives, self._ground.core_settings, self.disk, self.clock)
        if self.doomed:
            life.arm(self.doomed.pop(0))
        self._laws.rewind(self.disk.rows)
        self.network = TroubledNetwork(
            self._inner, self.weather, life,
            arrives=self._laws.arrives, leaves=self._laws.leaves, asks=self._laws.asks,
        )  # fmt: skip
        try:
            rng = Random(f"life:{self._script.seed}:{self._lives}")
            await life.start(
                self.network, rng, self._halt_file, self._handle, self._script.requests_per_min
            )
        except SimulatedCrash:
            return None
        return life

    async def _end_process(self) -> None:
        assert self.life is not None
        assert self.network is not None
        is_restart = self.is_restart_wanted and not self.life.is_dead
        if not is_restart or not await self._is_stopped_in_order(self.life):
            self._result.crashes += self._is_sound()
        self.life.die()
        self._measure(self.life)
        await self.life.bury(self.network)
        self.life = None

    async def _is_stopped_in_order(self, life: Process) -> bool:
        """Stop a system as a restart does; False when it dies of something else meanwhile."""
        assert life.system is not None
        self.is_restart_wanted = False
        self.weather.fired["restart"] += 1
        try:
            await life.system.stop()
        except SimulatedCrash:
            return False
        return True

    def _handle(self, envelope: Envelope) -> None:
        self._laws.handle(envelope)
        if type(envelope.message) is Quote:
            self._result.quotes += 1
        elif type(envelope.message) is BooksAgreed:
            self._agreed = envelope.at
        if self._laws.findings.all and self.life is not None:
            self.life.ended.set()  # what is broken need not go on

    # The end.

    async def _finish(self, *, is_audited: bool) -> None:
        life, findings = self.life, self._laws.findings
        assert life is not None
        assert life.system is not None
        if not await self._until(self._is_well, CALM_S_MAX, nudge=self._storm.mend):
            findings.add("I14", f"not back to normal: {self._laws.level.causes}")
            return
        life.publish(OperatorAsked(Ask.PAUSE, "session", "a look at the books"))
        if not await self._until(self._is_at_rest, REST_S_MAX):
            findings.add("I14", "no rest: orders stay open, or the books do not agree")
            rest.every_order_ended(
                findings, self._laws.orders, self.alpaca.world.exchange, self.excuses
            )
            return
        self._compare()
        life.publish(OperatorAsked(Ask.STOP, "session", "the end"))
        if not await self._until(self._is_stopped, STOP_S_MAX):
            findings.add("I14", f"not down: {self._laws.level.causes}")
            return
        self._compare()
        exchange = self.alpaca.world.exchange
        findings.check(not exchange.positions(), "I14", "stopped and not flat")
        rest.every_order_ended(findings, self._laws.orders, exchange, self.excuses)
        life.system.bus.publish("daemon", RunStopped("end", is_flat=True, reason="end"))
        await life.system.stop()
        self._measure(life)
        settings, rows = self._ground.core_settings, self.disk.rows
        rest.same_state(findings, settings, rows, life.cores)
        if is_audited:
            rest.decides_again(findings, settings, rows, list(self.disk.tape))

    def _is_well(self) -> bool:
        return self._laws.level.level is Level.NORMAL

    def _is_at_rest(self) -> bool:
        """Tell whether no order is open anywhere and the books were compared since the last one ended."""
        exchange = self.alpaca.world.exchange
        orders = exchange.orders()
        latest = max((order.updated_at for order in orders), default=0)
        is_open = any(order.is_open for order in orders) or any(
            not record.is_terminal for record in self._laws.orders.records.values()
        )
        return not is_open and self._agreed > latest

    def _is_stopped(self) -> bool:
        return any(cause.partition(":")[0] == "stopped" for cause in self._laws.level.causes)

    def _compare(self) -> None:
        assert self.life is not None
        exchange, now = self.alpaca.world.exchange, self.clock.now()
        rest.equal_books(self._laws.findings, self.life.cores, exchange, now)

    async def _until(
        self, is_done: Callable[[], bool], seconds: float, nudge: Callable[[], None] | None = None
    ) -> bool:
        for _ in range(int(seconds)):
            if not self._is_sound() or is_done():
                return True
            if nudge is not None:
                nudge()
            await asyncio.sleep(1.0)
        return False

    # What is told.

    def _measure(self, life: Process) -> None:
        """I18 and I20: nothing overflowed in this life, and what it kept for a trace dump names no secret."""
        if life.system is None:
            return
        findings, bus = self._laws.findings, life.system.bus
        rest.keeps_secret(
            findings, "\n".join(life.system.broker.wire.trace.lines()).encode(), CANARY
        )
        findings.check(bus.full is None, "I18", f"{bus.full}")
        longest = max(mailbox.qsize() for mailbox in bus.mailboxes.values())
        findings.check(longest <= bus.mailbox_max, "I18", f"an inbox holds {longest}")

    def _is_sound(self) -> bool:
        return not self._laws.findings.all

    def _now_s(self) -> float:
        return (self.clock.now() - START_NS) / 1e9

    def _unretrieved(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if not _is_death(context.get("exception")):
            text = f"{context.get('message')}: {context.get('exception')!r}"
            self._laws.findings.add("I17", text)

    def _settings_given(self) -> Result:
        result, findings = self._result, self._laws.findings
        digest = hashlib.sha256()
        written = b"".join(map(_ENCODE, self.disk.rows))
        digest.update(written)
        digest.update(repr([str(each) for each in findings.all]).encode())
        rest.keeps_secret(findings, written, CANARY)
        result.digest = digest.hexdigest()[:16]
        result.findings = list(findings.all)
        exchange = self.alpaca.world.exchange
        result.orders = len(exchange.orders())
        result.parents = len(self._laws.orders.parents)
        result.fills = sum(each.activity_type == "FILL" for each in exchange.activities())
        result.faults = dict(self.weather.fired)
        return result


def _is_death(error: object) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_death, error.exceptions))
    return isinstance(error, SimulatedCrash)
