"""The bus: one order of events. Checks room, stamps, writes down, delivers; with no await in between.

So every inbox is the log filtered by what its owner hears, whatever the scheduler does, and a station's
decisions can be replayed from the log alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from tradingd.messages import MARKET_DATA, Envelope, Message, TimerFired
from tradingd.runtime.mailbox import Inbox
from tradingd.runtime.ports import Clock
from tradingd.runtime.routing import ANYONE_SAYS, Wiring, subscribers

INBOX_MAX = 4096

Watch = asyncio.Queue[Envelope]


class InboxFull(Exception):  # noqa: N818 - it names the state of affairs
    """A hearer has no room, so nobody was told. Anything but market data halts the house."""

    def __init__(self, station: str, source: str, message: Message) -> None:
        super().__init__(
            f"the inbox of {station} is full at {type(message).__name__} from {source}"
        )
        self.station = station
        self.message = message


class Appends(Protocol):
    """What the bus needs of the journal."""

    def append(self, envelope: Envelope) -> None:
        """Take one envelope, at once and without failing."""


class _Route(NamedTuple):
    inboxes: tuple[Inbox, ...]
    taps: tuple[Callable[[Message], None], ...]
    watches: tuple[str, ...]


class Bus:
    """Stations publish here and hear from here."""

    def __init__(
        self,
        clock: Clock,
        journal: Appends,
        wiring: Wiring,
        *,
        inbox_max: int = INBOX_MAX,
        next_seq: int = 0,
        at: int = 0,
        on_full: Callable[[InboxFull], None] | None = None,
    ) -> None:
        self.seq = next_seq
        """The number of the next envelope."""
        self.at = at
        """The time of the latest envelope; the next is never earlier."""
        self.full: InboxFull | None = None
        """The first message other than market data that found no room."""
        self.dropped: dict[str, int] = {}
        """Watch name -> envelopes dropped because their reader was slow."""
        self._clock = clock
        self._journal = journal
        self._wiring = wiring
        self._inbox_max = inbox_max
        self._on_full = on_full
        self._inboxes: dict[str, Inbox] = {}
        self._taps: dict[type[Message], list[Callable[[Message], None]]] = {}
        self._watches: dict[str, tuple[frozenset[type[Message]], Watch]] = {}
        self._routes: dict[str, dict[type[Message], _Route]] = {name: {} for name in wiring}

    def inbox(self, station: str) -> Inbox:
        """Return the inbox of a station; it is made, and hears, from the first call on."""
        if station not in self._inboxes:
            assert station in self._wiring, f"no row for {station} (wiring.py)"
            # Unbounded as a queue: `publish` keeps the bound, and a heartbeat must find room in a full one.
            self._inboxes[station] = asyncio.Queue()
            self._forget_routes()
        return self._inboxes[station]

    @property
    def inbox_max(self) -> int:
        """Room of every inbox, in messages."""
        return self._inbox_max

    @property
    def inboxes(self) -> Mapping[str, Inbox]:
        """All inboxes by station."""
        return self._inboxes

    def on(self, kind: type[Message], callback: Callable[[Message], None]) -> None:
        """Call back inside `publish`, before anyone can hear it: the entry interlock, the wire trace and the halt latch."""
        self._taps.setdefault(kind, []).append(callback)
        self._forget_routes()

    def watch(self, name: str, kinds: Collection[type[Message]], size_max: int = 1024) -> Watch:
        """Return a queue for a read-only edge: when it is full, the oldest is dropped and counted."""
        queue: Watch = asyncio.Queue(size_max)
        self._watches[name] = (frozenset(kinds), queue)
        self.dropped[name] = 0
        self._forget_routes()
        return queue

    def unwatch(self, name: str) -> None:
        """Forget a watch, as its reader is gone."""
        self._watches.pop(name, None)
        self._forget_routes()

    def has_room(self) -> bool:
        """Tell whether every inbox is under half full: the door conflates while one is not."""
        half = self._inbox_max // 2
        for inbox in self._inboxes.values():  # noqa: SIM110 - asked for every quote: no generator
            if inbox.qsize() >= half:
                return False
        return True

    def is_quiet(self) -> bool:
        """Tell whether every station has handled all it was told."""
        return all(inbox.empty() for inbox in self._inboxes.values())

    def publish(self, source: str, message: Message) -> Envelope:
        """Give `message` its place in the order of events and tell its hearers: all of them or none."""
        kind = type(message)
        route = self._routes[source].get(kind) or self._route(source, kind)
        inboxes = route.inboxes if kind is not TimerFired else self._owner_of(message)
        for inbox in inboxes:
            if inbox.qsize() >= self._inbox_max:
                raise self._no_room(source, message, inbox)
        at = max(self._clock.now(), self.at)
        envelope = Envelope(self.seq, at, source, message)  # type: ignore[arg-type]  # a closed union
        self.seq += 1
        self.at = at
        self._journal.append(envelope)
        for tap in route.taps:
            tap(message)
        for inbox in inboxes:
            inbox.put_nowait(envelope)
        for name in route.watches:
            self._offer(name, envelope)
        return envelope

    def _owner_of(self, message: Message) -> tuple[Inbox, ...]:
        assert isinstance(message, TimerFired)
        inbox = self._inboxes.get(message.owner)
        return () if inbox is None else (inbox,)

    def _no_room(self, source: str, message: Message, inbox: Inbox) -> InboxFull:
        station = next(name for name, other in self._inboxes.items() if other is inbox)
        full = InboxFull(station, source, message)
        if type(message) not in MARKET_DATA and self.full is None:
            self.full = full
            if self._on_full is not None:
                self._on_full(full)
        return full

    def _offer(self, name: str, envelope: Envelope) -> None:
        _, queue = self._watches[name]
        if queue.full():
            queue.get_nowait()
            self.dropped[name] += 1
        queue.put_nowait(envelope)

    def _route(self, source: str, kind: type[Message]) -> _Route:
        may_say = kind in self._wiring[source].says or kind in ANYONE_SAYS
        assert may_say, f"{source} may not say {kind.__name__} (wiring.py)"
        route = _Route(
            tuple(
                self._inboxes[name]
                for name in subscribers(self._wiring, kind)
                if name in self._inboxes
            ),
            tuple(self._taps.get(kind, ())),
            tuple(name for name, (kinds, _) in self._watches.items() if kind in kinds),
        )
        self._routes[source][kind] = route
        return route

    def _forget_routes(self) -> None:
        for routes in self._routes.values():
            routes.clear()
