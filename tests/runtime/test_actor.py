"""Actors: turns, quarantine, heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tradingd.messages import (
    NOTHING,
    ActorFailed,
    BooksAgreed,
    Envelope,
    Message,
    SnapshotAsked,
)
from tradingd.runtime.actor import Actor, run_edge
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.mailbox import TURNS_MAX, Heartbeat, received
from tradingd.wiring import WIRING

AGREED = BooksAgreed("start", is_flat=True, open_orders=0)


class Log(list[Envelope]):
    pass


class Supervisor:
    """Answers each agreement with two asks; raises on the third message it hears."""

    def __init__(self, raises_on: int = 0) -> None:
        self.received = 0
        self._raises_on = raises_on

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        self.received += 1
        if self.received == self._raises_on:
            raise ZeroDivisionError("planted")
        return (SnapshotAsked(f"{self.received}"),) if isinstance(message, BooksAgreed) else NOTHING

    def apply(self, message: Message, now: int) -> None:
        self.received += 1

    def save(self) -> bytes:
        return b""

    def load(self, state: bytes) -> None:
        assert state == b""


async def passes(turns: int = 5) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_a_station_publishes_what_its_core_says_in_order() -> None:
    log = Log()
    bus = Bus(ManualClock(), log, WIRING)
    actor = Actor("supervisor", Supervisor(), bus, lambda _: None)
    task = asyncio.create_task(actor.run())
    for _ in range(3):
        bus.publish("reconciler", AGREED)
    await passes()
    task.cancel()

    assert [e.message for e in log if e.source == "supervisor"] == [
        SnapshotAsked("1"), SnapshotAsked("2"), SnapshotAsked("3"),
    ]  # fmt: skip


async def test_a_station_yields_after_its_turns() -> None:
    bus = Bus(ManualClock(), Log(), WIRING)
    core = Supervisor()
    task = asyncio.create_task(Actor("supervisor", core, bus, lambda _: None).run())
    for _ in range(TURNS_MAX * 2):
        bus.publish("reconciler", AGREED)
    await asyncio.sleep(0)
    first = core.received
    await passes()
    task.cancel()

    assert (first, core.received) == (TURNS_MAX, TURNS_MAX * 2)


async def test_a_core_that_raises_is_quarantined_and_its_inbox_emptied_unheard() -> None:
    log, failures = Log(), list[ActorFailed]()
    bus = Bus(ManualClock(), log, WIRING, mailbox_max=4)
    core = Supervisor(raises_on=2)
    actor = Actor("supervisor", core, bus, failures.append)
    task = asyncio.create_task(actor.run())
    for _ in range(20):
        bus.publish("reconciler", AGREED)
        await passes(2)
    task.cancel()

    assert core.received == 2
    assert actor.is_quarantined
    assert [e.message for e in log if e.source == "supervisor"] == [SnapshotAsked("1")]
    assert [f.actor for f in failures] == ["supervisor"]
    assert failures[0].error == "ZeroDivisionError: planted (on BooksAgreed 2)"
    assert "in handle" in failures[0].traceback
    assert bus.mailbox("supervisor").empty()


async def test_a_heartbeat_is_answered_by_the_loop_of_a_living_station_only() -> None:
    bus = Bus(ManualClock(), Log(), WIRING)
    actor = Actor("supervisor", Supervisor(raises_on=1), bus, lambda _: None)
    task = asyncio.create_task(actor.run())
    alive, stopped_dead = Heartbeat(0), Heartbeat(0)
    bus.mailbox("supervisor").put_nowait(alive)
    bus.publish("reconciler", AGREED)
    bus.mailbox("supervisor").put_nowait(stopped_dead)
    await passes()
    task.cancel()

    assert (alive.is_answered, stopped_dead.is_answered) == (True, False)


async def test_an_edge_hears_envelopes_and_its_heartbeats_are_answered_for_it() -> None:
    bus = Bus(ManualClock(), Log(), WIRING)
    mailbox, token, got = bus.mailbox("broker"), Heartbeat(0), list[Message]()
    mailbox.put_nowait(token)

    async def edge() -> None:
        async for envelope in received(mailbox):
            got.append(envelope.message)

    task = asyncio.create_task(edge())
    bus.publish("supervisor", SnapshotAsked("x"))
    await passes()
    task.cancel()

    assert token.is_answered
    assert got == [SnapshotAsked("x")]


async def test_an_edge_that_raises_is_quarantined_like_a_station() -> None:
    bus, failures = Bus(ManualClock(), Log(), WIRING, mailbox_max=2), list[ActorFailed]()
    mailbox = bus.mailbox("broker")

    async def edge() -> None:
        async for envelope in received(mailbox):
            raise OSError(f"planted at {envelope.seq}")

    task = asyncio.create_task(run_edge("broker", edge(), bus, failures.append))
    for _ in range(9):
        bus.publish("supervisor", SnapshotAsked("x"))
        await passes(2)
    task.cancel()

    assert [(f.actor, f.error) for f in failures] == [("broker", "OSError: planted at 0")]
    assert mailbox.empty()
