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
from tradingd.runtime.actor import Actor
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import Checkpoint, LogStore
from tradingd.runtime.routing import Wiring, is_delivered_to
from tradingd.runtime.timer_heap import TimerHeap

INSTANCE_ID = "genesis"
"""The store's value that holds it."""

FORMER_INSTANCES = "former_geneses"
"""The value that names whose orders on the account are of this log before a restore, oldest first."""

INSTANCE_LETTERS = 6
TIMER_MESSAGES = frozenset({SetTimer, CancelTimer, TimerFired})
_TIMERS, _AT = "timers", "at"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a new run takes up from the runs before it."""

    instance_id: str
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
    former_instances: tuple[str, ...] = ()
    """The instance ids of this log before it was restored."""


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
    instance_id, is_first_start = await _instance_id(store, rng)
    at = int(checkpoint.states.get(_AT, b"0")) if last is None else last.at
    more = {
        name: state
        for name, state in checkpoint.states.items()
        if name not in cores and name not in (_TIMERS, _AT)
    }
    former_instances = tuple((await store.get(FORMER_INSTANCES) or "").split())
    return Recovered(
        instance_id,
        last_seq + 1,
        at,
        checkpoint.seq,
        envelopes,
        timers,
        is_first_start,
        more,
        former_instances,
    )


async def _begin(store: LogStore, cores: Mapping[str, Core], timers: TimerHeap) -> Checkpoint:
    """Load the newest checkpoint that these cores understand; without one they learn from the whole log.

    An actor that is new, or a state that another version wrote, is no reason not to start.
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
    """Apply facts into everybody who heard or said them; who that is, is looked up once a type."""
    concerned: dict[tuple[str, type[Message]], list[Callable[[Message, int], None]]] = {}
    for envelope in envelopes:
        message, at = envelope.message, envelope.at
        kind = type(message)
        # A timer is heard by its owner alone; all else by whoever hears its type, and by who said it.
        who = message.owner if isinstance(message, TimerFired) else envelope.source
        handlers = concerned.get((who, kind))
        if handlers is None:
            handlers = concerned[who, kind] = [
                core.apply
                for name, core in cores.items()
                if envelope.source == name or is_delivered_to(wiring, name, message)
            ]
        for handler in handlers:
            handler(message, at)
        if kind in TIMER_MESSAGES:
            timers.apply(message)


def apply_one(name: str, core: Core, envelope: Envelope, wiring: Wiring) -> None:
    """Apply one journaled fact into a core, if the core heard or said it."""
    if envelope.source == name or is_delivered_to(wiring, name, envelope.message):
        core.apply(envelope.message, envelope.at)


async def save_checkpoint(
    store: LogStore,
    journal: Journal,
    bus: Bus,
    actors: Iterable[Actor],
    timers: TimerHeap,
    *,
    more: Mapping[str, Callable[[], bytes]] | None = None,
) -> bool:
    """Keep the state of all cores, if at this moment every actor has handled all it was told.

    `more`: what else is kept, by a name that no core has.

    A quarantined actor heard what it did not handle: there is no checkpoint in such a run.
    """
    actors = tuple(actors)
    if bus.seq == 0 or not bus.is_quiet() or any(actor.is_quarantined for actor in actors):
        return False
    seq = bus.seq - 1
    states = {actor.name: actor.core.save() for actor in actors}
    states |= {_TIMERS: timers.save(), _AT: str(bus.at).encode()}
    states |= {name: save() for name, save in (more or {}).items()}
    await journal.durable(seq)  # a checkpoint must never know more than the log
    await store.save_checkpoint(Checkpoint(seq, states))
    return True


async def _instance_id(store: LogStore, rng: random.Random) -> tuple[str, bool]:
    known = await store.get(INSTANCE_ID)
    if known is not None:
        return known, False
    instance_id = new_instance_id(rng)
    await store.put(INSTANCE_ID, instance_id)
    return instance_id, True


def new_instance_id(rng: random.Random) -> str:
    """Return the letters that all ids of a log begin with from now on."""
    return "".join(rng.choices(string.ascii_lowercase, k=INSTANCE_LETTERS))
