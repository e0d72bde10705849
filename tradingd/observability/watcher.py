"""The read-only edge: one watch on the bus that feeds view, metrics and log, in that order.

It outlives whatever one of them cannot take: an API and metrics that stand still look like a quiet system.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable

import structlog

from tradingd.messages import ActorFailed, Envelope
from tradingd.observability.events import ROWS, EventFormatter
from tradingd.observability.logs import rfc3339
from tradingd.observability.metrics import Metrics
from tradingd.runtime.bus import Bus
from tradingd.views.system_view import SystemView

WATCH = "control"
WATCH_MAX = 8192
BATCH_MAX = 256


class Watcher:
    """Folds what the bus says; slow readers lose the oldest, and the loss is counted."""

    def __init__(
        self,
        bus: Bus,
        view: SystemView,
        metrics: Metrics,
        on_apply: Callable[[], None] = lambda: None,
        *,
        on_failure: Callable[[ActorFailed], None],
    ) -> None:
        self._on_apply = on_apply
        self._on_failure = on_failure
        self._failed: set[str] = set()
        """Readers that could not take a message, each said once: saying it is a message, too."""
        self._view = view
        self._metrics = metrics
        self._narrator = EventFormatter()
        self._log = structlog.get_logger()
        kinds = view.kinds | metrics.kinds | frozenset(ROWS)
        self._queue = bus.watch(WATCH, kinds, WATCH_MAX)

    async def run(self) -> None:
        """Apply until canceled; after each batch the loop gets its turn."""
        while True:
            self._apply(await self._queue.get())
            for _ in range(BATCH_MAX):
                if self._queue.empty():
                    break
                self._apply(self._queue.get_nowait())
            self._on_apply()
            await asyncio.sleep(0)

    def drain(self) -> None:
        """Apply what waits, for the last words of a run."""
        while not self._queue.empty():
            self._apply(self._queue.get_nowait())

    def _apply(self, envelope: Envelope) -> None:
        self._give("view", self._view.apply, envelope)
        self._give("metrics", self._metrics.apply, envelope)
        self._give("log", self._report, envelope)

    def _give(self, reader: str, read: Callable[[Envelope], None], envelope: Envelope) -> None:
        try:
            read(envelope)
        except Exception as error:  # noqa: BLE001 - quarantine: one message must not blind all who look
            if reader in self._failed:
                return
            self._failed.add(reader)
            name = type(envelope.message).__name__
            cause = f"{reader}: {type(error).__name__}: {error} (on {name} {envelope.seq})"
            self._on_failure(ActorFailed(WATCH, cause, traceback.format_exc()))

    def _report(self, envelope: Envelope) -> None:
        event = self._narrator.render(envelope.message, envelope.at)
        if event is not None:
            at = rfc3339(envelope.at)
            log = getattr(self._log, event.level)
            log(event.name, actor=envelope.source, at=at, event_seq=envelope.seq, **event.fields)
