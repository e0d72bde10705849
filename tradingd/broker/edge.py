"""The Alpaca edge: actor "broker". It carries out what was approved and states what happened, nothing else.

    order_path approved -> durable -> pre-send check -> on the wire -> the truth about it
    cancels    asked until proven
    updates    the order stream: one connection, kept for ever; teller says what its news means
    gap        what happened while nobody listened
    snapshot   the broker's books, read while nothing moves
    former     orders from before a restore, taken back if they would open
    watch      orders that may turn up late, looked for until the day is over
    emergency  close everything without the rest of the system

The parts share a `EdgeContext`, and `access` says whether the broker lets us in. All durable state is applied from the order log (`known`).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import structlog

from tradingd.broker.clock_skew import ClockSkew
from tradingd.broker.context import EdgeContext, JournalPort
from tradingd.broker.emergency import Emergency
from tradingd.broker.entry_interlock import EntryInterlock
from tradingd.broker.gap import Gap
from tradingd.broker.order_path import OrderPath
from tradingd.broker.order_store import Record
from tradingd.broker.rest import CallFailed
from tradingd.broker.settings import AccountIdentity, AlpacaSettings
from tradingd.broker.snapshot import Snapshots
from tradingd.broker.stale_orders import StaleOrderCanceler
from tradingd.broker.trace_dump import TraceDump
from tradingd.broker.update_translator import UpdateTranslator
from tradingd.broker.updates import OrderStream
from tradingd.messages import (
    BookAdopted,
    CancelOrder,
    EmergencyClose,
    Envelope,
    Message,
    OrderApproved,
    RunStarted,
    Severity,
    SnapshotAsked,
)
from tradingd.runtime.account_wire import AccountWire, RequestLimiter
from tradingd.runtime.bus import Bus
from tradingd.runtime.mailbox import received
from tradingd.runtime.ports import Clock, Lane, Network, NetworkError
from tradingd.runtime.tally import PlainHistogram

log = structlog.get_logger(actor="broker")


class AlpacaBroker:
    """Alpaca behind the actor's mailbox."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        bus: Bus,
        journal: JournalPort,
        *,
        settings: AlpacaSettings,
        rng: random.Random,
        former_instances: Iterable[str] = (),
    ) -> None:
        self._context = EdgeContext(network, clock, bus, journal, settings=settings, rng=rng)
        self._orders = OrderPath(self._context)
        self._gap = Gap(self._context, self._orders)
        stale_orders = StaleOrderCanceler(self._context, former_instances)
        self._snapshots = Snapshots(self._context, self._gap, self._orders, stale_orders)
        translator = UpdateTranslator(self._context, self._orders.cancels, self._snapshots.ask)
        self._stream = OrderStream(self._context, self._gap, self._snapshots, translator)
        self._emergency = Emergency(self._context)
        self._skew = ClockSkew()
        self._mailbox = bus.mailbox("broker")
        for kind in EntryInterlock.KINDS:
            bus.on(kind, self._context.interlock.apply)
        trace = TraceDump(settings.trace_folder, self.wire.trace, clock)
        for kind in trace.SUBSCRIBES:
            bus.on(kind, trace.handle)
        self._handlers: dict[type[Message], Callable[[Envelope], None]] = {
            RunStarted: self._run_started,
            OrderApproved: self._approved,
            CancelOrder: self._cancel,
            SnapshotAsked: self._snapshot_asked,
            EmergencyClose: self._emergency_close,
            BookAdopted: lambda _: None,  # `known` applies it
        }

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """(operation, HTTP status or "failed") -> requests made."""
        return self._context.rest.requests

    @property
    def request_seconds(self) -> Mapping[str, PlainHistogram]:
        """Operation -> real time of its requests."""
        return self._context.rest.seconds

    @property
    def received_at(self) -> int:
        """When (monotonic, ns) the order stream last gave a sign; 0 before the first."""
        return self._stream.received_at

    @property
    def reconnects(self) -> int:
        """How often the order stream was lost."""
        return self._stream.reconnects

    @property
    def rate_limit_remaining(self) -> int | None:
        """What the broker last said is left of the minute's quota."""
        return self._context.rest.rate_limit_remaining

    @property
    def wire(self) -> AccountWire:
        """The account's wire: budget, counters and trace; the feed asks through it, too."""
        return self._context.rest.wire

    @property
    def budgets(self) -> Mapping[str, RequestLimiter]:
        """What is budgeted -> its request budget, with its counters."""
        return {"trading": self.wire.trading, "data": self.wire.data}

    @property
    def gaps(self) -> Mapping[str, int]:
        """Result (read, unread) -> gaps of the order stream."""
        return self._gap.counts

    @property
    def watched(self) -> int:
        """Orders that may turn up late and are looked for."""
        return len(self._orders.watch)

    @property
    def unrecognized_values(self) -> Mapping[str, int]:
        """Where -> words of the broker we did not know."""
        return self._context.unrecognized_values

    @property
    def facts_ignored(self) -> int:
        """Duplicates, and news that would have gone backwards."""
        return self._context.facts_ignored

    @property
    def external_events(self) -> int:
        """News of orders that are not ours."""
        return self._context.external_events

    async def verify(self) -> AccountIdentity:
        """Return whose account the keys open; raises `KeysRefused` or `CallFailed`. Sends no order."""
        return await self._context.rest.verify()

    def apply(self, envelope: Envelope) -> None:
        """Apply one envelope of the order log at recovery, before `run`."""
        self._context.known.apply(envelope.message, envelope.at)

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types that `apply` applies."""
        return self._context.known.kinds

    def unfinished(self) -> list[Record]:
        """Return our orders without a terminal fact, oldest first."""
        return self._context.known.unfinished()

    def save(self) -> bytes:
        """Return what a restart goes on from; the mailbox is empty, or was applied by `apply_rest`."""
        return self._context.known.save()

    def load(self, state: bytes) -> None:
        """Take up what `save` returned, before `apply` and `run`."""
        self._context.known.load(state)

    def apply_rest(self) -> None:
        """Apply what came after `run` had ended: it is in the log, and a checkpoint must know it."""
        while not self._mailbox.empty():
            item = self._mailbox.get_nowait()
            if isinstance(item, Envelope):
                self.apply(item)

    async def run(self) -> None:
        """Hear the mailbox until canceled; then stop all that was begun."""
        helpers = [
            self._context.spawn(self._snapshots.run(), "snapshots"),
            self._context.spawn(self._keep_warm(), "warm exit lane"),
        ]
        try:
            async for envelope in received(self._mailbox):
                self._handle(envelope)
        finally:
            for helper in helpers:
                helper.cancel()
            await self._context.stop()
            await self.wire.close()

    def _handle(self, envelope: Envelope) -> None:
        try:
            self._context.known.apply(envelope.message, envelope.at)
            self._handlers[type(envelope.message)](envelope)
        except (
            Exception
        ) as error:  # quarantine: the edge must outlive any one message, to close what is open
            log.exception(
                "order.unacknowledged", kind=type(envelope.message).__name__, seq=envelope.seq
            )
            text = f"{type(envelope.message).__name__} {envelope.seq}: {error}"
            self._context.alert(Severity.CRITICAL, "edge_unheard", text)

    def _run_started(self, _: Envelope) -> None:
        self._orders.resume()
        if self._context.settings.is_clock_compared:
            self.wire.observe_date = self._compare_clocks
        self._context.spawn(self._stream.run(), "order stream")

    def _compare_clocks(self, date: str, asked_at: int, came_at: int) -> None:
        emitted = self._skew.handle(date, asked_at, came_at)
        if emitted is not None:
            self._context.publish(emitted)

    def _approved(self, envelope: Envelope) -> None:
        assert isinstance(envelope.message, OrderApproved)
        record = self._context.known.get(envelope.message.order.order_id)
        assert record is not None, "folded a moment ago"
        self._orders.approved(record, envelope.seq)

    def _cancel(self, envelope: Envelope) -> None:
        assert isinstance(envelope.message, CancelOrder)
        self._orders.cancels.ask(envelope.message.order_id)

    def _snapshot_asked(self, envelope: Envelope) -> None:
        assert isinstance(envelope.message, SnapshotAsked)
        self._snapshots.ask(envelope.message.why)

    def _emergency_close(self, envelope: Envelope) -> None:
        assert isinstance(envelope.message, EmergencyClose)
        self._emergency.start(envelope.message.reason)

    async def _keep_warm(self) -> None:
        """Touch the exit lane now and then, so that an exit never waits for TCP and TLS."""
        while True:
            try:
                await self._context.rest.read("warm", "/clock", Lane.EXIT)
            except (CallFailed, NetworkError) as failure:
                log.debug("stream.warm_failed", reason=str(failure))
            await asyncio.sleep(self._context.settings.warm_interval_s)
