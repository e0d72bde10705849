"""The bus: all hear it or none, gap-free numbers, time that only goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingd.messages import (
    BooksAgreed,
    Envelope,
    Level,
    LevelChanged,
    Mark,
    Market,
    Message,
    OrderApproved,
    OrderFilled,
    Quote,
    RunStarted,
    Session,
    SessionChanged,
    SnapshotAsked,
    TimerFired,
)
from tradingd.runtime.bus import Bus, MailboxFull
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.mailbox import Mailbox
from tradingd.runtime.routing import hops_to_wire, is_delivered_to, subscribers
from tradingd.wiring import WIRING

AGREED = BooksAgreed("start", is_flat=True, open_orders=0)


class Log:
    def __init__(self) -> None:
        self.rows: list[Envelope] = []

    def append(self, envelope: Envelope) -> None:
        self.rows.append(envelope)


def everything_in(mailbox: Mailbox) -> list[object]:
    return [mailbox.get_nowait() for _ in range(mailbox.qsize())]


SAYINGS: list[tuple[str, Callable[[int], Message]]] = [
    ("feed", lambda n: Quote("IBM", 1.0, 1.0, 1.0, 1.0, n)),
    ("quotes", lambda n: Mark("IBM", 1.0, 1.0, n)),
    ("quotes", lambda n: SessionChanged(Market.CRYPTO, Session.REGULAR, n)),
    ("reconciler", lambda _: AGREED),
    ("supervisor", lambda n: SnapshotAsked(str(n))),
    ("timers", lambda n: TimerFired(list(WIRING)[n % len(WIRING)], "k", n)),
    ("supervisor", lambda _: LevelChanged(Level.NORMAL, ())),
]


@given(
    st.lists(st.tuples(st.sampled_from(SAYINGS), st.integers(-5, 5)), max_size=60),
    st.integers(0, 99),
)
def test_each_inbox_is_the_log_filtered_by_what_its_owner_hears(
    sayings: list[tuple[tuple[str, Callable[[int], Message]], int]], first: int
) -> None:
    clock, log = ManualClock(1_000), Log()
    bus = Bus(clock, log, WIRING, next_seq=first)
    mailboxes = {name: bus.mailbox(name) for name in WIRING}
    for n, ((source, make), step) in enumerate(sayings):
        clock._now += step  # a clock that misbehaves
        bus.publish(source, make(n))

    assert [e.seq for e in log.rows] == list(range(first, first + len(sayings)))
    assert all(a.at <= b.at for a, b in zip(log.rows, log.rows[1:], strict=False))
    for name, mailbox in mailboxes.items():
        assert everything_in(mailbox) == [
            e for e in log.rows if is_delivered_to(WIRING, name, e.message)
        ]


def test_fault_53_without_room_at_one_hearer_nobody_is_told_and_the_halt_is_called() -> None:
    log, halts = Log(), list[MailboxFull]()
    bus = Bus(ManualClock(), log, WIRING, mailbox_max=2, on_full=halts.append)
    supervisor, strategy = bus.mailbox("supervisor"), bus.mailbox("strategy")
    bus.publish("reconciler", AGREED)
    bus.publish("reconciler", AGREED)

    for _ in range(2):
        with pytest.raises(
            MailboxFull, match="the mailbox of supervisor is full at SessionChanged"
        ):
            bus.publish("quotes", SessionChanged(Market.CRYPTO, Session.REGULAR, 0))

    assert (supervisor.qsize(), strategy.qsize(), len(log.rows), bus.seq) == (2, 0, 2, 2)
    assert halts == [bus.full]


def test_fault_53_market_data_without_room_is_refused_but_halts_nothing() -> None:
    halts = list[MailboxFull]()
    bus = Bus(ManualClock(), Log(), WIRING, mailbox_max=1, on_full=halts.append)
    bus.mailbox("strategy")
    quote = Quote("IBM", 1.0, 1.0, 1.0, 1.0, 0)
    bus.publish("feed", quote)

    with pytest.raises(MailboxFull):
        bus.publish("feed", quote)
    assert bus.full is None
    assert halts == []


def test_the_door_has_room_until_an_inbox_is_half_full() -> None:
    bus = Bus(ManualClock(), Log(), WIRING, mailbox_max=4)
    mailbox = bus.mailbox("supervisor")
    bus.publish("reconciler", AGREED)
    assert bus.has_room()
    bus.publish("reconciler", AGREED)
    assert not bus.has_room()
    assert not bus.is_quiet()
    everything_in(mailbox)
    assert bus.has_room()
    assert bus.is_quiet()


def test_a_station_may_only_say_its_own_words() -> None:
    bus = Bus(ManualClock(), Log(), WIRING)

    with pytest.raises(AssertionError, match="feed may not say Mark"):
        bus.publish("feed", Mark("IBM", 1.0, 1.0, 1))
    with pytest.raises(AssertionError, match="no row for kitchen"):
        bus.mailbox("kitchen")


def test_a_slow_watcher_loses_the_oldest_and_the_loss_is_counted() -> None:
    bus = Bus(ManualClock(), Log(), WIRING)
    watch = bus.watch("views", {SnapshotAsked}, size_max=2)
    for n in range(5):
        bus.publish("supervisor", SnapshotAsked(str(n)))
        bus.publish("reconciler", AGREED)

    kept = [watch.get_nowait().message for _ in range(watch.qsize())]
    assert kept == [SnapshotAsked("3"), SnapshotAsked("4")]
    assert bus.dropped == {"views": 3}
    bus.unwatch("views")
    bus.publish("supervisor", SnapshotAsked("unseen"))
    assert watch.empty()


def test_a_tap_is_told_inside_publish_and_before_anyone_can_hear() -> None:
    bus = Bus(ManualClock(), Log(), WIRING)
    strategy = bus.mailbox("strategy")
    seen: list[tuple[Message, int]] = []
    bus.on(LevelChanged, lambda message: seen.append((message, strategy.qsize())))

    bus.publish("supervisor", LevelChanged(Level.HALTED, ("x",)))

    assert seen == [(LevelChanged(Level.HALTED, ("x",)), 0)]


def test_a_watch_or_inbox_made_late_hears_from_then_on() -> None:
    bus, rng = Bus(ManualClock(), Log(), WIRING), random.Random(1)
    bus.publish("supervisor", SnapshotAsked("early"))
    broker = bus.mailbox("broker")
    bus.publish("supervisor", SnapshotAsked(f"late {rng.random()}"))

    assert broker.qsize() == 1


def test_an_approved_order_reaches_the_wire_before_any_bookkeeping() -> None:
    assert subscribers(WIRING, OrderApproved) == ("broker", "router", "reconciler")
    assert hops_to_wire(WIRING)["strategy"] == 2, "an intent, then an approved order"


@given(st.permutations(list(WIRING)))
def test_the_order_of_subscribers_is_the_tables_and_not_that_of_construction(
    built: list[str],
) -> None:
    bus = Bus(ManualClock(), Log(), WIRING)
    for name in built:
        bus.mailbox(name)
    names = {id(mailbox): name for name, mailbox in bus.mailboxes.items()}
    for kind in (OrderApproved, Quote, OrderFilled):
        route = bus._route(next(n for n, row in WIRING.items() if kind in row.publishes), kind)
        assert [names[id(mailbox)] for mailbox in route.mailboxes] == list(
            subscribers(WIRING, kind)
        )


async def test_the_broker_wakes_before_the_router_also_when_it_was_built_last() -> None:
    bus = Bus(ManualClock(), Log(), WIRING)
    woken: list[str] = []

    async def wait(name: str) -> None:
        await bus.mailbox(name).get()
        woken.append(name)

    async with asyncio.TaskGroup() as actors:
        for name in ("reconciler", "router", "broker"):
            actors.create_task(wait(name))
        await asyncio.sleep(0)
        bus.publish("daemon", RunStarted("instance", "run", "build", "hash", "mock"))
    assert woken == ["broker", "router", "reconciler"]
