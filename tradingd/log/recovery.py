"""Starting is applying: the last checkpoint, then every journaled fact; nothing is decided again.

First start, restart and crash are one path. What the log cannot say, the broker's snapshot will.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tradingd.log.journal import Journal
from tradingd.messages import CancelTimer, Core, Envelope, Message, SetTimer, TimerFired
from tradingd.runtime.actor import Station
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import Checkpoint, LogStore
from tradingd.runtime.routing import Wiring, is_heard_by
from tradingd.runtime.timer_heap import TimerHeap

GENESIS = "genesis"
"""The store's value that holds it."""

FORMER = "former_geneses"
"""The value that names whose orders on the account are of this log before a restore, oldest first."""

GENESIS_LETTERS = 6
TIMER_WORDS = frozenset({SetTimer, CancelTimer, TimerFired})
_TIMERS, _AT = "timers", "at"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a new run takes up from the runs before it."""

    genesis: str
    next_seq: int
    at: int
    """The time of the last fact; the new run's first is never earlier."""
    after_seq: int
    """What the checkpoint knew already; -1 where the whole log was read."""
    envelopes: Sequence[Envelope]
    """The facts after the checkpoint, oldest first."""
    timers: TimerHeap
    """The timers that were set and have not fired."""
    is_first_start: bool
    more: Mapping[str, bytes] = field(default_factory=dict)
    """What the checkpoint kept beside the cores, by name."""
    former: tuple[str, ...] = ()
    """The geneses of this log before it was restored."""


async def recover(
    store: LogStore,
    cores: Mapping[str, Core],
    wiring: Wiring,
    rng: random.Random,
    tape_last_seq: int = -1,
) -> Recovered:
    """Bring fresh cores to where the log ends; the store is open."""
    timers = TimerHeap()
    checkpoint = await _begin(store, cores, timers)
    envelopes = await store.read(checkpoint.seq)
    apply_all(envelopes, cores, timers, wiring)
    last = envelopes[-1] if envelopes else None
    last_seq = max(checkpoint.seq, tape_last_seq, -1 if last is None else last.seq)
    genesis, is_first_start = await _genesis(store, rng)
    at = int(checkpoint.states.get(_AT, b"0")) if last is None else last.at
    more = {
        name: state
        for name, state in checkpoint.states.items()
        if name not in cores and name not in (_TIMERS, _AT)
    }
    former = tuple((await store.get(FORMER) or "").split())
    return Recovered(
        genesis, last_seq + 1, at, checkpoint.seq, envelopes, timers, is_first_start, more, former
    )


async def _begin(store: LogStore, cores: Mapping[str, Core], timers: TimerHeap) -> Checkpoint:
    """Load the newest checkpoint that these cores understand; without one they learn from the whole log.

    A station that is new, or a state that another version wrote, is no reason not to start.
    """
    fresh = {name: core.save() for name, core in cores.items()}
    checkpoint = await store.latest_checkpoint()
    while checkpoint is not None:
        if checkpoint.states.keys() >= {*cores, _TIMERS} and _is_loaded(checkpoint, cores, timers):
            return checkpoint
        checkpoint = await store.latest_checkpoint(checkpoint.seq)
    for name, core in cores.items():
        core.load(fresh[name])
    return Checkpoint(-1, {})


def _is_loaded(checkpoint: Checkpoint, cores: Mapping[str, Core], timers: TimerHeap) -> bool:
    try:
        timers.load(checkpoint.states[_TIMERS])
        for name, core in cores.items():
            core.load(checkpoint.states[name])
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError):
        timers.load(TimerHeap().save())
        return False
    return True


def apply_all(
    envelopes: Sequence[Envelope], cores: Mapping[str, Core], timers: TimerHeap, wiring: Wiring
) -> None:
    """Fold facts into everybody who heard or said them; who that is, is looked up once a type."""
    concerned: dict[tuple[str, type[Message]], list[Callable[[Message, int], None]]] = {}
    for envelope in envelopes:
        message, at = envelope.message, envelope.at
        kind = type(message)
        # A timer is heard by its owner alone; all else by whoever hears its type, and by who said it.
        who = message.owner if isinstance(message, TimerFired) else envelope.source
        folds = concerned.get((who, kind))
        if folds is None:
            folds = concerned[who, kind] = [
                core.apply
                for name, core in cores.items()
                if envelope.source == name or is_heard_by(wiring, name, message)
            ]
        for fold in folds:
            fold(message, at)
        if kind in TIMER_WORDS:
            timers.fold(message)


def apply_one(name: str, core: Core, envelope: Envelope, wiring: Wiring) -> None:
    """Fold one journaled fact into a core, if the core heard or said it."""
    if envelope.source == name or is_heard_by(wiring, name, envelope.message):
        core.apply(envelope.message, envelope.at)


async def save_checkpoint(
    store: LogStore,
    journal: Journal,
    bus: Bus,
    stations: Iterable[Station],
    timers: TimerHeap,
    *,
    more: Mapping[str, Callable[[], bytes]] | None = None,
) -> bool:
    """Keep the state of all cores, if at this moment every station has handled all it was told.

    `more`: what else is kept, by a name that no core has.

    A quarantined station heard what it did not handle: there is no checkpoint in such a run.
    """
    stations = tuple(stations)
    if bus.seq == 0 or not bus.is_quiet() or any(station.is_quarantined for station in stations):
        return False
    seq = bus.seq - 1
    states = {station.name: station.core.save() for station in stations}
    states |= {_TIMERS: timers.save(), _AT: str(bus.at).encode()}
    states |= {name: save() for name, save in (more or {}).items()}
    await journal.durable(seq)  # a checkpoint must never know more than the log
    await store.save_checkpoint(Checkpoint(seq, states))
    return True


async def _genesis(store: LogStore, rng: random.Random) -> tuple[str, bool]:
    known = await store.get(GENESIS)
    if known is not None:
        return known, False
    genesis = new_genesis(rng)
    await store.put(GENESIS, genesis)
    return genesis, True


def new_genesis(rng: random.Random) -> str:
    """Return the letters that all ids of a log begin with from now on."""
    return "".join(rng.choices(string.ascii_lowercase, k=GENESIS_LETTERS))
