"""The pulse: who is silent, late, broken; by a clock moved by hand."""

from __future__ import annotations

import pytest

from tradingd.messages import (
    ActorFailed,
    ActorRecovered,
    ActorStalled,
    BooksAgreed,
    ClockStepped,
    Envelope,
    LoopLagged,
    Message,
)
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.mailbox import Heartbeat
from tradingd.supervisor.heartbeat import HeartbeatMonitor
from tradingd.wiring import WIRING

SECOND = 1_000_000_000


class House:
    """A pulse over two mailboxes that a test answers, or does not."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000 * SECOND)
        self.wall_step = 0
        self.log: list[Envelope] = []
        self.bus = Bus(self.clock, self.log, WIRING, mailbox_max=8)
        self.mailboxes = {name: self.bus.mailbox(name) for name in ("risk", "router")}
        self.heartbeat = HeartbeatMonitor(
            self.bus, self.clock, lambda: self.clock.now() + self.wall_step
        )

    def seconds(self, count: int, *answering: str) -> None:
        for _ in range(count):
            for name in answering:
                mailbox = self.mailboxes[name]
                while not mailbox.empty():
                    token = mailbox.get_nowait()
                    assert isinstance(token, Heartbeat)
                    token.is_answered = True
            self.clock.advance(SECOND)
            self.heartbeat.check()

    def published(self) -> list[Message]:
        return [envelope.message for envelope in self.log]


@pytest.fixture
def system() -> House:
    return House()


def test_stations_that_answer_are_fresh_and_nothing_is_said(system: House) -> None:
    assert not system.heartbeat.is_fresh(["risk"])
    system.seconds(20, "risk", "router")

    assert system.published() == []
    assert system.heartbeat.is_fresh(["risk", "router"])
    assert not system.heartbeat.is_fresh(["broker"])


def test_a_silent_station_is_named_once_and_its_return_too(system: House) -> None:
    system.seconds(2, "risk", "router")
    system.seconds(20, "risk")
    system.seconds(2, "risk", "router")

    assert system.published() == [ActorStalled("router", 5_000), ActorRecovered("router")]
    assert system.mailboxes["router"].qsize() == 1
    assert system.heartbeat.stalled == set()


def test_a_stalled_station_is_not_fresh(system: House) -> None:
    system.seconds(2, "risk", "router")
    system.seconds(8, "risk")

    assert system.heartbeat.is_fresh(["risk"])
    assert not system.heartbeat.is_fresh(["risk", "router"])


def test_a_failure_is_told_and_the_quarantined_station_is_not_called_stalled(system: House) -> None:
    failure = ActorFailed("router", "ZeroDivisionError: x", "trace")
    system.heartbeat.failed(failure)
    system.seconds(20, "risk")

    assert system.published() == [failure]
    assert system.heartbeat.quarantined == {"router"}


def test_a_late_wake_is_lag_and_blames_no_station(system: House) -> None:
    system.seconds(1)
    system.clock.advance(9 * SECOND)
    system.seconds(1)

    assert system.published() == [LoopLagged(9_000)]


@pytest.mark.parametrize("step", [-3_600, 7])
def test_a_step_of_the_wall_clock_is_told_once(system: House, step: int) -> None:
    system.seconds(3, "risk", "router")
    system.wall_step = step * SECOND
    system.seconds(3, "risk", "router")

    assert system.published() == [ClockStepped(step * 1_000)]


def test_the_pulse_lives_on_when_the_supervisor_has_no_room(system: House) -> None:
    system.bus.mailbox("supervisor")
    for _ in range(8):
        system.bus.publish("reconciler", BooksAgreed("x", is_flat=True, open_orders=0))
    system.heartbeat.failed(ActorFailed("router", "x", "y"))

    assert system.bus.full is not None


def test_a_pulse_that_stopped_is_not_fresh_itself(system: House) -> None:
    system.seconds(3, "risk")
    system.clock.advance(6 * SECOND)

    assert not system.heartbeat.is_fresh([])
