"""The pulse: who is silent, late, broken; by a clock moved by hand."""

from __future__ import annotations

import pytest

from tradingd.messages import (
    BooksAgreed,
    ClockStepped,
    Envelope,
    LoopLagged,
    Message,
    StationFailed,
    StationRecovered,
    StationStalled,
)
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.mailbox import Heartbeat
from tradingd.supervisor.pulse import Pulse
from tradingd.wiring import WIRING

SECOND = 1_000_000_000


class House:
    """A pulse over two inboxes that a test answers, or does not."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000 * SECOND)
        self.wall_step = 0
        self.log: list[Envelope] = []
        self.bus = Bus(self.clock, self.log, WIRING, inbox_max=8)
        self.inboxes = {name: self.bus.inbox(name) for name in ("risk", "router")}
        self.pulse = Pulse(self.bus, self.clock, lambda: self.clock.now() + self.wall_step)

    def seconds(self, count: int, *answering: str) -> None:
        for _ in range(count):
            for name in answering:
                inbox = self.inboxes[name]
                while not inbox.empty():
                    token = inbox.get_nowait()
                    assert isinstance(token, Heartbeat)
                    token.is_answered = True
            self.clock.advance(SECOND)
            self.pulse.beat()

    def said(self) -> list[Message]:
        return [envelope.message for envelope in self.log]


@pytest.fixture
def house() -> House:
    return House()


def test_stations_that_answer_are_fresh_and_nothing_is_said(house: House) -> None:
    assert not house.pulse.is_fresh(["risk"])
    house.seconds(20, "risk", "router")

    assert house.said() == []
    assert house.pulse.is_fresh(["risk", "router"])
    assert not house.pulse.is_fresh(["broker"])


def test_a_silent_station_is_named_once_and_its_return_too(house: House) -> None:
    house.seconds(2, "risk", "router")
    house.seconds(20, "risk")
    house.seconds(2, "risk", "router")

    assert house.said() == [StationStalled("router", 5_000), StationRecovered("router")]
    assert house.inboxes["router"].qsize() == 1
    assert house.pulse.stalled == set()


def test_a_stalled_station_is_not_fresh(house: House) -> None:
    house.seconds(2, "risk", "router")
    house.seconds(8, "risk")

    assert house.pulse.is_fresh(["risk"])
    assert not house.pulse.is_fresh(["risk", "router"])


def test_a_failure_is_told_and_the_quarantined_station_is_not_called_stalled(house: House) -> None:
    failure = StationFailed("router", "ZeroDivisionError: x", "trace")
    house.pulse.failed(failure)
    house.seconds(20, "risk")

    assert house.said() == [failure]
    assert house.pulse.quarantined == {"router"}


def test_a_late_wake_is_lag_and_blames_no_station(house: House) -> None:
    house.seconds(1)
    house.clock.advance(9 * SECOND)
    house.seconds(1)

    assert house.said() == [LoopLagged(9_000)]


@pytest.mark.parametrize("step", [-3_600, 7])
def test_a_step_of_the_wall_clock_is_told_once(house: House, step: int) -> None:
    house.seconds(3, "risk", "router")
    house.wall_step = step * SECOND
    house.seconds(3, "risk", "router")

    assert house.said() == [ClockStepped(step * 1_000)]


def test_the_pulse_lives_on_when_the_supervisor_has_no_room(house: House) -> None:
    house.bus.inbox("supervisor")
    for _ in range(8):
        house.bus.publish("reconciler", BooksAgreed("x", is_flat=True, open_orders=0))
    house.pulse.failed(StationFailed("router", "x", "y"))

    assert house.bus.full is not None


def test_a_pulse_that_stopped_is_not_fresh_itself(house: House) -> None:
    house.seconds(3, "risk")
    house.clock.advance(6 * SECOND)

    assert not house.pulse.is_fresh([])
