"""The drained line: the same cores without a loop, always the lowest sequence next.

A backtest spends its time here, so routes are resolved once, market data gets a number but no envelope
unless a tape is wanted, and nothing is counted, logged or awaited per event.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tradingd.messages import MARKET_DATA, NOTHING, Core, Envelope, Message, SetTimer
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.timer_heap import TimerHeap
from tradingd.wiring import ANYONE_SAYS, WIRING, Row

TURNS_MAX = 100_000
"""Messages that one event from outside may cause; more is a cycle without a timer."""

Sink = Callable[[Envelope], object]
_Handle = Callable[[Message, int], Sequence[Message]]
_Keep = Callable[[int, str, Message], None]
_Hearer = tuple[_Handle, "_Routes", str]
_Route = tuple[tuple[_Hearer, ...], _Keep | None]
_ENCODE = msgspec.msgpack.Encoder().encode


class _Routes(dict[type[Message], _Route]):
    """Where the words of one speaker go; a word it may not say is our own error."""

    def __init__(self, speaker: str) -> None:
        super().__init__()
        self._speaker = speaker

    def __missing__(self, kind: type[Message]) -> _Route:
        raise AssertionError(f"{self._speaker} may not say {kind.__name__} (wiring.py)")


class DrainedHouse:
    """All stations in one thread and one queue; time is what the events say."""

    __slots__ = (
        "_clock",
        "_hash",
        "_log",
        "_owners",
        "_queue",
        "_routes",
        "_tape",
        "at",
        "seq",
        "timers",
    )

    def __init__(
        self,
        cores: Mapping[str, Core],
        clock: ManualClock | None = None,
        wiring: Mapping[str, Row] = WIRING,
        *,
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
        self._queue: deque[tuple[Message, tuple[_Hearer, ...]]] = deque()
        self._routes = {name: _Routes(name) for name in wiring}
        self._owners = self._wire(cores, wiring)

    def publish(self, source: str, message: Message, at: int) -> None:
        """Say `message` at `at`, after all timers due by then, and let everyone finish with it."""
        if self.timers.due <= at:
            self.run_until(at)
        if at > self.at:
            self.at = at
            if self._clock is not None:
                self._clock.set(at)
        else:
            at = self.at
        hearers, keep = self._routes[source][type(message)]
        if keep is not None:
            keep(at, source, message)
        self.seq += 1
        for handle, routes, name in hearers:
            said = handle(message, at)
            if said:
                self._say(name, routes, said)
        if self._queue:
            self._drain()
            if self.timers.due <= at:
                self.run_until(at)

    def play(self, source: str, events: Iterable[tuple[int, Message]]) -> None:
        """Publish a whole stream of (at, message)."""
        publish = self.publish
        for at, message in events:
            publish(source, message, at)

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
        return self._hash.hexdigest()

    def _move_to(self, ns: int) -> None:
        self.at = max(self.at, ns)
        if self._clock is not None:
            self._clock.set(self.at)

    def _drain(self) -> None:
        queue, now = self._queue, self.at
        take = queue.popleft
        last = self.seq + TURNS_MAX
        while queue:
            message, hearers = take()
            for handle, routes, name in hearers:
                said = handle(message, now)
                if said:
                    self._say(name, routes, said)
            assert self.seq < last, f"stations turn in a circle: {message}"

    def _say(self, name: str, routes: _Routes, said: Sequence[Message]) -> None:
        append = self._queue.append
        for message in said:
            hearers, keep = routes[type(message)]
            if keep is not None:
                keep(self.at, name, message)
            self.seq += 1
            append((message, hearers))

    def _enqueue(self, source: str, message: Message, hearers: tuple[_Hearer, ...]) -> None:
        self._keep_in_log(self.at, source, message)
        self.seq += 1
        self._queue.append((message, hearers))

    def _keep_in_log(self, at: int, source: str, message: Message) -> None:
        envelope = Envelope(self.seq, at, source, message)  # type: ignore[arg-type]  # a closed union
        self._hash.update(_ENCODE(envelope))
        if self._log is not None:
            self._log(envelope)

    def _keep_on_tape(self, at: int, source: str, message: Message) -> None:
        assert self._tape is not None
        self._tape(Envelope(self.seq, at, source, message))  # type: ignore[arg-type]  # a closed union

    def _set_timer(self, message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, SetTimer):
            assert message.owner in self._owners, f"no station {message.owner} for {message}"
        self.timers.fold(message)
        return NOTHING

    def _wire(self, cores: Mapping[str, Core], wiring: Mapping[str, Row]) -> dict[str, _Hearer]:
        hearers: dict[str, _Hearer] = {
            name: (core.handle, self._routes[name], name) for name, core in cores.items()
        }
        hearers["timers"] = (self._set_timer, self._routes["timers"], "timers")
        for speaker, row in wiring.items():
            for kind in row.says | ANYONE_SAYS:
                to = tuple(
                    hearers[name]
                    for name in wiring
                    if name in hearers and kind in wiring[name].hears
                )
                self._routes[speaker][kind] = (to, self._keeper(kind))
        return hearers

    def _keeper(self, kind: type[Message]) -> _Keep | None:
        if kind not in MARKET_DATA:
            return self._keep_in_log
        return None if self._tape is None else self._keep_on_tape
