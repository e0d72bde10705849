"""Recovery: applying the log gives the state that deciding gave."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.runtime import toy
from tradingd.log.journal import Journal
from tradingd.log.memory_store import MemoryStore
from tradingd.log.memory_tape import NullTape
from tradingd.log.recovery import recover, save_checkpoint
from tradingd.messages import Core, Envelope, SetTimer, SnapshotAsked
from tradingd.runtime.actor import Actor
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.ports import Checkpoint
from tradingd.runtime.timer_heap import TimerHeap
from tradingd.runtime.timers import Timers
from tradingd.wiring import WIRING


def saved(cores: dict[str, Core]) -> dict[str, bytes]:
    return {name: core.save() for name, core in cores.items()}


async def recovered_after(
    rows: Sequence[Envelope], kept: MemoryStore | None = None
) -> dict[str, bytes]:
    store = kept or MemoryStore()
    await store.write(rows)
    again = toy.cores()
    await recover(store, again, WIRING, random.Random(1))
    return saved(again)


async def test_a_recovered_core_equals_the_live_one() -> None:
    for seed in range(3):
        store, tape = toy.memory()
        live, log = await toy.session(store, tape, seed)

        assert await recovered_after(log) == saved(dict(live))


async def test_a_checkpoint_and_the_facts_after_it_give_the_state_of_the_whole_log() -> None:
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1)
    whole = await recovered_after(log)
    journal = Journal(store, NullTape())
    for cut in range(0, len(log), len(log) // 7):
        head, tail = log[: cut + 1], log[cut + 1 :]
        kept = MemoryStore()
        cores = toy.cores()
        await kept.write(head)
        done = await recover(kept, cores, WIRING, random.Random(1))
        bus = Bus(ManualClock(done.at), journal, WIRING, next_seq=done.next_seq, at=done.at)
        actors = [Actor(name, core, bus, lambda _: None) for name, core in cores.items()]
        assert await save_checkpoint(kept, journal, bus, actors, done.timers)

        assert await recovered_after(tail, kept) == whole


async def test_numbers_and_time_go_on_behind_log_and_tape() -> None:
    store = MemoryStore()
    await store.write([Envelope(4, 40, "supervisor", SnapshotAsked("x"))])

    first = await recover(store, {}, WIRING, random.Random(1))
    second = await recover(store, {}, WIRING, random.Random(2), tape_last_seq=9)

    assert (first.next_seq, first.at, first.is_first_start) == (5, 40, True)
    assert (second.next_seq, second.is_first_start) == (10, False)
    assert second.instance_id == first.instance_id
    assert len(first.instance_id) == 6


async def test_time_goes_on_behind_a_checkpoint_with_nothing_after_it() -> None:
    store, journal = MemoryStore(), Journal(MemoryStore(), NullTape())
    bus = Bus(ManualClock(), journal, WIRING, next_seq=7, at=70)
    heap = TimerHeap()
    heap.set("quotes", "tick", 99)
    assert await save_checkpoint(store, journal, bus, [], heap)

    recovered = await recover(store, {}, WIRING, random.Random(1))

    assert (recovered.next_seq, recovered.at, recovered.timers.due) == (7, 70, 99)


async def test_there_is_no_checkpoint_while_a_station_has_something_to_hear() -> None:
    store, journal = MemoryStore(), Journal(MemoryStore(), NullTape())
    bus = Bus(ManualClock(), journal, WIRING)
    actor = Actor("risk", toy.Risk(), bus, lambda _: None)
    assert not await save_checkpoint(store, journal, bus, [actor], TimerHeap())
    bus.publish("daemon", toy.STARTED)
    assert not await save_checkpoint(store, journal, bus, [actor], TimerHeap())
    bus.mailbox("risk").get_nowait()
    actor.is_quarantined = True
    assert not await save_checkpoint(store, journal, bus, [actor], TimerHeap())

    assert await store.latest_checkpoint() is None


async def test_a_station_without_a_saved_state_learns_it_from_the_whole_log() -> None:
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1, quotes=60)
    journal = Journal(store, tape)
    bus = Bus(ManualClock(), journal, WIRING, next_seq=10_000)
    only = Actor("risk", toy.Risk(), bus, lambda _: None)
    assert await save_checkpoint(store, journal, bus, [only], TimerHeap())
    again = toy.cores()
    await recover(store, again, WIRING, random.Random(1))

    assert saved(again) == await recovered_after(log)


async def test_timers_that_have_not_fired_are_armed_again() -> None:
    rows = [
        Envelope(0, 0, "quotes", SetTimer("quotes", "tick", 50)),
        Envelope(1, 0, "quotes", SetTimer("quotes", "tock", 60)),
    ]
    bus = Bus(ManualClock(), Journal(MemoryStore(), NullTape()), WIRING)
    timers = Timers(bus, ManualClock())
    timers.restore(rows)

    assert timers.heap.due == 50
    assert len(timers.heap) == 2


@pytest.mark.parametrize("seed", range(3))
async def test_a_run_that_was_cut_recovers_what_it_had_journaled(seed: int) -> None:
    store, tape = toy.memory()
    await toy.session(store, tape, seed, is_cut=True)
    live, log = await toy.session(store, tape, seed + 10, quotes=0, is_cut=True)

    assert await recovered_after(log) == saved(dict(live))


class Shelf(MemoryStore):
    """Keeps several checkpoints."""

    def __init__(self, *checkpoints: Checkpoint) -> None:
        super().__init__()
        self.checkpoints = checkpoints

    async def latest_checkpoint(self, before_seq: int | None = None) -> Checkpoint | None:
        older = (c for c in self.checkpoints if before_seq is None or c.seq < before_seq)
        return max(older, key=lambda each: each.seq, default=None)


@pytest.mark.parametrize("state", [b"\xff", b"", b"{}", b"[1]"])
async def test_a_state_that_another_version_wrote_is_passed_over(state: bytes) -> None:
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1)
    whole = await recovered_after(log)
    cut = len(log) // 2
    kept = MemoryStore()
    cores = toy.cores()
    await kept.write(log[: cut + 1])
    done = await recover(kept, cores, WIRING, random.Random(1))
    states = saved(cores) | {"timers": done.timers.save(), "at": b"%d" % done.at}
    good = Checkpoint(log[cut].seq, states)
    unknown = Checkpoint(log[-1].seq, {**states, "risk": state})
    for shelf in (Shelf(good, unknown), Shelf(unknown)):
        await shelf.write(log)
        again = toy.cores()
        recovered = await recover(shelf, again, WIRING, random.Random(1))
        assert saved(again) == whole
        assert recovered.after_seq == (good.seq if good in shelf.checkpoints else -1)
