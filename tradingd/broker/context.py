"""What the parts of the edge share: the wire, what is known, and one mouth."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from typing import Any, Protocol

import structlog

from tradingd.broker.access import AccountAccess
from tradingd.broker.alpaca_wire import BrokerOrderView
from tradingd.broker.entry_interlock import EntryInterlock
from tradingd.broker.facts import disagreement, fee_of
from tradingd.broker.order_store import OrderStore, Record
from tradingd.broker.rest import AlpacaRest
from tradingd.broker.settings import AlpacaSettings
from tradingd.instruments.units import ZERO
from tradingd.messages import (
    AlertRaised,
    Envelope,
    Message,
    OrderFilled,
    Severity,
    UnrecognizedValue,
)
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import Clock, Network

log = structlog.get_logger(actor="broker")

VALUES_MAX = 1000
"""Unknown words remembered, so that each is said once."""

CLOCK_SKEW_NS_MAX = 5_000_000_000
"""How much earlier than our approval the broker may publish our order was made."""


class JournalPort(Protocol):
    """The journal, as the edge sees it."""

    async def durable(self, seq: int) -> None:
        """Wait until everything up to `seq` is on the disk; raises `JournalFailed`."""


class EdgeContext:
    """The one place that publishes for the edge, so that what was said is always also known."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        bus: Bus,
        journal: JournalPort,
        *,
        settings: AlpacaSettings,
        rng: random.Random,
    ) -> None:
        self.clock = clock
        self.journal = journal
        self.settings = settings
        self.rest = AlpacaRest(network, clock, settings)
        self.network = self.rest.wire
        self.known = OrderStore()
        self.interlock = EntryInterlock()
        self.access = AccountAccess(self.interlock, clock, self.publish)
        self.order_events = 0
        """Facts about orders said so far: a snapshot is only taken between two of them."""
        self.facts_ignored = 0
        """News that was none: duplicates, and what would have gone backwards."""
        self.external_events = 0
        """News of orders that are not ours."""
        self._bus = bus
        self._rng = rng
        self.unrecognized_values: Counter[str] = Counter()
        """Where -> words of the broker we did not know, repeated ones too."""
        self._values: set[UnrecognizedValue] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clashes: set[str] = set()

    def publish(self, message: Message) -> Envelope | None:
        """Publish and apply; an unknown word is said once."""
        if isinstance(message, UnrecognizedValue):
            self.unrecognized_values[message.where] += 1
            if message in self._values or len(self._values) >= VALUES_MAX:
                return None
            self._values.add(message)
        envelope = self._bus.publish("broker", message)
        self.known.apply(message, envelope.at)
        return envelope

    def publish_facts(self, facts: Sequence[Message], position: Decimal | None = None) -> None:
        """Say facts about orders, each crypto fill followed by its fee."""
        for fact in facts:
            self.order_events += 1
            if not isinstance(fact, OrderFilled):
                self.publish(fact)
                continue
            held = self.known.coins.get(fact.symbol, ZERO) if self.known.snapshot_at else None
            self.publish(fact)
            fee = fee_of(fact, held, position, self.settings.taker_fee_rate)
            if fee is not None:
                self.publish(fee)

    def alert(self, severity: Severity, kind: str, text: str) -> None:
        """Tell the sleeping owner."""
        self.publish(AlertRaised("broker", severity, kind, text))

    def is_own(self, record: Record, view: BrokerOrderView) -> bool:
        """Tell whether what the broker has under our id is what was approved; if not, no entries any more."""
        why = disagreement(record, view, CLOCK_SKEW_NS_MAX)
        if why and view.order_id not in self._clashes:
            self._clashes.add(view.order_id)
            self.interlock.has_clash = True
            text = f"{view.order_id} at the broker is not ours: {why}"
            self.alert(Severity.CRITICAL, "order_id_clash", text)
            self.access.lost(text, is_fatal=True)
        return not why

    def back_off_s(self, attempt: int) -> float:
        """Return the real seconds to wait after the `attempt`-th failure (from 0), with jitter."""
        low, high = self.settings.back_off_s_min, self.settings.back_off_s_max
        span: float = min(high, low * 2.0 ** min(attempt, 16))
        return span * self._rng.uniform(0.5, 1.0)

    def seconds_since(self, monotonic: int) -> float:
        """Return real seconds since a reading of the monotonic clock."""
        return (self.clock.monotonic() - monotonic) / 1e9

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Run work beside the mailbox; a failure is alerted and takes nothing else along."""
        return self.start(self.guarded(work, what))

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work that guards itself."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def guarded(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Await work; its failure is alerted and goes no further."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - quarantine: one order's fault must not stop the others
            self.failed(what, error)

    def failed(self, what: str, error: Exception) -> None:
        """Alert of work that failed."""
        log.error("order.task_failed", what=what, exc_info=error)
        text = f"{what}: {type(error).__name__}: {error}"
        self.alert(Severity.CRITICAL, "edge_task_failed", text)

    async def stop(self) -> None:
        """Cancel all work and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
