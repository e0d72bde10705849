"""Builds the system of a live run: cores into actors, edges beside them, one bus and one log under all.

Building and running are apart, so that a test can build the same system on other ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tradingd.broker.edge import AlpacaBroker
from tradingd.log.journal import Journal, JournalFailed
from tradingd.log.recovery import Recovered, save_checkpoint
from tradingd.messages import ActorFailed, Core
from tradingd.quotes.feed import AlpacaFeed
from tradingd.runtime.actor import Actor, run_edge
from tradingd.runtime.bus import Bus, MailboxFull
from tradingd.runtime.ports import LogStore, Network, Tape
from tradingd.runtime.timers import Timers
from tradingd.strategy.core import StrategyCore
from tradingd.strategy.protocol import Strategy
from tradingd.strategy.timed import Timed
from tradingd.supervisor.heartbeat import HeartbeatMonitor
from tradingd.supervisor.latch import HaltLatch
from tradingd.wiring import WIRING

if TYPE_CHECKING:
    from tradingd.app.endpoints import Endpoints


STRATEGY_NS_MAX = 250_000_000
"""Real time that one call of a strategy may take; a strategy that takes more is switched off."""


CHECKPOINT_REAL_S = 300.0
"""A crash costs the next start the facts of this long, and not those of the whole run."""

_QUIET_TRIES_MAX = 100
_QUIET_WAIT_REAL_S = 0.01


class TradingSystem:
    """Actors and edges of one run, from `start` to `stop`."""

    def __init__(
        self,
        cores: Mapping[str, Core],
        recovered: Recovered,
        endpoints: Endpoints,
        *,
        store: LogStore,
        tape: Tape,
        network: Network,
        rng: random.Random,
        halt_file: Path | None = None,
    ) -> None:
        self.store = store
        self.journal = Journal(store, tape, self._journal_failed)
        self.bus = Bus(
            endpoints.clock,
            self.journal,
            WIRING,
            next_seq=recovered.next_seq,
            at=recovered.at,
            on_full=self._mailbox_full,
        )
        self.actors = [
            Actor(name, core, self.bus, self.publish_failed) for name, core in cores.items()
        ]
        self.timers = Timers(self.bus, endpoints.clock)
        self.timers.heap = recovered.timers
        self.broker = AlpacaBroker(
            network,
            endpoints.clock,
            self.bus,
            self.journal,
            settings=endpoints.broker,
            rng=rng,
            former_instances=recovered.former_instances,
        )
        self.feed = AlpacaFeed(
            self.broker.wire, endpoints.clock, self.bus, settings=endpoints.feed, rng=rng
        )
        latch = None if halt_file is None else HaltLatch(halt_file)
        self.heartbeat = HeartbeatMonitor(self.bus, endpoints.clock, latch=latch)
        self._real_ns = endpoints.clock.monotonic
        strategy = cores.get("strategy")
        if isinstance(strategy, StrategyCore):
            strategy.surround(self._timed)
        self._tasks: list[asyncio.Task[None]] = []
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start every task; nothing is said yet."""
        self._writer = asyncio.create_task(self.journal.run(), name="journal")
        for actor in self.actors:
            self._spawn(actor.name, actor.run())
        self._spawn("timers", self.timers.run())
        self._spawn("broker", self.broker.run())
        self._spawn("pulse", self.heartbeat.run())
        self._spawn("checkpoint", self._keep_checkpoints())

    def open_market(self) -> None:
        """Start the feed: after `RunStarted`, so that nobody hears a market before the run."""
        self._spawn("feed", self.feed.run())

    async def settle(self) -> None:
        """Let every actor handle what it was told, within a bounded number of turns."""
        for _ in range(10_000):
            if self.bus.is_quiet():
                return
            await asyncio.sleep(0)

    async def _checkpoint(self) -> bool:
        return await save_checkpoint(
            self.store,
            self.journal,
            self.bus,
            self.actors,
            self.timers.heap,
            more={"broker": self.broker.save},
        )

    async def _keep_checkpoints(self) -> None:
        """Keep one now and then, in a moment in which no actor has anything left to handle."""
        while True:
            await asyncio.sleep(CHECKPOINT_REAL_S)
            with contextlib.suppress(JournalFailed):  # said already, and the system is coming down
                await self._checkpoint_soon()

    async def _checkpoint_soon(self) -> None:
        for _ in range(_QUIET_TRIES_MAX):
            if await self._checkpoint():
                return
            await asyncio.sleep(_QUIET_WAIT_REAL_S)

    async def stop(self) -> None:
        """Keep a checkpoint, end every task and write the log to its end."""
        by_name = {task.get_name(): task for task in self._tasks}
        first = ("feed", "pulse", "broker", "checkpoint")
        await _ended([by_name[name] for name in first if name in by_name])
        self.broker.apply_rest()
        await self.settle()
        self.broker.apply_rest()
        with contextlib.suppress(
            JournalFailed
        ):  # said already; the log is as long as the disk allowed
            await self._checkpoint()
        await _ended(self._tasks)
        self.journal.close()
        if self._writer is not None:
            await self._writer

    def spawn_beside(self, name: str, work: Awaitable[None]) -> asyncio.Task[None]:
        """Start what only watches, and is ended by whoever started it; it does not die unnoticed, either."""
        return asyncio.create_task(run_edge(name, work, self.bus, self.publish_failed), name=name)

    def publish_failed(self, failed: ActorFailed) -> None:
        """State a failure in the name of the heartbeat monitor, once the present publish is over."""
        asyncio.get_running_loop().call_soon(self.heartbeat.failed, failed)

    def _timed(self, name: str, strategy: Strategy) -> Strategy:
        """Put a strategy under the stopwatch of the heartbeat monitor."""
        return Timed(strategy, name, STRATEGY_NS_MAX, self._real_ns, self._publish_overran)

    def _publish_overran(self, name: str, took_ns: int) -> None:
        asyncio.get_running_loop().call_soon(self.heartbeat.overran, name, took_ns)

    def _journal_failed(self, failure: JournalFailed) -> None:
        self.publish_failed(ActorFailed("journal", str(failure), ""))

    def _mailbox_full(self, full: MailboxFull) -> None:
        self.publish_failed(ActorFailed(full.actor, str(full), ""))

    def _spawn(self, name: str, work: Awaitable[None]) -> None:
        self._tasks.append(self.spawn_beside(name, work))


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
