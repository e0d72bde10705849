"""The bus: one order of events. Checks room, stamps, writes down, delivers; with no await in between.

So every mailbox is the log filtered by what its owner hears, whatever the scheduler does, and an actor's
decisions can be replayed from the log alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from tradingd.messages import MARKET_DATA, Envelope, Message, TimerFired
from tradingd.runtime.mailbox import Mailbox
from tradingd.runtime.ports import Clock
from tradingd.runtime.routing import ANYONE_PUBLISHES, Wiring, subscribers

MAILBOX_MAX = 4096

Watch = asyncio.Queue[Envelope]


class MailboxFull(Exception):  # noqa: N818 - it names the state of affairs
    """A subscriber has no room, so nobody was told. Anything but market data halts the system."""

    def __init__(self, actor: str, source: str, message: Message) -> None:
        super().__init__(
            f"the mailbox of {actor} is full at {type(message).__name__} from {source}"
        )
        self.actor = actor
        self.message = message


class Appends(Protocol):
    """What the bus needs of the journal."""

    def append(self, envelope: Envelope) -> None:
        """Take one envelope, at once and without failing."""


class _Route(NamedTuple):
    mailboxes: tuple[Mailbox, ...]
    taps: tuple[Callable[[Message], None], ...]
    watches: tuple[str, ...]


class Bus:
    """Actors publish here and hear from here."""

    def __init__(
        self,
        clock: Clock,
        journal: Appends,
        wiring: Wiring,
        *,
        mailbox_max: int = MAILBOX_MAX,
        next_seq: int = 0,
        at: int = 0,
        on_full: Callable[[MailboxFull], None] | None = None,
    ) -> None:
        self.seq = next_seq
        """The number of the next envelope."""
        self.at = at
        """The time of the latest envelope; the next is never earlier."""
        self.full: MailboxFull | None = None
        """The first message other than market data that found no room."""
        self.dropped: dict[str, int] = {}
        """Watch name -> envelopes dropped because their reader was slow."""
        self._clock = clock
        self._journal = journal
        self._wiring = wiring
        self._mailbox_max = mailbox_max
        self._on_full = on_full
        self._mailboxes: dict[str, Mailbox] = {}
        self._taps: dict[type[Message], list[Callable[[Message], None]]] = {}
        self._watches: dict[str, tuple[frozenset[type[Message]], Watch]] = {}
        self._routes: dict[str, dict[type[Message], _Route]] = {name: {} for name in wiring}

    def mailbox(self, actor: str) -> Mailbox:
        """Return the mailbox of an actor; it is made, and hears, from the first call on."""
        if actor not in self._mailboxes:
            assert actor in self._wiring, f"no row for {actor} (wiring.py)"
            # Unbounded as a queue: `publish` keeps the bound, and a heartbeat must find room in a full one.
            self._mailboxes[actor] = asyncio.Queue()
            self._forget_routes()
        return self._mailboxes[actor]

    @property
    def mailbox_max(self) -> int:
        """Room of every mailbox, in messages."""
        return self._mailbox_max

    @property
    def mailboxes(self) -> Mapping[str, Mailbox]:
        """All mailboxes by actor."""
        return self._mailboxes

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
        """Tell whether every mailbox is under half full: the door conflates while one is not."""
        half = self._mailbox_max // 2
        for mailbox in self._mailboxes.values():  # noqa: SIM110 - asked for every quote: no generator
            if mailbox.qsize() >= half:
                return False
        return True

    def is_quiet(self) -> bool:
        """Tell whether every actor has handled all it was told."""
        return all(mailbox.empty() for mailbox in self._mailboxes.values())

    def publish(self, source: str, message: Message) -> Envelope:
        """Give `message` its place in the order of events and tell its subscribers: all of them or none."""
        kind = type(message)
        route = self._routes[source].get(kind) or self._route(source, kind)
        mailboxes = route.mailboxes if kind is not TimerFired else self._owner_of(message)
        for mailbox in mailboxes:
            if mailbox.qsize() >= self._mailbox_max:
                raise self._no_room(source, message, mailbox)
        at = max(self._clock.now(), self.at)
        envelope = Envelope(self.seq, at, source, message)  # type: ignore[arg-type]  # a closed union
        self.seq += 1
        self.at = at
        self._journal.append(envelope)
        for tap in route.taps:
            tap(message)
        for mailbox in mailboxes:
            mailbox.put_nowait(envelope)
        for name in route.watches:
            self._offer(name, envelope)
        return envelope

    def _owner_of(self, message: Message) -> tuple[Mailbox, ...]:
        assert isinstance(message, TimerFired)
        mailbox = self._mailboxes.get(message.owner)
        return () if mailbox is None else (mailbox,)

    def _no_room(self, source: str, message: Message, mailbox: Mailbox) -> MailboxFull:
        actor = next(name for name, other in self._mailboxes.items() if other is mailbox)
        full = MailboxFull(actor, source, message)
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
        may_publish = kind in self._wiring[source].publishes or kind in ANYONE_PUBLISHES
        assert may_publish, f"{source} may not say {kind.__name__} (wiring.py)"
        route = _Route(
            tuple(
                self._mailboxes[name]
                for name in subscribers(self._wiring, kind)
                if name in self._mailboxes
            ),
            tuple(self._taps.get(kind, ())),
            tuple(name for name, (kinds, _) in self._watches.items() if kind in kinds),
        )
        self._routes[source][kind] = route
        return route

    def _forget_routes(self) -> None:
        for routes in self._routes.values():
            routes.clear()
