"""The audit: decide everything again from the log, and compare with what was said.

Every mailbox is the log filtered by what its owner hears, so a fresh core that is fed the same must say
the same, in the same order. One that does not has looked at something besides its messages.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from tradingd.log.recovery import apply_one
from tradingd.messages import MARKET_DATA, ActorFailed, Core, Envelope, Message, RunStarted
from tradingd.runtime.bus import MAILBOX_MAX
from tradingd.runtime.routing import Wiring, is_delivered_to

MakeCores = Callable[[RunStarted | None], Mapping[str, Core]]
"""Fresh cores by actor, as that run had configured them; None for a log without `RunStarted`."""

_ENCODE = msgspec.msgpack.Encoder().encode


class ReplayOutcome(StrEnum):
    """What replay found for one actor in one run."""

    EXACT = "exact"
    DIVERGED = "diverged"
    NOT_REPLAYABLE = "not replayable"


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where an actor would not have said what the log says it said."""

    seq: int
    """The logged message; where replay said too much, the message it answered."""
    actor: str
    logged: Message | None
    published: Message | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReplayVerdict:
    """One actor in one run."""

    actor: str
    run: int
    outcome: ReplayOutcome
    received: int
    compared: int
    unpublished: int
    """Words decided on the mailbox's last messages that the end of the run cut off."""
    note: str = ""
    divergence: Divergence | None = None


@dataclass(frozen=True, slots=True)
class _ReplayRun:
    number: int
    started: RunStarted | None
    first_seq: int
    envelopes: Sequence[Envelope]


def replay(
    log: Sequence[Envelope], tape: Iterable[Envelope], make_cores: MakeCores, wiring: Wiring
) -> list[ReplayVerdict]:
    """Replay every core actor in every run of an order log and its market tape."""
    taped = list(tape)
    verdicts: list[ReplayVerdict] = []
    for run in _runs(heapq.merge(log, taped, key=lambda envelope: envelope.seq)):
        cores = make_cores(run.started)
        for envelope in log:
            if envelope.seq >= run.first_seq:
                break
            for name, core in cores.items():
                apply_one(name, core, envelope, wiring)
        tape_begins = next((e.seq for e in taped if e.seq >= run.first_seq), None)
        verdicts += [
            _replay_actor(name, core, run, tape_begins, wiring) for name, core in cores.items()
        ]
    return verdicts


def _runs(merged: Iterator[Envelope]) -> Iterator[_ReplayRun]:
    envelopes: list[Envelope] = []
    number = 0
    for envelope in merged:
        if isinstance(envelope.message, RunStarted) and envelopes:
            yield _run(number, envelopes)
            envelopes = []
            number += 1
        envelopes.append(envelope)
    if envelopes:
        yield _run(number, envelopes)


def _run(number: int, envelopes: list[Envelope]) -> _ReplayRun:
    first = envelopes[0]
    started = first.message if isinstance(first.message, RunStarted) else None
    return _ReplayRun(number + 1, started, first.seq, envelopes)


def _replay_actor(
    name: str, core: Core, run: _ReplayRun, tape_begins: int | None, wiring: Wiring
) -> ReplayVerdict:
    reads_market = bool(wiring[name].subscribes & MARKET_DATA)
    # Between two rows of the order log only market data can be missing: the log is durable by prefix.
    hole = _first_missing(run) if reads_market else None
    if hole is None:
        return _Comparison(name, core, run.envelopes, wiring).verdict(run.number, "")
    if tape_begins is None or hole < tape_begins:
        begins = "is gone" if tape_begins is None else f"begins at seq {tape_begins}"
        note = f"the tape {begins}, seq {hole} is needed"
        return ReplayVerdict(name, run.number, ReplayOutcome.NOT_REPLAYABLE, 0, 0, 0, note)
    until = [envelope for envelope in run.envelopes if envelope.seq < hole]
    note = f"up to seq {hole}, which neither log nor tape holds"
    return _Comparison(name, core, until, wiring).verdict(run.number, note)


def _first_missing(run: _ReplayRun) -> int | None:
    expected = run.first_seq
    for envelope in run.envelopes:
        if envelope.seq != expected:
            return expected
        expected += 1
    return None


class _Comparison:
    """Feeds one core what it heard, and holds what it says against what the log says it said."""

    def __init__(
        self, name: str, core: Core, envelopes: Sequence[Envelope], wiring: Wiring
    ) -> None:
        self._name = name
        self._core = core
        self._inputs = [e for e in envelopes if is_delivered_to(wiring, name, e.message)]
        self._logged = deque(e for e in envelopes if e.source == name)
        self._has_failed = any(
            isinstance(e.message, ActorFailed) and e.message.actor == name for e in envelopes
        )
        self._received = 0
        self._compared = 0
        self._unpublished: list[tuple[int, Envelope, Message]] = []

    def verdict(self, run: int, note: str) -> ReplayVerdict:
        """Replay to the end or to the first divergence."""
        divergence = self._first_divergence()
        outcome = ReplayOutcome.EXACT if divergence is None else ReplayOutcome.DIVERGED
        return ReplayVerdict(
            self._name,
            run,
            outcome,
            self._received,
            self._compared,
            len(self._unpublished),
            note,
            divergence,
        )

    def _first_divergence(self) -> Divergence | None:
        for received in self._inputs:
            self._received += 1
            try:
                emitted = self._core.handle(received.message, received.at)
            except Exception as error:  # noqa: BLE001 - the audit reports what a core raises, whatever it is
                return self._after_raising(received, error)
            for message in emitted:
                found = self._compare(received, message)
                if found is not None:
                    return found
        return self._at_the_end()

    def _compare(self, received: Envelope, message: Message) -> Divergence | None:
        if not self._logged:
            self._unpublished.append((self._received, received, message))
            return None
        logged = self._logged.popleft()
        if logged.seq <= received.seq:
            error = f"said before seq {received.seq} was heard"
            return Divergence(logged.seq, self._name, logged.message, message, error)
        # By bytes where `==` disagrees: a NaN equals nothing.
        if logged.message != message and _ENCODE(logged.message) != _ENCODE(message):
            return Divergence(logged.seq, self._name, logged.message, message)
        self._compared += 1
        return None

    def _after_raising(self, received: Envelope, error: Exception) -> Divergence | None:
        if self._has_failed:
            return self._at_the_end()  # the live one raised too, and was quarantined
        text = f"{type(error).__name__}: {error}"
        return Divergence(received.seq, self._name, None, None, text)

    def _at_the_end(self) -> Divergence | None:
        if self._logged:
            logged = self._logged[0]
            return Divergence(logged.seq, self._name, logged.message, None)
        if not self._unpublished:
            return None
        first, received, emitted = self._unpublished[0]
        # What was decided on messages still in the mailbox when the run ended could not be said.
        if self._received - first < MAILBOX_MAX:
            return None
        return Divergence(received.seq, self._name, None, emitted)
