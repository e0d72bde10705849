"""A session: from `RunStarted` to `RunStopped`. It asks for the stop and waits for the system to come down.

The supervisor alone decides how that happens; what is bounded here, in real time, is the patience.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import structlog

from tradingd.app.endpoints import Endpoints
from tradingd.app.recorder import Recorder
from tradingd.app.summary import Books, Summary, summarize
from tradingd.app.system import TradingSystem
from tradingd.messages import (
    Ask,
    BrokerSnapshot,
    LevelChanged,
    OperatorAsked,
    RunStarted,
    RunStopped,
)
from tradingd.observability.watcher import Watcher
from tradingd.runtime.bus import MailboxFull
from tradingd.views.system_view import SystemView

MINUTE_NS = 60 * 10**9
STOPPED = "stopped"
_LOG = structlog.get_logger()
_WATCH_MAX = 1024


class TradingSession:
    """One run's trading, watched from outside the line."""

    def __init__(
        self,
        system: TradingSystem,
        endpoints: Endpoints,
        *,
        watcher: Watcher,
        recorder: Recorder,
        view: SystemView,
    ) -> None:
        self._system = system
        self._recorder = recorder
        self._endpoints = endpoints
        self._watcher = watcher
        self._view = view
        self._is_keep_asked = False
        """Whoever asked for the stop wants the positions left as they are."""
        self._is_stopping = False
        self._why = ""
        self._asked = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._started: RunStarted | None = None
        self._first: BrokerSnapshot | None = None
        self._latest: BrokerSnapshot | None = None
        """The books of this run; the view may still show those of an earlier one."""
        kinds = (LevelChanged, BrokerSnapshot)
        self._news = system.bus.watch("session", kinds, _WATCH_MAX)
        self._watching: list[asyncio.Task[None]] = []

    def open(self, run: RunStarted, stop_before_ns: int) -> None:
        """Start every task, say `RunStarted`, open the market and arm the end of it."""
        self._started = run
        self._watching = [
            self._system.spawn_beside("control", self._watcher.run()),
            self._system.spawn_beside("records", self._recorder.run()),
        ]
        self._system.start()
        self._system.bus.publish("daemon", run)
        self._system.open_market()
        if self._endpoints.ends_at is not None:
            self._arm(self._endpoints.ends_at - stop_before_ns)

    def ask_stop(self, who: str, reason: str, *, keep: bool = False) -> None:
        """Ask the supervisor to bring the system down; asking again changes nothing."""
        if self._is_stopping:
            return
        self._is_keep_asked = keep
        ask = Ask.STOP_KEEP if keep else Ask.STOP
        try:
            self._system.bus.publish("control", OperatorAsked(ask, who, reason))
        except MailboxFull as full:
            _LOG.error("daemon.failed", msg=f"the stop cannot be told: {full}")
        self._is_stopping = True
        self._why = f"{who}: {reason}"
        self._asked.set()

    async def close(self, ceiling_s: float, *, is_flat_wanted: bool) -> Summary:
        """Wait for the stop, then for the system to be down, and end it in order.

        Positions count as kept only when the system came down: past the ceiling its orders may still work.
        """
        stopped = asyncio.create_task(self._until_stopped())
        await self._asked.wait()
        _LOG.info("daemon.stopping", msg=self._why)
        done, _ = await asyncio.wait([stopped], timeout=ceiling_s)
        if not done:
            stopped.cancel()
            self._why += f", and not down after {ceiling_s:.0f} s"
        is_flat = self._is_flat(is_down=bool(done))
        is_kept = not is_flat and bool(done) and (self._is_keep_asked or not is_flat_wanted)
        if not is_flat and not is_kept:
            _LOG.critical("daemon.not_flat", msg="NOT FLAT: look at the account")
        assert self._started is not None
        run_id = self._started.run_id
        self._system.bus.publish("daemon", RunStopped(run_id, is_flat, self._why, is_kept))
        await self._system.stop()
        await self._end_watching()
        start, end = self._books()
        return summarize(self._view, start, end, is_flat=is_flat, is_kept=is_kept, reason=self._why)

    async def _until_stopped(self) -> None:
        """Follow levels and snapshots until the supervisor says that the system is down."""
        while True:
            message = (await self._news.get()).message
            if isinstance(message, BrokerSnapshot):
                self._first, self._latest = self._first or message, message
            elif isinstance(message, LevelChanged) and is_down(message):
                self._is_stopping = True
                self._why = self._why or ", ".join(message.causes)
                self._asked.set()
                return

    def _arm(self, at: int) -> None:
        clock = self._endpoints.clock
        left = at - clock.now()
        if left <= 0:
            self.ask_stop("daemon", "the session ends")
            return
        # A simulator may slow down for us, so look again when the time should have come.
        wait = max(clock.real_seconds(left), 0.001)
        self._alarm = asyncio.get_running_loop().call_later(wait, self._arm, at)

    async def _end_watching(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self._watcher.drain()
        await self._recorder.finish()

    def _is_flat(self, *, is_down: bool) -> bool:
        """Tell what the broker said last: its word, not ours, unless that word is older than what we know.

        Once the system is down the supervisor has just read the books. A stop that was cut off may have none
        but a reading from before the latest fill, and a run that never reached the broker has none at all.
        """
        is_local_flat = not self._view.held() and not self._view.open_orders()
        snapshot = self._latest
        if snapshot is None:
            return is_local_flat
        return not snapshot.positions and not snapshot.orders and (is_down or is_local_flat)

    def _books(self) -> tuple[Books, Books]:
        first, last, equity = self._first, self._view.snapshot, self._view.equity
        zero = Decimal(0)
        start = first.equity if first else zero
        reported = last.equity if last else start
        local = equity.equity_usd if equity else start
        return Books(start, start), Books(local, reported)


def is_down(message: LevelChanged) -> bool:
    """Tell whether the supervisor has finished a stop."""
    return any(cause == STOPPED or cause.startswith(f"{STOPPED}:") for cause in message.causes)
