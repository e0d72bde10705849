"""The Alpaca edge: station "broker". It carries out what was approved and states what happened, nothing else.

    order_path approved -> durable -> last look -> on the wire -> the truth about it
    cancels    asked until proven
    updates    the order stream: one connection, kept for ever; teller says what its news means
    gap        what happened while nobody listened
    snapshot   the broker's books, read while nothing moves
    former     orders from before a restore, taken back if they would open
    watch      orders that may turn up late, looked for until the day is over
    emergency  close everything without the rest of the house

The parts share a `Desk`, and `access` says whether the broker lets us in. All durable state is folded from the order log (`known`).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import structlog

from tradingd.broker.clock_skew import ClockSkew
from tradingd.broker.desk import Desk, JournalPort
from tradingd.broker.emergency import Emergency
from tradingd.broker.entry_interlock import EntryInterlock
from tradingd.broker.former import FormerOrders
from tradingd.broker.gap import Gap
from tradingd.broker.known import Record
from tradingd.broker.order_path import OrderPath
from tradingd.broker.postmortem import PostMortem
from tradingd.broker.rest import CallFailed
from tradingd.broker.settings import AccountIdentity, AlpacaSettings
from tradingd.broker.snapshot import Snapshots
from tradingd.broker.teller import Teller
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
from tradingd.runtime.mailbox import heard
from tradingd.runtime.ports import Clock, Lane, Network, NetworkError
from tradingd.runtime.tally import Tally

log = structlog.get_logger(actor="broker")


class AlpacaBroker:
    """Alpaca behind the station's inbox."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        bus: Bus,
        journal: JournalPort,
        *,
        settings: AlpacaSettings,
        rng: random.Random,
        former: Iterable[str] = (),
    ) -> None:
        self._desk = Desk(network, clock, bus, journal, settings=settings, rng=rng)
        self._orders = OrderPath(self._desk)
        self._gap = Gap(self._desk, self._orders)
        former_orders = FormerOrders(self._desk, former)
        self._snapshots = Snapshots(self._desk, self._gap, self._orders, former_orders)
        teller = Teller(self._desk, self._orders.cancels, self._snapshots.ask)
        self._stream = OrderStream(self._desk, self._gap, self._snapshots, teller)
        self._emergency = Emergency(self._desk)
        self._skew = ClockSkew()
        self._inbox = bus.inbox("broker")
        for kind in EntryInterlock.KINDS:
            bus.on(kind, self._desk.interlock.apply)
        trace = PostMortem(settings.trace_folder, self.wire.ring, clock)
        for kind in trace.HEARS:
            bus.on(kind, trace.hear)
        self._handlers: dict[type[Message], Callable[[Envelope], None]] = {
            RunStarted: self._run_started,
            OrderApproved: self._approved,
            CancelOrder: self._cancel,
            SnapshotAsked: self._snapshot_asked,
            EmergencyClose: self._emergency_close,
            BookAdopted: lambda _: None,  # `known` folds it
        }

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """(operation, HTTP status or "failed") -> requests made."""
        return self._desk.rest.requests

    @property
    def request_seconds(self) -> Mapping[str, Tally]:
        """Operation -> real time of its requests."""
        return self._desk.rest.seconds

    @property
    def heard_at(self) -> int:
        """When (monotonic, ns) the order stream last gave a sign; 0 before the first."""
        return self._stream.heard_at

    @property
    def reconnects(self) -> int:
        """How often the order stream was lost."""
        return self._stream.reconnects

    @property
    def rate_limit_remaining(self) -> int | None:
        """What the broker last said is left of the minute's quota."""
        return self._desk.rest.rate_limit_remaining

    @property
    def wire(self) -> AccountWire:
        """The account's wire: budget, counters and trace; the feed asks through it, too."""
        return self._desk.rest.wire

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
    def words_unknown(self) -> Mapping[str, int]:
        """Where -> words of the broker we did not know."""
        return self._desk.words_unknown

    @property
    def facts_ignored(self) -> int:
        """Duplicates, and news that would have gone backwards."""
        return self._desk.facts_ignored

    @property
    def foreign_events(self) -> int:
        """News of orders that are not ours."""
        return self._desk.foreign_events

    async def verify(self) -> AccountIdentity:
        """Return whose account the keys open; raises `KeysRefused` or `CallFailed`. Sends no order."""
        return await self._desk.rest.verify()

    def apply(self, envelope: Envelope) -> None:
        """Fold one envelope of the order log at recovery, before `run`."""
        self._desk.known.apply(envelope.message, envelope.at)

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types that `apply` folds."""
        return self._desk.known.kinds

    def unfinished(self) -> list[Record]:
        """Return our orders without a terminal fact, oldest first."""
        return self._desk.known.unfinished()

    def save(self) -> bytes:
        """Return what a restart goes on from; the inbox is empty, or was folded by `fold_rest`."""
        return self._desk.known.save()

    def load(self, state: bytes) -> None:
        """Take up what `save` returned, before `apply` and `run`."""
        self._desk.known.load(state)

    def fold_rest(self) -> None:
        """Fold what came after `run` had ended: it is in the log, and a checkpoint must know it."""
        while not self._inbox.empty():
            item = self._inbox.get_nowait()
            if isinstance(item, Envelope):
                self.apply(item)

    async def run(self) -> None:
        """Hear the inbox until canceled; then stop all that was begun."""
        helpers = [
            self._desk.spawn(self._snapshots.run(), "snapshots"),
            self._desk.spawn(self._keep_warm(), "warm exit lane"),
        ]
        try:
            async for envelope in heard(self._inbox):
                self._hear(envelope)
        finally:
            for helper in helpers:
                helper.cancel()
            await self._desk.stop()
            await self.wire.close()

    def _hear(self, envelope: Envelope) -> None:
        try:
            self._desk.known.apply(envelope.message, envelope.at)
            self._handlers[type(envelope.message)](envelope)
        except (
            Exception
        ) as error:  # quarantine: the edge must outlive any one message, to close what is open
            log.exception("order.unheard", kind=type(envelope.message).__name__, seq=envelope.seq)
            text = f"{type(envelope.message).__name__} {envelope.seq}: {error}"
            self._desk.alert(Severity.CRITICAL, "edge_unheard", text)

    def _run_started(self, _: Envelope) -> None:
        self._orders.recall()
        if self._desk.settings.is_clock_compared:
            self.wire.hear_date = self._compare_clocks
        self._desk.spawn(self._stream.run(), "order stream")

    def _compare_clocks(self, date: str, asked_at: int, came_at: int) -> None:
        said = self._skew.hear(date, asked_at, came_at)
        if said is not None:
            self._desk.say(said)

    def _approved(self, envelope: Envelope) -> None:
        assert isinstance(envelope.message, OrderApproved)
        record = self._desk.known.get(envelope.message.order.order_id)
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
                await self._desk.rest.read("warm", "/clock", Lane.EXIT)
            except (CallFailed, NetworkError) as failure:
                log.debug("stream.warm_failed", reason=str(failure))
            await asyncio.sleep(self._desk.settings.warm_interval_s)
