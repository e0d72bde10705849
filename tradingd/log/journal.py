"""The journal: writes the order log in groups, and tells who waits when it is durable.

A commit costs milliseconds on a small machine whether it holds one row or a thousand. So a group is
written at once when someone waits, else a moment after its first row, and never when nothing is pending.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from tradingd.messages import MARKET_DATA, Envelope
from tradingd.runtime.ports import LogStore, Tape
from tradingd.runtime.tally import PlainHistogram

COMMIT_REAL_S_MAX = 0.05
"""Real time that a fact nobody waits for may stay unwritten."""

PENDING_MAX = 200_000
"""Unwritten envelopes; beyond it the disk has stopped keeping up and the journal counts as failed."""

WRITE_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class JournalFailed(Exception):  # noqa: N818 - it names the state of affairs
    """The order log cannot be written any more: nothing further will ever be durable in this run."""


class Journal:
    """Group commit over a store; market data goes to the tape, which nobody waits for."""

    def __init__(
        self,
        store: LogStore,
        tape: Tape,
        on_failure: Callable[[JournalFailed], None] | None = None,
    ) -> None:
        self.failed: JournalFailed | None = None
        self.groups = 0
        """Groups written so far."""
        self.rows = 0
        """Envelopes written so far."""
        self.writes = PlainHistogram(WRITE_BOUNDS_S)
        """How long each group took until it was durable."""
        self._store = store
        self._tape = tape
        self._on_failure = on_failure
        self._pending: list[Envelope] = []
        self._writing: Sequence[Envelope] = ()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._asked = 0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False

    @property
    def pending(self) -> int:
        """Envelopes of the order log that are not durable yet."""
        return len(self._pending) + len(self._writing)

    def append(self, envelope: Envelope) -> None:
        """Take one envelope: to the tape if it is market data, else into the next group."""
        if type(envelope.message) in MARKET_DATA:
            self._tape.append(envelope)
            return
        if self.failed is not None:
            return  # the system goes on without a log only to close what is open
        if not self._pending:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(COMMIT_REAL_S_MAX, self._wake.set)
        self._pending.append(envelope)
        if len(self._pending) > PENDING_MAX:
            self._fail(JournalFailed(f"more than {PENDING_MAX} envelopes wait for the disk"))

    async def durable(self, seq: int) -> None:
        """Wait until everything up to `seq` is durable; raises `JournalFailed`, at once and for ever."""
        if self.failed is not None:
            raise JournalFailed(str(self.failed)) from self.failed
        if self._is_durable(seq):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked += 1
        heapq.heappush(self._waiting, (seq, self._asked, future))
        self._wake.set()
        await future

    async def run(self) -> None:
        """Write groups until closed, failed or canceled; a group once begun is always finished."""
        try:
            while self.failed is None and (self._pending or not self._is_closing):
                await self._wake.wait()
                self._wake.clear()
                await self._write_pending()
                self._release()
        except Exception as error:  # noqa: BLE001 - whatever stops the writer must reach all who wait for it
            failure = JournalFailed(f"{type(error).__name__}: {error}")
            failure.__cause__ = error
            self._fail(failure)

    def close(self) -> None:
        """Let `run` write what is left and return."""
        self._is_closing = True
        self._wake.set()

    async def _write_pending(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._writing, self._pending = self._pending, []
        if self._writing:
            # Shielded: a commit that is canceled half-way leaves the connection in an unknown transaction.
            began = perf_counter_ns()
            write = asyncio.ensure_future(self._store.write(self._writing))
            try:
                await asyncio.shield(write)
            except asyncio.CancelledError:
                await asyncio.wait([write])
                raise
            self.writes.add(perf_counter_ns() - began)
            self.groups += 1
            self.rows += len(self._writing)
        self._writing = ()

    def _is_durable(self, seq: int) -> bool:
        oldest = self._writing or self._pending
        return not oldest or seq < oldest[0].seq

    def _release(self) -> None:
        while self._waiting and self._is_durable(self._waiting[0][0]):
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():  # its owner may have been canceled
                future.set_result(None)
        if self._waiting:
            self._wake.set()

    def _fail(self, failure: JournalFailed) -> None:
        if self.failed is not None:
            return
        self.failed = failure
        self._pending, self._writing = [], ()
        for _, _, future in self._waiting:
            if not future.done():
                future.set_exception(failure)
        self._waiting.clear()
        if self._on_failure is not None:
            self._on_failure(failure)
