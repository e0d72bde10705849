"""The synchronous runner: the same cores without a loop, always the lowest sequence next.

A backtest spends its time here, so routes are resolved once, market data gets a number but no envelope
unless a tape is wanted, and nothing is counted, logged or awaited per event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn, Protocol, runtime_checkable

import msgspec

from tradingd.messages import (
    MARKET_DATA,
    CancelTimer,
    Core,
    Envelope,
    Message,
    SetTimer,
    TimerFired,
)
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.routing import ANYONE_PUBLISHES, Wiring, subscribers
from tradingd.runtime.timer_heap import TimerHeap

TURNS_MAX = 100_000
"""Messages that one event from outside may cause; more is a cycle without a timer."""

HASHED_AT_ONCE = 512
"""Envelopes per update of the digest: each update costs as much as some hundred bytes of hashing."""

Sink = Callable[[Envelope], object]
_Handle = Callable[[Any, int], Sequence[Message] | None]
_Watch = Callable[[Any, int], None]
"""Called for a kind of message after all actors heard it; it says nothing."""
_Keep = Callable[[int, str, Message], None]
_Receiver = tuple[_Handle, str, "_Routes"]
_Routes = dict[type[Message], tuple[tuple[_Receiver, ...], _Keep | None]]
"""Where the words of one publisher go, and where they are kept."""
_ENCODE = msgspec.msgpack.Encoder().encode


@runtime_checkable
class Tabled(Protocol):
    """A core whose `handle` is a table: the line may look up once what to call for each kind."""

    def handler(self, kind: type[Message]) -> _Handle | None:
        """Return what `handle` calls for `kind`; None where it neither applies nor says anything."""


class SynchronousRunner:
    """All actors in one thread and one queue; time is what the events say."""

    __slots__ = (
        "_clock",
        "_hash",
        "_log",
        "_owners",
        "_queue",
        "_routes",
        "_tape",
        "_unhashed",
        "at",
        "seq",
        "timers",
    )

    def __init__(
        self,
        cores: Mapping[str, Core],
        wiring: Wiring,
        clock: ManualClock | None = None,
        *,
        watch: Mapping[type[Message], _Watch] = MappingProxyType({}),
        log: Sink | None = None,
        tape: Sink | None = None,
        next_seq: int = 0,
    ) -> None:
        assert cores.keys() <= wiring.keys(), f"no row for {cores.keys() - wiring.keys()}"
        self.seq = next_seq
        self.at = 0
        self.timers = TimerHeap()
        self._clock = clock
        self._log = log
        self._tape = tape
        self._hash = hashlib.sha256()
        self._unhashed: list[bytes] = []
        self._queue: list[tuple[Message, tuple[_Receiver, ...]]] = []
        self._routes: dict[str, _Routes] = {name: {} for name in wiring}
        self._owners = self._wire(cores, wiring, watch)

    def publish(self, source: str, message: Message, at: int) -> None:
        """Say `message` at `at`, after all timers due by then, and let everyone finish with it."""
        self.play(source, ((at, message),))

    def play(self, source: str, events: Iterable[tuple[int, Message]]) -> None:
        """Publish a whole stream of (at, message)."""
        queue, routes_of_source, timers = self._queue, self._routes[source], self.timers
        for at, message in events:
            if timers.due <= at:
                self.run_until(at)
            if at > self.at:
                self.at = at
                if self._clock is not None:
                    self._clock.set(at)
            else:
                at = self.at  # noqa: PLW2901 - time never runs backwards
            receivers, keep = routes_of_source.get(type(message)) or _unwired(source, message)
            if keep is not None:
                keep(at, source, message)
            self.seq += 1
            for handle, name, routes in receivers:
                emitted = handle(message, at)
                if emitted:
                    self._emit(name, routes, emitted)
            if queue:
                self._drain()
                if timers.due <= at:
                    self.run_until(at)

    def run_until(self, ns: int) -> None:
        """Fire every timer due by `ns`, each at its own time, and drain what it causes."""
        turns, instant = 0, -1
        while (due := self.timers.due) <= ns:
            self._move_to(due)
            turns = turns + 1 if self.at == instant else 0
            instant = self.at
            assert turns < TURNS_MAX, f"timers turn in a circle at {self.at}"
            fired = self.timers.pop(due)
            assert fired is not None
            self._enqueue("timers", fired, (self._owners[fired.owner],))
            self._drain()
        self._move_to(ns)

    def digest(self) -> str:
        """Return the SHA-256 of all order-log envelopes so far: equal runs have equal digests."""
        self._hash_kept()
        return self._hash.hexdigest()

    def _move_to(self, ns: int) -> None:
        self.at = max(self.at, ns)
        if self._clock is not None:
            self._clock.set(self.at)

    def _drain(self) -> None:
        queue, now = self._queue, self.at
        last = self.seq + TURNS_MAX
        for message, receivers in queue:  # a list's iterator sees what is appended on the way
            for handle, name, routes in receivers:
                emitted = handle(message, now)
                if emitted:
                    self._emit(name, routes, emitted)
                    assert self.seq < last, f"stations turn in a circle: {message}"
        queue.clear()

    def _emit(self, name: str, routes: _Routes, fact: Sequence[Message]) -> None:
        for message in fact:
            receivers, keep = routes.get(type(message)) or _unwired(name, message)
            if keep is not None:
                keep(self.at, name, message)
            self.seq += 1
            if receivers:
                self._queue.append((message, receivers))

    def _enqueue(self, source: str, message: Message, receivers: tuple[_Receiver, ...]) -> None:
        self._keep_in_log(self.at, source, message)
        self.seq += 1
        self._queue.append((message, receivers))

    def _keep_in_log(self, at: int, source: str, message: Message) -> None:
        envelope = Envelope(self.seq, at, source, message)  # type: ignore[arg-type]  # a closed union
        self._unhashed.append(_ENCODE(envelope))
        if len(self._unhashed) >= HASHED_AT_ONCE:
            self._hash_kept()
        if self._log is not None:
            self._log(envelope)

    def _hash_kept(self) -> None:
        self._hash.update(b"".join(self._unhashed))
        self._unhashed.clear()

    def _keep_on_tape(self, at: int, source: str, message: Message) -> None:
        assert self._tape is not None
        self._tape(Envelope(self.seq, at, source, message))  # type: ignore[arg-type]  # a closed union

    def _set_timer(self, timer: SetTimer, now: int) -> None:
        assert timer.owner in self._owners, f"no actor {timer.owner} for {timer}"
        self.timers.set(timer.owner, timer.key, timer.fires_at)

    def _cancel_timer(self, timer: CancelTimer, now: int) -> None:
        self.timers.cancel(timer.owner, timer.key)

    def _wire(
        self,
        cores: Mapping[str, Core],
        wiring: Wiring,
        watch: Mapping[type[Message], _Watch],
    ) -> dict[str, _Receiver]:
        """Resolve who hears what from whom; return how a timer wakes its owner."""
        for publisher, values in wiring.items():
            for kind in values.publishes | ANYONE_PUBLISHES:
                receivers = [
                    self._receiver(cores, name, kind) for name in subscribers(wiring, kind)
                ]
                if kind in watch:
                    receivers.append((watch[kind], "watch", {}))
                to = tuple(receiver for receiver in receivers if receiver is not None)
                self._routes[publisher][kind] = (to, self._keeper(kind))
        woken = ((name, self._receiver(cores, name, TimerFired)) for name in cores)
        return {name: receiver for name, receiver in woken if receiver is not None}

    def _receiver(
        self, cores: Mapping[str, Core], name: str, kind: type[Message]
    ) -> _Receiver | None:
        handle: _Handle | None = None
        if name == "timers":
            handle = self._set_timer if kind is SetTimer else self._cancel_timer
        elif name in cores:
            core = cores[name]
            handle = core.handler(kind) if isinstance(core, Tabled) else core.handle
        return None if handle is None else (handle, name, self._routes[name])

    def _keeper(self, kind: type[Message]) -> _Keep | None:
        if kind not in MARKET_DATA:
            return self._keep_in_log
        return None if self._tape is None else self._keep_on_tape


def _unwired(publisher: str, message: Message) -> NoReturn:
    raise AssertionError(f"{publisher} may not say {type(message).__name__} (wiring.py)")
