"""The synchronous runner: one order, timers in time, equal digests, no circles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from tests.runtime import toy
from tradingd.log.replay import ReplayOutcome, replay
from tradingd.messages import (
    NOTHING,
    BooksAgreed,
    BrokerSnapshot,
    Envelope,
    Mark,
    Message,
    Quote,
    SetTimer,
    SnapshotAsked,
    TimerFired,
)
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.synchronous import SynchronousRunner
from tradingd.wiring import WIRING

Decide = Callable[[Message, int], Sequence[Message]]


class Scripted:
    """A core that answers by a function and remembers what it heard."""

    def __init__(self, decide: Decide = lambda _message, _now: NOTHING) -> None:
        self.received: list[tuple[Message, int]] = []
        self._decide = decide

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        self.received.append((message, now))
        return self._decide(message, now)

    def apply(self, message: Message, now: int) -> None:
        self.received.append((message, now))

    def save(self) -> bytes:
        return b""

    def load(self, state: bytes) -> None:
        assert state == b""


def quote(at: int) -> Quote:
    return Quote("IBM", 1.0, 1.0, 1.01, 1.0, at)


def mark_each(message: Message, _now: int) -> Sequence[Message]:
    return (
        (Mark(message.symbol, message.bid, message.ask, message.quoted_at),)
        if isinstance(message, Quote)
        else ()
    )


def snapshot(why: str) -> BrokerSnapshot:
    return BrokerSnapshot(why, Decimal(0), Decimal(0), Decimal(0), (), (), 0)


def test_everyone_hears_in_the_order_of_the_sequence() -> None:
    kept: list[Envelope] = []
    supervisor = Scripted(
        lambda m, _: (SnapshotAsked("a"), SnapshotAsked("b")) if isinstance(m, BooksAgreed) else ()
    )
    broker = Scripted(lambda m, _: (snapshot(m.why),) if isinstance(m, SnapshotAsked) else ())
    risk = Scripted()
    system = SynchronousRunner(
        {"supervisor": supervisor, "broker": broker, "risk": risk}, WIRING, log=kept.append
    )

    system.publish("reconciler", BooksAgreed("start", is_flat=True, open_orders=0), 7)

    emitted = [(e.seq, e.at, e.source, type(e.message).__name__) for e in kept]
    assert emitted == [
        (0, 7, "reconciler", "BooksAgreed"),
        (1, 7, "supervisor", "SnapshotAsked"),
        (2, 7, "supervisor", "SnapshotAsked"),
        (3, 7, "broker", "BrokerSnapshot"),
        (4, 7, "broker", "BrokerSnapshot"),
    ]
    assert [m.why for m, _ in risk.received if isinstance(m, BrokerSnapshot)] == ["a", "b"]


def test_market_data_takes_numbers_but_only_a_tape_keeps_it() -> None:
    tape: list[Envelope] = []
    log: list[Envelope] = []
    with_tape = SynchronousRunner(
        {"quotes": Scripted(mark_each)}, WIRING, log=log.append, tape=tape.append
    )
    without = SynchronousRunner({"quotes": Scripted(mark_each)}, WIRING)
    for system in (with_tape, without):
        system.play("feed", [(at, quote(at)) for at in range(3)])

    assert [(e.seq, type(e.message)) for e in tape] == [
        (0, Quote), (1, Mark), (2, Quote), (3, Mark), (4, Quote), (5, Mark),
    ]  # fmt: skip
    assert log == []
    assert with_tape.seq == without.seq == 6
    assert with_tape.digest() == without.digest()


def test_timers_fire_at_their_own_time_before_a_later_event_and_go_to_their_owner_only() -> None:
    clock = ManualClock()
    quotes = Scripted(lambda m, now: (SetTimer("quotes", "t", now + 10),) if now == 0 else ())
    strategy = Scripted()
    system = SynchronousRunner({"quotes": quotes, "strategy": strategy}, WIRING, clock)

    system.publish("feed", quote(0), 0)
    system.publish("feed", quote(25), 25)

    assert [(type(m), now) for m, now in quotes.received] == [
        (Quote, 0),
        (TimerFired, 10),
        (Quote, 25),
    ]
    assert [type(m) for m, _ in strategy.received] == [Quote, Quote]
    assert clock.now() == 25


def test_a_timer_already_due_fires_after_the_event_that_set_it() -> None:
    quotes = Scripted(
        lambda m, now: (SetTimer("quotes", "t", now - 5),) if isinstance(m, Quote) else ()
    )
    system = SynchronousRunner({"quotes": quotes}, WIRING)

    system.publish("feed", quote(50), 50)

    assert quotes.received[1:] == [(TimerFired("quotes", "t", 45), 50)]


def test_running_until_a_time_fires_what_is_due_by_then() -> None:
    quotes = Scripted(lambda _m, now: (SetTimer("quotes", "t", now + 10),))
    system = SynchronousRunner({"quotes": quotes}, WIRING)
    system.publish("feed", quote(0), 0)

    system.run_until(35)

    assert [now for _, now in quotes.received] == [0, 10, 20, 30]
    assert system.at == 35


def test_time_never_goes_backwards() -> None:
    strategy = Scripted()
    system = SynchronousRunner({"strategy": strategy}, WIRING)

    system.publish("feed", quote(9), 9)
    system.publish("feed", quote(3), 3)

    assert [now for _, now in strategy.received] == [9, 9]


def test_equal_runs_have_equal_digests_and_other_runs_other_ones() -> None:
    def digest(whys: Sequence[str]) -> str:
        system = SynchronousRunner({"risk": Scripted()}, WIRING)
        for why in whys:
            system.publish("broker", snapshot(why), 1)
        return system.digest()

    assert digest(["a", "b"]) == digest(["a", "b"]) != digest(["b", "a"])


def test_a_word_that_is_not_theirs_stops_the_line() -> None:
    system = SynchronousRunner({"quotes": Scripted(lambda _m, _n: (SnapshotAsked("x"),))}, WIRING)

    with pytest.raises(AssertionError, match="quotes may not say SnapshotAsked"):
        system.publish("feed", quote(1), 1)
    with pytest.raises(AssertionError, match="feed may not say Mark"):
        system.publish("feed", Mark("IBM", 1.0, 1.0, 1), 2)


def test_a_circle_without_a_timer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradingd.runtime.synchronous.TURNS_MAX", 100)
    supervisor = Scripted(
        lambda m, _: (SnapshotAsked("again"),) if isinstance(m, BooksAgreed) else ()
    )
    broker = Scripted(lambda _m, _n: (snapshot("x"),))
    reconciler = Scripted(lambda _m, _n: (BooksAgreed("x", is_flat=True, open_orders=0),))
    system = SynchronousRunner(
        {"supervisor": supervisor, "broker": broker, "reconciler": reconciler}, WIRING
    )

    with pytest.raises(AssertionError, match="circle"):
        system.publish("broker", snapshot("start"), 0)


def test_a_timer_that_sets_itself_for_now_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradingd.runtime.synchronous.TURNS_MAX", 100)
    system = SynchronousRunner(
        {"quotes": Scripted(lambda _m, now: (SetTimer("quotes", "t", now),))}, WIRING
    )

    with pytest.raises(AssertionError, match="timers turn in a circle"):
        system.publish("feed", quote(1), 1)


def test_a_timer_for_nobody_is_an_error_of_ours() -> None:
    system = SynchronousRunner(
        {"quotes": Scripted(lambda _m, now: (SetTimer("nobody", "t", now),))}, WIRING
    )

    with pytest.raises(AssertionError, match="no actor nobody"):
        system.publish("feed", quote(1), 1)


def test_a_drained_run_replays_exactly() -> None:
    log: list[Envelope] = []
    tape: list[Envelope] = []
    system = SynchronousRunner(toy.cores(), WIRING, log=log.append, tape=tape.append)
    system.publish("daemon", toy.STARTED, 0)
    system.play("feed", [(n * 1_000_000, quote(n)) for n in range(300)])

    verdicts = replay(log, tape, lambda _: toy.cores(), WIRING)

    assert {verdict.outcome for verdict in verdicts} == {ReplayOutcome.EXACT}
    assert {v.actor: v.compared for v in verdicts}["quotes"] > 150
