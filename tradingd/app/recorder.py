"""Feeds the trade files and daily summaries from the bus, in a thread: a slow disk delays no order.

A read-only watch like the log's. If the disk refuses, that is said once and trading goes on: everything
here can be made again from the order log.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from tradingd.messages import CancelTimer, Envelope, Mark, SetTimer
from tradingd.portfolio.records import Records
from tradingd.runtime.bus import Bus
from tradingd.wiring import OBSERVED

WATCH = "records"
WATCH_MAX = 8192
BATCH_MAX = 512
_LOG = structlog.get_logger(actor="records")


class Recorder:
    """One watch on the bus, written batch by batch."""

    def __init__(self, bus: Bus, folder: Path) -> None:
        self._records = Records(folder)
        self._bus = bus
        kinds = OBSERVED - {Mark, SetTimer, CancelTimer}
        self._queue = bus.watch(WATCH, kinds, WATCH_MAX)
        self._is_broken = False

    async def run(self) -> None:
        """Write until canceled."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < BATCH_MAX:
                batch.append(self._queue.get_nowait())
            # Shielded: a batch once begun is written before anything after it may be.
            writing = asyncio.ensure_future(self._write(batch))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing
                raise

    async def finish(self) -> None:
        """Write what waits, for the end of a run."""
        rest: list[Envelope] = []
        while not self._queue.empty():
            rest.append(self._queue.get_nowait())
        await self._write(rest)
        if dropped := self._bus.dropped[WATCH]:
            _LOG.warning("daemon.records_dropped", count=dropped)

    async def _write(self, batch: list[Envelope]) -> None:
        if self._is_broken or not batch:
            return
        self._is_broken = True  # until it is written: nobody goes on behind half a batch
        try:
            await asyncio.to_thread(self._handle, batch)
        except OSError as error:
            _LOG.error("daemon.records_failed", exc_info=error)
        else:
            self._is_broken = False

    def _handle(self, batch: list[Envelope]) -> None:
        for envelope in batch:
            self._records.handle(envelope)
